import Foundation
import Logging
import RiposteCore
@testable import RiposteIntake
import RiposteTestSupport
import RiposteTransport
import Synchronization
import Testing

/// The judges' door, as a list of the texts that came through it. Every text is one event; one that begins with `!` is none.
private final class RecordingAuditSink: KubernetesAuditSink {
    private struct State {
        var texts: [[UInt8]] = []
        var arrivals: [Alert.Arrival] = []
        var problems: [(problem: AlertError, excerpt: [UInt8])] = []
        var refusal: AdmissionError?
        var room = Int.max
        var dropped = 0
    }

    private let state = Mutex(State())

    func accept(_ text: [UInt8], arrival: Alert.Arrival) throws(KubernetesAuditRefusal) -> KubernetesAuditReceipt {
        if text.first == UInt8(ascii: "!") { throw .malformed(AlertError(problem: "not JSON", offset: 0)) }
        let (refusal, dropped) = state.withLock { state -> (AdmissionError?, Int) in
            if let refusal = state.refusal { return (refusal, 0) }
            guard state.texts.count < state.room else { return (.full, 0) }
            state.texts.append(text)
            state.arrivals.append(arrival)
            return (nil, state.dropped)
        }
        if let refusal { throw .unadmitted(refusal) }
        return KubernetesAuditReceipt(judged: 1, dropped: dropped)
    }

    func reject(_ problem: AlertError, excerpt: [UInt8], arrival: Alert.Arrival) { state.withLock { $0.problems.append((problem, excerpt)) } }

    var texts: [[UInt8]] { state.withLock(\.texts) }
    var arrivals: [Alert.Arrival] { state.withLock(\.arrivals) }
    var problems: [AlertError] { state.withLock { $0.problems.map(\.problem) } }
    var excerpts: [[UInt8]] { state.withLock { $0.problems.map(\.excerpt) } }
    func refuse(_ refusal: AdmissionError?) { state.withLock { $0.refusal = refusal } }
    func makeRoom(_ room: Int) { state.withLock { $0.room = room } }
    func drop(_ count: Int) { state.withLock { $0.dropped = count } }

    /// Waits until these texts, and no others, have come, in this order.
    func expect(_ texts: [String], sourceLocation: SourceLocation = #_sourceLocation) async throws {
        for _ in 0..<1000 where self.texts.count < texts.count { try await Task.sleep(for: .milliseconds(10)) }
        #expect(self.texts.map { String(decoding: $0, as: UTF8.self) } == texts, sourceLocation: sourceLocation)
    }
}

/// A judge who takes as long for each text as the test wants.
private final class BusyAuditSink: KubernetesAuditSink {
    private let state = Mutex((atWork: 0, most: 0, judged: 0))
    private let gate = DispatchSemaphore(value: 0)

    func accept(_ text: [UInt8], arrival: Alert.Arrival) throws(KubernetesAuditRefusal) -> KubernetesAuditReceipt {
        state.withLock { state in
            state.atWork += 1
            state.most = max(state.most, state.atWork)
        }
        // So that a test which fails ends.
        _ = gate.wait(timeout: .now() + 20)
        state.withLock { state in
            state.atWork -= 1
            state.judged += 1
        }
        return KubernetesAuditReceipt(judged: 1)
    }

    func reject(_ problem: AlertError, excerpt: [UInt8], arrival: Alert.Arrival) {}

    func finish(_ texts: Int) { for _ in 0..<texts { gate.signal() } }
    var atWork: Int { state.withLock(\.atWork) }
    var most: Int { state.withLock(\.most) }
    var judged: Int { state.withLock(\.judged) }
}

@Suite("kubernetes audit: events by an API server's webhook", .serialized)
struct KubernetesAuditIntakeTests {
    private let sink = RecordingAuditSink()
    private let client = HTTPClient()

    private struct Server {
        let port: Int
        let intake: KubernetesAuditIntake
        let client: HTTPClient

        var counters: IntakeCounters.Values { intake.counters.snapshot }

        func send(
            _ body: String, method: HTTPRequest.Method = .post, path: String = "/k8s-audit", type: String? = "application/json", headers: [(String, String)] = [],
            scheme: String = "http", tls: TLSOptions = TLSOptions()
        ) async throws(TransportError) -> HTTPResponse {
            let headers = (type.map { [("Content-Type", $0)] } ?? []) + headers
            return try await client.send(
                HTTPRequest(method, "\(scheme)://127.0.0.1:\(port)\(path)", headers: headers, body: Array(body.utf8), timeout: .seconds(20), tls: tls))
        }
    }

    private func withServer(
        path: String = "/k8s-audit", sink other: (any KubernetesAuditSink)? = nil, _ change: (inout HTTPListener.Configuration) -> Void = { _ in },
        _ body: (Server) async throws -> Void
    ) async throws {
        var configuration = HTTPListener.Configuration.kubernetesAudit
        configuration.port = 0
        change(&configuration)
        let (ports, report) = AsyncStream.makeStream(of: Int.self)
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let intake = try KubernetesAuditIntake(configuration, path: path, sink: other ?? sink, logger: logger) { report.yield($0) }
        try await withIntake(intake) {
            var iterator = ports.makeAsyncIterator()
            try await body(Server(port: try #require(await iterator.next()), intake: intake, client: client))
        }
    }

    @Test("a body is handed in as it came, and 200 says that it was taken", arguments: ["application/json", "application/json; charset=utf-8", "Application/JSON"])
    func taken(type: String) async throws {
        sink.drop(2)
        try await withServer { server in
            let body = String(decoding: try Fixtures.bytes("kubernetes-audit.jsonl"), as: UTF8.self)
            let response = try await server.send(body, type: type)
            #expect(response.status == 200)
            #expect(try JSON(parsing: response.body) == ["events": 1, "dropped": 2])
            #expect(sink.texts == [Array(body.utf8)])
            #expect(sink.arrivals[0].intake == "kubernetes_audit")
            #expect(sink.arrivals[0].peer?.hasPrefix("127.0.0.1:") == true)
            #expect((server.counters.accepted, server.counters.rejected) == (1, 2))
            #expect(server.intake.place == "http://127.0.0.1:\(server.port)/k8s-audit")
        }
    }

    @Test("bodies that take long keep nobody else waiting, and a sender has one under way at a time")
    func busy() async throws {
        let sink = BusyAuditSink()
        // More than there are threads for everything else.
        let count = 2 * ProcessInfo.processInfo.activeProcessorCount + 2
        try await withServer(sink: sink) { server in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<count { group.addTask { try await server.send("{}").status } }
                try await until { sink.atWork > 0 }
                let health = try await server.send("", method: .get, path: "/healthz").status
                #expect(health == 200)
                #expect((sink.most, sink.judged) == (1, 0))
                sink.finish(count)
                for try await status in group { #expect(status == 200) }
            }
            #expect((sink.most, sink.judged) == (1, count))
        }
    }

    @Test("what holds no events is 400 with the reason and the place, and is told")
    func malformed() async throws {
        try await withServer { server in
            let response = try await server.send("!")
            #expect(response.status == 400)
            #expect(try JSON(parsing: response.body) == ["error": "not JSON", "offset": 0])
            #expect(sink.problems.map(\.problem) == ["not JSON"])
            #expect(sink.excerpts == [Array("!".utf8)])
            #expect(server.counters.rejected == 1)
            #expect(try await server.send("{}").status == 200)
        }
    }

    @Test("a body is JSON, by its own word", arguments: ["text/plain", "application/x-ndjson", "", nil])
    func contentType(type: String?) async throws {
        try await withServer { server in
            let status = try await server.send("{}", type: type).status
            #expect(status == 400)
            #expect(sink.texts.isEmpty)
            #expect(sink.problems.count == 1)
            #expect(server.counters.rejected == 1)
        }
    }

    @Test(
        "other methods and paths",
        arguments: [
            (HTTPRequest.Method.get, "/k8s-audit", 405), (.put, "/k8s-audit", 405), (.post, "/", 404), (.post, "/k8s-audit/", 404), (.post, "/alerts", 404),
            (.get, "/healthz", 200),
            (.post, "/healthz", 405), (.post, "/k8s-audit?timeout=30s", 200),
        ])
    func others(method: HTTPRequest.Method, path: String, status: Int) async throws {
        try await withServer { server in
            let response = try await server.send("{}", method: method, path: path)
            #expect(response.status == status)
            #expect((response.header("allow") != nil) == (status == 405))
        }
    }

    @Test("another path, as where the drop-in is not for Falco's")
    func otherPath() async throws {
        try await withServer(path: "/clusters/a") { server in
            let (here, there) = (try await server.send("{}", path: "/clusters/a").status, try await server.send("{}").status)
            #expect((here, there) == (200, 404))
        }
    }

    @Test("12 MiB are a body, one byte more is 400")
    func size() async throws {
        try await withServer { server in
            let largest = try await server.send(String(repeating: " ", count: 12 << 20)).status
            #expect(largest == 200)
            #expect(sink.texts.map(\.count) == [12 << 20])
            let status = try? await server.send(String(repeating: " ", count: 12 << 20 + 1)).status
            // Nil where the connection was closed before all was sent.
            #expect(status == 400 || status == nil)
            #expect(server.counters.rejected == 1)
            #expect(sink.texts.count == 1)
        }
    }

    @Test(
        "no room, stopping, not safe: the API server is asked to come again",
        arguments: [(AdmissionError.full, 429), (.closed, 503), (.unsafe("No space left on device"), 503)] as [(AdmissionError, Int)])
    func refusal(error: AdmissionError, status: Int) async throws {
        sink.refuse(error)
        try await withServer { server in
            let response = try await server.send("{}")
            #expect(response.status == status)
            #expect(response.header("retry-after") == "1")
            #expect(server.counters.accepted == 0 && server.counters.shed == (error == .full ? 1 : 0))
            let health = try await server.send("", method: .get, path: "/healthz").status
            #expect(health == (error == .unsafe("No space left on device") ? 503 : 200))
            sink.refuse(nil)
            #expect(try await server.send("{}").status == 200)
            #expect(try await server.send("", method: .get, path: "/healthz").status == 200)
        }
    }

    @Test("a token, wrong, missing, right", arguments: [(nil, 401), ("Bearer wrong", 401), ("Bearer secret", 200)])
    func token(header: String?, status: Int) async throws {
        try await withServer({ $0.tokens = ["secret"] }) { server in
            let response = try await server.send("{}", headers: header.map { [("Authorization", $0)] } ?? [])
            #expect(response.status == status)
            #expect(sink.texts.count == (status == 200 ? 1 : 0))
            #expect(server.counters.denied == (status == 401 ? 1 : 0))
        }
    }

    @Test("mutual TLS: our client is served, a stranger and nobody are not", .enabled(if: Certificates.isPossible, "needs openssl"), arguments: ["client", "stranger", nil])
    func mutualTLS(who: String?) async throws {
        let certificates = try Certificates.shared.get()
        func bytes(_ name: String) throws -> [UInt8] { Array(try #require(FileManager.default.contents(atPath: certificates.path(name)))) }
        try await withServer({
            $0.tls = .init(certificate: certificates.path("server.crt"), key: certificates.path("server.key"), clientAuthority: certificates.path("ca.crt"))
        }) { server in
            let tls = TLSOptions(
                authorities: try bytes("ca.crt"), certificate: try who.map { try bytes("\($0).crt") }, key: try who.map { try bytes("\($0).key") })
            let status = try? await server.send("{}", scheme: "https", tls: tls).status
            #expect(status == (who == "client" ? 200 : nil))
            #expect(server.intake.place.hasPrefix("https://"))
        }
    }

    @Test("who is slow is let go, and others are served meanwhile")
    func slow() async throws {
        try await withServer({ ($0.bodyTimeout, $0.idleTimeout) = (.milliseconds(300), .milliseconds(300)) }) { server in
            let descriptor = try #require(Self.connection(to: server.port))
            defer { close(descriptor) }
            let head = "POST /k8s-audit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
            #expect(send(descriptor, head, head.utf8.count, Int32(MSG_NOSIGNAL)) == head.utf8.count)
            #expect(try await server.send("{}").status == 200)
            var buffer = [UInt8](repeating: 0, count: 64)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            #expect(count == 0 || String(decoding: buffer.prefix(max(0, count)), as: UTF8.self).hasPrefix("HTTP/1.1 4"))
            #expect(sink.texts.count == 1)
        }
    }

    @Test("an address that others can reach wants to know who they are; messages name the section")
    func exposure() throws {
        var configuration = HTTPListener.Configuration.kubernetesAudit
        #expect((configuration.host, configuration.port) == ("127.0.0.1", 9765))
        configuration.host = "0.0.0.0"
        let error = try #require(throws: HTTPListener.Misconfigured.self) { try KubernetesAuditIntake.check(configuration) }
        #expect(error.description.hasPrefix("intake.kubernetes_audit.listen 0.0.0.0:9765 "))
        configuration.tokens = ["x"]
        try KubernetesAuditIntake.check(configuration)
    }

    private static func connection(to port: Int) -> Int32? {
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
        return status == 0 ? descriptor : nil
    }
}

@Suite("kubernetes audit: an API server's log is followed")
struct KubernetesAuditLogTests {
    private let folder: TemporaryFolder
    private let sink = RecordingAuditSink()
    private var path: String { folder.path + "/audit.log" }

    init() throws { folder = try TemporaryFolder() }

    private func intake(fromStart: Bool = true) -> FileIntake {
        FileIntake(kubernetesAuditLog: path, stateDirectory: folder.path + "/state", startsAtBeginning: fromStart, sink: sink)
    }

    private func append(_ text: String) throws {
        if !FileManager.default.fileExists(atPath: path) { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.seekToEnd()
        try file.write(contentsOf: Data(text.utf8))
        try file.close()
    }

    @Test("line by line, over a rotation, and on from there after a restart")
    func followed() async throws {
        let intake = intake()
        try append("{1}\n\n  \n{2}\n")
        try await withIntake(intake) {
            try await sink.expect(["{1}", "{2}"])
            try append("{3}\n{4}\n")
            // As the API server does it when `--audit-log-maxsize` is reached.
            try FileManager.default.moveItem(atPath: path, toPath: folder.path + "/audit-2026-11-23T10-00-00.000.log")
            try append("{5}\n")
            try await sink.expect(["{1}", "{2}", "{3}", "{4}", "{5}"])
        }
        #expect(intake.counters.snapshot.accepted == 5)
        #expect(intake.name == "kubernetes_audit_log" && intake.place == path)
        #expect(sink.arrivals.allSatisfy { $0.intake == "kubernetes_audit_log" && $0.peer == path })
        try append("{6}\n")
        try await withIntake(self.intake(fromStart: false)) { try await sink.expect(["{1}", "{2}", "{3}", "{4}", "{5}", "{6}"]) }
    }

    @Test("no room: nothing is lost, nothing comes twice")
    func full() async throws {
        sink.makeRoom(2)
        try append((0..<10).map { "{\($0)}\n" }.joined())
        try await withIntake(intake()) {
            try await sink.expect(["{0}", "{1}"])
            sink.makeRoom(.max)
            try await sink.expect((0..<10).map { "{\($0)}" })
        }
    }

    @Test("a line of nonsense is told and the next one read; so is one that is longer than 1 MiB")
    func nonsense() async throws {
        let intake = intake()
        let long = String(repeating: "x", count: 1 << 20)
        try append("!\n\(long)\n\(long)x\n{}\n")
        try await withIntake(intake) { try await sink.expect([long, "{}"]) }
        #expect(sink.problems.map(\.problem) == ["not JSON", "a line is longer than 1 MiB"])
        #expect(intake.counters.snapshot.rejected == 2)
    }
}
