internal import RiposteCore

/// The atoms of one filter in the making, numbered in the order in which they were first met.
struct AtomTable {
    typealias Clause = Alternatives.Clause
    typealias Literal = Alternatives.Literal

    /// Nothing may be made weaker, as for reflexes: what would be too long is noted instead.
    let isExact: Bool
    private(set) var isTooLong = false
    private(set) var atoms: [KernelFilter.Atom] = []
    private var numbers: [KernelFilter.Atom: Literal] = [:]

    init(isExact: Bool = false) { self.isExact = isExact }

    mutating func literal(_ atom: KernelFilter.Atom) -> Literal {
        if let number = numbers[atom] { return number }
        let literal = Literal(atoms.count * 2)
        atoms.append(atom)
        numbers[atom] = literal
        return literal
    }

    func atom(of literal: Literal) -> KernelFilter.Atom { atoms[Int(literal >> 1)] }

    // MARK: - Formulas

    mutating func alternatives(_ formula: AtomFormula, holds: Bool = true) -> Alternatives {
        switch formula {
        case .constant(let value): return value == holds ? .always : .never
        case .atom(let atom): return Alternatives(clauses: [Clause([literal(atom) + (holds ? 0 : 1)])])
        case .not(let inner): return alternatives(inner, holds: !holds)
        case .all(let parts), .any(let parts):
            var alternatives: [Alternatives] = []
            for part in parts { alternatives.append(self.alternatives(part, holds: holds)) }
            var isAll = holds
            if case .any = formula { isAll.toggle() }
            return isAll ? all(alternatives) : any(alternatives)
        }
    }

    // MARK: - Conjunctions

    /// Both at once; nil where that cannot be.
    func conjunction(_ left: Clause, _ right: Clause) -> Clause? {
        if left.literals.isEmpty { return right }
        if right.literals.isEmpty { return left }
        var literals = left.literals
        for literal in right.literals where !left.literals.contains(literal) { literals.append(literal) }
        guard literals.count > left.literals.count else { return left }
        literals.sort()
        for place in literals.indices.dropFirst() where literals[place] ^ 1 == literals[place - 1] && atom(of: literals[place]).isAlwaysDecided { return nil }
        return withoutRedundantNumbers(literals).map(Clause.init)
    }

    /// Comparisons of one number: those that others imply are left out; nil where they exclude each other.
    private func withoutRedundantNumbers(_ literals: [Literal]) -> [Literal]? {
        var equals: [KernelFilter.NumberSource: (literal: Literal, number: Int64)] = [:]
        for literal in literals where literal & 1 == 0 {
            let atom = atom(of: literal)
            guard atom.isAlwaysDecided, case .number(let test) = atom, test.operation == .equal, test.mask == .max else { continue }
            if let other = equals[test.source], other.number != test.number { return nil }
            equals[test.source] = (literal, test.number)
        }
        var result: [Literal] = []
        for literal in literals {
            guard case .number(let test) = atom(of: literal), let equal = equals[test.source], equal.literal != literal else {
                result.append(literal)
                continue
            }
            guard test.holds(for: equal.number) == (literal & 1 == 0) else { return nil }
        }
        return withoutLooseBounds(result)
    }

    /// Of several lower or upper bounds of one number the tightest is enough.
    private func withoutLooseBounds(_ literals: [Literal]) -> [Literal]? {
        struct Range {
            var low = (number: Int64.min, literal: Literal(-1))
            var high = (number: Int64.max, literal: Literal(-1))
        }
        var ranges: [KernelFilter.NumberSource: Range] = [:]
        var loose: Set<Literal> = []
        for literal in literals {
            let atom = atom(of: literal)
            guard atom.isAlwaysDecided, case .number(let test) = atom, test.mask == .max, test.operation == .less || test.operation == .greater else { continue }
            var range = ranges[test.source] ?? Range()
            let isHigh = (test.operation == .less) == (literal & 1 == 0)
            // The bound itself is in the range where the comparison is denied.
            let bound = literal & 1 == 1 ? test.number : isHigh ? test.number.subtractingReportingOverflow(1).partialValue : test.number.addingReportingOverflow(1).partialValue
            if isHigh {
                if bound < range.high.number || range.high.literal < 0 {
                    if range.high.literal >= 0 { loose.insert(range.high.literal) }
                    range.high = (bound, literal)
                } else {
                    loose.insert(literal)
                }
            } else {
                if bound > range.low.number || range.low.literal < 0 {
                    if range.low.literal >= 0 { loose.insert(range.low.literal) }
                    range.low = (bound, literal)
                } else {
                    loose.insert(literal)
                }
            }
            guard range.low.number <= range.high.number else { return nil }
            ranges[test.source] = range
        }
        return loose.isEmpty ? literals : literals.filter { !loose.contains($0) }
    }

    // MARK: - Names

    /// With the tests of the process's name in each clause made one: it is among these, or it is not among those.
    mutating func withNamesTogether(_ alternatives: Alternatives) -> Alternatives {
        var clauses: [Clause] = []
        for clause in alternatives.clauses { if let clause = withNamesTogether(clause) { clauses.append(clause) } }
        return .absorbed(clauses)
    }

    private mutating func withNamesTogether(_ clause: Clause) -> Clause? {
        var (allowed, denied): (Set<[UInt8]>?, Set<[UInt8]>) = (nil, [])
        var count = 0
        for literal in clause.literals {
            guard case .name(let names) = atom(of: literal) else { continue }
            count += 1
            if literal & 1 == 1 { denied.formUnion(names) } else { allowed = allowed?.intersection(names) ?? Set(names) }
        }
        guard count > 1 else { return clause }
        var literals = clause.literals.filter { if case .name = atom(of: $0) { false } else { true } }
        if let allowed {
            guard !allowed.isSubset(of: denied) else { return nil }
            literals.append(literal(.names(Array(allowed.subtracting(denied)))))
        } else {
            literals.append(literal(.names(Array(denied))) + 1)
        }
        return Clause(literals.sorted())
    }

    // MARK: - Length

    /// Alternatives of more clauses are made weaker.
    private static let clauseLimit = 48
    /// Products are not even begun where they would have more.
    private static let productLimit = 256

    mutating func any(_ parts: [Alternatives]) -> Alternatives {
        guard !parts.contains(where: \.isAlways) else { return .always }
        guard parts.count > 1 else { return parts.first ?? .never }
        return limited(merged(.absorbed(parts.flatMap(\.clauses))))
    }

    /// The shortest first, so that what has to be left out for length is long.
    mutating func all(_ parts: [Alternatives]) -> Alternatives {
        var result = Alternatives.always
        for part in parts.sorted(by: { $0.clauses.count < $1.clauses.count }) {
            guard !part.clauses.isEmpty else { return .never }
            guard !part.isAlways else { continue }
            guard result.clauses.count * part.clauses.count <= Self.productLimit else {
                isTooLong = true
                continue
            }
            var products: [Clause] = []
            for left in result.clauses {
                for right in part.clauses { if let product = conjunction(left, right) { products.append(product) } }
            }
            result = limited(.absorbed(products))
        }
        return result
    }

    private mutating func limited(_ alternatives: Alternatives) -> Alternatives {
        guard alternatives.clauses.count > Self.clauseLimit else { return alternatives }
        isTooLong = true
        return isExact ? alternatives : weakened(alternatives, to: Self.clauseLimit)
    }

    /// Leaves out the least telling atoms until there are few enough clauses.
    private func weakened(_ alternatives: Alternatives, to limit: Int) -> Alternatives {
        var result = alternatives
        while result.clauses.count > limit {
            guard let least = leastTelling(result.clauses, count: 1).first else { return .always }
            result = .absorbed(result.clauses.map { $0.removing { $0 == least } })
        }
        return result
    }

    /// As many as asked for at most, all equally telling, the rarest first: those that many clauses share keep their number down.
    func leastTelling(_ clauses: some Sequence<Clause>, count: Int) -> [Literal] {
        var counts: [Literal: Int] = [:]
        for clause in clauses { for literal in clause.literals { counts[literal, default: 0] += 1 } }
        let rated = counts.map { (literal: $0.key, worth: worth($0.key), count: $0.value) }
        let least = rated.lazy.map(\.worth).min()
        return rated.filter { $0.worth == least }.sorted { ($0.count, $0.literal) < ($1.count, $1.literal) }.prefix(count).map(\.literal)
    }

    // MARK: - Merging

    /// What an atom is about, where several of a kind can become one that holds where one of them does.
    private enum Subject: Int { case path, secondPath, name, exe, network, argument, environment }

    private func subject(_ literal: Literal) -> Subject? {
        guard literal & 1 == 0 else { return nil }
        return switch atom(of: literal) {
        case .fileName, .path: .path
        case .secondFileName, .secondPath: .secondPath
        case .name: .name
        case .exeName, .exe: .exe
        case .network: .network
        case .argument: .argument
        case .environment: .environment
        case .parentName, .sparedProgram, .number: nil
        }
    }

    /// Clauses that differ only in what one subject is become one with all of theirs: `a and name x or a and name y` is `a and name in (x, y)`.
    mutating func merged(_ alternatives: Alternatives) -> Alternatives {
        var result = alternatives.clauses.map { (clause: $0, rules: [Int]()) }
        merge(&result)
        return Alternatives.absorbed(result.map(\.clause))
    }

    mutating func merge(_ clauses: inout [(clause: Clause, rules: [Int])]) {
        for subject in [Subject.path, .secondPath, .name, .exe, .network, .argument, .environment] { merge(&clauses, subject) }
    }

    private mutating func merge(_ clauses: inout [(clause: Clause, rules: [Int])], _ subject: Subject) {
        struct Key: Hashable {
            var rest: [Literal]
            var kinds: Int
        }
        var groups: [Key: [Int]] = [:]
        var order: [Key] = []
        for (index, (clause, _)) in clauses.enumerated() {
            let own = clause.literals.filter { self.subject($0) == subject }
            // Of a file name and a path at once the union is a little weaker: it takes the name of one with the path of the other.
            guard !own.isEmpty, let kinds = kinds(own), !isExact || own.count == 1 else { continue }
            let key = Key(rest: clause.literals.filter { self.subject($0) != subject }, kinds: kinds)
            if groups[key] == nil { order.append(key) }
            groups[key, default: []].append(index)
        }
        var gone: Set<Int> = []
        for key in order {
            guard let indices = groups[key], let first = indices.first, indices.count > 1 else { continue }
            let own = indices.flatMap { clauses[$0].clause.literals.filter { self.subject($0) == subject } }
            let literals = (key.rest + unions(of: own)).sorted()
            clauses[first] = (Clause(literals), Set(indices.flatMap { clauses[$0].rules }).sorted())
            gone.formUnion(indices.dropFirst())
        }
        guard !gone.isEmpty else { return }
        clauses = clauses.enumerated().filter { !gone.contains($0.offset) }.map(\.element)
    }

    /// A bit for each kind of atom; nil where one is there twice.
    private func kinds(_ literals: [Literal]) -> Int? {
        var kinds = 0
        for literal in literals {
            let bit = 1 << atom(of: literal).kind
            guard kinds & bit == 0 else { return nil }
            kinds |= bit
        }
        return kinds
    }

    private mutating func unions(of literals: [Literal]) -> [Literal] {
        let byKind = Dictionary(grouping: Set(literals).map { atom(of: $0) }, by: \.kind)
        return byKind.keys.sorted().compactMap { kind in byKind[kind].flatMap(KernelFilter.Atom.union) }.map { literal($0) }
    }

    // MARK: - Worth

    /// How telling a literal is: what is worth least is left out first.
    func worth(_ literal: Literal) -> Int {
        let worth =
            switch atom(of: literal) {
            case .number(let test):
                switch test.source {
                case .openFlags, .openMode: 100
                case .container: 70
                case .result, .fd, .family: 65
                case .effectiveCapabilities, .permittedCapabilities, .tty: 50
                default: 60
                }
            case .sparedProgram: 95
            case .fileName, .secondFileName: 90
            case .path, .secondPath: 85
            case .exeName, .exe: 80
            case .argument, .environment: 75
            case .name: 62
            case .network: 55
            case .parentName: 40
            }
        guard literal & 1 == 1 else { return worth }
        // To be none of some names, networks or numbers excludes little; flags and kinds are as good denied.
        return switch atom(of: literal) {
        case .number(let test) where test.operation == .equal && ![.openFlags, .container, .family, .protocol].contains(test.source): 15
        case .number: worth
        case .path(let texts) where texts == [KernelFilter.PathText([UInt8(ascii: "/")], isWhole: false)]: 75
        case .secondPath(let texts) where texts == [KernelFilter.PathText([UInt8(ascii: "/")], isWhole: false)]: 75
        case .path, .secondPath, .network: 20
        default: 10
        }
    }
}

extension KernelFilter.Atom {
    /// Whether it and its denial exclude each other. Where there is no value to an atom, as of a path that could not be read, rules take both a test and
    /// its opposite for false, so that neither must be taken for the other's contrary; the kernel has them unknown then.
    fileprivate var isAlwaysDecided: Bool {
        switch self {
        case .name, .parentName, .exeName, .exe, .sparedProgram: true
        case .fileName, .path, .secondFileName, .secondPath, .network, .argument, .environment: false
        case .number(let test): ![.openFlags, .openMode, .family, .remotePort, .protocol, .fileKind].contains(test.source)
        }
    }

    var kind: Int {
        switch self {
        case .number: 0
        case .name: 1
        case .parentName: 2
        case .fileName: 3
        case .path: 4
        case .exeName: 5
        case .exe: 6
        case .network: 7
        case .secondFileName: 8
        case .secondPath: 9
        case .argument: 10
        case .environment: 11
        case .sparedProgram: 12
        }
    }

    /// One that holds where one of these does; they are of one kind, and no numbers.
    static func union(_ atoms: [KernelFilter.Atom]) -> KernelFilter.Atom? {
        var (names, texts, networks): ([[UInt8]], [KernelFilter.PathText], [IPNetwork]) = ([], [], [])
        for atom in atoms {
            switch atom {
            case .number: return nil
            case .name(let more), .parentName(let more), .fileName(let more), .secondFileName(let more), .exeName(let more), .argument(let more),
                .environment(let more), .sparedProgram(let more):
                names += more
            case .path(let more), .secondPath(let more), .exe(let more): texts += more
            case .network(let more): networks += more
            }
        }
        return switch atoms.first {
        case .name: self.names(names)
        case .parentName: .parentName(inOrder(names))
        case .fileName: .fileName(inOrder(names))
        case .exeName: .exeName(inOrder(names))
        case .path: paths(texts)
        case .secondFileName: .secondFileName(inOrder(names))
        case .secondPath: .secondPath(inOrder(texts))
        case .exe: .exe(inOrder(texts))
        case .network: self.networks(networks)
        case .argument: .argument(inOrder(names))
        case .environment: .environment(inOrder(names))
        case .sparedProgram: .sparedProgram(inOrder(names))
        case .number, nil: nil
        }
    }

    // MARK: - In order, each once

    static func names(_ names: [[UInt8]]) -> KernelFilter.Atom { .name(inOrder(names)) }
    static func paths(_ texts: [KernelFilter.PathText]) -> KernelFilter.Atom { .path(inOrder(texts)) }
    static func networks(_ networks: [IPNetwork]) -> KernelFilter.Atom {
        .network(Set(networks).sorted { ("\($0.address)", $0.prefixLength) < ("\($1.address)", $1.prefixLength) })
    }

    static func inOrder(_ names: [[UInt8]]) -> [[UInt8]] { names.count < 2 ? names : Set(names).sorted { $0.lexicographicallyPrecedes($1) } }

    /// Without what begins with another one.
    static func inOrder(_ texts: [KernelFilter.PathText]) -> [KernelFilter.PathText] {
        guard texts.count > 1 else { return texts }
        var result: [KernelFilter.PathText] = []
        var beginning: [UInt8]?
        // Beginnings before the whole texts that are equal to them.
        for text in Set(texts).sorted(by: { $0.bytes == $1.bytes ? !$0.isWhole && $1.isWhole : $0.bytes.lexicographicallyPrecedes($1.bytes) }) {
            if let beginning, text.bytes.starts(with: beginning) { continue }
            if !text.isWhole { beginning = text.bytes }
            result.append(text)
        }
        return result
    }
}
