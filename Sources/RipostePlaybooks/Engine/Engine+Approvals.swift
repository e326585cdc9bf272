internal import RiposteCore

extension Engine {
    /// Mode `ask`: the plan waits for a person.
    func putToPerson(_ plan: Plan, _ draft: inout OutcomeDraft) throws(ActionError) {
        draft.end(.pending, "would \(plan.summary); waits for a person")
    }
}
