import Foundation
import Glibc
import RiposteCore
import RiposteTestSupport
import Testing

@Suite("folders that the agent writes to are nobody else's", .serialized, .enabled(if: Machine.isRoot, "needs root"))
struct WorkFolderTests {
    private let place: Workplace
    /// In it stand the state folder and the run folder.
    private var above: String { place.folder.path + "/above" }

    init() throws {
        place = try Workplace()
        for name in ["state/journal", "run"] { try FileManager.default.createDirectory(atPath: "\(place.folder.path)/\(name)", withIntermediateDirectories: true) }
    }

    /// Who may be what there: a folder, its mode and owner, the doctor's subject.
    private static let unsafe: [(folder: String, mode: UInt32, owner: UInt32, subject: String)] = [
        ("state", 0o777, 0, "state directory"), ("state", 0o1777, 0, "state directory"), ("state", 0o775, 0, "state directory"), ("state", 0o755, 65534, "state directory"),
        ("state/journal", 0o755, 65534, "state directory"), ("run", 0o777, 0, "run directory"), ("run", 0o755, 65534, "run directory"),
    ]

    @Test("one that others can write to is refused by agent and doctor, with the remedy", arguments: unsafe)
    func refused(folder: String, mode: UInt32, owner: UInt32, subject: String) async throws {
        let path = "\(place.folder.path)/\(folder)"
        #expect(chmod(path, mode) == 0 && chown(path, owner, 0) == 0)
        #expect(try await place.launch().waitForExit(within: .seconds(60)) == 2)
        #expect(place.errors.contains(path) && place.errors.contains(owner == 0 ? "chmod go-w it" : "chown it to root"), "\(place.errors)")
        let finding = try place.json("doctor").first { $0["subject"] == .text(subject) }
        #expect(finding?["verdict"] == "bad")
        if subject == "state directory" {
            let (status, words) = try place.riposte("process", "kill", "1", "--dry-run")
            #expect(status == 2 && words.contains("relied on"), "\(words)")
        }
        #expect(chmod(path, 0o755) == 0 && chown(path, 0, 0) == 0)
        try await place.start()
    }

    @Test("neither may others put another in its place: by the folder above, or by a link", arguments: ["folder", "link"])
    func replaceable(way: String) async throws {
        try FileManager.default.createDirectory(atPath: above + "/state", withIntermediateDirectories: true)
        if way == "folder" { #expect(chmod(above, 0o777) == 0) }
        if way == "link" {
            try FileManager.default.removeItem(atPath: above + "/state")
            try FileManager.default.createSymbolicLink(atPath: above + "/state", withDestinationPath: place.stateDirectory)
            #expect(lchown(above + "/state", 65534, 65534) == 0)
        }
        let agent = try place.launch(arguments: ["--state-dir", above + "/state"])
        #expect(try await agent.waitForExit(within: .seconds(60)) == 2)
        #expect(place.errors.contains(above), "\(place.errors)")
    }

    @Test("a command speaks to no socket in a folder that others can write to")
    func socketOfOthers() async throws {
        let double = try UnixDouble(place.runDirectory + "/riposte.sock", answer: .text("{\"pid\":1}"))
        #expect(chmod(place.runDirectory, 0o777) == 0)
        let (status, words) = try place.riposte("status")
        #expect(status == 3 && words.contains("chmod go-w"), "\(status) \(words)")
        #expect(double.requests.isEmpty)
        #expect(chmod(place.runDirectory, 0o755) == 0)
        _ = try place.riposte("status")
        #expect(!double.requests.isEmpty)
    }
}
