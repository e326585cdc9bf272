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
        for run in try admit(alert) { surroundings.spawn { await self.run(run.id, run.playbook, for: alert, settled: [:]) } }
    }

    /// ``accept(_:)`` for whoever sees it through: returns when the runs have ended.
    package func respond(to alert: Alert) async throws(AdmissionError) {
        for run in try admit(alert) { await self.run(run.id, run.playbook, for: alert, settled: [:]) }
    }

    private func admit(_ alert: Alert) throws(AdmissionError) -> [(id: Identifier, playbook: Playbook)] {
        let runs = playbooks.matching(alert).map { (id: surroundings.newIdentifier(), playbook: $0) }
        try reserve(runs.count, for: alert)
        do { try record(admission(of: alert, runs)) } catch {
            for _ in runs { finishRun(for: alert) }
            throw .unsafe("\(error)")
        }
        state.withLock { interior in
            interior.counters.alerts += 1
            if !runs.isEmpty { interior.counters.matched += 1 }
        }
        report(.alert(alert, playbooks: runs.map(\.playbook.name)))
        return runs
    }

    private func reserve(_ runs: Int, for alert: Alert) throws(AdmissionError) {
        let (key, uptime) = (AdmissionBook.Key(alert), surroundings.uptime())
        let (problem, flood) = state.withLock { interior -> (AdmissionError?, AdmissionBook.Flood?) in
            if interior.isClosed { return (.closed, nil) }
            guard interior.admission.admit(key, runs, limit: configuration.runLimit) else {
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

    private func admission(of alert: Alert, _ runs: [(id: Identifier, playbook: Playbook)]) -> AuditRecord {
        var record = AuditRecord(.alert, at: alert.arrival.time, id: alert.id)
        record.detail.append("alert", alert.original == nil ? .object(alert.document) : nil)
        record.detail.append("alert_base64", alert.original.map { .text($0.base64) })
        record.detail.append("arrival", alert.arrival.json)
        if !runs.isEmpty {
            record.detail.append("runs", .array(runs.map { ["run": .text("\($0.id)"), "playbook": .text($0.playbook.name)] }))
        }
        return record
    }
}
