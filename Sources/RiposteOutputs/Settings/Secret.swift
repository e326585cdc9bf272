internal import Foundation
internal import Glibc
internal import RiposteCore

/// A text that nobody may see: its description is `…`, it has no JSON, and its value is asked for by name.
package struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let text: String

    package init(_ text: String) { self.text = text }

    /// For where it is used, and nowhere else.
    package var revealed: String { text }

    package var description: String { "…" }
    package var debugDescription: String { "…" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Where secrets come from beside the configuration itself.
package struct SecretSource: Sendable {
    package var environment: @Sendable (String) -> String?
    package var file: @Sendable (String) throws(Unusable) -> [UInt8]

    /// This process's environment and files.
    package static let process = SecretSource(
        environment: { ProcessInfo.processInfo.environment[$0] },
        file: { path throws(Unusable) in try read(path) })

    private static let sizeLimit = 1 << 16

    private static func read(_ path: String) throws(Unusable) -> [UInt8] {
        // Without waiting: a pipe has no end.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw Unusable(problem: "\(path) cannot be read: \(String(cString: strerror(errno)))") }
        defer { close(file) }
        var facts = stat()
        guard fstat(file, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else { throw Unusable(problem: "\(path) is no regular file") }
        guard facts.st_size <= sizeLimit else { throw Unusable(problem: "\(path) is larger than \(sizeLimit >> 10) KiB") }
        return [UInt8](unsafeUninitializedCapacity: sizeLimit) { bytes, count in count = max(0, Glibc.read(file, bytes.baseAddress, sizeLimit)) }
    }

    package struct Unusable: Error, Equatable, Sendable {
        package let problem: String
    }

    package init(environment: @escaping @Sendable (String) -> String?, file: @escaping @Sendable (String) throws(Unusable) -> [UInt8]) {
        self.environment = environment
        self.file = file
    }

    func fromEnvironment(_ name: String) throws(Unusable) -> Secret {
        guard let text = environment(name), !text.isEmpty else { throw Unusable(problem: "the environment has no \(name)") }
        return Secret(text)
    }

    /// A file of systemd's LoadCredential=.
    func fromCredential(_ name: String) throws(Unusable) -> Secret {
        guard !name.isEmpty, !name.contains("/"), name != ".", name != ".." else { throw Unusable(problem: "a credential's name has no slash") }
        guard let folder = environment("CREDENTIALS_DIRECTORY"), !folder.isEmpty else {
            throw Unusable(problem: "$CREDENTIALS_DIRECTORY is not set: give it with LoadCredential= in the unit")
        }
        return try fromFile("\(folder)/\(name)")
    }

    /// The file's text without the line break at its end.
    func fromFile(_ path: String) throws(Unusable) -> Secret {
        let bytes = try file(path)
        guard var text = String(validating: bytes, as: UTF8.self) else { throw Unusable(problem: "\(path) is not UTF-8") }
        while let last = text.unicodeScalars.last, last == "\n" || last == "\r" { text.unicodeScalars.removeLast() }
        guard !text.isEmpty else { throw Unusable(problem: "\(path) is empty") }
        return Secret(text)
    }
}

/// Takes secrets out of texts that others wrote: a library's error with the URL in it, a receiver that repeats what it was sent.
package struct SecretMask: Sendable, CustomStringConvertible, CustomReflectable {
    private let needles: [String]

    package init(_ secrets: [Secret]) {
        var forms: Set<String> = []
        for text in secrets.map(\.revealed) where !text.isEmpty {
            forms.formUnion([text, text.escapedForDisplay, Array(text.utf8).base64, text.percentEncoded, text.inJSON])
        }
        // The longer one first: it may hold a shorter one.
        needles = forms.sorted { ($0.utf8.count, $0) > ($1.utf8.count, $1) }
    }

    package var description: String { "…" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    package func masked(_ text: String) -> String {
        needles.reduce(text) { $0.contains($1) ? $0.replacingOccurrences(of: $1, with: "…") : $0 }
    }
}

extension SecretMask {
    /// The beginning of what somebody else said, long enough for a reason. It is cut before anybody has looked for secrets in it, so where it is cut
    /// stands a mark, and whoever masks the text takes away what stands before it and could be the beginning of one. No shown text has such a mark.
    static func excerpt(_ said: [UInt8]) -> String {
        guard said.count > excerptLimit else { return ByteText(said).shown }
        var end = excerptLimit
        while end > 0, said[end] & 0xC0 == 0x80 { end -= 1 }
        return ByteText(Array(said[..<end])).shown + cutMark
    }

    private static let excerptLimit = 4096
    private static let cutMark = "\u{0}"

    /// ``masked(_:)`` for a text that excerpts stand in.
    func maskedExcerpts(_ text: String, keepsMarks: Bool = false) -> String {
        let parts = text.components(separatedBy: Self.cutMark)
        return (parts.dropLast().map { withoutBegun(masked($0)) + (keepsMarks ? Self.cutMark : "…") } + parts.suffix(1).map(masked)).joined()
    }

    /// Without an end that is the beginning of a secret.
    private func withoutBegun(_ text: String) -> String {
        let bytes = Array(text.utf8)
        let begun = needles.map { needle -> Int in
            let needle = Array(needle.utf8)
            return (1..<max(1, min(needle.count, bytes.count + 1))).last { bytes.suffix($0).elementsEqual(needle.prefix($0)) } ?? 0
        }
        return String(decoding: bytes.dropLast(begun.max() ?? 0), as: UTF8.self)
    }
}

extension String {
    fileprivate var percentEncoded: String { TextFormat.urlQuery.escaped(ByteText(self)) }
    fileprivate var inJSON: String { String(decoding: JSON.text(self).bytes.dropFirst().dropLast(), as: UTF8.self) }
}
