internal import RiposteCore

/// What destinations with a shape of their own tell of a message: falcosidekick's fields, for alerts, records, notices and tests alike.
struct MessageFacts: Sendable {
    let rule: ByteText
    let output: ByteText
    let priority: Priority
    /// When it happened; of what is no alert, when it was written down.
    let time: Timestamp
    let source: ByteText
    let hostname: ByteText
    let tags: [ByteText]
    /// By name. Numbers and truth values are among them; what is absent is not.
    let fields: [(name: ByteText, value: JSON)]

    init(_ message: OutputMessage) {
        let payload = message.falcosidekickPayload
        func text(_ key: ByteText) -> ByteText { payload[key]?.string ?? "" }
        rule = text("rule")
        output = message.text
        priority = message.priority
        time = message.alert?.time ?? message.time
        source = text("source")
        hostname = text("hostname")
        tags = payload["tags"]?.array?.compactMap(\.string) ?? []
        var seen: Set<ByteText> = []
        fields = (payload["output_fields"]?.object?.members ?? []).filter { $0.value != .null && seen.insert($0.key).inserted }.map { ($0.key, $0.value) }
            .sorted { $0.name < $1.name }
    }

    subscript(field name: ByteText) -> JSON? { fields.first { $0.name == name }?.value }

    /// `a, b`, not escaped.
    var tagList: ByteText { ByteText(Array(tags.map(\.bytes).joined(separator: Array(", ".utf8)))) }

    /// What makes two messages the same trouble: rule, host, and the container or pod. For services that make one incident of many messages.
    var subject: String {
        let parts = [rule, hostname] + ["container.id", "k8s.ns.name", "k8s.pod.name", "riposte.target"].compactMap { self[field: $0]?.templateText }
        return OutputMessage.digest(of: JSON.array(parts.map(JSON.string)).line)
    }
}

extension Priority {
    /// falcosidekick's colours, `RRGGBB`.
    var color: String {
        switch self {
        case .emergency, .error: "e20b0b"
        case .alert, .critical: "ff5400"
        case .warning: "ffc700"
        case .notice: "5bffb5"
        case .informational: "68c2ff"
        case .debug: "ccfff2"
        }
    }
}

extension ByteText {
    /// As a name of letters, digits and `_` that begins with no digit, for labels: `proc.aname[2]` → `proc_aname_2`. Empty where nothing is left of it.
    var labelName: String {
        let words = bytes.split { !(0x30...0x39 ~= $0 || 0x41...0x5A ~= $0 || 0x61...0x7A ~= $0) }.map { String(decoding: $0, as: UTF8.self) }
        let name = words.joined(separator: "_")
        return name.utf8.first.map { 0x30...0x39 ~= $0 } ?? false ? "_\(name)" : name
    }
}
