/// A pattern of fnmatch(3) without flags: `*` and `?` match a slash and a leading dot too, `[a-z]` and `[!x]` are sets, a backslash takes the
/// next character as it is. Bytes, not characters. Linear in practice: after a mismatch only the last `*` is widened.
package struct GlobPattern: Sendable, Equatable {
    private enum Element: Sendable, Equatable {
        case byte(UInt8)
        case any
        case star
        case set([ClosedRange<UInt8>], negated: Bool)
    }

    private let elements: [Element]
    private let foldsCase: Bool

    package init(_ pattern: [UInt8], foldsCase: Bool = false) {
        self.foldsCase = foldsCase
        let pattern = foldsCase ? pattern.map(\.asciiLowercased) : pattern
        var elements: [Element] = []
        var position = 0
        while position < pattern.count {
            let byte = pattern[position]
            position += 1
            switch byte {
            case UInt8(ascii: "*"): if elements.last != .star { elements.append(.star) }
            case UInt8(ascii: "?"): elements.append(.any)
            case UInt8(ascii: "\\") where position < pattern.count:
                elements.append(.byte(pattern[position]))
                position += 1
            case UInt8(ascii: "["): elements.append(Self.set(in: pattern, &position) ?? .byte(byte))
            default: elements.append(.byte(byte))
            }
        }
        self.elements = elements
    }

    package func matches(_ text: [UInt8]) -> Bool { matches(text[...]) }

    package func matches(_ text: ArraySlice<UInt8>) -> Bool {
        var place = 0
        var index = text.startIndex
        var retry: (place: Int, index: Int)?
        while index < text.endIndex {
            if place < elements.count, elements[place] == .star {
                retry = (place + 1, index)
                place += 1
            } else if place < elements.count, accepts(elements[place], text[index]) {
                place += 1
                index += 1
            } else if let last = retry {
                retry = (last.place, last.index + 1)
                (place, index) = (last.place, last.index + 1)
            } else {
                return false
            }
        }
        return elements[place...].allSatisfy { $0 == .star }
    }

    private func accepts(_ element: Element, _ byte: UInt8) -> Bool {
        let byte = foldsCase ? byte.asciiLowercased : byte
        switch element {
        case .byte(let expected): return byte == expected
        case .any: return true
        case .set(let ranges, let negated): return ranges.contains { $0.contains(byte) } != negated
        case .star: return false
        }
    }

    /// The set whose `[` was just read; nil, and nothing consumed, where it is never closed.
    private static func set(in pattern: [UInt8], _ position: inout Int) -> Element? {
        var index = position
        let negated = index < pattern.count && (pattern[index] == UInt8(ascii: "!") || pattern[index] == UInt8(ascii: "^"))
        if negated { index += 1 }
        var ranges: [ClosedRange<UInt8>] = []
        let first = index
        while index < pattern.count {
            var low = pattern[index]
            if low == UInt8(ascii: "]"), index > first {
                position = index + 1
                return .set(ranges, negated: negated)
            }
            if low == UInt8(ascii: "\\"), index + 1 < pattern.count {
                index += 1
                low = pattern[index]
            }
            if index + 2 < pattern.count, pattern[index + 1] == UInt8(ascii: "-"), pattern[index + 2] != UInt8(ascii: "]") {
                let high = pattern[index + 2]
                if low <= high { ranges.append(low...high) }
                index += 3
            } else {
                ranges.append(low...low)
                index += 1
            }
        }
        return nil
    }
}

extension UInt8 {
    var asciiLowercased: UInt8 { 0x41...0x5A ~= self ? self | 0x20 : self }
    var asciiUppercased: UInt8 { 0x61...0x7A ~= self ? self & 0xDF : self }
}
