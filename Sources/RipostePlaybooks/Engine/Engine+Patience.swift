internal import RiposteCore
internal import Synchronization

extension Engine {
    /// How long a call that was cancelled may take to come back until it is called hanging.
    static let settlingTime = Duration.seconds(2)

    /// Makes a call that heeds cancellation, and cancels it when the order's time is up or the order is called off. Returns when the call does.
    func heeding<Value: Sendable>(
        _ watch: OrderWatch, until deadline: Duration, interrupted: @escaping @Sendable () -> Void = {}, _ call: @escaping @Sendable () async -> Value
    ) async -> Value {
        let left = deadline - surroundings.uptime()
        return await withTaskGroup(of: CallPart<Value>.self) { group in
            group.addTask { .answer(await call()) }
            group.addTask {
                await watch.calledOff()
                return .interruption
            }
            group.addTask {
                try? await self.surroundings.sleep(max(.zero, left))
                return .interruption
            }
            var answer: Value?
            for await part in group {
                if case .answer(let value) = part { answer = value } else if answer == nil, !group.isCancelled { interrupted() }
                group.cancelAll()
            }
            guard let answer else { preconditionFailure("the group ends when the call has returned") }
            return answer
        }
    }

    /// The same for a call that may not heed cancellation: nil when it has not come back ``settlingTime`` after it was cancelled. Then it goes on by itself, and
    /// `late` takes what it returns in the end.
    func patiently<Value: Sendable>(
        _ watch: OrderWatch, until deadline: Duration, _ call: @escaping @Sendable () async -> Value, late: @escaping @Sendable (Value) -> Void = { _ in }
    ) async -> Value? {
        let answer = OneAnswer<Value>()
        surroundings.spawn {
            let value = await self.heeding(
                watch, until: deadline,
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
