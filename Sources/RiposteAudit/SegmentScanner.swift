internal import Glibc

/// The lines of one segment from a byte on, read in pieces: memory stays flat however long the segment is.
struct SegmentScanner: ~Copyable {
    private let file: Int32
    private var buffer: [UInt8] = []
    private var start = 0
    /// Where the next line begins in the file.
    private(set) var offset: Int
    private var isAtEnd = false

    /// Less than what the allocator maps and unmaps each time.
    private static let chunk = 1 << 16

    init(path: String, from offset: Int = 0) throws(JournalError) {
        file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .disk("open \(path)", errno) }
        self.offset = offset
        lseek(file, off_t(offset), SEEK_SET)
    }

    deinit { close(file) }

    /// The next whole line without its newline; nil at the end, or where the last line is not finished.
    mutating func next() throws(JournalError) -> [UInt8]? {
        var searched = start
        var (isPieced, wasReadAnew) = (false, false)
        while true {
            if let end = newline(from: searched) {
                let line = Array(buffer[start..<end])
                if isPieced, !wasReadAnew, JournalLine.hashes(of: line).map({ $0.claimed != $0.actual }) ?? true {
                    // Between two pieces the writer may have taken back what the first was of, and put another record in its place.
                    wasReadAnew = true
                    lseek(file, off_t(offset), SEEK_SET)
                    (buffer, start, searched) = ([], 0, 0)
                    continue
                }
                offset += end + 1 - start
                start = end + 1
                return line
            }
            searched = buffer.count - start
            isPieced = isPieced || searched > 0
            guard try fill() else { return nil }
        }
    }

    /// What stands after the last newline, once ``next()`` has given nil.
    var rest: [UInt8] { Array(buffer[start...]) }

    /// `memchr`: what stands in a journal is looked through byte by byte only once.
    private func newline(from place: Int) -> Int? {
        buffer.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress, let found = memchr(base + place, Int32(UInt8(ascii: "\n")), bytes.count - place) else { return nil }
            return UnsafeRawPointer(found) - base
        }
    }

    private mutating func fill() throws(JournalError) -> Bool {
        buffer.removeFirst(start)
        start = 0
        var failure: Int32 = 0
        let piece = [UInt8](unsafeUninitializedCapacity: Self.chunk) { bytes, filled in
            var count = -1
            repeat { count = read(file, bytes.baseAddress, Self.chunk) } while count < 0 && errno == EINTR
            if count < 0 { failure = errno }
            filled = max(0, count)
        }
        guard failure == 0 else { throw .disk("read the journal", failure) }
        buffer += piece
        return !piece.isEmpty
    }
}
