import Foundation
import Glibc
import RiposteCore
import RiposteTestSupport
import Testing

private let asking = """
      - name: kill
        match: { rules: ["Kill it"] }
        steps:
          - { name: kill, action: process.kill, approval: { expires: 10m } }
    """

/// `docs/approvals.md`, so that what it shows is what happens.
private enum Page {
    static func example() throws -> String {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/approvals.md").standardizedFileURL.path
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let block = try #require(text.firstMatch(of: /(?s)```yaml\n(apiVersion.*?)```/))
        return String(block.1)
    }
}

@Suite("approvals by command", .enabled(if: Machine.isRoot, "needs root"), .serialized)
struct ApprovalCommandTests {
    let place: Workplace

    init() throws { place = try Workplace() }

    private func configuration(_ more: String = "") throws -> String { "playbooks: \(place.folder.path)/playbooks\n\(more)" }

    @Test("what waits is listed, shown and answered, with an agent and without one", arguments: Way.allCases)
    func answers(way: Way) async throws {
        try place.write(playbooks: asking)
        let file = try place.folder.file("c.yaml", try configuration())
        if way == .withAgent { try await place.start(configuration: try configuration()) }
        let child = try ChildProcess(["sleep", "1000"])
        let alerts = try place.folder.file("alerts.jsonl", alert("Kill it", pid: child.pid, fields: #","proc.cmdline":"sleep \u001b[2J1000""#) + "\n")
        func respond() throws -> String {
            let (status, output) = try place.riposte("respond", alerts, "--config", file, "--mode", "enforce")
            #expect(status == 5 && output.contains("riposte approvals show"), "\(output)")
            return try #require(try place.json("approvals", "list", "--config", file).first?["id"]?.string?.shown)
        }
        let id = try respond()
        #expect(try place.riposte("approvals", "list", "--config", file).output.contains("kill/kill"))
        let shown = try place.riposte("approvals", "show", id, "--config", file)
        #expect(shown.status == 0 && shown.output.contains("Kill it") && shown.output.contains("approvals approve \(id)") && !shown.output.contains("\u{1B}"), "\(shown.output)")
        let denied = try place.riposte("approvals", "deny", id, "--reason", "mine", "--config", file)
        #expect(denied.status == 0 && denied.output.contains("denied by"), "\(denied.output)")
        #expect(child.isRunning)
        #expect(try place.riposte("approvals", "show", id, "--config", file).status == 4)
        #expect(try place.riposte("approvals", "approve", id, "--config", file).status == 4)
        let next = try respond()
        let approved = try #require(try place.json("approvals", "approve", next, "--config", file).first)
        #expect(approved["outcome"] == "done" && approved["id"] == .text(next))
        #expect(child.waitForSignal() == SIGKILL)
        #expect(try place.json("approvals", "list", "--config", file).isEmpty)
        #expect(try place.riposte("audit", "verify").status == 0)
    }

    @Test("who wants something done by hand does not approve it, and can take the wish back")
    func byHand() async throws {
        try place.write(playbooks: asking)
        try await place.start(configuration: "approvals: { by_hand: ask }")
        let child = try ChildProcess(["sleep", "1000"])
        let asked = try place.riposte("process", "kill", "\(child.pid)")
        #expect(asked.status == 5 && asked.output.contains("approvals show"), "\(asked.output)")
        let id = try #require(try place.json("approvals", "list").first?["id"]?.string?.shown)
        #expect(try place.riposte("approvals", "approve", id).status == 3)
        #expect(try place.riposte("undo", id).status == 0)
        #expect(try place.json("approvals", "list").isEmpty && child.isRunning)
        let own = try place.folder.file(
            "mine.yaml", "apiVersion: riposte/v1\nplaybooks:\n  - name: mine\n    match: { rules: [\"Kill it\"] }\n    steps: [{ action: process.kill }]\n")
        let alerts = try place.folder.file("alerts.jsonl", alert("Kill it", pid: child.pid) + "\n")
        let fedIn = try place.riposte("respond", alerts, "--mode", "enforce", "--playbooks", own)
        #expect(fedIn.status == 5 && fedIn.output.contains("approvals show"), "\(fedIn.output)")
        let next = try #require(try place.json("approvals", "list").first?["id"]?.string?.shown)
        #expect(try place.riposte("approvals", "approve", next).status == 3, "by an alert fed in to an own playbook neither")
        #expect(try place.riposte("undo", next).status == 0 && child.isRunning)
        #expect(try place.riposte("process", "suspend", "\(child.pid)", "--ask").status == 5)
        #expect(try place.riposte("status").output.contains("1 open"))
        #expect(try place.riposte("undo", id, "--ask").status == 2)
    }

    @Test("a no with a pardon; and an alert of our own where there is no room for a question")
    func denialAndOverflow() async throws {
        try place.write(playbooks: asking)
        try await place.start(configuration: "approvals: { max_open: 1 }")
        let children = try (0..<2).map { _ in try ChildProcess(["sleep", "1000"]) }
        for child in children { _ = try await place.post(alert("Kill it", pid: child.pid, fields: #","k8s.ns.name":"n","k8s.pod.name":"p\#(child.pid)""#)) }
        try await until { try place.records().contains { $0["detail"]?["alert"]?["rule"] == "Riposte has no room for questions" } }
        let told = try #require(try place.records().first { $0["detail"]?["alert"]?["rule"] == "Riposte has no room for questions" }?["detail"]?["alert"])
        #expect(told["source"] == "internal" && told["output_fields"]?["approvals.playbook"] == "kill" && told["output_fields"]?["approvals.open"] == 1)
        let question = try #require(try place.json("approvals", "list").first)
        let id = try #require(question["id"]?.string?.shown)
        #expect(try place.riposte("approvals", "deny", id, "--pardon", "--reason", "mine").status == 0)
        let pardon = try #require(try place.json("pardon", "list").first)
        #expect(pardon["reason"] == "mine" && pardon["target"] == question["plans"]?.array?.first?["target"], "\(pardon.line)\n\(question.line)")
        #expect(children.filter(\.isRunning).count == 2)
    }

    @Test(
        "the example of docs/approvals.md: held at once, two persons, a crash in between",
        .enabled(if: Machine.has("setpriv"), "needs setpriv to be somebody else"))
    func example() async throws {
        // daemon, bin and the group games are on every Debian.
        let example = try Page.example().replacing("group:oncall", with: "group:games")
        _ = try place.folder.file("playbooks/p.yaml", example)
        let settings = "control: { group: games }"
        try await place.start(configuration: settings)
        chmod(place.folder.path, 0o755)
        chmod(place.runDirectory, 0o755)
        func riposte(as uid: Int, group: Int = 60, _ arguments: String...) throws -> (status: Int32, output: String) {
            try run(
                ["setpriv", "--reuid=\(uid)", "--regid=\(group)", "--clear-groups", Riposte.path] + arguments
                    + ["--state-dir", place.stateDirectory, "--run-dir", place.runDirectory])
        }
        let child = try ChildProcess(["sleep", "1000"])
        try place.sendToSocket(alert("Terminal shell in container", pid: child.pid, name: "sleep") + "\n")
        try await until { child.status("State:")?.hasPrefix("T") == true }
        let id = try #require(try place.json("approvals", "list").first?["id"]?.string?.shown)
        #expect(try place.riposte("approvals", "approve", id).status == 3, "root is not in the group")
        #expect(try riposte(as: 65534, group: 65534, "approvals", "approve", id).status == 3, "nor does the agent take orders from everybody")
        let first = try riposte(as: 1, "approvals", "approve", id, "--reason", "seen it")
        #expect(first.status == 5 && first.output.contains("1 of 2"), "\(first.output)")
        place.kill()
        try await place.start(configuration: settings)
        chmod(place.runDirectory, 0o755)
        #expect(try riposte(as: 1, "approvals", "approve", id).status == 3, "one person is one voice")
        #expect(child.isRunning)
        let second = try riposte(as: 2, "approvals", "approve", id)
        #expect(second.status == 0 && second.output.contains("done"), "\(second.output)")
        #expect(child.waitForSignal() == SIGKILL)
        let records = try place.records()
        #expect(records.count { $0["kind"] == "intent" && $0["action"] == "process.kill" } == 1)
        let by = records.last { $0["kind"] == "intent" && $0["action"] == "process.kill" }?["detail"]?["approval"]?["by"]?.array?.compactMap { $0["name"]?.string?.shown }
        #expect(by == ["daemon", "bin"])
        #expect(try place.riposte("audit", "verify").status == 0)
    }
}
