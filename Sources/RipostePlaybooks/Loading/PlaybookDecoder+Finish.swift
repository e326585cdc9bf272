internal import RiposteRules

/// `on_finish`: steps that see how all others ended, and only tell.
extension PlaybookDecoder {
    func finish(_ node: YAMLNode, of playbook: Playbook) -> [Step] {
        guard let nodes = node.list() else { return [] }
        if nodes.count > PlaybookKeys.finishLimit { node.report(code: "P002", "on_finish has at most \(PlaybookKeys.finishLimit) entries") }
        var names = Set(playbook.steps.map(\.name) + playbook.steps.compactMap(\.block?.name))
        let scope = ConditionScope(earlier: names.sorted(), target: nil)
        return nodes.enumerated().compactMap { index, node in finishStep(node, index + 1, &names, scope, playbook) }
    }

    private func finishStep(_ node: YAMLNode, _ position: Int, _ names: inout Set<String>, _ scope: ConditionScope, _ playbook: Playbook) -> Step? {
        guard let keys = mapping(node, PlaybookKeys.finish, "on_finish of playbook \(playbook.name)") else { return nil }
        let name = keys["name"].flatMap { $0.text() } ?? "finish-\(position)"
        if let node = keys["name"] { _ = isName(name, node) }
        if !names.insert(name).inserted { node.report(code: "P005", "another step is named \"\(name)\"; give this one a `name`") }
        guard let action = keys["action"].flatMap(action) else { return nil }
        if action.impact > .readsOnly { keys["action"]?.report(code: "P042", "\(action.name) acts; what on_finish does cannot: write it as a step") }
        var step = Step(
            name: name, action: action.name, parameters: parameters(keys["with"], of: action, scope, at: node), when: keys["when"].flatMap { when($0, scope) },
            onFailure: .continue, mode: nil)
        step.impact = action.impact
        step.timeLimit = keys["timeout"].flatMap(timeLimit)
        return step
    }
}
