internal import Foundation
internal import RiposteTransport

/// The connection to a syslog daemon: made when it is needed, kept, and made anew when it is lost.
struct SyslogLine: ~Copyable, Sendable {
    enum Problem: Equatable {
        /// This message will never pass.
        case tooLarge(String)
        case passing(String)
    }

    private enum Connection: Sendable {
        case none
        case datagrams(Int32)
        case stream(StreamConnection, SyslogReceiver.Framing)
    }

    private let receiver: SyslogReceiver
    private let timeout: Duration
    private var connection = Connection.none

    init(_ receiver: SyslogReceiver, timeout: Duration) {
        self.receiver = receiver
        self.timeout = timeout
    }

    deinit { if case .datagrams(let socket) = connection { Glibc.close(socket) } }

    mutating func close() {
        if case .datagrams(let socket) = connection { Glibc.close(socket) }
        connection = .none
    }

    /// How many were sent, and what became of the next one. Of a stream nobody knows what has arrived when it breaks: then none.
    mutating func send(_ messages: [[UInt8]], _ patience: Patience) -> (sent: Int, problem: Problem?) {
        if case .stream(let stream, _) = connection, stream.isClosedByPeer { close() }
        if case .none = connection, let problem = open() { return (0, .passing(problem)) }
        switch connection {
        case .none: return (0, .passing("no connection"))
        case .datagrams(let socket): return send(messages, by: socket)
        case .stream(let stream, let framing):
            do throws(TransportError) {
                try stream.send(messages.flatMap { Self.framed($0, framing) }, within: timeout, patience)
                return (messages.count, nil)
            } catch {
                close()
                return (0, .passing(error.message))
            }
        }
    }

    private static func framed(_ message: [UInt8], _ framing: SyslogReceiver.Framing) -> [UInt8] {
        switch framing {
        case .octets: Array("\(message.count) ".utf8) + message
        case .newline: message + [UInt8(ascii: "\n")]
        }
    }

    // MARK: - Datagrams

    private mutating func send(_ messages: [[UInt8]], by socket: Int32) -> (sent: Int, problem: Problem?) {
        for (index, message) in messages.enumerated() {
            var count = message.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            // The refusal of an earlier datagram, told now; this one was not sent.
            if count < 0, errno == ECONNREFUSED, index == 0, case .udp = receiver.way {
                count = message.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            }
            guard count < 0 else { continue }
            let code = errno
            let words = "\(receiver.text): \(String(cString: strerror(code)))"
            if code == EMSGSIZE { return (index, .tooLarge("\(words): \(message.count) bytes; lower max_bytes")) }
            close()
            return (index, .passing(words))
        }
        return (messages.count, nil)
    }

    // MARK: - Opening

    private mutating func open() -> String? {
        switch receiver.way {
        case .unix(let path): return openUnix(path)
        case .udp(let host, let port): return openUDP(host, port)
        case .tcp(let host, let port): return openStream(.tcp(host: host, port: port), receiver.framing)
        case .tls(let host, let port): return openStream(.tls(host: host, port: port), receiver.framing)
        }
    }

    private mutating func openStream(_ address: StreamConnection.Address, _ framing: SyslogReceiver.Framing) -> String? {
        do throws(TransportError) {
            connection = .stream(try StreamConnection(address, tls: receiver.tls, within: timeout), framing)
            return nil
        } catch {
            return error.message
        }
    }

    private mutating func openUnix(_ path: String) -> String? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < room else { return "\(path): longer than a socket's path can be" }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let descriptor = datagramSocket(AF_UNIX)
        guard descriptor >= 0 else { return "no socket: \(String(cString: strerror(errno)))" }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        guard status != 0 else {
            connection = .datagrams(descriptor)
            return nil
        }
        let code = errno
        Glibc.close(descriptor)
        // The socket is a stream's.
        if code == EPROTOTYPE { return openStream(.unix(path: path), .newline) }
        return "\(path): \(String(cString: strerror(code)))"
    }

    private mutating func openUDP(_ host: String, _ port: Int) -> String? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, "\(port)", &hints, &found)
        guard status == 0 else { return "\(host): \(String(cString: gai_strerror(status)))" }
        defer { freeaddrinfo(found) }
        var words = "\(host): no address"
        var next = found
        while let entry = next {
            let descriptor = datagramSocket(entry.pointee.ai_family)
            if descriptor >= 0, connect(descriptor, entry.pointee.ai_addr, entry.pointee.ai_addrlen) == 0 {
                connection = .datagrams(descriptor)
                return nil
            }
            words = "\(receiver.text): \(String(cString: strerror(errno)))"
            if descriptor >= 0 { Glibc.close(descriptor) }
            next = entry.pointee.ai_next
        }
        return words
    }

    /// Sending waits no longer than the time-out for a daemon that is behind.
    private func datagramSocket(_ family: Int32) -> Int32 {
        let descriptor = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return descriptor }
        let parts = timeout.components
        var time = timeval(tv_sec: Int(parts.seconds), tv_usec: Int(parts.attoseconds / 1_000_000_000_000))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        return descriptor
    }
}
