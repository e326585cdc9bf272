internal import RiposteCore
internal import RiposteTransport

/// Opsgenie's Alert API: what is the same trouble is one alert with a count. <https://docs.opsgenie.com/docs/alert-api#create-alert>
package struct OpsgenieDestination: Destination {
    package static let kind = "opsgenie"

    private enum Region: String, CaseIterable, Sendable {
        case us, eu

        var url: String { self == .us ? "https://api.opsgenie.com" : "https://api.eu.opsgenie.com" }
    }

    private let endpoint: HTTPEndpoint
    private let login: Login
    private let alias: MessageTemplate?
    private let teams: [String]
    private let now: @Sendable () -> Timestamp
    package let limits: BatchLimits

    // Opsgenie's limits.
    private static let (messageLimit, textLimit, tagCount, tagLimit, detailsLimit) = (130, 15000, 20, 50, 8000)

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let region = settings.choice("region", Region.self) ?? .us
        if settings.isSet("region"), settings.isSet("url") { settings.report("region", "region has no effect in \(settings.title): it has a url") }
        let endpoint = HTTPEndpoint(settings, context, standardURL: region.url)
        let login = settings.token("api_key", scheme: "GenieKey")
        alias = settings.template("alias", for: .line)
        teams = settings.texts("teams") ?? []
        now = context.now
        guard let endpoint, let login else { return nil }
        self.endpoint = endpoint
        self.login = login
        limits = endpoint.single
    }

    package var place: String { "alerts at \(endpoint.origin)" }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport { await endpoint.post(batch, path: "/v2/alerts", headers: login.headers, at: now(), body: body) }

    private func body(_ message: OutputMessage) -> JSON {
        let facts = MessageFacts(message)
        var object: JSONObject = [
            // Both may be HTML.
            "message": .text(TextFormat.html.escaped(facts.rule, atMost: Self.messageLimit)),
            "alias": .text(alias.map { OutputMessage.digest(of: $0.text(for: message)) } ?? facts.subject),
            "description": .text(TextFormat.html.escaped(facts.output, atMost: Self.textLimit)), "priority": .text(Self.priority(facts.priority)),
            "source": "Riposte", "entity": .text(TextFormat.line.escaped(facts.hostname, atMost: 512)),
        ]
        if !facts.tags.isEmpty { object["tags"] = .array(facts.tags.prefix(Self.tagCount).map { .text(TextFormat.line.escaped($0, atMost: Self.tagLimit)) }) }
        if !teams.isEmpty { object["responders"] = .array(teams.map { ["type": "team", "name": .text($0)] }) }
        object["details"] = .object(details(message, facts))
        return .object(object)
    }

    /// Texts, as many as fit, under falcosidekick's names: dots are `_`.
    private func details(_ message: OutputMessage, _ facts: MessageFacts) -> JSONObject {
        let own: [(name: ByteText, value: ByteText)] = [
            ("uuid", ByteText(message.uuid)), ("rule", facts.rule), ("priority", ByteText(facts.priority.name)), ("source", facts.source), ("hostname", facts.hostname),
            ("tags", facts.tagList), ("time", ByteText("\(facts.time)")),
        ]
        var (details, left) = (JSONObject(), Self.detailsLimit)
        for fact in own + facts.fields.map({ (ByteText($0.name.bytes.map { $0 == UInt8(ascii: ".") ? UInt8(ascii: "_") : $0 }), $0.value.templateText) }) where !fact.value.isEmpty
        {
            let value = TextFormat.html.escaped(fact.value, atMost: 1000)
            let name = ByteText(TextFormat.line.escaped(fact.name, atMost: 100))
            left -= value.utf16.count + name.bytes.count
            guard left >= 0 else { break }
            if details[name] == nil { details[name] = .text(value) }
        }
        return details
    }

    private static func priority(_ priority: Priority) -> String {
        switch priority {
        case .emergency, .alert: "P1"
        case .critical: "P2"
        case .error: "P3"
        case .warning: "P4"
        case .notice, .informational, .debug: "P5"
        }
    }
}
