#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif
internal import CRiposte

/// Makes entries from /proc. The sensor's thread alone uses it.
final class ProcessReader {
    private let buffer = ProcessReadBuffer()
    /// Of the sensor itself, whose /proc is read.
    let hostPIDNamespace: UInt32

    init() {
        hostPIDNamespace = ProcessFolder(UInt32(getpid()))?.namespace("ns/pid", into: buffer) ?? 0
    }

    /// A process as it is now; nil where it has ended, or where it is not the one that started at `start`.
    func entry(of pid: UInt32, start: UInt64? = nil) -> ProcessEntry? {
        guard let folder = ProcessFolder(pid), let stat = folder.facts(into: buffer), !stat.hasEnded else { return nil }
        if let start, !ProcessStart.isSame(stat.start, start) { return nil }
        let comm = stat.comm
        let entry = ProcessEntry(pid: pid, start: start ?? stat.start, comm: comm, details: ProcessDetails(image: ProcessImage(comm: comm)), source: self)
        (entry.parentPID, entry.session, entry.group, entry.tty) = (stat.parent, stat.session, stat.group, stat.tty)
        entry.isKernelThread = stat.isKernelThread
        return entry
    }

    /// The rest of a process; nil where it has ended.
    func details(of entry: ProcessEntry) -> ProcessDetails? {
        guard let folder = ProcessFolder(entry.pid), let stat = folder.facts(into: buffer), ProcessStart.isSame(stat.start, entry.start) else { return nil }
        // The name lies in the buffer, which the next file needs.
        let comm = HeldBytes(stat.comm)
        if stat.isMainThreadGone, let thread = ProcessFolder(anotherThreadOf: folder, entry.pid) { return details(of: entry, comm, folder, by: thread) }
        return details(of: entry, comm, folder, by: folder)
    }

    /// `living`: the folder of a thread that has not ended; what there is one of in a process it tells as well.
    private func details(of entry: ProcessEntry, _ comm: HeldBytes, _ folder: borrowing ProcessFolder, by living: borrowing ProcessFolder) -> ProcessDetails {
        var details = ProcessDetails(image: entry.isKernelThread ? ProcessImage(comm: comm.bytes) : image(living, comm), workingDirectory: workingDirectory(living))
        readNamespaces(folder, by: living, entry, &details)
        if let cgroup = cgroup(living) { (details.container, details.cgroupPath) = (cgroup.container, cgroup.path) }
        return details
    }

    /// The control group of a process at this moment; nil where it has ended.
    func cgroup(of pid: UInt32, start: UInt64) -> CgroupContainers.Knowledge? {
        guard let folder = ProcessFolder(pid), let stat = folder.facts(into: buffer), ProcessStart.isSame(stat.start, start) else { return nil }
        return cgroup(folder)
    }

    /// The parent of a process at this moment, or nil where it has ended.
    func parent(of pid: UInt32, start: UInt64) -> UInt32? {
        guard let stat = ProcessFolder(pid)?.facts(into: buffer), ProcessStart.isSame(stat.start, start) else { return nil }
        return stat.parent
    }

    /// Whether a process is there and has not ended.
    func isRunning(_ pid: UInt32, start: UInt64) -> Bool {
        guard let stat = ProcessFolder(pid)?.facts(into: buffer) else { return false }
        return ProcessStart.isSame(stat.start, start) && !stat.hasEnded
    }

    func present(_ entry: ProcessEntry) -> PresentProcess { PresentProcess(entry, buffer) }

    /// What a process runs at this moment; nil where it has ended.
    func image(of pid: UInt32, start: UInt64) -> ProcessImage? {
        guard let folder = ProcessFolder(pid), let stat = folder.facts(into: buffer), ProcessStart.isSame(stat.start, start) else { return nil }
        let comm = HeldBytes(stat.comm)
        if stat.isMainThreadGone, let thread = ProcessFolder(anotherThreadOf: folder, pid) { return image(thread, comm) }
        return image(folder, comm)
    }

    private func image(_ folder: borrowing ProcessFolder, _ comm: HeldBytes) -> ProcessImage {
        var file = Self.file(folder)
        let path = executablePath(folder, &file)
        let environment = folder.read("environ", into: buffer, limit: TextBlock.limit).map { HeldBytes($0.keeping(TextBlock.limit)) }
        let arguments = Self.withoutPadding(folder.read("cmdline", into: buffer, limit: TextBlock.limit) ?? UnsafeRawBufferPointer(start: nil, count: 0))
        return ProcessImage(
            comm: comm.bytes, arguments: arguments, executablePath: path.bytes, file: file, environment: environment ?? .nothing)
    }

    /// Programs that write a title over their arguments leave a tail of NULs where the old ones were longer.
    private static func withoutPadding(_ arguments: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var count = arguments.count
        while count > 1, arguments[count - 1] == 0, arguments[count - 2] == 0 { count -= 1 }
        return arguments.keeping(count)
    }

    private static func file(_ folder: borrowing ProcessFolder) -> riposte_file {
        var file = riposte_file()
        guard let status = folder.status(of: "exe") else { return file }
        file.kind = UInt8(RIPOSTE_FILE_REGULAR.rawValue)
        file.mode = UInt16(truncatingIfNeeded: status.st_mode)
        file.dev = UInt32(truncatingIfNeeded: status.st_dev)
        file.ino = UInt64(status.st_ino)
        (file.ctime, file.mtime) = (nanoseconds(status.st_ctim), nanoseconds(status.st_mtim))
        file.uid = status.st_uid
        return file
    }

    /// Anybody can give a file of his a time that nanoseconds have no number for; it wraps, as it does in the kernel.
    static func nanoseconds(_ time: timespec) -> Int64 { Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec) }

    /// What the kernel says of a file without a name becomes a flag. A file may be called so as well: that one is still there.
    private func executablePath(_ folder: borrowing ProcessFolder, _ file: inout riposte_file) -> HeldBytes {
        guard var path = folder.link("exe", into: buffer) else { return .nothing }
        if path.hasSuffix(" (deleted)") {
            path = path.keeping(path.count - 10)
            file.flags |= UInt8(RIPOSTE_FILE_UNLINKED.rawValue)
            if path.hasPrefix("/memfd:") {
                path = path.dropping(1)
                file.flags |= UInt8(RIPOSTE_FILE_FROM_MEMFD.rawValue)
            }
        }
        return HeldBytes(path)
    }

    private func workingDirectory(_ folder: borrowing ProcessFolder) -> HeldBytes {
        folder.link("cwd", into: buffer).map(HeldBytes.folder) ?? .nothing
    }

    private func readNamespaces(_ folder: borrowing ProcessFolder, by living: borrowing ProcessFolder, _ entry: ProcessEntry, _ details: inout ProcessDetails) {
        details.mountNamespace = living.namespace("ns/mnt", into: buffer)
        details.pidNamespace = living.namespace("ns/pid", into: buffer)
        details.isInPIDNamespace = details.pidNamespace != 0 && details.pidNamespace != hostPIDNamespace
        guard details.isInPIDNamespace, let status = folder.read("status", into: buffer) else {
            (details.virtualPID, details.virtualSession, details.virtualGroup) = (entry.pid, entry.session, entry.group)
            return
        }
        let lines = StatusLines(bytes: status)
        (details.virtualPID, details.virtualSession, details.virtualGroup) = (lines.lastNumber("NSpid:"), lines.lastNumber("NSsid:"), lines.lastNumber("NSpgid:"))
    }

    /// The first hierarchy whose path names a container counts; else the unified one, or the first.
    private func cgroup(_ folder: borrowing ProcessFolder) -> CgroupContainers.Knowledge? {
        guard var rest = folder.read("cgroup", into: buffer) else { return nil }
        var chosen: CgroupContainers.Knowledge?
        while !rest.isEmpty {
            let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.count
            if let path = Self.path(ofCgroupLine: rest.keeping(end)) {
                let isUnified = rest.hasPrefix("0:")
                let container = CgroupPath.container(of: path)
                if !container.isHost || isUnified || chosen == nil { chosen = CgroupContainers.Knowledge(container: container, path: HeldBytes(path)) }
                if !container.isHost { break }
            }
            rest = rest.dropping(end + 1)
        }
        return chosen
    }

    /// `4:memory:/a/b`: what stands behind the second colon.
    private static func path(ofCgroupLine line: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard let first = line.firstIndex(of: UInt8(ascii: ":")), let second = line.dropping(first + 1).firstIndex(of: UInt8(ascii: ":")) else { return nil }
        return line.dropping(first + second + 2)
    }
}
