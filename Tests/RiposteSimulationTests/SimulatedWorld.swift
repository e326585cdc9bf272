import RiposteCore
import RipostePlaybooks
import Synchronization

/// Containers, processes and addresses that can be marked (paused, isolated, blocked) or ended, and that answer late, wrongly or not at all.
final class SimulatedWorld: Sendable {
    struct State {
        /// By target and mark, who put it there: an engine's deed, or somebody else.
        var marks: [String: Set<String>] = [:]
        var foreignMarks: [String: Set<String>] = [:]
        var ended: Set<String> = []
        var deeds = 0
        var busy: [String: Int] = [:]
        /// Of a hundred answers so many are a failure, so many are late.
        var failures = 0
        var delays = 0
        /// Of the late ones so many do not even end when they are called off.
        var stuck = 0
        /// Targets that a guard keeps, and since when.
        var guarded: [String: Duration] = [:]
        var problems: [String] = []
    }

    private let state = Mutex(State())
    private let machine: SimulatedMachine

    init(machine: SimulatedMachine) { self.machine = machine }

    var problem: String? { state.withLock(\.problems.first) }
    var snapshot: State { state.withLock(\.self) }
    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }

    /// The last one is the canary's.
    static let containers = (0..<7).map { String(repeating: "\($0)a", count: 32) }
    static let processes = (0..<6).map { ProcessIdentity(pid: 1000 + Int32($0), startTicks: 77, bootID: "boot", startedAt: Timestamp(nanoseconds: 0), name: ByteText("p\($0)")) }
    static let addresses = (0..<6).map { "192.0.2.\($0 + 1)" }
    /// Those that the built-in guard protects.
    static let protected: Set<String> = ["container:\(containers[5])", "process:1005@77", "address:192.0.2.6"]
    /// What the guards of the configuration say: nothing is done to this container, and nothing to this address without a person.
    static let kept = "container:\(containers[4])"
    static let askedAbout = "address:192.0.2.5"

    // MARK: - Answers

    enum Answer: Sendable { case good, fails(FailureClass), failsAfterwards(FailureClass) }

    /// How the world takes the next request: at once or late, well or not.
    func answer() async -> Answer {
        let (failures, delays) = state.withLock { ($0.failures, $0.delays) }
        let (fate, delay, kind) = machine.random { generator in
            (Int.random(in: 0..<100, using: &generator), Int.random(in: 0..<100, using: &generator), Int.random(in: 0..<6, using: &generator))
        }
        if delay < delays {
            let (length, isStuck) = machine.random { generator in
                (Duration.milliseconds(Int.random(in: 1...40_000, using: &generator)), Int.random(in: 0..<100, using: &generator) < state.withLock(\.stuck))
            }
            if isStuck { await machine.sleepStubbornly(length) } else { try? await machine.surroundings.sleep(length) }
        }
        guard fate < failures else { return .good }
        switch kind {
        case 0: return .fails(.busy)
        case 1: return .fails(.unavailable)
        case 2: return .fails(.conflict)
        case 3: return .fails(.denied)
        case 4: return .failsAfterwards(.timeout)
        default: return .failsAfterwards(.unavailable)
        }
    }

    /// Every other time.
    var isFulfilledAfterDeath: Bool { machine.random { Bool.random(using: &$0) } }

    func enter(_ key: String, _ life: Int) {
        state.withLock { state in
            state.busy["\(life) \(key)", default: 0] += 1
            if state.busy["\(life) \(key)", default: 0] > 1 { state.problems.append("two deeds at once on \(key)") }
        }
    }

    func leave(_ key: String, _ life: Int) { state.withLock { $0.busy["\(life) \(key)", default: 1] -= 1 } }

    func isGuarded(_ key: String) -> Bool { state.withLock { $0.guarded[key] != nil } }
    func guardedFor(_ key: String) -> Duration? { state.withLock(\.guarded)[key].map { machine.uptime - $0 } }
    func isEnded(_ key: String) -> Bool { state.withLock { $0.ended.contains(key) } }
    func isMarked(_ key: String, _ mark: String) -> Bool {
        state.withLock { $0.marks[key]?.contains(mark) ?? false || $0.foreignMarks[key]?.contains(mark) ?? false }
    }
}

/// One kind of deed in the simulated world.
struct SimulatedAction: Action {
    enum Effect: Sendable { case mark(String), unmark(String), end }

    let description: ActionDescription
    let effect: Effect
    let world: SimulatedWorld
    /// Which incarnation of the agent does it, and whether that one is still alive.
    let life: Int
    let isAlive: @Sendable () -> Bool
    /// Told of each deed before it takes place.
    let watch: @Sendable (Plan) -> Void

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        try live("look at the target")
        if case .fails(let failure) = await world.answer() { throw ActionError(failure, "look at the target", "the simulation says no") }
        try live("look at the target")
        let target = try target(of: request.claim)
        guard !world.isEnded(target.key) else { throw .gone("look at \(target.key)", "it has ended") }
        let alreadySo: Bool
        switch effect {
        case .mark(let mark): alreadySo = world.isMarked(target.key, mark)
        case .unmark(let mark): alreadySo = !world.isMarked(target.key, mark)
        case .end: alreadySo = false
        }
        return Plan(
            action: description.name, target: target, parameters: request.parameters, alreadySo: alreadySo ? "it is so" : nil, summary: "\(description.name) \(target.key)",
            inverse: description.inverse)
    }

    func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        try live("do it")
        watch(plan)
        world.enter(plan.target.key, life)
        defer { world.leave(plan.target.key, life) }
        let answer = await world.answer()
        guard isAlive() else {
            // What was asked of the world may be done all the same.
            if world.isFulfilledAfterDeath { bringAbout(plan) }
            throw ActionError(.unavailable, "do it", "the process has died")
        }
        if case .fails(let failure) = answer { throw ActionError(failure, "do it", "the simulation says no") }
        let isEnded = world.isEnded(plan.target.key)
        guard !isEnded else { throw .gone("do it", "it has ended") }
        let wasSo = bringAbout(plan)
        if case .failsAfterwards(let failure) = answer { throw ActionError(failure, "do it", "the answer was lost") }
        return Performance(wasSo ? .already : .done, message: "done", undoToken: description.inverse.map { ["inverse": .text($0.rawValue)] })
    }

    /// True where it was so before.
    @discardableResult
    private func bringAbout(_ plan: Plan) -> Bool {
        guard !world.isEnded(plan.target.key) else { return false }
        var wasSo = false
        world.change { state in
            state.deeds += 1
            switch effect {
            case .mark(let mark):
                wasSo = state.foreignMarks[plan.target.key]?.contains(mark) ?? false || !state.marks[plan.target.key, default: []].insert(mark).inserted
            case .unmark(let mark):
                let (own, foreign) = (state.marks[plan.target.key]?.remove(mark), state.foreignMarks[plan.target.key]?.remove(mark))
                wasSo = own == nil && foreign == nil
            case .end:
                state.ended.insert(plan.target.key)
                (state.marks[plan.target.key], state.foreignMarks[plan.target.key]) = (nil, nil)
            }
        }
        return wasSo
    }

    /// Blocks and isolations bear our mark; a pause is like anybody's.
    func marks() async throws(ActionError) -> [Target]? {
        guard case .mark(let mark) = effect, description.needs.contains("CAP_NET_ADMIN") else { return nil }
        try live("look at all")
        if case .fails(let failure) = await world.answer() { throw ActionError(failure, "look at all", "the simulation says no") }
        return world.snapshot.marks.filter { $0.value.contains(mark) }.keys.sorted().compactMap { key in
            SimulatedWorld.containers.first { key == "container:\($0)" }.map { .container(ContainerIdentity(id: $0, name: "c", image: "i")) }
                ?? SimulatedWorld.addresses.first { key == "address:\($0)" }.flatMap { IPNetwork($0) }.map { .address($0) }
        }
    }

    private func live(_ doing: String) throws(ActionError) { if !isAlive() { throw ActionError(.unavailable, doing, "the process has died") } }

    private func target(of claim: TargetClaim) throws(ActionError) -> Target {
        switch claim {
        case .proved(let target): return target
        case .container(let claim) where SimulatedWorld.containers.contains(claim.reference):
            return .container(ContainerIdentity(id: claim.reference, name: claim.reference == SimulatedWorld.containers[4] ? "kept" : "c", image: "i"))
        case .process(let claim):
            guard let identity = SimulatedWorld.processes.first(where: { $0.pid == claim.pid }) else { throw .gone("find it", "no such process") }
            return .process(identity)
        case .address(let network): return .address(network)
        default: throw ActionError(.unresolved, "find it", "it is not of this world")
        }
    }
}

extension SimulatedWorld {
    /// Real actions' names and classes, with this world's effects.
    func catalogue(life: Int, isAlive: @escaping @Sendable () -> Bool, watch: @escaping @Sendable (Plan) -> Void) -> ActionCatalogue {
        func action(
            _ name: ActionName, _ target: ActionDescription.TargetKind, _ impact: ActionDescription.Impact, _ effect: SimulatedAction.Effect, inverse: ActionName? = nil,
            _ parameters: [Parameter] = [], needs: [String] = []
        ) -> SimulatedAction {
            SimulatedAction(
                description: ActionDescription(name: name, summary: "A deed.", target: target, impact: impact, parameters: parameters, inverse: inverse, needs: needs),
                effect: effect,
                world: self, life: life, isAlive: isAlive, watch: watch)
        }
        let address = Parameter("address", .network, isRequired: true, summary: "The address.")
        return ActionCatalogue([
            action("container.pause", .container, .reversible, .mark("paused"), inverse: "container.unpause"),
            action("container.unpause", .container, .reversible, .unmark("paused")),
            action("container.isolate", .container, .reversible, .mark("isolated"), inverse: "container.release", needs: ["CAP_NET_ADMIN"]),
            action("container.release", .container, .reversible, .unmark("isolated")), action("container.kill", .container, .destroys, .end),
            action("process.suspend", .process, .reversible, .mark("stopped"), inverse: "process.resume"), action("process.resume", .process, .reversible, .unmark("stopped")),
            action("process.kill", .process, .destroys, .end),
            action("network.block", .address, .reversible, .mark("blocked"), inverse: "network.unblock", [address], needs: ["CAP_NET_ADMIN"]),
            action("network.unblock", .address, .reversible, .unmark("blocked"), [address]),
        ])
    }

    /// The guards in force: one that is built in, and those of a configuration.
    var guards: [any Guard] {
        var kept = GuardRule(name: "kept", place: "simulation")
        kept.containerNames = ["kept"]
        var asked = GuardRule(name: "asked", place: "simulation")
        asked.addresses = IPNetwork("192.0.2.5").map { [$0] } ?? []
        asked.actions = ["network.block"]
        asked.answer = .ask
        return [ProtectionGuard(world: self), ConfiguredGuard(kept, world: SimulatedFacts(world: self)), ConfiguredGuard(asked, world: SimulatedFacts(world: self))]
    }

    static let releases: Set<String> = ["container.unpause", "container.release", "process.resume", "network.unblock"]
    static let destroying: Set<String> = ["container.kill", "process.kill"]
}

/// Protects what must never be hit, and what for a while is not to be.
private struct ProtectionGuard: Guard {
    let name = "simulated.protection"
    let world: SimulatedWorld

    func answer(to question: GuardQuestion) async -> GuardAnswer? {
        let key = question.plan.target.key
        guard SimulatedWorld.protected.contains(key) || world.isGuarded(key) && !question.isRelease else { return nil }
        return GuardAnswer(name: name, verdict: .refuse, reason: "it is protected")
    }
}

private struct SimulatedFacts: TargetFacts {
    let world: SimulatedWorld

    func facts(of plan: Plan, _ needs: GuardNeeds) async throws(ActionError) -> GuardFacts {
        if case .fails(let failure) = await world.answer() { throw ActionError(failure, "look at \(plan.target.key)", "the simulation does not say") }
        var subject = GuardFacts.Subject()
        switch plan.target {
        case .container(let container): subject.container = .known(.init(id: container.id, name: container.name, image: "i"))
        case .address(let address): subject.address = address
        default: break
        }
        return GuardFacts([subject])
    }
}
