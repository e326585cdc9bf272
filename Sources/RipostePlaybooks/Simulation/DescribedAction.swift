internal import RiposteCore

/// An action of the catalogue on a described world: named, checked and planned like the real one, performed on the description.
package struct DescribedAction: Action {
    package let description: ActionDescription
    /// Set where this one takes another back.
    private let undone: ActionName?
    private let scene: DescribedScene

    package init(_ description: ActionDescription, undoes: ActionName?, scene: DescribedScene) {
        self.description = description
        undone = undoes
        self.scene = scene
    }

    private enum Effect { case holds, letsGo(ActionName), ends, restarts, none }

    private func effect(_ parameters: Parameters) -> Effect {
        if let undone { return .letsGo(undone) }
        if let signal = parameters.signal("signal"), Self.harmless.contains(signal.name) { return .none }
        if description.inverse != nil { return .holds }
        switch description.impact {
        case .destroys: return .ends
        case .usersFeelIt: return .restarts
        case .reversible, .readsOnly: return .none
        }
    }

    /// Signals that end nobody who does not want to.
    private static let harmless: Set<String> = ["CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "WINCH"]

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let target = try scene.resolve(request.claim)
        let (effect, now) = (effect(request.parameters), scene.now())
        let (description, undone) = (description, undone)
        return try scene.withState { state throws(ActionError) in
            var plan = Plan(action: description.name, target: target, parameters: request.parameters, summary: Self.summary(description.name, target), inverse: description.inverse)
            switch effect {
            case .holds: if state.isMarked(target, description.name, at: now) { plan.alreadySo = "\(target.summary) is so already" }
            case .letsGo(let action): if !state.isMarked(target, action, at: now) { plan.alreadySo = "nothing of \(action) is left on \(target.summary)" }
            case .ends, .restarts, .none: break
            }
            if case .container(let identity) = target, undone == nil, plan.alreadySo == nil, let container = state.containers[String(identity.id.prefix(12))],
                state.isStopped(container)
            {
                throw ActionError(.conflict, plan.summary, "the container is not running")
            }
            if case .process(let identity) = target, request.parameters.bool("tree") {
                let members = state.tree(of: identity.pid)
                plan.facts = ["members": .array(members.map { ["pid": .integer(Int64($0.pid))] })]
                if members.count > 1 { plan.summary += " and \(members.count - 1) below it" }
            }
            return plan
        }
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let target = try scene.resolve(.proved(plan.target))
        let (effect, now, name) = (effect(plan.parameters), scene.now(), description.name)
        let isNew = scene.withState { state in
            switch effect {
            case .holds:
                guard !state.isMarked(target, name, at: now) else { return false }
                state.marks[target.key] =
                    (state.marks[target.key] ?? []).filter { $0.action != name } + [.init(action: name, until: plan.parameters.duration("for").map { now + $0 })]
            case .letsGo(let action):
                guard state.isMarked(target, action, at: now) else { return false }
                let rest = state.marks[target.key]?.filter { $0.action != action } ?? []
                state.marks[target.key] = rest.isEmpty ? nil : rest
            case .ends: state.end(target, plan)
            case .restarts: state.endProcesses(in: target)
            case .none: break
            }
            return true
        }
        let token: JSONObject? = description.inverse.map { ["inverse": .text($0.rawValue)] }
        return Performance(isNew ? .done : .already, message: isNew ? "\(plan.summary): done in the described world" : "it was so already", undoToken: isNew ? token : nil)
    }

    private static func summary(_ action: ActionName, _ target: Target) -> String { "\(action) \(target.summary)" }
}

extension DescribedScene.State {
    fileprivate mutating func end(_ target: Target, _ plan: Plan) {
        switch target {
        case .process(let identity):
            let below = plan.facts["members"]?.array?.compactMap { $0["pid"]?.integer.flatMap(Int32.init(exactly:)) } ?? []
            for member in [identity.pid] + below { if let process = processes[member] { ended[process.target.key] = true } }
        case .container:
            // It stands there, stopped, until somebody removes it.
            marks[target.key] = [.init(action: "container.stop", until: nil)]
        case .pod(let identity):
            for id in pods.first(where: { $0.uid == identity.uid })?.containers ?? [] {
                if let container = containers[String(id.prefix(12))] { ended[container.target.key] = true }
            }
            ended[target.key] = true
        case .address, .host: break
        }
        if case .container = target { return }
        marks[target.key] = nil
    }

    fileprivate mutating func endProcesses(in target: Target) {
        guard case .container(let identity) = target else { return }
        for process in processes.values where process.container.map({ identity.id.hasPrefix($0.prefix(12)) }) ?? false { ended[process.target.key] = true }
    }
}

extension DescribedScene {
    /// The same actions as on a machine, on this world.
    package func catalogue(_ descriptions: [ActionDescription]) -> ActionCatalogue {
        var undone: [ActionName: ActionName] = [:]
        for description in descriptions { if let inverse = description.inverse { undone[inverse] = description.name } }
        return ActionCatalogue(descriptions.map { DescribedAction($0, undoes: undone[$0.name], scene: self) })
    }
}
