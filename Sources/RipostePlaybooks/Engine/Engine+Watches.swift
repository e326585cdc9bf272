internal import Logging
package import RiposteCore
internal import Synchronization

extension Engine {
    /// Orders that have been under way for at least so long, the oldest first.
    package func ordersUnderWay(atLeast length: Duration = .seconds(1)) -> [OrderProgress] {
        let uptime = surroundings.uptime()
        let watches = state.withLock { Array($0.watches.values) }
        return watches.map { $0.progress(at: uptime) }.filter { $0.duration >= length }.sorted { ($0.since, $0.id) < ($1.since, $1.id) }
    }

    /// Calls an order off. Before its intent is on record it ends `refused`; a deed that has begun is cancelled as far as it can be, and its outcome is what the
    /// world says. Returns that outcome; nil where no such order is under way.
    package func cancel(_ id: Identifier, actor: AuditRecord.Actor, reason: String? = nil) async -> ActionResult? {
        guard let watch = state.withLock({ $0.watches[id] }) else { return nil }
        // A deed that hangs has its outcome, and nothing is left that could be called off.
        if watch.callOff(Cancellation(actor: actor, reason: reason, time: surroundings.now())) {
            logger.notice("action called off", metadata: ["action.id": "\(id)", "actor.name": "\(actor.name)"])
        }
        return await watch.result()
    }

    func watch(over order: Order) -> OrderWatch {
        let watch = OrderWatch(order, at: surroundings.now(), uptime: surroundings.uptime())
        state.withLock { $0.watches[order.id] = watch }
        return watch
    }

    func forget(_ watch: OrderWatch) {
        state.withLock { interior in
            // A plan that was put to a person comes back as an order of the same id.
            if interior.watches[watch.order.id] === watch { interior.watches[watch.order.id] = nil }
        }
    }
}
