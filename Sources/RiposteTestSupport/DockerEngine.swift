internal import Foundation

internal import Synchronization

/// A real Docker engine of the tests' own: own socket, own data, own bridge; with one image, `riposte-test`, made of busybox. Started when it is first
/// needed, and ended with the test process.
package final class DockerEngine: Sendable {
    package static let isAvailable = Machine.isRoot && Machine.has("dockerd") && Machine.has("busybox")

    /// The one that all tests of this process share.
    package static let shared = Result { try DockerEngine() }

    package let socket: String
    private let folder: String

    private init() throws {
        folder = NSTemporaryDirectory() + "riposte-docker-\(getpid())"
        socket = folder + "/docker.sock"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        _ = FileManager.default.createFile(atPath: folder + "/log", contents: nil)
        let log = open(folder + "/log", O_WRONLY | O_CLOEXEC)
        defer { close(log) }
        let daemon = try ChildProcess(
            [
                "dockerd", "--data-root", folder + "/data", "--exec-root", folder + "/exec", "-H", "unix://" + socket, "--pidfile", folder + "/pid",
                "--bip", "172.31.249.1/24",
            ], output: log)
        Self.endAtExit(daemon, folder)
        try waitUntilReady(daemon)
        try importImage()
    }

    private func waitUntilReady(_ daemon: ChildProcess) throws {
        for _ in 0..<600 {
            if try run(["curl", "-s", "--unix-socket", socket, "http://docker/_ping"]).output == "OK" { return }
            guard daemon.isRunning else { break }
            usleep(100_000)
        }
        let log = (try? String(contentsOfFile: folder + "/log", encoding: .utf8))?.suffix(2000) ?? ""
        throw NotRunning(reason: "dockerd did not come up: \(log)")
    }

    package struct NotRunning: Error {
        package let reason: String
    }

    private func importImage() throws {
        let root = folder + "/root"
        let script = "mkdir -p \(root)/bin && cp $(command -v busybox) \(root)/bin && for a in $(busybox --list); do ln -s busybox \(root)/bin/$a; done"
        try run(["sh", "-c", script + "; tar -C \(root) -cf \(folder)/image.tar bin"])
        let answer = try run([
            "curl", "-s", "--unix-socket", socket, "-X", "POST", "-H", "Content-Type: application/x-tar", "--data-binary", "@\(folder)/image.tar",
            "http://docker/v1.41/images/create?fromSrc=-&repo=riposte-test",
        ])
        guard answer.output.contains("sha256") else { throw NotRunning(reason: "the image was not imported: \(answer.output)") }
    }

    /// What a killed test process leaves behind goes with the machine; an ended one leaves nothing.
    private static func endAtExit(_ daemon: ChildProcess, _ folder: String) {
        ending.withLock { $0 = (daemon, folder) }
        atexit {
            guard let (daemon, folder) = DockerEngine.ending.withLock({ $0 }) else { return }
            daemon.signal(SIGTERM)
            for _ in 0..<100 where daemon.isRunning { usleep(100_000) }
            _ = try? run(["rm", "-rf", folder])
        }
    }

    private static let ending = Mutex<(ChildProcess, String)?>(nil)
}

/// A container of a test, removed with it.
package final class TestContainer: Sendable {
    package let id: String
    package let name: String
    private let socket: String

    /// `options` are members of the API's create body, as JSON text without braces.
    package init(_ engine: DockerEngine, name: String? = nil, command: [String] = ["/bin/sleep", "1000"], options: String = "") throws {
        socket = engine.socket
        self.name = name ?? "riposte-" + UUID().uuidString.prefix(8).lowercased()
        let words = command.map { "\"\($0)\"" }.joined(separator: ",")
        let body = "{\"Image\":\"riposte-test\",\"Cmd\":[\(words)]\(options.isEmpty ? "" : ",")\(options)}"
        let answer = try run([
            "curl", "-s", "--unix-socket", socket, "-X", "POST", "-H", "Content-Type: application/json", "-d", body,
            "http://docker/v1.41/containers/create?name=\(self.name)",
        ]).output
        guard let start = answer.range(of: "\"Id\":\"") else { throw DockerEngine.NotRunning(reason: "no container: \(answer)") }
        id = String(answer[start.upperBound...].prefix(64))
        try run(["curl", "-s", "--unix-socket", socket, "-X", "POST", "http://docker/v1.41/containers/\(id)/start"])
    }

    deinit { _ = try? run(["curl", "-s", "--unix-socket", socket, "-X", "DELETE", "http://docker/v1.41/containers/\(id)?force=true"]) }

    /// What the engine says, whole: to compare before and after.
    package var inspection: String { (try? run(["curl", "-s", "--unix-socket", socket, "http://docker/v1.41/containers/\(id)/json"]).output) ?? "" }

    package var isPaused: Bool { inspection.contains("\"Paused\":true") }
    package var isRunning: Bool { inspection.contains("\"Running\":true") }

    /// The exit status of a command inside.
    package func execute(_ command: [String]) throws -> Int32 {
        try run(["docker", "-H", "unix://" + socket, "exec", id] + command).status
    }

    /// In the engine's own bridge.
    package var address: String { addresses.first ?? "" }

    /// In the network that it joined last.
    package var lastAddress: String { addresses.last ?? "" }

    private var addresses: [String] {
        inspection.components(separatedBy: "\"IPAddress\":\"").dropFirst().map { String($0.prefix { $0 != "\"" }) }.filter { !$0.isEmpty }
    }
}
