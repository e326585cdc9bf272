internal import Synchronization

/// A call that somebody waits for, but not for ever. It runs on by itself: what hangs in the kernel or in a library nobody can end, so whoever has no
/// patience left goes on without it, and can still learn of its end.
final class PatientCall<Answer: Sendable>: Sendable {
    private final class Slot: Sendable {
        struct State {
            var answer: Answer?
            var listener: Bell?
        }

        let state = Mutex(State())
        let bell = Bell()

        func take(_ answer: Answer) {
            let listener = state.withLock { state in
                state.answer = answer
                return state.listener
            }
            bell.ring(.orders)
            listener?.ring(.orders)
        }
    }

    private let slot: Slot
    private let task: Task<Void, Never>

    init(_ body: @escaping @Sendable () async -> Answer) {
        let slot = Slot()
        self.slot = slot
        task = Task { slot.take(await body()) }
    }

    /// Where there is one by now.
    var answer: Answer? { slot.state.withLock(\.answer) }

    /// The answer, if it comes until then and the caller is not cancelled before. One waits at a time.
    func answer(until end: ContinuousClock.Instant, _ clock: OutputClock) async -> Answer? {
        while true {
            if let answer { return answer }
            guard !Task.isCancelled, clock.now().instant < end else { return nil }
            await slot.bell.listen(until: end, clock)
        }
    }

    /// The same where the caller is cancelled: what has been done already is still to be heard of.
    func lastWord(within time: Duration, _ clock: OutputClock) async -> Answer? {
        await Task { await self.answer(until: clock.now().instant + time, clock) }.value
    }

    /// Asks it to end.
    func cancel() { task.cancel() }

    /// Rings when it has ended, or now if it has.
    func tell(_ bell: Bell) {
        let hasEnded = slot.state.withLock { state in
            state.listener = bell
            return state.answer != nil
        }
        if hasEnded { bell.ring(.orders) }
    }

    /// Returns at its end, which may never come.
    func end() async { await task.value }
}
