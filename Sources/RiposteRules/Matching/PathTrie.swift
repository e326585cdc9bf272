/// Which of many paths a text lies at or below, by whole components: Falco's `pmatch` for paths without `*`, `?` and `[`. Slashes at the ends
/// and repeated ones count for nothing, on both sides; `/` and the empty path lie above everything. All that the text lies below are the
/// longest and that one's parents.
package final class PathTrie: Sendable {
    private static let slash = UInt8(ascii: "/")

    /// Over paths with one slash behind each component and none elsewhere, `etc/ssh/`, so that what a path begins with lies above it.
    private let trie: RadixTrie

    package init(_ literals: [[UInt8]]) { trie = RadixTrie(literals.map { $0.split(separator: Self.slash).flatMap { $0 + [Self.slash] } }) }

    package var count: Int { trie.count }

    /// The index of the longest path that the text lies at or below, or -1.
    package func find(_ text: UnsafeRawBufferPointer) -> Int32 {
        var node = trie.root
        var best = node.pointee.literal
        guard let start = text.baseAddress else { return best }
        var reader = Reader(cursor: start, end: start + text.count)
        reader.skipSlashes()
        while let byte = reader.next(), let child = trie.child(of: node, by: byte) {
            node = child
            guard reader.goesOn(with: trie.label(of: node), Int(node.pointee.labelCount)) else { return best }
            if node.pointee.literal >= 0 { best = node.pointee.literal }
        }
        return best
    }

    /// The next shorter path above this one (or an equal one, where a path was given twice), or -1.
    package func parent(_ literal: Int32) -> Int32 { trie.parent(literal) }

    /// The text as if it were written as the literals are.
    private struct Reader {
        var cursor: UnsafeRawPointer
        let end: UnsafeRawPointer
        /// The end of the text counts as one slash. Where it has one already, this is a second one, which no literal has.
        private var hasEnded = false

        init(cursor: UnsafeRawPointer, end: UnsafeRawPointer) {
            self.cursor = cursor
            self.end = end
        }

        @inline(__always) mutating func next() -> UInt8? {
            guard cursor < end else {
                if hasEnded { return nil }
                hasEnded = true
                return slash
            }
            let byte = cursor.load8(at: 0)
            cursor += 1
            if byte == slash { skipSlashes() }
            return byte
        }

        @inline(__always) mutating func goesOn(with label: UnsafeRawPointer, _ count: Int) -> Bool {
            var offset = 0
            while offset < count {
                // Where the text has no slash too many, eight bytes at a time are the same.
                if count &- offset >= 8, end - cursor >= 8, cursor.load64(at: 0) == label.load64(at: offset) {
                    cursor += 8
                    offset &+= 8
                    if label.load8(at: offset &- 1) == slash { skipSlashes() }
                } else {
                    guard next() == label.load8(at: offset) else { return false }
                    offset &+= 1
                }
            }
            return true
        }

        @inline(__always) mutating func skipSlashes() { while cursor < end, cursor.load8(at: 0) == slash { cursor += 1 } }
    }
}
