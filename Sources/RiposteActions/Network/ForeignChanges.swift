internal import RiposteCore
internal import Synchronization

/// Who else changed our tables last, as far as somebody watched: ``NetfilterWatch``. One per process, as the kernel's tables are.
final class ForeignChanges: Sendable {
    static let shared = ForeignChanges()

    struct Change: Sendable, Equatable {
        var process: String
        var pid: Int32
        var time: Timestamp
    }

    private let last = Mutex<Change?>(nil)

    func note(_ change: Change) { last.withLock { $0 = change } }

    /// " (last changed by nft, process 4711, at …)", or nothing.
    var words: String {
        last.withLock(\.self).map { " (last changed by \($0.process.escapedForDisplay), process \($0.pid), at \($0.time))" } ?? ""
    }
}
