internal import CRiposte
internal import Foundation
internal import Glibc
internal import RiposteCore
internal import Synchronization

/// Waits for descriptors to become readable on one thread of its own. Swift's pool has a thread per core; a wait in it would hold up every
/// other response.
final class DescriptorWaiter: Sendable {
    static let shared = DescriptorWaiter()

    private struct Wait {
        var descriptor: Int32
        var deadline: ContinuousClock.Instant
        var ticket: Int
        var continuation: CheckedContinuation<Bool, Never>
    }

    private struct Interior {
        var waits: [Wait] = []
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
                    interior.waits.append(Wait(descriptor: descriptor, deadline: .now + time, ticket: ticket, continuation: continuation))
                    defer { interior.isRunning = true }
                    return !interior.isRunning
                }
                guard let start else { return continuation.resume(returning: false) }
                if start { Thread.detachNewThread { [self] in run() } }
                wake()
            }
        } onCancel: {
            let wait = interior.withLock { interior in
                interior.waits.firstIndex { $0.ticket == ticket }.map { interior.waits.remove(at: $0) }
            }
            wait?.continuation.resume(returning: false)
            // The descriptor is the caller's again; the thread must not poll it.
            if wait != nil { wake() }
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
            let waits = interior.withLock { interior in interior.waits.map { (descriptor: $0.descriptor, deadline: $0.deadline) } }
            var entries = [pollfd(fd: wakeUp, events: Int16(POLLIN), revents: 0)] + waits.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
            let next = waits.map(\.deadline).min().map { max(0, Int32(clamping: ContinuousClock.now.duration(to: $0).wholeMicroseconds / 1000 + 1)) }
            poll(&entries, nfds_t(entries.count), next ?? -1)
            var count: UInt64 = 0
            read(wakeUp, &count, MemoryLayout<UInt64>.size)
            let ready = Set(entries.dropFirst().filter { $0.revents != 0 }.map(\.fd))
            settle(ready)
        }
    }

    private func settle(_ ready: Set<Int32>) {
        let now = ContinuousClock.now
        let settled = interior.withLock { interior -> [(CheckedContinuation<Bool, Never>, Bool)] in
            let over = interior.waits.filter { ready.contains($0.descriptor) || $0.deadline <= now }
            interior.waits.removeAll { ready.contains($0.descriptor) || $0.deadline <= now }
            return over.map { ($0.continuation, ready.contains($0.descriptor)) }
        }
        for (continuation, isReady) in settled { continuation.resume(returning: isReady) }
    }
}
