internal import RiposteCore
internal import RipostePlaybooks

/// Finds the container that a claim means, by its full id, and proves that it is the one.
struct ContainerResolver {
    let docker: DockerClient

    func find(_ claim: TargetClaim) async throws(ActionError) -> ContainerState {
        switch claim {
        case .container(let claim): return try await find(claim)
        case .proved(.container(let identity)): return try await docker.inspect(id: identity.id)
        default: throw ActionError(.unresolved, "find the container", "the request names no container")
        }
    }

    private func find(_ claim: ContainerClaim) async throws(ActionError) -> ContainerState {
        let doing = "find container \(claim.reference.escapedForDisplay)"
        guard let seenAt = claim.seenAt else { return try await findForOperator(claim.reference, doing) }
        let state = try await docker.inspect(claim.reference)
        // The engine prefers a name to the beginning of an id: a container that is *called* like another's short id would be found.
        guard state.id.hasPrefix(claim.reference) else {
            throw ActionError(.identity, doing, "the engine finds \(state.id.prefix(12)) under this name, which is not the container that the alert means")
        }
        if let membership = claim.membership, state.isRunning { try prove(membership, in: state, doing) }
        // The alert's and the engine's clock are one, but the engine notes the start a moment after the first process runs.
        if let startedAt = state.startedAt, state.isRunning, startedAt > seenAt + .seconds(1) {
            throw ActionError(.identity, doing, "it was started at \(startedAt), after the alert's \(seenAt): what the alert saw has ended")
        }
        return state
    }

    /// Whoever may make control groups may name one after a container that he would like to see stopped. What is not below the container's own group is not in it.
    private func prove(_ membership: ContainerClaim.Membership, in state: ContainerState, _ doing: String) throws(ActionError) {
        guard let path = membership.cgroup else { throw ActionError(.identity, doing, "the alert does not say in which control group the process was") }
        guard let groups = ContainerGroups(of: state) else {
            throw ActionError(.identity, doing, "the control group of its first process \(state.pid) could not be read: whether the alert's process was in it is not known")
        }
        guard groups.hold(path) else {
            throw ActionError(
                .identity, doing, "the alert's process was in the control group \(path.escapedForDisplay), which is named after the container and not its own",
                remedy: "look at who made that group: \(groups.paths.first?.escapedForDisplay ?? "") is the container's")
        }
    }

    /// Names are allowed, and an id's beginning where it means one container only.
    private func findForOperator(_ reference: String, _ doing: String) async throws(ActionError) -> ContainerState {
        do throws(ActionError) { return try await docker.inspect(reference) } catch {
            // The engine answers 404 to an ambiguous beginning too, as if there were none.
            guard error.failure == nil || error.failure == .invalid || error.failure == .unavailable else { throw error }
            let candidates = (try? await docker.list())?.filter { $0.id.hasPrefix(reference) } ?? []
            guard candidates.count > 1 else { throw error }
            let names = candidates.prefix(5).map { "\($0.id.prefix(12)) (\($0.name.escapedForDisplay))" }.joined(separator: ", ")
            throw ActionError(.unresolved, doing, "\(candidates.count) containers begin like this: \(names)")
        }
    }
}
