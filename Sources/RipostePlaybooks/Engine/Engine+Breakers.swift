internal import Logging
package import RiposteCore
internal import Synchronization

/// A breaker has changed: for terminals, and for an alert of our own.
package struct BreakerChange: Sendable, Equatable {
    package var name: String
    package var state: Breakers.State
    /// "the budget of playbook p is spent: 10 of 10 actions per 1h", "closed by ann".
    package var message: String
    package var over: Budget.Overflow?
    package var playbook: String?
    package var action: String?
    package var target: Target?
    package var time: Timestamp

    package var json: JSON {
        var object: JSONObject = ["breaker": .text(name), "state": .text(state.rawValue), "message": .text(message), "ts": .text("\(time)")]
        object.append("over", over.map { .text($0.rawValue) })
        object.append("playbook", playbook.map(JSON.text))
        object.append("action", action.map(JSON.text))
        object.append("target", target?.json)
        return .object(object)
    }
}

extension Engine {
    /// What brakes leave of an order, and why.
    struct Braking: Sendable {
        var mode: Mode
        /// The breaker that holds it back.
        var heldBackBy: String?
        var reason: String?
        /// The half-open breaker that lets it through.
        var trial: String?
    }

    /// The mode that brakes leave an order, with room held in its budgets where it is to act.
    ///
    /// A breaker that is open holds it back; a half-open one lets one through; else the budgets are asked, and the first that has no room trips a breaker. What trips it
    /// is refused where the budget's way is to observe, and put to a person where that is to ask. Orders by hand and undos are held back by none.
    func brake(_ plan: Plan, _ draft: inout OutcomeDraft) async throws(ActionError) -> Braking {
        let order = draft.order
        guard order.cause != nil, order.mode > .observe, let spend = await spend(of: plan, &draft) else { return Braking(mode: order.mode) }
        let budgets = budgets(covering: spend, order)
        switch order.mode == .enforce ? room(for: order, spend, budgets) : breaker(for: spend, budgets).map(Finding.held) ?? .free(trial: nil) {
        case .free(let trial): return Braking(mode: order.mode, trial: trial)
        case .held(let breaker) where breaker.over == .ask && order.hasPersonsYes:
            // A person was asked, and has said yes: what the budgets have room for is done.
            let uptime = surroundings.uptime()
            if let excess = state.withLock({ $0.reserve(order.id, spend, in: budgets, at: uptime) }) { throw ActionError(.budget, "perform \(order.action)", excess.text) }
            return Braking(mode: order.mode)
        case .held(let breaker):
            return Braking(
                mode: min(order.mode, breaker.over.mode), heldBackBy: breaker.name,
                reason: breaker.words)
        case .over(let excess, let trips):
            let mode = excess.bound.budget.over.mode
            if trips {
                trip(excess, spend, order, plan, isClaimed: true)
                if mode == .observe { throw ActionError(.budget, "perform \(order.action)", excess.text) }
            }
            if order.consent != nil { throw ActionError(.budget, "perform \(order.action)", excess.text) }
            return Braking(mode: mode, heldBackBy: excess.bound.scope.breaker(for: spend), reason: excess.text)
        }
    }

    private enum Finding: Sendable {
        case held(Breakers.Breaker)
        case free(trial: String?)
        /// `trips`: nobody else is tripping that breaker at this moment, and there is room for it.
        case over(BudgetBook.Excess, trips: Bool)
    }

    /// The first breaker in the way of an act that needs no room now.
    private func breaker(for spend: Spend, _ budgets: [BoundBudget]) -> Breakers.Breaker? {
        let names = breakerNames(spend, budgets)
        return state.withLock { interior in names.compactMap { interior.state.breakers[$0] }.first }
    }

    /// Breakers and budgets in one step: nothing comes between the look and the hold.
    private func room(for order: Order, _ spend: Spend, _ budgets: [BoundBudget]) -> Finding {
        let names = breakerNames(spend, budgets)
        let uptime = surroundings.uptime()
        return state.withLock { interior -> Finding in
            if let breaker = interior.breaker(among: names) { return .held(breaker) }
            let trial = names.first { interior.state.breakers[$0] != nil }
            if let excess = interior.reserve(order.id, spend, in: budgets, at: uptime) {
                let name = excess.bound.scope.breaker(for: spend)
                let hasRoom = interior.state.breakers[name] != nil || !interior.state.breakers.isFull
                return .over(excess, trips: hasRoom && interior.tripping.insert(name).inserted)
            }
            if let trial { interior.trials.insert(trial) }
            return .free(trial: trial)
        }
    }

    /// All that may hold an act back, in a certain order.
    func breakerNames(_ spend: Spend, _ budgets: [BoundBudget]) -> [String] {
        var names = [spend.playbook.map(Breakers.name(ofPlaybook:)), Breakers.name(ofAction: spend.action)].compactMap(\.self)
        for name in budgets.map({ $0.scope.breaker(for: spend) }) where !names.contains(name) { names.append(name) }
        return names
    }

    func endTrial(_ name: String?) {
        guard let name else { return }
        state.withLock { _ = $0.trials.remove(name) }
    }

    // MARK: - Changes

    /// Opens the breaker, on record first. A journal that cannot be written opens none; what is over budget is refused all the same.
    ///
    /// `isClaimed`: who calls has put it among those that are being tripped.
    func trip(_ excess: BudgetBook.Excess, _ spend: Spend, _ order: Order, _ plan: Plan, isClaimed: Bool = false) {
        let name = excess.bound.scope.breaker(for: spend)
        let isMine =
            isClaimed
            || state.withLock { interior in
                let hasRoom = interior.state.breakers[name].map { $0.state != .open } ?? !interior.state.breakers.isFull
                return hasRoom && interior.tripping.insert(name).inserted
            }
        guard isMine else { return }
        defer { state.withLock { _ = $0.tripping.remove(name) } }
        let budget = excess.bound.budget
        var record = AuditRecord(.brake, at: surroundings.now())
        record.run = order.cause?.run
        record.alert = order.cause?.alert
        record.actor = AuditRecord.Actor(.agent, name: "budget")
        record.playbook = spend.playbook
        record.step = spend.step
        record.action = spend.action
        record.target = plan.target
        record.message = excess.text
        record.detail = [
            "breaker": .text(name), "state": "open", "budget": .text(excess.bound.scope.text), "used": .integer(Int64(excess.used)), "limit": .integer(Int64(excess.limit)),
            "counts": excess.countsTargets ? "targets" : "actions", "per": .text(budget.per.text), "over": .text(budget.over.rawValue),
            "reopen": .text(budget.reopening.text),
        ]
        put(
            record,
            BreakerChange(
                name: name, state: .open, message: excess.text, over: budget.over, playbook: spend.playbook, action: spend.action, target: plan.target, time: record.time))
    }

    /// Closes a breaker at a person's word. The windows of its budget stay as they are: an act for which there is no room trips it again.
    package func closeBreaker(_ name: String, actor: AuditRecord.Actor, reason: String?) -> BreakerClosing {
        guard let breaker = snapshot.breakers[name] else { return .unknown }
        var record = AuditRecord(.brake, at: surroundings.now())
        record.actor = actor
        record.reason = reason
        record.message = "closed by \(actor.name)"
        record.detail = ["breaker": .text(name), "state": "closed"]
        let change = BreakerChange(name: name, state: .closed, message: "closed by \(actor.name)", time: record.time)
        return put(record, change) ? .closed(breaker) : .notOnRecord
    }

    package enum BreakerClosing: Sendable, Equatable {
        case closed(Breakers.Breaker)
        /// There is no such breaker, or it is closed.
        case unknown
        /// The journal does not take it: it stays as it is.
        case notOnRecord
    }

    /// After the quiet period a breaker is half-open, and says so.
    static let breakerChore = Chore(
        next: { engine in
            let pause = engine.state.withLock(\.breakerPause)
            return engine.firstEnd { interior in interior.state.breakers.all.map { .breaker($0.name) } }.map { max($0, pause.map(engine.wallTime) ?? $0) }
        },
        perform: { engine, now in
            for breaker in engine.snapshot.breakers.all {
                if let end = engine.firstEnd(of: { _ in [.breaker(breaker.name)] }), end <= now { engine.halfOpen(breaker) }
            }
        })

    private func halfOpen(_ breaker: Breakers.Breaker) {
        var record = AuditRecord(.brake, at: surroundings.now())
        record.actor = AuditRecord.Actor(.timer, name: "budget.reopen")
        record.message = "nothing has asked for \(breaker.reopening.text): one act is let through"
        record.detail = ["breaker": .text(breaker.name), "state": "half_open"]
        let isOnRecord = put(record, BreakerChange(name: breaker.name, state: .halfOpen, message: record.message ?? "", time: record.time))
        let retry = surroundings.uptime() + .seconds(30)
        state.withLock { $0.breakerPause = isOnRecord ? nil : retry }
    }

    /// The act that a half-open breaker let through is done: it is closed by that act's record, and told of here.
    func tellIfClosed(_ trial: String?) {
        guard let trial, snapshot.breakers[trial] == nil else { return }
        report(.breaker(BreakerChange(name: trial, state: .closed, message: "the act that it let through is done", time: surroundings.now())))
    }

    @discardableResult
    private func put(_ record: AuditRecord, _ change: BreakerChange) -> Bool {
        do { try self.record(record) } catch { return false }
        logger.warning("breaker", metadata: ["breaker": "\(change.name.escapedForDisplay)", "state": "\(change.state.rawValue)", "message": "\(change.message.escapedForDisplay)"])
        report(.breaker(change))
        return true
    }
}

extension Engine.Interior {
    /// The one of these that holds an act back: each that is open; of the half-open ones, which let one act through at a time, all but the first.
    func breaker(among names: [String]) -> Breakers.Breaker? {
        var isOnTrial = false
        for name in names {
            guard let breaker = state.breakers[name] else { continue }
            let letsOneThrough = breaker.state == .halfOpen && !trials.contains(name) && !state.breakers.isOnTrial(name)
            guard letsOneThrough, !isOnTrial else { return breaker }
            isOnTrial = true
        }
        return nil
    }
}

extension Breakers.Breaker {
    /// "breaker playbook/p is open: the budget of playbook p is spent: 10 of 10 actions per 1h"
    var words: String { "breaker \(name) is \(state == .open ? "open" : "half-open, at its one act"): \(cause)" }
}
