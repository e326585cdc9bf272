import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

private let ann = person("ann", 1).actor
private let bob = person("bob", 2).actor
private let escalating = "container.pause, undo: { after: 2h }, escalate: { after: 10m, unless: answered, action: container.kill }"
private let careful = """
      - name: p
        mode: observe
        match: { rules: r }
        steps: [{ action: container.kill }]

    """

@Suite("Two persons to let something that destroys act")
struct WideningTests {
    let stage = ContainerStage()

    private func bench(_ playbooks: String = careful, mode: Mode = .enforce, state: EngineState = EngineState(), clock: HandClock = HandClock()) throws -> Bench {
        try Bench(stage: stage, playbooks, mode: mode, state: state, clock: clock) {
            $0.approvals.asksToWiden = true
            $0.modeCeiling = .enforce
        }
    }

    private func objection(_ body: () throws(Engine.Objection) -> Void) -> Engine.Objection? {
        do throws(Engine.Objection) { try body() } catch { return error }
        return nil
    }

    @Test("the first one's wish waits, over a restart too; the same person again changes nothing; another one puts it in force, with both on record")
    func two() async throws {
        let first = try bench()
        let wish = try #require(objection { () throws(Engine.Objection) in try first.engine.setMode(.enforce, for: .playbook("p"), actor: ann, reason: "quiet") })
        #expect(wish.proposal?.wish == "mode of playbook p is enforce" && wish.message.contains("somebody else must give the same command"))
        #expect(try await first.respond(Bench.one).map(\.outcome) == [.planned] && first.engine.snapshot.modes.settings.isEmpty)
        let next = try bench(state: try #require(EngineState(json: first.state.json)), clock: first.clock)
        #expect(next.engine.proposals.map(\.actor) == [ann] && next.engine.modesInForce["proposed"]?.array?.count == 1)
        #expect(objection { () throws(Engine.Objection) in try next.engine.setMode(.enforce, for: .playbook("p"), actor: ann, reason: "quiet") }?.proposal != nil)
        try next.engine.setMode(.enforce, for: .playbook("p"), actor: bob, reason: "seen it too")
        let record = try #require(next.log.records.last)
        #expect(record.actor == bob && record.detail["proposed_by"]?["name"] == "ann" && record.detail["state"] == "set")
        #expect(next.engine.proposals.isEmpty)
        #expect(try await next.respond(Bench.two).map(\.outcome) == [.done])
    }

    @Test("a wish ends after the time of a question, and a different one is another wish")
    func time() async throws {
        let bench = try bench()
        let wish = { (length: Duration?, actor: AuditRecord.Actor) in
            objection { () throws(Engine.Objection) in try bench.engine.setMode(.enforce, for: .playbook("p"), lasting: length, actor: actor, reason: "w") }
        }
        _ = wish(nil, ann)
        #expect(wish(.seconds(60), bob)?.proposal?.wish == "mode of playbook p is enforce for 1m")
        bench.clock.advance(by: .seconds(900))
        #expect(wish(nil, bob)?.proposal?.actor == bob, "ann's word is over")
        #expect(wish(nil, ann) == nil)
    }

    @Test("a dry run says that it would wait, and writes nothing")
    func dryRun() throws {
        let bench = try bench()
        let wish = objection { () throws(Engine.Objection) in try bench.engine.setMode(.enforce, for: .playbook("p"), actor: ann, reason: "w", isDryRun: true) }
        #expect(wish?.proposal != nil && bench.log.records.isEmpty && bench.engine.proposals.isEmpty)
    }

    /// What needs two: a playbook, the agent's mode, what was set before, the wish.
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var playbook = "mode: enforce"
        var action = "container.kill"
        var agent = Mode.enforce
        var before: (Mode, ModeTable.Scope)?
        /// Nil: what was set is cleared.
        var mode: Mode?
        var scope = ModeTable.Scope.playbook("p")
        var needsTwo: Bool

        var testDescription: String { name }
    }

    @Test(
        "whatever lets something that destroys act unasked needs two, and nothing else does",
        arguments: [
            Case(name: "the playbook", playbook: "mode: observe", mode: .enforce, needsTwo: true),
            Case(name: "the playbook, where what follows if nobody answers destroys", playbook: "mode: observe", action: escalating, mode: .enforce, needsTwo: true),
            Case(name: "the playbook, where the agent does not enforce", playbook: "mode: observe", agent: .ask, mode: .enforce, needsTwo: false),
            Case(name: "the playbook, where it can be taken back", playbook: "mode: observe", action: "container.pause", mode: .enforce, needsTwo: false),
            Case(name: "only to ask", playbook: "mode: observe", mode: .ask, needsTwo: false),
            Case(name: "more careful", mode: .observe, needsTwo: false),
            Case(name: "the agent", agent: .observe, mode: .enforce, scope: .agent, needsTwo: true),
            Case(name: "the agent, where the playbook is careful", playbook: "mode: observe", agent: .observe, mode: .enforce, scope: .agent, needsTwo: false),
            Case(name: "a source", before: (.observe, .source("http")), mode: .enforce, scope: .source("http"), needsTwo: true),
            Case(name: "what was more careful is cleared", before: (.observe, .playbook("p")), needsTwo: true),
            Case(name: "what was wider is cleared", playbook: "mode: observe", before: (.enforce, .playbook("p")), needsTwo: false),
        ])
    func scope(_ example: Case) throws {
        let bench = try bench("  - name: p\n    \(example.playbook)\n    match: { rules: r }\n    steps: [{ action: \(example.action) }]\n", mode: example.agent)
        if let (mode, scope) = example.before {
            for actor in [ann, bob] { _ = objection { () throws(Engine.Objection) in try bench.engine.setMode(mode, for: scope, actor: actor, reason: "w") } }
            #expect(bench.engine.snapshot.modes.settings.count == 1)
        }
        let refused = objection { () throws(Engine.Objection) in
            guard let mode = example.mode else {
                try bench.engine.clearMode(for: example.scope, actor: ann, reason: "w")
                return
            }
            try bench.engine.setMode(mode, for: example.scope, actor: ann, reason: "w")
        }
        #expect((refused?.proposal != nil) == example.needsTwo && (refused == nil) == !example.needsTwo, "\(refused?.message ?? "")")
    }

    @Test("a roll-out goes on into a stage that enforces with two persons")
    func promotion() throws {
        let bench = try bench(
            """
              - name: p
                match: { rules: r }
                rollout: { stages: [{ mode: observe }, { mode: enforce }] }
                steps: [{ action: container.kill }]

            """)
        bench.engine.beginRollouts()
        let refused = objection { () throws(Engine.Objection) in _ = try bench.engine.promote("p", actor: ann, reason: "quiet") }
        #expect(refused?.proposal?.wish == "playbook p: stage 2 of 2: enforce")
        #expect(bench.engine.snapshot.rollouts.track(of: "p").stage == 0)
        #expect(try bench.engine.promote("p", actor: bob, reason: "quiet") == "stage 2 of 2: enforce")
        #expect(bench.engine.snapshot.rollouts.track(of: "p").stage == 1 && bench.engine.proposals.isEmpty)
    }
}
