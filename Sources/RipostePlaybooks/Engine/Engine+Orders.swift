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
            var plan = try await plan(by: action, &draft)
            draft.note(plan)
            if let cause = order.skips?(plan) {
                draft.end(.skipped, cause)
                return settle(draft)
            }
            let key = plan.target.key
            // What only reads or tells needs no turn, and an order that only looks takes none from those who act: alerts that nobody believes must not fill the queue.
            let takesTurn = action.description.impact > .readsOnly && draft.order.mode > .observe
            let hasWaited = takesTurn ? try await takeTurn(at: plan.target, draft.watch) : false
            // A deed that hangs keeps the turn and leaves it when it comes back.
            defer { if takesTurn, !draft.isHanging { lanes.leave(key) } }
            // Whoever was before us has changed the target: what is so already must not be done, and claimed, a second time.
            let token = draft.order.token
            if let ending = ending(ofUndo: &draft) {
                draft.end(ending.outcome, ending.words)
                return settle(draft)
            }
            if hasWaited || token != draft.order.token {
                plan = try await look(plan, by: action, draft.watch, token: draft.order.token, until: draft.watch.deadline)
                draft.note(plan)
            }
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
        return ActionRequest(claim: order.claim, parameters: parameters, token: order.token, isForced: order.isForced, time: surroundings.now())
    }

    /// From the plan to the deed. The first no is the answer.
    private func carryOut(_ plan: Plan, by action: any Action, _ draft: inout OutcomeDraft) async throws(ActionError) {
        let ruling = try await askGuards(about: plan, for: draft.order)
        draft.note(ruling)
        try mindPardon(of: plan, draft.order)
        draft.term = term(of: draft.order, plan)
        draft.keepToShare(of: plan.target)
        let wanted = draft.order.mode
        draft.limit(to: ruling.mode(for: draft.order))
        if let alreadySo = plan.alreadySo {
            draft.end(.already, alreadySo)
            prolong(plan, &draft)
            // In the target's turn: whoever comes next finds what a person's word has ended.
            pardonIfReleased(plan, draft)
            write(&draft)
            return
        }
        let braking = try await brake(plan, &draft)
        defer { endTrial(braking.trial) }
        draft.note(braking)
        switch braking.mode {
        case .observe:
            var why = braking.reason ?? (wanted == .observe ? nil : ruling.reason)
            if wanted == .observe {
                draft.wouldBeHeldBack = await shadow(plan, draft.order)
                why = draft.wouldBeHeldBack
            }
            draft.end(.planned, "would \(plan.summary)\(why.map { "; \($0)" } ?? "")")
        case .ask: try putToPerson(plan, &draft)
        case .enforce:
            try await act(plan, by: action, &draft)
            tellIfClosed(braking.trial)
        }
    }

    /// The deed, within its budget, between the record of the intent and that of the outcome.
    func act(_ plan: Plan, by action: any Action, _ draft: inout OutcomeDraft) async throws(ActionError) {
        // Found out before the rest, as it may take a moment in which things change.
        _ = await spend(of: plan, &draft)
        try mindRestoration(draft.order)
        try mindCancellation(draft)
        try await reserveBudget(for: draft.order, plan, &draft)
        defer { if !draft.isHanging { releaseBudget(for: draft) } }
        guard restsOnConsent(plan, &draft) else { return }
        try announce(plan, &draft)
        do throws(ActionError) {
            draft.note(try await performance(of: plan, by: action, &draft), of: plan)
        } catch {
            await settle(error, of: plan, by: action, &draft)
        }
        pardonIfReleased(plan, draft)
        // Written while the budget is still held, so that two acts never pass through one place in it.
        write(&draft)
    }

    /// What a person let go is not taken again at once.
    func pardonIfReleased(_ plan: Plan, _ draft: OutcomeDraft) {
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

    func draft(of order: Order) -> OutcomeDraft { OutcomeDraft(watch: watch(over: order), surroundings) }

    func settle(_ draft: OutcomeDraft) -> ActionResult {
        var draft = draft
        if !draft.isRecorded { write(&draft) }
        var result = draft.result
        result.sinceAlert = draft.order.cause?.arrivedAt.map { surroundings.now() - $0 }
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
