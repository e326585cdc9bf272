internal import RiposteCore
internal import RipostePlaybooks
internal import RiposteRules

extension AgentConfiguration {
    /// The list takes the place of the shipped one.
    static func budgets(_ node: YAMLNode) -> [AgentBudget] {
        var names: Set<String> = []
        return node.list(code: "C003")?.compactMap { node in
            guard let budget = AgentBudget(reading: node) else { return nil }
            if !names.insert(budget.name).inserted { node.report(code: "C003", "another budget is named \"\(budget.name)\"") }
            return budget
        } ?? []
    }
}

extension AgentBudget {
    private static let keys = ["name", "actions", "targets", "share", "per", "over", "reopen", "kinds", "class", "namespaces", "each"]

    fileprivate init?(reading node: YAMLNode) {
        guard let keys = node.mapping(known: Self.keys, what: "a budget", code: "C002") else { return nil }
        for key in ["name"] where keys[key] == nil { node.report(code: "C003", "a budget needs the key \"\(key)\"") }
        let impact = keys["class"]?.integer(in: 1...3, code: "C003").flatMap { ActionDescription.Impact(rawValue: $0) }
        let budget = Budget(reading: keys, at: node, destroys: impact == .destroys, codes: (type: "C003", empty: "C003", key: "C002", missing: "C003"))
        guard let name = keys["name"]?.text(code: "C003"), let budget else { return nil }
        self.init(name, budget, kinds: Self.patterns(keys["kinds"]), impact: impact, namespaces: Self.patterns(keys["namespaces"]))
        each = keys["each"]?.choice(Each.self, code: "C003")
        if each == .target, budget.targets != nil { node.report(code: "C003", "budget \"\(name)\" counts each target apart; `targets` has no meaning there") }
    }

    private static func patterns(_ node: YAMLNode?) -> [String] {
        guard let node, let nodes = node.list(orSingle: true, code: "C003") else { return [] }
        if nodes.isEmpty { node.report(code: "C003", "an empty list holds for nothing; leave the key out, or name something") }
        return nodes.compactMap { $0.text(code: "C003") }
    }
}
