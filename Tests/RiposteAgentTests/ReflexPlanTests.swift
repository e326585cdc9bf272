import RiposteActions
import RiposteAgent
import RiposteCore
import RipostePlaybooks
import RiposteRules
import RiposteSensor
import RiposteTestSupport
import Testing

@Suite("Which reflexes are armed")
struct ReflexPlanTests {
    private func plan(_ playbooks: String, rules count: Int = 1, types: [String] = ["execve"]) throws -> ReflexPlan {
        let text = (1...count).map { number in
            let condition = "evt.type = \(types[number % types.count]) and proc.name = v\(number)"
            return "- { rule: r\(number), desc: d, condition: \(condition), output: o, priority: CRITICAL, tags: [a] }\n"
        }.joined()
        let rules = try #require(RuleSet.load([.init(name: "r.yaml", text: text)]).ruleSet)
        let set = try PlaybookSet.load([.init(name: "p.yaml", text: "apiVersion: riposte/v1\nplaybooks:\n" + playbooks)], ActionCatalogue([ProcessKill()])).set
        return ReflexPlan(set, rules, mode: { _ in .enforce })
    }

    private static func reflex(_ match: String) -> String {
        "  - { name: stop, match: { \(match) }, budget: { actions: 5, per: 1m }, steps: [{ action: process.kill, reflex: true }] }\n"
    }

    private static func final(_ keys: String) -> String { "  - { name: first, final: true, order: -1, steps: [{ action: process.kill }], \(keys) }\n" }

    @Test(
        "only where the playbook answers the alert that comes of it",
        arguments: [
            (reflex("rules: [r1]"), nil), (reflex("rules: [r1], intake: [sensor, http]"), nil), (reflex("rules: [r1], intake: [http]"), "takes alerts of http"),
            // A final playbook before it may answer instead; one behind it, and one that cannot, do not matter.
            (reflex("rules: [r1]") + final("match: { any: true }"), "playbook first comes before it"),
            (reflex("rules: [r1]") + final("match: { rules: [\"r*\"], when: proc.name = x }"), "playbook first comes before it"),
            (reflex("rules: [r1]") + final("match: { rules: [\"r*\", \"!r1\"] }"), nil), (reflex("rules: [r1]") + final("match: { rules: [r2] }"), nil),
            (reflex("rules: [r1]") + final("match: { tags: [b] }"), nil), (reflex("rules: [r1]") + final("match: { rules: [r1], intake: [http] }"), nil),
            (reflex("rules: [r1]") + final("match: { any: true }, enabled: false"), nil),
            (reflex("rules: [r1]") + final("match: { any: true }").replacing("order: -1", with: "order: 1"), nil),
        ] as [(String, String?)])
    func answers(_ playbooks: String, _ problem: String?) throws {
        let plan = try plan(playbooks)
        #expect(plan.set.reflexes.count == (problem == nil ? 1 : 0) && plan.problems.count == (problem == nil ? 0 : 1))
        if let problem { #expect(plan.problems.first?.reason.contains(problem) == true, "\(plan.problems)") }
    }

    @Test("as many as the kernel has room for, the first ones; the others are told")
    func surplus() throws {
        let plan = try plan(Self.reflex("rules: [\((1...65).map { "r\($0)" }.joined(separator: ", "))]"), rules: 65, types: ["execve", "openat"])
        #expect(plan.set.reflexes.map(\.rule) == (1...64).map { "r\($0)" })
        #expect(plan.problems.map(\.rule) == ["r65"] && plan.problems.first?.reason.contains("room for 64") == true)
    }

    @Test("as many as the kernel's filter of one call has room for, the first ones; the others are told")
    func full() throws {
        let plan = try plan(Self.reflex("rules: [\((1...60).map { "r\($0)" }.joined(separator: ", "))]"), rules: 60)
        #expect(plan.set.reflexes.map(\.rule) == (1...56).map { "r\($0)" })
        #expect(plan.problems.map(\.rule) == (57...60).map { "r\($0)" } && plan.problems.allSatisfy { $0.reason.contains("filter is full, and others come first") })
    }
}
