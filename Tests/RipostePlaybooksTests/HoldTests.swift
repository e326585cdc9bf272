import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Synchronization
import Testing

private let one = Bench.one
private let ann = person("ann", 1)

private func playbook(mode: String = "enforce") -> String {
    """
      - name: p
        mode: \(mode)
        match: { rules: r }
        steps:
          - { name: kill, action: container.kill, approval: { expires: 10m }, hold: container.pause }

    """
}

private let escalating = """
      - name: p
        match: { rules: r }
        steps:
          - { name: pause, action: container.pause, undo: { after: 2h }, escalate: { after: 10m, action: container.kill } }

    """

private let shared = """
      - name: p
        match: { rules: r }
        rollout: { stages: [{ mode: ask }, { mode: enforce, share: 50% }] }
        steps:
          - { name: note, action: container.note, approval: { expires: 10m, on_expiry: perform }, hold: container.pause }

    """

@Suite("Holds and escalations")
struct HoldTests {
    let stage = ContainerStage()

    @Test("beside the share of a roll-out neither a hold nor silence acts, also where others of the same workload are of it", arguments: [false, true])
    func besideShare(_ isOneQuestion: Bool) async throws {
        let bench = try Bench(stage: stage, shared) { $0.approvals.openLimit = 100 }
        bench.engine.beginRollouts()
        _ = try bench.engine.promote("p", actor: ann.actor, reason: "quiet")
        let names = (10..<30).map { "cccccccccc\($0)" }
        for name in names { _ = try await bench.respond(name, fields: isOneQuestion ? ["container.image.repository": "shop/web"] : [:]) }
        let held = names.filter { stage.condition($0) == .paused }
        #expect((1..<names.count).contains(held.count), "\(held)")
        #expect(bench.outcomes.count { $0 == "container.pause planned" } == names.count - held.count)
        var noted = Set(held)
        if !isOneQuestion {
            // A person's yes is as good as ever.
            let asked = try #require(names.first { !held.contains($0) })
            let question = try #require(bench.engine.snapshot.approvals.requests.values.first { $0.opening.target?.key == "container:\(asked)" })
            #expect(await bench.engine.answer(.approve, question.id, by: ann).results.map(\.outcome) == [.done])
            noted.insert(asked)
        }
        await bench.settle(after: .seconds(600))
        #expect(Set(stage.deeds.filter { $0.hasPrefix("container.note") }.map { String($0.dropFirst(15)) }) == noted)
        #expect(names.allSatisfy { stage.condition($0) == .running } && bench.engine.snapshot.approvals.requests.isEmpty && bench.state == bench.engine.snapshot)
    }

    @Test("a hold is in force while a person decides, and becomes the real step")
    func granted() async throws {
        let bench = try Bench(stage: stage, playbook())
        let id = try #require(try await bench.respond(one).first { $0.outcome == .pending }).id
        #expect(stage.condition(one) == .paused)
        #expect(bench.engine.snapshot.openUndos.values.first?.due == bench.clock.now + .seconds(900), "its time is the question's and five minutes")
        #expect(await bench.engine.answer(.approve, id, by: ann).results.map(\.outcome) == [.done])
        await bench.engine.idle()
        #expect(stage.deeds == ["container.pause \(one)", "container.kill \(one)"])
        #expect(bench.engine.snapshot.openUndos.isEmpty && bench.engine.snapshot.openRuns.isEmpty)
    }

    @Test("an agent that takes up its questions does not begin a hold a second time")
    func takenUp() async throws {
        let slow = SlowGuard()
        let bench = try Bench(stage: stage, playbook(), guards: [slow])
        let response = Task { try await bench.respond(one) }
        await slow.entered.pass()
        _ = await bench.engine.recover()
        await slow.gate.open()
        _ = try await response.value
        await bench.engine.idle()
        #expect(bench.log.records.count { $0.kind == .outcome && $0.step == "kill.hold" } == 1 && stage.deeds == ["container.pause \(one)"])
    }

    @Test("a hold that was wanted when the agent ended is only planned where the mode is not enforce any more", arguments: [Mode.observe, .ask, .enforce])
    func modeSince(_ later: Mode) async throws {
        let first = try Bench(stage: ContainerStage(), playbook())
        _ = try await first.respond(one)
        let records = first.log.records
        let asked = try #require(records.firstIndex { $0.kind == .approval })
        let state = records[...asked].reduce(into: EngineState()) { $0.apply($1) }
        let second = try Bench(stage: stage, playbook(), mode: later, state: state, clock: first.clock)
        _ = await second.engine.recover()
        await second.engine.idle()
        #expect(stage.condition(one) == (later == .enforce ? .paused : .running))
        #expect(second.outcomes.filter { $0.hasPrefix("container.pause") } == ["container.pause \(later == .enforce ? "done" : "planned")"])
    }

    /// Looks long at a hold.
    private struct SlowGuard: Guard {
        let name = "slow"
        let entered = Gate()
        let gate = Gate()

        func refusal(of plan: Plan) async -> String? {
            guard plan.action == "container.pause" else { return nil }
            await entered.open()
            await gate.pass()
            return nil
        }
    }

    @Test("a no, silence, and a withdrawal let go what was held", arguments: ["deny", "silence", "undo", "reload"])
    func letGo(_ how: String) async throws {
        let bench = try Bench(stage: stage, playbook())
        let id = try #require(try await bench.respond(one).first { $0.outcome == .pending }).id
        switch how {
        case "deny": _ = await bench.engine.answer(.deny, id, by: ann)
        case "silence": await bench.settle(after: .seconds(600))
        case "undo": _ = await bench.engine.undo(id, actor: ann.actor)
        default: bench.engine.use(.empty)
        }
        await bench.engine.idle()
        #expect(stage.deeds == ["container.pause \(one)", "container.unpause \(one)"])
        #expect(bench.engine.snapshot.openUndos.isEmpty && bench.engine.snapshot.approvals.looseHolds.isEmpty)
    }

    @Test(
        "what a person has done too while it was held stays as they were told, whatever the answer, and also where it would not be let go before",
        arguments: ["deny", "silence", "stuck"], [nil, Duration.seconds(7200)])
    func takenOver(_ how: String, _ length: Duration?) async throws {
        let limit = ReleaseLimit(.observe)
        if how != "stuck" { limit.lift() }
        let bench = try Bench(stage: stage, playbook(), guards: [limit])
        let id = try #require(try await bench.respond(one).first { $0.outcome == .pending }).id
        if how == "stuck" { await bench.settle(after: .seconds(600)) }
        var order = Order(actor: ann.actor, action: "container.pause", claim: .container(.init(reference: one)), mode: .enforce)
        order.undoAfter = length
        let told = await bench.engine.carryOut(order)
        #expect(told.outcome == .already && told.detail?.contains("it stays until") == true)
        limit.lift()
        if how == "deny" { _ = await bench.engine.answer(.deny, id, by: ann) }
        await bench.settle(after: .seconds(1800))
        #expect(stage.condition(one) == .paused && bench.engine.snapshot.approvals.looseHolds.isEmpty && bench.engine.snapshot.openUndos.count == 1)
        #expect(bench.state == bench.engine.snapshot && EngineState(json: bench.state.json) == bench.state)
        await bench.settle(after: .seconds(7200))
        #expect(stage.condition(one) == (length == nil ? .paused : .running))
    }

    @Test("a hold that is not let go is tried again after growing pauses, not at once", arguments: [Mode.observe, .ask])
    func stuck(_ most: Mode) async throws {
        let limit = ReleaseLimit(most)
        let bench = try Bench(stage: stage, playbook(), guards: [limit])
        _ = try await bench.respond(one)
        await bench.settle(after: .seconds(600))
        for _ in 1...5 { await bench.settle(after: .zero) }
        #expect(limit.attempts == 1)
        for (length, attempts) in [(10, 2), (10, 2), (10, 3), (20, 3), (20, 4), (10, 4)] {
            await bench.settle(after: .seconds(length))
            #expect(limit.attempts <= attempts)
        }
        // People are asked once, and not again as long as they have not answered.
        #expect(most == .ask ? limit.attempts == 1 : limit.attempts > 1)
        #expect(stage.condition(one) == .paused)
        limit.lift()
        for _ in 1...12 { await bench.settle(after: .seconds(300)) }
        #expect(stage.condition(one) == .running && bench.engine.snapshot.approvals.looseHolds.isEmpty)
    }

    @Test("a hold that is not let go is tried again by the time that passes, whoever sets the clock back")
    func stuckOnSetClock() async throws {
        let limit = ReleaseLimit(.observe)
        let bench = try Bench(stage: stage, playbook(), guards: [limit])
        _ = try await bench.respond(one)
        await bench.settle(after: .seconds(600))
        #expect(limit.attempts == 1)
        limit.lift()
        bench.clock.set(to: bench.clock.now + .seconds(-7200))
        await bench.settle(after: .seconds(5))
        #expect(stage.condition(one) == .paused)
        await bench.settle(after: .seconds(15))
        #expect(stage.condition(one) == .running && bench.engine.snapshot.approvals.looseHolds.isEmpty)
    }

    /// Leaves no more than this mode of letting go, until it is lifted.
    private final class ReleaseLimit: Guard {
        let name = "releases"
        private let state: Mutex<(most: Mode?, attempts: Int)>

        init(_ most: Mode) { state = Mutex((most, 0)) }

        var attempts: Int { state.withLock(\.attempts) }
        func lift() { state.withLock { $0.most = nil } }

        func answer(to question: GuardQuestion) async -> GuardAnswer? {
            guard question.isRelease else { return nil }
            return state.withLock { state in
                state.attempts += 1
                return state.most.map { GuardAnswer(name: name, verdict: .atMost($0), reason: "not now") }
            }
        }
    }

    @Test("where the mode is not enforce without the question, the hold is planned like the rest")
    func planned() async throws {
        let bench = try Bench(stage: stage, playbook(mode: "ask"))
        #expect(try await bench.respond(one).map(\.outcome).sorted { $0.rawValue < $1.rawValue } == [.pending, .planned])
        #expect(stage.deeds.isEmpty)
    }

    @Test("nobody answers: the stronger action follows, once")
    func escalates() async throws {
        let bench = try Bench(stage: stage, escalating)
        _ = try await bench.respond(one)
        #expect(stage.condition(one) == .paused && bench.engine.snapshot.openRuns.isEmpty, "the run does not wait for it")
        #expect(try bench.question().kind == .escalation)
        await bench.settle(after: .seconds(599))
        #expect(stage.kills == 0)
        await bench.settle(after: .seconds(1))
        await bench.settle(after: .seconds(3600))
        #expect(stage.kills == 1)
        let intent = try #require(bench.log.records.last { $0.kind == .intent && $0.action == "container.kill" })
        #expect(intent.detail["approval"]?["unanswered"] == true)
    }

    @Test("a no, and taking back the first action, keep it from happening; a yes does it at once", arguments: ["deny", "undo", "approve"])
    func answered(_ how: String) async throws {
        let bench = try Bench(stage: stage, escalating)
        let deed = try #require(try await bench.respond(one).first { $0.outcome == .done }).id
        let question = try bench.question().id
        switch how {
        case "deny": #expect(await bench.engine.answer(.deny, question, by: ann).results.map(\.outcome) == [.refused])
        case "approve": #expect(await bench.engine.answer(.approve, question, by: ann).results.map(\.outcome) == [.done])
        default: #expect(await bench.engine.undo(deed, actor: ann.actor).outcome == .undone)
        }
        await bench.settle(after: .seconds(601))
        #expect(stage.kills == (how == "approve" ? 1 : 0) && bench.engine.snapshot.approvals.requests.isEmpty)
    }

    @Test("no act without enforce: an observing or asking playbook does not escalate, and a mode lowered since does not either", arguments: [Mode.observe, .ask, .enforce])
    func careful(_ later: Mode) async throws {
        let first = try Bench(stage: stage, escalating)
        _ = try await first.respond(one)
        let second = try Bench(stage: stage, escalating, mode: later, state: first.state, clock: first.clock)
        _ = await second.engine.recover()
        await second.settle(after: .seconds(600))
        #expect(stage.kills == (later == .enforce ? 1 : 0))
    }

    @Test("an agent that was away for long does not escalate out of the blue")
    func late() async throws {
        let bench = try Bench(stage: stage, escalating)
        _ = try await bench.respond(one)
        await bench.settle(after: .seconds(1201))
        #expect(stage.kills == 0 && bench.outcomes.last == "container.kill expired")
    }
}
