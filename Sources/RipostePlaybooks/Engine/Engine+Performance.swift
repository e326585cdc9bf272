internal import RiposteCore
internal import Synchronization

/// What may take long on the way of an order, within its time limit: planning, the turn, the deed, and attempts after failures.
///
/// When the time is up, or a person calls the order off, what is under way is cancelled, the world is looked at, and what it says is the outcome. A deed
/// that does not come back all the same keeps its target's turn until it has: two orders are never at one target. What it comes to then is put on record
/// as a second outcome of the same action where it differs.
extension Engine {
    // MARK: - The plan

    /// Looks at the world, again where that failed by what may pass.
    func plan(by action: any Action, _ draft: inout OutcomeDraft) async throws(ActionError) -> Plan {
        let (order, watch) = (draft.order, draft.watch)
        // Nothing is at stake where nothing will be done.
        var attempts = Attempts(order.retries && order.mode != .observe ? order.retry : .never)
        var mayLag = order.metadataMayLag
        while true {
            watch.enter(.planning)
            let request = try request(for: order, action.description)
            let answer = await patiently(watch, until: watch.deadline, isPrompt: action.description.isPrompt) {
                await result { () throws(ActionError) in try await action.plan(request) }
            }
            if let interruption = watch.interruption(at: surroundings.uptime()) { throw error(interruption, watch, "plan \(order.action)") }
            guard let answer else { throw error(.overdue, watch, "plan \(order.action)") }
            switch answer {
            case .success(let plan):
                watch.note(plan, patience: action.description.patience(plan.parameters))
                return plan
            case .failure(let failure):
                watch.note(failure)
                draft.note(failure)
                // What a container or pod is called reaches the engine a moment after its first events.
                if failure.failure == .unresolved, mayLag {
                    mayLag = false
                    guard await rest(.milliseconds(250), watch) else { throw failure }
                    continue
                }
                guard let pause = attempts.pause(after: failure, chance: surroundings.random()), await rest(pause, watch) else { throw failure }
            }
        }
    }

    // MARK: - The turn

    /// Waits until nobody else is at the target. False where nobody was.
    func takeTurn(at target: Target, _ watch: OrderWatch) async throws(ActionError) -> Bool {
        let key = target.key
        if lanes.enterAtOnce(key) { return false }
        watch.enter(.waiting)
        let isOurs = await heeding(watch, until: watch.deadline) { await self.lanes.enter(key) }
        guard !isOurs else { return true }
        if case .calledOff(let cancellation)? = watch.interruption(at: surroundings.uptime()) { throw Self.calledOff(cancellation, "take a turn at \(target.summary)") }
        let isOverdue = watch.interruption(at: surroundings.uptime()) != nil
        if !isOverdue { countCrowded() }
        throw ActionError(
            .busy, "take a turn at \(target.summary)",
            isOverdue ? "another action was at it for all of the time that there was" : "\(Lanes.waiterLimit) others wait already")
    }

    /// Throws where a person has called the order off.
    func mindCancellation(_ draft: OutcomeDraft) throws(ActionError) {
        if let cancellation = draft.watch.cancellation { throw Self.calledOff(cancellation, "\(draft.order.action)") }
    }

    // MARK: - The deed

    /// The deed itself, and again where it failed by what may pass.
    func performance(of first: Plan, by action: any Action, _ draft: inout OutcomeDraft) async throws(ActionError) -> Performance {
        let watch = draft.watch
        var plan = first
        var attempts = Attempts(draft.order.retries ? draft.order.retry : .never)
        // What failed attempts have left standing.
        var left: JSONObject?
        while true {
            watch.enter(.performing)
            let (attempt, late, guards) = (plan, lateHandler(of: first, by: action, draft), guardCall(for: draft.order))
            let answer = await patiently(
                watch, until: watch.deadline, isPrompt: action.description.isPrompt,
                { await result { () throws(ActionError) in try await action.perform(attempt, guards: guards) } }, late: late)
            guard let answer else {
                (draft.isHanging, draft.isInDoubt) = (true, true)
                return try await aftermath(of: first, by: action, draft, "it was cancelled and has not come back")
            }
            let failure: ActionError
            switch answer {
            case .success(let performance): return performance.including(left)
            case .failure(let error): failure = error
            }
            guard failure.failure != nil else { throw failure }
            watch.note(failure)
            draft.note(failure)
            // Until the world was looked at, what failed may stand.
            draft.isInDoubt = failure.failure?.leavesDoubt == true
            if watch.interruption(at: surroundings.uptime()) != nil { return try await aftermath(of: first, by: action, draft, failure.message) }
            if failure.failure == .timeout, case .seen(let found) = try await effect(of: first, by: action, draft) { return found }
            guard let pause = attempts.pause(after: failure, chance: surroundings.random()) else { throw failure }
            guard await rest(pause, watch) else {
                if watch.interruption(at: surroundings.uptime()) == nil { throw failure }
                return try await aftermath(of: first, by: action, draft, failure.message)
            }
            switch try await planAgain(first, by: action, draft, after: failure) {
            case .perform(let again):
                (plan, draft.isInDoubt) = (again, false)
                left = action.remains(of: first, seen: again)
            case .over(let performance): return performance
            }
        }
    }

    private enum Again { case perform(Plan), over(Performance) }

    /// Before another attempt the world is looked at anew, and the guards are asked anew: it must be the same plan.
    private func planAgain(_ plan: Plan, by action: any Action, _ draft: OutcomeDraft, after failure: ActionError) async throws(ActionError) -> Again {
        let again = try await look(plan, by: action, draft.watch, token: draft.order.token, until: draft.watch.deadline)
        guard draft.order.digest(of: again) == draft.order.digest(of: plan) else {
            throw ActionError(.identity, "try \(plan.action) again", "the plan is another one now: \(again.summary)")
        }
        try await guardCall(for: draft.order)(again)
        try mindCancellation(draft)
        let trace = action.trace(of: plan, seen: again, age: .zero)
        if failure.failure?.leavesDoubt == true {
            switch trace {
            // Where the first one was carried out, another attempt would be a second deed.
            case .untold, .notYet: throw failure
            case .inEffect, .absent: break
            }
        }
        guard case .inEffect(let alreadySo) = trace else { return .perform(again) }
        // An attempt whose answer was lost may have been carried out; one that was turned away was not.
        let left = action.remains(of: plan, seen: again)
        let isOurs = left != nil || failure.failure == .timeout || failure.failure == .unavailable
        return .over(
            Performance(
                isOurs ? .done : .already, message: "\(alreadySo), after: \(failure.message)", undoToken: isOurs ? left ?? action.presumedToken(of: plan) : nil))
    }

    func look(_ plan: Plan, by action: any Action, _ watch: OrderWatch, token: JSONObject?, until deadline: Duration) async throws(ActionError) -> Plan {
        let request = ActionRequest(
            claim: .proved(plan.target), parameters: plan.parameters, token: token, isForced: watch.order.isForced, time: surroundings.now())
        let answer = await patiently(watch, until: deadline, isPrompt: action.description.isPrompt) { await result { () throws(ActionError) in try await action.plan(request) } }
        guard let answer else { throw ActionError(.timeout, "look at \(plan.target.summary)", "the world does not answer") }
        return try answer.get()
    }

    private enum Effect {
        case seen(Performance)
        /// In the words that end "…, and".
        case unseen(String)
    }

    /// What the deed came to after all. `gone` is thrown.
    private func effect(of plan: Plan, by action: any Action, _ draft: OutcomeDraft) async throws(ActionError) -> Effect {
        draft.watch.enter(.confirming)
        // A watch of its own: the order's is interrupted, and looking costs no more than the settling time.
        let now = surroundings.uptime()
        let seen: Plan
        let watch = OrderWatch(draft.order, at: surroundings.now(), uptime: now)
        do throws(ActionError) { seen = try await look(plan, by: action, watch, token: draft.order.token, until: now + Self.settlingTime) } catch {
            guard error.failure == nil else { return .unseen("what became of it could not be seen") }
            throw .gone("look at \(plan.target.summary)", "it has ended since, by this action or otherwise")
        }
        switch action.trace(of: plan, seen: seen, age: .zero) {
        case .inEffect(let words): return .seen(Performance(.done, message: words, undoToken: action.token(of: plan, seen: seen)))
        case .absent: return .unseen("it is not in effect")
        case .notYet(let words), .untold(let words): return .unseen(words)
        }
    }

    /// The order's time was up, or it was called off, while the deed was under way: the world says what came of it.
    private func aftermath(of plan: Plan, by action: any Action, _ draft: OutcomeDraft, _ state: String) async throws(ActionError) -> Performance {
        let watch = draft.watch
        switch try await effect(of: plan, by: action, draft) {
        case .seen(var found):
            found.message = "\(found.message ?? "it is in effect") (seen after \(words(watch)))"
            return found
        case .unseen(let what): throw ActionError(watch.cancellation == nil ? .timeout : .cancelled, "\(plan.summary)", "\(words(watch)), and \(what); \(state)")
        }
    }

    private func words(_ watch: OrderWatch) -> String {
        watch.cancellation.map { "it was called off \($0.words)" } ?? "its \((watch.deadline - watch.began).text) were up"
    }

    // MARK: - A deed that comes back late

    private func lateHandler(of plan: Plan, by action: any Action, _ draft: OutcomeDraft) -> @Sendable (Result<Performance, ActionError>) -> Void {
        let draft = draft
        return { result in
            draft.watch.comeLate { recorded in self.surroundings.spawn { await self.settleLate(plan, by: action, result, draft, recorded: recorded) } }
        }
    }

    /// The first outcome stands where it was right; else the truth is put on record, so that the act is counted and can be taken back. That a deed came back
    /// without effect is on record too: else the next start would ask the world what became of it.
    private func settleLate(_ plan: Plan, by action: any Action, _ result: Result<Performance, ActionError>, _ draft: OutcomeDraft, recorded: Outcome) async {
        if recorded == .failed || recorded == .gone {
            var late = draft
            late.isLate = true
            switch result {
            case .success(var performance) where performance.outcome == .done:
                performance.message = "it came through after its time was up: \(performance.message ?? "done")"
                late.note(performance, of: plan)
            case .success(let performance): late.end(.failed, "it came back after its time was up, and nothing was done: \(performance.message ?? performance.outcome.rawValue)")
            case .failure(let error): await settle(error, of: plan, by: action, &late)
            }
            // Of what had ended, and what could not be done, nothing is new but that it has come back.
            if late.outcome == .done || late.outcome == .undone || recorded == .failed {
                pardonIfReleased(plan, late)
                tellLate(late)
            }
        }
        releaseBudget(for: draft)
        if catalogue[plan.action]?.description.impact != .readsOnly { lanes.leave(plan.target.key) }
        forget(draft.watch)
    }

    private func tellLate(_ late: OutcomeDraft) {
        // A failure is logged and counted there.
        try? record(late.outcomeRecord)
        if late.outcome != .failed { report(.result(late.result)) }
    }

    // MARK: - Waiting

    /// False where the order is called off, or its time does not last for the wait.
    private func rest(_ pause: Duration, _ watch: OrderWatch) async -> Bool {
        guard surroundings.uptime() + pause < watch.deadline else { return false }
        watch.enter(.retrying)
        if pause > .zero { await heeding(watch, until: watch.deadline) { try? await self.surroundings.sleep(pause) } }
        return watch.interruption(at: surroundings.uptime()) == nil
    }

    private func error(_ interruption: OrderWatch.Interruption, _ watch: OrderWatch, _ doing: String) -> ActionError {
        switch interruption {
        case .calledOff(let cancellation): Self.calledOff(cancellation, doing)
        case .overdue: ActionError(.timeout, doing, "its \((watch.deadline - watch.began).text) were up")
        }
    }

    private static func calledOff(_ cancellation: Cancellation, _ doing: String) -> ActionError {
        ActionError(.cancelled, doing, "called off \(cancellation.words)")
    }
}

extension RetryPolicy {
    /// Of orders that a person waits for, or that come back by themselves.
    static let never = {
        var policy = RetryPolicy()
        policy.max = 0
        return policy
    }()
}

extension ActionDescription {
    /// How long performing may rightly wait for its target, beyond what any call takes.
    package func patience(_ parameters: Parameters) -> Duration { waits.flatMap { parameters.duration($0) } ?? .zero }
}

/// What a throwing call comes to, as a value.
private func result<Value>(_ body: () async throws(ActionError) -> Value) async -> Result<Value, ActionError> {
    do throws(ActionError) { return .success(try await body()) } catch { return .failure(error) }
}
