internal import RiposteCore
internal import RiposteTransport

/// OpenTelemetry log records by HTTP, in the protocol's JSON encoding.
/// <https://opentelemetry.io/docs/specs/otlp/#otlphttp>, data model <https://opentelemetry.io/docs/specs/otel/logs/data-model/>
package struct OTLPDestination: Destination {
    package static let kind = "otlp"

    private let endpoint: HTTPEndpoint
    private let resource: [JSON]
    private let now: @Sendable () -> Timestamp
    package let limits: BatchLimits

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let endpoint = HTTPEndpoint(settings, context)
        let own = settings.fixedTexts("resource", isName: { !$0.isEmpty && $0.utf8.allSatisfy { 0x21...0x7E ~= $0 } }, expecting: "an attribute's name such as service.namespace")
        var attributes: [(name: String, value: String)] = [("service.name", "riposte"), ("host.name", context.host)]
        attributes.removeAll { standard in own.contains { $0.name == standard.name } }
        resource = (attributes + own).map { Self.attribute(ByteText($0.name), .text($0.value)) }
        now = context.now
        limits = settings.batch(count: 500, deadline: (endpoint?.timeout ?? .zero) + .seconds(5))
        guard let endpoint else { return nil }
        self.endpoint = endpoint
    }

    package var place: String { endpoint.origin }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        let records = batch.map(record)
        let scope: JSON = ["scope": ["name": "riposte"], "logRecords": .array(records)]
        let body: JSON = ["resourceLogs": [["resource": ["attributes": .array(resource)], "scopeLogs": [scope]]]]
        let exchange = await endpoint.send(path: "/v1/logs", headers: [("Content-Type", "application/json")], body: body.bytes)
        guard let refusal = Self.refusal(exchange) else { return DeliveryReport(whole: exchange.fate(at: now()), count: batch.count, answer: exchange.answer) }
        guard refusal.count < batch.count else {
            return DeliveryReport(Array(repeating: .rejected(reason: refusal.reason), count: batch.count), answer: exchange.answer)
        }
        return DeliveryReport(delivered: batch.count, but: refusal, answer: exchange.answer)
    }

    /// A partial success says how many were refused for good, not which, and must not be tried again, in no other way either: those that were taken would
    /// come twice (OTLP, "Partial Success").
    private static func refusal(_ exchange: HTTPEndpoint.Exchange) -> DeliveryReport.Refusal? {
        guard let partial = exchange.success?.json?["partialSuccess"] else { return nil }
        let count = partial["rejectedLogRecords"].flatMap { $0.integer ?? $0.string.flatMap { Int64($0.repaired) } } ?? 0
        guard count > 0 else { return nil }
        let words = SecretMask.excerpt((partial["errorMessage"]?.string ?? "").bytes)
        return DeliveryReport.Refusal(count: Int(clamping: count), reason: words.isEmpty ? "refused without a reason" : "refused: \(words)")
    }

    private func record(_ message: OutputMessage) -> JSON {
        let facts = MessageFacts(message)
        var attributes = [
            Self.attribute("uuid", .text(message.uuid)), Self.attribute("kind", .text(message.kind.rawValue)), Self.attribute("rule", .string(facts.rule)),
            Self.attribute("priority", .text(facts.priority.name)), Self.attribute("source", .string(facts.source)), Self.attribute("hostname", .string(facts.hostname)),
        ]
        if !facts.tags.isEmpty { attributes.append(Self.attribute("tags", .array(facts.tags.map(JSON.string)))) }
        let taken: Set<ByteText> = ["uuid", "kind", "rule", "priority", "source", "hostname", "tags", ""]
        attributes += facts.fields.filter { !taken.contains($0.name) }.map { Self.attribute($0.name, $0.value) }
        return [
            "timeUnixNano": .text("\(max(0, facts.time.nanoseconds))"), "observedTimeUnixNano": .text("\(max(0, message.time.nanoseconds))"),
            "severityNumber": .integer(Self.severity(facts.priority)), "severityText": .text(facts.priority.name),
            "body": ["stringValue": .text(TextFormat.plain.escaped(facts.output))], "attributes": .array(attributes),
        ]
    }

    private static func attribute(_ key: ByteText, _ value: JSON) -> JSON { ["key": .string(key), "value": anyValue(value)] }

    /// The data model's own mapping of syslog's levels.
    private static func severity(_ priority: Priority) -> Int64 {
        switch priority {
        case .debug: 5
        case .informational: 9
        case .notice: 10
        case .warning: 13
        case .error: 17
        case .critical: 18
        case .alert: 19
        case .emergency: 21
        }
    }

    /// `AnyValue` in JSON: 64-bit integers are texts; a number that is no such integer and has no double stays a text.
    private static func anyValue(_ value: JSON) -> JSON {
        switch value {
        case .null: [:]
        case .bool(let value): ["boolValue": .bool(value)]
        case .integer(let value): ["intValue": .text("\(value)")]
        case .number(let text): Double(text.repaired).map(\.isFinite) ?? false ? ["doubleValue": .number(text)] : ["stringValue": .string(text)]
        case .string(let text): ["stringValue": .string(text)]
        case .array(let elements): ["arrayValue": ["values": .array(elements.map(anyValue))]]
        case .object(let object): ["kvlistValue": ["values": .array(object.members.map { attribute($0.key, $0.value) })]]
        }
    }
}
