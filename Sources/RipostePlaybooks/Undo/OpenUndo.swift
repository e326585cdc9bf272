package import RiposteCore

extension EngineState {
    /// An action that is in force and can be taken back.
    package struct OpenUndo: Sendable, Equatable {
        package var action: Identifier
        package var actionName: ActionName
        package var inverse: ActionName
        package var target: Target
        /// As the action was planned with them: what it takes to do it again where the world has lost it.
        package var parameters = JSONObject()
        /// What the deed left for its inverse: what to restore, and how the world looked then. Missing where the agent ended before it knew.
        package var token: JSONObject?
        /// Nil: only by hand.
        package var due: Timestamp?
        package var playbook: String?
        package var alert: Identifier?
        package var incident: Identifier?
        package var actor: AuditRecord.Actor?
        package var since: Timestamp
        /// Why it was not taken back when it was to be; a person decides now.
        package var refusal: String?
        /// The time that it had until that refusal.
        package var dueBefore: Timestamp?
        /// Earlier acts of the same kind on the same target, whose place this one took: they end with it.
        package var absorbed: [Identifier] = []
        /// One of these is not of the same playbook for the same alert: with this act goes what somebody else wanted.
        package var isShared = false
        /// What the target is a copy of, where a budget counts by it.
        package var workload: String?
    }
}

extension EngineState.OpenUndo {
    package var json: JSON {
        var object: JSONObject = [
            "action_id": .text("\(action)"), "action": .text(actionName.rawValue), "inverse": .text(inverse.rawValue), "target": target.json,
            "since": .text("\(since)"),
        ]
        if !parameters.isEmpty { object.append("parameters", .object(parameters)) }
        object.append("token", token.map(JSON.object))
        object.append("due", due.map { .text("\($0)") })
        object.append("playbook", playbook.map(JSON.text))
        object.append("alert", alert.map { .text("\($0)") })
        object.append("incident", incident.map { .text("\($0)") })
        object.append("actor", actor?.json)
        object.append("refusal", refusal.map(JSON.text))
        object.append("due_before", dueBefore.map { .text("\($0)") })
        object.append("workload", workload.map(JSON.text))
        if isShared { object.append("shared", true) }
        if !absorbed.isEmpty { object.append("absorbed", .array(absorbed.map { .text("\($0)") })) }
        return .object(object)
    }

    package init?(json: JSON) {
        func identifier(_ key: ByteText) -> Identifier? { json[key]?.string?.valid.flatMap { Identifier($0) } }
        guard let action = identifier("action_id"), let name = json["action"]?.string?.valid, let inverse = json["inverse"]?.string?.valid,
            let target = json["target"].flatMap(Target.init(json:)), let since = json["since"]?.string.flatMap({ Timestamp($0.bytes) })
        else { return nil }
        self.init(
            action: action, actionName: ActionName(rawValue: name), inverse: ActionName(rawValue: inverse), target: target,
            parameters: json["parameters"]?.object ?? JSONObject(), token: json["token"]?.object, due: json["due"]?.string.flatMap { Timestamp($0.bytes) },
            playbook: json["playbook"]?.string?.valid, alert: identifier("alert"), incident: identifier("incident"),
            actor: json["actor"].flatMap(AuditRecord.Actor.init(json:)), since: since, refusal: json["refusal"]?.string?.repaired,
            dueBefore: json["due_before"]?.string.flatMap { Timestamp($0.bytes) },
            absorbed: json["absorbed"]?.array?.compactMap { $0.string?.valid.flatMap { Identifier($0) } } ?? [], isShared: json["shared"]?.bool ?? false,
            workload: json["workload"]?.string?.repaired)
    }

    /// Takes the place of an earlier act of the same kind on the same target: the longer time of the two holds, and what either has to restore is restored. That the earlier one's
    /// undo was refused says nothing of this one: then the time counts that it had before.
    mutating func absorb(_ older: Self) {
        due = due.flatMap { own in (older.due ?? older.dueBefore).map { max(own, $0) } }
        absorbed = older.absorbed + [older.action] + absorbed
        isShared = isShared || older.isShared || playbook == nil || older.playbook != playbook || older.alert != alert
        if let left = older.token { token = token.map { $0.restoring(too: left) } ?? JSONObject().restoring(too: left).nonEmpty }
    }

    /// The same act on record once more, as it came back late: what has been heard of it since its first outcome stands. Where its time is still the one that it began with,
    /// the later of the two counts; one that was made longer, or was wanted back at once, is as it was made.
    mutating func follow(_ known: Self, term: Duration?) {
        let isAsItBegan = known.due == term.map { known.since + $0 }
        due = isAsItBegan ? due.flatMap { own in known.due.map { max(own, $0) } } : known.due
        (refusal, dueBefore) = (known.refusal, known.dueBefore)
        absorbed = known.absorbed + absorbed.filter { !known.absorbed.contains($0) }
        isShared = isShared || known.isShared
        token = token.map { own in known.token.map(own.restoring) ?? own } ?? known.token
        if parameters.isEmpty { parameters = known.parameters }
        workload = workload ?? known.workload
    }
}

extension JSONObject {
    /// A deed's token with the members of an earlier one: who was hit by either is restored.
    func restoring(too older: JSONObject) -> JSONObject {
        guard let restored = older["members"]?.array else { return self }
        var token = self
        let members = token["members"]?.array ?? []
        token["members"] = .array(members + restored.filter { !members.contains($0) })
        return token
    }

    fileprivate var nonEmpty: JSONObject? { isEmpty ? nil : self }
}
