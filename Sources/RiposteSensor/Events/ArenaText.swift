internal import Glibc
internal import RiposteRules

/// Text that is put together in an arena, a value for one event. What does not fit is cut.
struct ArenaText {
    private let memory: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ arena: FieldArena, capacity: Int) { memory = arena.allocate(bytes: capacity, alignment: 1) }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[..<count]) }
    var view: FieldView { .text(bytes) }
    /// Where the next byte goes, for functions of C that write text.
    var rest: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(rebasing: memory[count...]) }

    mutating func advance(_ length: Int) { count = min(memory.count, count + length) }

    /// What was written from a place on is void.
    mutating func shorten(to length: Int) { count = min(count, length) }

    mutating func append(byte: UInt8) {
        guard count < memory.count else { return }
        memory[count] = byte
        count += 1
    }

    mutating func append(_ text: UnsafeRawBufferPointer) {
        let length = min(text.count, memory.count - count)
        guard length > 0, let source = text.baseAddress, let target = memory.baseAddress else { return }
        (target + count).copyMemory(from: source, byteCount: length)
        count += length
    }

    mutating func append(_ text: StaticString) { append(text.bytes) }

    mutating func append(decimal number: Int64) {
        if number < 0 { append(byte: UInt8(ascii: "-")) }
        append(number.magnitude, radix: 10)
    }

    /// Digits above 9 are capital letters, as Falco prints them in arguments.
    mutating func append(_ number: UInt64, radix: UInt64, minimumDigits: Int = 1, letters: UInt8 = UInt8(ascii: "A")) {
        var (digits, rest) = (1, number / radix)
        while rest > 0 { (digits, rest) = (digits + 1, rest / radix) }
        digits = max(digits, minimumDigits)
        guard count + digits <= memory.count else { return }
        rest = number
        for place in stride(from: count + digits - 1, through: count, by: -1) {
            let digit = UInt8(rest % radix)
            memory[place] = digit < 10 ? UInt8(ascii: "0") + digit : letters + digit - 10
            rest /= radix
        }
        count += digits
    }

    /// Bytes that are no printable ASCII as dots.
    mutating func append(printable text: UnsafeRawBufferPointer) {
        for byte in text { append(byte: 0x20...0x7E ~= byte ? byte : UInt8(ascii: ".")) }
    }

    /// What a value has as text.
    mutating func append(_ value: FieldView) {
        switch value {
        case .text(let text): append(text)
        case .integer(let number): append(decimal: number)
        case .bool(let truth): append(truth ? "true" : "false")
        default: break
        }
    }
}

extension StaticString {
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount) }
    var view: FieldView { .text(bytes) }
}

extension UnsafeRawBufferPointer {
    static var nothing: UnsafeRawBufferPointer { StaticString("").bytes }

    /// A copy that stays for the life of the process: for tables that are read once.
    static func kept(_ text: some StringProtocol) -> UnsafeRawBufferPointer {
        let bytes = Array(text.utf8)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Swift.max(1, bytes.count), alignment: 1)
        memory.copyBytes(from: bytes)
        return UnsafeRawBufferPointer(rebasing: memory[..<bytes.count])
    }

    func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool { count == other.count && begins(with: other) }

    func begins(with other: UnsafeRawBufferPointer) -> Bool {
        guard let start = baseAddress, let otherStart = other.baseAddress, !other.isEmpty else { return other.isEmpty }
        return count >= other.count && memcmp(start, otherStart, other.count) == 0
    }

    /// From a place to the end.
    func bytes(from place: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[Swift.min(place, count)...]) }
}

extension UnsafeBufferPointer {
    /// A copy that stays for the life of the process.
    static func kept(_ elements: [Element]) -> UnsafeBufferPointer<Element> {
        let memory = UnsafeMutableBufferPointer<Element>.allocate(capacity: Swift.max(1, elements.count))
        _ = memory.initialize(from: elements)
        return UnsafeBufferPointer(rebasing: memory[..<elements.count])
    }
}
