import Foundation
import RiposteTestSupport
import RiposteTransport
import Synchronization
import Testing

@Suite("requests by libcurl, on loopback")
struct HTTPClientTests {
    @Test("method, path, headers and body arrive as they are, and the answer comes back as it is", arguments: [HTTPRequest.Method.get, .post, .put, .patch, .delete])
    func exchange(method: HTTPRequest.Method) async throws {
        let server = try await LoopbackServer { _ in .init(418, #"{"short":"stout"}"#, headers: ["x-answer": "yes", "content-type": "application/json"]) }
        let client = HTTPClient()
        let body: [UInt8]? = method == .get ? nil : Array("body \u{0} ü".utf8)
        let response = try await client.send(
            HTTPRequest(method, "http://127.0.0.1:\(server.port)/a%20b?c=d", headers: [("X-Question", "why"), ("Content-Type", "text/x")], body: body))
        #expect(response.status == 418)
        #expect(response.header("x-answer") == "yes")
        #expect(String(decoding: response.body, as: UTF8.self) == #"{"short":"stout"}"#)
        let request = try #require(server.requests.first)
        #expect(request.method == method.rawValue && request.path == "/a%20b?c=d")
        #expect(request.headers["x-question"] == "why" && request.headers["content-type"] == "text/x")
        #expect(request.body == body ?? [])
        #expect(request.headers["expect"] == nil, "no round trip is spent on asking whether the body may come")
    }

    @Test("each way to fail has its code")
    func failures() async throws {
        let server = try await LoopbackServer { request in
            if request.path == "/slow" { try? await Task.sleep(for: .seconds(30)) }
            return .init(200, String(repeating: "x", count: request.path == "/long" ? 5000 : 1))
        }
        let client = HTTPClient()
        func code(_ request: HTTPRequest) async -> TransportError.Code? {
            do throws(TransportError) {
                _ = try await client.send(request)
                return nil
            } catch { return error.code }
        }
        let base = "http://127.0.0.1:\(server.port)"
        #expect(await code(HTTPRequest(.get, base + "/")) == nil)
        #expect(await code(HTTPRequest(.get, base + "/slow", timeout: .milliseconds(200))) == .timedOut)
        #expect(await code(HTTPRequest(.get, base + "/long", maxResponseBytes: 1000)) == .tooLarge)
        #expect(await code(HTTPRequest(.get, "http://127.0.0.1:1/")) == .unreachable)
        #expect(await code(HTTPRequest(.get, "http://x/", unixSocket: "/nonexistent")) == .unreachable)
        #expect(await code(HTTPRequest(.get, "ftp://127.0.0.1/")) == .invalid, "nothing but HTTP is spoken")
        #expect(await code(HTTPRequest(.get, "file:///etc/passwd")) == .invalid)
    }

    @Test("an answer that leads elsewhere is not followed: the token would go with us")
    func redirect() async throws {
        let server = try await LoopbackServer { request in
            request.path == "/" ? .init(302, "", headers: ["location": "/elsewhere"]) : .init(200, "")
        }
        let response = try await HTTPClient().send(HTTPRequest(.get, "http://127.0.0.1:\(server.port)/", headers: [("Authorization", "Bearer secret")]))
        #expect(response.status == 302)
        #expect(server.requests.count == 1)
    }

    @Test("a peer that hangs holds up nobody else, and a cancelled request ends at once")
    func concurrency() async throws {
        let server = try await LoopbackServer { request in
            if request.path == "/slow" { try? await Task.sleep(for: .seconds(30)) }
            return .init(200, "")
        }
        let client = HTTPClient()
        let slow = Task { try await client.send(HTTPRequest(.get, "http://127.0.0.1:\(server.port)/slow", timeout: .seconds(60))) }
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<50 { group.addTask { try await client.send(HTTPRequest(.get, "http://127.0.0.1:\(server.port)/")).status } }
            for try await status in group { #expect(status == 200) }
        }
        slow.cancel()
        await #expect(throws: TransportError.self) { try await slow.value }
        client.close()
        await #expect(throws: TransportError.self) { try await client.send(HTTPRequest(.get, "http://127.0.0.1:\(server.port)/")) }
    }

    @Test("whoever has asked when the client is closed is answered")
    func closing() async throws {
        let server = try await LoopbackServer { request in
            if request.path == "/slow" { try? await Task.sleep(for: .seconds(30)) }
            return .init(200, "")
        }
        let url = "http://127.0.0.1:\(server.port)/slow"
        for _ in 0..<20 {
            let client = HTTPClient()
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<50 { group.addTask { await #expect(throws: TransportError.self) { try await client.send(HTTPRequest(.get, url, timeout: .seconds(60))) } } }
                group.addTask { client.close() }
            }
        }
    }

    @Test("what was cancelled before it began, or behind its end, takes no other request with it")
    func cancelledElsewhere() async throws {
        let server = try await LoopbackServer { _ in .init(200, "") }
        let url = "http://127.0.0.1:\(server.port)/"
        for _ in 0..<20 {
            let client = HTTPClient()
            // Its thread does not run yet: nobody takes off the list what is called off here.
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        withUnsafeCurrentTask { $0?.cancel() }
                        _ = try? await client.send(HTTPRequest(.get, url))
                    }
                }
            }
            for _ in 0..<20 { #expect(try await client.send(HTTPRequest(.get, url)).status == 200) }
            client.close()
        }
    }

    @Test("where the other side goes away without an answer, what is sent once is not sent again, as libcurl does on a connection that was used before", arguments: [true, false])
    func sentOnce(_ isSentOnce: Bool) async throws {
        let server = try ForgetfulServer()
        let client = HTTPClient()
        let url = "http://127.0.0.1:\(server.port)/"
        #expect(try await client.send(HTTPRequest(.get, url)).status == 200)
        var request = HTTPRequest(.post, url, body: [])
        request.isSentOnce = isSentOnce
        let once = request
        await #expect(throws: TransportError.self) { try await client.send(once) }
        #expect(server.methods == ["GET", "POST"] + (isSentOnce ? [] : ["POST"]))
    }

    @Test(
        "one segment of a path", arguments: [("a-b_c.d~e", "a-b_c.d~e"), ("a/b", "a%2Fb"), ("..", "%2E%2E"), (".", "%2E"), ("a?b#c%", "a%3Fb%23c%25"), ("ü\n", "%C3%BC%0A")])
    func escaping(text: String, escaped: String) {
        #expect(text.escapedForPath == escaped)
    }
}

/// Answers what is only read, and keeps the connection; closes it on everything else, without an answer.
private final class ForgetfulServer: Sendable {
    let port: UInt16
    private let listening: Int32
    private let seen = Mutex<[String]>([])

    init() throws {
        let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listening, $0, length) == 0 && listen(listening, 8) == 0 && getsockname(listening, $0, &length) == 0 }
        }
        try #require(isBound)
        self.listening = listening
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(listening, nil, nil)
                guard connection >= 0, let self else { return }
                Thread.detachNewThread { self.serve(connection) }
            }
        }
    }

    deinit {
        shutdown(listening, Int32(SHUT_RDWR))
        close(listening)
    }

    var methods: [String] { seen.withLock(\.self) }

    private func serve(_ connection: Int32) {
        defer { close(connection) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            let method = String(decoding: buffer[..<count].prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
            seen.withLock { $0.append(method) }
            guard method == "GET" else { return }
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            _ = send(connection, answer, answer.utf8.count, Int32(MSG_NOSIGNAL))
        }
    }
}
