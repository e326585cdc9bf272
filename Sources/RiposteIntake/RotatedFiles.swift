internal import Foundation
internal import Glibc

/// Files beside a followed one, as rotation leaves them: `alerts.jsonl.1`, `alerts.jsonl-20261126`, `alerts-2026-11-26T03-15-00.000.jsonl`.
struct RotatedFiles {
    private let folder: String
    private let name: String
    private let names: [String]
    private let owners: Set<UInt32>

    /// A folder of more is no folder of rotated files.
    private static let limit = 10_000

    /// `owners`: whose they may be. In a folder like `/tmp` anybody can put a file by such a name, or a link to somebody else's.
    init(folder: String, name: String, owners: Set<UInt32>) {
        self.folder = folder
        self.name = name
        self.owners = owners
        names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted().prefix(Self.limit).filter { $0 != name }
    }

    /// The very file, whatever its name is now; else a copy of it, as `copytruncate` leaves one.
    func find(_ position: OffsetFile.Position) -> FollowedFile? {
        for name in names {
            guard let facts = facts(name), UInt64(facts.st_ino) == position.inode else { continue }
            if let file = open(name, where: { $0.isAt(position) }) { return file }
        }
        return names.lazy.filter(isRotated).compactMap { open($0) { $0.isCopy(of: position) } }.first
    }

    /// Those that were written to since, the oldest first, but for those that are read from a saved place anyway.
    func newer(than saved: OffsetFile.Saved) -> [FollowedFile] {
        guard let since = saved.time else { return [] }
        let files = names.filter(isRotated).compactMap { name in
            open(name) { file in file.modified > since && !saved.positions.contains { file.isAt($0) || file.isCopy(of: $0) } }
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
            return facts(name).map { isOwned($0) && $0.modified > since } ?? false
        }
    }

    /// Those that would be among them, were they not somebody else's, or links.
    func foreign(since saved: OffsetFile.Saved) -> [String] {
        guard let since = saved.time else { return [] }
        return names.filter(isRotated).filter { name in
            facts(name).map { $0.modified > since && (!isOwned($0) || $0.st_mode & S_IFMT != S_IFREG) } ?? false
        }
    }

    private func open(_ name: String, where isMeant: (FollowedFile) -> Bool) -> FollowedFile? {
        FollowedFile.at("\(folder)/\(name)", isLinkFollowed: false) { owners.contains($0.owner) && isMeant($0) }
    }

    private func facts(_ name: String) -> stat? {
        var facts = stat()
        return lstat("\(folder)/\(name)", &facts) == 0 ? facts : nil
    }

    private func isOwned(_ facts: stat) -> Bool { owners.contains(facts.st_uid) }

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
