package import RiposteCore

/// A playbook's step as the kernel can carry it out: a signal to the process that did what a rule names, before its next instruction.
///
/// It is the same step: the alert still comes, the playbook still runs, and the journal says of the step that it was done, by the kernel.
package struct Reflex: Sendable, Equatable {
    package let playbook: String
    package let step: String
    /// Exact names.
    package let rules: [String]
    package let signal: Int32
    /// Of playbook and step; the agent's may be more careful.
    package let mode: Mode?
    package let budget: Allowance

    /// At most so many signals within any window of this length: what the kernel can count.
    package struct Allowance: Sendable, Equatable {
        package var actions: Int
        package var per: Duration

        /// Of several budgets that all hold: the fewest acts in the longest window keep each of them.
        package init?(_ budgets: [Budget]) {
            guard let actions = budgets.compactMap(\.actions).min(), let per = budgets.filter({ $0.actions != nil }).map(\.per).max() else { return nil }
            self.actions = actions
            self.per = per
        }
    }
}

extension Playbook {
    /// The reflex that this playbook begins with, or nil.
    package var reflex: Reflex? {
        guard isEnabled, reflexProblems.isEmpty, let step = steps.first, step.isReflex, let allowance = Reflex.Allowance([budget, step.budget].compactMap(\.self)),
            let signal = step.reflexSignal
        else { return nil }
        return Reflex(playbook: name, step: step.name, rules: match.rules, signal: signal, mode: [mode, step.mode].compactMap(\.self).min(), budget: allowance)
    }

    /// What keeps the steps that ask to be reflexes from being ones, in words for whoever wrote them.
    var reflexProblems: [String] {
        guard let index = steps.firstIndex(where: \.isReflex) else { return [] }
        let step = steps[index]
        var problems: [String] = []
        func require(_ holds: Bool, _ problem: String) { if !holds { problems.append("step \(step.name) cannot be a reflex: \(problem)") } }
        require(index == 0 && !steps.dropFirst().contains(where: \.isReflex), "only the first step can be one, as the kernel knows of none before it")
        require(step.reflexSignal != nil, "the kernel can only do process.kill, of the process itself: with a fixed signal, without tree and grace")
        require(step.block == nil, "the kernel does one thing, and knows of none beside it")
        require(step.when == nil && match.when == nil, "the kernel decides by the rule alone; put what `when` says into the rule")
        require(
            !match.rules.isEmpty && match.exceptRules.isEmpty && !match.rules.contains { $0.contains(where: { $0 == "*" || $0 == "?" }) },
            "name its rules exactly, so that what is armed does not change with rules of other names")
        require(budget?.actions != nil, "it needs a budget of actions, which disarms it in the kernel when it is spent")
        require(budget?.targets == nil && step.budget?.targets == nil, "the kernel counts signals, not targets; leave `targets` out of its budget")
        require(cooldown == nil, "a cooldown is not known to the kernel; the budget bounds it")
        return problems
    }
}

extension Step {
    /// The signal that the step sends to one process, where nothing of it depends on the alert; else nil.
    fileprivate var reflexSignal: Int32? {
        guard action == "process.kill" else { return nil }
        var signal: Signal? = .kill
        for (name, value) in parameters {
            switch (name, value) {
            case ("signal", .literal(let json)): signal = json.string?.valid.flatMap { Signal($0) }
            case ("tree", .literal(.bool(false))): break
            default: return nil
            }
        }
        return signal?.number
    }
}
