import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

@Suite("reflexes on the real kernel", .serialized, .enabled(if: canLoadSensor && Machine.has("bpftool"), "needs root, a kernel with BTF and ring buffers, and bpftool"))
struct ReflexLiveTests {
    private let place: Workplace
    private let victim: String

    init() throws {
        place = try Workplace()
        victim = place.folder.path + "/victim"
        try FileManager.default.copyItem(atPath: "/bin/echo", toPath: victim)
    }

    private func start(mode: String = "enforce", budget: Int = 1000, configuration: String = "", earlier: String = "", condition: String? = nil) async throws {
        let rules = try place.folder.file(
            "rules.yaml",
            """
            \(earlier)
            - rule: Victim started
              desc: A program of this test.
              condition: \(condition ?? "evt.type in (execve, execveat) and proc.exepath = \(victim)")
              output: victim %proc.cmdline
              priority: CRITICAL
            """)
        try place.write(
            playbooks: """
                  - name: stop-victim
                    match: { rules: [Victim started] }
                    budget: { actions: \(budget), per: 1h }
                    steps: [{ action: process.kill, reflex: true }]

                """)
        // The agent's own budgets would let five a hour through.
        try await place.start(mode: mode, configuration: "budgets: []\n" + configuration, arguments: ["--json", "--rules", rules])
    }

    /// What the victims printed, and how they ended.
    private func victims(_ count: Int) throws -> (printed: Int, killed: Int) {
        var (printed, killed) = (0, 0)
        for number in 0..<count {
            let (status, output) = try run([victim, "\(number)"])
            if !output.isEmpty { printed += 1 }
            if status == 128 + SIGKILL { killed += 1 }
        }
        return (printed, killed)
    }

    private func outcomes(_ count: Int) async throws -> [String] {
        try await until { try place.outcomes().count >= count }
        return try place.outcomes()
    }

    /// RIPOSTE_REFLEXES: how many; `make test-long` says 10000.
    private static let reflexes = ProcessInfo.processInfo.environment["RIPOSTE_REFLEXES"].flatMap(Int.init) ?? 300

    /// Each lot is on record before the next one starts: this agent, which is not optimized, does not keep up with ten thousand at once.
    @Test("the program is dead before it prints, each time, and each is on record as the step's outcome")
    func kills() async throws {
        try await start(budget: Self.reflexes)
        for first in stride(from: 0, to: Self.reflexes, by: 500) {
            let count = min(500, Self.reflexes - first)
            #expect(try victims(count) == (0, count))
            _ = try await outcomes(first + count)
        }
        #expect(try place.outcomes() == Array(repeating: "process.kill done", count: Self.reflexes))
        #expect(try place.records().filter { $0["kind"] == "outcome" }.allSatisfy { $0.line.contains("\"reflex\":true") })
    }

    @Test("an agent that cannot read for long tells of how many that its reflexes ended it knows no more: none is done and not said")
    func unread() async throws {
        // Events of eight thousand bytes each, of which four million wait at most.
        let (count, long) = (700, String(repeating: "x", count: 4000))
        try await start(budget: count)
        place.agent?.signal(SIGSTOP)
        #expect(try (0..<count).count { _ in try run(["env", "LONG=\(long)", victim, long]).status == 128 + SIGKILL } == count)
        place.agent?.signal(SIGCONT)
        func unrecorded() throws -> Int64 { try place.json("status").first?["sensor"]?["unrecorded_reflexes"]?["stop-victim"]?.integer ?? 0 }
        try await until { try Int(unrecorded()) + place.outcomes().count(where: { $0 == "process.kill done" }) == count }
        #expect(try unrecorded() > 0)
        let told = try place.output.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }.filter { $0["rule"] == "Riposte reflex without a record" }
        #expect(try told.compactMap { $0["output_fields"]?["reflex.unrecorded"]?.integer }.reduce(0, +) == unrecorded())
        #expect(told.allSatisfy { $0["output_fields"]?["reflex.playbook"] == "stop-victim" && $0["priority"] == "Critical" && $0["source"] == "internal" })
    }

    /// Connects to each of the ports behind it, one after the other, and says how each went; `refused` may be.
    private static let connecting = """
        import socket, sys
        for port in map(int, sys.argv[1:]):
            try: socket.socket().connect(("127.0.0.1", port)); print("connected", port, flush=True)
            except ConnectionRefusedError: print("refused", port, flush=True)
        """

    @Test("who connects to an address that a rule names is dead when the call returns; other addresses, and connections that nobody took, are none of its business")
    func addresses() async throws {
        let listeners = try (0..<2).map { _ in try LoopbackListener() }
        let (allowed, forbidden) = (listeners[0].port, listeners[1].port)
        let condition = "evt.type = connect and evt.rawres >= 0 and proc.name = watched and fd.typechar in (4, 6) and fd.sip = \"127.0.0.1\" and fd.sport = \(forbidden)"
        try await start(condition: "'\(condition)'")
        #expect(try place.json("status").first?["sensor"]?["reflexes"]?.array?.first?["acts"] == true)
        let watched = place.folder.path + "/watched"
        try FileManager.default.copyItem(at: URL(fileURLWithPath: "/usr/bin/python3").resolvingSymlinksInPath(), to: URL(fileURLWithPath: watched))
        let ends = try run([watched, "-c", Self.connecting, "\(allowed)", "1", "\(forbidden)", "\(allowed)"])
        #expect(ends.status == 128 + SIGKILL && ends.output == "connected \(allowed)\nrefused 1\n", "\(ends)")
        #expect(try await outcomes(1) == ["process.kill done"])
    }

    @Test("a reflex that may not act, or not any more, leaves the deed to one that may", arguments: [(0, "observe"), (1, "enforce")])
    func another(budget: Int, mode: String) async throws {
        // The first playbook observes, or its budget is gone with the first victim.
        let rules = try place.folder.file(
            "rules.yaml",
            ["First", "Second"].map { "- { rule: \($0), desc: d, condition: 'evt.type = execve and proc.exepath = \(victim) and evt.rawres = 0', output: o, priority: INFO }\n" }
                .joined())
        try place.write(
            playbooks: ["first", "second"].map { name in
                """
                  - name: \(name)
                    mode: \(name == "first" ? mode : "enforce")
                    match: { rules: [\(name.capitalized)] }
                    budget: { actions: \(name == "first" ? max(1, budget) : 100), per: 1h }
                    steps: [{ action: process.kill, reflex: true }]

                """
            }.joined())
        try await place.start(mode: "enforce", configuration: "budgets: []\nrules: { matching: all }\n", arguments: ["--json", "--rules", rules])
        #expect(try victims(3) == (0, 3))
    }

    @Test("a budget that is spent disarms it, which is said")
    func budget() async throws {
        try await start(budget: 3)
        #expect(try victims(5) == (2, 3))
        // Runs of different alerts end in no certain order, and the last victim may come when the breaker has disarmed the kernel already.
        let outcomes = try await outcomes(5)
        #expect(outcomes.count { $0 == "process.kill done" } == 3 && outcomes.contains("process.kill refused"))
        #expect(try place.json("breaker", "list").first?["breaker"] == "playbook/stop-victim")
    }

    @Test("what the kernel has done is on record where another rule is the only one to judge, too")
    func otherRule() async throws {
        let earlier = "- { rule: Anything started, desc: d, condition: evt.type = execve and proc.name = victim, output: o, priority: INFO }"
        try await start(configuration: "rules: { matching: first }", earlier: earlier)
        #expect(try victims(2) == (0, 2))
        #expect(try await outcomes(2) == ["process.kill done", "process.kill done"])
    }

    @Test("where a guard is to be asked before, the kernel does not act, and says so")
    func guarded() async throws {
        try await start(configuration: "guards: [{ name: keep, process: { names: [victim] } }]")
        #expect(try victims(1) == (1, 0))
        let reflex = try #require(place.json("status").first?["sensor"]?["reflexes"]?.array?.first)
        #expect(reflex["problem"]?.string?.repaired.contains("guard keep") == true)
    }

    @Test("observing, it only says that it would have")
    func observes() async throws {
        try await start(mode: "observe")
        #expect(try victims(2) == (2, 0))
        #expect(try await outcomes(2) == ["process.kill planned", "process.kill planned"])
    }

    /// The kernel's ids of the BPF objects that a process holds, by the word that fdinfo (proc(5)) has for them.
    private func ids(_ word: String, of pid: Int32) throws -> [String] {
        let folder = "/proc/\(pid)/fdinfo"
        return try FileManager.default.contentsOfDirectory(atPath: folder).flatMap { name in
            let lines = (try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8))?.split(separator: "\n") ?? []
            return lines.filter { $0.hasPrefix(word + ":") }.compactMap { $0.split(whereSeparator: \.isWhitespace).last.map(String.init) }
        }
    }

    @Test("an agent that is killed leaves no program in the kernel, and no reflex")
    func leavesNothing() async throws {
        try await start()
        let held = try ids("prog_id", of: try #require(place.agent?.pid))
        #expect(held.count >= 4)
        place.kill()
        try await until { try held.allSatisfy { try run(["bpftool", "prog", "show", "id", $0]).status != 0 } }
        #expect(try victims(1) == (1, 0))
    }

    @Test("new playbooks arm and disarm it while the agent runs")
    func reloads() async throws {
        try await start()
        #expect(try victims(1) == (0, 1))
        try place.write(playbooks: "  - name: other\n    match: { rules: [Victim started] }\n    steps: [{ action: process.kill, mode: observe }]\n")
        place.agent?.signal(SIGHUP)
        try await until { try place.json("status").first?["sensor"]?["reflexes"]?.array?.isEmpty == true }
        #expect(try victims(1) == (1, 0))
    }

    @Test("a journal that takes no record for a while: nothing is armed meanwhile, and by itself when it takes one again")
    func unrecorded() async throws {
        let disk = place.stateDirectory
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
        try #require(try run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "none", disk]).status == 0)
        defer { _ = try? run(["umount", "-l", disk]) }
        try await start(configuration: "sensor: { alert_on_tampering: false }")
        let playbooks = try String(contentsOfFile: place.folder.path + "/playbooks/p.yaml", encoding: .utf8)
        #expect(try victims(1) == (0, 1))
        _ = try await outcomes(1)
        try run(["sh", "-c", "head -c 4000000 /dev/zero > '\(disk)/fill'"])
        var status = 202
        // What is left of the last page may take a few.
        for _ in 0..<200 where status == 202 { status = try await place.post(alert("Other", pid: 1)).status }
        #expect(status == 503)
        // Another name is another reflex. Where an alert finds no room, what is written of a few of these still may.
        var isTold = false
        for round in 0..<20 where !isTold {
            _ = try place.folder.file("playbooks/p.yaml", playbooks.replacing("stop-victim", with: "end-victim-\(round)"))
            _ = try place.riposte("reload")
            isTold = try reflexes().map { $0["problem"]?.string?.shown.contains("the journal does not take it") } == [true]
        }
        #expect(isTold)
        #expect(try victims(1) == (1, 0))
        try FileManager.default.removeItem(atPath: disk + "/fill")
        try await until { try reflexes().allSatisfy { $0["problem"] == nil } }
        #expect(try victims(1) == (0, 1))
    }

    /// One rule and one program each; how the last one ends is looked at.
    private func start(_ count: Int, configuration: String = "") async throws {
        let rules = (1...count).map { number in
            "- { rule: Victim \(number), desc: d, condition: evt.type = execve and proc.exepath = \(number == count ? victim : "\(victim)-\(number)"), output: o, priority: CRITICAL }"
        }
        let file = try place.folder.file("rules.yaml", rules.joined(separator: "\n") + "\n")
        let names = (1...count).map { "Victim \($0)" }.joined(separator: ", ")
        try place.write(
            playbooks: "  - { name: stop-victim, match: { rules: [\(names)] }, budget: { actions: 1000, per: 1h }, steps: [{ action: process.kill, reflex: true }] }\n")
        try await place.start(mode: "enforce", configuration: "budgets: []\n" + configuration, arguments: ["--json", "--rules", file])
    }

    private func reflexes() throws -> [JSON] { try place.json("status").first?["sensor"]?["reflexes"]?.array ?? [] }

    @Test("of many reflexes each follows each change of modes", arguments: [33, 40])
    func many(_ count: Int) async throws {
        try await start(count)
        #expect(try victims(1) == (0, 1))
        for _ in 0..<3 {
            #expect(try place.riposte("mode", "set", "observe").status == 0)
            #expect(try victims(1) == (1, 0))
            #expect(try reflexes().count == count && reflexes().allSatisfy { $0["acts"] == false })
            #expect(try place.riposte("mode", "clear").status == 0)
            #expect(try victims(1) == (0, 1))
        }
    }

    @Test("the mode of the source sensor holds in the kernel")
    func source() async throws {
        try await start()
        #expect(try place.riposte("mode", "set", "observe", "--source", "sensor").status == 0)
        #expect(try victims(1) == (1, 0))
        #expect(try await outcomes(1) == ["process.kill planned"])
    }

    @Test("more reflexes than the kernel has room for: the sensor runs, and what has no room is told and answered all the same")
    func surplus() async throws {
        try await start(65)
        #expect(try place.json("status").first?["sensor"]?["state"] == "running")
        // The filter for the start of a program is full before the table of reflexes is; the first ones come first.
        let armed = try reflexes().count { $0["problem"] == nil }
        #expect(armed > 40 && armed < 64)
        #expect(try Set(reflexes().filter { $0["problem"] != nil }.compactMap { $0["rule"]?.string?.repaired }) == Set((armed + 1...65).map { "Victim \($0)" }))
        _ = try victims(1)
        try await until { try !place.outcomes().isEmpty }
        #expect(try place.records().filter { $0["kind"] == "outcome" }.allSatisfy { $0["step"] == "process-kill" && !$0.line.contains("\"reflex\":true") })
    }

    @Test("other rules find room for their reflexes, if a moment later")
    func changes() async throws {
        try await start(40)
        let rules = (1...40).map { number in
            "- { rule: Other \(number), desc: d, condition: evt.type = execve and proc.exepath = \(number == 40 ? victim : "\(victim)-\(number)"), output: o, priority: CRITICAL }"
        }
        _ = try place.folder.file("rules.yaml", rules.joined(separator: "\n") + "\n")
        let names = (1...40).map { "Other \($0)" }.joined(separator: ", ")
        try place.write(
            playbooks: "  - { name: stop-others, match: { rules: [\(names)] }, budget: { actions: 1000, per: 1h }, steps: [{ action: process.kill, reflex: true }] }\n")
        place.agent?.signal(SIGHUP)
        try await until { try reflexes().count { $0["playbook"] == "stop-others" && $0["problem"] == nil } == 40 }
        #expect(try victims(1) == (0, 1))
    }

    /// The kernel's id of a map of the agent's.
    private func map(_ name: String) throws -> String {
        let ids = Set(try self.ids("map_id", of: try #require(place.agent?.pid)))
        return try #require(ids.first { try run(["bpftool", "-j", "map", "show", "id", $0]).output.contains("\"name\":\"\(name)\"") })
    }

    /// A map that is frozen takes no more from user space: as good as a kernel without memory.
    private func freeze(_ names: [String]) throws {
        for name in names { try #require(run(["bpftool", "map", "freeze", "id", try map(name)]).status == 0) }
    }

    @Test("where the kernel does not take its tables nothing acts there, and whoever ordered it is told", arguments: [["filters"], ["filters", "reflexes"]])
    func refusedTables(_ maps: [String]) async throws {
        try await start(configuration: "sensor: { alert_on_tampering: false }")
        #expect(try victims(1) == (0, 1))
        try freeze(maps)
        let ordered = try place.riposte("mode", "set", "observe")
        #expect(ordered.output.contains("the kernel did not take its tables"), "\(ordered.output)")
        let reloaded = try place.riposte("reload")
        #expect(reloaded.status == 3 && reloaded.output.contains("the kernel did not take its tables"), "\(reloaded.output)")
        #expect(try place.json("reload").first?["rules"]?["kernel_problem"] != nil)
        #expect(try victims(1) == (1, 0))
        let sensor = try #require(place.json("status").first?["sensor"])
        #expect(sensor["kernel_problem"]?.string != nil && sensor["reflexes"]?.array?.allSatisfy { $0["problem"] != nil } == true)
        #expect(try place.records().contains { $0["kind"] == "config" && $0["outcome"] == "failed" && $0.line.contains("did not take its tables") })
    }

    /// Takes another name, and opens a file again and again, once there is `go`.
    private func renamed(_ program: String, _ watched: String, _ go: String, orphaned: Bool = false) throws -> ChildProcess {
        let script =
            "printf something > /proc/$$/comm; echo $$ > \(program).pid; while [ ! -e \(go) ]; do :; done; "
            + "for i in 1 2 3; do : < \(watched); done; echo > \(program).survived"
        return try ChildProcess(orphaned ? ["sh", "-c", "\(program) -c '\(script)' &"] : [program, "-c", script], output: nil, error: nil)
    }

    @Test(
        "a program is spared for its file's name where nobody but root can have made that file, and for no other reason",
        arguments: [("podman", 0, 0o755, false), ("podman", 1000, 0o755, true), ("podman", 0, 0o777, true), ("other", 0, 0o755, true)])
    func namedLikeSpared(_ name: String, _ owner: uid_t, _ mode: mode_t, _ dies: Bool) async throws {
        let program = place.folder.path + "/" + name
        try FileManager.default.copyItem(atPath: "/bin/echo", toPath: program)
        try #require(chown(program, owner, owner) == 0 && chmod(program, mode) == 0)
        try await start(condition: "evt.type in (execve, execveat) and proc.exepath = \(program)")
        // Whom the agent ends has printed by then.
        let ends = try run([program, "alive"])
        #expect(ends.output.isEmpty == dies && (ends.status == 128 + SIGKILL) == dies, "\(ends)")
    }

    @Test("who only calls himself so is not spared", .enabled(if: Machine.has("python3"), "python3 is not there"))
    func calledLikeSpared() async throws {
        let watched = try place.folder.file("watched", "")
        try await start(condition: "evt.type in (open, openat) and fd.name = \(watched)")
        let script = "import ctypes; ctypes.CDLL(None).prctl(15, b'podman', 0, 0, 0); open('\(watched)').close(); print('alive', flush=True)"
        let ends = try run(["python3", "-c", script])
        #expect(ends.output.isEmpty && ends.status == 128 + SIGKILL, "\(ends)")
    }

    @Test("what the machine cannot do without is spared by the file that it runs, whatever it calls itself", arguments: [("k3s", false), ("sshd", true)])
    func spared(_ name: String, _ orphaned: Bool) async throws {
        let (watched, go) = (place.folder.path + "/watched", place.folder.path + "/go")
        let shell = URL(fileURLWithPath: "/bin/sh").resolvingSymlinksInPath().path
        let names = [name, "other"].map { place.folder.path + "/" + $0 }
        for file in names { try FileManager.default.copyItem(atPath: shell, toPath: file) }
        try Data().write(to: URL(fileURLWithPath: watched))
        let rules = try place.folder.file(
            "rules.yaml", "- { rule: Watched, desc: d, condition: 'evt.type in (open, openat) and fd.name = \(watched)', output: o, priority: CRITICAL }\n")
        try place.write(playbooks: "  - { name: stop, match: { rules: [Watched] }, budget: { actions: 9, per: 1h }, steps: [{ action: process.kill, reflex: true }] }\n")
        try await place.start(configuration: "budgets: []", arguments: ["--json", "--rules", rules])
        let children = try [renamed(names[0], watched, go, orphaned: orphaned), renamed(names[1], watched, go)]
        func number(_ program: String) throws -> Int32? { (try? String(contentsOfFile: program + ".pid", encoding: .utf8)).flatMap { Int32($0.filter(\.isNumber)) } }
        try await until { try number(names[0]) != nil && number(names[1]) != nil }
        let pid = try #require(try number(names[0]))
        defer { kill(pid, SIGKILL) }
        let protected = try map("protected")
        try await until { try run(["bpftool", "-j", "map", "dump", "id", protected]).output.contains("\"key\":\(pid),") }
        try Data().write(to: URL(fileURLWithPath: go))
        #expect(try await children[1].waitForExit(within: .seconds(20)) == 128 + SIGKILL)
        try await until { FileManager.default.fileExists(atPath: names[0] + ".survived") }
        #expect(!FileManager.default.fileExists(atPath: names[1] + ".survived"))
        // The guard of user space says the same.
        try await until { try place.outcomes().contains("process.kill refused") || place.outcomes().contains("process.kill gone") }
        let done = try place.records().filter { $0["kind"] == "outcome" && $0["outcome"] == "done" }
        #expect(!done.contains { $0.line.contains("\"pid\":\(pid),") })
    }
}
