internal import CRiposte
internal import Dispatch
internal import Foundation
internal import Glibc
internal import ServiceLifecycle

/// A thread that blocks on descriptors for a source, and a way to wake it when the agent stops.
///
/// Intakes read on threads of their own: a line goes from the kernel to the engine without a hop through Swift's pool.
final class SourceThread: Sendable {
    /// Readable when the thread should end.
    let stop: Int32 = riposte_eventfd()

    /// Runs `body` on a new thread; returns when it has ended. A graceful shutdown or a cancellation makes `stop` readable.
    func run(named name: String, _ body: @escaping @Sendable (SourceThread) throws -> Void) async throws {
        try await withTaskCancellationHandler {
            try await withGracefulShutdownHandler {
                try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
                    let thread = Thread { done.resume(with: Result { try body(self) }) }
                    thread.name = name
                    thread.start()
                }
            } onGracefulShutdown: {
                self.wake()
            }
        } onCancel: {
            wake()
        }
        close(stop)
    }

    private func wake() {
        var one: UInt64 = 1
        write(stop, &one, MemoryLayout<UInt64>.size)
    }

    var isStopping: Bool { wait(for: [], 0).isEmpty == false }

    /// Waits until one of the descriptors can be read; those that can. Holds `stop` too, whenever it is time to end.
    func wait(for descriptors: [Int32], _ milliseconds: Int32) -> Set<Int32> {
        var entries = (descriptors + [stop]).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&entries, nfds_t(entries.count), milliseconds) > 0 else { return [] }
        return Set(entries.filter { $0.revents != 0 }.map(\.fd))
    }

    /// Hands in, waiting for room as long as it takes. False when it is time to end before that.
    func insist(_ body: () throws(AdmissionError) -> Void) -> Bool {
        var pause: Int32 = 5
        while true {
            do throws(AdmissionError) {
                try body()
                return true
            } catch {
                if error == .closed { return false }
                if wait(for: [], pause).contains(stop) { return false }
                pause = min(pause * 2, 1000)
            }
        }
    }
}
