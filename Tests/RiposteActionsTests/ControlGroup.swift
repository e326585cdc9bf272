import Foundation
import RiposteTestSupport
import Testing

/// A control group of a test, removed with it.
final class ControlGroup: Sendable {
    /// Of cgroups' second version, and one of the first, where every controller has a hierarchy of its own.
    enum Hierarchy: String, CaseIterable, CustomTestStringConvertible {
        case unified, freezer

        var testDescription: String { rawValue }

        fileprivate var root: String {
            let folder = "/sys/fs/cgroup/\(rawValue)"
            return self == .unified && !FileManager.default.fileExists(atPath: folder) ? "/sys/fs/cgroup" : folder
        }

        var isPossible: Bool { Machine.isRoot && access(root + "/cgroup.procs", W_OK) == 0 }

        static var possible: [Hierarchy] { allCases.filter(\.isPossible) }
    }

    static let isPossible = Hierarchy.unified.isPossible

    /// From the hierarchy's root.
    let path: String
    private let hierarchy: Hierarchy

    struct NotMade: Error { let path: String }

    /// Below one that only this test has; the last parts of the path are as given.
    init(_ path: String, in hierarchy: Hierarchy = .unified) throws {
        self.path = path
        self.hierarchy = hierarchy
        try FileManager.default.createDirectory(atPath: "\(hierarchy.root)/\(path)", withIntermediateDirectories: true)
    }

    func take(_ pid: Int32) throws { try Self.write("\(pid)", to: "\(hierarchy.root)/\(path)/cgroup.procs") }

    /// Lets nobody in it run, as a paused container; returns when nobody does.
    func freeze() async throws {
        let file = "\(hierarchy.root)/\(path)/"
        switch hierarchy {
        case .unified:
            try Self.write("1", to: file + "cgroup.freeze")
            try await until { try String(contentsOfFile: file + "cgroup.events", encoding: .utf8).contains("frozen 1") }
        case .freezer:
            try Self.write("FROZEN", to: file + "freezer.state")
            try await until { try String(contentsOfFile: file + "freezer.state", encoding: .utf8) == "FROZEN\n" }
        }
    }

    func thaw() throws {
        switch hierarchy {
        case .unified: try Self.write("0", to: "\(hierarchy.root)/\(path)/cgroup.freeze")
        case .freezer: try Self.write("THAWED", to: "\(hierarchy.root)/\(path)/freezer.state")
        }
    }

    private static func write(_ text: String, to path: String) throws {
        guard let file = FileHandle(forWritingAtPath: path) else { throw NotMade(path: path) }
        try file.write(contentsOf: Data(text.utf8))
    }

    deinit {
        let folder = "\(hierarchy.root)/\(path)"
        try? thaw()
        let left = (try? String(contentsOfFile: folder + "/cgroup.procs", encoding: .utf8))?.split(separator: "\n").compactMap { Int32($0) } ?? []
        for pid in left { try? Self.write("\(pid)", to: hierarchy.root + "/cgroup.procs") }
        var parts = path.split(separator: "/")
        // A folder that others use too is not empty, and stays.
        while !parts.isEmpty, rmdir("\(hierarchy.root)/\(parts.joined(separator: "/"))") == 0 { parts.removeLast() }
    }
}
