/// Which of many literals a text contains, in one walk along the text however many there are (Aho and Corasick, "Efficient string matching",
/// 1975). The table says for each state and each byte where to go, without any falling back; bytes that no literal tells apart share a column.
///
/// The table is held to a size that caches bear: the longest literals, which would cost it the most, are searched for one by one.
package final class SubstringAutomaton: @unchecked Sendable {
    // Any thread may scan: nothing changes after init, and the bits belong to the caller.

    private static let entryLimit = 1 << 20

    /// Literals in the automaton and outside; bits are numbered by both.
    package let count: Int

    private let alwaysContained: [Int]
    private let apart: [(search: SubstringSearch, literal: Int)]

    /// For each byte its column.
    private let columns: FixedTable<UInt8>
    /// For each byte whether it leads away from the root.
    private let leavesRoot: FixedTable<Bool>
    /// By state plus column; a state is the place where its row begins, the root 0. Only one of the two tables is filled.
    private let narrow: FixedTable<UInt16>
    private let wide: FixedTable<UInt32>
    /// From this state on, states end a literal.
    private let firstEnding: Int
    private let rowCount: Int
    /// By row behind `firstEnding`: the longest literal that ends there.
    private let endings: FixedTable<Int32>
    /// Of each literal the next shorter one that it ends with, or an equal one, or -1.
    private let shorter: FixedTable<Int32>

    /// The number of words that ``scan(_:into:)`` writes to.
    package var wordCount: Int { (count + 63) / 64 }

    package init(_ literals: [[UInt8]], foldsCase: Bool = false) {
        let literals = foldsCase ? literals.map { $0.map(\.asciiLowercased) } : literals
        count = literals.count
        alwaysContained = literals.indices.filter { literals[$0].isEmpty }

        var builder = Builder(literals)
        apart = builder.addWithin(Self.entryLimit).map { (SubstringSearch(literals[$0], foldsCase: foldsCase), $0) }
        builder.connect()
        let (entries, endings, firstEnding) = builder.table()

        var columns = builder.columns
        if foldsCase { for byte in UInt8(ascii: "A")...UInt8(ascii: "Z") { columns[Int(byte)] = columns[Int(byte.asciiLowercased)] } }
        leavesRoot = FixedTable(columns.map { entries[Int($0)] != 0 })
        self.columns = FixedTable(columns)
        let isNarrow = entries.count <= 1 << 16
        narrow = FixedTable(isNarrow ? entries.map { UInt16($0) } : [])
        wide = FixedTable(isNarrow ? [] : entries)
        rowCount = builder.columnCount
        self.firstEnding = firstEnding
        self.endings = FixedTable(endings)
        shorter = FixedTable(builder.shorter)
    }

    /// Sets the bit of each literal that the text contains, and leaves the other bits as they are. The bits must be clear before: what is set
    /// counts as found together with all that it ends with.
    package func scan(_ text: UnsafeRawBufferPointer, into bits: UnsafeMutablePointer<UInt64>) {
        for literal in alwaysContained { Self.set(literal, bits) }
        if let start = text.baseAddress {
            let end = start + text.count
            if narrow.count > 0 { scan(start, end, narrow.base, bits) } else { scan(start, end, wide.base, bits) }
        }
        for index in apart.indices where apart[index].search.isContained(in: text) { Self.set(apart[index].literal, bits) }
    }

    @inline(__always) private func scan<Entry: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ start: UnsafeRawPointer, _ end: UnsafeRawPointer, _ table: UnsafePointer<Entry>, _ bits: UnsafeMutablePointer<UInt64>
    ) {
        var cursor = start
        while true {
            while true {
                guard cursor < end else { return }
                if leavesRoot[Int(cursor.load8(at: 0))] { break }
                cursor += 1
            }
            var state = 0
            repeat {
                state = Int(truncatingIfNeeded: table[state &+ Int(columns[Int(cursor.load8(at: 0))])])
                cursor += 1
                if state >= firstEnding { report(state, bits) }
            } while state != 0 && cursor < end
        }
    }

    /// A literal whose bit is set was reported with all that it ends with, so the way is walked once for each literal and not for each byte.
    private func report(_ state: Int, _ bits: UnsafeMutablePointer<UInt64>) {
        var literal = Int(endings[(state &- firstEnding) / rowCount])
        while literal >= 0, bits[literal >> 6] &>> UInt64(literal & 63) & 1 == 0 {
            Self.set(literal, bits)
            literal = Int(shorter[literal])
        }
    }

    @inline(__always) private static func set(_ literal: Int, _ bits: UnsafeMutablePointer<UInt64>) {
        bits[literal >> 6] |= 1 &<< UInt64(literal & 63)
    }
}

private struct Builder {
    private let literals: [[UInt8]]
    private(set) var columns = [UInt8](repeating: 0, count: 256)
    /// Column 0 is for all bytes that are in no literal, if there are any.
    private(set) var columnCount = 1
    private(set) var shorter: [Int32]

    /// Of states times columns; 0 for none while the literals are added, which is where none leads to anyway.
    private var next: [UInt32] = []
    /// By state the last literal that ends there and, once connected, else the longest that its text ends with.
    private var endings: [Int32] = []

    init(_ literals: [[UInt8]]) {
        self.literals = literals
        shorter = Array(repeating: -1, count: literals.count)
    }

    /// Adds the shortest literals, as many as the table bears, and gives the others.
    mutating func addWithin(_ limit: Int) -> ArraySlice<Int> {
        let order = literals.indices.filter { !literals[$0].isEmpty }.sorted { (literals[$0].count, $0) < (literals[$1].count, $1) }
        let taken = (order.reduce(1) { $0 + literals[$1].count }) * 256 <= limit ? order.count : fitting(order, limit)
        chooseColumns(order[..<taken])
        next = Array(repeating: 0, count: columnCount)
        endings = [-1]
        for literal in order[..<taken] { add(literal) }
        return order[taken...]
    }

    /// How many of the literals, from the first, make a table within the limit: found by halving.
    private func fitting(_ order: [Int], _ limit: Int) -> Int {
        var ranks = [Int](repeating: .max, count: literals.count)
        for (rank, literal) in order.enumerated() { ranks[literal] = rank }
        let sorted = order.sorted { literals[$0].lexicographicallyPrecedes(literals[$1]) }
        var taken = 0..<order.count
        while !taken.isEmpty {
            let middle = (taken.lowerBound + taken.upperBound + 1) / 2
            let fits = entryCount(sorted.lazy.filter { ranks[$0] < middle }) <= limit
            taken = fits ? middle..<taken.upperBound : taken.lowerBound..<middle - 1
        }
        return taken.lowerBound
    }

    /// Each literal adds the states behind what it has in common with the one before.
    private func entryCount(_ sorted: some Sequence<Int>) -> Int {
        var isUsed = [Bool](repeating: false, count: 256)
        var states = 1
        var last: [UInt8] = []
        for literal in sorted {
            let common = zip(last, literals[literal]).prefix { $0 == $1 }.count
            for byte in literals[literal][common...] { isUsed[Int(byte)] = true }
            states += literals[literal].count - common
            last = literals[literal]
        }
        return states * (isUsed.count { $0 } + 1)
    }

    private mutating func chooseColumns(_ chosen: ArraySlice<Int>) {
        var isUsed = [Bool](repeating: false, count: 256)
        for literal in chosen { for byte in literals[literal] { isUsed[Int(byte)] = true } }
        columnCount = isUsed.contains(false) ? 1 : 0
        for byte in 0..<256 where isUsed[byte] {
            columns[byte] = UInt8(columnCount)
            columnCount += 1
        }
    }

    private mutating func add(_ literal: Int) {
        var state = 0
        for byte in literals[literal] {
            let entry = state * columnCount + Int(columns[Int(byte)])
            if next[entry] == 0 {
                next[entry] = UInt32(endings.count)
                endings.append(-1)
                next += repeatElement(0, count: columnCount)
            }
            state = Int(next[entry])
        }
        shorter[literal] = endings[state]
        endings[state] = Int32(literal)
    }

    /// Fills in where each state goes when its own way ends, level by level: where the longest proper suffix goes, which is known by then.
    mutating func connect() {
        var suffixes = [UInt32](repeating: 0, count: endings.count)
        var queue = (0..<columnCount).map { next[$0] }.filter { $0 != 0 }
        var head = 0
        while head < queue.count {
            let state = Int(queue[head])
            head += 1
            let suffix = Int(suffixes[state])
            inheritEnding(state, suffix)
            for column in 0..<columnCount {
                let ofSuffix = next[suffix * columnCount + column]
                let child = next[state * columnCount + column]
                if child == 0 {
                    next[state * columnCount + column] = ofSuffix
                } else {
                    suffixes[Int(child)] = ofSuffix
                    queue.append(child)
                }
            }
        }
    }

    private mutating func inheritEnding(_ state: Int, _ suffix: Int) {
        guard endings[state] >= 0 else {
            endings[state] = endings[suffix]
            return
        }
        var literal = Int(endings[state])
        while shorter[literal] >= 0 { literal = Int(shorter[literal]) }
        shorter[literal] = endings[suffix]
    }

    /// The states in order, those that end a literal last, each written as the place of its row.
    func table() -> (entries: [UInt32], endings: [Int32], firstEnding: Int) {
        let states = endings.indices
        let order = states.filter { endings[$0] < 0 } + states.filter { endings[$0] >= 0 }
        var places = [UInt32](repeating: 0, count: states.count)
        for (row, state) in order.enumerated() { places[state] = UInt32(row * columnCount) }
        var entries: [UInt32] = []
        entries.reserveCapacity(next.count)
        for state in order { for column in 0..<columnCount { entries.append(places[Int(next[state * columnCount + column])]) } }
        let endingLiterals = order.map { endings[$0] }.filter { $0 >= 0 }
        return (entries, endingLiterals, (states.count - endingLiterals.count) * columnCount)
    }
}
