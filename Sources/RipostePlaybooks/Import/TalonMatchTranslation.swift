internal import RiposteCore
internal import RiposteRules

/// What a Talon rule's `match` comes to in a playbook's, with what is to be said of it.
struct TalonMatchTranslation {
    private(set) var rules: [String] = []
    private(set) var priority: String?
    private(set) var tags: [[String]] = []
    private(set) var sources: [String] = []
    private(set) var when: String?
    private(set) var findings: [Finding] = []
    /// Why nothing can match as the rule means it; then there is no playbook.
    private(set) var impossible: String?

    struct Finding {
        var fit: ImportReport.Fit
        var part: String
        var text = ""
    }

    init(_ match: TalonRules.Match) {
        var conditions: [String] = []
        translateRules(match.rules, &conditions)
        if let given = match.priority {
            priority = "\(given.test.comparison.rawValue) \(given.test.priority)"
            findings.append(.init(fit: .exact, part: "priority"))
        }
        if !match.tags.isEmpty {
            tags = match.tags
            findings.append(.init(fit: .exact, part: "tags"))
        }
        if let source = match.source { translateSource(source) }
        if !match.fields.isEmpty { translateFields(match.fields, &conditions) }
        guard !conditions.isEmpty else { return }
        let text = conditions.count == 1 ? conditions[0] : conditions.map { "(\($0))" }.joined(separator: " and ")
        do throws(ConditionError) {
            _ = try CompiledCondition(parsing: text)
            when = text
        } catch {
            findings.append(.init(fit: .missing, part: "output_fields", text: "the condition is not understood: \(error.message)"))
            impossible = "its output_fields cannot be said in a condition"
        }
    }

    // MARK: - Rules and sources

    /// Talon compares names; in `rules` wildcards and a leading `!` mean something, so such names are compared in a condition.
    private mutating func translateRules(_ names: [String], _ conditions: inout [String]) {
        guard !names.isEmpty else { return }
        var seen: Set<String> = []
        let wanted = names.filter { !$0.isEmpty && seen.insert($0).inserted }
        guard !wanted.isEmpty else {
            impossible = "no alert comes from a rule without a name"
            return
        }
        if wanted.contains(where: { $0.hasPrefix("!") || $0.contains(where: { $0 == "*" || $0 == "?" }) }) {
            conditions.append("alert.rule in (\(wanted.map(Self.literal).joined(separator: ", ")))")
        } else {
            rules = wanted
        }
        findings.append(.init(fit: .exact, part: "rules"))
    }

    private mutating func translateSource(_ source: String) {
        switch source {
        case "syscall":
            sources = [source]
            findings.append(
                .init(fit: .different, part: "source", text: "an alert that names no source counts as syscall for Talon, and matches no sources here; Falco names it"))
        case "syscalls":
            sources = ["syscall"]
            findings.append(
                .init(
                    fit: .different, part: "source", text: "Falco's own name is syscall; syscalls is read as that, while Talon compares the text and never matches alerts of Falco")
            )
        default:
            sources = [source]
            findings.append(.init(fit: .exact, part: "source"))
        }
    }

    // MARK: - Output fields

    private mutating func translateFields(_ groups: [[TalonRules.FieldTest]], _ conditions: inout [String]) {
        var alternatives: [String] = []
        var isExact = true
        for group in groups {
            let translated = FieldGroup(group)
            for finding in translated.findings {
                isExact = false
                if !findings.contains(where: { $0.text == finding.text }) { findings.append(finding) }
            }
            if let condition = translated.condition { alternatives.append(condition) }
        }
        guard !alternatives.isEmpty else {
            impossible = "none of its output_fields can be tested"
            return
        }
        if isExact { findings.append(.init(fit: .exact, part: "output_fields")) }
        conditions.append(alternatives.count == 1 ? alternatives[0] : alternatives.map { "(\($0))" }.joined(separator: " or "))
    }

    /// Tests of which all must hold.
    private struct FieldGroup {
        private(set) var findings: [Finding] = []
        /// Nil where the group cannot hold or cannot be said; without it the match is narrower, never wider.
        private(set) var condition: String?

        init(_ tests: [TalonRules.FieldTest]) {
            var conditions: [String] = []
            for test in tests {
                let name = "output_fields \(test.text)"
                if let quirk = test.quirk { findings.append(quirk.finding(name)) }
                if test.quirk == .neverHolds { return }
                let (text, difference) = test.condition
                do throws(ConditionError) {
                    if let problem = FieldCatalogue.problem(with: test.field) { throw problem }
                    _ = try CompiledCondition(parsing: text)
                } catch {
                    findings.append(.init(fit: .missing, part: name, text: "\(error.message); the alternatives of the rule that ask for it are left out"))
                    return
                }
                if let difference { findings.append(.init(fit: .different, part: name, text: difference)) }
                conditions.append(text)
            }
            condition = conditions.joined(separator: " and ")
        }
    }

    /// A value in a condition: in quotes, with everything else than printable ASCII as bytes.
    static func literal(_ text: String) -> String {
        var result = "\""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): result += "\\" + String(UnicodeScalar(byte))
            case 0x20...0x7E: result += String(UnicodeScalar(byte))
            default: result += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return result + "\""
    }
}

extension TalonRules.FieldTest {
    fileprivate var text: String { "\(field)\(isNegated ? "!=" : "=")\(value)" }

    /// The test in Falco's language, and where it is not the same. For Talon a value that is absent is different from every text.
    fileprivate var condition: (text: String, difference: String?) {
        if value == "<NA>" || value == "<nil>" {
            let words = "Talon compares the text \(value); here a field that is missing, null or <NA> is absent, and it is asked for that"
            return (isNegated ? "\(field) exists" : "not \(field) exists", words)
        }
        let literal = TalonMatchTranslation.literal(value)
        return (isNegated ? "(not \(field) exists or \(field) != \(literal))" : "\(field) = \(literal)", difference)
    }

    private var difference: String? {
        let name = String(field.prefix { $0 != "[" })
        guard let description = FieldCatalogue.description(named: name) else {
            let isArgument = field.hasPrefix("evt.arg.") || field.hasPrefix("evt.rawarg.")
            return isArgument ? "here it is also found where the alert has it with the argument in brackets" : nil
        }
        if description.source == "alert" { return "Talon knows fields of the alert's output only; here \(name) is what the alert says of itself" }
        if description.isList || (description.quantifier != .one && !field.contains("[")) {
            return "Talon compares the text of the whole list; here each of the values is compared"
        }
        if Self.derived.contains(name) || (description.argument == .index && (field.hasSuffix("[0]") || field.hasSuffix("[1]"))) {
            return "Talon sees it only where the alert has it under that name; here it is also worked out from other fields"
        }
        switch description.type {
        case .string, .path, .any, .bytes: return nil
        case .ip: return "addresses are compared as addresses here, in every spelling, and as text by Talon"
        case .net: return "the address is tested for being in the network here, and compared as text by Talon"
        case .bool: return "true and false are compared as such here, and as text by Talon"
        case .int, .uint, .time, .duration, .port:
            return "numbers are compared as numbers here; Talon compares text, and a number from a million up has the form 1.5e+06 there"
        }
    }

    private static let derived: Set<String> = ["fd.cnet", "fd.snet", "fd.lnet", "fd.rnet", "evt.arg", "evt.rawarg"]
}

extension TalonRules.FieldTest.Quirk {
    fileprivate func finding(_ part: String) -> TalonMatchTranslation.Finding {
        switch self {
        case .dropped:
            .init(fit: .different, part: part, text: "Talon passes over a test with such a value, and so matches more; here it is tested")
        case .neverHolds:
            .init(fit: .different, part: part, text: "with a \"=\" in its value Talon's test never holds, nor do others on the same line; the line is left out here")
        case .readDifferently:
            .init(fit: .different, part: part, text: "Talon reads \"!=\" inside the value as \"!\"; here the value is as it was written")
        }
    }
}
