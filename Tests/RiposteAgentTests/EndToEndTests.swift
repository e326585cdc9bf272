import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

private let killing = """
      - name: kill
        match: { rules: ["Kill it"] }
        steps:
          - action: process.kill
      - name: suspend
        match: { rules: ["Suspend it"] }
        steps:
          - action: process.suspend
            undo: { after: 4s }
      - name: hold
        match: { rules: ["Hold it"] }
        steps:
          - action: process.suspend
    """

@Suite("an alert comes in, a process ends", .enabled(if: Machine.isRoot, "needs root: signals to children of another process"))
struct AlertToDeedTests {
    let place: Workplace

    init() throws {
        place = try Workplace()
        try place.write(playbooks: killing)
    }

    @Test("from each of the intakes", arguments: ["http", "stream", "datagram", "file", "stdin"])
    func intakes(way: String) async throws {
        let child = try ChildProcess(["sleep", "1000"])
        let bystander = try ChildProcess(["sleep", "1000"])
        let input = Pipe()
        let file = try place.folder.file("alerts.jsonl")
        try await place.start(
            configuration: "intake: { file: { path: \(file) }, stdin: { enabled: \(way == "stdin") } }", input: input.fileHandleForReading.fileDescriptor)
        let text = alert("Kill it", pid: child.pid)
        switch way {
        case "http": #expect(try await place.post(text).status == 202)
        case "stream": try place.sendToSocket(text + "\n")
        case "datagram": try place.sendToSocket(text, isDatagram: true)
        case "file": try await append(text + "\n", to: file)
        default: try input.fileHandleForWriting.write(contentsOf: Data((text + "\n").utf8))
        }
        #expect(try await child.waitForExit(within: .seconds(60)) == 128 + SIGKILL)
        #expect(bystander.isRunning)
        try await until { try place.outcomes() == ["process.kill done"] }
        #expect(try await place.stop() == 0)
        let (status, output) = try place.riposte("audit", "verify")
        #expect(status == 0, "\(output)")
        withExtendedLifetime(input) {}
    }

    private func append(_ text: String, to file: String) async throws {
        // What the file holds before the agent follows it is old; it follows a moment after it says that it is ready.
        try await Task.sleep(for: .milliseconds(300))
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
    }

    /// How an alert lies about a child.
    enum Lie: String, CaseIterable, CustomTestStringConvertible {
        case startedEarlier, startedLater, otherName, pidOne, agent, kernelThread, nobody, negative, huge, text, absent, old

        var testDescription: String { rawValue }

        func alert(_ child: Int32, _ agent: Int32) -> String {
            let now = Timestamp.now()
            switch self {
            case .startedEarlier: return RiposteAgentTests.alert("Kill it", pid: child, startedAt: now.nanoseconds - 3_600_000_000_000)
            case .startedLater: return RiposteAgentTests.alert("Kill it", pid: child, startedAt: now.nanoseconds + 60_000_000_000)
            case .otherName: return RiposteAgentTests.alert("Kill it", pid: child, name: "nginx")
            case .pidOne:
                return RiposteAgentTests.alert("Kill it", pid: 1, name: (try? String(contentsOfFile: "/proc/1/comm", encoding: .utf8).trimmingCharacters(in: .newlines)) ?? "init")
            case .agent: return RiposteAgentTests.alert("Kill it", pid: agent, name: "riposte")
            case .kernelThread: return RiposteAgentTests.alert("Kill it", pid: 2, name: "kthreadd")
            case .nobody: return RiposteAgentTests.alert("Kill it", pid: 0x3FFF_FFFF)
            case .negative: return RiposteAgentTests.alert("Kill it", pid: -1)
            case .huge: return RiposteAgentTests.alert("Kill it", pid: child).replacing("\"proc.pid\":\(child)", with: "\"proc.pid\":\(Int64(child) + (1 << 32))")
            case .text: return RiposteAgentTests.alert("Kill it", pid: child).replacing("\"proc.pid\":\(child)", with: "\"proc.pid\":\"\(child); kill -9 1\"")
            case .absent: return RiposteAgentTests.alert("Kill it", pid: child).replacing("\"proc.pid\":\(child),", with: "")
            case .old: return RiposteAgentTests.alert("Kill it", pid: child, at: now + .seconds(-600))
            }
        }

        /// The outcome, and a word that the explanation must hold.
        var answer: (String, String) {
            switch self {
            case .startedEarlier, .startedLater: ("refused", "start")
            case .otherName: ("refused", "sleep")
            case .pidOne: ("refused", "1")
            case .agent: ("refused", "Riposte")
            case .kernelThread: ("refused", "kernel")
            case .nobody: ("gone", "process")
            case .negative, .huge, .text, .absent: ("refused", "proc.pid")
            case .old: ("refused", "alert")
            }
        }
    }

    @Test("a forged alert ends nobody, and the journal says why", arguments: Lie.allCases)
    func forged(lie: Lie) async throws {
        let child = try ChildProcess(["sleep", "1000"])
        let agent = try await place.start()
        #expect(try await place.post(lie.alert(child.pid, agent.pid)).status == 202)
        try await until { try place.records().contains { $0["kind"] == "run" } }
        #expect(child.isRunning && agent.isRunning)
        let outcome = try #require(try place.records().last { $0["kind"] == "outcome" })
        #expect(outcome["outcome"]?.string?.shown == lie.answer.0, "\(outcome)")
        #expect(outcome["message"]?.string?.shown.localizedCaseInsensitiveContains(lie.answer.1) == true, "\(outcome)")
    }

    @Test("in observe, and where a playbook is in observe, the plan is on record and nothing else happens", arguments: [("observe", ""), ("enforce", "mode: observe")])
    func observe(mode: String, playbookMode: String) async throws {
        try place.write(playbooks: killing.replacing("- name: kill\n", with: "- name: kill\n    \(playbookMode)\n"))
        let child = try ChildProcess(["sleep", "1000"])
        try await place.start(mode: mode)
        _ = try await place.post(alert("Kill it", pid: child.pid))
        try await until { try place.outcomes() == ["process.kill planned"] }
        #expect(child.isRunning)
    }

    @Test("an alert from a source that is not trusted is observed only")
    func untrusted() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        try await place.start(configuration: "intake: { http: { trust: untrusted } }")
        _ = try await place.post(alert("Kill it", pid: child.pid))
        try await until { try place.outcomes() == ["process.kill planned"] }
        #expect(child.isRunning)
    }
}

@Suite("whose an alert by HTTP is", .enabled(if: Machine.isRoot, "needs root: sends as another user"))
struct SenderTests {
    @Test("nobody's alert about a process of root's is planned and never done; root's is", arguments: ["", "intake: { http: { uids: [65534] } }"])
    func nobody(configuration: String) async throws {
        let place = try Workplace()
        try place.write(playbooks: killing)
        let child = try ChildProcess(["sleep", "1000"])
        try await place.start(configuration: configuration)
        #expect(place.errors.contains("intake.http believes root"))
        let url = "http://127.0.0.1:\(place.httpPort)/"
        let answer = try run(["setpriv", "--reuid", "65534", "--clear-groups", "curl", "-s", "-w", "%{http_code}", "-d", alert("Kill it", pid: child.pid), url])
        #expect(answer.output.hasSuffix("202"), "\(answer.output)")
        try await until { try place.outcomes().count == 1 }
        guard configuration.isEmpty else {
            #expect(try place.outcomes() == ["process.kill done"])
            return
        }
        #expect(try place.outcomes() == ["process.kill planned"])
        #expect(try place.records().contains { $0["detail"]?["mode_because"]?.string?.repaired.contains("uid 65534") == true })
        #expect(child.isRunning)
        #expect(try place.json("status").first?["intakes"]?.array?.first { $0["name"] == "http" }?["untrusted"] == 1)
        // Another fact than the one that was told: root tells of another process.
        let other = try ChildProcess(["sleep", "1000"])
        #expect(try await place.post(alert("Kill it", pid: other.pid)).status == 202)
        #expect(try await other.waitForExit(within: .seconds(60)) == 128 + SIGKILL)
        #expect(try place.riposte("doctor").output.contains("believes root"))
    }
}

@Suite("what was done is taken back", .enabled(if: Machine.isRoot, "needs root"))
struct UndoTests {
    let place: Workplace

    init() throws {
        place = try Workplace()
        try place.write(playbooks: killing)
    }

    @Test("when it is due, by an agent that started only after the deed")
    func afterARestart() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        try await place.start()
        _ = try await place.post(alert("Suspend it", pid: child.pid))
        try await until { child.status("State:")?.hasPrefix("T") == true }
        try await until { try place.outcomes() == ["process.suspend done"] }
        place.kill()
        try await Task.sleep(for: .milliseconds(200))
        #expect(child.status("State:")?.hasPrefix("T") == true)
        try await place.start()
        try await until { child.status("State:")?.hasPrefix("T") == false }
        try await until { try place.records().contains { $0["outcome"] == "undone" } }
    }

    @Test("by a person, with the agent or without it", arguments: [true, false])
    func byHand(withAgent: Bool) async throws {
        let child = try ChildProcess(["sleep", "1000"])
        try await place.start()
        _ = try await place.post(alert("Hold it", pid: child.pid))
        try await until { try place.outcomes() == ["process.suspend done"] }
        if !withAgent { #expect(try await place.stop() == 0) }
        let id = try #require(try place.records().last { $0["kind"] == "outcome" }?["id"]?.string?.shown)
        let dry = try place.riposte("undo", id, "--dry-run")
        #expect(dry.status == 0 && child.status("State:")?.hasPrefix("T") == true, "\(dry.output)")
        let done = try place.riposte("undo", id, "--reason", "false alarm")
        #expect(done.status == 0, "\(done.output)")
        try await until { child.status("State:")?.hasPrefix("T") == false }
        #expect(try place.riposte("undo", id).status == 0, "twice is `already`")
        #expect(try place.riposte("undo", "01KAS2V3TB4Y5MWR7H3ZQ0E8CN").status == 4)
    }
}

@Suite("the agent dies at any moment", .enabled(if: Machine.isRoot, "needs root"))
struct SuddenDeathTests {
    @Test("the journal verifies, no deed lacks its record, no accepted alert is lost, and the next agent carries on", arguments: [UInt64(1), 2, 3, 4, 5, 6])
    func killed(seed: UInt64) async throws {
        let place = try Workplace()
        try place.write(playbooks: killing)
        var children = try (0..<20).map { _ in try ChildProcess(["sleep", "1000"]) }
        try await place.start(configuration: "budgets: []")
        var accepted: [String] = []
        // The agent dies somewhere in the stream, a different place for each seed.
        let moment = Duration.microseconds(Int64(seed * 6700))
        let agent = try #require(place.agent)
        let killer = Task.detached {
            try await Task.sleep(for: moment)
            agent.signal(SIGKILL)
        }
        for child in children {
            guard let response = try? await place.post(alert("Kill it", pid: child.pid)), response.status == 202 else { break }
            accepted.append(try #require(try JSON(parsing: response.body)["id"]?.string?.shown))
        }
        try await killer.value
        place.kill()
        let dead = children.filter { !$0.isRunning }.map(\.pid)
        let intents = Set(try place.records().filter { $0["kind"] == "intent" }.compactMap { $0["target"]?["pid"]?.integer }.map(Int32.init))
        #expect(Set(dead).isSubset(of: intents), "a deed without an intent")
        let (status, output) = try place.riposte("audit", "verify")
        #expect(status == 0, "\(output)")

        try await place.start(configuration: "budgets: []")
        // What was accepted is answered now, if it was not before; what was under way is told.
        for id in accepted {
            try await until { try place.records().contains { $0["kind"] == "run" && $0["alert"]?.string?.shown == id } }
        }
        let records = try place.records()
        for intent in records where intent["kind"] == "intent" {
            #expect(records.contains { $0["kind"] == "outcome" && $0["id"] == intent["id"] }, "an intent without an outcome: \(intent)")
        }
        #expect(try place.riposte("audit", "verify").status == 0)
        let survivors = children.prefix(accepted.count).filter(\.isRunning)
        #expect(survivors.isEmpty, "every accepted alert is answered")
        children = []
    }

    @Test("a record that was torn by the death is set aside and told")
    func torn() async throws {
        let place = try Workplace()
        try place.write(playbooks: killing)
        let child = try ChildProcess(["sleep", "1000"])
        try await place.start()
        _ = try await place.post(alert("Kill it", pid: child.pid))
        try await until { try place.outcomes() == ["process.kill done"] }
        place.kill()
        let journal = place.stateDirectory + "/journal"
        let segment = try #require(try FileManager.default.contentsOfDirectory(atPath: journal).filter { $0.hasSuffix(".jsonl") }.max())
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(journal)/\(segment)"))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(#"{"seq":99,"kind":"out"#.utf8))
        try handle.close()
        try await place.start()
        #expect(place.errors.contains("unfinished record was set aside"))
        #expect(try place.riposte("audit", "verify").status == 0)
    }

    @Test("an end in order takes less than five seconds, and says nothing the next time", arguments: [SIGTERM, SIGINT])
    func inOrder(signal: Int32) async throws {
        let place = try Workplace()
        try place.write(playbooks: killing)
        try await place.start()
        #expect(try await place.stop(signal) == 0)
        try await place.start()
        #expect(!place.errors.contains("not closed in order"))
        #expect(!FileManager.default.fileExists(atPath: place.runDirectory + "/nothing"))
    }

    @Test("two agents do not share a state folder")
    func second() async throws {
        let place = try Workplace()
        try place.write(playbooks: killing)
        try await place.start()
        let (status, output) = try place.riposte("run", "--http", "127.0.0.1:0", "--playbooks", place.folder.path + "/playbooks")
        #expect(status == 1)
        #expect(output.contains("another agent"), "\(output)")
        #expect(try place.riposte("status").status == 0, "the first one goes on")
    }
}

@Suite("playbooks change while the agent runs")
struct ReloadTests {
    @Test("a new file is in force, a bad one is refused whole and told, on change and on SIGHUP", arguments: [false, true])
    func reload(bySignal: Bool) async throws {
        let place = try Workplace()
        try place.write(playbooks: killing)
        let agent = try await place.start(mode: "observe")
        func names() throws -> JSON { try place.json("status").first?["playbooks"] ?? .null }
        try place.write(playbooks: "  - name: other\n    match: { rules: [X] }\n    steps: [{ action: process.kill }]\n")
        if bySignal { agent.signal(SIGHUP) }
        try await until { try names()["count"] == 1 }
        try place.write(playbooks: "  - name: other\n    match: { rulez: [X] }\n    steps: []\n")
        if bySignal { agent.signal(SIGHUP) }
        try await until { try place.riposte("status").output.contains("rejected") }
        #expect(try names()["count"] == 1, "what was in force stays")
        #expect(try place.riposte("status").output.contains("rulez"))
    }
}
