package import RiposteCore
internal import RiposteRules

extension TalonRules {
    /// What is wrong with Talon's files, by code. The codes are stable.
    package static let codes: [(code: String, meaning: String)] = [
        ("I001", "the file is no list of Talon's actions and rules"),
        ("I002", "a value of another type is expected"),
        ("I003", "an entry without what it needs"),
        ("I004", "a bad priority"),
        ("I005", "a bad tag"),
        ("I006", "a bad output field"),
        ("I007", "an action without a usable actionner"),
        ("I008", "there is no rule"),
    ]

    /// Reads all files as Talon does when they are named in this order. What Talon refuses is refused, everything of it in one go.
    package static func read(_ documents: [PlaybookSet.Document]) throws(Diagnostics) -> TalonRules {
        var found = TalonRules(rules: [], passedOver: [], files: documents.map(\.name))
        var actions: [Action] = []
        var diagnostics: [Diagnostic] = []
        for document in documents {
            let reader = YAMLReader(file: document.name, text: document.text)
            var entries = TalonEntries(file: document.name)
            if let root = reader.root(), !root.isNull { entries.read(root) }
            actions += entries.actions
            found.rules += entries.rules
            found.passedOver += entries.passedOver
            diagnostics += reader.diagnostics.sorted { ($0.place ?? .init(line: 0, column: 0)) < ($1.place ?? .init(line: 0, column: 0)) }
        }
        found.rules = merged(rules: found.rules)
        found.complete(from: merged(actions: actions))
        if diagnostics.isEmpty { diagnostics = found.problems }
        guard diagnostics.isEmpty else { throw Diagnostics(diagnostics) }
        return found
    }

    private mutating func complete(from definitions: [Action]) {
        for rule in rules.indices {
            for action in rules[rule].actions.indices {
                guard let definition = definitions.first(where: { $0.name == rules[rule].actions[action].name }) else { continue }
                rules[rule].actions[action].complete(from: definition)
            }
        }
    }

    /// What can only be seen when all is merged.
    private var problems: [Diagnostic] {
        guard !rules.isEmpty else {
            return [Diagnostic(code: "I008", file: files.joined(separator: ", "), message: "there is no rule in what was named")]
        }
        var problems: [Diagnostic] = []
        func report(_ code: String, _ place: Place, _ message: String) {
            problems.append(Diagnostic(code: code, file: place.file, place: .init(line: place.line, column: 1), message: message))
        }
        for rule in rules {
            if rule.actions.isEmpty { report("I003", rule.place, "rule \"\(rule.name)\" has no actions") }
            for action in rule.actions {
                if action.actionner.isEmpty {
                    report("I007", action.place, "action \"\(action.name)\" of rule \"\(rule.name)\" has no actionner, and no action of that name is defined")
                } else if !TalonActionner.isName(action.actionner) {
                    report("I007", action.place, "\"\(action.actionner)\" is no actionner such as kubernetes:terminate")
                }
                if let output = action.output, !output.target.isEmpty, output.parameters.isEmpty {
                    report("I003", action.place, "the output of action \"\(action.name)\" has no parameters")
                }
            }
        }
        return problems
    }
}

/// The entries of one file, not yet merged. Reports to the nodes' reader and goes on.
private struct TalonEntries {
    let file: String
    var actions: [TalonRules.Action] = []
    var rules: [TalonRules.Rule] = []
    var passedOver: [TalonRules.PassedOver] = []

    init(file: String) { self.file = file }

    private static let actionKeys = [
        "action", "description", "actionner", "continue", "ignore_errors", "additional_contexts", "parameters", "output",
    ]
    private static let ruleKeys = ["rule", "description", "match", "continue", "dry_run", "actions", "notifiers"]
    private static let matchKeys = ["rules", "priority", "source", "tags", "output_fields"]

    mutating func read(_ root: YAMLNode) {
        guard let entries = root.elements else {
            root.report(code: "I001", "a file of Talon's is a list of actions and rules")
            return
        }
        for entry in entries {
            guard let members = entry.members(code: "I001") else { continue }
            switch (members.contains { $0.key == "action" }, members.contains { $0.key == "rule" }) {
            case (true, false): if let action = action(entry, in: "an action") { actions.append(action) }
            case (false, true): if let rule = rule(entry) { rules.append(rule) }
            case (true, true): entry.report(code: "I001", "an entry is an action or a rule, not both")
            case (false, false): passOver(entry, "an entry that is neither an action nor a rule", nil)
            }
        }
    }

    // MARK: - Entries

    private mutating func rule(_ node: YAMLNode) -> TalonRules.Rule? {
        let keys = keys(of: node, known: Self.ruleKeys, "a rule")
        guard let name = keys["rule"].flatMap(text), !name.isEmpty else {
            (keys["rule"] ?? node).report(code: "I003", "a rule needs a name")
            return nil
        }
        let actions = list(keys["actions"]).compactMap { action($0, in: "an action of rule \"\(name)\"") }
        return TalonRules.Rule(
            name: name, description: keys["description"].flatMap(text) ?? "", isFollowed: keys["continue"].flatMap(flag), isDryRun: keys["dry_run"].flatMap(flag),
            match: keys["match"].map { match($0) } ?? .init(), actions: actions, notifiers: texts(keys["notifiers"]), place: place(of: node))
    }

    private mutating func action(_ node: YAMLNode, in what: String) -> TalonRules.Action? {
        guard node.members(code: "I002") != nil else { return nil }
        let keys = keys(of: node, known: Self.actionKeys, what)
        guard let name = keys["action"].flatMap(text), !name.isEmpty else {
            (keys["action"] ?? node).report(code: "I003", "\(what) needs a name: `action: …`")
            return nil
        }
        return TalonRules.Action(
            name: name, description: keys["description"].flatMap(text) ?? "", actionner: keys["actionner"].flatMap(text) ?? "",
            isFollowed: keys["continue"].flatMap(flag), ignoresErrors: keys["ignore_errors"].flatMap(flag),
            additionalContexts: texts(keys["additional_contexts"]), parameters: object(keys["parameters"]), output: keys["output"].flatMap { output($0) },
            place: place(of: node))
    }

    private mutating func output(_ node: YAMLNode) -> TalonRules.Output? {
        guard !node.isNull, node.members(code: "I002") != nil else { return nil }
        let keys = keys(of: node, known: ["target", "parameters"], "an output")
        return .init(target: keys["target"].flatMap(text) ?? "", parameters: object(keys["parameters"]))
    }

    private mutating func match(_ node: YAMLNode) -> TalonRules.Match {
        guard !node.isNull, node.members(code: "I002") != nil else { return .init() }
        let keys = keys(of: node, known: Self.matchKeys, "match")
        var match = TalonRules.Match()
        match.rules = texts(keys["rules"])
        match.source = keys["source"].flatMap(text).flatMap { $0.isEmpty ? nil : $0 }
        match.priority = keys["priority"].flatMap(priority)
        match.tags = list(keys["tags"]).compactMap(tags)
        match.fields = list(keys["output_fields"]).compactMap(fieldTests)
        return match
    }

    // MARK: - Match

    private func priority(_ node: YAMLNode) -> TalonRules.Match.Priority? {
        guard let text = text(node) else { return nil }
        let symbol = text.prefix { "<>=".contains($0) }
        let name = text.dropFirst(symbol.count)
        // Without a name there is no test.
        guard let comparison = Self.comparisons[String(symbol)], name.isEmpty || Priority(name) != nil, name.lowercased() != "info" else {
            node.report(
                code: "I004", "\"\(text)\" is no priority of Talon's such as Critical or >=Warning",
                suggestion: nearMiss(to: String(name), among: Priority.allCases.map(\.name)).map { symbol + $0 })
            return nil
        }
        return Priority(name).map { .init(test: .init(comparison: comparison, priority: $0), text: text) }
    }

    /// Without a sign Talon means "exactly".
    private static let comparisons: [String: Match.PriorityTest.Comparison] = [
        "": .equal, "=": .equal, "<": .below, "<=": .atMost, ">": .above, ">=": .atLeast,
    ]

    /// `network, mitre_execution`: commas mean "and".
    private func tags(_ node: YAMLNode) -> [String]? {
        guard let text = text(node) else { return nil }
        let tags = text.filter { $0 != " " }.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        for tag in tags where !Self.isTag(tag) { node.report(code: "I005", "\"\(tag)\" is no tag: it has letters, digits, dots and underscores, and a letter or digit last") }
        return tags
    }

    private static func isTag(_ tag: String) -> Bool {
        guard let last = tag.utf8.last, last.isLetterOrDigit else { return false }
        return tag.utf8.allSatisfy { $0.isLetterOrDigit || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".") }
    }

    /// `k8s.ns.name!=kube-system, proc.name=sh`: commas mean "and".
    private func fieldTests(_ node: YAMLNode) -> [TalonRules.FieldTest]? {
        guard let text = text(node) else { return nil }
        let parts = text.replacing(", ", with: ",").split(separator: ",", omittingEmptySubsequences: false)
        return parts.compactMap { part in
            guard let test = TalonRules.FieldTest(part) else {
                node.report(
                    code: "I006", "\"\(part)\" is no test of an output field such as k8s.ns.name=default or k8s.ns.name!=default",
                    suggestion: part.contains(" ") ? part.filter { $0 != " " } : nil)
                return nil
            }
            return test
        }
    }

    // MARK: - Values

    private mutating func keys(of node: YAMLNode, known: [String], _ what: String) -> [String: YAMLNode] {
        let members = node.members(code: "I002") ?? []
        for (key, keyNode, _) in members where !known.contains(key) { passOver(keyNode, "key \"\(key)\" in \(what)", nearMiss(to: key, among: known)) }
        return Dictionary(members.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    private mutating func passOver(_ node: YAMLNode, _ what: String, _ suggestion: String?) {
        passedOver.append(.init(place: place(of: node), what: what, suggestion: suggestion))
    }

    private func place(of node: YAMLNode) -> TalonRules.Place { .init(file: file, line: node.place?.line ?? 0) }

    private func text(_ node: YAMLNode) -> String? { node.isNull ? nil : node.text(code: "I002") }

    private func texts(_ node: YAMLNode?) -> [String] { list(node).compactMap { $0.text(code: "I002") } }

    private func list(_ node: YAMLNode?) -> [YAMLNode] {
        guard let node, !node.isNull else { return [] }
        return node.list(code: "I002") ?? []
    }

    private func object(_ node: YAMLNode?) -> JSONObject {
        guard let node, !node.isNull, node.members(code: "I002") != nil else { return JSONObject() }
        return node.json.object ?? JSONObject()
    }

    /// Talon reads them as text, so that one in quotes counts as well.
    private func flag(_ node: YAMLNode) -> Bool? {
        guard let text = text(node), !text.isEmpty else { return nil }
        switch text {
        case "true": return true
        case "false": return false
        default:
            node.report(code: "I002", "expected true or false")
            return nil
        }
    }
}

extension TalonRules.FieldTest {
    /// Nil where Talon refuses the text. A name is letters, digits, dots and brackets; the value is all that follows the first sign, without its
    /// quotation marks.
    init?(_ text: Substring) {
        let name = text.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "[" || $0 == "]") }
        let rest = text.dropFirst(name.count)
        guard rest.hasPrefix("=") || rest.hasPrefix("!=") else { return nil }
        field = String(name)
        isNegated = rest.hasPrefix("!")
        let written = rest.dropFirst(isNegated ? 2 : 1)
        value = written.filter { $0 != "\"" }
        // Talon turns every `!=` into `!`, then splits at each sign, and passes over what does not fall into two parts.
        let turned = text.replacing("!=", with: "!")
        let equals = turned.count { $0 == "=" }
        if isNegated {
            quirk = equals == 1 ? .neverHolds : turned.count { $0 == "!" } == 1 ? nil : .dropped
        } else {
            quirk = equals != 1 ? .dropped : written.contains("!=") ? .readDifferently : nil
        }
    }
}

extension UInt8 {
    fileprivate var isLetterOrDigit: Bool { 0x30...0x39 ~= self || 0x41...0x5A ~= self & 0xDF }
}
