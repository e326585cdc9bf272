import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

/// The real actions' names and parameters, as far as playbooks need them.
let testCatalogue = ActionCatalogue([
    DescribedAction("process.kill", .process, [Parameter("signal", .signal, default: .signal(.kill), summary: ""), Parameter("tree", .bool, default: .bool(false), summary: "")]),
    DescribedAction("container.pause", .container, [], inverse: "container.unpause"), DescribedAction("container.unpause", .container, []),
    DescribedAction("container.stop", .container, [Parameter("timeout", .duration(max: .seconds(300)), default: .duration(.seconds(10)), summary: "")], waits: "timeout"),
    DescribedAction(
        "network.block", .address,
        [Parameter("address", .network, isRequired: true, summary: ""), Parameter("for", .duration(max: .seconds(86400)), summary: "")], inverse: "network.unblock"),
    DescribedAction("network.isolate", .host, [Parameter("allow", .list(of: .endpoint, maxCount: 8), default: .list([]), summary: "")], inverse: "network.release"),
    DescribedAction("pod.delete", .pod, []),
])

/// An action that is only described: loading and matching look at nothing else.
private struct DescribedAction: Action {
    let description: ActionDescription

    init(_ name: ActionName, _ target: ActionDescription.TargetKind, _ parameters: [Parameter], inverse: ActionName? = nil, waits: String? = nil) {
        description = ActionDescription(name: name, summary: "", target: target, impact: .reversible, parameters: parameters, inverse: inverse, waits: waits)
    }

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan { throw ActionError(.unsupported, "plan", "only described") }
    func perform(_ plan: Plan) async throws(ActionError) -> Performance { throw ActionError(.unsupported, "perform", "only described") }
}

func alert(_ text: String) throws -> Alert { try Alert(parsing: Array(text.utf8), id: .new(), arrival: .init(intake: "test")) }

func alert(rule: String = "r", priority: String = "Warning", tags: [String] = [], source: String? = "syscall", fields: JSONObject = [:]) throws -> Alert {
    var document: JSONObject = [
        "rule": .text(rule), "priority": .text(priority), "time": .text("\(Timestamp.now())"), "tags": .array(tags.map(JSON.text)), "output_fields": .object(fields),
    ]
    document.append("source", source.map(JSON.text))
    return try Alert(.object(document), id: .new(), arrival: .init(intake: "test"))
}

func load(_ playbooks: String) throws -> PlaybookSet {
    try PlaybookSet.load([.init(name: "test.yaml", text: "apiVersion: riposte/v1\nplaybooks:\n" + playbooks)], testCatalogue).set
}

@Suite("Playbook files")
struct PlaybookLoadingTests {
    @Test("a good one is read whole")
    func good() throws {
        let set = try load(
            """
              - name: contain-shell
                description: Never normal here.
                mode: enforce
                match:
                  rules: ["Terminal shell in container", "Run shell *", "!Run shell by cron"]
                  priority: ">= notice"
                  tags: [container, [a, b]]
                  when: container.id exists
                cooldown: { for: 5m, by: [container.id] }
                budget: { actions: 10, per: 1h }
                steps:
                  - action: container.pause
                    undo: { after: 30m }
                  - name: block
                    action: network.block
                    with: { address: "{{ fd.rip }}", for: 1h }
                    when: fd.rip exists
                    on_failure: continue
            """)
        let playbook = try #require(set.playbooks.first)
        #expect(playbook.mode == .enforce && playbook.cooldown?.length == .seconds(300) && playbook.cooldown?.by == ["container.id"])
        #expect(playbook.budget?.actions == 10 && playbook.budget?.per == .seconds(3600))
        #expect(playbook.match.exceptRules == ["Run shell by cron"] && playbook.match.tags == [["container"], ["a", "b"]])
        #expect(playbook.steps.map(\.name) == ["container-pause", "block"])
        #expect(playbook.steps[0].undoAfter == .seconds(1800) && playbook.steps[1].onFailure == .continue)
    }

    @Test("ten mistakes in one file are reported in one go, each at its place")
    func tenMistakes() throws {
        let text = """
            apiVersion: riposte/v2
            playbooks:
              - name: Contain Shell
                mod: enforce
                match:
                  priority: notice
                  when: container.id exist
                cooldwn: { for: 5m }
                steps:
                  - action: container.pauze
                  - action: process.kill
                    with: { signal: KIL, tre: true }
                    undo: { after: soon }
                    on_failure: yes
                  - action: network.block
                    with: { address: "{{ fd.ripp }}" }
            """
        let error = try #require(throws: Diagnostics.self) { try PlaybookSet.load([.init(name: "p.yaml", text: text)], testCatalogue) }
        let found = error.entries.map { "\($0.place?.line ?? 0):\($0.place?.column ?? 0) \($0.code) \($0.suggestion ?? "")" }
        #expect(
            found == [
                "1:13 P004 riposte/v1", "3:11 P005 ", "4:5 P001 mode", "6:17 P010 ", "7:26 P008 exists", "8:5 P001 cooldown", "10:17 P006 container.pause", "12:25 P007 KILL",
                "12:30 P007 tree", "13:15 P012 ", "13:24 P002 ", "14:21 P002 ", "16:30 P009 fd.rip",
            ])
    }

    @Test(
        "single mistakes",
        arguments: [
            ("", "P003"), ("[1]", "P002"), ("a: &x 1\nb: *x", "Y003"), ("a: 1\na: 2", "Y002"), ("\tx: 1", "Y001"), ("--- 1\n--- 2", "Y001"), ("x: [", "Y001"),
        ])
    func notPlaybooks(_ text: String, _ code: String) throws {
        let error = try #require(throws: Diagnostics.self) { try PlaybookSet.load([.init(name: "p.yaml", text: text)], testCatalogue) }
        #expect(error.entries.contains { $0.code == code }, "\(error)")
    }

    @Test(
        "mistakes in a playbook",
        arguments: [
            ("match: {}", "steps: [{ action: process.kill }]", "P011"), ("match: { rules: [] }", "steps: [{ action: process.kill }]", "P011"),
            ("match: { tags: [] }", "steps: [{ action: process.kill }]", "P011"), ("match: { sources: [] }", "steps: [{ action: process.kill }]", "P011"),
            ("match: { rules: [''] }", "steps: [{ action: process.kill }]", "P002"), ("match: { rules: x, when: containr.id exists }", "steps: [{ action: process.kill }]", "P008"),
            ("match: { rules: x }", "cooldown: { for: 1m, by: [containr.id] }\n    steps: [{ action: process.kill }]", "P015"),
            ("match: { any: true, rules: [x] }", "steps: [{ action: process.kill }]", "P011"),
            ("match: { rules: x }", "steps: []", "P002"), ("match: { rules: x }", "steps: [{ action: network.block }]", "P007"),
            ("match: { rules: x }", "steps: [{ action: process.kill }, { action: process.kill }]", "P005"),
            ("match: { rules: x }", "steps: [{ action: container.unpauze }]", "P006"),
            ("match: { rules: x }", "budget: { actions: 0, per: 1h }\n    steps: [{ action: process.kill }]", "P002"),
            ("match: { rules: x }", "evidence: full\n    steps: [{ action: process.kill }]", "P001"),
            ("match: { rules: x }", "enabled: yes\n    steps: [{ action: process.kill }]", "P002"),
            ("match: { rules: x }", "cooldown: { for: 1m, by: [proc.nam] }\n    steps: [{ action: process.kill }]", "P015"),
            ("match: { rules: x }", "steps: [{ action: network.block, with: { address: \"{{ fd.rip\" } }]", "P009"),
            ("match: { rules: x }", "steps: [{ action: network.block, with: { address: example.org } }]", "P007"),
            ("match: { rules: x }", "steps: [{ action: network.isolate, with: { allow: [10.0.0.1:99999] } }]", "P007"),
        ])
    func mistakes(_ match: String, _ rest: String, _ code: String) throws {
        let error = try #require(throws: Diagnostics.self) { try load("  - name: p\n    \(match)\n    \(rest)\n") }
        #expect(error.entries.contains { $0.code == code }, "\(error)")
    }

    @Test("one bad file refuses all; a name stands once over all files")
    func wholeOrNothing() throws {
        let good = "apiVersion: riposte/v1\nplaybooks:\n  - { name: a, match: { rules: x }, steps: [{ action: process.kill }] }\n"
        let error = try #require(throws: Diagnostics.self) { try PlaybookSet.load([.init(name: "1.yaml", text: good), .init(name: "2.yaml", text: good)], testCatalogue) }
        #expect(error.entries.map(\.message) == ["playbook \"a\" was defined before, at 1.yaml:3"])
    }

    @Test("the schema knows every key that the reader knows, and every action")
    func schema() throws {
        let schema = PlaybookSchema.json(testCatalogue)
        let playbook = schema["$defs"]?["playbook"]
        #expect(playbook?["additionalProperties"] == false)
        #expect(
            playbook?["properties"]?.object?.members.map(\.key.repaired) == [
                "name", "description", "owner", "links", "enabled", "mode", "require", "rollout", "order", "final", "dedup", "match", "cooldown", "budget", "approval", "steps",
                "on_finish",
            ])
        let actions = schema["$defs"]?["step"]?["properties"]?["action"]?["enum"]?.array?.compactMap { $0.string?.repaired }
        #expect(actions == testCatalogue.descriptions.map(\.name.rawValue))
    }
}

@Suite("Matching")
struct MatchingTests {
    @Test(
        "which alerts a match answers",
        arguments: [
            ("rules: [shell]", "shell", true), ("rules: [shell]", "Shell", false), ("rules: [sh*]", "shell", true), ("rules: [s?ell]", "shell", true),
            ("rules: ['*', '!shell']", "shell", false),
            ("priority: '>= notice'", "x", true), ("priority: '= warning'", "x", true), ("priority: '> warning'", "x", false), ("priority: '<= error'", "x", true),
            ("tags: [net]", "x", true),
            ("tags: [[net, exec]]", "x", true), ("tags: [[net, other]]", "x", false), ("sources: [k8s_audit]", "x", false), ("when: fd.rip = 192.0.2.1", "x", true),
            ("when: fd.rip != 192.0.2.1", "x", false),
            ("any: true", "x", true),
        ])
    func matches(_ match: String, _ rule: String, _ expected: Bool) throws {
        let set = try load("  - name: p\n    match: { \(match) }\n    steps: [{ action: process.kill }]\n")
        let alert = try alert(rule: rule, tags: ["net", "exec"], fields: ["fd.rip": "192.0.2.1"])
        #expect(set.matching(alert).isEmpty != expected)
    }

    @Test("alerts about the detector itself match only where named")
    func internalSource() throws {
        let alert = try alert(source: "internal")
        #expect(try load("  - { name: p, match: { any: true }, steps: [{ action: process.kill }] }\n").matching(alert).isEmpty)
        #expect(try load("  - { name: p, match: { sources: [internal] }, steps: [{ action: process.kill }] }\n").matching(alert).count == 1)
    }

    @Test("the index finds what a look at every playbook finds, in the same order")
    func indexIsTrue() throws {
        let matches = ["rules: [r1]", "rules: ['r*']", "rules: [r2, 'r?']", "tags: [a]", "tags: [[a, b], c]", "priority: '>= error'", "rules: [r1]\n      tags: [b]", "any: true"]
        let set = try load(matches.enumerated().map { "  - name: p\($0)\n    match:\n      \($1)\n    steps: [{ action: process.kill }]\n" }.joined())
        let alone = try matches.enumerated().map { try load("  - name: p\($0)\n    match:\n      \($1)\n    steps: [{ action: process.kill }]\n") }
        for rule in ["r1", "r2", "r33", "x"] {
            for tags in [[], ["a"], ["b", "a"], ["c"]] {
                for priority in ["Error", "Debug"] {
                    let alert = try alert(rule: rule, priority: priority, tags: tags)
                    #expect(set.matching(alert).map(\.name) == alone.flatMap { $0.matching(alert) }.map(\.name))
                }
            }
        }
    }
}

@Suite("From alert to request")
struct RequestTests {
    private func request(_ step: String, _ fields: JSONObject) throws -> ActionRequest {
        let set = try load("  - name: p\n    match: { any: true }\n    steps: [\(step)]\n")
        let step = try #require(set.playbooks.first?.steps.first)
        let description = try #require(testCatalogue[step.action]?.description)
        return try step.request(for: alert(fields: fields), description: description, at: .now())
    }

    @Test("a field is put in as data of its own type, and never read as a template again")
    func data() throws {
        let request = try request("{ action: network.block, with: { address: \"{{ fd.rip }}\", for: 1h } }", ["fd.rip": "192.0.2.9"])
        #expect(request.claim == .address(try #require(IPNetwork("192.0.2.9"))))
        for hostile in ["{{ proc.name }}", "$(reboot)", "192.0.2.9; rm", "192.0.2.9\n", "0/0", ""] {
            #expect(throws: ActionError.self) {
                try self.request("{ action: network.block, with: { address: \"{{ fd.rip }}\" } }", ["fd.rip": .text(hostile), "proc.name": "192.0.2.9"])
            }
        }
    }

    @Test("an absent field is an error of the step and not an empty text")
    func absent() throws {
        for value: JSON in [.null, "<NA>"] {
            let error = #expect(throws: ActionError.self) { try request("{ action: network.block, with: { address: \"{{ fd.rip }}\" } }", ["fd.rip": value]) }
            #expect(error?.failure == .invalid)
        }
    }

    @Test(
        "who is meant, and what is missing",
        arguments: [
            ("process.kill", #"{"proc.pid":7,"proc.name":"sh"}"#, nil), ("process.kill", #"{"proc.pid":"7"}"#, nil), ("process.kill", "{}", "the alert has no proc.pid"),
            ("process.kill", #"{"proc.pid":0}"#, "proc.pid 0 is no process id"), ("process.kill", #"{"proc.pid":-1}"#, "proc.pid -1 is no process id"),
            ("process.kill", #"{"proc.pid":99999999999}"#, "proc.pid 99999999999 is no process id"),
            ("process.kill", #"{"proc.pid":7,"proc.pid.ts":"x"}"#, "proc.pid.ts \"x\" is no time in nanoseconds"), ("container.pause", #"{"container.id":"3f0c9a1b77de"}"#, nil),
            ("container.pause", #"{"container.id":"host"}"#, "the alert is about the host, not a container"), ("container.pause", "{}", "the alert has no container.id"),
            ("container.pause", #"{"container.id":"../../x"}"#, "container.id \"../../x\" is no container id (12 to 64 hexadecimal digits)"),
            ("container.pause", #"{"container.id":"web"}"#, "container.id \"web\" is no container id (12 to 64 hexadecimal digits)"),
            ("pod.delete", #"{"k8s.ns.name":"a","k8s.pod.name":"b"}"#, nil),
            ("pod.delete", #"{"k8s.ns.name":"a","k8s.pod.name":null}"#, "the alert has no k8s.ns.name and k8s.pod.name"),
        ] as [(String, String, String?)])
    func claims(_ action: String, _ fields: String, _ problem: String?) throws {
        let fields = try #require(try JSON(parsing: Array(fields.utf8)).object)
        guard let problem else {
            #expect(throws: Never.self) { try request("{ action: \(action) }", fields) }
            return
        }
        let error = #expect(throws: ActionError.self) { try request("{ action: \(action) }", fields) }
        #expect(error?.answer == problem && error?.outcome == .refused)
    }
}
