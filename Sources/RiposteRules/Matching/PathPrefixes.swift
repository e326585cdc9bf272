/// Falco's `pmatch`: paths of which one must be a prefix of the value by whole components. A component of a prefix with `*`, `?` or `[` is a
/// pattern for that component. Paths without any are found all at once, the others are tried one by one.
package struct PathPrefixes: Sendable {
    private let literal: PathTrie
    private let patterned: PatternedPaths

    package init(_ paths: [[UInt8]]) {
        literal = PathTrie(paths.filter { !Self.hasPattern($0) })
        patterned = PatternedPaths(paths.filter { Self.hasPattern($0) })
    }

    /// Whether a ``PathTrie`` would not do.
    package static func hasPattern(_ path: some Sequence<UInt8>) -> Bool {
        path.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "[") }
    }

    package func match(_ value: [UInt8]) -> Bool { value.withUnsafeBytes { match($0) } }

    package func match(_ value: UnsafeRawBufferPointer) -> Bool { literal.find(value) >= 0 || patterned.match(value) }
}

private final class PatternedPaths: Sendable {
    private static let slash = UInt8(ascii: "/")

    private struct Component: BitwiseCopyable {
        let offset: Int
        let count: Int
        let endsPath: Bool
        let isPattern: Bool
    }

    private let components: FixedTable<Component>
    private let elements: FixedTable<GlobCode.Element>
    private let sets: FixedTable<ByteSet>

    init(_ paths: [[UInt8]]) {
        var code = GlobCode()
        var components: [Component] = []
        for path in paths {
            let parts = path.split(separator: Self.slash)
            for (index, part) in parts.enumerated() {
                let isPattern = PathPrefixes.hasPattern(part)
                let range = isPattern ? code.compile(part) : code.append(part)
                components.append(Component(offset: range.lowerBound, count: range.count, endsPath: index == parts.count - 1, isPattern: isPattern))
            }
        }
        self.components = FixedTable(components)
        elements = FixedTable(code.elements)
        sets = FixedTable(code.sets)
    }

    func match(_ value: UnsafeRawBufferPointer) -> Bool {
        guard components.count > 0, let start = value.baseAddress else { return false }
        var index = 0
        while index < components.count {
            var place = 0
            while takes(&place, components[index], start, value.count) {
                if components[index].endsPath { return true }
                index &+= 1
            }
            while !components[index].endsPath { index &+= 1 }
            index &+= 1
        }
        return false
    }

    /// Whether the component of the value that begins at or behind `place` is this one; goes to where it ends.
    @inline(__always) private func takes(_ place: inout Int, _ component: Component, _ value: UnsafeRawPointer, _ count: Int) -> Bool {
        while place < count, value.load8(at: place) == Self.slash { place &+= 1 }
        let start = place
        while place < count, value.load8(at: place) != Self.slash { place &+= 1 }
        guard place > start, component.isPattern || component.count == place &- start else { return false }
        return GlobCode.matches(elements.base + component.offset, component.count, sets.base, value + start, place &- start)
    }
}
