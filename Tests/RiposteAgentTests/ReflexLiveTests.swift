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

    private func start(mode: String = "enforce", budget: Int = 1000, configuration: String = "", earlier: String = "") async throws {
        let rules = try place.folder.file(
            "rules.yaml",
            """
            \(earlier)
            - rule: Victim started
              desc: A program of this test.
              condition: evt.type in (execve, execveat) and proc.exepath = \(victim)
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

    /// The kernel's ids of the BPF programs that a process holds (proc(5), fdinfo).
    private func programs(of pid: Int32) throws -> [String] {
        let folder = "/proc/\(pid)/fdinfo"
        return try FileManager.default.contentsOfDirectory(atPath: folder).flatMap { name in
            let lines = (try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8))?.split(separator: "\n") ?? []
            return lines.filter { $0.hasPrefix("prog_id:") }.compactMap { $0.split(whereSeparator: \.isWhitespace).last.map(String.init) }
        }
    }

    @Test("an agent that is killed leaves no program in the kernel, and no reflex")
    func leavesNothing() async throws {
        try await start()
        let held = try programs(of: try #require(place.agent?.pid))
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
}
