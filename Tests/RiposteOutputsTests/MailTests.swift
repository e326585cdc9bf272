import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

@testable import RiposteOutputs

/// What a mail looks like.
struct MailComposerTests {
    private func mail(_ batch: [OutputMessage], _ keys: SettingsValue = [:]) throws -> String {
        let settings = Samples.settings(keys)
        let composer = MailComposer(settings, Samples.context())
        #expect(settings.problems() == [])
        let (from, to) = (try #require(MailAddress("Rïposte <riposte@example.org>")), try #require(MailAddress("soc@example.org")))
        return String(decoding: composer.mail(of: batch, from: from, to: [to]), as: UTF8.self)
    }

    private func header(_ name: String, _ mail: String) -> String? {
        let head = mail.components(separatedBy: "\r\n\r\n")[0].replacing("\r\n ", with: " ")
        return head.components(separatedBy: "\r\n").first { $0.hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
    }

    @Test func headers() throws {
        let message = Samples.message(1, Samples.alert("Shell"))
        let mail = try mail([message])
        #expect(header("From", mail) == "=?utf-8?B?UsOvcG9zdGU=?= <riposte@example.org>")
        #expect(header("Subject", mail) == "[Warning] Shell on agent-1")
        #expect(header("Date", mail) == "Wed, 04 Mar 2026 11:22:33 +0000")
        #expect(header("Message-ID", mail) == "<\(message.uuid)@agent-1>")
        #expect(header("References", mail)?.hasSuffix(".alert@agent-1>") == true)
        #expect(try self.mail([message]) == mail)
    }

    @Test("hostile text adds no header and no line that is too long", arguments: Hostile.texts)
    func hostile(_ text: String) throws {
        let mail = try mail([Samples.message(1, Samples.alert(text, output: text))])
        let head = mail.components(separatedBy: "\r\n\r\n")[0].components(separatedBy: "\r\n")
        let names = head.filter { !$0.hasPrefix(" ") }.compactMap { $0.split(separator: ":").first.map(String.init) }
        #expect(names == ["From", "To", "Subject", "Date", "Message-ID", "References", "Auto-Submitted", "X-Riposte-Host", "MIME-Version", "Content-Type"])
        #expect(mail.utf8.allSatisfy { 0x20...0x7E ~= $0 || $0 == 13 || $0 == 10 })
        #expect(mail.components(separatedBy: "\r\n").allSatisfy { $0.utf8.count <= 250 })
        #expect(!mail.replacing("\r\n", with: "").contains { $0 == "\r" || $0 == "\n" })
    }

    @Test("several messages are one mail, under the gravest one's name")
    func digest() throws {
        let batch = [Samples.message(1, Samples.alert("a", "Notice")), Samples.message(2, Samples.alert("b", "Critical")), Samples.message(3, Samples.alert("c"))]
        let mail = try mail(batch)
        #expect(header("Subject", mail) == "[Critical] b on agent-1 and 2 more")
        #expect(header("Message-ID", mail) == "<\(batch[0].uuid).3@agent-1>")
        #expect(header("References", mail) == nil)
    }

    @Test(arguments: [
        ("soc@example.org", true), ("SOC <soc@example.org>", true), ("soc", false), ("a@b@c", false), ("soc@example.org\r\nBcc: x@y", false), ("<a b@c>", false),
        ("a@exämple.org", false),
        ("\"x\"@y", false), ("", false),
    ])
    func addresses(_ text: String, _ isOne: Bool) { #expect((MailAddress(text) != nil) == isOne) }

    @Test("encoded words are short, and each is whole", arguments: ["für", "日本語".repeated(30), "👩‍👩‍👧".repeated(10), "a" + "\u{301}".repeated(100_000)])
    func encodedWords(_ text: String) throws {
        let encoded = MailHeader.encoded(text)
        let words = encoded.components(separatedBy: "\r\n ")
        #expect(words.allSatisfy { $0.hasPrefix("=?utf-8?B?") && $0.hasSuffix("?=") && $0.utf8.count <= 75 })
        let decoded = words.compactMap { word in Data(base64Encoded: String(word.dropFirst(10).dropLast(2))).flatMap { String(validating: $0, as: UTF8.self) } }
        #expect(decoded.count == words.count)
        #expect(decoded.joined() == text.escapedForDisplay.cut(to: 240))
        #expect(encoded.utf8.count < 2000)
    }

    @Test(
        arguments: [
            (["host": "h", "from": "a@b", "to": "c@d", "security": "none", "user": "u", "password": "p"], "for everybody to read"),
            (["host": "h", "from": "a@b", "to": "c@d", "user": "u"], "needs user and password together"), (["host": "h", "from": "a", "to": "c@d"], "expected an address"),
            (["host": "h/x", "from": "a@b", "to": "c@d"], "name or address of a host"), (["from": "a@b", "to": "c@d"], "needs host"),
        ] as [(SettingsValue, String)])
    func mistakes(_ keys: SettingsValue, _ problem: String) {
        let settings = Samples.settings(keys)
        #expect(MailDestination(settings: settings, context: Samples.context()) == nil)
        let problems = settings.problems()
        #expect(problems.contains { $0.message.contains(problem) }, "\(problems)")
    }
}

/// Who has got a mail, over several tries.
struct MailProgressTests {
    private var progress = MailProgress()
    private var now = Samples.time
    private static let all = ["duty", "full", "gone"]

    /// One try of a mail: for whom it was, and what came of it.
    private mutating func attempt(_ mail: String, _ answers: [String: MailProgress.Answer]) -> (to: [String], report: DeliveryReport) {
        let open = progress.begin([mail], to: Self.all, at: now)
        return (open, progress.end(open.map { ($0, answers[$0] ?? .taken) }, "reply 250", count: 1, at: now))
    }

    private func isTriedAgain(_ report: DeliveryReport) -> Bool { if case .tryAgain? = report.fates.first { true } else { false } }

    @Test("a mailbox that is full holds up the others for half a minute, once")
    mutating func fullMailbox() {
        let answers: [String: MailProgress.Answer] = ["full": .later("452 full"), "gone": .refused("550 who")]
        var (to, report) = attempt("a", answers)
        #expect(to == Self.all && isTriedAgain(report))
        now = now + .seconds(15)
        (to, report) = attempt("a", answers)
        #expect(to == ["full"] && isTriedAgain(report))
        now = now + .seconds(15)
        (to, report) = attempt("a", answers)
        #expect(to == ["full"] && report.fates == [.delivered] && report.missing == "not for gone: 550 who; full: 452 full", "\(report)")
        (to, report) = attempt("b", answers)
        #expect(to == Self.all && report.fates == [.delivered] && report.missing != nil, "it is known to be full")
        (_, report) = attempt("c", ["gone": .refused("550 who")])
        #expect(report.missing == "not for gone: 550 who", "it has room again")
        (_, report) = attempt("d", answers)
        #expect(isTriedAgain(report), "and is waited for again")
    }

    @Test("as long as nobody has it, and while there is no server, nobody is given up")
    mutating func nobody() {
        for _ in 1...10 {
            #expect(isTriedAgain(attempt("a", ["duty": .later("452"), "full": .later("452"), "gone": .refused("550")]).report))
            now = now + .seconds(60)
        }
        #expect(attempt("a", ["full": .later("452")]).report.missing == "not for gone: 550; full: 452")
        #expect(isTriedAgain(attempt("b", ["gone": .later("451")]).report))
        now = now + .seconds(600)
        #expect(isTriedAgain(attempt("b", ["gone": .unheard("no route")]).report))
        #expect(attempt("b", [:]).report == DeliveryReport(whole: .delivered, count: 1, answer: "reply 250"))
    }

    @Test("a clock that is set back begins the while anew, and makes it no longer")
    mutating func clockSetBack() {
        let answers: [String: MailProgress.Answer] = ["full": .later("452 full")]
        #expect(isTriedAgain(attempt("a", answers).report))
        now = now + .seconds(-7200)
        #expect(isTriedAgain(attempt("a", answers).report))
        now = now + .seconds(30)
        #expect(attempt("a", answers).report.missing == "not for full: 452 full")
    }

    @Test("what is refused to all is a dead letter; if the mail itself was, one of its messages is looked for")
    mutating func refused() {
        let nobody: [String: MailProgress.Answer] = ["duty": .refused("550"), "full": .refused("550"), "gone": .refused("550")]
        var report = attempt("a", nobody).report
        #expect(report.fates == [.rejected(reason: "duty, full, gone: 550")] && !report.isWhole)
        report = attempt("b", ["duty": .mailRefused("554 spam"), "full": .mailRefused("554 spam"), "gone": .refused("550")]).report
        #expect(report.fates == [.rejected(reason: "554 spam")] && report.isWhole)
    }
}

/// A server that breaks off has refused nothing but what it said so of.
@Suite(.enabled(if: Machine.has("python3"), "needs python3"))
struct BrokenMailTests {
    @Test(arguments: ["greeting", "data"])
    func isTriedAgain(_ kind: String) async throws {
        let service = try Service(["/usr/bin/python3", Service.fixture("smtp_broken.py"), kind])
        let port = try #require(service.line())
        let settings = Samples.settings([
            "host": "127.0.0.1", "port": .init(.scalar(port, isPlain: true)), "from": "riposte@example.org", "to": ["soc@example.org", "gone@example.org"], "security": "none",
        ])
        let destination = try #require(MailDestination(settings: settings, context: Samples.context()))
        #expect(settings.problems() == [])
        for _ in 1...2 {
            let report = await destination.deliver([Samples.message(1, Samples.alert("r"))])
            guard case .tryAgain(let reason, _)? = report.fates.first else {
                Issue.record("\(report)")
                continue
            }
            #expect(reason.contains("soc@example.org") && reason.contains("gone@example.org") == (kind == "greeting"), "\(reason)")
        }
        await destination.close()
    }
}

/// A real SMTP server, aiosmtpd.
@Suite(.enabled(if: Service.hasPythonSMTP && Certificates.isPossible, "needs python3-aiosmtpd and openssl"))
struct RealMailTests {
    private func server(_ security: String) throws -> (service: Service, port: Int) {
        let certificates = try Certificates.shared.get()
        let service = try Service(["/usr/bin/python3", Service.fixture("smtp_server.py"), certificates.path("server.crt"), certificates.path("server.key"), security])
        return (service, try #require(service.line().flatMap { Int($0) }))
    }

    private func destination(_ port: Int, _ security: String, to: SettingsValue = ["soc@example.org", "duty@example.org"], password: String = "hunter2") throws -> (
        MailDestination, SecretMask
    ) {
        var keys: [SettingsValue.Member] = [
            .init(key: "host", value: "127.0.0.1"), .init(key: "port", value: .init(.scalar("\(port)", isPlain: true))), .init(key: "from", value: "riposte@example.org"),
            .init(key: "to", value: to), .init(key: "security", value: .init(.scalar(security, isPlain: true))),
        ]
        if security != "none" {
            keys += [
                .init(key: "user", value: "riposte"), .init(key: "password", value: .init(.scalar(password, isPlain: false))),
                .init(key: "tls", value: ["ca": .init(.scalar(try Certificates.shared.get().path("ca.crt"), isPlain: false))]),
            ]
        }
        let settings = Samples.settings(.init(.mapping(keys)))
        let destination = MailDestination(settings: settings, context: Samples.context())
        #expect(settings.problems() == [])
        return (try #require(destination), SecretMask(settings.secrets))
    }

    private let message = Samples.message(1, Samples.alert("Shell", output: "für\n.\nalle"))

    @Test("a mail arrives over STARTTLS, TLS or neither", arguments: ["starttls", "tls", "none"])
    func arrives(_ security: String) async throws {
        let (service, port) = try server(security)
        let (destination, _) = try destination(port, security)
        let report = await destination.deliver([message])
        #expect(report.fates == [.delivered] && report.answer == "reply 250", "\(report)")
        let mail = try JSON(parsing: Array(try #require(service.line()).utf8))
        #expect(mail["from"] == "riposte@example.org" && mail["to"] == ["soc@example.org", "duty@example.org"])
        #expect(mail["tls"] == .bool(security != "none") && (mail["login"] == true) == (security != "none"))
        let text = try #require(mail["text"]?.string?.repaired)
        #expect(text.contains("Message-ID: <\(message.uuid)@agent-1>\r\n"))
        let part = try #require(text.components(separatedBy: "base64\r\n\r\n").dropFirst().first?.components(separatedBy: "\r\n--").first)
        let plain = String(decoding: try #require(Data(base64Encoded: part.replacing("\r\n", with: ""))), as: UTF8.self)
        #expect(plain.hasPrefix("Priority: Warning\r\nOutput: für\r\n.\r\nalle\r\nRule: Shell\r\n"), "\(plain)")
        await destination.close()
    }

    @Test("the connection is kept for the next mail")
    func keepsTheConnection() async throws {
        let (service, port) = try server("starttls")
        let (destination, _) = try destination(port, "starttls")
        var peers: [JSON?] = []
        for number in 1...3 {
            #expect(await destination.deliver([Samples.message(Int64(number), Samples.alert("r"))]).fates == [.delivered])
            peers.append(try JSON(parsing: Array(try #require(service.line()).utf8))["peer"])
        }
        #expect(peers[0] == peers[1] && peers[1] == peers[2])
        await destination.close()
    }

    @Test(
        "4xx is tried again, 5xx is not",
        arguments: [("later@example.org", true, "451"), ("never@example.org", false, "550"), ("full@example.org", false, "552")])
    func refusals(_ recipient: String, _ isPassing: Bool, _ code: String) async throws {
        let (service, port) = try server("starttls")
        let (destination, _) = try destination(port, "starttls", to: .init(.scalar(recipient, isPlain: false)))
        switch await destination.deliver([message]).fates.first {
        case .tryAgain(let reason, _)?: #expect(isPassing && reason.contains(code), "\(reason)")
        case .rejected(let reason)?: #expect(!isPassing && reason.contains(code), "\(reason)")
        default: Issue.record("it was taken")
        }
        withExtendedLifetime(service) {}
        await destination.close()
    }

    @Test("one that nobody knows keeps it from nobody else")
    func oneOfSeveral() async throws {
        let (service, port) = try server("starttls")
        let (destination, _) = try destination(port, "starttls", to: ["never@example.org", "soc@example.org"])
        let report = await destination.deliver([message])
        #expect(report.fates == [.delivered] && report.answer?.contains("not for never@example.org") == true, "\(report)")
        #expect(try JSON(parsing: Array(try #require(service.line()).utf8))["to"] == ["soc@example.org"])
        await destination.close()
    }

    private func identity(_ mail: JSON) -> String? {
        mail["text"]?.string?.repaired.components(separatedBy: "\r\n").first { $0.hasPrefix("Message-ID: ") }
    }

    @Test("who has a mail does not get it again; who was turned away gets the very same one")
    func eachOnce() async throws {
        let (service, port) = try server("starttls")
        let (destination, _) = try destination(port, "starttls", to: ["grey@example.org", "never@example.org", "soc@example.org"])
        guard case .tryAgain(let reason, _)? = await destination.deliver([message]).fates.first else {
            Issue.record("one of them does not have it")
            return
        }
        #expect(reason.contains("grey@example.org: 450") && !reason.contains("soc@"), "\(reason)")
        let report = await destination.deliver([message])
        #expect(report.fates == [.delivered] && report.missing?.contains("never@example.org: 550") == true && report.missing?.contains("grey") == false, "\(report)")
        let mails = try (1...2).map { _ in try JSON(parsing: Array(try #require(service.line()).utf8)) }
        #expect(mails.map { $0["to"] } == [["soc@example.org"], ["grey@example.org"]])
        #expect(identity(mails[0]) == identity(mails[1]) && identity(mails[0]) != nil)
        await destination.close()
    }

    @Test("a test is a mail of its own, and makes nobody get another one twice")
    func aTestBetween() async throws {
        let (service, port) = try server("starttls")
        let (destination, _) = try destination(port, "starttls", to: ["grey@example.org", "soc@example.org"])
        guard case .tryAgain? = await destination.deliver([message]).fates.first else {
            Issue.record("one of them does not have it")
            return
        }
        #expect(await destination.deliver([.test(host: "agent-1", at: Samples.time)]).fates == [.delivered])
        #expect(await destination.deliver([message]).fates == [.delivered])
        let mails = try (1...3).map { _ in try JSON(parsing: Array(try #require(service.line()).utf8))["to"] }
        #expect(mails == [["soc@example.org"], ["grey@example.org", "soc@example.org"], ["grey@example.org"]])
        await destination.close()
    }

    @Test("a wrong password is a person's to mend, and never shown")
    func wrongPassword() async throws {
        let (service, port) = try server("starttls")
        let (destination, mask) = try destination(port, "starttls", password: "wrong-hunter3")
        let report = mask.masked(await destination.deliver([message]))
        guard case .tryAgain(let reason, _)? = report.fates.first else {
            Issue.record("\(report)")
            return
        }
        #expect(!reason.contains("hunter3"))
        withExtendedLifetime(service) {}
        await destination.close()
    }

    @Test("without STARTTLS nothing is said")
    func noTLS() async throws {
        let (service, port) = try server("none")
        let (destination, _) = try destination(port, "starttls")
        guard case .tryAgain? = await destination.deliver([message]).fates.first else {
            Issue.record("it was sent in the clear")
            return
        }
        withExtendedLifetime(service) {}
        await destination.close()
    }
}
