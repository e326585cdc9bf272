internal import RiposteCore

extension Order {
    /// How people are asked about this order.
    struct Question: Sendable {
        var terms: ApprovalTerms
        var hold: ActionName?
        /// Everything but the question itself says enforce.
        var mayEnforce: Bool
        var isModeGiven: Bool
        /// Nil: an action by hand.
        var playbookDigest: String?
        var workload: String
        var alert: Alert?
        /// Where the alert came in; nil: an action by hand.
        var intake: String?
        /// Who wants it done, of a step: may not approve it.
        var requester: AuditRecord.Actor?
    }

    /// A person's yes to one plan, or what a playbook says in place of one.
    struct Consent: Sendable {
        var request: Identifier
        var digest: String
        /// The plan as it was shown.
        var summary: String
        /// Whose; nobody's where the time of the question was over and the playbook says what is done then.
        var voices: [ApprovalRequest.Voice]
        /// It holds until then.
        var until: Timestamp?

        var json: JSON {
            var object: JSONObject = ["request": .text("\(request)"), "by": .array(voices.map(\.json))]
            object.append("until", until.map { .text("\($0)") })
            if voices.isEmpty { object.append("unanswered", true) }
            return .object(object)
        }
    }

    /// What an order is about beside its plan, into the record of the question: with it ``take(originFrom:)`` makes the same order again.
    func noteOrigin(in record: inout AuditRecord) {
        record.undoes = undoes
        record.detail.append("token", token.map(JSON.object))
        record.detail.append("restores", restores.map { ["action": .text("\($0)")] })
        if isForced { record.detail.append("forced", true) }
        if prolongs { record.detail.append("extend", true) }
        record.detail.append("undo_max", undoLimit.map { .text($0.text) })
    }

    /// Records of earlier versions have none of this: such an order is what its plan says and no more.
    mutating func take(originFrom record: AuditRecord) {
        undoes = record.undoes
        token = record.detail["token"]?.object
        restores = record.detail["restores"]?["action"]?.string?.valid.flatMap { Identifier($0) }
        isForced = record.detail["forced"]?.bool ?? false
        prolongs = record.detail["extend"]?.bool ?? false
        undoLimit = record.detail["undo_max"]?.string?.valid.flatMap { Duration(text: $0) }
    }

    /// A person was asked, and said yes.
    var hasPersonsYes: Bool { consent.map { !$0.voices.isEmpty } ?? false }

    /// What is done to the same target if nobody answers: part of the intent, so that it is owed from the deed on.
    struct Follower: Sendable, Equatable {
        var action: ActionName
        var parameters: JSONObject
        var after: Duration
        var playbookDigest: String
        var isModeGiven: Bool
        /// Where the alert came in; nil in records of earlier versions.
        var intake: String?

        var json: JSON {
            var object: JSONObject = [
                "action": .text(action.rawValue), "parameters": .object(parameters), "after": .text(after.text), "playbook_digest": .text(playbookDigest),
                "mode_given": .bool(isModeGiven),
            ]
            object.append("intake", intake.map(JSON.text))
            return .object(object)
        }
    }
}

extension Order.Follower {
    init?(json: JSON) {
        guard let action = json["action"]?.string?.valid, let parameters = json["parameters"]?.object, let after = json["after"]?.string?.valid.flatMap({ Duration(text: $0) }),
            let digest = json["playbook_digest"]?.string?.valid, let isModeGiven = json["mode_given"]?.bool
        else { return nil }
        self.init(
            action: ActionName(rawValue: action), parameters: parameters, after: after, playbookDigest: digest, isModeGiven: isModeGiven, intake: json.text("intake"))
    }
}

extension Alert {
    /// What people see as one thing: the owner of the pod, else the image, else the container, else the host. It groups questions, and proves nothing.
    var workload: String {
        func text(_ field: ByteText) -> String? { self[field: field]?.string.flatMap { $0.isEmpty ? nil : ByteText(Array($0.bytes.prefix(256))).shown } }
        if let namespace = text("k8s.ns.name"), let owner = text("k8s.deployment.name") ?? text("k8s.rs.name") ?? text("k8s.rc.name") ?? text("k8s.pod.name") {
            return "\(namespace)/\(owner)"
        }
        guard let container = text("container.id"), container != "host" else { return "host" }
        return text("container.image.repository") ?? container
    }

    /// Why a person is asked, cut to a length that a journal can bear.
    var evidenceForQuestion: JSON {
        func cut(_ text: ByteText, to limit: Int) -> JSON { .string(text.bytes.count > limit ? ByteText(Array(text.bytes.prefix(limit))) : text) }
        var object: JSONObject = ["rule": cut(rule, to: 256), "priority": .text(priority.name), "time": .text("\(time)"), "intake": .text(arrival.intake)]
        object.append("output", output.map { cut($0, to: 2048) })
        let telling: [ByteText] = [
            "proc.cmdline", "proc.exepath", "proc.pname", "user.name", "container.name", "container.image.repository", "k8s.ns.name", "k8s.pod.name", "fd.name",
        ]
        let facts = telling.compactMap { name in self[field: name].map { JSONObject.Member(key: name, value: $0.string.map { cut($0, to: 512) } ?? $0) } }
        if !facts.isEmpty { object.append("fields", .object(JSONObject(facts))) }
        return .object(object)
    }
}
