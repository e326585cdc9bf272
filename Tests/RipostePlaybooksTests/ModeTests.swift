import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

private let ann = AuditRecord.Actor(.person, name: "ann", uid: 1000, pid: 7)

@Suite("Modes")
struct ModeTests {
    /// What has a say, what comes of it, and who is said to have decided.
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var agent = Mode.enforce
        var playbook = ""
        var live: [(Mode, ModeTable.Scope)] = []
        var ceiling: Mode?
        var trust = Alert.Arrival.Trust.trusted
        var outcome: Outcome
        var because: String?

        var testDescription: String { name }
    }

    static let cases = [
        Case(name: "all say enforce", outcome: .done),
        Case(name: "the agent's", agent: .observe, playbook: "mode: enforce", outcome: .planned, because: "the agent's mode is observe"),
        Case(name: "the playbook's", playbook: "mode: ask", outcome: .pending, because: "the playbook's mode is ask"),
        Case(name: "of two as careful the agent is named", agent: .observe, playbook: "mode: observe", outcome: .planned, because: "the agent's mode is observe"),
        Case(name: "an intake that is not trusted", trust: .untrusted, outcome: .planned, because: "the intake t is not trusted"),
        Case(name: "agent, live", live: [(.observe, .agent)], outcome: .planned, because: "the agent's mode was set to observe by ann"),
        Case(name: "playbook, live", live: [(.ask, .playbook("p"))], outcome: .pending, because: "the playbook's mode was set to ask by ann"),
        Case(name: "source, live", live: [(.observe, .source("t"))], outcome: .planned, because: "the mode of source t was set to observe by ann"),
        Case(name: "another source, live", live: [(.observe, .source("http"))], outcome: .done),
        Case(name: "a person's word stands in place of the file's", playbook: "mode: observe", live: [(.enforce, .playbook("p"))], outcome: .done),
        Case(
            name: "and not of the agent's", agent: .ask, playbook: "mode: observe", live: [(.enforce, .playbook("p"))], outcome: .pending,
            because: "the agent's mode is ask"),
        Case(name: "the agent wider, as far as the ceiling goes", agent: .observe, live: [(.enforce, .agent)], ceiling: .enforce, outcome: .done),
        Case(name: "a source is never wider than its trust", live: [(.enforce, .source("t"))], trust: .untrusted, outcome: .planned, because: "the intake t is not trusted"),
    ]

    @Test("the most careful one wins, and the record says whose it was", arguments: cases)
    func effective(_ example: Case) async throws {
        let bench = try Bench(
            "  - name: p\n    \(example.playbook)\n    match: { rules: r }\n    steps: [{ action: container.pause }]\n", mode: example.agent,
            configure: { $0.modeCeiling = example.ceiling })
        for (mode, scope) in example.live { try bench.engine.setMode(mode, for: scope, actor: ann) }
        let results = try await bench.respond(Bench.one, trust: example.trust)
        #expect(results.map(\.outcome) == [example.outcome])
        #expect(results[0].modeBecause == example.because)
        let record = bench.log.records.last { $0.kind == .outcome }
        #expect(record?.detail["mode_because"]?.string?.valid == example.because)
        #expect(bench.world.performed.isEmpty == (example.outcome != .done))
    }

    @Test("who set it, why and until when is in the journal")
    func record() throws {
        let bench = try Bench(Bench.pause)
        try bench.engine.setMode(.ask, for: .playbook("p"), lasting: .seconds(7200), actor: ann, reason: "roll-out of web 2")
        let record = try #require(bench.log.records.last)
        #expect(record.kind == .mode && record.mode == .ask && record.playbook == "p" && record.actor == ann && record.reason == "roll-out of web 2")
        #expect(record.detail["until"]?.string?.valid == "\(bench.clock.now + .seconds(7200))")
    }

    @Test("a mode outlives a restart, ends by itself, and that is on record")
    func expiry() async throws {
        let first = try Bench(Bench.pause)
        try first.engine.setMode(.observe, for: .agent, lasting: .seconds(7200), actor: ann)
        let second = try first.restarted(Bench.pause)
        #expect(try await second.respond(Bench.one).map(\.outcome) == [.planned])
        await second.pass(.seconds(7199))
        #expect(second.engine.snapshot.modes.settings.count == 1)
        await second.pass(.seconds(1))
        #expect(second.engine.snapshot.modes.settings.isEmpty)
        #expect(second.log.records.last?.detail["state"]?.string == "expired" && second.log.records.last?.actor?.kind == .timer)
        #expect(try await second.respond(Bench.one).map(\.outcome) == [.done])
    }

    @Test("what has run out counts no more, also before somebody has written that down")
    func runOut() async throws {
        let bench = try Bench(Bench.pause)
        try bench.engine.setMode(.observe, for: .agent, lasting: .seconds(60), actor: ann)
        bench.clock.advance(by: .seconds(60))
        #expect(try await bench.respond(Bench.one).map(\.outcome) == [.done])
    }

    @Test("clearing brings back what configuration and file say")
    func clear() async throws {
        let bench = try Bench(Bench.pause)
        try bench.engine.setMode(.observe, for: .playbook("p"), actor: ann)
        try bench.engine.clearMode(for: .playbook("p"), actor: ann, reason: "over")
        #expect(try await bench.respond(Bench.one).map(\.outcome) == [.done])
        #expect(throws: Engine.Objection.self) { try bench.engine.clearMode(for: .playbook("p"), actor: ann) }
    }

    @Test("what is refused, and what is said then")
    func refusals() throws {
        let kill = "  - name: kill-it\n    mode: observe\n    match: { rules: k }\n    steps: [{ action: container.destroy }]\n"
        let world = RecordingWorld()
        let bench = try Bench(
            Bench.pause + kill, mode: .ask, world: world,
            catalogue: ActionCatalogue([
                RecordingAction("container.pause", world: world), FailingAction("container.destroy"),
            ]), configure: { $0.modeCeiling = nil })
        func message(_ mode: Mode, _ scope: ModeTable.Scope, reason: String? = nil) -> String? {
            do { try bench.engine.setMode(mode, for: scope, actor: ann, reason: reason) } catch { return error.message }
            return nil
        }
        #expect(message(.enforce, .agent)?.contains("mode_ceiling must allow that") == true)
        #expect(message(.ask, .agent) == nil)
        #expect(message(.observe, .playbook("kill-itt"))?.contains("did you mean \"kill-it\"?") == true)
        #expect(message(.enforce, .playbook("kill-it"))?.contains("cannot be taken back") == true)
        #expect(message(.enforce, .playbook("kill-it"), reason: "tested for a week") == nil)
        #expect(message(.enforce, .playbook("p")) == nil)
    }

    @Test("a ceiling that came down holds, whatever the journal says")
    func loweredCeiling() async throws {
        let first = try Bench(Bench.pause, mode: .observe, configure: { $0.modeCeiling = .enforce })
        try first.engine.setMode(.enforce, for: .agent, actor: ann)
        let second = try first.restarted(Bench.pause, mode: .observe)
        #expect(try await second.respond(Bench.one).map(\.outcome) == [.planned])
    }

    @Test("the kernel's reflexes follow live modes")
    func reflexes() throws {
        let world = RecordingWorld()
        let catalogue = ActionCatalogue([RecordingAction("process.kill", world: world, target: .process)])
        let bench = try Bench(
            "  - name: x\n    match: { rules: [m] }\n    budget: { actions: 1, per: 1m }\n    steps: [{ action: process.kill, reflex: true }]\n", world: world,
            catalogue: catalogue)
        let playbook = bench.engine.playbooks.playbooks[0]
        #expect(bench.engine.modeInKernel(of: playbook) == .enforce)
        try bench.engine.setMode(.observe, for: .playbook("x"), actor: ann)
        #expect(bench.engine.modeInKernel(of: playbook) == .observe)
        try bench.engine.clearMode(for: .playbook("x"), actor: ann)
        try bench.engine.setMode(.ask, for: .agent, actor: ann)
        #expect(bench.engine.modeInKernel(of: playbook) == .ask)
    }
}
