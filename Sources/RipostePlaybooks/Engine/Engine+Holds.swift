internal import Logging
internal import RiposteCore

extension Engine {
    /// How much longer than its question a hold stays in force at most, should nobody let it go.
    private static let grace = Duration.seconds(300)

    /// What is done at once while people decide: an act like any other, through the same door, with records and a time of its own.
    ///
    /// `isPlannedOnly`: the mode is not enforce even without the question, so the hold is only looked at.
    func holdMeanwhile(_ plan: Identifier, for known: Alert?, isPlannedOnly: Bool = false) async {
        // Who takes up the questions after a start may meet one that was put since.
        guard state.withLock({ $0.approvals.holding.insert(plan).inserted }) else { return }
        defer { state.withLock { _ = $0.approvals.holding.remove(plan) } }
        guard let request = snapshot.approvals.request(holding: plan), let member = request.members.first(where: { $0.id == plan }),
            let playbook = member.record.playbook, let step = member.record.step,
            let alert = known ?? member.record.alert.flatMap({ snapshot.alerts[$0]?.record }).flatMap(Self.alert(in:))
        else { return }
        let action = member.holdAction ?? (isPlannedOnly ? playbooks.playbooks.first { $0.name == playbook }?.steps.first { $0.name == step }?.hold : nil)
        guard let action, isPlannedOnly || (request.isWaiting && member.hold == .wanted) else { return }
        // Of an earlier life it is not known whether it was done: recovery asks the world, and says so.
        guard member.holdID.map({ snapshot.openIntents[$0] == nil }) ?? true else { return }
        // Since the question was put the mode may be another one.
        let problem = isPlannedOnly ? nil : standingProblem(member, of: request, needs: .enforce)
        var order = Order(
            id: member.holdID ?? surroundings.newIdentifier(), actor: AuditRecord.Actor(.playbook, name: playbook), action: action, claim: .host,
            mode: isPlannedOnly || problem != nil ? .observe : .enforce, reason: "held while somebody decides about \(request.id)")
        order.modeBecause = problem
        order.cause = Order.Cause(run: nil, alert: alert.id, playbook: playbook, step: "\(step).hold")
        do throws(ActionError) { try aim(&order, member, alert) } catch {
            var draft = draft(of: order)
            draft.fail(error)
            _ = settle(draft)
            return
        }
        order.budget = playbooks.playbooks.first { $0.name == playbook }?.budget
        order.undoAfter = max(.seconds(1), min(request.terms.expires, request.deadline - surroundings.now()) + Self.grace)
        let result = await perform(order)
        // The answer was faster.
        guard result.undo?.available == true, snapshot.approvals.request(holding: plan) == nil else { return }
        await letGo(result.id)
    }

    /// The same target where it is of the hold's kind, else what the alert says; of the step's parameters those that the hold has too.
    private func aim(_ order: inout Order, _ member: ApprovalRequest.Member, _ alert: Alert) throws(ActionError) {
        guard let description = catalogue[order.action]?.description else { throw ActionError(.unsupported, "look up \(order.action)", "this agent has no such action") }
        let given = member.record.detail["plan"]?["parameters"]?.object ?? JSONObject()
        order.parameters = JSONObject(given.members.filter { member in description.parameters.contains { ByteText($0.name) == member.key && $0.name != "for" } })
        if let target = member.target, target.kind == description.target {
            order.claim = .proved(target)
        } else {
            let parameters = try? Parameters(checking: order.parameters, for: description)
            order.claim = try TargetClaim(alert: alert, kind: description.target, parameters: parameters ?? Parameters())
        }
    }

    /// What was held for questions that are settled goes on; where the deed has ended it, there is nothing left to let go. What would not let go is tried again in
    /// its own time.
    func releaseHolds() async {
        let uptime = surroundings.uptime()
        let loose = state.withLock { interior in interior.state.approvals.looseHolds.filter { interior.approvals.retries[$0].map { $0 <= uptime } ?? true } }
        for hold in loose.sorted() { await letGo(hold) }
    }

    /// Whatever the attempt came to, what is held still is tried again after a pause that grows: a guard that only lets it be planned, or puts it to people, says the
    /// same again for as long as it stands.
    func letGo(_ hold: Identifier) async {
        _ = await undo(hold, actor: AuditRecord.Actor(.agent, name: "approvals"), reason: "the question is settled")
        let uptime = surroundings.uptime()
        state.withLock { interior in
            let loose = interior.state.approvals.looseHolds
            interior.approvals.holdPauses = interior.approvals.holdPauses.filter { loose.contains($0.key) }
            guard loose.contains(hold) else {
                interior.approvals.retries[hold] = nil
                return
            }
            let pause = min(interior.approvals.holdPauses[hold].map { $0 * 2 } ?? ApprovalWork.pause, ApprovalWork.longestPause)
            interior.approvals.holdPauses[hold] = pause
            interior.approvals.retries[hold] = uptime + pause
        }
    }
}

extension Target {
    package var kind: ActionDescription.TargetKind {
        switch self {
        case .process: .process
        case .container: .container
        case .pod: .pod
        case .address: .address
        case .host: .host
        }
    }
}
