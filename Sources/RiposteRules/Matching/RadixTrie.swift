/// Literals laid out by what they have in common, for ``PrefixTrie``, ``SuffixTrie`` and ``PathTrie``: every node stands for the text on the
/// way to it, a node with one way on is part of the next, and a node finds its child in a table over the span of bytes that its children begin
/// with. At most two nodes for each literal.
struct RadixTrie: ~Copyable, Sendable {
    struct Node: BitwiseCopyable {
        /// What follows the byte by which the parent chose this node, in `labels`.
        var label: UInt32 = 0
        var labelCount: UInt32 = 0
        /// The last of the literals that end here, or -1.
        var literal: Int32 = -1
        /// Where the table of children begins; it holds numbers of nodes, and 0, the root, for none.
        var children: UInt32 = 0
        var lowest: UInt16 = 0
        var span: UInt16 = 0
    }

    private let nodes: FixedTable<Node>
    private let children: FixedTable<UInt32>
    private let labels: FixedTable<UInt8>
    /// Of each literal the next shorter one on the way from the root, or an equal one, or -1.
    private let parents: FixedTable<Int32>

    init(_ literals: [[UInt8]], fromEnd: Bool = false) {
        var builder = Builder(literals, fromEnd: fromEnd)
        builder.build()
        nodes = FixedTable(builder.nodes)
        children = FixedTable(builder.children)
        labels = FixedTable(builder.labels)
        parents = FixedTable(builder.parents)
    }

    var count: Int { parents.count }

    var root: UnsafePointer<Node> { @inline(__always) get { nodes.base } }

    @inline(__always) func child(of node: UnsafePointer<Node>, by byte: UInt8) -> UnsafePointer<Node>? {
        let place = Int(byte) &- Int(node.pointee.lowest)
        guard UInt(bitPattern: place) < UInt(node.pointee.span) else { return nil }
        let child = children[Int(node.pointee.children) &+ place]
        return child == 0 ? nil : nodes.base + Int(child)
    }

    /// In the order of the text in memory, also where the trie was built from the end.
    @inline(__always) func label(of node: UnsafePointer<Node>) -> UnsafeRawPointer { UnsafeRawPointer(labels.base + Int(node.pointee.label)) }

    func parent(_ literal: Int32) -> Int32 { parents[Int(literal)] }

    /// The last literal on the way that the text goes: the longest that the text begins with, or ends with.
    @inline(__always) func longest(in text: UnsafeRawBufferPointer, fromEnd: Bool) -> Int32 {
        var node = root
        var best = node.pointee.literal
        guard let start = text.baseAddress else { return best }
        var left = text.count
        var cursor = fromEnd ? start + left : start
        while left > 0 {
            guard let child = child(of: node, by: fromEnd ? cursor.load8(at: -1) : cursor.load8(at: 0)) else { return best }
            node = child
            let count = Int(node.pointee.labelCount)
            left &-= 1 &+ count
            guard left >= 0 else { return best }
            cursor = fromEnd ? cursor - 1 - count : cursor + 1
            guard cursor.hasSameBytes(as: label(of: node), count: count) else { return best }
            if !fromEnd { cursor += count }
            if node.pointee.literal >= 0 { best = node.pointee.literal }
        }
        return best
    }
}

/// Divides the sorted literals again and again by their next byte.
private struct Builder {
    /// Literals of which all have their first `depth` bytes in common, to become the node `node`.
    private struct Task {
        let node: Int
        let range: Range<Int>
        let depth: Int
        let parent: Int32
    }

    private let literals: [[UInt8]]
    private let fromEnd: Bool
    private var order: [Int]

    private(set) var nodes: [RadixTrie.Node] = [RadixTrie.Node()]
    private(set) var children: [UInt32] = []
    private(set) var labels: [UInt8] = []
    private(set) var parents: [Int32]

    init(_ literals: [[UInt8]], fromEnd: Bool) {
        self.literals = literals
        self.fromEnd = fromEnd
        parents = Array(repeating: -1, count: literals.count)
        order = Array(literals.indices)
        order.sort { left, right in
            let isLess = fromEnd ? literals[left].reversed().lexicographicallyPrecedes(literals[right].reversed()) : literals[left].lexicographicallyPrecedes(literals[right])
            return isLess || (literals[left] == literals[right] && left < right)
        }
    }

    mutating func build() {
        var pending = [Task(node: 0, range: order.indices, depth: 0, parent: -1)]
        while let task = pending.popLast() { expand(task, &pending) }
    }

    private mutating func expand(_ task: Task, _ pending: inout [Task]) {
        guard let first = order[task.range].first, let last = order[task.range].last else { return }
        var depth = task.depth
        // The root keeps no label, so that it turns texts away by their first byte.
        if task.node != 0 {
            while depth < literals[first].count, byte(first, depth) == byte(last, depth) { depth += 1 }
            let label = fromEnd ? literals[first].dropLast(task.depth).suffix(depth - task.depth) : literals[first][task.depth..<depth]
            nodes[task.node].label = UInt32(labels.count)
            nodes[task.node].labelCount = UInt32(label.count)
            labels += label
        }
        var parent = task.parent
        var place = task.range.lowerBound
        while place < task.range.upperBound, literals[order[place]].count == depth {
            parents[order[place]] = parent
            parent = Int32(order[place])
            nodes[task.node].literal = parent
            place += 1
        }
        guard place < task.range.upperBound else { return }
        addChildren(of: task.node, order: place..<task.range.upperBound, depth, parent, &pending)
    }

    private mutating func addChildren(of node: Int, order range: Range<Int>, _ depth: Int, _ parent: Int32, _ pending: inout [Task]) {
        let lowest = byte(order[range.lowerBound], depth)
        let span = Int(byte(order[range.upperBound - 1], depth)) - Int(lowest) + 1
        let base = children.count
        nodes[node].children = UInt32(base)
        nodes[node].lowest = UInt16(lowest)
        nodes[node].span = UInt16(span)
        children += Array(repeating: 0, count: span)
        var start = range.lowerBound
        while start < range.upperBound {
            let next = byte(order[start], depth)
            var end = start + 1
            while end < range.upperBound, byte(order[end], depth) == next { end += 1 }
            children[base + Int(next - lowest)] = UInt32(nodes.count)
            pending.append(Task(node: nodes.count, range: start..<end, depth: depth + 1, parent: parent))
            nodes.append(RadixTrie.Node())
            start = end
        }
    }

    private func byte(_ literal: Int, _ depth: Int) -> UInt8 {
        let bytes = literals[literal]
        return fromEnd ? bytes[bytes.count - 1 - depth] : bytes[depth]
    }
}
