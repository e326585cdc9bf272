package import RiposteCore
package import RipostePlaybooks
package import RiposteRules
package import RiposteSensor

/// Which of the playbooks' reflexes can be armed with the rules in force, and why others cannot.
package struct ReflexPlan: Sendable {
    /// Why a reflex of a playbook is not armed for one of its rules.
    package struct Problem: Sendable, Equatable {
        package let playbook: String
        package let rule: String
        package let reason: String
    }

    package private(set) var set = ReflexSet()
    package private(set) var problems: [Problem] = []

    /// What brakes say to the kernel: the agent's budgets that a signal spends from, when each playbook acted, and whose breaker is not closed.
    package struct Brakes: Sendable {
        package var budgets: [Budget]
        /// Those of the configuration, which look at more than the kernel can.
        package var guards: [GuardRule]
        package var spent: @Sendable (String) -> [Timestamp]
        package var isTripped: @Sendable (String) -> Bool

        package init(
            budgets: [Budget] = [], guards: [GuardRule] = [], spent: @escaping @Sendable (String) -> [Timestamp] = { _ in [] },
            isTripped: @escaping @Sendable (String) -> Bool = { _ in false }
        ) {
            self.budgets = budgets
            self.guards = guards
            self.spent = spent
            self.isTripped = isTripped
        }
    }

    /// `mode`: the widest of each playbook at this moment.
    package init(_ playbooks: PlaybookSet, _ rules: RuleSet, mode: @Sendable (Playbook) -> Mode, _ brakes: Brakes = Brakes()) {
        for (index, playbook) in playbooks.playbooks.enumerated() {
            guard let reflex = playbook.reflex, let allowance = Reflex.Allowance([Budget(actions: reflex.budget.actions, per: reflex.budget.per)] + brakes.budgets) else {
                continue
            }
            set.budgets[playbook.name] = ReflexSet.Budget(actions: allowance.actions, per: allowance.per, spent: brakes.spent(playbook.name))
            // The kernel knows no half-open: until the breaker is closed, user space alone acts.
            let mode = brakes.isTripped(playbook.name) ? .observe : mode(playbook)
            for name in reflex.rules {
                let reason =
                    Self.obstacle(playbook, name, rules) ?? Self.obstacle(playbook, name, rules, after: playbooks.playbooks[..<index])
                    ?? Self.obstacle(playbook, brakes.guards)
                if let reason { disarm(playbook.name, name, reason) } else { arm(reflex, name, mode) }
            }
        }
        if !set.reflexes.isEmpty { leaveOutFull(rules) }
    }

    /// All together may be more than the kernel's filters hold, where each alone is not.
    private mutating func leaveOutFull(_ rules: RuleSet) {
        let reflexes = set.reflexes
        for (index, problem) in rules.kernelFilters(reflexes: reflexes.map(\.rule)).refusals.sorted(by: { $0.key < $1.key }) {
            self = without([reflexes[index]], because: "\(problem), and others come first; the agent acts")
        }
    }

    private mutating func arm(_ reflex: Reflex, _ name: String, _ mode: Mode) {
        guard set.reflexes.count < ReflexSet.limit else {
            return disarm(reflex.playbook, name, "there is room for \(ReflexSet.limit) reflexes in the kernel, and others come first; the agent acts")
        }
        // `ask` waits for a person, which the kernel cannot.
        let acts = min(mode, reflex.mode ?? .enforce) == .enforce
        set.reflexes.append(ArmedReflex(playbook: reflex.playbook, rule: name, signal: reflex.signal, acts: acts))
    }

    private mutating func disarm(_ playbook: String, _ rule: String, _ reason: String) { problems.append(Problem(playbook: playbook, rule: rule, reason: reason)) }

    /// The same, with none of these armed in the kernel.
    package func without(_ reflexes: [ArmedReflex], because reason: String) -> ReflexPlan {
        var plan = self
        plan.set.reflexes.removeAll(where: reflexes.contains)
        for reflex in reflexes { plan.disarm(reflex.playbook, reflex.rule, reason) }
        return plan
    }

    private static func obstacle(_ playbook: Playbook, _ name: String, _ rules: RuleSet) -> String? {
        guard let rule = rules.rule(named: name) else { return "no rule of this name is loaded" }
        guard rule.source == "syscall" else { return "the rule judges events of source \(rule.source), which the kernel does not see" }
        guard rule.isArmed else { return "the rule is not armed" }
        guard playbook.match.takesSensor else { return "the playbook takes alerts of \(playbook.match.intakes.joined(separator: ", ")), and those of the kernel come from sensor" }
        guard playbook.match.mayHold(for: rule) else { return "the playbook's priority, tags or sources do not fit the rule" }
        guard case .failure(let problem) = rules.reflexClauses(ofRule: name) else { return nil }
        return problem.description
    }

    /// A final playbook keeps its alerts from those behind it: what the kernel does in their name would have no playbook.
    private static func obstacle(_ playbook: Playbook, _ name: String, _ rules: RuleSet, after earlier: ArraySlice<Playbook>) -> String? {
        guard let rule = rules.rule(named: name) else { return nil }
        let final = earlier.first { $0.isEnabled && $0.isFinal && $0.match.takesSensor && $0.match.names(name) && $0.match.mayHold(for: rule) }
        return final.map { "playbook \($0.name) comes before it, is final, and may answer the alert: the kernel cannot know" }
    }
}

extension ReflexPlan {
    /// A guard is asked before anything is done, and the kernel cannot ask.
    fileprivate static func obstacle(_ playbook: Playbook, _ guards: [GuardRule]) -> String? {
        guards.first { $0.mayConcern("process.kill", of: playbook.name) }.map {
            "guard \($0.name) (\($0.place)) is to be asked before process.kill, which the kernel cannot; the agent asks it, and acts"
        }
    }
}

extension Match {
    /// Whether it answers alerts of the own sensor.
    fileprivate var takesSensor: Bool { intakes.isEmpty || intakes.contains(KernelAnswer.intake) }

    /// Whether alerts of the rule can match, as far as that is fixed: not what their fields say.
    fileprivate func mayHold(for rule: Rule) -> Bool {
        if let priority, !priority.holds(rule.priority) { return false }
        if !sources.isEmpty, !sources.contains(rule.source) { return false }
        return tags.isEmpty || tags.contains { $0.allSatisfy(rule.tags.contains) }
    }
}
