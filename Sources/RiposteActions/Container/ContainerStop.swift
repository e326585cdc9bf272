internal import RiposteCore
package import RipostePlaybooks

/// `container.stop`: asks a container to end, and ends it when it does not.
package struct ContainerStop: Action {
    package let description = ActionDescription(
        name: "container.stop", summary: "Asks a container to end, and kills it when it has not after a while.", target: .container, impact: .usersFeelIt,
        parameters: [
            Parameter("timeout", .duration(max: .seconds(300)), default: .duration(.seconds(10)), summary: "How long it is given, in whole seconds."),
            Parameter("signal", .signal, summary: "Instead of the image's stop signal (API 1.42 and later)."),
        ],
        inverse: "container.start", needs: ["Docker socket"], fields: ["container.id"], waits: "timeout")
    private let docker: DockerClient

    package init(docker: DockerClient) { self.docker = docker }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let state = try await ContainerResolver(docker: docker).find(request.claim)
        try checkNotPaused(state, "stop", remedy: "use container.kill")
        return Plan(
            action: description.name, target: .container(state.identity), parameters: request.parameters, facts: state.facts,
            alreadySo: state.isRunning ? nil : "it does not run (\(state.status))", summary: "stop container \(state.label)",
            inverse: state.isAutoRemoved ? nil : description.inverse, remarks: state.remarks)
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let id = try containerID(plan)
        let (grace, signal) = (plan.parameters.duration("timeout") ?? .seconds(10), plan.parameters.signal("signal"))
        let hasEnded = try await askToEnd(id, signal, within: grace)
        // Also where it has ended: a restart policy is told that it was meant.
        do throws(ActionError) { try await docker.stop(id, timeout: .zero, signal: signal) } catch {
            guard hasEnded, error.failure == nil else { throw error }
            return Performance(.done, message: "it has ended and was removed", undoToken: JSONObject())
        }
        var performance = try await stopped(id, docker, undoToken: JSONObject())
        if performance.undoToken != nil, let finishedAt = try? await docker.inspect(id: id).finishedAt { performance.undoToken = ["finished_at": .text("\(finishedAt)")] }
        return performance
    }

    package func standing(of deed: StandingDeed) async throws(ActionError) -> Standing {
        do throws(ActionError) {
            let state = try await ContainerResolver(docker: docker).find(.proved(deed.target))
            guard state.isRunning else { return .stands }
            return .missing("it runs again\(state.startedAt.map { ", since \($0)" } ?? "")")
        } catch {
            guard error.failure == nil else { throw error }
            return .gone(error.message)
        }
    }

    /// The engine's own stop cannot be called off: it goes on when the request is withdrawn. So the signal is sent, and waited for, from here; what has not
    /// ended then is stopped without further grace.
    private func askToEnd(_ id: String, _ signal: Signal?, within grace: Duration) async throws(ActionError) -> Bool {
        let state = try await docker.inspect(id: id)
        guard state.isRunning else { return true }
        try checkNotPaused(state, "stop", remedy: "use container.kill")
        guard grace >= .seconds(1) else { return false }
        let signal = signal ?? state.stopSignal.flatMap { Signal($0) } ?? .terminate
        do throws(ActionError) { try await docker.kill(id, signal: signal) } catch {
            guard error.failure == .conflict, try await !docker.inspect(id: id).isRunning else { throw error }
            return true
        }
        do throws(ActionError) { return try await docker.hasEnded(id, within: grace) } catch {
            guard error.failure != nil else { return true }
            guard error.failure == .cancelled else { throw error }
            throw ActionError(.cancelled, error.doing, "called off; \(signal.name) was delivered, and no KILL follows")
        }
    }
}

/// `container.kill`: a signal to a container's first process, KILL unless another is named.
package struct ContainerKill: Action {
    package let description = ActionDescription(
        name: "container.kill", summary: "Sends a signal to a container's first process, KILL unless another is named.", target: .container,
        impact: .destroys, parameters: [Parameter("signal", .signal, default: .signal(.kill), summary: "The signal to send.")],
        needs: ["Docker socket"], fields: ["container.id"])
    private let docker: DockerClient

    package init(docker: DockerClient) { self.docker = docker }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let state = try await ContainerResolver(docker: docker).find(request.claim)
        let signal = request.parameters.signal("signal") ?? .kill
        if signal != .kill { try checkNotPaused(state, "send \(signal.name) to", remedy: "send KILL") }
        return Plan(
            action: description.name, target: .container(state.identity), parameters: request.parameters, facts: state.facts,
            alreadySo: state.isRunning ? nil : "it does not run (\(state.status))", summary: "send \(signal.name) to container \(state.label)",
            remarks: state.remarks)
    }

    /// What has a handler, or none, runs on: nobody sees whether it got a signal that does not end it, and a second HUP is a second deed.
    package func trace(of deed: Plan, seen: Plan, age: Duration) -> DeedTrace {
        if let words = seen.alreadySo { return .inEffect(words) }
        let signal = deed.parameters.signal("signal") ?? .kill
        return signal == .kill ? .absent : .untold("it runs, and does not show whether \(signal.name) was delivered")
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let id = try containerID(plan)
        let signal = plan.parameters.signal("signal") ?? .kill
        let state = try await docker.inspect(id: id)
        if signal != .kill { try checkNotPaused(state, "send \(signal.name) to", remedy: "send KILL") }
        do throws(ActionError) { try await docker.kill(id, signal: signal) } catch {
            guard error.failure == .conflict else { throw error }
            if try await !docker.inspect(id: id).isRunning { return Performance(.already, message: "it does not run any more") }
            throw error
        }
        guard signal == .kill else { return Performance(.done, message: "\(signal.name) was delivered") }
        return try await stopped(id, docker, undoToken: nil)
    }
}

/// `container.restart`: stops and starts a container.
package struct ContainerRestart: Action {
    package let description = ActionDescription(
        name: "container.restart", summary: "Stops and starts a container: what lived in its memory is gone, its files stay.", target: .container,
        impact: .usersFeelIt,
        parameters: [
            Parameter("timeout", .duration(max: .seconds(300)), default: .duration(.seconds(10)), summary: "How long it is given to end, in whole seconds.")
        ], needs: ["Docker socket"], fields: ["container.id"], waits: "timeout")
    private let docker: DockerClient

    package init(docker: DockerClient) { self.docker = docker }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let state = try await ContainerResolver(docker: docker).find(request.claim)
        guard !state.isAutoRemoved else {
            throw ActionError(.policy, "restart container \(state.name)", "it is removed when it ends (--rm), so there is nothing to start again")
        }
        try checkNotPaused(state, "restart", remedy: "use container.kill")
        return Plan(
            action: description.name, target: .container(state.identity), parameters: request.parameters, facts: state.facts,
            summary: "restart container \(state.label)")
    }

    /// It shows in when it was started. As long as the engine may be waiting for the old run to end, there is nothing to see yet.
    package func trace(of deed: Plan, seen: Plan, age: Duration) -> DeedTrace {
        guard let before = deed.facts["started_at"]?.string, let since = seen.facts["started_at"]?.string else { return .untold("the engine does not say since when it runs") }
        guard before == since else { return .inEffect("it was started anew at \(since.shown)") }
        return age > Self.patience(deed.parameters) ? .absent : .notYet("it has not been started anew so far")
    }

    /// What the engine takes at most.
    private static func patience(_ parameters: Parameters) -> Duration { grace(parameters) + .seconds(15) }
    private static func grace(_ parameters: Parameters) -> Duration { parameters.duration("timeout") ?? .seconds(10) }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let id = try containerID(plan)
        try checkNotPaused(try await docker.inspect(id: id), "restart", remedy: "use container.kill")
        try await docker.restart(id, timeout: Self.grace(plan.parameters))
        let state = try await docker.inspect(id: id)
        return Performance(.done, message: "it runs again as process \(state.pid)", isConfirmed: state.isRunning, evidence: ["pid": .integer(Int64(state.pid))])
    }
}

/// `container.start`: takes a stop back. Not offered: starting something is no response to an attack.
package struct ContainerStart: Action {
    package let description = ActionDescription(
        name: "container.start", summary: "Starts a container that was stopped.", target: .container, impact: .reversible, needs: ["Docker socket"],
        isOffered: false)
    private let docker: DockerClient

    package init(docker: DockerClient) { self.docker = docker }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let state = try await ContainerResolver(docker: docker).find(request.claim)
        if !state.isRunning, !request.isForced, let left = request.token?["finished_at"]?.string?.valid, let finishedAt = state.finishedAt, left != "\(finishedAt)" {
            throw ActionError(
                .drifted, "start container \(state.name)", "it was started since and has ended again at \(finishedAt): not by our stop",
                remedy: "look why it ended, and use --force if it is to run")
        }
        return Plan(
            action: description.name, target: .container(state.identity), parameters: request.parameters, facts: state.facts,
            alreadySo: state.isRunning ? "it runs" : nil, summary: "start container \(state.label)")
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let id = try containerID(plan)
        _ = try await docker.inspect(id: id)
        try await docker.start(id)
        return Performance(.done, message: "it runs again", isConfirmed: try await docker.inspect(id: id).isRunning)
    }
}

/// The engine wakes a paused container to deliver a signal: the attacker's handler would run, and after one that does not end it the container stays awake.
private func checkNotPaused(_ state: ContainerState, _ verb: String, remedy: String) throws(ActionError) {
    guard state.isPaused else { return }
    throw ActionError(.policy, "\(verb) container \(state.name.escapedForDisplay)", "it is paused, and a signal that it can handle would let it run", remedy: remedy)
}

/// The engine answers before the last process is gone: look until it is, or two seconds are over.
private func stopped(_ id: String, _ docker: DockerClient, undoToken: JSONObject?) async throws(ActionError) -> Performance {
    for _ in 0..<40 {
        do throws(ActionError) {
            if try await !docker.inspect(id: id).isRunning { return Performance(.done, message: "it has ended", undoToken: undoToken) }
        } catch {
            guard error.failure == nil else { throw error }
            return Performance(.done, message: "it has ended and was removed")
        }
        guard !Task.isCancelled else { break }
        try? await Task.sleep(for: .milliseconds(50))
    }
    return Performance(.done, message: "the engine accepted it, but the container still runs", isConfirmed: false, undoToken: undoToken)
}
