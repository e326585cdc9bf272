import Foundation
import RiposteCore
import RiposteTestSupport
import Synchronization
import Testing

@testable import RiposteOutputs

/// A courier on a journal in memory: what arrives, and what the cursor makes of a restart.
struct CourierTests {
    /// One destination's life, over several starts.
    final class Scene: Sendable {
        let spool = MemorySpool()
        let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        /// Carries until all that is in the journal is settled, or the destination does not take it.
        func run(
            _ destination: RecordingDestination, route: Route = Route(), grouping: BurstGroups.Settings? = nil, spoolBytes: Int = 1 << 30, fromStart: Bool = true,
            retries: Duration = .milliseconds(1), clock: OutputClock = .system
        ) async throws -> JSON {
            let output = Output(
                name: "siem", destination: destination, route: route, grouping: grouping,
                settings: .init(limits: destination.limits, firstWait: retries, longestWait: retries), spoolBytes: spoolBytes, startsAtBeginning: fromStart)
            let recent = RecentRecords(spool, from: SpoolPlace(seq: 1), logger: Samples.logger)
            recent.pull()
            let courier = Courier(
                output, spool: spool, recent: recent, beginning: try spool.last(), folder: folder.path, host: "h", clock: clock, seed: 1, logger: Samples.logger)
            courier.end()
            await courier.run()
            return courier.status
        }

        func alerts(_ count: Int, rule: String = "r") { for _ in 0..<count { spool.append(Samples.alert(rule, at: .now())) } }
    }

    @Test func carriesAllInOrder() async throws {
        let scene = try Scene()
        scene.alerts(1000)
        let destination = RecordingDestination(limits: BatchLimits(count: 70)) { DeliveryReport(whole: .delivered, count: $0.count) }
        let status = try await scene.run(destination)
        #expect(destination.messages.map(\.seq) == Array(1...1000))
        #expect(status["sent"] == 1000)
        #expect(status["behind"] == 0)
    }

    @Test func aRestartGoesOnWhereItLeftOff() async throws {
        let scene = try Scene()
        scene.alerts(5)
        _ = try await scene.run(RecordingDestination { DeliveryReport(whole: .delivered, count: $0.count) })
        scene.alerts(3)
        let second = RecordingDestination { DeliveryReport(whole: .delivered, count: $0.count) }
        _ = try await scene.run(second)
        #expect(second.messages.map(\.seq) == [6, 7, 8])
    }

    @Test func whatADeadDestinationMissedComesWhenItIsBack() async throws {
        let scene = try Scene()
        scene.alerts(5)
        let dead = RecordingDestination { DeliveryReport(whole: .tryAgain(reason: "refused"), count: $0.count) }
        let status = try await scene.run(dead, retries: .seconds(60))
        #expect(status["state"] == "retrying")
        #expect(status["behind"] == 5)
        scene.alerts(5)
        let back = RecordingDestination { DeliveryReport(whole: .delivered, count: $0.count) }
        _ = try await scene.run(back)
        #expect(back.messages.map(\.seq) == Array(1...10))
    }

    /// What is settled of a batch is settled, whatever becomes of the rest.
    @Test(arguments: [1, 10])
    func aRestartSendsNothingTwiceOfABatchThatWasSettledInPart(_ count: Int) async throws {
        let scene = try Scene()
        scene.alerts(20)
        let first = RecordingDestination(limits: BatchLimits(count: count)) { batch in
            DeliveryReport(batch.map { $0.seq <= 5 ? .delivered : .tryAgain(reason: "busy") })
        }
        let status = try await scene.run(first, retries: .seconds(60))
        #expect(first.messages.map(\.seq) == Array(1...5) && status["acknowledged"] == 5 && status["behind"] == 15)
        let second = RecordingDestination(limits: BatchLimits(count: count)) { DeliveryReport(whole: .delivered, count: $0.count) }
        _ = try await scene.run(second)
        #expect(second.messages.map(\.seq) == Array(6...20))
    }

    /// The end cuts a call short, and what was done by then counts, if it is all of a batch, too.
    @Test(arguments: [3, 5])
    func aRestartSendsNothingTwiceThatWasSettledAtTheEnd(_ settled: Int) async throws {
        let scene = try Scene()
        scene.alerts(5)
        let isAsked = Mutex(false)
        let slow = RecordingDestination(limits: BatchLimits(count: 10)) { batch in
            isAsked.withLock { $0 = true }
            try? await Task.sleep(for: .seconds(3600))
            return DeliveryReport(batch.map { $0.seq <= settled ? .delivered : .tryAgain(reason: "no time") })
        }
        let running = Task { try await scene.run(slow, retries: .seconds(60)) }
        try await becomes { isAsked.withLock(\.self) }
        running.cancel()
        #expect(try await running.value["acknowledged"] == .integer(Int64(settled)))
        let second = RecordingDestination(limits: BatchLimits(count: 10)) { DeliveryReport(whole: .delivered, count: $0.count) }
        _ = try await scene.run(second)
        #expect(slow.messages.map(\.seq) + second.messages.map(\.seq) == Array(1...5))
    }

    @Test("what lies between messages moves the cursor with them, and a count of a burst stays with its record", arguments: [false, true])
    func aRestartInBetween(_ isGrouped: Bool) async throws {
        let scene = try Scene()
        for number in 1...40 { scene.alerts(1, rule: number % 4 == 0 ? "told \(number)" : "other") }
        var route = Route(Samples.settings(["rules": ["told *"]]))
        route.content = .alerts
        let grouping = isGrouped ? BurstGroups.Settings(by: [(name: "rule", value: { .string($0.rule) })], summaryEvery: .seconds(300)) : nil
        let first = RecordingDestination { batch in DeliveryReport(batch.map { $0.seq <= 24 ? .delivered : .tryAgain(reason: "busy") }) }
        let status = try await scene.run(first, route: route, grouping: grouping, retries: .seconds(60))
        #expect(status["acknowledged"] == (isGrouped ? 16 : 27))
        let second = RecordingDestination { DeliveryReport(whole: .delivered, count: $0.count) }
        _ = try await scene.run(second, route: route, grouping: grouping)
        #expect(second.messages.map(\.seq) == (isGrouped ? [20, 24] : []) + [28, 32, 36, 40])
    }

    @Test func aNewDestinationBeginsNow() async throws {
        let scene = try Scene()
        scene.alerts(5)
        let first = RecordingDestination { DeliveryReport(whole: .delivered, count: $0.count) }
        _ = try await scene.run(first, fromStart: false)
        scene.alerts(2)
        _ = try await scene.run(first, fromStart: false)
        #expect(first.messages.map(\.seq) == [6, 7])
    }

    @Test(arguments: [("nonsense", "its cursor was damaged"), (#"{"seq":3,"hash":"00","segment":1,"offset":300}"#, "the journal is not the one")])
    func aCursorThatFitsNotBeginsAnew(_ text: String, _ problem: String) async throws {
        let scene = try Scene()
        scene.alerts(5)
        _ = try scene.folder.file("siem.cursor", text)
        let destination = RecordingDestination { DeliveryReport(whole: .delivered, count: $0.count) }
        let status = try await scene.run(destination)
        #expect(destination.messages.map(\.seq) == Array(1...5))
        #expect(status["problem"]?.string?.repaired.hasPrefix(problem) == true)
    }

    /// A power cut took the journal's last records, which the cursor knew already.
    @Test func aJournalThatWasCutGoesOnFromTheCursorBefore() async throws {
        let scene = try Scene()
        scene.alerts(3)
        let known = OutputMessage.digest(of: "record 2")
        _ = try scene.folder.file("siem.cursor", #"{"seq":9,"hash":"99","segment":1,"offset":900,"before":{"seq":2,"hash":"\#(known)","segment":1,"offset":200}}"#)
        let destination = RecordingDestination { DeliveryReport(whole: .delivered, count: $0.count) }
        _ = try await scene.run(destination)
        #expect(destination.messages.map(\.seq) == [3])
    }

    @Test func whatIsRejectedIsSetAside() async throws {
        let scene = try Scene()
        scene.alerts(4)
        let destination = RecordingDestination(limits: BatchLimits(count: 10)) { batch in
            DeliveryReport(whole: batch.contains { $0.seq == 3 } ? .rejected(reason: "status 400: \u{1B}[31mbad") : .delivered, count: batch.count)
        }
        let status = try await scene.run(destination)
        #expect(destination.messages.map(\.seq) == [1, 2, 4])
        #expect(status["dead"] == 1)
        let lines = try String(contentsOfFile: scene.folder.path + "/siem.dead.jsonl", encoding: .utf8).split(separator: "\n")
        let letter = try JSON(parsing: Array((lines.first ?? "").utf8))
        #expect(letter["seq"] == 3)
        #expect(letter["reason"] == #"status 400: \x1b[31mbad"#)
        #expect(letter["message"]?["rule"] == "r")
    }

    /// As long as a full disk does not take what was rejected, a restart sends it again.
    @Test func aDeadLetterIsLostToNoFullDisk() async throws {
        let scene = try Scene()
        scene.alerts(2)
        func rejecting() -> RecordingDestination { RecordingDestination { DeliveryReport(whole: .rejected(reason: "bad"), count: $0.count) } }
        _ = try await scene.run(RecordingDestination { DeliveryReport(whole: .delivered, count: $0.count) })
        let path = scene.folder.path + "/siem.dead.jsonl"
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/dev/full")
        scene.alerts(3)
        let status = try await scene.run(rejecting())
        #expect(status["dead"] == 3 && status["problem"]?.string?.repaired.contains("dead letters are not on the disk") == true, "\(status)")
        try FileManager.default.removeItem(atPath: path)
        let again = try await scene.run(rejecting())
        #expect(again["problem"] == nil)
        let letters = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { try JSON(parsing: Array($0.utf8))["seq"] }
        #expect(letters == [3, 4, 5])
    }

    @Test func whatLiesTooFarBackIsSkippedAndCounted() async throws {
        let scene = try Scene()
        scene.alerts(100)
        let destination = RecordingDestination { DeliveryReport(whole: .delivered, count: $0.count) }
        let status = try await scene.run(destination, spoolBytes: 1000)
        #expect(status["shed"]?.integer.map { $0 > 0 } == true)
        #expect((status["shed"]?.integer ?? 0) + Int64(destination.messages.count) == 100)
    }

    /// Of what is skipped, what was counted before is told all the same.
    @Test func aSummaryThatIsDueIsSkippedWithNothing() async throws {
        let scene = try Scene()
        scene.alerts(110)
        let grouping = BurstGroups.Settings(by: [(name: "rule", value: { .string($0.rule) })], summaryEvery: .milliseconds(1))
        let destination = RecordingDestination(limits: BatchLimits(count: 1, deadline: .seconds(3600))) { DeliveryReport(whole: .delivered, count: $0.count) }
        // Whenever somebody looks, it is later.
        let looks = Mutex(0)
        let began = OutputClock.system.now()
        let clock = OutputClock(
            now: {
                let past = Duration.milliseconds(
                    looks.withLock { looks in
                        looks += 10
                        return looks
                    })
                return Moment(instant: began.instant + past, wall: began.wall + past)
            }, sleep: { _ in await Task.yield() })
        let status = try await scene.run(destination, grouping: grouping, spoolBytes: 1000, clock: clock)
        #expect(status["shed"] == 1)
        #expect(destination.messages.compactMap { $0.summary?.count }.reduce(0, +) == 109, "\(destination.messages.map { "\($0.title)" })")
    }

    @Test func anEndTellsOfBurstsAndARestartBeginsNewOnes() async throws {
        let scene = try Scene()
        let grouping = BurstGroups.Settings(by: [(name: "rule", value: { .string($0.rule) })], summaryEvery: .seconds(300))
        scene.alerts(10)
        let destination = RecordingDestination { DeliveryReport(whole: .delivered, count: $0.count) }
        _ = try await scene.run(destination, grouping: grouping)
        #expect(destination.messages.map { "\($0.title)" } == ["r", "r: 9 more"])
    }

    /// What was counted while the destination was away is told when it is back, after a restart in between.
    @Test func aBurstSurvivesARestart() async throws {
        let scene = try Scene()
        let grouping = BurstGroups.Settings(by: [(name: "rule", value: { .string($0.rule) })], summaryEvery: .seconds(300))
        scene.alerts(10)
        let dead = RecordingDestination { DeliveryReport(whole: .tryAgain(reason: "no"), count: $0.count) }
        _ = try await scene.run(dead, grouping: grouping, retries: .seconds(60))
        let back = RecordingDestination { DeliveryReport(whole: .delivered, count: $0.count) }
        _ = try await scene.run(back, grouping: grouping)
        #expect(back.messages.map { "\($0.title)" } == ["r", "r: 9 more"])
    }

    @Test func aTestGoesPastWhatWaits() async throws {
        let scene = try Scene()
        scene.alerts(5)
        let destination = RecordingDestination { batch in
            DeliveryReport(whole: batch.first?.kind == .test ? .delivered : .tryAgain(reason: "no"), count: batch.count, answer: "ok")
        }
        let output = Output(name: "siem", destination: destination, settings: .init(limits: .single, firstWait: .seconds(60)), startsAtBeginning: true)
        let recent = RecentRecords(scene.spool, from: SpoolPlace(seq: 1), logger: Samples.logger)
        let courier = Courier(
            output, spool: scene.spool, recent: recent, beginning: nil, folder: scene.folder.path, host: "h", clock: .system, seed: 1, logger: Samples.logger)
        async let running: Void = courier.run()
        let test = await courier.test()
        #expect(test.report.fates == [.delivered])
        #expect(test.report.answer == "ok")
        courier.end()
        await running
    }

    @Test("a test by hand ends too where the destination never does")
    func aTestOfWhatNeverEnds() async throws {
        let held = Mutex<CheckedContinuation<Void, Never>?>(nil)
        let destination = RecordingDestination(limits: BatchLimits(count: 1, deadline: .milliseconds(20))) { batch in
            await withCheckedContinuation { continuation in held.withLock { $0 = continuation } }
            return DeliveryReport(whole: .delivered, count: batch.count)
        }
        let clock = HandClock(at: Samples.time)
        let told = Mutex<Courier.Test?>(nil)
        let testing = Task {
            let test = await Output(name: "siem", destination: destination).test(host: "h", clock: clock.ofOutputs)
            told.withLock { $0 = test }
        }
        try await becomes {
            clock.advance(by: .milliseconds(100))
            return told.withLock { $0 != nil }
        }
        await testing.value
        #expect(told.withLock(\.self)?.report.fates == [.tryAgain(reason: "no answer within 20ms, and the call cannot be ended")])
        held.withLock(\.self)?.resume()
    }

    /// It hangs for ever; the courier does not.
    @Test func whoNeverAnswersIsEndedAtTheDeadline() async throws {
        let scene = try Scene()
        scene.alerts(1)
        let tries = Mutex(0)
        let destination = RecordingDestination(limits: BatchLimits(count: 1, deadline: .milliseconds(20))) { batch in
            let isFirst = tries.withLock { count in
                count += 1
                return count == 1
            }
            if isFirst { try? await Task.sleep(for: .seconds(3600)) }
            return DeliveryReport(whole: isFirst ? .tryAgain(reason: "cancelled") : .delivered, count: batch.count)
        }
        let status = try await scene.run(destination, retries: .seconds(60))
        #expect(status["last_error"]?["reason"] == "no answer within 20ms")
    }
}
