internal import RiposteCore

/// An order on its way to an outcome: collects what the records will say.
struct OutcomeDraft {
    let order: Order
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
    /// The time of an act that stands already is made longer by this order.
    private var prolonged: (action: Identifier, due: Timestamp?)?
    /// Nobody knows whether the deed took place: what takes it back is armed with this.
    private var doubt: (inverse: ActionName?, token: JSONObject?)?
    /// How long the act is to stand.
    var term: Duration?
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

    mutating func announced() { intended = elapsed }

    mutating func note(_ performance: Performance, of plan: Plan) {
        self.performance = performance
        evidence = performance.evidence
        // A deed that takes another one back has a name of its own.
        let outcome = order.undoes != nil && performance.outcome == .done ? .undone : performance.outcome
        end(outcome, performance.message)
        if performance.outcome == .done, order.undoes == nil, plan.inverse != nil { due = term.map { time + $0 } }
    }

    /// Failed in a way that proves nothing, and the world does not tell.
    mutating func doubt(_ failure: ActionError, _ answer: ActionError, of plan: Plan, token: JSONObject?) {
        fail(failure)
        guard let inverse = plan.inverse, order.undoes == nil, order.restores == nil else { return }
        self.failure = .unknown
        message = "\(failure.message); whether it took place could not be found out: \(answer.message)"
        doubt = (inverse, token)
        due = term.map { time + $0 }
    }

    /// Some members of the target were hit: they are taken back like all of them would be.
    mutating func standsInPart(_ failure: ActionError, of plan: Plan) {
        fail(failure)
        guard let inverse = plan.inverse, let token = failure.evidence["undo_token"]?.object, order.undoes == nil, order.restores == nil else { return }
        doubt = (inverse, token)
        due = term.map { time + $0 }
    }

    /// What is asked for stands already, and from now on for longer; `due` nil: until somebody takes it back.
    mutating func prolong(_ action: Identifier, _ due: Timestamp?, _ words: String) {
        if order.mode == .enforce { prolonged = (action, due) }
        message = [message, order.mode == .enforce ? words : "would be prolonged: \(words)"].compactMap(\.self).joined(separator: "; ")
    }

    /// The deed may stand in the world.
    var mayStand: Bool { outcome == .done || outcome == .undone || doubt != nil }

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
        record.detail.append("undo_after", term.map { .text($0.text) })
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
        if let prolonged {
            var object: JSONObject = ["action": .text("\(prolonged.action)")]
            object.append("due", prolonged.due.map { .text("\($0)") })
            record.detail.append("prolongs", .object(object))
        }
        if outcome == .done, let values = order.cooldownValues { record.detail.append("cooldown", .array(values.map(JSON.string))) }
        record.detail.append("timing_us", .object(timing))
        return record
    }

    var result: ActionResult {
        let hasReason = outcome == .failed || outcome == .refused || outcome == .gone
        return ActionResult(
            id: order.id, playbook: order.cause?.playbook, step: order.cause?.step, action: order.action.rawValue, target: plan?.target,
            outcome: outcome, dryRun: order.isDryRun, reason: hasReason ? message : order.reason, detail: hasReason ? nil : message,
            undo: undo == nil ? nil : ActionResult.Undo(available: true, due: due), duration: took)
    }

    private var undo: JSON? {
        guard order.undoes == nil, order.restores == nil else { return nil }
        let (inverse, token) = doubt ?? (performance?.outcome == .done ? plan?.inverse : nil, performance?.undoToken)
        guard let inverse else { return nil }
        var object: JSONObject = ["inverse": .text(inverse.rawValue)]
        object.append("due", due.map { .text("\($0)") })
        object.append("token", token.map(JSON.object))
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
        if let restored = order.restores {
            var object: JSONObject = ["action": .text("\(restored)")]
            object.append("token", performance?.undoToken.map(JSON.object))
            record.detail.append("restores", .object(object))
        }
        record.detail.append("late_by", order.lateBy.map { .text($0.text) })
        if order.isForced { record.detail.append("forced", true) }
        return record
    }
}
