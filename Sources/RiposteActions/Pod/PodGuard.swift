internal import RiposteCore
package import RipostePlaybooks

/// Pods that are never deleted: those that keep the cluster alive, those that say so themselves, and our own.
package struct PodGuard: Guard {
    package let name = "builtin.pods"
    package static let systemNamespaces = ["kube-system", "kube-public", "kube-node-lease"]

    private let namespaces: Set<String>

    /// `ownNamespace` is where Riposte itself runs.
    package init(protectedNamespaces: [String] = Self.systemNamespaces, ownNamespace: String? = nil) {
        namespaces = Set(protectedNamespaces + [ownNamespace].compactMap(\.self))
    }

    /// The plan's facts are what the API said of the pod a moment ago.
    package func refusal(of plan: Plan) async -> String? {
        guard case .pod(let pod) = plan.target else { return nil }
        if namespaces.contains(pod.namespace) { return "namespace \(pod.namespace) is protected" }
        if plan.facts["mirror"] != nil { return "it is a static pod: the API forgets it, and the kubelet runs it all the same" }
        if plan.facts["protected"] != nil { return "it is marked riposte.dev/protected" }
        if let priority = plan.facts["priority_class"]?.string?.valid, priority == "system-node-critical" || priority == "system-cluster-critical" {
            return "its priority class is \(priority)"
        }
        return nil
    }
}
