internal import Crypto
internal import RiposteCore
internal import RiposteTransport

/// A webhook: falcosidekick's payload, or a body of one's own, to a URL; signed if wanted.
package struct HTTPDestination: Destination {
    package static let kind = "http"

    private enum Method: String, CaseIterable { case post = "POST", put = "PUT", patch = "PATCH" }

    private enum Format: String, CaseIterable {
        /// One object per request.
        case single
        /// An array of objects.
        case array
        /// One object per line.
        case lines
    }

    private let endpoint: HTTPEndpoint
    private let method: HTTPRequest.Method
    private let format: Format
    private let body: MessageTemplate?
    private let contentType: String
    private let signature: Signature?
    private let now: @Sendable () -> Timestamp
    package let limits: BatchLimits

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let endpoint = HTTPEndpoint(settings, context)
        method = settings.choice("method", Method.self).flatMap { HTTPRequest.Method(rawValue: $0.rawValue) } ?? .post
        let format = settings.choice("format", Format.self) ?? .single
        let type = settings.word("content_type", isAllowed: { 0x20...0x7E ~= $0.value }, expecting: "a media type such as application/json")
        body = settings.template("body", for: type.map { Self.format($0, format) } ?? .jsonString)
        let isGiven = settings.isSet("signature")
        let signature = isGiven ? Signature(settings.section("signature")) : nil
        let batch = settings.section("batch")
        let (count, bytes, linger) = (
            batch.integer("count", in: 1...10_000), batch.size("bytes", in: 1 << 10...64 << 20), batch.duration("linger", in: .milliseconds(1) ... .seconds(3600))
        )
        if format == .single, settings.isSet("batch") { settings.report("batch", "batch has no effect in \(settings.title): format is single") }
        guard let endpoint, !isGiven || signature != nil else { return nil }
        self.endpoint = endpoint
        self.format = format
        self.signature = signature
        contentType = type ?? (format == .lines ? "application/x-ndjson" : "application/json; charset=utf-8")
        now = context.now
        limits =
            format == .single
            ? BatchLimits(count: 1, deadline: endpoint.timeout + .seconds(5))
            : BatchLimits(count: count ?? 500, bytes: bytes ?? 1 << 20, linger: linger ?? .milliseconds(200), deadline: endpoint.timeout + .seconds(5))
    }

    /// What values in a body of this type are escaped for.
    private static func format(_ type: String, _ format: Format) -> TextFormat {
        let type = type.lowercased()
        if type.contains("json") || type.contains("yaml") { return .jsonString }
        // A line feed would end the message.
        if format == .lines { return .line }
        if type.contains("html") || type.contains("xml") { return .html }
        return type.contains("x-www-form-urlencoded") ? .urlQuery : .plain
    }

    package var place: String { "\(method.rawValue) \(endpoint.origin)" }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        let body = body(of: batch)
        let now = now()
        var headers: [(name: String, value: String)] = [("Content-Type", contentType)]
        if let first = batch.first { headers.append(("Idempotency-Key", batch.count == 1 ? first.hash : "\(first.hash)-\(batch.count)")) }
        if let signature { headers.append((signature.header, signature.value(of: body, at: now))) }
        let exchange = await endpoint.send(method, headers: headers, body: body)
        return DeliveryReport(whole: exchange.fate(at: now), count: batch.count, answer: exchange.answer)
    }

    /// A newline ends each body, as with falcosidekick.
    private func body(of batch: [OutputMessage]) -> [UInt8] {
        let documents = batch.map { message in body.map { Array($0.text(for: message).utf8) } ?? message.payloadBytes }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(documents.reduce(3) { $0 + $1.count + 1 })
        if format == .array { bytes.append(UInt8(ascii: "[")) }
        for (index, document) in documents.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: format == .array ? "," : "\n")) }
            bytes += document
        }
        if format == .array { bytes.append(UInt8(ascii: "]")) }
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }
}

/// `t=1772623353,v1=HEX`: HMAC-SHA256 by a shared secret over the time, a dot and the body. The receiver compares it and lets old times go, so that
/// nobody can send what was sent before once more.
private struct Signature: Sendable {
    let header: String
    private let key: Secret

    init?(_ settings: DestinationSettings) {
        let key = settings.required("secret", settings.secret)
        let header = settings.word(
            "header", isAllowed: { $0.isASCII && ($0.properties.isAlphabetic || 0x30...0x39 ~= $0.value || $0 == "-" || $0 == "_") }, expecting: "the name of a header")
        guard let key else { return nil }
        self.key = key
        self.header = header ?? "X-Riposte-Signature"
    }

    func value(of body: [UInt8], at now: Timestamp) -> String {
        let seconds = now.nanoseconds / 1_000_000_000
        var code = HMAC<SHA256>(key: SymmetricKey(data: Array(key.revealed.utf8)))
        code.update(data: Array("\(seconds).".utf8))
        code.update(data: body)
        return "t=\(seconds),v1=\(code.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())"
    }
}
