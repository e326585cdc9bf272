import RiposteCore
import RipostePlaybooks
import Synchronization

/// What the journal says and what was done to the world, held against what must always hold. The first thing that does not is ``problem``.
///
/// It knows nothing of how the engine works: it sees records as they are written, deeds as they begin, and the clocks.
final class Ledger: Sendable {
    struct Told: Sendable {
        let record: AuditRecord
        let uptime: Duration
        let life: Int

        /// For people who look for a failure.
        var line: String {
            let target = record.target.map { "\($0.key.prefix(16))" }
            let names = [record.id.map { "\($0)" }, record.undoes.map { "undoes \($0)" }, record.playbook, record.step, record.action, target]
            let state = record.detail["state"]?.string?.shown
            let end = [record.actor?.kind.rawValue, record.outcome?.rawValue, record.failure?.rawValue, state, record.message.map { "\($0.prefix(100))" }]
            return "life \(life) \(record.time) \(record.kind.rawValue) " + (names + end).compactMap(\.self).joined(separator: " ")
        }
    }

    struct State {
        var records: [Told] = []
        /// What a restart would make of the journal.
        var replayed = EngineState()
        var openIntents: [Identifier: AuditRecord] = [:]
        /// Those that this life of the agent wrote.
        var ownIntents: [Identifier: Int] = [:]
        var intents: [Identifier: AuditRecord] = [:]
        var settled: [Identifier: Outcome] = [:]
        var undone: Set<Identifier> = []
        /// What can be taken back in time: when it is due by the wall clock, and by the time that has really passed.
        var dues: [Identifier: (due: Timestamp, uptime: Duration)] = [:]
        /// What a run wanted back at once, and did not get: due since then, whatever is heard of it.
        var wantedBack: Set<Identifier> = []
        var openRuns: Set<Identifier> = []
        var alerts: Set<Identifier> = []
        /// Until when a person's word protects a target: by the wall clock, and by the time that has really passed.
        var pardons: [String: (until: Timestamp, ends: Duration, term: Duration)] = [:]
        /// Runs with at least one step that has an outcome.
        var answered: Set<Identifier> = []
        var lastAnswered: [String: Identifier] = [:]
        /// Orders that lift the guards of the configuration.
        var forced: Set<Identifier> = []
        var spending = Spending()
        var consents = Consents()
        var observing = Observing()
        /// What has happened at all, in a word each.
        var seen: [String: Int] = [:]
        var problem: String?
    }

    private let state = Mutex(State())

    var records: [Told] { state.withLock(\.records) }
    var count: Int { state.withLock(\.records.count) }
    var problem: String? { state.withLock(\.problem) }
    var seen: [String: Int] { state.withLock(\.seen) }
    var replayed: EngineState { state.withLock(\.replayed) }

    func note(_ word: String) { state.withLock { $0.seen[word, default: 0] += 1 } }
    func report(_ problem: String) { state.withLock { $0.problem = $0.problem ?? problem } }
    func force(_ order: Identifier) { state.withLock { _ = $0.forced.insert(order) } }
    func knows(alert: Identifier) -> Bool { state.withLock { $0.alerts.contains(alert) } }
    func hasAnswered(alert: Identifier) -> Bool { state.withLock { $0.answered.contains(alert) } }

    func lastAlert(answeredBy playbook: String) -> Identifier? { state.withLock { $0.lastAnswered[playbook] } }

    /// The agent begins anew, and takes what time it is from the wall clock.
    func begin(now: Timestamp, uptime: Duration) {
        state.withLock { state in
            state.spending.begin(now: now, uptime: uptime)
            state.consents.begin(now: now, uptime: uptime)
            // After a restart the wall clock is all that there is to go by, as it stands at that moment.
            state.dues = state.dues.mapValues { ($0.due, min($0.uptime, uptime + ($0.due - now))) }
            state.pardons = state.pardons.mapValues { ($0.until, uptime + min($0.until - now, $0.term), $0.term) }
        }
    }

    /// What the wall clock shows before somebody sets it: what was due by then stays so.
    func see(now: Timestamp) {
        state.withLock { state in
            state.dues = state.dues.filter { $0.value.due > now }
            state.pardons = state.pardons.filter { $0.value.until > now }
        }
    }

    // MARK: - While it goes on

    private static let guardGrace = Duration.seconds(150)

    /// A deed is about to take place: the journal must know of it, as this plan and no other, and not as one that only looks.
    func watch(deed plan: Plan, guardedFor length: Duration?) {
        state.withLock { state in
            let announced = state.openIntents.values.filter { intent in
                intent.action == plan.action.rawValue && intent.target?.key == plan.target.key && intent.detail["plan"]?["parameters"] == .object(plan.parameters.json)
            }
            let name = "\(plan.action) of \(plan.target.key)"
            func report(_ problem: String) { state.problem = state.problem ?? problem }
            if announced.isEmpty { report("\(name) without an intent on record") }
            if SimulatedWorld.protected.contains(plan.target.key) { report("\(name), which is protected") }
            // What this guard had let through before may still come to its deed after those that are asked later, and are slow.
            if let length, length > Self.guardGrace, !SimulatedWorld.releases.contains(plan.action.rawValue) { report("\(name), which is guarded since \(length)") }
            let isForced = announced.contains { $0.id.map(state.forced.contains) ?? false }
            if plan.target.key == SimulatedWorld.kept, !isForced, !SimulatedWorld.releases.contains(plan.action.rawValue) { report("\(name), which a guard keeps") }
        }
    }

    func tell(_ record: AuditRecord, at uptime: Duration, life: Int) {
        state.withLock { state in
            state.records.append(Told(record: record, uptime: uptime, life: life))
            for word in Self.words(of: record) { state.seen[word, default: 0] += 1 }
            let problem = state.problem(with: record, uptime, life)
            state.replayed.apply(record)
            state.problem = state.problem ?? problem
        }
    }

    private static func words(of record: AuditRecord) -> [String] {
        var words = ["\(record.kind.rawValue)"]
        if let state = record.detail["state"]?.string?.valid { words.append("\(record.kind.rawValue) \(state)") }
        guard let outcome = record.outcome else { return words }
        words.append(outcome.rawValue)
        if let failure = record.failure { words.append("\(outcome.rawValue) \(failure.rawValue)") }
        if record.detail["late"] != nil { words.append("late") }
        if record.actor?.kind == .recovery { words.append("recovered \(outcome.rawValue)") }
        if outcome == .done, let playbook = record.playbook, let step = record.step { words.append("\(playbook)/\(step)") }
        return words
    }

    // MARK: - At the end

    func checkEnd(_ world: SimulatedWorld.State, _ engine: EngineState, now: Timestamp) {
        state.withLock { state in
            var problems: [String] = []
            if let open = state.openIntents.values.sorted(by: { $0.time < $1.time }).first { problems.append("\(open.action ?? "?") was begun and has no outcome") }
            if let run = state.openRuns.sorted().first { problems.append("run \(run) never ended") }
            if let late = engine.openUndos.values.sorted(by: { $0.action < $1.action }).first(where: { $0.due.map { $0 < now } ?? false }) {
                problems.append("\(late.actionName) of \(late.target.key) was to be taken back at \(late.due.map { "\($0)" } ?? "?"), and it is \(now)")
            }
            if let request = engine.approvals.requests.keys.sorted().first { problems.append("question \(request) is still open") }
            if let hold = engine.approvals.looseHolds.sorted().first { problems.append("\(hold) is still held, and nobody is asked any more") }
            if let owed = engine.approvals.owed.keys.sorted().first { problems.append("nobody was asked about what was to follow on \(owed)") }
            if let hanging = engine.hanging.values.first { problems.append("nobody has found out what became of \(hanging.record.id.map { "\($0)" } ?? "?"), which hung") }
            // Also where an answer was lost, or a deed outlived its agent: then the world was asked.
            let known = Set(engine.openUndos.values.map(\.target.key))
            for (key, marks) in world.marks.sorted(by: { $0.key < $1.key }) where !marks.isEmpty && !known.contains(key) {
                problems.append("\(key) is still \(marks.sorted().joined(separator: ", ")), and nothing will take it back")
            }
            state.problem = state.problem ?? problems.first
        }
    }
}

extension Ledger.State {
    fileprivate mutating func problem(with record: AuditRecord, _ uptime: Duration, _ life: Int) -> String? {
        if let problem = consents.problem(with: record, uptime) { return problem }
        observing.follow(record, replayed, uptime)
        // Over once the wall clock has shown it, wherever that is set afterwards, or once that much time has passed.
        pardons = pardons.filter { $0.value.until > record.time && $0.value.ends > uptime }
        switch record.kind {
        case .alert, .repeat:
            if let id = record.id { alerts.insert(id) }
            for run in record.detail["runs"]?.array ?? [] { if let id = run["run"]?.string?.valid.flatMap({ Identifier($0) }) { openRuns.insert(id) } }
        case .run: if let id = record.id { openRuns.remove(id) }
        case .brake:
            guard let pardon = record.detail["pardon"], let key = record.target?.key else { break }
            let until = pardon["state"] == "granted" ? pardon["until"]?.string.flatMap { Timestamp($0.bytes) } : nil
            pardons[key] = until.map { ($0, uptime + ($0 - record.time), $0 - record.time) }
        case .intent: return problem(withIntent: record, uptime, life)
        case .outcome:
            if let alert = record.alert {
                answered.insert(alert)
                if let playbook = record.playbook { lastAnswered[playbook] = alert }
            }
            return problem(withOutcome: record, uptime)
        default: break
        }
        return nil
    }

    private mutating func problem(withIntent record: AuditRecord, _ uptime: Duration, _ life: Int) -> String? {
        guard let id = record.id else { return "an intent without a name" }
        if record.actor?.kind == .playbook, record.undoes == nil, let key = record.target?.key, pardons[key] != nil {
            return "\(record.action ?? "?") of \(record.target?.key ?? "?"), which a person let go"
        }
        if intents.updateValue(record, forKey: id) != nil { return "a second intent of \(id)" }
        if record.mode != .enforce || record.dryRun { return "an intent in mode \(record.mode?.rawValue ?? "none")" }
        // What an earlier life left unclear holds up nobody.
        let others = openIntents.filter { ownIntents[$0.key] == life }.values
        if others.contains(where: { $0.target?.key == record.target?.key }) { return "two intents at once on \(record.target?.key ?? "nobody")" }
        if let problem = observing.problem(withIntent: record, uptime) ?? spending.problem(withIntent: record, uptime) { return problem }
        if let undone = record.undoes, let problem = prematureUndo(record, of: undone, uptime) { return problem }
        if let origin = consents.escalated(by: id), let deed = intents[origin], let problem = consents.prematureEscalation(record, after: deed, spending.uptime(of: origin), uptime)
        {
            return problem
        }
        openIntents[id] = record
        ownIntents[id] = life
        return nil
    }

    private mutating func problem(withOutcome record: AuditRecord, _ uptime: Duration) -> String? {
        guard let id = record.id else { return "an outcome without a name" }
        // What failed before its intent did nothing, and may have been begun before somebody made the act last longer.
        let hasTried = record.outcome != .undone && record.outcome != .skipped && (record.outcome != .failed || openIntents[id] != nil)
        if let undone = record.undoes, hasTried, let problem = prematureUndo(record, of: undone, uptime) { return problem }
        let isLate = record.detail["late"]?.bool ?? false
        let intent = openIntents.removeValue(forKey: id) ?? (isLate ? intents[id] : nil)
        defer { spending.settle(record, intent, uptime) }
        if record.outcome != .pending {
            // A deed that hung and came back has a second one, if what was said first was not so.
            let earlier = settled.updateValue(record.outcome ?? .failed, forKey: id)
            if let earlier, !isLate || earlier == .done || earlier == .undone { return "a second outcome of \(id): \(earlier.rawValue), then \(record.outcome?.rawValue ?? "?")" }
        }
        if record.outcome == .done || record.outcome == .undone {
            guard let intent else { return "\(record.action ?? "?") is \(record.outcome?.rawValue ?? "?") without an intent" }
            if intent.detail["plan_digest"] != record.detail["plan_digest"] { return "another plan was performed than was announced" }
            if record.dryRun { return "a dry run was \(record.outcome?.rawValue ?? "?")" }
        }
        if record.outcome == .undone, let undone = record.undoes, !self.undone.insert(undone).inserted { return "\(undone) was undone twice" }
        // What a run wanted back at once, and did not get, is due from then on.
        if let undone = record.undoes, record.outcome == .failed, (intent ?? record).actor?.kind == .playbook {
            wantedBack.insert(undone)
            if let due = dues[undone] { dues[undone] = (min(due.due, record.time), min(due.uptime, uptime)) }
        }
        if let due = record.detail["undo"]?["due"]?.string.flatMap({ Timestamp($0.bytes) }), !wantedBack.contains(id) {
            let known = isLate ? dues[id] : nil
            dues[id] = (max(due, known?.due ?? due), max(uptime + (due - record.time), known?.uptime ?? .zero))
        }
        if let prolongs = record.detail["prolongs"], let action = prolongs["action"]?.string?.valid.flatMap({ Identifier($0) }) {
            dues[action] = prolongs["due"]?.string.flatMap { Timestamp($0.bytes) }.map { due in (due, uptime + (due - record.time)) }
        }
        return nil
    }

    /// What is due is not done before: by the wall clock, or by the time that has really passed.
    private mutating func prematureUndo(_ record: AuditRecord, of undone: Identifier, _ uptime: Duration) -> String? {
        guard record.actor?.kind == .timer, let done = dues[undone] else { return nil }
        let isEarly = record.time < done.due && uptime < done.uptime
        // Once its time has come, it is tried until it is done, wherever the clock is set.
        if !isEarly { dues[undone] = nil }
        return isEarly ? "\(undone) is taken back before its time" : nil
    }
}

/// Whether the agent may act at all, as persons set it while it runs.
struct Observing: Sendable {
    /// Since when, by the clock that nobody sets.
    private var since: Duration?
    /// When what was set last is over by that clock, where it has an end.
    private var ends: Duration?
    /// What was decided before may still come to its intent for as long as an order may take.
    private static let grace = Duration.seconds(60)

    mutating func follow(_ record: AuditRecord, _ before: EngineState, _ uptime: Duration) {
        let isObserving = before.modes.setting(for: .agent, at: record.time)?.mode == .observe && ends.map { uptime < $0 } ?? true
        since = isObserving ? since ?? uptime : nil
        guard record.kind == .mode, record.detail["scope"] == "agent", record.detail["state"] == "set" else { return }
        ends = record.detail["until"]?.string.flatMap { Timestamp($0.bytes) }.map { uptime + ($0 - record.time) }
    }

    func problem(withIntent record: AuditRecord, _ uptime: Duration) -> String? {
        guard record.undoes == nil, record.playbook != nil, let since, uptime - since > Self.grace else { return nil }
        return "\(record.action ?? "?") is begun, and the agent only observes since \(uptime - since)"
    }
}
