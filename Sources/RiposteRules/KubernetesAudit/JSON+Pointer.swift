internal import RiposteCore

extension JSON {
    subscript(pointer pointer: StaticString) -> JSON? {
        self[pointer: UnsafeRawBufferPointer(start: pointer.utf8Start, count: pointer.utf8CodeUnitCount)]
    }

    /// What a JSON pointer (RFC 6901) points to. The stroke at its head may be missing, as with Falco. Nothing is allocated, for rules ask
    /// for `jevt.value[/stage]` of every event.
    subscript(pointer pointer: UnsafeRawBufferPointer) -> JSON? {
        var (value, rest) = (self, pointer[...])
        if rest.first == UInt8(ascii: "/") { rest = rest.dropFirst() } else if rest.isEmpty { return value }
        while true {
            let end = rest.firstIndex(of: UInt8(ascii: "/"))
            guard let next = value.member(rest[..<(end ?? rest.endIndex)]) else { return nil }
            guard let end else { return next }
            value = next
            rest = rest[(end + 1)...]
        }
    }

    private func member(_ token: Slice<UnsafeRawBufferPointer>) -> JSON? {
        switch self {
        case .object(let object): return object.members.first { token.isPointerToken(for: $0.key.bytes) }?.value
        case .array(let elements):
            guard let index = token.arrayIndex, index < elements.count else { return nil }
            return elements[index]
        default: return nil
        }
    }
}

extension Slice<UnsafeRawBufferPointer> {
    /// Whether it is `key` with `~` written as `~0` and `/` as `~1`.
    fileprivate func isPointerToken(for key: [UInt8]) -> Bool {
        guard contains(UInt8(ascii: "~")) else { return elementsEqual(key) }
        var (rest, keyRest) = (self, key[...])
        while var byte = rest.popFirst() {
            if byte == UInt8(ascii: "~"), let escaped = rest.first, escaped == UInt8(ascii: "0") || escaped == UInt8(ascii: "1") {
                byte = UInt8(ascii: escaped == UInt8(ascii: "0") ? "~" : "/")
                rest = rest.dropFirst()
            }
            guard keyRest.popFirst() == byte else { return false }
        }
        return keyRest.isEmpty
    }

    /// Digits without a zero before others.
    fileprivate var arrayIndex: Int? {
        guard let first, count <= 9, count == 1 || first != UInt8(ascii: "0") else { return nil }
        var index = 0
        for byte in self {
            guard byte &- UInt8(ascii: "0") < 10 else { return nil }
            index = index * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return index
    }
}
