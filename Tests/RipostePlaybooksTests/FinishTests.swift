import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

/// `on_finish`, and steps that only tell: they see how all others ended, act on nothing, and wait for nobody.
struct FinishTests {
    /// Says what it is told to: the message stands in its plan.
    private struct Telling: Action {
        let description = ActionDescription(
            name: "notify.send", summary: "Says something.", target: .host, impact: .readsOnly,
            parameters: [
                Parameter("to", .list(of: .text(maxBytes: 64), maxCount: 16), isRequired: true, summary: "Whom."), Parameter("message", .text(maxBytes: 8192), summary: "What."),
            ], tells: "message")

        func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
            Plan(action: description.name, target: .host(machineID: "m"), parameters: request.parameters, summary: "tell")
        }

        func perform(_ plan: Plan) async throws(ActionError) -> Performance { Performance(.done) }
    }

    private func bench(_ playbook: String, mode: Mode = .enforce, world: RecordingWorld = RecordingWorld(), state: EngineState = EngineState()) throws -> Bench {
        let catalogue = ActionCatalogue([
            RecordingAction("container.pause", world: world, inverse: "container.unpause"), RecordingAction("container.unpause", world: world, takesAway: true),
            RecordingAction("container.kill", world: world, impact: .destroys), Telling(),
        ])
        return try Bench("  - name: p\n    match: { rules: r }\n" + playbook, mode: mode, state: state, world: world, catalogue: catalogue)
    }

    /// What was said, from the records as outputs read them.
    private func said(_ bench: Bench) -> [String] {
        bench.log.records.compactMap { record in
            guard record.action == "notify.send", record.kind == .intent else { return nil }
            return record.detail["plan"]?["parameters"]?["message"]?.string?.repaired
        }
    }

    @Test("it sees all outcomes")
    func seesOutcomes() async throws {
        let bench = try bench(
            """
                steps: [{ name: stop, action: container.pause }, { action: container.kill, when: proc.name = nobody }]
                on_finish: [{ action: notify.send, with: { to: soc, message: "{{ steps.stop.outcome }}, {{ steps.container-kill.outcome }} on {{ container.id }}" } }]

            """)
        _ = try await bench.respond(Bench.one)
        #expect(said(bench) == ["done, skipped on \(Bench.one)"])
        let last = try #require(bench.log.records.last)
        #expect(last.kind == .run && last.outcome == nil)
    }

    @Test("it also tells of a run that stopped early, and a failure to tell is none of the run")
    func tellsOfFailure() async throws {
        let world = RecordingWorld()
        world.fail(with: ActionError(.denied, "pause", "no right"), action: "container.pause")
        let bench = try bench(
            """
                steps: [{ name: stop, action: container.pause }, { action: container.kill }]
                on_finish:
                  - { action: notify.send, with: { to: soc, message: "{{ user.name }}" } }
                  - { action: notify.send, when: steps.stop.outcome = failed, with: { to: soc, message: "{{ steps.stop.class }}" } }

            """, world: world)
        let results = try await bench.respond(Bench.one)
        #expect(said(bench) == ["denied"])
        #expect(results.map(\.outcome) == [.failed, .skipped, .failed, .done])
    }

    @Test("without words it tells what, whom, why, how it ended, and what can be done")
    func standardWords() async throws {
        let bench = try bench("    steps: [{ action: container.pause }]\n    on_finish: [{ action: notify.send, with: { to: [soc, pager] } }]\n")
        _ = try await bench.respond(Bench.one, fields: ["proc.name": "x"])
        let outcome = try #require(bench.log.records.first { $0.kind == .outcome && $0.action == "container.pause" })
        let message = try #require(said(bench).first)
        let lines = message.split(separator: "\n").map(String.init)
        #expect(lines[0] == "Playbook p answers \"r\" (Warning), mode enforce.")
        #expect(lines[1].hasPrefix("container.pause container ") && lines[1].hasSuffix(" done"), "\(message)")
        #expect(lines[2] == "  Take it back: riposte undo \(try #require(outcome.id))")
        #expect(lines[3].hasPrefix("Look closer: riposte "))
    }

    @Test("an alert's words stay on their line")
    func hostileWords() async throws {
        let bench = try bench("    steps: [{ action: container.pause }]\n    on_finish: [{ action: notify.send, with: { to: soc } }]\n")
        let document: JSON = [
            "rule": "r", "priority": "Warning", "time": .text("\(bench.clock.now)"), "output": "x\n  Take it back: riposte undo 1; rm\u{1B}[2J {{ proc.name }}",
            "output_fields": ["container.id": .text(Bench.one)],
        ]
        _ = try await bench.respond(to: try Alert(document, id: .new(at: bench.clock.now), arrival: .init(intake: "t", trust: .trusted, time: bench.clock.now)))
        let message = try #require(said(bench).first)
        #expect(message.contains(#"Alert: x\n  Take it back: riposte undo 1; rm\x1b[2J {{ proc.name }}"#), "\(message)")
        #expect(message.split(separator: "\n").count { $0.contains("Take it back") && !$0.hasPrefix("Alert:") } == 1)
    }

    @Test("however much an alert says, people are told, with the commands at the end", arguments: ["x", "e" + String(repeating: "\u{301}", count: 50), "日"])
    func longWords(_ text: String) async throws {
        let bench = try bench("    steps: [{ action: container.pause }]\n    on_finish: [{ action: notify.send, with: { to: soc } }]\n")
        let document: JSON = [
            "rule": "r", "priority": "Warning", "time": .text("\(bench.clock.now)"), "output": .text("e" + String(repeating: text, count: 5000)),
            "output_fields": ["container.id": .text(Bench.one)],
        ]
        _ = try await bench.respond(to: try Alert(document, id: .new(at: bench.clock.now), arrival: .init(intake: "t", trust: .trusted, time: bench.clock.now)))
        let lines = try #require(said(bench).first).split(separator: "\n")
        #expect(lines.count == 5 && lines[1].hasPrefix("Alert: e") && lines[1].hasSuffix("…") && lines[1].utf8.count > 1500 && lines[4].hasPrefix("Look closer: "), "\(lines)")
    }

    @Test("in mode ask it tells without asking; observing, it is planned")
    func modes() async throws {
        let asking = try bench("    steps: [{ action: notify.send, with: { to: soc, message: hello } }]\n", mode: .ask)
        _ = try await asking.respond(Bench.one)
        #expect(said(asking) == ["hello"])
        let observing = try bench("    steps: [{ action: container.pause }]\n    on_finish: [{ action: notify.send, with: { to: soc } }]\n", mode: .observe)
        let results = try await observing.respond(Bench.one)
        #expect(results.map(\.outcome) == [.planned, .planned])
        #expect(said(observing) == [])
    }

    @Test(
        "what cannot be written",
        arguments: [
            ("[{ action: container.pause }]", "P042"), ("[{ action: notify.send }]", "P007"), ("[{ name: stop, action: notify.send, with: { to: soc } }]", "P005"),
            ("[{ action: notify.send, with: { to: soc }, on_failure: undo }]", "P001"),
            ("[{ action: notify.send, with: { to: soc, message: \"{{ steps.other.outcome }}\" } }]", "P009"),
            ("{ action: notify.send }", "P002"),
        ])
    func mistakes(_ finish: String, _ code: String) throws {
        #expect(throws: (any Error).self) { try bench("    steps: [{ name: stop, action: container.pause }]\n    on_finish: \(finish)\n") }
        do { _ = try bench("    steps: [{ name: stop, action: container.pause }]\n    on_finish: \(finish)\n") } catch { #expect("\(error)".contains(code), "\(error)") }
    }
}
