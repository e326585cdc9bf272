internal import Foundation
package import RiposteCore
package import RipostePlaybooks
internal import RiposteTransport
internal import Synchronization

/// A desk that is the agent at the other end of the control socket.
package final class ControlClient: Desk {
    private let socket: String
    private let client = HTTPClient()
    /// Whether something was sent that an agent acts on: from then on nobody else may be asked for the same.
    private let hasOrdered = Mutex(false)
    private let patience: Patience
    private let onWaiting: @Sendable (String) -> Void

    /// How long an agent is waited for.
    package struct Patience: Sendable {
        /// For what it knows without looking anywhere.
        package var question = Duration.seconds(5)
        /// For what it has to look at the world for.
        package var look = Duration.seconds(60)
        /// For deeds, which may take as long as their own deadlines are.
        package var order = Duration.seconds(600)
        /// Whoever waits longer is told what for.
        package var untilTold = Duration.seconds(2)

        package init() {}
    }

    /// `onWaiting` is told, once for each wish, that an answer takes its time, and how to look what becomes of it.
    package init(socket: String, patience: Patience = Patience(), onWaiting: @escaping @Sendable (String) -> Void = { _ in }) {
        self.socket = socket
        self.patience = patience
        self.onWaiting = onWaiting
    }

    /// What the agent does about a message.
    private enum Kind {
        case question, look
        /// It may act: it must not be asked a second time, of whom it may be, because no answer came.
        case order
    }

    package func act(_ command: ManualCommand) async throws(DeskError) -> ActionResult {
        try result(in: await post(ControlPath.actions, command.json))
    }

    package func undo(_ command: UndoCommand) async throws(DeskError) -> [ActionResult] {
        try await list(ControlPath.undo, command.json, "results", ActionResult.init(json:))
    }

    package func inForce(_ selection: UndoSelection) async throws(DeskError) -> [EngineState.OpenUndo] {
        try await list(ControlPath.inForce, .object(selection.json), "in_force", as: .question, EngineState.OpenUndo.init(json:))
    }

    package func pardons() async throws(DeskError) -> [Pardons.Pardon] {
        try await list(ControlPath.pardons, [:], "pardons", as: .question, Pardons.Pardon.init(json:))
    }

    package func liftPardons(_ command: PardonLiftCommand) async throws(DeskError) -> [Pardons.Pardon] {
        try await list(ControlPath.liftPardons, command.json, "pardons", Pardons.Pardon.init(json:))
    }

    private func list<Element>(
        _ path: String, _ body: JSON, _ key: ByteText, as kind: Kind = .order, _ read: (JSON) -> Element?
    ) async throws(DeskError) -> [Element] {
        let answer = try await post(path, body, kind)
        guard let elements = answer[key]?.array?.all(read) else { throw nonsense }
        return elements
    }

    /// Calls off an action that is under way in the agent; nil where there is none of this id.
    package func cancel(_ command: CancelCommand) async throws(DeskError) -> ActionResult? {
        let answer = try await post(ControlPath.cancel, command.json)
        return answer["result"] == .null ? nil : try result(in: answer["result"] ?? .null)
    }

    package func questions() async throws(DeskError) -> [JSON] { try await exchange(.get, ControlPath.approvals, body: nil)["questions"]?.array ?? [] }

    package func decide(_ command: DecisionCommand) async throws(DeskError) -> Engine.Answered {
        let answer = try await post(ControlPath.approvals, command.json)
        guard let isSettled = answer["settled"]?.bool, let results = answer["results"]?.array?.all(ActionResult.init(json:)) else { throw nonsense }
        return Engine.Answered(isSettled: isSettled, results: results)
    }

    package func respond(_ command: RespondCommand) async throws(DeskError) -> [AlertReport] {
        try await list(ControlPath.respond, command.json, "reports", AlertReport.init(json:))
    }

    /// What the agent would do with an alert now; ``AlertExplanation/json``.
    package func explain(_ command: ExplainCommand) async throws(DeskError) -> JSON { try await post(ControlPath.explain, command.json, .look) }

    package func breakers() async throws(DeskError) -> [Breakers.Breaker] {
        try await exchange(.get, ControlPath.breakers, body: nil)["breakers"]?.array?.compactMap(Breakers.Breaker.init(json:)) ?? []
    }

    package func closeBreaker(_ command: BreakerCommand) async throws(DeskError) -> Breakers.Breaker {
        guard let breaker = Breakers.Breaker(json: try await post(ControlPath.closeBreaker, command.json)) else { throw nonsense }
        return breaker
    }

    package func steer(_ command: SteeringCommand) async throws(DeskError) -> SteeringResult {
        guard let result = SteeringResult(json: try await post(ControlPath.steering, command.json)) else { throw nonsense }
        return result
    }

    package func modes() async throws(DeskError) -> JSON { try await exchange(.get, ControlPath.modes, body: nil) }

    /// What `riposte status` shows.
    package func status() async throws(DeskError) -> JSON { try await exchange(.get, ControlPath.status, body: nil) }

    /// Has the agent read its files anew; what is in force, and what was rejected, by kind of files.
    package func reload() async throws(DeskError) -> JSON { try await post(ControlPath.reload, [:]) }

    /// Has the agent send a marked message to one of its outputs.
    package func testOutput(_ name: String) async throws(DeskError) -> JSON { try await post(ControlPath.outputTest, ["name": .text(name)]) }

    package func close() async { client.close() }

    private func post(_ path: String, _ body: JSON, _ kind: Kind = .order) async throws(DeskError) -> JSON {
        try await exchange(.post, path, body: body.bytes, kind)
    }

    private func exchange(_ method: HTTPRequest.Method, _ path: String, body: [UInt8]?, _ kind: Kind = .question) async throws(DeskError) -> JSON {
        let isOrder = kind == .order
        try refuseForeignSocket()
        let timeout =
            switch kind {
            case .question: patience.question
            case .look: patience.look
            case .order: patience.order
            }
        let teller =
            kind == .question
            ? nil
            : Task { [patience, onWaiting, socket] in
                guard (try? await Task.sleep(for: patience.untilTold)) != nil else { return }
                onWaiting(Self.waiting(for: ControlPeer(socket: socket), isOrder: isOrder))
            }
        defer { teller?.cancel() }
        let response: HTTPResponse
        do throws(TransportError) {
            response = try await client.send(
                HTTPRequest(
                    method, "http://riposte\(path)", unixSocket: socket, headers: [("Content-Type", "application/json")], body: body,
                    timeout: timeout, maxResponseBytes: 256 << 20))
        } catch {
            switch error.code {
            case .denied: throw DeskError(.denied, "the agent's socket \(socket) may not be opened by this user")
            case .unreachable:
                guard hasOrdered.withLock(\.self) else { throw DeskError(.noAgent, "no agent answers at \(socket)") }
                throw DeskError(.unclear, "the agent at \(socket) is gone, with a part of this done; see riposte audit list")
            case .timedOut where !isOrder: throw silence(timeout)
            default: throw isOrder ? unanswered(error.message) : DeskError(.noAgent, "the agent at \(socket) did not answer: \(error.message)")
            }
        }
        if isOrder { hasOrdered.withLock { $0 = true } }
        guard let answer = try? JSON(parsing: response.body) else {
            let what = "what answers at \(socket) is no agent (status \(response.status))"
            throw isOrder ? DeskError(.unclear, what) : DeskError(.noAgent, what)
        }
        guard response.status == 200 else {
            let code = answer["code"]?.string?.valid.flatMap(DeskError.Code.init(rawValue:)) ?? .invalid
            throw DeskError(code, answer["error"]?.string?.repaired ?? "the agent answered \(response.status)")
        }
        return answer
    }

    /// Where others may write, the socket may be one of theirs, who would take what is meant for the agent and answer what they like. Whose the folder is need not be us or root: an agent
    /// may run as a user of its own, and others may have a right to give it orders.
    private func refuseForeignSocket() throws(DeskError) {
        let folder = URL(fileURLWithPath: socket).deletingLastPathComponent().path
        guard let rights = FileRights(path: folder), let objection = rights.objection(to: .workFolder, as: rights.owner) else { return }
        throw DeskError(.denied, "whether the agent listens at \(socket) is not sure: of \(folder), \(objection)")
    }

    private static func waiting(for agent: ControlPeer?, isOrder: Bool) -> String {
        let name = agent.map { "the agent, pid \($0.pid)" } ?? "the agent"
        if let agent, agent.isStopped { return "waiting for \(name): \(agent.remedy)" }
        return "waiting for \(name)" + (isOrder ? ", which has the order; what becomes of it: riposte audit follow, riposte status" : "")
    }

    private func silence(_ time: Duration) -> DeskError {
        guard let agent = ControlPeer(socket: socket) else { return DeskError(.silent, "the agent at \(socket) has not answered within \(time.text)") }
        return DeskError(.silent, "the agent, pid \(agent.pid), does not answer; \(agent.remedy)")
    }

    private func unanswered(_ reason: String) -> DeskError {
        DeskError(
            .unclear,
            "this was sent to the agent at \(socket), and no answer came (\(reason)): whether it was done, is under way or was never begun is not known here; "
                + "see riposte audit list, and ask again only then")
    }

    private var nonsense: DeskError { DeskError(.unclear, "the agent's answer makes no sense: other version? What became of this stands in riposte audit list") }

    private func result(in answer: JSON) throws(DeskError) -> ActionResult {
        guard let result = ActionResult(json: answer) else { throw nonsense }
        return result
    }
}
