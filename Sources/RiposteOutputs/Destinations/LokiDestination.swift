internal import RiposteCore
internal import RiposteTransport

/// Grafana Loki's push API: few labels, which stay the same, and what differs from message to message as structured metadata.
/// <https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs>
package struct LokiDestination: Destination {
    package static let kind = "loki"

    private enum Line: String, CaseIterable, Sendable { case json, text }

    private let endpoint: HTTPEndpoint
    private let login: Login
    private let tenant: String?
    private let line: Line
    private let labels: [(name: String, value: String)]
    private let labelFields: [ByteText]
    private let hasMetadata: Bool
    private let now: @Sendable () -> Timestamp
    package let limits: BatchLimits

    /// Loki's own limits: `max_label_value_length`, `max_structured_metadata_entries_count`.
    private static let labelLimit = 2048
    private static let metadataCount = 128
    private static let metadataBytes = 32 << 10

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let endpoint = HTTPEndpoint(settings, context)
        let login = settings.login()
        tenant = settings.word("tenant", isAllowed: { 0x21...0x7E ~= $0.value }, expecting: "a tenant of visible ASCII without blanks")
        line = settings.choice("line", Line.self) ?? .json
        labels = settings.fixedTexts("labels", isName: { ByteText($0).labelName == $0 && !$0.isEmpty }, expecting: "a label's name of letters, digits and _")
        labelFields = (settings.texts("label_fields") ?? []).map { ByteText($0) }
        hasMetadata = settings.bool("structured_metadata") ?? true
        now = context.now
        limits = settings.batch(count: 500, deadline: (endpoint?.timeout ?? .zero) + .seconds(5))
        guard let endpoint, let login else { return nil }
        self.endpoint = endpoint
        self.login = login
    }

    package var place: String { endpoint.origin }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        var streams: [(labels: JSONObject, values: [JSON])] = []
        for message in batch {
            let facts = MessageFacts(message)
            let (labels, value) = (labels(facts), value(message, facts))
            if let place = streams.firstIndex(where: { $0.labels == labels }) { streams[place].values.append(value) } else { streams.append((labels, [value])) }
        }
        let body: JSON = ["streams": .array(streams.map { ["stream": .object($0.labels), "values": .array($0.values)] })]
        var headers: [(name: String, value: String)] = [("Content-Type", "application/json")] + login.headers
        if let tenant { headers.append(("X-Scope-OrgID", tenant)) }
        let exchange = await endpoint.send(path: "/loki/api/v1/push", headers: headers, body: body.bytes)
        return DeliveryReport(whole: exchange.fate(at: now(), Self.verdict), count: batch.count, answer: exchange.answer)
    }

    /// 204 is success, and 200 of what else speaks its protocol. A tenant whose ingestion is blocked gets 260, or what is set in place of it, and nothing is kept.
    private static func verdict(_ response: HTTPResponse) -> DeliveryReport.Fate? {
        201..<300 ~= response.status && response.status != 204 ? .tryAgain(reason: response.shown) : nil
    }

    /// falcosidekick's, without tags, namespace and pod, which make a stream of each.
    private func labels(_ facts: MessageFacts) -> JSONObject {
        var object: JSONObject = [:]
        for (name, value) in [("rule", facts.rule), ("source", facts.source), ("priority", ByteText(facts.priority.name)), ("hostname", facts.hostname)] {
            object[ByteText(name)] = .text(TextFormat.line.escaped(value, atMost: Self.labelLimit) { $0.utf8.count })
        }
        for name in labelFields {
            guard let value = facts[field: name]?.templateText, !value.isEmpty, !name.labelName.isEmpty else { continue }
            object[ByteText(name.labelName)] = .text(TextFormat.line.escaped(value, atMost: Self.labelLimit) { $0.utf8.count })
        }
        for label in labels { object[ByteText(label.name)] = .text(label.value) }
        return object
    }

    private func value(_ message: OutputMessage, _ facts: MessageFacts) -> JSON {
        let line = line == .json ? JSON.object(message.falcosidekickPayload).line : TextFormat.line.escaped(facts.output)
        let entry: [JSON] = [.text("\(facts.time.nanoseconds)"), .text(line)]
        return .array(hasMetadata ? entry + [.object(metadata(message, facts))] : entry)
    }

    /// Texts only, as Loki wants them, and no more than it takes of them.
    private func metadata(_ message: OutputMessage, _ facts: MessageFacts) -> JSONObject {
        var object: JSONObject = ["uuid": .text(message.uuid), "kind": .text(message.kind.rawValue)]
        if !facts.tags.isEmpty { object["tags"] = .text(TextFormat.line.escaped(facts.tagList, atMost: Self.labelLimit)) }
        var bytes = 0
        for fact in facts.fields where object.members.count < Self.metadataCount {
            let name = ByteText(fact.name.labelName)
            let value = TextFormat.line.escaped(fact.value.templateText)
            guard !name.isEmpty, object[name] == nil, bytes + name.bytes.count + value.utf8.count <= Self.metadataBytes else { continue }
            bytes += name.bytes.count + value.utf8.count
            object[name] = .text(value)
        }
        return object
    }
}
