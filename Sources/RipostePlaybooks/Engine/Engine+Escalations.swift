internal import Logging
internal import RiposteCore
internal import Synchronization

extension Engine {
    /// What a step says of going further, with the alert's values filled in.
    func follower(of step: Step, _ playbook: Playbook, _ alert: Alert) throws(ActionError) -> Order.Follower? {
        guard let escalation = step.escalation, let description = catalogue[escalation.action]?.description else { return nil }
        let next = Step(
            name: "\(step.name).escalation", action: escalation.action,
            parameters: escalation.parameters.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }, onFailure: .stop)
        let request = try next.request(for: alert, description: description, at: surroundings.now())
        return Order.Follower(
            action: escalation.action, parameters: request.parameters.json, after: escalation.after, playbookDigest: playbook.digest, isModeGiven: configuration.isByHand,
            intake: alert.arrival.intake)
    }

    /// Puts the stronger action that is owed after the deed `id` to people, as a question whose silence is a yes. A yes does it at once, a no drops it,
    /// and taking back the deed withdraws it.
    func putEscalation(of id: Identifier) async {
        guard let intent = snapshot.approvals.owed[id], let follower = intent.detail["escalation"].flatMap(Order.Follower.init(json:)), let target = intent.target,
            let playbook = intent.playbook, let step = intent.step
        else { return }
        var order = Order(
            id: surroundings.newIdentifier(), actor: AuditRecord.Actor(.playbook, name: playbook), action: follower.action, claim: .proved(target),
            parameters: follower.parameters, mode: .ask)
        order.cause = Order.Cause(run: nil, alert: intent.alert, playbook: playbook, step: "\(step).escalation")
        do throws(ActionError) {
            guard let action = catalogue[follower.action], let parameters = try? Parameters(checking: follower.parameters, for: action.description) else {
                throw ActionError(.unsupported, "look up \(follower.action)", "this agent has no such action")
            }
            let current = playbooks.playbooks.first { $0.name == playbook && $0.digest == follower.playbookDigest }
            guard current != nil || follower.isModeGiven else {
                throw ActionError(.withdrawn, "escalate", "playbook \(playbook) is no longer in force as it was")
            }
            order.budget = current?.budget
            let plan = try await action.plan(ActionRequest(claim: .proved(target), parameters: parameters, time: surroundings.now()))
            var terms = configuration.approvals.terms([current?.approval], for: action.description)
            // Counted from the deed, not from now: a restart in between gains nobody time, nor does a clock that was set back.
            terms.expires = min(follower.after, max(.milliseconds(1), follower.after - (surroundings.now() - intent.time)))
            terms.onExpiry = .perform
            let question = Order.Question(
                terms: terms, mayEnforce: true, isModeGiven: follower.isModeGiven, playbookDigest: follower.playbookDigest, workload: target.summary,
                intake: follower.intake)
            let answer = state.questions.withLock { _ in
                snapshot.approvals.owed[id] == nil ? nil : put(plan, order, question, .escalation, escalates: id)
            }
            switch answer {
            case nil, .opened, .joined: break
            case .overflow(let open, let told):
                if let told { report(.crowdedOut(told)) }
                throw ActionError(.withdrawn, "escalate", "\(open) questions are open already")
            case .failed:
                let uptime = surroundings.uptime()
                state.withLock { $0.approvals.retries[id] = uptime + ApprovalWork.pause }
            }
        } catch {
            drop(id, order, error)
        }
    }

    /// There is nothing to follow; on record, so that it is not owed any more.
    private func drop(_ id: Identifier, _ order: Order, _ error: ActionError) {
        var record = AuditRecord(.approval, at: surroundings.now(), id: id, detail: ["state": .text(ApprovalState.withdrawn.rawValue), "cause": "gone"])
        record.actor = AuditRecord.Actor(.agent, name: "approvals")
        record.playbook = order.cause?.playbook
        record.step = order.cause?.step
        record.action = order.action.rawValue
        record.alert = order.cause?.alert
        record.message = "not escalated: \(error.message)"
        do { try self.record(record) } catch {
            let uptime = surroundings.uptime()
            state.withLock { $0.approvals.retries[id] = uptime + ApprovalWork.pause }
        }
    }
}
