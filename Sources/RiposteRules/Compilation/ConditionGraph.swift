internal import RiposteCore

/// All conditions of a set of rules as one graph in which equal parts are one node, so that what many rules ask is asked once per event.
///
/// Nodes, tests and slots are numbered in the order in which they were first met; a node's parts have smaller numbers than the node.
struct ConditionGraph: Sendable {
    typealias NodeID = Int
    typealias TestID = Int
    typealias SlotID = Int

    enum Node: Hashable, Sendable {
        case constant(Bool)
        case all([NodeID])
        case any([NodeID])
        case not(NodeID)
        case test(TestID)
    }

    /// Where a value comes from: a field, or what transformers make of values.
    enum Slot: Hashable, Sendable {
        case field(FieldKey)
        case constant([UInt8])
        case number(Int64)
        case list([SlotID])
        case transform(Condition.Transform.Name, [SlotID], selector: [UInt8]?)
    }

    struct FieldKey: Hashable, Sendable {
        /// As it was written: `proc.aname[2]`.
        var text: String
        var id: FieldID
        var argument: String?
        var isIndex: Bool
    }

    /// How a test is put to a slot that has several values at once.
    enum Mode: Hashable, Sendable {
        case one
        /// For one of the values.
        case any
        /// For all values.
        case every
    }

    struct Test: Hashable, Sendable {
        var slot: SlotID
        var predicate: Predicate
        /// `!=`: present, and the predicate does not hold.
        var isNegated = false
        var mode = Mode.one
    }

    enum Order: Hashable, Sendable { case less, lessOrEqual, greater, greaterOrEqual }

    enum Predicate: Hashable, Sendable {
        case exists
        case textIn([[UInt8]])
        case integerIn([Int64])
        case bool(Bool)
        case addressIn([IPAddress])
        case networkIn([IPNetwork])
        case integerOrder(Order, Int64, isUnsigned: Bool)
        case textOrder(Order, [UInt8])
        case hasPrefix([UInt8])
        case hasSuffix([UInt8])
        case contains([UInt8], foldsCase: Bool)
        case glob([UInt8], foldsCase: Bool)
        case regex(String)
        case pathPrefixes([[UInt8]])
        /// `oneof` and `allof` of predicates over one value.
        case count(Condition.Modifier, [Predicate], isNegated: Bool)
        /// With another slot's value.
        case compare(Condition.Comparison, SlotID)
    }

    private(set) var nodes: [Node] = []
    private(set) var depths: [Int] = []
    private(set) var tests: [Test] = []
    private(set) var slots: [Slot] = []
    private(set) var slotTypes: [FieldType] = []
    private var nodeIDs: [Node: NodeID] = [:]
    private var testIDs: [Test: TestID] = [:]
    private var slotIDs: [Slot: SlotID] = [:]

    /// Parts of `and` and `or` beyond which equal kinds are no longer melted together, which keeps shared macros from being written out.
    private static let meltingLimit = 64

    // MARK: - Building

    mutating func slot(_ slot: Slot, _ type: FieldType) -> SlotID {
        if let id = slotIDs[slot] { return id }
        slots.append(slot)
        slotTypes.append(type)
        slotIDs[slot] = slots.count - 1
        return slots.count - 1
    }

    mutating func test(_ test: Test) -> NodeID {
        let id: TestID
        if let known = testIDs[test] {
            id = known
        } else {
            tests.append(test)
            id = tests.count - 1
            testIDs[test] = id
        }
        return intern(.test(id), depth: 1)
    }

    mutating func constant(_ value: Bool) -> NodeID { intern(.constant(value), depth: 1) }

    mutating func not(_ node: NodeID) -> NodeID {
        switch nodes[node] {
        case .constant(let value): constant(!value)
        case .not(let inner): inner
        default: intern(.not(node), depth: depths[node] + 1)
        }
    }

    mutating func all(_ parts: [NodeID]) -> NodeID { chain(parts, isAll: true) }
    mutating func any(_ parts: [NodeID]) -> NodeID { chain(parts, isAll: false) }

    private mutating func chain(_ parts: [NodeID], isAll: Bool) -> NodeID {
        var result: [NodeID] = []
        var seen: Set<NodeID> = []
        for part in parts {
            let melted: [NodeID]
            switch nodes[part] {
            case .constant(let value):
                guard value == isAll else { return constant(!isAll) }
                continue
            case .all(let inner) where isAll && inner.count <= Self.meltingLimit: melted = inner
            case .any(let inner) where !isAll && inner.count <= Self.meltingLimit: melted = inner
            default: melted = [part]
            }
            for node in melted where seen.insert(node).inserted { result.append(node) }
        }
        guard result.count > 1 else { return result.first ?? constant(isAll) }
        let depth = 1 + (result.map { depths[$0] }.max() ?? 0)
        return intern(isAll ? .all(result) : .any(result), depth: depth)
    }

    private mutating func intern(_ node: Node, depth: Int) -> NodeID {
        if let id = nodeIDs[node] { return id }
        nodes.append(node)
        depths.append(depth)
        nodeIDs[node] = nodes.count - 1
        return nodes.count - 1
    }

    // MARK: - Reading

    func parts(of node: NodeID) -> [NodeID] {
        switch nodes[node] {
        case .constant, .test: []
        case .not(let inner): [inner]
        case .all(let parts), .any(let parts): parts
        }
    }

    /// The name of the field that a slot reads, where it reads one.
    func fieldName(of slot: SlotID) -> String? { if case .field(let key) = slots[slot] { key.text } else { nil } }

    /// What a value needs to be read, a field behind transformers too.
    func fields(of slot: SlotID) -> [FieldKey] {
        switch slots[slot] {
        case .field(let key): [key]
        case .constant, .number: []
        case .list(let parts): parts.flatMap(fields)
        case .transform(_, let parts, _): parts.flatMap(fields)
        }
    }
}
