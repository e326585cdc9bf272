package import RiposteCore
internal import Synchronization

/// What one alert would come to, playbook by playbook, and why. Nothing is done, spent or written down.
package struct AlertExplanation: Sendable {
    package struct Playbook: Sendable {
        package var name: String
        package var place: String
        /// Set: it does not answer the alert.
        package var mismatch: Mismatch?
        /// It matches, and yet none of its steps would be begun.
        package var idle: String?
        package var steps: [Step] = []
    }

    package struct Step: Sendable {
        package var name: String
        package var action: String
        package var mode: Mode
        package var modeBecause: String?
        /// Lines of `what: answer`, in the order in which they are asked.
        package var checks: [(what: String, answer: String)] = []
        package var target: Target?
        /// What would come of it.
        package var outcome: Outcome
        package var because: String
    }

    package var alert: Alert
    package var playbooks: [Playbook]
}

extension Engine {
    package func explain(_ alert: Alert) async -> AlertExplanation {
        let fitting = playbooks.matching(alert)
        let admission = state.admission.withLock { _ in decide(alert, AlertSubject(alert.fields), fitting) }
        var explained: [AlertExplanation.Playbook] = []
        var final: String?
        for playbook in playbooks.playbooks {
            var entry = AlertExplanation.Playbook(name: playbook.name, place: "\(playbook.file):\(playbook.line)", mismatch: playbook.mismatch(with: alert))
            if entry.mismatch == nil {
                entry.idle = final.map { "playbook \($0) is final and answers it" } ?? idleness(of: playbook, alert, admission)
                if entry.idle == nil { entry.steps = await explain(playbook, alert) }
                if playbook.isFinal, final == nil { final = playbook.name }
            }
            explained.append(entry)
        }
        return AlertExplanation(alert: alert, playbooks: explained)
    }

    private func idleness(of playbook: Playbook, _ alert: Alert, _ admission: Admission) -> String? {
        if let first = admission.repeats.first(where: { $0.playbook == playbook.name }) { return "alert \(first.first) has told this before: it is counted onto that (dedup)" }
        if let threshold = playbook.match.threshold, let count = admission.counted.first(where: { $0["playbook"]?.string?.repaired == playbook.name })?["count"]?.integer {
            return "it is number \(count) of \(threshold.count) within \(threshold.within.text) (threshold)"
        }
        return cooldownRest(of: playbook, for: alert).map { "it is cooling down for another \($0.text)" }
    }

    /// Goes the way of a run: what follows from how a step would end is said of the later ones.
    private func explain(_ playbook: Playbook, _ alert: Alert) async -> [AlertExplanation.Step] {
        var steps: [AlertExplanation.Step] = []
        var progress = RunProgress(playbook.steps)
        while true {
            switch progress.next() {
            case .begin(let starts):
                for start in starts {
                    guard let step = playbook.steps.first(where: { $0.name == start.step }) else { return steps }
                    let told = await explain(step, playbook, alert, progress.facts, isSupposed: start.isSupposed)
                    progress.settle(step.name, StepFacts(told.outcome))
                    steps.append(told)
                }
            case .skip(let name, let cause):
                progress.settle(name, StepFacts(.skipped))
                if let step = playbook.steps.first(where: { $0.name == name }) { steps.append(skipped(step, playbook, alert, cause)) }
            case .suspend(let name):
                let rest = playbook.steps.filter { step in !steps.contains { $0.name == step.name } }
                return steps + rest.map { skipped($0, playbook, alert, "it waits until step \(name) is answered") }
            case .takeBack: continue
            case .end: return steps
            }
        }
    }

    private func skipped(_ step: Step, _ playbook: Playbook, _ alert: Alert, _ cause: String) -> AlertExplanation.Step {
        let verdict = mode(of: step, in: playbook, for: alert)
        return AlertExplanation.Step(
            name: step.name, action: step.action.rawValue, mode: verdict.mode, modeBecause: verdict.because, outcome: .skipped, because: cause)
    }

    private func explain(
        _ step: Step, _ playbook: Playbook, _ alert: Alert, _ earlier: [String: StepFacts], isSupposed: Bool
    ) async -> AlertExplanation.Step {
        var verdict = mode(of: step, in: playbook, for: alert)
        if isSupposed, verdict.mode > .observe { verdict = ModeVerdict([(.observe, "it needs a step that is only planned")]) }
        var told = AlertExplanation.Step(
            name: step.name, action: step.action.rawValue, mode: verdict.mode, modeBecause: verdict.because, outcome: .skipped, because: "its condition does not hold")
        var scope = StepScope(alert, steps: earlier, mode: verdict.mode)
        for when in [step.block?.when, step.when].compactMap(\.self) where !when.asksForTarget {
            let holds = scope.holds(when)
            told.checks.append(("when \(when.text)", holds ? "holds" : "does not hold: \(when.values(in: alert))"))
            guard holds else { return told }
        }
        do throws(ActionError) {
            guard let action = catalogue[step.action] else { throw ActionError(.unsupported, "look up \(step.action)", "this agent has no such action") }
            let request = try step.request(in: scope, description: action.description, at: surroundings.now())
            told.checks.append(("with", request.parameters.json.isEmpty ? "nothing" : JSON.object(request.parameters.json).line))
            let plan = try await action.plan(request)
            told.target = plan.target
            told.checks.append(("plan", plan.summary))
            scope.plan = plan
            if let when = step.when, when.asksForTarget {
                let holds = scope.holds(when)
                told.checks.append(("when \(when.text)", holds ? "holds" : "does not hold for \(plan.target.summary)"))
                guard holds else { return told }
            }
            try await weigh(plan, step, playbook, alert, verdict, &told)
        } catch {
            (told.outcome, told.because) = (error.outcome, error.message)
        }
        return told
    }

    /// Guards, breakers and budgets, and what they leave.
    private func weigh(
        _ plan: Plan, _ step: Step, _ playbook: Playbook, _ alert: Alert, _ verdict: ModeVerdict, _ told: inout AlertExplanation.Step
    ) async throws(ActionError) {
        var order = Order(
            id: surroundings.newIdentifier(), actor: AuditRecord.Actor(.playbook, name: playbook.name), action: step.action, claim: .proved(plan.target), mode: verdict.mode)
        order.cause = Order.Cause(run: order.id, alert: alert.id, playbook: playbook.name, step: step.name)
        (order.budget, order.stepBudget) = (playbook.budget, step.budget)
        let answers = await guardAnswers(about: plan, for: order)
        told.checks.append(("guards", answers.isEmpty ? "none of \(guards.count) objects" : answers.map { "\($0.title): \($0.reason)" }.joined(separator: "; ")))
        if let no = answers.first(where: { $0.verdict == .refuse }) { throw ActionError(.guarded, no.title, no.reason) }
        var mode = verdict.mode
        for answer in answers { if case .atMost(let most) = answer.verdict { mode = min(mode, most) } }
        if let alreadySo = plan.alreadySo {
            (told.outcome, told.because) = (.already, alreadySo)
            return
        }
        var because = told.modeBecause ?? "the mode is \(mode.rawValue)"
        if let limit = answers.first(where: { $0.verdict == .atMost(mode) }), mode < verdict.mode { because = "\(limit.title): \(limit.reason)" }
        for brake in await brakes(on: plan, order) {
            told.checks.append((brake.what, brake.answer))
            if let limit = brake.mode, limit < mode { (mode, because) = (limit, "\(brake.what): \(brake.answer)") }
        }
        if step.approval != nil, mode == .enforce { (mode, because) = (.ask, "the step wants an approval") }
        told.mode = mode
        told.outcome = mode == .enforce ? .done : mode == .ask ? .pending : .planned
        told.because = mode == .enforce ? "it would \(plan.summary)" : because
    }

    private func brakes(on plan: Plan, _ order: Order) async -> [(what: String, answer: String, mode: Mode?)] {
        guard let spend = await spend(of: order, plan) else { return [] }
        let (bounds, uptime) = (budgets(covering: spend, order), surroundings.uptime())
        return state.withLock { interior -> [(what: String, answer: String, mode: Mode?)] in
            var told: [(what: String, answer: String, mode: Mode?)] = []
            for name in breakerNames(spend, bounds) {
                guard let breaker = interior.state.breakers[name] else { continue }
                told.append(("breaker \(name)", "\(breaker.state.rawValue): \(breaker.cause)", breaker.state == .open ? breaker.over.mode : nil))
            }
            for bound in bounds {
                if let excess = interior.book.excess(of: spend, in: bound, at: uptime) ?? interior.shareExcess(of: spend, in: [bound], at: uptime) {
                    told.append((bound.scope.text, excess.text, bound.budget.over.mode))
                } else {
                    let use = interior.book.use(of: bound, at: uptime)
                    let parts = [bound.budget.actions.map { "\(use.actions) of \($0) actions" }, bound.budget.targets.map { "\(use.targets.count) of \($0) targets" }]
                    let counts = parts.compactMap(\.self).joined(separator: ", ")
                    let share = bound.budget.share.map { "at most \($0.text)" }
                    told.append((bound.scope.text, [counts.isEmpty ? nil : "\(counts) per \(bound.budget.per.text)", share].compactMap(\.self).joined(separator: ", "), nil))
                }
            }
            return told
        }
    }
}

extension AlertExplanation {
    package var json: JSON {
        [
            "alert": ["rule": .string(alert.rule), "priority": .text("\(alert.priority)"), "time": .text("\(alert.time)")],
            "playbooks": .array(playbooks.map(\.json)),
        ]
    }
}

extension AlertExplanation.Playbook {
    fileprivate var json: JSON {
        var object: JSONObject = ["playbook": .text(name), "place": .text(place), "matches": .bool(mismatch == nil)]
        object.append("mismatch", mismatch?.json)
        object.append("idle", idle.map(JSON.text))
        if !steps.isEmpty { object.append("steps", .array(steps.map(\.json))) }
        return .object(object)
    }
}

extension AlertExplanation.Step {
    fileprivate var json: JSON {
        var object: JSONObject = ["step": .text(name), "action": .text(action), "mode": .text(mode.rawValue)]
        object.append("mode_because", modeBecause.map(JSON.text))
        object.append("target", target?.json)
        object.append("checks", .array(checks.map { ["what": .text($0.what), "answer": .text($0.answer)] }))
        object.append("outcome", .text(outcome.rawValue))
        object.append("because", .text(because))
        return .object(object)
    }
}
