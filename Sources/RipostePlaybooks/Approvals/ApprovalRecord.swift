internal import RiposteCore

/// The records of kind `approval`: how a question is put, and what became of it. `detail.state` says which.
enum ApprovalState: String {
    /// A plan is put to people. The record has the plan's id, and holds all that performing it needs.
    case requested
    /// Another plan of the same step for the same workload goes into a question that is open: `detail.request`.
    case joined
    /// One yes of several that are needed. From here on the record's id is the question's.
    case voted
    case granted
    case denied
    case expired
    case withdrawn
    /// An answer that does not count; the question stands as it stood.
    case refused
    /// So many questions are open that the plan is observed only; written once until there is room again.
    case overflow
}

extension AuditRecord {
    var approvalState: ApprovalState? { kind == .approval ? detail["state"]?.string?.valid.flatMap(ApprovalState.init(rawValue:)) : nil }

    /// A record about a question that was put before.
    init(_ state: ApprovalState, of request: ApprovalRequest, by actor: Actor, at time: Timestamp, reason: String? = nil) {
        self.init(.approval, at: time, id: request.id, detail: ["state": .text(state.rawValue)])
        self.actor = actor
        alert = request.opening.alert
        run = request.opening.run
        playbook = request.opening.playbook
        step = request.opening.step
        action = request.opening.action
        target = request.opening.target
        self.reason = reason
        detail.append("plans", .array(request.members.compactMap(\.digest).map(JSON.text)))
    }
}

extension ApprovalFacts {
    var members: JSONObject {
        var object: JSONObject = [
            "kind": .text(kind.rawValue), "deadline": .text("\(deadline)"), "expires": .text(terms.expires.text), "quorum": .integer(Int64(terms.quorum)),
            "approvers": .array(terms.approvers.map { .text($0.description) }), "on_expiry": .text(terms.onExpiry.rawValue), "workload": .text(workload),
            "may_enforce": .bool(mayEnforce), "mode_given": .bool(isModeGiven),
        ]
        object.append("playbook_digest", playbookDigest.map(JSON.text))
        object.append("escalates", escalates.map { .text("\($0)") })
        return object
    }

    init?(_ detail: JSONObject) {
        func text(_ key: ByteText) -> String? { detail[key]?.string?.valid }
        guard let kind = text("kind").flatMap(ApprovalRequest.Kind.init(rawValue:)), let deadline = text("deadline").flatMap({ Timestamp($0) }),
            let expires = text("expires").flatMap({ Duration(text: $0) }), let quorum = detail["quorum"]?.integer, quorum > 0,
            let approvers = detail["approvers"]?.array?.map({ $0.string?.valid.flatMap { Approver($0) } }), !approvers.contains(nil),
            let onExpiry = text("on_expiry").flatMap(ApprovalTerms.OnExpiry.init(rawValue:)), let workload = detail["workload"]?.string?.repaired
        else { return nil }
        self.init(
            kind: kind, deadline: deadline,
            terms: ApprovalTerms(expires: expires, approvers: approvers.compactMap(\.self), quorum: Int(clamping: quorum), onExpiry: onExpiry), workload: workload,
            playbookDigest: text("playbook_digest"), escalates: text("escalates").flatMap { Identifier($0) },
            mayEnforce: detail["may_enforce"]?.bool ?? false, isModeGiven: detail["mode_given"]?.bool ?? false)
    }
}

extension ApprovalRequest {
    /// Nil where the record puts no question.
    init?(_ record: AuditRecord) {
        guard record.approvalState == .requested, let id = record.id, record.target != nil, record.action != nil, let facts = ApprovalFacts(record.detail) else { return nil }
        self.init(id: id, opening: record, facts: facts, members: [Member(record)], phase: .waiting([]))
    }

    /// The question moves on as its records say. Records that make no sense in its phase, which a journal of ours does not hold, change nothing.
    mutating func follow(_ record: AuditRecord, _ state: ApprovalState) {
        guard case .waiting(let voices) = phase, let actor = record.actor else { return }
        switch state {
        case .voted: phase = .waiting(voices + [Voice(actor)])
        case .granted: phase = .granted(voices + [Voice(actor)], at: record.time)
        case .denied: phase = .denied(by: actor.name, reason: record.reason)
        case .expired: phase = .expired(at: record.time)
        case .withdrawn:
            let cause = record.detail["cause"]?.string?.valid.flatMap(Withdrawal.init(rawValue:)) ?? .gone
            phase = .withdrawn(cause, why: record.message ?? cause.rawValue)
        case .requested, .joined, .refused, .overflow: break
        }
    }
}

extension ApprovalRequest.Member {
    init(_ record: AuditRecord) {
        self.init(record: record, hold: record.detail["hold"] == nil ? .none : .wanted)
    }
}

// MARK: - Snapshot

extension ApprovalRequest {
    var json: JSON {
        [
            "opening": .object(opening.members),
            "members": .array(members.map { ["record": .object($0.record.members), "announced": .bool($0.isAnnounced), "hold": .text($0.hold.rawValue)] }),
            "phase": phase.json,
        ]
    }

    init?(json: JSON) {
        guard let opening = json["opening"]?.object.flatMap(AuditRecord.init(members:)), let asked = ApprovalRequest(opening),
            let members = json["members"]?.array?.map(Member.init(json:)), !members.contains(nil), let phase = json["phase"].flatMap(Phase.init(json:))
        else { return nil }
        self.init(id: asked.id, opening: opening, facts: asked.facts, members: members.compactMap(\.self), phase: phase)
    }
}

extension ApprovalRequest.Member {
    fileprivate init?(json: JSON) {
        guard let record = json["record"]?.object.flatMap(AuditRecord.init(members:)), let isAnnounced = json["announced"]?.bool,
            let hold = json["hold"]?.string?.valid.flatMap(Hold.init(rawValue:))
        else { return nil }
        self.init(record: record, isAnnounced: isAnnounced, hold: hold)
    }
}

extension ApprovalRequest.Voice {
    var json: JSON {
        var object: JSONObject = ["name": .text(name)]
        object.append("uid", uid.map { .integer(Int64($0)) })
        return .object(object)
    }

    fileprivate init?(json: JSON) {
        guard let name = json["name"]?.string?.repaired else { return nil }
        self.init(name: name, uid: json["uid"]?.integer.flatMap(UInt32.init(exactly:)))
    }
}

extension ApprovalRequest.Phase {
    fileprivate var json: JSON {
        var object: JSONObject = ["name": .text(name)]
        switch self {
        case .waiting(let voices): object.append("voices", .array(voices.map(\.json)))
        case .granted(let voices, let time):
            object.append("voices", .array(voices.map(\.json)))
            object.append("at", .text("\(time)"))
        case .denied(let name, let reason):
            object.append("by", .text(name))
            object.append("reason", reason.map(JSON.text))
        case .expired(let time): object.append("at", .text("\(time)"))
        case .withdrawn(let cause, let why):
            object.append("cause", .text(cause.rawValue))
            object.append("why", .text(why))
        }
        return .object(object)
    }

    fileprivate init?(json: JSON) {
        let voices = json["voices"]?.array?.compactMap(ApprovalRequest.Voice.init(json:))
        let time = json["at"]?.string.flatMap { Timestamp($0.bytes) }
        switch json["name"]?.string?.valid {
        case "waiting":
            guard let voices else { return nil }
            self = .waiting(voices)
        case "granted":
            guard let voices, let time else { return nil }
            self = .granted(voices, at: time)
        case "denied":
            guard let name = json["by"]?.string?.repaired else { return nil }
            self = .denied(by: name, reason: json["reason"]?.string?.repaired)
        case "expired":
            guard let time else { return nil }
            self = .expired(at: time)
        case "withdrawn":
            guard let cause = json["cause"]?.string?.valid.flatMap(ApprovalRequest.Withdrawal.init(rawValue:)), let why = json["why"]?.string?.repaired else { return nil }
            self = .withdrawn(cause, why: why)
        default: return nil
        }
    }
}
