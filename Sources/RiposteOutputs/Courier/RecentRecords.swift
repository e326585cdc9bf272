package import Logging
internal import RiposteCore
internal import Synchronization

/// A piece of the journal in memory, which all destinations that keep up with one another share: each record is read and decoded once, and let go when
/// all of them have taken it. It ends where the foremost of them stands, or at the journal's end. Who is further behind than the limits reads from the
/// disk at a pace of their own.
package final class RecentRecords: Sendable {
    /// Lines, as they stand in the journal; decoded they are several times as large.
    fileprivate static let byteLimit = 3 << 20
    fileprivate static let countLimit = 4096

    fileprivate struct Interior {
        /// Nil: let go. Those at the front are taken out together now and then.
        var records: [SpoolRecord?] = []
        var first = 0
        /// The next number that each reader wants.
        var wanted: [Int: Int64] = [:]
        var lastReader = 0
        var bytes = 0
        var place: SpoolPlace
        var problem: String?
        /// Somebody reads on in the journal; whoever else would is done by that one.
        var isPulling = false
        var isCalled = false
        /// The journal's end was not reached.
        var hasMore = true
    }

    /// What somebody far behind has read from the disk: others who are not far from there take it from here.
    private struct Piece {
        var records: [SpoolRecord]
        var bytes: Int
        var end: SpoolPlace

        func records(from first: Int, _ count: Int) -> (records: [SpoolRecord], end: SpoolPlace) {
            guard first > 0 || records.count > count else { return (records, end) }
            let taken = Array(records[first...].prefix(count))
            return (taken, first + taken.count < records.count ? taken.last?.end ?? end : end)
        }
    }

    private let pieces = Mutex<[Piece]>([])
    private let spool: any Spool
    private let logger: Logger
    private let interior: Mutex<Interior>
    private let bells = Mutex<[Int: Bell]>([:])

    /// Begins behind `place`.
    package init(_ spool: any Spool, from place: SpoolPlace, logger: Logger) {
        self.spool = spool
        self.logger = logger
        interior = Mutex(Interior(place: place))
    }

    /// A reader, by number, whose bell rings behind each pull that brought something, and when reading begins to fail.
    func addReader(_ bell: Bell) -> Int {
        let reader = interior.withLock { interior in
            interior.lastReader += 1
            interior.wanted[interior.lastReader] = 0
            return interior.lastReader
        }
        bells.withLock { $0[reader] = bell }
        return reader
    }

    /// Nothing is kept for this one any more.
    func removeReader(_ reader: Int) {
        bells.withLock { $0[reader] = nil }
        interior.withLock { interior in
            interior.wanted[reader] = nil
            dropTaken(&interior)
        }
    }

    /// The records from `place` on, for whom ``read(_:reader:count:bytes:)`` has none.
    func readBehind(_ place: inout SpoolPlace, count: Int, bytes: Int) throws -> [SpoolRecord] {
        if let (records, end) = piece(at: place.seq, count) {
            place = end
            return records
        }
        // Who wants few wants the next few soon.
        var end = place
        let records = try spool.read(&end, count: max(count, 256), bytes: bytes)
        let piece = Piece(records: records, bytes: records.reduce(0) { $0 + $1.bytes }, end: end)
        let taken = piece.records(from: 0, count)
        place = taken.end
        guard !records.isEmpty else { return [] }
        pieces.withLock { pieces in
            pieces.append(piece)
            var total = pieces.reduce(0) { $0 + $1.bytes }
            while total > Self.byteLimit, pieces.count > 1 { total -= pieces.removeFirst().bytes }
        }
        return taken.records
    }

    private func piece(at seq: Int64, _ count: Int) -> (records: [SpoolRecord], end: SpoolPlace)? {
        pieces.withLock { pieces in
            guard let piece = pieces.last(where: { $0.records[0].seq <= seq && seq < $0.end.seq }), let first = piece.records.firstIndex(where: { $0.seq >= seq }) else {
                return nil
            }
            return piece.records(from: first, count)
        }
    }

    /// Nobody goes on from them just now.
    func dropPieces() { pieces.withLock { $0 = [] } }

    /// Reads what was written since, as far as there is room or somebody waits for it. Any thread; not on two at a time.
    package func pull() { pull(pieces: .max) }

    private func pull(pieces: Int) {
        guard beginPulling() else { return }
        var (left, hasNews) = (pieces, false)
        while isToPull(&left) {
            left -= 1
            switch pullPiece() {
            case .records: hasNews = true
            case .end: interior.withLock { $0.hasMore = false }
            case .failure(let isNew):
                interior.withLock { $0.hasMore = false }
                // Whoever waits for the next record tries again by itself from now on.
                if isNew { hasNews = true }
            }
        }
        guard hasNews else { return }
        for bell in bells.withLock({ Array($0.values) }) { bell.ring(.records) }
    }

    private func beginPulling() -> Bool {
        interior.withLock { interior in
            interior.isCalled = interior.isPulling
            guard !interior.isPulling else { return false }
            (interior.isPulling, interior.hasMore) = (true, true)
            return true
        }
    }

    /// If not, then nobody is pulling any more.
    private func isToPull(_ left: inout Int) -> Bool {
        interior.withLock { interior in
            // The work of whoever called is ours now. Who calls behind this finds that nobody is pulling, or is heard here the next time.
            if interior.isCalled { (interior.isCalled, interior.hasMore, left) = (false, true, .max) }
            let isWanted = !interior.isFull || interior.wanted.values.contains { $0 >= interior.place.seq }
            interior.isPulling = left > 0 && interior.hasMore && isWanted
            return interior.isPulling
        }
    }

    private enum Pulled {
        case records, end
        case failure(isNew: Bool)
    }

    /// Reads without the lock: who takes records never waits for the disk.
    private func pullPiece() -> Pulled {
        var place = interior.withLock(\.place)
        do {
            let fresh = try spool.read(&place, count: 256, bytes: 256 << 10)
            interior.withLock { interior in
                interior.place = place
                interior.problem = nil
                interior.records += fresh
                interior.bytes += fresh.reduce(0) { $0 + $1.bytes }
                while interior.isOverfull, dropOldest(&interior) {}
                compact(&interior)
            }
            return fresh.isEmpty ? .end : .records
        } catch {
            let isNew = interior.withLock { interior in
                defer { interior.problem = "\(error)" }
                return interior.problem == nil
            }
            if isNew { logger.error("outputs cannot read the journal", metadata: ["error": "\(error)"]) }
            return .failure(isNew: isNew)
        }
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
        guard let oldest = interior.oldest, let wanted = interior.wanted.values.filter({ $0 >= oldest }).min() else { return }
        while let oldest = interior.oldest, oldest < wanted, dropOldest(&interior) {}
        compact(&interior)
    }

    /// The records from `place` on, for one reader; nil where some of them are gone from memory. Throws where it is not known whether there are more.
    func read(_ place: inout SpoolPlace, reader: Int, count: Int, bytes: Int) throws -> [SpoolRecord]? {
        let (held, hasMore) = take(&place, reader, count, bytes)
        // It is the foremost, and the journal goes on.
        guard let held, held.isEmpty, hasMore || problem != nil else { return held }
        pull(pieces: 1)
        let more = take(&place, reader, count, bytes).held
        if more?.isEmpty == true, let problem { throw Unreadable(description: problem) }
        return more
    }

    private struct Unreadable: Error, CustomStringConvertible { let description: String }

    private func take(_ place: inout SpoolPlace, _ reader: Int, _ count: Int, _ bytes: Int) -> (held: [SpoolRecord]?, hasMore: Bool) {
        interior.withLock { interior in
            defer {
                interior.wanted[reader] = place.seq
                dropTaken(&interior)
            }
            guard let oldest = interior.oldest else { return (place.seq >= interior.place.seq ? [] : nil, interior.hasMore) }
            guard place.seq >= oldest else { return (nil, interior.hasMore) }
            let taken = interior.records(from: place.seq, count: count, bytes: bytes)
            if let last = taken.last { place = last.end }
            return (taken, interior.hasMore)
        }
    }

    package var problem: String? { interior.withLock(\.problem) }
}

extension RecentRecords.Interior {
    /// By more than what one piece brings: somebody went on without those who did not take the oldest.
    fileprivate var isOverfull: Bool { records.count - first >= RecentRecords.countLimit + 256 || bytes >= RecentRecords.byteLimit + 512 << 10 }

    fileprivate var isFull: Bool { records.count - first >= RecentRecords.countLimit || bytes >= RecentRecords.byteLimit }

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
