extension RegularExpressionNode {
    /// A longest of the literals that were easily found to be in every text that matches.
    var requiredLiteral: [UInt8]? {
        let best = literals.best
        return best.isEmpty ? nil : best
    }

    /// What is known of all texts that match a part of a pattern.
    private struct Literals {
        /// Longer ones help nobody to find a text, and repetitions make long ones.
        static let limit = 128

        /// The part matches `prefix` and nothing else.
        var isExact = true
        var prefix: [UInt8] = []
        var suffix: [UInt8] = []
        /// Somewhere inside; at least as long as the prefix and the suffix.
        var best: [UInt8] = []

        init() {}

        init(exactly bytes: [UInt8]) {
            prefix = bytes
            suffix = bytes
            best = bytes
        }

        static var unknown: Literals {
            var literals = Literals()
            literals.isExact = false
            return literals
        }

        mutating func append(_ next: Literals) {
            let joint = suffix + next.prefix
            let longest = [best, joint, next.best].max { $0.count < $1.count } ?? []
            if isExact { prefix += next.prefix }
            suffix = next.isExact ? joint : next.suffix
            best = longest
            isExact = isExact && next.isExact
            cut()
        }

        mutating func alternate(_ other: Literals) {
            isExact = isExact && other.isExact && prefix == other.prefix
            prefix = Array(zip(prefix, other.prefix).prefix { $0 == $1 }.map(\.0))
            suffix = zip(suffix.reversed(), other.suffix.reversed()).prefix { $0 == $1 }.map(\.0).reversed()
            best = best == other.best ? best : prefix.count > suffix.count ? prefix : suffix
        }

        private mutating func cut() {
            guard max(prefix.count, suffix.count, best.count) > Self.limit else { return }
            isExact = false
            prefix = Array(prefix.prefix(Self.limit))
            suffix = Array(suffix.suffix(Self.limit))
            best = Array(best.prefix(Self.limit))
        }
    }

    private var literals: Literals {
        switch self {
        case .empty, .lineStart, .lineEnd: return Literals()
        case .scalars(let ranges):
            // A text whose bytes are no UTF-8 may match U+FFFD without having it.
            guard ranges.count == 1, ranges[0].count == 1, ranges[0].lowerBound != UTF8Reader.replacement, let scalar = Unicode.Scalar(ranges[0].lowerBound) else {
                return .unknown
            }
            return Literals(exactly: Array(String(scalar).utf8))
        case .sequence(let nodes):
            var result = Literals()
            for node in nodes { result.append(node.literals) }
            return result
        case .alternatives(let nodes):
            var result = nodes[0].literals
            for node in nodes.dropFirst() { result.alternate(node.literals) }
            return result
        case .repetition(let node, let least, let most):
            guard least > 0 else { return most == 0 ? Literals() : .unknown }
            let once = node.literals
            // What is not exact is known no better for being repeated more than once.
            let times = min(least, once.isExact ? Literals.limit : 2)
            var result = Literals()
            for _ in 0..<times { result.append(once) }
            if times != most { result.isExact = false }
            return result
        }
    }
}
