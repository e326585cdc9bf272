import RiposteCore
import Synchronization
import Testing

@testable import RiposteOutputs

/// How often a record is read from the journal, and that nobody misses one.
struct RecentRecordsTests {
    /// A journal that counts what is read of it.
    private final class CountingSpool: Spool {
        private let records: [SpoolRecord]
        private let count = Mutex(0)
        private let failures: Mutex<Int>

        struct Failure: Error {}

        /// `failures`: how many readings fail before the first that does not.
        init(_ count: Int, failures: Int = 0) {
            records = (1...count).map { Samples.spooled(Int64($0), Samples.alert("r")) }
            self.failures = Mutex(failures)
        }

        var read: Int { count.withLock(\.self) }

        func read(_ place: inout SpoolPlace, count: Int, bytes: Int) throws -> [SpoolRecord] {
            try failures.withLock { left in
                left -= 1
                if left >= 0 { throw Failure() }
            }
            let found = Array(records.dropFirst(Int(place.seq) - 1).prefix(count))
            if let last = found.last { place = last.end }
            self.count.withLock { $0 += found.count }
            return found
        }

        func bytes(behind place: SpoolPlace) -> Int { max(0, records.count - Int(place.seq) + 1) * 100 }
        func last() throws -> SpoolRecord? { records.last }
    }

    /// One that reads as a courier does.
    private final class Reader {
        private let recent: RecentRecords
        private let number: Int
        private(set) var place = SpoolPlace(seq: 1)
        private(set) var taken: [Int64] = []

        init(_ recent: RecentRecords) {
            self.recent = recent
            number = recent.addReader(Bell())
        }

        /// Whether there was anything.
        @discardableResult
        func step(_ count: Int) throws -> Bool {
            let records = try recent.read(&place, reader: number, count: count, bytes: 1 << 20) ?? recent.readBehind(&place, count: count, bytes: 1 << 20)
            taken += records.map(\.seq)
            return !records.isEmpty
        }
    }

    private static let all = Array(1...Int64(6000))

    @Test("who keep pace with one another share what is read, however far behind they are together", arguments: [[100, 100, 100], [256, 200, 256], [1, 256, 256]])
    func together(_ steps: [Int]) throws {
        let spool = CountingSpool(Self.all.count)
        let recent = RecentRecords(spool, from: SpoolPlace(seq: 1), logger: Samples.logger)
        let readers = steps.map { _ in Reader(recent) }
        recent.pull()
        var isGoing = true
        while isGoing {
            isGoing = false
            for (reader, step) in zip(readers, steps) where try reader.step(step) { isGoing = true }
        }
        for reader in readers { #expect(reader.taken == Self.all) }
        // Who is slower falls out of the window in the end, and reads alone.
        #expect(spool.read <= 2 * Self.all.count)
    }

    @Test("of those who are far behind, and near each other, each record is read once for all")
    func behind() throws {
        let spool = CountingSpool(Self.all.count)
        let recent = RecentRecords(spool, from: SpoolPlace(seq: 1), logger: Samples.logger)
        let (foremost, second, third) = (Reader(recent), Reader(recent), Reader(recent))
        while try foremost.step(256) {}
        while case let more = (try second.step(256), try third.step(256)), more.0 || more.1 {}
        for reader in [foremost, second, third] { #expect(reader.taken == Self.all) }
        #expect(spool.read <= 2 * Self.all.count)
    }

    @Test("a journal that could not be read is read when somebody asks again, and until then nobody is told that there is nothing", arguments: [1, 2, 3])
    func failures(_ count: Int) throws {
        let recent = RecentRecords(CountingSpool(100, failures: count), from: SpoolPlace(seq: 1), logger: Samples.logger)
        let reader = Reader(recent)
        recent.pull()
        for _ in 1..<count { #expect(throws: (any Error).self) { try reader.step(256) } }
        try reader.step(256)
        #expect(reader.taken == Array(1...100) && recent.problem == nil)
    }

    @Test("a dead one holds nobody up, and nobody misses what came while somebody read")
    func dead() throws {
        let spool = CountingSpool(Self.all.count)
        let recent = RecentRecords(spool, from: SpoolPlace(seq: 1), logger: Samples.logger)
        let (living, dead) = (Reader(recent), Reader(recent))
        recent.pull()
        try dead.step(10)
        while try living.step(256) {}
        #expect(living.taken == Self.all)
        while try dead.step(256) {}
        #expect(dead.taken == Self.all)
    }
}
