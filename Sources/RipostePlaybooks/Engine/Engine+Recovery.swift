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
    /// Call once, after the state was replayed and before the first alert. A command that only borrows the journal leaves runs to the agent.
    package func recover(resumingRuns: Bool = true) async -> Recovery {
        let left = snapshot
        var recovery = Recovery(openUndos: left.openUndos.count)
        for (_, intent) in left.openIntents.sorted(by: { $0.key < $1.key }) {
            if let result = await clearUp(intent.record) { recovery.intents.append(result) }
        }
        guard resumingRuns else { return recovery }
        await takeUpQuestions()
        for run in snapshot.openRuns.values.sorted(by: { $0.id < $1.id }) {
            if resume(run) { recovery.resumedRuns += 1 } else { recovery.droppedRuns += 1 }
        }
        return recovery
    }

    private func clearUp(_ intent: AuditRecord) async -> ActionResult? {
        guard let id = intent.id, let target = intent.target, let name = intent.action else { return nil }
        let (outcome, failure, message) = await aftermath(of: intent, target)
        var record = intent
        record.kind = .outcome
        record.time = surroundings.now()
        record.actor = AuditRecord.Actor(.recovery, name: "restart")
        record.outcome = outcome
        record.failure = failure
        record.message = message
        record.detail = JSONObject()
        let due = intent.detail["undo_after"]?.string?.valid.flatMap { Duration(text: $0) }.map { intent.time + $0 }
        if outcome == .done, let inverse = intent.detail["plan"]?["inverse"] {
            var undo: JSONObject = ["inverse": inverse]
            undo.append("due", due.map { .text("\($0)") })
            record.detail.append("undo", .object(undo))
        }
        do { try self.record(record) } catch {
            logger.error("what was found after a restart is not on record", metadata: ["action.id": "\(id)", "error": "\(error)"])
        }
        let result = ActionResult(
            id: id, playbook: intent.playbook, step: intent.step, action: name, target: target, outcome: outcome, dryRun: false, reason: message,
            undo: outcome == .done && record.detail["undo"] != nil ? ActionResult.Undo(available: true, due: due) : nil)
        report(.result(result))
        return result
    }

    /// What the world says of a deed that may or may not have taken place.
    private func aftermath(of intent: AuditRecord, _ target: Target) async -> (Outcome, FailureClass?, String) {
        let prefix = "the agent ended before the outcome was known; "
        guard let name = intent.action, let action = catalogue[ActionName(rawValue: name)] else {
            return (.failed, .unknown, prefix + "this agent has no such action")
        }
        do throws(ActionError) {
            let given = intent.detail["plan"]?["parameters"]?.object ?? JSONObject()
            guard let parameters = try? Parameters(checking: given, for: action.description) else {
                throw ActionError(.invalid, "read the parameters on record", "they do not fit \(name)")
            }
            let plan = try await action.plan(ActionRequest(claim: .proved(target), parameters: parameters, time: surroundings.now()))
            guard let alreadySo = plan.alreadySo else { return (.failed, .unknown, prefix + "it is not in effect") }
            return (intent.undoes == nil ? .done : .undone, nil, prefix + "it is in effect: \(alreadySo)")
        } catch {
            guard let failure = error.failure else { return (.gone, nil, prefix + "the target has ended since, by this action or otherwise") }
            return (.failed, .unknown, prefix + "the world does not tell (\(failure.rawValue)): \(error.message)")
        }
    }

    func resume(_ run: EngineState.OpenRun) -> Bool {
        let entry = snapshot.alerts[run.alert]
        guard let playbook = playbooks.playbooks.first(where: { $0.name == run.playbook }), let alert = entry.flatMap({ Self.alert(in: $0.record) }) else {
            close(run.id, nil, nil, message: "not carried on after a restart: playbook \(run.playbook) is not in force any more")
            return false
        }
        state.withLock { interior in
            interior.openRuns += 1
            interior.underWay += 1
        }
        surroundings.spawn { await self.run(run.id, playbook, for: alert, settled: run.settled) }
        return true
    }

    static func alert(in record: AuditRecord) -> Alert? {
        guard let id = record.id, let arrival = record.detail["arrival"].flatMap(Alert.Arrival.init(json:)) else { return nil }
        if let original = record.detail["alert_base64"]?.string?.valid.flatMap({ [UInt8](base64: $0) }) {
            return try? Alert(parsing: original, id: id, arrival: arrival)
        }
        return try? record.detail["alert"].map { try Alert($0, id: id, arrival: arrival) }
    }
}
