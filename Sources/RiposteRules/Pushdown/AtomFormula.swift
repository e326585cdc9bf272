/// A combination of atoms.
indirect enum AtomFormula: Sendable {
    case constant(Bool)
    case atom(KernelFilter.Atom)
    case not(AtomFormula)
    case all([AtomFormula])
    case any([AtomFormula])

    /// The same of the call's second path, whatever it says of the first.
    var ofSecondPath: AtomFormula {
        switch self {
        case .atom(.fileName(let names)): .atom(.secondFileName(names))
        case .atom(.path(let texts)): .atom(.secondPath(texts))
        case .constant, .atom: self
        case .not(let inner): .not(inner.ofSecondPath)
        case .all(let parts): .all(parts.map(\.ofSecondPath))
        case .any(let parts): .any(parts.map(\.ofSecondPath))
        }
    }

    static func number(_ source: KernelFilter.NumberSource, _ operation: KernelFilter.NumberOperation, _ number: Int64 = 0, mask: UInt64 = .max) -> AtomFormula {
        .atom(.number(.init(source, operation, number, mask: mask)))
    }
}

/// What a test of a rule comes to in the kernel, for events of one type.
///
/// Absent values make a test false whatever the atoms say, so the formulas are about the value, and `isAlwaysThere` about there being one.
struct AtomMapping: Sendable {
    /// Holds wherever there is a value and the predicate holds for it: the weakest is always true.
    var upper: AtomFormula
    /// Where this surely holds and there is a value, the predicate holds for it: the weakest is never true.
    var lower: AtomFormula
    /// Wherever the atoms are known, there is a value.
    var isAlwaysThere = false
    /// Where these surely hold, the predicate holds for the value, or does not; wherever the atoms are known, one of the two does. What a reflex may
    /// ask; nil: the kernel cannot tell.
    var exact: (holds: AtomFormula, fails: AtomFormula)?
    /// Holds wherever there is a value at all.
    var presence = AtomFormula.constant(true)

    static let unknown = AtomMapping(upper: .constant(true), lower: .constant(false))

    /// The predicate is equivalent to a formula.
    static func same(_ formula: AtomFormula, isAlwaysThere: Bool) -> AtomMapping {
        AtomMapping(upper: formula, lower: formula, isAlwaysThere: isAlwaysThere, exact: (formula, .not(formula)))
    }

    /// The predicate holds only where this does.
    static func only(_ formula: AtomFormula) -> AtomMapping { AtomMapping(upper: formula, lower: .constant(false)) }

    /// There is a value only where this holds.
    static func present(_ formula: AtomFormula) -> AtomMapping { AtomMapping(upper: .constant(true), lower: .constant(false), presence: formula) }

    /// What is said of the first path, said of the second.
    var ofSecondPath: AtomMapping {
        var result = self
        (result.upper, result.lower, result.presence) = (upper.ofSecondPath, lower.ofSecondPath, presence.ofSecondPath)
        result.exact = exact.map { ($0.holds.ofSecondPath, $0.fails.ofSecondPath) }
        return result
    }

    /// What must hold for the test to hold, or to fail.
    func necessary(_ holds: Bool, isNegated: Bool) -> AtomFormula {
        if holds { return .all([presence, isNegated ? .not(lower) : upper]) }
        // A test also fails where there is no value.
        guard isAlwaysThere else { return .constant(true) }
        return isNegated ? upper : .not(lower)
    }

    /// What must surely hold for a reflex to take the test for true, or for false; nil where the kernel cannot tell.
    func sufficient(_ holds: Bool, isNegated: Bool) -> AtomFormula? { exact.map { holds != isNegated ? $0.holds : $0.fails } }
}
