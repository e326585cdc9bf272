internal import Foundation
internal import RiposteCore
internal import RiposteTransport

/// Events of Kubernetes (`events.k8s.io/v1`) about the pod that a message is about, else about this node: what `kubectl describe pod` shows.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>
package struct KubernetesDestination: Destination {
    package static let kind = "kubernetes"

    private let endpoint: HTTPEndpoint
    private let token: Token
    private let host: String
    private let now: @Sendable () -> Timestamp
    package let limits: BatchLimits

    private enum Token: Sendable {
        case fixed(Secret)
        /// Read anew for each request: it rotates.
        case file(String)

        var text: String? {
            switch self {
            case .fixed(let secret): secret.revealed
            case .file(let path):
                FileManager.default.contents(atPath: path).flatMap { String(validating: $0, as: UTF8.self) }?.trimmingCharacters(in: .whitespacesAndNewlines)
            }
        }
    }

    package init?(settings: DestinationSettings, context: DestinationContext) {
        // A pod's way to the API, where nothing else is said.
        let account = settings.path("service_account") ?? "/var/run/secrets/kubernetes.io/serviceaccount"
        let environment = ProcessInfo.processInfo.environment
        let server = environment["KUBERNETES_SERVICE_HOST"].map { host in
            "https://\(host.contains(":") ? "[\(host)]" : host):\(environment["KUBERNETES_SERVICE_PORT"] ?? "443")"
        }
        let secret = settings.secret("token")
        let isGiven = settings.isSet("token")
        if isGiven, settings.isSet("service_account") { settings.report("service_account", "\(settings.title) has token and service_account: one of them") }
        if isGiven, !settings.isSet("url") { settings.report("url", "\(settings.title) has a token and needs url") }
        let authorities = isGiven ? nil : FileManager.default.contents(atPath: account + "/ca.crt").map { Array($0) }
        settings.note(input: authorities ?? [])
        let endpoint = HTTPEndpoint(settings, context, standardURL: isGiven ? nil : server, standardAuthorities: authorities)
        host = context.host
        now = context.now
        guard let endpoint else { return nil }
        if isGiven {
            guard let secret else { return nil }
            token = .fixed(secret)
        } else {
            token = .file(account + "/token")
        }
        self.endpoint = endpoint
        // Two requests, where the first is not allowed.
        limits = BatchLimits(count: 1, deadline: endpoint.timeout + endpoint.timeout + .seconds(5))
    }

    package var place: String { "events at \(endpoint.origin)" }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        let now = now()
        guard let token = token.text, !token.isEmpty, token.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            return DeliveryReport(whole: .tryAgain(reason: "the service account's token cannot be read"), count: batch.count)
        }
        var (fates, answer): ([DeliveryReport.Fate], String?) = ([], nil)
        for message in batch {
            let subject = Subject(message, host: host)
            var (report, isForbidden) = await post(message, subject, token, at: now)
            // An alert from a namespace where we may write nothing must not keep all others back. In `default` it is a person's to mend.
            if isForbidden { (report, isForbidden) = await post(message, Subject(aboutNode: host, insteadOf: subject), token, at: now) }
            fates += report.fates
            answer = report.answer
            if case .tryAgain? = fates.last { break }
        }
        let rest = Array(repeating: fates.last ?? .delivered, count: batch.count - fates.count)
        // The token of a file is another one each time, so that nobody else knows to take it out of what was said.
        return SecretMask([Secret(token)]).maskedInPart(DeliveryReport(fates + rest, answer: answer))
    }

    /// `isForbidden`: we have no right to in this namespace, which is not `default`.
    private func post(_ message: OutputMessage, _ subject: Subject, _ token: String, at now: Timestamp) async -> (report: DeliveryReport, isForbidden: Bool) {
        var isForbidden = false
        let report = await endpoint.post(
            [message], path: "/apis/events.k8s.io/v1/namespaces/\(subject.namespace)/events", headers: [("Authorization", "Bearer \(token)"), ("Accept", "application/json")],
            at: now,
            verdict: { response in
                let fate = Self.verdict(response)
                isForbidden = fate == nil && response.status == 403 && subject.namespace != Subject.ofNodes
                return fate
            }
        ) { event($0, subject) }
        return (report, isForbidden)
    }

    /// 409: it is there already, as its name follows from the message. In a namespace that is gone nothing will be.
    private static func verdict(_ response: HTTPResponse) -> DeliveryReport.Fate? {
        let status = response.json
        switch (response.status, status?["reason"]?.string) {
        case (409, "AlreadyExists"?): return .delivered
        case (404, "NotFound"?) where status?["details"]?["kind"]?.string == "namespaces": return .rejected(reason: response.shown)
        case (403, _) where response.says("NamespaceTerminating"): return .rejected(reason: response.shown)
        case (409, _): return .tryAgain(reason: response.shown)
        default: return nil
        }
    }

    private func event(_ message: OutputMessage, _ subject: Subject) -> JSON {
        let facts = MessageFacts(message)
        let note = ByteText(facts.rule.bytes + Array(": ".utf8) + facts.output.bytes)
        var metadata: JSONObject = ["name": .text("riposte.\(message.hash.prefix(32))"), "namespace": .text(subject.namespace)]
        var annotations: JSONObject = [
            "riposte.dev/uuid": .text(message.uuid), "riposte.dev/rule": .text(TextFormat.line.escaped(facts.rule, atMost: 1024)),
            "riposte.dev/priority": .text(facts.priority.name),
        ]
        annotations.append("riposte.dev/pod", subject.pod.map(JSON.text))
        metadata["annotations"] = .object(annotations)
        return [
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": .object(metadata), "eventTime": .text(Self.microseconds(facts.time)),
            "reportingController": "riposte.dev/agent", "reportingInstance": .text(String(host.escapedForDisplay.prefix(128))), "action": .text(Self.action(message)),
            "reason": .text(Self.reason(message)), "regarding": subject.reference, "note": .text(TextFormat.plain.escaped(note, atMost: 1024) { $0.utf8.count }),
            "type": facts.priority >= .warning ? "Warning" : "Normal",
        ]
    }

    /// `MicroTime`: six decimals, no more.
    private static func microseconds(_ time: Timestamp) -> String { "\(time)".dropLast(4) + "Z" }

    private static func reason(_ message: OutputMessage) -> String {
        switch message.kind {
        case .alert: "SecurityAlert"
        case .audit: message.record?.action == nil ? "SecurityRecord" : "SecurityResponse"
        case .notice: "SecurityNotice"
        case .test: "TestMessage"
        }
    }

    private static func action(_ message: OutputMessage) -> String { String((message.record?.action ?? (message.alert == nil ? "Notify" : "Detect")).prefix(128)) }
}

/// What an event is about. Names out of an alert go into a path: only what Kubernetes allows as a name is one.
private struct Subject {
    let namespace: String
    let reference: JSON
    /// `NAMESPACE/NAME`.
    let pod: String?

    init(_ message: OutputMessage, host: String) {
        guard let pod = Self.pod(of: message), pod.namespace.isLabel, pod.name.isSubdomain else {
            (namespace, reference, self.pod) = (Self.ofNodes, Self.node(host), nil)
            return
        }
        self.pod = "\(pod.namespace)/\(pod.name)"
        namespace = pod.namespace
        var object: JSONObject = ["apiVersion": "v1", "kind": "Pod", "namespace": .text(pod.namespace), "name": .text(pod.name)]
        if !pod.uid.isEmpty, pod.uid.utf8.count <= 64, pod.uid.isLabel { object["uid"] = .text(pod.uid) }
        reference = .object(object)
    }

    init(aboutNode host: String, insteadOf other: Subject) { (namespace, reference, pod) = (Self.ofNodes, Self.node(host), other.pod) }

    /// As the kubelet's own: events of what has no namespace stand here.
    static let ofNodes = "default"

    private static func node(_ host: String) -> JSON { ["apiVersion": "v1", "kind": "Node", "name": .text(host)] }

    private static func pod(of message: OutputMessage) -> PodIdentity? {
        if case .pod(let pod)? = message.record?.target { return pod }
        let facts = MessageFacts(message)
        func text(_ field: ByteText) -> String? { facts[field: field]?.string?.valid }
        guard let namespace = text("k8s.ns.name"), let name = text("k8s.pod.name") else { return nil }
        return PodIdentity(namespace: namespace, name: name, uid: text("k8s.pod.uid") ?? "")
    }
}

extension String {
    /// RFC 1123: `default`, `kube-system`.
    fileprivate var isLabel: Bool { utf8.count <= 63 && isName { _ in false } }
    fileprivate var isSubdomain: Bool { utf8.count <= 253 && isName { $0 == UInt8(ascii: ".") } && !contains("..") }

    private func isName(_ isAllowed: (UInt8) -> Bool) -> Bool {
        func isPlain(_ byte: UInt8) -> Bool { 0x61...0x7A ~= byte || 0x30...0x39 ~= byte }
        guard let first = utf8.first, let last = utf8.last else { return false }
        return isPlain(first) && isPlain(last) && utf8.allSatisfy { isPlain($0) || $0 == UInt8(ascii: "-") || isAllowed($0) }
    }
}
