internal import CRiposte

/// One process as the table knows it. The table alone changes it, between events.
///
/// What is read from /proc at the start is brief, so that the sensor is soon ready where there are many processes; the rest, ``ProcessDetails``, is
/// read when somebody asks for it first.
package final class ProcessEntry {
    package let pid: UInt32
    /// start_boottime, nanoseconds; with the pid its identity. A whole number of clock ticks where only /proc has told it; 0: unknown.
    package internal(set) var start: UInt64

    /// What the kernel calls its real parent, by thread group; 0: none that is visible.
    package internal(set) var parentPID: UInt32 = 0
    package internal(set) var parentStart: UInt64 = 0
    /// Whether neither an event nor /proc could say who the parent is.
    var hasUnknownParent = false

    package internal(set) var session: UInt32 = 0
    package internal(set) var group: UInt32 = 0
    /// Device number of the controlling terminal, 0 for none.
    package internal(set) var tty: UInt32 = 0
    /// start_boottime of the first process of the pid namespace, where an event told it; see ``ProcessTable/namespaceInitStart(of:)``.
    var namespaceInitStart: UInt64 = 0
    /// RLIMIT_NOFILE; 0: unknown.
    package internal(set) var descriptorLimit: UInt64 = 0
    /// Id of the cgroup that names the container, and of its hierarchy; 0: unknown.
    package internal(set) var cgroupID: UInt64 = 0
    package internal(set) var isKernelThread = false
    /// Whether all that is known of it stood in the headers of its events.
    package internal(set) var isIncomplete = false
    /// The table's count of look-ups when it was last needed.
    var lastUse: UInt64 = 0

    private var knownDetails: ProcessDetails
    /// Who reads the details; nil once they are known.
    private var source: ProcessReader?
    private let name: UnsafeMutableRawBufferPointer
    private var nameBytes = 0

    init(pid: UInt32, start: UInt64, comm: UnsafeRawBufferPointer, details: ProcessDetails, source: ProcessReader? = nil) {
        (self.pid, self.start, self.source) = (pid, start, source)
        knownDetails = details
        name = .allocate(byteCount: 16, alignment: 8)
        name.initializeMemory(as: UInt8.self, repeating: 0)
        take(comm: comm)
    }

    deinit { name.deallocate() }

    /// comm of the thread group leader, as of the last event that told it.
    package var comm: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(name)[..<nameBytes]) }

    // MARK: - Details

    var isBrief: Bool { source != nil }

    /// Read now where they are not known yet.
    var details: ProcessDetails {
        @inline(__always) get {
            if source != nil { complete() }
            return knownDetails
        }
        set {
            source = nil
            knownDetails = newValue
        }
    }

    /// Of a process that has ended meanwhile they stay what is known of any: its name.
    private func complete() {
        if let details = source?.details(of: self) { knownDetails = details }
        source = nil
    }

    /// What is known may be of a program that it no longer runs: to be read again when somebody asks for it next.
    func forget(readingAgainFrom reader: ProcessReader) { source = reader }

    package var image: ProcessImage { details.image }
    package var commandLine: UnsafeRawBufferPointer { details.image.commandLine }
    /// Working directory with a slash at its end; empty: unknown.
    package var workingDirectory: UnsafeRawBufferPointer { details.workingDirectory.bytes }
    /// In the innermost pid namespace; 0: unknown.
    package var virtualPID: UInt32 { details.virtualPID }
    package var virtualSession: UInt32 { details.virtualSession }
    package var virtualGroup: UInt32 { details.virtualGroup }
    /// Whether it lives in a pid namespace below the host's.
    package var isInPIDNamespace: Bool { details.isInPIDNamespace }
    /// Inode numbers; 0: unknown.
    package var mountNamespace: UInt32 { details.mountNamespace }
    package var pidNamespace: UInt32 { details.pidNamespace }
    /// In which container it runs.
    package var container: ContainerReference { details.container }
    /// Nil: unknown.
    package var cgroupPath: UnsafeRawBufferPointer? { details.cgroupPath?.bytes }

    // MARK: - Events

    func take(comm: UnsafeRawBufferPointer) {
        let comm = comm.keeping(name.count)
        guard !comm.isSame(as: self.comm) else { return }
        name.copyMemory(from: comm)
        nameBytes = comm.count
    }

    /// Everything that a record tells of its process.
    func take(_ facts: riposte_process) {
        (parentPID, parentStart) = (facts.parent, facts.parent_start)
        hasUnknownParent = false
        (session, group, tty) = (facts.session, facts.group, facts.tty)
        if facts.ns_init_start != 0 { namespaceInitStart = facts.ns_init_start }
        if facts.fd_limit != 0 { descriptorLimit = facts.fd_limit }
        details.take(facts)
    }

    /// What a fork inherits without the record having to say so.
    func inherit(from parent: ProcessEntry) {
        (session, group, tty, namespaceInitStart) = (parent.session, parent.group, parent.tty, parent.namespaceInitStart)
        (descriptorLimit, isKernelThread, cgroupID) = (parent.descriptorLimit, parent.isKernelThread, parent.cgroupID)
    }
}

/// What it takes several files of /proc to tell of one process.
struct ProcessDetails {
    var image: ProcessImage
    /// With a slash at its end; empty: unknown.
    var workingDirectory: HeldBytes
    /// In the innermost pid namespace; 0: unknown.
    var virtualPID: UInt32 = 0
    var virtualSession: UInt32 = 0
    var virtualGroup: UInt32 = 0
    var isInPIDNamespace = false
    /// Inode numbers; 0: unknown.
    var mountNamespace: UInt32 = 0
    var pidNamespace: UInt32 = 0
    var container = ContainerReference.host
    var cgroupPath: HeldBytes?

    init(image: ProcessImage, workingDirectory: HeldBytes = .nothing) { (self.image, self.workingDirectory) = (image, workingDirectory) }

    mutating func take(_ facts: riposte_process) {
        (virtualPID, virtualSession, virtualGroup) = (facts.vpid, facts.vsession, facts.vgroup)
        isInPIDNamespace = facts.ns_level > 0
    }
}

/// Start times, of which /proc tells whole clock ticks only and events nanoseconds.
enum ProcessStart {
    /// Nanoseconds in one of the ticks in which /proc counts.
    static let tick: UInt64 = 10_000_000

    /// Whether both may be the start of one and the same process: to the nanosecond, or where one is in ticks, within one.
    static func isSame(_ first: UInt64, _ second: UInt64) -> Bool {
        if first == second { return true }
        guard first % tick == 0 || second % tick == 0 else { return false }
        return (first > second ? first - second : second - first) <= tick
    }
}
