import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

/// The actions that an import writes down, with the real names and parameters.
let importCatalogue = ActionCatalogue([
    ImportedAction("pod.delete", .pod, [Parameter("grace", .duration(max: .seconds(3600)), default: .duration(.seconds(1)), summary: "")]),
    ImportedAction("pod.evict", .pod, [Parameter("grace", .duration(max: .seconds(3600)), default: .duration(.seconds(1)), summary: "")]),
    ImportedAction("container.isolate", .container, [Parameter("allow", .list(of: .endpoint, maxCount: 256), default: .list([]), summary: "")], inverse: "container.release"),
    ImportedAction(
        "network.block", .address, [Parameter("address", .network, isRequired: true, summary: ""), Parameter("for", .duration(max: .seconds(86400)), summary: "")],
        inverse: "network.unblock"),
])

private struct ImportedAction: Action {
    let description: ActionDescription

    init(_ name: ActionName, _ target: ActionDescription.TargetKind, _ parameters: [Parameter], inverse: ActionName? = nil) {
        description = ActionDescription(name: name, summary: "", target: target, impact: .destroys, parameters: parameters, inverse: inverse)
    }

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan { throw ActionError(.unsupported, "plan", "only described") }
    func perform(_ plan: Plan) async throws(ActionError) -> Performance { throw ActionError(.unsupported, "perform", "only described") }
}

func imported(_ texts: String..., mode: Mode = .observe) throws -> TalonTranslation {
    TalonTranslation(try TalonRules.read(texts.enumerated().map { .init(name: "\($0 + 1).yaml", text: $1) }), mode: mode)
}

/// Read again as `playbook check` reads it; an import must never write what that refuses.
@discardableResult
func reread(_ translation: TalonTranslation) throws -> PlaybookSet {
    let (set, warnings) = try PlaybookSet.load([.init(name: "import.yaml", text: translation.text)], importCatalogue)
    // Talon knows no budgets: whoever lets the import act is told to give it one.
    let others = warnings.filter { $0.code != "P021" }
    #expect(others.isEmpty, "\(others.map(\.rendered))")
    return set
}

private func rule(_ match: String, actions: String = "[{ action: T, actionner: 'kubernetes:terminate', parameters: { grace_period_seconds: 5 } }]", more: String = "") -> String {
    "- rule: R\n  match: \(match)\n  actions: \(actions)\n\(more)"
}

/// What is not exact, as `fit part: text` beginning with what is given.
private func findings(_ translation: TalonTranslation) -> [String] {
    translation.report.entries.filter { $0.fit != .exact }.map { "\($0.fit.rawValue) \($0.part): \($0.text)" }
}

@Suite("Import of Talon's rules")
struct TalonImportTests {
    struct MatchCase: CustomTestStringConvertible {
        var talon: String
        /// The lines of `match`.
        var expected: [String]
        /// Beginnings of what is different or missing.
        var remarks: [String] = []

        var testDescription: String { talon }
    }

    @Test(
        "each key of match becomes what means the same",
        arguments: [
            MatchCase(talon: "{}", expected: ["any: true"]),
            MatchCase(talon: "{ rules: [Terminal shell in container] }", expected: ["rules:", "  - \"Terminal shell in container\""]),
            MatchCase(talon: "{ rules: ['a*', '!b'] }", expected: ["when: \"alert.rule in (\\\"a*\\\", \\\"!b\\\")\""]),
            MatchCase(talon: "{ priority: Critical }", expected: ["priority: \"= critical\""]),
            MatchCase(talon: "{ priority: '>=warning' }", expected: ["priority: \">= warning\""]),
            MatchCase(talon: "{ priority: '<Error' }", expected: ["priority: \"< error\""]),
            MatchCase(talon: "{ priority: '>=' }", expected: ["any: true"]),
            MatchCase(talon: "{ tags: ['container, shell', network] }", expected: ["tags:", "  - [\"container\", \"shell\"]", "  - \"network\""]),
            MatchCase(talon: "{ source: k8s_audit }", expected: ["sources:", "  - \"k8s_audit\""]),
            MatchCase(
                talon: "{ source: syscall }", expected: ["sources:", "  - \"syscall\""], remarks: ["different source: an alert that names no source"]),
            MatchCase(talon: "{ source: syscalls }", expected: ["sources:", "  - \"syscall\""], remarks: ["different source: Falco's own name is syscall"]),
            MatchCase(talon: "{ output_fields: [proc.name=sh] }", expected: ["when: \"proc.name = \\\"sh\\\"\""]),
            MatchCase(
                talon: "{ output_fields: [k8s.ns.name!=kube-system] }",
                expected: ["when: \"(not k8s.ns.name exists or k8s.ns.name != \\\"kube-system\\\")\""]),
            MatchCase(
                talon: "{ output_fields: ['proc.name=sh, user.name!=root', proc.name=nc] }",
                expected: ["when: \"(proc.name = \\\"sh\\\" and (not user.name exists or user.name != \\\"root\\\")) or (proc.name = \\\"nc\\\")\""]),
            MatchCase(talon: "{ output_fields: ['proc.cmdline=\"a b\"'] }", expected: ["when: \"proc.cmdline = \\\"a b\\\"\""]),
            MatchCase(
                talon: "{ output_fields: ['proc.name=<NA>'] }", expected: ["when: \"not proc.name exists\""],
                remarks: ["different output_fields proc.name=<NA>: Talon compares the text"]),
            MatchCase(
                talon: "{ output_fields: [proc.pid=4711] }", expected: ["when: \"proc.pid = \\\"4711\\\"\""], remarks: ["different output_fields proc.pid=4711: numbers"]),
            MatchCase(
                talon: "{ output_fields: [fd.rip=192.0.2.1] }", expected: ["when: \"fd.rip = \\\"192.0.2.1\\\"\""],
                remarks: ["different output_fields fd.rip=192.0.2.1: addresses"]),
            MatchCase(
                talon: "{ output_fields: ['proc.cmdline=a=b'] }", expected: ["when: \"proc.cmdline = \\\"a=b\\\"\""],
                remarks: ["different output_fields proc.cmdline=a=b: Talon passes over"]),
            MatchCase(
                talon: "{ output_fields: ['proc.cmdline!=a=b', proc.name=x] }", expected: ["when: \"proc.name = \\\"x\\\"\""],
                remarks: ["different output_fields proc.cmdline!=a=b: with a \"=\""]),
            MatchCase(
                talon: "{ output_fields: [proc.nam=x, proc.name=y] }", expected: ["when: \"proc.name = \\\"y\\\"\""],
                remarks: ["missing output_fields proc.nam=x: there is no field"]),
            MatchCase(
                talon: "{ rules: [x], output_fields: [a.b=c] }", expected: ["rules:", "  - \"x\"", "when: \"a.b = \\\"c\\\"\""]),
        ])
    func match(_ given: MatchCase) throws {
        let translation = try imported(rule(given.talon))
        let lines = translation.text.split(separator: "\n").map(String.init)
        let start = try #require(lines.firstIndex(of: "    match:"))
        let match = lines[(start + 1)...].prefix { $0.hasPrefix("      ") }.map { String($0.dropFirst(6)) }
        #expect(match == given.expected)
        let found = findings(translation)
        #expect(found.count == given.remarks.count && zip(found, given.remarks).allSatisfy { $0.hasPrefix($1) }, "\(found)")
        try reread(translation)
    }

    struct ActionCase: CustomTestStringConvertible {
        var talon: String
        /// The lines of `steps`.
        var expected: [String]
        var remarks: [String] = []

        var testDescription: String { talon }
    }

    @Test(
        "kubernetes:terminate is pod.delete; a restriction that cannot be kept makes the step observe",
        arguments: [
            ActionCase(talon: "{ grace_period_seconds: 5 }", expected: ["- name: t", "  action: pod.delete", "  with: { grace: \"5s\" }"]),
            ActionCase(
                talon: "{}", expected: ["- name: t", "  action: pod.delete", "  with: { grace: \"1s\" }"],
                remarks: ["different action \"T\": kubernetes:terminate: without a grace"]),
            ActionCase(
                talon: "{ grace_period_seconds: 7200 }", expected: ["- name: t", "  action: pod.delete", "  with: { grace: \"3600s\" }"],
                remarks: ["different action \"T\": grace_period_seconds: 7200 s"]),
            ActionCase(
                talon: "{ grace_period_seconds: soon }", expected: ["- name: t", "  action: pod.delete", "  with: { grace: \"1s\" }"],
                remarks: ["missing action \"T\": grace_period_seconds: \"soon\" is no number"]),
            ActionCase(
                talon: "{ grace_period_seconds: 5, ignore_daemonsets: true }",
                expected: [
                    "# not imported: ignore_daemonsets: pod.delete spares no pods of DaemonSets, so the step observes only", "- name: t", "  action: pod.delete",
                    "  with: { grace: \"5s\" }", "  mode: observe",
                ], remarks: ["missing action \"T\": ignore_daemonsets: "]),
            ActionCase(
                talon: "{ grace_period_seconds: 5, ignore_daemonsets: false, ignore_statefulsets: false, min_healthy_replicas: '' }",
                expected: ["- name: t", "  action: pod.delete", "  with: { grace: \"5s\" }"]),
            ActionCase(
                talon: "{ grace_period_second: 5 }", expected: ["- name: t", "  action: pod.delete", "  with: { grace: \"1s\" }"],
                remarks: ["different action \"T\": kubernetes:terminate: without", "different action \"T\": parameter grace_period_second: Talon's actionner passes over it"]),
        ])
    func terminate(_ given: ActionCase) throws {
        let translation = try imported(rule("{ rules: [x] }", actions: "[{ action: T, actionner: 'kubernetes:terminate', parameters: \(given.talon) }]"), mode: .enforce)
        #expect(steps(of: translation) == given.expected)
        let found = findings(translation)
        #expect(found.count == given.remarks.count && zip(found, given.remarks).allSatisfy { $0.hasPrefix($1) }, "\(found)")
        try reread(translation)
    }

    private func steps(of translation: TalonTranslation) -> [String] {
        let lines = translation.text.split(separator: "\n").map(String.init)
        guard let start = lines.firstIndex(of: "    steps:") else { return [] }
        return lines[(start + 1)...].prefix { $0.hasPrefix("      ") }.map { String($0.dropFirst(6)) }
    }

    @Test(
        "what Riposte cannot do is missing, stands as a comment, and makes no step",
        arguments: [
            ("kubernetes:label", nil), ("kubernetes:annotation", nil), ("kubernetes:networkpolicy", "container.isolate"), ("calico:networkpolicy", "network.block"),
            ("cilium:networkpolicy", "network.block"), ("kubernetes:exec", nil), ("kubernetes:script", nil), ("kubernetes:log", nil), ("kubernetes:download", nil),
            ("kubernetes:tcpdump", nil), ("kubernetes:sysdig", nil), ("kubernetes:delete", nil), ("kubernetes:cordon", nil), ("kubernetes:drain", "pod.evict"),
            ("aws:lambda", nil), ("gcp:function", nil), ("kubernetes:terminat", nil),
        ] as [(String, String?)])
    func without(_ actionner: String, _ near: String?) throws {
        let translation = try imported(rule("{ rules: [x] }", actions: "[{ action: A, actionner: '\(actionner)', parameters: { allow_cidr: [10.0.0.0/8, nonsense] } }]"))
        #expect(try reread(translation).playbooks.isEmpty)
        #expect(!translation.report.isComplete && translation.report.playbooks == 0)
        #expect(translation.text.contains("  #     # not imported: action \"A\" (\(actionner)): "))
        #expect(translation.text.contains("  #     # - name: a\n") == (near != nil))
        if let near { #expect(translation.text.contains("  #     #   action: \(near)\n")) }
        // What is offered is good once the marks are taken away.
        let uncommented = translation.text.split(separator: "\n").map { line -> String in
            guard line.hasPrefix("  # ") else { return String(line) }
            let inner = line.dropFirst(4)
            guard inner.hasPrefix("    # ") else { return "  " + inner }
            return inner.contains("not imported") ? "" : "      " + inner.dropFirst(6)
        }.filter { !$0.hasPrefix("  Talon's rule") }
        guard near != nil else { return }
        let text = uncommented.joined(separator: "\n").replacing("playbooks: []", with: "playbooks:")
        #expect(try PlaybookSet.load([.init(name: "u.yaml", text: text)], importCatalogue).set.playbooks.first?.steps.map(\.action.rawValue) == near.map { [$0] })
    }

    @Test("actions follow one another as in Talon: continue, its defaults, ignore_errors")
    func order() throws {
        func names(_ actions: String) throws -> [String] {
            let translation = try imported(rule("{ rules: [x] }", actions: actions))
            return try reread(translation).playbooks.first?.steps.map { "\($0.name) \($0.onFailure)" } ?? []
        }
        let terminate = "actionner: 'kubernetes:terminate'"
        #expect(try names("[{ action: A, \(terminate) }, { action: B, \(terminate) }]") == ["a stop"], "terminate ends the rule")
        #expect(try names("[{ action: A, \(terminate), continue: true }, { action: B, \(terminate) }]") == ["a stop", "b stop"])
        #expect(try names("[{ action: A, \(terminate), continue: 'true', ignore_errors: true }, { action: B, \(terminate) }]") == ["a continue", "b stop"])
        #expect(try names("[{ action: L, actionner: 'kubernetes:label' }, { action: B, \(terminate) }]") == ["b stop"], "label goes on")
        #expect(try names("[{ action: L, actionner: 'kubernetes:label', continue: false }, { action: B, \(terminate) }]") == [], "not if told otherwise")
        #expect(try names("[{ action: A, \(terminate), continue: true }, { action: a!, \(terminate) }]") == ["a stop", "a-2 stop"], "names are unique")
    }

    @Test("a rule that does not continue matters only where a later playbook can meet the same alert")
    func ruleOrder() throws {
        func remarks(_ first: String, _ second: String) throws -> [String] {
            findings(try imported(rule(first, more: "  continue: false\n") + rule(second).replacing("rule: R", with: "rule: S")))
        }
        #expect(try remarks("{ rules: [a] }", "{ rules: [b] }").isEmpty)
        #expect(try remarks("{ priority: Notice }", "{ priority: '>=Warning' }").isEmpty)
        #expect(try remarks("{ source: aws }", "{ source: k8s_audit }").isEmpty)
        let found = try remarks("{ rules: [a] }", "{ rules: [b, a] }")
        #expect(found.count == 1 && found[0].hasPrefix("missing continue: false: later playbooks see the alert all the same: exclude it in those of \"S\""))
    }

    @Test("dry_run observes whatever mode is asked for; the mode is the import's")
    func modes() throws {
        let text = rule("{ rules: [a] }", more: "  dry_run: true\n") + rule("{ rules: [b] }").replacing("rule: R", with: "rule: S")
        #expect(try reread(imported(text)).playbooks.map(\.mode) == [.observe, .observe])
        #expect(try reread(imported(text, mode: .enforce)).playbooks.map(\.mode) == [.observe, .enforce])
    }

    @Test("a second file overrides texts, appends lists, and takes priority and source away where it has none")
    func merging() throws {
        let first = """
            - action: T
              actionner: kubernetes:terminate
              parameters: { grace_period_seconds: 5, ignore_daemonsets: true }
            - rule: R
              description: one
              match: { rules: [a], priority: Critical, tags: [x], output_fields: [proc.name=sh] }
              actions: [{ action: T, continue: true }]
            """
        let second = """
            - action: T
              parameters: { grace_period_seconds: 9, ignore_daemonsets: "no such kind" }
            - rule: R
              description: two
              dry_run: true
              match: { rules: [b], tags: [y], output_fields: [proc.name=nc] }
              actions: [{ action: U, actionner: "kubernetes:terminate" }]
            """
        let rules = try TalonRules.read([.init(name: "1", text: first), .init(name: "2", text: second)]).rules
        let rule = try #require(rules.first)
        #expect(rules.count == 1 && rule.description == "two" && rule.isDryRun == true)
        #expect(rule.match.rules == ["a", "b"] && rule.match.tags == [["x"], ["y"]] && rule.match.fields.count == 2 && rule.match.priority == nil)
        #expect(rule.actions.map(\.name) == ["T", "U"])
        #expect(rule.actions[0].parameters == ["grace_period_seconds": 9, "ignore_daemonsets": true], "a value of another kind is dropped")
        #expect(rule.place.description == "1:4" && rule.actions[1].place.description == "2:7")
    }

    @Test("a rule's own parameters come before its action's definition, lists are joined, the definition's keys win in mappings")
    func completing() throws {
        let text = """
            - action: A
              description: d
              actionner: kubernetes:label
              ignore_errors: true
              parameters: { labels: { a: "1", b: "2" }, level: node, list: [x] }
            - rule: R
              match: {}
              actions: [{ action: A, ignore_errors: false, parameters: { labels: { a: "9", c: "3" }, level: pod, list: [y] } }]
            """
        let action = try #require(try TalonRules.read([.init(name: "1", text: text)]).rules.first?.actions.first)
        #expect(action.actionner == "kubernetes:label" && action.description == "d" && action.ignoresErrors == false)
        #expect(action.parameters == ["labels": ["a": "1", "c": "3", "b": "2"], "level": "pod", "list": ["x", "y"]])
    }

    @Test(
        "what Talon refuses is refused, in its place",
        arguments: [
            ("", "I008"), ("{}", "I001"), ("- x", "I001"), ("- { rule: R, action: A }", "I001"), ("- action: A", "I008"), ("- { rule: '' }", "I003"),
            ("- { rule: R, match: {} }", "I003"), ("- { rule: R, match: {}, actions: [{ action: A }] }", "I007"),
            ("- { rule: R, match: {}, actions: [{ action: A, actionner: terminate }] }", "I007"), ("- { rule: R, match: {}, actions: [{ actionner: 'a:b' }] }", "I003"),
            ("- { rule: R, match: {}, continue: maybe, actions: [{ action: A, actionner: 'a:b' }] }", "I002"),
            ("- { rule: R, match: { priority: Info } }", "I004"), ("- { rule: R, match: { priority: '=>Error' } }", "I004"),
            ("- { rule: R, match: { tags: ['a,,b'] } }", "I005"), ("- { rule: R, match: { tags: ['a-b'] } }", "I005"), ("- { rule: R, match: { tags: x } }", "I002"),
            ("- { rule: R, match: { output_fields: ['a b'] } }", "I006"), ("- { rule: R, match: { output_fields: ['a.b = c'] } }", "I006"),
            ("- { rule: R, match: { output_fields: ['a.b=c,d'] } }", "I006"), ("- { rule: R, match: [] }", "I002"), ("a: &x 1\nb: *x", "Y003"), ("- [", "Y001"),
            ("- { rule: R, match: {}, actions: [{ action: A, actionner: 'a:b', output: { target: 'aws:s3' } }] }", "I003"),
        ])
    func refused(_ text: String, _ code: String) throws {
        let error = try #require(throws: Diagnostics.self) { try TalonRules.read([.init(name: "t.yaml", text: text)]) }
        #expect(error.entries.contains { $0.code == code }, "\(error)")
        #expect(TalonRules.codes.contains { $0.code == code } || code.hasPrefix("Y"))
    }

    @Test("keys that Talon passes over are named, with what was probably meant")
    func passedOver() throws {
        let translation = try imported(rule("{ rules: [a], tag: [x] }", more: "  notifier: [slack]\n") + "- list: x\n")
        #expect(
            findings(translation) == [
                "different key \"notifier\" in a rule: Talon passes over it without a word, and so does the import; did you mean \"notifiers\"?",
                "different key \"tag\" in match: Talon passes over it without a word, and so does the import; did you mean \"tags\"?",
                "different an entry that is neither an action nor a rule: Talon passes over it without a word, and so does the import",
            ])
    }

    @Test("notifiers are missing")
    func notifiers() throws {
        let translation = try imported(rule("{ rules: [a] }", more: "  notifiers: [slack, k8sevents]\n"))
        #expect(findings(translation).map { $0.prefix(34) } == ["missing notifiers slack, k8sevents"])
        #expect(try reread(translation).playbooks.count == 1)
    }

    @Test("no text of the files can become YAML of its own")
    func hostile() throws {
        let nasty = "x\n    mode: enforce\n  - name: evil # \u{85}\u{2028}\u{FEFF}\u{202E} \" ' \\ {{ proc.pid }} \u{1F}\u{0} ✓ é"
        func escaped(_ text: String) -> String {
            "\"\(text.unicodeScalars.map { "\\U" + String(repeating: "0", count: 8 - String($0.value, radix: 16).count) + String($0.value, radix: 16) }.joined())\""
        }
        let quoted = escaped(nasty)
        let text = """
            - rule: \(quoted)
              description: \(quoted)
              match: { rules: [\(quoted)], output_fields: [\(escaped("proc.name=" + nasty.filter { $0 != "\0" && $0 != "," }))] }
              notifiers: [\(quoted)]
              actions:
                - { action: \(quoted), actionner: "kubernetes:label" }
                - action: T
                  actionner: "kubernetes:terminate"
                  parameters: { x: \(quoted), \(escaped("nasty\n- name: evil\u{2028}")): 1 }
            """
        let translation = try imported(text)
        let playbook = try #require(try reread(translation).playbooks.first)
        #expect(playbook.mode == .observe && playbook.match.rules == [nasty] && playbook.description == nasty)
        #expect(playbook.name == "x-mode-enforce-name-evil-proc-pid" && playbook.steps.map(\.name) == ["t"])
        #expect(translation.text.unicodeScalars.allSatisfy { $0 == "\n" || ($0.value >= 0x20 && $0.value != 0x85 && $0.value != 0x2028 && $0.value != 0xFEFF) })
        for line in translation.report.lines { #expect(line == line.escapedForDisplay) }
    }

    @Test("names become names of playbooks, each once")
    func names() throws {
        let names = ["Terminal shell in container", "terminal SHELL (in) container!", "日本", String(repeating: "a", count: 100)]
        let text = names.map { rule("{ rules: [a] }").replacing("rule: R", with: "rule: \"\($0)\"") }.joined()
        #expect(
            try reread(imported(text)).playbooks.map(\.name) == [
                "terminal-shell-in-container", "terminal-shell-in-container-2", "rule", String(repeating: "a", count: 56),
            ])
    }

    @Test("a name that YAML would take for something else stays a name", arguments: ["Null", "TRUE", "no", "Off", "Y", "123", "0x1F", "1e5", "2026-03-04", "~"])
    func namesThatAreNoText(_ name: String) throws {
        let text = rule("{ rules: [a] }", actions: "[{ action: '\(name)', actionner: 'kubernetes:terminate' }]").replacing("rule: R", with: "rule: '\(name)'")
        let playbook = try reread(imported(text)).playbooks[0]
        let expected = name == "~" ? "rule" : name.lowercased()
        #expect(playbook.name == expected && playbook.steps.count == 1, "\(playbook.name) \(playbook.steps.map(\.name))")
    }

    @Test("a set of rules as a team has it comes through whole, with a line of report for each part")
    func wholeSet() throws {
        let texts = try ["talon-rules.yaml", "talon-override.yaml"].map { PlaybookSet.Document(name: $0, text: String(decoding: try Fixtures.bytes($0), as: UTF8.self)) }
        let translation = TalonTranslation(try TalonRules.read(texts), mode: .ask)
        let set = try reread(translation)
        #expect(set.playbooks.map(\.name) == ["terminal-shell-in-container", "grave-things-in-production", "exactly-notices"])
        #expect(set.playbooks.map(\.mode) == [.ask, .ask, .observe])
        #expect(set.playbooks.map { $0.steps.map(\.mode) } == [[nil], [.observe], [nil, nil]])
        #expect(translation.report.rules == 7 && translation.report.playbooks == 3 && !translation.report.isComplete)
        // Every action of every rule is spoken of.
        let rules = try TalonRules.read(texts).rules
        for rule in rules {
            for action in rule.actions {
                #expect(translation.report.entries.contains { $0.rule == rule.name && $0.part.hasPrefix("action \"\(action.name)\"") }, "\(rule.name): \(action.name)")
            }
        }
        #expect(translation.report.lines.last == translation.report.summary)
        #expect(translation.report.json["missing"]?.integer == Int64(translation.report.count(.missing)))
    }
}
