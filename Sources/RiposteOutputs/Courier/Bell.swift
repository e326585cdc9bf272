internal import Synchronization

/// Wakes the one task that listens. What was rung before it listened is heard then.
package final class Bell: Sendable {
    package enum Call: Sendable {
        /// The journal has grown.
        case records
        /// Somebody wants something: a test, an end.
        case orders
    }

    private struct State {
        var hasRecords = false
        var hasOrders = false
        var listener: (continuation: CheckedContinuation<Void, Never>, onlyOrders: Bool)?
    }

    private let state = Mutex(State())

    package init() {}

    package func ring(_ call: Call) {
        let listener = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if call == .records { state.hasRecords = true } else { state.hasOrders = true }
            guard let listener = state.listener, call == .orders || !listener.onlyOrders else { return nil }
            state.listener = nil
            return listener.continuation
        }
        listener?.resume()
    }

    /// Returns at the next call, at `end`, or when cancelled. `onlyOrders`: records are left for the next who listens.
    package func listen(until end: ContinuousClock.Instant?, onlyOrders: Bool = false, _ clock: OutputClock) async {
        guard let end else { return await hear(onlyOrders) }
        await withTaskGroup { group in
            group.addTask { await self.hear(onlyOrders) }
            group.addTask { await clock.sleep(end) }
            await group.next()
            group.cancelAll()
        }
    }

    private func hear(_ onlyOrders: Bool) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isHeard = state.withLock { state in
                    let isHeard = state.hasOrders || state.hasRecords && !onlyOrders || Task.isCancelled
                    if !isHeard { state.listener = (continuation, onlyOrders) }
                    return isHeard
                }
                if isHeard { continuation.resume() }
            }
        } onCancel: {
            let listener = state.withLock { state in
                defer { state.listener = nil }
                return state.listener?.continuation
            }
            listener?.resume()
        }
        state.withLock { state in
            state.hasOrders = false
            if !onlyOrders { state.hasRecords = false }
        }
    }
}

/// Time, handed in: tests have one that stands still until somebody waits.
package struct OutputClock: Sendable {
    /// Now, as waits are measured and as people tell it.
    package var now: @Sendable () -> Moment
    /// Returns at the time, or when cancelled.
    package var sleep: @Sendable (ContinuousClock.Instant) async -> Void

    package init(now: @escaping @Sendable () -> Moment, sleep: @escaping @Sendable (ContinuousClock.Instant) async -> Void) {
        self.now = now
        self.sleep = sleep
    }

    package static let system = OutputClock(
        now: { Moment(instant: .now, wall: .now()) }, sleep: { await AlarmClock.shared.sleep(until: $0) })
}
