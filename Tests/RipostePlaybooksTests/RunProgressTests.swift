import RiposteCore
@testable import RipostePlaybooks
import RiposteTestSupport
import Testing

/// Each test is a transcript: how steps end, and what the run does about it.
@Suite("The run of a playbook's steps")
struct RunProgressTests {
    /// The moves of a run whose steps end as `endings` says, `done` where it says nothing.
    private func transcript(_ steps: String, _ endings: [String: Outcome] = [:], settled: [String: Outcome] = [:]) throws -> [String] {
        let set = try Bench.load("  - name: p\n    match: { any: true }\n    steps:\n\(steps)\n", Self.catalogue)
        var progress = RunProgress(try #require(set.playbooks.first).steps, settled: settled.mapValues { StepFacts($0, action: $0 == .done ? .new() : nil) })
        var lines: [String] = []
        for _ in 0..<100 {
            switch progress.next() {
            case .begin(let starts):
                lines.append("begin " + starts.map { $0.step + ($0.isSupposed ? " (supposed)" : "") }.joined(separator: ", "))
                for start in starts {
                    let outcome = endings[start.step] ?? .done
                    progress.settle(start.step, StepFacts(outcome, action: outcome == .done ? .new() : nil))
                }
            case .skip(let step, let cause):
                lines.append("skip \(step): \(cause)")
                progress.settle(step, StepFacts(.skipped))
            case .takeBack(let actions, let cause): lines.append("take back \(actions.count): \(cause)")
            case .suspend(let step):
                lines.append("suspend at \(step)")
                return lines
            case .end(let message):
                lines.append("end" + (message.map { ": \($0)" } ?? ""))
                return lines
            }
        }
        Issue.record("the run does not end")
        return lines
    }

    private static let catalogue = {
        let world = RecordingWorld()
        return ActionCatalogue([
            RecordingAction("container.pause", world: world, inverse: "container.unpause"), RecordingAction("container.unpause", world: world, takesAway: true),
            RecordingAction("container.kill", world: world, impact: .destroys),
        ])
    }()

    private static func three(_ onFailure: String) -> String {
        """
            - { name: a, action: container.pause }
            - { name: b, action: container.pause, on_failure: \(onFailure) }
            - { name: c, action: container.kill }
            - { name: d, action: container.kill }
        """
    }

    @Test(
        "after a failure",
        arguments: [
            ("stop", Outcome.failed, ["begin a", "begin b", "skip c: stopped at step b", "skip d: stopped at step b", "end: stopped at step b"]),
            ("stop", .refused, ["begin a", "begin b", "skip c: stopped at step b", "skip d: stopped at step b", "end: stopped at step b"]),
            ("stop", .expired, ["begin a", "begin b", "skip c: stopped at step b", "skip d: stopped at step b", "end: stopped at step b"]),
            ("stop", .gone, ["begin a", "begin b", "begin c", "begin d", "end"]), ("stop", .skipped, ["begin a", "begin b", "begin c", "begin d", "end"]),
            ("continue", .failed, ["begin a", "begin b", "begin c", "begin d", "end"]),
            (
                "undo", .failed,
                [
                    "begin a", "begin b", "take back 1: step b ended failed", "skip c: taken back after step b", "skip d: taken back after step b",
                    "end: taken back after step b",
                ]
            ),
            ("{ goto: d }", .failed, ["begin a", "begin b", "skip c: step b ended failed, and the run went on at step d", "begin d", "end"]),
            ("{ goto: d }", .done, ["begin a", "begin b", "begin c", "begin d", "end"]),
            ("stop", .pending, ["begin a", "begin b", "suspend at b"]),
        ])
    func failures(_ onFailure: String, _ outcome: Outcome, _ expected: [String]) throws {
        #expect(try transcript(Self.three(onFailure), ["b": outcome]) == expected)
    }

    private static let together = """
            - parallel:
                - { name: kill, action: container.kill }
                - { name: pause, action: container.pause, on_failure: continue }
            - { name: after, action: container.kill, needs: parallel-1 }
        """

    @Test(
        "steps that run together: what can be taken back begins first, the block is as its worst step",
        arguments: [
            ([:], ["begin pause, kill", "begin after", "end"]), (["kill": .already], ["begin pause, kill", "begin after", "end"]),
            (["pause": .failed], ["begin pause, kill", "skip after: it needs step parallel-1, which ended failed", "end"]),
            (["kill": .failed], ["begin pause, kill", "skip after: stopped at step kill", "end: stopped at step kill"]),
            (["pause": .skipped], ["begin pause, kill", "begin after", "end"]), (["kill": .pending], ["begin pause, kill", "suspend at kill"]),
            (["pause": .failed, "kill": .pending], ["begin pause, kill", "suspend at kill"]),
            (["pause": .planned, "kill": .planned], ["begin pause, kill", "begin after (supposed)", "end"]),
        ] as [([String: Outcome], [String])])
    func together(_ endings: [String: Outcome], _ expected: [String]) throws {
        #expect(try transcript(Self.together, endings) == expected)
    }

    @Test("after a restart settled steps are not done again, of those that run together neither")
    func restart() throws {
        #expect(try transcript(Self.together, settled: ["pause": .done]) == ["begin kill", "begin after", "end"])
        #expect(try transcript(Self.together, settled: ["pause": .done, "kill": .done]) == ["begin after", "end"])
        #expect(try transcript(Self.three("undo"), settled: ["a": .done, "b": .failed, "c": .skipped]).first == "take back 1: step b ended failed")
        #expect(try transcript(Self.three("{ goto: d }"), settled: ["a": .done, "b": .failed, "c": .skipped]) == ["begin d", "end"])
        #expect(try transcript(Self.three("stop"), settled: ["a": .done, "b": .pending]) == ["suspend at b"])
    }

    @Test("a need that is not met skips, and what needs the skipped is skipped, too")
    func needs() throws {
        let steps = """
                - { name: a, action: container.pause, on_failure: continue }
                - { name: b, action: container.kill, needs: [a] }
                - { name: c, action: container.kill, needs: [b], on_failure: undo }
            """
        #expect(
            try transcript(steps, ["a": .refused]) == [
                "begin a", "skip b: it needs step a, which ended refused", "skip c: it needs step b, which ended skipped", "end",
            ])
    }

    @Test("of several failures together the one counts whose answer goes furthest")
    func gravest() throws {
        let steps = """
                - parallel:
                    - { name: a, action: container.pause, on_failure: continue }
                    - { name: b, action: container.kill, on_failure: undo }
                    - { name: c, action: container.pause, on_failure: stop }
                - { name: d, action: container.kill }
            """
        #expect(
            try transcript(steps, ["a": .failed, "b": .failed, "c": .failed]) == [
                "begin a, c, b", "take back 0: step b ended failed", "skip d: taken back after step b", "end: taken back after step b",
            ])
        #expect(try transcript(steps, ["a": .failed]) == ["begin a, c, b", "begin d", "end"])
    }
}

@Suite("Attempts")
struct AttemptsTests {
    private static func error(_ failure: FailureClass, after: Duration? = nil) -> ActionError { ActionError(failure, "do it", "no", retryAfter: after) }

    @Test("a growing pause, as often as the policy says, and only for its classes")
    func policy() {
        var policy = RetryPolicy()
        (policy.max, policy.jitter) = (2, false)
        var attempts = Attempts(policy)
        #expect(attempts.pause(after: Self.error(.busy), chance: 0) == .milliseconds(200))
        #expect(attempts.pause(after: Self.error(.unavailable), chance: 0) == .milliseconds(400))
        #expect(attempts.pause(after: Self.error(.busy), chance: 0) == nil)
        for never in FailureClass.allCases where !RetryPolicy.classes.contains(never) {
            var attempts = Attempts(nil)
            #expect(attempts.pause(after: Self.error(never), chance: 0) == nil, "\(never)")
        }
    }

    @Test("without a policy the class decides: a conflict five times at once, a timeout once, busy with jitter")
    func standard() {
        var attempts = Attempts(nil)
        for _ in 0..<5 { #expect(attempts.pause(after: Self.error(.conflict), chance: 0) == .zero) }
        #expect(attempts.pause(after: Self.error(.conflict), chance: 0) == nil)
        var timeouts = Attempts(nil)
        #expect(timeouts.pause(after: Self.error(.timeout), chance: 0) == .zero)
        #expect(timeouts.pause(after: Self.error(.timeout), chance: 0) == nil)
        var busy = Attempts(nil)
        #expect(busy.pause(after: Self.error(.busy), chance: .max).map { $0 >= .milliseconds(100) && $0 < .milliseconds(101) } == true)
        #expect(busy.pause(after: Self.error(.busy, after: .seconds(7)), chance: 0) == .seconds(7), "the other side knows best")
    }
}
