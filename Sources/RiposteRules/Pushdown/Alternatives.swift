/// A condition over atoms in disjunctive form: one of the clauses holds. Atoms are numbered by an ``AtomTable``; a literal is twice the number, and
/// one more where the atom is denied.
struct Alternatives {
    typealias Literal = Int32

    /// A conjunction: literals in order, each once.
    struct Clause: Hashable {
        private(set) var literals: [Literal]
        /// A bit for each literal by its number modulo 64, so that most clauses that imply nothing are told at once.
        private(set) var signature: UInt64

        init(_ literals: [Literal]) {
            self.literals = literals
            signature = literals.reduce(0) { $0 | 1 << UInt64($1 & 63) }
        }

        /// Whether this one has all literals of the other, and therefore says more.
        func implies(_ other: Clause) -> Bool {
            guard other.signature & ~signature == 0, other.literals.count <= literals.count else { return false }
            var place = 0
            for literal in other.literals {
                while place < literals.count, literals[place] < literal { place += 1 }
                guard place < literals.count, literals[place] == literal else { return false }
                place += 1
            }
            return true
        }

        func removing(_ isUnwanted: (Literal) -> Bool) -> Clause {
            literals.contains(where: isUnwanted) ? Clause(literals.filter { !isUnwanted($0) }) : self
        }
    }

    /// None: never true. An empty one: always true.
    private(set) var clauses: [Clause]

    static let always = Alternatives(clauses: [Clause([])])
    static let never = Alternatives(clauses: [])

    init(clauses: [Clause]) { self.clauses = clauses }

    var isAlways: Bool { clauses.first?.literals.isEmpty ?? false }

    /// Without clauses that say more than another one.
    static func absorbed(_ clauses: [Clause]) -> Alternatives {
        guard clauses.count > 1 else { return Alternatives(clauses: clauses) }
        var kept: [Clause] = []
        for clause in clauses.sorted(by: { $0.literals.count < $1.literals.count }) where !kept.contains(where: { clause.implies($0) }) { kept.append(clause) }
        return Alternatives(clauses: kept)
    }
}
