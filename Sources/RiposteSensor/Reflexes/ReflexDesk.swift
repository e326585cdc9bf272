internal import CRiposte
internal import RiposteCore

/// The sensor's side of reflexes: their places in the kernel's table, and their budgets.
struct ReflexDesk {
    private let programs: KernelPrograms
    private var slots = ReflexSlots(count: Int(RIPOSTE_REFLEXES))
    /// By playbook, its place among the kernel's budgets, which it keeps.
    private var places: [String: Int] = [:]
    private var windows: [Int: ReflexWindow] = [:]
    private var unrecordedBefore: [String: UInt64] = [:]

    init(_ programs: KernelPrograms) { self.programs = programs }

    /// Gives each its place and fills the budgets; what a playbook has spent already stays spent.
    mutating func arm(_ set: ReflexSet) throws(SensorError) -> [(slot: Int, reflex: ArmedReflex, budget: Int)] {
        guard let armed = slots.arm(set.reflexes) else {
            throw SensorError("there is room for \(RIPOSTE_REFLEXES) reflexes in the kernel, old and new together", remedy: "arm fewer, or change them in two steps")
        }
        var result: [(slot: Int, reflex: ArmedReflex, budget: Int)] = []
        for (slot, reflex) in zip(armed, set.reflexes) {
            guard let budget = set.budgets[reflex.playbook] else { throw SensorError("the reflex of playbook \(reflex.playbook) has no budget") }
            result.append((slot, reflex, try place(of: reflex.playbook, budget)))
        }
        return result
    }

    private mutating func place(of playbook: String, _ budget: ReflexSet.Budget) throws(SensorError) -> Int {
        let now = Timestamp.now()
        if let place = places[playbook] {
            turn(at: now)
            if windows[place]?.holds(budget) != true {
                windows[place]?.change(to: budget)
                let left = windows[place]?.left(at: now) ?? 0
                riposte_budget_set(programs.budgets + place, left)
            }
            return place
        }
        let place = places.count
        guard place < Int(RIPOSTE_BUDGETS) else { throw SensorError("there is room for \(RIPOSTE_BUDGETS) playbooks with reflexes") }
        var window = ReflexWindow(budget, used: riposte_budget_used(programs.budgets + place))
        riposte_budget_set(programs.budgets + place, window.left(at: now))
        (places[playbook], windows[place]) = (place, window)
        return place
    }

    /// Puts back what has left the windows.
    mutating func turn(at now: Timestamp) {
        for place in windows.keys {
            let used = riposte_budget_used(programs.budgets + place)
            guard let back = windows[place]?.turn(used: used, at: now), back > 0 else { continue }
            riposte_budget_add(programs.budgets + place, back)
        }
    }

    /// By playbook, how many signals were sent since the last call of which no event tells.
    mutating func takeUnrecorded() -> [String: UInt64] {
        let present = places.mapValues { riposte_budget_unrecorded(programs.budgets + $0) }
        defer { unrecordedBefore = present }
        return present.reduce(into: [:]) { result, entry in
            let count = entry.value &- (unrecordedBefore[entry.key] ?? 0)
            if count > 0 { result[entry.key] = count }
        }
    }

    /// What an event says of a reflex; nil where its place is unknown.
    func report(_ record: SensorRecord) -> ReflexReport? {
        let header = record.header
        guard let reflex = slots[Int(header.pointee.reflex) - 1], let verdict = ReflexReport.Verdict(rawValue: header.pointee.reflex_outcome) else { return nil }
        return ReflexReport(reflex: reflex, verdict: verdict)
    }
}
