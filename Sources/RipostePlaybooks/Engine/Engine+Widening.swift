internal import RiposteCore
internal import Synchronization

/// The second person: where the configuration asks for one, nobody alone lets something that destroys act by itself.
extension Engine {
    /// What two persons are asked for and one has said, the oldest first.
    package var proposals: [Widenings.Proposal] { snapshot.widenings.waiting(at: surroundings.now()) }

    /// Writes down a person's change of modes, or, where it needs a second person, only that the first one wants it: then that is thrown.
    func writeSteering(_ record: AuditRecord, widens playbook: Playbook?, isDryRun: Bool) throws(Objection) {
        guard let playbook, configuration.approvals.asksToWiden, let actor = record.actor, actor.kind == .person else {
            if !isDryRun { try write(record) }
            return
        }
        let (now, words) = (surroundings.now(), record.message ?? "")
        let wish = record.kind == .rollout ? "playbook \(playbook.name): \(words)" : words
        let first = snapshot.widenings.proposals[wish].flatMap { $0.until > now ? $0 : nil }
        if let first, !ApprovalRequest.Voice(first.actor).isOf(actor) {
            guard !isDryRun else { return }
            var record = record
            record.detail.append("wish", .text(wish))
            record.detail.append("proposed_by", first.actor.json)
            return try write(record)
        }
        let why = "it lets playbook \(playbook.name) do what cannot be taken back, unasked"
        if let first { throw Objection("\(why): somebody else than \(actor.name) must give the same command until \(first.until.toTheSecond)", waitsFor: first) }
        let proposal = Widenings.Proposal(wish: wish, actor: actor, reason: record.reason, since: now, until: now + configuration.approvals.terms.expires)
        if !isDryRun { try write(self.proposal(proposal, record)) }
        throw Objection("\(why): somebody else must give the same command until \(proposal.until.toTheSecond)", waitsFor: proposal)
    }

    private func proposal(_ proposal: Widenings.Proposal, _ wanted: AuditRecord) -> AuditRecord {
        var record = AuditRecord(wanted.kind, at: proposal.since, detail: ["state": "proposed"])
        record.detail.append("scope", wanted.detail["scope"])
        record.detail.append("source", wanted.detail["source"])
        record.detail.append("wish", .text(proposal.wish))
        record.detail.append("expires", .text("\(proposal.until)"))
        (record.playbook, record.mode, record.actor, record.reason) = (wanted.playbook, wanted.mode, wanted.actor, wanted.reason)
        record.message = "waits for a second person: \(proposal.wish)"
        return record
    }

    /// The first playbook that destroys, and that this change of modes lets act where it did not.
    func widened(by record: AuditRecord, _ scope: ModeTable.Scope) -> Playbook? {
        let now = surroundings.now()
        let before = modesSet
        var after = before
        after.apply(record)
        func mayAct(_ playbook: Playbook, _ modes: ModeTable) -> Bool {
            var mode = mode(of: playbook, modes, now).mode
            if case .source = scope, let setting = modes.setting(for: scope, at: now) { mode = min(mode, setting.mode) }
            return mode == .enforce
        }
        return playbooks.playbooks.first { $0.steps.contains(where: destroys) && !mayAct($0, before) && mayAct($0, after) }
    }
}
