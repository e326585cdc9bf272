internal import CRiposte
internal import Glibc

/// The two rings that the BPF programs write to, read as one stream in order of time.
///
/// State events (exec, fork, exit) have a ring of their own, so that a flood of calls cannot starve them. What caused an event was written before it
/// was: whoever sees a call's record at the head of its ring sees, looking after that, every state event that came before it. So the older one of
/// both heads is always the right one to take; where no call was there, that is looked for once more after a state event was found.
///
/// That order lets state events wait behind calls, so a long queue of calls could fill their ring. Before it does, they are moved into memory of ours.
struct EventRings: ~Copyable {
    enum Source { case state, call }

    private var state = riposte_ring()
    private var call = riposte_ring()
    private var moved = MovedRecords()
    private var untilRelief = EventRings.reliefPace
    private let reliefBytes: UInt64
    /// Whether state events are moved into memory of ours at all. Not by whoever leaves what is in the rings to somebody else: what was moved nobody else can read.
    var isRelieved = true
    /// So many events are taken between two looks whether the state ring is half full.
    private static let reliefPace = 16

    init(_ programs: KernelPrograms) throws(SensorError) {
        try self.init(state: (programs.descriptor(.stateEvents), programs.stateRingBytes), call: (programs.descriptor(.callEvents), programs.callRingBytes))
    }

    /// Descriptors of two maps, which may be closed afterwards, and how many bytes these have room for.
    init(state stateMap: (descriptor: CInt, bytes: UInt32), call callMap: (descriptor: CInt, bytes: UInt32)) throws(SensorError) {
        reliefBytes = UInt64(stateMap.bytes / 2)
        try Self.check(riposte_ring_open(&state, stateMap.descriptor, stateMap.bytes))
        do throws(SensorError) { try Self.check(riposte_ring_open(&call, callMap.descriptor, callMap.bytes)) } catch {
            riposte_ring_close(&state)
            throw error
        }
    }

    deinit {
        var (state, call) = (state, call)
        riposte_ring_close(&state)
        riposte_ring_close(&call)
    }

    private static func check(_ code: CInt) throws(SensorError) {
        guard code == 0 else { throw SensorError("could not map a ring buffer: \(String(cString: strerror(-code)))") }
    }

    /// Whether there are events that were moved and not taken.
    var hasMoved: Bool { !moved.isEmpty }

    /// The oldest event, which stays in place until ``advance(_:_:)``; nil where there is none.
    mutating func next() -> (source: Source, record: UnsafeRawBufferPointer)? {
        var (callRecord, callLength): (UnsafeRawPointer?, UInt32) = (nil, 0)
        var (stateRecord, stateLength): (UnsafeRawPointer?, UInt32) = (nil, 0)
        var hasCall = Self.look(&call, &callRecord, &callLength)
        let hasState = lookAtState(&stateRecord, &stateLength)
        // Between the two looks a process may have called and ended: its call comes first, and is in its ring by now.
        if hasState, !hasCall { hasCall = Self.look(&call, &callRecord, &callLength) }
        switch (hasState, hasCall) {
        case (false, false): return nil
        case (true, false): return (.state, UnsafeRawBufferPointer(start: stateRecord, count: Int(stateLength)))
        case (false, true): return (.call, UnsafeRawBufferPointer(start: callRecord, count: Int(callLength)))
        case (true, true):
            let isStateFirst = Self.time(stateRecord, stateLength) <= Self.time(callRecord, callLength)
            return isStateFirst
                ? (.state, UnsafeRawBufferPointer(start: stateRecord, count: Int(stateLength))) : (.call, UnsafeRawBufferPointer(start: callRecord, count: Int(callLength)))
        }
    }

    /// What was moved is older than what is in the ring.
    private mutating func lookAtState(_ record: inout UnsafeRawPointer?, _ length: inout UInt32) -> Bool {
        untilRelief -= 1
        if untilRelief == 0 { relieve() }
        guard let first = moved.first else { return Self.look(&state, &record, &length) }
        (record, length) = (UnsafeRawPointer(first.baseAddress), UInt32(first.count))
        return true
    }

    /// Empties the state ring into memory, where it is half full.
    private mutating func relieve() {
        untilRelief = Self.reliefPace
        guard isRelieved, withUnsafePointer(to: state, { riposte_ring_waiting($0) }) >= reliefBytes else { return }
        var (record, length): (UnsafeRawPointer?, UInt32) = (nil, 0)
        while moved.hasRoom, Self.look(&state, &record, &length) {
            moved.append(UnsafeRawBufferPointer(start: record, count: Int(length)))
            riposte_ring_advance(&state, length)
        }
    }

    /// A record that is being written is complete in a moment, unless its processor was taken away.
    private static func look(_ ring: inout riposte_ring, _ record: inout UnsafeRawPointer?, _ length: inout UInt32) -> Bool {
        var looks = 0
        while true {
            let state = riposte_ring_peek(&ring, &record, &length)
            if state != RIPOSTE_RING_BUSY { return state == RIPOSTE_RING_READY }
            looks += 1
            if looks % 256 == 0 { sched_yield() }
        }
    }

    private static func time(_ record: UnsafeRawPointer?, _ length: UInt32) -> UInt64 {
        guard let record, length >= UInt32(MemoryLayout<riposte_event>.size) else { return 0 }
        return record.assumingMemoryBound(to: riposte_event.self).pointee.time
    }

    mutating func advance(_ source: Source, _ record: UnsafeRawBufferPointer) {
        switch source {
        case .state: if !moved.isEmpty { moved.removeFirst() } else { riposte_ring_advance(&state, UInt32(record.count)) }
        case .call: riposte_ring_advance(&call, UInt32(record.count))
        }
    }
}

/// Records that were taken out of their ring before their turn, oldest first.
private struct MovedRecords: ~Copyable {
    /// Beyond this they stay in the ring, and what finds no room there is lost and counted.
    private static let limit = 64 << 20

    private var records: [UnsafeMutableRawBufferPointer] = []
    private var next = 0
    private var bytes = 0

    deinit { for record in records[next...] { record.deallocate() } }

    var isEmpty: Bool { next == records.count }
    var hasRoom: Bool { bytes < Self.limit }
    var first: UnsafeRawBufferPointer? { isEmpty ? nil : UnsafeRawBufferPointer(records[next]) }

    mutating func append(_ record: UnsafeRawBufferPointer) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: record.count, alignment: 8)
        copy.copyMemory(from: record)
        records.append(copy)
        bytes += record.count
    }

    mutating func removeFirst() {
        bytes -= records[next].count
        records[next].deallocate()
        next += 1
        // All of the memory goes back: this was an exception.
        if isEmpty { (records, next) = ([], 0) }
        if next >= 1024, next >= records.count / 2 {
            records.removeFirst(next)
            next = 0
        }
    }
}
