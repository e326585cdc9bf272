/// A regular expression as a small program that is run over all alternatives at once (Thompson, "Regular Expression Search Algorithm", 1968).
/// A text costs its length times the size of the program, and memory for two lists of places in it.
final class RegularExpressionProgram: Sendable {
    /// Instructions; more are an error and not a gigabyte.
    private static let limit = 20000

    enum Instruction: Sendable, Equatable {
        /// One character of a set.
        case scalars(Int)
        case split(Int, Int)
        case jump(Int)
        case lineStart
        case lineEnd
        case match
    }

    let instructions: [Instruction]
    /// All different, the ranges in order.
    let sets: [[ClosedRange<UInt32>]]

    init(_ node: RegularExpressionNode) throws(RegularExpression.Invalid) {
        var emitter = Emitter(limit: Self.limit)
        try emitter.emit(node)
        instructions = emitter.program + [.match]
        sets = emitter.sets
    }

    // MARK: - Running

    func matchesWhole(_ text: UnsafeRawBufferPointer) -> Bool {
        var current = ThreadList(capacity: instructions.count)
        var next = ThreadList(capacity: instructions.count)
        var pending: [Int] = []
        var reader = UTF8Reader(text)
        var ahead = reader.next()
        add(0, to: &current, &pending, atStart: true, atEnd: ahead == nil || ahead == 10)
        while let scalar = ahead {
            if current.isEmpty { return false }
            ahead = reader.next()
            next.removeAll()
            for thread in current.dense {
                guard case .scalars(let set) = instructions[thread], sets[set].contains(where: { $0.contains(scalar) }) else { continue }
                add(thread + 1, to: &next, &pending, atStart: scalar == 10, atEnd: ahead == nil || ahead == 10)
            }
            swap(&current, &next)
        }
        return current.dense.contains { instructions[$0] == .match }
    }

    private func add(_ start: Int, to list: inout ThreadList, _ pending: inout [Int], atStart: Bool, atEnd: Bool) {
        pending.append(start)
        while let place = pending.popLast() {
            guard list.insert(place) else { continue }
            switch instructions[place] {
            case .jump(let target): pending.append(target)
            case .split(let first, let second):
                pending.append(second)
                pending.append(first)
            case .lineStart: if atStart { pending.append(place + 1) }
            case .lineEnd: if atEnd { pending.append(place + 1) }
            case .scalars, .match: break
            }
        }
    }

    /// A set of program places that is emptied in no time.
    private struct ThreadList {
        private(set) var dense: [Int] = []
        private var sparse: [Int]

        init(capacity: Int) {
            sparse = Array(repeating: 0, count: capacity)
            dense.reserveCapacity(capacity)
        }

        var isEmpty: Bool { dense.isEmpty }

        mutating func removeAll() { dense.removeAll(keepingCapacity: true) }

        mutating func insert(_ place: Int) -> Bool {
            if sparse[place] < dense.count, dense[sparse[place]] == place { return false }
            sparse[place] = dense.count
            dense.append(place)
            return true
        }
    }

    // MARK: - Writing

    private struct Emitter {
        let limit: Int
        private(set) var program: [Instruction] = []
        private(set) var sets: [[ClosedRange<UInt32>]] = []
        private var numbers: [[ClosedRange<UInt32>]: Int] = [:]

        init(limit: Int) { self.limit = limit }

        mutating func emit(_ node: RegularExpressionNode) throws(RegularExpression.Invalid) {
            guard program.count < limit else { throw RegularExpression.Invalid(message: "the pattern is too large", offset: 0) }
            switch node {
            case .empty: break
            case .scalars(let ranges): program.append(.scalars(number(of: ranges)))
            case .lineStart: program.append(.lineStart)
            case .lineEnd: program.append(.lineEnd)
            case .sequence(let nodes): for node in nodes { try emit(node) }
            case .alternatives(let nodes): try emitAlternatives(nodes)
            case .repetition(let node, let least, let most):
                for _ in 0..<least { try emit(node) }
                if let most { try emitOptional(node, most - least) } else { try emitStar(node) }
            }
        }

        private mutating func number(of ranges: [ClosedRange<UInt32>]) -> Int {
            if let number = numbers[ranges] { return number }
            numbers[ranges] = sets.count
            sets.append(ranges)
            return sets.count - 1
        }

        private mutating func emitAlternatives(_ nodes: [RegularExpressionNode]) throws(RegularExpression.Invalid) {
            var exits: [Int] = []
            for (index, node) in nodes.enumerated() {
                guard index < nodes.count - 1 else {
                    try emit(node)
                    break
                }
                let split = program.count
                program.append(.match)
                try emit(node)
                exits.append(program.count)
                program.append(.match)
                program[split] = .split(split + 1, program.count)
            }
            for exit in exits { program[exit] = .jump(program.count) }
        }

        private mutating func emitStar(_ node: RegularExpressionNode) throws(RegularExpression.Invalid) {
            let split = program.count
            program.append(.match)
            try emit(node)
            program.append(.jump(split))
            program[split] = .split(split + 1, program.count)
        }

        private mutating func emitOptional(_ node: RegularExpressionNode, _ count: Int) throws(RegularExpression.Invalid) {
            var splits: [Int] = []
            for _ in 0..<count {
                splits.append(program.count)
                program.append(.match)
                try emit(node)
            }
            for split in splits { program[split] = .split(split + 1, program.count) }
        }
    }
}
