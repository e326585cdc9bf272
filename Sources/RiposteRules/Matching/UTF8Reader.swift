/// A text's characters one by one. What is no UTF-8 comes out as U+FFFD, one for each beginning of a character that is not gone on with, and one
/// for each byte that begins none: as Unicode recommends and `String(decoding:as:)` has it.
struct UTF8Reader {
    static let replacement: UInt32 = 0xFFFD

    private(set) var cursor: UnsafeRawPointer
    let end: UnsafeRawPointer

    init(_ text: UnsafeRawBufferPointer) {
        // Of an empty text without a place nothing is read.
        cursor = text.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
        end = cursor + text.count
    }

    @inline(__always) mutating func next() -> UInt32? {
        guard cursor < end else { return nil }
        let byte = cursor.load8(at: 0)
        if byte < 0x80 {
            cursor += 1
            return UInt32(byte)
        }
        let (scalar, count) = Self.scalar(at: cursor, end)
        cursor += count
        return scalar
    }

    /// The character that begins with a byte from 0x80 on, and its bytes.
    static func scalar(at start: UnsafeRawPointer, _ end: UnsafeRawPointer) -> (UInt32, Int) {
        let lead = start.load8(at: 0)
        let left = end - start
        var least: UInt8 = 0x80
        var most: UInt8 = 0xBF
        let count: Int
        switch lead {
        case 0xC2...0xDF: count = 2
        case 0xE0...0xEF:
            count = 3
            if lead == 0xE0 { least = 0xA0 }
            if lead == 0xED { most = 0x9F }
        case 0xF0...0xF4:
            count = 4
            if lead == 0xF0 { least = 0x90 }
            if lead == 0xF4 { most = 0x8F }
        default: return (replacement, 1)
        }
        guard left > 1, least <= start.load8(at: 1), start.load8(at: 1) <= most else { return (replacement, 1) }
        let second = UInt32(start.load8(at: 1) & 0x3F)
        if count == 2 { return (UInt32(lead & 0x1F) << 6 | second, 2) }
        guard left > 2, start.load8(at: 2) & 0xC0 == 0x80 else { return (replacement, 2) }
        let third = UInt32(start.load8(at: 2) & 0x3F)
        if count == 3 { return (UInt32(lead & 0x0F) << 12 | second << 6 | third, 3) }
        guard left > 3, start.load8(at: 3) & 0xC0 == 0x80 else { return (replacement, 3) }
        return (UInt32(lead & 0x07) << 18 | second << 12 | third << 6 | UInt32(start.load8(at: 3) & 0x3F), 4)
    }
}
