import Foundation
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

@testable import RiposteAgent

private func load(_ text: String) throws -> AgentConfiguration {
    var configuration = AgentConfiguration()
    try configuration.read(text, file: "config/riposte.yaml")
    return configuration
}

/// The YAML blocks of a page of the documentation, in their order.
private func examples(in page: String) throws -> [String] {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/\(page)").standardizedFileURL.path
    return try String(contentsOfFile: path, encoding: .utf8).components(separatedBy: "```yaml\n").dropFirst().compactMap { $0.components(separatedBy: "\n```").first }
}

@Suite("guards and budgets of the configuration")
struct GuardAndBudgetConfigurationTests {
    @Test("a guard with all of its keys, at its place")
    func guards() throws {
        let rule = try #require(
            load(
                """
                guards:
                  - name: database
                    process: { names: [postgres], executables: ["/usr/lib/*"], users: ["999"] }
                    container: { names: "db-*", images: ["*/postgres:*"], labels: [tier=db] }
                    namespaces: [payments]
                    pod_owners: ["StatefulSet/*"]
                    annotations: [example.com/keep]
                    addresses: [10.0.0.0/8]
                    actions: ["*.kill"]
                    playbooks: ["contain-*"]
                    during: ["Fri 16:00 - Mon 08:00"]
                    time_zone: Europe/Berlin
                    then: ask
                """
            ).guards.first)
        #expect(rule.name == "database" && rule.place == "config/riposte.yaml:2" && rule.answer == .ask)
        #expect(rule.processNames == ["postgres"] && rule.executables == ["/usr/lib/*"] && rule.users == ["999"])
        #expect(rule.containerNames == ["db-*"] && rule.images == ["*/postgres:*"] && rule.labels == ["tier=db"])
        #expect(rule.namespaces == ["payments"] && rule.podOwners == ["StatefulSet/*"] && rule.annotations == ["example.com/keep"])
        #expect(rule.addresses.map { "\($0)" } == ["10.0.0.0/8"] && rule.actions == ["*.kill"] && rule.playbooks == ["contain-*"])
        #expect(rule.during.map(\.text) == ["Fri 16:00 - Mon 08:00 Europe/Berlin"])
    }

    @Test("a list of budgets takes the place of the shipped one")
    func budgets() throws {
        #expect(try load("").budgets == AgentBudget.standard)
        #expect(try load("budgets: []").budgets.isEmpty)
        let budget = try #require(load("budgets: [{ name: b, class: 3, kinds: [\"*.kill\"], namespaces: shop, each: namespace, targets: 2, per: 1h, over: ask }]").budgets.first)
        #expect(budget.impact == .destroys && budget.kinds == ["*.kill"] && budget.namespaces == ["shop"] && budget.each == .namespace)
        #expect(budget.budget == Budget(actions: nil, targets: 2, per: .seconds(3600), over: .ask, reopening: .byHand))
    }

    @Test(
        "what is wrong is said with its place and what to write",
        arguments: [
            ("guards: [{ process: { names: [a] } }]", "1:10", "needs the key \"name\""), ("guards: [{ name: g }]", "1:10", "no condition"),
            ("guards: [{ name: g, proces: {} }]", "1:21", "process"), ("guards: [{ name: G, actions: [a] }]", "1:18", "lower-case"),
            ("guards: [{ name: g, actions: [] }]", "1:30", "holds for nothing"), ("guards: [{ name: g, addresses: [x] }]", "1:32", "no address"),
            ("guards: [{ name: g, during: [weekend] }]", "1:29", "no time window"), ("guards: [{ name: g, pod_owners: [db] }]", "1:33", "KIND/NAME"),
            ("guards: [{ name: g, during: [Sat - Sun], time_zone: Mars }]", "1:29", "no time zone"), ("guards: [{ name: g, actions: [a], then: deny }]", "1:41", "refuse"),
            ("guards:\n  - { name: g, actions: [a] }\n  - { name: g, actions: [b] }", "3:5", "line 2"),
            ("budgets: [{ name: b, per: 1h }]", "1:11", "actions, targets"), ("budgets: [{ name: b, actions: 0, per: 1h }]", "1:31", "whole number"),
            ("budgets: [{ actions: 1, per: 1h }]", "1:11", "\"name\""), ("budgets: [{ name: b, actions: 1 }]", "1:11", "\"per\""),
            ("budgets: [{ name: b, actions: 1, per: 8d }]", "1:39", "at most"), ("budgets: [{ name: b, actions: 1, per: 1h, over: enforce }]", "1:49", "observe"),
            ("budgets: [{ name: b, actions: 1, per: 1h, reopen: never }]", "1:51", "by hand"), ("budgets: [{ name: b, actions: 1, per: 1h, clas: 3 }]", "1:43", "class"),
            ("budgets: [{ name: b, targets: 1, per: 1h, each: target }]", "1:11", "no meaning"),
        ])
    func refuses(_ text: String, _ place: String, _ word: String) throws {
        let error = try #require(throws: Diagnostics.self) { try load(text) }
        let entry = try #require(error.entries.first { $0.rendered.contains(word) }, "\(error)")
        #expect(entry.place.map { "\($0.line):\($0.column)" } == place, "\(error)")
    }

    @Test("docs/guards.md: the example is good, and does what the page says")
    func guardsPage() async throws {
        let rules = try load(try #require(examples(in: "guards.md").first)).guards
        #expect(rules.map(\.name) == ["database", "keep-tier-db", "payments-only-with-a-person", "stateful", "office", "freeze-weekends"])
        struct Database: TargetFacts {
            func facts(of plan: Plan, _ needs: GuardNeeds) async throws(ActionError) -> GuardFacts {
                var subject = GuardFacts.Subject()
                subject.process = .known(.init(pid: 4711, name: "postgres", userID: 999, user: "postgres"))
                return GuardFacts([subject])
            }
        }
        func titles(_ time: String) async throws -> [String] {
            let plan = Plan(action: "process.kill", target: .host(machineID: "m"), parameters: Parameters(), summary: "")
            var titles: [String] = []
            for rule in rules {
                let answer = await ConfiguredGuard(rule, world: Database()).answer(to: GuardQuestion(plan: plan, playbook: "p", time: try #require(Timestamp(time))))
                if let answer { titles.append("\(answer.title): \(answer.reason)") }
            }
            return titles
        }
        let database = "guard database (config/riposte.yaml:2): process 4711 is postgres of user postgres"
        #expect(try await titles("2026-11-25T12:00:00Z") == [database])
        #expect(
            try await titles("2026-11-27T15:00:00Z") == [
                database, "guard freeze-weekends (config/riposte.yaml:15): it is Fri 16:00 - Mon 08:00 Europe/Berlin",
            ])
    }

    @Test("docs/budgets.md: the playbooks are good, and the agent's budgets are those that are shipped")
    func budgetsPage() throws {
        let pages = try examples(in: "budgets.md")
        let facilities = Facilities(AgentConfiguration())
        defer { facilities.http.close() }
        let (set, warnings) = try PlaybookSet.load([.init(name: "budgets.md", text: pages[0])], facilities.catalogue)
        #expect(warnings.isEmpty, "\(warnings)")
        let budget = try #require(set.playbooks.first?.budget)
        #expect(budget == Budget(actions: 10, targets: 3, per: .seconds(3600), over: .ask, reopening: .quiet(.seconds(1800))))
        #expect(set.playbooks.first?.steps.last?.budget == Budget(actions: 2, per: .seconds(3600), reopening: .byHand))
        let (sharing, others) = try PlaybookSet.load([.init(name: "budgets.md", text: pages[1])], facilities.catalogue)
        #expect(others.isEmpty && sharing.playbooks.first?.budget?.share != nil, "\(others)")
        #expect(try load(pages[2]).budgets == AgentBudget.standard)
    }
}
