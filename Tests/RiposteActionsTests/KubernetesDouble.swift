import Foundation
@testable import RiposteActions
import RiposteCore
import RiposteTestSupport
import RiposteTransport
import Synchronization
import Testing

/// A Kubernetes API of the tests': strict where the real one (1.36.2) is lenient, and answering in its very words. What it cannot
/// accept, it answers with 418, which no test expects.
final class KubernetesDouble: Sendable {
    struct Pod: Sendable {
        var uid: String
        var labels = "{}"
        var annotations = "{}"
        var owner: String? = "ReplicaSet"
        var priorityClass = ""
        var startTime = "2026-01-01T00:00:00Z"
        var containerID = String(repeating: "c", count: 64)
        var isTerminating = false
        var deletionGrace: Int64 = 1
    }

    struct World: Sendable {
        var pods: [String: Pod] = ["prod/web-1": Pod(uid: "12c5e1aa-0000-4000-8000-000000000001")]
        /// A verb and resource that the caller may not: `delete pods`.
        var forbidden: Set<String> = []
        /// What the next real deletion or eviction is answered with instead.
        var answer: LoopbackServer.Answer?
        /// What a look at a pod is answered with instead.
        var lookUp: LoopbackServer.Answer?
        /// What somebody between us and the API answers everything with, and from the first deed on.
        var stranger: LoopbackServer.Answer?
        var strangerAfterDeed: LoopbackServer.Answer?
        /// The pod is still to be seen this many times after it was deleted.
        var lingers = 0
        var token = "the-token"
        var refusedTokens = 0
        /// The headers that say as whom each call must be made.
        var impersonation: [String: String] = [:]
    }

    let world = Mutex(World())
    private let server: Mutex<LoopbackServer?> = Mutex(nil)
    private let certificates: Certificates
    private let folder: TemporaryFolder

    init(asksClients: Bool = false, _ change: (inout World) -> Void = { _ in }) async throws {
        certificates = try Certificates.shared.get()
        folder = try TemporaryFolder()
        var start = World()
        change(&start)
        world.withLock { [start] in $0 = start }
        let started = try await LoopbackServer(certificates, asksClients: asksClients) { [weak self] in self?.answer($0, asksClients) ?? .init(503, "{}") }
        server.withLock { $0 = started }
    }

    var requests: [LoopbackServer.Request] { server.withLock { $0?.requests ?? [] } }

    /// The calls that change something, as `METHOD path`.
    var deeds: [String] {
        requests.filter { $0.method != "GET" && !$0.path.contains("selfsubjectaccessreviews") && !String(decoding: $0.body, as: UTF8.self).contains("dryRun") }.map {
            "\($0.method) \($0.path)"
        }
    }

    /// A client as a kubeconfig file describes it.
    func client(user: String? = nil, authority: String = "ca.crt", host: String = "127.0.0.1") throws -> KubernetesClient {
        KubernetesClient(configuration: try .find(kubeconfig: try kubeconfig(user: user, authority: authority, host: host)), client: HTTPClient(), timeout: .seconds(5))
    }

    /// The path of a kubeconfig file that leads here.
    func kubeconfig(user: String? = nil, authority: String = "ca.crt", host: String = "127.0.0.1") throws -> String {
        let port = server.withLock { $0?.port ?? 0 }
        return try folder.file(
            "kubeconfig-\(UUID().uuidString)",
            """
            apiVersion: v1
            kind: Config
            current-context: test
            contexts:
              - name: test
                context: { cluster: here, user: me }
            clusters:
              - name: here
                cluster: { server: "https://\(host):\(port)", certificate-authority: \(certificates.path(authority)) }
            users:
              - name: me
                user: \(user ?? "{ token: the-token }")
            """)
    }

    func certificate(_ name: String) -> String {
        "{ client-certificate: \(certificates.path("\(name).crt")), client-key: \(certificates.path("\(name).key")) }"
    }

    // MARK: - Answers

    private func answer(_ request: LoopbackServer.Request, _ asksClients: Bool) -> LoopbackServer.Answer {
        if let stranger = world.withLock(\.stranger) { return stranger }
        do {
            try check(request.headers["accept"] == "application/json", "Accept")
            try check(request.headers.filter { $0.key.hasPrefix("impersonate-") } == world.withLock(\.impersonation), "Impersonate")
            if !asksClients {
                let isKnown = world.withLock { world in
                    if world.refusedTokens > 0 {
                        world.refusedTokens -= 1
                        return false
                    }
                    return request.headers["authorization"] == "Bearer \(world.token)"
                }
                guard isKnown else { return status(401, "Unauthorized", "Unauthorized") }
            }
            return try route(request)
        } catch { return .init(418, #"{"kind":"Status","message":"the double cannot take this: \#(error)"}"#) }
    }

    private struct Unacceptable: Error { let what: String }

    private func check(_ holds: Bool, _ what: String) throws { guard holds else { throw Unacceptable(what: what) } }

    private func route(_ request: LoopbackServer.Request) throws -> LoopbackServer.Answer {
        let parts = request.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        if request.path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" { return try review(request) }
        if request.path.hasPrefix("/api/v1/pods?") { return try list(request) }
        try check(parts.count >= 6 && parts[0...2] == ["api", "v1", "namespaces"] && parts[4] == "pods", "path \(request.path)")
        let key = "\(parts[3])/\(parts[5])"
        switch (request.method, parts.dropFirst(6)) {
        case ("GET", []): return get(key, parts[5])
        case ("DELETE", []):
            let options = try body(request, kind: "DeleteOptions", version: "v1", fields: ["gracePeriodSeconds", "preconditions", "dryRun"])
            return try remove(key, parts[5], options, 200)
        case ("POST", ["eviction"]):
            let eviction = try body(request, kind: "Eviction", version: "policy/v1", fields: ["metadata", "deleteOptions"])
            try check(eviction["metadata"] == ["name": .text(parts[5]), "namespace": .text(parts[3])], "metadata")
            let options = eviction["deleteOptions"] ?? .null
            try check(Set(options.object?.members.map(\.key.shown) ?? []).isSubset(of: ["gracePeriodSeconds", "preconditions", "dryRun"]), "deleteOptions")
            return try remove(key, parts[5], options, 201)
        default: throw Unacceptable(what: "\(request.method) \(request.path)")
        }
    }

    private func body(_ request: LoopbackServer.Request, kind: String, version: String, fields: Set<String>) throws -> JSON {
        try check(request.headers["content-type"] == "application/json", "Content-Type")
        let body = try JSON(parsing: request.body)
        try check(body["kind"] == .text(kind) && body["apiVersion"] == .text(version), "kind and version")
        let unknown = Set(body.object?.members.map(\.key.shown) ?? []).subtracting(fields).subtracting(["kind", "apiVersion"])
        try check(unknown.isEmpty, "unknown fields \(unknown)")
        return body
    }

    private func review(_ request: LoopbackServer.Request) throws -> LoopbackServer.Answer {
        let asked = try body(request, kind: "SelfSubjectAccessReview", version: "authorization.k8s.io/v1", fields: ["spec"])
        let attributes = asked["spec"]?["resourceAttributes"]
        let subresource = attributes?["subresource"]?.string.map { "/\($0.shown)" } ?? ""
        let right = "\(attributes?["verb"]?.string?.shown ?? "?") \(attributes?["resource"]?.string?.shown ?? "?")\(subresource)"
        let isAllowed = world.withLock { !$0.forbidden.contains(right) }
        return .init(201, #"{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":\#(isAllowed)}}"#)
    }

    /// All pods, or those of `node-1`, where all are.
    private func list(_ request: LoopbackServer.Request) throws -> LoopbackServer.Answer {
        let query = request.path.split(separator: "?")[1].split(separator: "&").map(String.init)
        try check(request.method == "GET" && query.first == "limit=500" && query.count <= 2, "query \(query)")
        if query.count == 2 { try check(query[1].hasPrefix("fieldSelector=spec.nodeName%3D"), "query \(query)") }
        let isEmpty = query.count == 2 && !query[1].hasSuffix("%3Dnode-1")
        let items = isEmpty ? [] : world.withLock { world in world.pods.sorted { $0.key < $1.key }.map { json($0.key, $0.value) } }
        return .init(200, #"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[\#(items.joined(separator: ","))]}"#)
    }

    private func get(_ key: String, _ name: String) -> LoopbackServer.Answer {
        world.withLock { world in
            if let answer = world.lookUp { return answer }
            guard let pod = world.pods[key] else { return notFound(name) }
            if pod.isTerminating, world.lingers > 0 {
                world.lingers -= 1
                if world.lingers == 0 { world.pods[key] = nil }
            }
            return .init(200, json(key, pod))
        }
    }

    private func remove(_ key: String, _ name: String, _ options: JSON, _ success: Int) throws -> LoopbackServer.Answer {
        try check((options["gracePeriodSeconds"]?.integer ?? -1) >= 0, "gracePeriodSeconds")
        let uid = options["preconditions"]?["uid"]?.string?.shown
        try check(uid != nil, "a delete without a UID")
        let isDry = options["dryRun"] != nil
        return world.withLock { world in
            guard let pod = world.pods[key] else { return notFound(name) }
            guard pod.uid == uid else {
                return status(
                    409, "Conflict",
                    #"Operation cannot be fulfilled on Pod \"\#(name)\": the UID in the precondition (\#(uid ?? "")) does not match the UID in record (\#(pod.uid)). The object might have been deleted and then recreated"#,
                    details: #"{"name":"\#(name)","kind":"Pod"}"#)
            }
            if let answer = world.answer { return answer }
            if isDry { return .init(success, json(key, pod)) }
            if let stranger = world.strangerAfterDeed { world.stranger = stranger }
            let grace = options["gracePeriodSeconds"]?.integer ?? 30
            if pod.isTerminating {
                // Only a shorter grace changes something.
                world.pods[key]?.deletionGrace = min(pod.deletionGrace, grace)
            } else if world.lingers > 0 {
                world.pods[key]?.isTerminating = true
                world.pods[key]?.deletionGrace = grace
            } else {
                world.pods[key] = nil
            }
            return success == 201 ? .init(201, #"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201}"#) : .init(200, json(key, pod))
        }
    }

    private func json(_ key: String, _ pod: Pod) -> String {
        let (namespace, name) = (key.split(separator: "/")[0], key.split(separator: "/")[1])
        let owner = pod.owner.map { #","ownerReferences":[{"apiVersion":"apps/v1","kind":"\#($0)","name":"web","uid":"u","controller":true}]"# } ?? ""
        let deletion = pod.isTerminating ? #","deletionTimestamp":"2026-11-23T10:00:00Z","deletionGracePeriodSeconds":\#(pod.deletionGrace)"# : ""
        return
            #"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"\#(name)","namespace":"\#(namespace)","uid":"\#(pod.uid)","labels":\#(pod.labels),"annotations":\#(pod.annotations)\#(owner)\#(deletion)},"spec":{"nodeName":"node-1","priorityClassName":"\#(pod.priorityClass)"},"status":{"phase":"Running","startTime":"\#(pod.startTime)","containerStatuses":[{"name":"c","containerID":"containerd://\#(pod.containerID)"}]}}"#
    }

    private func notFound(_ name: String) -> LoopbackServer.Answer {
        status(404, "NotFound", #"pods \"\#(name)\" not found"#, details: #"{"name":"\#(name)","kind":"pods"}"#)
    }

    private func status(_ code: Int, _ reason: String, _ message: String, details: String? = nil) -> LoopbackServer.Answer {
        .init(code, Self.status(code, reason, message, details: details))
    }

    /// A `Status` object, as spelled by the API server.
    static func status(_ code: Int, _ reason: String, _ message: String, details: String? = nil) -> String {
        let reason = reason.isEmpty ? "" : #","reason":"\#(reason)""#
        let details = details.map { #","details":\#($0)"# } ?? ""
        return #"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"\#(message)"\#(reason)\#(details),"code":\#(code)}"#
    }
}
