package import RiposteCore

/// What a text goes into. Values come from whoever attacks: put into a format as they are, they would be markup, a header, a second line.
package enum TextFormat: Sendable, Equatable {
    /// One line: control characters, line separators and bidirectional overrides are written as escapes.
    case line
    /// Several lines for people: as ``line``, but line feeds and tabs stay.
    case plain
    /// Within the quotes of a JSON string.
    case jsonString
    case html
    /// Slack's mrkdwn: no mention, no link, no emphasis comes of a value.
    case slack
    /// Telegram's and others' Markdown: every mark is escaped.
    case markdown
    /// A part of a URL: all but unreserved characters is percent-encoded.
    case urlQuery
    /// As it is, with U+FFFD for what is not UTF-8: for formats whose writer escapes itself.
    case raw

    package func escaped(_ value: ByteText) -> String {
        switch self {
        case .line: value.shown
        case .plain: value.lines.map(\.shown).joined(separator: "\n")
        case .jsonString: String(JSON.string(value).line.dropFirst().dropLast())
        case .html: value.lines.map { Self.replacing($0.shown, Self.htmlEntities) }.joined(separator: "\n")
        case .slack: value.lines.map { Self.replacing($0.shown, Self.slackEntities) }.joined(separator: "\n")
        case .markdown: value.lines.map { Self.backslashed($0.shown) }.joined(separator: "\n")
        case .urlQuery: Self.percentEncoded(value.bytes, keeping: Self.isUnreserved)
        case .raw: value.repaired
        }
    }

    // By scalar, not by character: a mark with a combining character behind it is another character, and still a mark to a browser.
    private static let htmlEntities: [Unicode.Scalar: String] = ["&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;", "'": "&#39;"]

    /// Beside Slack's three, a word joiner behind the marks of emphasis and mentions, so that they stay what they are.
    private static let slackEntities: [Unicode.Scalar: String] = [
        "&": "&amp;", "<": "&lt;", ">": "&gt;", "*": "*\u{2060}", "_": "_\u{2060}", "~": "~\u{2060}", "`": "`\u{2060}", "@": "@\u{2060}",
    ]

    private static func replacing(_ text: String, _ entities: [Unicode.Scalar: String]) -> String {
        guard text.unicodeScalars.contains(where: { entities[$0] != nil }) else { return text }
        return text.unicodeScalars.reduce(into: "") { result, scalar in
            if let entity = entities[scalar] { result += entity } else { result.unicodeScalars.append(scalar) }
        }
    }

    private static func backslashed(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { result, scalar in
            if "\\`*_{}[]()#+-.!|<>~=@:".unicodeScalars.contains(scalar) { result += "\\" }
            result.unicodeScalars.append(scalar)
            // A mention is looked for by some before marks are.
            if scalar == "@" { result += "\u{2060}" }
        }
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
        default: false
        }
    }

    private static func percentEncoded(_ bytes: [UInt8], keeping isKept: (UInt8) -> Bool) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        for byte in bytes {
            if isKept(byte) { result.append(byte) } else { result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        }
        return String(decoding: result, as: UTF8.self)
    }
}

extension ByteText {
    /// The lines between line feeds; a tab in them becomes blanks.
    fileprivate var lines: [ByteText] {
        bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { line in
            ByteText(line.flatMap { $0 == UInt8(ascii: "\t") ? Array("    ".utf8) : [$0] })
        }
    }
}
