internal import RiposteCore
internal import Synchronization

extension Engine {
    /// How long a call that was cancelled may take to come back until it is called hanging.
    static let settlingTime = Duration.seconds(2)

    /// Makes a call that heeds cancellation, and cancels it when the order's time is up or the order is called off. Returns when the call does.
    ///
    /// A prompt call begins here and now. Where it is back without having waited for anything, nobody has to watch over it, and no timer is set.
    func heeding<Value: Sendable>(
        _ watch: OrderWatch, until deadline: Duration, isPrompt: Bool = false, interrupted: @escaping @Sendable () -> Void = {}, _ call: @escaping @Sendable () async -> Value
    ) async -> Value {
        let left = deadline - surroundings.uptime()
        let isBack = Flag()
        return await withTaskGroup(of: CallPart<Value>.self) { group in
            let part: @Sendable () async -> CallPart<Value> = {
                let value = await call()
                isBack.raise()
                return .answer(value)
            }
            if isPrompt { group.addImmediateTask(operation: part) } else { group.addTask(operation: part) }
            guard !isPrompt || !isBack.isRaised else { return await Self.answer(&group) {} }
            group.addTask {
                await watch.calledOff()
                return .interruption
            }
            group.addTask {
                try? await self.surroundings.sleep(max(.zero, left))
                return .interruption
            }
            return await Self.answer(&group, interrupted)
        }
    }

    /// What the call in the group comes to. Whoever is first ends the others.
    private static func answer<Value: Sendable>(_ group: inout TaskGroup<CallPart<Value>>, _ interrupted: () -> Void) async -> Value {
        var answer: Value?
        for await part in group {
            if case .answer(let value) = part { answer = value } else if answer == nil, !group.isCancelled { interrupted() }
            group.cancelAll()
        }
        guard let answer else { preconditionFailure("the group ends when the call has returned") }
        return answer
    }

    /// The same for a call that may not heed cancellation: nil when it has not come back ``settlingTime`` after it was cancelled. Then it goes on by itself, and
    /// `late` takes what it returns in the end.
    func patiently<Value: Sendable>(
        _ watch: OrderWatch, until deadline: Duration, isPrompt: Bool, _ call: @escaping @Sendable () async -> Value, late: @escaping @Sendable (Value) -> Void = { _ in }
    ) async -> Value? {
        let answer = OneAnswer<Value>()
        let begin = isPrompt ? surroundings.start : surroundings.spawn
        begin {
            let value = await self.heeding(
                watch, until: deadline, isPrompt: isPrompt,
                interrupted: {
                    self.surroundings.spawn {
                        try? await self.surroundings.sleep(Self.settlingTime)
                        _ = answer.give(nil)
                    }
                }, call)
            if !answer.give(value) { late(value) }
        }
        return await answer.wait()
    }
}

/// What happens first while a call is under way.
private enum CallPart<Value: Sendable>: Sendable { case answer(Value), interruption }

/// Raised once, by whoever is under way.
private final class Flag: Sendable {
    private let state = Atomic(false)

    var isRaised: Bool { state.load(ordering: .acquiring) }
    func raise() { state.store(true, ordering: .releasing) }
}

/// One answer for one who waits; whoever gives first gives it.
private final class OneAnswer<Value: Sendable>: Sendable {
    private enum State {
        case open
        case awaited(CheckedContinuation<Value?, Never>)
        case given(Value?)
        case over
    }

    private let state = Mutex(State.open)

    /// False where another answer was first.
    func give(_ value: Value?) -> Bool {
        let (isFirst, waiter) = state.withLock { state -> (Bool, CheckedContinuation<Value?, Never>?) in
            switch state {
            case .open:
                state = .given(value)
                return (true, nil)
            case .awaited(let waiter):
                state = .over
                return (true, waiter)
            case .given, .over: return (false, nil)
            }
        }
        waiter?.resume(returning: value)
        return isFirst
    }

    /// Once.
    func wait() async -> Value? {
        await withCheckedContinuation { continuation in
            let value: Value?? = state.withLock { state in
                if case .given(let value) = state {
                    state = .over
                    return .some(value)
                }
                state = .awaited(continuation)
                return nil
            }
            if let value { continuation.resume(returning: value) }
        }
    }
}
