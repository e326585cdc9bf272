internal import Logging
package import RiposteCore
internal import Synchronization

extension Engine {
    /// What one budget has left, for `status`.
    package struct BudgetUse: Sendable, Equatable {
        package var name: String
        package var used: Int
        package var limit: Int
        package var countsTargets: Bool
        package var per: Duration
        /// When the oldest act leaves the window.
        package var room: Duration?
    }

    // MARK: - Room for one act

    /// Holds room for the act in every budget that covers it. Of an order by hand the agent's budgets are told and do not bind; an undo needs none.
    func reserveBudget(for order: Order, _ plan: Plan, _ draft: inout OutcomeDraft) async throws(ActionError) {
        guard let spend = await spend(of: plan, &draft) else { return }
        let (budgets, uptime) = (budgets(covering: spend, order), surroundings.uptime())
        let excess = state.withLock { interior -> BudgetBook.Excess? in
            guard !interior.book.isHeld(order.id) else { return nil }
            let excess = interior.reserve(order.id, spend, in: budgets, at: uptime)
            if excess != nil, order.isByHand { interior.book.hold(order.id, spend) }
            return excess
        }
        guard let excess else { return }
        guard order.isByHand else {
            trip(excess, spend, order, plan)
            throw ActionError(.budget, "perform \(order.action)", excess.text)
        }
        draft.remark("beyond \(excess.text)")
    }

    /// Gives back what is held. What took place counts by its record; where the journal has not taken that yet, the room stays held until it has.
    func releaseBudget(for draft: OutcomeDraft) {
        let id = draft.order.id
        state.withLock { interior in
            guard !interior.owed.contains(where: { $0.kind == .outcome && $0.id == id }) else { return }
            interior.book.release(id)
        }
    }

    /// What would hold back an order that only plans, if it were to act at this moment: a breaker, or a budget of which too much is spent, in earnest or by others
    /// that only planned. What it would spend goes to counters of its own, so that looking costs nobody an act.
    func shadow(_ plan: Plan, _ order: Order) async -> String? {
        guard order.cause != nil, let spend = await spend(of: order, plan) else { return nil }
        let (budgets, uptime) = (budgets(covering: spend, order), surroundings.uptime())
        let names = breakerNames(spend, budgets)
        return state.withLock { interior in
            if let breaker = interior.breaker(among: names) { return breaker.words }
            if let excess = interior.shareExcess(of: spend, in: budgets, beside: interior.shadow, at: uptime) { return excess.text }
            for bound in budgets { if let excess = interior.book.excess(of: spend, in: bound, beside: &interior.shadow, at: uptime) { return excess.text } }
            if !budgets.isEmpty { interior.shadow.add(spend, at: uptime) }
            return nil
        }
    }

    // MARK: - Which budgets

    /// Found out once for an order.
    func spend(of plan: Plan, _ draft: inout OutcomeDraft) async -> Spend? {
        if let known = draft.spend { return known }
        guard let spend = await spend(of: draft.order, plan, draft.watch) else { return nil }
        draft.note(spend)
        return spend
    }

    /// Nil where nothing is spent: an undo, a release, an action that only reads. `watch`: of an order that may be about to act.
    func spend(of order: Order, _ plan: Plan, _ watch: OrderWatch? = nil) async -> Spend? {
        guard order.undoes == nil, let impact = catalogue[plan.action]?.description.impact, impact > .readsOnly, !catalogue.isRelease(plan.action) else { return nil }
        return Spend(
            playbook: order.cause?.playbook, step: order.cause?.step, action: plan.action.rawValue, impact: impact, target: plan.target.key,
            namespace: await namespace(of: plan), workload: await workload(of: plan, order, watch))
    }

    /// Asked for only where a budget counts by it.
    private func namespace(of plan: Plan) async -> String? {
        if case .pod(let pod) = plan.target { return pod.namespace }
        guard let world, configuration.budgets.contains(where: { $0.each == .namespace || !$0.namespaces.isEmpty }) else { return nil }
        do throws(ActionError) {
            for subject in try await world.facts(of: plan, .namespaces).subjects { if case .known(let namespace) = subject.namespace { return namespace } }
        } catch {
            logger.warning("in which namespace an action is counted is not known", metadata: ["error": "\(error.message.escapedForDisplay)"])
        }
        return nil
    }

    func budgets(covering spend: Spend, _ order: Order) -> [BoundBudget] {
        var result: [BoundBudget] = []
        if let cause = order.cause {
            if let budget = order.stepBudget { result.append(BoundBudget(scope: .step(playbook: cause.playbook, step: cause.step), budget: budget)) }
            if let budget = order.budget { result.append(BoundBudget(scope: .playbook(cause.playbook), budget: budget)) }
        }
        return result + configuration.budgets.compactMap { $0.bound(to: spend) }
    }

    // MARK: - Status

    /// The budgets of the playbooks in force and of the agent, as far as at least a half is used. Those that count each target apart are not among them.
    package var strainedBudgets: [BudgetUse] { budgetsInForce.filter { $0.used > 0 && $0.used * 2 >= $0.limit } }

    /// All of them, used or not.
    package var budgetsInForce: [BudgetUse] {
        var bounds: [(name: String, bound: BoundBudget)] = []
        for playbook in playbooks.playbooks {
            if let budget = playbook.budget { bounds.append(("playbook/\(playbook.name)", BoundBudget(scope: .playbook(playbook.name), budget: budget))) }
            for step in playbook.steps {
                guard let budget = step.budget else { continue }
                bounds.append(("playbook/\(playbook.name)/\(step.name)", BoundBudget(scope: .step(playbook: playbook.name, step: step.name), budget: budget)))
            }
        }
        for budget in configuration.budgets where budget.each == nil { bounds.append((budget.name, BoundBudget(scope: .agent(budget, nil), budget: budget.budget))) }
        let (all, uptime) = (bounds, surroundings.uptime())
        return state.withLock { interior in
            all.flatMap { name, bound -> [BudgetUse] in
                let use = interior.book.use(of: bound, at: uptime)
                let room = interior.book.room(in: bound, at: uptime)
                let counts = [(use.actions, bound.budget.actions, false), (use.targets.count, bound.budget.targets, true)]
                return counts.compactMap { used, limit, countsTargets in
                    guard let limit else { return nil }
                    return BudgetUse(name: name, used: used, limit: limit, countsTargets: countsTargets, per: bound.budget.per, room: room)
                }
            }
        }
    }
}

extension Engine.BudgetUse {
    package var json: JSON {
        var object: JSONObject = [
            "budget": .text(name), "used": .integer(Int64(used)), "limit": .integer(Int64(limit)), "counts": countsTargets ? "targets" : "actions", "per": .text(per.text),
        ]
        object.append("room_in_s", room.map { .integer($0.components.seconds + 1) })
        return .object(object)
    }
}
