internal import RiposteCore

/// A rule's output: text with fields in it, `%proc.name`, `%proc.aname[2]`, `%12proc.name`, `%toupper(proc.name)` (spec: rules-language 7).
package struct OutputTemplate: Sendable {
    enum Segment: Sendable, Equatable {
        case text([UInt8])
        case value(Token)
    }

    /// One field or transformer of the text.
    struct Token: Sendable, Equatable {
        /// Of the plan that the template was compiled with.
        var slot: Int
        /// As it was written, without `%`: the key in `output_fields`.
        var key: String
        var type: FieldType
        /// Several values at once, printed one after the other: all ancestors.
        var isJoined: Bool
        /// A transformer has no entry in `output_fields`; the fields in it have.
        var isField: Bool
        /// Padded or cut to so many bytes.
        var width: Int?
        /// The fields in a transformer.
        var inner: [Token] = []
    }

    private(set) var segments: [Segment] = []

    /// Compiles a text, fields found and slots taken by the compiler of the rule's condition.
    init(compiling bytes: [UInt8], _ compiler: inout ConditionCompiler) throws(ConditionError) {
        var text: [UInt8] = []
        // Falco's "print even where fields are absent", which rules always do.
        var position = bytes.first == UInt8(ascii: "*") ? 1 : 0
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            guard byte == UInt8(ascii: "%") else {
                text.append(byte)
                continue
            }
            let (token, end) = try Self.token(bytes, after: position, &compiler)
            if !text.isEmpty { segments.append(.text(text)) }
            text = []
            segments.append(.value(token))
            position = end
        }
        if !text.isEmpty { segments.append(.text(text)) }
    }

    private static func token(_ bytes: [UInt8], after start: Int, _ compiler: inout ConditionCompiler) throws(ConditionError) -> (Token, end: Int) {
        guard start < bytes.count else { throw ConditionError("a % at the end names no field", at: start - 1) }
        var position = start
        while position < bytes.count, 0x30...0x39 ~= bytes[position], position - start < 6 { position += 1 }
        // None is no width.
        let width = position > start ? Int(String(decoding: bytes[start..<position], as: UTF8.self)).flatMap { $0 > 0 ? $0 : nil } : nil
        if let (transform, end) = try Condition.Transform.parse(bytes, at: position) {
            let operand = try compiler.operand(.transform(transform))
            let key = String(decoding: bytes[position..<end], as: UTF8.self)
            var token = Token(slot: operand.slot, key: key, type: operand.type, isJoined: false, isField: false, width: width)
            for field in transform.fields {
                let inner = try compiler.operand(.field(field))
                token.inner.append(Token(slot: inner.slot, key: field.text, type: inner.type, isJoined: inner.quantifier != .one, isField: true))
            }
            return (token, end)
        }
        let (field, end) = try field(bytes, at: position, &compiler)
        let operand = try compiler.operand(.field(field))
        guard operand.isPrintable else { throw ConditionError("the field \(field.text) has no text; it is for conditions only", at: position) }
        return (Token(slot: operand.slot, key: field.text, type: operand.type, isJoined: operand.quantifier != .one, isField: true, width: width), end)
    }

    /// The longest beginning that names a field: `%proc.name)` and `%evt.type,` end where the name ends.
    private static func field(_ bytes: [UInt8], at start: Int, _ compiler: inout ConditionCompiler) throws(ConditionError) -> (Condition.FieldReference, end: Int) {
        var end = start
        // No field's name is nearly as long; what is behind cannot be part of one.
        while end < bytes.count, end - start < 256, bytes[end].isNameByte { end += 1 }
        guard end > start else { throw ConditionError("a % names a field: %proc.name", at: start - 1) }
        let full = String(decoding: bytes[start..<end], as: UTF8.self)
        if end < bytes.count, bytes[end] == UInt8(ascii: "["), let (field, close) = Condition.FieldReference.parse(bytes, at: start), compiler.knows(field) {
            return (field, close)
        }
        var name = full[...]
        while !name.isEmpty {
            guard name.last != "." else {
                name = name.dropLast()
                continue
            }
            let field = Condition.FieldReference(name: String(name), argument: nil, range: start..<(start + name.utf8.count))
            if compiler.knows(field) { return (field, start + name.utf8.count) }
            name = name.dropLast()
        }
        // Says what is wrong with it.
        _ = try compiler.operand(.field(Condition.FieldReference(name: full, argument: nil, range: start..<end)))
        throw ConditionError("there is no field \"\(full)\"", at: start, kind: .unknownField)
    }

    /// As it was written.
    var text: String {
        segments.map { segment in
            switch segment {
            case .text(let bytes): String(decoding: bytes, as: UTF8.self)
            case .value(let token): "%\(token.width.map(String.init) ?? "")\(token.key)"
            }
        }.joined()
    }

    /// Adds text and fields behind this, after a blank.
    mutating func append(_ other: OutputTemplate) {
        segments.append(.text([UInt8(ascii: " ")]))
        segments += other.segments
    }

    /// The fields with their keys, each once, those inside transformers too.
    var tokens: [Token] {
        var seen: Set<String> = []
        var result: [Token] = []
        for case .value(let token) in segments {
            for each in token.isField ? [token] : token.inner where seen.insert(each.key).inserted { result.append(each) }
        }
        return result
    }
}

extension Condition.Transform {
    fileprivate var fields: [Condition.FieldReference] { arguments.flatMap(\.fields) }
}

extension UInt8 {
    fileprivate var isNameByte: Bool { 0x41...0x5A ~= self & 0xDF || 0x30...0x39 ~= self || self == UInt8(ascii: "_") || self == UInt8(ascii: ".") }
}
