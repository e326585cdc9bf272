package import RiposteCore
internal import Synchronization

/// A condition over the fields of alerts, ready to judge. Alerts come from any source, so fields of all are known, and those of people's own.
package struct CompiledCondition: Sendable {
    package let condition: Condition
    /// Every field that the condition reads, in order of appearance: `proc.name`, `proc.aname[2]`.
    package let fields: [String]
    /// Fields that are tested under a `not` and nowhere for `exists`: the test holds where the value is missing, which is when it matters most.
    package let negatedWithoutExists: [String]
    private let alone: ConditionSet

    /// With a scope the condition may ask its fields, too; then it is judged with an event that has them.
    package init(parsing text: String, scope: ConditionScope? = nil) throws(ConditionError) { try self.init(Condition(parsing: text), scope: scope) }

    package init(_ condition: Condition, scope: ConditionScope? = nil) throws(ConditionError) {
        var compiler = ConditionCompiler(graph: ConditionGraph(), fields: scope.map { .alertsAnd($0) } ?? .alerts, macro: Self.noMacro)
        let node = try compiler.node(condition)
        self.condition = condition
        fields = compiler.fields
        let proved = compiler.provedToExist
        negatedWithoutExists = compiler.negated.filter { !proved.contains($0) }
        alone = ConditionSet(plan: PlanBuilder.plan(compiler.graph, roots: [node], narrowsByType: false))
    }

    /// Whether the condition holds. Absent fields make comparisons false, and so `not` of them true.
    package func matches(_ event: any RuleEvent) -> Bool { alone.judging(event) { $0.holds(0) } }

    package func matches(_ alert: Alert) -> Bool { matches(AlertEvent(alert)) }

    fileprivate static func noMacro(_ compiler: inout ConditionCompiler, _ name: String, _ offset: Int) throws(ConditionError) -> ConditionGraph.NodeID {
        throw ConditionError("\"\(name)\" is no field, and macros are not available here", at: offset, kind: .unknownMacro)
    }
}

/// Many conditions in one plan: what several ask is asked once per alert.
package final class ConditionSet: Sendable {
    private let plan: RulePlan
    /// Judges at rest; each is used by one thread at a time.
    private let judges = Mutex(Judges())

    private struct Judges: @unchecked Sendable {
        // Only under the lock are judges taken and given back; one that is out belongs to whoever took it.
        var resting: [RuleJudge] = []
    }

    fileprivate init(plan: RulePlan) { self.plan = plan }

    package init(_ conditions: [CompiledCondition]) {
        var compiler = ConditionCompiler(graph: ConditionGraph(), fields: .alerts, macro: CompiledCondition.noMacro)
        var roots: [Int] = []
        for condition in conditions {
            guard let node = try? compiler.node(condition.condition) else { preconditionFailure("the condition has been compiled before") }
            roots.append(node)
        }
        plan = PlanBuilder.plan(compiler.graph, roots: roots, narrowsByType: false)
    }

    /// Lends a judge that has begun with the event; `holds(n)` of it asks the n-th condition.
    package func judging<Result>(_ event: any RuleEvent, _ body: (RuleJudge) -> Result) -> Result {
        let judge = judges.withLock { $0.resting.popLast() } ?? RuleJudge(plan)
        judge.begin(event)
        let result = body(judge)
        judges.withLock { if $0.resting.count < 64 { $0.resting.append(judge) } }
        return result
    }
}
