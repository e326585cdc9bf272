internal import Glibc
internal import RiposteCore

/// Reads `/proc` with nothing between: open, read, close. See proc(5).
enum ProcFS {
    /// Nil where it cannot be read. No more than about `limit` bytes. `isOneRecord`: the kernel hands the file out whole, so a read that is not filled is the last.
    static func bytes(of path: String, isOneRecord: Bool = false, limit: Int = 1 << 20) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
            var result: [UInt8] = []
            // To the very end: a list, `children` say, comes in reads that are shorter than what was asked for.
            while result.count < limit {
                let count = read(file, buffer.baseAddress, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { return nil }
                if count == 0 { break }
                result.append(contentsOf: buffer.prefix(count))
                if isOneRecord, count < buffer.count { break }
            }
            return result
        }
    }

    static func link(_ path: String) -> ByteText? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBufferPointer { buffer in
            buffer.withMemoryRebound(to: CChar.self) { pointer in pointer.baseAddress.map { readlink(path, $0, pointer.count) } ?? -1 }
        }
        return count > 0 ? ByteText(Array(buffer.prefix(count))) : nil
    }

    /// Of the process as a whole: where the first thread has ended (pthread_exit(3) in `main`) and others run on, the kernel says `Z`, and here stands what
    /// those do.
    static func stat(_ pid: Int32) -> ProcessStat? {
        guard var stat = stat(at: "/proc/\(pid)") else { return nil }
        if let living = livingThread(of: stat) { stat.state = living.state }
        return stat
    }

    private static func stat(at folder: String) -> ProcessStat? { bytes(of: "\(folder)/stat", isOneRecord: true).flatMap(ProcessStat.init(parsing:)) }

    /// Of a process whose first thread has ended: a thread that lives, sooner one that runs than one that stands still. Nil for every other process.
    private static func livingThread(of stat: ProcessStat?) -> (folder: String, state: UInt8)? {
        guard let stat, stat.isZombie, stat.threadCount > 1 else { return nil }
        var living: (folder: String, state: UInt8)?
        for thread in threads(of: stat.pid).prefix(1024) {
            let folder = "/proc/\(stat.pid)/task/\(thread)"
            guard let found = self.stat(at: folder), !found.isZombie else { continue }
            living = (folder, found.state)
            if !found.isStopped, !found.isTraced { break }
        }
        return living
    }

    /// What the kernel shows of a living thread only, its program, memory and directory, from the first that has it.
    private static func ofLivingThread<Value>(_ pid: Int32, _ read: (_ folder: String) -> Value?) -> Value? {
        read("/proc/\(pid)") ?? livingThread(of: stat(at: "/proc/\(pid)")).flatMap { read($0.folder) }
    }

    /// The folder of a thread that lives, of a process whose first one has ended; nil for every other process.
    static func livingThread(of pid: Int32) -> String? { livingThread(of: stat(at: "/proc/\(pid)"))?.folder }

    private static func threads(of pid: Int32) -> [Int32] { numbers(in: "/proc/\(pid)/task") }

    /// The numbers among a folder's names: processes, threads, descriptors.
    static func numbers(in path: String) -> [Int32] { names(in: path).compactMap { Int32($0) }.sorted() }

    static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) { names.append(withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }) }
        return names
    }

    private static let deletedMark = Array(" (deleted)".utf8)

    /// The path that a process was started from. Where another file has come in its place since, as a package's upgrade does it, or none, `isDeleted`.
    static func program(_ pid: Int32) -> (path: ByteText, isDeleted: Bool)? {
        ofLivingThread(pid) { link("\($0)/exe") }.map { path in
            let isDeleted = path.bytes.suffix(deletedMark.count).elementsEqual(deletedMark)
            return isDeleted ? (ByteText(Array(path.bytes.dropLast(deletedMark.count))), true) : (path, false)
        }
    }

    /// The same without a word on whether it is still there.
    static func executable(_ pid: Int32) -> ByteText? { program(pid)?.path }

    /// Of the file that a process runs, also where it has no name any more.
    static func programStatus(_ pid: Int32) -> Glibc.stat? {
        ofLivingThread(pid) { folder in
            var status = Glibc.stat()
            return fstatat(AT_FDCWD, "\(folder)/exe", &status, 0) == 0 ? status : nil
        }
    }

    static func workingDirectory(_ pid: Int32) -> ByteText? { ofLivingThread(pid) { link("\($0)/cwd") } }

    /// Arguments joined by blanks, as Falco shows them; of more than about `limit` bytes the first ones.
    static func commandLine(_ pid: Int32, limit: Int = 1 << 20) -> ByteText? {
        let ofLivingThread = ofLivingThread(pid) { folder in
            bytes(of: "\(folder)/cmdline", isOneRecord: true, limit: limit).flatMap { $0.isEmpty ? nil : $0 }
        }
        return (ofLivingThread ?? bytes(of: "/proc/\(pid)/cmdline", isOneRecord: true, limit: limit)).map { bytes in
            let trimmed = bytes.last == 0 ? bytes.dropLast() : bytes[...]
            return ByteText(trimmed.map { $0 == 0 ? UInt8(ascii: " ") : $0 })
        }
    }

    /// How many bytes the arguments are, by where they begin and end: the 48th and 49th field of `stat`. Nil where that cannot be read.
    static func argumentsLength(_ pid: Int32) -> Int64? {
        ofLivingThread(pid) { folder in
            guard let bytes = bytes(of: "\(folder)/stat", isOneRecord: true), let close = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
            let fields = bytes[(close + 1)...].split { $0 == 0x20 || $0 == 0x0A }
            guard fields.count > 46, let begin = ProcessStat.number(fields[45]), let end = ProcessStat.number(fields[46]), begin < end else { return nil }
            return end - begin
        }
    }

    /// The process that a thread belongs to; the pid itself for a process.
    static func threadGroup(of tid: Int32) -> Int32? { status(tid, "Tgid:").flatMap { Int32($0) } }

    /// The process that traces this one; nil: none does.
    static func tracer(of pid: Int32) -> Int32? { status(pid, "TracerPid:").flatMap { Int32($0) }.flatMap { $0 > 0 ? $0 : nil } }

    /// Whether SIGSTOP is on its way to it. That has effect when the process next leaves the kernel; in a frozen control group it waits until that is thawed.
    static func hasStopPending(_ pid: Int32) -> Bool {
        ["ShdPnd:", "SigPnd:"].contains { key in status(pid, key).flatMap { UInt64($0, radix: 16) }.map { $0 >> UInt64(SIGSTOP - 1) & 1 == 1 } ?? false }
    }

    static func userID(_ pid: Int32) -> UInt32? { userIDs(pid).first }

    /// The real, effective and saved one, and that of the file system; none where they cannot be read.
    static func userIDs(_ pid: Int32) -> [UInt32] { statusWords(pid, "Uid:").compactMap { UInt32($0) } }

    /// Whether a process is in the user namespace that we are in; nil where that cannot be told.
    static func isInOurUserNamespace(_ pid: Int32) -> Bool? {
        guard let its = userNamespace(of: "\(pid)"), let ours = userNamespace(of: "self") else { return nil }
        return its == ours
    }

    private static func userNamespace(of process: String) -> ino_t? {
        var facts = Glibc.stat()
        return fstatat(AT_FDCWD, "/proc/\(process)/ns/user", &facts, 0) == 0 ? facts.st_ino : nil
    }

    /// The first word behind a key of `/proc/PID/status`.
    private static func status(_ pid: Int32, _ key: String) -> String? { statusWords(pid, key).first }

    private static func statusWords(_ pid: Int32, _ key: String) -> [String] {
        guard let text = bytes(of: "/proc/\(pid)/status", isOneRecord: true) else { return [] }
        let key = Array(key.utf8)
        let line = text.split(separator: UInt8(ascii: "\n")).first { $0.starts(with: key) }
        return (line?.dropFirst(key.count) ?? []).split { $0 == 0x20 || $0 == 0x09 }.map { String(decoding: $0, as: UTF8.self) }
    }

    static func children(of pid: Int32) -> [Int32] {
        threads(of: pid).flatMap { thread in
            String(decoding: bytes(of: "/proc/\(pid)/task/\(thread)/children") ?? [], as: UTF8.self).split(separator: " ").compactMap { Int32($0) }
        }
    }

    /// The id of the container that a cgroup path names: 64 hexadecimal digits, as Docker, containerd, CRI-O and Podman write them.
    static func containerID(inCgroup path: String) -> String? {
        let words = path.utf8.split { !(0x30...0x39 ~= $0 || 0x41...0x46 ~= $0 || 0x61...0x66 ~= $0) }
        return words.first { $0.count == 64 }.map { String(Substring($0)).lowercased() }
    }
}

/// The fields of `/proc/PID/stat` that we use.
struct ProcessStat: Equatable {
    var pid: Int32
    var name: ByteText
    var state: UInt8
    var parent: Int32
    var session: Int32
    var flags: UInt32
    /// Those that have not been taken away, the first one counted also when it has ended.
    var threadCount: Int64
    var startTicks: UInt64

    private static let kernelThreadFlag: UInt32 = 0x0020_0000

    var isKernelThread: Bool { flags & Self.kernelThreadFlag != 0 }
    /// Ended, whole, and waiting for its parent.
    var isZombie: Bool { state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") }
    var isStopped: Bool { state == UInt8(ascii: "T") }
    /// Stopped, or to be so before it runs code of its own again.
    var isUnderStop: Bool { isStopped || !isZombie && !isTraced && ProcFS.hasStopPending(pid) }
    /// Held by whoever traces it.
    var isTraced: Bool { state == UInt8(ascii: "t") }
    /// Runs no code of its own until somebody wakes it.
    var standsStill: Bool { isStopped || isTraced }
    /// Waits in the kernel, and meets no signal there.
    var isUninterruptible: Bool { state == UInt8(ascii: "D") }

    /// The name stands in parentheses and may hold any byte, parentheses and newlines too: what counts is the last `)`.
    init?(parsing bytes: [UInt8]) {
        guard let open = bytes.firstIndex(of: UInt8(ascii: "(")), let close = bytes.lastIndex(of: UInt8(ascii: ")")), open < close,
            let pid = Self.number(bytes[..<open].filter { $0 != 0x20 }).flatMap(Int32.init(exactly:))
        else { return nil }
        // Field 3 of proc(5) is the first behind the name.
        let fields = bytes[(close + 1)...].split(separator: 0x20, maxSplits: 20)
        guard fields.count > 19, let state = fields[0].first, let parent = Self.number(fields[1]).flatMap(Int32.init(exactly:)),
            let session = Self.number(fields[3]).flatMap(Int32.init(exactly:)), let flags = Self.number(fields[6]).flatMap(UInt32.init(exactly:)),
            let threadCount = Self.number(fields[17]), let startTicks = Self.number(fields[19]).flatMap(UInt64.init(exactly:))
        else { return nil }
        self.pid = pid
        name = ByteText(Array(bytes[(open + 1)..<close]))
        self.state = state
        self.parent = parent
        self.session = session
        self.flags = flags
        self.threadCount = threadCount
        self.startTicks = startTicks
    }

    /// Digits, with a minus or without.
    fileprivate static func number(_ text: some Collection<UInt8>) -> Int64? {
        let isNegative = text.first == UInt8(ascii: "-")
        var value: Int64 = 0
        let digits = text.dropFirst(isNegative ? 1 : 0)
        guard !digits.isEmpty, digits.count < 19 else { return nil }
        for byte in digits {
            guard 0x30...0x39 ~= byte else { return nil }
            value = value * 10 + Int64(byte - 0x30)
        }
        return isNegative ? -value : value
    }
}
