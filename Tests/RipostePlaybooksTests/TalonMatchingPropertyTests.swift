import RiposteCore
import RipostePlaybooks
import Testing

/// A rule of Talon's and an alert as texts, and whether the one answers the other: Talon's matching as its documentation and program have it,
/// written down once more and from the texts, so that it shares nothing with the import.
private struct TalonModel {
    var rules: [String]
    var priority: String
    var tags: [String]
    var source: String
    var outputFields: [String]

    struct Alert {
        var rule: String
        var priority: String
        var tags: [String]
        var source: String
        /// Nil is null.
        var fields: [(name: String, value: String?)]
    }

    private static let levels = ["debug", "informational", "notice", "warning", "error", "critical", "alert", "emergency"]

    func answers(_ alert: Alert) -> Bool {
        let isNamed = rules.isEmpty || rules.contains(alert.rule)
        let isTagged = tags.isEmpty || tags.contains { group in group.split(separator: ",").allSatisfy { alert.tags.contains($0.filter { $0 != " " }) } }
        return isNamed && isTagged && (source.isEmpty || source == alert.source) && hasPriority(alert.priority)
            && (outputFields.isEmpty || outputFields.contains { holds($0, alert) })
    }

    private func hasPriority(_ given: String) -> Bool {
        let name = priority.drop { "<>=".contains($0) }
        guard let wanted = Self.levels.firstIndex(of: name.lowercased()), let level = Self.levels.firstIndex(of: given.lowercased()) else { return true }
        switch priority.prefix(priority.count - name.count) {
        case ">=": return level >= wanted
        case ">": return level > wanted
        case "<=": return level <= wanted
        case "<": return level < wanted
        default: return level == wanted
        }
    }

    /// All tests on the line: equal to the field's text, or different from it, as a field that is not there is.
    private func holds(_ line: String, _ alert: Alert) -> Bool {
        line.split(separator: ",").allSatisfy { part in
            let part = part.drop { $0 == " " }
            let isNegated = part.prefix { $0 != "=" }.last == "!"
            let name = part.prefix { $0 != "=" && $0 != "!" }
            let value = part.drop { $0 != "=" }.dropFirst().filter { $0 != "\"" }
            let isEqual = alert.fields.contains { $0.name == name && ($0.value ?? "<nil>") == value }
            return isEqual != isNegated
        }
    }
}

@Suite("Talon's matching")
struct TalonMatchingPropertyTests {
    /// SplitMix64: a printed seed brings a failure back.
    private struct Numbers: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
            return value ^ (value >> 31)
        }

        mutating func one<Value>(of values: [Value]) -> Value { values[Int.random(in: values.indices, using: &self)] }

        mutating func some<Value>(of values: [Value], upTo count: Int) -> [Value] { (0..<Int.random(in: 0...count, using: &self)).map { _ in one(of: values) } }
    }

    private static let names = ["Shell", "shell", "a*", "!b", "Read \"x\"", "ä"]
    private static let tags = ["network", "shell", "mitre_execution", "t1"]
    private static let fields = ["k8s.ns.name", "proc.name", "container.image.repository", "proc.cmdline", "own.thing"]
    private static let values = ["", "a", "A", "a b", "hey!", "!", "kube-system", "c:\\d", "'q'", "ü", "*", "(a)", " a"]
    private static let levels = ["Debug", "Informational", "Notice", "warning", "ERROR", "Critical", "Alert", "Emergency"]

    private static func model(_ numbers: inout Numbers) -> TalonModel {
        let level = numbers.one(of: levels)
        let priority = numbers.one(of: ["", "", level, "=\(level)", ">=\(level)", ">\(level)", "<=\(level)", "<\(level)"])
        let groups = (0..<Int.random(in: 0...2, using: &numbers)).map { _ in
            (0...Int.random(in: 0...1, using: &numbers)).map { _ in numbers.one(of: tags) }.joined(separator: numbers.one(of: [",", ", "]))
        }
        let lines = (0..<Int.random(in: 0...2, using: &numbers)).map { _ in
            (0...Int.random(in: 0...2, using: &numbers)).map { _ in
                let sign = numbers.one(of: ["=", "!="])
                // Talon does not test for difference from a text with `!` in it.
                let value = numbers.one(of: sign == "=" ? values : values.filter { !$0.contains("!") })
                return numbers.one(of: fields) + sign + value
            }.joined(separator: numbers.one(of: [",", ", "]))
        }
        return TalonModel(rules: numbers.some(of: names, upTo: 2), priority: priority, tags: groups, source: numbers.one(of: ["", "", "k8s_audit", "aws"]), outputFields: lines)
    }

    private static func event(_ numbers: inout Numbers) -> TalonModel.Alert {
        var fields: [(name: String, value: String?)] = []
        for name in Self.fields where Bool.random(using: &numbers) {
            fields.append((name, numbers.one(of: values + [nil, "<NA>", "other"])))
        }
        return TalonModel.Alert(
            rule: numbers.one(of: names + ["a", "axx", "b"]), priority: numbers.one(of: levels), tags: Array(Set(numbers.some(of: tags, upTo: 4))),
            source: numbers.one(of: ["syscall", "k8s_audit", "aws"]), fields: fields)
    }

    private static func yaml(_ model: TalonModel) -> String {
        func list(_ texts: [String]) -> String { "[\(texts.map { JSON.text($0).line }.joined(separator: ", "))]" }
        return """
            - rule: R
              match:
                rules: \(list(model.rules))
                priority: "\(model.priority)"
                tags: \(list(model.tags))
                source: "\(model.source)"
                output_fields: \(list(model.outputFields))
              actions: [{ action: T, actionner: "kubernetes:terminate", parameters: { grace_period_seconds: 1 } }]
            """
    }

    @Test("what the import calls exact answers the alerts that Talon answers, and no others")
    func agree() throws {
        let first = UInt64.random(in: 0...UInt64(UInt32.max))
        var answered = 0
        var asked = 0
        for seed in first..<first + 400 {
            var numbers = Numbers(state: seed)
            let model = Self.model(&numbers)
            let translation = try imported(Self.yaml(model))
            #expect(translation.report.isComplete && translation.report.count(.different) == 0, "seed \(seed): \(translation.report.lines)")
            let set = try reread(translation)
            for _ in 0..<50 {
                let given = Self.event(&numbers)
                let fields = JSONObject(given.fields.map { .init(key: ByteText($0.name), value: $0.value.map(JSON.text) ?? .null) })
                let matched = !set.matching(try alert(rule: given.rule, priority: given.priority, tags: given.tags, source: given.source, fields: fields)).isEmpty
                let expected = model.answers(given)
                #expect(matched == expected, "seed \(seed): \(Self.yaml(model))\n\(given)")
                asked += 1
                if expected { answered += 1 }
            }
        }
        #expect(answered > asked / 100 && answered < asked, "\(answered) of \(asked): the alerts say nothing")
    }
}
