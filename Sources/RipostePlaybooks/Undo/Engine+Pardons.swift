package import RiposteCore

extension Engine {
    /// From the moment a person has let a target go, nothing that happens by itself may touch it for a while.
    func mindPardon(of plan: Plan, _ order: Order) throws(ActionError) {
        guard order.actor.kind == .playbook, order.undoes == nil, !catalogue.releases.contains(plan.action) else { return }
        let (now, uptime) = (surroundings.now(), surroundings.uptime())
        let pardon = state.withLock { interior in
            interior.isOver(.pardon(plan.target.key), at: uptime) ? nil : interior.state.pardons.pardon(of: plan.target, at: now)
        }
        guard let pardon else { return }
        throw ActionError(
            .pardoned, "\(plan.action) of \(plan.target.summary)",
            "\(pardon.actor.name.escapedForDisplay) let it go at \(pardon.since), and until \(pardon.until) only a person may take it again",
            remedy: "riposte pardon lift \(plan.target.reference)")
    }

    /// Puts on record that a target was let go by a person. Written after the deed and before its outcome, so that no crash leaves a release without it.
    package func pardon(_ target: Target, by actor: AuditRecord.Actor, reason: String?, undoing action: Identifier? = nil) {
        guard configuration.undo.pardon > .zero else { return }
        let now = surroundings.now()
        let until = now + configuration.undo.pardon
        var record = AuditRecord(.brake, at: now, detail: ["pardon": ["state": "granted", "until": .text("\(until)")]])
        record.actor = actor
        record.target = target
        record.reason = reason
        record.undoes = action
        record.message = "nothing automatic may touch \(target.summary) until \(until)"
        // Where the journal takes nothing, the failure is counted there; the release itself must not fail for it.
        try? self.record(record)
    }

    /// Those of a person's releases that are still protected, the newest first.
    package var pardons: [Pardons.Pardon] {
        let (now, uptime) = (surroundings.now(), surroundings.uptime())
        return state.withLock { interior in interior.state.pardons.inForce(at: now).filter { !interior.isOver(.pardon($0.target.key), at: uptime) } }
    }

    /// Lets playbooks act on these targets again. Gives those that it lifted.
    package func liftPardons(of reference: String, by actor: AuditRecord.Actor, reason: String?) throws -> [Pardons.Pardon] {
        let lifted = pardons.filter { $0.target.isMeant(by: reference) }
        for pardon in lifted {
            var record = AuditRecord(.brake, at: surroundings.now(), detail: ["pardon": ["state": "lifted"]])
            record.actor = actor
            record.target = pardon.target
            record.reason = reason
            record.message = "playbooks may act on \(pardon.target.summary) again"
            try self.record(record)
        }
        return lifted
    }
}
