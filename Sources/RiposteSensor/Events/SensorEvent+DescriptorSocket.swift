internal import CRiposte
internal import RiposteCore
internal import RiposteRules

/// The fields of `fd.*` that are about sockets.
extension SensorEvent {
    func socketValue(_ known: DescriptorField, _ record: SensorRecord, _ call: SystemCall, _ kind: DescriptorKind, _ arena: FieldArena) -> FieldView {
        let ends = kind.isIP ? record.socket.flatMap { SocketEnds($0, record, call) } : nil
        switch known {
        case .socketFamily: return kind.isIP ? StaticString("ip").view : kind == .unix ? StaticString("unix").view : .absent
        case .layer4: return Self.layer4(ends).view
        case .connected: return .bool(isConnected(record, call, kind))
        case .nameChanged: return .bool(nameChanged(record, call, ends))
        case .isServer: return .bool(ends.map(Self.hasLocalServer) ?? false)
        default: return ends.map { endValue(known, $0, arena) } ?? .absent
        }
    }

    private func endValue(_ known: DescriptorField, _ ends: SocketEnds, _ arena: FieldArena) -> FieldView {
        // A socket that is only bound has a server's end and no other.
        let local = ends.isConnected ? ends.local : nil
        let remote = ends.remote
        return switch known {
        case .address, .net: pair(ends.client?.address, ends.server?.address, arena)
        case .port, .proto: pair(ends.client.map(Self.port), ends.server.map(Self.port), arena)
        case .clientAddress, .clientNet: ends.client?.address ?? .absent
        case .serverAddress, .serverNet: ends.server?.address ?? .absent
        case .localAddress, .localNet: local?.address ?? .absent
        case .remoteAddress, .remoteNet: remote?.address ?? .absent
        case .clientPort: ends.client.map(Self.port) ?? .absent
        case .serverPort: ends.server.map(Self.port) ?? .absent
        case .localPort: local.map(Self.port) ?? .absent
        case .remotePort: remote.map(Self.port) ?? .absent
        case .clientProto: portText(ends.client, arena)
        case .serverProto: portText(ends.server, arena)
        case .localProto: portText(local, arena)
        case .remoteProto: portText(remote, arena)
        default: .absent
        }
    }

    private static func port(_ end: SocketEnd) -> FieldView { .integer(Int64(end.port)) }

    /// Falco prints numbers unless it is told to look names up.
    private func portText(_ end: SocketEnd?, _ arena: FieldArena) -> FieldView {
        guard let end else { return .absent }
        var text = ArenaText(arena, capacity: 5)
        text.append(UInt64(end.port), radix: 10)
        return text.view
    }

    /// One or both of two values, without an array on the way.
    private func pair(_ first: FieldView?, _ second: FieldView?, _ arena: FieldArena) -> FieldView {
        guard let first, let second else { return (first ?? second).map { arena.list(CollectionOfOne($0)) } ?? .absent }
        let memory = arena.allocate(bytes: 2 * MemoryLayout<FieldView>.stride, alignment: MemoryLayout<FieldView>.alignment).bindMemory(to: FieldView.self)
        memory.initializeElement(at: 0, to: first)
        memory.initializeElement(at: 1, to: second)
        return .list(UnsafeBufferPointer(memory))
    }

    private static func layer4(_ ends: SocketEnds?) -> StaticString {
        guard let ends, ends.proto == .raw || ends.local != nil else { return "<NA>" }
        return switch ends.proto {
        case .tcp: "tcp"
        case .udp: "udp"
        case .icmp: "icmp"
        case .raw: "raw"
        case .other: "<NA>"
        }
    }

    /// Whether the server's end is one of this host: ours, or at an address that is this host's as well.
    private static func hasLocalServer(_ ends: SocketEnds) -> Bool {
        guard let server = ends.server else { return false }
        return ends.isServer || server.isLoopback || ends.client.map(server.isSameAddress) == true
    }

    func isUnixServer(_ socket: riposte_socket, _ call: SystemCall) -> Bool {
        switch call.facts.pointee.kind {
        case .accept, .accept4, .bind, .listen: true
        case .connect: false
        default: UInt32(socket.role) == RIPOSTE_ROLE_SERVER.rawValue
        }
    }

    private static let inProgress: Int64 = -115
    /// States of a socket without a peer, as the kernel numbers them (net/tcp_states.h): SYN_SENT, CLOSE, LISTEN.
    private static let unconnected: [UInt8] = [2, 7, 10]

    /// Connected, on its way to be, or accepted. A datagram to an address makes no connection.
    private func isConnected(_ record: SensorRecord, _ call: SystemCall, _ kind: DescriptorKind) -> Bool {
        guard kind.isSocket else { return false }
        let result = record.header.pointee.result
        switch call.facts.pointee.kind {
        case .connect: return result >= 0 || result == Self.inProgress
        case .accept, .accept4: return result >= 0
        default: break
        }
        return record.socket.map { !Self.unconnected.contains($0.state) } ?? false
    }

    /// A connect names the socket; so does each datagram to or from an address, of a socket that has no peer of its own. Whether it is the address of the
    /// datagram before is not known here, so that too counts as a change.
    private func nameChanged(_ record: SensorRecord, _ call: SystemCall, _ ends: SocketEnds?) -> Bool {
        let result = record.header.pointee.result
        if call.facts.pointee.kind == .connect { return result >= 0 || result == Self.inProgress }
        guard let ends, ends.proto != .tcp, result >= 0, !call.facts.pointee.traits.isDisjoint(with: .moves), let remote = ends.remote, let socket = record.socket else {
            return false
        }
        let own = withUnsafeBytes(of: socket.remote) { SocketEnd($0, isIPv4: socket.family == 2, port: socket.remote_port) }
        return !own.isSameAddress(as: remote) || own.port != remote.port
    }
}
