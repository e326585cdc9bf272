internal import CRiposte
internal import Glibc
internal import RiposteCore
internal import Synchronization

/// Prints what happens, in order, to a descriptor whose reader may be slow, and holds up nobody who has something to print.
///
/// The first line after a quiet time is written by whoever brings it, if the kernel takes it without waiting (RWF_NOWAIT): that is sooner than any
/// thread wakes. What comes close behind it, and what the kernel does not take at once, is written by a thread of the printer's own. What is beyond the
/// bound is not printed, and counted.
package final class LinePrinter<Element: Sendable>: Sendable {
    private struct Waiting {
        var elements: [Element] = []
        var lost = 0
        /// What of a line was not taken.
        var rest: [UInt8] = []
        /// The thread has taken lines that are not written yet.
        var isPrinting = false
        /// When a line was written at once, last.
        var written: UInt64 = 0
        /// Whether the descriptor can be written to without waiting; not every kind of file can.
        var canTry = true

        var isIdle: Bool { elements.isEmpty && rest.isEmpty && lost == 0 && !isPrinting }
    }

    private struct Load {
        var elements: [Element]
        var lost: Int
        var rest: [UInt8]
    }

    private let descriptor: Atomic<CInt>
    private let bound: Int
    private let quiet: UInt64
    private let line: @Sendable (Element) -> String
    private let onLoss: @Sendable (Int) -> Void
    private let waiting = Mutex(Waiting())
    private let attendant = Mutex<Attendant?>(nil)
    /// Of the first write that failed, as errno; 0: none.
    private let failed = Atomic<CInt>(0)

    /// `line` renders one element, without its newline, and does not wait; `onLoss` is told on the printer's thread how many were not printed. `quiet`: how
    /// long after a line that was written at once the next one may be; a flood is the thread's work. The descriptor stays the caller's.
    package init(
        descriptor: CInt = STDOUT_FILENO, bound: Int = 8192, quiet: Duration = .milliseconds(1), onLoss: @escaping @Sendable (Int) -> Void,
        line: @escaping @Sendable (Element) -> String
    ) {
        self.descriptor = Atomic(descriptor)
        self.bound = bound
        self.quiet = UInt64(max(0, quiet / .nanoseconds(1)))
        self.line = line
        self.onLoss = onLoss
        let attendant = Attendant(name: "riposte-output") { [weak self] in self?.printAll() }
        self.attendant.withLock { $0 = attendant }
    }

    package func take(_ element: Element) {
        let isForThread = waiting.withLock { waiting -> Bool in
            if mayTry(&waiting) { return !tryNow(element, &waiting) }
            if waiting.elements.count < bound { waiting.elements.append(element) } else { waiting.lost += 1 }
            return true
        }
        if isForThread { attendant.withLock { $0?.call() } }
    }

    /// From now on to another one, which stays the caller's too.
    package func use(descriptor: CInt) { self.descriptor.store(descriptor, ordering: .relaxed) }

    /// Why something could not be printed, as errno: EPIPE where nobody reads any more.
    package var failure: CInt? {
        let code = failed.load(ordering: .relaxed)
        return code == 0 ? nil : code
    }

    private func fail(_ code: CInt) { _ = failed.compareExchange(expected: 0, desired: code, ordering: .relaxed) }

    /// Returns when all is printed.
    package func finish() { attendant.withLock { $0.take() }?.end() }

    // MARK: - At once

    private func mayTry(_ waiting: inout Waiting) -> Bool {
        guard waiting.canTry, waiting.isIdle else { return false }
        let now = Self.now()
        guard now - waiting.written >= quiet else { return false }
        waiting.written = now
        return true
    }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Whether the line is written; if not, what is left of it waits for the thread.
    private func tryNow(_ element: Element, _ waiting: inout Waiting) -> Bool {
        let bytes = Self.bytes(line(element))
        switch bytes.withUnsafeBytes({ riposte_write_now(descriptor.load(ordering: .relaxed), $0.baseAddress, $0.count) }) {
        case let count where count >= 0: waiting.rest = Array(bytes[count...])
        case -Int(EPIPE): fail(EPIPE)
        case -Int(EAGAIN), -Int(EINTR): waiting.rest = bytes
        default:
            // -EOPNOTSUPP mostly: of terminals, and of pipes before Linux 6.4.
            waiting.canTry = false
            waiting.rest = bytes
        }
        return waiting.rest.isEmpty
    }

    private static func bytes(_ line: String) -> [UInt8] {
        var bytes = Array(line.utf8)
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    // MARK: - By the thread

    private func printAll() {
        let load = waiting.withLock { waiting in
            defer { (waiting.elements, waiting.lost, waiting.rest, waiting.isPrinting) = ([], 0, [], true) }
            return Load(elements: waiting.elements, lost: waiting.lost, rest: waiting.rest)
        }
        write(load.rest)
        for element in load.elements { write(Self.bytes(line(element))) }
        if load.lost > 0 { onLoss(load.lost) }
        // What came meanwhile called for the thread once more.
        waiting.withLock { $0.isPrinting = false }
    }

    private func write(_ bytes: [UInt8]) {
        let descriptor = descriptor.load(ordering: .relaxed)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                // Somebody has made it non-blocking: it is shared with whoever started us.
                var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&wait, 1, -1)
                continue
            }
            guard count > 0 else { return fail(count < 0 ? errno : EIO) }
            rest = rest.dropFirst(count)
        }
    }
}
