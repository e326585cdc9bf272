internal import Foundation
internal import Glibc
internal import RiposteCore

/// Notices that files, or what is in folders, changed: by names, sizes, times, owners and modes, looked at once a second.
///
/// Made before the files are read for the first time: a change between that and the watching counts too.
struct FileWatch: Sendable {
    let paths: [String]
    private let first: [String]

    init(_ paths: [String]) {
        self.paths = paths
        first = Self.fingerprint(of: paths)
    }

    /// Calls `changed` behind each change until cancelled.
    func run(_ changed: () async -> Void) async throws {
        var seen = first
        while true {
            try await Task.sleep(for: .seconds(1))
            guard Self.fingerprint(of: paths) != seen else { continue }
            // Not before nothing has changed for a moment: somebody may be half way through.
            var latest = Self.fingerprint(of: paths)
            while true {
                try await Task.sleep(for: .milliseconds(300))
                let now = Self.fingerprint(of: paths)
                if now == latest { break }
                latest = now
            }
            guard latest != seen else { continue }
            seen = latest
            await changed()
        }
    }

    /// Differs where something has changed.
    static func fingerprint(of paths: [String]) -> [String] {
        paths.flatMap { path -> [String] in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: path)).map { $0.sorted().map { "\(path)/\($0)" } } ?? [path]
            // Who may write to a folder counts too, but not what else changes with each of its files.
            let rights = names == [path] ? [] : [FileRights(path: path).map { "\(path) \($0.owner) \($0.mode)" } ?? path]
            // Where a name leads elsewhere, both count: the link, and what it leads to now. So do the folders between, as a ConfigMap's, which are swapped whole.
            return rights + names.map { name in "\(name) \(facts(name) { lstat($0, $1) }) \(facts(name) { stat($0, $1) })" }
        }
    }

    private static func facts(_ path: String, _ look: (UnsafePointer<CChar>, UnsafeMutablePointer<stat>) -> Int32) -> String {
        var facts = stat()
        guard look(path, &facts) == 0 else { return "missing" }
        let (content, inode) = (facts.st_mtim, facts.st_ctim)
        return "\(facts.st_dev) \(facts.st_ino) \(facts.st_uid) \(facts.st_mode) \(facts.st_size) \(content.tv_sec).\(content.tv_nsec) \(inode.tv_sec).\(inode.tv_nsec)"
    }
}
