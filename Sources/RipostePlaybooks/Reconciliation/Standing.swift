package import RiposteCore

/// What an action did earlier and what it left, for its third look: ``Action/standing(of:)``.
package struct StandingDeed: Sendable {
    package var target: Target
    package var parameters: Parameters
    package var token: JSONObject?
    package var since: Timestamp
    package var time: Timestamp

    package init(target: Target, parameters: Parameters = Parameters(), token: JSONObject? = nil, since: Timestamp, time: Timestamp = .now()) {
        self.target = target
        self.parameters = parameters
        self.token = token
        self.since = since
        self.time = time
    }
}

/// Whether what a deed did is still so. The words say what is otherwise, for people.
package enum Standing: Sendable, Equatable {
    case stands
    /// It is not so any more.
    case missing(String)
    /// The target runs anew, and what was done went with its old run: nobody has undone us.
    case restarted(String)
    /// It is there, and not as it was left.
    case changed(String)
    /// It has ended by itself, as it was to.
    case expired(String)
    /// The target has ended.
    case gone(String)
}

extension Action {
    /// What a plan for the same says: already so, or to be done again.
    package func standingByPlan(of deed: StandingDeed) async throws(ActionError) -> Standing {
        do throws(ActionError) {
            let plan = try await plan(ActionRequest(claim: .proved(deed.target), parameters: deed.parameters, token: deed.token, time: deed.time))
            return plan.alreadySo == nil ? .missing("it is not so any more") : .stands
        } catch {
            guard error.failure == nil else { throw error }
            return .gone(error.message)
        }
    }
}

extension ActionDescription {
    /// It changes packets' ways and not what it is named after: put right without harm to anybody who runs.
    var touchesNetwork: Bool { needs.contains("CAP_NET_ADMIN") }
    /// Whether its acts stand is asked of nobody but the kernel, which answers at once.
    var isToldByKernel: Bool {
        switch target {
        case .process, .address, .host: true
        case .container, .pod: false
        }
    }
}
