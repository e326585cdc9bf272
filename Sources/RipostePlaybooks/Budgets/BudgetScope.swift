internal import RiposteCore
internal import RiposteRules

/// Which acts a budget counts.
enum BudgetScope: Hashable, Sendable {
    case playbook(String)
    case step(playbook: String, step: String)
    /// With the value that is counted apart, where the budget says `each`.
    case agent(AgentBudget, String?)

    func covers(_ spend: Spend) -> Bool {
        switch self {
        case .playbook(let name): spend.playbook == name
        case .step(let playbook, let step): spend.playbook == playbook && spend.step == step
        case .agent(let budget, let value): budget.covers(spend) && (budget.each == nil || budget.value(of: spend) == value)
        }
    }

    /// The breaker that is tripped where the budget is over: the playbook's for its own; for one of the agent's that of the action's kind, so that a
    /// storm of one kind does not take the others along; and where targets or namespaces are counted apart, theirs.
    func breaker(for spend: Spend) -> String {
        switch self {
        case .playbook(let name), .step(let name, _): Breakers.name(ofPlaybook: name)
        case .agent(let budget, let value):
            switch budget.each {
            case .target: "target/\(value ?? "")"
            case .namespace: "namespace/\(value ?? "")"
            case .kind, nil: Breakers.name(ofAction: spend.action)
            }
        }
    }

    /// For people: "budget of playbook p".
    var text: String {
        switch self {
        case .playbook(let name): "the budget of playbook \(name)"
        case .step(let playbook, let step): "the budget of step \(step) of playbook \(playbook)"
        case .agent(let budget, _): "the agent's budget \(budget.name)"
        }
    }
}

/// A budget with what it counts.
struct BoundBudget: Hashable, Sendable {
    var scope: BudgetScope
    var budget: Budget
}

extension AgentBudget {
    func covers(_ spend: Spend) -> Bool {
        (impact.map { $0 == spend.impact } ?? true) && (kinds.isEmpty || kinds.contains { Pattern.matches($0, spend.action) })
            && (namespaces.isEmpty || namespaces.contains { pattern in spend.namespace.map { Pattern.matches(pattern, $0) } ?? false })
            && (each != .namespace || spend.namespace != nil)
    }

    func value(of spend: Spend) -> String? {
        switch each {
        case .target: spend.target
        case .namespace: spend.namespace
        case .kind: spend.action
        case nil: nil
        }
    }

    /// This budget as it covers an act, or nil where it does not.
    func bound(to spend: Spend) -> BoundBudget? {
        covers(spend) ? BoundBudget(scope: .agent(self, value(of: spend)), budget: budget) : nil
    }
}

/// `*` and `?`, by byte.
enum Pattern {
    static func matches(_ pattern: String, _ text: String) -> Bool { matches(pattern, Array(text.utf8)) }
    static func matches(_ pattern: String, _ bytes: [UInt8]) -> Bool { GlobPattern(Array(pattern.utf8)).matches(bytes) }
}
