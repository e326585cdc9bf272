internal import RiposteRules
internal import Synchronization

/// The regular expressions that rules look for mounts with (`container.mount.dest[/proc*]`), compiled when they are first used. They come from the
/// rules in force, so they are few; past `limit` the oldest is compiled again when it is used again.
final class MountPatterns: Sendable {
    private struct Entry {
        let text: [UInt8]
        /// Nil for what is no regular expression.
        let pattern: RegularExpression?
    }

    static let shared = MountPatterns()
    private static let limit = 128

    private let entries = Mutex<[Entry]>([])

    /// Nil where `text` is no regular expression, else what `body` says. The pattern matches a whole text that has a match of `text` somewhere.
    func withPattern<Result>(_ text: UnsafeRawBufferPointer, _ body: (RegularExpression) -> Result?) -> Result? {
        guard let pattern = pattern(text) else { return nil }
        return body(pattern)
    }

    private func pattern(_ text: UnsafeRawBufferPointer) -> RegularExpression? {
        entries.withLock { entries in
            if let known = entries.first(where: { $0.text.elementsEqual(text) }) { return known.pattern }
            let pattern = try? RegularExpression("(.|\\n)*(\(String(decoding: text, as: UTF8.self)))(.|\\n)*")
            if entries.count == Self.limit { entries.removeFirst() }
            entries.append(Entry(text: Array(text), pattern: pattern))
            return pattern
        }
    }
}
