import RiposteCore
import RipostePlaybooks

extension Action {
    /// Plans and, unless the plan says that nothing is to do, performs: what the engine does between its guards.
    func carryOut(_ claim: TargetClaim, _ with: JSONObject = [:], token: JSONObject? = nil) async throws -> Performance {
        let plan = try await plan(ask(claim, with, token: token))
        if let reason = plan.alreadySo { return Performance(.already, message: reason) }
        return try await perform(plan)
    }

    func ask(_ claim: TargetClaim, _ with: JSONObject = [:], token: JSONObject? = nil, at time: Timestamp = .now()) throws -> ActionRequest {
        ActionRequest(claim: claim, parameters: try Parameters(checking: with, for: description), token: token, time: time)
    }

    /// How it fails: the class, or `gone`, or `ok` where it does not.
    func verdict(_ claim: TargetClaim, _ with: JSONObject = [:], at time: Timestamp = .now()) async throws -> String {
        let request = try ask(claim, with, at: time)
        do throws(ActionError) {
            _ = try await plan(request)
            return "ok"
        } catch {
            return error.failure?.rawValue ?? "gone"
        }
    }
}
