internal import RiposteRules

/// Which reflexes refuse which calls before they are done, and when the kernel has to be asked for that.
struct Refusals {
    private var calls: [(type: String, before: KernelFilter.Before, reflex: ArmedReflex)] = []

    init() {}

    /// `filters`: by type of call; their clauses name reflexes by place.
    init(_ filters: [(type: String, filter: KernelFilter)], _ reflexes: [ArmedReflex]) {
        for (type, filter) in filters.sorted(by: { $0.type < $1.type }) {
            let before = KernelFilter.Before(type: type)
            guard !before.isEmpty else { continue }
            for (place, reflex) in reflexes.enumerated() where reflex.acts {
                guard filter.before(allOf: place).contains(before) else { continue }
                calls.append((type, before, reflex))
            }
        }
    }

    var needed: KernelFilter.Before { calls.reduce([]) { $0.union($1.before) } }

    /// What comes of it where the kernel is asked at these moments.
    func calls(at moments: KernelFilter.Before) -> [ArmedReflex: [String]] {
        var result: [ArmedReflex: [String]] = [:]
        for call in calls where moments.contains(call.before) { result[call.reflex, default: []].append(call.type) }
        return result
    }
}
