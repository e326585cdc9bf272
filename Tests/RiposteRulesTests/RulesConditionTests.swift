import RiposteCore
import RiposteRules
import Testing

@Suite("Conditions of rules")
struct RulesConditionTests {
    private static let event: JSONObject = [
        "evt.type": "openat", "evt.num": 42, "evt.dir": "<", "evt.rawres": -2, "evt.buflen": 5, "evt.buffer": "GET /", "evt.res": "ENOENT", "evt.arg.flags": "O_RDONLY|O_CREAT",
        "evt.arg[flags]": "O_RDONLY|O_CREAT",
        "evt.rawtime": 1_700_000_000_000_000_000, "proc.name": "nginx", "proc.exe": "TmdJbng", "proc.exepath": "/usr/sbin/nginx",
        "proc.cmdline": "nginx -g 'daemon off;' -c /etc/n.conf",
        "proc.args": "", "proc.pid": 4711, "proc.tty": 0, "proc.vmsize": -1, "proc.pname": "bash", "proc.aname[2]": "sshd", "proc.aname[3]": "systemd", "proc.ppid": 4700,
        "proc.apid[2]": 1,
        "proc.duration": 5_000_000_000, "proc.is_exe_upper_layer": true, "proc.is_exe_writable": false, "proc.sname": "nginx", "proc.cwd": "/srv/a b/", "proc.env": "\u{FC}=1",
        "user.name": "<NA>", "user.loginuid": -1, "user.uid": 4_294_967_295, "thread.cap_effective": "CAP_CHOWN CAP_KILL",
        "fd.name": "/etc/ssl/../shadow", "fd.nameraw": "../shadow", "fd.num": 3, "fd.types": ["file", "ipv4"], "fd.typechar": "f", "fd.rip": "192.0.2.7", "fd.sip": "192.0.2.7",
        "fd.cip": "10.0.0.1", "fd.lip": "10.0.0.1", "fd.rport": 443, "fd.sport": 443, "fd.cport": 41822, "fd.lport": 41822, "fd.connected": true,
        "container.id": "host", "k8s.ns.name": .null,
    ]

    private static let cases: [(String, Bool)] = [
        // Texts.
        ("proc.name = nginx", true), ("proc.name == nginx", true), ("proc.name=nginx", true), ("proc.name = NGINX", false), ("proc.name != nginx", false),
        ("proc.name != bash", true),
        ("proc.name = 'nginx'", true), ("proc.name = \"nginx\"", true), ("proc.name contains gin", true), ("proc.name contains ''", true), ("proc.name contains GIN", false),
        ("proc.name icontains GIN", true), ("proc.name startswith ng", true), ("proc.name startswith ''", true), ("proc.name startswith nginx1", false),
        ("proc.name endswith nx", true),
        ("proc.name endswith ''", true), ("proc.name endswith xnginx", false), ("fd.name startswith /etc", true), ("fd.name glob /etc/*", true), ("fd.name glob *", true),
        ("fd.name glob ''", false),
        ("fd.name glob '/etc?ssl*'", true), ("proc.name glob '[a-n]ginx'", true), ("proc.name glob '[!n]ginx'", false), ("proc.name glob '\\\\nginx'", true),
        ("proc.name iglob NG*", true),
        ("proc.name glob NG*", false), ("proc.name glob ngin", false), ("proc.name regex '[a-z]+'", true), ("proc.name regex gin", false), ("proc.name regex '.*gin.*'", true),
        ("proc.name regex 'nginx|bash'", true), ("proc.name regex 'NGINX'", false), ("proc.name regex '[[:alpha:]]{5}'", true), ("proc.name in (bash, nginx)", true),
        ("proc.name in (bash)", false),
        ("proc.name in nginx", true), ("proc.name intersects (bash, nginx)", true), ("proc.name in ()", false), ("proc.name in (nginx, nginx)", true),
        ("proc.name < val(proc.pname)", false), ("proc.name > val(proc.pname)", true), ("proc.name > 1", true), ("proc.name < 1", false), ("proc.name >= val(proc.sname)", true),
        ("proc.name <= val(proc.sname)", true), ("thread.cap_effective contains CAP_KILL", true), ("proc.env contains '\\xc3\\xbc'", true), ("proc.env startswith ü", true),
        ("len(proc.env) = 4", true),
        // Empty and absent.
        ("proc.args = \"\"", true), ("proc.args = ''", true), ("proc.args != x", true), ("not proc.args = x", true), ("proc.args exists", true), ("proc.args in ()", false),
        ("not proc.args in (a)", true), ("not proc.args in (\"\")", false), ("proc.args contains ''", true), ("proc.args in ('', a)", true), ("proc.args startswith a", false),
        ("proc.args glob ''", true),
        ("fs.path.name = \"\"", false), ("fs.path.name != x", false), ("not fs.path.name = x", true), ("not fs.path.name != x", true), ("fs.path.name exists", false),
        ("not fs.path.name exists", true), ("fs.path.name in ()", false), ("not fs.path.name in (a)", true), ("fs.path.name contains ''", false),
        ("fs.path.name startswith ''", false),
        ("fs.path.name glob *", false), ("fs.path.name regex '.*'", false), ("fs.path.name pmatch (/)", false), ("fs.path.name != allof (a, b)", false),
        ("fs.path.name = val(proc.name)", false),
        ("fs.path.name != val(proc.name)", false), ("proc.name = val(fs.path.name)", false), ("proc.name != val(fs.path.name)", false), ("k8s.ns.name exists", false),
        ("k8s.ns.name != x", false),
        ("user.name = <NA>", true), ("user.name exists", true), ("fs.path.name = <NA>", false), ("proc.nthreads > 0", false), ("not proc.nthreads > 0", true),
        ("proc.pvpid != 1", false),
        ("fd.is_server = false", false), ("not fd.is_server = true", true), ("fd.lip exists", true),
        // Numbers.
        ("proc.pid = 4711", true), ("proc.pid = +4711", true), ("proc.pid = 04711", true), ("proc.pid = ' 4711'", true), ("proc.pid != 4711", false), ("proc.pid > 4710", true),
        ("proc.pid >= 4711", true),
        ("proc.pid < 4712", true), ("proc.pid <= 4710", false), ("proc.pid in (1, 4711)", true), ("proc.pid in (1, 2)", false), ("proc.pid intersects (4711)", true),
        ("evt.rawres < 0", true),
        ("evt.rawres = -2", true), ("evt.rawres in (-1, -2)", true), ("evt.rawres<0", true), ("evt.rawres >= -2", true), ("proc.pid > val(proc.ppid)", true),
        ("proc.pid = val(proc.ppid)", false),
        // Unsigned ones are ordered as such.
        ("proc.vmsize > 1", true), ("proc.vmsize = 18446744073709551615", true), ("proc.vmsize < 5", false), ("user.uid >= 4294967295", true), ("user.loginuid = -1", true),
        ("proc.duration > 4000000000", true), ("evt.rawtime >= 1700000000000000000", true), ("proc.tty = 0", true), ("proc.tty != 0", false), ("evt.buflen = 5", true),
        // Truth values.
        ("proc.is_exe_upper_layer = true", true), ("proc.is_exe_upper_layer != true", false), ("proc.is_exe_writable = false", true),
        ("proc.is_exe_writable in (true, false)", true),
        ("proc.is_exe_writable in (true)", false), ("proc.is_exe_upper_layer = val(fd.connected)", true),
        // Buffers.
        ("evt.buffer contains GET", true), ("evt.buffer startswith GET", true), ("evt.buffer endswith /", true), ("evt.buffer bcontains 455420", true),
        ("evt.buffer bstartswith 474554", true),
        ("evt.buffer bstartswith 455420", false), ("evt.buffer = 'GET /'", true), ("evt.buffer != 'GET /'", false), ("evt.buffer in ('GET /', x)", true),
        ("len(evt.buffer) = 5", true),
        // Paths by their components.
        ("fd.name pmatch (/etc)", true), ("fd.name pmatch (/etc/ssl)", true), ("fd.name pmatch (/et)", false), ("fd.name pmatch (/etc/ssl/x)", false), ("fd.name pmatch (/)", true),
        ("fd.name pmatch (etc)", true), ("fd.name pmatch (//etc//)", true), ("fd.name pmatch (/*/ssl)", true), ("fd.name pmatch (/e?c)", true), ("fd.name pmatch (/[d-f]tc)", true),
        ("fd.name pmatch (/x, /etc)", true), ("fd.name pmatch ()", false), ("fd.name pmatch /etc", true), ("fd.nameraw pmatch (..)", true),
        // Addresses, networks and ports of one end, and of both.
        ("fd.rip = 192.0.2.7", true), ("fd.rip != 192.0.2.7", false), ("fd.rip != 192.0.2.8", true), ("fd.rip in (192.0.2.8, 192.0.2.7)", true), ("fd.rip = ::1", false),
        ("fd.rip != ::1", true),
        ("fd.rip in (::1)", false), ("fd.rnet = 192.0.2.0/24", true), ("fd.rnet = 192.0.2.7/32", true), ("fd.rnet in (10.0.0.0/8, 192.0.2.0/24)", true),
        ("fd.rnet != 192.0.2.0/24", false),
        ("fd.rnet = ::/0", false), ("fd.rnet != ::/0", true), ("fd.snet in (\"192.0.2.0/24\")", true), ("fd.ip = 10.0.0.1", true), ("fd.ip = 192.0.2.7", true),
        ("fd.ip = 1.1.1.1", false),
        ("fd.ip != 10.0.0.1", false), ("fd.ip != 1.1.1.1", true), ("fd.ip in (1.1.1.1, 10.0.0.1)", true), ("fd.net = 10.0.0.0/8", true),
        ("fd.net in (1.0.0.0/8, 10.0.0.0/8)", true),
        ("fd.net != 10.0.0.0/8", false), ("fd.net != 1.0.0.0/8", true), ("fd.ip exists", true), ("fd.rport = 443", true), ("fd.rport = https", true),
        ("fd.rport in (http, https)", true),
        ("fd.rport < 1024", true), ("fd.port = 443", true), ("fd.port = 41822", true), ("fd.port != 443", false), ("fd.port != 80", true), ("fd.port < 1024", true),
        ("fd.port > 1024", true),
        ("fd.port in (22, 443)", true), ("fd.rip = val(fd.sip)", true), ("fd.rip = val(fd.cip)", false), ("fd.rport = val(fd.sport)", true),
        ("fd.ip = anyof (10.0.0.1, 1.1.1.1)", true),
        ("fd.ip != allof (1.1.1.1, 2.2.2.2)", true), ("fd.ip != allof (1.1.1.1, 10.0.0.1)", false),
        // Lists.
        ("fd.types in (file, ipv4, ipv6)", true), ("fd.types in (file)", false), ("fd.types intersects (ipv4)", true), ("fd.types intersects (unix)", false),
        ("fd.types exists", true),
        ("fd.types in ()", false), ("len(fd.types) = 2", true), ("join(', ', fd.types) = 'file, ipv4'", true), ("toupper(fd.types) intersects (FILE)", true),
        // Ancestors: any of them, the process itself not.
        ("proc.aname = sshd", true), ("proc.aname = bash", true), ("proc.aname = nginx", false), ("proc.aname in (x, systemd)", true), ("proc.aname != bash", true),
        ("not proc.aname = x", true),
        ("proc.aname startswith sys", true), ("proc.aname contains anyof (zzz, hd)", true), ("proc.aname[2] = sshd", true), ("proc.aname[2] != bash", true),
        ("proc.aname[9] = x", false),
        ("proc.aname[9] != x", false), ("proc.apid = 1", true), ("proc.apid > 4699", true), ("proc.apid = 4711", false), ("proc.aname exists", true),
        ("proc.aexepath exists", false),
        ("proc.aname glob *temd", true), ("proc.aname regex 's.*d'", true), ("proc.aname pmatch (sshd)", true),
        // Modifiers.
        ("proc.name startswith anyof (x, ng)", true), ("proc.name startswith allof (n, ng)", true), ("proc.name startswith allof (n, x)", false),
        ("proc.name startswith oneof (n, ng)", false),
        ("proc.name startswith oneof (n, x)", true), ("proc.name = anyof (a, nginx)", true), ("proc.name = oneof (nginx, nginx)", false), ("proc.name != allof (a, b)", true),
        ("proc.name != allof (a, nginx)", false),
        ("proc.name != anyof (a, nginx)", true), ("proc.name != oneof (a, nginx)", true), ("proc.name != oneof (a, b)", false), ("proc.name contains allof ()", false),
        ("proc.name contains anyof ()", false),
        ("proc.name = oneof ()", false), ("proc.name glob anyof (x*, n*)", true), ("proc.name regex anyof ('x.*', 'n.*')", true), ("proc.name contains anyof gin", true),
        ("proc.name = oneof", false),
        ("proc.name = anyof and proc.pid = 1", false), ("proc.pid = anyof (1, 4711)", true), ("evt.buffer bcontains anyof (ff, 47)", true),
        ("not proc.name startswith anyof (x, y)", true),
        // Transformers on the left, on the right and in one another.
        ("toupper(proc.name) = NGINX", true), ("tolower(proc.exe) = tmdjbng", true), ("b64(proc.exe) = NgInx", true), ("tolower(b64(proc.exe)) = nginx", true),
        ("basename(proc.exepath) = nginx", true),
        ("basename(proc.name) = nginx", true), ("proc.name = basename(proc.exepath)", true), ("proc.name = tolower(b64(proc.exe))", true), ("len(proc.name) = 5", true),
        ("len(proc.args) = 0", true),
        ("len(proc.name) > 4 and len(proc.name) < 6", true), ("len(fs.path.name) = 0", false), ("not len(fs.path.name) = 0", true),
        ("concat(proc.name, \"-\", proc.pname) = nginx-bash", true),
        ("concat(proc.name, fs.path.name) exists", false), ("proc.exepath = concat(\"/usr/sbin/\", proc.name)", true), ("join('-', (proc.name, proc.pid)) = nginx-4711", true),
        ("join('-', ()) = ''", true),
        ("join('-', (proc.name, \"x\", 5)) = nginx-x-5", true), ("join('-', (toupper(proc.name))) = NGINX", true), ("len(concat(proc.name, proc.pname)) = 9", true),
        ("toupper( proc.name ) = NGINX", true),
        ("tolower(proc.name) in (nginx)", true), ("basename(fd.name) in (shadow)", true), ("basename(fd.name) pmatch (shadow)", true), ("tolower(proc.name) startswith ng", true),
        ("b64(proc.name) exists", false),
        ("basename(proc.cwd) = ''", true), ("proc.name in (tolower)", false), ("proc.name contains basename(proc.exepath)", true), ("proc.name startswith val(proc.sname)", true),
        ("proc.name glob val(proc.sname)", true),
        ("getopt((\"-c\", \"v\", \"-q\", \"rest\"), \"c:q\")[c] = v", true), ("getopt((\"-c\", proc.name, \"-q\"), \"c:q\")[c] = nginx", true),
        ("getopt((\"-cv\", \"-q\"), \"c:q\")[q] = q", true), ("getopt((\"-q\", \"rest\", \"-c\", \"v\"), \"c:q\")[c] exists", false),
        ("getopt((\"--long\", \"-x\"), \"q\") intersects (\"?\")", true),
        // Logic.
        ("proc.pid = 1 and proc.pid = 2 or proc.pid = 4711", true), ("proc.pid = 4711 or proc.pid = 2 and proc.pid = 3", true),
        ("(proc.pid = 4711 or proc.pid = 2) and proc.pid = 3", false),
        ("not proc.pid = 1 and proc.pid = 4711", true), ("not (proc.pid = 1 or proc.pid = 4711)", false), ("not(proc.pid = 1)", true), ("not not proc.pid = 1", false),
        ("not not not proc.pid = 1", true),
        ("proc.pid = 1 or(proc.pid = 4711)", true), ("proc.pid = 4711 and(proc.tty = 0)", true), ("((((proc.pid = 4711))))", true), ("not(not(proc.pid = 4711))", true),
        // Quirks of the grammar.
        ("proc.name existsand proc.pid = 4711", true), ("proc.name existsor proc.pid = 1", true), ("proc.pid>4710", true), ("proc.name=nginx and proc.pid=4711", true),
        ("proc.name in(nginx)", true),
        ("proc.name in ( nginx , bash )", true), ("proc.name\t \n = \t\n nginx ", true), ("proc.name = a-b_c.d:e/f", false), ("proc.name in (a-b, c.d, nginx)", true),
        ("proc.name startswith n*", false),
        // Quotes and escapes.
        ("proc.cmdline contains \"'daemon off;'\"", true), ("proc.cmdline contains '\\'daemon'", true), ("proc.name = \"\\x6eginx\"", true), ("fd.name contains '\\/ssl\\/'", true),
        ("proc.cwd = \"/srv/a b/\"", true), ("proc.cwd contains 'a\\x20b'", true), ("proc.name = \"n\\\\ginx\"", false), ("proc.name = n\\x", false),
        ("proc.name != \"\\t\\n\\r\\f\\b\"", true), ("proc.name != 'a\\ b'", true),
        // Arguments.
        ("evt.arg.flags contains O_CREAT", true), ("evt.arg[flags] contains O_CREAT", true), ("evt.arg['flags'] contains O_CREAT", true), ("evt.arg.mode exists", false),
        ("evt.res = ENOENT", true),
        // The event itself.
        ("evt.type = openat", true), ("evt.type != openat", false), ("evt.type in (open, openat)", true), ("not evt.type in (open, openat)", false), ("evt.type exists", true),
        ("evt.type = openat and evt.dir = <", true),
        ("evt.type = openat and evt.dir=<", true), ("evt.dir = >", false), ("evt.dir != >", true), ("evt.dir in (<, >)", true), ("evt.num = 0", false), ("evt.num > 0", true),
        ("evt.num = 42", true), ("evt.num >= 1", true),
        ("evt.num < 1 or evt.type = openat", true), ("evt.type startswith openat", true), ("evt.type contains anyof (open, openat)", true), ("syscall.type = openat", true),
    ]

    /// With what was compiled for an event of the type, at once and alone.
    @Test("hold or do not hold for an event, each alone", arguments: cases)
    func alone(_ condition: String, _ expected: Bool) throws {
        let (ruleSet, findings) = RuleSet.load([.init(name: "", text: Self.item("r", condition))])
        let holding = try #require(ruleSet, "\(findings.map(\.diagnostic.rendered).joined(separator: "\n"))").holding(Self.event)
        #expect(holding == (expected ? ["r"] : []))
    }

    @Test("hold or do not hold for an event, all in one plan, as macros and under not")
    func together() throws {
        var text = ""
        for (index, (condition, _)) in Self.cases.enumerated() {
            text += "- macro: m\(index)\n  condition: |\n    " + Self.indented(condition) + "\n"
            text += Self.item("a\(index)", condition) + Self.item("b\(index)", "m\(index)") + Self.item("c\(index)", "not m\(index)")
            text += Self.item("d\(index)", "evt.type = openat and (\(condition))") + Self.item("e\(index)", "evt.type = close or not (not (\(condition)))")
        }
        let ruleSet = try #require(RuleSet.load([.init(name: "", text: text)]).ruleSet)
        let holding = Set(ruleSet.holding(Self.event))
        for (index, (condition, expected)) in Self.cases.enumerated() {
            for kind in ["a", "b", "d", "e"] { #expect(holding.contains("\(kind)\(index)") == expected, "\(kind): \(condition)") }
            #expect(holding.contains("c\(index)") != expected, "not: \(condition)")
        }
    }

    private static func indented(_ condition: String) -> String { condition.replacing("\n", with: "\n    ") }

    private static func item(_ name: String, _ condition: String) -> String {
        "- rule: \(name)\n  condition: |\n    \(indented(condition))\n  output: o\n  desc: d\n  priority: info\n"
    }

    @Test(
        "are refused in their place",
        arguments: [
            "proc.name⟦", "proc.name =⟦", "proc.name ⟦exist", "⟦proc.nam = x", "(proc.name = x⟦", "proc.name = x⟦)", "proc.name = x ⟦y", "proc.name = x ⟦andb",
            "proc.name = x ⟦and", "proc.name = x ⟦or",
            "⟦not", "⟦and proc.name = x", "proc.name = ⟦(x)", "proc.name ⟦likes x", "proc.name in (a ⟦b)", "proc.name in (a,⟦)", "proc.name in (a⟦=b)", "proc.name in⟦",
            "proc.name = ⟦'x", "proc.name = \"⟦\\q\"", "proc.name = \"⟦\\'\"", "proc.name = '⟦\\\"'", "proc.name = \"\\x⟦6\"", "proc.name = ⟦\"a\\x00b\"", "proc.name startswith⟦",
            // Types.
            "proc.pid = ⟦abc", "proc.pid = ⟦0x10", "proc.pid = ⟦1.5", "proc.pid = ⟦''", "proc.pid < ⟦x", "proc.pid < ⟦1.5", "proc.pid < ⟦'1'", "proc.name < ⟦abc",
            "⟦proc.pid contains 1", "⟦proc.pid startswith 1",
            "⟦proc.pid glob 1", "⟦proc.pid pmatch (1)", "⟦proc.pid regex 1", "⟦proc.is_exe_writable > 1", "proc.is_exe_writable = ⟦yes", "proc.is_exe_writable = ⟦True",
            "⟦proc.name bcontains 61", "⟦proc.name bstartswith 61",
            "evt.buffer bcontains ⟦6", "evt.buffer bcontains ⟦zz", "⟦evt.buffer glob x", "⟦evt.buffer < 1", "⟦evt.buffer icontains x", "⟦evt.buffer regex x",
            "⟦evt.buffer pmatch (x)", "fd.rip = ⟦10.0.0.0/8", "fd.rip = ⟦10.0.0",
            "fd.rip = ⟦host", "⟦fd.rip < 1", "⟦fd.rip startswith 1", "fd.rnet = ⟦10.0.0.1", "fd.rnet = ⟦10.0.0.0/33", "fd.rport = ⟦nosuchservice", "fd.rport = ⟦0x50",
            "⟦fd.types = file", "⟦fd.types != file", "⟦fd.types startswith f",
            "⟦fd.types > 1", "proc.pid in (1, ⟦x)", "proc.pid = anyof (1, ⟦x)", "proc.name regex '(a⟦'", "proc.name regex 'a\\⟦\\d'",
            // Other fields on the right.
            "proc.name = val(⟦proc.pid)", "proc.pid = val(⟦proc.name)", "proc.name = val(⟦proc.aname)", "proc.name = val(⟦fd.ip)", "⟦proc.name regex val(proc.pname)",
            "⟦fd.name pmatch val(proc.exepath)",
            "fd.rip = val(⟦fd.rnet)", "⟦fd.rnet = val(fd.cnet)", "fd.types in val(⟦proc.name)", "proc.name = val(⟦proc.nam)", "proc.name = val(⟦'x')",
            "proc.name = val(proc.pname⟦", "val⟦(proc.name) = x", "proc.pid = ⟦len(proc.name, proc.name)",
            // Transformers.
            "tolower(⟦proc.pid) = 1", "⟦tolower(proc.name, proc.name) = 1", "⟦concat(proc.name) = x", "concat(proc.name, ⟦proc.pid) = x", "⟦join('-') = x",
            "join('-', ⟦proc.name) = x", "join(⟦proc.pid, (proc.name)) = x",
            "len(⟦proc.pid) = 1", "⟦tolower(proc.name)[x] = y", "tolower(⟦name) = x", "tolower(⟦) = x", "tolower(proc.name ⟦= x", "basename(tolower(⟦proc.nam)) = x",
            "tolower ⟦(proc.name) = x", "⟦len(proc.name) contains 1",
            "len(proc.name) = ⟦x", "join('-', (⟦(proc.name))) = x", "getopt(⟦proc.name, 'x') exists", "⟦getopt(fd.types) exists",
            // Fields.
            "⟦proc.name[1] = x", "⟦proc.aname[x] = y", "proc.aname[⟦] = y", "proc.aname[1⟦ = y", "⟦evt.arg = x", "proc.aname ⟦[1] = x", "proc.⟦ = x", "⟦ka.verb = get",
            "⟦alert.rule = x",
            // Event types.
            "evt.type = ⟦opem", "evt.type in (open, ⟦opem)", "evt.type = ⟦''", "evt.type = val(⟦proc.name)", "tolower(⟦evt.type) = open", "evt.type startswith ⟦ope",
            "evt.type > ⟦1",
        ])
    func refused(_ marked: String) throws {
        let parts = marked.split(separator: "⟦", omittingEmptySubsequences: false)
        try #require(parts.count == 2)
        let (ruleSet, findings) = RuleSet.load([.init(name: "", text: Self.item("r", parts.joined()))])
        #expect(ruleSet == nil)
        let errors = findings.filter(\.isError)
        #expect(errors.count == 1)
        #expect(errors.first?.place == Diagnostic.Place(line: 3, column: 5 + parts[0].count), "\(errors.map(\.diagnostic.rendered).joined(separator: "\n"))")
    }

    // MARK: - Event types

    @Test(
        "are for these event types",
        arguments: [
            ("evt.type = open", "open"), ("evt.type in (open, openat)", "open openat"), ("evt.type = open or evt.type = close", "close open"),
            ("evt.type = open and evt.type = close", "none"),
            ("evt.type = open and proc.name = x", "open"), ("evt.type = open or proc.name = x", "all"), ("evt.type != open", "all but open"),
            ("not evt.type = open", "all but open"),
            ("not evt.type != open", "open"), ("not not evt.type = open", "open"), ("not (evt.type = open or evt.type = close)", "all but close open"),
            ("not (evt.type = open and proc.name = x)", "all"),
            ("not (evt.type != open or proc.name = x)", "open"), ("evt.type exists", "all"), ("not evt.type exists", "none"), ("evt.type in ()", "none"),
            ("not evt.type in ()", "all"),
            ("evt.type in (open, close) and evt.type in (close, dup)", "close"), ("evt.type in (open, close) and not evt.type = close", "open"),
            ("evt.type != open and evt.type != close", "all but close open"),
            ("proc.name = x", "all"), ("not proc.name = x", "all"), ("evt.num = 0", "none"), ("evt.num < 1", "none"), ("evt.num <= 0", "none"), ("evt.num in (0)", "none"),
            ("evt.num != 0", "all"), ("evt.num > 0", "all"),
            ("evt.num >= 1", "all"), ("evt.num = 1", "all"), ("evt.num = 0 or evt.type = open", "open"), ("not evt.num > 0", "none"), ("evt.dir = <", "all"),
            ("evt.dir = > and evt.type = open", "none"),
            ("evt.dir = < and evt.type = open", "open"), ("evt.type intersects (open)", "open"), ("evt.type = anyof (open, dup)", "dup open"),
            ("evt.type != allof (open, dup)", "all but dup open"), ("evt.type startswith open", "all"),
            ("evt.type = container", "container"), ("evt.type=execve and (evt.type=open or proc.name=x)", "execve"),
        ])
    func types(_ condition: String, _ expected: String) throws {
        let rule = try #require(RuleSet.load([.init(name: "", text: Self.item("r", condition))]).ruleSet?.rules.first)
        #expect(rule.types.description == expected)
    }

    @Test("nesting has a limit and chains have none")
    func depth() throws {
        func load(_ condition: String) -> [RulesFinding] { RuleSet.load([.init(name: "", text: Self.item("r", condition))]).findings.filter(\.isError) }
        func nested(_ count: Int) -> String { String(repeating: "(", count: count) + "evt.type = open" + String(repeating: ")", count: count) }
        #expect(load(nested(200)).isEmpty)
        #expect(load(nested(5000)).map(\.code) == [.compileCondition])
        #expect(load(String(repeating: "not (", count: 5000) + "evt.type = open" + String(repeating: ")", count: 5000)).map(\.code) == [.compileCondition])
        #expect(load(String(repeating: "tolower(", count: 5000) + "proc.name" + String(repeating: ")", count: 5000) + " = x").map(\.code) == [.compileCondition])
        #expect(load("join('', " + String(repeating: "(", count: 50_000)).map(\.code) == [.compileCondition])
        #expect(load(String(repeating: "not ", count: 50_001) + "evt.type = open").isEmpty)
        #expect(load(Array(repeating: "proc.name = x", count: 20_000).joined(separator: " or ")).isEmpty)
        #expect(load((0..<5000).map { "proc.name = x\($0)" }.joined(separator: " or ")).isEmpty)
    }
}
