import RiposteCore
import Testing

@testable import RiposteOutputs

/// What a message looks like to a dashboard, and in a template.
struct MessageTests {
    private static let hostile = shell(commandLine: Array("sh -c \"id\"\n<b>{{ proc.name }}\u{1B}[31m".utf8) + [0xFF])
    private static let legible = shell(commandLine: Array("sh -c \"id\"\n<b>{{ proc.name }}\u{1B}[31mé\u{7F}".utf8))

    private static func shell(commandLine: [UInt8]) -> AuditRecord {
        Samples.alert("Shell \"x\"", tags: ["b", "a"], fields: ["proc.cmdline": .string(ByteText(commandLine)), "proc.pid": 4711], output: "line\r\nX: 1")
    }

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

    private static func alert(_ changes: JSONObject, without key: ByteText? = nil) -> AuditRecord {
        var record = legible
        var document = record.detail["alert"]?.object ?? JSONObject()
        for change in changes.members { document[change.key] = change.value }
        if let key { document[key] = nil }
        record.detail["alert"] = .object(document)
        return record
    }

    private static var inBase64: AuditRecord {
        var record = Samples.alert("r")
        let document = record.detail["alert"]?.bytes ?? []
        record.detail["alert"] = nil
        record.detail["alert_base64"] = .text(document.base64)
        return record
    }

    /// Of most alerts put together from the line's pieces.
    @Test(
        "an alert's payload is the same, however its line is spelled",
        arguments: [
            ("hostile", hostile), ("legible", legible), ("plain", Samples.alert("r")), ("no alert", Samples.notify(to: ["a"], "m")),
            ("more members", alert(["cluster\"": ["a": 1], "uuid": "x"])),
            ("an old source", alert(["source": "syscalls"])), ("no source", alert([:], without: "source")), ("no tags", alert(["tags": []])),
            ("tags that are none", alert(["tags": [1, "b", nil]])), ("no output", alert([:], without: "output")), ("an output that is none", alert(["output": 7])),
            ("no hostname", alert(["hostname": nil])), ("no fields", alert(["output_fields": nil])), ("a priority in capitals", alert(["priority": "CRITICAL"])),
            ("a time of another zone", alert(["time": "2026-03-04T12:22:33+01:00"])), ("a time in the fields", alert(["output_fields": ["evt.time": 1]], without: "time")),
            ("bytes that are no text", inBase64),
        ])
    func bytes(_ name: String, _ record: AuditRecord) throws {
        let message = Samples.message(record)
        #expect(message.alert != nil || record.kind != .alert)
        let line = JSON.object(message.falcosidekickPayload).line
        #expect(String(decoding: message.payloadBytes, as: UTF8.self) == line)
        // One that nobody wrote but somebody who meddled: it is read as any JSON is.
        let hash = OutputMessage.digest(of: "record 1")
        let spelled = String(decoding: Samples.line(1, hash, record), as: UTF8.self).replacing("{\"seq\":1,", with: "{ \"seq\": 1,")
        let other = try #require(SpoolLine(Array(spelled.utf8)))
        #expect(other.seq == 1 && other.hash == hash && other.time == record.time && other.bytes == spelled.utf8.count + 1)
        if case .alert(let alert) = other.content {
            let same = OutputMessage(seq: 1, hash: hash, time: record.time, host: "agent-1", content: .alert(alert))
            #expect(String(decoding: same.payloadBytes, as: UTF8.self) == line)
        }
    }

    @Test("keys that are no text and are written alike stand once, at every depth")
    func keysThatBecomeOne() throws {
        let head = Array(#"{"rule":"r","priority":"Info","time":"2026-01-01T00:00:00Z","output_fields":{"a":1,""#.utf8)
        let (pair, tail) = ([0xFF] + Array(#"":2,""#.utf8) + [0xFE] + Array(#"":3"#.utf8), Array(#"},"x":[{""#.utf8))
        var record = Samples.alert("r")
        record.detail["alert"] = nil
        record.detail["alert_base64"] = .text((head + pair + tail + pair + Array("}]}".utf8)).base64)
        let payload = try JSON(parsing: Samples.message(record).payloadBytes)
        #expect(payload["output_fields"] == ["a": 1, "\u{FFFD}": 2] && payload["x"] == [["\u{FFFD}": 2]])
    }

    @Test("a line whose hash is none is no record: it would go into payloads as it is", arguments: ["", "a\",\"x\":\"", "A0", "é"])
    func hashes(_ hash: String) {
        let record = Samples.alert("r")
        #expect(SpoolLine(Samples.line(1, "0a", record)) != nil)
        #expect(SpoolLine(Samples.line(1, hash, record)) == nil)
    }

    @Test("of an alert as most are the line is not taken apart", arguments: [legible, Samples.alert("r")])
    func pieces(_ record: AuditRecord) throws {
        guard case .alert(let alert)? = SpoolLine(Samples.line(1, "a", record))?.content else {
            Issue.record("it is no alert")
            return
        }
        #expect(alert.payload(uuid: "u", host: "h") != nil)
    }

    @Test(
        "a line that is no record is passed over",
        arguments: [
            "", "x", "{}", #"{"seq":1}"#, #"{"seq":1,"kind":"alert","ts":"2026-03-04T11:22:33Z"}"#, #"{"seq":1,"kind":"nonsense","ts":"2026-03-04T11:22:33Z","hash":"a"}"#,
            #"{"seq":1,"kind":"alert","ts":"yesterday","hash":"a"}"#, #"{"seq":1,"kind":"stop","kind":"stop","ts":"2026-03-04T11:22:33Z","hash":"a"}"#,
        ])
    func noRecord(_ line: String) { #expect(SpoolLine(Array(line.utf8)) == nil) }

    /// It is in the journal, and told of where somebody asks for records of this kind.
    @Test func anAdmissionOfWhatIsNoAlertIsARecord() throws {
        let record = Self.alert([:], without: "rule")
        let line = try #require(SpoolLine(Samples.line(1, "a", record)))
        if case .record(let same) = line.content { #expect(same == record) } else { Issue.record("\(line.content)") }
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
