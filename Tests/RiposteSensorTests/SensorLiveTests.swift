import Dispatch
import Foundation
import Logging
import RiposteCore
import RiposteRules
import RiposteTestSupport
import Synchronization
import Testing

@testable import RiposteSensor

/// Whether the programs can be loaded here.
let canLoadSensor = Machine.isRoot && KernelFeatures().features.allSatisfy { $0.isThere || !$0.isNeeded }

@Suite("the sensor's thread on the real kernel", .serialized, .enabled(if: canLoadSensor, "needs root and a kernel with BTF and ring buffers"), .timeLimit(.minutes(2)))
struct SensorLiveTests {
    /// Keeps nothing: these tests look at the sensor, not at what it finds.
    private final class NoSink: SensorSink {
        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) {}
        func lost(_ events: [String: UInt64]) {}
    }

    private static func rules(_ condition: String) throws -> RuleSet {
        let text = "[{\"rule\": \"r\", \"desc\": \"d\", \"condition\": \"\(condition)\", \"output\": \"o\", \"priority\": \"INFO\"}]"
        return try #require(RuleSet.load([RuleSet.File(name: "r", text: text)], RulesSettings()).0)
    }

    private static let containers = ContainerDirectory(inspector: nil)

    private func sensor(_ rules: RuleSet) throws(SensorError) -> Sensor {
        var configuration = Sensor.Configuration()
        (configuration.bufferBytes, configuration.stateBufferBytes) = (1 << 20, 1 << 20)
        return try Sensor(configuration, rules: rules, containers: Self.containers, sink: NoSink(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test("orders that come while it stops are answered, whenever they come")
    func stopRace() throws {
        let (one, other) = (try Self.rules("evt.type = openat and fd.name = /none"), try Self.rules("evt.type = connect and fd.sport = 1"))
        for round in 0..<8 {
            let sensor = try sensor(one)
            let isOver = Atomic<Bool>(false)
            let (asking, done) = (DispatchGroup(), DispatchGroup())
            for asker in 0..<4 {
                asking.enter()
                done.enter()
                Thread {
                    var asked = 0
                    // Some orders are given before, some while, some after it ends.
                    while !isOver.load(ordering: .sequentiallyConsistent) || asked < 3 {
                        if asker % 2 == 0 { _ = sensor.kernelCounts() } else { do throws(SensorError) { try sensor.use(asked % 2 == 0 ? other : one) } catch {} }
                        asked += 1
                        if asked == 1 + round % 3 { asking.leave() }
                    }
                    done.leave()
                }.start()
            }
            asking.wait()
            sensor.stop()
            isOver.store(true, ordering: .sequentiallyConsistent)
            #expect(done.wait(timeout: .now() + 20) == .success, "round \(round): an order was never answered")
        }
    }

    @Test("after its end it tells the last counts, takes no rules, and can be told to stop again")
    func afterTheEnd() throws {
        let rules = try Self.rules("evt.type = openat and fd.name = /none")
        let sensor = try sensor(rules)
        _ = try run(["true"])
        sensor.stop()
        let last = sensor.kernelCounts()
        #expect(last.passed["exec", default: 0] > 0 && last == sensor.kernelCounts())
        #expect(throws: SensorError("the sensor has ended")) { try sensor.use(rules) }
        sensor.stop()
    }

    // MARK: - The loop by hand: nobody reads until the test does

    private final class Losses: SensorSink {
        let lost = Mutex<[String: UInt64]>([:])
        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) {}
        func lost(_ events: [String: UInt64]) { lost.withLock { for (type, count) in events { $0[type, default: 0] += count } } }
    }

    private func loop(
        _ condition: String, bufferBytes: Int, stateBufferBytes: Int = Sensor.Configuration().stateBufferBytes, reflexes: ReflexSet = ReflexSet(), sink: any SensorSink
    ) throws -> SensorLoop {
        var configuration = Sensor.Configuration()
        (configuration.bufferBytes, configuration.stateBufferBytes) = (bufferBytes, stateBufferBytes)
        configuration.pushesDown = false
        return try SensorLoop(configuration, Self.rules(condition), reflexes, Self.containers, sink, bell: -1)
    }

    @Test("what finds no room is lost and counted by type; starts and ends of processes have room of their own")
    func overflow() throws {
        let sink = Losses()
        let loop = try loop("evt.type in (open, openat) and fd.name = /none", bufferBytes: 1 << 16, sink: sink)
        try run(["sh", "-c", "i=0; while [ $i -lt 3000 ]; do : < /dev/null; i=$((i+1)); done"])
        for _ in 0..<20 { try run(["true"]) }
        let counts = loop.kernelCounts()
        let dropped = counts.dropped.filter { $0.value > 0 }
        #expect(dropped.keys.allSatisfy { ["open", "openat"].contains($0) } && dropped.values.reduce(0, +) > 1000, "\(dropped)")
        #expect(counts.passed["exec", default: 0] >= 21 && counts.passed["fork", default: 0] >= 21 && counts.passed["procexit", default: 0] >= 21)
        #expect(counts.seen["openat", default: 0] >= counts.passed["openat", default: 0] + counts.dropped["openat", default: 0])
        loop.drain { false }
        loop.look()
        #expect(sink.lost.withLock(\.self).values.reduce(0, +) >= dropped.values.reduce(0, +))
        // With the ring read there is room again.
        let before = loop.kernelCounts().passed["openat", default: 0]
        try run(["sh", "-c", ": < /dev/null"])
        #expect(loop.kernelCounts().passed["openat", default: 0] > before)
    }

    /// Whose facts it was asked to fetch.
    private final class Fetching: ContainerKnowledge {
        let wanted = Mutex<[ByteText]>([])
        func facts(of container: ContainerReference) -> ContainerFacts? { nil }
        func prefetch(_ container: ContainerReference, beganAnew: Bool) { wanted.withLock { $0.append(container.fullID) } }
    }

    @Test("a container's facts are fetched as its first process starts its program, which may have begun outside")
    func firstProgram() throws {
        let id = String(repeating: "c", count: 64)
        let folders = try Self.makeCgroup(id)
        defer { for folder in folders.reversed() { rmdir(folder) } }
        let fetching = Fetching()
        var configuration = Sensor.Configuration()
        (configuration.bufferBytes, configuration.stateBufferBytes) = (1 << 20, 1 << 20)
        let loop = try SensorLoop(configuration, Self.rules("evt.type = connect and fd.sport = 1"), ReflexSet(), fetching, NoSink(), bell: -1)
        #expect(try run(["sh", "-c", "echo $$ > \(folders[1])/cgroup.procs && exec true"]).status == 0)
        loop.drain { false }
        #expect(fetching.wanted.withLock(\.self) == [ByteText(id)])
    }

    /// A cgroup below the one that tests make their own in, on either version of cgroups.
    private static func makeCgroup(_ names: String...) throws -> [String] {
        let root = FileManager.default.fileExists(atPath: "/sys/fs/cgroup/cgroup.procs") ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu"
        let upper = "\(root)/riposte-test-\(UUID().uuidString.prefix(8))"
        let folders = [upper] + names.map { "\(upper)/\($0)" }
        for folder in folders { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
        return folders
    }

    @Test("what kind a cgroup is stands by its own path: where a process went after its call, before anybody read of that, says nothing")
    func movedOn() async throws {
        let folders = try Self.makeCgroup("plain", "docker-\(String(repeating: "d", count: 64)).scope")
        defer { for folder in folders.reversed() { rmdir(folder) } }
        let folder = try TemporaryFolder()
        let (mark, flag) = (try folder.file("mark", ""), folder.path + "/flag")
        let tally = Tally()
        let loop = try SensorLoop(
            Sensor.Configuration(), Self.rules("evt.type in (open, openat) and fd.name = \(mark) and container.id = host"), ReflexSet(), Self.containers, tally, bell: -1)
        func alerts() -> Int {
            loop.drain { false }
            return tally.count.withLock { count in
                defer { count = 0 }
                return count
            }
        }
        let input = Pipe()
        let script = "echo $$ > \(folders[1])/cgroup.procs; : < \(mark); echo $$ > \(folders[2])/cgroup.procs; : > \(flag); read line"
        let child = try ChildProcess(["sh", "-c", script], input: input.fileHandleForReading.fileDescriptor)
        while !FileManager.default.fileExists(atPath: flag) { try #require(child.isRunning) }
        #expect(alerts() == 1)
        // The kernel would drop what it took for a container's.
        for _ in 0..<2 {
            #expect(try run(["sh", "-c", "echo $$ > \(folders[1])/cgroup.procs; : < \(mark)"]).status == 0)
            #expect(alerts() == 1)
        }
        #expect(try run(["sh", "-c", "echo $$ > \(folders[2])/cgroup.procs; : < \(mark)"]).status == 0)
        #expect(alerts() == 0)
        try input.fileHandleForWriting.write(contentsOf: Data("\n".utf8))
        _ = try await child.waitForExit(within: .seconds(20))
    }

    /// Which events came with the path of their cgroup.
    private final class Paths: SensorSink {
        let seen = Mutex<[Bool]>([])
        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) { seen.withLock { $0.append(event.record?[.cgroup] != nil) } }
        func lost(_ events: [String: UInt64]) {}
    }

    /// The cgroups that events came from, as the kernel side numbers them.
    private final class Numbers: SensorSink {
        let seen = Mutex<Set<UInt64>>([])
        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) { seen.withLock { $0.formUnion(event.record.map { [$0.header.pointee.cgroup] } ?? []) } }
        func lost(_ events: [String: UInt64]) {}
    }

    @Test("the number of a cgroup says which hierarchy it is of: each counts for itself")
    func hierarchies() throws {
        let folders = try Self.makeCgroup("plain")
        defer { for folder in folders.reversed() { rmdir(folder) } }
        let lines = try String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8).split(separator: "\n").map { $0.split(separator: ":", omittingEmptySubsequences: false) }
        // A host with the unified one alone has no line of a controller.
        let hierarchy = try #require(UInt64(lines.first { $0[1].split(separator: ",").contains("cpu") }?[0] ?? "0"))
        var facts = stat()
        try #require(stat(folders[1], &facts) == 0)
        let folder = try TemporaryFolder()
        let mark = try folder.file("mark", "")
        let sink = Numbers()
        let loop = try SensorLoop(
            Sensor.Configuration(), Self.rules("evt.type in (open, openat) and fd.name = \(mark)"), ReflexSet(), Self.containers, sink, bell: -1)
        #expect(try run(["sh", "-c", "echo $$ > \(folders[1])/cgroup.procs; : < \(mark)"]).status == 0)
        loop.drain { false }
        #expect(sink.seen.withLock(\.self) == [UInt64(facts.st_ino) | hierarchy << 48])
    }

    @Test("a cgroup that is nested too deep to be told is met once, and not with each event in it")
    func deepCgroup() throws {
        let folders = try Self.makeCgroup(String(repeating: "c", count: 60))
        let deep = (1...70).map { folders[1] + String(repeating: "/d", count: $0) }
        for folder in deep { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false) }
        defer { for folder in (folders + deep).reversed() { rmdir(folder) } }
        let folder = try TemporaryFolder()
        let mark = try folder.file("mark", "")
        let sink = Paths()
        let loop = try SensorLoop(
            Sensor.Configuration(), Self.rules("evt.type in (open, openat) and fd.name = \(mark)"), ReflexSet(), Self.containers, sink, bell: -1)
        for expected in [[true], [false, false]] {
            // A shell that goes there by itself is told of there for the first time with what it opens.
            for _ in expected { #expect(try run(["sh", "-c", "echo $$ > \(deep[69])/cgroup.procs; : < \(mark)"]).status == 0) }
            loop.drain { false }
            #expect(sink.seen.withLock(\.self) == expected)
            sink.seen.withLock { $0 = [] }
        }
    }

    /// Starts many programs while it is told of the first.
    private final class Crowd: SensorSink {
        let isThere = Mutex(false)
        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) {
            guard !isThere.withLock(\.self) else { return }
            isThere.withLock { $0 = true }
            _ = try? run(["sh", "-c", "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done"])
        }
        func lost(_ events: [String: UInt64]) {}
    }

    @Test("what comes while the last events are taken stays in the ring, for the next agent")
    func lastEvents() throws {
        let folder = try TemporaryFolder()
        let mark = try folder.file("mark", "")
        var configuration = Sensor.Configuration()
        configuration.stateBufferBytes = 1 << 19
        let loop = try SensorLoop(
            configuration, Self.rules("evt.type in (open, openat) and fd.name = \(mark)"), ReflexSet(), Self.containers, Crowd(), bell: -1)
        #expect(try run(["sh", "-c", ": < \(mark); for i in 1 2 3 4 5 6 7 8 9; do /bin/true; done"]).status == 0)
        loop.drainLast()
        #expect(!loop.hasMoved)
    }

    /// How many signals of reflexes it was told of, and of how many it was told that nothing more is known.
    private final class Reflexes: SensorSink {
        let seen = Mutex<(told: Int, unrecorded: UInt64, lost: [String: UInt64])>((0, 0, [:]))
        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) {
            guard event.reflex?.verdict == .sent else { return }
            seen.withLock { $0.told += 1 }
        }
        func lost(_ events: [String: UInt64]) { seen.withLock { $0.lost = events } }
        func unrecorded(_ reflexes: [String: UInt64]) { seen.withLock { $0.unrecorded += reflexes["p", default: 0] } }
    }

    @Test("a ring that others have filled still has room for what reflexes do; when even that is full, how many were missed is told")
    func evidence() throws {
        let folder = try TemporaryFolder()
        let victim = folder.path + "/victim"
        try FileManager.default.copyItem(atPath: "/bin/true", toPath: victim)
        var reflexes = ReflexSet()
        reflexes.reflexes = [ArmedReflex(playbook: "p", rule: "r", signal: SIGKILL, acts: true)]
        reflexes.budgets = ["p": .init(actions: 1000, per: .seconds(3600))]
        let sink = Reflexes()
        let loop = try loop("evt.type in (execve, execveat) and proc.exepath = \(victim)", bufferBytes: 1 << 16, stateBufferBytes: 1 << 16, reflexes: reflexes, sink: sink)
        /// As many as were killed; the environment is the same each time, so that each event is as large.
        func killed(_ count: Int) throws -> Int { try (0..<count).count { _ in try run([victim]).status == 128 + SIGKILL } }

        while loop.kernelCounts().dropped["exec", default: 0] < 10 { try run(["true"]) }
        #expect(try killed(1) == 1)
        loop.drain { false }
        loop.look()
        let first = sink.seen.withLock(\.self)
        #expect(first.told == 1 && first.unrecorded == 0)
        #expect(first.lost["exec", default: 0] >= 10)

        // 64 KiB hold no hundred of them.
        #expect(try killed(100) == 100)
        loop.drain { false }
        loop.look()
        let seen = sink.seen.withLock(\.self)
        #expect(seen.unrecorded > 0)
        #expect(seen.told + Int(seen.unrecorded) == 101)
    }

    @Test("a process whose start of another program was lost is known by what it runs now")
    func lostStart() throws {
        let loop = try loop("evt.type = connect and fd.sport = 1", bufferBytes: 1 << 16, stateBufferBytes: 1 << 16, sink: NoSink())
        let input = Pipe()
        let child = try ChildProcess(["sh", "-c", "read line; exec sleep 60"], input: input.fileHandleForReading.fileDescriptor)
        let pid = UInt32(child.pid)
        // It has the name before its start is told, and waits for something once it runs.
        func runs(_ name: String) -> Bool { FileManager.default.contents(atPath: "/proc/\(pid)/comm") == Data("\(name)\n".utf8) && child.status("State:")?.hasPrefix("S") == true }
        while !runs("sh") { try #require(child.isRunning) }
        loop.drain { false }
        let before = try #require(loop.world.processes.process(withPID: pid))
        #expect(String(decoding: before.commandLine, as: UTF8.self).hasPrefix("sh -c"))

        let already = loop.kernelCounts().dropped["exec", default: 0]
        while loop.kernelCounts().dropped["exec", default: 0] == already { try run(["true"]) }
        try input.fileHandleForWriting.write(contentsOf: Data("\n".utf8))
        while !runs("sleep") { try #require(child.isRunning) }
        loop.drain { false }
        loop.look()
        let after = try #require(loop.world.processes.process(withPID: pid))
        #expect(after === before)
        #expect(String(decoding: after.commandLine, as: UTF8.self) == "sleep 60")
    }

    /// Is slow: while it looks at an open, a program starts and ends.
    private final class SlowSink: SensorSink {
        let opens = Mutex(0)
        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) {
            opens.withLock { $0 += 1 }
            _ = try? run(["true"])
        }
        func lost(_ events: [String: UInt64]) {}
    }

    @Test("starts and ends of programs that wait behind a queue of calls, longer than their ring is large, are not lost")
    func relief() throws {
        let sink = SlowSink()
        let loop = try loop("evt.type = openat and fd.name = /dev/null and proc.name = sh", bufferBytes: 4 << 20, stateBufferBytes: 1 << 18, sink: sink)
        try run(["sh", "-c", "i=0; while [ $i -lt 200 ]; do : < /dev/null; i=$((i+1)); done"])
        loop.drain { false }
        let counts = loop.kernelCounts()
        #expect(counts.dropped.filter { $0.value > 0 }.isEmpty, "\(counts.dropped)")
        #expect(sink.opens.withLock(\.self) == 200 && counts.passed["exec", default: 0] >= 200)
        #expect(try TableComparison.differences(loop) == [])
    }

    @Test("after thousands of short lives the table is what /proc is")
    func tableIsProc() throws {
        let loop = try loop("evt.type = connect and fd.sport = 1", bufferBytes: 1 << 20, sink: NoSink())
        let load = try ChildProcess(["sh", "-c", "i=0; while [ $i -lt 3000 ]; do /bin/true; (exit 0) & i=$((i+1)); done; wait"], output: nil, error: nil)
        while load.isRunning { loop.drain { false } }
        #expect(try TableComparison.differences(loop) == [])
        #expect(loop.world.processes.counters.incomplete == 0 && loop.kernelCounts().dropped.values.allSatisfy { $0 == 0 })
        #expect(try TableComparison.wrongParents(loop) == [])
    }

    /// Takes its time.
    private final class Sluggard: SensorSink {
        private let count = Mutex(0)
        let isFlooded = DispatchSemaphore(value: 0)
        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) {
            let count = count.withLock { count in
                count += 1
                return count
            }
            if count == 100 { isFlooded.signal() }
            usleep(1000)
        }
        func lost(_ events: [String: UInt64]) {}
    }

    @Test("it stops while events come faster than anybody takes them")
    func stopInFlood() throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("marked", "")
        var configuration = Sensor.Configuration()
        configuration.bufferBytes = 1 << 16
        let sink = Sluggard()
        let sensor = try Sensor(
            configuration, rules: Self.rules("evt.type in (open, openat) and fd.name = \(file)"), containers: Self.containers, sink: sink,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let flood = try ChildProcess(["sh", "-c", "while :; do : < \(file); done"], output: nil, error: nil)
        defer { flood.signal(SIGKILL) }
        // A sensor that tells nothing fails the test, and does not hold it up for good.
        #expect(sink.isFlooded.wait(timeout: .now() + 20) == .success)
        sensor.stop()
        #expect(flood.isRunning)
    }

    // MARK: - More than the kernel's maps hold

    /// Counts what holds.
    private final class Tally: SensorSink {
        let count = Mutex(0)
        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) { count.withLock { $0 += 1 } }
        func lost(_ events: [String: UInt64]) {}
    }

    @Test("while rules change, each call is judged once, by the ones or the others: there is no moment without")
    func reload() throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("marked", "")
        let (one, other) = (try Self.rules("evt.type = openat and fd.name = \(file)"), try Self.rules("evt.type = openat and fd.name endswith /marked and fd.num >= 0"))
        let sink = Tally()
        let sensor = try Sensor(
            Sensor.Configuration(), rules: one, containers: Self.containers, sink: sink, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let load = try ChildProcess(["sh", "-c", "i=0; while [ $i -lt 20000 ]; do : < \(file); i=$((i+1)); done"], output: nil, error: nil)
        var changes = 0
        while load.isRunning {
            try sensor.use(changes % 2 == 0 ? other : one)
            changes += 1
        }
        sensor.stop()
        #expect(changes > 3)
        #expect(sensor.kernelCounts().dropped.values.allSatisfy { $0 == 0 })
        #expect(sink.count.withLock(\.self) == 20_000)
    }

    @Test("lists that the kernel has no room for are judged here, and take no room from others; other such lists can follow while it runs")
    func longLists() throws {
        func rules(_ prefix: String) throws -> RuleSet {
            let names = (0..<70_000).map { "\(prefix)\($0)" }.joined(separator: ", ")
            let paths = (0..<20_000).map { "/\(prefix)/\($0)" }.joined(separator: ", ")
            let text = """
                - list: names
                  items: [\(names), true]
                - { rule: name, desc: d, condition: evt.type = execve and evt.rawres = 0 and proc.name in (names), output: o, priority: INFO }
                - { rule: path, desc: d, condition: "evt.type = openat and fd.name in (\(paths), /dev/null)", output: o, priority: INFO }
                """
            return try #require(RuleSet.load([RuleSet.File(name: "r", text: text)], RulesSettings()).0)
        }
        let tally = Tally()
        let loop = try SensorLoop(Sensor.Configuration(), rules("a"), ReflexSet(), Self.containers, tally, bell: -1)
        for next in ["b", "c", "d"] {
            loop.drain { false }
            let (before, opened) = (tally.count.withLock(\.self), loop.kernelCounts())
            try run(["sh", "-c", "/bin/true; : < /dev/null"])
            loop.drain { false }
            #expect(tally.count.withLock(\.self) >= before + 2)
            // The paths have found room: others' opens are dropped by the kernel.
            try run(["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do : < /etc/hostname; done"])
            let after = loop.kernelCounts()
            #expect(after.passed["openat", default: 0] - opened.passed["openat", default: 0] < after.seen["openat", default: 0] - opened.seen["openat", default: 0])
            try loop.use(rules(next), ReflexSet())
        }
    }
}
