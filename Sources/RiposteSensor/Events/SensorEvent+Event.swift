internal import CRiposte
internal import RiposteCore
internal import RiposteRules

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

/// `evt.*`, `syscall.type`, `util.cnt`. `static.*`, `evt.asynctype`, `evt.pluginname` and `evt.plugininfo` have no value: the sensor has no such events.
enum EventValueField: String {
    case type = "evt.type"
    case typeIs = "evt.type.is"
    case callType = "syscall.type"
    case category = "evt.category"
    case cpu = "evt.cpu"
    case arguments = "evt.args"
    case info = "evt.info"
    case argument = "evt.arg"
    case rawArgument = "evt.rawarg"
    case buffer = "evt.buffer"
    case bufferLength = "evt.buflen"
    case result = "evt.res"
    case rawResult = "evt.rawres"
    case failed = "evt.failed"
    case isIO = "evt.is_io"
    case isIORead = "evt.is_io_read"
    case isIOWrite = "evt.is_io_write"
    case direction = "evt.io_dir"
    case isWait = "evt.is_wait"
    case isSyslog = "evt.is_syslog"
    case isOpenRead = "evt.is_open_read"
    case isOpenWrite = "evt.is_open_write"
    case isOpenExecutable = "evt.is_open_exec"
    case isOpenCreate = "evt.is_open_create"
    case isRequest = "evt.is_io_uring"
    case absolutePath = "evt.abspath"
    case absoluteSource = "evt.abspath.src"
    case absoluteTarget = "evt.abspath.dst"
    case around = "evt.around"
    case delta = "evt.deltatime"
    case deltaSeconds = "evt.deltatime.s"
    case deltaNanoseconds = "evt.deltatime.ns"
    case count = "evt.count"
    case errorCount = "evt.count.error"
    case fileErrorCount = "evt.count.error.file"
    case netErrorCount = "evt.count.error.net"
    case memoryErrorCount = "evt.count.error.memory"
    case otherErrorCount = "evt.count.error.other"
    case exitCount = "evt.count.exit"
    case dir = "evt.dir"
    case latency = "evt.latency"
    case latencySeconds = "evt.latency.s"
    case latencyNanoseconds = "evt.latency.ns"
    case latencyQuantized = "evt.latency.quantized"
    case latencyText = "evt.latency.human"
    case waitLatency = "evt.wait_latency"
    case number = "evt.num"
    case source = "evt.source"
    case hostname = "evt.hostname"
    case time = "evt.time"
    case timeSeconds = "evt.time.s"
    case timeISO = "evt.time.iso8601"
    case dateTime = "evt.datetime"
    case dateTimeSeconds = "evt.datetime.s"
    case rawTime = "evt.rawtime"
    case rawTimeSeconds = "evt.rawtime.s"
    case rawTimeNanoseconds = "evt.rawtime.ns"
    case relativeTime = "evt.reltime"
    case relativeSeconds = "evt.reltime.s"
    case relativeNanoseconds = "evt.reltime.ns"
    case isAsync = "evt.is_async"
    case counter = "util.cnt"
}

extension SensorEvent {
    func eventValue(_ known: EventValueField, _ field: EventField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        switch known {
        case .type: return .text(EventTypeName.bytes(of: type))
        case .typeIs: return isType(field)
        case .callType: return isSystemCall(record) ? .text(EventTypeName.bytes(of: type)) : .absent
        case .category: return category(record)
        case .cpu: return .integer(Int64(record.header.pointee.cpu))
        case .arguments, .info: return allArguments(record, arena)
        case .argument: return argument(field, record).map { argumentText($0, record, arena) } ?? .absent
        case .rawArgument: return argument(field, record).map { argumentValue($0, record, arena) } ?? .absent
        case .buffer: return movedData(record)
        case .isIO, .isIORead, .isIOWrite, .direction, .isWait, .isSyslog, .bufferLength: return movementValue(known, record)
        case .result, .rawResult, .failed, .errorCount, .fileErrorCount, .netErrorCount, .memoryErrorCount, .otherErrorCount, .exitCount:
            return isSystemCall(record) ? resultValue(known, record, arena) : .absent
        case .isOpenRead: return .bool(isOpenRead(record))
        case .isOpenWrite: return .bool(isOpenWrite(record))
        case .isOpenExecutable: return .bool(isOpenExecutable(record))
        case .isOpenCreate: return .bool(isOpenCreate(record))
        case .isRequest: return .bool(isRequest)
        case .absolutePath, .absoluteSource, .absoluteTarget: return absolutePath(known, record)
        case .count: return .integer(1)
        case .dir: return StaticString("<").view
        // Times of the beginnings of calls are not told.
        case .latency, .latencySeconds, .latencyNanoseconds, .latencyQuantized, .waitLatency: return .integer(0)
        case .latencyText: return StaticString("0ns").view
        case .number: return .integer(Int64(bitPattern: number))
        case .source: return StaticString("syscall").view
        case .hostname: return .text(HostName.bytes)
        case .isAsync: return .bool(false)
        case .counter:
            askedCount += 1
            return .integer(askedCount)
        default: return timeValue(known, field, arena)
        }
    }

    /// Whether the event is the end of a call, as EXEC is of execve.
    private func isSystemCall(_ record: SensorRecord) -> Bool { knownCall.map { !$0.facts.pointee.traits.contains(.isNoCall) } ?? false }

    private func isType(_ field: EventField) -> FieldView {
        guard case .key(let name) = field.argument else { return .absent }
        return .integer(name.hasSameBytes(as: EventTypeName.bytes(of: type)) ? 1 : 0)
    }

    private func traits() -> SystemCall.Traits { knownCall?.facts.pointee.traits ?? [] }

    /// Nil where the event has no descriptor, or nothing is known of it.
    private func kindOfDescriptor(_ record: SensorRecord) -> DescriptorKind? {
        guard record.kind == .call, let call = knownCall, !traits().isDisjoint(with: .descriptor) else { return nil }
        return descriptorKind(record, call)
    }

    private func category(_ record: SensorRecord) -> FieldView {
        guard let category = knownCall?.facts.pointee.category else { return StaticString("unknown").view }
        let name: StaticString =
            switch category {
            case .other: "other"
            case .file: "file"
            case .net: "net"
            case .ipc: "IPC"
            case .memory: "memory"
            case .process: "process"
            case .sleep: "sleep"
            case .system: "system"
            case .signal: "signal"
            case .user: "user"
            case .time: "time"
            case .wait: "wait"
            case .io:
                switch kindOfDescriptor(record) {
                case .file, .directory, .memfd: "file"
                case .ipv4, .ipv6: "net"
                case .unix, .pipe, .event, .signal: "ipc"
                default: "unknown"
                }
            }
        return name.view
    }

    // MARK: - Result

    private func resultValue(_ known: EventValueField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        let result = record.kind == .call ? record.header.pointee.result : 0
        let failures: FieldView = .integer(result < 0 ? 1 : 0)
        switch known {
        case .rawResult: return .integer(result)
        case .failed: return .bool(result < 0)
        case .result:
            guard result < 0 else { return StaticString("SUCCESS").view }
            if let name = KernelNames.error(0 &- result) { return .text(name) }
            var text = ArenaText(arena, capacity: 20)
            text.append(decimal: result)
            return text.view
        case .exitCount: return .integer(1)
        case .errorCount: return failures
        default: return errorGroup(record) == known ? failures : .absent
        }
    }

    /// Which of the counters of errors a call belongs to.
    private func errorGroup(_ record: SensorRecord) -> EventValueField {
        let facts = knownCall?.facts.pointee
        if let kind = kindOfDescriptor(record) { return kind.isFileOrDirectory ? .fileErrorCount : kind.isSocket ? .netErrorCount : .otherErrorCount }
        if facts?.kind.isOpen == true { return .fileErrorCount }
        switch facts?.kind {
        case .accept, .accept4, .connect: return .netErrorCount
        default: return facts?.category == .memory ? .memoryErrorCount : .otherErrorCount
        }
    }

    // MARK: - Reading and writing

    private func movementValue(_ known: EventValueField, _ record: SensorRecord) -> FieldView {
        let traits = traits()
        switch known {
        case .isIO: return .bool(!traits.isDisjoint(with: .moves))
        case .isIORead: return .bool(traits.contains(.reads))
        case .isIOWrite: return .bool(traits.contains(.writes))
        case .direction: return traits.contains(.writes) ? StaticString("write").view : traits.contains(.reads) ? StaticString("read").view : .absent
        case .isWait: return .bool(traits.contains(.waits))
        case .isSyslog: return .bool(traits.contains(.writes) && writesToSyslog(record))
        default:
            let result = record.header.pointee.result
            return knownCall?.facts.pointee.category == .io && kindOfDescriptor(record) != nil && result >= 0 ? .integer(result) : .absent
        }
    }

    private func writesToSyslog(_ record: SensorRecord) -> Bool {
        let socket: StaticString = "/dev/log"
        guard kindOfDescriptor(record) == .unix else { return false }
        let path = UnixSocketName.path(record)
        return path.count >= socket.utf8CodeUnitCount && path.bytes(from: path.count - socket.utf8CodeUnitCount).hasSameBytes(as: socket.bytes)
    }

    /// What a read, write, send or receive moved; absent where it moved nothing.
    func movedData(_ record: SensorRecord) -> FieldView {
        guard !traits().isDisjoint(with: .moves), let data = record[.data], !data.isEmpty else { return .absent }
        return .text(data)
    }

    // MARK: - Absolute paths

    /// Of calls that name a path and the directory that it is relative to (libs: sinsp_filtercheck_event).
    private func absolutePath(_ known: EventValueField, _ record: SensorRecord) -> FieldView {
        switch (knownCall?.facts.pointee.kind, known) {
        case (.renameat, .absolutePath), (.renameat2, .absolutePath), (.linkat, .absolutePath), (.renameat, .absoluteSource), (.renameat2, .absoluteSource),
            (.linkat, .absoluteSource):
            return joinedPath(.first, record)
        case (.renameat, .absoluteTarget), (.renameat2, .absoluteTarget), (.linkat, .absoluteTarget), (.symlinkat, .absolutePath): return joinedPath(.second, record)
        case (.openat, .absolutePath), (.openat2, .absolutePath), (.unlinkat, .absolutePath), (.mkdirat, .absolutePath), (.fchmodat, .absolutePath), (.fchownat, .absolutePath):
            return joinedPath(.first, record)
        default: return .absent
        }
    }
}

/// Names of event types as bytes that stay.
enum EventTypeName {
    static func bytes(of type: EventType) -> UnsafeRawBufferPointer {
        let index = Int(type.rawValue)
        return index < names.count ? names[index] : .nothing
    }

    // Made once, never changed: any thread may read.
    nonisolated(unsafe) private static let names = UnsafeBufferPointer<UnsafeRawBufferPointer>.kept(EventType.names.map { .kept($0) })
}

/// This host's name as gethostname(2) gives it, or what FALCO_HOSTNAME calls it.
private enum HostName {
    // Made once, never changed: any thread may read.
    nonisolated(unsafe) static let bytes: UnsafeRawBufferPointer = {
        if let name = getenv("FALCO_HOSTNAME") { return .kept(String(cString: name)) }
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return .nothing }
        return .kept(String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }()
}
