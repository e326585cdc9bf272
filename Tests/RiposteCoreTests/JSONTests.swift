import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

@Suite("JSON that forgets nothing")
struct JSONTests {
    @Test(
        "what was read is written back as it was",
        arguments: [
            "null", "true", "0", "-1", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "1.50", "1e9", "-0", "\"\"", "\"é\"", "[]", "{}",
            #"{"b":1,"a":[null,{"c":"\n"}]}"#, #""\u0000""#, #""\"\\""#,
        ])
    func roundTrip(_ text: String) throws {
        #expect(try JSON(parsing: Array(text.utf8)).line == text)
    }

    @Test(
        "what is no JSON is refused, with the place",
        arguments: [
            ("", 0), ("{", 1), ("[1,]", 3), ("01", 0), ("1.", 2), ("tru", 0), ("\"a", 2), ("{\"a\":1,\"a\":2}", 7), ("[1] 2", 4), ("\"\u{01}\"", 1), ("{'a':1}", 1),
            (#""\q""#, 2), (#""\u12""#, 3),
        ])
    func refused(_ text: String, _ offset: Int) {
        let error = #expect(throws: JSONError.self) { try JSON(parsing: Array(text.utf8)) }
        #expect(error?.offset == offset)
    }

    @Test("nesting has a limit, so that no text overflows the stack")
    func depth() throws {
        let fits = String(repeating: "[", count: JSON.depthLimit) + String(repeating: "]", count: JSON.depthLimit)
        _ = try JSON(parsing: Array(fits.utf8))
        #expect(throws: JSONError.self) { try JSON(parsing: Array(repeating: UInt8(ascii: "["), count: 1_000_000)) }
    }

    @Test("bytes that are not UTF-8 are kept, and repaired only where JSON is written")
    func invalidText() throws {
        let json = try JSON(parsing: [UInt8(ascii: "\""), 0xFF, 0xC3, UInt8(ascii: "\"")])
        #expect(json.string?.bytes == [0xFF, 0xC3])
        #expect(json.line == "\"\u{FFFD}\u{FFFD}\"")
    }

    @Test("half of a surrogate pair is read as what it will be written as, so that keys which become one are found before", arguments: ["\\ud800", "\\udfff", "\\ud800\\u0061"])
    func surrogates(_ escape: String) throws {
        let json = try JSON(parsing: Array("\"\(escape)\"".utf8))
        #expect(try JSON(parsing: json.bytes) == json && json.string?.valid?.hasPrefix("\u{FFFD}") == true)
        #expect(throws: JSONError.self) { try JSON(parsing: Array(#"{"\ud800":1,"\ud801":2}"#.utf8)) }
        #expect(try JSON(parsing: Array(#""\ud83d\ude00""#.utf8)) == "😀")
    }

    @Test("a key that stands twice is found among many keys too")
    func manyKeys() {
        let members = (0..<100).map { "\"k\($0)\":\($0)" } + ["\"k7\":1"]
        #expect(throws: JSONError.self) { try JSON(parsing: Array("{\(members.joined(separator: ","))}".utf8)) }
    }
}

@Suite("JSON that several hands wrote, and a cursor that goes over it")
struct JSONCursorTests {
    private static let deep = String(repeating: "[", count: 70) + #""\u0061]""# + String(repeating: "]", count: 70)

    @Test(
        "of a key that stands twice the last one counts, at the first one's place; what is too deep is the text that it was",
        arguments: [
            (#"{"a":1,"b":2,"a":3}"#, #"{"a":3,"b":2}"#), (#"[{"a":{"x":1,"x":[1]},"\u0061":0}]"#, #"[{"a":0}]"#),
            (
                "{" + (0..<100).map { #""k\#($0)":0,"# }.joined() + #""k7":1,"k99":2}"#,
                "{" + (0..<100).map { #""k\#($0)":\#($0 == 7 ? 1 : $0 == 99 ? 2 : 0)"# }.joined(separator: ",") + "}"
            ),
        ])
    func forgiving(text: String, expected: String) throws { #expect(try JSON(forgiving: Array(text.utf8)).line == expected) }

    @Test("what is too deep stays as the text that it was")
    func tooDeep() throws {
        var json = try JSON(forgiving: Array("[\(Self.deep),7]".utf8))
        #expect(json.array?.last == 7)
        for _ in 0..<JSON.depthLimit { json = try #require(json.array?.first) }
        #expect(json.string?.repaired == String(repeating: "[", count: 7) + #""\u0061]""# + String(repeating: "]", count: 7))
    }

    /// Each is malformed alone and below what is too deep.
    @Test(
        "what is no JSON is an error at the same place, whether it is read or gone over",
        arguments: ["", "{", "[1,]", "01", "1.", "tru", "\"a", "[1] 2", "\"\u{01}\"", "{'a':1}", #""\q""#, #""\u12""#, "[}", #"{"a",1}"#])
    func malformed(text: String) throws {
        let bytes = Array(text.utf8)
        let read = try #require(throws: JSONError.self) { try JSON(forgiving: bytes) }
        let passed = try #require(throws: JSONError.self) {
            try JSONCursor.over(bytes) { cursor throws(JSONError) in
                _ = try cursor.pass()
                try cursor.end()
            }
        }
        #expect(read == passed)
        guard !["", "[1] 2"].contains(text) else { return }
        let below = String(repeating: "[", count: 70)
        #expect(throws: JSONError.self) { try JSON(forgiving: Array((below + text + String(repeating: "]", count: 70)).utf8)) }
    }

    @Test(
        "what was gone over needs at least so many bytes when it is written",
        arguments: [#" { "a" : [ 1 , "\u0061\n\ud83d\ude00\/" , null ] , "b" : 1.50 } "#, deep, #""\u0000\ud800x""#, "[]", "{ }", #"[true,-0,"é"]"#])
    func leastWritten(text: String) throws {
        let bytes = Array(text.utf8)
        let passed = try JSONCursor.over(bytes) { cursor throws(JSONError) in try cursor.pass() }
        #expect(String(decoding: bytes[passed.range], as: UTF8.self) == text.trimmingCharacters(in: .whitespaces))
        let written = try JSON(forgiving: bytes).bytes.count
        #expect(passed.leastWritten <= written && passed.leastWritten > 0)
        if !text.contains("\\") { #expect(passed.leastWritten == written) }
    }

    @Test("into objects and arrays, and over what is not wanted")
    func into() throws {
        let text = Array(#" {"skip":[[{}]], "list": [1, {"a":2}, []], "empty":{}, "none":[]} "#.utf8)
        var (keys, elements) = ([String](), [String]())
        try JSONCursor.over(text) { cursor throws(JSONError) in
            try cursor.members { key, cursor throws(JSONError) in
                keys.append(key.shown)
                guard key == "list" || key == "none" else { return _ = try cursor.pass() }
                try cursor.elements { cursor throws(JSONError) in elements.append(String(decoding: text[try cursor.pass().range], as: UTF8.self)) }
            }
            try cursor.end()
        }
        #expect(keys == ["skip", "list", "empty", "none"])
        #expect(elements == ["1", #"{"a":2}"#, "[]"])
        #expect(throws: JSONError.self) { try JSONCursor.over(text) { cursor throws(JSONError) in try cursor.elements { _ in } } }
    }
}

@Suite("Alerts")
struct AlertTests {
    @Test("all alerts of a real Falco are read without loss and written back equal")
    func recorded() throws {
        let lines = try Fixtures.falcoAlerts()
        #expect(lines.count == 82)
        for line in lines {
            let alert = try Alert(parsing: line, id: .new(), arrival: .init(intake: "test"))
            #expect(try JSON(parsing: JSON.object(alert.document).bytes) == JSON(parsing: line))
            #expect(alert.fields["evt.time"]?.integer == alert.time.nanoseconds)
            // Falco puts a blank behind ':' and ',', and writes U+FFFD as an escape; nothing else may differ.
            let written = JSON.object(alert.document).line.replacing("\u{FFFD}", with: "\\ufffd").filter { $0 != " " }
            let isSame = written == String(decoding: line, as: UTF8.self).filter { $0 != " " }
            #expect(isSame, "\(alert.rule)")
        }
    }

    @Test("falcosidekick's payload is an alert with more in it: all of it is kept")
    func falcosidekick() throws {
        let head = #"{"uuid":"0b7d3f0e-6a6f-4f0e-9a55-0a4b1d7c9f10","output":"11:22:33.5: Warning Shell | process=sh","priority":"Informational","rule":"Shell","#
        let text =
            head + #""time":"2026-03-04T11:22:33.5Z","output_fields":{"cluster":"prod-1","evt.time":1772623353123456789,"proc.aname_2":"nginx","proc.pid":4711},"#
            + #""source":"syscalls","tags":["T1059"],"hostname":"node-7"}"#
        let alert = try Alert(parsing: Array((text + "\n").utf8), id: .new(), arrival: .init(intake: "http"))
        #expect(alert.source == "syscall" && alert.priority == .informational && alert.tags == ["T1059"])
        #expect(alert.fields["evt.time"]?.integer == 1_772_623_353_123_456_789 && alert.fields["cluster"] == "prod-1")
        #expect(JSON.object(alert.document).line == text)
    }

    @Test("every spelling of a priority", arguments: [("Informational", Priority.informational), ("info", .informational), ("CRITICAL", .critical), ("debug", .debug)])
    func priorities(_ text: String, _ expected: Priority) { #expect(Priority(text) == expected) }

    @Test(
        "Falco's forms of time",
        arguments: [
            ("2026-11-23T17:38:14.438967994Z", 1_795_455_494_438_967_994), ("2026-11-23T17:38:14.438967994+0000", 1_795_455_494_438_967_994),
            ("2026-11-23T18:38:14.4+01:00", 1_795_455_494_400_000_000), ("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:59:59.5Z", -500_000_000),
            ("1969-12-31T23:59:59Z", -1_000_000_000), ("2262-04-11T23:47:16.854775807Z", .max), ("1677-09-21T00:12:43.145224192Z", .min),
        ] as [(String, Int64)])
    func times(_ text: String, _ nanoseconds: Int64) { #expect(Timestamp(text)?.nanoseconds == nanoseconds) }

    @Test("a time at either end of what can be said is written as it is read", arguments: [Int64.min, .min + 1, -1, 0, .max - 1, .max])
    func lastTimes(nanoseconds: Int64) { #expect(Timestamp("\(Timestamp(nanoseconds: nanoseconds))")?.nanoseconds == nanoseconds) }

    @Test(
        "what is no time",
        arguments: [
            "", "2026-02-30T00:00:00Z", "2026-01-01", "2026-01-01T25:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "now", "2262-04-11T23:47:16.854775808Z",
            "2262-04-11T23:47:16.9Z", "2262-04-11T23:47:17Z", "2262-04-12T00:47:16.9+01:00", "1677-09-21T00:12:43.145224191Z", "1677-09-21T00:12:43Z", "9999-12-31T23:59:60Z",
            "0000-01-01T00:00:00+23:59",
        ])
    func noTimes(_ text: String) { #expect(Timestamp(text) == nil) }

    @Test(
        "a difference that is too large is the largest there is, and never comes round to a small one",
        arguments: [
            (0, 0, 0), (5, 7, -2), (1_795_455_494_438_967_994, -9_000_000_000_000_000_000, .max), (-9_000_000_000_000_000_000, 1_795_455_494_438_967_994, .min),
            (.max, .min, .max), (.min, .max, .min), (.min, .min, 0), (0, .min, .max),
        ] as [(Int64, Int64, Int64)])
    func differences(_ left: Int64, _ right: Int64, _ difference: Int64) {
        #expect(Timestamp(nanoseconds: left) - Timestamp(nanoseconds: right) == .nanoseconds(difference))
    }

    @Test(
        "what makes an object no alert is said",
        arguments: [
            (#"[]"#, "an alert is a JSON object"), (#"{"priority":"Info","time":"2026-01-01T00:00:00Z"}"#, "rule must"),
            (#"{"rule":"r","priority":"High","time":"2026-01-01T00:00:00Z"}"#, "priority must"),
            (#"{"rule":"r","priority":"Info"}"#, "time must"), (#"{"rule":"r","priority":"Info","time":"x"}"#, "time must"),
            (#"{"rule":"r","priority":"Info","output_fields":[]}"#, "output_fields must"),
            (#"{"rule":"#, "not JSON"),
        ])
    func refused(_ text: String, _ problem: String) {
        let error = #expect(throws: AlertError.self) { try Alert(parsing: Array(text.utf8), id: .new(), arrival: .init(intake: "test")) }
        #expect(error?.problem.hasPrefix(problem) == true)
    }

    @Test("one is nested no deeper than what holds it can be")
    func depth() throws {
        func alert(_ levels: Int) throws -> Alert {
            let inside = String(repeating: "[", count: levels - 1) + String(repeating: "]", count: levels - 1)
            return try Alert(parsing: Array(#"{"rule":"r","priority":"Info","time":"2026-01-01T00:00:00Z","x":\#(inside)}"#.utf8), id: .new(), arrival: .init(intake: "test"))
        }
        #expect(try alert(Alert.depthLimit).document["x"]?.isNested(atMost: Alert.depthLimit - 1) == true)
        let error = #expect(throws: AlertError.self) { try alert(Alert.depthLimit + 1) }
        #expect(error?.problem == "nested deeper than 48 levels")
    }

    @Test("null, <NA> and missing are absent; unknown properties stay")
    func absent() throws {
        let text = #"{"rule":"r","priority":"Info","time":"2026-01-01T00:00:00Z","output_fields":{"a":null,"b":"<NA>","c":""},"extra":{"x":[1]}}"#
        let alert = try Alert(parsing: Array(text.utf8), id: .new(), arrival: .init(intake: "test"))
        #expect(alert[field: "a"] == nil)
        #expect(alert[field: "b"] == nil)
        #expect(alert[field: "c"] == "")
        #expect(alert.document["extra"] == ["x": [1]])
    }
}

@Suite("Small values")
struct ValueTests {
    @Test(
        "text from elsewhere is shown on one harmless line",
        arguments: [
            ("a\nb", "a\\nb"), ("\u{1B}[2J", "\\x1b[2J"), ("\u{202E}abc", "\\u{202e}abc"), ("plain é", "plain é"), ("\u{7F}", "\\x7f"), ("a\u{2028}b", "a\\u{2028}b"),
        ])
    func shown(_ text: String, _ expected: String) { #expect(ByteText(text).shown == expected) }

    @Test("bytes that are not UTF-8 are shown as such") func invalid() { #expect(ByteText([0x61, 0xFF, 0x62]).shown == "a\\xffb") }

    @Test(
        "JSON that comes to a terminal does not act there, and is the same value",
        arguments: ["plain ü 日本", "\u{9b}2J", "\u{202e}evil", "\u{7f}", "\u{1b}[2J", "\u{e0041}x", "\u{feff}", "a\\\u{85}\""])
    func terminal(text: String) throws {
        let line = JSON.text(text).line.escapedForDisplayInJSON
        #expect(line.escapedForDisplay == line)
        #expect(try JSON(parsing: Array(line.utf8)) == .text(text))
        if text.hasPrefix("plain") { #expect(line == JSON.text(text).line, "what only people read stays readable") }
    }

    @Test("identifiers sort by time and read back")
    func identifiers() throws {
        let first = Identifier.new(at: Timestamp(nanoseconds: 1_000_000_000_000_000))
        let second = Identifier.new(at: Timestamp(nanoseconds: 2_000_000_000_000_000))
        #expect(first < second && first.description < second.description)
        #expect(Identifier(first.description) == first)
        #expect(Identifier(first.description.lowercased()) == first)
        for bad in ["", "01", String(repeating: "Z", count: 26), "01KAS2V3TB4Y5MWR7H3ZQ0E8C!"] { #expect(Identifier(bad) == nil) }
    }

    @Test("durations", arguments: [("10s", 10_000_000_000), ("1h30m", 5_400_000_000_000), ("250ms", 250_000_000), ("7d", 604_800_000_000_000)] as [(String, Int64)])
    func durations(_ text: String, _ nanoseconds: Int64) {
        #expect(Duration(text: text)?.wholeNanoseconds == nanoseconds)
        #expect(Duration(text: Duration.nanoseconds(nanoseconds).text)?.wholeNanoseconds == nanoseconds)
    }

    @Test("what is no duration", arguments: ["", "10", "s", "-5s", "1x", "99999999999999999d"]) func noDurations(_ text: String) { #expect(Duration(text: text) == nil) }

    @Test(
        "addresses and blocks",
        arguments: [
            ("192.0.2.1", "192.0.2.1"), ("10.1.2.3/8", "10.0.0.0/8"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:DB8::1/32", "2001:db8::/32"), ("0.0.0.0/0", "0.0.0.0/0"),
        ])
    func networks(_ text: String, _ expected: String) { #expect(IPNetwork(text)?.description == expected) }

    @Test("what is no address", arguments: ["", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "fe80::1%eth0", "example.org", "1.2.3.4 ", "01.2.3.4", "1.2.3.4/-1", "::1/129", "$(id)"])
    func noNetworks(_ text: String) { #expect(IPNetwork(text) == nil) }

    @Test(
        "allow list entries",
        arguments: [
            ("10.0.0.0/8:22/tcp", "10.0.0.0/8:22/tcp"), ("192.0.2.7:53", "192.0.2.7:53"), ("[2001:db8::1]:443/udp", "[2001:db8::1]:443/udp"), ("2001:db8::/32", "2001:db8::/32"),
        ])
    func endpoints(_ text: String, _ expected: String) { #expect(NetworkEndpoint(text)?.description == expected) }

    @Test("what is none", arguments: ["", "10.0.0.1:0", "10.0.0.1:70000", "10.0.0.1:22/sctp", "host:22", "[::1", "10.0.0.1:"])
    func noEndpoints(_ text: String) { #expect(NetworkEndpoint(text) == nil) }

    @Test("base 64 there and back", arguments: 0..<9)
    func base64(_ count: Int) {
        let bytes = (0..<count).map { UInt8($0 * 37 & 0xFF) }
        #expect([UInt8](base64: bytes.base64) == bytes)
    }

    @Test("records of the journal read back as they were written")
    func records() throws {
        var record = AuditRecord(.outcome, at: .now(), id: .new(), detail: ["x": ["y": 1]])
        (record.run, record.alert, record.undoes) = (.new(), .new(), .new())
        record.actor = .init(.person, name: "ann", uid: 1000, pid: 7)
        (record.playbook, record.step, record.action, record.reason, record.message) = ("p", "s", "process.kill", "why", "what")
        (record.mode, record.dryRun, record.outcome, record.failure) = (.ask, true, .refused, .guarded)
        for target in Self.targets {
            record.target = target
            #expect(AuditRecord(members: record.members) == record)
        }
    }

    private static let targets: [Target] = [
        .process(.init(pid: 7, startTicks: 9, bootID: "b", startedAt: Timestamp(nanoseconds: 5), name: "n")), .container(.init(id: "c", name: "n", image: "i")),
        .pod(.init(namespace: "n", name: "p", uid: "u")), .host(machineID: "m"),
    ]

    @Test(
        "of several results the gravest gives the exit status",
        arguments: [
            ([], 0), ([.done, .already, .planned], 0), ([.pending, .done], 5), ([.gone, .pending], 4), ([.refused, .gone], 3), ([.failed, .refused], 1),
        ] as [([Outcome], Int32)])
    func exitStatus(_ outcomes: [Outcome], _ status: Int32) { #expect(outcomes.exitStatus == status) }

    @Test("a slip of the pen finds its word", arguments: [("cooldwn", "cooldown"), ("exist", "exists"), ("proces.kill", "process.kill"), ("xyz", nil)] as [(String, String?)])
    func near(_ word: String, _ expected: String?) {
        #expect(nearMiss(to: word, among: ["cooldown", "exists", "process.kill", "mode"]) == expected)
    }
}
