internal import RiposteCore
internal import RiposteTransport

/// A webhook of a Google Chat space: a card, in which only HTML's marks mean something, and these are escaped.
/// <https://developers.google.com/workspace/chat/api/reference/rest/v1/cards>
package struct GoogleChatDestination: Destination {
    package static let kind = "googlechat"

    private let endpoint: HTTPEndpoint
    private let text: MessageTemplate?
    private let now: @Sendable () -> Timestamp
    package let limits: BatchLimits

    /// A message has 32 000 bytes at most, a card 100 widgets.
    private static let (textLimit, nameLimit, valueLimit, fieldLimit, fieldBytes) = (4000, 100, 500, 60, 12 << 10)

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let endpoint = HTTPEndpoint(settings, context)
        text = settings.template("text", for: .html)
        now = context.now
        guard let endpoint else { return nil }
        self.endpoint = endpoint
        limits = endpoint.single
    }

    package var place: String { "space at \(endpoint.origin)" }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport { await endpoint.post(batch, at: now(), body: body) }

    private func body(_ message: OutputMessage) -> JSON {
        let facts = MessageFacts(message)
        let text = text.map { $0.text(for: message).cut(to: Self.textLimit) } ?? TextFormat.html.escaped(facts.output, atMost: Self.textLimit)
        var widgets: [JSON] = [["textParagraph": ["text": .text(text)]]]
        var left = Self.fieldBytes
        let first: [(name: ByteText, value: ByteText)] = [
            ("source", facts.source), ("hostname", facts.hostname), ("tags", facts.tagList), ("time", ByteText("\(facts.time)")),
        ]
        for fact in first + facts.fields.map({ ($0.name, $0.value.templateText) }) where !fact.value.isEmpty && widgets.count < Self.fieldLimit {
            let widget: JSON = [
                "decoratedText": [
                    "topLabel": .text(TextFormat.html.escaped(fact.name, atMost: Self.nameLimit)), "text": .text(TextFormat.html.escaped(fact.value, atMost: Self.valueLimit)),
                    "wrapText": true,
                ]
            ]
            left -= widget.bytes.count
            guard left >= 0 else { break }
            widgets.append(widget)
        }
        let card: JSON = [
            "header": ["title": .text(TextFormat.line.escaped(facts.rule, atMost: 200)), "subtitle": .text(facts.priority.name)], "sections": [["widgets": .array(widgets)]],
        ]
        return ["cardsV2": [["cardId": .text(message.uuid), "card": card]]]
    }
}
