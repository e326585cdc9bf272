import RiposteCore
@testable import RipostePlaybooks
import RiposteTestSupport
import Testing

private let one = Bench.one
private let ann = person("ann", 1)
private let playbook = "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause, undo: { after: 5m } }]\n"

/// Wants a person for one action that comes from no playbook's step.
private struct Asking: Guard {
    let name = "asking"
    let action: ActionName

    func answer(to question: GuardQuestion) async -> GuardAnswer? {
        question.plan.action == action && question.playbook == nil ? GuardAnswer(name: name, verdict: .atMost(.ask), reason: "somebody must look") : nil
    }
}

@Suite("Questions about undos and repairs")
struct UndoQuestionTests {
    let pack = Pack()

    private func bench(
        _ action: ActionName = "container.unpause", state: EngineState = EngineState(), clock: HandClock = HandClock(), configure: (inout Engine.Configuration) -> Void = { _ in }
    ) throws -> Bench { try Bench(playbook, state: state, guards: [Asking(action: action)], clock: clock, catalogue: pack.catalogue, configure: configure) }

    /// An action whose time is up, and somebody is asked whether it may be taken back.
    private func asked() async throws -> (bench: Bench, action: Identifier) {
        let bench = try bench()
        let id = try await bench.respond(one)[0].id
        await bench.pass(.seconds(300))
        #expect(pack.stopped().count == Pack.size)
        #expect(try bench.question().undoes == id)
        return (bench, id)
    }

    @Test("at a yes all that was held is let go, and the action is closed, after a restart too", arguments: [false, true])
    func granted(_ isRestarted: Bool) async throws {
        var (bench, id) = try await asked()
        if isRestarted { bench = try self.bench(state: #require(EngineState(json: bench.state.json)), clock: bench.clock) }
        let result = await bench.engine.answer(.approve, try bench.question().id, by: ann)
        #expect(result.results.map(\.outcome) == [.undone] && pack.stopped().isEmpty)
        let (intent, outcome) = (try #require(bench.log.records.last { $0.kind == .intent }), try #require(bench.log.records.last { $0.kind == .outcome }))
        #expect(outcome.undoes == id && intent.undoes == id && outcome.detail["plan_digest"] == intent.detail["plan_digest"])
        #expect(bench.engine.snapshot.openUndos.isEmpty && bench.engine.snapshot.approvals.requests.isEmpty)
        if !isRestarted { #expect(bench.state == bench.engine.snapshot) }
    }

    @Test("one undo is asked about once, however long it waits; after silence anew")
    func once() async throws {
        let (bench, _) = try await asked()
        for _ in 0..<10 { await bench.settle(after: .seconds(80)) }
        let records = bench.log.records
        #expect(records.count { $0.kind == .approval } == 1 && records.count { $0.outcome == .pending } == 1)
        await bench.settle(after: .seconds(100))
        #expect(bench.log.records.count { $0.outcome == .expired } == 1)
        await bench.settle(after: .seconds(300))
        _ = await bench.engine.answer(.approve, try bench.question().id, by: ann)
        #expect(pack.stopped().isEmpty && bench.log.records.count { $0.detail["state"] == "requested" } == 2)
    }

    @Test("a no leaves it to a person; who takes it back by hand leaves nothing to ask")
    func denied() async throws {
        let (bench, id) = try await asked()
        #expect(await bench.engine.answer(.deny, try bench.question().id, by: ann).results.map(\.outcome) == [.refused])
        #expect(bench.engine.snapshot.openUndos[id]?.refusal?.contains("denied by ann") == true && bench.engine.snapshot.openUndos[id]?.due == nil)
        pack.change { $0.stopped[one] = [] }
        let (other, second) = try await asked()
        #expect(await other.engine.undo(second, actor: ann.actor).outcome == .undone)
        #expect(pack.stopped().isEmpty && other.engine.snapshot.approvals.requests.isEmpty && other.state == other.engine.snapshot)
    }

    @Test("what was asked about is not what stands any more: it is asked anew, and not taken for a refusal")
    func another() async throws {
        let (bench, id) = try await asked()
        let question = try bench.question().id
        pack.change { $0.stopped[one] = [0] }
        var again = Order(actor: ann.actor, action: "container.pause", claim: .container(.init(reference: one)), mode: .enforce)
        again.undoAfter = .seconds(60)
        #expect(await bench.engine.carryOut(again).outcome == .done)
        #expect(await bench.engine.answer(.approve, question, by: ann).results.map(\.outcome) == [.skipped])
        let open = try #require(bench.engine.snapshot.openUndos.values.first)
        #expect(open.absorbed == [id] && open.due != nil && pack.stopped().count == Pack.size)
        await bench.settle(after: .seconds(60))
        _ = await bench.engine.answer(.approve, try bench.question().id, by: ann)
        #expect(pack.stopped().isEmpty && bench.engine.snapshot.openUndos.isEmpty)
    }

    @Test("a repair that somebody is asked about is that of the action which stands, asked once, and changes nothing of its time")
    func repair() async throws {
        let bench = try bench("container.pause") { $0.reconciliation.others = .repair }
        let id = try await bench.respond(one)[0].id
        let due = bench.engine.snapshot.openUndos[id]?.due
        pack.change { $0.stopped[one] = [0] }
        for _ in 0..<3 {
            bench.clock.advance(by: .seconds(10))
            await bench.engine.reconcile()
        }
        #expect(bench.log.records.count { $0.outcome == .pending } == 1)
        #expect(await bench.engine.answer(.approve, try bench.question().id, by: ann).results.map(\.outcome) == [.done])
        #expect(bench.engine.snapshot.openUndos.keys.sorted() == [id] && bench.engine.snapshot.openUndos[id]?.due == due && pack.stopped().count == Pack.size)
        await bench.pass(.seconds(300))
        #expect(bench.log.records.last { $0.kind == .approval }?.detail["state"] == "granted" && pack.stopped().isEmpty)
    }

    @Test("a journal of before, whose questions do not say what they take back, goes on as it did")
    func old() async throws {
        let (bench, _) = try await asked()
        let records = bench.log.records.map { record -> AuditRecord in
            guard record.kind == .approval, let target = record.target else { return record }
            var old = record
            old.undoes = nil
            old.detail["token"] = nil
            old.detail["plan_digest"] = .text(Plan(action: "container.unpause", target: target, parameters: Parameters(), summary: "").digest())
            return old
        }
        let state = records.reduce(into: EngineState()) { $0.apply($1) }
        let next = try self.bench(state: #require(EngineState(json: state.json)), clock: bench.clock)
        #expect(await next.engine.answer(.approve, try next.question().id, by: ann).results.map(\.outcome) == [.done])
        #expect(next.engine.snapshot.openUndos.isEmpty && next.engine.snapshot.approvals.requests.isEmpty)
    }
}
