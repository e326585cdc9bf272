import RiposteCore
@testable import RipostePlaybooks
import RiposteTestSupport
import Testing

private let one = Bench.one
private let playbook = "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause, undo: { after: 5m } }]\n"

extension Bench {
    fileprivate convenience init(
        _ pack: Pack, state: EngineState = EngineState(), clock: HandClock = HandClock(), configure: (inout Engine.Configuration) -> Void = { _ in }
    ) throws { try self.init(playbook, state: state, clock: clock, catalogue: pack.catalogue, configure: configure) }

    /// The next agent, where this one died right after the record of its last intent.
    fileprivate func diedAfterIntent(_ pack: Pack) throws -> Bench {
        let records = log.records
        let intent = try #require(records.lastIndex { $0.kind == .intent })
        let state = records[...intent].reduce(into: EngineState()) { $0.apply($1) }
        return try Bench(pack, state: #require(EngineState(json: state.json)), clock: clock)
    }
}

@Suite("Deeds that break off between two members of their target")
struct PartialDeedTests {
    let pack = Pack()

    @Test("the agent dies within an undo: whoever is still held is let go by the next one", arguments: [1, 2, 3])
    func undo(_ woken: Int) async throws {
        let first = try Bench(pack)
        _ = try await first.respond(one)
        pack.breakOff("container.unpause", after: woken, .denied)
        await first.pass(.seconds(300))
        let next = try first.diedAfterIntent(pack)
        _ = await next.engine.recover()
        #expect(next.engine.snapshot.openUndos.count == (woken == Pack.size ? 0 : 1))
        #expect(next.log.records.first { $0.kind == .outcome }?.outcome == (woken == Pack.size ? .undone : .failed))
        await next.pass(.zero)
        #expect(pack.stopped().isEmpty && next.engine.snapshot.openUndos.isEmpty)
    }

    struct Death: Sendable, CustomTestStringConvertible {
        let stopped: Int
        let goesOn: Bool
        var hasEnded = false
        var testDescription: String { "\(stopped) stopped\(goesOn ? ", and the step is done again" : "")\(hasEnded ? ", and the first has ended since" : "")" }
    }

    @Test(
        "the agent dies within a deed: whoever is held by it is let go in its time",
        arguments: [
            Death(stopped: 0, goesOn: false), Death(stopped: 1, goesOn: false), Death(stopped: 2, goesOn: false), Death(stopped: 3, goesOn: false), Death(stopped: 0, goesOn: true),
            Death(stopped: 1, goesOn: true), Death(stopped: 2, goesOn: true), Death(stopped: 3, goesOn: true), Death(stopped: 2, goesOn: false, hasEnded: true),
            Death(stopped: 2, goesOn: true, hasEnded: true),
        ])
    func deed(_ death: Death) async throws {
        let first = try Bench(pack)
        pack.breakOff("container.pause", after: death.stopped, .denied)
        _ = try await first.respond(one)
        pack.change { state in
            state.breaksOff = nil
            if death.hasEnded {
                state.ended[one] = [0]
                state.stopped[one]?.remove(0)
            }
        }
        let next = try first.diedAfterIntent(pack)
        _ = await next.engine.recover(resumingRuns: death.goesOn)
        await next.engine.idle()
        #expect(next.engine.snapshot.openUndos.count == (death.stopped == 0 && !death.goesOn ? 0 : 1) && next.engine.snapshot.openIntents.isEmpty)
        if death.goesOn, !death.hasEnded { #expect(pack.stopped().count == Pack.size) }
        await next.pass(.seconds(300))
        #expect(pack.stopped().isEmpty && next.engine.snapshot.openUndos.isEmpty)
    }

    @Test("the cool-down that a deed has begun in which the agent died does not keep its own run from going on; another alert it does")
    func cooldown() async throws {
        let playbook = "  - name: p\n    cooldown: { for: 5m, by: [container.id] }\n    match: { rules: r }\n    steps: [{ action: container.pause, undo: { after: 5m } }]\n"
        let first = try Bench(playbook, catalogue: pack.catalogue)
        pack.breakOff("container.pause", after: 2, .denied)
        _ = try await first.respond(one)
        let records = first.log.records
        let intent = try #require(records.lastIndex { $0.kind == .intent })
        let state = records[...intent].reduce(into: EngineState()) { $0.apply($1) }
        let next = try Bench(playbook, state: #require(EngineState(json: state.json)), clock: first.clock, catalogue: pack.catalogue)
        _ = await next.engine.recover()
        await next.engine.idle()
        #expect(pack.stopped().count == Pack.size && next.takeResults().map(\.outcome) == [.failed, .done] && next.engine.snapshot.openRuns.isEmpty)
        #expect(try await next.respond(one).map(\.outcome) == [.refused])
    }

    @Test("a deed that fails half way is on record as such, and what stands of it is taken back in its time", arguments: [FailureClass.denied, .timeout, .cancelled])
    func fails(_ failure: FailureClass) async throws {
        let bench = try Bench(pack)
        pack.breakOff("container.pause", after: 2, failure, times: 2)
        let result = try await bench.respond(one)[0]
        #expect(result.outcome == .failed && result.undo?.due != nil && result.mayBeInEffect && bench.log.records.last { $0.kind == .outcome }?.failure == .partial)
        #expect(pack.stopped() == [0, 1] && bench.state == bench.engine.snapshot)
        await bench.pass(.seconds(300))
        #expect(pack.stopped().isEmpty && bench.engine.snapshot.openUndos.isEmpty)
    }

    @Test("on_failure: undo takes back what the failing step itself has left, also where that has no time", arguments: [FailureClass.denied, .timeout])
    func takenBackAtOnce(_ failure: FailureClass) async throws {
        let bench = try Bench("  - name: p\n    match: { rules: r }\n    steps: [{ name: a, action: container.pause, on_failure: undo }]\n", catalogue: pack.catalogue)
        pack.breakOff("container.pause", after: 2, failure, times: 2)
        #expect(try await bench.respond(one).map(\.outcome) == [.failed, .undone])
        #expect(pack.stopped().isEmpty && bench.state.openUndos.isEmpty && bench.state == bench.engine.snapshot)
        #expect(bench.log.records.last { $0.kind == .run }?.message == "taken back after step a")
    }

    private static let held = "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.kill, approval: { expires: 10m }, hold: container.pause }]\n"

    @Test("a hold that failed half way, or may have been done, is let go at a no", arguments: [FailureClass.denied, .timeout], [false, true])
    func hold(_ failure: FailureClass, _ restarts: Bool) async throws {
        let catalogue = ActionCatalogue(pack.actions + [FailingAction("container.kill")])
        let first = try Bench(Self.held, catalogue: catalogue)
        pack.breakOff("container.pause", after: 2, failure, times: 2)
        _ = try await first.respond(one)
        #expect(pack.stopped() == [0, 1])
        let next = restarts ? try Bench(Self.held, state: #require(EngineState(json: first.state.json)), clock: first.clock, catalogue: catalogue) : first
        _ = await next.engine.answer(.deny, try next.question().id, by: person("ann", 1))
        await next.engine.idle()
        #expect(pack.stopped().isEmpty && next.engine.snapshot.openUndos.isEmpty && next.engine.snapshot.approvals.looseHolds.isEmpty)
    }

    @Test("the same is asked once more, and the first hold came to nothing: it is held for the second")
    func holdForAnother() async throws {
        let bench = try Bench(Self.held, catalogue: ActionCatalogue(pack.actions + [FailingAction("container.kill")]))
        pack.breakOff("container.pause", after: 0, .denied)
        _ = try await bench.respond(one)
        #expect(pack.stopped().isEmpty)
        for _ in 1...2 { _ = try await bench.respond(one) }
        #expect(try bench.question().members.count == 3 && pack.stopped().count == Pack.size && bench.log.records.count { $0.kind == .intent } == 2)
        _ = await bench.engine.answer(.deny, try bench.question().id, by: person("ann", 1))
        await bench.engine.idle()
        #expect(pack.stopped().isEmpty && bench.engine.snapshot.openUndos.isEmpty && bench.state == bench.engine.snapshot)
    }

    @Test("the undo of what failed half way belongs to its incident, whose story knows what stands")
    func incident() async throws {
        let bench = try Bench(pack) { $0.incidents = IncidentSettings() }
        pack.breakOff("container.pause", after: 2, .denied)
        let id = try await bench.respond(one)[0].id
        let incident = try #require(bench.log.records.first?.incident)
        #expect(IncidentStory(incident, bench.log.records, inForce: Array(bench.state.openUndos.values))?.standing?.map(\.id) == [id])
        await bench.pass(.seconds(300))
        let undo = bench.log.records.filter { $0.undoes == id }
        #expect(undo.map(\.outcome) == [nil, .undone] && undo.allSatisfy { $0.incident == incident })
        #expect(IncidentStory(incident, bench.log.records, inForce: Array(bench.state.openUndos.values))?.standing?.isEmpty == true)
    }

    @Test("an attempt that failed half way and one that did the rest are taken back as one", arguments: [1, 2, 3])
    func triedAgain(_ stopped: Int) async throws {
        let bench = try Bench(pack)
        pack.breakOff("container.pause", after: stopped, .conflict)
        #expect(try await bench.respond(one).map(\.outcome) == [.done])
        #expect(pack.stopped().count == Pack.size)
        await bench.pass(.seconds(300))
        #expect(pack.stopped().isEmpty && bench.engine.snapshot.openUndos.isEmpty)
    }

    @Test("one that somebody else let go is held again: all are let go in their time")
    func repaired() async throws {
        let bench = try Bench(pack) { $0.reconciliation.others = .repair }
        _ = try await bench.respond(one)
        pack.change { $0.stopped[one] = [0, 2] }
        await bench.engine.reconcile()
        #expect(pack.stopped().count == Pack.size && bench.state == bench.engine.snapshot)
        await bench.pass(.seconds(300))
        #expect(pack.stopped().isEmpty && bench.engine.snapshot.openUndos.isEmpty)
    }
}
