import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

@Suite("approval, hold and escalate in playbook files")
struct ApprovalLoadingTests {
    private let catalogue = ContainerStage().catalogue

    private func load(_ keys: String) throws -> (set: PlaybookSet, warnings: [Diagnostic]) {
        try PlaybookSet.load([.init(name: "t.yaml", text: "apiVersion: riposte/v1\nplaybooks:\n  - name: p\n    match: { rules: r }\n    \(keys)\n")], catalogue)
    }

    @Test("they are read")
    func read() throws {
        let playbook = try #require(
            try load(
                """
                approval: { approvers: "group:oncall", on_expiry: observe }
                    steps:
                      - { name: a, action: container.kill, approval: { expires: 5m, approvers: ["user:ann", "user:bob"], quorum: 2 }, hold: container.pause }
                      - { name: b, action: container.pause, undo: { after: 1h }, escalate: { after: 10m, unless: answered, action: container.kill } }
                """
            ).set.playbooks.first)
        #expect(playbook.approval == ApprovalKeys(approvers: [.group("oncall")], onExpiry: .observe))
        #expect(playbook.steps[0].approval == ApprovalKeys(expires: .seconds(300), approvers: [.user("ann"), .user("bob")], quorum: 2))
        #expect(playbook.steps[0].hold == "container.pause")
        #expect(playbook.steps[1].escalation == Escalation(after: .seconds(600), action: "container.kill"))
    }

    @Test(
        "mistakes",
        arguments: [
            ("steps: [{ action: container.kill, approval: { on_expiry: perform } }]", "P031"),
            ("approval: { on_expiry: perform }\n    steps: [{ action: container.kill }]", "P031"),
            ("steps: [{ action: container.kill, hold: container.pause }]", "P032"),
            ("steps: [{ action: container.kill, approval: { expires: 1m }, hold: container.kill }]", "P032"),
            ("steps: [{ action: container.kill, approval: { expires: 1m }, hold: container.paus }]", "P032"),
            ("steps: [{ action: container.pause, undo: { after: 2h }, approval: { expires: 1m }, hold: container.pause }]", "P032"),
            ("steps: [{ action: container.kill, escalate: { after: 1m, action: container.kill } }]", "P033"),
            ("steps: [{ action: container.pause, escalate: { after: 1m, action: container.note } }]", "P033"),
            ("steps: [{ action: container.pause, undo: { after: 1m }, escalate: { after: 1m, action: container.kill } }]", "P033"),
            ("steps: [{ action: container.pause, approval: { expires: 1m }, escalate: { after: 1m, action: container.kill } }]", "P033"),
            ("steps: [{ action: container.kill, approval: { approvers: [oncall] } }]", "P034"),
            ("steps: [{ action: container.kill, approval: { quorum: 3 } }]", "P034"),
            ("steps: [{ action: container.kill, approval: { quorum: 2, approvers: [\"user:ann\"] } }]", "P034"),
            ("steps: [{ action: container.kill, approval: { expires: 8d } }]", "P002"), ("steps: [{ action: container.kill, approval: { expire: 8m } }]", "P001"),
        ])
    func mistakes(_ keys: String, _ code: String) throws {
        let error = try #require(throws: Diagnostics.self) { try load(keys) }
        #expect(error.entries.contains { $0.code == code }, "\(error)")
    }

    @Test("approval of a playbook that never asks is warned of")
    func never() throws {
        let keys = "mode: enforce\n    approval: { expires: 5m }\n    steps: [{ action: container.note, undo: { after: 1m } }]".replacing(", undo: { after: 1m }", with: "")
        #expect(try load(keys).warnings.map(\.code) == ["P030"])
        #expect(try load(keys.replacing("enforce", with: "ask")).warnings.isEmpty)
    }

    @Test("a playbook's digest follows what it says, and nothing else")
    func digest() throws {
        let text = "steps: [{ action: container.note }]"
        let digest = try load(text).set.playbooks.first?.digest
        #expect(try load(text + " # a remark").set.playbooks.first?.digest == digest)
        #expect(try load(text + "\n    description: other").set.playbooks.first?.digest != digest)
        #expect(digest?.count == 64)
    }
}
