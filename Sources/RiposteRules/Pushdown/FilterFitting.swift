/// A clause with the rules that it came from.
typealias RuleClause = (clause: Alternatives.Clause, rules: [Int])

extension KernelFilter {
    /// An atom, or its denial.
    package struct Literal: Hashable, Sendable {
        package var atom: Atom
        package var isDenied: Bool

        package init(atom: Atom, isDenied: Bool) { (self.atom, self.isDenied) = (atom, isDenied) }

        static let success = Literal(atom: .number(NumberTest(.result, .equal)), isDenied: false)

        /// Whether user space knows it as of the start of the program, so that it says nothing of a start that failed.
        var isOfStartOnly: Bool { if case .number(let test) = atom { test.source == .tty || test.source == .vpid || test.source == .argumentHead } else { false } }
    }
}

/// Makes one filter of the clauses of many rules: alike ones become one, and where there are too many, or too many atoms, the least telling atoms are
/// left out, so that more passes. Clauses of reflexes stay as they are.
struct FilterFitting {
    private typealias Clause = Alternatives.Clause

    private var table: AtomTable
    private var clauses: [RuleClause]
    private var reflexes: [(index: Int, literals: [KernelFilter.Literal])] = []

    init(_ table: AtomTable, _ clauses: [RuleClause]) {
        self.table = table
        self.clauses = clauses
    }

    /// `refuse` is told of reflexes that there is no room for.
    func passing(_ wanted: [(index: Int, clauses: [[KernelFilter.Literal]])], _ refuse: (Int) -> Void) -> KernelFilters.Passing {
        var fitting = self
        for (index, clauses) in wanted {
            let earlier = fitting.reflexes
            fitting.reflexes += clauses.map { (index, $0) }
            guard !fitting.hasRoomForReflexes else { continue }
            fitting.reflexes = earlier
            refuse(index)
        }
        return fitting.fit()
    }

    /// An eighth stays for the rules.
    private var hasRoomForReflexes: Bool {
        let atoms = Set(reflexes.flatMap(\.literals).map(\.atom))
        return atoms.count <= KernelFilter.atomLimit * 7 / 8 && atoms.count(where: \.isNumber) <= KernelFilter.numberLimit * 7 / 8
            && reflexes.count <= KernelFilter.clauseLimit * 7 / 8
    }

    private mutating func fit() -> KernelFilters.Passing {
        simplify()
        while true {
            let excess = excess
            guard excess > 0 else { break }
            leaveOut(excess)
            simplify()
        }
        let open = clauses.filter(\.clause.literals.isEmpty).flatMap(\.rules)
        guard open.isEmpty || !reflexes.isEmpty else { return .everything(rules: Set(open).sorted()) }
        return .some(filter())
    }

    // MARK: - Fewer

    private mutating func simplify() {
        unite()
        table.merge(&clauses)
        absorb()
    }

    private mutating func unite() {
        var places: [Clause: Int] = [:]
        var result: [RuleClause] = []
        for (clause, rules) in clauses {
            if let place = places[clause] {
                result[place].rules += rules
            } else {
                places[clause] = result.count
                result.append((clause, rules))
            }
        }
        clauses = result.map { ($0.clause, Set($0.rules).sorted()) }
    }

    /// What says more than another clause adds nothing but its rules.
    private mutating func absorb() {
        var kept: [RuleClause] = []
        for (clause, rules) in clauses.sorted(by: { ($0.clause.literals.count, $0.rules.first ?? 0) < ($1.clause.literals.count, $1.rules.first ?? 0) }) {
            if let place = kept.firstIndex(where: { clause.implies($0.clause) }) {
                kept[place].rules = Set(kept[place].rules + rules).sorted()
            } else {
                kept.append((clause, rules))
            }
        }
        clauses = kept
    }

    /// How many atoms or clauses there are too many.
    private var excess: Int {
        var atoms = Set(reflexes.flatMap(\.literals).map(\.atom))
        for literal in Set(clauses.flatMap(\.clause.literals)) { atoms.insert(table.atom(of: literal)) }
        // One more is for the programs that no reflex ends.
        return max(
            atoms.count - (KernelFilter.atomLimit - (reflexes.isEmpty ? 0 : 1)), atoms.count(where: \.isNumber) - KernelFilter.numberLimit,
            clauses.count + reflexes.count - KernelFilter.clauseLimit)
    }

    /// Several at once where much is to be done, as each may bring many clauses together.
    private mutating func leaveOut(_ excess: Int) {
        let least = Set(table.leastTelling(clauses.lazy.map(\.clause), count: (excess + 3) / 4))
        guard !least.isEmpty else {
            clauses = [(Clause([]), Set(clauses.flatMap(\.rules)).sorted())]
            return
        }
        clauses = clauses.map { ($0.clause.removing(least.contains), $0.rules) }
    }

    // MARK: - Numbers

    private func filter() -> KernelFilter {
        var filter = KernelFilter()
        var numbers: [KernelFilter.Atom: Int] = [:]
        func bit(_ atom: KernelFilter.Atom) -> UInt64 {
            if let number = numbers[atom] { return 1 << UInt64(number) }
            numbers[atom] = filter.atoms.count
            filter.atoms.append(atom)
            return 1 << UInt64(filter.atoms.count - 1)
        }
        func clause(_ literals: [KernelFilter.Literal], rules: [Int], reflex: Int?) -> KernelFilter.Clause {
            var clause = KernelFilter.Clause(positive: 0, negative: 0, rules: rules, reflex: reflex)
            for literal in literals {
                if literal.isDenied { clause.negative |= bit(literal.atom) } else { clause.positive |= bit(literal.atom) }
            }
            return clause
        }
        for (index, literals) in reflexes { filter.clauses.append(clause(literals, rules: [], reflex: index)) }
        for (own, rules) in clauses {
            let literals = own.literals.map { KernelFilter.Literal(atom: table.atom(of: $0), isDenied: $0 & 1 == 1) }
            filter.clauses.append(clause(literals, rules: rules, reflex: nil))
        }
        return filter
    }
}

extension KernelFilter.Atom {
    fileprivate var isNumber: Bool { if case .number = self { true } else { false } }
}
