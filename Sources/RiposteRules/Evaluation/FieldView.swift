package import RiposteCore

/// A field's value as evaluation sees it: borrowed from the event or from the ``FieldArena`` that was handed in, and valid until the next
/// event. Trivial to copy, so that the inner loop counts no references.
package enum FieldView {
    /// The field cannot be computed for this event. Every comparison with it is false.
    case absent
    case text(UnsafeRawBufferPointer)
    /// Also times and durations in nanoseconds, flags and ports; of an unsigned field the bit pattern.
    case integer(Int64)
    case bool(Bool)
    case address(IPAddress)
    /// Of a list field, or of one with several values at once: all ancestors, both ends of a connection.
    case list(UnsafeBufferPointer<FieldView>)

    package var isAbsent: Bool { if case .absent = self { true } else { false } }
}

/// What the rules judge: one event, whose fields are asked for by need and at most once. One object serves for many events in turn, so that
/// judging allocates nothing; it is used by one thread.
package protocol RuleEvent: AnyObject {
    /// ``EventType/other`` where the source knows no event types.
    var type: EventType { get }
    /// The field's value for this event. Bytes must stay where they are until the next event: they are the event's own, or copied into `arena`.
    func value(of field: EventField, in arena: FieldArena) -> FieldView
}

/// A field as an event is asked for it: `proc.aname[2]`. Trivial to copy; what it points to lives as long as the plan that it belongs to.
package struct EventField {
    package enum Argument {
        case none
        case index(Int)
        case key(UnsafeRawBufferPointer)
    }

    /// ``FieldID/unlisted`` for a field that is not in the catalogue, which only alerts have.
    package let id: FieldID
    package let argument: Argument
    package let type: FieldType
    /// As it was written: the key under which an alert carries it.
    package let text: UnsafeRawBufferPointer
}

/// Memory for values that an event has to make: emptied, not freed, from event to event. Used by one thread.
package final class FieldArena {
    private static let chunkBytes = 64 << 10

    private var chunks: [UnsafeMutableRawBufferPointer] = []
    private var chunk = 0
    private var used = 0

    package init() {}

    deinit { for chunk in chunks { chunk.deallocate() } }

    /// What was made so far is void.
    package func reset() {
        // One huge value must not be kept for ever.
        while chunks.count > 4, let last = chunks.popLast() { last.deallocate() }
        chunk = 0
        used = 0
    }

    package func allocate(bytes: Int, alignment: Int = 8) -> UnsafeMutableRawBufferPointer {
        while true {
            if chunk == chunks.count {
                chunks.append(.allocate(byteCount: max(Self.chunkBytes, bytes + alignment), alignment: 16))
            }
            let start = (used + alignment - 1) & ~(alignment - 1)
            if start + bytes <= chunks[chunk].count {
                used = start + bytes
                return UnsafeMutableRawBufferPointer(rebasing: chunks[chunk][start..<used])
            }
            chunk += 1
            used = 0
        }
    }

    package func text(_ bytes: some Collection<UInt8>) -> FieldView {
        let memory = allocate(bytes: bytes.count, alignment: 1)
        memory.copyBytes(from: bytes)
        return .text(UnsafeRawBufferPointer(memory))
    }

    package func text(_ string: StaticString) -> FieldView { .text(UnsafeRawBufferPointer(start: string.utf8Start, count: string.utf8CodeUnitCount)) }

    package func list(_ values: some Collection<FieldView>) -> FieldView {
        let memory = allocate(bytes: values.count * MemoryLayout<FieldView>.stride, alignment: MemoryLayout<FieldView>.alignment)
        let list = memory.bindMemory(to: FieldView.self)
        _ = list.initialize(from: values)
        return .list(UnsafeBufferPointer(list))
    }

    /// Text joined with one byte between the parts.
    package func joined(_ values: some Collection<FieldView>, separator: some Collection<UInt8>) -> FieldView {
        var bytes: [UInt8] = []
        for (index, value) in values.enumerated() {
            if index > 0 { bytes += separator }
            value.append(to: &bytes)
        }
        return text(bytes)
    }
}

extension FieldView {
    /// Appends the bytes that the value has as text; of an absent one none.
    package func append(to bytes: inout [UInt8]) {
        switch self {
        case .absent: break
        case .text(let text): bytes += text
        case .integer(let value): bytes += String(value).utf8
        case .bool(let value): bytes += (value ? "true" : "false").utf8
        case .address(let address): bytes += "\(address)".utf8
        case .list(let elements):
            bytes.append(UInt8(ascii: "("))
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                element.append(to: &bytes)
            }
            bytes.append(UInt8(ascii: ")"))
        }
    }
}
