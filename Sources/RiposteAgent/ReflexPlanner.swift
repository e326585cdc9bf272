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
        for playbook in playbooks.playbooks {
            guard let reflex = playbook.reflex, let allowance = Reflex.Allowance([Budget(actions: reflex.budget.actions, per: reflex.budget.per)] + brakes.budgets) else {
                continue
            }
            set.budgets[playbook.name] = ReflexSet.Budget(actions: allowance.actions, per: allowance.per, spent: brakes.spent(playbook.name))
            // The kernel knows no half-open: until the breaker is closed, user space alone acts.
            let mode = brakes.isTripped(playbook.name) ? .observe : mode(playbook)
            for name in reflex.rules { arm(reflex, playbook, name, rules, mode, brakes.guards) }
        }
    }

    private mutating func arm(_ reflex: Reflex, _ playbook: Playbook, _ name: String, _ rules: RuleSet, _ mode: Mode, _ guards: [GuardRule]) {
        if let reason = Self.obstacle(playbook, name, rules) ?? Self.obstacle(playbook, guards) {
            problems.append(Problem(playbook: playbook.name, rule: name, reason: reason))
            return
        }
        // `ask` waits for a person, which the kernel cannot.
        let acts = min(mode, reflex.mode ?? .enforce) == .enforce
        set.reflexes.append(ArmedReflex(playbook: playbook.name, rule: name, signal: reflex.signal, acts: acts))
    }

    private static func obstacle(_ playbook: Playbook, _ name: String, _ rules: RuleSet) -> String? {
        guard let rule = rules.rule(named: name) else { return "no rule of this name is loaded" }
        guard rule.source == "syscall" else { return "the rule judges events of source \(rule.source), which the kernel does not see" }
        guard rule.isArmed else { return "the rule is not armed" }
        guard playbook.match.holds(for: rule) else { return "the playbook's priority, tags or sources do not fit the rule" }
        guard case .failure(let problem) = rules.reflexClauses(ofRule: name) else { return nil }
        return problem.description
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
    /// Whether alerts of the rule can match, as far as that is fixed: not what their fields say.
    fileprivate func holds(for rule: Rule) -> Bool {
        if let priority, !priority.holds(rule.priority) { return false }
        if !sources.isEmpty, !sources.contains(rule.source) { return false }
        return tags.isEmpty || tags.contains { $0.allSatisfy(rule.tags.contains) }
    }
}
