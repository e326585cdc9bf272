import Foundation
@testable import RiposteActions
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import RiposteTransport
import Testing

private let client = HTTPClient()
private let noCluster: KubernetesAccess = { () throws(ActionError) in throw ActionError(.unavailable, "find the cluster", "there is none") }
private let everything: GuardNeeds = [.processes, .containers, .namespaces, .pods]

private func plan(about pid: Int32, _ action: ActionName = "process.kill", members: [Int32] = []) throws -> Plan {
    let stat = try #require(ProcFS.stat(pid))
    let identity = ProcessIdentity(pid: pid, startTicks: stat.startTicks, bootID: Host.bootID, startedAt: .now(), name: stat.name)
    let facts: JSONObject = ["members": .array(try members.map { ProcessTree.Member(try #require(ProcFS.stat($0))).json })]
    return Plan(action: action, target: .process(identity), parameters: Parameters(), facts: facts, summary: "")
}

private func answer(_ facts: WorldFacts, _ plan: Plan, _ condition: (inout GuardRule) -> Void) async -> String? {
    var rule = GuardRule(name: "g", place: "f:1")
    condition(&rule)
    return await ConfiguredGuard(rule, world: facts).answer(to: GuardQuestion(plan: plan, time: .now()))?.reason
}

@Suite("What guards learn of processes, on children of the test")
struct ProcessWorldFactsTests {
    /// Where no engine can be.
    private let world = WorldFacts(containers: ContainerLookup(docker: DockerClient(socket: "/nonexistent/docker.sock", client: client)), access: noCluster)

    @Test("name, executable and user are the kernel's word")
    func process() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        let subject = try #require(try await world.facts(of: plan(about: child.pid), everything).subjects.first)
        guard case .known(let process) = subject.process else {
            Issue.record("the process is not known")
            return
        }
        #expect(process.name == "sleep" && process.userID == getuid())
        #expect(process.executable == ProcFS.executable(child.pid) && process.user != nil)
        #expect(subject.container == .none && subject.pod == .none && subject.namespace == .none)
        #expect(try await answer(world, plan(about: child.pid)) { $0.processNames = ["sl*"] } == "process \(child.pid) is sleep")
        #expect(try await answer(world, plan(about: child.pid)) { $0.images = ["*"] } == nil)
    }

    @Test("every member of a tree is looked at")
    func tree() async throws {
        let (first, second) = (try ChildProcess(["sleep", "1000"]), try ChildProcess(["tail", "-f", "/dev/null"]))
        let plan = try plan(about: first.pid, members: [first.pid, second.pid])
        #expect(await answer(world, plan) { $0.processNames = ["tail"] } == "process \(second.pid) is tail")
    }

    @Test("a process without a container needs no engine, and one that the engine cannot be asked about is not protected where there is no engine")
    func noEngine() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        #expect(try await ContainerGuard(docker: DockerClient(socket: "/nonexistent/docker.sock", client: client)).refusal(of: plan(about: child.pid)) == nil)
    }
}

@Suite("What guards learn of containers, on a real Docker engine", .serialized, .enabled(if: DockerEngine.isAvailable, "needs root, dockerd and busybox"))
struct ContainerWorldFactsTests {
    let engine: DockerEngine
    let docker: DockerClient
    let lookup: ContainerLookup
    let world: WorldFacts

    init() throws {
        engine = try DockerEngine.shared.get()
        docker = DockerClient(socket: engine.socket, client: client)
        lookup = ContainerLookup(docker: docker)
        world = WorldFacts(containers: lookup, access: noCluster)
    }

    private func firstProcess(of container: TestContainer) async throws -> Int32 { try await docker.inspect(container.id).pid }

    private func plan(about container: TestContainer) -> Plan {
        Plan(action: "container.kill", target: .container(ContainerIdentity(id: container.id, name: "n", image: "i")), parameters: Parameters(), summary: "")
    }

    @Test("a process in a container is protected by what protects the container, and a container by what protects a process in it")
    func bothWays() async throws {
        let container = try TestContainer(engine, options: #""Labels":{"tier":"db"}"#)
        let pid = try await firstProcess(of: container)
        let process = try RiposteActionsTests.plan(about: pid)
        #expect(await answer(world, process) { $0.labels = ["tier=db"] }?.hasPrefix("container ") == true)
        #expect(await answer(world, process) { $0.labels = ["tier=web"] } == nil)
        #expect(await answer(world, process) { $0.containerNames = ["*"] } != nil)
        #expect(await answer(world, plan(about: container)) { $0.processNames = ["sleep"] }?.hasPrefix("process ") == true)
        #expect(await answer(world, plan(about: container)) { $0.processNames = ["postgres"] } == nil)
        #expect(await answer(world, process) { $0.namespaces = ["payments"] } == nil, "no kubelet made it")
    }

    @Test("a process in a labelled container is not signalled, and may be resumed")
    func labelled() async throws {
        let container = try TestContainer(engine, options: #""Labels":{"riposte.dev/protected":""}"#)
        let pid = try await firstProcess(of: container)
        let guarded = ContainerGuard(lookup)
        #expect(try await guarded.refusal(of: RiposteActionsTests.plan(about: pid)) == "the container of process \(pid) is labelled riposte.dev/protected")
        #expect(try await guarded.refusal(of: RiposteActionsTests.plan(about: pid, "process.resume")) == nil)
        #expect(await guarded.refusal(of: plan(about: container)) == "the container is labelled riposte.dev/protected")
    }

    @Test("a process in a control group that is only called like a container's is in none", .enabled(if: ControlGroup.isPossible, "needs the unified hierarchy"))
    func impostor() async throws {
        let container = try TestContainer(engine, options: #""Labels":{"riposte.dev/protected":"","tier":"db"}"#)
        let child = try ChildProcess(["tail", "-f", "/dev/null"])
        let group = try ControlGroup("riposte-test-\(UUID().uuidString)/docker-\(container.id).scope")
        try group.take(child.pid)
        #expect(ProcFS.cgroups(child.pid).contains { $0.mark?.id == container.id }, "it claims to be")
        let process = try RiposteActionsTests.plan(about: child.pid)
        #expect(await ContainerGuard(lookup).refusal(of: process) == nil)
        #expect(await ContainerGuard(lookup, ownID: container.id).refusal(of: process) == nil)
        #expect(await answer(world, process) { $0.labels = ["tier=db"] } == nil)
        #expect(try await world.workload(of: process) == nil)
        #expect(await answer(world, plan(about: container)) { $0.processNames = ["tail"] } == nil, "nor does the container hold it")
        #expect(await answer(world, plan(about: container)) { $0.processNames = ["sleep"] } != nil)
    }

    @Test("a process of a pod that another engine runs is not unprotected because this one does not know it", .enabled(if: ControlGroup.isPossible, "needs the unified hierarchy"))
    func otherEngine() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        let group = try ControlGroup("riposte-test-\(UUID().uuidString)-kubepods/pod\(UUID().uuidString.lowercased())/cri-containerd-\(String(repeating: "e", count: 64))")
        try group.take(child.pid)
        let guarded = ContainerGuard(lookup, access: noCluster)
        #expect(try await guarded.refusal(of: RiposteActionsTests.plan(about: child.pid))?.contains("could not be found out") == true)
    }

    @Test("neither the container that Riposte runs in nor a process in it")
    func own() async throws {
        let container = try TestContainer(engine)
        let pid = try await firstProcess(of: container)
        let guarded = ContainerGuard(lookup, ownID: container.id)
        #expect(try await guarded.refusal(of: RiposteActionsTests.plan(about: pid)) == "the container of process \(pid) is the one that Riposte itself runs in")
        #expect(await guarded.refusal(of: plan(about: container)) == "the container is the one that Riposte itself runs in")
    }

    @Test("a container of a protected namespace, and one of a pod that cannot be asked about")
    func pods() async throws {
        let container = try TestContainer(engine, options: #""Labels":{"io.kubernetes.pod.namespace":"kube-system","io.kubernetes.pod.name":"dns"}"#)
        let guarded = ContainerGuard(lookup, protectedNamespaces: ["kube-system"], access: noCluster)
        #expect(await guarded.refusal(of: plan(about: container)) == "the container belongs to namespace kube-system, which is protected")
        #expect(await ContainerGuard(lookup, access: noCluster).refusal(of: plan(about: container))?.contains("could not be found out") == true)
        #expect(await answer(world, plan(about: container)) { $0.namespaces = ["kube-*"] } == "it is in namespace kube-system")
        #expect(await answer(world, plan(about: container)) { $0.podOwners = ["*/*"] }?.contains("could not be found out") == true)
    }

    @Test("an engine that is there and does not answer protects all of its containers")
    func silentEngine() async throws {
        let container = try TestContainer(engine)
        let pid = try await firstProcess(of: container)
        let folder = try TemporaryFolder()
        let silent = ContainerLookup(docker: DockerClient(socket: try folder.file("docker.sock", ""), client: client))
        #expect(try await ContainerGuard(silent).refusal(of: RiposteActionsTests.plan(about: pid))?.contains("could not be found out") == true)
    }
}
