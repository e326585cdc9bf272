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
        try reserve(runs.count)
        do { try record(admission(of: alert, runs)) } catch {
            for _ in runs { finishRun() }
            throw .unsafe("\(error)")
        }
        state.withLock { interior in
            interior.counters.alerts += 1
            if !runs.isEmpty { interior.counters.matched += 1 }
        }
        report(.alert(alert, playbooks: runs.map(\.playbook.name)))
        return runs
    }

    private func reserve(_ runs: Int) throws(AdmissionError) {
        let problem = state.withLock { interior -> AdmissionError? in
            if interior.isClosed { return .closed }
            guard runs == 0 || interior.openRuns + runs <= configuration.runLimit else {
                interior.counters.shed += 1
                return .full
            }
            interior.openRuns += runs
            interior.underWay += runs
            return nil
        }
        if let problem { throw problem }
    }

    func finishRun() {
        state.withLock { $0.openRuns -= 1 }
        end()
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
