internal import CRiposte
internal import Glibc

/// The two rings that the BPF programs write to, read as one stream in order of time.
///
/// State events (exec, fork, exit) have a ring of their own, so that a flood of calls cannot starve them. What caused an event was written before it
/// was: whoever sees a call's record at the head of its ring sees, looking after that, every state event that came before it. So the older one of
/// both heads is always the right one to take.
struct EventRings: ~Copyable {
    enum Source { case state, call }

    private var state = riposte_ring()
    private var call = riposte_ring()

    init(_ programs: KernelPrograms) throws(SensorError) {
        try Self.check(riposte_ring_open(&state, programs.descriptor(.stateEvents), programs.stateRingBytes))
        do throws(SensorError) { try Self.check(riposte_ring_open(&call, programs.descriptor(.callEvents), programs.callRingBytes)) } catch {
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

    /// The oldest event, which stays in place until ``advance(_:_:)``; nil where there is none.
    mutating func next() -> (source: Source, record: UnsafeRawBufferPointer)? {
        var (callRecord, callLength): (UnsafeRawPointer?, UInt32) = (nil, 0)
        var (stateRecord, stateLength): (UnsafeRawPointer?, UInt32) = (nil, 0)
        let hasCall = Self.look(&call, &callRecord, &callLength)
        let hasState = Self.look(&state, &stateRecord, &stateLength)
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
        case .state: riposte_ring_advance(&state, UInt32(record.count))
        case .call: riposte_ring_advance(&call, UInt32(record.count))
        }
    }

    var waitingBytes: UInt64 {
        withUnsafePointer(to: state) { riposte_ring_waiting($0) } + withUnsafePointer(to: call) { riposte_ring_waiting($0) }
    }
}
