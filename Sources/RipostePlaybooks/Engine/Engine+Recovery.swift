internal import Logging
package import RiposteCore
internal import Synchronization

extension Engine {
    /// What the last owner of the journal left unfinished.
    package struct Recovery: Sendable, Equatable {
        /// Intents without outcome, with what the world says of them now.
        package var intents: [ActionResult] = []
        package var resumedRuns = 0
        /// Runs whose playbook is not in force as it was.
        package var droppedRuns = 0
        /// Intents of which the world has not told anything yet.
        package var unclear = 0
        package var openUndos = 0
    }

    /// Looks at the world for each intent that has no outcome and writes down what it says, then carries on with the runs that had not ended.
    ///
    /// Call once, after the state was replayed and before the first alert. A command that only borrows the journal leaves runs to the agent. The world is asked about all of
    /// them at once, and waited for no longer than ``startPatience``: an engine that is silent keeps no other alert waiting. What it does not tell in that time is written down
    /// when it does, and asked again by ``recoveryChore``: until then the intent stays open, and its run waits.
    package func recover(resumingRuns: Bool = true) async -> Recovery {
        var recovery = Recovery(openUndos: snapshot.openUndos.count)
        (recovery.intents, recovery.unclear) = await clearUpWhatIsLeft()
        guard resumingRuns else { return recovery }
        await takeUpQuestions()
        for run in takeRunsThatAreClear() { if resume(run) { recovery.resumedRuns += 1 } else { recovery.droppedRuns += 1 } }
        return recovery
    }

    private static let startPatience = Duration.milliseconds(500)

    private func clearUpWhatIsLeft() async -> (results: [ActionResult], unclear: Int) {
        let left = takeUnclear { _ in true }
        guard !left.isEmpty else { return ([], 0) }
        let findings = StartFindings(expecting: left.count)
        clearUp(left) { findings.take($0) }
        await withTaskGroup { group in
            group.addTask { await findings.wait() }
            group.addTask { try? await self.surroundings.sleep(Self.startPatience) }
            await group.next()
            group.cancelAll()
        }
        let results = findings.results
        return (results, left.count - results.count)
    }

    /// Asks the world again about what it did not tell, and waits for no answer: what else is due is done meanwhile. Runs go on whose record was owed to the journal.
    static let recoveryChore = Chore(
        next: { engine in
            engine.state.withLock { interior in interior.clearRuns.isEmpty ? interior.unclear.values.map(\.at).min() : Duration.zero }.map(engine.wallTime)
        },
        perform: { engine, _ in
            let uptime = engine.surroundings.uptime()
            engine.clearUp(engine.takeUnclear { $0 <= uptime }) { _ in }
            for run in engine.state.withLock(\.clearRuns) { engine.resumeIfClear(run) }
        })

    // MARK: - Whose turn it is

    private struct Unclear: Sendable {
        var id: Identifier
        var intent: AuditRecord
        /// Before the next attempt.
        var pause: Duration
    }

    /// Those that are to be asked about at such an uptime, for whoever gets them here and nobody else.
    private func takeUnclear(where isDue: (Duration) -> Bool) -> [Unclear] {
        state.withLock { interior in
            let due = interior.unclear.filter { isDue($0.value.at) }.sorted { $0.key < $1.key }
            return due.compactMap { id, entry in
                interior.unclear[id] = nil
                guard let intent = interior.state.openIntents[id] ?? interior.state.hanging[id] else { return nil }
                interior.beingCleared.insert(id)
                return Unclear(id: id, intent: intent.record, pause: entry.pause)
            }
        }
    }

    private func askLater(about entry: Unclear, after pause: Duration) {
        let pause = min(pause, .seconds(300))
        let uptime = surroundings.uptime()
        state.withLock { $0.unclear[entry.id] = (uptime + pause, pause) }
        timeChanged.ring()
    }

    /// The others go on when their last step is clear.
    private func takeRunsThatAreClear() -> [EngineState.OpenRun] {
        state.withLock { interior in
            interior.runsToResume = interior.unclearRuns
            return interior.state.openRuns.values.filter { !interior.runsToResume.contains($0.id) }.sorted { $0.id < $1.id }
        }
    }

    private func resumeIfClear(_ run: Identifier) {
        let open = state.withLock { interior -> EngineState.OpenRun? in
            guard !interior.unclearRuns.contains(run), interior.runsToResume.remove(run) != nil else { return nil }
            return interior.state.openRuns[run]
        }
        if let open { _ = resume(open) }
    }

    // MARK: - Looking

    /// So many are looked at together; each one has so long, for its turn at the target and the answer.
    private static let looksAtOnce = 16
    private static let lookLimit = Duration.seconds(10)

    /// Waits for none of it. `told` hears of each; nil: it stays unclear.
    private func clearUp(_ entries: [Unclear], _ told: @escaping @Sendable (ActionResult?) -> Void) {
        for first in 0..<min(entries.count, Self.looksAtOnce) {
            let share = stride(from: first, to: entries.count, by: Self.looksAtOnce).map { entries[$0] }
            surroundings.spawn {
                for entry in share {
                    let result = await self.clearUp(entry)
                    told(result)
                    if result != nil, let run = entry.intent.run { self.resumeIfClear(run) }
                }
            }
        }
    }

    /// Nil where the world does not tell yet, and where the agent is stopping: then the next one asks.
    private func clearUp(_ entry: Unclear) async -> ActionResult? {
        defer { state.withLock { _ = $0.beingCleared.remove(entry.id) } }
        let (id, intent) = (entry.id, entry.intent)
        guard !isClosed, let target = intent.target, let name = intent.action else { return nil }
        let order = Order(id: id, actor: Self.finder, action: ActionName(rawValue: name), claim: .proved(target), mode: .observe)
        let watch = OrderWatch(order, at: surroundings.now(), uptime: surroundings.uptime())
        let deadline = watch.began + Self.lookLimit
        guard await heeding(watch, until: deadline, { await self.lanes.enter(target.key) }) else {
            askLater(about: entry, after: entry.pause)
            return nil
        }
        defer { lanes.leave(target.key) }
        let found = await patiently(watch, until: deadline, isPrompt: false) { await self.finding(on: intent, target) }
        guard let finding = found ?? nil, !isClosed else {
            askLater(about: entry, after: entry.pause * 2)
            return nil
        }
        return put(finding, on: intent, id, name, target)
    }

    private var isClosed: Bool { state.withLock { $0.isClosed } }
    private static let finder = AuditRecord.Actor(.recovery, name: "restart")

    /// On record, as the outcome that nobody saw.
    private func put(_ found: Finding, on intent: AuditRecord, _ id: Identifier, _ name: String, _ target: Target) -> ActionResult {
        var finding = found
        let hung = snapshot.hanging[id] != nil
        if hung, finding.isInEffect, isExplained(otherwise: intent, target) { finding.isOfAnother() }
        var record = intent
        record.kind = .outcome
        record.time = surroundings.now()
        record.actor = Self.finder
        record.outcome = finding.outcome
        record.failure = finding.failure
        record.message = finding.message
        record.detail = JSONObject()
        record.detail.append("plan_digest", intent.detail["plan_digest"])
        if finding.mayHaveActed {
            record.detail.append("cooldown", intent.detail["cooldown"])
            record.detail.append("may_have_acted", finding.outcome == .done || intent.undoes != nil ? nil : true)
        }
        if hung { record.detail.append("late", true) }
        if finding.isDoneOnce { record.detail.append("done_once", true) }
        if let restored = intent.detail["restores"]?["action"] { record.detail.append("restores", ["action": restored, "token": .object(finding.token ?? JSONObject())]) }
        let due = intent.detail["undo_after"]?.string?.valid.flatMap { Duration(text: $0) }.map { intent.time + $0 }
        if finding.isInEffect, intent.undoes == nil, intent.detail["restores"] == nil, let inverse = intent.detail["plan"]?["inverse"] {
            var undo: JSONObject = ["inverse": inverse]
            undo.append("due", due.map { .text("\($0)") })
            undo.append("token", finding.token.map(JSON.object))
            record.detail.append("undo", .object(undo))
        }
        record.intended = intent.actor
        let isRelease = record.outcome == .undone || record.outcome == .done && catalogue.releases.contains(ActionName(rawValue: name))
        if isRelease, let actor = intent.actor, actor.kind == .person { pardon(target, by: actor, reason: intent.reason, undoing: intent.undoes) }
        do { try self.record(record) } catch {
            logger.error("what was found after a restart is not on record", metadata: ["action.id": "\(id)", "error": "\(error)"])
        }
        if let undone = intent.undoes { endUndo(of: undone) }
        let result = ActionResult(
            id: id, playbook: intent.playbook, step: intent.step, action: name, target: target, outcome: finding.outcome, dryRun: false, reason: finding.message,
            undo: record.detail["undo"] != nil ? ActionResult.Undo(available: true, due: due) : nil)
        report(.result(result))
        return result
    }

    /// What there is to say of an intent whose outcome nobody saw.
    private struct Finding: Sendable {
        var outcome: Outcome
        var failure: FailureClass?
        var message: String
        /// The act is in force, or may be: what takes it back, or finds nothing to take back, is armed with this.
        var isInEffect = false
        var token: JSONObject?
        /// Nobody can tell, and its step must not be done again.
        var isDoneOnce = false
        /// What has ended may have ended by it.
        var mayHaveActed: Bool { isInEffect || outcome == .gone }

        mutating func isOfAnother() { self = Finding(outcome: .failed, failure: .unknown, message: "\(message), by another action") }
    }

    /// A deed that hung was given up: since then another one may have done the same.
    private func isExplained(otherwise intent: AuditRecord, _ target: Target) -> Bool {
        let state = snapshot
        if let undone = intent.undoes { return state.openUndo(of: undone) == nil }
        return intent.action.flatMap { state.openUndo(of: ActionName(rawValue: $0), on: target.key) }.map { $0.action != intent.id } ?? false
    }

    /// What the world says of it; nil where it cannot be asked at this moment.
    private func finding(on intent: AuditRecord, _ target: Target) async -> Finding? {
        let prefix = "the agent ended before the outcome was known; "
        guard let name = intent.action, let action = catalogue[ActionName(rawValue: name)] else {
            return Finding(outcome: .failed, failure: .unknown, message: prefix + "this agent has no such action", isInEffect: true)
        }
        let given = intent.detail["plan"]?["parameters"]?.object ?? JSONObject()
        let plan = Self.plan(in: intent, target, action.description)
        // Whom an undo was to let go its act's token says, and nothing else does.
        let undone = intent.undoes.flatMap { undone in state.withLock { $0.state.openUndo(of: undone)?.token } }
        switch await aftermath(of: action, on: target, parameters: given, token: undone, deed: plan, age: (surroundings.now() - intent.time).magnitude) {
        case .inEffect(let words, let token):
            return Finding(outcome: intent.undoes == nil ? .done : .undone, message: prefix + "it is in effect: \(words)", isInEffect: true, token: token)
        case .inPart(let token):
            return Finding(outcome: .failed, failure: .unknown, message: prefix + "it is in effect in part, and what stands is taken back", isInEffect: true, token: token)
        case .notInEffect: return Finding(outcome: .failed, failure: .unknown, message: prefix + "it is not in effect")
        case .gone: return Finding(outcome: .gone, message: prefix + "the target has ended since, by this action or otherwise")
        case .unclear, .notYet: return nil
        case .traceless(let error):
            let words = "\(prefix)whether it took place nobody can tell, and it is not done a second time: \(error.answer)"
            return Finding(outcome: .failed, failure: .unknown, message: words, isInEffect: true, isDoneOnce: true)
        case .untold(let error):
            let words = "the world does not tell (\(error.failure?.rawValue ?? "")): \(error.message)"
            return Finding(outcome: .failed, failure: .unknown, message: prefix + words, isInEffect: true, token: plan.flatMap(action.presumedToken))
        }
    }

    /// The plan as the intent has it.
    private static func plan(in intent: AuditRecord, _ target: Target, _ description: ActionDescription) -> Plan? {
        let plan = intent.detail["plan"]
        guard let parameters = try? Parameters(checking: plan?["parameters"]?.object ?? JSONObject(), for: description) else { return nil }
        return Plan(action: description.name, target: target, parameters: parameters, facts: plan?["facts"]?.object ?? JSONObject(), summary: "")
    }

    static func alert(in record: AuditRecord) -> Alert? {
        guard let id = record.id, let arrival = record.detail["arrival"].flatMap(Alert.Arrival.init(json:)) else { return nil }
        if let original = record.detail["alert_base64"]?.string?.valid.flatMap({ [UInt8](base64: $0) }) {
            return try? Alert(parsing: original, id: id, arrival: arrival)
        }
        return try? record.detail["alert"].map { try Alert($0, id: id, arrival: arrival) }
    }
}

extension AuditRecord {
    private static let intendedBy: ByteText = "intended_by"

    /// Who wanted it done, of an outcome that was found out after a restart.
    fileprivate var intended: Actor? {
        get { detail[Self.intendedBy].flatMap(Actor.init(json:)) }
        set { detail[Self.intendedBy] = newValue?.json }
    }

    /// Whose deed it is: the actor's, or that of whoever wanted done what was found out after a restart.
    var doer: Actor? { actor?.kind == .recovery ? intended ?? actor : actor }
}

extension Engine.Interior {
    /// Runs of which a step is not clear yet, or what came of it is not on record: without that it would be done again.
    fileprivate var unclearRuns: Set<Identifier> {
        Set((Array(unclear.keys) + Array(beingCleared) + owed.compactMap(\.id)).compactMap { state.openIntents[$0]?.record.run })
    }

    /// Those that may go on by now.
    fileprivate var clearRuns: [Identifier] { runsToResume.isEmpty ? [] : runsToResume.subtracting(unclearRuns).sorted() }
}

/// What the looks of a start come to, for as long as it waits for them.
private final class StartFindings: Sendable {
    private struct State {
        var missing: Int
        var results: [ActionResult] = []
    }

    private let state: Mutex<State>
    private let isComplete = Bell()

    init(expecting count: Int) { state = Mutex(State(missing: count)) }

    /// In the order of the deeds.
    var results: [ActionResult] { state.withLock(\.results).sorted { $0.id < $1.id } }

    func take(_ result: ActionResult?) {
        let missing = state.withLock { state in
            if let result { state.results.append(result) }
            state.missing -= 1
            return state.missing
        }
        if missing == 0 { isComplete.ring() }
    }

    func wait() async { await isComplete.wait() }
}
