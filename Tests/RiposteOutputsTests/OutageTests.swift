import Foundation
import RiposteCore
import RiposteTestSupport
import RiposteTransport
import Synchronization
import Testing

@testable import RiposteOutputs

/// An hour in which a receiver does not work, for each way not to, played by a clock that the test turns against the real courier, the real destination
/// and a receiver on the loopback device: nothing is lost, nobody else waits, and it goes on by itself.
struct OutageTests {
    enum Trouble: String, CaseIterable, Sendable {
        case refusesConnections, answers500, answers429, answersGarbage, answersHalf, answersNever, hangsUp

        /// What is said to whoever asks; nil: nothing, and the line is held.
        var answer: String? {
            switch self {
            case .answers500: "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\nbusy"
            case .answers429: "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"
            case .answersGarbage: "\u{1B}[31m\u{0}\u{1}nonsense\r\n\r\n"
            case .answersHalf: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
            case .answersNever: nil
            case .hangsUp, .refusesConnections: ""
            }
        }
    }

    /// Two couriers over several starts: one's receiver has a mind of its own, the other's is steady.
    private final class Scene {
        let spool = MemorySpool()
        let folder: TemporaryFolder
        let clock = HandClock(at: Samples.time)
        let receiver: FickleReceiver
        let steady = RecordingDestination { DeliveryReport(whole: .delivered, count: $0.count) }
        private(set) var count = 0
        private let spoolBytes: Int
        private let http = HTTPClient()
        private let watch: Watch
        private let watchedClock: OutputClock
        private var couriers: [Courier] = []
        private var recent: RecentRecords?
        private var running: Task<Void, Never>?

        init(spoolBytes: Int = 1 << 30) throws {
            folder = try TemporaryFolder()
            receiver = try FickleReceiver()
            self.spoolBytes = spoolBytes
            let (watch, clock) = (Watch(clock), clock.ofOutputs)
            self.watch = watch
            watchedClock = OutputClock(
                now: clock.now,
                sleep: { end in
                    watch.begin(\.asleep)
                    await clock.sleep(end)
                    watch.end(\.asleep)
                })
        }

        func start() throws {
            let settings = Samples.settings(["url": .init(.scalar("http://127.0.0.1:\(receiver.port)/", isPlain: true))])
            let destination = WatchedDestination(try #require(HTTPDestination(settings: settings, context: Samples.context(http))), watch)
            let recent = RecentRecords(spool, from: SpoolPlace(seq: 1), logger: Samples.logger)
            recent.pull()
            func courier(_ name: String, _ destination: any Destination, _ clock: OutputClock, seed: UInt64) -> Courier {
                Courier(
                    Output(name: name, destination: destination, spoolBytes: spoolBytes, startsAtBeginning: true), spool: spool, recent: recent, beginning: nil,
                    folder: folder.path, host: "h", clock: clock, seed: seed, logger: Samples.logger)
            }
            let couriers = [courier("fickle", destination, watchedClock, seed: 7), courier("steady", steady, clock.ofOutputs, seed: 8)]
            (self.recent, self.couriers) = (recent, couriers)
            running = Task {
                await withDiscardingTaskGroup { group in for courier in couriers { group.addTask { await courier.run() } } }
            }
        }

        /// As the agent's end: who does not take it at once is left alone.
        func stop() async {
            for courier in couriers { courier.end() }
            // Long before its deadline: what hangs is cut short.
            if watch.inFlight { running?.cancel() }
            await running?.value
        }

        func alert() {
            spool.append(Samples.alert("r", at: clock.now))
            recent?.pull()
            count += 1
        }

        func set(_ trouble: Trouble?) throws {
            watch.set(answersNever: trouble == .answersNever)
            try receiver.set(trouble)
        }

        /// Of the messages of these records.
        func uuids(_ numbers: ClosedRange<Int>) -> [String] { numbers.map { Samples.message(Int64($0), Samples.alert("r")).uuid } }

        var fickle: JSON? { couriers.first?.status }
        var tries: Int { watch.tries }

        /// An hour goes by, second by second, and each only when all has come to rest that the one before set going.
        func hour(_ eachMinute: (Int) async throws -> Void) async throws {
            for second in 0..<3600 {
                if second % 60 == 0 { try await eachMinute(second / 60) }
                let isAtRest = await Service.comesAbout { self.watch.isAtRest }
                guard isAtRest else {
                    Issue.record("at second \(second): \(watch.told), \(fickle?.line ?? "")")
                    return
                }
                clock.advance(by: .seconds(1))
            }
        }

        /// Time passes until something has come about.
        func wait(_ condition: () -> Bool) async throws {
            try await becomes {
                if condition() { return true }
                if self.watch.isAtRest { self.clock.advance(by: .seconds(1)) }
                return false
            }
        }
    }

    @Test("an hour without it, and a restart in the middle", arguments: Trouble.allCases)
    func outage(_ trouble: Trouble) async throws {
        let scene = try Scene()
        try scene.start()
        for _ in 1...3 { scene.alert() }
        try await becomes { scene.receiver.taken.count == 3 && scene.fickle?["behind"] == 0 }
        try scene.set(trouble)
        let before = scene.tries
        scene.alert()
        try await becomes { scene.tries > before }
        try await scene.hour { minute in
            if minute == 30 {
                await scene.stop()
                try scene.start()
            }
            scene.alert()
            // Whoever works has it in the same moment.
            try await becomes { scene.steady.messages.count == scene.count }
        }
        #expect(scene.receiver.taken.count == 3)
        #expect(scene.fickle?["state"] == "down" && scene.fickle?["last_error"] != nil)
        #expect(scene.fickle?["shed"] == 0 && scene.fickle?["dead"] == 0)
        // As patient as it says: at most five minutes between two, half of it by chance, or what was asked for; and twice the first ones of a start.
        #expect((12...60).contains(scene.tries - before), "\(scene.tries - before) tries")
        try scene.set(nil)
        try await scene.wait { scene.receiver.taken.count >= scene.count && scene.fickle?["behind"] == 0 }
        #expect(scene.receiver.taken == scene.uuids(1...scene.count), "in order, and none twice: what was taken was acknowledged")
        #expect(scene.fickle?["state"] == "ok")
        scene.alert()
        try await becomes { scene.receiver.taken.count == scene.count }
        await scene.stop()
    }

    @Test("what an hour brings beyond the bound is skipped, oldest first, and counted")
    func beyondTheBound() async throws {
        // Twenty records of a hundred bytes.
        let scene = try Scene(spoolBytes: 2000)
        try scene.start()
        try scene.set(.answers500)
        scene.alert()
        try await becomes { scene.tries > 0 }
        try await scene.hour { _ in scene.alert() }
        try scene.set(nil)
        try await scene.wait { scene.fickle?["behind"] == 0 }
        let (sent, skipped) = (scene.receiver.taken.count, Int(scene.fickle?["shed"]?.integer ?? 0))
        #expect(sent + skipped == scene.count && (20...25).contains(sent), "\(sent) sent, \(skipped) skipped")
        #expect(scene.receiver.taken == scene.uuids(scene.count - sent + 1...scene.count), "the newest")
        await scene.stop()
    }
}

/// What one courier is about, as seen from outside.
private final class Watch: Sendable {
    struct Counts {
        var asleep = 0
        var delivering = 0
        var tries = 0
        var lastBegin = Duration.zero
        var answersNever = false
    }

    private let clock: HandClock
    private let counts = Mutex(Counts())

    init(_ clock: HandClock) { self.clock = clock }

    func begin(_ what: any WritableKeyPath<Counts, Int> & Sendable) {
        let now = clock.uptime
        counts.withLock { counts in
            counts[keyPath: what] += 1
            guard what == \.delivering else { return }
            counts.tries += 1
            counts.lastBegin = now
        }
    }

    func end(_ what: any WritableKeyPath<Counts, Int> & Sendable) { counts.withLock { $0[keyPath: what] -= 1 } }

    var tries: Int { counts.withLock(\.tries) }
    /// For whoever looks for what went wrong.
    var told: String { counts.withLock { "asleep \($0.asleep), delivering \($0.delivering), tries \($0.tries)" } }
    var inFlight: Bool { counts.withLock { $0.delivering > 0 } }

    /// It rests until a time; or it waits for an answer that will not come, and the deadline (15 s) is not over.
    var isAtRest: Bool {
        let now = clock.uptime
        return counts.withLock { counts in
            guard counts.delivering > 0 else { return counts.asleep > 0 }
            return counts.answersNever && counts.asleep > 0 && now - counts.lastBegin < .seconds(16)
        }
    }

    func set(answersNever: Bool) { counts.withLock { $0.answersNever = answersNever } }
}

/// Counts what is on its way to a real destination.
private final class WatchedDestination: Destination {
    static let kind = "watched"

    private let inner: any Destination
    private let watch: Watch?

    init(_ inner: any Destination, _ watch: Watch) { (self.inner, self.watch) = (inner, watch) }
    required init?(settings: DestinationSettings, context: DestinationContext) { nil }

    var place: String { inner.place }
    var limits: BatchLimits { inner.limits }

    func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        watch?.begin(\.delivering)
        defer { watch?.end(\.delivering) }
        return await inner.deliver(batch)
    }

    func close() async { await inner.close() }
}

/// A receiver of webhooks that works, or does not in one of many ways. Bytes by hand: no server of good manners would do this.
private final class FickleReceiver: Sendable {
    private struct State {
        var trouble: OutageTests.Trouble?
        var taken: [String] = []
        var open: Set<Int32> = []
        var listener: Int32 = -1
    }

    let port: Int
    private let state = Mutex(State())

    init() throws {
        port = try Service.freePort()
        try beginListening()
    }

    deinit { endListening() }

    /// The ids of the messages that it has taken, in order.
    var taken: [String] { state.withLock(\.taken) }

    func set(_ trouble: OutageTests.Trouble?) throws {
        let before = state.withLock { state in
            defer { state.trouble = trouble }
            // Whoever was held is let go.
            for connection in state.open { shutdown(connection, Int32(SHUT_RDWR)) }
            return state.trouble
        }
        if trouble == .refusesConnections { endListening() }
        if before == .refusesConnections { try beginListening() }
    }

    private func endListening() {
        state.withLock { state in
            shutdown(state.listener, Int32(SHUT_RDWR))
            close(state.listener)
        }
    }

    private func beginListening() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var (address, isReusable) = (sockaddr_in(), Int32(1))
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &isReusable, socklen_t(MemoryLayout<Int32>.size))
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        try #require(status == 0 && listen(listener, 64) == 0)
        state.withLock { $0.listener = listener }
        Thread.detachNewThread { [weak self] in
            while case let connection = accept(listener, nil, nil), connection >= 0 {
                guard let self else {
                    close(connection)
                    return
                }
                state.withLock { _ = $0.open.insert(connection) }
                Thread.detachNewThread { self.serve(connection) }
            }
        }
    }

    private func serve(_ connection: Int32) {
        while let body = request(connection), answer(body, connection) {}
        state.withLock { state in
            state.open.remove(connection)
            close(connection)
        }
    }

    /// Whether it goes on on this connection.
    private func answer(_ body: [UInt8], _ connection: Int32) -> Bool {
        let trouble = state.withLock { state in
            if state.trouble == nil, let uuid = (try? JSON(parsing: body))?["uuid"]?.string { state.taken.append(uuid.repaired) }
            return state.trouble
        }
        guard let trouble else { return write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", connection) }
        guard let words = trouble.answer else { return true }
        return write(words, connection) && (trouble == .answers500 || trouble == .answers429)
    }

    private func write(_ text: String, _ connection: Int32) -> Bool { send(connection, Array(text.utf8), text.utf8.count, Int32(MSG_NOSIGNAL)) == text.utf8.count }

    /// The body of the next request; nil at the end.
    private func request(_ connection: Int32) -> [UInt8]? {
        var (bytes, piece) = ([UInt8](), [UInt8](repeating: 0, count: 65536))
        while true {
            let text = String(decoding: bytes, as: UTF8.self)
            if let head = text.range(of: "\r\n\r\n") {
                let length = text[..<head.lowerBound].firstMatch(of: /Content-Length: (\d+)/.ignoresCase()).flatMap { Int($0.1) } ?? 0
                let begin = text[..<head.upperBound].utf8.count
                if bytes.count >= begin + length { return Array(bytes[begin..<begin + length]) }
            }
            let count = recv(connection, &piece, piece.count, 0)
            guard count > 0 else { return nil }
            bytes += piece.prefix(count)
        }
    }
}
