package import RiposteCore

/// How a step ended, as later steps may ask and a restart must know: it follows from the records of its intent and outcome.
package struct StepFacts: Sendable, Equatable {
    package var outcome: Outcome
    package var failure: FailureClass?
    /// The effect was seen, not only accepted; nil where nothing was done.
    package var isConfirmed: Bool?
    /// Single values of what the plan found and the deed left: `pid`, `owner.kind`. Lists and long texts are not among them.
    package var detail: JSONObject
    /// The action, where it can be taken back: also one that failed and left something standing, or may have.
    package var action: Identifier?
    /// For people: what was done to whom, and why it was not.
    var about: String?
    var why: String?

    package static let detailLimit = 32
    static let textLimit = 256

    package init(_ outcome: Outcome, failure: FailureClass? = nil, isConfirmed: Bool? = nil, detail: JSONObject = JSONObject(), action: Identifier? = nil) {
        self.outcome = outcome
        self.failure = failure
        self.isConfirmed = isConfirmed
        self.detail = detail
        self.action = action
    }

    /// `intent` is the record before the deed, where there was one: the plan stands in it.
    init?(_ record: AuditRecord, intent: AuditRecord?) {
        guard let outcome = record.outcome else { return nil }
        let plan = (record.detail["plan"] ?? intent?.detail["plan"])?["facts"]?.object ?? JSONObject()
        var detail = JSONObject()
        // What the deed left tells more of now than what was found before it.
        for source in [record.detail["evidence"]?.object ?? JSONObject(), plan] {
            for member in source.plainMembers(textLimit: Self.textLimit) where detail.members.count < Self.detailLimit && detail[member.key] == nil {
                detail.members.append(member)
            }
        }
        self.init(
            outcome, failure: record.failure, isConfirmed: record.detail["confirmed"]?.bool, detail: detail,
            action: record.detail["undo"] == nil ? nil : record.id)
        about = [record.action, record.target?.summary].compactMap(\.self).joined(separator: " ").cut(to: Self.textLimit)
        why = outcome == .done ? nil : record.message?.cut(to: Self.textLimit)
    }

    // MARK: - Snapshot

    var json: JSON {
        var object: JSONObject = ["outcome": .text(outcome.rawValue)]
        object.append("class", failure.map { .text($0.rawValue) })
        object.append("confirmed", isConfirmed.map(JSON.bool))
        if !detail.isEmpty { object.append("detail", .object(detail)) }
        object.append("action", action.map { .text("\($0)") })
        object.append("about", about.map(JSON.text))
        object.append("why", why.map(JSON.text))
        return .object(object)
    }

    init?(json: JSON) {
        guard let outcome = json["outcome"]?.string?.valid.flatMap(Outcome.init(rawValue:)) else { return nil }
        self.init(
            outcome, failure: json["class"]?.string?.valid.flatMap(FailureClass.init(rawValue:)), isConfirmed: json["confirmed"]?.bool,
            detail: json["detail"]?.object ?? JSONObject(), action: json["action"]?.string?.valid.flatMap { Identifier($0) })
        (about, why) = (json["about"]?.string?.repaired, json["why"]?.string?.repaired)
    }
}

extension String {
    /// Whole characters of at most so many bytes.
    fileprivate func cut(to length: Int) -> String {
        var result = self[...]
        while result.utf8.count > length { result.removeLast() }
        return String(result)
    }
}

extension JSONObject {
    /// Texts, numbers and switches, those of objects inside with both names and a dot between.
    func plainMembers(textLimit: Int) -> [Member] {
        members.flatMap { member -> [Member] in
            switch member.value {
            case .bool, .integer, .number: [member]
            case .string(let text): text.bytes.count <= textLimit ? [member] : []
            case .object(let inner):
                inner.members.compactMap { each in
                    switch each.value {
                    case .bool, .integer, .number: Member(key: ByteText(member.key.bytes + [UInt8(ascii: ".")] + each.key.bytes), value: each.value)
                    case .string(let text) where text.bytes.count <= textLimit:
                        Member(key: ByteText(member.key.bytes + [UInt8(ascii: ".")] + each.key.bytes), value: each.value)
                    default: nil
                    }
                }
            case .null, .array: []
            }
        }
    }
}
