internal import RiposteCore

/// What the kernel hands up for a set of rules: by type of event what passes.
package struct KernelFilters: Sendable {
    package enum Passing: Equatable, Sendable {
        /// No armed rule can match events of the type.
        case nothing
        /// What passes one of the clauses.
        case some(KernelFilter)
        /// All: the conditions of these rules, indices into ``RuleSet/rules``, say nothing that the kernel could test.
        case everything(rules: [Int])
    }

    /// The types that some armed rule of source `syscall` can match.
    package let wanted: EventTypes
    /// Reflexes that are none, by their place among those that were asked for.
    package let refusals: [Int: ReflexProblem]
    let named: [EventType: Passing]
    let others: Passing

    package func passing(_ type: EventType) -> Passing {
        if let passing = named[type] { return passing }
        if case .some(let filter) = others, !CallTraits(type.name).isFiltered { return .everything(rules: Set(filter.clauses.flatMap(\.rules)).sorted()) }
        return others
    }

    /// Whether somebody asks for the type by its name.
    package func isNamed(_ type: EventType) -> Bool { named[type].map { $0 != .nothing } ?? false }

    static let none = KernelFilters(wanted: .only([]), refusals: [:], named: [:], others: .nothing)
}

/// Why the kernel cannot decide a rule by itself.
package struct ReflexProblem: Error, Equatable, Sendable {
    /// Tests of the rule that the kernel cannot answer, as text of the rules language.
    package var undecidable: [String] = []
    /// What else is wrong, in words.
    package var reason: String?
}

extension ReflexProblem: CustomStringConvertible {
    package var description: String {
        if let reason { return reason }
        return "the kernel cannot decide: " + undecidable.joined(separator: "; ")
    }
}

extension RuleSet {
    /// What may be left out in the kernel, worked out anew at each call. `reflexes` are names of rules that the kernel shall decide alone: their
    /// clauses stand beside the others, and hold surely or not at all.
    package func kernelFilters(reflexes: [String] = []) -> KernelFilters { PushdownCompiler(self)?.filters(reflexes) ?? .none }

    /// The rule as a condition that the kernel decides alone, by type of event. All clauses have the reflex 0.
    package func reflexClauses(ofRule name: String) -> Result<[EventType: KernelFilter], ReflexProblem> {
        guard let compiler = PushdownCompiler(self) else { return .failure(ReflexProblem(reason: "there are no armed rules of source syscall")) }
        return Result { () throws(ReflexProblem) in
            var filters: [EventType: KernelFilter] = [:]
            for (type, clauses) in try compiler.reflex(name) {
                guard let filter = compiler.filter(ofReflex: clauses) else { throw ReflexProblem(reason: "the condition is too long for the kernel") }
                filters[type] = filter
            }
            return filters
        }
    }

    /// By type of event, what of a rule the kernel tests.
    package func pushdown(ofRule index: Int, _ filters: KernelFilters) -> [PushdownExplanation] { PushdownCompiler(self)?.explanations(ofRule: index, filters) ?? [] }
}

/// What of a rule the kernel tests for events of some types.
package struct PushdownExplanation: Sendable, Equatable {
    package var types: [String]
    /// In the words of the rules language: one of them must hold, or the event stays in the kernel. Empty: all are handed up for this rule.
    package var clauses: [String]
    /// All events of these types are handed up all the same, for the sake of these rules.
    package var passesForRules: [String] = []
}

/// Turns the conditions of a set of rules into filters.
struct PushdownCompiler {
    typealias Clause = Alternatives.Clause
    private typealias NodeID = ConditionGraph.NodeID

    private let ruleSet: RuleSet
    private let graph: ConditionGraph
    private let narrowing: EventTypeNarrowing
    /// By condition, its rule.
    private let rules: [Int]

    /// Nil where there are no rules of source `syscall`.
    init?(_ ruleSet: RuleSet) {
        guard let source = ruleSet.sources["syscall"] else { return nil }
        self.ruleSet = ruleSet
        var graph = source.graph
        narrowing = EventTypeNarrowing(&graph, roots: source.roots)
        self.graph = graph
        rules = source.rules
    }

    // MARK: - Filters

    func filters(_ reflexes: [String]) -> KernelFilters {
        var refusals: [Int: ReflexProblem] = [:]
        var clauses: [(index: Int, byType: [EventType: [[KernelFilter.Literal]]])] = []
        for (index, name) in reflexes.enumerated() {
            do throws(ReflexProblem) { clauses.append((index, try reflex(name))) } catch { refusals[index] = error }
        }
        while true {
            // One that there is no room for in one filter shall stand in no other one either.
            var full: [Int] = []
            let filters = filters(clauses, refusals) { full.append($0) }
            guard !full.isEmpty else { return filters }
            for index in full { refusals[index] = ReflexProblem(reason: "the kernel's filter is full") }
            clauses.removeAll { full.contains($0.index) }
        }
    }

    private func filters(
        _ reflexes: [(index: Int, byType: [EventType: [[KernelFilter.Literal]]])], _ refusals: [Int: ReflexProblem], _ refuse: (Int) -> Void
    ) -> KernelFilters {
        var named: [EventType: KernelFilters.Passing] = [:]
        var done: [Work: KernelFilters.Passing] = [:]
        for rawType in EventType.all where narrowing.index[Int(rawType)] != 0 {
            let type = EventType(rawValue: rawType)
            let work = work(CallTraits(type.name), plan: Int(narrowing.index[Int(rawType)]))
            let own = reflexes.compactMap { reflex in reflex.byType[type].map { (index: reflex.index, clauses: $0) } }
            if own.isEmpty, let passing = done[work] {
                named[type] = passing
            } else {
                let passing = passing(work, own, refuse)
                if own.isEmpty { done[work] = passing }
                named[type] = passing
            }
        }
        let others = passing(work(CallTraits(nil), plan: 0), []) { _ in }
        let wanted: EventTypes = others == .nothing ? .only(Self.types(named) { $0 != .nothing }) : .allBut(Self.types(named) { $0 == .nothing })
        return KernelFilters(wanted: wanted, refusals: refusals, named: named, others: others)
    }

    private func work(_ traits: CallTraits, plan: Int) -> Work {
        Work(traits: traits, roots: narrowing.plans[plan].roots.map { Root(rule: rules[$0.condition], node: $0.node) })
    }

    private static func types(_ named: [EventType: KernelFilters.Passing], _ isMeant: (KernelFilters.Passing) -> Bool) -> [EventType] {
        named.filter { isMeant($0.value) }.keys.sorted { $0.rawValue < $1.rawValue }
    }

    private struct Root: Hashable {
        var rule: Int
        var node: ConditionGraph.NodeID
    }

    /// What a filter follows from.
    private struct Work: Hashable {
        var traits: CallTraits
        var roots: [Root]
    }

    private func passing(
        _ work: Work, _ reflexes: [(index: Int, clauses: [[KernelFilter.Literal]])], _ refuse: (Int) -> Void
    ) -> KernelFilters.Passing {
        guard !work.roots.isEmpty else { return .nothing }
        guard work.traits.isFiltered else { return .everything(rules: work.roots.map(\.rule)) }
        var expansion = Expansion(graph, work.traits)
        var clauses: [RuleClause] = []
        for root in work.roots {
            let alternatives = expansion.necessary(root.node)
            for clause in alternatives.clauses { clauses.append((clause, [root.rule])) }
        }
        let open = clauses.filter(\.clause.literals.isEmpty).flatMap(\.rules)
        guard open.isEmpty || !reflexes.isEmpty else { return .everything(rules: Set(open).sorted()) }
        guard !clauses.isEmpty || !reflexes.isEmpty else { return .nothing }
        return FilterFitting(expansion.table, clauses).passing(reflexes, refuse)
    }

    /// A filter of nothing but one reflex; nil where it is too long for the kernel.
    func filter(ofReflex clauses: [[KernelFilter.Literal]]) -> KernelFilter? {
        var isRefused = false
        guard case .some(let filter) = FilterFitting(AtomTable(), []).passing([(0, clauses)], { _ in isRefused = true }), !isRefused else { return nil }
        return filter
    }

    // MARK: - Reflexes

    func reflex(_ name: String) throws(ReflexProblem) -> [EventType: [[KernelFilter.Literal]]] {
        guard let rule = ruleSet.rules.firstIndex(where: { $0.name == name }), let condition = rules.firstIndex(of: rule) else {
            throw ReflexProblem(reason: "there is no armed rule \"\(name.escapedForDisplay)\" of source syscall")
        }
        guard case .only(let types) = ruleSet.rules[rule].types else { throw ReflexProblem(reason: "the rule does not say for which types of events it is") }
        var result: [EventType: [[KernelFilter.Literal]]] = [:]
        var undecidable: [String] = []
        for type in types {
            let traits = CallTraits(type.name)
            guard traits.isFiltered else { throw ReflexProblem(reason: "the kernel decides nothing about events of type \(type.name)") }
            guard let root = narrowing.plans[Int(narrowing.index[Int(type.rawValue)])].roots.first(where: { $0.condition == condition }) else { continue }
            var expansion = Expansion(graph, traits, isExact: true)
            let alternatives = expansion.sufficient(root.node)
            for text in expansion.undecidable where !undecidable.contains(text) { undecidable.append(text) }
            guard !expansion.table.isTooLong else { throw ReflexProblem(reason: "the condition is too long for the kernel") }
            result[type] = alternatives.clauses.map { clause in
                let literals = clause.literals.map { KernelFilter.Literal(atom: expansion.table.atom(of: $0), isDenied: $0 & 1 == 1) }
                return literals + (literals.contains(where: \.isOfStartOnly) ? [KernelFilter.Literal.success] : [])
            }
        }
        guard undecidable.isEmpty else { throw ReflexProblem(undecidable: undecidable) }
        return result.filter { !$0.value.isEmpty }
    }

    // MARK: - Explanations

    func explanations(ofRule rule: Int, _ filters: KernelFilters) -> [PushdownExplanation] {
        guard let condition = rules.firstIndex(of: rule) else { return [] }
        var result: [PushdownExplanation] = []
        func add(_ type: String, _ traits: CallTraits, _ passing: KernelFilters.Passing, _ plan: EventTypeNarrowing.Plan) {
            guard let root = plan.roots.first(where: { $0.condition == condition }) else { return }
            var expansion = Expansion(graph, traits)
            let alternatives = traits.isFiltered ? expansion.necessary(root.node) : .always
            let texts = alternatives.isAlways ? [] : alternatives.clauses.map { expansion.table.text(of: $0, traits) }
            guard alternatives.isAlways || !texts.isEmpty else { return }
            var explanation = PushdownExplanation(types: [type], clauses: texts)
            if case .everything(let rules) = passing, !alternatives.isAlways { explanation.passesForRules = rules.map { ruleSet.rules[$0].name } }
            if let last = result.last, last.clauses == explanation.clauses, last.passesForRules == explanation.passesForRules {
                result[result.count - 1].types.append(type)
            } else {
                result.append(explanation)
            }
        }
        for rawType in EventType.all where narrowing.index[Int(rawType)] != 0 {
            let type = EventType(rawValue: rawType)
            add(type.name, CallTraits(type.name), filters.passing(type), narrowing.plans[Int(narrowing.index[Int(rawType)])])
        }
        add("others", CallTraits(nil), filters.others, narrowing.plans[0])
        return result
    }
}

/// Conditions of the graph as alternatives of atoms, each node once.
private struct Expansion {
    private let graph: ConditionGraph
    private let mapper: AtomMapper
    var table: AtomTable
    private var done: [Int: Alternatives] = [:]
    /// Tests that a reflex cannot ask.
    private(set) var undecidable: [String] = []

    init(_ graph: ConditionGraph, _ traits: CallTraits, isExact: Bool = false) {
        self.graph = graph
        mapper = AtomMapper(graph: graph, traits: traits)
        table = AtomTable(isExact: isExact)
    }

    /// What must hold where the condition does.
    mutating func necessary(_ node: ConditionGraph.NodeID) -> Alternatives { table.withNamesTogether(expand(node, holds: true)) }

    /// What makes the condition hold, and nothing else does; meaningless where something is undecidable.
    mutating func sufficient(_ node: ConditionGraph.NodeID) -> Alternatives { table.withNamesTogether(expand(node, holds: true)) }

    private mutating func expand(_ node: ConditionGraph.NodeID, holds: Bool) -> Alternatives {
        let key = node << 1 | (holds ? 0 : 1)
        if let known = done[key] { return known }
        let result: Alternatives
        switch graph.nodes[node] {
        case .constant(let value): result = value == holds ? .always : .never
        case .test(let test): result = expand(graph.tests[test], holds: holds)
        case .not(let inner): result = expand(inner, holds: !holds)
        case .all(let parts), .any(let parts):
            var alternatives: [Alternatives] = []
            for part in parts { alternatives.append(expand(part, holds: holds)) }
            var isAll = holds
            if case .any = graph.nodes[node] { isAll.toggle() }
            result = isAll ? table.all(alternatives) : table.any(alternatives)
        }
        done[key] = result
        return result
    }

    private mutating func expand(_ test: ConditionGraph.Test, holds: Bool) -> Alternatives {
        let mapping = mapper.mapping(test)
        guard table.isExact else { return table.alternatives(mapping.necessary(holds, isNegated: test.isNegated)) }
        guard let formula = mapping.sufficient(holds, isNegated: test.isNegated) else {
            undecidable.append(graph.text(of: test))
            return .always
        }
        return table.alternatives(formula)
    }
}
