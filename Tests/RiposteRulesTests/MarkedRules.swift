import RiposteCore
import RiposteRules

/// Rules files for tests, in which `⟦` stands before what is wrong; it is taken out before the text is read.
struct MarkedRules: Sendable {
    private static let mark: Character = "⟦"
    let files: [RuleSet.File]
    /// `2:14`, or with several files `b.yaml:2:14`.
    let marks: [String]

    init(_ texts: [String]) {
        var files: [RuleSet.File] = []
        var marks: [String] = []
        for (index, text) in texts.enumerated() {
            let name = texts.count == 1 ? "" : "\(Character(UnicodeScalar(UInt8(ascii: "a") + UInt8(index)))).yaml"
            var (line, column) = (1, 1)
            for character in text {
                switch character {
                case Self.mark: marks.append("\(name.isEmpty ? "" : "\(name):")\(line):\(column)")
                case "\n": (line, column) = (line + 1, 1)
                default: column += 1
                }
            }
            files.append(RuleSet.File(name: name, text: String(text.filter { $0 != Self.mark })))
        }
        self.files = files
        self.marks = marks
    }

    init(_ text: String) { self.init([text]) }

    func load(_ settings: RulesSettings = RulesSettings()) -> (ruleSet: RuleSet?, findings: [RulesFinding]) { RuleSet.load(files, settings) }

    /// `LOAD_UNKNOWN_KEY 2:14`, in the order of the files; findings that nearly every small example has are left out unless they are asked for.
    func findings(_ settings: RulesSettings = RulesSettings(), with wanted: Set<String> = []) -> [String] {
        let usual: Set<String> = ["LOAD_UNUSED_MACRO", "LOAD_UNUSED_LIST", "LOAD_NO_EVTTYPE", "RIPOSTE_SHADOWED_NAME", "RIPOSTE_NEVER_TRUE"]
        let found = load(settings).findings.filter { !usual.subtracting(wanted).contains($0.code.rawValue) }
        let order = files.map(\.name)
        return found.sorted {
            (order.firstIndex(of: $0.file) ?? 0, $0.place ?? .init(line: 0, column: 0)) < (order.firstIndex(of: $1.file) ?? 0, $1.place ?? .init(line: 0, column: 0))
        }
        .map { finding in "\(finding.code.rawValue) \(finding.file.isEmpty ? "" : "\(finding.file):")\(finding.place.map { "\($0.line):\($0.column)" } ?? "-")" }
    }

    static func rule(_ name: String = "r", _ condition: String = "evt.type = open", output: String = "o", _ more: String...) -> String {
        (["- rule: \(name)", "desc: d", "condition: \(condition)", "output: \(output)", "priority: info"] + more).joined(separator: "\n  ") + "\n"
    }

    static func macro(_ name: String, _ condition: String) -> String { "- macro: \(name)\n  condition: \(condition)\n" }
    static func list(_ name: String, _ items: String) -> String { "- list: \(name)\n  items: \(items)\n" }
}

extension RuleSet {
    /// The names of the rules that hold for an event.
    func holding(_ event: JSONObject, source: String = "syscall") -> [String] {
        var names: [String] = []
        RuleSetJudge(self, source: source).judge(RecordedEvent(event)) { rule, _ in names.append(rule.name) }
        return names
    }
}
