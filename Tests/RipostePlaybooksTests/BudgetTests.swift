import RiposteCore
@testable import RipostePlaybooks
import RiposteTestSupport
import Testing

private func playbook(_ budget: String, name: String = "p", rule: String = "r", steps: String = "[{ action: container.kill }]") -> String {
    "  - name: \(name)\n    match: { rules: \(rule) }\n\(budget.isEmpty ? "" : "    budget: \(budget)\n")    steps: \(steps)\n"
}

private func spend(_ target: Int, playbook: String? = "p", action: String = "container.kill", namespace: String? = nil) -> Spend {
    Spend(playbook: playbook, step: "s", action: action, impact: .destroys, target: "container:\(target)", namespace: namespace)
}

@Suite("Windows of budgets")
struct BudgetBookTests {
    /// Counts again from the beginning, each time.
    private struct Naive {
        var acts: [(at: Duration, spend: Spend)] = []

        func fits(_ spend: Spend, _ bounds: [BoundBudget], at now: Duration) -> Bool {
            bounds.allSatisfy { bound in
                let inside = acts.filter { now - $0.at < bound.budget.per && bound.scope.covers($0.spend) }
                if let limit = bound.budget.actions, inside.count >= limit { return false }
                let targets = Set(inside.map(\.spend.target))
                if let limit = bound.budget.targets, targets.count >= limit, !targets.contains(spend.target) { return false }
                return true
            }
        }
    }

    @Test("random acts fit exactly where counting from the beginning says so", arguments: [UInt64(1), 2, 3, 4])
    func random(_ seed: UInt64) {
        var numbers = Numbers(seed)
        let agent = [
            AgentBudget("minute", Budget(actions: 12, per: .seconds(60))), AgentBudget("target", Budget(actions: 3, per: .seconds(300)), each: .target),
            AgentBudget("shop", Budget(actions: nil, targets: 4, per: .seconds(120)), namespaces: ["shop*"]),
            AgentBudget("kinds", Budget(actions: 7, per: .seconds(50)), kinds: ["container.*"], each: .kind),
        ]
        var (book, naive, now) = (BudgetBook(), Naive(), Duration.seconds(5))
        var allowed = 0
        for number in 0..<1000 {
            now += .milliseconds(Int64(numbers.next(below: 9000)))
            let spend = Spend(
                playbook: "p\(numbers.next(below: 3))", step: "s\(numbers.next(below: 2))", action: ["container.kill", "container.pause", "network.block"][numbers.next(below: 3)],
                impact: .destroys, target: "t\(numbers.next(below: 9))", namespace: [nil, "shop", "shop-eu"][numbers.next(below: 3)])
            var bounds = agent.compactMap { $0.bound(to: spend) }
            bounds.append(BoundBudget(scope: .playbook(spend.playbook ?? ""), budget: Budget(actions: 9, targets: 5, per: .seconds(90))))
            bounds.append(BoundBudget(scope: .step(playbook: spend.playbook ?? "", step: spend.step ?? ""), budget: Budget(actions: 5, per: .seconds(70))))
            let id = Identifier.new()
            let excess = book.reserve(id, spend, in: bounds, at: now)
            #expect((excess == nil) == naive.fits(spend, bounds, at: now), "act \(number)")
            guard excess == nil else { continue }
            // One in four is given back.
            book.release(id)
            guard numbers.next(below: 4) > 0 else { continue }
            book.add(spend, at: now)
            naive.acts.append((now, spend))
            allowed += 1
        }
        #expect(allowed > 100)
    }

    @Test("what is held counts as what is spent, until it is given back")
    func held() {
        var book = BudgetBook()
        let bound = BoundBudget(scope: .playbook("p"), budget: Budget(actions: 2, per: .seconds(60)))
        let ids = (0..<3).map { _ in Identifier.new() }
        #expect(book.reserve(ids[0], spend(1), in: [bound], at: .zero) == nil)
        #expect(book.reserve(ids[0], spend(1), in: [bound], at: .zero) == nil, "the same act twice holds one place")
        #expect(book.reserve(ids[1], spend(2), in: [bound], at: .zero) == nil)
        #expect(book.reserve(ids[2], spend(3), in: [bound], at: .zero)?.text == "the budget of playbook p is spent: 2 of 2 actions per 1m")
        book.release(ids[1])
        #expect(book.reserve(ids[2], spend(3), in: [bound], at: .zero) == nil)
    }

    @Test("a deed that hangs counts once within its window, and is held beyond it until it has come back")
    func hanging() {
        var book = BudgetBook()
        let bound = BoundBudget(scope: .playbook("p"), budget: Budget(actions: 2, per: .seconds(60)))
        let id = Identifier.new()
        #expect(book.reserve(id, spend(1), in: [bound], at: .zero) == nil)
        book.add(spend(1), at: .seconds(10))
        book.count(id, at: .seconds(10))
        for time in [10, 69, 70, 1000] { #expect(book.use(of: bound, at: .seconds(time)).actions == 1, "after \(time) s") }
        book.release(id)
        #expect(book.use(of: bound, at: .seconds(69)).actions == 1 && book.use(of: bound, at: .seconds(1000)).actions == 0)
    }

    @Test("an act is in its window up to the very end, and no longer")
    func edge() {
        var book = BudgetBook()
        let bound = BoundBudget(scope: .playbook("p"), budget: Budget(actions: 1, per: .seconds(60)))
        book.add(spend(1), at: .seconds(100))
        #expect(book.excess(of: spend(2), in: bound, at: .seconds(160) - .nanoseconds(1)) != nil)
        #expect(book.excess(of: spend(2), in: bound, at: .seconds(160)) == nil)
    }

    @Test("more acts in a week than are kept one by one count against every window that reaches so far back")
    func forgotten() {
        var ledger = BudgetLedger()
        let began = Timestamp(nanoseconds: 1_800_000_000_000_000_000)
        for number in 0...BudgetLedger.actLimit { ledger.apply(record(.outcome, number, at: began + .milliseconds(Int64(number)))) }
        #expect(ledger.acts.count <= BudgetLedger.actLimit && ledger.forgotten != nil)
        let now = began + .seconds(3600)
        var book = BudgetBook(ledger, wall: now, at: .seconds(10))
        let other = Spend(playbook: "other", step: "s", action: "a", impact: .reversible, target: "t")
        func fits(_ window: Duration) -> Bool {
            book.excess(of: other, in: BoundBudget(scope: .playbook("other"), budget: Budget(actions: 1, per: window)), at: .seconds(10)) == nil
        }
        #expect(fits(.seconds(3000)) && !fits(.seconds(3600)))
    }
}

private func record(_ kind: AuditRecord.Kind, _ target: Int, at time: Timestamp, id: Identifier = .new(), outcome: Outcome? = .done) -> AuditRecord {
    var record = AuditRecord(kind, at: time, id: id, detail: ["spends": ["class": 3]])
    (record.playbook, record.step, record.action, record.outcome) = ("p", "s", "container.kill", outcome)
    record.target = .container(ContainerIdentity(id: "\(target)", name: "n", image: "i"))
    return record
}

@Suite("What the journal says is spent")
struct BudgetLedgerTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let counts: Bool
        let change: @Sendable (inout AuditRecord) -> Void

        init(_ name: String, counts: Bool, _ change: @escaping @Sendable (inout AuditRecord) -> Void) {
            (testDescription, self.counts, self.change) = (name, counts, change)
        }
    }

    @Test(
        "an act counts when it is done, and when nobody can say that it was not",
        arguments: [
            Case("done", counts: true) { _ in },
            Case("already", counts: false) { $0.outcome = .already }, Case("gone", counts: false) { $0.outcome = .gone },
            Case("refused", counts: false) { ($0.outcome, $0.failure) = (.refused, .guarded) },
            Case("denied", counts: false) { ($0.outcome, $0.failure) = (.failed, .denied) },
            Case("a part was hit", counts: true) { ($0.outcome, $0.failure) = (.failed, .partial) },
            Case("no answer in time", counts: true) { ($0.outcome, $0.failure) = (.failed, .timeout) },
            Case("gone, says a restart", counts: true) { ($0.outcome, $0.actor) = (.gone, .init(.recovery, name: "restart")) },
            Case("not in effect, says a restart", counts: true) { ($0.outcome, $0.failure, $0.actor) = (.failed, .unknown, .init(.recovery, name: "restart")) },
            Case("a dry run", counts: false) { $0.dryRun = true }, Case("an undo", counts: false) { $0.undoes = .new() },
            Case("a release, which spends nothing", counts: false) { $0.detail = JSONObject() },
        ])
    func counts(_ example: Case) {
        var ledger = BudgetLedger()
        var outcome = record(.outcome, 1, at: .now())
        example.change(&outcome)
        ledger.apply(outcome)
        #expect(ledger.acts.count == (example.counts ? 1 : 0))
        #expect(BudgetLedger(json: ledger.json) == ledger)
    }

    @Test("what an intent holds, its outcome settles, though that one says nothing of what it spends")
    func intents() {
        var ledger = BudgetLedger()
        let id = Identifier.new()
        ledger.apply(record(.intent, 1, at: .now(), id: id, outcome: nil))
        #expect(ledger.open.count == 1 && ledger.acts.isEmpty && BudgetLedger(json: ledger.json) == ledger)
        var outcome = record(.outcome, 1, at: .now(), id: id)
        outcome.detail = JSONObject()
        ledger.apply(outcome)
        #expect(ledger.open.isEmpty && ledger.acts.count == 1)
    }
}

@Suite("Budgets of an engine")
struct EngineBudgetTests {
    private static func agent(_ budget: Budget, kinds: [String] = [], impact: ActionDescription.Impact? = nil, namespaces: [String] = [], each: AgentBudget.Each? = nil)
        -> [AgentBudget]
    {
        [AgentBudget("b", budget, kinds: kinds, impact: impact, namespaces: namespaces, each: each)]
    }

    struct Level: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let playbook: String
        var budgets: [AgentBudget] = []
        let breaker: String
    }

    @Test(
        "each level lets three through of five, refuses what trips its breaker, and plans the rest",
        arguments: [
            Level(testDescription: "playbook", playbook: playbook("{ actions: 3, per: 1h }"), breaker: "playbook/p"),
            Level(testDescription: "playbook, targets", playbook: playbook("{ targets: 3, per: 1h }"), breaker: "playbook/p"),
            Level(testDescription: "step", playbook: playbook("", steps: "[{ action: container.kill, budget: { actions: 3, per: 1h } }]"), breaker: "playbook/p"),
            Level(testDescription: "agent", playbook: playbook(""), budgets: agent(Budget(actions: 3, per: .seconds(60))), breaker: "action/container.kill"),
            Level(testDescription: "kind", playbook: playbook(""), budgets: agent(Budget(actions: 3, per: .seconds(60)), kinds: ["*.kill"]), breaker: "action/container.kill"),
            Level(testDescription: "class", playbook: playbook(""), budgets: agent(Budget(actions: 3, per: .seconds(60)), impact: .destroys), breaker: "action/container.kill"),
            Level(
                testDescription: "namespace", playbook: playbook(""), budgets: agent(Budget(actions: 3, per: .seconds(60)), namespaces: ["sh*"], each: .namespace),
                breaker: "namespace/shop"),
        ])
    func levels(_ level: Level) async throws {
        let scene = try BrakeScene(level.playbook, budgets: level.budgets, facts: InShop())
        #expect(try await scene.respond(times: 5) == [.done, .done, .done, .refused, .planned])
        #expect(scene.world.performed.count == 3)
        #expect(scene.breakers == ["\(level.breaker) open"] && scene.changes == ["\(level.breaker) open"])
    }

    private struct InShop: TargetFacts {
        func facts(of plan: Plan, _ needs: GuardNeeds) async throws(ActionError) -> GuardFacts {
            var subject = GuardFacts.Subject()
            subject.namespace = .known("shop")
            return GuardFacts([subject])
        }
    }

    @Test("of one target too many, the others go on")
    func sameTarget() async throws {
        let scene = try BrakeScene(playbook(""), budgets: Self.agent(Budget(actions: 2, per: .seconds(3600)), each: .target))
        var outcomes: [Outcome] = []
        for _ in 0..<4 { outcomes += try await scene.respond(BrakeScene.id(1)).map(\.outcome) }
        #expect(outcomes == [.done, .done, .refused, .planned])
        #expect(try await scene.respond(times: 3, from: 10) == [.done, .done, .done])
        #expect(scene.breakers == ["target/container:\(BrakeScene.id(1)) open"])
    }

    @Test("what does not count does not spend: other kinds, other classes")
    func others() async throws {
        let steps = "[{ action: container.pause }]"
        for budgets in [Self.agent(Budget(actions: 1, per: .seconds(60)), kinds: ["*.kill"]), Self.agent(Budget(actions: 1, per: .seconds(60)), impact: .destroys)] {
            let scene = try BrakeScene(playbook("", steps: steps), budgets: budgets)
            #expect(try await scene.respond(times: 3) == [.done, .done, .done])
        }
    }

    @Test("over: ask puts to a person what is over, and what comes after it")
    func ask() async throws {
        let scene = try BrakeScene(playbook("{ actions: 1, per: 1h, over: ask }"))
        #expect(try await scene.respond(times: 3) == [.done, .pending, .pending])
    }

    @Test("by hand the agent's budgets are spent and told of, and do not bind")
    func byHand() async throws {
        let scene = try BrakeScene(playbook(""), budgets: Self.agent(Budget(actions: 1, per: .seconds(60))))
        func kill(_ number: Int) async -> ActionResult {
            await scene.engine.carryOut(
                Order(actor: .init(.person, name: "ann"), action: "container.kill", claim: .container(.init(reference: BrakeScene.id(number))), mode: .enforce))
        }
        #expect(await kill(1).detail == "marked")
        let second = await kill(2)
        #expect(second.outcome == .done && second.detail == "marked; beyond the agent's budget b is spent: 1 of 1 actions per 1m")
        #expect(scene.breakers.isEmpty)
        _ = scene.results
        #expect(try await scene.respond(times: 1, from: 5) == [.refused])
    }

    @Test("an undo and a release need no budget, and spend none")
    func undo() async throws {
        let scene = try BrakeScene(playbook("", steps: "[{ action: container.pause }]"), budgets: Self.agent(Budget(actions: 2, per: .seconds(60))))
        let first = try await scene.respond(BrakeScene.id(1))
        let ann = AuditRecord.Actor(.person, name: "ann")
        #expect(await scene.engine.undo(first[0].id, actor: ann).outcome == .undone)
        _ = try await scene.respond(BrakeScene.id(2))
        let release = Order(actor: ann, action: "container.unpause", claim: .container(.init(reference: BrakeScene.id(2))), mode: .enforce)
        #expect(await scene.engine.carryOut(release).detail == "marked")
        #expect(scene.engine.snapshot.ledger.acts.count == 2)
    }

    @Test("what was refused, gone or failed gives its place back")
    func givenBack() async throws {
        let scene = try BrakeScene(playbook("{ actions: 1, per: 1h }"))
        scene.world.end(BrakeScene.id(1))
        #expect(try await scene.respond(times: 1, from: 1) == [.gone])
        scene.world.fail(with: ActionError(.denied, "kill", "no right"))
        #expect(try await scene.respond(times: 1, from: 2) == [.failed])
        scene.world.fail(with: nil)
        #expect(try await scene.respond(times: 1, from: 3) == [.done])
    }

    /// What the world says after the answer was lost.
    enum Lost: String, CaseIterable { case nothing = "container.pause", nothingOfWhatIsFinal = "container.kill", ended }

    @Test("a deed whose answer was lost spends its place and begins the cool-down, unless the world says that it did not take place", arguments: Lost.allCases)
    func lostAnswer(_ lost: Lost) async throws {
        let action = lost == .ended ? "container.kill" : lost.rawValue
        let scene = try BrakeScene(
            playbook("{ actions: 1, per: 1h }\n    cooldown: { for: 1h, by: [container.id] }", steps: "[{ name: s, action: \(action), retry: { max: 0 } }]"))
        scene.world.loseAnswers(with: ActionError(.unavailable, "do it", "the connection was closed"), isBlind: lost != .ended)
        if lost == .ended { scene.world.hold { scene.world.end(BrakeScene.id(0)) } }
        let results = try await scene.respond(BrakeScene.id(0))
        #expect(results.map(\.outcome) == [lost == .ended ? .gone : .failed] && results.allSatisfy(\.mayBeInEffect))
        let record = try #require(scene.log.records.last { $0.kind == .outcome })
        #expect(record.failure == (lost == .ended ? nil : .unknown) && record.detail["may_have_acted"]?.bool == true)
        let state = scene.engine.snapshot
        #expect(state.ledger.acts.count == 1 && state.lastActed.count == 1 && state.openUndos.count == (lost == .nothing ? 1 : 0))
        scene.world.loseAnswers(with: nil)
        let next = try scene.restarted(playbook("{ actions: 1, per: 1h }", steps: "[{ action: container.kill }]"))
        #expect(try await next.respond(times: 1, from: 1) == [.refused], "no room is left")
    }

    @Test("of several steps one that cannot be taken back and may have been done is not done again after a restart, and the run goes on")
    func lostAnswerBeforeCrash() async throws {
        let steps = playbook("", steps: "[{ name: s, action: container.kill, on_failure: continue, retry: { max: 0 } }, { name: t, action: container.pause, retry: { max: 0 } }]")
        let scene = try BrakeScene(steps)
        scene.world.loseAnswers(with: ActionError(.unavailable, "do it", "the connection was closed"), isBlind: true)
        _ = try await scene.respond(times: 1)
        let cut = try #require(scene.log.records.firstIndex { $0.kind == .outcome && $0.step == "s" })
        let state = scene.log.records.prefix(cut + 1).reduce(into: EngineState()) { $0.apply($1) }
        scene.world.loseAnswers(with: nil)
        let next = try BrakeScene(steps, state: state, clock: scene.clock, world: scene.world)
        _ = await next.engine.recover()
        await next.engine.idle()
        #expect(next.log.records.filter { $0.kind == .outcome }.map(\.step) == ["t"] && scene.world.performed == ["container.kill container:\(BrakeScene.id(0))"])
    }

    @Test("an act whose outcome could not be put on record counts all the same")
    func noOutcome() async throws {
        let scene = try BrakeScene(playbook("{ actions: 1, per: 1h }"))
        scene.log.refuse([.outcome])
        #expect(try await scene.respond(times: 1) == [.done])
        scene.log.refuse([])
        #expect(try await scene.respond(times: 1, from: 1) == [.refused])
        // It was owed to the journal, which got it before anything else: the next agent has nothing to ask the world.
        let next = try scene.restarted(playbook("{ actions: 2, per: 1h }"))
        #expect(await next.engine.recover().intents.isEmpty)
        #expect(next.engine.snapshot.ledger.acts.count == 1)
    }

    @Test("an act whose outcome is owed to the journal counts for one that was being planned meanwhile, and counts once when the debt is paid")
    func owedOutcome() async throws {
        let late = LateGuard(BrakeScene.id(2))
        let scene = try BrakeScene(playbook("{ actions: 2, per: 1h }"), guards: [late])
        #expect(try await scene.respond(times: 1) == [.done])
        let second = Task { try await scene.respond(BrakeScene.id(2)) }
        await late.entered.pass()
        scene.log.refuse([.outcome])
        #expect(try await scene.respond(times: 1, from: 1) == [.done])
        scene.log.refuse([])
        await late.gate.open()
        #expect(try await second.value.filter { $0.target?.key == "container:\(BrakeScene.id(2))" }.map(\.outcome) == [.refused])
        #expect(scene.world.performed.count == 2)
        let use = try #require(scene.engine.budgetsInForce.first)
        #expect(use.used == 2 && scene.engine.snapshot.ledger.acts.count == 2)
    }

    /// Looks long at one container.
    private struct LateGuard: Guard {
        let name = "late"
        let key: String
        let entered = Gate()
        let gate = Gate()

        init(_ id: String) { key = "container:\(id)" }

        func refusal(of plan: Plan) async -> String? {
            guard plan.target.key == key else { return nil }
            await entered.open()
            await gate.pass()
            return nil
        }
    }

    @Test("observing spends a shadow of the budget, and says what would have been over")
    func shadow() async throws {
        let scene = try BrakeScene(playbook("{ actions: 1, per: 1h }"), mode: .observe)
        let first = try await scene.respond(BrakeScene.id(1))
        let second = try await scene.respond(BrakeScene.id(2))
        #expect(first[0].detail == "would mark container:\(BrakeScene.id(1))")
        #expect(second[0].outcome == .planned && second[0].detail?.hasSuffix("; the budget of playbook p is spent: 1 of 1 actions per 1h") == true)
        #expect(scene.engine.snapshot.ledger.acts.isEmpty && scene.breakers.isEmpty)
    }

    @Test("observing says what enforcing would have met at that moment: what was spent in earnest, and the breaker that it tripped")
    func observingAfterActing() async throws {
        let text = playbook("{ actions: 1, per: 1h, reopen: by hand }")
        let scene = try BrakeScene(text)
        #expect(try await scene.respond(times: 1) == [.done])
        let ann = AuditRecord.Actor(.person, name: "ann")
        try scene.engine.setMode(.observe, for: .agent, actor: ann)
        #expect(try await scene.respond(BrakeScene.id(1))[0].detail?.hasSuffix("; the budget of playbook p is spent: 1 of 1 actions per 1h") == true)
        try scene.engine.clearMode(for: .agent, actor: ann)
        #expect(try await scene.respond(times: 1, from: 2) == [.refused])
        try scene.engine.setMode(.observe, for: .agent, actor: ann)
        await scene.letTimePass(.seconds(3600))
        #expect(try await scene.respond(BrakeScene.id(3))[0].detail?.contains("; breaker playbook/p is open: ") == true)
        let record = try #require(scene.log.records.last { $0.kind == .outcome })
        #expect(record.detail["would_be_held_back"] != nil && record.detail["held_back_by"] == nil, "looking keeps no breaker open")
    }

    @Test("a clock that is set, forwards or back, makes no window shorter or longer", arguments: [Duration.seconds(86400), .seconds(-86400)])
    func clock(_ jump: Duration) async throws {
        let scene = try BrakeScene(playbook("{ actions: 1, per: 1h, reopen: { quiet: 1s } }"))
        #expect(try await scene.respond(times: 1) == [.done])
        scene.clock.jump(jump)
        #expect(try await scene.respond(times: 1, from: 1) == [.refused])
        await scene.letTimePass(.seconds(3599))
        #expect(try await scene.respond(times: 1, from: 2) == [.refused])
        await scene.letTimePass(.seconds(2))
        #expect(try await scene.respond(times: 1, from: 3) == [.done])
    }

    @Test("a restart after any record gives nothing back: no window holds more acts than its budget")
    func restarts() async throws {
        let text = playbook("{ actions: 4, per: 1h, reopen: { quiet: 1m } }")
        let whole = try BrakeScene(text)
        _ = try await whole.respond(times: 6)
        let records = whole.log.records
        for cut in 0...records.count {
            let state = records.prefix(cut).reduce(into: EngineState()) { $0.apply($1) }
            let before = records.prefix(cut).count { $0.kind == .intent }
            let next = try BrakeScene(text, state: try #require(EngineState(json: state.json)), clock: whole.clock)
            _ = await next.engine.recover(resumingRuns: false)
            _ = try await next.respond(times: 6, from: 100)
            #expect(before + next.world.performed.count <= 4, "cut \(cut)")
            let replayed = next.log.records.reduce(into: state) { $0.apply($1) }
            #expect(replayed == next.engine.snapshot, "cut \(cut)")
        }
    }
}

/// SplitMix64: the same seed gives the same numbers.
struct Numbers {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next(below bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((mixed ^ (mixed >> 31)) % UInt64(bound))
    }
}

@Suite("Budgets in playbook files")
struct BudgetLoadingTests {
    private func load(_ budget: String, mode: String = "enforce", steps: String = "[{ action: container.kill }]") throws -> (set: PlaybookSet, warnings: [Diagnostic]) {
        let catalogue = ActionCatalogue([DestroyingAction("container.kill", world: RecordingWorld()), RecordingAction("container.pause", world: RecordingWorld())])
        let text = "apiVersion: riposte/v1\nplaybooks:\n" + playbook(budget, steps: steps).replacing("    match:", with: "    mode: \(mode)\n    match:")
        return try PlaybookSet.load([.init(name: "t.yaml", text: text)], catalogue)
    }

    @Test("what is left out: observe, and by hand where a step destroys, else after half an hour of quiet")
    func defaults() throws {
        #expect(try load("{ actions: 5, per: 1h }").set.playbooks[0].budget == Budget(actions: 5, per: .seconds(3600), reopening: .byHand))
        #expect(try load("{ targets: 5, per: 1h }", steps: "[{ action: container.pause }]").set.playbooks[0].budget == Budget(actions: nil, targets: 5, per: .seconds(3600)))
        let given = try load("{ actions: 5, per: 1h, over: ask, reopen: { quiet: 5m } }").set.playbooks[0].budget
        #expect(given == Budget(actions: 5, per: .seconds(3600), over: .ask, reopening: .quiet(.seconds(300))))
    }

    @Test(
        "what is wrong is said",
        arguments: [
            ("{ per: 1h }", "P020"), ("{ actions: 5 }", "P003"), ("{ actions: 0, per: 1h }", "P002"), ("{ actions: 5, per: 8d }", "P002"),
            ("{ actions: 5, per: 1h, over: enforce }", "P002"),
            ("{ actions: 5, per: 1h, reopen: soon }", "P002"), ("{ actions: 5, per: 1h, reopen: { quiet: soon } }", "P002"),
            ("{ actions: 5, per: 1h, reopen: { quite: 5m } }", "P001"),
            ("{ actions: 5, per: 1h, reopn: by hand }", "P001"),
        ])
    func refuses(_ budget: String, _ code: String) throws {
        let error = try #require(throws: Diagnostics.self) { try load(budget) }
        #expect(error.entries.contains { $0.code == code && $0.place != nil }, "\(error)")
    }

    @Test(
        "an action that destroys and is enforced wants a budget of its own",
        arguments: [
            ("", "enforce", "[{ action: container.kill }]", true), ("{ actions: 1, per: 1h }", "enforce", "[{ action: container.kill }]", false),
            ("", "enforce", "[{ action: container.kill, budget: { actions: 1, per: 1h } }]", false), ("", "observe", "[{ action: container.kill }]", false),
            ("", "enforce", "[{ action: container.kill, mode: ask }]", false), ("", "enforce", "[{ action: container.pause }]", false),
        ])
    func unbounded(_ budget: String, _ mode: String, _ steps: String, _ warns: Bool) throws {
        #expect(try load(budget, mode: mode, steps: steps).warnings.contains { $0.code == "P021" } == warns)
    }
}
