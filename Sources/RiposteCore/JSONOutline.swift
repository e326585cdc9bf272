/// A JSON text that was looked through and not taken apart: it has no errors, and where its members stand is known. A line of the journal costs a tenth
/// of what a ``JSON`` of it costs; whoever wants one value of many reads that one alone.
///
/// Reads what ``JSON/write(to:)`` writes, and less than ``JSON/init(parsing:)``: no blanks, no bytes that are not UTF-8. What has an outline can be parsed.
package struct JSONOutline: Sendable {
    package struct Member: Sendable {
        /// As it is spelled, without its quotes.
        package fileprivate(set) var key: Range<Int>
        package fileprivate(set) var value: Range<Int>
        /// Where members of objects in its value stand in ``members``; those of an object's own come first.
        package fileprivate(set) var inside: Range<Int>
    }

    package let bytes: [UInt8]
    /// Of all objects, in the order in which they stand.
    package let members: [Member]

    /// Nil where this is not an object that ``JSON/write(to:)`` may have written.
    package init?(_ bytes: [UInt8]) {
        var reader = OutlineReader()
        let isRead = bytes.withUnsafeBufferPointer { bytes in
            guard bytes.first == UInt8(ascii: "{") else { return false }
            do throws(OutlineReader.Unreadable) {
                return try reader.value(bytes, from: 0, depth: 0) == bytes.count
            } catch {
                return false
            }
        }
        guard isRead, bytes.withUnsafeBufferPointer(\.isASCII) || String(validating: bytes, as: UTF8.self) != nil else { return nil }
        self.bytes = bytes
        members = reader.members
    }

    /// Calls `body` with each member of the outermost object, or of the object that a member's value is.
    package func forEach(in parent: Member? = nil, _ body: (Member) -> Void) {
        let places = parent?.inside ?? members.indices
        var place = places.lowerBound
        while place < places.upperBound {
            body(members[place])
            place = members[place].inside.upperBound
        }
    }

    package func spells(_ place: Range<Int>, _ text: StaticString) -> Bool {
        guard place.count == text.utf8CodeUnitCount else { return false }
        for index in 0..<place.count where bytes[place.lowerBound + index] != text.utf8Start[index] { return false }
        return true
    }

    package func isObject(_ value: Range<Int>) -> Bool { bytes[value.lowerBound] == UInt8(ascii: "{") }

    /// What stands at a place, read.
    package func json(_ value: Range<Int>) -> JSON? { try? JSON(parsing: bytes[value]) }
}

private struct OutlineReader {
    struct Unreadable: Error {}

    private(set) var members: [JSONOutline.Member] = []

    init() { members.reserveCapacity(64) }

    /// The place behind the value.
    mutating func value(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int, depth: Int) throws(Unreadable) -> Int {
        guard start < bytes.count, depth <= JSON.depthLimit else { throw Unreadable() }
        switch bytes[start] {
        case UInt8(ascii: "\""): return try Self.string(bytes, from: start + 1)
        case UInt8(ascii: "{"): return try object(bytes, from: start + 1, depth: depth + 1)
        case UInt8(ascii: "["): return try array(bytes, from: start + 1, depth: depth + 1)
        case UInt8(ascii: "t"): return try Self.word("true", bytes, from: start)
        case UInt8(ascii: "f"): return try Self.word("false", bytes, from: start)
        case UInt8(ascii: "n"): return try Self.word("null", bytes, from: start)
        default: return try Self.number(bytes, from: start)
        }
    }

    private mutating func object(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int, depth: Int) throws(Unreadable) -> Int {
        guard depth <= JSON.depthLimit else { throw Unreadable() }
        if Self.stands("}", bytes, at: start) { return start + 1 }
        let first = members.count
        var (place, count, hasEscapes) = (start, 0, false)
        while true {
            guard Self.stands("\"", bytes, at: place) else { throw Unreadable() }
            let keyEnd = try Self.string(bytes, from: place + 1)
            let key = place + 1..<keyEnd - 1
            guard Self.stands(":", bytes, at: keyEnd) else { throw Unreadable() }
            hasEscapes = hasEscapes || bytes[key].contains(UInt8(ascii: "\\"))
            if count < Self.fewKeys, !isNew(key, since: first, bytes) { throw Unreadable() }
            let own = members.count
            members.append(JSONOutline.Member(key: key, value: keyEnd + 1..<keyEnd + 1, inside: own + 1..<own + 1))
            place = try value(bytes, from: keyEnd + 1, depth: depth)
            members[own].value = keyEnd + 1..<place
            members[own].inside = own + 1..<members.count
            count += 1
            if Self.stands(",", bytes, at: place) {
                place += 1
            } else {
                guard Self.stands("}", bytes, at: place), !hasEscapes && count <= Self.fewKeys || areUnequal(since: first, count, bytes) else { throw Unreadable() }
                return place + 1
            }
        }
    }

    /// So many keys are compared one by one.
    private static let fewKeys = 32

    private func isNew(_ key: Range<Int>, since first: Int, _ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var place = first
        while place < members.count {
            if Self.areEqual(members[place].key, key, bytes) { return false }
            place = members[place].inside.upperBound
        }
        return true
    }

    @inline(__always)
    private static func areEqual(_ left: Range<Int>, _ right: Range<Int>, _ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        // Most names of one length begin alike and end otherwise: `proc.name`, `proc.pid`.
        for index in (0..<left.count).reversed() where bytes[left.lowerBound + index] != bytes[right.lowerBound + index] { return false }
        return true
    }

    /// Of many keys, and of keys that may be spelled in two ways.
    private func areUnequal(since first: Int, _ count: Int, _ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var keys: Set<ByteText> = []
        var place = first
        while place < members.count {
            let key = members[place].key
            guard let text = try? JSON(parsing: bytes[key.lowerBound - 1..<key.upperBound + 1]).string, keys.insert(text).inserted else { return false }
            place = members[place].inside.upperBound
        }
        return keys.count == count
    }

    private mutating func array(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int, depth: Int) throws(Unreadable) -> Int {
        guard depth <= JSON.depthLimit else { throw Unreadable() }
        if Self.stands("]", bytes, at: start) { return start + 1 }
        var place = start
        while true {
            place = try value(bytes, from: place, depth: depth)
            if Self.stands("]", bytes, at: place) { return place + 1 }
            guard Self.stands(",", bytes, at: place) else { throw Unreadable() }
            place += 1
        }
    }

    @inline(__always)
    private static func stands(_ character: Unicode.Scalar, _ bytes: UnsafeBufferPointer<UInt8>, at place: Int) -> Bool {
        place < bytes.count && bytes[place] == UInt8(ascii: character)
    }

    /// From behind the first quote to behind the last.
    private static func string(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) throws(Unreadable) -> Int {
        var place = start
        while true {
            place = bytes.endOfPlainText(from: place)
            guard place + 1 < bytes.count else { throw Unreadable() }
            switch (bytes[place], bytes[place + 1]) {
            case (UInt8(ascii: "\""), _): return place + 1
            case (UInt8(ascii: "\\"), UInt8(ascii: "u")):
                let digits = bytes[min(place + 2, bytes.count)..<min(place + 6, bytes.count)]
                // Of a pair of surrogates one may be missing.
                guard digits.count == 4, digits.allSatisfy(isHexadecimal), digits.first.map({ $0 | 0x20 }) != UInt8(ascii: "d") else { throw Unreadable() }
                place += 6
            case (UInt8(ascii: "\\"), let escape):
                switch escape {
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"),
                    UInt8(ascii: "t"):
                    place += 2
                default: throw Unreadable()
                }
            default: throw Unreadable()
            }
        }
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool { 0x30...0x39 ~= byte || 0x61...0x66 ~= byte | 0x20 }

    private static func word(_ word: StaticString, _ bytes: UnsafeBufferPointer<UInt8>, from start: Int) throws(Unreadable) -> Int {
        let end = start + word.utf8CodeUnitCount
        guard end <= bytes.count, bytes[start..<end].elementsEqual(UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)) else {
            throw Unreadable()
        }
        return end
    }

    private static func number(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) throws(Unreadable) -> Int {
        var place = start
        func digits() throws(Unreadable) {
            let first = place
            while place < bytes.count, bytes[place] &- UInt8(ascii: "0") < 10 { place += 1 }
            guard place > first else { throw Unreadable() }
        }
        if stands("-", bytes, at: place) { place += 1 }
        let first = place
        try digits()
        guard bytes[first] != UInt8(ascii: "0") || place - first == 1 else { throw Unreadable() }
        if stands(".", bytes, at: place) {
            place += 1
            try digits()
        }
        if stands("e", bytes, at: place) || stands("E", bytes, at: place) {
            place += 1
            if stands("+", bytes, at: place) || stands("-", bytes, at: place) { place += 1 }
            try digits()
        }
        return place
    }
}
