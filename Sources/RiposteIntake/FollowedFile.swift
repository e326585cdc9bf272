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
    /// The last bytes before it, as they were read: where they do not stand there any more, this is another text.
    private var tail: [UInt8] = []
    private var lines = LineSplitter()
    private var grew = ContinuousClock.now

    /// Regular files only: whatever else is opened may wait for somebody at its other end, and has no place to come back to. `isLinkFollowed`: whether the path
    /// may be a symbolic link.
    static func opening(_ path: String, isLinkFollowed: Bool = true) -> Result<FollowedFile, Problem> {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (isLinkFollowed ? 0 : O_NOFOLLOW))
        guard descriptor >= 0 else { return .failure(Problem(text: "\(path): \(String(cString: strerror(errno)))")) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            return .failure(Problem(text: "\(path) is no regular file"))
        }
        return .success(FollowedFile(descriptor, facts))
    }

    /// The file at a path, if that is one to follow, and the one that is meant.
    static func at(_ path: String, isLinkFollowed: Bool = true, where isMeant: (FollowedFile) -> Bool) -> FollowedFile? {
        guard case .success(let file) = opening(path, isLinkFollowed: isLinkFollowed) else { return nil }
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
        let finished = offset - lines.pendingBytes
        return OffsetFile.Position(
            device: device, inode: inode, owner: owner, offset: finished, head: bytes(0..<OffsetFile.headLength), tail: finished == offset ? tail : bytes(before: finished))
    }

    private func bytes(_ range: Range<Int>) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: range.count)
        let count = pread(descriptor, &bytes, bytes.count, off_t(range.lowerBound))
        return Array(bytes.prefix(max(0, count)))
    }

    private func bytes(before end: Int) -> [UInt8] { bytes(max(0, end - OffsetFile.tailLength)..<end) }

    private var facts: stat {
        var facts = stat()
        fstat(descriptor, &facts)
        return facts
    }

    private var size: Int { Int(facts.st_size) }

    /// When it was last written to, in nanoseconds.
    var modified: Int64 { facts.modified }

    /// Whose it is.
    var owner: UInt32 { facts.st_uid }

    /// Why what is in it may be by others than those who are believed; nil where it is not. `owners`: beside root and the agent's own user.
    func objection(_ owners: Set<UInt32>) -> String? { FileRights(descriptor: descriptor)?.objection(owners: owners) }

    /// Whether it is the one that was read so far. An inode is used again, and a file begun anew may begin as the one before did: what stands before the place
    /// tells.
    func isAt(_ position: OffsetFile.Position) -> Bool { position.device == device && position.inode == inode && holds(position) }

    /// Whether it is a copy of that one. What cannot be told for sure is none: it is better read twice than not at all.
    func isCopy(of position: OffsetFile.Position) -> Bool { position.hasWholeTail && holds(position) }

    private func holds(_ position: OffsetFile.Position) -> Bool {
        position.offset <= size && bytes(0..<OffsetFile.headLength).starts(with: position.head)
            && bytes(position.offset - min(position.offset, position.tail.count)..<position.offset) == position.tail
    }

    /// From now on it counts how long nothing comes.
    func beginSilence() { grew = .now }

    func resume(at position: OffsetFile.Position) { begin(at: position.offset) }

    func begin(atEnd: Bool) { begin(at: atEnd ? size : 0) }

    private func begin(at place: Int) { (offset, tail) = (place, bytes(before: place)) }

    // MARK: - Reading

    /// The lines of the next piece; nil where there is nothing more for now. A file that was emptied, and maybe filled again since, however far, is read from its
    /// beginning.
    func next() -> [LineSplitter.Piece]? {
        var buffer = [UInt8](repeating: 0, count: OffsetFile.tailLength + 1 << 16)
        while true {
            // In one go with what was read last: so what is new follows that.
            let count = pread(descriptor, &buffer, buffer.count, off_t(offset - tail.count))
            guard count >= 0 else { return nil }
            let read = buffer[..<count]
            guard read.starts(with: tail) else {
                (offset, tail, lines) = (0, [], LineSplitter())
                continue
            }
            let new = read.dropFirst(tail.count)
            guard !new.isEmpty else { return nil }
            offset += new.count
            tail = Array(read.suffix(OffsetFile.tailLength))
            grew = .now
            return lines.take(new)
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
    var modified: Int64 {
        let (scaled, overflowed) = Int64(st_mtim.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
        return overflowed ? .max : scaled.addingReportingOverflow(Int64(st_mtim.tv_nsec)).partialValue
    }
}

extension FileRights {
    /// To a file of what happened, which these users write.
    func objection(owners: Set<UInt32>) -> String? {
        let isForeign = owner != 0 && owner != geteuid() && !owners.contains(owner)
        guard isForeign || mode & 0o022 != 0 else { return nil }
        let facts = [isForeign ? "it belongs to user \(owner)" : nil, mode & 0o022 != 0 ? "others than its owner may write it (mode 0\(String(mode, radix: 8)))" : nil]
        return facts.compactMap(\.self).joined(separator: " and ")
    }
}
