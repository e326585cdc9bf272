/// Which of many literals a text is equal to: one look at a hash table, however many there are. Of equal literals the first is found.
package final class LiteralClasses: @unchecked Sendable {
    // Any thread may ask: nothing changes after init.

    private struct Slot: BitwiseCopyable {
        var fingerprint: UInt32 = 0
        /// -1 where the slot is free.
        var literal: Int32 = -1
    }

    private struct Extent: BitwiseCopyable {
        let offset: Int
        let count: Int
    }

    /// What most texts are turned away by, before they are hashed.
    private let firstBytes: ByteSet
    /// Bit n for the length n; the last bit for 63 and all above.
    private let lengths: UInt64
    private let mask: Int
    private let slots: FixedTable<Slot>
    private let extents: FixedTable<Extent>
    private let bytes: FixedTable<UInt8>
    private let emptyLiteral: Int32

    package let count: Int

    package init(_ literals: [[UInt8]]) {
        count = literals.count
        var firstBytes = ByteSet()
        var lengths: UInt64 = 0
        var extents: [Extent] = []
        var offset = 0
        for literal in literals {
            if let first = literal.first { firstBytes.insert(first) }
            lengths |= Self.lengthBit(literal.count)
            extents.append(Extent(offset: offset, count: literal.count))
            offset += literal.count
        }
        var capacity = 2
        while capacity < literals.count * 2 { capacity *= 2 }
        var slots = [Slot](repeating: Slot(), count: capacity)
        for (index, literal) in literals.enumerated() where !literal.isEmpty {
            let hash = literal.withUnsafeBytes { $0.baseAddress.unsafelyUnwrapped.hash(count: $0.count) }
            let fingerprint = UInt32(truncatingIfNeeded: hash >> 32)
            var place = Int(truncatingIfNeeded: hash) & (capacity - 1)
            while slots[place].literal >= 0 {
                if slots[place].fingerprint == fingerprint, literals[Int(slots[place].literal)] == literal { break }
                place = (place + 1) & (capacity - 1)
            }
            if slots[place].literal < 0 { slots[place] = Slot(fingerprint: fingerprint, literal: Int32(index)) }
        }
        self.firstBytes = firstBytes
        self.lengths = lengths
        mask = capacity - 1
        self.slots = FixedTable(slots)
        self.extents = FixedTable(extents)
        bytes = FixedTable(Array(literals.joined()))
        emptyLiteral = literals.firstIndex { $0.isEmpty }.map { Int32($0) } ?? -1
    }

    /// The index of the literal that is equal to the text, or -1.
    package func find(_ text: UnsafeRawBufferPointer) -> Int32 {
        guard lengths & Self.lengthBit(text.count) != 0 else { return -1 }
        guard let start = text.baseAddress, text.count > 0 else { return emptyLiteral }
        guard firstBytes.contains(start.load8(at: 0)) else { return -1 }
        let hash = start.hash(count: text.count)
        let fingerprint = UInt32(truncatingIfNeeded: hash >> 32)
        var place = Int(truncatingIfNeeded: hash) & mask
        while true {
            let slot = slots[place]
            if slot.literal < 0 { return -1 }
            if slot.fingerprint == fingerprint {
                let extent = extents[Int(slot.literal)]
                if extent.count == text.count, start.hasSameBytes(as: UnsafeRawPointer(bytes.base + extent.offset), count: text.count) { return slot.literal }
            }
            place = (place &+ 1) & mask
        }
    }

    @inline(__always) private static func lengthBit(_ length: Int) -> UInt64 { 1 as UInt64 &<< UInt64(truncatingIfNeeded: min(length, 63)) }
}
