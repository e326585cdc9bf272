internal import RiposteCore

extension RuleSet {
    package struct File: Sendable {
        package var name: String
        package var text: String

        package init(name: String, text: String) {
            self.name = name
            self.text = text
        }
    }

    /// Loads rules files in their order. Nil with the findings where there is an error: rules are loaded whole or not at all.
    package static func load(_ files: [File], _ settings: RulesSettings = RulesSettings()) -> (ruleSet: RuleSet?, findings: [RulesFinding]) {
        var report = RulesReport()
        var collection = RulesCollection()
        for file in files { collection.take(RulesFileReader.read(file.text, file: file.name, &report), &report) }
        var compiler = RuleSetCompiler(collection, settings, report)
        let ruleSet = compiler.compile()
        let findings = compiler.findings
        return (findings.hasErrors ? nil : ruleSet, findings)
    }
}

/// Checks and compiles what was collected from rules files.
private struct RuleSetCompiler {
    private typealias Step = RulesReport.Step

    /// The version of Falco's engine that the language is that of.
    private static let engineVersion = SemanticVersion(0, 63, 0)
    /// Plugins whose fields are built in, by the names under which rules ask for them.
    private static let pluginVersions: [String: SemanticVersion] = [
        "container": SemanticVersion(0, 8, 0), "k8saudit": SemanticVersion(0, 20, 0), "json": SemanticVersion(0, 8, 0),
    ]
    /// More event types than this are very many.
    private static let eventTypeLimit = 100

    private let collection: RulesCollection
    private let settings: RulesSettings
    private let lists: ListTable
    private let macros: MacroTable

    var findings: [RulesFinding] { macros.report.findings }

    init(_ collection: RulesCollection, _ settings: RulesSettings, _ report: RulesReport) {
        self.collection = collection
        self.settings = settings
        lists = ListTable(collection)
        macros = MacroTable(collection, lists, report)
    }

    /// What a rule was before its plan is made.
    private struct Draft {
        var rule: RulesCollection.Rule
        var condition: Condition
        var root: ConditionGraph.NodeID
        var output: OutputTemplate
        var extraFields: [(String, Rule.ExtraField)]
        var isArmed: Bool
        var types = EventTypes.only([])
        var explanation: PlanExplanation?
    }

    mutating func compile() -> RuleSet {
        checkRequirements()
        macros.readAll()
        var drafts: [Int: Draft] = [:]
        var sources: [String: RuleSet.Source] = [:]
        let ordered = collection.orderedRules
        for rule in ordered where !RuleSet.knownSources.contains(rule.source) { reportUnknownSource(rule) }
        for source in RuleSet.knownSources {
            let own = ordered.enumerated().filter { $0.element.source == source }
            guard !own.isEmpty else { continue }
            // Rules at rest are checked in a graph of their own, so that those that judge do not pay for them.
            var armed = compiler(source)
            var resting = compiler(source)
            for (index, rule) in own {
                let isArmed = isArmed(rule)
                drafts[index] = isArmed ? draft(rule, &armed, isArmed: true) : draft(rule, &resting, isArmed: false)
            }
            findTypes(own.map(\.offset), armed.graph, resting.graph, &drafts)
            guard !findings.hasErrors else { continue }
            let judging = own.map(\.offset).filter { drafts[$0]?.isArmed ?? false }
            if settings.explains {
                let explanations = PlanBuilder.explanations(armed.graph, roots: judging.compactMap { drafts[$0]?.root })
                for (index, explanation) in zip(judging, explanations) { drafts[index]?.explanation = explanation }
            }
            let roots = judging.compactMap { drafts[$0]?.root }
            let plan = PlanBuilder.plan(armed.graph, roots: roots, narrowsByType: true)
            let isFiltered = source == "syscall"
            sources[source] = RuleSet.Source(plan: plan, rules: judging, graph: isFiltered ? armed.graph : ConditionGraph(), roots: isFiltered ? roots : [])
        }
        if let problem = lists.problem { macros.report.add(.validate, problem.message, at: [.list(problem.name, problem.list.node)]) }
        // What is wrong may be what would have used them.
        if !findings.hasErrors { warnOfUnused() }
        warnOfShadows()
        return ruleSet(ordered, drafts, sources)
    }

    private func ruleSet(_ ordered: [RulesCollection.Rule], _ drafts: [Int: Draft], _ sources: [String: RuleSet.Source]) -> RuleSet {
        var rules: [Rule] = []
        var places: [Int: Int] = [:]
        for index in ordered.indices {
            guard let draft = drafts[index] else { continue }
            places[index] = rules.count
            let rule = draft.rule
            rules.append(
                Rule(
                    name: rule.name, description: rule.description, priority: rule.priority, source: rule.source, tags: rule.tags.sorted(), isArmed: draft.isArmed,
                    condition: draft.condition, types: draft.types, file: rule.node.file, place: rule.node.place, outputText: draft.output.text,
                    explanation: draft.explanation, output: draft.output, extraFields: draft.extraFields))
        }
        let conditions = collection.macros.keys.reduce(into: [String: Condition]()) { $0[$1] = macros.condition(named: $1) }
        let known = sources.mapValues { source in RuleSet.Source(plan: source.plan, rules: source.rules.compactMap { places[$0] }, graph: source.graph, roots: source.roots) }
        return RuleSet(rules: rules, sources: known, matching: settings.matching, macros: conditions)
    }

    private func compiler(_ source: String) -> ConditionCompiler {
        let macros = macros
        return ConditionCompiler(graph: ConditionGraph(), fields: .events(source: source)) { compiler, name, offset throws(ConditionError) in
            try macros.node(name, at: offset, &compiler)
        }
    }

    private func isArmed(_ rule: RulesCollection.Rule) -> Bool {
        var isEnabled = rule.isEnabled
        for selection in settings.selections where selection.selects(rule.name, rule.tags) { isEnabled = selection.enables }
        return isEnabled && rule.priority >= settings.minimumPriority
    }

    // MARK: - Rules

    private func draft(_ rule: RulesCollection.Rule, _ compiler: inout ConditionCompiler, isArmed: Bool) -> Draft? {
        compiler.leavesOutUnknown = rule.skipsUnknownFilter
        let condition = condition(of: rule, &compiler)
        let outputs = output(of: rule, &compiler)
        guard let (condition, root) = condition, let (output, extraFields) = outputs else { return nil }
        return Draft(rule: rule, condition: condition, root: root, output: output, extraFields: extraFields, isArmed: isArmed)
    }

    private func condition(of rule: RulesCollection.Rule, _ compiler: inout ConditionCompiler) -> (Condition, ConditionGraph.NodeID)? {
        let steps: [Step] = [.rule(rule.name, rule.node), Step(type: "rule condition", node: rule.conditionNode)]
        for (name, offset) in lists.namesInQuotes(of: rule.condition.bytes) {
            macros.report.add(.listInText, ListTable.warning(ofQuoted: name), in: rule.condition, at: offset, type: "condition expression", steps)
        }
        let text = lists.substituted(in: rule.condition)
        var parts: [Condition] = []
        var nodes: [ConditionGraph.NodeID] = []
        func take(_ condition: Condition, _ text: SourcedText, _ type: String, _ steps: [RulesReport.Step]) -> Bool {
            do throws(ConditionError) {
                try macros.prepare(condition, ofRuleInFile: rule.position.latestFile, &compiler)
                nodes.append(try compiler.node(condition))
                parts.append(condition)
                for warning in compiler.takeWarnings() { macros.report.add(warning.code, warning.message, in: text, at: warning.offset, type: type, steps) }
                return true
            } catch {
                _ = compiler.takeWarnings()
                report(error, rule, in: text, type, steps)
                return false
            }
        }
        do throws(ConditionError) {
            let condition = try Condition(parsing: text.bytes, depthLimit: Condition.depthLimitInRules)
            guard take(condition, text, "condition expression", steps) else { return nil }
        } catch {
            report(error, rule, in: text, "condition expression", steps)
            return nil
        }
        let known = compiler
        let exceptions = ExceptionCompiler(rule, lists) { known.knows($0) }
        guard let taken = exceptions.exceptions(&macros.report) else { return nil }
        for (condition, text, steps) in taken { guard take(.not(condition), text, "exception value", steps) else { return nil } }
        return (parts.count == 1 ? parts[0] : .and(parts), compiler.graph.all(nodes))
    }

    private func report(_ error: ConditionError, _ rule: RulesCollection.Rule, in text: SourcedText, _ type: String, _ steps: [RulesReport.Step]) {
        guard error.kind != .reported, error.kind != .leftOut else { return }
        if error.kind == .unknownField, rule.skipsUnknownFilter {
            return macros.report.add(.unknownFilter, "\(error.message); the rule is left out, as it asks", in: text, at: error.offset, type: type, steps)
        }
        let code: RulesFinding.Code = error.kind == .unknownMacro ? .validate : .compileCondition
        macros.report.add(code, error.message, in: text, at: error.offset, type: type, steps, suggestion: error.suggestion)
    }

    // MARK: - Outputs

    private func output(of rule: RulesCollection.Rule, _ compiler: inout ConditionCompiler) -> (OutputTemplate, [(String, Rule.ExtraField)])? {
        let steps: [Step] = [.rule(rule.name, rule.node), Step(type: "rule output", node: rule.outputNode)]
        let text = withoutContainerInfo(rule, steps)
        var output: OutputTemplate
        do throws(ConditionError) { output = try OutputTemplate(compiling: text.bytes, &compiler) } catch {
            if error.kind == .unknownField, rule.skipsUnknownFilter {
                macros.report.add(.unknownFilter, "\(error.message); the rule is left out, as it asks", in: text, at: error.offset, type: "rule output expression", steps)
            } else {
                macros.report.add(.compileOutput, error.message, in: text, at: error.offset, type: "rule output expression", steps, suggestion: error.suggestion)
            }
            return nil
        }
        for warning in compiler.takeWarnings() { macros.report.add(warning.code, warning.message, in: text, at: warning.offset, type: "rule output expression", steps) }
        var extraFields: [(String, Rule.ExtraField)] = []
        for addition in settings.additions where addition.applies(to: rule) {
            do throws(ConditionError) { try add(addition, rule, &output, &extraFields, &compiler) } catch {
                macros.report.add(.compileOutput, "append_output of the configuration: \(error.message)", at: steps, suggestion: error.suggestion)
                return nil
            }
        }
        _ = compiler.takeWarnings()
        return (output, extraFields)
    }

    /// Falco took `%container.info` for a list of fields once, and now leaves it out.
    private func withoutContainerInfo(_ rule: RulesCollection.Rule, _ steps: [RulesReport.Step]) -> SourcedText {
        let (text, places) = rule.output.removing("%container.info")
        for place in places {
            macros.report.add(
                .deprecatedItem, "%container.info is left out; fields of containers are added anyway", in: rule.output, at: place, type: "rule output expression", steps)
        }
        return text
    }

    private func add(
        _ addition: RulesSettings.Addition, _ rule: RulesCollection.Rule, _ output: inout OutputTemplate, _ extraFields: inout [(String, Rule.ExtraField)],
        _ compiler: inout ConditionCompiler
    ) throws(ConditionError) {
        if let text = addition.output { output.append(try OutputTemplate(compiling: Array(text.utf8), &compiler)) }
        for (name, text) in addition.fields {
            let template = try OutputTemplate(compiling: Array((text ?? "%\(name)").utf8), &compiler)
            if text == nil, template.segments.count != 1 || template.tokens.first?.key != name {
                throw ConditionError("\"\(name.escapedForDisplay)\" is no field; give a text for it if it is to be a key of its own", at: 0)
            }
            if text == nil, let token = template.tokens.first { extraFields.append((name, .field(token))) } else { extraFields.append((name, .template(template))) }
        }
        guard addition.addsSuggested else { return }
        let suggested = FieldCatalogue.all.filter { $0.isSuggested && ($0.source == nil || $0.source == rule.source) }.map(\.name)
        for name in suggested {
            let label = name.map { $0 == "." ? "_" : String($0) }.joined()
            output.append(try OutputTemplate(compiling: Array("\(label)=%\(name)".utf8), &compiler))
        }
    }

    // MARK: - Warnings

    private func findTypes(_ indices: [Int], _ armed: ConditionGraph, _ resting: ConditionGraph, _ drafts: inout [Int: Draft]) {
        let finders = (armed: EventTypeNarrowing.Finder(armed), resting: EventTypeNarrowing.Finder(resting))
        for index in indices {
            guard let draft = drafts[index] else { continue }
            let graph = draft.isArmed ? armed : resting
            let types = (draft.isArmed ? finders.armed : finders.resting).types(of: draft.root)
            drafts[index]?.types = types
            let steps: [Step] = [.rule(draft.rule.name, draft.rule.node), Step(type: "rule condition", node: draft.rule.conditionNode)]
            if types.count == 0 || graph.nodes[draft.root] == .constant(false) {
                macros.report.add(.neverTrue, "no event can match this rule", at: steps)
            } else if draft.rule.source == "syscall", draft.rule.warnsOfEventTypes, types.count > Self.eventTypeLimit {
                macros.report.add(.noEventType, "the rule is for \(types.count) types of events; begin it with evt.type, or set warn_evttypes: false", at: steps)
            }
        }
    }

    private func reportUnknownSource(_ rule: RulesCollection.Rule) {
        let near = nearMiss(to: rule.source, among: RuleSet.knownSources)
        macros.report.add(.unknownSource, "there is no event source \"\(rule.source)\"; the rule is left out", at: [.rule(rule.name, rule.node)], suggestion: near)
    }

    private func warnOfUnused() {
        for (name, macro) in collection.macros.sorted(by: { $0.value.position.first < $1.value.position.first }) where !macros.used.contains(name) {
            macros.report.add(.unusedMacro, "nothing uses the macro \"\(name)\"", at: [.macro(name, macro.node)])
        }
        for (name, list) in collection.lists.sorted(by: { $0.value.position.first < $1.value.position.first }) where !lists.used.contains(name) {
            macros.report.add(.unusedList, "nothing uses the list \"\(name)\"", at: [.list(name, list.node)])
        }
    }

    private func warnOfShadows() {
        for (name, macro) in collection.macros.sorted(by: { $0.value.position.first < $1.value.position.first }) {
            if let list = collection.lists[name] {
                let place = list.node.place.map { "\(list.node.file):\($0.line)" } ?? list.node.file
                macros.report.add(
                    .shadowedName, "the list \"\(name)\" at \(place) has the same name and takes the macro's place wherever it stands", at: [.macro(name, macro.node)])
            }
        }
        for shadow in collection.shadows {
            let place = shadow.earlier.place.map { "\(shadow.earlier.file):\($0.line)" } ?? shadow.earlier.file
            macros.report.add(
                .shadowedName, "the \(shadow.kind) \"\(shadow.name)\" takes the place of the one at \(place); say so with override, or rename it",
                at: [Step(type: shadow.kind, name: shadow.name, node: shadow.later)])
        }
    }

    // MARK: - Requirements

    private func checkRequirements() {
        for required in collection.engineVersions where !Self.engineVersion.satisfies(required.version) {
            macros.report.add(
                .validate, "the rules need engine version \(required.version); this one is \(Self.engineVersion)", at: [Step(type: "required_engine_version", node: required.node)])
        }
        for required in collection.pluginVersions {
            for entry in required.entries where !entry.contains(where: { Self.pluginVersions[$0.name]?.satisfies($0.version) ?? false }) {
                let words = entry.map { "\($0.name) \($0.version)" }.joined(separator: " or ")
                let have = Self.pluginVersions.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
                macros.report.add(
                    .validate, "the rules need the plugin \(words); built in are \(have)",
                    at: [Step(type: "required plugin versions", node: required.node), Step(type: "required plugin versions entry", node: entry[0].node)])
            }
        }
    }
}
