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
        fileprivate let known: AccountFiles.Stamp?
        private let result = Mutex<AccountFiles.Outcome?>(nil)
        private let done = DispatchSemaphore(value: 0)

        fileprivate init(pid: UInt32, mountNamespace: UInt32, known: AccountFiles.Stamp?) {
            (self.pid, self.mountNamespace, self.known) = (pid, mountNamespace, known)
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

    private static let threadLimit = 4
    private static let waitingLimit = 64

    /// What the threads share; they end when the reader does.
    private final class Office: Sendable {
        struct State {
            var orders: [Order] = []
            var threads = 0
            var idle = 0
            var isClosed = false
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
                    return state.orders.removeFirst()
                }
                guard let order else { return }
                order.finish(read(order.pid, order.mountNamespace, order.known))
                state.withLock { $0.idle += 1 }
            }
        }
    }

    private let office: Office

    init(_ read: @escaping Read) { office = Office(read) }

    deinit {
        let threads = office.state.withLock { state in
            state.isClosed = true
            return state.threads
        }
        for _ in 0..<threads { office.bell.signal() }
    }

    /// Nil where too many are waiting: all threads hang.
    func order(pid: UInt32, mountNamespace: UInt32, known: AccountFiles.Stamp?) -> Order? {
        let order = Order(pid: pid, mountNamespace: mountNamespace, known: known)
        let (isTaken, needsThread) = office.state.withLock { state -> (Bool, Bool) in
            guard state.orders.count < Self.waitingLimit else { return (false, false) }
            state.orders.append(order)
            guard state.idle < state.orders.count, state.threads < Self.threadLimit else { return (true, false) }
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
