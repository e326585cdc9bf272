extension PlanBuilder {
    /// How many conditions and parts refer to each node: what more than one does is a part of its own, asked once.
    mutating func countUses(_ narrowing: EventTypeNarrowing?) {
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
    mutating func entry(_ node: NodeID) -> Int32 {
        if let entry = entries[node] { return entry }
        let entry = emit(node, onTrue: Instruction.holds, onFalse: Instruction.fails, isRoot: true)
        entries[node] = entry
        return entry
    }

    /// Emits a node from its end to its beginning, so that every place to go on to is known; gives where it begins.
    mutating func emit(_ node: NodeID, onTrue: Int32, onFalse: Int32, isRoot: Bool = false) -> Int32 {
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

    mutating func append(_ instruction: Instruction) -> Int32 {
        parts.code.append(instruction)
        return Int32(parts.code.count - 1)
    }

    mutating func part(_ node: NodeID) -> Int32 {
        if let index = partIndices[node] { return index }
        let index = Int32(parts.parts.count)
        partIndices[node] = index
        parts.parts.append(Instruction.fails)
        parts.parts[Int(index)] = entry(node)
        return index
    }

    /// What ends the chain soonest for the least comes first.
    func ordered(_ children: [NodeID], isAll: Bool) -> [NodeID] {
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
    mutating func weigh() {
        estimates = Array(repeating: (0, 0), count: graph.nodes.count)
        accesses = Array(repeating: nil, count: graph.nodes.count)
        for node in graph.nodes.indices where uses[node] > 0 {
            estimates[node] = estimate(node)
            accesses[node] = access(node)
        }
    }

    /// What a node costs, in units of one comparison of numbers, and how often it holds. Guesses, but the same for all.
    func estimate(_ node: NodeID) -> (cost: Double, chance: Double) {
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
    static let commonFields: Set<String> = [
        "fd.typechar", "fd.type", "fd.sockfamily", "fd.l4proto", "fd.cproto", "evt.res", "evt.category", "evt.io_dir", "container.id", "container.type", "user.name",
        "group.name", "proc.sname", "ka.auth.decision", "jevt.value[/stage]",
    ]

    func isCommon(_ slot: Int) -> Bool { graph.fieldName(of: slot).map(Self.commonFields.contains) ?? false }

    func estimate(_ test: ConditionGraph.Test) -> (cost: Double, chance: Double) {
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
}
