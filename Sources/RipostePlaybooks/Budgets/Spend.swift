internal import RiposteCore

/// What one act takes out of budgets: who acts, how, on what. It stands in the intent's record, so that replaying counts what was counted.
package struct Spend: Sendable, Hashable {
    /// Nil: by hand.
    package var playbook: String?
    package var step: String?
    package var action: String
    package var impact: ActionDescription.Impact
    /// ``Target/key``.
    package var target: String
    package var namespace: String?
    /// Where a budget counts by it.
    package var workload: Workload?

    package init(
        playbook: String? = nil, step: String? = nil, action: String, impact: ActionDescription.Impact, target: String, namespace: String? = nil,
        workload: Workload? = nil
    ) {
        self.workload = workload
        self.playbook = playbook
        self.step = step
        self.action = action
        self.impact = impact
        self.target = target
        self.namespace = namespace
    }

    /// Of an intent's or outcome's record; nil where it spends nothing: an undo, a release, a dry run.
    init?(_ record: AuditRecord) {
        guard let spends = record.detail["spends"], let action = record.action, let target = record.target?.key,
            let impact = spends["class"]?.integer.flatMap({ ActionDescription.Impact(rawValue: Int($0)) })
        else { return nil }
        self.init(
            playbook: record.playbook, step: record.step, action: action, impact: impact, target: target,
            namespace: spends["namespace"]?.string?.repaired, workload: spends["workload"].flatMap(Workload.init(json:)))
    }

    /// What a record says of it beside its own members.
    var detail: JSON {
        var object: JSONObject = ["class": .integer(Int64(impact.rawValue))]
        object.append("namespace", namespace.map(JSON.text))
        object.append("workload", workload?.json)
        return .object(object)
    }

    var json: JSON {
        var object: JSONObject = ["action": .text(action), "class": .integer(Int64(impact.rawValue)), "target": .text(target)]
        object.append("playbook", playbook.map(JSON.text))
        object.append("step", step.map(JSON.text))
        object.append("namespace", namespace.map(JSON.text))
        object.append("workload", workload?.json)
        return .object(object)
    }

    init?(json: JSON) {
        func text(_ key: ByteText) -> String? { json[key]?.string?.repaired }
        guard let action = text("action"), let target = text("target"),
            let impact = json["class"]?.integer.flatMap({ ActionDescription.Impact(rawValue: Int($0)) })
        else { return nil }
        self.init(
            playbook: text("playbook"), step: text("step"), action: action, impact: impact, target: target, namespace: text("namespace"),
            workload: json["workload"].flatMap(Workload.init(json:)))
    }
}
