internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import RiposteCore
internal import RiposteIntake
internal import RiposteMetrics

/// `/metrics` for Prometheus, `/healthz` (the agent lives: the listener's own) and `/readyz` for whoever looks after it. Nothing can be changed here, and
/// nothing here is secret beyond the names of rules, playbooks and outputs; where it can be reached from outside, `/metrics` asks for a token or a certificate.
struct MetricsServer: Sendable {
    let listener: HTTPListener
    let readings: AgentReadings
    let readiness: @Sendable () -> ReadinessReport

    func run() async throws { try await listener.run { request, _ in answer(request) } }

    private func answer(_ request: Request) -> Response {
        guard request.method == .get || request.method == .head else { return Self.json(.methodNotAllowed, ["error": "this takes GET, HEAD"], [.allow: "GET, HEAD"]) }
        switch request.uri.path {
        case "/metrics":
            if let refusal = listener.refusal(of: request) { return refusal }
            return Self.response(.ok, Array(Exposition.text(readings.families()).utf8), [.contentType: Exposition.contentType])
        case "/readyz":
            let report = readiness()
            return Self.json(report.isReady ? .ok : .serviceUnavailable, report.json)
        default: return Self.json(.notFound, ["error": "there are /metrics, /healthz and /readyz"])
        }
    }

    private static func json(_ status: HTTPResponse.Status, _ json: JSON, _ headers: HTTPFields = [:]) -> Response {
        var headers = headers
        headers[.contentType] = "application/json"
        return response(status, json.bytes, headers)
    }

    private static func response(_ status: HTTPResponse.Status, _ body: [UInt8], _ headers: HTTPFields) -> Response {
        var headers = headers
        headers[.cacheControl] = "no-store"
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: body)))
    }
}
