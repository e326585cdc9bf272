internal import CLibBPF
internal import CRiposte
internal import Glibc
internal import RiposteCore
internal import RiposteRules

/// What the sensor's thread does: takes events, keeps the process table, asks the rules. Used by that thread alone once it runs.
final class SensorLoop {
    private let configuration: Sensor.Configuration
    private let programs: KernelPrograms
    private var rings: EventRings
    private var tables: KernelTables
    let world: SensorWorld
    private let event: SensorEvent
    private var judge: RuleSetJudge
    private let sink: any SensorSink
    private var waits: [pollfd]
    private let bell: CInt
    private var cgroups: CgroupClasses
    /// Of the event at hand.
    private var isInNewCgroup = false
    private var reflexes: ReflexDesk
    private var spared: SparedProcesses
    private var lostBefore = Sensor.KernelCounts()
    private var nextLook: UInt64 = 0
    private var hasLostStates = false
    private var pace = Pace()
    private var judgesExits = false
    private let tamperWatch: TamperWatch?
    private var requestsVersion = 0
    private(set) var counts = Sensor.Counts()
    private(set) var armament = Armament()
    /// Whether the rings were found empty since somebody last asked.
    private var hasReadAll = false
    /// What agents before this one have left, the oldest first; what they tell comes before all that these programs do.
    private var left: [LeftSensor] = []
    private var isReadingLeft = false
    /// Why programs are not kept, or what was left by others could not be read.
    private(set) var pinProblem: SensorError?

    /// How long the thread sleeps at most: losses are looked for that often.
    private static let sleepMilliseconds: CInt = 1000
    /// After so many events it looks whether somebody wants something of it.
    private static let eventsBetweenOrders = 256
    /// From so many events a second on it is woken for many at once: going to sleep and being woken costs more than an event does, here and in whoever
    /// made it. Alerts come by as much later, and none is lost: the rings hold what comes in this time a hundred times over.
    private static let denseRate: UInt64 = 20_000
    private static let restNanoseconds = 400_000

    init(
        _ configuration: Sensor.Configuration, _ rules: RuleSet, _ reflexes: ReflexSet, _ containers: any ContainerKnowledge, _ sink: any SensorSink, bell: CInt,
        loading: SensorLoading? = nil
    ) throws(SensorError) {
        self.configuration = configuration
        self.sink = sink
        self.bell = bell
        if let loading { programs = try loading.take() } else { programs = try KernelPrograms(configuration) }
        if configuration.seesItself { riposte_control_set_self(programs.control, 0) }
        rings = try EventRings(programs)
        world = SensorWorld(processes: ProcessTable(), containers: containers, accounts: AccountTable(), wallOffset: Self.wallOffset())
        event = SensorEvent(world)
        judge = RuleSetJudge(rules, source: "syscall")
        tables = KernelTables(programs, pushesDown: configuration.pushesDown)
        cgroups = CgroupClasses(programs)
        self.reflexes = ReflexDesk(programs)
        spared = SparedProcesses(programs, names: configuration.sparedPrograms, entrances: configuration.sparedEntrances)
        waits = [programs.descriptor(.stateEvents), programs.descriptor(.callEvents), bell].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        tamperWatch = configuration.guards.map(TamperWatch.init)
        try load(rules, reflexes)
        let met = spared.scan()
        try protectAncestors()
        let present = configuration.pins?.present ?? []
        // Until these programs take over, those before tell what happens, and they know nothing of what a reflex of these has done.
        if !present.isEmpty { programs.control.pointee.unattended = 1 }
        try programs.attach()
        armament.refused = tables.refused
        // Whoever began in between.
        _ = spared.scan(butFor: met)
        if let pins = configuration.pins { succeed(pins, present) }
        tamperWatch?.objects = programs.identifiers
        // Events queue from here on; what they tell is newer than what is read now.
        world.processes.seed()
    }

    // MARK: - Before and after this agent

    /// Takes over from agents that have ended, without a moment at which nobody watches: first these programs are at work and, if that is wanted, kept, then those
    /// before end. Up to `since` events are theirs to tell.
    private func succeed(_ pins: SensorPins, _ present: [UInt32]) {
        if !present.isEmpty {
            programs.control.pointee.since = Self.bootNanoseconds()
            programs.control.pointee.unattended = 0
        }
        if configuration.isPinned {
            do throws(SensorError) { try pins.pin(programs, as: (present.last ?? 0) &+ 1) } catch { pinProblem = error }
        }
        for number in present {
            do throws(SensorError) { left.append(try LeftSensor(number, pins)) } catch {
                pinProblem = pinProblem ?? error
                pins.remove(number)
            }
        }
        // Nobody tells what came before.
        if left.isEmpty { programs.control.pointee.since = 0 }
        for (index, sensor) in left.enumerated() {
            sensor.until = index + 1 < left.count ? left[index + 1].since : programs.control.pointee.since
            pins.end(sensor.number)
        }
    }

    /// Reads what happened while no agent ran.
    func readLeft() {
        guard let pins = configuration.pins else { return }
        isReadingLeft = true
        for sensor in left {
            while let (source, bytes) = sensor.rings.next() {
                if let record = SensorRecord(bytes) {
                    if record.header.pointee.time < sensor.until, record.header.pointee.pid != UInt32(getpid()) { take(record) }
                } else {
                    counts.malformed += 1
                }
                sensor.rings.advance(source, bytes)
                counts.events += 1
            }
            let lost = sensor.lost
            if lost > 0 {
                sink.lost(["unattended": lost])
                // Among them may be starts and ends of programs.
                hasLostStates = true
                world.processes.readAgain()
            }
            pins.remove(sensor.number)
        }
        isReadingLeft = false
        left = []
    }

    private static func bootNanoseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_BOOTTIME, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }

    /// Whoever stands above us is never signalled by a reflex, nor are we.
    private func protectAncestors() throws(SensorError) {
        let buffer = ProcessReadBuffer()
        var pid = UInt32(getpid())
        for _ in 0..<64 where pid > 0 {
            let facts = ProcessFolder(pid)?.facts(into: buffer)
            // Init, and we, are who they are; another one's number may be given to somebody else.
            try programs.set(.protected, pid, pid == 1 || pid == UInt32(getpid()) ? 0 : facts?.start ?? 0)
            spared.ancestors.insert(pid)
            pid = facts?.parent ?? 0
        }
    }

    private func monotonicNanoseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }

    /// Nanoseconds from CLOCK_BOOTTIME to the wall clock.
    private static func wallOffset() -> Int64 {
        var (boot, wall) = (timespec(), timespec())
        clock_gettime(CLOCK_BOOTTIME, &boot)
        clock_gettime(CLOCK_REALTIME, &wall)
        return (Int64(wall.tv_sec) - Int64(boot.tv_sec)) * 1_000_000_000 + Int64(wall.tv_nsec) - Int64(boot.tv_nsec)
    }

    func use(_ rules: RuleSet, _ reflexes: ReflexSet) throws(SensorError) {
        // Judged by the new rules from here on, handed up by the old tables until the new ones are whole: what both sets want is never missed.
        judge = RuleSetJudge(rules, source: "syscall")
        try load(rules, reflexes)
    }

    /// Where the kernel does not take the tables, those before stay, and their reflexes act no more: somebody may have wanted just that.
    private func load(_ rules: RuleSet, _ reflexes: ReflexSet) throws(SensorError) {
        do throws(SensorError) {
            let (armed, unfit) = try write(rules, try self.reflexes.arm(reflexes))
            self.reflexes.settle(armed)
            judgesExits = tables.wants(KernelTables.procexit)
            armament = Armament()
            armament.armed = armed
            armament.unfit = unfit
            armament.waiting = reflexes.reflexes.filter { !armed.contains($0) && unfit[$0] == nil }
            armament.refused = tables.refused
            tamperWatch?.objects = programs.identifiers
        } catch {
            self.reflexes.disarm()
            tables.disarm()
            armament = Armament()
            armament.problem = error
            throw error
        }
    }

    /// Gives those of the reflexes for which there was room, and why there was none for the others.
    private func write(
        _ rules: RuleSet, _ reflexes: [(slot: Int, reflex: ArmedReflex, budget: Int)]
    ) throws(SensorError) -> (armed: [ArmedReflex], unfit: [ArmedReflex: String]) {
        var places = reflexes
        var unfit: [ArmedReflex: String] = [:]
        while true {
            let filters = rules.kernelFilters(reflexes: places.map(\.reflex.rule)).adding(tamperWatch?.filters ?? [:])
            var refused = filters.refusals.mapValues(\.description)
            // What the filters have left out must not be put in force as if it were in them.
            if refused.isEmpty { refused = try tables.load(filters, places, sparing: configuration.sparedPrograms) }
            guard !refused.isEmpty else { return (places.map(\.reflex), unfit) }
            for (index, reason) in refused { unfit[places[index].reflex] = reason }
            places = places.enumerated().filter { refused[$0.offset] == nil }.map(\.element)
        }
    }

    // MARK: - Events

    /// Takes all that is there and not younger than `moment`, until it is told to look up; whether that was all.
    @discardableResult
    func drain(upTo moment: UInt64 = .max, _ isCalled: () -> Bool) -> Bool {
        var (taken, isDrained) = (0, true)
        while let (source, bytes) = rings.next() {
            if let record = SensorRecord(bytes) {
                if record.header.pointee.time > moment {
                    isDrained = false
                    break
                }
                // What is older the programs before these have told.
                if record.header.pointee.time >= programs.control.pointee.since { take(record) }
            } else {
                counts.malformed += 1
            }
            rings.advance(source, bytes)
            taken += 1
            if taken % Self.eventsBetweenOrders == 0, isCalled() {
                isDrained = false
                break
            }
        }
        if isDrained { hasReadAll = true }
        counts.events += UInt64(taken)
        pace.taken += UInt64(taken)
        counts.processes = world.processes.count
        counts.table = world.processes.counters
        counts.unspared = spared.untold
        counts.lateAccounts = world.accounts.lateCount
        return isDrained
    }

    /// Takes what the kernel has written by now, and no more: where events keep coming there would be no end. No reflex acts any more, as nobody would hear of it.
    /// What comes meanwhile stays in the rings, for the next agent where they are pinned.
    func drainLast() {
        rings.isRelieved = false
        programs.control.pointee.unattended = 1
        drain(upTo: Self.bootNanoseconds() + Self.underWayNanoseconds) { false }
        look(isLast: true)
    }

    /// Whether events were taken out of their ring that nobody was told of.
    var hasMoved: Bool { rings.hasMoved }

    /// What was begun before is written by then.
    private static let underWayNanoseconds: UInt64 = 1_000_000

    private func take(_ record: SensorRecord) {
        let header = record.header
        let time = world.wallTime(header.pointee.time)
        switch record.kind {
        case .fork, .update:
            let process = place(record, world.processes.apply(record))
            fetchContainer(of: process)
            if record.kind == .fork, let process { spared.forked(process) }
        case .exec:
            let process = place(record, world.processes.apply(record))
            fetchContainer(of: process)
            if let process { spared.began(process, by: header.pointee.uid, in: world.processes) }
            meetAccounts(record, process)
            let call = SystemCall.number(nr: header.pointee.nr, isCompat: record.has(RIPOSTE_FLAG_COMPAT))
            judge(record, call?.type ?? Self.execve, call, process, time)
        case .exit:
            let process = world.processes.apply(record)
            if let process, record.has(RIPOSTE_FLAG_LAST_THREAD) { spared.ended(process) }
            if judgesExits { judge(record, KernelTables.procexit, nil, process, time) }
        case .call:
            guard let call = SystemCall.number(nr: header.pointee.nr, isCompat: record.has(RIPOSTE_FLAG_COMPAT)) else { return }
            judge(record, call.type, call, place(record, world.processes.process(of: record)), time)
        }
    }

    private static let execve = EventType(named: "execve") ?? .other
    private static let bpf = EventType(named: "bpf") ?? .other

    /// Reads a container's account files when its first program starts, which is there for long, and not when a rule asks about one that is gone by then.
    private func meetAccounts(_ record: SensorRecord, _ process: ProcessEntry?) {
        guard let process, !process.container.isHost else { return }
        _ = world.accounts.user(0, mountNamespace: record.header.pointee.mount_ns, pid: record.header.pointee.pid, container: process.container)
    }

    /// Has the container's facts fetched, so that they are there when a rule holds. A container's first process may begin outside of it, and so be met as it
    /// starts its program.
    private func fetchContainer(of process: ProcessEntry?) {
        if let process, !process.container.isHost { world.containers.prefetch(process.container, beganAnew: isInNewCgroup) }
    }

    /// Tells the kernel what kind of cgroup the process is in.
    private func place(_ record: SensorRecord, _ process: ProcessEntry?) -> ProcessEntry? {
        isInNewCgroup = false
        guard let process else { return nil }
        isInNewCgroup = cgroups.tell(record)
        return process
    }

    private func judge(_ record: SensorRecord, _ type: EventType, _ call: SystemCall?, _ process: ProcessEntry?, _ time: Timestamp) {
        world.accounts.beginEvent()
        event.take(record, type, call, process: process, at: time)
        event.reflex = record.header.pointee.reflex > 0 ? report(record) : nil
        judgeByRules()
        if type == Self.bpf { meetRequestPrograms() }
        if let tampering = tamperWatch?.find(event, record) { sink.tampered(tampering, event) }
    }

    /// Whose reflex it was of another agent's nobody knows any more; that a signal was sent is told.
    private func report(_ record: SensorRecord) -> ReflexReport? {
        guard isReadingLeft else { return reflexes.report(record) }
        if UInt32(record.header.pointee.reflex_outcome) == RIPOSTE_REFLEX_SENT.rawValue { sink.unrecorded(["of an agent before this one": 1]) }
        return nil
    }

    private func judgeByRules() {
        var held: [String] = []
        judge.judge(event) { rule, values in
            counts.matches += 1
            if configuration.judgesKernelPaths || event.reflex != nil { held.append(rule.name) }
            sink.take(rule, event, values)
        }
        if configuration.judgesKernelPaths, event.pathsDiffer() {
            // Once more by the path that the kernel opened: a symbolic link, or a name that was changed after the kernel had read it, hides nothing.
            event.usesKernelPath = true
            judge.judge(event) { rule, values in
                guard !held.contains(rule.name) else { return }
                counts.matches += 1
                held.append(rule.name)
                sink.take(rule, event, values)
            }
        }
        if let report = event.reflex, report.verdict == .sent, !held.contains(report.reflex.rule) { tellDeed(report) }
    }

    /// The kernel acted in the name of a rule that does not hold for us, because another one before it is the only one to judge, or because what it compared
    /// has changed since. The deed is done, so it is told.
    private func tellDeed(_ report: ReflexReport) {
        let isTold = judge.tell(event, report.reflex.rule) { rule, values in sink.take(rule, event, values) }
        if !isTold { sink.unrecorded([report.reflex.playbook: 1]) }
    }

    // MARK: - Rest

    /// Sleeps until there is something in a ring or somebody rings the bell.
    func sleep() {
        if pace.isDense(Self.denseRate, at: monotonicNanoseconds()) { rest() }
        guard poll(&waits, nfds_t(waits.count), Self.sleepMilliseconds) > 0 else { return }
        if waits[2].revents != 0 { clearBell() }
    }

    func clearBell() { riposte_eventfd_clear(bell) }

    /// Lets events gather.
    private func rest() {
        var length = timespec(tv_sec: 0, tv_nsec: Self.restNanoseconds)
        nanosleep(&length, nil)
    }

    var isTimeToLook: Bool { monotonicNanoseconds() >= nextLook }

    /// Looks once a second what the kernel could not hand over; the wall clock may have been set, too.
    func tellLosses(isDrained: Bool) {
        let now = monotonicNanoseconds()
        if now >= nextLook {
            nextLook = now + 1_000_000_000
            look()
        }
        // Ends that were lost leave processes in the table that are gone; those whose end is still to be read are no such.
        guard isDrained, hasLostStates else { return }
        hasLostStates = false
        world.processes.forgetEnded()
        spared.forgetEnded(world.processes)
    }

    /// What ``tellLosses(isDrained:)`` does when it is time.
    func look(isLast: Bool = false) {
        world.wallOffset = Self.wallOffset()
        reflexes.turn(at: .now)
        if hasReadAll {
            hasReadAll = false
            reflexes.wereRead()
        }
        spared.lookAgain(world.processes)
        meetRequestPrograms()
        let unrecorded = reflexes.takeUnrecorded()
        if !unrecorded.isEmpty { sink.unrecorded(unrecorded) }
        tellLost()
        sink.looked(isLast: isLast)
    }

    private func tellLost() {
        let present = kernelCounts()
        var lost: [String: UInt64] = [:]
        for (type, count) in present.dropped where count > lostBefore.dropped[type] ?? 0 { lost[type] = count - (lostBefore.dropped[type] ?? 0) }
        lostBefore = present
        // What the kernel passed over nobody has counted there.
        programs.control.pointee.told_lost = present.dropped.values.reduce(0, &+) &- programs.missedRuns.values.reduce(0, &+)
        guard !lost.isEmpty else { return }
        if Self.stateTypes.contains(where: { lost[$0] != nil }) { hasLostStates = true }
        // Whose start was lost would go by the name of what it ran before.
        if lost["exec"] != nil || lost["update"] != nil { world.processes.readAgain() }
        sink.lost(lost)
    }

    /// Those that have been attached meanwhile are this process's, too.
    private func meetRequestPrograms() {
        guard let tamperWatch, programs.requests.version != requestsVersion else { return }
        requestsVersion = programs.requests.version
        tamperWatch.objects = programs.identifiers
    }

    /// Which requests of io_uring come as events. Any thread may ask.
    var requests: RequestPrograms { programs.requests }

    /// As ``KernelTables/counts()`` names them.
    private static let stateTypes = ["exec", "fork", "procexit", "update"]

    func kernelCounts() -> Sensor.KernelCounts { tables.counts() }
}

/// How fast events come, over spans of a few milliseconds.
struct Pace {
    /// Since the span began.
    var taken: UInt64 = 0
    private var began: UInt64 = 0
    private var wasDense = false
    private static let span: UInt64 = 2_000_000

    init() {}

    /// Whether in the last whole span, `now` being nanoseconds of any clock that only goes forwards, at least `rate` events a second came.
    mutating func isDense(_ rate: UInt64, at now: UInt64) -> Bool {
        let length = now &- began
        guard length >= Self.span else { return wasDense }
        wasDense = taken &* 1_000_000_000 / length >= rate
        (taken, began) = (0, now)
        return wasDense
    }
}

/// Which cgroups are of containers, as told to the kernel. A cgroup's id is never used again while the machine runs, so what was said once stays true.
struct CgroupClasses {
    private let programs: KernelPrograms
    private var told: Set<UInt64> = []
    /// Mostly it is the same one again.
    private var lastTold: UInt64 = 0
    /// As many as the kernel's map holds; then both begin anew.
    private static let limit = 16_000

    init(_ programs: KernelPrograms) { self.programs = programs }

    /// What the kernel is told.
    private enum Kind: UInt32 {
        case host = 1
        case container
        /// It counts as one that was not told, but for this: its path does not come with each event, and nobody is woken for its sake.
        case unknown
    }

    /// Says what kind the record's cgroup is, once, where that is certain: by its path as the record tells it. /proc may tell of another cgroup by now, to which
    /// the process has gone. Of one that is nested too deep for the kernel side all that is said is that it was met.
    ///
    /// Gives whether it is a new one that is known.
    mutating func tell(_ record: SensorRecord) -> Bool {
        let id = record.header.pointee.cgroup
        guard id != 0, id != lastTold else { return false }
        if told.contains(id) { lastTold = id }
        guard lastTold != id, record[.cgroup] != nil else { return false }
        let path = record.cgroupPath
        let kind: Kind = path.map { CgroupPath.container(of: $0).isHost ? .host : .container } ?? .unknown
        if told.count >= Self.limit { told.removeAll(keepingCapacity: true) }
        told.insert(id)
        // What cannot be written is handed up for ever, which is right, if slower.
        try? programs.set(.cgroups, id, kind.rawValue)
        return path != nil
    }
}
