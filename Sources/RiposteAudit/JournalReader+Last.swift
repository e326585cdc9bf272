internal import Glibc

extension JournalReader {
    /// The last whole record, and the places before and behind it; nil for a journal without records. Looked for from the end: what stands before it is
    /// not read.
    package func last() throws -> (entry: JournalEntry, start: ReadingPlace, end: ReadingPlace)? {
        for segment in try files.readSegments().reversed() {
            guard let (entry, offset) = try Self.last(in: files.segment(segment)) else { continue }
            return (
                entry, ReadingPlace(seq: entry.seq, segment: segment, offset: offset),
                ReadingPlace(seq: entry.seq + 1, segment: segment, offset: offset + entry.line.count + 1)
            )
        }
        return nil
    }

    /// With the byte that it begins at. A part of the end that grows until a record is in it: most are short.
    private static func last(in path: String) throws(JournalError) -> (entry: JournalEntry, offset: Int)? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .disk("open \(path)", errno) }
        defer { close(file) }
        var facts = stat()
        guard fstat(file, &facts) == 0 else { throw .disk("look at \(path)", errno) }
        let size = Int(facts.st_size)
        var window = 1 << 16
        while true {
            let begin = max(0, size - window)
            let bytes = [UInt8](unsafeUninitializedCapacity: size - begin) { buffer, count in
                count = max(0, pread(file, buffer.baseAddress, size - begin, off_t(begin)))
            }
            if let found = last(in: bytes, isWhole: begin == 0) { return (found.entry, begin + found.offset) }
            guard begin > 0 else { return nil }
            window *= 8
        }
    }

    /// Of lines that are damaged, or not finished yet, the one before counts.
    private static func last(in bytes: [UInt8], isWhole: Bool) -> (entry: JournalEntry, offset: Int)? {
        let newline = UInt8(ascii: "\n")
        guard var end = bytes.lastIndex(of: newline) else { return nil }
        while true {
            let before = bytes[..<end].lastIndex(of: newline)
            guard let start = before.map({ $0 + 1 }) ?? (isWhole ? 0 : nil) else { return nil }
            if let entry = JournalLine.decode(Array(bytes[start..<end])) { return (entry, start) }
            guard let before else { return nil }
            end = before
        }
    }
}
