internal import RiposteCore
internal import RiposteRules

/// Turns the nodes of one file into playbooks. Reports and goes on, so that one look shows all problems.
struct PlaybookDecoder {
    let reader: YAMLReader
    let catalogue: ActionCatalogue

    func file(_ register: (String, YAMLNode) -> Void) -> [Playbook] {
        guard let root = reader.root() else {
            if reader.diagnostics.isEmpty { reader.report(code: "P003", at: nil, "the file is empty; it needs apiVersion and playbooks") }
            return []
        }
        guard let keys = mapping(root, PlaybookKeys.file, "a playbook file") else { return [] }
        if let node = keys["apiVersion"], let version = node.text(), version != PlaybookKeys.apiVersion {
            node.report(code: "P004", "unknown apiVersion \"\(version)\"", suggestion: PlaybookKeys.apiVersion)
        }
        return keys["playbooks"]?.list()?.compactMap { playbook($0, register) } ?? []
    }

    func mapping(_ node: YAMLNode, _ keys: [PlaybookKeys.Key], _ what: String) -> [String: YAMLNode]? {
        guard let members = node.members() else { return nil }
        let known = keys.map(\.name)
        for (key, keyNode, _) in members where !known.contains(key) {
            let isPlanned = PlaybookKeys.planned.contains(key)
            keyNode.report(
                code: "P001", isPlanned ? "key \"\(key)\" is not supported by this version" : "unknown key \"\(key)\" in \(what)",
                suggestion: isPlanned ? nil : nearMiss(to: key, among: known))
        }
        let values = Dictionary(members.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        for key in keys where key.isRequired && values[key.name] == nil { node.report(code: "P003", "\(what) needs the key \"\(key.name)\"") }
        return values
    }

    // MARK: - Playbook

    func playbook(_ node: YAMLNode, _ register: (String, YAMLNode) -> Void) -> Playbook? {
        let name = (node.isMapping ? node.members()?.first { $0.key == "name" }?.value.text() : nil) ?? ""
        guard let keys = mapping(node, PlaybookKeys.playbook, name.isEmpty ? "a playbook" : "playbook \(name)") else { return nil }
        if let node = keys["name"], isName(name, node) { register(name, node) }
        let mode = keys["mode"].flatMap { $0.choice(Mode.self) }
        let playbook = Playbook(
            name: name, description: keys["description"].flatMap { $0.text() } ?? "", isEnabled: keys["enabled"].flatMap { $0.bool() } ?? true,
            mode: mode, match: keys["match"].flatMap(match) ?? Match(), cooldown: keys["cooldown"].flatMap(cooldown),
            budget: keys["budget"].flatMap(budget), steps: keys["steps"].map { steps($0, in: name, mode) } ?? [], file: reader.file,
            line: node.place?.line ?? 0)
        for problem in playbook.reflexProblems { (keys["steps"] ?? node).report(code: "P018", problem) }
        return playbook
    }

    func isName(_ name: String, _ node: YAMLNode) -> Bool {
        let bytes = Array(name.utf8)
        let isGood =
            1...63 ~= bytes.count && bytes.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
            && bytes.first != 0x2D && bytes.last != 0x2D
        if !isGood { node.report(code: "P005", "a name has 1 to 63 lower-case letters, digits and dashes, no dash at either end") }
        return isGood
    }

    func cooldown(_ node: YAMLNode) -> Cooldown? {
        guard let keys = mapping(node, PlaybookKeys.cooldown, "cooldown") else { return nil }
        let fields = keys["by"].flatMap { $0.list(orSingle: true) } ?? []
        for field in fields { checkField(field) }
        guard let length = keys["for"]?.duration() else { return nil }
        return Cooldown(length: length, by: fields.compactMap { $0.text() })
    }

    func budget(_ node: YAMLNode) -> Budget? {
        guard let keys = mapping(node, PlaybookKeys.budget, "budget") else { return nil }
        let window = keys["per"]?.duration()
        if let window, window > EngineState.budgetHorizon { keys["per"]?.report(code: "P002", "a budget's window is at most \(EngineState.budgetHorizon.text)") }
        guard let actions = keys["actions"]?.integer(in: 1...100_000), let window else { return nil }
        return Budget(actions: actions, per: window)
    }

    func checkField(_ node: YAMLNode) {
        guard let name = node.text(), let problem = FieldCatalogue.problem(with: name) else { return }
        node.report(code: "P015", problem.message, suggestion: problem.suggestion)
    }

    // MARK: - Match

    func match(_ node: YAMLNode) -> Match? {
        guard let keys = mapping(node, PlaybookKeys.match, "match") else { return nil }
        guard !keys.isEmpty else {
            node.report(code: "P011", "match says nothing; write `any: true` if every alert is meant")
            return nil
        }
        if let any = keys["any"], any.bool() != true || keys.count > 1 { any.report(code: "P011", "any must be true and stand alone") }
        var match = Match()
        for key in ["rules", "tags", "sources"] {
            // "Any of nothing" holds for no alert; taken as no test at all it would hold for every one.
            if let node = keys[key], node.list(orSingle: true)?.isEmpty == true { node.report(code: "P011", "an empty list of \(key) matches nothing") }
        }
        for rule in keys["rules"].flatMap({ $0.list(orSingle: true) })?.compactMap(ruleName) ?? [] {
            if rule.hasPrefix("!") { match.exceptRules.append(String(rule.dropFirst())) } else { match.rules.append(rule) }
        }
        match.priority = keys["priority"].flatMap(priority)
        match.tags = keys["tags"].flatMap { $0.list(orSingle: true) }?.compactMap(tagGroup) ?? []
        match.sources = keys["sources"].flatMap { $0.list(orSingle: true) }?.compactMap { $0.text() } ?? []
        match.when = keys["when"].flatMap(when)
        return match
    }

    func ruleName(_ node: YAMLNode) -> String? {
        guard let text = node.text() else { return nil }
        if text.isEmpty || text == "!" { node.report(code: "P002", "a rule's name is not empty") }
        return text
    }

    func tagGroup(_ node: YAMLNode) -> [String]? {
        let tags = node.list(orSingle: true)?.compactMap { $0.text() }
        if tags?.isEmpty == true { node.report(code: "P002", "an empty list of tags matches nothing") }
        return tags.flatMap { $0.isEmpty ? nil : $0 }
    }

    func priority(_ node: YAMLNode) -> Match.PriorityTest? {
        guard let text = node.text(code: "P010") else { return nil }
        let names = Priority.allCases.map { "\($0)" }
        guard let comparison = Match.PriorityTest.Comparison.allCases.sorted(by: { $0.rawValue.count > $1.rawValue.count }).first(where: { text.hasPrefix($0.rawValue) })
        else {
            node.report(code: "P010", "a priority needs an operator: \">= notice\" for this and graver, \"= notice\" for this alone")
            return nil
        }
        let name = text.dropFirst(comparison.rawValue.count).drop { $0 == " " }
        guard let priority = Priority(name) else {
            node.report(code: "P010", "\"\(name)\" is no priority", suggestion: nearMiss(to: String(name), among: names))
            return nil
        }
        return Match.PriorityTest(comparison: comparison, priority: priority)
    }

    func when(_ node: YAMLNode) -> WhenClause? {
        guard let text = node.text(code: "P008", expected: "a condition") else { return nil }
        do throws(ConditionError) {
            let condition = try CompiledCondition(parsing: text)
            for field in condition.negatedWithoutExists {
                node.report(.warning, code: "P013", "`not … \(field)` also holds where an alert has no \(field); add `\(field) exists` if that is not meant")
            }
            return WhenClause(text: text, condition: condition)
        } catch {
            node.report(code: "P008", atCharacter: error.offset, "bad condition: \(error.message)", suggestion: error.suggestion)
            return nil
        }
    }

    // MARK: - Steps

    func steps(_ node: YAMLNode, in playbook: String, _ mode: Mode?) -> [Step] {
        guard let nodes = node.list() else { return [] }
        guard 1...PlaybookKeys.stepLimit ~= nodes.count else {
            node.report(code: "P002", "a playbook has 1 to \(PlaybookKeys.stepLimit) steps")
            return []
        }
        var names: Set<String> = []
        return nodes.compactMap { node in
            guard let step = step(node, in: playbook, mode) else { return nil }
            if !names.insert(step.name).inserted { node.report(code: "P005", "another step is named \"\(step.name)\"; give this one a `name`") }
            return step
        }
    }

    func step(_ node: YAMLNode, in playbook: String, _ playbookMode: Mode?) -> Step? {
        guard let keys = mapping(node, PlaybookKeys.step, "a step of playbook \(playbook)") else { return nil }
        let description = keys["action"].flatMap(action)
        var step = Step(
            name: "", action: description?.name ?? "", parameters: [], when: keys["when"].flatMap(when), onFailure: .stop,
            mode: keys["mode"].flatMap { $0.choice(Mode.self) })
        step.name = keys["name"].flatMap { $0.text() } ?? String(step.action.rawValue.map { $0 == "." ? "-" : $0 })
        if let node = keys["name"] { _ = isName(step.name, node) }
        if let node = keys["on_failure"] { step.onFailure = node.choice(Step.OnFailure.self) ?? .stop }
        step.isReflex = keys["reflex"].flatMap { $0.bool() } ?? false
        if let node = keys["undo"] { readUndo(node, of: &step) }
        if let description {
            if let undo = keys["undo"], description.inverse == nil { undo.report(code: "P012", "\(description.name) cannot be taken back") }
            step.parameters = parameters(keys["with"], of: description, at: node)
            if let mode = step.mode, let playbookMode, mode > playbookMode {
                keys["mode"]?.report(.warning, code: "P017", "the playbook's mode is \(playbookMode.rawValue), and the most careful one wins")
            }
            warnIfForEver(step, description, playbookMode, at: node)
        }
        return step
    }

    func warnIfForEver(_ step: Step, _ description: ActionDescription, _ mode: Mode?, at node: YAMLNode) {
        let hasEnd = step.undoAfter != nil || step.parameters.contains { $0.name == "for" }
        guard description.inverse != nil, description.impact == .reversible, min(mode ?? .observe, step.mode ?? .enforce) == .enforce, !hasEnd else { return }
        node.report(.warning, code: "P014", "\(step.action) stays in force until a person takes it back; add `undo: { after: … }` if it should end by itself")
    }

    func action(_ node: YAMLNode) -> ActionDescription? {
        guard let name = node.text(code: "P006", expected: "an action such as process.kill") else { return nil }
        guard let action = catalogue[ActionName(rawValue: name)], action.description.isOffered else {
            let names = catalogue.descriptions.filter(\.isOffered).map(\.name.rawValue)
            node.report(code: "P006", "there is no action \"\(name)\"", suggestion: nearMiss(to: name, among: names))
            return nil
        }
        return action.description
    }

    func parameters(_ node: YAMLNode?, of action: ActionDescription, at step: YAMLNode) -> [(name: String, value: ParameterSource)] {
        var result: [(name: String, value: ParameterSource)] = []
        for (name, keyNode, value) in node?.members() ?? [] {
            guard let parameter = action.parameters.first(where: { $0.name == name }) else {
                keyNode.report(code: "P007", "\(action.name) has no parameter \"\(name)\"", suggestion: nearMiss(to: name, among: action.parameters.map(\.name)))
                continue
            }
            if let source = source(value, of: parameter) { result.append((name, source)) }
        }
        for parameter in action.parameters where parameter.isRequired && !result.contains(where: { $0.name == parameter.name }) {
            guard node?.members()?.contains(where: { $0.key == parameter.name }) != true else { continue }
            (node ?? step).report(code: "P007", "\(action.name) needs the parameter \"\(parameter.name)\"")
        }
        return result
    }

    func source(_ node: YAMLNode, of parameter: Parameter) -> ParameterSource? {
        if case .list(let element, _) = parameter.type, let elements = node.list(code: "P007") {
            let sources = elements.compactMap { source($0, parameter.name, element) }
            return sources.count == elements.count ? .list(sources) : nil
        }
        return source(node, parameter.name, parameter.type)
    }

    func source(_ node: YAMLNode, _ name: String, _ type: ParameterType) -> ParameterSource? {
        let json = node.json
        do throws(Template.Invalid) {
            if let template = try json.string?.valid.flatMap({ text throws(Template.Invalid) in try Template(text) }) { return .template(template) }
        } catch {
            node.report(code: "P009", atCharacter: error.offset, error.message, suggestion: error.suggestion)
            return nil
        }
        do throws(ParameterError) {
            _ = try type.value(from: json)
            return .literal(json)
        } catch {
            node.report(code: "P007", "\(name) must \(error.expectation)", suggestion: error.suggestion)
            return nil
        }
    }
}
