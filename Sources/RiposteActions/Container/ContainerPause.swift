internal import RiposteCore
package import RipostePlaybooks

/// `container.pause`: freezes every process of a container.
package struct ContainerPause: Action {
    package let description = ActionDescription(
        name: "container.pause", summary: "Freezes every process of a container; nothing is lost.", target: .container, impact: .reversible,
        inverse: "container.unpause", needs: ["Docker socket"], fields: ["container.id"])
    private let docker: DockerClient

    package init(docker: DockerClient) { self.docker = docker }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let state = try await ContainerResolver(docker: docker).find(request.claim)
        guard state.isRunning else { throw .gone("pause container \(state.name)", "it does not run (\(state.status))") }
        return Plan(
            action: description.name, target: .container(state.identity), parameters: request.parameters, facts: state.facts,
            alreadySo: state.isPaused ? "it is paused already" : nil, summary: "pause container \(state.label)", inverse: description.inverse)
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let id = try containerID(plan)
        do throws(ActionError) { try await docker.pause(id) } catch {
            // 409 is "already" and "does not run" alike: the state tells.
            guard error.failure == .conflict || error.failure == .unavailable else { throw error }
            let state = try await docker.inspect(id)
            if state.isPaused { return Performance(.already, message: "it is paused already") }
            guard state.isRunning else { throw .gone("pause container \(state.name)", "it does not run any more") }
            throw error
        }
        let state = try await docker.inspect(id)
        return Performance(
            .done, message: "it is paused", isConfirmed: state.isPaused,
            undoToken: ["started_at": state.startedAt.map { .text("\($0)") } ?? .null])
    }
}

/// `container.unpause`: lets a paused container go on.
package struct ContainerUnpause: Action {
    package let description = ActionDescription(
        name: "container.unpause", summary: "Lets a paused container go on.", target: .container, impact: .reversible, needs: ["Docker socket"],
        fields: ["container.id"])
    private let docker: DockerClient

    package init(docker: DockerClient) { self.docker = docker }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let state = try await ContainerResolver(docker: docker).find(request.claim)
        guard state.isRunning else { throw .gone("unpause container \(state.name)", "it does not run (\(state.status))") }
        if let left = request.token?["started_at"]?.string?.valid, let startedAt = state.startedAt, state.isPaused, left != "\(startedAt)" {
            throw ActionError(.drifted, "unpause container \(state.name)", "it was started anew since and paused by somebody else")
        }
        return Plan(
            action: description.name, target: .container(state.identity), parameters: request.parameters, facts: state.facts,
            alreadySo: state.isPaused ? nil : "it is not paused", summary: "unpause container \(state.label)")
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let id = try containerID(plan)
        do throws(ActionError) { try await docker.unpause(id) } catch {
            guard error.failure == .conflict || error.failure == .unavailable else { throw error }
            let state = try await docker.inspect(id)
            guard state.isRunning else { throw .gone("unpause container \(state.name)", "it does not run any more") }
            if !state.isPaused { return Performance(.already, message: "it is not paused") }
            throw error
        }
        return Performance(.done, message: "it goes on", isConfirmed: try await !docker.inspect(id).isPaused)
    }
}

extension ContainerState {
    var label: String { "\(name.escapedForDisplay) (\(id.prefix(12)))" }

    /// What will start it again or take it away.
    var remarks: [String] {
        var remarks: [String] = []
        if isAutoRemoved { remarks.append("its file system is removed with it (--rm)") }
        switch restartPolicy {
        case "always": remarks.append("its restart policy `always` starts it again when the engine is restarted")
        case "unless-stopped", "on-failure": remarks.append("its restart policy is `\(restartPolicy)`; the engine does not start it again after a stop by hand")
        default: break
        }
        return remarks
    }
}

func containerID(_ plan: Plan) throws(ActionError) -> String {
    guard case .container(let identity) = plan.target else { throw ActionError(.invalid, "\(plan.action)", "the plan is about no container") }
    return identity.id
}
