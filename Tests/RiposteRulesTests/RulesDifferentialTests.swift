import Foundation
import RiposteCore
import RiposteRules
import Testing

/// The compiled plan against the obvious way: rule sets by chance, whose rules share literals, macros and lists, judged by the plan and by a
/// recursive walk over each rule's syntax tree. Gates, families, tries and automata may never lose a rule, nor find one too many.
@Suite("The plan and the obvious way")
struct RulesDifferentialTests {
    @Test("agree on rules and events by chance")
    func byChance() throws {
        let sets = ProcessInfo.processInfo.environment["RIPOSTE_FUZZ_INPUTS"].flatMap(Int.init).map { $0 / 100 } ?? 250
        for _ in 0..<sets { try check(seed: .random(in: 0...UInt64(UInt32.max)), events: 12) }
    }

    private func check(seed: UInt64, events: Int) throws {
        var chance = Chance(SeededNumbers(seed: seed))
        let text = chance.rules()
        let (loaded, findings) = RuleSet.load([.init(name: "", text: text)])
        let ruleSet = try #require(loaded, "seed \(seed): \(findings.filter(\.isError).map(\.diagnostic.rendered))\n\(text)")
        let judge = RuleSetJudge(ruleSet, source: "syscall")
        let conditions = ruleSet.rules.filter(\.isArmed).map { ($0.name, ruleSet.expandedCondition(of: $0)) }
        for _ in 0..<events {
            let event = chance.event()
            var found: [String] = []
            judge.judge(RecordedEvent(event)) { rule, _ in found.append(rule.name) }
            let expected = conditions.filter { Naive(event: event).holds($0.1) }.map(\.0)
            guard found != expected else { continue }
            let wrong = Set(found).symmetricDifference(expected).sorted().map { name in "\(name): \(conditions.first { $0.0 == name }?.1.text ?? "")" }
            Issue.record("seed \(seed): the plan finds \(found), the obvious way \(expected)\n\(wrong.joined(separator: "\n"))\n\(JSON.object(event))")
            return
        }
    }

    // MARK: - The obvious way

    /// Judges a condition over one event, written to be right and not to be fast.
    private struct Naive {
        let event: JSONObject

        func holds(_ condition: Condition) -> Bool {
            switch condition {
            case .and(let parts): parts.allSatisfy(holds)
            case .or(let parts): parts.contains(where: holds)
            case .not(let part): !holds(part)
            case .macro: false
            case .test(let test): holds(test)
            }
        }

        private func holds(_ test: Condition.Test) -> Bool {
            let values = values(test.left)
            if test.comparison == .exists { return values != nil }
            guard let values else { return false }
            switch test.right {
            case .nothing: return false
            case .literal(let literal): return values.contains { compare($0, test.comparison, literal.bytes) }
            case .operand(let operand):
                guard let right = self.values(operand)?.first else { return false }
                return values.contains { compare($0, test.comparison, right) }
            case .list(let literals):
                let literals = literals.map(\.bytes)
                if case .field(let field) = test.left, field.name == "fd.types" {
                    return test.comparison == .within ? values.allSatisfy(literals.contains) : values.contains(where: literals.contains)
                }
                return values.contains { value in
                    let count = literals.count { compare(value, test.comparison, $0) }
                    return switch test.modifier {
                    case .oneof: count == 1
                    case .allof: count == literals.count && count > 0
                    case .anyof, nil: count > 0
                    }
                }
            }
        }

        /// All values as texts; of most fields there is one. Nil where there is none.
        private func values(_ operand: Condition.Operand) -> [[UInt8]]? {
            switch operand {
            case .field(let field):
                let names = field.text == "proc.aname" ? ["proc.pname", "proc.aname[2]", "proc.aname[3]"] : [field.text]
                let values = names.compactMap { event[ByteText($0)] }.flatMap { value -> [[UInt8]] in
                    switch value {
                    case .string(let text): [text.bytes]
                    case .integer(let number): [Array("\(number)".utf8)]
                    case .array(let elements): elements.compactMap { $0.string?.bytes }
                    default: []
                    }
                }
                return values.isEmpty ? nil : values
            case .transform(let transform):
                guard let value = transform.arguments.first.flatMap(values)?.first else { return nil }
                switch transform.name {
                case .toupper: return [value.map { 0x61...0x7A ~= $0 ? $0 - 32 : $0 }]
                case .len: return [Array("\(value.count)".utf8)]
                default: return [value.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).last.map { Array($0) } ?? []]
                }
            case .literal, .list: return nil
            }
        }

        private func compare(_ value: [UInt8], _ comparison: Condition.Comparison, _ literal: [UInt8]) -> Bool {
            func number(_ bytes: [UInt8]) -> Int { Int(String(decoding: bytes, as: UTF8.self)) ?? 0 }
            func folded(_ bytes: [UInt8]) -> [UInt8] { bytes.map { 0x41...0x5A ~= $0 ? $0 | 0x20 : $0 } }
            func parts(_ path: [UInt8]) -> [ArraySlice<UInt8>] { path.split(separator: UInt8(ascii: "/")) }
            switch comparison {
            case .equal, .within, .intersects: return value == literal
            case .notEqual: return value != literal
            case .less: return number(value) < number(literal)
            case .lessOrEqual: return number(value) <= number(literal)
            case .greater: return number(value) > number(literal)
            case .greaterOrEqual: return number(value) >= number(literal)
            case .startswith: return value.starts(with: literal)
            case .endswith: return value.reversed().starts(with: literal.reversed())
            case .contains: return literal.isEmpty || value.indices.contains { value[$0...].starts(with: literal) }
            case .icontains: return compare(folded(value), .contains, folded(literal))
            case .glob: return matches(value[...], literal[...])
            case .iglob: return matches(folded(value)[...], folded(literal)[...])
            case .pmatch: return parts(value).count >= parts(literal).count && zip(parts(value), parts(literal)).allSatisfy { matches($0, $1) }
            case .regex, .bcontains, .bstartswith, .exists: return false
            }
        }

        /// `*` and `?` only.
        private func matches(_ text: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
            guard let first = pattern.first else { return text.isEmpty }
            if first == UInt8(ascii: "*") { return matches(text, pattern.dropFirst()) || (!text.isEmpty && matches(text.dropFirst(), pattern)) }
            return !text.isEmpty && (first == UInt8(ascii: "?") || first == text.first) && matches(text.dropFirst(), pattern.dropFirst())
        }
    }

    // MARK: - By chance

    private struct Chance {
        private var numbers: SeededNumbers
        /// Few, so that rules share them and events have them.
        private let words: [String]
        private let paths: [String]
        private var macros = 0
        private var lists = 0

        init(_ numbers: SeededNumbers) {
            var numbers = numbers
            words = (0..<numbers.one(of: 2, 4, 9, 30)).map { _ in "w" + String(decoding: numbers.text(upTo: 4, of: "abAB"), as: UTF8.self) }
            paths = (0..<numbers.one(of: 2, 5, 20)).map { _ in
                "/" + (0..<Int.random(in: 1...3, using: &numbers)).map { _ in numbers.one(of: "a", "b", "ab", "c") }.joined(separator: "/")
            }
            self.numbers = numbers
        }

        private mutating func flip(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &numbers) < percent }
        private mutating func word() -> String { words.randomElement(using: &numbers) ?? "" }
        private mutating func path() -> String { paths.randomElement(using: &numbers) ?? "" }
        /// A part of a word, of a path, or nothing.
        private mutating func part() -> String {
            let whole = flip(50) ? word() : path()
            let start = Int.random(in: 0...whole.count, using: &numbers)
            return "\"" + whole.dropFirst(start).prefix(Int.random(in: 0...whole.count, using: &numbers)) + "\""
        }

        mutating func rules() -> String {
            var text = ""
            for index in 0..<Int.random(in: 0...3, using: &numbers) {
                text += MarkedRules.list("list\(index)", "[" + (0..<Int.random(in: 0...5, using: &numbers)).map { _ in word() }.joined(separator: ", ") + "]")
                lists = index + 1
            }
            for index in 0..<Int.random(in: 0...5, using: &numbers) {
                text += "- macro: macro\(index)\n  condition: |\n    \(condition(2))\n"
                macros = index + 1
            }
            for index in 0..<numbers.one(of: 1, 2, 4, 8, 40) {
                text += "- rule: r\(index)\n  condition: |\n    \(condition(3))\n  desc: d\n  output: o\n  priority: info\n"
                if flip(15) { text += "  exceptions: [{name: e, fields: [proc.name, fd.name], comps: [=, startswith], values: [[\(word()), \(path())], [\(word()), /]]}]\n" }
                if flip(5) { text += "  enabled: false\n" }
            }
            return text
        }

        private mutating func condition(_ depth: Int) -> String {
            if depth == 0 || flip(25) { return (flip(20) ? "not " : "") + test() }
            let word = flip(60) ? " and " : " or "
            let inner = (0..<Int.random(in: 2...4, using: &numbers)).map { _ in condition(depth - 1) }.joined(separator: word)
            return flip(20) ? "not (\(inner))" : "(\(inner))"
        }

        private mutating func list(_ element: (inout Chance) -> String) -> String {
            "(" + (0..<Int.random(in: 0...4, using: &numbers)).map { _ in element(&self) }.joined(separator: ", ") + ")"
        }

        private mutating func test() -> String {
            if macros > 0, flip(15) { return "macro\(Int.random(in: 0..<macros, using: &numbers))" }
            let text = numbers.one(of: "proc.name", "proc.name", "proc.exepath", "fd.name", "fd.name", "proc.aname", "proc.aname[2]", "proc.args")
            let pattern = numbers.one(of: "*", "", "?") + part().dropFirst().dropLast() + numbers.one(of: "*", "")
            switch Int.random(in: 0..<22, using: &numbers) {
            case 0, 1: return "evt.type \(numbers.one(of: "=", "!=")) \(numbers.one(of: "open", "close", "dup"))"
            case 2: return "evt.type in (open, \(numbers.one(of: "close", "dup")))"
            case 3, 4: return "\(text) = \(word())"
            case 5: return "\(text) != \(word())"
            case 6: return "\(text) in \(list { $0.word() })"
            case 7: return lists > 0 ? "\(text) in (list\(Int.random(in: 0..<lists, using: &numbers)))" : "\(text) exists"
            case 8: return "\(text) startswith \(part())"
            case 9: return "\(text) endswith \(part())"
            case 10, 11: return "\(text) \(numbers.one(of: "contains", "icontains")) \(part())"
            case 12, 13: return "fd.name pmatch \(list { $0.flip(80) ? $0.path() : $0.numbers.one(of: "/", "/*/b", "/a?", "a") })"
            case 14: return "\(text) \(numbers.one(of: "glob", "iglob")) \"\(pattern)\""
            case 15:
                return
                    "\(text) \(numbers.one(of: "=", "!=", "startswith", "endswith", "contains", "icontains")) \(numbers.one(of: "oneof", "anyof", "allof")) \(list { $0.part() })"
            case 16: return "proc.pid \(numbers.one(of: "=", "!=", "<", "<=", ">", ">=")) \(Int.random(in: -1...3, using: &numbers))"
            case 17: return "proc.pid in \(list { "\(Int.random(in: -1...3, using: &$0.numbers))" })"
            case 18: return "\(text) exists"
            case 19: return "fd.types \(numbers.one(of: "in", "intersects")) \(list { $0.word() })"
            case 20: return "toupper(\(text == "proc.aname" ? "proc.name" : text)) \(numbers.one(of: "contains", "startswith", "=")) \(word().uppercased())"
            default:
                return numbers.one(
                    of: "basename(fd.name) = a", "len(proc.name) > 3", "proc.name = val(proc.args)", "proc.name != val(proc.args)", "proc.exepath startswith val(fd.name)",
                    "fd.name contains basename(fd.name)")
            }
        }

        mutating func event() -> JSONObject {
            var event: JSONObject = ["evt.type": .text(numbers.one(of: "open", "close", "dup", "read"))]
            for name in ["proc.name", "proc.args", "proc.pname", "proc.aname[2]", "proc.aname[3]"] where flip(75) {
                event[ByteText(name)] = .text(flip(85) ? word() : numbers.one(of: "", "w", word() + word()))
            }
            for name in ["fd.name", "proc.exepath"] where flip(75) {
                event[ByteText(name)] = .text(flip(70) ? path() : flip(50) ? path() + path() : numbers.one(of: "", "/", "//a//b", word()))
            }
            if flip(75) { event["proc.pid"] = .integer(Int64.random(in: -1...3, using: &numbers)) }
            if flip(50) { event["fd.types"] = .array((0..<Int.random(in: 1...3, using: &numbers)).map { _ in .text(word()) }) }
            return event
        }
    }
}
