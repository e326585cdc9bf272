internal import Logging
internal import RiposteCore
internal import Synchronization

extension Engine {
    /// The steps of one playbook for one alert, in order; `settled` are those that ended before a restart.
    func run(_ run: Identifier, _ playbook: Playbook, for alert: Alert, settled: [String: Outcome]) async {
        defer { finishRun() }
        let cooldown = playbook.cooldown.map { CooldownTurn(playbook.name, $0, alert) }
        if let cooldown {
            guard await lanes.enter(cooldown.lane) else {
                return refuse(run, playbook, alert, .busy, "too many alerts of this kind are being answered already")
            }
            if let rest = rest(of: cooldown) {
                lanes.leave(cooldown.lane)
                return refuse(run, playbook, alert, .cooldown, "cooling down for another \(rest.text)")
            }
        }
        defer { if let cooldown { lanes.leave(cooldown.lane) } }
        let message = await steps(of: playbook, run, for: alert, settled: settled, cooldownValues: cooldown?.key.values)
        close(run, playbook, alert, message: message)
    }

    private func steps(
        of playbook: Playbook, _ run: Identifier, for alert: Alert, settled: [String: Outcome], cooldownValues: [ByteText]?
    ) async -> String? {
        var acted: [Identifier] = []
        for step in playbook.steps {
            let outcome: Outcome
            if let known = settled[step.name] {
                outcome = known
            } else {
                let result = await self.step(step, of: playbook, run, for: alert, cooldownValues: cooldownValues)
                if result.outcome == .done { acted.append(result.id) }
                outcome = result.outcome
            }
            if outcome == .pending { return "waits for a person at step \(step.name)" }
            guard outcome == .failed || outcome == .refused else { continue }
            switch step.onFailure {
            case .continue: continue
            case .stop: return "stopped at step \(step.name)"
            case .undo:
                for id in acted.reversed() {
                    _ = await undo(id, actor: AuditRecord.Actor(.playbook, name: playbook.name), reason: "step \(step.name) \(outcome.rawValue)")
                }
                return "taken back after step \(step.name)"
            }
        }
        return nil
    }

    private func step(
        _ step: Step, of playbook: Playbook, _ run: Identifier, for alert: Alert, cooldownValues: [ByteText]?
    ) async -> ActionResult {
        let mode = mode(of: step, in: playbook, for: alert)
        var order = Order(
            id: surroundings.newIdentifier(), actor: AuditRecord.Actor(.playbook, name: playbook.name), action: step.action, claim: .host, mode: mode)
        order.cause = Order.Cause(run: run, alert: alert.id, playbook: playbook.name, step: step.name)
        guard step.condition(holdsFor: alert) else { return skip(order, "its condition does not hold") }
        do throws(ActionError) {
            guard let description = catalogue[step.action]?.description else {
                throw ActionError(.unsupported, "look up \(step.action)", "this agent has no such action")
            }
            let request = try step.request(for: alert, description: description, at: surroundings.now())
            order.claim = request.claim
            order.parameters = request.parameters.json
        } catch {
            return fail(order, error)
        }
        order.undoAfter = step.undoAfter
        order.prolongs = step.prolongsUndo
        order.undoLimit = step.undoMax
        order.budget = playbook.budget
        order.cooldownValues = cooldownValues
        if step.isReflex, let answer = KernelAnswer(alert, to: playbook.name) { return settle(answer, order) }
        return await perform(order)
    }

    private func skip(_ order: Order, _ why: String) -> ActionResult {
        var draft = draft(of: order)
        draft.end(.skipped, why)
        return settle(draft)
    }

    private func fail(_ order: Order, _ error: ActionError) -> ActionResult {
        var draft = draft(of: order)
        draft.fail(error)
        return settle(draft)
    }

    // MARK: - Ends of runs

    private func refuse(_ run: Identifier, _ playbook: Playbook, _ alert: Alert, _ failure: FailureClass, _ message: String) {
        close(run, playbook, alert, outcome: .refused, failure: failure, message: message)
        report(
            .result(
                ActionResult(
                    id: run, playbook: playbook.name, action: playbook.steps.first?.action.rawValue ?? "", outcome: .refused, dryRun: false,
                    reason: message)))
    }

    func close(
        _ run: Identifier, _ playbook: Playbook?, _ alert: Alert?, outcome: Outcome? = nil, failure: FailureClass? = nil, message: String?
    ) {
        var record = AuditRecord(.run, at: surroundings.now(), id: run)
        record.alert = alert?.id
        record.playbook = playbook?.name
        record.outcome = outcome
        record.failure = failure
        record.message = message
        // Without this record the run counts as unfinished: a restart looks at it again, and finds its steps settled.
        do { try self.record(record) } catch {
            logger.warning("end of a run is not on record", metadata: ["run.id": "\(run)", "error": "\(error)"])
        }
    }

    private func rest(of turn: CooldownTurn) -> Duration? {
        guard let last = state.withLock({ $0.state.lastActed[turn.key] }) else { return nil }
        let rest = turn.length - (surroundings.now() - last)
        return rest > .zero ? rest : nil
    }
}

/// One playbook's turn at what it must not answer twice within a time. Held for the whole run, so that of two alerts at the same moment the
/// second sees what became of the first.
private struct CooldownTurn {
    let key: EngineState.CooldownKey
    let length: Duration

    init(_ playbook: String, _ cooldown: Cooldown, _ alert: Alert) {
        let values = cooldown.by.map { field in
            alert[field: ByteText(field)].map { ByteText($0.bytes) } ?? ""
        }
        key = EngineState.CooldownKey(playbook: playbook, values: values)
        length = cooldown.length
    }

    var lane: String { "cooldown:\(key.playbook):\(key.values.map { $0.bytes.base64 }.joined(separator: ","))" }
}
