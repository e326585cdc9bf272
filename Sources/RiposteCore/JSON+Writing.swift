extension JSON {
    /// This value on one line without blanks, always valid UTF-8: what is not is replaced by U+FFFD, so keep the original bytes
    /// where they are evidence.
    package var line: String { String(decoding: bytes, as: UTF8.self) }

    /// The bytes of ``line``, without the detour over a `String`.
    package var bytes: [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(1024)
        write(to: &result)
        return result
    }

    package func write(to result: inout [UInt8]) {
        switch self {
        case .null: result.append(ascii: "null")
        case .bool(let value): result.append(ascii: value ? "true" : "false")
        case .integer(let value): result.append(contentsOf: String(value).utf8)
        case .number(let text): result.append(contentsOf: text.bytes)
        case .string(let text): JSON.write(text, to: &result)
        case .array(let elements):
            result.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { result.append(UInt8(ascii: ",")) }
                element.write(to: &result)
            }
            result.append(UInt8(ascii: "]"))
        case .object(let object): object.write(to: &result)
        }
    }

    fileprivate static func write(_ text: ByteText, to result: inout [UInt8]) {
        let (isASCII, isPlain) = text.bytes.withUnsafeBufferPointer { bytes in
            // Without branches, so that it is done for many bytes at once: most texts are plain.
            var (high, special): (UInt8, UInt8) = (0, 0)
            for byte in bytes {
                high |= byte
                special |= (byte < 0x20 ? 1 : 0) | (byte == UInt8(ascii: "\"") ? 1 : 0) | (byte == UInt8(ascii: "\\") ? 1 : 0) | (byte == 0x7F ? 1 : 0)
            }
            return (high < 0x80, special == 0)
        }
        let bytes = isASCII || text.valid != nil ? text.bytes : Array(text.repaired.utf8)
        result.append(UInt8(ascii: "\""))
        if isPlain { result.append(contentsOf: bytes) } else { writeEscaped(bytes, to: &result) }
        result.append(UInt8(ascii: "\""))
    }

    private static func isSpecial(_ byte: UInt8) -> Bool { (byte < 0x20) || (byte == UInt8(ascii: "\"")) || (byte == UInt8(ascii: "\\")) || (byte == 0x7F) }

    private static func writeEscaped(_ bytes: [UInt8], to result: inout [UInt8]) {
        var plainFrom = 0
        for (index, byte) in bytes.enumerated() where isSpecial(byte) {
            result.append(contentsOf: bytes[plainFrom..<index])
            writeEscape(of: byte, to: &result)
            plainFrom = index + 1
        }
        result.append(contentsOf: bytes[plainFrom...])
    }

    private static func writeEscape(of byte: UInt8, to result: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\""): result.append(ascii: "\\\"")
        case UInt8(ascii: "\\"): result.append(ascii: "\\\\")
        case 0x08: result.append(ascii: "\\b")
        case 0x09: result.append(ascii: "\\t")
        case 0x0A: result.append(ascii: "\\n")
        case 0x0C: result.append(ascii: "\\f")
        case 0x0D: result.append(ascii: "\\r")
        default:
            let digits: StaticString = "0123456789abcdef"
            result.append(ascii: "\\u00")
            result.append(digits.utf8Start[Int(byte >> 4)])
            result.append(digits.utf8Start[Int(byte & 15)])
        }
    }
}

extension JSONObject {
    package func write(to result: inout [UInt8]) {
        result.append(UInt8(ascii: "{"))
        for (index, member) in members.enumerated() {
            if index > 0 { result.append(UInt8(ascii: ",")) }
            JSON.write(member.key, to: &result)
            result.append(UInt8(ascii: ":"))
            member.value.write(to: &result)
        }
        result.append(UInt8(ascii: "}"))
    }

    /// The object's members sorted by key at every level: one spelling for equal values, for digests.
    package var canonical: JSONObject {
        JSONObject(members.map { Member(key: $0.key, value: $0.value.canonical) }.sorted { $0.key < $1.key })
    }
}

extension JSON {
    /// This value with the members of every object sorted by key.
    package var canonical: JSON {
        switch self {
        case .object(let object): .object(object.canonical)
        case .array(let elements): .array(elements.map(\.canonical))
        default: self
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(ascii text: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
