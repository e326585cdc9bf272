import Foundation
import Logging
import RiposteCore
@testable import RiposteIntake
import RiposteTestSupport
import RiposteTransport
import Testing

@Suite("http: alerts by POST", .serialized)
struct HTTPIntakeTests {
    let sink = RecordingSink()
    private let client = HTTPClient()
    /// Those that this machine has.
    private static let loopbacks =
        ["127.0.0.1"] + (((try? String(contentsOfFile: "/proc/net/if_inet6", encoding: .utf8)) ?? "").contains("00000000000000000000000000000001") ? ["::1"] : [])

    private struct Server {
        let port: Int
        let counters: IntakeCounters
        let client: HTTPClient
        let configuration: HTTPIntake.Configuration
        let renew: @Sendable (HTTPIntake.Configuration) throws -> Bool

        func send(
            _ body: [UInt8], method: HTTPRequest.Method = .post, path: String = "/", headers: [(String, String)] = [("Content-Type", "application/json")],
            scheme: String = "http", tls: TLSOptions = TLSOptions()
        ) async throws(TransportError) -> HTTPResponse {
            try await client.send(HTTPRequest(method, "\(scheme)://127.0.0.1:\(port)\(path)", headers: headers, body: body, timeout: .seconds(20), tls: tls))
        }
    }

    private func withServer(_ change: (inout HTTPIntake.Configuration) -> Void = { _ in }, _ body: (Server) async throws -> Void) async throws {
        var configuration = HTTPIntake.Configuration()
        configuration.port = 0
        change(&configuration)
        let (ports, report) = AsyncStream.makeStream(of: Int.self)
        let intake = try HTTPIntake(configuration, sink: sink, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })) { report.yield($0) }
        try await withIntake(intake) {
            var iterator = ports.makeAsyncIterator()
            try await body(
                Server(port: try #require(await iterator.next()), counters: intake.counters, client: client, configuration: configuration, renew: { try intake.renew($0) }))
        }
    }

    @Test(
        "one alert, an array, lines; whatever the path and the content type",
        arguments: [
            (alert("a"), ["a"]), ("[" + alert("a") + "," + alert("b") + "]", ["a", "b"]), (alert("a") + "\n" + alert("b") + "\n\n", ["a", "b"]),
            ("\n " + alert("a") + " \n", ["a"]),
        ], ["/", "/alerts"])
    func bodies(body: (text: String, rules: [String]), path: String) async throws {
        try await withServer { server in
            for type in ["application/json", "text/plain", "application/x-ndjson"] {
                let response = try await server.send(Array(body.text.utf8), path: path, headers: [("Content-Type", type)])
                #expect(response.status == 202)
                let answer = try JSON(parsing: response.body)
                let ids = sink.alerts.suffix(body.rules.count).map { JSON.text("\($0.id)") }
                #expect(answer["ids"]?.array == ids)
                let only = ids.count == 1 ? ids.first : JSON?.none
                #expect(answer["id"] == only)
            }
            #expect(sink.rules == body.rules + body.rules + body.rules)
            #expect(sink.alerts[0].arrival.peer?.hasPrefix("127.0.0.1:") == true)
            #expect(server.counters.snapshot.accepted == 3 * body.rules.count)
        }
    }

    @Test("all that a real Falco wrote, in one body, comes through as it was")
    func falco() async throws {
        let lines = try Fixtures.falcoAlerts()
        try await withServer { server in
            let response = try await server.send(Array(lines.joined(separator: [0x0A])))
            #expect(response.status == 202)
            #expect(sink.alerts.count == lines.count)
            for (alert, line) in zip(sink.alerts, lines) { #expect(try JSON.object(alert.document) == JSON(parsing: line)) }
        }
    }

    @Test(
        "what is no alert is refused with the reason and the place, and nothing of the body is taken",
        arguments: [
            ("", 400, nil, nil), ("{", 400, 1, 1), ("nonsense", 400, 1, 0), ("[]", 400, nil, 0), (#"{"priority":"Warning"}"#, 400, 1, nil),
            (alert("a") + "\n{\"rule\":\n", 400, 2, nil), ("[" + alert("a") + ",7]", 400, 2, nil), (#"{"rule":"a","priority":"Purple","output":"o"}"#, 400, 1, nil),
            (String(repeating: "[", count: 100_000), 400, 1, nil), (String(repeating: #"{"a":"#, count: 100_000), 400, 1, nil), ("\u{0}\u{1}\u{1b}[31m", 400, 1, 0),
            (alert("a") + "}", 400, 1, nil), (#"{"rule":"a","priority":"Warning","output":"o","output_fields":[]}"#, 400, 1, nil),
        ] as [(String, Int, Int?, Int?)])
    func refused(text: String, status: Int, number: Int?, offset: Int?) async throws {
        try await withServer { server in
            let response = try await server.send(Array(text.utf8))
            #expect(response.status == status)
            let answer = try JSON(parsing: response.body)
            #expect(answer["error"]?.string?.shown.isEmpty == false)
            if let number { #expect(answer["alert"]?.integer == Int64(number)) }
            if let offset, number != nil { #expect(answer["offset"]?.integer == Int64(offset)) }
            #expect(sink.alerts.isEmpty)
            #expect(server.counters.snapshot.rejected == 1)
        }
    }

    @Test("a list in which one alert is not UTF-8 keeps that one's bytes as evidence")
    func notUTF8InList() async throws {
        try await withServer { server in
            let bad = Array(alert("x").utf8).map { $0 == UInt8(ascii: "x") ? 0xFF : $0 }
            let response = try await server.send([0x5B] + Array(alert("a").utf8) + [0x2C] + bad + [0x5D])
            #expect(response.status == 202)
            #expect(sink.alerts.map(\.rule.bytes) == [[UInt8(ascii: "a")], [0xFF]])
            #expect(sink.alerts[1].original == bad)
        }
    }

    @Test("too large, by what it says and by what it is", arguments: [true, false])
    func tooLarge(isChunked: Bool) async throws {
        try await withServer({ $0.bodyLimit = 1000 }) { server in
            let head = "POST / HTTP/1.1\r\nHost: x\r\n" + (isChunked ? "Transfer-Encoding: chunked\r\n\r\n7D0\r\n" : "Content-Length: 104857600\r\n\r\n")
            let body = String(repeating: " ", count: 2000)
            let answer = try await Raw.exchange(server.port, isChunked ? "\(head)\(body)\r\n0\r\n\r\n" : head + body)
            #expect(answer.hasPrefix("HTTP/1.1 413 "), "\(answer.prefix(100))")
            #expect(server.counters.snapshot.rejected == 1)
            #expect(try await server.send(Array(alert("a").utf8)).status == 202)
        }
    }

    @Test("a token, wrong, missing, right", arguments: [(nil, 401), ("Bearer wrong", 401), ("Bearer ", 401), ("bearer-two", 401), ("Bearer two", 202), ("Bearer one", 202)])
    func token(header: String?, status: Int) async throws {
        try await withServer({ $0.tokens = ["one", "two"] }) { server in
            let response = try await server.send(Array(alert("a").utf8), headers: header.map { [("Authorization", $0)] } ?? [])
            #expect(response.status == status)
            #expect(sink.alerts.count == (status == 202 ? 1 : 0))
            #expect(server.counters.snapshot.denied == (status == 401 ? 1 : 0))
        }
    }

    @Test("tokens are taken up while it listens; one that is gone opens nothing, and none at all opens nothing either")
    func newTokens() async throws {
        try await withServer({ $0.tokens = ["one", "two"] }) { server in
            func status(_ token: String) async throws -> Int { try await server.send(Array(alert("a").utf8), headers: [("Authorization", "Bearer \(token)")]).status }
            var fresh = server.configuration
            let isNews = try server.renew(fresh)
            #expect(!isNews)
            fresh.tokens = ["two", "three"]
            #expect(try server.renew(fresh))
            #expect(try await status("one") == 401)
            #expect(try await status("two") == 202)
            #expect(try await status("three") == 202)
            fresh.tokens = []
            #expect(try server.renew(fresh))
            #expect(try await server.send(Array(alert("a").utf8)).status == 401)
            #expect(try await status("two") == 401)
        }
    }

    @Test(
        "a full engine, one that stops, one that cannot keep it safe",
        arguments: [(AdmissionError.full, 429, "1"), (.closed, 503, nil), (.unsafe("No space left on device"), 503, nil), (.rationed("so much"), 429, "10")]
            as [(AdmissionError, Int, String?)])
    func refusal(error: AdmissionError, status: Int, retryAfter: String?) async throws {
        sink.refuse(error)
        try await withServer { server in
            let response = try await server.send(Array(alert("a").utf8))
            #expect(response.status == status)
            #expect(response.header("retry-after") == retryAfter)
            if case .rationed(let reason) = error {
                #expect(try JSON(parsing: response.body)["error"] == .text(reason))
                #expect(server.counters.snapshot.rationed == 1 && server.counters.snapshot.shed == 0)
            }
            let health = try await server.send([], method: .get, path: "/healthz").status
            #expect(health == (error == .unsafe("No space left on device") ? 503 : 200))
            sink.refuse(nil)
            #expect(try await server.send(Array(alert("b").utf8)).status == 202)
            #expect(try await server.send([], method: .get, path: "/healthz").status == 200)
        }
    }

    @Test("a list with more in it than there is room for at once gets through when it is sent again and again, each alert once, and its ids are those of the alerts")
    func biggerThanTheRoom() async throws {
        let rules = (0..<8).map { "r\($0)" }
        let body = Array(("[" + rules.map(alert).joined(separator: ",") + "]").utf8)
        try await withServer { server in
            for room in [3, 3, 4, 7] {
                sink.makeRoom(room)
                let response = try await server.send(body)
                #expect(response.status == 429)
                #expect(sink.alerts.count == room)
                #expect(try JSON(parsing: response.body)["ids"]?.array?.count == room)
            }
            sink.makeRoom(.max)
            let response = try await server.send(body)
            #expect(response.status == 202 && sink.rules == rules)
            let answer = try JSON(parsing: response.body)
            #expect(answer["ids"]?.array == sink.alerts.map { .text("\($0.id)") })
            #expect(server.counters.snapshot.accepted == 8)
            // Once it is through, the same text is news again.
            #expect(try await server.send(body).status == 202)
            #expect(sink.rules == rules + rules)
        }
    }

    @Test("the part of a list that found room is named, so that the rest can be sent again")
    func partlyFull() async throws {
        sink.makeRoom(1)
        try await withServer { server in
            let response = try await server.send(Array((alert("a") + "\n" + alert("b")).utf8))
            #expect(response.status == 429)
            #expect(try JSON(parsing: response.body)["ids"]?.array?.count == 1)
        }
    }

    @Test(
        "other methods and paths",
        arguments: [
            (HTTPRequest.Method.get, "/", 405), (.post, "/other", 404), (.delete, "/alerts", 405), (.get, "/healthz", 200), (.put, "/healthz", 405), (.put, "/alerts", 202),
        ])
    func others(method: HTTPRequest.Method, path: String, status: Int) async throws {
        try await withServer { server in
            let response = try await server.send(Array(alert("a").utf8), method: method, path: path)
            #expect(response.status == status)
            #expect((response.header("allow") != nil) == (status == 405))
        }
    }

    @Test(
        "on loopback, where nobody shows who he is, it is the user whose the connection is that counts; he is on record",
        .enabled(if: geteuid() == 0, "needs root: sends as another user"),
        arguments: [
            (0, [], false, Alert.Arrival.Trust.trusted), (65534, [], false, .untrusted), (65534, [65534], false, .trusted), (65534, [1], false, .untrusted),
            (65534, [], true, .trusted),
        ] as [(UInt32, Set<UInt32>, Bool, Alert.Arrival.Trust)], loopbacks)
    func sender(sender: (user: UInt32, believed: Set<UInt32>, isAnybody: Bool, trust: Alert.Arrival.Trust), host: String) async throws {
        try await withServer({ ($0.host, $0.userIDs, $0.allowsUnauthenticated) = (host, sender.believed, sender.isAnybody) }) { server in
            let url = "http://\(host == "::1" ? "[::1]" : host):\(server.port)/"
            let answer = try run(["setpriv", "--reuid", "\(sender.user)", "--clear-groups", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", alert("a"), url])
            #expect(answer.output == "202")
            #expect(sink.alerts.map(\.arrival.trust) == [sender.trust])
            #expect(server.counters.snapshot.untrusted == (sender.trust == .untrusted ? 1 : 0))
            if !sender.isAnybody { #expect(sink.alerts.first?.arrival.peer?.hasSuffix(" uid \(sender.user)") == true) }
        }
    }

    /// What is a byte too long, and what is not. Tags count together.
    private static let lengths: [(words: String, isTaken: Bool)] = [
        (#""rule":"\#(String(repeating: "r", count: 1024))","priority":"Warning""#, true), (#""rule":"\#(String(repeating: "r", count: 1025))","priority":"Warning""#, false),
        (#""rule":"a","priority":"Warning","tags":["\#(String(repeating: "t", count: 1000))","\#(String(repeating: "t", count: 25))"]"#, false),
        (#""rule":"a","priority":"Warning","hostname":"\#(String(repeating: "h", count: 1025))""#, false),
        (#""rule":"a","priority":"Warning","source":"\#(String(repeating: "s", count: 1025))""#, false),
        (#""rule":"a","priority":"Warning","output":"\#(String(repeating: "o", count: 65_000))""#, true),
        (#""rule":"a","priority":"Warning","output":"\#(String(repeating: "o", count: 65_536))""#, false),
    ]

    @Test("what is too long of a sender who is not believed is refused, with the reason; of one who is, it is taken", arguments: [true, false], [false, true])
    func lengths(isBelieved: Bool, asLines: Bool) async throws {
        try await withServer({ $0.trust = isBelieved ? .trusted : .untrusted }) { server in
            for (words, isTaken) in Self.lengths {
                let text = #"{"time":"2026-11-23T10:00:00Z",\#(words)}"#
                let answer = try await server.send(Array((asLines ? "\(alert("first"))\n\(text)" : "[\(text)]").utf8))
                #expect(answer.status == (isTaken || isBelieved ? 202 : 400), "\(words.prefix(60))")
                if answer.status == 400 { #expect(try JSON(parsing: answer.body)["error"]?.string?.shown.contains("not believed") == true) }
            }
        }
    }

    @Test("who has gone before he is asked about is nobody who is believed")
    func gone() async throws {
        try await withServer { server in
            let body = alert("a")
            try Raw.sendAndGo(server.port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            // Whether it is read before he is gone is chance; whom the kernel does not name is not believed.
            for _ in 0..<200 where sink.alerts.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
            for alert in sink.alerts { #expect((alert.arrival.trust == .trusted) == (alert.arrival.peer?.hasSuffix(" uid \(geteuid())") == true)) }
        }
    }

    @Test("a token or a certificate says enough, whoever's the connection is")
    func authenticated() async throws {
        try await withServer({ $0.tokens = ["one"] }) { server in
            let response = try await server.send(Array(alert("a").utf8), headers: [("Authorization", "Bearer one")])
            #expect(response.status == 202)
            #expect(sink.alerts.first?.arrival.trust == .trusted)
            #expect(sink.alerts.first?.arrival.peer?.contains("uid") == false)
        }
    }

    @Test("bodies that do not end have so much memory and no more; others' alerts are taken meanwhile, as far as they fit")
    func unfinishedBodies() async throws {
        try await withServer { server in
            var descriptors: [Int32] = []
            defer { for descriptor in descriptors { close(descriptor) } }
            let before = try residentBytes()
            // Small ones behind the large ones, in which one that is refused may leave room for nearly another one.
            for (number, length) in [(300, 1_000_000), (40, 100_000)] {
                let part = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \(length)\r\n\r\n" + String(repeating: " ", count: length * 9 / 10)
                for _ in 0..<number { descriptors.append(try Raw.begin(server.port, part)) }
            }
            try await until { server.counters.snapshot.shed > 250 }
            #expect(server.counters.snapshot.shed > 250)
            // 64 MiB for bodies, and half of it for one sender; the rest is what connections cost.
            #expect(try residentBytes() - before < 128 << 20)
            // Those above are still coming in: until they are, some may fit.
            var refused = try await server.send(Array(alert("a").utf8) + Array(repeating: 0x20, count: 990_000))
            for _ in 0..<100 where refused.status == 202 {
                try await Task.sleep(for: .milliseconds(50))
                refused = try await server.send(Array(alert("a").utf8) + Array(repeating: 0x20, count: 990_000))
            }
            #expect(refused.status == 503 && refused.header("retry-after") == "1")
            if geteuid() == 0 {
                let url = "http://127.0.0.1:\(server.port)/"
                let answer = try run(["setpriv", "--reuid", "65534", "--clear-groups", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", alert("other"), url])
                #expect(answer.output == "202", "the other half is for others")
            }
            for descriptor in descriptors { close(descriptor) }
            descriptors = []
            for _ in 0..<500 {
                if try await server.send(Array(alert("b").utf8)).status == 202 { break }
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(sink.rules.filter { $0 != "a" } == (geteuid() == 0 ? ["other", "b"] : ["b"]))
        }
    }

    private func residentBytes() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        return (text.firstMatch(of: /VmRSS:\s+(\d+)/).flatMap { Int($0.1) } ?? 0) * 1024
    }

    @Test("who trickles on is cut off though the answer was given long ago", arguments: ["/nowhere", "/"])
    func trickle(path: String) async throws {
        try await withServer({ ($0.bodyTimeout, $0.tokens) = (.milliseconds(500), ["secret"]) }) { server in
            let isClosed = try await Raw.trickle(server.port, "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
            #expect(isClosed)
        }
    }

    @Test("who trickles a body or sends nothing at all is let go, and others are served meanwhile")
    func slow() async throws {
        try await withServer({ ($0.bodyTimeout, $0.idleTimeout) = (.milliseconds(300), .milliseconds(300)) }) { server in
            async let trickled = Raw.exchange(server.port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
            async let silent = Raw.exchange(server.port, "")
            async let halfHead = Raw.exchange(server.port, "POST / HTT")
            #expect(try await server.send(Array(alert("a").utf8)).status == 202)
            let (slow, nothing, half) = (try await trickled, try await silent, try await halfHead)
            #expect(slow.isEmpty || slow.hasPrefix("HTTP/1.1 408 "))
            #expect(nothing.isEmpty)
            #expect(half.isEmpty || half.hasPrefix("HTTP/1.1 4"))
        }
    }

    @Test(
        "what is not HTTP ends its own connection",
        arguments: ["\u{16}\u{3}\u{1}\u{2}\u{0}", "GET\r\n\r\n", "POST / HTTP/9.9\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n"])
    func notHTTP(text: String) async throws {
        try await withServer({ $0.idleTimeout = .milliseconds(500) }) { server in
            let answer = try await Raw.exchange(server.port, text)
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 4") || answer.hasPrefix("HTTP/1.0 4"), "\(answer)")
            #expect(try await server.send(Array(alert("a").utf8)).status == 202)
        }
    }

    // MARK: - TLS

    @Test("mutual TLS: our client is served, a stranger and nobody are not", .enabled(if: Certificates.isPossible, "needs openssl"), arguments: ["client", "stranger", nil])
    func mutualTLS(who: String?) async throws {
        let certificates = try Certificates.shared.get()
        func bytes(_ name: String) throws -> [UInt8] { Array(try #require(FileManager.default.contents(atPath: certificates.path(name)))) }
        try await withServer({
            $0.tls = .init(certificate: certificates.path("server.crt"), key: certificates.path("server.key"), clientAuthority: certificates.path("ca.crt"))
        }) { server in
            let tls = TLSOptions(
                authorities: try bytes("ca.crt"), certificate: try who.map { try bytes("\($0).crt") }, key: try who.map { try bytes("\($0).key") })
            let status = try? await server.send(Array(alert("a").utf8), scheme: "https", tls: tls).status
            #expect(status == (who == "client" ? 202 : nil))
            #expect(sink.alerts.count == (who == "client" ? 1 : 0))
        }
    }

    @Test("certificates are taken up while it listens, whom they let in too; ones that cannot be used change nothing", .enabled(if: Certificates.isPossible, "needs openssl"))
    func newCertificates() async throws {
        let (certificates, folder) = (try Certificates.shared.get(), try TemporaryFolder())
        func bytes(_ name: String) throws -> [UInt8] { Array(try #require(FileManager.default.contents(atPath: certificates.path(name)))) }
        func put(_ name: String, as file: String) throws { try Data(bytes(name)).write(to: URL(fileURLWithPath: "\(folder.path)/\(file)")) }
        for (name, file) in [("server.crt", "crt"), ("server.key", "key"), ("ca.crt", "ca")] { try put(name, as: file) }
        try await withServer({ $0.tls = .init(certificate: folder.path + "/crt", key: folder.path + "/key", clientAuthority: folder.path + "/ca") }) { server in
            func status(_ who: String) async throws -> Int? {
                let tls = TLSOptions(authorities: try bytes("ca.crt"), certificate: try bytes("\(who).crt"), key: try bytes("\(who).key"))
                // Of its own connection: one that is open goes by what was in force when it began.
                return try? await server.send(Array(alert("a").utf8), headers: [("Connection", "close")], scheme: "https", tls: tls).status
            }
            func answers() async throws -> [Int?] { [try await status("client"), try await status("stranger")] }
            #expect(try server.renew(server.configuration) == false)
            #expect(try await answers() == [202, nil])
            try put("stranger-ca.crt", as: "ca")
            #expect(try server.renew(server.configuration))
            #expect(try await answers() == [nil, 202], "who is let in has changed")
            try put("ca.crt", as: "ca")
            for wrong in ["client.key", "ca.crt"] {
                try put(wrong, as: "key")
                #expect(throws: HTTPListener.Misconfigured.self) { try server.renew(server.configuration) }
                #expect(try await answers() == [nil, 202])
            }
            try put("server.key", as: "key")
            #expect(try server.renew(server.configuration))
            #expect(try await answers() == [202, nil])
        }
    }

    @Test(
        "an address that others can reach wants to know who they are",
        arguments: [("127.0.0.1", true), ("::1", true), ("localhost", true), ("127.8.8.8", true), ("0.0.0.0", false), ("::", false), ("10.0.0.1", false)])
    func exposure(host: String, isFine: Bool) throws {
        var configuration = HTTPIntake.Configuration()
        configuration.host = host
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let isRefused = (try? HTTPIntake(configuration, sink: sink, logger: logger)) == nil
        #expect(isRefused != isFine)
        configuration.tokens = ["x"]
        _ = try HTTPIntake(configuration, sink: sink, logger: logger)
        (configuration.tokens, configuration.allowsUnauthenticated) = ([], true)
        _ = try HTTPIntake(configuration, sink: sink, logger: logger)
    }
}

/// Bytes to a port, and what comes back until the other side closes or five seconds are over.
private enum Raw {
    static func exchange(_ port: Int, _ text: String) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            Thread { continuation.resume(with: Result { try blockingExchange(port, text) }) }.start()
        }
    }

    /// A byte every 50 ms: whether the other side has had enough of it within five seconds.
    static func trickle(_ port: Int, _ head: String) async throws -> Bool {
        try await withCheckedThrowingContinuation { continuation in
            Thread {
                continuation.resume(
                    with: Result {
                        let descriptor = try connected(port)
                        defer { close(descriptor) }
                        _ = send(descriptor, head, head.utf8.count, Int32(MSG_NOSIGNAL))
                        for _ in 0..<100 {
                            if send(descriptor, " ", 1, Int32(MSG_NOSIGNAL)) < 0 { return true }
                            usleep(50_000)
                        }
                        return false
                    })
            }.start()
        }
    }

    private static func blockingExchange(_ port: Int, _ text: String) throws -> String {
        let descriptor = try connected(port)
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            answer += buffer.prefix(count)
            // A refusal is enough; whether the connection is closed after it is the server's to choose.
            if answer.starts(with: Array("HTTP/1.1 4".utf8)) { break }
        }
        return String(decoding: answer, as: UTF8.self)
    }

    /// Sends and does not wait for anything.
    static func sendAndGo(_ port: Int, _ text: String) throws {
        let descriptor = try connected(port)
        _ = send(descriptor, text, text.utf8.count, Int32(MSG_NOSIGNAL))
        close(descriptor)
    }

    /// Sends as much as is taken, and stays connected.
    static func begin(_ port: Int, _ text: String) throws -> Int32 {
        let descriptor = try connected(port)
        var limit = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { break }
            sent += count
        }
        return descriptor
    }

    private static func connected(_ port: Int) throws -> Int32 {
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_port = UInt16(port).bigEndian
        inet_pton(AF_INET, "127.0.0.1", &place.sin_addr)
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var wait = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
        let status = withUnsafePointer(to: &place) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        try #require(status == 0)
        return descriptor
    }
}
