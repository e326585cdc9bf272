internal import CRiposte
package import RiposteCore
package import RiposteRules

/// An event of the sensor as the rules see it. One object serves for all events in turn; the sensor's thread alone uses it.
///
/// Values are worked out when a rule asks, from the record as the kernel wrote it, the process table and what is known of the container; the state
/// is that after the event: a successful execve shows the new program (spec: fields.md 1).
package final class SensorEvent: RuleEvent {
    let world: SensorWorld
    private(set) package var type = EventType.other
    /// Counts from 1.
    package var number: UInt64 = 0
    package var time = Timestamp(nanoseconds: 0)
    var record: SensorRecord?
    /// Of the thread's process; nil where nothing is known of it.
    var process: ProcessEntry?
    var call: SystemCall?
    /// Where a file was reached by a symbolic link, or its name was changed under the kernel's eyes, the event is judged a second time, under the path
    /// that the kernel opened; a connect to a Unix socket under the path that this is bound to.
    var usesKernelPath = false
    /// What the kernel did about it in a playbook's name.
    package var reflex: ReflexReport?
    /// The time of the first event.
    private(set) var firstTime = Timestamp(nanoseconds: 0)
    let joinedPaths = JoinedPaths()
    let fileFlags = LastNames(.file)
    private let fields = SensorField.table
    /// How often `util.cnt` was asked for.
    var askedCount: Int64 = 0
    /// The time of the event before.
    var previousTime: Timestamp?

    package init(_ world: SensorWorld) { self.world = world }

    /// Takes the next event. `process` is as the event has left it.
    package func take(_ record: SensorRecord, _ type: EventType, _ call: SystemCall?, process: ProcessEntry?, at time: Timestamp) {
        previousTime = number == 0 ? nil : self.time
        if number == 0 { firstTime = time }
        number += 1
        (self.record, self.type, self.call, self.process, self.time) = (record, type, call, process, time)
        usesKernelPath = false
        joinedPaths.reset()
    }

    package func value(of field: EventField, in arena: FieldArena) -> FieldView {
        guard let record, let known = fields[field.id] else { return .absent }
        return switch known {
        case .process(let known): processValue(known, field, record, arena)
        case .descriptor(let known): descriptorValue(known, field, record, arena)
        case .path(let known): pathValue(known, field, record, arena)
        case .event(let known): eventValue(known, field, record, arena)
        case .container(let known): containerValue(known, field, record, arena)
        }
    }
}

extension SensorEvent {
    /// Whether it was a request of io_uring, and no call: `evt.is_io_uring`.
    package var isRequest: Bool { record?.has(RIPOSTE_FLAG_REQUEST) ?? false }

    /// pid, start_boottime in nanoseconds and comm of the process; nil between events.
    package var identity: (pid: UInt32, start: UInt64, comm: [UInt8])? { record.map { ($0.header.pointee.pid, $0.header.pointee.start, Array($0.comm)) } }
}

/// What is known besides the event: used by the sensor's thread alone.
package final class SensorWorld {
    package let processes: ProcessTable
    package let containers: any ContainerKnowledge
    package let accounts: AccountTable
    /// How CLOCK_BOOTTIME stands to the wall clock: nanoseconds to add.
    package var wallOffset: Int64

    package init(processes: ProcessTable, containers: any ContainerKnowledge, accounts: AccountTable, wallOffset: Int64) {
        self.processes = processes
        self.containers = containers
        self.accounts = accounts
        self.wallOffset = wallOffset
    }

    /// A time of the kernel's since boot as wall-clock time.
    package func wallTime(_ bootNanoseconds: UInt64) -> Timestamp { Timestamp(nanoseconds: Int64(clamping: bootNanoseconds) &+ wallOffset) }
}
