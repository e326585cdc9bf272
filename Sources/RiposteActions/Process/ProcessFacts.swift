package import RiposteCore

/// What `riposte process show` tells.
package enum ProcessFacts {
    package static func json(of target: Target) -> JSONObject {
        var facts = target.json.object ?? JSONObject()
        if case .process(let identity) = target, let stat = ProcFS.stat(identity.pid), stat.startTicks == identity.startTicks {
            facts.members += ProcessEvidence.facts(of: stat).members
        }
        return facts
    }
}
