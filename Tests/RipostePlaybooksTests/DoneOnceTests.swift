import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Synchronization
import Testing

@Suite("deeds that must not be done twice")
struct DoneOnceTests {
    private let one = Bench.one
    private static let playbook = "  - name: p\n    match: { rules: r }\n    steps: [{ name: a, action: container.kill }]\n"

    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        /// What the world says of it, look by look; the last one stays.
        let traces: [DeedTrace]
        let outcomes: [Outcome]
        /// After the restart.
        let deeds: Int
    }

    static let cases = [
        Case(testDescription: "it leaves no trace", traces: [.untold("no trace")], outcomes: [.failed], deeds: 0),
        Case(testDescription: "it shows", traces: [.inEffect("it was restarted")], outcomes: [.done], deeds: 0),
        Case(testDescription: "it shows later", traces: [.notYet("so far"), .notYet("so far"), .inEffect("it was restarted")], outcomes: [.done], deeds: 0),
        Case(testDescription: "it did not take place, which is clear later", traces: [.notYet("so far"), .absent], outcomes: [.failed, .done], deeds: 1),
    ]

    @Test("the agent dies between intent and outcome: what the world does not tell is not done again", arguments: cases)
    func crash(_ each: Case) async throws {
        let whole = try bench(OnceAction(traces: [.absent]))
        _ = try await whole.respond(one)
        let cut = try #require(whole.log.records.firstIndex { $0.kind == .intent })
        let action = OnceAction(traces: each.traces)
        let next = try bench(action, after: whole.log.records[...cut])
        _ = await next.engine.recover()
        while !next.log.records.contains(where: { $0.actor?.kind == .recovery }) {
            await next.pass(.seconds(2))
            await Task.yield()
        }
        while next.engine.snapshot.openRuns.count > 0 { await Task.yield() }
        await next.engine.idle()
        #expect(action.deeds == each.deeds && next.log.records.filter { $0.kind == .outcome }.map(\.outcome) == each.outcomes)
    }

    @Test(
        "the journal does not take what the start has found, until the step would be done again: the run waits for that record",
        arguments: [DeedTrace.untold("no trace"), .absent])
    func owed(_ trace: DeedTrace) async throws {
        let whole = try bench(OnceAction(traces: [.absent]))
        _ = try await whole.respond(one)
        let cut = try #require(whole.log.records.firstIndex { $0.kind == .intent })
        let action = OnceAction(traces: [trace])
        let next = try bench(action, after: whole.log.records[...cut])
        next.log.refuse([.outcome])
        action.onLook { [log = next.log] count in if count > 1 { log.refuse([]) } }
        #expect(await next.engine.recover().resumedRuns == 0)
        await next.engine.idle()
        #expect(action.deeds == 0 && next.engine.snapshot.openIntents.count == 1 && next.engine.snapshot.openRuns.count == 1)
        next.log.refuse([])
        // The record, and then the run.
        for _ in 1...2 { await next.pass(.seconds(1)) }
        await next.engine.idle()
        #expect(action.deeds == (trace == .absent ? 1 : 0) && next.engine.snapshot.openRuns.isEmpty)
    }

    @Test(
        "the answer to it is lost: no second attempt, and none after a restart", arguments: [FailureClass.timeout, .unavailable],
        [DeedTrace.untold("no trace"), .notYet("so far")])
    func lostAnswer(_ failure: FailureClass, _ trace: DeedTrace) async throws {
        let action = OnceAction(traces: [trace], failure: failure)
        let bench = try bench(action)
        let (response, isOver) = (try bench.alert(one), Over())
        let responding = Task {
            defer { isOver.set() }
            try await bench.engine.respond(to: response)
        }
        while !isOver.isSet {
            bench.clock.advance(by: .milliseconds(2))
            await Task.yield()
        }
        try await responding.value
        let outcome = try #require(bench.log.records.last { $0.kind == .outcome })
        #expect(action.deeds == 1 && outcome.outcome == .failed && outcome.detail["done_once"] == true)
        // As if the agent had died before the run's end was on record.
        let last = try #require(bench.log.records.lastIndex { $0.kind == .outcome })
        let next = try self.bench(action, after: bench.log.records[...last])
        _ = await next.engine.recover()
        await next.engine.idle()
        #expect(action.deeds == 1 && next.engine.snapshot.openRuns.isEmpty)
    }

    @Test("what is turned away is tried again")
    func turnedAway() async throws {
        let action = OnceAction(traces: [.untold("no trace")], failure: .conflict)
        let bench = try bench(action)
        _ = try await bench.respond(one)
        #expect(action.deeds == 6)
    }

    private func bench(_ action: OnceAction, after records: ArraySlice<AuditRecord> = []) throws -> Bench {
        let state = records.reduce(into: EngineState()) { $0.apply($1) }
        return try Bench(Self.playbook, state: try #require(EngineState(json: state.json)), catalogue: ActionCatalogue([action]))
    }
}

/// Counts its deeds; what can be seen of them the test says.
private final class OnceAction: Action {
    let description = ActionDescription(name: "container.kill", summary: "", target: .container, impact: .destroys)
    private let state: Mutex<(traces: [DeedTrace], deeds: Int)>
    private let looks = Mutex<(count: Int, then: (@Sendable (Int) -> Void)?)>((0, nil))
    private let failure: FailureClass?

    init(traces: [DeedTrace], failure: FailureClass? = nil) {
        state = Mutex((traces, 0))
        self.failure = failure
    }

    var deeds: Int { state.withLock(\.deeds) }

    /// Called with the number of each look from now on.
    func onLook(_ call: @escaping @Sendable (Int) -> Void) { looks.withLock { $0.then = call } }

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let (count, then) = looks.withLock { looks in
            looks.count += 1
            return looks
        }
        then?(count)
        return try await FailingAction("container.kill").plan(request.unproved)
    }

    func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        state.withLock { $0.deeds += 1 }
        if let failure { throw ActionError(failure, "do it", "nobody answered") }
        return Performance(.done)
    }

    func trace(of deed: Plan, seen: Plan, age: Duration) -> DeedTrace {
        state.withLock { $0.traces.count > 1 ? $0.traces.removeFirst() : $0.traces[0] }
    }
}

extension ActionRequest {
    /// The target by its name, however it is given.
    fileprivate var unproved: ActionRequest {
        guard case .proved(.container(let identity)) = claim else { return self }
        return ActionRequest(claim: .container(.init(reference: identity.id)), parameters: parameters, token: token, time: time)
    }
}

private final class Over: Sendable {
    private let state = Mutex(false)

    var isSet: Bool { state.withLock(\.self) }
    func set() { state.withLock { $0 = true } }
}
