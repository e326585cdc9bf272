internal import Synchronization

/// One queue per target: what happens to the same target happens one after the other, different targets do not wait for each other.
///
/// A lane is a turn and not a thread. It exists while somebody has it or waits for it.
final class Lanes: Sendable {
    /// More waiters than this on one target say that something is wrong with it; the next one is turned away.
    static let waiterLimit = 64

    /// Those who wait for the turn, by target; a key without waiters is a lane that somebody has.
    private let waiters = Mutex<[String: [CheckedContinuation<Bool, Never>]]>([:])

    /// Takes the turn where nobody has it.
    func enterAtOnce(_ key: String) -> Bool {
        waiters.withLock { waiters in
            guard waiters[key] == nil else { return false }
            waiters[key] = []
            return true
        }
    }

    /// Waits for the turn; false where too many wait already. Whoever got true calls ``leave(_:)`` once.
    func enter(_ key: String) async -> Bool {
        await withCheckedContinuation { turn in
            let answer: Bool? = waiters.withLock { waiters in
                guard let queue = waiters[key] else {
                    waiters[key] = []
                    return true
                }
                guard queue.count < Self.waiterLimit else { return false }
                waiters[key]?.append(turn)
                return nil
            }
            if let answer { turn.resume(returning: answer) }
        }
    }

    func leave(_ key: String) {
        let next = waiters.withLock { waiters -> CheckedContinuation<Bool, Never>? in
            guard let queue = waiters[key], !queue.isEmpty else {
                waiters[key] = nil
                return nil
            }
            return waiters[key]?.removeFirst()
        }
        next?.resume(returning: true)
    }
}
