import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

/// An alert comes in, a playbook acts, and people learn of it: with the outcome, and with the commands to go on, which do what they say.
@Suite("a message arrives", .enabled(if: Machine.isRoot, "needs root: signals to children of another process"))
struct NotifyEndToEndTests {
    let place: Workplace
    let receiver: LoopbackServer

    init() async throws {
        place = try Workplace()
        receiver = try await LoopbackServer { _ in .init(200, "ok") }
    }

    private func output(_ name: String, _ more: String = "send: nothing") -> String {
        """
          - name: \(name)
            type: http
            url: http://127.0.0.1:\(receiver.port)/\(name)
            \(more)

        """
    }

    private func start(_ outputs: String, mode: String = "enforce") async throws {
        try await place.start(mode: mode, configuration: "sensor: { enabled: false }\noutputs:\n" + outputs)
    }

    /// What came to an output, oldest first.
    private func messages(_ name: String) -> [JSON] {
        receiver.requests.filter { $0.path == "/\(name)" }.compactMap { try? JSON(parsing: $0.body) }
    }

    private func texts(_ name: String) -> [String] { messages(name).compactMap { $0["output"]?.string?.repaired } }

    private func command(_ words: String, in text: String) throws -> [String] {
        let line = try #require(text.split(separator: "\n").first { $0.contains(words) }, "\(text)")
        let found = try #require(line.firstMatch(of: /riposte ([a-z]+(?: [a-z]+)?(?: --alert)? [0-9A-Z]{26})/))
        return found.1.split(separator: " ").map(String.init)
    }

    @Test("of a step, and of all that was done; its commands take it back and look closer")
    func actionAndMessage() async throws {
        try place.write(
            playbooks: """
                  - name: contain
                    match: { rules: ["Suspend it"] }
                    steps:
                      - { action: notify.send, with: { to: duty, title: On it, message: "{{ proc.name }} is being stopped" } }
                      - { name: stop-it, action: process.suspend, undo: { after: 1h } }
                    on_finish:
                      - { action: notify.send, with: { to: [duty, other], priority: critical } }
                      - action: notify.send
                        when: steps.stop-it.outcome = failed
                        with: { to: duty, title: Not stopped, message: "it runs" }
                """)
        try await start(output("duty") + output("other"))
        let child = try ChildProcess(["sleep", "1000"])
        #expect(try await place.post(alert("Suspend it", pid: child.pid)).status == 202)
        try await until { texts("duty").count == 2 && texts("other").count == 1 }
        let step = try #require(messages("duty").first { $0["rule"]?.string?.repaired == "Riposte On it" || $0["rule"]?.string?.repaired == "On it" })
        #expect(step["output"] == "sleep is being stopped" && step["priority"] == "Notice" && step["source"] == "riposte")
        let finish = try #require(messages("duty").last)
        #expect(finish["priority"] == "Critical")
        let text = try #require(finish["output"]?.string?.repaired)
        #expect(text == texts("other").first)
        #expect(text.contains("Playbook contain answers \"Suspend it\" (Warning) on h, mode enforce."))
        #expect(text.contains("process.suspend") && text.contains("\(child.pid)") && text.contains("done"), "\(text)")
        // Whoever reads it copies the commands.
        #expect(try place.riposte(try command("Look closer", in: text)).output.contains("Suspend it"))
        #expect(try place.riposte(try command("Take it back", in: text)).status == 0)
        try await until { try place.outcomes().contains { $0.hasPrefix("process.") && $0.hasSuffix("undone") || $0 == "process.resume done" } }
        #expect(try place.riposte("audit", "verify").status == 0)
        #expect(try await place.stop() == 0)
    }

    @Test("of a question, with the commands to approve and deny, and then of the outcome")
    func question() async throws {
        try place.write(
            playbooks: """
                  - name: kill
                    match: { rules: ["Kill it"] }
                    steps:
                      - { name: kill, action: process.kill, approval: { expires: 10m } }
                    on_finish:
                      - { action: notify.send, with: { to: duty } }
                """)
        try await start(output("duty") + output("questions", "send: audit\n    kinds: [approval]"))
        let child = try ChildProcess(["sleep", "1000"])
        #expect(try await place.post(alert("Kill it", pid: child.pid)).status == 202)
        try await until { texts("questions").count == 1 }
        let question = texts("questions")[0]
        #expect(question.contains("deny: riposte approvals deny"))
        #expect(texts("duty").isEmpty && child.isRunning)
        #expect(try place.riposte(try command("approve:", in: question)).status == 0)
        #expect(child.waitForSignal() == SIGKILL)
        try await until { texts("duty").count == 1 }
        #expect(texts("duty")[0].contains("process.kill") && texts("duty")[0].contains("done"), "\(texts("duty")[0])")
        #expect(try await place.stop() == 0)
    }

    @Test("a burst is one message at once and one summary; no alert and no message goes uncounted")
    func burst() async throws {
        try place.write(
            playbooks: """
                  - name: tell
                    match: { rules: ["r"] }
                    steps:
                      - { action: notify.send, with: { to: duty, message: "look at {{ proc.pid }}" } }
                """)
        let grouped = "send: alerts\n    group: { by: [rule], summary_every: 1s }"
        try await start(output("duty", grouped.replacing("alerts", with: "nothing")) + output("soc", grouped), mode: "enforce")
        // Other facts each time, or they would count as one.
        for pid in 1...40 { #expect(try await place.post(alert("r", pid: Int32(100_000 + pid))).status == 202) }
        func counted(_ name: String) -> Int {
            messages(name).map { message in
                message["output_fields"]?["riposte.count"]?.integer.map { Int($0) } ?? 1
            }.reduce(0, +)
        }
        try await until { counted("soc") == 40 && counted("duty") == 40 }
        for name in ["soc", "duty"] {
            #expect(messages(name).count < 20, "\(messages(name).count) messages to \(name)")
            #expect(messages(name).first?["output_fields"]?["riposte.count"] == nil, "the first at once")
            #expect(texts(name).contains { $0.contains(" more from ") && $0.contains("e.g. ") })
        }
        #expect(try await place.stop() == 0)
    }

    @Test("in mode observe nothing is said, and the plan is on record")
    func observe() async throws {
        try place.write(playbooks: "  - { name: tell, match: { rules: [r] }, steps: [{ action: notify.send, with: { to: duty, message: m } }] }\n")
        try await start(output("duty") + output("audit", "send: audit\n    kinds: [outcome]"), mode: "observe")
        _ = try await place.post(alert("r", pid: 1))
        try await until { !texts("audit").isEmpty }
        #expect(try place.outcomes() == ["notify.send planned"] && texts("duty").isEmpty)
        #expect(try await place.stop() == 0)
    }

    @Test("a person tells others by command", arguments: Way.allCases)
    func byHand(_ way: Way) async throws {
        let configuration = "sensor: { enabled: false }\noutputs:\n" + output("duty")
        // The output's place in the journal is there from its first start on.
        try await place.start(configuration: configuration)
        if way != .withAgent { _ = try await place.stop() }
        let file = place.folder.path + "/riposte.yaml"
        let hostile = "it is web-7: $(reboot)\u{1B}[2J {{ proc.name }}"
        let (status, output) = try place.riposte("notify", "send", "--to", "duty", "--priority", "error", "--title", "By hand", hostile, "--config", file)
        #expect(status == 0 && output.contains("notify.send") && output.contains("done"), "\(output)")
        let plan = try #require(try place.json("notify", "send", "--to", "duty", "m", "--dry-run", "--config", file).first)
        #expect(plan["outcome"] == "planned")
        for (arguments, status, words) in [
            (["--to", "dutty", "m"], Int32(4), "did you mean \"duty\"?"), (["m"], 2, "--to"), (["--to", "duty", ""], 1, "there is none"),
            (["--to", "duty", "m", "--priority", "high"], 2, "critical"),
            (["--to", "duty", String(repeating: "x", count: 9000)], 2, "8192"), (["--to", "duty", "m", "--title", String(repeating: "x", count: 257)], 2, "256"),
        ] {
            let answer = try place.riposte(["notify", "send", "--config", file] + arguments)
            #expect(answer.status == status && answer.output.contains(words), "\(answer)")
        }
        if way != .withAgent { try await place.start(configuration: configuration) }
        try await until { texts("duty").count == 1 }
        #expect(texts("duty") == [hostile] && messages("duty")[0]["priority"] == "Error" && messages("duty")[0]["rule"]?.string?.repaired.contains("By hand") == true)
        #expect(try place.records().contains { $0["action"] == "notify.send" && $0["actor"]?["type"] == "person" })
        #expect(try await place.stop() == 0)
    }
}

/// Alerts, audit records and messages by mail, through a real SMTP server.
@Suite(.enabled(if: Certificates.isPossible && FileManager.default.fileExists(atPath: "/usr/lib/python3/dist-packages/aiosmtpd"), "needs openssl and aiosmtpd"))
struct MailEndToEndTests {
    @Test("each arrives once over STARTTLS, as one thread per alert")
    func mails() async throws {
        let certificates = try Certificates.shared.get()
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../Fixtures/smtp_server.py").standardizedFileURL.path
        let place = try Workplace()
        let inbox = place.folder.path + "/inbox"
        let sink = open(inbox, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        let server = try ChildProcess(
            ["/usr/bin/python3", script, certificates.path("server.crt"), certificates.path("server.key"), "starttls"], output: sink,
            error: FileHandle.standardError.fileDescriptor)
        close(sink)
        defer { server.signal(SIGKILL) }
        func lines() throws -> [String] { try String(contentsOfFile: inbox, encoding: .utf8).split(separator: "\n").map(String.init) }
        try await until { try lines().count >= 1 }
        let port = try lines()[0]
        try place.write(
            playbooks: "  - { name: tell, match: { rules: [r] }, steps: [{ action: notify.send, with: { to: mail, title: Told, message: \"{{ proc.name }} runs\" } }] }\n")
        let password = try place.folder.file("password", "hunter2\n")
        try await place.start(
            configuration: """
                sensor: { enabled: false }
                outputs:
                  - name: mail
                    type: smtp
                    host: 127.0.0.1
                    port: \(port)
                    from: riposte@example.org
                    to: [soc@example.org, duty@example.org]
                    user: riposte
                    password: { file: \(password) }
                    tls: { ca: \(certificates.path("ca.crt")) }
                    digest: { count: 1 }
                    send: both
                    kinds: [alert, outcome]
                """)
        _ = try await place.post(alert("r", pid: 1))
        func mails() throws -> [JSON] { try lines().dropFirst().map { try JSON(parsing: Array($0.utf8)) } }
        try await until { try mails().count >= 3 }
        let texts = try mails().compactMap { $0["text"]?.string?.repaired }
        #expect(try mails().allSatisfy { $0["tls"] == true && $0["login"] == true && $0["to"]?.array?.count == 2 })
        func subjects(_ words: String) -> Int { texts.count { $0.firstMatch(of: /(?m)^Subject: (.*)$/).map { $0.1.contains(words) } ?? false } }
        #expect(subjects(" r on ") == 1 && subjects("Told") == 1 && subjects("notify.send done") == 1, "\(texts)")
        let threads = Set(texts.compactMap { $0.firstMatch(of: /(?m)^(?:References|In-Reply-To): (<.*>)/).map { String($0.1) } })
        #expect(threads.count == 1, "\(threads)")
        #expect(try await place.stop() == 0)
        #expect(!place.errors.contains("hunter2"))
    }
}
