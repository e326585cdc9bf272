internal import Glibc
internal import RiposteCore

/// Reads a journal, also while somebody writes it.
package struct JournalReader: Sendable {
    let files: JournalFiles

    package init(stateDirectory: String) { files = JournalFiles(stateDirectory: stateDirectory) }

    init(files: JournalFiles) { self.files = files }

    package var directory: String { files.directory }

    /// Calls `body` with each record from number `seq` on, in order, until it says false. Lines that are no record
    /// are passed over: to find them is the verifier's work, to know all that is known is ours.
    package func read(from seq: Int64 = 1, _ body: (JournalEntry) throws -> Bool) throws {
        var place = ReadingPlace(seq: seq)
        _ = try read(&place, body)
    }

    /// Where reading goes on: the segment, and the byte in it.
    package struct ReadingPlace: Sendable, Equatable {
        /// The number of the segment's first record; nil: not found yet.
        package private(set) var segment: Int64?
        package private(set) var offset = 0
        package private(set) var seq: Int64

        package init(seq: Int64) { self.seq = seq }

        /// A place that was kept: the record `seq`, or what comes after all records before it, stands at this byte of this segment or later.
        package init(seq: Int64, segment: Int64, offset: Int) {
            (self.seq, self.segment, self.offset) = (seq, segment, offset)
        }

        fileprivate mutating func enter(_ segment: Int64) {
            if self.segment != segment { (self.segment, offset) = (segment, 0) }
        }

        fileprivate mutating func pass(to offset: Int, behind seq: Int64? = nil) {
            self.offset = offset
            if let seq { self.seq = seq + 1 }
        }
    }

    /// ``read(from:_:)`` that can be continued later: what was read is behind `place`. False where `body` said so.
    package func read(_ place: inout ReadingPlace, _ body: (JournalEntry) throws -> Bool) throws -> Bool {
        try read(&place, as: { line in JournalLine.decode(line).map { ($0.seq, $0) } }) { entry, _ in try body(entry) }
    }

    /// Hands over what `decode` makes of each line, with the place behind it. Lines of which it makes nothing are passed over.
    package func read<Record>(
        _ place: inout ReadingPlace, as decode: ([UInt8]) -> (seq: Int64, record: Record)?, _ body: (Record, ReadingPlace) throws -> Bool
    ) throws -> Bool {
        let segments = try files.readSegments()
        var remaining = segments.filter { $0 >= (place.segment ?? segments.last { $0 <= place.seq } ?? Int64.min) }
        while let segment = remaining.first {
            remaining.removeFirst()
            place.enter(segment)
            var scanner = try SegmentScanner(path: files.segment(segment), from: place.offset)
            while let line = try scanner.next() {
                guard let (seq, record) = decode(line), JournalLine.numbers.contains(seq), seq >= place.seq else {
                    place.pass(to: scanner.offset)
                    continue
                }
                place.pass(to: scanner.offset, behind: seq)
                guard try body(record, place) else { return false }
            }
        }
        return true
    }

    /// How many bytes are written behind a place.
    package func bytes(behind place: ReadingPlace) -> Int {
        let segments = files.segments()
        let first = place.segment ?? segments.last { $0 <= place.seq } ?? Int64.min
        let total = segments.filter { $0 >= first }.reduce(0) { sum, segment in
            var facts = stat()
            return stat(files.segment(segment), &facts) == 0 ? sum + Int(facts.st_size) : sum
        }
        return max(0, total - (segments.contains(first) ? place.offset : 0))
    }

    /// Calls `body` with each record from `seq` on and then with new ones as they come, until it says false.
    package func follow(from seq: Int64, _ body: (JournalEntry) throws -> Bool) throws {
        let notifications = inotify_init1(Int32(O_CLOEXEC))
        defer { close(notifications) }
        inotify_add_watch(notifications, files.directory, UInt32(IN_MODIFY | IN_CREATE))
        var place = ReadingPlace(seq: seq)
        var scratch = [UInt8](repeating: 0, count: 4096)
        while try read(&place, body) {
            // With a bound, so that a change on a file system without notifications is seen too.
            var descriptor = pollfd(fd: notifications, events: Int16(POLLIN), revents: 0)
            if poll(&descriptor, 1, 1000) > 0 { _ = Glibc.read(notifications, &scratch, scratch.count) }
        }
    }

    /// The record with this number.
    package func entry(_ seq: Int64) throws -> JournalEntry? {
        var found: JournalEntry?
        try read(from: seq) { entry in
            if entry.seq == seq { found = entry }
            return false
        }
        return found
    }

    /// The last record's number; nil for a journal without records.
    package func lastSeq() throws -> Int64? {
        guard !files.segments().isEmpty else { return nil }
        let tail = try JournalTail(files: files)
        return tail.seq > 0 ? tail.seq : nil
    }
}
