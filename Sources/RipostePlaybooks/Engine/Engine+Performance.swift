internal import RiposteCore

extension Engine {
    /// The deed itself.
    func performance(of plan: Plan, by action: any Action, _ order: Order) async throws(ActionError) -> Performance {
        try await action.perform(plan)
    }
}
