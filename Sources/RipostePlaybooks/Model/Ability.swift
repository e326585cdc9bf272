/// What a machine must be able to do for a playbook to act as it says.
package enum Ability: String, CaseIterable, Sendable, Comparable {
    /// Signals to processes that are pinned: pidfd, CAP_KILL.
    case processes
    /// The container engine's socket.
    case containers
    /// The Kubernetes API.
    case kubernetes
    /// nf_tables, CAP_NET_ADMIN.
    case nftables
    /// The own sensor, in a kernel whose programs may send signals.
    case reflexes

    package static func < (left: Ability, right: Ability) -> Bool { left.rawValue < right.rawValue }
}

extension ActionDescription {
    /// Empty: it only tells.
    package var abilities: Set<Ability> {
        var abilities: Set<Ability> = touchesNetwork ? [.nftables] : []
        guard impact > .readsOnly else { return [] }
        switch target {
        case .process: abilities.insert(.processes)
        case .container: abilities.insert(.containers)
        case .pod: abilities.insert(.kubernetes)
        case .address, .host: break
        }
        return abilities
    }
}

extension Playbook {
    /// What its steps need, by step; those with a reflex need that beside what its action needs.
    package func abilities(_ catalogue: ActionCatalogue) -> [(step: String, abilities: Set<Ability>)] {
        steps.map { step in
            let actions = [step.action, step.hold, step.escalation?.action].compactMap(\.self)
            let needed = actions.compactMap { catalogue[$0]?.description.abilities }.reduce(into: Set<Ability>()) { $0.formUnion($1) }
            return (step.name, step.isReflex ? needed.union([.reflexes]) : needed)
        }
    }
}
