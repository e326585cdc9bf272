import RiposteCore
@testable import RipostePlaybooks
import RiposteTestSupport
import Synchronization
import Testing

@Suite("on_failure: undo")
struct TakeBackTests {
    private let one = Bench.one
    private static let playbooks = ["with a time": playbook("undo: { after: 1h }, "), "for good": playbook("")]

    private static func playbook(_ undo: String) -> String {
        """
          - name: p
            match: { rules: r }
            steps: [{ name: a, \(undo)action: container.pause }, { name: b, action: container.kill, on_failure: undo }]

        """
    }

    @Test("the agent is told to end while the step fails: what was done is taken back before it ends", arguments: playbooks.keys.sorted())
    func stopping(_ kind: String) async throws {
        let inUse = InUse()
        let bench = try bench(kind) { inUse.close() }
        inUse.use(bench)
        _ = try await bench.respond(one)
        #expect(bench.world.performed.map { $0.prefix(17) } == ["container.pause c", "container.unpause"] && bench.world.marks.isEmpty)
        #expect(bench.state.openUndos.isEmpty && bench.log.records.last { $0.kind == .run }?.message == "taken back after step b")
    }

    @Test(
        "what cannot be taken back at once is due from then on, a restart too, and the run's record does not call it taken back", arguments: playbooks.keys.sorted(), [false, true])
    func failing(_ kind: String, _ restarts: Bool) async throws {
        let bench = try bench(kind)
        bench.world.fail(with: ActionError(.denied, "let it go", "not now"), times: 1, action: "container.unpause")
        _ = try await bench.respond(one)
        let words = try #require(bench.log.records.last { $0.kind == .run }?.message)
        #expect(words.hasPrefix("taken back after step b; but ") && words.contains("is not taken back yet, which is tried again: let it go: not now"))
        #expect(bench.state.openUndos.values.map(\.due) == [bench.clock.now] && !bench.world.marks.isEmpty)
        let next = restarts ? try bench.restarted(Self.playbooks[kind] ?? "") : bench
        if restarts { _ = await next.engine.recover() }
        await next.engine.doWhatIsDue()
        #expect(next.world.marks.isEmpty && next.engine.snapshot.openUndos.isEmpty)
    }

    @Test("what is refused to be taken back is a person's to decide, and the record says so")
    func refused() async throws {
        let bench = try bench("with a time")
        bench.world.fail(with: ActionError(.drifted, "let it go", "it is not as it was left"), action: "container.unpause")
        _ = try await bench.respond(one)
        #expect(bench.log.records.last { $0.kind == .run }?.message?.contains("is not taken back: let it go: it is not as it was left") == true)
        #expect(bench.state.openUndos.values.map(\.refusal) == ["let it go: it is not as it was left"])
    }

    @Test("the answer is lost, and nobody can tell whether it was done: it is wanted back at once, whatever its time", arguments: ["", "undo: { after: 1h }, "])
    func inDoubt(_ undo: String) async throws {
        let playbook = "  - name: p\n    match: { rules: r }\n    steps: [{ name: a, \(undo)action: container.pause, on_failure: undo, retry: { max: 0 } }]\n"
        let bench = try Bench(playbook)
        bench.world.loseAnswers(with: ActionError(.unavailable, "mark", "connection reset"), isBlind: true)
        _ = try await bench.respond(one)
        #expect(bench.state.openUndos.values.map(\.due) == [bench.clock.now] && !bench.world.marks.isEmpty)
        #expect(bench.log.records.last { $0.kind == .run }?.message?.contains("is not taken back yet, which is tried again") == true)
        bench.world.loseAnswers(with: nil)
        await bench.pass(.seconds(10))
        #expect(bench.world.marks.isEmpty && bench.state.openUndos.isEmpty && bench.state == bench.engine.snapshot)
    }

    @Test("the journal takes nothing meanwhile: it is taken back when it does")
    func noJournal() async throws {
        let inUse = InUse()
        let bench = try bench("with a time") { inUse.fillUp() }
        inUse.use(bench)
        _ = try await bench.respond(one)
        #expect(!bench.world.marks.isEmpty && bench.state.openRuns.count == 1)
        bench.log.refuse([])
        for _ in 0..<3 { await bench.pass(.seconds(1)) }
        #expect(bench.world.marks.isEmpty && bench.state.openUndos.isEmpty && bench.state.openRuns.isEmpty && bench.state == bench.engine.snapshot)
    }

    @Test("the journal has not taken yet what is to be taken back: it is due when it does", arguments: playbooks.keys.sorted())
    func owed(_ kind: String) async throws {
        let bench = try bench(kind)
        bench.world.hold { [log = bench.log] in log.refuse([.intent, .outcome, .run]) }
        _ = try await bench.respond(one)
        #expect(!bench.world.marks.isEmpty && bench.state.openUndos.isEmpty && bench.state.openIntents.count == 1)
        bench.world.hold(nil)
        bench.log.refuse([])
        for _ in 0..<3 { await bench.pass(.seconds(1)) }
        #expect(bench.world.marks.isEmpty && bench.state.openUndos.isEmpty && bench.state.openRuns.isEmpty && bench.state == bench.engine.snapshot)
        #expect(Self.end(of: bench)?.contains("is not taken back yet, which is tried again: its outcome is not on record yet") == true)
    }

    @Test("somebody else is at it, and fails, or only looks: it is taken back all the same", arguments: [Mode.enforce, .observe])
    func byAnother(_ mode: Mode) async throws {
        let (world, inUse, entered, gate) = (RecordingWorld(), InUse(), Gate(), Gate())
        let bench = try Bench(
            Self.playbook(""), world: world,
            catalogue: ActionCatalogue([
                RecordingAction("container.pause", world: world, inverse: "container.unpause"),
                Hesitating(base: RecordingAction("container.unpause", world: world, takesAway: true), entered: entered, gate: gate),
                LastStraw {
                    inUse.undo(mode)
                    await entered.pass()
                },
            ]))
        inUse.use(bench)
        _ = try await bench.respond(one)
        if mode == .enforce {
            #expect(Self.end(of: bench)?.contains("is not taken back yet, which is tried again: take it back: somebody else is at it") == true)
            #expect(bench.state.openUndos.values.map(\.due) == [bench.clock.now] && !world.marks.isEmpty)
        } else {
            #expect(Self.end(of: bench) == "taken back after step b" && world.marks.isEmpty)
        }
        await gate.open()
        #expect(await inUse.undone()?.outcome == .failed)
        await bench.engine.doWhatIsDue()
        #expect(world.marks.isEmpty && bench.state.openUndos.isEmpty && bench.state == bench.engine.snapshot)
    }

    @Test("what a person has done anew since stays: the record of the run says so")
    func doneAnew() async throws {
        let bench = try bench(of: "  - name: p\n    match: { rules: r }\n    steps: [{ name: a, action: container.pause }, \(Self.asking)]\n")
        let first = try #require(try await bench.respond(one).first { $0.outcome == .done }).id
        bench.world.unmark(one)
        let order = Order(actor: person("ann", 1).actor, action: "container.pause", claim: .container(.init(reference: one)), mode: .enforce)
        let second = await bench.engine.carryOut(order).id
        try await deny(bench)
        let open = bench.engine.snapshot.openUndos
        #expect(!bench.world.marks.isEmpty && open.keys.sorted() == [second] && open[second]?.absorbed == [first] && open[second]?.refusal == nil)
        #expect(Self.end(of: bench)?.hasSuffix("but \(first) is not taken back: another action has taken its place, or it stands for an earlier one") == true)
    }

    @Test("of a target that a person has hit in part, and the run the rest, nothing is let go: the two cannot be told apart")
    func mixed() async throws {
        let pack = Pack()
        let bench = try Bench("  - name: p\n    match: { rules: r }\n    steps: [{ name: a, action: container.pause, on_failure: undo }]\n", catalogue: pack.catalogue)
        pack.breakOff("container.pause", after: 1, .denied)
        let order = Order(actor: person("ann", 1).actor, action: "container.pause", claim: .container(.init(reference: one)), mode: .enforce)
        #expect(await bench.engine.carryOut(order).undo != nil)
        pack.breakOff("container.pause", after: 2, .denied)
        _ = bench.takeResults()
        #expect(try await bench.respond(one).map(\.outcome) == [.failed])
        #expect(pack.stopped() == [0, 1] && Self.end(of: bench)?.contains("it stands for an earlier one") == true)
        #expect(bench.state == bench.engine.snapshot && EngineState(json: bench.state.json) == bench.state)
    }

    @Test("what the run did twice, as the agent died in between, is its own")
    func doneTwice() async throws {
        let (pack, failing) = (Pack(), FailingAction("container.kill"))
        let playbook = Self.playbook("")
        let first = try Bench(playbook, catalogue: ActionCatalogue(pack.actions + [failing]))
        pack.breakOff("container.pause", after: 2, .denied)
        _ = try await first.respond(one)
        let records = first.log.records
        let intent = try #require(records.firstIndex { $0.kind == .intent })
        let state = records[...intent].reduce(into: EngineState()) { $0.apply($1) }
        pack.change { $0.stopped[one] = [0, 1] }
        let next = try Bench(playbook, state: state, clock: first.clock, catalogue: ActionCatalogue(pack.actions + [failing]))
        _ = await next.engine.recover()
        await next.engine.idle()
        #expect(next.log.records.contains { $0.action == "container.pause" && $0.outcome == .done })
        #expect(pack.stopped().isEmpty && next.engine.snapshot.openUndos.isEmpty && Self.end(of: next) == "taken back after step b")
    }

    @Test("a run goes on after a no, however many alerts of its kind stand in its way")
    func crowd() async throws {
        let bench = try bench(of: "  - name: p\n    cooldown: { for: 5m }\n    match: { rules: r }\n    steps: [{ name: a, action: container.pause }, \(Self.asking)]\n")
        _ = try await bench.respond(one)
        let lane = "cooldown:p:"
        #expect(!bench.world.marks.isEmpty && bench.engine.lanes.enterAtOnce(lane))
        let crowd = (0..<Lanes.waiterLimit).map { _ in
            Task { if await bench.engine.lanes.enter(lane) { bench.engine.lanes.leave(lane) } }
        }
        while bench.engine.lanes.waiters(at: lane) < Lanes.waiterLimit { await Task.yield() }
        _ = await bench.engine.answer(.deny, try bench.question().id, by: person("ann", 1))
        while bench.engine.lanes.waiters(at: lane) == Lanes.waiterLimit, !bench.engine.snapshot.openRuns.isEmpty { await Task.yield() }
        bench.engine.lanes.leave(lane)
        for each in crowd { await each.value }
        await bench.engine.idle()
        #expect(bench.world.marks.isEmpty && bench.state.openUndos.isEmpty && Self.end(of: bench) == "taken back after step b")
    }

    private static let asking = "{ name: b, action: container.kill, approval: { expires: 10m }, on_failure: undo }"

    private static func end(of bench: Bench) -> String? { bench.log.records.last { $0.kind == .run }?.message }

    private func deny(_ bench: Bench) async throws {
        _ = await bench.engine.answer(.deny, try bench.question().id, by: person("ann", 1))
        await bench.engine.idle()
    }

    private func bench(_ kind: String, failing act: @escaping @Sendable () -> Void = {}) throws -> Bench { try bench(of: Self.playbooks[kind] ?? "", failing: act) }

    private func bench(of playbook: String, failing act: @escaping @Sendable () -> Void = {}) throws -> Bench {
        let world = RecordingWorld()
        return try Bench(
            playbook, world: world,
            catalogue: ActionCatalogue([
                RecordingAction("container.pause", world: world, inverse: "container.unpause"), RecordingAction("container.unpause", world: world, takesAway: true),
                LastStraw(act: act),
            ]))
    }
}

/// Fails, and something happens meanwhile.
private struct LastStraw: Action {
    let base = FailingAction("container.kill")
    let act: @Sendable () async -> Void

    var description: ActionDescription { base.description }

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan { try await base.plan(request) }

    func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        await act()
        return try await base.perform(plan)
    }
}

/// Whoever looks first waits at the gate, and then is not answered.
private final class Hesitating: Action {
    private let base: RecordingAction
    private let entered: Gate
    private let gate: Gate
    private let hasLooked = Mutex(false)

    init(base: RecordingAction, entered: Gate, gate: Gate) { (self.base, self.entered, self.gate) = (base, entered, gate) }

    var description: ActionDescription { base.description }

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let isFirst = hasLooked.withLock { hasLooked in
            defer { hasLooked = true }
            return !hasLooked
        }
        guard isFirst else { return try await base.plan(request) }
        await entered.open()
        await gate.pass()
        throw ActionError(.unavailable, "look", "nobody answers")
    }

    func perform(_ plan: Plan) async throws(ActionError) -> Performance { try await base.perform(plan) }
}

/// What the bench is made of, for whoever is a part of it.
private final class InUse: Sendable {
    private let engine = Mutex<Engine?>(nil)
    private let log = Mutex<RecordingLog?>(nil)
    private let attempt = Mutex<Task<ActionResult, Never>?>(nil)

    func use(_ bench: Bench) {
        engine.withLock { $0 = bench.engine }
        log.withLock { $0 = bench.log }
    }
    func close() { engine.withLock(\.self)?.close() }
    /// A person begins to take back what stands.
    func undo(_ mode: Mode) {
        guard let engine = engine.withLock(\.self), let id = engine.snapshot.openUndos.keys.first else { return }
        attempt.withLock { $0 = Task { await engine.undo(id, actor: person("ann", 1).actor, mode: mode) } }
    }
    func undone() async -> ActionResult? { await attempt.withLock(\.self)?.value }
    func fillUp() { log.withLock(\.self)?.refuse([.intent, .outcome, .run]) }
}
