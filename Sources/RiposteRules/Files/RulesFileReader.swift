internal import RiposteCore

/// Reads the items of one rules file. What is wrong with one is reported and leaves out that one, so that a file is judged whole.
struct RulesFileReader {
    private typealias Step = RulesReport.Step

    private let file: String
    private(set) var items: [RulesItem] = []
    private var report: RulesReport

    /// Adds what it finds wrong to `report`.
    static func read(_ text: String, file: String, _ report: inout RulesReport) -> [RulesItem] {
        var reader = RulesFileReader(file: file, report: report)
        reader.read(text)
        report = reader.report
        return reader.items
    }

    private init(file: String, report: RulesReport) {
        self.file = file
        self.report = report
    }

    private mutating func read(_ text: String) {
        let reader = YAMLReader(file: file, text: Self.withRoomBehindOperators(text))
        let documents = reader.documents()
        for diagnostic in reader.diagnostics { report.add(RulesFinding(yaml: diagnostic, reader)) }
        for document in documents where !document.isNull {
            guard let elements = document.elements else {
                report.add(.yamlValidate, "a rules file is a list of items: each begins with a dash", at: [Step(type: "rules content", node: document)])
                continue
            }
            for element in elements where !element.isNull { read(element) }
        }
    }

    /// YAML takes an operator without quotes, `comps: [in, !=]`, for a tag, behind which it wants a blank; Falco's reader does not.
    private static func withRoomBehindOperators(_ text: String) -> String {
        guard text.contains("!=]") || text.contains("!=}") else { return text }
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.contains("comps:") ? Substring(line.replacing("!=]", with: "!= ]").replacing("!=}", with: "!= }")) : line
        }.joined(separator: "\n")
    }

    private static let kinds = ["required_engine_version", "required_plugin_versions", "list", "macro", "rule"]

    private mutating func read(_ node: YAMLNode) {
        let step = Step(type: "rules content item", node: node)
        guard let pairs = node.pairs else { return report.add(.yamlValidate, "an item is a mapping such as \"rule: NAME\"", at: [step]) }
        let members = Dictionary(pairs.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        guard let kind = Self.kinds.first(where: { members[$0] != nil }), let value = members[kind]?.value else {
            let given = pairs.first?.key ?? ""
            return report.add(.unknownItem, "an item begins with one of \(Self.kinds.joined(separator: ", "))", at: [step], suggestion: nearMiss(to: given, among: Self.kinds))
        }
        switch kind {
        case "required_engine_version":
            warnOfUnknownKeys(pairs, known: [kind], Step(type: "required_engine_version", node: node))
            readEngineVersion(value)
        case "required_plugin_versions":
            warnOfUnknownKeys(pairs, known: [kind], Step(type: "required plugin versions", node: node))
            readPluginVersions(value)
        case "list": readList(node, value, pairs)
        case "macro": readMacro(node, value, pairs)
        default: readRule(node, value, pairs)
        }
    }

    // MARK: - Requirements

    private mutating func readEngineVersion(_ node: YAMLNode) {
        let step = Step(type: "required_engine_version", node: node)
        let text = node.scalarText ?? ""
        // A plain number is that of the engine before it had versions.
        guard let version = UInt32(text).map({ SemanticVersion(0, Int($0), 0) }) ?? SemanticVersion(text) else {
            return report.add(.yamlValidate, "an engine version is a number or x.y.z, as 0.57.0", at: [step])
        }
        items.append(.engineVersion(.init(version: version, node: node)))
    }

    private mutating func readPluginVersions(_ node: YAMLNode) {
        let step = Step(type: "required plugin versions", node: node)
        guard let elements = node.elements else { return report.add(.yamlValidate, "expected a list of names and versions", at: [step]) }
        var entries: [[RulesItem.PluginVersions.Requirement]] = []
        for element in elements {
            var steps = [step, Step(type: "required plugin versions entry", node: element)]
            guard let first = requirement(element, steps) else { continue }
            var entry = [first]
            let alternatives = element.pairs?.first { $0.key == "alternatives" }?.value
            if let alternatives, alternatives.elements == nil {
                report.add(.yamlValidate, "alternatives are a list of names and versions", at: steps + [Step(type: "required plugin versions alternative", node: alternatives)])
            }
            for alternative in alternatives?.elements ?? [] {
                steps[1] = Step(type: "required plugin versions alternative", node: alternative)
                guard let next = requirement(alternative, steps) else { continue }
                if entry.contains(where: { $0.name == next.name }) {
                    report.add(.validate, "plugin \(next.name) stands twice in one entry", at: steps)
                } else {
                    entry.append(next)
                }
            }
            entries.append(entry)
        }
        items.append(.pluginVersions(.init(entries: entries, node: node)))
    }

    private mutating func requirement(_ node: YAMLNode, _ steps: [RulesReport.Step]) -> RulesItem.PluginVersions.Requirement? {
        let members = Dictionary((node.pairs ?? []).map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        guard let name = members["name"]?.scalarText, !name.isEmpty, let versionNode = members["version"], let text = versionNode.scalarText else {
            report.add(.yamlValidate, "expected a name and a version", at: steps)
            return nil
        }
        guard let version = SemanticVersion(text) else {
            report.add(.validate, "a plugin's version is x.y.z, not \"\(text)\"", at: steps.dropLast() + [Step(type: steps.last?.type ?? "", node: versionNode)])
            return nil
        }
        return .init(name: name, version: version, node: node)
    }

    // MARK: - Lists and macros

    private typealias Pair = (key: String, keyNode: YAMLNode, value: YAMLNode)

    private mutating func readList(_ node: YAMLNode, _ nameNode: YAMLNode, _ pairs: [Pair]) {
        guard let name = name(nameNode, "list") else { return }
        let step = Step.list(name, node)
        warnOfUnknownKeys(pairs, known: ["list", "items", "append", "override"], step)
        if name.utf8.contains(where: { $0.isBlank || [0x28, 0x29, 0x22, 0x27, 0x3D, 0x2C].contains($0) }) {
            report.add(.invalidListName, "conditions cannot refer to a list of this name; use letters, digits and _", at: [step])
        }
        guard let itemsNode = pairs.first(where: { $0.key == "items" })?.value, let elements = itemsNode.elements else {
            return report.add(.yamlValidate, "a list needs items, a list of texts: items: [a, b]", at: [step])
        }
        for element in elements where element.scalarText == nil {
            return report.add(.yamlValidate, "an item of a list is a text", at: [step, Step(type: "list item", node: element)])
        }
        guard let merge = merge(pairs, key: "items", step) else { return }
        items.append(.list(.init(name: name, node: node, items: elements, merge: merge)))
    }

    private mutating func readMacro(_ node: YAMLNode, _ nameNode: YAMLNode, _ pairs: [Pair]) {
        guard let name = name(nameNode, "macro") else { return }
        let step = Step.macro(name, node)
        warnOfUnknownKeys(pairs, known: ["macro", "condition", "append", "override"], step)
        let isPlain = name.first?.isASCIILetter == true && name.allSatisfy { $0.isASCIILetter || $0 == "_" || ("0"..."9").contains($0) }
        if !isPlain { report.add(.invalidMacroName, "conditions cannot refer to a macro of this name; use letters, digits and _", at: [step]) }
        guard let condition = pairs.first(where: { $0.key == "condition" })?.value, let text = condition.scalarText, !text.isEmpty else {
            return report.add(.yamlValidate, "a macro needs a condition", at: [step])
        }
        guard let merge = merge(pairs, key: "condition", step) else { return }
        items.append(.macro(.init(name: name, node: node, condition: condition, merge: merge)))
    }

    private mutating func name(_ node: YAMLNode, _ kind: String) -> String? {
        if let name = node.scalarText, !name.isEmpty { return name }
        report.add(.yamlValidate, "a \(kind) needs a name", at: [Step(type: kind, node: node)])
        return nil
    }

    private mutating func merge(_ pairs: [Pair], key: String, _ step: Step) -> RulesItem.Merge? {
        guard let appends = appends(pairs, step) else { return nil }
        guard let overrides = overrides(pairs, allowed: [key: [.append, .replace]], step) else { return nil }
        guard let overrides else { return appends ? .append : .define }
        guard !appends else {
            report.add(.yamlValidate, "append and override exclude each other; keep override", at: [step])
            return nil
        }
        return overrides.first?.change == .append ? .append : .replace
    }

    /// The older `append: true`; nil where it is no truth value.
    private mutating func appends(_ pairs: [Pair], _ step: Step) -> Bool? {
        guard let node = pairs.first(where: { $0.key == "append" })?.value else { return false }
        guard let value = bool(node, "append", step) else { return nil }
        if value { report.add(.deprecatedItem, "append is the older way; write override: instead", at: [step]) }
        return value
    }

    /// The members of `override`; nil inside where there is none, nil outside where it is wrong.
    private mutating func overrides(
        _ pairs: [Pair], allowed: [String: [RuleItem.Change]], _ step: Step
    ) -> [(key: String, change: RuleItem.Change, node: YAMLNode)]?? {
        guard let node = pairs.first(where: { $0.key == "override" })?.value else { return .some(nil) }
        let steps = [step, Step(type: "overrides", node: node)]
        // As in Falco, one that says nothing is none.
        if node.isNull || node.pairs?.isEmpty ?? false { return .some(nil) }
        guard let members = node.pairs else {
            report.add(.yamlValidate, "override says for each key what to do: { condition: append }", at: steps)
            return .none
        }
        var result: [(key: String, change: RuleItem.Change, node: YAMLNode)] = []
        var isGood = true
        for (key, keyNode, value) in members {
            let place = [step, Step(type: "overrides", node: keyNode)]
            guard let changes = allowed[key] else {
                report.add(.yamlValidate, "\"\(key)\" cannot be overridden", at: place, suggestion: nearMiss(to: key, among: Array(allowed.keys)))
                isGood = false
                continue
            }
            guard let change = value.scalarText.flatMap(RuleItem.Change.init(rawValue:)), changes.contains(change) else {
                let words = changes.map(\.rawValue).joined(separator: " or ")
                report.add(.yamlValidate, "\"\(key)\" can be overridden by \(words)", at: [step, Step(type: "overrides", node: value)])
                isGood = false
                continue
            }
            guard pairs.contains(where: { $0.key == key }) else {
                report.add(.yamlValidate, "override names \"\(key)\", which the item does not have", at: place)
                isGood = false
                continue
            }
            result.append((key, change, keyNode))
        }
        return isGood ? .some(result) : .none
    }

    private mutating func warnOfUnknownKeys(_ pairs: [Pair], known: [String], _ step: Step) {
        for pair in pairs where !known.contains(pair.key) {
            report.add(
                .unknownKey, "unknown key \"\(pair.key)\" is ignored", at: [step, Step(type: "value for", name: pair.key, node: pair.keyNode)],
                suggestion: nearMiss(to: pair.key, among: known))
        }
    }

    // MARK: - Rules

    private static let ruleKeys = [
        "rule", "condition", "output", "desc", "priority", "source", "enabled", "tags", "exceptions", "warn_evttypes", "skip-if-unknown-filter",
        "capture", "capture_duration", "append", "override",
    ]

    private static let overridable: [String: [RuleItem.Change]] = [
        "condition": [.append, .replace], "output": [.append, .replace], "desc": [.append, .replace], "tags": [.append, .replace],
        "exceptions": [.append, .replace], "priority": [.replace], "enabled": [.replace], "warn_evttypes": [.replace],
        "skip-if-unknown-filter": [.replace], "capture": [.replace], "capture_duration": [.replace],
    ]

    private mutating func readRule(_ node: YAMLNode, _ nameNode: YAMLNode, _ pairs: [Pair]) {
        guard let name = name(nameNode, "rule") else { return }
        let step = Step.rule(name, node)
        warnOfUnknownKeys(pairs, known: Self.ruleKeys, step)
        let before = report.errors
        var rule = RuleItem(name: name, node: node)
        for (key, _, value) in pairs { readMember(key, value, of: &rule, step) }
        guard let appends = appends(pairs, step), let overrides = overrides(pairs, allowed: Self.overridable, step) else { return }
        rule.appends = appends
        rule.overrides = overrides
        if appends, overrides != nil { report.add(.yamlValidate, "append and override exclude each other; keep override", at: [step]) }
        if let overrides {
            for (key, keyNode, _) in pairs where Self.overridable[key] != nil && !overrides.contains(where: { $0.key == key }) {
                report.add(.yamlValidate, "\"\(key)\" stands here but not in override", at: [step, Step(type: "value for", name: key, node: keyNode)])
            }
        } else if !appends, !rule.isBareSwitch {
            requireDefinition(pairs, step)
        }
        guard report.errors == before, !report.isFull(of: .yamlValidate) else { return }
        items.append(.rule(rule))
    }

    /// Keys that are there and wrong are reported already.
    private mutating func requireDefinition(_ pairs: [Pair], _ step: Step) {
        let missing = ["condition", "output", "desc", "priority"].filter { key in !pairs.contains { $0.key == key } }
        guard !missing.isEmpty else { return }
        report.add(.yamlValidate, "the rule lacks \(missing.joined(separator: ", "))", at: [step])
    }

    private mutating func readMember(_ key: String, _ value: YAMLNode, of rule: inout RuleItem, _ step: Step) {
        switch key {
        case "condition": rule.condition = text(value, key, "rule condition", step)
        case "output": rule.output = text(value, key, "rule output", step)
        case "desc": if value.scalarText?.isEmpty ?? true { wrong(value, "desc must be a text that is not empty", step) } else { rule.description = value }
        case "source":
            (rule.source, rule.sourceNode) = (value.scalarText, value)
            if rule.source?.isEmpty ?? true { wrong(value, "source must be the name of an event source, as syscall", step) }
        case "priority": rule.priority = priority(value, step)
        case "enabled": rule.isEnabled = bool(value, key, step)
        case "warn_evttypes": rule.warnsOfEventTypes = bool(value, key, step)
        case "skip-if-unknown-filter": rule.skipsUnknownFilter = bool(value, key, step)
        case "capture": _ = bool(value, key, step)
        case "capture_duration":
            if value.scalarText.flatMap({ Int($0) }) == nil { wrong(value, "capture_duration must be a number of milliseconds", step) }
        case "tags":
            guard let elements = value.elements, elements.allSatisfy({ $0.scalarText != nil }) else { return wrong(value, "tags must be a list of texts", step) }
            rule.tags = elements.compactMap(\.scalarText)
        case "exceptions": rule.exceptions = exceptions(value, step)
        default: break
        }
    }

    private mutating func wrong(_ node: YAMLNode, _ message: String, _ step: Step) {
        report.add(.yamlValidate, message, at: [step, Step(type: "value for", node: node)])
    }

    private mutating func text(_ node: YAMLNode, _ key: String, _ type: String, _ step: Step) -> YAMLNode? {
        if let text = node.scalarText, text.utf8.contains(where: { !$0.isBlank }) { return node }
        report.add(.yamlValidate, "\(key) must be a text that is not empty", at: [step, Step(type: type, node: node)])
        return nil
    }

    private mutating func priority(_ node: YAMLNode, _ step: Step) -> Priority? {
        let text = node.scalarText ?? ""
        if let priority = Priority(bytes: Array(text.utf8)) { return priority }
        let names = Priority.allCases.reversed().map(\.name)
        report.add(
            .yamlValidate, "priority must be one of \(names.joined(separator: ", "))", at: [step, Step(type: "rule priority", node: node)],
            suggestion: nearMiss(to: text, among: names))
        return nil
    }

    /// True and false in all spellings of YAML 1.1.
    private mutating func bool(_ node: YAMLNode, _ key: String, _ step: Step) -> Bool? {
        switch node.scalarText?.lowercased() {
        case "true", "yes", "on", "y": return true
        case "false", "no", "off", "n": return false
        default:
            wrong(node, "\(key) must be true or false", step)
            return nil
        }
    }

    // MARK: - Exceptions

    private mutating func exceptions(_ node: YAMLNode, _ step: Step) -> [ExceptionItem]? {
        if node.isNull { return [] }
        guard let elements = node.elements else {
            report.add(.yamlValidate, "exceptions must be a list", at: [step, Step(type: "exceptions", node: node)])
            return nil
        }
        return elements.compactMap { exception($0, step) }
    }

    private mutating func exception(_ node: YAMLNode, _ step: Step) -> ExceptionItem? {
        let place = Step(type: "exception", node: node)
        guard let pairs = node.pairs else {
            report.add(.yamlValidate, "an exception is a mapping with name, fields, comps and values", at: [step, place])
            return nil
        }
        warnOfUnknownKeys(pairs, known: ["name", "fields", "comps", "values"], step)
        let members = Dictionary(pairs.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        guard let name = members["name"]?.scalarText, !name.isEmpty else {
            report.add(.yamlValidate, "an exception needs a name", at: [step, place])
            return nil
        }
        var exception = ExceptionItem(name: name, node: node)
        exception.fields = members["fields"].flatMap(shape)
        exception.comparisons = members["comps"].flatMap(shape)
        if let values = members["values"], !values.isNull {
            guard let elements = values.elements else {
                report.add(.yamlValidate, "values must be a list", at: [step, Step(type: "exception", name: name, node: node), Step(type: "exception values", node: values)])
                return nil
            }
            exception.values = elements
        }
        return exception
    }

    private func shape(_ node: YAMLNode) -> ExceptionItem.Shape? { node.elements.map { .list($0) } ?? node.scalarText.map { _ in .one(node) } }
}

extension RulesFinding {
    fileprivate init(yaml diagnostic: Diagnostic, _ reader: YAMLReader) {
        let locations = diagnostic.place.map { [Location(itemType: "rules content", itemName: "", place: $0, offset: reader.offset(of: $0))] } ?? []
        self.init(
            .yamlParse, diagnostic.message, file: diagnostic.file, locations: locations, snippet: diagnostic.snippet, suggestion: diagnostic.suggestion)
    }
}

extension Character {
    fileprivate var isASCIILetter: Bool { ("a"..."z").contains(self) || ("A"..."Z").contains(self) }
}
