package import RiposteCore
internal import Synchronization

/// Hears of the end of processes, each pinned by a descriptor that is readable when it has ended.
package final class ProcessEnds: Sendable {
    private static let limit = 1024

    private let watched = Mutex<[ProcessIdentity: Task<Void, Never>]>([:])
    private let ended: @Sendable () -> Void

    /// `ended` is called at each end.
    package init(_ ended: @escaping @Sendable () -> Void) { self.ended = ended }

    deinit { for task in watched.withLock(\.values) { task.cancel() } }

    /// These, and no others from here on; beyond the limit the periodic look must do.
    package func watch(_ identities: [ProcessIdentity]) {
        watched.withLock { watched in
            for (identity, task) in watched where !identities.contains(identity) {
                task.cancel()
                watched[identity] = nil
            }
            for identity in identities where watched[identity] == nil && watched.count < Self.limit {
                watched[identity] = Task { [ended] in await Self.wait(for: identity, ended) }
            }
        }
    }

    private static func wait(for identity: ProcessIdentity, _ ended: @Sendable () -> Void) async {
        guard let handle = try? ProcessHandle(pid: identity.pid), ProcFS.stat(identity.pid)?.startTicks == identity.startTicks else { return ended() }
        while !Task.isCancelled { if await handle.hasEnded(within: .seconds(10)) { return ended() } }
    }
}
