import Dispatch
import Foundation
import RiposteCore
import RiposteRules
import Testing

/// Rules files and conditions that nobody would write. Whatever they are, reading them ends soon, and with findings instead of a crash.
@Suite("No rules file crashes or hangs the reader")
struct RulesFuzzTests {
    private static let event: JSONObject = ["evt.type": "open", "proc.name": "w1", "fd.name": "/a/b", "proc.pid": 1, "fd.types": ["file"]]

    private static let conditions = [
        "evt.type in (open, close) and proc.name = w1 and not fd.name startswith /a", "(proc.name in (a, b, \"c d\") or proc.aname[2] contains x) and evt.dir = <",
        "fd.name pmatch (/a, /b/*) or fd.ip = 10.0.0.1",
        "len(proc.name) > 4 and toupper(basename(fd.name)) startswith anyof (A, B)", "proc.name regex '(a|b)+c{1,3}' or fd.name glob '/[a-c]*?'",
        "evt.num = 0 or evt.buffer bcontains 00ff",
        "join(',', (proc.name, 5, \"x\")) != concat(proc.name, \"y\") and fd.types intersects (file)",
        "not (not proc.pid >= -1 and proc.name = val(proc.pname)) and fd.rnet in (10.0.0.0/8, ::/0)",
    ]

    private static let tokens = [
        "proc.name", "fd.name", "fd.ip", "proc.pid", "evt.type", "fd.types", "proc.aname[2]", " ", " ", "(", ")", "=", "!=", "<", ">=", "in", "and", "or", "not", "exists", "'",
        "\"", "\\", "\\x41", "contains", "regex",
        "glob", "pmatch", "intersects", "startswith", "oneof", "anyof", "allof", "w1", "1", "-1", ",", "val(", "tolower(", "len(", "concat(", "join(", "getopt(", "[", "]", "[1]",
        "*", "?", "{9}", "{1,1000}", "(a|b)*", "\u{1F600}", "\u{0}",
        "10.0.0.0/8", "::1", "/a", "open", "list1", "macro1", "()", "((", "))", "\n", "%", "%proc.name", "- ", ": ", "rule", "macro", "list", "items", "override", "append",
        "exceptions", "fields", "comps", "values", "#", "&a", "*a", "~", "|", ">", "---\n",
    ]

    private static let files: [String] = conditions.indices.map { index in
        MarkedRules.list("list1", "[w1, a, 'b c', list0]") + MarkedRules.list("list0", "[]") + MarkedRules.macro("macro1", "proc.name in (list1)")
            + "- macro: macro2\n  condition: >\n    macro1 and\n    \(conditions[(index + 1) % conditions.count])\n"
            + "- rule: a\n  desc: d\n  condition: |\n    macro2 or \(conditions[index])\n  output: 'x %proc.name %12fd.name %toupper(proc.name)'\n  priority: info\n  tags: [a, b]\n"
            + "  exceptions:\n    - name: e\n      fields: [proc.name, fd.name]\n      comps: [=, in]\n      values:\n        - [a, [/b, list1]]\n"
            + "- rule: a\n  condition: and proc.pid != 5\n  tags: [c]\n  override: {condition: append, tags: replace}\n" + "- required_engine_version: 0.50.0\n"
    }

    @Test("conditions and files by chance")
    func byChance() {
        let wanted = ProcessInfo.processInfo.environment["RIPOSTE_FUZZ_INPUTS"].flatMap(Int.init) ?? 60_000
        let first = UInt64.random(in: 0...UInt64(UInt32.max))
        let clock = ContinuousClock()
        var good = 0
        for round in 0..<wanted {
            let seed = first &+ UInt64(round)
            var numbers = SeededNumbers(seed: seed)
            let start = clock.now
            // A file is a hundred times the work, and a misspelt field's near misses are as much.
            good += round % 120 == 0 ? file(&numbers) : condition(&numbers, changesBytes: round % 120 == 1)
            let took = clock.now - start
            if took > .seconds(10) { Issue.record("seed \(seed), round \(round) took \(took)") }
        }
        #expect(good > 0, "seeds from \(first)")
    }

    private func condition(_ numbers: inout SeededNumbers, changesBytes: Bool) -> Int {
        var text = Self.conditions.randomElement(using: &numbers).map { Array($0.utf8) } ?? []
        Self.mutate(&text, changesBytes: changesBytes, &numbers)
        guard let condition = try? CompiledCondition(parsing: String(decoding: text, as: UTF8.self)) else { return 0 }
        _ = condition.matches(RecordedEvent(Self.event))
        // What is printed means the same.
        let again = condition.condition.text
        #expect((try? CompiledCondition(parsing: again))?.matches(RecordedEvent(Self.event)) == condition.matches(RecordedEvent(Self.event)), "\(again)")
        return 1
    }

    private func file(_ numbers: inout SeededNumbers) -> Int {
        var text = Self.files.randomElement(using: &numbers).map { Array($0.utf8) } ?? []
        Self.mutate(&text, changesBytes: Int.random(in: 0..<4, using: &numbers) == 0, &numbers)
        return Self.load(String(decoding: text, as: UTF8.self)) == nil ? 0 : 1
    }

    @discardableResult
    private static func load(_ text: String) -> RuleSet? {
        let (ruleSet, findings) = RuleSet.load([.init(name: "f.yaml", text: text)])
        #expect((ruleSet == nil) == findings.hasErrors)
        for finding in findings.prefix(20) { _ = finding.diagnostic.rendered }
        guard let ruleSet else { return nil }
        RuleSetJudge(ruleSet, source: "syscall").judge(RecordedEvent(event)) { rule, judge in
            _ = AlertFormatter(hostname: "h").document(of: rule, at: Timestamp(nanoseconds: 0), judge)
        }
        for rule in ruleSet.rules.prefix(3) { _ = ruleSet.expandedCondition(of: rule).text }
        return ruleSet
    }

    private static func mutate(_ text: inout [UInt8], changesBytes: Bool, _ numbers: inout SeededNumbers) {
        for _ in 0..<Int.random(in: 1...4, using: &numbers) {
            let place = Int.random(in: 0...text.count, using: &numbers)
            let end = min(text.count, place + Int.random(in: 0...12, using: &numbers))
            switch Int.random(in: 0..<8, using: &numbers) {
            case 0 where changesBytes: text.insert(UInt8.random(in: 0...255, using: &numbers), at: place)
            case 1 where changesBytes: if place < text.count { text[place] ^= 1 << UInt8.random(in: 0...7, using: &numbers) }
            case 2 where changesBytes: text.removeSubrange(place..<end)
            case 3: text.insert(contentsOf: text[place..<end], at: place)
            case 4: text.insert(contentsOf: Array(repeating: UInt8(ascii: "("), count: numbers.one(of: 1, 2, 300)), at: place)
            default:
                // At the ends of words, so that most of them stay.
                let gap = text[place...].firstIndex(of: UInt8(ascii: " ")) ?? text.count
                let words = (0..<numbers.one(of: 1, 1, 2, 3)).map { _ in tokens.randomElement(using: &numbers) ?? "" }.joined(separator: numbers.one(of: " ", ""))
                let next = gap < text.count && numbers.one(of: true, false) ? text[(gap + 1)...].firstIndex(of: UInt8(ascii: " ")) ?? text.count : gap
                text.replaceSubrange(gap..<next, with: Array(" \(words)".utf8))
            }
        }
    }

    // MARK: - Monsters

    private static func repeated(_ count: Int, _ text: (Int) -> String) -> String { (0..<count).map(text).joined() }
    private static let rule = MarkedRules.rule("r", "evt.type = open and m")

    private static let monsters: [(name: String, text: String)] = [
        ("parentheses", MarkedRules.rule("r", repeated(100_000) { _ in "(" } + "evt.num=1" + repeated(100_000) { _ in ")" })),
        ("as many as may be", MarkedRules.rule("r", repeated(95) { "(proc.pid = \($0) and (evt.num > \($0) or " } + "evt.num=1" + repeated(190) { _ in ")" })),
        (
            "as many in all macros",
            repeated(6) { index in
                MarkedRules.macro(
                    "m\(index)", repeated(15) { "(proc.pid = \($0 + index) and (evt.num > \($0) or " } + (index == 0 ? "evt.num=1" : "m\(index - 1)") + repeated(30) { _ in ")" })
            } + MarkedRules.rule("r", "m5")
        ),
        ("not", MarkedRules.rule("r", repeated(100_000) { _ in "not (" })), ("transformers", MarkedRules.rule("r", repeated(100_000) { _ in "len(" })),
        ("output", MarkedRules.rule("r", "evt.num=1", output: "'x %" + repeated(100_000) { _ in "tolower(" } + "'")),
        ("lists in transformers", MarkedRules.rule("r", "join('', " + repeated(100_000) { _ in "(" })),
        (
            "a chain of macros",
            MarkedRules.macro("m0", "proc.pid = 1") + repeated(5000) { MarkedRules.macro("m\($0 + 1)", "m\($0)") } + MarkedRules.rule("r", "m5000")
                + MarkedRules.rule("s", "not m4999")
        ),
        (
            "a chain that deepens",
            MarkedRules.macro("m0", "proc.pid = 1") + repeated(3000) { MarkedRules.macro("m\($0 + 1)", "(m\($0) or proc.pid = \($0)) and not fd.num = \($0)") }
                + MarkedRules.rule("r", "m3000")
        ),
        (
            "a chain as deep as may be",
            MarkedRules.macro("m0", "proc.pid = 1") + repeated(95) { MarkedRules.macro("m\($0 + 1)", "(m\($0) or proc.pid = \($0)) and fd.num = \($0)") }
                + MarkedRules.rule("r", "m95")
        ),
        (
            "a circle of macros",
            repeated(3000) { MarkedRules.macro("m\($0)", "evt.num = 1") } + repeated(3000) { MarkedRules.macro("m\($0)", "m\(($0 + 1) % 3000)") } + MarkedRules.rule("r", "m0")
        ),
        ("doubling macros", MarkedRules.macro("m0", "proc.pid = 1") + repeated(60) { MarkedRules.macro("m\($0 + 1)", "m\($0) and m\($0)") } + MarkedRules.rule("r", "m60")),
        (
            "doubling macros that differ",
            MarkedRules.macro("m0", "proc.pid = 1") + repeated(60) { MarkedRules.macro("m\($0 + 1)", "(m\($0) or proc.pid = \($0)) and (not m\($0) or fd.num = \($0))") }
                + MarkedRules.rule("r", "m60")
        ),
        (
            "a huge list",
            "- list: l\n  items:\n" + repeated(20_000) { "    - item\($0)\n" } + MarkedRules.rule("r", "evt.type = open and proc.name in (l)")
                + MarkedRules.rule("s", "evt.type = open and not proc.name in (l, x)")
        ),
        (
            "lists within lists",
            MarkedRules.list("l0", "[a]") + repeated(5000) { MarkedRules.list("l\($0 + 1)", "[l\($0), b\($0)]") } + MarkedRules.rule("r", "proc.name in (l100)")
        ),
        ("lists within later lists", repeated(3000) { MarkedRules.list("l\($0)", "[l\($0 + 1)]") } + MarkedRules.rule("r", "proc.name in (l0)")),
        ("a circle of lists", repeated(50) { MarkedRules.list("l\($0)", "[l\(($0 + 1) % 50)]") } + MarkedRules.rule("r", "proc.name in (l0)")),
        ("doubling lists", MarkedRules.list("l0", "[a, b]") + repeated(60) { MarkedRules.list("l\($0 + 1)", "[l\($0), l\($0)]") } + MarkedRules.rule("r", "proc.name in (l60)")),
        (
            "a list in many rules",
            MarkedRules.list("l", "[\(Array(repeating: "abcdefgh", count: 20_000).joined(separator: ", "))]") + repeated(10) { MarkedRules.rule("r\($0)", "proc.name in (l)") }
        ),
        ("YAML", repeated(100_000) { _ in "[" }), ("YAML blocks", repeated(20_000) { _ in "- " } + "a"), ("YAML aliases", "- list: l\n  items: &a [x]\n- list: k\n  items: *a\n"),
        ("a long line", "- rule: " + String(repeating: "x", count: 1 << 20)), ("many mistakes", repeated(3000) { "- rule: \($0)\n  enabled: nope\n" }),
        ("many unknown names", repeated(2000) { "- list: nothing\($0)\n  items: []\n  override: {items: append}\n" }),
        ("a long or", MarkedRules.rule("r", repeated(5000) { "proc.name contains x\($0) or " } + "evt.num = 1")),
        ("a long exception", MarkedRules.rule("r", "evt.type = open", "exceptions: [{name: e, fields: [proc.name], values: [" + repeated(5000) { "[a\($0)], " } + "[b]]}]")),
        ("a long regular expression", MarkedRules.rule("r", "proc.name regex '" + repeated(20_000) { _ in "(a|" } + "'")),
        ("a growing one", MarkedRules.rule("r", "proc.name regex '((((a{99}){99}){99}){99})'")),
        ("many rules", repeated(1500) { MarkedRules.rule("r\($0)", "evt.type = open and proc.name = x\($0) and fd.name startswith /\($0)") }),
    ]

    /// All others are refused.
    private static let good: Set<String> = [
        "as many as may be", "as many in all macros", "a chain of macros", "a chain as deep as may be", "doubling macros", "doubling macros that differ", "a huge list",
        "a circle of lists",
        "a list in many rules", "a long or", "a long exception", "many rules",
    ]

    /// Threads other than a program's first often have no more.
    private static let stack = 512 << 10

    @Test("monsters, with little stack", arguments: monsters.map(\.name))
    func monstrous(_ name: String) throws {
        let text = try #require(Self.monsters.first { $0.name == name }).text
        let done = DispatchSemaphore(value: 0)
        // Written before the signal, read behind it.
        nonisolated(unsafe) var loads = false
        let thread = Thread {
            loads = Self.load(text) != nil
            done.signal()
        }
        thread.stackSize = Self.stack
        thread.start()
        try #require(done.wait(timeout: .now() + 120) == .success)
        #expect(loads == Self.good.contains(name))
    }
}
