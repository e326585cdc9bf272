internal import RiposteCore

extension CompiledCondition {
    static func holds(_ node: Node, _ source: some FieldSource) -> Bool {
        switch node {
        case .and(let parts): parts.allSatisfy { holds($0, source) }
        case .or(let parts): parts.contains { holds($0, source) }
        case .not(let part): !holds(part, source)
        case .test(let left, let predicate): holds(predicate, for: left, source)
        }
    }

    private static func holds(_ predicate: Predicate, for left: Source, _ source: some FieldSource) -> Bool {
        switch left {
        case .ancestors(let names):
            return names.contains { name in source.value(of: name).map { holds(predicate, $0, source) } ?? false }
        case .ends(let names):
            let values = names.compactMap { source.value(of: $0) }
            // `!=` means that neither end is equal.
            if case .unequal = predicate { return !values.isEmpty && values.allSatisfy { holds(predicate, $0, source) } }
            return values.contains { holds(predicate, $0, source) }
        default:
            guard let value = value(of: left, source) else { return false }
            return holds(predicate, value, source)
        }
    }

    private static func holds(_ predicate: Predicate, _ value: FieldValue, _ source: some FieldSource) -> Bool {
        switch predicate {
        case .exists: return true
        case .equal(let expected): return equal(value, expected)
        case .unequal(let inner): return !holds(inner, value, source)
        case .equalAddress(let expected): return value.address == expected
        case .inNetwork(let network): return value.address.map(network.contains) ?? false
        case .order(let comparison, let expected): return ordered(value, comparison, expected)
        case .contains(let part, let foldsCase):
            let bytes = value.bytes
            return (foldsCase ? bytes.map(\.asciiLowercased) : bytes).containsRun(part)
        case .hasPrefix(let part): return value.bytes.starts(with: part)
        case .hasSuffix(let part): return value.bytes.suffix(part.count).elementsEqual(part)
        case .glob(let pattern): return pattern.matches(value.bytes)
        case .regex(let expression): return expression.matchesWhole(value.bytes)
        case .pathPrefixes(let prefixes): return prefixes.match(value.bytes)
        case .oneOf(let set, let allElements): return isMember(value, of: set, allElements: allElements)
        case .count(let modifier, let predicates): return counts(modifier, predicates, value, source)
        case .compare(let comparison, let right): return compare(value, comparison, right, source)
        }
    }

    private static func counts(_ modifier: Condition.Modifier, _ predicates: [Predicate], _ value: FieldValue, _ source: some FieldSource) -> Bool {
        let held = predicates.count { holds($0, value, source) }
        switch modifier {
        case .oneof: return held == 1
        case .anyof: return held > 0
        case .allof: return held == predicates.count && held > 0
        }
    }

    private static func equal(_ value: FieldValue, _ expected: FieldValue) -> Bool {
        if value == expected { return true }
        switch (value, expected) {
        case (.text, .text), (.list, _), (_, .list): return false
        case (_, .integer(let number)): return value.integer == number
        default: return value.bytes == expected.bytes
        }
    }

    private static func ordered(_ value: FieldValue, _ comparison: Condition.Comparison, _ expected: FieldValue) -> Bool {
        if let left = value.integer, let right = expected.integer { return ordered(left, comparison, right) }
        guard case .text(let left) = value, case .text(let right) = expected else { return false }
        return ordered(ByteText(left), comparison, ByteText(right))
    }

    private static func ordered<Value: Comparable>(_ left: Value, _ comparison: Condition.Comparison, _ right: Value) -> Bool {
        switch comparison {
        case .less: left < right
        case .lessOrEqual: left <= right
        case .greater: left > right
        case .greaterOrEqual: left >= right
        default: false
        }
    }

    /// `in` wants every element of a list, `intersects` one; an empty list has every element in any set that is not empty, and intersects none.
    private static func isMember(_ value: FieldValue, of set: ValueSet, allElements: Bool) -> Bool {
        if case .list(let elements) = value {
            return allElements
                ? elements.allSatisfy { isMember($0, of: set, allElements: true) } && !set.texts.isEmpty
                : elements.contains { isMember($0, of: set, allElements: false) }
        }
        if case .integer(let number) = value, set.integers.contains(number) { return true }
        if !set.texts.isEmpty, set.texts.contains(value.bytes) { return true }
        guard !set.addresses.isEmpty || !set.networks.isEmpty, let address = value.address else { return false }
        return set.addresses.contains(address) || set.networks.contains { $0.contains(address) }
    }

    private static func compare(_ left: FieldValue, _ comparison: Condition.Comparison, _ rightSource: Source, _ source: some FieldSource) -> Bool {
        guard let right = value(of: rightSource, source) else { return false }
        switch comparison {
        case .equal: return equal(left, right)
        case .notEqual: return !equal(left, right)
        case .less, .lessOrEqual, .greater, .greaterOrEqual: return ordered(left, comparison, right)
        case .contains: return left.bytes.containsRun(right.bytes)
        case .icontains: return left.bytes.map(\.asciiLowercased).containsRun(right.bytes.map(\.asciiLowercased))
        case .startswith: return left.bytes.starts(with: right.bytes)
        case .endswith: return left.bytes.suffix(right.bytes.count).elementsEqual(right.bytes)
        case .glob: return GlobPattern(right.bytes).matches(left.bytes)
        case .iglob: return GlobPattern(right.bytes, foldsCase: true).matches(left.bytes)
        case .within, .intersects:
            guard case .list(let elements) = right else { return equal(left, right) }
            guard case .list(let own) = left else { return elements.contains { equal(left, $0) } }
            let isShared = { (value: FieldValue) in elements.contains { equal(value, $0) } }
            return comparison == .within ? own.allSatisfy(isShared) : own.contains(where: isShared)
        case .bcontains, .bstartswith, .regex, .pmatch, .exists: return false
        }
    }

    // MARK: - Values

    private static func value(of left: Source, _ source: some FieldSource) -> FieldValue? {
        switch left {
        case .field(let name): return source.value(of: name)
        case .ancestors(let names), .ends(let names): return names.lazy.compactMap { source.value(of: $0) }.first
        case .constant(let value): return value
        case .list(let elements): return .list(elements.compactMap { value(of: $0, source) })
        case .transform(let name, let arguments, let selector):
            var values: [FieldValue] = []
            for argument in arguments {
                guard let value = value(of: argument, source) else { return nil }
                values.append(value)
            }
            return Transformers.apply(name, values, selector: selector)
        }
    }
}

extension [UInt8] {
    func containsRun(_ part: [UInt8]) -> Bool {
        guard let first = part.first else { return true }
        guard count >= part.count else { return false }
        for start in 0...(count - part.count) where self[start] == first {
            if self[start..<(start + part.count)].elementsEqual(part) { return true }
        }
        return false
    }
}
