import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

@testable import RiposteOutputs

/// Subjects from templates.
struct SubjectTests {
    private func subject(_ template: String, _ record: AuditRecord) throws -> String {
        let settings = Samples.settings(["subject": .init(.scalar(template, isPlain: false))])
        let subject = SubjectTemplate(settings)
        #expect(settings.problems() == [])
        return try #require(subject).subject(for: Samples.message(record))
    }

    @Test(
        "a value is one token",
        arguments: [
            ("Shell spawned by web server", "riposte.warning.shell_spawned_by_web_server"), ("a.b.>", "riposte.warning.a_b"), ("* > $JS.API", "riposte.warning.js_api"),
            ("\r\nPUB x 1", "riposte.warning.r_npub_x_1"), ("日本", "riposte.warning._"), ("{{ proc.name }}", "riposte.warning.proc_name"),
        ])
    func tokens(_ rule: String, _ expected: String) throws {
        #expect(try subject("riposte.{{ message.priority }}.{{ message.title }}", Samples.alert(rule.replacing("\r\n", with: "\\r\\n"))) == expected)
    }

    @Test func dotsOfFieldsAreNone() throws { #expect(try subject("soc.x-{{ proc.name }}.y", Samples.alert("r")) == "soc.x-sh.y") }

    @Test(arguments: ["a..b", "a.*", "a.>", "a b", "", ".a", "a.{{ nofield }}"])
    func badOnes(_ template: String) {
        let settings = Samples.settings(["subject": .init(.scalar(template, isPlain: false))])
        _ = SubjectTemplate(settings)
        #expect(!settings.problems().isEmpty)
    }
}

/// A real nats-server.
@Suite(.enabled(if: Machine.has("nats-server") && Machine.has("python3"), "needs nats-server and python3"))
struct RealNATSTests {
    private final class Server: Sendable {
        let folder: TemporaryFolder
        let service: Service
        let port: Int

        init(_ more: String = "", authorization: String = "user: riposte, password: hunter2") async throws {
            let folder = try TemporaryFolder()
            let configuration = """
                listen: "127.0.0.1:-1"
                ports_file_dir: "\(folder.path)"
                authorization { \(authorization) }
                jetstream { store_dir: "\(folder.path)/js", max_memory_store: 1MB }
                max_payload: 64KB
                \(more)
                """
            service = try Service(["nats-server", "-c", folder.file("nats.conf", configuration), "-l", folder.path + "/log"])
            self.folder = folder
            let path = "\(folder.path)/nats-server_\(service.child.pid).ports"
            #expect(await Service.comesAbout { (try? JSON(parsing: Array(Data(contentsOf: URL(fileURLWithPath: path))))) != nil })
            let ports = try JSON(parsing: Array(Data(contentsOf: URL(fileURLWithPath: path))))
            let url = try #require(ports["nats"]?.array?.first?.string?.repaired)
            port = try #require(url.split(separator: ":").last.flatMap { Int($0) })
        }

        func listener(_ arguments: String...) throws -> Service {
            let listener = try Service(["/usr/bin/python3", Service.fixture("nats_listener.py"), "\(port)"] + arguments)
            #expect(listener.line() == "ready")
            return listener
        }

        func destination(_ more: [SettingsValue.Member] = [], scheme: String = "nats", password: String = "hunter2", or other: Server? = nil) throws -> (
            NATSDestination, SecretMask
        ) {
            let servers = [port, other?.port].compactMap(\.self).map { SettingsValue(.scalar("\(scheme)://127.0.0.1:\($0)", isPlain: true)) }
            let settings = Samples.settings(
                .init(
                    .mapping(
                        [
                            .init(key: "servers", value: .init(.list(servers))), .init(key: "user", value: "riposte"),
                            .init(key: "password", value: .init(.scalar(password, isPlain: false))),
                        ] + more)))
            let destination = NATSDestination(settings: settings, context: Samples.context())
            #expect(settings.problems() == [])
            return (try #require(destination), SecretMask(settings.secrets))
        }
    }

    @Test("messages arrive on their subjects, with their ids")
    func arrive() async throws {
        let server = try await Server()
        let listener = try server.listener()
        let (destination, _) = try server.destination()
        let batch = Hostile.texts.enumerated().map { Samples.message(Int64($0 + 1), Samples.alert("Rule \($0)", output: $1)) }
        #expect(await destination.deliver(batch).fates.allSatisfy { $0 == .delivered })
        for (index, message) in batch.enumerated() {
            let heard = try JSON(parsing: Array(try #require(listener.line()).utf8))
            #expect(heard["subject"] == .text("riposte.warning.rule_\(index)"))
            #expect(heard["headers"]?.string?.repaired.contains("Nats-Msg-Id: \(message.hash)\r\n") == true)
            #expect(heard["payload"]?.string.flatMap { try? JSON(parsing: $0.bytes) } == .object(message.falcosidekickPayload))
        }
        await destination.close()
    }

    @Test("a stream stores a message once, however often it is sent")
    func jetStream() async throws {
        let server = try await Server()
        let listener = try server.listener("ALERTS")
        let (destination, _) = try server.destination([.init(key: "jetstream", value: "true")])
        let message = Samples.message(1, Samples.alert("r"))
        #expect(await destination.deliver([message]).fates == [.delivered])
        #expect(await destination.deliver([message]).fates == [.delivered])
        var receipts: [String] = []
        while receipts.count < 2, let line = listener.line() { if line.contains("duplicate") || line.contains("\\\"seq\\\"") { receipts.append(line) } }
        #expect(receipts.count == 2 && !receipts[0].contains("duplicate") && receipts[1].contains("duplicate"), "\(receipts)")
        await destination.close()
    }

    @Test("a server that stops reading is given up, and met afresh", arguments: [false, true])
    func deaf(_ isStored: Bool) async throws {
        let server = try Service(["/usr/bin/python3", Service.fixture("nats_deaf.py")])
        let port = try #require(server.line())
        let settings = Samples.settings(
            .init(
                .mapping([
                    .init(key: "servers", value: .init(.scalar("nats://127.0.0.1:\(port)", isPlain: true))), .init(key: "timeout", value: "200ms"),
                    .init(key: "jetstream", value: .init(.scalar("\(isStored)", isPlain: true))),
                ])))
        let destination = try #require(NATSDestination(settings: settings, context: Samples.context()))
        let batch = (1...100).map { Samples.message($0, Samples.alert("r", output: "x".repeated(200_000))) }
        for _ in 1...2 {
            let fates = await destination.deliver(batch).fates
            #expect(fates.count == 100 && fates.allSatisfy { if case .tryAgain = $0 { true } else { false } }, "\(fates.first.debugDescription)")
        }
        await destination.close()
    }

    @Test("a subject that no stream takes is tried again")
    func noStream() async throws {
        let server = try await Server()
        let (destination, _) = try server.destination([.init(key: "jetstream", value: "true"), .init(key: "timeout", value: "1s")])
        guard case .tryAgain? = await destination.deliver([Samples.message(1, Samples.alert("r"))]).fates.first else {
            Issue.record("nobody stored it")
            return
        }
        await destination.close()
    }

    @Test("what is larger than the server takes is rejected, the rest is not")
    func tooLarge() async throws {
        let server = try await Server()
        let (destination, _) = try server.destination()
        let large = Samples.message(1, Samples.alert("r", output: "x".repeated(100_000)))
        guard case .rejected? = await destination.deliver([large]).fates.first else {
            Issue.record("it was not rejected")
            return
        }
        #expect(await destination.deliver([Samples.message(2, Samples.alert("r"))]).fates == [.delivered])
        await destination.close()
    }

    @Test("of several the one that is too large is rejected alone, also if only its header makes it that, and the others come once", arguments: [65_500, 100_000])
    func oneTooLarge(_ size: Int) async throws {
        let server = try await Server()
        let listener = try server.listener()
        let (destination, _) = try server.destination([.init(key: "body", value: .init(.scalar("{{ message.text }}", isPlain: false)))])
        let batch = [("a", 10), ("b", size), ("c", 10)].enumerated().map { Samples.message(Int64($0 + 1), Samples.alert($1.0, output: "x".repeated($1.1))) }
        let report = await destination.deliver(batch)
        #expect(report.fates[0] == .delivered && report.fates[2] == .delivered && !report.isWhole)
        guard case .rejected(let reason) = report.fates[1] else {
            Issue.record("\(report)")
            return
        }
        #expect(reason.contains("65536"), "\(reason)")
        #expect(await destination.deliver([batch[0]]).fates == [.delivered])
        let subjects = try (1...3).map { _ in try JSON(parsing: Array(try #require(listener.line()).utf8))["subject"] }
        #expect(subjects == ["riposte.warning.a", "riposte.warning.c", "riposte.warning.a"])
        await destination.close()
    }

    @Test("what is larger than a stream takes is rejected, in the server's words, and holds up nothing")
    func tooLargeForTheStream() async throws {
        let server = try await Server()
        let listener = try server.listener("ALERTS", "3000")
        let (destination, _) = try server.destination([.init(key: "jetstream", value: "true")])
        let batch = [10, 5000, 10].enumerated().map { Samples.message(Int64($0 + 1), Samples.alert("r", output: "x".repeated($1))) }
        let fates = await destination.deliver(batch).fates
        guard case .rejected(let reason) = fates[1] else {
            Issue.record("\(fates)")
            return
        }
        #expect(fates[0] == .delivered && fates[2] == .delivered && reason.contains("message size exceeds maximum allowed"), "\(reason)")
        withExtendedLifetime(listener) {}
        await destination.close()
    }

    private static let restricted = "users: [{ user: riposte, password: hunter2, permissions: { publish: { deny: \"riposte.critical.>\" } } }]"

    @Test("what the server drops, as we must not publish it, counts as delivered nowhere; the connection is met afresh", arguments: [false, true])
    func forbidden(_ isFixed: Bool) async throws {
        let server = try await Server(authorization: Self.restricted)
        // Who may not publish on the one subject that there is waits.
        let (destination, _) = try server.destination(isFixed ? [.init(key: "subject", value: "riposte.critical.all")] : [])
        let (allowed, denied) = (Samples.message(1, Samples.alert("r")), Samples.message(2, Samples.alert("r", "Critical")))
        for batch in isFixed ? [[denied], [allowed, denied]] : [[allowed, denied]] {
            for fate in await destination.deliver(batch).fates {
                guard case .tryAgain(let reason, _) = fate else {
                    Issue.record("\(fate)")
                    continue
                }
                #expect(reason.contains("Permissions Violation"), "\(reason)")
            }
            if !isFixed { #expect(await destination.deliver([allowed]).fates == [.delivered]) }
        }
        await destination.close()
    }

    @Test("a message that we must not publish for what is in it is rejected, in the server's words, and holds up no other", arguments: [false, true])
    func forbiddenAlone(_ isStored: Bool) async throws {
        let server = try await Server(authorization: Self.restricted)
        let listener = try isStored ? server.listener("ALERTS") : nil
        let (destination, _) = try server.destination([.init(key: "jetstream", value: isStored ? "true" : "false"), .init(key: "timeout", value: "1s")])
        let (allowed, denied) = (Samples.message(1, Samples.alert("r")), Samples.message(2, Samples.alert("r", "Critical")))
        // Of what is stored each is answered for itself.
        for (batch, place) in isStored ? [([denied, allowed], 0)] : [([denied], 0), ([Samples.message(3, Samples.alert("r", output: "x".repeated(100_000))), denied], 1)] {
            let fates = await destination.deliver(batch).fates
            guard case .rejected(let reason) = fates[place] else {
                Issue.record("\(fates)")
                continue
            }
            #expect(reason.contains("Permissions Violation for Publish"), "\(reason)")
            if isStored { #expect(fates[1] == .delivered) }
        }
        #expect(await destination.deliver([allowed]).fates == [.delivered])
        withExtendedLifetime(listener) {}
        await destination.close()
    }

    @Test("of several servers one that does not let us in makes nothing come twice that another one has")
    func severalServers() async throws {
        let (strict, server) = (try await Server(authorization: "user: riposte, password: another"), try await Server())
        let listener = try server.listener()
        // Which one is asked first libnats leaves to chance.
        for number in 1...12 {
            let (destination, _) = try server.destination(or: strict)
            #expect(await destination.deliver([Samples.message(Samples.alert("r \(number)"))]).fates == [.delivered])
            let heard = try JSON(parsing: Array(try #require(listener.line()).utf8))
            #expect(heard["subject"] == .text("riposte.warning.r_\(number)"))
            await destination.close()
        }
    }

    @Test("at the deadline what is not stored yet is tried again, and not begun")
    func cancelled() async throws {
        let server = try await Server()
        let listener = try server.listener("ALERTS")
        let (destination, _) = try server.destination([.init(key: "jetstream", value: "true")])
        let batch = (1...3).map { Samples.message($0, Samples.alert("r")) }
        let delivery = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await destination.deliver(batch)
        }
        let fates = await delivery.value.fates
        #expect(fates.count == 3 && fates.allSatisfy { if case .tryAgain = $0 { true } else { false } }, "\(fates)")
        withExtendedLifetime(listener) {}
        await destination.close()
    }

    @Test("a wrong password is tried again and never shown")
    func wrongPassword() async throws {
        let server = try await Server()
        let (destination, mask) = try server.destination(password: "wrong-hunter3")
        guard case .tryAgain(let reason, _)? = mask.masked(await destination.deliver([Samples.message(1, Samples.alert("r"))])).fates.first else {
            Issue.record("it was let in")
            return
        }
        #expect(!reason.contains("hunter3"))
        await destination.close()
    }

    @Test("over TLS, with the authority that is configured", .enabled(if: Certificates.isPossible, "needs openssl"))
    func overTLS() async throws {
        let certificates = try Certificates.shared.get()
        let server = try await Server("tls { cert_file: \"\(certificates.path("server.crt"))\", key_file: \"\(certificates.path("server.key"))\" }")
        let authority: SettingsValue = ["ca": .init(.scalar(certificates.path("ca.crt"), isPlain: false))]
        let (trusting, _) = try server.destination([.init(key: "tls", value: authority)], scheme: "tls")
        let message = Samples.message(1, Samples.alert("r"))
        #expect(await trusting.deliver([message]).fates == [.delivered])
        let (wary, _) = try server.destination([], scheme: "tls")
        guard case .tryAgain? = await wary.deliver([message]).fates.first else {
            Issue.record("a stranger was trusted")
            return
        }
        await trusting.close()
        await wary.close()
    }
}
