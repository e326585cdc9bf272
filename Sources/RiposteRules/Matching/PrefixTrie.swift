/// Which of many literals a text begins with, in one walk along the text. All that it begins with are the longest and that one's parents.
package final class PrefixTrie: Sendable {
    private let trie: RadixTrie

    package init(_ literals: [[UInt8]]) { trie = RadixTrie(literals) }

    package var count: Int { trie.count }

    /// The index of the longest literal that the text begins with, or -1.
    package func find(_ text: UnsafeRawBufferPointer) -> Int32 { trie.longest(in: text, fromEnd: false) }

    /// The next shorter literal that this one begins with (or an equal one, where a literal was given twice), or -1.
    package func parent(_ literal: Int32) -> Int32 { trie.parent(literal) }
}

/// Which of many literals a text ends with; see ``PrefixTrie``.
package final class SuffixTrie: Sendable {
    private let trie: RadixTrie

    package init(_ literals: [[UInt8]]) { trie = RadixTrie(literals, fromEnd: true) }

    package var count: Int { trie.count }

    /// The index of the longest literal that the text ends with, or -1.
    package func find(_ text: UnsafeRawBufferPointer) -> Int32 { trie.longest(in: text, fromEnd: true) }

    /// The next shorter literal that this one ends with (or an equal one, where a literal was given twice), or -1.
    package func parent(_ literal: Int32) -> Int32 { trie.parent(literal) }
}
