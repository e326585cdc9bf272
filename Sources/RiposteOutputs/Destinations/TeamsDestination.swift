internal import RiposteCore
internal import RiposteTransport

/// Microsoft Teams: an adaptive card to a workflow's webhook ("When a Teams webhook request is received"). Values stand in text runs, in which nothing is
/// markup. <https://adaptivecards.io/explorer/RichTextBlock.html>
package struct TeamsDestination: Destination {
    package static let kind = "teams"

    private let endpoint: HTTPEndpoint
    private let text: MessageTemplate?
    private let now: @Sendable () -> Timestamp
    package let limits: BatchLimits

    /// A message has 28 KiB at most: so much of JSON for what varies leaves room for the frame.
    private static let (textLimit, nameLimit, valueLimit, fieldBytes) = (4000, 100, 500, 8 << 10)

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let endpoint = HTTPEndpoint(settings, context)
        text = settings.template("text", for: .plain)
        now = context.now
        guard let endpoint else { return nil }
        self.endpoint = endpoint
        limits = endpoint.single
    }

    package var place: String { "workflow at \(endpoint.origin)" }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport { await endpoint.post(batch, at: now(), verdict: Self.verdict, body: body) }

    /// The older connectors answer 200 and tell the failure in words.
    private static func verdict(_ response: HTTPResponse) -> DeliveryReport.Fate? {
        guard response.status == 200, response.says("Webhook message delivery failed") else { return nil }
        return response.says("HTTP error 413", "HTTP error 400") ? .rejected(reason: response.shown) : .tryAgain(reason: response.shown)
    }

    private func body(_ message: OutputMessage) -> JSON {
        let facts = MessageFacts(message)
        let text = text.map { $0.text(for: message).cut(to: Self.textLimit) } ?? TextFormat.plain.escaped(facts.output, atMost: Self.textLimit)
        let title = Self.run(TextFormat.line.escaped(facts.rule, atMost: 300), ["weight": "Bolder", "size": "Medium", "color": .text(Self.color(facts.priority))])
        var blocks = [Self.block([title])] + text.split(separator: "\n").prefix(60).map { Self.block([Self.run(String($0))]) }
        var left = Self.fieldBytes
        let first: [(name: ByteText, value: ByteText)] = [
            ("priority", ByteText(facts.priority.name)), ("source", facts.source), ("hostname", facts.hostname), ("tags", facts.tagList),
            ("time", ByteText("\(facts.time)")),
        ]
        for fact in first + facts.fields.map({ ($0.name, $0.value.templateText) }) where !fact.value.isEmpty {
            let (name, value) = (TextFormat.line.escaped(fact.name, atMost: Self.nameLimit), TextFormat.line.escaped(fact.value, atMost: Self.valueLimit))
            let block = Self.block([Self.run("\(name): ", ["isSubtle": true]), Self.run(value)], spacing: "None")
            left -= block.bytes.count
            guard left >= 0 else { break }
            blocks.append(block)
        }
        let card: JSON = [
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "msteams": ["width": "Full"], "body": .array(blocks),
        ]
        return ["type": "message", "attachments": [["contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil, "content": card]]]
    }

    private static func block(_ runs: [JSON], spacing: String = "Default") -> JSON { ["type": "RichTextBlock", "spacing": .text(spacing), "inlines": .array(runs)] }

    private static func run(_ text: String, _ style: JSONObject = [:]) -> JSON {
        .object(JSONObject([.init(key: "type", value: "TextRun"), .init(key: "text", value: .text(text))] + style.members))
    }

    private static func color(_ priority: Priority) -> String {
        switch priority {
        case .emergency, .alert, .critical, .error: "Attention"
        case .warning: "Warning"
        case .notice, .informational, .debug: "Accent"
        }
    }
}
