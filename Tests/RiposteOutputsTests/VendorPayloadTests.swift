import Foundation
import RiposteCore
import RiposteTestSupport
import RiposteTransport
import Testing

@testable import RiposteOutputs

/// Bodies as they stand in the vendors' and falcosidekick's documentation, written out.
struct VendorPayloadTests {
    private let alert = Samples.alert(
        "Shell spawned by web server", tags: ["T1059", "container"], fields: ["proc.name": "sh", "fd.num": 3, "proc.cmdline": .text(String(repeating: "x", count: 36))],
        output: "sh <was> started")

    private func requests(_ kind: String, _ keys: [(String, SettingsValue)], _ records: [AuditRecord]) async throws -> [LoopbackServer.Request] {
        let server = try await LoopbackServer { _ in .init(200, "{}") }
        let vendor = try Vendor.named(kind)
        let messages = records.enumerated().map { Samples.message(Int64($0 + 1), $1) }
        _ = try await vendor.destination(server.port, keys).deliver(messages)
        return server.requests
    }

    private func body(_ kind: String, _ keys: [(String, SettingsValue)] = [], _ records: AuditRecord...) async throws -> JSON {
        let request = try #require(try await requests(kind, keys, records).first)
        return try JSON(parsing: request.body)
    }

    @Test func slackHasFalcosidekicksFieldsInOrder() async throws {
        let body = try await body("slack", [("footer", "https://riposte.example"), ("channel", "#sec"), ("text", "*{{ message.title }}*")], alert)
        let command = String(repeating: "x", count: 36)
        let fields: [JSON] = [
            ["title": "rule", "value": "Shell spawned by web server", "short": true], ["title": "priority", "value": "Warning", "short": true],
            ["title": "source", "value": "syscall", "short": true], ["title": "hostname", "value": "node-7", "short": true],
            ["title": "tags", "value": "T1059, container", "short": true], ["title": "fd.num", "value": "3", "short": true],
            ["title": "proc.cmdline", "value": .text(command), "short": false], ["title": "proc.name", "value": "sh", "short": true],
            ["title": "time", "value": "2026-03-04T11:22:33.123456789Z", "short": false],
        ]
        let text: JSON = "sh &lt;was&gt; started"
        let attachment: JSON = ["fallback": text, "color": "#ffc700", "text": text, "fields": .array(fields), "footer": "https://riposte.example"]
        #expect(body == ["text": "*Shell spawned by web server*", "username": "Riposte", "channel": "#sec", "attachments": [attachment]])
    }

    @Test(arguments: [
        ("Emergency", "#e20b0b"), ("Error", "#e20b0b"), ("Alert", "#ff5400"), ("Critical", "#ff5400"), ("Warning", "#ffc700"), ("Notice", "#5bffb5"), ("Informational", "#68c2ff"),
        ("Debug", "#ccfff2"),
    ])
    func colors(_ priority: String, _ color: JSON) async throws {
        #expect(try await body("slack", [], Samples.alert("r", priority))["attachments"]?.array?.first?["color"] == color)
    }

    @Test func mattermostReadsMarkdown() async throws {
        let body = try await body("slack", [("flavor", "mattermost")], Samples.alert("r", output: "@channel [x](javascript:1) *b*"))
        #expect(body["attachments"]?.array?.first?["text"] == .text("\\@\u{2060}channel \\[x\\]\\(javascript\\:1\\) \\*b\\*"))
    }

    private static let indices: [(keys: [(String, SettingsValue)], action: String)] = [
        ([("index", "sec"), ("suffix", "monthly")], #"{"create":{"_index":"sec-2026.03","_id":"UUID"}}"#),
        ([("suffix", "none")], #"{"create":{"_index":"falco","_id":"UUID"}}"#),
        ([("data_stream", "logs-falco-default")], #"{"create":{"_index":"logs-falco-default","_id":"UUID"}}"#),
    ]

    @Test(arguments: indices)
    func elasticsearchNamesAnIndex(_ keys: [(String, SettingsValue)], _ action: String) async throws {
        let request = try #require(try await requests("elasticsearch", keys, [alert]).first)
        #expect(String(decoding: request.body, as: UTF8.self).hasPrefix(action.replacing("UUID", with: Samples.message(alert).uuid) + "\n"))
    }

    @Test func elasticsearchsIndexIsOfTheDayOnWhichAnAlertCame() async throws {
        var late = alert
        var document = try #require(late.detail["alert"]?.object)
        document["time"] = "2199-12-31T00:00:00Z"
        late.detail["alert"] = .object(document)
        let lines = try #require(try await requests("elasticsearch", [], [late]).first).body.split(separator: 10)
        #expect(try JSON(parsing: lines[0])["create"]?["_index"] == "falco-2026.03.04")
        #expect(try JSON(parsing: lines[1])["@timestamp"] == "2199-12-31T00:00:00.000000000Z")
    }

    @Test func elasticsearchFieldsAreFlattenedAndPiped() async throws {
        let request = try #require(try await requests("elasticsearch", [("flatten_fields", "true"), ("pipeline", "geoip")], [alert]).first)
        #expect(request.path.hasSuffix("&pipeline=geoip"))
        let document = try JSON(parsing: request.body.split(separator: 10)[1])
        #expect(document["output_fields"]?["proc_name"] == "sh" && document["output_fields"]?["proc.name"] == nil)
        #expect(document["@timestamp"] == "2026-03-04T11:22:33.123456789Z")
    }

    @Test func splunkHasTimeHostAndFields() async throws {
        let body = try await body("splunk", [], alert)
        #expect(body["time"] == .number("1772623353.123") && body["host"] == "node-7" && body["event"] == .object(Samples.message(alert).falcosidekickPayload))
        #expect(body["fields"]?["rule"] == "Shell spawned by web server" && body["fields"]?["kind"] == "alert")
    }

    /// Equal labels are one stream; what differs is beside the line.
    @Test func lokiHasFewStreams() async throws {
        let records = [alert, Samples.alert("other"), Samples.alert("Shell spawned by web server", fields: ["proc.pid": 2])]
        let request = try #require(try await requests("loki", [("line", "text")], records).first)
        let streams = try #require(JSON(parsing: request.body)["streams"]?.array)
        #expect(streams.map { $0["values"]?.array?.count } == [2, 1])
        #expect(streams[0]["stream"] == ["rule": "Shell spawned by web server", "source": "syscall", "priority": "Warning", "hostname": "node-7", "env": "prod"])
        let entry = try #require(streams[0]["values"]?.array?.first?.array)
        #expect(
            entry[0] == "1772623353123456789" && entry[1] == "sh <was> started" && entry[2]["proc_name"] == "sh" && entry[2]["fd_num"] == "3"
                && entry[2]["tags"] == "T1059, container")
    }

    @Test func otlpKeepsKindsOfValues() async throws {
        let fields: JSONObject = ["a": true, "b": 9_007_199_254_740_993, "c": .number("0.5"), "d": ["x", 1], "e": ["f": "g"], "h": .number("1e999")]
        let body = try await body("otlp", [("resource", ["service.namespace": "prod"])], Samples.alert("r", "Emergency", fields: fields))
        let logs = try #require(body["resourceLogs"]?.array?.first)
        let resource: [JSON] = [
            ["key": "service.name", "value": ["stringValue": "riposte"]], ["key": "host.name", "value": ["stringValue": "agent-1"]],
            ["key": "service.namespace", "value": ["stringValue": "prod"]],
        ]
        #expect(logs["resource"]?["attributes"] == .array(resource))
        let record = try #require(logs["scopeLogs"]?.array?.first?["logRecords"]?.array?.first)
        #expect(record["severityNumber"] == 21 && record["timeUnixNano"] == "1772623353123456789" && record["body"] == ["stringValue": "o"])
        let attributes = record["attributes"]?.array ?? []
        func value(_ key: JSON) -> JSON? { attributes.first { $0["key"] == key }?["value"] }
        #expect(value("a") == ["boolValue": true] && value("b") == ["intValue": "9007199254740993"] && value("c") == ["doubleValue": .number("0.5")])
        #expect(value("d") == ["arrayValue": ["values": [["stringValue": "x"], ["intValue": "1"]]]])
        #expect(value("e") == ["kvlistValue": ["values": [["key": "f", "value": ["stringValue": "g"]]]]] && value("h") == ["stringValue": "1e999"])
    }

    /// Whoever sends alerts may have any clock; what is said to begin in two hundred years would never end.
    @Test(arguments: [("2199-12-31T00:00:00Z", "2026-03-04T11:22:33.123456789Z"), ("2026-03-04T11:00:00Z", "2026-03-04T11:00:00.000000000Z")])
    func alertmanagerAlertsEnd(_ time: String, _ begins: String) async throws {
        var sent = alert
        var document = try #require(sent.detail["alert"]?.object)
        document["time"] = .text(time)
        sent.detail["alert"] = .object(document)
        let request = try #require(try await requests("alertmanager", [], [sent]).first)
        let body = try JSON(parsing: request.body).array?.first
        #expect(body?["startsAt"] == .text(begins) && body?["endsAt"] == "2026-03-04T11:32:33.123456789Z", "\(body.debugDescription)")
    }

    /// The names of falcosidekick's `details`.
    @Test func opsgenieDetailsAreInPlace() async throws {
        let body = try await requests("opsgenie", [], [Samples.alert("Shell", tags: ["b", "a"], fields: ["proc.name": "sh", "proc.pid": 4])]).map { try JSON(parsing: $0.body) }
        let details = try #require(body.first?["details"])
        for (name, value) in [("rule", "Shell"), ("priority", "Warning"), ("source", "syscall"), ("hostname", "node-7"), ("proc_name", "sh"), ("proc_pid", "4")] {
            #expect(details[ByteText(name)]?.string?.repaired == value, "\(name)")
        }
        #expect(details["tags"]?.string?.repaired.contains("a") == true)
    }

    @Test(arguments: [("pagerduty", "dedup_key"), ("opsgenie", "alias")])
    func theSameTroubleIsOneIncident(_ kind: String, _ key: String) async throws {
        let again = Samples.alert("Shell", fields: ["container.id": "3f0c", "proc.pid": 2])
        let other = Samples.alert("Shell", fields: ["container.id": "77de", "proc.pid": 1])
        let keys = try await requests(kind, [], [Samples.alert("Shell", fields: ["container.id": "3f0c", "proc.pid": 1]), again, other]).map {
            try JSON(parsing: $0.body)[ByteText(key)]
        }
        #expect(keys.count == 3 && keys[0] == keys[1] && keys[0] != keys[2])
    }
}
