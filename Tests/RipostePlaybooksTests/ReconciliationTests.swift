import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Synchronization
import Testing

private let one = Bench.one
private let ann = AuditRecord.Actor(.person, name: "ann", uid: 1000)
private let isolate = "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.isolate, undo: { after: 1h } }]\n"

@Suite("Reconciliation")
struct ReconciliationTests {
    /// `container.isolate` changes packets' ways, `container.pause` does not.
    private static func catalogue(_ world: RecordingWorld) -> ActionCatalogue {
        ActionCatalogue([
            RecordingAction("container.pause", world: world, inverse: "container.unpause"), RecordingAction("container.unpause", world: world, takesAway: true),
            RecordingAction("container.isolate", world: world, inverse: "container.release", needs: ["CAP_NET_ADMIN"]),
            RecordingAction("container.release", world: world, takesAway: true, needs: ["CAP_NET_ADMIN"]),
        ])
    }

    private static func bench(
        _ playbooks: String = isolate, mode: Mode = .enforce, state: EngineState = EngineState(), clock: HandClock = HandClock(), world: RecordingWorld = RecordingWorld(),
        _ change: (inout ReconciliationSettings) -> Void = { _ in }
    ) throws -> Bench {
        try Bench(playbooks, mode: mode, state: state, clock: clock, world: world, catalogue: catalogue(world)) { configuration in
            configuration.reconciliation.every = .seconds(60)
            change(&configuration.reconciliation)
        }
    }

    private static func drifts(_ bench: Bench) -> [String] {
        bench.log.records.filter { $0.kind == .drift }.compactMap { $0.detail["state"]?.string?.repaired }
    }

    @Test("what somebody else took away is told once, put right, and taken back in its time")
    func repairs() async throws {
        let bench = try Self.bench()
        let id = try await bench.respond(one)[0].id
        await bench.engine.reconcile()
        #expect(Self.drifts(bench).isEmpty)
        bench.world.unmark(one)
        await bench.engine.reconcile()
        #expect(bench.world.marks == ["container:\(one)"] && Self.drifts(bench) == ["found"] && bench.engine.drifts.isEmpty)
        let repair = try #require(bench.log.records.last { $0.kind == .outcome })
        #expect(repair.outcome == .done && repair.actor == AuditRecord.Actor(.agent, name: "reconcile") && repair.detail["restores"]?["action"] == .text("\(id)"))
        // The same act stands: nothing more to take back, and nothing less.
        #expect(bench.engine.snapshot.openUndos.keys.sorted() == [id] && bench.state == bench.engine.snapshot)
        await bench.pass(.seconds(3600))
        #expect(bench.world.marks.isEmpty && bench.engine.snapshot.openUndos.isEmpty)
    }

    @Test("by policy it is only told, once for each change; when it is right again that is told too")
    func reports() async throws {
        let bench = try Self.bench { $0.network = .report }
        _ = try await bench.respond(one)
        bench.world.unmark(one)
        for _ in 0..<3 { await bench.engine.reconcile() }
        #expect(Self.drifts(bench) == ["found"] && bench.world.marks.isEmpty && bench.engine.drifts.count == 1)
        try await bench.world.mark(one)
        await bench.engine.reconcile()
        #expect(Self.drifts(bench) == ["found", "over"] && bench.engine.drifts.isEmpty && bench.state == bench.engine.snapshot)
    }

    @Test("who undoes us again and again is told of, and not fought for ever")
    func fight() async throws {
        let bench = try Self.bench()
        _ = try await bench.respond(one)
        for _ in 0..<5 {
            bench.world.unmark(one)
            await bench.engine.reconcile()
            bench.clock.advance(by: .seconds(10))
        }
        #expect(Self.drifts(bench) == ["found", "found", "found", "found", "contested"])
        #expect(bench.world.performed.count { $0.hasPrefix("container.isolate") } == 4 && bench.world.marks.isEmpty)
        // After the window it is tried again.
        bench.clock.advance(by: .seconds(600))
        await bench.engine.reconcile()
        #expect(!bench.world.marks.isEmpty)
    }

    @Test("who is started anew gets it again each time: nobody undoes us, and whoever lets it start is not rid of us after three times")
    func restarted() async throws {
        let bench = try Self.bench()
        _ = try await bench.respond(one)
        for _ in 0..<6 {
            bench.world.restart(one)
            await bench.engine.reconcile()
            #expect(bench.world.marks == ["container:\(one)"])
            bench.clock.advance(by: .seconds(10))
        }
        #expect(Self.drifts(bench) == Array(repeating: "found", count: 6) && bench.log.records.last { $0.kind == .drift }?.detail["finding"] == "restarted")
        // Within one run it counts as before, and the next run begins anew.
        for _ in 0..<4 {
            bench.world.unmark(one)
            await bench.engine.reconcile()
        }
        #expect(Self.drifts(bench).last == "contested" && bench.world.marks.isEmpty)
        bench.world.restart(one)
        await bench.engine.reconcile()
        #expect(!bench.world.marks.isEmpty && bench.state == bench.engine.snapshot)
    }

    @Test("what cannot be put right after a new start is not tried for ever, and is tried again after the next one")
    func restartedInVain() async throws {
        let bench = try Self.bench()
        _ = try await bench.respond(one)
        bench.world.restart(one)
        bench.world.fail(with: ActionError(.denied, "isolate", "no"))
        for _ in 0..<5 { await bench.engine.reconcile() }
        #expect(Self.drifts(bench) == ["found", "contested"])
        #expect(bench.log.records.count { $0.kind == .outcome && $0.outcome == .failed } == 3)
        bench.world.restart(one)
        bench.world.fail(with: nil)
        await bench.engine.reconcile()
        #expect(!bench.world.marks.isEmpty && bench.engine.drifts.isEmpty && bench.state == bench.engine.snapshot)
    }

    @Test("the agent only looks in mode observe, but what a person ordered stands")
    func modes() async throws {
        let bench = try Self.bench()
        _ = try await bench.respond(one)
        let careful = try Self.bench(mode: .observe, state: bench.state, clock: bench.clock, world: bench.world)
        bench.world.unmark(one)
        await careful.engine.reconcile()
        #expect(Self.drifts(careful) == ["found"] && careful.world.marks.isEmpty)
        _ = await careful.engine.carryOut(Order(actor: ann, action: "container.isolate", claim: .container(.init(reference: one)), mode: .enforce))
        careful.world.unmark(one)
        await careful.engine.reconcile()
        #expect(!careful.world.marks.isEmpty)
    }

    @Test("a target that has ended leaves nothing to take back")
    func gone() async throws {
        let bench = try Self.bench()
        let id = try await bench.respond(one)[0].id
        bench.world.end(one)
        await bench.engine.reconcile()
        #expect(bench.engine.snapshot.openUndos.isEmpty)
        let record = try #require(bench.log.records.last { $0.undoes == id })
        #expect(record.outcome == .gone && record.actor?.name == "reconcile")
    }

    @Test("what bears our mark and no record explains is told, and taken away where the policy says so", arguments: [ReconciliationSettings.Policy.report, .repair])
    func orphans(_ policy: ReconciliationSettings.Policy) async throws {
        let bench = try Self.bench { $0.orphans = policy }
        try await bench.world.mark(one)
        for _ in 0..<2 { await bench.engine.reconcile() }
        #expect(bench.log.records.first { $0.kind == .drift }?.detail["finding"] == "orphan")
        #expect(Self.drifts(bench) == (policy == .repair ? ["found", "over"] : ["found"]))
        #expect(bench.world.marks.isEmpty == (policy == .repair))
        #expect(bench.state == bench.engine.snapshot)
    }

    @Test("what is being taken back, or was, is not put right")
    func notAgainstAnUndo() async throws {
        let bench = try Self.bench()
        let id = try await bench.respond(one)[0].id
        _ = await bench.engine.undo(id, actor: ann)
        await bench.engine.reconcile()
        #expect(bench.world.marks.isEmpty && Self.drifts(bench).isEmpty)
        // Somebody else had lifted it before the person did: the person's word counts.
        let again = await bench.engine.carryOut(Order(actor: ann, action: "container.isolate", claim: .container(.init(reference: one)), mode: .enforce))
        bench.world.unmark(one)
        let release = await bench.engine.carryOut(Order(actor: ann, action: "container.release", claim: .container(.init(reference: one)), mode: .enforce))
        #expect(again.outcome == .done && release.outcome == .already && bench.engine.snapshot.openUndos.isEmpty)
        await bench.engine.reconcile()
        #expect(bench.world.marks.isEmpty)
    }

    @Test("a container engine that is silent holds up nobody: the kernel's part is put right meanwhile, again and again, and the look ends")
    func silentEngine() async throws {
        let (world, kernel, gate) = (RecordingWorld(), RecordingWorld(), Gate())
        let clock = HandClock()
        let engine = SilentEngine(RecordingAction("container.isolate", world: world, inverse: "container.release", needs: ["CAP_NET_ADMIN"]), gate)
        let bench = try Bench(
            isolate, clock: clock, world: world,
            catalogue: ActionCatalogue([
                engine, RecordingAction("container.release", world: world, takesAway: true, needs: ["CAP_NET_ADMIN"]),
                KernelBlock(world: kernel),
            ])
        ) { $0.reconciliation.every = .seconds(60) }
        for id in [one, Bench.two] { _ = try await bench.respond(id) }
        #expect(await bench.engine.carryOut(Order(actor: ann, action: "network.block", claim: .host, mode: .enforce)).outcome == .done)
        engine.fallSilent()
        let look = Task { await bench.engine.reconcile() }
        await engine.asked.pass()
        for _ in 0..<3 {
            kernel.unmark(one)
            await bench.engine.reconcile()
            while kernel.marks.isEmpty { await Task.yield() }
        }
        #expect(Self.drifts(bench).allSatisfy { $0 == "found" || $0 == "over" })
        let isOver = Flag()
        Task {
            await look.value
            isOver.set()
        }
        while !isOver.isSet {
            clock.advance(by: .seconds(1))
            await Task.yield()
        }
        #expect(world.marks.count == 2 && bench.engine.snapshot.openUndos.count == 3)
        // The turns at the targets are free: a person's order is not held up.
        #expect(await bench.engine.carryOut(Order(actor: ann, action: "container.release", claim: .container(.init(reference: one)), mode: .enforce)).outcome == .done)
        await gate.open()
    }

    @Test("two acts on one container are both looked at in one turn")
    func sameTarget() async throws {
        let (pauses, isolations) = (RecordingWorld(), RecordingWorld())
        let bench = try Bench(
            "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause }, { action: container.isolate }]\n",
            catalogue: ActionCatalogue([
                Pondering(base: RecordingAction("container.pause", world: pauses, inverse: "container.unpause")),
                RecordingAction("container.unpause", world: pauses, takesAway: true),
                Pondering(base: RecordingAction("container.isolate", world: isolations, inverse: "container.release", needs: ["CAP_NET_ADMIN"])),
                RecordingAction("container.release", world: isolations, takesAway: true, needs: ["CAP_NET_ADMIN"]),
            ])
        ) { $0.reconciliation.every = .seconds(60) }
        #expect(try await bench.respond(one).map(\.outcome) == [.done, .done])
        for world in [pauses, isolations] { world.unmark(one) }
        await bench.engine.reconcile()
        #expect(Self.drifts(bench) == ["found", "found"] && pauses.marks.isEmpty && isolations.marks == ["container:\(one)"])
    }

    @Test("what was let go by hand is no drift any more, which the look at its own kind says, and no other")
    func letGoByHand() async throws {
        let (world, gate) = (RecordingWorld(), Gate())
        let engine = SilentEngine(RecordingAction("container.isolate", world: world, inverse: "container.release", needs: ["CAP_NET_ADMIN"]), gate)
        let bench = try Bench(
            isolate, world: world, catalogue: ActionCatalogue([engine, RecordingAction("container.release", world: world, takesAway: true, needs: ["CAP_NET_ADMIN"])])
        ) { ($0.reconciliation.every, $0.reconciliation.network) = (.seconds(60), .report) }
        for id in [one, Bench.two] { _ = try await bench.respond(id) }
        world.unmark(one)
        await bench.engine.reconcile()
        let release = Order(actor: ann, action: "container.release", claim: .container(.init(reference: one)), mode: .enforce)
        #expect(await bench.engine.carryOut(release).outcome == .already && bench.engine.drifts.count == 1)
        engine.fallSilent()
        let look = Task { await bench.engine.reconcile() }
        await engine.asked.pass()
        #expect(Self.drifts(bench) == ["found"])
        await gate.open()
        await look.value
        #expect(Self.drifts(bench) == ["found", "over"] && bench.engine.drifts.isEmpty)
    }

    @Test("an orphan is not explained by a deed that is only under way at the same target, or by a journal that takes nothing")
    func notExplained() async throws {
        let bench = try Self.bench()
        try await bench.world.mark(one)
        await bench.engine.reconcile()
        #expect(bench.engine.drifts.map(\.finding) == [.orphan])
        var intent = AuditRecord(.intent, at: bench.clock.now, id: .new(at: bench.clock.now), detail: ["plan": ["parameters": [:]]])
        (intent.action, intent.target) = ("container.pause", bench.engine.drifts.first?.target)
        try bench.log.append(intent)
        let next = try Self.bench(state: bench.state, clock: bench.clock, world: bench.world)
        await next.engine.reconcile()
        #expect(next.engine.drifts.map(\.finding) == [.orphan] && next.log.records.isEmpty)
    }

    @Test("a drift is known after a restart, and not told again")
    func restart() async throws {
        let bench = try Self.bench("  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause }]\n")
        _ = try await bench.respond(one)
        bench.world.unmark(one)
        await bench.engine.reconcile()
        let state = try #require(EngineState(json: bench.state.json))
        let next = try Self.bench(state: state, clock: bench.clock, world: bench.world)
        await next.engine.reconcile()
        #expect(next.log.records.isEmpty && next.engine.drifts == bench.engine.drifts && next.engine.drifts.count == 1)
    }
}

/// Set once.
private final class Flag: Sendable {
    private let state = Mutex(false)

    var isSet: Bool { state.withLock(\.self) }
    func set() { state.withLock { $0 = true } }
}

/// Isolates, until the container engine answers no question any more.
private final class SilentEngine: Action {
    let base: RecordingAction
    let gate: Gate
    let asked = Gate()
    private let silent = Flag()

    init(_ base: RecordingAction, _ gate: Gate) { (self.base, self.gate) = (base, gate) }

    var description: ActionDescription { base.description }
    func fallSilent() { silent.set() }

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan { try await base.plan(request) }
    func perform(_ plan: Plan) async throws(ActionError) -> Performance { try await base.perform(plan) }

    func standing(of deed: StandingDeed) async throws(ActionError) -> Standing {
        if silent.isSet {
            await asked.open()
            await gate.pass()
        }
        return try await base.standing(of: deed)
    }

    func marks() async throws(ActionError) -> [Target]? {
        if silent.isSet { await gate.pass() }
        return try await base.marks()
    }
}

/// Takes its time at a look.
private struct Pondering: Action {
    let base: RecordingAction

    var description: ActionDescription { base.description }

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan { try await base.plan(request) }
    func perform(_ plan: Plan) async throws(ActionError) -> Performance { try await base.perform(plan) }
    func marks() async throws(ActionError) -> [Target]? { try await base.marks() }

    func standing(of deed: StandingDeed) async throws(ActionError) -> Standing {
        for _ in 0..<1000 { await Task.yield() }
        return try await base.standing(of: deed)
    }
}

/// What the kernel alone knows of.
private struct KernelBlock: Action {
    let description = ActionDescription(
        name: "network.block", summary: "", target: .host, impact: .reversible, inverse: "network.unblock", needs: ["CAP_NET_ADMIN"])
    let world: RecordingWorld

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        Plan(
            action: description.name, target: .host(machineID: "m"), parameters: request.parameters, alreadySo: world.marks.isEmpty ? nil : "it is so", summary: "block",
            inverse: description.inverse)
    }

    func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        try await world.mark(one)
        return Performance(.done, undoToken: ["block": true])
    }
}
