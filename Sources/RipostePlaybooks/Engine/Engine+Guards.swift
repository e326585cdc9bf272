internal import RiposteCore

extension Engine {
    /// The first guard that says no, says it with its name.
    func askGuards(about plan: Plan) async throws(ActionError) {
        for each in guards {
            if let reason = await each.refusal(of: plan) { throw ActionError(.guarded, "guard \(each.name)", reason) }
        }
    }
}
