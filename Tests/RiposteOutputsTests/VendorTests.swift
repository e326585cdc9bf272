import Foundation
import RiposteCore
import RiposteTestSupport
import RiposteTransport
import Synchronization
import Testing

@testable import RiposteOutputs

/// Every receiver gets what its vendor documents, whatever is told, and whoever wrote it.
struct VendorTests {
    /// One of each kind of message. Names end the tests' output.
    private static let messages: [(name: String, message: OutputMessage)] = [
        (
            "alert",
            Samples.message(
                Samples.alert(
                    "Shell spawned by web server", tags: ["T1059", "container"],
                    fields: ["proc.name": "sh", "proc.pid": 4711, "fd.ok": true, "evt.res": nil, "evt.ratio": .number("0.5"), "proc.args": ["-c", "id"]], output: "sh was started"))
        ), ("response", Samples.message(2, response)), ("start", Samples.message(3, AuditRecord(.start, at: Samples.time, detail: ["version": "1.0"]))),
        ("notice", notice(Notice(title: "contain: pod stopped", text: "Approve:\n  riposte approvals approve 01J", priority: .critical, record: response))),
        (
            "burst",
            notice(
                Notice(
                    title: "Shell: 41 more", text: "41 more from …\nrule: Shell", priority: .warning,
                    summary: .init(key: [("rule", "Shell"), ("container.id", "3f0c")], count: 41, first: Samples.time, last: Samples.time, examples: ["sh was started"])))
        ), ("test", OutputMessage.test(host: "agent-1", at: Samples.time)),
    ]

    private static let response: AuditRecord = {
        var record = AuditRecord(.outcome, at: Samples.time, id: .new(at: Samples.time))
        record.action = "process.kill"
        record.outcome = .failed
        record.playbook = "contain"
        record.message = "signal 9 to pid 4711: no such process"
        return record
    }()

    private static func notice(_ notice: Notice) -> OutputMessage {
        OutputMessage(seq: 9, hash: OutputMessage.digest(of: notice.title), time: Samples.time, host: "agent-1", content: .notice(notice))
    }

    @Test(arguments: Vendor.all)
    func takesAlertsRecordsAndNotices(_ vendor: Vendor) async throws {
        let server = try await LoopbackServer { vendor.reply(to: $0) }
        let destination = try vendor.destination(server.port)
        for (name, message) in Self.messages {
            #expect(await destination.deliver([message]).fates == [.delivered], "\(name)")
            let texts = try #require(server.requests.last.map { vendor.documents(in: $0).flatMap(\.texts) }).joined(separator: "\n").replacing("\u{2060}", with: "").replacing(
                "\\", with: "")
            // Whatever the form, what happened is in it.
            let words = [
                "alert": "sh was started", "response": "no such process", "start": "start", "notice": "riposte approvals approve 01J", "burst": "41 more", "test": "test message",
            ]
            #expect(texts.contains(try #require(words[name])), "\(name): \(texts)")
        }
        #expect(!destination.place.contains("hunter2"))
    }

    @Test(arguments: Vendor.all)
    func takesSeveralAtOnce(_ vendor: Vendor) async throws {
        let server = try await LoopbackServer { vendor.reply(to: $0) }
        let destination = try vendor.destination(server.port)
        let batch = Self.messages.map(\.message)
        #expect(await destination.deliver(batch).fates == Array(repeating: .delivered, count: batch.count))
        #expect(server.requests.count == (destination.limits.count == 1 ? batch.count : 1))
    }

    /// The key of a message is the same at each try, so that it counts once.
    @Test(arguments: [("elasticsearch", "create", "_id"), ("pagerduty", "dedup_key", ""), ("opsgenie", "alias", ""), ("kubernetes", "metadata", "name")])
    func theKeyStays(_ kind: String, _ first: String, _ second: String) async throws {
        let vendor = try Vendor.named(kind)
        let server = try await LoopbackServer { vendor.reply(to: $0) }
        let destination = try vendor.destination(server.port)
        let message = Self.messages[0].message
        for _ in 1...2 { _ = await destination.deliver([message]) }
        let keys = server.requests.map { request -> JSON? in
            let value = vendor.documents(in: request).first?[ByteText(first)]
            return second.isEmpty ? value : value?[ByteText(second)]
        }
        #expect(keys.count == 2 && keys[0] != nil && keys[0] == keys[1])
    }

    // MARK: - Hostile values

    private static let hostile =
        #"<!channel> <https://e.example|x> @everyone @channel <users/all> *b* _i_ `c` [l](javascript:1) <script>alert(1)</script> & {{ proc.name }} {{ .Labels }}"#
    private static let evil = hostile + "\r\nX-Admin: 1\n\u{1B}[31mred\u{7}\u{202E}\u{0}" + #"","admin":true,"x":"\"#

    /// What may not be found in any text of a body, by kind: marks that the service would follow.
    private static let marks: [String: [String]] = [
        "slack": ["<!channel>", "<https:", "@everyone", "@channel", "*b*", "_i_", "`c`", "<script>", "& {"],
        "discord": ["<https:", "*b*", "_i_", "`c`", "[l](", "@everyone", "<script>"], "telegram": ["@everyone", "@channel"],
        "googlechat": ["<script>", "<users/all>", "<https:"], "opsgenie": ["<script>"],
    ]

    /// Services that store data get the value as it is: their JSON is theirs to show. All others show it to people at once.
    private static let stores: Set<String> = ["elasticsearch", "splunk", "loki", "otlp"]

    @Test(arguments: Vendor.all)
    func hostileValuesArriveAsText(_ vendor: Vendor) async throws {
        let server = try await LoopbackServer { vendor.reply(to: $0) }
        let destination = try vendor.destination(server.port)
        let alert = Samples.alert(
            Self.evil, tags: [Self.evil],
            fields: ["proc.cmdline": .text(Self.evil), ByteText(Self.evil): .text(Self.evil), "k8s.ns.name": "../../secrets", "k8s.pod.name": .text(Self.evil)],
            output: Self.evil)
        var record = AuditRecord(.outcome, at: Samples.time)
        (record.action, record.outcome, record.message, record.playbook) = ("process.kill", .failed, Self.evil, Self.evil)
        for message in [Samples.message(alert), Samples.message(2, record), Self.notice(Notice(title: Self.evil, text: Self.evil))] {
            // The double refuses any other path, header or shape.
            #expect(await destination.deliver([message]).fates == [.delivered])
            let request = try #require(server.requests.last)
            #expect(request.headers["x-admin"] == nil)
            let documents = vendor.documents(in: request)
            let texts = documents.flatMap(\.texts)
            #expect(texts.contains { $0.contains("proc.name") && $0.contains("{{") || $0.contains(#"\{\{"#) }, "a template is not read a second time")
            for mark in Self.marks[vendor.kind] ?? [] { #expect(!texts.contains { Self.isShown($0, by: vendor.kind) && $0.contains(mark) }, "\(mark)") }
            guard !Self.stores.contains(vendor.kind) else { continue }
            let signs = texts.flatMap(\.unicodeScalars).filter { $0.value < 0x20 && $0 != "\n" || $0 == "\u{202E}" }
            #expect(signs.isEmpty, "\(signs)")
        }
    }

    /// A card's title is plain text to Google.
    private static func isShown(_ text: String, by kind: String) -> Bool { kind != "googlechat" || text.contains("&lt;") || !text.hasPrefix("<!channel>") }

    /// A cut is never in the middle of an escape, and nothing is too long for anybody.
    @Test(arguments: Vendor.all)
    func longValuesAreCut(_ vendor: Vendor) async throws {
        let server = try await LoopbackServer { vendor.reply(to: $0) }
        let destination = try vendor.destination(server.port)
        let long = String(repeating: "<&@*é👩‍👩‍👧\n", count: 4000)
        let fields = JSONObject((0..<150).map { .init(key: ByteText("field.\($0)"), value: .text(long)) })
        let alert = Samples.alert(long, tags: [long], fields: Self.stores.contains(vendor.kind) ? ["f": .text(long)] : JSONObject(Array(fields.members.prefix(10))), output: long)
        #expect(await destination.deliver([Samples.message(alert)]).fates == [.delivered])
        let many = Samples.alert("r", fields: JSONObject(fields.members.map { .init(key: $0.key, value: "v") }), output: "o")
        #expect(await destination.deliver([Samples.message(many)]).fates == [.delivered])
        if vendor.kind == "teams" { #expect(server.requests.allSatisfy { $0.body.count <= 28 << 10 }) }
        if vendor.kind == "pagerduty" { #expect(server.requests.allSatisfy { $0.body.count <= 512_000 }) }
        if vendor.kind == "googlechat" { #expect(server.requests.allSatisfy { $0.body.count <= 32000 }) }
        if vendor.kind == "discord" {
            for request in server.requests {
                let embed = try #require(JSON(parsing: request.body)["embeds"]?.array?.first)
                #expect(embed.texts.map(\.utf16.count).reduce(0, +) <= 6000)
            }
        }
    }
}

/// What a cut does to a text.
struct TextLimitTests {
    private static let cases: [(TextFormat, String, Int, String)] = [
        (TextFormat.html, "a<b", 6, "a&lt;b"), (.html, "a<b", 5, "a…"), (.slack, "<<<", 9, "&lt;&lt;…"), (.line, "abc", 3, "abc"), (.line, "abcd", 3, "ab…"),
        (.line, "👩‍👩‍👧👩‍👩‍👧", 3, "👩…"),
        (.plain, "a\nb\nc", 4, "a\nb…"), (.markdown, "****", 5, #"\*\*…"#),
    ]

    @Test(arguments: cases)
    func cuts(_ format: TextFormat, _ text: String, _ limit: Int, _ cut: String) { #expect(format.escaped(ByteText(text), atMost: limit) == cut) }

    @Test func bytesThatAreNoTextAreCutToo() { #expect(TextFormat.line.escaped(ByteText([0xFF, 0xFF, 0xFF]), atMost: 6) == #"\xff\…"#) }

    @Test func anUnendingCharacterIsCut() { #expect(("a" + String(repeating: "\u{301}", count: 1000)).cut(to: 10).utf16.count == 10) }
}
