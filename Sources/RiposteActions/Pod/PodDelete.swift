internal import RiposteCore
package import RipostePlaybooks

/// How an action gets at the Kubernetes API: found when it is first needed, so that an agent without a cluster starts all the same.
package typealias KubernetesAccess = @Sendable () throws(ActionError) -> KubernetesClient

/// `pod.delete`: deletes the pod that was meant, and none that came under its name since.
package struct PodDelete: Action {
    package let description = ActionDescription(
        name: "pod.delete", summary: "Deletes a pod by its UID; disruption budgets are not asked.", target: .pod, impact: .destroys,
        parameters: [PodRequest.grace], needs: ["delete pods", "get pods"], fields: ["k8s.ns.name", "k8s.pod.name", "k8s.pod.uid"], waits: "grace")
    private let access: KubernetesAccess
    private let docker: DockerClient?

    /// `docker`: whose containers the own sensor's alerts are about.
    package init(docker: DockerClient? = nil, access: @escaping KubernetesAccess) {
        self.docker = docker
        self.access = access
    }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        try await PodRequest(client: try access(), docker: docker, verb: "delete", subresource: nil).plan(request, description, "delete") {
            client, pod, grace throws(ActionError) in
            try await client.delete(pod, grace: grace, isDryRun: true)
        }
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        try await PodRequest(client: try access(), docker: docker, verb: "delete", subresource: nil).perform(plan) { client, pod, grace throws(ActionError) in
            try await client.delete(pod, grace: grace)
        }
    }
}

/// `pod.evict`: asks the API to move the pod away, if its disruption budgets allow it.
package struct PodEvict: Action {
    package let description = ActionDescription(
        name: "pod.evict", summary: "Evicts a pod by its UID, as far as its disruption budgets allow.", target: .pod, impact: .destroys,
        parameters: [PodRequest.grace], needs: ["create pods/eviction", "get pods"], fields: ["k8s.ns.name", "k8s.pod.name", "k8s.pod.uid"], waits: "grace")
    private let access: KubernetesAccess
    private let docker: DockerClient?

    /// `docker`: whose containers the own sensor's alerts are about.
    package init(docker: DockerClient? = nil, access: @escaping KubernetesAccess) {
        self.docker = docker
        self.access = access
    }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        try await PodRequest(client: try access(), docker: docker, verb: "create", subresource: "eviction").plan(request, description, "evict") {
            client, pod, grace throws(ActionError) in
            try await client.evict(pod, grace: grace, isDryRun: true)
        }
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        try await PodRequest(client: try access(), docker: docker, verb: "create", subresource: "eviction").perform(plan) { client, pod, grace throws(ActionError) in
            try await client.evict(pod, grace: grace)
        }
    }
}

/// How long to wait before each look at what takes its time to end: soon at first, as most end at once, then every five seconds, so that a grace of an hour is some
/// hundreds of calls. The last look is at the end of the time.
struct PollingPauses {
    private static let longest = Duration.seconds(5)
    private var pause = Duration.milliseconds(100)

    /// Nil: the time is up.
    mutating func next(within left: Duration) -> Duration? {
        guard left > .zero else { return nil }
        defer { pause = min(pause * 3 / 2, Self.longest) }
        return min(pause, left)
    }
}

/// What deleting and evicting have in common: all but the call.
private struct PodRequest {
    /// 1 s and not 0: 0 ends no process sooner, it only takes the pod out of sight while it lives on.
    static let grace = Parameter(
        "grace", .duration(max: .seconds(3600)), default: .duration(.seconds(1)), summary: "Between TERM and KILL, in whole seconds; less than two changes nothing.")

    typealias Call = (KubernetesClient, PodIdentity, Duration) async throws(ActionError) -> Void

    let client: KubernetesClient
    let docker: DockerClient?
    let verb: String
    let subresource: String?

    func plan(_ request: ActionRequest, _ description: ActionDescription, _ word: String, _ probe: Call) async throws(ActionError) -> Plan {
        let pod = try await find(request.claim)
        let (allowed, why) = try await client.mayI(verb, "pods", subresource: subresource, in: pod.identity.namespace)
        let right = "\(verb) pods\(subresource.map { "/\($0)" } ?? "") in namespace \(pod.identity.namespace)"
        guard allowed else { throw ActionError(.denied, "\(word) pod \(pod.identity.name)", "we may not \(right)", remedy: why) }
        let grace = request.parameters.duration("grace") ?? .seconds(1)
        // A pod that is going already cannot be probed for going.
        if !pod.isTerminating { try await Self.asIdentity { () throws(ActionError) in try await probe(client, pod.identity, grace) } }
        // The API takes a second deletion with a shorter grace for a shortening of the first.
        let longer = pod.deletionGrace.flatMap { $0 > grace.components.seconds ? $0 : nil }
        var remarks = [pod.owner.map { "its \($0.kind) \($0.name) will make a new one" } ?? "nothing makes it again: it has no owner"]
        remarks.append("its processes may live on for some two seconds after the API has answered")
        if let longer { remarks.append("it is being deleted already, with a grace of \(longer) s, which this cuts to \(grace.components.seconds) s") }
        return Plan(
            action: description.name, target: .pod(pod.identity), parameters: request.parameters, facts: pod.facts,
            alreadySo: pod.isTerminating && longer == nil ? "it is being deleted already" : nil, summary: "\(word) pod \(pod.identity.namespace)/\(pod.identity.name)",
            remarks: remarks)
    }

    func perform(_ plan: Plan, _ call: Call) async throws(ActionError) -> Performance {
        guard case .pod(let pod) = plan.target else { throw ActionError(.invalid, "\(plan.action)", "the plan is about no pod") }
        let grace = plan.parameters.duration("grace") ?? .seconds(1)
        try await Self.asIdentity { () throws(ActionError) in try await call(client, pod, grace) }
        guard await isGone(pod, within: grace + .seconds(2)) else {
            return Performance(.done, message: "the API accepted it; the pod is still terminating", isConfirmed: false)
        }
        return Performance(.done, message: "the pod is gone")
    }

    /// A 409 to a call with a UID says that another pod has the name.
    private static func asIdentity(_ body: () async throws(ActionError) -> Void) async throws(ActionError) {
        do throws(ActionError) { try await body() } catch {
            guard error.failure == .conflict else { throw error }
            throw ActionError(.identity, error.doing, error.answer)
        }
    }

    private func isGone(_ pod: PodIdentity, within time: Duration) async -> Bool {
        let deadline = ContinuousClock.now + time
        var pauses = PollingPauses()
        while true {
            do throws(ActionError) {
                if try await client.pod(pod.namespace, pod.name).identity.uid != pod.uid { return true }
            } catch {
                if error.failure == nil { return true }
            }
            guard let pause = pauses.next(within: ContinuousClock.now.duration(to: deadline)), !Task.isCancelled else { return false }
            try? await Task.sleep(for: pause)
        }
    }

    // MARK: - Who is meant

    private func find(_ claim: TargetClaim) async throws(ActionError) -> PodState {
        switch claim {
        case .pod(let claim):
            let pod = try check(try await client.pod(claim.namespace, claim.name), claim)
            if let membership = claim.membership { try await prove(membership, claim) }
            return pod
        case .proved(.pod(let identity)):
            let pod = try await client.pod(identity.namespace, identity.name)
            guard pod.identity.uid == identity.uid else { throw .gone("find pod \(identity.name)", "another pod has its name now") }
            return pod
        default: throw ActionError(.unresolved, "find the pod", "the request names no pod")
        }
    }

    /// The own sensor knows a container by the name of a control group, and the pod by the container: whoever may make control groups may name one after a
    /// container of a pod that he would like to see deleted.
    private func prove(_ membership: ContainerClaim.Membership, _ claim: PodClaim) async throws(ActionError) {
        let doing = "find pod \(claim.namespace)/\(claim.name)"
        guard let docker, let id = claim.containerID else {
            throw ActionError(.identity, doing, "the alert does not say in which of its containers the process was")
        }
        let container: ContainerState?
        do throws(ActionError) {
            container = try await ContainerResolver(docker: docker).find(.container(ContainerClaim(reference: id, seenAt: claim.seenAt, membership: membership)))
        } catch {
            guard error.failure == nil else { throw error }
            container = nil
        }
        guard container?.isRunning == true else {
            throw ActionError(
                .identity, doing, "container \(String(id.prefix(12)).escapedForDisplay) has ended: whether the alert's process was in it is not known any more",
                remedy: "look at the pod, and delete it by hand: riposte pod delete")
        }
    }

    private func check(_ pod: PodState, _ claim: PodClaim) throws(ActionError) -> PodState {
        let doing = "find pod \(claim.namespace)/\(claim.name)"
        if let uid = claim.uid {
            guard pod.identity.uid == uid else {
                throw ActionError(.identity, doing, "the pod of this name has the UID \(pod.identity.uid), the one that is meant \(uid.escapedForDisplay)")
            }
            return pod
        }
        guard let seenAt = claim.seenAt else { return pod }
        if let id = claim.containerID, 12...64 ~= id.utf8.count, !pod.containerIDs.isEmpty {
            guard pod.containerIDs.contains(where: { $0.hasPrefix(id) }) else {
                throw ActionError(.identity, doing, "the pod of this name has no container \(id.escapedForDisplay): it was made anew since")
            }
            return pod
        }
        guard let startTime = pod.startTime, startTime <= seenAt + .seconds(1) else {
            throw ActionError(.identity, doing, "the pod of this name was started after the alert (\(seenAt))")
        }
        return pod
    }
}
