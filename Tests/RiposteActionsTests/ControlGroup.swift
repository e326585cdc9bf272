import Foundation
import RiposteTestSupport

/// A control group of a test in the unified hierarchy, removed with it.
final class ControlGroup: Sendable {
    private static let root = FileManager.default.fileExists(atPath: "/sys/fs/cgroup/unified") ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup"
    static let isPossible = Machine.isRoot && access(root + "/cgroup.procs", W_OK) == 0

    /// From the hierarchy's root.
    let path: String

    struct NotMade: Error { let path: String }

    /// Below one that only this test has; the last parts of the path are as given.
    init(_ path: String) throws {
        self.path = path
        try FileManager.default.createDirectory(atPath: "\(Self.root)/\(path)", withIntermediateDirectories: true)
    }

    func take(_ pid: Int32) throws { try Self.move(pid, "\(Self.root)/\(path)") }

    private static func move(_ pid: Int32, _ folder: String) throws {
        guard let file = FileHandle(forWritingAtPath: folder + "/cgroup.procs") else { throw NotMade(path: folder) }
        try file.write(contentsOf: Data("\(pid)".utf8))
    }

    deinit {
        let folder = "\(Self.root)/\(path)"
        let left = (try? String(contentsOfFile: folder + "/cgroup.procs", encoding: .utf8))?.split(separator: "\n").compactMap { Int32($0) } ?? []
        for pid in left { try? Self.move(pid, Self.root) }
        var parts = path.split(separator: "/")
        // A folder that others use too is not empty, and stays.
        while !parts.isEmpty, rmdir("\(Self.root)/\(parts.joined(separator: "/"))") == 0 { parts.removeLast() }
    }
}
