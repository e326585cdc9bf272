import RiposteCore
import Testing

@testable import RiposteOutputs

/// Who gets what, by the keys of the configuration.
struct RouteTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var keys: SettingsValue
        var gets: [String]

        init(_ name: String, _ keys: SettingsValue, _ gets: [String]) { (self.name, self.keys, self.gets) = (name, keys, gets) }

        var testDescription: String { name }
    }

    static let records: [SpoolRecord] = [
        record(1, Samples.alert("Terminal shell in container", "Warning", tags: ["container", "shell"]), playbooks: ["contain"]),
        record(2, Samples.alert("Read sensitive file", "Notice", source: "syscall")),
        record(3, Samples.alert("Anonymous request", "Critical", source: "k8s_audit")),
        record(4, outcome("process.kill", .done, playbook: "contain")),
        record(5, outcome("network.block", .failed, playbook: "cut")),
        record(6, AuditRecord(.start, at: Samples.time)),
        record(7, Samples.notify(to: ["pager"], "look at this")),
    ]

    @Test(arguments: [
        Case("nothing said: all alerts", [:], ["alert 1", "alert 2", "alert 3"]),
        Case("at least so grave", ["priority": ">= warning"], ["alert 1", "alert 3"]),
        Case("some priorities", ["priority": ["notice", "critical"]], ["alert 2", "alert 3"]),
        Case("rules by pattern", ["rules": ["*shell*", "Anonymous ?equest"]], ["alert 1", "alert 3"]),
        Case("all but some", ["rules": ["!Read *"]], ["alert 1", "alert 3"]),
        Case("by tag", ["tags": "shell"], ["alert 1"]),
        Case("by source", ["sources": ["k8s_audit"]], ["alert 3"]),
        Case("alerts that a playbook answers", ["playbooks": "contain"], ["alert 1"]),
        Case("by a condition", ["when": "has user.name"], []),
        Case("audit records are all but alerts", ["send": "audit"], ["audit 4", "audit 5", "audit 6", "audit 7"]),
        Case("audit records of some kinds", ["send": "audit", "kinds": ["start", "alert"]], ["audit 1", "audit 2", "audit 3", "audit 6"]),
        Case("by outcome", ["send": "audit", "outcomes": ["failed", "refused"]], ["audit 5"]),
        Case("by action", ["send": "audit", "actions": "process.kill"], ["audit 4"]),
        Case("both, by playbook", ["send": "both", "playbooks": ["contain"]], ["alert 1", "audit 4", "audit 7"]),
        Case("nothing but what is addressed to it", ["send": "nothing"], []),
    ])
    func routes(_ sample: Case) throws {
        let settings = Samples.settings(sample.keys)
        let route = Route(settings)
        #expect(settings.problems() == [])
        #expect(Self.records.flatMap { route.messages(of: $0, for: "siem", host: "h") }.map { "\($0.kind.rawValue) \($0.seq)" } == sample.gets)
    }

    @Test("an alert and the record of it are two things, whoever is served first", arguments: [["alert", "audit"], ["audit", "alert"]])
    func twoPayloads(_ order: [String]) throws {
        let routes = ["alert": Route(Samples.settings(["send": "alerts"])), "audit": Route(Samples.settings(["send": "audit", "kinds": ["alert"]]))]
        let record = Self.records[0]
        for name in order {
            let message = try #require(routes[name]?.messages(of: record, for: "siem", host: "h").first)
            let payload = try JSON(parsing: message.payloadBytes)
            #expect(payload["rule"] == (name == "alert" ? "Terminal shell in container" : "Riposte alert"))
        }
    }

    @Test func aPlaybooksNoticeGoesWhereItSays() throws {
        let route = Route(Samples.settings(["send": "nothing"]))
        let messages = Self.records.flatMap { route.messages(of: $0, for: "pager", host: "h") }
        #expect(messages.map(\.kind) == [.notice])
        #expect(messages.first?.text == "look at this")
    }

    @Test("a playbook's notice and the record of it are two messages, with two ids that stay the same")
    func twoIDs() {
        let route = Route(Samples.settings(["send": "audit"]))
        let messages = route.messages(of: Self.records[6], for: "pager", host: "h")
        #expect(messages.map(\.kind) == [.notice, .audit])
        #expect(messages[1].hash == Self.records[6].hash && Set(messages.map(\.hash)).count == 2 && Set(messages.map(\.uuid)).count == 2)
        #expect(route.messages(of: Self.records[6], for: "pager", host: "h").map(\.hash) == messages.map(\.hash))
    }

    @Test func whatWasOnlyPlannedIsNotSent() {
        var record = Samples.notify(to: ["pager"], "x")
        record.outcome = .planned
        #expect(Notice(addressedTo: "pager", in: record) == nil)
    }

    private static let refusals = [
        Case("priority without effect", ["send": "audit", "priority": ">= warning"], ["priority has no effect in output \"siem\": it says send: audit"]),
        Case("no such priority", ["priority": ">= loud"], ["expected a priority such as"]),
        Case("no such outcome", ["send": "audit", "outcomes": "don"], ["expected some of done,"]),
        Case("no such kind of content", ["send": "alert"], ["expected one of alerts, audit, both, nothing"]),
        Case("a bad condition", ["when": "bad"], ["when of output \"siem\": no such word"]),
    ]

    @Test(arguments: refusals)
    func refuses(_ sample: Case) {
        let settings = Samples.settings(sample.keys)
        _ = Route(settings)
        let problems = settings.problems()
        #expect(problems.count == 1 && problems[0].message.hasPrefix(sample.gets[0]), "\(problems)")
    }

    private static func record(_ seq: Int64, _ record: AuditRecord, playbooks: [String] = []) -> SpoolRecord {
        var record = record
        if !playbooks.isEmpty { record.detail.append("runs", .array(playbooks.map { ["run": "r", "playbook": .text($0)] })) }
        return Samples.spooled(seq, record)
    }

    private static func outcome(_ action: String, _ outcome: Outcome, playbook: String) -> AuditRecord {
        var record = AuditRecord(.outcome, at: Samples.time, id: .new())
        record.action = action
        record.outcome = outcome
        record.playbook = playbook
        return record
    }
}
