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
        let defaults = keys["defaults"].flatMap(defaults)
        return keys["playbooks"]?.list()?.compactMap { playbook($0, defaults, register) } ?? []
    }

    func mapping(_ node: YAMLNode, _ keys: [PlaybookKeys.Key], _ what: String) -> [String: YAMLNode]? {
        guard let members = node.members() else { return nil }
        let known = keys.map(\.name)
        for (key, keyNode, _) in members where !known.contains(key) {
            keyNode.report(code: "P001", "unknown key \"\(key)\" in \(what)", suggestion: nearMiss(to: key, among: known))
        }
        let values = Dictionary(members.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        for key in keys where key.isRequired && values[key.name] == nil { node.report(code: "P003", "\(what) needs the key \"\(key.name)\"") }
        return values
    }

    // MARK: - Playbook

    func playbook(_ node: YAMLNode, _ defaults: PlaybookDefaults?, _ register: (String, YAMLNode) -> Void) -> Playbook? {
        let name = (node.isMapping ? node.members()?.first { $0.key == "name" }?.value.text() : nil) ?? ""
        guard let keys = mapping(node, PlaybookKeys.playbook, name.isEmpty ? "a playbook" : "playbook \(name)") else { return nil }
        if let node = keys["name"], isName(name, node) { register(name, node) }
        let mode = keys["mode"].map { $0.choice(Mode.self) } ?? defaults?.mode
        var playbook = Playbook(
            name: name, description: keys["description"].flatMap { $0.text() } ?? "", isEnabled: keys["enabled"].flatMap { $0.bool() } ?? true,
            mode: mode, match: keys["match"].flatMap(match) ?? Match(), cooldown: keys["cooldown"].flatMap(cooldown),
            budget: budget(keys["budget"], steps: keys["steps"]), steps: keys["steps"].map { steps($0, in: name, mode) } ?? [], file: reader.file,
            line: node.place?.line ?? 0)
        playbook.digest = PlaybookSet.digest(of: [node.json.line])
        playbook.approval = approval(keys["approval"], of: &playbook)
        readMore(keys, defaults, into: &playbook)
        playbook.finish = keys["on_finish"].map { finish($0, of: playbook) } ?? []
        playbook.noteDeedFields()
        warnIfUnbounded(playbook, at: node)
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
        for key in ["rules", "tags", "sources", "intake"] {
            // "Any of nothing" holds for no alert; taken as no test at all it would hold for every one.
            if let node = keys[key], node.list(orSingle: true)?.isEmpty == true { node.report(code: "P011", "an empty list of \(key) matches nothing") }
        }
        for rule in keys["rules"].flatMap({ $0.list(orSingle: true) })?.compactMap(ruleName) ?? [] {
            if rule.hasPrefix("!") { match.exceptRules.append(String(rule.dropFirst())) } else { match.rules.append(rule) }
        }
        match.priority = keys["priority"].flatMap(priority)
        match.tags = keys["tags"].flatMap { $0.list(orSingle: true) }?.compactMap(tagGroup) ?? []
        match.sources = keys["sources"].flatMap { $0.list(orSingle: true) }?.compactMap { $0.text() } ?? []
        match.when = keys["when"].flatMap { when($0) }
        match.intakes = keys["intake"].flatMap { $0.list(orSingle: true) }?.compactMap(intake) ?? []
        match.threshold = keys["threshold"].flatMap(threshold)
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

    /// With a scope: of a step, which may ask how the run goes. Without one, of a match, which is decided before there is a run.
    func when(_ node: YAMLNode, _ scope: ConditionScope? = nil) -> WhenClause? {
        guard let text = node.text(code: "P008", expected: "a condition") else { return nil }
        do throws(ConditionError) {
            let condition = try CompiledCondition(parsing: text, scope: scope)
            for field in condition.negatedWithoutExists {
                node.report(.warning, code: "P013", "`not … \(field)` also holds where an alert has no \(field); add `\(field) exists` if that is not meant")
            }
            if scope == nil, let field = condition.fields.first(where: { StepScope.families.contains(String($0.prefix { $0 != "." })) }) {
                node.report(code: "P039", "\(field) is known in the `when` of a step only: a match is decided before there is a run")
            }
            return WhenClause(text: text, condition: condition, scope: scope)
        } catch {
            let isOfRun = scope != nil && error.kind == .unknownField && StepScope.families.contains { error.message.contains("\"\($0).") }
            node.report(code: isOfRun ? "P039" : "P008", atCharacter: error.offset, "bad condition: \(error.message)", suggestion: error.suggestion)
            return nil
        }
    }
}
