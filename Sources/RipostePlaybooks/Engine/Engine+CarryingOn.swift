internal import RiposteCore

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

    /// The steps that come after one that waited, as after a restart. Where the playbook is not in force here, the run is left to the agent.
    ///
    /// `request`: the question that is settled; a playbook that was changed since does not go on.
    func carryOn(_ id: Identifier, for request: ApprovalRequest? = nil) {
        guard let run = snapshot.openRuns[id], let playbook = playbooks.playbooks.first(where: { $0.name == run.playbook }) else {
            if let request, case .withdrawn(.playbook, let why) = request.phase { close(id, nil, nil, message: why) }
            return
        }
        if let digest = request?.playbookDigest, digest != playbook.digest {
            close(id, playbook, nil, message: "not carried on: playbook \(playbook.name) was changed while it waited")
            return
        }
        _ = resume(run)
    }
}
