internal import CRiposte
internal import Glibc
internal import RiposteCore
internal import RiposteRules

/// Which events are somebody's meddling with this process: by its process id and threads, by the paths and inodes of its files, by the ids of its BPF
/// objects, and never by a name that anybody could take. What this process does itself is no event; what its children do is its own doing.
///
/// It sees system calls and requests of io_uring, and those at their end. So it does not see: its own end by SIGKILL, for nobody is left to look; signals that a terminal or the
/// kernel sends; what is done to its files through another mount, by requests that are no events (docs/sensor.md) or on the block device below them.
final class TamperWatch {
    private let files: GuardedFiles
    private let identity = OwnIdentity()
    /// Known once the programs are attached.
    var objects = BPFObjects()

    init(_ files: GuardedFiles) { self.files = files }

    /// What a call may do to us.
    private enum Role {
        /// Which arguments are the signal and whom it is for.
        case signal(Int, target: Int)
        case pidfdSignal
        case trace
        case memory
        case open
        /// What it does to its first and its second path, where it changes them; `moves`: with a folder, what is in it.
        case paths(first: String?, second: String?, moves: Bool)
        case bpf
    }

    /// By type of event.
    private static let roles: [Role?] = {
        let removal = Role.paths(first: "removed", second: nil, moves: false)
        // Exchanging two paths moves both.
        let renaming = Role.paths(first: "renamed", second: "replaced", moves: true)
        // By its other name it could be changed unseen.
        let link = Role.paths(first: "linked", second: "linked", moves: false)
        let name = Role.paths(first: nil, second: "linked", moves: false)
        let named: [(String, Role)] = [
            ("kill", .signal(1, target: 0)), ("tkill", .signal(1, target: 0)), ("rt_sigqueueinfo", .signal(1, target: 0)), ("tgkill", .signal(2, target: 0)),
            ("rt_tgsigqueueinfo", .signal(2, target: 0)), ("pidfd_send_signal", .pidfdSignal), ("ptrace", .trace), ("process_vm_writev", .memory), ("open", .open),
            ("openat", .open), ("openat2", .open), ("creat", .open), ("open_by_handle_at", .open), ("unlink", removal),
            ("unlinkat", removal), ("rmdir", removal), ("truncate", .paths(first: "cut", second: nil, moves: false)), ("rename", renaming), ("renameat", renaming),
            ("renameat2", renaming), ("link", link), ("linkat", link), ("symlink", name), ("symlinkat", name), ("bpf", .bpf),
        ]
        var roles: [Role?] = Array(repeating: nil, count: EventType.count)
        for (name, role) in named { if let type = EventType(named: name) { roles[Int(type.rawValue)] = role } }
        return roles
    }()

    // MARK: - What the kernel hands up

    /// By type what may be tampering; calls that failed did nothing.
    var filters: [EventType: KernelFilter] {
        var filters: [EventType: KernelFilter] = [:]
        for (type, role) in Self.roles.enumerated() {
            if let role { filters[EventType(rawValue: UInt16(type))] = KernelFilter(anyOf: clauses(role).map { [Self.succeeded] + $0 }) }
        }
        return filters
    }

    private static let succeeded = KernelFilter.Literal(atom: .number(.init(.result, .less)), isDenied: true)

    private func clauses(_ role: Role) -> [[KernelFilter.Literal]] {
        switch role {
        // A signal to a thread reaches its process, and the threads change: any that ends somebody is looked at.
        case .signal(let signal, _): return [Self.isHarmful(signal)]
        case .pidfdSignal: return [Self.isHarmful(1)]
        case .trace: return Self.attaching.map { [Self.argument(0, $0)] }
        case .memory: return [[]]
        case .open:
            let writes = KernelFilter.Literal(atom: .number(.init(.openFlags, .hasAny, mask: Self.writing)), isDenied: false)
            let memory = KernelFilter.Literal(atom: .fileName([Self.memoryName]), isDenied: false)
            return [[writes, memory]] + (files.paths.isEmpty ? [] : [[writes, .init(atom: .path(files.texts), isDenied: false)]])
        case .paths(let first, let second, let moves):
            guard !files.paths.isEmpty else { return [] }
            // Whoever moves a folder moves what is in it.
            let texts = files.texts + (moves ? files.ancestors : [])
            return (first == nil ? [] : [[.init(atom: .path(texts), isDenied: false)]]) + (second == nil ? [] : [[.init(atom: .secondPath(texts), isDenied: false)]])
        case .bpf: return Self.handles.map { [Self.argument(0, $0)] }
        }
    }

    private static func argument(_ number: Int, _ value: Int64, isDenied: Bool = false) -> KernelFilter.Literal {
        let source = KernelFilter.NumberSource(rawValue: UInt8(1 + number)) ?? .argument0
        return .init(atom: .number(.init(source, .equal, value, mask: 0xFFFF_FFFF)), isDenied: isDenied)
    }

    private static func isHarmful(_ argument: Int) -> [KernelFilter.Literal] { harmless.sorted().map { self.argument(argument, $0, isDenied: true) } }

    /// None at all (0), and those that neither end nor stop this process: it reloads at SIGHUP and ignores SIGPIPE; the others are ignored by default.
    private static let harmless: Set<Int64> = [0, Int64(SIGHUP), Int64(SIGPIPE), Int64(SIGCHLD), Int64(SIGCONT), Int64(SIGURG), Int64(SIGWINCH)]
    /// PTRACE_ATTACH and PTRACE_SEIZE: without one of them nothing else works.
    private static let attaching: [Int64] = [16, 0x4206]
    /// O_WRONLY, O_RDWR, O_TRUNC.
    private static let writing: UInt64 = 0o1003
    private static let memoryName = Array("mem".utf8)
    /// BPF_OBJ_GET, by a name in the BPF file system.
    private static let byName: Int64 = 7
    /// Commands of bpf(2) that give a descriptor of an object: by its name, or by the id of a program, map or link.
    private static let handles = [byName, 13, 14, 30]

    // MARK: - What it is

    func find(_ event: SensorEvent, _ record: SensorRecord) -> Tampering? {
        guard let role = Self.roles[Int(event.type.rawValue)], record.kind == .call else { return nil }
        guard record.header.pointee.result >= 0, record.header.pointee.pid != identity.pid else { return nil }
        guard let tampering = tampering(role, event, record), !isOfOurChild(event) else { return nil }
        return tampering
    }

    private func tampering(_ role: Role, _ event: SensorEvent, _ record: SensorRecord) -> Tampering? {
        switch role {
        case .signal(let signal, let target):
            let number = Int32(truncatingIfNeeded: Self.argument(target, of: record))
            guard isForUs(number, record, event) else { return nil }
            return self.signal(Self.argument(signal, of: record))
        case .pidfdSignal:
            guard isBehindDescriptor(record) else { return nil }
            return signal(Self.argument(1, of: record))
        case .trace:
            let request = Int64(truncatingIfNeeded: Self.argument(0, of: record))
            guard Self.attaching.contains(request), isOurs(Int32(truncatingIfNeeded: Self.argument(1, of: record)), record) else { return nil }
            return Tampering(.trace, request == 16 ? "PTRACE_ATTACH" : "PTRACE_SEIZE", pidText)
        case .memory:
            guard isOurs(Int32(truncatingIfNeeded: Self.argument(0, of: record)), record) else { return nil }
            return Tampering(.memory, "written by process_vm_writev", pidText)
        case .open: return opening(event, record)
        case .paths(let first, let second, let moves): return change(event, record, first, second, moves)
        case .bpf: return handle(event, record)
        }
    }

    private var pidText: ByteText { ByteText("\(identity.pid)") }

    private static func argument(_ number: Int, of record: SensorRecord) -> UInt64 {
        withUnsafeBytes(of: record.header.pointee.args) { $0.load(fromByteOffset: 8 * number, as: UInt64.self) }
    }

    /// Somebody whom this process has started, or who was started by such.
    private func isOfOurChild(_ event: SensorEvent) -> Bool {
        var entry = event.process
        for _ in 0..<ProcessTable.lineageLimit {
            guard let process = entry else { return false }
            if process.parentPID == identity.pid { return true }
            entry = event.world.processes.parent(of: process)
        }
        return false
    }

    // MARK: Signals

    private func signal(_ argument: UInt64) -> Tampering? {
        let number = Int64(argument & 0xFFFF_FFFF)
        guard !Self.harmless.contains(number) else { return nil }
        return Tampering(.signal, KernelNames.signal(UInt8(truncatingIfNeeded: number)).map { String(decoding: $0, as: UTF8.self) } ?? "signal \(number)", pidText)
    }

    /// Whom kill(2) means by a number: a process, or a thread of it; 0 the caller's group; -1 whomever it may; else a group.
    private func isForUs(_ number: Int32, _ record: SensorRecord, _ event: SensorEvent) -> Bool {
        switch number {
        case 0: return event.process.map { $0.group == identity.group } ?? false
        case -1: return record.header.pointee.pid_ns == identity.pidNamespace && (record.header.pointee.uid == 0 || record.header.pointee.uid == identity.user)
        case ..<0: return record.header.pointee.pid_ns == identity.pidNamespace && UInt32(bitPattern: -number) == identity.group
        default: return isOurs(number, record)
        }
    }

    /// Whether a number is this process or a thread of it, as the caller counts.
    private func isOurs(_ number: Int32, _ record: SensorRecord) -> Bool { record.header.pointee.pid_ns == identity.pidNamespace && isOurs(number) }

    /// The same, as the host counts.
    private func isOurs(_ number: Int32) -> Bool { number > 0 && (UInt32(number) == identity.pid || access("/proc/self/task/\(number)", F_OK) == 0) }

    /// PIDFD_SIGNAL_PROCESS_GROUP.
    private static let toGroup: UInt64 = 4

    /// Whom a pidfd stands for: a process, a thread, or, where the caller says so, the group that it leads. The kernel takes an open `/proc/PID` for one, too.
    private func isBehindDescriptor(_ record: SensorRecord) -> Bool {
        let number = record.detail(.file) != 0 ? Int32(truncatingIfNeeded: record.detail(.file)) : processFolder(record)
        guard let number else { return false }
        return isOurs(number) || Self.argument(3, of: record) & Self.toGroup != 0 && UInt32(bitPattern: number) == identity.group
    }

    /// The number in `/proc/PID`, wherever procfs is, as the caller or, where it is the very one that we have, we count.
    private func processFolder(_ record: SensorRecord) -> Int32? {
        guard let file = record.file, UInt32(file.kind) == RIPOSTE_FILE_DIRECTORY.rawValue, let path = record[.filePath] else { return nil }
        let device = FileIdentity.facts(at: "/proc".utf8).map { UInt32(truncatingIfNeeded: $0.st_dev) }
        guard record.header.pointee.pid_ns == identity.pidNamespace || device == file.dev else { return nil }
        return path.split(separator: UInt8(ascii: "/")).last.flatMap { Int32(String(decoding: $0, as: UTF8.self)) }
    }

    // MARK: Files

    private func opening(_ event: SensorEvent, _ record: SensorRecord) -> Tampering? {
        guard let file = record.file, UInt32(file.flags) & RIPOSTE_FILE_PATH_ONLY.rawValue == 0 else { return nil }
        guard UInt64(file.open_flags | event.openFlags(record)) & Self.writing != 0 else { return nil }
        for path in [record[.filePath], event.joinedPaths.path(.first, of: record)] {
            guard let path else { continue }
            if isOurMemory(path, record) { return Tampering(.memory, "opened for writing", ByteText(Array(path))) }
            guard files.contain(path), !isOurProgram(event) else { continue }
            if isSameView(record) || FileIdentity.leads(path, to: file) {
                return Tampering(.file, "opened for writing", ByteText(Array(path)))
            }
        }
        return nil
    }

    /// `/proc/PID/mem` and `/proc/PID/task/TID/mem`, wherever procfs is.
    private func isOurMemory(_ path: UnsafeRawBufferPointer, _ record: SensorRecord) -> Bool {
        let parts = path.split(separator: UInt8(ascii: "/"))
        guard parts.count >= 2, parts[parts.count - 1].elementsEqual(Self.memoryName) else { return false }
        return Int32(String(decoding: parts[parts.count - 2], as: UTF8.self)).map { isOurs($0, record) } ?? false
    }

    private func change(_ event: SensorEvent, _ record: SensorRecord, _ first: String?, _ second: String?, _ moves: Bool) -> Tampering? {
        guard isSameView(record), !isOurProgram(event) else { return nil }
        for (deed, place) in [(first, JoinedPaths.Which.first), (second, .second)] {
            guard let deed, let path = event.joinedPaths.path(place, of: record) else { continue }
            if files.contain(path) { return Tampering(.file, deed, ByteText(Array(path))) }
            // What the folder is moved to was moved, too, where both were exchanged.
            if moves, files.lieBelow(path) { return Tampering(.file, "renamed", ByteText(Array(path))) }
        }
        return nil
    }

    /// Whether a path of the caller's is the file that it would be here.
    private func isSameView(_ record: SensorRecord) -> Bool {
        record.header.pointee.mount_ns == identity.mountNamespace || record.header.pointee.mount_ns == identity.hostMountNamespace
    }

    /// Commands of Riposte work on the same files, each with a lock of its own: the file that is run, not what it is called.
    private func isOurProgram(_ event: SensorEvent) -> Bool {
        guard let file = event.process?.image.file, file.ino != 0 else { return false }
        return FileIdentity.leads("/proc/self/exe".utf8, to: file)
    }

    // MARK: BPF

    private func handle(_ event: SensorEvent, _ record: SensorRecord) -> Tampering? {
        let command = Int64(Self.argument(0, of: record) & 0xFFFF_FFFF)
        guard Self.handles.contains(command), let object = BPFObjects.Object(record.detail(.file)), objects.contain(object) else { return nil }
        // Another agent looks whether what is pinned has somebody who attends to it.
        guard command != Self.byName || !isOurProgram(event) else { return nil }
        return Tampering(.bpf, "a handle on a BPF \(object.kind.rawValue) was taken", ByteText("\(object.id)"))
    }
}

/// The kernel's ids of what the sensor has loaded.
struct BPFObjects: Sendable {
    enum Kind: String, Sendable { case map, program, link }

    struct Object: Hashable {
        let kind: Kind
        /// Its lowest 28 bits.
        let id: UInt32

        init(_ kind: Kind, _ id: UInt32) { (self.kind, self.id) = (kind, id & RIPOSTE_BPF_ID.rawValue) }

        /// As the kernel side tells of a descriptor; nil: it is of nothing that has an id.
        init?(_ detail: UInt32) {
            let kinds: [UInt32: Kind] = [RIPOSTE_BPF_MAP.rawValue: .map, RIPOSTE_BPF_PROGRAM.rawValue: .program, RIPOSTE_BPF_LINK.rawValue: .link]
            guard let kind = kinds[detail & ~RIPOSTE_BPF_ID.rawValue] else { return nil }
            self.init(kind, detail)
        }
    }

    private var objects: Set<Object> = []

    func contain(_ object: Object) -> Bool { objects.contains(object) }

    /// 0 is no id.
    mutating func insert(_ id: UInt32, _ kind: Kind) { if id != 0 { objects.insert(Object(kind, id)) } }
}

/// Who we are, in the kernel's terms.
private struct OwnIdentity {
    let pid = UInt32(getpid())
    let group = UInt32(getpgrp())
    let user = geteuid()
    let pidNamespace = Self.namespace("pid")
    let mountNamespace = Self.namespace("mnt")
    /// A service manager may have put us in a namespace of our own, in which paths are the host's.
    let hostMountNamespace = Self.namespace("mnt", of: "1")

    private static func namespace(_ name: String, of process: String = "self") -> UInt32 {
        FileIdentity.facts(at: "/proc/\(process)/ns/\(name)".utf8).map { UInt32(truncatingIfNeeded: $0.st_ino) } ?? 0
    }
}
