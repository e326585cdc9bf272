package import RiposteCore

/// A text with fields of a message in it, `{{ proc.name }}`, compiled for one format: each value is escaped for where it goes and never read as a
/// template again.
///
/// Fields of alerts are those of playbooks' templates; `message.…` is there for every message, `record.…` for what is in an audit record.
package struct MessageTemplate: Sendable {
    private enum Part: Sendable {
        case text(String)
        case own(MessageField)
        case alert(OutputLanguage.Expression)
    }

    private let parts: [Part]
    package let format: TextFormat

    package init(_ text: String, for format: TextFormat, _ language: OutputLanguage) throws(OutputLanguage.Problem) {
        self.format = format
        var parts: [Part] = []
        var rest = text[...]
        while let open = rest.firstRange(of: "{{") {
            if open.lowerBound > rest.startIndex { parts.append(.text(String(rest[..<open.lowerBound]))) }
            let offset = text[..<open.lowerBound].utf8.count
            guard let close = rest[open.upperBound...].firstRange(of: "}}") else { throw OutputLanguage.Problem("\"{{\" without \"}}\"", offset: offset) }
            parts.append(try Self.part(rest[open.upperBound..<close.lowerBound], at: offset + 2, language))
            rest = rest[close.upperBound...]
        }
        if !rest.isEmpty { parts.append(.text(String(rest))) }
        self.parts = parts
    }

    private static func part(_ inner: Substring, at offset: Int, _ language: OutputLanguage) throws(OutputLanguage.Problem) -> Part {
        let blanks = inner.prefix { $0 == " " || $0 == "\t" }
        let name = String(inner.dropFirst(blanks.count).reversed().drop { $0 == " " || $0 == "\t" }.reversed())
        let place = offset + blanks.utf8.count
        if let field = MessageField(rawValue: name) { return .own(field) }
        if name.hasPrefix("message.") || name.hasPrefix("record.") {
            throw OutputLanguage.Problem(
                "there is no field \"\(name)\"", suggestion: nearMiss(to: name, among: MessageField.allCases.map(\.rawValue)), offset: place)
        }
        do throws(OutputLanguage.Problem) { return .alert(try language.expression(name)) } catch {
            throw OutputLanguage.Problem(error.message, suggestion: error.suggestion, offset: place + error.offset)
        }
    }

    /// The text for one message. What it has no value for reads `<NA>`, as in Falco's outputs.
    package func text(for message: OutputMessage) -> String {
        parts.reduce(into: "") { result, part in
            switch part {
            case .text(let text): result += text
            case .own(let field): result += format.escaped(field.value(in: message).map(\.templateText) ?? Self.absent)
            case .alert(let expression): result += format.escaped(message.alert.flatMap(expression).map(\.templateText) ?? Self.absent)
            }
        }
    }

    private static let absent: ByteText = "<NA>"
}

/// The fields that templates have beside those of alerts.
package enum MessageField: String, CaseIterable, Sendable {
    case kind = "message.kind"
    case id = "message.id"
    case uuid = "message.uuid"
    case title = "message.title"
    case text = "message.text"
    case priority = "message.priority"
    case time = "message.time"
    case host = "message.host"
    case count = "message.count"
    case payload = "message.payload"
    case recordKind = "record.kind"
    case recordID = "record.id"
    case alertID = "record.alert"
    case playbook = "record.playbook"
    case step = "record.step"
    case action = "record.action"
    case target = "record.target"
    case mode = "record.mode"
    case outcome = "record.outcome"
    case reason = "record.reason"
    case words = "record.message"
    case actor = "record.actor"

    func value(in message: OutputMessage) -> JSON? {
        let record = message.record
        switch self {
        case .kind: return .text(message.kind.rawValue)
        case .id: return .text(message.hash)
        case .uuid: return .text(message.uuid)
        case .title: return .string(message.title)
        case .text: return .string(message.text)
        case .priority: return .text("\(message.priority)")
        case .time: return .text("\(message.time)")
        case .host: return .text(message.host)
        case .count: return .integer(Int64(message.summary?.count ?? 1))
        case .payload: return .object(message.falcosidekickPayload)
        case .recordKind: return record.map { .text($0.kind.rawValue) }
        case .recordID: return record?.id.map { .text("\($0)") } ?? message.alert.map { .text("\($0.id)") }
        case .alertID: return record?.alert.map { .text("\($0)") } ?? message.alert.map { .text("\($0.id)") }
        case .playbook: return record?.playbook.map(JSON.text)
        case .step: return record?.step.map(JSON.text)
        case .action: return record?.action.map(JSON.text)
        case .target: return record?.target.map { .text($0.summary) }
        case .mode: return record?.mode.map { .text($0.rawValue) }
        case .outcome: return record?.outcome.map { .text($0.rawValue) }
        case .reason: return record?.reason.map(JSON.text)
        case .words: return record?.message.map(JSON.text)
        case .actor: return record?.actor.map { .text($0.name) }
        }
    }
}

extension OutputMessage {
    package var alert: Alert? { if case .alert(let alert) = content { alert.alert } else { nil } }

    package var summary: Notice.Summary? { if case .notice(let notice) = content { notice.summary } else { nil } }

    /// The record that it tells of, where it is no alert.
    package var record: AuditRecord? {
        switch content {
        case .record(let record): record
        case .notice(let notice): notice.record
        case .alert, .test: nil
        }
    }
}

extension JSON {
    /// A text as it is, a list's elements joined by commas, all else as JSON.
    var templateText: ByteText {
        switch self {
        case .string(let text): text
        case .array(let elements): ByteText(Array(elements.map(\.templateText.bytes).joined(separator: [UInt8(ascii: ",")])))
        default: ByteText(bytes)
        }
    }
}
