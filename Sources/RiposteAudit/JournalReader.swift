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
        var segment: Int64?
        var offset = 0
        package var seq: Int64

        package init(seq: Int64) { self.seq = seq }
    }

    /// ``read(from:_:)`` that can be continued later: what was read is behind `place`. False where `body` said so.
    package func read(_ place: inout ReadingPlace, _ body: (JournalEntry) throws -> Bool) throws -> Bool {
        let segments = files.segments()
        var remaining = segments.filter { $0 >= (place.segment ?? segments.last { $0 <= place.seq } ?? Int64.min) }
        while let segment = remaining.first {
            remaining.removeFirst()
            if place.segment != segment { (place.segment, place.offset) = (segment, 0) }
            var scanner = try SegmentScanner(path: files.segment(segment), from: place.offset)
            while let line = try scanner.next() {
                place.offset = scanner.offset
                guard let entry = JournalLine.decode(line) else { continue }
                guard entry.seq >= place.seq else { continue }
                place.seq = entry.seq + 1
                guard try body(entry) else { return false }
            }
        }
        return true
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
