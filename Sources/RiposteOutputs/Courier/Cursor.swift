internal import Foundation
internal import Glibc
internal import RiposteCore

/// How far a destination has got, on the disk: the last record that is settled, with its hash, so that a journal which was exchanged is noticed,
/// and the bursts that are open at this very record, so that no count is lost.
struct Cursor: Sendable, Equatable {
    /// 0: none yet.
    var seq: Int64
    var hash: String
    /// Where the record `seq` begins.
    var start: SpoolPlace
    var bursts: BurstGroups?

    /// Before the first record.
    static let origin = Cursor(seq: 0, hash: "", start: SpoolPlace(seq: 1), bursts: nil)

    init(seq: Int64, hash: String, start: SpoolPlace, bursts: BurstGroups?) {
        self.seq = seq
        self.hash = hash
        self.start = start
        self.bursts = bursts
    }

    init(behind record: SpoolRecord, bursts: BurstGroups? = nil) { self.init(seq: record.seq, hash: record.hash, start: record.start, bursts: bursts) }

    /// `before`: a power cut may take the journal's last records, of which the medium did not have one yet. Then the one before is still there.
    func json(before: Cursor?) -> JSONObject {
        var object: JSONObject = ["seq": .integer(seq), "hash": .text(hash), "offset": .integer(Int64(start.offset))]
        object.append("segment", start.segment.map(JSON.integer))
        if let bursts, !bursts.isEmpty { object.append("bursts", bursts.json) }
        if var before {
            before.bursts = nil
            object.append("before", .object(before.json(before: nil)))
        }
        return object
    }

    init?(json: JSON) {
        guard let seq = json["seq"]?.integer, seq >= 0, let hash = json["hash"]?.string?.valid, let offset = json["offset"]?.integer, offset >= 0 else { return nil }
        self.init(
            seq: seq, hash: hash, start: SpoolPlace(seq: seq, segment: json["segment"]?.integer, offset: Int(offset)),
            bursts: json["bursts"].flatMap(BurstGroups.init(json:)))
    }
}

/// `<state-dir>/outputs/<name>.cursor`.
struct CursorFile: Sendable {
    let path: String

    init(folder: String, name: String) { path = "\(folder)/\(name).cursor" }

    enum Found: Equatable {
        case none
        /// With the one that was kept before it.
        case cursor(Cursor, before: Cursor?)
        /// There is a file, and it is none.
        case damaged
    }

    /// Only a file that is not there is none: from one that cannot be read just now nothing follows.
    func load() throws(OutputFileError) -> Found {
        guard let bytes = try read() else { return .none }
        guard let json = try? JSON(parsing: bytes), let cursor = Cursor(json: json) else { return .damaged }
        return .cursor(cursor, before: json["before"].flatMap(Cursor.init(json:)))
    }

    private func read() throws(OutputFileError) -> [UInt8]? {
        // Without waiting: a pipe has no end.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw OutputFileError("open \(path)", errno)
        }
        defer { close(file) }
        var facts = stat()
        guard fstat(file, &facts) == 0 else { throw OutputFileError("look at \(path)", errno) }
        var bytes = [UInt8](repeating: 0, count: Int(clamping: facts.st_size))
        var length = 0
        while length < bytes.count {
            let count = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress.map { $0 + length }, $0.count - length) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw OutputFileError("read \(path)", errno) }
            if count == 0 { break }
            length += count
        }
        return Array(bytes[..<length])
    }

    /// Whole or not at all, also after a power cut: written beside, synced, put in place.
    /// Returns how many bytes that were.
    func save(_ cursor: Cursor, before: Cursor?) throws(OutputFileError) -> Int {
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw OutputFileError("open \(temporary)", errno) }
        defer { close(file) }
        let bytes = JSON.object(cursor.json(before: before)).bytes + [UInt8(ascii: "\n")]
        guard write(file, bytes, bytes.count) == bytes.count, fdatasync(file) == 0 else { throw OutputFileError("write \(temporary)", errno) }
        guard rename(temporary, path) == 0 else { throw OutputFileError("rename \(temporary)", errno) }
        return bytes.count
    }
}

/// What we did to a file, and what the kernel answered.
package struct OutputFileError: Error, Equatable, Sendable, CustomStringConvertible {
    package let doing: String
    package let errno: Int32

    init(_ doing: String, _ errno: Int32) {
        self.doing = doing
        self.errno = errno
    }

    package var description: String { "\(doing): \(String(cString: strerror(errno)))" }
}
