internal import CRiposte
package import RiposteCore

/// A reflex as the kernel is to carry it out: where the rule's condition surely holds, the process gets the signal before its next instruction.
package struct ArmedReflex: Sendable, Hashable {
    /// The playbook in whose name it acts, and whose budget it spends.
    package let playbook: String
    /// The rule whose condition the kernel decides.
    package let rule: String
    package let signal: Int32
    /// False: it only says that it would have.
    package let acts: Bool

    package init(playbook: String, rule: String, signal: Int32, acts: Bool) {
        (self.playbook, self.rule, self.signal, self.acts) = (playbook, rule, signal, acts)
    }
}

/// All reflexes that are to be armed, with what bounds them.
package struct ReflexSet: Sendable, Equatable {
    /// The kernel has room for no more.
    package static let limit = Int(RIPOSTE_REFLEXES)

    /// At most so many signals within any window of that length.
    package struct Budget: Sendable, Equatable {
        package var actions: Int
        package var per: Duration
        /// When it was spent before the reflexes were armed.
        package var spent: [Timestamp]

        package init(actions: Int, per: Duration, spent: [Timestamp] = []) { (self.actions, self.per, self.spent) = (actions, per, spent) }
    }

    package var reflexes: [ArmedReflex] = []
    /// By playbook.
    package var budgets: [String: Budget] = [:]

    package init() {}
}

/// What became of a reflex, as an event tells it.
package struct ReflexReport: Sendable, Equatable {
    package enum Verdict: UInt8, Sendable { case would = 1, sent, spent, protected, failed }

    package let reflex: ArmedReflex
    package let verdict: Verdict
    /// The call was refused before it was done.
    package let isDenied: Bool
}

/// What of the reflexes that were asked for the kernel has.
package struct Armament: Sendable, Equatable {
    package var armed: [ArmedReflex] = []
    /// Their places still belong to others, of which events may come. Asked for again, they find room.
    package var waiting: [ArmedReflex] = []
    /// Those that these rules leave no room for, and why; asking again changes nothing.
    package var unfit: [ArmedReflex: String] = [:]
    /// The types of calls that they refuse before these are done; elsewhere they act at the end of the call.
    package var refused: [ArmedReflex: [String]] = [:]
    /// The kernel did not take its tables: those before go on, and nothing acts there.
    package var problem: SensorError?

    package init() {}

    /// Whether it is worth asking again.
    package var isUnfinished: Bool { problem != nil || !waiting.isEmpty }
}

/// Which reflex has which place in the kernel's table. What it does there stands in the table, of which there are two: so a change of mode takes no place.
///
/// Events name places, and may be read a while after the table was changed: a place is given to another reflex only when every event of its last one has
/// been read.
struct ReflexSlots {
    private struct Name: Hashable {
        let playbook: String
        let rule: String

        init(_ reflex: ArmedReflex) { (playbook, rule) = (reflex.playbook, reflex.rule) }
    }

    private var places: [ArmedReflex?]
    private var inForce: Set<Name> = []
    /// Out of force, and events of them may come: since the rings were last found empty, and since before that.
    private var replaced: Set<Name> = []
    private var replacedBefore: Set<Name> = []

    init(count: Int) { places = Array(repeating: nil, count: count) }

    /// The place of each, in order; nil where all are taken.
    mutating func arm(_ reflexes: [ArmedReflex]) -> [Int?] {
        let kept = held.union(reflexes.map(Name.init))
        var free = places.indices.filter { place in places[place].map { !kept.contains(Name($0)) } ?? true }[...]
        return reflexes.map { reflex in
            let own = places.firstIndex { $0.map(Name.init) == Name(reflex) }
            guard let place = own ?? free.popFirst() else { return nil }
            places[place] = reflex
            return place
        }
    }

    /// These are in force, and no others.
    mutating func settle(_ reflexes: [ArmedReflex]) {
        let present = Set(reflexes.map(Name.init))
        replaced.formUnion(inForce.subtracting(present))
        inForce = present
    }

    /// The rings were found empty since this was last called. What the kernel began before a change may have been on its way until then, so it takes two.
    mutating func wereRead() {
        (replacedBefore, replaced) = (replaced, [])
    }

    private var held: Set<Name> { inForce.union(replaced).union(replacedBefore) }

    /// Whose places are not given away.
    var playbooks: Set<String> { Set(held.map(\.playbook)) }

    subscript(place: Int) -> ArmedReflex? { places.indices.contains(place) ? places[place] : nil }
}

/// What is left of each budget, as a window that slides: the kernel counts down, and what leaves the window is put back.
///
/// By a clock that nobody sets: a wall clock that jumps would put a whole budget back, or keep it back.
struct ReflexWindow {
    private let per: Duration
    /// When it was used, oldest first.
    private var uses: [ContinuousClock.Instant]
    private(set) var actions: Int
    private var seen: UInt64

    /// `used`: what the kernel's counter stands at; `wall`: what the wall clock shows at `now`. What was spent at a time that is still to come was spent now.
    init(_ budget: ReflexSet.Budget, used: UInt64, at now: ContinuousClock.Instant, wall: Timestamp) {
        (per, actions, seen) = (budget.per, budget.actions, used)
        uses = budget.spent.map { now - max(.zero, .nanoseconds(wall.nanoseconds &- $0.nanoseconds)) }.sorted()
    }

    /// Whether this is the window of such a budget.
    func holds(_ budget: ReflexSet.Budget) -> Bool { actions == budget.actions && per == budget.per }

    /// Takes another size, and keeps what was used.
    mutating func change(to budget: ReflexSet.Budget) { self = ReflexWindow(budget, uses, seen) }

    private init(_ budget: ReflexSet.Budget, _ uses: [ContinuousClock.Instant], _ seen: UInt64) {
        (per, actions, self.uses, self.seen) = (budget.per, budget.actions, uses, seen)
    }

    /// What may be spent at this moment.
    mutating func left(at now: ContinuousClock.Instant) -> Int64 {
        expire(now)
        return rest
    }

    /// Takes note of what the kernel has used; gives how much has to be put back.
    mutating func turn(used: UInt64, at now: ContinuousClock.Instant) -> Int64 {
        if used > seen { uses += Array(repeating: now, count: Int(clamping: min(used - seen, 100_000))) }
        seen = used
        let before = rest
        expire(now)
        return rest - before
    }

    private var rest: Int64 { Int64(max(0, actions - uses.count)) }

    private mutating func expire(_ now: ContinuousClock.Instant) { uses.removeAll { now - $0 >= per } }
}
