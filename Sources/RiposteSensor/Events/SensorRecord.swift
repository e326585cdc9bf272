package import CRiposte
internal import Glibc

/// One event as the BPF programs wrote it, where it lies: its header, and its items by type. Valid until the next event is taken.
///
/// The kernel side is ours and built from the same header; what is checked is that nothing is read outside the record.
package struct SensorRecord {
    package enum Kind: UInt8, Sendable {
        case call = 1
        case exec, fork, exit, update
    }

    package enum Item: UInt16, CaseIterable, Sendable {
        case path1 = 1
        case path2, base1, base2, file, filePath, socket, address, data, process, executable, executablePath, arguments, environment, workingDirectory, cgroup,
            socketPath, extra, oldFile
    }

    private static let itemLimit = 20

    package let bytes: UnsafeRawBufferPointer
    package let kind: Kind
    /// By item type, where its head begins; 0: not there.
    private var offsets: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)

    /// Nil for bytes that are no event of this version.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        let headerBytes = MemoryLayout<riposte_event>.size
        guard bytes.count >= headerBytes, let base = bytes.baseAddress else { return nil }
        let header = base.assumingMemoryBound(to: riposte_event.self)
        guard header.pointee.version == UInt16(RIPOSTE_WIRE_VERSION), Int(header.pointee.size) <= bytes.count, let kind = Kind(rawValue: header.pointee.kind) else { return nil }
        self.bytes = UnsafeRawBufferPointer(rebasing: bytes[..<Int(header.pointee.size)])
        self.kind = kind
        var offset = headerBytes
        while offset + 8 <= self.bytes.count {
            let head = base.loadUnaligned(fromByteOffset: offset, as: riposte_item.self)
            let next = offset + 8 + (Int(head.length) + 7) & ~7
            guard next <= self.bytes.count, head.type > 0, head.type < Self.itemLimit else { break }
            withUnsafeMutableBytes(of: &offsets) { $0.storeBytes(of: UInt16(truncatingIfNeeded: offset), toByteOffset: Int(head.type) * 2, as: UInt16.self) }
            offset = next
        }
    }

    package var header: UnsafePointer<riposte_event> { bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: riposte_event.self) }

    private func offset(_ item: Item) -> Int {
        withUnsafeBytes(of: offsets) { Int($0.load(fromByteOffset: Int(item.rawValue) * 2, as: UInt16.self)) }
    }

    /// An item's data, nil where the event has no such item.
    package subscript(_ item: Item) -> UnsafeRawBufferPointer? {
        let offset = offset(item)
        guard offset > 0 else { return nil }
        let length = Int(bytes.loadUnaligned(fromByteOffset: offset, as: riposte_item.self).length)
        return UnsafeRawBufferPointer(rebasing: bytes[(offset + 8)..<(offset + 8 + length)])
    }

    package func detail(_ item: Item) -> UInt32 {
        let offset = offset(item)
        return offset > 0 ? bytes.loadUnaligned(fromByteOffset: offset, as: riposte_item.self).detail : 0
    }

    /// The path of the cgroup; nil where the event has none, or only the end of one that is nested too deep for the kernel side: what is missing may name the
    /// container.
    package var cgroupPath: UnsafeRawBufferPointer? { detail(.cgroup) == 0 ? self[.cgroup] : nil }

    /// An item that is a structure.
    package func structure<Structure: BitwiseCopyable>(_ item: Item, as type: Structure.Type) -> Structure? {
        guard let data = self[item], data.count >= MemoryLayout<Structure>.size else { return nil }
        return data.loadUnaligned(as: type)
    }

    package var file: riposte_file? { structure(.file, as: riposte_file.self) }
    package var socket: riposte_socket? { structure(.socket, as: riposte_socket.self) }
    package var process: riposte_process? { structure(.process, as: riposte_process.self) }

    package func has(_ flag: riposte_event_flag) -> Bool { UInt32(header.pointee.flags) & flag.rawValue != 0 }

    /// comm, without the NULs.
    package var comm: UnsafeRawBufferPointer { name(at: MemoryLayout<riposte_event>.offset(of: \.comm) ?? 0) }
    /// The same of the parent; nil where it has none.
    package var parentComm: UnsafeRawBufferPointer? { header.pointee.has_parent != 0 ? name(at: MemoryLayout<riposte_event>.offset(of: \.parent_comm) ?? 0) : nil }

    private func name(at offset: Int) -> UnsafeRawBufferPointer {
        let name = bytes.baseAddress.unsafelyUnwrapped + offset
        return UnsafeRawBufferPointer(start: name, count: strnlen(name.assumingMemoryBound(to: CChar.self), 16))
    }
}
