import Foundation
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Synchronization
import Testing

/// A service of so many copies; every container is one of them.
private final class Service: TargetFacts {
    let replicas: Mutex<Int?>

    init(_ replicas: Int?) { self.replicas = Mutex(replicas) }

    func facts(of plan: Plan, _ needs: GuardNeeds) async throws(ActionError) -> GuardFacts { GuardFacts([GuardFacts.Subject()]) }

    func workload(of plan: Plan) async throws(ActionError) -> Workload? {
        guard let count = replicas.withLock(\.self) else { throw ActionError(.unavailable, "ask", "nobody answers") }
        return Workload(name: "web", replicas: count)
    }
}

private func playbook(_ share: String, action: String = "container.pause", more: String = "") -> String {
    "  - name: p\n    match: { rules: r }\n    budget: { share: \(share)\(more) }\n    steps: [{ action: \(action) }]\n"
}

private let names = (1...9).map { "cccccccccc\($0)\($0)" }

@Suite("A share of a workload")
struct ShareTests {
    @Test(
        "so many replicas are hit at the same time, rounded down, one only if said; where nobody knows how many there are, none",
        arguments: [
            (10, "{ of: workload, max: 20% }", 2), (9, "{ of: workload, max: 33.4% }", 3), (4, "{ of: workload, max: 20% }", 0),
            (4, "{ of: workload, max: 20%, at_least_one: true }", 1), (3, "{ of: workload, max: 100% }", 3), (nil, "{ of: workload, max: 50%, at_least_one: true }", 0),
        ] as [(Int?, String, Int)])
    func limit(_ replicas: Int?, _ share: String, _ limit: Int) async throws {
        let scene = try BrakeScene(playbook(share), facts: Service(replicas))
        var outcomes: [Outcome] = []
        for name in names.prefix(limit + 1) { outcomes += try await scene.respond(name).map(\.outcome) }
        #expect(outcomes.filter { $0 == .done }.count == limit && outcomes.last == .refused, "\(outcomes)")
        #expect(scene.breakers == ["playbook/p open"])
        let refusal = scene.log.records.last { $0.kind == .outcome }
        #expect(refusal?.failure == .budget && refusal?.message?.contains(replicas == nil ? "is not known" : "\(limit) of the \(replicas ?? 0) replicas of web") == true)
    }

    @Test("whoever did it takes a place, also where the share is another playbook's", arguments: ["person", "playbook", "fed in", "killed"])
    func others(_ who: String) async throws {
        let ann = AuditRecord.Actor(.person, name: "ann")
        let other = "  - { name: q, match: { rules: q }, steps: [{ action: container.pause }] }\n"
        let scene = try BrakeScene(playbook("{ of: workload, max: 20% }") + other, facts: Service(10))
        for name in names.prefix(2) {
            switch who {
            case "playbook": _ = try await scene.respond(name, rule: "q")
            case "fed in":
                let set = try Bench.load(other, scene.engine.catalogue)
                let engine = scene.engine.variant(mode: .enforce, maximumAlertAge: .seconds(3600), playbooks: set, by: ann, observe: { _ in })
                try await engine.respond(to: scene.alert(name, rule: "q"))
            default:
                let action: ActionName = who == "person" ? "container.pause" : "container.kill"
                #expect(await scene.engine.carryOut(Order(actor: ann, action: action, claim: .container(.init(reference: name)), mode: .enforce)).outcome == .done)
            }
        }
        _ = scene.results
        #expect(scene.world.performed.count == 2)
        let state = scene.log.records.reduce(into: EngineState()) { $0.apply($1) }
        #expect(try await scene.respond(names[2]).map(\.outcome) == [.refused])
        let next = try BrakeScene(
            playbook("{ of: workload, max: 20% }"), state: try #require(EngineState(json: state.json)), clock: scene.clock, world: scene.world, facts: Service(10))
        #expect(try await next.respond(names[3]).map(\.outcome) == [.refused])
    }

    /// Never says how many there are.
    private struct Silent: TargetFacts {
        func facts(of plan: Plan, _ needs: GuardNeeds) async throws(ActionError) -> GuardFacts { GuardFacts([GuardFacts.Subject()]) }

        func workload(of plan: Plan) async throws(ActionError) -> Workload? {
            try? await Task.sleep(for: .seconds(86400))
            return nil
        }
    }

    @Test("what has no share of its own is done also where nobody says how many there are")
    func silence() async throws {
        let scene = try BrakeScene(playbook("{ of: workload, max: 20% }"), facts: Silent())
        let order = Order(actor: AuditRecord.Actor(.person, name: "ann"), action: "container.pause", claim: .container(.init(reference: names[0])), mode: .enforce)
        #expect(await scene.engine.carryOut(order).outcome == .done)
    }

    @Test("a place is free again when what was done is taken back, and a restart counts what stands")
    func takenBack() async throws {
        let service = Service(5)
        let scene = try BrakeScene(playbook("{ of: workload, max: 20% }", more: ", reopen: { quiet: 1s }"), facts: service)
        #expect(try await scene.respond(names[0]).map(\.outcome) == [.done])
        let state = scene.log.records.reduce(into: EngineState()) { $0.apply($1) }
        #expect(state.openUndos.values.map(\.workload) == ["web"])
        let next = try BrakeScene(
            playbook("{ of: workload, max: 20% }"), state: try #require(EngineState(json: state.json)), clock: scene.clock, world: scene.world, facts: service)
        #expect(try await next.respond(names[1]).map(\.outcome) == [.refused])
        let undo = try #require(scene.engine.snapshot.openUndos.keys.first)
        _ = await scene.engine.undo(undo, actor: AuditRecord.Actor(.person, name: "ann"))
        #expect(scene.engine.snapshot.openUndos.isEmpty)
        #expect(try await scene.respond(names[2]).map(\.outcome) == [.undone, .done])
    }

    @Test("what destroys counts for the window; the same target needs no second place")
    func destroyed() async throws {
        let scene = try BrakeScene(playbook("{ of: workload, max: 20% }", action: "container.kill", more: ", per: 10m, reopen: { quiet: 1s }"), facts: Service(5))
        #expect(try await scene.respond(names[0]).map(\.outcome) == [.done])
        #expect(try await scene.respond(names[0]).map(\.outcome) == [.done])
        await scene.letTimePass(.seconds(599))
        #expect(try await scene.respond(names[1]).map(\.outcome) == [.refused])
        await scene.letTimePass(.seconds(2))
        #expect(try await scene.respond(names[1]).map(\.outcome) == [.done])
    }

    @Test("the agent's own budgets can have one, over all playbooks; over: ask puts it to a person; an observed plan says it too")
    func agent() async throws {
        var budget = Budget(actions: nil, per: .seconds(3600), over: .ask)
        budget.share = Budget.Share(hundredths: 2000)
        let two = "  - { name: a, match: { rules: r }, dedup: off, steps: [{ action: container.pause }] }\n"
        let scene = try BrakeScene(two, budgets: [AgentBudget("alive", budget)], facts: Service(5))
        #expect(try await scene.respond(names[0]).map(\.outcome) == [.done])
        #expect(try await scene.respond(names[1]).map(\.outcome) == [.pending])
        let observing = try BrakeScene(two, mode: .observe, budgets: [AgentBudget("alive", budget)], facts: Service(4))
        #expect(try await observing.respond(names[0]).map(\.outcome) == [.planned])
        #expect(observing.log.records.last { $0.kind == .outcome }?.message?.contains("the agent's budget alive leaves 20% of a workload") == true)
    }

    @Test("what is no copy of anything is bound by no share")
    func noWorkload() async throws {
        let scene = try BrakeScene(playbook("{ of: workload, max: 20% }"))
        #expect(try await scene.respond(names[0]).map(\.outcome) == [.done])
    }

    @Test(
        "mistakes are told with their remedy",
        arguments: [
            ("{ max: 20% }", "a share says of what and how much"), ("{ of: node, max: 20% }", "did you mean \"workload\"?"),
            ("{ of: workload, max: 0% }", "a share of more than 0%"),
            ("{ of: workload, max: 120% }", "at most 100%"), ("{ of: workload, max: 20%, most: 1 }", "unknown key \"most\""),
            ("{ of: workload, max: 20% }, actions: 3", "needs the key \"per\""),
        ])
    func mistakes(_ share: String, _ expected: String) {
        let problems = Bench.problems(of: playbook(share))
        #expect(problems.contains(expected), "\(problems)")
    }

    @Test("the example of docs/budgets.md loads, and in a described world it leaves a service alive")
    func page() async throws {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/budgets.md").standardizedFileURL.path
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let example = String(try #require(text.matches(of: /(?s)```yaml\n(apiVersion.*?)```/).first { $0.1.contains("share:") }).1)
        let descriptions = Bench.catalogue(RecordingWorld()).descriptions
        let set = try PlaybookSet.load([.init(name: "p.yaml", text: example)], Bench.catalogue(RecordingWorld())).set
        #expect(set.playbooks[0].budget?.share == Budget.Share(hundredths: 2000, isAtLeastOne: true))
        let start = try #require(Timestamp("2026-03-04T11:00:00Z"))
        var world = DescribedWorld()
        world.containers = names.prefix(5).map { DescribedWorld.Container(id: $0, name: $0, image: "shop/web") }
        let tally = RehearsalTally()
        let rehearsal = Rehearsal(set, actions: descriptions, world: world, start: start, log: tally)
        for (index, name) in names.prefix(5).enumerated() {
            let document: JSON = [
                "rule": "Terminal shell in container", "priority": "Warning", "time": .text("\(start + .seconds(index))"), "output_fields": ["container.id": .text(name)],
            ]
            try rehearsal.feed(try Alert(document, id: .new(), arrival: .init(intake: "t", time: start)))
        }
        rehearsal.close()
        #expect(tally.current.total(.done) == 1 && tally.current.total(.pending) == 4, "one of five, the others are asked about: \(tally.current.json.line)")
    }
}
