internal import RiposteCore
internal import RiposteRules

/// Whether the steps of a playbook can follow from one another: where `goto` leads, and which steps nothing leads to.
extension PlaybookDecoder {
    func check(_ list: StepList) {
        for (index, entry) in list.entries.enumerated() {
            if case .goto(let name) = entry.step.onFailure { check(jumpTo: name, from: entry.step, entry.node, list) }
            for when in [entry.step.when, entry.step.block?.when].compactMap(\.self) {
                check(outcomesIn: when, of: entry.step, entry.node, Array(list.entries[..<index].map(\.step)), list)
            }
        }
    }

    private func check(jumpTo name: String, from step: Step, _ node: YAMLNode, _ list: StepList) {
        let own = list.places[step.block?.name ?? step.name] ?? 0
        guard let target = list.places[name] else {
            let isInside = list.names.contains(name)
            let message = isInside ? "goto leads to a block as a whole, and \"\(name)\" stands inside one" : "goto leads to \"\(name)\", and there is no such step"
            node.report(code: "P036", message, suggestion: isInside ? nil : nearMiss(to: name, among: Array(list.places.keys).sorted()))
            return
        }
        guard target > own else {
            node.report(code: "P036", "goto leads forward only, and \"\(name)\" does not stand after \(step.name): a run must come to an end")
            return
        }
    }

    /// A condition that asks for an outcome which the earlier step cannot have had when this one comes to its turn.
    private func check(outcomesIn when: WhenClause, of step: Step, _ node: YAMLNode, _ earlier: [Step], _ list: StepList) {
        for test in when.condition.condition.conjuncts {
            guard case .field(let field) = test.left, let (name, asked) = Self.outcomes(field, test, node) else { continue }
            guard !asked.isEmpty else { continue }
            let possible = possibleOutcomes(of: name, before: step, earlier, list)
            guard possible.isDisjoint(with: asked) else { continue }
            let words = asked.map(\.rawValue).sorted().joined(separator: ", ")
            node.report(code: "P038", "step \(step.name) can never run: \(name) does not end \(words) where the run goes on to it; see its on_failure and `needs`")
        }
    }

    /// Which outcomes of which step a test lets pass; words that are no outcome are reported.
    private static func outcomes(_ field: Condition.FieldReference, _ test: Condition.Test, _ node: YAMLNode) -> (String, Set<Outcome>)? {
        guard field.name.hasPrefix("steps."), field.name.hasSuffix(".outcome") else { return nil }
        let literals: [Condition.Literal]
        switch (test.comparison, test.right) {
        case (.equal, .literal(let literal)), (.within, .literal(let literal)): literals = [literal]
        case (.within, .list(let list)): literals = list
        default: return nil
        }
        var outcomes: Set<Outcome> = []
        for literal in literals {
            let word = String(decoding: literal.bytes, as: UTF8.self)
            if let outcome = Outcome(rawValue: word) {
                outcomes.insert(outcome)
            } else {
                let names = Outcome.allCases.map(\.rawValue)
                node.report(code: "P039", "\"\(word)\" is no outcome", suggestion: nearMiss(to: word, among: names))
            }
        }
        return (String(field.name.dropFirst("steps.".count).dropLast(".outcome".count)), outcomes)
    }

    private func possibleOutcomes(of name: String, before step: Step, _ earlier: [Step], _ list: StepList) -> Set<Outcome> {
        // While a person is asked the run rests, and an outcome that was taken back is that of another action.
        var possible = Set(Outcome.allCases).subtracting([.pending, .undone])
        if ((step.block?.needs ?? []) + step.needs).contains(name) { possible = [.done, .already, .planned] }
        let members = earlier.filter { $0.name == name || $0.block?.name == name }
        let place = list.places[step.block?.name ?? step.name] ?? 0
        let isPassable = members.contains { member in
            switch member.onFailure {
            case .continue: true
            case .stop, .undo: false
            case .goto(let target): (list.places[target] ?? 0) <= place
            }
        }
        if !members.isEmpty, !isPassable { possible.subtract([.failed, .refused, .expired]) }
        return possible
    }
}

extension Condition {
    /// The tests that must all hold.
    fileprivate var conjuncts: [Test] {
        switch self {
        case .and(let parts): parts.flatMap(\.conjuncts)
        case .test(let test): [test]
        case .or, .not, .macro: []
        }
    }
}
