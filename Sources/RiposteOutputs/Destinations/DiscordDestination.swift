internal import RiposteCore
internal import RiposteTransport

/// A webhook of Discord: an embed, coloured by priority. No mention is looked for in it. <https://discord.com/developers/docs/resources/webhook#execute-webhook>
package struct DiscordDestination: Destination {
    package static let kind = "discord"

    private let endpoint: HTTPEndpoint
    private let text: MessageTemplate?
    private let name: String
    private let icon: String?
    private let now: @Sendable () -> Timestamp
    package let limits: BatchLimits

    // Discord's limits; all texts of an embed together have 6000 at most, so ours are smaller.
    private static let (titleLimit, textLimit, nameLimit, valueLimit, fieldLimit, total) = (256, 2000, 100, 300, 25, 5500)

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let endpoint = HTTPEndpoint(settings, context)
        text = settings.template("text", for: .markdown)
        name = settings.text("username") ?? "Riposte"
        if !Self.isName(name) { settings.report("username", "expected a name of 80 characters at most without \"discord\" and \"clyde\" for username of \(settings.title)") }
        icon = settings.text("icon")
        now = context.now
        guard let endpoint else { return nil }
        self.endpoint = endpoint
        limits = endpoint.single
    }

    package var place: String { "webhook at \(endpoint.origin)" }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        let now = now()
        // Without it a message that is not stored is answered as if it were.
        return await endpoint.post(batch, query: [("wait", "true")], at: now, verdict: { Self.verdict($0, at: now) }, body: body)
    }

    /// What Discord takes as one: with any other each message would be refused.
    private static func isName(_ text: String) -> Bool {
        1...80 ~= text.utf16.count && !["discord", "clyde"].contains { text.lowercased().contains($0) }
    }

    /// With 429 the wait stands in the body too, more exactly. A webhook that is gone does not come back, and who tries it often is locked out: a new one is
    /// tried at once, as its URL is another configuration.
    private static func verdict(_ response: HTTPResponse, at now: Timestamp) -> DeliveryReport.Fate? {
        if response.status == 404 { return .tryAgain(reason: response.shown, after: .seconds(3600)) }
        guard response.status == 429, let wait = response.json?["retry_after"]?.seconds else { return nil }
        return .tryAgain(reason: response.shown, after: wait)
    }

    private func body(_ message: OutputMessage) -> JSON {
        let facts = MessageFacts(message)
        let format = TextFormat.markdown
        let title = format.escaped(facts.rule, atMost: Self.titleLimit)
        let text = text.map { $0.text(for: message).cut(to: Self.textLimit) } ?? format.escaped(facts.output, atMost: Self.textLimit)
        var left = Self.total - title.utf16.count - text.utf16.count
        let first: [(name: ByteText, value: ByteText)] = [
            ("priority", ByteText(facts.priority.name)), ("source", facts.source), ("hostname", facts.hostname), ("tags", facts.tagList),
        ]
        var fields: [JSON] = []
        for fact in first + facts.fields.map({ ($0.name, $0.value.templateText) }) where !fact.name.isEmpty && !fact.value.isEmpty && fields.count < Self.fieldLimit {
            let (name, value) = (format.escaped(fact.name, atMost: Self.nameLimit), format.escaped(fact.value, atMost: Self.valueLimit))
            left -= name.utf16.count + value.utf16.count
            guard left >= 0 else { break }
            fields.append(["name": .text(name), "value": .text(value), "inline": .bool(value.utf16.count < 36)])
        }
        var object: JSONObject = ["username": .text(name)]
        object.append("avatar_url", icon.map(JSON.text))
        object["allowed_mentions"] = ["parse": []]
        object["embeds"] = [
            [
                "title": .text(title), "description": .text(text), "color": .integer(Int64(facts.priority.color, radix: 16) ?? 0), "timestamp": .text("\(facts.time)"),
                "fields": .array(fields),
            ]
        ]
        return .object(object)
    }
}

extension JSON {
    /// A number of seconds, with decimals or without, at most a day.
    var seconds: Duration? {
        let value: Double? = if case .number(let text) = self { Double(text.repaired) } else { integer.map(Double.init) }
        guard let value, value >= 0 else { return nil }
        return .milliseconds(Int64((min(value, 86400) * 1000).rounded(.up)))
    }
}
