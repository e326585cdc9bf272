package import RiposteCore

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

/// Writes alerts as Falco does: the text line and the JSON object, property for property (spec: rules-language 7 and 8).
package struct AlertFormatter: Sendable {
    package var hostname: String
    /// `time_format_iso_8601`: the text line's time in UTC.
    package var usesISO8601 = false
    package var includesOutput = true
    package var includesOutputFields = true
    package var includesTags = true
    /// `message`: the text without time and priority.
    package var includesMessage = false
    /// Of a buffer no more bytes than this are printed.
    private static let bufferLimit = 80

    package init(hostname: String) { self.hostname = hostname }

    /// The alert of a rule for the event that the judge has at hand.
    package func document(of rule: Rule, at time: Timestamp, _ judge: RuleJudge) -> JSONObject {
        var document = JSONObject()
        document.append("hostname", .text(hostname))
        let message = text(of: rule.output, at: time, judge)
        if includesMessage { document.append("message", .string(ByteText(message))) }
        if includesOutput {
            let clock = usesISO8601 ? Self.iso8601(time) : Self.localTime(time)
            document.append("output", .string(ByteText(Array("\(clock): \(rule.priority.name) ".utf8) + message)))
        }
        if includesOutputFields { document.append("output_fields", .object(outputFields(of: rule, at: time, judge))) }
        document.append("priority", .text(rule.priority.name))
        document.append("rule", .text(rule.name))
        document.append("source", .text(rule.source))
        if includesTags { document.append("tags", .array(rule.tags.map(JSON.text))) }
        document.append("time", .text("\(time)"))
        return document
    }

    private func outputFields(of rule: Rule, at time: Timestamp, _ judge: RuleJudge) -> JSONObject {
        var members: [ByteText: JSON] = [:]
        for token in rule.output.tokens { members[ByteText(token.key)] = Self.times.contains(token.key) ? .integer(time.nanoseconds) : json(judge.value(token.slot), token) }
        members[usesISO8601 ? "evt.time.iso8601" : "evt.time"] = .integer(time.nanoseconds)
        for (key, extra) in rule.extraFields {
            members[ByteText(key)] =
                switch extra {
                case .field(let token): json(judge.value(token.slot), token)
                case .template(let template): .string(ByteText(text(of: template, at: time, judge)))
                }
        }
        // Falco sorts them.
        return JSONObject(members.sorted { $0.key < $1.key }.map { JSONObject.Member(key: $0.key, value: $0.value) })
    }

    // MARK: - Values

    /// Fields that tell the event's time, in whatever form the text has it.
    private static let times: Set<String> = ["evt.time", "evt.time.iso8601"]

    private func text(of template: OutputTemplate, at time: Timestamp, _ judge: RuleJudge) -> [UInt8] {
        var text: [UInt8] = []
        for segment in template.segments {
            switch segment {
            case .text(let part): text += part
            case .value(let token): text += bytes(of: token, at: time, judge)
            }
        }
        return text
    }

    private func bytes(of token: OutputTemplate.Token, at time: Timestamp, _ judge: RuleJudge) -> [UInt8] {
        var bytes: [UInt8] = []
        switch token.key {
        case "evt.time": bytes += Self.localTime(time).utf8
        case "evt.time.iso8601": bytes += Self.iso8601(time).utf8
        default: append(judge.value(token.slot), token, to: &bytes)
        }
        guard let width = token.width else { return bytes }
        return Array(bytes.prefix(width)) + Array(repeating: UInt8(ascii: " "), count: max(0, width - bytes.count))
    }

    private func append(_ value: FieldView, _ token: OutputTemplate.Token, to bytes: inout [UInt8]) {
        switch value {
        case .absent: bytes += "<NA>".utf8
        case .list(let elements) where token.isJoined:
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: " ")) }
                element.append(to: &bytes)
            }
        case .text(let text) where token.type == .bytes: bytes += text.prefix(Self.bufferLimit).map { 0x20...0x7E ~= $0 ? $0 : UInt8(ascii: ".") }
        case .integer(let number) where token.type == .uint: bytes += String(UInt64(bitPattern: number)).utf8
        default: value.append(to: &bytes)
        }
    }

    private func json(_ value: FieldView, _ token: OutputTemplate.Token) -> JSON {
        switch value {
        case .absent: return .null
        case .integer(let number):
            guard token.type == .uint, number < 0 else { return .integer(number) }
            return .number(ByteText(String(UInt64(bitPattern: number))))
        case .bool(let truth): return .bool(truth)
        case .list(let elements) where !token.isJoined: return .array(elements.map { json($0, token) })
        case .text, .address, .list:
            var bytes: [UInt8] = []
            append(value, token, to: &bytes)
            return .string(ByteText(bytes))
        }
    }

    // MARK: - Time

    /// `2026-03-04T11:22:33.123456789+0000`.
    private static func iso8601(_ time: Timestamp) -> String { "\(time)".dropLast() + "+0000" }

    /// `11:22:33.123456789` in the host's time zone.
    private static func localTime(_ time: Timestamp) -> String {
        let (quotient, remainder) = time.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        var seconds = time_t(remainder < 0 ? quotient - 1 : quotient)
        let fraction = remainder < 0 ? remainder + 1_000_000_000 : remainder
        var parts = tm()
        localtime_r(&seconds, &parts)
        func digits(_ value: some BinaryInteger, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        return "\(digits(parts.tm_hour, 2)):\(digits(parts.tm_min, 2)):\(digits(parts.tm_sec, 2)).\(digits(fraction, 9))"
    }
}
