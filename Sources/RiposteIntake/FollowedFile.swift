internal import Foundation
internal import Glibc
internal import RiposteCore

/// An open file that others append to. One thread's.
final class FollowedFile {
    /// Why a path cannot be followed.
    struct Problem: Error, Equatable {
        let text: String
    }

    private let descriptor: Int32
    private let device: UInt64
    private let inode: UInt64
    /// Behind the last byte that was read.
    private var offset = 0
    private var knownHead: [UInt8] = []
    private var lines = LineSplitter()
    private var grew = ContinuousClock.now

    /// Regular files only: whatever else is opened may wait for somebody at its other end, and has no place to come back to.
    static func opening(_ path: String) -> Result<FollowedFile, Problem> {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { return .failure(Problem(text: "\(path): \(String(cString: strerror(errno)))")) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            return .failure(Problem(text: "\(path) is no regular file"))
        }
        return .success(FollowedFile(descriptor, facts))
    }

    /// The file at a path, if that is one to follow, and the one that is meant.
    static func at(_ path: String, where isMeant: (FollowedFile) -> Bool) -> FollowedFile? {
        guard case .success(let file) = opening(path) else { return nil }
        guard isMeant(file) else {
            file.closeFile()
            return nil
        }
        return file
    }

    private init(_ descriptor: Int32, _ facts: stat) {
        self.descriptor = descriptor
        (device, inode) = (UInt64(facts.st_dev), UInt64(facts.st_ino))
    }

    func closeFile() { close(descriptor) }

    // MARK: - Where it was read to

    /// Behind the last finished line.
    var position: OffsetFile.Position {
        OffsetFile.Position(device: device, inode: inode, offset: offset - lines.pendingBytes, head: head)
    }

    /// The first bytes: an inode is used again, a file begun anew begins otherwise.
    private var head: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: OffsetFile.headLength)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return Array(bytes.prefix(max(0, count)))
    }

    private var facts: stat {
        var facts = stat()
        fstat(descriptor, &facts)
        return facts
    }

    private var size: Int { Int(facts.st_size) }

    /// When it was last written to, in nanoseconds.
    var modified: Int64 { facts.modified }

    func isSame(as position: OffsetFile.Position) -> Bool { position.device == device && position.inode == inode }

    /// Whether it is the one that was read so far.
    func isAt(_ position: OffsetFile.Position) -> Bool { isSame(as: position) && holds(position) }

    /// Whether it is that one or a copy of it.
    func holds(_ position: OffsetFile.Position) -> Bool { position.offset <= size && head.starts(with: position.head) }

    /// From now on it counts how long nothing comes.
    func beginSilence() { grew = .now }

    func resume(at position: OffsetFile.Position) { offset = position.offset }

    func begin(atEnd: Bool) { offset = atEnd ? size : 0 }

    // MARK: - Reading

    /// A file that was emptied is shorter than what was read, or, refilled already, begins otherwise: then it is read from its beginning.
    private func wasTruncated() -> Bool {
        let head = head
        defer { knownHead = head }
        guard size < offset || !head.starts(with: knownHead.prefix(offset)) else { return false }
        offset = 0
        lines = LineSplitter()
        return true
    }

    /// The lines of the next piece; nil where there is nothing more for now.
    func next() -> [LineSplitter.Piece]? {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = pread(descriptor, &buffer, buffer.count, off_t(offset))
            // Asked after the read: what was read of another text that took this one's place is the middle of it.
            if wasTruncated() { continue }
            guard count > 0 else { return nil }
            offset += count
            grew = .now
            return lines.take(buffer.prefix(count))
        }
    }

    /// How long nothing new has been found in it.
    var silence: Duration { grew.duration(to: .now) }

    func lastLine() -> [UInt8]? { lines.end() }

    func wasReplaced(at path: String) -> Bool {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return false }
        return UInt64(facts.st_dev) != device || UInt64(facts.st_ino) != inode
    }
}

extension stat {
    fileprivate var modified: Int64 {
        let (scaled, overflowed) = Int64(st_mtim.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
        return overflowed ? .max : scaled.addingReportingOverflow(Int64(st_mtim.tv_nsec)).partialValue
    }
}

/// Files beside a followed one, as rotation leaves them: `alerts.jsonl.1`, `alerts.jsonl-20261126`, `alerts-2026-11-26T03-15-00.000.jsonl`.
struct RotatedFiles {
    private let folder: String
    private let name: String
    private let names: [String]

    /// A folder of more is no folder of rotated files.
    private static let limit = 10_000

    init(folder: String, name: String) {
        self.folder = folder
        self.name = name
        names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted().prefix(Self.limit).filter { $0 != name }
    }

    /// The very file, whatever its name is now; else a copy of it, as `copytruncate` leaves one.
    func find(_ position: OffsetFile.Position) -> FollowedFile? {
        for name in names {
            var facts = stat()
            guard stat("\(folder)/\(name)", &facts) == 0, UInt64(facts.st_ino) == position.inode else { continue }
            if let file = FollowedFile.at("\(folder)/\(name)", where: { $0.isAt(position) }) { return file }
        }
        // Half a head may be that of many.
        guard position.hasWholeHead else { return nil }
        return names.lazy.filter(isRotated).compactMap { FollowedFile.at("\(folder)/\($0)") { $0.holds(position) } }.first
    }

    /// Those that were written to since, the oldest first, but for those that are read from a saved place anyway.
    func newer(than saved: OffsetFile.Saved) -> [FollowedFile] {
        guard let since = saved.time else { return [] }
        let files = names.filter(isRotated).compactMap { name in
            FollowedFile.at("\(folder)/\(name)") { file in
                file.modified > since && !saved.positions.contains { file.isSame(as: $0) || ($0.hasWholeHead && file.holds($0)) }
            }
        }
        // One that nobody wrote to for long, and then somebody did.
        for file in files { if let place = saved.finished.first(where: { file.isAt($0) }) { file.resume(at: place) } }
        return files.sorted { $0.modified < $1.modified }
    }

    /// Those that would be among them, could they be read.
    func compressed(since saved: OffsetFile.Saved) -> [String] {
        guard let since = saved.time else { return [] }
        return names.filter { name in
            guard let ending = [".gz", ".xz", ".zst", ".bz2"].first(where: name.hasSuffix), isRotated(String(name.dropLast(ending.count))) else { return false }
            var facts = stat()
            return stat("\(folder)/\(name)", &facts) == 0 && facts.modified > since
        }
    }

    /// Its name, with a number or a time at its end or before its ending.
    private func isRotated(_ candidate: String) -> Bool {
        func isMark(_ text: Substring) -> Bool { text.contains(where: \.isNumber) && text.allSatisfy { $0.isASCII && ($0.isNumber || "-._T:Z".contains($0)) } }
        if candidate.hasPrefix(name), isMark(candidate.dropFirst(name.count)) { return true }
        guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return false }
        let (stem, ending) = (name[..<dot], name[dot...])
        return candidate.hasPrefix(stem) && candidate.hasSuffix(ending) && candidate.count > name.count
            && isMark(candidate.dropFirst(stem.count).dropLast(ending.count))
    }
}

/// Where the files were read to, on disk.
struct OffsetFile: Sendable {
    struct Position: Sendable, Equatable {
        var device: UInt64
        var inode: UInt64
        var offset: Int
        var head: [UInt8]

        var hasWholeHead: Bool { head.count == OffsetFile.headLength }
    }

    struct Saved: Sendable, Equatable {
        /// The followed file's last, before it those of files that were renamed away and are still read.
        var positions: [Position] = []
        /// Of files that were renamed away and are done with, the oldest first.
        var finished: [Position] = []
        /// When this was saved, in nanoseconds: what is in files that nobody has written to since was read. Nil where an earlier version of ours saved it.
        var time: Int64?
    }

    static let headLength = 64
    /// File systems tell times by a clock that is behind by so much, at most.
    private static let coarseness: Int64 = 20_000_000

    let path: String

    func createFolder() throws {
        try FileManager.default.createDirectory(
            at: URL(fileURLWithPath: path).deletingLastPathComponent(), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    func load() -> Saved {
        guard let bytes = FileManager.default.contents(atPath: path), let json = try? JSON(parsing: Array(bytes)), let last = Position(json: json) else { return Saved() }
        func list(_ key: ByteText) -> [Position] { json[key]?.array?.compactMap(Position.init(json:)) ?? [] }
        return Saved(positions: list("older") + [last], finished: list("finished"), time: json["saved_at"]?.integer)
    }

    /// An offset that is not kept makes a restart read some lines twice, no more: it is not worth stopping for.
    func save(_ positions: [Position], finished: [Position]) {
        guard let last = positions.last else { return }
        var json = last.json
        json.append("saved_at", .integer(Timestamp.now().nanoseconds - Self.coarseness))
        for (key, others) in [("older", Array(positions.dropLast())), ("finished", finished)] where !others.isEmpty {
            json.append(ByteText(key), .array(others.map { .object($0.json) }))
        }
        try? Data(JSON.object(json).bytes).write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}

extension OffsetFile.Position {
    fileprivate var json: JSONObject {
        ["device": .integer(Int64(bitPattern: device)), "inode": .integer(Int64(bitPattern: inode)), "offset": .integer(Int64(offset)), "head": .text(head.base64)]
    }

    fileprivate init?(json: JSON) {
        guard let device = json["device"]?.integer, let inode = json["inode"]?.integer, let offset = json["offset"]?.integer, offset >= 0,
            let head = json["head"]?.string?.valid.flatMap({ [UInt8](base64: $0) })
        else { return nil }
        self.init(device: UInt64(bitPattern: device), inode: UInt64(bitPattern: inode), offset: Int(offset), head: head)
    }
}
