internal import Logging
package import RiposteCore
internal import Synchronization

/// What of the open questions is under way in this process, and not in the journal.
struct ApprovalWork {
    /// Questions that are being concluded.
    var concluding: Set<Identifier> = []
    /// At which ``Surroundings/uptime`` what could not be concluded, or put, is tried again.
    var retries: [Identifier: Duration] = [:]
    /// How long each hold that would not let go is left alone before the next attempt.
    var holdPauses: [Identifier: Duration] = [:]
    /// Runs that somebody carries on; true: once more after that.
    var runs: [Identifier: Bool] = [:]
    /// Open runs for alerts that a person fed in, with the engine whose playbooks they are of: it carries them on.
    var fedIn: [Identifier: Engine] = [:]
    /// Plans whose hold is being begun.
    var holding: Set<Identifier> = []
    /// Plans that were only observed for lack of room.
    var overflowed = 0

    static let pause = Duration.seconds(10)
    static let longestPause = Duration.seconds(300)
}

extension Engine {
    /// What an answer came to.
    package struct Answered: Sendable {
        /// The question is settled by this very answer.
        package var isSettled: Bool
        /// One per plan that was settled, else one that says where the question stands.
        package var results: [ActionResult]

        package init(isSettled: Bool, results: [ActionResult]) {
            self.isSettled = isSettled
            self.results = results
        }
    }

    /// A person's answer to the question that holds plan `id`.
    ///
    /// At a yes that is enough each plan is looked at anew and goes through the whole door: identity, guards, budget, mode. It is performed only if it is
    /// still the plan that was shown. `pardons`: with a no, playbooks leave the targets alone for a while, as after an undo by hand.
    package func answer(
        _ answer: ApprovalRequest.Answer, _ id: Identifier, by person: Person, seen: Int? = nil, reason: String? = nil, pardons: Bool = false
    ) async -> Answered {
        guard begin() else { return Answered(isSettled: false, results: [reply(id, nil, .failed, "the agent is stopping")]) }
        defer { end() }
        let (request, standing) = state.questions.withLock { _ in take(answer, id, by: person, seen: seen, reason: reason, pardons: pardons) }
        switch standing {
        case .settled(let isByAnswer):
            guard let request else { return Answered(isSettled: false, results: []) }
            return Answered(isSettled: isByAnswer, results: await conclude(request.id))
        case .open(let outcome, let words): return Answered(isSettled: false, results: [reply(id, request, outcome, words)])
        }
    }

    private enum Standing {
        /// What follows is to be done; false: from the end of the time, not from the answer.
        case settled(byAnswer: Bool)
        case open(Outcome, String)
    }

    /// Within ``SharedInterior/questions``.
    private func take(
        _ answer: ApprovalRequest.Answer, _ id: Identifier, by person: Person, seen: Int?, reason: String?, pardons: Bool
    ) -> (ApprovalRequest?, Standing) {
        guard let request = snapshot.approvals.request(holding: id) else { return (nil, .open(.gone, "no question is open under this id")) }
        if pardons, configuration.undo.pardon <= .zero { return (request, .open(.refused, "undo.pardon is off in the configuration: deny it without a pardon")) }
        let now = surroundings.now()
        func write(_ state: ApprovalState, _ message: String? = nil, _ standing: Standing) -> (ApprovalRequest?, Standing) {
            var record = AuditRecord(state, of: request, by: person.actor, at: now, reason: reason)
            record.message = message
            var settles = false
            if case .settled = standing { settles = true }
            do { try self.record(record, claiming: settles ? request.id : nil) } catch {
                return (request, .open(.failed, "the answer is not on record, and does not count: \(error)"))
            }
            return (request, standing)
        }
        switch request.ruling(on: answer, by: person, seen: seen, at: time(of: request.id)) {
        case .grant: return write(.granted, nil, .settled(byAnswer: true))
        case .voice(let missing):
            return write(.voted, nil, .open(.pending, "\(request.voices.count + 1) of \(request.terms.quorum) have approved; \(missing) more must"))
        case .deny:
            // Before the no: a crash in between leaves the question open, and nobody unprotected of whom it was said.
            if pardons { for target in request.members.compactMap(\.target) { pardon(target, by: person.actor, reason: reason) } }
            return write(.denied, nil, .settled(byAnswer: true))
        case .expire: return write(.expired, "an answer came too late: the time was over at \(request.deadline.toTheSecond)", .settled(byAnswer: false))
        case .refuse(let why): return write(.refused, why, .open(.refused, why))
        }
    }

    private func reply(_ id: Identifier, _ request: ApprovalRequest?, _ outcome: Outcome, _ words: String) -> ActionResult {
        let isProblem = outcome != .pending
        return ActionResult(
            id: id, playbook: request?.opening.playbook, step: request?.opening.step, action: request?.opening.action ?? "approval", target: request?.opening.target,
            outcome: outcome, dryRun: false, reason: isProblem ? words : nil, detail: isProblem ? nil : words)
    }

    // MARK: - What follows from an answer

    /// True for the one who may ``conclude(_:)``.
    func claim(_ question: Identifier) -> Bool { state.withLock { $0.approvals.concluding.insert(question).inserted } }

    /// Writes the record that settles a question, which is the writer's to conclude from before that on: time must not be faster.
    func record(_ record: AuditRecord, claiming question: Identifier?) throws {
        guard let question else { return try self.record(record) }
        _ = claim(question)
        do { try self.record(record) } catch {
            state.withLock { _ = $0.approvals.concluding.remove(question) }
            throw error
        }
    }

    /// Brings every plan of a question that is decided to its outcome, lets go what was held, and carries the runs on. For the one who has claimed it.
    @discardableResult
    func conclude(_ id: Identifier) async -> [ActionResult] {
        var results: [ActionResult] = []
        // One after the other, as they were asked. What has an intent on record is not begun a second time.
        while let request = snapshot.approvals.requests[id], !request.isWaiting,
            let member = request.members.first(where: { member in !member.isAnnounced && !results.contains { $0.id == member.id } })
        {
            results.append(await conclude(member, of: request))
            await releaseHolds()
            if let run = member.record.run { carryOn(run, for: request) }
        }
        let uptime = surroundings.uptime()
        state.withLock { interior in
            interior.approvals.concluding.remove(id)
            interior.approvals.retries[id] = interior.state.approvals.requests[id] == nil ? nil : uptime + ApprovalWork.pause
        }
        return results
    }

    private func conclude(_ member: ApprovalRequest.Member, of request: ApprovalRequest) async -> ActionResult {
        switch request.phase {
        case .granted(let voices, _):
            if let problem = standingProblem(member, of: request, needs: .ask) { return end(member, .fail(.mode, problem)) }
            return await perform(order(for: member, of: request, voices, until: request.deadline))
        case .denied(let name, let reason): return end(member, .fail(.declined, "denied by \(name)" + (reason.map { ": \($0)" } ?? "")))
        case .withdrawn(.gone, let why): return end(member, .end(.gone, why))
        case .withdrawn(_, let why): return end(member, .fail(.withdrawn, why))
        case .expired(let time): return await expire(member, of: request, at: time)
        case .waiting: return end(member, .fail(.unknown, "nobody has answered"))
        }
    }

    /// Nobody answered in time.
    private func expire(_ member: ApprovalRequest.Member, of request: ApprovalRequest, at time: Timestamp) async -> ActionResult {
        let silence = "nobody answered until \(request.deadline.toTheSecond)"
        switch request.terms.onExpiry {
        case .drop: return end(member, .end(.expired, silence))
        case .observe:
            var order = order(for: member, of: request, [], until: nil)
            order.mode = .observe
            order.consent = nil
            return await perform(order)
        case .perform:
            if let problem = whyNotUnasked(member, of: request) { return end(member, .end(.expired, "\(silence); it is not performed by itself, as \(problem)")) }
            return await perform(order(for: member, of: request, [], until: nil))
        }
    }

    /// What forbids to perform, now, a plan that nobody said yes to.
    private func whyNotUnasked(_ member: ApprovalRequest.Member, of request: ApprovalRequest) -> String? {
        let late = surroundings.now() - request.deadline
        let length = request.deadline - request.askedAt
        let impact = request.opening.action.flatMap { catalogue[ActionName(rawValue: $0)]?.description.impact } ?? .destroys
        if !request.mayEnforce(member) { return "the mode was not enforce when it was asked" }
        if request.kind == .plan, impact > .reversible { return "it cannot be taken back" }
        if late > length { return "that is \(late.roundedToSeconds.text) ago" }
        if let origin = request.escalates, snapshot.openUndos[origin] == nil { return "what it follows on is not in force any more" }
        return standingProblem(member, of: request, needs: .enforce)
    }

    /// The mode that is in force now, of the alert's source too, and the playbook: what a person was asked about must still be wanted.
    func standingProblem(_ member: ApprovalRequest.Member, of request: ApprovalRequest, needs least: Mode) -> String? {
        guard !request.facts.isModeGiven, let name = request.opening.playbook else { return nil }
        guard let playbook = playbooks.playbooks.first(where: { $0.name == name && $0.digest == request.playbookDigest }) else {
            return "playbook \(name) is no longer in force as it was"
        }
        // What follows on a step is named after it: `suspend.escalation`.
        let step = playbook.steps.first { $0.name == request.opening.step?.prefix { $0 != "." }.description }
        let verdict = mode(of: playbook)
        if verdict.mode < least { return verdict.because }
        if let share = share(of: playbook), share.beside < least, let target = member.target, !share.includes(target) { return share.words }
        if let source = member.intake.flatMap({ modeSet(forSource: $0) }), source.mode < least { return source.because }
        return step?.mode.flatMap { $0 < least ? "the step's mode is \($0.rawValue)" : nil }
    }

    private enum Ending {
        case end(Outcome, String)
        case fail(FailureClass, String)
    }

    /// An outcome without a deed.
    private func end(_ member: ApprovalRequest.Member, _ ending: Ending) -> ActionResult {
        var draft = draft(of: order(for: member))
        if let plan = plan(of: member) { draft.note(plan) }
        switch ending {
        case .end(let outcome, let words): draft.end(outcome, words)
        case .fail(let failure, let words): draft.fail(ActionError(failure, plan(of: member)?.summary ?? "perform it", words))
        }
        return settle(draft)
    }

    // MARK: - Orders from records

    private func order(for member: ApprovalRequest.Member, of request: ApprovalRequest, _ voices: [ApprovalRequest.Voice], until: Timestamp?) -> Order {
        var order = order(for: member)
        order.consent = Order.Consent(request: request.id, digest: member.digest ?? "", summary: member.summary, voices: voices, until: until)
        return order
    }

    /// The order that was put to people, from its record: it has its id again, and a target that is proved anew.
    private func order(for member: ApprovalRequest.Member) -> Order {
        let record = member.record
        var order = Order(
            id: record.id ?? surroundings.newIdentifier(), actor: record.actor ?? AuditRecord.Actor(.agent, name: "approvals"),
            action: ActionName(rawValue: record.action ?? ""), claim: record.target.map(TargetClaim.proved) ?? .host,
            parameters: record.detail["plan"]?["parameters"]?.object ?? JSONObject(), mode: .enforce, reason: record.reason)
        if let playbook = record.playbook, let step = record.step {
            order.cause = Order.Cause(run: record.run, alert: record.alert, playbook: playbook, step: step)
        }
        order.undoAfter = member.undoAfter
        order.take(originFrom: record)
        order.cooldownValues = record.detail["cooldown"]?.array?.compactMap(\.string)
        let playbook = playbooks.playbooks.first { $0.name == record.playbook }
        order.budget = playbook?.budget ?? member.budget("budget")
        let step = playbook?.steps.first { $0.name == record.step }
        order.stepBudget = step?.budget ?? member.budget("step_budget")
        (order.timeLimit, order.retries, order.retry) = (step?.timeLimit, record.playbook != nil, step?.retry)
        return order
    }

    private func plan(of member: ApprovalRequest.Member) -> Plan? {
        guard let name = member.record.action, let target = member.target, let description = catalogue[ActionName(rawValue: name)]?.description,
            let parameters = try? Parameters(checking: member.record.detail["plan"]?["parameters"]?.object ?? JSONObject(), for: description)
        else { return nil }
        return Plan(
            action: description.name, target: target, parameters: parameters, facts: member.record.detail["plan"]?["facts"]?.object ?? JSONObject(),
            summary: member.summary, inverse: description.inverse)
    }
}

extension ApprovalRequest.Member {
    fileprivate func budget(_ key: ByteText) -> Budget? { record.detail[key].flatMap(Budget.init(json:)) }
}

extension Duration {
    var roundedToSeconds: Duration { .seconds(components.seconds) }
}
