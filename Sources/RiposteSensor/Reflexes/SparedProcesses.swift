internal import CRiposte
internal import Glibc

/// Processes that no reflex ends, told to the kernel by their numbers: what the machine, its containers or the way into it cannot do without.
///
/// They are known by the file that they run, as whoever else ends processes knows them, and not by the name that they have: k3s calls itself `k3s-server`.
/// Only on the host, and only where nobody but root can have made the file what it is: else whoever wants to be spared would call his program `podman`. And only
/// where root or a service's account runs it: any user may start a `dbus-daemon`, with a library of his in it.
/// The kernel knows the same by itself (``RiposteRules/KernelFilter/sparing(_:isStartOfProgram:)``), but for what only the process table can tell: which of
/// several such processes are their own children, and which came as init's.
struct SparedProcesses {
    private let programs: KernelPrograms
    private let names: [[UInt8]]
    private let entrances: [[UInt8]]
    private let buffer = ProcessReadBuffer()
    /// By number, the start that the kernel has for it.
    private var told: [UInt32: UInt64] = [:]
    /// Those to be looked at again, and how often. Children of such run the same file until they start another one, most of them at once, and must not be spared
    /// then; who is not yet init's child may be so in a moment.
    private var candidates: [UInt32: Int] = [:]
    /// Those above us, who are spared whatever they run.
    var ancestors: Set<UInt32> = []
    /// How many could not be told for lack of room.
    private(set) var untold = 0

    /// The kernel's map holds 1024, and this process and its ancestors are in it too.
    private static let limit = 950
    private static let candidateLimit = 1024
    private static let looks = 5

    /// `entrances`: files of those that count only as children of init, as the listening sshd is one.
    init(_ programs: KernelPrograms, names: [String], entrances: [String]) {
        self.programs = programs
        self.names = names.map { Array($0.utf8) }
        self.entrances = entrances.map { Array($0.utf8) }
    }

    // MARK: - From /proc

    /// Tells of those that run already, but for the numbers in `known`; gives back all numbers.
    mutating func scan(butFor known: Set<UInt32> = []) -> Set<UInt32> {
        let numbers = Set(NumberedFolder.numbers(in: "/proc") ?? [])
        guard !names.isEmpty || !entrances.isEmpty else { return numbers }
        for pid in numbers.subtracting(known).sorted() { scan(pid) }
        return numbers
    }

    private mutating func scan(_ pid: UInt32) {
        guard let folder = ProcessFolder(pid), let path = folder.link("exe", into: buffer) else { return }
        let isDeleted = path.ends(with: " (deleted)")
        let (isNamed, isEntrance) = look(at: isDeleted ? path.keeping(path.count - 10) : path)
        guard isNamed || isEntrance, let file = folder.status(of: "exe"), Self.isRootsAlone(file.st_uid, file.st_mode) else { return }
        guard isService(folder) else { return }
        guard let facts = folder.facts(into: buffer), isNamed || facts.parent == 1 else { return }
        let start = facts.start
        guard folder.read("cgroup", into: buffer).map({ CgroupPath.container(ofFile: $0).isHost }) ?? false else { return }
        tell(pid, start)
    }

    // MARK: - From events

    /// A process has started a program, with this effective user id.
    mutating func began(_ process: ProcessEntry, by user: UInt32, in processes: ProcessTable) {
        candidates[process.pid] = nil
        if user <= Self.lastSystemUser, isSpared(process, processes) {
            tell(process.pid, process.start)
        } else {
            if told[process.pid] != nil { forget(process.pid) }
            if mayBecomeEntrance(process) { wait(for: process) }
        }
    }

    mutating func forked(_ process: ProcessEntry) {
        if told[process.parentPID] != nil || mayBecomeEntrance(process) { wait(for: process) }
    }

    private mutating func wait(for process: ProcessEntry) { if candidates.count < Self.candidateLimit { candidates[process.pid] = Self.looks } }

    mutating func ended(_ process: ProcessEntry) {
        candidates[process.pid] = nil
        if let start = told[process.pid], ProcessStart.isSame(start, process.start) { forget(process.pid) }
    }

    /// To be called now and then.
    mutating func lookAgain(_ processes: ProcessTable) {
        for (pid, left) in candidates {
            guard let process = processes.process(withPID: pid) else {
                candidates[pid] = nil
                continue
            }
            if isSpared(process, processes), let folder = ProcessFolder(pid), isService(folder) {
                tell(pid, process.start)
                candidates[pid] = nil
            } else {
                candidates[pid] = left > 1 ? left - 1 : nil
            }
        }
    }

    /// Drops those that have ended without a word.
    mutating func forgetEnded(_ processes: ProcessTable) {
        for (pid, start) in told where processes.process(withPID: pid).map({ !ProcessStart.isSame($0.start, start) }) ?? true { forget(pid) }
    }

    private func isSpared(_ process: ProcessEntry, _ processes: ProcessTable) -> Bool {
        guard !process.isKernelThread else { return false }
        let (isNamed, isEntrance) = look(at: process.image.executablePath)
        guard isNamed || isEntrance && processes.parent(of: process)?.pid == 1, process.container.isHost else { return false }
        return runsRootsFile(process)
    }

    /// What anybody can name so takes no place among those that are looked at again.
    private func mayBecomeEntrance(_ process: ProcessEntry) -> Bool {
        look(at: process.image.executablePath).isEntrance && process.container.isHost && runsRootsFile(process)
    }

    private func runsRootsFile(_ process: ProcessEntry) -> Bool {
        let file = process.image.file
        return file.ino != 0 && Self.isRootsAlone(file.uid, mode_t(file.mode))
    }

    /// Whether root or a service's account runs it; users' numbers begin at 1000 (SYS_UID_MAX of login.defs(5)).
    private func isService(_ folder: borrowing ProcessFolder) -> Bool {
        guard let status = folder.read("status", into: buffer), let line = StatusLines(bytes: status).line("Uid:") else { return false }
        var words = NumberReader(line)
        _ = words.next()
        return words.next().map { $0 <= Int64(Self.lastSystemUser) } ?? false
    }

    private static let lastSystemUser: UInt32 = 999

    private func look(at path: UnsafeRawBufferPointer) -> (isNamed: Bool, isEntrance: Bool) {
        let name = path.lastIndex(of: UInt8(ascii: "/")).map { path.dropping($0 + 1) } ?? path
        return (names.contains { name.elementsEqual($0) }, entrances.contains { name.elementsEqual($0) })
    }

    private static func isRootsAlone(_ owner: uid_t, _ mode: mode_t) -> Bool { owner == 0 && mode & 0o022 == 0 }

    private mutating func tell(_ pid: UInt32, _ start: UInt64) {
        guard told[pid] != start else { return }
        guard told.count < Self.limit || told[pid] != nil else { return untold += 1 }
        do throws(SensorError) {
            try programs.set(.protected, pid, start)
            told[pid] = start
        } catch { untold += 1 }
    }

    private mutating func forget(_ pid: UInt32) {
        told[pid] = nil
        guard !ancestors.contains(pid) else { return }
        programs.remove(.protected, pid)
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func ends(with text: StaticString) -> Bool {
        count >= text.utf8CodeUnitCount && dropping(count - text.utf8CodeUnitCount).elementsEqual(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
