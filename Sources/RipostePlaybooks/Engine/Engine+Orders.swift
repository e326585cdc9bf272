internal import Logging
package import RiposteCore
internal import Synchronization

extension Engine {
    /// Carries out one order to its outcome. Never throws: every way to end is an outcome, and it is on record.
    package func carryOut(_ order: Order) async -> ActionResult {
        guard begin() else {
            return refusal(of: order, ActionError(.unavailable, "perform \(order.action)", "the agent is stopping"), took: .zero)
        }
        defer { end() }
        return await perform(order)
    }

    /// ``carryOut(_:)`` for whoever is counted as under way already.
    func perform(_ order: Order) async -> ActionResult {
        var draft = draft(of: order)
        do throws(ActionError) {
            guard let action = catalogue[order.action] else {
                throw ActionError(.invalid, "look up the action", "there is no action \"\(order.action.rawValue.escapedForDisplay)\"")
            }
            let plan = try await action.plan(request(for: order, action.description))
            draft.note(plan)
            guard await lanes.enter(plan.target.key) else {
                throw ActionError(.busy, "take a turn at \(plan.target.summary)", "\(Lanes.waiterLimit) others wait already")
            }
            defer { lanes.leave(plan.target.key) }
            try await carryOut(plan, by: action, &draft)
        } catch {
            draft.fail(error)
        }
        return settle(draft)
    }

    private func request(for order: Order, _ description: ActionDescription) throws(ActionError) -> ActionRequest {
        let parameters: Parameters
        do throws(ParameterError) { parameters = try Parameters(checking: order.parameters, for: description) } catch {
            throw ActionError(
                .invalid, "check the parameters of \(order.action)", error.expectation, remedy: error.suggestion.map { "did you mean \"\($0)\"?" })
        }
        return ActionRequest(claim: order.claim, parameters: parameters, token: order.token, isForced: order.isForced, time: surroundings.now())
    }

    /// From the plan to the deed. The first no is the answer.
    private func carryOut(_ plan: Plan, by action: any Action, _ draft: inout OutcomeDraft) async throws(ActionError) {
        try await askGuards(about: plan)
        try mindPardon(of: plan, draft.order)
        draft.term = term(of: draft.order, plan)
        if let alreadySo = plan.alreadySo {
            draft.end(.already, alreadySo)
            prolong(plan, &draft)
            // In the target's turn: whoever comes next finds what a person's word has ended.
            pardonIfReleased(plan, draft)
            write(&draft)
            return
        }
        switch draft.order.mode {
        case .observe: draft.end(.planned, "would \(plan.summary)")
        case .ask: try putToPerson(plan, &draft)
        case .enforce: try await act(plan, by: action, &draft)
        }
    }

    /// The deed, within its budget, between the record of the intent and that of the outcome.
    func act(_ plan: Plan, by action: any Action, _ draft: inout OutcomeDraft) async throws(ActionError) {
        try mindRestoration(draft.order)
        try reserveBudget(for: draft.order)
        defer { releaseBudget(for: draft.order) }
        try announce(plan, &draft)
        do throws(ActionError) {
            draft.note(try await performance(of: plan, by: action, draft.order), of: plan)
        } catch {
            await settle(error, of: plan, by: action, &draft)
        }
        pardonIfReleased(plan, draft)
        // Written while the budget is still held, so that two acts never pass through one place in it.
        if draft.mayStand { write(&draft) }
    }

    /// What a person let go is not taken again at once.
    private func pardonIfReleased(_ plan: Plan, _ draft: OutcomeDraft) {
        let order = draft.order
        let isOver = draft.outcome == .undone || draft.outcome == .done || draft.outcome == .already && !order.isDryRun
        guard order.actor.kind == .person, isOver, catalogue.releases.contains(plan.action) else { return }
        pardon(plan.target, by: order.actor, reason: order.reason, undoing: order.undoes)
    }

    /// The intent, in the journal before the deed. Without it there is no deed.
    private func announce(_ plan: Plan, _ draft: inout OutcomeDraft) throws(ActionError) {
        draft.announced()
        do { try record(draft.intentRecord(of: plan)) } catch {
            throw ActionError(
                .unavailable, "write the intent into the journal", "\(error)", remedy: "nothing was done; make room for the journal or mend its disk")
        }
    }

    func draft(of order: Order) -> OutcomeDraft { OutcomeDraft(order: order, surroundings) }

    func settle(_ draft: OutcomeDraft) -> ActionResult {
        var draft = draft
        if !draft.isRecorded { write(&draft) }
        let result = draft.result
        report(.result(result))
        return result
    }

    /// A deed that is done cannot be undone by a full disk: the result stands, and the record is owed to the journal.
    private func write(_ draft: inout OutcomeDraft) {
        draft.isRecorded = true
        try? record(draft.outcomeRecord)
    }

    func refusal(of order: Order, _ error: ActionError, took duration: Duration) -> ActionResult {
        ActionResult(
            id: order.id, playbook: order.cause?.playbook, step: order.cause?.step, action: order.action.rawValue, outcome: error.outcome,
            dryRun: order.isDryRun, reason: error.message, duration: duration)
    }
}
