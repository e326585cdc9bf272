/// A pattern taken apart.
indirect enum RegularExpressionNode {
    case empty
    /// One character out of some; the ranges are in order and apart from each other.
    case scalars([ClosedRange<UInt32>])
    case lineStart
    case lineEnd
    case sequence([RegularExpressionNode])
    case alternatives([RegularExpressionNode])
    case repetition(RegularExpressionNode, Int, Int?)
}

extension RegularExpression {
    static func parse(_ pattern: String) throws(Invalid) -> RegularExpressionNode {
        var parser = Parser(pattern)
        return try parser.whole()
    }

    private typealias Node = RegularExpressionNode

    private struct Parser {
        /// Of nested repetitions the product, as in RE2.
        private static let repetitionLimit = 1000
        private static let depthLimit = 100
        private static let lastScalar: UInt32 = 0x10FFFF

        private let pattern: [Unicode.Scalar]
        private var position = 0
        private var depth = 0
        /// How often the innermost part of what was read since the last open parenthesis is repeated at most.
        private var repetitions = 1

        init(_ pattern: String) { self.pattern = Array(pattern.unicodeScalars) }

        mutating func whole() throws(Invalid) -> Node {
            let node = try alternatives()
            guard position == pattern.count else { throw invalid("')' without '('") }
            return node
        }

        private mutating func alternatives() throws(Invalid) -> Node {
            depth += 1
            guard depth <= Self.depthLimit else { throw invalid("nested deeper than \(Self.depthLimit) levels") }
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
            let outside = repetitions
            repetitions = 1
            defer { repetitions = max(repetitions, outside) }
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
            guard let (least, most) = braces() else { return nil }
            repetitions *= max(1, most ?? least)
            guard least <= most ?? least, repetitions <= Self.repetitionLimit else {
                position = start
                throw invalid("a repetition counts at most \(Self.repetitionLimit), with those inside it, and the smaller number comes first")
            }
            return (least, most)
        }

        private mutating func braces() -> (Int, Int?)? {
            let start = position
            if take("{"), let least = number() {
                if take("}") { return (least, least) }
                if take(",") {
                    if take("}") { return (least, nil) }
                    if let most = number(), take("}") { return (least, most) }
                }
            }
            position = start
            return nil
        }

        private mutating func number() -> Int? {
            var number: Int?
            while let next = peek, let digit = Self.digit(next, below: 10) {
                // More than enough to be refused.
                number = min((number ?? 0) * 10 + digit, Self.repetitionLimit + 1)
                position += 1
            }
            return number
        }

        private mutating func atom() throws(Invalid) -> Node {
            guard let next = peek else { throw invalid("the pattern ends too early") }
            let start = position
            position += 1
            switch next {
            case "(":
                let node = try alternatives()
                guard take(")") else { throw invalid("'(' without ')'") }
                return node
            case "[": return .scalars(try bracket())
            case ".": return .scalars([0...9, 11...Self.lastScalar])
            case "^": return .lineStart
            case "$": return .lineEnd
            case "\\":
                let scalar = try escaped()
                return .scalars([scalar...scalar])
            case "*", "+", "?":
                position = start
                throw invalid("nothing to repeat before '\(next)'")
            default:
                position = start
                guard next != "{" || braces() == nil else {
                    position = start
                    throw invalid("nothing to repeat before '{'")
                }
                position = start + 1
                return .scalars([next.value...next.value])
            }
        }

        /// What stands behind a backslash.
        private mutating func escaped() throws(Invalid) -> UInt32 {
            guard let next = peek else { throw invalid("the pattern ends inside an escape") }
            position += 1
            switch next {
            case "a": return 7
            case "f": return 12
            case "n": return 10
            case "r": return 13
            case "t": return 9
            case "v": return 11
            case "x": if let scalar = hexadecimal() { return scalar }
            case "0": return octal(UInt32(0))
            case "1"..."7": if let second = peek, Self.digit(second, below: 8) != nil { return octal(next.value - 0x30) }
            case _ where next.isASCII && !next.properties.isAlphabetic && !("8"..."9" ~= next): return next.value
            default: break
            }
            position -= 1
            throw invalid("\\\(next) is not known in POSIX syntax; write a class such as [[:digit:]]")
        }

        /// Three digits at most, of which one was read.
        private mutating func octal(_ first: UInt32) -> UInt32 {
            var value = first
            for _ in 0..<2 {
                guard let next = peek, let digit = Self.digit(next, below: 8) else { break }
                value = value * 8 + UInt32(digit)
                position += 1
            }
            return value
        }

        /// `41` or `{1F600}`; nothing is taken where it is neither.
        private mutating func hexadecimal() -> UInt32? {
            let start = position
            let isBraced = take("{")
            var value: UInt32 = 0
            var count = 0
            while let next = peek, isBraced || count < 2, let digit = Self.digit(next, below: 16), value <= Self.lastScalar {
                value = value * 16 + UInt32(digit)
                count += 1
                position += 1
            }
            if isBraced ? count > 0 && take("}") : count == 2, value <= Self.lastScalar { return value }
            position = start
            return nil
        }

        private static func digit(_ scalar: Unicode.Scalar, below radix: Int) -> Int? {
            let digit: Int? =
                switch scalar {
                case "0"..."9": Int(scalar.value) - 0x30
                case "A"..."F", "a"..."f": Int(scalar.value | 0x20) - 0x61 + 10
                default: nil
                }
            return digit.flatMap { $0 < radix ? $0 : nil }
        }

        // MARK: - Sets

        private mutating func bracket() throws(Invalid) -> [ClosedRange<UInt32>] {
            let start = position
            let isNegated = take("^")
            let first = position
            var ranges: [ClosedRange<UInt32>] = []
            while true {
                guard let next = peek else {
                    position = start
                    throw invalid("'[' without ']'")
                }
                if next == "]", position > first { break }
                if next == "[", position + 1 < pattern.count, pattern[position + 1] == ":" {
                    ranges += try namedClass()
                    continue
                }
                if next == "-", position > first, position + 1 < pattern.count, pattern[position + 1] != "]" {
                    throw invalid("'-' stands first or last in a set, or between the ends of a range")
                }
                ranges.append(try range())
            }
            position += 1
            return isNegated ? Self.complement(Self.normal(ranges)) : Self.normal(ranges)
        }

        private mutating func range() throws(Invalid) -> ClosedRange<UInt32> {
            let low = try bracketScalar()
            guard peek == "-", position + 1 < pattern.count, pattern[position + 1] != "]" else { return low...low }
            position += 1
            let high = try bracketScalar()
            guard low <= high else { throw invalid("a range runs backwards") }
            return low...high
        }

        private mutating func bracketScalar() throws(Invalid) -> UInt32 {
            guard let next = peek else { throw invalid("'[' without ']'") }
            position += 1
            return next == "\\" ? try escaped() : next.value
        }

        private mutating func namedClass() throws(Invalid) -> [ClosedRange<UInt32>] {
            for (name, ranges) in Self.classes {
                if take("[:\(name):]") { return ranges }
                if take("[:^\(name):]") { return Self.complement(ranges) }
            }
            throw invalid("unknown character class")
        }

        private static let classes: [(name: String, ranges: [ClosedRange<UInt32>])] =
            ByteSet.namedRanges.map { ($0.name, $0.ranges.map { UInt32($0.lowerBound)...UInt32($0.upperBound) }) } + [
                ("ascii", [0...127]), ("word", [48...57, 65...90, 95...95, 97...122]),
            ]

        private static func normal(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
            guard ranges.count > 1 else { return ranges }
            var result: [ClosedRange<UInt32>] = []
            for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
                if let last = result.last, range.lowerBound <= last.upperBound + 1 {
                    result[result.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
                } else {
                    result.append(range)
                }
            }
            return result
        }

        private static func complement(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
            var result: [ClosedRange<UInt32>] = []
            var next: UInt32 = 0
            for range in ranges {
                if range.lowerBound > next { result.append(next...(range.lowerBound - 1)) }
                next = range.upperBound + 1
            }
            if next <= lastScalar { result.append(next...lastScalar) }
            return result
        }

        // MARK: - Characters

        private var peek: Unicode.Scalar? { position < pattern.count ? pattern[position] : nil }

        private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
            guard peek == scalar else { return false }
            position += 1
            return true
        }

        private mutating func take(_ text: String) -> Bool {
            let scalars = text.unicodeScalars
            guard pattern[position...].starts(with: scalars) else { return false }
            position += scalars.count
            return true
        }

        private func invalid(_ message: String) -> Invalid { Invalid(message: message, offset: position) }
    }
}
