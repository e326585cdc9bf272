package import RiposteCore

extension OutputMessage {
    /// falcosidekick's payload, its fields in place and order, so that dashboards keep working: uuid, output, priority, rule, time, output_fields,
    /// source, tags, hostname. What else the sender of an alert wrote follows. What is no alert has the same fields, source `riposte`, and its own
    /// members under `riposte`.
    package var falcosidekickPayload: JSONObject {
        switch content {
        case .alert(let alert): alert.alert.map(payload) ?? JSONObject()
        case .record(let record): payload(source: "riposte", rule: "Riposte \(title.repaired)", fields: record.outputFields, own: journalMembers(of: record))
        case .notice(let notice): payload(source: "riposte", rule: notice.title, fields: notice.outputFields, own: notice.members)
        case .test: payload(source: "internal", rule: "Test rule", fields: ["riposte.test": true], own: ["test": true])
        }
    }

    private static func isPayloadKey(_ key: ByteText) -> Bool {
        switch key.repaired {
        case "uuid", "output", "priority", "rule", "time", "output_fields", "source", "tags", "hostname": true
        default: false
        }
    }

    private func payload(of alert: Alert) -> JSONObject {
        var object = JSONObject()
        object.members.reserveCapacity(12)
        object.append("uuid", .text(uuid))
        object.append("output", .string(alert.output ?? ""))
        object.append("priority", .text(alert.priority.name))
        object.append("rule", .string(alert.rule))
        object.append("time", .text("\(alert.time)"))
        object.append("output_fields", .object(alert.fields))
        object.append("source", .string(alert.source ?? "syscall"))
        if !alert.tags.isEmpty { object.append("tags", .array(alert.tags.sorted().map(JSON.string))) }
        object.append("hostname", .string(alert.hostname ?? ByteText(host)))
        for member in alert.document.members where !Self.isPayloadKey(member.key) { object.members.append(member) }
        return alert.original == nil ? object : object.withEachRepairedKeyOnce
    }

    private func payload(source: String, rule: String, fields: JSONObject, own: JSONObject) -> JSONObject {
        [
            "uuid": .text(uuid), "output": .string(text), "priority": .text(priority.name), "rule": .text(rule), "time": .text("\(time)"), "output_fields": .object(fields),
            "source": .text(source), "tags": ["riposte"], "hostname": .text(host), "riposte": .object(own),
        ]
    }

    /// The record as the journal has it, its number and hash first.
    private func journalMembers(of record: AuditRecord) -> JSONObject {
        JSONObject([.init(key: "seq", value: .integer(seq)), .init(key: "hash", value: .text(hash))] + record.members.members)
    }
}

extension AuditRecord {
    /// The facts that dashboards filter by, one level deep.
    fileprivate var outputFields: JSONObject {
        var fields: JSONObject = ["riposte.kind": .text(kind.rawValue)]
        fields.append("riposte.id", id.map { .text("\($0)") })
        fields.append("riposte.alert", alert.map { .text("\($0)") })
        fields.append("riposte.playbook", playbook.map(JSON.text))
        fields.append("riposte.step", step.map(JSON.text))
        fields.append("riposte.action", action.map(JSON.text))
        fields.append("riposte.target", target.map { .text($0.summary) })
        fields.append("riposte.outcome", outcome.map { .text($0.rawValue) })
        fields.append("riposte.mode", mode.map { .text($0.rawValue) })
        fields.append("riposte.actor", actor.map { .text($0.name) })
        return fields
    }
}

extension Notice {
    fileprivate var outputFields: JSONObject {
        guard let summary else { return record?.outputFields ?? JSONObject() }
        var fields = JSONObject(summary.key.map { JSONObject.Member(key: ByteText($0.field), value: .string($0.value)) })
        fields["riposte.count"] = .integer(Int64(summary.count))
        return fields
    }

    /// `title`, `text`, and of a summary its numbers.
    package var members: JSONObject {
        var object: JSONObject = ["title": .text(title), "text": .text(text)]
        if let summary { object.append("summary", summary.json) }
        if let record { object.append("record", .object(record.members)) }
        return object
    }
}

extension Notice.Summary {
    package var json: JSON {
        [
            "key": .object(JSONObject(key.map { JSONObject.Member(key: ByteText($0.field), value: .string($0.value)) })), "count": .integer(Int64(count)),
            "first": .text("\(first)"), "last": .text("\(last)"), "examples": .array(examples.map(JSON.string)),
        ]
    }
}

extension JSONObject {
    /// Keys that are no UTF-8 and differ can be written alike; receivers refuse an object that has a key twice. The first one stays.
    fileprivate var withEachRepairedKeyOnce: JSONObject {
        var seen: Set<String> = []
        return JSONObject(members.filter { seen.insert($0.key.repaired).inserted }.map { Member(key: $0.key, value: $0.value.withEachRepairedKeyOnce) })
    }
}

extension JSON {
    fileprivate var withEachRepairedKeyOnce: JSON {
        switch self {
        case .object(let object): .object(object.withEachRepairedKeyOnce)
        case .array(let elements): .array(elements.map(\.withEachRepairedKeyOnce))
        default: self
        }
    }
}
