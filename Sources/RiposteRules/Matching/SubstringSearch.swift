/// Whether a text contains one literal. Two bytes of the literal, the least common ones, are looked for at sixteen places at a time, and only
/// where both are is the rest compared. A text made of near misses is given up on in time and searched by Knuth, Morris and Pratt, so that
/// every text costs its length and no more.
package final class SubstringSearch: Sendable {
    /// A byte of the literal that is looked for.
    private struct Probe: BitwiseCopyable {
        let place: Int
        /// The byte eight times, and what is set in the bytes of the text before they are compared with it: the bit that makes a letter small, if
        /// case is folded.
        let bytes: UInt64
        let folds: UInt64

        init(_ place: Int, in literal: [UInt8], foldsCase: Bool) {
            let byte = literal.isEmpty ? 0 : literal[place]
            self.place = place
            bytes = 0x0101_0101_0101_0101 &* UInt64(byte)
            folds = foldsCase && byte.isLetter ? 0x2020_2020_2020_2020 : 0
        }

        /// The highest bit of each byte of the text that is the one looked for, and perhaps of the byte behind such a one.
        @inline(__always) func found(in text: UInt64) -> UInt64 {
            let difference = (text | folds) ^ bytes
            return (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
        }

        @inline(__always) func found(in text: SIMD2<UInt64>) -> SIMD2<UInt64> {
            let difference = (text | SIMD2(repeating: folds)) ^ SIMD2(repeating: bytes)
            return (difference &- SIMD2(repeating: 0x0101_0101_0101_0101)) & ~difference & SIMD2(repeating: 0x8080_8080_8080_8080)
        }
    }

    private let literal: FixedTable<UInt8>
    /// How much of the literal still holds where the next byte of the text does not go on with it (the failure function).
    private let fallbacks: FixedTable<UInt32>
    private let foldsCase: Bool
    private let first: Probe
    private let second: Probe

    package init(_ literal: [UInt8], foldsCase: Bool = false) {
        let literal = foldsCase ? literal.map(\.asciiLowercased) : literal
        let places = literal.indices.sorted { (Self.commonness(literal[$0]), $0) < (Self.commonness(literal[$1]), $1) }
        first = Probe(places.first ?? 0, in: literal, foldsCase: foldsCase)
        second = Probe(places.first { literal[$0] != literal[places[0]] } ?? places.last ?? 0, in: literal, foldsCase: foldsCase)
        self.foldsCase = foldsCase
        self.literal = FixedTable(literal)
        fallbacks = FixedTable(Self.fallbacks(literal))
    }

    package func isContained(in text: UnsafeRawBufferPointer) -> Bool {
        let places = text.count - literal.count + 1
        guard literal.count > 0 else { return true }
        guard places > 0, let start = text.baseAddress else { return false }
        let (first, second) = (first, second)
        // Bytes that may be compared in vain before the text counts as hostile.
        var patience = 256 &+ places &* 2
        var place = 0
        while place &+ 16 <= places {
            let found =
                first.found(in: (start + place).loadUnaligned(fromByteOffset: first.place, as: SIMD2<UInt64>.self))
                & second.found(in: (start + place).loadUnaligned(fromByteOffset: second.place, as: SIMD2<UInt64>.self))
            if found[0] | found[1] != 0 {
                if isAtOne(of: found[0], start + place, &patience) || isAtOne(of: found[1], start + place + 8, &patience) { return true }
                if patience < 0 { return searchStrictly(start + place + 16, text.count &- place &- 16) }
            }
            place &+= 16
        }
        while place < places, places >= 8 {
            // The last eight places again, rather than what is left one by one.
            place = min(place, places &- 8)
            let found = first.found(in: (start + place).load64(at: first.place)) & second.found(in: (start + place).load64(at: second.place))
            if found != 0, isAtOne(of: found, start + place, &patience) { return true }
            place &+= 8
        }
        while place < places {
            if isHere(start + place) { return true }
            place &+= 1
        }
        return false
    }

    /// Whether the literal is where one of the bits is.
    private func isAtOne(of found: UInt64, _ start: UnsafeRawPointer, _ patience: inout Int) -> Bool {
        var found = found.littleEndian
        while found != 0 {
            if isHere(start + found.trailingZeroBitCount >> 3) { return true }
            patience &-= literal.count
            found &= found &- 1
        }
        return false
    }

    @inline(__always) private func isHere(_ text: UnsafeRawPointer) -> Bool {
        guard foldsCase else { return text.hasSameBytes(as: UnsafeRawPointer(literal.base), count: literal.count) }
        var place = 0
        while place < literal.count {
            if text.load8(at: place).asciiLowercased != literal[place] { return false }
            place &+= 1
        }
        return true
    }

    private func searchStrictly(_ start: UnsafeRawPointer, _ end: Int) -> Bool {
        var held = 0
        var place = 0
        while place < end {
            let byte = foldsCase ? start.load8(at: place).asciiLowercased : start.load8(at: place)
            while held > 0, literal[held] != byte { held = Int(fallbacks[held &- 1]) }
            if literal[held] == byte { held &+= 1 }
            if held == literal.count { return true }
            place &+= 1
        }
        return false
    }

    private static func fallbacks(_ literal: [UInt8]) -> [UInt32] {
        var fallbacks = [UInt32](repeating: 0, count: literal.count)
        var held = 0
        for place in literal.indices.dropFirst() {
            while held > 0, literal[held] != literal[place] { held = Int(fallbacks[held - 1]) }
            if literal[held] == literal[place] { held += 1 }
            fallbacks[place] = UInt32(held)
        }
        return fallbacks
    }

    /// A guess, from paths and command lines.
    private static func commonness(_ byte: UInt8) -> Int {
        switch byte {
        case UInt8(ascii: "/"), UInt8(ascii: " "), UInt8(ascii: "e"): 6
        case UInt8(ascii: "a"), UInt8(ascii: "i"), UInt8(ascii: "n"), UInt8(ascii: "o"), UInt8(ascii: "r"), UInt8(ascii: "s"), UInt8(ascii: "t"), 0: 5
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "c"), UInt8(ascii: "d"), UInt8(ascii: "l"), UInt8(ascii: "m"), UInt8(ascii: "p"), UInt8(ascii: "u"): 4
        case 0x61...0x7A: 3
        case 0x30...0x39: 2
        case 0x20...0x7E: 1
        default: 0
        }
    }
}
