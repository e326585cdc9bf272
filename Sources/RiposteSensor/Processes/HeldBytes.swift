#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

/// Bytes that stay where they are for as long as something refers to them: what field values point into. Processes that inherit a text share it.
///
/// Sendable, though it has a pointer: nobody changes the bytes once they are there.
package final class HeldBytes: @unchecked Sendable {
    package let bytes: UnsafeRawBufferPointer

    /// A copy, with `suffix` behind it.
    package init(_ bytes: UnsafeRawBufferPointer, suffix: UInt8? = nil) {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count + 1, alignment: 1)
        memory.copyMemory(from: bytes)
        memory[bytes.count] = suffix ?? 0
        self.bytes = UnsafeRawBufferPointer(rebasing: memory[..<(bytes.count + (suffix == nil ? 0 : 1))])
    }

    deinit { bytes.deallocate() }

    /// The empty text.
    static let nothing = HeldBytes(UnsafeRawBufferPointer(start: nil, count: 0))

    package static func copy(of bytes: some Sequence<UInt8>) -> HeldBytes { Array(bytes).withUnsafeBytes { HeldBytes($0) } }

    /// A working directory as fields have it: with a slash at its end.
    package static func folder(_ path: UnsafeRawBufferPointer) -> HeldBytes {
        HeldBytes(path, suffix: path.isEmpty || path.last == UInt8(ascii: "/") ? nil : UInt8(ascii: "/"))
    }
}

extension UnsafeRawBufferPointer {
    /// Byte for byte.
    func isSame(as other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        guard let start = baseAddress, let otherStart = other.baseAddress else { return true }
        return start == otherStart || memcmp(start, otherStart, count) == 0
    }

    /// Where the first NUL is; nil where there is none.
    var firstNUL: Int? {
        guard let start = baseAddress, let found = memchr(start, 0, count) else { return nil }
        return UnsafeRawPointer(found) - start
    }

    func dropping(_ count: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[Swift.min(count, self.count)...]) }
    func keeping(_ count: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[..<Swift.min(count, self.count)]) }

    func hasPrefix(_ prefix: StaticString) -> Bool {
        let prefix = UnsafeRawBufferPointer(start: prefix.utf8Start, count: prefix.utf8CodeUnitCount)
        return count >= prefix.count && keeping(prefix.count).isSame(as: prefix)
    }

    func hasSuffix(_ suffix: StaticString) -> Bool {
        let suffix = UnsafeRawBufferPointer(start: suffix.utf8Start, count: suffix.utf8CodeUnitCount)
        return count >= suffix.count && dropping(count - suffix.count).isSame(as: suffix)
    }

    /// Without the blanks around it.
    var trimmingBlanks: UnsafeRawBufferPointer {
        var (start, end) = (0, count)
        while start < end, self[start] == UInt8(ascii: " ") { start += 1 }
        while end > start, self[end - 1] == UInt8(ascii: " ") { end -= 1 }
        return UnsafeRawBufferPointer(rebasing: self[start..<end])
    }
}
