import Foundation
import RiposteCore
import RiposteTestSupport
import RiposteTransport
import Testing

@testable import RiposteOutputs

/// What an event is about, and who we are to the API.
struct KubernetesDestinationTests {
    private func event(_ message: OutputMessage) async throws -> (path: String, body: JSON) {
        let server = try await LoopbackServer { _ in .init(201, "{}") }
        _ = try await Vendor.named("kubernetes").destination(server.port).deliver([message])
        let request = try #require(server.requests.first)
        return (request.path, try JSON(parsing: request.body))
    }

    private static let node: JSON = ["apiVersion": "v1", "kind": "Node", "name": "agent-1"]

    private typealias Case = (name: String, fields: JSONObject, namespace: String?)

    private static let known: [Case] = [("a pod", ["k8s.ns.name": "shop", "k8s.pod.name": "web-1", "k8s.pod.uid": "0b7d3f0e-6a6f"], "shop"), ("no pod", [:], nil)]
    private static let unknown: [Case] = [
        pod("a path", "../../secrets", "web-1"), pod("a query", "shop?x=", "web-1"), pod("no name", "shop", "a..b"), pod("a name in capitals", "Shop", "web-1"),
        pod("nothing", "", ""), pod("no text", 1, "web-1"), pod("a long name", .text(String(repeating: "a", count: 64)), "web-1"),
    ]
    private static let cases: [Case] = known + unknown

    private static func pod(_ name: String, _ namespace: JSON, _ pod: JSON) -> Case { (name, ["k8s.ns.name": namespace, "k8s.pod.name": pod], nil) }

    @Test(arguments: cases)
    func isAboutThePodOrTheNode(_ name: String, _ fields: JSONObject, _ namespace: String?) async throws {
        let (path, body) = try await event(Samples.message(Samples.alert("r", "Critical", fields: fields)))
        #expect(path == "/apis/events.k8s.io/v1/namespaces/\(namespace ?? "default")/events")
        #expect(body["metadata"]?["namespace"] == .text(namespace ?? "default"))
        let pod: JSON = ["apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "0b7d3f0e-6a6f"]
        #expect(body["regarding"] == (namespace == nil ? Self.node : pod))
        #expect(body["type"] == "Warning" && body["reason"] == "SecurityAlert" && body["eventTime"] == "2026-03-04T11:22:33.123456Z")
    }

    @Test func aResponseIsAboutItsTarget() async throws {
        var record = AuditRecord(.outcome, at: Samples.time)
        (record.action, record.outcome) = ("pod.delete", .done)
        record.target = .pod(PodIdentity(namespace: "shop", name: "web-1", uid: "0b7d"))
        let (path, body) = try await event(Samples.message(record))
        #expect(path.contains("/namespaces/shop/"))
        #expect(body["regarding"]?["uid"] == "0b7d" && body["action"] == "pod.delete" && body["reason"] == "SecurityResponse" && body["type"] == "Normal")
    }

    @Test("the token of a file, which is another one each time, is not shown when somebody repeats it")
    func aTokenThatIsRepeated() async throws {
        let server = try await LoopbackServer { request in .init(401, "you are \(request.headers["authorization"] ?? ""), and not welcome") }
        let folder = try TemporaryFolder()
        let keys: SettingsValue = ["url": .init(.scalar("http://127.0.0.1:\(server.port)", isPlain: true)), "service_account": .init(.scalar(folder.path, isPlain: true))]
        let destination = try #require(KubernetesDestination(settings: Samples.settings(keys), context: Samples.context()))
        for token in ["first-hunter2", "second-hunter3"] {
            _ = try folder.file("token", token)
            let report = await destination.deliver([Samples.message(Samples.alert("r"))])
            guard case .tryAgain(let reason, _)? = report.fates.first else {
                Issue.record("\(report)")
                continue
            }
            #expect(reason == "status 401: you are Bearer …, and not welcome" && report.answer == reason)
        }
    }

    @Test("where nothing may be written about a pod, it is told of the node; where even that may not be, it waits", arguments: [true, false])
    func aNamespaceWithoutRights(_ mayWriteDefault: Bool) async throws {
        let server = try await LoopbackServer { request in .init(mayWriteDefault && request.path.contains("/namespaces/default/") ? 201 : 403, "{}") }
        let message = Samples.message(Samples.alert("r", fields: ["k8s.ns.name": "shop", "k8s.pod.name": "web-1"]))
        let fates = try await Vendor.named("kubernetes").destination(server.port).deliver([message]).fates
        #expect(server.requests.map(\.path) == ["shop", "default"].map { "/apis/events.k8s.io/v1/namespaces/\($0)/events" })
        let body = try JSON(parsing: try #require(server.requests.last).body)
        #expect(body["regarding"] == Self.node && body["metadata"]?["annotations"]?["riposte.dev/pod"] == "shop/web-1")
        if mayWriteDefault { #expect(fates == [.delivered]) } else if case .tryAgain? = fates.first {} else { Issue.record("\(fates)") }
    }

    /// As in a pod: the service account's authority and token, which is read anew each time.
    @Test(.enabled(if: Certificates.isPossible, "needs openssl"))
    func aServiceAccount() async throws {
        let certificates = try Certificates.shared.get()
        let server = try await LoopbackServer(certificates) { _ in .init(201, "{}") }
        let folder = try TemporaryFolder()
        _ = try folder.file("ca.crt", String(contentsOfFile: certificates.path("ca.crt"), encoding: .utf8))
        _ = try folder.file("token", "first\n")
        let keys: SettingsValue = ["url": .init(.scalar("https://127.0.0.1:\(server.port)", isPlain: true)), "service_account": .init(.scalar(folder.path, isPlain: true))]
        let settings = Samples.settings(keys)
        let destination = try #require(KubernetesDestination(settings: settings, context: Samples.context()))
        #expect(settings.problems() == [])
        #expect(await destination.deliver([Samples.message(Samples.alert("r"))]).fates == [.delivered])
        _ = try folder.file("token", "second\n")
        #expect(await destination.deliver([Samples.message(Samples.alert("r"))]).fates == [.delivered])
        #expect(server.requests.map { $0.headers["authorization"] } == ["Bearer first", "Bearer second"])
        try FileManager.default.removeItem(atPath: folder.path + "/token")
        guard case .tryAgain? = await destination.deliver([Samples.message(Samples.alert("r"))]).fates.first else {
            Issue.record("it was sent without a token")
            return
        }
    }
}
