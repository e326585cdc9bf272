package import RiposteCore
package import RipostePlaybooks
internal import RiposteTransport

/// A desk that is the agent at the other end of the control socket.
package final class ControlClient: Desk {
    private let socket: String
    private let client = HTTPClient()

    package init(socket: String) { self.socket = socket }

    package func act(_ command: ManualCommand) async throws(DeskError) -> ActionResult {
        try result(in: await post(ControlPath.actions, command.json))
    }

    package func undo(_ command: UndoCommand) async throws(DeskError) -> [ActionResult] {
        try await list(ControlPath.undo, command.json, "results", ActionResult.init(json:))
    }

    package func inForce(_ selection: UndoSelection) async throws(DeskError) -> [EngineState.OpenUndo] {
        try await list(ControlPath.inForce, .object(selection.json), "in_force", EngineState.OpenUndo.init(json:))
    }

    package func pardons() async throws(DeskError) -> [Pardons.Pardon] { try await list(ControlPath.pardons, [:], "pardons", Pardons.Pardon.init(json:)) }

    package func liftPardons(_ command: PardonLiftCommand) async throws(DeskError) -> [Pardons.Pardon] {
        try await list(ControlPath.liftPardons, command.json, "pardons", Pardons.Pardon.init(json:))
    }

    private func list<Element>(_ path: String, _ body: JSON, _ key: ByteText, _ read: (JSON) -> Element?) async throws(DeskError) -> [Element] {
        let elements = try await post(path, body)[key]?.array?.map(read) ?? [nil]
        guard !elements.contains(where: { $0 == nil }) else { throw DeskError(.noAgent, "the agent's answer makes no sense: other version?") }
        return elements.compactMap(\.self)
    }

    /// Calls off an action that is under way in the agent; nil where there is none of this id.
    package func cancel(_ command: CancelCommand) async throws(DeskError) -> ActionResult? {
        let answer = try await post(ControlPath.cancel, command.json)
        return answer["result"] == .null ? nil : try result(in: answer["result"] ?? .null)
    }

    package func questions() async throws(DeskError) -> [JSON] { try await exchange(.get, ControlPath.approvals, body: nil)["questions"]?.array ?? [] }

    package func decide(_ command: DecisionCommand) async throws(DeskError) -> Engine.Answered {
        let answer = try await post(ControlPath.approvals, command.json)
        return Engine.Answered(
            isSettled: answer["settled"]?.bool ?? false, results: answer["results"]?.array?.compactMap(ActionResult.init(json:)) ?? [])
    }

    package func respond(_ command: RespondCommand) async throws(DeskError) -> [AlertReport] {
        try await post(ControlPath.respond, command.json)["reports"]?.array?.compactMap(AlertReport.init(json:)) ?? []
    }

    /// What the agent would do with an alert now; ``AlertExplanation/json``.
    package func explain(_ command: ExplainCommand) async throws(DeskError) -> JSON { try await post(ControlPath.explain, command.json) }

    package func breakers() async throws(DeskError) -> [Breakers.Breaker] {
        try await exchange(.get, ControlPath.breakers, body: nil)["breakers"]?.array?.compactMap(Breakers.Breaker.init(json:)) ?? []
    }

    package func closeBreaker(_ command: BreakerCommand) async throws(DeskError) -> Breakers.Breaker {
        guard let breaker = Breakers.Breaker(json: try await post(ControlPath.closeBreaker, command.json)) else {
            throw DeskError(.noAgent, "the agent's answer is no breaker: other version?")
        }
        return breaker
    }

    package func steer(_ command: SteeringCommand) async throws(DeskError) -> SteeringResult {
        guard let result = SteeringResult(json: try await post(ControlPath.steering, command.json)) else {
            throw DeskError(.noAgent, "the agent's answer is no result: other version?")
        }
        return result
    }

    package func modes() async throws(DeskError) -> JSON { try await exchange(.get, ControlPath.modes, body: nil) }

    /// What `riposte status` shows.
    package func status() async throws(DeskError) -> JSON { try await exchange(.get, ControlPath.status, body: nil) }

    /// Has the agent send a marked message to one of its outputs.
    package func testOutput(_ name: String) async throws(DeskError) -> JSON { try await post(ControlPath.outputTest, ["name": .text(name)]) }

    package func close() async { client.close() }

    private func post(_ path: String, _ body: JSON) async throws(DeskError) -> JSON { try await exchange(.post, path, body: body.bytes) }

    private func exchange(_ method: HTTPRequest.Method, _ path: String, body: [UInt8]?) async throws(DeskError) -> JSON {
        let response: HTTPResponse
        do throws(TransportError) {
            response = try await client.send(
                HTTPRequest(
                    method, "http://riposte\(path)", unixSocket: socket, headers: [("Content-Type", "application/json")], body: body,
                    timeout: .seconds(600), maxResponseBytes: 256 << 20))
        } catch {
            switch error.code {
            case .denied: throw DeskError(.denied, "the agent's socket \(socket) may not be opened by this user")
            case .unreachable: throw DeskError(.noAgent, "no agent answers at \(socket)")
            default: throw DeskError(.noAgent, "the agent at \(socket) did not answer: \(error.message)")
            }
        }
        guard let answer = try? JSON(parsing: response.body) else {
            throw DeskError(.noAgent, "what answers at \(socket) is no agent (status \(response.status))")
        }
        guard response.status == 200 else {
            let code = answer["code"]?.string?.valid.flatMap(DeskError.Code.init(rawValue:)) ?? .invalid
            throw DeskError(code, answer["error"]?.string?.repaired ?? "the agent answered \(response.status)")
        }
        return answer
    }

    private func result(in answer: JSON) throws(DeskError) -> ActionResult {
        guard let result = ActionResult(json: answer) else { throw DeskError(.noAgent, "the agent's answer is no result: other version?") }
        return result
    }
}
