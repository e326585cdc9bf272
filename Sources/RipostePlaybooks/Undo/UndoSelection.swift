package import RiposteCore

/// Which of the acts in force are meant: all that is said must hold.
package struct UndoSelection: Sendable, Equatable {
    /// Any of these.
    package var actions: [Identifier] = []
    package var incident: Identifier?
    package var playbook: String?
    package var alert: Identifier?
    /// What a person calls a target: see ``Target/isMeant(by:)``.
    package var target: String?
    /// Acted no longer ago than this.
    package var within: Duration?
    /// Everything that is in force, where nothing else is said.
    package var isAll = false

    package init() {}

    package init(_ action: Identifier) { actions = [action] }

    /// Nothing is said: then nothing is meant.
    package var isEmpty: Bool {
        actions.isEmpty && incident == nil && playbook == nil && alert == nil && target == nil && within == nil && !isAll
    }

    package func includes(_ undo: EngineState.OpenUndo, at now: Timestamp) -> Bool {
        guard !isEmpty else { return false }
        if !actions.isEmpty, !actions.contains(where: { $0 == undo.action || undo.absorbed.contains($0) }) { return false }
        if let incident, undo.incident != incident { return false }
        if let playbook, undo.playbook != playbook { return false }
        if let alert, undo.alert != alert { return false }
        if let target, !undo.target.isMeant(by: target) { return false }
        if let within, now - undo.since > within { return false }
        return true
    }
}

extension Target {
    /// Whether a person who writes `reference` may mean this target: a container's id, the beginning of it, or its name; a process's pid; a pod's name, with
    /// or without its namespace, or its UID; an address or a block; `host`; or the key that the journal uses.
    package func isMeant(by reference: String) -> Bool {
        if reference == key { return true }
        switch self {
        case .process(let process): return reference == "\(process.pid)"
        case .container(let container):
            return reference == container.name || (reference.utf8.count >= 6 && container.id.hasPrefix(reference.lowercased()))
        case .pod(let pod): return reference == pod.name || reference == "\(pod.namespace)/\(pod.name)" || reference == pod.uid
        case .address(let network): return IPNetwork(reference) == network
        case .host: return reference == "host"
        }
    }

    /// What ``isMeant(by:)`` takes, short.
    package var reference: String {
        switch self {
        case .process(let process): "\(process.pid)"
        case .container(let container): String(container.id.prefix(12))
        case .pod(let pod): "\(pod.namespace)/\(pod.name)"
        case .address(let network): "\(network)"
        case .host: "host"
        }
    }
}
