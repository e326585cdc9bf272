internal import RiposteCore

extension Engine {
    /// All that the guards say of a plan, in their order: built-in ones first, then those of the configuration as they stand there.
    package func guardAnswers(about plan: Plan, for order: Order? = nil) async -> [GuardAnswer] {
        let question = question(about: plan, order)
        var answers: [GuardAnswer] = []
        for each in guards.filter(\.isBuiltIn) + guards.filter({ !$0.isBuiltIn }) {
            if let answer = await each.answer(to: question) { answers.append(answer) }
        }
        return answers
    }

    /// The first guard that says no, says it with its name; else the most that the others leave. Force lifts guards of the configuration only.
    @discardableResult
    func askGuards(about plan: Plan, for order: Order? = nil) async throws(ActionError) -> GuardRuling {
        var ruling = GuardRuling()
        let question = question(about: plan, order)
        for each in guards.filter(\.isBuiltIn) + guards.filter({ !$0.isBuiltIn }) {
            guard let answer = await each.answer(to: question) else { continue }
            if order?.isForced == true, !each.isBuiltIn {
                ruling.lifted.append(answer)
                continue
            }
            switch answer.verdict {
            case .refuse: throw ActionError(.guarded, answer.title, answer.reason)
            case .atMost(let mode): ruling.limit(to: mode, answer)
            }
        }
        return ruling
    }

    /// For a deed of this order that finds more to hit than its plan names, and before another attempt at one: nobody can be asked then, so a guard that leaves less than the
    /// order's mode refuses.
    func guardCall(for order: Order) -> GuardCall {
        { plan async throws(ActionError) in
            let ruling = try await self.askGuards(about: plan, for: order)
            guard ruling.mode(for: order) == order.mode else {
                throw ruling.limiting.first.map { ActionError(.guarded, $0.title, $0.reason) } ?? ActionError(.guarded, "ask the guards", "less is left than was asked for")
            }
        }
    }

    private func question(about plan: Plan, _ order: Order?) -> GuardQuestion {
        GuardQuestion(
            plan: plan, playbook: order?.cause?.playbook, isRelease: order?.undoes != nil || catalogue.isRelease(plan.action), isUndo: order?.undoes != nil,
            time: surroundings.now())
    }
}

/// What the guards leave of an order.
struct GuardRuling: Sendable {
    /// Nil: what was asked for.
    private(set) var mode: Mode?
    /// Those that made it so.
    private(set) var limiting: [GuardAnswer] = []
    /// Those that were passed over by force.
    var lifted: [GuardAnswer] = []

    mutating func limit(to mode: Mode, _ answer: GuardAnswer) {
        self.mode = min(self.mode ?? .enforce, mode)
        limiting.append(answer)
    }

    /// `ask` means: not without a person. Of an order by hand, and of one that was approved, a person has been asked.
    func mode(for order: Order) -> Mode {
        guard let mode, !(mode == .ask && (order.isByHand || order.hasPersonsYes)) else { return order.mode }
        return min(mode, order.mode)
    }

    /// Why it is only that.
    var reason: String? { limiting.first.map { "\($0.title): \($0.reason)" } }

    /// For the record, where a guard had a say.
    var json: JSON? {
        guard !limiting.isEmpty || !lifted.isEmpty else { return nil }
        var object = JSONObject()
        if !limiting.isEmpty { object.append("limiting", .array(limiting.map(\.json))) }
        if !lifted.isEmpty { object.append("lifted", .array(lifted.map(\.json))) }
        return .object(object)
    }
}

extension ActionCatalogue {
    /// Whether an action only lets go of what another one holds.
    package func isRelease(_ name: ActionName) -> Bool { releases.contains(name) }
}
