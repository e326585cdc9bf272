internal import Foundation
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

    private static func fingerprint(of paths: [String]) -> [String] {
        paths.flatMap { path -> [String] in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: path)).map { $0.sorted().map { "\(path)/\($0)" } } ?? [path]
            let owners = (names == [path] ? names : [path] + names).map(rights(of:))
            let marks = names.map { name in
                guard let facts = try? FileManager.default.attributesOfItem(atPath: name) else { return "\(name) missing" }
                let changed = (facts[.modificationDate] as? Date)?.timeIntervalSinceReferenceDate ?? 0
                return "\(name) \(facts[.systemFileNumber] ?? 0) \(facts[.size] ?? 0) \(changed)"
            }
            return owners + marks
        }
    }

    private static func rights(of name: String) -> String { FileRights(path: name).map { "\(name) \($0.owner) \($0.mode)" } ?? name }
}
