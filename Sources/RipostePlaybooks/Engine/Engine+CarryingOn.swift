internal import RiposteCore
internal import Synchronization

extension Engine {
    /// Whether this task is the one that sees to the run; else whoever does looks once more at what is settled when it has come to its end.
    func takeUp(_ run: Identifier) -> Bool {
        state.withLock { interior in
            guard interior.approvals.runs[run] == nil else {
                interior.approvals.runs[run] = true
                return false
            }
            interior.approvals.runs[run] = false
            return true
        }
    }

    /// True where somebody wanted it carried on meanwhile.
    func letGo(_ run: Identifier) -> Bool { state.withLock { $0.approvals.runs.removeValue(forKey: run) ?? false } }

    /// The steps that come after one that waited, as after a restart. Of an alert that a person fed in they are those that were given with it. Where the playbook is not in force
    /// here, and nobody in this process began the run, it is left to the agent.
    ///
    /// `request`: the question that is settled; a playbook that was changed since does not go on.
    func carryOn(_ id: Identifier, for request: ApprovalRequest? = nil) {
        let (open, owner) = state.withLock { ($0.state.openRuns[id], $0.approvals.fedIn[id]) }
        guard let run = open else { return }
        guard owner != nil || playbooks.playbooks.contains(where: { $0.name == run.playbook }) else {
            if let request, case .withdrawn(.playbook, let why) = request.phase { close(run, because: why) }
            return
        }
        if owner != nil, let request, case .withdrawn(.playbook, let why) = request.phase { return close(run, because: why) }
        _ = (owner ?? self).resume(run)
    }

    /// Until its end is on record a run can come to wait for a person, who answers another engine than the one that has its playbook.
    func keepIfFedIn(_ run: Identifier) {
        guard configuration.isByHand else { return }
        state.withLock { interior in if interior.state.openRuns[run] != nil { interior.approvals.fedIn[run] = self } }
    }

    /// Sets a run going that stands open in the journal, behind the steps that are settled. Only with the very playbook that took the alert: another one of its
    /// name was never held against this alert, and its steps are not those that are settled. False where it is closed instead.
    func resume(_ run: EngineState.OpenRun) -> Bool {
        let alert = snapshot.alerts[run.alert].flatMap { Self.alert(in: $0.record) }
        let found = playbook(of: run)
        guard case .success(let playbook) = found, let alert else {
            close(run, because: found.problem ?? "its alert is not on record any more")
            return false
        }
        state.withLock { interior in
            interior.admission.enter(AdmissionBook.Key(alert))
            interior.underWay += 1
        }
        surroundings.spawn { await self.run(run.id, playbook, for: alert, settled: run.settled, hasBegun: run.hasBegun || !run.settled.isEmpty, attempt: 1 + max(1, run.restarts)) }
        return true
    }

    private enum Found {
        case success(Playbook), failure(String)

        var problem: String? { if case .failure(let problem) = self { problem } else { nil } }
    }

    /// A run whose record does not say which playbook it was, as in journals of before, proves nothing, and is treated like one whose playbook was changed.
    private func playbook(of run: EngineState.OpenRun) -> Found {
        guard let playbook = playbooks.playbooks.first(where: { $0.name == run.playbook }) else { return .failure("playbook \(run.playbook) is not in force any more") }
        guard playbook.isEnabled else { return .failure("playbook \(run.playbook) is switched off") }
        guard let digest = run.digest else { return .failure("the record of its alert does not say which playbook \(run.playbook) it was") }
        return digest == playbook.digest ? .success(playbook) : .failure("playbook \(run.playbook) was changed since it took the alert")
    }

    private func close(_ run: EngineState.OpenRun, because why: String) {
        var record = AuditRecord(.run, at: surroundings.now(), id: run.id)
        (record.alert, record.playbook) = (run.alert, run.playbook)
        record.isRunLeft = true
        record.message = "not carried on: \(why)" + (standing(of: run).map { "; \($0)" } ?? "")
        close(record)
    }

    private static let standingLimit = 8

    /// What the run has done, and nobody has taken back yet.
    private func standing(of run: EngineState.OpenRun) -> String? {
        let acts = snapshot.openUndos.values.filter { $0.alert == run.alert && $0.playbook == run.playbook }.sorted { $0.action < $1.action }
        guard !acts.isEmpty else { return nil }
        let words = acts.prefix(Self.standingLimit).map { "\($0.actionName) of \($0.target.summary) (\($0.action)) until \($0.due.map { "\($0)" } ?? "it is taken back")" }
        return "in force stays " + words.joined(separator: ", ") + (acts.count > words.count ? " and \(acts.count - words.count) more" : "")
    }
}
