internal import RiposteCore

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

    /// Does what is due, when it is due, until the task is cancelled.
    package func keepTime() async {
        while !Task.isCancelled {
            await doWhatIsDue()
            await pause(until: Self.chores.compactMap { $0.next(self) }.min())
        }
    }

    /// Does what is due at this moment, once.
    package func doWhatIsDue() async {
        let now = surroundings.now()
        await withTaskGroup { group in
            for chore in Self.chores where chore.next(self).map({ $0 <= now }) ?? false { group.addTask { await chore.perform(self, now) } }
        }
    }

    /// What the wall clock will show at this ``Surroundings/uptime``, if nobody sets it: for what must not wait longer because somebody does.
    func wallTime(_ uptime: Duration) -> Timestamp { Self.time(surroundings.now(), in: uptime - surroundings.uptime()) }

    /// So much after a moment, and never before it: durations are finer than timestamps.
    static func time(_ now: Timestamp, in length: Duration) -> Timestamp { length > .zero ? now + length + .nanoseconds(1) : now + length }

    /// Until then, or until ``timeChanged`` rings; at most half a minute, so that a clock that was set is noticed.
    private func pause(until next: Timestamp?) async {
        let length = max(.milliseconds(1), min(next.map { $0 - surroundings.now() } ?? .seconds(30), .seconds(30)))
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
        let end = surroundings.now() + .seconds(10)
        state.withLock { $0.bookkeepingRests = end }
    }

    /// When bookkeeping that is due at `time` is to be done.
    func notBefore(_ time: Timestamp) -> Timestamp { state.withLock { max(time, $0.bookkeepingRests ?? time) } }
}
