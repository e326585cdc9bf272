import Testing

@testable import RiposteSensor

@Suite("how fast events come")
struct PaceTests {
    /// Milliseconds.
    private static func isDense(_ spans: [(taken: UInt64, at: UInt64)]) -> [Bool] {
        var pace = Pace()
        return spans.map { span in
            pace.taken += span.taken
            return pace.isDense(20_000, at: 1_000_000_000 + span.at * 1_000_000)
        }
    }

    @Test("the last whole span counts, and between its ends what it came to")
    func spans() {
        // Since the machine has started nothing came.
        #expect(Self.isDense([(100, 0)]) == [false])
        #expect(Self.isDense([(0, 0), (39, 2), (40, 4), (1, 5), (0, 6)]) == [false, false, true, true, false])
    }

    @Test("a burst within less than a span is none yet")
    func burst() { #expect(Self.isDense([(0, 0), (10_000, 1), (0, 100)]) == [false, false, true]) }
}
