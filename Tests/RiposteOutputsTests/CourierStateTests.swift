import RiposteCore
import Testing

@testable import RiposteOutputs

/// What a courier does next, told as transcripts: what happened, and what it then wants. No clock runs.
struct CourierStateTests {
    /// A state with a clock that the test turns.
    struct Scene {
        var state: CourierState
        var now = Moment(instant: .now, wall: Timestamp(nanoseconds: 1_772_623_353_000_000_000))
        let begin: ContinuousClock.Instant
        private(set) var delivered: [Int64] = []
        private(set) var dead: [String] = []
        private var nextSeq: Int64 = 1

        init(count: Int = 1, bytes: Int = 1 << 20, linger: Duration = .zero, age: Duration = .seconds(7 * 86400), seed: UInt64 = 1, staysTogether: Bool = false) {
            state = CourierState(.init(limits: BatchLimits(count: count, bytes: bytes, linger: linger, staysTogether: staysTogether), maximumAge: age), seed: seed)
            begin = now.instant
        }

        mutating func pass(_ time: Duration) { now = Moment(instant: now.instant + time, wall: now.wall + time) }

        /// `count` messages came, and nothing stands behind them.
        mutating func come(_ count: Int) {
            state.took((0..<count).map { _ in message() }, of: count, at: now)
            if count > 0, case .read = state.next(at: now.instant) { state.took([], of: 0, at: now) }
        }

        private mutating func message() -> OutputMessage {
            defer { nextSeq += 1 }
            return OutputMessage(seq: nextSeq, hash: OutputMessage.digest(of: "\(nextSeq)"), time: now.wall, host: "h", content: .test)
        }

        /// Hands over what is wanted; the destination answers so.
        mutating func answer(_ fate: DeliveryReport.Fate) {
            guard case .deliver(let count) = state.next(at: now.instant) else {
                Issue.record("wanted \(state.next(at: now.instant)), not to deliver")
                return
            }
            answer(DeliveryReport(whole: fate, count: count), count)
        }

        mutating func answer(_ report: DeliveryReport, _ count: Int) {
            let offered = state.batch.prefix(count).map(\.seq)
            dead += state.delivered(count, report, at: now).map { letter in
                switch letter.subject {
                case .message(let message): "\(message.seq) \(letter.reason)"
                case .some(let count, let total, let first, let last): "\(count) of \(total), \(first.seq) to \(last.seq), \(letter.reason)"
                }
            }
            for (seq, fate) in zip(offered, report.fates) where fate == .delivered { delivered.append(seq) }
        }

        var next: CourierState.Step { state.next(at: now.instant) }

        /// How long it wants to rest.
        var rest: Duration? { if case .rest(let until) = next { until - now.instant } else { nil } }
    }

    @Test("what is one mail is the same one at each try")
    func staysTogether() {
        var scene = Scene(count: 5, staysTogether: true)
        scene.come(8)
        for _ in 1...6 {
            #expect(scene.next == .deliver(count: 5))
            scene.answer(.tryAgain(reason: "no"))
            scene.pass(.seconds(600))
        }
        scene.answer(.delivered)
        #expect(scene.delivered == [1, 2, 3, 4, 5])
    }

    @Test("whom a delivered batch did not reach stands in the dead letters")
    func notToAll() {
        var scene = Scene(count: 3)
        scene.come(3)
        scene.answer(DeliveryReport(delivered: 3, missing: "not for full"), 3)
        #expect(scene.delivered == [1, 2, 3] && scene.dead == ["3 of 3, 1 to 3, not for full"])
        #expect(scene.state.counts.sent == 3 && scene.state.counts.dead == 3 && scene.state.failures == 0)
        #expect(scene.next == .commit)
    }

    @Test func sendsOneAndMovesOn() {
        var scene = Scene()
        #expect(scene.next == .read(count: 256))
        scene.come(1)
        #expect(scene.next == .deliver(count: 1))
        scene.answer(.delivered)
        #expect(scene.next == .commit)
        scene.state.committed()
        #expect(scene.next == .read(count: 256))
        scene.come(0)
        #expect(scene.next == .listen(until: nil))
        scene.state.heard()
        #expect(scene.next == .read(count: 256))
        #expect(scene.state.counts == .init(sent: 1))
    }

    @Test func whatIsNotForItMovesTheCursorToo() {
        var scene = Scene()
        scene.state.took([], of: 40, at: scene.now)
        #expect(scene.next == .commit)
    }

    @Test func waitsALittleForCompany() {
        var scene = Scene(count: 3, linger: .milliseconds(200))
        scene.come(1)
        #expect(scene.next == .listen(until: scene.begin + .milliseconds(200)))
        scene.pass(.milliseconds(100))
        scene.state.heard()
        scene.come(1)
        #expect(scene.next == .listen(until: scene.begin + .milliseconds(200)))
        scene.pass(.milliseconds(100))
        #expect(scene.next == .deliver(count: 2))
    }

    @Test func aFullBatchWaitsForNobody() {
        var scene = Scene(count: 3, linger: .seconds(60))
        scene.come(3)
        #expect(scene.next == .deliver(count: 3))
    }

    @Test func aBatchIsFullByBytesToo() {
        var scene = Scene(count: 100, bytes: 500, linger: .seconds(60))
        scene.come(4)
        #expect(scene.next == .deliver(count: 2), "a test message counts 200 bytes")
    }

    /// Down for an hour: nothing is lost, order is kept, the waits grow to their limit and never beyond.
    @Test func anHourOfRefusals() {
        var scene = Scene(count: 10)
        scene.come(10)
        var waits: [Duration] = []
        while scene.now.instant < scene.begin + .seconds(3600) {
            scene.answer(.tryAgain(reason: "connection refused"))
            guard let rest = scene.rest else {
                Issue.record("it did not rest")
                return
            }
            waits.append(rest)
            scene.pass(rest)
        }
        #expect(waits.first.map { .milliseconds(500) ... .seconds(1) ~= $0 } == true)
        #expect(waits.allSatisfy { $0 <= .seconds(300) })
        #expect(waits.suffix(3).allSatisfy { $0 >= .seconds(150) })
        #expect(scene.state.breaker(at: scene.now.instant) == .halfOpen)
        #expect(scene.next == .deliver(count: 1), "one message finds out whether it is back")
        scene.answer(.delivered)
        #expect(scene.next == .deliver(count: 2), "then more and more")
        while case .deliver = scene.next { scene.answer(.delivered) }
        #expect(scene.delivered == Array(1...10))
        #expect(scene.next == .commit)
        #expect(scene.state.breaker(at: scene.now.instant) == .closed)
    }

    @Test(arguments: [
        (asked: Duration.seconds(30), rests: Duration.seconds(30)),
        (asked: .seconds(7 * 86400), rests: .seconds(3600)),
    ])
    func restsAsLongAsItIsAsked(_ sample: (asked: Duration, rests: Duration)) {
        var scene = Scene()
        scene.come(1)
        scene.answer(.tryAgain(reason: "status 429", after: sample.asked))
        #expect(scene.rest == sample.rests)
    }

    @Test func theSameSeedRestsTheSame() {
        func rests(_ seed: UInt64) -> [Duration?] {
            var scene = Scene(seed: seed)
            scene.come(1)
            return (0..<5).map { _ in
                scene.answer(.tryAgain(reason: "no"))
                defer { scene.pass(scene.rest ?? .zero) }
                return scene.rest
            }
        }
        #expect(rests(7) == rests(7))
        #expect(rests(7) != rests(8))
    }

    /// A whole batch was rejected for one message in it: the others get through, that one is set aside.
    @Test func findsTheOneThatIsRejected() {
        var scene = Scene(count: 8)
        scene.come(8)
        while case .deliver(let count) = scene.next {
            let holdsIt = scene.state.batch.prefix(count).contains { $0.seq == 6 }
            scene.answer(holdsIt ? .rejected(reason: "status 400") : .delivered)
        }
        #expect(scene.delivered == [1, 2, 3, 4, 5, 7, 8])
        #expect(scene.dead == ["6 status 400"])
        #expect(scene.next == .commit)
        #expect(scene.state.counts == .init(sent: 7, dead: 1))
    }

    /// Item by item: what was taken is not sent again, what is tried again keeps its order.
    @Test func someOfABatch() {
        var scene = Scene(count: 4)
        scene.come(4)
        scene.answer(DeliveryReport([.delivered, .tryAgain(reason: "busy"), .rejected(reason: "bad"), .tryAgain(reason: "busy")]), 4)
        #expect(scene.dead == ["3 bad"])
        scene.pass(scene.rest ?? .zero)
        while case .deliver = scene.next { scene.answer(.delivered) }
        #expect(scene.delivered == [1, 2, 4])
    }

    /// None goes again: those that were taken would come twice.
    @Test func someWereRefusedAndNobodySaysWhich() {
        var scene = Scene(count: 8)
        scene.come(8)
        scene.answer(DeliveryReport(delivered: 8, but: .init(count: 3, reason: "refused: too old")), 8)
        #expect(scene.dead == ["3 of 8, 1 to 8, refused: too old"])
        #expect(scene.next == .commit)
        #expect(scene.state.counts == .init(sent: 5, dead: 3))
        #expect(scene.state.lastError?.reason == "refused: too old" && scene.state.failures == 0)
    }

    @Test func whatTheReportForgetsIsTriedAgain() {
        var scene = Scene(count: 3)
        scene.come(3)
        scene.answer(DeliveryReport([.delivered]), 3)
        #expect(scene.state.batch.map(\.seq) == [2, 3])
        #expect(scene.state.lastError?.reason == "the destination told of 1 of 3 messages")
    }

    @Test func whatIsTooOldIsSkippedAndCounted() {
        var scene = Scene(count: 2, age: .seconds(60))
        scene.come(2)
        scene.answer(.tryAgain(reason: "no"))
        scene.pass(.seconds(61))
        scene.state.shedAged(at: scene.now)
        #expect(scene.next == .commit)
        #expect(scene.state.counts.shed == 2)
    }

    @Test func anEndSendsWhatIsThere() {
        var scene = Scene(count: 10, linger: .seconds(60))
        scene.come(2)
        scene.state.end()
        scene.answer(.delivered)
        #expect(scene.next == .commit)
        scene.state.committed()
        scene.come(0)
        #expect(scene.next == .stop)
    }

    @Test func anEndDoesNotWaitForWhoIsDown() {
        var scene = Scene()
        scene.come(1)
        scene.answer(.tryAgain(reason: "no"))
        scene.state.end()
        #expect(scene.next == .stop)
    }
}
