import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

private let ann = AuditRecord.Actor(.person, name: "ann")
private let staged = """
      - name: p
        match: { rules: r }
        rollout:
          stages:
            - { mode: observe, for: 7d, min_runs: 2 }
            - { mode: ask, for: 3d, max_denied: 5%, auto: true }
            - { mode: enforce, share: 50% }
            - { mode: enforce, after: 7d }
          back_on: [undone_by_hand > 1, benign, breaker]
        steps: [{ action: container.pause }]

    """
private let day = Duration.seconds(86400)

@Suite("Roll-out")
struct RolloutTests {
    private func begun(_ playbooks: String = staged) throws -> Bench {
        let bench = try Bench(playbooks) { $0.approvals.openLimit = 100 }
        bench.engine.beginRollouts()
        return bench
    }

    private func stage(_ bench: Bench) -> Int {
        bench.engine.playbooks.playbooks[0].rollout.map { bench.engine.snapshot.rollouts.index(of: "p", $0) } ?? -1
    }

    private func objection(_ body: () throws -> Void) -> String {
        do { try body() } catch { return (error as? Engine.Objection)?.message ?? "\(error)" }
        return "none"
    }

    /// Goes through all stages; gives the bench in the last but one.
    private func enforcing() async throws -> Bench {
        let bench = try begun()
        for number in 0..<2 { _ = try await bench.respond("cccccccccc\(10 + number)") }
        await bench.pass(day * 7)
        await bench.pass(day * 3)
        _ = try bench.engine.promote("p", actor: ann, reason: "quiet")
        return bench
    }

    @Test("from observe to ask by itself, to enforce by a person only, and not before its time")
    func stages() async throws {
        let bench = try begun()
        #expect(try await bench.respond(Bench.one).map(\.modeBecause) == ["its roll-out is in stage 1 of 4, observe"])
        #expect(objection { _ = try bench.engine.promote("p", actor: ann) }.contains("stage 1 must last 7d"))
        await bench.pass(day * 7)
        #expect(objection { _ = try bench.engine.promote("p", actor: ann) }.contains("1 of 2 runs in stage 1"))
        _ = try await bench.respond(Bench.two)
        await bench.pass(.seconds(1))
        #expect(stage(bench) == 1)
        #expect(try await bench.respond(Bench.one).map(\.outcome) == [.pending])
        await bench.pass(day * 30)
        #expect(stage(bench) == 1)
        #expect(try bench.engine.promote("p", actor: ann) == "stage 3 of 4: enforce share 50%")
        let promotion = bench.log.records.last { $0.kind == .rollout }
        #expect(promotion?.actor == ann && promotion?.mode == .enforce)
        #expect(objection { _ = try bench.engine.promote("p", actor: ann) }.contains("stage 3 must last 7d"))
    }

    @Test("a share is of targets, always the same ones; the others stay in the mode before")
    func share() async throws {
        let bench = try await enforcing()
        var outcomes: [Outcome] = []
        for number in 0..<60 { outcomes += try await bench.respond("dddddddddd\(10 + number)").map(\.outcome) }
        #expect(Set(outcomes) == [.done, .pending])
        #expect((15...45).contains(outcomes.count { $0 == .done }))
        let second = try bench.restarted(staged) { $0.approvals.openLimit = 100 }
        var again: [Outcome] = []
        for number in 0..<60 { again += try await second.respond("dddddddddd\(10 + number)").map(\.outcome) }
        #expect(again.map { $0 == .pending } == outcomes.map { $0 == .pending })
        #expect(bench.engine.modeInKernel(of: bench.engine.playbooks.playbooks[0]) == .observe)
    }

    @Test("beside the share nothing that stands is made to last longer")
    func besideShare() async throws {
        let bench = try begun(
            """
              - name: p
                match: { rules: r }
                rollout: { stages: [{ mode: ask }, { mode: enforce, share: 50% }] }
                steps: [{ action: container.pause, undo: { after: 2h, extend: true } }]

            """)
        _ = try bench.engine.promote("p", actor: ann, reason: "quiet")
        var counts = [false: 0, true: 0]
        for number in 0..<20 {
            var order = Order(actor: ann, action: "container.pause", claim: .container(.init(reference: "dddddddddd\(10 + number)")), mode: .enforce)
            order.undoAfter = .seconds(600)
            let act = await bench.engine.carryOut(order)
            _ = bench.takeResults()
            let result = try #require(try await bench.respond("dddddddddd\(10 + number)").first)
            let isLonger = bench.engine.snapshot.openUndos[act.id]?.due != act.undo?.due
            #expect(result.outcome == .already && isLonger == (result.modeBecause == nil))
            counts[isLonger, default: 0] += 1
        }
        #expect(counts.values.allSatisfy { $0 > 0 }, "\(counts)")
    }

    @Test("deeds that a person took back throw it back, to a more careful stage")
    func undone() async throws {
        let bench = try await enforcing()
        var acted: [Identifier] = []
        for number in 0..<20 { acted += try await bench.respond("dddddddddd\(10 + number)").filter { $0.outcome == .done }.map(\.id) }
        _ = await bench.engine.undo(acted[0], actor: ann)
        // What time takes back is nobody's judgement.
        _ = await bench.engine.undo(acted[1], actor: .init(.timer, name: "undo.after"))
        #expect(stage(bench) == 2)
        _ = await bench.engine.undo(acted[2], actor: ann)
        #expect(stage(bench) == 1)
        let record = try #require(bench.log.records.last)
        #expect(record.kind == .rollout && record.detail["state"]?.string == "fell_back" && record.reason == "undone_by_hand > 1")
        #expect(bench.engine.snapshot.rollouts.track(of: "p").total.falsePositives == 2)
        #expect(bench.engine.snapshot.rollouts.track(of: "p").inStage.falsePositives == 0)
        #expect(bench.state == bench.engine.snapshot && EngineState(json: bench.state.json) == bench.state)
    }

    @Test("of many plans in one question each run counts that the no denies, also of those that are settled by another life", arguments: [false, true])
    func denied(_ diesInBetween: Bool) async throws {
        let rollout = "    rollout: { stages: [{ mode: observe }, { mode: ask }], back_on: [denied > 2] }\n"
        let text = "  - name: p\n    match: { rules: r }\n\(rollout)    steps: [{ action: container.pause }]\n"
        let bench = try begun(text)
        _ = try bench.engine.promote("p", actor: ann)
        for number in 0..<4 { _ = try await bench.respond("dddddddddd\(10 + number)", fields: ["container.image.repository": "shop/web"]) }
        let question = try bench.question()
        #expect(question.members.count == 4)
        if diesInBetween { bench.log.refuse([.outcome]) }
        _ = await bench.engine.answer(.deny, question.id, by: Person(ann))
        bench.log.refuse([])
        await bench.engine.idle()
        let last = diesInBetween ? try bench.restarted(text) { $0.approvals.openLimit = 100 } : bench
        if diesInBetween {
            _ = await last.engine.recover()
            await last.engine.idle()
        }
        #expect(last.engine.snapshot.rollouts.track(of: "p").total[.denied] == 4 && stage(last) == 0)
    }

    @Test("a release by hand is an undo by hand")
    func released() async throws {
        let bench = try Bench(Bench.pause)
        _ = try await bench.respond(Bench.one)
        _ = await bench.engine.carryOut(Order(actor: ann, action: "container.unpause", claim: .container(.init(reference: Bench.one)), mode: .enforce))
        #expect(bench.engine.snapshot.rollouts.track(of: "p").total.faults == [.undoneByHand: 1])
    }

    @Test("what was done in part, and a person takes back, counts like what was done", arguments: [false, true])
    func undoneInPart(_ isRelease: Bool) async throws {
        let pack = Pack()
        let bench = try Bench(Bench.pause, catalogue: pack.catalogue)
        pack.breakOff("container.pause", after: 2, .denied)
        let result = try await bench.respond(Bench.one)[0]
        let release = Order(actor: ann, action: "container.unpause", claim: .container(.init(reference: Bench.one)), mode: .enforce)
        let back = isRelease ? await bench.engine.carryOut(release) : await bench.engine.undo(result.id, actor: ann)
        #expect(result.outcome == .failed && back.outcome == (isRelease ? .done : .undone))
        #expect(bench.engine.snapshot.rollouts.track(of: "p").total.faults == [.undoneByHand: 1])
        #expect(bench.state == bench.engine.snapshot && EngineState(json: bench.state.json) == bench.state)
    }

    @Test("an alert called benign counts against the playbooks that answered it; called real it does no more")
    func marks() async throws {
        let bench = try await enforcing()
        let alert = try bench.alert(Bench.one)
        _ = try await bench.respond(to: alert)
        #expect(try bench.engine.mark(alert.id, as: .benign, actor: ann, reason: "a debug session") == ["p"])
        #expect(stage(bench) == 1)
        #expect(bench.engine.snapshot.rollouts.track(of: "p").total.falsePositives == 1)
        _ = try bench.engine.mark(alert.id, as: .real, actor: ann)
        #expect(bench.engine.snapshot.rollouts.track(of: "p").total.falsePositives == 0)
        #expect(objection { _ = try bench.engine.mark(.new(), as: .benign, actor: ann) }.contains("no playbook answered"))
    }

    @Test("what was called benign in an earlier stage, and is called real now, changes nothing of this stage's count")
    func markedBefore() async throws {
        let bench = try begun(staged.replacing("benign, ", with: "benign > 1, "))
        let alerts = try (0..<4).map { try bench.alert("cccccccccc\(10 + $0)") }
        for alert in alerts.prefix(2) { _ = try await bench.respond(to: alert) }
        _ = try bench.engine.mark(alerts[0].id, as: .benign, actor: ann)
        await bench.pass(day * 7)
        #expect(stage(bench) == 1)
        for index in 2..<4 { _ = try await bench.respond(to: bench.alert("cccccccccc\(10 + index)")) }
        let late = try #require(bench.log.records.filter { $0.kind == .alert }.last?.id)
        _ = try bench.engine.mark(late, as: .benign, actor: ann)
        _ = try bench.engine.mark(alerts[0].id, as: .real, actor: ann)
        let track = bench.engine.snapshot.rollouts.track(of: "p")
        #expect(track.inStage[.benign] == 1 && track.total[.benign] == 1)
        _ = try bench.engine.mark(late, as: .real, actor: ann)
        #expect(bench.engine.snapshot.rollouts.track(of: "p").inStage[.benign] == 0)
        #expect(bench.state == bench.engine.snapshot && EngineState(json: bench.state.json) == bench.state)
    }

    @Test("a breaker counts against whose budget is spent; one of the agent's, which others spend too, against nobody", arguments: [false, true])
    func breakers(_ isOwn: Bool) async throws {
        let own = isOwn ? "    budget: { actions: 1, per: 1h }\n" : ""
        let text =
            "  - name: p\n\(own)    match: { rules: r }\n    steps: [{ action: container.pause }]\n  - name: q\n    match: { rules: q }\n    steps: [{ action: container.pause }]\n"
        let bench = try Bench(text) { if !isOwn { $0.budgets = [AgentBudget("all", Budget(actions: 1, per: .seconds(3600)))] } }
        _ = try await bench.respond(Bench.one, rule: isOwn ? "r" : "q")
        _ = try await bench.respond(Bench.two)
        #expect(bench.engine.snapshot.breakers.all.map(\.state) == [.open])
        #expect(bench.engine.snapshot.rollouts.track(of: "p").total[.breaker] == (isOwn ? 1 : 0))
    }

    @Test("a run that was not carried on after a restart is no run of the stage")
    func notCarriedOn() async throws {
        let text = "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause, approval: { expires: 1h } }]\n"
        let bench = try Bench(text)
        _ = try await bench.respond(Bench.one)
        let next = try bench.restarted(text.replacing("1h", with: "2h"))
        _ = await next.engine.recover()
        await next.engine.idle()
        #expect(next.log.records.last { $0.kind == .run }?.message?.hasPrefix("not carried on: ") == true)
        #expect(next.engine.snapshot.rollouts.track(of: "p").total.runs == 0 && next.engine.snapshot.openRuns.isEmpty)
    }

    @Test("a run counts once, whatever persons say of it")
    func once() async throws {
        let bench = try Bench(Bench.pause)
        let alert = try bench.alert(Bench.one)
        let id = try await bench.respond(to: alert)[0].id
        _ = await bench.engine.undo(id, actor: ann)
        _ = try bench.engine.mark(alert.id, as: .benign, actor: ann)
        let track = bench.engine.snapshot.rollouts.track(of: "p")
        #expect(track.total.runs == 1 && track.total.falsePositives == 1)
    }

    @Test("what is to throw it back holds before it is written down: the agent may end in between")
    func crash() async throws {
        let bench = try await enforcing()
        let alert = try bench.alert(Bench.one)
        _ = try await bench.respond(to: alert)
        bench.log.refuse([])
        _ = try bench.engine.mark(alert.id, as: .benign, actor: ann)
        let cut = bench.log.records.prefix { $0.detail["state"]?.string != "fell_back" }
        let state = cut.reduce(into: EngineState()) { $0.apply($1) }
        let next = try Bench(staged, state: state, clock: bench.clock, world: bench.world)
        #expect(try await next.respond(Bench.two).map(\.outcome) == [.pending])
        next.engine.beginRollouts()
        #expect(next.log.records.contains { $0.detail["state"]?.string == "fell_back" })
    }

    @Test("changed stages begin anew, a restart does not")
    func changed() async throws {
        let bench = try await enforcing()
        let same = try bench.restarted(staged)
        same.engine.beginRollouts()
        #expect(stage(same) == 2 && same.log.records.isEmpty)
        let other = try bench.restarted(staged.replacing("7d, min_runs: 2", with: "8d, min_runs: 2"))
        other.engine.beginRollouts()
        #expect(stage(other) == 0 && other.log.records.last?.reason == "its stages were changed")
    }

    @Test("what cannot be taken back is let loose with a reason only")
    func reasons() async throws {
        let text = "  - name: p\n    match: { rules: r }\n    rollout: { stages: [{ mode: observe }, { mode: enforce }] }\n    steps: [{ action: container.destroy }]\n"
        let bench = try Bench(text, catalogue: ActionCatalogue([FailingAction("container.destroy")]))
        bench.engine.beginRollouts()
        #expect(objection { _ = try bench.engine.promote("p", actor: ann) }.contains("give a reason"))
        #expect(try bench.engine.promote("p", actor: ann, reason: "seen for a week") == "stage 2 of 2: enforce")
        #expect(objection { _ = try bench.engine.promote("p", actor: ann) }.contains("last stage"))
    }

    @Test(
        "what is no roll-out is said at its place",
        arguments: [
            ("stages: [{ mode: ask }, { mode: observe }]", "more careful than the one before it"), ("stages: []", "1 to 16 stages"),
            ("stages: [{ mode: observe }, { mode: enforce, auto: true }]", "riposte playbook promote"),
            ("stages: [{ mode: observe, share: 110% }]", "from 0% to 100%"), ("stages: [{ mode: observe, share: 5 }]", "from 0% to 100%"),
            ("stages: [{ mode: observe, auto: true }]", "nothing comes before the first stage"),
            ("stages: [{ mode: observe }], back_on: [deniedd > 1]", "did you mean \"denied\""), ("stages: [{ mode: observe }], back_on: [denied > x]", "a number after >"),
        ])
    func problems(_ rollout: String, _ expected: String) throws {
        let text = "  - name: p\n    match: { any: true }\n    rollout: { \(rollout) }\n    steps: [{ action: container.pause }]\n"
        #expect(Bench.problems(of: text).contains(expected))
    }

    @Test(
        "shares",
        arguments: [("10%", 1000), ("2.5%", 250), ("0.01%", 1), ("100%", 10_000), ("100.1%", nil), ("5", nil), ("-1%", nil), ("1.234%", nil), ("%", nil)] as [(String, Int?)])
    func shares(_ text: String, _ expected: Int?) {
        #expect(Rollout.share(of: text) == expected)
        if let expected { #expect(Rollout.percent(expected) == text) }
    }
}
