internal import Logging
internal import RiposteCore

/// What the journal says is in force is compared with the world: at the start, every while, and when the kernel or the container engine tells of a change.
/// What somebody else changed is reported once, and put right where the policy says so.
extension Engine {
    static let reconciliationChore = Chore(
        next: { engine in
            guard engine.configuration.reconciliation.every != nil else { return nil }
            return engine.state.withLock { $0.reconciliation.isRunning ? nil : $0.reconciliation.next }.map(engine.wallTime)
        },
        // An engine that does not answer must not hold up undos that are due.
        perform: { engine, _ in engine.surroundings.spawn { await engine.reconcile() } })

    /// Something has changed out there that may concern us: look soon.
    package func lookAgain() {
        let soon = surroundings.uptime() + configuration.reconciliation.settlingTime
        state.withLock { $0.reconciliation.next = min($0.reconciliation.next, soon) }
        timeChanged.ring()
    }

    /// Drifts that are open, for status.
    package var drifts: [Drift] { snapshot.drifts.open }

    /// One look at all that should be so: first at what the kernel tells at once, then at what somebody else has to be asked about, who may be silent. One look of each kind at a
    /// time; who comes meanwhile is done with at once. As long as others are asked, the kernel is looked at all the same when its next turn comes.
    package func reconcile() async {
        guard begin() else { return }
        defer { end() }
        let settings = configuration.reconciliation
        guard takeTurn(\.isRunning) else { return }
        await lookAtAll(settings, atOnce: 1) { $0.isToldByKernel }
        leaveTurn(\.isRunning)
        guard takeTurn(\.isAsking) else { return }
        await lookAtAll(settings, atOnce: Self.asksAtOnce) { !$0.isToldByKernel }
        leaveTurn(\.isAsking)
    }

    private static let asksAtOnce = 16
    /// What has not answered by then is asked again at the next look.
    private static let lookLimit = Duration.seconds(10)

    private typealias Turn = WritableKeyPath<ReconciliationTurn, Bool>

    private func takeTurn(_ turn: Turn) -> Bool {
        let next = surroundings.uptime() + (configuration.reconciliation.every ?? .seconds(60))
        return state.withLock { interior in
            if turn == \ReconciliationTurn.isRunning, !interior.reconciliation.isRunning { interior.reconciliation.next = next }
            guard !interior.reconciliation[keyPath: turn], !interior.isClosed else {
                if turn == \ReconciliationTurn.isAsking { interior.reconciliation.isAskedAgain = true }
                return false
            }
            interior.reconciliation[keyPath: turn] = true
            return true
        }
    }

    private func leaveTurn(_ turn: Turn) {
        let soon = surroundings.uptime() + configuration.reconciliation.settlingTime
        state.withLock { interior in
            interior.reconciliation[keyPath: turn] = false
            // Who was turned away may have heard of something that this look had passed already.
            guard turn == \ReconciliationTurn.isAsking, interior.reconciliation.isAskedAgain else { return }
            interior.reconciliation.isAskedAgain = false
            interior.reconciliation.next = min(interior.reconciliation.next, soon)
        }
        timeChanged.ring()
    }

    /// So many targets at once, and the acts on each one after the other, as they take turns at it; then what should not be.
    private func lookAtAll(_ settings: ReconciliationSettings, atOnce width: Int, _ isMeant: (ActionDescription) -> Bool) async {
        let names = catalogue.descriptions.filter(isMeant).map(\.name)
        let meant = Set(names)
        let acts = snapshot.openUndos.values.filter { meant.contains($0.actionName) }.sorted { $0.action < $1.action }
        let byTarget = Dictionary(grouping: acts, by: \.target.key).sorted { $0.key < $1.key }.map(\.value)
        await withTaskGroup { group in
            for first in 0..<min(byTarget.count, width) {
                let share = stride(from: first, to: byTarget.count, by: width).flatMap { byTarget[$0] }
                group.addTask { for open in share { await self.look(at: open, settings) } }
            }
        }
        for name in names { await lookForOrphans(of: name, settings) }
        closeStaleDrifts { catalogue[$0].map { isMeant($0.description) } ?? true }
    }

    /// A look at the world that may be left behind: nil where it was.
    private func glance<Value: Sendable>(at target: Target?, for action: ActionDescription, _ look: @escaping @Sendable () async -> Value) async -> Value? {
        let order = Order(id: surroundings.newIdentifier(), actor: Self.reconciler, action: action.name, claim: target.map(TargetClaim.proved) ?? .host, mode: .observe)
        let watch = OrderWatch(order, at: surroundings.now(), uptime: surroundings.uptime())
        return await patiently(watch, until: watch.began + Self.lookLimit, isPrompt: action.isPrompt, look)
    }

    // MARK: - What should be

    private func look(at open: EngineState.OpenUndo, _ settings: ReconciliationSettings) async {
        guard let action = catalogue[open.actionName], let parameters = try? Parameters(checking: open.parameters, for: action.description) else { return }
        guard let standing = await standing(of: open, action, parameters) else { return }
        switch standing {
        case .stands: settleDrift(of: "\(open.action)", "it is as it should be again")
        case .gone(let words), .expired(let words):
            _ = await undo(open.action, actor: Self.reconciler, reason: words)
        case .missing(let words): await answer(open, .missing, words, action.description, settings)
        case .restarted(let words): await answer(open, .restarted, words, action.description, settings)
        case .changed(let words): await answer(open, .foreignChange, words, action.description, settings)
        }
    }

    static let reconciler = AuditRecord.Actor(.agent, name: "reconcile")

    /// Nil where somebody is at it, or it could not be found out: the next look will tell.
    private func standing(of open: EngineState.OpenUndo, _ action: any Action, _ parameters: Parameters) async -> Standing? {
        guard lanes.enterAtOnce(open.target.key) else { return nil }
        defer { lanes.leave(open.target.key) }
        guard isStill(open) else { return nil }
        let deed = StandingDeed(target: open.target, parameters: parameters, token: open.token, since: open.since, time: surroundings.now())
        let answer = await glance(at: open.target, for: action.description) { () -> Result<Standing, ActionError> in
            do throws(ActionError) { return .success(try await action.standing(of: deed)) } catch { return .failure(error) }
        }
        switch answer {
        case .success(let standing)?: return isStill(open) ? standing : nil
        case let failure:
            let why = failure?.failure?.message ?? "no answer within \(Self.lookLimit.text)"
            logger.debug("whether an action still stands could not be found out", metadata: ["action.id": "\(open.action)", "error": "\(why.escapedForDisplay)"])
            return nil
        }
    }

    /// In force, and nobody is taking it back.
    private func isStill(_ open: EngineState.OpenUndo) -> Bool {
        state.withLock { $0.state.openUndos[open.action] != nil && !$0.undosUnderWay.contains(open.action) }
    }

    private func answer(
        _ open: EngineState.OpenUndo, _ finding: Drift.Finding, _ words: String, _ description: ActionDescription, _ settings: ReconciliationSettings
    ) async {
        let object = "\(open.action)"
        let now = surroundings.now()
        let known = snapshot.drifts.drift(of: object)
        var drift = Drift(
            object: object, state: .found, finding: finding, action: open.action, actionName: open.actionName, target: open.target, message: words, time: now)
        // Once for each change, and not at each look. Another run is another change, whatever was said of the one before.
        if known?.finding != finding || known?.message.hasPrefix(words) != true && (known?.state == .found || finding == .restarted) { tell(drift) }
        guard settings.policy(for: description) == .repair, mayRepair(open) else { return }
        let window = min(settings.fightWindow, .seconds(86400))
        guard snapshot.drifts.repairs(of: object, since: now + (.zero - window)) < settings.fightLimit else {
            guard known?.state != .contested else { return }
            drift.state = .contested
            drift.message = "\(words); it was put right \(settings.fightLimit) times within \(window.text): somebody is undoing us"
            return tell(drift)
        }
        _ = await carryOut(repair(of: open, now))
    }

    /// What a playbook did is done again only where playbooks may act; what a person ordered stands whatever the mode. Nobody is asked twice.
    private func mayRepair(_ open: EngineState.OpenUndo) -> Bool {
        (open.actor?.kind == .person || agentMode.mode == .enforce) && state.withLock { $0.state.approvals.request(toRestore: open.action) == nil }
    }

    /// The same deed once more, for what is left of its time.
    private func repair(of open: EngineState.OpenUndo, _ now: Timestamp) -> Order {
        var order = Order(
            id: surroundings.newIdentifier(), actor: Self.reconciler, action: open.actionName, claim: .proved(open.target), parameters: open.parameters, mode: .enforce,
            reason: "what \(open.action) did was changed by somebody else")
        if order.parameters["for"] != nil, let due = open.due { order.parameters["for"] = .text(max(.seconds(1), due - now).wholeSeconds.text) }
        order.token = open.token
        order.restores = open.action
        return order
    }

    /// Asked right before the deed, in the target's turn: what was taken back meanwhile is not put right.
    func mindRestoration(_ order: Order) throws(ActionError) {
        guard let restored = order.restores else { return }
        let isInForce = state.withLock { $0.state.openUndos[restored] != nil && !$0.undosUnderWay.contains(restored) }
        if !isInForce { throw ActionError(.policy, "put \(order.action) right", "it was taken back meanwhile") }
    }

    // MARK: - What should not be

    private static let orphanLimit = 64

    private func lookForOrphans(of name: ActionName, _ settings: ReconciliationSettings) async {
        guard let action = catalogue[name], let marks = await marks(of: action) else { return }
        let suspects = marks.filter { !isExplained($0, name) }.sorted { $0.key < $1.key }
        for target in suspects.prefix(Self.orphanLimit) {
            let object = Self.orphan(name, target)
            guard await isOrphan(target, action) else { continue }
            if snapshot.drifts.drift(of: object) == nil {
                tell(
                    Drift(
                        object: object, state: .found, finding: .orphan, actionName: name, target: target,
                        message: "\(target.summary) bears our mark of \(name), and no record explains it", time: surroundings.now()))
            }
            guard settings.orphans == .repair, let inverse = action.description.inverse, agentMode.mode == .enforce else { continue }
            var order = Order(
                id: surroundings.newIdentifier(), actor: Self.reconciler, action: inverse, claim: .proved(target), mode: .enforce, reason: "no record explains it")
            if case .address(let network) = target { order.parameters = ["address": .text("\(network)")] }
            if await carryOut(order).outcome == .done { settleDrift(of: object, "it was taken away") }
        }
        let present = Set(marks.map { Self.orphan(name, $0) })
        for drift in drifts where drift.finding == .orphan && drift.actionName == name {
            if !present.contains(drift.object) { settleDrift(of: drift.object, "it is not there any more") }
            if isInForce(name, on: drift.target) { settleDrift(of: drift.object, "a record explains it now") }
        }
    }

    private static func orphan(_ name: ActionName, _ target: Target) -> String { "orphan \(name) \(target.key)" }

    private func marks(of action: any Action) async -> [Target]? {
        let answer = await glance(at: nil, for: action.description) { () -> Result<[Target]?, ActionError> in
            do throws(ActionError) { return .success(try await action.marks()) } catch { return .failure(error) }
        }
        switch answer {
        case .success(let marks)?: return marks
        case let failure:
            let why = failure?.failure?.message ?? "no answer within \(Self.lookLimit.text)"
            logger.debug("what bears our mark could not be found out", metadata: ["action": "\(action.description.name)", "error": "\(why.escapedForDisplay)"])
            return nil
        }
    }

    /// It is the record that explains the mark: what is only about to be does not, as it may never be, and the mark may have been there before.
    private func isInForce(_ name: ActionName, on target: Target) -> Bool {
        state.withLock { $0.state.openUndo(of: name, on: target.key) != nil }
    }

    /// In force, about to be, or about to be found out: nobody is accused of it.
    private func isExplained(_ target: Target, _ name: ActionName) -> Bool {
        state.withLock { interior in
            interior.state.openUndo(of: name, on: target.key) != nil
                || interior.state.openIntents.values.contains { $0.record.target?.key == target.key }
                || interior.state.hanging.values.contains { $0.record.target?.key == target.key } || !interior.owed.isEmpty
        }
    }

    /// Looked at once more in the target's turn: between the two looks a deed or an undo may have come to its end.
    private func isOrphan(_ target: Target, _ action: any Action) async -> Bool {
        guard lanes.enterAtOnce(target.key) else { return false }
        defer { lanes.leave(target.key) }
        guard !isExplained(target, action.description.name), let marks = await marks(of: action) else { return false }
        return marks.contains { $0.key == target.key } && !isExplained(target, action.description.name)
    }

    // MARK: - What is told

    private func tell(_ drift: Drift) {
        // Not on record: the next look finds it again, and tells it then.
        do { try record(drift.record) } catch { return }
        logger.warning(
            "the world is not as it should be",
            metadata: [
                "drift.finding": "\(drift.finding.rawValue)", "drift.state": "\(drift.state.rawValue)", "action": "\(drift.actionName)", "target": "\(drift.target.summary)",
                "drift.what": "\(drift.message.escapedForDisplay)",
            ])
        report(.drift(drift))
    }

    private func settleDrift(of object: String, _ words: String) {
        guard var drift = snapshot.drifts.drift(of: object) else { return }
        drift.state = .over
        drift.message = words
        drift.time = surroundings.now()
        do { try record(drift.record) } catch { return }
        report(.drift(drift))
    }

    /// Of what was taken back by other ways than its undo. Each look closes those of its own kind, so that of two that are under way neither says it a second time.
    private func closeStaleDrifts(of isMeant: (ActionName) -> Bool) {
        for drift in drifts where isMeant(drift.actionName) {
            guard let action = drift.action, state.withLock({ $0.state.openUndos[action] == nil }) else { continue }
            settleDrift(of: drift.object, "it is not in force any more")
        }
    }
}

extension Duration {
    fileprivate var wholeSeconds: Duration { .seconds(max(1, components.seconds)) }
}

extension Result {
    fileprivate var failure: Failure? { if case .failure(let failure) = self { failure } else { nil } }
}
