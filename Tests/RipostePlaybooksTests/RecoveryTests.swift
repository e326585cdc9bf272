import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Synchronization
import Testing

@Suite("what becomes of a run after the agent ended in it")
struct RecoveryTests {
    private let one = Bench.one
    private static let before = """
          - name: p
            match: { rules: r }
            steps: [{ name: hold, action: container.pause, undo: { after: 1h } }, { name: end, action: container.kill }]

        """

    struct Change: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let playbook: String
        /// In the words of the record; nil: the run goes on.
        let why: String?

        init(_ name: String, _ from: String = "", _ to: String = "", why: String?) {
            (testDescription, self.why) = (name, why)
            playbook = from.isEmpty ? RecoveryTests.before : RecoveryTests.before.replacing(from, with: to)
        }
    }

    static let changes = [
        Change("the same", why: nil),
        Change("another match", "rules: r", "rules: other", why: "playbook p was changed"),
        Change("a step has another name", "name: hold", "name: freeze", why: "playbook p was changed"),
        Change("another deed", "container.kill", "container.unpause", why: "playbook p was changed"),
        Change("switched off", "- name: p", "- name: p\n    enabled: false", why: "playbook p is switched off"),
        Change("another name", "name: p", "name: q", why: "playbook p is not in force any more"),
    ]

    @Test("it goes on only with the very playbook that took the alert; else it is closed, and its record tells what stands", arguments: changes)
    func changedPlaybook(_ change: Change) async throws {
        let whole = try Bench(Self.before)
        _ = try await whole.respond(one)
        let cut = try #require(whole.log.records.firstIndex { $0.kind == .outcome && $0.step == "hold" })
        let next = try next(after: whole.log.records[...cut], change.playbook)
        let recovery = await next.engine.recover()
        await next.engine.idle()
        #expect(next.world.performed == (change.why == nil ? ["container.kill container:\(one)"] : []))
        #expect(recovery.resumedRuns == (change.why == nil ? 1 : 0) && recovery.droppedRuns == (change.why == nil ? 0 : 1))
        let ending = try #require(next.log.records.last { $0.kind == .run })
        #expect(next.engine.snapshot.openRuns.isEmpty)
        guard let why = change.why else { return }
        let words = try #require(ending.message)
        #expect(words.hasPrefix("not carried on: \(why)") && words.contains("in force stays container.pause of") && ending.alert != nil && ending.playbook == "p")
    }

    @Test("an alert that does not say which playbook took it, as in journals of before, is answered by none")
    func recordOfBefore() async throws {
        let whole = try Bench(Self.before)
        _ = try await whole.respond(one)
        var records = whole.log.records.prefix(1)
        let runs = try #require(records[0].detail["runs"]?.array).map { run in JSON.object(JSONObject((run.object ?? JSONObject()).members.filter { $0.key != "digest" })) }
        records[0].detail = JSONObject(records[0].detail.members.map { .init(key: $0.key, value: $0.key == "runs" ? .array(runs) : $0.value) })
        let next = try next(after: records, Self.before)
        #expect(await next.engine.recover().droppedRuns == 1)
        #expect(next.world.performed.isEmpty && next.log.records.last?.message?.contains("does not say which playbook") == true)
    }

    // MARK: - A world that is silent

    private static let held = "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause, undo: { after: 3s } }]\n"

    @Test("whoever is silent holds up neither the start nor what is due; what he says in the end is put on record, and the run goes on")
    func silence() async throws {
        let gate = Gate()
        let clock = HandClock()
        let next = try await dead(lookingAt: Bench.two, clock) { () throws(ActionError) in await gate.pass() }
        let recovery = Task { await next.engine.recover() }
        // The look, and who waits for it.
        while clock.sleepers < 2 { await Task.yield() }
        clock.advance(by: .milliseconds(500))
        let found = await recovery.value
        #expect(found.intents.isEmpty && found.unclear == 1 && found.resumedRuns == 0)
        #expect(next.engine.snapshot.openIntents.count == 1)
        await next.pass(.seconds(3))
        #expect(next.world.marks == ["container:\(Bench.two)"])
        await gate.open()
        while next.engine.snapshot.openIntents.count + next.engine.snapshot.openRuns.count > 0 { await Task.yield() }
        let outcomes = next.log.records.filter { $0.kind == .outcome && $0.target?.key == "container:\(Bench.two)" }
        #expect(outcomes.map(\.outcome) == [.done] && outcomes[0].actor?.kind == .recovery)
    }

    @Test("a look that is broken off has not asked the world: the deed stays open, and is asked about again")
    func brokenOff() async throws {
        let clock = HandClock()
        let isSilent = Flag()
        let next = try await dead(lookingAt: Bench.two, clock) { () throws(ActionError) in
            guard isSilent.isUp else { return }
            do { try await clock.sleep(.seconds(100_000)) } catch {
                isSilent.lower()
                throw ActionError(.cancelled, "look", "called off")
            }
        }
        let recovery = Task { await next.engine.recover() }
        while clock.sleepers < 3 { await Task.yield() }
        clock.advance(by: .seconds(10))
        #expect(await recovery.value.intents.isEmpty)
        while isSilent.isUp { await Task.yield() }
        while next.engine.snapshot.openIntents.count > 0 {
            await next.pass(.seconds(2))
            await Task.yield()
        }
        let outcomes = next.log.records.filter { $0.actor?.kind == .recovery }
        #expect(outcomes.map(\.outcome) == [.done])
    }

    @Test("an agent ended in an undo, and the world is silent: nobody is told that it is being done, and force changes nothing of that")
    func undoLeft() async throws {
        let (gate, clock, ann) = (Gate(), HandClock(), AuditRecord.Actor(.person, name: "ann"))
        let whole = try Bench(Bench.pause, clock: clock)
        let id = try await whole.respond(one)[0].id
        _ = await whole.engine.undo(id, actor: ann)
        let cut = try #require(whole.log.records.lastIndex { $0.kind == .intent })
        let state = whole.log.records[...cut].reduce(into: EngineState()) { $0.apply($1) }
        let actions: [any Action] = [
            RecordingAction("container.pause", world: whole.world, inverse: "container.unpause"),
            HesitatingAction(base: RecordingAction("container.unpause", world: whole.world, takesAway: true), id: one) { () throws(ActionError) in await gate.pass() },
        ]
        let next = try Bench(Bench.pause, state: state, clock: clock, world: whole.world, catalogue: ActionCatalogue(actions))
        let recovery = Task { await next.engine.recover() }
        while clock.sleepers < 2 { await Task.yield() }
        clock.advance(by: .milliseconds(500))
        #expect(await recovery.value.unclear == 1)
        let result = await next.engine.undo(id, actor: ann, isForced: true)
        #expect(result.outcome == .failed && result.reason?.hasPrefix("an agent that has ended was at it") == true)
        await gate.open()
        while next.engine.snapshot.openIntents.count > 0 { await Task.yield() }
        #expect(next.engine.snapshot.openUndos.isEmpty && next.log.records.last { $0.kind == .outcome }?.outcome == .undone)
    }

    /// An agent died in the pause of two, after that of one; the next one asks `look` before it sees whoever is looked at.
    private func dead(lookingAt id: String, _ clock: HandClock, _ look: @escaping @Sendable () async throws(ActionError) -> Void) async throws -> Bench {
        let whole = try Bench(Self.held, clock: clock)
        _ = try await whole.respond(one) + whole.respond(Bench.two)
        let cut = try #require(whole.log.records.lastIndex { $0.kind == .intent })
        let state = whole.log.records[...cut].reduce(into: EngineState()) { $0.apply($1) }
        let actions: [any Action] = [
            HesitatingAction(base: RecordingAction("container.pause", world: whole.world, inverse: "container.unpause"), id: id, look: look),
            RecordingAction("container.unpause", world: whole.world, takesAway: true),
        ]
        return try Bench(Self.held, state: try #require(EngineState(json: state.json)), clock: clock, world: whole.world, catalogue: ActionCatalogue(actions))
    }

    /// A life after these records, in a world in which nothing has been done.
    private func next(after records: ArraySlice<AuditRecord>, _ playbooks: String) throws -> Bench {
        let state = records.reduce(into: EngineState()) { $0.apply($1) }
        return try Bench(playbooks, state: try #require(EngineState(json: state.json)))
    }
}

/// Waits before it looks at one target.
private struct HesitatingAction: Action {
    let base: RecordingAction
    let id: String
    let look: @Sendable () async throws(ActionError) -> Void

    var description: ActionDescription { base.description }

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let plan = try await base.plan(request)
        if plan.target.key == "container:\(id)" { try await look() }
        return plan
    }

    func perform(_ plan: Plan) async throws(ActionError) -> Performance { try await base.perform(plan) }
}

/// Up until it is lowered.
private final class Flag: Sendable {
    private let state = Mutex(true)

    var isUp: Bool { state.withLock(\.self) }
    func lower() { state.withLock { $0 = false } }
}
