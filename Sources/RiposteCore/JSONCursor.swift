/// A place in a text of JSON that only goes forward: over values, which are looked through and not made, and into arrays and objects. So a text of which
/// little is wanted, or that may be far too much, costs no memory, and one look at each byte.
///
/// It reads as ``JSON/init(forgiving:)`` does: what it went over without an error can be read by that.
package struct JSONCursor {
    /// Where a value stands that was gone over.
    package struct Passed: Sendable {
        package let range: Range<Int>
        /// It has no fewer bytes than this when it is written without blanks and with no escape that need not be.
        package let leastWritten: Int

        package init(_ range: Range<Int>, sparing spared: Int) { (self.range, leastWritten) = (range, range.count - spared) }
    }

    private var parser: JSONParser

    /// With a place at the beginning of a part of a text.
    package static func over<Value>(_ text: [UInt8], in range: Range<Int>? = nil, _ body: (inout JSONCursor) throws(JSONError) -> Value) throws(JSONError) -> Value {
        let range = range ?? text.indices
        return try text.withUnsafeBufferPointer { bytes throws(JSONError) in
            var cursor = JSONCursor(parser: JSONParser(UnsafeBufferPointer(rebasing: bytes[..<range.upperBound]), from: range.lowerBound))
            return try body(&cursor)
        }
    }

    /// Bytes from the text's beginning.
    package var position: Int { parser.position }

    /// What the next value begins with; nil at the end.
    package mutating func nextByte() -> UInt8? {
        parser.skipBlanks()
        return parser.isAtEnd ? nil : parser.bytes[parser.position]
    }

    /// Goes over the next value.
    package mutating func pass() throws(JSONError) -> Passed {
        parser.skipBlanks()
        let start = parser.position
        let spared = try parser.skip()
        return Passed(start..<parser.position, sparing: spared)
    }

    /// Goes into the next value, an array. `body` must go over each element, or into it.
    package mutating func elements(_ body: (inout JSONCursor) throws(JSONError) -> Void) throws(JSONError) {
        guard try enter("[", "]") else { return }
        repeat { try body(&self) } while try goesOn("]", "expected ',' or ']' in an array")
    }

    /// Goes into the next value, an object. `body` must go over each member's value, or into it.
    package mutating func members(_ body: (ByteText, inout JSONCursor) throws(JSONError) -> Void) throws(JSONError) {
        guard try enter("{", "}") else { return }
        repeat {
            parser.skipBlanks()
            try body(ByteText(try parser.key()), &self)
        } while try goesOn("}", "expected ',' or '}' in an object")
    }

    /// Nothing but blanks may follow.
    package mutating func end() throws(JSONError) {
        parser.skipBlanks()
        guard parser.isAtEnd else { throw parser.error("unexpected text after the value") }
    }

    /// False for an empty one, which it is behind then.
    private mutating func enter(_ open: Unicode.Scalar, _ close: Unicode.Scalar) throws(JSONError) -> Bool {
        parser.skipBlanks()
        guard parser.take(UInt8(ascii: open)) else { throw parser.error("expected '\(open)'") }
        parser.skipBlanks()
        return !parser.take(UInt8(ascii: close))
    }

    private mutating func goesOn(_ close: Unicode.Scalar, _ problem: String) throws(JSONError) -> Bool {
        parser.skipBlanks()
        if parser.take(UInt8(ascii: ",")) { return true }
        guard parser.take(UInt8(ascii: close)) else { throw parser.error(problem) }
        return false
    }
}

extension JSONParser {
    /// Goes past a value, however deep it is, and makes nothing of it. How many bytes it need not have: blanks, and what escapes are longer than what they stand for.
    @discardableResult
    mutating func skip() throws(JSONError) -> Int {
        var (spared, open) = (0, [UInt8]())
        repeat {
            spared += blanks()
            if try enter(&open, &spared) { continue }
            while let bracket = open.last {
                spared += blanks()
                let isObject = bracket == UInt8(ascii: "{")
                if take(UInt8(ascii: ",")) {
                    if isObject { spared += try skipKey() }
                    break
                }
                guard take(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                    throw error("expected ',' or '\(isObject ? "}" : "]")' in an \(isObject ? "object" : "array")")
                }
                open.removeLast()
            }
        } while !open.isEmpty
        return spared
    }

    /// Past a value that has no parts, or into one that has: true where a part's value follows.
    private mutating func enter(_ open: inout [UInt8], _ spared: inout Int) throws(JSONError) -> Bool {
        guard position < bytes.count else { throw error("the text ends where a value is expected") }
        let byte = bytes[position]
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            position += 1
            spared += blanks()
            let isObject = byte == UInt8(ascii: "{")
            if take(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) { return false }
            open.append(byte)
            if isObject { spared += try skipKey() }
            return true
        case UInt8(ascii: "\""): spared += try skipText()
        case UInt8(ascii: "t"): _ = try word("true", .null)
        case UInt8(ascii: "f"): _ = try word("false", .null)
        case UInt8(ascii: "n"): _ = try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): _ = try number()
        default: throw error("expected a value")
        }
        return false
    }

    private mutating func blanks() -> Int {
        let start = position
        skipBlanks()
        return position - start
    }

    private mutating func skipKey() throws(JSONError) -> Int {
        var spared = blanks()
        guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { throw error("expected a key in quotes") }
        spared += try skipText()
        spared += blanks()
        guard take(UInt8(ascii: ":")) else { throw error("expected ':' after a key") }
        return spared
    }

    private mutating func skipText() throws(JSONError) -> Int {
        position += 1
        var (spared, meant) = (0, [UInt8]())
        while case let end = bytes.endOfPlainText(from: position), end < bytes.count {
            position = end
            switch bytes[end] {
            case UInt8(ascii: "\""):
                position += 1
                return spared
            case UInt8(ascii: "\\"):
                position += 1
                try appendEscape(to: &meant)
                spared += max(0, position - end - meant.count)
                meant.removeAll(keepingCapacity: true)
            case 0x7F: position += 1
            default: throw error("control character in a string")
            }
        }
        position = bytes.count
        throw error("the text ends inside a string")
    }
}
