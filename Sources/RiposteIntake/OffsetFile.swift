internal import Foundation
internal import Glibc
internal import RiposteCore

/// Where the files were read to, on disk.
struct OffsetFile: Sendable {
    struct Position: Sendable, Equatable {
        var device: UInt64
        var inode: UInt64
        /// Nil where an earlier version of ours saved it.
        var owner: UInt32?
        var offset: Int
        /// The first bytes of the file.
        var head: [UInt8]
        /// The last bytes before the offset. None where an earlier version of ours saved it.
        var tail: [UInt8]

        /// With half of one, many files would be this one: logs begin alike.
        var hasWholeTail: Bool { !tail.isEmpty && tail.count == min(offset, OffsetFile.tailLength) }
    }

    struct Saved: Sendable, Equatable {
        /// Which file was followed. Nil where an earlier version of ours saved it.
        var path: String?
        /// The followed file's last, before it those of files that were renamed away and are still read.
        var positions: [Position] = []
        /// Of files that were renamed away and are done with, the oldest first.
        var finished: [Position] = []
        /// When this was saved, in nanoseconds: what is in files that nobody has written to since was read. Nil where an earlier version of ours saved it.
        var time: Int64?
    }

    static let headLength = 64
    static let tailLength = 1024
    /// File systems tell times by a clock that is behind by so much, at most.
    private static let coarseness: Int64 = 20_000_000

    let path: String

    func createFolder() throws {
        try FileManager.default.createDirectory(
            at: URL(fileURLWithPath: path).deletingLastPathComponent(), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    /// What the last run saved; nil where none did.
    func load() throws(Unreadable) -> Saved? {
        let data: Data
        do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch CocoaError.fileReadNoSuchFile, CocoaError.fileNoSuchFile { return nil } catch {
            throw Unreadable(description: "\(path) cannot be read: \(error.localizedDescription)")
        }
        let nonsense = Unreadable(description: "\(path) holds no place in a file")
        guard let json = try? JSON(parsing: Array(data)), json.object != nil else { throw nonsense }
        func list(_ key: ByteText) throws(Unreadable) -> [Position] {
            var positions: [Position] = []
            for element in json[key]?.array ?? [] {
                guard let position = Position(json: element) else { throw nonsense }
                positions.append(position)
            }
            return positions
        }
        var positions = try list("older")
        // Nothing was there to be read.
        if json["device"] != nil || json["saved_at"] == nil {
            guard let last = Position(json: json) else { throw nonsense }
            positions.append(last)
        }
        return Saved(path: json["path"]?.string?.valid, positions: positions, finished: try list("finished"), time: json["saved_at"]?.integer)
    }

    /// Puts it on disk, so that after a power cut there is this or what was there before. An offset that is not kept makes a restart read some lines twice, no more: it is not
    /// worth stopping for.
    func save(_ saved: Saved) {
        var json = saved.positions.last?.json ?? JSONObject()
        json.append("path", saved.path.map(JSON.text))
        json.append("saved_at", .integer((saved.time ?? Timestamp.now().nanoseconds) - Self.coarseness))
        for (key, others) in [("older", Array(saved.positions.dropLast())), ("finished", saved.finished)] where !others.isEmpty {
            json.append(ByteText(key), .array(others.map { .object($0.json) }))
        }
        let isFirst = access(path, F_OK) != 0
        let (bytes, temporary) = (JSON.object(json).bytes, path + ".new")
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { return }
        let isWritten = write(file, bytes, bytes.count) == bytes.count && fdatasync(file) == 0
        close(file)
        guard isWritten, rename(temporary, path) == 0 else { return }
        // Where none was, none would be there after a power cut, and the next run begin at the end of what came meanwhile.
        if isFirst { syncFolder() }
    }

    private func syncFolder() {
        let folder = open(URL(fileURLWithPath: path).deletingLastPathComponent().path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return }
        fsync(folder)
        close(folder)
    }

    /// Why nobody knows how far was read.
    struct Unreadable: Error, CustomStringConvertible {
        let description: String
    }
}

extension OffsetFile.Position {
    fileprivate var json: JSONObject {
        var object: JSONObject = [
            "device": .integer(Int64(bitPattern: device)), "inode": .integer(Int64(bitPattern: inode)), "offset": .integer(Int64(offset)), "head": .text(head.base64),
            "tail": .text(tail.base64),
        ]
        object.append("owner", owner.map { .integer(Int64($0)) })
        return object
    }

    fileprivate init?(json: JSON) {
        guard let device = json["device"]?.integer, let inode = json["inode"]?.integer, let offset = json["offset"]?.integer, offset >= 0,
            let head = json["head"]?.string?.valid.flatMap({ [UInt8](base64: $0) })
        else { return nil }
        let (owner, tail) = (json["owner"]?.integer.flatMap(UInt32.init(exactly:)), json["tail"]?.string?.valid.flatMap { [UInt8](base64: $0) } ?? [])
        guard tail.count <= offset else { return nil }
        self.init(device: UInt64(bitPattern: device), inode: UInt64(bitPattern: inode), owner: owner, offset: Int(offset), head: head, tail: tail)
    }
}
