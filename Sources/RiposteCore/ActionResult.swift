/// What became of one action: the result object of the command line and the control socket.
package struct ActionResult: Sendable, Equatable {
    package struct Undo: Sendable, Equatable {
        package var available: Bool
        package var due: Timestamp?

        package init(available: Bool, due: Timestamp? = nil) {
            self.available = available
            self.due = due
        }
    }

    package var id: Identifier
    package var playbook: String?
    package var step: String?
    package var action: String
    /// Nil where nobody could be proved to be the target.
    package var target: Target?
    package var outcome: Outcome
    package var dryRun: Bool
    /// Whatever its outcome is called, the deed was begun, and nobody can say that it did not take effect, or some of it.
    package var mayHaveActed = false
    /// Why its mode was no wider: "the agent's mode is observe".
    package var modeBecause: String?
    /// Why it was asked for (an operator's words) or, where nothing was done, why not.
    package var reason: String?
    package var detail: String?
    package var undo: Undo?
    package var duration: Duration
    /// From the alert's arrival to here, of a step that waited for nobody; for metrics, and not part of the result object.
    package var sinceAlert: Duration?

    package init(
        id: Identifier, playbook: String? = nil, step: String? = nil, action: String, target: Target? = nil, outcome: Outcome, dryRun: Bool,
        reason: String? = nil, detail: String? = nil, undo: Undo? = nil, duration: Duration = .zero
    ) {
        self.id = id
        self.playbook = playbook
        self.step = step
        self.action = action
        self.target = target
        self.outcome = outcome
        self.dryRun = dryRun
        self.reason = reason
        self.detail = detail
        self.undo = undo
        self.duration = duration
    }

    package var json: JSON {
        var object: JSONObject = ["id": .text("\(id)")]
        object.append("playbook", playbook.map(JSON.text))
        object.append("step", step.map(JSON.text))
        object.append("action", .text(action))
        object.append("target", target?.json ?? .null)
        object.append("outcome", .text(outcome.rawValue))
        object.append("dry_run", .bool(dryRun))
        if mayHaveActed { object.append("may_have_acted", true) }
        object.append("mode_because", modeBecause.map(JSON.text))
        object.append("reason", reason.map(JSON.text))
        object.append("detail", detail.map(JSON.text))
        if let undo {
            var members: JSONObject = ["available": .bool(undo.available)]
            members.append("due", undo.due.map { JSON.text("\($0)") })
            object.append("undo", .object(members))
        }
        object.append("duration_us", .integer(duration.wholeMicroseconds))
        return .object(object)
    }

    /// Reads ``json`` back, as a client of the control socket does.
    package init?(json: JSON) {
        func text(_ key: ByteText) -> String? { json[key]?.string?.repaired }
        guard let id = text("id").flatMap({ Identifier($0) }), let action = text("action"),
            let outcome = text("outcome").flatMap(Outcome.init(rawValue:)), let dryRun = json["dry_run"]?.bool
        else { return nil }
        self.init(
            id: id, playbook: text("playbook"), step: text("step"), action: action, target: json["target"].flatMap(Target.init(json:)),
            outcome: outcome, dryRun: dryRun, reason: text("reason"), detail: text("detail"),
            undo: json["undo"].map { Undo(available: $0["available"]?.bool ?? false, due: $0["due"]?.string.flatMap { Timestamp($0.bytes) }) },
            duration: .microseconds(json["duration_us"]?.integer ?? 0))
        modeBecause = text("mode_because")
        mayHaveActed = json["may_have_acted"]?.bool ?? false
    }

    /// It is in effect, or may be in whole or in part: what was to be called off was not.
    package var mayBeInEffect: Bool { outcome == .done || outcome == .undone || mayHaveActed }
}
