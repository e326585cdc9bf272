#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif
internal import CRiposte

/// One folder of /proc, held open: what is read through it is all of one process, and of none once that has ended.
struct ProcessFolder: ~Copyable {
    private let descriptor: CInt

    /// Nil where there is no such process.
    init?(_ pid: UInt32) {
        descriptor = Self.withPath(of: pid) { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { return nil }
    }

    /// The folder of a thread other than the main one, through that of its process; nil where there is none.
    init?(anotherThreadOf process: borrowing ProcessFolder, _ pid: UInt32) {
        for thread in NumberedFolder.numbers(in: "/proc/\(pid)/task") ?? [] where thread != pid {
            let opened = openat(process.descriptor, "task/\(thread)", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard opened >= 0 else { continue }
            descriptor = opened
            return
        }
        return nil
    }

    deinit { close(descriptor) }

    private static func withPath<Result>(of pid: UInt32, _ body: (UnsafePointer<CChar>) -> Result) -> Result {
        // "/proc/" and at most ten digits.
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 20) { path in
            let digits = 10
            var place = 6 + digits
            var rest = pid
            path[place] = 0
            repeat {
                place -= 1
                path[place] = CChar(UInt8(ascii: "0") + UInt8(rest % 10))
                rest /= 10
            } while rest > 0
            for byte in "/proc/".utf8.reversed() {
                place -= 1
                path[place] = CChar(byte)
            }
            return body(path.baseAddress.unsafelyUnwrapped + place)
        }
    }

    /// What one read of a file gives, `limit` bytes at most; nil where it cannot be read. One read gives all of the files of /proc that are not
    /// tables.
    func read(_ name: StaticString, into buffer: ProcessReadBuffer, limit: Int = .max) -> UnsafeRawBufferPointer? {
        read(at: UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self), into: buffer, limit)
    }

    func read(_ name: String, into buffer: ProcessReadBuffer) -> UnsafeRawBufferPointer? { name.withCString { read(at: $0, into: buffer, .max) } }

    private func read(at name: UnsafePointer<CChar>, into buffer: ProcessReadBuffer, _ limit: Int) -> UnsafeRawBufferPointer? {
        let file = openat(descriptor, name, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return SystemFile.read(file, into: buffer, limit)
    }

    /// All of a file that may be long, the tables of `net/`, as text; at most 16 MiB.
    func wholeText(_ name: String) -> String? {
        let file = name.withCString { openat(descriptor, $0, O_RDONLY | O_CLOEXEC) }
        guard file >= 0 else { return nil }
        defer { close(file) }
        let buffer = ProcessReadBuffer()
        var bytes: [UInt8] = []
        while bytes.count < 16 << 20, let part = SystemFile.read(file, into: buffer, .max, from: bytes.count), !part.isEmpty { bytes += part }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Where a symbolic link points; nil where it cannot be read.
    func link(_ name: StaticString, into buffer: ProcessReadBuffer) -> UnsafeRawBufferPointer? {
        link(at: UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self), into: buffer)
    }

    func link(_ name: String, into buffer: ProcessReadBuffer) -> UnsafeRawBufferPointer? { name.withCString { link(at: $0, into: buffer) } }

    private func link(at name: UnsafePointer<CChar>, into buffer: ProcessReadBuffer) -> UnsafeRawBufferPointer? {
        let count = readlinkat(descriptor, name, buffer.memory.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self), buffer.memory.count)
        return count >= 0 ? UnsafeRawBufferPointer(buffer.memory).keeping(count) : nil
    }

    /// Of what a name leads to, symbolic links followed.
    func status(of name: StaticString) -> stat? {
        var status = stat()
        return fstatat(descriptor, UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self), &status, 0) == 0 ? status : nil
    }

    /// The same by a name that is made up at run time.
    func status(at name: String) -> stat? {
        var status = stat()
        return name.withCString { fstatat(descriptor, $0, &status, 0) } == 0 ? status : nil
    }

    /// The inode number of a namespace: `ns/pid`; 0 where it cannot be read.
    func namespace(_ name: StaticString, into buffer: ProcessReadBuffer) -> UInt32 {
        guard let text = link(name, into: buffer), let open = text.firstIndex(of: UInt8(ascii: "[")) else { return 0 }
        var words = NumberReader(text.dropping(open + 1))
        return UInt32(truncatingIfNeeded: words.next() ?? 0)
    }

    func facts(into buffer: ProcessReadBuffer) -> ProcessStat? { read("stat", into: buffer).flatMap { ProcessStat($0) } }
}

/// Files that the kernel makes up as they are read.
enum SystemFile {
    /// What one read gives; nil where it cannot be read.
    static func read(_ path: String, into buffer: ProcessReadBuffer) -> UnsafeRawBufferPointer? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return read(file, into: buffer, .max)
    }

    fileprivate static func read(_ file: CInt, into buffer: ProcessReadBuffer, _ limit: Int, from offset: Int = 0) -> UnsafeRawBufferPointer? {
        while true {
            let count = pread(file, buffer.memory.baseAddress, min(limit, buffer.memory.count), off_t(offset))
            if count >= 0 { return UnsafeRawBufferPointer(buffer.memory).keeping(count) }
            if errno != EINTR { return nil }
        }
    }
}

/// Names of a folder that are numbers: processes of /proc, descriptors of /proc/PID/fd.
enum NumberedFolder {
    /// Nil where the folder cannot be read.
    static func numbers(in path: String) -> [UInt32]? {
        guard let folder = opendir(path) else { return nil }
        defer { closedir(folder) }
        var numbers: [UInt32] = []
        while let entry = readdir(folder) {
            let number = withUnsafeBytes(of: &entry.pointee.d_name) { name in
                var reader = NumberReader(UnsafeRawBufferPointer(rebasing: name.prefix { $0 != 0 }))
                return 0x30...0x39 ~= name[0] ? reader.next() : nil
            }
            if let number { numbers.append(UInt32(truncatingIfNeeded: number)) }
        }
        return numbers
    }
}

/// Memory for what is read from /proc, used again and again.
final class ProcessReadBuffer {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 10, alignment: 16)

    deinit { memory.deallocate() }
}

/// Decimal numbers, one after the other, with whatever else between them.
struct NumberReader {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    /// Nil at the end. A sign is told where the number follows it at once.
    mutating func next() -> Int64? {
        while let byte = rest.first, !(0x30...0x39 ~= byte), !(byte == UInt8(ascii: "-") && rest.count > 1 && 0x30...0x39 ~= rest[1]) { rest = rest.dropping(1) }
        guard let first = rest.first else { return nil }
        let isNegative = first == UInt8(ascii: "-")
        if isNegative { rest = rest.dropping(1) }
        var number: UInt64 = 0
        while let byte = rest.first, 0x30...0x39 ~= byte {
            number = number &* 10 &+ UInt64(byte - 0x30)
            rest = rest.dropping(1)
        }
        return isNegative ? 0 &- Int64(bitPattern: number) : Int64(bitPattern: number)
    }
}

/// `/proc/PID/stat` (proc(5)): comm stands in parentheses and may itself have any character.
struct ProcessStat {
    /// Points into what was read.
    let comm: UnsafeRawBufferPointer
    let state: UInt8
    let parent: UInt32
    let group: UInt32
    let session: UInt32
    let tty: UInt32
    let flags: UInt64
    let minorFaults: UInt64
    let majorFaults: UInt64
    let threadCount: Int64
    /// Since boot, in whole ticks, as nanoseconds.
    let start: UInt64

    private static let kernelThread: UInt64 = 0x0020_0000

    /// Nil for bytes of another form.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard let open = bytes.firstIndex(of: UInt8(ascii: "(")), let close = bytes.lastIndex(of: UInt8(ascii: ")")), open < close, close + 2 < bytes.count else { return nil }
        comm = UnsafeRawBufferPointer(rebasing: bytes[(open + 1)..<close]).keeping(15)
        state = bytes[close + 2]
        // Fields 4 to 22.
        var words = NumberReader(bytes.dropping(close + 3))
        var fields: (Int64, Int64, Int64, Int64, Int64, Int64, Int64, Int64, Int64) = (0, 0, 0, 0, 0, 0, 0, 0, 0)
        for field in 4...22 {
            guard let number = words.next() else { return nil }
            switch field {
            case 4: fields.0 = number
            case 5: fields.1 = number
            case 6: fields.2 = number
            case 7: fields.3 = number
            case 9: fields.4 = number
            case 10: fields.5 = number
            case 12: fields.6 = number
            case 20: fields.7 = number
            case 22: fields.8 = number
            default: break
            }
        }
        (parent, group, session, tty) = (UInt32(clamping: fields.0), UInt32(clamping: fields.1), UInt32(clamping: fields.2), UInt32(truncatingIfNeeded: fields.3))
        (flags, minorFaults, majorFaults) = (UInt64(bitPattern: fields.4), UInt64(bitPattern: fields.5), UInt64(bitPattern: fields.6))
        threadCount = fields.7
        start = UInt64(bitPattern: fields.8) &* ProcessStart.tick
    }

    var isKernelThread: Bool { flags & Self.kernelThread != 0 }
    /// Of the main thread nothing is left but its name; others of the process live on.
    var isMainThreadGone: Bool { state == UInt8(ascii: "Z") && threadCount > 1 }
    /// Ended, but not yet waited for.
    var hasEnded: Bool { state == UInt8(ascii: "X") || state == UInt8(ascii: "Z") && threadCount <= 1 }
}

/// Lines `Key:\tvalue` of `/proc/PID/status` and its like.
struct StatusLines {
    let bytes: UnsafeRawBufferPointer

    /// The rest of the line that begins with `key`, nil where there is none.
    func line(_ key: StaticString) -> UnsafeRawBufferPointer? {
        var rest = bytes
        while !rest.isEmpty {
            let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.count
            let line = rest.keeping(end)
            if line.hasPrefix(key) { return line.dropping(key.utf8CodeUnitCount) }
            rest = rest.dropping(end + 1)
        }
        return nil
    }

    /// The first number of a line.
    func number(_ key: StaticString) -> Int64? {
        guard let line = line(key) else { return nil }
        var words = NumberReader(line)
        return words.next()
    }

    /// The last number of a line: of `NSpid` the one in the innermost namespace.
    func lastNumber(_ key: StaticString) -> UInt32 {
        guard let line = line(key) else { return 0 }
        var words = NumberReader(line)
        var last: Int64 = 0
        while let number = words.next() { last = number }
        return UInt32(clamping: last)
    }
}
