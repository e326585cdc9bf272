internal import Logging
package import RiposteCore
internal import Synchronization

extension Engine {
    // MARK: - Time

    /// Questions whose time is over, and all that a crash or a failing journal left half done: answers without outcome, holds, escalations.
    static let approvalChore = Chore(
        next: { engine in engine.approvalTimes().values.min() },
        perform: { engine, now in
            for (errand, time) in engine.approvalTimes().sorted(by: { $0.key < $1.key }) where time <= now { engine.run(errand) }
        })

    private enum Errand: Hashable, Comparable {
        case expire(Identifier)
        case conclude(Identifier)
        case letGo(Identifier)
        case escalate(Identifier)
    }

    private func approvalTimes() -> [Errand: Timestamp] {
        let (now, uptime) = (surroundings.now(), surroundings.uptime())
        return state.withLock { interior in
            let (book, work) = (interior.state.approvals, interior.approvals)
            func retry(_ id: Identifier) -> Timestamp { work.retries[id].map { Self.time(now, in: $0 - uptime) } ?? Timestamp(nanoseconds: 0) }
            var times: [Errand: Timestamp] = [:]
            for request in book.requests.values where !work.concluding.contains(request.id) {
                if request.isWaiting {
                    times[.expire(request.id)] = max(deadline(of: request, interior, at: now, uptime: uptime), retry(request.id))
                } else if request.members.contains(where: { !$0.isAnnounced }) {
                    times[.conclude(request.id)] = retry(request.id)
                }
            }
            for hold in book.looseHolds where !interior.undosUnderWay.contains(hold) && !work.concluding.contains(hold) { times[.letGo(hold)] = retry(hold) }
            for deed in book.owed.keys where !work.concluding.contains(deed) { times[.escalate(deed)] = retry(deed) }
            return times
        }
    }

    /// Sets it going, and does not wait: a slow target must not hold up what else falls due.
    private func run(_ errand: Errand) {
        switch errand {
        case .expire(let id):
            guard expire(id) else { return }
            inBackground { await self.conclude(id) }
        case .conclude(let id):
            guard claim(id) else { return }
            inBackground { await self.conclude(id) }
        case .letGo(let id): exclusively(id) { await self.letGo(id) }
        case .escalate(let id): exclusively(id) { await self.putEscalation(of: id) }
        }
    }

    /// Where the agent is stopping, the journal keeps it for the next one.
    private func inBackground(_ body: @escaping @Sendable () async -> Void) {
        guard begin() else { return }
        surroundings.spawn {
            await body()
            self.end()
            self.timeChanged.ring()
        }
    }

    /// `id` counts as taken care of meanwhile, and is looked at again in a while if that did not help.
    private func exclusively(_ id: Identifier, _ body: @escaping @Sendable () async -> Void) {
        let uptime = surroundings.uptime()
        let isFree = state.withLock { interior in
            interior.approvals.retries[id] = uptime + ApprovalWork.pause
            return interior.approvals.concluding.insert(id).inserted
        }
        guard isFree else { return }
        inBackground {
            await body()
            self.state.withLock { interior in
                interior.approvals.concluding.remove(id)
                let isOpen = interior.state.approvals.owed[id] != nil || interior.state.approvals.looseHolds.contains(id)
                if !isOpen { interior.approvals.retries[id] = nil }
            }
        }
    }

    /// On record, and to be concluded; false where it is not due, or could not be written down.
    private func expire(_ id: Identifier) -> Bool {
        state.questions.withLock { _ in
            let (now, uptime) = (surroundings.now(), surroundings.uptime())
            guard let request = snapshot.approvals.requests[id], request.isOverdue(at: time(of: id)) else { return false }
            let record = AuditRecord(.expired, of: request, by: AuditRecord.Actor(.timer, name: "approval.expires"), at: now)
            do { try self.record(record, claiming: id) } catch {
                state.withLock { $0.approvals.retries[id] = uptime + ApprovalWork.pause }
                return false
            }
            return true
        }
    }

    // MARK: - Withdrawal

    /// On record, where the question was still open; then it is to be concluded.
    @discardableResult
    private func withdraw(_ id: Identifier, _ cause: ApprovalRequest.Withdrawal, _ why: String, by actor: AuditRecord.Actor, reason: String? = nil) -> Bool {
        state.questions.withLock { _ in
            guard let request = snapshot.approvals.requests[id], request.isWaiting else { return false }
            var record = AuditRecord(.withdrawn, of: request, by: actor, at: surroundings.now(), reason: reason)
            record.message = why
            record.detail.append("cause", .text(cause.rawValue))
            do { try self.record(record, claiming: id) } catch { return false }
            return true
        }
    }

    /// Taking back what has not been done: the question that holds it. Nil where none does.
    func withdraw(holding plan: Identifier, by actor: AuditRecord.Actor, mode: Mode, reason: String?) async -> ActionResult? {
        guard let request = snapshot.approvals.request(holding: plan), request.isWaiting else { return nil }
        var result = ActionResult(
            id: plan, playbook: request.opening.playbook, step: request.opening.step, action: "undo", target: request.opening.target, outcome: .planned,
            dryRun: mode == .observe, detail: "would withdraw the question; nothing has been done yet")
        guard mode != .observe else { return result }
        guard withdraw(request.id, .undone, "withdrawn by \(actor.name)", by: actor, reason: reason) else { return nil }
        await conclude(request.id)
        (result.outcome, result.detail) = (.undone, "the question is withdrawn; nothing had been done")
        return result
    }

    /// Playbooks that are no longer as they were when people were asked: nobody shall say yes to what would not be asked today.
    func withdrawQuestions(of before: PlaybookSet, thatChangedIn after: PlaybookSet) {
        let inForce = Dictionary(after.playbooks.map { ($0.name, $0.digest) }, uniquingKeysWith: { first, _ in first })
        let changed = before.playbooks.filter { inForce[$0.name] != $0.digest }.map(\.digest)
        guard !changed.isEmpty else { return }
        withdraw { request in request.playbookDigest.map(changed.contains) ?? false }
    }

    /// After a restart: questions of playbooks that changed meanwhile are withdrawn, holds that were not begun are, and what was decided is brought to its outcome.
    func takeUpQuestions() async {
        let inForce = Set(playbooks.playbooks.map(\.digest))
        withdraw { request in request.playbookDigest.map { !inForce.contains($0) } ?? false }
        for request in snapshot.approvals.requests.values.sorted(by: { $0.id < $1.id }) {
            if !request.isWaiting, claim(request.id) { inBackground { await self.conclude(request.id) } }
            for plan in request.members where request.isWaiting && plan.hold == .wanted { if let id = plan.id { inBackground { await self.holdMeanwhile(id, for: nil) } } }
        }
    }

    private func withdraw(where holds: (ApprovalRequest) -> Bool) {
        for request in snapshot.approvals.requests.values.sorted(by: { $0.id < $1.id }) where request.isWaiting && holds(request) {
            let isWithdrawn = withdraw(
                request.id, .playbook, "playbook \(request.opening.playbook ?? "") was changed or removed", by: AuditRecord.Actor(.agent, name: "approvals"))
            if isWithdrawn { inBackground { await self.conclude(request.id) } }
        }
    }

    /// A stronger deed on the same target leaves nothing to ask about a weaker one.
    func withdrawWeaker(than result: ActionResult) {
        guard let key = result.target?.key, let impact = catalogue[ActionName(rawValue: result.action)]?.description.impact else { return }
        for request in snapshot.approvals.requests.values.sorted(by: { $0.id < $1.id }) where request.isWaiting && request.opening.target?.key == key {
            guard let weaker = request.opening.action.flatMap({ catalogue[ActionName(rawValue: $0)]?.description.impact }), weaker < impact, request.members.count == 1 else {
                continue
            }
            let isWithdrawn = withdraw(
                request.id, .superseded, "\(result.action) (\(result.id)) has done more to the same target", by: AuditRecord.Actor(.agent, name: "approvals"))
            if isWithdrawn { inBackground { await self.conclude(request.id) } }
        }
    }

    // MARK: - For people

    /// The open questions, oldest first, after a look at whether their targets are still there: what has ended is not asked about any more.
    package func openQuestions() async -> [ApprovalView] {
        for request in snapshot.approvals.requests.values.sorted(by: { $0.id < $1.id }) where request.isWaiting {
            if await targetsAreGone(request), withdraw(request.id, .gone, "the target has ended", by: AuditRecord.Actor(.agent, name: "approvals")) {
                await conclude(request.id)
            }
        }
        return snapshot.approvals.requests.values.sorted { $0.id < $1.id }.map(view)
    }

    /// The same with nothing written down, for whoever only looks: questions about what has ended are left out.
    package func questionsAsTheyStand() async -> [ApprovalView] {
        var views: [ApprovalView] = []
        for request in snapshot.approvals.requests.values.sorted(by: { $0.id < $1.id }) {
            if request.isWaiting, await targetsAreGone(request) { continue }
            views.append(view(request))
        }
        return views
    }

    /// The question that holds a plan, looked at in the same way.
    package func openQuestion(_ plan: Identifier) async -> ApprovalView? { await openQuestions().first { view in view.plans.contains { $0.id == plan } || view.id == plan } }

    private func targetsAreGone(_ request: ApprovalRequest) async -> Bool {
        for member in request.members {
            guard let target = member.target, let name = member.record.action, let action = catalogue[ActionName(rawValue: name)],
                let parameters = try? Parameters(checking: member.record.detail["plan"]?["parameters"]?.object ?? JSONObject(), for: action.description)
            else { return false }
            do throws(ActionError) {
                _ = try await action.plan(ActionRequest(claim: .proved(target), parameters: parameters, token: member.record.detail["token"]?.object, time: surroundings.now()))
                return false
            } catch {
                guard error.outcome == .gone else { return false }
            }
        }
        return true
    }

    private func view(_ request: ApprovalRequest) -> ApprovalView {
        let state = snapshot
        let name = request.opening.playbook
        let playbook = playbooks.playbooks.first { $0.name == name && $0.digest == request.playbookDigest }
        return ApprovalView(
            request, playbook, impact: request.opening.action.flatMap { catalogue[ActionName(rawValue: $0)]?.description.impact }, budgetLeft: budgetLeft(playbook, state),
            before: name.flatMap { state.approvals.tallies[$0] } ?? ApprovalBook.Tally())
    }

    private func budgetLeft(_ playbook: Playbook?, _ state: EngineState) -> Int? {
        guard let playbook, let budget = playbook.budget, let actions = budget.actions else { return nil }
        let (bound, uptime) = (BoundBudget(scope: .playbook(playbook.name), budget: budget), surroundings.uptime())
        return self.state.withLock { max(0, actions - $0.book.use(of: bound, at: uptime).actions) }
    }
}
