internal import RiposteCore
internal import RiposteTransport

/// An incoming webhook of Slack, Mattermost or Rocket.Chat: one message with an attachment, coloured by priority, its fields in falcosidekick's order.
/// Slack: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>, attachments
/// <https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments>.
package struct SlackDestination: Destination {
    package static let kind = "slack"

    private enum Flavor: String, CaseIterable, Sendable {
        case slack
        /// These two read Markdown where Slack reads its own marks.
        case mattermost, rocketchat

        var format: TextFormat { self == .slack ? .slack : .markdown }
    }

    private enum Content: String, CaseIterable, Sendable { case all, text, fields }

    private let endpoint: HTTPEndpoint
    private let format: TextFormat
    private let content: Content
    private let text: MessageTemplate?
    private let constants: JSONObject
    private let footer: String?
    private let now: @Sendable () -> Timestamp
    package let limits: BatchLimits

    /// Of a message's text. Slack cuts at 40 000 and folds long before; Mattermost takes 16 383 with all attachments.
    private static let textLimit = 8000
    private static let valueLimit = 2000
    private static let fieldLimit = 60

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let endpoint = HTTPEndpoint(settings, context)
        format = (settings.choice("flavor", Flavor.self) ?? .slack).format
        content = settings.choice("content", Content.self) ?? .all
        text = settings.template("text", for: format)
        footer = settings.text("footer")
        var constants: JSONObject = ["username": .text(settings.text("username") ?? "Riposte")]
        constants.append("icon_url", settings.text("icon").map(JSON.text))
        constants.append("channel", settings.text("channel").map(JSON.text))
        self.constants = constants
        now = context.now
        guard let endpoint else { return nil }
        self.endpoint = endpoint
        limits = endpoint.single
    }

    package var place: String { "webhook at \(endpoint.origin)" }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        let now = now()
        return await endpoint.post(batch, at: now, verdict: { Self.verdict($0, at: now) }, body: body)
    }

    /// Slack says what is wrong in a word. Of channels and webhooks that are gone a person makes new ones: nothing is wrong with the message.
    private static func verdict(_ response: HTTPResponse, at now: Timestamp) -> DeliveryReport.Fate? {
        let places = ["channel_not_found", "channel_is_archived", "user_not_found", "no_service", "no_team", "team_disabled", "no_active_hooks", "invalid_token"]
        guard response.status / 100 == 4, response.status == 410 || places.contains(where: { response.says($0) }) else { return nil }
        return .tryAgain(reason: response.shown, after: response.retryAfter(at: now))
    }

    private func body(_ message: OutputMessage) -> JSON {
        let facts = MessageFacts(message)
        let output = format.escaped(facts.output, atMost: Self.textLimit)
        var attachment: JSONObject = ["fallback": .text(output), "color": .text("#\(facts.priority.color)")]
        if content != .fields { attachment["text"] = .text(output) }
        if content != .text { attachment["fields"] = .array(fields(facts)) }
        attachment.append("footer", footer.map(JSON.text))
        var object = JSONObject()
        object.append("text", text.map { .text($0.text(for: message).cut(to: Self.textLimit)) })
        object.members += constants.members
        object["attachments"] = [.object(attachment)]
        return .object(object)
    }

    private func fields(_ facts: MessageFacts) -> [JSON] {
        var fields = [
            field("rule", facts.rule, isShort: true), field("priority", ByteText(facts.priority.name), isShort: true), field("source", facts.source, isShort: true),
            field("hostname", facts.hostname, isShort: true),
        ]
        if !facts.tags.isEmpty { fields.append(field("tags", facts.tagList, isShort: true)) }
        fields += facts.fields.prefix(Self.fieldLimit).map { fact in
            let value = fact.value.templateText
            return field(fact.name, value, isShort: value.bytes.count < 36)
        }
        if case let more = facts.fields.count - Self.fieldLimit, more > 0 { fields.append(field("…", ByteText("\(more) more fields"), isShort: true)) }
        return fields + [field("time", ByteText("\(facts.time)"), isShort: false)]
    }

    private func field(_ name: ByteText, _ value: ByteText, isShort: Bool) -> JSON {
        // A title shows no marks: the usual names are not broken up by escapes for them.
        let isPlain = name.bytes.allSatisfy { 0x30...0x39 ~= $0 || 0x41...0x5A ~= $0 || 0x61...0x7A ~= $0 || "._[]".utf8.contains($0) }
        return [
            "title": .text((isPlain ? .line : format).escaped(name, atMost: 200)), "value": .text(format.escaped(value, atMost: Self.valueLimit)), "short": .bool(isShort),
        ]
    }
}
