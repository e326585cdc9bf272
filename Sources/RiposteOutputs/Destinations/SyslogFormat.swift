internal import Foundation
internal import RiposteCore

/// A message as RFC 5424 has it: header, structured data, and the words in one of three formats.
struct SyslogFormat: Sendable {
    enum Words: String, CaseIterable, Sendable {
        /// The payload on one line.
        case json
        /// A line for people, or the template `text`.
        case text
        /// ArcSight's Common Event Format.
        case cef
    }

    enum Facility: String, CaseIterable, Sendable {
        case kern, user, mail, daemon, auth, syslog, lpr, news, uucp, cron, authpriv, ftp, ntp, security, console, clock
        case local0, local1, local2, local3, local4, local5, local6, local7

        /// Their order is that of their numbers (RFC 5424, 6.2.1; 12 to 15 are spelled differently everywhere).
        var number: Int { Self.allCases.firstIndex(of: self) ?? 16 }
    }

    private let facility: Facility
    private let appName: String
    private let hostname: String
    private let words: Words
    private let text: MessageTemplate?
    private let structuredID: String?
    private let hasMark: Bool
    private let limit: Int

    init?(_ settings: DestinationSettings, _ context: DestinationContext, standardLimit: Int) {
        facility = settings.choice("facility", Facility.self) ?? .local0
        let visible: (Unicode.Scalar) -> Bool = { 0x21...0x7E ~= $0.value }
        appName = String((settings.word("app_name", isAllowed: visible, expecting: "a word of at most 48 visible ASCII characters") ?? "riposte").prefix(48))
        hostname = Self.headerWord(settings.word("hostname", isAllowed: visible, expecting: "a word of visible ASCII characters") ?? context.host, 255)
        words = settings.choice("format", Words.self) ?? .json
        text = settings.lineTemplate("text")
        if text != nil, words != .text { settings.report("text", "text has no effect in \(settings.title): format is \(words.rawValue)") }
        let data = settings.section("structured_data")
        let isOn = data.bool("enabled") ?? true
        let id = data.word("id", isAllowed: { visible($0) && !"=]\"".unicodeScalars.contains($0) }, expecting: "a name such as riposte@32473, of at most 32 characters")
        if let id, id.utf8.count > 32 { data.report("id", "expected at most 32 characters for id of \(data.title)") }
        structuredID = isOn ? id ?? "riposte@32473" : nil
        hasMark = settings.bool("bom") ?? true
        limit = settings.size("max_bytes", in: 480...1 << 20) ?? standardLimit
        guard !settings.hasProblems else { return nil }
    }

    /// Never longer than the limit: what is cut is the words, and of JSON whole members, so that it stays JSON.
    func bytes(of message: OutputMessage) -> [UInt8] {
        let header = Array(header(of: message).utf8)
        let room = max(0, limit - header.count)
        switch words {
        case .json: return header + SyslogShrink.payload(of: message, within: room)
        case .cef: return header + SyslogShrink.cut(Array(CommonEvent(message).text.utf8), to: room)
        case .text:
            let words = Array((text?.text(for: message) ?? "\(message.title.shown): \(message.text.shown)").utf8)
            // What is not all ASCII says so with the mark (RFC 5424, 6.4).
            let mark: [UInt8] = hasMark && words.contains { $0 >= 0x80 } ? [0xEF, 0xBB, 0xBF] : []
            return header + mark + SyslogShrink.cut(words, to: max(0, room - mark.count))
        }
    }

    private func header(of message: OutputMessage) -> String {
        let priority = facility.number * 8 + message.priority.syslogSeverity
        let start = "<\(priority)>1 \(Self.time(message.time)) \(hostname) \(appName) \(getpid()) \(message.kind.rawValue) "
        guard let structuredID else { return start + "- " }
        // Half of the room is for the words, however long the values are.
        let wholes = Self.valueLengths.lazy.map { start + structuredData(of: message, structuredID, atMost: $0) + " " }
        return wholes.first { $0.utf8.count <= limit / 2 } ?? start + "- "
    }

    /// At most six digits of a second.
    private static func time(_ time: Timestamp) -> String {
        "\(time)".replacing(/(\.\d{6})\d+/) { String($0.output.1) }
    }

    private static func headerWord(_ text: String, _ length: Int) -> String {
        let word = String(decoding: text.utf8.filter { 0x21...0x7E ~= $0 }.prefix(length), as: UTF8.self)
        return word.isEmpty ? "-" : word
    }

    // MARK: - Structured data

    private static let valueLengths = [256, 64, 16]

    private func structuredData(of message: OutputMessage, _ id: String, atMost length: Int) -> String {
        let parameters = message.structuredFacts.map { " \($0.name)=\"\($0.name == "uuid" ? $0.value.shown : Self.escaped($0.value, atMost: length))\"" }
        return "[\(id)\(parameters.joined())]"
    }

    /// `"`, `\` and `]` with a backslash before (RFC 5424, 6.3.3); control characters were made visible before.
    private static func escaped(_ value: ByteText, atMost length: Int) -> String {
        let shown = String(decoding: SyslogShrink.cut(Array(value.shown.utf8), to: length), as: UTF8.self)
        return shown.unicodeScalars.reduce(into: "") { result, scalar in
            if scalar == "\"" || scalar == "\\" || scalar == "]" { result += "\\" }
            result.unicodeScalars.append(scalar)
        }
    }
}

extension Priority {
    /// RFC 5424, 6.2.1: 0 is the gravest.
    var syslogSeverity: Int {
        switch self {
        case .emergency: 0
        case .alert: 1
        case .critical: 2
        case .error: 3
        case .warning: 4
        case .notice: 5
        case .informational: 6
        case .debug: 7
        }
    }
}

extension OutputMessage {
    fileprivate var structuredFacts: [(name: String, value: ByteText)] {
        var facts: [(name: String, value: ByteText)] = [("uuid", ByteText(uuid)), ("priority", ByteText("\(priority)"))]
        if let alert {
            facts.append(("rule", alert.rule))
            if let source = alert.source { facts.append(("source", source)) }
        }
        guard let record else { return facts }
        let more: [(String, String?)] = [
            ("record", record.kind.rawValue), ("playbook", record.playbook), ("step", record.step), ("action", record.action), ("outcome", record.outcome?.rawValue),
            ("target", record.target?.summary), ("alert", record.alert.map { "\($0)" }),
        ]
        for (name, value) in more { if let value { facts.append((name, ByteText(value))) } }
        return facts
    }
}

/// Makes messages fit.
enum SyslogShrink {
    /// Whole characters.
    static func cut(_ bytes: [UInt8], to length: Int) -> [UInt8] {
        guard bytes.count > length else { return bytes }
        var end = length
        while end > 0, bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return Array(bytes.prefix(end))
    }

    /// The payload, if need be without what takes the most room, and says so (`truncated`).
    static func payload(of message: OutputMessage, within room: Int) -> [UInt8] {
        let whole = message.payloadBytes
        guard whole.count > room else { return whole }
        var object = message.falcosidekickPayload
        object["truncated"] = true
        for key in ["riposte", "output_fields"] as [ByteText] {
            object.members.removeAll { $0.key == key }
            let bytes = JSON.object(object).bytes
            if bytes.count <= room { return bytes }
        }
        object.members.removeAll { !["uuid", "output", "priority", "rule", "time", "truncated"].contains($0.key) }
        for key in ["output", "rule"] as [ByteText] {
            guard let text = object[key]?.string else { continue }
            var length = text.bytes.count
            while length > 16, JSON.object(object).bytes.count > room {
                length /= 2
                object[key] = .string(ByteText(cut(text.bytes, to: length)))
            }
        }
        // Of control characters each takes six bytes.
        for key in ["output", "rule"] as [ByteText] where JSON.object(object).bytes.count > room { object[key] = "" }
        return JSON.object(object).bytes
    }
}
