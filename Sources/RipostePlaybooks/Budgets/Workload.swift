internal import RiposteCore

/// What runs in several copies that stand in for each other: the pods of one owner, the containers of one service.
package struct Workload: Sendable, Hashable {
    /// `shop/ReplicaSet/web-7d9f`, `shop_web`.
    package var name: String
    /// Copies that run now; 0 where nobody could say how many.
    package var replicas: Int

    package init(name: String, replicas: Int) {
        self.name = name
        self.replicas = replicas
    }
}

extension Workload {
    var json: JSON { ["name": .text(name), "replicas": .integer(Int64(replicas))] }

    init?(json: JSON) {
        guard let name = json.text("name"), let replicas = json.number("replicas") else { return nil }
        self.init(name: name, replicas: replicas)
    }
}

extension TargetFacts {
    package func workload(of plan: Plan) async throws(ActionError) -> Workload? { nil }
}

extension Engine.Interior {
    /// Holds room for an act in all of the budgets that cover it, their shares among them, or in none: then says which is in the way.
    mutating func reserve(_ id: Identifier, _ spend: Spend, in budgets: [BoundBudget], at uptime: Duration) -> BudgetBook.Excess? {
        if !book.isHeld(id), let excess = shareExcess(of: spend, in: budgets, at: uptime) { return excess }
        return book.reserve(id, spend, in: budgets, at: uptime)
    }

    /// The first budget whose share of the workload is taken up: by what stands and has not been taken back, whoever did it, and by what is under way;
    /// where another book is given, also by what stands there.
    func shareExcess(of spend: Spend, in budgets: [BoundBudget], beside other: BudgetBook? = nil, at uptime: Duration) -> BudgetBook.Excess? {
        guard let workload = spend.workload else { return nil }
        for bound in budgets {
            guard let share = bound.budget.share else { continue }
            var taken = book.taken(of: workload.name, within: bound.budget.per, at: uptime)
            if let other { taken.formUnion(other.taken(of: workload.name, within: bound.budget.per, at: uptime)) }
            for open in state.openUndos.values where open.workload == workload.name { taken.insert(open.target.key) }
            let limit = share.limit(of: workload.replicas)
            if !taken.contains(spend.target), taken.count >= limit {
                return BudgetBook.Excess(bound: bound, used: taken.count, limit: limit, countsTargets: true, workload: workload)
            }
        }
        return nil
    }
}

extension Engine {
    /// For so long an act waits at most to be told what it counts for in the budgets of others; it is done all the same.
    private static let othersPatience = Duration.seconds(1)

    /// Asked for only where a budget counts by it. A share of something whose size nobody knows is none.
    ///
    /// `watch`: of an order that may be about to act, and then counts for the shares of other playbooks too.
    func workload(of plan: Plan, _ order: Order, _ watch: OrderWatch?) async -> Workload? {
        let budgets = [order.budget, order.stepBudget].compactMap(\.self) + configuration.budgets.map(\.budget)
        guard let world else { return nil }
        if budgets.contains(where: { $0.share != nil }) { return await workload(of: plan, in: world) }
        guard let watch, order.mode == .enforce, boundsShares else { return nil }
        let deadline = min(watch.deadline, surroundings.uptime() + Self.othersPatience)
        return await patiently(watch, until: deadline, isPrompt: false) { await self.workload(of: plan, in: world) } ?? nil
    }

    private func workload(of plan: Plan, in world: any TargetFacts) async -> Workload? {
        do throws(ActionError) { return try await world.workload(of: plan) } catch {
            logger.warning("how many replicas there are is not known", metadata: ["target": "\(plan.target.summary)", "error": "\(error.message.escapedForDisplay)"])
            return Workload(name: plan.target.key, replicas: 0)
        }
    }
}
