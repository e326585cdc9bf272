import RiposteActions
import RiposteCore
import RipostePlaybooks
import RiposteTransport
import Testing

@Suite("what can be seen of a deed that nobody saw to its end")
struct DeedTraceTests {
    private static let docker = DockerClient(socket: "/nonexistent", client: HTTPClient())

    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let action: any Action
        var parameters = JSONObject()
        var before = JSONObject()
        var now = JSONObject()
        var alreadySo: String?
        var age = Duration.seconds(1)
        let says: Says
    }

    enum Says: Sendable { case inEffect, absent, notYet, untold }

    static let cases = [
        Case(testDescription: "KILL is what it is however often", action: ProcessKill(), says: .absent),
        Case(testDescription: "a process does not show that it got HUP", action: ProcessKill(), parameters: ["signal": "HUP"], says: .untold),
        Case(testDescription: "nor a tree USR1", action: ProcessKill(), parameters: ["signal": "USR1", "tree": true], says: .untold),
        Case(testDescription: "with a grace it is to end in any case", action: ProcessKill(), parameters: ["signal": "TERM", "grace": "5s"], says: .absent),
        Case(testDescription: "a container that runs was not killed", action: ContainerKill(docker: docker), says: .absent),
        Case(testDescription: "and does not show that it got HUP", action: ContainerKill(docker: docker), parameters: ["signal": "HUP"], says: .untold),
        Case(testDescription: "but that it ended", action: ContainerKill(docker: docker), parameters: ["signal": "TERM"], alreadySo: "it does not run", says: .inEffect),
        Case(
            testDescription: "a restart shows in the start", action: ContainerRestart(docker: docker), before: ["started_at": "2026-03-04T11:22:33Z"],
            now: ["started_at": "2026-03-04T11:22:34Z"], says: .inEffect),
        Case(
            testDescription: "but not while the old run is given time", action: ContainerRestart(docker: docker), before: ["started_at": "2026-03-04T11:22:33Z"],
            now: ["started_at": "2026-03-04T11:22:33Z"], age: .seconds(25), says: .notYet),
        Case(
            testDescription: "after that it did not take place", action: ContainerRestart(docker: docker), before: ["started_at": "2026-03-04T11:22:33Z"],
            now: ["started_at": "2026-03-04T11:22:33Z"], age: .seconds(26), says: .absent),
        Case(testDescription: "an engine that does not say since when it runs", action: ContainerRestart(docker: docker), says: .untold),
        Case(testDescription: "a message is on record", action: NotifySend(outputs: { ["chat"] }), parameters: ["to": ["chat"]], says: .inEffect),
        Case(testDescription: "a pause shows", action: ContainerPause(docker: docker), alreadySo: "it is paused", says: .inEffect),
        Case(testDescription: "and so does that there is none", action: ContainerPause(docker: docker), says: .absent),
    ]

    @Test("what a second time would be another deed is never called absent without proof", arguments: cases)
    func trace(_ each: Case) throws {
        let parameters = try Parameters(checking: each.parameters, for: each.action.description)
        func plan(_ facts: JSONObject, _ alreadySo: String? = nil) -> Plan {
            Plan(action: each.action.description.name, target: .host(machineID: "m"), parameters: parameters, facts: facts, alreadySo: alreadySo, summary: "")
        }
        let says: Says =
            switch each.action.trace(of: plan(each.before), seen: plan(each.now, each.alreadySo), age: each.age) {
            case .inEffect: .inEffect
            case .absent: .absent
            case .notYet: .notYet
            case .untold: .untold
            }
        #expect(says == each.says)
    }
}
