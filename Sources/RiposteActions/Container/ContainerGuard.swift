internal import Glibc
internal import RiposteCore
package import RipostePlaybooks

/// Containers that are never touched, nor a process in them: those that say so themselves, those of protected pods and namespaces, and the one that Riposte
/// runs in.
package struct ContainerGuard: Guard {
    package let name = "builtin.containers"
    static let protectionLabel = "riposte.dev/protected"

    private let ownID: String?
    private let podLogs: String
    private let containers: ContainerLookup
    private let protectedNamespaces: Set<String>
    private let access: KubernetesAccess?

    package init(docker: DockerClient) { self.init(ContainerLookup(docker: docker)) }

    /// `ownID`: of the container that Riposte runs in; nil finds it out. `podLogs`: where the kubelet keeps the logs of pods.
    package init(
        _ containers: ContainerLookup, protectedNamespaces: Set<String> = [], access: KubernetesAccess? = nil, ownID: String? = nil, podLogs: String = KubeletPod.logFolder
    ) {
        self.podLogs = podLogs
        self.containers = containers
        self.protectedNamespaces = protectedNamespaces
        self.access = access
        self.ownID = ownID ?? ProcFS.cgroup(ProcessGuards.ownPID).flatMap(ProcFS.containerID(inCgroup:)) ?? Self.idInMounts()
    }

    /// Under cgroup v2 a container's own path is `/`; the engine's files that are mounted into it still name it.
    private static func idInMounts() -> String? {
        let lines = String(decoding: ProcFS.bytes(of: "/proc/self/mountinfo") ?? [], as: UTF8.self).split(separator: "\n")
        return lines.first { $0.contains("/etc/hostname ") }.flatMap { ProcFS.containerID(inCgroup: String($0)) }
    }

    package func refusal(of plan: Plan) async -> String? {
        guard !Self.isRelease(plan.action) else { return nil }
        switch plan.target {
        case .container(let identity):
            for id in [identity.id] + Self.sharers(in: plan) {
                let what = id == identity.id ? "the container" : "container \(id.prefix(12)), which is in the same network,"
                if let reason = await refusal(ofContainer: id, what) { return reason }
            }
            return nil
        case .process(let identity):
            for (id, pid) in Self.containers(of: ProcessTree.pids(of: plan, identity)) {
                let pod = ProcFS.cgroup(pid).flatMap(KubeletPod.uid(inCgroup:))
                if let reason = await refusal(ofContainer: id, "the container of process \(pid)", inPod: pod) { return reason }
            }
            return nil
        default: return nil
        }
    }

    /// Among a plan's facts, others that are hit with its container.
    static let sharersFact: ByteText = "shared_with"

    static func sharers(in plan: Plan) -> [String] { plan.facts[sharersFact]?.array?.compactMap { $0.string?.valid } ?? [] }

    /// Each container once, with the first process that is in it.
    private static func containers(of pids: [Int32]) -> [(id: String, pid: Int32)] {
        var seen: Set<String> = []
        return pids.compactMap { pid in
            guard let id = ProcFS.cgroup(pid).flatMap(ProcFS.containerID(inCgroup:)), seen.insert(id).inserted else { return nil }
            return (id, pid)
        }
    }

    /// `pod`: its UID, where its cgroup names it.
    private func refusal(ofContainer id: String, _ what: String, inPod pod: String? = nil) async -> String? {
        if id == ownID { return "\(what) is the one that Riposte itself runs in" }
        do throws(ActionError) {
            let container = try await containers.container(id)
            if let value = container.labels[Self.protectionLabel], value != "false" { return "\(what) is labelled \(Self.protectionLabel)" }
            guard let (namespace, pod) = container.podName else { return nil }
            if protectedNamespaces.contains(namespace) { return "\(what) belongs to namespace \(namespace.escapedForDisplay), which is protected" }
            return try await refusal(ofPod: namespace, pod, what)
        } catch {
            // No engine of ours runs it, or it has ended: then nobody has labelled it for us. But a runtime that we do not ask may run it for a pod.
            if error.failure == nil || !hasEngine {
                guard let pod else { return nil }
                return await refusal(ofPodWithUID: pod, what)
            }
            return "whether \(what) is protected could not be found out: \(error.message)"
        }
    }

    private func refusal(ofPod namespace: String, _ name: String, _ what: String) async throws(ActionError) -> String? {
        guard let access else { return nil }
        return refusal(of: try await access().pod(namespace, name), what)
    }

    /// The kubelet of this host says which pod it is, and the API what is true of it.
    private func refusal(ofPodWithUID uid: String, _ what: String) async -> String? {
        guard let pod = KubeletPod(uid: uid, logFolder: podLogs) else {
            return "whether \(what) is protected could not be found out: it is of pod \(uid), of which nothing is known in \(podLogs)"
        }
        let title = "\(pod.namespace.escapedForDisplay)/\(pod.name.escapedForDisplay)"
        if protectedNamespaces.contains(pod.namespace) { return "\(what) belongs to namespace \(pod.namespace.escapedForDisplay), which is protected" }
        guard let access else { return "whether \(what) is protected could not be found out: it is of pod \(title), and no Kubernetes API is known" }
        do throws(ActionError) {
            let state = try await access().pod(pod.namespace, pod.name)
            guard pod.isTold(by: state) else { return "whether \(what) is protected could not be found out: the API's pod \(title) is another one" }
            return refusal(of: state, what)
        } catch {
            return "whether \(what) is protected could not be found out: \(error.message)"
        }
    }

    private func refusal(of pod: PodState, _ what: String) -> String? {
        if pod.isMirror { return "\(what) belongs to a static pod" }
        return pod.isProtected ? "\(what) belongs to pod \(pod.identity.namespace)/\(pod.identity.name), which is marked \(Self.protectionLabel)" : nil
    }

    /// A host without the engine's socket has no such engine. One whose engine is only silent has.
    private var hasEngine: Bool { Glibc.access(containers.socket, F_OK) == 0 }

    /// Letting go hurts nobody.
    private static func isRelease(_ action: ActionName) -> Bool {
        ["container.unpause", "container.release", "container.start", "process.resume"].contains(action)
    }
}
