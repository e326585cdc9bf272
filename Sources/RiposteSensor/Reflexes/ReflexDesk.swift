internal import CRiposte
internal import RiposteCore

/// The sensor's side of reflexes: their places in the kernel's table, and their budgets.
struct ReflexDesk {
    private let programs: KernelPrograms
    private var slots = ReflexSlots(count: Int(RIPOSTE_REFLEXES))
    /// By playbook, its place among the kernel's budgets, which it keeps as long as events of its reflexes may come.
    private var places: [String: Int] = [:]
    private var windows: [Int: ReflexWindow] = [:]
    private var unrecordedBefore: [String: UInt64] = [:]
    /// Of playbooks that have no place any more.
    private var unrecordedOfOthers: [String: UInt64] = [:]
    /// The kernel did not let itself be disarmed but by leaving it nothing to spend.
    private var isEmptied = false

    init(_ programs: KernelPrograms) { self.programs = programs }

    /// Gives each its place and fills the budgets; what a playbook has spent already stays spent. Those for which there is no room are left out.
    mutating func arm(_ set: ReflexSet) throws(SensorError) -> [(slot: Int, reflex: ArmedReflex, budget: Int)] {
        release(allBut: slots.playbooks.union(set.reflexes.map(\.playbook)))
        var result: [(slot: Int, reflex: ArmedReflex, budget: Int)] = []
        for (slot, reflex) in zip(slots.arm(set.reflexes), set.reflexes) {
            guard let budget = set.budgets[reflex.playbook] else { throw SensorError("the reflex of playbook \(reflex.playbook) has no budget") }
            guard let slot, let place = place(of: reflex.playbook, budget) else { continue }
            result.append((slot, reflex, place))
        }
        return result
    }

    /// What ``arm(_:)`` gave is in force.
    mutating func settle(_ reflexes: [ArmedReflex]) {
        slots.settle(reflexes)
        guard isEmptied else { return }
        isEmptied = false
        let now = ContinuousClock.now
        for place in windows.keys { fill(place, at: now) }
    }

    /// Nothing acts from here on, whichever set of tables is in force: the kernel did not take what should be.
    mutating func disarm() {
        if (0..<2 * UInt32(RIPOSTE_REFLEXES)).allSatisfy(silence) { return }
        // Writing to a map takes memory of the kernel's; this takes none.
        isEmptied = true
        for place in 0..<Int(RIPOSTE_BUDGETS) { riposte_budget_set(programs.budgets + place, Self.nothing) }
    }

    /// So little that nothing which was under way makes it a positive number.
    private static let nothing = Int64.min / 2

    private func silence(_ key: UInt32) -> Bool {
        var entry = riposte_reflex()
        guard programs.get(.reflexes, key, into: &entry) else { return false }
        guard entry.acts != 0 else { return true }
        entry.acts = 0
        do throws(SensorError) { try programs.set(.reflexes, key, entry) } catch { return false }
        return true
    }

    /// The rings were found empty.
    mutating func wereRead() { slots.wereRead() }

    private mutating func release(allBut kept: Set<String>) {
        for (playbook, place) in places where !kept.contains(playbook) {
            let count = riposte_budget_unrecorded(programs.budgets + place) &- (unrecordedBefore[playbook] ?? 0)
            if count > 0 { unrecordedOfOthers[playbook, default: 0] += count }
            (places[playbook], windows[place], unrecordedBefore[playbook]) = (nil, nil, nil)
        }
    }

    private mutating func place(of playbook: String, _ budget: ReflexSet.Budget) -> Int? {
        let now = ContinuousClock.now
        if let place = places[playbook] {
            turn(at: now)
            if windows[place]?.holds(budget) != true { change(place, to: budget, at: now) }
            return place
        }
        let taken = Set(places.values)
        guard let place = (0..<Int(RIPOSTE_BUDGETS)).first(where: { !taken.contains($0) }) else { return nil }
        (places[playbook], windows[place]) = (place, ReflexWindow(budget, used: riposte_budget_used(programs.budgets + place), at: now, wall: .now()))
        unrecordedBefore[playbook] = riposte_budget_unrecorded(programs.budgets + place)
        fill(place, at: now)
        return place
    }

    /// Gives or takes the difference: what the kernel spends meanwhile stays spent.
    private mutating func change(_ place: Int, to budget: ReflexSet.Budget, at now: ContinuousClock.Instant) {
        guard let before = windows[place]?.left(at: now) else { return }
        windows[place]?.change(to: budget)
        guard !isEmptied, let after = windows[place]?.left(at: now) else { return }
        riposte_budget_add(programs.budgets + place, after - before)
    }

    private mutating func fill(_ place: Int, at now: ContinuousClock.Instant) {
        guard !isEmptied, let left = windows[place]?.left(at: now) else { return }
        riposte_budget_set(programs.budgets + place, left)
    }

    /// Puts back what has left the windows.
    mutating func turn(at now: ContinuousClock.Instant) {
        for place in windows.keys {
            let used = riposte_budget_used(programs.budgets + place)
            guard let back = windows[place]?.turn(used: used, at: now), back > 0, !isEmptied else { continue }
            riposte_budget_add(programs.budgets + place, back)
        }
    }

    /// By playbook, how many signals were sent since the last call of which no event tells.
    mutating func takeUnrecorded() -> [String: UInt64] {
        var result = unrecordedOfOthers
        unrecordedOfOthers = [:]
        for (playbook, place) in places {
            let present = riposte_budget_unrecorded(programs.budgets + place)
            let count = present &- (unrecordedBefore[playbook] ?? 0)
            unrecordedBefore[playbook] = present
            if count > 0 { result[playbook, default: 0] += count }
        }
        return result
    }

    /// What an event says of a reflex; nil where its place is unknown.
    func report(_ record: SensorRecord) -> ReflexReport? {
        let header = record.header
        guard let reflex = slots[Int(header.pointee.reflex) - 1], let verdict = ReflexReport.Verdict(rawValue: header.pointee.reflex_outcome) else { return nil }
        return ReflexReport(reflex: reflex, verdict: verdict, isDenied: record.has(RIPOSTE_FLAG_DENIED))
    }
}
