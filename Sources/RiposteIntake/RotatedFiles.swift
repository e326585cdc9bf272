internal import Foundation
internal import Glibc

/// Files beside a followed one, as rotation leaves them: `alerts.jsonl.1`, `alerts.jsonl-20261126`, `alerts-2026-11-26T03-15-00.000.jsonl`.
///
/// Other logs live in the same folder, and `alerts.2.jsonl` may be one of them as well as what is left of `alerts.jsonl` (logrotate's `extension`). So what is read as ours by its name
/// alone has a number or a time behind the followed file's whole name, or a whole date before its ending. Names of any other make count where the very file that was read has come by
/// one of that make.
struct RotatedFiles {
    private let folder: String
    private let name: String
    private let names: [String]
    private let owners: Set<UInt32>
    private let saved: OffsetFile.Saved
    /// Of the names that files of ours have now.
    private var makes: Set<Mark.Make> = []

    /// A folder of more is no folder of rotated files.
    private static let limit = 10_000
    private static let digitsOfDate = 8

    /// `owners`: whose they may be. In a folder like `/tmp` anybody can put a file by such a name, or a link to somebody else's. `saved`: what was read.
    init(folder: String, name: String, owners: Set<UInt32>, _ saved: OffsetFile.Saved) {
        self.folder = folder
        self.name = name
        self.owners = owners
        self.saved = saved
        names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted().prefix(Self.limit).filter { $0 != name }
        for name in names {
            guard let mark = mark(name), !mark.tellsByItself, let file = open(name, where: wasRead) else { continue }
            file.closeFile()
            makes.insert(mark.make)
        }
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
    func newer() -> [FollowedFile] {
        guard let since = saved.time else { return [] }
        let files = names.filter(isRotated).compactMap { name in
            open(name) { file in file.modified > since && !saved.positions.contains { file.isAt($0) || file.isCopy(of: $0) } }
        }
        // One that nobody wrote to for long, and then somebody did.
        for file in files { if let place = saved.finished.first(where: { file.isAt($0) }) { file.resume(at: place) } }
        return files.sorted { $0.modified < $1.modified }
    }

    /// Those that would be among them, could they be read.
    func compressed() -> [String] {
        guard let since = saved.time else { return [] }
        return names.filter { name in
            guard let ending = [".gz", ".xz", ".zst", ".bz2"].first(where: name.hasSuffix), isRotated(String(name.dropLast(ending.count))) else { return false }
            return facts(name).map { isOwned($0) && $0.modified > since } ?? false
        }
    }

    /// Those that would be among them, were they not somebody else's, or links.
    func foreign() -> [String] {
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

    private func wasRead(_ file: FollowedFile) -> Bool {
        saved.positions.contains { file.isAt($0) || file.isCopy(of: $0) } || saved.finished.contains { $0.hasWholeTail && file.isAt($0) }
    }

    // MARK: - Names

    /// What stands in a name beside the followed file's: a number, a time.
    private struct Mark {
        /// How it is written, whatever its numbers: `.7` and `.12` are of one make.
        struct Make: Hashable {
            var isBeforeEnding: Bool
            var pattern: String
        }

        var make: Make
        var text: Substring

        /// Whether nothing else is likely to be called so.
        var tellsByItself: Bool {
            guard let first = text.first, "-._".contains(first) else { return false }
            return !make.isBeforeEnding || text.count(where: \.isNumber) >= RotatedFiles.digitsOfDate
        }

        /// Nil where it is no number and no time.
        init?(_ text: Substring, isBeforeEnding: Bool) {
            guard text.contains(where: \.isNumber), text.allSatisfy({ $0.isASCII && ($0.isNumber || "-._T:Z".contains($0)) }) else { return nil }
            self.text = text
            var pattern = ""
            for sign in text where !(sign.isNumber && pattern.last == "#") { pattern.append(sign.isNumber ? "#" : sign) }
            make = Make(isBeforeEnding: isBeforeEnding, pattern: pattern)
        }
    }

    private func mark(_ candidate: String) -> Mark? {
        if candidate.hasPrefix(name), let mark = Mark(candidate.dropFirst(name.count), isBeforeEnding: false) { return mark }
        guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return nil }
        let (stem, ending) = (name[..<dot], name[dot...])
        guard candidate.hasPrefix(stem), candidate.hasSuffix(ending), candidate.count > name.count else { return nil }
        return Mark(candidate.dropFirst(stem.count).dropLast(ending.count), isBeforeEnding: true)
    }

    private func isRotated(_ candidate: String) -> Bool { mark(candidate).map { $0.tellsByItself || makes.contains($0.make) } ?? false }
}
