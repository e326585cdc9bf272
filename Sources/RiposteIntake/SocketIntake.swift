internal import CRiposte
internal import Foundation
internal import Glibc
package import Logging
package import RiposteCore
internal import Synchronization

/// Alerts on Unix sockets: a stream of lines, or one alert per datagram. Who is at the other end is what the kernel says.
///
/// The fast way in: one thread polls all connections and hands each line straight to the engine. It waits for nobody: an alert for which there is no room is held back, those of
/// other rules behind it and other connections go on. Of a connection that holds back ``HeldAlerts/countLimit`` no more is read; that is how a sender learns to wait. If that lasts
/// longer than ``Configuration/patience``, reading goes on, and what finds no room is counted and lost: else a flood of one rule would keep back all others.
package struct SocketIntake: Intake {
    package struct Configuration: Sendable {
        package var name = "socket"
        package var streamPath: String
        package var datagramPath: String
        /// Who may hand alerts in, beside root and the agent's own user.
        package var userIDs: Set<UInt32> = []
        /// Of the sockets' files. A file has one owner and one group: for other users it is open to everybody, and who may come in is what the kernel says of each.
        var mode: UInt32 { userIDs.isEmpty ? 0o660 : 0o666 }
        package var trust = Alert.Arrival.Trust.trusted
        package var connectionLimit = 256
        package var lineLimit = 1 << 20
        package var partialLineTimeout = Duration.seconds(30)
        /// How long a sender is made to wait.
        package var patience = Duration.seconds(1)
        /// How long, when the agent stops, what senders have handed in is still read.
        package var farewell = Duration.milliseconds(500)

        package init(streamPath: String, datagramPath: String) {
            self.streamPath = streamPath
            self.datagramPath = datagramPath
        }
    }

    package var name: String { configuration.name }
    package var place: String { configuration.streamPath }
    package let counters = IntakeCounters()
    private static let readSize = 1 << 16
    private let configuration: Configuration
    private let reader: AlertReader
    private let logger: Logger
    private let onListening: @Sendable () -> Void
    private let refusals = Refusals()

    package init(_ configuration: Configuration, sink: any AlertSink, logger: Logger, onListening: @escaping @Sendable () -> Void = {}) {
        self.configuration = configuration
        self.logger = logger
        self.onListening = onListening
        reader = AlertReader(name: configuration.name, trust: configuration.trust, sink: sink, counters: counters)
    }

    package func run() async throws {
        let stream = try UnixSocket.listen(configuration.streamPath, type: SOCK_STREAM, mode: configuration.mode)
        defer {
            close(stream)
            unlink(configuration.streamPath)
        }
        let datagram = try UnixSocket.listen(configuration.datagramPath, type: SOCK_DGRAM, mode: configuration.mode)
        defer {
            close(datagram)
            unlink(configuration.datagramPath)
        }
        riposte_pass_credentials(datagram)
        onListening()
        try await SourceThread().run(named: "riposte-socket") { thread in serve(stream, datagram, thread) }
    }

    private struct Connection {
        var lines: LineSplitter
        var peer: String
        var userID: UInt32
        var heard = ContinuousClock.now
        /// When the unfinished line that it holds began.
        var partialSince: ContinuousClock.Instant?
        var held = HeldAlerts()
        /// Since when nothing is read from it, as it holds too many back.
        var fullSince: ContinuousClock.Instant?
        /// Its other end is closed; it is there as long as alerts wait.
        var hasEnded = false
        /// Of those that found no room; told when there is some again.
        var lost = 0
    }

    /// Milliseconds between two tries of what is held back: first and longest.
    private static let pauses: (first: Int32, longest: Int32) = (5, 250)

    private func serve(_ stream: Int32, _ datagram: Int32, _ thread: SourceThread) {
        var connections: [Int32: Connection] = [:]
        var buffer = [UInt8](repeating: 0, count: max(Self.readSize, configuration.lineLimit + 1))
        var (pause, nextTry) = (Self.pauses.first, ContinuousClock.now)
        defer { connections.keys.forEach { close($0) } }
        while true {
            let isHolding = connections.values.contains { !$0.held.isEmpty }
            let readable = connections.filter { isRead($0.value) }.map(\.key)
            let ready = thread.wait(for: readable + [datagram, stream], isHolding ? pause : connections.isEmpty ? -1 : 1000)
            if ready.contains(thread.stop) { return finish(stream, datagram, &connections, &buffer) }
            if ready.contains(datagram) { for _ in 0..<Self.datagramsPerTurn { guard receiveDatagram(datagram, &buffer) else { break } } }
            if isHolding, ContinuousClock.now >= nextTry {
                pause = retry(&connections) ? Self.pauses.first : min(2 * pause, Self.pauses.longest)
                nextTry = .now + .milliseconds(Int64(pause))
            }
            for descriptor in ready where connections[descriptor] != nil { receive(descriptor, &connections, &buffer) }
            // Behind all that has something to say.
            if ready.contains(stream) { for _ in 0..<Self.connectionsPerTurn { guard accept(stream, &connections) else { break } } }
            closeIdle(&connections)
        }
    }

    /// Whether there is something to be read from it, and somewhere to put it.
    private func isRead(_ connection: Connection) -> Bool {
        guard !connection.hasEnded, let since = connection.fullSince else { return !connection.hasEnded }
        return since.duration(to: .now) >= configuration.patience
    }

    private func drop(_ descriptor: Int32, _ connections: inout [Int32: Connection], because reason: String) {
        guard let connection = connections.removeValue(forKey: descriptor) else { return }
        counters.count(\.shed, connection.held.count)
        reader.tellLost(connection.lost + connection.held.count, because: reason, peer: connection.peer)
        close(descriptor)
    }

    // MARK: - Alerts that wait for room

    /// Whether some found it.
    private func retry(_ connections: inout [Int32: Connection]) -> Bool {
        var taken = 0
        for (descriptor, var connection) in connections where !connection.held.isEmpty {
            do throws(AdmissionError) { taken += try connection.held.retry(reader.handIn) } catch {}
            if !connection.held.isHalfFull {
                reader.tellLost(connection.lost, because: "there was no room for longer than \(configuration.patience)", peer: connection.peer)
                (connection.fullSince, connection.lost) = (nil, 0)
            }
            connections[descriptor] = connection
            if connection.hasEnded, connection.held.isEmpty { drop(descriptor, &connections, because: "") }
        }
        return taken > 0
    }

    /// Hands a line in, or holds it back.
    private func take(_ piece: LineSplitter.Piece, _ connection: inout Connection) {
        switch piece {
        case .line(let line):
            guard let alert = reader.read(line, peer: connection.peer) else { return }
            if !connection.held.holds(alert.rule), (try? reader.handIn(alert)) != nil { return }
            if connection.held.isFull, connection.fullSince.map({ $0.duration(to: .now) >= configuration.patience }) ?? false {
                connection.lost += 1
                counters.count(\.shed)
            } else {
                connection.held.hold(alert, bytes: line.count)
                if connection.held.isFull { connection.fullSince = connection.fullSince ?? .now }
            }
        case .tooLong(let head):
            reader.reject(AlertError(problem: "a line is longer than \(configuration.lineLimit) bytes"), head, reader.arrival(peer: connection.peer))
        }
    }

    // MARK: - The end

    /// What senders have handed in is theirs no longer: it is read to its end, without waiting for more. They are told at once that nobody reads on.
    private func finish(_ stream: Int32, _ datagram: Int32, _ connections: inout [Int32: Connection], _ buffer: inout [UInt8]) {
        let deadline = ContinuousClock.now + configuration.farewell
        // What was sent before that can be read; who connects or writes after it is refused.
        for descriptor in [stream, datagram] { shutdown(descriptor, Int32(SHUT_RD)) }
        while connections.count < configuration.connectionLimit, accept(stream, &connections) {}
        for descriptor in connections.keys { shutdown(descriptor, Int32(SHUT_RD)) }
        while ContinuousClock.now < deadline, receiveDatagram(datagram, &buffer) {}
        for descriptor in connections.keys.sorted() {
            while ContinuousClock.now < deadline, connections[descriptor]?.hasEnded == false { receive(descriptor, &connections, &buffer) }
        }
        repeat { _ = retry(&connections) } while ContinuousClock.now < deadline && connections.values.contains { !$0.held.isEmpty } && poll(nil, 0, Self.pauses.first) == 0
        let reason = "the agent stopped"
        for (descriptor, connection) in connections {
            var unread: Int32 = 0
            _ = ioctl(descriptor, UInt(FIONREAD), &unread)
            counters.count(\.shed, connection.held.count)
            reader.tellLost(connection.lost + connection.held.count, unreadBytes: Int(unread) + connection.lines.pendingBytes, because: reason, peer: connection.peer)
            close(descriptor)
        }
        connections = [:]
    }

    // MARK: - Streams

    /// Who connects again and again, if only to be refused, makes others wait for no more than a turn, and keeps up neither streams nor the end.
    private static let connectionsPerTurn = 64

    /// False where nobody waits.
    private func accept(_ stream: Int32, _ connections: inout [Int32: Connection]) -> Bool {
        let descriptor = Glibc.accept(stream, nil, nil)
        guard descriptor >= 0 else { return false }
        guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0, fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else {
            close(descriptor)
            return true
        }
        counters.count(\.connections)
        var credentials = riposte_credentials()
        guard riposte_peer_credentials(descriptor, &credentials) == 0, isAllowed(credentials) else {
            counters.count(\.denied)
            if let count = refusals.toTell() {
                logger.warning("connection refused", metadata: ["intake.name": "\(name)", "peer.uid": "\(credentials.uid)", "count": "\(count)"])
            }
            close(descriptor)
            return true
        }
        if connections.count >= configuration.connectionLimit { giveUpOne(&connections) }
        connections[descriptor] = Connection(lines: LineSplitter(limit: configuration.lineLimit), peer: Self.peer(credentials), userID: credentials.uid)
        return true
    }

    /// The one that has been silent longest, of the user who has most: many connections of one keep no other out, and nobody loses what he is just saying.
    private func giveUpOne(_ connections: inout [Int32: Connection]) {
        let counts = Dictionary(connections.values.map { ($0.userID, 1) }, uniquingKeysWith: +)
        let most = counts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
        let silent = connections.filter { $0.value.userID == most }.sorted { $0.value.heard < $1.value.heard }
        guard let (descriptor, connection) = silent.first(where: { !Self.hasUnread($0.key) }) ?? silent.first else { return }
        counters.count(\.evicted)
        if connection.partialSince != nil { reader.reject(AlertError(problem: "a line was not finished in time"), [], reader.arrival(peer: connection.peer)) }
        drop(descriptor, &connections, because: "the connection was given up for others")
    }

    private static func hasUnread(_ descriptor: Int32) -> Bool {
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) > 0
    }

    private func receive(_ descriptor: Int32, _ connections: inout [Int32: Connection], _ buffer: inout [UInt8]) {
        guard var connection = connections[descriptor] else { return }
        let count = read(descriptor, &buffer, Self.readSize)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        if count > 0 {
            connection.heard = .now
            let pieces = connection.lines.take(buffer.prefix(count))
            for piece in pieces { take(piece, &connection) }
            // A piece that was finished in this read is not the one that is unfinished now.
            connection.partialSince = connection.lines.pendingBytes == 0 ? nil : pieces.isEmpty ? connection.partialSince ?? .now : .now
        } else {
            if let last = connection.lines.end() { take(.line(last), &connection) }
            (connection.hasEnded, connection.partialSince) = (true, nil)
        }
        connections[descriptor] = connection
        if connection.hasEnded, connection.held.isEmpty { drop(descriptor, &connections, because: "there was no room for longer than \(configuration.patience)") }
    }

    private func closeIdle(_ connections: inout [Int32: Connection]) {
        let now = ContinuousClock.now
        for (descriptor, connection) in connections {
            guard let since = connection.partialSince, since + configuration.partialLineTimeout < now else { continue }
            // The rest of it may be there, and only not have been read.
            guard isRead(connection), !Self.hasUnread(descriptor) else { continue }
            reader.reject(AlertError(problem: "a line was not finished in time"), [], reader.arrival(peer: connection.peer))
            drop(descriptor, &connections, because: "a line was not finished in time")
        }
    }

    // MARK: - Datagrams

    /// Who sends as fast as they are read keeps out neither streams nor the end: so many, and then it is the others' turn.
    private static let datagramsPerTurn = 256

    /// Nobody can be told to wait: what finds no room is counted and lost. False where there is none.
    private func receiveDatagram(_ datagram: Int32, _ buffer: inout [UInt8]) -> Bool {
        var credentials = riposte_credentials()
        let length = riposte_receive(datagram, &buffer, buffer.count, &credentials)
        guard length >= 0 else { return false }
        guard credentials.pid > 0, isAllowed(credentials) else {
            counters.count(\.denied)
            return true
        }
        let peer = Self.peer(credentials)
        guard length <= configuration.lineLimit else {
            reader.reject(AlertError(problem: "a datagram is longer than \(configuration.lineLimit) bytes"), buffer.prefix(256), reader.arrival(peer: peer))
            return true
        }
        do throws(AdmissionError) { try reader.take(buffer.prefix(length), peer: peer) } catch {
            logger.warning("alert lost", metadata: ["intake.name": "\(name)", "reason": "\(error)"])
        }
        return true
    }

    private func isAllowed(_ credentials: riposte_credentials) -> Bool {
        credentials.uid == 0 || credentials.uid == geteuid() || configuration.userIDs.contains(credentials.uid)
    }

    private static func peer(_ credentials: riposte_credentials) -> String { "uid \(credentials.uid) pid \(credentials.pid)" }

    /// Whoever comes only to be refused fills no log.
    private final class Refusals: Sendable {
        private static let pause = Duration.seconds(1)
        private let state = Mutex<(told: ContinuousClock.Instant?, count: Int)>((nil, 0))

        /// How many it were since the last time; nil: not told now.
        func toTell() -> Int? {
            state.withLock { state in
                state.count += 1
                guard state.told.map({ $0.duration(to: .now) >= Self.pause }) ?? true else { return nil }
                defer { state = (.now, 0) }
                return state.count
            }
        }
    }
}

/// Binds sockets to paths.
package enum UnixSocket {
    package struct Unusable: Error, CustomStringConvertible, Equatable {
        package let description: String
    }

    /// A bound socket, listening if it is a stream. A socket file that nobody listens on any more is replaced, any other file is not.
    static func listen(_ path: String, type: __socket_type, mode: UInt32) throws(Unusable) -> Int32 {
        try clear(path)
        let descriptor = socket(AF_UNIX, Int32(type.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw Unusable(description: "open a socket for \(path): \(String(cString: strerror(errno)))") }
        let isBound = try withAddress(path) { bind(descriptor, $0, $1) == 0 }
        // The file's mode keeps others out from the first moment: nobody can connect before `listen`.
        guard isBound, chmod(path, mode) == 0, type != SOCK_STREAM || Glibc.listen(descriptor, 128) == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw Unusable(description: "listen on \(path): \(reason)")
        }
        return descriptor
    }

    /// Takes a dead socket file away, and makes the folder where it is missing.
    package static func clear(_ path: String) throws(Unusable) {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
        do { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755]) } catch {
            throw Unusable(description: "make the folder \(folder.path): \(error.localizedDescription)")
        }
        var information = stat()
        guard lstat(path, &information) == 0 else { return }
        guard information.st_mode & S_IFMT == S_IFSOCK else { throw Unusable(description: "\(path) is there and is no socket") }
        for type in [SOCK_STREAM, SOCK_DGRAM] {
            let probe = socket(AF_UNIX, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0)
            defer { close(probe) }
            if try withAddress(path, { connect(probe, $0, $1) == 0 }) { throw Unusable(description: "another process listens on \(path)") }
        }
        unlink(path)
    }

    private static func withAddress<Value>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value) throws(Unusable) -> Value {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw Unusable(description: "\(path) is longer than a socket's path may be (\(MemoryLayout.size(ofValue: address.sun_path) - 1) bytes)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }
}
