import CRiposte
import RiposteCore
@testable import RiposteRules
@testable import RiposteSensor

/// An event as the kernel side would write it, made by hand.
struct FixtureEvent {
    var header = riposte_event()
    private var items: [UInt8] = []

    init(_ call: String, kind: UInt8 = 1, result: Int64 = 0, fd: Int32 = -1, _ arguments: UInt64...) {
        header.version = UInt16(RIPOSTE_WIRE_VERSION)
        header.kind = kind
        (header.pid, header.tid, header.loginuid) = (4121, 4122, UInt32.max)
        (header.result, header.fd) = (result, fd)
        header.nr = EventType(named: call).flatMap { SystemCall.tableIndices(for: $0).first }.map { Int32($0) } ?? -1
        type = EventType(named: call) ?? .other
        withUnsafeMutableBytes(of: &header.comm) { $0.copyBytes(from: "cat".utf8) }
        withUnsafeMutableBytes(of: &header.args) { for (place, value) in arguments.enumerated() { $0.storeBytes(of: value, toByteOffset: 8 * place, as: UInt64.self) } }
    }

    let type: EventType

    func with(_ item: SensorRecord.Item, _ bytes: some Collection<UInt8>, detail: UInt32 = 0) -> FixtureEvent {
        var copy = self
        let head = riposte_item(type: item.rawValue, length: UInt16(bytes.count), detail: detail)
        withUnsafeBytes(of: head) { copy.items += $0 }
        copy.items += bytes
        while copy.items.count % 8 != 0 { copy.items.append(0) }
        return copy
    }

    func denied() -> FixtureEvent { with(RIPOSTE_FLAG_DENIED) }

    func with(_ flag: riposte_event_flag) -> FixtureEvent {
        var copy = self
        copy.header.flags |= UInt8(flag.rawValue)
        return copy
    }

    func with(_ item: SensorRecord.Item, _ text: String, detail: UInt32 = 0) -> FixtureEvent { with(item, Array(text.utf8), detail: detail) }

    func with(_ item: SensorRecord.Item, structure: some BitwiseCopyable) -> FixtureEvent { withUnsafeBytes(of: structure) { with(item, Array($0)) } }

    /// PATH1, and the directory it is relative to.
    func path(_ path: String, in base: String? = nil) -> FixtureEvent { base.map { with(.path1, path).with(.base1, $0) } ?? with(.path1, path) }

    func file(_ kind: riposte_file_kind = RIPOSTE_FILE_REGULAR, flags: UInt8 = 0, dev: UInt32 = 0x801, ino: UInt64 = 7, openFlags: UInt32 = 0, path: String? = nil)
        -> FixtureEvent
    {
        var file = riposte_file()
        (file.kind, file.flags, file.dev, file.ino, file.open_flags) = (UInt8(kind.rawValue), flags, dev, ino, openFlags)
        let event = with(.file, structure: file)
        return path.map { event.with(.filePath, $0) } ?? event
    }

    /// `local` and `remote` as `10.0.0.5:41822`.
    func socket(
        _ local: String? = nil, _ remote: String? = nil, family: UInt16 = 2, proto: UInt8 = 6, type: UInt8 = 1, role: riposte_socket_role = RIPOSTE_ROLE_NONE, state: UInt8 = 7
    ) -> FixtureEvent {
        var socket = riposte_socket()
        (socket.family, socket.protocol, socket.type, socket.role, socket.state) = (family, proto, type, UInt8(role.rawValue), state)
        func put(_ text: String?, _ address: inout (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)) -> UInt16 {
            guard let text, let (bytes, port) = Self.end(text) else { return 0 }
            withUnsafeMutableBytes(of: &address) { $0.copyBytes(from: bytes) }
            return port
        }
        socket.local_port = put(local, &socket.local)
        socket.remote_port = put(remote, &socket.remote)
        return with(.socket, structure: socket)
    }

    func unix(own: UInt64 = 0, peer: UInt64 = 0, role: riposte_socket_role = RIPOSTE_ROLE_NONE, path: String? = nil) -> FixtureEvent {
        var socket = riposte_socket()
        (socket.family, socket.type, socket.own, socket.peer, socket.role) = (1, 1, own, peer, UInt8(role.rawValue))
        let event = with(.socket, structure: socket)
        return path.map { event.with(.socketPath, $0) } ?? event
    }

    /// A `struct sockaddr`.
    func address(_ text: String, family: UInt8? = nil) -> FixtureEvent {
        guard let (bytes, port) = Self.end(text) else { return with(.address, [1, 0] + Array(text.utf8) + [0]) }
        let start = [family ?? (bytes.count == 4 ? 2 : 10), 0, UInt8(port >> 8), UInt8(port & 0xFF)] as [UInt8]
        return with(.address, bytes.count == 4 ? start + bytes + Array(repeating: 0, count: 8) : start + [0, 0, 0, 0] + bytes + [0, 0, 0, 0])
    }

    /// Of an IPv4 address mapped into IPv6 all 16 bytes.
    private static func end(_ text: String) -> ([UInt8], UInt16)? {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
        let address = text[..<colon]
        guard let parsed = IPAddress(address) else { return nil }
        let isMapped = address.hasPrefix("::ffff:")
        return ((isMapped ? Array(repeating: 0, count: 10) + [0xFF, 0xFF] : []) + parsed.bytes, port)
    }

    var bytes: [UInt8] {
        var header = header
        header.size = UInt32(MemoryLayout<riposte_event>.size + items.count)
        return withUnsafeBytes(of: header) { Array($0) } + items
    }
}

/// Asks events for fields; keeps what the answers point to.
final class FixtureDesk {
    let event: SensorEvent
    let arena = FieldArena()
    private var memory: [UnsafeMutableRawBufferPointer] = []

    private final class NoContainers: ContainerKnowledge {
        func prefetch(_ container: ContainerReference, beganAnew: Bool) {}
        func facts(of container: ContainerReference) -> ContainerFacts? { nil }
    }

    init() { event = SensorEvent(SensorWorld(processes: ProcessTable(), containers: NoContainers(), accounts: AccountTable(), wallOffset: 0)) }

    deinit { for memory in memory { memory.deallocate() } }

    func take(_ fixture: FixtureEvent, at time: Timestamp = Timestamp(nanoseconds: 1_700_000_000_123_456_789)) {
        let bytes = fixture.bytes
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
        copy.copyBytes(from: bytes)
        memory.append(copy)
        guard let record = SensorRecord(UnsafeRawBufferPointer(copy)) else { preconditionFailure("no record") }
        event.take(record, fixture.type, SystemCall.named(fixture.type), process: nil, at: time)
    }

    /// The field's value as text, nil where it is absent.
    func value(_ field: String) throws -> String? {
        guard case .test(let test) = try Condition(parsing: "\(field) exists"), case .field(let reference) = test.left else { return nil }
        let match = try FieldCatalogue.find(reference, source: "syscall")
        var argument = EventField.Argument.none
        if let text = match.argument {
            let bytes = arena.allocate(bytes: text.utf8.count, alignment: 1)
            bytes.copyBytes(from: text.utf8)
            argument = match.description.argument == .index ? Int(text).map { .index($0) } ?? .none : .key(UnsafeRawBufferPointer(bytes))
        }
        let value = event.value(
            of: EventField(id: match.description.id, argument: argument, type: match.description.type, text: UnsafeRawBufferPointer(start: nil, count: 0)), in: arena)
        guard !value.isAbsent else { return nil }
        var text: [UInt8] = []
        value.append(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    static func value(_ field: String, of fixture: FixtureEvent) throws -> String? {
        let desk = FixtureDesk()
        desk.take(fixture)
        return try desk.value(field)
    }

    /// Whether a condition holds, judged as the sensor does.
    static func holds(_ condition: String, for fixture: FixtureEvent) -> Bool? {
        guard let judge = EventCondition.compile(condition, source: "syscall").condition?.judge() else { return nil }
        let desk = FixtureDesk()
        desk.take(fixture)
        return !judge.judge(desk.event).isEmpty
    }
}
