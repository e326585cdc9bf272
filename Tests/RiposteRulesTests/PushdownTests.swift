import Foundation
import RiposteCore
import RiposteRules
import Testing

@Suite("What the kernel tests")
struct PushdownTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appending(path: "rules").path

    private static func ruleSet(_ conditions: [String]) throws -> RuleSet {
        let text = conditions.enumerated().map { "- rule: r\($0)\n  condition: |\n    \($1)\n  desc: d\n  output: o\n  priority: info\n" }.joined()
        let (ruleSet, findings) = RuleSet.load([.init(name: "", text: text)])
        return try #require(ruleSet, "\(findings.filter(\.isError).map(\.diagnostic.rendered))")
    }

    private static func filter(_ type: String, _ ruleSet: RuleSet, reflexes: [String] = []) throws -> KernelFilter {
        let passing = ruleSet.kernelFilters(reflexes: reflexes).passing(try #require(EventType(named: type)))
        guard case .some(let filter) = passing else { throw Missing(passing: passing) }
        return filter
    }

    private struct Missing: Error { let passing: KernelFilters.Passing }

    /// An open as the kernel sees it.
    private static func open(_ path: String, flags: Int64 = 0, by name: String = "app", result: Int64 = 3, isInContainer: Bool = false) -> KernelFilter.Facts {
        var facts = KernelFilter.Facts()
        facts.paths = [Array(path.utf8)]
        facts.name = Array(name.utf8)
        let words = KernelFilter.Facts.words(ofName: Array(name.utf8))
        facts.parentName = Array("sh".utf8)
        facts.numbers = [.openFlags: flags, .openMode: 0o644, .result: result, .fd: result, .container: isInContainer ? 1 : 0, .uid: 1000, .loginUID: 1000]
        (facts.numbers[.nameHead], facts.numbers[.nameTail]) = words
        return facts
    }

    // MARK: - Conditions

    struct Case: CustomTestStringConvertible, Sendable {
        let condition: String
        /// By type; empty: everything is handed up.
        let clauses: [String: [String]]

        init(_ condition: String, _ clauses: [String: [String]]) {
            self.condition = condition
            self.clauses = clauses
        }

        var testDescription: String { condition }
    }

    @Test(
        "of conditions is what is necessary for them",
        arguments: [
            Case(
                "evt.type = openat and evt.is_open_write = true and fd.name startswith /etc/",
                ["openat": ["evt.is_open_write = true and fd.name startswith /etc/"]]),
            Case(
                "evt.type in (open, connect) and evt.is_open_read = true and fd.name in (/etc/shadow, /etc/gshadow)",
                ["open": ["evt.is_open_read = true and basename(fd.name) in (gshadow, shadow) and fd.name in (/etc/gshadow, /etc/shadow)"]]),
            Case("evt.type = openat and fd.name pmatch (/etc/pam.d, /home/*/.ssh)", ["openat": ["(fd.name startswith /home/ or fd.name pmatch (/etc/pam.d))"]]),
            Case("evt.type = openat and fd.name endswith /shadow", ["openat": ["basename(fd.name) = shadow"]]),
            Case("evt.type = openat and fd.name endswith .php", ["openat": []]),
            // What stands for a path that is too long: the file has another name.
            Case("evt.type = openat and fd.name = /DIR_TOO_LONG/FILENAME_TOO_LONG", ["openat": ["fd.name = /DIR_TOO_LONG/FILENAME_TOO_LONG"]]),
            Case("evt.type = openat and fd.name endswith /FILENAME_TOO_LONG", ["openat": []]),
            Case("evt.type = openat and fd.name glob \"*/FILENAME_TOO_LONG\"", ["openat": []]),
            Case("evt.type = openat and fd.filename in (passwd, FILENAME_TOO_LONG)", ["openat": []]),
            Case("evt.type = unlink and evt.arg.path = /DIR_TOO_LONG/FILENAME_TOO_LONG", ["unlink": ["evt.arg.path = /DIR_TOO_LONG/FILENAME_TOO_LONG"]]),
            Case("evt.type = rename and evt.arg.newpath endswith /FILENAME_TOO_LONG", ["rename": []]),
            Case("evt.type = openat and fd.name contains /.gnupg/", ["openat": ["fd.name relative or with //, /. or .. in it"]]),
            Case("evt.type = openat and fd.name glob \"/proc/[0-9]*/mem\"", ["openat": ["basename(fd.name) = mem and fd.name startswith /proc/"]]),
            Case("evt.type = openat and fd.directory = /etc", ["openat": ["fd.name pmatch (/etc)"]]),
            Case("evt.type = openat and not fd.name startswith /usr/", ["openat": ["not fd.name startswith /usr/"]]),
            Case("evt.type = openat and not fs.path.name startswith /usr/", ["openat": []]),
            Case("evt.type = openat and evt.arg.flags contains O_TRUNC and evt.res != SUCCESS", ["openat": ["evt.arg.flags contains O_TRUNC and evt.rawres < 0"]]),
            Case("evt.type = openat and evt.rawres >= 0 and evt.rawres = -2", [:]),
            Case("evt.type = read and evt.is_open_write = true", [:]),
            Case("evt.type in (read, open) and proc.name in (a, longer-than-a-name-can-be) and not proc.name = b", ["open": ["proc.name = a"], "read": ["proc.name = a"]]),
            Case("evt.type = read and proc.name = longer-than-a-name-can-be", [:]),
            Case("evt.type = read and proc.name startswith php-fpm", ["read": ["proc.name startswith php-fpm"]]),
            Case("evt.type = read and not proc.name startswith systemd-log", ["read": ["not proc.name startswith systemd-", "not substr(proc.name, 8) startswith log"]]),
            Case("evt.type = read and proc.name startswith longer-than-a-name-can-be", [:]),
            Case("evt.type = read and (not proc.pname = sh or not container.id = host)", ["read": []]),
            Case("evt.type = read and container.id != host and user.uid != 0", ["read": ["container.id != host and user.uid != 0"]]),
            Case("evt.type = read and container.image.repository in (a, b)", ["read": ["container.id != host"]]),
            Case("evt.type = read and k8s.ns.name != kube-system", ["read": ["container.id != host"]]),
            Case("evt.type = read and user.loginuid > 0", ["read": ["user.loginuid > 0 and user.loginuid != -1"]]),
            Case("evt.type = unlink and evt.rawres = 0 and fs.path.name pmatch (/var/log)", ["unlink": ["evt.rawres = 0 and evt.arg.path pmatch (/var/log)"]]),
            Case("evt.type = rename and evt.arg.newpath = /etc/passwd", ["rename": ["basename(evt.arg.newpath) = passwd and evt.arg.newpath = /etc/passwd"]]),
            Case(
                "evt.type in (rename, renameat2) and evt.rawres = 0 and (evt.arg.newpath pmatch (/bin, /usr/bin) or evt.arg.oldpath pmatch (/bin, /usr/bin))",
                [
                    "rename": ["evt.rawres = 0 and evt.arg.newpath pmatch (/bin, /usr/bin)", "evt.rawres = 0 and evt.arg.oldpath pmatch (/bin, /usr/bin)"],
                    "renameat2": ["evt.rawres = 0 and evt.arg.newpath pmatch (/bin, /usr/bin)", "evt.rawres = 0 and evt.arg.oldpath pmatch (/bin, /usr/bin)"],
                ]),
            Case("evt.type = rename and evt.arg.newpath contains ../", ["rename": ["evt.arg.newpath relative or with //, /. or .. in it"]]),
            Case("evt.type = symlink and evt.arg.linkpath startswith /etc/cron.d/", ["symlink": ["evt.arg.linkpath startswith /etc/cron.d/"]]),
            Case("evt.type = linkat and fs.path.source pmatch (/etc/pam.d)", ["linkat": ["evt.arg.newpath pmatch (/etc/pam.d)"]]),
            Case("evt.type = link and fs.path.target = /etc/shadow", ["link": ["basename(evt.arg.oldpath) = shadow and evt.arg.oldpath = /etc/shadow"]]),
            Case("evt.type = ptrace and evt.arg.request contains PTRACE_SETREGS", ["ptrace": ["evt.arg.request = PTRACE_SETREGS", "evt.arg.request = PTRACE_SETREGSET"]]),
            Case("evt.type = socket and evt.arg.domain = AF_PACKET", ["socket": ["evt.arg.domain = AF_PACKET"]]),
            Case("evt.type = unshare and evt.arg.flags contains CLONE_NEWUSER", ["unshare": ["evt.arg.flags contains CLONE_NEWUSER"]]),
            Case("evt.type = read and thread.cap_effective icontains sys_module", ["read": ["thread.cap_effective contains CAP_SYS_MODULE"]]),
            Case(
                "evt.type = connect and evt.rawres >= 0 and fd.typechar in (4, 6) and fd.sport = 22 and not fd.snet in (\"10.0.0.0/8\")",
                ["connect": ["evt.rawres >= 0 and fd.type != unix and fd.sport = 22 and not fd.snet in (10.0.0.0/8)"]]),
            // Where there is no address, neither test holds.
            Case(
                "evt.type = connect and evt.rawres = 0 and not (fd.sip = \"10.0.0.1\" or fd.sip != \"10.0.0.1\")",
                ["connect": ["evt.rawres = 0 and fd.snet in (10.0.0.1/32) and not fd.snet in (10.0.0.1/32)"]]),
            Case("evt.type = procexit and proc.name = sh", ["procexit": []]),
            Case("evt.type = execve and proc.exepath startswith /tmp/", ["execve": ["proc.exepath startswith /tmp/"]]),
            Case("evt.type = open and proc.exepath startswith /tmp/", ["open": []]),
            Case("evt.type = execve and proc.exepath glob \"/tmp/.*\"", ["execve": ["proc.exepath startswith /tmp/."]]),
            Case("evt.type = execve and proc.exepath glob \"*/x?\"", ["execve": []]),
            // What a program was started with. A text of three bytes, or of six in the environment, has no piece that needs to be met.
            Case("evt.type = execve and proc.args icontains anyof (--nicehash, \"stratum+tcp://\")", ["execve": ["proc.cmdline icontains anyof (--nicehash, stratum+tcp://)"]]),
            Case("evt.type = execve and proc.cmdline contains \"-a cryptonight\"", ["execve": ["proc.cmdline icontains \"-a cryptonight\""]]),
            Case("evt.type = execve and proc.args glob \"*/dev/shm/*.so\"", ["execve": ["proc.cmdline icontains /dev/shm/"]]),
            Case("evt.type = execve and proc.args contains abc", ["execve": []]),
            Case("evt.type = execve and proc.args glob \"[a-z]long-enough\"", ["execve": []]),
            Case("evt.type = execve and proc.args regex \"long-enough\"", ["execve": []]),
            Case("evt.type = execve and not proc.args contains --nicehash", ["execve": []]),
            Case("evt.type = open and proc.args contains --nicehash", ["open": []]),
            Case("evt.type = execve and proc.env[LD_PRELOAD] startswith /tmp/", ["execve": ["proc.env icontains \"LD_PRELOAD=\""]]),
            Case("evt.type = execve and proc.env[PATH] startswith /tmp/", ["execve": []]),
            Case("evt.type = execve and proc.env[LD_PRELOAD] = \"\"", ["execve": []]),
            Case("evt.type = execve and proc.env contains HTTP_PROXY", ["execve": ["proc.env icontains HTTP_PROXY"]]),
            Case("evt.type = execve and proc.exe startswith \"[\" and proc.exe endswith \"]\"", ["execve": ["proc.exe startswith ["]]),
            Case("evt.type = execve and proc.exe = -bash", ["execve": ["proc.exe = -bash"]]),
        ])
    func clauses(_ test: Case) throws {
        let ruleSet = try Self.ruleSet([test.condition])
        let explanations = ruleSet.pushdown(ofRule: 0, ruleSet.kernelFilters())
        var found: [String: [String]] = [:]
        for explanation in explanations { for type in explanation.types { found[type] = explanation.clauses } }
        #expect(found == test.clauses)
    }

    @Test("of all types is which ones rules are for")
    func wanted() throws {
        let ruleSet = try Self.ruleSet(["evt.type in (open, read) and fd.name exists", "evt.type = close and evt.is_open_read = true", "evt.type = procexit"])
        let filters = ruleSet.kernelFilters()
        guard case .only(let types) = filters.wanted else { throw Missing(passing: .nothing) }
        #expect(types.map(\.name).sorted() == ["open", "procexit", "read"])
        #expect(filters.passing(try #require(EventType(named: "write"))) == .nothing)
        let others = try Self.ruleSet(["evt.type != open and proc.name = a"]).kernelFilters()
        #expect(others.wanted == .allBut([try #require(EventType(named: "open"))]))
        #expect(others.passing(try #require(EventType(named: "clone"))) == .everything(rules: [0]))
        guard case .some = others.passing(try #require(EventType(named: "write"))) else { throw Missing(passing: others.passing(.other)) }
        #expect(try Self.ruleSet([]).kernelFilters().wanted == .only([]))
    }

    // MARK: - Many rules

    @Test("of many alike rules is one clause")
    func alike() throws {
        let ruleSet = try Self.ruleSet((0..<40).map { "evt.type = open and evt.is_open_write = true and fd.name in (/a/\($0), /b/\($0))" })
        let filter = try Self.filter("open", ruleSet)
        #expect(filter.clauses.map(\.rules) == [Array(0..<40)])
        #expect(filter.atoms.count == 3)
    }

    @Test("is never more than the kernel has room for, and still keeps most back")
    func room() throws {
        let conditions = (0..<300).map { index in
            "evt.type = open and evt.rawres != \(index % 60) and user.uid != \(index) and not proc.name in (a\(index), b) and not proc.pname = p and fd.name = /etc/\(index)/x"
        }
        let filter = try Self.filter("open", Self.ruleSet(conditions))
        #expect(filter.atoms.count <= KernelFilter.atomLimit && filter.clauses.count <= KernelFilter.clauseLimit)
        #expect(filter.atoms.count { if case .number = $0 { true } else { false } } <= KernelFilter.numberLimit)
        for index in 0..<300 { #expect(filter.verdict(Self.open("/etc/\(index)/x")).may) }
        #expect(!filter.verdict(Self.open("/etc/passwd")).may)
    }

    // MARK: - Rules as they are

    @Test("of the shipped rules keeps harmless opens in the kernel")
    func shipped() throws {
        let ruleSet = try #require(RuleSet.load(paths: ["\(Self.folder)/riposte.yaml"]).ruleSet)
        for type in ["open", "openat", "openat2"] {
            let filter = try Self.filter(type, ruleSet)
            for path in ["/usr/lib/x86_64-linux-gnu/libc.so.6", "/etc/ld.so.cache", "/proc/meminfo", "/home/ana/work/main.c", "/etc/passwd", "/dev/null"] {
                #expect(!filter.verdict(Self.open(path)).may, "\(path)")
                #expect(!filter.verdict(Self.open(path, isInContainer: true)).may, "\(path)")
            }
            for path in ["/etc/shadow", "shadow", "/home/ana/.ssh/id_rsa", "/etc/ssh/ssh_host_rsa_key", "/proc/1/mem", "../../etc/shadow"] {
                #expect(filter.verdict(Self.open(path)).may, "\(path)")
            }
            // Written files of no concern, whoever writes them but web services.
            for path in ["/var/lib/app/x", "/srv/www/x.php", "/tmp/x"] {
                #expect(!filter.verdict(Self.open(path, flags: 0o1101)).may, "\(path)")
                #expect(!filter.verdict(Self.open(path, flags: 0o1101, by: "php")).may, "\(path)")
            }
            for name in ["nginx", "php-fpm", "php-fpm8.2"] { #expect(filter.verdict(Self.open("/var/www/x.php", flags: 0o1101, by: name)).may, "\(name)") }
            for path in ["/etc/ld.so.preload", "/etc/sudoers.d/x", "/usr/bin/ls"] { #expect(filter.verdict(Self.open(path, flags: 0o1101)).may, "\(path)") }
        }
        // What is renamed is looked at under both of its names.
        for type in ["rename", "renameat", "renameat2"] {
            let filter = try Self.filter(type, ruleSet)
            for (old, new, passes) in [
                ("/srv/app/a", "/srv/app/b", false), ("/var/lib/app/x.tmp", "/var/lib/app/x", false), ("/tmp/x", "/etc/ld.so.preload", true),
                ("/tmp/x", "/usr/bin/ls", true), ("/usr/bin/ls", "/tmp/x", true), ("/tmp/x", "../etc/passwd", true),
            ] {
                var facts = Self.open(old, result: 0)
                facts.secondPath = Array(new.utf8)
                #expect(filter.verdict(facts).may == passes, "\(type) \(old) \(new)")
            }
        }
        let connect = try Self.filter("connect", ruleSet)
        var facts = Self.open("", result: 0)
        facts.numbers[.family] = 1
        #expect(!connect.verdict(facts).may)
        // By way of a link: what the kernel opened counts as well.
        facts = Self.open("/usr/lib/x.so")
        facts.paths.append(Array("/etc/shadow".utf8))
        #expect(try Self.filter("openat", ruleSet).verdict(facts).may)
    }

    @Test("of the shipped rules has nobody woken for the start of a harmless program")
    func harmlessStart() throws {
        let ruleSet = try #require(RuleSet.load(paths: ["\(Self.folder)/riposte.yaml"]).ruleSet)
        let filter = try Self.filter("execve", ruleSet)
        func start(_ words: [String], of exe: String = "/usr/bin/make", in environment: [String] = ["PATH=/usr/bin", "LANG=C.UTF-8"]) -> Bool {
            var facts = KernelFilter.Facts()
            facts.name = exe.split(separator: "/").last.map { Array($0.utf8.prefix(15)) }
            (facts.numbers[.nameHead], facts.numbers[.nameTail]) = KernelFilter.Facts.words(ofName: facts.name ?? [])
            facts.parentName = Array("sh".utf8)
            facts.exe = Array(exe.utf8)
            facts.arguments = words.flatMap { Array($0.utf8) + [0] }
            facts.environment = environment.flatMap { Array($0.utf8) + [0] }
            facts.numbers[.argumentHead] = KernelFilter.Facts.head(ofArguments: facts.arguments ?? [])
            for source in [KernelFilter.NumberSource.result, .exeFlags, .container, .uid] { facts.numbers[source] = 0 }
            return filter.verdict(facts).may
        }
        #expect(!start(["make", "-j2", "test"]) && !start(["true"], of: "/bin/true"))
        #expect(start(["[kworker/0:1]"]))
        #expect(start(["make", "--coin=monero"]) && start(["make", "-a", "Cryptonight"]))
        #expect(start(["make"], in: ["PATH=/usr/bin", "LD_PRELOAD=/tmp/x.so"]))
        #expect(start(["x"], of: "/dev/shm/x") && start(["x"], of: "/tmp/.x/x") && !start(["x"], of: "/opt/tmp/.x"))
    }

    @Test(
        "of texts in what a program was started with are pieces that are met wherever they stand",
        arguments: [
            (TextPieces.arguments, "abc", nil), (.arguments, "AbCd", ["abcd"]), (.arguments, "stratum+tcp://", ["m+tcp://"]), (.arguments, "-A\0x", ["-a x"]),
            (.environment, "LD_BIN", nil), (.environment, "LD_BIND", ["bind", "\u{7f}bin", "d\u{7f}bi", "ld\u{7f}b"]),
        ] as [(TextPieces, String, [String]?)])
    func pieces(_ kind: TextPieces, _ text: String, _ pieces: [String]?) {
        #expect(kind.pieces(of: Array(text.utf8)) == pieces.map { $0.map { Array($0.utf8) } })
    }

    @Test("of conditions as Falco's rules have them keeps harmless opens in the kernel")
    func upstream() throws {
        let read = "evt.type in (open,openat,openat2) and evt.is_open_read=true and fd.typechar='f' and fd.num>=0"
        let failed = "evt.type in (open,openat,openat2) and fd.typechar='f' and fd.num=-1 and evt.res startswith E"
        let ruleSet = try Self.ruleSet([
            "((\(read)) or (\(failed))) and fd.nameraw contains '../' and fd.nameraw glob '*../*../*' and (fd.name startswith /etc/ or fd.name contains id_rsa)",
            "\(read) and (fd.name in (/etc/shadow, /etc/sudoers) or fd.directory in (/etc/sudoers.d, /etc/pam.d)) and not proc.name in (sshd, sudo) and not proc.cmdline contains /usr/bin/mandb",
            "evt.type in (open,openat,openat2) and evt.is_open_write=true and fd.typechar='f' and fd.num>=0 and container.id != host and fd.name endswith release_agent and thread.cap_effective contains CAP_SYS_ADMIN",
        ])
        let filter = try Self.filter("openat", ruleSet)
        #expect(!filter.verdict(Self.open("/usr/lib/x.so")).may)
        #expect(!filter.verdict(Self.open("/usr/lib/x.so", result: -2)).may)
        #expect(!filter.verdict(Self.open("/etc/shadow", by: "sshd")).may)
        #expect(!filter.verdict(Self.open("/var/log/x", flags: 0o1101)).may)
        #expect(filter.verdict(Self.open("/etc/shadow")).may)
        #expect(filter.verdict(Self.open("/usr/lib/../../etc/shadow")).may)
        #expect(filter.verdict(Self.open("/etc/pam.d/su")).may)
    }

    // MARK: - Reflexes

    @Test(
        "of a reflex is the whole condition or none of it",
        arguments: [
            ("evt.type = execve and proc.name in (xmrig, minerd) and container.id != host", nil),
            ("evt.type in (execve, execveat) and evt.rawres = 0 and proc.exepath pmatch (/tmp, /dev/shm) and not proc.pname in (dpkg, rpm)", nil),
            ("evt.type = execve and proc.is_exe_from_memfd = true and proc.tty = 0", nil),
            ("evt.type = openat and evt.is_open_write = true and fd.name startswith /etc/cron.d/", nil),
            ("evt.type = connect and evt.rawres >= 0 and fd.typechar in (4, 6) and fd.sport in (3333, 4444) and not fd.snet in (\"10.0.0.0/8\")", nil),
            ("evt.type = connect and (fd.sip = \"192.0.2.7\" or fd.rport > 9000) and fd.type != unix", nil),
            ("evt.type = connect and fd.type = ipv4 and fd.l4proto = tcp", "the kernel cannot decide: fd.type = ipv4; fd.l4proto = tcp"),
            ("evt.type = execve and proc.cmdline contains xmrig and proc.name = x and user.name = root", "the kernel cannot decide: proc.cmdline contains xmrig; user.name = root"),
            ("evt.type = execve and not fd.name exists", "the kernel cannot decide: fd.name exists"),
            ("proc.name = xmrig", "the rule does not say for which types of events it is"),
            ("evt.type = clone and proc.name = a", "the kernel decides nothing about events of type clone"),
        ])
    func reflexes(_ condition: String, problem: String?) throws {
        let ruleSet = try Self.ruleSet([condition])
        switch ruleSet.reflexClauses(ofRule: "r0") {
        case .success(let filters): #expect(problem == nil && !filters.isEmpty && filters.values.allSatisfy { $0.clauses.allSatisfy { $0.reflex == 0 } })
        case .failure(let found): #expect("\(found)" == problem)
        }
        #expect(ruleSet.kernelFilters(reflexes: ["r0"]).refusals[0].map { "\($0)" } == problem)
    }

    @Test("of a reflex acts on what surely is, and rules see the event all the same")
    func acting() throws {
        let ruleSet = try Self.ruleSet(["evt.type = execve and proc.exepath = /tmp/x and proc.tty = 0 and container.id != host", "evt.type = execve and proc.args contains a"])
        let filter = try Self.filter("execve", ruleSet, reflexes: ["r0", "r1"])
        var facts = KernelFilter.Facts()
        facts.name = Array("x".utf8)
        facts.exe = Array("/tmp/x".utf8)
        facts.numbers = [.result: 0, .tty: 0, .container: 1, .exeFlags: 0]
        #expect(filter.verdict(facts).reflexes == [0] && filter.verdict(facts).may)
        // Its name is gone, and user space has the one that it had.
        var gone = facts
        gone.numbers[.exeFlags] = 4
        #expect(filter.verdict(gone).reflexes == [0])
        // Nobody has said yet that this is a container; it never had a name but that of a memory file; the start failed.
        for (source, number) in [(KernelFilter.NumberSource.container, Int64?.none), (.exeFlags, 64), (.result, -2), (.tty, 34816)] {
            var other = facts
            other.numbers[source] = number
            #expect(filter.verdict(other).reflexes == [] && filter.verdict(other).may, "\(source)")
        }
        #expect(ruleSet.kernelFilters(reflexes: ["r0", "r1", "none"]).refusals.keys.sorted() == [1, 2])
    }

    @Test("a reflex whose rule contradicts itself acts on nothing, whatever else is asked for")
    func contradiction() throws {
        let ruleSet = try Self.ruleSet(["evt.type = open and evt.is_open_exec = true and evt.is_open_exec = false"])
        let open = try #require(EventType(named: "open"))
        var other = KernelFilter()
        other.atoms = [.name([Array("x".utf8)])]
        other.clauses = [.init(positive: 1, negative: 0, rules: [])]
        let filters = ruleSet.kernelFilters(reflexes: ["r0"]).adding([open: other])
        guard case .some(let filter) = filters.passing(open) else {
            Issue.record("no filter")
            return
        }
        #expect(filter.clauses.contains { $0.reflex != nil })
        for mode: Int64 in [0o644, 0o755] {
            var facts = KernelFilter.Facts()
            facts.name = Array("x".utf8)
            facts.numbers = [.result: 3, .openFlags: 0x41, .openMode: mode]
            #expect(filter.verdict(facts).reflexes == [])
        }
    }
}
