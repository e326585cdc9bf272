import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

/// Which key of a playbook an alert does not fit, and what each step would come to.
@Suite("Explanations")
struct ExplanationTests {
    @Test(
        "the first key that does not hold is named, with what was wanted and what is",
        arguments: [
            ("{ rules: [Other, \"Sh?ll\"] }", nil, ""), ("{ rules: [Other] }", "match.rules", "Shell"), ("{ rules: [\"!Sh*\"] }", "match.rules", "Shell"),
            ("{ rules: [Shell], priority: \">= error\" }", "match.priority", "warning"), ("{ rules: [Shell], sources: k8s_audit }", "match.sources", "none"),
            ("{ rules: [Shell], intake: [http] }", "match.intake", "test"), ("{ rules: [Shell], tags: [mitre] }", "match.tags", "none"),
            ("{ rules: [Shell], when: \"proc.name = bash\" }", "match.when", "proc.name = \"sh\""),
            ("{ rules: [Shell], when: \"fd.rip exists\" }", "match.when", "fd.rip = absent"),
        ])
    func mismatch(match: String, key: String?, actual: String) throws {
        let set = try Stage.playbooks("  - name: p\n    match: \(match)\n    steps: [{ action: container.pause }]\n")
        let alert = try Stage.alert("Shell", at: "2026-03-04T11:00:00Z", ["proc.name": "sh"])
        let mismatch = set.playbooks[0].mismatch(with: alert)
        #expect(mismatch?.key == key && mismatch?.actual ?? "" == actual, "\(String(describing: mismatch))")
        #expect(set.matching(alert).isEmpty == (mismatch != nil), "matching says the same")
    }

    @Test("steps: condition, request, plan, guards, budgets and mode, and what is left; nothing is done or written")
    func steps() async throws {
        let bench = try Bench(
            """
              - name: p
                match: { rules: r }
                budget: { actions: 2, per: 1h }
                steps:
                  - action: container.pause
                  - { name: odd, action: container.kill, when: "proc.name = bash" }
                  - { name: ask, action: container.kill, mode: ask }
                  - { name: after, action: container.kill }
              - name: q
                match: { rules: other }
                steps: [{ action: container.pause }]

            """)
        let explanation = await bench.engine.explain(try bench.alert(Bench.one))
        let steps = explanation.playbooks[0].steps
        #expect(steps.map(\.outcome) == [.done, .skipped, .pending, .skipped])
        #expect(steps[0].checks.contains { $0.what.contains("budget of playbook p") && $0.answer == "0 of 2 actions per 1h" })
        #expect(steps[1].checks[0].answer == "does not hold: proc.name = absent")
        #expect(steps[2].because == "the step's mode is ask")
        #expect(steps[3].because == "it waits until step ask is answered")
        #expect(explanation.playbooks[1].mismatch?.key == "match.rules")
        #expect(bench.log.records.isEmpty && bench.engine.counters.alerts == 0)
        #expect(explanation.json["playbooks"]?.array?.count == 2)
    }

    @Test("what was answered before, and budgets that are spent, count")
    func state() async throws {
        let bench = try Bench(
            "  - name: p\n    match: { rules: r }\n    budget: { actions: 1, per: 1h, over: ask }\n    dedup: { for: 1m, by: [container.id] }\n    steps: [{ action: container.pause }]\n"
        )
        _ = try await bench.respond(Bench.one)
        let again = await bench.engine.explain(try bench.alert(Bench.one)).playbooks[0]
        #expect(again.idle?.contains("told this before") == true, "\(again)")
        let other = await bench.engine.explain(try bench.alert(Bench.two)).playbooks[0].steps
        #expect(other.first?.outcome == .pending && other.first?.because.contains("1 of 1 actions per 1h") == true, "\(other)")
    }
}
