internal import Glibc

/// The end of some record of a journal.
struct JournalMark: Sendable, Equatable {
    /// The number of the segment's first record.
    var segment: Int64
    /// Of the segment, up to here.
    var bytes: Int
    var seq: Int64
    var hash: String

    /// Right before the record's last byte.
    var withoutLineEnd: JournalMark { JournalMark(segment: segment, bytes: bytes - 1, seq: seq, hash: hash) }

    /// What the head file says of it.
    var headText: [UInt8] {
        let digits = String(seq)
        return Array("\(String(repeating: "0", count: max(0, 20 - digits.count)))\(digits) \(hash)\n".utf8)
    }
}

/// How far a journal is known to be on the medium.
///
/// Linux says once that something could not be brought there, and from then on takes it for written: the next sync succeeds without it. So after a sync that failed
/// nothing behind ``mark`` counts as being there until it was written once more. A plain value.
struct JournalMedium: Sendable {
    /// All up to here is on the medium.
    private(set) var mark: JournalMark
    /// Why it is not known of what lies behind.
    private(set) var doubt: JournalError?
    /// Syncs that failed.
    private(set) var failures = 0
    /// What is being synced, while others may append.
    private(set) var underWay: JournalMark?

    init(_ mark: JournalMark) { self.mark = mark }

    mutating func begin(_ end: JournalMark) { underWay = end }

    /// What was under way has come to its end. Whether all up to there is on the medium now; throws where that can be said no more.
    mutating func end(_ failure: JournalError?) throws(JournalError) -> Bool {
        guard let synced = underWay else { return false }
        underWay = nil
        guard let failure else {
            // Another sync may have failed meanwhile, and what Linux says once was said to that one.
            if doubt == nil, synced.segment == mark.segment { mark = synced }
            return doubt == nil
        }
        fail(failure)
        guard synced.segment == mark.segment else {
            throw JournalError(.failed, "records up to \(synced.seq) may not be on the medium, in a segment that is closed (\(failure.message)); open the journal again")
        }
        return false
    }

    mutating func fail(_ failure: JournalError) {
        failures += 1
        doubt = failure
    }

    /// All up to here is there.
    mutating func reach(_ end: JournalMark) { (mark, doubt) = (end, nil) }
}

extension JournalMedium {
    /// What stands between two marks of one segment; nil where that is not what was written, as where the kernel has given up pages that it could not write.
    static func rest(of file: Int32, from mark: JournalMark, to end: JournalMark) throws(JournalError) -> [UInt8]? {
        guard mark.segment == end.segment, mark.bytes <= end.bytes else { return nil }
        let bytes = try read(mark.bytes..<end.bytes, of: file)
        guard bytes.count == end.bytes - mark.bytes else { return nil }
        var (seq, hash) = (mark.seq, mark.hash)
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let entry = JournalLine.decode(Array(line)), (entry.seq, entry.prev) == (seq + 1, hash) else { return nil }
            guard JournalLine.hashes(of: entry.line)?.actual == entry.hash else { return nil }
            (seq, hash) = (entry.seq, entry.hash)
        }
        return (seq, hash) == (end.seq, end.hash) ? bytes : nil
    }

    /// Fewer where the file is shorter.
    private static func read(_ range: Range<Int>, of file: Int32) throws(JournalError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { bytes, filled in
            while filled < range.count {
                let count = pread(file, bytes.baseAddress?.advanced(by: filled), range.count - filled, off_t(range.lowerBound + filled))
                if count < 0, errno == EINTR { continue }
                if count < 0 { failure = errno }
                guard count > 0 else { break }
                filled += count
            }
        }
        guard failure == 0 else { throw .disk("read the journal back", failure) }
        return bytes
    }
}
