internal import CRiposte

/// All processes of the machine as the sensor knows them: seeded from /proc, kept by the kernel's fork, exec, exit and update events. The sensor's
/// thread alone uses it.
///
/// A process is its pid and its start. Events tell the start in nanoseconds, /proc in clock ticks, so what was read from /proc takes the exact one
/// from the first event that is about it. What an event tells is newer than what /proc told, and what happened is told in the order in which it
/// happened; where events were lost, the kernel is asked again.
package final class ProcessTable {
    package struct Counters: Equatable, Sendable {
        /// Dropped because there were too many.
        package var evicted: UInt64 = 0
        /// Missing when an event came, and read from /proc.
        package var rebuiltFromProc: UInt64 = 0
        /// Missing, and already gone from /proc.
        package var incomplete: UInt64 = 0
    }

    /// Longer chains than this are no lineage but a mistake.
    package static let lineageLimit = 512

    private(set) package var counters = Counters()
    private let entryLimit: Int
    private let cgroups = CgroupContainers()
    private let reader: ProcessReader
    private var index = ProcessIndex()
    /// What left the table since the event began: its texts may be in use until the next one.
    private var retired: [ProcessEntry] = []
    private var lookUps: UInt64 = 0
    /// By pid namespace, for processes of which no event told it.
    private var namespaceInits: [UInt32: UInt64] = [:]

    /// Past `entryLimit` entries, those that nobody has needed for longest are dropped; they are read again from /proc when they are needed.
    package init(entryLimit: Int = 65_536) {
        self.entryLimit = max(16, entryLimit)
        reader = ProcessReader()
    }

    package var count: Int { index.count }
    /// In the order of their pids.
    package var allEntries: [ProcessEntry] { index.all }

    /// The process that has a pid now.
    package func process(withPID pid: UInt32) -> ProcessEntry? { index[pid] }

    // MARK: - Events

    /// Applies a state event; gives the entry that it is about, as the event has left it (of an exit: as it was).
    package func apply(_ record: SensorRecord) -> ProcessEntry? {
        beginEvent()
        switch record.kind {
        case .exec: return exec(record)
        case .fork: return fork(record)
        case .exit: return exit(record)
        case .update: return update(record)
        case .call: return found(record)
        }
    }

    /// The process that made a call; looked up in /proc where no event told of it.
    package func process(of record: SensorRecord) -> ProcessEntry? {
        beginEvent()
        return found(record)
    }

    private func beginEvent() {
        if !retired.isEmpty { retired.removeAll(keepingCapacity: true) }
    }

    private func exec(_ record: SensorRecord) -> ProcessEntry {
        let header = record.header
        let known = known(record)
        // What the event tells need not be read any more.
        let tellsAll = record.process != nil && record.cgroupPath != nil && record[.workingDirectory] != nil
        let previous = known.flatMap { $0.isBrief ? nil : $0.image }
        let image = ProcessImage(record, previous: previous) { reader.image(of: header.pointee.pid, start: header.pointee.start) }
        let entry = known ?? insert(blank(record, image))
        if entry.isBrief, tellsAll { entry.details = ProcessDetails(image: image) } else { entry.details.image = image }
        (entry.isIncomplete, entry.isKernelThread) = (false, false)
        entry.take(comm: record.comm)
        takeState(record, entry)
        takeCgroup(record, entry)
        return entry
    }

    private func fork(_ record: SensorRecord) -> ProcessEntry {
        let header = record.header
        // Threads are part of their process.
        guard header.pointee.pid == header.pointee.tid else { return found(record) }
        let entry = known(record) ?? insert(forked(record))
        entry.take(comm: record.comm)
        takeState(record, entry)
        if entry.parentPID == 0 { (entry.parentPID, entry.parentStart) = (UInt32(truncatingIfNeeded: header.pointee.args.1), header.pointee.args.2) }
        takeCgroup(record, entry)
        return entry
    }

    /// A new process: a copy of the one that made it.
    private func forked(_ record: SensorRecord) -> ProcessEntry {
        let header = record.header
        let (maker, makerStart) = (UInt32(truncatingIfNeeded: header.pointee.args.1), header.pointee.args.2)
        guard let parent = live(maker, start: makerStart) ?? built(maker, start: makerStart) else { return rebuilt(record) }
        // Where only /proc could tell what its maker runs, that may be another program by now: better what it runs itself.
        let own = parent.isBrief ? reader.entry(of: header.pointee.pid, start: header.pointee.start) : nil
        let entry = own ?? ProcessEntry(pid: header.pointee.pid, start: header.pointee.start, comm: record.comm, details: parent.details)
        entry.inherit(from: parent)
        (entry.parentPID, entry.parentStart) = (maker, makerStart)
        entry.isIncomplete = own == nil && parent.isIncomplete
        return entry
    }

    /// A process lives as long as one of its threads does; its leader may end before others.
    private func exit(_ record: SensorRecord) -> ProcessEntry {
        let entry = found(record)
        guard record.has(RIPOSTE_FLAG_LAST_THREAD), index[entry.pid] === entry else { return entry }
        remove(entry)
        if !entry.isBrief, entry.virtualPID == 1 { namespaceInits[entry.pidNamespace] = nil }
        return entry
    }

    private func update(_ record: SensorRecord) -> ProcessEntry {
        let entry = found(record)
        takeState(record, entry)
        return entry
    }

    private func takeState(_ record: SensorRecord, _ entry: ProcessEntry) {
        if let facts = record.process { entry.take(facts) }
        if let path = record[.workingDirectory], !entry.details.workingDirectory.isFolder(path) { entry.details.workingDirectory = .folder(path) }
        (entry.details.mountNamespace, entry.details.pidNamespace) = (record.header.pointee.mount_ns, record.header.pointee.pid_ns)
    }

    private func takeCgroup(_ record: SensorRecord, _ entry: ProcessEntry) {
        let cgroup = record.header.pointee.cgroup
        let told = cgroups.container(of: cgroup, path: record.cgroupPath)
        // Of a cgroup nested too deep what is known stays, where /proc does not know better.
        let isNew = cgroup != 0 && cgroup != entry.cgroupID
        guard let knowledge = told ?? (isNew && record[.cgroup] != nil ? reader.cgroup(of: entry.pid, start: entry.start) : nil) else { return }
        (entry.details.container, entry.details.cgroupPath, entry.cgroupID) = (knowledge.container, knowledge.path, cgroup)
    }

    // MARK: - Looking up

    /// The entry of the process that a record is about, brought up to what its header says; nil where the table has none.
    private func known(_ record: SensorRecord) -> ProcessEntry? {
        let header = record.header
        guard let entry = index[header.pointee.pid], ProcessStart.isSame(entry.start, header.pointee.start) else { return nil }
        entry.start = header.pointee.start
        lookUps &+= 1
        entry.lastUse = lookUps
        if header.pointee.pid == header.pointee.tid { entry.take(comm: record.comm) }
        if header.pointee.cgroup != entry.cgroupID { move(entry, to: header.pointee.cgroup, record) }
        return entry
    }

    /// The process is in another cgroup than the table thought.
    private func move(_ entry: ProcessEntry, to cgroup: UInt64, _ record: SensorRecord) {
        guard cgroup != 0 else { return }
        defer { entry.cgroupID = cgroup }
        // What is still to be read will be that of now.
        guard !entry.isBrief else { return }
        let told = cgroups.container(of: cgroup, path: record.cgroupPath)
        guard let now = told ?? (entry.cgroupID == 0 ? nil : reader.cgroup(of: entry.pid, start: entry.start)) else { return }
        (entry.details.container, entry.details.cgroupPath) = (now.container, now.path)
    }

    private func found(_ record: SensorRecord) -> ProcessEntry {
        if let entry = known(record) { return entry }
        let entry = rebuilt(record)
        // A straggler of a process whose number another one has by now must not take its place.
        if let other = index[entry.pid], other.start > entry.start { return entry }
        return insert(entry)
    }

    /// An entry for a process that no event told of, or whose events were lost.
    private func rebuilt(_ record: SensorRecord) -> ProcessEntry {
        let header = record.header
        if let entry = reader.entry(of: header.pointee.pid, start: header.pointee.start) {
            counters.rebuiltFromProc += 1
            entry.cgroupID = header.pointee.cgroup
            if let parent = index[entry.parentPID] { entry.parentStart = parent.start }
            return entry
        }
        counters.incomplete += 1
        let entry = blank(record, ProcessImage(comm: record.comm))
        entry.isIncomplete = true
        entry.hasUnknownParent = true
        takeState(record, entry)
        takeCgroup(record, entry)
        return entry
    }

    /// An entry that knows what the header of its record says.
    private func blank(_ record: SensorRecord, _ image: ProcessImage) -> ProcessEntry {
        let header = record.header
        var details = ProcessDetails(image: image)
        (details.mountNamespace, details.pidNamespace) = (header.pointee.mount_ns, header.pointee.pid_ns)
        if header.pointee.pid == header.pointee.tid { details.virtualPID = header.pointee.vtid }
        return ProcessEntry(pid: header.pointee.pid, start: header.pointee.start, comm: record.comm, details: details)
    }

    private func live(_ pid: UInt32, start: UInt64) -> ProcessEntry? {
        guard let entry = index[pid], ProcessStart.isSame(entry.start, start) else { return nil }
        lookUps &+= 1
        entry.lastUse = lookUps
        return entry
    }

    /// A process that the table lacks, as /proc has it; `start` nil: whoever has the pid.
    private func built(_ pid: UInt32, start: UInt64? = nil) -> ProcessEntry? {
        guard pid != 0, let entry = reader.entry(of: pid, start: start) else { return nil }
        counters.rebuiltFromProc += 1
        if let parent = index[entry.parentPID] { entry.parentStart = parent.start }
        return insert(entry)
    }

    /// start_boottime of the first process of the pid namespace that a process is in; 0: unknown.
    package func namespaceInitStart(of entry: ProcessEntry) -> UInt64 {
        if entry.namespaceInitStart != 0 { return entry.namespaceInitStart }
        // The first process of all need not let anybody see its namespace.
        if !entry.isInPIDNamespace, let first = index[1] { return first.start }
        guard entry.pidNamespace != 0 else { return 0 }
        if let start = namespaceInits[entry.pidNamespace] { return start }
        let start = index.all.first { $0.pidNamespace == entry.pidNamespace && $0.virtualPID == 1 }?.start ?? 0
        namespaceInits[entry.pidNamespace] = start
        return start
    }

    // MARK: - What the kernel is asked for when a rule or an output wants it

    func present(_ entry: ProcessEntry) -> PresentProcess { reader.present(entry) }

    // MARK: - Lineage

    /// The parent as the kernel has it now: where the one that the table knows has ended, whoever adopted the process. Nil for those without a
    /// parent and where nobody can tell.
    package func parent(of entry: ProcessEntry) -> ProcessEntry? {
        if entry.parentPID != 0, let parent = index[entry.parentPID], isParent(parent, of: entry) {
            lookUps &+= 1
            parent.lastUse = lookUps
            return parent
        }
        return entry.hasUnknownParent ? nil : adopted(entry)
    }

    private func isParent(_ parent: ProcessEntry, of entry: ProcessEntry) -> Bool {
        if entry.parentStart != 0 { return ProcessStart.isSame(parent.start, entry.parentStart) }
        return parent.start <= entry.start
    }

    /// Asks the kernel who the parent is. A process that has ended meanwhile was adopted by the first process of its pid namespace, as far as can
    /// still be told.
    private func adopted(_ entry: ProcessEntry) -> ProcessEntry? {
        guard entry.parentPID != 0 else { return nil }
        let pid = reader.parent(of: entry.pid, start: entry.start) ?? (entry.isInPIDNamespace ? 0 : 1)
        guard pid != 0, pid != entry.pid, let parent = index[pid] ?? built(pid), parent.start <= entry.start &+ ProcessStart.tick else {
            entry.hasUnknownParent = true
            return nil
        }
        (entry.parentPID, entry.parentStart) = (pid, parent.start)
        return parent
    }

    /// The leader of the session or process group that a process is in: the process whose number it has, or where that has ended the oldest of the
    /// process and its ancestors in one line that are in it. Nil for number 0.
    package func leader(of entry: ProcessEntry, in grouping: ProcessGrouping) -> ProcessEntry? {
        let number = grouping.number(of: entry)
        guard number != 0 else { return nil }
        // The kernel gives no number away that still names a group or session.
        if let leader = index[number], grouping.number(of: leader) == number { return leader }
        var oldest = entry
        for _ in 0..<Self.lineageLimit {
            guard let parent = parent(of: oldest), grouping.number(of: parent) == number else { break }
            oldest = parent
        }
        return oldest
    }

    // MARK: - Keeping

    @discardableResult private func insert(_ entry: ProcessEntry) -> ProcessEntry {
        if let other = index[entry.pid] { retired.append(other) } else if index.count >= entryLimit { evict() }
        lookUps &+= 1
        entry.lastUse = lookUps
        index[entry.pid] = entry
        return entry
    }

    private func remove(_ entry: ProcessEntry) {
        retired.append(entry)
        index[entry.pid] = nil
    }

    /// Makes room by a sixteenth at once, so that it is rare.
    private func evict() {
        let victims = index.all.sorted { $0.lastUse < $1.lastUse }.prefix(max(1, entryLimit / 16))
        for victim in victims { remove(victim) }
        counters.evicted += UInt64(victims.count)
    }

    // MARK: - /proc

    /// Reads /proc. What events have told since counts more. Every process is there afterwards; details of as many as `budget` has time for, those
    /// of the rest are read when they are first asked for.
    package func seed(budget: Duration = .milliseconds(100)) {
        beginEvent()
        let end = ContinuousClock.now + budget
        for pid in NumberedFolder.numbers(in: "/proc") ?? [] where index[pid] == nil {
            if let entry = reader.entry(of: pid) { insert(entry) }
        }
        let all = index.all
        for entry in all where entry.parentStart == 0 { entry.parentStart = index[entry.parentPID]?.start ?? 0 }
        for entry in all where entry.isBrief && ContinuousClock.now < end { _ = entry.details }
    }

    /// Drops what /proc no longer has and gives how many these were. For the time after events were lost, when no event waits any more: those
    /// that wait may still be about processes that have ended.
    @discardableResult package func forgetEnded() -> Int {
        beginEvent()
        let ended = index.all.filter { !reader.isRunning($0.pid, start: $0.start) }
        for entry in ended { remove(entry) }
        return ended.count
    }

    /// For the time after starts of programs were lost: what each process runs is read again when it is needed next.
    package func readAgain() {
        beginEvent()
        for entry in index.all where !entry.isKernelThread { entry.forget(readingAgainFrom: reader) }
    }

    /// Where the table and /proc disagree, in words; empty where they say the same. Processes come and go meanwhile: ask when all is still, or ask
    /// twice.
    package func differencesFromProc() -> [String] {
        var differences: [String] = []
        let numbers = Set(NumberedFolder.numbers(in: "/proc") ?? [])
        for entry in index.all where !numbers.contains(entry.pid) { differences.append("\(entry.pid) is no process any more") }
        for pid in numbers.sorted() {
            guard let now = reader.entry(of: pid) else { continue }
            guard let entry = index[pid] else {
                differences.append("\(pid) is missing")
                continue
            }
            differences += entry.differences(from: now).map { "\(pid): \($0)" }
        }
        return differences
    }
}

/// What processes are grouped by; numbers of the host.
package enum ProcessGrouping: Sendable {
    case session, group

    func number(of entry: ProcessEntry) -> UInt32 { self == .session ? entry.session : entry.group }
}

extension HeldBytes {
    /// Whether this is `path` as `folder(_:)` would hold it.
    fileprivate func isFolder(_ path: UnsafeRawBufferPointer) -> Bool {
        bytes.isSame(as: path) || bytes.count == path.count + 1 && bytes.last == UInt8(ascii: "/") && bytes.keeping(path.count).isSame(as: path)
    }
}

extension ProcessEntry {
    /// What another look at the same process saw otherwise; names left out, as any process changes its own whenever it likes.
    fileprivate func differences(from other: ProcessEntry) -> [String] {
        var differences: [String] = []
        func compare(_ what: String, _ own: some Equatable, _ others: some Equatable) {
            if "\(own)" != "\(others)" { differences.append("\(what) is \(others), not \(own)") }
        }
        if !ProcessStart.isSame(start, other.start) { compare("start", start, other.start) }
        compare("parent", parentPID, other.parentPID)
        compare("session", session, other.session)
        compare("group", group, other.group)
        compare("tty", tty, other.tty)
        compare("pid in its namespace", virtualPID, other.virtualPID)
        compare("pid namespace", pidNamespace, other.pidNamespace)
        compare("container", container.fullID, other.container.fullID)
        compare("executable", String(decoding: image.executablePath, as: UTF8.self), String(decoding: other.image.executablePath, as: UTF8.self))
        compare("working directory", String(decoding: workingDirectory, as: UTF8.self), String(decoding: other.workingDirectory, as: UTF8.self))
        return differences
    }
}
