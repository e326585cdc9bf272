/// Whether a text contains one literal. Two bytes of the literal, the least common ones, are looked for at sixteen places at a time, and only
/// where both are is the rest compared. A text made of near misses is given up on in time and searched by Knuth, Morris and Pratt, so that
/// every text costs its length and no more.
package final class SubstringSearch: Sendable {
    private let literal: FixedTable<UInt8>
    /// How much of the literal still holds where the next byte of the text does not go on with it (the failure function).
    private let fallbacks: FixedTable<UInt32>
    private let foldsCase: Bool
    /// Places in the literal of the two bytes that are looked for, and what is set in a byte of the text before it is compared with them: the bit
    /// that makes a letter small, if case is folded.
    private let firstPlace: Int
    private let secondPlace: Int
    private let firstFold: UInt8
    private let secondFold: UInt8

    package init(_ literal: [UInt8], foldsCase: Bool = false) {
        let literal = foldsCase ? literal.map(\.asciiLowercased) : literal
        self.foldsCase = foldsCase
        let places = literal.indices.sorted { (Self.commonness(literal[$0]), $0) < (Self.commonness(literal[$1]), $1) }
        firstPlace = places.first ?? 0
        secondPlace = places.first { literal[$0] != literal[places[0]] } ?? places.last ?? 0
        firstFold = foldsCase && !literal.isEmpty ? Self.fold(literal[firstPlace]) : 0
        secondFold = foldsCase && !literal.isEmpty ? Self.fold(literal[secondPlace]) : 0
        self.literal = FixedTable(literal)
        fallbacks = FixedTable(Self.fallbacks(literal))
    }

    package func isContained(in text: UnsafeRawBufferPointer) -> Bool {
        let places = text.count - literal.count + 1
        guard literal.count > 0 else { return true }
        guard places > 0, let start = text.baseAddress else { return false }
        return foldsCase ? search(start, places, foldsCase: true) : search(start, places, foldsCase: false)
    }

    @inline(__always) private func search(_ start: UnsafeRawPointer, _ places: Int, foldsCase: Bool) -> Bool {
        let first = start + firstPlace
        let second = start + secondPlace
        let (firstByte, secondByte) = (literal[firstPlace], literal[secondPlace])
        // Bytes that may be compared in vain before the text counts as hostile.
        var patience = 256 &+ places &* 2
        var place = 0
        while place &+ 16 <= places {
            var found = Self.equal(first + place, firstByte, firstFold, foldsCase) & Self.equal(second + place, secondByte, secondFold, foldsCase)
            while found != SIMD2(0, 0) {
                let lane = found[0] != 0 ? 0 : 1
                let byte = found[lane].trailingZeroBitCount >> 3
                if isHere(start + place + lane &* 8 + byte, foldsCase) { return true }
                patience &-= literal.count
                if patience < 0 { return searchStrictly(start + place, places &- place, foldsCase) }
                found[lane] &= ~(0xFF &<< UInt64(truncatingIfNeeded: byte &* 8))
            }
            place &+= 16
        }
        while place < places {
            if (first + place).load8(at: 0) | (foldsCase ? firstFold : 0) == firstByte, (second + place).load8(at: 0) | (foldsCase ? secondFold : 0) == secondByte,
                isHere(start + place, foldsCase)
            {
                return true
            }
            place &+= 1
        }
        return false
    }

    /// 0xFF in each of the sixteen bytes that is the one looked for, the first in the lowest place.
    @inline(__always) private static func equal(_ text: UnsafeRawPointer, _ byte: UInt8, _ fold: UInt8, _ foldsCase: Bool) -> SIMD2<UInt64> {
        var bytes = text.loadUnaligned(as: SIMD16<UInt8>.self)
        if foldsCase { bytes |= SIMD16(repeating: fold) }
        let words = unsafeBitCast(bytes .== SIMD16(repeating: byte), to: SIMD2<UInt64>.self)
        return SIMD2(words[0].littleEndian, words[1].littleEndian)
    }

    @inline(__always) private func isHere(_ text: UnsafeRawPointer, _ foldsCase: Bool) -> Bool {
        guard foldsCase else { return text.hasSameBytes(as: UnsafeRawPointer(literal.base), count: literal.count) }
        var place = 0
        while place < literal.count {
            if text.load8(at: place).asciiLowercased != literal[place] { return false }
            place &+= 1
        }
        return true
    }

    private func searchStrictly(_ start: UnsafeRawPointer, _ places: Int, _ foldsCase: Bool) -> Bool {
        let end = places &+ literal.count &- 1
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

    private static func fold(_ byte: UInt8) -> UInt8 { 0x61...0x7A ~= byte ? 0x20 : 0 }

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
