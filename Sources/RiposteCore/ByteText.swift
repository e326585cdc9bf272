/// Text as somebody else wrote it: bytes that are probably UTF-8.
///
/// Command lines, file names and user names are chosen by whoever attacks, so nothing here assumes that they are valid, printable or
/// normalised. Comparison and hashing are by byte, as in Falco's rules language: Swift's `String` would call two different
/// spellings of "é" equal, which is a way around a rule. Use ``repaired`` where a `String` is needed and ``shown`` wherever a person
/// will see it.
package struct ByteText: Hashable, Sendable, Comparable {
    package var bytes: [UInt8]

    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    package init(_ string: String) { bytes = Array(string.utf8) }

    package var isEmpty: Bool { bytes.isEmpty }

    /// The text as a `String`, with U+FFFD in place of what is not UTF-8.
    package var repaired: String { String(decoding: bytes, as: UTF8.self) }

    /// The text as a `String` if it is valid UTF-8, else nil.
    package var valid: String? { String(validating: bytes, as: UTF8.self) }

    /// The text made safe to put on a terminal or into a log line; see ``Swift/String/escapedForDisplay``.
    package var shown: String { (valid ?? escapedInvalid).escapedForDisplay }

    /// Cut with `…` to so many bytes, where it is longer: between scalars, as a single character may be as long as a book.
    package func cut(toBytes limit: Int) -> ByteText {
        let mark = Array("…".utf8)
        guard bytes.count > limit, limit >= mark.count else { return self }
        var end = limit - mark.count
        // A scalar's further bytes are three at most; what is no UTF-8 may have more of them.
        for _ in 1...3 where end > 0 && bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return ByteText(bytes[..<end] + mark)
    }

    package static func < (left: ByteText, right: ByteText) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }

    /// Bytes that are not UTF-8 written as `\xHH`, valid runs left as they are.
    private var escapedInvalid: String {
        var result = ""
        var rest = bytes[...]
        while !rest.isEmpty {
            if let (scalar, length) = UTF8.leadingScalar(of: rest) {
                result.unicodeScalars.append(scalar)
                rest = rest.dropFirst(length)
            } else {
                result += rest[rest.startIndex].hexEscape
                rest = rest.dropFirst()
            }
        }
        return result
    }
}

extension ByteText: ExpressibleByStringLiteral {
    package init(stringLiteral value: String) { self.init(value) }
}

extension ByteText: CustomStringConvertible {
    /// Escaped: whatever interpolates a text by accident still prints one harmless line.
    package var description: String { shown }
}

extension String {
    /// This text on one line with nothing in it that a terminal, a log collector or a reader's eye would take for something else: control
    /// characters, line separators, bidirectional overrides and invisible format characters are written as escapes.
    package var escapedForDisplay: String {
        guard unicodeScalars.contains(where: \.needsEscaping) else { return self }
        var result = ""
        for scalar in unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.needsEscaping:
                result += scalar.value < 0x80 ? UInt8(scalar.value).hexEscape : "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

extension String {
    /// Of a text of JSON: the same value, with what acts on terminals, or turns the direction of what stands behind it, as an escape of JSON's. What is below U+0020 is that
    /// already.
    package var escapedForDisplayInJSON: String {
        guard unicodeScalars.contains(where: { $0.value >= 0x7F && $0.needsEscaping }) else { return self }
        var result = ""
        for scalar in unicodeScalars {
            guard scalar.value >= 0x7F, scalar.needsEscaping else {
                result.unicodeScalars.append(scalar)
                continue
            }
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return result
    }
}

extension Unicode.Scalar {
    fileprivate var needsEscaping: Bool {
        if value < 0x7F { return value < 0x20 }
        if value < 0xAD { return value < 0xA0 }
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: return true
        default: return false
        }
    }
}

extension UInt8 {
    fileprivate var hexEscape: String {
        let digits = String(self, radix: 16)
        return digits.count == 1 ? "\\x0\(digits)" : "\\x\(digits)"
    }
}

extension UTF8 {
    /// The scalar at the head of `bytes` and its length, or nil where they do not begin with a well-formed one.
    fileprivate static func leadingScalar(of bytes: ArraySlice<UInt8>) -> (Unicode.Scalar, Int)? {
        guard let first = bytes.first else { return nil }
        let length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0
        guard length > 0, bytes.count >= length, let text = String(validating: bytes.prefix(length), as: UTF8.self) else { return nil }
        return text.unicodeScalars.first.map { ($0, length) }
    }
}
