internal import Logging
internal import RiposteCore
internal import Synchronization

extension Engine.Interior {
    /// The end of the incident that ends first, or a moment before it. Alerts only ever put ends off, so the one found last holds until it has come, or until another
    /// incident is opened or closed.
    mutating func nextIncidentEnd(_ settings: IncidentSettings, at now: Timestamp) -> Timestamp? {
        let changes = state.incidents.changes
        if let known = incidentEnd, known.changes == changes, known.time > now { return known.time }
        let end = state.incidents.firstEnd(settings)
        incidentEnd = end.map { (changes, $0) }
        return end
    }
}

extension Engine {
    /// An alert's place among the incidents.
    struct IncidentPlace {
        var incident: Identifier
        /// The alert opens it.
        var isNew: Bool
        /// The alert is grave enough to keep it open.
        var keepsOpen: Bool
    }

    /// The incident that an alert joins or opens; nil: it stands alone. Asked under the lock of admissions, so that of two alerts at the same moment the
    /// second finds what the first has opened.
    func incidentPlace(of alert: Alert, _ subject: AlertSubject, hasRuns: Bool) -> IncidentPlace? {
        guard let settings = configuration.incidents else { return nil }
        let counts = hasRuns || alert.priority >= settings.priority
        // What could only join has nothing to look for where nothing is open.
        guard counts || state.withLock({ !$0.state.incidents.open.isEmpty }) else { return nil }
        let keys = IncidentKeys(subject, rule: alert.rule, host: alert.hostname)
        let now = alert.arrival.time
        let (found, open) = state.withLock { ($0.state.incidents.incident(for: keys, at: now, settings), $0.state.incidents.open.count) }
        if let found { return IncidentPlace(incident: found, isNew: false, keepsOpen: counts) }
        guard counts else { return nil }
        let limit = alert.arrival.trust == .trusted ? settings.limit : settings.limit / 2
        guard open < limit else {
            state.withLock { $0.counters.ungrouped += 1 }
            return nil
        }
        return IncidentPlace(incident: surroundings.newIdentifier(), isNew: true, keepsOpen: true)
    }

    func open(_ incident: Identifier, for alert: Alert) throws {
        var record = AuditRecord(.incident, at: alert.arrival.time, id: incident, detail: ["state": "opened"])
        record.incident = incident
        record.alert = alert.id
        record.message = "opened by an alert of rule \(ByteText(Array(alert.rule.bytes.prefix(128))).shown)"
        try self.record(record)
    }

    /// Closes incidents that have gone quiet.
    static let incidentChore = Chore(
        next: { engine in
            guard let settings = engine.configuration.incidents else { return nil }
            let now = engine.surroundings.now()
            return engine.state.withLock { $0.nextIncidentEnd(settings, at: now) }.map(engine.notBefore)
        },
        perform: { engine, now in
            guard let settings = engine.configuration.incidents else { return }
            // Not the book itself: it would have to be copied for each record that changes it.
            for (id, incident) in engine.state.withLock({ $0.state.incidents.over(at: now, settings) }) {
                var record = AuditRecord(.incident, at: now, id: id, detail: ["state": "closed", "story": incident.json])
                record.incident = id
                record.message = "closed after \(incident.alerts) alerts, \(incident.runs) runs, \(incident.acts) acts"
                do { try engine.record(record) } catch { return engine.restBookkeeping() }
            }
        })
}
