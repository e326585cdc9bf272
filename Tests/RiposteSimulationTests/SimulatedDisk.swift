import RiposteAudit
import Synchronization

/// The kernel's disk, until the moment at which the machine's fate says that the process dies: the write of that moment may be there whole, in part, or not at all.
final class SimulatedDisk: JournalDisk {
    struct State {
        /// Writes until the death; nil: not soon.
        var writesLeft: Int?
        /// Of the write at the death, so many thousandths are on the disk.
        var share = 0
        var isDead = false
        /// What was written at the death was written then.
        var diedAt: Duration?
        var isFull = false
    }

    private let real = FileDisk()
    private let machine: SimulatedMachine
    private let state = Mutex(State())
    var diedAt: Duration? { state.withLock(\.diedAt) }
    var isDead: Bool { state.withLock(\.isDead) }
    var isFull: Bool { state.withLock(\.isFull) }

    init(_ machine: SimulatedMachine) { self.machine = machine }

    func die(afterWrites count: Int, share: Int) {
        state.withLock { state in
            state.writesLeft = count
            state.share = share
        }
    }

    func die() { state.withLock { ($0.isDead, $0.diedAt) = (true, $0.diedAt ?? machine.uptime) } }

    func fill(_ isFull: Bool) { state.withLock { $0.isFull = isFull } }

    private static let dead = JournalError(.disk, "the process has died")

    func open(_ path: String) throws(JournalError) -> Int32 {
        guard !isDead else { throw Self.dead }
        return try real.open(path)
    }

    func append(_ bytes: [UInt8], to file: Int32) throws(JournalError) {
        enum Fate { case written, full, dead, dies(Int) }
        let fate = state.withLock { state -> Fate in
            if state.isDead { return .dead }
            if state.isFull { return .full }
            guard let left = state.writesLeft else { return .written }
            state.writesLeft = left - 1
            return left <= 1 ? .dies(state.share) : .written
        }
        switch fate {
        case .written: try real.append(bytes, to: file)
        case .full: throw JournalError(.disk, "no space left on device")
        case .dead: throw Self.dead
        case .dies(let share):
            try real.append(Array(bytes.prefix(bytes.count * share / 1000)), to: file)
            die()
            throw Self.dead
        }
    }

    /// A process that died takes nothing back.
    func truncate(_ file: Int32, to length: Int) throws(JournalError) {
        guard !isDead else { throw Self.dead }
        try real.truncate(file, to: length)
    }

    func sync(_ file: Int32) throws(JournalError) { if isDead { throw Self.dead } }

    func overwrite(_ bytes: [UInt8], at offset: Int, of file: Int32) throws(JournalError) {
        guard !isDead else { throw Self.dead }
        try real.overwrite(bytes, at: offset, of: file)
    }

    func close(_ file: Int32) { real.close(file) }
}
