import Foundation
import Glibc
import RiposteCore
import RiposteRules
import RiposteTestSupport
import Synchronization
import Testing

@testable import RiposteSensor

/// Processes of the kinds that sensors get wrong; Tests/Scenarios/strange.c makes them.
@Suite("strange processes are reported rightly", .serialized, .enabled(if: canLoadSensor && Machine.has("gcc"), "needs root, a kernel with BTF and ring buffers, and gcc"))
struct StrangeProcessTests {
    private let folder: TemporaryFolder
    private let strange: String

    init() throws {
        folder = try TemporaryFolder()
        strange = try Self.built.get().path + "/strange"
    }

    /// The folder in which it was built, once, for all tests.
    private static let built: Result<TemporaryFolder, any Error> = Result {
        let folder = try TemporaryFolder()
        folder.removeAtExit()
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path + "/Scenarios/strange.c"
        let (status, output) = try run(["gcc", "-static", "-O1", "-pthread", "-o", folder.path + "/strange", source])
        try #require(status == 0, "strange.c: \(output)")
        return folder
    }

    /// Keeps these fields of each event for which the rule holds.
    private final class Notebook: SensorSink, @unchecked Sendable {
        // Used by the test that drains the loop, alone.
        private let fields: [String]
        private let probe = FieldProbe()
        private(set) var seen: [[String: SeenValue]] = []

        init(_ fields: [String]) { self.fields = fields }

        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) {
            seen.append(Dictionary(uniqueKeysWithValues: fields.map { ($0, (try? probe.value($0, of: event)) ?? .absent) }))
        }

        func lost(_ events: [String: UInt64]) {}
    }

    /// The events that the condition holds for while `body` runs.
    private func events(_ condition: String, _ fields: [String], during body: () throws -> Void) throws -> [[String: SeenValue]] {
        let text = "[{\"rule\": \"r\", \"desc\": \"d\", \"condition\": \"\(condition)\", \"output\": \"o\", \"priority\": \"INFO\"}]"
        let rules = try #require(RuleSet.load([RuleSet.File(name: "r", text: text)], RulesSettings()).0)
        let notebook = Notebook(fields)
        let loop = try SensorLoop(Sensor.Configuration(), rules, ReflexSet(), ContainerDirectory(inspector: nil), notebook, bell: -1)
        try body()
        loop.drain { false }
        #expect(loop.kernelCounts().dropped.values.allSatisfy { $0 == 0 })
        return notebook.seen
    }

    private func program(_ name: String = "told") throws -> String {
        let path = "\(folder.path)/\(name)"
        try FileManager.default.copyItem(atPath: strange, toPath: path)
        return path
    }

    /// What `strange` with these words has started, as the event of its start tells it.
    private func start(_ words: [String], _ word: String, _ fields: [String]) throws -> [String: SeenValue] {
        let found = try events("evt.type in (execve, execveat) and evt.rawres = 0 and proc.args[1] = \(word)", fields) {
            let (status, output) = try run([strange] + words)
            try #require(status == 0, "\(words): \(output)")
        }
        // The first is the one that starts it, whose words are among its own.
        return try #require(found.last, "no start of a program was seen")
    }

    private func expect(_ seen: [String: SeenValue], _ expected: [String: SeenValue]) {
        for (field, value) in expected { #expect(seen[field] == value, "\(field) is \(seen[field].map(String.init(describing:)) ?? "not told")") }
    }

    @Test("a thread that executes a program becomes the process")
    func thread() throws {
        let told = try program()
        let seen = try start(["thread", told, "w1"], "w1", ["proc.pid", "thread.tid", "proc.name", "proc.exepath", "proc.pname"])
        expect(seen, ["proc.name": "told", "proc.exepath": .bytes(Array(told.utf8)), "thread.tid": seen["proc.pid"] ?? .absent])
    }

    @Test("a program that was deleted before it started has the path that it had")
    func deleted() throws {
        let told = try program()
        let seen = try start(["deleted", told, "w2"], "w2", ["proc.exepath", "proc.is_exe_from_memfd"])
        expect(seen, ["proc.exepath": .bytes(Array(told.utf8)), "proc.is_exe_from_memfd": false])
    }

    @Test("a program in memory is one")
    func memory() throws {
        let seen = try start(["memfd", try program(), "w3"], "w3", ["proc.exepath", "proc.is_exe_from_memfd"])
        expect(seen, ["proc.exepath": "memfd:harmless", "proc.is_exe_from_memfd": true])
    }

    @Test("in a root of its own a process has the paths that it sees itself")
    func root() throws {
        let inner = "\(folder.path)/root"
        try FileManager.default.createDirectory(atPath: inner, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: strange, toPath: "\(inner)/told")
        let seen = try start(["chroot", inner, "/told", "w4"], "w4", ["proc.exepath", "proc.cwd"])
        expect(seen, ["proc.exepath": "/told", "proc.cwd": "/"])
    }

    @Test("root in a user namespace is told by the host's number")
    func userNamespace() throws {
        let seen = try start(["user", try program(), "w5"], "w5", ["user.uid", "proc.name"])
        expect(seen, ["user.uid": 0, "proc.name": "told"])
    }

    @Test(
        "a capability that a process has in a user namespace of its own counts for files whose owner and group are known there",
        arguments: [("stranger", 0o755, false), ("stranger", 0o757, true), ("user", 0o755, true), ("user", 0o555, false)] as [(String, Int, Bool)])
    func foreignFiles(_ command: String, _ mode: Int, _ isWritable: Bool) throws {
        let told = try program()
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: told)
        let seen = try start([command, told, "w9"], "w9", ["proc.is_exe_writable", "proc.exepath"])
        expect(seen, ["proc.is_exe_writable": .bool(isWritable), "proc.exepath": .bytes(Array(told.utf8))])
    }

    @Test("what is opened or executed in a mount that hangs nowhere has the path that it has in its file system")
    func detachedMount() throws {
        let paths = try events("proc.name = strange and evt.type = openat and fd.name = /usr/bin/true", ["fd.name"]) {
            try #require(try run([strange, "tree", "/usr/bin", "true", "w10"]).status == 0)
        }
        #expect(paths.count == 1)
        expect(try start(["tree", "/usr/bin", "true", "w11"], "w11", ["proc.exepath", "proc.name"]), ["proc.exepath": "/usr/bin/true", "proc.name": "true"])
    }

    @Test("another thread that puts another file in the place of one that was opened has no time for it, however long the path is")
    func swapped() throws {
        let (secret, other) = (try folder.file("secret", ""), try folder.file("other", ""))
        try FileManager.default.createSymbolicLink(atPath: "\(folder.path)/link", withDestinationPath: secret)
        let seen = try events("evt.type = openat and fd.name = \(secret)", []) {
            let (status, output) = try run([strange, "swap", "300", "\(folder.path)/link", other])
            try #require(status == 0, "\(output)")
        }
        // Now and then an interrupt comes between.
        #expect(seen.count > 150)
    }

    @Test("the first process of a pid namespace in another one has its number there, and the host's")
    func nested() throws {
        let seen = try start(["nested", try program(), "w6"], "w6", ["proc.vpid", "proc.pid", "proc.name", "proc.pname"])
        expect(seen, ["proc.vpid": 1, "proc.name": "told", "proc.pname": "strange"])
        #expect(seen["proc.pid"] != .integer(1))
    }

    @Test("whom a signal is for is told as the sender counts: 1 in a pid namespace is not the host's")
    func innerNumbers() throws {
        let seen = try events("evt.type = kill and proc.name = sh", ["evt.arg.pid"]) {
            try #require(try run(["unshare", "--pid", "--fork", "sh", "-c", "kill -0 1; (kill -0 1; :); :"]).status == 0)
        }
        #expect(seen == [["evt.arg.pid": "sh"], ["evt.arg.pid": "1"]])
    }

    @Test("an argument of 128 KiB is told as far as there is room, and what stands before it is whole")
    func longArgument() throws {
        let seen = try start(["long", try program(), "w7"], "w7", ["proc.args", "proc.args[0]", "proc.name"])
        guard case .bytes(let arguments)? = seen["proc.args"] else {
            Issue.record("no arguments")
            return
        }
        #expect(arguments.starts(with: Array("told w7 xxxx".utf8)) && (3_900...4_096).contains(arguments.count), "\(arguments.count) bytes")
        expect(seen, ["proc.args[0]": "told", "proc.name": "told"])
    }

    @Test("a path of 4095 bytes is told whole")
    func deepPath() throws {
        let deep = "\(folder.path)/deep"
        try FileManager.default.createDirectory(atPath: deep, withIntermediateDirectories: true)
        let told = try program()
        let seen = try events("evt.type = openat and fd.name startswith \(deep)/", ["fd.name", "fd.num"]) { _ = try run([strange, "deep", deep, told, "w8"]) }
        guard case .bytes(let path)? = seen.last?["fd.name"] else {
            Issue.record("no open was seen")
            return
        }
        #expect(path.count == 4095 && path.starts(with: Array("\(deep)/dddd".utf8)))
        #expect(path.suffix(90).allSatisfy { [UInt8(ascii: "f"), UInt8(ascii: "/"), UInt8(ascii: "d")].contains($0) })
    }

    @Test("names of any bytes are told byte for byte", arguments: [[0xFF, 0xFE, 0x80], [0x0A, 0x1B, 0x5B], [0x22, 0x5C, 0x25]] as [[UInt8]])
    func anyBytes(_ name: [UInt8]) throws {
        let path = Array("\(folder.path)/".utf8) + name
        #expect(link(strange, path.map { CChar(bitPattern: $0) } + [0]) == 0)
        let seen = try events("evt.type = execve and evt.rawres = 0 and proc.exe = told", ["proc.name", "proc.exepath", "proc.args[0]"]) {
            // Of a text that is not UTF-8 no String can be made.
            var words: [UnsafeMutablePointer<CChar>?] = [strdup("told"), strdup("told"), nil]
            defer { words.forEach { free($0) } }
            var pid = pid_t()
            let code = posix_spawn(&pid, path.map { CChar(bitPattern: $0) } + [0], nil, nil, &words, nil)
            try #require(code == 0, "\(String(cString: strerror(code)))")
            var status: Int32 = 0
            waitpid(pid, &status, 0)
        }
        expect(try #require(seen.last), ["proc.name": .bytes(name), "proc.exepath": .bytes(path), "proc.args[0]": "told"])
    }

    @Test("of thousands of processes that live for less than a millisecond each begins and ends, and none stays in the table")
    func shortLives() throws {
        let count = 3000
        let rules = try #require(RuleSet.load([RuleSet.File(name: "r", text: "[]")], RulesSettings()).0)
        let loop = try SensorLoop(Sensor.Configuration(), rules, ReflexSet(), ContainerDirectory(inspector: nil), Notebook([]), bell: -1)
        loop.drain { false }
        let before = loop.kernelCounts()
        #expect(try run([strange, "short", "\(count)"]).status == 0)
        loop.drain { false }
        let after = loop.kernelCounts()
        for kind in ["fork", "procexit"] { #expect(after.passed[kind, default: 0] - before.passed[kind, default: 0] >= UInt64(count), "\(kind)") }
        #expect(after.dropped.values.allSatisfy { $0 == 0 } && loop.world.processes.counters.evicted == 0)
        #expect(!loop.world.processes.allEntries.contains { $0.comm.elementsEqual("strange".utf8) })
    }

    // MARK: - A day

    /// RIPOSTE_SOAK_EVENTS: how many; `make test-long` says five million.
    private static let soakEvents = ProcessInfo.processInfo.environment["RIPOSTE_SOAK_EVENTS"].flatMap(Int.init) ?? 80_000

    private static func residentKiB() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        return try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) })
    }

    @Test("through a day's worth of events memory stays as it is, no event is lost, and the table is /proc's", .timeLimit(.minutes(30)))
    func soak() throws {
        let watched = try folder.file("watched")
        let told = try program()
        let condition = "evt.type in (open, openat) and fd.name endswith /watched and proc.cmdline contains nobody-has-this"
        let text = "[{rule: r, desc: d, condition: \"\(condition)\", output: o, priority: INFO}]"
        let rules = try #require(RuleSet.load([RuleSet.File(name: "r", text: text)], RulesSettings()).0)
        let loop = try SensorLoop(Sensor.Configuration(), rules, ReflexSet(), ContainerDirectory(inspector: nil), Notebook([]), bell: -1)
        // As much at a time as both rings hold for certain.
        let rounds = 400
        var (early, resident) = (0, 0)
        var turns = 0
        while loop.counts.events < UInt64(Self.soakEvents) {
            #expect(try run([strange, "busy", "\(rounds)", watched, told]).status == 0)
            loop.drain { false }
            resident = try Self.residentKiB()
            turns += 1
            // By then everything has been met: what comes is more of the same.
            if turns == 3 { early = resident }
        }
        #expect(turns > 6 && resident - early < 4096, "\(early) KiB, then \(resident) KiB after \(loop.counts.events) events")
        let counts = loop.kernelCounts()
        #expect(counts.dropped.values.allSatisfy { $0 == 0 } && loop.counts.malformed == 0 && loop.world.processes.counters.incomplete == 0, "\(counts.dropped)")
        #expect(counts.passed["openat", default: 0] + counts.passed["open", default: 0] >= UInt64(turns * rounds * 16))
        #expect(try TableComparison.differences(loop) == [])
        #expect(try TableComparison.wrongParents(loop) == [])
    }
}
