internal import RiposteCore
internal import RiposteOutputs
internal import RiposteRules

extension AgentConfiguration.OutputsSection {
    /// Kept as it stands: what the keys of an output mean is known to its destination, which is made where outputs are used.
    mutating func read(_ node: YAMLNode) {
        let value = SettingsValue(node)
        // What is not set and what is empty are the same.
        guard value.shape != .null, value.shape != .list([]) else { return }
        file = node.file
        entries = value
    }
}

extension AgentConfiguration.OutputsSection {
    /// Of those that are not switched off.
    package var names: [String] {
        guard case .list(let outputs)? = entries?.shape else { return [] }
        return outputs.filter { $0["enabled"]?.text != "false" }.compactMap { $0["name"]?.text }
    }

    /// Whether what the agent prints by itself must go elsewhere.
    package var takeStandardOutput: Bool {
        guard case .list(let outputs)? = entries?.shape else { return false }
        return outputs.contains { $0["type"]?.text == "stdout" && $0["enabled"]?.text != "false" }
    }
}

extension SettingsValue {
    fileprivate init(_ node: YAMLNode) {
        let shape: Shape
        if node.isNull {
            shape = .null
        } else if let pairs = node.pairs {
            shape = .mapping(pairs.map { Member(key: $0.key, place: $0.keyNode.place, value: SettingsValue($0.value)) })
        } else if let elements = node.elements {
            shape = .list(elements.map { SettingsValue($0) })
        } else {
            shape = .scalar(node.scalarText ?? "", isPlain: node.plainText != nil)
        }
        self.init(shape, place: node.place)
    }
}
