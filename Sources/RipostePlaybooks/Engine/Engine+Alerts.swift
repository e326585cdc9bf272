package import RiposteCore
internal import Synchronization

extension Engine {
    /// Why an alert was not taken.
    package enum AdmissionError: Error, Equatable, Sendable {
        /// ``Configuration/runLimit`` runs are open. Nothing of the alert was kept: send it again later.
        case full
        case closed
        /// The journal did not take it.
        case unsafe(String)
    }

    /// Takes an alert: finds its playbooks, puts both into the journal, and sets the runs going. When this returns, the alert survives the
    /// death of the agent; it never waits for a run.
    package func accept(_ alert: Alert) throws(AdmissionError) {
        for run in try admit(alert) { surroundings.spawn { await self.run(run.id, run.playbook, for: alert) } }
    }

    /// ``accept(_:)`` for whoever sees it through: returns when the runs have ended.
    package func respond(to alert: Alert) async throws(AdmissionError) {
        for run in try admit(alert) { await self.run(run.id, run.playbook, for: alert) }
    }

    private func admit(_ alert: Alert) throws(AdmissionError) -> [(id: Identifier, playbook: Playbook)] {
        let fitting = playbooks.matching(alert)
        let subject = AlertSubject(alert.fields)
        let admission = try state.admission.withLock { _ throws(AdmissionError) in try admit(alert, subject, fitting) }
        let runs = admission.runs.map { (id: $0.id, playbook: $0.playbook) }
        state.withLock { interior in
            interior.counters.alerts += 1
            if !runs.isEmpty { interior.counters.matched += 1 }
        }
        if let first = admission.repeats.first?.first, runs.isEmpty, admission.counted.isEmpty {
            report(.repeated(alert, of: first))
        } else {
            report(.alert(alert, playbooks: runs.map(\.playbook.name)))
        }
        putOnRecord(deedTold: alert, answeredBy: runs.map(\.playbook))
        return runs
    }

    /// Decides and writes in one go: of two alerts that tell the same at the same moment the second one sees the first.
    private func admit(_ alert: Alert, _ subject: AlertSubject, _ fitting: [Playbook]) throws(AdmissionError) -> Admission {
        let admission = decide(alert, subject, fitting)
        try reserve(admission.runs.count, for: alert)
        do {
            if admission.runs.isEmpty, admission.counted.isEmpty, let first = admission.repeats.first?.first {
                try record(repetition(of: first, by: alert, admission))
                state.withLock { $0.counters.repeats += 1 }
            } else {
                let place = incidentPlace(of: alert, subject, hasRuns: !admission.runs.isEmpty)
                if let place, place.isNew { try open(place.incident, for: alert) }
                try record(self.record(of: alert, admission, place))
            }
        } catch {
            for _ in admission.runs { finishRun(for: alert) }
            throw .unsafe("\(error)")
        }
        return admission
    }

    private func reserve(_ runs: Int, for alert: Alert) throws(AdmissionError) {
        let (key, uptime) = (AdmissionBook.Key(alert), surroundings.uptime())
        let (problem, flood) = state.withLock { interior -> (AdmissionError?, AdmissionBook.Flood?) in
            if interior.isClosed { return (.closed, nil) }
            // What the kernel has done is put on record however little room there is; its own budget bounds how often that can be.
            if KernelAnswer.isDone(alert) {
                interior.admission.enter(key, runs)
            } else if !interior.admission.admit(key, runs, limit: configuration.runLimit) {
                interior.counters.shed += 1
                return (.full, interior.admission.turnAway(key, at: uptime))
            }
            interior.underWay += runs
            return (nil, nil)
        }
        if let flood { tell(flood) }
        if let problem { throw problem }
    }

    func finishRun(for alert: Alert) {
        state.withLock { $0.admission.leave(AdmissionBook.Key(alert)) }
        end()
    }

    /// A flood is on record too: at its beginning, and once a minute with how many it was.
    private func tell(_ flood: AdmissionBook.Flood) {
        var record = AuditRecord(.brake, at: surroundings.now())
        record.actor = AuditRecord.Actor(.agent, name: "admission")
        record.message = "\(flood.count) alerts were turned away for lack of room"
        record.detail = ["flood": ["intake": .text(flood.key.intake), "rule": .string(flood.key.rule), "count": .integer(Int64(flood.count))]]
        // Counted all the same; `record` says that it failed.
        try? self.record(record)
    }

    /// Whose alerts were turned away for lack of room, the most first.
    package var floods: [(intake: String, rule: ByteText, count: Int)] {
        state.withLock { $0.admission.mostShed(16).map { ($0.key.intake, $0.key.rule, $0.count) } }
    }

    private func record(of alert: Alert, _ admission: Admission, _ place: IncidentPlace?) -> AuditRecord {
        var record = AuditRecord(.alert, at: alert.arrival.time, id: alert.id)
        record.incident = place?.incident
        record.detail.append("alert", alert.original == nil ? JSON.object(alert.document) : JSON?.none)
        record.detail.append("alert_base64", alert.original.map { .text($0.base64) })
        record.detail.append("arrival", alert.arrival.json)
        if !admission.runs.isEmpty { record.detail.append("runs", .array(admission.runs.map(\.json))) }
        if !admission.counted.isEmpty { record.detail.append("counted", .array(admission.counted)) }
        if !admission.repeats.isEmpty { record.detail.append("repeats", Self.json(of: admission.repeats)) }
        if let place, !place.keepsOpen { record.detail.append("keeps_open", false) }
        return record
    }

    /// The first few keep what they say: another source's words are evidence. After that only their number is.
    private func repetition(of first: Identifier, by alert: Alert, _ admission: Admission) -> AuditRecord {
        var record = AuditRecord(.repeat, at: alert.arrival.time, id: alert.id)
        record.alert = first
        let count = state.withLock { $0.state.facts.repeats(of: first) } + 1
        record.message = "told again, for the \(count)\(Self.ordinal(count)) time"
        if count <= Self.repeatsKept {
            record.detail.append("alert", alert.original == nil ? JSON.object(alert.document) : JSON?.none)
            record.detail.append("alert_base64", alert.original.map { .text($0.base64) })
        }
        record.detail.append("arrival", alert.arrival.json)
        record.detail.append("repeats", Self.json(of: admission.repeats))
        return record
    }

    private static let repeatsKept = 16

    private static func ordinal(_ number: Int) -> String {
        switch (number % 10, number % 100) {
        case (_, 11...13): "th"
        case (1, _): "st"
        case (2, _): "nd"
        case (3, _): "rd"
        default: "th"
        }
    }

    private static func json(of repeats: [(playbook: String, first: Identifier)]) -> JSON {
        .array(repeats.map { ["playbook": .text($0.playbook), "first": .text("\($0.first)")] })
    }
}

extension Engine.Admission.Run {
    fileprivate var json: JSON {
        var object: JSONObject = ["run": .text("\(id)"), "playbook": .text(playbook.name), "digest": .text(playbook.digest)]
        object.append("fact", fact)
        object.append("tally", tally.map { .text($0.key) })
        object.append("evidence", tally.map { .array($0.evidence.map { .text("\($0)") }) })
        return .object(object)
    }
}
