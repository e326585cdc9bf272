extension UnsafeBufferPointer<UInt8> {
    /// The first place from `start` on where a byte stands that JSON cannot have in a string as it is, or that ends one: a quote, a backslash, a control
    /// character; `count` where there is none. Eight bytes at a time: strings are most of what is read and written here.
    @inline(__always)
    func endOfPlainText(from start: Int) -> Int {
        guard let base = baseAddress else { return count }
        var place = start
        while place + 8 <= count {
            let word = UInt64(littleEndian: UnsafeRawPointer(base + place).loadUnaligned(as: UInt64.self))
            let special = Self.below(word, 0x20) | Self.equal(word, UInt8(ascii: "\"")) | Self.equal(word, UInt8(ascii: "\\")) | Self.equal(word, 0x7F)
            if special != 0 { return place + special.trailingZeroBitCount / 8 }
            place += 8
        }
        while place < count {
            switch self[place] {
            case 0..<0x20, UInt8(ascii: "\""), UInt8(ascii: "\\"), 0x7F: return place
            default: place += 1
            }
        }
        return count
    }

    /// Is no byte above 0x7F?
    var isASCII: Bool {
        var high: UInt8 = 0
        for byte in self { high |= byte }
        return high < 0x80
    }

    private static var ones: UInt64 { 0x0101_0101_0101_0101 }

    /// The top bit of the first byte that is less than `limit` (at most 0x80). Bits above that one may be wrong, by what is borrowed.
    @inline(__always)
    private static func below(_ word: UInt64, _ limit: UInt8) -> UInt64 { (word &- ones &* UInt64(limit)) & ~word & (ones << 7) }

    @inline(__always)
    private static func equal(_ word: UInt64, _ byte: UInt8) -> UInt64 { below(word ^ (ones &* UInt64(byte)), 1) }
}
