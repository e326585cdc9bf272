package import Logging
internal import RiposteCore
internal import Synchronization

/// The end of the journal in memory: each record is read and decoded once, for all destinations that keep up, and let go when all of them have
/// taken it. Who is further behind than the limits reads from the disk at a pace of their own.
package final class RecentRecords: Sendable {
    /// Lines, as they stand in the journal; decoded they are several times as large.
    private static let byteLimit = 2 << 20
    private static let countLimit = 4096

    fileprivate struct Interior {
        /// Nil: let go. Those at the front are taken out together now and then.
        var records: [SpoolRecord?] = []
        var first = 0
        /// The next number that each reader wants.
        var wanted: [Int64] = []
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

    /// A reader, by number, whose bell rings behind each pull that brought something.
    func addReader(_ bell: Bell) -> Int {
        bells.withLock { $0.append(bell) }
        return interior.withLock { interior in
            interior.wanted.append(0)
            return interior.wanted.count - 1
        }
    }

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
        while interior.records.count - interior.first > Self.countLimit || interior.bytes > Self.byteLimit, dropOldest(&interior) {}
        compact(&interior)
    }

    private func dropOldest(_ interior: inout Interior) -> Bool {
        guard interior.first < interior.records.count else { return false }
        interior.bytes -= interior.records[interior.first]?.bytes ?? 0
        interior.records[interior.first] = nil
        interior.first += 1
        return true
    }

    private func compact(_ interior: inout Interior) {
        guard interior.first > interior.records.count / 2 else { return }
        interior.records.removeFirst(interior.first)
        interior.first = 0
    }

    /// What all who keep up have taken. Who wants an older one than the oldest here reads from the disk until they have caught up.
    private func dropTaken(_ interior: inout Interior) {
        guard let oldest = interior.oldest, let wanted = interior.wanted.filter({ $0 >= oldest }).min() else { return }
        while let oldest = interior.oldest, oldest < wanted, dropOldest(&interior) {}
        compact(&interior)
    }

    /// The records from `place` on, for one reader; nil where some of them are gone from memory.
    func read(_ place: inout SpoolPlace, reader: Int, count: Int, bytes: Int) -> [SpoolRecord]? {
        interior.withLock { interior in
            defer {
                interior.wanted[reader] = place.seq
                dropTaken(&interior)
            }
            guard let oldest = interior.oldest else { return place.seq >= interior.place.seq ? [] : nil }
            guard place.seq >= oldest else { return nil }
            let taken = interior.records(from: place.seq, count: count, bytes: bytes)
            if let last = taken.last { place = last.end }
            return taken
        }
    }

    /// The number of the newest record that was read.
    var newest: Int64 { interior.withLock { $0.place.seq - 1 } }
    package var problem: String? { interior.withLock(\.problem) }
}

extension RecentRecords.Interior {
    fileprivate var oldest: Int64? { first < records.count ? records[first]?.seq : nil }

    fileprivate func records(from seq: Int64, count: Int, bytes: Int) -> [SpoolRecord] {
        // Numbers have no gaps but where lines are damaged, so this is near, and mostly right.
        var index = first + Swift.min(Int(seq - (oldest ?? seq)), records.count - first)
        while index > first, let before = records[index - 1], before.seq >= seq { index -= 1 }
        var (taken, size): ([SpoolRecord], Int) = ([], 0)
        while index < records.count, taken.count < count, let record = records[index], taken.isEmpty || size + record.bytes <= bytes {
            taken.append(record)
            size += record.bytes
            index += 1
        }
        return taken
    }
}
