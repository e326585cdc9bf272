import Foundation
import Glibc
import RiposteCore
import RiposteTestSupport
import RiposteTransport
import Testing

/// The very program that ships, run by the tests with folders of its own.
enum Riposte {
    /// Beside the test bundle, where the package manager puts both.
    static let path: String = {
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("riposte").path
    }()
}

/// A state folder and a run folder, an agent on them or none, and the command line to both.
final class Workplace {
    let folder: TemporaryFolder
    private(set) var agent: ChildProcess?
    private(set) var httpPort = 0
    private let prefix: [String]

    /// `namespace`: a network namespace to run all in.
    convenience init(namespace: NetworkNamespace? = nil) throws { try self.init(through: namespace.map { ["ip", "netns", "exec", $0.name] } ?? []) }

    /// `prefix`: a command and its arguments that runs the program named behind them.
    init(through prefix: [String]) throws {
        folder = try TemporaryFolder()
        self.prefix = prefix
        try FileManager.default.createDirectory(atPath: folder.path + "/playbooks", withIntermediateDirectories: true)
    }

    deinit { agent?.signal(SIGKILL) }

    var stateDirectory: String { folder.path + "/state" }
    var runDirectory: String { folder.path + "/run" }
    var alertSocket: String { runDirectory + "/alerts.sock" }
    var errors: String { (try? String(contentsOfFile: folder.path + "/stderr", encoding: .utf8)) ?? "" }
    /// What the agent printed on standard output.
    var output: String { (try? String(contentsOfFile: folder.path + "/stdout", encoding: .utf8)) ?? "" }

    /// The whole lines that the agent printed on standard output from a place on, which moves to their end.
    func lines(after offset: inout UInt64) throws -> [[UInt8]] {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: folder.path + "/stdout"))
        try file.seek(toOffset: offset)
        let bytes = Array(try file.readToEnd() ?? Data())
        let whole = bytes[..<(bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0)]
        offset += UInt64(whole.count)
        return whole.split(separator: UInt8(ascii: "\n")).map(Array.init)
    }

    private var folders: [String] { ["--state-dir", stateDirectory, "--run-dir", runDirectory] }

    /// A playbook file whose text is `playbooks:`'s list.
    func write(playbooks: String) throws { _ = try folder.file("playbooks/p.yaml", "apiVersion: riposte/v1\nplaybooks:\n" + playbooks) }

    /// Starts the agent and waits until it is ready.
    @discardableResult
    func start(mode: String = "enforce", configuration: String = "", arguments: [String] = [], input: Int32? = nil) async throws -> ChildProcess {
        let child = try launch(mode: mode, configuration: configuration, arguments: arguments, input: input)
        for _ in 0..<2000 where !errors.contains("is ready") && child.isRunning { try await Task.sleep(for: .milliseconds(10)) }
        try #require(errors.contains("is ready"), "the agent did not start: \(errors)")
        httpPort = errors.firstMatch(of: /http:\/\/127\.0\.0\.1:(\d+)/).flatMap { Int($0.1) } ?? 0
        return child
    }

    /// Starts the agent and does not wait for anything.
    ///
    /// Without rules it has no sensor, unless the configuration speaks of it: whoever touches an agent, a debugger or another test, would be an alert.
    @discardableResult
    func launch(mode: String = "enforce", configuration: String = "", arguments: [String] = [], input: Int32? = nil) throws -> ChildProcess {
        let file = try folder.file("riposte.yaml", configuration + "\n")
        let (out, err) = (try appending("stdout"), open(folder.path + "/stderr", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600))
        defer { for descriptor in [out, err] { close(descriptor) } }
        let isDeaf = !arguments.contains("--rules") && !arguments.contains("--no-sensor") && !configuration.contains("sensor:")
        let child = try ChildProcess(
            prefix + [Riposte.path, "run", "--config", file, "--mode", mode, "--http", "127.0.0.1:0", "--playbooks", folder.path + "/playbooks"] + folders
                + arguments + (isDeaf ? ["--no-sensor"] : []), input: input, output: out, error: err)
        agent = child
        return child
    }

    private func appending(_ name: String) throws -> Int32 { open("\(folder.path)/\(name)", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600) }

    /// Ends the agent as `kill -9` does: nothing of it runs any more when this returns.
    func kill() {
        agent?.signal(SIGKILL)
        _ = agent?.waitForExit()
        agent = nil
    }

    /// Ends the agent in order; its exit status, or nil if that takes longer than a minute.
    func stop(_ signal: Int32 = SIGTERM) async throws -> Int32? {
        agent?.signal(signal)
        defer { agent = nil }
        return try await agent?.waitForExit(within: .seconds(60))
    }

    // MARK: - The command line

    /// `riposte ARGUMENTS` with this workplace's folders.
    @discardableResult
    func riposte(_ arguments: String..., file: StaticString = #filePath) throws -> (status: Int32, output: String) { try riposte(arguments) }

    func riposte(_ arguments: [String]) throws -> (status: Int32, output: String) { try run(prefix + [Riposte.path] + arguments + folders) }

    /// What a command prints with `--json`, one value per line.
    func json(_ arguments: String...) throws -> [JSON] { try json(arguments) }

    func json(_ arguments: [String]) throws -> [JSON] {
        try run(["sh", "-c", "exec \"$@\" 2>/dev/null", "sh"] + prefix + [Riposte.path] + arguments + folders + ["--json"]).output.split(separator: "\n").map {
            try JSON(parsing: Array($0.utf8))
        }
    }

    /// The journal's records, oldest first.
    func records() throws -> [JSON] {
        let journal = stateDirectory + "/journal"
        let files = try FileManager.default.contentsOfDirectory(atPath: journal).filter { $0.hasSuffix(".jsonl") }.sorted()
        // What does not end with its line's end is being written, or was when the agent died.
        return try files.flatMap { file in
            let text = try String(contentsOfFile: "\(journal)/\(file)", encoding: .utf8)
            return try text[..<(text.lastIndex(of: "\n") ?? text.startIndex)].split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
        }
    }

    /// The outcomes on record, as `action outcome`.
    func outcomes() throws -> [String] {
        try records().filter { $0["kind"] == "outcome" }.map { "\($0["action"]?.string?.shown ?? "?") \($0["outcome"]?.string?.shown ?? "?")" }
    }

    // MARK: - Alerts

    func post(_ body: String, timeout: Duration = .seconds(60)) async throws -> HTTPResponse {
        try await HTTPClient().send(HTTPRequest(.post, "http://127.0.0.1:\(httpPort)/", body: Array(body.utf8), timeout: timeout))
    }

    func sendToSocket(_ text: String, isDatagram: Bool = false) throws {
        let path = isDatagram ? runDirectory + "/alerts.dgram.sock" : alertSocket
        let descriptor = socket(AF_UNIX, Int32((isDatagram ? SOCK_DGRAM : SOCK_STREAM).rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        try #require(status == 0, "nobody listens on \(path)")
        let bytes = Array(text.utf8)
        try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
    }
}

/// An alert as Falco writes it, about a process. `fields` are further members of `output_fields`, as JSON text.
func alert(_ rule: String, pid: Int32, name: String = "sleep", startedAt: Int64? = nil, fields: String = "", at time: Timestamp = .now()) -> String {
    let start = startedAt.map { #","proc.pid.ts":\#($0)"# } ?? ""
    return
        #"{"time":"\#(time)","rule":"\#(rule)","priority":"Warning","source":"syscall","output":"o","tags":["test"],"hostname":"h","output_fields":{"proc.pid":\#(pid),"proc.name":"\#(name)"\#(start)\#(fields)}}"#
}

func until(_ limit: Duration = .seconds(60), _ condition: () throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let end = ContinuousClock.now + limit
    var start = ContinuousClock.now
    while try !condition() {
        guard .now < end else {
            Issue.record("it never came to be", sourceLocation: sourceLocation)
            return
        }
        // Whoever is waited for gets the processor for longer than the look took.
        try await Task.sleep(for: max(.milliseconds(10), start.duration(to: .now) * 2))
        start = .now
    }
}
