package import RiposteCore
internal import RiposteRules

/// A text with fields of an alert in it: `{{ fd.rip }}`. The fields' values are data: they are put in once and never read as a template again.
package struct Template: Sendable, Equatable {
    package enum Part: Sendable, Equatable {
        case text(String)
        case field(String)
    }

    package let parts: [Part]

    /// What is wrong with a template, and after how many characters.
    package struct Invalid: Error, Equatable, Sendable {
        package let message: String
        package let offset: Int
        package let suggestion: String?
    }

    /// Nil where the text has no `{{`.
    package init?(_ text: String) throws(Invalid) {
        guard text.contains("{{") else { return nil }
        var parts: [Part] = []
        var rest = text[...]
        while let open = rest.firstRange(of: "{{") {
            if open.lowerBound > rest.startIndex { parts.append(.text(String(rest[..<open.lowerBound]))) }
            let offset = text.distance(from: text.startIndex, to: open.lowerBound)
            guard let close = rest[open.upperBound...].firstRange(of: "}}") else {
                throw Invalid(message: "\"{{\" without \"}}\"", offset: offset, suggestion: nil)
            }
            let inner = rest[open.upperBound..<close.lowerBound]
            let field = inner.trimmingBlanks
            if let problem = FieldCatalogue.problem(with: field) {
                throw Invalid(message: problem.message, offset: offset + 2 + inner.prefix { $0 == " " }.count, suggestion: problem.suggestion)
            }
            parts.append(.field(field))
            rest = rest[close.upperBound...]
        }
        if !rest.isEmpty { parts.append(.text(String(rest))) }
        self.parts = parts
    }

    package var fields: [String] { parts.compactMap { if case .field(let name) = $0 { name } else { nil } } }

    /// A template that is one field keeps the value's type; in a text the value stands as text. An absent field is an error, not an empty text.
    package func value(for alert: Alert) throws(ActionError) -> JSON {
        if parts.count == 1, case .field(let name) = parts[0] { return try Self.value(of: name, alert) }
        var bytes: [UInt8] = []
        for part in parts {
            switch part {
            case .text(let text): bytes += Array(text.utf8)
            case .field(let name): bytes += try Self.value(of: name, alert).plainBytes
            }
        }
        return .string(ByteText(bytes))
    }

    private static func value(of name: String, _ alert: Alert) throws(ActionError) -> JSON {
        if let value = alert[field: ByteText(name)] { return value }
        if let value = alert.property(name) { return .string(ByteText(value.plainBytes)) }
        throw ActionError(.invalid, "fill in {{ \(name) }}", "the alert has no value for it", remedy: "add `when: \(name) exists`")
    }
}

extension JSON {
    /// A text's bytes, a list's elements joined by commas, all else as JSON.
    fileprivate var plainBytes: [UInt8] {
        switch self {
        case .string(let text): text.bytes
        case .array(let elements): Array(elements.map(\.plainBytes).joined(separator: [UInt8(ascii: ",")]))
        default: bytes
        }
    }
}

extension Substring {
    fileprivate var trimmingBlanks: String {
        String(drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}
