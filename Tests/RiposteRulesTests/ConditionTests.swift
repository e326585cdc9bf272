import RiposteCore
import RiposteRules
import RiposteTestSupport
import Testing

@Suite("Falco's condition language")
struct ConditionTests {
    private static let fields: JSONObject = [
        "proc.name": "nginx", "proc.cmdline": "nginx -g daemon off", "proc.pid": 4711, "proc.tty": 0, "fd.name": "/etc/shadow", "fd.rip": "192.0.2.7",
        "fd.sip": "10.0.0.1", "fd.cip": "192.0.2.7", "fd.rport": 443, "container.id": "host", "proc.is_exe_upper_layer": true, "proc.pname": "bash", "proc.aname[2]": "sshd",
        "evt.arg.flags": "O_RDONLY|O_CLOEXEC", "proc.args": "", "ka.user.groups": ["dev", "ops"], "proc.cwd": "/tmp/", "proc.exepath": "/usr/sbin/nginx",
        "evt.time": 1_795_455_494_438_967_994, "proc.exe": "TmdJbng=",
    ]

    @Test(
        "hold or do not hold",
        arguments: [
            // Equality and order.
            ("proc.name = nginx", true), ("proc.name == nginx", true), ("proc.name=nginx", true), ("proc.name != nginx", false), ("proc.name = 'nginx'", true),
            ("proc.pid = 4711", true), ("proc.pid > 4710", true), ("proc.pid >= 4711", true), ("proc.pid < 4711", false), ("proc.pid <= -1", false),
            ("evt.rawtime > 1", false), ("proc.is_exe_upper_layer = true", true), ("proc.is_exe_upper_layer = false", false), ("fd.rport = https", true),
            // Text.
            ("proc.cmdline contains daemon", true), ("proc.cmdline icontains DAEMON", true), ("proc.cmdline contains DAEMON", false), ("fd.name startswith /etc", true),
            ("fd.name endswith dow", true), ("fd.name glob /etc/*", true), ("fd.name glob '/e?c/[a-s]*'", true), ("fd.name glob /etc", false), ("proc.name iglob NGIN?", true),
            ("fd.name regex '/etc/(passwd|shadow)'", true), ("fd.name regex shadow", false), ("proc.name bcontains 676e", false), ("proc.name bcontains 67696e", true),
            ("proc.name bstartswith 6e67", true),
            // Sets and paths.
            ("proc.name in (apache, nginx)", true), ("proc.name in (apache)", false), ("proc.pid in (1, 4711)", true), ("proc.name in ()", false), ("not proc.name in ()", true),
            ("fd.name pmatch (/etc)", true), ("fd.name pmatch (/et)", false), ("fd.name pmatch (/, /x)", true), ("fd.name pmatch (/*/shadow)", true),
            ("fd.name pmatch (/etc/shadow/x)", false),
            ("ka.user.groups intersects (ops, sec)", true), ("ka.user.groups in (ops, dev, x)", true), ("ka.user.groups in (ops)", false),
            // Addresses.
            ("fd.rip = 192.0.2.7", true), ("fd.rip != 192.0.2.7", false), ("fd.rip in (192.0.2.7, 1.1.1.1)", true), ("fd.rnet = 192.0.2.0/24", true),
            ("fd.snet in (10.0.0.0/8)", true),
            ("fd.ip = 10.0.0.1", true), ("fd.ip != 10.0.0.1", false), ("fd.net in (172.16.0.0/12, 10.0.0.0/8)", true), ("fd.port = 443", true), ("fd.rip = ::1", false),
            // Ancestors without index: any of them.
            ("proc.aname = sshd", true), ("proc.aname in (bash)", true), ("proc.aname = init", false), ("proc.aname[2] = sshd", true), ("proc.aname != bash", true),
            // Absent and empty.
            ("user.name exists", false), ("user.name = root", false), ("user.name != root", false), ("not user.name = root", true), ("proc.args exists", true),
            ("proc.args = \"\"", true),
            ("user.name = \"\"", false), ("not user.name in (root)", true), ("proc.pname = bash and not user.name exists", true),
            // Logic.
            ("proc.name = x or proc.pid = 4711 and fd.name exists", true), ("(proc.name = x or proc.pid = 4711) and user.name exists", false), ("not not proc.name = nginx", true),
            ("not(proc.name = x)", true), ("proc.name = nginx and(fd.name exists)", true), ("not proc.name = x and proc.pid = 4711", true),
            // Modifiers.
            ("proc.cmdline contains anyof (daemon, zzz)", true), ("proc.cmdline contains allof (daemon, nginx)", true), ("proc.cmdline contains oneof (daemon, nginx)", false),
            ("proc.cmdline contains allof ()", false), ("proc.name != allof (a, b)", true),
            // Transformers and other fields.
            ("toupper(proc.name) = NGINX", true), ("basename(fd.name) = shadow", true), ("len(proc.name) = 5", true), ("len(proc.name) > 4", true), ("b64(proc.exe) = NgInx", true),
            ("tolower(b64(proc.exe)) = nginx", true), ("concat(proc.name, \"-\", proc.pname) = nginx-bash", true), ("join(\"+\", (proc.name, proc.pid)) = nginx+4711", true),
            ("proc.name = basename(proc.exepath)", true), ("proc.name = val(proc.pname)", false), ("fd.rip = val(fd.cip)", true), ("basename(user.name) = x", false),
            ("evt.arg[flags] contains RDONLY", true), ("proc.aname[1] = bash", true), ("proc.aname[0] = nginx", true),
            ("evt.dir exists", true), ("evt.source = syscall", true),
            // Quotes.
            ("proc.cmdline contains \"g daemon\"", true), ("fd.name = \"\\x2fetc\\/shadow\"", true), ("cluster.name = prod", false), ("not cluster.name exists", true),
        ] as [(String, Bool)])
    func holds(_ text: String, _ expected: Bool) throws {
        #expect(try CompiledCondition(parsing: text).matches(RecordedEvent(Self.fields)) == expected)
    }

    @Test(
        "are refused with the place",
        arguments: [
            ("", 0), ("proc.name", 9), ("proc.name =", 11), ("proc.name exist", 10), ("proc.nam = x", 0), ("(proc.name = x", 14), ("proc.name = x)", 13), ("proc.name = x y", 14),
            ("proc.pid = abc", 11), ("proc.pid = 0x10", 11), ("proc.pid contains 1", 0), ("proc.pid < x", 11), ("fd.rip = 10.0.0.0/8", 9), ("fd.rnet = 10.0.0.1", 10),
            ("proc.is_exe_upper_layer = yes", 26), ("shell_procs and proc.name = x", 0), ("proc.name regex '(a'", 19), ("proc.name regex '\\\\d'", 18), ("proc.name = 'x", 12),
            ("proc.name = \"\\q\"", 13), ("proc.aname[] = x", 11), ("len(proc.name, proc.pid) = 1", 0), ("tolower(proc.pid) = 1", 8), ("proc.name = x and", 14), ("not", 0),
            ("proc.name bcontains 6", 20), ("and proc.name = x", 0),
        ])
    func refused(_ text: String, _ offset: Int) {
        let error = #expect(throws: ConditionError.self) { try CompiledCondition(parsing: text) }
        #expect(error?.offset == offset, "\(String(describing: error))")
    }

    @Test("what was meant is suggested")
    func suggestions() {
        #expect(throws: ConditionError("there is no field \"proc.nam\"", at: 0, suggestion: "proc.name", kind: .unknownField)) { try CompiledCondition(parsing: "proc.nam = x") }
        #expect(throws: ConditionError("\"startwith\" is no operator", at: 8, suggestion: "startswith")) { try CompiledCondition(parsing: "fd.name startwith x") }
    }

    @Test("nesting has a limit")
    func depth() {
        let deep = String(repeating: "(", count: 5000) + "proc.name = x" + String(repeating: ")", count: 5000)
        #expect(throws: ConditionError.self) { try CompiledCondition(parsing: deep) }
        #expect(throws: Never.self) { try CompiledCondition(parsing: String(repeating: "not ", count: 50_000) + "proc.name = x") }
    }

    @Test("a negated test without exists is noticed")
    func negated() throws {
        #expect(try CompiledCondition(parsing: "not k8s.ns.name = kube-system").negatedWithoutExists == ["k8s.ns.name"])
        #expect(try CompiledCondition(parsing: "k8s.ns.name exists and not k8s.ns.name = kube-system").negatedWithoutExists == [])
    }

    @Test("judge real alerts")
    func recorded() throws {
        let alerts = try Fixtures.falcoAlerts().map { try Alert(parsing: $0, id: .new(), arrival: .init(intake: "test")) }
        func count(_ text: String) throws -> Int {
            let condition = try CompiledCondition(parsing: text)
            return alerts.count { condition.matches($0) }
        }
        #expect(try count("proc.pid exists") == 82)
        #expect(try count("alert.priority = critical") == alerts.count { $0.priority == .critical })
        #expect(try count("alert.tags intersects (maturity_stable)") == 23)
        #expect(try count("alert.rule = 'Terminal shell in container' and container.id != host and proc.tty > 0") == 1)
        #expect(try count("k8s.ns.name exists") == 0)
        #expect(try count("not container.id = host") == alerts.count { $0[field: "container.id"] != "host" })
    }

    @Test("no text crashes or hangs the parser")
    func fuzz() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededNumbers(seed: seed)
        let words = [
            "proc.name", "fd.rip", " ", "(", ")", "=", "!=", "in", "and", "or", "not", "exists", "'", "\"", "\\", "contains", "regex", "x", "1", ",", "val(", "tolower(", "[", "]",
            ".", "\u{1F600}", "glob", "pmatch", "oneof", "{9}", "*",
        ]
        var good = 0
        for _ in 0..<60_000 {
            let text = (0..<Int.random(in: 1...12, using: &generator)).map { _ in words.randomElement(using: &generator) ?? "" }.joined(
                separator: Bool.random(using: &generator) ? " " : "")
            if let condition = try? CompiledCondition(parsing: text) {
                good += 1
                _ = condition.matches(RecordedEvent(Self.fields))
            }
        }
        #expect(good > 0, "seed \(seed)")
    }
}

@Suite("Regular expressions")
struct RegularExpressionTests {
    @Test(
        "match the whole text or do not",
        arguments: [
            ("abc", "abc", true), ("abc", "xabc", false), ("a.c", "abc", true), ("a.c", "a\nc", false), ("a*", "", true), ("a+b?", "aab", true), ("(a|b)*c", "ababc", true),
            ("[a-c]+", "abcabc", true), ("[^a-c]", "d", true), ("[]a]", "]", true), ("[[:digit:]]{2,3}", "12", true), ("[[:digit:]]{2,3}", "1234", false), ("a{3}", "aaa", true),
            ("x{,3}", "x{,3}", true), ("^a$", "a", true), ("a|", "", true), ("\\.", ".", true), ("\\.", "x", false), ("é", "é", true), ("(((a)))", "a", true), ("a{0}", "", true),
        ])
    func matching(_ pattern: String, _ text: String, _ expected: Bool) throws {
        #expect(try RegularExpression(pattern).matchesWhole(Array(text.utf8)) == expected)
    }

    @Test("are refused", arguments: ["(", ")", "[a", "*a", "a{2,1}", "a{5000}", "\\d", "\\w", "[z-a]", "[[:nope:]]", "\\", "((a{1000}){1000}){1000}"])
    func refused(_ pattern: String) { #expect(throws: RegularExpression.Invalid.self) { try RegularExpression(pattern) } }

    @Test("a hostile text costs its length and no more")
    func hostile() throws {
        let text = [UInt8](repeating: UInt8(ascii: "a"), count: 20_000)
        #expect(try !RegularExpression("(a|a)*b").matchesWhole(text))
        #expect(try !RegularExpression("(a*)*b").matchesWhole(text))
        #expect(!GlobPattern(Array("*a*a*a*a*b".utf8)).matches(text))
    }

    @Test("bytes that are not UTF-8 count as one strange character")
    func invalidText() throws { #expect(try RegularExpression("a.b").matchesWhole([0x61, 0xFF, 0x62])) }
}
