import Testing

@testable import RiposteAgent

@Suite("Losses are told, and not too often")
struct LossWatchTests {
    private let start = ContinuousClock.now

    private func due(_ watch: inout LossWatch, _ seconds: Int, isLast: Bool = false) -> [String: UInt64]? { watch.due(at: start + .seconds(seconds), isLast: isLast) }

    @Test("what was lost in the pause after an alert is told behind it, though nothing more is lost")
    func pause() {
        var watch = LossWatch(limit: 1)
        #expect(due(&watch, 0) == nil)
        watch.note(["open": 2])
        #expect(due(&watch, 1) == ["open": 2])
        watch.note(["open": 3, "exec": 1])
        #expect(due(&watch, 2) == nil && due(&watch, 30) == nil)
        #expect(due(&watch, 31) == ["open": 3, "exec": 1])
        #expect(due(&watch, 99) == nil)
    }

    @Test("at the end the pause does not count")
    func last() {
        var watch = LossWatch(limit: 2)
        watch.note(["open": 2])
        #expect(due(&watch, 0) == ["open": 2])
        watch.note(["read": 1])
        #expect(due(&watch, 1, isLast: true) == nil)
        watch.note(["read": 1])
        #expect(due(&watch, 1, isLast: true) == ["read": 2])
        #expect(due(&watch, 1, isLast: true) == nil)
    }

    @Test("a limit of none switches it off")
    func off() {
        var watch = LossWatch(limit: 0)
        watch.note(["open": 5])
        #expect(due(&watch, 0) == nil && due(&watch, 0, isLast: true) == nil)
    }
}
