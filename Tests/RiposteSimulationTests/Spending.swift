import RiposteCore
import RipostePlaybooks

/// What was done, counted against every budget: the acts in any window are no more than the smallest that covers them.
///
/// Time is what has really passed; across restarts it is what the wall clock says, as nobody knows better.
struct Spending: Sendable {
    private struct Act: Sendable {
        let record: AuditRecord
        var at: Duration
    }

    private struct Bound {
        let name: String
        let budget: Budget
        let covers: (AuditRecord) -> Bool
    }

    private var acts: [Identifier: Act] = [:]
    private var open: [Identifier: AuditRecord] = [:]
    private var firstDone: [Identifier: Duration] = [:]

    mutating func begin(now: Timestamp, uptime: Duration) {
        acts = acts.mapValues { Act(record: $0.record, at: uptime - max(.zero, now - $0.record.time)) }
    }

    /// When the action was done.
    func uptime(of id: Identifier) -> Duration? { firstDone[id] }

    mutating func settle(_ outcome: AuditRecord, _ intent: AuditRecord?, _ uptime: Duration) {
        guard let id = outcome.id else { return }
        open[id] = nil
        guard let intent, spends(intent) else { return }
        let isUnclear = outcome.outcome == .failed && [.partial, .timeout, .unknown].contains(outcome.failure) || outcome.detail["hanging"]?.bool == true
        if outcome.outcome == .done { firstDone[id] = firstDone[id] ?? uptime }
        if outcome.outcome == .done || isUnclear || outcome.actor?.kind == .recovery { acts[id] = Act(record: outcome, at: uptime) }
    }

    /// Room is held from the intent on. What a person orders is counted, and not bound.
    mutating func problem(withIntent intent: AuditRecord, _ uptime: Duration) -> String? {
        guard let id = intent.id, spends(intent) else { return nil }
        defer { open[id] = intent }
        guard intent.playbook != nil else { return nil }
        for bound in Self.bounds(of: intent) {
            let counted = acts.values.filter { uptime - $0.at < bound.budget.per && bound.covers($0.record) }.map(\.record) + open.values.filter(bound.covers)
            if let limit = bound.budget.actions, counted.count >= limit { return "one more act than the \(limit) of \(bound.name): \(intent.action ?? "?")" }
            let targets = Set(counted.compactMap(\.target?.key))
            guard let limit = bound.budget.targets, let key = intent.target?.key, !targets.contains(key), targets.count >= limit else { continue }
            return "one more target than the \(limit) of \(bound.name): \(key)"
        }
        return nil
    }

    private func spends(_ record: AuditRecord) -> Bool { record.undoes == nil && !SimulatedWorld.releases.contains(record.action ?? "") }

    private static func bounds(of intent: AuditRecord) -> [Bound] {
        var bounds: [Bound] = []
        if let name = intent.playbook, let budget = SimulatedPlaybooks.budgets[name] {
            bounds.append(Bound(name: "playbook \(name)", budget: budget) { $0.playbook == name })
        }
        if let name = intent.playbook, let step = intent.step, let budget = SimulatedPlaybooks.budgets["\(name)/\(step)"] {
            bounds.append(Bound(name: "step \(name)/\(step)", budget: budget) { $0.playbook == name && $0.step == step })
        }
        let (destroys, key) = (SimulatedWorld.destroying.contains(intent.action ?? ""), intent.target?.key)
        for budget in SimulatedPlaybooks.agentBudgets where budget.impact == nil || destroys {
            bounds.append(
                Bound(name: "the agent's \(budget.name)", budget: budget.budget) { act in
                    (budget.impact == nil || SimulatedWorld.destroying.contains(act.action ?? "")) && (budget.each != .target || act.target?.key == key)
                })
        }
        return bounds
    }
}
