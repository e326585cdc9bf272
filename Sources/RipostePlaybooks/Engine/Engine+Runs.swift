internal import Logging
internal import RiposteCore
internal import Synchronization

extension Engine {
    /// The steps of one playbook for one alert; `settled` are those that ended before a restart, `attempt` counts how often the run was taken up. `hasBegun`: it has had its turn,
    /// and what it has done may itself have begun the cool-down.
    func run(_ run: Identifier, _ playbook: Playbook, for alert: Alert, settled: [String: StepFacts] = [:], hasBegun: Bool = false, attempt: Int = 1) async {
        defer { finishRun(for: alert) }
        keepIfFedIn(run)
        guard takeUp(run) else { return }
        defer { if letGo(run) { carryOn(run) } }
        let cooldown = playbook.cooldown.map { CooldownTurn(playbook.name, $0, alert) }
        // Who only looks begins no cool-down, and takes no turn from those who do.
        let lane = cooldown.flatMap { mayAct(playbook, alert) ? $0.lane : nil }
        // What a run has done must come to its end, whoever crowds the way: there are no more of these than runs are accepted.
        if let lane, await !lanes.enter(lane, isTurnedAway: !hasBegun) {
            countCrowded()
            return refuse(run, playbook, alert, .busy, "too many alerts of this kind are being answered already")
        }
        defer { if let lane { lanes.leave(lane) } }
        // A run that waited for a person, or whose agent ended in a step, began in its time.
        if !hasBegun, let rest = cooldown.flatMap(rest(of:)) { return refuse(run, playbook, alert, .cooldown, "cooling down for another \(rest.text)") }
        let context = RunContext(
            id: run, playbook: playbook, alert: alert, attempt: attempt, cooldownValues: cooldown?.key.values, onlyLooks: cooldown != nil && lane == nil)
        switch await perform(context, settled) {
        case .ended(let message): close(run, playbook, alert, message: message)
        // It stays open in the journal, and goes on when the step has its outcome. Lane and room are free meanwhile.
        case .waits: break
        }
    }

    private enum Course { case ended(String?), waits }

    /// Does what ``RunProgress`` says until it says that the run has ended.
    private func perform(_ run: RunContext, _ settled: [String: StepFacts]) async -> Course {
        var progress = RunProgress(run.playbook.steps, settled: settled)
        /// What `on_failure: undo` did not come to.
        var remarks: [String] = []
        while true {
            switch progress.next() {
            case .begin(let starts):
                for (step, facts) in await begin(starts, of: run, progress.facts) { progress.settle(step, facts) }
            case .skip(let name, let cause):
                guard let step = run.step(name) else { return .ended("there is no step \(name)") }
                progress.settle(name, facts(of: name, run, skip(order(for: step, of: run, verdict(on: step, of: run)), cause)))
            case .takeBack(let actions, let cause):
                for id in actions { if let remark = await takeBack(id, of: run, cause) { remarks.append(remark) } }
            case .suspend: return .waits
            case .end(let message):
                await finish(run, progress.facts)
                return .ended(remarks.isEmpty ? message : ([message].compactMap(\.self) + remarks).joined(separator: "; "))
            }
        }
    }

    /// Part of the run, which an agent that is stopping waits for. Gives what a person should know where it is not taken back now: what failed is due from then on by its
    /// record, and tried until it is done.
    private func takeBack(_ action: Identifier, of run: RunContext, _ cause: String) async -> String? {
        let result = await undo(action, actor: AuditRecord.Actor(.playbook, name: run.playbook.name), reason: cause, isUnderWay: true, wantedFor: run.alert.id)
        switch result.outcome {
        case .undone, .done, .already, .gone: return nil
        case .failed: return "but \(action) is not taken back yet, which is tried again: \(result.reason ?? "it failed")"
        default: return "but \(action) is not taken back: \(result.reason ?? result.detail ?? result.outcome.rawValue)"
        }
    }

    /// Told when all steps have ended, one message after the other. Nothing follows from how that ends.
    private func finish(_ run: RunContext, _ facts: [String: StepFacts]) async {
        var facts = facts
        for step in run.playbook.finish where facts[step.name] == nil {
            facts[step.name] = await self.step(RunProgress.Start(step: step.name), of: run, facts)
        }
    }

    /// Steps that run together; one alone needs no task of its own.
    private func begin(_ starts: [RunProgress.Start], of run: RunContext, _ facts: [String: StepFacts]) async -> [(String, StepFacts)] {
        if starts.count == 1 { return [(starts[0].step, await step(starts[0], of: run, facts))] }
        return await withTaskGroup(of: (String, StepFacts).self) { group in
            for start in starts { group.addTask { (start.step, await self.step(start, of: run, facts)) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    private func step(_ start: RunProgress.Start, of run: RunContext, _ earlier: [String: StepFacts]) async -> StepFacts {
        guard let step = run.step(start.step) else { return StepFacts(.failed, failure: .invalid) }
        let verdict = verdict(on: step, of: run)
        var order = order(for: step, of: run, verdict)
        if start.isSupposed { order.mode = .observe }
        var scope = StepScope(run.alert, steps: earlier, mode: verdict.mode, attempt: run.attempt)
        scope.story = story(of: run)
        return facts(of: step.name, run, await perform(step, of: run, order, scope))
    }

    /// Whether any step may do, or ask, as things stand.
    private func mayAct(_ playbook: Playbook, _ alert: Alert) -> Bool {
        (playbook.steps + playbook.finish).contains { mode(of: $0, in: playbook, for: alert).mode > .observe }
    }

    /// A run without the cool-down's turn stays one that only looks, whatever is set meanwhile: another one may be acting for the same.
    private func verdict(on step: Step, of run: RunContext) -> ModeVerdict {
        let verdict = mode(of: step, in: run.playbook, for: run.alert)
        guard run.onlyLooks, verdict.mode > .observe else { return verdict }
        return ModeVerdict(mode: .observe, because: "the mode was observe when the run began")
    }

    private func order(for step: Step, of run: RunContext, _ verdict: ModeVerdict) -> Order {
        var order = Order(
            id: surroundings.newIdentifier(), actor: AuditRecord.Actor(.playbook, name: run.playbook.name), action: step.action, claim: .host, mode: verdict.mode)
        order.modeBecause = verdict.because
        if step.impact == .readsOnly {
            // Nobody is asked whether somebody may be told, and telling is not shared out.
            if order.mode == .ask, step.approval == nil { order.mode = .enforce }
        } else {
            order.share = share(of: run.playbook)
        }
        order.cause = Order.Cause(run: run.id, alert: run.alert.id, playbook: run.playbook.name, step: step.name)
        if run.attempt == 1 { order.cause?.arrivedAt = run.alert.arrival.time }
        order.undoAfter = step.undoAfter
        order.prolongs = step.prolongsUndo
        order.undoLimit = step.undoMax
        (order.budget, order.stepBudget) = (run.playbook.budget, step.budget)
        order.cooldownValues = run.cooldownValues
        order.timeLimit = step.timeLimit
        order.retries = true
        order.retry = step.retry
        order.metadataMayLag = surroundings.now() - run.alert.time < .seconds(2)
        return order
    }

    private func story(of run: RunContext) -> RunStory {
        let incident = state.withLock { interior in
            var record = AuditRecord(.run, at: run.alert.time, id: run.id)
            record.alert = run.alert.id
            return interior.state.incidents.incident(of: record)
        }
        return RunStory(playbook: run.playbook.name, steps: run.playbook.steps.map(\.name), incident: incident)
    }

    private func perform(_ step: Step, of run: RunContext, _ order: Order, _ scope: StepScope) async -> ActionResult {
        var order = order
        if let block = step.block, !scope.holds(block.when) { return skip(order, "the condition of \(block.name) does not hold") }
        if let when = step.when {
            // What is asked of the target can be answered once it is found.
            if when.asksForTarget { order.skips = Self.skips(unless: when, scope) } else if !scope.holds(when) { return skip(order, "its condition does not hold") }
        }
        do throws(ActionError) {
            guard let description = catalogue[step.action]?.description else {
                throw ActionError(.unsupported, "look up \(step.action)", "this agent has no such action")
            }
            let request = try step.request(in: scope, description: description, at: surroundings.now())
            order.claim = request.claim
            order.parameters = request.parameters.json
        } catch {
            return fail(order, error)
        }
        do throws(ActionError) { try prepare(&order, step, of: run.playbook, for: run.alert) } catch { return fail(order, error) }
        if step.isReflex, let answer = KernelAnswer(run.alert, to: run.playbook.name), !leavesToUs(answer, order.mode) { return await settle(answer, order) }
        return await perform(order)
    }

    private static func skips(unless when: WhenClause, _ scope: StepScope) -> @Sendable (Plan) -> String? {
        { plan in
            var scope = scope
            scope.plan = plan
            return scope.holds(when) ? nil : "its condition does not hold for \(plan.target.summary)"
        }
    }

    /// As a restart would find them in the journal. What is unknown there is known here: it failed, and may stand.
    private func facts(of step: String, _ run: RunContext, _ result: ActionResult) -> StepFacts {
        state.withLock { $0.state.openRuns[run.id]?.settled[step] } ?? StepFacts(result.outcome, action: result.undo?.available == true ? result.id : nil)
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
        close(record)
    }

    func close(_ record: AuditRecord) {
        // Where it is not taken it is owed; an agent that dies before that looks at the run again, and finds its steps settled.
        do { try self.record(record) } catch {
            logger.warning("end of a run is not on record", metadata: ["run.id": "\(record.id.map { "\($0)" } ?? "")", "error": "\(error)"])
        }
    }

    /// How long a playbook does not answer such an alert again; nil: it would.
    func cooldownRest(of playbook: Playbook, for alert: Alert) -> Duration? {
        playbook.cooldown.flatMap { rest(of: CooldownTurn(playbook.name, $0, alert)) }
    }

    private func rest(of turn: CooldownTurn) -> Duration? {
        guard let began = state.withLock({ $0.cooldowns[turn.key] }) else { return nil }
        let rest = turn.length - (surroundings.uptime() - began)
        return rest > .zero ? rest : nil
    }
}

/// What all steps of a run have in common.
private struct RunContext: Sendable {
    let id: Identifier
    let playbook: Playbook
    let alert: Alert
    let attempt: Int
    let cooldownValues: [ByteText]?
    /// It has not taken the turn that whoever may act takes.
    let onlyLooks: Bool

    func step(_ name: String) -> Step? { (playbook.steps + playbook.finish).first { $0.name == name } }
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
