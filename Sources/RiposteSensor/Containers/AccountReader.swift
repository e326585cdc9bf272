internal import Dispatch
internal import Foundation
internal import Synchronization

/// Threads that read files which may never come: the file system below a container's root can be one that a process in it serves, and that process may
/// let the reader wait for ever. So the sensor's thread has others read, and waits a moment at most.
final class AccountReader: Sendable {
    typealias Read = @Sendable (_ pid: UInt32, _ mountNamespace: UInt32, _ known: AccountFiles.Stamp?) -> AccountFiles.Outcome

    /// One reading that was asked for.
    final class Order: Sendable {
        fileprivate let pid: UInt32
        fileprivate let mountNamespace: UInt32
        fileprivate let container: ContainerReference
        fileprivate let known: AccountFiles.Stamp?
        private let result = Mutex<AccountFiles.Outcome?>(nil)
        private let done = DispatchSemaphore(value: 0)

        fileprivate init(pid: UInt32, mountNamespace: UInt32, container: ContainerReference, known: AccountFiles.Stamp?) {
            (self.pid, self.mountNamespace, self.container, self.known) = (pid, mountNamespace, container, known)
        }

        /// Nil: not yet.
        var outcome: AccountFiles.Outcome? { result.withLock(\.self) }

        func wait(_ time: Duration) -> AccountFiles.Outcome? {
            _ = done.wait(timeout: .now() + .nanoseconds(Int(time / .nanoseconds(1))))
            return outcome
        }

        fileprivate func finish(_ outcome: AccountFiles.Outcome) {
            result.withLock { $0 = outcome }
            done.signal()
        }
    }

    /// That read at once, not counting those that hang: whoever lets them wait must not keep the files of others from being read.
    private static let threadLimit = 4
    private static let hangingLimit = 32
    private static let waitingLimit = 64

    /// What the threads share; they end when the reader does.
    private final class Office: Sendable {
        struct State {
            var orders: [Order] = []
            var threads = 0
            var idle = 0
            var isClosed = false
            /// What is being read, and since when.
            var underWay: [ObjectIdentifier: (order: Order, since: ContinuousClock.Instant)] = [:]

            func hanging(_ patience: Duration) -> [Order] {
                let now = ContinuousClock.now
                return underWay.values.filter { now - $0.since >= patience }.map(\.order)
            }
        }

        let read: Read
        let state = Mutex(State())
        let bell = DispatchSemaphore(value: 0)

        init(_ read: @escaping Read) { self.read = read }

        func work() {
            while true {
                bell.wait()
                let order = state.withLock { state -> Order? in
                    guard !state.isClosed, !state.orders.isEmpty else { return nil }
                    state.idle -= 1
                    let order = state.orders.removeFirst()
                    state.underWay[ObjectIdentifier(order)] = (order, .now)
                    return order
                }
                guard let order else { return }
                order.finish(read(order.pid, order.mountNamespace, order.known))
                state.withLock { state in
                    state.underWay[ObjectIdentifier(order)] = nil
                    state.idle += 1
                }
            }
        }
    }

    private let office: Office
    /// Who reads longer than this hangs.
    private let patience: Duration

    init(patience: Duration = .seconds(1), _ read: @escaping Read) { (self.patience, office) = (patience, Office(read)) }

    deinit {
        let threads = office.state.withLock { state in
            state.isClosed = true
            return state.threads
        }
        for _ in 0..<threads { office.bell.signal() }
    }

    /// Nil where too many are waiting, and where one that reads of the same container hangs already.
    func order(pid: UInt32, mountNamespace: UInt32, container: ContainerReference, known: AccountFiles.Stamp?) -> Order? {
        let order = Order(pid: pid, mountNamespace: mountNamespace, container: container, known: known)
        let (isTaken, needsThread) = office.state.withLock { state -> (Bool, Bool) in
            let hanging = state.hanging(patience)
            guard state.orders.count < Self.waitingLimit, !hanging.contains(where: { $0.container == container }) else { return (false, false) }
            state.orders.append(order)
            guard state.idle < state.orders.count, state.threads < Self.threadLimit + min(hanging.count, Self.hangingLimit) else { return (true, false) }
            state.threads += 1
            state.idle += 1
            return (true, true)
        }
        guard isTaken else { return nil }
        if needsThread {
            let thread = Thread { [office] in office.work() }
            thread.name = "riposte-accounts"
            thread.start()
        }
        office.bell.signal()
        return order
    }
}
