internal import Glibc
internal import Synchronization

/// The one way to standard output: what could not be written is known, and is not passed off as success.
///
/// Lines are kept until there are many, until a terminal is to show them, until the command waits for more input (``flush()``), and until it ends (``end(with:)``). After the
/// first failure nothing more is written; the command goes on, because what it does may be half done, and whoever reads without end looks at ``isBroken``.
enum StandardOutput {
    /// Also what a terminal is asked for: one is shown each line as it comes.
    static let isTerminal = isatty(STDOUT_FILENO) == 1

    private struct State {
        var buffer: [UInt8] = []
        /// Of the first write that failed.
        var failure: CInt?
    }

    private static let state = Mutex(State())
    private static let bound = 1 << 15

    static func write(_ text: String) {
        state.withLock { state in
            guard state.failure == nil else { return }
            state.buffer += text.utf8
            if isTerminal || state.buffer.count >= bound { empty(&state) }
        }
    }

    /// What was printed so far is with the reader.
    static func flush() { state.withLock { empty(&$0) } }

    /// Whether what is printed reaches nobody any more.
    static var isBroken: Bool { state.withLock { $0.failure != nil } }

    /// What came of lines that were printed past this, by a ``LinePrinter``; nil: they were.
    static func note(_ failure: CInt?) { state.withLock { $0.failure = $0.failure ?? failure } }

    /// Ends the command. A reader that went away (`| head`) has what it wanted; anything else that kept results from being written is told, and is a failure (1).
    static func end(with status: Int32) -> Never {
        flush()
        guard let failure = state.withLock(\.failure), failure != EPIPE else { exit(status) }
        Terminal.complain("standard output cannot be written: \(String(cString: strerror(failure)))")
        exit(1)
    }

    private static func empty(_ state: inout State) {
        var rest = state.buffer[...]
        while !rest.isEmpty, state.failure == nil {
            let count = rest.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            switch (count, errno) {
            case (1..., _): rest = rest.dropFirst(count)
            case (..<0, EINTR): continue
            case (..<0, EAGAIN):
                // Somebody has made it non-blocking: it is shared with whoever started us.
                var wait = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
                _ = poll(&wait, 1, -1)
            case (let count, let code): state.failure = count < 0 ? code : EIO
            }
        }
        state.buffer.removeAll(keepingCapacity: true)
    }

    /// Where one of the three standard descriptors is closed, the next file that is opened would get its number, and with it what is printed: a descriptor that fails takes its place.
    static func claimStandardDescriptors() {
        for (descriptor, flags) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_RDONLY)] where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
            // The lowest number that is free, and those below are taken.
            _ = open("/dev/null", flags)
        }
    }
}

/// In place of Swift's: all that goes to standard output comes by here. JSON is harmless on a terminal; text for people is so already.
func print(_ text: String, terminator: String = "\n") { StandardOutput.write(Terminal.harmless(text) + terminator) }

/// Swift's own knows nothing of failures.
@available(*, unavailable, message: "print a String")
func print(_ items: Any, terminator: String = "\n") {}
