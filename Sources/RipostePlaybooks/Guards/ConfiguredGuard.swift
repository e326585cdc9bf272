internal import RiposteCore

/// A guard of the configuration, at work.
package struct ConfiguredGuard: Guard {
    package let rule: GuardRule
    private let world: any TargetFacts

    package init(_ rule: GuardRule, world: any TargetFacts) {
        self.rule = rule
        self.world = world
    }

    package var name: String { rule.name }
    package var isBuiltIn: Bool { false }

    package func answer(to question: GuardQuestion) async -> GuardAnswer? {
        guard rule.concerns(question) else { return nil }
        let facts: GuardFacts
        do throws(ActionError) { facts = try await world.facts(of: question.plan, rule.needs) } catch {
            // Of what has ended nothing can be protected; the deed will say so.
            guard error.failure != nil else { return nil }
            return refusal("whether it applies could not be found out: \(error.message)")
        }
        switch rule.verdict(on: facts) {
        case .passes: return nil
        case .unclear(let reason): return refusal(reason)
        case .holds(let reason):
            switch rule.answer {
            case .refuse: return refusal(reason)
            case .ask: return GuardAnswer(name: rule.name, place: rule.place, verdict: .atMost(.ask), reason: reason)
            case .observe: return GuardAnswer(name: rule.name, place: rule.place, verdict: .atMost(.observe), reason: reason)
            }
        }
    }

    private func refusal(_ reason: String) -> GuardAnswer { GuardAnswer(name: rule.name, place: rule.place, verdict: .refuse, reason: reason) }
}
