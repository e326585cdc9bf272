package import RiposteCore
internal import Synchronization

/// Time as alerts tell it, and tasks that run on the thread that drives them: a week passes as fast as it can be worked through, and twice the
/// same alerts give twice the same records.
package final class AlertTime: Sendable {
    private struct Sleeper {
        let id: Int
        let wakesAt: Duration
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var uptime = Duration.zero
        var sleepers: [Sleeper] = []
        /// Called off before they had begun to sleep.
        var cancelled: Set<Int> = []
        var lastSleeper = 0
        var generator = SplitMix(state: 0x5249_504F_5354_4531)

        /// When the first one wakes.
        var next: Duration? { sleepers.lazy.map(\.wakesAt).min() }
    }

    private let origin: Timestamp
    private let executor = TurnExecutor()
    private let state = Mutex(State())

    package init(origin: Timestamp) { self.origin = origin }

    package var now: Timestamp { origin + state.withLock(\.uptime) }

    package var surroundings: Surroundings {
        var surroundings = Surroundings(
            now: { self.now }, uptime: { self.state.withLock(\.uptime) }, sleep: { try await self.sleep($0) },
            newIdentifier: {
                self.state.withLock { state in Identifier(at: self.origin + state.uptime, using: &state.generator) }
            },
            random: { self.state.withLock { $0.generator.next() } }, spawn: { body in _ = self.run(body) })
        surroundings.clockMayBeSet = false
        return surroundings
    }

    func run(_ body: @escaping @Sendable () async -> Void) -> Task<Void, Never> { Task(executorPreference: executor) { await body() } }

    /// Lets everything go on until all wait for time.
    func settle() { executor.drain() }

    /// Lets time pass until then, waking each sleeper at its moment. Never back.
    func advance(to time: Timestamp) {
        let end = time - origin
        executor.drain()
        while let woken = wake(until: end) {
            woken.forEach { $0.resume() }
            executor.drain()
        }
        state.withLock { $0.uptime = max($0.uptime, end) }
    }

    private func wake(until end: Duration) -> [CheckedContinuation<Void, any Error>]? {
        state.withLock { state in
            guard let next = state.next, next <= end else { return nil }
            state.uptime = max(state.uptime, next)
            let woken = state.sleepers.filter { $0.wakesAt <= next }.map(\.continuation)
            state.sleepers.removeAll { $0.wakesAt <= next }
            return woken
        }
    }

    private func sleep(_ length: Duration) async throws {
        let id = state.withLock { state in
            state.lastSleeper += 1
            return state.lastSleeper
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let isCancelled = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return true }
                    state.sleepers.append(Sleeper(id: id, wakesAt: state.uptime + max(length, .zero), continuation: continuation))
                    return false
                }
                if isCancelled { continuation.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            let sleeper = state.withLock { state -> Sleeper? in
                guard let index = state.sleepers.firstIndex(where: { $0.id == id }) else {
                    state.cancelled.insert(id)
                    return nil
                }
                return state.sleepers.remove(at: index)
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
        state.withLock { _ = $0.cancelled.remove(id) }
    }
}

/// Runs tasks one at a time, first come first served, on whichever thread asks it to.
private final class TurnExecutor: TaskExecutor {
    private struct Queue {
        var jobs: [UnownedJob] = []
        var head = 0

        mutating func next() -> UnownedJob? {
            guard head < jobs.count else {
                jobs.removeAll(keepingCapacity: true)
                head = 0
                return nil
            }
            defer { head += 1 }
            return jobs[head]
        }
    }

    private let queue = Mutex(Queue())

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.withLock { $0.jobs.append(job) }
    }

    func drain() {
        while let job = queue.withLock({ $0.next() }) { job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}

/// SplitMix64: the same numbers every time. Names of records, not secrets.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
