import Foundation
import Logging
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Synchronization
import Testing

private let one = Bench.one
private let two = Bench.two
private let pause = Bench.pause

@Suite("The engine")
struct EngineTests {
    @Test("the intent is on record before the deed, the outcome after it")
    func records() async throws {
        let bench = try Bench(pause)
        let results = try await bench.respond(one)
        #expect(results.map(\.outcome) == [.done])
        #expect(bench.log.records.map(\.kind) == [.alert, .intent, .outcome, .run])
        #expect(bench.world.performed == ["container.pause container:\(one)"])
        #expect(bench.log.records[1].id == results[0].id && bench.log.records[2].id == results[0].id)
    }

    @Test("the same plan twice: the second time it is so already")
    func twice() async throws {
        let bench = try Bench(pause)
        _ = try await bench.respond(one)
        #expect(try await bench.respond(one).map(\.outcome) == [.already])
        #expect(bench.world.performed.count == 1)
    }

    @Test("without an intent on record there is no deed")
    func noIntent() async throws {
        let bench = try Bench(pause)
        bench.log.refuse([.intent])
        #expect(try await bench.respond(one).map(\.outcome) == [.failed])
        #expect(bench.world.performed.isEmpty)
    }

    @Test("an alert that could not be made safe is not taken")
    func unsafe() async throws {
        let bench = try Bench(pause)
        bench.log.refuse([.alert])
        await #expect(throws: Engine.AdmissionError.self) { try await bench.respond(one) }
        #expect(bench.engine.underWay == 0)
    }

    @Test(
        "the most careful mode wins",
        arguments: [
            (Mode.enforce, "", Alert.Arrival.Trust.trusted, Outcome.done), (.observe, "mode: enforce", .trusted, .planned), (.enforce, "mode: observe", .trusted, .planned),
            (.enforce, "mode: ask", .trusted, .pending), (.enforce, "mode: enforce", .untrusted, .planned), (.ask, "mode: enforce", .trusted, .pending),
        ])
    func modes(_ agent: Mode, _ playbook: String, _ trust: Alert.Arrival.Trust, _ expected: Outcome) async throws {
        let bench = try Bench("  - name: p\n    \(playbook)\n    match: { rules: r }\n    steps: [{ action: container.pause }]\n", mode: agent)
        #expect(try await bench.respond(one, trust: trust).map(\.outcome) == [expected])
        #expect(bench.world.performed.isEmpty == (expected != .done))
    }

    @Test("old alerts and alerts from the future are only observed")
    func age() async throws {
        let bench = try Bench(pause)
        #expect(try await bench.respond(one, time: bench.clock.now + .seconds(-7200)).map(\.outcome) == [.planned])
        #expect(try await bench.respond(one, time: bench.clock.now + .seconds(120)).map(\.outcome) == [.planned])
    }

    @Test("after a run that acted comes a rest, for the same values only")
    func cooldown() async throws {
        let bench = try Bench("  - name: p\n    cooldown: { for: 5m, by: [container.id] }\n    match: { rules: r }\n    steps: [{ action: container.kill }]\n")
        #expect(try await bench.respond(one).map(\.outcome) == [.done])
        #expect(try await bench.respond(one).map(\.outcome) == [.refused])
        #expect(try await bench.respond(two).map(\.outcome) == [.done])
        #expect(bench.log.records.last { $0.kind == .run && $0.outcome == .refused }?.failure == .cooldown)
    }

    @Test("an agent that dies before the outcome rests like one that saw it", arguments: ["in effect", "ended", "not told", "not done"])
    func cooldownAfterCrash(_ world: String) async throws {
        let playbook = "  - name: p\n    cooldown: { for: 5m, by: [container.id] }\n    match: { rules: r }\n    steps: [{ action: container.pause, undo: { after: 1h } }]\n"
        let whole = try Bench(playbook)
        _ = try await whole.respond(one)
        let intent = try #require(whole.log.records.firstIndex { $0.kind == .intent })
        whole.clock.advance(by: .seconds(240))
        let next = try Bench(playbook, state: whole.log.records[...intent].reduce(into: EngineState()) { $0.apply($1) }, clock: whole.clock)
        if world != "not done" { try await next.world.mark(one) }
        if world == "ended" { next.world.end(one) }
        if world == "not told" { next.world.loseAnswers(with: ActionError(.denied, "look", "no"), isBlind: true) }
        _ = await next.engine.recover(resumingRuns: false)
        next.world.loseAnswers(with: nil)
        #expect(next.engine.snapshot.lastActed.isEmpty == (world == "not done"))
        next.clock.advance(by: .seconds(59))
        _ = try await next.respond(one)
        #expect(next.log.records.contains { $0.failure == .cooldown } == (world != "not done"))
        // From the deed on, not from the restart.
        next.clock.advance(by: .seconds(1))
        let before = next.log.records.count
        _ = try await next.respond(one)
        #expect(!next.log.records.dropFirst(before).contains { $0.failure == .cooldown } || world == "not done")
    }

    @Test("a budget holds, also for many alerts at the same moment")
    func budget() async throws {
        let bench = try Bench("  - name: p\n    budget: { actions: 3, per: 1h }\n    match: { rules: r }\n    steps: [{ action: container.kill }]\n")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<40 { group.addTask { _ = try await bench.respond("cccccccccc\(10 + index)") } }
            try await group.waitForAll()
        }
        #expect(bench.world.performed.count == 3)
        // What trips the breaker is refused; what comes after that is planned.
        #expect(bench.log.records.count { $0.outcome == .refused && $0.failure == .budget } == 1)
        #expect(bench.log.records.count { $0.outcome == .planned } == 36)
    }

    @Test("a state that is kept beside the journal knows every record that the journal goes up to, whoever writes at that moment")
    func keptState() async throws {
        let log = UnhurriedLog()
        let engine = Engine(
            configuration: .init(mode: .enforce), catalogue: ActionCatalogue([]), guards: [], log: log, playbooks: .empty,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let ann = AuditRecord.Actor(.person, name: "ann")
        try await withThrowingTaskGroup { group in
            group.addTask {
                defer { log.isOver.withLock { $0 = true } }
                for number in 0..<50 { try engine.setMode(number % 2 == 0 ? .observe : .ask, for: .agent, actor: ann, reason: "for the test") }
            }
            group.addTask {
                while !log.isOver.withLock({ $0 }) {
                    let (state, count) = engine.snapshot { log.records.count }
                    #expect(state == log.records.prefix(count).reduce(into: EngineState()) { $0.apply($1) }, "behind record \(count)")
                    await Task.yield()
                }
            }
            try await group.waitForAll()
        }
        #expect(log.records.count == 50)
    }

    /// Gives others time between the record and the state.
    private final class UnhurriedLog: AuditLog {
        private let log = RecordingLog()
        let isOver = Mutex(false)
        var records: [AuditRecord] { log.records }

        func append(_ record: AuditRecord) throws {
            try log.append(record)
            for _ in 0..<100 { sched_yield() }
        }
    }

    @Test("the end of a run that the journal does not take is owed to it")
    func owedEnd() async throws {
        let bench = try Bench(Bench.pause)
        bench.log.refuse([.run])
        #expect(try await bench.respond(Bench.one).map(\.outcome) == [.done])
        #expect(bench.engine.snapshot.openRuns.count == 1)
        bench.log.refuse([])
        try bench.engine.payOwed()
        #expect(bench.state.openRuns.isEmpty && bench.log.records.count { $0.kind == .run } == 1 && bench.state == bench.engine.snapshot)
    }

    @Test("a time that was made longer, and could not be put on record, is owed to the journal")
    func owedTime() async throws {
        let bench = try Bench("  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause, undo: { after: 10m } }]\n")
        _ = try await bench.respond(one)
        bench.log.refuse([.outcome])
        let ann = AuditRecord.Actor(.person, name: "ann")
        let result = await bench.engine.carryOut(Order(actor: ann, action: "container.pause", claim: .container(.init(reference: one)), mode: .enforce))
        #expect(result.outcome == .already && result.detail?.hasSuffix("it stays until it is taken back") == true)
        for _ in 0..<1000 { _ = await bench.engine.carryOut(Order(actor: ann, action: "container.pause", claim: .container(.init(reference: one)), mode: .enforce)) }
        bench.log.refuse([])
        try bench.engine.payOwed()
        #expect(bench.log.records.count { $0.detail["prolongs"] != nil } == 256, "what is owed has a bound")
        #expect(bench.state.openUndos.values.map(\.due) == [nil] && bench.state == bench.engine.snapshot)
        await bench.pass(.seconds(600))
        #expect(!bench.world.marks.isEmpty)
    }

    @Test("a guard's no is the answer, and nothing is touched")
    func guards() async throws {
        struct Never: Guard {
            let name = "test.never"
            func refusal(of plan: Plan) async -> String? { "not this one" }
        }
        let bench = try Bench(pause, guards: [Never()])
        let results = try await bench.respond(one)
        #expect(results.map(\.outcome) == [.refused])
        #expect(results[0].reason == "guard test.never: not this one")
        #expect(bench.world.performed.isEmpty && !bench.log.records.contains { $0.kind == .intent })
    }

    @Test(
        "what happens after a failure",
        arguments: [("stop", [Outcome.done, .failed, .skipped]), ("continue", [.done, .failed, .failed]), ("undo", [.done, .failed, .undone, .skipped])])
    func onFailure(_ choice: String, _ expected: [Outcome]) async throws {
        let steps = """
                  - { action: container.pause }
                  - { name: b, action: container.kill, on_failure: \(choice) }
                  - { name: c, action: container.kill }
            """
        let failing = FailingAction("container.kill")
        let world = RecordingWorld()
        let catalogue = ActionCatalogue([
            RecordingAction("container.pause", world: world, inverse: "container.unpause"), RecordingAction("container.unpause", world: world, takesAway: true), failing,
        ])
        let bench = try Bench("  - name: p\n    match: { any: true }\n    steps:\n\(steps)\n", world: world, catalogue: catalogue)
        _ = try await bench.respond(one)
        #expect(bench.log.records.filter { $0.kind == .outcome }.compactMap(\.outcome) == expected)
        #expect(world.marks.isEmpty == (choice == "undo"))
    }

    @Test("a slow target holds up nobody but itself")
    func lanes() async throws {
        let bench = try Bench("  - name: p\n    match: { rules: r }\n    steps: [{ action: container.kill }]\n")
        let gate = Gate()
        let entered = Gate()
        bench.world.hold {
            await entered.open()
            await gate.pass()
        }
        let slow = Task { try await bench.respond(one) }
        await entered.pass()
        bench.world.hold(nil)
        #expect(try await bench.respond(two).contains { $0.outcome == .done })
        await gate.open()
        _ = try await slow.value
        #expect(bench.world.performed == ["container.kill container:\(two)", "container.kill container:\(one)"])
    }

    @Test("no more runs than there is room for; alerts that match nothing need none")
    func room() async throws {
        let bench = try Bench("  - name: p\n    match: { rules: r }\n    steps: [{ action: container.kill }]\n", runLimit: 1)
        let gate = Gate()
        let entered = Gate()
        bench.world.hold {
            await entered.open()
            await gate.pass()
        }
        let slow = Task { try await bench.respond(one) }
        await entered.pass()
        await #expect(throws: Engine.AdmissionError.full) { try await bench.respond(two) }
        _ = try await bench.respond(two, rule: "other")
        await gate.open()
        _ = try await slow.value
        #expect(bench.engine.counters.shed == 1)
    }

    @Test("an action is taken back once; who asks again is told")
    func undo() async throws {
        let bench = try Bench(pause)
        let id = try await bench.respond(one)[0].id
        let ann = AuditRecord.Actor(.person, name: "ann")
        #expect(await bench.engine.undo(id, actor: ann, mode: .observe).outcome == .planned)
        #expect(bench.world.marks == ["container:\(one)"])
        #expect(await bench.engine.undo(id, actor: ann).outcome == .undone)
        #expect(bench.world.marks.isEmpty)
        #expect(await bench.engine.undo(id, actor: ann).outcome == .already)
        #expect(await bench.engine.undo(.new(), actor: ann).outcome == .gone)
    }

    @Test("what is due is taken back, after a restart too")
    func undoAfterRestart() async throws {
        let first = try Bench("  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause, undo: { after: 50ms } }]\n")
        _ = try await first.respond(one)
        #expect(first.state.openUndos.count == 1)
        let second = try first.restarted(pause)
        first.clock.advance(by: .milliseconds(50))
        let keeper = Task { await second.engine.keepTime() }
        while !second.log.records.contains(where: { $0.outcome == .undone }) { await Task.yield() }
        keeper.cancel()
        #expect(second.world.marks.isEmpty && second.engine.snapshot.openUndos.isEmpty)
    }

    @Test("a release by hand closes the undo that it makes idle")
    func release() async throws {
        let bench = try Bench(pause)
        _ = try await bench.respond(one)
        let order = Order(actor: .init(.person, name: "ann"), action: "container.unpause", claim: .container(.init(reference: one)), mode: .enforce)
        #expect(await bench.engine.carryOut(order).outcome == .done)
        #expect(bench.engine.snapshot.openUndos.isEmpty)
    }

    @Test("the agent ends at any record of a response: the next one says what is known, and carries on")
    func everyCrash() async throws {
        let whole = try Bench("  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause, undo: { after: 1h } }, { action: container.kill }]\n")
        _ = try await whole.respond(one)
        let records = whole.log.records
        for cut in 0...records.count {
            // What had been done when the agent ended: deeds lie between an intent and its outcome, so both worlds are tried.
            for deedWasDone in [false, true] {
                var state = EngineState()
                for record in records.prefix(cut) { state.apply(record) }
                let next = try Bench(
                    "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause, undo: { after: 1h } }, { action: container.kill }]\n", state: state)
                let marked = records.prefix(cut).contains { $0.kind == .outcome && $0.outcome == .done }
                let isOpen = records.prefix(cut).last?.kind == .intent
                if marked || (isOpen && deedWasDone) { try await next.world.mark(one) }
                let recovery = await next.engine.recover()
                await next.engine.idle()
                #expect(recovery.intents.count == (isOpen ? 1 : 0))
                if isOpen { #expect(recovery.intents[0].outcome == (marked || deedWasDone ? .done : .failed)) }
                let after = next.log.records.reduce(into: state) { $0.apply($1) }
                #expect(after.openIntents.isEmpty && after.openRuns.isEmpty, "cut \(cut)")
                // Whatever was paused can be taken back.
                if cut > 0 { #expect(next.world.marks.isEmpty || after.openUndos.count == 1, "cut \(cut)") }
            }
        }
    }
}
