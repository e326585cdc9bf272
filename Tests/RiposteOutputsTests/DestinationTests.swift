import Foundation
import RiposteCore
import RiposteTestSupport
import RiposteTransport
import Testing

@testable import RiposteOutputs

/// The webhook against a server that answers as webhooks do.
struct HTTPDestinationTests {
    private func destination(_ server: LoopbackServer, _ keys: [SettingsValue.Member] = []) throws -> HTTPDestination {
        let url = SettingsValue.Member(key: "url", value: .init(.scalar("http://127.0.0.1:\(server.port)/ingest/token-hunter2", isPlain: true)))
        let settings = Samples.settings(.init(.mapping([url] + keys)))
        let destination = HTTPDestination(settings: settings, context: Samples.context())
        #expect(settings.problems() == [])
        return try #require(destination)
    }

    private let batch = [Samples.message(1, Samples.alert("a")), Samples.message(2, Samples.alert("b"))]

    @Test func postsThePayload() async throws {
        let server = try await LoopbackServer { _ in .init(200, "ok") }
        let report = try await destination(server, [.init(key: "headers", value: ["Authorization": "Bearer abc"])]).deliver([batch[0]])
        #expect(report.fates == [.delivered])
        let request = try #require(server.requests.first)
        #expect(request.method == "POST" && request.path == "/ingest/token-hunter2")
        #expect(request.headers["authorization"] == "Bearer abc")
        #expect(request.headers["content-type"] == "application/json; charset=utf-8")
        #expect(request.headers["user-agent"] == "Riposte")
        #expect(request.headers["idempotency-key"] == batch[0].hash)
        #expect(request.body == JSON.object(batch[0].falcosidekickPayload).bytes + [10])
    }

    @Test(arguments: [("array", "[", "]\n", 1), ("lines", "{", "}\n", 2)])
    func severalAtOnce(_ format: String, _ start: String, _ end: String, _ lines: Int) async throws {
        let server = try await LoopbackServer { _ in .init(202, "") }
        let destination = try destination(server, [.init(key: "format", value: .init(.scalar(format, isPlain: true)))])
        #expect(destination.limits.count == 500)
        _ = await destination.deliver(batch)
        let body = String(decoding: try #require(server.requests.first).body, as: UTF8.self)
        #expect(body.hasPrefix(start) && body.hasSuffix(end))
        #expect(body.split(separator: "\n").count == lines)
    }

    @Test func theSignatureIsOfTheTimeAndTheBody() async throws {
        let server = try await LoopbackServer { _ in .init(200, "") }
        let keys: [SettingsValue.Member] = [.init(key: "signature", value: ["secret": "key"]), .init(key: "body", value: .init(.scalar("x", isPlain: false)))]
        _ = try await destination(server, keys).deliver([batch[0]])
        // printf '1772623353.x\n' | openssl dgst -sha256 -hmac key
        #expect(server.requests.first?.headers["x-riposte-signature"] == "t=1772623353,v1=\(Self.expectedSignature)")
    }

    private static let expectedSignature = "09ebc41f117289c47d9ccc65991795b4d95efe1d3418f2c9a81b3397f808ded9"

    @Test(
        arguments: [
            (200, [:], DeliveryReport.Fate.delivered), (204, [:], .delivered),
            (500, [:], .tryAgain(reason: "status 500: said")), (429, ["retry-after": "17"], .tryAgain(reason: "status 429: said", after: .seconds(17))),
            (503, ["retry-after": "Wed, 04 Mar 2026 11:23:03 GMT"], .tryAgain(reason: "status 503: said", after: .seconds(30))),
            (429, ["retry-after": "soon"], .tryAgain(reason: "status 429: said")), (401, [:], .tryAgain(reason: "status 401: said")),
            (302, ["location": "http://127.0.0.1:1/"], .tryAgain(reason: "status 302: said")), (400, [:], .rejected(reason: "status 400: said")),
            (413, [:], .rejected(reason: "status 413: said")),
        ] as [(Int, [String: String], DeliveryReport.Fate)])
    func whatAnAnswerMeans(_ status: Int, _ headers: [String: String], _ fate: DeliveryReport.Fate) {
        let response = HTTPResponse(status: status, headers: headers.map { ($0.key, $0.value) }, body: status == 204 ? [] : Array("said".utf8))
        let now = Timestamp(nanoseconds: 1_772_623_353_000_000_000)
        #expect(response.fate(at: now) == (status / 100 == 2 ? .delivered : fate))
        if case .tryAgain(_, let after?) = response.fate(at: now) { #expect(after == (status == 503 ? .seconds(30) : .seconds(17))) }
    }

    /// No answer at all: it is tried again, and no text tells the URL's secret.
    @Test func whoIsNotThere() async throws {
        let settings = Samples.settings(["url": "http://127.0.0.1:9/ingest/token-hunter2"])
        let destination = try #require(HTTPDestination(settings: settings, context: Samples.context()))
        let report = SecretMask(settings.secrets).masked(await destination.deliver([batch[0]]))
        guard case .tryAgain(let reason, _)? = report.fates.first else {
            Issue.record("\(report)")
            return
        }
        #expect(reason.contains("…") && !reason.contains("hunter2"))
        #expect(destination.place == "POST http://127.0.0.1:9")
    }
}

/// A server that says some bytes to whoever connects, and then hangs up or holds the line.
private final class RawServer: Sendable {
    let port: UInt16
    private let listener: Int32

    init(_ answer: String, holds: Bool) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, length) + listen(listener, 8) + getsockname(listener, $0, &length) }
        }
        try #require(status == 0)
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread {
            while case let connection = accept(listener, nil, nil), connection >= 0 {
                var request = [UInt8](repeating: 0, count: 65536)
                _ = read(connection, &request, request.count)
                _ = write(connection, Array(answer.utf8), answer.utf8.count)
                if !holds { close(connection) }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }
}

/// Whoever answers no HTTP, half of one, or nothing, has taken nothing.
struct BrokenReceiverTests {
    @Test(arguments: [
        ("garbage", "\u{1B}[31m nonsense\r\n\r\n", false), ("half a reply", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", false), ("half a head", "HTTP/1.1 200", false),
        ("nothing", "", false), ("never", "", true),
    ])
    func isTriedAgain(_ name: String, _ answer: String, _ holds: Bool) async throws {
        let server = try RawServer(answer, holds: holds)
        let url = SettingsValue(.scalar("http://127.0.0.1:\(server.port)/x/hunter2", isPlain: true))
        let settings = Samples.settings(["url": url, "timeout": "200ms"])
        let destination = try #require(HTTPDestination(settings: settings, context: Samples.context()))
        let report = SecretMask(settings.secrets).masked(await destination.deliver([Samples.message(Samples.alert("r"))]))
        guard case .tryAgain(let reason, _)? = report.fates.first else {
            Issue.record("\(report)")
            return
        }
        #expect(!reason.contains("hunter2") && !reason.contains("\u{1B}"), "\(reason)")
    }
}

/// The file, as logrotate, full disks and strangers treat it.
struct FileDestinationTests {
    private func destination(_ folder: TemporaryFolder, _ keys: [SettingsValue.Member] = []) throws -> FileDestination {
        let path = SettingsValue.Member(key: "path", value: .init(.scalar(folder.path + "/out.jsonl", isPlain: true)))
        let settings = Samples.settings(.init(.mapping([path] + keys)))
        let destination = FileDestination(settings: settings, context: Samples.context())
        #expect(settings.problems() == [])
        return try #require(destination)
    }

    private func lines(_ folder: TemporaryFolder, _ name: String = "out.jsonl") throws -> [String] {
        try String(contentsOfFile: "\(folder.path)/\(name)", encoding: .utf8).split(separator: "\n").map(String.init)
    }

    private func message(_ number: Int64) -> OutputMessage { Samples.message(number, Samples.alert("rule \(number)")) }

    @Test func oneLineEach() async throws {
        let folder = try TemporaryFolder()
        let destination = try destination(folder)
        #expect(await destination.deliver([message(1), message(2)]).fates == [.delivered, .delivered])
        #expect(try lines(folder).map { try JSON(parsing: Array($0.utf8))["rule"] } == ["rule 1", "rule 2"])
    }

    @Test func aTemplateKeepsToOneLine() async throws {
        let folder = try TemporaryFolder()
        let destination = try destination(folder, [.init(key: "line", value: "{{ message.priority }} {{ message.text }}")])
        _ = await destination.deliver([Samples.message(Samples.alert("r", output: "a\nb"))])
        #expect(try lines(folder) == [#"warning a\nb"#])
    }

    @Test func rotatesBySizeAndKeepsSoMany() async throws {
        let folder = try TemporaryFolder()
        let destination = try destination(folder, [.init(key: "rotate", value: ["size": "1KiB", "keep": "2"])])
        for number in 1...20 { _ = await destination.deliver([message(Int64(number))]) }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(names == ["out.jsonl", "out.jsonl.1", "out.jsonl.2"])
        #expect(try lines(folder).last?.contains("rule 20") == true)
    }

    @Test("what somebody has cut short, as copytruncate does, counts as short")
    func isCutShort() async throws {
        let folder = try TemporaryFolder()
        let destination = try destination(folder, [.init(key: "rotate", value: ["size": "1KiB", "keep": "2"])])
        for number in 1...20 {
            #expect(await destination.deliver([message(Int64(number))]).fates == [.delivered])
            #expect(truncate(folder.path + "/out.jsonl", 0) == 0)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["out.jsonl"])
    }

    @Test("what a full disk did not take whole is taken back, and nothing is put in its place", .enabled(if: Machine.isRoot, "needs root for a disk of its own"))
    func isCutShortOnAFullDisk() async throws {
        let folder = try TemporaryFolder()
        try #require(try run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder.path]).status == 0)
        defer { _ = try? run(["umount", folder.path]) }
        let destination = try destination(folder)
        #expect(await destination.deliver((1...20).map(message)).fates.allSatisfy { $0 == .delivered })
        #expect(truncate(folder.path + "/out.jsonl", 0) == 0)
        #expect(await destination.deliver([message(21)]).fates == [.delivered])
        let short = try lines(folder)
        let large = Samples.message(22, Samples.alert("r", output: "x".repeated(70_000)))
        guard case .tryAgain? = await destination.deliver([large]).fates.first else {
            Issue.record("the disk had room for it")
            return
        }
        #expect(try lines(folder) == short && short.count == 1)
        #expect(await destination.deliver([message(23)]).fates == [.delivered])
        #expect(try lines(folder).count == 2)
        // Cut short, and nothing has gone well since.
        #expect(truncate(folder.path + "/out.jsonl", 0) == 0)
        guard case .tryAgain? = await destination.deliver([large]).fates.first else {
            Issue.record("the disk had room for it")
            return
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.path + "/out.jsonl")).isEmpty)
    }

    @Test func isMadeAnewWhenItWasMovedAway() async throws {
        let folder = try TemporaryFolder()
        let destination = try destination(folder)
        _ = await destination.deliver([message(1)])
        try FileManager.default.moveItem(atPath: folder.path + "/out.jsonl", toPath: folder.path + "/old")
        _ = await destination.deliver([message(2)])
        #expect(try lines(folder, "old").count == 1)
        #expect(try lines(folder).count == 1)
    }

    @Test func aTornLineIsTakenAway() async throws {
        let folder = try TemporaryFolder()
        _ = try folder.file("out.jsonl", "{\"whole\":1}\n{\"torn\":")
        _ = try await destination(folder).deliver([message(1)])
        #expect(try lines(folder).count == 2)
        #expect(try lines(folder).first == #"{"whole":1}"#)
    }

    @Test func followsNoLink() async throws {
        let folder = try TemporaryFolder()
        let victim = try folder.file("victim", "")
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/out.jsonl", withDestinationPath: victim)
        guard case .tryAgain? = try await destination(folder).deliver([message(1)]).fates.first else {
            Issue.record("it was written through a link")
            return
        }
        #expect(try lines(folder, "victim") == [])
    }
}
