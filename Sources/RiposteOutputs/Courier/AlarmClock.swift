internal import Dispatch
internal import Foundation
internal import Synchronization

/// Wakes tasks at their time, on one thread. A sleep that is cancelled is gone at once: `Task.sleep` keeps a cancelled one until its time has come,
/// and a deadline for each delivery would be thousands of them.
final class AlarmClock: Sendable {
    private struct Interior {
        var sleepers: [UInt64: (end: ContinuousClock.Instant, continuation: CheckedContinuation<Void, Never>)] = [:]
        var lastID: UInt64 = 0
        var isRunning = false
    }

    static let shared = AlarmClock()

    private let interior = Mutex(Interior())
    private let alarm = DispatchSemaphore(value: 0)

    /// Returns at the time, or when cancelled.
    func sleep(until end: ContinuousClock.Instant) async {
        let id = interior.withLock { interior in
            interior.lastID += 1
            return interior.lastID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in add(id, end, continuation) }
        } onCancel: {
            let sleeper = interior.withLock { $0.sleepers.removeValue(forKey: id) }
            sleeper?.continuation.resume()
        }
    }

    private func add(_ id: UInt64, _ end: ContinuousClock.Instant, _ continuation: CheckedContinuation<Void, Never>) {
        let (isTaken, isFirst, mustStart) = interior.withLock { interior in
            guard !Task.isCancelled else { return (false, false, false) }
            let isFirst = interior.sleepers.values.allSatisfy { $0.end > end }
            interior.sleepers[id] = (end, continuation)
            defer { interior.isRunning = true }
            return (true, isFirst, !interior.isRunning)
        }
        guard isTaken else { return continuation.resume() }
        if mustStart { start() } else if isFirst { alarm.signal() }
    }

    private func start() {
        let thread = Thread { [self] in while true { ring() } }
        thread.name = "riposte-alarm"
        thread.start()
    }

    private func ring() {
        let now = ContinuousClock.now
        let (due, next) = interior.withLock { interior in
            let due = interior.sleepers.filter { $0.value.end <= now }
            for id in due.keys { interior.sleepers[id] = nil }
            return (due.values.map(\.continuation), interior.sleepers.values.map(\.end).min())
        }
        for continuation in due { continuation.resume() }
        guard let next else { return alarm.wait() }
        let pause = max(.zero, next - now).components
        let nanoseconds = min(pause.seconds, 86400) * 1_000_000_000 + pause.attoseconds / 1_000_000_000
        _ = alarm.wait(timeout: .now() + .nanoseconds(Int(nanoseconds)))
    }
}
