import RiposteCore
import RiposteRules
import Testing

@Suite("Outputs of rules")
struct RulesOutputTests {
    private static let time = Timestamp(nanoseconds: 1_700_000_000_123_456_789)
    private static let clock = "2023-11-14T22:13:20.123456789+0000"

    private static let event: JSONObject = [
        "evt.type": "openat", "evt.time": 1_700_000_000_123_456_789, "evt.num": 7, "evt.rawres": -2, "evt.buffer": "GET\n\u{1}/", "evt.arg.flags": "O_RDONLY", "evt.res": "SUCCESS",
        "evt.rawtime": 1_700_000_000_123_456_789, "evt.dir": "<", "proc.name": "nginx", "proc.args": "", "proc.pid": 4711, "proc.vmsize": -1, "proc.tty": 0, "proc.duration": 5000,
        "proc.pname": "bash",
        "proc.aname[2]": "sshd", "proc.aname[3]": "systemd", "proc.is_exe_writable": false, "proc.exepath": "/usr/sbin/nginx", "proc.cmdline": "nginx \"quoted\" back\\slash",
        "user.loginuid": -1,
        "user.name": "<NA>", "fd.name": "/etc/shadow", "fd.types": ["file", "ipv4"], "fd.rip": "192.0.2.7", "fd.rport": 443, "container.id": "host", "container.name": "host",
    ]

    private static func load(
        _ output: String, _ condition: String = "evt.type = openat", _ additions: [RulesSettings.Addition] = [], tags: String = "[]"
    ) -> (ruleSet: RuleSet?, findings: [RulesFinding]) {
        var settings = RulesSettings()
        settings.additions = additions
        let text = "- rule: Read a file\n  desc: d\n  condition: \(condition)\n  output: |\n    \(output)\n  priority: WARNING\n  tags: \(tags)\n"
        return RuleSet.load([.init(name: "", text: text)], settings)
    }

    private static func alert(
        _ output: String, _ condition: String = "evt.type = openat", _ additions: [RulesSettings.Addition] = [], tags: String = "[]",
        _ change: (inout AlertFormatter) -> Void = { _ in }
    ) throws -> JSONObject {
        let (loaded, findings) = load(output, condition, additions, tags: tags)
        let ruleSet = try #require(loaded, "\(findings.map(\.diagnostic.rendered).joined(separator: "\n"))")
        var formatter = AlertFormatter(hostname: "web-1")
        formatter.usesISO8601 = true
        change(&formatter)
        var documents: [JSONObject] = []
        RuleSetJudge(ruleSet, source: "syscall").judge(RecordedEvent(event)) { rule, judge in documents.append(formatter.document(of: rule, at: time, judge)) }
        return try #require(documents.first)
    }

    @Test(
        "say what the template says",
        arguments: [
            ("plain text", "plain text"), ("%proc.name", "nginx"), ("a %proc.name b", "a nginx b"), ("%proc.name%proc.pid", "nginx4711"), ("(%proc.name)", "(nginx)"),
            ("%evt.type,", "openat,"),
            ("%proc.name.", "nginx."), ("%proc.names", "nginxs"), ("%proc.name/%proc.pname", "nginx/bash"), ("%fd.name:%fd.rport", "/etc/shadow:443"),
            ("%proc.name=%proc.name", "nginx=nginx"),
            ("*%proc.name", "nginx"), ("* %proc.name", " nginx"), ("**", "*"),
            // Arguments.
            ("%proc.aname[2]", "sshd"), ("%proc.aname[2]]", "sshd]"), ("%proc.aname[9]", "<NA>"), ("%evt.arg.flags.", "O_RDONLY."), ("%evt.arg.flags)", "O_RDONLY)"),
            ("%proc.name[1]", "nginx[1]"),
            ("%proc.aname[2", "bash sshd systemd[2"), ("%proc.aname", "bash sshd systemd"), ("%proc.aname[x]", "bash sshd systemd[x]"),
            // Width: padded, or cut.
            ("%12proc.name|", "nginx       |"), ("%3proc.name|", "ngi|"), ("%5proc.name|", "nginx|"), ("%6proc.pid|", "4711  |"), ("%2fs.path.name|", "<N|"),
            ("%8toupper(proc.name)|", "NGINX   |"),
            ("%0proc.name|", "nginx|"),
            // Transformers.
            ("%toupper(proc.name)", "NGINX"), ("%basename(proc.exepath)!", "nginx!"), ("%len(proc.name)", "5"), ("%concat(proc.name, \"-\", proc.pname)", "nginx-bash"),
            ("%tolower(toupper(proc.name))", "nginx"),
            ("%join(\"+\", (proc.name, proc.pid))", "nginx+4711"), ("%toupper(fs.path.name)", "<NA>"), ("%join(\",\", fd.types)", "file,ipv4"), ("%toupper(evt.type)", "OPENAT"),
            // Values.
            ("%fs.path.name", "<NA>"), ("[%proc.args]", "[]"), ("%user.name", "<NA>"), ("%proc.is_exe_writable", "false"), ("%evt.rawres", "-2"),
            ("%proc.vmsize", "18446744073709551615"), ("%user.loginuid", "-1"),
            ("%fd.types", "(file,ipv4)"), ("%fd.rip:%fd.rport", "192.0.2.7:443"), ("%proc.duration", "5000"), ("%evt.rawtime", "1700000000123456789"), ("%evt.buffer", "GET../"),
            ("%evt.num", "7"),
            ("%evt.time.iso8601", clock), ("%proc.tty", "0"), ("%proc.cmdline", "nginx \"quoted\" back\\slash"),
            // Left out.
            ("a %container.info b", "a  b"), ("a %container.info", "a "),
        ])
    func texts(_ template: String, _ expected: String) throws {
        let document = try Self.alert(template) { $0.includesMessage = true }
        #expect(document["message"]?.string?.repaired == expected)
        #expect(document["output"]?.string?.repaired == "\(Self.clock): Warning \(expected)")
    }

    @Test(
        "a template that says nothing, or what cannot be said, is refused",
        arguments: ["%", "x %", "% x", "%5", "%.", "%proc", "%proc.", "%fd.ip", "%evt.arg", "%nothing(proc.name)", "%tolower(proc.pid)", "%tolower(", "%evt.arg.", "%-5proc.name"])
    func refused(_ template: String) {
        #expect(Self.load(template).findings.map(\.code) == [.compileOutput])
    }

    @Test("buffers are cut, and of what is not printable there is a dot")
    func buffers() throws {
        var event = Self.event
        event["evt.buffer"] = .string(ByteText([UInt8](repeating: 0xFF, count: 200)))
        let ruleSet = try #require(RuleSet.load([.init(name: "", text: MarkedRules.rule("r", "evt.type = openat", output: "x %evt.buffer"))]).ruleSet)
        var message: String?
        RuleSetJudge(ruleSet, source: "syscall").judge(RecordedEvent(event)) { rule, judge in
            message = AlertFormatter(hostname: "").document(of: rule, at: Self.time, judge)["output_fields"]?.object?["evt.buffer"]?.string?.repaired
        }
        #expect(message == String(repeating: ".", count: 80))
    }

    // MARK: - Fields

    @Test("each field of the text has an entry, by its type")
    func fields() throws {
        let text =
            "%proc.name %proc.pid %proc.aname[2] %proc.aname %fs.path.name %proc.args %proc.vmsize %user.loginuid %proc.is_exe_writable %fd.types %fd.rip %fd.rport %evt.rawtime %proc.duration "
            + "%evt.buffer %user.name %evt.arg.flags %3proc.exepath %toupper(proc.pname) %proc.name"
        let fields = try #require(try Self.alert(text)["output_fields"]?.object)
        let expected: JSONObject = [
            "evt.arg.flags": "O_RDONLY", "evt.buffer": "GET../", "evt.rawtime": 1_700_000_000_123_456_789, "evt.time.iso8601": 1_700_000_000_123_456_789, "fd.rip": "192.0.2.7",
            "fd.rport": 443,
            "fd.types": ["file", "ipv4"], "fs.path.name": .null, "proc.aname": "bash sshd systemd", "proc.aname[2]": "sshd", "proc.args": "", "proc.duration": 5000,
            "proc.exepath": "/usr/sbin/nginx",
            "proc.is_exe_writable": false, "proc.name": "nginx", "proc.pid": 4711, "proc.pname": "bash", "proc.vmsize": .number("18446744073709551615"), "user.loginuid": -1,
            "user.name": "<NA>",
        ]
        #expect(fields.members.map(\.key) == expected.members.map(\.key))
        for member in expected.members { #expect(fields[member.key] == member.value, "\(member.key)") }
    }

    @Test("time is the event's, in nanoseconds whatever form the text has")
    func times() throws {
        let plain = try Self.alert("x") { $0.usesISO8601 = false }
        #expect(plain["output_fields"] == ["evt.time": 1_700_000_000_123_456_789])
        #expect(plain["output"]?.string?.repaired.contains(/^[0-2][0-9]:[0-5][0-9]:20\.123456789: Warning x$/) == true)
        #expect(plain["time"] == "2023-11-14T22:13:20.123456789Z")
        let both = try Self.alert("%evt.time.iso8601") { $0.usesISO8601 = false }
        #expect(both["output_fields"] == ["evt.time": 1_700_000_000_123_456_789, "evt.time.iso8601": 1_700_000_000_123_456_789])
    }

    @Test("the object's properties stand in Falco's order, and each can be left out")
    func properties() throws {
        let all = try Self.alert("x", tags: "[b, a, b]") { $0.includesMessage = true }
        #expect(all.members.map(\.key) == ["hostname", "message", "output", "output_fields", "priority", "rule", "source", "tags", "time"])
        #expect(all["hostname"] == "web-1" && all["priority"] == "Warning" && all["rule"] == "Read a file" && all["source"] == "syscall" && all["tags"] == ["a", "b"])
        let few = try Self.alert("x") {
            $0.includesOutput = false
            $0.includesOutputFields = false
            $0.includesTags = false
        }
        #expect(few.members.map(\.key) == ["hostname", "priority", "rule", "source", "time"])
    }

    // MARK: - Additions

    private static func addition(_ change: (inout RulesSettings.Addition) -> Void) -> RulesSettings.Addition {
        var addition = RulesSettings.Addition()
        change(&addition)
        return addition
    }

    @Test("suggested fields follow the text, and are fields like others")
    func suggested() throws {
        #expect(RulesSettings().additions == [.suggested])
        let document = try Self.alert("x", "evt.type = openat", [.suggested]) { $0.includesMessage = true }
        #expect(
            document["message"]
                == "x container_id=host container_name=host container_image_repository=<NA> container_image_tag=<NA> k8s_pod_name=<NA> k8s_ns_name=<NA>")
        #expect(document["output_fields"]?.object?["container.image.repository"] == .null)
        #expect(document["output_fields"]?.object?["container.id"] == "host")
    }

    @Test("additions apply to the rules that they name, one after the other")
    func additions() throws {
        func message(_ additions: RulesSettings.Addition...) throws -> String? {
            try Self.alert("x", "evt.type = openat", additions, tags: "[a, b]") { $0.includesMessage = true }["message"]?.string?.repaired
        }
        let one = Self.addition { $0.output = "one=%proc.name" }
        #expect(try message(one) == "x one=nginx")
        #expect(try message(one, Self.addition { $0.output = "two" }) == "x one=nginx two")
        #expect(try message(Self.addition { ($0.output, $0.rule) = ("y", "Read a file") }) == "x y")
        #expect(try message(Self.addition { ($0.output, $0.rule) = ("y", "Read") }) == "x")
        #expect(try message(Self.addition { ($0.output, $0.source) = ("y", "k8s_audit") }) == "x")
        #expect(try message(Self.addition { ($0.output, $0.source) = ("y", "syscall") }) == "x y")
        #expect(try message(Self.addition { ($0.output, $0.tags) = ("y", ["b"]) }) == "x y")
        #expect(try message(Self.addition { ($0.output, $0.tags) = ("y", ["b", "c"]) }) == "x")
    }

    @Test("extra fields are values where they are fields, and texts where they are templates")
    func extraFields() throws {
        let extra = Self.addition { $0.fields = [("proc.pid", nil), ("who", "%proc.name/%fs.path.name"), ("fs.path.name", nil), ("constant", "prod"), ("proc.name", "mine")] }
        let document = try Self.alert("x %proc.name", "evt.type = openat", [extra]) { $0.includesMessage = true }
        #expect(document["message"] == "x nginx")
        #expect(
            document["output_fields"]
                == ["constant": "prod", "evt.time.iso8601": 1_700_000_000_123_456_789, "fs.path.name": .null, "proc.name": "mine", "proc.pid": 4711, "who": "nginx/<NA>"])
        let wrong = Self.addition { $0.fields = [("proc.pit", nil)] }
        #expect(Self.load("x", "evt.type = openat", [wrong]).findings.map(\.code) == [.compileOutput])
    }

    // MARK: - Matching

    @Test("one event is answered by all rules that hold, or by the first in the order of the files")
    func matching() throws {
        let texts = [
            MarkedRules.rule("a", "evt.type = close") + MarkedRules.rule("b", "evt.type = openat and proc.name = nginx"),
            MarkedRules.rule("c", "evt.type = openat") + MarkedRules.rule("d", "proc.pid = 4711"),
        ]
        var settings = RulesSettings()
        #expect(try #require(MarkedRules(texts).load(settings).ruleSet).holding(Self.event) == ["b", "c", "d"])
        settings.matching = .first
        #expect(try #require(MarkedRules(texts).load(settings).ruleSet).holding(Self.event) == ["b"])
        settings.selections = [.init(enables: false, .rules("b"))]
        #expect(try #require(MarkedRules(texts).load(settings).ruleSet).holding(Self.event) == ["c"])
    }

    @Test("rules of one source do not see events of another")
    func sources() throws {
        let rules = MarkedRules.rule("a", "evt.num > 0") + MarkedRules.rule("k", "evt.num > 0", "source: k8s_audit")
        let ruleSet = try #require(MarkedRules(rules).load().ruleSet)
        #expect(ruleSet.holding(["evt.num": 1, "evt.type": "open"]) == ["a"])
        #expect(ruleSet.holding(["evt.num": 1], source: "k8s_audit") == ["k"])
        #expect(ruleSet.holding(["evt.num": 1], source: "aws") == [])
    }
}
