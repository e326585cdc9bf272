internal import RiposteCore
internal import RiposteTransport

/// Elasticsearch and OpenSearch by the bulk API: falcosidekick's payload with `@timestamp`, created under the message's uuid, so that what is sent
/// twice is stored once. <https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk>
package struct ElasticsearchDestination: Destination {
    package static let kind = "elasticsearch"

    /// How the date of a message shows in the name of its index. UTC, so that a repetition meets the same index everywhere.
    private enum Suffix: String, CaseIterable, Sendable {
        case daily, monthly, annually, none

        func name(_ index: String, _ time: Timestamp) -> String {
            let length =
                switch self {
                case .daily: 10
                case .monthly: 7
                case .annually: 4
                case .none: 0
                }
            let date = "\(time)".prefix(length).replacing("-", with: ".")
            return date.isEmpty ? index : "\(index)-\(date)"
        }
    }

    private let endpoint: HTTPEndpoint
    private let login: Login
    private let index: String
    private let suffix: Suffix
    private let pipeline: String?
    private let flattensFields: Bool
    private let now: @Sendable () -> Timestamp
    package let limits: BatchLimits

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let endpoint = HTTPEndpoint(settings, context)
        let login = settings.login(key: "api_key", scheme: "ApiKey")
        let (index, stream) = (Self.name("index", settings), Self.name("data_stream", settings))
        let suffix = settings.choice("suffix", Suffix.self)
        if settings.isSet("data_stream") {
            for key in ["index", "suffix"] where settings.isSet(key) { settings.report(key, "\(key) has no effect in \(settings.title): it has a data_stream") }
        }
        self.index = stream ?? index ?? "falco"
        self.suffix = stream == nil ? suffix ?? .daily : .none
        pipeline = Self.name("pipeline", settings)
        flattensFields = settings.bool("flatten_fields") ?? false
        now = context.now
        limits = settings.batch(count: 500, deadline: (endpoint?.timeout ?? .zero) + .seconds(5))
        guard let endpoint, let login else { return nil }
        self.endpoint = endpoint
        self.login = login
    }

    private static func name(_ key: String, _ settings: DestinationSettings) -> String? {
        settings.word(
            key, isAllowed: { 0x61...0x7A ~= $0.value || 0x30...0x39 ~= $0.value || "-_.".unicodeScalars.contains($0) },
            expecting: "a name of lower-case letters, digits, -, _ and .")
    }

    package var place: String { "\(suffix == .none ? index : "\(index)-*") at \(endpoint.origin)" }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        var body: [UInt8] = []
        for message in batch { write(message, to: &body) }
        // Of the answer only what is looked at: it has an entry for each message.
        var query = [(name: "filter_path", value: "errors,items.*.status,items.*.error.type,items.*.error.reason")]
        if let pipeline { query.append(("pipeline", pipeline)) }
        let exchange = await endpoint.send(path: "/_bulk", query: query, headers: [("Content-Type", "application/x-ndjson")] + login.headers, body: body)
        guard let response = exchange.success else { return DeliveryReport(whole: exchange.fate(at: now()), count: batch.count, answer: exchange.answer) }
        guard let items = response.json?["items"]?.array, items.count == batch.count else {
            return DeliveryReport(whole: .tryAgain(reason: "this is no answer of a bulk request: \(response.shown)"), count: batch.count, answer: exchange.answer)
        }
        let fates = items.map(Self.fate)
        let refused = fates.count { $0 != .delivered }
        return DeliveryReport(fates, answer: "status \(response.status), \(fates.count - refused) of \(fates.count) stored")
    }

    private func write(_ message: OutputMessage, to body: inout [UInt8]) {
        let time = message.alert?.time ?? message.time
        // By when it was written down: the sender of an alert who lies about its time makes no index for each day there is.
        JSON.object(["create": ["_index": .text(suffix.name(index, message.time)), "_id": .text(message.uuid)]]).write(to: &body)
        body.append(UInt8(ascii: "\n"))
        var document = message.falcosidekickPayload
        if flattensFields, let fields = document["output_fields"]?.object { document["output_fields"] = .object(fields.flattened) }
        document["@timestamp"] = .text("\(time)")
        document.write(to: &body)
        body.append(UInt8(ascii: "\n"))
    }

    /// 409: it is there already. What the cluster has no time, place or right for is tried again; what it cannot make sense of is not.
    private static func fate(of item: JSON) -> DeliveryReport.Fate {
        guard let result = item["create"], let status = result["status"]?.integer else { return .tryAgain(reason: "an item of the answer has no status") }
        if 200..<300 ~= status || status == 409 { return .delivered }
        let words = [result["error"]?["type"]?.string, result["error"]?["reason"]?.string].compactMap { $0.map { SecretMask.excerpt($0.bytes) } }
        let reason = (["status \(status)"] + words).joined(separator: ": ")
        return status == 400 || status == 413 ? .rejected(reason: reason) : .tryAgain(reason: reason)
    }
}

extension JSONObject {
    /// Dots in names become `_`: to Elasticsearch `proc.name` and `proc.name.x` are a text and an object of one name.
    fileprivate var flattened: JSONObject {
        members.reduce(into: JSONObject()) { result, member in
            result[ByteText(member.key.bytes.map { $0 == UInt8(ascii: ".") ? UInt8(ascii: "_") : $0 })] = member.value
        }
    }
}
