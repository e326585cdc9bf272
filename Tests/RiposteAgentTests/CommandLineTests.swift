import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

private let playbooks = """
      - name: kill
        match: { rules: ["Kill it"] }
        steps:
          - action: process.kill
    """

/// Whether an agent answers, or the command does it all by itself.
enum Way: String, CaseIterable, CustomTestStringConvertible {
    case withAgent, alone

    var testDescription: String { rawValue }
}

@Suite("the command line, with an agent and without one", .enabled(if: Machine.isRoot, "needs root"))
struct CommandLineTests {
    let place: Workplace

    init() throws {
        place = try Workplace()
        try place.write(playbooks: playbooks)
    }

    private func prepare(_ way: Way) async throws { if way == .withAgent { try await place.start() } }

    @Test("processes: shown, suspended, resumed, killed; dry runs touch nothing; who is gone is gone", arguments: Way.allCases)
    func process(way: Way) async throws {
        try await prepare(way)
        let child = try ChildProcess(["sleep", "1000"])
        let pid = "\(child.pid)"
        #expect(try place.riposte("process", "show", pid).output.contains("sleep 1000"))
        for verb in ["suspend", "kill"] {
            let (status, output) = try place.riposte("process", verb, pid, "--dry-run")
            #expect(status == 0 && output.contains("planned"), "\(output)")
        }
        #expect(child.status("State:")?.hasPrefix("S") == true, "a dry run changes nothing")
        #expect(try place.riposte("process", "suspend", pid, "--reason", "a look").status == 0)
        #expect(child.status("State:")?.hasPrefix("T") == true)
        #expect(try place.json("process", "suspend", pid).first?["outcome"] == "already")
        #expect(try place.riposte("process", "resume", pid).status == 0)
        let result = try #require(try place.json("process", "kill", pid).first)
        #expect(result["outcome"] == "done" && result["action"] == "process.kill" && result["dry_run"] == false)
        #expect(result["target"]?["pid"]?.integer == Int64(child.pid))
        #expect(child.waitForSignal() == SIGKILL)
        #expect(try place.riposte("process", "kill", pid).status == 4)
        #expect(try place.riposte("process", "show", pid).status == 4)
        #expect(try place.riposte("audit", "verify").status == 0)
        let record = try #require(try place.records().first { $0["outcome"] == "done" })
        #expect(record["actor"]?["type"] == "person" && record["actor"]?["name"]?.string?.shown == NSUserName())
        #expect(record["reason"] == "a look")
    }

    @Test("a start time proves that the number has not come round", arguments: Way.allCases)
    func startedAt(way: Way) async throws {
        try await prepare(way)
        let child = try ChildProcess(["sleep", "1000"])
        let (status, output) = try place.riposte("process", "kill", "\(child.pid)", "--started-at", "2020-01-01T00:00:00Z")
        #expect(status == 3, "\(output)")
        #expect(child.isRunning)
        let start = try #require(try place.json("process", "show", "\(child.pid)").first?["started_at"]?.string?.shown)
        #expect(try place.riposte("process", "kill", "\(child.pid)", "--started-at", start).status == 0)
    }

    @Test(
        "what is never touched is refused, the same way by hand, dry or not", arguments: Way.allCases, [["process", "kill", "1"], ["process", "suspend", "1", "--tree"]])
    func guarded(way: Way, command: [String]) async throws {
        try await prepare(way)
        for dry in [[], ["--dry-run"]] {
            let (status, output) = try place.riposte(command + dry)
            #expect(status == 3, "\(output)")
        }
    }

    @Test(
        "bad usage is told, ends with 2, and leaves no trace",
        arguments: [
            ["process", "kill"], ["process", "kill", "abc"], ["process", "kill", "-5"], ["process", "kill", "1", "--signal", "LOUD"],
            ["process", "kill", "99999", "--grace", "soon"],
            ["process", "kill", "99999", "--started-at", "yesterday"], ["process", "explode", "1"], ["network", "block", "nonsense"], ["network", "block", "10.0.0.0/99"],
            ["network", "block", "evil.example.com"], ["audit", "list", "--outcome", "splendid"], ["audit", "list", "--limit", "many"], ["audit", "list", "--since", "soon"],
            ["run", "--mode", "loud"], ["run", "--dry-run", "--mode", "enforce"], ["undo", "not-an-id"], ["respond", "/nonexistent"], ["playbook", "check", "/nonexistent"],
            ["status", "--config", "/nonexistent"], ["status", "--log-level", "loud"], ["process", "kill", "99999", "--grace", "5d"],
            ["network", "isolate", "--allow", "nonsense"], ["--nonsense"], ["run", "--playbooks", ""], ["run", "--rules", ""],
        ])
    func usage(arguments: [String]) throws {
        let (status, output) = try place.riposte(arguments)
        #expect(status == 2, "\(output)")
        #expect(!output.isEmpty)
        #expect(!FileManager.default.fileExists(atPath: place.stateDirectory + "/journal"))
    }

    @Test("status needs an agent, and says so with 6")
    func status() async throws {
        let (status, output) = try place.riposte("status")
        #expect(status == 6 && output.contains("no agent"))
        try await place.start(mode: "observe")
        #expect(try place.riposte("status").status == 0)
        #expect(try place.json("status").first?["mode"] == "observe")
    }

    @Test("reload says what is in force, and what was rejected with 3; without an agent it ends with 6")
    func reload() async throws {
        #expect(try place.riposte("reload").status == 6)
        try await place.start(mode: "observe")
        let taken = try place.riposte("reload")
        #expect(taken.status == 0, "\(taken.output)")
        for kind in ["playbooks", "rules", "outputs", "credentials"] { #expect(taken.output.contains("\(kind) "), "\(taken.output)") }
        try place.write(playbooks: "  - name: x\n    match: { rules: [a] }\n    steps: [{ action: process.kil }]\n")
        let (status, output) = try place.riposte("reload")
        #expect(status == 3 && output.contains("rejected") && output.contains("p.yaml:5: "), "\(output)")
        #expect(try place.json("reload").first?["playbooks"]?["rejected"]?["problems"]?.array?.count == 1)
        try place.write(playbooks: "  - name: x\n    match: { rules: [a] }\n    steps: [{ action: process.kill }]\n")
        #expect(try place.riposte("reload").status == 0)
        #expect(try place.json("status").first?["playbooks"]?["rejected"] == nil)
    }

    @Test("alerts are fed through playbooks once; observed unless told otherwise", arguments: Way.allCases)
    func respond(way: Way) async throws {
        try await prepare(way)
        let child = try ChildProcess(["sleep", "1000"])
        let alerts = try place.folder.file("alerts.jsonl", alert("Kill it", pid: child.pid) + "\n" + alert("Other", pid: 1) + "\n")
        let files = ["--playbooks", place.folder.path + "/playbooks"]
        let observed = try place.riposte(["respond", alerts] + files)
        #expect(observed.status == 0 && observed.output.contains("planned"), "\(observed.output)")
        #expect(child.isRunning)
        let enforced = try place.riposte(["respond", alerts, "--mode", "enforce"] + files)
        #expect(enforced.status == 0 && enforced.output.contains("done"), "\(enforced.output)")
        #expect(child.waitForSignal() == SIGKILL)
        #expect(try place.riposte(["respond", alerts, "--mode", "enforce"] + files).status == 4, "gone")
        #expect(try place.riposte(["respond", "/dev/null"] + files).status == 0, "a device is a file too")
        let bad = try place.folder.file("bad.jsonl", "{\"rule\":")
        #expect(try place.riposte(["respond", bad] + files).status == 2)
    }

    @Test("playbooks are checked, listed, shown, tried and described")
    func playbookVerbs() throws {
        let path = place.folder.path + "/playbooks"
        #expect(try place.riposte("playbook", "check", path).status == 0)
        #expect(try place.riposte("playbook", "list", path).output.contains("process.kill"))
        #expect(try place.riposte("playbook", "show", "kill", path).output.contains("Kill it"))
        let schema = try JSON(parsing: Array(try place.riposte("playbook", "schema").output.utf8))
        #expect(schema["$schema"]?.string?.shown.contains("json-schema.org") == true)
        let child = try ChildProcess(["sleep", "1000"])
        let alerts = try place.folder.file("a.jsonl", alert("Kill it", pid: child.pid) + "\n")
        let tried = try place.riposte("playbook", "dry-run", path, "--alerts", alerts)
        #expect(tried.status == 0 && tried.output.contains("planned"), "\(tried.output)")
        #expect(child.isRunning)
        try place.write(playbooks: "  - name: x\n    match: { rules: [a] }\n    steps: [{ action: process.kil }]\n")
        let (status, output) = try place.riposte("playbook", "check", path)
        #expect(status == 2 && output.contains("p.yaml:5:") && output.contains("process.kill"), "\(output)")
    }

    @Test("the journal is listed, shown, exported; an edit is found", arguments: Way.allCases)
    func audit(way: Way) async throws {
        try await prepare(way)
        let child = try ChildProcess(["sleep", "1000"])
        #expect(try place.riposte("process", "kill", "\(child.pid)").status == 0)
        let id = try #require(try place.json("audit", "list", "--outcome", "done").first?["id"]?.string?.shown)
        #expect(try place.riposte("audit", "list", "--target", "\(child.pid)").output.contains("process.kill"))
        #expect(try place.riposte("audit", "list", "--action", "container.pause", "--json").output.isEmpty)
        #expect(try place.json("audit", "show", id).map { $0["kind"] } == ["intent", "outcome"])
        #expect(try place.riposte("audit", "show", "01KAS2V3TB4Y5MWR7H3ZQ0E8CN").status == 4)
        let (verified, words) = try place.riposte("audit", "verify")
        #expect(verified == 0, "\(words)")
        place.kill()
        let file = place.stateDirectory + "/journal/00000000000000000001.jsonl"
        let exported = try place.riposte("audit", "export").output
        #expect(exported == (try String(contentsOfFile: file, encoding: .utf8)))
        let edited = try #require(exported.split(separator: "\n").firstIndex { $0.contains("process.kill") }) + 1
        try exported.replacing("process.kill", with: "process.hug", maxReplacements: 1).write(toFile: file, atomically: false, encoding: .utf8)
        let (status, output) = try place.riposte("audit", "verify")
        #expect(status == 1 && output.contains("broken at record \(edited) "), "\(output)")
    }

    @Test("doctor says what is there, what is missing, and how to mend it")
    func doctor() throws {
        let (status, output) = try place.riposte("doctor")
        #expect([0, 1].contains(status))
        for subject in ["kernel", "pidfd", "nftables", "Docker", "Kubernetes"] { #expect(output.localizedCaseInsensitiveContains(subject), "\(output)") }
    }

    @Test(
        "doctor finds what would keep the agent from starting, and the agent says the same",
        arguments: [
            ("intake: { http: { listen: nonsense } }", "nonsense"), ("intake: { http: { listen: '0.0.0.0:1' } }", "reached from outside"),
            ("intake: { http: { token_file: /nonexistent } }", "/nonexistent"), ("intake: { http: { tls: { certificate: /dev/null, key: /dev/null } } }", "/dev/null"),
            ("intake: { file: { path: /tmp } }", "folder"), ("intake: { file: { path: /dev/null } }", "regular file"),
            ("intake: { kubernetes_audit_log: { path: /dev/null } }", "regular file"), ("intake: { socket: { path: /tmp/x, datagram_path: /tmp/x } }", "both"),
            ("control: { group: nosuchgroup }", "nosuchgroup"),
        ])
    func misconfigured(configuration: String, word: String) throws {
        let file = try place.folder.file("bad.yaml", configuration + "\n")
        let examined = try place.riposte("doctor", "--config", file)
        #expect(examined.status == 1 && examined.output.contains(word), "\(examined.output)")
        let started = try place.riposte("run", "--config", file)
        #expect(started.status == 2 && started.output.contains(word), "\(started.output)")
    }

    @Test("a port that is taken is named")
    func portInUse() async throws {
        try await place.start()
        let other = try Workplace()
        let (status, output) = try other.riposte("run", "--http", "127.0.0.1:\(place.httpPort)")
        #expect(status == 1 && output.contains("127.0.0.1:\(place.httpPort): Address already in use"), "\(output)")
    }

    @Test("every verb has a help with an example, and completions are offered for shells")
    func help() throws {
        for verb in [
            ["run"], ["respond"], ["playbook", "check"], ["playbook", "list"], ["playbook", "show"], ["playbook", "dry-run"], ["playbook", "explain"], ["playbook", "test"],
            ["playbook", "schema"],
            ["playbook", "import", "talon"],
            ["process", "show"], ["process", "kill"], ["process", "suspend"], ["process", "resume"], ["container", "list"], ["container", "show"], ["container", "pause"],
            ["container", "unpause"], ["container", "stop"], ["container", "kill"], ["container", "restart"], ["container", "isolate"], ["container", "release"],
            ["pod", "delete"], ["pod", "evict"], ["network", "block"], ["network", "unblock"], ["network", "isolate"], ["network", "release"], ["network", "status"], ["undo"],
            ["pardon", "list"], ["pardon", "lift"],
            ["audit", "list"], ["audit", "show"], ["audit", "follow"], ["audit", "verify"], ["audit", "export"], ["audit", "key", "generate"], ["audit", "key", "show"],
            ["audit", "checkpoint", "list"], ["audit", "checkpoint", "show"], ["status"], ["reload"], ["doctor"],
        ] {
            let (status, output) = try run([Riposte.path] + verb + ["--help"])
            #expect(status == 0 && output.contains("Example"), "\(verb)")
        }
        for shell in ["bash", "zsh", "fish"] {
            #expect(try run([Riposte.path, "--generate-completion-script", shell]).output.contains("isolate"))
        }
    }

    @Test("what an alert holds does not act on a terminal in JSON either, and is exact for programs", .enabled(if: Machine.has("script"), "needs script"))
    func rawJSON() async throws {
        let text = "\u{9b}2J\u{202e}evil"
        try await place.start(mode: "observe")
        #expect(
            try await place.post(#"{"time":"\#(Timestamp.now())","rule":"\#(text)","priority":"Warning","source":"syscall","output":"\#(text)","output_fields":{}}"#).status == 202)
        for verb in ["audit export", "audit list --json"] {
            let command = "\(Riposte.path) \(verb) --state-dir \(place.stateDirectory) --run-dir \(place.runDirectory)"
            let shown = try run(["script", "-qec", command, "/dev/null"]).output
            #expect(shown.contains("u009b2J") && !shown.unicodeScalars.contains { $0 == "\u{9b}" || $0 == "\u{202e}" }, "\(shown.escapedForDisplay)")
            #expect(try run(["sh", "-c", command]).output.contains(text))
        }
    }

    @Test("colour is for terminals")
    func colour() throws {
        let child = try ChildProcess(["sleep", "1000"])
        #expect(try !place.riposte("process", "kill", "\(child.pid)").output.contains("\u{1b}"))
        let other = try ChildProcess(["sleep", "1000"])
        let folders = "--state-dir \(place.stateDirectory) --run-dir \(place.runDirectory)"
        let terminal = ["script", "-qec", "\(Riposte.path) process suspend \(other.pid) \(folders)", "/dev/null"]
        let shown = try run(terminal, environment: ["TERM": "xterm", "NO_COLOR": ""]).output
        #expect(shown.contains("\u{1b}["), "\(shown)")
        #expect(try !run(terminal, environment: ["TERM": "xterm", "NO_COLOR": "1"]).output.contains("\u{1b}["))
    }
}
