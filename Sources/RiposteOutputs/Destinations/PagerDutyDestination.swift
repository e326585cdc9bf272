internal import RiposteCore
internal import RiposteTransport

/// PagerDuty's Events API v2: what is the same trouble is one incident. <https://developer.pagerduty.com/docs/send-alert-event>
package struct PagerDutyDestination: Destination {
    package static let kind = "pagerduty"

    private let endpoint: HTTPEndpoint
    private let key: Secret
    private let dedupKey: MessageTemplate?
    private let now: @Sendable () -> Timestamp
    package let limits: BatchLimits

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let endpoint = HTTPEndpoint(settings, context, standardURL: "https://events.pagerduty.com")
        let key = settings.required("routing_key", settings.secret)
        if let key, key.revealed.utf8.count != 32 { settings.report("routing_key", "expected an integration key of 32 characters for routing_key of \(settings.title)") }
        dedupKey = settings.template("dedup_key", for: .line)
        now = context.now
        guard let endpoint, let key else { return nil }
        self.endpoint = endpoint
        self.key = key
        limits = endpoint.single
    }

    package var place: String { "events at \(endpoint.origin)" }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        await endpoint.post(batch, path: "/v2/enqueue", at: now(), verdict: Self.verdict, body: body)
    }

    /// A key that PagerDuty does not take is no fault of the message.
    private static func verdict(_ response: HTTPResponse) -> DeliveryReport.Fate? {
        response.status == 400 && response.says("routing_key") ? .tryAgain(reason: response.shown) : nil
    }

    private func body(_ message: OutputMessage) -> JSON {
        let facts = MessageFacts(message)
        // The limits are characters; these are counted more cautiously.
        let name = dedupKey.map { OutputMessage.digest(of: $0.text(for: message)) } ?? facts.subject
        let summary = ByteText(facts.rule.bytes + Array(": ".utf8) + facts.output.bytes)
        return [
            "routing_key": .text(key.revealed), "event_action": "trigger", "dedup_key": .text(name), "client": "Riposte",
            "payload": [
                "summary": .text(TextFormat.line.escaped(summary, atMost: 1024)),
                "source": .text(TextFormat.line.escaped(facts.hostname.isEmpty ? "unknown" : facts.hostname, atMost: 255)),
                "severity": .text(Self.severity(facts.priority)), "timestamp": .text("\(facts.time)"), "component": .text(TextFormat.line.escaped(facts.source, atMost: 255)),
                "class": .text(TextFormat.line.escaped(facts.rule, atMost: 255)), "custom_details": .object(Self.details(message, facts)),
            ],
        ]
    }

    /// As many as fit: an event has 512 KB of JSON at most.
    private static func details(_ message: OutputMessage, _ facts: MessageFacts) -> JSONObject {
        let own: [(name: ByteText, value: ByteText)] = [
            ("output", facts.output), ("rule", facts.rule), ("priority", ByteText(facts.priority.name)), ("hostname", facts.hostname), ("uuid", ByteText(message.uuid)),
            ("tags", facts.tagList),
        ]
        var (details, left) = (JSONObject(), 256 << 10)
        for fact in own + facts.fields.map({ ($0.name, $0.value.templateText) }) where !fact.value.isEmpty {
            let name = ByteText(TextFormat.line.escaped(fact.name, atMost: 200))
            let value = TextFormat.plain.escaped(fact.value, atMost: 8000)
            left -= JSON.string(name).bytes.count + JSON.text(value).bytes.count + 2
            guard left >= 0 else { break }
            if details[name] == nil { details[name] = .text(value) }
        }
        return details
    }

    private static func severity(_ priority: Priority) -> String {
        switch priority {
        case .emergency, .alert, .critical: "critical"
        case .error: "error"
        case .warning: "warning"
        case .notice, .informational, .debug: "info"
        }
    }
}
