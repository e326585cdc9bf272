import Foundation
import RiposteCore
import RiposteTestSupport
import Synchronization
import Testing

@testable import RiposteOutputs

/// What becomes of outputs at work when the configuration changes: nothing is lost, nothing comes twice that was settled, and who is not concerned
/// notices nothing.
struct OutputsReloadTests {
    /// A journal in memory, outputs that carry it, and a configuration that can be exchanged.
    private final class Scene: Sendable {
        let spool = MemorySpool()
        let folder: TemporaryFolder
        let clock = HandClock(at: Samples.time)
        let outputs: Outputs
        private let running: Task<Void, Never>

        init(_ first: [Output], spool records: Int = 0) throws {
            folder = try TemporaryFolder()
            for _ in 0..<records { spool.append(Samples.alert("r")) }
            var surroundings = Outputs.Surroundings(
                stateDirectory: folder.path, host: "h", http: Samples.context().http, language: Samples.language, logger: Samples.logger)
            surroundings.clock = clock.ofOutputs
            let outputs = try Outputs(first, spool: spool, surroundings)
            self.outputs = outputs
            running = Task { await outputs.run() }
        }

        func alerts(_ count: Int, _ rule: String = "r") {
            for _ in 0..<count { spool.append(Samples.alert(rule)) }
            outputs.ring()
        }

        func use(_ wanted: [Output]) async throws -> Outputs.Change { try await outputs.use { wanted } }

        func end() async {
            outputs.end()
            await running.value
        }

        func status(_ name: String) -> JSON? { outputs.status.array?.first { $0["name"]?.string?.repaired == name } }
    }

    fileprivate static func output(
        _ name: String, _ destination: RecordingDestination, version: String = "1", grouping: BurstGroups.Settings? = nil, fromStart: Bool = true,
        texts: [String] = []
    ) -> Output {
        Output(
            name: name, destination: destination, grouping: grouping, settings: .init(limits: destination.limits, firstWait: .seconds(60), longestWait: .seconds(60)),
            startsAtBeginning: fromStart, fingerprint: version, texts: texts)
    }

    fileprivate static func taking(_ limits: BatchLimits = .single) -> RecordingDestination {
        RecordingDestination(limits: limits) { DeliveryReport(whole: .delivered, count: $0.count) }
    }

    private static func dead() -> RecordingDestination { RecordingDestination { DeliveryReport(whole: .tryAgain(reason: "no"), count: $0.count) } }

    @Test func theSameGoesOnAndTheChangedGoesOnFromItsCursor() async throws {
        let (same, before, after) = (Self.taking(), Self.taking(), Self.taking())
        let scene = try Scene([Self.output("same", same), Self.output("siem", before)])
        scene.alerts(20)
        try await becomes { same.messages.count == 20 && before.messages.count == 20 }
        let change = try await scene.use([Self.output("same", Self.dead()), Self.output("siem", after, version: "2")])
        #expect(change == Outputs.Change(changed: ["siem"]))
        scene.alerts(20)
        try await becomes { same.messages.count == 40 && after.messages.count == 20 }
        #expect(before.messages.map(\.seq) + after.messages.map(\.seq) == Array(1...40))
        #expect(same.messages.map(\.seq) == Array(1...40), "who is the same is not exchanged, whatever was read")
        await scene.end()
    }

    @Test("a destination that is dead is exchanged at once, and its successor gets all that it did not take")
    func theDeadIsExchanged() async throws {
        let scene = try Scene([Self.output("siem", Self.dead())])
        scene.alerts(10)
        try await becomes { scene.status("siem")?["retried"]?.integer ?? 0 > 0 }
        let after = Self.taking()
        _ = try await scene.use([Self.output("siem", after, version: "2")])
        try await becomes { after.messages.count == 10 }
        #expect(after.messages.map(\.seq) == Array(1...10))
        await scene.end()
    }

    @Test("one that never answers is waited for as long as the grace is, by no other")
    func theHungIsExchanged() async throws {
        let hung = RecordingDestination { batch in
            try? await Task.sleep(for: .seconds(3600))
            return DeliveryReport(whole: .tryAgain(reason: "cancelled"), count: batch.count)
        }
        let (same, after, added) = (Self.taking(), Self.taking(), Self.taking())
        let scene = try Scene([Self.output("siem", hung), Self.output("same", same)])
        scene.alerts(3)
        try await becomes { same.messages.count == 3 && scene.clock.sleepers > 0 }
        async let change = scene.use([Self.output("siem", after, version: "2"), Self.output("same", same), Self.output("new", added)])
        scene.alerts(3)
        try await becomes { same.messages.count == 6 && added.messages.count == 6 }
        #expect(after.messages.isEmpty && scene.outputs.names == ["siem", "same", "new"], "while it is waited for, playbooks find it")
        let began = scene.clock.uptime
        try await becomes {
            scene.clock.advance(by: .milliseconds(100))
            return after.messages.count == 6
        }
        #expect(scene.clock.uptime - began >= .milliseconds(1900), "the grace, less what was under way before")
        #expect(try await change == Outputs.Change(added: ["new"], changed: ["siem"]))
        #expect(after.messages.map(\.seq) == Array(1...6))
        #expect(scene.outputs.status.array?.map { $0["name"] } == ["siem", "same", "new"], "in the order of the file")
        await scene.end()
    }

    @Test("what the old one says and what the new one says is known all the time that one takes the place of the other")
    func textsOfEither() async throws {
        let hung = RecordingDestination { batch in
            try? await Task.sleep(for: .seconds(3600))
            return DeliveryReport(whole: .tryAgain(reason: "cancelled"), count: batch.count)
        }
        let scene = try Scene([Self.output("siem", hung, texts: ["old"])])
        #expect(Set(scene.outputs.texts) == ["old"])
        scene.alerts(1)
        try await becomes { scene.clock.sleepers > 0 }
        async let change = scene.use([Self.output("siem", Self.taking(), version: "2", texts: ["new"])])
        try await becomes { Set(scene.outputs.texts) == ["old", "new"] }
        try await becomes {
            scene.clock.advance(by: .milliseconds(100))
            return Set(scene.outputs.texts) == ["new"]
        }
        _ = try await change
        _ = try await scene.use([])
        #expect(scene.outputs.texts == [])
        await scene.end()
    }

    /// A library that never returns, or a file on a file system that is gone: to be cancelled means nothing to it.
    private final class Stuck: Sendable {
        private let waiting = Mutex<[CheckedContinuation<Void, Never>]>([])
        private let calls = Mutex(0)

        func destination() -> RecordingDestination {
            RecordingDestination(limits: BatchLimits(count: 1, deadline: .seconds(30))) { batch in
                self.calls.withLock { $0 += 1 }
                await withCheckedContinuation { continuation in self.waiting.withLock { $0.append(continuation) } }
                return DeliveryReport(whole: .delivered, count: batch.count)
            }
        }

        var count: Int { calls.withLock(\.self) }

        func letGo() {
            for continuation in waiting.withLock({ held in
                defer { held = [] }; return held
            }) { continuation.resume() }
        }
    }

    @Test("one that cannot even be ended holds up no reload and no end, and says that it hangs")
    func theStuckIsLeftAlone() async throws {
        let (stuck, same, after, added) = (Stuck(), Self.taking(), Self.taking(), Self.taking())
        let scene = try Scene([Self.output("siem", stuck.destination()), Self.output("same", same)])
        scene.alerts(3)
        func passing(_ condition: @Sendable () -> Bool) async throws {
            try await becomes {
                scene.clock.advance(by: .milliseconds(500))
                return condition()
            }
        }
        try await passing { scene.status("siem")?["state"] == "hangs" }
        #expect(scene.status("siem")?["last_error"]?["reason"]?.string?.repaired.hasPrefix("it hangs") == true)
        #expect(await scene.outputs.test("siem")?.report.fates.first != .delivered, "a test is answered, and not handed over beside it")
        for _ in 0..<600 { scene.clock.advance(by: .seconds(1)) }
        #expect(stuck.count == 1, "nothing else is handed over to it")
        await scene.outputs.reopen()

        #expect(try await scene.use([Self.output("siem", stuck.destination(), version: "2"), Self.output("same", same)]) == Outputs.Change(changed: ["siem"]))
        try await passing { scene.status("siem")?["state"] == "hangs" && stuck.count == 2 }
        let change = try await scene.use([Self.output("siem", after, version: "3"), Self.output("same", same), Self.output("new", added, fromStart: false)])
        #expect(change == Outputs.Change(added: ["new"], changed: ["siem"]))
        scene.alerts(2)
        try await becomes { after.messages.count == 5 && same.messages.count == 5 && added.messages.count == 2 }
        #expect(scene.status("siem")?["state"] == "ok")
        _ = try await scene.use([Self.output("siem", stuck.destination(), version: "4")])
        scene.alerts(1)
        try await passing { scene.status("siem")?["state"] == "hangs" }
        await scene.end()
        stuck.letGo()
    }

    @Test("what comes back after all counts: it is not sent a second time")
    func theStuckComesBack() async throws {
        let stuck = Stuck()
        let scene = try Scene([Self.output("siem", stuck.destination())])
        scene.alerts(1)
        try await becomes {
            scene.clock.advance(by: .milliseconds(500))
            return scene.status("siem")?["state"] == "hangs"
        }
        stuck.letGo()
        try await becomes { scene.status("siem")?["state"] == "ok" && scene.status("siem")?["acknowledged"] == 1 }
        #expect(stuck.count == 1 && scene.status("siem")?["sent"] == 1)
        await scene.end()
    }

    @Test("who is taken out gets what was there, leaves its cursor, and goes on from it when it is back")
    func takenOutAndBack() async throws {
        let (first, second) = (Self.taking(), Self.taking())
        let scene = try Scene([Self.output("siem", first), Self.output("same", Self.taking())])
        scene.alerts(5)
        try await becomes { first.messages.count == 5 }
        #expect(try await scene.use([Self.output("same", Self.taking())]) == Outputs.Change(removed: ["siem"]))
        #expect(scene.outputs.names == ["same"])
        #expect(await scene.outputs.test("siem") == nil)
        scene.alerts(5)
        _ = try await scene.use([Self.output("siem", second, fromStart: false), Self.output("same", Self.taking())])
        try await becomes { second.messages.count == 5 }
        #expect(second.messages.map(\.seq) == Array(6...10))
        await scene.end()
    }

    @Test("from none to one, which begins now, and to none again")
    func fromNoneAndBack() async throws {
        let scene = try Scene([], spool: 7)
        #expect(scene.outputs.isEmpty)
        let added = Self.taking()
        #expect(try await scene.use([Self.output("siem", added, fromStart: false)]) == Outputs.Change(added: ["siem"]))
        scene.alerts(2)
        try await becomes { added.messages.map(\.seq) == [8, 9] }
        #expect(try await scene.use([]) == Outputs.Change(removed: ["siem"]))
        #expect(scene.outputs.isEmpty && scene.outputs.status == [])
        scene.alerts(2)
        let again = Self.taking()
        _ = try await scene.use([Self.output("siem", again, fromStart: false)])
        try await becomes { again.messages.map(\.seq) == [10, 11] }
        await scene.end()
    }

    @Test func whatIsWrongChangesNothing() async throws {
        let siem = Self.taking()
        let scene = try Scene([Self.output("siem", siem)])
        let problems = Diagnostics([Diagnostic(code: "C003", file: "f", message: "m")])
        await #expect(throws: Diagnostics.self) { try await scene.outputs.use { throw problems } }
        scene.alerts(3)
        try await becomes { siem.messages.count == 3 }
        #expect(scene.outputs.names == ["siem"])
        await scene.end()
    }

    @Test("bursts are carried over; where they are grouped otherwise from now on, what was counted is told at once", arguments: [true, false])
    func bursts(_ isSame: Bool) async throws {
        func grouping(_ name: String) -> BurstGroups.Settings {
            let rule: OutputLanguage.Expression = { .string($0.rule) }
            return BurstGroups.Settings(by: [(name: name, value: rule)], summaryEvery: .seconds(300))
        }
        let (before, after) = (Self.taking(), Self.taking())
        let scene = try Scene([Self.output("siem", before, grouping: grouping("rule"))])
        scene.alerts(10)
        try await becomes { before.messages.count == 1 && scene.status("siem")?["acknowledged"] == 10 }
        _ = try await scene.use([Self.output("siem", after, version: "2", grouping: isSame ? grouping("rule") : nil)])
        scene.alerts(1)
        if isSame {
            try await becomes { scene.status("siem")?["acknowledged"] == 11 }
            #expect(after.messages.isEmpty)
            await scene.end()
            #expect(after.messages.map { "\($0.title)" } == ["r: 10 more"])
        } else {
            try await becomes { after.messages.count == 2 }
            #expect(after.messages.map { "\($0.title)" } == ["r: 9 more", "r"])
            await scene.end()
        }
    }

    @Test("a cursor that is not on the disk is handed over all the same")
    func noDisk() async throws {
        let (before, after) = (Self.taking(), Self.taking())
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path + "/siem.cursor.new", withIntermediateDirectories: true)
        let spool = MemorySpool()
        for _ in 1...3 { spool.append(Samples.alert("r")) }
        let recent = RecentRecords(spool, from: SpoolPlace(seq: 1), logger: Samples.logger)
        let clock = HandClock(at: Samples.time)
        func courier(_ output: Output, after predecessor: Courier? = nil) -> Courier {
            Courier(
                output, spool: spool, recent: recent, beginning: try? spool.last(), after: predecessor, folder: folder.path, host: "h", clock: clock.ofOutputs, seed: 1,
                logger: Samples.logger)
        }
        let first = courier(Self.output("siem", before))
        first.end()
        await first.run()
        spool.append(Samples.alert("r"))
        recent.pull()
        let second = courier(Self.output("siem", after, fromStart: false), after: first)
        second.end()
        await second.run()
        #expect(before.messages.map(\.seq) == [1, 2, 3] && after.messages.map(\.seq) == [4])
        #expect(first.status["problem"]?.string?.repaired.contains("the cursor is not on the disk") == true)
    }

    @Test("what many bursts make of the cursor is written more rarely, however many alerts come")
    func largeCursor() async throws {
        let grouping = BurstGroups.Settings(by: [(name: "proc.cmdline", value: { $0[field: "proc.cmdline"] })], summaryEvery: .seconds(86400))
        let scene = try Scene([Self.output("siem", Self.taking(BatchLimits(count: 1000)), grouping: grouping)])
        let path = scene.folder.path + "/outputs/siem.cursor"
        func commands(_ numbers: ClosedRange<Int>) {
            for number in numbers {
                let command = "\(number) " + "z".repeated(240)
                for _ in 1...4 { scene.spool.append(Samples.alert("r", fields: ["proc.cmdline": .text(command)], output: "y".repeated(500))) }
            }
            scene.outputs.ring()
        }
        commands(1...700)
        try await becomes { scene.status("siem")?["acknowledged"] == 2800 }
        var written: [Int64: Int] = [:]
        for step in 1...100 {
            scene.clock.advance(by: .milliseconds(100))
            commands(1...1)
            try await becomes { scene.status("siem")?["acknowledged"] == .integer(Int64(2800 + 4 * step)) }
            let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
            if let seq = try JSON(parsing: bytes)["seq"]?.integer { written[seq] = bytes.count }
        }
        let largest = written.values.max() ?? 0
        #expect(largest > 1 << 20, "the first look may have found a small one")
        #expect(written.values.reduce(0, +) <= 2 * largest + 10 * 256 << 10, "in ten seconds, at a quarter of a MiB each: \(written)")
        await scene.end()
    }

    @Test("a cursor that cannot be read is no reason to begin anew, nor to write one: all is sent from it once it can be")
    func unreadableCursor() async throws {
        let (siem, spool, folder, clock) = (Self.taking(), MemorySpool(), try TemporaryFolder(), HandClock(at: Samples.time))
        for _ in 1...5 { spool.append(Samples.alert("r")) }
        let path = folder.path + "/siem.cursor"
        // The kernel refuses to read a folder, to root too.
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let recent = RecentRecords(spool, from: SpoolPlace(seq: 1), logger: Samples.logger)
        recent.pull()
        func courier(after predecessor: Courier? = nil) throws -> Courier {
            Courier(
                Self.output("siem", siem, fromStart: false), spool: spool, recent: recent, beginning: try spool.last(), after: predecessor, folder: folder.path, host: "h",
                clock: clock.ofOutputs, seed: 1, logger: Samples.logger)
        }
        let first = try courier()
        first.end()
        await first.run()
        let second = try courier(after: first)
        #expect(second.status["state"] == "down" && second.status["problem"]?.string?.repaired.contains("cannot be read") == true, "\(second.status)")
        async let running: Void = second.run()
        try await becomes { clock.sleepers > 0 }
        #expect(siem.messages.isEmpty)
        var isFolder: ObjCBool = false
        #expect(FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue, "it was left alone")
        try FileManager.default.removeItem(atPath: path)
        _ = try folder.file("siem.cursor", #"{"seq":2,"hash":"\#(OutputMessage.digest(of: "record 2"))","segment":1,"offset":200}"#)
        try await becomes {
            clock.advance(by: .seconds(1))
            return siem.messages.count == 3
        }
        #expect(siem.messages.map(\.seq) == [3, 4, 5])
        #expect(second.status["state"] == "ok" && second.status["problem"] == nil, "\(second.status)")
        second.end()
        await running
    }

    /// A journal that cannot be read for a while: no descriptor is left, say.
    private final class MoodySpool: Spool {
        let inner = MemorySpool()
        let isReadable = Mutex(false)

        func read(_ place: inout SpoolPlace, count: Int, bytes: Int) throws -> [SpoolRecord] {
            guard isReadable.withLock(\.self) else { throw OutputFileError("open the journal", EMFILE) }
            return try inner.read(&place, count: count, bytes: bytes)
        }
        func bytes(behind place: SpoolPlace) -> Int { inner.bytes(behind: place) }
        func last() throws -> SpoolRecord? { try inner.last() }
    }

    @Test("a journal that cannot be read is not taken for another one")
    func unreadableJournal() async throws {
        let (siem, spool, folder, clock) = (Self.taking(), MoodySpool(), try TemporaryFolder(), HandClock(at: Samples.time))
        for _ in 1...5 { spool.inner.append(Samples.alert("r")) }
        let text = #"{"seq":3,"hash":"\#(OutputMessage.digest(of: "record 3"))","segment":1,"offset":300}"#
        let path = try folder.file("siem.cursor", text)
        let recent = RecentRecords(spool, from: SpoolPlace(seq: 1), logger: Samples.logger)
        let courier = Courier(
            Self.output("siem", siem), spool: spool, recent: recent, beginning: try spool.last(), folder: folder.path, host: "h", clock: clock.ofOutputs, seed: 1,
            logger: Samples.logger)
        async let running: Void = courier.run()
        try await becomes { clock.sleepers > 0 }
        #expect(courier.status["state"] == "down")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
        spool.isReadable.withLock { $0 = true }
        try await becomes {
            clock.advance(by: .seconds(1))
            return siem.messages.count == 2
        }
        #expect(siem.messages.map(\.seq) == [4, 5])
        courier.end()
        await running
    }

    @Test("a summary that is due comes while the journal cannot be read, too")
    func summaryOfUnreadableJournal() async throws {
        let (siem, spool, folder, clock) = (Self.taking(), MoodySpool(), try TemporaryFolder(), HandClock(at: Samples.time))
        let grouping = BurstGroups.Settings(by: [(name: "rule", value: { .string($0.rule) })], summaryEvery: .seconds(60))
        spool.isReadable.withLock { $0 = true }
        for _ in 1...10 { spool.inner.append(Samples.alert("r")) }
        let recent = RecentRecords(spool, from: SpoolPlace(seq: 1), logger: Samples.logger)
        recent.pull()
        let courier = Courier(
            Self.output("siem", siem, grouping: grouping), spool: spool, recent: recent, beginning: nil, folder: folder.path, host: "h", clock: clock.ofOutputs, seed: 1,
            logger: Samples.logger)
        async let running: Void = courier.run()
        try await becomes { courier.status["acknowledged"] == 10 }
        spool.isReadable.withLock { $0 = false }
        spool.inner.append(Samples.alert("s"))
        recent.pull()
        try await becomes { courier.status["problem"]?.string?.repaired.contains("the journal cannot be read") == true }
        try await becomes {
            clock.advance(by: .seconds(1))
            return siem.messages.count == 2
        }
        #expect(siem.messages.map { "\($0.title)" } == ["r", "r: 9 more"])
        spool.isReadable.withLock { $0 = true }
        try await becomes {
            clock.advance(by: .seconds(1))
            return siem.messages.count == 3
        }
        #expect("\(siem.messages[2].title)" == "s" && courier.status["problem"] == nil)
        courier.end()
        await running
    }

    @Test("what is settled of a batch comes to the disk while the rest waits for its destination")
    func partOnTheDisk() async throws {
        let busy = RecordingDestination(limits: BatchLimits(count: 10)) { batch in DeliveryReport(batch.map { $0.seq <= 5 ? .delivered : .tryAgain(reason: "busy") }) }
        let scene = try Scene([Self.output("siem", busy)])
        scene.alerts(10)
        try await becomes { scene.status("siem")?["acknowledged"] == 5 }
        let path = scene.folder.path + "/outputs/siem.cursor"
        try await becomes {
            // The next try is half a minute away, at least.
            if scene.clock.uptime < .seconds(10) { scene.clock.advance(by: .seconds(1)) }
            return try JSON(parsing: Array(Data(contentsOf: URL(fileURLWithPath: path))))["seq"] == 5
        }
        await scene.end()
    }

    @Test("many changes at a time come one after the other, and the last one that was read is in force")
    func oneAfterTheOther() async throws {
        let all = Self.taking()
        let scene = try Scene([Self.output("siem", all)])
        let reader = Reader(all)
        await withTaskGroup { group in
            for number in 1...20 {
                group.addTask { _ = try? await scene.outputs.use { reader.read(number) } }
                scene.alerts(5)
            }
        }
        #expect(scene.outputs.names == ["siem", "n\(reader.last)"])
        try await becomes { all.messages.count >= 100 }
        #expect(Set(all.messages.map(\.seq)) == Set(1...100))
        await scene.end()
    }

    /// A file that is another one each time.
    private final class Reader: Sendable {
        private let siem: RecordingDestination
        private let number = Mutex(0)

        init(_ siem: RecordingDestination) { self.siem = siem }

        var last: Int { number.withLock(\.self) }

        func read(_ number: Int) -> [Output] {
            self.number.withLock { $0 = number }
            return [OutputsReloadTests.output("siem", siem, version: "v\(number)"), OutputsReloadTests.output("n\(number)", OutputsReloadTests.taking())]
        }
    }

    /// Secrets from files, and certificates, are a part of what an output is.
    @Test func whatMakesADifference() throws {
        func print(_ keys: SettingsValue, secret: String) -> String? {
            let secrets = SecretSource(environment: { _ in nil }, file: { _ in Array(secret.utf8) })
            let settings = Samples.settings(keys, secrets: secrets)
            return Output.read(settings, name: "siem", Samples.context())?.fingerprint
        }
        let keys: SettingsValue = ["name": "siem", "type": "http", "url": ["file": "/run/url"]]
        let first = try #require(print(keys, secret: "http://a.example/1"))
        #expect(first == print(keys, secret: "http://a.example/1"))
        #expect(first != print(keys, secret: "http://a.example/2"))
        #expect(first != print(["name": "siem", "type": "http", "url": ["file": "/run/url"], "send": "both"], secret: "http://a.example/1"))
        #expect(!first.contains("a.example"))
    }

    @Test("what stands in a file that is named makes a difference too", arguments: ["ca.crt", "user.creds"])
    func whatFilesMakeADifference(_ file: String) throws {
        let folder = try TemporaryFolder()
        func print(_ text: String) throws -> String {
            let path = try folder.file(file, text)
            let place = SettingsValue(.scalar(file == "ca.crt" ? folder.path : path, isPlain: true))
            let keys: SettingsValue =
                file == "ca.crt"
                ? ["type": "kubernetes", "url": "https://10.0.0.1", "service_account": place] : ["type": "nats", "servers": "nats://n.example:4222", "credentials": place]
            return try #require(Output.read(Samples.settings(keys), name: "siem", Samples.context())?.fingerprint)
        }
        let first = try print("one")
        #expect(try print("one") == first)
        #expect(try print("two") != first)
    }
}

extension HandClock {
    /// As outputs want it.
    var ofOutputs: OutputClock {
        let begin = ContinuousClock.now
        return OutputClock(
            now: { Moment(instant: begin + self.uptime, wall: self.now) }, sleep: { end in try? await self.sleep(end - (begin + self.uptime)) })
    }
}

/// Waits until tasks have brought something about, and no longer than half a minute.
func becomes(_ condition: () throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let isSo = try await Service.comesAbout(condition)
    if !isSo { Issue.record("it never came to be", sourceLocation: sourceLocation) }
}
