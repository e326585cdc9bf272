import RiposteCore
import Testing

@testable import RiposteOutputs

/// What a message looks like to a dashboard, and in a template.
struct MessageTests {
    private static let hostile = Samples.alert(
        "Shell \"x\"", tags: ["b", "a"], fields: ["proc.cmdline": .string(ByteText(Array("sh -c \"id\"\n<b>{{ proc.name }}\u{1B}[31m".utf8) + [0xFF])), "proc.pid": 4711],
        output: "line\r\nX: 1")

    @Test func anAlertIsFalcosidekicksPayload() {
        let payload = Samples.message(Samples.alert("Shell", "info", tags: ["b", "a"], fields: ["proc.pid": 4711])).falcosidekickPayload
        #expect(payload.members.map(\.key) == ["uuid", "output", "priority", "rule", "time", "output_fields", "source", "tags", "hostname"])
        #expect(payload["priority"] == "Informational")
        #expect(payload["tags"] == ["a", "b"])
        #expect(payload["output_fields"]?["proc.pid"] == 4711)
        #expect(payload["hostname"] == "node-7")
    }

    @Test func whatElseAnAlertHadIsKept() throws {
        var record = Samples.alert("Shell")
        var document = try #require(record.detail["alert"]?.object)
        document.append("cluster", "prod-1")
        record.detail["alert"] = .object(document)
        #expect(Samples.message(record).falcosidekickPayload["cluster"] == "prod-1")
    }

    @Test("an alert's payload is written without the object, and is the same")
    func bytes() throws {
        var record = Self.hostile
        var document = try #require(record.detail["alert"]?.object)
        document.append("cluster\"", ["a": 1])
        record.detail["alert"] = .object(document)
        for record in [record, Samples.alert("r"), Samples.notify(to: ["a"], "m")] {
            let message = Samples.message(record)
            #expect(String(decoding: message.payloadBytes, as: UTF8.self) == JSON.object(message.falcosidekickPayload).line)
        }
    }

    @Test func theUUIDIsTheSameEachTime() {
        let (first, second) = (Samples.message(1, Self.hostile), Samples.message(1, Self.hostile))
        #expect(first.uuid == second.uuid && first.uuid != Samples.message(2, Self.hostile).uuid)
        #expect(first.uuid.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/) != nil)
    }

    @Test func anAuditRecordHasThePayloadAndItsOwnMembers() {
        var record = AuditRecord(.outcome, at: Samples.time, id: .new())
        record.action = "process.kill"
        record.outcome = .failed
        record.message = "no such process"
        let payload = Samples.message(9, record).falcosidekickPayload
        #expect(payload["rule"] == "Riposte process.kill failed")
        #expect(payload["priority"] == "Error")
        #expect(payload["output"] == "process.kill failed: no such process")
        #expect(payload["output_fields"]?["riposte.outcome"] == "failed")
        #expect(payload["riposte"]?["seq"] == 9)
        #expect(payload["riposte"]?["kind"] == "outcome")
    }

    @Test(arguments: [
        (TextFormat.jsonString, #"{"c":"{{ proc.cmdline }}","p":"{{proc.pid}}"}"#, #"{"c":"sh -c \"id\"\n<b>{{ proc.name }}\u001b[31m"# + "\u{FFFD}" + #"","p":"4711"}"#),
        (.html, "<p>{{ proc.cmdline }}</p>", "<p>sh -c &quot;id&quot;\n&lt;b&gt;{{ proc.name }}\\x1b[31m\\xff</p>"),
        (.line, "{{ message.title }}: {{ message.text }}", #"Shell "x": line\r\nX: 1"#),
        (.line, "{{ k8s.pod.name }} {{ record.outcome }}", "<NA> <NA>"),
        (.urlQuery, "q={{ message.title }}", "q=Shell%20%22x%22"),
    ])
    func templates(_ format: TextFormat, _ text: String, _ result: String) throws {
        #expect(try MessageTemplate(text, for: format, Samples.language).text(for: Samples.message(Self.hostile)) == result)
    }

    @Test func aFieldThatIsNoneIsNamed() {
        #expect(throws: OutputLanguage.Problem("there is no field \"message.titel\"", suggestion: "message.title", offset: 5)) {
            try MessageTemplate("a {{ message.titel }}", for: .line, Samples.language)
        }
    }
}
