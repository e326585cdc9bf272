package import RiposteCore
internal import Synchronization

extension Engine {
    /// Every mode in force and who decided it, with each playbook's place in its roll-out and how often it was wrong: what `riposte mode` and `status` show.
    package var modesInForce: JSON {
        let (modes, rollouts) = (modesSet, snapshot.rollouts)
        let now = surroundings.now()
        let agent = agentMode
        let set = modes.sorted.filter { modes.setting(for: $0.scope, at: now) != nil }
        return [
            "agent": .object(members(of: agent)), "ceiling": .text(configuration.effectiveCeiling.rawValue),
            "set": .array(set.map { ModeTable.json($0.scope, $0.setting) }), "proposed": .array(proposals.map(\.json)),
            "playbooks": .array(playbooks.playbooks.map { json(of: $0, rollouts, now) }),
        ]
    }

    private func members(of verdict: ModeVerdict) -> JSONObject {
        var object: JSONObject = ["mode": .text(verdict.mode.rawValue)]
        object.append("because", verdict.because.map(JSON.text))
        return object
    }

    private func json(of playbook: Playbook, _ rollouts: Rollouts, _ now: Timestamp) -> JSON {
        var object = members(of: mode(of: playbook))
        object.members.insert(.init(key: "name", value: .text(playbook.name)), at: 0)
        if !playbook.isEnabled { object.append("enabled", false) }
        let track = rollouts.track(of: playbook.name)
        object.append("runs", .integer(Int64(track.total.runs)))
        object.append("false_positives", .integer(Int64(track.total.falsePositives)))
        if let rollout = playbook.rollout {
            let index = rollouts.index(of: playbook.name, rollout)
            object.append("stage", .integer(Int64(index + 1)))
            object.append("stages", .integer(Int64(rollout.stages.count)))
            object.append("stage_is", .text(rollout.stages[index].text))
            object.append("stage_since", track.since.map { .text("\($0)") })
            if index + 1 < rollout.stages.count {
                let obstacles = rollouts.obstacles(playbook.name, rollout, at: now).texts
                object.append("next_stage", .text(rollout.stages[index + 1].text))
                object.append("waits_for", .array((obstacles.isEmpty ? ["a person: riposte playbook promote \(playbook.name)"] : obstacles).map(JSON.text)))
            }
        }
        return .object(object)
    }
}
