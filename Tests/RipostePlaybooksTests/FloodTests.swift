import RiposteCore
@testable import RipostePlaybooks
import RiposteTestSupport
import Testing

@Suite("Floods")
struct FloodTests {
    private static let playbooks = """
          - name: flooded
            match: { rules: r }
            budget: { actions: 10, targets: 10, per: 1h }
            steps: [{ action: container.kill }]
          - name: quiet
            match: { rules: other }
            steps: [{ action: container.pause }]

        """

    @Test("100 000 forged alerts of one rule perform no more than the budget, and an alert of another rule is answered in the middle of it")
    func hundredThousand() async throws {
        let scene = try BrakeScene(Self.playbooks, budgets: AgentBudget.standard.filter { $0.name != "destroying" })
        var answered: [Outcome] = []
        for number in 0..<100_000 {
            try await scene.engine.respond(to: scene.alert(BrakeScene.id(number)))
            if number % 20_000 == 10_000 {
                _ = scene.results
                answered += try await scene.respond(BrakeScene.id(0xF00_0000 + number), rule: "other").map(\.outcome)
            }
        }
        #expect(scene.world.performed.count { $0.hasPrefix("container.kill") } == 10)
        #expect(answered == Array(repeating: .done, count: 5))
        let state = scene.engine.snapshot
        #expect(state.openRuns.isEmpty && state.alerts.isEmpty && state.ledger.acts.count == 15 && state.breakers.all.count == 1)
        #expect(scene.engine.floods.isEmpty && scene.engine.counters.shed == 0)
    }

    @Test("while all runs of a flood hang, its alerts are turned away and counted, and every other rule is let in")
    func hanging() async throws {
        let scene = try BrakeScene(Self.playbooks.replacing("budget: { actions: 10, targets: 10, per: 1h }", with: "enabled: true"), runLimit: 64)
        let gate = Latch()
        scene.world.hold { await gate.pass() }
        let alerts = try (0..<2000).map { try scene.alert(BrakeScene.id($0)) }
        var turnedAway = 0
        for number in 0..<2000 {
            do throws(Engine.AdmissionError) { try scene.engine.accept(alerts[number]) } catch { turnedAway += 1 }
        }
        #expect(turnedAway == 2000 - 32, "half of the room is one rule's at most")
        for number in 0..<10 { try scene.engine.accept(scene.alert(BrakeScene.id(5000 + number), rule: "other")) }
        #expect(scene.engine.floods.map { "\($0.intake) \($0.rule) \($0.count)" } == ["t r 1968"])
        #expect(
            scene.log.records.filter { $0.kind == .brake }.compactMap { $0.detail["flood"]?["count"]?.integer } == [1],
            "a flood is on record at its beginning, and then once a minute")
        await gate.open()
        await scene.engine.idle()
        try scene.engine.accept(scene.alert(BrakeScene.id(9000)))
        await scene.engine.idle()
    }

    @Test("more than sixty-four that wait for one target are turned away, and counted")
    func crowded() async throws {
        let scene = try BrakeScene(Self.playbooks.replacing("budget: { actions: 10, targets: 10, per: 1h }", with: "enabled: true"))
        let (gate, inside) = (Latch(), Latch())
        scene.world.hold {
            await inside.open()
            await gate.pass()
        }
        let first = Task { try await scene.engine.respond(to: scene.alert(BrakeScene.id(1))) }
        await inside.pass()
        for _ in 0..<100 { try scene.engine.accept(scene.alert(BrakeScene.id(1))) }
        while scene.engine.counters.crowded < 36 { await Task.yield() }
        await gate.open()
        try await first.value
        await scene.engine.idle()
        #expect(scene.engine.counters.crowded == 36)
        #expect(scene.log.records.count { $0.kind == .outcome && $0.failure == .busy } == 36)
    }

    @Test(
        "alerts that are only observed fill no queue before one that is acted on: neither the target's nor the cool-down's",
        arguments: ["enabled: true", "cooldown: { for: 1m, by: [container.id] }"])
    func observed(_ key: String) async throws {
        let scene = try BrakeScene(Self.playbooks.replacing("budget: { actions: 10, targets: 10, per: 1h }", with: key))
        let (gate, inside) = (Latch(), Latch())
        scene.world.hold {
            await inside.open()
            await gate.pass()
        }
        // Whoever acts at this moment has the turn; with it hold two hundred would wait.
        let first = Task { try await scene.engine.respond(to: scene.alert(BrakeScene.id(1))) }
        await inside.pass()
        let observed = (0..<200).map { _ in Task { try await scene.engine.respond(to: scene.alert(BrakeScene.id(1), trust: .untrusted)) } }
        for one in observed { try await one.value }
        #expect(scene.results.map(\.outcome) == Array(repeating: .planned, count: 200), "nobody waited")
        let trusted = Task { try await scene.engine.respond(to: scene.alert(BrakeScene.id(1))) }
        await gate.open()
        try await first.value
        try await trusted.value
        #expect(scene.results.map(\.outcome).sorted { $0.rawValue < $1.rawValue } == (key.hasPrefix("cooldown") ? [.done, .refused] : [.done, .done]))
        #expect(scene.engine.counters.crowded == 0 && !scene.log.records.contains { $0.failure == .busy })
    }
}

@Suite("Room for runs")
struct AdmissionBookTests {
    private func key(_ rule: String, intake: String = "t") throws -> AdmissionBook.Key {
        try AdmissionBook.Key(Alert(parsing: Array(#"{"rule":"\#(rule)","priority":"Warning","time":"2026-01-01T00:00:00Z"}"#.utf8), id: .new(), arrival: .init(intake: intake)))
    }

    /// Floods of random rules that come and go; whoever has nothing open and asks is let in.
    @Test("no key that holds nothing is ever turned away, and the room is kept", arguments: [UInt64(7), 8, 9])
    func fair(_ seed: UInt64) throws {
        var (book, numbers, open) = (AdmissionBook(), Numbers(seed), [Int: Int]())
        let keys = try (0..<24).map { try key("rule \($0)", intake: $0 % 2 == 0 ? "a" : "b") }
        for _ in 0..<50_000 {
            // Few rules flood, many are rare.
            let number = numbers.next(below: 4) > 0 ? numbers.next(below: 3) : numbers.next(below: 24)
            if numbers.next(below: 5) == 0, let mine = open[number], mine > 0 {
                book.leave(keys[number])
                open[number] = mine - 1
            } else if book.admit(keys[number], 1, limit: 128) {
                open[number, default: 0] += 1
            } else {
                #expect((open[number] ?? 0) > 0)
            }
            #expect(book.total == open.values.reduce(0, +) && book.total <= 256)
        }
    }

    @Test("an alert that needs more runs than there is room for is let in where half of the room would be, also beside a flood; a second one is not")
    func many() throws {
        var book = AdmissionBook()
        for _ in 0..<8 { _ = book.admit(try key("flood"), 1, limit: 8) }
        #expect(try !book.admit(key("flood"), 1, limit: 8))
        #expect(try book.admit(key("many"), 100, limit: 8))
        for rule in ["many", "others"] { #expect(try !book.admit(key(rule), 100, limit: 8)) }
        for _ in 0..<100 { book.leave(try key("many")) }
        #expect(try book.admit(key("others"), 100, limit: 8))
    }

    @Test("an alert that nobody answers holds no room")
    func nobody() throws {
        var book = AdmissionBook()
        for number in 0..<100 { book.enter(try key("idle \(number)"), 0) }
        for _ in 0..<32 { #expect(try book.admit(key("one"), 1, limit: 64)) }
        // Half of the room is taken; of the rest a third, as two hold some and one is to come.
        for _ in 0..<21 { #expect(try book.admit(key("other"), 1, limit: 64)) }
        #expect(try book.total == 53 && !book.admit(key("other"), 1, limit: 64))
    }

    @Test("who was turned away is counted by rule and intake, as far as there is room for names; the rest together")
    func shed() throws {
        var book = AdmissionBook()
        for number in 0..<1000 { _ = book.turnAway(try key("rule \(number)"), at: .seconds(1)) }
        #expect(book.mostShed(1)[0].count == 1000 - 256 && book.mostShed(10_000).count == 257)
        #expect(book.turnAway(try key("rule 1"), at: .seconds(30)) == nil)
        #expect(book.turnAway(try key("rule 1"), at: .seconds(61)) == AdmissionBook.Flood(key: try key("rule 1"), count: 2))
    }
}
