/// A name that Riposte gives to an alert, a run or an action: a ULID (https://github.com/ulid/spec), 26 characters that sort by time.
package struct Identifier: Hashable, Comparable, Sendable, CustomStringConvertible {
    private let high: UInt64
    private let low: UInt64

    /// 48 bits of milliseconds since 1970 and 80 random bits.
    package init(at time: Timestamp, using generator: inout some RandomNumberGenerator) {
        let milliseconds = UInt64(clamping: time.nanoseconds / 1_000_000) & 0xFFFF_FFFF_FFFF
        high = milliseconds << 16 | UInt64.random(in: 0...0xFFFF, using: &generator)
        low = generator.next()
    }

    package static func new(at time: Timestamp = .now()) -> Identifier {
        var generator = SystemRandomNumberGenerator()
        return Identifier(at: time, using: &generator)
    }

    /// Reads 26 characters of Crockford's base 32, in any case.
    package init?(_ text: some StringProtocol) { self.init(bytes: Array(text.utf8)) }

    package init?(bytes: [UInt8]) {
        guard bytes.count == 26 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for index in bytes.indices {
            let digit = Self.digits[Int(bytes[index])]
            guard digit < 32, index > 0 || digit < 8 else { return nil }
            high = high << 5 | low >> 59
            low = low << 5 | UInt64(digit)
        }
        (self.high, self.low) = (high, low)
    }

    package var description: String {
        var characters = [UInt8](repeating: 0, count: 26)
        var (high, low) = (high, low)
        for index in characters.indices.reversed() {
            characters[index] = Self.alphabet[Int(low & 31)]
            low = low >> 5 | high << 59
            high >>= 5
        }
        return String(decoding: characters, as: UTF8.self)
    }

    package static func < (left: Identifier, right: Identifier) -> Bool { (left.high, left.low) < (right.high, right.low) }

    /// By byte, in any case; 255: none.
    private static let digits: [UInt8] = (UInt8.min...UInt8.max).map { byte in
        alphabet.firstIndex(of: byte >= UInt8(ascii: "a") ? byte & 0xDF : byte).map { UInt8($0) } ?? 255
    }

    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)
}
