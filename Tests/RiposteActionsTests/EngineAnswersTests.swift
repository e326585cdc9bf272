import Logging
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import RiposteTransport
import Testing

@testable import RiposteActions

private let (first, second) = (String(repeating: "a", count: 64), String(repeating: "b", count: 64))

@Suite("answers of a container engine that are lost, or about somebody else")
struct EngineAnswersTests {
    private func proved(_ id: String) -> TargetClaim { .proved(.container(ContainerIdentity(id: id, name: "web", image: "busybox"))) }

    @Test("a pause whose answer was lost, once or twice, on a connection that was in use before, is done and can be taken back", arguments: [1, 2])
    func lostAnswer(answers: Int) async throws {
        let double = try EngineDouble([.init(id: first, name: "web")])
        let docker = DockerClient(socket: double.socket, client: HTTPClient())
        _ = try await docker.engineVersion()
        double.world.withLock { $0.lostAnswers = answers }
        let log = RecordingLog()
        let riposte = Engine(
            configuration: .init(mode: .enforce), catalogue: ActionCatalogue([ContainerPause(docker: docker), ContainerUnpause(docker: docker)]), guards: [], log: log,
            playbooks: .empty, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let result = await riposte.carryOut(Order(actor: .init(.person, name: "ann"), action: "container.pause", claim: proved(first), mode: .enforce))
        #expect(result.outcome == .done, "\(result.reason ?? "")")
        #expect(double.world.withLock { $0.containers[0].isPaused })
        #expect(riposte.snapshot.openUndos.keys.sorted() == [result.id])
        #expect(await riposte.undo(result.id, actor: .init(.person, name: "ann")).outcome == .undone)
        #expect(double.world.withLock { !$0.containers[0].isPaused })
    }

    @Test("who was paused by somebody else between plan and deed was so already")
    func pausedByOthers() async throws {
        let double = try EngineDouble([.init(id: first, name: "web")])
        let docker = DockerClient(socket: double.socket, client: HTTPClient())
        let pause = ContainerPause(docker: docker)
        let plan = try await pause.plan(pause.ask(proved(first)))
        try await docker.pause(first)
        #expect(try await pause.perform(plan).outcome == .already)
    }

    @Test("a container that is called by the id of one that is gone is not that one: nothing is planned, seen or done about it")
    func namesake() async throws {
        let double = try EngineDouble([.init(id: first, name: "web")])
        let docker = DockerClient(socket: double.socket, client: HTTPClient())
        let actions: [any Action] = [
            ContainerPause(docker: docker), ContainerUnpause(docker: docker), ContainerStop(docker: docker), ContainerKill(docker: docker), ContainerRestart(docker: docker),
            ContainerStart(docker: docker), ContainerIsolate(docker: docker),
        ]
        var plans: [(any Action, Plan)] = []
        for action in actions where action.description.name != "container.isolate" { plans.append((action, try await action.plan(action.ask(proved(first))))) }
        double.world.withLock { $0.containers = [.init(id: second, name: first)] }
        for (action, plan) in plans {
            await #expect { try await action.perform(plan) } throws: { ($0 as? ActionError)?.failure == nil && $0 is ActionError }
        }
        for action in actions { #expect(try await action.verdict(proved(first)) == "gone", "\(action.description.name)") }
        for action in [ContainerPause(docker: docker), ContainerStop(docker: docker), ContainerIsolate(docker: docker)] as [any Action] {
            let target = Target.container(ContainerIdentity(id: first, name: "web", image: "busybox"))
            guard case .gone = try await action.standing(of: StandingDeed(target: target, since: .now())) else {
                Issue.record("\(action.description.name) stands")
                continue
            }
        }
        #expect(double.world.withLock(\.deeds).isEmpty)
        #expect(try await docker.inspect(first).id == second, "a person may say the name")
    }
}
