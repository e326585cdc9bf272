package import RiposteCore

/// What the engine takes from outside itself: time, names, chance and tasks. The agent's are the machine's; a simulation hands in its own, so
/// that the same seed gives the same journal.
package struct Surroundings: Sendable {
    /// The wall clock: what records say and due times are held against. It may be set, forwards and backwards.
    package var now: @Sendable () -> Timestamp
    /// Time since some moment, which nobody sets: what durations are measured by.
    package var uptime: @Sendable () -> Duration
    /// Waits by ``uptime``; throws where the task is cancelled.
    package var sleep: @Sendable (Duration) async throws -> Void
    package var newIdentifier: @Sendable () -> Identifier
    /// For jitter, not for secrets.
    package var random: @Sendable () -> UInt64
    /// Sets something going that nobody waits for.
    package var spawn: @Sendable (@escaping @Sendable () async -> Void) -> Void
    /// The same, but it may begin before this returns, and go on here until it waits for something: for whoever holds no lock, and is in a hurry.
    package var start: @Sendable (@escaping @Sendable () async -> Void) -> Void
    /// Somebody may set ``now``: who waits for it looks at it now and then.
    package var clockMayBeSet = true

    package init(
        now: @escaping @Sendable () -> Timestamp, uptime: @escaping @Sendable () -> Duration, sleep: @escaping @Sendable (Duration) async throws -> Void,
        newIdentifier: @escaping @Sendable () -> Identifier, random: @escaping @Sendable () -> UInt64,
        spawn: @escaping @Sendable (@escaping @Sendable () async -> Void) -> Void, start: (@Sendable (@escaping @Sendable () async -> Void) -> Void)? = nil
    ) {
        self.now = now
        self.uptime = uptime
        self.sleep = sleep
        self.newIdentifier = newIdentifier
        self.random = random
        self.spawn = spawn
        self.start = start ?? spawn
    }

    private static let origin = ContinuousClock.now

    /// This machine's clocks, its randomness, and Swift's own pool of threads.
    package static let machine = Surroundings(
        now: { .now() }, uptime: { ContinuousClock.now - origin }, sleep: { try await Task.sleep(for: $0) }, newIdentifier: { .new() },
        random: { UInt64.random(in: 0...UInt64.max) }, spawn: { body in Task { await body() } }, start: { body in Task.immediate { await body() } })
}
