import Foundation
import RiposteAgent
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

/// A page of `docs/`, by its fenced blocks.
private func block(_ number: Int, _ language: String, of name: String) throws -> String {
    let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/\(name)").standardizedFileURL
    let found = try String(contentsOf: url, encoding: .utf8).matches(of: try Regex("```\(language)\n((?s).*?)```"))
    try #require(found.indices.contains(number))
    return try String(#require(found[number].output[1].substring))
}

/// What the pages about trying playbooks say is what the commands print.
@Suite("riposte playbook dry-run, test and explain")
struct DryRunCommandTests {
    let place: Workplace

    init() throws { place = try Workplace() }

    /// In the workplace's folder.
    private func riposte(_ arguments: String...) throws -> (status: Int32, output: String) {
        let result = try run(["sh", "-c", "cd \"$1\" && shift && exec \"$@\" 2>talk", "sh", place.folder.path, Riposte.path] + arguments)
        return (result.status, result.output)
    }

    private func write(_ name: String, _ text: String) throws { _ = try place.folder.file(name, text) }

    @Test("the example of docs/dry-run.md gives what stands there; --json has the same numbers; the page is whole")
    func dryRunPage() throws {
        try write("p.yaml", block(0, "yaml", of: "dry-run.md"))
        try write("week.jsonl", block(0, "json", of: "dry-run.md"))
        let (status, output) = try riposte("playbook", "dry-run", "p.yaml", "--alerts", "week.jsonl", "--world", "none", "--html", "r.html")
        #expect(status == 0)
        let expected = try block(0, "text", of: "dry-run.md")
        #expect(output.hasPrefix(expected), "\(output)")
        #expect(output.contains("Nobody's identity is proved."))
        let page = try String(contentsOfFile: place.folder.path + "/r.html", encoding: .utf8)
        #expect(page.contains("default-src &#39;none&#39;") && page.contains("<svg") && !page.contains("<script") && page.hasSuffix("</html>\n"))
        let json = try riposte("playbook", "dry-run", "p.yaml", "--alerts", "week.jsonl", "--world", "none", "--json")
        let object = try JSON(parsing: Array(json.output.utf8))
        #expect(object["alerts"] == 3 && object["acts"] == 2 && object["refused"]?["budget"] == 1 && object["identities_proved"] == false)
    }

    @Test("lines that are no alerts are counted, told and end with 2; what needs --world says so")
    func problems() throws {
        try write("p.yaml", block(0, "yaml", of: "dry-run.md"))
        try write("week.jsonl", "nonsense\n" + block(0, "json", of: "dry-run.md") + "{\"rule\":\"\"}\n")
        let (status, output) = try riposte("playbook", "dry-run", "p.yaml", "--alerts", "week.jsonl", "--world", "none")
        #expect(status == 2 && output.contains("3 alerts from") && output.contains("2 no alerts"), "\(output)")
        #expect(try String(contentsOfFile: place.folder.path + "/talk", encoding: .utf8).contains("2 lines are no alerts; the first: alert 1: not JSON"))
        #expect(try riposte("playbook", "dry-run", "p.yaml", "--alerts", "week.jsonl", "--html", "x.html").status == 2)
        #expect(try riposte("playbook", "dry-run", "p.yaml", "--alerts", "missing.jsonl", "--world", "none").status == 2)
        #expect(try riposte("playbook", "dry-run", "p.yaml", "--alerts", "week.jsonl", "--world", "missing.yaml").status == 2)
    }

    @Test("without a world too, an alert that was told before, or waits for others, is said to be that; engine.dedup counts")
    func withoutWorld() throws {
        try write(
            "p.yaml",
            "apiVersion: riposte/v1\nplaybooks:\n  - { name: one, match: { rules: a }, steps: [{ action: network.isolate }] }\n"
                + "  - { name: two, match: { rules: b, threshold: { count: 2, within: 1m } }, steps: [{ action: network.isolate }] }\n")
        func alert(_ rule: String, _ second: Int) -> String {
            "{\"rule\":\"\(rule)\",\"priority\":\"Notice\",\"time\":\"2026-03-04T11:22:0\(second)Z\",\"output_fields\":{\"proc.pid\":4711,\"proc.pid.ts\":1772623350000000000}}\n"
        }
        try write("a.jsonl", alert("a", 1) + alert("b", 2) + alert("a", 3) + alert("b", 4) + alert("c", 5))
        func heads(_ more: String...) throws -> [String] {
            let words = ["playbook", "dry-run", "p.yaml", "--alerts", "a.jsonl"] + more
            let result = try run(["sh", "-c", "cd \"$1\" && shift && exec \"$@\" 2>talk", "sh", place.folder.path, Riposte.path] + words)
            return result.output.split(separator: "\n").map(String.init).filter { $0.hasPrefix("alert") || $0.contains("told before") || $0.contains("threshold") }
        }
        #expect(
            try heads() == [
                "alert 1 a → one", "alert 2 b → nobody answers", "  two: 1 of 2 for its threshold", "alert 3 a → nobody answers", "  one: told before, as alert 1",
                "alert 4 b → two",
                "alert 5 c → no playbook",
            ])
        try write("riposte.yaml", "engine: { dedup: off }\n")
        #expect(try heads("--config", "riposte.yaml").contains("alert 3 a → one"))
    }

    @Test("--intake says where the alerts come in, with a world and without")
    func intake() throws {
        try write("p.yaml", block(0, "yaml", of: "dry-run.md").replacing("match: { rules", with: "match: { intake: [http, socket], rules"))
        try write("week.jsonl", block(0, "json", of: "dry-run.md"))
        for more in [[], ["--world", "none"]] {
            func output(_ intake: [String]) throws -> String {
                let words = ["playbook", "dry-run", "p.yaml", "--alerts", "week.jsonl"] + more + intake
                return try run(["sh", "-c", "cd \"$1\" && shift && exec \"$@\" 2>&1", "sh", place.folder.path, Riposte.path] + words).output
            }
            #expect(try !output([]).contains("contain-shell"))
            #expect(try output(["--intake", "socket"]).contains("contain-shell"))
            #expect(try output(["--intake", "htpp"]).contains("there is no intake \"htpp\"; did you mean \"http\"?"))
        }
        try write("p.test.yaml", "tests:\n  - { name: t, intake: http, alerts: [week.jsonl], expect: [{ playbook: contain-shell }] }\n")
        #expect(try riposte("playbook", "test", "p.yaml").status == 0)
    }

    @Test("--compare says what appears, vanishes and changes")
    func compare() throws {
        let old = try block(0, "yaml", of: "dry-run.md")
        try write("old.yaml", old)
        try write("p.yaml", old.replacing("actions: 2", with: "actions: 5") + "  - { name: too, match: { rules: [\"Terminal*\"] }, steps: [{ action: container.kill }] }\n")
        try write("week.jsonl", block(0, "json", of: "dry-run.md"))
        let (status, output) = try riposte("playbook", "dry-run", "p.yaml", "--compare", "old.yaml", "--alerts", "week.jsonl", "--world", "none", "--json")
        let rows = try #require(try JSON(parsing: Array(output.utf8))["comparison"]?["playbooks"]?.array)
        #expect(status == 0 && rows.count == 2, "\(rows.map(\.line))")
        #expect(rows[0]["playbook"] == "contain-shell" && rows[0]["changes"] == 1 && rows[1]["playbook"] == "too" && rows[1]["appears"] == 3)
    }

    @Test("the example of docs/explain.md gives what stands there")
    func explainPage() throws {
        try write("p.yaml", block(0, "yaml", of: "explain.md"))
        try write("alert.json", block(0, "json", of: "explain.md"))
        try write("world.yaml", block(1, "yaml", of: "explain.md"))
        try write("riposte.yaml", "mode: enforce\nbudgets: []\n")
        let (status, output) = try riposte("playbook", "explain", "p.yaml", "--alert", "alert.json", "--world", "world.yaml", "--config", "riposte.yaml")
        #expect(status == 0)
        #expect(try output == block(0, "text", of: "explain.md"), "\(output)")
    }

    @Test("the worlds of docs/playbook-tests.md pass as they stand there, and fail with a line where the playbook is another")
    func testsPage() throws {
        let playbook = """
            apiVersion: riposte/v1
            playbooks:
              - name: contain-shell
                match: { rules: ["Terminal shell in container"] }
                budget: { actions: 10, per: 1h, over: ask }
                steps:
                  - { name: hold, action: container.pause }
                  - { name: kill, action: process.kill, approval: { expires: 10m } }

            """
        try FileManager.default.createDirectory(atPath: place.folder.path + "/t", withIntermediateDirectories: false)
        let fields = "\"container.id\":\"3f0c9a1b77de\",\"proc.pid\":4711,\"proc.name\":\"sh\",\"proc.exepath\":\"/bin/sh\""
        try write("t/shell.json", "{\"rule\":\"Terminal shell in container\",\"priority\":\"Notice\",\"time\":\"2026-03-04T11:22:34Z\",\"output_fields\":{\(fields)}}\n")
        try write("t/p.test.yaml", block(1, "yaml", of: "playbook-tests.md"))
        try write("t/p.yaml", playbook)
        let good = try riposte("playbook", "test", "t")
        #expect(good.status == 0 && good.output.contains("2 passed, 0 failed"), "\(good.output)")
        try write("t/p.yaml", playbook.replacing("approval: { expires: 10m }", with: "mode: observe"))
        let bad = try riposte("playbook", "test", "t", "--junit", "r.xml")
        #expect(bad.status == 1 && bad.output.contains("t/p.test.yaml:2: failed") && bad.output.contains("line 10: nothing comes to outcome pending"), "\(bad.output)")
        #expect(try String(contentsOfFile: place.folder.path + "/r.xml", encoding: .utf8).contains("failures=\"1\""))
    }

    @Test("the shipped playbooks' tests pass, and reach every step")
    func shipped() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../playbooks").standardizedFileURL.path
        let (status, output) = try riposte("playbook", "test", folder)
        #expect(status == 0 && !output.contains("never reached"), "\(output)")
    }

    @Test("hostile text of alerts is text in the page")
    func hostile() throws {
        let replay = Replay(configuration: AgentConfiguration(), playbooks: .empty, world: .fromAlerts)
        replay.feed(Array("<script>alert(1)</script>".utf8))
        var report = replay.finish()
        #expect(report.unreadable == 1)
        let row = RehearsalReport.Row(playbook: "p", step: "s", action: "a")
        report.acts = [.init(time: Timestamp(nanoseconds: 0), row: row, target: "<img src=x onerror=alert(1)>\u{202E}\u{1B}[2J", outcome: .done, message: "\"'&")]
        let html = ReplayPage(report, premises: ["<b>"]).html
        #expect(html.contains("&lt;img src=x onerror=alert(1)&gt;") && html.contains("&quot;&#39;&amp;") && html.contains("&lt;b&gt;"))
        #expect(!html.contains("<img") && !html.unicodeScalars.contains("\u{202E}") && !html.unicodeScalars.contains("\u{1B}"))
    }
}
