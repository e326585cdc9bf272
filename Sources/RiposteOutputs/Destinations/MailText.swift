internal import RiposteCore

/// The two faces of a message in a mail, laid out as falcosidekick's: facts first, then the fields by name.
enum MailText {
    private static let colours: [Priority: String] = [
        .emergency: "#e20b0b", .alert: "#ff5400", .critical: "#ff9000", .error: "#ffc700", .warning: "#ffff00", .notice: "#5bffb5", .informational: "#68c2ff", .debug: "#ccfff2",
    ]

    static func text(of message: OutputMessage) -> String {
        let facts = message.mailFacts.map { "\($0.name): \(TextFormat.plain.escaped($0.value).replacing("\n", with: "\r\n"))" }
        let fields = message.mailFields.map { "\($0.name.shown): \($0.value.shown)" }
        return (facts + (fields.isEmpty ? [] : ["", "--Fields--"] + fields)).joined(separator: "\r\n")
    }

    static func page(of batch: [OutputMessage]) -> String {
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body style=\"font-family:sans-serif\">\(batch.map(table).joined(separator: "<br>"))</body></html>"
    }

    private static func table(_ message: OutputMessage) -> String {
        let facts = message.mailFacts.map { row($0.name, $0.value) } + message.mailFields.map { row($0.name.repaired, $0.value) }
        let colour = colours[message.priority] ?? "#cccccc"
        return "<table style=\"border-left:8px solid \(colour);border-collapse:collapse\" cellpadding=\"4\">\(facts.joined())</table>"
    }

    private static func row(_ name: String, _ value: ByteText) -> String {
        let shown = TextFormat.html.escaped(value).replacing("\n", with: "<br>")
        return "<tr><td style=\"vertical-align:top\"><b>\(TextFormat.html.escaped(ByteText(name)))</b></td><td>\(shown)</td></tr>"
    }
}

extension OutputMessage {
    fileprivate var mailFacts: [(name: String, value: ByteText)] {
        let payload = falcosidekickPayload
        func text(_ key: ByteText) -> ByteText { payload[key]?.string ?? "" }
        var facts: [(name: String, value: ByteText)] = [
            ("Priority", text("priority")), ("Output", text("output")), ("Rule", text("rule")), ("Source", text("source")), ("Hostname", text("hostname")),
        ]
        let tags = payload["tags"]?.array?.compactMap { $0.string?.bytes } ?? []
        if !tags.isEmpty { facts.append(("Tags", ByteText(Array(tags.joined(separator: Array(", ".utf8)))))) }
        return facts + [("Time", text("time"))]
    }

    fileprivate var mailFields: [(name: ByteText, value: ByteText)] {
        (falcosidekickPayload["output_fields"]?.object?.members ?? []).sorted { $0.key < $1.key }.map { ($0.key, $0.value.string ?? ByteText($0.value.bytes)) }
    }
}
