internal import RiposteCore
package import RipostePlaybooks
package import RiposteTransport

/// The few calls of the Kubernetes API that responses need. Answers are judged by status, reason and causes, never by their messages.
package final class KubernetesClient: Sendable {
    package let configuration: KubernetesConfiguration
    private let credentials: KubernetesCredentials
    private let client: HTTPClient
    private let timeout: Duration

    package init(configuration: KubernetesConfiguration, client: HTTPClient, timeout: Duration = .seconds(10)) {
        self.configuration = configuration
        self.client = client
        self.timeout = timeout
        credentials = KubernetesCredentials(configuration.credential)
    }

    // MARK: - Calls

    package func serverVersion() async throws(ActionError) -> String {
        let answer = try await call(.get, "/version", doing: "ask the Kubernetes API for its version")
        return answer["gitVersion"]?.string?.repaired ?? "?"
    }

    func pod(_ namespace: String, _ name: String) async throws(ActionError) -> PodState {
        let doing = "look up pod \(namespace.escapedForDisplay)/\(name.escapedForDisplay)"
        let answer = try await call(.get, try Self.path(namespace, name, doing), doing: doing)
        guard let state = PodState(json: answer) else { throw ActionError(.unavailable, doing, "the API's answer is no pod") }
        return state
    }

    /// All of a namespace, page by page.
    func pods(_ namespace: String) async throws(ActionError) -> [PodState] {
        let doing = "list the pods of namespace \(namespace.escapedForDisplay)"
        // A name that can be one: the path of any pod in it says so.
        let path = String(try Self.path(namespace, "x", doing).dropLast("/x".count))
        return try await pods(path, doing)
    }

    /// All of a node, or of the cluster. Takes the right to list pods in all namespaces.
    func pods(onNode node: String?) async throws(ActionError) -> [PodState] {
        let selector = node.map { "&fieldSelector=spec.nodeName%3D\($0.escapedForPath)" } ?? ""
        return try await pods("/api/v1/pods", selector: selector, node.map { "list the pods of node \($0.escapedForDisplay)" } ?? "list the pods of the cluster")
    }

    private func pods(_ path: String, selector: String = "", _ doing: String) async throws(ActionError) -> [PodState] {
        var pods: [PodState] = []
        var next: String?
        for _ in 0..<Self.pageLimit {
            let answer = try await call(.get, "\(path)?limit=500\(selector)\(next.map { "&continue=\($0.escapedForPath)" } ?? "")", doing: doing)
            guard let items = answer["items"]?.array else { throw ActionError(.unavailable, doing, "the API's answer is no list") }
            pods += items.compactMap(PodState.init(json:))
            next = answer["metadata"]?["continue"]?.string?.repaired
            guard let token = next, !token.isEmpty else { return pods }
        }
        throw ActionError(.unavailable, doing, "there are more than \(Self.pageLimit * 500)")
    }

    private static let pageLimit = 40

    func delete(_ pod: PodIdentity, grace: Duration, isDryRun: Bool = false) async throws(ActionError) {
        let doing = "delete pod \(pod.namespace)/\(pod.name)"
        var options: JSON = [
            "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": .integer(grace.components.seconds), "preconditions": ["uid": .text(pod.uid)],
        ]
        if isDryRun, case .object(var object) = options {
            object.append("dryRun", ["All"])
            options = .object(object)
        }
        _ = try await call(.delete, try Self.path(pod.namespace, pod.name, doing), body: options, doing: doing)
    }

    func evict(_ pod: PodIdentity, grace: Duration, isDryRun: Bool = false) async throws(ActionError) {
        let doing = "evict pod \(pod.namespace)/\(pod.name)"
        var options: JSONObject = ["gracePeriodSeconds": .integer(grace.components.seconds), "preconditions": ["uid": .text(pod.uid)]]
        if isDryRun { options.append("dryRun", ["All"]) }
        let body: JSON = [
            "apiVersion": "policy/v1", "kind": "Eviction", "metadata": ["name": .text(pod.name), "namespace": .text(pod.namespace)],
            "deleteOptions": .object(options),
        ]
        _ = try await call(.post, try Self.path(pod.namespace, pod.name, doing) + "/eviction", body: body, doing: doing)
    }

    /// Whether we may; why not in the API's words.
    package func mayI(_ verb: String, _ resource: String, subresource: String? = nil, in namespace: String) async throws(ActionError) -> (Bool, String?) {
        var attributes: JSONObject = ["namespace": .text(namespace), "verb": .text(verb), "resource": .text(resource)]
        attributes.append("subresource", subresource.map(JSON.text))
        let answer = try await call(
            .post, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            body: [
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": ["resourceAttributes": .object(attributes)],
            ], doing: "ask for the right to \(verb) \(resource)")
        return (answer["status"]?["allowed"]?.bool ?? false, answer["status"]?["reason"]?.string?.repaired)
    }

    /// Names go into a path only if they can be names at all: DNS labels (RFC 1123) with dots between them.
    private static func path(_ namespace: String, _ name: String, _ doing: String) throws(ActionError) -> String {
        for part in [namespace, name] {
            let isName =
                1...253 ~= part.utf8.count
                && part.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
                    !label.isEmpty && label.first != "-" && label.last != "-"
                        && label.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
                }
            guard isName else { throw ActionError(.unresolved, doing, "\"\(part.escapedForDisplay)\" cannot be a name in Kubernetes") }
        }
        return "/api/v1/namespaces/\(namespace.escapedForPath)/pods/\(name.escapedForPath)"
    }

    // MARK: - Exchange

    private func call(_ method: HTTPRequest.Method, _ path: String, body: JSON? = nil, doing: String) async throws(ActionError) -> JSON {
        var (response, token) = try await exchange(method, path, body, doing)
        // The token may have rotated since it was read.
        if response.status == 401 {
            await credentials.forget(token)
            (response, _) = try await exchange(method, path, body, doing)
        }
        let answer = (try? JSON(parsing: response.body)) ?? .null
        guard !(200...299).contains(response.status) else { return answer }
        throw KubernetesStatus(json: answer, code: response.status).error(doing, retryAfter: response.retryAfter)
    }

    private func exchange(_ method: HTTPRequest.Method, _ path: String, _ body: JSON?, _ doing: String) async throws(ActionError) -> (HTTPResponse, token: String?) {
        var headers = [("Accept", "application/json"), ("User-Agent", "riposte")]
        let token = try await credentials.token()
        if let token { headers.append(("Authorization", "Bearer \(token)")) }
        headers += configuration.impersonation.map { ($0.name, $0.value) }
        if body != nil { headers.append(("Content-Type", "application/json")) }
        do throws(TransportError) {
            var request = HTTPRequest(method, configuration.server + path, headers: headers, body: body?.bytes, timeout: timeout, tls: configuration.tls)
            request.proxy = configuration.proxy
            return (try await client.send(request), token)
        } catch {
            switch error.code {
            case .tls:
                throw ActionError(.unavailable, doing, error.message, remedy: "check the certificate authority in \(configuration.origin)")
            case .timedOut: throw ActionError(.timeout, doing, "the Kubernetes API did not answer in time")
            case .cancelled: throw ActionError(.cancelled, doing, "it was called off")
            default: throw ActionError(.unavailable, doing, error.message)
            }
        }
    }
}

/// A `Status` object: how the API says no.
struct KubernetesStatus: Equatable {
    var code: Int
    var reason: String
    var message: String
    var causes: [String]
    /// Of the resource that the answer is about; empty where it names none.
    var kind: String

    init(json: JSON, code: Int) {
        self.code = code
        reason = json["reason"]?.string?.repaired ?? ""
        message = json["message"]?.string?.repaired ?? "status \(code)"
        kind = json["kind"]?.string == "Status" ? json["details"]?["kind"]?.string?.repaired ?? "" : ""
        causes = json["details"]?["causes"]?.array?.compactMap { $0["reason"]?.string?.repaired } ?? []
    }

    /// A 404 may be anybody's, a proxy's or another server's: that the object is gone says only a `NotFound` that names it.
    ///
    /// See the measured answers: a 429 with the cause DisruptionBudget is a policy and not a wish for patience; a 500 without a reason to an eviction means
    /// that several budgets match, which no patience changes.
    func error(_ doing: String, retryAfter: Duration? = nil) -> ActionError {
        let answer = message.escapedForDisplay
        switch code {
        case 400: return ActionError(.invalid, doing, answer)
        case 401: return ActionError(.denied, doing, answer, remedy: "the token or certificate is not valid (any more)")
        case 403 where causes.contains("NamespaceTerminating"): return .gone(doing, answer)
        case 403: return ActionError(.denied, doing, answer, remedy: "grant the right with a Role and a RoleBinding")
        case 404 where reason == "NotFound" && !kind.isEmpty: return .gone(doing, answer)
        case 404: return ActionError(.unavailable, doing, "what answered is no Kubernetes API: \(answer)", remedy: "check the server's address, and what stands between")
        case 409: return ActionError(.conflict, doing, answer)
        case 422: return ActionError(.invalid, doing, answer)
        case 429 where causes.contains("DisruptionBudget"): return ActionError(.policy, doing, answer)
        case 429: return ActionError(.busy, doing, answer, retryAfter: retryAfter)
        case 500 where reason.isEmpty && doing.hasPrefix("evict"): return ActionError(.policy, doing, answer)
        default: return ActionError(.unavailable, doing, answer, retryAfter: retryAfter)
        }
    }
}

/// What the API says of a pod, as far as it decides something.
struct PodState: Sendable, Equatable {
    var identity: PodIdentity
    var node: String
    var phase: String
    var isTerminating: Bool
    /// Which a pod that terminates was given, in seconds; nil: it does not, or was given none.
    var deletionGrace: Int64?
    var owner: (kind: String, name: String)?
    var priorityClass: String
    var isMirror: Bool
    var isProtected: Bool
    var startTime: Timestamp?
    var containerIDs: [String]
    var annotations: [String: String]

    static func == (left: PodState, right: PodState) -> Bool { left.facts == right.facts && left.identity == right.identity }

    init?(json: JSON) {
        guard let metadata = json["metadata"], let name = metadata["name"]?.string?.repaired, let namespace = metadata["namespace"]?.string?.repaired,
            let uid = metadata["uid"]?.string?.repaired
        else { return nil }
        identity = PodIdentity(namespace: namespace, name: name, uid: uid)
        let spec = json["spec"]
        let status = json["status"]
        node = spec?["nodeName"]?.string?.repaired ?? ""
        phase = status?["phase"]?.string?.repaired ?? ""
        isTerminating = metadata["deletionTimestamp"]?.string != nil
        deletionGrace = isTerminating ? metadata["deletionGracePeriodSeconds"]?.integer : nil
        owner = metadata["ownerReferences"]?.array?.first.map { ($0["kind"]?.string?.repaired ?? "", $0["name"]?.string?.repaired ?? "") }
        priorityClass = spec?["priorityClassName"]?.string?.repaired ?? ""
        isMirror = metadata["annotations"]?["kubernetes.io/config.mirror"] != nil || owner?.kind == "Node"
        let marks = [metadata["labels"]?["riposte.dev/protected"], metadata["annotations"]?["riposte.dev/protected"]].compactMap { $0?.string }
        isProtected = marks.contains { $0 != "false" }
        startTime = status?["startTime"]?.string.flatMap { Timestamp($0.bytes) }
        let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"].compactMap { status?[ByteText($0)]?.array }
        let marked = metadata["annotations"]?.object?.members ?? []
        annotations = Dictionary(marked.compactMap { member in member.value.string.map { (member.key.repaired, $0.repaired) } }, uniquingKeysWith: { first, _ in first })
        // `containerd://ID`
        containerIDs = lists.joined().compactMap { $0["containerID"]?.string?.repaired.split(separator: "/").last.map(String.init) }
    }

    var facts: JSONObject {
        var facts: JSONObject = ["node": .text(node), "phase": .text(phase), "containers": .array(containerIDs.map(JSON.text))]
        facts.append("owner", owner.map { .text("\($0.kind)/\($0.name)") })
        facts.append("priority_class", priorityClass.isEmpty ? nil : .text(priorityClass))
        if isMirror { facts.append("mirror", true) }
        if isProtected { facts.append("protected", true) }
        facts.append("start_time", startTime.map { .text("\($0)") })
        return facts
    }
}
