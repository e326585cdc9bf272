/// The query of a request's URI, read as the API server reads it: a parameter that is not well-formed is none, whatever the others are. So
/// nobody hides `command=` behind a broken escape (Falco's plugin gives up on the whole query).
enum RequestQuery {
    /// The first value of a parameter, decoded.
    static func firstValue(of key: UnsafeRawBufferPointer, in uri: [UInt8]) -> [UInt8]? {
        guard let start = uri.firstIndex(of: UInt8(ascii: "?")) else { return nil }
        for pair in uri[(start + 1)...].split(separator: UInt8(ascii: "&")) where !pair.contains(UInt8(ascii: ";")) {
            let equals = pair.firstIndex(of: UInt8(ascii: "="))
            guard let name = decoded(pair[..<(equals ?? pair.endIndex)]), name.elementsEqual(key) else { continue }
            guard let equals else { return [] }
            if let value = decoded(pair[(equals + 1)...]) { return value }
        }
        return nil
    }

    /// Nil where a `%` is followed by anything but two hexadecimal digits.
    private static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var (result, rest) = ([UInt8](), text)
        result.reserveCapacity(text.count)
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): result.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst()?.hexDigit, let low = rest.popFirst()?.hexDigit else { return nil }
                result.append(high << 4 | low)
            default: result.append(byte)
            }
        }
        return result
    }
}

extension UInt8 {
    fileprivate var hexDigit: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
