import RiposteCore
import RipostePlaybooks
import Synchronization

/// What the journal says and what was done to the world, held against what must always hold. The first thing that does not is ``problem``.
final class Ledger: Sendable {
    struct Told: Sendable {
        let record: AuditRecord
        let uptime: Duration
        let life: Int

        /// For people who look for a failure.
        var line: String {
            let names = [record.id.map { "\($0)" }, record.undoes.map { "undoes \($0)" }, record.playbook, record.action, record.target?.key, record.actor?.kind.rawValue]
            let end = [record.outcome?.rawValue, record.failure?.rawValue, record.message]
            return "life \(life) \(record.time) \(record.kind.rawValue) " + (names + end).compactMap(\.self).joined(separator: " ")
        }
    }

    private struct State {
        var records: [Told] = []
        var openIntents: [Identifier: AuditRecord] = [:]
        /// Those that this life of the agent wrote.
        var ownIntents: [Identifier: Int] = [:]
        var intents: Set<Identifier> = []
        var settled: Set<Identifier> = []
        var undone: [Identifier: Int] = [:]
        var openRuns: Set<Identifier> = []
        var acts: [String: [Timestamp]] = [:]
        /// Until when a person's word protects a target.
        var pardons: [String: Timestamp] = [:]
        var shed = 0
        var problem: String?
    }

    private let state = Mutex(State())

    var records: [Told] { state.withLock(\.records) }
    var problem: String? { state.withLock(\.problem) }
    var shed: Int {
        get { state.withLock(\.shed) }
        set { state.withLock { $0.shed = newValue } }
    }

    func report(_ problem: String) { state.withLock { $0.problem = $0.problem ?? problem } }

    // MARK: - While it goes on

    /// A deed is about to take place: the journal must know of it, as this plan and no other, and not as one that only looks.
    func watch(deed plan: Plan, life: Int) {
        state.withLock { state in
            let isAnnounced = state.openIntents.values.contains { intent in
                intent.action == plan.action.rawValue && intent.target?.key == plan.target.key && !intent.dryRun
                    && intent.detail["plan"]?["parameters"] == .object(plan.parameters.json)
            }
            if !isAnnounced { state.problem = state.problem ?? "\(plan.action) of \(plan.target.key) without an intent on record" }
            if SimulatedWorld.protected.contains(plan.target.key) { state.problem = state.problem ?? "\(plan.action) of \(plan.target.key), which is protected" }
        }
    }

    func tell(_ record: AuditRecord, at uptime: Duration, life: Int) {
        state.withLock { state in
            state.records.append(Told(record: record, uptime: uptime, life: life))
            let problem = Self.problem(with: record, uptime, life, &state)
            state.problem = state.problem ?? problem
        }
    }

    private static func problem(with record: AuditRecord, _ uptime: Duration, _ life: Int, _ state: inout State) -> String? {
        switch record.kind {
        case .alert:
            for run in record.detail["runs"]?.array ?? [] { if let id = run["run"]?.string?.valid.flatMap({ Identifier($0) }) { state.openRuns.insert(id) } }
        case .run: if let id = record.id { state.openRuns.remove(id) }
        case .brake:
            guard let pardon = record.detail["pardon"], let key = record.target?.key else { break }
            state.pardons[key] = pardon["state"] == "granted" ? pardon["until"]?.string.flatMap { Timestamp($0.bytes) } : nil
        case .intent:
            guard let id = record.id else { return "an intent without a name" }
            if record.actor?.kind == .playbook, record.undoes == nil, let until = record.target.flatMap({ state.pardons[$0.key] }), record.time < until {
                return "\(record.action ?? "?") of \(record.target?.key ?? "?"), which a person let go"
            }
            if !state.intents.insert(id).inserted { return "a second intent of \(id)" }
            if record.mode != .enforce { return "an intent in mode \(record.mode?.rawValue ?? "none")" }
            // What an earlier life left unclear holds up nobody.
            let others = state.openIntents.filter { state.ownIntents[$0.key] == life }.values
            if others.contains(where: { $0.target?.key == record.target?.key }) { return "two intents at once on \(record.target?.key ?? "nobody")" }
            state.openIntents[id] = record
            state.ownIntents[id] = life
        case .outcome:
            guard let id = record.id else { return "an outcome without a name" }
            if let problem = problem(withOutcome: record, id, uptime, &state) { return problem }
        default: break
        }
        return nil
    }

    private static func problem(withOutcome record: AuditRecord, _ id: Identifier, _ uptime: Duration, _ state: inout State) -> String? {
        let intent = state.openIntents.removeValue(forKey: id)
        if record.outcome != .pending, !state.settled.insert(id).inserted { return "a second outcome of \(id)" }
        if record.outcome == .done || record.outcome == .undone {
            guard let intent else { return "\(record.action ?? "?") is \(record.outcome?.rawValue ?? "?") without an intent" }
            if intent.detail["plan_digest"] != record.detail["plan_digest"], record.actor?.kind != .recovery { return "another plan was performed than was announced" }
            if record.dryRun { return "a dry run was \(record.outcome?.rawValue ?? "?")" }
        }
        if record.outcome == .undone, let undone = record.undoes {
            state.undone[undone, default: 0] += 1
            if state.undone[undone] ?? 0 > 1 { return "\(undone) was undone twice" }
            if let problem = prematureUndo(record, of: undone, uptime, state) { return problem }
        }
        if record.outcome == .done, record.undoes == nil, let playbook = record.playbook, let budget = SimulatedPlaybooks.budgets[playbook] {
            state.acts[playbook, default: []].append(record.time)
            let sorted = (state.acts[playbook] ?? []).sorted()
            for (index, time) in sorted.enumerated() where index + budget.actions < sorted.count {
                if sorted[index + budget.actions] - time < .seconds(budget.seconds) {
                    return "playbook \(playbook) acted more than \(budget.actions) times within \(budget.seconds) s"
                }
            }
        }
        return nil
    }

    /// What is due is not done before: by the wall clock, or by the time that has really passed.
    private static func prematureUndo(_ record: AuditRecord, of undone: Identifier, _ uptime: Duration, _ state: State) -> String? {
        guard record.actor?.kind == .timer, let done = state.records.last(where: { $0.record.id == undone && $0.record.detail["undo"] != nil }),
            let due = done.record.detail["undo"]?["due"]?.string.flatMap({ Timestamp($0.bytes) })
        else { return nil }
        let isEarlyByClock = record.time < due
        let isEarlyByTime = uptime - done.uptime < due - done.record.time
        return isEarlyByClock && isEarlyByTime ? "\(undone) was taken back before its time" : nil
    }

    // MARK: - At the end

    func checkEnd(_ world: SimulatedWorld.State, _ engine: EngineState, now: Timestamp) {
        state.withLock { state in
            var problems: [String] = []
            if let open = state.openIntents.values.sorted(by: { $0.time < $1.time }).first { problems.append("\(open.action ?? "?") was begun and has no outcome") }
            let waiting = Set(engine.openRuns.keys)
            if let run = state.openRuns.subtracting(waiting).sorted().first { problems.append("run \(run) never ended") }
            if let late = engine.openUndos.values.sorted(by: { $0.since < $1.since }).first(where: { $0.due.map { $0 < now } ?? false }) {
                problems.append("\(late.actionName) of \(late.target.key) was to be taken back at \(late.due.map { "\($0)" } ?? "?"), and it is \(now)")
            }
            let held = Dictionary(grouping: engine.openUndos.values) { $0.target.key }
            for (key, marks) in world.marks.sorted(by: { $0.key < $1.key }) where !marks.isEmpty && held[key] == nil {
                problems.append("\(key) is still \(marks.sorted().joined(separator: ", ")), and nothing will take it back")
            }
            state.problem = state.problem ?? problems.first
        }
    }
}
