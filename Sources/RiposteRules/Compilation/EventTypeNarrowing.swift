/// Which conditions can hold for which types of events, and what is left of them once the type is known.
///
/// Tests of `evt.type` are decided by the type; so are those of `evt.dir`, which is always `<`, and of `evt.num` against what no event or every
/// event has, the idioms for never and always. All other tests are left open, `not` of them too (spec: rules-language 6).
struct EventTypeNarrowing {
    struct Plan {
        /// The conditions that can hold, by their place among the roots.
        var roots: [(condition: Int, node: ConditionGraph.NodeID)]
    }

    /// The first is for all types that no condition names.
    private(set) var plans: [Plan] = []
    /// By event type, the index of its plan.
    private(set) var index: [UInt16]

    init(_ graph: inout ConditionGraph, roots: [ConditionGraph.NodeID]) {
        var narrowing = Narrowing(graph)
        index = Array(repeating: 0, count: EventType.count)
        let named = narrowing.namedTypes
        for type in [nil] + named.map(Optional.some) {
            narrowing.begin(type)
            var plan = Plan(roots: [])
            for (condition, root) in roots.enumerated() {
                let node = narrowing.narrow(root)
                if narrowing.graph.nodes[node] != .constant(false) { plan.roots.append((condition, node)) }
            }
            if let type { index[Int(type.rawValue)] = UInt16(plans.count) }
            plans.append(plan)
        }
        graph = narrowing.graph
    }

    /// Finds the types of many conditions of one graph.
    struct Finder {
        private let narrowing: Narrowing

        init(_ graph: ConditionGraph) { narrowing = Narrowing(graph) }

        func types(of root: ConditionGraph.NodeID) -> EventTypes {
            var possible: [EventType] = []
            var impossible: [EventType] = []
            for type in narrowing.namedTypes(below: root) {
                if narrowing.canHold(root, for: type) { possible.append(type) } else { impossible.append(type) }
            }
            return narrowing.canHold(root, for: nil) ? .allBut(impossible) : .only(possible)
        }
    }
}

/// Rewrites conditions for one type after the other.
private struct Narrowing {
    typealias NodeID = ConditionGraph.NodeID

    var graph: ConditionGraph
    private var type: EventType?
    /// What became of each node for the present type.
    private var done: [NodeID: NodeID] = [:]
    /// Whether a node's value depends on the type at all.
    private var isOpen: [Bool]
    private var decided: [Int: Decision] = [:]

    private enum Decision {
        case type(Set<UInt16>, isNegated: Bool)
        case constant(Bool)
    }

    init(_ graph: ConditionGraph) {
        self.graph = graph
        isOpen = []
        for (index, test) in graph.tests.enumerated() { decided[index] = Self.decision(test, graph) }
        // Parts come before what they are parts of.
        for node in graph.nodes {
            switch node {
            case .constant: isOpen.append(false)
            case .test(let test): isOpen.append(decided[test] != nil)
            case .not(let inner): isOpen.append(isOpen[inner])
            case .all(let parts), .any(let parts): isOpen.append(parts.contains { isOpen[$0] })
            }
        }
    }

    var namedTypes: [EventType] { names(decided.values) }

    func namedTypes(below root: NodeID) -> [EventType] {
        var seen: Set<NodeID> = []
        var pending = [root]
        var found: [Decision] = []
        while let node = pending.popLast() {
            guard isOpen[node], seen.insert(node).inserted else { continue }
            if case .test(let test) = graph.nodes[node], let decision = decided[test] { found.append(decision) }
            pending += graph.parts(of: node)
        }
        return names(found)
    }

    private func names(_ decisions: some Sequence<Decision>) -> [EventType] {
        var types: Set<UInt16> = []
        for case .type(let named, _) in decisions { types.formUnion(named) }
        return types.sorted().map(EventType.init(rawValue:))
    }

    mutating func begin(_ type: EventType?) {
        self.type = type
        done.removeAll(keepingCapacity: true)
    }

    mutating func narrow(_ node: NodeID) -> NodeID {
        guard node < isOpen.count, isOpen[node] else { return node }
        if let known = done[node] { return known }
        let result: NodeID
        switch graph.nodes[node] {
        case .constant: result = node
        case .test(let test):
            switch decided[test] {
            case nil: result = node
            case .constant(let value): result = graph.constant(value)
            case .type(let named, let isNegated): result = graph.constant((type.map { named.contains($0.rawValue) } ?? false) != isNegated)
            }
        case .not(let inner): result = graph.not(narrow(inner))
        case .all(let parts): result = graph.all(parts.map { narrow($0) })
        case .any(let parts): result = graph.any(parts.map { narrow($0) })
        }
        done[node] = result
        return result
    }

    /// Whether some event of the type could make a condition true.
    func canHold(_ root: NodeID, for type: EventType?) -> Bool {
        var known: [NodeID: (holds: Bool, fails: Bool)] = [:]
        return outcomes(of: root, type, &known).holds
    }

    private func outcomes(of node: NodeID, _ type: EventType?, _ known: inout [NodeID: (holds: Bool, fails: Bool)]) -> (holds: Bool, fails: Bool) {
        guard isOpen[node] else { return graph.nodes[node] == .constant(false) ? (false, true) : graph.nodes[node] == .constant(true) ? (true, false) : (true, true) }
        if let result = known[node] { return result }
        var result = (holds: true, fails: true)
        switch graph.nodes[node] {
        case .constant: break
        case .test(let test):
            switch decided[test] {
            case nil: break
            case .constant(let value): result = (value, !value)
            case .type(let named, let isNegated):
                let value = (type.map { named.contains($0.rawValue) } ?? false) != isNegated
                result = (value, !value)
            }
        case .not(let inner):
            let (holds, fails) = outcomes(of: inner, type, &known)
            result = (fails, holds)
        case .all(let parts):
            result = (true, false)
            for part in parts {
                let (holds, fails) = outcomes(of: part, type, &known)
                result = (result.holds && holds, result.fails || fails)
            }
        case .any(let parts):
            result = (false, true)
            for part in parts {
                let (holds, fails) = outcomes(of: part, type, &known)
                result = (result.holds || holds, result.fails && fails)
            }
        }
        known[node] = result
        return result
    }

    private static func decision(_ test: ConditionGraph.Test, _ graph: ConditionGraph) -> Decision? {
        switch graph.fieldName(of: test.slot) {
        case "evt.type", "syscall.type":
            switch test.predicate {
            case .exists: return .constant(true)
            case .textIn(let names):
                return .type(Set(names.compactMap { EventType(named: String(decoding: $0, as: UTF8.self))?.rawValue }), isNegated: test.isNegated)
            default: return nil
            }
        case "evt.dir":
            guard case .textIn(let texts) = test.predicate else { return nil }
            return .constant(texts.contains([UInt8(ascii: "<")]) != test.isNegated)
        case "evt.num": return number(test).map(Decision.constant)
        default: return nil
        }
    }

    /// Events are counted from 1.
    private static func number(_ test: ConditionGraph.Test) -> Bool? {
        switch test.predicate {
        case .integerIn(let numbers): numbers.allSatisfy { $0 <= 0 } ? test.isNegated : nil
        case .integerOrder(.less, let number, _): number <= 1 ? false : nil
        case .integerOrder(.lessOrEqual, let number, _): number <= 0 ? false : nil
        case .integerOrder(.greater, let number, _): number <= 0 ? true : nil
        case .integerOrder(.greaterOrEqual, let number, _): number <= 1 ? true : nil
        default: nil
        }
    }
}
