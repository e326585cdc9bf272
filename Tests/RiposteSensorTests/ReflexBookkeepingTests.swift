import RiposteCore
import RiposteRules
import Testing

@testable import RiposteSensor

private func reflex(_ name: String) -> ArmedReflex { ArmedReflex(playbook: name, rule: "r", signal: 9, acts: true) }

@Suite("Places and budgets of reflexes")
struct ReflexBookkeepingTests {
    /// Arms them and puts what found a place in force, as the sensor does.
    private func use(_ slots: inout ReflexSlots, _ reflexes: [ArmedReflex]) -> [Int?] {
        let places = slots.arm(reflexes)
        slots.settle(zip(places, reflexes).compactMap { place, reflex in place.map { _ in reflex } })
        return places
    }

    @Test("a place is given away only when the rings were found empty twice since its reflex was in force: events of it may still come")
    func places() {
        var slots = ReflexSlots(count: 3)
        #expect(use(&slots, [reflex("a"), reflex("b")]) == [0, 1])
        #expect(use(&slots, [reflex("b"), reflex("c")]) == [1, 2])
        #expect(use(&slots, [reflex("b"), reflex("c"), reflex("d")]) == [1, 2, nil])
        slots.wereRead()
        #expect(use(&slots, [reflex("b"), reflex("d")]) == [1, nil] && slots[0] == reflex("a") && slots.playbooks == ["a", "b", "c"])
        slots.wereRead()
        #expect(use(&slots, [reflex("b"), reflex("d")]) == [1, 0])
        #expect(slots[0] == reflex("d") && slots[2] == reflex("c") && slots[7] == nil)
    }

    @Test("a change of mode or signal takes no place")
    func modes() {
        var slots = ReflexSlots(count: 2)
        #expect(use(&slots, [reflex("a"), reflex("b")]) == [0, 1])
        let quiet = ["a", "b"].map { ArmedReflex(playbook: $0, rule: "r", signal: 15, acts: false) }
        #expect(use(&slots, quiet) == [0, 1] && slots[0] == quiet[0])
    }

    @Test("what the kernel did not take leaves the places of those before")
    func failed() {
        var slots = ReflexSlots(count: 2)
        #expect(use(&slots, [reflex("a")]) == [0])
        #expect(slots.arm([reflex("b")]) == [1])
        #expect(use(&slots, [reflex("c"), reflex("d")]) == [1, nil] && slots[0] == reflex("a"))
    }

    /// A condition on the call's result, or on nothing but its name, of a reflex.
    private static func clause(_ reflex: Int, asksForResult: Bool = false) -> KernelFilter.Clause {
        KernelFilter.Clause(positive: asksForResult ? 0b11 : 0b1, negative: 0, reflex: reflex)
    }

    private static let atoms: [KernelFilter.Atom] = [.name([Array("x".utf8)]), .number(.init(.result, .equal, 3))]

    @Test("the kernel is asked before calls for the sake of reflexes that act and whose whole condition is known there, and tells for which")
    func refusals() {
        let (acting, observing) = (reflex("a"), ArmedReflex(playbook: "b", rule: "r", signal: 9, acts: false))
        func refusals(_ type: String, _ clauses: [KernelFilter.Clause]) -> Refusals {
            Refusals([(type, KernelFilter(atoms: Self.atoms, clauses: clauses + [.init(positive: 0, negative: 0)]))], [acting, observing])
        }
        #expect(refusals("openat", [Self.clause(0)]).needed == .open && refusals("connect", [Self.clause(0)]).needed == .connect)
        #expect(refusals("openat", [Self.clause(0), Self.clause(1)]).calls(at: [.open, .connect]) == [acting: ["openat"]])
        for none in [refusals("openat", [Self.clause(1)]), refusals("unlink", [Self.clause(0)]), refusals("openat", [Self.clause(0), Self.clause(0, asksForResult: true)])] {
            #expect(none.needed == [] && none.calls(at: [.open, .connect]) == [:])
        }
        // The kernel does not let itself be asked there.
        #expect(refusals("openat", [Self.clause(0)]).calls(at: .connect) == [:])
    }

    @Test("a reflex that has several conditions refuses no call where one of them asks for more than is known there, whatever others need")
    func wholeReflexes() {
        let filter = KernelFilter(atoms: Self.atoms, clauses: [Self.clause(0), Self.clause(0, asksForResult: true), Self.clause(1)])
        #expect(filter.before(allOf: 0) == [] && filter.before(allOf: 1) == [.open, .connect] && filter.before(allOf: 2) == [] && filter.before(allOf: nil) == [])
        #expect(filter.reflexes == [0, 1])
    }

    private static let boot = ContinuousClock.now
    private static let epoch: Int64 = 1_700_000_000

    /// By the clock that nobody sets, and what the wall clock shows meanwhile.
    private func at(_ seconds: Int64) -> ContinuousClock.Instant { Self.boot + .seconds(seconds) }
    private func wall(_ seconds: Int64) -> Timestamp { Timestamp(nanoseconds: (Self.epoch + seconds) * 1_000_000_000) }

    private func window(_ actions: Int, spent: [Int64] = [], used: UInt64 = 0, at now: Int64 = 0) -> ReflexWindow {
        ReflexWindow(.init(actions: actions, per: .seconds(60), spent: spent.map(wall)), used: used, at: at(now), wall: wall(now))
    }

    @Test("what was used comes back when it leaves the window, and not before")
    func window() {
        var window = window(3, spent: [50, 0], used: 7, at: 55)
        #expect(window.left(at: at(55)) == 1)
        #expect(window.turn(used: 8, at: at(58)) == 0)
        #expect(window.left(at: at(59)) == 0)
        #expect(window.turn(used: 8, at: at(60)) == 1)
        #expect(window.turn(used: 8, at: at(111)) == 1)
        #expect(window.turn(used: 8, at: at(118)) == 1)
        #expect(window.left(at: at(118)) == 3)
    }

    @Test("what was spent by a wall clock that was set back since then keeps the budget for no longer than a window")
    func clockSetBack() {
        var window = window(2, spent: [5_000, -10])
        #expect(window.left(at: at(0)) == 0)
        #expect(window.turn(used: 0, at: at(49)) == 0)
        #expect(window.turn(used: 0, at: at(50)) == 1)
        #expect(window.turn(used: 0, at: at(59)) == 0)
        #expect(window.turn(used: 0, at: at(60)) == 1)
    }

    @Test("a playbook with another budget keeps what it has used")
    func change() {
        var window = window(1)
        _ = window.turn(used: 1, at: at(1))
        window.change(to: .init(actions: 3, per: .seconds(60)))
        #expect(window.left(at: at(2)) == 2)
    }

    @Test("a playbook with a smaller budget gets nothing back before what it has used fits into it")
    func smaller() {
        var window = window(3, spent: [0, 10, 20], at: 20)
        window.change(to: .init(actions: 1, per: .seconds(60)))
        #expect(window.turn(used: 0, at: at(60)) == 0)
        #expect(window.turn(used: 0, at: at(70)) == 0)
        #expect(window.turn(used: 0, at: at(80)) == 1)
        #expect(window.left(at: at(80)) == 1)
    }
}
