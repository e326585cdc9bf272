import Foundation
import RiposteCore
import RiposteTestSupport
import RiposteTransport
import Testing

@testable import RiposteOutputs

/// A receiver as its vendor documents it: what it takes, and what it says then.
struct Vendor: Sendable, CustomTestStringConvertible {
    enum Encoding: Sendable { case json, lines }

    var kind: String
    /// Beside `url`.
    var keys: [(String, SettingsValue)] = []
    var path: String
    /// What is put behind the URL that we are given.
    var query = ""
    var headers: [String: String] = ["content-type": "application/json; charset=utf-8"]
    var encoding = Encoding.json
    /// Of the whole body; of lines, of each by its place.
    var shape: @Sendable (Int) -> Shape
    /// Once it is well formed.
    var answer: @Sendable (Int) -> LoopbackServer.Answer

    var testDescription: String { kind }

    /// Its own words where a request is wrong: the test sees them in the fate.
    func reply(to request: LoopbackServer.Request) -> LoopbackServer.Answer {
        let problems = problems(of: request)
        return problems.isEmpty ? answer(documents(in: request).count) : .init(400, problems.joined(separator: "; "))
    }

    private func problems(of request: LoopbackServer.Request) -> [String] {
        var problems: [String] = []
        if request.method != "POST" || request.path != path + query { problems.append("\(request.method) \(request.path), expected POST \(path + query)") }
        for (name, value) in headers where request.headers[name] != value { problems.append("\(name) is \(request.headers[name] ?? "not there"), expected \(value)") }
        let documents = documents(in: request)
        if documents.isEmpty { problems.append("the body is not JSON: \(String(decoding: request.body.prefix(200), as: UTF8.self))") }
        return problems + documents.enumerated().flatMap { shape($0).problems(of: $1, at: "$\($0)") }
    }

    /// All of the body, or nothing where a part of it is no JSON.
    func documents(in request: LoopbackServer.Request) -> [JSON] {
        guard encoding == .lines else { return (try? JSON(parsing: request.body)).map { [$0] } ?? [] }
        guard request.body.last == UInt8(ascii: "\n") else { return [] }
        let lines = request.body.dropLast().split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let documents = lines.compactMap { try? JSON(parsing: Array($0)) }
        return documents.count == lines.count ? documents : []
    }

    /// The destination as a person would write it.
    func destination(_ port: Int, _ more: [(String, SettingsValue)] = []) throws -> any Destination {
        let url = ("url", SettingsValue(.scalar("http://127.0.0.1:\(port)" + (isWebhook ? path : ""), isPlain: true)))
        let members = ([url] + keys + more).map { SettingsValue.Member(key: $0.0, value: $0.1) }
        let settings = Samples.settings(.init(.mapping(members)))
        let type = try #require(DestinationKinds.kind(kind))
        let destination = type.init(settings: settings, context: Samples.context())
        #expect(settings.problems() == [])
        return try #require(destination)
    }

    /// The whole URL is given to us.
    private var isWebhook: Bool { ["slack", "discord", "teams", "googlechat"].contains(kind) }

    // MARK: - The vendors

    static func named(_ kind: String) throws -> Vendor { try #require(all.first { $0.kind == kind }) }

    static let all: [Vendor] = [
        slack, discord, teams, googleChat, pagerDuty, opsgenie, telegram, elasticsearch, splunk, loki, alertmanager, otlp, kubernetes,
    ]

    private static let priorities = Shape.oneOf(Priority.allCases.map(\.name))
    private static let time = Shape.matching("RFC 3339 time") { Timestamp($0) != nil }
    private static let uuid = Shape.matching("a UUID") { UUID(uuidString: $0) != nil }

    /// falcosidekick's payload, and what we say more.
    private static let payload: [String: Shape] = [
        "uuid": uuid, "output": .text(.max), "priority": priorities, "rule": .text(.max), "time": time, "output_fields": .map(.any), "source": .text(.max), "hostname": .text(.max),
    ]

    private static let slack = Vendor(
        kind: "slack", path: "/services/T0/B0/hunter2",
        shape: { _ in
            let field = Shape.object(["title": .text(300), "value": .text(2000), "short": .bool])
            let color = Shape.matching("a colour") { $0.wholeMatch(of: /#[0-9a-f]{6}/) != nil }
            let attachment = Shape.object(["fallback": .text(8000), "color": color, "text": .text(8000), "fields": .list(field, 4...100)], optional: ["footer": .text(300)])
            return .object(["username": .text(80), "attachments": .list(attachment, 1...1)], optional: ["text": .text(40000), "icon_url": .line, "channel": .line])
        }, answer: { _ in .init(200, "ok", headers: ["content-type": "text/html"]) })

    private static let discord = Vendor(
        kind: "discord", path: "/api/webhooks/1/hunter2", query: "?wait=true",
        shape: { _ in
            let field = Shape.object(["name": .text(256), "value": .text(1024), "inline": .bool])
            let embed = Shape.object([
                "title": .text(256), "description": .text(4096), "color": .integer(0...0xFF_FFFF), "timestamp": time, "fields": .list(field, 1...25),
            ])
            return .object(
                ["username": .text(80), "allowed_mentions": .object(["parse": .list(.any, 0...0)]), "embeds": .list(embed, 1...10)], optional: ["avatar_url": .line])
        }, answer: { _ in .init(200, #"{"id":"1","type":0,"channel_id":"2","webhook_id":"1","content":"","embeds":[]}"#) })

    private static let teams = Vendor(
        kind: "teams", path: "/workflows/hunter2/triggers/manual/paths/invoke?api-version=2016-06-01&sig=abc",
        shape: { _ in
            let run = Shape.object(
                ["type": .oneOf(["TextRun"]), "text": .line],
                optional: ["weight": .oneOf(["Bolder"]), "size": .oneOf(["Medium"]), "color": .oneOf(["Attention", "Warning", "Accent"]), "isSubtle": .bool])
            let block = Shape.object(["type": .oneOf(["RichTextBlock"]), "spacing": .oneOf(["Default", "None"]), "inlines": .list(run, 1...2)])
            let card = Shape.object([
                "$schema": .oneOf(["http://adaptivecards.io/schemas/adaptive-card.json"]), "type": .oneOf(["AdaptiveCard"]), "version": .oneOf(["1.4"]),
                "msteams": .object(["width": .oneOf(["Full"])]), "body": .list(block, 1...200),
            ])
            let attachment = Shape.object(["contentType": .oneOf(["application/vnd.microsoft.card.adaptive"]), "contentUrl": .null, "content": card])
            return .object(["type": .oneOf(["message"]), "attachments": .list(attachment, 1...1)])
        }, answer: { _ in .init(202, "") })

    private static let googleChat = Vendor(
        kind: "googlechat", path: "/v1/spaces/S/messages?key=k&token=hunter2",
        shape: { _ in
            let widget = Shape.object(
                [:], optional: ["textParagraph": .object(["text": .text(4096)]), "decoratedText": .object(["topLabel": .text(200), "text": .text(600), "wrapText": .bool])])
            let card = Shape.object([
                "header": .object(["title": .line, "subtitle": priorities]), "sections": .list(.object(["widgets": .list(widget, 1...100)]), 1...1),
            ])
            return .object(["cardsV2": .list(.object(["cardId": uuid, "card": card]), 1...1)])
        }, answer: { _ in .init(200, #"{"name":"spaces/S/messages/M"}"#) })

    private static let pagerDuty = Vendor(
        kind: "pagerduty", keys: [("routing_key", "0123456789abcdef0123456789abcdef")], path: "/v2/enqueue",
        shape: { _ in
            let payload = Shape.object([
                "summary": .text(1024), "source": .line, "severity": .oneOf(["critical", "error", "warning", "info"]), "timestamp": time, "component": .line, "class": .line,
                "custom_details": .map(.text(8000)),
            ])
            return .object([
                "routing_key": .oneOf(["0123456789abcdef0123456789abcdef"]), "event_action": .oneOf(["trigger"]), "dedup_key": .text(255), "client": .line, "payload": payload,
            ])
        }, answer: { _ in .init(202, #"{"status":"success","message":"Event processed","dedup_key":"k"}"#) })

    private static let opsgenie = Vendor(
        kind: "opsgenie", keys: [("api_key", "hunter2"), ("teams", ["on-call"])], path: "/v2/alerts",
        headers: ["content-type": "application/json; charset=utf-8", "authorization": "GenieKey hunter2"],
        shape: { _ in
            .object(
                [
                    "message": .text(130), "alias": .text(512), "description": .text(15000), "priority": .oneOf(["P1", "P2", "P3", "P4", "P5"]), "source": .text(100),
                    "entity": .text(512), "details": .map(.text(8000)), "responders": .list(.object(["type": .oneOf(["team"]), "name": .line]), 1...50),
                ], optional: ["tags": .list(.text(50), 1...20)])
        }, answer: { _ in .init(202, #"{"result":"Request will be processed","took":0.3,"requestId":"r"}"#) })

    private static let telegram = Vendor(
        kind: "telegram", keys: [("token", "123456:ABC-hunter2"), ("chat", "-1001")], path: "/bot123456:ABC-hunter2/sendMessage",
        shape: { _ in
            let bold = Shape.object(["type": .oneOf(["bold"]), "offset": .integer(0...0), "length": .integer(1...4096)])
            return .object([
                "chat_id": .integer(-1001 ... -1001), "text": .text(4096), "entities": .list(bold, 1...1), "link_preview_options": .object(["is_disabled": .bool]),
            ])
        }, answer: { _ in .init(200, #"{"ok":true,"result":{"message_id":1}}"#) })

    private static let elasticsearch = Vendor(
        kind: "elasticsearch", keys: [("api_key", "hunter2")], path: "/_bulk?filter_path=errors%2Citems.%2A.status%2Citems.%2A.error.type%2Citems.%2A.error.reason",
        headers: ["content-type": "application/x-ndjson", "authorization": "ApiKey hunter2"], encoding: .lines,
        shape: { place in
            if place % 2 == 0 {
                return .object(["create": .object(["_index": .matching("a dated index") { $0 == "falco-2026.03.04" }, "_id": uuid])])
            }
            return .object(payload.merging(["@timestamp": time]) { $1 }, optional: ["tags": .list(.text(.max), 1...100), "riposte": .any])
        },
        answer: { lines in .init(200, #"{"errors":false,"items":["# + Array(repeating: #"{"create":{"status":201}}"#, count: lines / 2).joined(separator: ",") + "]}") })

    private static let splunk = Vendor(
        kind: "splunk", keys: [("token", "hunter2"), ("index", "security")], path: "/services/collector/event",
        headers: ["content-type": "application/json", "authorization": "Splunk hunter2"], encoding: .lines,
        shape: { _ in
            .object([
                "time": .number, "host": .text(.max), "source": .oneOf(["riposte"]), "sourcetype": .oneOf(["falcosidekick"]), "index": .oneOf(["security"]),
                "event": .object(payload, optional: ["tags": .any, "riposte": .any]), "fields": .map(.text(.max)),
            ])
        }, answer: { _ in .init(200, #"{"text":"Success","code":0}"#) })

    private static let loki = Vendor(
        kind: "loki", keys: [("tenant", "blue"), ("username", "u"), ("password", "hunter2"), ("labels", ["env": "prod"])], path: "/loki/api/v1/push",
        headers: ["content-type": "application/json", "x-scope-orgid": "blue", "authorization": "Basic dTpodW50ZXIy"],
        shape: { _ in
            let labels = Shape.object(["rule": .line, "source": .line, "priority": priorities, "hostname": .line, "env": .oneOf(["prod"])])
            let entry = Shape.matching("nanoseconds, a line") { !$0.contains("\n") && !$0.contains("\u{1B}") }
            return .object(["streams": .list(.object(["stream": labels, "values": .list(.list(.any, 3...3), 1...1000)]), 1...100)])
                .and { body in
                    (body["streams"]?.array ?? []).flatMap { $0["values"]?.array ?? [] }.flatMap { value -> [String] in
                        guard let parts = value.array, parts.count == 3 else { return ["no entry"] }
                        let digits = Shape.matching("nanoseconds") { $0.wholeMatch(of: /[0-9]{19}/) != nil }
                        return digits.problems(of: parts[0]) + entry.problems(of: parts[1]) + Shape.map(.line).problems(of: parts[2])
                    }
                }
        }, answer: { _ in .init(204, "") })

    private static let alertmanager = Vendor(
        kind: "alertmanager", keys: [("expires_after", "10m")], path: "/api/v2/alerts", headers: ["content-type": "application/json"],
        shape: { _ in
            let labels = Shape.object(
                [
                    "alertname": .line, "rule": .line, "source": .oneOf(["falco", "riposte"]), "eventsource": .line, "hostname": .line, "priority": priorities,
                    "severity": .oneOf(["information", "warning", "critical"]),
                ], optional: ["tags": .line])
            return .list(.object(["labels": labels, "annotations": .map(.text(8192)), "startsAt": time, "endsAt": time]), 1...100)
                .and { body in
                    (body.array ?? []).flatMap { $0["annotations"]?.object?.members ?? [] }.map(\.key.repaired).filter { $0.wholeMatch(of: /[a-zA-Z_][a-zA-Z0-9_]*/) == nil }
                        .map { "\($0) is no annotation's name" }
                }
        }, answer: { _ in .init(200, "") })

    private static let otlp = Vendor(
        kind: "otlp", path: "/v1/logs", headers: ["content-type": "application/json"],
        shape: { _ in
            let digits = Shape.matching("nanoseconds as a text") { $0.wholeMatch(of: /[0-9]{19}/) != nil }
            let attribute = Shape.object(["key": .text(.max), "value": .any])
            let record = Shape.object([
                "timeUnixNano": digits, "observedTimeUnixNano": digits, "severityNumber": .integer(1...24), "severityText": priorities,
                "body": .object(["stringValue": .text(.max)]),
                "attributes": .list(attribute, 1...200),
            ])
            let scope = Shape.object(["scope": .object(["name": .oneOf(["riposte"])]), "logRecords": .list(record, 1...1000)])
            let resource = Shape.object(["attributes": .list(attribute, 2...10)])
            return .object(["resourceLogs": .list(.object(["resource": resource, "scopeLogs": .list(scope, 1...1)]), 1...1)])
        }, answer: { _ in .init(200, "{}") })

    private static let kubernetes = Vendor(
        kind: "kubernetes", keys: [("token", "hunter2")], path: "/apis/events.k8s.io/v1/namespaces/default/events",
        headers: ["content-type": "application/json; charset=utf-8", "authorization": "Bearer hunter2"],
        shape: { _ in
            let name = Shape.matching("a DNS name") { $0.wholeMatch(of: /[a-z0-9]([-a-z0-9.]*[a-z0-9])?/) != nil && $0.utf8.count <= 253 }
            let metadata = Shape.object(["name": name, "namespace": name, "annotations": .map(.line)])
            let regarding = Shape.object(["apiVersion": .oneOf(["v1"]), "kind": .oneOf(["Pod", "Node"]), "name": name], optional: ["namespace": name, "uid": name])
            let micro = Shape.matching("a MicroTime") { $0.wholeMatch(of: /[-0-9]{10}T[0-9:]{8}\.[0-9]{6}Z/) != nil }
            let note = Shape.matching("a note of 1 KiB") { $0.utf8.count <= 1024 }
            return .object([
                "apiVersion": .oneOf(["events.k8s.io/v1"]), "kind": .oneOf(["Event"]), "metadata": metadata, "eventTime": micro, "reportingController": .line,
                "reportingInstance": .text(128), "action": .text(128), "reason": .text(128), "regarding": regarding, "note": note, "type": .oneOf(["Normal", "Warning"]),
            ])
        }, answer: { _ in .init(201, #"{"kind":"Event"}"#) })
}
