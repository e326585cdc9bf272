internal import Synchronization

/// One queue per target: what happens to the same target happens one after the other, different targets do not wait for each other.
///
/// A lane is a turn and not a thread. It exists while somebody has it or waits for it.
final class Lanes: Sendable {
    /// More waiters than this on one target say that something is wrong with it; the next one is turned away.
    static let waiterLimit = 64

    private struct Waiter {
        let ticket: Int
        let turn: CheckedContinuation<Bool, Never>
    }

    private struct Queues {
        /// Those who wait for the turn, by target; a key without waiters is a lane that somebody has.
        var waiters: [String: [Waiter]] = [:]
        var nextTicket = 0
    }

    private let queues = Mutex(Queues())

    /// Takes the turn where nobody has it.
    func enterAtOnce(_ key: String) -> Bool {
        queues.withLock { queues in
            guard queues.waiters[key] == nil else { return false }
            queues.waiters[key] = []
            return true
        }
    }

    /// Waits for the turn; false where too many wait already, or where the task is cancelled first. Whoever got true calls ``leave(_:)`` once. `isTurnedAway`: false for who is
    /// one of a bounded number anyway.
    func enter(_ key: String, isTurnedAway: Bool = true) async -> Bool {
        let ticket = queues.withLock { queues in
            queues.nextTicket += 1
            return queues.nextTicket
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { turn in
                let answer = queues.withLock { queues -> Bool? in
                    guard let queue = queues.waiters[key] else {
                        queues.waiters[key] = []
                        return true
                    }
                    guard queue.count < Self.waiterLimit || !isTurnedAway, !Task.isCancelled else { return false }
                    queues.waiters[key]?.append(Waiter(ticket: ticket, turn: turn))
                    return nil
                }
                if let answer { turn.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = queues.withLock { queues -> Waiter? in
                guard let index = queues.waiters[key]?.firstIndex(where: { $0.ticket == ticket }) else { return nil }
                return queues.waiters[key]?.remove(at: index)
            }
            waiter?.turn.resume(returning: false)
        }
    }

    /// How many stand behind the one who has the turn.
    func waiters(at key: String) -> Int { queues.withLock { $0.waiters[key]?.count ?? 0 } }

    func leave(_ key: String) {
        let next = queues.withLock { queues -> Waiter? in
            guard let queue = queues.waiters[key], !queue.isEmpty else {
                queues.waiters[key] = nil
                return nil
            }
            return queues.waiters[key]?.removeFirst()
        }
        next?.turn.resume(returning: true)
    }
}
