internal import Dispatch
internal import Foundation
internal import Synchronization

/// A thread that does what may come a moment later, for callers who must not lose that moment: to wake a sleeping thread costs them tens of
/// microseconds. So it stays awake for a while after each call, looking now and then, and only then sleeps until it is called again.
package final class Attendant: Sendable {
    private let pause: UInt32
    private let patience: Int
    private let body: @Sendable () -> Void
    private let isCalled = Atomic<Bool>(false)
    private let isAsleep = Atomic<Bool>(false)
    private let isEnding = Atomic<Bool>(false)
    private let alarm = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    /// Looks each `pause` milliseconds, and sleeps once it was not called for as many looks as `patience` says.
    package init(name: String, pause milliseconds: UInt32 = 2, patience: Int = 50, _ body: @escaping @Sendable () -> Void) {
        pause = milliseconds * 1000
        self.patience = patience
        self.body = body
        let thread = Thread { [self] in attend() }
        thread.name = name
        thread.start()
    }

    /// `body` runs at least once after this, soon. Any thread.
    package func call() {
        isCalled.store(true, ordering: .sequentiallyConsistent)
        if isAsleep.exchange(false, ordering: .sequentiallyConsistent) { alarm.signal() }
    }

    /// Returns when all that was called for is done and the thread has ended. Once only.
    package func end() {
        isEnding.store(true, ordering: .sequentiallyConsistent)
        call()
        ended.wait()
    }

    private func attend() {
        var idle = 0
        while true {
            usleep(pause)
            let isLast = isEnding.load(ordering: .sequentiallyConsistent)
            if isCalled.exchange(false, ordering: .sequentiallyConsistent) {
                idle = 0
                body()
            } else {
                idle += 1
            }
            if isLast { break }
            if idle >= patience { sleep() }
        }
        ended.signal()
    }

    private func sleep() {
        isAsleep.store(true, ordering: .sequentiallyConsistent)
        // Called in between: awake again, unless the caller has seen us asleep and rings.
        if isCalled.load(ordering: .sequentiallyConsistent), isAsleep.exchange(false, ordering: .sequentiallyConsistent) { return }
        alarm.wait()
    }
}
