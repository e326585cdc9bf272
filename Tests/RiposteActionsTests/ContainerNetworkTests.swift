import Foundation
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import RiposteTransport
import Testing

@testable import RiposteActions

private let id = String(repeating: "c", count: 64)
private let isPossible = ControlGroup.isPossible && Machine.has("ip") && Machine.has("nft") && Machine.has("ping")

/// A host in a namespace, on it veths that come and go, and an engine that tells of a container at one of them.
private struct Stage {
    let host: NetworkNamespace
    let context: NetworkContext
    let double: EngineDouble
    let docker: DockerClient

    init() throws {
        host = try NetworkNamespace()
        context = NetworkContext(namespace: host.descriptor)
        double = try EngineDouble([.init(id: id, name: "web", isRunning: false)])
        docker = DockerClient(socket: double.socket, client: HTTPClient())
    }

    var isolate: ContainerIsolate { ContainerIsolate(docker: docker, context: context) }
    var target: Target { .container(ContainerIdentity(id: id, name: "web", image: "busybox")) }
    func standing(_ token: JSONObject?) async throws -> Standing { try await isolate.standing(of: StandingDeed(target: target, token: token, since: .now())) }
    func reaches() throws -> Bool { try host.canPing("10.78.0.2", tries: 1) }
}

/// A process with a network of its own at the other end of the host's veth0, in a control group.
private final class Tenant {
    let namespace: NetworkNamespace
    let process: ChildProcess
    private let group: ControlGroup?
    private let host: NetworkNamespace

    init(on stage: Stage, in path: String?) throws {
        namespace = try NetworkNamespace()
        host = stage.host
        try host.join(namespace, addresses: ["10.78.0.1/24"], others: ["10.78.0.2/24"])
        process = try ChildProcess(["ip", "netns", "exec", namespace.name, "sleep", "1000"])
        group = try path.map { try ControlGroup($0) }
        try group?.take(process.pid)
        while ProcFS.stat(process.pid)?.name != "sleep" { usleep(1000) }
    }

    /// Ends it, and the veth with it.
    func end() throws {
        process.signal(SIGKILL)
        _ = process.waitForSignal()
        try run(["ip", "-n", host.name, "link", "del", "veth0"])
    }
}

@Suite("where a container's packets go, in namespaces, with an engine that is a double", .enabled(if: isPossible, "needs root, control groups, ip, nft and ping"))
struct ContainerNetworkTests {
    private func start(_ stage: Stage, at time: String) throws -> Tenant {
        let tenant = try Tenant(on: stage, in: "riposte-tests/\(UUID().uuidString)/docker-\(id).scope")
        stage.double.world.withLock { ($0.containers[0].isRunning, $0.containers[0].pid, $0.containers[0].startedAt) = (true, tenant.process.pid, time) }
        return tenant
    }

    private func stop(_ stage: Stage, _ tenant: Tenant) throws {
        try tenant.end()
        stage.double.world.withLock { ($0.containers[0].isRunning, $0.containers[0].pid) = (false, 0) }
    }

    @Test("what was cut of one container does not cut the next one that gets a device of the same name")
    func stranger() async throws {
        let stage = try Stage()
        let tenant = try start(stage, at: "2026-01-01T00:00:00Z")
        #expect(try stage.reaches())
        let token = try await stage.isolate.carryOut(.proved(stage.target)).undoToken
        #expect(try !stage.reaches())
        try stop(stage, tenant)
        let other = try Tenant(on: stage, in: nil)
        #expect(try stage.host.canPing("10.78.0.2"), "a stranger is cut")
        #expect(try await stage.standing(token) == .stands)
        #expect(try await ContainerRelease(docker: stage.docker, context: stage.context).carryOut(.proved(stage.target), token: token).outcome != .failed)
        #expect(stage.host.ruleset.isEmpty)
        withExtendedLifetime(other) {}
    }

    @Test("a container that is started anew on a device of the same name is isolated anew, once, and nothing of its old run is left")
    func sameName() async throws {
        let stage = try Stage()
        let before = try start(stage, at: "2026-01-01T00:00:00Z")
        let token = try await stage.isolate.carryOut(.proved(stage.target)).undoToken
        try stop(stage, before)
        let after = try start(stage, at: "2026-01-01T00:01:00Z")
        #expect(try stage.host.canPing("10.78.0.2"))
        guard case .restarted = try await stage.standing(token) else { return #expect(Bool(false), "its restart is not seen") }
        let again = try await stage.isolate.carryOut(.proved(stage.target), token: token)
        #expect(again.outcome == .done && again.isConfirmed)
        #expect(try !stage.reaches())
        #expect(try DeviceTable(context: stage.context).chains(of: id).count == 2)
        #expect(try await stage.standing(again.undoToken) == .stands)
        #expect(try await stage.isolate.carryOut(.proved(stage.target), token: again.undoToken).outcome == .already)
        withExtendedLifetime(after) {}
    }

    @Test("chains of an old run that stand beside those in force are no reason to say that traffic passes")
    func besideOldOnes() async throws {
        let stage = try Stage()
        let tenant = try start(stage, at: "2026-01-01T00:00:00Z")
        let table = DeviceTable(context: stage.context)
        var old = try #require(try RouteReader(in: stage.context).links().first { $0.name == "veth0" })
        old.index += 1000
        try table.isolating(id, .init(ends: [old], allow: []), standing: []).commit(in: stage.context)
        #expect(try stage.reaches(), "a device of another index is not cut")
        let end = try #require(try RouteReader(in: stage.context).links().first { $0.name == "veth0" })
        try table.isolating(id, .init(ends: [end], allow: []), standing: []).commit(in: stage.context)
        #expect(try table.chains(of: id).count == 4 && !stage.reaches())
        #expect(try await stage.standing(["started_at": "2026-01-01T00:00:00Z"]) == .stands)
        withExtendedLifetime(tenant) {}
    }

    @Test("a process that the engine names and that is in none of the container's control groups is not believed to be its own")
    func wrongProcess() async throws {
        let stage = try Stage()
        let tenant = try Tenant(on: stage, in: nil)
        stage.double.world.withLock { ($0.containers[0].isRunning, $0.containers[0].pid) = (true, tenant.process.pid) }
        #expect(try await stage.isolate.verdict(.proved(stage.target)) == "identity")
        #expect(try stage.reaches())
        // The engine's own word for where it lives holds; what its processes made for themselves is not known then, and said to be open.
        stage.double.world.withLock { $0.containers[0].sandbox = "/run/netns/\(tenant.namespace.name)" }
        let plan = try await stage.isolate.plan(stage.isolate.ask(.proved(stage.target)))
        let error = try await #require(throws: ActionError.self) { try await stage.isolate.perform(plan) }
        #expect(error.failure == .partial && error.message.contains("in none of its control groups"))
        #expect(try !stage.reaches())
    }

    @Test("an isolation in a table that somebody switched off is none, is said to be none, and made anew")
    func dormant() async throws {
        let stage = try Stage()
        let tenant = try start(stage, at: "2026-01-01T00:00:00Z")
        let token = try await stage.isolate.carryOut(.proved(stage.target)).undoToken
        #expect(try stage.host.execute(["nft", "add table netdev riposte { flags dormant; }"]).status == 0)
        #expect(try stage.host.canPing("10.78.0.2"))
        guard case .changed(let words) = try await stage.standing(token) else { return #expect(Bool(false), "it stands") }
        #expect(words.contains("switched off"))
        #expect(try NetworkState.read(in: stage.context).isSwitchedOff)
        let again = try await stage.isolate.carryOut(.proved(stage.target), token: token)
        #expect(again.outcome == .done && again.isConfirmed)
        #expect(try !stage.reaches())
        #expect(try await stage.standing(again.undoToken) == .stands)
        withExtendedLifetime(tenant) {}
    }
}
