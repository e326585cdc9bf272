import Foundation
@testable import RiposteActions
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import RiposteTransport
import Testing

private let id = String(repeating: "0123456789abcdef", count: 4)

@Suite("what a control group's path tells")
struct CgroupTests {
    @Test(
        "a container, up to the part that names it, and whether a user may have named it so",
        arguments: [
            ("/docker/ID", "/docker/ID", false), ("/docker/ID/nested/more", "/docker/ID", false),
            ("/system.slice/docker-ID.scope/init.scope", "/system.slice/docker-ID.scope", false),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/docker-ID.scope", "/user.slice/user-1000.slice/user@1000.service/app.slice/docker-ID.scope", true),
            ("/system.slice/docker-ID.scope/user.slice/x", "/system.slice/docker-ID.scope", false), ("/user.slice", nil, false), ("/", nil, false),
            ("/machine.slice/libpod-ID.scope/container", "/machine.slice/libpod-ID.scope", false), ("/kubepods.slice/crio-ID.scope", "/kubepods.slice/crio-ID.scope", false),
            // Who minds a container is not in it; in a container there may be such, too.
            ("/machine.slice/libpod-conmon-ID.scope", nil, false), ("/kubepods/burstable/crio-conmon-ID", nil, false),
            ("/docker/ID/machine.slice/libpod-conmon-ID.scope", "/docker/ID", false),
        ] as [(String, String?, Bool)])
    func marks(path: String, scope: String?, isUsersOwn: Bool) {
        let mark = Cgroup(hierarchy: "", path: path.replacing("ID", with: id)).mark
        #expect(mark?.scope.path == scope?.replacing("ID", with: id))
        #expect(mark?.id == scope.map { _ in id } && (mark?.isUsersOwn ?? false) == isUsersOwn)
    }

    @Test(
        "a unit of the system, also as seen from a control group namespace below it, and nobody's who calls his own so",
        arguments: [
            ("/system.slice/dbus.service", true), ("/../../system.slice/dbus.service", true), ("/system.slice/dbus.service/below", false), ("/system.slice/nginx.service", false),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/system.slice/dbus.service", false), ("/docker/ID/system.slice/dbus.service", false), ("/", false),
        ])
    func units(path: String, isOfUnit: Bool) { #expect(Cgroup(hierarchy: "", path: path.replacing("ID", with: id)).isOf(unit: "dbus.service") == isOfUnit) }

    @Test(
        "the UID of a pod, as either driver of the kubelet writes it",
        arguments: [
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12c5e1aa_0000_4000_8000_000000000001.slice/cri-containerd-ID.scope",
                "12c5e1aa-0000-4000-8000-000000000001"
            ),
            ("/kubepods/besteffort/pod12c5e1aa-0000-4000-8000-000000000001/ID", "12c5e1aa-0000-4000-8000-000000000001"),
            ("/kubepods/pod0123456789abcdef0123456789abcdef/ID", "0123456789abcdef0123456789abcdef"),
            ("/docker/ID/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod12c5e1aa_0000_4000_8000_000000000001.slice", "12c5e1aa-0000-4000-8000-000000000001"),
            ("/user.slice/user-1.slice/kubepods/pod12c5e1aa-0000-4000-8000-000000000001/ID", nil), ("/pod12c5e1aa-0000-4000-8000-000000000001", nil), ("/kubepods/podium", nil),
            ("/kubepods.slice", nil),
        ] as [(String, String?)])
    func pods(path: String, uid: String?) { #expect(Cgroup(hierarchy: "", path: path.replacing("ID", with: id)).podUID == uid) }
}

@Suite(
    "a process in a pod that no Docker engine runs", .serialized,
    .enabled(if: ControlGroup.isPossible && Certificates.isPossible, "needs root, the unified hierarchy of control groups and openssl"))
struct ForeignPodTests {
    private static let uid = "12c5e1aa-0000-4000-8000-000000000001"
    private static let hash = "0123456789abcdef0123456789abcdef"

    private let lookup = ContainerLookup(docker: DockerClient(socket: "/nonexistent/docker.sock", client: HTTPClient()))

    /// A child where the kubelet would have put it.
    private func child(_ uid: String) throws -> (ChildProcess, ControlGroup) {
        let child = try ChildProcess(["sleep", "1000"])
        let group = try ControlGroup("riposte-test-\(UUID().uuidString)-kubepods/pod\(uid)/cri-containerd-\(id)")
        try group.take(child.pid)
        return (child, group)
    }

    private func plan(_ child: ChildProcess) async throws -> Plan { try await ProcessKill().plan(ProcessKill().ask(.process(ProcessClaim(pid: child.pid)))) }

    @Test(
        "is protected by what protects the pod, which the API knows by its UID",
        arguments: [
            ("prod/web-1", KubernetesDouble.Pod(uid: uid), uid, nil), ("payments/db-0", .init(uid: uid), uid, "belongs to namespace payments, which is protected"),
            ("prod/web-1", .init(uid: uid, labels: #"{"riposte.dev/protected":"true"}"#), uid, "marked riposte.dev/protected"),
            (
                "prod/static", .init(uid: "another", annotations: #"{"kubernetes.io/config.mirror":"\#(hash)","kubernetes.io/config.hash":"\#(hash)"}"#), hash,
                "belongs to a static pod"
            ), ("prod/web-1", .init(uid: "another"), uid, "could not be found out"),
        ] as [(String, KubernetesDouble.Pod, String, String?)])
    func refusal(name: String, pod: KubernetesDouble.Pod, uid: String, reason: String?) async throws {
        let double = try await KubernetesDouble { $0.pods = [name: pod] }
        let client = try double.client()
        let guarded = ContainerGuard(lookup, protectedNamespaces: ["payments"], access: { client })
        let (child, group) = try child(uid)
        let plan = try await plan(child)
        for _ in 0..<2 {
            let refusal = await guarded.refusal(of: plan)
            #expect(reason.map { refusal?.contains($0) == true } ?? (refusal == nil), "\(refusal ?? "none")")
        }
        #expect(double.requests.count { $0.path.hasPrefix("/api/v1/pods?limit=500") && !$0.path.contains("fieldSelector") } == 1, "the API is asked once for all pods")
        _ = group
    }

    @Test("is protected where the API is silent, and known to guards of the configuration by its pod")
    func facts() async throws {
        let double = try await KubernetesDouble { $0.pods = ["prod/web-1": .init(uid: Self.uid)] }
        let client = try double.client()
        let (child, group) = try child(Self.uid)
        let plan = try await plan(child)
        let world = WorldFacts(containers: lookup, access: { client })
        let subject = try #require(try await world.facts(of: plan, [.namespaces, .pods]).subjects.first)
        #expect(subject.namespace == .known("prod"))
        guard case .known(let pod) = subject.pod else {
            Issue.record("the pod is not known")
            return
        }
        #expect(pod.name == "web-1" && pod.owner == "ReplicaSet/web")
        double.world.withLock { $0.stranger = .init(503, "{}") }
        #expect(await ContainerGuard(lookup, access: { client }).refusal(of: plan)?.contains("could not be found out") == true)
        _ = group
    }
}
