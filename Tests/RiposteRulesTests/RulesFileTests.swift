import RiposteCore
import RiposteRules
import Testing

@Suite("Rules files")
struct RulesFileTests {
    private static func rule(_ name: String = "r", _ condition: String = "evt.type = open", output: String = "o") -> String { MarkedRules.rule(name, condition, output: output) }
    private static func rule(_ name: String = "r", _ condition: String = "evt.type = open", more: String) -> String { MarkedRules.rule(name, condition, more) }
    private static func macro(_ name: String, _ condition: String) -> String { MarkedRules.macro(name, condition) }
    private static func list(_ name: String, _ items: String) -> String { MarkedRules.list(name, items) }

    /// What is found in a file, each at its mark; codes without the common `LOAD_`.
    private func check(_ texts: [String], _ codes: [String]) {
        let marked = MarkedRules(texts)
        let codes = codes.map { $0.hasPrefix("RIPOSTE_") ? $0 : "LOAD_" + $0 }
        let expected = zip(codes, marked.marks).map { "\($0) \($1)" }
        #expect(marked.marks.count == codes.count)
        #expect(marked.findings(with: Set(codes)) == expected, "\(marked.load().findings.map(\.diagnostic.rendered).joined(separator: "\n"))")
    }

    // MARK: - Shape

    @Test(
        "are read whatever their values look like",
        arguments: [
            "", "# nothing\n", "---\n", "---\n---\n", "- \n- ~\n" + rule(), "---\n" + rule("a") + "---\n" + rule("b") + "---\n~\n", "- required_engine_version: 15\n",
            "- required_engine_version: 0.57.0\n", "- required_engine_version: '0.63.0'\n", "- required_engine_version: 0.57.0-rc1\n", "- required_engine_version: 0\n",
            "- required_plugin_versions:\n  - name: container\n    version: 0.4.0\n",
            "- required_plugin_versions:\n  - {name: k8saudit-gke, version: 0.1.0, alternatives: [{name: k8saudit, version: 0.18.0}]}\n  - {name: json, version: 0.7.0}\n",
            "- required_plugin_versions: []\n", list("l", "[22, 0x1F, true, ~x, 1.0, '', \"a\", 0.4.0, no, 2001-01-01]"), list("l", "[]"), rule(more: "append: false"),
            rule(more: "enabled: yes"), rule(more: "enabled: 'false'"), rule(more: "tags: [1, true, a]"), rule(more: "source: syscall"), rule(more: "warn_evttypes: off"),
            rule(more: "skip-if-unknown-filter: True"), rule(more: "capture: true\n  capture_duration: 5000"), rule(more: "exceptions:"), rule(more: "exceptions: []"),
            rule(more: "override:"), rule(more: "override: {}"), rule("1"), rule("true"), "- {rule: 'a: b, c', desc: 1, condition: evt.type=open, output: 5, priority: INFO}\n",
            rule(more: "exceptions:\n  - name: e\n    fields: [proc.name, fd.name]\n    comps: [=, startswith]\n    values:\n      - [a, /b]"),
            rule(more: "exceptions:\n  - name: e\n    fields: [proc.name, fd.name]\n    comps: [!=, in]\n    values:\n      - [a, [/b, /c]]"),
            rule(more: "exceptions:\n  - {name: e, fields: [proc.name], comps: [!=], values: [[x]]}"),
            rule(more: "exceptions:\n  - name: e\n    fields: [fd.name, proc.name]\n    comps: [in, !=]\n    values: [[[a], x]]"),
            // Stars that are no aliases.
            rule(more: "tags: [a] # *x\n  source: syscall"),
            "- rule: r\n  desc: >\n    this is\n    *important* and &so\n    &is this\n  condition: >\n    fd.name glob anyof (/a, *b)\n  output: o\n  priority: info\n",
        ])
    func good(_ text: String) { check([text], []) }

    @Test(
        "of the wrong shape",
        arguments: [
            ("a: [\n⟦", ["ERR_YAML_PARSE"]), ("⟦a: 1", ["ERR_YAML_VALIDATE"]), ("⟦text", ["ERR_YAML_VALIDATE"]), ("- ⟦text", ["ERR_YAML_VALIDATE"]),
            ("- ⟦[a]", ["ERR_YAML_VALIDATE"]),
            ("- ⟦unknown: 1\n", ["UNKNOWN_ITEM"]), ("- ⟦rul: 1\n  desc: x\n" + rule("a") + "- ⟦{}\n", ["UNKNOWN_ITEM", "UNKNOWN_ITEM"]),
            ("---\n" + rule("a") + "---\n⟦b: 1\n", ["ERR_YAML_VALIDATE"]),
            // Requirements.
            ("- required_engine_version: ⟦new\n", ["ERR_YAML_VALIDATE"]), ("- required_engine_version: ⟦-1\n", ["ERR_YAML_VALIDATE"]),
            ("- required_engine_version: ⟦0.57\n", ["ERR_YAML_VALIDATE"]), ("- required_engine_version: ⟦~\n", ["ERR_YAML_VALIDATE"]),
            ("- required_engine_version: ⟦64\n", ["ERR_VALIDATE"]), ("- required_engine_version: ⟦1.0.0\n", ["ERR_VALIDATE"]),
            ("- required_engine_version: 15\n  ⟦extra: 1\n", ["UNKNOWN_KEY"]),
            ("- required_plugin_versions: ⟦x\n", ["ERR_YAML_VALIDATE"]), ("- required_plugin_versions: [⟦x]\n", ["ERR_YAML_VALIDATE"]),
            ("- required_plugin_versions: [⟦{name: json}]\n", ["ERR_YAML_VALIDATE"]), ("- required_plugin_versions: [⟦{version: 1.0.0}]\n", ["ERR_YAML_VALIDATE"]),
            ("- required_plugin_versions: [{name: json, version: ⟦new}]\n", ["ERR_VALIDATE"]),
            ("- required_plugin_versions: [⟦{name: json, version: 9.0.0}]\n", ["ERR_VALIDATE"]), ("- required_plugin_versions: [⟦{name: gcp, version: 0.1.0}]\n", ["ERR_VALIDATE"]),
            ("- required_plugin_versions: [{name: json, version: 0.1.0, alternatives: ⟦x}]\n", ["ERR_YAML_VALIDATE"]),
            ("- required_plugin_versions: [{name: json, version: 0.1.0, alternatives: [⟦{name: json, version: 0.2.0}]}]\n", ["ERR_VALIDATE"]),
            ("- required_plugin_versions: []\n  ⟦more: 1\n", ["UNKNOWN_KEY"]),
            // Lists.
            ("- list: ⟦''\n  items: []\n", ["ERR_YAML_VALIDATE"]), ("- list: ⟦[a]\n  items: []\n", ["ERR_YAML_VALIDATE"]), ("- ⟦list: l\n", ["ERR_YAML_VALIDATE"]),
            ("- ⟦list: l\n  items: a\n", ["ERR_YAML_VALIDATE"]), ("- list: l\n  items: [a, ⟦[b]]\n", ["ERR_YAML_VALIDATE"]),
            ("- list: l\n  items: [a, ⟦~]\n", ["ERR_YAML_VALIDATE"]),
            ("- list: l\n  items: [a]\n  ⟦item: b\n", ["UNKNOWN_KEY"]), ("- ⟦list: a b\n  items: []\n", ["INVALID_LIST_NAME"]),
            ("- ⟦list: a=b\n  items: []\n", ["INVALID_LIST_NAME"]),
            // Macros.
            ("- macro:⟦\n  condition: evt.num = 1\n", ["ERR_YAML_VALIDATE"]), ("- ⟦macro: m\n", ["ERR_YAML_VALIDATE"]), ("- ⟦macro: m\n  condition: ''\n", ["ERR_YAML_VALIDATE"]),
            ("- ⟦macro: m\n  condition: [a]\n", ["ERR_YAML_VALIDATE"]), ("- ⟦macro: a-b\n  condition: evt.num = 1\n", ["INVALID_MACRO_NAME"]),
            ("- ⟦macro: _a\n  condition: evt.num = 1\n", ["INVALID_MACRO_NAME"]), ("- macro: m\n  condition: evt.num = 1\n  ⟦enabled: true\n", ["UNKNOWN_KEY"]),
            // Rules.
            ("- rule:⟦\n  enabled: true\n", ["ERR_YAML_VALIDATE"]), ("- ⟦rule: r\n", ["ERR_YAML_VALIDATE"]), ("- ⟦rule: r\n  desc: d\n", ["ERR_YAML_VALIDATE"]),
            ("- ⟦rule: r\n  condition: evt.num = 1\n  output: o\n  desc: d\n", ["ERR_YAML_VALIDATE"]),
            ("- rule: r\n  condition: ⟦''\n  output: o\n  desc: d\n  priority: info\n", ["ERR_YAML_VALIDATE"]),
            ("- rule: r\n  condition: evt.num = 1\n  output: ⟦~\n  desc: d\n  priority: info\n", ["ERR_YAML_VALIDATE"]),
            ("- rule: r\n  condition: evt.num = 1\n  output: o\n  desc: ⟦''\n  priority: info\n", ["ERR_YAML_VALIDATE"]),
            ("- rule: r\n  condition: evt.num = 1\n  output: ⟦[o]\n  desc: ⟦{}\n  priority: ⟦[info]\n", ["ERR_YAML_VALIDATE", "ERR_YAML_VALIDATE", "ERR_YAML_VALIDATE"]),
            ("- rule: r\n  condition: evt.num = 1\n  output: o\n  desc: d\n  priority: ⟦WARN\n", ["ERR_YAML_VALIDATE"]),
            (rule(more: "enabled: ⟦maybe"), ["ERR_YAML_VALIDATE"]), (rule(more: "enabled: ⟦~"), ["ERR_YAML_VALIDATE"]), (rule(more: "tags: ⟦a"), ["ERR_YAML_VALIDATE"]),
            (rule(more: "tags: ⟦[[a]]"), ["ERR_YAML_VALIDATE"]), (rule(more: "source: ⟦''"), ["ERR_YAML_VALIDATE"]), (rule(more: "warn_evttypes: ⟦1"), ["ERR_YAML_VALIDATE"]),
            (rule(more: "skip-if-unknown-filter: ⟦[]"), ["ERR_YAML_VALIDATE"]), (rule(more: "capture: ⟦x"), ["ERR_YAML_VALIDATE"]),
            (rule(more: "capture_duration: ⟦long"), ["ERR_YAML_VALIDATE"]), (rule(more: "exceptions: ⟦x"), ["ERR_YAML_VALIDATE"]),
            (rule(more: "append: ⟦x"), ["ERR_YAML_VALIDATE"]),
            (rule(more: "⟦output_fields: [a]\n  ⟦desk: x"), ["UNKNOWN_KEY", "UNKNOWN_KEY"]), (rule(more: "⟦skip_if_unknown_filter: true"), ["UNKNOWN_KEY"]),
        ])
    func shape(_ text: String, _ codes: [String]) { check([text], codes) }

    @Test("priorities in all spellings", arguments: Priority.allCases)
    func priorities(_ priority: Priority) {
        for spelling in [priority.name, priority.name.lowercased(), priority.name.uppercased()] + (priority == .informational ? ["info", "INFO", "Info"] : []) {
            let loaded = RuleSet.load([.init(name: "", text: "- {rule: r, desc: d, condition: evt.type=open, output: o, priority: \(spelling)}\n")])
            #expect(loaded.ruleSet?.rules.first?.priority == priority)
        }
    }

    // MARK: - Order, append and override

    @Test(
        "change earlier items",
        arguments: [
            ([rule() + "- ⟦rule: r\n  condition: and evt.num > 1\n  append: true\n"], ["DEPRECATED_ITEM"]),
            (
                [
                    rule()
                        + "- rule: r\n  condition: or evt.num > 1\n  output: p\n  desc: e\n  tags: [a]\n  override: {condition: append, output: append, desc: append, tags: append}\n"
                ], []
            ),
            (
                [
                    rule()
                        + "- rule: r\n  priority: error\n  enabled: false\n  warn_evttypes: false\n  skip-if-unknown-filter: true\n  capture: true\n  capture_duration: 1\n  tags: []\n"
                        + "  exceptions: []\n  override: {priority: replace, enabled: replace, warn_evttypes: replace, skip-if-unknown-filter: replace, capture: replace,\n"
                        + "    capture_duration: replace, tags: replace, exceptions: replace}\n"
                ], []
            ),
            ([list("l", "[a]") + "- list: l\n  items: [b]\n  override: {items: append}\n"], []),
            ([list("l", "[a]") + "- ⟦list: l\n  items: [b]\n  append: true\n"], ["DEPRECATED_ITEM"]),
            (["- list: l\n  items: [b]\n  override: {items: replace}\n"], []), (["- macro: m\n  condition: evt.num=1\n  override: {condition: replace}\n"], []),
            ([macro("m", "evt.num=1") + "- ⟦macro: m\n  condition: or evt.num=2\n  append: true\n"], ["DEPRECATED_ITEM"]),
            // Nothing there to change.
            (["- ⟦rule: r\n  condition: and evt.num > 1\n  override: {condition: append}\n"], ["ERR_VALIDATE"]),
            (["- ⟦rule: r\n  enabled: false\n  override: {enabled: replace}\n"], ["ERR_VALIDATE"]), (["- ⟦rule: r\n  enabled: false\n"], ["ERR_VALIDATE"]),
            (["- ⟦list: l\n  items: [b]\n  override: {items: append}\n"], ["ERR_VALIDATE"]),
            (["- ⟦macro: m\n  condition: or evt.num=2\n  override: {condition: append}\n"], ["ERR_VALIDATE"]),
            ([rule() + "- ⟦⟦rule: r\n  tags: [x]\n  append: true\n"], ["DEPRECATED_ITEM", "ERR_VALIDATE"]),
            // The switch of older files.
            ([rule() + "- ⟦rule: r\n  enabled: false\n"], ["DEPRECATED_ITEM"]), ([rule() + "- ⟦rule: r\n  tags: [x]\n"], ["ERR_YAML_VALIDATE"]),
            // Override that does not fit.
            ([rule() + "- ⟦⟦rule: r\n  condition: and evt.num > 1\n  append: true\n  override: {condition: append}\n"], ["DEPRECATED_ITEM", "ERR_YAML_VALIDATE"]),
            ([rule() + "- rule: r\n  priority: error\n  override: {priority: ⟦append}\n"], ["ERR_YAML_VALIDATE"]),
            ([rule() + "- rule: r\n  enabled: false\n  override: {enabled: ⟦append}\n"], ["ERR_YAML_VALIDATE"]),
            ([rule() + "- rule: r\n  desc: x\n  override: {desc: ⟦remove}\n"], ["ERR_YAML_VALIDATE"]),
            ([rule() + "- rule: r\n  desc: x\n  override: ⟦append\n"], ["ERR_YAML_VALIDATE"]),
            ([rule() + "- rule: r\n  source: syscall\n  override: {⟦source: replace}\n"], ["ERR_YAML_VALIDATE"]),
            ([rule() + "- rule: r\n  desc: x\n  override: {desc: append, ⟦output: append}\n"], ["ERR_YAML_VALIDATE"]),
            ([rule() + "- rule: r\n  desc: x\n  ⟦output: y\n  override: {desc: append}\n"], ["ERR_YAML_VALIDATE"]),
            ([rule() + "- rule: r\n  priority: ⟦high\n  override: {priority: replace}\n"], ["ERR_YAML_VALIDATE"]),
            (["- list: l\n  items: [b]\n  override: {⟦condition: append}\n"], ["ERR_YAML_VALIDATE"]),
            (["- macro: m\n  condition: evt.num=1\n  override: {condition: ⟦add}\n"], ["ERR_YAML_VALIDATE"]),
            // One name, two sources.
            ([rule() + rule(more: "source: ⟦k8s_audit")], ["ERR_VALIDATE"]),
            ([MarkedRules.rule("r", "ka.verb = get", "source: k8s_audit") + MarkedRules.rule("r").replacing("- rule", with: "- ⟦rule")], ["ERR_VALIDATE"]),
            ([rule() + "- rule: r\n  source: ⟦k8s_audit\n  condition: and evt.num > 1\n  override: {condition: append}\n"], ["ERR_VALIDATE"]),
            ([rule() + rule(more: "source: syscall")], []),
            // What an earlier file uses must stand in it or before it.
            ([rule("r", "evt.type = open and ⟦m"), macro("m", "evt.num = 1")], ["ERR_VALIDATE"]), ([macro("m", "evt.num = 1"), rule("r", "evt.type = open and m")], []),
            ([rule(), macro("m", "evt.num = 1") + "- rule: r\n  condition: and m\n  override: {condition: append}\n"], []),
        ] as [([String], [String])])
    func changes(_ texts: [String], _ codes: [String]) { check(texts, codes) }

    private static let event: JSONObject = ["evt.type": "open", "proc.name": "cat", "fd.name": "/etc/shadow", "proc.pid": 7, "proc.pname": "sh", "evt.num": 5]

    /// The names of rules that hold for the one event.
    private func holding(_ texts: [String], _ settings: RulesSettings = RulesSettings()) -> [String] {
        let (ruleSet, findings) = MarkedRules(texts).load(settings)
        #expect(ruleSet != nil, "\(findings.map(\.diagnostic.rendered).joined(separator: "\n"))")
        return ruleSet?.holding(Self.event) ?? []
    }

    private static let open = "evt.type = open and "

    @Test(
        "mean what the files together say",
        arguments: [
            // A later definition keeps the first one's place, and brings back the defaults.
            ([rule("a") + rule("b") + rule("a")], ["a", "b"]), ([rule("a", more: "enabled: false") + rule("b") + rule("a")], ["a", "b"]),
            ([rule("a", more: "enabled: false")], []), ([rule("a"), rule("b"), rule("a", "evt.type = close")], ["b"]),
            // Conditions are joined as texts.
            ([rule("a", open + "proc.name = dog or proc.name = cat") + "- rule: a\n  condition: and proc.pid = 8\n  override: {condition: append}\n"], []),
            ([rule("a", "proc.name = cat or proc.name = dog") + "- rule: a\n  condition: and proc.pid = 8\n  override: {condition: append}\n"], ["a"]),
            ([rule("a") + "- rule: a\n  condition: and proc.pid = 7\n  append: true\n"], ["a"]), ([rule("a") + "- rule: a\n  condition: and proc.pid = 8\n  append: true\n"], []),
            ([macro("m", "proc.pid = 8") + rule("a", open + "m") + "- macro: m\n  condition: or proc.pid = 7\n  override: {condition: append}\n"], ["a"]),
            // Append comes before replace, whatever stands first.
            ([rule("a") + "- rule: a\n  condition: evt.type = close\n  enabled: true\n  override: {enabled: replace, condition: replace}\n"], []),
            // Switches.
            ([rule("a") + "- rule: a\n  enabled: false\n"], []), ([rule("a", more: "enabled: false"), "- rule: a\n  enabled: true\n"], ["a"]),
            ([rule("a", more: "enabled: false"), "- rule: a\n  enabled: true\n  override: {enabled: replace}\n"], ["a"]),
            // Lists.
            ([list("l", "[dog]") + rule("a", open + "proc.name in (l)") + "- list: l\n  items: [cat]\n  override: {items: append}\n"], ["a"]),
            ([list("l", "[cat]") + rule("a", open + "proc.name in (l)") + list("l", "[dog]")], []), ([rule("a", open + "proc.name in (l)"), list("l", "[cat]")], ["a"]),
            ([list("l", "[dog, k]") + list("k", "[cat]") + rule("a", open + "proc.name in (l)")], ["a"]),
            ([list("k", "[j]") + list("j", "[cat]") + rule("a", open + "proc.name in (k)")], ["a"]),
            ([list("l", "[dog, cat]") + rule("a", open + "proc.name in l and proc.pid = 7")], ["a"]), ([list("l", "[cat]") + rule("a", open + "proc.name = l")], ["a"]),
            ([list("l", "[cat]") + rule("a", open + "proc.name=l")], ["a"]), ([list("l", "[cat]") + rule("a", open + "proc.name = \"l\"")], []),
            ([list("l", "[cat]") + rule("a", open + "proc.name in (lx, xl, l)")], ["a"]), ([list("l", "[]") + rule("a", open + "proc.name in (l, cat)")], ["a"]),
            ([list("l", "[]") + rule("a", open + "proc.name in (cat, l)")], ["a"]), ([list("l", "[]") + rule("a", open + "proc.name in (dog, l, cat)")], ["a"]),
            ([list("l", "[]") + rule("a", open + "not proc.name in (l)")], ["a"]), ([list("l", "[]") + list("k", "[l, cat]") + rule("a", open + "proc.name in (k)")], ["a"]),
            ([list("l", "[/etc, /usr]") + rule("a", open + "fd.name pmatch (l)")], ["a"]), ([list("l", "[/etc]") + rule("a", open + "fd.name startswith anyof (l)")], ["a"]),
            ([list("l", "[open, close]") + rule("a", "evt.type in (l)")], ["a"]), ([list("l", "[\"'cat'\", '\"a b\"', x y]") + rule("a", open + "proc.name in (l)")], ["a"]),
            ([list("l", "['a, cat']") + rule("a", open + "proc.name in (\"x\", l)")], []), ([list("l", "['a,cat']") + rule("a", open + "proc.name in (l)")], ["a"]),
            ([list("cond", "['proc.name = cat']") + rule("a", open + "proc.name in (\"cat\")")], ["a"]), ([list("l", "[l, cat]") + rule("a", open + "proc.name in (l)")], ["a"]),
            ([rule("a", open + "proc.name in cat")], ["a"]), ([rule("a", open + "proc.name in (cat)") + list("cat", "[dog]")], []),
            // Macros.
            ([rule("a", "m") + macro("m", open + "proc.name = cat")], ["a"]), ([macro("m", open + "proc.name = dog or proc.name = cat") + rule("a", "m and proc.pid = 8")], []),
            ([macro("m", "proc.name = dog") + rule("a", open + "not m")], ["a"]),
            ([macro("k", "proc.pid = 7") + macro("m", "k and proc.name = cat") + rule("a", open + "m")], ["a"]),
            ([macro("m", "evt.num = 0") + macro("k", "proc.pid = 7") + macro("m", "k") + rule("a", open + "m")], ["a"]),
        ] as [([String], [String])])
    func effects(_ texts: [String], _ expected: [String]) { #expect(holding(texts) == expected) }

    @Test("a later definition takes all keys' defaults, and appends add to what is there")
    func merged() throws {
        let text =
            MarkedRules.rule("a", "evt.type = open", output: "' one '", "tags: [x, y]", "source: syscall")
            + "- rule: a\n  output: two\n  desc: e\n  tags: [z, x]\n  priority: ERROR\n  override: {output: append, desc: append, tags: append, priority: replace}\n"
        let rule = try #require(MarkedRules(text).load().ruleSet?.rules.first)
        #expect(rule.tags == ["x", "y", "z"])
        #expect(rule.description == "d e")
        #expect(rule.priority == .error)
        #expect(rule.place == Diagnostic.Place(line: 1, column: 3))
        let again = try #require(MarkedRules(text + MarkedRules.rule("a")).load().ruleSet?.rules.first)
        #expect(again.tags == [] && again.description == "d" && again.priority == .informational)
    }

    @Test(
        "are armed by selections, one after the other",
        arguments: [
            ([], "debug", ["ab", "ac", "b"]), ([(false, "*", nil)], "debug", []), ([(false, "*", nil), (true, "a*", nil)], "debug", ["ab", "ac"]),
            ([(false, "a", nil)], "debug", ["ab", "ac", "b"]), ([(false, "*b", nil)], "debug", ["ac"]), ([(false, "a*c", nil)], "debug", ["ab", "b"]),
            ([(true, "off", nil)], "debug", ["ab", "ac", "b", "off"]),
            ([(false, nil, "t")], "debug", ["ac", "b"]), ([(false, nil, "*")], "debug", ["ab", "ac", "b"]), ([(true, nil, "u")], "debug", ["ab", "ac", "b", "off"]),
            ([(false, "?b", nil)], "debug", ["ab", "ac", "b"]),
            ([], "notice", ["ac"]),
        ] as [([(Bool, String?, String?)], String, [String])])
    func arming(_ selections: [(Bool, String?, String?)], _ minimum: String, _ expected: [String]) throws {
        var settings = RulesSettings()
        settings.minimumPriority = try #require(Priority(minimum))
        settings.selections = selections.map { enables, rule, tag in .init(enables: enables, rule.map { .rules($0) } ?? .tag(tag ?? "")) }
        let text =
            Self.rule("ab", more: "tags: [t]") + Self.rule("ac").replacing("info", with: "notice") + Self.rule("b")
            + Self.rule("off", more: "enabled: false\n  tags: [t, u]").replacing("[t, u]", with: "[u]")
        #expect(holding([text], settings) == expected)
    }

    @Test("a rule at rest is checked all the same")
    func resting() { check([Self.rule("r", "proc.name = x and ⟦proc.nam = y", more: "enabled: false")], ["ERR_COMPILE_CONDITION"]) }

    // MARK: - Exceptions

    private static func excepted(_ exception: String, _ condition: String = "evt.type = open") -> String { rule("a", condition, more: "exceptions:\n  - \(exception)") }

    @Test(
        "exceptions take away",
        arguments: [
            ("{name: e, fields: [proc.name, fd.name], values: [[cat, /etc/shadow]]}", false), ("{name: e, fields: [proc.name, fd.name], values: [[cat, /etc/passwd]]}", true),
            ("{name: e, fields: [proc.name, fd.name], values: [[x, y], [cat, /etc/shadow]]}", false), ("{name: e, fields: [proc.name, fd.name]}", true),
            ("{name: e, fields: [proc.name, fd.name], values: []}", true), ("{name: e, fields: [proc.name, fd.name], comps: [=, startswith], values: [[cat, /etc]]}", false),
            ("{name: e, fields: [proc.name, fd.name], comps: [!=, in], values: [[dog, [/etc/shadow, x]]]}", false),
            ("{name: e, fields: [proc.name, fd.name], comps: [in, pmatch], values: [[[cat, dog], /etc]]}", false),
            ("{name: e, fields: [proc.name, fd.name], comps: [in, pmatch], values: [[cat, (/etc)]]}", false),
            ("{name: e, fields: [fd.name], comps: ['startswith oneof'], values: [[[/etc, /usr]]]}", false),
            ("{name: e, fields: [fd.name], comps: ['startswith allof'], values: [[[/etc, /usr]]]}", true),
            ("{name: e, fields: proc.name, values: [dog, cat]}", false), ("{name: e, fields: proc.name, values: [dog]}", true), ("{name: e, fields: proc.name, values: []}", true),
            ("{name: e, fields: fd.name, comps: pmatch, values: [/etc]}", false), ("{name: e, fields: proc.name, comps: 'contains anyof', values: [a, b]}", false),
            ("{name: e, fields: [proc.pid, proc.name], comps: ['>', =], values: [[6, cat]]}", false), ("{name: e, fields: [proc.pid], comps: ['>='], values: [[8]]}", true),
            // Cells are texts of a condition.
            ("{name: e, fields: [proc.name], comps: [in], values: [[names]]}", false), ("{name: e, fields: proc.name, values: [names]}", false),
            ("{name: e, fields: [proc.name], values: [[basename(fd.name)]]}", true), ("{name: e, fields: [proc.name], values: [['tolower(proc.name)']]}", false),
            ("{name: e, fields: [tolower(proc.name)], values: [[cat]]}", false), ("{name: e, fields: [proc.name], values: [['val(proc.pname)']]}", true),
            ("{name: e, fields: [proc.name], comps: [startswith], values: [[a b]]}", true), ("{name: e, fields: [proc.name], values: [['\"cat\"']]}", false),
            ("{name: e, fields: proc.name, values: [a b, cat]}", false),
        ])
    func exceptions(_ exception: String, _ holds: Bool) { #expect(holding([Self.list("names", "[dog, cat]") + Self.excepted(exception)]) == (holds ? ["a"] : [])) }

    @Test("exceptions bind to the whole condition, and each takes away alone")
    func several() {
        let two = "{name: e, fields: proc.name, values: [dog]}\n  - {name: f, fields: proc.pid, values: [7]}"
        #expect(holding([Self.excepted(two, "proc.name = dog or evt.type = open")]) == [])
    }

    @Test(
        "exceptions that are wrong",
        arguments: [
            ("⟦x", ["ERR_YAML_VALIDATE"]), ("⟦{fields: proc.name}", ["ERR_YAML_VALIDATE"]), ("⟦{name: e, values: [a]}", ["ERR_YAML_VALIDATE"]),
            ("{name: e, fields: proc.name, values: ⟦a}", ["ERR_YAML_VALIDATE"]), ("{name: e, fields: [proc.name, fd.name], comps: [⟦=], values: [[a, b]]}", ["ERR_VALIDATE"]),
            ("{name: e, fields: [proc.name], comps: ⟦in, values: [[a]]}", ["ERR_VALIDATE"]), ("{name: e, fields: proc.name, comps: [⟦in], values: [a]}", ["ERR_VALIDATE"]),
            ("{name: e, fields: proc.name, comps: ⟦=, values: [a]}", ["ERR_VALIDATE"]), ("{name: e, fields: [proc.name], comps: [⟦is], values: [[a]]}", ["ERR_VALIDATE"]),
            ("{name: e, fields: [proc.name], comps: [⟦= someof], values: [[a]]}", ["ERR_VALIDATE"]), ("{name: e, fields: [⟦proc.nam], values: [[a]]}", ["ERR_VALIDATE"]),
            ("{name: e, fields: ⟦ka.verb, values: [a]}", ["ERR_VALIDATE"]), ("{name: e, fields: [⟦proc name], values: [[a]]}", ["ERR_VALIDATE"]),
            ("{name: e, fields: [proc.name, fd.name], values: [⟦[a]]}", ["ERR_VALIDATE"]), ("{name: e, fields: [proc.name, fd.name], values: [[a, b], ⟦c]}", ["ERR_VALIDATE"]),
            ("{name: e, fields: proc.name, values: [a, ⟦[b]]}", ["ERR_VALIDATE"]), ("{name: e, fields: [proc.name], values: [[⟦[a]]]}", ["ERR_COMPILE_CONDITION"]),
            ("{name: e, fields: [proc.name, proc.pid], values: [[a, ⟦b]]}", ["ERR_COMPILE_CONDITION"]),
            ("{name: e, fields: proc.pid, values: [1, 2, ⟦three]}", ["ERR_COMPILE_CONDITION"]),
            ("{name: e, fields: [proc.name], values: [[a⟦=b]]}", ["ERR_COMPILE_CONDITION"]), ("{name: e, fields: [proc.name], values: [['\"a\"⟦b']]}", ["ERR_COMPILE_CONDITION"]),
            ("{name: e, fields: [⟦proc.pid], comps: [startswith], values: [[a]]}", ["ERR_COMPILE_CONDITION"]),
            ("{name: e, fields: proc.name, values: [a]}\n  - ⟦{name: e, fields: fd.name, values: [b]}", ["EXCEPTION_NAME_NOT_UNIQUE"]),
            ("{name: e, fields: proc.name, ⟦value: [a]}", ["UNKNOWN_KEY"]), ("{name: e, fields: [proc.name], values: [['tolower(⟦proc.nam)']]}", ["ERR_COMPILE_CONDITION"]),
        ] as [(String, [String])])
    func wrongExceptions(_ exception: String, _ codes: [String]) { check([Self.excepted(exception)], codes) }

    private static let shaped = excepted("{name: e, fields: proc.name, values: [dog]}")

    @Test(
        "exceptions are appended to",
        arguments: [
            ("- rule: a\n  exceptions: [{name: e, values: [cat]}]\n  override: {exceptions: append}\n", [], false),
            ("- ⟦rule: a\n  exceptions: [{name: e, values: [cat]}]\n  append: true\n", ["DEPRECATED_ITEM"], false),
            ("- rule: a\n  exceptions: [{name: f, fields: proc.pid, values: [7]}]\n  override: {exceptions: append}\n", [], false),
            ("- rule: a\n  exceptions: [{name: f, fields: proc.name, values: [x]}]\n  override: {exceptions: replace}\n", [], true),
            ("- rule: a\n  exceptions: [⟦{name: e}]\n  override: {exceptions: append}\n", ["APPEND_NO_VALUES"], true),
            ("- rule: a\n  exceptions: [⟦{name: e, fields: proc.name, values: [cat]}]\n  override: {exceptions: append}\n", ["ERR_VALIDATE"], true),
            ("- rule: a\n  exceptions: [⟦{name: e, comps: in, values: [cat]}]\n  override: {exceptions: append}\n", ["ERR_VALIDATE"], true),
            ("- rule: a\n  exceptions: [⟦{name: f, values: [cat]}]\n  override: {exceptions: append}\n", ["ERR_VALIDATE"], true),
            ("- rule: a\n  exceptions: [⟦{name: f, fields: proc.name}]\n  override: {exceptions: append}\n", ["ERR_VALIDATE"], true),
            ("- rule: a\n  exceptions: [⟦{name: f, values: [a]}]\n  override: {exceptions: replace}\n", ["ERR_YAML_VALIDATE"], true),
        ] as [(String, [String], Bool)])
    func appendedExceptions(_ item: String, _ codes: [String], _ holds: Bool) {
        check([Self.shaped + item], codes)
        if !codes.contains(where: { $0.hasPrefix("ERR") }) { #expect(holding([Self.shaped + item]) == (holds ? ["a"] : [])) }
    }

    // MARK: - Names

    @Test(
        "names that mean nothing, and warnings",
        arguments: [
            ([rule("r", "evt.type = open and ⟦nothing")], ["ERR_VALIDATE"]), ([macro("m", "evt.num = 1 and ⟦nothing")], ["ERR_VALIDATE"]),
            ([macro("m", "⟦k") + macro("k", "evt.num = 1")], ["ERR_VALIDATE"]), ([macro("m", "evt.num = 2") + macro("k", "evt.num = 1") + macro("m", "k")], []),
            ([macro("m", "evt.num = 1 and ⟦m")], ["ERR_VALIDATE"]), ([macro("a", "evt.num=1") + macro("b", "⟦a") + macro("a", "b")], ["ERR_VALIDATE"]),
            ([macro("m", "evt.num = 1 or ⟦m") + rule("r", "m") + rule("s", "not m")], ["ERR_VALIDATE"]), ([list("l", "[a]") + rule("r", "⟦a")], ["ERR_VALIDATE"]),
            ([rule("r", "⟦_m") + "- ⟦macro: _m\n  condition: evt.num=1\n"], ["ERR_COMPILE_CONDITION", "INVALID_MACRO_NAME"]),
            // Unknown fields and sources.
            ([rule("r", "⟦proc.nam = x")], ["ERR_COMPILE_CONDITION"]), ([rule("r", "⟦ka.verb = get")], ["ERR_COMPILE_CONDITION"]),
            ([rule("r", "⟦proc.name[1] = x")], ["ERR_COMPILE_CONDITION"]),
            ([rule("r", "evt.type = ⟦opem")], ["ERR_COMPILE_CONDITION"]), ([rule("r", "evt.type in (open, ⟦opem)")], ["ERR_COMPILE_CONDITION"]),
            ([MarkedRules.rule("r", "⟦proc.nam = x", "skip-if-unknown-filter: true")], ["UNKNOWN_FILTER"]),
            ([MarkedRules.rule("r", "evt.type = ⟦opem", "skip-if-unknown-filter: true")], ["UNKNOWN_FILTER"]),
            ([MarkedRules.rule("r", output: "a %⟦proc.nam", "skip-if-unknown-filter: true")], ["UNKNOWN_FILTER"]),
            ([MarkedRules.rule("r", "proc.name =⟦", "skip-if-unknown-filter: true")], ["ERR_COMPILE_CONDITION"]),
            ([macro("m", "⟦proc.nam = x") + MarkedRules.rule("r", "m", "skip-if-unknown-filter: true")], ["UNKNOWN_FILTER"]),
            ([macro("m", "proc.nam = x") + macro("k", "m")], []),
            ([macro("m", "⟦⟦proc.nam = x") + MarkedRules.rule("r", "m", "skip-if-unknown-filter: true") + rule("s", "m")], ["UNKNOWN_FILTER", "ERR_COMPILE_CONDITION"]),
            ([MarkedRules.rule("r", "evt.num = 1", "skip-if-unknown-filter: true", "exceptions: [{name: e, fields: ⟦proc.nam, values: [a]}]")], ["ERR_VALIDATE"]),
            (["- ⟦rule: r\n  desc: d\n  condition: what.ever = x\n  output: '%what.ever'\n  priority: info\n  source: aws\n"], ["UNKNOWN_SOURCE"]),
            (
                [
                    "- ⟦rule: r\n  desc: d\n  condition: what.ever = x\n  output: o\n  priority: info\n  source: aws\n- rule: r\n  condition: and more\n  override: {condition: append}\n"
                ], ["UNKNOWN_SOURCE"]
            ),
            // Warnings.
            (["- ⟦macro: m\n  condition: evt.num = 1\n" + rule()], ["UNUSED_MACRO"]), (["- ⟦list: l\n  items: [a]\n" + rule()], ["UNUSED_LIST"]),
            ([macro("k", "evt.num = 1") + "- ⟦macro: m\n  condition: k\n"], ["UNUSED_MACRO"]), ([list("k", "[a]") + "- ⟦list: l\n  items: [k]\n"], ["UNUSED_LIST"]),
            ([list("k", "[a]") + "- ⟦macro: m\n  condition: proc.name in (k)\n"], ["UNUSED_MACRO"]), ([rule("r", "⟦proc.name = cat")], ["NO_EVTTYPE"]),
            ([MarkedRules.rule("r", "proc.name = cat", "warn_evttypes: false")], []), ([rule("r", "evt.type = open and ⟦evt.dir = <")], ["DEPRECATED_ITEM"]),
            ([rule("r", "evt.type = open and ⟦evt.latency > 1")], ["DEPRECATED_ITEM"]), ([MarkedRules.rule("r", output: "x %⟦evt.dir")], ["DEPRECATED_ITEM"]),
            ([MarkedRules.rule("r", output: "x ⟦%container.info y")], ["DEPRECATED_ITEM"]), ([macro("m", "⟦evt.dir = <") + rule("r", "m") + rule("s", "m")], ["DEPRECATED_ITEM"]),
            ([MarkedRules.rule("r", "ka.verb = ⟦<NA>", "source: k8s_audit")], ["UNSAFE_NA_CHECK"]),
            ([MarkedRules.rule("r", "ka.verb in (get, ⟦\"<NA>\")", "source: k8s_audit")], ["UNSAFE_NA_CHECK"]),
            ([MarkedRules.rule("r", "ka.verb startswith <NA>", "source: k8s_audit")], []),
            ([MarkedRules.rule("r", "jevt.value[/a] != ⟦<NA>", "source: k8s_audit")], ["UNSAFE_NA_CHECK"]),
            ([rule("r", "evt.type=open and user.name = <NA>")], []), ([rule("r", "evt.type=open and proc.name = ⟦proc.pname")], ["COMPILE_CONDITION"]),
            ([rule("r", "evt.type=open and proc.name = val(proc.pname)")], []), ([rule("r", "evt.type=open and proc.name in (a, ⟦proc.pname)")], ["COMPILE_CONDITION"]),
            ([rule("r", "evt.type=open and proc.name = ⟦\"tolower(proc.pname)\"")], ["COMPILE_CONDITION"]), ([rule("r", "evt.type=open and proc.name = file.txt")], []),
            ([rule("r", "evt.type=open and proc.name regex ⟦abc")], ["COMPILE_CONDITION"]), ([rule("r", "evt.type=open and proc.name regex ⟦^abc$")], ["COMPILE_CONDITION"]),
            ([rule("r", "evt.type=open and proc.name regex ⟦.*abc.*")], ["COMPILE_CONDITION"]), ([rule("r", "evt.type=open and proc.name regex a.c")], []),
            ([rule("r", "evt.type=open and proc.name regex abc+")], []),
            // Ours.
            (["- rule: r\n  desc: d\n  condition: ⟦evt.type = open and evt.type = close\n  output: o\n  priority: info\n"], ["RIPOSTE_NEVER_TRUE"]),
            (["- list: l\n  items: [a]\n- ⟦list: l\n  items: [b]\n" + rule("r", "evt.type = open and proc.name in (l)")], ["RIPOSTE_SHADOWED_NAME"]),
            ([list("l", "[a, b]") + rule("r", "evt.type = open and proc.cmdline contains \"run ⟦l now\" and proc.name in (l)")], ["RIPOSTE_LIST_IN_TEXT"]),
            (
                [list("l", "[a]") + rule("r", "evt.type = open and proc.cmdline contains 'a \\' ⟦l ,⟦l= \"' and proc.name in (l)")],
                ["RIPOSTE_LIST_IN_TEXT", "RIPOSTE_LIST_IN_TEXT"]
            ),
            ([list("l", "[a]") + macro("m", "proc.cmdline = \"x ⟦l y\"") + rule("r", "evt.type = open and m") + rule("s", "evt.type = open and not m")], ["RIPOSTE_LIST_IN_TEXT"]),
            ([list("l", "[a]") + rule("r", "evt.type = open", more: "exceptions: [{name: e, fields: [proc.cmdline], values: [[run ⟦l now]]}]")], ["RIPOSTE_LIST_IN_TEXT"]),
            ([list("l", "[a]") + rule("r", "evt.type = open and proc.cmdline contains \"run l. l/x il\" and proc.name in (l) and proc.cmdline != \"l\"")], []),
            ([list("l", "[a]") + list("m", "['\"x l\"']") + rule("r", "evt.type = open and proc.name in (l, m)")], []),
        ] as [([String], [String])])
    func names(_ texts: [String], _ codes: [String]) { check(texts, codes) }

    @Test(
        "what was meant is suggested",
        arguments: [
            (rule("r", "proc.nam = x"), "proc.name"), (rule("r", "evt.type = opem"), "open"), (rule("r", "proc.name startwith x"), "startswith"),
            (macro("shell", "evt.num=1") + rule("r", "evt.type=open and shel"), "shell"), (rule(more: "tag: [x]"), "tags"), ("- rul: x\n", "rule"),
            ("- {rule: r, desc: d, condition: evt.num=1, output: o, priority: critcal}\n", "Critical"), (rule(more: "source: sycall"), "syscall"),
            (rule("Terminal shell") + "- {rule: Terminal shel, enabled: false}\n", "Terminal shell"), (rule("r", output: "x %proc.nme"), "proc.name"),
            (rule() + "- rule: r\n  desc: x\n  override: {dsc: append}\n", "desc"), (excepted("{name: e, fields: [proc.nme], values: [[a]]}"), "proc.name"),
        ])
    func suggestions(_ text: String, _ expected: String) { #expect(MarkedRules(text).load().findings.contains { $0.suggestion == expected }) }

    // MARK: - Places

    @Test(
        "a mistake in a text is shown where it stands, however the text is written",
        arguments: [
            "condition: evt.type = open and ⟦nam = x", "condition: 'evt.type = open and ⟦nam = x'", "condition: \"evt.type = \\\"open\\\" and ⟦nam = x\"",
            "condition: >\n    evt.type = open\n    and ⟦nam = x", "condition: |\n    evt.type = open and\n\n      ⟦nam = x", "condition: evt.type = open\n    and ⟦nam = x",
            "condition: >-\n    evt.type in (bin) and\n    proc.name in (bin, bin) and ⟦nam = x", "condition: >\n    evt.type = open and\n    ⟦nam = x",
        ])
    func places(_ condition: String) {
        let list = "- list: bin\n  items:\n    - open\n    - close\n"
        check([list + "- rule: r\n  desc: d\n  output: o\n  priority: info\n  \(condition)\n"], ["ERR_COMPILE_CONDITION"])
    }

    @Test(
        "a mistake in a list's item is shown in the list, and in appended text where that stands",
        arguments: [
            ([list("l", "[1, ⟦two]") + rule("r", "evt.type = open and proc.pid in (l)")], ["ERR_COMPILE_CONDITION"]),
            ([list("l", "[1]"), rule("r", "evt.type = open and proc.pid in (l)") + "- list: l\n  items: [2, ⟦two]\n  override: {items: append}\n"], ["ERR_COMPILE_CONDITION"]),
            ([rule("r", "evt.type = open"), "- rule: r\n  condition: and proc.pid = ⟦x\n  override: {condition: append}\n"], ["ERR_COMPILE_CONDITION"]),
            ([rule("r", "evt.type = open"), "- rule: r\n  output: x %⟦proc.nme\n  override: {output: append}\n"], ["ERR_COMPILE_OUTPUT"]),
            ([list("l", "[a]") + rule("r", "evt.type = open and proc.name in (l, l) and proc.pid = ⟦x")], ["ERR_COMPILE_CONDITION"]),
            ([rule("r", output: "a ⟦% b")], ["ERR_COMPILE_OUTPUT"]), ([rule("r", output: "ab⟦%")], ["ERR_COMPILE_OUTPUT"]),
            ([rule("r", output: "a %toupper(⟦proc.nme)")], ["ERR_COMPILE_OUTPUT"]),
            ([rule("r", output: "a %⟦nothing")], ["ERR_COMPILE_OUTPUT"]), ([rule("r", output: "a %⟦fd.ip")], ["ERR_COMPILE_OUTPUT"]),
            ([rule("r", output: "\"x \\\" %⟦fd.nme\"")], ["ERR_COMPILE_OUTPUT"]),
        ] as [([String], [String])])
    func pieces(_ texts: [String], _ codes: [String]) { check(texts, codes) }

    @Test("ten mistakes in one file are all found, each in its place")
    func ten() {
        let text =
            """
            - required_engine_version: ⟦newest
            - list: ports
              items: [80, ⟦[443]]
            - macro: shell
              condition: proc.name in (bash, sh) and ⟦prok.name = x
            - ⟦rool: mistyped
            - rule: one
              desc: a wrong priority
              condition: evt.type = open
              output: o
              priority: ⟦severe
            - rule: two
              desc: a field that is not
              condition: >
                evt.type = open and
                fd.name ⟦contians x
              output: o
              priority: info
            - rule: three
              desc: an output that is wrong
              condition: evt.type = open and shell
              output: file=%⟦fd.nme
              priority: info
              ⟦tagz: [x]
            - rule: four
              desc: an exception that is wrong
              condition: evt.type = open
              output: o
              priority: info
              exceptions:
                - name: e
                  fields: [proc.name, fd.name]
                  comps: [=, ⟦begins]
            - ⟦rule: five
              condition: and evt.num > 1
              override: {condition: append}

            """
        check(
            [text],
            [
                "ERR_YAML_VALIDATE", "ERR_YAML_VALIDATE", "ERR_COMPILE_CONDITION", "UNKNOWN_ITEM", "ERR_YAML_VALIDATE", "ERR_COMPILE_CONDITION", "ERR_COMPILE_OUTPUT",
                "UNKNOWN_KEY",
                "ERR_VALIDATE", "ERR_VALIDATE",
            ])
    }

    @Test("Falco's document of the findings")
    func document() throws {
        let rules = MarkedRules([Self.rule("r", "evt.type = open and nothing"), Self.rule("s")])
        let document = rules.load().findings.falcoLoadResults(files: rules.files.map(\.name))
        let results = try #require(document.object?["falco_load_results"]?.array)
        #expect(results.map { $0.object?["successful"] } == [.bool(false), .bool(true)])
        let error = try #require(results[0].object?["errors"]?.array?.first?.object)
        #expect(error["code"] == "LOAD_ERR_VALIDATE")
        let locations = try #require(error["context"]?.object?["locations"]?.array).compactMap(\.object)
        #expect(locations.map { $0["item_type"]?.string?.repaired } == ["rules content", "rule", "rule condition", "condition expression"])
        #expect(locations.map { $0["item_name"]?.string?.repaired } == ["", "r", "", ""])
        // Lines and columns from 0; the offset in bytes.
        #expect(locations.last?["position"] == ["name": "a.yaml", "line": 2, "column": 33, "offset": 53])
    }
}
