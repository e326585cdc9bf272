internal import Synchronization

/// The memory that a listener has for bodies, from their first byte until what is in them is taken: however many connections hold one open, there is no more of
/// it. Who is one and the same has half of it at most, so that nobody keeps all others out alone.
final class BodyRoom: Sendable {
    /// For a listener whose bodies have at most so many bytes.
    init(bodyLimit: Int) { limit = max(64 << 20, 4 * bodyLimit) }

    private let limit: Int
    private let state = Mutex((used: 0, byAccount: [String: Int]()))

    fileprivate func take(_ bytes: Int, _ account: String) -> Bool {
        state.withLock { state in
            let own = state.byAccount[account, default: 0]
            guard state.used + bytes <= limit, own + bytes <= limit / 2 else { return false }
            state.used += bytes
            state.byAccount[account] = own + bytes
            return true
        }
    }

    fileprivate func give(_ bytes: Int, _ account: String) {
        state.withLock { state in
            state.used -= bytes
            let own = state.byAccount[account, default: 0] - bytes
            state.byAccount[account] = own > 0 ? own : nil
        }
    }

    /// One body as it comes in. Its room is given back with it.
    struct Body: ~Copyable {
        private let room: BodyRoom
        private let account: String
        /// What it may have at most, by its own words.
        private let length: Int
        private var held = 0
        private(set) var bytes: [UInt8] = []

        init(_ room: BodyRoom, account: String, length: Int) {
            self.room = room
            self.account = account
            self.length = length
        }

        deinit { if held > 0 { room.give(held, account) } }

        /// False where there is no room.
        mutating func append(_ more: some Collection<UInt8>) -> Bool {
            let needed = bytes.count + more.count
            if needed > held {
                // Twice as much each time, as the array would grow by itself, and no more than will come.
                let wanted = max(needed, min(2 * held, length))
                guard room.take(wanted - held, account) else { return false }
                held = wanted
                bytes.reserveCapacity(wanted)
            }
            bytes.append(contentsOf: more)
            return true
        }
    }
}
