internal import RiposteCore

/// Makes a plan of conditions: literals gathered by slot, tests readied, conditions narrowed to each event type and put into programs with the
/// cheapest and most telling tests first.
struct PlanBuilder {
    typealias NodeID = ConditionGraph.NodeID

    var graph: ConditionGraph
    let roots: [NodeID]
    let narrowsByType: Bool
    var parts = RulePlanParts()
    var fieldIndices: [ConditionGraph.FieldKey: Int] = [:]

    /// By node of the graph, with those that narrowing made.
    var uses: [Int32] = []
    var estimates: [(cost: Double, chance: Double)] = []
    var partIndices: [NodeID: Int32] = [:]
    var entries: [NodeID: Int32] = [:]
    var accesses: [Access?] = []

    /// What leads to a condition: where none of these holds, it cannot hold.
    struct Access {
        enum Lead {
            /// The slot's text has this literal, which the test asks for.
            case literal(slot: Int, family: SlotLiterals.Family, index: Int32, test: Int)
            /// The test holds, or does not.
            case test(Int, holds: Bool)
        }

        var leads: [Lead]
        var chance: Double
        /// How much it takes to ask; literals are looked up for all conditions at once.
        var cost: Double

        /// In words, for people.
        func texts(_ graph: ConditionGraph) -> [String] {
            var texts: [String] = []
            for lead in leads {
                let text: String
                switch lead {
                case .literal(_, _, _, let test): text = graph.text(of: graph.tests[test])
                case .test(let test, let holds): text = (holds ? "" : "not ") + graph.text(of: graph.tests[test])
                }
                if texts.last != text, !texts.contains(text) { texts.append(text) }
            }
            return texts
        }
    }

    /// `roots` are the conditions; with `narrowsByType` each event type gets its own plan, else all are asked one by one.
    init(_ graph: ConditionGraph, roots: [Int], narrowsByType: Bool) {
        self.graph = graph
        self.roots = roots
        self.narrowsByType = narrowsByType
    }

    static func plan(_ graph: ConditionGraph, roots: [Int], narrowsByType: Bool) -> RulePlan {
        var builder = PlanBuilder(graph, roots: roots, narrowsByType: narrowsByType)
        return builder.build()
    }

    /// What is to be told of each condition.
    static func explanations(_ graph: ConditionGraph, roots: [Int]) -> [PlanExplanation] {
        var builder = PlanBuilder(graph, roots: roots, narrowsByType: false)
        builder.makeLiterals()
        builder.countUses(nil)
        builder.weigh()
        let tests = roots.map { graph.tests(below: $0) }
        var counts: [Int: Int] = [:]
        for test in tests.joined() { counts[test, default: 0] += 1 }
        return zip(roots, tests).map { root, tests in
            let access = builder.accesses[root].flatMap { $0.chance <= Self.chanceLimit ? $0 : nil }
            return PlanExplanation(
                tests: tests.map { .init(text: graph.text(of: graph.tests[$0]), rules: counts[$0] ?? 1) }, leads: access?.texts(graph) ?? [])
        }
    }

    private mutating func build() -> RulePlan {
        let narrowing = narrowsByType ? EventTypeNarrowing(&graph, roots: roots) : nil
        makeSlots()
        makeLiterals()
        for test in graph.tests { parts.operations.append(operation(test)) }
        countUses(narrowing)
        weigh()
        if let narrowing {
            for plan in narrowing.plans { parts.typePlans.append(typePlan(plan.roots)) }
            parts.typeIndex = narrowing.index
            parts.roots = Array(repeating: Instruction.fails, count: roots.count)
        } else {
            parts.roots = roots.map { entry($0) }
            parts.typePlans = [TypePlan(ruleCount: 0, gates: list([]), always: list([]), entries: list([]), roots: list([]))]
            parts.typeIndex = Array(repeating: 0, count: EventType.count)
        }
        return RulePlan(parts)
    }

    // MARK: - Slots and literals

    private mutating func makeSlots() {
        for (slot, type) in zip(graph.slots, graph.slotTypes) {
            parts.slots.append(slotOperation(slot))
            parts.slotTypes.append(type)
        }
    }

    private mutating func slotOperation(_ slot: ConditionGraph.Slot) -> SlotOperation {
        switch slot {
        case .field(let key): .field(field(key))
        case .constant(let bytes): .constant(constant(bytes))
        case .number(let number): .number(number)
        case .list(let elements): .list(elements)
        case .transform(let name, let arguments, let selector): .transform(name, arguments, selector: selector)
        }
    }

    private mutating func field(_ key: ConditionGraph.FieldKey) -> Int {
        if let index = fieldIndices[key] { return index }
        let argument: EventField.Argument =
            switch key.argument {
            case nil: .none
            case let text? where key.isIndex: .index(Int(text) ?? 0)
            case let text?: .key(constant(Array(text.utf8)))
            }
        let type = key.id == .unlisted ? FieldType.any : FieldCatalogue[key.id].type
        parts.fields.append(EventField(id: key.id, argument: argument, type: type, text: constant(Array(key.text.utf8))))
        fieldIndices[key] = parts.fields.count - 1
        return parts.fields.count - 1
    }

    private func constant(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
        let memory = parts.constants.allocate(bytes: max(1, bytes.count), alignment: 8)
        memory.copyBytes(from: bytes)
        return UnsafeRawBufferPointer(rebasing: memory[..<bytes.count])
    }

    func list<Element: BitwiseCopyable>(_ elements: [Element]) -> UnsafeMutableBufferPointer<Element> {
        let stride = MemoryLayout<Element>.stride
        let memory = parts.constants.allocate(bytes: max(1, elements.count) * stride, alignment: 16).bindMemory(to: Element.self)
        _ = memory.initialize(from: elements)
        return UnsafeMutableBufferPointer(rebasing: memory[..<elements.count])
    }

    private mutating func makeLiterals() {
        var literals: [[SlotLiterals.Family: [[UInt8]]]] = Array(repeating: [:], count: graph.slots.count)
        func gather(_ predicate: ConditionGraph.Predicate, _ slot: Int) {
            switch predicate {
            case .textIn(let texts): literals[slot][.exact, default: []] += texts
            case .hasPrefix(let text): literals[slot][.prefix, default: []].append(text)
            case .hasSuffix(let text): literals[slot][.suffix, default: []].append(text)
            case .contains(let text, let foldsCase): literals[slot][foldsCase ? .foldedPart : .part, default: []].append(text)
            case .pathPrefixes(let paths): literals[slot][.path, default: []] += paths.filter { !$0.isPathPattern }
            case .glob(let pattern, foldsCase: false):
                if let plain = Self.plain(pattern) {
                    gather(plain, slot)
                } else if let head = Self.head(of: pattern) {
                    literals[slot][.prefix, default: []].append(head)
                }
            case .count(_, let predicates, _): for inner in predicates { gather(inner, slot) }
            default: break
            }
        }
        for test in graph.tests { gather(test.predicate, test.slot) }
        parts.literals = literals.map { $0.isEmpty ? nil : SlotLiterals($0) }
    }

    /// A pattern that is only a text with `*` at its ends says the same as a plainer operator.
    static func plain(_ pattern: [UInt8]) -> ConditionGraph.Predicate? {
        switch GlobPattern(pattern).simplified {
        case .exact(let text): .textIn([text])
        case .prefix(let text): .hasPrefix(text)
        case .suffix(let text): .hasSuffix(text)
        case .contains(let text): .contains(text, foldsCase: false)
        case .any: .exists
        case .general: nil
        }
    }

    // MARK: - Tests

    private mutating func operation(_ test: ConditionGraph.Test) -> TestOperation {
        var operation = operation(test.predicate, test.slot)
        operation.isNegated = test.isNegated
        operation.mode = test.mode
        return operation
    }

    private mutating func operation(_ predicate: ConditionGraph.Predicate, _ slot: Int) -> TestOperation {
        var result = TestOperation(kind: .never, slot: Int32(slot))
        let literals = parts.literals[slot]
        switch predicate {
        case .exists: result.kind = .exists
        case .textIn(let texts): member(texts, literals, &result)
        case .integerIn(let numbers):
            switch numbers.count {
            case 0: break
            case 1: (result.kind, result.number) = (.equalInteger, numbers[0])
            default: matcher(IntegerSetMatcher(numbers), &result)
            }
        case .bool(let value): (result.kind, result.number) = (.bool, value ? 1 : 0)
        case .addressIn(let addresses): matcher(AddressMatcher(addresses), &result)
        case .networkIn(let networks): matcher(NetworkMatcher(networks), &result)
        case .integerOrder(let order, let number, let isUnsigned): (result.kind, result.number) = (Self.kind(order, isUnsigned: isUnsigned), number)
        case .textOrder(let order, let text): (result.kind, result.bytes) = (Self.textKind(order), constant(text))
        case .hasPrefix(let text): literal(text, .prefix, .beginsWithLiteral, otherwise: .hasPrefix, literals, &result)
        case .hasSuffix(let text): literal(text, .suffix, .endsWithLiteral, otherwise: .hasSuffix, literals, &result)
        case .contains(let text, let foldsCase):
            if let index = literals?.index(of: text, in: foldsCase ? .foldedPart : .part) {
                (result.kind, result.number) = (foldsCase ? .containsFoldedLiteral : .containsLiteral, Int64(index))
            } else {
                matcher(SubstringMatcher(SubstringSearch(text, foldsCase: foldsCase)), &result)
            }
        case .glob(let pattern, let foldsCase):
            if !foldsCase, let plain = Self.plain(pattern) { return self.operation(plain, slot) }
            matcher(GlobMatcher(GlobPattern(pattern, foldsCase: foldsCase)), &result)
        case .regex(let pattern):
            guard let expression = try? RegularExpression(pattern) else { preconditionFailure("the compiler has read this pattern") }
            matcher(RegexMatcher(expression), &result)
        case .pathPrefixes(let paths): below(paths, literals, &result)
        case .count(let modifier, let predicates, let isNegated):
            matcher(CountMatcher(modifier, predicates.map { self.operation($0, slot) }, isNegated: isNegated), &result)
        case .compare(let comparison, let right): matcher(ComparisonMatcher(comparison, right), &result)
        }
        return result
    }

    private mutating func matcher(_ matcher: Matcher, _ result: inout TestOperation) {
        parts.matchers.append(matcher)
        result.kind = .matcher
        result.matcher = .passUnretained(matcher)
    }

    private func literal(
        _ text: [UInt8], _ family: SlotLiterals.Family, _ kind: TestOperation.Kind, otherwise: TestOperation.Kind, _ literals: SlotLiterals?, _ result: inout TestOperation
    ) {
        if let index = literals?.index(of: text, in: family) {
            (result.kind, result.number) = (kind, Int64(index))
        } else {
            (result.kind, result.bytes) = (otherwise, constant(text))
        }
    }

    private mutating func member(_ texts: [[UInt8]], _ literals: SlotLiterals?, _ result: inout TestOperation) {
        if texts.count == 1 { return literal(texts[0], .exact, .isLiteral, otherwise: .equalText, literals, &result) }
        guard !texts.isEmpty else { return }
        let indices = texts.compactMap { literals?.index(of: $0, in: .exact) }
        guard indices.count == texts.count else {
            let equals = texts.map { TestOperation(kind: .equalText, slot: result.slot, bytes: constant($0)) }
            return matcher(CountMatcher(.anyof, equals, isNegated: false), &result)
        }
        (result.kind, result.bytes) = (.inLiterals, bits(indices, count: literals?.count(.exact) ?? 0))
    }

    private mutating func below(_ paths: [[UInt8]], _ literals: SlotLiterals?, _ result: inout TestOperation) {
        let patterns = paths.filter(\.isPathPattern)
        let indices = paths.filter { !$0.isPathPattern }.compactMap { literals?.index(of: $0, in: .path) }
        var plain = TestOperation(kind: .never, slot: result.slot)
        if indices.count == 1 { (plain.kind, plain.number) = (.belowLiteral, Int64(indices[0])) }
        if indices.count > 1 { (plain.kind, plain.bytes) = (.belowLiterals, bits(indices, count: literals?.count(.path) ?? 0)) }
        guard !patterns.isEmpty else { return result = plain }
        matcher(PathPatternMatcher(PathPrefixes(patterns)), &result)
        guard !indices.isEmpty else { return }
        matcher(CountMatcher(.anyof, [plain, result], isNegated: false), &result)
    }

    private func bits(_ indices: [Int32], count: Int) -> UnsafeRawBufferPointer {
        var bytes = [UInt8](repeating: 0, count: (count + 7) / 8)
        for index in indices { bytes[Int(index >> 3)] |= 1 << UInt8(index & 7) }
        return constant(bytes)
    }

    private static func kind(_ order: ConditionGraph.Order, isUnsigned: Bool) -> TestOperation.Kind {
        switch order {
        case .less: isUnsigned ? .lessUnsigned : .less
        case .lessOrEqual: isUnsigned ? .lessOrEqualUnsigned : .lessOrEqual
        case .greater: isUnsigned ? .greaterUnsigned : .greater
        case .greaterOrEqual: isUnsigned ? .greaterOrEqualUnsigned : .greaterOrEqual
        }
    }

    private static func textKind(_ order: ConditionGraph.Order) -> TestOperation.Kind {
        switch order {
        case .less: .lessText
        case .lessOrEqual: .lessOrEqualText
        case .greater: .greaterText
        case .greaterOrEqual: .greaterOrEqualText
        }
    }
}

extension [UInt8] {
    /// Whether a component of the path is a pattern.
    var isPathPattern: Bool { contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "[") } }
}
