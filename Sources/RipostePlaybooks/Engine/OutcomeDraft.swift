internal import RiposteCore

/// An order on its way to an outcome: collects what the records will say.
struct OutcomeDraft {
    private(set) var order: Order
    let watch: OrderWatch
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
    /// Nobody can say that it did not take place: it counts like a deed.
    private var mayHaveActed = false
    /// The same of a deed of whatever kind, also of one that takes another back.
    private var isUnclear = false
    /// How long the act is to stand.
    var term: Duration?
    private var failures: [ActionError] = []
    private(set) var spend: Spend?
    private var ruling: GuardRuling?
    private var braking: Engine.Braking?
    /// The roll-out has not come to this target, whatever else asks.
    private var isBesideShare = false
    private var remarks: [String] = []
    /// Of an order that only looks: what would be in its way if it were to act.
    var wouldBeHeldBack: String?
    /// Its outcome was given to the journal; where that did not take it, the engine owes it.
    var isRecorded = false
    /// An attempt before the last failure may have been carried out, and nobody has looked since.
    var isInDoubt = false
    /// The deed has not come back; its end is put on record when it does.
    var isHanging = false
    /// Nobody can tell whether it took place, and a restart must not do it again.
    var isDoneOnce = false
    /// A second outcome of the same action, after the deed came back.
    var isLate = false

    init(watch: OrderWatch, _ surroundings: Surroundings) {
        order = watch.order
        self.watch = watch
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

    /// An undo takes back what stands now, which may be another act than when it was ordered.
    mutating func aim(at open: EngineState.OpenUndo) { (order.undoes, order.token) = (open.action, open.token) }

    /// Guards and brakes leave no more than this.
    mutating func limit(to mode: Mode) { order.mode = min(order.mode, mode) }

    mutating func note(_ ruling: GuardRuling) { self.ruling = ruling }

    mutating func note(_ braking: Engine.Braking) {
        self.braking = braking
        limit(to: braking.mode)
    }

    /// A guard or a brake makes it more careful than its mode, or its target is not of the roll-out's share.
    var isHeldBack: Bool { isBesideShare || braking?.heldBackBy != nil || ruling.map { $0.reason != nil } ?? false }

    mutating func note(_ spend: Spend) { self.spend = spend }

    /// What a person should know who reads the result.
    mutating func remark(_ remark: String) { remarks.append(remark) }

    /// A target that is not of the share that the roll-out has come to is treated as in the stage before.
    mutating func keepToShare(of target: Target) {
        guard let share = order.share, !share.includes(target) else { return }
        isBesideShare = share.beside < .enforce
        guard order.mode > share.beside else { return }
        order.mode = share.beside
        order.modeBecause = share.words
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
        isUnclear = true
        guard order.undoes == nil, order.restores == nil else { return }
        (outcome, self.failure) = (.failed, .unknown)
        message = "\(failure.message); whether it took place could not be found out: \(answer.message)"
        mayHaveActed = true
        // What cannot be taken back is counted all the same.
        guard let inverse = plan.inverse else { return }
        doubt = (inverse, token)
        due = term.map { time + $0 }
    }

    /// Failed in a way that proves nothing, and the target has ended since: likely by this.
    mutating func endedSince(_ failure: ActionError) {
        end(.gone, "\(failure.message); the target has ended since, by this action or otherwise")
        mayHaveActed = order.undoes == nil
    }

    /// Some members of the target were hit: they are taken back like all of them would be.
    mutating func standsInPart(_ failure: ActionError, of plan: Plan, token: JSONObject?) {
        fail(failure)
        (outcome, self.failure) = (.failed, .partial)
        guard let inverse = plan.inverse, let token, order.undoes == nil, order.restores == nil else { return }
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
        // Called off after the deed had begun, something may have been touched.
        end(error.failure == .cancelled && intended != nil ? .failed : error.outcome, error.message)
    }

    /// An attempt at the deed failed; whether there is another one is not said.
    mutating func note(_ failure: ActionError) { failures.append(failure) }

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
        record.detail.append("plan_digest", .text(order.digest(of: plan)))
        record.detail.append("undo_after", term.map { .text($0.text) })
        record.detail.append("cooldown", cooldown)
        record.detail.append("spends", spend?.detail)
        record.detail.append("trial", braking?.trial.map(JSON.text))
        record.detail.append("guards", ruling?.json)
        record.detail.append("approval", order.consent?.json)
        record.detail.append("escalation", order.follower?.json)
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
        if let plan { record.detail.append("plan_digest", .text(order.digest(of: plan))) }
        // What the kernel did had no intent.
        if intended == nil, outcome == .done { record.detail.append("spends", spend?.detail) }
        record.detail.append("held_back_by", braking?.heldBackBy.map(JSON.text))
        record.detail.append("would_be_held_back", wouldBeHeldBack.map(JSON.text))
        record.detail.append("guards", ruling?.json)
        if !remarks.isEmpty { record.detail.append("remarks", .array(remarks.map(JSON.text))) }
        if let performance { record.detail.append("confirmed", .bool(performance.isConfirmed)) }
        if !evidence.isEmpty { record.detail.append("evidence", .object(evidence)) }
        if let undo { record.detail.append("undo", undo) }
        if let prolonged {
            var object: JSONObject = ["action": .text("\(prolonged.action)")]
            object.append("due", prolonged.due.map { .text("\($0)") })
            record.detail.append("prolongs", .object(object))
        }
        // What may stand counts as done.
        if outcome == .done || doubt != nil || mayHaveActed { record.detail.append("cooldown", cooldown) }
        if mayHaveActed { record.detail.append("may_have_acted", true) }
        // One record with all attempts: the last failure, if it was the end, stands in the record itself.
        let earlier = failures.dropLast(failure == nil ? 0 : 1)
        if !earlier.isEmpty {
            record.detail.append("failed_attempts", .integer(Int64(earlier.count)))
            record.detail.append("attempt_failures", .array(earlier.suffix(5).map { ["class": .text($0.failure?.rawValue ?? ""), "message": .text($0.message)] }))
        }
        record.detail.append("cancelled", watch.cancellation?.json)
        if isHanging { record.detail.append("hanging", true) }
        if isLate { record.detail.append("late", true) }
        if isDoneOnce { record.detail.append("done_once", true) }
        record.detail.append("timing_us", .object(timing))
        return record
    }

    var result: ActionResult {
        let hasReason = outcome == .failed || outcome == .refused || outcome == .gone
        var result = ActionResult(
            id: order.id, playbook: order.cause?.playbook, step: order.cause?.step, action: order.action.rawValue, target: plan?.target,
            outcome: outcome, dryRun: order.isDryRun, reason: hasReason ? message : order.reason, detail: hasReason ? nil : detail,
            undo: undo == nil ? nil : ActionResult.Undo(available: true, due: due), duration: took)
        result.modeBecause = order.modeBecause
        result.mayHaveActed = outcome != .done && outcome != .undone && (mayHaveActed || isUnclear || isHanging || failure == .partial)
        return result
    }

    private var detail: String? {
        let parts = [message].compactMap(\.self) + remarks
        return parts.isEmpty ? nil : parts.joined(separator: "; ")
    }

    private var cooldown: JSON? { order.cooldownValues.map { .array($0.map(JSON.string)) } }

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
        record.detail.append("mode_because", order.modeBecause.map(JSON.text))
        return record
    }
}
