package import RiposteCore
internal import Synchronization

/// Where an order is on its way, for people.
package struct OrderProgress: Sendable, Equatable {
    package enum Phase: String, Sendable {
        case planning
        /// Another order is at the same target.
        case waiting
        case performing
        /// Waits before another attempt.
        case retrying
        /// Looks at the world whether the deed took effect.
        case confirming
        /// Its outcome is on record, but the deed has not come back; until it has, the target's turn is not given away.
        case hanging
    }

    package var id: Identifier
    package var action: ActionName
    package var target: Target?
    package var playbook: String?
    package var step: String?
    package var actor: AuditRecord.Actor
    package var since: Timestamp
    package var duration: Duration
    package var phase: Phase
    /// Failed attempts, and what the last one came to.
    package var failures: Int
    package var lastError: String?
    package var calledOff: Cancellation?

    package var json: JSON {
        var object: JSONObject = ["id": .text("\(id)"), "action": .text(action.rawValue)]
        object.append("target", target?.json)
        object.append("playbook", playbook.map(JSON.text))
        object.append("step", step.map(JSON.text))
        object.append("actor", actor.json)
        object.append("since", .text("\(since)"))
        object.append("duration_us", .integer(duration.wholeMicroseconds))
        object.append("phase", .text(phase.rawValue))
        if failures > 0 { object.append("failed_attempts", .integer(Int64(failures))) }
        object.append("last_error", lastError.map(JSON.text))
        object.append("cancelled", calledOff?.json)
        return .object(object)
    }
}

/// Somebody called an order off.
package struct Cancellation: Sendable, Equatable {
    package var actor: AuditRecord.Actor
    package var reason: String?
    package var time: Timestamp

    var json: JSON {
        var object: JSONObject = ["actor": actor.json, "time": .text("\(time)")]
        object.append("reason", reason.map(JSON.text))
        return .object(object)
    }

    /// "by ann: false alarm"
    var words: String { "by \(actor.name.escapedForDisplay)" + (reason.map { ": \($0.escapedForDisplay)" } ?? "") }
}

/// One order on its way: what others may see of it, its time limit, and the bell that calls it off. It exists from the order to its outcome, and as long
/// as a deed that did not come back in time hangs.
final class OrderWatch: Sendable {
    /// Why an order is not to go on.
    enum Interruption: Sendable, Equatable { case calledOff(Cancellation), overdue }

    let order: Order
    let began: Duration
    private let since: Timestamp
    private let state: Mutex<State>

    private struct State {
        var phase = OrderProgress.Phase.planning
        var deadline: Duration
        var target: Target?
        var failures = 0
        var lastError: String?
        var cancellation: Cancellation?
        /// Waits for ``cancellation``; there is one at a time, as an order does one thing at a time.
        var waiter: CheckedContinuation<Void, Never>?
        var result: ActionResult?
        var whoWantsTheResult: [CheckedContinuation<ActionResult, Never>] = []
        /// What a hanging deed came to, until it is known what was recorded without it.
        var late: (@Sendable (_ recorded: Outcome) -> Void)?
    }

    init(_ order: Order, at time: Timestamp, uptime: Duration) {
        self.order = order
        since = time
        began = uptime
        state = Mutex(State(deadline: uptime + (order.timeLimit ?? Step.standardTimeLimit)))
    }

    // MARK: - The order's side

    var deadline: Duration { state.withLock(\.deadline) }

    func enter(_ phase: OrderProgress.Phase) { state.withLock { $0.phase = phase } }

    /// The order has a plan: from here on its target is known, and, where the order has no limit of its own, how long the action may rightly wait.
    func note(_ plan: Plan, patience: Duration) {
        state.withLock { state in
            state.target = plan.target
            if order.timeLimit == nil { state.deadline = began + Step.standardTimeLimit + patience }
        }
    }

    func note(_ error: ActionError) {
        state.withLock { state in
            state.failures += 1
            state.lastError = error.message
        }
    }

    var cancellation: Cancellation? { state.withLock(\.cancellation) }

    func interruption(at uptime: Duration) -> Interruption? {
        state.withLock { state in state.cancellation.map(Interruption.calledOff) ?? (uptime >= state.deadline ? .overdue : nil) }
    }

    /// Returns when the order was called off, or when the task is cancelled.
    func calledOff() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    guard state.cancellation == nil, !Task.isCancelled else { return true }
                    state.waiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            takeWaiter()?.resume()
        }
    }

    private func takeWaiter() -> CheckedContinuation<Void, Never>? {
        state.withLock { state in
            defer { state.waiter = nil }
            return state.waiter
        }
    }

    // MARK: - Its end

    /// The outcome is on record. A deed that came back since is told of it.
    func settle(_ result: ActionResult, isHanging: Bool) {
        let (waiting, late) = state.withLock { state in
            defer { (state.whoWantsTheResult, state.late) = ([], nil) }
            state.result = result
            if isHanging { state.phase = .hanging }
            return (state.whoWantsTheResult, state.late)
        }
        for each in waiting { each.resume(returning: result) }
        late?(result.outcome)
    }

    /// The deed came back after nobody waited for it any more: `body` is called once it is known what was recorded without it.
    func comeLate(_ body: @escaping @Sendable (_ recorded: Outcome) -> Void) {
        let recorded = state.withLock { state -> Outcome? in
            if state.result == nil { state.late = body }
            return state.result?.outcome
        }
        if let recorded { body(recorded) }
    }

    // MARK: - Others

    /// False where somebody else was first, or the outcome is there.
    func callOff(_ cancellation: Cancellation) -> Bool {
        let (isFirst, waiter) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            guard state.cancellation == nil, state.result == nil else { return (false, nil) }
            state.cancellation = cancellation
            defer { state.waiter = nil }
            return (true, state.waiter)
        }
        waiter?.resume()
        return isFirst
    }

    func result() async -> ActionResult {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state in
                if state.result == nil { state.whoWantsTheResult.append(continuation) }
                return state.result
            }
            if let known { continuation.resume(returning: known) }
        }
    }

    func progress(at uptime: Duration) -> OrderProgress {
        state.withLock { state in
            OrderProgress(
                id: order.id, action: order.action, target: state.target, playbook: order.cause?.playbook, step: order.cause?.step, actor: order.actor, since: since,
                duration: uptime - began, phase: state.phase, failures: state.failures, lastError: state.lastError, calledOff: state.cancellation)
        }
    }
}
