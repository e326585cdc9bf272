internal import RiposteCore

/// What is spent and what is held of every budget at this moment, by the clock that nobody sets.
///
/// The ledger says when an act took place by the wall clock, which may be set; here each act has its time since start, taken from the wall clock once
/// when the agent begins. So a window is as long as it says, whatever becomes of the clock. A plain value: time comes as an argument.
struct BudgetBook: Sendable {
    /// Why an act does not fit.
    struct Excess: Equatable, Sendable {
        var bound: BoundBudget
        /// Acts or targets that are spent or held.
        var used: Int
        var limit: Int
        var countsTargets: Bool
        /// Set: a share of it is taken up.
        var workload: Workload?

        /// "the budget of playbook p is spent: 10 of 10 actions per 1h"
        var text: String {
            guard let workload, let share = bound.budget.share else {
                return "\(bound.scope.text) is spent: \(used) of \(limit) \(countsTargets ? "targets" : "actions") per \(bound.budget.per.text)"
            }
            guard workload.replicas > 0 else { return "\(bound.scope.text) leaves \(share.text), and how many replicas \(workload.name) has is not known" }
            return "\(bound.scope.text) leaves \(share.text), \(limit) of the \(workload.replicas) replicas of \(workload.name); \(used) are hit"
        }
    }

    private struct Act: Sendable {
        var at: Duration
        var spend: Spend
    }

    /// The acts that one budget counts, oldest first: made when it is first asked, and kept up since.
    private struct Series: Sendable {
        var acts: [(at: Duration, target: String)] = []

        /// The number of those within the window that ends now.
        func begin(of window: Duration, at now: Duration) -> Int {
            // What is exactly as old as the window has left it.
            acts.partitionIndex { now - $0.at < window }
        }
    }

    private static let seriesLimit = 4096

    private var acts: [Act] = []
    private var series: [BudgetScope: Series] = [:]
    /// The agent's budgets that have series: of those that count each target apart there are many series and one budget.
    private var counted: Set<AgentBudget> = []
    private var held: [Identifier: Spend] = [:]
    /// Of what is held, that which counts as an act too, and since when: its deed hangs.
    private var alsoCounted: [Identifier: Duration] = [:]
    private var followed = 0
    /// Acts that the ledger only counts, and when the newest of them took place.
    private var forgotten: (count: Int, newest: Duration)?

    init() {}

    /// What the journal tells of. Acts from the future, as after a clock that was set back, count as if of now.
    init(_ ledger: BudgetLedger, wall now: Timestamp, at uptime: Duration) {
        func began(_ time: Timestamp) -> Duration { uptime - max(.zero, now - time) }
        acts = ledger.acts.map { Act(at: began($0.time), spend: $0.spend) }.sorted { $0.at < $1.at }
        held = ledger.open
        followed = ledger.total
        forgotten = ledger.forgotten.map { ($0.count, began($0.newest)) }
    }

    /// Takes over what the ledger has counted since.
    mutating func follow(_ ledger: BudgetLedger, at uptime: Duration) {
        for act in ledger.acts.suffix(max(0, ledger.total - followed)) { add(act.spend, at: uptime) }
        followed = ledger.total
    }

    /// An act that counts from this moment on.
    mutating func add(_ spend: Spend, at uptime: Duration) {
        acts.append(Act(at: uptime, spend: spend))
        for scope in scopes(of: spend) { series[scope]?.acts.append((uptime, spend.target)) }
        let old = acts.partitionIndex { uptime - $0.at <= Budget.horizon }
        guard old > 1024 || acts.count > 2 * BudgetLedger.actLimit else { return }
        if acts.count > 2 * BudgetLedger.actLimit {
            let dropped = acts.prefix(acts.count - BudgetLedger.actLimit)
            forgotten = ((forgotten?.count ?? 0) + dropped.count, dropped.last?.at ?? uptime)
            acts.removeFirst(dropped.count)
        } else {
            acts.removeFirst(old)
        }
        forgetSeries()
    }

    /// All scopes that may have a series which counts it.
    private func scopes(of spend: Spend) -> [BudgetScope] {
        var scopes = counted.compactMap { $0.bound(to: spend)?.scope }
        if let playbook = spend.playbook {
            scopes.append(.playbook(playbook))
            if let step = spend.step { scopes.append(.step(playbook: playbook, step: step)) }
        }
        return scopes
    }

    private mutating func forgetSeries() { (series, counted) = ([:], []) }

    // MARK: - Asking

    /// Holds room for an act in all of the budgets that cover it, or in none: then says which is in the way.
    mutating func reserve(_ id: Identifier, _ spend: Spend, in budgets: [BoundBudget], at uptime: Duration) -> Excess? {
        guard held[id] == nil else { return nil }
        for bound in budgets { if let excess = excess(of: spend, in: bound, at: uptime) { return excess } }
        held[id] = spend
        return nil
    }

    /// Holds whether there is room or not.
    mutating func hold(_ id: Identifier, _ spend: Spend) { held[id] = spend }

    /// What is held counts as an act from this moment on. It is held all the same: beyond the window for a deed that may still take place.
    mutating func count(_ id: Identifier, at uptime: Duration) { if held[id] != nil { alsoCounted[id] = uptime } }

    @discardableResult
    mutating func release(_ id: Identifier) -> Spend? {
        alsoCounted[id] = nil
        return held.removeValue(forKey: id)
    }

    func isHeld(_ id: Identifier) -> Bool { held[id] != nil }

    /// Why one more act like this does not fit, or nil.
    mutating func excess(of spend: Spend, in bound: BoundBudget, at uptime: Duration) -> Excess? { Self.excess(of: spend, in: bound, use(of: bound, at: uptime)) }

    /// The same, where what stands in another book counts too.
    mutating func excess(of spend: Spend, in bound: BoundBudget, beside other: inout BudgetBook, at uptime: Duration) -> Excess? {
        let (ours, theirs) = (use(of: bound, at: uptime), other.use(of: bound, at: uptime))
        return Self.excess(of: spend, in: bound, (ours.actions + theirs.actions, ours.targets.union(theirs.targets)))
    }

    private static func excess(of spend: Spend, in bound: BoundBudget, _ use: (actions: Int, targets: Set<String>)) -> Excess? {
        if let limit = bound.budget.actions, use.actions >= limit { return Excess(bound: bound, used: use.actions, limit: limit, countsTargets: false) }
        guard let limit = bound.budget.targets, use.targets.count >= limit, !use.targets.contains(spend.target) else { return nil }
        return Excess(bound: bound, used: use.targets.count, limit: limit, countsTargets: true)
    }

    /// Targets of a workload that are being hit, or were hit within the window by what cannot be taken back.
    func taken(of workload: String, within window: Duration, at uptime: Duration) -> Set<String> {
        var targets = Set(held.values.filter { $0.workload?.name == workload }.map(\.target))
        for act in acts[acts.partitionIndex { uptime - $0.at < window }...] where act.spend.impact == .destroys && act.spend.workload?.name == workload {
            targets.insert(act.spend.target)
        }
        return targets
    }

    /// A budget of which more is used than there is, or, where `isSpent`, all of it.
    mutating func overdraft(in bound: BoundBudget, at uptime: Duration, isSpent: Bool) -> Excess? {
        let use = use(of: bound, at: uptime)
        for (used, limit, countsTargets) in [(use.actions, bound.budget.actions, false), (use.targets.count, bound.budget.targets, true)] {
            guard let limit, used > limit || (isSpent && used == limit) else { continue }
            return Excess(bound: bound, used: used, limit: limit, countsTargets: countsTargets)
        }
        return nil
    }

    /// What is spent or held of a budget; targets only where it counts them.
    mutating func use(of bound: BoundBudget, at uptime: Duration) -> (actions: Int, targets: Set<String>) {
        let series = series(of: bound.scope)
        let begin = series.begin(of: bound.budget.per, at: uptime)
        let heldHere = held.compactMap { id, spend in
            let isInWindow = alsoCounted[id].map { uptime - $0 < bound.budget.per } ?? false
            return !isInWindow && bound.scope.covers(spend) ? spend : nil
        }
        let lost = forgotten.map { uptime - $0.newest < bound.budget.per ? $0.count : 0 } ?? 0
        var targets: Set<String> = []
        if bound.budget.targets != nil {
            for act in series.acts[begin...] { targets.insert(act.target) }
            for spend in heldHere { targets.insert(spend.target) }
        }
        return (series.acts.count - begin + heldHere.count + lost, targets)
    }

    /// When the oldest act leaves the window: how long until there is room.
    mutating func room(in bound: BoundBudget, at uptime: Duration) -> Duration? {
        let series = series(of: bound.scope)
        let begin = series.begin(of: bound.budget.per, at: uptime)
        guard begin < series.acts.count else { return nil }
        return bound.budget.per - (uptime - series.acts[begin].at)
    }

    private mutating func series(of scope: BudgetScope) -> Series {
        if let known = series[scope] { return known }
        if series.count >= Self.seriesLimit { forgetSeries() }
        let made = Series(acts: acts.filter { scope.covers($0.spend) }.map { ($0.at, $0.spend.target) })
        series[scope] = made
        if case .agent(let budget, _) = scope { counted.insert(budget) }
        return made
    }
}

extension Array {
    /// The index of the first element for which it holds, where it holds for none before and for all after.
    fileprivate func partitionIndex(_ holds: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
