package import RiposteCore
internal import Synchronization

extension Engine {
    /// Writes down where roll-outs begin: of playbooks that are new, and of those whose stages were changed. Call when playbooks come into force;
    /// until it is written they are in their first stage.
    package func beginRollouts() {
        for playbook in playbooks.playbooks {
            guard let rollout = playbook.rollout else { continue }
            let (track, isThrownBack) = state.withLock { ($0.state.rollouts.tracks[playbook.name], $0.state.rollouts.isThrownBack(playbook.name, rollout)) }
            if track?.definition != rollout.definition {
                let isChanged = track?.definition != nil
                try? move(playbook, rollout, to: 0, "began", AuditRecord.Actor(.agent, name: "rollout"), isChanged ? "its stages were changed" : nil)
            } else if let isThrownBack {
                fallBack(playbook, rollout, isThrownBack)
            }
        }
    }

    /// A person lets a playbook go on to its next stage. Gives what was done, in words.
    package func promote(_ name: String, actor: AuditRecord.Actor, reason: String? = nil, isDryRun: Bool = false) throws(Objection) -> String {
        let playbook = try playbookInForce(name)
        guard let rollout = playbook.rollout else { throw Objection("playbook \(name) has no rollout: its mode is set in its file, or with riposte mode set") }
        let now = surroundings.now()
        let (index, obstacles) = state.withLock { interior in
            (interior.state.rollouts.index(of: name, rollout), interior.state.rollouts.obstacles(name, rollout, at: now).texts)
        }
        guard obstacles.isEmpty else { throw Objection("playbook \(name) stays in stage \(index + 1): \(obstacles.joined(separator: "; "))") }
        let next = rollout.stages[index + 1]
        let isWider = next.mode == .enforce && rollout.stages[index].mode < .enforce && playbook.steps.contains(where: destroys)
        if isWider, reason?.isEmpty ?? true { throw Objection("playbook \(name) does what cannot be taken back: to let it enforce, give a reason") }
        try writeSteering(record(of: playbook, rollout, to: index + 1, "promoted", actor, reason), widens: isWider ? playbook : nil, isDryRun: isDryRun)
        return "stage \(index + 2) of \(rollout.stages.count): \(next.text)"
    }

    /// What a person says of an alert that was answered.
    package enum Verdict: String, CaseIterable, Sendable { case benign, real }

    /// Counts for or against the playbooks that answered the alert. Gives their names.
    package func mark(_ alert: Identifier, as verdict: Verdict, actor: AuditRecord.Actor, reason: String? = nil, isDryRun: Bool = false) throws(Objection) -> [String] {
        let (isKnown, names) = state.withLock { ($0.state.rollouts.isKnown(alert), $0.state.rollouts.playbooks(for: alert)) }
        guard isKnown else { throw Objection("no playbook answered an alert \(alert) of late; only such an alert counts for or against one", isOfUnknown: true) }
        guard !isDryRun else { return names }
        var record = AuditRecord(.rollout, at: surroundings.now(), detail: ["state": "marked", "verdict": .text(verdict.rawValue)])
        record.alert = alert
        record.actor = actor
        record.reason = reason
        record.message = "the alert was called \(verdict.rawValue)"
        try write(record)
        return names
    }

    /// The part of all targets that the playbook may act on at this stage; nil: all.
    func share(of playbook: Playbook) -> RolloutShare? {
        state.withLock { $0.state.rollouts.stage(of: playbook)?.share }.map { RolloutShare(playbook: playbook.name, hundredths: $0.hundredths, beside: $0.beside) }
    }

    private func move(
        _ playbook: Playbook, _ rollout: Rollout, to stage: Int, _ what: String, _ actor: AuditRecord.Actor, _ reason: String?
    ) throws(Objection) {
        try write(record(of: playbook, rollout, to: stage, what, actor, reason))
    }

    private func record(
        of playbook: Playbook, _ rollout: Rollout, to stage: Int, _ what: String, _ actor: AuditRecord.Actor, _ reason: String?
    ) -> AuditRecord {
        var record = AuditRecord(
            .rollout, at: surroundings.now(), detail: ["state": .text(what), "stage": .integer(Int64(stage)), "stages": .text(rollout.definition)])
        record.playbook = playbook.name
        record.mode = rollout.stages[stage].mode
        record.actor = actor
        record.reason = reason
        record.message = "stage \(stage + 1) of \(rollout.stages.count): \(rollout.stages[stage].text)"
        return record
    }

    private func fallBack(_ playbook: Playbook, _ rollout: Rollout, _ broken: Rollout.Retreat) {
        let stage = state.withLock { $0.state.rollouts.index(of: playbook.name, rollout) }
        try? move(playbook, rollout, to: stage, "fell_back", AuditRecord.Actor(.agent, name: "rollout"), broken.text)
    }

    /// After a record that counts against a playbook: it may have to go back. Until that is written, it is treated as if it had.
    func followRollouts(_ record: AuditRecord) {
        switch record.kind {
        case .brake: break
        case .outcome: guard record.actor?.kind == .person || record.failure == .declined else { return }
        case .rollout: guard record.detail.text("state") == "marked" else { return }
        default: return
        }
        for playbook in playbooks.playbooks {
            guard let rollout = playbook.rollout else { continue }
            if let broken = state.withLock({ $0.state.rollouts.isThrownBack(playbook.name, rollout) }) { fallBack(playbook, rollout, broken) }
        }
    }

    /// Moves playbooks on whose next stage needs no person.
    static let rolloutChore = Chore(
        next: { engine in engine.automaticStages().map(\.due).min() },
        perform: { engine, now in
            for entry in engine.automaticStages() where entry.due <= now {
                let (playbook, rollout) = (entry.playbook, entry.rollout)
                do throws(Objection) {
                    try engine.move(playbook, rollout, to: entry.stage, "advanced", AuditRecord.Actor(.timer, name: "rollout"), nil)
                } catch { engine.restBookkeeping() }
            }
        })

    private func automaticStages() -> [(playbook: Playbook, rollout: Rollout, stage: Int, due: Timestamp)] {
        let now = surroundings.now()
        let rollouts = state.withLock { $0.state.rollouts }
        return playbooks.playbooks.compactMap { playbook in
            guard let rollout = playbook.rollout else { return nil }
            let next = rollouts.index(of: playbook.name, rollout) + 1
            guard rollout.stages.indices.contains(next), rollout.stages[next].isAutomatic else { return nil }
            let (obstacles, due) = rollouts.obstacles(playbook.name, rollout, at: max(now, rollouts.obstacles(playbook.name, rollout, at: now).due ?? now))
            guard obstacles.isEmpty, let due else { return nil }
            return (playbook, rollout, next, notBefore(due))
        }
    }
}
