import RiposteCore
import Testing

@testable import RiposteSensor

private func reflex(_ name: String) -> ArmedReflex { ArmedReflex(playbook: name, rule: "r", signal: 9, acts: true) }

@Suite("Places and budgets of reflexes")
struct ReflexBookkeepingTests {
    @Test("a place is given away only when its reflex was armed neither now nor before: events of the set before may still come")
    func places() throws {
        var slots = ReflexSlots(count: 3)
        #expect(slots.arm([reflex("a"), reflex("b")]) == [0, 1])
        #expect(slots.arm([reflex("b"), reflex("c")]) == [1, 2])
        #expect(slots[0] == reflex("a"))
        #expect(slots.arm([reflex("c"), reflex("d")]) == [2, 0])
        #expect(slots[1] == reflex("b") && slots[0] == reflex("d"))
    }

    @Test("without room for all nothing changes")
    func full() {
        var slots = ReflexSlots(count: 2)
        #expect(slots.arm([reflex("a"), reflex("b")]) == [0, 1])
        #expect(slots.arm([reflex("c")]) == nil)
        #expect(slots[0] == reflex("a") && slots[1] == reflex("b"))
        #expect(slots[7] == nil)
    }

    private func at(_ seconds: Int64) -> Timestamp { Timestamp(nanoseconds: seconds * 1_000_000_000) }

    @Test("what was used comes back when it leaves the window, and not before")
    func window() {
        var window = ReflexWindow(.init(actions: 3, per: .seconds(60), spent: [at(0), at(50)]), used: 7)
        #expect(window.left(at: at(55)) == 1)
        #expect(window.turn(used: 8, at: at(58)) == 0)
        #expect(window.left(at: at(59)) == 0)
        #expect(window.turn(used: 8, at: at(60)) == 1)
        #expect(window.turn(used: 8, at: at(111)) == 1)
        #expect(window.turn(used: 8, at: at(118)) == 1)
        #expect(window.left(at: at(118)) == 3)
    }

    @Test("a clock that is set back disarms for no longer than a window")
    func clockSetBack() {
        var window = ReflexWindow(.init(actions: 1, per: .seconds(60)), used: 0)
        #expect(window.turn(used: 1, at: at(10_000)) == 0)
        #expect(window.turn(used: 1, at: at(5_000)) == 1)
    }

    @Test("a playbook with another budget keeps what it has used")
    func change() {
        var window = ReflexWindow(.init(actions: 1, per: .seconds(60)), used: 0)
        _ = window.turn(used: 1, at: at(1))
        window.change(to: .init(actions: 3, per: .seconds(60)))
        #expect(window.left(at: at(2)) == 2)
    }
}
