import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

@testable import RiposteOutputs

/// What a message looks like on the wire.
struct SyslogFormatTests {
    private func line(_ record: AuditRecord, _ keys: SettingsValue = ["hostname": "node-7"]) throws -> String {
        let settings = Samples.settings(keys)
        let format = SyslogFormat(settings, Samples.context(), standardLimit: 8192)
        #expect(settings.problems() == [])
        return String(decoding: try #require(format).bytes(of: Samples.message(record)), as: UTF8.self)
    }

    @Test func theHeader() throws {
        let line = try line(Samples.alert("Shell", "Critical"), ["facility": "authpriv", "app_name": "edr", "hostname": "node-7"])
        // authpriv is 10, critical 2.
        let uuid = Samples.message(Samples.alert("x")).uuid
        #expect(
            line.hasPrefix(
                "<82>1 2026-03-04T11:22:33.123456Z node-7 edr \(getpid()) alert [riposte@32473 uuid=\"\(uuid)\" priority=\"critical\" rule=\"Shell\" source=\"syscall\"] {\"uuid\"")
        )
    }

    @Test(
        "the severity is the priority's",
        arguments: [("Emergency", 128), ("Alert", 129), ("Critical", 130), ("Error", 131), ("Warning", 132), ("Notice", 133), ("Informational", 134), ("Debug", 135)])
    func severity(_ priority: String, _ number: Int) throws { #expect(try line(Samples.alert("r", priority)).hasPrefix("<\(number)>1 ")) }

    @Test(
        "a value in structured data cannot end it",
        arguments: [
            (#"a"b\c]d"#, #"rule="a\"b\\c\]d""#), ("x\ny", #"rule="x\\ny""#), ("\u{1B}[0m", #"rule="\\x1b[0m""#), ("ü", #"rule="ü""#),
        ])
    func structuredData(_ rule: String, _ expected: String) throws {
        let line = try line(Samples.alert(rule))
        #expect(line.contains(expected), "\(line)")
    }

    @Test("the mark stands before what is not ASCII, in text only")
    func mark() throws {
        let mark = "\u{FEFF}"
        #expect(try line(Samples.alert("r", output: "plain"), ["format": "text"]).hasSuffix("] r: plain"))
        #expect(try line(Samples.alert("r", output: "für"), ["format": "text"]).hasSuffix("] \(mark)r: für"))
        #expect(try line(Samples.alert("r", output: "für"), ["format": "text", "bom": "false"]).hasSuffix("] r: für"))
        #expect(try !line(Samples.alert("r", output: "für")).contains(mark))
    }

    @Test(
        "CEF's separators arrive as text",
        arguments: [
            ("a|b", "|a\\|b|a\\|b|6|", "cs1=a|b"), (#"a\b"#, #"|a\\b|a\\b|6|"#, #"cs1=a\\b"#), ("a=b", "|a=b|a=b|6|", #"cs1=a\=b"#), ("a\nb", #"|a\\nb|a\\nb|6|"#, #"cs1=a\nb"#),
        ])
    func commonEvent(_ rule: String, _ head: String, _ field: String) throws {
        let text = CommonEvent(Samples.message(Samples.alert(rule))).text
        #expect(text.hasPrefix("CEF:0|Riposte|Riposte|1.0" + head), "\(text)")
        #expect(text.contains(field), "\(text)")
        #expect(text.utf8.allSatisfy { $0 >= 0x20 })
    }

    @Test("what is too long stays JSON, and says so", arguments: [600, 2048, 8192])
    func tooLong(_ limit: Int) throws {
        let record = Samples.alert("r", fields: ["proc.cmdline": .text("ü".repeated(4000))], output: "é\"".repeated(9000))
        let line = try line(record, ["max_bytes": .init(.scalar("\(limit)", isPlain: true)), "structured_data": ["enabled": "false"]])
        #expect(line.utf8.count <= limit)
        let payload = try JSON(parsing: Array(line[try #require(line.firstIndex(of: "{"))...].utf8))
        #expect(payload["truncated"] == true && payload["rule"] == "r")
    }

    @Test("long facts leave room for the words", arguments: [480, 1024, 2048], ["json", "text", "cef"])
    func longFacts(_ limit: Int, _ format: String) throws {
        var record = AuditRecord(.outcome, at: Samples.time)
        (record.action, record.outcome, record.playbook, record.step) = ("process.kill", .failed, "\"]".repeated(300), "\\".repeated(300))
        for record in [record, Samples.alert("\"".repeated(1000), source: "]".repeated(1000)), Samples.alert("\u{1}".repeated(1000), output: "\u{1}".repeated(1000))] {
            let line = try line(record, ["max_bytes": .init(.scalar("\(limit)", isPlain: true)), "format": .init(.scalar(format, isPlain: true)), "hostname": "node-7"])
            #expect(line.utf8.count <= limit, "\(line)")
            #expect(limit == 480 || line.contains(Samples.message(record).uuid))
        }
    }

    @Test("hostile text stays on its line, in each format", arguments: Hostile.texts, ["json", "text", "cef"])
    func hostile(_ text: String, _ format: String) throws {
        let keys: SettingsValue = ["format": .init(.scalar(format, isPlain: true))]
        let line = try line(Samples.alert(text, fields: ["proc.name": .text(text)], output: text), keys)
        #expect(!line.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F || $0 == "\u{202E}" && format != "json" }, "\(line)")
        #expect(!line.contains("agent-1 agent-1"))
    }
}

/// The keys.
struct SyslogSettingsTests {
    @Test(
        arguments: [
            (["address": "http://x"], "expected unix:///dev/log"), (["address": "udp://x", "framing": "octets"], "framing has no effect"),
            (["address": "tcp://x", "tls": ["verify": "false"]], "tls has no effect"), (["facility": "local9"], "expected one of kern"),
            (["format": "cef", "text": "x"], "text has no effect"),
            (["app_name": "a b"], "visible ASCII"), (["adress": "udp://x"], "unknown key"),
        ] as [(SettingsValue, String)])
    func mistakes(_ keys: SettingsValue, _ problem: String) {
        let settings = Samples.settings(keys)
        _ = SyslogDestination(settings: settings, context: Samples.context())
        let problems = settings.problems()
        #expect(problems.contains { $0.message.contains(problem) }, "\(problems)")
    }
}

/// A real rsyslog, with a configuration, sockets and ports of the test's own.
@Suite(.serialized, .enabled(if: Machine.has("rsyslogd") && Certificates.isPossible, "needs rsyslog, its module gtls, and openssl"))
struct RealSyslogTests {
    private final class Daemon: Sendable {
        let folder: TemporaryFolder
        let (udp, tcp, tls): (Int, Int, Int)
        let service: Service
        var socket: String { folder.path + "/log" }

        init(ports: (Int, Int, Int)? = nil) async throws {
            let folder = try TemporaryFolder()
            let certificates = try Certificates.shared.get()
            (udp, tcp, tls) = try ports ?? (Service.freePort(Int32(SOCK_DGRAM.rawValue)), Service.freePort(), Service.freePort())
            let configuration = """
                global(workDirectory="\(folder.path)" maxMessageSize="64k" DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="\(certificates.path("ca.crt"))"
                  DefaultNetstreamDriverCertFile="\(certificates.path("server.crt"))" DefaultNetstreamDriverKeyFile="\(certificates.path("server.key"))")
                module(load="imudp")
                module(load="imptcp")
                module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
                module(load="imuxsock" SysSock.Use="off")
                input(type="imudp" address="127.0.0.1" port="\(udp)")
                input(type="imptcp" address="127.0.0.1" port="\(tcp)")
                input(type="imtcp" address="127.0.0.1" port="\(tls)")
                input(type="imuxsock" Socket="\(folder.path)/log" UseSpecialParser="off" ParseHostname="on" UseSysTimeStamp="off")
                template(name="facts" type="string" string="%pri%|%timestamp:::date-rfc3339%|%hostname%|%app-name%|%procid%|%msgid%|%structured-data%|%msg%\\n")
                action(type="omfile" file="\(folder.path)/out" template="facts")
                """
            service = try Service(["/usr/sbin/rsyslogd", "-n", "-f", folder.file("rsyslog.conf", configuration), "-i", folder.path + "/pid"])
            self.folder = folder
            let socket = folder.path + "/log"
            #expect(await Service.comesAbout { FileManager.default.fileExists(atPath: socket) })
            // Its listeners come up one after the other.
            let tls = tls
            #expect(await Service.comesAbout { (try? run(["curl", "-s", "telnet://127.0.0.1:\(tls)", "--max-time", "0.2"]).status) != 7 })
        }

        func lines(_ count: Int) async throws -> [String] {
            let path = folder.path + "/out"
            func read() -> [String] { ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: "\n").map(String.init) }
            #expect(await Service.comesAbout { read().count >= count })
            return read()
        }

        func destination(_ address: String, _ more: [SettingsValue.Member] = []) throws -> SyslogDestination {
            var keys: [SettingsValue.Member] = [.init(key: "address", value: .init(.scalar(address, isPlain: true)))] + more
            if address.hasPrefix("tls") {
                let paths = try ["ca": "ca.crt", "certificate": "client.crt", "key": "client.key"].map { key, name in
                    SettingsValue.Member(key: key, value: .init(.scalar(try Certificates.shared.get().path(name), isPlain: true)))
                }
                keys.append(.init(key: "tls", value: .init(.mapping(paths))))
            }
            let settings = Samples.settings(.init(.mapping(keys)))
            let destination = SyslogDestination(settings: settings, context: Samples.context())
            #expect(settings.problems() == [])
            return try #require(destination)
        }
    }

    @Test("messages arrive whole, by every way", arguments: ["unix", "udp", "tcp", "tls"])
    func arrive(_ way: String) async throws {
        let daemon = try await Daemon()
        let address =
            ["unix": "unix://\(daemon.socket)", "udp": "udp://127.0.0.1:\(daemon.udp)", "tcp": "tcp://127.0.0.1:\(daemon.tcp)", "tls": "tls://127.0.0.1:\(daemon.tls)"][way] ?? ""
        let destination = try daemon.destination(address)
        let batch = (1...3).map { Samples.message(Int64($0), Samples.alert("rule ] \($0)", output: "a\nb")) }
        #expect(await destination.deliver(batch).fates == [.delivered, .delivered, .delivered])
        let lines = try await daemon.lines(3)
        let words = lines[0].split(separator: "|", maxSplits: 7).map(String.init)
        // By its Unix socket rsyslog sets the time itself.
        let time = way == "unix" ? words[1] : "2026-03-04T11:22:33.123456Z"
        #expect(Array(words.prefix(6)) == ["132", time, "agent-1", "riposte", "\(getpid())", "alert"])
        #expect(words[6].contains(#"rule="rule \] 1""#))
        #expect(try JSON(parsing: Array(words[7].trimmingCharacters(in: .whitespaces).utf8))["output"] == "a\nb")
        await destination.close()
    }

    @Test("each hostile text is one message", arguments: ["json", "text", "cef"])
    func hostile(_ format: String) async throws {
        let daemon = try await Daemon()
        let destination = try daemon.destination("tcp://127.0.0.1:\(daemon.tcp)", [.init(key: "format", value: .init(.scalar(format, isPlain: true)))])
        let batch = Hostile.texts.enumerated().map { Samples.message(Int64($0 + 1), Samples.alert($1, output: $1)) }
        #expect(await destination.deliver(batch).fates.allSatisfy { $0 == .delivered })
        let lines = try await daemon.lines(batch.count)
        #expect(lines.count == batch.count)
        #expect(lines.allSatisfy { $0.hasPrefix("132|2026-03-04T11:22:33.123456Z|agent-1|riposte|") })
        await destination.close()
    }

    @Test("a daemon that was restarted is met anew")
    func restart() async throws {
        var daemon: Daemon? = try await Daemon()
        let ports = (daemon?.udp ?? 0, daemon?.tcp ?? 0, daemon?.tls ?? 0)
        let destination = try #require(try daemon?.destination("tcp://127.0.0.1:\(ports.1)"))
        let message = Samples.message(1, Samples.alert("r"))
        #expect(await destination.deliver([message]).fates == [.delivered])
        _ = try await daemon?.lines(1)
        daemon?.service.child.signal(SIGKILL)
        _ = daemon?.service.child.waitForExit()
        daemon = nil
        guard case .tryAgain? = await destination.deliver([message]).fates.first else {
            Issue.record("nobody is there")
            return
        }
        let next = try await Daemon(ports: ports)
        #expect(await destination.deliver([message]).fates == [.delivered])
        #expect(try await next.lines(1).count == 1)
        await destination.close()
    }

    @Test("a certificate that nobody vouches for is not trusted")
    func stranger() async throws {
        let daemon = try await Daemon()
        let settings = Samples.settings(["address": .init(.scalar("tls://127.0.0.1:\(daemon.tls)", isPlain: true))])
        let destination = try #require(SyslogDestination(settings: settings, context: Samples.context()))
        guard case .tryAgain(let reason, _)? = await destination.deliver([Samples.message(1, Samples.alert("r"))]).fates.first else {
            Issue.record("it was trusted")
            return
        }
        #expect(reason.contains("certificate"))
    }
}
