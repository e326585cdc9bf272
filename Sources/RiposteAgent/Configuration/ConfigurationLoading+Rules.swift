internal import RiposteCore
internal import RiposteRules

extension AgentConfiguration.RulesSection {
    mutating func read(_ node: YAMLNode) {
        let known = ["files", "matching", "priority", "select", "append_output", "hostname"]
        guard let keys = node.mapping(known: known, what: "rules", code: "C002") else { return }
        if let nodes = keys["files"]?.list(orSingle: true, code: "C003") { files = nodes.compactMap { $0.path() } }
        if let value = keys["matching"]?.choice(RulesSettings.Matching.self, code: "C003") { settings.matching = value }
        if let value = keys["priority"]?.priority() { settings.minimumPriority = value }
        if let nodes = keys["select"]?.list(code: "C003") { settings.selections = nodes.compactMap(RulesSettings.Selection.init(reading:)) }
        if let nodes = keys["append_output"]?.list(code: "C003") { settings.additions = nodes.compactMap(RulesSettings.Addition.init(reading:)) }
        if let node = keys["hostname"], !node.isNull { hostname = node.word("a host's name") }
    }
}

extension RulesSettings.Selection {
    /// `enable: { rule: NAME }`, `disable: { tag: TAG }`.
    fileprivate init?(reading node: YAMLNode) {
        guard let verbs = node.mapping(known: ["enable", "disable"], what: "an entry of rules.select", code: "C002") else { return nil }
        guard verbs.count == 1, let (verb, node) = verbs.first else {
            node.report(code: "C003", "an entry of rules.select is either enable or disable; they are taken one after the other")
            return nil
        }
        guard let keys = node.mapping(known: ["rule", "tag"], what: verb, code: "C002") else { return nil }
        switch (keys["rule"], keys["tag"]) {
        case (let rule?, nil):
            guard let name = rule.word("the name of a rule") else { return nil }
            self.init(enables: verb == "enable", .rules(name))
        case (nil, let tag?):
            guard let name = tag.word("a tag") else { return nil }
            self.init(enables: verb == "enable", .tag(name))
        default:
            if keys.isEmpty || keys.count == 2 { node.report(code: "C003", "\(verb) names either a rule or a tag") }
            return nil
        }
    }
}

extension RulesSettings.Addition {
    fileprivate init?(reading node: YAMLNode) {
        let known = ["match", "extra_output", "extra_fields", "suggested_output"]
        guard let keys = node.mapping(known: known, what: "an entry of rules.append_output", code: "C002") else { return nil }
        self.init()
        if let node = keys["match"], !node.isNull { readMatch(node) }
        if let node = keys["extra_output"], !node.isNull, let text = node.word("a text") {
            output = text
            check(node) { $0.output = text }
        }
        if let node = keys["extra_fields"], !node.isNull { for entry in node.list(code: "C003") ?? [] { readField(entry) } }
        if let value = keys["suggested_output"]?.bool(code: "C003") { addsSuggested = value }
        if keys.keys.allSatisfy({ $0 == "match" }) { node.report(code: "C003", "an entry of rules.append_output needs extra_output, extra_fields or suggested_output") }
    }

    private mutating func readMatch(_ node: YAMLNode) {
        guard let keys = node.mapping(known: ["rule", "source", "tags"], what: "match", code: "C002") else { return }
        if let node = keys["rule"], !node.isNull { rule = node.word("the name of a rule") }
        if let node = keys["source"], !node.isNull, let name = node.text(code: "C003") {
            if !RuleSet.knownSources.contains(name) {
                node.report(
                    code: "C003", "expected one of \(RuleSet.knownSources.joined(separator: ", "))", suggestion: nearMiss(to: name, among: RuleSet.knownSources))
            }
            source = name
        }
        if let nodes = keys["tags"]?.list(orSingle: true, code: "C003") { tags = nodes.compactMap { $0.word("a tag") } }
    }

    /// `proc.pid`, or `my.key: "a template of %proc.name"`.
    private mutating func readField(_ node: YAMLNode) {
        guard node.isMapping else {
            guard let name = node.word("a field, or a name with a template") else { return }
            fields.append((name, nil))
            return check(node, field: name) { $0.fields = [(name, nil)] }
        }
        for (name, keyNode, value) in node.members(code: "C003") ?? [] {
            if name.isEmpty { keyNode.report(code: "C003", "a field needs a name") }
            guard let template = value.word("a template such as \"by %proc.name\"") else { continue }
            fields.append((name, template))
            check(value) { $0.fields = [(name, template)] }
        }
    }

    /// Compiles one part as if for a rule, so that a mistake is told where it stands, and not at each rule that it would be added to. What
    /// names no source must be right for one at least. `field`: a name that is nothing but a field's, which outputs are not so strict about.
    private func check(_ node: YAMLNode, field: String? = nil, _ set: (inout Self) -> Void) {
        if let field, field.contains(where: { $0.isWhitespace || "()".contains($0) }) {
            return node.report(code: "C003", "expected a field such as proc.pid, or a name with a template")
        }
        var part = Self()
        set(&part)
        var settings = RulesSettings()
        settings.additions = [part]
        let condition = JSON.text("\(field ?? "evt.num") exists")
        let problems = (source.map { [$0] } ?? RuleSet.knownSources).map { source in
            let rule: JSON = ["rule": "r", "desc": "d", "condition": condition, "output": "o", "priority": "DEBUG", "source": .text(source)]
            return RuleSet.load([RuleSet.File(name: "", text: "[\(rule.line)]")], settings).findings.first(where: \.isError)
        }
        guard let problem = problems.first ?? nil, !problems.contains(where: { $0 == nil }) else { return }
        let message = problem.message.split(separator: "append_output of the configuration: ", maxSplits: 1).last.map(String.init) ?? problem.message
        node.report(code: "C003", message, suggestion: problem.suggestion)
    }
}

extension YAMLNode {
    /// A text that is not empty.
    fileprivate func word(_ expected: String) -> String? {
        guard let text = text(code: "C003", expected: expected) else { return nil }
        if text.isEmpty { report(code: "C003", "expected \(expected), not an empty text") }
        return text.isEmpty ? nil : text
    }

    fileprivate func priority() -> Priority? {
        guard let text = text(code: "C003") else { return nil }
        if let priority = Priority(text) { return priority }
        let names = Priority.allCases.map { "\($0)" }
        report(code: "C003", "expected one of \(names.joined(separator: ", "))", suggestion: nearMiss(to: text.lowercased(), among: names))
        return nil
    }
}
