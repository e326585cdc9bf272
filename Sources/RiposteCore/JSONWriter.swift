/// Writes JSON into memory of its own that grows. An array asks at each byte whether it is shared and whether there is room; here that is done
/// once for each text, and the whole is copied into an array in the end.
struct JSONWriter: ~Copyable {
    private var base: UnsafeMutablePointer<UInt8>
    private var capacity = 2048
    private var count = 0

    init() { base = .allocate(capacity: capacity) }
    deinit { base.deallocate() }

    /// What was written.
    consuming func finish() -> [UInt8] { Array(UnsafeBufferPointer(start: base, count: count)) }

    consuming func finish(into result: inout [UInt8]) { result.append(contentsOf: UnsafeBufferPointer(start: base, count: count)) }

    mutating func write(_ value: borrowing JSON) {
        switch value {
        case .null: put("null")
        case .bool(let value): put(value ? "true" : "false")
        case .integer(let value): write(value)
        case .number(let text): text.bytes.withUnsafeBufferPointer { put($0) }
        case .string(let text): write(text)
        case .array(let elements):
            put("[")
            for index in elements.indices {
                if index > 0 { put(",") }
                write(elements[index])
            }
            put("]")
        case .object(let object): write(object)
        }
    }

    mutating func write(_ object: borrowing JSONObject) {
        put("{")
        for index in object.members.indices {
            if index > 0 { put(",") }
            write(object.members[index].key)
            put(":")
            write(object.members[index].value)
        }
        put("}")
    }

    mutating func write(_ text: borrowing ByteText) {
        let isWritten = text.bytes.withUnsafeBufferPointer { bytes in
            guard bytes.isASCII || text.valid != nil else { return false }
            writeString(bytes)
            return true
        }
        if !isWritten { Array(text.repaired.utf8).withUnsafeBufferPointer { writeString($0) } }
    }

    private mutating func writeString(_ bytes: UnsafeBufferPointer<UInt8>) {
        reserve(bytes.count + 2)
        append(UInt8(ascii: "\""))
        var plainFrom = 0
        while case let end = bytes.endOfPlainText(from: plainFrom), end < bytes.count {
            put(UnsafeBufferPointer(rebasing: bytes[plainFrom..<end]))
            writeEscape(of: bytes[end])
            plainFrom = end + 1
        }
        put(UnsafeBufferPointer(rebasing: bytes[plainFrom...]))
        put("\"")
    }

    private mutating func writeEscape(of byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): put("\\\"")
        case UInt8(ascii: "\\"): put("\\\\")
        case 0x08: put("\\b")
        case 0x09: put("\\t")
        case 0x0A: put("\\n")
        case 0x0C: put("\\f")
        case 0x0D: put("\\r")
        default:
            let digits: StaticString = "0123456789abcdef"
            put("\\u00")
            reserve(2)
            append(digits.utf8Start[Int(byte >> 4)])
            append(digits.utf8Start[Int(byte & 15)])
        }
    }

    private mutating func write(_ value: Int64) {
        reserve(20)
        if value < 0 { append(UInt8(ascii: "-")) }
        var (rest, digits) = (value.magnitude, 1)
        var limit: UInt64 = 10
        while digits < 19, value.magnitude >= limit { (digits, limit) = (digits + 1, limit * 10) }
        for place in stride(from: count + digits - 1, through: count, by: -1) {
            base[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        count += digits
    }

    @inline(__always)
    private mutating func put(_ text: StaticString) { put(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)) }

    @inline(__always)
    private mutating func put(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let start = bytes.baseAddress else { return }
        reserve(bytes.count)
        (base + count).update(from: start, count: bytes.count)
        count += bytes.count
    }

    /// There must be room.
    @inline(__always)
    private mutating func append(_ byte: UInt8) {
        base[count] = byte
        count += 1
    }

    @inline(__always)
    private mutating func reserve(_ more: Int) { if count + more > capacity { grow(by: more) } }

    private mutating func grow(by more: Int) {
        capacity = max(capacity * 2, count + more)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        larger.update(from: base, count: count)
        base.deallocate()
        base = larger
    }
}
