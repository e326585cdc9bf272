internal import Dispatch
internal import Synchronization

/// Takes bodies one after the other, on threads that are there for nothing else.
///
/// What is in a body of megabytes is read and judged in one go. On Swift's pool, which has as many threads as there are processors, a few of them would be all that this agent
/// does for that long: no other listener, no order, no `riposte status`. Here a sender has one at work, all senders together ``atOnce``, and who has waited longest is next.
/// How many may wait is up to ``BodyRoom``.
final class BodyTurns: Sendable {
    private struct Waiting {
        let account: String
        let begin: CheckedContinuation<Void, Never>
    }

    private struct State {
        var atWork: Set<String> = []
        var waiting: [Waiting] = []
    }

    static let atOnce = 2
    private let state = Mutex(State())

    /// Returns when the body was taken.
    func take<Value: Sendable>(from account: String, _ body: @escaping @Sendable () -> Value) async -> Value {
        await turn(of: account)
        defer { end(account) }
        return await withCheckedContinuation { done in DispatchQueue.global().async { done.resume(returning: body()) } }
    }

    private func turn(of account: String) async {
        await withCheckedContinuation { begin in
            let isFree = state.withLock { state in
                guard state.atWork.count < Self.atOnce, !state.atWork.contains(account) else {
                    state.waiting.append(Waiting(account: account, begin: begin))
                    return false
                }
                state.atWork.insert(account)
                return true
            }
            if isFree { begin.resume() }
        }
    }

    private func end(_ account: String) {
        let next = state.withLock { state -> Waiting? in
            state.atWork.remove(account)
            guard let place = state.waiting.firstIndex(where: { !state.atWork.contains($0.account) }) else { return nil }
            state.atWork.insert(state.waiting[place].account)
            return state.waiting.remove(at: place)
        }
        next?.begin.resume()
    }
}
