package import RiposteCore

/// What the kernel did about an event before its alert was made, as the own sensor tells it. Nobody else is believed: whoever hands in alerts could
/// claim that a process was killed.
package struct KernelAnswer: Sendable, Equatable {
    package enum Verdict: String, Sendable {
        case sent
        /// The budget was spent.
        case spent
        /// A guard of the kernel side: the process is one that is never signalled.
        case protected
        case failed
        /// The reflex was not to act.
        case would
    }

    /// How the sensor's alerts say where they come from.
    package static let intake = "sensor"

    package let verdict: Verdict
    package let playbook: String
    package let identity: ProcessIdentity
    /// The call that it was about was refused before it had done anything.
    package let isDenied: Bool

    package init(verdict: Verdict, playbook: String, isDenied: Bool = false, identity: ProcessIdentity) {
        self.verdict = verdict
        self.playbook = playbook
        self.isDenied = isDenied
        self.identity = identity
    }

    /// Of every alert about a call that was refused, in whoever's name.
    package static let deniedField: ByteText = "reflex.denied"

    /// The fields that an alert carries for this, beside ``deniedField``.
    package var fields: [JSONObject.Member] {
        [
            .init(key: "reflex.outcome", value: .text(verdict.rawValue)), .init(key: "reflex.playbook", value: .text(playbook)),
            .init(key: "reflex.pid", value: .integer(Int64(identity.pid))), .init(key: "reflex.start_ticks", value: .integer(Int64(clamping: identity.startTicks))),
            .init(key: "reflex.boot_id", value: .text(identity.bootID)), .init(key: "reflex.name", value: .string(identity.name)),
        ]
    }

    /// Whether the alert tells of a signal that was sent.
    static func isDone(_ alert: Alert) -> Bool { alert.arrival.intake == intake && alert.fields["reflex.outcome"]?.string?.valid == Verdict.sent.rawValue }

    fileprivate var process: String { "process \(identity.pid) (\(identity.name.shown))" }

    fileprivate var facts: JSONObject {
        var facts: JSONObject = ["reflex": .text(verdict.rawValue)]
        if isDenied { facts.append("denied", true) }
        return facts
    }

    fileprivate var evidence: JSONObject {
        var evidence: JSONObject = ["reflex": true]
        if isDenied { evidence.append("denied", true) }
        return evidence
    }

    fileprivate var deed: String { "\(process) was signalled in the kernel, before its next instruction\(isDenied ? ", and its call was refused" : "")" }

    /// Nil where the kernel did nothing in any playbook's name.
    fileprivate init?(_ alert: Alert) {
        guard let playbook = alert.fields["reflex.playbook"]?.string?.valid else { return nil }
        self.init(alert, to: playbook)
    }

    /// Nil where the kernel did nothing in this playbook's name.
    init?(_ alert: Alert, to playbook: String) {
        guard alert.arrival.intake == Self.intake, alert.fields["reflex.playbook"]?.string?.valid == playbook,
            let verdict = alert.fields["reflex.outcome"]?.string?.valid.flatMap(Verdict.init(rawValue:)), let pid = alert.fields["reflex.pid"]?.integer,
            let ticks = alert.fields["reflex.start_ticks"]?.integer, let bootID = alert.fields["reflex.boot_id"]?.string?.valid
        else { return nil }
        let started = alert.fields["proc.pid.ts"]?.integer.map(Timestamp.init(nanoseconds:)) ?? alert.time
        self.init(
            verdict: verdict, playbook: playbook, isDenied: alert.fields[Self.deniedField] == .bool(true),
            identity: ProcessIdentity(
                pid: Int32(clamping: pid), startTicks: UInt64(clamping: ticks), bootID: bootID, startedAt: started, name: alert.fields["reflex.name"]?.string ?? ""))
    }
}

extension Engine {
    /// The agent's budgets that bound each reflex. Those that count targets or namespaces apart are not for the kernel, which tells of no process twice.
    package var reflexBudgets: [Budget] {
        let spend = Spend(action: "process.kill", impact: .destroys, target: "")
        return configuration.budgets.filter { $0.each == nil || $0.each == .kind }.filter { $0.covers(spend) }.map(\.budget)
    }

    /// Whether it is for user space to go on. The kernel only said that it would have, and a person is to be asked, or a breaker kept it from acting, or a share
    /// of workloads that it does not know. Or it spared the process by its number, which may run another program by now: the guards look at what it runs.
    func leavesToUs(_ answer: KernelAnswer, _ mode: Mode) -> Bool { answer.verdict == .would && mode > .observe || answer.verdict == .protected }

    /// What the kernel has done in the name of a playbook that does not answer the alert, or that has no such step any more: playbooks may have changed between
    /// the deed and its alert. No run tells of it, so it is put on record here.
    func putOnRecord(deedTold alert: Alert, answeredBy playbooks: [Playbook]) {
        guard KernelAnswer.isDone(alert), let answer = KernelAnswer(alert) else { return }
        guard !playbooks.contains(where: { $0.name == answer.playbook && $0.steps.first?.isReflex == true }) else { return }
        let present = self.playbooks.playbooks.first { $0.name == answer.playbook }
        let step = present?.steps.first(where: \.isReflex)
        var order = Order(
            id: surroundings.newIdentifier(), actor: AuditRecord.Actor(.playbook, name: answer.playbook), action: "process.kill", claim: .host, mode: .enforce)
        order.modeBecause = "the kernel had acted before the alert came"
        order.cause = Order.Cause(run: nil, alert: alert.id, playbook: answer.playbook, step: step?.name ?? "reflex")
        (order.budget, order.stepBudget) = (present?.budget, step?.budget)
        var draft = draft(of: order)
        guard let plan = plan(of: answer, order, &draft) else { return _ = settle(draft) }
        let spend = Spend(playbook: answer.playbook, step: order.cause?.step, action: order.action.rawValue, impact: .destroys, target: plan.target.key)
        draft.note(spend)
        _ = conclude(answer, order, plan, spend, draft)
    }

    /// The step whose deed the kernel has done, or refused, already: put on record like any other. Nil where user space is to go on.
    func settle(_ answer: KernelAnswer, _ order: Order) async -> ActionResult {
        var order = order
        if answer.verdict == .sent, order.mode != .enforce {
            // What is done is no dry run, whatever the mode has become since.
            order.modeBecause = "the kernel had acted before the mode was \(order.mode.rawValue)"
            order.mode = .enforce
        }
        var draft = draft(of: order)
        guard let plan = plan(of: answer, order, &draft) else { return settle(draft) }
        let spend = await spend(of: plan, &draft)
        return conclude(answer, order, plan, spend, draft)
    }

    /// What the kernel did as a plan; nil, and the draft says why, where this agent has no such action.
    private func plan(of answer: KernelAnswer, _ order: Order, _ draft: inout OutcomeDraft) -> Plan? {
        guard let description = catalogue[order.action]?.description, let parameters = try? Parameters(checking: order.parameters, for: description) else {
            draft.fail(ActionError(.unsupported, "look up \(order.action)", "this agent has no such action"))
            return nil
        }
        let plan = Plan(
            action: order.action, target: .process(answer.identity), parameters: parameters, facts: answer.facts,
            summary: "signal \(answer.process) in the kernel, before its next instruction")
        draft.note(plan)
        return plan
    }

    private func conclude(_ answer: KernelAnswer, _ order: Order, _ plan: Plan, _ spend: Spend?, _ draft: OutcomeDraft) -> ActionResult {
        var draft = draft
        let doing = "signal \(answer.process) in the kernel"
        switch answer.verdict {
        case .sent:
            draft.note(
                Performance(.done, message: answer.deed, evidence: answer.evidence),
                of: Plan(action: order.action, target: plan.target, parameters: plan.parameters, summary: ""))
        case .would: draft.end(.planned, "would have signalled \(answer.process) in the kernel, before its next instruction")
        case .spent:
            draft.fail(ActionError(.budget, doing, "playbook \(answer.playbook) has spent its budget; the reflex is disarmed until there is room"))
        case .protected: draft.fail(ActionError(.guarded, doing, "it is one that is never signalled"))
        case .failed: draft.fail(ActionError(.unavailable, doing, "the kernel could not"))
        }
        let result = settle(draft)
        if let spend { tripIfOverdrawn(spend, order, plan, isSpent: answer.verdict == .spent) }
        return result
    }

    /// The kernel asks no breaker and knows its own playbook's budget only: what it has done beyond others, or was kept from, trips theirs, and with that
    /// it is disarmed.
    private func tripIfOverdrawn(_ spend: Spend, _ order: Order, _ plan: Plan, isSpent: Bool) {
        let (budgets, uptime) = (budgets(covering: spend, order), surroundings.uptime())
        let excess = state.withLock { interior -> BudgetBook.Excess? in
            if let excess = budgets.compactMap({ interior.book.overdraft(in: $0, at: uptime, isSpent: isSpent) }).first { return excess }
            // Those that the kernel spent it on may still be on their way here.
            guard isSpent, let own = budgets.first, let limit = own.budget.actions else { return nil }
            return BudgetBook.Excess(bound: own, used: limit, limit: limit, countsTargets: false)
        }
        guard let excess else { return }
        trip(excess, spend, order, plan)
    }
}
