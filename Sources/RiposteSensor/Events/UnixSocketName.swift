internal import CRiposte
internal import RiposteRules

/// Names of Unix sockets: `ffff888012345678->ffff8880deadbeef /run/x.sock`, client first; a path alone of one that is only bound.
enum UnixSocketName {
    /// `byPeer`: with the path that the peer is bound to, whatever was passed.
    static func write(_ socket: riposte_socket, _ record: SensorRecord, isServer: Bool, byPeer: Bool, to text: inout ArenaText) {
        let path = byPeer ? peerPath(record) ?? path(record) : path(record)
        guard socket.peer != 0 || isServer == false && record[.address] != nil else {
            append(path, to: &text)
            return
        }
        let (source, target) = isServer ? (socket.peer, socket.own) : (socket.own, socket.peer)
        text.append(source, radix: 16, letters: UInt8(ascii: "a"))
        text.append("->")
        text.append(target, radix: 16, letters: UInt8(ascii: "a"))
        text.append(byte: UInt8(ascii: " "))
        append(path, to: &text)
    }

    /// An abstract name begins with a NUL, which is told as `@`.
    static func append(_ path: UnsafeRawBufferPointer, to text: inout ArenaText) {
        if path.first == 0, path.count > 1 {
            text.append(byte: UInt8(ascii: "@"))
            text.append(printable: path.bytes(from: 1))
        } else {
            text.append(path)
        }
    }

    /// The path that was passed, else that of the socket.
    static func path(_ record: SensorRecord) -> UnsafeRawBufferPointer {
        if let address = record[.address], let path = path(inAddress: address), !path.isEmpty { return path }
        return record[.socketPath] ?? .nothing
    }

    /// The path that the peer is bound to.
    private static func peerPath(_ record: SensorRecord) -> UnsafeRawBufferPointer? { record.detail(.socketPath) == 1 ? record[.socketPath] : nil }

    /// Whether a connect led to a socket that is bound to another path than the one that was passed: by a symbolic link, a descriptor's name, a relative path.
    static func leadsElsewhere(_ record: SensorRecord) -> Bool {
        guard let peer = peerPath(record), !peer.isEmpty else { return false }
        return !peer.hasSameBytes(as: path(record))
    }

    /// `sun_path` of a `struct sockaddr_un`: up to its NUL, an abstract one whole.
    static func path(inAddress address: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard address.count >= 2, address.loadUnaligned(as: UInt16.self) == 1 else { return nil }
        let path = address.bytes(from: 2)
        guard path.first != 0 else { return path }
        return UnsafeRawBufferPointer(rebasing: path[..<(path.firstIndex(of: 0) ?? path.count)])
    }
}
