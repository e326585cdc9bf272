internal import CRiposte
internal import Foundation
internal import Glibc
package import Logging
package import RiposteCore

/// Alerts on Unix sockets: a stream of lines, or one alert per datagram. Who is at the other end is what the kernel says.
///
/// The fast way in: one thread polls all connections and hands each line straight to the engine.
package struct SocketIntake: Intake {
    package struct Configuration: Sendable {
        package var name = "socket"
        package var streamPath: String
        package var datagramPath: String
        package var mode: UInt32 = 0o660
        /// Who may hand alerts in, beside root and the agent's own user.
        package var userIDs: Set<UInt32> = []
        package var trust = Alert.Arrival.Trust.trusted
        package var connectionLimit = 256
        package var lineLimit = 1 << 20
        package var partialLineTimeout = Duration.seconds(30)

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
    }

    private func serve(_ stream: Int32, _ datagram: Int32, _ thread: SourceThread) {
        var connections: [Int32: Connection] = [:]
        var buffer = [UInt8](repeating: 0, count: max(Self.readSize, configuration.lineLimit + 1))
        defer { connections.keys.forEach { close($0) } }
        while true {
            let ready = thread.wait(for: Array(connections.keys) + [datagram, stream], connections.isEmpty ? -1 : 1000)
            if ready.contains(thread.stop) { return }
            if ready.contains(datagram) { receive(datagram, &buffer) }
            for descriptor in ready {
                guard let connection = connections[descriptor] else { continue }
                connections[descriptor] = receive(descriptor, connection, &buffer, thread)
                if connections[descriptor] == nil { close(descriptor) }
            }
            // Behind all that has something to say.
            if ready.contains(stream) { accept(stream, &connections) }
            closeIdle(&connections)
        }
    }

    // MARK: - Streams

    private func accept(_ stream: Int32, _ connections: inout [Int32: Connection]) {
        let descriptor = Glibc.accept(stream, nil, nil)
        guard descriptor >= 0, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0, fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else { return }
        counters.count(\.connections)
        var credentials = riposte_credentials()
        guard riposte_peer_credentials(descriptor, &credentials) == 0, isAllowed(credentials) else {
            counters.count(\.denied)
            logger.warning("connection refused", metadata: ["intake.name": "\(name)", "peer.uid": "\(credentials.uid)"])
            close(descriptor)
            return
        }
        if connections.count >= configuration.connectionLimit { giveUpOne(&connections) }
        connections[descriptor] = Connection(lines: LineSplitter(limit: configuration.lineLimit), peer: Self.peer(credentials), userID: credentials.uid)
    }

    /// The one that has been silent longest, of the user who has most: many connections of one keep no other out, and nobody loses what he is just saying.
    private func giveUpOne(_ connections: inout [Int32: Connection]) {
        let counts = Dictionary(connections.values.map { ($0.userID, 1) }, uniquingKeysWith: +)
        let most = counts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
        let silent = connections.filter { $0.value.userID == most }.sorted { $0.value.heard < $1.value.heard }
        guard let (descriptor, connection) = silent.first(where: { !Self.hasUnread($0.key) }) ?? silent.first else { return }
        counters.count(\.evicted)
        if connection.partialSince != nil { reader.reject(AlertError(problem: "a line was not finished in time"), [], reader.arrival(peer: connection.peer)) }
        connections[descriptor] = nil
        close(descriptor)
    }

    private static func hasUnread(_ descriptor: Int32) -> Bool {
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) > 0
    }

    /// Nil when the connection is over.
    private func receive(_ descriptor: Int32, _ connection: Connection, _ buffer: inout [UInt8], _ thread: SourceThread) -> Connection? {
        var connection = connection
        let count = read(descriptor, &buffer, Self.readSize)
        if count < 0 { return errno == EAGAIN || errno == EINTR ? connection : nil }
        guard count > 0 else {
            if let last = connection.lines.end() { _ = take(.line(last), connection.peer, thread) }
            return nil
        }
        connection.heard = .now
        for piece in connection.lines.take(buffer.prefix(count)) where !take(piece, connection.peer, thread) { return nil }
        connection.partialSince = connection.lines.pendingBytes == 0 ? nil : connection.partialSince ?? .now
        return connection
    }

    private func take(_ piece: LineSplitter.Piece, _ peer: String, _ thread: SourceThread) -> Bool {
        switch piece {
        case .line(let line): return thread.insist { () throws(AdmissionError) in try reader.take(line, peer: peer) }
        case .tooLong(let head):
            reader.reject(AlertError(problem: "a line is longer than \(configuration.lineLimit) bytes"), head, reader.arrival(peer: peer))
            return true
        }
    }

    private func closeIdle(_ connections: inout [Int32: Connection]) {
        let now = ContinuousClock.now
        for (descriptor, connection) in connections {
            guard let since = connection.partialSince, since + configuration.partialLineTimeout < now else { continue }
            reader.reject(AlertError(problem: "a line was not finished in time"), [], reader.arrival(peer: connection.peer))
            connections[descriptor] = nil
            close(descriptor)
        }
    }

    // MARK: - Datagrams

    /// Nobody can be told to wait: what finds no room is counted and lost.
    private func receive(_ datagram: Int32, _ buffer: inout [UInt8]) {
        while true {
            var credentials = riposte_credentials()
            let length = riposte_receive(datagram, &buffer, buffer.count, &credentials)
            guard length >= 0 else { return }
            guard credentials.pid > 0, isAllowed(credentials) else {
                counters.count(\.denied)
                continue
            }
            let peer = Self.peer(credentials)
            guard length <= configuration.lineLimit else {
                reader.reject(AlertError(problem: "a datagram is longer than \(configuration.lineLimit) bytes"), buffer.prefix(256), reader.arrival(peer: peer))
                continue
            }
            do throws(AdmissionError) { try reader.take(buffer.prefix(length), peer: peer) } catch {
                logger.warning("alert lost", metadata: ["intake.name": "\(name)", "reason": "\(error)"])
            }
        }
    }

    private func isAllowed(_ credentials: riposte_credentials) -> Bool {
        credentials.uid == 0 || credentials.uid == geteuid() || configuration.userIDs.contains(credentials.uid)
    }

    private static func peer(_ credentials: riposte_credentials) -> String { "uid \(credentials.uid) pid \(credentials.pid)" }
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
