internal import RiposteCore
internal import RiposteTransport

/// Splunk's HTTP Event Collector: several events per request, and with `acknowledge` delivered means indexed.
/// <https://help.splunk.com/en/splunk-enterprise/get-data-in/collect-http-event-data>
package struct SplunkDestination: Destination {
    package static let kind = "splunk"

    private let endpoint: HTTPEndpoint
    private let login: Login
    private let source: String
    private let sourceType: String
    private let index: String?
    private let acknowledgement: Acknowledgement?
    private let now: @Sendable () -> Timestamp
    package let limits: BatchLimits

    private struct Acknowledgement: Sendable {
        /// Tells senders apart; a GUID, new at each start, as what was sent before is not asked for any more.
        var channel: String
        var interval: Duration
        var tries: Int
    }

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let endpoint = HTTPEndpoint(settings, context)
        if endpoint != nil, settings.unmaskedSecret("url")?.revealed.contains("/services/collector") ?? false {
            settings.report("url", "url of \(settings.title) is that of the server only, such as https://splunk.example:8088: /services/collector/event is put behind it")
        }
        let login = settings.token("token", scheme: "Splunk")
        source = settings.text("source") ?? "riposte"
        sourceType = settings.text("sourcetype") ?? "falcosidekick"
        index = settings.text("index")
        let acknowledges = settings.bool("acknowledge") ?? false
        let interval = settings.duration("ack_interval", in: .milliseconds(1) ... .seconds(60)) ?? .seconds(1)
        let patience = settings.duration("ack_timeout", in: .milliseconds(1) ... .seconds(600)) ?? .seconds(120)
        if !acknowledges {
            for key in ["ack_interval", "ack_timeout"] where settings.isSet(key) { settings.report(key, "\(key) has no effect in \(settings.title) without acknowledge: true") }
        }
        let channel = OutputMessage.test(host: "\(context.host) \(context.name)", at: context.now()).uuid
        acknowledgement = acknowledges ? Acknowledgement(channel: channel, interval: interval, tries: max(1, Int(patience / interval))) : nil
        now = context.now
        limits = settings.batch(count: 200, deadline: (endpoint?.timeout ?? .zero) * 2 + (acknowledges ? patience * 2 : .zero) + .seconds(5))
        guard let endpoint, let login else { return nil }
        self.endpoint = endpoint
        self.login = login
    }

    package var place: String { "\(index.map { "index \($0.escapedForDisplay)" } ?? "HTTP Event Collector") at \(endpoint.origin)" }

    private var headers: [(name: String, value: String)] {
        login.headers + [("Content-Type", "application/json")] + (acknowledgement.map { [("X-Splunk-Request-Channel", $0.channel)] } ?? [])
    }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        var body: [UInt8] = []
        for message in batch {
            event(message).write(to: &body)
            body.append(UInt8(ascii: "\n"))
        }
        let exchange = await endpoint.send(path: "/services/collector/event", headers: headers, body: body)
        func whole(_ fate: DeliveryReport.Fate) -> DeliveryReport { DeliveryReport(whole: fate, count: batch.count, answer: exchange.answer) }
        guard case .answered(let response) = exchange else { return whole(exchange.fate(at: now())) }
        let answer = response.json
        switch answer?["code"]?.integer {
        case 0 where response.status == 200:
            guard let acknowledgement else { return whole(.delivered) }
            guard let id = answer?["ackId"]?.integer else {
                return whole(.tryAgain(reason: "the token has no indexer acknowledgement: switch it on in Splunk, or acknowledge off here"))
            }
            return whole(await acknowledged(id, acknowledgement))
        case 5, 6, 12, 13, 15:
            // One of them may be named; what became of those before it is not said, so all others go again.
            guard let number = answer?["invalid-event-number"]?.integer, batch.count > 1, 0..<batch.count ~= Int(number) else { return whole(.rejected(reason: response.shown)) }
            let again = DeliveryReport.Fate.tryAgain(reason: "event \(number) of \(batch.count) was refused", after: .zero)
            return DeliveryReport(batch.indices.map { $0 == Int(number) ? .rejected(reason: response.shown) : again }, answer: exchange.answer)
        case .some:
            // Disabled or wrong tokens, a wrong index, a full queue, a wrong channel: nothing that another message would mend.
            return whole(.tryAgain(reason: response.shown, after: response.retryAfter(at: now())))
        case nil:
            return whole(response.status == 200 ? .tryAgain(reason: "this is no answer of an event collector: \(response.shown)") : response.fate(at: now()))
        }
    }

    private func event(_ message: OutputMessage) -> JSON {
        let facts = MessageFacts(message)
        let milliseconds = facts.time.nanoseconds / 1_000_000
        let (seconds, rest) = (milliseconds / 1000, abs(milliseconds % 1000))
        var event: JSONObject = [
            "time": .number(ByteText("\(seconds).\(String(1000 + rest).dropFirst())")), "host": .string(facts.hostname), "source": .text(source),
            "sourcetype": .text(sourceType),
        ]
        event.append("index", index.map(JSON.text))
        event["event"] = .object(message.falcosidekickPayload)
        // Indexed, so searched fast and counted without reading events.
        event["fields"] = [
            "uuid": .text(message.uuid), "kind": .text(message.kind.rawValue), "rule": .string(facts.rule), "priority": .text(facts.priority.name),
            "event_source": .string(facts.source),
        ]
        return .object(event)
    }

    /// Asks until the indexers have it.
    private func acknowledged(_ id: Int64, _ acknowledgement: Acknowledgement) async -> DeliveryReport.Fate {
        let question = JSON.object(["acks": [.integer(id)]]).bytes
        var last = ""
        for number in 1...acknowledgement.tries {
            let exchange = await endpoint.send(path: "/services/collector/ack", headers: headers, body: question)
            if exchange.success?.json?["acks"]?[ByteText("\(id)")]?.bool == true { return .delivered }
            if exchange.success == nil { last = ", \(exchange.answer)" }
            guard number < acknowledgement.tries, (try? await Task.sleep(for: acknowledgement.interval)) != nil else { break }
        }
        return .tryAgain(reason: "it was not acknowledged by the indexers in time\(last)")
    }
}
