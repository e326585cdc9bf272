import Foundation
@testable import RiposteAgent
import RiposteCore
import RiposteRules
import RiposteTestSupport
import Testing

@Suite("configuration: rules, and where audit events come in")
struct RulesConfigurationTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func load(_ text: String, environment: [String: String] = [:], rules: [String] = []) throws -> AgentConfiguration {
        var overrides = ConfigurationOverrides()
        overrides.file = try folder.file("riposte.yaml", text)
        overrides.rules = rules
        return try AgentConfiguration.load(overrides, environment: environment)
    }

    @Test("without a section: no rules, all that hold answer, suggested fields are added")
    func defaults() throws {
        let rules = try load("").rules
        #expect(rules.files.isEmpty && rules.settings.matching == .all && rules.settings.minimumPriority == .debug && rules.settings.selections.isEmpty)
        #expect(rules.settings.additions == [.suggested])
        #expect(!rules.hostnameInAlerts.isEmpty)
        let audit = try load("").intake.kubernetesAudit
        #expect(!audit.http.isEnabled && audit.http.listen == "127.0.0.1:9765" && audit.path == "/k8s-audit" && audit.http.bodyLimit == 12 << 20)
    }

    @Test("all that a section can say")
    func full() throws {
        let rules = try load(
            """
            rules:
              files: [a.yaml, ../b, /c]
              matching: first
              priority: WARNING
              select:
                - disable: { tag: network }
                - enable: { rule: "name *" }
              append_output:
                - match: { rule: NAME, source: syscall, tags: [a, b] }
                  extra_output: "text %proc.pid"
                  extra_fields: [proc.pid, { my.key: "text %proc.name" }]
                - suggested_output: true
              hostname: here
            """, environment: ["FALCO_HOSTNAME": "there"]
        ).rules
        let parent = URL(fileURLWithPath: folder.path).deletingLastPathComponent().path
        #expect(rules.files == ["\(folder.path)/a.yaml", "\(parent)/b", "/c"])
        #expect(rules.settings.matching == .first && rules.settings.minimumPriority == .warning && rules.hostnameInAlerts == "here")
        #expect(rules.settings.selections == [.init(enables: false, .tag("network")), .init(enables: true, .rules("name *"))])
        var addition = RulesSettings.Addition()
        (addition.rule, addition.source, addition.tags, addition.output) = ("NAME", "syscall", ["a", "b"], "text %proc.pid")
        addition.fields = [("proc.pid", nil), ("my.key", "text %proc.name")]
        #expect(rules.settings.additions == [addition, .suggested])
        #expect(try load("rules: { append_output: [] }").rules.settings.additions.isEmpty)
    }

    @Test("flag, environment, file")
    func precedence() throws {
        #expect(try load("rules: { files: [/a] }", environment: ["RIPOSTE_RULES": "/b:/c"]).rules.files == ["/b", "/c"])
        #expect(try load("rules: { files: [/a] }", environment: ["RIPOSTE_RULES": "/b"], rules: ["/d", "/e"]).rules.files == ["/d", "/e"])
        #expect(try load("", environment: ["FALCO_HOSTNAME": "there"]).rules.hostnameInAlerts == "there")
    }

    @Test("the intakes for audit events have the keys of the others, and paths as seen from the file")
    func intakes() throws {
        let intake = try load(
            """
            intake:
              kubernetes_audit:
                { enabled: true, listen: "[::1]:1", path: /audit, trust: untrusted, token_file: t, tls: { certificate: c, key: k, client_ca: a }, max_body: 1MiB, max_connections: 7 }
              kubernetes_audit_log: { path: log, from_start: true, trust: untrusted }
            """
        ).intake
        let http = intake.kubernetesAudit.http
        #expect(http.isEnabled && http.listen == "[::1]:1" && intake.kubernetesAudit.path == "/audit" && http.trust == .untrusted)
        #expect([http.tokenFile, http.certificate, http.key, http.clientAuthority] == ["t", "c", "k", "a"].map { "\(folder.path)/\($0)" })
        #expect(http.bodyLimit == 1 << 20 && http.connectionLimit == 7)
        #expect(intake.kubernetesAuditLog.path == "\(folder.path)/log" && intake.kubernetesAuditLog.startsAtBeginning && intake.kubernetesAuditLog.trust == .untrusted)
    }

    @Test(
        "what is wrong is said with its place and, where one is near, a suggestion",
        arguments: [
            ("rule: {}", "1:1", "rules"), ("rules: { file: [] }", "1:10", "files"), ("rules: []", "1:8", nil), ("rules: { files: [''] }", "1:18", nil),
            ("rules: { matching: al }", "1:20", "all"), ("rules: { priority: waning }", "1:20", "warning"), ("rules: { hostname: [] }", "1:20", nil),
            ("rules: { select: {} }", "1:18", nil), ("rules: { select: [{ enabel: { rule: x } }] }", "1:21", "enable"),
            ("rules: { select: [{ enable: { rule: x }, disable: { rule: y } }] }", "1:19", nil), ("rules: { select: [{ enable: { rule: x, tag: y } }] }", "1:29", nil),
            ("rules: { select: [{ enable: {} }] }", "1:29", nil), ("rules: { select: [{ enable: { tags: x } }] }", "1:31", "tag"),
            ("rules: { select: [{ enable: { rule: '' } }] }", "1:37", nil), ("rules: { append_output: [{}] }", "1:26", nil),
            ("rules: { append_output: [{ match: { rule: x } }] }", "1:26", nil), ("rules: { append_output: [{ extra_outputs: x }] }", "1:28", "extra_output"),
            ("rules: { append_output: [{ match: { source: sycall }, extra_output: x }] }", "1:45", "syscall"),
            ("rules: { append_output: [{ extra_output: 'x %proc.nmae' }] }", "1:42", "proc.name"), ("rules: { append_output: [{ extra_output: 'x %' }] }", "1:42", nil),
            ("rules: { append_output: [{ match: { source: k8s_audit }, extra_output: '%proc.name' }] }", "1:72", nil),
            ("rules: { append_output: [{ extra_fields: [proc.pidd] }] }", "1:43", "proc.pid"), ("rules: { append_output: [{ extra_fields: [{ a: '%nothing' }] }] }", "1:48", nil),
            ("rules: { append_output: [{ extra_fields: ['a text %proc.pid'] }] }", "1:43", nil),
            ("rules: { append_output: [{ extra_fields: ['proc.aname[2]', x] }] }", "1:60", nil),
            ("rules: { append_output: [{ suggested_output: maybe }] }", "1:46", nil), ("intake: { kubernetes_audit: { pth: / } }", "1:31", "path"),
            ("intake: { kubernetes_audit: { path: k8s-audit } }", "1:37", nil), ("intake: { kubernetes_audit: { path: /healthz } }", "1:37", nil),
            ("intake: { kubernetes_audit: { tls: { key: k } } }", "1:36", nil), ("intake: { kubernetes_audits: {} }", "1:11", "kubernetes_audit"),
            ("intake: { kubernetes_audit_log: { paths: x } }", "1:35", "path"), ("intake: { http: { path: / } }", "1:19", nil),
        ] as [(String, String, String?)])
    func wrong(text: String, place: String, suggestion: String?) throws {
        let problems = try #require(throws: Diagnostics.self) { try load(text) }
        let first = try #require(problems.entries.first)
        #expect(problems.entries.count == 1, "\(problems)")
        #expect(first.rendered.contains("riposte.yaml:\(place): "), "\(first.rendered)")
        if let suggestion { #expect(first.suggestion == suggestion) }
    }

    @Test("what is appended must be right for one source of events at least, where none is named")
    func anySource() throws {
        #expect(try load("rules: { append_output: [{ extra_output: '%proc.name' }, { extra_fields: [ka.verb] }] }").rules.settings.additions.count == 2)
    }
}
