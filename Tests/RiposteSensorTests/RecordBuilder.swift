import CRiposte
import RiposteSensor

/// Puts an event together as the BPF programs write it: a header, then items. What a test does not set is as for a quiet process of root on the
/// host.
///
///     let record = RecordBuilder(.exec, pid: 400, start: 9_000, comm: "cat").arguments("cat", "/etc/shadow").path("/usr/bin/cat", .executablePath).built()
struct RecordBuilder {
    var header = riposte_event()
    private var items: [UInt8] = []

    /// Times are CLOCK_BOOTTIME in nanoseconds. `tid` nil: the main thread.
    init(_ kind: SensorRecord.Kind, pid: UInt32, tid: UInt32? = nil, start: UInt64, time: UInt64? = nil, comm: String = "test") {
        header.version = UInt16(RIPOSTE_WIRE_VERSION)
        header.kind = kind.rawValue
        header.time = time ?? start + 1_000_000
        header.start = start
        (header.pid, header.tid, header.vtid) = (pid, tid ?? pid, tid ?? pid)
        header.nr = -1
        header.fd = -1
        header.loginuid = .max
        header.mount_ns = 4_026_531_841
        header.pid_ns = 4_026_531_836
        withUnsafeMutableBytes(of: &header.comm) { $0.copyBytes(from: comm.utf8.prefix(15)) }
    }

    // MARK: - Header

    /// Any member of the header: `.with(\.uid, 1000)`.
    func with<Value>(_ member: WritableKeyPath<riposte_event, Value>, _ value: Value) -> RecordBuilder {
        var copy = self
        copy.header[keyPath: member] = value
        return copy
    }

    func flags(_ flags: riposte_event_flag...) -> RecordBuilder { with(\.flags, flags.reduce(header.flags) { $0 | UInt8($1.rawValue) }) }

    /// Of a FORK: who made the child.
    func maker(_ pid: UInt32, start: UInt64, tid: UInt32? = nil) -> RecordBuilder {
        with(\.args.0, UInt64(tid ?? pid)).with(\.args.1, UInt64(pid)).with(\.args.2, start)
    }

    // MARK: - Items

    func item(_ item: SensorRecord.Item, _ data: some Collection<UInt8>, detail: UInt32 = 0) -> RecordBuilder {
        var copy = self
        let head = riposte_item(type: item.rawValue, length: UInt16(data.count), detail: detail)
        withUnsafeBytes(of: head) { copy.items += $0 }
        copy.items += data
        copy.items += [UInt8](repeating: 0, count: (8 - data.count % 8) % 8)
        return copy
    }

    func structure(_ item: SensorRecord.Item, _ value: some BitwiseCopyable) -> RecordBuilder {
        withUnsafeBytes(of: value) { self.item(item, Array($0)) }
    }

    /// A path or another text.
    func path(_ text: String, _ item: SensorRecord.Item, detail: UInt32 = 0) -> RecordBuilder { self.item(item, text.utf8, detail: detail) }

    func arguments(_ arguments: String...) -> RecordBuilder { item(.arguments, arguments.flatMap { Array($0.utf8) + [0] }) }
    func environment(_ variables: String...) -> RecordBuilder { item(.environment, variables.flatMap { Array($0.utf8) + [0] }) }

    /// What the process table is told; `change` sets what the test is about. The process is its own session and group where nothing else is said.
    func process(parent: UInt32, parentStart: UInt64, _ change: (inout riposte_process) -> Void = { _ in }) -> RecordBuilder {
        var facts = riposte_process()
        (facts.start, facts.parent, facts.parent_start) = (header.start, parent, parentStart)
        (facts.session, facts.group) = (header.pid, header.pid)
        (facts.vpid, facts.vsession, facts.vgroup) = (header.pid, header.pid, header.pid)
        facts.exe_is_set = 1
        facts.thread_count = 1
        change(&facts)
        return structure(.process, facts)
    }

    /// The event, in memory of its own. It must be kept for as long as the record is used.
    func built() -> BuiltRecord {
        var header = header
        header.size = UInt32(MemoryLayout<riposte_event>.size + items.count)
        return BuiltRecord(withUnsafeBytes(of: header) { Array($0) } + items)
    }
}

/// Bytes of an event that stay where they are, as in a ring buffer.
final class BuiltRecord {
    private let memory: UnsafeMutableRawBufferPointer
    let record: SensorRecord

    init(_ bytes: [UInt8]) {
        memory = .allocate(byteCount: bytes.count, alignment: 8)
        memory.copyBytes(from: bytes)
        guard let record = SensorRecord(UnsafeRawBufferPointer(memory)) else { preconditionFailure("the builder made no event") }
        self.record = record
    }

    deinit { memory.deallocate() }
}
