/// What Talon can do, by the name that its rules have for it, and what in Riposte comes near (source: Talon's list of actionners).
struct TalonActionner: Sendable {
    let name: String
    /// Whether a rule's next action follows unless its `continue` says otherwise.
    let isFollowed: Bool
    /// Why there is no step for it, and what to use instead; nil for what is translated.
    let instead: String?
    /// A step that comes near, to be weighed by a person.
    var near: NearStep?

    enum NearStep: Sendable {
        /// Cuts the container off, but for an allow list.
        case isolateContainer
        /// Blocks the remote address of the alert on this node.
        case blockAddress
        case evictPod
    }

    static func isName(_ text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { 0x21...0x7E ~= $0 } }
    }

    static func named(_ name: String) -> TalonActionner? { all.first { $0.name == name } }

    static var names: [String] { all.map(\.name) }

    private static let noObjects = "Riposte changes no objects of Kubernetes but pods"
    private static let noCode = "Riposte runs no commands that an alert set off"
    private static let policy =
        "Talon's policy cuts the outgoing traffic of all pods of the owner; container.isolate cuts both directions of the one container, on nodes with Docker"
    private static let addressPolicy =
        "Talon's policy keeps all pods of the owner from the alert's remote address; network.block keeps the whole node from it, both ways"

    private static let all = [
        TalonActionner(name: "kubernetes:terminate", isFollowed: false, instead: nil),
        TalonActionner(name: "kubernetes:label", isFollowed: true, instead: "\(noObjects), so it labels nothing; the journal has which pod an alert was about"),
        TalonActionner(name: "kubernetes:labelize", isFollowed: true, instead: "\(noObjects), so it labels nothing; the journal has which pod an alert was about"),
        TalonActionner(name: "kubernetes:annotation", isFollowed: true, instead: "\(noObjects), so it annotates nothing; the journal has which pod an alert was about"),
        TalonActionner(name: "kubernetes:networkpolicy", isFollowed: true, instead: policy, near: .isolateContainer),
        TalonActionner(name: "calico:networkpolicy", isFollowed: true, instead: addressPolicy, near: .blockAddress),
        TalonActionner(name: "cilium:networkpolicy", isFollowed: true, instead: addressPolicy, near: .blockAddress),
        TalonActionner(name: "kubernetes:exec", isFollowed: true, instead: "\(noCode), neither in a pod nor elsewhere"),
        TalonActionner(name: "kubernetes:script", isFollowed: true, instead: "\(noCode), neither in a pod nor elsewhere"),
        TalonActionner(name: "kubernetes:log", isFollowed: true, instead: "Riposte fetches no logs of pods; what an action found and did stands in the journal"),
        TalonActionner(name: "kubernetes:download", isFollowed: true, instead: "Riposte takes no files out of pods"),
        TalonActionner(name: "kubernetes:tcpdump", isFollowed: false, instead: "Riposte records no packets"),
        TalonActionner(
            name: "kubernetes:sysdig", isFollowed: false,
            instead: "no action records system calls; `riposte record`, started by hand on the node, writes what the sensor sees"),
        TalonActionner(name: "kubernetes:delete", isFollowed: false, instead: "\(noObjects); pod.delete deletes the pod of k8s.pod.name, no other object"),
        TalonActionner(name: "kubernetes:cordon", isFollowed: true, instead: "\(noObjects), so it cordons no nodes"),
        TalonActionner(
            name: "kubernetes:drain", isFollowed: true,
            instead: "\(noObjects), so it drains no nodes; pod.evict evicts the one pod of the alert, as far as its disruption budgets allow", near: .evictPod),
        TalonActionner(name: "aws:lambda", isFollowed: true, instead: "Riposte calls no functions of a cloud; Falcosidekick can, for the same alerts"),
        TalonActionner(name: "gcp:function", isFollowed: true, instead: "Riposte calls no functions of a cloud; Falcosidekick can, for the same alerts"),
    ]
}
