package import CRiposte

/// All processes of the machine as the sensor knows them: seeded from /proc, kept by the kernel's fork, exec, exit and update events. The sensor's
/// thread alone uses it.
package final class ProcessTable {
    package init() {}

    /// Reads /proc. What events have told since counts more.
    package func seed() {}

    /// Applies a state event; gives the entry that it is about, as the event has left it (of an exit: as it was).
    package func apply(_ record: SensorRecord) -> ProcessEntry? { nil }

    /// The process that made a call; looked up in /proc where no event told of it.
    package func process(of record: SensorRecord) -> ProcessEntry? { nil }
}

/// One process.
package final class ProcessEntry {
    package let pid: UInt32
    /// start_boottime, nanoseconds; with the pid its identity.
    package let start: UInt64
    /// In which container it runs.
    package var container = ContainerReference.host

    init(pid: UInt32, start: UInt64) { (self.pid, self.start) = (pid, start) }
}
