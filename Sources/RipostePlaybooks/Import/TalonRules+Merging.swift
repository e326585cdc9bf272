internal import RiposteCore

/// What several entries of one name come to. Talon merges in two steps: entries of the same name over all files, then each rule's action with
/// the definition that has its name.
extension TalonRules {
    /// The first entry of a name keeps its place in the order; later ones change it.
    static func merged(rules: [Rule]) -> [Rule] {
        var result: [Rule] = []
        for rule in rules {
            if let index = result.firstIndex(where: { $0.name == rule.name }) { result[index].take(rule) } else { result.append(rule) }
        }
        return result
    }

    static func merged(actions: [Action]) -> [Action] {
        var result: [Action] = []
        for action in actions {
            if let index = result.firstIndex(where: { $0.name == action.name }) { result[index].take(action) } else { result.append(action) }
        }
        return result
    }
}

extension TalonRules.Rule {
    /// Texts and switches are replaced, lists grow, and priority and source are replaced even by nothing.
    fileprivate mutating func take(_ later: Self) {
        if !later.description.isEmpty { description = later.description }
        isFollowed = later.isFollowed ?? isFollowed
        isDryRun = later.isDryRun ?? isDryRun
        notifiers += later.notifiers
        actions += later.actions
        match.rules += later.match.rules
        match.tags += later.match.tags
        match.fields += later.match.fields
        match.priority = later.match.priority
        match.source = later.match.source
    }
}

extension TalonRules.Action {
    fileprivate mutating func take(_ later: Self) {
        if !later.actionner.isEmpty { actionner = later.actionner }
        if !later.description.isEmpty { description = later.description }
        isFollowed = later.isFollowed ?? isFollowed
        ignoresErrors = later.ignoresErrors ?? ignoresErrors
        additionalContexts += later.additionalContexts
        parameters.take(later.parameters)
        guard let other = later.output else { return }
        output = output ?? .init(target: "", parameters: JSONObject())
        if output?.target.isEmpty == true { output?.target = other.target }
        output?.parameters.take(other.parameters)
    }

    /// What the rule does not say itself it has from the definition of the same name.
    mutating func complete(from definition: Self) {
        if actionner.isEmpty { actionner = definition.actionner }
        if description.isEmpty { description = definition.description }
        isFollowed = isFollowed ?? definition.isFollowed
        ignoresErrors = ignoresErrors ?? definition.ignoresErrors
        if additionalContexts.isEmpty { additionalContexts = definition.additionalContexts }
        parameters.complete(from: definition.parameters)
        guard let other = definition.output else { return }
        output = output ?? .init(target: "", parameters: JSONObject())
        if output?.target.isEmpty == true { output?.target = other.target }
        output?.parameters.complete(from: other.parameters)
    }
}

extension JSONObject {
    /// Later scalars replace, lists are joined, mappings take keys over. A value of another kind than the one that is there is dropped.
    fileprivate mutating func take(_ later: JSONObject) {
        for member in later.members where member.value != .null {
            guard let index = index(of: member.key) else {
                members.append(member)
                continue
            }
            switch (members[index].value, member.value) {
            case (.array(let own), .array(let more)): members[index].value = .array(own + more)
            case (.object(let own), .object(let more)): members[index].value = .object(own.overridden(by: more))
            case (let own, let other) where own.isScalar && own.hasKind(of: other): members[index].value = other
            default: break
            }
        }
    }

    /// Own scalars stay, the definition's list comes first, and keys of the definition's mappings win over own ones.
    fileprivate mutating func complete(from definition: JSONObject) {
        for member in definition.members where member.value != .null {
            guard let index = index(of: member.key) else {
                members.append(member)
                continue
            }
            switch (members[index].value, member.value) {
            case (.array(let own), .array(let first)): members[index].value = .array(first + own)
            case (.object(let own), .object(let more)): members[index].value = .object(own.overridden(by: more))
            case (.null, let other): members[index].value = other
            default: break
            }
        }
    }

    private func overridden(by other: JSONObject) -> JSONObject {
        var result = self
        for member in other.members {
            if let index = result.index(of: member.key) { result.members[index] = member } else { result.members.append(member) }
        }
        return result
    }

    private func index(of key: ByteText) -> Int? { members.firstIndex { $0.key == key } }
}

extension JSON {
    fileprivate var isScalar: Bool { array == nil && object == nil }

    fileprivate func hasKind(of other: JSON) -> Bool {
        switch (self, other) {
        case (.bool, .bool), (.integer, .integer), (.string, .string), (.number, .number), (.null, _): true
        default: false
        }
    }
}
