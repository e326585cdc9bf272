/// Random numbers that a printed seed brings back: SplitMix64.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// Few different characters, so that texts are alike now and then.
    mutating func text(upTo count: Int, of alphabet: String) -> [UInt8] {
        let alphabet = Array(alphabet.utf8)
        return (0..<Int.random(in: 0...count, using: &self)).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &self)] }
    }

    mutating func one<Value>(of values: Value...) -> Value { values[Int.random(in: values.indices, using: &self)] }

    /// As many rounds as asked for, each with its own seed.
    static func rounds(_ count: Int, _ body: (inout SeededNumbers) throws -> Void) rethrows {
        let first = UInt64.random(in: 0...UInt64(UInt32.max))
        print("seeds from \(first)")
        for round in 0..<count {
            var numbers = SeededNumbers(seed: first &+ UInt64(round))
            try body(&numbers)
        }
    }
}
