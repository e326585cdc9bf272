import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

/// A page of `docs/`, by its fenced blocks.
private struct Page {
    let blocks: [(language: String, text: String)]

    init(_ name: String) throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs").standardizedFileURL
        let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
        var blocks: [(language: String, text: String)] = []
        var open: (language: String, lines: [Substring])?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            switch (line.hasPrefix("```"), open) {
            case (true, nil): open = (String(line.dropFirst(3)), [])
            case (true, let block?):
                blocks.append((block.language, block.lines.map { $0 + "\n" }.joined()))
                open = nil
            case (false, _): open?.lines.append(line)
            }
        }
        self.blocks = blocks
    }

    func block(_ number: Int, _ language: String) throws -> String {
        let all = blocks.filter { $0.language == language }
        try #require(all.indices.contains(number))
        return all[number].text
    }
}

@Suite("riposte playbook import and test")
struct PlaybookFileCommandTests {
    let place: Workplace

    init() throws {
        place = try Workplace()
        try FileManager.default.createDirectory(atPath: place.folder.path + "/p", withIntermediateDirectories: false)
    }

    /// Standard output, standard error and status, in the workplace's folder.
    private func riposte(_ arguments: String...) throws -> (status: Int32, output: String, talk: String) {
        let talk = place.folder.path + "/talk-\(UUID().uuidString)"
        let script = "cd \"$1\" && talk=$2 && shift 2 && exec \"$@\" 2>\"$talk\""
        let result = try run(["sh", "-c", script, "sh", place.folder.path, talk, Riposte.path] + arguments)
        return (result.status, result.output, try String(contentsOfFile: talk, encoding: .utf8))
    }

    @Test("the example of docs/playbook-import.md gives what stands there")
    func importExample() throws {
        let page = try Page("playbook-import.md")
        _ = try place.folder.file("rules.yaml", try page.block(0, "yaml"))
        let (status, output, talk) = try riposte("playbook", "import", "talon", "rules.yaml")
        #expect(try output == page.block(1, "yaml"))
        #expect(try talk == page.block(0, "text"))
        #expect(status == 1, "the label is missing")
    }

    @Test("--out makes a file that check takes, and never replaces one; --json is one object; files that are no good end with 2")
    func importFiles() throws {
        _ = try place.folder.file(
            "good.yaml", "- rule: R\n  match: { rules: [a] }\n  actions: [{ action: T, actionner: 'kubernetes:terminate', parameters: { grace_period_seconds: 5 } }]\n")
        let made = try riposte("playbook", "import", "talon", "good.yaml", "--out", "made.yaml", "--mode", "ask")
        #expect(made.status == 0 && made.output.isEmpty && made.talk.contains("1 playbook from 1 rule: 2 parts exact, 0 different, 0 missing"), "\(made)")
        let check = try riposte("playbook", "check", "made.yaml")
        #expect(check.status == 0 && check.output == "1 playbook is good\n", "\(check)")
        #expect(try riposte("playbook", "list", "made.yaml").output.contains("ask"))
        let again = try riposte("playbook", "import", "talon", "good.yaml", "--out", "made.yaml")
        #expect(again.status == 2 && again.talk.contains("made.yaml cannot be made: File exists"), "\(again)")
        try FileManager.default.createSymbolicLink(atPath: place.folder.path + "/link.yaml", withDestinationPath: "target.yaml")
        #expect(try riposte("playbook", "import", "talon", "good.yaml", "--out", "link.yaml").status == 2, "no link is followed")
        let json = try riposte("playbook", "import", "talon", "good.yaml", "--json")
        let object = try JSON(parsing: Array(json.output.utf8))
        #expect(json.status == 0 && json.talk.isEmpty && object["report"]?["playbooks"] == 1)
        #expect(object["playbooks"]?.string?.repaired.contains("action: pod.delete") == true)
        _ = try place.folder.file("bad.yaml", "- rule: R\n  match: { priority: hight, tags: ['a-b'] }\n")
        let bad = try riposte("playbook", "import", "talon", "bad.yaml", "--out", "never.yaml")
        #expect(bad.status == 2 && bad.talk.contains("bad.yaml:2:22: error[I004]") && bad.talk.contains("bad.yaml:2:36: error[I005]"), "\(bad)")
        #expect(!FileManager.default.fileExists(atPath: place.folder.path + "/never.yaml"))
        #expect(try riposte("playbook", "import", "talon", "nowhere.yaml").status == 2)
    }

    @Test("the example of docs/playbook-tests.md runs on the playbooks of docs/playbook-import.md, and writes JUnit")
    func testExample() throws {
        let shell = """
            {"rule":"Terminal shell in container","priority":"Notice","source":"syscall","time":"2026-03-04T11:22:33Z","output_fields":{"k8s.ns.name":"shop","k8s.pod.name":"web-1"}}
            """
        _ = try place.folder.file("p/shell.json", shell + "\n")
        _ = try place.folder.file("p/p.yaml", try Page("playbook-import.md").block(1, "yaml"))
        _ = try place.folder.file("p/p.test.yaml", try Page("playbook-tests.md").block(0, "yaml"))
        let good = try riposte("playbook", "test", "p", "--junit", "r.xml")
        #expect(good.status == 0 && good.output == "1 passed, 0 failed\n", "\(good)")
        let report = try String(contentsOfFile: place.folder.path + "/r.xml", encoding: .utf8)
        #expect(report.contains("<testcase name=\"a shell ends with its pod\" classname=\"p/p.test.yaml\" file=\"p/p.test.yaml\" line=\"2\"/>"), "\(report)")
    }

    @Test("a failing test ends with 1, an alert that is none with 2, and both stand in the report; what no test reaches is listed")
    func testFailures() throws {
        _ = try place.folder.file("p/a.json", "{\"rule\":\"a\",\"priority\":\"Notice\",\"time\":\"2026-03-04T11:22:33Z\",\"output_fields\":{}}\n")
        _ = try place.folder.file("p/bad.json", "{\"rule\":\n")
        _ = try place.folder.file(
            "p/p.yaml",
            "apiVersion: riposte/v1\nplaybooks:\n  - { name: a, match: { rules: a }, steps: [{ action: network.isolate }] }\n  - { name: b, match: { rules: b }, steps: [{ action: network.isolate }] }\n"
        )
        _ = try place.folder.file("p/p.test.yaml", "tests:\n  - { name: \"t <1>\", alerts: [a.json], expect: [{ playbook: b }] }\n")
        let failed = try riposte("playbook", "test", "p", "--junit", "r.xml")
        #expect(failed.status == 1 && failed.output.contains("p/p.test.yaml:2: failed t <1>: line 2: nothing asks for playbook b"), "\(failed)")
        #expect(failed.output.contains("p/p.yaml:4: never reached playbook b\n") && failed.output.hasSuffix("0 passed, 1 failed\n"), "\(failed)")
        #expect(try String(contentsOfFile: place.folder.path + "/r.xml", encoding: .utf8).contains("<testcase name=\"t &lt;1&gt;\""))
        let json = try JSON(parsing: Array(try riposte("playbook", "test", "p", "--json").output.utf8))
        #expect(json["passed"] == 0 && json["failures"]?.array?.count == 1 && json["unreached"]?.array?.first?["playbook"] == "b")
        _ = try place.folder.file(
            "p/p.test.yaml", "tests:\n  - { name: t, alerts: [bad.json], never: [process.kill] }\n  - { name: u, alerts: [a.json], expect: [{ playbook: a }] }\n")
        let broken = try riposte("playbook", "test", "p", "--junit", "r.xml")
        #expect(broken.status == 2 && broken.output.hasSuffix("1 passed, 0 failed, 1 could not be run\n"), "\(broken)")
        #expect(try String(contentsOfFile: place.folder.path + "/r.xml", encoding: .utf8).contains("tests=\"2\" failures=\"0\" errors=\"1\""))
        _ = try place.folder.file("p/p.yaml", "apiVersion: riposte/v1\nplaybooks: [{ name: a }]\n")
        #expect(try riposte("playbook", "test", "p", "--junit", "r.xml").status == 2)
        #expect(try String(contentsOfFile: place.folder.path + "/r.xml", encoding: .utf8).contains("<testcase name=\"P003\" classname=\"p/p.yaml\""))
    }
}
