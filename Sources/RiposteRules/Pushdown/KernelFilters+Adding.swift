extension KernelFilter {
    /// What holds one of these conjunctions passes.
    package init(anyOf clauses: [[Literal]]) {
        self.init()
        for literals in clauses {
            var clause = Clause(positive: 0, negative: 0)
            for literal in literals {
                let place = atoms.firstIndex(of: literal.atom) ?? atoms.count
                if place == atoms.count { atoms.append(literal.atom) }
                if literal.isDenied { clause.negative |= 1 << UInt64(place) } else { clause.positive |= 1 << UInt64(place) }
            }
            self.clauses.append(clause)
        }
    }

    fileprivate func literals(of clause: Clause) -> [Literal] {
        // Of a clause that contradicts itself an atom has both.
        atoms.indices.flatMap { index in
            let bit = UInt64(1) << UInt64(index)
            return [(clause.positive, false), (clause.negative, true)].filter { $0.0 & bit != 0 }.map { Literal(atom: atoms[index], isDenied: $0.1) }
        }
    }
}

extension KernelFilters {
    /// With events that somebody else than the rules asks for: what passed before passes, and what passes one of these filters as well.
    package func adding(_ filters: [EventType: KernelFilter]) -> KernelFilters {
        var (named, refusals) = (named, refusals)
        for (type, filter) in filters {
            named[type] = Self.either(passing(type), filter) { refusals[$0] = ReflexProblem(reason: "the kernel's filter for \(type.name) is full") }
        }
        return KernelFilters(wanted: wanted.adding(filters.keys), refusals: refusals, named: named, others: others)
    }

    private static func either(_ passing: Passing, _ other: KernelFilter, _ refuse: (Int) -> Void) -> Passing {
        switch passing {
        case .nothing: return .some(other)
        case .everything: return passing
        case .some(let filter):
            var table = AtomTable()
            func clauses(_ filter: KernelFilter) -> [RuleClause] {
                filter.clauses.filter { $0.reflex == nil }.map { clause in
                    (Alternatives.Clause(filter.literals(of: clause).map { table.literal($0.atom) + ($0.isDenied ? 1 : 0) }.sorted()), clause.rules)
                }
            }
            let all = clauses(filter) + clauses(other)
            let reflexes = Dictionary(grouping: filter.clauses.filter { $0.reflex != nil }) { $0.reflex ?? 0 }
            // There was room for them before, and they come first.
            return FilterFitting(table, all).passing(reflexes.sorted { $0.key < $1.key }.map { ($0.key, $0.value.map(filter.literals)) }, refuse)
        }
    }
}

extension EventTypes {
    fileprivate func adding(_ types: some Sequence<EventType>) -> EventTypes {
        switch self {
        case .only(let some): .only(Set(some).union(types).sorted { $0.rawValue < $1.rawValue })
        case .allBut(let some): .allBut(some.filter { !Set(types).contains($0) })
        }
    }
}
