/// One entry of the journal: what was seen, meant or done. The journal adds the number, the chain and the hash.
package struct AuditRecord: Sendable, Equatable {
    package enum Kind: String, CaseIterable, Sendable {
        /// The agent or a command opened the journal; says what was found in it.
        case start
        /// The journal was closed in order.
        case stop
        /// An alert was accepted; `document` holds it whole, `playbooks` those that it matched.
        case alert
        /// Something at an intake was no alert.
        case reject
        /// About to act: written before the deed.
        case intent
        /// How the action `id` ended. Also for what was planned, refused or skipped, which have no intent.
        case outcome
        /// All steps of a run came to an end.
        case run
        /// Configuration or playbooks were taken into use or refused.
        case config
        /// A person set or lifted a mode of agent, source or playbook.
        case mode
        /// A plan was put to a person, or what became of that: `detail.state` says which.
        case approval
        /// A brake of the engine closed or opened: a breaker, a flood, a pardon.
        case brake
        /// An alert told again what an earlier one had told: no run.
        case `repeat`
        /// An incident was opened, joined, or closed.
        case incident
        /// A playbook went to another stage of its roll-out, or a person judged one of its runs.
        case rollout
        /// The world is no longer as an action left it, or was put right.
        case drift
        /// The journal up to the record before this one, signed.
        case checkpoint
    }

    /// Who wants it.
    package struct Actor: Sendable, Equatable {
        package enum Kind: String, Sendable { case playbook, person, timer, recovery, agent }

        package var kind: Kind
        /// The playbook's name, the operator's user name.
        package var name: String
        /// Of a person, from the socket's peer credentials.
        package var uid: UInt32?
        package var pid: Int32?

        package init(_ kind: Kind, name: String, uid: UInt32? = nil, pid: Int32? = nil) {
            self.kind = kind
            self.name = name
            self.uid = uid
            self.pid = pid
        }
    }

    package var kind: Kind
    package var time: Timestamp
    /// The action's id (intent, outcome), the run's (run), the alert's (alert).
    package var id: Identifier?
    package var run: Identifier?
    package var alert: Identifier?
    /// The incident that this belongs to, where alerts are grouped.
    package var incident: Identifier?
    /// Of an outcome `undone`, and of the intent before it: the action that is taken back.
    package var undoes: Identifier?
    package var actor: Actor?
    package var playbook: String?
    package var step: String?
    package var action: String?
    package var target: Target?
    package var mode: Mode?
    package var dryRun: Bool
    package var outcome: Outcome?
    package var failure: FailureClass?
    package var reason: String?
    /// What the world answered, in words.
    package var message: String?
    /// Kind-specific members: parameters, plan, evidence, undo, timings, the alert's document.
    package var detail: JSONObject

    package init(_ kind: Kind, at time: Timestamp, id: Identifier? = nil, detail: JSONObject = JSONObject()) {
        self.kind = kind
        self.time = time
        self.id = id
        dryRun = false
        self.detail = detail
    }
}

extension AuditRecord {
    /// The record's members in the order in which the journal writes them.
    package var members: JSONObject {
        var object: JSONObject = ["kind": .text(kind.rawValue), "ts": .text("\(time)")]
        object.append("id", id.map { .text("\($0)") })
        object.append("run", run.map { .text("\($0)") })
        object.append("alert", alert.map { .text("\($0)") })
        object.append("incident", incident.map { .text("\($0)") })
        object.append("undoes", undoes.map { .text("\($0)") })
        object.append("actor", actor?.json)
        object.append("playbook", playbook.map(JSON.text))
        object.append("step", step.map(JSON.text))
        object.append("action", action.map(JSON.text))
        object.append("target", target?.json)
        object.append("mode", mode.map { .text($0.rawValue) })
        if dryRun { object.append("dry_run", true) }
        object.append("outcome", outcome.map { .text($0.rawValue) })
        object.append("class", failure.map { .text($0.rawValue) })
        object.append("reason", reason.map(JSON.text))
        object.append("message", message.map(JSON.text))
        if !detail.isEmpty { object.append("detail", .object(detail)) }
        return object
    }

    /// Reads ``members`` back; members that it does not know (the chain's) are passed over. Nil where kind or time is missing.
    package init?(members: JSONObject) {
        var record = AuditRecord(.start, at: Timestamp(nanoseconds: 0))
        var (hasKind, hasTime) = (false, false)
        // In one pass: of each record in a journal all of this is asked.
        for member in members.members {
            let text = member.value.string
            func identifier() -> Identifier? { text.flatMap { Identifier(bytes: $0.bytes) } }
            switch member.key.repaired {
            case "kind":
                guard let kind = text.flatMap({ Kind(rawValue: $0.repaired) }) else { return nil }
                (record.kind, hasKind) = (kind, true)
            case "ts":
                guard let time = text.flatMap({ Timestamp($0.bytes) }) else { return nil }
                (record.time, hasTime) = (time, true)
            case "id": record.id = identifier()
            case "run": record.run = identifier()
            case "alert": record.alert = identifier()
            case "incident": record.incident = identifier()
            case "undoes": record.undoes = identifier()
            case "actor": record.actor = Actor(json: member.value)
            case "playbook": record.playbook = text?.repaired
            case "step": record.step = text?.repaired
            case "action": record.action = text?.repaired
            case "target": record.target = Target(json: member.value)
            case "mode": record.mode = text.flatMap { Mode(rawValue: $0.repaired) }
            case "dry_run": record.dryRun = member.value.bool ?? false
            case "outcome": record.outcome = text.flatMap { Outcome(rawValue: $0.repaired) }
            case "class": record.failure = text.flatMap { FailureClass(rawValue: $0.repaired) }
            case "reason": record.reason = text?.repaired
            case "message": record.message = text?.repaired
            case "detail": record.detail = member.value.object ?? JSONObject()
            default: continue
            }
        }
        guard hasKind, hasTime else { return nil }
        self = record
    }
}

extension AuditRecord.Actor {
    package var json: JSON {
        var object: JSONObject = ["type": .text(kind.rawValue), "name": .text(name)]
        object.append("uid", uid.map { .integer(Int64($0)) })
        object.append("pid", pid.map { .integer(Int64($0)) })
        return .object(object)
    }

    package init?(json: JSON) {
        guard let kind = json["type"]?.string?.valid.flatMap(Kind.init(rawValue:)), let name = json["name"]?.string?.repaired else { return nil }
        self.init(
            kind, name: name, uid: json["uid"]?.integer.flatMap(UInt32.init(exactly:)), pid: json["pid"]?.integer.flatMap(Int32.init(exactly:)))
    }
}

/// Where records go. Appending returns when the record is handed to the kernel: it survives the death of this process.
///
/// The real one is RiposteAudit's journal; tests record.
package protocol AuditLog: Sendable {
    /// Callable from any thread; records get their place in the order of the calls. Throws where the record could not be written: then
    /// nothing may be done that it would have announced.
    func append(_ record: AuditRecord) throws
}

extension AuditRecord {
    /// Of an alert: its document, also where its sender's bytes are kept as they came, as some of them are no UTF-8.
    package var alertDocument: JSON? {
        if let document = detail["alert"], document != .null { return document }
        return detail["alert_base64"]?.string?.valid.flatMap { [UInt8](base64: $0) }.flatMap { try? JSON(parsing: $0) }
    }
}
