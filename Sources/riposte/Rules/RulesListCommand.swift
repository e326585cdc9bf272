internal import ArgumentParser
internal import RiposteCore
internal import RiposteRules

struct RulesListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists rules with priority, state, source, event types and tags.", discussion: "Example:\n  riposte rules list rules/")

    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "Only rules with this tag; may be repeated, and all must be there.")
    var tag: [String] = []

    @OptionGroup var which: RulesArguments

    func run() async throws {
        let rules = try which.load(common).rules.filter { Set($0.tags).isSuperset(of: tag) }
        guard !common.json else {
            for rule in rules { print(RuleText.json(rule).line) }
            return
        }
        print(
            Terminal.table(
                ["NAME", "PRIORITY", "STATE", "SOURCE", "EVENTS", "TAGS"],
                rules.map { rule in
                    [
                        rule.name.escapedForDisplay, rule.priority.name, rule.isArmed ? "on" : "off", rule.source.escapedForDisplay, RuleText.events(rule),
                        rule.tags.joined(separator: ",").escapedForDisplay,
                    ]
                }))
    }
}

struct RulesShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows one rule as it was understood, with macros written out, what the kernel tests of it, and how it is judged.",
        discussion: "Example:\n  riposte rules show 'Terminal shell in container' falco_rules.yaml")

    @OptionGroup var common: CommonOptions

    @Argument(help: "The rule's name.")
    var name: String

    @OptionGroup var which: RulesArguments

    func run() async throws {
        var settings = RulesSettings()
        settings.explains = true
        let ruleSet = try which.load(common, settings)
        guard let rule = ruleSet.rule(named: name) else {
            let near = nearMiss(to: name, among: ruleSet.rules.map(\.name)).map { "; did you mean \"\($0)\"?" } ?? ""
            throw Complaint("there is no rule \"\(name.escapedForDisplay)\"\(near)", status: 4)
        }
        if common.json {
            var object = RuleText.json(rule).object ?? JSONObject()
            object.append("condition", .text(rule.condition.text))
            object.append("expanded_condition", .text(ruleSet.expandedCondition(of: rule).text))
            object.append("output", .text(rule.outputText))
            object.append("plan", rule.explanation?.json)
            object.append("kernel", RuleText.kernelJSON(rule, in: ruleSet))
            print(JSON.object(object).line)
        } else {
            print(RuleText.text(rule, in: ruleSet))
        }
    }
}

/// Rules for people and programs.
enum RuleText {
    /// Only system calls have types.
    static func events(_ rule: Rule) -> String {
        guard rule.source == "syscall" else { return "-" }
        if case .only(let types) = rule.types, types.count > 6 { return types.prefix(5).map(\.name).joined(separator: " ") + " … \(types.count)" }
        return "\(rule.types)"
    }

    static func json(_ rule: Rule) -> JSON {
        var object: JSONObject = [
            "rule": .text(rule.name), "desc": .text(rule.description), "priority": .text(rule.priority.name), "source": .text(rule.source),
            "tags": .array(rule.tags.map(JSON.text)), "enabled": .bool(rule.isArmed), "file": .text(rule.file),
        ]
        object.append("line", rule.place.map { .integer(Int64($0.line)) })
        if rule.source == "syscall" {
            switch rule.types {
            case .only(let types): object.append("event_types", .array(types.map(\.name).sorted().map(JSON.text)))
            case .allBut(let types): object.append("event_types_except", .array(types.map(\.name).sorted().map(JSON.text)))
            }
        }
        return .object(object)
    }

    static func text(_ rule: Rule, in ruleSet: RuleSet) -> String {
        var lines = [Terminal.paint(rule.name.escapedForDisplay, .bold), "  \(rule.description.split(whereSeparator: \.isWhitespace).joined(separator: " ").escapedForDisplay)"]
        lines.append("  file       \(rule.file.escapedForDisplay)\(rule.place.map { ":\($0.line)" } ?? "")")
        lines.append("  priority   \(rule.priority.name)")
        lines.append("  state      \(rule.isArmed ? "on" : "off")")
        lines.append("  source     \(rule.source.escapedForDisplay)")
        if !rule.tags.isEmpty { lines.append("  tags       \(rule.tags.joined(separator: " ").escapedForDisplay)") }
        if rule.source == "syscall" { lines.append("  events     \(rule.types)") }
        lines.append("  output     \(rule.outputText.escapedForDisplay)")
        lines.append("  condition  \(rule.condition.text.escapedForDisplay)")
        lines.append("  expanded   \(ruleSet.expandedCondition(of: rule).text.escapedForDisplay)")
        lines += kernel(rule, in: ruleSet)
        guard let explanation = rule.explanation else { return lines.joined(separator: "\n") }
        lines.append("  judged     \(explanation.leads.isEmpty ? "for every event of these types" : "only where one of these holds:")")
        for lead in explanation.leads { lines.append("               \(lead.escapedForDisplay)") }
        lines.append("  tests      asked once per event, however many rules share them:")
        for test in explanation.tests {
            let shared = test.rules > 1 ? Terminal.paint("  shared by \(test.rules) rules", .dim) : ""
            lines.append("               \(test.text.escapedForDisplay)\(shared)")
        }
        return lines.joined(separator: "\n")
    }

    // MARK: - The kernel

    /// What the kernel tests before it hands an event up; nothing of rules that judge no system calls.
    private static func pushdown(_ rule: Rule, in ruleSet: RuleSet) -> [PushdownExplanation] {
        guard rule.source == "syscall", rule.isArmed, let index = ruleSet.rules.firstIndex(where: { $0.name == rule.name }) else { return [] }
        return ruleSet.pushdown(ofRule: index, ruleSet.kernelFilters())
    }

    private static func kernel(_ rule: Rule, in ruleSet: RuleSet) -> [String] {
        var lines: [String] = []
        for explanation in pushdown(rule, in: ruleSet) {
            let types = shown(explanation.types)
            guard !explanation.clauses.isEmpty else {
                lines.append("\(types): nothing, every event is handed up")
                continue
            }
            lines.append("\(types): only where \(explanation.clauses.count == 1 ? "this holds" : "one of these holds"):")
            for clause in explanation.clauses { lines.append("  \(clause.escapedForDisplay)") }
            guard let other = explanation.passesForRules.first else { continue }
            let more = explanation.passesForRules.count > 1 ? " and \(explanation.passesForRules.count - 1) more" : ""
            lines.append("  and yet every event is handed up, for \"\(other.escapedForDisplay)\"\(more)")
        }
        return lines.enumerated().map { ($0.offset == 0 ? "  in kernel  " : "             ") + $0.element }
    }

    private static func shown(_ types: [String]) -> String {
        types.count <= 8 ? types.joined(separator: " ") : types.prefix(6).joined(separator: " ") + " … \(types.count)"
    }

    static func kernelJSON(_ rule: Rule, in ruleSet: RuleSet) -> JSON? {
        let explanations = pushdown(rule, in: ruleSet)
        guard !explanations.isEmpty else { return nil }
        return .array(
            explanations.map { explanation in
                .object([
                    "event_types": .array(explanation.types.map(JSON.text)), "clauses": .array(explanation.clauses.map(JSON.text)),
                    "passes_for_rules": .array(explanation.passesForRules.map(JSON.text)),
                ])
            })
    }
}
