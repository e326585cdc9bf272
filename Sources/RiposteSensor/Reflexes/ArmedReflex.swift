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
}

/// Which reflex has which place in the kernel's table. Events name places, and may be read a while after the table was changed: so a place is given
/// to another reflex only when its last one was armed neither now nor before.
struct ReflexSlots {
    private var places: [ArmedReflex?]
    private var present: Set<ArmedReflex> = []

    init(count: Int) { places = Array(repeating: nil, count: count) }

    /// The places of these, in order; nil where there is no room for all.
    mutating func arm(_ reflexes: [ArmedReflex]) -> [Int]? {
        let kept = present.union(reflexes)
        var free = places.indices.filter { place in places[place].map { !kept.contains($0) } ?? true }[...]
        var result: [Int] = []
        var changed = places
        for reflex in reflexes {
            if let place = changed.firstIndex(of: reflex) {
                result.append(place)
            } else {
                guard let place = free.popFirst() else { return nil }
                changed[place] = reflex
                result.append(place)
            }
        }
        (places, present) = (changed, Set(reflexes))
        return result
    }

    subscript(place: Int) -> ArmedReflex? { places.indices.contains(place) ? places[place] : nil }
}

/// What is left of each budget, as a window that slides: the kernel counts down, and what leaves the window is put back.
struct ReflexWindow {
    private let per: Int64
    /// When it was used, in nanoseconds, oldest first.
    private var uses: [Int64]
    private(set) var actions: Int
    private var seen: UInt64

    /// `used`: what the kernel's counter stands at.
    init(_ budget: ReflexSet.Budget, used: UInt64) {
        (per, actions, seen) = (budget.per.wholeNanoseconds, budget.actions, used)
        uses = budget.spent.map(\.nanoseconds).sorted()
    }

    /// Whether this is the window of such a budget.
    func holds(_ budget: ReflexSet.Budget) -> Bool { actions == budget.actions && per == budget.per.wholeNanoseconds }

    /// Takes another size, and keeps what was used.
    mutating func change(to budget: ReflexSet.Budget) { self = ReflexWindow(budget, uses, seen) }

    private init(_ budget: ReflexSet.Budget, _ uses: [Int64], _ seen: UInt64) { (per, actions, self.uses, self.seen) = (budget.per.wholeNanoseconds, budget.actions, uses, seen) }

    /// What may be spent at this moment.
    mutating func left(at now: Timestamp) -> Int64 {
        expire(now)
        return Int64(max(0, actions - uses.count))
    }

    /// Takes note of what the kernel has used; gives how much has to be put back.
    mutating func turn(used: UInt64, at now: Timestamp) -> Int64 {
        if used > seen { uses += Array(repeating: now.nanoseconds, count: Int(clamping: min(used - seen, 100_000))) }
        seen = used
        return Int64(expire(now))
    }

    /// A clock that was set back must not disarm for longer than a window.
    @discardableResult
    private mutating func expire(_ now: Timestamp) -> Int {
        let before = uses.count
        uses.removeAll { now.nanoseconds - $0 >= per || $0 - now.nanoseconds > per }
        return before - uses.count
    }
}
