import Foundation
import RiposteCore
import RiposteRules
import Testing

/// Filters against the rules themselves. One hidden truth gives both what user space sees of an event, in the fields of the rules, and what the kernel
/// knows of it; rules by chance are judged by user space, and their filters by the reference for the kernel. A filter must never drop an event that a
/// rule matches, and a reflex must never act where its rule does not match.
@Suite("Filters never drop what a rule matches")
struct PushdownPropertyTests {
    @Test("for rules and events by chance")
    func byChance() throws {
        let sets = ProcessInfo.processInfo.environment["RIPOSTE_FUZZ_INPUTS"].flatMap(Int.init).map { $0 / 100 } ?? 600
        var counts = Counts()
        try SeededNumbers.rounds(sets) { numbers in try check(&numbers, events: 40, &counts) }
        print(counts)
        // The property would hold of filters that pass everything, too.
        #expect(counts.dropped > counts.events / 20)
        #expect(counts.matched > counts.events / 20)
        #expect(counts.acted > counts.events / 200)
    }

    private struct Counts {
        var events = 0
        var matched = 0
        var dropped = 0
        var acted = 0
    }

    private func check(_ numbers: inout SeededNumbers, events: Int, _ counts: inout Counts) throws {
        var chance = Chance(numbers)
        let text = chance.rules()
        let (loaded, findings) = RuleSet.load([.init(name: "", text: text)])
        let ruleSet = try #require(loaded, "\(findings.filter(\.isError).map(\.diagnostic.rendered))\n\(text)")
        let judge = RuleSetJudge(ruleSet, source: "syscall")
        let names = ruleSet.rules.map(\.name)
        let filters = ruleSet.kernelFilters(reflexes: names)
        let other = chance.filter()
        for _ in 0..<events {
            let truth = chance.truth()
            let facts = chance.facts(truth)
            let matched = matches(truth, judge)
            let words = { (words: String) in "\(words)\n\(truth.events.map { JSON.object($0).line })\n\(facts)\n\(text)" }
            counts.events += 1
            if !matched.isEmpty { counts.matched += 1 }
            let type = try #require(EventType(named: truth.type))
            guard case .some(let filter) = filters.passing(type) else {
                if filters.passing(type) == .nothing { try #require(matched.isEmpty, "\(words("an event that cannot be matched matches \(matched)"))") }
                continue
            }
            let verdict = filter.verdict(facts)
            try #require(matched.isEmpty || verdict.may, "\(words("the filter drops what \(matched) match"))")
            if !verdict.may { counts.dropped += 1 }
            if !verdict.reflexes.isEmpty { counts.acted += 1 }
            if let other {
                // Added to the rules' own filter, another one only makes more pass.
                guard case .some(let both) = filters.adding([type: other]).passing(type) else { continue }
                let either = both.verdict(facts)
                try #require(either.may || !(verdict.may || other.verdict(facts).may), "\(words("together they drop what one of them passes"))")
                try #require(either.reflexes == verdict.reflexes, "\(words("together they have other reflexes"))")
            }
            // A reflex is right about processes that user space has not heard of.
            var known = truth
            known.knowsProcess = true
            let rightly = verdict.reflexes.isEmpty ? [] : matches(known, judge)
            for (index, name) in names.enumerated() where filters.refusals[index] == nil {
                if verdict.reflexes.contains(index) { try #require(rightly.contains(name), "\(words("the reflex of \(name) acts, which does not match"))") }
                if truth.isFullyKnown, matched.contains(name) { try #require(verdict.reflexes.contains(index), "\(words("the reflex of \(name) does not act"))") }
            }
        }
        numbers = chance.numbers
    }

    /// A file that was opened by way of a link is judged by both of its paths.
    private func matches(_ truth: Truth, _ judge: RuleSetJudge) -> Set<String> {
        var matched: Set<String> = []
        for event in truth.events { judge.judge(RecordedEvent(event)) { rule, _ in matched.insert(rule.name) } }
        return matched
    }

    // MARK: - The truth

    /// An event as it was.
    private struct Truth {
        var type = "openat"
        var name = "cat"
        /// Nil: user space does not know the process.
        var knowsProcess = true
        var parentName: String?
        var isInContainer = false
        var uid: Int64 = 0
        var loginUID: Int64 = -1
        var capabilities: Set<Int> = []
        var result: Int64 = 0
        var flags: Int64 = 0
        var mode: Int64 = 0
        var argument: Int64 = 0
        /// As it was given, and the directory that it is relative to.
        var path = "/etc/shadow"
        var directory = "/etc"
        /// What a rename or a link has besides, relative to the same directory.
        var secondPath = "/etc/shadow-"
        var hasSecondPath = true
        var knowsSecondPath = true
        /// What the kernel opened, where that is another one.
        var opened: String?
        var isDirectory = false
        var exe = "/usr/bin/cat"
        var arguments = ["cat"]
        var environment: [String] = []
        var knowsStart = true
        var isUnlinked = false
        var isUpperLayer = false
        var tty: Int64 = 0
        var vpid: Int64 = 1
        var family: Int64 = 2
        var isTCP = true
        var port: Int64 = 80
        var address = "10.0.0.1"
        var wasConnected = false
        /// What the kernel does not know although it is so.
        var unknown: Set<KernelFilter.NumberSource> = []
        var knowsPath = true
        /// Nobody does: it could not be read from the caller's memory.
        var hasPath = true
        var knowsParent = true

        var isOpen: Bool { ["open", "openat", "creat"].contains(type) }
        var isConnected: Bool { result >= 0 || result == -115 }
        var isMoving: Bool { ["rename", "link"].contains(type) }
        var isFullyKnown: Bool {
            (!isMoving || knowsSecondPath && KernelFilter.Facts.isPlain(Array(secondPath.utf8))) && unknown.isEmpty && knowsStart
                && knowsPath && knowsParent && knowsProcess && KernelFilter.Facts.isPlain(Array(path.utf8)) && opened == nil && flags & 3 != 3
                && (result == 0 || type != "execve") && (type != "connect" || isConnected && family != 1)
        }

        /// What user space sees, once for each path.
        var events: [JSONObject] {
            var event: JSONObject = ["evt.type": .text(type), "evt.rawres": .integer(result), "proc.name": .text(name)]
            event["evt.failed"] = .bool(result < 0)
            event["evt.res"] = .text(result >= 0 ? "SUCCESS" : [-2: "ENOENT", -13: "EACCES", -115: "EINPROGRESS"][result] ?? "\(result)")
            if knowsProcess { addProcess(to: &event) }
            addArguments(to: &event)
            if isOpen { return openEvents(event) }
            if type == "unlink", hasPath {
                event["evt.arg.path"] = .text(Self.joined(path, directory))
                if result == 0 { event["fs.path.name"] = .text(Self.joined(path, directory)) }
            }
            if isMoving { addMove(to: &event) }
            if type == "connect" { addConnection(to: &event) }
            for name in ["evt.is_open_read", "evt.is_open_write", "evt.is_open_exec"] { event[ByteText(name)] = .bool(false) }
            return [event]
        }

        private func addProcess(to event: inout JSONObject) {
            if let parentName { event["proc.pname"] = .text(parentName) }
            event["container.id"] = .text(isInContainer ? "0123456789ab" : "host")
            event["container.image.repository"] = .text(isInContainer ? "shop/web" : "")
            if isInContainer { event["k8s.ns.name"] = .text("shop") }
            event["user.uid"] = .integer(uid)
            event["user.loginuid"] = .integer(loginUID)
            event["proc.tty"] = .integer(tty)
            event["proc.vpid"] = .integer(vpid)
            event["thread.cap_effective"] = .text(capabilities.sorted().map { ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"][$0] }.joined(separator: " "))
            event["proc.exepath"] = .text(exe)
            event["proc.exe"] = .text(arguments[0])
            event["proc.args"] = .text(arguments.dropFirst().joined(separator: " "))
            event["proc.cmdline"] = .text(([name] + arguments.dropFirst()).joined(separator: " "))
            event["proc.env"] = .text(environment.joined(separator: " "))
            event["proc.is_exe_upper_layer"] = .bool(isUpperLayer)
        }

        /// An absolute path is told as it was given; a link's source is its new name.
        private func addMove(to event: inout JSONObject) {
            func told(_ path: String) -> String { path.hasPrefix("/") ? path : Self.joined(path, directory) }
            event["evt.arg.oldpath"] = .text(hasPath ? told(path) : "<NA>")
            event["evt.arg.newpath"] = .text(hasSecondPath ? told(secondPath) : "<NA>")
            guard result == 0 else { return }
            let (source, target) = type == "rename" ? (hasPath ? path : nil, hasSecondPath ? secondPath : nil) : (hasSecondPath ? secondPath : nil, hasPath ? path : nil)
            if let source { (event["fs.path.source"], event["fs.path.sourceraw"]) = (.text(Self.joined(source, directory)), .text(source)) }
            if let target { (event["fs.path.target"], event["fs.path.targetraw"]) = (.text(Self.joined(target, directory)), .text(target)) }
        }

        private func addArguments(to event: inout JSONObject) {
            switch type {
            case "ptrace":
                let names: [Int64: String] = [0: "PTRACE_TRACEME", 13: "PTRACE_SETREGS", 16: "PTRACE_ATTACH", 0x4205: "PTRACE_SETREGSET"]
                event["evt.arg.request"] = .text(names[argument] ?? "\(argument)")
            case "unshare": event["evt.arg.flags"] = .text(argument & 0x1000_0000 != 0 ? "CLONE_NEWNS|CLONE_NEWUSER" : argument & 0x2_0000 != 0 ? "CLONE_NEWNS" : "0")
            case "open", "openat":
                var names = [(0o100, "O_CREAT"), (0o1000, "O_TRUNC"), (0o2000, "O_APPEND")].filter { flags & $0.0 != 0 }.map(\.1)
                names.append(["O_RDONLY", "O_WRONLY", "O_RDWR", "O_RDONLY"][Int(flags & 3)])
                event["evt.arg.flags"] = .text(names.joined(separator: "|"))
            default: break
            }
        }

        private func openEvents(_ common: JSONObject) -> [JSONObject] {
            let given = Self.joined(path, directory)
            guard hasPath else { return [opening(common)] }
            return ([given] + (opened.map { [$0] } ?? [])).map { path in
                var event = opening(common)
                let name = path.split(separator: "/").last.map(String.init) ?? ""
                let parent = String(path.dropLast(name.count + 1))
                event["fd.name"] = .text(path)
                event["fd.nameraw"] = .text(self.path.replacing(/\/+/, with: "/"))
                event["fd.directory"] = .text(isDirectory && result >= 0 ? path : parent.isEmpty ? "/" : parent)
                if result >= 0, !isDirectory { event["fd.filename"] = .text(name) }
                if result >= 0 { event["fs.path.name"] = .text(given) }
                event["evt.arg.name"] = .text(given)
                return event
            }
        }

        private func opening(_ common: JSONObject) -> JSONObject {
            var event = common
            event["fd.num"] = .integer(max(-1, result))
            event["fd.typechar"] = .text("f")
            event["evt.is_open_read"] = .bool(type != "creat" && flags & 3 != 1)
            event["evt.is_open_write"] = .bool(type != "creat" && (flags & 3 == 1 || flags & 3 == 2))
            event["evt.is_open_exec"] = .bool(flags & 0o20_000_100 != 0 && mode & 0o111 != 0)
            event["evt.is_open_create"] = .bool(flags & 0o100 != 0 && result > 3)
            return event
        }

        private func addConnection(to event: inout JSONObject) {
            event["fd.typechar"] = .text(family == 1 ? "u" : family == 2 ? "4" : "6")
            event["fd.type"] = .text(family == 1 ? "unix" : family == 2 ? "ipv4" : "ipv6")
            // A call that failed leaves what an earlier one has made of the socket.
            guard family != 1, isConnected || wasConnected else { return }
            event["fd.l4proto"] = .text(isTCP ? "tcp" : "udp")
            event["fd.sport"] = .integer(port)
            event["fd.sip"] = .text(address)
            event["fd.snet"] = .text(address)
        }

        /// As Falco joins paths.
        private static func joined(_ path: String, _ directory: String) -> String {
            var parts: [Substring] = []
            for part in (path.hasPrefix("/") ? path : directory + "/" + path).split(separator: "/") where part != "." {
                if part == ".." { _ = parts.popLast() } else { parts.append(part) }
            }
            return "/" + parts.joined(separator: "/")
        }
    }

    // MARK: - By chance

    private struct Chance {
        var numbers: SeededNumbers
        /// Most rules and events of one set are of this type, so that they meet.
        private let focus: String

        init(_ numbers: SeededNumbers) {
            var numbers = numbers
            focus = Self.types[Int.random(in: Self.types.indices, using: &numbers)]
            self.numbers = numbers
        }

        private mutating func type() -> String { flip(80) ? focus : pick(Self.types) }

        private mutating func flip(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &numbers) < percent }

        private mutating func pick<Value>(_ values: [Value]) -> Value { values[Int.random(in: values.indices, using: &numbers)] }

        private static let names = ["cat", "sh", "bash", "nginx", "fifteen-letters"]
        private static let paths = [
            "/etc/shadow", "/etc/shadow-", "/etc/pam.d/su", "/etc/pam.d", "/root/.ssh/id_rsa", "/root/.ssh", "/usr/lib/x.so", "/usr/lib/../lib/x.so", "//etc/shadow",
            "/etc//pam.d/su", "shadow", "./shadow", "pam.d/su", "../etc/shadow", ".ssh/id_rsa", "/tmp/a..b", "/etc/", "..", "/home/u/x/environ", "/", "/etc",
        ]
        private static let movedPaths = [
            "evt.arg.newpath", "evt.arg.newpath", "evt.arg.oldpath", "fs.path.source", "fs.path.target", "fs.path.sourceraw", "fs.path.targetraw",
        ]
        private static let exes = ["/usr/bin/cat", "/usr/bin/sh", "/tmp/x", "/tmp/x/y", "/opt/cat"]
        private static let words = ["-", "-x", "--nicehash", "NiceHash", "stratum+tcp://a:1", "-a", "cryptonight", "/dev/shm/x", "ab", "--donate-level=1", "[kworker/0:1]", ""]
        private static let variables = ["PATH=/bin", "LD_PRELOAD=/tmp/x.so", "LD_AUDIT=/x", "HOME=/", "A=ld_preload=", "LANG=C.UTF-8", "X=", "TERM=xterm"]
        private static let types = ["open", "openat", "creat", "execve", "connect", "unlink", "rename", "link", "ptrace", "unshare"]
        private static let addresses = ["10.0.0.1", "10.0.1.1", "192.0.2.7", "2001:db8::7", "::ffff:10.0.0.1"]

        mutating func rules() -> String {
            (0..<pick([1, 1, 1, 2, 2, 2, 3, 3, 8, 40])).map { index in
                let type = flip(85) ? "evt.type \(flip(70) ? "= \(type())" : "in (\(type()), \(type()))") and " : ""
                return "- rule: r\(index)\n  condition: |\n    \(type)\(condition(pick([0, 0, 1, 1, 2, 3])))\n  desc: d\n  output: o\n  priority: info\n"
            }.joined()
        }

        /// Of other rules for the same events, where those have one.
        mutating func filter() -> KernelFilter? {
            let (ruleSet, _) = RuleSet.load([.init(name: "", text: rules())])
            guard flip(30), let type = EventType(named: focus), let passing = ruleSet?.kernelFilters().passing(type), case .some(let filter) = passing else { return nil }
            return filter
        }

        private mutating func condition(_ depth: Int) -> String {
            if depth == 0 || flip(15) { return (flip(30) ? "not " : "") + test() }
            let inner = (0..<Int.random(in: 2...4, using: &numbers)).map { _ in condition(depth - 1) }.joined(separator: flip(55) ? " and " : " or ")
            return flip(20) ? "not (\(inner))" : "(\(inner))"
        }

        private mutating func list(_ values: [String]) -> String {
            "(" + (0..<Int.random(in: 1...3, using: &numbers)).map { _ in "\"\(pick(values))\"" }.joined(separator: ", ") + ")"
        }

        private mutating func test() -> String {
            let isMoving = focus == "rename" || focus == "link"
            let path = pick(isMoving ? Self.movedPaths : ["fd.name", "fd.name", "fd.nameraw", "fs.path.name", "evt.arg.name", "evt.arg.path", "fd.directory"])
            let order = pick(["=", "!=", "<", "<=", ">", ">="])
            let fitting: Range<Int> =
                switch focus {
                case "open", "openat", "creat": 3..<16
                case "unlink", "rename", "link": 7..<15
                case "execve": flip(50) ? 24..<25 : 26..<27
                case "connect": 27..<28
                case "ptrace": 25..<26
                default: 6..<7
                }
            switch Int.random(in: flip(50) ? fitting : 0..<28, using: &numbers) {
            case 0: return "evt.rawres \(order) \(pick([-115, -2, 0, 3, 4]))"
            case 1: return "evt.res \(pick(["=", "!="])) \(pick(["SUCCESS", "ENOENT", "EINPROGRESS", "ENONE"]))"
            case 2: return pick(["evt.failed = true", "evt.res startswith E", "evt.res in (SUCCESS, EACCES)", "evt.rawres in (0, 3)"])
            case 3: return "fd.num \(order) \(pick([-1, 0, 3]))"
            case 4, 5: return "evt.is_open_\(pick(["read", "write", "write", "exec", "create"])) = \(pick(["true", "true", "false"]))"
            case 6: return "evt.arg.flags \(pick(["contains", "=", "icontains"])) \(pick(["O_TRUNC", "O_CREAT", "O_WRONLY", "O_RDWR", "CLONE_NEWUSER", "CLONE_NEWNS"]))"
            case 7, 8: return "\(path) in \(list(Self.paths))"
            case 9: return "\(path) \(pick(["=", "!="])) \(pick(Self.paths))"
            case 10: return "\(path) startswith \(pick(["/", "/etc", "/etc/", "/etc/sha", "/root/.s", "sha", "/usr", "\"\""]))"
            case 11: return "\(path) pmatch \(list(["/etc", "/etc/pam.d", "/root/.ssh", "/", "/home/*/x", "/e*", "etc/pam.d", "/usr/lib"]))"
            case 12: return "\(path) endswith \(pick(["/shadow", "shadow", "/.ssh/id_rsa", "/x.so", "/", "/../x", "/environ"]))"
            case 13: return "\(path) contains \(pick(["/.ssh", "../", "//", "shadow", "/", "a..b"]))"
            case 14: return "\(path) glob \"\(pick(["/etc/*", "/home/*/environ", "*/.ssh/*", "/etc/sh?dow", "/[a-e]tc/shadow", "*../*", "/etc/shadow", "/*", "*/su"]))\""
            case 15: return pick(["basename(fd.name) = shadow", "fd.filename = shadow", "fd.filename in (su, id_rsa)", "fd.name exists", "tolower(fd.name) = /etc/shadow"])
            case 16: return "proc.name \(pick(["=", "!="])) \(pick(Self.names))"
            case 17 where flip(30): return "proc.name startswith \(pick(["n", "ngi", "nginx", "fifteen-", "fifteen-letters", "fifteen-letters-", "\"\"", "ba"]))"
            case 17: return "proc.name in \(list(Self.names + ["sixteen-letters-"]))"
            case 18: return "proc.pname \(pick(["=", "!="])) \(pick(Self.names))"
            case 19: return pick(["container.id = host", "container.id != host", "container.id = 0123456789ab", "container.image.repository = shop/web", "k8s.ns.name != shop"])
            case 20: return pick(["k8s.ns.name exists", "container.image.repository = \"\"", "container.image.repository startswith shop", "container.id in (host, x)"])
            case 21: return "user.uid \(order) \(pick([0, 1, 1000]))"
            case 22: return "user.loginuid \(order) \(pick([-1, 0, 1000]))"
            case 23: return "thread.cap_effective \(pick(["contains", "icontains"])) \(pick(["CAP_CHOWN", "CAP_DAC", "CAP_DAC_OVERRIDE", "dac_read"]))"
            case 24:
                return pick([
                    "proc.exepath = /tmp/x", "proc.exepath in (/tmp/x, /usr/bin/cat)", "proc.exepath startswith /tmp/", "proc.exepath pmatch (/tmp/x, /opt)",
                    "proc.exepath endswith /cat", "proc.is_exe_upper_layer = true", "proc.tty != 0", "proc.vpid = 1", "proc.exepath = \"/tmp/x (deleted)\"",
                    "proc.exepath startswith \"/tmp/x \"", "proc.exepath endswith \" (deleted)\"",
                ])
            case 25:
                return pick([
                    "evt.arg.request = PTRACE_ATTACH", "evt.arg.request contains PTRACE_SETREGS", "evt.arg.request in (PTRACE_TRACEME, 77)", "evt.arg.request = 16",
                ])
            case 26:
                return pick([
                    "proc.args contains nicehash", "proc.args icontains NICEHASH", "proc.args startswith \"-a crypto\"", "proc.args endswith cryptonight", "proc.args = \"-x ab\"",
                    "proc.args glob \"*/dev/shm/*\"", "proc.args contains \" -x\"", "proc.cmdline contains \"sh -x --\"", "proc.cmdline icontains \"CAT --nice\"",
                    "proc.cmdline contains fifteen-letters", "proc.cmdline startswith \"bash --donate\"", "proc.cmdline = \"cat /dev/shm/x\"", "proc.exe startswith \"[\"",
                    "proc.exe in (-, cat, \"[kworker/0:1]\")", "proc.exe startswith \"[kworker/\"", "proc.exe = \"\"", "proc.env contains LD_PRELOAD",
                    "proc.env icontains \"ld_preload=\"",
                    "proc.env endswith C.UTF-8", "proc.env glob \"*xterm*/bin*\"", "proc.env contains \"LD_AUDIT=/x HOME\"", "proc.env[LD_PRELOAD] startswith /tmp/",
                    "proc.env[LD_AUDIT] = /x",
                    "proc.env[LD_AUDIT] exists", "proc.env[LD_PRELOAD] contains so", "proc.args in (ab, \"-x ab\")",
                ])
            default:
                return pick([
                    "fd.typechar in (4, 6)", "fd.typechar = u", "fd.type = ipv4", "fd.type = unix", "fd.l4proto = tcp", "fd.l4proto != udp", "fd.sport = 80", "fd.sport > 100",
                    "fd.sport in (22, 80, 443)", "fd.sip = \"10.0.0.1\"", "fd.snet in (\"10.0.0.0/24\", \"2001:db8::/32\")", "fd.sip != \"10.0.0.1\"",
                    "fd.sport in (1, 2, 3, 4, 5, 6, 7, 80, 443)",
                ])
            }
        }

        mutating func truth() -> Truth {
            var truth = Truth()
            truth.type = type()
            truth.name = pick(Self.names)
            truth.knowsProcess = flip(92)
            truth.parentName = flip(80) ? pick(Self.names) : nil
            truth.isInContainer = flip(50)
            truth.uid = pick([0, 1, 1000])
            truth.loginUID = pick([-1, 0, 1000])
            truth.capabilities = Set((0..<3).filter { _ in flip(40) })
            truth.result = ["open", "openat", "creat"].contains(truth.type) ? pick([3, 4, -2, -13]) : truth.type == "connect" ? pick([0, 0, -115, -13]) : pick([0, 0, -2, -13])
            truth.flags = pick([0, 0, 1, 2, 3]) | pick([0, 0o100, 0o1101, 0o2000]) & ~3
            if truth.type == "creat" { truth.flags = 0o1101 }
            truth.mode = pick([0o644, 0o755])
            truth.argument = truth.type == "ptrace" ? pick([0, 13, 16, 0x4205, 77]) : pick([0, 0x2_0000, 0x1002_0000])
            truth.path = pick(Self.paths)
            truth.directory = pick(["/etc", "/", "/root"])
            truth.opened = truth.isOpen && truth.result >= 0 && flip(15) ? pick(["/etc/shadow", "/etc/pam.d/su", "/usr/lib/x.so", "/tmp/a..b", "/root/.ssh/id_rsa"]) : nil
            truth.secondPath = pick(Self.paths)
            truth.hasSecondPath = flip(92)
            truth.knowsSecondPath = truth.hasSecondPath && flip(90)
            truth.isDirectory = flip(15)
            truth.exe = pick(Self.exes)
            truth.arguments = [flip(70) ? truth.name : pick(Self.words)] + (0..<pick([0, 1, 2, 3])).map { _ in pick(Self.words) }
            truth.environment = (0..<pick([0, 2, 4])).map { _ in pick(Self.variables) }
            truth.knowsStart = flip(85)
            truth.isUnlinked = flip(20)
            truth.isUpperLayer = flip(50)
            truth.tty = pick([0, 34816])
            truth.vpid = pick([1, 7])
            truth.family = pick([1, 2, 10])
            truth.isTCP = flip(60)
            truth.port = pick([22, 80, 443, 7])
            truth.address = pick(Self.addresses)
            truth.wasConnected = flip(50)
            if flip(30) { truth.unknown = Set(KernelFilter.NumberSource.allCases.filter { $0 != .result && $0 != .fd && $0 != .uid && flip(30) }) }
            truth.hasPath = truth.opened != nil || flip(92)
            truth.knowsPath = truth.hasPath && flip(90)
            truth.knowsParent = flip(80) && truth.parentName != nil
            return truth
        }

        /// What the kernel knows of it.
        mutating func facts(_ truth: Truth) -> KernelFilter.Facts {
            var facts = KernelFilter.Facts()
            facts.name = Array(truth.name.utf8)
            let words = KernelFilter.Facts.words(ofName: facts.name ?? [])
            if truth.knowsParent { facts.parentName = truth.parentName.map { Array($0.utf8) } }
            facts.numbers = [
                .result: truth.result, .uid: truth.uid, .loginUID: truth.loginUID == -1 ? 0xFFFF_FFFF : truth.loginUID, .container: truth.isInContainer ? 1 : 0, .fd: -1,
                .effectiveCapabilities: truth.capabilities.reduce(0) { $0 | 1 << Int64($1) }, .tty: truth.tty, .vpid: truth.vpid, .argument0: truth.argument,
            ]
            (facts.numbers[.nameHead], facts.numbers[.nameTail]) = words
            if truth.isMoving, truth.knowsSecondPath { facts.secondPath = Array(truth.secondPath.utf8) }
            if truth.isOpen || truth.type == "unlink" || truth.isMoving {
                facts.paths = [truth.knowsPath ? Array(truth.path.utf8) : nil] + (truth.opened.map { [Array($0.utf8)] } ?? [])
            }
            if truth.isOpen {
                facts.numbers[.fd] = max(-1, truth.result)
                facts.numbers[.openFlags] = truth.flags
                facts.numbers[.openMode] = truth.mode
            }
            if truth.type == "execve", truth.result == 0 {
                facts.exe = Array(truth.exe.utf8)
                facts.numbers[.exeFlags] = (truth.isUpperLayer ? 1 : 0) | (truth.isUnlinked ? 4 : 0)
                if truth.knowsStart {
                    facts.arguments = truth.arguments.flatMap { Array($0.utf8) + [0] }
                    facts.environment = truth.environment.flatMap { Array($0.utf8) + [0] }
                    facts.numbers[.argumentHead] = facts.arguments.map { KernelFilter.Facts.head(ofArguments: $0) }
                }
            } else if truth.type == "execve" {
                // What user space keeps of an earlier start may be out of date.
                facts.numbers[.tty] = pick([0, 34816])
            }
            if truth.type == "connect" { addConnection(truth, &facts) }
            for source in truth.unknown { facts.numbers[source] = nil }
            return facts
        }

        /// Of a call that failed the kernel looks at no address.
        private func addConnection(_ truth: Truth, _ facts: inout KernelFilter.Facts) {
            facts.numbers[.protocol] = truth.isTCP ? 6 : 17
            guard truth.isConnected else { return }
            facts.numbers[.family] = truth.family
            guard truth.family != 1 else { return }
            facts.numbers[.remotePort] = truth.port
            facts.remote = IPAddress(truth.address)
        }
    }
}
