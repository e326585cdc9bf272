internal import RiposteCore

/// A value of an alert, made safe to show and held to a length: one command line of a megabyte must not bury a report. The whole stands in the records.
enum Excerpt {
    static func of(_ text: ByteText, limit: Int = 400) -> String {
        guard text.bytes.count > limit else { return text.shown }
        // Cut before it is escaped: half an escape sequence says something else. And between characters.
        var head = text.bytes.prefix(limit)
        while let last = head.last, last & 0xC0 == 0x80 { head = head.dropLast() }
        if let last = head.last, last >= 0xC0 { head = head.dropLast() }
        return ByteText(Array(head)).shown + "… (\(text.bytes.count) bytes)"
    }

    static func of(_ text: String, limit: Int = 400) -> String { of(ByteText(text), limit: limit) }

    static func of(_ json: JSON, limit: Int = 400) -> String {
        switch json {
        case .string(let text): of(text, limit: limit)
        default: of(ByteText(json.bytes), limit: limit)
        }
    }
}
