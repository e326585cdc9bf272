import RiposteCore
import RipostePlaybooks
import Synchronization

/// SplitMix64: small, seedable, good enough to choose what happens next.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Runs tasks one at a time on the thread that drives the simulation, in an order that the seed chooses among those that can go on.
final class SimulatedExecutor: TaskExecutor {
    private struct State {
        var jobs: [UnownedJob] = []
        var generator: SeededGenerator
    }

    private let state: Mutex<State>

    init(seed: UInt64) { state = Mutex(State(generator: SeededGenerator(seed: seed))) }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        state.withLock { $0.jobs.append(job) }
    }

    /// Lets everything go on until all wait for time or for the driver. False where that did not come about in `limit` turns.
    func drain(limit: Int = 200_000) -> Bool {
        for _ in 0..<limit {
            let job = state.withLock { state -> UnownedJob? in
                guard !state.jobs.isEmpty else { return nil }
                return state.jobs.remove(at: Int.random(in: state.jobs.indices, using: &state.generator))
            }
            guard let job else { return true }
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
        return false
    }
}

/// Time, names and tasks of the simulation, for one life of the agent after the other.
final class SimulatedMachine: Sendable {
    private struct Sleeper {
        let id: Int
        let wakesAt: Duration
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var uptime = Duration.zero
        /// Wall clock less uptime.
        var offset = Duration.zero
        var generator: SeededGenerator
        var life = 0
        var sleepers: [Sleeper] = []
        var cancelled: Set<Int> = []
        var lastID = 0
        /// Of this life, in the order in which they began.
        var tasks: [Int: Task<Void, Never>] = [:]

        mutating func nextID() -> Int {
            lastID += 1
            return lastID
        }
    }

    private static let epoch = Timestamp(nanoseconds: 1_790_000_000_000_000_000)

    let executor: SimulatedExecutor
    private let state: Mutex<State>

    init(seed: UInt64) {
        executor = SimulatedExecutor(seed: seed)
        state = Mutex(State(generator: SeededGenerator(seed: seed ^ 0xA5A5)))
    }

    var uptime: Duration { state.withLock(\.uptime) }
    var now: Timestamp { state.withLock { Self.epoch + $0.uptime + $0.offset } }
    var newIdentifier: Identifier {
        let now = now
        return random { Identifier(at: now, using: &$0) }
    }

    func random<Value>(_ body: (inout SeededGenerator) -> Value) -> Value where Value: Sendable { state.withLock { body(&$0.generator) } }

    /// Somebody sets the wall clock.
    func setClock(by change: Duration) { state.withLock { $0.offset += change } }

    /// For the agent that lives now; when it has died, they do nothing for it any more.
    var surroundings: Surroundings {
        let life = state.withLock(\.life)
        return Surroundings(
            now: { self.now }, uptime: { self.uptime }, sleep: { try await self.sleep($0, in: life) }, newIdentifier: { self.newIdentifier },
            random: { self.random { $0.next() } }, spawn: { self.spawn($0, in: life) })
    }

    /// A task of the agent that lives now.
    func spawn(_ body: @escaping @Sendable () async -> Void) { spawn(body, in: state.withLock(\.life)) }

    private func spawn(_ body: @escaping @Sendable () async -> Void, in life: Int) {
        let id = state.withLock { $0.nextID() }
        let task = Task(executorPreference: executor) {
            await body()
            self.state.withLock { _ = $0.tasks.removeValue(forKey: id) }
        }
        let isAlive = state.withLock { state in
            if state.life == life { state.tasks[id] = task }
            return state.life == life
        }
        if !isAlive { task.cancel() }
    }

    /// The process dies: nobody goes on. Whoever sleeps is woken by an error and finds that nothing works any more.
    func killAll() {
        let (tasks, sleepers) = state.withLock { state in
            defer { (state.tasks, state.sleepers) = ([:], []) }
            state.life += 1
            return (state.tasks, state.sleepers)
        }
        for (_, task) in tasks.sorted(by: { $0.key < $1.key }) { task.cancel() }
        sleepers.forEach { $0.continuation.resume(throwing: CancellationError()) }
    }

    /// Waits whether or not the task is cancelled: what is stuck in a call.
    func sleepStubbornly(_ length: Duration) async {
        try? await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            state.withLock { state in state.sleepers.append(Sleeper(id: state.nextID(), wakesAt: state.uptime + length, continuation: continuation)) }
        }
    }

    private func sleep(_ length: Duration, in life: Int) async throws {
        let id = state.withLock { $0.nextID() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let isOver = state.withLock { state in
                    if state.cancelled.remove(id) != nil || state.life != life { return true }
                    state.sleepers.append(Sleeper(id: id, wakesAt: state.uptime + max(length, .zero), continuation: continuation))
                    return false
                }
                if isOver { continuation.resume(throwing: CancellationError()) }
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

    /// Lets so much time pass, waking each sleeper at its moment. False where the simulation does not come to rest.
    func advance(by length: Duration) -> Bool {
        let end = uptime + length
        while true {
            guard executor.drain() else { return false }
            let woken = state.withLock { state -> [Sleeper]? in
                guard let next = state.sleepers.map(\.wakesAt).min(), next <= end else {
                    state.uptime = end
                    return nil
                }
                state.uptime = max(state.uptime, next)
                defer { state.sleepers.removeAll { $0.wakesAt <= next } }
                return state.sleepers.filter { $0.wakesAt <= next }
            }
            guard let woken else { return executor.drain() }
            woken.forEach { $0.continuation.resume() }
        }
    }
}
