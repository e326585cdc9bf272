package import RiposteCore

/// What an incident was, told from the journal's records: what happened in order, to whom, what was done, and what of it stands.
package struct IncidentStory: Sendable, Equatable {
    package struct Event: Sendable, Equatable {
        package var time: Timestamp
        package var kind: AuditRecord.Kind
        /// One line, safe to show.
        package var what: String
    }

    /// A deed that is still in effect, or may be.
    package struct Deed: Sendable, Equatable {
        package var id: Identifier
        package var action: String
        package var target: Target
        package var since: Timestamp
        package var due: Timestamp?

        fileprivate init(_ open: EngineState.OpenUndo) {
            (id, action, target, since, due) = (open.action, open.actionName.rawValue, open.target, open.since, open.due)
        }
    }

    package let id: Identifier
    package private(set) var opened: Timestamp
    package private(set) var closed: Timestamp?
    package private(set) var priority = Priority.debug
    /// Of the first alert, safe to show.
    package private(set) var rule = ""
    package private(set) var alerts = 0
    package private(set) var repeats = 0
    package private(set) var acts = 0
    /// In the order in which they came up.
    package private(set) var targets: [Target] = []
    /// Deeds in effect that can be taken back; nil: that could not be found out.
    package let standing: [Deed]?
    package private(set) var events: [Event] = []
    /// Older records of it were left out, as there are too many.
    package let isCutOff: Bool

    /// Nil where none of the records is about it. `inForce`: all that is, as the whole journal gives it: what takes a deed back, or makes it last longer, may be no part of the
    /// incident.
    package init?(_ id: Identifier, _ records: some Sequence<AuditRecord>, inForce: [EngineState.OpenUndo]?, isCutOff: Bool = false) {
        let own = records.filter { $0.incident == id }
        guard let first = own.first else { return nil }
        self.id = id
        opened = first.time
        standing = inForce?.filter { $0.incident == id }.sorted { ($0.since, $0.action) < ($1.since, $1.action) }.map(Deed.init)
        self.isCutOff = isCutOff
        for record in own { take(record) }
    }

    private mutating func take(_ record: AuditRecord) {
        switch record.kind {
        case .incident: if record.detail.text("state") == "closed" { closed = record.time }
        case .alert: note(record)
        case .repeat: repeats += 1
        // Acts that were begun, not those that take them back.
        case .outcome: if record.outcome == .done, !record.dryRun, record.undoes == nil { acts += 1 }
        default: break
        }
        if let target = record.target, !targets.contains(where: { $0.key == target.key }) { targets.append(target) }
        if let what = Self.line(record) { events.append(Event(time: record.time, kind: record.kind, what: what)) }
    }

    private mutating func note(_ record: AuditRecord) {
        alerts += 1
        let document = record.alertDocument
        priority = max(priority, document?["priority"]?.string.flatMap { Priority(bytes: $0.bytes) } ?? .debug)
        if rule.isEmpty { rule = document?["rule"]?.string?.shown ?? "" }
    }

    /// Nil for what only repeats what another line says.
    private static func line(_ record: AuditRecord) -> String? {
        var parts: [String] = []
        switch record.kind {
        case .alert:
            let document = record.alertDocument
            let names = record.detail["runs"]?.array?.compactMap { $0.text("playbook")?.escapedForDisplay } ?? []
            parts.append("\(document?.text("priority")?.escapedForDisplay ?? "") \(document?["rule"]?.string?.shown ?? "(no rule)")")
            if let command = document?["output_fields"]?["proc.cmdline"]?.string { parts.append("\"\(ByteText(Array(command.bytes.prefix(120))).shown)\"") }
            parts.append("→ \(names.isEmpty ? "no playbook" : names.joined(separator: ", "))")
        case .intent: return nil
        case .run: if record.outcome == nil, record.message == nil { return nil }
        default: break
        }
        if let outcome = record.outcome { parts.append(outcome.rawValue) }
        if let action = record.action { parts.append(action.escapedForDisplay) }
        if let target = record.target { parts.append(target.summary) }
        if let playbook = record.playbook { parts.append("[\(playbook.escapedForDisplay)\(record.step.map { "/\($0.escapedForDisplay)" } ?? "")]") }
        if let actor = record.actor, actor.kind == .person { parts.append("by \(actor.name.escapedForDisplay)") }
        if let reason = record.reason { parts.append("(\(reason.escapedForDisplay))") }
        if let message = record.message { parts.append("· \(message.escapedForDisplay)") }
        if let because = record.detail.text("mode_because") { parts.append("· \(record.mode?.rawValue ?? ""): because \(because.escapedForDisplay)") }
        return parts.joined(separator: " ")
    }
}

extension IncidentStory {
    package var json: JSON {
        var object: JSONObject = ["incident": .text("\(id)"), "opened": .text("\(opened)")]
        object.append("closed", closed.map { .text("\($0)") })
        object.append("priority", .text(priority.name))
        object.append("rule", .text(rule))
        object.append("alerts", .integer(Int64(alerts)))
        object.append("repeats", .integer(Int64(repeats)))
        object.append("acts", .integer(Int64(acts)))
        object.append("targets", .array(targets.map(\.json)))
        object.append(
            "standing",
            standing.map { deeds in
                .array(
                    deeds.map { deed in
                        var member: JSONObject = [
                            "action_id": .text("\(deed.id)"), "action": .text(deed.action), "since": .text("\(deed.since)"), "target": deed.target.json,
                        ]
                        member.append("due", deed.due.map { .text("\($0)") })
                        return .object(member)
                    })
            })
        if isCutOff { object.append("cut_off", true) }
        object.append("events", .array(events.map { ["ts": .text("\($0.time)"), "kind": .text($0.kind.rawValue), "what": .text($0.what)] }))
        return .object(object)
    }
}
