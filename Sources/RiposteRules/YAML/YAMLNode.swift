package import RiposteCore
internal import Yams

/// One value of a YAML file with its place. Reading it as something that it is not is reported to the reader and gives nil.
package struct YAMLNode {
    private let node: Node
    private let reader: YAMLReader

    init(_ node: Node, reader: YAMLReader) {
        self.node = node
        self.reader = reader
    }

    package var place: Diagnostic.Place? { node.mark.map { Diagnostic.Place(line: $0.line, column: $0.column) } }

    package func report(_ severity: Diagnostic.Severity = .error, code: String, _ message: String, suggestion: String? = nil) {
        reader.report(severity, code: code, at: place, message, suggestion: suggestion)
    }

    /// Reports at a byte of this node's text, in whatever style and over however many lines it is written.
    package func report(code: String, atCharacter offset: Int, _ message: String, suggestion: String? = nil) {
        reader.report(code: code, at: place(ofByte: offset) ?? place, message, suggestion: suggestion)
    }

    /// Where a byte of the text stands in the file. YAML folds lines and drops indentation, so text and file are walked side by side: blanks
    /// stand for any run of blanks, all else stands for itself; an escape in double quotes is taken as one character.
    package func place(ofByte offset: Int) -> Diagnostic.Place? {
        guard let scalar = node.scalar, let mark = node.mark else { return nil }
        var cursor = YAMLCursor(lines: reader.lines, line: mark.line - 1, column: mark.column - 1)
        var quote: Character?
        switch scalar.style {
        case .literal, .folded: cursor.nextLine()
        case .singleQuoted: quote = "'"
        case .doubleQuoted: quote = "\""
        default: break
        }
        if quote != nil { cursor.column += 1 }
        var passed = 0
        for character in scalar.string {
            if character.isWhitespace {
                guard passed < offset else { break }
                cursor.skipOneBlank(between: quote)
            } else {
                guard cursor.skipBlanks() else { return nil }
                guard passed < offset else { break }
                guard cursor.take(character, between: quote) else { return nil }
            }
            passed += character.utf8.count
        }
        return Diagnostic.Place(line: cursor.line + 1, column: cursor.column + 1)
    }

    package var isNull: Bool { node.null != nil && node.scalar?.style != .singleQuoted && node.scalar?.style != .doubleQuoted }
    package var isSequence: Bool { node.sequence != nil }
    package var isMapping: Bool { node.mapping != nil }

    package var file: String { reader.file }

    /// The line of the file at a place, and the place's distance from the file's start in bytes.
    package func snippet(at place: Diagnostic.Place) -> String? { reader.snippet(at: place) }
    package func offset(of place: Diagnostic.Place) -> Int { reader.offset(of: place) }

    // MARK: - Collections

    /// The elements where this is a sequence.
    package var elements: [YAMLNode]? { node.sequence.map { $0.map { YAMLNode($0, reader: reader) } } }

    /// The members where this is a mapping, in their order; keys that are no text are left out.
    package var pairs: [(key: String, keyNode: YAMLNode, value: YAMLNode)]? {
        node.mapping.map { mapping in
            mapping.compactMap { key, value in
                key.scalar.map { ($0.string, YAMLNode(key, reader: reader), YAMLNode(value, reader: reader)) }
            }
        }
    }

    /// The elements of a list; a single value counts as a list of one where that is allowed.
    package func list(orSingle: Bool = false, code: String = "P002") -> [YAMLNode]? {
        if let sequence = node.sequence { return sequence.map { YAMLNode($0, reader: reader) } }
        if orSingle, node.scalar != nil { return [self] }
        report(code: code, "expected a list")
        return nil
    }

    /// The members of a mapping, by key; keys that are not among `known` are reported.
    package func mapping(known: [String], what: String, code: String = "P001") -> [String: YAMLNode]? {
        guard let members = members(code: code) else { return nil }
        for (key, keyNode, _) in members where !known.contains(key) {
            keyNode.report(code: code, "unknown key \"\(key)\" in \(what)", suggestion: nearMiss(to: key, among: known))
        }
        return Dictionary(members.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    /// The members of a mapping in their order.
    package func members(code: String = "P002") -> [(key: String, keyNode: YAMLNode, value: YAMLNode)]? {
        guard let mapping = node.mapping else {
            report(code: code, "expected a mapping of keys to values")
            return nil
        }
        var result: [(key: String, keyNode: YAMLNode, value: YAMLNode)] = []
        for (key, value) in mapping {
            let keyNode = YAMLNode(key, reader: reader)
            guard let name = key.scalar?.string else {
                keyNode.report(code: code, "a key must be a text")
                continue
            }
            result.append((name, keyNode, YAMLNode(value, reader: reader)))
        }
        return result
    }

    // MARK: - Scalars

    /// The text of a scalar whatever type it looks like; nil for null and collections. Operators of Falco's exceptions stand without quotes,
    /// and what YAML takes for a tag, `!=`, is one of them.
    package var scalarText: String? {
        guard let scalar = node.scalar, !isNull else { return node.scalar.flatMap { _ in operatorTag } }
        return scalar.string.isEmpty ? operatorTag ?? "" : scalar.string
    }

    private var operatorTag: String? { node.tag.rawValue == "!=" ? "!=" : nil }

    package func text(code: String = "P002", expected: String = "a text") -> String? {
        guard let scalar = node.scalar, !isNull else {
            report(code: code, "expected \(expected)")
            return nil
        }
        return scalar.string
    }

    package func bool(code: String = "P002") -> Bool? {
        guard let text = plainText else {
            report(code: code, "expected true or false")
            return nil
        }
        switch text {
        case "true": return true
        case "false": return false
        case "yes", "on", "Yes", "On", "YES", "ON", "True", "TRUE":
            report(code: code, "expected true or false, not \"\(text)\"", suggestion: "true")
        case "no", "off", "No", "Off", "NO", "OFF", "False", "FALSE":
            report(code: code, "expected true or false, not \"\(text)\"", suggestion: "false")
        default: report(code: code, "expected true or false")
        }
        return nil
    }

    package func integer(in range: ClosedRange<Int>, code: String = "P002") -> Int? {
        guard let text = plainText, let value = Int(text), !(text.count > 1 && text.hasPrefix("0")), range.contains(value) else {
            report(code: code, "expected a whole number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return value
    }

    package func duration(code: String = "P002") -> Duration? {
        guard let text = node.scalar?.string, let value = Duration(text: text), value > .zero else {
            report(code: code, "expected a duration such as 30s, 5m or 2h")
            return nil
        }
        return value
    }

    /// `64MiB`, `1GiB`, `512KiB`, or a number of bytes.
    package func size(code: String = "P002") -> Int? {
        let units: [(String, Int)] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)]
        if let text = node.scalar?.string, let unit = units.first(where: { text.hasSuffix($0.0) }),
            let count = Int(text.dropLast(unit.0.count)), count > 0, count < 1 << 33
        {
            return count * unit.1
        }
        report(code: code, "expected a size such as 64MiB")
        return nil
    }

    /// A size that is no larger than makes sense. `words`: the largest, for people.
    package func size(upTo limit: Int, _ words: String, code: String = "P002") -> Int? {
        guard let value = size(code: code) else { return nil }
        if value <= limit { return value }
        report(code: code, "expected \(words) at most")
        return nil
    }

    package func choice<Value: RawRepresentable & CaseIterable>(_ type: Value.Type, code: String = "P002") -> Value? where Value.RawValue == String {
        let names = type.allCases.map(\.rawValue)
        let text = node.scalar?.string ?? ""
        if let value = type.init(rawValue: text) { return value }
        report(code: code, "expected one of \(names.joined(separator: ", "))", suggestion: nearMiss(to: text, among: names))
        return nil
    }

    /// The value as JSON: plain scalars by YAML's core schema (true, null, numbers), quoted ones as text.
    package var json: JSON {
        if let mapping = node.mapping {
            return .object(
                JSONObject(
                    mapping.map { key, value in
                        JSONObject.Member(key: ByteText(key.scalar?.string ?? ""), value: YAMLNode(value, reader: reader).json)
                    }))
        }
        if let sequence = node.sequence { return .array(sequence.map { YAMLNode($0, reader: reader).json }) }
        guard let plain = plainText else { return .text(node.scalar?.string ?? "") }
        switch plain {
        case "", "~", "null": return .null
        case "true": return .bool(true)
        case "false": return .bool(false)
        default: return (try? JSON(parsing: Array(plain.utf8))).flatMap { $0.integer.map(JSON.integer) } ?? .text(plain)
        }
    }

    /// The text of a scalar that stands without quotes.
    package var plainText: String? {
        guard let scalar = node.scalar, scalar.style == .plain || scalar.style == .any else { return nil }
        return scalar.string
    }
}
