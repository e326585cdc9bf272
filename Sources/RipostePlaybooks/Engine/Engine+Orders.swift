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
            let plan = try await plan(by: action, &draft)
            draft.note(plan)
            if let cause = order.skips?(plan) {
                draft.end(.skipped, cause)
                return settle(draft)
            }
            // What only reads or tells needs no turn, and waits for nobody who has it.
            let takesTurn = action.description.impact > .readsOnly
            if takesTurn { try await takeTurn(at: plan.target, draft.watch) }
            // A deed that hangs keeps the turn and leaves it when it comes back.
            defer { if takesTurn, !draft.isHanging { lanes.leave(plan.target.key) } }
            try await carryOut(plan, by: action, &draft)
        } catch {
            draft.fail(error)
        }
        let result = settle(draft)
        await followUp(result, of: order)
        return result
    }

    func request(for order: Order, _ description: ActionDescription) throws(ActionError) -> ActionRequest {
        let parameters: Parameters
        do throws(ParameterError) { parameters = try Parameters(checking: order.parameters, for: description) } catch {
            throw ActionError(
                .invalid, "check the parameters of \(order.action)", error.expectation, remedy: error.suggestion.map { "did you mean \"\($0)\"?" })
        }
        return ActionRequest(claim: order.claim, parameters: parameters, token: order.token, time: surroundings.now())
    }

    /// From the plan to the deed. The first no is the answer.
    private func carryOut(_ plan: Plan, by action: any Action, _ draft: inout OutcomeDraft) async throws(ActionError) {
        let ruling = try await askGuards(about: plan, for: draft.order)
        draft.note(ruling)
        if let alreadySo = plan.alreadySo {
            draft.end(.already, alreadySo)
            return
        }
        draft.keepToShare(of: plan.target)
        let wanted = draft.order.mode
        draft.limit(to: ruling.mode(for: draft.order))
        let braking = try await brake(plan, &draft)
        defer { endTrial(braking.trial) }
        draft.note(braking)
        switch braking.mode {
        case .observe:
            var why = braking.reason ?? (wanted == .observe ? nil : ruling.reason)
            if wanted == .observe { why = await shadow(plan, draft.order) }
            draft.end(.planned, "would \(plan.summary)\(why.map { "; \($0)" } ?? "")")
        case .ask: try putToPerson(plan, &draft)
        case .enforce:
            try await act(plan, by: action, &draft)
            tellIfClosed(braking.trial)
        }
    }

    /// The deed, within its budget, between the record of the intent and that of the outcome.
    func act(_ plan: Plan, by action: any Action, _ draft: inout OutcomeDraft) async throws(ActionError) {
        guard restsOnConsent(plan, &draft) else { return }
        try mindCancellation(draft)
        try await reserveBudget(for: draft.order, plan, &draft)
        defer { if !draft.isHanging { releaseBudget(for: draft) } }
        try announce(plan, &draft)
        do throws(ActionError) {
            draft.note(try await performance(of: plan, by: action, &draft), of: plan)
        } catch {
            draft.fail(error)
        }
        // Written while the budget is still held, so that two acts never pass through one place in it.
        write(&draft)
    }

    /// The intent, in the journal before the deed. Without it there is no deed.
    private func announce(_ plan: Plan, _ draft: inout OutcomeDraft) throws(ActionError) {
        draft.announced()
        do { try record(draft.intentRecord(of: plan)) } catch {
            throw ActionError(
                .unavailable, "write the intent into the journal", "\(error)", remedy: "nothing was done; make room for the journal or mend its disk")
        }
    }

    func draft(of order: Order) -> OutcomeDraft { OutcomeDraft(watch: watch(over: order), surroundings) }

    func settle(_ draft: OutcomeDraft) -> ActionResult {
        var draft = draft
        if !draft.isRecorded { write(&draft) }
        let result = draft.result
        if !draft.isHanging { forget(draft.watch) }
        draft.watch.settle(result, isHanging: draft.isHanging)
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
