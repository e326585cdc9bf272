internal import Glibc
internal import RiposteCore
package import RipostePlaybooks

/// Containers that are never touched, nor a process in them: those that say so themselves, those of protected pods and namespaces, and the one that Riposte
/// runs in.
package struct ContainerGuard: Guard {
    package let name = "builtin.containers"
    static let protectionLabel = "riposte.dev/protected"

    private let ownID: String?
    private let ownScopes: Set<Cgroup>
    private let containers: ContainerLookup
    private let protectedNamespaces: Set<String>
    private let access: KubernetesAccess?
    private let pods: PodLookup?

    package init(docker: DockerClient) { self.init(ContainerLookup(docker: docker)) }

    /// `ownID`: of the container that Riposte runs in; nil finds it out. `pods`: to share with others what the API said.
    package init(
        _ containers: ContainerLookup, protectedNamespaces: Set<String> = [], access: KubernetesAccess? = nil, pods: PodLookup? = nil, ownID: String? = nil
    ) {
        self.containers = containers
        self.protectedNamespaces = protectedNamespaces
        self.access = access
        self.pods = pods ?? access.map { PodLookup(access: $0) }
        let own = ProcFS.cgroups(ProcessGuards.ownPID).compactMap(\.mark)
        ownScopes = Set(own.map(\.scope))
        self.ownID = ownID ?? own.first?.id ?? Self.idInMounts()
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
            var seen: Set<[Cgroup]> = []
            for pid in ProcessTree.pids(of: plan, identity) {
                let cgroups = ProcFS.cgroups(pid)
                guard seen.insert(cgroups).inserted else { continue }
                if let reason = await refusal(ofProcess: pid, in: cgroups) { return reason }
            }
            return nil
        default: return nil
        }
    }

    /// Among a plan's facts, others that are hit with its container.
    static let sharersFact: ByteText = "shared_with"

    static func sharers(in plan: Plan) -> [String] { plan.facts[sharersFact]?.array?.compactMap { $0.string?.valid } ?? [] }

    private func refusal(ofProcess pid: Int32, in cgroups: [Cgroup]) async -> String? {
        let what = "the container of process \(pid)"
        if !ownScopes.isDisjoint(with: cgroups.compactMap(\.mark?.scope)) { return "\(what) is the one that Riposte itself runs in" }
        do throws(ActionError) {
            if case .known(let container) = try await containers.membership(in: cgroups) { return await refusal(of: container, what) }
        } catch { if hasEngine { return Self.notFoundOut(what, error) } }
        // No engine of ours runs it. The kubelet may, by another one, and then its pod counts.
        guard let pods, let uid = cgroups.firstPodUID else { return nil }
        let pod = "the pod of process \(pid)"
        do throws(ActionError) {
            let identity = try await pods.pod(uid)
            return try await refusal(ofPod: identity.namespace, identity.name, pod)
        } catch { return error.failure == nil ? nil : Self.notFoundOut(pod, error) }
    }

    private func refusal(ofContainer id: String, _ what: String) async -> String? {
        if id == ownID { return "\(what) is the one that Riposte itself runs in" }
        do throws(ActionError) { return await refusal(of: try await containers.container(id), what) } catch {
            // No engine of ours runs it, or it has ended: then nobody has labelled it for us.
            return error.failure == nil || !hasEngine ? nil : Self.notFoundOut(what, error)
        }
    }

    private func refusal(of container: GuardFacts.Container, _ what: String) async -> String? {
        if container.id == ownID { return "\(what) is the one that Riposte itself runs in" }
        if let value = container.labels[Self.protectionLabel], value != "false" { return "\(what) is labelled \(Self.protectionLabel)" }
        guard let (namespace, pod) = container.podName else { return nil }
        do throws(ActionError) { return try await refusal(ofPod: namespace, pod, what) } catch {
            return error.failure == nil ? nil : Self.notFoundOut(what, error)
        }
    }

    private static func notFoundOut(_ what: String, _ error: ActionError) -> String { "whether \(what) is protected could not be found out: \(error.message)" }

    private func refusal(ofPod namespace: String, _ name: String, _ what: String) async throws(ActionError) -> String? {
        if protectedNamespaces.contains(namespace) { return "\(what) belongs to namespace \(namespace.escapedForDisplay), which is protected" }
        guard let access else { return nil }
        return refusal(of: try await access().pod(namespace, name), what)
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
