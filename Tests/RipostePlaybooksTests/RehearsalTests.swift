import RiposteCore
import RipostePlaybooks
import Testing

/// Recorded alerts in their own time, and what adds up.
@Suite("Rehearsals")
struct RehearsalTests {
    private static let begin = Timestamp("2026-03-02T00:00:00Z") ?? Timestamp(nanoseconds: 0)

    private func rehearse(_ playbooks: String, settings: Rehearsal.Settings = .init(), _ alerts: [(minutes: Int, container: String)]) throws -> RehearsalReport {
        let tally = RehearsalTally()
        let rehearsal = Rehearsal(
            try Stage.playbooks(playbooks), actions: Stage.actions, world: DescribedWorld(), knowledge: .fromAlerts, settings: settings, start: Self.begin, log: tally)
        for (minutes, container) in alerts {
            try rehearsal.feed(
                try Stage.alert("r", at: "\(Self.begin + .seconds(60 * minutes))", ["container.id": .text(container), "container.name": .text("c-" + container.prefix(1))]))
        }
        rehearsal.close()
        return tally.current
    }

    private static let one = String(repeating: "a", count: 12)
    private static let two = String(repeating: "b", count: 12)

    @Test("undos fall due in alert time; what is told again within a minute is not answered; targets and acts are counted")
    func undo() throws {
        let report = try rehearse(
            "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause, undo: { after: 10m } }]\n",
            [(0, Self.one), (0, Self.one), (5, Self.one), (20, Self.one), (21, Self.two)])
        #expect(report.alerts == 5 && report.repeats == 1 && report.matched == 4)
        #expect(report.rows.map(\.outcomes) == [[.done: 3, .already: 1]])
        #expect(report.undo.armed == 3 && report.undo.takenBack == 1 && report.undo.open.count == 2 && report.undo.mostAtOnce == 2)
        #expect(report.mostAffected.map(\.acts) == [2, 1] && report.mostAffected[0].target.contains("c-a"))
        #expect(report.acts.map(\.time) == [Self.begin, Self.begin + .seconds(1200), Self.begin + .seconds(1260)])
    }

    @Test("budgets, breakers, cool-downs and guards are named with how often they stepped in")
    func brakes() throws {
        var rule = GuardRule(name: "spare-b", place: "riposte.yaml:7")
        rule.containerNames = ["c-b"]
        var settings = Rehearsal.Settings()
        settings.guards = [rule]
        let report = try rehearse(
            """
              - name: p
                match: { rules: r }
                cooldown: { for: 3m, by: [container.id] }
                budget: { actions: 2, per: 1h, over: observe }
                steps: [{ action: container.restart }]

            """, settings: settings, [(0, Self.one), (2, Self.one), (4, Self.two), (10, Self.one), (20, Self.one), (30, Self.one)])
        #expect(report.refusals == [.cooldown: 1, .guarded: 1, .budget: 1])
        #expect(report.guards == ["guard spare-b (riposte.yaml:7)": 1])
        #expect(report.breakers.keys.map { $0.hasPrefix("playbook/p") } == [true])
        #expect(report.heldBackBy.values.reduce(0, +) == 1 && report.actCount == 2, "what a breaker holds back is no act")
    }

    @Test("however long the recording is, the timeline is bounded and loses nothing")
    func timeline() throws {
        let report = try rehearse("  - name: p\n    match: { rules: none }\n    steps: [{ action: container.pause }]\n", (0..<400).map { ($0, Self.one) })
        let stretches = report.timeline.stretches
        #expect(stretches.count <= RehearsalTimeline.limit && stretches.reduce(0) { $0 + $1[0] } == 400)
        #expect(report.timeline.end == Self.begin + .seconds(399 * 60))
    }

    @Test("a comparison tells runs that appear, vanish and change, and is silent on the rest")
    func comparison() throws {
        let alert = try Stage.alert("r", at: "2026-03-02T00:00:00Z", [:])
        var comparison = RehearsalComparison()
        comparison.take(alert, before: ["same": ["s done"], "old": ["s done"], "other": ["s done"]], after: ["same": ["s done"], "new": ["s done"], "other": ["s planned"]])
        #expect(comparison.counts == ["old": [.vanishes: 1], "new": [.appears: 1], "other": [.changes: 1]])
        #expect(comparison.examples.map(\.playbook) == ["new", "old", "other"])
    }
}
