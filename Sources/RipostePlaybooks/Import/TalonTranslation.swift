package import RiposteCore

/// Turns Talon's rules into playbooks. What cannot be carried over becomes a remark in its place and an entry of the report; nothing is ever
/// widened: where a restriction cannot be kept, the step observes only.
package struct TalonTranslation: Sendable {
    package private(set) var playbooks: [PlaybookDraft] = []
    package private(set) var report = ImportReport()
    private let mode: Mode
    private let rules: TalonRules
    private var names = NameTable()

    package init(_ rules: TalonRules, mode: Mode) {
        self.rules = rules
        self.mode = mode
        for entry in rules.passedOver {
            let near = entry.suggestion.map { "; did you mean \"\($0)\"?" } ?? ""
            report.add(.different, entry.place, "", entry.what, "Talon passes over it without a word, and so does the import\(near)")
        }
        for index in rules.rules.indices { translate(rules.rules[index], before: rules.rules[(index + 1)...]) }
        report.playbooks = playbooks.count(where: \.hasSteps)
        for words in general { report.addGeneral(words) }
    }

    /// The playbook file.
    package var text: String {
        PlaybookWriter.text(
            playbooks,
            remarks: [
                "Made from rules of Falco Talon: \(rules.files.joined(separator: ", ")).",
                "What could not be carried over stands in comments that begin with \"not imported\".",
            ])
    }

    private var general: [String] {
        var lines = [
            "alerts about Falco itself (source internal) match only where match names the source; Talon's rules without a source match them, too",
            "Talon drops an alert whose text it has seen within the last 5 s (deduplication); here every alert is answered, and a target that was already dealt with ends"
                + " as already or gone; add a cooldown where that is not enough",
            "Talon takes whatever pod has the alert's name; here the pod's UID, or else its containers and start time, must prove that it is the one",
        ]
        if rules.rules.contains(where: { $0.actions.contains { $0.actionner == "kubernetes:terminate" } }) {
            lines.append("Talon also takes a pod's name from ka.target.pod.name, ka.target.name and ka.target.namespace; here it stands in k8s.pod.name and k8s.ns.name")
        }
        if mode != .observe { lines.append("Talon has no budgets, and so the playbooks have none; give them one before they may act") }
        return lines
    }

    // MARK: - Rules

    private mutating func translate(_ rule: TalonRules.Rule, before later: ArraySlice<TalonRules.Rule>) {
        report.begin(rule: rule.name)
        let match = TalonMatchTranslation(rule.match)
        for finding in match.findings { report.add(finding.fit, rule.place, rule.name, finding.part, finding.text) }
        var draft = PlaybookDraft(
            remarks: ["Talon's rule \"\(rule.name)\" (\(rule.place))"], name: names.playbook(for: rule.name), description: rule.description.trimmed,
            mode: rule.isDryRun == true ? .observe : mode, rules: match.rules, priority: match.priority, tags: match.tags, sources: match.sources, when: match.when)
        draft.remarks += match.findings.filter { $0.fit == .missing }.map { "not imported: \($0.part): \($0.text)" }
        if let impossible = match.impossible {
            report.add(.missing, rule.place, rule.name, "the rule", "\(impossible); there is no playbook for it")
            draft.remarks.append("not imported: \(impossible)")
            playbooks.append(PlaybookDraft(remarks: draft.remarks, name: draft.name, description: "", mode: draft.mode))
            return
        }
        if rule.isDryRun != nil { report.add(.exact, rule.place, rule.name, "dry_run") }
        translateOrder(rule, before: later, &draft)
        translateNotifiers(rule, &draft)
        translateActions(rule, &draft)
        if !draft.hasSteps {
            report.add(.missing, rule.place, rule.name, "the rule", "none of its actions has a counterpart; the playbook is written as a comment")
        }
        playbooks.append(draft)
    }

    /// `continue: false` keeps later rules from the alert. Playbooks do not stand in each other's way, which only matters where two answer one alert.
    private mutating func translateOrder(_ rule: TalonRules.Rule, before later: ArraySlice<TalonRules.Rule>, _ draft: inout PlaybookDraft) {
        guard rule.isFollowed == false else {
            if rule.isFollowed == true { report.add(.exact, rule.place, rule.name, "continue") }
            return
        }
        let affected = later.filter { $0.hasCounterpart && rule.match.mayMeet($0.match) }.map { "\"\($0.name)\"" }
        guard !affected.isEmpty else {
            report.add(.exact, rule.place, rule.name, "continue")
            return
        }
        let names = affected.prefix(3).joined(separator: ", ") + (affected.count > 3 ? " and \(affected.count - 3) more" : "")
        let words = "later playbooks see the alert all the same: exclude it in those of \(names), whose alerts can be the same"
        report.add(.missing, rule.place, rule.name, "continue: false", words)
        draft.remarks.append("not imported: continue: false: \(words)")
    }

    private mutating func translateNotifiers(_ rule: TalonRules.Rule, _ draft: inout PlaybookDraft) {
        guard !rule.notifiers.isEmpty else { return }
        let words = "results stand in the journal and on the agent's standard output, and are sent nowhere"
        report.add(.missing, rule.place, rule.name, "notifiers \(rule.notifiers.joined(separator: ", "))", words)
        draft.remarks.append("not imported: notifiers \(rule.notifiers.joined(separator: ", ")): \(words)")
    }

    // MARK: - Actions

    private mutating func translateActions(_ rule: TalonRules.Rule, _ draft: inout PlaybookDraft) {
        var names = NameTable()
        for (index, action) in rule.actions.enumerated() {
            let part = "action \"\(action.name)\""
            let translated = TalonActionTranslation(action, name: names.step(for: action.name))
            for finding in translated.findings { report.add(finding.fit, action.place, rule.name, "\(part): \(finding.part)", finding.text) }
            switch translated.item {
            case .step where draft.steps.count(where: \.isStep) == PlaybookKeys.stepLimit:
                let words = "a playbook has at most \(PlaybookKeys.stepLimit) steps"
                report.add(.missing, action.place, rule.name, part, words)
                draft.steps.append(.remark(["not imported: \(part): \(words)"]))
            case .step(var step):
                step.goesOnAfterFailure = action.ignoresErrors == true && action.isFollowedByDefault && index + 1 < rule.actions.count
                draft.steps.append(.step(step))
            case .remark(let remarks): draft.steps.append(.remark(remarks))
            }
            guard action.isFollowedByDefault else {
                leaveOut(rule.actions[(index + 1)...], after: action, of: rule, &draft)
                return
            }
        }
    }

    /// After an action without `continue` Talon ends the rule, whatever stands behind.
    private mutating func leaveOut(_ actions: ArraySlice<TalonRules.Action>, after last: TalonRules.Action, of rule: TalonRules.Rule, _ draft: inout PlaybookDraft) {
        for action in actions {
            let words = "Talon never comes to it, as \"\(last.name)\" does not continue"
            report.add(.exact, action.place, rule.name, "action \"\(action.name)\" (left out: \(words))")
            draft.steps.append(.remark(["left out: action \"\(action.name)\": \(words)"]))
        }
    }
}

extension TalonRules.Action {
    /// Whether the rule's next action follows when this one succeeds.
    fileprivate var isFollowedByDefault: Bool { isFollowed ?? TalonActionner.named(actionner)?.isFollowed ?? true }
}

extension TalonRules.Rule {
    /// Whether a playbook that can act comes of it.
    fileprivate var hasCounterpart: Bool { actions.contains { $0.actionner == "kubernetes:terminate" } }
}

extension TalonRules.Match {
    /// Whether one alert may be meant by both, as far as names, sources and priorities tell.
    fileprivate func mayMeet(_ other: Self) -> Bool {
        if !rules.isEmpty, !other.rules.isEmpty, Set(rules).isDisjoint(with: other.rules) { return false }
        if let source, let otherSource = other.source, source != otherSource { return false }
        guard let priority, let otherPriority = other.priority else { return true }
        return RiposteCore.Priority.allCases.contains { priority.test.holds($0) && otherPriority.test.holds($0) }
    }
}

extension PlaybookDraft.Item {
    fileprivate var isStep: Bool { if case .step = self { true } else { false } }
}

/// Names of playbooks and steps made from Talon's, each given once.
private struct NameTable {
    private var given: Set<String> = []

    mutating func playbook(for text: String) -> String { unique(Self.slug(text) ?? "rule") }
    mutating func step(for text: String) -> String { unique(Self.slug(text) ?? "step") }

    private mutating func unique(_ name: String) -> String {
        var candidate = name
        var number = 2
        while !given.insert(candidate).inserted {
            candidate = "\(name)-\(number)"
            number += 1
        }
        return candidate
    }

    /// Small letters and digits, runs of everything else as one dash; short enough for a number behind it.
    private static func slug(_ text: String) -> String? {
        var name = ""
        for byte in text.utf8.prefix(512) {
            switch byte {
            case 0x30...0x39, 0x61...0x7A: name.unicodeScalars.append(UnicodeScalar(byte))
            case 0x41...0x5A: name.unicodeScalars.append(UnicodeScalar(byte | 0x20))
            default: if !name.isEmpty, name.last != "-" { name += "-" }
            }
        }
        name = String(name.prefix(56))
        while name.last == "-" { name.removeLast() }
        return name.isEmpty ? nil : name
    }
}

extension String {
    /// Without the line break that a folded text of YAML ends with.
    fileprivate var trimmed: String { String(reversed().drop(while: \.isWhitespace).reversed()) }
}
