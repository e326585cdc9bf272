import RiposteCore
@testable import RipostePlaybooks
import RiposteTestSupport
import Synchronization
import Testing

private let ann = person("ann", 1000)
private let bob = person("bob", 1001)
private let mine = """
      - name: mine
        match: { rules: r }
        approval: { expires: 1h, approvers: ["user:ann"] }
        steps:

    """

@Suite("Alerts that a person feeds in")
struct FedInTests {
    let stage = ContainerStage()

    /// What a step does, and whether somebody else must say yes where actions by hand ask.
    struct Case: Sendable, CustomTestStringConvertible {
        var step: String
        var asks: Bool

        var testDescription: String { step }
    }

    static let cases = [
        Case(step: "action: container.kill", asks: true), Case(step: "action: container.pause", asks: false),
        Case(step: "action: container.pause, undo: { after: 2h }, escalate: { after: 10m, unless: answered, action: container.kill }", asks: true),
        Case(step: "action: container.kill, mode: observe", asks: false),
    ]

    private func respond(_ step: String, on bench: Bench) async throws -> [ActionResult] {
        let seen = Mutex<[ActionResult]>([])
        let engine = bench.engine.variant(
            mode: .enforce, maximumAlertAge: .seconds(3600), playbooks: try Bench.load("\(mine)      - { name: s, \(step) }\n", stage.catalogue), by: ann.actor,
            observe: { event in if case .result(let result) = event { seen.withLock { $0.append(result) } } })
        try await engine.respond(to: bench.alert(Bench.one, intake: "respond"))
        return seen.withLock(\.self)
    }

    @Test("an own playbook does nothing that its author might not do alone by a command", arguments: cases, [true, false])
    func asks(_ example: Case, byHandAsks: Bool) async throws {
        let bench = try Bench(stage: stage, Bench.pause, mode: .observe) { $0.approvals.asksByHand = byHandAsks }
        let results = try await respond(example.step, on: bench)
        let isObserved = example.step.contains("observe")
        #expect(results.map(\.outcome) == [isObserved ? .planned : example.asks && byHandAsks ? .pending : .done])
        guard example.asks, byHandAsks else { return }
        #expect(results[0].modeBecause == "approvals.by_hand is ask, and container.kill cannot be taken back" && stage.deeds.isEmpty)
        let question = try bench.question()
        #expect(question.requester == ann.actor && question.terms == bench.engine.configuration.approvals.terms, "the file does not say who decides")
        let own = await bench.engine.answer(.approve, question.id, by: ann)
        #expect(!own.isSettled && own.results.first?.reason?.contains("somebody else must approve") == true)
        let next = try Bench(stage: stage, Bench.pause, mode: .observe, state: try #require(EngineState(json: bench.state.json)), clock: bench.clock)
        #expect(await !next.engine.answer(.approve, question.id, by: ann).isSettled, "after a restart neither")
        #expect(await bench.engine.answer(.approve, question.id, by: bob).results.map(\.outcome) == [.done])
        #expect(stage.deeds.count == 1)
    }

    /// As `riposte respond --mode enforce` does with the playbooks of this set; nil: those in force. What feeds them in is forgotten when it returns.
    private func feed(_ container: String, to bench: Bench, _ playbooks: PlaybookSet? = nil) async throws {
        let engine = bench.engine.variant(
            mode: .enforce, maximumAlertAge: .seconds(3600), playbooks: playbooks ?? bench.engine.playbooks, by: ann.actor, observe: { _ in })
        try await engine.respond(to: bench.alert(container, intake: "respond", fields: Self.image))
    }

    private static let image: JSONObject = ["container.image.repository": "shop/web"]

    @Test("what was fed in and what came by itself are two questions, whichever was first: the mode given by hand is for the one alone", arguments: [false, true])
    func apart(_ isFedInFirst: Bool) async throws {
        let bench = try Bench(
            stage: stage, "  - { name: p, match: { rules: r }, steps: [{ action: container.note, approval: { expires: 10m, on_expiry: perform } }] }\n")
        if isFedInFirst { try await feed(Bench.one, to: bench) }
        _ = try await bench.respond(Bench.two, fields: Self.image)
        if !isFedInFirst { try await feed(Bench.one, to: bench) }
        #expect(bench.engine.snapshot.approvals.requests.values.map(\.members.count) == [1, 1])
        try bench.engine.setMode(.observe, for: .agent, actor: ann.actor)
        await bench.settle(after: .seconds(600))
        #expect(stage.deeds == ["container.note \(Bench.one)"])
    }

    @Test("a step that waits for somebody else joins no question that the playbook's own approvers decide")
    func ownTerms() async throws {
        let text = "  - { name: p, match: { rules: r }, steps: [{ action: container.kill, approval: { expires: 10m, approvers: [\"user:ann\"] } }] }\n"
        let bench = try Bench(stage: stage, text) { $0.approvals.asksByHand = true }
        let live = try #require(try await bench.respond(Bench.two, fields: Self.image).first).id
        try await feed(Bench.one, to: bench)
        #expect(await bench.engine.answer(.approve, live, by: ann).results.map(\.outcome) == [.done])
        let fedIn = try bench.question()
        #expect(fedIn.requester == ann.actor && fedIn.terms == bench.engine.configuration.approvals.terms)
        #expect(await bench.engine.answer(.approve, fedIn.id, by: bob).results.map(\.outcome) == [.done])
    }

    @Test(
        "a run of an own playbook goes on after the answer, which the agent gets, whether or not it has a playbook of that name",
        arguments: [ApprovalRequest.Answer.approve, .deny], [Bench.pause, Bench.pause.replacing("name: p", with: "name: own")])
    func carriedOn(_ answer: ApprovalRequest.Answer, _ inForce: String) async throws {
        let bench = try Bench(stage: stage, inForce, mode: .observe)
        let own = """
              - name: own
                match: { rules: r }
                steps:
                  - { action: container.pause }
                  - { action: container.note, approval: { expires: 10m }, on_failure: undo }
                  - { action: container.kill }

            """
        try await feed(Bench.one, to: bench, Bench.load(own, stage.catalogue))
        #expect(stage.condition(Bench.one) == .paused && bench.engine.state.withLock { $0.approvals.fedIn.count } == 1)
        _ = await bench.engine.answer(answer, try bench.question().id, by: bob)
        await bench.engine.idle()
        let deeds = stage.deeds.map { $0.prefix { $0 != " " } }
        #expect(deeds == (answer == .approve ? ["container.pause", "container.note", "container.kill"] : ["container.pause", "container.unpause"]))
        #expect(bench.engine.snapshot.openRuns.isEmpty && bench.engine.state.withLock(\.approvals.fedIn.isEmpty) && bench.state == bench.engine.snapshot)
        let end = try #require(bench.log.records.last { $0.kind == .run && $0.playbook == "own" })
        #expect(end.message == (answer == .approve ? nil : "taken back after step container-note"))
    }

    @Test("where the agent's playbook that it was fed to is changed meanwhile, the run ends, as any other of it does")
    func changed() async throws {
        let bench = try Bench(stage: stage, Bench.pause.replacing("container.pause", with: "container.kill, approval: { expires: 10m }"))
        try await feed(Bench.one, to: bench)
        bench.engine.use(.empty)
        await bench.engine.idle()
        #expect(bench.engine.snapshot.openRuns.isEmpty && bench.engine.state.withLock(\.approvals.fedIn.isEmpty) && stage.deeds.isEmpty)
        #expect(bench.log.records.last { $0.kind == .run }?.message == "not carried on: playbook p was changed or removed")
    }

    @Test("of plans that wait together nobody approves one that they asked for")
    func together() throws {
        var opening = AuditRecord(.approval, at: Timestamp(nanoseconds: 1), id: .new())
        opening.actor = AuditRecord.Actor(.playbook, name: "mine")
        var joined = opening
        joined.detail.append("requester", ann.actor.json)
        let facts = ApprovalFacts(
            kind: .plan, deadline: Timestamp(nanoseconds: 10_000_000_000), terms: ApprovalTerms(), workload: "w", playbookDigest: "d", escalates: nil, mayEnforce: false,
            isModeGiven: true)
        let request = ApprovalRequest(id: .new(), opening: opening, facts: facts, members: [.init(opening), .init(joined)], phase: .waiting([]))
        guard case .refuse(let why) = request.ruling(on: .approve, by: ann, seen: 2, at: opening.time) else {
            Issue.record("ann approves what she asked for")
            return
        }
        #expect(why.contains("ann asked for it") && request.ruling(on: .approve, by: bob, seen: 2, at: opening.time) == .grant)
    }
}
