import Logging
import RiposteAudit
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Synchronization

/// An engine, its journal and a world, driven through whatever can happen to them, in an order that a number decides.
///
/// One step is one thing that happens: an alert, a while that passes, a person's order, a failure, the death of the agent and its next start. After each
/// death, and at the end, ``Ledger`` holds what the journal says and what was done to the world against what must always hold.
final class Simulation {
    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    let seed: UInt64
    let machine: SimulatedMachine
    let world: SimulatedWorld
    let ledger: Ledger
    private let folder: TemporaryFolder
    private var generator: SeededGenerator
    private var life: Life?
    private var lives = 0
    private(set) var steps = 0
    private var place = JournalReader.ReadingPlace(seq: 1)
    private var playbooks = 0

    /// One run of the agent from its start to its end.
    private struct Life {
        let number: Int
        let journal: Journal
        let disk: SimulatedDisk
        let engine: Engine
    }

    init(seed: UInt64) throws {
        self.seed = seed
        machine = SimulatedMachine(seed: seed)
        world = SimulatedWorld(machine: machine)
        ledger = Ledger()
        folder = try TemporaryFolder()
        generator = SeededGenerator(seed: seed ^ 0x5EED)
    }

    /// Drives it through so many steps, then lets everything come to its end, and looks at all of it once more.
    func run(steps: Int) throws {
        try start()
        for _ in 0..<steps {
            self.steps += 1
            try step()
        }
        try settle()
    }

    /// The journal's lines, all segments.
    func journalBytes() throws -> [UInt8] {
        var bytes: [UInt8] = []
        try JournalReader(stateDirectory: folder.path).read { entry in
            bytes += Array("\(entry.seq) \(entry.hash)\n".utf8)
            return true
        }
        return bytes
    }

    // MARK: - Lives

    private func start() throws {
        lives += 1
        let number = lives
        let disk = SimulatedDisk()
        let journal = try Journal(
            stateDirectory: folder.path, configuration: .init(segmentBytes: 16 << 10, durability: .strict), disk: disk, logger: Self.quiet)
        try readWhatIsThere()
        var state = EngineState()
        ledger.records.forEach { state.apply($0.record) }
        if chance(50) {
            guard let copy = EngineState(json: state.json), copy == state else { throw failure("the state does not survive its snapshot") }
            state = copy
        }
        let log = TellingLog(journal, machine, ledger, life: number)
        let catalogue = world.catalogue(life: number, isAlive: { !disk.isDead }, watch: { [ledger] in ledger.watch(deed: $0, life: number) })
        var configuration = Engine.Configuration(mode: .enforce, runLimit: 64, maximumAlertAge: .seconds(3600))
        configuration.reconciliation.every = .seconds(60)
        configuration.undo.pardon = .seconds(120)
        let engine = Engine(
            configuration: configuration, catalogue: catalogue, guards: [SimulatedWorld.ProtectionGuard()], log: log,
            playbooks: try PlaybookSet.load([.init(name: "s.yaml", text: SimulatedPlaybooks.text(playbooks))], catalogue).set, state: state,
            surroundings: machine.surroundings, logger: Self.quiet)
        life = Life(number: number, journal: journal, disk: disk, engine: engine)
        machine.spawn { _ = await engine.recover() }
        machine.spawn { await engine.keepTime() }
        try drain()
    }

    /// What the last life wrote in its last moment and did not live to know of.
    private func readWhatIsThere() throws {
        _ = try JournalReader(stateDirectory: folder.path).read(&place) { entry in
            if entry.seq > Int64(ledger.records.count) { ledger.tell(entry.record, at: machine.uptime, life: lives - 1) }
            return true
        }
    }

    private func end() throws {
        guard let life else { return }
        life.disk.die()
        machine.killAll()
        guard machine.executor.drain() else { throw failure("what was left of a dead agent does not end") }
        life.journal.close()
        self.life = nil
        world.change { $0.busy = [:] }
    }

    private func drain() throws {
        guard machine.executor.drain() else { throw failure("it does not come to rest") }
        try check()
    }

    private func check() throws {
        guard let problem = ledger.problem ?? world.snapshot.problems.first else { return }
        throw failure(problem)
    }

    /// What went wrong, and the records that led to it.
    private func failure(_ text: String) -> Failed {
        Failed(description: (["seed \(seed), step \(steps): \(text)"] + ledger.records.suffix(24).map(\.line)).joined(separator: "\n  "))
    }

    private static let quiet = Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }

    // MARK: - Steps

    private func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
    private func chance(_ percent: Int) -> Bool { number(1...100) <= percent }

    private func step() throws {
        if let life, life.disk.isDead {
            try end()
            if chance(50) { try pass(.seconds(number(0...5000))) }
        }
        guard let life else { return try start() }
        switch number(1...100) {
        case ...45: try alert(life)
        case ...65: try pass(.milliseconds(number(1...20_000)))
        case ...70: try pass(.seconds(number(1...4000)))
        case ...74: undo(life)
        case ...78: order(life)
        case ...84: life.disk.die(afterWrites: number(1...8), share: [0, number(1...999), 1000][number(0...2)])
        case ...86: world.change { [failures = number(0...40), delays = number(0...40)] in ($0.failures, $0.delays) = (failures, delays) }
        case ...88: life.disk.fill(chance(30))
        case ...91: disturb()
        case ...93: machine.setClock(by: .seconds(number(-900...900)))
        case ...96: try reload(life)
        case ...98: try pass(.seconds(number(1...60)))
        default: try end()
        }
        if self.life != nil { try drain() }
    }

    private func pass(_ length: Duration) throws {
        guard machine.advance(by: length) else { throw failure("it does not come to rest while time passes") }
        try check()
    }

    private func alert(_ life: Life) throws {
        let rule = ["pause", "kill", "isolate", "block", "suspend", "all", "nothing", "a\u{1b}[31m{{ rule }}\n\"<x>"][number(0...7)]
        let age = chance(90) ? 0 : number(-4000...7200)
        let time = machine.now + .seconds(-age)
        let index = number(0...5)
        let fields: JSONObject = [
            "container.id": .text(SimulatedWorld.containers[index]), "proc.pid": .integer(Int64(SimulatedWorld.processes[index].pid)),
            "fd.rip": .text(SimulatedWorld.addresses[index]), "proc.cmdline": .text("sh -c $(reboot)\u{202e}\n{{ proc.pid }}"),
        ]
        let document: JSON = [
            "rule": .text(rule), "priority": "Warning", "time": .text("\(time)"), "source": "syscall", "output": .text("\(rule) happened"), "output_fields": .object(fields),
        ]
        let id = machine.surroundings.newIdentifier()
        let arrival = Alert.Arrival(intake: "sim", trust: chance(90) ? .trusted : .untrusted, time: machine.now)
        let alert = try Alert(document, id: id, arrival: arrival)
        switch admission(of: alert, life.engine) {
        case nil: break
        case .full: ledger.shed += 1
        case .closed: throw failure("an alert was not taken, as the engine is closed")
        case .unsafe: if !life.disk.isDead, !life.disk.isFull { throw failure("an alert was not taken, though nothing was wrong") }
        }
    }

    private func admission(of alert: Alert, _ engine: Engine) -> Engine.AdmissionError? {
        do throws(Engine.AdmissionError) {
            try engine.accept(alert)
            return nil
        } catch { return error }
    }

    private func undo(_ life: Life) {
        let open = life.engine.snapshot.openUndos.keys.sorted()
        guard !open.isEmpty else { return }
        let id = open[number(0...(open.count - 1))]
        let mode = chance(80) ? Mode.enforce : .observe
        machine.spawn { _ = await life.engine.undo(id, actor: AuditRecord.Actor(.person, name: "ann", uid: 1000), mode: mode, reason: "by hand") }
    }

    private func order(_ life: Life) {
        let index = number(0...5)
        let (action, claim): (ActionName, TargetClaim) =
            switch number(0...3) {
            case 0: ("container.pause", .container(ContainerClaim(reference: SimulatedWorld.containers[index])))
            case 1: ("container.unpause", .container(ContainerClaim(reference: SimulatedWorld.containers[index])))
            case 2: ("container.release", .container(ContainerClaim(reference: SimulatedWorld.containers[index])))
            default: ("process.suspend", .process(ProcessClaim(pid: SimulatedWorld.processes[index].pid, seenAt: machine.now)))
            }
        var order = Order(
            id: machine.surroundings.newIdentifier(), actor: AuditRecord.Actor(.person, name: "bob", uid: 1001), action: action, claim: claim,
            mode: chance(80) ? .enforce : .observe, reason: "by hand")
        if chance(30), action == "container.pause" { order.undoAfter = .seconds(number(1...3000)) }
        machine.spawn { [order] in _ = await life.engine.carryOut(order) }
    }

    /// Somebody else changes the world: a target ends and another comes in its place, a mark is set or lifted.
    private func disturb() {
        let index = number(0...5)
        let key = ["container:\(SimulatedWorld.containers[index])", "process:\(1000 + index)@77", "address:\(SimulatedWorld.addresses[index])"][number(0...2)]
        let kind = number(0...3)
        world.change { state in
            switch kind {
            case 0:
                state.ended.insert(key)
                (state.marks[key], state.foreignMarks[key]) = (nil, nil)
            case 1: state.ended.remove(key)
            case 2: state.marks[key] = nil
            default: state.foreignMarks[key, default: []].insert(["paused", "stopped", "blocked"][index % 3])
            }
        }
    }

    /// Another set of playbooks, or a file with an error, which changes nothing.
    private func reload(_ life: Life) throws {
        if chance(30) {
            let digest = life.engine.playbooks.digest
            do {
                life.engine.use(try PlaybookSet.load([.init(name: "s.yaml", text: "apiVersion: riposte/v1\nplaybooks: [{ name: x }]\n")], life.engine.catalogue).set)
                throw failure("a file with an error was taken")
            } catch is Diagnostics {}
            guard life.engine.playbooks.digest == digest else { throw failure("a file with an error changed the playbooks") }
        } else {
            playbooks = number(0...1)
            life.engine.use(try PlaybookSet.load([.init(name: "s.yaml", text: SimulatedPlaybooks.text(playbooks))], life.engine.catalogue).set)
        }
    }

    // MARK: - The end

    /// Nothing fails any more, time passes until all that is due was done; then everything must add up.
    private func settle() throws {
        world.change { ($0.failures, $0.delays) = (0, 0) }
        if life?.disk.isDead ?? true {
            try end()
            try start()
        }
        life?.disk.fill(false)
        life?.disk.die(afterWrites: .max, share: 0)
        for _ in 0..<6 {
            try pass(.seconds(3600))
            try drain()
        }
        guard let life else { return }
        guard life.engine.underWay == 0 else { throw failure("\(life.engine.underWay) runs or orders never ended") }
        ledger.checkEnd(world.snapshot, life.engine.snapshot, now: machine.now)
        try check()
        var replayed = EngineState()
        ledger.records.forEach { replayed.apply($0.record) }
        guard replayed == life.engine.snapshot else { throw failure("the engine's state is not what its journal gives") }
        try end()
        let report = try JournalVerifier(stateDirectory: folder.path).verify()
        guard report.isIntact, report.records == ledger.records.count else { throw failure("the journal does not verify: \(report)") }
    }
}

/// The journal, which tells the ledger of each record that it took.
private final class TellingLog: AuditLog {
    private let journal: Journal
    private let machine: SimulatedMachine
    private let ledger: Ledger
    private let life: Int

    init(_ journal: Journal, _ machine: SimulatedMachine, _ ledger: Ledger, life: Int) {
        self.journal = journal
        self.machine = machine
        self.ledger = ledger
        self.life = life
    }

    func append(_ record: AuditRecord) throws {
        let seq = try journal.write(record)
        ledger.tell(record, at: machine.uptime, life: life)
        if seq != Int64(ledger.records.count) { ledger.report("record \(seq) got a number that was not its turn") }
    }
}
