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
        var details = JSONObject(facts.fields.map { .init(key: $0.name, value: .text(TextFormat.plain.escaped($0.value.templateText, atMost: 4000))) })
        for (key, value) in [("output", facts.output), ("rule", facts.rule), ("priority", ByteText(facts.priority.name)), ("hostname", facts.hostname), ("uuid", ByteText(message.uuid))] {
            details[ByteText(key)] = .text(TextFormat.plain.escaped(value, atMost: 8000))
        }
        if !facts.tags.isEmpty { details["tags"] = .text(facts.tags.map(\.shown).joined(separator: ", ")) }
        return [
            "routing_key": .text(key.revealed), "event_action": "trigger", "dedup_key": .text(name), "client": "Riposte",
            "payload": [
                "summary": .text(TextFormat.line.escaped(summary, atMost: 1024)), "source": .text(TextFormat.line.escaped(facts.hostname.isEmpty ? "unknown" : facts.hostname, atMost: 255)),
                "severity": .text(Self.severity(facts.priority)), "timestamp": .text("\(facts.time)"), "component": .text(TextFormat.line.escaped(facts.source, atMost: 255)),
                "class": .text(TextFormat.line.escaped(facts.rule, atMost: 255)), "custom_details": .object(details),
            ],
        ]
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
