internal import RiposteCore

/// How far the run of a playbook's steps has come, and what comes next: which steps begin, which are passed over and why, what is taken back.
///
/// A plain value that is told how steps ended: no clock, no I/O. The same endings give the same moves, so after a restart the endings on record lead
/// to where the run was, and nothing is done again.
struct RunProgress {
    enum Move: Equatable {
        /// These begin, in this order; those after the first do not wait for it. All of them are settled before the next move.
        case begin([Start])
        /// This step is not done, and its record says why.
        case skip(step: String, cause: String)
        /// These actions of the run are taken back, in this order.
        case takeBack([Identifier], cause: String)
        /// The run rests until the step is answered for.
        case suspend(step: String)
        /// Nil: all steps came to their turn.
        case end(message: String?)
    }

    struct Start: Equatable {
        var step: String
        /// It needs a step that was only planned, so it can only be planned itself.
        var isSupposed = false
    }

    /// A step, or a block of steps that run together.
    private struct Stage {
        var name: String
        var members: [Step]
        var isBlock: Bool
    }

    private let stages: [Stage]
    /// Of steps, and of blocks that have ended.
    private(set) var facts: [String: StepFacts]
    private var position = 0
    /// Why the rest is passed over.
    private var ending: String?
    /// Stages before this one are passed over.
    private var jump: (to: Int, cause: String)?

    /// `settled` are the steps that ended before a restart.
    init(_ steps: [Step], settled: [String: StepFacts] = [:]) {
        facts = settled
        stages = steps.reduce(into: []) { stages, step in
            if let block = step.block, stages.last?.isBlock == true, stages.last?.name == block.name {
                stages[stages.count - 1].members.append(step)
            } else {
                stages.append(Stage(name: step.block?.name ?? step.name, members: [step], isBlock: step.block != nil))
            }
        }
    }

    mutating func settle(_ step: String, _ facts: StepFacts) { self.facts[step] = facts }

    mutating func next() -> Move {
        while position < stages.count {
            let stage = stages[position]
            if let move = passOver(stage) ?? begin(stage) ?? suspend(stage) { return move }
            if let move = conclude(stage) { return move }
        }
        return .end(message: ending)
    }

    // MARK: - One stage

    /// Where the run has ended, or goes on further below, the stage's steps are skipped one by one.
    private func passOver(_ stage: Stage) -> Move? {
        let isJumpedOver = jump.map { position < $0.to } ?? false
        guard let cause = ending ?? (isJumpedOver ? jump?.cause : nil) else { return nil }
        return stage.members.first { facts[$0.name] == nil }.map { .skip(step: $0.name, cause: cause) }
    }

    private func begin(_ stage: Stage) -> Move? {
        let open = stage.members.filter { facts[$0.name] == nil }
        for step in open { if let cause = missing(step) { return .skip(step: step.name, cause: cause) } }
        guard !open.isEmpty else { return nil }
        // What can be taken back begins first; it buys time, and costs the others none.
        let ordered = open.filter { $0.impact <= .reversible } + open.filter { $0.impact > .reversible }
        return .begin(ordered.map { Start(step: $0.name, isSupposed: needs(of: $0).contains { facts[$0]?.outcome == .planned }) })
    }

    private func needs(of step: Step) -> [String] { (step.block?.needs ?? []) + step.needs }

    /// The first need that is not met. What was planned counts: whoever only looks shall see what would follow.
    private func missing(_ step: Step) -> String? {
        for name in needs(of: step) {
            switch facts[name]?.outcome {
            case .done, .already, .planned: continue
            case let outcome?: return "it needs step \(name), which ended \(outcome.rawValue)"
            case nil: return "it needs step \(name), which has not ended"
            }
        }
        return nil
    }

    private func suspend(_ stage: Stage) -> Move? {
        guard ending == nil else { return nil }
        return stage.members.first { facts[$0.name]?.outcome == .pending }.map { .suspend(step: $0.name) }
    }

    /// What follows from how the stage ended.
    private mutating func conclude(_ stage: Stage) -> Move? {
        let isPassedOver = ending != nil || (jump.map { position < $0.to } ?? false)
        position += 1
        if stage.isBlock, let worst = StepFacts(worstOf: stage.members.compactMap { facts[$0.name] }) { facts[stage.name] = worst }
        guard !isPassedOver else { return nil }
        let failed = stage.members.filter { facts[$0.name]?.outcome.isFailure ?? false }
        // Of several failures the one whose answer goes furthest, and of equal ones the first.
        guard let gravest = failed.map(\.onFailure.reach).max(), let step = failed.first(where: { $0.onFailure.reach == gravest }) else { return nil }
        switch step.onFailure {
        case .continue: return nil
        case .stop: ending = "stopped at step \(step.name)"
        case .goto(let name):
            guard let target = stages.firstIndex(where: { $0.name == name }), target >= position else {
                ending = "stopped at step \(step.name), which goes on at a step that is not there"
                return nil
            }
            jump = (target, "step \(step.name) ended \(facts[step.name]?.outcome.rawValue ?? ""), and the run went on at step \(name)")
        case .undo:
            ending = "taken back after step \(step.name)"
            let done = stages[..<position].flatMap(\.members).compactMap { facts[$0.name]?.action }
            return .takeBack(done.reversed(), cause: "step \(step.name) ended \(facts[step.name]?.outcome.rawValue ?? "")")
        }
        return nil
    }
}

extension Outcome {
    /// `on_failure` has a say. An approval that nobody gave in time is a no.
    fileprivate var isFailure: Bool { self == .failed || self == .refused || self == .expired }

    /// Of several steps together, from bad to good.
    fileprivate static let fromWorst: [Outcome] = [.failed, .refused, .expired, .pending, .gone, .undone, .planned, .already, .done, .skipped]
}

extension StepFacts {
    /// Of steps that ran together: the worst outcome of those that were not skipped, confirmed if all that did something are.
    fileprivate init?(worstOf all: [StepFacts]) {
        guard let worst = Outcome.fromWorst.first(where: { outcome in all.contains { $0.outcome == outcome } }) else { return nil }
        let confirmed = all.compactMap(\.isConfirmed)
        self.init(
            worst, failure: all.first { $0.outcome == worst }?.failure, isConfirmed: confirmed.isEmpty ? nil : confirmed.allSatisfy(\.self))
    }
}

extension Step.OnFailure {
    /// How much of the run an answer to a failure takes away.
    fileprivate var reach: Int {
        switch self {
        case .continue: 0
        case .goto: 1
        case .stop: 2
        case .undo: 3
        }
    }
}
