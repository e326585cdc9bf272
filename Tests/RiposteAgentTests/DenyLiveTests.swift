import Foundation
import Glibc
import RiposteCore
import RiposteSensor
import RiposteTestSupport
import Testing

/// Whether the kernel lets BPF programs refuse calls.
let canDeny = canLoadSensor && KernelFeatures().features.contains { $0.name == "BPF LSM" && $0.isThere }

@Suite(
    "reflexes that refuse calls, on the real kernel", .serialized,
    .enabled(if: canDeny, "needs root and a kernel of 5.15 or later with bpf among its security modules (lsm=) that lets programs of type LSM be loaded"))
struct DenyLiveTests {
    private let place: Workplace
    private let kept: String

    init() throws {
        place = try Workplace()
        kept = place.folder.path + "/kept"
        try fill()
    }

    /// What an open that cuts it would take away.
    private func fill() throws { try Data("old\n".utf8).write(to: URL(fileURLWithPath: kept)) }

    private var content: String { (try? String(contentsOfFile: kept, encoding: .utf8)) ?? "" }

    private static let opens = "evt.type in (open, openat) and evt.is_open_write = true and fd.num >= 0 and fd.name = "

    private func start(_ condition: String? = nil, mode: String = "enforce", budget: Int = 100, parameters: String = "") async throws {
        let rules = try place.folder.file(
            "rules.yaml", "- { rule: Watched, desc: d, condition: '\(condition ?? Self.opens + kept)', output: 'o %evt.res %fd.name', priority: CRITICAL }\n")
        try place.write(
            playbooks: """
                  - name: stop
                    match: { rules: [Watched] }
                    budget: { actions: \(budget), per: 1h }
                    steps: [{ action: process.kill, \(parameters)reflex: true }]

                """)
        try await place.start(mode: mode, configuration: "budgets: []", arguments: ["--json", "--rules", rules])
    }

    private func shell(_ script: String) throws -> (status: Int32, output: String) { try run(["sh", "-c", script]) }

    private func outcomes(_ count: Int) async throws -> [JSON] {
        func present() throws -> [JSON] { try place.records().filter { $0["kind"] == "outcome" } }
        try await until { try present().count >= count }
        return try present()
    }

    private var alerts: [JSON] {
        get throws { try place.output.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }.filter { $0["rule"] == "Watched" } }
    }

    private func refusedCalls() throws -> [String] {
        try place.json("status").first?["sensor"]?["reflexes"]?.array?.first?["denies"]?.array?.compactMap { $0.string?.valid } ?? []
    }

    @Test("a file that a forbidden program opens is not cut, the program is dead, and alert and journal say both")
    func open() async throws {
        try await start()
        #expect(try refusedCalls() == ["open", "openat"])
        #expect(try shell("echo new > \(kept)").status == 128 + SIGKILL)
        #expect(content == "old\n")
        let outcome = try #require(try await outcomes(1).first)
        #expect(outcome["outcome"] == "done" && outcome["detail"]?["evidence"]?["denied"] == true && outcome["detail"]?["evidence"]?["reflex"] == true, "\(outcome.line)")
        #expect(outcome["message"]?.string?.shown.contains("its call was refused") == true)
        try await until { try !alerts.isEmpty }
        // The end of the refused call tells nothing a second time.
        let alert = try #require(try alerts.first)
        #expect(try alerts.count == 1)
        #expect(alert["output_fields"]?["reflex.denied"] == true && alert["output_fields"]?["reflex.outcome"] == "sent", "\(alert.line)")
        #expect(alert["output_fields"]?["fd.name"]?.string?.shown == kept && alert["output_fields"]?["evt.res"] == "SUCCESS")
    }

    @Test("whoever outlives the signal is told that the call is not permitted")
    func refusal() async throws {
        try await start(parameters: "with: { signal: TERM }, ")
        let (status, output) = try shell("trap : TERM; echo new > \(kept); echo still here")
        #expect(status == 0 && output.contains("Operation not permitted") && output.contains("still here"), "\(output)")
        #expect(content == "old\n")
    }

    @Test(
        "a connection is refused before the listener hears of it, whoever makes it or wherever it leads",
        .enabled(if: access("/usr/bin/python3", X_OK) == 0, "/usr/bin/python3 is not there"),
        arguments: ["", " and fd.typechar in (4, 6) and fd.sip = \"127.0.0.1\" and not fd.sport in (22, 80)", " and fd.snet in (\"127.0.0.0/8\") and fd.type != unix"])
    func connect(address: String) async throws {
        let (victim, python) = (place.folder.path + "/victim", "/usr/bin/python3")
        try FileManager.default.copyItem(at: URL(fileURLWithPath: python).resolvingSymlinksInPath(), to: URL(fileURLWithPath: victim))
        let listener = try LoopbackListener()
        let script = "import socket; socket.socket().connect(('127.0.0.1', \(listener.port)))"
        try await start("evt.type = connect and proc.name = victim\(address)")
        #expect(try refusedCalls() == ["connect"])
        #expect(try run([victim, "-c", script]).status == 128 + SIGKILL)
        #expect(!listener.hasHeard)
        #expect(try run([python, "-c", script]).status == 0)
        #expect(listener.hasHeard)
        let outcome = try #require(try await outcomes(1).first)
        #expect(outcome["outcome"] == "done" && outcome["detail"]?["evidence"]?["denied"] == true, "\(outcome.line)")
        try await until { try !alerts.isEmpty }
        #expect(try alerts.first?["output_fields"]?["fd.name"]?.string?.shown.hasSuffix("->127.0.0.1:\(listener.port)") == true)
    }

    /// Somebody who listens on this host, and a connect to him by an address, or to whoever is at it.
    private static let connector = """
        import socket, sys
        address, host = sys.argv[1], "::1" if sys.argv[1] == "::" else "127.0.0.1"
        server = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET).connect((address, server.getsockname()[1]))
        """

    @Test(
        "a connect to no address at all, which the kernel makes one to this host, is no connect to somebody else",
        .enabled(if: access("/usr/bin/python3", X_OK) == 0, "/usr/bin/python3 is not there"))
    func unspecified() async throws {
        let victim = place.folder.path + "/victim"
        try FileManager.default.copyItem(at: URL(fileURLWithPath: "/usr/bin/python3").resolvingSymlinksInPath(), to: URL(fileURLWithPath: victim))
        try await start("evt.type = connect and proc.name = victim and fd.typechar in (4, 6) and not fd.snet in (\"127.0.0.0/8\", \"::1/128\")")
        #expect(try refusedCalls() == ["connect"])
        for address in ["127.0.0.1", "0.0.0.0", "::", "::ffff:0.0.0.0", "::ffff:127.0.0.1"] {
            let (status, output) = try run([victim, "-c", Self.connector, address])
            #expect(status == 0, "\(address): \(output)")
        }
        for address in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"] { #expect(try run([victim, "-c", Self.connector, address]).status == 128 + SIGKILL, "\(address)") }
        #expect(try await outcomes(3).count == 3)
    }

    @Test("observing, nothing is refused, and the kernel is not asked")
    func observes() async throws {
        try await start(mode: "observe")
        #expect(try refusedCalls().isEmpty)
        #expect(try shell("echo new > \(kept)").status == 0)
        #expect(content == "new\n")
        let outcome = try #require(try await outcomes(1).first)
        #expect(outcome["outcome"] == "planned" && outcome["detail"]?["evidence"]?["denied"] == nil)
    }

    @Test("a budget that is spent lets the next call go on, and each is told as what became of it")
    func budget() async throws {
        try await start(budget: 1)
        #expect(try shell("echo new > \(kept)").status == 128 + SIGKILL)
        #expect(content == "old\n")
        #expect(try shell("echo new > \(kept)").status == 0)
        #expect(content == "new\n")
        let outcomes = try await outcomes(2)
        #expect(outcomes.map { $0["outcome"]?.string?.shown }.sorted { ($0 ?? "") < ($1 ?? "") } == ["done", "refused"])
        #expect(outcomes.filter { $0["detail"]?["evidence"]?["denied"] == true }.map { $0["outcome"] } == ["done"])
    }

    /// This process stands above the agent.
    @Test("what is protected is let through")
    func protected() async throws {
        try await start()
        let descriptor = Glibc.open(kept, O_WRONLY | O_TRUNC)
        #expect(descriptor >= 0 && content.isEmpty)
        close(descriptor)
        let outcome = try #require(try await outcomes(1).first)
        #expect(outcome["outcome"] != "done" && outcome["detail"]?["evidence"]?["denied"] == nil, "\(outcome.line)")
    }

    /// How many of the agent's BPF programs that refuse are attached: BPF_LSM_MAC. Others come and go as rules ask for them.
    private func links() throws -> Int {
        let folder = "/proc/\(try #require(place.agent?.pid))/fdinfo"
        return try FileManager.default.contentsOfDirectory(atPath: folder).count {
            (try? String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8))?.contains("attach_type:\t27\n") == true
        }
    }

    @Test("the kernel is asked as long as a reflex needs it, and no longer; a reflex that comes back refuses again")
    func attached() async throws {
        try await start()
        let withReflex = try links()
        let playbook = try String(contentsOfFile: place.folder.path + "/playbooks/p.yaml", encoding: .utf8)
        try place.write(playbooks: "  - { name: other, match: { rules: [Watched] }, steps: [{ action: process.kill, mode: observe }] }\n")
        place.agent?.signal(SIGHUP)
        try await until { try links() == withReflex - 1 }
        #expect(try shell("echo new > \(kept)").status == 0)
        #expect(content == "new\n")
        _ = try place.folder.file("playbooks/p.yaml", playbook)
        place.agent?.signal(SIGHUP)
        try await until { try links() == withReflex }
        #expect(try shell("echo newer > \(kept)").status == 128 + SIGKILL)
        #expect(content == "new\n")
    }

    @Test("a rule that asks for what only the end of the call tells refuses nothing, and acts there")
    func unknown() async throws {
        try await start(Self.opens + kept + " and evt.rawres < 1000")
        #expect(try refusedCalls().isEmpty)
        #expect(try shell("echo new > \(kept)").status == 128 + SIGKILL)
        #expect(content.isEmpty)
        let outcome = try #require(try await outcomes(1).first)
        #expect(outcome["outcome"] == "done" && outcome["detail"]?["evidence"]?["denied"] == nil)
    }
}
