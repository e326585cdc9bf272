/// All literals that tests compare the text of one slot with, arranged so that one look answers for all of them: which literal it is equal to,
/// begins with, ends with, lies below, contains.
final class SlotLiterals: Sendable {
    /// Fewer are compared one by one.
    private static let least = (exact: 3, ends: 3, parts: 4)

    let exact: LiteralClasses?
    let prefixes: PrefixTrie?
    let suffixes: SuffixTrie?
    let paths: PathTrie?
    let parts: SubstringAutomaton?
    let foldedParts: SubstringAutomaton?

    private let indices: [Family: [[UInt8]: Int32]]

    enum Family: CaseIterable { case exact, prefix, suffix, path, part, foldedPart }

    init(_ literals: [Family: [[UInt8]]]) {
        var indices: [Family: [[UInt8]: Int32]] = [:]
        func distinct(_ family: Family, atLeast least: Int) -> [[UInt8]]? {
            var places: [[UInt8]: Int32] = [:]
            var result: [[UInt8]] = []
            for literal in literals[family] ?? [] where places[literal] == nil {
                places[literal] = Int32(result.count)
                result.append(literal)
            }
            guard result.count >= least else { return nil }
            indices[family] = places
            return result
        }
        exact = distinct(.exact, atLeast: Self.least.exact).map { LiteralClasses($0) }
        prefixes = distinct(.prefix, atLeast: Self.least.ends).map { PrefixTrie($0) }
        suffixes = distinct(.suffix, atLeast: Self.least.ends).map { SuffixTrie($0) }
        paths = distinct(.path, atLeast: 1).map { PathTrie($0) }
        parts = distinct(.part, atLeast: Self.least.parts).map { SubstringAutomaton($0) }
        foldedParts = distinct(.foldedPart, atLeast: Self.least.parts).map { SubstringAutomaton($0, foldsCase: true) }
        self.indices = indices
    }

    /// The literal's number in its family; nil where the family is too small to be worth one.
    func index(of literal: [UInt8], in family: Family) -> Int32? { indices[family]?[literal] }

    /// How many literals a family numbers.
    func count(_ family: Family) -> Int { indices[family]?.count ?? 0 }
}
