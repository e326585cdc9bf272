package import RiposteCore
package import RiposteRules

/// A text with fields in it: `{{ fd.rip }}`, `{{ user.name | default: "nobody" }}`. The fields' values are data: they are put in once and never read as
/// a template again.
package struct Template: Sendable, Equatable {
    package enum Part: Sendable, Equatable {
        case text(String)
        /// With what stands for the field where it is absent.
        case field(String, default: JSON?)
    }

    package let parts: [Part]

    /// What is wrong with a template, and after how many characters.
    package struct Invalid: Error, Equatable, Sendable {
        package let message: String
        package let offset: Int
        package let suggestion: String?
    }

    /// Nil where the text has no `{{`. Fields are those of alerts, and with a scope those of it.
    package init?(_ text: String, scope: ConditionScope? = nil) throws(Invalid) {
        guard text.contains("{{") else { return nil }
        var parts: [Part] = []
        var rest = text[...]
        while let open = rest.firstRange(of: "{{") {
            if open.lowerBound > rest.startIndex { parts.append(.text(String(rest[..<open.lowerBound]))) }
            let offset = text.distance(from: text.startIndex, to: open.lowerBound)
            guard let close = rest.endOfField(from: open.upperBound) else {
                throw Invalid(message: "\"{{\" without \"}}\"", offset: offset, suggestion: nil)
            }
            parts.append(try Self.field(rest[open.upperBound..<close.lowerBound], at: offset + 2, scope))
            rest = rest[close.upperBound...]
        }
        if !rest.isEmpty { parts.append(.text(String(rest))) }
        self.parts = parts
    }

    /// What stands between the braces: a name, and perhaps a default.
    private static func field(_ inner: Substring, at offset: Int, _ scope: ConditionScope?) throws(Invalid) -> Part {
        let bar = inner.firstIndex(of: "|")
        let name = inner[..<(bar ?? inner.endIndex)]
        let field = name.trimmingBlanks
        if let problem = FieldCatalogue.problem(with: field, in: scope) {
            throw Invalid(message: problem.message, offset: offset + name.prefix { $0 == " " }.count, suggestion: problem.suggestion)
        }
        guard let bar else { return .field(field, default: nil) }
        let place = offset + inner.distance(from: inner.startIndex, to: bar) + 1
        let words = inner[inner.index(after: bar)...].trimmingBlanks
        guard words.hasPrefix("default:") else {
            throw Invalid(message: "after \"|\" only `default: VALUE` can stand", offset: place, suggestion: "default: \"…\"")
        }
        let value = Substring(words.dropFirst("default:".count)).trimmingBlanks
        guard let json = try? JSON(parsing: Array(value.utf8)), json.isPlain else {
            throw Invalid(message: "a default is a text in double quotes, a whole number, true or false", offset: place, suggestion: nil)
        }
        return .field(field, default: json)
    }

    package var fields: [String] { parts.compactMap { if case .field(let name, _) = $0 { name } else { nil } } }

    /// As it was written.
    package var text: String {
        parts.map { part in
            switch part {
            case .text(let text): text
            case .field(let name, let standIn): "{{ \(name)\(standIn.map { " | default: \($0.line)" } ?? "") }}"
            }
        }.joined()
    }

    /// A template that is one field keeps the value's type; in a text the value stands as text. An absent field is an error, not an empty text.
    package func value(in scope: StepScope) throws(ActionError) -> JSON {
        if parts.count == 1, case .field(let name, let standIn) = parts[0] { return try Self.value(of: name, standIn, scope) }
        var bytes: [UInt8] = []
        for part in parts {
            switch part {
            case .text(let text): bytes += Array(text.utf8)
            case .field(let name, let standIn): bytes += try Self.value(of: name, standIn, scope).plainBytes
            }
        }
        return .string(ByteText(bytes))
    }

    private static func value(of name: String, _ standIn: JSON?, _ scope: StepScope) throws(ActionError) -> JSON {
        if let value = present(name, scope) ?? standIn { return value }
        let isOfRun = StepScope.families.contains(String(name.prefix { $0 != "." }))
        throw ActionError(
            .invalid, "fill in {{ \(name) }}", isOfRun ? "the run has no value for it" : "the alert has no value for it", remedy: "add `when: \(name) exists`")
    }

    /// What is not the alert's is never looked for in the alert: whoever makes alerts could put it there.
    private static func present(_ name: String, _ scope: StepScope) -> JSON? {
        if StepScope.families.contains(String(name.prefix { $0 != "." })) { return scope.value(of: name) }
        if let value = scope.alert[field: ByteText(name)] { return value }
        return scope.alert.property(name).map { .string(ByteText($0.plainBytes)) }
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

    fileprivate var isPlain: Bool {
        switch self {
        case .string, .integer, .bool: true
        case .null, .number, .array, .object: false
        }
    }
}

extension Substring {
    fileprivate var trimmingBlanks: String {
        String(drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }

    /// The `}}` that ends a field; one inside quotes does not.
    fileprivate func endOfField(from start: Index) -> Range<Index>? {
        var index = start
        var isQuoted = false
        while index < endIndex {
            let next = self.index(after: index)
            switch self[index] {
            case "\\" where isQuoted && next < endIndex:
                index = self.index(after: next)
                continue
            case "\"": isQuoted.toggle()
            case "}" where !isQuoted && next < endIndex && self[next] == "}": return index..<self.index(after: next)
            default: break
            }
            index = next
        }
        return nil
    }
}
