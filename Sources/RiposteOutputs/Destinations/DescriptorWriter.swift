internal import Glibc
internal import RiposteTransport

/// Writes to a pipe or terminal whose reader may be slow, within a time. The descriptor stays the caller's, and need not be non-blocking: nothing is
/// written that the kernel has no room for.
struct DescriptorWriter {
    enum Problem: Equatable, CustomStringConvertible {
        /// Nobody reads; `wasBegun`: a part of it was written.
        case noRoom(wasBegun: Bool)
        case closed
        case cancelled(wasBegun: Bool)
        case failed(Int32)

        var wasBegun: Bool {
            switch self {
            case .noRoom(let wasBegun), .cancelled(let wasBegun): wasBegun
            case .closed, .failed: true
            }
        }

        var description: String {
            switch self {
            case .noRoom: "nobody reads what is written"
            case .closed: "the reader is gone"
            case .cancelled: "cancelled"
            case .failed(let code): "write: \(String(cString: strerror(code)))"
            }
        }
    }

    private let descriptor: Int32
    /// What a pipe takes at once if it says that there is room (PIPE_BUF).
    private static let piece = 4096

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        _ = brokenPipesAreErrors
    }

    func write(_ bytes: [UInt8], until end: ContinuousClock.Instant, _ patience: Patience) -> Problem? {
        var written = 0
        while written < bytes.count {
            if patience.hasEnded { return .cancelled(wasBegun: written > 0) }
            var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard poll(&room, 1, 100) > 0 else {
                if .now >= end { return .noRoom(wasBegun: written > 0) }
                continue
            }
            let count = bytes[written...].prefix(Self.piece).withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                written += count
            } else if errno == EPIPE {
                return .closed
            } else if errno != EINTR, errno != EAGAIN {
                return .failed(errno)
            }
        }
        return nil
    }
}

/// A reader that has gone is an answer of `write`, not the end of this process.
private let brokenPipesAreErrors: Void = { signal(SIGPIPE, SIG_IGN) }()
