internal import RiposteCore

/// What the world says of a deed that may or may not have taken place: its answer was lost, or the agent ended before it came.
enum Aftermath {
    /// The words in which it is so.
    case inEffect(String)
    case notInEffect
    /// The target has ended, by this deed or otherwise.
    case gone
    /// The world could not be asked; asked later it may answer.
    case unclear(ActionError)
    /// The world was asked and does not tell, and will not.
    case untold(ActionError)
}

extension Engine {
    /// Looks at the target as if the same were to be done now.
    func aftermath(of action: any Action, on target: Target, parameters: JSONObject, token: JSONObject?) async -> Aftermath {
        do throws(ActionError) {
            guard let parameters = try? Parameters(checking: parameters, for: action.description) else {
                throw ActionError(.invalid, "read the parameters on record", "they do not fit \(action.description.name)")
            }
            let plan = try await action.plan(ActionRequest(claim: .proved(target), parameters: parameters, token: token, time: surroundings.now()))
            return plan.alreadySo.map(Aftermath.inEffect) ?? .notInEffect
        } catch {
            guard let failure = error.failure else { return .gone }
            return failure.mayPass ? .unclear(error) : .untold(error)
        }
    }

    /// A deed failed. Where that does not prove that nothing happened the world is asked; where it does not tell, whatever takes the deed back is armed, so that
    /// nothing stays paused or cut off for ever.
    func settle(_ failure: ActionError, of plan: Plan, by action: any Action, _ draft: inout OutcomeDraft) async {
        if failure.failure == .partial { return draft.standsInPart(failure, of: plan) }
        guard failure.failure?.leavesDoubt == true || draft.isInDoubt else { return draft.fail(failure) }
        let order = draft.order
        switch await aftermath(of: action, on: plan.target, parameters: plan.parameters.json, token: order.token) {
        case .inEffect(let words):
            draft.note(
                Performance(
                    .done, message: "the answer was lost (\(failure.message)); it is in effect: \(words)", undoToken: action.presumedToken(of: plan)),
                of: plan)
        case .notInEffect: draft.fail(failure)
        case .gone: draft.end(.gone, "\(failure.message); the target has ended since, by this action or otherwise")
        case .unclear(let error), .untold(let error): draft.doubt(failure, error, of: plan, token: action.presumedToken(of: plan))
        }
    }
}
