import Foundation
import Logging
import RiposteAudit
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Synchronization

/// An engine, its journal and a world, driven through whatever can happen to them, in an order that a number decides.
///
/// One step is one thing that happens: an alert, a while that passes, a person's order or answer, a failure, the death of the agent and its next start. After each
/// step, each death, and at the end, ``Ledger`` holds what the journal says and what was done to the world against what must always hold.
final class Simulation {
    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    let seed: UInt64
    let machine: SimulatedMachine
    let world: SimulatedWorld
    let ledger = Ledger()
    var generator: SeededGenerator
    /// Which variant of the playbooks is in force.
    var variant = 0
    /// Set while the agent lives.
    private(set) var life: Life?
    private(set) var steps = 0
    /// Alerts of this life for which there was no room.
    var turnedAway = 0
    /// In this life somebody has set the wall clock.
    var isClockSet = false
    private let folder: TemporaryFolder
    private var lives = 0
    /// When the last life ended.
    private var diedAt: Duration?
    private var place = JournalReader.ReadingPlace(seq: 1)

    /// One run of the agent from its start to its end.
    struct Life {
        let number: Int
        let journal: Journal
        let disk: SimulatedDisk
        let engine: Engine
    }

    init(seed: UInt64) throws {
        self.seed = seed
        machine = SimulatedMachine(seed: seed)
        world = SimulatedWorld(machine: machine)
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

    /// Number and hash of each line of the journal: equal where the journals are.
    func journalHashes() throws -> [String] {
        var hashes: [String] = []
        try JournalReader(stateDirectory: folder.path).read { entry in
            hashes.append("\(entry.seq) \(entry.hash)")
            return true
        }
        return hashes
    }

    func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
    func chance(_ percent: Int) -> Bool { number(1...100) <= percent }

    // MARK: - Lives

    func start() throws {
        lives += 1
        let number = lives
        let disk = SimulatedDisk(machine)
        let journal = try Journal(stateDirectory: folder.path, configuration: .init(segmentBytes: 16 << 10, durability: .strict), disk: disk, logger: Self.quiet)
        try readWhatIsThere()
        ledger.begin(now: machine.now, uptime: machine.uptime)
        let state = try survivor(of: ledger.replayed)
        let log = TellingLog(journal, machine, ledger, life: number)
        let catalogue = world.catalogue(life: number, isAlive: { !disk.isDead }, watch: { [ledger, world] in ledger.watch(deed: $0, guardedFor: world.guardedFor($0.target.key)) })
        let engine = Engine(
            configuration: Self.configuration, catalogue: catalogue, guards: world.guards, log: log, playbooks: try PlaybookSet.load(playbookFiles, catalogue).set, state: state,
            surroundings: machine.surroundings, logger: Self.quiet)
        life = Life(number: number, journal: journal, disk: disk, engine: engine)
        (turnedAway, isClockSet) = (0, false)
        // As the agent begins: what it finds, then everything that waits.
        machine.spawn { [machine] in
            var record = AuditRecord(.start, at: machine.now)
            record.actor = AuditRecord.Actor(.agent, name: "agent")
            try? engine.record(record)
            engine.beginRollouts()
            _ = await engine.recover()
        }
        machine.spawn { await engine.keepTime() }
        try drain()
    }

    static let configuration = {
        var configuration = Engine.Configuration(mode: .enforce, runLimit: 64, maximumAlertAge: .seconds(3600), budgets: SimulatedPlaybooks.agentBudgets)
        configuration.approvals.openLimit = 6
        configuration.reconciliation.every = .seconds(120)
        configuration.undo.pardon = .seconds(120)
        configuration.approvals.asksByHand = true
        return configuration
    }()

    var playbookFiles: [PlaybookSet.Document] { [.init(name: "s.yaml", text: SimulatedPlaybooks.text(variant))] }

    /// What the last life wrote in its last moment and did not live to know of.
    private func readWhatIsThere() throws {
        _ = try JournalReader(stateDirectory: folder.path).read(&place) { entry in
            if entry.seq > Int64(ledger.count) { ledger.tell(entry.record, at: diedAt ?? machine.uptime, life: lives - 1) }
            return true
        }
    }

    /// Now and then through a snapshot, which must lose nothing, and after which the same records must come to the same.
    private func survivor(of state: EngineState) throws -> EngineState {
        guard chance(30) else { return state }
        guard let copy = EngineState(json: state.json), copy == state else { throw failure("the state does not survive its snapshot") }
        return copy
    }

    func end() throws {
        guard let life else { return }
        guard life.engine.counters.shed == turnedAway else { throw failure("\(turnedAway) alerts were turned away, and \(life.engine.counters.shed) are counted") }
        if life.engine.snapshot != ledger.replayed { throw failure("the engine's state is not what its journal gives: \(difference(life.engine.snapshot))") }
        life.disk.die()
        diedAt = life.disk.diedAt
        machine.killAll()
        guard machine.executor.drain() else { throw failure("what was left of a dead agent does not end") }
        life.journal.close()
        self.life = nil
        world.change { $0.busy = [:] }
    }

    private func difference(_ state: EngineState) -> String {
        let replayed = ledger.replayed.json
        return state.json.members.filter { replayed[$0.key] != $0.value }.map { "\($0.key.shown): \($0.value.line) instead of \(replayed[$0.key]?.line ?? "nothing")" }
            .joined(separator: "; ")
    }

    func drain() throws {
        guard machine.executor.drain() else { throw failure("it does not come to rest") }
        try check()
    }

    func pass(_ length: Duration) throws {
        guard machine.advance(by: length) else { throw failure("it does not come to rest while time passes") }
        try check()
    }

    private func check() throws {
        guard let problem = ledger.problem ?? world.problem else { return }
        throw failure(problem)
    }

    /// What went wrong, and the records that led to it.
    func failure(_ text: String) -> Failed {
        let lines = ledger.records.suffix(Self.linesShown).map(\.line)
        return Failed(description: (["seed \(seed), step \(steps): \(text)"] + lines).joined(separator: "\n  "))
    }

    private static let linesShown = ProcessInfo.processInfo.environment["RIPOSTE_SIMULATION_LINES"].flatMap { Int($0) } ?? 40
    static let quiet = Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }

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
        for _ in 0..<4 { try pass(.seconds(3600)) }
        // A run whose end could not be written down is taken up by the next life.
        try end()
        try start()
        for _ in 0..<8 { try pass(.seconds(3600)) }
        guard let life else { return }
        guard life.engine.underWay == 0 else { throw failure("\(life.engine.underWay) runs or orders never ended") }
        ledger.checkEnd(world.snapshot, life.engine.snapshot, now: machine.now)
        try check()
        var replayed = EngineState()
        ledger.records.forEach { replayed.apply($0.record) }
        guard replayed == life.engine.snapshot else { throw failure("the engine's state is not what its journal gives: \(difference(life.engine.snapshot))") }
        try end()
        let report = try JournalVerifier(stateDirectory: folder.path).verify()
        guard report.isIntact, report.records == ledger.count else { throw failure("the journal does not verify: \(report)") }
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
        if seq != Int64(ledger.count) { ledger.report("record \(seq) got a number that was not its turn") }
    }
}
