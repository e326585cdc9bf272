import RiposteCore
@testable import RiposteSensor
import Synchronization
import Testing

private func reference(_ number: Int) -> ContainerReference { ContainerReference(fullID: ByteText("container-\(number)"), runtime: .docker) }

private func facts(_ name: String) -> ContainerFacts {
    ContainerFacts(
        name: name, image: "busybox", imageID: "", imageDigest: "", isPrivileged: false, sharesHostPID: false, sharesHostNetwork: false, sharesHostIPC: false,
        mounts: [], labels: [:], address: nil, startedAt: nil)
}

/// The ledger is told what time it is.
struct ContainerLedgerTests {
    private let start = ContinuousClock.now
    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .milliseconds(Int(seconds * 1000)) }

    @Test("the first question has the runtime asked, once, and the answer stays")
    func question() {
        var ledger = ContainerLedger()
        #expect(ledger.facts(of: reference(1), at: start).isNew)
        #expect(!ledger.facts(of: reference(1), at: start).isNew)
        #expect(ledger.next(at: start) == .inspect(reference(1)))
        #expect(ledger.next(at: start) == .rest)
        #expect(ledger.counters.pending == 1)
        ledger.answered(reference(1), facts("web"), at: start)
        #expect(ledger.facts(of: reference(1), at: start).facts?.name == "web")
        #expect(ledger.next(at: at(1000)) == .rest)
        #expect(ledger.counters == .init(known: 1))
    }

    @Test("who does not answer is asked again, later and later")
    func retries() {
        var ledger = ContainerLedger()
        _ = ledger.facts(of: reference(1), at: start)
        var now = 0.0
        for pause in [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30] {
            #expect(ledger.next(at: at(now)) == .inspect(reference(1)))
            ledger.failed(reference(1), at: at(now))
            #expect(ledger.next(at: at(now)) == .wait(until: at(now) + .milliseconds(Int(pause * 1000))))
            let answer = ledger.facts(of: reference(1), at: at(now))
            #expect(answer.facts == nil && !answer.isNew)
            now += pause
        }
        #expect(ledger.counters == .init(pending: 1, failed: 11))
        #expect(ledger.next(at: at(now)) == .inspect(reference(1)))
        ledger.answered(reference(1), facts("web"), at: at(now))
        #expect(ledger.counters == .init(known: 1, failed: 11))
    }

    @Test("that there is no such container is believed for a while")
    func unknown() {
        var ledger = ContainerLedger()
        _ = ledger.facts(of: reference(1), at: start)
        var now = 0.0
        for pause in [1.0, 2, 4, 8, 16, 32, 60, 60] {
            #expect(ledger.next(at: at(now)) == .inspect(reference(1)))
            ledger.answered(reference(1), nil, at: at(now))
            #expect(ledger.counters == .init(unknown: 1))
            #expect(!ledger.facts(of: reference(1), at: at(now + pause - 0.001)).isNew)
            #expect(ledger.next(at: at(now + pause)) == .rest, "nobody asks")
            #expect(ledger.facts(of: reference(1), at: at(now + pause)).isNew)
            now += pause
        }
    }

    @Test("so many are asked about at once, and so many wait")
    func bounds() {
        var limits = ContainerLedger.Limits()
        (limits.waiting, limits.concurrency) = (3, 2)
        var ledger = ContainerLedger(limits: limits)
        for number in 1...5 { _ = ledger.facts(of: reference(number), at: start) }
        #expect(ledger.counters == .init(pending: 3, shed: 2))
        #expect(ledger.next(at: start) == .inspect(reference(1)))
        #expect(ledger.next(at: start) == .inspect(reference(2)))
        #expect(ledger.next(at: start) == .rest)
        ledger.answered(reference(2), nil, at: start)
        #expect(ledger.next(at: start) == .inspect(reference(3)))
        #expect(ledger.facts(of: reference(5), at: start).isNew, "there is room again")
    }

    @Test("the ones that nobody asked for longest are forgotten")
    func eviction() {
        var limits = ContainerLedger.Limits()
        limits.containers = 8
        var ledger = ContainerLedger(limits: limits)
        for number in 0..<8 {
            _ = ledger.facts(of: reference(number), at: start)
            #expect(ledger.next(at: start) == .inspect(reference(number)))
            ledger.answered(reference(number), facts("\(number)"), at: start)
        }
        _ = ledger.facts(of: reference(0), at: start)
        _ = ledger.facts(of: reference(8), at: start)
        #expect(ledger.names == ["0", "2", "3", "4", "5", "6", "7"])
        // An answer to a question about one that was forgotten is nobody's.
        #expect(ledger.next(at: start) == .inspect(reference(8)))
        for number in 9..<20 { _ = ledger.facts(of: reference(number), at: start) }
        ledger.answered(reference(8), facts("8"), at: start)
        #expect(!ledger.names.contains("8"))
    }

    @Test("what is known is asked for again after a minute, or where the container began anew, and holds until the answer is there", arguments: [(60.0, false), (1, true)])
    func refresh(after seconds: Double, beganAnew: Bool) {
        var ledger = ContainerLedger()
        _ = ledger.facts(of: reference(1), at: start)
        _ = ledger.next(at: start)
        ledger.answered(reference(1), facts("web"), at: start)
        #expect(!ledger.facts(of: reference(1), at: at(seconds - 0.001), beganAnew: beganAnew).isNew)
        let answer = ledger.facts(of: reference(1), at: at(seconds), beganAnew: beganAnew)
        #expect(answer.isNew && answer.facts?.name == "web")
        #expect(!ledger.facts(of: reference(1), at: at(seconds), beganAnew: beganAnew).isNew, "once")
        #expect(ledger.next(at: at(seconds)) == .inspect(reference(1)))
        ledger.failed(reference(1), at: at(seconds))
        #expect(ledger.facts(of: reference(1), at: at(seconds)).facts?.name == "web")
        #expect(ledger.next(at: at(seconds + 0.1)) == .inspect(reference(1)))
        ledger.answered(reference(1), facts("renamed"), at: at(seconds + 0.1))
        #expect(ledger.facts(of: reference(1), at: at(seconds + 0.2)).facts?.name == "renamed")
    }

    @Test("what was known of a container that is gone stays known")
    func gone() {
        var ledger = ContainerLedger()
        _ = ledger.facts(of: reference(1), at: start)
        _ = ledger.next(at: start)
        ledger.answered(reference(1), facts("web"), at: start)
        #expect(ledger.facts(of: reference(1), at: at(60)).isNew)
        _ = ledger.next(at: at(60))
        ledger.answered(reference(1), nil, at: at(60))
        let answer = ledger.facts(of: reference(1), at: at(61))
        #expect(answer.facts?.name == "web" && !answer.isNew)
    }
}

/// Answers as the test says; keeps whom it was asked about.
private final class RecordingInspector: ContainerInspector {
    enum Answer { case facts(ContainerFacts), unknown, silence }
    struct Silent: Error {}

    private let state = Mutex<(asked: [ContainerReference], answers: [ContainerReference: [Answer]])>(([], [:]))
    private let gate: AsyncStream<Void>
    private let opener: AsyncStream<Void>.Continuation
    private let isGated: Bool

    init(_ answers: [ContainerReference: [Answer]], isGated: Bool = false) {
        (gate, opener) = AsyncStream.makeStream()
        self.isGated = isGated
        state.withLock { $0.answers = answers }
    }

    var asked: [ContainerReference] { state.withLock(\.asked) }

    /// Lets one answer out.
    func open() { opener.yield() }

    func inspect(_ container: ContainerReference) async throws -> ContainerFacts? {
        state.withLock { $0.asked.append(container) }
        if isGated { for await _ in gate { break } }
        let answer = state.withLock { state in state.answers[container].flatMap { $0.isEmpty ? nil : state.answers[container]?.removeFirst() } }
        switch answer {
        case .facts(let facts): return facts
        case .silence: throw Silent()
        case .unknown, nil: return nil
        }
    }
}

@Suite(.timeLimit(.minutes(1)))
struct ContainerDirectoryTests {
    private func running(_ directory: ContainerDirectory, _ body: @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await directory.run() }
            try await body()
            group.cancelAll()
        }
    }

    private func until(_ condition: () -> Bool) async throws { while !condition() { try await Task.sleep(for: .milliseconds(1)) } }

    @Test("facts come a moment after the first question")
    func answers() async throws {
        let directory = ContainerDirectory(inspector: RecordingInspector([reference(1): [.facts(facts("web"))]]))
        #expect(directory.facts(of: reference(1)) == nil)
        try await running(directory) {
            try await until { directory.facts(of: reference(1)) != nil }
            #expect(directory.facts(of: reference(1))?.name == "web")
        }
        #expect(directory.names == ["web"])
        #expect(directory.status == ["known": 1, "pending": 0, "unknown": 0, "failed": 0, "shed": 0])
    }

    @Test("they are there early where the first process is told of")
    func prefetching() async throws {
        let inspector = RecordingInspector([reference(1): [.facts(facts("web"))]])
        let directory = ContainerDirectory(inspector: inspector)
        try await running(directory) {
            directory.prefetch(reference(1), beganAnew: false)
            directory.prefetch(.host, beganAnew: false)
            try await until { directory.names == ["web"] }
        }
        #expect(inspector.asked == [reference(1)])
    }

    @Test("a silent runtime is asked again")
    func silence() async throws {
        let inspector = RecordingInspector([reference(1): [.silence, .silence, .facts(facts("web"))]])
        var limits = ContainerLedger.Limits()
        limits.retry = (.milliseconds(1), .milliseconds(4))
        let directory = ContainerDirectory(inspector: inspector, limits: limits)
        directory.prefetch(reference(1), beganAnew: false)
        try await running(directory) { try await until { directory.names == ["web"] } }
        #expect(inspector.asked.count == 3 && directory.counters == .init(known: 1, failed: 2))
    }

    @Test("a slow runtime delays nobody who asks, and is not asked about more at once than it should be")
    func slowness() async throws {
        let numbers = Array(1...20)
        let inspector = RecordingInspector(Dictionary(uniqueKeysWithValues: numbers.map { (reference($0), [.facts(facts("\($0)"))]) }), isGated: true)
        let directory = ContainerDirectory(inspector: inspector)
        for number in numbers { #expect(directory.facts(of: reference(number)) == nil) }
        try await running(directory) {
            try await until { inspector.asked.count == 4 }
            #expect(directory.counters.pending == 20)
            for count in numbers {
                inspector.open()
                try await until { directory.counters.known == count }
            }
        }
        #expect(inspector.asked.count == 20)
    }

    @Test("what no runtime knows is not asked about again at once")
    func unknown() async throws {
        let inspector = RecordingInspector([:])
        let directory = ContainerDirectory(inspector: inspector)
        directory.prefetch(reference(1), beganAnew: false)
        try await running(directory) { try await until { directory.counters.unknown == 1 } }
        for _ in 0..<10 { #expect(directory.facts(of: reference(1)) == nil) }
        #expect(inspector.asked == [reference(1)])
    }

    @Test("without anybody to ask nothing waits")
    func nobody() async {
        let directory = ContainerDirectory(inspector: nil)
        directory.prefetch(reference(1), beganAnew: false)
        #expect(directory.facts(of: reference(1)) == nil && directory.counters == .init())
        await directory.run()
    }
}
