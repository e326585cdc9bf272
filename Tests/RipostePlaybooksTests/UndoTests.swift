import RiposteCore
@testable import RipostePlaybooks
import RiposteTestSupport
import Synchronization
import Testing

private let one = Bench.one
private let two = Bench.two
private let ann = AuditRecord.Actor(.person, name: "ann", uid: 1000)

private func pause(_ undo: String) -> String {
    "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause, undo: { \(undo) } }]\n"
}

extension Bench {
    fileprivate func byHand(_ action: ActionName, _ container: String, for time: Duration? = nil, mode: Mode = .enforce) async -> ActionResult {
        var order = Order(actor: ann, action: action, claim: .container(.init(reference: container)), mode: mode)
        order.undoAfter = time
        return await engine.carryOut(order)
    }

    fileprivate var isMarked: Bool { world.marks.contains("container:\(Bench.one)") }
}

@Suite("Undo by hand")
struct UndoByHandTests {
    @Test("several selectors narrow; the newest is taken back first")
    func selection() async throws {
        let bench = try Bench(
            "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause }]\n  - name: q\n    match: { rules: s }\n    steps: [{ action: container.pause }]\n")
        let first = try bench.alert(one)
        _ = try await bench.respond(to: first)
        bench.clock.advance(by: .seconds(3600))
        _ = try await bench.respond(two, rule: "s")
        func found(_ change: (inout UndoSelection) -> Void) -> [String] {
            var selection = UndoSelection()
            change(&selection)
            return bench.engine.inForce(selection).map { $0.target.reference }
        }
        #expect(found { _ in } == [])
        #expect(found { $0.isAll = true } == [two, one])
        #expect(found { $0.playbook = "p" } == [one])
        #expect(found { $0.alert = first.id } == [one])
        #expect(found { $0.target = two } == [two])
        #expect(found { $0.within = .seconds(60) } == [two])
        #expect(found { ($0.within, $0.playbook) = (.seconds(60), "p") } == [])
        var all = UndoSelection()
        all.isAll = true
        let results = await bench.engine.undo(all, actor: ann)
        #expect(results.map(\.outcome) == [.undone, .undone] && results.map { $0.target?.reference } == [two, one])
        #expect(bench.world.marks.isEmpty)
    }

    @Test("what a person released is not taken again for a while, until somebody lifts that")
    func pardon() async throws {
        let bench = try Bench(Bench.pause)
        let id = try await bench.respond(one)[0].id
        #expect(await bench.engine.undo(id, actor: ann, reason: "false alarm").outcome == .undone)
        let brake = try #require(bench.log.records.last { $0.kind == .brake })
        #expect(brake.detail["pardon"]?["state"] == "granted" && brake.undoes == id && brake.target?.reference == one)
        _ = bench.takeResults()
        let refused = try await bench.respond(one)
        #expect(refused.map(\.outcome) == [.refused] && bench.log.records.last { $0.kind == .outcome }?.failure == .pardoned)
        #expect(try await bench.respond(two).map(\.outcome) == [.done])
        // A person may, whoever let it go.
        #expect(await bench.byHand("container.pause", one).outcome == .done)
        // After a restart too; and by hand it is let go like by an undo.
        #expect(await bench.byHand("container.unpause", one).outcome == .done)
        let next = try bench.restarted(Bench.pause)
        #expect(try await next.respond(one).map(\.outcome) == [.refused])
        #expect(try next.engine.liftPardons(of: one, by: ann, reason: nil).count == 1)
        #expect(try await next.respond(one).map(\.outcome) == [.done])
    }

    @Test("a pardon ends by itself; an undo in its time grants none")
    func pardonEnds() async throws {
        let bench = try Bench(pause("after: 5m"))
        _ = try await bench.respond(one)
        await bench.pass(.seconds(301))
        #expect(!bench.isMarked && bench.engine.pardons.isEmpty)
        _ = bench.takeResults()
        let id = try await bench.respond(one)[0].id
        _ = await bench.engine.undo(id, actor: ann)
        await bench.pass(.seconds(3601))
        _ = bench.takeResults()
        #expect(try await bench.respond(one).map(\.outcome) == [.done])
    }

    @Test("the agent ends at any record of a release by hand: no release without its pardon, and it counts as undone by hand", arguments: [true, false])
    func pardonSurvivesEveryCrash(_ isUndo: Bool) async throws {
        let whole = try Bench(Bench.pause)
        let id = try await whole.respond(one)[0].id
        let before = whole.log.records.count
        #expect(isUndo ? await whole.engine.undo(id, actor: ann).outcome == .undone : await whole.byHand("container.unpause", one).outcome == .done)
        for cut in before...whole.log.records.count {
            var state = EngineState()
            for record in whole.log.records.prefix(cut) { state.apply(record) }
            // Between intent and outcome the deed is done.
            let next = try Bench(Bench.pause, state: state, clock: whole.clock, world: cut > before ? whole.world : RecordingWorld())
            _ = await next.engine.recover()
            let after = next.log.records.reduce(into: state) { $0.apply($1) }
            #expect(after.openUndos.isEmpty == (cut > before) && after.pardons.granted.isEmpty == (cut == before), "cut \(cut)")
            #expect(after.rollouts.track(of: "p").total.faults == (cut > before ? [.undoneByHand: 1] : [:]), "cut \(cut)")
        }
    }

    @Test("a release by hand that hangs and comes back late is one all the same", arguments: [true, false])
    func pardonLate(_ isUndo: Bool) async throws {
        let bench = try Bench(Bench.pause)
        let id = try await bench.respond(one)[0].id
        let (entered, gate) = (Gate(), Gate())
        bench.world.hold {
            await entered.open()
            await gate.pass()
        }
        let release = Task { isUndo ? await bench.engine.undo(id, actor: ann) : await bench.byHand("container.unpause", one) }
        await entered.pass()
        for time in [Step.standardTimeLimit, Engine.settlingTime] {
            while bench.clock.sleepers != 1 { await Task.yield() }
            bench.clock.advance(by: time)
        }
        #expect(await release.value.outcome == .failed && bench.isMarked && bench.engine.pardons.isEmpty)
        bench.world.hold(nil)
        await gate.open()
        while !bench.engine.ordersUnderWay(atLeast: .zero).isEmpty { await Task.yield() }
        #expect(!bench.isMarked && bench.engine.pardons.map(\.actor) == [ann] && bench.state.pardons == bench.engine.snapshot.pardons)
        _ = bench.takeResults()
        #expect(try await bench.respond(one).map(\.outcome) == [.refused])
    }
}

@Suite("Due times")
struct DueTimeTests {
    /// What has happened to a deed between its outcome in doubt and its coming back, and when it is due then.
    enum Since: String, CaseIterable { case nothing, madeLonger, wantedBackAtOnce, refused }

    @Test("a deed that was in doubt comes back late: what takes it back is as it had become", arguments: Since.allCases)
    func late(_ since: Since) throws {
        let begin = Timestamp(nanoseconds: 1_000_000_000_000)
        func time(_ seconds: Int) -> Timestamp { begin + .seconds(seconds) }
        func members(_ numbers: Int64...) -> JSON { ["members": .array(numbers.map(JSON.integer))] }
        func record(_ kind: AuditRecord.Kind, at seconds: Int, _ id: Identifier, _ detail: JSONObject, outcome: Outcome? = nil, failure: FailureClass? = nil) -> AuditRecord {
            var record = AuditRecord(kind, at: time(seconds), id: id, detail: detail)
            (record.action, record.outcome, record.failure, record.playbook) = ("container.pause", outcome, failure, "p")
            (record.target, record.actor) = (.container(ContainerIdentity(id: one, name: "c", image: "i")), AuditRecord.Actor(.playbook, name: "p"))
            return record
        }
        let (before, deed) = (Identifier.new(at: begin), Identifier.new(at: time(1)))
        var state = EngineState()
        state.apply(record(.outcome, at: 0, before, ["undo": ["inverse": "container.unpause", "due": .text("\(time(1800))"), "token": members(1)]], outcome: .done))
        let plan: JSON = ["parameters": ["note": "kept"]]
        state.apply(record(.intent, at: 10, deed, ["plan": plan, "undo_after": "1h", "spends": ["workload": ["name": "web"]]]))
        let doubt: JSONObject = ["hanging": true, "undo": ["inverse": "container.unpause", "due": .text("\(time(3620))"), "token": members(2)]]
        state.apply(record(.outcome, at: 20, deed, doubt, outcome: .failed, failure: .unknown))
        var undo = record(.outcome, at: 30, .new(at: time(30)), [:], outcome: since == .refused ? .refused : .failed)
        (undo.action, undo.undoes, undo.message) = ("container.unpause", deed, "not now")
        switch since {
        case .nothing: break
        case .madeLonger: state.apply(record(.outcome, at: 30, .new(at: time(30)), ["prolongs": ["action": .text("\(deed)"), "due": .text("\(time(9000))")]], outcome: .already))
        case .wantedBackAtOnce, .refused: state.apply(undo)
        }
        state.apply(record(.outcome, at: 60, deed, ["late": true, "undo": ["inverse": "container.unpause", "due": .text("\(time(3660))"), "token": members(3)]], outcome: .done))
        let open = try #require(state.openUndos[deed])
        let due: [Since: Timestamp] = [.nothing: time(3660), .madeLonger: time(9000), .wantedBackAtOnce: time(30)]
        #expect(state.openUndos.count == 1 && open.due == due[since] && open.refusal == (since == .refused ? "not now" : nil))
        #expect(open.parameters == ["note": "kept"] && open.workload == "web" && open.absorbed == [before] && state.openUndo(of: before)?.action == deed)
        #expect(Set(open.token?["members"]?.array?.compactMap(\.integer) ?? []) == [1, 2, 3])
        #expect(state.hanging.isEmpty && EngineState(json: state.json) == state)
    }

    @Test(
        "set the wall clock as you like: an undo is done when its time has passed, or the clock says so",
        arguments: [
            // How far the clock is set, how much time then passes, whether it must be taken back by then.
            (Duration.seconds(-7200), Duration.seconds(299), false), (.seconds(-7200), .milliseconds(300_500), true), (.seconds(7200), .seconds(1), true),
            (.zero, .seconds(299), false),
        ])
    func clocks(_ change: Duration, _ wait: Duration, _ isOver: Bool) async throws {
        let bench = try Bench(pause("after: 5m"))
        _ = try await bench.respond(one)
        bench.clock.set(to: bench.clock.now + change)
        await bench.pass(wait)
        #expect(bench.isMarked != isOver)
        #expect(!bench.log.records.contains { $0.detail["late_by"] != nil })
    }

    @Test("after a restart the wall clock counts; what is late is done at once and says how late")
    func restart() async throws {
        let bench = try Bench(pause("after: 5m"))
        _ = try await bench.respond(one)
        bench.clock.advance(by: .seconds(1000))
        let next = try bench.restarted(Bench.pause)
        await next.pass(.zero)
        #expect(!next.isMarked)
        let record = try #require(next.log.records.last { $0.outcome == .undone })
        #expect(record.detail["late_by"] == "11m40s" && record.actor?.kind == .timer)
    }

    @Test("a failing undo is tried again by the time that passes, whoever sets the clock back")
    func retries() async throws {
        let bench = try Bench(pause("after: 5m"))
        _ = try await bench.respond(one)
        bench.world.fail(with: ActionError(.busy, "undo", "later"))
        await bench.pass(.seconds(300))
        #expect(bench.isMarked)
        bench.world.fail(with: nil)
        bench.clock.set(to: bench.clock.now + .seconds(-86400))
        await bench.pass(.seconds(10))
        #expect(!bench.isMarked && bench.engine.snapshot.openUndos.isEmpty)
    }

    @Test("another alert makes the time longer where the step says so, up to its limit, and never shorter")
    func extend() async throws {
        let bench = try Bench(pause("after: 10m, extend: true, max: 25m"))
        let began = bench.clock.now
        let id = try await bench.respond(one)[0].id
        func due() -> Timestamp? { bench.engine.snapshot.openUndos[id]?.due }
        #expect(due() == began + .seconds(600))
        await bench.pass(.seconds(300))
        #expect(try await bench.respond(one).map(\.outcome) == [.already])
        #expect(due() == began + .seconds(900))
        await bench.pass(.seconds(590))
        #expect(bench.isMarked)
        _ = try await bench.respond(one)
        #expect(due() == began + .seconds(1490))
        await bench.pass(.seconds(500))
        _ = try await bench.respond(one)
        #expect(due() == began + .seconds(1500))
        #expect(bench.state == bench.engine.snapshot)
        await bench.pass(.seconds(111))
        #expect(!bench.isMarked)
    }

    @Test("under a guard that leaves only observe or ask nothing is made to last longer", arguments: [Mode.observe, .ask])
    func guarded(_ most: Mode) async throws {
        let limit = Limit(most)
        let bench = try Bench(pause("after: 10m, extend: true"), guards: [limit])
        let id = try await bench.respond(one)[0].id
        let due = bench.engine.snapshot.openUndos[id]?.due
        limit.isInForce.withLock { $0 = true }
        bench.clock.advance(by: .seconds(60))
        #expect(try await bench.respond(one).map(\.outcome) == [.already])
        #expect(due != nil && bench.engine.snapshot.openUndos[id]?.due == due)
    }

    /// Leaves no more than this mode.
    private final class Limit: Guard {
        let name = "limit"
        let most: Mode
        let isInForce = Mutex(false)

        init(_ most: Mode) { self.most = most }

        func answer(to question: GuardQuestion) async -> GuardAnswer? {
            isInForce.withLock(\.self) ? GuardAnswer(name: name, verdict: .atMost(most), reason: "careful") : nil
        }
    }

    @Test("without extend a second alert changes nothing; a person makes it longer, or for good")
    func byHand() async throws {
        let bench = try Bench(pause("after: 10m"))
        let id = try await bench.respond(one)[0].id
        let due = bench.engine.snapshot.openUndos[id]?.due
        bench.clock.advance(by: .seconds(60))
        _ = try await bench.respond(one)
        _ = await bench.byHand("container.pause", one, for: .seconds(30))
        _ = await bench.byHand("container.pause", one, for: .seconds(7200), mode: .observe)
        #expect(bench.engine.snapshot.openUndos[id]?.due == due)
        let longer = await bench.byHand("container.pause", one, for: .seconds(3600))
        #expect(longer.outcome == .already && bench.engine.snapshot.openUndos[id]?.due == bench.clock.now + .seconds(3600))
        _ = await bench.byHand("container.pause", one)
        #expect(bench.engine.snapshot.openUndos[id].map { $0.due == nil } == true)
        await bench.pass(.seconds(86400))
        #expect(bench.isMarked)
    }

    @Test("done again after somebody else lifted it: taken back once, when the longer time is up")
    func absorbs() async throws {
        let bench = try Bench(pause("after: 10m"))
        let first = try await bench.respond(one)[0].id
        bench.world.unmark(one)
        bench.clock.advance(by: .seconds(60))
        _ = await bench.byHand("container.pause", one, for: .seconds(60))
        let open = bench.engine.snapshot.openUndos
        #expect(open.count == 1 && open.values.first?.absorbed == [first] && open.values.first?.due == bench.clock.now + .seconds(540))
        await bench.pass(.seconds(100))
        #expect(bench.isMarked)
        await bench.pass(.seconds(441))
        #expect(!bench.isMarked && bench.log.records.count { $0.outcome == .undone } == 1)
        #expect(await bench.engine.undo(first, actor: ann).outcome == .already)
    }

    @Test("done again after its undo was refused: the longer of the two times holds; what stood for good still does", arguments: [60, 1200, nil] as [Int?])
    func absorbsRefused(_ seconds: Int?) async throws {
        let bench = try Bench(pause("after: 10m"))
        _ = await bench.byHand("container.pause", one, for: seconds.map { .seconds($0) })
        let began = bench.clock.now
        bench.world.fail(with: ActionError(.drifted, "let it go", "somebody has changed it"), times: 1, action: "container.unpause")
        if seconds == 60 {
            await bench.pass(.seconds(60))
        } else {
            #expect(await bench.engine.undo(try #require(bench.engine.snapshot.openUndos.keys.first), actor: ann).outcome == .refused)
        }
        #expect(bench.engine.snapshot.openUndos.values.map(\.refusal) == ["let it go: somebody has changed it"] && bench.state.openUndos.values.allSatisfy { $0.due == nil })
        bench.world.unmark(one)
        let next = try bench.restarted(pause("after: 10m"))
        #expect(try await next.respond(one).map(\.outcome) == [.done])
        let due = seconds.map { $0 == 60 ? next.clock.now + .seconds(600) : began + .seconds(1200) }
        #expect(next.engine.snapshot.openUndos.values.map(\.due) == [due] && next.engine.snapshot.openUndos.values.allSatisfy { $0.refusal == nil })
        await next.pass(.seconds(1201))
        #expect(next.isMarked == (seconds == nil))
    }

    @Test("an act stands no longer than its kind may")
    func limits() async throws {
        let bench = try Bench(pause("after: 2h")) { $0.undo.limits = ["container.pause": .seconds(600)] }
        let result = try await bench.respond(one)[0]
        #expect(result.undo?.due == bench.clock.now + .seconds(600))
    }
}

/// Has its target's turn until the test lets it go, and then has done nothing.
private struct Lingering: Action {
    let description = ActionDescription(name: "container.kill", summary: "", target: .container, impact: .destroys)
    let gate: Gate

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        guard case .container(let claim) = request.claim else { throw ActionError(.unresolved, "find", "none") }
        return Plan(action: description.name, target: .container(.init(id: claim.reference, name: "n", image: "i")), parameters: request.parameters, summary: "kill")
    }

    func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        await gate.pass()
        throw ActionError(.denied, "kill it", "no")
    }
}

/// Waits when it looks, and then is told no.
private struct Unseeing: Action {
    let base: RecordingAction
    let entered: Gate
    let gate: Gate
    let failure: FailureClass

    var description: ActionDescription { base.description }

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        await entered.open()
        await gate.pass()
        throw ActionError(failure, "look", "no")
    }

    func perform(_ plan: Plan) async throws(ActionError) -> Performance { try await base.perform(plan) }
}

@Suite("Undos that wait for their target's turn")
struct UndoTurnTests {
    private let gate = Gate()

    private func bench() throws -> Bench {
        let world = RecordingWorld()
        return try Bench(
            Bench.pause, world: world,
            catalogue: ActionCatalogue([
                RecordingAction("container.pause", world: world, inverse: "container.unpause"), RecordingAction("container.unpause", world: world, takesAway: true),
                Lingering(gate: gate),
            ]))
    }

    /// So many orders stand behind the one that has the turn.
    private func wait(for count: Int, _ bench: Bench) async {
        while bench.engine.lanes.waiters(at: "container:\(one)") < count { await Task.yield() }
    }

    @Test(
        "an act that is made longer, or done anew, while its undo waits is not taken back before its time",
        arguments: [(Duration.seconds(3600), false), (.seconds(3600), true), (nil, false)])
    func overtaken(_ length: Duration?, _ isLifted: Bool) async throws {
        let bench = try bench()
        let first = await bench.byHand("container.pause", one, for: .seconds(7))
        let kill = Task { await bench.byHand("container.kill", one) }
        while bench.engine.ordersUnderWay(atLeast: .zero).first?.phase != .performing { await Task.yield() }
        let longer = Task { await bench.byHand("container.pause", one, for: length) }
        await wait(for: 1, bench)
        bench.clock.advance(by: .seconds(7))
        let timer = Task { await bench.engine.doWhatIsDue() }
        await wait(for: 2, bench)
        if isLifted { bench.world.unmark(one) }
        await gate.open()
        #expect(await kill.value.outcome == .failed)
        #expect(await longer.value.outcome == (isLifted ? .done : .already))
        _ = await timer.value
        #expect(bench.isMarked && bench.state == bench.engine.snapshot)
        let open = try #require(bench.engine.snapshot.openUndos.values.first)
        #expect(open.action == first.id || open.absorbed == [first.id])
        let skipped = try #require(bench.log.records.last { $0.kind == .outcome })
        #expect(skipped.outcome == .skipped && skipped.undoes == first.id)
        // And not again and again until then.
        await bench.pass(.seconds(3000))
        #expect(bench.isMarked && bench.log.records.last?.id == skipped.id)
        await bench.pass(.seconds(600))
        #expect(bench.isMarked == (length == nil))
    }

    @Test("who takes back by hand what is done anew meanwhile takes back what stands then; what the agent found over is not that any more", arguments: [true, false])
    func doneAnew(_ isByHand: Bool) async throws {
        let bench = try bench()
        let first = await bench.byHand("container.pause", one, for: .seconds(7))
        let kill = Task { await bench.byHand("container.kill", one) }
        while bench.engine.ordersUnderWay(atLeast: .zero).first?.phase != .performing { await Task.yield() }
        bench.world.unmark(one)
        let again = Task { await bench.byHand("container.pause", one) }
        await wait(for: 1, bench)
        let undo = Task { await bench.engine.undo(first.id, actor: isByHand ? ann : AuditRecord.Actor(.agent, name: "reconcile")) }
        await wait(for: 2, bench)
        let late = Task { await bench.engine.undo(first.id, actor: AuditRecord.Actor(.person, name: "bob")) }
        #expect(await late.value.outcome == .already)
        await gate.open()
        _ = await (kill.value, again.value)
        #expect(await undo.value.outcome == (isByHand ? .undone : .skipped))
        let newest = await again.value.id
        #expect(bench.log.records.last { $0.outcome == .undone }?.undoes == (isByHand ? newest : nil))
        #expect(bench.isMarked != isByHand && bench.engine.snapshot.openUndos.keys.sorted() == (isByHand ? [] : [newest]) && bench.state == bench.engine.snapshot)
    }

    @Test("an undo comes to nothing before its turn, and another act has taken the place of its own: that one stands as it was done", arguments: [FailureClass.denied, .drifted])
    func overtakenByAnother(_ failure: FailureClass) async throws {
        let (entered, gate, world) = (Gate(), Gate(), RecordingWorld())
        let unpause = Unseeing(base: RecordingAction("container.unpause", world: world, takesAway: true), entered: entered, gate: gate, failure: failure)
        let bench = try Bench(
            Bench.pause, world: world, catalogue: ActionCatalogue([RecordingAction("container.pause", world: world, inverse: "container.unpause"), unpause]))
        let first = try await bench.respond(one)[0].id
        let undo = Task { await bench.engine.undo(first, actor: AuditRecord.Actor(.playbook, name: "p")) }
        await entered.pass()
        world.unmark(one)
        let second = await bench.byHand("container.pause", one, for: .seconds(3600))
        await gate.open()
        #expect(await undo.value.outcome == failure.outcome)
        let open = try #require(bench.engine.snapshot.openUndos[second.id])
        #expect(open.due == nil && open.refusal == nil && open.absorbed == [first] && bench.state == bench.engine.snapshot)
    }

    @Test("a person calls off what a person takes back: its time stands; what is called off when that is up does not come again", arguments: [true, false])
    func calledOff(_ isByHand: Bool) async throws {
        let bench = try bench()
        let act = await bench.byHand("container.pause", one, for: .seconds(7))
        #expect(bench.engine.lanes.enterAtOnce("container:\(one)"))
        if !isByHand { bench.clock.advance(by: .seconds(7)) }
        let undo = Task {
            if isByHand { _ = await bench.engine.undo(act.id, actor: ann) } else { await bench.engine.doWhatIsDue() }
        }
        await wait(for: 1, bench)
        let order = try #require(bench.engine.ordersUnderWay(atLeast: .zero).first { $0.phase == .waiting })
        #expect(await bench.engine.cancel(order.id, actor: ann)?.outcome == .refused)
        await undo.value
        bench.engine.lanes.leave("container:\(one)")
        let open = try #require(bench.engine.snapshot.openUndos[act.id])
        #expect((open.due == act.undo?.due) == isByHand && (open.refusal == nil) == isByHand && bench.state == bench.engine.snapshot)
        await bench.pass(.seconds(7))
        #expect(bench.isMarked != isByHand)
    }

    @Test("an undo that failed and was made longer since waits for its time")
    func failedBefore() async throws {
        let bench = try bench()
        _ = await bench.byHand("container.pause", one, for: .seconds(7))
        bench.world.fail(with: ActionError(.denied, "undo", "no"))
        await bench.pass(.seconds(7))
        bench.world.fail(with: nil)
        _ = await bench.byHand("container.pause", one, for: .seconds(3600))
        await bench.pass(.seconds(300))
        #expect(bench.isMarked)
        await bench.pass(.seconds(3300))
        #expect(!bench.isMarked)
    }
}

@Suite("Ambiguous endings")
struct AftermathTests {
    private static let lost = ActionError(.timeout, "pause it", "no answer in time")

    @Test("the answer was lost and the deed is in effect: done, and it can be taken back")
    func inEffect() async throws {
        let bench = try Bench(pause("after: 5m"))
        bench.world.loseAnswers(with: Self.lost)
        let result = try await bench.respond(one)[0]
        #expect(result.outcome == .done && result.undo?.due != nil)
        bench.world.loseAnswers(with: nil)
        await bench.pass(.seconds(300))
        #expect(!bench.isMarked)
    }

    @Test("the world does not tell either: failed, unknown, and taken back in its time all the same")
    func blind() async throws {
        let bench = try Bench(pause("after: 5m"))
        bench.world.loseAnswers(with: Self.lost, isBlind: true)
        let result = try await bench.respond(one)[0]
        #expect(result.outcome == .failed && bench.log.records.last { $0.kind == .outcome }?.failure == .unknown)
        #expect(bench.engine.snapshot.openUndos.count == 1 && bench.state == bench.engine.snapshot)
        bench.world.loseAnswers(with: nil)
        await bench.pass(.seconds(300))
        #expect(!bench.isMarked)
    }

    @Test("a refusal, or a deed that did not take place, arms nothing", arguments: [FailureClass.busy, .denied, .timeout, .unavailable])
    func nothingHappened(_ failure: FailureClass) async throws {
        let bench = try Bench(pause("after: 5m").replacing("{ action: container.pause", with: "{ retry: { max: 0 }, action: container.pause"))
        bench.world.fail(with: ActionError(failure, "pause it", "no"))
        #expect(try await bench.respond(one)[0].outcome == .failed)
        #expect(bench.engine.snapshot.openUndos.isEmpty)
    }
}
