import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

private let one = Bench.one
private let two = Bench.two
private let ann = person("ann", 1, groups: ["oncall"])
private let bob = person("bob", 2, groups: ["oncall"])

private func playbook(_ steps: String, _ keys: String = "") -> String { "  - name: p\n    match: { rules: r }\n\(keys)    steps:\n\(steps)" }

private let askAndNote = playbook(
    """
          - { name: kill, action: container.kill, approval: { expires: 10m } }
          - { name: note, action: container.note }

    """)

@Suite("Approvals")
struct ApprovalTests {
    let stage = ContainerStage()

    @Test("what is approved is done, by its own plan, and the run goes on with the steps after it")
    func approved() async throws {
        let bench = try Bench(stage: stage, askAndNote)
        let pending = try await bench.respond(one)
        #expect(pending.map(\.outcome) == [.pending] && stage.deeds.isEmpty)
        #expect(bench.engine.underWay == 0 && bench.engine.snapshot.openRuns.count == 1, "the run waits, and holds up nobody")
        let results = await bench.engine.answer(.approve, pending[0].id, by: ann, reason: "seen it").results
        #expect(results.map(\.outcome) == [.done] && results[0].id == pending[0].id)
        await bench.engine.idle()
        #expect(stage.deeds == ["container.kill \(one)"])
        // The container has ended, so there is nothing to note down about it.
        #expect(bench.outcomes == ["container.kill pending", "container.kill done", "container.note gone"])
        #expect(bench.engine.snapshot.openRuns.isEmpty && bench.engine.snapshot.approvals.requests.isEmpty)
        let intent = try #require(bench.log.records.first { $0.kind == .intent })
        #expect(intent.detail["approval"]?["by"]?.array?.first?["name"] == "ann")
        let asked = try #require(bench.log.records.first { $0.kind == .approval })
        #expect(intent.detail["plan_digest"] == asked.detail["plan_digest"])
        #expect(bench.log.records.map(\.kind) == [.alert, .approval, .outcome, .approval, .intent, .outcome, .outcome, .run])
    }

    @Test("what is denied is refused, and the run stops there")
    func denied() async throws {
        let bench = try Bench(stage: stage, askAndNote)
        let id = try await bench.respond(one)[0].id
        let results = await bench.engine.answer(.deny, id, by: ann, reason: "it is mine").results
        await bench.engine.idle()
        #expect(results.map(\.outcome) == [.refused] && results[0].reason?.contains("denied by ann: it is mine") == true)
        #expect(stage.deeds.isEmpty && bench.engine.snapshot.openRuns.isEmpty)
        #expect(bench.log.records.last { $0.kind == .outcome && $0.step == "kill" }?.failure == .declined)
        #expect(await bench.engine.answer(.approve, id, by: bob).results.map(\.outcome) == [.gone], "there is nothing left to answer")
    }

    @Test(
        "what nobody answers in time ends as the playbook says; a later yes does not count",
        arguments: [
            ("drop", "container.kill", [Outcome.expired, .skipped]), ("observe", "container.kill", [.planned, .done]), ("drop", "container.pause", [.expired, .skipped]),
            ("perform", "container.pause", [.done, .done]),
        ])
    func expiry(_ onExpiry: String, _ action: String, _ expected: [Outcome]) async throws {
        let steps = "      - { name: a, action: \(action), approval: { expires: 10m, on_expiry: \(onExpiry) } }\n      - { name: note, action: container.note }\n"
        let bench = try Bench(stage: stage, playbook(steps))
        let id = try await bench.respond(one)[0].id
        await bench.settle(after: .seconds(599))
        #expect(bench.engine.snapshot.approvals.requests.count == 1 && stage.deeds.isEmpty)
        await bench.settle(after: .seconds(1))
        #expect(bench.takeResults().map(\.outcome) == expected)
        #expect(await bench.engine.answer(.approve, id, by: ann).results.map(\.outcome) == [.gone])
        #expect(stage.kills == 0)
    }

    @Test(
        "what a person has set for the alert's source since counts too, also after a restart: nothing is done that would not be asked today",
        arguments: ["yes", "silence of an escalation", "silence"], [false, true])
    func sourceMadeCareful(_ answer: String, isRestarted: Bool) async throws {
        let steps = [
            "yes": "{ name: a, action: container.kill, approval: { expires: 10m } }",
            "silence": "{ name: a, action: container.pause, approval: { expires: 10m, on_expiry: perform } }",
            "silence of an escalation": "{ name: a, action: container.pause, undo: { after: 2h }, escalate: { after: 10m, action: container.kill } }",
        ]
        let text = playbook("      - \(steps[answer] ?? "")\n")
        var bench = try Bench(stage: stage, text)
        _ = try await bench.respond(one)
        let (id, before) = (try bench.question().id, stage.deeds)
        if isRestarted { bench = try Bench(stage: stage, text, state: try #require(EngineState(json: bench.state.json)), clock: bench.clock) }
        try bench.engine.setMode(.observe, for: .source("other"), actor: ann.actor)
        try bench.engine.setMode(.observe, for: .source("t"), actor: ann.actor)
        if answer == "yes" {
            let result = try #require(await bench.engine.answer(.approve, id, by: bob).results.first)
            #expect(result.outcome == .refused && result.reason?.contains("the mode of source t was set to observe by ann") == true)
        } else {
            await bench.settle(after: .seconds(600))
            let outcome = try #require(bench.log.records.last { $0.kind == .outcome })
            #expect(outcome.outcome == .expired && outcome.message?.contains("the mode of source t was set to observe by ann") == true)
        }
        #expect(stage.deeds == before && bench.engine.snapshot.approvals.requests.isEmpty)
    }

    @Test("of plans that wait together only those are held back whose source was made careful")
    func sourceOfOneMadeCareful() async throws {
        let bench = try Bench(stage: stage, playbook("      - { name: a, action: container.kill, approval: { expires: 10m } }\n"))
        let image: JSONObject = ["container.image.repository": "web"]
        _ = try await bench.respond(one, fields: image)
        _ = try await bench.respond(two, intake: "u", fields: image)
        try bench.engine.setMode(.observe, for: .source("u"), actor: ann.actor)
        let results = await bench.engine.answer(.approve, try bench.question().id, by: bob, seen: 2).results
        #expect(results.map(\.outcome) == [.done, .refused] && stage.deeds == ["container.kill \(one)"])
    }

    @Test("a yes that comes when the time is over, before anybody noticed, is refused")
    func tooLate() async throws {
        let bench = try Bench(stage: stage, askAndNote)
        let id = try await bench.respond(one)[0].id
        bench.clock.advance(by: .seconds(3600))
        #expect(await bench.engine.answer(.approve, id, by: ann).results.map(\.outcome) == [.expired])
        #expect(stage.deeds.isEmpty)
    }

    @Test("a clock that is set back gives nobody a longer time to say yes, and what is then over is told", arguments: [true, false])
    func clockSetBack(_ isAnswered: Bool) async throws {
        let bench = try Bench(stage: stage, playbook("      - { name: a, action: container.kill, approval: { expires: 10m } }\n"))
        let id = try await bench.respond(one)[0].id
        bench.clock.advance(by: .seconds(300))
        bench.clock.set(to: bench.clock.now + .seconds(-86400))
        bench.clock.advance(by: .seconds(299))
        #expect(await bench.engine.answer(.approve, id, by: person("eve", 1003), seen: 2).isSettled == false)
        #expect(try bench.question().isWaiting)
        bench.clock.advance(by: .seconds(1))
        if isAnswered {
            #expect(await bench.engine.answer(.approve, id, by: ann).results.map(\.outcome) == [.expired])
        } else {
            await bench.settle(after: .zero)
            #expect(bench.takeResults().map(\.outcome) == [.expired])
        }
        #expect(stage.deeds.isEmpty && bench.engine.snapshot.approvals.requests.isEmpty)
    }

    @Test("after a restart on a clock that was set back a question has its whole term before it, and no more")
    func clockSetBackAtRestart() async throws {
        let text = playbook("      - { name: a, action: container.kill, approval: { expires: 10m } }\n")
        let first = try Bench(stage: stage, text)
        let id = try await first.respond(one)[0].id
        first.clock.set(to: first.clock.now + .seconds(-86400))
        let next = try Bench(stage: stage, text, state: first.state, clock: first.clock)
        await next.settle(after: .seconds(599))
        #expect(try next.question().isWaiting)
        await next.settle(after: .seconds(1))
        #expect(await next.engine.answer(.approve, id, by: ann).results.map(\.outcome) == [.gone])
        #expect(stage.deeds.isEmpty)
    }

    @Test("for the gravest two different persons must say yes; who does not count is told and on record")
    func quorum() async throws {
        let bench = try Bench(stage: stage, playbook("      - { name: kill, action: container.kill, approval: { quorum: 2, approvers: [\"group:oncall\"] } }\n"))
        let id = try await bench.respond(one)[0].id
        #expect(await bench.engine.answer(.approve, id, by: person("eve", 9)).results.map(\.outcome) == [.refused])
        #expect(await bench.engine.answer(.approve, id, by: ann).results.map(\.outcome) == [.pending])
        #expect(await bench.engine.answer(.approve, id, by: ann).results.map(\.outcome) == [.refused])
        #expect(stage.deeds.isEmpty)
        // The first yes outlives a restart.
        let next = try Bench(
            stage: stage, playbook("      - { name: kill, action: container.kill, approval: { quorum: 2, approvers: [\"group:oncall\"] } }\n"), state: bench.state,
            clock: bench.clock)
        #expect(await next.engine.answer(.approve, id, by: bob).results.map(\.outcome) == [.done])
        #expect(bench.log.records.filter { $0.kind == .approval }.map { $0.detail["state"]?.string?.repaired } == ["requested", "refused", "voted", "refused"])
    }

    @Test("an action by hand waits for somebody else than who wants it")
    func byHand() async throws {
        let bench = try Bench(stage: stage, askAndNote)
        let order = Order(id: .new(), actor: ann.actor, action: "container.kill", claim: .container(.init(reference: one)), mode: .ask, reason: "it mines")
        let id = await bench.engine.carryOut(order).id
        #expect(await bench.engine.answer(.approve, id, by: ann).results.map(\.outcome) == [.refused])
        #expect(await bench.engine.answer(.approve, id, by: bob).results.map(\.outcome) == [.done])
        #expect(bench.log.records.last { $0.kind == .intent }?.actor == ann.actor)
    }

    @Test("a restart asks nobody again; the answer then carries the run on")
    func restart() async throws {
        let first = try Bench(stage: stage, askAndNote)
        let id = try await first.respond(one)[0].id
        let state = try #require(EngineState(json: first.state.json))
        let second = try Bench(stage: stage, askAndNote, state: state, clock: first.clock)
        _ = await second.engine.recover()
        await second.engine.idle()
        #expect(second.log.records.isEmpty && second.engine.snapshot.openRuns.count == 1)
        stage.change { $0.conditions[one] = .running }
        #expect(await second.engine.answer(.approve, id, by: ann).results.map(\.outcome) == [.done])
        await second.engine.idle()
        #expect(second.engine.snapshot.openRuns.isEmpty)
    }

    @Test("at a yes all is asked again: guards, the plan, the mode; what differs is told")
    func recheck() async throws {
        struct Switch: Guard {
            let name = "test.switch"
            let stage: ContainerStage
            func refusal(of plan: Plan) async -> String? { stage.condition("guarded") == .paused ? "not any more" : nil }
        }
        let bench = try Bench(stage: stage, askAndNote, guards: [Switch(stage: stage)])
        let guarded = try await bench.respond(one)[0].id
        stage.change { $0.conditions["guarded"] = .paused }
        #expect(await bench.engine.answer(.approve, guarded, by: ann).results[0].reason == "guard test.switch: not any more")
        stage.change { $0.conditions["guarded"] = .running }
        let replaced = try await bench.respond(two).last?.id
        stage.change { $0.replacement = one }
        let result = await bench.engine.answer(.approve, try #require(replaced), by: ann).results[0]
        #expect(result.outcome == .refused && result.reason?.contains("container.kill \(two)") == true && result.reason?.contains("container.kill \(one)") == true)
        #expect(stage.deeds.isEmpty)
        #expect(bench.log.records.last { $0.kind == .outcome && $0.step == "kill" }?.failure == .drifted)
    }

    @Test("many who say yes at the same moment make one deed")
    func race() async throws {
        let bench = try Bench(stage: stage, askAndNote)
        let id = try await bench.respond(one)[0].id
        await withTaskGroup { group in
            for uid in 0..<50 { group.addTask { _ = await bench.engine.answer(.approve, id, by: person("u\(uid)", UInt32(uid))) } }
        }
        await bench.engine.idle()
        #expect(stage.kills == 1 && bench.log.records.count { $0.kind == .intent } == 1)
    }

    @Test("a mode that a person lowered meanwhile holds for what was asked before")
    func loweredMode() async throws {
        let bench = try Bench(stage: stage, askAndNote)
        let id = try await bench.respond(one)[0].id
        try bench.engine.setMode(.observe, for: .agent, actor: ann.actor)
        let result = await bench.engine.answer(.approve, id, by: bob).results[0]
        #expect(result.outcome == .refused && result.reason?.contains("set to observe by ann") == true)
        #expect(stage.deeds.isEmpty)
    }

    @Test("what is asked because a budget is spent is done on a yes, as soon as there is room, and not before")
    func overBudget() async throws {
        let bench = try Bench(
            stage: stage, playbook("      - { name: kill, action: container.kill }\n", "    approval: { expires: 30m }\n    budget: { actions: 1, per: 1h, over: ask }\n"))
        #expect(try await bench.respond(one).map(\.outcome) == [.done])
        await bench.settle(after: .seconds(50 * 60))
        let early = try #require(try await bench.respond(two).last)
        #expect(early.outcome == .pending)
        #expect(await bench.engine.answer(.approve, early.id, by: ann).results.map(\.outcome) == [.refused])
        let later = try #require(try await bench.respond("cccccccccccc").last)
        #expect(later.outcome == .pending)
        await bench.settle(after: .seconds(11 * 60))
        #expect(await bench.engine.answer(.approve, later.id, by: ann).results.map(\.outcome) == [.done])
        #expect(stage.kills == 2)
    }

    // MARK: - Fatigue

    @Test("the same playbook about the same workload is one question with a list")
    func joined() async throws {
        let bench = try Bench(stage: stage, askAndNote)
        let image: JSONObject = ["container.image.repository": "shop/web"]
        let first = try await bench.respond(one, fields: image)[0].id
        #expect(try await bench.respond(two, fields: image)[0].detail?.contains("\(first)") == true)
        #expect(try bench.question().members.count == 2)
        _ = try await bench.respond("cccccccccccc", fields: ["container.image.repository": "shop/db"])
        #expect(bench.engine.snapshot.approvals.requests.count == 2)
        #expect(await bench.engine.answer(.approve, first, by: ann).results.map(\.outcome) == [.refused], "nobody approves what was not looked at")
        #expect(await bench.engine.answer(.approve, first, by: ann, seen: 2).results.map(\.outcome) == [.done, .done])
        await bench.engine.idle()
        #expect(stage.deeds == ["container.kill \(one)", "container.kill \(two)"] && bench.engine.snapshot.openRuns.count == 1)
    }

    @Test("after the first yes of two nothing joins any more")
    func closedToMore() async throws {
        let bench = try Bench(stage: stage, playbook("      - { name: kill, action: container.kill, approval: { quorum: 2 } }\n"))
        let image: JSONObject = ["container.image.repository": "shop/web"]
        let first = try await bench.respond(one, fields: image)[0].id
        #expect(await bench.engine.answer(.approve, first, by: ann).results.map(\.outcome) == [.pending])
        _ = try await bench.respond(two, fields: image)
        #expect(bench.engine.snapshot.approvals.requests.count == 2)
    }

    @Test("beyond so many open questions plans are observed, and that is told once")
    func overflow() async throws {
        let bench = try Bench(stage: stage, playbook("      - { name: kill, action: container.kill, approval: { expires: 10m } }\n")) { $0.approvals.openLimit = 2 }
        var outcomes: [Outcome] = []
        for index in 0..<4 { outcomes += try await bench.respond("cccccccccc\(10 + index)").map(\.outcome) }
        #expect(outcomes == [.pending, .pending, .planned, .planned])
        #expect(bench.log.records.count { $0.detail["state"] == "overflow" } == 1)
        await bench.settle(after: .seconds(600))
        #expect(try await bench.respond(one).last?.outcome == .pending)
    }

    // MARK: - Withdrawal

    @Test(
        "a playbook that is changed or taken away is not asked about any more", arguments: ["", "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.note }]\n"])
    func changed(_ playbooks: String) async throws {
        let bench = try Bench(stage: stage, askAndNote)
        let id = try await bench.respond(one)[0].id
        bench.engine.use(try Bench.load(askAndNote + "  - { name: other, match: { rules: x }, steps: [{ action: container.note }] }\n", stage.catalogue))
        #expect(bench.engine.snapshot.approvals.requests.count == 1, "another playbook came: nothing to this one")
        bench.engine.use(try Bench.load(playbooks.isEmpty ? "    []" : playbooks, stage.catalogue))
        await bench.engine.idle()
        #expect(await bench.engine.answer(.approve, id, by: ann).results.map(\.outcome) == [.gone])
        #expect(bench.log.records.last { $0.kind == .outcome && $0.step == "kill" }?.failure == .withdrawn && bench.engine.snapshot.openRuns.isEmpty && stage.deeds.isEmpty)
    }

    @Test("a target that has ended is noticed when somebody looks")
    func gone() async throws {
        let bench = try Bench(stage: stage, askAndNote)
        _ = try await bench.respond(one)
        #expect(await bench.engine.openQuestions().count == 1)
        stage.change { $0.conditions[one] = .ended }
        #expect(await bench.engine.openQuestions().isEmpty)
        await bench.engine.idle()
        #expect(bench.outcomes.prefix(2) == ["container.kill pending", "container.kill gone"] && bench.engine.snapshot.openRuns.isEmpty)
    }

    @Test("what has not been done is taken back by withdrawing the question")
    func undone() async throws {
        let bench = try Bench(stage: stage, askAndNote)
        let id = try await bench.respond(one)[0].id
        #expect(await bench.engine.undo(id, actor: ann.actor, mode: .observe).outcome == .planned)
        #expect(try bench.question().isWaiting)
        #expect(await bench.engine.undo(id, actor: ann.actor).outcome == .undone)
        #expect(bench.engine.snapshot.approvals.requests.isEmpty && stage.deeds.isEmpty)
    }

    @Test("a stronger deed on the same target supersedes a weaker question")
    func superseded() async throws {
        let bench = try Bench(stage: stage, playbook("      - { name: pause, action: container.pause, approval: { expires: 10m } }\n"))
        _ = try await bench.respond(one)
        _ = await bench.engine.carryOut(Order(id: .new(), actor: ann.actor, action: "container.kill", claim: .container(.init(reference: one)), mode: .enforce))
        await bench.engine.idle()
        #expect(bench.engine.snapshot.approvals.requests.isEmpty)
        #expect(bench.log.records.contains { $0.kind == .approval && $0.detail["cause"] == "superseded" })
    }

    @Test("what people are shown: what, to whom, why, what it costs, what is left, what was decided before")
    func shown() async throws {
        let bench = try Bench(
            stage: stage,
            playbook("      - { name: kill, action: container.kill, approval: { expires: 10m } }\n", "    description: Never normal here.\n    budget: { actions: 3, per: 1h }\n"))
        let before = try await bench.respond(two)[0].id
        _ = await bench.engine.answer(.deny, before, by: ann)
        _ = try await bench.respond(one, fields: ["proc.cmdline": "sh -c \u{1B}[2J"])
        let view = try #require(await bench.engine.openQuestions().first)
        let json = view.json
        #expect(json["action"] == "container.kill" && json["description"] == "Never normal here." && json["budget_left"] == 3)
        #expect(json["before"]?["denied"] == 1 && json["before"]?["granted"] == 0)
        #expect(json["plans"]?.array?.first?["why"]?["rule"] == "r" && json["undo"]?["available"] == false)
        #expect(json["deadline"]?.string?.repaired == "\(bench.clock.now + .seconds(600))")
    }
}
