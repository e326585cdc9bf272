internal import RiposteCore

/// A test that needs more than a comparison of bytes or numbers. Immutable, so that any thread may ask.
class Matcher: @unchecked Sendable {
    // Subclasses have constants only.

    func matches(_ value: FieldView, _ judge: RuleJudge) -> Bool { false }
}

final class AddressMatcher: Matcher, @unchecked Sendable {
    // Constants only.
    private let addresses: [IPAddress]

    init(_ addresses: [IPAddress]) { self.addresses = addresses }

    override func matches(_ value: FieldView, _ judge: RuleJudge) -> Bool {
        guard case .address(let address) = value else { return false }
        return addresses.contains(address)
    }
}

final class NetworkMatcher: Matcher, @unchecked Sendable {
    // Constants only.
    private let networks: [IPNetwork]

    init(_ networks: [IPNetwork]) { self.networks = networks }

    override func matches(_ value: FieldView, _ judge: RuleJudge) -> Bool {
        guard case .address(let address) = value else { return false }
        for network in networks where network.contains(address) { return true }
        return false
    }
}

final class IntegerSetMatcher: Matcher, @unchecked Sendable {
    // Constants only.
    private let numbers: [Int64]

    init(_ numbers: [Int64]) { self.numbers = numbers.sorted() }

    override func matches(_ value: FieldView, _ judge: RuleJudge) -> Bool {
        guard case .integer(let number) = value else { return false }
        var (low, high) = (0, numbers.count)
        while low < high {
            let middle = (low + high) / 2
            if numbers[middle] < number { low = middle + 1 } else { high = middle }
        }
        return low < numbers.count && numbers[low] == number
    }
}

final class GlobMatcher: Matcher, @unchecked Sendable {
    // Constants only.
    private let pattern: GlobPattern

    init(_ pattern: GlobPattern) { self.pattern = pattern }

    override func matches(_ value: FieldView, _ judge: RuleJudge) -> Bool {
        guard case .text(let text) = value else { return false }
        return pattern.matches(text)
    }
}

final class RegexMatcher: Matcher, @unchecked Sendable {
    // Constants only.
    private let expression: RegularExpression

    init(_ expression: RegularExpression) { self.expression = expression }

    override func matches(_ value: FieldView, _ judge: RuleJudge) -> Bool {
        guard case .text(let text) = value else { return false }
        return expression.matchesWhole(text)
    }
}

/// `pmatch` with a pattern in one of the paths.
final class PathPatternMatcher: Matcher, @unchecked Sendable {
    // Constants only.
    private let prefixes: PathPrefixes

    init(_ prefixes: PathPrefixes) { self.prefixes = prefixes }

    override func matches(_ value: FieldView, _ judge: RuleJudge) -> Bool {
        guard case .text(let text) = value else { return false }
        return prefixes.match(text)
    }
}

final class SubstringMatcher: Matcher, @unchecked Sendable {
    // Constants only.
    private let search: SubstringSearch

    init(_ search: SubstringSearch) { self.search = search }

    override func matches(_ value: FieldView, _ judge: RuleJudge) -> Bool {
        guard case .text(let text) = value else { return false }
        return search.isContained(in: text)
    }
}

/// `oneof` and `allof`.
final class CountMatcher: Matcher, @unchecked Sendable {
    // Constants only.
    private let modifier: Condition.Modifier
    /// Of its own, and not an array's: nothing is counted when they are looked at.
    private let operations: UnsafeMutableBufferPointer<TestOperation>
    private let isNegated: Bool

    init(_ modifier: Condition.Modifier, _ operations: [TestOperation], isNegated: Bool) {
        self.modifier = modifier
        self.operations = .allocate(capacity: operations.count)
        _ = self.operations.initialize(from: operations)
        self.isNegated = isNegated
    }

    deinit {
        operations.deinitialize()
        operations.deallocate()
    }

    override func matches(_ value: FieldView, _ judge: RuleJudge) -> Bool {
        var held = 0
        for place in operations.indices {
            let operation = UnsafePointer(operations.baseAddress.unsafelyUnwrapped + place)
            if judge.holds(operation, value) != isNegated { held += 1 }
        }
        switch modifier {
        case .oneof: return held == 1
        case .anyof: return held > 0
        case .allof: return held == operations.count && held > 0
        }
    }
}

/// With the value of another slot.
final class ComparisonMatcher: Matcher, @unchecked Sendable {
    // Constants only.
    private let comparison: Condition.Comparison
    private let right: Int

    init(_ comparison: Condition.Comparison, _ right: Int) {
        self.comparison = comparison
        self.right = right
    }

    override func matches(_ value: FieldView, _ judge: RuleJudge) -> Bool {
        let other = judge.value(right)
        switch (comparison, other) {
        case (_, .absent): return false
        case (.within, .list(let elements)), (.intersects, .list(let elements)):
            for element in elements where value.isEqual(to: element) { return true }
            return false
        case (.equal, _), (.within, _), (.intersects, _): return value.isEqual(to: other)
        case (.less, _), (.lessOrEqual, _), (.greater, _), (.greaterOrEqual, _): return isOrdered(value, other)
        default: break
        }
        guard case .text(let text) = value, case .text(let part) = other else { return false }
        switch comparison {
        case .contains: return text.contains(part, foldsCase: false)
        case .icontains: return text.contains(part, foldsCase: true)
        case .startswith, .bstartswith: return text.count >= part.count && UnsafeRawBufferPointer(rebasing: text[..<part.count]).elementsEqual(part)
        case .endswith: return text.count >= part.count && UnsafeRawBufferPointer(rebasing: text[(text.count - part.count)...]).elementsEqual(part)
        case .bcontains: return text.contains(part, foldsCase: false)
        case .glob: return GlobPattern(Array(part)).matches(text)
        case .iglob: return GlobPattern(Array(part), foldsCase: true).matches(text)
        default: return false
        }
    }

    private func isOrdered(_ left: FieldView, _ right: FieldView) -> Bool {
        switch (left, right) {
        case (.integer(let left), .integer(let right)): holds(left, right)
        case (.text(let left), .text(let right)): holds(left.lexicographicallyPrecedes(right) ? -1 : left.elementsEqual(right) ? 0 : 1, 0)
        default: false
        }
    }

    private func holds(_ left: Int64, _ right: Int64) -> Bool {
        switch comparison {
        case .less: left < right
        case .lessOrEqual: left <= right
        case .greater: left > right
        default: left >= right
        }
    }
}

extension FieldView {
    /// Texts by byte; lists element by element.
    func isEqual(to other: FieldView) -> Bool {
        switch (self, other) {
        case (.text(let left), .text(let right)): left.count == right.count && left.elementsEqual(right)
        case (.integer(let left), .integer(let right)): left == right
        case (.bool(let left), .bool(let right)): left == right
        case (.address(let left), .address(let right)): left == right
        case (.list(let left), .list(let right)): left.count == right.count && zip(left, right).allSatisfy { $0.isEqual(to: $1) }
        case (.absent, _), (_, .absent): false
        default: textBytes == other.textBytes
        }
    }

    private var textBytes: [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes
    }
}

extension UnsafeRawBufferPointer {
    func contains(_ part: UnsafeRawBufferPointer, foldsCase: Bool) -> Bool {
        SubstringSearch(foldsCase ? part.map(\.asciiLowercased) : Array(part), foldsCase: foldsCase).isContained(in: self)
    }
}
