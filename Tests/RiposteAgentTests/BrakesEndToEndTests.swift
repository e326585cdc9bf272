import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

@Suite("an agent that is held back", .enabled(if: Machine.isRoot, "needs root: signals to children of another process"))
struct BrakesEndToEndTests {
    let place: Workplace

    init() throws {
        place = try Workplace()
        try place.write(
            playbooks: """
                  - name: kill
                    match: { rules: [Bad] }
                    budget: { actions: 1, per: 1h }
                    steps: [{ action: process.kill }]

                """)
    }

    private func accuse(_ child: ChildProcess, outcomes count: Int) async throws -> String {
        _ = try await place.post(alert("Bad", pid: child.pid))
        try await until { try place.outcomes().count >= count }
        return try #require(place.outcomes().last)
    }

    @Test("over budget a breaker opens, an alert of our own says so, a kill -9 does not close it, and a person does, with a reason")
    func breaker() async throws {
        try await place.start()
        let children = try (0..<5).map { _ in try ChildProcess(["sleep", "1000"]) }
        #expect(try await accuse(children[0], outcomes: 1) == "process.kill done")
        #expect(try await accuse(children[1], outcomes: 2) == "process.kill refused")
        try await until { try place.records().contains { $0["detail"]?["alert"]?["rule"] == "Riposte breaker opened" } }
        let brake = try #require(try place.records().first { $0["kind"] == "brake" })
        #expect(brake["playbook"] == "kill" && brake["detail"]?["budget"] == "the budget of playbook kill" && brake["detail"]?["used"] == 1)
        place.kill()
        try await place.start()
        #expect(try await accuse(children[2], outcomes: 3) == "process.kill planned")
        #expect(try place.riposte("status").output.contains("BREAKER    playbook/kill open since"))
        let breaker = try #require(try place.json("breaker", "list").first)
        #expect(breaker["breaker"] == "playbook/kill" && breaker["reopen"] == "by hand" && breaker["held_back"] == 1)
        let (status, output) = try place.riposte("breaker", "close", "playbook/kil")
        #expect(status == 4 && output.contains("did you mean \"playbook/kill\"?"), "\(output)")
        #expect(try place.riposte("breaker", "close", "playbook/kill", "--reason", "a drill").status == 0)
        #expect(try place.riposte("breaker", "list").output == "all breakers are closed\n")
        let closing = try #require(try place.records().last { $0["kind"] == "brake" })
        #expect(closing["reason"] == "a drill" && closing["actor"]?["name"]?.string?.shown == NSUserName())
        #expect(try await accuse(children[3], outcomes: 4) == "process.kill refused", "the window is as it was")
        #expect(children[1...].count { $0.isRunning } == 4)
        #expect(try place.riposte("audit", "verify").status == 0)
    }

    @Test("a guard says its name and place, by hand too; force lifts it, on record, and never what is built in")
    func guards() async throws {
        try await place.start(configuration: "guards:\n  - name: sleepers\n    process: { names: [sleep] }\n")
        let child = try ChildProcess(["sleep", "1000"])
        #expect(try await accuse(child, outcomes: 1) == "process.kill refused")
        let (status, output) = try place.riposte("process", "kill", "\(child.pid)")
        #expect(status == 3 && output.contains("guard sleepers (\(place.folder.path)/riposte.yaml:2): process \(child.pid) is sleep"), "\(output)")
        #expect(child.isRunning)
        #expect(try place.riposte("process", "suspend", "\(child.pid)", "--force", "--dry-run").status == 0)
        #expect(try place.riposte("process", "kill", "\(child.pid)", "--force", "--reason", "it is mine").status == 0)
        #expect(child.waitForSignal() == SIGKILL)
        let intent = try #require(try place.records().last { $0["kind"] == "intent" })
        #expect(intent["detail"]?["guards"]?["lifted"]?.array?.first?["guard"] == "sleepers")
        #expect(try place.riposte("process", "kill", "1", "--force", "--dry-run").status == 3)
    }
}
