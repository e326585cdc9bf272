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

    /// A life after these records, in a world in which nothing has been done.
    private func next(after records: ArraySlice<AuditRecord>, _ playbooks: String) throws -> Bench {
        let state = records.reduce(into: EngineState()) { $0.apply($1) }
        return try Bench(playbooks, state: try #require(EngineState(json: state.json)))
    }
}
