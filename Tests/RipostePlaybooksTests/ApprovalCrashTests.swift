import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

private let one = Bench.one
private let ann = person("ann", 1)

/// The agent ends at any record of a story; another one takes over, and time passes.
@Suite("Approvals and crashes")
struct ApprovalCrashTests {
    struct Story: CustomTestStringConvertible {
        let testDescription: String
        let playbook: String
        let tell: @Sendable (Bench) async throws -> Void
    }

    static let held = """
          - name: p
            match: { rules: r }
            steps:
              - { name: kill, action: container.kill, approval: { expires: 10m }, hold: container.pause, on_failure: continue }
              - { name: note, action: container.note }

        """
    static let escalating = """
          - name: p
            match: { rules: r }
            steps:
              - { name: pause, action: container.pause, undo: { after: 2h }, escalate: { after: 10m, action: container.kill } }

        """

    static let stories = [
        Story(testDescription: "approved", playbook: held) { bench in
            let id = try #require(try await bench.respond(one).first { $0.outcome == .pending }).id
            bench.clock.advance(by: .seconds(60))
            _ = await bench.engine.answer(.approve, id, by: ann)
            await bench.engine.idle()
        },
        Story(testDescription: "denied", playbook: held) { bench in
            let id = try #require(try await bench.respond(one).first { $0.outcome == .pending }).id
            _ = await bench.engine.answer(.deny, id, by: ann)
            await bench.engine.idle()
        },
        Story(testDescription: "nobody answers", playbook: held) { bench in
            _ = try await bench.respond(one)
            await bench.settle(after: .seconds(600))
        },
        Story(testDescription: "escalated", playbook: escalating) { bench in
            _ = try await bench.respond(one)
            await bench.settle(after: .seconds(600))
        },
    ]

    /// The world as the records say it is, with or without the deed of the last intent, whose outcome nobody wrote down.
    private func stage(after records: ArraySlice<AuditRecord>, lastDeedWasDone: Bool) -> ContainerStage {
        let stage = ContainerStage()
        for record in records {
            let isDeed = record.kind == .outcome ? record.outcome == .done || record.outcome == .undone : lastDeedWasDone && record.kind == .intent && record.id == records.last?.id
            guard isDeed, let action = record.action else { continue }
            stage.change { contents in
                contents.deeds.append("\(action) \(one)")
                switch action {
                case "container.pause": contents.conditions[one] = .paused
                case "container.unpause": contents.conditions[one] = .running
                case "container.kill": contents.conditions[one] = .ended
                default: break
                }
            }
        }
        return stage
    }

    @Test("never two deeds, never one without consent or in its absence in time, nothing left held, no run left open", arguments: stories)
    func everyCrash(_ story: Story) async throws {
        let whole = try Bench(stage: ContainerStage(), story.playbook)
        try await story.tell(whole)
        let records = whole.log.records
        #expect(records.count > 6)
        for cut in 0...records.count {
            for deedWasDone in [false, true] where !deedWasDone || records.prefix(cut).last?.kind == .intent {
                for pause in [Duration.seconds(1), .seconds(700), .seconds(86400)] {
                    let prefix = records.prefix(cut)
                    let stage = stage(after: prefix, lastDeedWasDone: deedWasDone)
                    let clock = HandClock(at: prefix.last?.time ?? whole.clock.now)
                    clock.advance(by: pause)
                    let before = prefix.reduce(into: EngineState()) { $0.apply($1) }
                    let state = try #require(EngineState(json: before.json))
                    #expect(state == before)
                    let next = try Bench(stage: stage, story.playbook, state: state, clock: clock)
                    _ = await next.engine.recover()
                    await next.engine.idle()
                    for _ in 0..<6 { await next.settle(after: .seconds(300)) }
                    let comment: Comment = "\(story.testDescription), record \(cut), deed \(deedWasDone), \(pause.text) later: \(stage.deeds)"
                    check(prefix + next.log.records, stage, next, comment)
                }
            }
        }
    }

    private func check(_ journal: ArraySlice<AuditRecord>, _ stage: ContainerStage, _ next: Bench, _ comment: Comment) {
        let after = next.engine.snapshot
        #expect(stage.kills <= 1, comment)
        #expect(after.openIntents.isEmpty && after.openRuns.isEmpty, comment)
        #expect(after.approvals.requests.isEmpty && after.approvals.owed.isEmpty && after.approvals.looseHolds.isEmpty, comment)
        // A container that lives is not held any more; the step of the escalating playbook keeps it for two hours.
        let holds = after.openUndos.values.filter { $0.playbook == "p" && $0.due ?? .now() < next.clock.now + .seconds(1500) }
        #expect(stage.condition(one) != .paused || holds.isEmpty, comment)
        // Asked once, unless nobody knows what became of what was approved.
        let asked = journal.count { $0.kind == .approval && $0.detail["state"] == "requested" && $0.detail["kind"] == "plan" }
        #expect(asked <= (journal.contains { $0.failure == .unknown } ? 2 : 1), comment)
        for intent in journal where intent.kind == .intent && intent.action == "container.kill" {
            guard let request = intent.detail["approval"]?["request"]?.string?.repaired else {
                Issue.record("a deed without consent", sourceLocation: #_sourceLocation)
                continue
            }
            let opening = journal.first { "\($0.id.map { "\($0)" } ?? "")" == request && $0.detail["state"] == "requested" }
            let deadline = opening?.detail["deadline"]?.string.flatMap { Timestamp($0.bytes) }
            let isGranted = journal.contains { "\($0.id.map { "\($0)" } ?? "")" == request && $0.detail["state"] == "granted" && $0.time < deadline ?? $0.time }
            let isUnanswered = intent.detail["approval"]?["unanswered"] == true && opening?.detail["on_expiry"] == "perform"
            #expect(opening?.detail["plan_digest"] == intent.detail["plan_digest"], comment)
            #expect(isUnanswered || (isGranted && intent.time < deadline ?? intent.time), comment)
        }
    }
}
