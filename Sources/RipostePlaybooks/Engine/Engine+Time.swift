package import RiposteCore

extension Engine {
    /// Something that falls due by the wall clock: an undo, the expiry of an approval, an escalation.
    struct Chore: Sendable {
        /// When it has something to do next; nil: not as things stand.
        let next: @Sendable (Engine) -> Timestamp?
        /// Does all that is due at `now`. What fails says in ``next`` when it wants to try again.
        let perform: @Sendable (Engine, _ now: Timestamp) async -> Void
    }

    /// All that falls due by itself.
    static let chores: [Chore] = [owedChore, recoveryChore, undoChore, breakerChore, approvalChore, modeChore, rolloutChore, incidentChore, reconciliationChore]

    /// Of a chore that has nothing to do as things stand.
    private static let never = Timestamp(nanoseconds: .max)

    /// Does what is due, when it is due, until the task is cancelled.
    package func keepTime() async {
        while !Task.isCancelled {
            var next = await doWhatIsDue()
            // Each look costs: a second one is only needed where the first one found something to do.
            if next == nil { next = Self.chores.compactMap { $0.next(self) }.min() ?? Self.never }
            await pause(until: next)
        }
    }

    /// Does what is due at this moment, once. Where nothing is, it says when something will be; else nil.
    @discardableResult
    package func doWhatIsDue() async -> Timestamp? {
        let now = surroundings.now()
        let times = Self.chores.map { (chore: $0, next: $0.next(self) ?? Self.never) }
        let due = times.filter { $0.next <= now }.map(\.chore)
        guard !due.isEmpty else { return times.map(\.next).min() }
        await withTaskGroup { group in
            for chore in due { group.addTask { await chore.perform(self, now) } }
        }
        return nil
    }

    /// What the wall clock will show at this ``Surroundings/uptime``, if nobody sets it: for what must not wait longer because somebody does.
    func wallTime(_ uptime: Duration) -> Timestamp { Self.time(surroundings.now(), in: uptime - surroundings.uptime()) }

    /// So much after a moment, and never before it: durations are finer than timestamps.
    static func time(_ now: Timestamp, in length: Duration) -> Timestamp { length > .zero ? now + length + .nanoseconds(1) : now + length }

    /// Until then, or until ``timeChanged`` rings; at most half a minute where the clock may be set, so that it is noticed.
    private func pause(until next: Timestamp?) async {
        let rest = next.map { $0 - surroundings.now() } ?? .seconds(30)
        let length = max(.milliseconds(1), surroundings.clockMayBeSet ? min(rest, .seconds(30)) : rest)
        await withTaskGroup { group in
            group.addTask { try? await self.surroundings.sleep(length) }
            group.addTask { await self.timeChanged.wait() }
            await group.next()
            group.cancelAll()
        }
    }

    // MARK: - Bookkeeping

    /// After a record that only keeps books was refused: nothing is lost, the next try comes a little later.
    func restBookkeeping() {
        let end = surroundings.uptime() + .seconds(10)
        state.withLock { $0.bookkeepingRests = end }
    }

    /// When bookkeeping that is due at `time` is to be done.
    func notBefore(_ time: Timestamp) -> Timestamp { max(time, state.withLock(\.bookkeepingRests).map(wallTime) ?? time) }
}
