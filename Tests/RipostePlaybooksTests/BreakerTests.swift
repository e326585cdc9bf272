import RiposteCore
@testable import RipostePlaybooks
import RiposteTestSupport
import Testing

private func playbook(_ reopen: String, over: String = "observe", action: String = "container.kill") -> String {
    "  - name: p\n    match: { rules: r }\n    budget: { actions: 1, per: 10m, over: \(over), reopen: \(reopen) }\n    steps: [{ action: \(action) }]\n"
}

private let ann = AuditRecord.Actor(.person, name: "ann")

@Suite("Breakers")
struct BreakerTests {
    @Test("over budget it opens, after quiet it is half-open, and one act that is done closes it")
    func closesByItself() async throws {
        let scene = try BrakeScene(playbook("{ quiet: 30m }"))
        #expect(try await scene.respond(times: 3) == [.done, .refused, .planned])
        await scene.letTimePass(.seconds(1799))
        #expect(scene.breakers == ["playbook/p open"])
        await scene.letTimePass(.seconds(1))
        #expect(scene.breakers == ["playbook/p half_open"])
        #expect(try await scene.respond(times: 1, from: 5) == [.done])
        #expect(scene.breakers.isEmpty)
        #expect(scene.changes == ["playbook/p open", "playbook/p half_open", "playbook/p closed"])
        #expect(scene.log.records.filter { $0.kind == .brake }.map { $0.detail["state"]?.string } == ["open", "half_open"])
    }

    @Test("whoever asks meanwhile makes the quiet begin anew")
    func quietBeginsAnew() async throws {
        let scene = try BrakeScene(playbook("{ quiet: 30m }"))
        _ = try await scene.respond(times: 2)
        await scene.letTimePass(.seconds(1200))
        #expect(try await scene.respond(times: 1, from: 5) == [.planned])
        await scene.letTimePass(.seconds(1200))
        #expect(scene.breakers == ["playbook/p open"])
        await scene.letTimePass(.seconds(600))
        #expect(scene.breakers == ["playbook/p half_open"])
    }

    @Test("half-open, one act is under way at a time; one that fails leaves it half-open")
    func oneAct() async throws {
        let scene = try BrakeScene(playbook("{ quiet: 30m }"))
        _ = try await scene.respond(times: 2)
        await scene.letTimePass(.seconds(1800))
        scene.world.fail(with: ActionError(.unavailable, "kill", "no answer"))
        #expect(try await scene.respond(times: 1, from: 5) == [.failed])
        #expect(scene.breakers == ["playbook/p half_open"])
        scene.world.fail(with: nil)
        let inside = Latch()
        let goOn = Latch()
        scene.world.hold {
            await inside.open()
            await goOn.pass()
        }
        let first = Task { try await scene.engine.respond(to: scene.alert(BrakeScene.id(6))) }
        await inside.pass()
        try await scene.engine.respond(to: scene.alert(BrakeScene.id(7)))
        #expect(scene.results.map(\.outcome) == [.planned])
        await goOn.open()
        try await first.value
        #expect(scene.breakers.isEmpty)
    }

    @Test("half-open with no room in its budget, it opens again")
    func opensAgain() async throws {
        let scene = try BrakeScene(playbook("{ quiet: 1m }"))
        _ = try await scene.respond(times: 2)
        await scene.letTimePass(.seconds(60))
        #expect(try await scene.respond(times: 1, from: 5) == [.refused])
        #expect(scene.breakers == ["playbook/p open"] && scene.engine.snapshot.breakers["playbook/p"]?.trips == 2)
    }

    @Test("by hand only a person closes it, on record with name and reason, and the budget's window stays as it is")
    func byHand() async throws {
        let scene = try BrakeScene(playbook("by hand"))
        _ = try await scene.respond(times: 2)
        await scene.letTimePass(.seconds(300))
        await scene.letTimePass(.seconds(86400 * 30))
        #expect(scene.breakers == ["playbook/p open"])
        #expect(try await scene.respond(times: 1, from: 3) == [.planned])
        #expect(scene.engine.closeBreaker("playbook/q", actor: ann, reason: nil) == .unknown)
        guard case .closed(let was) = scene.engine.closeBreaker("playbook/p", actor: ann, reason: "was the deployment") else {
            Issue.record("it is not closed")
            return
        }
        #expect(was.heldBack == 1 && was.cause == "the budget of playbook p is spent: 1 of 1 actions per 10m")
        let record = try #require(scene.log.records.last)
        #expect(record.kind == .brake && record.actor == ann && record.reason == "was the deployment")
        #expect(try await scene.respond(times: 2, from: 4) == [.done, .refused])
    }

    @Test("a journal that does not take it opens and closes none; nothing acts beyond the budget all the same")
    func noJournal() async throws {
        let scene = try BrakeScene(playbook("by hand"))
        scene.log.refuse([.brake])
        #expect(try await scene.respond(times: 3) == [.done, .refused, .refused])
        scene.log.refuse([])
        #expect(try await scene.respond(times: 2, from: 5) == [.refused, .planned])
        scene.log.refuse([.brake])
        #expect(scene.engine.closeBreaker("playbook/p", actor: ann, reason: nil) == .notOnRecord)
        #expect(scene.breakers == ["playbook/p open"])
    }

    @Test("a restart, and other playbooks, do not arm it anew")
    func restart() async throws {
        let scene = try BrakeScene(playbook("by hand", over: "ask"))
        #expect(try await scene.respond(times: 2) == [.done, .pending])
        let next = try scene.restarted(playbook("{ quiet: 1s }"))
        #expect(next.breakers == ["playbook/p open"])
        await next.letTimePass(.seconds(3600))
        // The question of before has expired meanwhile.
        #expect(try await next.respond(times: 1, from: 5).last == .pending)
    }

    @Test("what a half-open breaker let through when the agent died closes it, once the next one knows that it is in effect; else it proves nothing", arguments: [true, false])
    func trialOverRestart(_ isInEffect: Bool) async throws {
        let text = playbook("{ quiet: 30m }", action: "container.pause")
        let scene = try BrakeScene(text)
        _ = try await scene.respond(times: 2)
        await scene.letTimePass(.seconds(1800))
        scene.log.refuse([.outcome])
        _ = try await scene.respond(times: 1, from: 5)
        scene.log.refuse([])
        if !isInEffect { scene.world.unmark(BrakeScene.id(5)) }
        let next = try scene.restarted(text)
        #expect(next.breakers == ["playbook/p half_open"])
        #expect(try await next.respond(times: 1, from: 6) == [.planned], "as long as that act is not settled, no other one")
        _ = await next.engine.recover(resumingRuns: false)
        #expect(next.breakers == (isInEffect ? [] : ["playbook/p half_open"]))
        await next.letTimePass(.seconds(600))
        #expect(try await next.respond(times: 1, from: 7).last == .done && next.breakers.isEmpty, "another one is let through")
    }

    @Test("targets without end open no more breakers than there is room for, and no act more than the budget")
    func bounded() async throws {
        var breakers = Breakers()
        for number in 0..<(Breakers.limit + 10) where !breakers.isFull {
            breakers.apply(AuditRecord(.brake, at: .now(), detail: ["breaker": .text("target/\(number)"), "state": "open", "over": "observe", "reopen": "30m"]))
        }
        #expect(breakers.all.count == Breakers.limit && Breakers(json: breakers.json) == breakers)
        var state = EngineState()
        state.breakers = breakers
        let scene = try BrakeScene(playbook("by hand"), state: state)
        #expect(try await scene.respond(times: 3) == [.done, .planned, .planned])
    }
}

/// Opens once.
actor Latch {
    private var isOpen = false
    private var waiters: [CheckedContinuation<Void, Never>] = []

    func open() {
        isOpen = true
        waiters.forEach { $0.resume() }
        waiters = []
    }

    func pass() async {
        if !isOpen { await withCheckedContinuation { waiters.append($0) } }
    }
}
