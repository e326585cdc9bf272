internal import RiposteCore
internal import RipostePlaybooks
internal import RiposteRules

extension UndoSettings {
    /// `undo: { pardon, max: { ACTION: DURATION } }`.
    mutating func read(_ node: YAMLNode) {
        guard let keys = node.mapping(known: ["pardon", "max"], what: "undo", code: "C002") else { return }
        if let value = keys["pardon"]?.period() { pardon = value }
        guard let node = keys["max"], !node.isNull, let members = node.members(code: "C003") else { return }
        for (name, keyNode, value) in members {
            guard name.split(separator: ".").count == 2 else {
                keyNode.report(code: "C003", "expected an action such as container.isolate")
                continue
            }
            if let time = value.duration(code: "C003") { limits[ActionName(rawValue: name)] = time }
        }
    }
}

extension ReconciliationSettings {
    /// `reconcile: { every, network, others, orphans }`.
    mutating func read(_ node: YAMLNode) {
        guard let keys = node.mapping(known: ["every", "network", "others", "orphans"], what: "reconcile", code: "C002") else { return }
        if let node = keys["every"], let value = node.period() {
            if value != .zero, value < .seconds(1) { node.report(code: "C003", "expected at least 1s, or `off`") }
            every = value == .zero ? nil : value
        }
        if let value = keys["network"]?.choice(Policy.self, code: "C003") { network = value }
        if let value = keys["others"]?.choice(Policy.self, code: "C003") { others = value }
        if let value = keys["orphans"]?.choice(Policy.self, code: "C003") { orphans = value }
    }
}

extension YAMLNode {
    /// A duration, or `off` for none: zero.
    fileprivate func period() -> Duration? {
        if scalarText == "off" { return .zero }
        return duration(code: "C003")
    }
}
