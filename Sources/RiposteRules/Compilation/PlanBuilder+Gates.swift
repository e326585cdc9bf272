extension PlanBuilder {
    /// What is more probable leads nowhere.
    static let chanceLimit = 0.7
    /// The most leads to one condition.
    static let leadLimit = 512

    func access(_ node: NodeID) -> Access? {
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
    func plainAccess(_ index: Int, holds: Bool) -> Access? {
        let test = graph.tests[index]
        let (cost, chance) = estimate(test)
        guard cost <= 12, !isType(test.slot) else { return nil }
        return Access(leads: [.test(index, holds: holds)], chance: holds ? chance : 1 - chance, cost: cost)
    }

    /// By the literals of the test, where the slot's family is worth one look for all.
    func literalAccess(_ index: Int) -> Access? {
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
    static func head(of pattern: [UInt8]) -> [UInt8]? {
        let head = Array(pattern.prefix { $0 != UInt8(ascii: "*") && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "[") && $0 != UInt8(ascii: "\\") })
        return head.count >= 2 ? head : nil
    }

    /// Types are what plans are made for; they lead nowhere.
    func isType(_ slot: Int) -> Bool { graph.fieldName(of: slot).map { $0 == "evt.type" || $0 == "syscall.type" } ?? false }

    struct GateKey: Hashable {
        var kind: Gate.Kind
        var index: Int32
    }

    mutating func typePlan(_ roots: [(condition: Int, node: NodeID)]) -> TypePlan {
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

    func gate(_ key: GateKey, _ lists: [Int32: [Int32]]) -> Gate {
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
