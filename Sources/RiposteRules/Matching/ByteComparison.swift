/// Comparing and hashing of bytes where they lie, eight at a time: the texts of events are short, and a call of memcmp costs more than it does.

extension UnsafeRawPointer {
    @inline(__always) func load64(at offset: Int) -> UInt64 { loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
    @inline(__always) func load32(at offset: Int) -> UInt32 { loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
    @inline(__always) func load16(at offset: Int) -> UInt16 { loadUnaligned(fromByteOffset: offset, as: UInt16.self) }
    @inline(__always) func load8(at offset: Int) -> UInt8 { load(fromByteOffset: offset, as: UInt8.self) }

    /// Whether both places begin with the same `count` bytes. Reads none behind them.
    @inline(__always) func hasSameBytes(as other: UnsafeRawPointer, count: Int) -> Bool {
        if count >= 8 {
            var offset = 0
            while offset < count &- 8 {
                if load64(at: offset) != other.load64(at: offset) { return false }
                offset &+= 8
            }
            return load64(at: count &- 8) == other.load64(at: count &- 8)
        }
        if count >= 4 { return load32(at: 0) == other.load32(at: 0) && load32(at: count &- 4) == other.load32(at: count &- 4) }
        if count >= 2 { return load16(at: 0) == other.load16(at: 0) && load16(at: count &- 2) == other.load16(at: count &- 2) }
        return count == 0 || load8(at: 0) == other.load8(at: 0)
    }

    /// A hash in the manner of wyhash: quick, well mixed, the same in every run. Whoever writes a text can make it collide with a literal,
    /// which costs one comparison; the literals are ours.
    @inline(__always) func hash(count: Int) -> UInt64 {
        var seed = 0xA076_1D64_78BD_642F ^ UInt64(truncatingIfNeeded: count)
        var first: UInt64 = 0
        var second: UInt64 = 0
        if count > 16 {
            var offset = 0
            while offset < count &- 16 {
                seed = Self.folded(load64(at: offset) ^ 0xE703_7ED1_A0B4_28DB, load64(at: offset &+ 8) ^ seed)
                offset &+= 16
            }
            first = load64(at: count &- 16)
            second = load64(at: count &- 8)
        } else if count >= 8 {
            first = load64(at: 0)
            second = load64(at: count &- 8)
        } else if count >= 4 {
            first = UInt64(load32(at: 0))
            second = UInt64(load32(at: count &- 4))
        } else if count > 0 {
            first = UInt64(load8(at: 0)) << 16 | UInt64(load8(at: count >> 1)) << 8 | UInt64(load8(at: count &- 1))
        }
        let mixed = Self.folded(first ^ 0xE703_7ED1_A0B4_28DB, second ^ seed)
        return Self.folded(mixed ^ 0x8EBC_6AF0_9C88_C6E3, 0x5899_65CC_7537_4CC3 ^ UInt64(truncatingIfNeeded: count))
    }

    @inline(__always) private static func folded(_ first: UInt64, _ second: UInt64) -> UInt64 {
        let (high, low) = first.multipliedFullWidth(by: second)
        return high ^ low
    }
}

/// A set of byte values that a register or two can answer from.
struct ByteSet: BitwiseCopyable, Equatable, Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    init() {}

    init(_ ranges: some Sequence<ClosedRange<UInt8>>) {
        self.init()
        for range in ranges { for byte in range { insert(byte) } }
    }

    mutating func insert(_ byte: UInt8) {
        let bit = 1 as UInt64 &<< UInt64(byte & 63)
        switch byte >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }

    @inline(__always) func contains(_ byte: UInt8) -> Bool {
        let low = byte & 64 == 0 ? words.0 : words.1
        let high = byte & 64 == 0 ? words.2 : words.3
        return (byte & 128 == 0 ? low : high) &>> UInt64(byte & 63) & 1 != 0
    }

    static func == (left: ByteSet, right: ByteSet) -> Bool { left.words == right.words }
}
