import Foundation
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

private let suspending = """
      - name: hold
        match: { rules: ["Hold it"] }
        dedup: off
        steps: [{ action: process.suspend, undo: { after: 1h } }]

    """

/// A page of `docs/`, with its examples.
private struct Page {
    let text: String

    init(_ name: String) throws {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/\(name)").standardizedFileURL
        text = try String(contentsOf: url, encoding: .utf8)
    }

    func example(_ language: String) throws -> String { try String(#require(text.firstMatch(of: try Regex("```\(language)\n((?s).*?)```"))?.output[1].substring)) }
}

@Suite("Modes, roll-outs and incidents on the command line", .enabled(if: Machine.isRoot, "needs root"))
struct SteeringTests {
    let place: Workplace

    init() throws {
        place = try Workplace()
        try place.write(playbooks: suspending)
    }

    private func outcome(of rule: String = "Hold it", _ child: ChildProcess) async throws -> JSON {
        let before = try place.records().count { $0["kind"] == "outcome" }
        #expect(try await place.post(alert(rule, pid: child.pid)).status == 202)
        try await until { try place.records().count { $0["kind"] == "outcome" } > before }
        return try #require(try place.records().last { $0["kind"] == "outcome" })
    }

    @Test("a mode that is set holds at once, says whose it is, outlives kill -9, and is cleared")
    func modes() async throws {
        try await place.start()
        let child = try ChildProcess(["sleep", "1000"])
        #expect(try place.riposte("mode", "set", "observe", "--for", "2h", "--reason", "load test", "--dry-run").output.contains("planned"))
        #expect(try place.json("mode")[0]["agent"]?["mode"] == "enforce")
        #expect(try place.riposte("mode", "set", "observe", "--for", "2h", "--reason", "load test").status == 0)
        place.kill()
        try await place.start()
        // Of the mode in force both tell, not of the configured one.
        let words = "mode       observe: plans and reports, touches nothing, because the agent's mode was set to observe by \(NSUserName())\n"
        #expect(place.errors.contains(words), "\(place.errors)")
        let starts = try place.records().filter { $0["kind"] == "start" }
        #expect(starts.map { $0["mode"]?.string?.shown } == ["enforce", "observe"] && starts.map { $0["detail"]?["configured_mode"] } == [nil, "enforce"])
        let planned = try await outcome(child)
        #expect(planned["outcome"] == "planned")
        #expect(planned["detail"]?["mode_because"]?.string?.shown == "the agent's mode was set to observe by \(NSUserName())")
        #expect(try place.riposte("status").output.contains("the agent was set to observe by \(NSUserName())"))
        #expect(try place.riposte("mode", "clear").status == 0)
        #expect(try await outcome(child)["outcome"] == "done")
        let record = try #require(try place.records().first { $0["kind"] == "mode" })
        #expect(record["reason"] == "load test" && record["actor"]?["type"] == "person" && record["detail"]?["until"] != nil)
        #expect(try place.riposte("mode", "clear").status == 3)
    }

    @Test("the answer says what is in effect, which may be more careful than what was set; a dry run says what it would be", arguments: Way.allCases)
    func inEffect(way: Way) async throws {
        let file = try place.folder.file("own.yaml", "mode: ask\nplaybooks: \(place.folder.path)/playbooks\n")
        if way == .withAgent { try await place.start(mode: "ask") }
        func set(_ arguments: String...) throws -> JSON { try #require(try place.json(arguments + ["--config", file]).first) }
        for dry in [["--dry-run"], []] {
            let set = try #require(try place.json(["mode", "set", "enforce", "--playbook", "hold", "--config", file] + dry).first)
            #expect(set["in_effect"] == "ask" && set["message"]?.string?.shown.contains("in effect is ask, because the agent's mode is ask") == true, "\(set.line)")
        }
        let careful = try set("mode", "set", "observe", "--playbook", "hold")
        #expect(careful["in_effect"] == "observe" && careful["message"]?.string?.shown.contains("in effect") == false, "\(careful.line)")
        #expect(try set("mode", "clear", "--playbook", "hold")["in_effect"] == "ask")
        #expect(try set("mode", "set", "enforce", "--source", "http")["in_effect"] == "ask")
    }

    @Test("flags that would do nothing are refused", arguments: ["--ask", "--force"])
    func flags(flag: String) throws {
        let id = "\(Identifier.new())"
        for verb in [
            ["mode", "set", "observe"], ["mode", "clear"], ["playbook", "promote", "hold"], ["alerts", "mark", id, "--benign"], ["respond", "--playbooks", "p.yaml", "a"],
        ] {
            let (status, output) = try place.riposte(verb + [flag])
            #expect(status == 2 && output.contains(flag), "\(verb): \(output)")
        }
        #expect(!FileManager.default.fileExists(atPath: place.stateDirectory + "/journal"))
    }

    @Test("what is named and is not there ends with 4", arguments: Way.allCases)
    func unknown(way: Way) async throws {
        let file = try place.folder.file("own.yaml", "playbooks: \(place.folder.path)/playbooks\noutputs: [{ name: disk, type: file, path: \(place.folder.path)/out }]\n")
        if way == .withAgent { try await place.start(configuration: "outputs: [{ name: disk, type: file, path: \(place.folder.path)/out }]") }
        let id = "\(Identifier.new())"
        for (verb, words) in [
            (["mode", "set", "observe", "--playbook", "holt"], "did you mean \"hold\"?"), (["mode", "clear", "--playbook", "holt"], "did you mean \"hold\"?"),
            (["mode", "set", "observe", "--source", "htp"], "did you mean \"http\"?"), (["mode", "clear", "--source", "htp"], "did you mean \"http\"?"),
            (["playbook", "promote", "holt"], "did you mean \"hold\"?"),
            (["alerts", "mark", id, "--benign"], id), (["output", "test", "disc"], "did you mean \"disk\"?"), (["notify", "send", "--to", "disc", "m"], "did you mean \"disk\"?"),
            (["undo", id], "no action with this id"), (["breaker", "close", "x"], "\"x\""), (["approvals", "show", id], id), (["incident", "show", id], id),
        ] {
            let (status, output) = try place.riposte(verb + ["--config", file])
            #expect(status == 4 && output.contains(words), "\(verb): \(status) \(output)")
        }
    }

    @Test("without an agent the journal takes it, and the next agent goes by it")
    func alone() async throws {
        let file = try place.folder.file("own.yaml", "playbooks: playbooks\n")
        #expect(try place.riposte("mode", "set", "observe", "--playbook", "hold", "--config", file).status == 0)
        #expect(try place.riposte("mode", "set", "observe", "--playbook", "holt", "--config", file).output.contains("did you mean \"hold\"?"))
        try await place.start()
        #expect(try await outcome(ChildProcess(["sleep", "1000"]))["outcome"] == "planned")
    }

    @Test("the agent is not set wider than its ceiling")
    func ceiling() async throws {
        try await place.start(mode: "ask", configuration: "mode_ceiling: enforce")
        let (status, output) = try place.riposte("mode", "set", "enforce")
        #expect(status == 3 && output.contains("mode_ceiling"), "the flag --mode says the most: \(output)")
    }

    @Test("to let something that destroys act, as docs/modes.md has it, a second person gives the same command", .enabled(if: Machine.has("setpriv"), "needs setpriv"))
    func twoPersons() async throws {
        try place.write(playbooks: "  - name: end-shell\n    mode: observe\n    match: { rules: [Bad] }\n    steps: [{ action: process.kill }]\n")
        let settings = try #require(try Page("modes.md").text.firstMatch(of: /```yaml\n(approvals: .*?)\n```/)).1
        try await place.start(configuration: "control: { group: games }\n\(settings)")
        chmod(place.folder.path, 0o755)
        chmod(place.runDirectory, 0o755)
        func set(as uid: Int) throws -> (status: Int32, output: String) {
            try run(
                ["setpriv", "--reuid=\(uid)", "--regid=60", "--clear-groups", Riposte.path, "mode", "set", "enforce", "--playbook", "end-shell", "--reason", "quiet for a week"]
                    + ["--state-dir", place.stateDirectory, "--run-dir", place.runDirectory])
        }
        let first = try set(as: 1)
        #expect(first.status == 5 && first.output.contains("somebody else must give the same command until"), "\(first.output)")
        #expect(try place.riposte("mode").output.contains("mode of playbook end-shell is enforce"))
        #expect(try place.riposte("status").output.contains("daemon wants it; waits for a second person"))
        #expect(try set(as: 1).status == 5)
        let child = try ChildProcess(["sleep", "1000"])
        #expect(try await outcome(of: "Bad", child)["outcome"] == "planned")
        #expect(try set(as: 2).status == 0)
        #expect(try await outcome(of: "Bad", child)["outcome"] == "done")
        #expect(child.waitForSignal() == SIGKILL)
    }

    @Test("an incident's story, the false alarm in it, and the rate beside the mode")
    func story() async throws {
        try await place.start()
        let child = try ChildProcess(["sleep", "1000"])
        _ = try await outcome(child)
        let record = try #require(try place.records().last { $0["kind"] == "alert" })
        let incident = try #require(record["incident"]?.string?.valid)
        let told = try place.riposte("incident", "show", incident)
        #expect(told.status == 0 && told.output.contains("Hold it") && told.output.contains("in force: process.suspend"), "\(told.output)")
        #expect(try place.riposte("incident", "list").output.contains(incident))
        #expect(try place.json("incident", "show", incident)[0]["standing"]?.array?.count == 1)
        #expect(try place.riposte("status").output.contains("incident   \(incident)"))
        #expect(try place.riposte("alerts", "mark", #require(record["id"]?.string?.valid), "--benign", "--reason", "ours").status == 0)
        #expect(try place.riposte("playbook", "list", place.folder.path + "/playbooks").output.contains("1 (100%)"))
        #expect(try place.riposte("incident", "show", "\(Identifier.new())").status == 4)
        // Let go by hand, which is no part of the incident: what is told is what is so.
        #expect(try place.riposte("process", "resume", "\(child.pid)").status == 0)
        let ended = try place.riposte("incident", "show", incident)
        #expect(ended.status == 0 && ended.output.contains("nothing is in force") && !ended.output.contains("in force: "), "\(ended.output)")
        #expect(try place.json("incident", "show", incident)[0]["standing"]?.array?.isEmpty == true)
        #expect(try place.riposte("alerts", "mark", "\(Identifier.new())", "--benign").status == 4)
    }

    @Test("incidents since a time are those that were opened since, whenever they were closed")
    func incidentsSince() async throws {
        try await place.start(configuration: "incidents: { quiet: 1s }")
        let before = Timestamp.now()
        _ = try await outcome(ChildProcess(["sleep", "1000"]))
        let after = Timestamp.now()
        let incident = try #require(try place.records().first { $0["kind"] == "incident" }?["id"]?.string?.valid)
        #expect(try place.json("incident", "list", "--since", "\(after)").isEmpty)
        try await until { try place.records().contains { $0["kind"] == "incident" && $0["detail"]?["state"] == "closed" } }
        #expect(try place.json("incident", "list", "--since", "\(after)").isEmpty)
        for since in [["--since", "\(before)"], []] { #expect(try place.json(["incident", "list"] + since).map { $0["incident"]?.string?.valid } == [incident]) }
    }

    @Test("an alert that is sent twice is answered once and seen twice")
    func twice() async throws {
        try place.write(playbooks: suspending.replacing("    dedup: off\n", with: ""))
        try await place.start()
        let child = try ChildProcess(["sleep", "1000"])
        let text = alert("Hold it", pid: child.pid)
        for _ in 0..<3 { #expect(try await place.post(text).status == 202) }
        try await until { try place.records().contains { $0["kind"] == "run" } }
        #expect(try place.records().count { $0["kind"] == "repeat" } == 2 && place.outcomes() == ["process.suspend done"])
        #expect(place.output.contains("told before, as alert"))
    }

    @Test("the example of docs/modes.md runs as it stands there")
    func modesPage() async throws {
        let page = try Page("modes.md")
        _ = try place.folder.file("playbooks/p.yaml", page.example("yaml"))
        try await place.start()
        let (status, output) = try script(page.example("sh"))
        #expect(status == 0 && output.contains("stage 1 must last 7d") && output.contains("not yet"), "\(output)")
        #expect(try place.records().compactMap { $0["kind"] == "mode" ? $0["detail"]?["state"]?.string?.valid : nil } == ["set", "set", "cleared", "cleared"])
    }

    @Test("the example of docs/incidents.md runs as it stands there")
    func incidentsPage() async throws {
        let page = try Page("incidents.md")
        _ = try place.folder.file("playbooks/p.yaml", page.example("yaml"))
        try await place.start()
        _ = try await outcome(of: "Read secret", ChildProcess(["sleep", "1000"]))
        let incident = try #require(try place.records().last { $0["kind"] == "alert" }?["incident"]?.string?.valid)
        let (status, output) = try script(page.example("sh"), ["INCIDENT": incident])
        #expect(status == 0 && output.contains("in force: process.suspend") && output.contains("\"standing\""), "\(output)")
    }

    private func script(_ text: String, _ more: [String: String] = [:]) throws -> (status: Int32, output: String) {
        let bin = place.folder.path + "/bin"
        try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: bin + "/riposte", withDestinationPath: Riposte.path)
        let script = try place.folder.file("example.sh", "set -eu\n\(text)")
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        let environment = ["PATH": "\(bin):\(path)", "RIPOSTE_STATE_DIR": place.stateDirectory, "RIPOSTE_RUN_DIR": place.runDirectory]
        return try run(["sh", script], environment: environment.merging(more) { $1 })
    }
}

@Suite("playbook explain beside a running agent", .enabled(if: Machine.isRoot, "needs root"))
struct ExplainByAgentTests {
    @Test("the agent is asked: its live modes, its breakers and what is spent count; other playbooks can be named; without it the journal says the same")
    func asks() async throws {
        let place = try Workplace()
        try place.write(playbooks: "  - name: end\n    match: { rules: [Bad] }\n    dedup: off\n    budget: { actions: 1, per: 1h }\n    steps: [{ action: process.kill }]\n")
        let settings = "playbooks: \(place.folder.path)/playbooks"
        let file = try place.folder.file("c.yaml", "\(settings)\nmode: enforce\n")
        try await place.start(configuration: settings)
        let children = try (0..<2).map { _ in try ChildProcess(["sleep", "1000"]) }
        let alerts = try place.folder.file("alert.json", alert("Bad", pid: children[1].pid))
        func step() throws -> JSON {
            let answer = try #require(try place.json("playbook", "explain", "--alert", alerts, "--config", file).first)
            return try #require(answer["playbooks"]?.array?.first?["steps"]?.array?.first, "\(answer.line)")
        }
        #expect(try step()["outcome"] == "done")
        _ = try await place.post(alert("Bad", pid: children[0].pid))
        try await until { try place.outcomes() == ["process.kill done"] }
        let spent = try step()
        #expect(spent["outcome"] == "planned" && spent["because"]?.string?.shown.contains("1 of 1 actions per 1h") == true, "\(spent.line)")
        #expect(try place.riposte("mode", "set", "ask", "--playbook", "end").status == 0)
        #expect(try step()["mode_because"]?.string?.shown == "the playbook's mode was set to ask by \(NSUserName())")
        let other = try place.folder.file("other.yaml", "apiVersion: riposte/v1\nplaybooks:\n  - { name: other, match: { rules: [Bad] }, steps: [{ action: process.suspend }] }\n")
        let named = try place.riposte("playbook", "explain", other, "--alert", alerts, "--config", file)
        #expect(named.status == 0 && named.output.contains("step process-suspend: process.suspend → done") && !named.output.contains("end answers"), "\(named.output)")
        let before = try place.records().count
        _ = try step()
        #expect(try place.records().count == before && children[1].isRunning, "it writes and does nothing")
        place.kill()
        #expect(try step()["mode_because"]?.string?.shown == "the playbook's mode was set to ask by \(NSUserName())")
    }
}
