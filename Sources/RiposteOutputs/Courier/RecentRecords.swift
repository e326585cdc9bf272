package import Logging
internal import RiposteCore
internal import Synchronization

/// The end of the journal in memory: each record is read and decoded once, for all destinations that keep up. Who is further behind reads from
/// the disk at a pace of their own.
package final class RecentRecords: Sendable {
    /// Lines, as they stand in the journal; decoded they are several times as large.
    private static let byteLimit = 2 << 20
    private static let countLimit = 4096

    private struct Interior {
        var records: [SpoolRecord] = []
        /// The records before this one were let go, and are taken out of the array together now and then.
        var first = 0
        var bytes = 0
        var place: SpoolPlace
        var problem: String?
    }

    private let spool: any Spool
    private let logger: Logger
    private let interior: Mutex<Interior>
    private let bells = Mutex<[Bell]>([])

    /// Begins behind `place`.
    package init(_ spool: any Spool, from place: SpoolPlace, logger: Logger) {
        self.spool = spool
        self.logger = logger
        interior = Mutex(Interior(place: place))
    }

    /// Rings behind each pull that brought something.
    package func add(_ bell: Bell) { bells.withLock { $0.append(bell) } }

    /// Reads what was written since. On one thread.
    package func pull() {
        var hasNew = false
        while pullPiece() > 0 { hasNew = true }
        guard hasNew else { return }
        for bell in bells.withLock(\.self) { bell.ring(.records) }
    }

    /// Reads without the lock: who takes records never waits for the disk.
    private func pullPiece() -> Int {
        var place = interior.withLock(\.place)
        do {
            let fresh = try spool.read(&place, count: 256, bytes: 256 << 10)
            interior.withLock { interior in
                interior.place = place
                interior.problem = nil
                interior.records += fresh
                interior.bytes += fresh.reduce(0) { $0 + $1.bytes }
                trim(&interior)
            }
            return fresh.count
        } catch {
            let isNew = interior.withLock { interior in
                defer { interior.problem = "\(error)" }
                return interior.problem == nil
            }
            if isNew { logger.error("outputs cannot read the journal", metadata: ["error": "\(error)"]) }
            return 0
        }
    }

    private func trim(_ interior: inout Interior) {
        while interior.records.count - interior.first > Self.countLimit || interior.bytes > Self.byteLimit && interior.first < interior.records.count {
            interior.bytes -= interior.records[interior.first].bytes
            interior.first += 1
        }
        guard interior.first > interior.records.count / 2 else { return }
        interior.records.removeFirst(interior.first)
        interior.first = 0
    }

    /// The records from `place` on; nil where some of them are gone from memory.
    func read(_ place: inout SpoolPlace, count: Int, bytes: Int) -> [SpoolRecord]? {
        interior.withLock { interior in
            let known = interior.records[interior.first...]
            guard let oldest = known.first else { return place.seq >= interior.place.seq ? [] : nil }
            guard place.seq >= oldest.seq else { return nil }
            // Numbers have no gaps but where lines are damaged, so this is near, and mostly right.
            var index = known.startIndex + min(Int(place.seq - oldest.seq), known.count)
            while index > known.startIndex, known[index - 1].seq >= place.seq { index -= 1 }
            var (taken, size): ([SpoolRecord], Int) = ([], 0)
            while index < known.endIndex, taken.count < count, taken.isEmpty || size + known[index].bytes <= bytes {
                taken.append(known[index])
                size += known[index].bytes
                index += 1
            }
            if let last = taken.last { place = last.end }
            return taken
        }
    }

    /// The number of the newest record that was read.
    var newest: Int64 { interior.withLock { $0.place.seq - 1 } }
    package var problem: String? { interior.withLock(\.problem) }
}
