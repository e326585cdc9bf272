import Foundation
import Glibc
import RiposteCore
import RiposteTestSupport
import Testing

/// What outputs leave on the disk, and what they say where they may not write, tried by another user of the machine.
@Suite(.enabled(if: Machine.isRoot && Machine.has("setpriv"), "needs root and setpriv")) struct OutputPermissionTests {
    private func asNobody(_ command: [String]) throws -> (status: Int32, output: String) {
        try run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"] + command)
    }

    @Test("nobody else reads or writes cursors, dead letters, the journal, files of outputs, or secrets, even where folders are opened")
    func othersMayNothing() async throws {
        let server = try await LoopbackServer { _ in .init(400, "never") }
        let place = try Workplace()
        let secret = try place.folder.file("url", "http://127.0.0.1:\(server.port)/hooks/hunter2\n")
        chmod(secret, 0o600)
        let file = place.folder.path + "/out.jsonl"
        try await place.start(
            configuration: """
                sensor: { enabled: false }
                outputs:
                  - { name: refused, type: http, url: { file: \(secret) } }
                  - { name: disk, type: file, path: \(file) }
                """)
        _ = try await place.post(alert("rule 1", pid: 1))
        let outputs = place.stateDirectory + "/outputs"
        let dead = outputs + "/refused.dead.jsonl"
        try await until { FileManager.default.fileExists(atPath: dead) && FileManager.default.fileExists(atPath: file) }
        let environment = "/proc/\(try #require(place.agent?.pid))/environ"
        #expect(try asNobody(["cat", environment]).status != 0, "secrets may stand in the environment")
        #expect(try await place.stop() == 0)
        let journal = place.stateDirectory + "/journal"
        let segments = try FileManager.default.contentsOfDirectory(atPath: journal).filter { $0.hasSuffix(".jsonl") }.map { "\(journal)/\($0)" }
        let all = [dead, outputs + "/refused.cursor", outputs + "/disk.cursor", file, secret] + segments
        #expect(segments.count == 1)
        for _ in 1...2 {
            for path in all {
                #expect(FileManager.default.fileExists(atPath: path), "\(path)")
                #expect(try asNobody(["cat", path]).status != 0, "\(path) was read")
                #expect(try asNobody(["sh", "-c", "echo x >> \"$0\"", path]).status != 0, "\(path) was written")
                #expect(try asNobody(["rm", "-f", path]).status != 0, "\(path) was taken away")
            }
            // Somebody opens the folders: the files keep to themselves.
            for folder in [place.stateDirectory, outputs, journal] { chmod(folder, 0o755) }
        }
    }

    @Test("who may not write there is told so in one line")
    func aFolderThatIsNotWritable() throws {
        let place = try Workplace()
        let path = place.folder.path + "/out.jsonl"
        let configuration = try place.folder.file("riposte.yaml", "outputs:\n  - { name: disk, type: file, path: \(path) }\n")
        let (status, output) = try asNobody([Riposte.path, "output", "test", "disk", "--config", configuration])
        #expect(status == 1)
        #expect(output.split(separator: "\n").count == 1 && output.contains("open \(path): Permission denied"), "\(output)")
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("who may not read a secret is told which, and where it is asked for")
    func aSecretThatIsNotReadable() throws {
        let place = try Workplace()
        let secret = try place.folder.file("url", "https://hooks.example/hunter2\n")
        chmod(secret, 0o600)
        let configuration = try place.folder.file("riposte.yaml", "outputs:\n  - { name: chat, type: slack, url: { file: \(secret) } }\n")
        let (status, output) = try asNobody([Riposte.path, "output", "test", "chat", "--config", configuration])
        #expect(status == 2)
        #expect(output.contains("riposte.yaml:2:") && output.contains("\(secret) cannot be read: Permission denied") && !output.contains("hunter2"), "\(output)")
    }
}
