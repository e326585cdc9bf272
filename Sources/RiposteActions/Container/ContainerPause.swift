package import RiposteCore
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
            alreadySo: state.isPaused && Self.change(of: state, since: request.token) == nil ? "it is paused already" : nil, summary: "pause container \(state.label)",
            inverse: description.inverse)
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let id = try containerID(plan)
        _ = try await docker.inspect(id: id)
        let began = Timestamp.now()
        do throws(ActionError) { try await docker.pause(id) } catch {
            // 409 is "already" and "does not run" alike: the state tells. What else fails may have been carried out, and Riposte's engine looks what came of it.
            guard error.failure == .conflict else { throw error }
            let state = try await docker.inspect(id: id)
            guard state.isRunning else { throw .gone("pause container \(state.name)", "it does not run any more") }
            guard state.isPaused else { throw error }
            // Whatever stands between us and the engine may have sent the call again when the first answer was lost: then the pause is ours.
            guard await docker.history(of: id, since: began).contains(where: { $0.name == "pause" }) else { return Performance(.already, message: "it is paused already") }
            return Self.done(state)
        }
        return Self.done(try await docker.inspect(id: id))
    }

    private static func done(_ state: ContainerState) -> Performance {
        Performance(
            .done, message: "it is paused", isConfirmed: state.isPaused,
            undoToken: ["started_at": state.startedAt.map { .text("\($0)") } ?? .null, "paused_at": .text("\(Timestamp.now())")])
    }

    package func presumedToken(of plan: Plan) -> JSONObject? { plan.facts["started_at"].map { ["started_at": $0] } }

    package func standing(of deed: StandingDeed) async throws(ActionError) -> Standing {
        let state: ContainerState
        do throws(ActionError) { state = try await ContainerResolver(docker: docker).find(.proved(deed.target)) } catch {
            guard error.failure == nil else { throw error }
            return .gone(error.message)
        }
        guard state.isRunning else { return .gone("it does not run any more (\(state.status.escapedForDisplay))") }
        if let change = Self.change(of: state, since: deed.token) { return state.isPaused ? .changed(change) : .missing("it is not paused any more: \(change)") }
        guard !state.isPaused else { return .stands }
        let release = await docker.history(of: state.id, since: deed.since).last { $0.name == "unpause" }
        return .missing("it is not paused any more\(release.map { ": the engine was told to let it go on at \($0.time)" } ?? "")")
    }

    /// Whether it is another run than the one that was paused.
    static func change(of state: ContainerState, since token: JSONObject?) -> String? {
        guard let left = token?["started_at"]?.string?.valid, let startedAt = state.startedAt, left != "\(startedAt)" else { return nil }
        return "it was started anew at \(startedAt)"
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
        if state.isPaused, !request.isForced, let change = await change(of: state, since: request.token) {
            throw ActionError(.drifted, "unpause container \(state.name)", change, remedy: "look who paused it, and use --force if it is to go on")
        }
        return Plan(
            action: description.name, target: .container(state.identity), parameters: request.parameters, facts: state.facts,
            alreadySo: state.isPaused ? nil : request.token == nil ? "it is not paused" : "it is not paused any more: somebody else let it go on",
            summary: "unpause container \(state.label)")
    }

    /// Why the pause that stands is not the one that we left.
    private func change(of state: ContainerState, since token: JSONObject?) async -> String? {
        if let change = ContainerPause.change(of: state, since: token) { return "\(change) and paused by somebody else" }
        guard let pausedAt = token?["paused_at"]?.string.flatMap({ Timestamp($0.bytes) }) else { return nil }
        let history = await docker.history(of: state.id, since: pausedAt)
        guard let release = history.first(where: { $0.name == "unpause" }), let pause = history.last(where: { $0.name == "pause" }) else { return nil }
        return "somebody else let it go on at \(release.time) and paused it again at \(pause.time)"
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let id = try containerID(plan)
        _ = try await docker.inspect(id: id)
        do throws(ActionError) { try await docker.unpause(id) } catch {
            guard error.failure == .conflict else { throw error }
            let state = try await docker.inspect(id: id)
            guard state.isRunning else { throw .gone("unpause container \(state.name)", "it does not run any more") }
            if !state.isPaused { return Performance(.already, message: "it is not paused") }
            throw error
        }
        return Performance(.done, message: "it goes on", isConfirmed: try await !docker.inspect(id: id).isPaused)
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
