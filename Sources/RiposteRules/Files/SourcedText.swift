/// Text put together from pieces of rules files: a condition with what was appended to it elsewhere and with lists in the place of their names.
/// Every byte knows where it stands in a file, so that what is wrong with the whole can be shown where a person wrote it.
package struct SourcedText {
    private struct Piece {
        /// In `bytes`.
        var start: Int
        var node: YAMLNode
        /// In the node's text, of the first byte.
        var offset: Int
        /// Whether byte by byte the piece is the node's text, or all of it stands for one place.
        var isVerbatim: Bool
    }

    package private(set) var bytes: [UInt8] = []
    private var pieces: [Piece] = []

    package init() {}

    package init(_ node: YAMLNode) { append(Array((node.scalarText ?? "").utf8), of: node, at: 0, isVerbatim: true) }

    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// The node that the byte comes from, and the byte's place in its text; past the end, the last byte's.
    package func origin(of offset: Int) -> (node: YAMLNode, offset: Int)? {
        guard let piece = pieces.last(where: { $0.start <= offset }) ?? pieces.first else { return nil }
        return (piece.node, piece.isVerbatim ? piece.offset + max(0, offset - piece.start) : piece.offset)
    }

    /// Adds text of our own making that stands for a place in a node.
    package mutating func append(_ text: String, for node: YAMLNode) { append(Array(text.utf8), of: node, at: 0, isVerbatim: false) }

    package mutating func append(_ other: SourcedText) {
        let shift = bytes.count
        for var piece in other.pieces {
            piece.start += shift
            pieces.append(piece)
        }
        bytes += other.bytes
    }

    /// What it takes of memory, roughly.
    var cost: Int { bytes.count + 8 * pieces.count }

    /// As Falco joins what `append` adds: one blank between.
    package mutating func append(joining other: SourcedText) {
        if let first = other.pieces.first { append(" ", for: first.node) }
        append(other)
    }

    /// Without blanks and line ends at both ends.
    package var trimmed: SourcedText {
        guard let first = bytes.firstIndex(where: { !$0.isBlank }), let last = bytes.lastIndex(where: { !$0.isBlank }) else { return SourcedText() }
        var result = SourcedText()
        result.append(part: first..<(last + 1), of: self)
        return result
    }

    /// Without every place where `word` stands, and where those were.
    func removing(_ word: String) -> (text: SourcedText, places: [Int]) {
        let word = Array(word.utf8)
        var result = SourcedText()
        var places: [Int] = []
        var copied = 0
        var position = 0
        while position + word.count <= bytes.count {
            guard bytes[position..<(position + word.count)].elementsEqual(word) else {
                position += 1
                continue
            }
            places.append(position)
            result.append(part: copied..<position, of: self)
            position += word.count
            copied = position
        }
        guard !places.isEmpty else { return (self, []) }
        result.append(part: copied..<bytes.count, of: self)
        return (result, places)
    }

    private mutating func append(_ added: some Collection<UInt8>, of node: YAMLNode, at offset: Int, isVerbatim: Bool) {
        pieces.append(Piece(start: bytes.count, node: node, offset: offset, isVerbatim: isVerbatim))
        bytes += added
    }

    private mutating func append(part range: Range<Int>, of other: SourcedText) {
        for (index, piece) in other.pieces.enumerated() {
            let end = index + 1 < other.pieces.count ? other.pieces[index + 1].start : other.bytes.count
            let common = range.clamped(to: piece.start..<end)
            guard !common.isEmpty else { continue }
            append(other.bytes[common], of: piece.node, at: piece.isVerbatim ? piece.offset + common.lowerBound - piece.start : piece.offset, isVerbatim: piece.isVerbatim)
        }
    }

    // MARK: - Lists

    /// Falco's way with lists: every word that is the name of one and stands between blanks, parentheses, commas, equals signs or the ends
    /// becomes the list's items, wherever it is. An empty list takes a comma beside it away. `items` gives the items of a list joined by
    /// commas; nil for a word that names none.
    package func substitutingLists(_ items: (String) -> SourcedText?) -> SourcedText {
        var result = SourcedText()
        var copied = 0
        var position = 0
        while position < bytes.count {
            guard !bytes[position].delimitsWords else {
                position += 1
                continue
            }
            let end = bytes[position...].firstIndex(where: \.delimitsWords) ?? bytes.count
            if let list = items(String(decoding: bytes[position..<end], as: UTF8.self)) {
                result.append(part: copied..<position, of: self)
                copied = end
                if list.bytes.isEmpty { copied = result.dropComma(before: end, of: self) } else { result.append(list) }
            }
            position = end
        }
        guard copied > 0 else { return self }
        result.append(part: copied..<bytes.count, of: self)
        return result
    }

    /// Takes away the comma that ends this text, or else the one that comes next in `other`; returns where to go on there.
    private mutating func dropComma(before position: Int, of other: SourcedText) -> Int {
        if let last = bytes.lastIndex(where: { !$0.isBlank }), bytes[last] == UInt8(ascii: ",") {
            bytes.removeSubrange(last...)
            while let piece = pieces.last, piece.start >= bytes.count, pieces.count > 1 { pieces.removeLast() }
            return position
        }
        guard let next = other.bytes[position...].firstIndex(where: { !$0.isBlank }), other.bytes[next] == UInt8(ascii: ",") else { return position }
        return next + 1
    }
}

extension UInt8 {
    var isBlank: Bool { self == 0x20 || self == 0x09 || self == 0x0A || self == 0x0D || self == 0x08 }

    var delimitsWords: Bool {
        isBlank || self == UInt8(ascii: "(") || self == UInt8(ascii: ")") || self == UInt8(ascii: ",") || self == UInt8(ascii: "=")
    }
}
