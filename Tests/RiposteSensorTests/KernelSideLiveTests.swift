import CRiposte
import Foundation
import RiposteCore
import RiposteRules
import RiposteTestSupport
import Synchronization
import Testing

@testable import RiposteSensor

/// What the BPF programs hand up, in all of their builds: calls of this thread, rules that look for them, and nobody who reads until the test does.
@Suite("the kernel side, in all builds", .serialized, .enabled(if: canLoadSensor, "needs root and a kernel with BTF and ring buffers"), .timeLimit(.minutes(2)))
struct KernelSideLiveTests {
    private final class Tally: SensorSink {
        let count = Mutex(0)
        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) { count.withLock { $0 += 1 } }
        func lost(_ events: [String: UInt64]) {}
    }

    /// A sensor that sees this process too, with one rule, and how often that has held.
    private struct Bench {
        let loop: SensorLoop
        private let tally = Tally()

        init(_ condition: String, build: KernelBuild?, reflexes: ReflexSet = ReflexSet(), sparing spared: [String] = []) throws {
            var configuration = Sensor.Configuration()
            (configuration.bufferBytes, configuration.seesItself, configuration.build) = (1 << 20, true, build)
            configuration.sparedPrograms = spared
            loop = try SensorLoop(configuration, Self.rules(condition), reflexes, ContainerDirectory(inspector: nil), tally, bell: -1)
        }

        static func rules(_ condition: String) throws -> RuleSet {
            let text = "[{\"rule\": \"r\", \"desc\": \"d\", \"condition\": \"\(condition)\", \"output\": \"o\", \"priority\": \"INFO\"}]"
            return try #require(RuleSet.load([RuleSet.File(name: "r", text: text)], RulesSettings()).0)
        }

        /// How often it held since the last look.
        func alerts() -> Int {
            loop.drain { false }
            return tally.count.withLock { count in
                defer { count = 0 }
                return count
            }
        }

        func use(_ condition: String) throws { try loop.use(Self.rules(condition), ReflexSet()) }

        func passedOpens() -> UInt64 { loop.kernelCounts().passed["openat", default: 0] }
    }

    private func touch(_ path: String, _ flags: Int32 = O_RDONLY) throws {
        let descriptor = open(path, flags)
        try #require(descriptor >= 0, "\(path)")
        close(descriptor)
    }

    @Test("a file that is opened by a name that is not plain has its own path, and not that of the file opened before it", arguments: KernelBuild.possible)
    func freshPaths(of build: KernelBuild) throws {
        let folder = try TemporaryFolder()
        let (harmless, secret) = (try folder.file("harmless", ""), try folder.file("secret", ""))
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/link", withDestinationPath: secret)
        let bench = try Bench("evt.type in (open, openat) and fd.name = \(secret)", build: build)
        for _ in 0..<50 {
            try touch(harmless)
            // The kernel gives the second file the place in memory that the first one has left.
            try touch(folder.path + "//link")
        }
        #expect(bench.alerts() == 50)
    }

    @Test("a link into a hidden folder hides nothing, however often it is taken", arguments: KernelBuild.possible)
    func hiddenFolders(of build: KernelBuild) throws {
        let folder = try TemporaryFolder()
        let bench = try Bench("evt.type = open and fd.name = /none", build: build)
        for name in [".ssh", "a..b"] {
            try FileManager.default.createDirectory(atPath: folder.path + "/\(name)", withIntermediateDirectories: false)
            let file = folder.path + "/\(name)/key"
            try Data().write(to: URL(fileURLWithPath: file))
            try FileManager.default.createSymbolicLink(atPath: folder.path + "/to-folder-\(name)", withDestinationPath: folder.path + "/\(name)")
            try FileManager.default.createSymbolicLink(atPath: folder.path + "/to-file-\(name)", withDestinationPath: file)
            for test in [
                "fd.name contains /\(name)/", "fd.name endswith /\(name)/key", "fd.name glob '*/\(name)/*'", "fd.directory = \(folder.path)/\(name)",
                "fd.directory endswith /\(name)",
            ] {
                try bench.use("evt.type in (open, openat) and \(test)")
                // What the rules before had handed up, as the making of the file.
                _ = bench.alerts()
                for path in ["/\(name)/key", "/to-folder-\(name)/key", "/to-file-\(name)"] {
                    for _ in 0..<5 { try touch(folder.path + path) }
                    #expect(bench.alerts() == 5, "\(test) \(path)")
                }
            }
        }
    }

    /// Opens a FIFO by a path whose memory is gone when somebody opens its other end, and with that the call ends.
    private static let vanishing = """
        import ctypes, mmap, os, sys, threading, time
        path, libc = sys.argv[1], ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
        libc.munmap.argtypes, libc.open.argtypes = [ctypes.c_void_p, ctypes.c_size_t], [ctypes.c_void_p, ctypes.c_int]
        page = libc.mmap(None, 4096, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        ctypes.memmove(page, path.encode() + b"\\0", len(path) + 1)
        reader = threading.Thread(target=lambda: libc.open(page, os.O_RDONLY))
        reader.start()
        def waits():
            for thread in os.listdir("/proc/self/task"):
                if "wait_for_partner" in open("/proc/self/task/" + thread + "/wchan").read(): return True
        while not waits(): time.sleep(0.01)
        libc.munmap(page, 4096)
        # By another path, which is another event.
        os.close(os.open(os.path.dirname(path) + "/other", os.O_WRONLY))
        reader.join()
        """

    @Test("an open whose path is gone from memory when it ends is judged by the file that the kernel opened", arguments: KernelBuild.possible)
    func vanishedPaths(of build: KernelBuild) throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/pipe"
        try #require(mkfifo(path, 0o600) == 0 && link(path, folder.path + "/other") == 0)
        let bench = try Bench("evt.type in (open, openat) and fd.name = \(path)", build: build)
        #expect(try run(["python3", "-c", Self.vanishing, path]).status == 0)
        #expect(bench.alerts() == 1)
    }

    @Test("a file that another one is mounted on goes by the name where it is, and not by the one that it had", arguments: KernelBuild.possible)
    func mountedOn(of build: KernelBuild) throws {
        let folder = try TemporaryFolder()
        let (place, source) = (try folder.file("place", ""), try folder.file("source", ""))
        let bench = try Bench("evt.type = open and fd.name = /none", build: build)
        for (test, count) in [("fd.name endswith /place", 1), ("fd.name = \(place)", 1), ("fd.name endswith /source", 0), ("fd.name = \(source)", 0)] {
            try bench.use("evt.type in (open, openat) and proc.name = cat and \(test)")
            _ = bench.alerts()
            #expect(try run(["unshare", "--mount", "--propagation", "private", "sh", "-c", "mount --bind \(source) \(place) && exec cat \(place)"]).status == 0)
            #expect(bench.alerts() == count, "\(test)")
        }
    }

    @Test("rules hear of a parent by the name that it has now, as the kernel does", arguments: KernelBuild.possible)
    func parentNames(of build: KernelBuild) throws {
        // `comm` changes by prctl(PR_SET_NAME), and nobody tells.
        let script =
            "import ctypes, os\nctypes.CDLL(None).prctl(15, b'renamed-parent', 0, 0, 0)\npid = os.fork()\nif pid == 0: open('/etc/hostname').close(); os._exit(0)\nos.waitpid(pid, 0)"
        let bench = try Bench("evt.type = open and fd.name = /none", build: build)
        for (test, count) in [
            ("proc.pname = renamed-parent", 1), ("proc.aname[1] = renamed-parent", 1), ("proc.pname = python3", 0),
            ("proc.pname != renamed-parent and proc.name = renamed-parent", 0),
        ] {
            try bench.use("evt.type in (open, openat) and fd.name = /etc/hostname and \(test)")
            _ = bench.alerts()
            #expect(try run(["python3", "-c", script]).status == 0)
            #expect(bench.alerts() == count, "\(test)")
        }
    }

    /// What was opened. Looked at when nobody sees it any more: to look opens it again.
    private final class OpenedFiles: SensorSink {
        let files = Mutex<[riposte_file?]>([])
        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) { files.withLock { $0.append(event.record?.file) } }
        func lost(_ events: [String: UInt64]) {}
    }

    @Test("a file is known by its device and inode also where stat(2) has another device than the kernel, as on an overlay of two file systems")
    func devices() throws {
        let folder = try TemporaryFolder()
        let (below, above, all) = (folder.path + "/below", folder.path + "/above", folder.path + "/all")
        for path in [below, above, all] { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false) }
        var mounts: [String] = []
        defer { for mount in mounts.reversed() { _ = try? run(["umount", "-l", mount]) } }
        func mount(_ type: String, _ place: String, _ options: String = "rw") throws {
            let (status, output) = try run(["mount", "-t", type, "-o", options, "none", place])
            try #require(status == 0, "\(output)")
            mounts.append(place)
        }
        try mount("tmpfs", below)
        try mount("tmpfs", above)
        for path in [above + "/files", above + "/work"] { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false) }
        for name in ["one", "other"] { try Data().write(to: URL(fileURLWithPath: "\(below)/\(name)")) }
        try mount("overlay", all, "lowerdir=\(below),upperdir=\(above)/files,workdir=\(above)/work")
        try #require(FileIdentity.facts(at: "\(all)/one".utf8)?.st_dev != FileIdentity.facts(at: all.utf8)?.st_dev)
        for (path, isThat) in [("\(all)/one", true), ("\(all)/other", false), ("\(below)/one", false)] {
            let sink = OpenedFiles()
            var configuration = Sensor.Configuration()
            (configuration.bufferBytes, configuration.seesItself) = (1 << 20, true)
            let loop = try SensorLoop(
                configuration, Bench.rules("evt.type in (open, openat) and fd.name = \(all)/one and evt.is_open_read = true"), ReflexSet(), ContainerDirectory(inspector: nil),
                sink,
                bell: -1)
            try touch("\(all)/one")
            loop.drain { false }
            #expect(sink.files.withLock(\.self).map { $0.map { FileIdentity.leads(path.utf8, to: $0) } } == [isThat], "\(path)")
        }
    }

    @Test("a parent that has taken an empty name has that name, in the kernel and here", arguments: KernelBuild.possible)
    func namelessParents(of build: KernelBuild) throws {
        let script =
            "import ctypes, os\nctypes.CDLL(None).prctl(15, b'', 0, 0, 0)\npid = os.fork()\nif pid == 0: open('/etc/hostname').close(); os._exit(0)\nos.waitpid(pid, 0)"
        let bench = try Bench("evt.type = open and fd.name = /none", build: build)
        for (test, count) in [("proc.pname = ''", 1), ("proc.pname = python3", 0), ("not proc.pname in (python3, sh)", 1), ("proc.aname[1] = ''", 1)] {
            try bench.use("evt.type in (open, openat) and fd.name = /etc/hostname and proc.name = '' and \(test)")
            _ = bench.alerts()
            #expect(try run(["python3", "-c", script]).status == 0)
            #expect(bench.alerts() == count, "\(test)")
        }
    }

    @Test("of more kinds of calls than there is room for filters, the one that a reflex is for comes first")
    func fullTable() throws {
        let types = EventType.all.map { EventType(rawValue: $0) }.filter { SystemCall.named($0) != nil && $0.name != "execve" && $0.name != "execveat" }.map(\.name).sorted()
        try #require(types.count > Int(RIPOSTE_FILTERS) + 10)
        // Each type has a filter of its own; the call that the reflex is for is the last one by its number.
        let last = try #require(types.compactMap(EventType.init(named:)).max { $0.rawValue < $1.rawValue }?.name)
        let conditions = types.enumerated().map { "evt.type = \($1) and proc.name = a\($0)" } + ["evt.type = \(last) and proc.name = x"]
        let text = conditions.enumerated().map { "- { rule: r\($0), desc: d, condition: '\($1)', output: o, priority: INFO }\n" }.joined()
        let rules = try #require(RuleSet.load([RuleSet.File(name: "r", text: text)], RulesSettings()).0)
        var reflexes = ReflexSet()
        reflexes.reflexes = [ArmedReflex(playbook: "p", rule: "r\(types.count)", signal: SIGKILL, acts: false)]
        reflexes.budgets = ["p": .init(actions: 1, per: .seconds(60))]
        let loop = try SensorLoop(Sensor.Configuration(), rules, reflexes, ContainerDirectory(inspector: nil), Tally(), bell: -1)
        #expect(loop.armament.armed == reflexes.reflexes && loop.armament.waiting.isEmpty)
    }

    @Test("a reflex that the filter of its call has no room for is said to be unfit, and nobody asks for it again")
    func fullFilter() throws {
        let text = (1...60).map { "- { rule: r\($0), desc: d, condition: evt.type = execve and proc.name = v\($0), output: o, priority: INFO }\n" }.joined()
        let rules = try #require(RuleSet.load([RuleSet.File(name: "r", text: text)], RulesSettings()).0)
        var reflexes = ReflexSet()
        reflexes.reflexes = (1...60).map { ArmedReflex(playbook: "p", rule: "r\($0)", signal: SIGKILL, acts: false) }
        reflexes.budgets = ["p": .init(actions: 1, per: .seconds(60))]
        let armament = try SensorLoop(Sensor.Configuration(), rules, reflexes, ContainerDirectory(inspector: nil), Tally(), bell: -1).armament
        #expect(armament.armed == Array(reflexes.reflexes[..<56]) && armament.waiting.isEmpty && !armament.isUnfinished)
        #expect(armament.unfit == Dictionary(uniqueKeysWithValues: reflexes.reflexes[56...].map { ($0, "the kernel's filter is full") }))
    }

    @Test("calls that are made by the million come where a rule names them, whatever a rule without a type asks for")
    func bulkCalls() throws {
        let text = ["evt.type = mprotect and proc.name = a", "proc.name = b"].enumerated().map {
            "{\"rule\": \"r\($0)\", \"desc\": \"d\", \"condition\": \"\($1)\", \"output\": \"o\", \"priority\": \"INFO\"}"
        }
        let rules = try #require(RuleSet.load([RuleSet.File(name: "r", text: "[\(text.joined(separator: ","))]")], RulesSettings()).0)
        let names = Set(KernelTables.types(rules.kernelFilters()).map(\.name))
        #expect(names.contains("mprotect") && names.contains("setns") && !names.contains("munmap"))
    }

    @Test("an open that was found harmless is dropped from then on, until its path leads elsewhere, it asks for more, or the rules have changed", arguments: KernelBuild.possible)
    func harmlessOpens(of build: KernelBuild) throws {
        let folder = try TemporaryFolder()
        let (plain, secret) = (try folder.file("plain", ""), try folder.file("secret", ""))
        let reads = "evt.type in (open, openat) and evt.is_open_read = true and fd.name = \(secret)"
        let bench = try Bench("\(reads) or evt.type in (open, openat) and evt.is_open_write = true and fd.name startswith \(folder.path)/", build: build)
        for _ in 0..<2000 { try touch(plain) }
        #expect(bench.alerts() == 0)
        // Others on this machine open files, too.
        #expect(bench.passedOpens() < 1000)

        for _ in 0..<20 { try touch(plain, O_WRONLY) }
        #expect(bench.alerts() == 20)

        try FileManager.default.removeItem(atPath: plain)
        try FileManager.default.createSymbolicLink(atPath: plain, withDestinationPath: secret)
        for _ in 0..<20 { try touch(plain) }
        #expect(bench.alerts() == 20)

        // The same of a link that leads elsewhere from now on.
        let (link, other) = (folder.path + "/link", try folder.file("other", ""))
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: other)
        _ = bench.alerts()
        for _ in 0..<20 { try touch(link) }
        #expect(bench.alerts() == 0)
        try FileManager.default.removeItem(atPath: link)
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: secret)
        for _ in 0..<20 { try touch(link) }
        #expect(bench.alerts() == 20)

        try FileManager.default.removeItem(atPath: plain)
        try touch(plain, O_CREAT | O_WRONLY)
        _ = bench.alerts()
        for _ in 0..<20 { try touch(plain) }
        #expect(bench.alerts() == 0)
        try bench.use("evt.type in (open, openat) and fd.name = \(plain)")
        for _ in 0..<20 { try touch(plain) }
        #expect(bench.alerts() == 20)
        // Two changes on, the same half of the tables is in force again.
        try bench.use("evt.type in (open, openat) and fd.name = /none")
        for _ in 0..<20 { try touch(plain) }
        try bench.use("evt.type in (open, openat) and fd.name = \(secret)")
        for _ in 0..<20 { try touch(plain) }
        #expect(bench.alerts() == 0)
        try bench.use("evt.type in (open, openat) and fd.name = \(plain)")
        for _ in 0..<20 { try touch(plain) }
        #expect(bench.alerts() == 20)
    }

    @Test("names of all lengths come whole, one behind the other", arguments: KernelBuild.possible)
    func longNames(of build: KernelBuild) throws {
        let folder = try TemporaryFolder()
        let bench = try Bench("evt.type in (open, openat) and fd.name = /none", build: build)
        for length in [1, 7, 8, 9, 15, 16, 31, 39, 40, 41, 48, 200, 255] {
            let name = String((0..<length).map { Character(Unicode.Scalar(UInt8(97 + $0 % 26))) })
            let inner = folder.path + "/" + name
            try FileManager.default.createDirectory(atPath: inner, withIntermediateDirectories: true)
            let file = inner + "/" + name
            try Data().write(to: URL(fileURLWithPath: file))
            try FileManager.default.createSymbolicLink(atPath: folder.path + "/link\(length)", withDestinationPath: file)
            try bench.use("evt.type in (open, openat) and fd.name = \(file)")
            try touch(folder.path + "/link\(length)")
            #expect(bench.alerts() == 1, "\(length)")
        }
    }

    /// Sends 40 datagrams with one call of sendmmsg, each twentieth to port 9999.
    private static let sender = """
        import ctypes, socket, struct
        class Message(ctypes.Structure):
            _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint), ("parts", ctypes.c_void_p), ("part_count", ctypes.c_size_t),
                        ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t), ("flags", ctypes.c_int), ("sent", ctypes.c_size_t)]
        byte = ctypes.create_string_buffer(b"x", 1)
        part = (ctypes.c_size_t * 2)(ctypes.addressof(byte), 1)
        names = [ctypes.create_string_buffer(struct.pack("=HHI8x", socket.AF_INET, socket.htons(9999 if i % 20 == 19 else 1111), 0x0100007f)) for i in range(40)]
        messages = (Message * 40)(*[Message(ctypes.addressof(name), 16, ctypes.addressof(part), 1) for name in names])
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        exit(0 if ctypes.CDLL(None).sendmmsg(sender.fileno(), messages, 40, 0) == 40 else 1)
        """

    /// Sends ten bytes by descriptor 77 to an address whose last half is where the kernel writes down that it has sent so many.
    private static let overwriter = """
        import ctypes, os, socket, struct
        memory = ctypes.create_string_buffer(256)
        start = ctypes.addressof(memory)
        struct.pack_into("=QQ", memory, 128, start + 160, 10)
        struct.pack_into("=QI4xQQ", memory, 0, start + 52, 16, start + 128, 1)
        struct.pack_into("=HHI", memory, 52, socket.AF_INET, socket.htons(1111), 0x0100007f)
        os.dup2(socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(), 77)
        exit(0 if ctypes.CDLL(None).sendmmsg(77, memory, 1, 0) == 1 else 1)
        """

    @Test("an address that the kernel itself writes over as it sends is not known, and no other one is told in its place", arguments: KernelBuild.possible)
    func overwrittenAddress(of build: KernelBuild) throws {
        let bench = try Bench("evt.type = open and fd.name = /none", build: build)
        for (test, count) in [("fd.l4proto = udp", 1), ("fd.rport exists", 0)] {
            try bench.use("evt.type = sendmmsg and fd.num = 77 and proc.name startswith python and \(test)")
            #expect(try run(["python3", "-c", Self.overwriter]).status == 0)
            #expect(bench.alerts() == count, "\(test)")
        }
    }

    /// Connects descriptor 77 to a port where nobody answers, until a signal comes.
    private static let interrupted = """
        import ctypes, os, signal, socket, struct, sys
        place = ("127.0.0.1", int(sys.argv[1]))
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(place)
        os.dup2(socket.socket().detach(), 77)
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
        address = struct.pack("=HHI8x", socket.AF_INET, socket.htons(place[1]), 0x0100007f)
        libc = ctypes.CDLL(None, use_errno=True)
        exit(0 if libc.connect(77, address, 16) == -1 and ctypes.get_errno() == 4 else 1)
        """

    @Test("a connect that a signal interrupts goes on, and is told so", arguments: KernelBuild.possible)
    func interruptedConnect(of build: KernelBuild) throws {
        let port = 29_000 + getpid() % 3000
        let bench = try Bench(
            "evt.type = connect and (evt.rawres >= 0 or evt.res = EINPROGRESS) and fd.num = 77 and fd.connected = true and fd.sip = 127.0.0.1 and fd.sport = \(port)", build: build)
        #expect(try run(["python3", "-c", Self.interrupted, "\(port)"]).status == 0)
        #expect(bench.alerts() == 1)
    }

    /// Listens at a path, and connects to it by the path that is given, in the folder that it lies in.
    private static let connector = """
        import os, socket, sys
        folder, path = sys.argv[1:]
        os.chdir(folder)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(folder + "/real.sock")
        listener.listen(4)
        os.symlink(folder + "/real.sock", folder + "/link")
        os.dup2(os.open(folder + "/real.sock", os.O_PATH), 77)
        socket.socket(socket.AF_UNIX).connect(path)
        """

    @Test("a connect to a Unix socket is judged by the path that this is bound to, too", arguments: KernelBuild.possible)
    func unixSockets(of build: KernelBuild) throws {
        let bench = try Bench("evt.type = open and fd.name = /none", build: build)
        for (path, passed) in [("F/real.sock", "/real.sock"), ("F/link", "/link"), ("real.sock", " real.sock"), ("/proc/self/fd/77", " /proc/self/fd/77")] {
            for end in [passed, "/real.sock"] {
                let folder = try TemporaryFolder()
                try bench.use("evt.type = connect and proc.name startswith python and fd.typechar = u and fd.name endswith '\(end)'")
                _ = bench.alerts()
                #expect(try run(["python3", "-c", Self.connector, folder.path, path.replacing("F", with: folder.path)]).status == 0)
                #expect(bench.alerts() == 1, "\(path) \(end)")
            }
        }
    }

    @Test("the start of a program is urgent where a text that a rule looks for may be in what it was started with, wherever that stands", arguments: KernelBuild.possible)
    func starts(of build: KernelBuild) throws {
        let bench = try Bench("evt.type = execve and proc.name = none", build: build)
        var before: UInt64 = 0
        /// How many alerts there were since the last call, and how many starts somebody was woken for. Others' starts have no such texts.
        func outcome() -> [UInt64] {
            let alerts = UInt64(bench.alerts())
            let urgent = bench.loop.kernelCounts().passed["execve", default: 0]
            defer { before = urgent }
            return [alerts, urgent - before]
        }
        func start(_ arguments: [String], _ variables: [String] = []) throws {
            #expect(try run(["/usr/bin/env", "-i"] + variables + ["/bin/true"] + arguments).status == 0)
        }
        let pads = [0, 1, 2, 3, 4, 5, 6, 7, 250, 2048].map { String(repeating: "x", count: $0) }

        // In one argument, at its end and over two, in letters of another case.
        for (condition, words) in [
            ("contains nee-dle", ["%nee-dle"]), ("icontains NEE-DLE", ["%Nee-Dle%"]), ("endswith 'nee dle'", ["%nee", "dle"]),
        ] {
            try bench.use("evt.type = execve and evt.rawres = 0 and proc.name = true and proc.args \(condition)")
            _ = outcome()
            for pad in condition == "contains nee-dle" ? pads : Array(pads[5...8]) {
                try start(words.map { $0.replacing("%", with: pad) })
                #expect(outcome() == [1, 1], "\(condition) \(words) \(pad.count)")
            }
            try start(["%nee+dle", "n", "needle", "NEE", "nee-"])
            #expect(outcome() == [0, 0])
        }
        // Over the name and the first argument.
        try bench.use("evt.type = execve and evt.rawres = 0 and proc.name = true and proc.cmdline contains 'rue nee-dle'")
        _ = outcome()
        try start(["nee-dle"])
        #expect(outcome() == [1, 1])
        try start(["nee-dlf"])
        #expect(outcome() == [0, 0])

        try bench.use("evt.type = execve and evt.rawres = 0 and proc.name = true and proc.env[NEE_DLE] startswith /x")
        _ = outcome()
        for pad in pads {
            try start([], ["A=\(pad)", "NEE_DLE=/x", "B="])
            #expect(outcome() == [1, 1], "\(pad.count)")
        }
        try start(["NEE_DLE=/x"], ["A=", "NOO_ELD=/x"])
        #expect(outcome() == [0, 0])

        // Argument 0 may be anything.
        try bench.use("evt.type = execve and evt.rawres = 0 and proc.exe startswith '[nee'")
        _ = outcome()
        #expect(try run(["bash", "-c", "exec -a '[nee-dle]' /bin/true"]).status == 0)
        #expect(outcome() == [1, 1])
        #expect(try run(["bash", "-c", "exec -a '[n' /bin/true '[nee'; exit 0"]).status == 0)
        #expect(outcome() == [0, 0])
    }

    @Test("the start of a program that no reflex ends is urgent wherever there are reflexes, whatever rules ask for", arguments: KernelBuild.possible)
    func sparedStarts(of build: KernelBuild) throws {
        let folder = try TemporaryFolder()
        let name = folder.path + "/spared-\(getpid())"
        try FileManager.default.copyItem(atPath: "/bin/true", toPath: name)
        try #require(chmod(folder.path, 0o755) == 0)
        let condition = "evt.type in (open, openat) and fd.name = /none"
        var reflexes = ReflexSet()
        reflexes.reflexes = [ArmedReflex(playbook: "p", rule: "r", signal: SIGKILL, acts: true)]
        reflexes.budgets = ["p": .init(actions: 1, per: .seconds(60))]
        for (reflexes, urgent) in [(reflexes, 3), (ReflexSet(), 0)] as [(ReflexSet, UInt64)] {
            let bench = try Bench(condition, build: build, reflexes: reflexes, sparing: ["spared-\(getpid())"])
            for _ in 0..<3 { #expect(try run([name]).status == 0) }
            #expect(try run(["/bin/true"]).status == 0)
            // Whoever is a user is spared by no name.
            #expect(try run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", name]).status == 0)
            let counts = bench.loop.kernelCounts()
            #expect(counts.passed["execve", default: 0] == urgent && counts.seen["execve", default: 0] >= 4)
        }
    }

    /// Makes a folder so deep that the last 4096 bytes of its path begin with `/usr/lib/`, opens a file in it, and takes it all away.
    private static let digger = """
        import os, shutil, sys
        os.chdir(sys.argv[1])
        for name in ["p" * 200] * 20 + ["usr", "lib"] + ["d" * 200] * 20:
            os.mkdir(name)
            os.chdir(name)
        os.close(os.open("mark", os.O_CREAT | os.O_WRONLY))
        os.chdir(sys.argv[1])
        shutil.rmtree("p" * 200)
        """

    /// By what its path is told as.
    private static let tooLong = [
        "fd.name = /DIR_TOO_LONG/FILENAME_TOO_LONG", "fd.name endswith /FILENAME_TOO_LONG", "fd.filename = FILENAME_TOO_LONG", "evt.arg.name glob '*/FILENAME_TOO_LONG'",
    ].map { ("proc.cwd startswith usr/lib/dddd and \($0)", 1) }

    @Test("a folder that is too deep to be told is no folder elsewhere, whatever its last components are called", arguments: KernelBuild.possible)
    func deepFolders(of build: KernelBuild) throws {
        let folder = try TemporaryFolder()
        let opens = "evt.type in (open, openat) and evt.is_open_write = true"
        let bench = try Bench("\(opens) and fd.name startswith /usr/lib/dddd", build: build)
        #expect(try run(["python3", "-c", Self.digger, folder.path]).status == 0)
        #expect(bench.alerts() == 0)
        // By the name of the file it is found all the same.
        for (condition, count) in [("proc.cwd startswith /usr/lib/dddd", 0), ("proc.cwd startswith usr/lib/dddd and fd.filename = mark", 1)] + Self.tooLong {
            try bench.use("\(opens) and \(condition)")
            #expect(try run(["python3", "-c", Self.digger, folder.path]).status == 0)
            #expect(bench.alerts() == count, "\(condition)")
        }
    }

    @Test("each message that sendmmsg sends is an event: a decoy before it hides none", arguments: KernelBuild.possible)
    func messages(of build: KernelBuild) throws {
        let bench = try Bench("evt.type = sendmmsg and fd.rport = 9999", build: build)
        #expect(try run(["python3", "-c", Self.sender]).status == 0)
        #expect(bench.alerts() == 2)
    }

    @Test("a start by a descriptor is execveat's, any other is execve's, whatever the program is called", arguments: KernelBuild.possible)
    func startsByDescriptor(of build: KernelBuild) throws {
        let folder = try TemporaryFolder()
        let program = folder.path + "/dev-fd"
        try FileManager.default.createSymbolicLink(atPath: program, withDestinationPath: "/bin/true")
        let byDescriptor = "import os; os.execve(os.open('\(program)', os.O_RDONLY), ['begun'], {})"
        let bench = try Bench("evt.type = execveat", build: build)
        for (type, count) in [("execveat", 1), ("execve", 2)] {
            try bench.use("evt.type = \(type) and proc.args = '' and (proc.exe = begun or proc.exe = \(program))")
            #expect(try run(["python3", "-c", byDescriptor]).status == 0)
            #expect(try run([program]).status == 0)
            #expect(try run(["sh", "-c", "exec \(program)"]).status == 0)
            #expect(bench.alerts() == count, "\(type)")
        }
    }

    @Test("births and ends are told, and a child that runs no program of its own is known by its parent's", arguments: KernelBuild.possible)
    func children(of build: KernelBuild) throws {
        let folder = try TemporaryFolder()
        let mark = try folder.file("mark", "")
        let bench = try Bench("evt.type = openat and fd.name = \(mark) and proc.cmdline contains os.fork and proc.pname startswith python3", build: build)
        let before = bench.loop.kernelCounts().passed
        let script = "import os\nfor i in range(50):\n  if os.fork(): os.wait()\n  else: os.open('\(mark)', 0); os._exit(0)"
        #expect(try run(["python3", "-c", script]).status == 0)
        #expect(bench.alerts() == 50)
        let after = bench.loop.kernelCounts().passed
        for type in ["fork", "procexit"] { #expect(after[type, default: 0] - before[type, default: 0] >= 50, "\(type)") }
    }

    @Test("of threads that take the processor from one another in the middle of calls, each call is seen", arguments: [nil, .steady] as [KernelBuild?])
    func crowd(of build: KernelBuild?) throws {
        let bench = try Bench("evt.type = mkdirat and evt.arg.path = /none", build: build)
        let (threads, calls) = (8, 20_000)
        let before = bench.loop.kernelCounts().seen["mkdirat", default: 0]
        let refused = Mutex(0)
        let group = DispatchGroup()
        for _ in 0..<threads {
            group.enter()
            Thread.detachNewThread {
                var count = 0
                for _ in 0..<calls where mkdirat(-1, "nowhere", 0o700) != 0 { count += 1 }
                refused.withLock { [count] in $0 += count }
                group.leave()
            }
        }
        group.wait()
        try #require(refused.withLock(\.self) == threads * calls)
        #expect(bench.loop.kernelCounts().seen["mkdirat", default: 0] - before == UInt64(threads * calls))
    }
}
