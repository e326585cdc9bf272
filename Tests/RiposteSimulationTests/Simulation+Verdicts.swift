import RiposteCore
import RipostePlaybooks
import Synchronization

/// Mode `observe` says of an alert what mode `enforce` then does: at the same moment, on the same world, from the same state.
extension Simulation {
    /// What one step of one playbook comes to.
    private enum Verdict: Equatable, CustomStringConvertible {
        case acts
        /// A breaker or a budget is in the way.
        case isHeldBack
        case ends(Outcome, FailureClass?)
        case nothing

        var description: String {
            switch self {
            case .acts: "acts"
            case .isHeldBack: "held back"
            case .ends(let outcome, let failure): [outcome.rawValue, failure?.rawValue].compactMap(\.self).joined(separator: " ")
            case .nothing: "nothing"
            }
        }

        init(observed record: AuditRecord?) {
            switch record?.outcome {
            case nil: self = .nothing
            case .planned?: self = record?.detail["would_be_held_back"] == nil ? .acts : .isHeldBack
            case let outcome?: self = .ends(outcome, record?.failure)
            }
        }

        init(enforced record: AuditRecord?) {
            switch (record?.outcome, record?.failure) {
            case (nil, _): self = .nothing
            case (.refused?, .budget?): self = .isHeldBack
            case (.done?, _), (.pending?, _), (.planned?, _): self = record?.detail["held_back_by"] == nil ? .acts : .isHeldBack
            case (let outcome?, let failure): self = .ends(outcome, failure)
            }
        }
    }

    /// What began in the future, as before a clock was set back: an agent that begins now gives it its whole length once more, and one that has run for a while does not.
    private func liesAhead(_ state: EngineState) -> Bool {
        var beginnings: [Timestamp] = state.pardons.granted.values.map(\.since)
        beginnings += state.modes.settings.values.map(\.since)
        beginnings += state.breakers.all.map(\.lastAsked)
        beginnings += state.lastActed.values
        return beginnings.contains { $0 > machine.now }
    }

    /// Where nothing fails, nothing is slow and nothing else is under way, so that both find the same.
    func compareModes(_ life: Life) throws {
        guard !life.disk.isFull, !life.disk.isDead, !isClockSet else { return }
        life.disk.die(afterWrites: .max, share: 0)
        world.change { ($0.failures, $0.delays) = (0, 0) }
        try pass(.seconds(60))
        guard life.engine.ordersUnderWay(atLeast: .zero).isEmpty, life.engine.underWay == 0, !liesAhead(life.engine.snapshot) else { return }
        let playbook = comparablePlaybook(life)
        let alert = try alert(playbook, about: number(0...5))
        let observed = try observe(alert, life)
        let begin = ledger.count
        guard admission(of: alert, life.engine) == nil else { return turnedAway += 1 }
        try drain()
        let enforced = ledger.records[begin...].map(\.record).filter { $0.kind == .outcome && $0.alert == alert.id && $0.playbook == playbook }
        guard let step = life.engine.playbooks.playbooks.first(where: { $0.name == playbook })?.steps.first?.name else { return }
        let record = enforced.first { $0.step == step }
        // A mode that a person set, or the share of a roll-out: then both only look.
        if record?.outcome == .planned, record?.detail["held_back_by"] == nil { return }
        let (seen, done) = (Verdict(observed: observed.first { $0.step == step }), Verdict(enforced: record))
        guard seen == done else { throw failure("observing, \(playbook)/\(step) came to \(seen) for alert \(alert.id), and in earnest to \(done)") }
        ledger.note("compared \(seen)")
    }

    /// Every other time one that a breaker holds back, where there is one.
    private func comparablePlaybook(_ life: Life) -> String {
        let held = SimulatedPlaybooks.comparable.filter { name in life.engine.snapshot.breakers.all.contains { $0.name == "playbook/\(name)" } }
        let names = held.isEmpty || chance(50) ? SimulatedPlaybooks.comparable : held
        return names[number(0...names.count - 1)]
    }

    /// The outcomes of an engine that only observes, with the state, the files and the world of the one that lives.
    private func observe(_ alert: Alert, _ life: Life) throws -> [AuditRecord] {
        var configuration = Self.configuration
        configuration.mode = .observe
        let log = Pad()
        let catalogue = world.catalogue(life: life.number, isAlive: { true }, watch: { [ledger] in ledger.report("\($0.action) of \($0.target.key), by an engine that observes") })
        let engine = Engine(
            configuration: configuration, catalogue: catalogue, guards: world.guards, log: log, playbooks: life.engine.playbooks, state: life.engine.snapshot,
            surroundings: machine.surroundings, logger: Self.quiet)
        let before = world.snapshot
        guard admission(of: alert, engine) == nil else { throw failure("an alert was not taken by an engine that observes") }
        try drain()
        let after = world.snapshot
        guard before.marks == after.marks, before.foreignMarks == after.foreignMarks, before.ended == after.ended else {
            throw failure("an engine that observes changed the world")
        }
        return log.records.filter { $0.kind == .outcome && $0.alert == alert.id }
    }
}

/// A journal in memory.
private final class Pad: AuditLog {
    private let written = Mutex<[AuditRecord]>([])
    var records: [AuditRecord] { written.withLock(\.self) }

    func append(_ record: AuditRecord) throws { written.withLock { $0.append(record) } }
}
