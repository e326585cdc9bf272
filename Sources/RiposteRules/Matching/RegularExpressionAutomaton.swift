/// A regular expression as a table: for each state and each class of characters the next state. Made once from the program (all sets of places
/// that any text can lead to), if they are not too many; walking it allocates nothing.
///
/// The classes are of characters, not of bytes: bytes below 0x80 have theirs in a table, the others are put together first, where they are read.
/// So one state is one character, and what is no UTF-8 needs no states of its own.
final class RegularExpressionAutomaton: @unchecked Sendable {
    // Any thread may match: nothing changes after init.

    static let stateLimit = 2000
    /// Of states times classes; one MiB.
    fileprivate static let entryLimit = 1 << 18
    fileprivate static let positionLimit = 1024
    /// Operations on words while the states are looked for. Half a millisecond or so, where a pattern takes some microseconds.
    fileprivate static let workLimit = 1 << 19

    /// By state plus class; a state is the place where its row begins. 0 is the state that no text leads out of. Only one of the two tables is filled.
    private let narrow: FixedTable<UInt16>
    private let wide: FixedTable<UInt32>
    private let start: Int
    /// From this state on, a text that ends there matches.
    private let firstAccepting: Int

    /// Of the bytes below 0x80.
    private let classes: FixedTable<UInt8>
    /// The characters with which the classes of the others change, the first of them 0x80, and the classes.
    private let otherStarts: FixedTable<UInt32>
    private let otherClasses: FixedTable<UInt8>

    /// Nil where the table would be too large.
    init?(_ program: RegularExpressionProgram, stateLimit: Int) {
        guard stateLimit > 0, let classes = CharacterClasses(program), let positions = Positions(program, classes) else { return nil }
        var search = StateSearch(positions, classes)
        guard let table = search.table(stateLimit: min(stateLimit, Self.stateLimit)) else { return nil }
        start = table.start
        firstAccepting = table.firstAccepting
        let isNarrow = table.entries.count <= 1 << 16
        narrow = FixedTable(isNarrow ? table.entries.map { UInt16($0) } : [])
        wide = FixedTable(isNarrow ? [] : table.entries)
        self.classes = FixedTable((0..<128).map { classes.class(of: $0) })
        let others = classes.changes(from: 0x80)
        otherStarts = FixedTable(others.map(\.start))
        otherClasses = FixedTable(others.map(\.class))
    }

    func matchesWhole(_ text: UnsafeRawBufferPointer) -> Bool {
        guard let begin = text.baseAddress else { return start >= firstAccepting }
        return narrow.count > 0 ? walk(begin, begin + text.count, narrow.base) : walk(begin, begin + text.count, wide.base)
    }

    @inline(__always) private func walk<Entry: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ begin: UnsafeRawPointer, _ end: UnsafeRawPointer, _ table: UnsafePointer<Entry>
    ) -> Bool {
        let classes = classes.base
        var cursor = begin
        var state = start
        while cursor < end {
            let byte = cursor.load8(at: 0)
            if byte < 0x80 {
                state = Int(truncatingIfNeeded: table[state &+ Int(classes[Int(byte)])])
                cursor += 1
            } else {
                let (scalar, count) = UTF8Reader.scalar(at: cursor, end)
                state = Int(truncatingIfNeeded: table[state &+ otherClass(of: scalar)])
                cursor += count
            }
            if state == 0 { return false }
        }
        return state >= firstAccepting
    }

    private func otherClass(of scalar: UInt32) -> Int {
        var low = 0
        var high = otherStarts.count
        while high &- low > 1 {
            let middle = (low &+ high) >> 1
            if otherStarts[middle] <= scalar { low = middle } else { high = middle }
        }
        return Int(otherClasses[low])
    }
}

/// Characters that no set of the program tells apart, put together.
private struct CharacterClasses {
    /// Where the intervals of characters begin, in order from 0; the classes go with them.
    private var starts: [UInt32]
    private var classes: [Int]
    private(set) var count = 0
    /// Of each set of the program.
    private(set) var members: [[Int]] = []

    /// Nil where there are more than a byte counts.
    init?(_ program: RegularExpressionProgram) {
        // A newline is a class of its own, so that lines can begin and end.
        let sets = program.sets + [[10...10]]
        guard sets.count <= 256 else { return nil }
        starts = [0]
        for range in sets.joined() {
            starts.append(range.lowerBound)
            starts.append(range.upperBound + 1)
        }
        starts.sort()
        var last = 0
        for start in starts where start != starts[last] {
            last += 1
            starts[last] = start
        }
        starts.removeSubrange((last + 1)...)
        classes = Array(repeating: 0, count: starts.count)
        for set in sets { divide(by: set) }
        guard number() else { return nil }
        members = sets.map { set in
            var isMember = [Bool](repeating: false, count: count)
            for interval in intervals(of: set) { isMember[classes[interval]] = true }
            return isMember.indices.filter { isMember[$0] }
        }
    }

    var newline: Int { self.class(of: 10) }

    func `class`(of scalar: UInt32) -> Int { classes[interval(of: scalar)] }

    func `class`(of scalar: UInt32) -> UInt8 { UInt8(self.class(of: scalar) as Int) }

    /// The intervals from a character on, those of one class put together.
    func changes(from first: UInt32) -> [(start: UInt32, class: UInt8)] {
        var result: [(start: UInt32, class: UInt8)] = [(first, self.class(of: first))]
        for (start, `class`) in zip(starts, classes) where start > first && UInt8(`class`) != result[result.count - 1].class { result.append((start, UInt8(`class`))) }
        return result
    }

    private func interval(of scalar: UInt32) -> Int {
        var low = 0
        var high = starts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= scalar { low = middle } else { high = middle }
        }
        return low
    }

    private func intervals(of set: [ClosedRange<UInt32>]) -> some Sequence<Int> {
        set.lazy.flatMap { interval(of: $0.lowerBound)...interval(of: $0.upperBound) }
    }

    /// What of a class is in the set becomes a class of its own.
    private mutating func divide(by set: [ClosedRange<UInt32>]) {
        var inside: [Int: Int] = [:]
        for interval in Array(intervals(of: set)) {
            let old = classes[interval]
            if let known = inside[old] {
                classes[interval] = known
            } else {
                count += 1
                inside[old] = count
                classes[interval] = count
            }
        }
    }

    /// Without the numbers of classes of which nothing is left.
    private mutating func number() -> Bool {
        var numbers = [Int](repeating: -1, count: count + 1)
        count = 0
        for interval in classes.indices {
            if numbers[classes[interval]] < 0 {
                numbers[classes[interval]] = count
                count += 1
            }
            classes[interval] = numbers[classes[interval]]
        }
        return count <= 256
    }
}

/// The places of a program at which a text can stand, numbered, as sets of bits: an instruction that takes a character, the end, and `$`, which
/// waits for the next character to be known. A `$` that was reached at the beginning of a line is another position than elsewhere, since a `^`
/// may follow.
private final class Positions {
    let words: Int
    let start: [UInt64]
    let match: Int
    /// By class, the positions that take it.
    let takers: FixedTable<UInt64>
    /// By position the row of what follows, and the rows: after a character, after a newline, and for `$` at the end of a line.
    let following: FixedTable<Int>
    let followingNewline: FixedTable<Int>
    let followingLineEnd: [(position: Int, row: Int)]
    let rows: FixedTable<UInt64>

    /// Nil where there are too many.
    init?(_ program: RegularExpressionProgram, _ classes: CharacterClasses) {
        var numbers = [Int](repeating: -1, count: program.instructions.count)
        var count = 0
        for (place, instruction) in program.instructions.enumerated() {
            switch instruction {
            case .scalars, .match: numbers[place] = count
            case .lineEnd: numbers[place] = count
            case .split, .jump, .lineStart: continue
            }
            count += instruction == .lineEnd ? 2 : 1
        }
        guard count <= RegularExpressionAutomaton.positionLimit else { return nil }
        words = (count + 63) / 64
        match = count - 1
        var closures = Closures(program: program, numbers: numbers, words: words)
        var takers = [UInt64](repeating: 0, count: classes.count * words)
        var following = [Int](repeating: 0, count: count)
        var followingNewline = following
        var followingLineEnd: [(position: Int, row: Int)] = []
        let hasLines = program.instructions.contains { $0 == .lineStart || $0 == .lineEnd }
        guard let startRow = closures.row(0, atStart: true) else { return nil }
        for (place, instruction) in program.instructions.enumerated() {
            let position = numbers[place]
            switch instruction {
            case .scalars(let set):
                guard let row = closures.row(place + 1), let newlineRow = hasLines ? closures.row(place + 1, atStart: true) : row else { return nil }
                following[position] = row
                followingNewline[position] = newlineRow
                for member in classes.members[set] { takers[member * words + position / 64] |= 1 << UInt64(position % 64) }
            case .lineEnd:
                guard let row = closures.row(place + 1, atEnd: true), let startRow = closures.row(place + 1, atStart: true, atEnd: true) else { return nil }
                followingLineEnd += [(position, row), (position + 1, startRow)]
            case .match, .split, .jump, .lineStart: break
            }
        }
        self.takers = FixedTable(takers)
        self.following = FixedTable(following)
        self.followingNewline = FixedTable(followingNewline)
        self.followingLineEnd = followingLineEnd
        rows = FixedTable(closures.rows)
        start = Array(closures.rows[startRow * words..<(startRow + 1) * words])
    }
}

/// The positions that a place leads to without a character.
private struct Closures {
    let program: RegularExpressionProgram
    let numbers: [Int]
    let words: Int
    private(set) var rows: [UInt64] = []
    /// By place, and by what stands there: the rows that are known.
    private var known: [Int32]
    /// By place the row for which it was visited last.
    private var visited: [Int32]
    private var pending: [Int] = []
    private var work = 0

    init(program: RegularExpressionProgram, numbers: [Int], words: Int) {
        self.program = program
        self.numbers = numbers
        self.words = words
        known = Array(repeating: -1, count: numbers.count * 4)
        visited = Array(repeating: -1, count: numbers.count)
    }

    /// Nil where it is too much work.
    mutating func row(_ start: Int, atStart: Bool = false, atEnd: Bool = false) -> Int? {
        var start = start
        while case .jump(let target) = program.instructions[start] { start = target }
        let key = start * 4 + (atStart ? 1 : 0) + (atEnd ? 2 : 0)
        if known[key] >= 0 { return Int(known[key]) }
        let row = rows.count / words
        known[key] = Int32(row)
        rows += repeatElement(0, count: words)
        pending.append(start)
        while let place = pending.popLast() {
            guard visited[place] != row else { continue }
            visited[place] = Int32(row)
            work += 1
            switch program.instructions[place] {
            case .jump(let target): pending.append(target)
            case .split(let first, let second):
                pending.append(second)
                pending.append(first)
            case .lineStart: if atStart { pending.append(place + 1) }
            case .lineEnd:
                if atEnd { pending.append(place + 1) } else { insert(numbers[place] + (atStart ? 1 : 0), row) }
            case .scalars, .match: insert(numbers[place], row)
            }
        }
        return work <= RegularExpressionAutomaton.workLimit / 4 ? row : nil
    }

    private mutating func insert(_ position: Int, _ row: Int) { rows[row * words + position / 64] |= 1 << UInt64(position % 64) }
}

/// Finds all sets of positions that a text can lead to.
private struct StateSearch {
    private let positions: Positions
    private let classes: CharacterClasses
    private let words: Int
    /// One behind the other; the first is the empty set.
    private var states: [UInt64]
    private var count = 1
    /// Open addressing by the hash of a state; 0 is free, since the empty set is not looked for here.
    private var slots: [Int32]
    private var work = 0

    init(_ positions: Positions, _ classes: CharacterClasses) {
        self.positions = positions
        self.classes = classes
        words = positions.words
        states = Array(repeating: 0, count: positions.words)
        slots = Array(repeating: 0, count: 64)
    }

    /// Nil where the states are too many, or too much work.
    mutating func table(stateLimit: Int) -> (entries: [UInt32], start: Int, firstAccepting: Int)? {
        var bits = [UInt64](repeating: 0, count: words)
        var endingLine = bits
        var next = bits
        var entries: [UInt32] = []
        var accepting: [Bool] = []
        let newline = classes.newline
        let start = state(equalTo: positions.start)
        var current = 0
        while current < count {
            guard count <= stateLimit, count * classes.count <= RegularExpressionAutomaton.entryLimit, work <= RegularExpressionAutomaton.workLimit else { return nil }
            for word in 0..<words { bits[word] = states[current * words + word] }
            endLine(bits, &endingLine)
            accepting.append(endingLine[positions.match / 64] >> UInt64(positions.match % 64) & 1 != 0)
            for `class` in 0..<classes.count {
                let isFilled =
                    `class` == newline ? step(endingLine, `class`, positions.followingNewline.base, &next) : step(bits, `class`, positions.following.base, &next)
                entries.append(isFilled ? UInt32(state(equalTo: next)) : 0)
            }
            current += 1
        }
        return arranged(entries, accepting, start)
    }

    /// The state together with all that is reached if a line ends here.
    private func endLine(_ bits: [UInt64], _ result: inout [UInt64]) {
        for word in 0..<words { result[word] = bits[word] }
        for (position, row) in positions.followingLineEnd where bits[position / 64] >> UInt64(position % 64) & 1 != 0 {
            for word in 0..<words { result[word] |= positions.rows[row * words + word] }
        }
    }

    /// What a character of the class leads to; false where it leads nowhere.
    private mutating func step(_ from: [UInt64], _ class: Int, _ following: UnsafePointer<Int>, _ next: inout [UInt64]) -> Bool {
        var isFilled = false
        work += words
        for word in 0..<words {
            var active = from[word] & positions.takers[`class` * words + word]
            guard active != 0 else { continue }
            if !isFilled { for word in 0..<words { next[word] = 0 } }
            isFilled = true
            while active != 0 {
                let row = following[word * 64 + active.trailingZeroBitCount] * words
                for word in 0..<words { next[word] |= positions.rows[row + word] }
                work += words
                active &= active - 1
            }
        }
        return isFilled
    }

    /// The number of a state, a new one if it was not met before.
    private mutating func state(equalTo bits: [UInt64]) -> Int {
        var place = hash(bits, 0) & (slots.count - 1)
        while slots[place] != 0 {
            let known = Int(slots[place])
            var word = 0
            while word < words, states[known * words + word] == bits[word] { word += 1 }
            if word == words { return known }
            place = (place + 1) & (slots.count - 1)
        }
        slots[place] = Int32(count)
        states += bits
        count += 1
        if count * 2 > slots.count { growSlots() }
        return count - 1
    }

    private mutating func growSlots() {
        slots = Array(repeating: 0, count: slots.count * 2)
        for state in 1..<count {
            var place = hash(states, state) & (slots.count - 1)
            while slots[place] != 0 { place = (place + 1) & (slots.count - 1) }
            slots[place] = Int32(state)
        }
    }

    private func hash(_ bits: [UInt64], _ index: Int) -> Int {
        bits.withUnsafeBytes { bytes in
            bytes.baseAddress.map { Int(truncatingIfNeeded: ($0 + index * words * 8).hash(count: words * 8)) } ?? 0
        }
    }

    /// The states in order, those that accept last, each written as the place of its row.
    private func arranged(_ entries: [UInt32], _ accepting: [Bool], _ start: Int) -> (entries: [UInt32], start: Int, firstAccepting: Int) {
        let order = accepting.indices.filter { !accepting[$0] } + accepting.indices.filter { accepting[$0] }
        var places = [UInt32](repeating: 0, count: count)
        for (row, state) in order.enumerated() { places[state] = UInt32(row * classes.count) }
        var result: [UInt32] = []
        result.reserveCapacity(entries.count)
        for state in order { for `class` in 0..<classes.count { result.append(places[Int(entries[state * classes.count + `class`])]) } }
        return (result, Int(places[start]), accepting.count { !$0 } * classes.count)
    }
}
