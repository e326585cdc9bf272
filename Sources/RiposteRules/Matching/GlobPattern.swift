/// A pattern of fnmatch(3) without flags: `*` and `?` match a slash and a leading dot too, `[a-z]`, `[!x]` and `[[:digit:]]` are sets, a backslash
/// takes the next character as it is. Bytes, not characters. Linear in practice: after a mismatch only the last `*` is widened.
package struct GlobPattern: Sendable, Equatable {
    /// What a pattern comes to that has no wildcards but a `*` at either end or at both, for whoever has a quicker way to ask that.
    package enum Shape: Sendable, Equatable {
        case exact([UInt8])
        case prefix([UInt8])
        case suffix([UInt8])
        case contains([UInt8])
        /// `*`: every text.
        case any
        /// Everything else. Also a pattern that folds case, if it has letters: the other shapes mean the bytes as they are.
        case general
    }

    package let pattern: [UInt8]
    package let foldsCase: Bool
    package let simplified: Shape
    private let program: Program

    package init(_ pattern: [UInt8], foldsCase: Bool = false) {
        self.pattern = pattern
        self.foldsCase = foldsCase
        var code = GlobCode()
        let elements = code.compile(pattern, foldsCase: foldsCase)
        simplified = code.shape(of: elements)
        program = Program(code)
    }

    package static func == (left: Self, right: Self) -> Bool { left.pattern == right.pattern && left.foldsCase == right.foldsCase }

    package func matches(_ text: [UInt8]) -> Bool { text.withUnsafeBytes { matches($0) } }

    package func matches(_ text: ArraySlice<UInt8>) -> Bool { text.withUnsafeBytes { matches($0) } }

    package func matches(_ text: UnsafeRawBufferPointer) -> Bool {
        GlobCode.matches(program.elements.base, program.elements.count, program.sets.base, text.baseAddress, text.count)
    }

    private final class Program: Sendable {
        let elements: FixedTable<GlobCode.Element>
        let sets: FixedTable<ByteSet>

        init(_ code: GlobCode) {
            elements = FixedTable(code.elements)
            sets = FixedTable(code.sets)
        }
    }
}

/// Patterns in the form in which they are run; several may share one, as the components of a path do.
struct GlobCode {
    /// One byte of the text, or any number of them. A byte value stands for itself.
    struct Element: BitwiseCopyable, Equatable {
        let code: UInt32

        static let any = Element(code: 0x100)
        static let star = Element(code: 0x101)

        static func byte(_ byte: UInt8) -> Element { Element(code: UInt32(byte)) }
        /// A letter, large or small.
        static func letter(_ small: UInt8) -> Element { Element(code: 0x200 | UInt32(small)) }
        static func set(_ index: Int) -> Element { Element(code: 0x400 + UInt32(index)) }

        var byte: UInt8? { code < 0x100 ? UInt8(code) : nil }

        @inline(__always) func accepts(_ byte: UInt8, _ sets: UnsafePointer<ByteSet>) -> Bool {
            if code < 0x100 { return code == UInt32(byte) }
            if code >= 0x400 { return sets[Int(code &- 0x400)].contains(byte) }
            return self == .any || code == 0x200 | UInt32(byte | 0x20)
        }
    }

    private(set) var elements: [Element] = []
    private(set) var sets: [ByteSet] = []

    /// Appends a pattern and says where its elements are.
    mutating func compile(_ pattern: some Collection<UInt8>, foldsCase: Bool = false) -> Range<Int> {
        let start = elements.count
        var reader = Reader(pattern: Array(pattern), foldsCase: foldsCase)
        while let next = reader.next() {
            switch next {
            case .star: if elements.count == start || elements.last != .star { elements.append(.star) }
            case .any: elements.append(.any)
            case .byte(let byte): elements.append(foldsCase && byte.isLetter ? .letter(byte.asciiLowercased) : .byte(byte))
            case .set(let set):
                elements.append(.set(sets.count))
                sets.append(set)
            }
        }
        return start..<elements.count
    }

    /// Appends bytes that stand for themselves.
    mutating func append(_ bytes: some Collection<UInt8>) -> Range<Int> {
        elements += bytes.map { .byte($0) }
        return elements.count - bytes.count..<elements.count
    }

    func shape(of range: Range<Int>) -> GlobPattern.Shape {
        var middle = elements[range]
        guard middle != [.star] else { return .any }
        let beginsWithStar = middle.first == .star
        let endsWithStar = middle.last == .star
        if beginsWithStar { middle.removeFirst() }
        if endsWithStar { middle.removeLast() }
        let bytes = middle.compactMap(\.byte)
        guard bytes.count == middle.count else { return .general }
        switch (beginsWithStar, endsWithStar) {
        case (false, false): return .exact(bytes)
        case (false, true): return .prefix(bytes)
        case (true, false): return .suffix(bytes)
        case (true, true): return .contains(bytes)
        }
    }

    static func matches(_ elements: UnsafePointer<Element>, _ count: Int, _ sets: UnsafePointer<ByteSet>, _ text: UnsafeRawPointer?, _ length: Int) -> Bool {
        var place = 0
        var index = 0
        // Where to go on after a mismatch: behind the last `*`, which takes one byte more.
        var retryPlace = -1
        var retryIndex = 0
        if let text {
            while index < length {
                if place < count {
                    let element = elements[place]
                    if element == .star {
                        place &+= 1
                        if place == count { return true }
                        (retryPlace, retryIndex) = (place, index)
                        continue
                    }
                    if element.accepts(text.load8(at: index), sets) {
                        place &+= 1
                        index &+= 1
                        continue
                    }
                }
                guard retryPlace >= 0 else { return false }
                let wanted = elements[retryPlace]
                repeat { retryIndex &+= 1 } while retryIndex < length && !wanted.accepts(text.load8(at: retryIndex), sets)
                (place, index) = (retryPlace, retryIndex)
            }
        }
        while place < count, elements[place] == .star { place &+= 1 }
        return place == count
    }

    /// Takes a pattern apart as glibc does.
    private struct Reader {
        enum Part {
            case byte(UInt8)
            case any
            case star
            case set(ByteSet)
        }

        let pattern: [UInt8]
        let foldsCase: Bool
        private var position = 0

        init(pattern: [UInt8], foldsCase: Bool) {
            self.pattern = pattern
            self.foldsCase = foldsCase
        }

        mutating func next() -> Part? {
            guard let byte = take() else { return nil }
            switch byte {
            case UInt8(ascii: "*"): return .star
            case UInt8(ascii: "?"): return .any
            // At the end of the pattern it takes no character, and glibc lets no text match.
            case UInt8(ascii: "\\"): return take().map { .byte($0) } ?? .set(ByteSet())
            case UInt8(ascii: "["):
                let start = position
                if let set = set() { return .set(set) }
                // Never closed: the bracket stands for itself.
                position = start
                return .byte(byte)
            default: return .byte(byte)
            }
        }

        private mutating func take() -> UInt8? {
            guard position < pattern.count else { return nil }
            position += 1
            return pattern[position - 1]
        }

        /// The set whose `[` was just read; nil where it is never closed.
        private mutating func set() -> ByteSet? {
            let isNegated = position < pattern.count && (pattern[position] == UInt8(ascii: "!") || pattern[position] == UInt8(ascii: "^"))
            if isNegated { position += 1 }
            var set = ByteSet()
            // Where case is folded, letters of the set are compared with the small letters of the text, classes with its letters as they are.
            var classes = ByteSet()
            let first = position
            while let byte = take() {
                if byte == UInt8(ascii: "]"), position > first + 1 { return finished(set, classes, isNegated) }
                if byte == UInt8(ascii: "["), let named = namedClass() {
                    for member in 0...UInt8.max where named.contains(where: { $0.contains(member) }) { classes.insert(member) }
                    continue
                }
                guard let low = byte == UInt8(ascii: "\\") ? take() : byte else { return nil }
                // A range that the pattern breaks off matches nothing, for glibc.
                if pattern[position...].elementsEqual(CollectionOfOne(UInt8(ascii: "-"))) {
                    position += 1
                    return ByteSet()
                }
                guard position + 1 < pattern.count, pattern[position] == UInt8(ascii: "-"), pattern[position + 1] != UInt8(ascii: "]") else {
                    set.insert(folded(low))
                    continue
                }
                position += 1
                guard var high = take() else { return nil }
                if high == UInt8(ascii: "\\") {
                    guard let escaped = take() else { return nil }
                    high = escaped
                }
                let (least, most) = (folded(low), folded(high))
                if least <= most { for member in least...most { set.insert(member) } }
            }
            return nil
        }

        /// `[:digit:]`, whose first bracket was just read; nil, and nothing taken, where it is none.
        private mutating func namedClass() -> [ClosedRange<UInt8>]? {
            for (name, ranges) in ByteSet.namedRanges where pattern[position...].starts(with: ":\(name):]".utf8) {
                position += name.utf8.count + 3
                return ranges
            }
            return nil
        }

        private func folded(_ byte: UInt8) -> UInt8 { foldsCase ? byte.asciiLowercased : byte }

        private func finished(_ set: ByteSet, _ classes: ByteSet, _ isNegated: Bool) -> ByteSet {
            var result = ByteSet()
            for byte in 0...UInt8.max where (set.contains(folded(byte)) || classes.contains(byte)) != isNegated { result.insert(byte) }
            return result
        }
    }
}

extension UInt8 {
    @inline(__always) var asciiLowercased: UInt8 { 0x41...0x5A ~= self ? self | 0x20 : self }
    @inline(__always) var asciiUppercased: UInt8 { 0x61...0x7A ~= self ? self & 0xDF : self }
    var isLetter: Bool { 0x61...0x7A ~= self | 0x20 }
}

extension ByteSet {
    /// The classes of characters that POSIX names, in the C locale.
    static let namedRanges: [(name: String, ranges: [ClosedRange<UInt8>])] = [
        ("alnum", [48...57, 65...90, 97...122]), ("alpha", [65...90, 97...122]), ("blank", [9...9, 32...32]), ("cntrl", [0...31, 127...127]), ("digit", [48...57]),
        ("graph", [33...126]), ("lower", [97...122]), ("print", [32...126]), ("punct", [33...47, 58...64, 91...96, 123...126]), ("space", [9...13, 32...32]), ("upper", [65...90]),
        ("xdigit", [48...57, 65...70, 97...102]),
    ]
}
