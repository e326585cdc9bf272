import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Synchronization
import Testing

/// Containers that run, are paused, or have ended; and the deeds, in their order.
final class ContainerStage: Sendable {
    enum Condition { case running, paused, ended }

    struct Contents {
        var conditions: [String: Condition] = [:]
        var deeds: [String] = []
        /// What the plan says the target is, where it is no longer what was asked for.
        var replacement: String?
    }

    private let contents = Mutex(Contents())

    var deeds: [String] { contents.withLock(\.deeds) }
    var kills: Int { deeds.count { $0.hasPrefix("container.kill") } }
    func condition(_ id: String) -> Condition { contents.withLock { $0.conditions[id] ?? .running } }
    func change(_ body: (inout Contents) -> Void) { contents.withLock { body(&$0) } }

    var catalogue: ActionCatalogue {
        ActionCatalogue([
            StageAction("container.pause", self, from: .running, to: .paused, .reversible, inverse: "container.unpause"),
            StageAction("container.unpause", self, from: .paused, to: .running, .reversible),
            StageAction("container.kill", self, from: nil, to: .ended, .destroys), StageAction("container.note", self, from: nil, to: nil, .reversible),
        ])
    }
}

private struct StageAction: Action {
    let description: ActionDescription
    let stage: ContainerStage
    let from: ContainerStage.Condition?
    let to: ContainerStage.Condition?

    init(
        _ name: ActionName, _ stage: ContainerStage, from: ContainerStage.Condition?, to: ContainerStage.Condition?, _ impact: ActionDescription.Impact,
        inverse: ActionName? = nil
    ) {
        description = ActionDescription(name: name, summary: "", target: .container, impact: impact, inverse: inverse)
        (self.stage, self.from, self.to) = (stage, from, to)
    }

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        var id: String
        switch request.claim {
        case .container(let claim): id = claim.reference
        case .proved(.container(let identity)): id = identity.id
        default: throw ActionError(.unresolved, "find it", "no container")
        }
        stage.change { if let other = $0.replacement { id = other } }
        let condition = stage.condition(id)
        if condition == .ended { throw .gone("find \(id)", "it has ended") }
        return Plan(
            action: description.name, target: .container(ContainerIdentity(id: id, name: "c", image: "i")), parameters: request.parameters,
            alreadySo: condition == to || (from != nil && condition != from) ? "it is so" : nil, summary: "\(description.name) \(id)", inverse: description.inverse)
    }

    func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        guard case .container(let identity) = plan.target else { throw ActionError(.invalid, "perform", "no container") }
        stage.change { contents in
            contents.deeds.append("\(description.name) \(identity.id)")
            if let to { contents.conditions[identity.id] = to }
        }
        return Performance(.done)
    }
}

func person(_ name: String, _ uid: UInt32, groups: Set<String> = []) -> Person { Person(AuditRecord.Actor(.person, name: name, uid: uid), groups: groups) }

extension Bench {
    convenience init(
        stage: ContainerStage, _ playbooks: String, mode: Mode = .enforce, state: EngineState = EngineState(), guards: [any Guard] = [], clock: HandClock = HandClock(),
        configure: (inout Engine.Configuration) -> Void = { _ in }
    ) throws { try self.init(playbooks, mode: mode, state: state, guards: guards, clock: clock, catalogue: stage.catalogue, configure: configure) }

    /// The only question that is open.
    func question(sourceLocation: SourceLocation = #_sourceLocation) throws -> ApprovalRequest {
        let open = engine.snapshot.approvals.requests.values
        try #require(open.count == 1, sourceLocation: sourceLocation)
        return try #require(open.first, sourceLocation: sourceLocation)
    }

    /// Time passes, and all that comes of it is seen through.
    func settle(after length: Duration) async {
        await pass(length)
        await engine.idle()
    }

    var outcomes: [String] { log.records.filter { $0.kind == .outcome }.map { "\($0.action ?? "") \($0.outcome?.rawValue ?? "")" } }
}
