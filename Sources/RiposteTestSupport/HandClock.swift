package import RiposteCore
package import RipostePlaybooks
internal import Synchronization

/// Clocks that stand still until a test moves them: who sleeps by them wakes when the test says that the time has come.
package final class HandClock: Sendable {
    private struct Sleeper {
        let until: Duration
        let wake: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now: Timestamp
        var uptime = Duration.zero
        var sleepers: [Int: Sleeper] = [:]
        var next = 0
    }

    private let state: Mutex<State>

    package init(at time: Timestamp = Timestamp("2026-03-04T11:22:33Z") ?? .now()) { state = Mutex(State(now: time)) }

    package var now: Timestamp { state.withLock(\.now) }
    package var uptime: Duration { state.withLock(\.uptime) }
    package var sleepers: Int { state.withLock(\.sleepers.count) }
    /// How often somebody has wanted to sleep so far.
    package var sleeps: Int { state.withLock(\.next) }

    /// Time passes, on the wall clock too.
    package func advance(by length: Duration) {
        let woken = state.withLock { state -> [Sleeper] in
            state.now = state.now + length
            state.uptime += length
            let woken = state.sleepers.filter { $0.value.until <= state.uptime }
            for key in woken.keys { state.sleepers[key] = nil }
            return woken.sorted { $0.key < $1.key }.map(\.value)
        }
        for sleeper in woken { sleeper.wake.resume() }
    }

    /// Somebody sets the wall clock; no time passes.
    package func set(to time: Timestamp) { state.withLock { $0.now = time } }

    /// Waits until that much time has passed; throws where the task is cancelled.
    package func sleep(_ length: Duration) async throws {
        let key = state.withLock { state in
            state.next += 1
            return state.next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (wake: CheckedContinuation<Void, any Error>) in
                let isOver = state.withLock { state in
                    guard length > .zero, !Task.isCancelled else { return true }
                    state.sleepers[key] = Sleeper(until: state.uptime + length, wake: wake)
                    return false
                }
                if isOver { wake.resume() }
            }
            try Task.checkCancellation()
        } onCancel: {
            state.withLock { $0.sleepers.removeValue(forKey: key) }?.wake.resume(throwing: CancellationError())
        }
    }

    /// An engine's surroundings with this clock in them.
    package var surroundings: Surroundings {
        Surroundings(
            now: { self.now }, uptime: { self.uptime }, sleep: { try await self.sleep($0) }, newIdentifier: { .new(at: self.now) },
            random: { UInt64.random(in: 0...UInt64.max) }, spawn: { body in Task { await body() } },
            start: { body in Task.immediate { await body() } })
    }
}
