internal import Logging
internal import RiposteCore
internal import Synchronization

extension Engine {
    /// What a step says of asking people, taken into its order.
    func prepare(_ order: inout Order, _ step: Step, of playbook: Playbook, for alert: Alert) throws(ActionError) {
        guard let description = catalogue[step.action]?.description else { return }
        let asksSomebodyElse = asksSomebodyElse(about: step)
        order.question = Order.Question(
            // Who feeds in an own playbook does not say in it who is to decide about that.
            terms: configuration.approvals.terms(asksSomebodyElse ? [] : [playbook.approval, step.approval], for: description), hold: step.hold, mayEnforce: order.mode == .enforce,
            isModeGiven: configuration.isByHand, playbookDigest: playbook.digest, workload: alert.workload, alert: alert,
            intake: alert.arrival.intake, requester: asksSomebodyElse ? configuration.person : nil)
        if step.approval != nil { order.mode = min(order.mode, .ask) }
        if order.mode == .enforce { order.follower = try follower(of: step, playbook, alert) }
    }

    /// Mode `ask`: the plan waits for a person. Its record holds all that is needed to perform it later, whoever does.
    func putToPerson(_ plan: Plan, _ draft: inout OutcomeDraft) throws(ActionError) {
        let order = draft.order
        guard order.consent == nil else { throw ActionError(.mode, "perform \(order.action)", "it was approved, and the mode went back to ask since") }
        if let open = order.undoes.flatMap(snapshot.approvals.request(toTakeBack:)) ?? order.restores.flatMap(snapshot.approvals.request(toRestore:)) {
            return draft.end(.pending, "would \(plan.summary); that is asked already: riposte approvals show \(open.id)")
        }
        guard let description = catalogue[order.action]?.description else { return }
        var question =
            order.question
            ?? Order.Question(
                terms: configuration.approvals.terms([], for: description), mayEnforce: false, isModeGiven: true, workload: plan.target.summary)
        // What a guard or a brake holds back is not done unasked, nor is anything else in its place.
        if draft.isHeldBack { question.mayEnforce = false }
        let asked = question
        switch state.questions.withLock({ _ in put(plan, order, asked, .plan) }) {
        case .opened(let deadline):
            draft.end(.pending, "would \(plan.summary); waits until \(deadline.toTheSecond): riposte approvals show \(order.id)")
        case .joined(let request, let deadline):
            draft.end(.pending, "would \(plan.summary); waits with others like it until \(deadline.toTheSecond): riposte approvals show \(request)")
        case .overflow(let open, let told):
            draft.end(.planned, "would \(plan.summary); nobody is asked, as \(open) questions are open already")
            if let told { report(.crowdedOut(told)) }
        case .failed(let problem):
            throw ActionError(.unavailable, "write the question into the journal", problem, remedy: "nothing was done; make room for the journal or mend its disk")
        }
    }

    enum Put {
        case opened(Timestamp)
        case joined(Identifier, Timestamp)
        /// With what is to be told, where it is the first one.
        case overflow(open: Int, UnaskedPlan?)
        case failed(String)
    }

    /// Within ``SharedInterior/questions``.
    func put(_ plan: Plan, _ order: Order, _ question: Order.Question, _ kind: ApprovalRequest.Kind, escalates: Identifier? = nil) -> Put {
        let now = surroundings.now()
        let book = snapshot.approvals
        let place = book.place(
            question, kind, step: order.cause?.step, action: order.action, limit: configuration.approvals.openLimit,
            isOver: { [self] in $0.isOverdue(at: time(of: $0.id)) })
        var record = questionRecord(plan, order, question, at: now)
        let answer: Put
        switch place {
        case .new:
            let facts = ApprovalFacts(
                kind: kind, deadline: now + question.terms.expires, terms: question.terms, workload: question.workload, playbookDigest: question.playbookDigest,
                escalates: escalates, mayEnforce: question.mayEnforce, isModeGiven: question.isModeGiven)
            record.detail.members = [.init(key: "state", value: .text(ApprovalState.requested.rawValue))] + facts.members.members + record.detail.members
            answer = .opened(facts.deadline)
        case .join(let id):
            guard let request = book.requests[id] else { return .failed("the question is closed") }
            record.detail.members =
                [
                    .init(key: "state", value: .text(ApprovalState.joined.rawValue)), .init(key: "request", value: .text("\(id)")),
                    .init(key: "may_enforce", value: .bool(question.mayEnforce)),
                ] + record.detail.members
            // What is asked about already is held already.
            if request.members.contains(where: { $0.hold != .none && $0.digest == order.digest(of: plan) }) { record.detail["hold"] = nil }
            answer = .joined(id, request.deadline)
        case .overflow(let open):
            return .overflow(open: open, noteOverflow(plan, order, open, since: book, at: now))
        }
        do { try self.record(record) } catch { return .failed("\(error)") }
        return answer
    }

    private func questionRecord(_ plan: Plan, _ order: Order, _ question: Order.Question, at now: Timestamp) -> AuditRecord {
        var record = AuditRecord(.approval, at: now, id: order.id)
        record.run = order.cause?.run
        record.alert = order.cause?.alert
        record.actor = order.actor
        record.playbook = order.cause?.playbook
        record.step = order.cause?.step
        record.action = order.action.rawValue
        record.target = plan.target
        record.mode = order.mode
        record.reason = order.reason
        record.message = plan.summary
        record.detail = ["plan": .object(plan.json), "plan_digest": .text(order.digest(of: plan))]
        record.detail.append("undo_after", order.undoAfter.map { .text($0.text) })
        order.noteOrigin(in: &record)
        record.detail.append("budget", order.budget?.json)
        record.detail.append("step_budget", order.stepBudget?.json)
        record.detail.append("cooldown", order.cooldownValues.map { .array($0.map(JSON.string)) })
        record.detail.append("why", question.alert?.evidenceForQuestion)
        record.detail.append("intake", question.intake.map(JSON.text))
        record.detail.append("requester", question.requester?.json)
        if let hold = question.hold, question.mayEnforce {
            record.detail.append("hold", ["id": .text("\(surroundings.newIdentifier())"), "action": .text(hold.rawValue)])
        }
        return record
    }

    /// On record once, until there is room again; gives what is to be told then.
    private func noteOverflow(_ plan: Plan, _ order: Order, _ open: Int, since book: ApprovalBook, at now: Timestamp) -> UnaskedPlan? {
        state.withLock { $0.approvals.overflowed += 1 }
        guard !book.isOverflowing else { return nil }
        logger.warning("too many questions are open; plans that would ask are only observed", metadata: ["approvals.open": "\(open)"])
        var record = AuditRecord(.approval, at: now, id: order.id, detail: ["state": .text(ApprovalState.overflow.rawValue), "open": .integer(Int64(open))])
        record.actor = order.actor
        record.playbook = order.cause?.playbook
        record.step = order.cause?.step
        record.action = order.action.rawValue
        let unasked = UnaskedPlan(open: open, playbook: record.playbook, step: record.step, action: order.action, target: plan.target, time: now)
        record.message = unasked.message
        do { try self.record(record) } catch { logger.error("the want of room for questions is not on record", metadata: ["error": "\(error)"]) }
        return unasked
    }

    /// What comes after an outcome: the hold while a person decides, the escalation that is owed, weaker questions that have lost their point.
    func followUp(_ result: ActionResult, of order: Order) async {
        switch result.outcome {
        case .pending:
            let request = snapshot.approvals.request(holding: result.id)
            let isPlannedOnly = request.flatMap { request in request.members.first { $0.id == result.id }.map { !request.mayEnforce($0) } } ?? false
            await holdMeanwhile(result.id, for: order.question?.alert, isPlannedOnly: order.question?.hold != nil && isPlannedOnly)
        case .done:
            if order.follower != nil { await putEscalation(of: result.id) }
            withdrawWeaker(than: result)
        case .undone:
            // What was to follow on the deed that is taken back, and what was asked about it, is withdrawn by that record.
            guard let undone = order.undoes else { return }
            for request in snapshot.approvals.requests.values.sorted(by: { $0.id < $1.id })
            where request.hangs(on: undone) && !request.isWaiting && claim(request.id) { await conclude(request.id) }
        default: break
        }
    }

    /// Whether an order may be performed now: it needs no consent, or has that for this very plan, in time.
    func restsOnConsent(_ plan: Plan, _ draft: inout OutcomeDraft) -> Bool {
        guard let consent = draft.order.consent else { return true }
        let digest = draft.order.digest(of: plan)
        guard digest == consent.digest else {
            draft.fail(
                ActionError(
                    .drifted, "perform what was approved",
                    "approved was \"\(consent.summary)\" (plan \(consent.digest.prefix(12))), and now it would \(plan.summary) (plan \(digest.prefix(12)))"))
            return false
        }
        if let until = consent.until, time(of: consent.request) >= until {
            draft.end(.expired, "it was approved, but the time for it was over at \(until.toTheSecond), before it could be performed")
            return false
        }
        return true
    }
}

extension Timestamp {
    /// For people.
    var toTheSecond: String { "\(description.prefix(19))Z" }
}
