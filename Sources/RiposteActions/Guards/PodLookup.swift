internal import Foundation
internal import RiposteCore
internal import RipostePlaybooks
internal import Synchronization

/// The pods of this node by their UIDs, which is all that a control group tells of a pod. The API is asked once a minute, and where a UID is new to us.
package final class PodLookup: Sendable {
    private static let validity = Duration.seconds(60)
    /// Not to ask again and again for a UID that the API does not know.
    private static let patience = Duration.seconds(5)

    private let access: KubernetesAccess
    private let nodes: [String]
    private let known = Mutex<(pods: [String: PodIdentity], at: ContinuousClock.Instant)?>(nil)

    package convenience init(access: @escaping KubernetesAccess) {
        // Most nodes are called as their hosts are. The variable is what manifests hand down `spec.nodeName` in.
        self.init(access: access, nodes: [ProcessInfo.processInfo.environment["NODE_NAME"], ProcessInfo.processInfo.hostName].compactMap(\.self))
    }

    init(access: @escaping KubernetesAccess, nodes: [String]) {
        self.access = access
        self.nodes = nodes
    }

    /// Throws where the API does not answer, or knows none of this UID; never `gone`, as there is a process in it.
    func pod(_ uid: String) async throws(ActionError) -> PodIdentity {
        let now = ContinuousClock.now
        let last = known.withLock(\.self)
        if let last, let pod = last.pods[uid], now - last.at < Self.validity { return pod }
        let doing = "look up the pod of the UID \(uid)"
        if let last, now - last.at < Self.patience { throw ActionError(.unavailable, doing, "the API knows none") }
        let pods = try await list(try access())
        known.withLock { $0 = (pods, .now) }
        guard let pod = pods[uid] else { throw ActionError(.unavailable, doing, "the API knows none") }
        return pod
    }

    private func list(_ client: KubernetesClient) async throws(ActionError) -> [String: PodIdentity] {
        var found: [PodState] = []
        for node in nodes where found.isEmpty { found = try await client.pods(onNode: node) }
        // The node goes by another name.
        if found.isEmpty { found = try await client.pods(onNode: nil) }
        var pods: [String: PodIdentity] = [:]
        // The kubelet calls a static pod by a hash, and the API its mirror by a UID.
        for pod in found where pod.isMirror { if let hash = pod.annotations["kubernetes.io/config.hash"] { pods[hash] = pod.identity } }
        for pod in found { pods[pod.identity.uid] = pod.identity }
        return pods
    }
}
