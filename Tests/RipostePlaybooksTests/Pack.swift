import RiposteCore
import RipostePlaybooks
import Synchronization

/// Containers whose processes are stopped and woken one after the other, as those of a tree are: a deed may break off between two of them.
final class Pack: Sendable {
    static let size = 3

    struct State {
        var stopped: [String: Set<Int>] = [:]
        /// Deeds of this action break off after so many processes.
        var breaksOff: (action: ActionName, after: Int, error: ActionError, times: Int)?
        var ended: [String: Set<Int>] = [:]
    }

    private let state = Mutex(State())

    func stopped(_ id: String = Bench.one) -> Set<Int> { state.withLock { $0.stopped[id, default: []] } }
    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }
    func breakOff(_ action: ActionName, after count: Int, _ failure: FailureClass, times: Int = 1) {
        change { $0.breaksOff = (action, count, ActionError(failure, "\(action)", "it broke off"), times) }
    }

    var actions: [any Action] { [PackAction("container.pause", self, stops: true, inverse: "container.unpause"), PackAction("container.unpause", self, stops: false)] }
    var catalogue: ActionCatalogue { ActionCatalogue(actions) }

    fileprivate func living(_ id: String) -> [Int] { state.withLock { state in (0..<Self.size).filter { !state.ended[id, default: []].contains($0) } } }

    fileprivate func change(_ id: String, _ members: [Int], to isStopped: Bool, by action: ActionName) throws(ActionError) -> [Int] {
        var hit: [Int] = []
        for member in members {
            let error = state.withLock { state -> ActionError? in
                if let fault = state.breaksOff, fault.action == action, fault.after == hit.count, fault.times > 0 {
                    state.breaksOff?.times -= 1
                    return fault.error
                }
                if isStopped { state.stopped[id, default: []].insert(member) } else { state.stopped[id, default: []].remove(member) }
                return nil
            }
            if let error { throw error }
            hit.append(member)
        }
        return hit
    }
}

private struct PackAction: Action {
    let description: ActionDescription
    let pack: Pack
    let stops: Bool

    init(_ name: ActionName, _ pack: Pack, stops: Bool, inverse: ActionName? = nil) {
        description = ActionDescription(
            name: name, summary: "", target: .container, impact: .reversible, parameters: [Parameter("for", .duration(max: .seconds(3600)), summary: "How long.")],
            inverse: inverse)
        (self.pack, self.stops) = (pack, stops)
    }

    /// Without a token the first process is meant alone, where it is to go on.
    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let id: String
        switch request.claim {
        case .container(let claim): id = claim.reference
        case .proved(.container(let identity)): id = identity.id
        default: throw ActionError(.unresolved, "find it", "no container")
        }
        let living = pack.living(id)
        let members = stops ? living : (request.token.map(Self.members) ?? [0]).filter(living.contains)
        guard !members.isEmpty, !stops || living.contains(0) else { throw .gone("find \(id)", "it has ended") }
        let stopped = pack.stopped(id)
        return Plan(
            action: description.name, target: .container(ContainerIdentity(id: id, name: "c", image: "i")), parameters: request.parameters,
            facts: ["members": .array(members.map { .integer(Int64($0)) }), "stopped": .array(stopped.sorted().map { .integer(Int64($0)) })],
            alreadySo: members.allSatisfy { stopped.contains($0) == stops } ? "it is so" : nil, summary: "\(description.name) \(members)", inverse: description.inverse)
    }

    func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        guard case .container(let identity) = plan.target else { throw ActionError(.invalid, "perform", "no container") }
        let before = pack.stopped(identity.id)
        let hit = try pack.change(identity.id, Self.members(plan.facts), to: stops, by: description.name)
        guard stops else { return Performance(.done) }
        return Performance(.done, undoToken: Self.token(hit.filter { !before.contains($0) }))
    }

    func presumedToken(of plan: Plan) -> JSONObject? { stops ? Self.token(Self.ours(plan)) : nil }

    func remains(of plan: Plan, seen: Plan?) -> JSONObject? {
        guard stops, case .container(let identity) = plan.target else { return nil }
        let left = Self.ours(plan).filter(pack.stopped(identity.id).contains)
        return left.isEmpty ? nil : Self.token(left)
    }

    private static func token(_ members: [Int]) -> JSONObject { ["members": .array(members.map { .integer(Int64($0)) })] }
    private static func members(_ object: JSONObject) -> [Int] { object["members"]?.array?.compactMap { $0.integer.map(Int.init) } ?? [] }
    private static func ours(_ plan: Plan) -> [Int] {
        let stopped = plan.facts["stopped"]?.array ?? []
        return (plan.facts["members"]?.array ?? []).filter { !stopped.contains($0) }.compactMap { $0.integer.map(Int.init) }
    }
}
