internal import RiposteCore

extension Condition {
    /// The condition as text again, with no more parentheses than it needs.
    package var text: String { text(inside: 0) }

    /// `or` binds weakest (1), then `and` (2), then `not` (3).
    private func text(inside strength: Int) -> String {
        let (own, text): (Int, String) =
            switch self {
            case .or(let parts): (1, parts.map { $0.text(inside: 2) }.joined(separator: " or "))
            case .and(let parts): (2, parts.map { $0.text(inside: 3) }.joined(separator: " and "))
            case .not(let part): (4, "not " + part.text(inside: 4))
            case .test(let test): (4, test.text)
            case .macro(let name, _): (4, name)
            }
        return own < strength ? "(\(text))" : text
    }

    /// With macros in the place of their names; those that `macro` does not know stay names.
    package func expanded(_ macro: (String) -> Condition?) -> Condition {
        switch self {
        case .or(let parts): .or(parts.map { $0.expanded(macro) })
        case .and(let parts): .and(parts.map { $0.expanded(macro) })
        case .not(let part): .not(part.expanded(macro))
        case .test: self
        case .macro(let name, _): macro(name) ?? self
        }
    }
}

extension Condition.Test {
    fileprivate var text: String {
        let head = "\(left.text) \(comparison.rawValue)" + (modifier.map { " \($0.rawValue)" } ?? "")
        switch right {
        case .nothing: return head
        case .literal(let literal): return "\(head) \(literal.text)"
        case .list(let literals): return "\(head) (\(literals.map(\.text).joined(separator: ", ")))"
        case .operand(.field(let field)): return "\(head) val(\(field.text))"
        case .operand(let operand): return "\(head) \(operand.text)"
        }
    }
}

extension Condition.Operand {
    fileprivate var text: String {
        switch self {
        case .field(let field): field.text
        case .literal(let literal): literal.text
        case .list(let elements): "(\(elements.map(\.text).joined(separator: ", ")))"
        case .transform(let transform):
            "\(transform.name.rawValue)(\(transform.arguments.map(\.text).joined(separator: ", ")))" + (transform.selector.map { "[\($0)]" } ?? "")
        }
    }
}

extension Condition.Literal {
    /// In quotes where it was written so or could not stand without.
    fileprivate var text: String {
        let isBare = !isQuoted && !bytes.isEmpty && bytes.allSatisfy { 0x21...0x7E ~= $0 && !"()\"'=,".utf8.contains($0) }
        guard !isBare else { return String(decoding: bytes, as: UTF8.self) }
        var result = "\""
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): result += "\\" + String(UnicodeScalar(byte))
            case 0x20...0x7E: result += String(UnicodeScalar(byte))
            default: result += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return result + "\""
    }
}
