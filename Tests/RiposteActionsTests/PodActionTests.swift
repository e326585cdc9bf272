import Foundation
@testable import RiposteActions
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import RiposteTransport
import Testing

private let uid = "12c5e1aa-0000-4000-8000-000000000001"
private func web(uid: String? = uid, container: String? = nil, seenAt: Timestamp? = .now()) -> TargetClaim {
    .pod(PodClaim(namespace: "prod", name: "web-1", uid: uid, containerID: container, seenAt: seenAt))
}

@Suite("pods, against a strict double of the Kubernetes API", .enabled(if: Certificates.isPossible, "needs openssl"))
struct PodActionTests {
    @Test("a pod is deleted by its UID, and a plan has asked for all that may go wrong before")
    func delete() async throws {
        let double = try await KubernetesDouble()
        let client = try double.client()
        let action = PodDelete { client }
        let plan = try await action.plan(action.ask(web()))
        #expect(plan.target == .pod(PodIdentity(namespace: "prod", name: "web-1", uid: uid)))
        #expect(plan.remarks.contains { $0.contains("ReplicaSet web will make a new one") })
        #expect(double.deeds.isEmpty, "the probe is a dry run of the API's own")
        let performance = try await action.perform(plan)
        #expect(performance.outcome == .done && performance.isConfirmed)
        #expect(double.deeds == ["DELETE /api/v1/namespaces/prod/pods/web-1"])
        let body = try #require(double.requests.last { $0.method == "DELETE" }).body
        #expect(
            String(decoding: body, as: UTF8.self)
                == #"{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":1,"preconditions":{"uid":"\#(uid)"}}"#)
        #expect(try await action.verdict(web()) == "gone")
    }

    @Test(
        "an alert of the sensor's hits the pod in whose container's own control group the process was, and none that a group was only named after",
        .enabled(if: DockerEngine.isAvailable, "needs root, dockerd and busybox"))
    func membership() async throws {
        let engine = try DockerEngine.shared.get()
        let container = try TestContainer(engine)
        let docker = DockerClient(socket: engine.socket, client: HTTPClient())
        let own = try #require(ContainerGroups(of: try await docker.inspect(container.id))?.paths.first)
        let double = try await KubernetesDouble()
        let client = try double.client()
        let actions: [any Action] = [PodDelete(docker: docker) { client }, PodEvict(docker: docker) { client }]
        func verdict(_ action: any Action, _ id: String?, _ cgroup: String?) async throws -> String {
            try await action.verdict(.pod(PodClaim(namespace: "prod", name: "web-1", uid: uid, containerID: id, seenAt: .now(), membership: .init(cgroup: cgroup))))
        }
        for action in actions {
            for strange in ["/user.slice/user-1000.slice/user@1000.service/\(container.id)", own + "x", nil] {
                #expect(try await verdict(action, container.id, strange) == "identity")
            }
            #expect(try await verdict(action, nil, own) == "identity", "which container it was in is not said")
            #expect(try await verdict(action, String(repeating: "a", count: 64), own) == "identity", "the engine knows no such container")
        }
        try await docker.stop(container.id, timeout: .zero, signal: nil)
        #expect(try await verdict(actions[0], container.id, own) == "identity", "what has ended proves nothing")
        try await docker.start(container.id)
        for action in actions { #expect(try await verdict(action, container.id, own + "/inner") == "ok") }
    }

    @Test("a pod is evicted by its UID")
    func evict() async throws {
        let double = try await KubernetesDouble { $0.lingers = 2 }
        let client = try double.client()
        let performance = try await PodEvict { client }.carryOut(web(), ["grace": "1s"])
        #expect(performance.outcome == .done && performance.isConfirmed, "seen to be gone after it lingered")
        #expect(double.deeds == ["POST /api/v1/namespaces/prod/pods/web-1/eviction"])
    }

    @Test("a pod that still terminates when the time is up is `done`, unconfirmed; to delete it again is `already`")
    func terminating() async throws {
        let double = try await KubernetesDouble { $0.lingers = 1_000_000 }
        let client = try double.client()
        let performance = try await PodDelete { client }.carryOut(web(), ["grace": "1s"])
        #expect(performance.outcome == .done && !performance.isConfirmed)
        #expect(try await PodDelete { client }.carryOut(web()).outcome == .already)
    }

    @Test("a pod that terminates with a longer grace is asked to end sooner, and by its UID", arguments: [(3600, "5s", Outcome.done), (5, "5s", .already), (1, "5s", .already)])
    func shortened(grace: Int64, asked: String, outcome: Outcome) async throws {
        let double = try await KubernetesDouble {
            $0.lingers = 1_000_000
            $0.pods["prod/web-1"]?.isTerminating = true
            $0.pods["prod/web-1"]?.deletionGrace = grace
        }
        let client = try double.client()
        let action = PodDelete { client }
        let plan = try await action.plan(action.ask(web(), ["grace": .text(asked)]))
        #expect((plan.alreadySo == nil) == (outcome == .done))
        guard outcome == .done else { return }
        #expect(plan.remarks.contains { $0.contains("with a grace of 3600 s, which this cuts to 5 s") })
        let deed = Task { try await action.perform(plan) }
        try await until { !double.deeds.isEmpty }
        #expect(double.world.withLock { $0.pods["prod/web-1"]?.deletionGrace } == 5)
        // Not to wait out the grace: whoever was to end is seen to have ended.
        double.world.withLock { $0.pods["prod/web-1"] = nil }
        #expect(try await deed.value.isConfirmed)
    }

    @Test("a pod that takes its grace of an hour to end is looked at some hundred times, soon at first and at the end")
    func polling() {
        var (pauses, left) = (PollingPauses(), Duration.seconds(3602))
        var all: [Duration] = []
        while let pause = pauses.next(within: left) {
            all.append(pause)
            left -= pause
        }
        #expect(left == .zero && all.first == .milliseconds(100) && all.max() == .seconds(5) && all.count < 750)
        #expect(all.prefix(6).reduce(.zero, +) < .seconds(3))
    }

    @Test(
        "a 404 of somebody else is no proof that a pod is gone, neither before the deed nor after it",
        arguments: [
            "<html><h1>404 Not Found</h1></html>", "404 page not found", "{}",
            #"{"kind":"Status","status":"Failure","message":"the server could not find the requested resource","reason":"NotFound","details":{},"code":404}"#,
        ])
    func strangers404(body: String) async throws {
        let double = try await KubernetesDouble { $0.stranger = .init(404, body) }
        let client = try double.client()
        let action = PodDelete { client }
        #expect(try await action.verdict(web()) == "unavailable")
        // The wait for the end takes its time.
        guard body.hasPrefix("<") else { return }
        double.world.withLock { $0.stranger = nil }
        let plan = try await action.plan(action.ask(web()))
        double.world.withLock { ($0.lingers, $0.strangerAfterDeed) = (1_000_000, .init(404, body)) }
        let performance = try await action.perform(plan)
        #expect(performance.outcome == .done && !performance.isConfirmed)
    }

    /// How the API says no, in its words, and what we make of it.
    struct No: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let verdict: String
        let code: Int
        let body: String

        init(_ name: String, _ verdict: String, _ code: Int, _ reason: String, _ message: String, details: String? = nil) {
            testDescription = name
            self.verdict = verdict
            self.code = code
            body = KubernetesDouble.status(code, reason, message, details: details)
        }
    }

    @Test(
        "each no of the API becomes the right outcome, with its message",
        arguments: [
            No(
                "403", "denied", 403, "Forbidden", #"pods \"web-1\" is forbidden: User \"system:serviceaccount:facts:riposte\" cannot delete"#,
                details: #"{"name":"web-1","kind":"pods"}"#),
            No(
                "403 of a namespace that goes away", "gone", 403, "Forbidden", "namespace dying is being terminated",
                details: #"{"name":"x","kind":"pods","causes":[{"reason":"NamespaceTerminating","message":"m","field":"metadata.namespace"}]}"#),
            No("404", "gone", 404, "NotFound", #"pods \"web-1\" not found"#, details: #"{"name":"web-1","kind":"pods"}"#),
            No("409: the UID is another's", "identity", 409, "Conflict", #"Operation cannot be fulfilled on Pod \"web-1\": the UID"#),
            No("422", "invalid", 422, "Invalid", "DeleteOptions is invalid", details: #"{"causes":[{"reason":"FieldValueInvalid","message":"m","field":"f"}]}"#),
            No(
                "429 of a disruption budget: a policy, no wish for patience", "policy", 429, "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.",
                details: #"{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget web does not allow evicting pods currently"}]}"#),
            No("429 of a busy server", "busy", 429, "TooManyRequests", "too many requests"),
            No("500 of two budgets on one pod", "policy", 500, "", "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."),
            No("503", "unavailable", 503, "ServiceUnavailable", "apiserver is shutting down"),
        ])
    func refusals(no: No) async throws {
        let double = try await KubernetesDouble { $0.answer = .init(no.code, no.body) }
        let client = try double.client()
        #expect(try await PodEvict { client }.verdict(web()) == no.verdict)
        let message = try #require(JSON(parsing: Array(no.body.utf8))["message"]?.string?.shown)
        let action = PodEvict { client }
        let error = try await #require(throws: ActionError.self) { try await action.plan(action.ask(web())) }
        #expect(error.message.contains(message))
    }

    @Test(
        "a 404 of somebody who is no API says nothing of the pod", arguments: ["<html><body>404 Not Found</body></html>", "404 page not found", "", #"{"reason":"NotFound"}"#])
    func foreignNotFound(body: String) async throws {
        let double = try await KubernetesDouble { $0.answer = .init(404, body) }
        let client = try double.client()
        #expect(try await PodEvict { client }.verdict(web()) == "unavailable")
        double.world.withLock { $0.lookUp = .init(404, body) }
        #expect(try await PodDelete { client }.verdict(web()) == "unavailable")
    }

    @Test(
        "an alert's pod is the pod of that name only if the API's facts say so",
        arguments: [
            (web(), "ok"), (web(uid: "ffffffff-0000-4000-8000-000000000009"), "identity"), (web(uid: nil, container: "cccccccccccc"), "ok"),
            (web(uid: nil, container: "dddddddddddd"), "identity"), (web(uid: nil), "ok"),
            (web(uid: nil, seenAt: Timestamp("2025-12-31T00:00:00Z")), "identity"), (web(uid: nil, seenAt: nil), "ok"),
            (.pod(PodClaim(namespace: "prod", name: "nobody")), "gone"), (.pod(PodClaim(namespace: "prod", name: "../../secrets/x")), "unresolved"),
            (.pod(PodClaim(namespace: "prod?x=1", name: "web-1")), "unresolved"), (.pod(PodClaim(namespace: "", name: "web-1")), "unresolved"),
        ] as [(TargetClaim, String)])
    func identity(claim: TargetClaim, verdict: String) async throws {
        let double = try await KubernetesDouble()
        let client = try double.client()
        #expect(try await PodDelete { client }.verdict(claim) == verdict)
        #expect(double.deeds.isEmpty)
    }

    @Test("a pod that was made anew between plan and deed is not hit: the UID goes with the call")
    func madeAnew() async throws {
        let double = try await KubernetesDouble()
        let client = try double.client()
        let action = PodDelete { client }
        let plan = try await action.plan(action.ask(web()))
        double.world.withLock { $0.pods["prod/web-1"]?.uid = "another" }
        let error = try await #require(throws: ActionError.self) { try await action.perform(plan) }
        #expect(error.failure == .identity)
        #expect(double.world.withLock { $0.pods["prod/web-1"]?.isTerminating } == false)
    }

    @Test("a right that is missing is found before the deed, by asking the API")
    func rights() async throws {
        let double = try await KubernetesDouble { $0.forbidden = ["create pods/eviction"] }
        let client = try double.client()
        #expect(try await PodEvict { client }.verdict(web()) == "denied")
        #expect(try await PodDelete { client }.verdict(web()) == "ok")
    }

    // MARK: - Who we are, and who they are

    @Test("a client certificate speaks for us, and a stranger's does not")
    func clientCertificate() async throws {
        let double = try await KubernetesDouble(asksClients: true)
        let client = try double.client(user: double.certificate("client"))
        #expect(try await PodDelete { client }.verdict(web()) == "ok")
        #expect(double.requests.allSatisfy { $0.headers["authorization"] == nil })
        let stranger = try double.client(user: double.certificate("stranger"))
        #expect(try await PodDelete { stranger }.verdict(web()) == "unavailable")
    }

    @Test("a server that our authority does not vouch for, or under another name, gets no token", arguments: [("stranger-ca.crt", "127.0.0.1"), ("ca.crt", "127.0.0.2")])
    func strangeServer(authority: String, host: String) async throws {
        let double = try await KubernetesDouble()
        let client = try double.client(authority: authority, host: host)
        #expect(try await PodDelete { client }.verdict(web()) == "unavailable")
        #expect(double.requests.isEmpty)
    }

    @Test("who is to act as somebody else does so in every call, with just his rights")
    func impersonation() async throws {
        let double = try await KubernetesDouble {
            $0.impersonation = ["impersonate-user": "limited-user", "impersonate-uid": "7", "impersonate-group": "a, b", "impersonate-extra-example.org%2fx": "y"]
        }
        let client = try double.client(user: "{ token: the-token, as: limited-user, as-uid: '7', as-groups: [a, b], as-user-extra: { example.org/x: [y] } }")
        #expect(try await PodDelete { client }.carryOut(web()).outcome == .done)
        let plain = try double.client()
        #expect(try await PodDelete { plain }.verdict(web()) == "unavailable", "the double takes no call with other rights")
    }

    @Test("a token is read from its file each time, for it rotates")
    func rotatingToken() async throws {
        let double = try await KubernetesDouble()
        let folder = try TemporaryFolder()
        let file = try folder.file("token", "an-old-one\n")
        let client = try double.client(user: "{ tokenFile: \(file) }")
        #expect(try await PodDelete { client }.verdict(web()) == "denied")
        _ = try folder.file("token", "the-token\n")
        #expect(try await PodDelete { client }.verdict(web()) == "ok")
    }

    @Test("a credential plugin is run as an argument vector, kept, and run again after a 401")
    func plugin() async throws {
        let double = try await KubernetesDouble { $0.token = "second" }
        let folder = try TemporaryFolder()
        let plugin = try folder.file(
            "plugin",
            """
            #!/bin/sh
            echo "$1" >> '\(folder.path)/runs'
            test "$(wc -l < '\(folder.path)/runs')" = 1 && token=first || token=second
            echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"'$token'"}}'
            """)
        chmod(plugin, 0o755)
        let client = try double.client(user: "{ exec: { apiVersion: client.authentication.k8s.io/v1, command: \(plugin), args: [\"$(id);a b\"] } }")
        #expect(try await PodDelete { client }.verdict(web()) == "ok")
        #expect(try String(contentsOfFile: "\(folder.path)/runs", encoding: .utf8) == "$(id);a b\n$(id);a b\n")
    }

    /// A credential plugin, a shell script that notes each run in `runs`.
    private func plugin(_ folder: TemporaryFolder, _ script: String) throws -> String {
        let path = try folder.file("plugin", "#!/bin/sh\necho run >> '\(folder.path)/runs'\n\(script)\n")
        chmod(path, 0o755)
        return path
    }

    private static let answer = #"echo '{"kind":"ExecCredential","status":{"token":"the-token"}}'"#

    private func runs(_ folder: TemporaryFolder) -> Int { (try? String(contentsOfFile: "\(folder.path)/runs", encoding: .utf8))?.split(separator: "\n").count ?? 0 }

    @Test("whoever needs a token waits for one run of the plugin, and it holds up nobody else: a process is killed meanwhile")
    func slowPlugin() async throws {
        let double = try await KubernetesDouble()
        let folder = try TemporaryFolder()
        let fifo = folder.path + "/fifo"
        #expect(mkfifo(fifo, 0o600) == 0)
        let path = try double.kubeconfig(user: "{ exec: { command: \(plugin(folder, "read go < '\(fifo)'; \(Self.answer)")) } }")
        let gateway = KubernetesGateway(http: HTTPClient()) { () throws(ActionError) in try .find(kubeconfig: path) }
        let action = PodDelete { () throws(ActionError) in try gateway.client() }
        // More than there are threads for tasks.
        let alerts = (0...ProcessInfo.processInfo.activeProcessorCount).map { _ in Task { try await action.verdict(web()) } }
        try await until { runs(folder) > 0 }
        let child = try ChildProcess(["sleep", "1000"])
        #expect(try await ProcessKill(confirmation: .seconds(10)).carryOut(.process(ProcessClaim(pid: child.pid))).outcome == .done)
        let calledOff = Task { try await action.verdict(web()) }
        calledOff.cancel()
        #expect(try await calledOff.value == "cancelled", "who is called off does not wait for the plugin")
        #expect(double.requests.isEmpty)
        try run(["sh", "-c", "echo go > '\(fifo)'"])
        for alert in alerts { #expect(try await alert.value == "ok") }
        #expect(runs(folder) == 1)
    }

    @Test(
        "what a plugin fails with is the answer for some seconds, and its exit status is minded",
        arguments: [
            ("\(answer); exit 3", "denied", "it ended with status 3"), ("\(answer); kill -9 $$", "denied", "signal 9 ended it"), ("echo nonsense", "denied", "no ExecCredential"),
        ])
    func failingPlugin(script: String, failure: String, message: String) async throws {
        let double = try await KubernetesDouble()
        let folder = try TemporaryFolder()
        let client = try double.client(user: "{ exec: { command: \(plugin(folder, script)) } }")
        let action = PodDelete { client }
        for _ in 0..<3 {
            let error = try await #require(throws: ActionError.self) { try await action.plan(action.ask(web())) }
            #expect(error.failure?.rawValue == failure && error.message.contains(message))
        }
        #expect(runs(folder) == 1 && double.requests.isEmpty)
    }

    @Test("one client serves all, until the file that describes it, or one that it names, is another")
    func gateway() async throws {
        let double = try await KubernetesDouble()
        let path = try double.kubeconfig(user: double.certificate("client"))
        let gateway = KubernetesGateway(http: HTTPClient()) { () throws(ActionError) in try .find(kubeconfig: path) }
        let first = try gateway.client()
        #expect(try gateway.client() === first)
        // As `kubectl config` writes it: a new file in the place of the old one.
        try FileManager.default.copyItem(atPath: path, toPath: path + ".new")
        #expect(rename(path + ".new", path) == 0)
        let second = try gateway.client()
        #expect(second !== first)
        #expect(try gateway.client() === second)
        try FileManager.default.removeItem(atPath: path)
        #expect(throws: ActionError.self, "what is not there any more is not used any more") { try gateway.client() }
    }

    // MARK: - Whom never

    @Test(
        "pods that are never deleted",
        arguments: [
            ("kube-system", KubernetesDouble.Pod(uid: uid), "protected"), ("prod", .init(uid: uid, labels: #"{"riposte.dev/protected":"true"}"#), "riposte.dev/protected"),
            ("prod", .init(uid: uid, annotations: #"{"kubernetes.io/config.mirror":"x"}"#), "static pod"), ("prod", .init(uid: uid, owner: "Node"), "static pod"),
            ("prod", .init(uid: uid, priorityClass: "system-node-critical"), "priority class"), ("riposte", .init(uid: uid), "protected"),
        ])
    func guarded(namespace: String, pod: KubernetesDouble.Pod, reason: String) async throws {
        let double = try await KubernetesDouble { $0.pods = ["\(namespace)/x": pod] }
        let client = try double.client()
        let action = PodDelete { client }
        let plan = try await action.plan(action.ask(.pod(PodClaim(namespace: namespace, name: "x"))))
        #expect(await PodGuard(ownNamespace: "riposte").refusal(of: plan)?.contains(reason) == true)
    }
}

@Suite("where the Kubernetes API is")
struct KubernetesConfigurationTests {
    @Test(
        "a kubeconfig file that lacks something says what",
        arguments: [
            ("current-context: a\ncontexts: []", "context \"a\""), ("contexts: []", "current-context"),
            ("current-context: a\ncontexts: [{name: a, context: {cluster: b, user: c}}]", "cluster \"b\""),
            ("current-context: a\ncontexts: [{name: a, context: {cluster: b, user: c}}]\nclusters: [{name: b, cluster: {server: 'https://x'}}]", "user \"c\""),
            (
                "current-context: a\ncontexts: [{name: a, context: {cluster: b, user: c}}]\nclusters: [{name: b, cluster: {server: 'ftp://x'}}]\nusers: [{name: c, user: {}}]",
                "server"
            ),
            ("", "empty"), ("a: [", "line"),
        ])
    func wrong(text: String, reason: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("config", text)
        let error = try #require(throws: ActionError.self) { try KubernetesConfiguration.find(kubeconfig: path) }
        #expect(error.message.contains(reason), "\(error.message)")
    }

    @Test(
        "a key of the user or the cluster that is not known is an error, as it may be what keeps us from doing too much",
        arguments: [
            ("auth-provider: {name: gcp}", "", "use exec"), ("username: a, password: b", "", "use exec"), ("as-groups: [x]", "", "take as"), ("as: [x]", "", "as is no text"),
            ("as: a, as-groups: x", "", "as-groups is no list"), (#"as: "a\nb""#, "", "control characters"), ("impersonate: x", "", "impersonate"),
            ("", "tls-server-name: x", "as its certificate does"), ("", "proxy-url: 'ftp://x'", "proxy-url"), ("", "colour: red", "colour"),
        ])
    func unknownKeys(user: String, cluster: String, reason: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.file(
            "config",
            """
            current-context: a
            contexts: [{name: a, context: {cluster: b, user: c}}]
            clusters: [{name: b, cluster: {server: 'https://x', \(cluster)}}]
            users: [{name: c, user: {token: t, \(user)}}]
            """)
        let error = try #require(throws: ActionError.self) { try KubernetesConfiguration.find(kubeconfig: path) }
        #expect(error.failure == .invalid && error.message.contains(reason), "\(error.message)")
    }

    @Test("the proxy of a cluster is the one that is used")
    func proxy() throws {
        let folder = try TemporaryFolder()
        let text = """
            current-context: a
            contexts: [{name: a, context: {cluster: b, user: c}}]
            clusters: [{name: b, cluster: {server: 'https://x', proxy-url: 'http://p:3128'}}]
            users: [{name: c, user: {}}]
            """
        #expect(try KubernetesConfiguration.find(kubeconfig: try folder.file("config", text)).proxy == "http://p:3128")
    }

    @Test("inside a pod the service account speaks, and its namespace is ours")
    func inCluster() throws {
        let folder = try TemporaryFolder()
        for (name, text) in [("ca.crt", "x"), ("token", "t"), ("namespace", "riposte")] { _ = try folder.file(name, text) }
        let found = try KubernetesConfiguration.find(
            environment: ["KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"], serviceAccount: folder.path)
        #expect(found.server == "https://10.96.0.1:443" && found.ownNamespace == "riposte")
    }
}
