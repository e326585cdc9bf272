package import RiposteCore
internal import RiposteRules

extension PlaybookDecoder {
    /// The key `require`, with its places: what is missing is found out where the playbook is to act.
    func requirements(_ node: YAMLNode, into playbook: inout Playbook) {
        let elements = node.list(orSingle: true) ?? []
        if elements.isEmpty { node.report(code: "P047", "require names nothing; leave it out, or name one of \(Self.abilityNames)") }
        for element in elements {
            guard let text = element.text() else { continue }
            guard let ability = Ability(rawValue: text) else {
                element.report(
                    code: "P047", "\"\(text)\" is nothing that can be required; known are \(Self.abilityNames)",
                    suggestion: nearMiss(to: text, among: Ability.allCases.map(\.rawValue)))
                continue
            }
            playbook.requires.append(Playbook.Requirement(ability: ability, place: element.place))
        }
    }

    private static var abilityNames: String { Ability.allCases.map(\.rawValue).sorted().joined(separator: ", ") }
}

extension PlaybookSet {
    /// What is wrong with these playbooks on a machine that lacks something: an error for each `require` that is not met.
    package func unmet(_ obstacle: (Ability) -> (problem: String, remedy: String?)?) -> [Diagnostic] {
        playbooks.filter(\.isEnabled).flatMap { playbook in
            playbook.requires.compactMap { requirement in
                guard let (problem, remedy) = obstacle(requirement.ability) else { return nil }
                let words = "playbook \(playbook.name) requires \(requirement.ability.rawValue), and this machine has no such thing: \(problem)"
                return Diagnostic(code: "P048", file: playbook.file, place: requirement.place, message: remedy.map { "\(words); \($0)" } ?? words)
            }
        }
    }
}
