internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import HummingbirdTLS
internal import Logging
internal import NIOCore
internal import NIOSSL
internal import ServiceLifecycle
internal import Synchronization

/// An HTTP server on 127.0.0.1 that answers as the test says and remembers what it was asked.
package final class LoopbackServer: Sendable {
    package struct Request: Sendable {
        package var method: String
        /// With its query.
        package var path: String
        package var headers: [String: String]
        package var body: [UInt8]
    }

    package struct Answer: Sendable {
        package var status: Int
        package var body: [UInt8]
        package var headers: [String: String]

        package init(_ status: Int, _ body: String, headers: [String: String] = ["content-type": "application/json"]) {
            self.status = status
            self.body = Array(body.utf8)
            self.headers = headers
        }
    }

    package let port: Int
    private let group: ServiceGroup
    private let seen: Requests

    private final class Requests: Sendable { let list = Mutex<[Request]>([]) }

    /// With certificates it speaks TLS; with `asksClients` it takes only clients whom the same authority vouches for.
    package init(_ certificates: Certificates? = nil, asksClients: Bool = false, answer: @escaping @Sendable (Request) async -> Answer) async throws {
        let seen = Requests()
        let responder = CallbackResponder<BasicRequestContext> { request, _ in
            var request = request
            let body = try await request.collectBody(upTo: 1 << 20)
            let asked = Request(
                method: request.method.rawValue, path: request.uri.description,
                headers: Dictionary(request.headers.map { ($0.name.canonicalName, $0.value) }) { $0 + ", " + $1 }, body: Array(buffer: body))
            seen.list.withLock { $0.append(asked) }
            let answer = await answer(asked)
            var response = Response(status: .init(code: answer.status), body: .init(byteBuffer: ByteBuffer(bytes: answer.body)))
            for (name, value) in answer.headers { if let name = HTTPField.Name(name) { response.headers[name] = value } }
            return response
        }
        let (ports, report) = AsyncStream.makeStream(of: Int.self)
        let tls = try certificates.map { try Self.tlsConfiguration($0, asksClients) }
        let quiet = Logger(label: "loopback", factory: { _ in SwiftLogNoOpLogHandler() })
        let application = Application(
            responder: responder, server: try tls.map { try .tls(.http1(), tlsConfiguration: $0) } ?? .http1(),
            configuration: .init(address: .hostname("127.0.0.1", port: 0), serverName: nil),
            onServerRunning: { report.yield($0.localAddress?.port ?? 0) }, logger: quiet)
        var configuration = ServiceGroupConfiguration(services: [application], logger: quiet)
        configuration.maximumGracefulShutdownDuration = .seconds(1)
        let group = ServiceGroup(configuration: configuration)
        self.group = group
        Task {
            defer { report.finish() }
            try await group.run()
        }
        self.seen = seen
        var iterator = ports.makeAsyncIterator()
        guard let port = await iterator.next() else { throw DockerEngine.NotRunning(reason: "the loopback server did not start") }
        self.port = port
    }

    // Not by cancelling it: NIO ends the process where a connection is accepted that nobody takes any more.
    deinit { Task { [group] in await group.triggerGracefulShutdown() } }

    package var requests: [Request] { seen.list.withLock(\.self) }

    private static func tlsConfiguration(_ certificates: Certificates, _ asksClients: Bool) throws -> TLSConfiguration {
        let chain = try NIOSSLCertificate.fromPEMFile(certificates.path("server.crt")).map { NIOSSLCertificateSource.certificate($0) }
        let key = try NIOSSLPrivateKey(file: certificates.path("server.key"), format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key))
        if asksClients {
            configuration.trustRoots = .file(certificates.path("ca.crt"))
            configuration.certificateVerification = .noHostnameVerification
        }
        return configuration
    }
}

/// An authority of the test's own, with a certificate for 127.0.0.1 and one for a client; and a stranger, whom nobody vouches for.
package final class Certificates: Sendable {
    private let folder: TemporaryFolder

    package static let isPossible = Machine.has("openssl")
    /// Made once: keys take time.
    package static let shared = Result { try Certificates() }

    private init() throws {
        folder = try TemporaryFolder()
        folder.removeAtExit()
        for name in ["ca", "stranger-ca"] { try openssl("req", "-x509", "-new", "-days", "2", "-subj", "/CN=\(name)", "-out", path("\(name).crt"), key: name) }
        let names = try folder.file("names", "subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        for (name, authority) in [("server", "ca"), ("client", "ca"), ("stranger", "stranger-ca")] {
            try openssl("req", "-new", "-subj", "/CN=\(name)", "-out", path("\(name).csr"), key: name)
            try check([
                "openssl", "x509", "-req", "-in", path("\(name).csr"), "-CA", path("\(authority).crt"), "-CAkey", path("\(authority).key"), "-CAcreateserial",
                "-days", "2", "-extfile", names, "-out", path("\(name).crt"),
            ])
        }
    }

    /// `ca`, `server`, `client`, `stranger`, each with `.crt` and `.key`.
    package func path(_ name: String) -> String { "\(folder.path)/\(name)" }

    private func openssl(_ arguments: String..., key: String) throws {
        try check(["openssl"] + arguments + ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path("\(key).key")])
    }

    private func check(_ command: [String]) throws {
        let (status, output) = try run(command)
        guard status == 0 else { throw DockerEngine.NotRunning(reason: output) }
    }
}
