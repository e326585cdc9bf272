internal import RiposteCore
package import RiposteRules

extension PlaybookDecoder {
    /// A playbook's budget. Where one of its steps destroys, its breaker is closed by hand, unless the file says otherwise.
    func budget(_ node: YAMLNode?, steps: YAMLNode?) -> Budget? {
        let actions = steps?.elements?.compactMap { step in step.pairs?.first { $0.key == "action" }?.value.scalarText } ?? []
        let destroys = actions.contains { catalogue[ActionName(rawValue: $0)]?.description.impact == .destroys }
        return node.flatMap { budget($0, destroys: destroys) }
    }

    func budget(_ node: YAMLNode, destroys: Bool) -> Budget? {
        guard let keys = mapping(node, PlaybookKeys.budget, "budget") else { return nil }
        return Budget(reading: keys, at: node, destroys: destroys, codes: (type: "P002", empty: "P020", key: "P001", missing: "P003"))
    }

    /// Whoever lets it destroy alone says how often.
    func warnIfUnbounded(_ playbook: Playbook, at node: YAMLNode) {
        guard playbook.budget == nil, playbook.mode == .enforce else { return }
        for step in playbook.steps where step.budget == nil && step.mode ?? .enforce == .enforce {
            guard catalogue[step.action]?.description.impact == .destroys else { continue }
            node.report(
                .warning, code: "P021", "step \(step.name) of playbook \(playbook.name) destroys, and no budget of its own bounds how often; add `budget: { actions: 5, per: 1h }`")
        }
    }
}

extension Budget {
    /// Of a mapping with `actions`, `targets`, `share`, `per`, `over` and `reopen`; nil where something is wrong, which is reported under these codes.
    package init?(reading keys: [String: YAMLNode], at node: YAMLNode, destroys: Bool, codes: (type: String, empty: String, key: String, missing: String)) {
        let actions = keys["actions"].flatMap { $0.integer(in: 1...Self.actionLimit, code: codes.type) }
        let targets = keys["targets"].flatMap { $0.integer(in: 1...Self.actionLimit, code: codes.type) }
        let share = keys["share"].flatMap { Share(reading: $0, codes.type, codes.key) }
        let counts = keys["actions"] != nil || keys["targets"] != nil
        if !counts, keys["share"] == nil { node.report(code: codes.empty, "a budget needs actions, targets or share") }
        if counts, keys["per"] == nil { node.report(code: codes.missing, "a budget of actions or targets needs the key \"per\"") }
        let window = keys["per"].map { $0.duration(code: codes.type) } ?? (counts ? nil : .seconds(3600))
        if let window, window > Self.horizon { keys["per"]?.report(code: codes.type, "a budget's window is at most \(Self.horizon.text)") }
        let over = keys["over"].map { $0.choice(Overflow.self, code: codes.type) ?? .observe }
        let reopening = keys["reopen"].flatMap { Reopening(reading: $0, codes.type, codes.key) }
        guard actions != nil || targets != nil || share != nil, let window else { return nil }
        self.init(
            actions: actions, targets: targets, per: window, over: over ?? .observe, reopening: reopening ?? (destroys ? .byHand : .quiet(.seconds(1800))))
        self.share = share
    }
}

extension Budget.Share {
    /// `{ of: workload, max: 20% }`
    fileprivate init?(reading node: YAMLNode, _ type: String, _ key: String) {
        guard let keys = node.mapping(known: ["of", "max", "at_least_one"], what: "share", code: key) else { return nil }
        for name in ["of", "max"] where keys[name] == nil { node.report(code: type, "a share says of what and how much: { of: workload, max: 20% }") }
        if let of = keys["of"], of.text(code: type) != "workload" { of.report(code: type, "a share is of a workload", suggestion: "workload") }
        let isAtLeastOne = keys["at_least_one"].flatMap { $0.bool(code: type) } ?? false
        guard let maximum = keys["max"], let text = maximum.text(code: type, expected: "a share such as 20%") else { return nil }
        guard let hundredths = Rollout.share(of: text), hundredths > 0 || isAtLeastOne else {
            maximum.report(code: type, "expected a share of more than 0%, at most 100%, with at most two decimals")
            return nil
        }
        self.init(hundredths: hundredths, isAtLeastOne: isAtLeastOne)
    }
}

extension Budget.Reopening {
    /// `by hand`, or `{ quiet: 30m }`.
    fileprivate init?(reading node: YAMLNode, _ type: String, _ key: String) {
        guard node.isMapping else {
            guard node.text(code: type, expected: "by hand, or { quiet: 30m }") == "by hand" else {
                node.report(code: type, "expected `by hand` or { quiet: 30m }")
                return nil
            }
            self = .byHand
            return
        }
        guard let keys = node.mapping(known: ["quiet"], what: "reopen", code: key) else { return nil }
        guard let quiet = keys["quiet"] else {
            node.report(code: type, "expected `by hand` or { quiet: 30m }")
            return nil
        }
        guard let pause = quiet.duration(code: type) else { return nil }
        self = .quiet(pause)
    }
}
