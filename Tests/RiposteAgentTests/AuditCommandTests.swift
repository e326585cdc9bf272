import Foundation
import Glibc
import RiposteCore
import RiposteTestSupport
import Testing

@Suite("signing, verifying and exporting the journal by the command line", .enabled(if: Machine.isRoot, "needs root"))
struct AuditCommandTests {
    let place: Workplace
    private var key: String { place.folder.path + "/audit.key" }
    private var publicKey: String { place.folder.path + "/audit.pub" }

    init() throws {
        place = try Workplace()
        try place.write(playbooks: "  - name: stop\n    match: { rules: [\"Stop it\"] }\n    steps: [{ action: process.suspend, undo: { after: 30m } }]\n")
    }

    /// A key, and an agent that signs with it, so seldom that only start and stop do.
    private func startSigned() async throws {
        #expect(try place.riposte("audit", "key", "generate", "--out", key).status == 0)
        #expect(try place.riposte("audit", "key", "show", key, "--out", publicKey).status == 0)
        try await place.start(configuration: "audit: { signing_key: audit.key, checkpoint_every: 1h }")
    }

    @Test("an agent signs at its start and at its stop; the key proves it, another does not")
    func signed() async throws {
        try await startSigned()
        try await until { try place.records().contains { $0["kind"] == "checkpoint" } }
        try await until { try place.status()["journal"]?["checkpoints"]?["anchored_to"]?.integer == 1 }
        #expect(try place.riposte("status").output.contains("anchored up to record 1"))
        let child = try ChildProcess(["sleep", "1000"])
        _ = try await place.post(alert("Stop it", pid: child.pid))
        try await until { try place.outcomes() == ["process.suspend done"] }
        #expect(try await place.stop() == 0)
        #expect(try place.records().suffix(2).map { $0["kind"] } == ["stop", "checkpoint"])
        let last = try #require(try place.records().last?["seq"]?.integer)
        let (status, output) = try place.riposte("audit", "verify", "--key", publicKey)
        #expect(status == 0 && output.contains("anchored up to record \(last - 1)") && output.contains("nothing after the last checkpoint"), "\(output)")
        #expect(try place.json("audit", "verify", "--key", publicKey).first?["anchored"]?["up_to"]?.integer == last - 1)
        #expect(try place.riposte("audit", "verify").output.contains("not anchored: no --key was given, and it has 2 checkpoints"))
        let other = place.folder.path + "/other"
        #expect(try place.riposte("audit", "key", "generate", "--out", other + ".key").status == 0)
        #expect(try place.riposte("audit", "key", "show", other + ".key", "--out", other + ".pub").status == 0)
        #expect(try place.riposte("audit", "verify", "--key", other + ".pub").status == 1)
        #expect(try place.riposte("audit", "verify", "--key", other + ".pub", "--key", publicKey).status == 0)
        #expect(try place.riposte("audit", "list").output.contains("signs record 1 with key"))
        #expect(try place.riposte("audit", "checkpoint", "list").output.contains("SIGNS"))
        // The next start finds an end in order behind the checkpoint.
        try await place.start(configuration: "audit: { signing_key: audit.key }")
        #expect(!place.errors.contains("not closed in order"))
    }

    /// Name, length and time of change of all that there is.
    private func state() throws -> [String] {
        try run(["find", place.stateDirectory, place.folder.path, "-printf", "%p %s %T@\\n"]).output.split(separator: "\n").map(String.init).sorted()
    }

    private static let questions = [
        ["audit", "list"], ["audit", "show", "2"], ["audit", "export"], ["audit", "verify"], ["incident", "list"], ["undo", "--list"], ["mode"], ["approvals", "list"],
        ["breaker", "list"], ["pardon", "list"],
    ]

    @Test("questions without an agent only read: they wait for no lock, write nothing, and are answered on a disk that cannot be written", .enabled(if: Machine.has("unshare")))
    func readOnly() throws {
        let child = try ChildProcess(["sleep", "1000"])
        #expect(try place.riposte("process", "suspend", "\(child.pid)").status == 0)
        // Somebody has it, and writes nothing: an agent that is stopped.
        let lock = open(place.stateDirectory + "/journal/journal.lock", O_RDWR | O_CLOEXEC)
        try #require(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
        defer { close(lock) }
        let before = try state()
        let folders = ["--state-dir", place.stateDirectory, "--run-dir", place.runDirectory]
        let locked = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$@\""
        for question in Self.questions {
            let (status, output) = try place.riposte(question)
            #expect(status == 0, "\(question): \(output)")
            #expect(try state() == before, "\(question)")
            let there = try run(["unshare", "-m", "sh", "-c", locked, "sh", place.folder.path, Riposte.path] + question + folders)
            #expect(there.status == 0 && there.output == output, "\(question): \(there.output)")
        }
        #expect(try place.riposte("undo", "--list").output.contains("process.suspend"))
        #expect(try place.riposte("process", "resume", "\(child.pid)").status == 1, "what writes needs the lock")
    }

    @Test("nothing beside the journal can hide a record, and what was done to the journal is told, where it is read, with 1")
    func hidden() throws {
        let child = try ChildProcess(["sleep", "1000"])
        #expect(try place.riposte("process", "kill", "\(child.pid)").status == 0)
        _ = try place.folder.file("state/index.sqlite", "of an earlier version, and edited")
        let commands = [
            ["audit", "list", "--action", "process.kill"], ["audit", "list"], ["audit", "export"], ["audit", "export", "--limit", "9"],
            ["audit", "list", "--json", "--target", "\(child.pid)"],
        ]
        for command in commands {
            let (status, output) = try place.riposte(command)
            #expect(status == 0 && output.contains("process.kill"), "\(command): \(output)")
        }
        let file = place.stateDirectory + "/journal/00000000000000000001.jsonl"
        let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
        let intent = try #require(lines.firstIndex { $0.contains("\"kind\":\"intent\"") })
        let without = lines[..<intent] + lines[(intent + 1)...]
        try (without.joined(separator: "\n") + "\n").write(toFile: file, atomically: false, encoding: .utf8)
        for command in commands {
            let (status, output) = try place.riposte(command)
            #expect(status == 1 && output.contains("records are missing between \(intent) and \(intent + 2)") && output.contains("riposte audit verify"), "\(command): \(output)")
        }
        let changes: [(() throws -> Void, String)] = [
            ({ try Data((lines.dropFirst(2).joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: file)) }, "records are missing between 0 and 3"),
            ({ try Data().write(to: URL(fileURLWithPath: file)) }, "the journal has no record, and had \(lines.count)"),
            ({ try FileManager.default.removeItem(atPath: file) }, "the journal has no record, and had \(lines.count)"),
        ]
        for (change, words) in changes {
            try change()
            for command in [["audit", "list"], ["audit", "export"], ["incident", "list"]] {
                let (status, output) = try place.riposte(command)
                #expect(status == 1 && output.contains(words), "\(command): \(output)")
            }
        }
    }

    @Test("what is followed reaches a terminal harmless, and ends with its reader", .enabled(if: Machine.has("script"), "needs script"))
    func follow() throws {
        let child = try ChildProcess(["sleep", "1000"])
        #expect(try place.riposte("process", "suspend", "\(child.pid)", "--reason", "\u{202E}\u{9B}2J").status == 0)
        let command = "\(Riposte.path) audit follow --json --state-dir \(place.stateDirectory) --run-dir \(place.runDirectory)"
        let (_, shown) = try run(["sh", "-c", "timeout -s KILL 20 script -qec '\(command)' /dev/null </dev/null | head -4"])
        #expect(shown.contains("process.suspend") && !shown.contains("\u{202E}") && !shown.contains("\u{9B}"), "\(shown)")
    }

    @Test("an end that was cut off is found by what was kept, and by a number")
    func cutOff() async throws {
        try await startSigned()
        try await until { try place.records().contains { $0["kind"] == "checkpoint" } }
        #expect(try await place.stop() == 0)
        let kept = place.folder.path + "/kept.json"
        try #require(try place.json("audit", "checkpoint", "show", "last").first).line.write(toFile: kept, atomically: true, encoding: .utf8)
        let verify = ["audit", "verify", "--key", publicKey]
        #expect(try place.riposte(verify + ["--checkpoint", kept, "--expect-seq", "3"]).status == 0)
        let file = place.stateDirectory + "/journal/00000000000000000001.jsonl"
        let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
        try (lines.prefix(2).joined(separator: "\n") + "\n").write(toFile: file, atomically: true, encoding: .utf8)
        try FileManager.default.removeItem(atPath: place.stateDirectory + "/journal/HEAD")
        #expect(try place.riposte(verify).status == 0, "the journal alone does not tell")
        for options in [["--checkpoint", kept], ["--expect-seq", "3"]] {
            let (status, output) = try place.riposte(verify + options)
            #expect(status == 1 && output.contains("cut off"), "\(output)")
        }
    }

    @Test("a key that is missing, or that others can read, stops the agent and doctor says so; a command goes on with a warning")
    func badKey() async throws {
        let file = try place.folder.file("c.yaml", "audit: { signing_key: audit.key }\n")
        for (words, prepare) in [("No such file", {}), ("chmod 600", { try Data("x".utf8).write(to: URL(fileURLWithPath: key)) })] as [(String, () throws -> Void)] {
            try prepare()
            let started = try place.riposte("run", "--config", file)
            #expect(started.status == 2 && started.output.contains("audit.signing_key") && started.output.contains(words), "\(started.output)")
            let examined = try place.riposte("doctor", "--config", file)
            #expect(examined.status == 1 && examined.output.contains(words), "\(examined.output)")
            let child = try ChildProcess(["sleep", "1000"])
            let killed = try place.riposte("process", "kill", "\(child.pid)", "--config", file)
            #expect(killed.status == 0 && killed.output.contains("the journal is not signed"), "\(killed.output)")
        }
    }

    @Test("keys: made once, never over another, shown, and refused where they are none")
    func keys() throws {
        let made = try #require(try place.json("audit", "key", "generate", "--out", key).first)
        let shown = try #require(try place.json("audit", "key", "show", key).first)
        #expect(made == shown && made["public_key"]?.string?.bytes.count == 44)
        let (status, output) = try place.riposte("audit", "key", "generate", "--out", key)
        #expect(status == 1 && output.contains("not overwritten"), "\(output)")
        #expect(try place.riposte("audit", "key", "generate").status == 2, "where to?")
        let file = try place.folder.file("c.yaml", "audit: { signing_key: new.key }\n")
        #expect(try place.riposte("audit", "key", "generate", "--config", file).output.contains("BEGIN PUBLIC KEY"))
        #expect(try place.riposte("audit", "key", "show", "--config", file).output.contains("fingerprint"))
        if Machine.has("openssl") {
            #expect(try run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key + "2"]).status == 0)
            let theirs = try run(["openssl", "pkey", "-in", key + "2", "-pubout"]).output
            #expect(try place.riposte("audit", "key", "show", key + "2").output.contains(theirs))
        }
    }

    @Test(
        "bad usage is told and ends with 2",
        arguments: [
            ["audit", "verify", "--key", "/nonexistent"], ["audit", "verify", "--key", "AAAA"], ["audit", "verify", "--checkpoint", "/nonexistent"],
            ["audit", "verify", "--checkpoint", "/dev/null"],
            ["audit", "verify", "--bundle", "x", "--expect-seq", "1"], ["audit", "export", "--incident", "01KAS2V3TB4Y5MWR7H3ZQ0E8CN"], ["audit", "export", "--out", "x"],
            ["audit", "export", "--out", "x", "--since", "1h", "--limit", "3"], ["audit", "export", "--out", "x", "--since", "1h", "--alert", "01KAS2V3TB4Y5MWR7H3ZQ0E8CN"],
            ["audit", "export", "--out", "x", "--incident", "nonsense"], ["audit", "checkpoint", "show", "--payload", "--signature"], ["audit", "key", "show"],
        ])
    func usage(arguments: [String]) throws {
        try Data().write(to: URL(fileURLWithPath: place.folder.path + "/x"))
        #expect(try place.riposte("process", "kill", "1", "--dry-run").status == 3, "so that there is a journal")
        let (status, output) = try place.riposte(arguments)
        #expect((status == 2 || (arguments.contains("--signature") && status == 4)) && !output.isEmpty, "\(status): \(output)")
    }

    @Test("an alert is exported with its deeds, verified without the host, and a changed page is found")
    func export() async throws {
        try await startSigned()
        let child = try ChildProcess(["sleep", "1000"])
        _ = try await place.post(alert("Stop it", pid: child.pid, fields: #","proc.cmdline":"<script>x</script>""#))
        _ = try await place.post(alert("Another", pid: 1))
        try await until { try place.outcomes() == ["process.suspend done"] }
        #expect(try await place.stop() == 0)
        let id = try #require(try place.records().first { $0["kind"] == "alert" }?["id"]?.string?.shown)
        let folder = place.folder.path + "/bundle"
        let exported = try place.riposte("audit", "export", "--alert", id, "--out", folder)
        #expect(exported.status == 0 && exported.output.contains("5 records in \(folder), 5 of them signed"), "\(exported.output)")
        #expect(try place.riposte("audit", "export", "--alert", id, "--out", folder).status == 1, "nothing is written over")
        let tar = try #require(try place.json("audit", "export", "--since", "1h", "--out", folder + ".tar").first)
        #expect(tar["records"] == tar["proved"] && tar["records"]?.integer ?? 0 > 4)
        for bundle in [folder, folder + ".tar"] {
            let (status, output) = try run([Riposte.path, "audit", "verify", "--bundle", bundle, "--key", publicKey])
            #expect(status == 0 && output.contains("each is proved to be in the signed journal"), "\(output)")
        }
        let page = try String(contentsOfFile: folder + "/report.html", encoding: .utf8)
        #expect(page.contains("Stop it") && !page.contains("Another") && !page.contains("<script>"))
        try page.replacing("Stop it", with: "Nothing").write(toFile: folder + "/report.html", atomically: true, encoding: .utf8)
        let (status, output) = try place.riposte("audit", "verify", "--bundle", folder)
        #expect(status == 1 && output.contains("report.html does not say what the records say"), "\(output)")
        #expect(try place.riposte("audit", "export", "--alert", "01KAS2V3TB4Y5MWR7H3ZQ0E8CN", "--out", folder + "2").status == 4)
        #expect(try place.riposte("audit", "verify", "--bundle", "/nonexistent").status == 4)
    }

    @Test("the example of docs/audit.md runs as it stands there", .enabled(if: Machine.has("openssl"), "needs openssl"))
    func documentation() throws {
        let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/audit.md").standardizedFileURL
        let text = try String(contentsOf: page, encoding: .utf8)
        let example = try #require(text.firstMatch(of: /```sh\n((?s).*?)```/)?.1)
        let child = try ChildProcess(["sleep", "1000"])
        let configuration = try place.folder.file("riposte.yaml", "state_dir: state\nrun_dir: run\naudit: { signing_key: audit.key }\n")
        let bin = place.folder.path + "/bin"
        try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: bin + "/riposte", withDestinationPath: Riposte.path)
        let script = try place.folder.file("example.sh", "set -eu\ncd \(place.folder.path)\n\(example)")
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        let (status, output) = try run(["sh", script], environment: ["PATH": "\(bin):\(path)", "RIPOSTE_CONFIG": configuration, "PID": "\(child.pid)"])
        #expect(status == 0, "\(output)")
        for words in ["anchored up to record", "Signature Verified Successfully", "of them signed; read incident/report.html", "each is proved"] {
            #expect(output.contains(words), "\(words) is not in: \(output)")
        }
        #expect(child.status("State:")?.hasPrefix("T") == true)
    }
}
