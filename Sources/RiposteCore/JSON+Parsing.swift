/// Why bytes are not JSON, and where: `offset` counts bytes from the start of the text.
package struct JSONError: Error, Equatable, CustomStringConvertible {
    package let problem: String
    package let offset: Int

    package var description: String { "\(problem) at byte \(offset)" }
}

extension JSON {
    /// Objects and arrays inside one another; Falco's alerts need three.
    package static let depthLimit = 64

    /// Whether at most so many objects and arrays stand inside one another.
    package func isNested(atMost levels: Int) -> Bool {
        switch self {
        case .object(let object): levels > 0 && object.members.allSatisfy { $0.value.isNested(atMost: levels - 1) }
        case .array(let elements): levels > 0 && elements.allSatisfy { $0.isNested(atMost: levels - 1) }
        default: true
        }
    }

    /// Reads exactly one JSON value (RFC 8259), white space around it allowed.
    ///
    /// Stricter than many readers in one point: a key that stands twice in an object is an error, because two readers that disagree about
    /// which one counts are a way past a check. More lenient in one: bytes in strings need not be UTF-8. The escape of a lone surrogate is U+FFFD, as it
    /// will be when it is written: else two keys could differ that are one in the journal.
    package init(parsing bytes: some Collection<UInt8>) throws(JSONError) { self = try Self.parsed(bytes, isForgiving: false) }

    /// Reads JSON whose parts were written by different hands, in one go like ``init(parsing:)``. Of a key that stands twice the last one counts, at the place of the
    /// first; what is nested too deeply stays, as the text that it was.
    package init(forgiving bytes: some Collection<UInt8>) throws(JSONError) { self = try Self.parsed(bytes, isForgiving: true) }

    private static func parsed(_ bytes: some Collection<UInt8>, isForgiving: Bool) throws(JSONError) -> JSON {
        var outcome: Result<JSON, JSONError>?
        let contiguous: Void? = bytes.withContiguousStorageIfAvailable { outcome = parse($0, isForgiving) }
        if contiguous == nil { Array(bytes).withUnsafeBufferPointer { outcome = parse($0, isForgiving) } }
        guard let outcome else { throw JSONError(problem: "no text", offset: 0) }
        return try outcome.get()
    }

    private static func parse(_ bytes: UnsafeBufferPointer<UInt8>, _ isForgiving: Bool) -> Result<JSON, JSONError> {
        var parser = JSONParser(bytes, isForgiving: isForgiving)
        do throws(JSONError) {
            let value = try parser.value(depth: 0)
            parser.skipBlanks()
            guard parser.isAtEnd else { return .failure(parser.error("unexpected text after the value")) }
            return .success(value)
        } catch {
            return .failure(error)
        }
    }
}

struct JSONParser {
    let bytes: UnsafeBufferPointer<UInt8>
    var position: Int
    private let isForgiving: Bool
    /// So many objects get room for sixteen members at once, which is what those of alerts have; a text of a hundred thousand small ones gets no more than they need.
    private var roomyObjects = 64

    /// `position`: where it begins to read.
    init(_ bytes: UnsafeBufferPointer<UInt8>, from position: Int = 0, isForgiving: Bool = false) {
        self.bytes = bytes
        self.position = position
        self.isForgiving = isForgiving
    }

    var isAtEnd: Bool { position == bytes.count }

    func error(_ problem: String) -> JSONError { JSONError(problem: problem, offset: position) }

    mutating func skipBlanks() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    mutating func value(depth: Int) throws(JSONError) -> JSON {
        skipBlanks()
        guard position < bytes.count else { throw error("the text ends where a value is expected") }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try object(depth: depth + 1)
        case UInt8(ascii: "["): return try array(depth: depth + 1)
        case UInt8(ascii: "\""): return .string(ByteText(try string()))
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw error("expected a value")
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSON {
        guard depth <= JSON.depthLimit else { return try tooDeep() }
        position += 1
        var object = JSONObject()
        skipBlanks()
        if take(UInt8(ascii: "}")) { return .object(object) }
        if roomyObjects > 0 {
            roomyObjects -= 1
            object.members.reserveCapacity(16)
        }
        var places: [ByteText: Int] = [:]
        while true {
            skipBlanks()
            let keyPosition = position
            let key = ByteText(try key())
            let place = place(of: key, in: object, &places)
            guard isForgiving || place == nil else {
                throw JSONError(problem: "key \"\(key.shown)\" stands twice in one object", offset: keyPosition)
            }
            let value = try value(depth: depth)
            if let place { object.members[place].value = value } else { object.append(key, value) }
            skipBlanks()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "}")) else { throw error("expected ',' or '}' in an object") }
            return .object(object)
        }
    }

    /// Few keys are compared one by one, many through a set, so that an object of a million keys costs no more than its length.
    private func place(of key: ByteText, in object: JSONObject, _ places: inout [ByteText: Int]) -> Int? {
        let fewKeys = 32
        if object.members.count < fewKeys { return object.members.firstIndex { $0.key == key } }
        if places.isEmpty { for (place, member) in object.members.enumerated() { places[member.key] = place } }
        if let place = places[key] { return place }
        places[key] = object.members.count
        return nil
    }

    private mutating func tooDeep() throws(JSONError) -> JSON {
        guard isForgiving else { throw error("nested deeper than \(JSON.depthLimit) levels") }
        let start = position
        try skip()
        return .string(ByteText(Array(bytes[start..<position])))
    }

    /// A key and the colon behind it.
    mutating func key() throws(JSONError) -> [UInt8] {
        guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { throw error("expected a key in quotes") }
        let key = try string()
        skipBlanks()
        guard take(UInt8(ascii: ":")) else { throw error("expected ':' after a key") }
        return key
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSON {
        guard depth <= JSON.depthLimit else { return try tooDeep() }
        position += 1
        var elements: [JSON] = []
        skipBlanks()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try value(depth: depth))
            skipBlanks()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "]")) else { throw error("expected ',' or ']' in an array") }
            return .array(elements)
        }
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    mutating func word(_ word: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        let length = word.utf8CodeUnitCount
        guard position + length <= bytes.count else { throw error("expected \(word)") }
        for index in 0..<length where bytes[position + index] != word.utf8Start[index] { throw error("expected \(word)") }
        position += length
        return value
    }

    mutating func number() throws(JSONError) -> JSON {
        let start = position
        _ = take(UInt8(ascii: "-"))
        let firstDigit = position
        guard digits() > 0 else { throw error("expected a digit") }
        if bytes[firstDigit] == UInt8(ascii: "0"), position - firstDigit > 1 {
            throw JSONError(problem: "a number must not begin with 0", offset: firstDigit)
        }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            guard digits() > 0 else { throw error("expected a digit after '.'") }
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            position += 1
            if position < bytes.count, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") { position += 1 }
            guard digits() > 0 else { throw error("expected a digit in the exponent") }
        }
        let text = bytes[start..<position]
        if isInteger, let value = Self.exactInteger(text) { return .integer(value) }
        return .number(ByteText(Array(text)))
    }

    private mutating func digits() -> Int {
        let start = position
        while position < bytes.count, bytes[position] &- UInt8(ascii: "0") < 10 { position += 1 }
        return position - start
    }

    /// The value of an integer that is written as `Int64` would write it; nil for `-0` and for what does not fit.
    private static func exactInteger(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Int64? {
        let isNegative = text.first == UInt8(ascii: "-")
        var value: Int64 = 0
        for digit in text.dropFirst(isNegative ? 1 : 0) {
            let (scaled, overflowed) = value.multipliedReportingOverflow(by: 10)
            let digitValue = Int64(digit - UInt8(ascii: "0"))
            let (next, overflowedToo) = isNegative ? scaled.subtractingReportingOverflow(digitValue) : scaled.addingReportingOverflow(digitValue)
            if overflowed || overflowedToo { return nil }
            value = next
        }
        return isNegative && value == 0 ? nil : value
    }

    mutating func string() throws(JSONError) -> [UInt8] {
        position += 1
        let start = position
        while case let end = bytes.endOfPlainText(from: position), end < bytes.count {
            position = end
            switch bytes[end] {
            case UInt8(ascii: "\""):
                position += 1
                return Array(bytes[start..<end])
            case UInt8(ascii: "\\"): return try escapedString(from: start)
            case 0x7F: position += 1
            default: throw error("control character in a string")
            }
        }
        position = bytes.count
        throw error("the text ends inside a string")
    }

    /// The slow half of ``string()``: everything before `position` is plain, at `position` stands the first backslash.
    private mutating func escapedString(from start: Int) throws(JSONError) -> [UInt8] {
        var result = Array(bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return result
            case UInt8(ascii: "\\"):
                position += 1
                try appendEscape(to: &result)
            case 0..<0x20:
                throw error("control character in a string")
            default:
                result.append(byte)
                position += 1
            }
        }
        throw error("the text ends inside a string")
    }

    mutating func appendEscape(to result: inout [UInt8]) throws(JSONError) {
        guard position < bytes.count else { throw error("the text ends inside an escape") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(byte)
        case UInt8(ascii: "b"): result.append(0x08)
        case UInt8(ascii: "f"): result.append(0x0C)
        case UInt8(ascii: "n"): result.append(0x0A)
        case UInt8(ascii: "r"): result.append(0x0D)
        case UInt8(ascii: "t"): result.append(0x09)
        case UInt8(ascii: "u"): Self.append(try unicodeEscape(), to: &result)
        default:
            position -= 1
            throw error("unknown escape")
        }
    }

    private mutating func unicodeEscape() throws(JSONError) -> UInt32 {
        let first = try hexQuad()
        guard 0xD800..<0xDC00 ~= first, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position + 1] == UInt8(ascii: "u")
        else { return Self.repaired(first) }
        let retreat = position
        position += 2
        let second = try hexQuad()
        guard 0xDC00..<0xE000 ~= second else {
            position = retreat
            return Self.repaired(first)
        }
        return 0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)
    }

    private static func repaired(_ unit: UInt32) -> UInt32 { 0xD800..<0xE000 ~= unit ? 0xFFFD : unit }

    private mutating func hexQuad() throws(JSONError) -> UInt32 {
        guard position + 4 <= bytes.count else { throw error("the text ends inside an escape") }
        var value: UInt32 = 0
        for _ in 0..<4 {
            let byte = bytes[position]
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw error("expected four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    /// UTF-8 of a code point.
    private static func append(_ value: UInt32, to result: inout [UInt8]) {
        switch value {
        case 0..<0x80: result.append(UInt8(value))
        case 0x80..<0x800: result += [UInt8(0xC0 | value >> 6), UInt8(0x80 | value & 0x3F)]
        case 0x800..<0x10000: result += [UInt8(0xE0 | value >> 12), UInt8(0x80 | value >> 6 & 0x3F), UInt8(0x80 | value & 0x3F)]
        default:
            result += [
                UInt8(0xF0 | value >> 18), UInt8(0x80 | value >> 12 & 0x3F), UInt8(0x80 | value >> 6 & 0x3F), UInt8(0x80 | value & 0x3F),
            ]
        }
    }
}
