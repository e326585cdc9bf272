internal import HTTPTypes
internal import Hummingbird
package import Logging
internal import RiposteCore

/// Audit events by HTTP, from a Kubernetes API server's `--audit-webhook-config-file`. A drop-in for the endpoint of Falco's k8saudit plugin,
/// but for two things: 200 means that the events were judged, and what holds none is refused.
///
/// An API server sends again whatever is not answered with 2xx, a few times, and then logs that it was lost.
package struct KubernetesAuditIntake: Intake {
    package typealias Configuration = HTTPListener.Configuration

    package let name: String
    package let counters = IntakeCounters()
    private let path: String
    private let listener: HTTPListener
    private let receiver: KubernetesAuditReceiver
    private let turns = BodyTurns()

    /// `onListening` is told the port once connections are taken.
    package init(
        _ configuration: Configuration = .kubernetesAudit, path: String = "/k8s-audit", sink: any KubernetesAuditSink, logger: Logger,
        onListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws(HTTPListener.Misconfigured) {
        listener = try HTTPListener(configuration, counters: counters, logger: logger, onListening: onListening)
        name = configuration.name
        self.path = path
        receiver = KubernetesAuditReceiver(name: configuration.name, trust: configuration.trust, sink: sink, counters: counters)
    }

    package var place: String { listener.place + path }

    package func run() async throws { try await listener.run(route) }

    /// Takes up tokens and certificates as they are now; see ``HTTPListener/renew(_:)``.
    package func renew(_ fresh: Configuration) throws(HTTPListener.Misconfigured) -> Bool { try listener.renew(fresh) }

    /// Whether it may listen like this, and whether its certificates and keys can be read.
    package static func check(_ configuration: Configuration) throws(HTTPListener.Misconfigured) { try HTTPListener.check(configuration) }

    private func route(_ request: Request, _ peer: HTTPListener.Peer) async -> Response {
        guard request.uri.path == path else { return .json(.notFound, ["error": .text("audit events go to \(path)")]) }
        guard request.method == .post else { return .notAllowed("POST") }
        if let refusal = listener.refusal(of: request) { return refusal }
        let arrival = peer.arrival(at: name)
        guard request.headers[.contentType]?.lowercased().contains("application/json") == true else {
            receiver.reject(AlertError(problem: "its Content-Type is not application/json"), [], arrival)
            return .json(.badRequest, ["error": "Content-Type must be application/json"], [.connection: "close"])
        }
        return await listener.withBody(of: request, from: peer, ifTooLarge: .badRequest) { body in
            await turns.take(from: peer.account) { take(body, arrival) }
        }
    }

    private func take(_ body: [UInt8], _ arrival: Alert.Arrival) -> Response {
        do throws(KubernetesAuditRefusal) {
            let receipt = try receiver.take(body, arrival)
            listener.note(nil)
            return .json(.ok, ["events": .integer(Int64(receipt.judged)), "dropped": .integer(Int64(receipt.dropped))])
        } catch {
            return refusal(error)
        }
    }

    private func refusal(_ error: KubernetesAuditRefusal) -> Response {
        switch error {
        case .malformed(let problem):
            var answer: JSONObject = ["error": .text(problem.problem)]
            answer.append("offset", problem.offset.map { .integer(Int64($0)) })
            return .json(.badRequest, .object(answer))
        case .unadmitted(.full): return .json(.tooManyRequests, ["error": "too many alerts are being answered"], [.retryAfter: "1"])
        case .unadmitted(.rationed(let reason)): return .json(.tooManyRequests, ["error": .text(reason)], [.retryAfter: "10"])
        case .unadmitted(.closed): return .json(.serviceUnavailable, ["error": "the agent is stopping"], [.retryAfter: "1"])
        case .unadmitted(.unsafe(let reason)):
            listener.note(reason)
            return .json(.serviceUnavailable, ["error": .text("the events' alerts could not be made safe: \(reason)")], [.retryAfter: "1"])
        }
    }
}

extension HTTPListener.Configuration {
    /// For audit events: the port and the limit of Falco's plugin.
    package static var kubernetesAudit: HTTPListener.Configuration {
        HTTPListener.Configuration(section: "intake.kubernetes_audit", name: "kubernetes_audit", port: 9765, bodyLimit: 12 << 20)
    }
}
