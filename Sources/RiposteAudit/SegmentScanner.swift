internal import Glibc

/// The lines of one segment from a byte on, read in pieces: memory stays flat however long the segment is.
struct SegmentScanner: ~Copyable {
    private let file: Int32
    private var buffer: [UInt8] = []
    private var start = 0
    /// Where the next line begins in the file.
    private(set) var offset: Int
    private var isAtEnd = false

    private static let chunk = 1 << 18

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
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(buffer[start..<end])
                offset += end + 1 - start
                start = end + 1
                return line
            }
            searched = buffer.count - start
            guard try fill() else { return nil }
        }
    }

    /// What stands after the last newline, once ``next()`` has given nil.
    var rest: [UInt8] { Array(buffer[start...]) }

    private mutating func fill() throws(JournalError) -> Bool {
        buffer.removeFirst(start)
        start = 0
        let old = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: Self.chunk))
        var count = -1
        repeat { count = buffer.withUnsafeMutableBytes { read(file, $0.baseAddress?.advanced(by: old), Self.chunk) } } while count < 0 && errno == EINTR
        let error = errno
        buffer.removeLast(Self.chunk - max(0, count))
        guard count >= 0 else { throw .disk("read the journal", error) }
        return count > 0
    }
}
