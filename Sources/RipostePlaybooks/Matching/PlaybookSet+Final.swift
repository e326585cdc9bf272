internal import RiposteCore

extension PlaybookSet {
    /// Playbooks that never see an alert, because a final one before them answers all that they could.
    var unreachable: [Diagnostic] {
        let active = playbooks.filter(\.isEnabled)
        return active.enumerated().compactMap { index, playbook in
            guard let before = active[..<index].first(where: { $0.isFinal && $0.match.coversAll(of: playbook.match) }) else { return nil }
            return Diagnostic(
                .warning, code: "P028", file: playbook.file, place: Diagnostic.Place(line: playbook.line, column: 1),
                message: "playbook \(playbook.name) never sees an alert: \(before.name) comes before it, answers all that it could, and is final")
        }
    }
}

extension Match {
    /// Whether every alert that fits `other` fits this one too, as far as that is plain: exact rule names, and nothing else asked for.
    fileprivate func coversAll(of other: Match) -> Bool {
        let asksNothingElse = exceptRules.isEmpty && priority == nil && tags.isEmpty && sources.isEmpty && when == nil && intakes.isEmpty && threshold == nil
        guard asksNothingElse, !other.sources.contains("internal") else { return false }
        if rules.isEmpty { return true }
        func isExact(_ rule: String) -> Bool { !rule.contains { $0 == "*" || $0 == "?" } }
        return !other.rules.isEmpty && other.rules.allSatisfy { isExact($0) && rules.contains($0) }
    }
}
