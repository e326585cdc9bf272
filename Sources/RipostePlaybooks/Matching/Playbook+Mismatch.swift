package import RiposteCore
internal import RiposteRules

/// Why a playbook does not answer an alert: the first of its keys that does not hold.
package struct Mismatch: Sendable, Equatable {
    /// As it stands in the file: `match.rules`.
    package var key: String
    package var wanted: String
    package var actual: String

    package var json: JSON { ["key": .text(key), "wanted": .text(wanted), "actual": .text(actual)] }
}

extension Match {
    /// Whether alerts of a rule of this name can match.
    package func names(_ rule: String) -> Bool {
        let isNamed = rules.isEmpty || rules.contains { Pattern.matches($0, rule) }
        return isNamed && !exceptRules.contains { Pattern.matches($0, rule) }
    }
}

extension Playbook {
    /// Nil: it answers the alert, unless an earlier one that is final does.
    package func mismatch(with alert: Alert) -> Mismatch? {
        if !isEnabled { return Mismatch(key: "enabled", wanted: "true", actual: "false") }
        return ruleMismatch(alert) ?? otherMismatch(alert) ?? conditionMismatch(alert)
    }

    private func ruleMismatch(_ alert: Alert) -> Mismatch? {
        if !match.rules.isEmpty, !match.rules.contains(where: { Pattern.matches($0, alert.rule.bytes) }) {
            let more = match.rules.count - 5
            return Mismatch(key: "match.rules", wanted: match.rules.prefix(5).joined(separator: " | ") + (more > 0 ? " and \(more) more" : ""), actual: alert.rule.repaired)
        }
        if let pattern = match.exceptRules.first(where: { Pattern.matches($0, alert.rule.bytes) }) {
            return Mismatch(key: "match.rules", wanted: "!\(pattern)", actual: alert.rule.repaired)
        }
        return nil
    }

    private func otherMismatch(_ alert: Alert) -> Mismatch? {
        if let test = match.priority, !test.holds(alert.priority) {
            return Mismatch(key: "match.priority", wanted: "\(test.comparison.rawValue) \(test.priority)", actual: "\(alert.priority)")
        }
        let source = alert.source?.repaired ?? "none"
        if match.sources.isEmpty {
            if alert.source == "internal" { return Mismatch(key: "match.sources", wanted: "any but internal, where it is not named", actual: source) }
        } else if !match.sources.contains(source) || alert.source == nil {
            return Mismatch(key: "match.sources", wanted: match.sources.joined(separator: " | "), actual: source)
        }
        if !match.intakes.isEmpty, !match.intakes.contains(alert.arrival.intake) {
            return Mismatch(key: "match.intake", wanted: match.intakes.joined(separator: " | "), actual: alert.arrival.intake)
        }
        if !match.tags.isEmpty, !match.tags.contains(where: { $0.allSatisfy { alert.tags.contains(ByteText($0)) } }) {
            return Mismatch(
                key: "match.tags", wanted: match.tags.map { $0.joined(separator: " and ") }.joined(separator: " | "),
                actual: alert.tags.isEmpty ? "none" : alert.tags.map(\.repaired).joined(separator: ", "))
        }
        return nil
    }

    private func conditionMismatch(_ alert: Alert) -> Mismatch? {
        guard let when = match.when, !when.holds(for: alert) else { return nil }
        return Mismatch(key: "match.when", wanted: when.text, actual: when.values(in: alert))
    }
}

extension WhenClause {
    /// What the alert has in the fields that the condition asks for.
    package func values(in alert: Alert) -> String {
        var seen: Set<String> = []
        let told = condition.fields.filter { seen.insert($0).inserted }.map { name in "\(name) = \(alert[field: ByteText(name)]?.line ?? "absent")" }
        return told.isEmpty ? "no field is asked for" : told.joined(separator: ", ")
    }
}
