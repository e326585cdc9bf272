package import RiposteCore
internal import Synchronization

extension Engine {
    /// Takes back what the action `id` did, through the same door: plan, guards, intent, deed, outcome.
    package func undo(_ id: Identifier, actor: AuditRecord.Actor, mode: Mode = .enforce, reason: String? = nil) async -> ActionResult {
        enum Found { case open(EngineState.OpenUndo), underWay, takenBack, unknown }
        let found = state.withLock { interior -> Found in
            guard let open = interior.state.openUndos[id] else { return interior.state.takenBack.contains(id) ? .takenBack : .unknown }
            return interior.undosUnderWay.insert(id).inserted ? .open(open) : .underWay
        }
        func answer(_ outcome: Outcome, _ reason: String) -> ActionResult {
            ActionResult(id: id, action: "undo", outcome: outcome, dryRun: mode == .observe, reason: reason)
        }
        switch found {
        case .takenBack: return answer(.already, "the action was taken back before")
        case .underWay: return answer(.already, "the action is being taken back at this moment")
        case .unknown: return answer(.gone, "no action with this id can be taken back")
        case .open(let open):
            defer { state.withLock { _ = $0.undosUnderWay.remove(id) } }
            return await carryOut(order(for: open, actor: actor, mode: mode, reason: reason))
        }
    }

    private func order(for open: EngineState.OpenUndo, actor: AuditRecord.Actor, mode: Mode, reason: String?) -> Order {
        var order = Order(actor: actor, action: open.inverse, claim: .proved(open.target), mode: mode, reason: reason)
        order.token = open.token
        order.undoes = open.action
        // An address is both target and parameter of its actions.
        if case .address(let network) = open.target { order.parameters = ["address": .text("\(network)")] }
        return order
    }

    /// Takes back what is due, when it is due, until the task is cancelled. What fails is tried again with growing pauses: an undo is never forgotten.
    package func keepUndos() async {
        let (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        state.withLock { $0.dueChanged = { wake.yield() } }
        defer { state.withLock { $0.dueChanged = nil } }
        var retries: [Identifier: (at: Timestamp, pause: Duration)] = [:]
        var next = wakes.makeAsyncIterator()
        while !Task.isCancelled {
            let now = Timestamp.now()
            let due = dueUndos().filter { (retries[$0.key]?.at ?? $0.value) <= now }
            for (id, result) in await takeBack(Array(due.keys)) {
                let pause = min((retries[id]?.pause ?? .seconds(2)) * 2, .seconds(300))
                retries[id] = result.outcome == .failed ? (Timestamp.now() + pause, pause) : nil
            }
            let alarm = Task { [pause = pauseUntilNext(retries.mapValues(\.at))] in
                try await Task.sleep(for: pause)
                wake.yield()
            }
            await withTaskCancellationHandler {
                _ = await next.next()
            } onCancel: {
                wake.finish()
            }
            alarm.cancel()
        }
    }

    private func takeBack(_ due: [Identifier]) async -> [(Identifier, ActionResult)] {
        await withTaskGroup { group in
            for id in due {
                group.addTask { (id, await self.undo(id, actor: AuditRecord.Actor(.timer, name: "undo.after"), reason: "its time was up")) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    private func dueUndos() -> [Identifier: Timestamp] { state.withLock { $0.state.openUndos.compactMapValues(\.due) } }

    /// At most half a minute, so that a clock that was set is noticed.
    private func pauseUntilNext(_ retries: [Identifier: Timestamp]) -> Duration {
        let next = dueUndos().map { retries[$0.key] ?? $0.value }.min()
        let pause = next.map { $0 - Timestamp.now() } ?? .seconds(30)
        return max(.milliseconds(1), min(pause, .seconds(30)))
    }
}
