internal import RiposteCore
internal import RipostePlaybooks

/// Finds the container that a claim means, by its full id, and proves that it is the one.
struct ContainerResolver {
    let docker: DockerClient

    func find(_ claim: TargetClaim) async throws(ActionError) -> ContainerState {
        switch claim {
        case .container(let claim): return try await find(claim)
        case .proved(.container(let identity)): return try await docker.inspect(identity.id)
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
        // The alert's and the engine's clock are one, but the engine notes the start a moment after the first process runs.
        if let startedAt = state.startedAt, state.isRunning, startedAt > seenAt + .seconds(1) {
            throw ActionError(.identity, doing, "it was started at \(startedAt), after the alert's \(seenAt): what the alert saw has ended")
        }
        return state
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
