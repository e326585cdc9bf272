import RiposteCore
@testable import RipostePlaybooks
import RiposteTestSupport
import Synchronization
import Testing

/// Waits until something is so; what is waited for happens in other tasks.
private func until(_ isSo: () -> Bool) async { while !isSo() { await Task.yield() } }

private let busy = ActionError(.busy, "mark", "come back later")

@Suite("Steps")
struct StepFeatureTests {
    private static func playbook(_ steps: String) -> String { "  - name: p\n    match: { rules: r }\n    steps:\n\(steps)\n" }

    private func outcomes(_ bench: Bench) -> [String: Outcome] {
        Dictionary(
            bench.log.records.compactMap { record in
                record.kind == .outcome && record.undoes == nil ? record.step.flatMap { step in record.outcome.map { (step, $0) } } : nil
            },
            uniquingKeysWith: { $1 })
    }

    // MARK: - Structure

    @Test("later conditions ask how earlier steps ended, and later parameters what they left")
    func conditions() async throws {
        let bench = try Bench(
            Self.playbook(
                """
                    - { name: first, action: container.pause, with: { note: "{{ proc.name | default: \\"nobody\\" }}" } }
                    - { name: seen, action: container.kill, when: steps.first.outcome = done and steps.first.confirmed = true and steps.first.detail.note = nobody }
                    - { name: unseen, action: container.kill, when: "steps.first.outcome in (already, gone)" }
                    - { name: web, action: container.kill, when: "target.container.image = i and target.kind = container", with: { note: "{{ steps.first.detail.note }}" } }
                    - { name: other, action: container.kill, when: target.container.image = other }
                    - { name: observed, action: container.kill, when: run.mode = observe }
                """))
        _ = try await bench.respond(Bench.one)
        // All share one mark, so that what came second finds it there.
        #expect(
            outcomes(bench) == ["first": .done, "seen": .already, "unseen": .skipped, "web": .already, "other": .skipped, "observed": .skipped])
        let reasons = bench.log.records.filter { $0.kind == .outcome && $0.outcome == .skipped }.compactMap(\.message)
        #expect(reasons.contains { $0.contains("its condition does not hold for") })
    }

    @Test("nobody who makes alerts can say how a step ended")
    func forged() async throws {
        let bench = try Bench(
            Self.playbook("    - { name: a, action: container.pause, when: evt.type exists }\n    - { name: b, action: container.kill, when: steps.a.outcome = done }"))
        _ = try await bench.respond(Bench.one, fields: ["steps.a.outcome": "done", "run.mode": "enforce"])
        #expect(outcomes(bench) == ["a": .skipped, "b": .skipped])
    }

    @Test("steps of one block run together: a slow one holds up none of the others, and all must end")
    func parallel() async throws {
        let world = RecordingWorld()
        let entered = Gate()
        let gate = Gate()
        let slow = HeldAction("container.kill", entered: entered, gate: gate)
        let catalogue = ActionCatalogue([RecordingAction("container.pause", world: world, inverse: "container.unpause"), slow])
        let bench = try Bench(
            Self.playbook(
                "    - parallel:\n        - { name: slow, action: container.kill }\n        - { name: quick, action: container.pause }\n    - { name: after, action: container.pause }"
            ),
            world: world, catalogue: catalogue)
        let run = Task { try await bench.respond(Bench.one) }
        await entered.pass()
        await until { outcomes(bench)["quick"] == .done }
        #expect(outcomes(bench)["slow"] == nil && outcomes(bench)["after"] == nil)
        await gate.open()
        _ = try await run.value
        #expect(outcomes(bench) == ["slow": .done, "quick": .done, "after": .already])
    }

    @Test("the agent ends at any record of a run with blocks and needs: no step is done twice, none is forgotten")
    func everyCrash() async throws {
        let playbook = Self.playbook(
            """
                - parallel:
                    - { name: a, action: container.pause }
                    - { name: b, action: container.mark }
                - { name: c, action: container.kill, needs: [a, parallel-1] }
                - { name: d, action: container.pause, needs: [c], when: steps.c.outcome exists }
            """)
        func catalogue(_ world: RecordingWorld, _ marks: RecordingWorld, _ kills: RecordingWorld) -> ActionCatalogue {
            ActionCatalogue([
                RecordingAction("container.pause", world: world, inverse: "container.unpause"), RecordingAction("container.unpause", world: world, takesAway: true),
                RecordingAction("container.mark", world: marks), RecordingAction("container.kill", world: kills, impact: .destroys),
            ])
        }
        let worlds = (RecordingWorld(), RecordingWorld(), RecordingWorld())
        let whole = try Bench(playbook, world: worlds.0, catalogue: catalogue(worlds.0, worlds.1, worlds.2))
        _ = try await whole.respond(Bench.one)
        #expect(outcomes(whole) == ["a": .done, "b": .done, "c": .done, "d": .already])
        let records = whole.log.records
        for cut in 0...records.count {
            for deedWasDone in [false, true] {
                var state = EngineState()
                for record in records.prefix(cut) { state.apply(record) }
                let (world, marks, kills) = (RecordingWorld(), RecordingWorld(), RecordingWorld())
                let places: [String: RecordingWorld] = ["container.pause": world, "container.mark": marks, "container.kill": kills]
                for record in records.prefix(cut) where record.kind == .outcome && record.outcome == .done { try await places[record.action ?? ""]?.mark(Bench.one) }
                for intent in state.openIntents.values where deedWasDone { try await places[intent.record.action ?? ""]?.mark(Bench.one) }
                let open = state.openIntents.count
                let next = try Bench(playbook, state: try #require(EngineState(json: state.json)), world: world, catalogue: catalogue(world, marks, kills))
                _ = await next.engine.recover()
                await next.engine.idle()
                let after = next.log.records.reduce(into: state) { $0.apply($1) }
                #expect(after.openIntents.isEmpty && after.openRuns.isEmpty, "cut \(cut)")
                guard cut > 0 else { continue }
                #expect([world, marks, kills].allSatisfy { $0.marks.count == 1 }, "cut \(cut): a step was forgotten")
                let again = [world, marks, kills].flatMap(\.performed).filter { !$0.hasPrefix("test") }
                let before = records.prefix(cut).count { $0.outcome == .done }
                #expect(again.count == 3 - before - (deedWasDone ? open : 0), "cut \(cut): a step was done twice")
            }
        }
    }

    // MARK: - Retry

    @Test("what may pass is tried again; one record tells of all attempts, and the act counts once")
    func retries() async throws {
        let bench = try Bench(Self.playbook("    - { name: a, action: container.pause, retry: { max: 3, delay: 1s, jitter: false } }"))
        bench.world.fail(with: busy, times: 2)
        let run = Task { try await bench.respond(Bench.one) }
        for _ in 0..<2 {
            await until { bench.engine.ordersUnderWay(atLeast: .zero).first?.phase == .retrying }
            let attempt = bench.engine.ordersUnderWay(atLeast: .zero).first
            #expect(attempt?.lastError == "mark: come back later")
            await until { bench.clock.sleepers == 2 }
            bench.clock.advance(by: .seconds(2))
            await until { bench.engine.ordersUnderWay(atLeast: .zero).first.map { $0.phase != .retrying || $0.failures != attempt?.failures } ?? true }
        }
        _ = try await run.value
        #expect(outcomes(bench) == ["a": .done])
        #expect(bench.log.records.map(\.kind) == [.alert, .intent, .outcome, .run])
        let record = try #require(bench.log.records.first { $0.kind == .outcome })
        #expect(record.detail["failed_attempts"]?.integer == 2 && record.detail["attempt_failures"]?.array?.first?["class"]?.string == "busy")
    }

    @Test("no attempt begins that the time limit would cut off, and a long Retry-After ends it at once")
    func retryAfter() async throws {
        let bench = try Bench(Self.playbook("    - { name: a, action: container.pause, timeout: 5s }"))
        bench.world.fail(with: ActionError(.busy, "mark", "come back later", retryAfter: .seconds(60)))
        #expect(try await bench.respond(Bench.one).map(\.outcome) == [.failed])
    }

    @Test("what does not pass is not tried again", arguments: [FailureClass.denied, .invalid, .unsupported, .policy, .partial])
    func noRetry(_ failure: FailureClass) async throws {
        let bench = try Bench(Self.playbook("    - { name: a, action: container.pause }"))
        bench.world.fail(with: ActionError(failure, "mark", "no"), times: 1)
        #expect(try await bench.respond(Bench.one).map(\.outcome) == [failure.outcome])
        #expect(bench.world.performed.isEmpty)
    }

    @Test("a timeout of the deed itself: the world is looked at before another attempt")
    func lostAnswer() async throws {
        let bench = try Bench(Self.playbook("    - { name: a, action: container.pause, undo: { after: 1h } }"))
        let world = bench.world
        bench.world.fail(with: ActionError(.timeout, "mark", "no answer"), times: 1)
        // The deed takes effect all the same, and only its answer is lost.
        bench.world.hold { world.markSilently(Bench.one) }
        #expect(try await bench.respond(Bench.one).map(\.outcome) == [.done])
        #expect(bench.world.performed.isEmpty && bench.state.openUndos.count == 1)
    }

    // MARK: - Timeout

    @Test("a deed that hangs ends its step in time; its target's turn is kept until it comes back, and what it did then is on record", arguments: [false, true])
    func hanging(isPrompt: Bool) async throws {
        let world = RecordingWorld()
        let bench = try Bench(
            Self.playbook("    - { name: a, action: container.pause, with: { note: kept }, timeout: 3s, undo: { after: 1h } }"), world: world,
            catalogue: Bench.catalogue(world, isPrompt: isPrompt))
        let (entered, gate) = (Gate(), Gate())
        bench.world.hold {
            await entered.open()
            await gate.pass()
        }
        let run = Task { try await bench.respond(Bench.one) }
        await entered.pass()
        await until { bench.clock.sleepers == 1 }
        bench.clock.advance(by: .seconds(3))
        await until { bench.clock.sleepers == 1 }
        bench.clock.advance(by: Engine.settlingTime)
        let results = try await run.value
        #expect(results.map(\.outcome) == [.failed] && results[0].reason?.contains("its 3s were up, and it is not in effect") == true)
        #expect(bench.engine.ordersUnderWay().map(\.phase) == [.hanging])
        // The next one at this target does not get its turn.
        let next = Task { try await bench.respond(Bench.one) }
        await until { bench.engine.ordersUnderWay(atLeast: .zero).contains { $0.phase == .waiting } }
        await until { bench.clock.sleepers == 1 }
        bench.clock.advance(by: .seconds(3))
        #expect(try await next.value.map(\.outcome) == [.failed])
        bench.world.hold(nil)
        await gate.open()
        await until { bench.engine.ordersUnderWay(atLeast: .zero).isEmpty }
        let late = try #require(bench.log.records.last { $0.kind == .outcome })
        #expect(late.outcome == .done && late.detail["late"] == true && late.id == results[0].id)
        #expect(bench.state.openUndos.count == 1, "what came through late can be taken back")
        #expect(bench.state.openUndos.values.first?.parameters["note"] == "kept", "and done again as it was")
        #expect(bench.takeResults().map(\.outcome) == [.done], "and it is reported")
        #expect(try await bench.respond(Bench.one).map(\.outcome) == [.already], "the turn is free again")
    }

    /// An agent whose deed hangs: its outcome is on record, and it has not come back. The gate lets it.
    private func hung(configure: (inout Engine.Configuration) -> Void = { _ in }) async throws -> (bench: Bench, gate: Gate) {
        let bench = try Bench(Self.hanging, configure: configure)
        let (entered, gate) = (Gate(), Gate())
        bench.world.hold {
            await entered.open()
            await gate.pass()
        }
        let run = Task { try await bench.respond(Bench.one) }
        await entered.pass()
        await until { bench.clock.sleepers == 1 }
        bench.clock.advance(by: .seconds(3))
        await until { bench.clock.sleepers == 1 }
        bench.clock.advance(by: Engine.settlingTime)
        #expect(try await run.value.map(\.outcome) == [.failed])
        bench.world.hold(nil)
        return (bench, gate)
    }

    private static let hanging = playbook("    - { name: a, action: container.pause, timeout: 3s, undo: { after: 1h } }")

    @Test("a hanging deed counts as one act, as it does after a restart")
    func hungCountsOnce() async throws {
        func limit(_ configuration: inout Engine.Configuration) { configuration.budgets = [AgentBudget("all", Budget(actions: 4, per: .seconds(3600)))] }
        let (bench, gate) = try await hung(configure: limit)
        #expect(bench.engine.budgetsInForce.map(\.used) == [1])
        #expect(try bench.restarted(Self.hanging, configure: limit).engine.budgetsInForce.map(\.used) == [1])
        await gate.open()
        await until { bench.engine.ordersUnderWay(atLeast: .zero).isEmpty }
        #expect(bench.engine.budgetsInForce.map(\.used) == [1])
    }

    @Test("a hanging deed whose answer is lost in the end: the world is asked what it came to", arguments: [true, false])
    func lostLate(_ tookEffect: Bool) async throws {
        let (bench, gate) = try await hung()
        let error = ActionError(.unavailable, "mark", "connection reset")
        if tookEffect { bench.world.loseAnswers(with: error) } else { bench.world.fail(with: error) }
        await gate.open()
        await until { bench.engine.ordersUnderWay(atLeast: .zero).isEmpty }
        let late = try #require(bench.log.records.last { $0.kind == .outcome })
        #expect(late.detail["late"] == true && late.outcome == (tookEffect ? .done : .failed))
        #expect(bench.state.openUndos.count == (tookEffect ? 1 : 0) && bench.state.hanging.isEmpty && bench.state == bench.engine.snapshot)
    }

    @Test(
        "the agent ends while a deed hangs: the next one asks the world what it came to, once",
        arguments: [("carried out after all", Outcome.done, 1), ("not carried out", .failed, 0), ("done by another since", .failed, 1)])
    func hungAtTheEnd(_ what: String, _ expected: Outcome, _ undos: Int) async throws {
        let (dead, gate) = try await hung()
        #expect(dead.state.hanging.count == 1)
        if what == "carried out after all" { dead.world.markSilently(Bench.one) }
        if what == "done by another since" {
            var other = AuditRecord(.outcome, at: dead.clock.now, id: .new(at: dead.clock.now), detail: ["undo": ["inverse": "container.unpause"]])
            (other.action, other.outcome, other.target) = ("container.pause", .done, dead.log.records.last { $0.kind == .intent }?.target)
            try dead.log.append(other)
            dead.world.markSilently(Bench.one)
        }
        let next = try dead.restarted(Self.hanging)
        #expect(await next.engine.recover().intents.map(\.outcome) == [expected])
        #expect(next.engine.snapshot.openUndos.count == undos && next.engine.snapshot.hanging.isEmpty)
        #expect(next.log.records.first { $0.kind == .outcome }?.detail["late"] == true)
        #expect(next.engine.snapshot.ledger.acts.count == 1, "it counts as one act, as it did when nobody could say that it was none")
        await gate.open()
    }

    @Test("an attempt whose answer was lost, and a guard that then forbids another one: the world is asked what the first came to")
    func doubtBeforeRefusal() async throws {
        let ban = Ban()
        let bench = try Bench(Self.playbook("    - { name: a, action: container.pause, undo: { after: 1h } }"), guards: [ban])
        bench.world.loseAnswers(with: ActionError(.unavailable, "mark", "connection reset"))
        let run = Task { try await bench.respond(Bench.one) }
        await until { bench.engine.ordersUnderWay(atLeast: .zero).first?.phase == .retrying && bench.clock.sleepers == 2 }
        ban.begin()
        bench.clock.advance(by: .seconds(1))
        #expect(try await run.value.map(\.outcome) == [.done])
        #expect(bench.world.performed.count == 1 && bench.state.openUndos.count == 1)
    }

    /// Forbids everything, from a moment on.
    private final class Ban: Guard {
        let name = "ban"
        private let isOn = Mutex(false)

        func begin() { isOn.withLock { $0 = true } }
        func refusal(of plan: Plan) async -> String? { isOn.withLock(\.self) ? "not any more" : nil }
    }

    @Test("nobody watches over a prompt action that waits for nothing; over another one somebody does", arguments: [false, true])
    func prompt(isPrompt: Bool) async throws {
        let world = RecordingWorld()
        let bench = try Bench(Self.playbook("    - { name: a, action: container.pause }"), world: world, catalogue: Bench.catalogue(world, isPrompt: isPrompt))
        #expect(try await bench.respond(Bench.one).map(\.outcome) == [.done])
        #expect((bench.clock.sleeps == 0) == isPrompt)
    }

    @Test("what took effect before the time was up is done")
    func inTimeAfterAll() async throws {
        let bench = try Bench(Self.playbook("    - { name: a, action: container.pause, timeout: 3s }"))
        let (entered, gate) = (Gate(), Gate())
        let world = bench.world
        bench.world.hold {
            world.markSilently(Bench.one)
            await entered.open()
            await gate.pass()
        }
        let run = Task { try await bench.respond(Bench.one) }
        await entered.pass()
        await until { bench.clock.sleepers == 1 }
        bench.clock.advance(by: .seconds(3))
        await until { bench.clock.sleepers == 1 }
        bench.clock.advance(by: Engine.settlingTime)
        #expect(try await run.value.map(\.outcome) == [.done])
        await gate.open()
    }

    @Test("what an action waits for its target is added to the standard limit")
    func patience() async throws {
        let bench = try Bench(Self.playbook("    - { name: a, action: container.pause, with: { grace: 1m } }"))
        let (entered, gate) = (Gate(), Gate())
        bench.world.hold {
            await entered.open()
            await gate.pass()
        }
        let run = Task { try await bench.respond(Bench.one) }
        await entered.pass()
        await until { bench.clock.sleepers == 1 }
        bench.clock.advance(by: .seconds(69))
        await gate.open()
        #expect(try await run.value.map(\.outcome) == [.done])
    }

    // MARK: - Cancel

    private let ann = AuditRecord.Actor(.person, name: "ann", uid: 1000)

    @Test("called off while it waits for its turn: refused, nothing touched, and the journal says by whom")
    func cancelBefore() async throws {
        let bench = try Bench(Self.playbook("    - { name: a, action: container.pause }\n    - { name: b, action: container.kill }"))
        #expect(bench.engine.lanes.enterAtOnce("container:\(Bench.one)"))
        let run = Task { try await bench.respond(Bench.one) }
        await until { bench.engine.ordersUnderWay(atLeast: .zero).contains { $0.phase == .waiting } }
        let order = try #require(bench.engine.ordersUnderWay(atLeast: .zero).first)
        let result = await bench.engine.cancel(order.id, actor: ann, reason: "false alarm")
        #expect(result?.outcome == .refused && result?.mayBeInEffect == false && result?.reason?.contains("called off by ann: false alarm") == true)
        _ = try await run.value
        #expect(outcomes(bench) == ["a": .refused, "b": .skipped] && bench.world.performed.isEmpty)
        let record = try #require(bench.log.records.first { $0.step == "a" && $0.kind == .outcome })
        #expect(record.failure == .cancelled && record.detail["cancelled"]?["actor"]?["name"]?.string == "ann")
        #expect(await bench.engine.cancel(order.id, actor: ann) == nil, "it has ended")
        bench.engine.lanes.leave("container:\(Bench.one)")
    }

    @Test("called off while the deed waits: it heeds, the world is looked at, and the truth is told", arguments: [false, true])
    func cancelDuring(_ tookEffect: Bool) async throws {
        let bench = try Bench(Self.playbook("    - { name: a, action: container.pause, timeout: 1h }"))
        let entered = Gate()
        let (world, clock) = (bench.world, bench.clock)
        bench.world.fail(with: ActionError(.cancelled, "mark", "called off"))
        bench.world.hold {
            if tookEffect { world.markSilently(Bench.one) }
            await entered.open()
            try? await clock.sleep(.seconds(600))
        }
        let run = Task { try await bench.respond(Bench.one) }
        await entered.pass()
        let order = try #require(bench.engine.ordersUnderWay(atLeast: .zero).first)
        #expect(order.phase == .performing && order.target?.key == "container:\(Bench.one)" && order.step == "a")
        let result = await bench.engine.cancel(order.id, actor: ann)
        #expect(result?.outcome == (tookEffect ? .done : .failed) && result?.mayBeInEffect == tookEffect)
        _ = try await run.value
        #expect(bench.log.records.first { $0.kind == .outcome }?.detail["cancelled"] != nil)
    }

    @Test("called off between two attempts: there is no other one")
    func cancelRetry() async throws {
        let bench = try Bench(Self.playbook("    - { name: a, action: container.pause, timeout: 1h, retry: { max: 5, delay: 20s } }"))
        bench.world.fail(with: busy)
        let run = Task { try await bench.respond(Bench.one) }
        await until { bench.engine.ordersUnderWay(atLeast: .zero).first?.phase == .retrying }
        let id = try #require(bench.engine.ordersUnderWay(atLeast: .zero).first?.id)
        #expect(await bench.engine.cancel(id, actor: ann)?.outcome == .failed)
        _ = try await run.value
        #expect(bench.log.records.first { $0.kind == .outcome }?.failure == .cancelled)
    }
}

/// Lets the test say when it is done.
private struct HeldAction: Action {
    let description: ActionDescription
    private let entered: Gate
    private let gate: Gate

    init(_ name: ActionName, entered: Gate, gate: Gate) {
        description = ActionDescription(name: name, summary: "", target: .container, impact: .destroys)
        (self.entered, self.gate) = (entered, gate)
    }

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        guard case .container(let claim) = request.claim else { throw ActionError(.unresolved, "find", "none") }
        // Another target, so that its turn is its own.
        return Plan(action: description.name, target: .container(.init(id: "held-\(claim.reference)", name: "n", image: "i")), parameters: request.parameters, summary: "hold")
    }

    func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        await entered.open()
        await gate.pass()
        return Performance(.done)
    }
}
