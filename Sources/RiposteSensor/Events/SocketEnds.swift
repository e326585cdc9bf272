internal import CRiposte
internal import RiposteCore
internal import RiposteRules

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

/// One end of a connection over IP.
struct SocketEnd {
    /// In network byte order; of IPv4 the first four count.
    let bytes: (UInt64, UInt64)
    let isIPv4: Bool
    let port: UInt16

    init(_ address: UnsafeRawBufferPointer, isIPv4: Bool, port: UInt16) {
        var bytes: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &bytes) { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: address[..<min(address.count, isIPv4 ? 4 : 16)])) }
        // An IPv4 address in IPv6's clothes, ::ffff:10.0.0.5, is the IPv4 address.
        let isMapped = !isIPv4 && bytes.0 == 0 && bytes.1.littleEndian & 0xFFFF_FFFF == 0xFFFF_0000
        self.bytes = isMapped ? ((bytes.1.littleEndian >> 32).littleEndian, 0) : bytes
        self.isIPv4 = isIPv4 || isMapped
        self.port = port
    }

    var isUnspecified: Bool { bytes == (0, 0) }
    var isLoopback: Bool { isIPv4 ? bytes.0.littleEndian & 0xFF == 127 : bytes.0 == 0 && bytes.1.bigEndian == 1 }

    var address: FieldView {
        withUnsafeBytes(of: bytes) { bytes in
            IPAddress(bytes: UnsafeRawBufferPointer(rebasing: bytes[..<(isIPv4 ? 4 : 16)])).map(FieldView.address) ?? .absent
        }
    }

    /// `10.0.0.5:41822`, `::1:53`; without the port where the protocol has none.
    func write(to text: inout ArenaText, withPort: Bool) {
        var bytes = bytes
        if let start = text.rest.baseAddress?.assumingMemoryBound(to: CChar.self), inet_ntop(isIPv4 ? AF_INET : AF_INET6, &bytes, start, socklen_t(text.rest.count)) != nil {
            text.advance(strlen(start))
        }
        guard withPort else { return }
        text.append(byte: UInt8(ascii: ":"))
        text.append(UInt64(port), radix: 10)
    }

    func isSameAddress(as other: SocketEnd) -> Bool { bytes == other.bytes && isIPv4 == other.isIPv4 }
}

/// What the event's descriptor is as a socket over IP: which end is whose, and who is the client (spec: fields.md 2, Socket names).
///
/// The local end is the socket's own, as the kernel has it, and the remote end its peer. Falco takes for local whatever address is the host's, which on
/// connections within one host makes the client local for both of its processes; here each process sees its own end.
struct SocketEnds {
    enum Proto { case tcp, udp, icmp, raw, other }

    /// Nil while the socket has neither been bound nor connected.
    let local: SocketEnd?
    let remote: SocketEnd?
    let isServer: Bool
    let proto: Proto

    /// Nil for sockets that are not IP's.
    init?(_ socket: riposte_socket, _ record: SensorRecord, _ call: SystemCall?) {
        guard socket.family == UInt16(AF_INET) || socket.family == UInt16(AF_INET6) else { return nil }
        let isIPv4 = socket.family == UInt16(AF_INET)
        let kind = call?.facts.pointee.kind ?? .other
        let sends = call?.facts.pointee.traits.contains(.writes) == true
        proto = Self.proto(socket)
        let own = withUnsafeBytes(of: socket.local) { SocketEnd($0, isIPv4: isIPv4, port: socket.local_port) }
        var peer: SocketEnd? = withUnsafeBytes(of: socket.remote) { SocketEnd($0, isIPv4: isIPv4, port: socket.remote_port) }
        if peer?.port == 0, peer?.isUnspecified == true { peer = nil }
        // An address that is empty is one that nobody knows: the datagram need not have gone to the peer.
        if sends, proto != .tcp, record[.address]?.isEmpty == true { peer = nil }
        // Where a datagram over IPv4 names no family, the kernel takes the address for one of IPv4. A connect that names none ends a connection.
        let passed = kind == .bind ? nil : record[.address].flatMap { Self.end($0, unnamed: sends && isIPv4 ? AF_INET : AF_UNSPEC) }
        // What was passed is the peer of a connect that failed or is not done, and of a datagram that was sent. Where one came from is read from the caller's memory,
        // in which the kernel need not have written anything: a socket with a peer takes datagrams from there alone.
        // The kernel takes the port back when a connect is refused; of one that it took it knows the peer, whatever stands in the caller's memory by now.
        let isRefused =
            kind == .connect && (record.header.pointee.result < 0 && record.header.pointee.result != -Int64(EINPROGRESS) || record.has(RIPOSTE_FLAG_DENIED))
        if let passed, peer == nil || isRefused || sends && proto != .tcp { peer = passed }
        let isBound = own.port != 0 || kind == .bind || kind == .listen || socket.role == UInt8(RIPOSTE_ROLE_SERVER.rawValue)
        if let peer {
            (local, remote) = (own, peer)
            // A connect that was refused beforehand would have made a client of it, whatever it was.
            isServer = record.has(RIPOSTE_FLAG_DENIED) ? false : Self.isServer(socket, kind, own, peer, call)
        } else {
            (local, remote) = (isBound ? own : nil, nil)
            isServer = isBound
        }
    }

    var client: SocketEnd? { remote == nil ? nil : isServer ? remote : local }
    var server: SocketEnd? { remote == nil || isServer ? local : remote }
    var isConnected: Bool { remote != nil }

    /// SOCK_RAW, an enumeration in some C libraries and a number in others.
    private static let rawType: UInt8 = 3

    private static func proto(_ socket: riposte_socket) -> Proto {
        if socket.type == rawType { return .raw }
        // IPPROTO_TCP and so on (linux/in.h).
        return switch socket.protocol {
        case 6: .tcp
        case 17, 136: .udp
        case 1, 58: .icmp
        case 255: .raw
        default: .other
        }
    }

    private static func isServer(_ socket: riposte_socket, _ kind: SystemCall.Kind, _ own: SocketEnd, _ peer: SocketEnd, _ call: SystemCall?) -> Bool {
        switch (kind, UInt32(socket.role)) {
        case (.connect, _) where proto(socket) == .tcp: return false
        case (.accept, _), (.accept4, _): return true
        case (_, RIPOSTE_ROLE_CLIENT.rawValue): return false
        case (_, RIPOSTE_ROLE_SERVER.rawValue): return true
        case (.connect, _): return false
        default:
            // A server begins with a read and a client with a write; but an answer from a service to a port that the kernel chose is one to a client.
            let isAnswer = own.port >= 32768 && peer.port < 32768
            return call?.facts.pointee.traits.contains(.reads) == true && !isAnswer
        }
    }

    /// The end that a `struct sockaddr` of IP names; one that names no family is of the family `unnamed`.
    static func end(_ address: UnsafeRawBufferPointer, unnamed: Int32 = AF_UNSPEC) -> SocketEnd? {
        guard address.count >= 8 else { return nil }
        let named = Int32(address.loadUnaligned(as: UInt16.self))
        let family = named == AF_UNSPEC ? unnamed : named
        let port = UInt16(bigEndian: address.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        switch family {
        case AF_INET: return SocketEnd(address.bytes(from: 4), isIPv4: true, port: port)
        case AF_INET6 where address.count >= 24: return SocketEnd(address.bytes(from: 8), isIPv4: false, port: port)
        default: return nil
        }
    }

    var hasPorts: Bool { proto != .icmp && proto != .raw }

    /// `10.0.0.5:41822->10.0.0.9:443`, client first; of a bound socket `0.0.0.0:80`; nothing of a fresh one.
    func write(to text: inout ArenaText) {
        if let client, let server {
            client.write(to: &text, withPort: hasPorts)
            text.append("->")
            server.write(to: &text, withPort: hasPorts)
        } else {
            server?.write(to: &text, withPort: hasPorts)
        }
    }
}
