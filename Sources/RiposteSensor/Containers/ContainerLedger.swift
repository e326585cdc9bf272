internal import RiposteCore

/// Which containers were asked for, what is known of them, and who is to be asked about next. It reads no clock and asks nobody: moments are handed
/// in, and ``ContainerDirectory`` does what it says.
struct ContainerLedger {
    typealias Instant = ContinuousClock.Instant

    struct Limits: Sendable {
        /// Containers that are kept; those that nobody asked for longest go first.
        var containers = 4096
        /// That wait to be asked about.
        var waiting = 1024
        /// That are asked about at once.
        var concurrency = 4
        /// After a failure the next attempt comes this much later, each time twice as much, up to the second.
        var retry: (first: Duration, longest: Duration) = (.milliseconds(100), .seconds(30))
        /// How long it is believed that there is no such container, by the same rule: a runtime may know a container a moment after its first process.
        var unknown: (first: Duration, longest: Duration) = (.seconds(1), .seconds(60))
        /// After so long what is known is asked for again: a container may be renamed, or get another address.
        var believed = Duration.seconds(60)
        /// After so long at least where it is met in a cgroup that was not met before, as one that has been started again is.
        var believedWhereItBegan = Duration.seconds(1)
    }

    enum Step: Equatable {
        case inspect(ContainerReference)
        /// Nothing before this moment.
        case wait(until: Instant)
        case rest
    }

    struct Counters: Sendable, Equatable {
        /// Whose facts are there.
        var known = 0
        /// That are, or will be, asked about.
        var pending = 0
        /// That no runtime knows.
        var unknown = 0
        /// Questions that nobody answered, since the start.
        var failed: UInt64 = 0
        /// Containers that were not asked about because too many were waiting, since the start.
        var shed: UInt64 = 0
    }

    private enum Stage {
        case settled
        case waiting
        case asking
        case retrying
        case unknown(until: Instant)
    }

    private struct Entry {
        var stage: Stage
        /// Kept while a newer answer is awaited.
        var facts: ContainerFacts?
        /// Failures, or answers that there is none, in a row.
        var misses = 0
        /// When the runtime last answered.
        var answeredAt: Instant
        var lastAsked: UInt64
    }

    private let limits: Limits
    private var entries: [ContainerReference: Entry] = [:]
    private var queue: [ContainerReference] = []
    /// Of `queue`, what is done with.
    private var queueStart = 0
    /// Whom to ask again, and when; some may have been forgotten since.
    private var retries: [(moment: Instant, container: ContainerReference)] = []
    private var asking = 0
    private var questions: UInt64 = 0
    private var failed: UInt64 = 0
    private var shed: UInt64 = 0

    init(limits: Limits = Limits()) { self.limits = limits }

    // MARK: - Questions

    /// What is known, which holds while a newer answer is awaited. `isNew`: somebody should look at ``next(at:)``. `beganAnew`: it was met in a cgroup that
    /// was not met before.
    mutating func facts(of container: ContainerReference, at now: Instant, beganAnew: Bool = false) -> (facts: ContainerFacts?, isNew: Bool) {
        questions &+= 1
        guard let index = entries.index(forKey: container) else { return (nil, add(container, at: now)) }
        entries.values[index].lastAsked = questions
        let entry = entries.values[index]
        switch entry.stage {
        case .settled:
            let isOld = now - entry.answeredAt >= (beganAnew ? limits.believedWhereItBegan : limits.believed)
            return (entry.facts, isOld && enqueue(container, at: index))
        case .unknown(let until): return (entry.facts, now >= until && enqueue(container, at: index))
        case .waiting, .asking, .retrying: return (entry.facts, false)
        }
    }

    private mutating func add(_ container: ContainerReference, at now: Instant) -> Bool {
        guard hasRoomToWait else {
            shed &+= 1
            return false
        }
        makeRoom()
        entries[container] = Entry(stage: .waiting, answeredAt: now, lastAsked: questions)
        queue.append(container)
        return true
    }

    private mutating func enqueue(_ container: ContainerReference, at index: Dictionary<ContainerReference, Entry>.Index) -> Bool {
        guard hasRoomToWait else {
            shed &+= 1
            return false
        }
        entries.values[index].stage = .waiting
        queue.append(container)
        return true
    }

    private var hasRoomToWait: Bool { queue.count - queueStart < limits.waiting }

    /// An eighth of all, so that this is seldom.
    private mutating func makeRoom() {
        guard entries.count >= limits.containers else { return }
        let oldest = entries.map { ($1.lastAsked, $0) }.sorted { $0.0 < $1.0 }.prefix(max(1, limits.containers / 8))
        for (_, container) in oldest { entries[container] = nil }
    }

    // MARK: - Answers

    /// What to do now. After `inspect` one of ``answered(_:_:at:)`` and ``failed(_:at:)`` follows.
    mutating func next(at now: Instant) -> Step {
        guard asking < limits.concurrency else { return .rest }
        requeue(at: now)
        while let container = dequeue() {
            guard let index = entries.index(forKey: container), case .waiting = entries.values[index].stage else { continue }
            entries.values[index].stage = .asking
            asking += 1
            return .inspect(container)
        }
        return retries.map(\.moment).min().map { .wait(until: $0) } ?? .rest
    }

    /// Those whose time to be asked about again has come; those for whom there is no room at the next occasion.
    private mutating func requeue(at now: Instant) {
        guard retries.contains(where: { $0.moment <= now }) else { return }
        var later: [(moment: Instant, container: ContainerReference)] = []
        for retry in retries {
            guard retry.moment <= now, hasRoomToWait else {
                later.append(retry)
                continue
            }
            guard let index = entries.index(forKey: retry.container), case .retrying = entries.values[index].stage else { continue }
            entries.values[index].stage = .waiting
            queue.append(retry.container)
        }
        retries = later
    }

    private mutating func dequeue() -> ContainerReference? {
        guard queueStart < queue.count else {
            queue.removeAll(keepingCapacity: true)
            queueStart = 0
            return nil
        }
        defer { queueStart += 1 }
        return queue[queueStart]
    }

    /// Nil: there is no such container.
    mutating func answered(_ container: ContainerReference, _ facts: ContainerFacts?, at now: Instant) {
        asking -= 1
        guard let index = entries.index(forKey: container), case .asking = entries.values[index].stage else { return }
        entries.values[index].answeredAt = now
        if let facts {
            entries.values[index].facts = facts
            entries.values[index].stage = .settled
            entries.values[index].misses = 0
        } else if entries.values[index].facts != nil {
            // Removed in the meantime: what was known of it is still true of what it did.
            entries.values[index].stage = .settled
        } else {
            entries.values[index].stage = .unknown(until: now + Self.pause(limits.unknown, after: entries.values[index].misses))
            entries.values[index].misses += 1
        }
    }

    /// Nobody answered.
    mutating func failed(_ container: ContainerReference, at now: Instant) {
        asking -= 1
        failed &+= 1
        guard let index = entries.index(forKey: container), case .asking = entries.values[index].stage else { return }
        entries.values[index].stage = .retrying
        retries.append((now + Self.pause(limits.retry, after: entries.values[index].misses), container))
        entries.values[index].misses += 1
    }

    private static func pause(_ range: (first: Duration, longest: Duration), after misses: Int) -> Duration {
        min(range.first * (1 << min(misses, 20)), range.longest)
    }

    // MARK: - What there is

    var counters: Counters {
        var counters = Counters(failed: failed, shed: shed)
        for entry in entries.values {
            if entry.facts != nil { counters.known += 1 }
            switch entry.stage {
            case .settled: break
            case .waiting, .asking, .retrying: counters.pending += 1
            case .unknown: counters.unknown += 1
            }
        }
        return counters
    }

    /// The names of those whose facts are there, in order.
    var names: [String] { entries.values.compactMap { $0.facts?.name }.sorted() }
}
