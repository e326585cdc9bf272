package import RiposteCore
internal import RiposteRules

/// What a step's `when` and templates may ask: the alert, how earlier steps of the run ended, the run itself and, in `when`, the target.
package struct StepScope: Sendable {
    package var alert: Alert
    /// Earlier steps and blocks by name; one that has not ended is absent.
    package var steps: [String: StepFacts]
    package var mode: Mode?
    /// 1, and one more for each time the run was taken up again after a restart.
    package var attempt: Int
    /// Where there is one already.
    package var plan: Plan?
    /// What messages tell of the run.
    var story = RunStory()

    package init(_ alert: Alert, steps: [String: StepFacts] = [:], mode: Mode? = nil, attempt: Int = 1) {
        self.alert = alert
        self.steps = steps
        self.mode = mode
        self.attempt = attempt
    }

    /// The families of fields that are not the alert's.
    static let families: Set<String> = ["steps", "run", "target"]

    /// A field of one of the ``families``; nil: absent.
    func value(of name: String) -> JSON? {
        let parts = name.split(separator: ".", maxSplits: 2).map(String.init)
        switch parts.first {
        case "run": return name == "run.mode" ? mode.map { .text($0.rawValue) } : name == "run.attempt" ? .integer(Int64(attempt)) : nil
        case "steps": return parts.count == 3 ? steps[parts[1]]?.value(of: parts[2]) : nil
        case "target": return plan.flatMap { $0.value(ofTarget: parts.dropFirst().joined(separator: ".")) }
        default: return nil
        }
    }

    package func holds(_ when: WhenClause?) -> Bool {
        guard let when else { return true }
        guard let scope = when.scope else { return when.holds(for: alert) }
        return when.condition.matches(ScopedEvent(alert, scope, values: value(of:)))
    }
}

extension StepFacts {
    fileprivate func value(of name: String) -> JSON? {
        switch name {
        case "outcome": .text(outcome.rawValue)
        case "class": failure.map { .text($0.rawValue) }
        case "confirmed": isConfirmed.map(JSON.bool)
        default: name.hasPrefix("detail.") ? detail[ByteText(String(name.dropFirst("detail.".count)))] : nil
        }
    }
}

extension Plan {
    /// `kind`, or a member of the target's identity or of what planning found: `container.image`.
    fileprivate func value(ofTarget name: String) -> JSON? {
        let identity = target.json.object ?? JSONObject()
        guard name != "kind" else { return identity["kind"] }
        guard let kind = identity["kind"]?.string?.valid, name.hasPrefix(kind + ".") else { return nil }
        let key = ByteText(String(name.dropFirst(kind.count + 1)))
        return (identity.members + facts.plainMembers(textLimit: StepFacts.textLimit)).first { $0.key == key }?.value
    }
}

extension WhenClause {
    /// It can only be decided once there is a plan.
    var asksForTarget: Bool { scope != nil && condition.fields.contains { $0.hasPrefix("target.") } }
}

extension ConditionScope {
    /// For a step after these, whose action has this kind of target.
    init(earlier steps: [String], target: ActionDescription.TargetKind?) {
        var fields: [String: FieldType] = ["run.mode": .string, "run.attempt": .int]
        var open: [String] = []
        for name in steps {
            fields["steps.\(name).outcome"] = .string
            fields["steps.\(name).class"] = .string
            fields["steps.\(name).confirmed"] = .bool
            open.append("steps.\(name).detail.")
        }
        if let target {
            fields["target.kind"] = .string
            open.append("target.\(target.rawValue).")
        }
        self.init(families: StepScope.families, fields: fields, open: open)
    }
}
