internal import RiposteCore

/// What the world says of a deed that may or may not have taken place: its answer was lost, or the agent ended before it came.
enum Aftermath {
    /// The words in which it is so, and what takes it back.
    case inEffect(String, token: JSONObject?)
    /// Some of what it was to hit is hit: what takes that back.
    case inPart(token: JSONObject)
    case notInEffect
    /// The target has ended, by this deed or otherwise.
    case gone
    /// The world could not be asked; asked later it may answer.
    case unclear(ActionError)
    /// The world was asked and does not tell, and will not.
    case untold(ActionError)
    /// The same of a deed that leaves no trace: it must not be done a second time.
    case traceless(ActionError)
    /// Asked later, the world tells. Until then it must not be done a second time.
    case notYet(ActionError)
}

extension Engine {
    /// Looks at the target as if the same were to be done now. `deed`: the plan that was performed; missing where the journal has it no more. `age`: since it was begun; zero
    /// where it may be on its way still.
    func aftermath(of action: any Action, on target: Target, parameters: JSONObject, token: JSONObject?, deed: Plan?, age: Duration) async -> Aftermath {
        do throws(ActionError) {
            guard let parameters = try? Parameters(checking: parameters, for: action.description) else {
                throw ActionError(.invalid, "read the parameters on record", "they do not fit \(action.description.name)")
            }
            let seen = try await action.plan(ActionRequest(claim: .proved(target), parameters: parameters, token: token, time: surroundings.now()))
            switch action.trace(of: deed ?? seen, seen: seen, age: age) {
            case .inEffect(let words): return .inEffect(words, token: deed.flatMap { action.token(of: $0, seen: seen) })
            case .absent: return deed.flatMap { action.remains(of: $0, seen: seen) }.map { .inPart(token: $0) } ?? .notInEffect
            case .notYet(let words): return .notYet(ActionError(.unknown, "see what became of it", words))
            case .untold(let words): return .traceless(ActionError(.unknown, "see what became of it", words))
            }
        } catch {
            // Of a target of several members the first one may be gone, and others are held.
            guard let failure = error.failure else { return deed.flatMap { action.remains(of: $0, seen: nil) }.map { .inPart(token: $0) } ?? .gone }
            // A look that was called off, or broken off at the agent's end, has not asked the world.
            return failure.mayPass || failure == .cancelled || Task.isCancelled ? .unclear(error) : .untold(error)
        }
    }

    /// A deed failed. Where that does not prove that nothing happened the world is asked; where it does not tell, whatever takes the deed back is armed, so that
    /// nothing stays paused or cut off for ever.
    func settle(_ failure: ActionError, of plan: Plan, by action: any Action, _ draft: inout OutcomeDraft) async {
        if failure.failure == .partial {
            // The deed tells whom it hit; those whom an attempt before it had hit it took for strangers.
            let (hit, left) = (failure.evidence["undo_token"]?.object, action.remains(of: plan, seen: nil))
            return draft.standsInPart(failure, of: plan, token: hit.map { left.map($0.restoring(too:)) ?? $0 } ?? left)
        }
        guard failure.failure?.leavesDoubt == true || draft.isInDoubt else {
            // It is clear what failed; what had been done before that stands.
            guard let left = action.remains(of: plan, seen: nil) else { return draft.fail(failure) }
            return draft.standsInPart(failure, of: plan, token: left)
        }
        let order = draft.order
        switch await aftermath(of: action, on: plan.target, parameters: plan.parameters.json, token: order.token, deed: plan, age: .zero) {
        case .inEffect(let words, let token):
            draft.note(
                Performance(
                    .done, message: "the answer was lost (\(failure.message)); it is in effect: \(words)", undoToken: token),
                of: plan)
        case .inPart(let token): draft.standsInPart(failure, of: plan, token: token)
        case .notInEffect: draft.fail(failure)
        case .gone: draft.endedSince(failure)
        case .traceless(let error), .notYet(let error):
            draft.doubt(failure, error, of: plan, token: action.presumedToken(of: plan))
            draft.isDoneOnce = true
        case .unclear(let error), .untold(let error): draft.doubt(failure, error, of: plan, token: action.presumedToken(of: plan))
        }
    }
}
