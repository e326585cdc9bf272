/// Falco's `pmatch`: paths of which one must be a prefix of the value by whole components. A component of a prefix with `*`, `?` or `[` is a
/// pattern for that component.
package struct PathPrefixes: Sendable {
    private enum Component: Sendable {
        case exactly([UInt8])
        case pattern(GlobPattern)
    }

    private let paths: [[Component]]

    package init(_ paths: [[UInt8]]) {
        self.paths = paths.map { path in
            path.split(separator: UInt8(ascii: "/")).map { component in
                let isPattern = component.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "[") }
                return isPattern ? .pattern(GlobPattern(Array(component))) : .exactly(Array(component))
            }
        }
    }

    package func match(_ value: [UInt8]) -> Bool {
        let components = value.split(separator: UInt8(ascii: "/"))
        return paths.contains { path in
            path.count <= components.count
                && zip(path, components).allSatisfy { expected, component in
                    switch expected {
                    case .exactly(let bytes): component.elementsEqual(bytes)
                    case .pattern(let pattern): pattern.matches(component)
                    }
                }
        }
    }
}
