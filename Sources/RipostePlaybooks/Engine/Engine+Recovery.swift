internal import Logging
package import RiposteCore
internal import Synchronization

extension Engine {
    /// What the last owner of the journal left unfinished.
    package struct Recovery: Sendable, Equatable {
        /// Intents without outcome, with what the world says of them now.
        package var intents: [ActionResult] = []
        package var resumedRuns = 0
        /// Runs whose playbook is not in force any more.
        package var droppedRuns = 0
        package var openUndos = 0
    }

    /// Looks at the world for each intent that has no outcome and writes down what it says, then carries on with the runs that had not ended.
    ///
    /// Call once, after the state was replayed and before the first alert. A command that only borrows the journal leaves runs to the agent. What the
    /// world does not tell yet is asked again by ``recoveryChore``: until then the intent stays open, and its run waits.
    package func recover(resumingRuns: Bool = true) async -> Recovery {
        let left = snapshot
        var recovery = Recovery(openUndos: left.openUndos.count)
        for (_, intent) in left.openIntents.merging(left.hanging, uniquingKeysWith: { intent, _ in intent }).sorted(by: { $0.key < $1.key }) {
            if let result = await clearUp(intent.record) { recovery.intents.append(result) }
        }
        guard resumingRuns else { return recovery }
        await takeUpQuestions()
        let waiting = unclearRuns
        for run in snapshot.openRuns.values.sorted(by: { $0.id < $1.id }) where !waiting.contains(run.id) {
            if resume(run) { recovery.resumedRuns += 1 } else { recovery.droppedRuns += 1 }
        }
        return recovery
    }

    /// Runs of which a step is not clear yet.
    private var unclearRuns: Set<Identifier> {
        state.withLock { interior in Set((Array(interior.unclear.keys) + Array(interior.beingCleared)).compactMap { interior.state.openIntents[$0]?.record.run }) }
    }

    /// Asks the world again about what it did not tell.
    static let recoveryChore = Chore(
        next: { engine in engine.state.withLock { $0.unclear.values.map(\.at).min() }.map(engine.wallTime) },
        perform: { engine, _ in
            let uptime = engine.surroundings.uptime()
            let due = engine.state.withLock { interior in interior.unclear.filter { $0.value.at <= uptime }.keys.sorted() }
            for id in due {
                let state = engine.snapshot
                guard let intent = state.openIntents[id] ?? state.hanging[id] else {
                    _ = engine.state.withLock { $0.unclear.removeValue(forKey: id) }
                    continue
                }
                guard await engine.clearUp(intent.record) != nil, let run = intent.record.run, !engine.unclearRuns.contains(run) else { continue }
                if let open = engine.snapshot.openRuns[run] { _ = engine.resume(open) }
            }
        })

    /// The pause before this attempt; nil where somebody else is at it, or was.
    private func takeUnclear(_ id: Identifier) -> Duration? {
        state.withLock { interior in
            guard let entry = interior.unclear.removeValue(forKey: id) else { return nil }
            interior.beingCleared.insert(id)
            return entry.pause
        }
    }

    private func askLater(about id: Identifier, after pause: Duration) {
        let pause = min(pause, .seconds(300))
        let uptime = surroundings.uptime()
        state.withLock { $0.unclear[id] = (uptime + pause, pause) }
        timeChanged.ring()
    }

    /// Nil where the world does not tell yet.
    private func clearUp(_ intent: AuditRecord) async -> ActionResult? {
        guard let id = intent.id, let target = intent.target, let name = intent.action, let last = takeUnclear(id) else { return nil }
        defer { state.withLock { _ = $0.beingCleared.remove(id) } }
        guard await lanes.enter(target.key) else {
            askLater(about: id, after: last)
            return nil
        }
        defer { lanes.leave(target.key) }
        guard var finding = await finding(on: intent, target) else {
            askLater(about: id, after: last * 2)
            return nil
        }
        let hung = snapshot.hanging[id] != nil
        if hung, finding.isInEffect, isExplained(otherwise: intent, target) { finding.isOfAnother() }
        var record = intent
        record.kind = .outcome
        record.time = surroundings.now()
        record.actor = AuditRecord.Actor(.recovery, name: "restart")
        record.outcome = finding.outcome
        record.failure = finding.failure
        record.message = finding.message
        record.detail = JSONObject()
        record.detail.append("plan_digest", intent.detail["plan_digest"])
        if finding.mayHaveActed { record.detail.append("cooldown", intent.detail["cooldown"]) }
        if hung { record.detail.append("late", true) }
        if let restored = intent.detail["restores"]?["action"] { record.detail.append("restores", ["action": restored, "token": .object(finding.token ?? JSONObject())]) }
        let due = intent.detail["undo_after"]?.string?.valid.flatMap { Duration(text: $0) }.map { intent.time + $0 }
        if finding.isInEffect, intent.undoes == nil, intent.detail["restores"] == nil, let inverse = intent.detail["plan"]?["inverse"] {
            var undo: JSONObject = ["inverse": inverse]
            undo.append("due", due.map { .text("\($0)") })
            undo.append("token", finding.token.map(JSON.object))
            record.detail.append("undo", .object(undo))
        }
        if record.outcome == .undone, let actor = intent.actor, actor.kind == .person { pardon(target, by: actor, reason: intent.reason, undoing: intent.undoes) }
        do { try self.record(record) } catch {
            logger.error("what was found after a restart is not on record", metadata: ["action.id": "\(id)", "error": "\(error)"])
        }
        if let undone = intent.undoes { state.withLock { _ = $0.undosUnderWay.remove(undone) } }
        let result = ActionResult(
            id: id, playbook: intent.playbook, step: intent.step, action: name, target: target, outcome: finding.outcome, dryRun: false, reason: finding.message,
            undo: record.detail["undo"] != nil ? ActionResult.Undo(available: true, due: due) : nil)
        report(.result(result))
        return result
    }

    /// What there is to say of an intent whose outcome nobody saw.
    private struct Finding {
        var outcome: Outcome
        var failure: FailureClass?
        var message: String
        /// The act is in force, or may be: what takes it back, or finds nothing to take back, is armed with this.
        var isInEffect = false
        var token: JSONObject?
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
        switch await aftermath(of: action, on: target, parameters: given, token: undone, deed: plan) {
        case .inEffect(let words, let token):
            return Finding(outcome: intent.undoes == nil ? .done : .undone, message: prefix + "it is in effect: \(words)", isInEffect: true, token: token)
        case .inPart(let token):
            return Finding(outcome: .failed, failure: .unknown, message: prefix + "it is in effect in part, and what stands is taken back", isInEffect: true, token: token)
        case .notInEffect: return Finding(outcome: .failed, failure: .unknown, message: prefix + "it is not in effect")
        case .gone: return Finding(outcome: .gone, message: prefix + "the target has ended since, by this action or otherwise")
        case .unclear: return nil
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
