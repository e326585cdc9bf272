package import RiposteCore

/// The incidents that are open: alerts that belong together by container, pod, session, descent and time.
///
/// Which incident an alert joins is decided once, when it comes in, and stands in its record; this book follows the records. It remembers for a while
/// which alerts and deeds are whose, so that everything about them can say so: runs, approvals, undos that come hours later.
package struct IncidentBook: EngineStatePart {
    package struct Incident: Sendable, Equatable {
        package var id: Identifier
        package var opened: Timestamp
        /// The newest alert that is grave enough to keep it open.
        package var last: Timestamp
        package var alerts = 0
        package var runs = 0
        /// Deeds that changed something.
        package var acts = 0
        package var priority: Priority = .debug
        /// Of the first alert.
        package var rule = ""
        /// What it is known by, bounded: what it was known by first counts.
        package var keys: [String] = []
    }

    private struct Claim: Sendable, Equatable {
        var incident: Identifier
        var started: Timestamp?
    }

    private static let keysPerIncident = 256
    private static let memory = 8192

    package private(set) var open: [Identifier: Incident] = [:]
    /// How often one was opened or closed, as far as this value knows.
    private(set) var changes = 0
    private var claims: [String: Claim] = [:]
    /// Of alerts that were answered.
    private var alerts = Recent<Identifier, Identifier>(limit: memory)
    /// Of deeds that can be taken back.
    private var acts = Recent<Identifier, Identifier>(limit: memory)

    package init() {}

    // MARK: - Questions

    /// The incident that something with these keys belongs to, of those that are alive at `now`.
    func incident(for keys: IncidentKeys, at now: Timestamp, _ settings: IncidentSettings) -> Identifier? {
        for key in keys.sought {
            guard let claim = claims[key.name], let incident = open[claim.incident], incident.end(settings) > now else { continue }
            if let one = claim.started, let other = key.started, (one - other).magnitude > .seconds(1) { continue }
            return claim.incident
        }
        return nil
    }

    /// The incident that a record is about.
    func incident(of record: AuditRecord) -> Identifier? {
        record.incident ?? record.alert.flatMap { alerts[$0] } ?? record.undoes.flatMap { acts[$0] }
    }

    /// When the first incident ends if nothing comes.
    func firstEnd(_ settings: IncidentSettings) -> Timestamp? { open.values.lazy.map { $0.end(settings) }.min() }

    /// Those that have ended, in the order of their ends.
    func over(at now: Timestamp, _ settings: IncidentSettings) -> [(id: Identifier, incident: Incident)] {
        open.values.filter { $0.end(settings) <= now }.sorted { ($0.end(settings), $0.id) < ($1.end(settings), $1.id) }.map { ($0.id, $0) }
    }

    // MARK: - Records

    package mutating func apply(_ record: AuditRecord) {
        guard let id = record.incident else { return }
        switch record.kind {
        case .incident: if record.detail.text("state") == "closed" { close(id) } else { begin(id, record) }
        case .alert: join(id, record)
        case .outcome: settle(id, record)
        default: break
        }
    }

    private mutating func begin(_ id: Identifier, _ record: AuditRecord) {
        guard open[id] == nil else { return }
        changes += 1
        open[id] = Incident(id: id, opened: record.time, last: record.time)
    }

    private mutating func join(_ id: Identifier, _ record: AuditRecord) {
        let runs = record.detail["runs"]?.array?.count ?? 0
        if runs > 0, let alert = record.id { alerts.insert(id, for: alert) }
        begin(id, record)
        // Taken out while it changes, so that nothing of it is copied.
        guard let keys = IncidentKeys(record), var incident = open.removeValue(forKey: id) else { return }
        incident.alerts += 1
        incident.runs += runs
        if record.detail["keeps_open"] != false { incident.last = max(incident.last, record.time) }
        if let document = record.alertDocument {
            incident.priority = max(incident.priority, document["priority"]?.string.flatMap { Priority(bytes: $0.bytes) } ?? .debug)
            if incident.rule.isEmpty { incident.rule = document["rule"]?.string.map { ByteText(Array($0.bytes.prefix(128))).shown } ?? "" }
        }
        for key in keys.own where incident.keys.count < Self.keysPerIncident && claims[key.name]?.incident != id {
            claims[key.name] = Claim(incident: id, started: key.started)
            incident.keys.append(key.name)
        }
        open[id] = incident
    }

    private mutating func settle(_ id: Identifier, _ record: AuditRecord) {
        guard !record.dryRun, let outcome = record.outcome else { return }
        if let undoes = record.undoes {
            if outcome == .undone || outcome == .done || outcome == .already || outcome == .gone { acts.remove(undoes) }
            return
        }
        // Also what failed and may stand is taken back one day.
        if record.detail["undo"] != nil, let action = record.id { acts.insert(id, for: action) }
        if outcome == .done { open[id]?.acts += 1 }
    }

    private mutating func close(_ id: Identifier) {
        guard let incident = open.removeValue(forKey: id) else { return }
        changes += 1
        for key in incident.keys where claims[key]?.incident == id { claims[key] = nil }
    }
}

/// When alerts are grouped, and how long.
package struct IncidentSettings: Sendable, Equatable {
    /// An incident is open while something new comes within this time.
    package var quiet = Duration.seconds(15 * 60)
    /// No longer than this: what goes on after that is a new one.
    package var longest = Duration.seconds(24 * 3600)
    /// Alerts that no playbook answers open an incident, or keep it open, only if they are as grave.
    package var priority = Priority.warning
    /// Open at the same time; of alerts from sources that are not trusted, half as many.
    package var limit = 1024

    package init() {}
}

extension IncidentBook.Incident {
    package func end(_ settings: IncidentSettings) -> Timestamp { min(last + settings.quiet, opened + settings.longest) }

    package var json: JSON {
        [
            "incident": .text("\(id)"), "opened": .text("\(opened)"), "last": .text("\(last)"), "alerts": .integer(Int64(alerts)), "runs": .integer(Int64(runs)),
            "acts": .integer(Int64(acts)), "priority": .text(priority.name), "rule": .text(rule), "keys": .array(keys.map(JSON.text)),
        ]
    }

    fileprivate init?(json: JSON) {
        guard let id = json.identifier("incident"), let opened = json.time("opened"), let last = json.time("last"), let alerts = json.number("alerts"),
            let runs = json.number("runs"), let acts = json.number("acts"), let priority = json.text("priority").flatMap({ Priority($0) }),
            let rule = json.text("rule"), let keys = json["keys"]?.array?.compactMap({ $0.string?.valid })
        else { return nil }
        self.init(
            id: id, opened: opened, last: last, alerts: alerts, runs: runs, acts: acts, priority: priority, rule: rule, keys: keys)
    }
}

// MARK: - Snapshot

extension IncidentBook {
    package var json: JSON {
        func pairs(_ recent: Recent<Identifier, Identifier>) -> JSON {
            .array(recent.entries.map { ["id": .text("\($0.key)"), "incident": .text("\($0.value)")] as JSON })
        }
        return [
            "open": .array(open.values.sorted { $0.id < $1.id }.map(\.json)),
            "claims": .array(
                claims.sorted { $0.key < $1.key }.map { name, claim in
                    var object: JSONObject = ["key": .text(name), "incident": .text("\(claim.incident)")]
                    object.append("started", claim.started.map { .text("\($0)") })
                    return .object(object)
                }),
            "alerts": pairs(alerts), "acts": pairs(acts),
        ]
    }

    package init?(json: JSON) {
        guard let open = json["open"]?.array, let claims = json["claims"]?.array, let alerts = json["alerts"]?.array, let acts = json["acts"]?.array
        else { return nil }
        for incident in open {
            guard let incident = Incident(json: incident) else { return nil }
            self.open[incident.id] = incident
        }
        for claim in claims {
            guard let key = claim.text("key"), let incident = claim.identifier("incident") else { return nil }
            self.claims[key] = Claim(incident: incident, started: claim.time("started"))
        }
        for entry in alerts { if let id = entry.identifier("id") { self.alerts.insert(entry.identifier("incident") ?? id, for: id) } }
        for entry in acts { if let id = entry.identifier("id") { self.acts.insert(entry.identifier("incident") ?? id, for: id) } }
    }
}
