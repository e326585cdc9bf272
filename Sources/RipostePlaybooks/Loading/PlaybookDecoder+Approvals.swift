internal import RiposteCore
internal import RiposteRules

extension PlaybookDecoder {
    /// `approval` of a playbook: how it asks, not that it does.
    func approval(_ node: YAMLNode?, of playbook: inout Playbook) -> ApprovalKeys? {
        guard let node, let keys = approval(node) else { return nil }
        if keys.onExpiry == .perform, let step = playbook.steps.first(where: { catalogue[$0.action].map { $0.description.impact > .reversible } ?? false }) {
            node.report(code: "P031", "on_expiry: perform is only for what can be taken back; step \(step.name) (\(step.action)) cannot")
        }
        let asks = playbook.mode != .enforce || playbook.steps.contains { $0.approval != nil || $0.mode == .ask }
        if !asks { node.report(.warning, code: "P030", "the mode is enforce: nobody is asked; write `mode: ask`, or `approval` at the steps that shall ask") }
        return keys
    }

    func approval(_ node: YAMLNode) -> ApprovalKeys? {
        guard let keys = mapping(node, PlaybookKeys.approval, "approval") else { return nil }
        var approval = ApprovalKeys()
        if let expires = keys["expires"]?.duration() {
            if expires <= .zero || expires > ApprovalTerms.longest { keys["expires"]?.report(code: "P002", "a question stands for at most \(ApprovalTerms.longest.text)") }
            approval.expires = expires
        }
        approval.approvers = keys["approvers"]?.list(orSingle: true)?.compactMap(approver)
        approval.quorum = keys["quorum"]?.integer(in: 1...2, code: "P034")
        approval.onExpiry = keys["on_expiry"]?.choice(ApprovalTerms.OnExpiry.self)
        if let quorum = approval.quorum, let approvers = approval.approvers, approvers.count < quorum, approvers.allSatisfy({ if case .user = $0 { true } else { false } }) {
            keys["quorum"]?.report(code: "P034", "a quorum of \(quorum) needs as many different persons; \(approvers.count) may decide")
        }
        return approval
    }

    private func approver(_ node: YAMLNode) -> Approver? {
        guard let text = node.text() else { return nil }
        if let approver = Approver(text) { return approver }
        node.report(code: "P034", "expected user:NAME or group:NAME", suggestion: text.contains(":") ? nil : "user:\(text)")
        return nil
    }

    /// `approval`, `hold` and `escalate` of a step.
    func asking(_ keys: [String: YAMLNode], _ step: inout Step, _ action: ActionDescription) {
        if let node = keys["approval"] {
            step.approval = approval(node)
            if step.approval?.onExpiry == .perform, action.impact > .reversible {
                node.report(code: "P031", "on_expiry: perform is only for what can be taken back; \(action.name) cannot")
            }
        }
        if let node = keys["hold"] {
            step.hold = hold(node)
            if step.approval == nil { node.report(code: "P032", "nobody is asked at this step; add `approval`") }
            if step.hold == action.name {
                node.report(
                    code: "P032", "\(action.name) is what the step does: after a yes it would be let go with the hold; take `hold` away, or let the step do more than the hold")
            }
        }
        if let node = keys["escalate"] { step.escalation = escalation(node, step, action, keys) }
        if step.isReflex, let node = keys["approval"] ?? keys["escalate"] { node.report(code: "P018", "the kernel asks nobody, and waits for nobody: take `reflex` away") }
    }

    private func hold(_ node: YAMLNode) -> ActionName? {
        guard let name = node.text(code: "P032", expected: "one of \(PlaybookKeys.holds.joined(separator: ", "))") else { return nil }
        guard PlaybookKeys.holds.contains(name), let action = catalogue[ActionName(rawValue: name)]?.description else {
            node.report(code: "P032", "a hold is one of \(PlaybookKeys.holds.joined(separator: ", "))", suggestion: nearMiss(to: name, among: PlaybookKeys.holds))
            return nil
        }
        guard action.inverse != nil, action.impact == .reversible else {
            node.report(code: "P032", "\(name) cannot be taken back without loss")
            return nil
        }
        return action.name
    }

    private func escalation(_ node: YAMLNode, _ step: Step, _ action: ActionDescription, _ stepKeys: [String: YAMLNode]) -> Escalation? {
        guard let keys = mapping(node, PlaybookKeys.escalate, "escalate"), let target = keys["action"].flatMap(self.action) else { return nil }
        if let unless = keys["unless"], unless.text() != "answered" { unless.report(code: "P002", "expected answered") }
        func problem(_ message: String) { node.report(code: "P033", message) }
        if step.approval != nil { problem("this step asks before it acts: nobody is left out of it who could be waited for; take `approval` or `escalate` away") }
        if action.inverse == nil || action.impact > .reversible { problem("only from what can be taken back: \(action.name) cannot") }
        if target.impact <= action.impact { problem("only to something stronger: \(target.name) is not stronger than \(action.name)") }
        if target.target != action.target {
            problem("only for the same target: \(action.name) is about a \(action.target.rawValue), \(target.name) about a \(target.target.rawValue)")
        }
        guard let after = keys["after"]?.duration() else { return nil }
        if after <= .zero || after > ApprovalTerms.longest { keys["after"]?.report(code: "P002", "at most \(ApprovalTerms.longest.text)") }
        if let end = step.undoAfter, end <= after { problem("it never happens: the step is taken back after \(end.text), before \(after.text) are over") }
        let parameters = parameters(keys["with"], of: target, ConditionScope(earlier: [], target: nil), at: node)
        return Escalation(after: after, action: target.name, parameters: Dictionary(parameters.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first }))
    }
}
