internal import RiposteCore
internal import RiposteTransport

/// Prometheus' Alertmanager: few labels, which say what an alert is, so that equal ones are one; the rest are annotations.
/// <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>
package struct AlertmanagerDestination: Destination {
    package static let kind = "alertmanager"

    /// All of a cluster: each gets everything, and they settle among themselves who tells.
    private let endpoints: [HTTPEndpoint]
    private let login: Login
    private let labels: [(name: String, value: String)]
    private let annotations: [(name: String, value: String)]
    private let labelFields: [ByteText]
    private let expiry: Duration?
    private let now: @Sendable () -> Timestamp
    package let limits: BatchLimits

    private static let valueLimit = 8192

    package init?(settings: DestinationSettings, context: DestinationContext) {
        var endpoints: [HTTPEndpoint] = []
        if settings.isSet("urls") {
            if settings.isSet("url") { settings.report("url", "\(settings.title) has url and urls: one of them") }
            for url in settings.texts("urls") ?? [] {
                guard let endpoint = HTTPEndpoint(settings, context, standardURL: url) else { break }
                endpoints.append(endpoint)
            }
        } else if let endpoint = HTTPEndpoint(settings, context) {
            endpoints = [endpoint]
        }
        let login = settings.login()
        let isName: (String) -> Bool = { ByteText($0).labelName == $0 && !$0.isEmpty }
        labels = settings.fixedTexts("labels", isName: isName, expecting: "a label's name of letters, digits and _")
        annotations = settings.fixedTexts("annotations", isName: isName, expecting: "an annotation's name of letters, digits and _")
        labelFields = (settings.texts("label_fields") ?? []).map { ByteText($0) }
        expiry = settings.duration("expires_after", in: .seconds(1) ... .seconds(30 * 86400))
        now = context.now
        limits = settings.batch(count: 100, deadline: (endpoints.first?.timeout ?? .zero) * max(1, endpoints.count) + .seconds(5))
        guard !endpoints.isEmpty, let login else { return nil }
        self.endpoints = endpoints
        self.login = login
    }

    package var place: String { endpoints.map(\.origin).joined(separator: ", ") }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        let now = now()
        let body = JSON.array(batch.map { alert($0, at: now) }).bytes
        let exchanges = await withTaskGroup(of: (Int, HTTPEndpoint.Exchange).self) { group in
            for (index, endpoint) in endpoints.enumerated() {
                group.addTask { (index, await endpoint.send(path: "/api/v2/alerts", headers: [("Content-Type", "application/json")] + login.headers, body: body)) }
            }
            return await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
        }
        let answer = exchanges.map(\.answer).joined(separator: "; ")
        return DeliveryReport(whole: Self.fate(of: exchanges.map { $0.fate(at: now) }), count: batch.count, answer: answer)
    }

    /// One that took it is enough, as it is for Prometheus: the others of the cluster learn of it, and one that is down for long holds up nothing.
    private static func fate(of fates: [DeliveryReport.Fate]) -> DeliveryReport.Fate {
        if fates.contains(.delivered) { return .delivered }
        return fates.first { if case .tryAgain = $0 { true } else { false } } ?? fates.first ?? .tryAgain(reason: "there was no answer")
    }

    private func alert(_ message: OutputMessage, at now: Timestamp) -> JSON {
        let facts = MessageFacts(message)
        // A sender's clock may be years ahead.
        let begin = min(facts.time, now)
        var alert: JSONObject = ["labels": .object(labels(message, facts)), "annotations": .object(annotations(message, facts)), "startsAt": .text("\(begin)")]
        // From now, not from then: an alert that waited here an hour would be over when it comes.
        if let expiry { alert["endsAt"] = .text("\(now + expiry)") }
        return .object(alert)
    }

    private func labels(_ message: OutputMessage, _ facts: MessageFacts) -> JSONObject {
        var object: JSONObject = [
            "alertname": .text(Self.shown(facts.rule)), "rule": .text(Self.shown(facts.rule)), "source": message.alert == nil ? "riposte" : "falco",
            "eventsource": .text(Self.shown(facts.source)), "hostname": .text(Self.shown(facts.hostname)), "priority": .text(facts.priority.name),
            "severity": .text(Self.severity(facts.priority)),
        ]
        if !facts.tags.isEmpty { object["tags"] = .text(Self.shown(ByteText(Array(facts.tags.map(\.bytes).joined(separator: Array(",".utf8)))))) }
        for name in labelFields {
            guard let value = facts[field: name]?.templateText, !value.isEmpty, !name.labelName.isEmpty else { continue }
            object[ByteText(name.labelName)] = .text(Self.shown(value))
        }
        for label in labels { object[ByteText(label.name)] = .text(label.value) }
        return object
    }

    private func annotations(_ message: OutputMessage, _ facts: MessageFacts) -> JSONObject {
        let text = TextFormat.plain.escaped(facts.output, atMost: Self.valueLimit)
        var object: JSONObject = ["info": .text(text), "description": .text(text), "summary": .text(Self.shown(facts.rule)), "uuid": .text(message.uuid)]
        for fact in facts.fields {
            let name = ByteText(fact.name.labelName)
            guard !name.isEmpty, object[name] == nil else { continue }
            object[name] = .text(Self.shown(fact.value.templateText))
        }
        for annotation in annotations { object[ByteText(annotation.name)] = .text(annotation.value) }
        return object
    }

    private static func shown(_ value: ByteText) -> String { TextFormat.line.escaped(value, atMost: valueLimit) }

    /// falcosidekick's.
    private static func severity(_ priority: Priority) -> String {
        switch priority {
        case .debug, .informational, .notice: "information"
        case .warning, .error: "warning"
        case .critical, .alert, .emergency: "critical"
        }
    }
}
