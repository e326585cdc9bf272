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
        case .unknown:
            if let result = await withdraw(holding: id, by: actor, mode: mode, reason: reason) { return result }
            return answer(.gone, "no action with this id can be taken back")
        case .open(let open):
            defer { state.withLock { _ = $0.undosUnderWay.remove(id) } }
            return await carryOut(order(for: open, actor: actor, mode: mode, reason: reason))
        }
    }

    private func order(for open: EngineState.OpenUndo, actor: AuditRecord.Actor, mode: Mode, reason: String?) -> Order {
        var order = Order(id: surroundings.newIdentifier(), actor: actor, action: open.inverse, claim: .proved(open.target), mode: mode, reason: reason)
        order.token = open.token
        order.undoes = open.action
        // An address is both target and parameter of its actions.
        if case .address(let network) = open.target { order.parameters = ["address": .text("\(network)")] }
        return order
    }

    /// Takes back what is due. What fails is tried again with growing pauses: an undo is never forgotten.
    static let undoChore = Chore(
        next: { engine in engine.undoTimes().values.min() },
        perform: { engine, now in
            let due = engine.undoTimes().filter { $0.value <= now }.keys.sorted()
            await withTaskGroup { group in
                for id in due { group.addTask { await engine.takeBackInTime(id) } }
            }
        })

    private func takeBackInTime(_ id: Identifier) async {
        _ = await undo(id, actor: AuditRecord.Actor(.timer, name: "undo.after"), reason: "its time was up")
        let now = surroundings.now()
        state.withLock { interior in
            // Also what was refused, and could not be put on record, stays due.
            guard interior.state.openUndos[id]?.due != nil else {
                interior.undoRetries[id] = nil
                return
            }
            let pause = min((interior.undoRetries[id]?.pause ?? .seconds(2)) * 2, .seconds(300))
            interior.undoRetries[id] = (now + pause, pause)
        }
    }

    /// When each undo that has a time is to be tried next.
    private func undoTimes() -> [Identifier: Timestamp] {
        state.withLock { interior in
            var times = interior.state.openUndos.compactMapValues(\.due)
            for (id, retry) in interior.undoRetries where times[id] != nil { times[id] = retry.at }
            return times
        }
    }
}
