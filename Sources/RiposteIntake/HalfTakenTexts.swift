internal import Synchronization

/// What was taken of texts that were then refused for lack of room. They come again, whole, and what was made safe must not be made twice: a text with more in it
/// than there is room for at once would never be through, and its first part be answered each time.
package final class HalfTakenTexts<Part: Sendable>: Sendable {
    private struct Text {
        let hash: Int
        var part: Part
    }

    /// More senders than this are hardly refused at the same time; what is forgotten is made twice.
    private let limit = 64
    private let texts = Mutex<[Text]>([])

    package init() {}

    /// `source`: the same text from elsewhere is another one.
    package func part(of text: [UInt8], from source: String) -> Part? {
        guard texts.withLock({ !$0.isEmpty }) else { return nil }
        let hash = hash(text, source)
        return texts.withLock { $0.first { $0.hash == hash }?.part }
    }

    package func keep(_ part: Part, of text: [UInt8], from source: String) {
        let hash = hash(text, source)
        texts.withLock { texts in
            texts.removeAll { $0.hash == hash }
            if texts.count == limit { texts.removeFirst() }
            texts.append(Text(hash: hash, part: part))
        }
    }

    package func forget(_ text: [UInt8], from source: String) {
        let hash = hash(text, source)
        texts.withLock { $0.removeAll { $0.hash == hash } }
    }

    /// Keyed anew in each process: nobody outside can make two texts alike.
    private func hash(_ text: [UInt8], _ source: String) -> Int {
        var hasher = Hasher()
        hasher.combine(source)
        text.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }
}
