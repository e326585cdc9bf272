internal import CRiposte
internal import RiposteCore
internal import RiposteRules

/// `fd.*`: the descriptor that the event makes or uses. `fdlist.*` have no value: what was polled is not told by the kernel side. Neither have `fd.types`
/// without a number and the DNS names (`fd.sip.name` …): no descriptor table is kept and no name server asked.
enum DescriptorField: String {
    case num = "fd.num"
    case name = "fd.name"
    case rawName = "fd.nameraw"
    case directory = "fd.directory"
    case filename = "fd.filename"
    case type = "fd.type"
    case typechar = "fd.typechar"
    case types = "fd.types"
    case uid = "fd.uid"
    case containerName = "fd.containername"
    case containerDirectory = "fd.containerdirectory"
    case dev = "fd.dev"
    case major = "fd.dev.major"
    case minor = "fd.dev.minor"
    case ino = "fd.ino"
    case isUpperLayer = "fd.is_upper_layer"
    case isLowerLayer = "fd.is_lower_layer"
    case nameChanged = "fd.name_changed"
    case socketFamily = "fd.sockfamily"
    case layer4 = "fd.l4proto"
    case connected = "fd.connected"
    case isServer = "fd.is_server"
    case address = "fd.ip"
    case clientAddress = "fd.cip"
    case serverAddress = "fd.sip"
    case localAddress = "fd.lip"
    case remoteAddress = "fd.rip"
    case port = "fd.port"
    case clientPort = "fd.cport"
    case serverPort = "fd.sport"
    case localPort = "fd.lport"
    case remotePort = "fd.rport"
    case net = "fd.net"
    case clientNet = "fd.cnet"
    case serverNet = "fd.snet"
    case localNet = "fd.lnet"
    case remoteNet = "fd.rnet"
    case proto = "fd.proto"
    case clientProto = "fd.cproto"
    case serverProto = "fd.sproto"
    case localProto = "fd.lproto"
    case remoteProto = "fd.rproto"
}

/// What a descriptor refers to, with Falco's names.
enum DescriptorKind {
    case file, directory, ipv4, ipv6, unix, netlink, pipe, event, signal, eventpoll, inotify, timer, bpf, userfault, ring, memfd, pidfd, unknown

    var name: StaticString {
        switch self {
        case .file: "file"
        case .directory: "directory"
        case .ipv4: "ipv4"
        case .ipv6: "ipv6"
        case .unix: "unix"
        case .netlink: "netlink"
        case .pipe: "pipe"
        case .event: "event"
        case .signal: "signalfd"
        case .eventpoll: "eventpoll"
        case .inotify: "inotify"
        case .timer: "timerfd"
        case .bpf: "bpf"
        case .userfault: "userfaultfd"
        case .ring: "io_uring"
        case .memfd: "memfd"
        case .pidfd: "pidfd"
        case .unknown: "<NA>"
        }
    }

    var character: StaticString {
        switch self {
        case .file: "f"
        case .directory: "d"
        case .ipv4: "4"
        case .ipv6: "6"
        case .unix, .userfault: "u"
        case .netlink: "n"
        case .pipe: "p"
        case .event: "e"
        case .signal: "s"
        case .eventpoll: "l"
        case .inotify: "i"
        case .timer: "t"
        case .bpf: "b"
        case .ring: "r"
        case .memfd: "m"
        case .pidfd: "P"
        case .unknown: "?"
        }
    }

    var isFileOrDirectory: Bool { self == .file || self == .directory }
    var isIP: Bool { self == .ipv4 || self == .ipv6 }
    var isSocket: Bool { isIP || self == .unix }
}

extension SensorEvent {
    func descriptorValue(_ known: DescriptorField, _ field: EventField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        guard let call = knownCall, !call.facts.pointee.traits.isDisjoint(with: .descriptor), record.kind == .call else { return .absent }
        let kind = descriptorKind(record, call)
        switch known {
        case .num: return .integer(Int64(record.header.pointee.fd))
        case .name: return descriptorName(record, call, kind, arena).map(FieldView.text) ?? .absent
        case .rawName: return rawName(record, call, kind, arena)
        case .directory: return directory(record, call, kind, arena)
        case .filename: return kind == .file ? descriptorName(record, call, kind, arena).map { .text(Self.lastComponent(of: $0)) } ?? .absent : .absent
        case .type: return kind.map { $0.name.view } ?? .absent
        case .typechar: return (kind?.character ?? Self.character(ofFailed: call)).view
        case .types:
            guard case .index(let number) = field.argument, number == Int(record.header.pointee.fd), let kind else { return .absent }
            return arena.list(CollectionOfOne(kind.name.view))
        case .uid: return joined(.integer(Int64(record.header.pointee.tid)), .integer(Int64(record.header.pointee.fd)), separator: "", arena)
        case .containerName: return withContainer(descriptorName(record, call, kind, arena).map(FieldView.text) ?? .absent, field, record, arena)
        case .containerDirectory: return withContainer(directory(record, call, kind, arena), field, record, arena)
        case .dev, .major, .minor, .ino, .isUpperLayer, .isLowerLayer: return kind == nil ? .absent : fileValue(known, record)
        default:
            guard let kind else { return .absent }
            return socketValue(known, record, call, kind, arena)
        }
    }

    // MARK: - Kind

    /// Nil where nothing is known of the descriptor: it could not be made, or there is none of this number.
    func descriptorKind(_ record: SensorRecord, _ call: SystemCall) -> DescriptorKind? {
        let kind = call.facts.pointee.kind
        if kind.isOpen {
            guard record.header.pointee.result >= 0 else { return nil }
            // As Falco has it, whatever a name led to: a directory is what was opened as one.
            return openFlags(record) & DescriptorKind.openDirectory != 0 ? .directory : .file
        }
        if let socket = record.socket { return Self.kind(of: socket, record, call) }
        guard let file = record.file else { return nil }
        return Self.kind(of: file, record[.filePath])
    }

    private static func kind(of socket: riposte_socket, _ record: SensorRecord, _ call: SystemCall) -> DescriptorKind {
        switch socket.family {
        case 1: .unix
        case 2: .ipv4
        case 10: SocketEnds(socket, record, call).flatMap { $0.remote ?? $0.local }?.isIPv4 == true ? .ipv4 : .ipv6
        case 16: .netlink
        default: .unknown
        }
    }

    private static func kind(of file: riposte_file, _ path: UnsafeRawBufferPointer?) -> DescriptorKind {
        switch UInt32(file.kind) {
        case RIPOSTE_FILE_REGULAR.rawValue, RIPOSTE_FILE_DEVICE.rawValue, RIPOSTE_FILE_LINK.rawValue: .file
        case RIPOSTE_FILE_DIRECTORY.rawValue: .directory
        // One with a name on a disk is opened like a file, and is one for Falco.
        case RIPOSTE_FILE_PIPE.rawValue: path?.first == UInt8(ascii: "/") ? .file : .pipe
        case RIPOSTE_FILE_EVENT.rawValue: .event
        case RIPOSTE_FILE_SIGNAL.rawValue: .signal
        case RIPOSTE_FILE_EVENTPOLL.rawValue: .eventpoll
        case RIPOSTE_FILE_INOTIFY.rawValue: .inotify
        case RIPOSTE_FILE_TIMER.rawValue: .timer
        case RIPOSTE_FILE_BPF.rawValue: .bpf
        case RIPOSTE_FILE_USERFAULTFD.rawValue: .userfault
        case RIPOSTE_FILE_IO_URING.rawValue: .ring
        case RIPOSTE_FILE_MEMFD.rawValue: .memfd
        case RIPOSTE_FILE_PIDFD.rawValue: .pidfd
        default: .unknown
        }
    }

    private static func character(ofFailed call: SystemCall) -> StaticString {
        switch call.facts.pointee.kind {
        case .openat, .openat2, .creat: "f"
        case .socket, .accept, .accept4: "4"
        default: "o"
        }
    }

    // MARK: - Names

    /// For other families of fields; nothing where there is no name.
    func descriptorName(_ record: SensorRecord, _ arena: FieldArena) -> UnsafeRawBufferPointer {
        guard let call = knownCall else { return .nothing }
        return descriptorName(record, call, descriptorKind(record, call), arena) ?? .nothing
    }

    func descriptorName(_ record: SensorRecord, _ call: SystemCall, _ kind: DescriptorKind?, _ arena: FieldArena) -> UnsafeRawBufferPointer? {
        if call.facts.pointee.kind.isOpen { return openedName(record, call) }
        switch kind {
        case .file, .directory: return record[.filePath] ?? .nothing
        case .ipv4, .ipv6:
            guard let ends = record.socket.flatMap({ SocketEnds($0, record, call) }), ends.local != nil else { return .nothing }
            var text = ArenaText(arena, capacity: 128)
            ends.write(to: &text)
            return text.bytes
        case .unix:
            guard let socket = record.socket else { return .nothing }
            var text = ArenaText(arena, capacity: 160)
            UnixSocketName.write(socket, record, isServer: isUnixServer(socket, call), byPeer: usesKernelPath, to: &text)
            return text.bytes
        case .memfd: return memoryFileName(record, call)
        default: return .nothing
        }
    }

    /// The path that was asked for, which a failed open has too; of open_by_handle_at, which asks for none, the kernel's.
    private func openedName(_ record: SensorRecord, _ call: SystemCall) -> UnsafeRawBufferPointer? {
        if usesKernelPath || call.facts.pointee.kind == .openByHandle, let path = record[.filePath] { return path }
        return joinedPaths.path(.first, of: record)
    }

    /// As it was given to memfd_create; the kernel has it as `/memfd:NAME`.
    private func memoryFileName(_ record: SensorRecord, _ call: SystemCall) -> UnsafeRawBufferPointer {
        if call.facts.pointee.kind == .memfd, let name = record[.path1] { return name }
        guard let path = record[.filePath] else { return .nothing }
        let mark: StaticString = "/memfd:"
        return path.begins(with: mark.bytes) ? path.bytes(from: mark.utf8CodeUnitCount) : path
    }

    /// Doubled slashes are one; whatever else was asked for stays.
    private func rawName(_ record: SensorRecord, _ call: SystemCall, _ kind: DescriptorKind?, _ arena: FieldArena) -> FieldView {
        guard call.facts.pointee.kind.isOpen, let path = record[.path1] else { return descriptorName(record, call, kind, arena).map(FieldView.text) ?? .absent }
        let slash = UInt8(ascii: "/")
        guard zip(path, path.bytes(from: 1)).contains(where: { $0 == slash && $1 == slash }) else { return .text(path) }
        var text = ArenaText(arena, capacity: path.count)
        for (place, byte) in path.enumerated() where byte != slash || place == 0 || path[place - 1] != slash { text.append(byte: byte) }
        return text.view
    }

    private func directory(_ record: SensorRecord, _ call: SystemCall, _ kind: DescriptorKind?, _ arena: FieldArena) -> FieldView {
        let isFailedOpen = kind == nil && call.facts.pointee.kind.isOpen
        guard isFailedOpen || kind?.isFileOrDirectory == true, let name = descriptorName(record, call, kind, arena) else { return .absent }
        return .text(kind == .directory ? name : Self.directory(of: name))
    }

    /// What stands before the last slash; `/` of `/x`.
    private static func directory(of path: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let root: StaticString = "/"
        guard let slash = path.lastIndex(of: UInt8(ascii: "/")), slash > 0 else { return root.bytes }
        return slash == path.count - 1 ? path : UnsafeRawBufferPointer(rebasing: path[..<slash])
    }

    private static func lastComponent(of path: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let root: StaticString = "/"
        guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return root.bytes }
        return slash == path.count - 1 ? path : path.bytes(from: slash + 1)
    }

    private func withContainer(_ value: FieldView, _ field: EventField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        guard !value.isAbsent else { return .absent }
        return joined(containerValue(.id, field, record, arena), value, separator: ":", arena)
    }

    func joined(_ first: FieldView, _ second: FieldView, separator: StaticString, _ arena: FieldArena) -> FieldView {
        var text = ArenaText(arena, capacity: Self.room(for: first) + separator.utf8CodeUnitCount + Self.room(for: second))
        text.append(first)
        text.append(separator)
        text.append(second)
        return text.view
    }

    /// Bytes that a value takes as text at most.
    private static func room(for value: FieldView) -> Int { if case .text(let text) = value { text.count } else { 24 } }

    // MARK: - Files

    private func fileValue(_ known: DescriptorField, _ record: SensorRecord) -> FieldView {
        guard let file = record.file else { return .absent }
        // makedev's form: major 0xFFF00, minor 0xFF and from 0xFFF00000.
        switch known {
        case .dev: return .integer(Int64(file.dev))
        case .major: return .integer(Int64(file.dev >> 8 & 0xFFF))
        case .minor: return .integer(Int64(file.dev & 0xFF | file.dev >> 12 & 0xFFF00))
        case .ino: return .integer(Int64(bitPattern: file.ino))
        case .isUpperLayer: return .bool(UInt32(file.flags) & RIPOSTE_FILE_UPPER_LAYER.rawValue != 0)
        case .isLowerLayer: return .bool(UInt32(file.flags) & RIPOSTE_FILE_LOWER_LAYER.rawValue != 0)
        default: return .absent
        }
    }
}
