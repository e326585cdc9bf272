package import RiposteCore

/// A field's value as evaluation sees it.
package enum FieldValue: Sendable, Equatable {
    case text([UInt8])
    case integer(Int64)
    case bool(Bool)
    case list([FieldValue])

    /// The bytes that the value has in a rule's output.
    var bytes: [UInt8] {
        switch self {
        case .text(let bytes): bytes
        case .integer(let value): Array(String(value).utf8)
        case .bool(let value): Array((value ? "true" : "false").utf8)
        case .list(let elements): [UInt8(ascii: "(")] + Array(elements.map(\.bytes).joined(separator: [UInt8(ascii: ",")])) + [UInt8(ascii: ")")]
        }
    }

    var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .text(let bytes): Int64(String(decoding: bytes, as: UTF8.self))
        case .bool, .list: nil
        }
    }

    var address: IPAddress? {
        guard case .text(let bytes) = self else { return nil }
        return IPAddress(String(decoding: bytes, as: UTF8.self))
    }
}

/// Where fields come from: the narrow seam between conditions and whatever they judge. Nil is an absent value.
package protocol FieldSource {
    /// `name` is the field with its argument as it stands in a condition: `proc.aname[2]`.
    func value(of name: ByteText) -> FieldValue?
}

extension Alert: FieldSource {
    /// Fields of the alert, and under `alert.` what the alert says of itself. Missing, `null` and Falco's text `<NA>` are absent.
    package func value(of name: ByteText) -> FieldValue? {
        if let value = self[field: name] { return FieldValue(json: value) }
        switch name {
        case "alert.rule": return .text(rule.bytes)
        case "alert.priority": return .text(Array(priority.name.lowercased().utf8))
        case "alert.source": return source.map { .text($0.bytes) }
        case "alert.hostname": return hostname.map { .text($0.bytes) }
        case "alert.output": return output.map { .text($0.bytes) }
        case "alert.intake": return .text(Array(arrival.intake.utf8))
        case "alert.tags": return .list(tags.map { .text($0.bytes) })
        default: return nil
        }
    }
}

extension FieldValue {
    /// Nil for null and objects: no field has such a value.
    package init?(json: JSON) {
        switch json {
        case .null, .object: return nil
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .integer(value)
        case .number(let text), .string(let text): self = .text(text.bytes)
        case .array(let elements): self = .list(elements.compactMap(FieldValue.init(json:)))
        }
    }
}
