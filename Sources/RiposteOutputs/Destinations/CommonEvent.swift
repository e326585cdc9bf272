internal import RiposteCore

/// A message in ArcSight's Common Event Format, version 0: `CEF:0|vendor|product|version|class|name|severity|key=value key=value`.
struct CommonEvent {
    private let message: OutputMessage

    init(_ message: OutputMessage) { self.message = message }

    /// The version is that of these fields, not of the program.
    var text: String {
        let head = ["Riposte", "Riposte", "1.0", eventClass, message.title.shown, "\(severity)"].map { Self.escapedInHead(ByteText($0)) }
        return "CEF:0|" + head.joined(separator: "|") + "|" + fields.map { "\($0.key)=\(Self.escapedInValue($0.value))" }.joined(separator: " ")
    }

    private var eventClass: String {
        if let alert = message.alert { return alert.rule.shown }
        return message.record.map { $0.action ?? $0.kind.rawValue } ?? message.kind.rawValue
    }

    /// 0 to 10.
    private var severity: Int {
        switch message.priority {
        case .debug: 0
        case .informational: 3
        case .notice: 4
        case .warning: 6
        case .error: 7
        case .critical: 8
        case .alert: 9
        case .emergency: 10
        }
    }

    // MARK: - Fields

    private typealias Field = (key: String, value: ByteText)

    /// CEF's own keys where there is one for it, the numbered custom ones with their labels for the rest.
    private var fields: [Field] {
        var fields: [Field] = [
            ("externalId", ByteText(message.uuid)), ("rt", ByteText("\(message.time.nanoseconds / 1_000_000)")), ("dvchost", ByteText(message.host)),
            ("cat", ByteText(message.kind.rawValue)), ("msg", message.text),
        ]
        if let alert = message.alert { fields += Self.fields(of: alert) }
        if let record = message.record { fields += Self.fields(of: record) }
        return fields
    }

    private static func fields(of alert: Alert) -> [Field] {
        var fields: [Field] = []
        for (key, name) in [
            ("sproc", "proc.name"), ("spid", "proc.pid"), ("suser", "user.name"), ("fname", "fd.name"), ("dst", "fd.rip"), ("dpt", "fd.rport"),
        ] as [(String, ByteText)] {
            if let value = alert[field: name] { fields.append((key, value.plainText)) }
        }
        if let host = alert.hostname { fields.append(("shost", host)) }
        fields += labelled(1, "rule", alert.rule)
        if !alert.tags.isEmpty { fields += labelled(2, "tags", ByteText(Array(alert.tags.sorted().map(\.bytes).joined(separator: [UInt8(ascii: ",")])))) }
        if let container = alert[field: "container.id"] { fields += labelled(3, "container.id", container.plainText) }
        if let source = alert.source { fields += labelled(4, "source", source) }
        if !alert.fields.isEmpty { fields += labelled(6, "output_fields", ByteText(JSON.object(alert.fields).bytes)) }
        return fields
    }

    private static func fields(of record: AuditRecord) -> [Field] {
        var fields: [Field] = []
        func add(_ key: String, _ value: String?) { if let value { fields.append((key, ByteText(value))) } }
        add("act", record.action)
        add("outcome", record.outcome?.rawValue)
        add("reason", record.reason)
        add("suser", record.actor?.name)
        if let playbook = record.playbook { fields += labelled(1, "playbook", ByteText(playbook)) }
        if let target = record.target { fields += labelled(2, "target", ByteText(target.summary)) }
        if let mode = record.mode { fields += labelled(3, "mode", ByteText(mode.rawValue)) }
        if let alert = record.alert { fields += labelled(4, "alert", ByteText("\(alert)")) }
        if let step = record.step { fields += labelled(5, "step", ByteText(step)) }
        return fields
    }

    private static func labelled(_ number: Int, _ label: String, _ value: ByteText) -> [Field] {
        [("cs\(number)Label", ByteText(label)), ("cs\(number)", value)]
    }

    // MARK: - Escaping

    /// `\` and `|`; there are no line breaks in a head.
    private static func escapedInHead(_ value: ByteText) -> String { backslashed(value.shown, "\\|") }

    /// `\` and `=`, and `\n` for a line break; other control characters are made visible first.
    private static func escapedInValue(_ value: ByteText) -> String {
        TextFormat.plain.escaped(value).split(separator: "\n", omittingEmptySubsequences: false).map { backslashed(String($0), "\\=") }.joined(separator: "\\n")
    }

    private static func backslashed(_ text: String, _ marks: String) -> String {
        text.unicodeScalars.reduce(into: "") { result, scalar in
            if marks.unicodeScalars.contains(scalar) { result += "\\" }
            result.unicodeScalars.append(scalar)
        }
    }
}

extension JSON {
    fileprivate var plainText: ByteText { string ?? ByteText(bytes) }
}
