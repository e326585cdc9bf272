internal import CRiposte
internal import Foundation
internal import Glibc
internal import RiposteCore
internal import Synchronization

/// Waits for descriptors to become readable on one thread of its own. Swift's pool has a thread per core; a wait in it would hold up every
/// other response.
final class DescriptorWaiter: Sendable {
    static let shared = DescriptorWaiter()

    private struct Interior {
        var waits = DescriptorWaits<CheckedContinuation<Bool, Never>>()
        var isRunning = false
        var nextTicket = 0
    }

    private let interior = Mutex(Interior())
    private let wakeUp = riposte_eventfd()

    /// True when the descriptor is readable, false when the time is up first, or the task is cancelled.
    func readable(_ descriptor: Int32, within time: Duration) async -> Bool {
        if Self.isReadable(descriptor) { return true }
        let ticket = interior.withLock { interior in
            interior.nextTicket += 1
            return interior.nextTicket
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let start = interior.withLock { interior -> Bool? in
                    guard !Task.isCancelled else { return nil }
                    interior.waits.add(ticket, descriptor, until: .now + time, continuation)
                    defer { interior.isRunning = true }
                    return !interior.isRunning
                }
                guard let start else { return continuation.resume(returning: false) }
                if start { Thread.detachNewThread { [self] in run() } }
                wake()
            }
        } onCancel: {
            let waiting = interior.withLock { $0.waits.remove(ticket) }
            waiting?.resume(returning: false)
            // The descriptor is the caller's again; the thread must not poll it.
            if waiting != nil { wake() }
        }
    }

    private func wake() {
        var one: UInt64 = 1
        write(wakeUp, &one, MemoryLayout<UInt64>.size)
    }

    static func isReadable(_ descriptor: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) > 0
    }

    /// Runs as long as the process: there is one, and it sleeps when nobody waits.
    private func run() {
        while true {
            let waits = interior.withLock(\.waits.list)
            var entries = [pollfd(fd: wakeUp, events: Int16(POLLIN), revents: 0)] + waits.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
            let next = waits.map(\.deadline).min().map { max(0, Int32(clamping: ContinuousClock.now.duration(to: $0).wholeMicroseconds / 1000 + 1)) }
            poll(&entries, nfds_t(entries.count), next ?? -1)
            var count: UInt64 = 0
            read(wakeUp, &count, MemoryLayout<UInt64>.size)
            let ready = Set(zip(waits, entries.dropFirst()).filter { $0.1.revents != 0 }.map(\.0.ticket))
            let settled = interior.withLock { $0.waits.settle(ready, at: .now) }
            for (continuation, isReady) in settled { continuation.resume(returning: isReady) }
        }
    }
}

/// Who waits for which descriptor. What was found ready belongs to the wait that was looked at, its ticket says which: while the look lasted that one may have been
/// called off, and its descriptor's number given to another.
struct DescriptorWaits<Waiter> {
    struct Wait {
        var ticket: Int
        var descriptor: Int32
        var deadline: ContinuousClock.Instant
        fileprivate var waiter: Waiter
    }

    private(set) var list: [Wait] = []

    mutating func add(_ ticket: Int, _ descriptor: Int32, until deadline: ContinuousClock.Instant, _ waiter: Waiter) {
        list.append(Wait(ticket: ticket, descriptor: descriptor, deadline: deadline, waiter: waiter))
    }

    /// Nil where it is settled already.
    mutating func remove(_ ticket: Int) -> Waiter? { list.firstIndex { $0.ticket == ticket }.map { list.remove(at: $0).waiter } }

    /// Takes out those that are ready, and those whose time is up.
    mutating func settle(_ ready: Set<Int>, at now: ContinuousClock.Instant) -> [(waiter: Waiter, isReady: Bool)] {
        let over = list.filter { ready.contains($0.ticket) || $0.deadline <= now }
        list.removeAll { ready.contains($0.ticket) || $0.deadline <= now }
        return over.map { ($0.waiter, ready.contains($0.ticket)) }
    }
}
