import Foundation
import Logging
import RiposteCore
@testable import RiposteIntake
import RiposteTestSupport
import Synchronization
import Testing

/// One that other users can run too, unlike what may come first in root's PATH.
private let python = "/usr/bin/python3"

@Suite("socket: alerts on Unix sockets, from whom the kernel names")
struct SocketIntakeTests {
    let folder: TemporaryFolder
    let sink = RecordingSink()
    private var configuration: SocketIntake.Configuration

    init() throws {
        folder = try TemporaryFolder()
        configuration = SocketIntake.Configuration(streamPath: folder.path + "/s", datagramPath: folder.path + "/d")
    }

    private func intake(_ configuration: SocketIntake.Configuration, onListening: @escaping @Sendable () -> Void = {}) -> SocketIntake {
        SocketIntake(configuration, sink: sink, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), onListening: onListening)
    }

    private func withSocket(_ change: (inout SocketIntake.Configuration) -> Void = { _ in }, _ body: (IntakeCounters) async throws -> Void) async throws {
        var configuration = configuration
        change(&configuration)
        let (ready, report) = AsyncStream.makeStream(of: Void.self)
        let intake = intake(configuration) { report.finish() }
        try await withIntake(intake) {
            for await _ in ready {}
            try await body(intake.counters)
        }
    }

    @Test("lines on a stream, in order, from several connections; the peer is on record")
    func stream() async throws {
        try await withSocket { _ in
            let (first, second) = (try UnixClient(configuration.streamPath), try UnixClient(configuration.streamPath))
            first.send(alert("a") + "\n" + alert("b") + "\n")
            try await sink.expect(["a", "b"])
            second.send(alert("c") + "\n")
            try await sink.expect(["a", "b", "c"])
            #expect(sink.alerts.allSatisfy { $0.arrival.peer == "uid \(geteuid()) pid \(getpid())" && $0.arrival.intake == "socket" })
            first.send(alert("last, without newline"))
            first.end()
            try await sink.expect(["a", "b", "c", "last, without newline"])
        }
    }

    @Test("one alert per datagram; what is none is told")
    func datagram() async throws {
        try await withSocket { counters in
            let client = try UnixClient(configuration.datagramPath, isDatagram: true)
            client.send(alert("a"))
            client.send("nonsense")
            client.send(alert("b") + "\n")
            try await sink.expect(["a", "b"])
            #expect(sink.alerts[0].arrival.peer == "uid \(geteuid()) pid \(getpid())")
            #expect(counters.snapshot.rejected == 1)
        }
    }

    @Test("who sends datagrams as fast as they are read keeps out neither a stream nor the end")
    func datagramFlood() async throws {
        let (configuration, folder) = (configuration, folder)
        let flood = FeedingSink(configuration.datagramPath)
        let (ready, report) = AsyncStream.makeStream(of: Void.self)
        var hasty = configuration
        hasty.farewell = .milliseconds(50)
        let intake = SocketIntake(hasty, sink: flood, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })) { report.finish() }
        let running = Task { try await intake.run() }
        for await _ in ready {}
        let client = try UnixClient(configuration.streamPath)
        try UnixClient(configuration.datagramPath, isDatagram: true).send(alert("flood"))
        try await until { flood.count > 1000 }
        client.send(alert("stream") + "\n")
        try await until { flood.hasStream }
        let end = Task {
            try await running.value
            flood.noteEnd()
        }
        running.cancel()
        try await until { flood.hasEnded }
        // So that a test which fails ends.
        flood.noteEnd()
        try await end.value
        withExtendedLifetime(folder) {}
    }

    @Test("who comes behind many others waits for no more than a few turns, whatever datagrams come meanwhile")
    func manyWaiting() async throws {
        let (configuration, folder) = (configuration, folder)
        let flood = FeedingSink(configuration.datagramPath, isHeld: true)
        let (ready, report) = AsyncStream.makeStream(of: Void.self)
        let intake = SocketIntake(configuration, sink: flood, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })) { report.finish() }
        let running = Task { try await intake.run() }
        for await _ in ready {}
        try UnixClient(configuration.datagramPath, isDatagram: true).send(alert("flood"))
        try await until { flood.count == 1 }
        let clients = try (0..<60).map { _ in try UnixClient(configuration.streamPath) }
        clients.last?.send(alert("stream") + "\n")
        flood.letGo()
        try await until { flood.hasStream }
        #expect(flood.countBeforeStream < 10 * 256, "one turn reads 256 datagrams")
        flood.noteEnd()
        running.cancel()
        try await running.value
        withExtendedLifetime((folder, clients)) {}
    }

    @Test(
        "users who are named may hand in, by their number, whatever group they are in; others may not",
        .enabled(if: geteuid() == 0 && access(python, X_OK) == 0, "needs root and Debian's python3: sends as another user"),
        arguments: [(65534, true), (65533, false)] as [(UInt32, Bool)])
    func users(user: UInt32, isTaken: Bool) async throws {
        try #require(chmod(folder.path, 0o755) == 0)
        try await withSocket({ $0.userIDs = [65534] }) { counters in
            for (path, type) in [(configuration.streamPath, "SOCK_STREAM"), (configuration.datagramPath, "SOCK_DGRAM")] {
                let program = "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.\(type)); s.connect(sys.argv[1]); s.send(sys.argv[2].encode())"
                _ = try run(["setpriv", "--reuid", "\(user)", "--regid", "65534", "--clear-groups", python, "-c", program, path, alert("a")])
            }
            try await until { counters.snapshot.denied + counters.snapshot.accepted == 2 }
            #expect(sink.rules == (isTaken ? ["a", "a"] : []))
            #expect(sink.alerts.allSatisfy { $0.arrival.peer?.hasPrefix("uid 65534 ") == true && $0.arrival.trust == .trusted })
        }
    }

    @Test("where nobody is named, the sockets are root's and the group's")
    func closed() async throws {
        try await withSocket { _ in
            for path in [configuration.streamPath, configuration.datagramPath] {
                var facts = stat()
                #expect(stat(path, &facts) == 0 && facts.st_mode & 0o777 == 0o660)
            }
        }
    }

    @Test("a full engine makes a stream wait, and costs a datagram")
    func full() async throws {
        sink.makeRoom(1)
        try await withSocket { counters in
            let datagrams = try UnixClient(configuration.datagramPath, isDatagram: true)
            datagrams.send(alert("first"))
            try await sink.expect(["first"])
            datagrams.send(alert("lost"))
            try await until { counters.snapshot.shed > 0 }
            #expect(counters.snapshot.shed == 1)
            let stream = try UnixClient(configuration.streamPath)
            stream.send(alert("waits") + "\n")
            try await Task.sleep(for: .milliseconds(100))
            #expect(sink.rules == ["first"])
            sink.makeRoom(.max)
            try await sink.expect(["first", "waits"])
        }
    }

    @Test("alerts of a rule without room wait; those of others, on the same connection, on another and by datagram, do not")
    func withoutRoom() async throws {
        sink.takeRoom(from: ["A"])
        try await withSocket { counters in
            let (first, second) = (try UnixClient(configuration.streamPath), try UnixClient(configuration.streamPath))
            first.send((0..<12).map { _ in alert("A") + "\n" }.joined() + alert("B") + "\n")
            try await sink.expect(["B"])
            second.send(alert("C") + "\n")
            try await sink.expect(["B", "C"])
            try UnixClient(configuration.datagramPath, isDatagram: true).send(alert("D"))
            try await sink.expect(["B", "C", "D"])
            // Its other end may be gone meanwhile.
            first.end()
            sink.takeRoom(from: [])
            try await sink.expect(["B", "C", "D"] + Array(repeating: "A", count: 12))
            #expect(counters.snapshot.shed == 0)
        }
    }

    @Test("more than may wait, for longer than anybody waits: others of the connection come through, and what is lost is counted and told")
    func patience() async throws {
        sink.takeRoom(from: ["A"])
        try await withSocket({ $0.patience = .milliseconds(20) }) { counters in
            let client = try UnixClient(configuration.streamPath)
            client.send((0..<HeldAlerts.countLimit).map { _ in alert("A") + "\n" }.joined() + alert("B") + "\n")
            try await sink.expect(["B"])
            client.send((0..<44).map { _ in alert("A") + "\n" }.joined())
            try await until { counters.snapshot.shed == 44 }
            client.send(alert("C") + "\n")
            try await sink.expect(["B", "C"])
            sink.takeRoom(from: [])
            try await sink.expect(["B", "C"] + Array(repeating: "A", count: HeldAlerts.countLimit))
            try await until { !sink.problems.isEmpty }
            #expect(sink.problems.map { $0.problem.hasSuffix("44 alerts are lost") } == [true])
        }
    }

    @Test("who writes in blocks, and always has a line half written, is let go on")
    func blocks() async throws {
        let timeout = Duration.seconds(2)
        try await withSocket({ $0.partialLineTimeout = timeout }) { _ in
            let client = try UnixClient(configuration.streamPath)
            let (begin, line) = (ContinuousClock.now, alert("a") + "\n")
            client.send(String(line.prefix(20)))
            var sent = 0
            while begin.duration(to: .now) < timeout * 2 {
                client.send(String(line.dropFirst(20)) + String(line.prefix(20)))
                sent += 1
                try await until { sink.alerts.count == sent }
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(sink.problems.isEmpty)
        }
    }

    @Test("what the sockets have taken when the agent stops is handed in: by connections, one not accepted yet, and by datagram; and nobody can hand in more")
    func stop() async throws {
        let (gate, folder) = (GateSink(), folder)
        let (ready, report) = AsyncStream.makeStream(of: Void.self)
        let intake = SocketIntake(configuration, sink: gate, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })) { report.finish() }
        let running = Task { try await intake.run() }
        for await _ in ready {}
        let (first, late) = (try UnixClient(configuration.streamPath), try UnixClient(configuration.datagramPath, isDatagram: true))
        first.send(alert("first") + "\n")
        try await until { gate.isAsked }
        let second = try UnixClient(configuration.streamPath)
        second.send(alert("second") + "\n" + alert("without newline"))
        first.send((0..<500).map { alert("r\($0)") + "\n" }.joined())
        late.send(alert("datagram"))
        running.cancel()
        gate.open()
        try await running.value
        #expect(gate.rules.sorted() == (["first", "second", "without newline", "datagram"] + (0..<500).map { "r\($0)" }).sorted())
        #expect(gate.problems.isEmpty && intake.counters.snapshot.shed == 0)
        withExtendedLifetime((folder, second)) {}
    }

    @Test("what finds no room when the agent stops is counted and told")
    func stopWithoutRoom() async throws {
        sink.takeRoom(from: ["A"])
        var shed = 0
        try await withSocket({ $0.farewell = .milliseconds(50) }) { counters in
            let client = try UnixClient(configuration.streamPath)
            client.send((0..<5).map { _ in alert("A") + "\n" }.joined() + alert("B") + "\n")
            try await sink.expect(["B"])
            client.end()
            shed = counters.snapshot.shed
        }
        #expect(shed == 0)
        #expect(sink.problems.map(\.problem) == ["the agent stopped: 5 alerts are lost"])
    }

    @Test("a line that is too long, and one that is never finished, end nobody else's")
    func bounds() async throws {
        try await withSocket({ ($0.lineLimit, $0.partialLineTimeout) = (200, .milliseconds(100)) }) { counters in
            let (long, slow) = (try UnixClient(configuration.streamPath), try UnixClient(configuration.streamPath))
            long.send(String(repeating: "x", count: 1000) + "\n" + alert("after") + "\n")
            try await sink.expect(["after"])
            slow.send("{")
            try await until { sink.problems.count >= 2 }
            #expect(sink.problems.map(\.problem) == ["a line is longer than 200 bytes", "a line was not finished in time"])
            #expect(counters.snapshot.rejected == 2)
        }
    }

    @Test("more silent connections than there is room for keep no alert out: the one that was silent longest makes room, and that is counted")
    func silent() async throws {
        try await withSocket({ $0.connectionLimit = 4 }) { counters in
            var silent: [UnixClient] = []
            for _ in 0..<10 { silent.append(try UnixClient(configuration.streamPath)) }
            let client = try UnixClient(configuration.streamPath)
            client.send(alert("a") + "\n")
            try await sink.expect(["a"])
            #expect(counters.snapshot.evicted == 7)
            // Who speaks is not the one that goes.
            for number in 0..<10 {
                silent.append(try UnixClient(configuration.streamPath))
                client.send(alert("r\(number)") + "\n")
                try await sink.expect(["a"] + (0...number).map { "r\($0)" })
            }
            withExtendedLifetime(silent) {}
        }
    }

    @Test("a dead socket's file is replaced; any other file, and a living socket, is not")
    func files() async throws {
        _ = try folder.file("d2", "precious")
        var blocked = configuration
        blocked.datagramPath = folder.path + "/d2"
        let refused = intake(blocked)
        await #expect(throws: UnixSocket.Unusable.self) { try await refused.run() }
        #expect(!FileManager.default.fileExists(atPath: blocked.streamPath), "half a pair is not left behind")
        #expect(FileManager.default.contents(atPath: folder.path + "/d2") == Data("precious".utf8))
        try await withSocket { _ in
            #expect(throws: UnixSocket.Unusable.self) { try UnixSocket.clear(configuration.streamPath) }
        }
        let dead = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        try UnixClient.bind(dead, configuration.streamPath)
        close(dead)
        try await withSocket { _ in
            try UnixClient(configuration.streamPath).send(alert("a") + "\n")
            try await sink.expect(["a"])
        }
    }
}

/// A door that answers each datagram with the next one, so that there always is one.
private final class FeedingSink: AlertSink {
    private let path: String
    private let client = Mutex<UnixClient?>(nil)
    private let state = Mutex((count: 0, countBeforeStream: 0, hasStream: false, hasEnded: false))
    private let gate = DispatchSemaphore(value: 0)
    private let isHeld: Bool

    /// `isHeld`: the first alert stands until it is let go.
    init(_ path: String, isHeld: Bool = false) { (self.path, self.isHeld) = (path, isHeld) }

    func accept(_ alert: Alert) throws(AdmissionError) {
        let isFed = state.withLock { state in
            state.count += 1
            if alert.rule == "stream" { (state.hasStream, state.countBeforeStream) = (true, state.count) }
            return alert.rule == "flood" && !state.hasEnded
        }
        // So that a test which fails ends.
        if isHeld, count == 1 { _ = gate.wait(timeout: .now() + 20) }
        guard isFed else { return }
        client.withLock { client in
            if client == nil { client = try? UnixClient(path, isDatagram: true) }
            client?.send(RiposteIntakeTests.alert("flood"))
        }
    }

    func reject(_ problem: AlertError, excerpt: [UInt8], arrival: Alert.Arrival) {}
    /// Of the intake: from here on nothing is sent.
    func noteEnd() { state.withLock { $0.hasEnded = true } }
    func letGo() { gate.signal() }
    var count: Int { state.withLock(\.count) }
    var countBeforeStream: Int { state.withLock(\.countBeforeStream) }
    var hasStream: Bool { state.withLock(\.hasStream) }
    var hasEnded: Bool { state.withLock(\.hasEnded) }
}

private final class UnixClient {
    private var descriptor: Int32

    init(_ path: String, isDatagram: Bool = false) throws {
        descriptor = socket(AF_UNIX, Int32((isDatagram ? SOCK_DGRAM : SOCK_STREAM).rawValue), 0)
        let descriptor = descriptor
        try #require(Self.withAddress(path) { connect(descriptor, $0, $1) } == 0)
    }

    deinit { end() }

    func send(_ text: String) { _ = Array(text.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) } }

    func end() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    static func bind(_ descriptor: Int32, _ path: String) throws { try #require(withAddress(path) { Glibc.bind(descriptor, $0, $1) } == 0) }

    private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) } }
    }
}
