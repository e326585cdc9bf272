import Foundation
import RiposteCore
import RiposteTestSupport
import RiposteTransport
import Testing

private let exec = """
    - rule: Attach/Exec Pod
      desc: Somebody attaches to a pod, or executes in it
      condition: ka.target.subresource in (exec, attach) and jevt.value[/stage] = ResponseStarted
      output: >
        Attach/Exec to pod (user=%ka.user.name pod=%ka.target.name resource=%ka.target.resource ns=%ka.target.namespace action=%ka.target.subresource
        command=%ka.uri.param[command])
      priority: NOTICE
      source: k8s_audit
      tags: [shell, k8s]

    """

private let watching = """
      - name: watch
        match: { rules: ["Attach/Exec Pod"] }
        steps:
          - action: network.block
            with: { address: 203.0.113.7 }
    """

private let webhook = #"intake: { kubernetes_audit: { enabled: true, listen: "127.0.0.1:0" } }"#

/// What a real API server logged.
private enum Recorded {
    static func events() throws -> [String] {
        try Fixtures.bytes("kubernetes-audit.jsonl").split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Those of which the rule makes an alert.
    static func execs() throws -> [String] { try events().filter { $0.contains(#""stage":"ResponseStarted""#) && ($0.contains("/exec?") || $0.contains("/attach?")) } }

    static func list(_ events: [String]) -> String { #"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[\#(events.joined(separator: ","))]}"# }
}

extension Workplace {
    func write(rules: String, _ name: String = "rules.yaml") throws {
        try FileManager.default.createDirectory(atPath: folder.path + "/rules", withIntermediateDirectories: true)
        _ = try folder.file("rules/\(name)", rules)
    }

    /// With these rules, and the webhook listening.
    func startJudging(configuration: String = webhook, mode: String = "observe", arguments: [String] = []) async throws -> ChildProcess {
        try await start(mode: mode, configuration: configuration, arguments: ["--rules", folder.path + "/rules"] + arguments)
    }

    func postAudit(_ body: String) async throws -> HTTPResponse { try await Self.postAudit(body, to: auditPlace()) }

    /// Where the agent takes audit events.
    func auditPlace() throws -> String { String(try #require(errors.firstMatch(of: /kubernetes_audit: (http:\S+)/)?.1, "no audit events are taken: \(errors)")) }

    static func postAudit(_ body: String, to place: String) async throws -> HTTPResponse {
        try await HTTPClient().send(HTTPRequest(.post, place, headers: [("Content-Type", "application/json")], body: Array(body.utf8), timeout: .seconds(20)))
    }

    /// The alerts of the journal, as they came in.
    /// Not what the sensor says of these tests, which change the agent's files and end it: that is tampering.
    func alerts() throws -> [JSON] { try auditAlertRecords().compactMap { $0["detail"]?["alert"] } }

    func auditAlertRecords() throws -> [JSON] { try records().filter { $0["kind"] == "alert" && $0["detail"]?["alert"]?["source"] != "internal" } }

    func rules(ofAlerts alerts: [JSON]) -> [String] { alerts.compactMap { $0["rule"]?.string?.shown } }

    func status() throws -> JSON { try json("status").first ?? .null }
}

@Suite("an API server tells of something, a rule holds, a playbook answers", .enabled(if: Machine.isRoot, "needs root: plans read the packet filter"))
struct KubernetesAuditTests {
    let place: Workplace

    init() throws {
        place = try Workplace()
        try place.write(playbooks: watching)
        try place.write(rules: exec)
    }

    @Test("by webhook: an alert as Falco writes it, journalled, printed, answered")
    func byWebhook() async throws {
        _ = try await place.startJudging(configuration: webhook + "\nrules: { hostname: node-1 }", arguments: ["--json"])
        let event = try #require(try Recorded.execs().first)
        let response = try await place.postAudit(event)
        #expect(response.status == 200, "\(String(decoding: response.body, as: UTF8.self))")
        #expect(try JSON(parsing: response.body) == ["events": 1, "dropped": 0])
        try await until { try place.outcomes() == ["network.block planned"] }

        var alert = try #require(try place.alerts().first?.object)
        let output = try #require(alert["output"]?.string?.shown)
        let text = "Attach/Exec to pod (user=alice pod=web resource=pods ns=prod action=exec command=sh)"
        #expect(output.wholeMatch(of: /\d\d:\d\d:33\.551182000: Notice (.*)/)?.1.trimmingCharacters(in: .whitespaces) == text)
        alert["output"] = nil
        let expected: JSON = [
            "hostname": "node-1",
            "output_fields": [
                "evt.time": .integer(try #require(Timestamp("2026-11-23T17:47:33.551182Z")).nanoseconds), "ka.target.name": "web", "ka.target.namespace": "prod",
                "ka.target.resource": "pods", "ka.target.subresource": "exec", "ka.uri.param[command]": "sh", "ka.user.name": "alice",
            ],
            "priority": "Notice", "rule": "Attach/Exec Pod", "source": "k8s_audit", "tags": ["k8s", "shell"], "time": "2026-11-23T17:47:33.551182000Z",
        ]
        #expect(JSON.object(alert) == expected)
        let arrival = try #require(try place.records().first { $0["kind"] == "alert" }?["detail"]?["arrival"])
        #expect(arrival["intake"] == "kubernetes_audit" && arrival["trust"] == "trusted")
        #expect(arrival["peer"]?.string?.shown.hasPrefix("127.0.0.1:") == true)
        try await until { place.output.contains(#""rule":"Attach/Exec Pod""#) }
        #expect(try await place.stop() == 0)
        #expect(try place.riposte("audit", "verify").status == 0)
    }

    @Test("all that was recorded, as one list with a bad event in it: judged, dropped and alerts are counted and told")
    func counted() async throws {
        _ = try await place.startJudging()
        let events = try Recorded.events()
        let response = try await place.postAudit(Recorded.list(events + [#"{"auditID":"no-time"}"#]))
        #expect(try JSON(parsing: response.body) == ["events": .integer(Int64(events.count)), "dropped": 1])
        let count = try Recorded.execs().count
        try #require(count > 1)
        #expect(try place.alerts().count == count)
        #expect(try place.status()["kubernetes_audit"] == ["judged": .integer(Int64(events.count)), "dropped": 1, "alerts": .integer(Int64(count))])
        let text = try place.riposte("status").output
        #expect(text.contains("Kubernetes audit: \(events.count) judged, 1 dropped, \(count) alerts"), "\(text)")
        let rejects = try place.records().filter { $0["kind"] == "reject" }.compactMap { $0["message"]?.string?.shown }
        #expect(rejects.count == 1 && rejects.first?.contains("no-time") == true, "\(rejects)")
        #expect(place.errors.contains("audit event dropped"))
    }

    @Test("what holds no events is refused and on record, and the next is taken")
    func malformed() async throws {
        _ = try await place.startJudging()
        #expect(try await place.postAudit(#"{"kind":"Pod"}"#).status == 400)
        #expect(try place.records().contains { $0["kind"] == "reject" && $0["message"]?.string?.shown.contains("Pod") == true })
        #expect(try await place.postAudit(Recorded.list(Recorded.execs())).status == 200)
        #expect(try place.alerts().count == Recorded.execs().count)
    }

    @Test("by a followed log, across a restart in order or not, each event once", arguments: [true, false])
    func followed(inOrder: Bool) async throws {
        let (events, count) = (try Recorded.events(), try Recorded.execs().count)
        let (some, others) = (events.prefix(20), events.dropFirst(20))
        let log = try place.folder.file("audit.log", some.joined(separator: "\n") + "\n")
        let configuration = "intake: { kubernetes_audit_log: { path: audit.log, from_start: true, trust: untrusted } }"
        _ = try await place.startJudging(configuration: configuration)
        try await until { try place.status()["kubernetes_audit"]?["judged"] == .integer(Int64(some.count)) }
        try await until { try offset() == FileManager.default.contents(atPath: log)?.count }
        let first = try place.alerts()
        #expect(!first.isEmpty && first.count < count)
        if inOrder { #expect(try await place.stop() == 0) } else { place.kill() }

        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data((others.joined(separator: "\n") + "\n").utf8))
        try handle.close()
        _ = try await place.startJudging(configuration: configuration)
        try await until { try place.status()["kubernetes_audit"]?["judged"] == .integer(Int64(others.count)) }
        #expect(try place.alerts().count == count)
        try await until { try place.outcomes().count == count }
        #expect(try Set(place.outcomes()) == ["network.block planned"])
        let arrivals = try place.auditAlertRecords().compactMap { $0["detail"]?["arrival"]?["intake"]?.string }
        #expect(Set(arrivals) == ["kubernetes_audit_log"])
    }

    private func offset() throws -> Int? {
        guard let bytes = FileManager.default.contents(atPath: place.stateDirectory + "/intake/kubernetes_audit_log.offset") else { return nil }
        return try JSON(parsing: Array(bytes))["offset"]?.integer.map(Int.init)
    }

    @Test("a list that there is no room for comes again, and what came of its beginning is not made twice")
    func again() async throws {
        // Two runs that last are all that there is room for.
        let held = try (1...2).map { _ in try ChildProcess(["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"]) }
        let watched = watching.replacing("Attach/Exec Pod", with: "No room").replacing("- name: watch", with: "- name: watch\n    mode: observe")
        try place.write(
            playbooks: watched + """

                  - name: hold
                    match: { rules: ["Hold *"] }
                    steps: [{ action: process.kill, with: { grace: 60s } }]
                """)
        try place.write(
            rules: """
                - { rule: Room, desc: d, condition: ka.target.subresource = exec, output: o, priority: NOTICE, source: k8s_audit }
                - { rule: No room, desc: d, condition: ka.target.subresource = exec, output: o, priority: NOTICE, source: k8s_audit }
                """)
        _ = try await place.startJudging(configuration: webhook + "\nengine: { run_limit: 1 }", mode: "enforce")
        for (number, child) in held.enumerated() { #expect(try await place.post(alert("Hold \(number)", pid: child.pid, name: "sh")).status == 202) }
        func told() throws -> [String] { try place.rules(ofAlerts: place.alerts()).filter { !$0.hasPrefix("Hold") } }
        let list = Recorded.list([try #require(try Recorded.execs().first)])
        for _ in 0..<3 {
            let response = try await place.postAudit(list)
            #expect(response.status == 429)
        }
        #expect(try told() == ["Room"])
        for child in held { child.signal(SIGKILL) }
        try await until { try place.outcomes().count == held.count }
        try await until { try place.records().count { $0["kind"] == "run" } == held.count }
        // Their room is free a moment later.
        var answer = try await place.postAudit(list)
        while answer.status == 429 { answer = try await place.postAudit(list) }
        #expect(answer.status == 200)
        #expect(try told() == ["Room", "No room"])
        #expect(try place.status()["kubernetes_audit"] == ["judged": 1, "dropped": 0, "alerts": 2])
        #expect(try await place.postAudit(list).status == 200)
        // A list that was taken is another one when it comes again. What it tells that was answered is no new fact.
        #expect(try told().count == 3)
        #expect(try place.records().count { $0["kind"] == "repeat" } == 1)
    }

    @Test("a field that the output has already is in the alert once")
    func twice() async throws {
        let addition = "rules: { append_output: [{ extra_fields: [ka.user.name, { ka.verb: \"<%ka.verb>\" }] }] }"
        try place.write(rules: exec.replacing("user=%ka.user.name", with: "user=%ka.user.name verb=%ka.verb"))
        _ = try await place.startJudging(configuration: webhook + "\n" + addition)
        #expect(try await place.postAudit(#require(try Recorded.execs().first)).status == 200)
        let fields = try #require(try place.alerts().first?["output_fields"]?.object)
        #expect(fields["ka.verb"] == "<create>" && fields["ka.user.name"] == "alice")
        #expect(Set(fields.members.map(\.key)).count == fields.members.count)
    }
}

@Suite("rules of a running agent", .enabled(if: Machine.isRoot, "needs root"))
struct RulesInForceTests {
    let place: Workplace

    init() throws {
        place = try Workplace()
        try place.write(rules: exec)
    }

    private static func rule(_ name: String, _ more: String = "") -> String {
        "- { rule: \(name), desc: d, condition: ka.target.subresource = exec, output: \"o %ka.user.name\", priority: NOTICE, source: k8s_audit\(more) }\n"
    }

    private func alert() async throws -> [String] {
        let before = try place.alerts().count
        #expect(try await place.postAudit(#require(try Recorded.execs().first)).status == 200)
        return place.rules(ofAlerts: Array(try place.alerts().dropFirst(before)))
    }

    @Test("an edit is in force, a broken one is rejected whole and told, on change and on SIGHUP; mended, all is well", arguments: [false, true])
    func reload(bySignal: Bool) async throws {
        let agent = try await place.startJudging()
        #expect(try await alert() == ["Attach/Exec Pod"])
        let rules = try #require(try place.status()["rules"])
        #expect(rules["count"] == 1 && rules["armed"] == 1 && rules["matching"] == "all" && rules["sources"]?["k8s_audit"] == ["count": 1, "armed": 1])

        try place.write(rules: exec + Self.rule("other") + "- rule: broken\n  desc: d\n  condition: ka.verbs = get\n  output: o\n  priority: NOTICE\n  source: k8s_audit\n")
        if bySignal { agent.signal(SIGHUP) }
        try await until { try place.status()["rules"]?["rejected"] != nil }
        let rejected = try place.status()["rules"]
        #expect(rejected?["count"] == 1 && rejected?["digest"] == rules["digest"] && rejected?["since"] == rules["since"], "what was in force stays")
        #expect(rejected?["rejected"]?["count"] == 1)
        let text = try place.riposte("status").output
        #expect(text.contains("files rejected") && text.contains("rules.yaml:13: ") && text.contains("ka.verbs"), "\(text)")
        #expect(try await alert() == ["Attach/Exec Pod"])
        #expect(try place.records().contains { $0["kind"] == "config" && $0["outcome"] == "refused" })

        try place.write(rules: exec + Self.rule("other"))
        if bySignal { agent.signal(SIGHUP) }
        try await until { try place.status()["rules"]?["count"] == 2 }
        #expect(try place.status()["rules"]?["rejected"] == nil)
        #expect(try await alert() == ["Attach/Exec Pod", "other"])
        #expect(try place.records().contains { $0["kind"] == "config" && $0["outcome"] == "done" && $0["detail"]?["rules"]?.string != nil })
    }

    @Test("a new file in the folder counts, and one that went")
    func folder() async throws {
        _ = try await place.startJudging()
        try place.write(rules: Self.rule("second"), "second.yaml")
        try await until { try place.status()["rules"]?["count"] == 2 }
        try FileManager.default.removeItem(atPath: place.folder.path + "/rules/rules.yaml")
        try await until { try place.status()["rules"]?["count"] == 1 }
        #expect(try await alert() == ["second"])
    }

    @Test("while rules change, each event is judged once, by the ones or the others")
    func swap() async throws {
        try place.write(rules: Self.rule("a"))
        let agent = try await place.startJudging()
        let (event, address) = (try #require(try Recorded.execs().first), try place.auditPlace())
        for number in 0..<60 {
            if number % 10 == 0 {
                try place.write(rules: Self.rule(number % 20 == 0 ? "b" : "a"))
                agent.signal(SIGHUP)
            }
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<4 { group.addTask { try await Workplace.postAudit(event, to: address).status } }
                for try await status in group { #expect(status == 200) }
            }
        }
        let rules = place.rules(ofAlerts: try place.alerts())
        #expect(rules.count == 240 && Set(rules) == ["a", "b"])
        #expect(try place.records().count { $0["kind"] == "config" } >= 2)
    }

    @Test(
        "the configuration says which rules answer",
        arguments: [
            ("", ["a", "b", "c"]), ("matching: first", ["a"]), ("priority: warning", ["c"]), ("select: [{ disable: { rule: a } }]", ["b", "c"]),
            ("select: [{ disable: { rule: \"*\" } }, { enable: { tag: net } }]", ["b"]), ("matching: first, select: [{ disable: { tag: net } }, { disable: { rule: a* } }]", ["c"]),
        ])
    func selected(section: String, rules: [String]) async throws {
        try place.write(
            rules: Self.rule("a") + Self.rule("b", ", tags: [net]") + Self.rule("c").replacing("NOTICE", with: "ERROR"))
        _ = try await place.startJudging(configuration: webhook + "\nrules: { \(section) }")
        #expect(try await alert() == rules)
        let status = try #require(try place.status()["rules"])
        #expect(status["count"] == 3)
        #expect(place.errors.contains("armed of 3"))
    }

    @Test("append_output adds to those that match, in the text and in the fields")
    func appended() async throws {
        try place.write(rules: Self.rule("a", ", tags: [x, y]") + Self.rule("b", ", tags: [x]"))
        let section = """
            rules:
              append_output:
                - { match: { source: k8s_audit }, extra_output: "agent=%ka.useragent" }
                - { match: { tags: [x, y] }, extra_fields: [ka.verb, { my.key: "at %ka.target.namespace" }] }
                - { match: { rule: b }, extra_output: end }
            """
        _ = try await place.startJudging(configuration: webhook + "\n" + section)
        #expect(try await alert() == ["a", "b"])
        let alerts = try place.alerts()
        #expect(alerts[0]["output"]?.string?.shown.hasSuffix("Notice o alice agent=curl/7.88.1") == true)
        #expect(alerts[1]["output"]?.string?.shown.hasSuffix("Notice o alice agent=curl/7.88.1 end") == true)
        #expect(alerts[0]["output_fields"]?["ka.verb"] == "create" && alerts[0]["output_fields"]?["my.key"] == "at prod")
        #expect(alerts[1]["output_fields"]?["ka.verb"] == nil && alerts[1]["output_fields"]?["ka.useragent"] == "curl/7.88.1")
    }

    @Test("rules without events and events without rules are told")
    func notes() async throws {
        try place.write(rules: "- { rule: s, desc: d, condition: evt.type = execve, output: o, priority: NOTICE }\n")
        _ = try await place.startJudging(configuration: webhook + "\nsensor: { enabled: false }")
        #expect(place.errors.contains("the sensor is off: 1 rule for system calls judges nothing"))
        #expect(place.errors.contains("no rule judges Kubernetes audit events"))
        #expect(try await place.stop() == 0)
        try place.write(rules: exec + Self.rule("other"))
        _ = try await place.startJudging(configuration: "")
        #expect(place.errors.contains("2 rules for Kubernetes audit events"))
        #expect(!place.errors.contains("rule for system calls"))
    }

    @Test("an agent does not start on rules that have errors, and neither doctor nor run hides where", arguments: ["broken.yaml", "nowhere"])
    func doesNotStart(path: String) throws {
        _ = try place.folder.file("broken.yaml", "- rule: r\n  desc: d\n  condition: proc.nam = x\n  output: o\n  priority: NOTICE\n")
        let configuration = try place.folder.file("riposte.yaml", "rules: { files: [\(path)] }\nintake: { http: { listen: \"127.0.0.1:0\" } }")
        let told = path == "nowhere" ? "\(place.folder.path)/nowhere" : "\(place.folder.path)/broken.yaml:3:14"
        let run = try place.riposte("run", "--config", configuration)
        #expect(run.status == 2 && run.output.contains(told), "\(run.output)")
        let doctor = try place.riposte("doctor", "--config", configuration)
        #expect(doctor.status == 1 && doctor.output.contains(told), "\(doctor.output)")
        #expect(!FileManager.default.fileExists(atPath: place.stateDirectory + "/journal"))
    }

    @Test("doctor says what an endpoint lacks", arguments: [("listen: 10.0.0.1:1", "allow_unauthenticated"), ("listen: nowhere", "intake.kubernetes_audit.listen")])
    func doctor(section: String, told: String) throws {
        let configuration = try place.folder.file("riposte.yaml", "intake: { kubernetes_audit: { enabled: true, \(section) } }")
        let (status, output) = try place.riposte("doctor", "--config", configuration)
        #expect(status == 1 && output.contains(told), "\(output)")
    }
}
