import RiposteCore
import RiposteRules
import Testing

@Suite("Which calls a reflex can refuse before they are done")
struct RefusableCallTests {
    private static func ruleSet(_ condition: String) throws -> RuleSet {
        let (ruleSet, findings) = RuleSet.load([.init(name: "", text: "- { rule: r, desc: d, condition: '\(condition)', output: o, priority: INFO }\n")])
        return try #require(ruleSet, "\(findings.filter(\.isError).map(\.diagnostic.rendered))")
    }

    @Test(
        "opens and connects whose condition does not depend on what is known at their end alone",
        arguments: [
            ("evt.type in (open, openat) and fd.name = /etc/shadow", ["open", "openat"]), ("evt.type in (open, openat, unlink) and proc.name = x", ["open", "openat"]),
            ("evt.type = creat and fd.name = /etc/shadow", ["creat"]),
            ("evt.type = openat2 and evt.is_open_read = true and fd.name = /etc/shadow and not proc.name in (sshd, su)", ["openat2"]),
            // That it succeeds is as good as known.
            ("evt.type = openat and fd.num >= 0 and fd.name = /etc/shadow", ["openat"]), ("evt.type = openat and evt.rawres >= 0 and fd.name = /etc/shadow", ["openat"]),
            ("evt.type = openat and evt.failed = false and evt.res = SUCCESS and fd.name = /etc/shadow", ["openat"]),
            // A failure is let through, and judged at its end.
            ("evt.type = openat and evt.failed = true and fd.name = /etc/shadow", ["openat"]),
            // Which descriptor it gets, or why it fails, is not.
            ("evt.type = openat and fd.num > 2 and fd.name = /etc/shadow", []), ("evt.type = openat and evt.rawres = 3 and fd.name = /etc/shadow", []),
            ("evt.type = openat and evt.res = ENOENT and fd.name = /etc/shadow", []),
            // One way of several to hold.
            ("evt.type = openat and fd.name = /etc/shadow and (fd.num >= 0 or evt.res = EACCES)", []),
            ("evt.type = connect and proc.name = xmrig", ["connect"]), ("evt.type in (open, connect) and proc.name = xmrig", ["connect", "open"]),
            ("evt.type = connect and fd.sip = \"192.0.2.7\"", ["connect"]), ("evt.type = connect and fd.typechar in (4, 6) and not fd.sport in (80, 443)", ["connect"]),
            // Whether anybody takes the connection is not known.
            ("evt.type in (open, connect) and evt.rawres >= 0 and proc.name = xmrig", ["open"]), ("evt.type = connect and evt.failed = true and proc.name = xmrig", []),
            // A program is ended before its first instruction anyway.
            ("evt.type in (execve, execveat) and proc.exepath = /dev/shm/x", []), ("evt.type = unlink and proc.name = x", []),
            // The kernel does not decide it at all.
            ("evt.type = openat and fd.name = /etc/shadow and proc.cmdline contains x", []),
        ])
    func calls(_ condition: String, _ calls: [String]) throws { #expect(try Self.ruleSet(condition).refusableCalls(ofRule: "r") == calls) }

    /// Over all answers to the clause's other atoms: as a clause is a conjunction, it is enough that all of them hold or one does not.
    @Test(
        "what is refused would have been answered at its end, whatever descriptor it had got",
        arguments: [
            "evt.type = openat and fd.num >= 0 and fd.name = /a and evt.is_open_write = true", "evt.type = openat and not evt.failed = true and fd.name startswith /a",
            "evt.type = openat and evt.failed = true and fd.name = /a", "evt.type = openat and fd.name = /a and not (evt.rawres < 0 or proc.name in (b, c))",
            "evt.type = openat and fd.num < 0 and fd.name = /a",
        ])
    func sameForEachSuccess(_ condition: String) throws {
        let filters = try Self.ruleSet(condition).reflexClauses(ofRule: "r").get()
        let filter = try #require(EventType(named: "openat").flatMap { filters[$0] })
        #expect(filter.clauses.allSatisfy { filter.before($0).contains(.open) })
        for (path, flags, name) in [("/a", 1, "x"), ("/a", 0, "x"), ("/b", 1, "x"), ("/a", 1, "b"), ("a", 1, "x")] as [(String, Int64, String)] {
            let verdicts = [0x7FFF_FFFF, 0, 1, 2, 3, 1023, 1_048_576].map { (result: Int64) in
                var facts = KernelFilter.Facts()
                (facts.paths, facts.name) = ([Array(path.utf8), Array(path.utf8)], Array(name.utf8))
                facts.numbers = [.openFlags: flags, .openMode: 0o644, .result: result, .fd: result, .uid: 0, .loginUID: 0]
                return filter.verdict(facts)
            }
            #expect(verdicts.allSatisfy { $0 == verdicts[0] }, "\(path) \(flags) \(name)")
        }
    }
}
