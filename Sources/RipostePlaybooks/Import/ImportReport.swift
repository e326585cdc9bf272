package import RiposteCore

/// How well each part of somebody else's rules could be said in playbooks.
package struct ImportReport: Sendable, Equatable {
    package enum Fit: String, CaseIterable, Sendable {
        case exact, different
        /// Not carried over.
        case missing
    }

    package struct Entry: Sendable, Equatable {
        package var fit: Fit
        /// `rules.yaml:12`
        package var place: String
        package var rule: String
        /// What it is about: `priority`, `action "Label pod"`.
        package var part: String
        /// Nothing where it is exact.
        package var text: String
    }

    package private(set) var entries: [Entry] = []
    /// What differs whatever the rules say.
    package private(set) var general: [String] = []
    package private(set) var rules = 0
    package var playbooks = 0

    package init() {}

    package var isComplete: Bool { !entries.contains { $0.fit == .missing } }

    package func count(_ fit: Fit) -> Int { entries.count { $0.fit == fit } }

    mutating func begin(rule: String) { rules += 1 }

    mutating func add(_ fit: Fit, _ place: some CustomStringConvertible, _ rule: String, _ part: String, _ text: String = "") {
        entries.append(Entry(fit: fit, place: "\(place)", rule: rule, part: part, text: text))
    }

    mutating func addGeneral(_ text: String) { general.append(text) }

    // MARK: - Shown

    /// For people: what is exact of a rule on one line, everything else on a line each.
    package var lines: [String] {
        var lines: [String] = []
        var rest = entries[...]
        while let first = rest.first {
            let same = rest.prefix { $0.fit == .exact && first.fit == .exact && $0.rule == first.rule }
            let shown = same.isEmpty ? rest.prefix(1) : same
            let parts = shown.map(\.part).joined(separator: ", ")
            let words = first.text.isEmpty ? "" : ": \(first.text)"
            lines.append("\(first.place): \(first.fit.rawValue): \(first.rule.isEmpty ? "" : "rule \"\(first.rule)\": ")\(parts)\(words)".escapedForDisplay)
            rest = rest.dropFirst(shown.count)
        }
        lines += general.map { "everywhere: different: \($0)".escapedForDisplay }
        lines.append(summary)
        return lines
    }

    package var summary: String {
        let made = "\(playbooks) \(playbooks == 1 ? "playbook" : "playbooks") from \(rules) \(rules == 1 ? "rule" : "rules")"
        return "\(made): \(count(.exact)) parts exact, \(count(.different)) different, \(count(.missing)) missing"
    }

    package var json: JSON {
        [
            "rules": .integer(Int64(rules)), "playbooks": .integer(Int64(playbooks)),
            "exact": .integer(Int64(count(.exact))), "different": .integer(Int64(count(.different))), "missing": .integer(Int64(count(.missing))),
            "entries": .array(
                entries.map { entry in
                    var object: JSONObject = ["fit": .text(entry.fit.rawValue), "place": .text(entry.place)]
                    if !entry.rule.isEmpty { object.append("rule", .text(entry.rule)) }
                    object.append("part", .text(entry.part))
                    if !entry.text.isEmpty { object.append("text", .text(entry.text)) }
                    return .object(object)
                }), "everywhere": .array(general.map(JSON.text)),
        ]
    }
}
