internal import RiposteCore

/// Makes a plan of conditions: literals gathered by slot, tests readied, conditions narrowed to each event type and put into programs with the
/// cheapest and most telling tests first.
struct PlanBuilder {
    private typealias NodeID = ConditionGraph.NodeID

    private var graph: ConditionGraph
    private let roots: [NodeID]
    private let narrowsByType: Bool
    private var parts = RulePlanParts()
    private var fieldIndices: [ConditionGraph.FieldKey: Int] = [:]

    /// By node of the graph; grown as narrowing makes new ones.
    private var uses: [Int32] = []
    private var estimates: [(cost: Double, chance: Double)] = []
    private var partIndices: [NodeID: Int32] = [:]
    private var entries: [NodeID: Int32] = [:]
    private var accesses: [Access?] = []

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

    private func list<Element: BitwiseCopyable>(_ elements: [Element]) -> UnsafeMutableBufferPointer<Element> {
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
    private static func plain(_ pattern: [UInt8]) -> ConditionGraph.Predicate? {
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

    // MARK: - Programs

    /// How many conditions and parts refer to each node: what more than one does is a part of its own, asked once.
    private mutating func countUses(_ narrowing: EventTypeNarrowing?) {
        uses = Array(repeating: 0, count: graph.nodes.count)
        var pending: [NodeID] = []
        for root in Set(narrowing.map { $0.plans.flatMap { $0.roots.map(\.node) } } ?? roots) {
            uses[root] += 1
            if uses[root] == 1 { pending.append(root) }
        }
        while let node = pending.popLast() {
            for part in graph.parts(of: node) {
                uses[part] += 1
                if uses[part] == 1 { pending.append(part) }
            }
        }
    }

    /// Where the program of a condition begins.
    private mutating func entry(_ node: NodeID) -> Int32 {
        if let entry = entries[node] { return entry }
        let entry = emit(node, onTrue: Instruction.holds, onFalse: Instruction.fails, isRoot: true)
        entries[node] = entry
        return entry
    }

    /// Emits a node from its end to its beginning, so that every place to go on to is known; gives where it begins.
    private mutating func emit(_ node: NodeID, onTrue: Int32, onFalse: Int32, isRoot: Bool = false) -> Int32 {
        switch graph.nodes[node] {
        case .constant(let value): return value ? onTrue : onFalse
        case .test(let test): return append(Instruction(test: Int32(test), onTrue: onTrue, onFalse: onFalse))
        case .not(let inner): return emit(inner, onTrue: onFalse, onFalse: onTrue)
        case .all(let children):
            if !isRoot, uses[node] > 1 { return append(Instruction(test: ~part(node), onTrue: onTrue, onFalse: onFalse)) }
            var next = onTrue
            for child in ordered(children, isAll: true).reversed() { next = emit(child, onTrue: next, onFalse: onFalse) }
            return next
        case .any(let children):
            if !isRoot, uses[node] > 1 { return append(Instruction(test: ~part(node), onTrue: onTrue, onFalse: onFalse)) }
            var next = onFalse
            for child in ordered(children, isAll: false).reversed() { next = emit(child, onTrue: onTrue, onFalse: next) }
            return next
        }
    }

    private mutating func append(_ instruction: Instruction) -> Int32 {
        parts.code.append(instruction)
        return Int32(parts.code.count - 1)
    }

    private mutating func part(_ node: NodeID) -> Int32 {
        if let index = partIndices[node] { return index }
        let index = Int32(parts.parts.count)
        partIndices[node] = index
        parts.parts.append(Instruction.fails)
        parts.parts[Int(index)] = entry(node)
        return index
    }

    /// What ends the chain soonest for the least comes first.
    private func ordered(_ children: [NodeID], isAll: Bool) -> [NodeID] {
        var ranked: [(node: NodeID, rank: Double)] = []
        for child in children {
            let (cost, chance) = estimates[child]
            ranked.append((child, cost / max(0.02, isAll ? 1 - chance : chance)))
        }
        // Stable: what was written first comes first among equals.
        return ranked.enumerated().sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }.map(\.element.node)
    }

    /// Estimates all nodes in use and finds what leads to them. Parts have smaller numbers than what they are parts of, so that one pass does,
    /// however deep conditions are.
    private mutating func weigh() {
        estimates = Array(repeating: (0, 0), count: graph.nodes.count)
        accesses = Array(repeating: nil, count: graph.nodes.count)
        for node in graph.nodes.indices where uses[node] > 0 {
            estimates[node] = estimate(node)
            accesses[node] = access(node)
        }
    }

    /// What a node costs, in units of one comparison of numbers, and how often it holds. Guesses, but the same for all.
    private func estimate(_ node: NodeID) -> (cost: Double, chance: Double) {
        switch graph.nodes[node] {
        case .constant(let value): return (0, value ? 1 : 0)
        case .test(let test): return estimate(graph.tests[test])
        case .not(let inner): return (estimates[inner].cost, 1 - estimates[inner].chance)
        case .all(let children):
            var (cost, chance) = (1.0, 1.0)
            for child in ordered(children, isAll: true) {
                cost += chance * estimates[child].cost
                chance *= estimates[child].chance
            }
            return (cost, chance)
        case .any(let children):
            var (cost, miss) = (1.0, 1.0)
            for child in ordered(children, isAll: false) {
                cost += miss * estimates[child].cost
                miss *= 1 - estimates[child].chance
            }
            return (cost, 1 - miss)
        }
    }

    /// Fields that nearly all events of a kind have the same value of: to have it says little.
    private static let commonFields: Set<String> = [
        "fd.typechar", "fd.type", "fd.sockfamily", "fd.l4proto", "fd.cproto", "evt.res", "evt.category", "evt.io_dir", "container.id", "container.type", "user.name",
        "group.name", "proc.sname", "ka.auth.decision", "jevt.value[/stage]",
    ]

    private func isCommon(_ slot: Int) -> Bool { graph.fieldName(of: slot).map(Self.commonFields.contains) ?? false }

    private func estimate(_ test: ConditionGraph.Test) -> (cost: Double, chance: Double) {
        var (cost, chance): (Double, Double) =
            switch test.predicate {
            case .exists: (1, 0.9)
            case .bool: (1, 0.4)
            case .integerIn(let numbers): (1 + Double(numbers.count) / 8, 0.2)
            case .integerOrder: (1, 0.6)
            case .textIn where isCommon(test.slot): (3, 0.7)
            case .textIn(let texts): (3, min(0.3, 0.05 * Double(max(1, texts.count)).squareRoot()))
            case .textOrder: (3, 0.5)
            case .addressIn, .networkIn: (4, 0.1)
            case .hasPrefix: (3, 0.1)
            case .hasSuffix: (3, 0.1)
            case .pathPrefixes: (4, 0.1)
            case .contains: (8, 0.1)
            case .glob: (8, 0.1)
            case .regex: (15, 0.1)
            case .count(_, let predicates, _): (4 * Double(predicates.count), 0.2)
            case .compare: (6, 0.2)
            }
        if test.mode != .one { cost *= 4 }
        if case .transform = graph.slots[test.slot] { cost += 20 }
        if test.isNegated { chance = 1 - chance }
        return (cost, chance)
    }

    // MARK: - Gates

    /// What leads to a condition: where none of these holds, it cannot hold.
    private struct Access {
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

    /// What is more probable leads nowhere.
    private static let chanceLimit = 0.7
    /// The most leads to one condition.
    private static let leadLimit = 512

    private func access(_ node: NodeID) -> Access? {
        switch graph.nodes[node] {
        case .constant: return nil
        case .test(let test): return literalAccess(test) ?? plainAccess(test, holds: true)
        case .not(let inner):
            guard case .test(let test) = graph.nodes[inner] else { return nil }
            return plainAccess(test, holds: false)
        case .all(let children):
            let known = children.compactMap { accesses[$0] }
            return known.min { $0.chance + $0.cost / 100 < $1.chance + $1.cost / 100 }
        case .any(let children):
            var union = Access(leads: [], chance: 0, cost: 0)
            for child in children {
                guard let next = accesses[child], union.leads.count + next.leads.count <= Self.leadLimit else { return nil }
                union.leads += next.leads
                union.chance += next.chance
                union.cost += next.cost
            }
            return union.chance < 1 ? union : nil
        }
    }

    /// By asking the test itself.
    private func plainAccess(_ index: Int, holds: Bool) -> Access? {
        let test = graph.tests[index]
        let (cost, chance) = estimate(test)
        guard cost <= 12, !isType(test.slot) else { return nil }
        return Access(leads: [.test(index, holds: holds)], chance: holds ? chance : 1 - chance, cost: cost)
    }

    /// By the literals of the test, where the slot's family is worth one look for all.
    private func literalAccess(_ index: Int) -> Access? {
        let test = graph.tests[index]
        guard test.mode == .one, !test.isNegated, graph.slotTypes[test.slot] != .any, !isType(test.slot), !isCommon(test.slot), let literals = parts.literals[test.slot]
        else { return nil }
        func access(_ texts: [[UInt8]], _ family: SlotLiterals.Family, _ chance: Double) -> Access? {
            let indices = texts.compactMap { literals.index(of: $0, in: family) }
            guard indices.count == texts.count, texts.count <= Self.leadLimit else { return nil }
            return Access(leads: indices.map { .literal(slot: test.slot, family: family, index: $0, test: index) }, chance: chance, cost: 1)
        }
        func access(_ predicate: ConditionGraph.Predicate) -> Access? {
            switch predicate {
            case .textIn(let texts): return access(texts, .exact, min(0.3, 0.02 * Double(texts.count).squareRoot()))
            case .hasPrefix(let text): return access([text], .prefix, 0.08)
            case .hasSuffix(let text): return access([text], .suffix, 0.08)
            case .pathPrefixes(let paths) where !paths.contains(where: \.isPathPattern): return access(paths, .path, 0.09)
            case .contains(let text, let foldsCase): return access([text], foldsCase ? .foldedPart : .part, 0.2)
            case .glob(let pattern, foldsCase: false):
                if let plain = Self.plain(pattern) { return access(plain) }
                return Self.head(of: pattern).flatMap { access([$0], .prefix, 0.08) }
            default: return nil
            }
        }
        return access(test.predicate)
    }

    /// What every text begins with that a pattern matches; nil where that is too little to tell.
    private static func head(of pattern: [UInt8]) -> [UInt8]? {
        let head = Array(pattern.prefix { $0 != UInt8(ascii: "*") && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "[") && $0 != UInt8(ascii: "\\") })
        return head.count >= 2 ? head : nil
    }

    /// Types are what plans are made for; they lead nowhere.
    private func isType(_ slot: Int) -> Bool { graph.fieldName(of: slot).map { $0 == "evt.type" || $0 == "syscall.type" } ?? false }

    private struct GateKey: Hashable {
        var kind: Gate.Kind
        var index: Int32
    }

    private mutating func typePlan(_ roots: [(condition: Int, node: NodeID)]) -> TypePlan {
        var always = [UInt64](repeating: 0, count: (roots.count + 63) / 64)
        var gates: [GateKey: [Int32: [Int32]]] = [:]
        var order: [GateKey] = []
        func open(_ key: GateKey, _ literal: Int32, to rule: Int) {
            if gates[key] == nil { order.append(key) }
            gates[key, default: [:]][literal, default: []].append(Int32(rule))
        }
        for (rule, root) in roots.enumerated() {
            guard let access = accesses[root.node], access.chance <= Self.chanceLimit else {
                always[rule >> 6] |= 1 << UInt64(rule & 63)
                continue
            }
            for lead in access.leads {
                switch lead {
                case .literal(let slot, let family, let index, _): open(GateKey(kind: Gate.Kind(family), index: Int32(slot)), index, to: rule)
                case .test(let test, let holds): open(GateKey(kind: holds ? .test : .negatedTest, index: Int32(test)), 0, to: rule)
                }
            }
        }
        let built = order.map { key in gate(key, gates[key] ?? [:]) }
        return TypePlan(
            ruleCount: Int32(roots.count), gates: list(built), always: list(always), entries: list(roots.map { entry($0.node) }),
            roots: list(roots.map { Int32($0.condition) }))
    }

    private func gate(_ key: GateKey, _ lists: [Int32: [Int32]]) -> Gate {
        let count: Int =
            switch key.kind {
            case .test, .negatedTest: 1
            default: parts.literals[Int(key.index)]?.count(key.kind.family) ?? 0
            }
        var offsets: [Int32] = [0]
        var conditions: [Int32] = []
        for literal in 0..<Int32(count) {
            conditions += lists[literal] ?? []
            offsets.append(Int32(conditions.count))
        }
        return Gate(kind: key.kind, index: key.index, offsets: list(offsets), conditions: list(conditions))
    }
}

extension Gate.Kind {
    fileprivate init(_ family: SlotLiterals.Family) {
        switch family {
        case .exact: self = .exact
        case .prefix: self = .prefix
        case .suffix: self = .suffix
        case .path: self = .path
        case .part: self = .part
        case .foldedPart: self = .foldedPart
        }
    }

    fileprivate var family: SlotLiterals.Family {
        switch self {
        case .exact, .test, .negatedTest: .exact
        case .prefix: .prefix
        case .suffix: .suffix
        case .path: .path
        case .part: .part
        case .foldedPart: .foldedPart
        }
    }
}

extension [UInt8] {
    /// Whether a component of the path is a pattern.
    var isPathPattern: Bool { contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "[") } }
}
