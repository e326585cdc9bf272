package import RiposteCore
internal import Synchronization

/// What the agent's owner says about undos.
package struct UndoSettings: Sendable, Equatable {
    /// For so long nothing automatic touches what a person let go; zero: no pardon.
    package var pardon = Duration.seconds(3600)
    /// How long an act of this kind stays in force at most when its time is made longer or given.
    package var limits: [ActionName: Duration] = [:]

    package init() {}
}

/// When an undo is due by the clock that nobody sets, beside the wall clock's due time.
///
/// While the agent runs, what comes first counts: the wall clock reaches the due time, or as much time has passed as there was left. So a clock set back by
/// hours keeps nobody isolated for hours, and one set forward does what the record promises. After a restart only the wall clock is left to go by.
struct UndoClock: Sendable, Equatable {
    var due: Timestamp
    var uptime: Duration

    /// On the wall clock as it stands.
    func time(at now: Timestamp, uptime: Duration) -> Timestamp { min(due, Engine.time(now, in: self.uptime - uptime)) }
}

extension Engine.Interior {
    /// After every record that sets or changes a due time.
    mutating func arm(_ id: Identifier, now: Timestamp, uptime: Duration) {
        if undoClocks.count > 2 * state.openUndos.count + 64 { undoClocks = undoClocks.filter { state.openUndos[$0.key] != nil } }
        guard let due = state.openUndos[id]?.due else {
            undoClocks[id] = nil
            return
        }
        if undoClocks[id]?.due != due { undoClocks[id] = UndoClock(due: due, uptime: uptime + (due - now)) }
    }

    /// Whether the journal still has to take an outcome of this action that arms an undo. `time`: it is wanted back since then, and not in its own time.
    mutating func owesUndo(of id: Identifier, wantedAt time: Timestamp?) -> Bool {
        guard let index = owed.firstIndex(where: { $0.kind == .outcome && $0.id == id && $0.detail["undo"] != nil }) else { return false }
        if let time, var undo = owed[index].detail["undo"]?.object {
            undo["due"] = .text("\(time)")
            owed[index].detail["undo"] = .object(undo)
        }
        return true
    }

    /// An earlier life was taking it back when it ended, and the world has not told yet what came of that.
    func isLeftUnclear(undoOf id: Identifier) -> Bool {
        state.openIntents.contains { $0.value.record.undoes == id && (unclear[$0.key] != nil || beingCleared.contains($0.key)) }
    }

    /// When an undo is to be tried next: when it is due, and after a failure not before the pause is over.
    func time(ofUndo id: Identifier, _ clock: UndoClock, at now: Timestamp, uptime: Duration) -> Timestamp {
        let due = clock.time(at: now, uptime: uptime)
        return undoRetries[id].map { max(due, Engine.time(now, in: $0.at - uptime)) } ?? due
    }
}

extension AuditRecord {
    /// The acts whose due time may be another one after this record.
    var armedActions: [Identifier] {
        guard kind == .outcome else { return [] }
        return [detail["undo"] == nil ? nil : id, detail["prolongs"]?["action"]?.string?.valid.flatMap { Identifier($0) }, undoes].compactMap(\.self)
    }
}

extension Engine {
    /// What is in force and meant, the newest first.
    package func inForce(_ selection: UndoSelection) -> [EngineState.OpenUndo] {
        let now = surroundings.now()
        return snapshot.openUndos.values.filter { selection.includes($0, at: now) }.sorted { ($0.since, $0.action) > ($1.since, $1.action) }
    }

    /// Takes back all that is meant, the newest first, each by an order of its own.
    package func undo(
        _ selection: UndoSelection, actor: AuditRecord.Actor, mode: Mode = .enforce, reason: String? = nil, isForced: Bool = false
    ) async -> [ActionResult] {
        var ids = inForce(selection).map(\.action)
        // Asked for by name and not in force: says what became of it.
        let names = Set(ids)
        ids += selection.actions.filter { id in
            guard let open = state.withLock({ $0.state.openUndo(of: id) }) else { return true }
            return !names.contains(open.action) && selection == UndoSelection(id)
        }
        var results: [ActionResult] = []
        for id in ids { results.append(await undo(id, actor: actor, mode: mode, reason: reason, isForced: isForced)) }
        return results
    }

    /// Takes back what the action `id` did, through the same door: plan, guards, intent, deed, outcome. `isUnderWay`: whoever asks is counted as under way. `alert`: it is for
    /// the run of the actor's playbook for this alert, so that what somebody else wants too stays.
    package func undo(
        _ id: Identifier, actor: AuditRecord.Actor, mode: Mode = .enforce, reason: String? = nil, isForced: Bool = false, lateBy: Duration? = nil, isUnderWay: Bool = false,
        wantedFor alert: Identifier? = nil
    ) async -> ActionResult {
        enum Found { case open(EngineState.OpenUndo), underWay(EngineState.OpenUndo, isLeft: Bool), asked(Identifier), takenBack, shared, owed, unknown }
        let now = surroundings.now()
        let found = state.withLock { interior -> Found in
            guard let open = interior.state.openUndo(of: id) else {
                if interior.state.takenBack.contains(id) { return .takenBack }
                return interior.owesUndo(of: id, wantedAt: actor.kind == .playbook ? now : nil) ? .owed : .unknown
            }
            if let alert, open.isShared || open.playbook != actor.name || open.alert != alert { return .shared }
            // Nobody is asked twice; a person needs nobody's yes.
            if actor.kind != .person, let question = interior.state.approvals.request(toTakeBack: open.action) { return .asked(question.id) }
            // Who only looks keeps nobody from it.
            let isFree = mode == .observe ? !interior.undosUnderWay.contains(open.action) : interior.undosUnderWay.insert(open.action).inserted
            return isFree ? .open(open) : .underWay(open, isLeft: interior.isLeftUnclear(undoOf: open.action))
        }
        func answer(_ outcome: Outcome, _ reason: String) -> ActionResult {
            ActionResult(id: id, action: "undo", outcome: outcome, dryRun: mode == .observe, reason: reason)
        }
        switch found {
        case .takenBack: return answer(.already, "the action was taken back before")
        case .underWay(let open, let isLeft):
            // How that ends nobody knows: what a run wants back is due from now on by a record of its own.
            if actor.kind == .playbook { return putOff(order(for: open, actor: actor, mode: mode, reason: reason)) }
            return isLeft
                ? answer(.failed, "an agent that has ended was at it, and it is being found out what came of that: try it again in a while")
                : answer(.already, "the action is being taken back at this moment")
        case .asked(let question): return answer(.pending, "somebody is asked whether it is to be taken back: riposte approvals show \(question)")
        case .shared: return answer(.refused, "another action has taken its place, or it stands for an earlier one")
        case .owed: return answer(.failed, "its outcome is not on record yet")
        case .unknown:
            if let result = await withdraw(holding: id, by: actor, mode: mode, reason: reason) { return result }
            return answer(.gone, "no action with this id can be taken back")
        case .open(let open):
            defer { if mode != .observe { endUndo(of: open.action) } }
            var order = order(for: open, actor: actor, mode: mode, reason: reason)
            order.isForced = isForced && actor.kind == .person
            order.lateBy = lateBy
            return isUnderWay ? await perform(order) : await carryOut(order)
        }
    }

    /// Somebody else may take it back from here on: where it failed it is due still.
    func endUndo(of id: Identifier) {
        state.withLock { _ = $0.undosUnderWay.remove(id) }
        timeChanged.ring()
    }

    private func putOff(_ order: Order) -> ActionResult {
        var draft = draft(of: order)
        draft.fail(ActionError(.busy, "take it back", "somebody else is at it"))
        return settle(draft)
    }

    private func order(for open: EngineState.OpenUndo, actor: AuditRecord.Actor, mode: Mode, reason: String?) -> Order {
        var order = Order(id: surroundings.newIdentifier(), actor: actor, action: open.inverse, claim: .proved(open.target), mode: mode, reason: reason)
        order.token = open.token
        order.undoes = open.action
        // An address is both target and parameter of its actions.
        if case .address(let network) = open.target { order.parameters = ["address": .text("\(network)")] }
        return order
    }

    // MARK: - In the target's turn

    /// Asked when an undo has its turn: while it waited, the act may have been taken back, made longer, or followed by another one of its kind. Gives how that
    /// ends the order; else the order is about what stands now.
    func ending(ofUndo draft: inout OutcomeDraft) -> (outcome: Outcome, words: String)? {
        let order = draft.order
        guard let undone = order.undoes else { return nil }
        guard let open = state.withLock({ $0.state.openUndo(of: undone) }) else { return (.already, "it was taken back meanwhile") }
        // After a refusal it has no time any more, and a person may say yes all the same.
        if order.actor.kind == .timer, !(open.due == nil && order.hasPersonsYes), !isDue(open) {
            return (.skipped, open.due.map { "it stays until \($0)" } ?? "it stays until a person takes it back")
        }
        guard open.action != undone || open.token != order.token else { return nil }
        // It was found that the act before was over; what has taken its place is looked at when its turn comes. Nor does a run take back what came after it.
        if order.actor.kind == .agent || order.actor.kind == .playbook, open.action != undone { return (.skipped, "another action has taken its place meanwhile") }
        if order.consent != nil { return (.skipped, "another action has changed the same since somebody was asked") }
        draft.aim(at: open)
        return nil
    }

    private func isDue(_ open: EngineState.OpenUndo) -> Bool {
        let (now, uptime) = (surroundings.now(), surroundings.uptime())
        return state.withLock { interior in interior.undoClocks[open.action].map { $0.due == open.due && $0.time(at: now, uptime: uptime) <= now } ?? false }
    }

    // MARK: - In time

    /// Takes back what is due. What fails is tried again with growing pauses: an undo is never forgotten.
    static let undoChore = Chore(
        next: { engine in engine.nextUndo(at: engine.surroundings.now()) },
        perform: { engine, now in
            let due = engine.undoTimes(at: now).filter { $0.value <= now }.keys.sorted()
            await withTaskGroup { group in
                for id in due { group.addTask { await engine.takeBackInTime(id) } }
            }
        })

    private func takeBackInTime(_ id: Identifier) async {
        let result = await undo(id, actor: AuditRecord.Actor(.timer, name: "undo.after"), reason: "its time was up", lateBy: lateness(of: id))
        let uptime = surroundings.uptime()
        state.withLock { interior in
            // Also what was refused, and could not be put on record, stays due.
            guard interior.state.openUndos[id]?.due != nil, result.outcome != .skipped else {
                interior.undoRetries[id] = nil
                return
            }
            let pause = min((interior.undoRetries[id]?.pause ?? .seconds(2)) * 2, .seconds(300))
            interior.undoRetries[id] = (uptime + pause, pause)
        }
    }

    /// By how much its time is over, as far as somebody may ask why: the agent was not running, or could not do it before.
    private func lateness(of id: Identifier) -> Duration? {
        let uptime = surroundings.uptime()
        guard let clock = state.withLock({ $0.undoClocks[id] }), uptime - clock.uptime >= .seconds(1) else { return nil }
        return uptime - clock.uptime
    }

    /// The first of ``undoTimes(at:)``, asked after each record: it makes no table.
    private func nextUndo(at now: Timestamp) -> Timestamp? {
        let uptime = surroundings.uptime()
        return state.withLock { interior in
            let asked = interior.state.approvals.asksToTakeBack
            var first: Timestamp?
            for (id, clock) in interior.undoClocks
            where interior.state.openUndos[id]?.due == clock.due && !interior.undosUnderWay.contains(id) && !asked.contains(id) {
                let time = interior.time(ofUndo: id, clock, at: now, uptime: uptime)
                first = min(first ?? time, time)
            }
            return first
        }
    }

    /// When each undo that has a time is to be tried next, on the wall clock as it stands.
    private func undoTimes(at now: Timestamp) -> [Identifier: Timestamp] {
        let uptime = surroundings.uptime()
        return state.withLock { interior in
            var times: [Identifier: Timestamp] = [:]
            for (id, clock) in interior.undoClocks where interior.state.openUndos[id]?.due == clock.due { times[id] = interior.time(ofUndo: id, clock, at: now, uptime: uptime) }
            for id in interior.undosUnderWay.union(interior.state.approvals.asksToTakeBack) { times[id] = nil }
            return times
        }
    }

    // MARK: - Longer

    /// How long the act of an order is to stand, no longer than its kind may.
    func term(of order: Order, _ plan: Plan) -> Duration? {
        guard let asked = order.undoAfter ?? plan.parameters.duration("for") else { return nil }
        return min(asked, configuration.undo.limits[plan.action] ?? asked)
    }

    /// What is asked for stands already. Its time is made longer where that was asked for too: by a person always, by a step with `extend: true`, and then no
    /// longer than `max` from its beginning. A time is never made shorter.
    func prolong(_ plan: Plan, _ draft: inout OutcomeDraft) {
        let order = draft.order
        let isByHand = order.actor.kind == .person && order.cause == nil
        guard order.undoes == nil, order.restores == nil, isByHand || order.prolongs, !(order.mode == .ask) else { return }
        guard let open = state.withLock({ $0.state.openUndo(of: plan.action, on: plan.target.key) }), let due = open.due else { return }
        guard let term = term(of: order, plan) else {
            if isByHand { draft.prolong(open.action, nil, "it stays until it is taken back") }
            return
        }
        let limits = [order.undoLimit, configuration.undo.limits[plan.action]].compactMap(\.self)
        let latest = limits.min().map { open.since + $0 }
        let wanted = min(surroundings.now() + term, latest ?? Timestamp(nanoseconds: .max))
        guard wanted > due else { return }
        draft.prolong(open.action, wanted, "it stays until \(wanted)")
    }
}
