package import RiposteCore

/// One rule, checked and compiled.
package struct Rule: Sendable {
    enum ExtraField: Sendable {
        case field(OutputTemplate.Token)
        case template(OutputTemplate)
    }

    package let name: String
    package let description: String
    package let priority: Priority
    package let source: String
    /// Sorted.
    package let tags: [String]
    /// Whether it judges events: enabled in its file, not switched off, and grave enough.
    package let isArmed: Bool
    /// With its exceptions, macros by name, lists in full.
    package let condition: Condition
    package let types: EventTypes
    package let file: String
    package let place: Diagnostic.Place?
    /// The output as it was written, with what was added to it.
    package let outputText: String
    /// Where it was asked for, and the rule is armed.
    package let explanation: PlanExplanation?
    let output: OutputTemplate
    let extraFields: [(String, ExtraField)]
}

/// Rules ready to judge, each source's by a plan of its own. Immutable.
package final class RuleSet: Sendable {
    package struct Source: Sendable {
        package let plan: RulePlan
        /// By condition of the plan, the index of its rule.
        let rules: [Int]
        /// What the plan was made of, for the kernel's part of the work; empty for other sources than `syscall`.
        let graph: ConditionGraph
        let roots: [ConditionGraph.NodeID]
    }

    /// In the order in which they judge: that of their first definitions.
    package let rules: [Rule]
    package let sources: [String: Source]
    package let matching: RulesSettings.Matching
    let macros: [String: Condition]

    init(rules: [Rule], sources: [String: Source], matching: RulesSettings.Matching, macros: [String: Condition]) {
        self.rules = rules
        self.sources = sources
        self.matching = matching
        self.macros = macros
    }

    /// The event sources that Riposte has fields for.
    package static let knownSources = ["syscall", "k8s_audit"]

    package func rule(named name: String) -> Rule? { rules.first { $0.name == name } }

    /// The rule's condition with all macros written out; of monstrous ones, as many as a person could read.
    package func expandedCondition(of rule: Rule) -> Condition {
        var (depth, budget) = (0, 10_000)
        func macro(_ name: String) -> Condition? {
            guard depth < 32, budget > 0, let condition = macros[name] else { return nil }
            (depth, budget) = (depth + 1, budget - 1)
            defer { depth -= 1 }
            return condition.expanded(macro)
        }
        return rule.condition.expanded(macro)
    }
}

/// Judges the events of one source by a set of rules. One thread uses it; a set is swapped by making a new one between two events.
package final class RuleSetJudge {
    package let ruleSet: RuleSet
    private let source: RuleSet.Source?
    private let judge: RuleJudge?
    private let stopsAtFirst: Bool

    package init(_ ruleSet: RuleSet, source: String) {
        self.ruleSet = ruleSet
        stopsAtFirst = ruleSet.matching == .first
        self.source = ruleSet.sources[source]
        judge = self.source.map { RuleJudge($0.plan) }
    }

    /// Calls `body` for each rule that holds, in the order of the rules, with the judge that can tell the event's values.
    package func judge(_ event: any RuleEvent, _ body: (Rule, RuleJudge) throws -> Void) rethrows {
        guard let judge else { return }
        let held = judge.judge(event, stopsAtFirst: stopsAtFirst)
        // Of most events nothing holds, and to look into the set costs as much as a test.
        guard !held.isEmpty, let source else { return }
        for condition in held { try body(ruleSet.rules[source.rules[Int(condition)]], judge) }
    }

    /// Calls `body` with a rule, whether it holds or not; false where there is none of that name.
    package func tell(_ event: any RuleEvent, _ name: String, _ body: (Rule, RuleJudge) -> Void) -> Bool {
        guard let judge, let rule = ruleSet.rule(named: name) else { return false }
        judge.begin(event)
        body(rule, judge)
        return true
    }

    /// How many rules hold; for measuring.
    package func count(_ event: any RuleEvent) -> Int { judge?.judge(event, stopsAtFirst: ruleSet.matching == .first).count ?? 0 }
}
