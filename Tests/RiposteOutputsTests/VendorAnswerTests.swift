import Foundation
import RiposteCore
import RiposteTestSupport
import RiposteTransport
import Synchronization
import Testing

@testable import RiposteOutputs

/// What the vendors' documented answers mean for what was sent.
struct VendorAnswerTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var kind: String
        var status: Int
        var body: String
        var headers: [String: String] = [:]
        /// One for each message of a batch: `delivered`, `again`, `again 17s`, `dead`.
        var fates: [String]

        init(_ kind: String, _ status: Int, _ body: String, _ fates: String..., headers: [String: String] = [:]) {
            (self.kind, self.status, self.body, self.fates, self.headers) = (kind, status, body, fates, headers)
        }

        var testDescription: String { "\(kind) \(status) \(body.prefix(80))" }
    }

    private static let cases = [
        Case("slack", 200, "ok", "delivered"), Case("slack", 400, "invalid_payload", "dead"), Case("slack", 400, "no_text", "dead"),
        Case("slack", 400, "user_not_found", "again"), Case("slack", 403, "action_prohibited", "again"), Case("slack", 403, "invalid_token", "again"),
        Case("slack", 404, "channel_not_found", "again"), Case("slack", 410, "channel_is_archived", "again"), Case("slack", 500, "rollup_error", "again"),
        Case("slack", 429, "rate_limited", "again 17s", headers: ["retry-after": "17"]),

        Case("discord", 200, #"{"id":"1"}"#, "delivered"), Case("discord", 401, #"{"code":50027,"message":"Invalid Webhook Token"}"#, "again"),
        Case("discord", 429, #"{"message":"You are being rate limited.","retry_after":1.337,"global":false}"#, "again 1s337ms"),
        Case("discord", 400, #"{"code":50035,"message":"Invalid Form Body"}"#, "dead"), Case("discord", 404, #"{"code":10015,"message":"Unknown Webhook"}"#, "again 1h"),

        Case("teams", 202, "", "delivered"), Case("teams", 200, "1", "delivered"), Case("teams", 413, "", "dead"),
        Case("teams", 200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId", "again"),
        Case("teams", 200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413 with ContextId", "dead"),

        Case("googlechat", 400, #"{"error":{"code":400,"status":"INVALID_ARGUMENT"}}"#, "dead"),
        Case("googlechat", 429, #"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}"#, "again"),
        Case("googlechat", 404, #"{"error":{"code":404,"status":"NOT_FOUND"}}"#, "again"),

        Case("pagerduty", 400, #"{"status":"invalid event","message":"Event object is invalid","errors":["'payload.summary' is missing or blank"]}"#, "dead"),
        Case("pagerduty", 400, #"{"status":"invalid event","errors":["Length of 'routing_key' is incorrect (should be 32 characters)"]}"#, "again"),
        Case("pagerduty", 429, "", "again"), Case("pagerduty", 500, "", "again"),

        Case("opsgenie", 422, #"{"message":"Request body is not processable.","errors":{"message":"may not be empty"}}"#, "dead"),
        Case("opsgenie", 401, #"{"message":"Could not authenticate"}"#, "again"), Case("opsgenie", 429, #"{"message":"You are making too many requests!"}"#, "again"),

        Case("telegram", 400, #"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#, "again"),
        Case("telegram", 400, #"{"ok":false,"error_code":400,"description":"Bad Request: message is too long"}"#, "dead"),
        Case("telegram", 401, #"{"ok":false,"error_code":401,"description":"Unauthorized"}"#, "again"),
        Case("telegram", 403, #"{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked from the group chat"}"#, "again"),
        Case("telegram", 429, #"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 31","parameters":{"retry_after":31}}"#, "again 31s"),
        Case("telegram", 200, "<html>a captive portal</html>", "again"),

        Case(
            "elasticsearch", 200,
            #"""
            {"errors":true,"items":[{"create":{"status":201}},{"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"queue is full"}}},
             {"create":{"status":400,"error":{"type":"document_parsing_exception","reason":"failed to parse field [output_fields.x]"}}},
             {"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"document already exists"}}},
             {"create":{"status":503,"error":{"type":"unavailable_shards_exception","reason":"primary shard is not active"}}},
             {"create":{"status":404,"error":{"type":"index_not_found_exception","reason":"no such index"}}},
             {"create":{"status":403,"error":{"type":"cluster_block_exception","reason":"index read-only / allow delete"}}}]}
            """#, "delivered", "again", "dead", "delivered", "again", "again", "again"),
        Case("elasticsearch", 200, #"{"errors":false,"items":[{"create":{"status":201}}]}"#, "again", "again"), Case("elasticsearch", 200, "hello", "again"),
        Case("elasticsearch", 200, #"{"errors":false,"items":[{"index":{}}]}"#, "again"),
        Case("elasticsearch", 401, #"{"error":{"type":"security_exception"},"status":401}"#, "again", "again"), Case("elasticsearch", 413, "", "dead", "dead"),
        Case("elasticsearch", 429, #"{"error":{"type":"circuit_breaking_exception"},"status":429}"#, "again", "again"), Case("elasticsearch", 503, "", "again"),

        Case("splunk", 200, #"{"text":"Success","code":0}"#, "delivered", "delivered"), Case("splunk", 403, #"{"text":"Token disabled","code":1}"#, "again"),
        Case("splunk", 401, #"{"text":"Token is required","code":2}"#, "again"), Case("splunk", 401, #"{"text":"Invalid authorization","code":3}"#, "again"),
        Case("splunk", 403, #"{"text":"Invalid token","code":4}"#, "again"), Case("splunk", 400, #"{"text":"No data","code":5}"#, "dead"),
        Case("splunk", 400, #"{"text":"Invalid data format","code":6,"invalid-event-number":1}"#, "again 0s", "dead", "again 0s"),
        Case("splunk", 400, #"{"text":"Invalid data format","code":6,"invalid-event-number":0}"#, "dead"),
        Case("splunk", 400, #"{"text":"Invalid data format","code":6}"#, "dead", "dead"),
        Case("splunk", 400, #"{"text":"Incorrect index","code":7,"invalid-event-number":0}"#, "again", "again"),
        Case("splunk", 500, #"{"text":"Internal server error","code":8}"#, "again"),
        Case("splunk", 503, #"{"text":"Server is busy","code":9}"#, "again"), Case("splunk", 400, #"{"text":"Data channel is missing","code":10}"#, "again"),
        Case("splunk", 400, #"{"text":"Event field is required","code":12,"invalid-event-number":2}"#, "again 0s", "again 0s", "dead"),
        Case("splunk", 400, #"{"text":"Event field cannot be blank","code":13}"#, "dead"), Case("splunk", 400, #"{"text":"Error in handling indexed fields","code":15}"#, "dead"),
        Case("splunk", 200, "hello", "again"), Case("splunk", 413, "", "dead", "dead"),

        Case("loki", 204, "", "delivered", "delivered"), Case("loki", 260, "ingestion blocked for user fake until '2026-05-01'", "again", "again"),
        Case("loki", 400, "entry too far behind, entry timestamp is: 2026-03-04T11:22:33Z", "dead", "dead"), Case("loki", 429, "ingestion rate limit exceeded", "again", "again"),
        Case("loki", 500, "", "again"), Case("loki", 401, "no org id", "again"),

        Case("alertmanager", 400, #"{"code":601,"message":"labels in body is required"}"#, "dead"), Case("alertmanager", 500, #""internal""#, "again", "again"),

        Case("otlp", 200, "{}", "delivered", "delivered"), Case("otlp", 200, #"{"partialSuccess":{}}"#, "delivered"),
        Case("otlp", 200, #"{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"a warning"}}"#, "delivered"),
        Case("otlp", 200, #"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}"#, "dead", "dead"),
        Case("otlp", 200, #"{"partialSuccess":{"rejectedLogRecords":3}}"#, "dead", "dead"), Case("otlp", 400, #"{"code":3,"message":"bad"}"#, "dead"),
        Case("otlp", 429, "", "again 3s", headers: ["retry-after": "3"]), Case("otlp", 503, "", "again"), Case("otlp", 504, "", "again"),

        Case("kubernetes", 201, "{}", "delivered"), Case("kubernetes", 409, #"{"kind":"Status","reason":"AlreadyExists","code":409}"#, "delivered"),
        Case("kubernetes", 401, #"{"kind":"Status","reason":"Unauthorized","code":401}"#, "again"),
        Case("kubernetes", 403, #"{"kind":"Status","reason":"Forbidden","code":403}"#, "again"),
        Case("kubernetes", 403, #"{"kind":"Status","reason":"Forbidden","details":{"causes":[{"reason":"NamespaceTerminating"}]},"code":403}"#, "dead"),
        Case("kubernetes", 404, #"{"kind":"Status","reason":"NotFound","details":{"name":"x","kind":"namespaces"},"code":404}"#, "dead"),
        Case("kubernetes", 404, "404 page not found", "again"), Case("kubernetes", 422, #"{"kind":"Status","reason":"Invalid","code":422}"#, "dead"),
        Case("kubernetes", 429, #"{"kind":"Status","reason":"TooManyRequests","code":429}"#, "again 1s", headers: ["retry-after": "1"]),
    ]

    @Test(arguments: cases)
    func means(_ sample: Case) async throws {
        let vendor = try Vendor.named(sample.kind)
        let server = try await LoopbackServer { _ in .init(sample.status, sample.body, headers: sample.headers) }
        let destination = try vendor.destination(server.port)
        let batch = sample.fates.indices.map { Samples.message(Int64($0 + 1), Samples.alert("rule \($0)")) }
        let report = await destination.deliver(batch)
        #expect(report.fates.map(\.word) == sample.fates, "\(report)")
    }

    // MARK: - Partial success

    @Test(arguments: [
        (#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too old"}}"#, DeliveryReport.Refusal(count: 1, reason: "refused: too old")),
        (#"{"partialSuccess":{"rejectedLogRecords":2,"errorMessage":"a\nb\u001b[31m"}}"#, .init(count: 2, reason: #"refused: a\nb\x1b[31m"#)),
        (#"{"partialSuccess":{"rejectedLogRecords":"2"}}"#, .init(count: 2, reason: "refused without a reason")),
        (#"{"partialSuccess":{"rejectedLogRecords":"-1"}}"#, nil), (#"{"partialSuccess":{"rejectedLogRecords":"many"}}"#, nil),
    ])
    func otlpRefusesSomeAndDoesNotSayWhich(_ body: String, _ refusal: DeliveryReport.Refusal?) async throws {
        let vendor = try Vendor.named("otlp")
        let server = try await LoopbackServer { request in
            let reply = vendor.reply(to: request)
            return reply.status == 200 ? .init(200, body, headers: ["content-type": "application/json"]) : reply
        }
        let batch = (1...3).map { Samples.message($0, Samples.alert("rule \($0)")) }
        let report = await (try vendor.destination(server.port)).deliver(batch)
        #expect(report.fates == Array(repeating: .delivered, count: 3))
        #expect(report.refusal == refusal)
        #expect(server.requests.count == 1)
    }

    // MARK: - Acknowledgement

    private func acknowledging(_ answers: [String]) throws -> (@Sendable (LoopbackServer.Request) -> LoopbackServer.Answer) {
        let left = Mutex(answers)
        let vendor = try Vendor.named("splunk")
        return { request in
            guard UUID(uuidString: request.headers["x-splunk-request-channel"] ?? "") != nil else { return .init(400, #"{"text":"Data channel is missing","code":10}"#) }
            guard request.path == "/services/collector/ack" else {
                return vendor.reply(to: request).status == 200 ? .init(200, #"{"text":"Success","code":0,"ackId":7}"#) : .init(400, "")
            }
            guard (try? JSON(parsing: request.body)) == ["acks": [7]] else { return .init(400, #"{"text":"Invalid data format","code":6}"#) }
            return left.withLock { $0.isEmpty ? .init(200, #"{"acks":{"7":false}}"#) : .init(200, $0.removeFirst()) }
        }
    }

    @Test(arguments: [
        ("at once", [#"{"acks":{"7":true}}"#], "delivered"), ("later", [#"{"acks":{"7":false}}"#, #"{"acks":{"7":false}}"#, #"{"acks":{"7":true}}"#], "delivered"),
        ("never", [], "again"),
        ("another", [#"{"acks":{"8":true}}"#], "again"),
    ])
    func splunkIsBelievedWhenItHasIndexed(_ name: String, _ answers: [String], _ fate: String) async throws {
        let server = try await LoopbackServer(answer: try acknowledging(answers))
        let destination = try Vendor.named("splunk").destination(server.port, [("acknowledge", "true"), ("ack_interval", "1ms"), ("ack_timeout", "5ms")])
        #expect(await destination.deliver([Samples.message(Samples.alert("r"))]).fates.map(\.word) == [fate])
        #expect(Set(server.requests.map { $0.headers["x-splunk-request-channel"] }).count == 1)
        #expect(server.requests.count == 1 + (fate == "again" ? 5 : answers.count))
    }

    @Test func splunkWithoutAcknowledgementIsNotBelieved() async throws {
        let server = try await LoopbackServer { _ in .init(200, #"{"text":"Success","code":0}"#) }
        let destination = try Vendor.named("splunk").destination(server.port, [("acknowledge", "true")])
        #expect(await destination.deliver([Samples.message(Samples.alert("r"))]).fates.map(\.word) == ["again"])
    }

    // MARK: - Several hosts

    @Test(arguments: [(200, 200, "delivered"), (200, 503, "delivered"), (400, 200, "delivered"), (503, 400, "again"), (400, 400, "dead")])
    func everyAlertmanagerGetsIt(_ first: Int, _ second: Int, _ fate: String) async throws {
        let servers = [try await LoopbackServer { _ in .init(first, "") }, try await LoopbackServer { _ in .init(second, "") }]
        let urls = SettingsValue(.list(servers.map { SettingsValue(.scalar("http://127.0.0.1:\($0.port)", isPlain: true)) }))
        let settings = Samples.settings(["urls": urls])
        let destination = try #require(AlertmanagerDestination(settings: settings, context: Samples.context()))
        #expect(settings.problems() == [])
        #expect(await destination.deliver([Samples.message(Samples.alert("r"))]).fates.map(\.word) == [fate])
        #expect(servers.map(\.requests.count) == [1, 1])
        #expect(servers[0].requests[0].body == servers[1].requests[0].body)
    }
}

extension DeliveryReport.Fate {
    /// `again 17s`.
    fileprivate var word: String {
        switch self {
        case .delivered: "delivered"
        case .tryAgain(_, let after): after.map { "again \($0.text)" } ?? "again"
        case .rejected: "dead"
        }
    }
}
