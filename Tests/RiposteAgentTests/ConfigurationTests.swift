import Foundation
import Logging
@testable import RiposteAgent
import RiposteCore
import RiposteOutputs
import RiposteTestSupport
import RiposteTransport
import Testing

@Suite("configuration: flag, environment, file, default")
struct ConfigurationTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func load(_ text: String, environment: [String: String] = [:], _ change: (inout ConfigurationOverrides) -> Void = { _ in }) throws -> AgentConfiguration {
        var overrides = ConfigurationOverrides()
        overrides.file = try folder.file("riposte.yaml", text)
        change(&overrides)
        return try AgentConfiguration.load(overrides, environment: environment)
    }

    @Test("the more particular wins")
    func precedence() throws {
        #expect(try load("").mode == .observe)
        #expect(try load("mode: ask").mode == .ask)
        #expect(try load("mode: ask", environment: ["RIPOSTE_MODE": "enforce"]).mode == .enforce)
        #expect(try load("mode: ask", environment: ["RIPOSTE_MODE": "enforce"]) { $0.mode = .observe }.mode == .observe)
        #expect(try load("state_dir: /a", environment: ["RIPOSTE_STATE_DIR": "/b"]).stateDirectory == "/b")
        #expect(try load("run_dir: /a", environment: ["RIPOSTE_RUN_DIR": "/b"]) { $0.runDirectory = "/c" }.runDirectory == "/c")
        #expect(try load("", environment: ["RIPOSTE_PLAYBOOKS": "/a:/b"]).playbooks == ["/a", "/b"])
    }

    @Test(
        "a path that is empty, as of a variable that is not set, is none",
        arguments: [
            { $0.stateDirectory = "" }, { $0.runDirectory = "" }, { $0.playbooks = ["/a", ""] }, { $0.rules = [""] }, { $0.file = "" },
        ] as [@Sendable (inout ConfigurationOverrides) -> Void])
    func emptyPaths(change: @Sendable (inout ConfigurationOverrides) -> Void) {
        #expect(throws: Diagnostics.self) { try load("", environment: [:], change) }
    }

    @Test(
        "what is wrong below outputs, or is no YAML, is told without its line, which may have a secret on it",
        arguments: [
            #"outputs: [{ name: a, type: http, url: "https://h.example/hunter2", formt: x }]"#, #"outputs: [{ name: A, type: http, url: "https://h.example/hunter2" }]"#,
            "outputs:\n  - name: a\n    type: http\n    headers: { X Y: hunter2 }", "outputs:\n  - name: a\n    type: smtp\n    port: hunter2\nmode: ask",
            "outputs:\n  - name: a\n    password: \"hunter2\n", "outputs:\n  - name: a\n    password: hunter2\n    password: hunter2\n",
            "outputs:\n  - { name: a, password: &x hunter2 }", "outputs:\n  - { name: a, password: hunter2 ]\n",
            "mode: ask\noutputs: hunter2", "{ outputs: [{ name: a,\n  token: hunter2 }], mode: loud }",
        ])
    func noSecretIsTold(_ text: String) throws {
        let surroundings = AgentConfiguration().outputSurroundings(HTTPClient(), Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let problems = #expect(throws: Diagnostics.self) { try load(text).readOutputs(surroundings) }?.entries ?? []
        #expect(!problems.isEmpty)
        for problem in problems {
            #expect(!problem.rendered.contains("hunter2") && !String(decoding: problem.json.bytes, as: UTF8.self).contains("hunter2"), "\(problem.rendered)")
        }
    }

    @Test func otherSectionsAreShown() {
        let problems = #expect(throws: Diagnostics.self) { try load("outputs: []\nmode: loud") }?.entries ?? []
        #expect(problems.contains { $0.rendered.contains("    mode: loud\n") }, "\(problems)")
    }

    @Test("the shipped file says what the defaults are")
    func shipped() throws {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../config/riposte.yaml").standardizedFileURL.path
        var overrides = ConfigurationOverrides()
        overrides.file = path
        var shipped = try AgentConfiguration.load(overrides, environment: [:])
        #expect(shipped.playbooks.count == 1 && shipped.playbooks[0].hasSuffix("/playbooks"))
        shipped.playbooks = []
        #expect(shipped.rules.files.count == 1 && shipped.rules.files[0].hasSuffix("/rules"))
        shipped.rules.files = []
        #expect(shipped.file == path)
        shipped.file = nil
        #expect("\(shipped)" == "\(AgentConfiguration())")
    }

    @Test("relative paths are as seen from the file")
    func paths() throws {
        let loaded = try load(
            "state_dir: s\nrun_dir: /r\nplaybooks: [../p]\nintake: { http: { token_file: t, tls: { certificate: c, key: k } }, file: { path: ./f } }\nkubernetes: { kubeconfig: kc }\naudit: { signing_key: key }\nmetrics: { token_file: mt }"
        )
        let parent = URL(fileURLWithPath: folder.path).deletingLastPathComponent().path
        #expect(loaded.stateDirectory == folder.path + "/s" && loaded.runDirectory == "/r" && loaded.playbooks == [parent + "/p"])
        #expect(loaded.intake.http.tokenFile == folder.path + "/t" && loaded.intake.http.certificate == folder.path + "/c")
        #expect(loaded.intake.file.path == folder.path + "/f" && loaded.kubernetes.kubeconfig == folder.path + "/kc")
        #expect(loaded.audit.signingKey == folder.path + "/key" && loaded.metrics.http.tokenFile == folder.path + "/mt")
    }

    @Test(
        "what is wrong is said with its place and, where one is near, a suggestion",
        arguments: [
            ("moed: ask", "1:1", "mode"), ("mode: asks", "1:7", "ask"), ("intake:\n  htpp: {}", "2:3", "http"), ("intake: { http: { enabled: maybe } }", "1:28", nil),
            ("audit: { segment_size: lots }", "1:24", nil), ("audit: { checkpoint_every: 1ms }", "1:28", nil), ("audit: { signing_key: '' }", "1:23", nil),
            ("engine: { run_limit: 0 }", "1:22", nil), ("network: { management_allow: [nowhere] }", "1:31", nil),
            ("log_level: loud", "1:12", nil), ("- a", "1:1", nil), ("mode: [", "", nil), ("intake: { http: { tls: { key: k } } }", "1:24", nil),
            ("mode: ask\nmode: observe", "2:1", nil),
            ("metrics: { lisen: x }", "1:12", "listen"), ("metrics: { tls: { key: k } }", "1:17", nil), ("metrics: { max_connections: 0 }", "1:29", nil),
            ("intake: { http: { uids: [5], token_file: t } }", "1:25", nil), ("intake: { http: { uids: [5], allow_unauthenticated: true } }", "1:25", nil),
            ("intake: { kubernetes_audit: { uids: [5], tls: { certificate: c, key: k, client_ca: a } } }", "1:37", nil),
            ("intake: { untrusted: { max_rate: 1025GiB } }", "1:34", nil), ("intake: { untrusted: { min_free: 8589934591GiB } }", "1:34", nil),
            ("intake: { http: { max_body: 2097152GiB } }", "1:29", nil), ("audit: { segment_size: 8589934591GiB }", "1:24", nil),
            ("state_dir: ''", "1:12", nil), ("intake: { file: { path: '' } }", "1:25", nil),
        ] as [(String, String, String?)])
    func wrong(text: String, place: String, suggestion: String?) throws {
        let problems = try #require(throws: Diagnostics.self) { try load(text) }
        let first = try #require(problems.entries.first)
        #expect(first.rendered.contains("riposte.yaml:\(place)"), "\(first.rendered)")
        if let suggestion { #expect(first.suggestion == suggestion) }
    }

    @Test("who names an address to listen on, by flag or environment, is listened to there, whatever the file says", arguments: [true, false])
    func listens(byFlag: Bool) throws {
        let text = "intake: { http: { enabled: false } }"
        #expect(try !load(text).intake.http.isEnabled)
        let http = try load(text, environment: byFlag ? [:] : ["RIPOSTE_HTTP": "127.0.0.1:1"]) { if byFlag { $0.listen = "127.0.0.1:1" } }.intake.http
        #expect(http.isEnabled && http.listen == "127.0.0.1:1")
    }

    @Test("a variable of the environment that is empty says nothing")
    func emptyVariables() throws {
        let names = ["MODE", "LOG_LEVEL", "STATE_DIR", "RUN_DIR", "HTTP", "PLAYBOOKS", "RULES", "DOCKER_SOCKET"].map { "RIPOSTE_" + $0 } + ["FALCO_HOSTNAME"]
        let text = "mode: ask\nlog_level: debug\nstate_dir: /s"
        let (set, unset) = (try load(text, environment: Dictionary(uniqueKeysWithValues: names.map { ($0, "") })), try load(text))
        #expect("\(set)" == "\(unset)")
        // Where a file is there by default, it is that one.
        if !FileManager.default.fileExists(atPath: AgentConfiguration.defaultFile) {
            #expect(try AgentConfiguration.load(ConfigurationOverrides(), environment: ["RIPOSTE_CONFIG": ""]).file == nil)
        }
    }

    @Test("a variable of the environment is checked too", arguments: [["RIPOSTE_MODE": "loud"], ["RIPOSTE_LOG_LEVEL": "x"]])
    func environment(variables: [String: String]) throws {
        let problems = try #require(throws: Diagnostics.self) { try load("", environment: variables) }
        #expect(problems.description.contains(variables.keys.first ?? "?"))
    }

    @Test(
        "addresses to listen on",
        arguments: [
            ("127.0.0.1:2803", "127.0.0.1", 2803), ("[::1]:1", "::1", 1), (":80", "0.0.0.0", 80), ("localhost:0", "localhost", 0), ("nonsense", nil, nil), ("x:99999", nil, nil),
            ("x:", nil, nil), ("127.0.0.1:-0", nil, nil), ("127.0.0.1:+27803", nil, nil), ("127.0.0.1: 1", nil, nil),
        ] as [(String, String?, Int?)])
    func addresses(text: String, host: String?, port: Int?) {
        let found = Agent.hostAndPort(text)
        #expect(found?.0 == host && found?.1 == port)
    }
}
