package import RiposteCore

/// Which records a destination gets, and as what.
package struct Route: Sendable {
    package enum Content: String, CaseIterable, Sendable {
        case alerts, audit, both
        /// Only what playbooks address to it.
        case nothing
    }

    package struct PriorityTest: Sendable, Equatable {
        package enum Comparison: String, CaseIterable, Sendable {
            case atLeast = ">="
            case atMost = "<="
            case above = ">"
            case below = "<"
            case equal = "="
        }

        package var comparison: Comparison
        package var priority: Priority

        /// `>= warning`, `warning`.
        package init?(_ text: String) {
            let comparison = Comparison.allCases.first { text.hasPrefix($0.rawValue) }
            let name = text.dropFirst(comparison?.rawValue.count ?? 0).drop { $0 == " " }
            guard let priority = Priority(name) else { return nil }
            self.comparison = comparison ?? .equal
            self.priority = priority
        }

        func holds(_ other: Priority) -> Bool {
            switch comparison {
            case .atLeast: other >= priority
            case .atMost: other <= priority
            case .above: other > priority
            case .below: other < priority
            case .equal: other == priority
            }
        }
    }

    package var content = Content.alerts
    package var priorities: [PriorityTest] = []
    var rules: [NamePattern] = []
    var exceptRules: [NamePattern] = []
    package var tags: Set<ByteText> = []
    package var sources: Set<ByteText> = []
    package var playbooks: Set<String> = []
    package var outcomes: Set<Outcome> = []
    package var actions: Set<String> = []
    /// Empty: all but alerts, which are sent as such or not at all.
    package var kinds: Set<AuditRecord.Kind> = []
    package var when: OutputLanguage.Condition?

    package init() {}

    /// What `name` gets of a record; mostly one message or none, two of a playbook's notice where audit records are sent too.
    package func messages(of record: SpoolRecord, for name: String, host: String) -> [OutputMessage] {
        var messages: [OutputMessage] = []
        func add(_ content: OutputMessage.Content, shared: SharedPayload?) {
            messages.append(
                OutputMessage(seq: record.seq, hash: record.hash, time: record.time, host: host, content: content, size: record.bytes, shared: shared))
        }
        switch record.content {
        case .alert(let alert) where content == .alerts || content == .both: if admits(alert) { add(.alert(alert), shared: record.payload) }
        // As the record that it is, for whoever wants that: another payload than the alert's.
        case .alert(let alert): if content == .audit, admits(.alert), let audit = alert.record, admits(audit) { add(.record(audit), shared: nil) }
        case .record(let audit):
            if let notice = Notice(addressedTo: name, in: audit) {
                // Another message than the record, and another id: who stores what comes twice under one id once would keep one of the two.
                let hash = OutputMessage.digest(of: "notice \(record.hash)")
                messages.append(OutputMessage(seq: record.seq, hash: hash, time: record.time, host: host, content: .notice(notice)))
            }
            if content == .audit || content == .both, admits(audit.kind), admits(audit) { add(.record(audit), shared: record.payload) }
        }
        return messages
    }

    private func admits(_ alert: AdmittedAlert) -> Bool {
        if !priorities.isEmpty, !priorities.contains(where: { $0.holds(alert.priority) }) { return false }
        if !rules.isEmpty, !rules.contains(where: { $0.matches(alert.rule.bytes) }) { return false }
        if exceptRules.contains(where: { $0.matches(alert.rule.bytes) }) { return false }
        if !tags.isEmpty, tags.isDisjoint(with: alert.tags) { return false }
        if !sources.isEmpty, !(alert.source.map(sources.contains) ?? false) { return false }
        if !playbooks.isEmpty, playbooks.isDisjoint(with: alert.record?.startedPlaybooks ?? []) { return false }
        guard let when else { return true }
        return alert.alert.map(when) ?? false
    }

    private func admits(_ kind: AuditRecord.Kind) -> Bool { kinds.isEmpty ? kind != .alert : kinds.contains(kind) }

    private func admits(_ record: AuditRecord) -> Bool {
        if !playbooks.isEmpty, !(record.playbook.map(playbooks.contains) ?? false) { return false }
        if !actions.isEmpty, !(record.action.map(actions.contains) ?? false) { return false }
        if !outcomes.isEmpty, !(record.outcome.map(outcomes.contains) ?? false) { return false }
        return true
    }
}

extension AuditRecord {
    /// The playbooks that an alert set going.
    fileprivate var startedPlaybooks: [String] { detail["runs"]?.array?.compactMap { $0["playbook"]?.string?.repaired } ?? [] }
}

extension Notice {
    /// The action whose records are messages.
    static let action = "notify.send"

    /// What a playbook's step says to a destination, from the record that holds its plan: of one that was done without an intent the outcome's, else the
    /// intent's, so that it is one record in any case.
    init?(addressedTo name: String, in record: AuditRecord) {
        guard record.action == Self.action, !record.dryRun, record.kind == .intent || record.kind == .outcome && record.outcome == .done,
            let parameters = record.detail["plan"]?["parameters"], let message = parameters["message"]?.string, Self.names(parameters["to"]).contains(name)
        else { return nil }
        self.init(
            title: parameters["title"]?.string?.repaired ?? record.playbook.map { "Riposte: \($0)" } ?? "Riposte", text: message.repaired,
            priority: parameters["priority"]?.string.flatMap { Priority(bytes: $0.bytes) }, record: record)
    }

    private static func names(_ value: JSON?) -> [String] {
        switch value {
        case .string(let name): [name.repaired]
        case .array(let names): names.compactMap { $0.string?.repaired }
        default: []
        }
    }
}
