/// Tests of what a program was started with, at its start. User space has the same bytes: those that the kernel side has read, 4096 at most of each.
enum StartMapping {
    private typealias Predicate = ConditionGraph.Predicate

    // MARK: - argv[0]

    /// Its first eight bytes are tested.
    static func executable(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        switch predicate {
        case .hasPrefix(let text):
            guard !text.contains(0), let formula = beginning(text) else { return .unknown }
            return text.count <= 8 ? .same(formula, isAlwaysThere: false) : .only(formula)
        case .textIn(let texts):
            guard texts.count <= 8 else { return .unknown }
            // With the NUL behind it, as far as that is among the eight.
            let formulas = texts.compactMap { beginning($0 + [0]) }
            return formulas.count == texts.count ? .only(.any(formulas)) : .unknown
        default: return .unknown
        }
    }

    /// Nil where there is none, or no argument begins so.
    private static func beginning(_ text: [UInt8]) -> AtomFormula? {
        guard !text.isEmpty, !text.dropLast().contains(0) else { return nil }
        let head = Array(text.prefix(8))
        let mask: UInt64 = head.count < 8 ? 1 << UInt64(8 * head.count) - 1 : .max
        return .number(.argumentHead, .equal, KernelFilter.Facts.words(ofName: head).head, mask: mask)
    }

    // MARK: - Arguments

    static func arguments(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        guard let texts = texts(in: predicate), texts.allSatisfy({ $0.count >= TextPieces.arguments.shortestText }) else { return .unknown }
        return .only(texts.isEmpty ? .constant(false) : .atom(.argument(KernelFilter.Atom.inOrder(texts))))
    }

    // MARK: - Environment

    /// Of one variable, that there is such a one: its value is told without the blanks around it, so where it begins is not known.
    static func environment(_ predicate: ConditionGraph.Predicate, variable: String?) -> AtomMapping {
        guard var texts = texts(in: predicate) else { return .unknown }
        if let variable {
            // A variable that is not set is told as an empty text.
            guard !texts.contains([]), !variable.utf8.contains(0) else { return .unknown }
            if !texts.isEmpty { texts = [Array(variable.utf8) + [UInt8(ascii: "=")]] }
        }
        guard texts.allSatisfy({ $0.count >= TextPieces.environment.shortestText }) else { return .unknown }
        return .only(texts.isEmpty ? .constant(false) : .atom(.environment(KernelFilter.Atom.inOrder(texts))))
    }

    /// One of them is in each text for which the predicate holds; nil where nothing needs to be.
    private static func texts(in predicate: ConditionGraph.Predicate) -> [[UInt8]]? {
        switch predicate {
        case .textIn(let texts): texts
        case .hasPrefix(let text), .hasSuffix(let text), .contains(let text, _): [text]
        case .glob(let pattern, _): longestRun(of: pattern).map { [$0] }
        default: nil
        }
    }

    /// Of a pattern what stands for itself; nil where a set or a backslash makes that hard to tell.
    private static func longestRun(of pattern: [UInt8]) -> [UInt8]? {
        guard !pattern.contains(UInt8(ascii: "[")), !pattern.contains(UInt8(ascii: "\\")) else { return nil }
        return pattern.split { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") }.max { $0.count < $1.count }.map(Array.init)
    }
}
