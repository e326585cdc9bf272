internal import RiposteCore

/// All definitions of all files, merged in the order in which they stand: later ones replace, append to or switch earlier ones.
struct RulesCollection {
    private typealias Step = RulesReport.Step

    struct List {
        var node: YAMLNode
        var items: [YAMLNode]
        var position: Position
    }

    struct Macro {
        var node: YAMLNode
        var condition: SourcedText
        /// The node of the condition, for places.
        var conditionNode: YAMLNode
        var position: Position
    }

    struct Rule {
        var name: String
        var node: YAMLNode
        var condition: SourcedText
        var conditionNode: YAMLNode
        var output: SourcedText
        var outputNode: YAMLNode
        var description: String
        var priority: Priority
        var source: String
        var isEnabled: Bool
        var tags: Set<String>
        var exceptions: [Exception]
        var warnsOfEventTypes: Bool
        var skipsUnknownFilter: Bool
        var position: Position
    }

    struct Exception {
        var name: String
        var node: YAMLNode
        var fields: ExceptionItem.Shape
        var comparisons: ExceptionItem.Shape?
        var values: [YAMLNode]
    }

    /// Where among all items a definition first stood, where it stood last, and in which file that was.
    struct Position {
        var first: Int
        var latest: Int
        var firstFile: Int
        var latestFile: Int
    }

    private(set) var lists: [String: List] = [:]
    private(set) var macros: [String: Macro] = [:]
    private(set) var rules: [String: Rule] = [:]
    private(set) var engineVersions: [RulesItem.EngineVersion] = []
    private(set) var pluginVersions: [RulesItem.PluginVersions] = []
    /// Lists and macros defined again, and otherwise, without a word that this is meant.
    private(set) var shadows: [(kind: String, name: String, earlier: YAMLNode, later: YAMLNode)] = []
    private var count = 0
    private var files = 0

    /// In the order of their first definitions.
    var orderedRules: [Rule] { rules.values.sorted { $0.position.first < $1.position.first } }

    mutating func take(_ items: [RulesItem], _ report: inout RulesReport) {
        for item in items {
            count += 1
            switch item {
            case .engineVersion(let version): engineVersions.append(version)
            case .pluginVersions(let versions): pluginVersions.append(versions)
            case .list(let list): take(list, &report)
            case .macro(let macro): take(macro, &report)
            case .rule(let rule): take(rule, &report)
            }
        }
        files += 1
    }

    private func position(after earlier: Position?) -> Position {
        Position(first: earlier?.first ?? count, latest: count, firstFile: earlier?.firstFile ?? files, latestFile: files)
    }

    private mutating func take(_ item: RulesItem.ListItem, _ report: inout RulesReport) {
        let earlier = lists[item.name]
        if item.merge == .append, earlier == nil {
            return report.add(
                .validate, "there is no list \"\(item.name)\" before this to append to", at: [.list(item.name, item.node)], suggestion: nearMiss(to: item.name, among: lists.keys))
        }
        if item.merge == .define, let earlier, earlier.items.map(\.scalarText) != item.items.map(\.scalarText) { shadows.append(("list", item.name, earlier.node, item.node)) }
        let items = item.merge == .append ? (earlier?.items ?? []) + item.items : item.items
        lists[item.name] = List(node: item.node, items: items, position: position(after: earlier?.position))
    }

    private mutating func take(_ item: RulesItem.MacroItem, _ report: inout RulesReport) {
        let earlier = macros[item.name]
        if item.merge == .append, earlier == nil {
            return report.add(
                .validate, "there is no macro \"\(item.name)\" before this to append to", at: [.macro(item.name, item.node)],
                suggestion: nearMiss(to: item.name, among: macros.keys))
        }
        if item.merge == .define, let earlier, earlier.condition.bytes != SourcedText(item.condition).bytes { shadows.append(("macro", item.name, earlier.node, item.node)) }
        var condition = SourcedText(item.condition)
        if item.merge == .append, var whole = earlier?.condition {
            whole.append(joining: condition)
            condition = whole
        }
        macros[item.name] = Macro(node: item.node, condition: condition, conditionNode: item.condition, position: position(after: earlier?.position))
    }

    // MARK: - Rules

    private mutating func take(_ item: RuleItem, _ report: inout RulesReport) {
        let step = Step.rule(item.name, item.node)
        let earlier = rules[item.name]
        let isChange = item.appends || item.overrides != nil || item.isBareSwitch
        // A definition that names no source is for system calls, and so cannot take the place of one that is for another.
        if let earlier, let source = item.source ?? (isChange ? nil : "syscall"), source != earlier.source {
            return report.add(
                .validate, "the rule is for source \(earlier.source); it cannot be for \(source) too",
                at: [step, Step(type: "value for", name: "source", node: item.sourceNode ?? item.node)])
        }
        guard isChange else {
            guard let rule = definition(item, earlier, step, &report) else { return }
            rules[item.name] = rule
            return
        }
        guard var rule = earlier else {
            return report.add(.validate, "there is no rule \"\(item.name)\" before this to change", at: [step], suggestion: nearMiss(to: item.name, among: rules.keys))
        }
        rule.position = position(after: rule.position)
        if item.isBareSwitch, item.overrides == nil, !item.appends {
            report.add(.deprecatedItem, "enabled alone is the older way; write override: { enabled: replace }", at: [step])
            rule.isEnabled = item.isEnabled ?? rule.isEnabled
        } else if item.appends {
            if item.condition == nil, item.exceptions == nil {
                return report.add(.validate, "append adds to condition or exceptions, and neither stands here", at: [step])
            }
            append(item, to: &rule, keys: ["condition", "exceptions"], step, &report)
        } else {
            let overrides = item.overrides ?? []
            append(item, to: &rule, keys: Set(overrides.filter { $0.change == .append }.map(\.key)), step, &report)
            replace(item, in: &rule, keys: Set(overrides.filter { $0.change == .replace }.map(\.key)), step, &report)
        }
        rules[item.name] = rule
    }

    private func definition(_ item: RuleItem, _ earlier: Rule?, _ step: Step, _ report: inout RulesReport) -> Rule? {
        guard let condition = item.condition, let output = item.output, let description = item.description, let priority = item.priority else { return nil }
        var rule = Rule(
            name: item.name, node: item.node, condition: SourcedText(condition), conditionNode: condition, output: SourcedText(output).trimmed, outputNode: output,
            description: description.scalarText ?? "", priority: priority, source: item.source ?? "syscall",
            isEnabled: item.isEnabled ?? true, tags: Set(item.tags ?? []), exceptions: [], warnsOfEventTypes: item.warnsOfEventTypes ?? true,
            skipsUnknownFilter: item.skipsUnknownFilter ?? false, position: position(after: earlier?.position))
        rule.exceptions = exceptions(item, step, &report)
        return rule
    }

    private func append(_ item: RuleItem, to rule: inout Rule, keys: Set<String>, _ step: Step, _ report: inout RulesReport) {
        if keys.contains("condition"), let condition = item.condition {
            rule.condition.append(joining: SourcedText(condition))
            rule.conditionNode = condition
        }
        if keys.contains("output"), let output = item.output {
            rule.output.append(joining: SourcedText(output).trimmed)
            rule.outputNode = output
        }
        if keys.contains("desc"), let description = item.description?.scalarText { rule.description += " " + description }
        if keys.contains("tags"), let tags = item.tags { rule.tags.formUnion(tags) }
        if keys.contains("exceptions"), let exceptions = item.exceptions {
            for exception in exceptions { append(exception, to: &rule, step, &report) }
        }
    }

    private func replace(_ item: RuleItem, in rule: inout Rule, keys: Set<String>, _ step: Step, _ report: inout RulesReport) {
        if keys.contains("condition"), let condition = item.condition { (rule.condition, rule.conditionNode) = (SourcedText(condition), condition) }
        if keys.contains("output"), let output = item.output { (rule.output, rule.outputNode) = (SourcedText(output).trimmed, output) }
        if keys.contains("desc"), let description = item.description?.scalarText { rule.description = description }
        if keys.contains("tags"), let tags = item.tags { rule.tags = Set(tags) }
        if keys.contains("exceptions") { rule.exceptions = exceptions(item, step, &report) }
        if keys.contains("priority"), let priority = item.priority { rule.priority = priority }
        if keys.contains("enabled"), let isEnabled = item.isEnabled { rule.isEnabled = isEnabled }
        if keys.contains("warn_evttypes"), let warns = item.warnsOfEventTypes { rule.warnsOfEventTypes = warns }
        if keys.contains("skip-if-unknown-filter"), let skips = item.skipsUnknownFilter { rule.skipsUnknownFilter = skips }
    }

    // MARK: - Exceptions

    private func exceptions(_ item: RuleItem, _ step: Step, _ report: inout RulesReport) -> [Exception] {
        var result: [Exception] = []
        for exception in item.exceptions ?? [] {
            let place = Step(type: "exception", name: exception.name, node: exception.node)
            if result.contains(where: { $0.name == exception.name }) {
                report.add(.exceptionNameNotUnique, "the rule has two exceptions \"\(exception.name)\"", at: [step, place])
            }
            guard let fields = exception.fields else {
                report.add(.yamlValidate, "the exception \"\(exception.name)\" lacks fields", at: [step, place])
                continue
            }
            result.append(
                Exception(name: exception.name, node: exception.node, fields: fields, comparisons: exception.comparisons, values: exception.values ?? []))
        }
        return result
    }

    private func append(_ item: ExceptionItem, to rule: inout Rule, _ step: Step, _ report: inout RulesReport) {
        let place = [step, Step(type: "exception", name: item.name, node: item.node)]
        guard let index = rule.exceptions.firstIndex(where: { $0.name == item.name }) else {
            guard let fields = item.fields, let values = item.values else {
                let near = nearMiss(to: item.name, among: rule.exceptions.map(\.name))
                return report.add(.validate, "a new exception needs fields and values", at: place, suggestion: near)
            }
            rule.exceptions.append(Exception(name: item.name, node: item.node, fields: fields, comparisons: item.comparisons, values: values))
            return
        }
        guard item.fields == nil, item.comparisons == nil else {
            return report.add(.validate, "fields and comps of the exception \"\(item.name)\" are defined already; append only values", at: place)
        }
        guard let values = item.values else { return report.add(.appendNoValues, "nothing is appended to the exception \"\(item.name)\"", at: place) }
        rule.exceptions[index].values += values
    }
}
