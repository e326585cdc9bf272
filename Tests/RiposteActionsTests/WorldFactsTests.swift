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

/// A child in a cgroup of its own, as the kubelet and containerd name one.
private final class PodProcess {
    let child: ChildProcess
    private var folders: [String] = []

    static let root = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup"].first { access($0 + "/cgroup.procs", W_OK) == 0 }

    init(_ path: [String]) throws {
        child = try ChildProcess(["sleep", "1000"])
        var folder = try #require(Self.root)
        for part in path {
            folder += "/" + part
            folders.append(folder)
            mkdir(folder, 0o755)
        }
        try "\(child.pid)".write(toFile: folder + "/cgroup.procs", atomically: false, encoding: .utf8)
    }

    deinit {
        child.signal(SIGKILL)
        _ = child.waitForSignal()
        for folder in folders.reversed() { rmdir(folder) }
    }
}

@Suite("Processes of pods whose runtime is not asked", .enabled(if: Machine.isRoot && PodProcess.root != nil, "needs root and a cgroup file system that can be written"))
struct KubeletPodTests {
    private static let podUID = "12c5e1aa-0000-4000-8000-000000000001"
    private static let container = String(repeating: "c0ffee00", count: 8)

    @Test(
        "the kubelet's cgroups name the pod, and no others do",
        arguments: [
            ("/kubepods/besteffort/pod\(podUID)/\(container)", podUID), ("/kubepods/pod\(podUID)/cri-containerd-\(container)", podUID),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12c5e1aa_0000_4000_8000_000000000001.slice/cri-containerd-\(container).scope", podUID
            ), ("/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod12c5e1aa_0000_4000_8000_000000000001.slice/crio-\(container).scope", podUID),
            ("/../../kubepods/burstable/pod\(podUID)/\(container)", podUID),
            ("/kubepods/burstable/pod5f2a4c0e9d3b7f1122334455667788aa/\(container)", "5f2a4c0e9d3b7f1122334455667788aa"),
            ("/user.slice/user-1000.slice/user@1000.service/kubepods/pod\(podUID)/\(container)", nil), ("/docker/\(container)", nil), ("/kubepods/burstable/podcast/x", nil),
            ("/", nil),
        ] as [(String, String?)])
    func named(path: String, expected: String?) { #expect(KubeletPod.uid(inCgroup: path) == expected) }

    @Test("what is true of the pod holds for its processes; where nobody tells, they are not touched")
    func marks() async throws {
        let process = try PodProcess(["kubepods", "besteffort", "pod\(Self.podUID)", "cri-containerd-\(Self.container)"])
        let folder = try TemporaryFolder()
        let double = try await KubernetesDouble()
        let client = try double.client()
        let plan = try plan(about: process.child.pid)
        func refusal(_ access: @escaping KubernetesAccess, protected: Set<String> = []) async -> String? {
            let lookup = ContainerLookup(docker: DockerClient(socket: "/nonexistent/docker.sock", client: RiposteActionsTests.client))
            return await ContainerGuard(lookup, protectedNamespaces: protected, access: access, podLogs: folder.path).refusal(of: plan)
        }
        #expect(await refusal { client }?.contains("nothing is known") == true)
        let log = try folder.file("prod_web-1_\(Self.podUID)", "")
        #expect(await refusal { client } == nil)
        #expect(await refusal(noCluster)?.contains("could not be found out") == true)
        #expect(await refusal({ client }, protected: ["prod"])?.hasSuffix("belongs to namespace prod, which is protected") == true)
        double.world.withLock { $0.pods["prod/web-1"]?.labels = #"{"riposte.dev/protected":"true"}"# }
        #expect(await refusal { client }?.hasSuffix("belongs to pod prod/web-1, which is marked riposte.dev/protected") == true)
        double.world.withLock { $0.pods["prod/web-1"] = .init(uid: "another") }
        #expect(await refusal { client }?.contains("is another one") == true)
        double.world.withLock { $0.pods["prod/web-1"] = .init(uid: "another", annotations: "{\"kubernetes.io/config.mirror\":\"\(Self.podUID)\"}") }
        #expect(await refusal { client }?.hasSuffix("belongs to a static pod") == true)
        double.world.withLock { $0.pods = [:] }
        #expect(await refusal { client }?.contains("could not be found out") == true)
        withExtendedLifetime(log) {}
    }
}
