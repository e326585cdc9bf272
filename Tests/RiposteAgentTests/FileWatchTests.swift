import Foundation
@testable import RiposteAgent
import RiposteTestSupport
import Testing

@Suite("files that are in force are watched, through links too")
struct FileWatchTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        for name in ["real", "watched", "v1", "v2"] { try FileManager.default.createDirectory(atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true) }
    }

    private func link(_ path: String, to place: String) throws {
        try? FileManager.default.removeItem(atPath: "\(folder.path)/\(path)")
        try FileManager.default.createSymbolicLink(atPath: "\(folder.path)/\(path)", withDestinationPath: place)
    }

    /// A file, looked at by itself or in its folder.
    private enum Look: String, CaseIterable { case alone, inFolder }

    @Test("an edit of what a link leads to is a change, of a length that stays the same too", arguments: Look.allCases)
    private func edit(look: Look) throws {
        let file = try folder.file("real/p.yaml", "mode: enforce")
        try link("watched/p.yaml", to: "../real/p.yaml")
        let paths = [folder.path + (look == .alone ? "/watched/p.yaml" : "/watched")]
        let before = FileWatch.fingerprint(of: paths)
        #expect(FileWatch.fingerprint(of: paths) == before)
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
        try handle.write(contentsOf: Data("mode: observe".utf8))
        try handle.close()
        #expect(FileWatch.fingerprint(of: paths) != before)
    }

    @Test("the folder behind a ConfigMap's files is swapped: a change", arguments: Look.allCases)
    private func swap(look: Look) throws {
        for version in ["v1", "v2"] { _ = try folder.file("\(version)/p.yaml", "mode: \(version)") }
        try link("watched/..data", to: "../v1")
        try link("watched/p.yaml", to: "..data/p.yaml")
        let paths = [folder.path + (look == .alone ? "/watched/p.yaml" : "/watched")]
        let before = FileWatch.fingerprint(of: paths)
        try link("watched/..next", to: "../v2")
        try #require(rename("\(folder.path)/watched/..next", "\(folder.path)/watched/..data") == 0)
        #expect(FileWatch.fingerprint(of: paths) != before)
    }

    @Test("a link that leads nowhere yet, and then somewhere")
    func dangling() throws {
        try link("watched/p.yaml", to: "../real/p.yaml")
        let before = FileWatch.fingerprint(of: [folder.path + "/watched"])
        _ = try folder.file("real/p.yaml", "x")
        #expect(FileWatch.fingerprint(of: [folder.path + "/watched"]) != before)
    }
}
