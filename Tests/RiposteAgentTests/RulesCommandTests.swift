import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

@Suite("riposte rules")
struct RulesCommandTests {
    let place: Workplace

    init() throws { place = try Workplace() }

    private static let rules = """
        - list: net_tools
          items: [nc, ncat]
        - macro: started
          condition: evt.type in (execve, execveat)
        - rule: Network tool
          desc: A tool for connections was started.
          condition: started and proc.name in (net_tools) and not user.name = root
          output: network tool (user=%user.name command=%proc.cmdline pid=%proc.pid)
          priority: notice
          tags: [process, network]
        - rule: Any program
          desc: A program was started.
          condition: started
          output: program %proc.name
          priority: debug
          enabled: false
        """

    private static let events = """
        {"evt.type":"execve","evt.time":1772623353123456789,"proc.name":"nc","proc.cmdline":"nc -l 4444","proc.pid":4242,"user.name":"eve","container.id":"host"}
        {"evt.type":"execve","evt.time":1772623353123456790,"proc.name":"nc","proc.cmdline":"nc -l 4444","proc.pid":4243,"user.name":"root"}
        {"evt.type":"openat","fd.name":"/etc/hosts","proc.name":"nc"}

        """

    @Test("check: good files end with 0, wrong ones with 2 and everything that is wrong")
    func check() throws {
        let good = try place.folder.file("good.yaml", Self.rules)
        let (status, output) = try place.riposte("rules", "check", good)
        #expect(status == 0 && output.contains("2 rules are good"), "\(output)")
        let bad = try place.folder.file("bad.yaml", "- rule: R\n  desc: d\n  condition: proc.nam = x\n  output: o %proc.pidd\n  priority: hight\n- macro: m\n  condtion: x\n")
        let answer = try place.riposte("rules", "check", bad)
        #expect(answer.status == 2)
        for words in ["bad.yaml:5:13: error[LOAD_ERR_YAML_VALIDATE]", "bad.yaml:7:3: warning[LOAD_UNKNOWN_KEY]", "did you mean \"condition\"?", "a macro needs a condition"] {
            #expect(answer.output.contains(words), "\(words) in \(answer.output)")
        }
        #expect(try place.riposte("rules", "check", "/nowhere.yaml").status == 2)
    }

    @Test("check --json: Falco's load-result document")
    func loadResults() throws {
        let bad = try place.folder.file("bad.yaml", "- rule: R\n  desc: d\n  condition: evt.type = execve and proc.nam = x\n  output: o\n  priority: info\n")
        let document = try #require(try place.json("rules", "check", bad).first)
        let result = try #require(document["falco_load_results"]?.array?.first)
        #expect(result["name"] == .text(bad) && result["successful"] == false && result["warnings"] == [])
        let error = try #require(result["errors"]?.array?.first)
        #expect(error["code"] == "LOAD_ERR_COMPILE_CONDITION" && error["message"]?.string?.repaired.contains("proc.name") == true)
        let locations = try #require(error["context"]?["locations"]?.array)
        #expect(locations.compactMap { $0["item_type"]?.string?.repaired } == ["rules content", "rule", "rule condition", "condition expression"])
        #expect(locations.last?["position"] == ["name": .text(bad), "line": 2, "column": 35, "offset": 55])
        #expect(error["context"]?["snippet"]?.string?.repaired.contains("condition: evt.type = execve and proc.nam = x\n") == true)
    }

    @Test(
        "check --condition",
        arguments: [
            (["evt.type = execve and proc.name = x"], 0), (["proc.nam = x"], 2), (["started and proc.name = x"], 2), (["started and proc.name = x", "--syntax"], 0),
            (["proc.name ="], 2), (["proc.name =", "--syntax"], 2), (["ka.verb = get"], 2), (["ka.verb = get", "--source", "k8s_audit"], 0), (["", "--syntax"], 2),
        ] as [([String], Int32)])
    func condition(_ arguments: [String], _ status: Int32) throws {
        let (found, output) = try place.riposte(["rules", "check", "--condition"] + arguments)
        #expect(found == status, "\(output)")
    }

    @Test("list and show: what each rule is and how it is judged")
    func show() throws {
        let file = try place.folder.file("good.yaml", Self.rules)
        let rules = try place.json("rules", "list", file)
        #expect(rules.map { $0["rule"] } == ["Network tool", "Any program"])
        #expect(rules.map { $0["enabled"] } == [true, false])
        #expect(rules[0]["event_types"] == ["execve", "execveat"] && rules[0]["tags"] == ["network", "process"] && rules[0]["priority"] == "Notice")
        let rule = try #require(try place.json("rules", "show", "Network tool", file).first)
        #expect(rule["expanded_condition"] == "evt.type in (execve, execveat) and proc.name in (nc, ncat) and not user.name = root")
        #expect(rule["plan"]?["tests"]?.array?.count == 3)
        let (status, output) = try place.riposte("rules", "show", "Network tol", file)
        #expect(status == 4 && output.contains("did you mean \"Network tool\"?"), "\(output)")
    }

    @Test("fields: each with type, source and meaning")
    func fields() throws {
        let fields = try place.json("rules", "fields", "--source", "syscall")
        #expect(fields.count > 200)
        #expect(fields.allSatisfy { ($0["meaning"]?.string?.bytes.count ?? 0) > 5 && $0["type"] != nil && $0["since"] != nil })
        #expect(try place.riposte("rules", "fields", "proc.nam").output.contains("proc.name"))
        #expect(try place.riposte("rules", "fields", "nothing.such").status == 4)
    }

    @Test("eval: the events for which a condition holds")
    func eval() throws {
        let (rules, events) = (try place.folder.file("good.yaml", Self.rules), try place.folder.file("events.jsonl", Self.events))
        let found = try place.json("rules", "eval", "started and proc.name in (net_tools)", rules, "--events", events)
        #expect(found.map { $0["proc.pid"] } == [4242, 4243])
        let (status, output) = try place.riposte("rules", "eval", "proc.name = nc", "--events", events, "--count")
        #expect(status == 0 && output.hasPrefix("3"), "\(output)")
        #expect(try place.riposte("rules", "eval", "proc.nam = nc", "--events", events).status == 2)
    }

    @Test("replay: Falco's alerts, and 2 where a line is no event")
    func replay() throws {
        let (rules, events) = (try place.folder.file("good.yaml", Self.rules), try place.folder.file("events.jsonl", Self.events))
        let alert = try #require(try place.json("rules", "replay", rules, "--events", events, "--hostname", "h").first?.object)
        #expect(alert.members.map(\.key) == ["hostname", "output", "output_fields", "priority", "rule", "source", "tags", "time"])
        #expect(alert["time"] == "2026-03-04T11:22:33.123456789Z" && alert["tags"] == ["network", "process"] && alert["hostname"] == "h")
        #expect(alert["output"]?.string?.repaired.contains("Notice network tool (user=eve command=nc -l 4444 pid=4242) container_id=host container_name=<NA>") == true)
        #expect(alert["output_fields"]?["proc.pid"] == 4242 && alert["output_fields"]?["evt.time"] == 1_772_623_353_123_456_789)
        #expect(alert["output_fields"]?["container.name"] == JSON.null)
        let bad = try place.folder.file("bad.jsonl", Self.events + "{\"proc.nam\":\"x\"}\nnonsense\n{\"proc.pid\":\"x\"}\n")
        let (status, output) = try place.riposte("rules", "replay", rules, "--events", bad)
        #expect(status == 2)
        for words in [
            "bad.jsonl:4: there is no field \"proc.nam\"; did you mean \"proc.name\"?", "bad.jsonl:5: not JSON", "bad.jsonl:6: proc.pid must be a whole number", "pid=4242",
        ] {
            #expect(output.contains(words), "\(words) in \(output)")
        }
    }

    @Test("events without end, files without end, and nowhere to complain: an end all the same")
    func endless() throws {
        let (status, output) = try place.riposte("rules", "eval", "proc.name = x", "--events", "/dev/zero")
        #expect(status == 2 && output.contains("longer than 16 MiB"), "\(output)")
        let large = try place.folder.file("large.yaml", "")
        try FileHandle(forWritingTo: URL(fileURLWithPath: large)).truncate(atOffset: 1 << 40)
        for path in [large, "/dev/zero"] { #expect(try place.riposte("rules", "check", path).status == 2) }
        let answer = try run(["sh", "-c", "exec \"$@\" 2>/dev/full", "sh", Riposte.path, "rules", "eval", "proc.nam = x", "--events", "/dev/null"])
        #expect(answer.status == 2)
    }

    @Test("replay --source k8s_audit takes the events of an API server as they are")
    func audit() throws {
        let events = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures/kubernetes-audit.jsonl").path
        let rules = try place.folder.file(
            "audit.yaml",
            "- rule: Exec\n  desc: d\n  source: k8s_audit\n  condition: ka.target.subresource = exec\n  output: exec by %ka.user.name in %ka.target.name\n  priority: notice\n")
        let alerts = try place.json("rules", "replay", rules, "--source", "k8s_audit", "--events", events)
        #expect(!alerts.isEmpty && alerts.allSatisfy { $0["source"] == "k8s_audit" && $0["output_fields"]?["ka.user.name"]?.string != nil })
    }

    @Test("test: a rule that does not do what its test says fails it")
    func test() throws {
        try FileManager.default.createDirectory(atPath: place.folder.path + "/rules", withIntermediateDirectories: true)
        _ = try place.folder.file("rules/r.yaml", Self.rules)
        let head = "rules: [r.yaml]\ndefaults: { evt.type: execve, user.name: eve }\ntests:\n  - rule: Network tool\n"
        let tests = try place.folder.file("rules/r.test.yaml", head + "    fires: { proc.name: nc }\n    passes: { user.name: root }\n")
        #expect(try place.riposte("rules", "test", place.folder.path + "/rules").status == 0)
        for (body, words) in [
            ("    fires: { proc.name: cat }\n    passes: { user.name: root }\n", "does not fire"),
            ("    fires: { proc.name: nc }\n    passes: { proc.name: ncat }\n", "should let pass"),
            ("    fires: { proc.name: nc }\n", "no test of an event that it lets pass"),
        ] {
            try (head + body).write(toFile: tests, atomically: true, encoding: .utf8)
            let (status, output) = try place.riposte("rules", "test", place.folder.path + "/rules")
            #expect(status == 1 && output.contains(words), "\(output)")
        }
    }
}
