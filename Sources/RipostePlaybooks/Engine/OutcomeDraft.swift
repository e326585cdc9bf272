internal import RiposteCore

/// An order on its way to an outcome: collects what the records will say.
struct OutcomeDraft {
    private(set) var order: Order
    private let surroundings: Surroundings
    private let began: Duration
    private var plan: Plan?
    private var planned: Duration?
    private var intended: Duration?
    private var performance: Performance?
    private(set) var outcome: Outcome = .failed
    private var failure: FailureClass?
    private var message: String?
    private var evidence = JSONObject()
    /// When the outcome was clear.
    private var took: Duration = .zero
    private var time: Timestamp
    private var due: Timestamp?
    var isRecorded = false

    init(order: Order, _ surroundings: Surroundings) {
        self.order = order
        self.surroundings = surroundings
        began = surroundings.uptime()
        time = surroundings.now()
    }

    private var elapsed: Duration { surroundings.uptime() - began }

    // MARK: - What happens

    mutating func note(_ plan: Plan) {
        self.plan = plan
        planned = elapsed
    }

    /// A target that is not of the share that the roll-out has come to is treated as in the stage before.
    mutating func keepToShare(of target: Target) {
        guard let share = order.share, order.mode > share.beside, !Rollout.isOfShare(target, share.hundredths, of: share.playbook) else { return }
        order.mode = share.beside
        order.modeBecause = "the target is not of the \(Rollout.percent(share.hundredths)) that the roll-out has come to"
    }

    mutating func announced() { intended = elapsed }

    mutating func note(_ performance: Performance, of plan: Plan) {
        self.performance = performance
        evidence = performance.evidence
        // A deed that takes another one back has a name of its own.
        let outcome = order.undoes != nil && performance.outcome == .done ? .undone : performance.outcome
        end(outcome, performance.message)
        if performance.outcome == .done, order.undoes == nil, plan.inverse != nil {
            due = (order.undoAfter ?? plan.parameters.duration("for")).map { time + $0 }
        }
    }

    mutating func fail(_ error: ActionError) {
        failure = error.failure
        if !error.evidence.isEmpty { evidence = error.evidence }
        end(error.outcome, error.message)
    }

    mutating func end(_ outcome: Outcome, _ message: String?) {
        self.outcome = outcome
        self.message = message
        took = elapsed
        time = surroundings.now()
    }

    // MARK: - What is told

    func intentRecord(of plan: Plan) -> AuditRecord {
        var record = base(.intent, at: surroundings.now())
        record.target = plan.target
        record.detail.append("plan", .object(plan.json))
        record.detail.append("plan_digest", .text(plan.digest(undoAfter: order.undoAfter)))
        record.detail.append("undo_after", order.undoAfter.map { .text($0.text) })
        return record
    }

    var outcomeRecord: AuditRecord {
        var record = base(.outcome, at: time)
        record.target = plan?.target
        record.dryRun = order.isDryRun
        record.outcome = outcome
        record.failure = failure
        record.message = message
        if intended == nil, let plan { record.detail.append("plan", .object(plan.json)) }
        if let plan { record.detail.append("plan_digest", .text(plan.digest(undoAfter: order.undoAfter))) }
        if let performance { record.detail.append("confirmed", .bool(performance.isConfirmed)) }
        if !evidence.isEmpty { record.detail.append("evidence", .object(evidence)) }
        if let undo { record.detail.append("undo", undo) }
        if outcome == .done, let values = order.cooldownValues { record.detail.append("cooldown", .array(values.map(JSON.string))) }
        record.detail.append("timing_us", .object(timing))
        return record
    }

    var result: ActionResult {
        let hasReason = outcome == .failed || outcome == .refused || outcome == .gone
        var result = ActionResult(
            id: order.id, playbook: order.cause?.playbook, step: order.cause?.step, action: order.action.rawValue, target: plan?.target,
            outcome: outcome, dryRun: order.isDryRun, reason: hasReason ? message : order.reason, detail: hasReason ? nil : message,
            undo: undo == nil ? nil : ActionResult.Undo(available: true, due: due), duration: took)
        result.modeBecause = order.modeBecause
        return result
    }

    private var undo: JSON? {
        guard performance?.outcome == .done, order.undoes == nil, let inverse = plan?.inverse else { return nil }
        var object: JSONObject = ["inverse": .text(inverse.rawValue)]
        object.append("due", due.map { .text("\($0)") })
        object.append("token", performance?.undoToken.map(JSON.object))
        return .object(object)
    }

    private var timing: JSONObject {
        var object = JSONObject()
        object.append("planned", planned.map { .integer($0.wholeMicroseconds) })
        object.append("intent", intended.map { .integer($0.wholeMicroseconds) })
        object.append("ended", .integer(took.wholeMicroseconds))
        return object
    }

    private func base(_ kind: AuditRecord.Kind, at time: Timestamp) -> AuditRecord {
        var record = AuditRecord(kind, at: time, id: order.id)
        record.run = order.cause?.run
        record.alert = order.cause?.alert
        record.undoes = order.undoes
        record.actor = order.actor
        record.playbook = order.cause?.playbook
        record.step = order.cause?.step
        record.action = order.action.rawValue
        record.mode = order.mode
        record.reason = order.reason
        record.detail.append("mode_because", order.modeBecause.map(JSON.text))
        return record
    }
}
