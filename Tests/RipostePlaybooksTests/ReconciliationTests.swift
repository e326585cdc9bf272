import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
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
