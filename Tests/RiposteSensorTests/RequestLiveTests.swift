import Foundation
import Glibc
import RiposteCore
import RiposteRules
import RiposteTestSupport
import Testing

@testable import RiposteSensor

private let isPossible = canLoadSensor && KernelFeatures.seesRequests && Machine.has("gcc")

/// What Tests/Scenarios/requester.c does without a system call for it.
@Suite(
    "requests of io_uring are events of the calls that they stand for", .serialized,
    .enabled(if: isPossible, "needs root, a kernel with BTF and ring buffers that takes programs at its functions (fentry) and is 6.0 or later, and gcc"),
    .timeLimit(.minutes(5)))
struct RequestLiveTests {
    private let folder: TemporaryFolder
    private let requester: String

    init() throws {
        folder = try TemporaryFolder()
        requester = try Self.built.get().path + "/requester"
    }

    private static let built: Result<TemporaryFolder, any Error> = Result {
        let folder = try TemporaryFolder()
        folder.removeAtExit()
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path + "/Scenarios/requester.c"
        let (status, output) = try run(["gcc", "-static", "-O1", "-o", folder.path + "/requester", source])
        try #require(status == 0, "requester.c: \(output)")
        return folder
    }

    /// Keeps fields of each event, by rule. Used by the test that drains the loop, alone.
    private final class Notebook: SensorSink, @unchecked Sendable {
        private let probe = FieldProbe()
        private let fields: [String]
        var seen: [(rule: String, fields: [String: SeenValue])] = []
        var verdicts: [ReflexReport.Verdict?] = []

        init(_ fields: [String]) { self.fields = fields }

        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) {
            verdicts.append(event.reflex?.verdict)
            seen.append((rule.name, Dictionary(uniqueKeysWithValues: fields.map { ($0, (try? probe.value($0, of: event)) ?? .absent) })))
        }

        func lost(_ events: [String: UInt64]) {}
    }

    private static func rules(_ conditions: [String]) throws -> RuleSet {
        let text = conditions.map { "- { rule: '\($0.replacing("'", with: "''"))', desc: d, condition: '\($0.replacing("'", with: "''"))', output: o, priority: INFO }\n" }.joined()
        return try #require(RuleSet.load([RuleSet.File(name: "r", text: text)], RulesSettings()).0)
    }

    private struct Bench {
        let loop: SensorLoop
        let notebook: Notebook

        init(_ conditions: [String], pushesDown: Bool, fields: [String], reflexes: ReflexSet = ReflexSet()) throws {
            notebook = Notebook(fields)
            var configuration = Sensor.Configuration()
            (configuration.bufferBytes, configuration.stateBufferBytes, configuration.pushesDown) = (1 << 20, 1 << 20, pushesDown)
            loop = try SensorLoop(configuration, RequestLiveTests.rules(conditions), reflexes, UnknownContainers(), notebook, bell: -1)
            try settle()
        }

        /// Waits until what sees requests is at work.
        func settle() throws {
            try #require(loop.requests.settle(within: .seconds(120)))
            #expect(loop.requests.sight.problem == nil)
        }

        func events() -> [(rule: String, fields: [String: SeenValue])] {
            loop.drain { false }
            defer { notebook.seen = [] }
            return notebook.seen
        }
    }

    /// One request, and what is told of it.
    private struct Case {
        let words: String
        /// What holds of it, behind `evt.type = …`.
        let condition: String
        let fields: [String: SeenValue]
        /// Whether this kernel may not have the operation: 6.11.
        var isYoung = false
    }

    /// `F` is the folder. The numbers of ports are those of this process's own, so that no other test has them.
    private static let port = 20_000 + Int(getpid() % 9000)
    /// More than most names have, below the folder.
    private static let (deep, long) = (String(repeating: "l", count: 200), String(repeating: "m", count: 200))
    private static let cases: [Case] = [
        // As Falco's rules ask for opens.
        Case(
            words: "openat F/secret 0", condition: "evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.typechar = 'f' and fd.num >= 0 and fd.name = F/secret",
            fields: ["evt.type": "openat", "evt.res": "SUCCESS", "fd.name": "F/secret", "fs.path.name": "F/secret", "evt.is_open_write": false]),
        Case(
            words: "openat2 F/secret 2", condition: "evt.type = openat2 and evt.is_open_write = true and fd.num >= 0 and fd.name = F/secret",
            fields: ["evt.type": "openat2", "evt.res": "SUCCESS", "fd.name": "F/secret", "evt.is_open_write": true]),
        Case(
            words: "openat F/made 0101", condition: "evt.type = openat and evt.is_open_write = true and evt.arg.mode contains 0640 and fd.filename = made",
            fields: ["evt.is_open_create": true, "evt.is_open_write": true, "fd.name": "F/made"]),
        Case(
            words: "direct openat F/secret 0", condition: "evt.type = openat and evt.is_open_read = true and fd.num >= 0 and fd.name = F/secret",
            fields: ["evt.type": "openat", "evt.rawres": 0, "fd.num": 2_147_483_647, "fd.name": "F/secret", "fd.type": "file"]),
        Case(
            words: "direct openat F/link 0", condition: "evt.type = openat and fd.num >= 0 and fd.name = F/secret",
            fields: ["fd.name": "F/secret", "evt.type": "openat"]),
        Case(
            words: "silent openat F/secret 0", condition: "evt.type = openat and fd.num >= 0 and fd.name = F/secret",
            fields: ["evt.type": "openat", "evt.res": "SUCCESS", "fd.name": "F/secret"]),
        Case(
            words: "async openat F/secret 0", condition: "evt.type = openat and fd.num >= 0 and fd.name startswith F/sec",
            fields: ["evt.type": "openat", "fd.name": "F/secret", "proc.cmdline": "requester async openat F/secret 0"]),
        Case(
            words: "polled openat F/secret 0", condition: "evt.type = openat and fd.num >= 0 and fd.filename = secret",
            fields: ["evt.type": "openat", "fd.name": "F/secret"]),
        Case(
            words: "openat F/nothing 0", condition: "evt.type = openat and evt.failed = true and fd.name = F/nothing",
            fields: ["evt.res": "ENOENT", "fd.name": "F/nothing", "fd.num": -1]),
        Case(
            words: "async openat2 F/nothing 1", condition: "evt.type = openat2 and evt.res = ENOENT and evt.is_open_write = true and fd.name = F/nothing",
            fields: ["evt.res": "ENOENT", "evt.is_open_write": true]),
        Case(
            words: "openat F/\(deep)/\(long) 0", condition: "evt.type = openat and fd.num >= 0 and fd.name = F/\(deep)/\(long)",
            fields: ["fd.name": .bytes(Array("F/\(deep)/\(long)".utf8)), "fd.filename": .bytes(Array(long.utf8))]),
        Case(
            words: "renameat F/\(deep)/\(long) F/brief", condition: "evt.type = renameat2 and fs.path.target = F/brief",
            fields: ["fs.path.source": .bytes(Array("F/\(deep)/\(long)".utf8)), "fs.path.target": "F/brief"]),
        Case(words: "mkdirat F/folder", condition: "evt.type = mkdirat and fs.path.name = F/folder", fields: ["fs.path.name": "F/folder", "evt.res": "SUCCESS"]),
        Case(
            words: "linkat F/secret F/hard", condition: "evt.type = linkat and fs.path.target = F/secret and fs.path.source = F/hard",
            fields: ["fs.path.target": "F/secret", "fs.path.source": "F/hard", "evt.res": "SUCCESS"]),
        Case(
            words: "symlinkat F/secret F/soft", condition: "evt.type = symlinkat and evt.arg.target = F/secret and evt.arg.linkpath = F/soft",
            fields: ["evt.arg.target": "F/secret", "evt.arg.linkpath": "F/soft", "fs.path.source": "F/soft", "evt.res": "SUCCESS"]),
        Case(
            words: "renameat F/hard F/moved", condition: "evt.type in (rename, renameat, renameat2) and fs.path.source = F/hard and fs.path.target startswith F/mov",
            fields: ["evt.type": "renameat2", "fs.path.source": "F/hard", "fs.path.target": "F/moved"]),
        Case(
            words: "unlinkat F/moved", condition: "evt.type = unlinkat and fs.path.name = F/moved", fields: ["fs.path.name": "F/moved", "evt.res": "SUCCESS"]),
        Case(
            words: "unlinkat F/moved", condition: "evt.type = unlinkat and evt.res = ENOENT", fields: ["evt.res": "ENOENT"]),
        Case(words: "socket", condition: "evt.type = socket and evt.arg.domain contains AF_INET and fd.num >= 0", fields: ["evt.type": "socket", "fd.type": "ipv4"]),
        Case(words: "direct socket", condition: "evt.type = socket and fd.num >= 0", fields: ["fd.num": 2_147_483_647, "fd.type": "ipv4"]),
        Case(
            words: "connect P", condition: "evt.type = connect and (evt.rawres >= 0 or evt.res = EINPROGRESS) and fd.typechar = 4 and fd.sip = 127.0.0.1 and fd.sport = P",
            fields: ["evt.type": "connect", "fd.sip": .address("127.0.0.1"), "fd.sport": .integer(Int64(port)), "fd.l4proto": "tcp"]),
        Case(
            words: "fixed connect P", condition: "evt.type = connect and fd.sip = 127.0.0.1 and fd.sport = P",
            fields: ["fd.num": 2_147_483_647, "fd.sport": .integer(Int64(port))]),
        Case(
            words: "accept P", condition: "evt.type in (accept, accept4) and fd.num >= 0 and fd.sport = P",
            fields: ["evt.type": "accept4", "fd.sport": .integer(Int64(port)), "fd.is_server": true]),
        Case(
            words: "sendmsg P hello", condition: "evt.type = sendmsg and fd.sip = 127.0.0.1 and fd.sport = P",
            fields: ["evt.buffer": "hello", "fd.sport": .integer(Int64(port)), "fd.l4proto": "udp", "evt.rawres": 5]),
        Case(
            words: "send P hello", condition: "evt.type = sendto and fd.sip = 127.0.0.1 and fd.sport = P",
            fields: ["evt.buffer": "hello", "fd.sport": .integer(Int64(port)), "evt.rawres": 5]),
        Case(
            words: "async send P hello", condition: "evt.type = sendto and fd.sip = 127.0.0.1 and fd.sport = P",
            fields: ["evt.buffer": "hello", "fd.sport": .integer(Int64(port))]),
        // Nobody may ever hear how it ends.
        Case(
            words: "abandoned connect P", condition: "evt.type = connect and evt.res = EINPROGRESS and fd.sip = 127.0.0.1 and fd.sport = P and fd.num > 2",
            fields: ["evt.res": "EINPROGRESS", "fd.sport": .integer(Int64(port)), "fd.l4proto": "tcp"]),
        Case(
            words: "refused connect P", condition: "evt.type = connect and evt.res = ECONNREFUSED and fd.sip = 127.0.0.1 and fd.sport = P",
            fields: ["evt.res": "ECONNREFUSED", "fd.sport": .integer(Int64(port)), "fd.connected": false]),
        Case(
            words: "late send P hello", condition: "evt.type = sendto and evt.rawres = 5 and fd.sport = P and fd.num > 2",
            fields: ["evt.buffer": "hello", "fd.sport": .integer(Int64(port)), "fd.l4proto": "tcp"]),
        Case(
            words: "partial send P first", condition: "evt.type = sendto and evt.rawres > 0 and fd.sport = P and evt.buffer startswith first",
            fields: ["fd.sport": .integer(Int64(port)), "fd.l4proto": "tcp"]),
        Case(
            words: "unread send P hello", condition: "evt.type = sendto and fd.sip = 127.0.0.1 and fd.sport = P and evt.buffer = hello",
            fields: ["evt.buffer": "hello", "fd.l4proto": "udp"]),
        Case(
            words: "changed send P hello", condition: "evt.type = sendto and fd.sip = 127.0.0.1 and fd.l4proto = udp and fd.sport = P",
            fields: ["evt.buffer": "hello", "fd.l4proto": "udp"]),
        Case(words: "bind P", condition: "evt.type = bind and evt.rawres = 0", fields: ["evt.type": "bind", "fd.sport": .integer(Int64(port))], isYoung: true),
        Case(words: "listen", condition: "evt.type = listen and evt.arg.backlog = 3", fields: ["evt.type": "listen", "evt.res": "SUCCESS"], isYoung: true),
    ]

    @Test("each is told as the call that it is, whoever carries it out, and as one of the process that asked for it", arguments: [true, false])
    func all(pushesDown: Bool) throws {
        _ = try folder.file("secret", "")
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/link", withDestinationPath: folder.path + "/secret")
        try FileManager.default.createDirectory(atPath: folder.path + "/" + Self.deep, withIntermediateDirectories: false)
        _ = try folder.file("\(Self.deep)/\(Self.long)", "")
        func filled(_ text: String) -> String { text.replacing("F/", with: folder.path + "/").replacing(" P", with: " \(Self.port)") }
        func filled(_ value: SeenValue) -> SeenValue { if case .bytes(let bytes) = value { .bytes(Array(filled(String(decoding: bytes, as: UTF8.self)).utf8)) } else { value } }
        // Calls that prepare a request are events, too.
        let own = " and evt.is_io_uring = true and proc.name = requester"
        let conditions = Set(Self.cases.map { filled($0.condition) + own })
        let fields = Set(Self.cases.flatMap { $0.fields.keys } + ["proc.pid", "proc.name", "evt.is_io_uring"]).sorted()
        let bench = try Bench(conditions.sorted(), pushesDown: pushesDown, fields: fields)
        #expect(bench.loop.requests.sight.types.count >= 12)

        for one in Self.cases where !one.isYoung || KernelFeatures.release >= (6, 11) {
            let child = try ChildProcess([requester] + one.words.split(separator: " ").map { filled(" \($0)").dropFirst().description })
            let pid = child.pid
            try #require(child.waitForExit() == 0, "\(one.words)")
            let events = bench.events().filter { $0.rule == filled(one.condition) + own }
            guard let event = events.first, events.count == 1 else {
                Issue.record("\(one.words): \(events.count) events")
                continue
            }
            let expected = one.fields.mapValues(filled).merging(["proc.pid": .integer(Int64(pid)), "proc.name": "requester", "evt.is_io_uring": true]) { $1 }
            for (field, value) in expected { #expect(event.fields[field] == value, "\(one.words): \(field) is \(event.fields[field] ?? .absent)") }
        }
        // Where tracepoints can be preempted, now and then a program is passed over, which is counted.
        let passedOver: Set = KernelFeatures.release >= (7, 0) ? ["missed", "exec", "fork", "procexit"] : []
        #expect(bench.loop.kernelCounts().dropped.filter { $0.value > 0 && !passedOver.contains($0.key) } == [:])
    }

    @Test("each connect is told, however many were called off before it", arguments: [true, false])
    func calledOff(pushesDown: Bool) throws {
        let condition = "evt.type = connect and evt.is_io_uring = true and evt.res = EINPROGRESS and fd.sip = 127.0.0.1 and fd.sport = \(Self.port)"
        let bench = try Bench([condition], pushesDown: pushesDown, fields: ["fd.sport"])
        #expect(try run([requester, "again", "connect", "\(Self.port)"]).status == 0)
        #expect(bench.events().map(\.fields) == Array(repeating: ["fd.sport": .integer(Int64(Self.port))], count: 5))
    }

    @Test("what no rule can match stays in the kernel, and what no rule asks for is not looked at")
    func pushDown() throws {
        let (secret, harmless) = (try folder.file("secret", ""), try folder.file("harmless", ""))
        let bench = try Bench(["evt.type in (openat, openat2) and fd.name = \(secret) and proc.name = requester"], pushesDown: true, fields: ["evt.is_io_uring"])
        #expect(bench.loop.requests.sight.types == ["openat", "openat2"])
        let before = bench.loop.kernelCounts()
        for words in [["openat", harmless, "0"], ["async", "openat", harmless, "0"]] { #expect(try run([requester] + words).status == 0) }
        let after = bench.loop.kernelCounts()
        #expect(after.seen["openat", default: 0] >= before.seen["openat", default: 0] + 2)
        #expect(after.passed["openat", default: 0] == before.passed["openat", default: 0])
        #expect(bench.events().isEmpty)
        #expect(try run([requester, "openat", secret, "0"]).status == 0)
        #expect(bench.events().map(\.fields) == [["evt.is_io_uring": true]])
        // Who does it by a call.
        let cat = try run(["sh", "-c", "ln -s /bin/cat \(folder.path)/requester && \(folder.path)/requester \(secret)"])
        #expect(cat.status == 0 && bench.events().map(\.fields) == [["evt.is_io_uring": false]])

        try bench.loop.use(Self.rules(["evt.type = connect and fd.sport = 1"]), ReflexSet())
        try bench.settle()
        #expect(bench.loop.requests.sight.types == ["connect"])
        try bench.loop.use(Self.rules(["evt.type = ptrace"]), ReflexSet())
        try bench.settle()
        #expect(bench.loop.requests.sight.types == [])
    }

    @Test("no reflex acts for a request, and none tells of one: the event comes as any other does, and the agent answers")
    func reflexes() throws {
        let secret = try folder.file("secret", "")
        let condition = "evt.type in (open, openat) and fd.name = \(secret)"
        var reflexes = ReflexSet()
        reflexes.reflexes = [ArmedReflex(playbook: "p", rule: condition, signal: SIGKILL, acts: true)]
        reflexes.budgets = ["p": .init(actions: 10, per: .seconds(60))]
        let bench = try Bench([condition], pushesDown: true, fields: ["evt.is_io_uring"], reflexes: reflexes)
        try #require(bench.loop.armament.armed == reflexes.reflexes)
        for how in ["silent", "async", "polled"] { #expect(try run([requester, how, "openat", secret, "0"]).status == 0) }
        #expect(bench.events().map(\.fields) == Array(repeating: ["evt.is_io_uring": true], count: 3) && bench.notebook.verdicts == [nil, nil, nil])
        #expect(try run(["cat", secret]).status == 128 + SIGKILL)
        #expect(bench.events().map(\.fields) == [["evt.is_io_uring": false]] && bench.notebook.verdicts.last == .sent)
    }

    @Test("a request that waits keeps its names, however many others are tried in vain meanwhile")
    func flood() throws {
        let deep = folder.path + "/" + Self.deep
        try FileManager.default.createDirectory(atPath: deep, withIntermediateDirectories: false)
        try #require(mkfifo(folder.path + "/pipe", 0o600) == 0)
        try FileManager.default.createSymbolicLink(atPath: "\(deep)/\(Self.long)", withDestinationPath: "../pipe")
        let bench = try Bench(
            ["evt.type = openat and evt.is_io_uring = true and fs.path.nameraw endswith \(Self.long)"], pushesDown: false, fields: ["fs.path.nameraw"])
        let lost = bench.loop.kernelCounts().dropped["openat", default: 0]
        #expect(try run([requester, "flood", deep, "300", "\(deep)/\(Self.long)"]).status == 0)
        #expect(bench.events().map(\.fields) == [["fs.path.nameraw": .bytes(Array("\(deep)/\(Self.long)".utf8))]])
        #expect(bench.loop.kernelCounts().dropped["openat", default: 0] == lost)
    }

    @Test("where they cannot be loaded, it is said why, and nothing else ends")
    func refused() throws {
        let noTable = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { close(noTable) }
        let requests = RequestPrograms(maps: ["control": noTable], isTyped: false)
        requests.begin()
        requests.want([try #require(EventType(named: "openat"))])
        #expect(requests.settle(within: .seconds(30)))
        #expect(requests.sight.types == [] && requests.sight.problem?.hasPrefix("could not load the BPF programs for io_uring") == true, "\(requests.sight)")
        requests.end()
    }
}

@Suite("a kernel that lets nobody see requests of io_uring", .enabled(if: canLoadSensor && !KernelFeatures.seesRequests, "this kernel does"))
struct BlindToRequestsTests {
    private final class NoSink: SensorSink {
        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) {}
        func lost(_ events: [String: UInt64]) {}
    }

    @Test("the sensor runs all the same, and says so where a rule asks for them")
    func told() throws {
        func rules(_ condition: String) throws -> RuleSet {
            let text = "[{\"rule\": \"r\", \"desc\": \"d\", \"condition\": \"\(condition)\", \"output\": \"o\", \"priority\": \"INFO\"}]"
            return try #require(RuleSet.load([RuleSet.File(name: "r", text: text)], RulesSettings()).0)
        }
        let loop = try SensorLoop(Sensor.Configuration(), rules("evt.type = ptrace"), ReflexSet(), UnknownContainers(), NoSink(), bell: -1)
        #expect(loop.requests.settle(within: .seconds(30)) && loop.requests.sight == RequestSight())
        try loop.use(rules("evt.type = openat and fd.name = /none"), ReflexSet())
        #expect(loop.requests.settle(within: .seconds(30)))
        #expect(loop.requests.sight.types == [] && loop.requests.sight.problem?.hasPrefix("requests of io_uring are not seen: ") == true)
        #expect(loop.kernelCounts().dropped.values.allSatisfy { $0 == 0 })
    }
}
