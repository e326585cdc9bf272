package import RiposteCore
package import RipostePlaybooks
internal import Synchronization

/// An action on a world that is a set of names: what is asked, what is done, and how it fails, as the test says.
package final class RecordingAction: Action {
    package let description: ActionDescription
    private let world: RecordingWorld
    private let takesAway: Bool

    package init(
        _ name: ActionName, world: RecordingWorld, inverse: ActionName? = nil, target: ActionDescription.TargetKind = .container, takesAway: Bool = false,
        impact: ActionDescription.Impact = .reversible, needs: [String] = [], isPrompt: Bool = false
    ) {
        description = ActionDescription(
            name: name, summary: "Marks a target.", target: target, impact: impact,
            parameters: [
                Parameter("for", .duration(max: .seconds(3600)), summary: "How long."), Parameter("note", .text(maxBytes: 256), summary: "Kept in the evidence."),
                Parameter("grace", .duration(max: .seconds(3600)), summary: "How long it may take."),
            ], inverse: inverse, needs: needs, waits: "grace", isPrompt: isPrompt)
        self.world = world
        self.takesAway = takesAway
    }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let target = try world.target(of: request.claim)
        let isMarked = world.marks.contains(target.key)
        return Plan(
            action: description.name, target: target, parameters: request.parameters, alreadySo: isMarked != takesAway ? "it is so" : nil,
            summary: "mark \(target.key)", inverse: description.inverse)
    }

    package func marks() async throws(ActionError) -> [Target]? {
        guard !takesAway, description.needs.contains("CAP_NET_ADMIN") else { return nil }
        return world.marks.sorted().map { .container(ContainerIdentity(id: String($0.dropFirst(10)), name: "", image: "")) }
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        try await world.change(plan.target.key, takesAway: takesAway, by: description.name)
        var evidence = JSONObject()
        evidence.append("note", plan.parameters.text("note").map(JSON.string))
        var token: JSONObject = ["mark": .text(plan.target.key)]
        token.append("run", world.run(of: plan.target.key).map(JSON.integer))
        return Performance(.done, message: "marked", evidence: evidence, undoToken: token)
    }

    package func standing(of deed: StandingDeed) async throws(ActionError) -> Standing {
        let standing = try await standingByPlan(of: deed)
        guard case .missing = standing, let run = world.run(of: deed.target.key), deed.token?["run"] != .integer(run) else { return standing }
        return .restarted("it was started anew for the \(run). time")
    }
}

/// The world of recording actions.
package final class RecordingWorld: Sendable {
    fileprivate struct State {
        var marks: Set<String> = []
        var performed: [String] = []
        /// By action; nil stands for all of them. `left` is how many deeds more it fails.
        var failures: [ActionName?: (error: ActionError, left: Int)] = [:]
        var lostAnswer: ActionError?
        var isBlind = false
        var hasActed = false
        var gone: Set<String> = []
        var runs: [String: Int64] = [:]
        var gate: (@Sendable () async -> Void)?
    }

    fileprivate let state = Mutex(State())

    package init() {}

    package var marks: Set<String> { state.withLock(\.marks) }
    /// `action key`, in the order of the deeds.
    package var performed: [String] { state.withLock(\.performed) }
    /// Deeds fail, all of them or the next so many, of all actions or of one; nil: no more.
    package func fail(with error: ActionError?, times: Int = .max, action: ActionName? = nil) {
        state.withLock { $0.failures[action] = error.map { ($0, times) } }
    }
    /// Deeds take place, and the answer is this error; while it is so, looking at the world gives it too where `isBlind`.
    package func loseAnswers(with error: ActionError?, isBlind: Bool = false) {
        state.withLock { state in
            state.lostAnswer = error
            state.isBlind = isBlind && error != nil
        }
    }
    /// Somebody else takes a mark away.
    package func unmark(_ id: String) { state.withLock { _ = $0.marks.remove("container:\(id)") } }
    /// It is started anew, without its mark.
    package func restart(_ id: String) {
        state.withLock { state in
            state.marks.remove("container:\(id)")
            state.runs["container:\(id)", default: 0] += 1
        }
    }
    fileprivate func run(of key: String) -> Int64? { state.withLock { $0.runs[key] } }
    package func end(_ id: String) { state.withLock { _ = $0.gone.insert(id) } }
    /// Every deed waits for this.
    package func hold(_ gate: (@Sendable () async -> Void)?) { state.withLock { $0.gate = gate } }

    func target(of claim: TargetClaim) throws(ActionError) -> Target {
        let id: String
        switch claim {
        case .container(let claim): id = claim.reference
        case .proved(.container(let identity)): id = identity.id
        case .process(let claim):
            return .process(
                ProcessIdentity(pid: claim.pid, startTicks: 1, bootID: "b", startedAt: claim.startedAt ?? Timestamp(nanoseconds: 0), name: claim.name ?? ""))
        default: throw ActionError(.unresolved, "find it", "no container")
        }
        if let blind = state.withLock({ $0.isBlind && $0.hasActed ? $0.lostAnswer : nil }) { throw blind }
        guard !state.withLock({ $0.gone.contains(id) }) else { throw .gone("find \(id)", "it has ended") }
        return .container(ContainerIdentity(id: id, name: "c-\(id)", image: "i"))
    }

    func change(_ key: String, takesAway: Bool, by action: ActionName) async throws(ActionError) {
        if let gate = state.withLock(\.gate) { await gate() }
        let failure = state.withLock { state -> ActionError? in
            for key in [action, nil] {
                guard let (error, left) = state.failures[key], left > 0 else { continue }
                state.failures[key]?.left = left - 1
                return error
            }
            state.performed.append("\(action) \(key)")
            if takesAway { state.marks.remove(key) } else { state.marks.insert(key) }
            state.hasActed = true
            return state.lostAnswer
        }
        if let failure { throw failure }
    }
}

extension RecordingWorld {
    /// As if an action had done it and its answer was lost.
    package func markSilently(_ id: String) { state.withLock { _ = $0.marks.insert("container:\(id)") } }

    /// As if an action had done it and nobody had written it down.
    package func mark(_ id: String) async throws(ActionError) { try await change("container:\(id)", takesAway: false, by: "test") }
}
