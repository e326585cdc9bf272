internal import Glibc
internal import HTTPTypes
internal import Hummingbird
package import HummingbirdCore
package import Logging
internal import NIOCore
internal import NIOPosix
package import RiposteCore
internal import Synchronization

/// What all that listens for HTTP has in common: a server that knows who may speak to it, how long, and how much. What a body means is theirs.
package struct HTTPListener: Sendable {
    package struct Configuration: Sendable {
        package struct TLS: Sendable {
            /// Paths of PEM files.
            package var certificate: String
            package var key: String
            /// With it, clients must show a certificate that it vouches for.
            package var clientAuthority: String?

            package init(certificate: String, key: String, clientAuthority: String? = nil) {
                self.certificate = certificate
                self.key = key
                self.clientAuthority = clientAuthority
            }
        }

        /// Where in the configuration file it stands, for messages.
        package var section: String
        package var name: String
        package var host = "127.0.0.1"
        /// 0: any free one.
        package var port: Int
        package var trust = Alert.Arrival.Trust.trusted
        /// One of these must be shown as `Authorization: Bearer`.
        package var tokens: [String] = []
        package var tls: TLS?
        /// Whoever can reach it is believed as ``trust`` says. Without, and without tokens and certificates, those are whom the kernel names.
        package var allowsUnauthenticated = false
        /// Whom the kernel must name, beside root and the agent's own user, for them to be believed where nobody shows who he is.
        package var userIDs: Set<UInt32> = []
        package var bodyLimit: Int
        package var connectionLimit = 16384
        package var idleTimeout = Duration.seconds(10)
        package var bodyTimeout = Duration.seconds(30)

        package init(section: String, name: String, port: Int, bodyLimit: Int) {
            self.section = section
            self.name = name
            self.port = port
            self.bodyLimit = bodyLimit
        }

        var isLoopback: Bool { host == "localhost" || IPNetwork(host).map { IPNetwork("127.0.0.0/8")?.contains($0) ?? false || "\($0)" == "::1" } ?? false }
        var isAuthenticated: Bool { !tokens.isEmpty || tls?.clientAuthority != nil }
        /// Whether it depends on the sender's user if an alert is believed.
        package var goesByUser: Bool { trust == .trusted && !isAuthenticated && !allowsUnauthenticated }
    }

    /// Why it cannot listen.
    package struct Unusable: Error, CustomStringConvertible, Equatable {
        package let description: String
    }

    /// What is wrong with a configuration, and the remedy.
    package struct Misconfigured: Error, CustomStringConvertible, Equatable {
        package let description: String
    }

    /// Who sent a request, as far as it is known.
    package struct Peer: Sendable {
        /// `127.0.0.1:4242`, and `uid 0` behind it where the kernel was asked and knows.
        let name: String?
        let trust: Alert.Arrival.Trust
        /// All that is one and the same sender.
        let account: String

        func arrival(at intake: String) -> Alert.Arrival { Alert.Arrival(intake: intake, trust: trust, peer: name) }
    }

    private let configuration: Configuration
    private let counters: IntakeCounters
    private let logger: Logger
    private let onListening: @Sendable (Int) -> Void
    private let moment = Moment()
    private let bodies: BodyRoom
    private let credentials: ListenerCredentials

    /// `onListening` is told the port once connections are taken.
    package init(
        _ configuration: Configuration, counters: IntakeCounters, logger: Logger, onListening: @escaping @Sendable (Int) -> Void
    ) throws(Misconfigured) {
        try Self.check(configuration)
        self.configuration = configuration
        self.counters = counters
        self.logger = logger
        self.onListening = onListening
        bodies = BodyRoom(bodyLimit: configuration.bodyLimit)
        credentials = try ListenerCredentials(configuration)
    }

    /// Takes up tokens and certificates as they are now, of the same configuration read anew; whether any of them has changed. What was in force stays so where one is wrong.
    package func renew(_ fresh: Configuration) throws(Misconfigured) -> Bool { try credentials.use(fresh) }

    /// What there is to know of a running one.
    private final class Moment: Sendable {
        let port = Mutex<Int?>(nil)
        let problem = Mutex<String?>(nil)
    }

    /// With the port that is bound, once one is; without a path.
    package var place: String {
        let host = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
        return "\(configuration.tls == nil ? "http" : "https")://\(host):\(moment.port.withLock(\.self) ?? configuration.port)"
    }

    /// Serves until the agent stops. `route` is asked for all paths but `/healthz`; it is given a request and who sent it.
    package func run(_ route: @escaping @Sendable (Request, _ peer: Peer) async -> Response) async throws {
        let responder = CallbackResponder<PeerContext> { request, context in
            request.uri.path == "/healthz" ? health(request) : await route(request, peer(context.channel))
        }
        let (idle, limit) = (TimeAmount(configuration.idleTimeout), TimeAmount(configuration.bodyTimeout))
        let plain = HTTP1Channel.Configuration(
            additionalChannelHandlers: [RequestDeadline(limit)], idleTimeout: idle,
            httpDecoderConfiguration: .init(maxHeaderFieldSize: Self.headLimit, maxHeaderListSize: Self.headLimit, maxHeaderFieldCount: 100))
        let application = Application(
            responder: responder, server: server(plain),
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port), serverName: nil, backlog: 1024, reuseAddress: true,
                availableConnectionsDelegate: MaximumAvailableConnections(configuration.connectionLimit)),
            onServerRunning: { [onListening, moment] channel in
                let port = channel.localAddress?.port ?? 0
                moment.port.withLock { $0 = port }
                onListening(port)
            }, logger: logger)
        let address = "\(configuration.section).listen \(configuration.host):\(configuration.port)"
        do { try await application.run() } catch let error as IOError {
            throw Unusable(description: "\(address): \(String(cString: strerror(error.errnoCode)))")
        } catch let error as SocketAddressError {
            throw Unusable(description: "\(address): \(error)")
        }
    }

    private func server(_ plain: HTTP1Channel.Configuration) -> HTTPServerBuilder {
        guard configuration.tls != nil else { return .http1(configuration: plain) }
        return HTTPServerBuilder { [credentials] responder in
            TLSChannel(base: HTTP1Channel(responder: responder, configuration: plain)) {
                guard let context = credentials.context else { throw Unusable(description: "there are no certificates any more") }
                return context
            }
        }
    }

    /// Whether it may listen like this, and whether its certificates and keys can be read.
    package static func check(_ configuration: Configuration) throws(Misconfigured) {
        guard configuration.isLoopback || configuration.isAuthenticated || configuration.allowsUnauthenticated else {
            throw Misconfigured(
                description: "\(configuration.section).listen \(configuration.host):\(configuration.port) can be reached from outside, and nobody has to say who they are; "
                    + "set token_file or tls.client_ca, listen on 127.0.0.1, or set allow_unauthenticated: true")
        }
        if let tls = configuration.tls { _ = try TLSFiles(tls, configuration.section) }
    }

    // MARK: - Requests

    /// Bytes of a request's headers: a connection that never gets beyond them holds no more.
    private static let headLimit = 16 << 10

    /// On loopback anybody on this host may connect; who says nothing of himself is believed if the kernel says that he is one of those who may do as much anyway.
    private func peer(_ channel: any Channel) -> Peer {
        let address = channel.remoteAddress
        let name = address.map { "\($0.ipAddress ?? "?"):\($0.port ?? 0)" }
        guard configuration.goesByUser else { return Peer(name: name, trust: configuration.trust, account: address?.ipAddress ?? "") }
        // Those who are not believed are one sender: together they leave room for those who are.
        guard let owner = SocketOwner.userID(of: channel) else { return Peer(name: name, trust: .untrusted, account: "others") }
        let isBelieved = owner == 0 || owner == geteuid() || configuration.userIDs.contains(owner)
        return Peer(name: name.map { "\($0) uid \(owner)" }, trust: isBelieved ? .trusted : .untrusted, account: isBelieved ? "uid \(owner)" : "others")
    }

    /// Takes note of why what came last could not be made safe, or that it could: `/healthz` tells.
    func note(_ problem: String?) { moment.problem.withLock { $0 = problem } }

    private func health(_ request: Request) -> Response {
        guard request.method == .get || request.method == .head else { return .notAllowed("GET, HEAD") }
        let problem = moment.problem.withLock(\.self)
        return .json(problem == nil ? .ok : .serviceUnavailable, problem.map { ["status": "failing", "error": .text($0)] } ?? ["status": "ok"])
    }

    /// Nil for who shows a token that is one of ours, or where none is needed; else what to answer.
    package func refusal(of request: Request) -> Response? {
        guard !isAuthorized(request) else { return nil }
        counters.count(\.denied)
        return .json(.unauthorized, ["error": "a bearer token is needed"], [.wwwAuthenticate: "Bearer"])
    }

    /// Every byte is compared, however early two tokens differ.
    private func isAuthorized(_ request: Request) -> Bool {
        guard !configuration.tokens.isEmpty else { return true }
        guard let header = request.headers[.authorization], header.hasPrefix("Bearer ") else { return false }
        let given = Array(header.dropFirst("Bearer ".count).utf8)
        return credentials.tokens.reduce(false) { found, token in
            let token = Array(token.utf8)
            var difference = UInt8(token.count == given.count ? 0 : 1)
            for index in 0..<min(token.count, given.count) { difference |= token[index] ^ given[index] }
            return difference == 0 || found
        }
    }

    /// Answers a request by its body. Of one that is refused the rest is not waited for.
    func withBody(of request: Request, from peer: Peer, ifTooLarge status: HTTPResponse.Status, _ take: ([UInt8]) async -> Response) async -> Response {
        let length = request.headers[.contentLength].flatMap { Int($0) }
        var body = BodyRoom.Body(bodies, account: peer.account, length: min(length ?? configuration.bodyLimit, configuration.bodyLimit))
        do {
            guard length ?? 0 <= configuration.bodyLimit else { throw NIOTooManyBytesError(maxBytes: configuration.bodyLimit) }
            for try await chunk in request.body {
                guard body.bytes.count + chunk.readableBytes <= configuration.bodyLimit else { throw NIOTooManyBytesError(maxBytes: configuration.bodyLimit) }
                guard body.append(chunk.readableBytesView) else {
                    counters.count(\.shed)
                    return .json(.serviceUnavailable, ["error": "too many bodies are under way"], [.connection: "close", .retryAfter: "1"])
                }
            }
        } catch {
            counters.count(\.rejected)
            guard error is NIOTooManyBytesError else { return .json(.badRequest, ["error": "the body could not be read"], [.connection: "close"]) }
            return .json(status, ["error": .text("a body has at most \(configuration.bodyLimit) bytes")], [.connection: "close"])
        }
        let response = await take(body.bytes)
        // Until here it takes up its room.
        withExtendedLifetime(body) {}
        return response
    }
}

extension Response {
    static func json(_ status: HTTPResponse.Status, _ json: JSON, _ headers: HTTPFields = [:]) -> Response {
        var headers = headers
        headers[.contentType] = "application/json"
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: json.bytes)))
    }

    static func notAllowed(_ methods: String) -> Response { json(.methodNotAllowed, ["error": .text("this takes \(methods)")], [.allow: methods]) }
}

/// A request's context that knows its connection.
private struct PeerContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }
}
