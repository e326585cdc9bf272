import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

@Suite("What a machine must be able to do")
struct AbilityTests {
    private static func description(_ name: ActionName, _ target: ActionDescription.TargetKind, _ impact: ActionDescription.Impact, _ needs: [String]) -> ActionDescription {
        ActionDescription(name: name, summary: "", target: target, impact: impact, needs: needs)
    }

    @Test(
        "what an action needs follows from its target and its rights; what only tells needs nothing",
        arguments: [
            (description("process.kill", .process, .destroys, ["CAP_KILL"]), [Ability.processes]),
            (description("container.pause", .container, .reversible, ["Docker socket"]), [.containers]),
            (description("container.isolate", .container, .reversible, ["Docker socket", "CAP_NET_ADMIN"]), [.containers, .nftables]),
            (description("pod.delete", .pod, .destroys, ["delete pods"]), [.kubernetes]),
            (description("network.block", .address, .reversible, ["CAP_NET_ADMIN"]), [.nftables]),
            (description("notify.send", .host, .readsOnly, []), []),
        ])
    func actions(_ description: ActionDescription, _ expected: [Ability]) { #expect(description.abilities.sorted() == expected) }

    @Test("of a step its hold and what it escalates to count too")
    func steps() throws {
        let stage = ContainerStage()
        let set = try Bench.load(
            """
              - name: p
                match: { rules: r }
                steps:
                  - { name: kill, action: container.kill, approval: { expires: 10m }, hold: container.pause }

            """, stage.catalogue)
        #expect(set.playbooks[0].abilities(stage.catalogue).map(\.abilities) == [[.containers]])
    }

    private func load(_ require: String) throws -> PlaybookSet {
        try Bench.load("  - name: p\n    require: \(require)\n    match: { rules: r }\n    steps: [{ action: container.pause }]\n", ContainerStage().catalogue)
    }

    @Test("what is required and missing is an error with its place and the remedy; what is there, or required by a playbook that is off, is none")
    func unmet() throws {
        let lacking: (Ability) -> (problem: String, remedy: String?)? = { $0 == .nftables ? ("no such module", "load nf_tables") : nil }
        #expect(try load("containers").unmet(lacking).isEmpty)
        let problems = try load("[containers, nftables]").unmet(lacking)
        #expect(problems.count == 1 && problems[0].code == "P048" && problems[0].place == Diagnostic.Place(line: 4, column: 28))
        #expect(problems[0].message == "playbook p requires nftables, and this machine has no such thing: no such module; load nf_tables")
        #expect(try load("nftables\n    enabled: false").unmet(lacking).isEmpty)
    }

    @Test("what nobody knows cannot be required", arguments: [("nftable", "did you mean \"nftables\"?"), ("[]", "require names nothing"), ("[containers, [x]]", "P002")])
    func errors(_ require: String, _ expected: String) {
        let problems = Bench.problems(of: "  - name: p\n    require: \(require)\n    match: { rules: r }\n    steps: [{ action: container.pause }]\n")
        #expect(problems.contains(expected) && (expected == "P002" || problems.contains("P047")), "\(problems)")
    }
}
