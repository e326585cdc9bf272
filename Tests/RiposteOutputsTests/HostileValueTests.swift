import Foundation
import RiposteCore
import RiposteTestSupport
import RiposteTransport
import Testing

@testable import RiposteOutputs

/// What somebody who attacks would like to be read as something else, in each destination and in each template of a user: it arrives as text.
struct HostileValueTests {
    /// Line breaks, ANSI codes, bidirectional overrides, JSON, HTML, Slack's and Markdown's marks, structured data, CEF, LogQL, headers, templates.
    static let evil =
        Hostile.texts.joined(separator: " ") + #" ","admin":true,"x":"\" {a="b"} |= `x` *b* _i_ [l](javascript:1) <https://e.example|x> @everyone &lt; %0d%0a+&w=2"#
        + "\u{85}\u{2028}\u{2066}\u{0}"

    static let alert = Samples.message(
        Samples.alert(
            evil, source: evil, tags: [evil], fields: ["proc.name": .text(evil), "proc.cmdline": .text(evil), ByteText(evil): .text(evil), "container.id": .text(evil)],
            output: evil))

    /// A destination, the key that holds a template, the template, and what whoever receives it reads: of a field, the value.
    struct Case: Sendable, CustomTestStringConvertible {
        enum Reader: Sendable {
            /// A JSON document whose member `v` is the value, as it was.
            case json
            /// One line, or several, for people: nothing is in it that moves a cursor or turns the direction.
            case line, lines
            /// As above, with marks that would mean something to that reader not in it.
            case html, slack, markdown
            /// A form, whose member `v` is the value, as it was.
            case form
            /// A subject of NATS: one token.
            case token
        }

        let kind: String
        let keys: SettingsValue
        let key: String
        let template: String
        let reader: Reader

        init(_ kind: String, _ key: String, _ reader: Reader, _ template: String = "a {{ proc.name }} z", keys: SettingsValue = [:]) {
            (self.kind, self.keys, self.key, self.template, self.reader) = (kind, keys, key, template, reader)
        }

        var testDescription: String { "\(kind) \(keys.json.line) \(key)" }
    }

    private static let json = #"{"v":"{{ proc.name }}"}"#
    private static let paragraph = "<p>a {{ proc.name }} z</p>"

    static let cases: [Case] = [
        Case("file", "line", .line), Case("file", "line", .json, json), Case("stdout", "line", .line), Case("stdout", "line", .json, json),
        Case("syslog", "text", .line, keys: ["format": "text"]), Case("syslog", "text", .json, json, keys: ["format": "text"]), Case("http", "body", .json, json),
        Case("http", "body", .json, json, keys: ["content_type": "application/yaml"]), Case("http", "body", .json, json, keys: ["format": "lines"]),
        Case("http", "body", .html, paragraph, keys: ["content_type": "text/html"]), Case("http", "body", .html, paragraph, keys: ["content_type": "application/xml"]),
        Case("http", "body", .form, "w=1&v={{ proc.name }}", keys: ["content_type": "application/x-www-form-urlencoded"]),
        Case("http", "body", .lines, keys: ["content_type": "text/plain"]), Case("http", "body", .line, keys: ["content_type": "text/plain", "format": "lines"]),
        Case("slack", "text", .slack), Case("slack", "text", .markdown, keys: ["flavor": "mattermost"]), Case("slack", "text", .markdown, keys: ["flavor": "rocketchat"]),
        Case("discord", "text", .markdown), Case("teams", "text", .lines), Case("googlechat", "text", .html),
        Case("telegram", "text", .lines, keys: ["token": "1:a", "chat": "1"]),
        Case("smtp", "subject", .line, keys: ["host": "h", "from": "a@example.org", "to": "b@example.org"]),
        Case("nats", "subject", .token, "a.{{ proc.name }}.z", keys: ["servers": "nats://127.0.0.1:1"]),
        Case("nats", "body", .json, json, keys: ["servers": "nats://127.0.0.1:1"]),
        Case("pagerduty", "dedup_key", .line, keys: ["routing_key": "0123456789abcdef0123456789abcdef"]), Case("opsgenie", "alias", .line, keys: ["api_key": "k"]),
    ]

    @Test("what a template of a user puts in", arguments: cases)
    func templates(_ test: Case) async throws {
        let text = try await Arrival.text(of: test)
        switch test.reader {
        case .json:
            let values = try JSON(parsing: Array(text.utf8))
            #expect(values.object?.members.count == 1 && values["v"]?.string?.repaired == Self.evil)
        case .form:
            let members = text.split(separator: "&", omittingEmptySubsequences: false)
            #expect(members.count == 2 && members[0] == "w=1")
            #expect(members.last?.dropFirst(2).removingPercentEncoding == Self.evil)
        case .token:
            #expect(text.split(separator: ".", omittingEmptySubsequences: false).count == 3 && text.utf8.allSatisfy { 0x21...0x7E ~= $0 && !"*>$".utf8.contains($0) }, "\(text)")
        case .line: check(text, isOneLine: true)
        case .lines: check(text, isOneLine: false)
        case .html: check(text, isOneLine: false, without: ["<b>", "<!", "<https", "\" ", "'"])
        case .slack: check(text, isOneLine: false, without: ["<!", "<https", "*b*", "_i_", "`x`", "@everyone"])
        case .markdown: check(text, isOneLine: false, without: ["<!", "*b*", "_i_", "`x`", "@everyone", "](j"])
        }
    }

    /// It is all there, it is nothing but text, and no template is read a second time.
    private func check(_ text: String, isOneLine: Bool, without marks: [String] = []) {
        let moving = text.unicodeScalars.filter { scalar in
            (scalar.value < 0x20 && (isOneLine || scalar != "\n")) || 0x7F...0x9F ~= scalar.value || 0x2028...0x202E ~= scalar.value || 0x2066...0x2069 ~= scalar.value
        }
        #expect(moving.isEmpty, "\(moving.map { String($0.value, radix: 16) })")
        for mark in marks { #expect(!text.contains(mark), "\(mark) is in \(text)") }
        let bare = text.replacing("\\", with: "").replacing("\u{2060}", with: "")
        #expect(bare.contains("{{ message.host }}") && bare.contains("z"), "\(text)")
    }

    @Test func everyKindIsInATable() {
        let others: Set<String> = ["program"]
        #expect(Set(Self.cases.map(\.kind)).union(Vendor.all.map(\.kind)).union(others) == Set(DestinationKinds.names))
    }

    /// What has no template: each of these is a line, and that line is the payload and nothing else.
    @Test("the payload itself is one line, and every value in it is what it was", arguments: ["file", "stdout", "program", "nats", "http", "syslog"])
    func payload(_ kind: String) async throws {
        let keys: SettingsValue = kind == "nats" ? ["servers": "nats://127.0.0.1:1"] : [:]
        let text = try await Arrival.text(of: Case(kind, "", .json, "", keys: keys))
        #expect(!text.contains("\n") && !text.contains("\u{1B}"))
        let payload = try JSON(parsing: Array(text.utf8))
        #expect(payload["rule"]?.string?.repaired == Self.evil && payload["output"]?.string?.repaired == Self.evil)
        #expect(payload["output_fields"]?["proc.cmdline"]?.string?.repaired == Self.evil && payload["output_fields"]?[ByteText(Self.evil)] != nil && payload["admin"] == nil)
    }

    /// RFC 5424, 6.3.3, read back as a receiver does.
    @Test func structuredDataIsReadBack() throws {
        let settings = Samples.settings(["hostname": "node-7"])
        let line = String(decoding: try #require(SyslogFormat(settings, Samples.context(), standardLimit: 8192)).bytes(of: Self.alert), as: UTF8.self)
        let (parameters, _) = try #require(SyslogReader.read(line))
        #expect(parameters.map(\.name) == ["uuid", "priority", "rule", "source"], "no parameter is added: \(line)")
        #expect(!line.contains("\n"))
    }

    /// CEF: fields are found by ` key=` behind the head's seven bars; none is added, and each value is read back whole.
    @Test func commonEventIsReadBack() {
        let text = CommonEvent(Self.alert).text
        let keys = CommonEventReader.keys(in: text)
        #expect(!text.contains("\n"))
        let known: Set<String> = [
            "externalId", "rt", "dvchost", "cat", "msg", "sproc", "shost", "cs1Label", "cs1", "cs2Label", "cs2", "cs3Label", "cs3", "cs4Label", "cs4", "cs6Label", "cs6",
        ]
        #expect(Set(keys).isSubset(of: known), "\(Set(keys).subtracting(known))")
        #expect(Set(keys).count == keys.count, "no field stands twice: \(keys)")
    }
}

/// RFC 5424, section 6.3, as a receiver reads it.
private enum SyslogReader {
    /// The parameters of the one element, and what stands behind it.
    static func read(_ line: String) -> (parameters: [(name: String, value: String)], words: String)? {
        guard let begin = line.range(of: " [riposte@32473") else { return nil }
        var (parameters, name, value, isInValue, isEscaped) = ([(name: String, value: String)](), "", "", false, false)
        for index in line.unicodeScalars.indices where index >= begin.upperBound {
            let scalar = line.unicodeScalars[index]
            switch (isInValue, scalar) {
            case (true, _) where isEscaped:
                value.unicodeScalars.append(scalar)
                isEscaped = false
            case (true, "\\"): isEscaped = true
            case (true, "\""):
                parameters.append((name.trimmingCharacters(in: .whitespaces), value))
                (name, value, isInValue) = ("", "", false)
            case (true, "]"): return nil
            case (true, _): value.unicodeScalars.append(scalar)
            case (false, "]"): return (parameters, String(line.unicodeScalars[index...].dropFirst(2)))
            case (false, "\""): isInValue = true
            case (false, "="): break
            case (false, _): name.unicodeScalars.append(scalar)
            }
        }
        return nil
    }
}

/// The keys of an extension: the word before each `=` that has no backslash before it.
private enum CommonEventReader {
    static func keys(in text: String) -> [String] {
        var (keys, word, isEscaped, bars) = ([String](), "", false, 0)
        for scalar in text.unicodeScalars {
            if bars < 7 {
                if scalar == "|", !isEscaped { bars += 1 }
                isEscaped = scalar == "\\" && !isEscaped
            } else if isEscaped || scalar == "\\" {
                isEscaped.toggle()
                word += "\\"
            } else if scalar == "=" {
                keys.append(word)
                word = ""
            } else if scalar == " " {
                word = ""
            } else {
                word.unicodeScalars.append(scalar)
            }
        }
        return keys
    }
}

/// What of a message comes to where it goes.
private enum Arrival {
    static func text(of test: HostileValueTests.Case) async throws -> String {
        let folder = try TemporaryFolder()
        let out = folder.path + "/out"
        func settings(_ more: [(String, SettingsValue)] = []) -> DestinationSettings {
            guard case .mapping(let members) = test.keys.shape else { return Samples.settings([:]) }
            let template: [(String, SettingsValue)] = test.key.isEmpty ? [] : [(test.key, SettingsValue(.scalar(test.template, isPlain: false)))]
            return Samples.settings(.init(.mapping(members + (more + template).map { .init(key: $0.0, value: $0.1) })))
        }
        func plain(_ text: String) -> SettingsValue { SettingsValue(.scalar(text, isPlain: false)) }
        func deliver(_ destination: (any Destination)?, _ settings: DestinationSettings) async throws {
            #expect(settings.problems() == [])
            #expect(await destination?.deliver([HostileValueTests.alert]).fates == [.delivered])
            await destination?.close()
        }
        switch test.kind {
        case "file":
            let settings = settings([("path", plain(out))])
            try await deliver(FileDestination(settings: settings, context: Samples.context()), settings)
            return try line(out)
        case "stdout":
            let (settings, descriptor) = (settings(), open(out, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600))
            defer { close(descriptor) }
            try await deliver(StandardOutputDestination(settings, Samples.context(), descriptor: descriptor), settings)
            return try line(out)
        case "program":
            let command = SettingsValue(.list(["/bin/sh", "-c", "exec cat >\"$1\"", "sh", out].map(plain)))
            let settings = settings([("command", command)])
            try await deliver(ProgramDestination(settings: settings, context: Samples.context()), settings)
            return try line(out)
        case "syslog":
            let format = try #require(
                SyslogFormat(
                    settings([("hostname", plain("h"))] + (test.key.isEmpty ? [("format", plain("json"))] : [("bom", "false")])), Samples.context(), standardLimit: 1 << 20))
            let text = String(decoding: format.bytes(of: HostileValueTests.alert), as: UTF8.self)
            return try #require(SyslogReader.read(text)).words
        case "nats":
            let settings = settings()
            #expect(NATSDestination(settings: settings, context: Samples.context()) != nil && settings.problems() == [])
            if test.key == "subject" { return try #require(SubjectTemplate(settings)).subject(for: HostileValueTests.alert) }
            let body = settings.template("body", for: .jsonString)
            return body?.text(for: HostileValueTests.alert) ?? String(decoding: HostileValueTests.alert.payloadBytes, as: UTF8.self)
        case "smtp":
            let composer = MailComposer(settings(), Samples.context())
            let address = try #require(MailAddress("a@example.org"))
            let mail = String(decoding: composer.mail(of: [HostileValueTests.alert], from: address, to: [address]), as: UTF8.self)
            let header = try #require(mail.firstMatch(of: /(?s)\r\nSubject: (.*?)\r\n(?=[A-Z])/)).1
            return header.matches(of: /=\?utf-8\?B\?([A-Za-z0-9+\/=]*)\?=/).compactMap { Data(base64Encoded: String($0.1)) }.map { String(decoding: $0, as: UTF8.self) }.joined()
                + "z"
        default: return try await request(test, settings)
        }
    }

    /// The part of a request that the template made.
    private static func request(_ test: HostileValueTests.Case, _ settings: ([(String, SettingsValue)]) -> DestinationSettings) async throws -> String {
        let server = try await LoopbackServer { request in
            switch test.kind {
            case "telegram": .init(200, #"{"ok":true}"#)
            case "pagerduty": .init(202, #"{"status":"success"}"#)
            case "opsgenie": .init(202, #"{"result":"Request will be processed"}"#)
            default: .init(200, "ok")
            }
        }
        let settings = settings([("url", SettingsValue(.scalar("http://127.0.0.1:\(server.port)", isPlain: false)))])
        let destination = try #require(DestinationKinds.kind(test.kind)?.init(settings: settings, context: Samples.context()))
        #expect(settings.problems() == [])
        #expect(await destination.deliver([HostileValueTests.alert]).fates == [.delivered])
        let request = try #require(server.requests.first)
        #expect(server.requests.count == 1 && request.headers["x-admin"] == nil)
        guard test.kind != "http" else { return String(decoding: request.body, as: UTF8.self).trimmingCharacters(in: .newlines) }
        let body = try JSON(parsing: request.body)
        switch test.kind {
        case "slack": return try #require(body["text"]?.string?.valid)
        case "discord": return try #require(body["embeds"]?.array?.first?["description"]?.string?.valid)
        case "telegram": return try #require(body["text"]?.string?.valid)
        case "googlechat":
            return try #require(body["cardsV2"]?.array?.first?["card"]?["sections"]?.array?.first?["widgets"]?.array?.first?["textParagraph"]?["text"]?.string?.valid)
        case "teams":
            let blocks = body["attachments"]?.array?.first?["content"]?["body"]?.array ?? []
            return blocks.flatMap { $0["inlines"]?.array ?? [] }.compactMap { $0["text"]?.string?.valid }.joined(separator: "\n")
        default:
            // A name for equal things: hashed, so that no value is in it at all.
            let name = try #require((body["dedup_key"] ?? body["alias"])?.string?.valid)
            #expect(name.wholeMatch(of: /[0-9a-f]{64}/) != nil)
            return name + "{{ message.host }} z"
        }
    }

    private static func line(_ path: String) throws -> String {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.hasSuffix("\n"))
        let lines = text.dropLast().split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count == 1)
        return String(lines.first ?? "")
    }
}
