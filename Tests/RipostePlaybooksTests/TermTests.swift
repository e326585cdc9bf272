import RiposteCore
@testable import RipostePlaybooks
import RiposteTestSupport
import Testing

private let ann = AuditRecord.Actor(.person, name: "ann", uid: 1000)
private let playbook = """
      - name: p
        match: { rules: r }
        cooldown: { for: 10s, by: [container.id] }
        budget: { actions: 1, per: 10m, reopen: { quiet: 10s } }
        steps: [{ action: container.pause }]

    """

/// Something that lasts ten seconds from when it is begun.
enum Lasting: String, CaseIterable {
    case mode, pardon, breaker, cooldown

    func begin(on bench: Bench) async throws {
        switch self {
        case .mode: try bench.engine.setMode(.observe, for: .agent, lasting: .seconds(10), actor: ann)
        case .pardon: bench.engine.pardon(.container(.init(id: Bench.one, name: "c", image: "i")), by: ann, reason: nil)
        case .breaker: for container in [Bench.one, Bench.two] { _ = try await bench.respond(container) }
        case .cooldown: _ = try await bench.respond(Bench.one)
        }
    }

    func isInForce(on bench: Bench) async throws -> Bool {
        await bench.engine.doWhatIsDue()
        switch self {
        case .mode: return bench.engine.agentMode.mode == .observe
        case .pardon: return !bench.engine.pardons.isEmpty
        case .breaker: return bench.engine.snapshot.breakers["playbook/p"]?.state == .open
        case .cooldown: return bench.engine.cooldownRest(of: bench.engine.playbooks.playbooks[0], for: try bench.alert(Bench.one)) != nil
        }
    }
}

@Suite("How long things last when somebody sets the clock")
struct TermTests {
    private func bench(_ state: EngineState = EngineState(), clock: HandClock = HandClock()) throws -> Bench {
        try Bench(playbook, state: state, clock: clock) { $0.undo.pardon = .seconds(10) }
    }

    @Test("a clock that is set back makes nothing last longer, and what has run out is put on record", arguments: Lasting.allCases, [true, false])
    func back(_ thing: Lasting, wasAhead: Bool) async throws {
        let bench = try bench()
        if wasAhead { bench.clock.set(to: bench.clock.now + .seconds(3600)) }
        try await thing.begin(on: bench)
        bench.clock.set(to: bench.clock.now + .seconds(-3600))
        bench.clock.advance(by: .seconds(9))
        #expect(try await thing.isInForce(on: bench))
        bench.clock.advance(by: .seconds(1))
        #expect(try await !thing.isInForce(on: bench))
        if thing == .mode { #expect(bench.engine.snapshot.modes.settings.isEmpty && bench.log.records.last?.detail["state"]?.string == "expired") }
    }

    @Test("a clock that is set ahead ends what has an end on it; a cool-down has none", arguments: Lasting.allCases)
    func ahead(_ thing: Lasting) async throws {
        let bench = try bench()
        try await thing.begin(on: bench)
        bench.clock.set(to: bench.clock.now + .seconds(3600))
        #expect(try await thing.isInForce(on: bench) == (thing == .cooldown))
        bench.clock.advance(by: .seconds(10))
        #expect(try await !thing.isInForce(on: bench))
    }

    @Test("after a restart on a clock that was set back nothing has more than its whole length before it", arguments: Lasting.allCases)
    func restart(_ thing: Lasting) async throws {
        let first = try bench()
        try await thing.begin(on: first)
        first.clock.set(to: first.clock.now + .seconds(-3600))
        let next = try bench(try #require(EngineState(json: first.state.json)), clock: first.clock)
        first.clock.advance(by: .seconds(9))
        #expect(try await thing.isInForce(on: next))
        first.clock.advance(by: .seconds(1))
        #expect(try await !thing.isInForce(on: next))
    }

    @Test("a breaker that is asked on a clock that was set back is quiet from then on")
    func asked() async throws {
        let bench = try bench()
        try await Lasting.breaker.begin(on: bench)
        bench.clock.set(to: bench.clock.now + .seconds(-3600))
        bench.clock.advance(by: .seconds(9))
        #expect(try await bench.respond("cccccccccccc").map(\.outcome) == [.planned])
        bench.clock.advance(by: .seconds(9))
        #expect(try await Lasting.breaker.isInForce(on: bench))
        bench.clock.advance(by: .seconds(1))
        #expect(try await !Lasting.breaker.isInForce(on: bench))
    }

    @Test("a journal that would not take the end of something is asked again by the time that passes", arguments: [Lasting.mode, .breaker])
    func refused(_ thing: Lasting) async throws {
        let bench = try bench()
        try await thing.begin(on: bench)
        bench.log.refuse([.mode, .brake])
        bench.clock.advance(by: .seconds(10))
        await bench.engine.doWhatIsDue()
        bench.log.refuse([])
        bench.clock.set(to: bench.clock.now + .seconds(-3600))
        await bench.pass(.seconds(9))
        let written = bench.log.records.count
        await bench.pass(.seconds(21))
        #expect(bench.log.records.dropFirst(written).map { $0.detail["state"]?.string } == [thing == .mode ? "expired" : "half_open"])
    }

    @Test("a wish for a mode that waits for a second person does not make the one in force last longer")
    func proposal() async throws {
        let bench = try Bench(
            "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.destroy }]\n", catalogue: ActionCatalogue([FailingAction("container.destroy")])
        ) {
            $0.approvals.asksToWiden = true
        }
        try bench.engine.setMode(.observe, for: .agent, lasting: .seconds(10), actor: ann)
        bench.clock.set(to: bench.clock.now + .seconds(-3600))
        bench.clock.advance(by: .seconds(5))
        #expect(throws: Engine.Objection.self) { try bench.engine.setMode(.enforce, for: .agent, actor: ann, reason: "w") }
        #expect(bench.engine.proposals.count == 1)
        bench.clock.advance(by: .seconds(5))
        #expect(try await !Lasting.mode.isInForce(on: bench))
    }
}
