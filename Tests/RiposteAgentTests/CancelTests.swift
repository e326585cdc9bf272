import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

@Suite("what takes long is seen and can be called off", .enabled(if: Machine.isRoot, "needs root: signals to children of another process"))
struct CancelTests {
    let place: Workplace

    init() throws {
        place = try Workplace()
        try place.write(
            playbooks: """
                  - name: kill
                    match: { rules: ["Kill it"] }
                    steps:
                      - action: process.kill
                        with: { grace: 60s }
                      - name: later
                        action: process.suspend
                """)
    }

    @Test("status shows a kill within its grace; riposte cancel ends the wait, the process lives, and the journal says who did it and why")
    func cancel() async throws {
        let child = try ChildProcess(["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"])
        try await place.start()
        _ = try await place.post(alert("Kill it", pid: child.pid, name: "sh"))
        try await until { try place.json("status").first?["orders"]?.array?.isEmpty == false }
        let order = try #require(try place.json("status").first?["orders"]?.array?.first)
        #expect(order["action"] == "process.kill" && order["phase"] == "performing" && order["playbook"] == "kill" && order["step"] == "process-kill")
        #expect(order["target"]?["pid"]?.integer == Int64(child.pid))
        let id = try #require(order["id"]?.string?.valid)
        #expect(try place.riposte("status").output.contains("riposte cancel \(id)"))

        let answer = try place.riposte("cancel", id, "--reason", "false\u{1B}[31m alarm")
        #expect(answer.status == 0 && !answer.output.contains("\u{1B}"), "\(answer)")
        #expect(child.isRunning)
        try await until { try place.outcomes() == ["process.kill failed", "process.suspend skipped"] }
        let record = try #require(try place.records().first { $0["kind"] == "outcome" && $0["step"] == "process-kill" })
        #expect(record["class"] == "cancelled" && record["detail"]?["cancelled"]?["actor"]?["type"] == "person")
        #expect(try place.riposte("cancel", id).status == 4, "it has ended")
        #expect(try await place.stop() == 0)
        #expect(try place.riposte("cancel", id).status == 6, "no agent runs")
    }

    @Test(
        "the status says whether it is in effect, or may be, whatever its outcome is called",
        arguments: [
            (Outcome.refused, false, 0), (.failed, false, 0), (.failed, true, 1), (.gone, false, 0), (.gone, true, 1), (.skipped, false, 0), (.already, false, 0),
            (.planned, false, 0), (.done, false, 1), (.undone, false, 1),
        ] as [(Outcome, Bool, Int32)])
    func statuses(outcome: Outcome, mayHaveActed: Bool, status: Int32) throws {
        try FileManager.default.createDirectory(atPath: place.runDirectory, withIntermediateDirectories: true)
        var result = ActionResult(id: .new(), action: "process.kill", outcome: outcome, dryRun: false)
        result.mayHaveActed = mayHaveActed
        let body = (["result": result.json] as JSON).line
        let double = try UnixDouble(place.runDirectory + "/riposte.sock", answer: .text("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"))
        let answer = try place.riposte("cancel", "\(result.id)")
        #expect(answer.status == status && answer.output.contains(outcome.rawValue), "\(answer)")
        #expect(answer.output.contains("may have taken effect") == mayHaveActed)
        withExtendedLifetime(double) {}
    }
}
