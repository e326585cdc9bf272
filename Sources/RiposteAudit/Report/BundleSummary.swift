internal import RiposteCore

/// `summary.json`: a bundle in figures and in order, for programs. Texts of alerts are escaped and held to a length; the records have them whole.
struct BundleSummary {
    private let bundle: AuditBundle
    private let story: IncidentStory

    init(_ bundle: AuditBundle) {
        self.bundle = bundle
        story = IncidentStory(bundle.records)
    }

    var json: JSON {
        let header = bundle.header
        var object: JSONObject = ["format": .text(AuditBundle.format), "riposte": .text(header.version), "made_at": .text("\(header.time)"), "selection": header.seed.json]
        object.append("host", story.host.map(JSON.text))
        object.append("span", story.span.map { ["from": .text("\($0.from)"), "to": .text("\($0.to)")] })
        object.append("counts", counts)
        object.append("journal", journal)
        object.append(
            "targets",
            .array(story.targets.map { ["summary": .text($0.summary), "target": $0.json, "actions": .array($0.deeds.map { .text("\($0.id)") })] }))
        object.append("alerts", .array(story.alarms.map(json)))
        object.append("actions", .array(story.deeds.map(json)))
        object.append("persons", .array(story.words.map(json)))
        object.append(
            "timeline", .array(Timeline(story).events.map { ["seq": .integer($0.seq), "ts": .text("\($0.time)"), "kind": .text($0.lane.rawValue), "what": .text($0.text)] }))
        return .object(object)
    }

    private var counts: JSON {
        let outcomes = Dictionary(grouping: story.deeds.compactMap(\.outcome)) { $0.rawValue }.sorted { $0.key < $1.key }
        return [
            "records": .integer(Int64(bundle.records.count)), "alerts": .integer(Int64(story.alarms.count)), "actions": .integer(Int64(story.deeds.count)),
            "in_force": .integer(Int64(story.deeds.count { $0.isInEffect && $0.undo != nil && $0.undo?.takenBack == nil })),
            "outcomes": .object(JSONObject(outcomes.map { .init(key: ByteText($0.key), value: .integer(Int64($0.value.count))) })),
        ]
    }

    /// Where the records stand, and how many of them a checkpoint signs.
    private var journal: JSON {
        [
            "first": .integer(bundle.records.first?.seq ?? 0), "last": .integer(bundle.records.last?.seq ?? 0), "proved": .integer(Int64(bundle.provedCount)),
            "checkpoints": .array(bundle.checkpoints.map { ["seq": .integer($0.seq), "hash": .text($0.hash)] }), "damaged": .array(bundle.damaged.map(JSON.integer)),
        ]
    }

    private func json(_ alarm: IncidentStory.Alarm) -> JSON {
        var object: JSONObject = ["seq": .integer(alarm.seq), "time": .text("\(alarm.time)")]
        object.append("id", alarm.id.map { .text("\($0)") })
        object.append("rule", alarm.alert.map { .text(Excerpt.of($0.rule)) })
        object.append("priority", alarm.alert.map { .text($0.priority.name) })
        object.append("output", alarm.alert?.output.map { .text(Excerpt.of($0)) })
        object.append("playbooks", .array(alarm.playbooks.map(JSON.text)))
        return .object(object)
    }

    private func json(_ deed: IncidentStory.Deed) -> JSON {
        var object: JSONObject = ["id": .text("\(deed.id)"), "action": .text(deed.name)]
        object.append("target", deed.target.map { .text($0.summary) })
        object.append("by", .text(deed.by))
        object.append("playbook", deed.playbook.map { .text(Excerpt.of($0, limit: 80)) })
        object.append("step", deed.step.map { .text(Excerpt.of($0, limit: 80)) })
        object.append("mode", deed.mode.map { .text($0.rawValue) })
        object.append("dry_run", .bool(deed.isDryRun))
        object.append("outcome", deed.outcome.map { .text($0.rawValue) })
        object.append("class", deed.failure.map { .text($0.rawValue) })
        object.append("message", deed.message.map { .text(Excerpt.of($0)) })
        object.append("reason", deed.reason.map { .text(Excerpt.of($0)) })
        object.append("intent_seq", deed.intended.map { .integer($0.seq) })
        object.append("outcome_seq", deed.ended.map { .integer($0.seq) })
        object.append("undoes", deed.undoes.map { .text("\($0)") })
        object.append("undo", undo(of: deed))
        if !deed.remarks.isEmpty { object.append("remarks", .array(deed.remarks.map(JSON.text))) }
        return .object(object)
    }

    private func undo(of deed: IncidentStory.Deed) -> JSON? {
        guard let undo = deed.undo else { return nil }
        var object: JSONObject = ["with": .text(undo.inverse), "state": .text(undo.takenBack == nil ? "in force" : "taken back")]
        object.append("due", undo.due.map { .text("\($0)") })
        object.append("taken_back_by", undo.takenBack.map { .text("\($0.id)") })
        object.append("taken_back_at", undo.takenBack.map { .text("\($0.time)") })
        return .object(object)
    }

    private func json(_ word: IncidentStory.Word) -> JSON {
        var object: JSONObject = ["seq": .integer(word.seq), "time": .text("\(word.time)"), "name": .text(word.name)]
        object.append("uid", word.user.map { .integer(Int64($0)) })
        object.append("what", .text(word.what))
        object.append("reason", word.reason.map(JSON.text))
        return .object(object)
    }
}
