internal import RiposteCore

/// Writes playbooks as a YAML file. Every text that somebody else chose stands in double quotes with all that is not plainly printable escaped,
/// and in comments escaped on one line, so that none of it can become a key, a value or a document of its own.
package enum PlaybookWriter {
    package static func text(_ playbooks: [PlaybookDraft], remarks: [String]) -> String {
        var lines = remarks.map { comment($0) }
        lines.append("apiVersion: \(PlaybookKeys.apiVersion)")
        lines.append(playbooks.contains(where: \.hasSteps) ? "playbooks:" : "playbooks: []")
        for playbook in playbooks {
            lines += playbook.remarks.map { comment($0, indent: 2) }
            let block = self.lines(of: playbook)
            lines += playbook.hasSteps ? block : block.map { "  # " + $0.dropFirst(2) }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func lines(of playbook: PlaybookDraft) -> [String] {
        var lines = ["  - name: \(name(playbook.name))"]
        if !playbook.description.isEmpty { lines.append("    description: \(quoted(playbook.description))") }
        lines.append("    mode: \(playbook.mode.rawValue)")
        lines.append("    match:")
        lines += match(of: playbook)
        lines.append("    steps:")
        for item in playbook.steps {
            switch item {
            case .remark(let remarks): lines += remarks.map { comment($0, indent: 6) }
            case .step(let step):
                lines += step.remarks.map { comment($0, indent: 6) }
                lines += self.lines(of: step).map { "      " + $0 }
            }
        }
        return lines
    }

    private static func match(of playbook: PlaybookDraft) -> [String] {
        var lines: [String] = []
        func list(_ key: String, _ values: [String]) {
            guard !values.isEmpty else { return }
            lines.append("      \(key):")
            lines += values.map { "        - \($0)" }
        }
        list("rules", playbook.rules.map(quoted))
        if let priority = playbook.priority { lines.append("      priority: \(quoted(priority))") }
        list("tags", playbook.tags.map { $0.count == 1 ? quoted($0[0]) : "[\($0.map(quoted).joined(separator: ", "))]" })
        list("sources", playbook.sources.map(quoted))
        if let when = playbook.when { lines.append("      when: \(quoted(when))") }
        return lines.isEmpty ? ["      any: true"] : lines
    }

    static func lines(of step: StepDraft) -> [String] {
        var lines = ["- name: \(name(step.name))", "  action: \(step.action)"]
        if !step.parameters.isEmpty {
            lines.append("  with: { \(step.parameters.map { "\($0.name): \(flow($0.value))" }.joined(separator: ", ")) }")
        }
        if let mode = step.mode { lines.append("  mode: \(mode.rawValue)") }
        if let time = step.undoAfter { lines.append("  undo: { after: \(time.text) }") }
        if step.goesOnAfterFailure { lines.append("  on_failure: continue") }
        return lines
    }

    /// A name of small letters, digits and hyphens; one that YAML would take for something else than text stands in quotes.
    private static func name(_ text: String) -> String { plainWords.contains(text) || text.first?.isLetter != true ? quoted(text) : text }

    /// What a reader of YAML 1.1 or 1.2 takes for null or for a switch.
    private static let plainWords: Set<String> = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"]

    private static func flow(_ value: JSON) -> String {
        switch value {
        case .array(let elements): "[\(elements.map(flow).joined(separator: ", "))]"
        case .string(let text): quoted(text.repaired)
        default: value.line
        }
    }

    private static func comment(_ text: String, indent: Int = 0) -> String {
        String(repeating: " ", count: indent) + "# " + text.escapedForDisplay
    }

    /// A scalar in double quotes (YAML 1.2, 5.7), on one line.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case " "..."~": result.unicodeScalars.append(scalar)
            case _ where scalar.value >= 0xA0 && String(scalar).escapedForDisplay == String(scalar): result.unicodeScalars.append(scalar)
            case _ where scalar.value <= 0xFF: result += "\\x" + hexadecimal(scalar.value, digits: 2)
            case _ where scalar.value <= 0xFFFF: result += "\\u" + hexadecimal(scalar.value, digits: 4)
            default: result += "\\U" + hexadecimal(scalar.value, digits: 8)
            }
        }
        return result + "\""
    }

    private static func hexadecimal(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: digits - text.count) + text
    }
}
