import Foundation
import RiposteCore
import RiposteSensor
import RiposteTestSupport
import Testing

/// `Tests/Scenarios`: harmless attacks and near misses, with what they must and must not raise.
private struct Scenario: Decodable, CustomTestStringConvertible {
    enum Place: String, Decodable { case host, container }

    enum Value: Decodable {
        case text(String), number(Int64), truth(Bool)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let truth = try? container.decode(Bool.self) {
                self = .truth(truth)
            } else if let number = try? container.decode(Int64.self) {
                self = .number(number)
            } else {
                self = .text(try container.decode(String.self))
            }
        }
    }

    let name: String
    let place: Place
    let program: String?
    let arguments: [String]
    let environment: [String: String]?
    /// Nil: nothing of `silent` may be raised.
    let rule: String?
    let fields: [String: Value]?
    let silent: [String]?
    let files: [String]?
    let links: [String: String]?
    /// What the machine may not be able to do: io_uring, 32-bit programs.
    let mayBeMissing: Bool?
    /// A container of its own, with these options; nil: the one that stands.
    let options: [String]?
    let user: String?
    let terminal: Bool?

    enum CodingKeys: String, CodingKey {
        case name, program, arguments, environment, rule, fields, silent, files, links, options, user, terminal
        case place = "where"
        case mayBeMissing = "may_be_missing"
    }

    var testDescription: String { name }
}

private let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Scenarios").path

extension String {
    fileprivate func filled(_ places: [String: String]) -> String { places.reduce(self) { $0.replacing("{\($1.key)}", with: $1.value) } }
}

extension JSON {
    /// Whether this is what a scenario expects.
    fileprivate func isEqual(to value: Scenario.Value, _ places: [String: String]) -> Bool {
        switch value {
        case .text(let text): string?.repaired == text.filled(places)
        case .number(let number): integer == number
        case .truth(let truth): self == .bool(truth)
        }
    }
}

/// Two agents on the real kernel at once: one whose rules are pushed down, one to whom the kernel hands up everything. What one sees the other must see.
private final class Watch {
    let agents: [Workplace]
    private var offsets: [UInt64] = [0, 0]

    init(docker: String?) async throws {
        agents = [try Workplace(), try Workplace()]
        // Room for all that a busy machine does meanwhile: the agents are not optimized, and the one without push-down reads every call.
        let configuration = "sensor: { buffer_size: 128MiB }\n" + (docker.map { "docker: { socket: \($0) }" } ?? "")
        for (agent, flags) in zip(agents, [[], ["--no-push-down"]]) {
            try await agent.start(mode: "observe", configuration: configuration, arguments: ["--json", "--rules", folder + "/falco-shapes.yaml"] + flags)
        }
    }

    /// The alerts of both agents since the last call, up to and without the one that `mark` raises.
    func alerts(until mark: (JSON) -> Bool) async throws -> [[JSON]] { try await all(until: mark).map { $0.filter { !mark($0) } } }

    /// The alerts that `mark` raises, one of each agent.
    func raised(_ mark: (JSON) -> Bool) async throws -> [JSON] { try await all(until: mark).compactMap { $0.first(where: mark) } }

    /// What the kernel could not hand over to either agent.
    func dropped() throws -> String { try agents.map { try $0.json("status").first?["sensor"]?["dropped"]?.line ?? "?" }.joined(separator: ", ") }

    private func all(until mark: (JSON) -> Bool) async throws -> [[JSON]] {
        var result: [[JSON]] = []
        for (index, agent) in agents.enumerated() {
            var found: [JSON] = []
            try await until {
                let lines = try agent.lines(after: &offsets[index])
                try found.append(contentsOf: lines.map { try JSON(parsing: $0) })
                return found.contains(where: mark)
            }
            result.append(found.filter { $0["rule"] != nil })
        }
        return result
    }
}

/// Whether the programs can be loaded here.
let canLoadSensor = Machine.isRoot && KernelFeatures().features.allSatisfy { $0.isThere || !$0.isNeeded }

@Suite("the sensor on the real kernel", .serialized, .enabled(if: canLoadSensor && Machine.has("gcc"), "needs root, a kernel with BTF and ring buffers, and gcc"))
struct ScenarioTests {
    private static let scenarios: [Scenario] = {
        guard let data = FileManager.default.contents(atPath: folder + "/scenarios.json") else { return [] }
        do { return try JSONDecoder().decode([Scenario].self, from: data) } catch { preconditionFailure("scenarios.json: \(error)") }
    }()

    private let place: TemporaryFolder
    private let attacker: String

    init() throws {
        place = try TemporaryFolder()
        attacker = place.path + "/attacker"
        let (status, output) = try run(["gcc", "-static", "-O1", "-pthread", "-o", attacker, folder + "/attacker.c"])
        try #require(status == 0, "attacker.c: \(output)")
    }

    @Test("each scenario on the host raises its alert, with these values, and near misses raise none; pushed down or not")
    func host() async throws {
        let scenarios = Self.scenarios.filter { $0.place == .host }
        try #require(scenarios.count > 20)
        let watch = try await Watch(docker: nil)
        for scenario in scenarios {
            let root = "\(place.path)/\(scenario.name)"
            let places = ["bin": root + "/bin", "scratch": root + "/scratch"]
            try prepare(scenario, places)
            let program = scenario.program.map { [places["bin", default: ""] + "/" + $0] } ?? []
            let (status, output) = try run(["env", "-i"] + (scenario.environment ?? [:]).map { "\($0)=\($1)" } + program + scenario.arguments.map { $0.filled(places) })
            try await check(scenario, watch, places, isMissing: scenario.mayBeMissing == true && status != 0, "status \(status) \(output.suffix(200))")
        }
    }

    @Test(
        "each scenario in a container raises its alert, with the container's name and image",
        .enabled(if: DockerEngine.isAvailable, "needs dockerd and busybox-static"))
    func container() async throws {
        let engine = try DockerEngine.shared.get()
        let docker = ["docker", "-H", "unix://" + engine.socket]
        let (made, message) = try run(["sh", "-c", "sh \(folder)/image.sh \(attacker) | docker -H unix://\(engine.socket) import - riposte-scenarios"])
        try #require(made == 0, "image.sh: \(message)")
        let watch = try await Watch(docker: engine.socket)
        let standing = "scenarios-\(UUID().uuidString.prefix(8).lowercased())"
        let (status, id) = try run(docker + ["run", "-d", "--name", standing, "riposte-scenarios", "/bin/sleep", "3600"])
        try #require(status == 0, "no container: \(id)")
        defer { _ = try? run(docker + ["rm", "-f", standing]) }
        try await known(standing, docker, watch)
        for scenario in Self.scenarios where scenario.place == .container {
            let name = scenario.options == nil ? standing : "scenario-\(scenario.name)"
            let flags = (scenario.terminal == true ? ["-t"] : []) + (scenario.user.map { ["-u", $0] } ?? []) + (scenario.environment ?? [:]).flatMap { ["-e", "\($0)=\($1)"] }
            var places = ["bin": "/scenario", "scratch": "/scratch", "container": String(id.prefix(12))]
            let words = (scenario.program.map { ["/scenario/" + $0] } ?? []) + scenario.arguments.map { $0.filled(places) }
            let output: (status: Int32, output: String)
            if let options = scenario.options {
                output = try run(docker + ["run", "--name", name] + flags + options + ["riposte-scenarios"] + words)
                places["container"] = String(try run(docker + ["inspect", "-f", "{{.Id}}", name]).output.prefix(12))
            } else {
                output = try run(docker + ["exec"] + flags + [standing] + words)
            }
            try await check(scenario, watch, places, isMissing: scenario.mayBeMissing == true && output.status != 0, "status \(output.status) \(output.output.suffix(200))")
            if scenario.options != nil { try run(docker + ["rm", "-f", name]) }
        }
    }

    /// Waits until both agents have the engine's answer about a container.
    private func known(_ name: String, _ docker: [String], _ watch: Watch) async throws {
        for _ in 0..<50 {
            let mark = "known-\(UUID().uuidString)"
            try run(docker + ["exec", name, "/scenario/reader", "openat", "/etc/shadow", mark])
            let alerts = try await watch.raised { $0["output_fields"]?["proc.cmdline"]?.string?.repaired.contains(mark) == true }
            if alerts.allSatisfy({ $0["output_fields"]?["container.name"]?.string?.repaired == name }) { return }
        }
        Issue.record("the container \(name) stayed unknown")
    }

    @Test("what is recorded is what rules judge: the same alert by hand, from a file that is begun anew at a size and written over by nobody")
    func record() async throws {
        let file = place.path + "/events.jsonl"
        let reader = place.path + "/reader"
        link(attacker, reader)
        let condition = "evt.type in (execve, openat) and proc.exepath = \(reader)"
        let child = try ChildProcess([Riposte.path, "record", condition, "--out", file, "--for", "60s", "--rotate-size", "64KiB", "--keep", "3"])
        // It records from the moment in which its programs are at work; ask until it has seen one.
        try await until {
            try run([reader, "openat", "/etc/shadow"])
            return FileManager.default.fileExists(atPath: file + ".1")
        }
        child.signal(SIGINT)
        #expect(try await child.waitForExit(within: .seconds(60)) == 0)
        let alerts = try run([Riposte.path, "rules", "replay", folder + "/falco-shapes.yaml", "--events", file + ".1"])
        #expect(alerts.status == 0 && alerts.output.contains("secret read") && alerts.output.contains("file=/etc/shadow"))
        #expect(try run([Riposte.path, "record", condition, "--out", file, "--for", "1s"]).status == 2)
    }

    @Test("events are printed as they happen, as the format says, and only those of the condition")
    func events() async throws {
        let reader = place.path + "/reader"
        link(attacker, reader)
        let output = place.path + "/output"
        let descriptor = open(output, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(descriptor) }
        let child = try ChildProcess(
            [Riposte.path, "events", "evt.type = execve and proc.exepath = \(reader)", "--format", "started %proc.args by %proc.pname", "--count", "3"], output: descriptor,
            error: nil)
        try await until {
            try run([reader, "noop"])
            return !child.isRunning
        }
        let lines = try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 3 && lines.allSatisfy { $0.hasPrefix("started noop by ") })
    }

    @Test("where requests of io_uring cannot be seen, whoever asks for events is told", .enabled(if: !KernelFeatures.seesRequests, "this kernel lets them be seen"))
    func blindEvents() async throws {
        let errors = place.path + "/errors"
        let descriptor = open(errors, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(descriptor) }
        let child = try ChildProcess([Riposte.path, "events", "evt.type = openat and fd.name = /none"], output: nil, error: descriptor)
        try await until { try String(contentsOfFile: errors, encoding: .utf8).hasPrefix("riposte: requests of io_uring are not seen: ") }
        child.signal(SIGINT)
        #expect(try await child.waitForExit(within: .seconds(60)) == 0)
    }

    @Test(
        "the capabilities that docs/sensor.md names are enough, and without those for processes it still runs",
        .enabled(if: Machine.has("setpriv"), "needs setpriv"), arguments: ["+bpf,+perfmon,+sys_ptrace,+dac_read_search", "+bpf,+perfmon"])
    func capabilities(_ capabilities: String) async throws {
        let reader = place.path + "/reader"
        link(attacker, reader)
        let child = try ChildProcess([
            "setpriv", "--bounding-set=-all,\(capabilities)", "--inh-caps=-all", Riposte.path, "events", "evt.type = execve and proc.exepath = \(reader)", "--count", "1",
        ])
        try await until {
            try run([reader, "noop"])
            return !child.isRunning
        }
        #expect(child.waitForExit() == 0)
    }

    private func prepare(_ scenario: Scenario, _ places: [String: String]) throws {
        let (bin, scratch) = (places["bin", default: ""], places["scratch", default: ""])
        for path in [bin, scratch] { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
        for name in Set([scenario.program ?? "attacker", "attacker", "worker", "watcher", "probe", "dropper", "postgres", "reader"]) { link(attacker, bin + "/" + name) }
        for file in scenario.files ?? [] {
            let path = file.filled(places)
            try FileManager.default.createDirectory(atPath: URL(fileURLWithPath: path).deletingLastPathComponent().path, withIntermediateDirectories: true)
            _ = FileManager.default.createFile(atPath: path, contents: Data("harmless\n".utf8))
        }
        for (path, target) in scenario.links ?? [:] { symlink(target.filled(places), path.filled(places)) }
    }

    /// Raises an alert that is known, and looks at what came before it.
    private func check(_ scenario: Scenario, _ watch: Watch, _ places: [String: String], isMissing: Bool, _ talk: String) async throws {
        let mark = "\(place.path)/mark-\(UUID().uuidString)"
        link(attacker, place.path + "/reader")
        try run([place.path + "/reader", "openat", "/etc/shadow", mark])
        let seen: [[JSON]]
        do { seen = try await watch.alerts { $0["output_fields"]?["proc.cmdline"]?.string?.repaired.contains(mark) == true } } catch {
            Issue.record("\(scenario.name): the mark after it did not come; dropped: \(try watch.dropped())")
            throw error
        }
        func rules(_ alerts: [JSON]) -> [String] { alerts.compactMap { $0["rule"]?.string?.repaired }.sorted() }
        #expect(rules(seen[0]) == rules(seen[1]), "\(scenario.name): pushed down and not differ")
        guard !isMissing else { return }
        for rule in scenario.silent ?? [] { #expect(!rules(seen[0]).contains(rule), "\(scenario.name) must not raise \(rule)") }
        guard let rule = scenario.rule else { return }
        let alerts = seen[0].filter { $0["rule"]?.string?.repaired == rule }
        #expect(!alerts.isEmpty, "\(scenario.name) raised \(rules(seen[0])) and not \(rule); \(talk)")
        guard !alerts.isEmpty else { return }
        let expected = scenario.fields ?? [:]
        let fits = alerts.contains { alert in expected.allSatisfy { alert["output_fields"]?[ByteText($0.key)]?.isEqual(to: $0.value, places) == true } }
        let told = expected.keys.sorted().map { "\($0)=\(alerts[0]["output_fields"]?[ByteText($0)].map(\.line) ?? "absent")" }
        #expect(fits, "\(scenario.name): \(rule) with other values: \(told.joined(separator: " "))")
    }
}
