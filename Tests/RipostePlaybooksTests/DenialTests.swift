import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

private let one = Bench.one
private let two = Bench.two
private let ann = person("ann", 1, groups: ["oncall"])
private let asking = """
      - name: p
        match: { rules: r }
        steps: [{ name: kill, action: container.kill, approval: { expires: 10m, approvers: ["group:oncall"] } }]

    """

@Suite("A no that lasts")
struct DenialTests {
    let stage = ContainerStage()

    @Test("with a pardon playbooks leave the target alone for a while, over a restart, and nobody is asked about it again")
    func pardon() async throws {
        let bench = try Bench(stage: stage, asking)
        let id = try await bench.respond(one)[0].id
        #expect(await bench.engine.answer(.deny, id, by: ann, reason: "the debugger", pardons: true).results.map(\.outcome) == [.refused])
        let pardon = try #require(bench.engine.pardons.first)
        #expect(pardon.target.reference == one && pardon.actor.name == "ann" && pardon.reason == "the debugger")
        let next = try Bench(stage: stage, asking, state: try #require(EngineState(json: bench.state.json)), clock: bench.clock)
        #expect(try await next.respond(one).map(\.outcome) == [.refused])
        #expect(next.log.records.last { $0.kind == .outcome }?.failure == .pardoned && next.engine.snapshot.approvals.requests.isEmpty)
        #expect(try await next.respond(two).map(\.outcome) == [.pending], "another target is asked about")
        next.clock.advance(by: .seconds(3601))
        #expect(try await next.respond(one).last?.outcome == .pending, "its time is over")
    }

    @Test("without one the next alert asks anew")
    func noPardon() async throws {
        let bench = try Bench(stage: stage, asking)
        let id = try await bench.respond(one)[0].id
        _ = await bench.engine.answer(.deny, id, by: ann)
        #expect(bench.engine.pardons.isEmpty)
        #expect(try await bench.respond(one).map(\.outcome) == [.pending])
    }

    @Test("who may not decide pardons nobody, and where pardons are off the question stays open")
    func refused() async throws {
        let bench = try Bench(stage: stage, asking)
        let id = try await bench.respond(one)[0].id
        #expect(await bench.engine.answer(.deny, id, by: person("eve", 3), pardons: true).results.map(\.outcome) == [.refused])
        #expect(bench.engine.pardons.isEmpty && bench.engine.snapshot.approvals.requests.count == 1)
        let strict = try Bench(stage: stage, asking) { $0.undo.pardon = .zero }
        let other = try await strict.respond(one)[0].id
        let answer = await strict.engine.answer(.deny, other, by: ann, pardons: true)
        #expect(!answer.isSettled && answer.results[0].reason?.contains("undo.pardon is off") == true)
        #expect(strict.engine.snapshot.approvals.requests.count == 1)
    }

    @Test("the agent ends at any record of it: never a no without its pardon")
    func crash() async throws {
        let bench = try Bench(stage: stage, asking)
        let id = try await bench.respond(one)[0].id
        let before = bench.log.records.count
        _ = await bench.engine.answer(.deny, id, by: ann, pardons: true)
        for cut in before...bench.log.records.count {
            let state = bench.log.records.prefix(cut).reduce(into: EngineState()) { $0.apply($1) }
            let isOpen = state.approvals.request(holding: id)?.isWaiting ?? false
            #expect(isOpen || !state.pardons.granted.isEmpty, "cut \(cut)")
        }
    }
}

@Suite("No room for questions")
struct UnaskedPlanTests {
    let stage = ContainerStage()

    @Test("the first plan that nobody is asked about is told of, once until there is room again, with whom it would have hit")
    func once() async throws {
        let bench = try Bench(stage: stage, asking) { $0.approvals.openLimit = 1 }
        for container in [one, two, "cccccccccccc"] { _ = try await bench.respond(container) }
        #expect(bench.unasked.map(\.target.reference) == [two])
        #expect(bench.unasked[0].open == 1 && bench.unasked[0].playbook == "p" && bench.unasked[0].step == "kill" && bench.unasked[0].action == "container.kill")
        await bench.settle(after: .seconds(600))
        for container in [one, two] { _ = try await bench.respond(container) }
        #expect(bench.unasked.map(\.target.reference) == [two, two], "there was room, and then none again")
    }
}
