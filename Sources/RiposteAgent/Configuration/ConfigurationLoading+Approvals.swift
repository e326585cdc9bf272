internal import RiposteCore
internal import RipostePlaybooks
internal import RiposteRules

extension ApprovalPolicy {
    mutating func read(_ node: YAMLNode) {
        let known = ["expires", "approvers", "quorum", "quorum_gravest", "on_expiry", "max_open", "by_hand", "widening"]
        guard let keys = node.mapping(known: known, what: "approvals", code: "C002") else { return }
        if let value = keys["expires"]?.duration(code: "C003") {
            if value <= .zero || value > .seconds(7 * 86400) { keys["expires"]?.report(code: "C003", "a question stands for at most 7d") }
            terms.expires = value
        }
        if let nodes = keys["approvers"]?.list(orSingle: true, code: "C003") { terms.approvers = nodes.compactMap(Self.approver) }
        if let value = keys["quorum"]?.integer(in: 1...2, code: "C003") { terms.quorum = value }
        if let value = keys["quorum_gravest"]?.integer(in: 1...2, code: "C003") { gravestQuorum = value }
        if let node = keys["on_expiry"], let value = node.choice(ApprovalTerms.OnExpiry.self, code: "C003") {
            if value == .perform { node.report(code: "C003", "what is performed unasked is for a playbook to say, step by step") }
            terms.onExpiry = value
        }
        if let value = keys["max_open"]?.integer(in: 1...1000, code: "C003") { openLimit = value }
        if let value = keys["by_hand"]?.choice(Alone.self, code: "C003") { asksByHand = value == .ask }
        if let value = keys["widening"]?.choice(Alone.self, code: "C003") { asksToWiden = value == .ask }
    }

    /// Whether one person is enough.
    private enum Alone: String, CaseIterable { case act, ask }

    private static func approver(_ node: YAMLNode) -> Approver? {
        guard let text = node.text(code: "C003") else { return nil }
        if let approver = Approver(text) { return approver }
        node.report(code: "C003", "expected user:NAME or group:NAME", suggestion: text.contains(":") ? nil : "user:\(text)")
        return nil
    }
}
