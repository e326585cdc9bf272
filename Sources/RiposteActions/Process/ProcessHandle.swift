internal import CRiposte
internal import Glibc
internal import RiposteCore
internal import RipostePlaybooks

/// A process pinned by a descriptor. From here on its pid cannot be recycled under us: compare the start time once, after pinning and before
/// acting, and it is the one that was meant.
struct ProcessHandle: ~Copyable, Sendable {
    let pid: Int32
    private let descriptor: Int32

    init(pid: Int32) throws(ActionError) {
        let result = riposte_pidfd_open(pid)
        guard result >= 0 else { throw Self.error(-result, "open process \(pid)") }
        self.pid = pid
        descriptor = result
    }

    deinit { close(descriptor) }

    borrowing func send(_ signal: Signal) throws(ActionError) {
        let result = riposte_pidfd_send_signal(descriptor, signal.number)
        guard result >= 0 else { throw Self.error(-result, "signal \(signal.name) to process \(pid)") }
    }

    /// Asks whether a signal could be sent, and sends none.
    borrowing func checkPermission() throws(ActionError) {
        let result = riposte_pidfd_send_signal(descriptor, 0)
        guard result >= 0 else { throw Self.error(-result, "ask for leave to signal process \(pid)") }
    }

    /// Readable means ended, with all its threads: a first thread that is gone while others run is no end.
    var hasEnded: Bool { DescriptorWaiter.isReadable(descriptor) }

    borrowing func hasEnded(within time: Duration) async -> Bool {
        // A KILL is carried out within microseconds: look a few times before going through another thread.
        for _ in 0..<20 {
            if hasEnded { return true }
            sched_yield()
        }
        return await DescriptorWaiter.shared.readable(descriptor, within: time)
    }

    private static func error(_ code: Int32, _ doing: String) -> ActionError {
        switch code {
        case ESRCH: .gone(doing, "no such process")
        case EPERM, EACCES: ActionError(.denied, doing, "not permitted", remedy: "run as root or with CAP_KILL")
        case ENOSYS: ActionError(.unsupported, doing, "this kernel has no pidfd", remedy: "Linux 5.3 or later is needed")
        case EMFILE, ENFILE: ActionError(.busy, doing, "too many open files")
        default: ActionError(.invalid, doing, String(cString: strerror(code)))
        }
    }
}
