/// A regular expression in RE2's POSIX egrep syntax that takes linear time on every text: a hostile string costs no more than its length
/// times the size of the pattern. It matches the whole text, as Falco's `regex` does; there are no groups to capture.
///
/// Compiled to a small program that is run over all alternatives at once (Thompson, "Regular Expression Search Algorithm", 1968).
package struct RegularExpression: Sendable, Equatable {
    /// Instructions; `{1000}` inside `{1000}` is an error and not a gigabyte.
    private static let programLimit = 20000
    private static let repetitionLimit = 1000
    private static let depthLimit = 200

    private var program: [Instruction] = []

    fileprivate enum Instruction: Sendable, Equatable {
        case scalars([ClosedRange<UInt32>])
        case split(Int, Int)
        case jump(Int)
        case lineStart
        case lineEnd
        case match
    }

    package struct Invalid: Error, Equatable, Sendable {
        package let message: String
        /// Characters from the start of the pattern.
        package let offset: Int
    }

    package init(_ pattern: String) throws(Invalid) {
        var parser = Parser(pattern)
        let node = try parser.whole()
        try emit(node)
        program.append(.match)
    }

    /// Bytes that are not UTF-8 count as U+FFFD.
    package func matchesWhole(_ bytes: [UInt8]) -> Bool {
        var current = ThreadList(capacity: program.count)
        var next = ThreadList(capacity: program.count)
        let scalars = Array(String(decoding: bytes, as: UTF8.self).unicodeScalars)
        add(0, to: &current, atStart: true, atEnd: scalars.isEmpty)
        for (index, scalar) in scalars.enumerated() {
            if current.isEmpty { return false }
            next.removeAll()
            for thread in current.dense {
                guard case .scalars(let ranges) = program[thread], ranges.contains(where: { $0.contains(scalar.value) }) else { continue }
                add(thread + 1, to: &next, atStart: false, atEnd: index == scalars.count - 1)
            }
            swap(&current, &next)
        }
        return current.dense.contains { program[$0] == .match }
    }

    private func add(_ start: Int, to list: inout ThreadList, atStart: Bool, atEnd: Bool) {
        var pending = [start]
        while let place = pending.popLast() {
            guard list.insert(place) else { continue }
            switch program[place] {
            case .jump(let target): pending.append(target)
            case .split(let first, let second): pending += [second, first]
            case .lineStart: if atStart { pending.append(place + 1) }
            case .lineEnd: if atEnd { pending.append(place + 1) }
            case .scalars, .match: break
            }
        }
    }

    /// A set of program places that is emptied in no time.
    private struct ThreadList {
        private(set) var dense: [Int] = []
        private var sparse: [Int]

        init(capacity: Int) {
            sparse = Array(repeating: 0, count: capacity)
            dense.reserveCapacity(capacity)
        }

        var isEmpty: Bool { dense.isEmpty }

        mutating func removeAll() { dense.removeAll(keepingCapacity: true) }

        mutating func insert(_ place: Int) -> Bool {
            if sparse[place] < dense.count, dense[sparse[place]] == place { return false }
            sparse[place] = dense.count
            dense.append(place)
            return true
        }
    }

    // MARK: - Program

    private mutating func emit(_ node: Node) throws(Invalid) {
        guard program.count < Self.programLimit else { throw Invalid(message: "the pattern is too large", offset: 0) }
        switch node {
        case .empty: break
        case .scalars(let ranges): program.append(.scalars(ranges))
        case .lineStart: program.append(.lineStart)
        case .lineEnd: program.append(.lineEnd)
        case .sequence(let nodes): for node in nodes { try emit(node) }
        case .alternatives(let nodes): try emitAlternatives(nodes)
        case .repetition(let node, let least, let most):
            for _ in 0..<least { try emit(node) }
            if let most { try emitOptional(node, most - least) } else { try emitStar(node) }
        }
    }

    private mutating func emitAlternatives(_ nodes: [Node]) throws(Invalid) {
        var exits: [Int] = []
        for (index, node) in nodes.enumerated() {
            guard index < nodes.count - 1 else {
                try emit(node)
                break
            }
            let split = program.count
            program.append(.match)
            try emit(node)
            exits.append(program.count)
            program.append(.match)
            program[split] = .split(split + 1, program.count)
        }
        for exit in exits { program[exit] = .jump(program.count) }
    }

    private mutating func emitStar(_ node: Node) throws(Invalid) {
        let split = program.count
        program.append(.match)
        try emit(node)
        program.append(.jump(split))
        program[split] = .split(split + 1, program.count)
    }

    private mutating func emitOptional(_ node: Node, _ count: Int) throws(Invalid) {
        var splits: [Int] = []
        for _ in 0..<count {
            splits.append(program.count)
            program.append(.match)
            try emit(node)
        }
        for split in splits { program[split] = .split(split + 1, program.count) }
    }

    fileprivate indirect enum Node {
        case empty
        case scalars([ClosedRange<UInt32>])
        case lineStart
        case lineEnd
        case sequence([Node])
        case alternatives([Node])
        case repetition(Node, Int, Int?)
    }

    // MARK: - Pattern

    private struct Parser {
        private let pattern: [Unicode.Scalar]
        private var position = 0
        private var depth = 0

        init(_ pattern: String) { self.pattern = Array(pattern.unicodeScalars) }

        mutating func whole() throws(Invalid) -> Node {
            let node = try alternatives()
            guard position == pattern.count else { throw invalid("')' without '('") }
            return node
        }

        private mutating func alternatives() throws(Invalid) -> Node {
            depth += 1
            guard depth <= depthLimit else { throw invalid("nested deeper than \(depthLimit) levels") }
            defer { depth -= 1 }
            var nodes = [try sequence()]
            while take("|") { nodes.append(try sequence()) }
            return nodes.count == 1 ? nodes[0] : .alternatives(nodes)
        }

        private mutating func sequence() throws(Invalid) -> Node {
            var nodes: [Node] = []
            while let next = peek, next != "|", next != ")" { nodes.append(try repeated()) }
            return nodes.isEmpty ? .empty : nodes.count == 1 ? nodes[0] : .sequence(nodes)
        }

        private mutating func repeated() throws(Invalid) -> Node {
            var node = try atom()
            while let next = peek {
                switch next {
                case "*": node = .repetition(node, 0, nil)
                case "+": node = .repetition(node, 1, nil)
                case "?": node = .repetition(node, 0, 1)
                case "{":
                    guard let (least, most) = try bounds() else { return node }
                    node = .repetition(node, least, most)
                    continue
                default: return node
                }
                position += 1
            }
            return node
        }

        /// `{m}`, `{m,}`, `{m,n}`; a brace that begins none of these is a plain character.
        private mutating func bounds() throws(Invalid) -> (Int, Int?)? {
            let start = position
            position += 1
            let least = number()
            var most = least
            if let _ = least, take(",") { most = peek == "}" ? nil : number() ?? -1 }
            guard let least, take("}"), most ?? 0 >= 0 || most == nil else {
                position = start
                return nil
            }
            guard least <= repetitionLimit, most ?? 0 <= repetitionLimit, most.map({ $0 >= least }) ?? true else {
                position = start
                throw invalid("a repetition counts at most \(repetitionLimit), the smaller number first")
            }
            return (least, most)
        }

        private mutating func number() -> Int? {
            var digits = ""
            while let next = peek, "0"..."9" ~= next, digits.count < 6 {
                digits.unicodeScalars.append(next)
                position += 1
            }
            return Int(digits)
        }

        private mutating func atom() throws(Invalid) -> Node {
            guard let next = peek else { throw invalid("the pattern ends too early") }
            position += 1
            switch next {
            case "(":
                let node = try alternatives()
                guard take(")") else { throw invalid("'(' without ')'") }
                return node
            case "[": return .scalars(try bracket())
            case ".": return .scalars([0...9, 11...0x10FFFF])
            case "^": return .lineStart
            case "$": return .lineEnd
            case "*", "+", "?":
                position -= 1
                throw invalid("nothing to repeat before '\(next)'")
            case "\\": return .scalars([try escaped()])
            default: return .scalars([next.value...next.value])
            }
        }

        private mutating func escaped() throws(Invalid) -> ClosedRange<UInt32> {
            guard let next = peek else { throw invalid("the pattern ends inside an escape") }
            switch next {
            case "a": position += 1; return 7...7
            case "f": position += 1; return 12...12
            case "n": position += 1; return 10...10
            case "r": position += 1; return 13...13
            case "t": position += 1; return 9...9
            case "v": position += 1; return 11...11
            case _ where next.properties.isAlphabetic || "0"..."9" ~= next:
                throw invalid("\\\(next) is not known in POSIX syntax; write a class such as [[:digit:]]")
            default:
                position += 1
                return next.value...next.value
            }
        }

        private mutating func bracket() throws(Invalid) -> [ClosedRange<UInt32>] {
            let start = position
            let isNegated = take("^")
            var ranges: [ClosedRange<UInt32>] = []
            while true {
                guard let next = peek else {
                    position = start
                    throw invalid("'[' without ']'")
                }
                if next == "]", position > start + (isNegated ? 1 : 0) { break }
                if next == "[", position + 1 < pattern.count, pattern[position + 1] == ":" {
                    ranges += try namedClass()
                    continue
                }
                let low = try bracketScalar()
                guard peek == "-", position + 1 < pattern.count, pattern[position + 1] != "]" else {
                    ranges.append(low...low)
                    continue
                }
                position += 1
                let high = try bracketScalar()
                guard low <= high else { throw invalid("a range runs backwards") }
                ranges.append(low...high)
            }
            position += 1
            return isNegated ? Self.complement(ranges) : ranges
        }

        private mutating func bracketScalar() throws(Invalid) -> UInt32 {
            guard let next = peek else { throw invalid("'[' without ']'") }
            position += 1
            return next == "\\" ? try escaped().lowerBound : next.value
        }

        private mutating func namedClass() throws(Invalid) -> [ClosedRange<UInt32>] {
            for (name, ranges) in Self.classes where take("[:\(name):]") { return ranges }
            throw invalid("unknown character class")
        }

        private static let classes: [(String, [ClosedRange<UInt32>])] = [
            ("alnum", [48...57, 65...90, 97...122]), ("alpha", [65...90, 97...122]), ("ascii", [0...127]), ("blank", [9...9, 32...32]),
            ("cntrl", [0...31, 127...127]), ("digit", [48...57]), ("graph", [33...126]), ("lower", [97...122]), ("print", [32...126]),
            ("punct", [33...47, 58...64, 91...96, 123...126]), ("space", [9...13, 32...32]), ("upper", [65...90]),
            ("word", [48...57, 65...90, 95...95, 97...122]), ("xdigit", [48...57, 65...70, 97...102]),
        ]

        private static func complement(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
            var result: [ClosedRange<UInt32>] = []
            var next: UInt32 = 0
            for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
                if range.lowerBound > next { result.append(next...(range.lowerBound - 1)) }
                next = max(next, range.upperBound + 1)
            }
            if next <= 0x10FFFF { result.append(next...0x10FFFF) }
            return result
        }

        private var peek: Unicode.Scalar? { position < pattern.count ? pattern[position] : nil }

        private mutating func take(_ text: String) -> Bool {
            let scalars = text.unicodeScalars
            guard pattern[position...].starts(with: scalars) else { return false }
            position += scalars.count
            return true
        }

        private func invalid(_ message: String) -> Invalid { Invalid(message: message, offset: position) }
    }
}
