internal import Glibc
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import HummingbirdTLS
package import Logging
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
package import RiposteCore
internal import Synchronization

/// Alerts by HTTP: Falco's `http_output`, falcosidekick's webhook and Talon outputs, or anybody's POST.
package struct HTTPIntake: Intake {
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

        package var name = "http"
        package var host = "127.0.0.1"
        /// 0: any free one.
        package var port = 2803
        package var trust = Alert.Arrival.Trust.trusted
        /// One of these must be shown as `Authorization: Bearer`.
        package var tokens: [String] = []
        package var tls: TLS?
        package var allowsUnauthenticated = false
        package var bodyLimit = 1 << 20
        package var connectionLimit = 16384
        package var idleTimeout = Duration.seconds(10)
        package var bodyTimeout = Duration.seconds(30)

        package init() {}

        var isLoopback: Bool { host == "localhost" || IPNetwork(host).map { IPNetwork("127.0.0.0/8")?.contains($0) ?? false || "\($0)" == "::1" } ?? false }
        var isAuthenticated: Bool { !tokens.isEmpty || tls?.clientAuthority != nil }
    }

    /// Why it cannot listen.
    package struct Unusable: Error, CustomStringConvertible, Equatable {
        package let description: String
    }

    /// What is wrong with a configuration, and the remedy.
    package struct Misconfigured: Error, CustomStringConvertible, Equatable {
        package let description: String
    }

    package let name: String
    package let counters = IntakeCounters()
    private let configuration: Configuration
    private let reader: AlertReader
    private let logger: Logger
    private let onListening: @Sendable (Int) -> Void
    private let moment = Moment()

    /// `onListening` is told the port once connections are taken.
    package init(
        _ configuration: Configuration, sink: any AlertSink, logger: Logger, onListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws(Misconfigured) {
        try Self.check(configuration)
        name = configuration.name
        self.configuration = configuration
        self.logger = logger
        self.onListening = onListening
        reader = AlertReader(name: configuration.name, trust: configuration.trust, sink: sink, counters: counters)
    }

    /// With the port that is bound, once one is.
    package var place: String {
        let host = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
        return "\(configuration.tls == nil ? "http" : "https")://\(host):\(moment.port.withLock(\.self) ?? configuration.port)/"
    }

    /// What there is to know of a running one.
    private final class Moment: Sendable {
        let port = Mutex<Int?>(nil)
        /// Why the last alert could not be made safe; nil once one could.
        let problem = Mutex<String?>(nil)
    }

    package func run() async throws {
        let responder = CallbackResponder<PeerContext> { request, context in await route(request, peer: context.peer) }
        let (idle, limit) = (TimeAmount(configuration.idleTimeout), TimeAmount(configuration.bodyTimeout))
        let plain = HTTPServerBuilder.http1(configuration: .init(additionalChannelHandlers: [RequestDeadline(limit)], idleTimeout: idle))
        let tls = try configuration.tls.map { try Self.tlsConfiguration($0) }
        let application = Application(
            responder: responder, server: try tls.map { try .tls(plain, tlsConfiguration: $0) } ?? plain,
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port), serverName: nil, backlog: 1024, reuseAddress: true,
                availableConnectionsDelegate: MaximumAvailableConnections(configuration.connectionLimit)),
            onServerRunning: { [onListening, moment] channel in
                let port = channel.localAddress?.port ?? 0
                moment.port.withLock { $0 = port }
                onListening(port)
            }, logger: logger)
        do { try await application.run() } catch let error as IOError {
            throw Unusable(description: "intake.http.listen \(configuration.host):\(configuration.port): \(String(cString: strerror(error.errnoCode)))")
        } catch let error as SocketAddressError {
            throw Unusable(description: "intake.http.listen \(configuration.host):\(configuration.port): \(error)")
        }
    }

    /// Whether it may listen like this, and whether its certificates and keys can be read.
    package static func check(_ configuration: Configuration) throws(Misconfigured) {
        guard configuration.isLoopback || configuration.isAuthenticated || configuration.allowsUnauthenticated else {
            throw Misconfigured(
                description: "intake.http.listen \(configuration.host):\(configuration.port) can be reached from outside, and nobody has to say who they are; "
                    + "set token_file or tls.client_ca, listen on 127.0.0.1, or set allow_unauthenticated: true")
        }
        if let tls = configuration.tls { _ = try tlsConfiguration(tls) }
    }

    private static func tlsConfiguration(_ tls: Configuration.TLS) throws(Misconfigured) -> TLSConfiguration {
        func read<Value>(_ key: String, _ path: String, _ body: () throws -> Value) throws(Misconfigured) -> Value {
            do { return try body() } catch {
                let reason = access(path, R_OK) == 0 ? "it holds no PEM of that kind" : String(cString: strerror(errno))
                throw Misconfigured(description: "intake.http.tls.\(key) \(path): \(reason)")
            }
        }
        let chain = try read("certificate", tls.certificate) { try NIOSSLCertificate.fromPEMFile(tls.certificate).map { NIOSSLCertificateSource.certificate($0) } }
        let key = try read("key", tls.key) { try NIOSSLPrivateKey(file: tls.key, format: .pem) }
        var configuration = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        if let authority = tls.clientAuthority {
            configuration.trustRoots = .certificates(try read("client_ca", authority) { try NIOSSLCertificate.fromPEMFile(authority) })
            configuration.certificateVerification = .noHostnameVerification
        }
        return configuration
    }

    // MARK: - Requests

    private func route(_ request: Request, peer: String?) async -> Response {
        switch request.uri.path {
        case "/", "/alerts":
            guard request.method == .post || request.method == .put else { return Self.notAllowed("POST, PUT") }
            return await answer(request, peer: peer)
        case "/healthz":
            guard request.method == .get || request.method == .head else { return Self.notAllowed("GET, HEAD") }
            let problem = moment.problem.withLock(\.self)
            return Self.response(problem == nil ? .ok : .serviceUnavailable, problem.map { ["status": "failing", "error": .text($0)] } ?? ["status": "ok"])
        default: return Self.response(.notFound, ["error": "alerts go to / or /alerts"])
        }
    }

    private static func notAllowed(_ methods: String) -> Response {
        response(.methodNotAllowed, ["error": .text("this takes \(methods)")], [.allow: methods])
    }

    private func answer(_ request: Request, peer: String?) async -> Response {
        guard isAuthorized(request) else {
            counters.count(\.denied)
            return Self.response(.unauthorized, ["error": "a bearer token is needed"], [.wwwAuthenticate: "Bearer"])
        }
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > configuration.bodyLimit { return tooLarge }
        let body: [UInt8]
        do { body = Array(buffer: try await request.body.collect(upTo: configuration.bodyLimit)) } catch is NIOTooManyBytesError { return tooLarge } catch {
            counters.count(\.rejected)
            return Self.response(.badRequest, ["error": "the body could not be read"], [.connection: "close"])
        }
        return take(body, peer)
    }

    private var tooLarge: Response {
        counters.count(\.rejected)
        return Self.response(.contentTooLarge, ["error": .text("a body has at most \(configuration.bodyLimit) bytes")], [.connection: "close"])
    }

    /// Every byte is compared, however early two tokens differ.
    private func isAuthorized(_ request: Request) -> Bool {
        guard !configuration.tokens.isEmpty else { return true }
        guard let header = request.headers[.authorization], header.hasPrefix("Bearer ") else { return false }
        let given = Array(header.dropFirst("Bearer ".count).utf8)
        return configuration.tokens.reduce(false) { found, token in
            let token = Array(token.utf8)
            var difference = UInt8(token.count == given.count ? 0 : 1)
            for index in 0..<min(token.count, given.count) { difference |= token[index] ^ given[index] }
            return difference == 0 || found
        }
    }

    // MARK: - Alerts

    /// All or nothing as far as reading goes: a body with one bad alert is refused whole, so that it can be sent again whole.
    private func take(_ body: [UInt8], _ peer: String?) -> Response {
        let arrival = reader.arrival(peer: peer)
        let alerts: [Alert]
        do throws(BodyError) { alerts = try AlertBody.alerts(in: body, arrival) } catch {
            reader.reject(error.problem, body, arrival)
            return Self.response(.badRequest, error.json)
        }
        var taken: [JSON] = []
        for alert in alerts {
            do throws(AdmissionError) { try reader.sink.accept(alert) } catch {
                if case .unsafe(let reason) = error { moment.problem.withLock { $0 = reason } }
                return refusal(error, taken)
            }
            moment.problem.withLock { $0 = nil }
            counters.count(\.accepted)
            taken.append(.text("\(alert.id)"))
        }
        var answer: JSONObject = [:]
        if taken.count == 1 { answer.append("id", taken[0]) }
        answer.append("ids", .array(taken))
        return Self.response(.accepted, .object(answer))
    }

    private func refusal(_ error: AdmissionError, _ taken: [JSON]) -> Response {
        switch error {
        case .full:
            counters.count(\.shed)
            return Self.response(.tooManyRequests, ["error": "too many alerts are being answered", "ids": .array(taken)], [.retryAfter: "1"])
        case .closed: return Self.response(.serviceUnavailable, ["error": "the agent is stopping", "ids": .array(taken)])
        case .unsafe(let reason): return Self.response(.serviceUnavailable, ["error": .text("the alert could not be made safe: \(reason)"), "ids": .array(taken)])
        }
    }

    private static func response(_ status: HTTPResponse.Status, _ json: JSON, _ headers: HTTPFields = [:]) -> Response {
        var headers = headers
        headers[.contentType] = "application/json"
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: json.bytes)))
    }
}

/// A request's context that knows the other end of the connection.
private struct PeerContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let peer: String?

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        peer = source.channel.remoteAddress.map { "\($0.ipAddress ?? "?"):\($0.port ?? 0)" }
    }
}

/// Where in a body something is wrong.
struct BodyError: Error, Equatable {
    /// Its place among the alerts of the body, from 1.
    let number: Int
    let problem: AlertError

    var json: JSON {
        var object: JSONObject = ["error": .text(problem.problem), "alert": .integer(Int64(number))]
        object.append("offset", problem.offset.map { .integer(Int64($0)) })
        return .object(object)
    }
}

/// A body: one alert, an array of alerts, or one alert per line.
enum AlertBody {
    static func alerts(in body: [UInt8], _ arrival: Alert.Arrival) throws(BodyError) -> [Alert] {
        let json: JSON
        do throws(JSONError) { json = try JSON(parsing: body) } catch { return try alerts(inLines: body, arrival, unlessOne: error) }
        return try documents(json, isFaithful: String(validating: body, as: UTF8.self) != nil, body, arrival)
    }

    private static func alerts(inLines body: [UInt8], _ arrival: Alert.Arrival, unlessOne whole: JSONError) throws(BodyError) -> [Alert] {
        let lines = body.split(separator: UInt8(ascii: "\n")).filter { $0.contains { !$0.isBlank } }
        guard lines.count > 1 else { throw BodyError(number: 1, problem: AlertError(problem: "not JSON: \(whole.problem)", offset: whole.offset)) }
        return try self.lines(lines, arrival)
    }

    private static func documents(_ json: JSON, isFaithful: Bool, _ body: [UInt8], _ arrival: Alert.Arrival) throws(BodyError) -> [Alert] {
        guard let elements = json.array else { return [try alert(json, isFaithful ? nil : body, 1, arrival)] }
        guard !elements.isEmpty else { throw BodyError(number: 0, problem: AlertError(problem: "the array is empty")) }
        var alerts: [Alert] = []
        let texts = isFaithful ? [] : elementTexts(body)
        for (index, element) in elements.enumerated() { alerts.append(try alert(element, isFaithful ? nil : texts[index], index + 1, arrival)) }
        return alerts
    }

    /// The bytes of each element of an array; of bytes that were read as one already.
    private static func elementTexts(_ body: [UInt8]) -> [[UInt8]] {
        var (texts, start, depth) = ([[UInt8]](), body.startIndex, 0)
        var (isInText, isEscaped) = (false, false)
        for (index, byte) in body.enumerated() {
            if isInText {
                if byte == UInt8(ascii: "\""), !isEscaped { isInText = false }
                isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInText = true
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                depth += 1
                if depth == 1 { start = index + 1 }
            case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"):
                if depth == 1 {
                    texts.append(Array(body[start..<index]))
                    start = index + 1
                }
                if byte != UInt8(ascii: ",") { depth -= 1 }
            default: break
            }
        }
        return texts
    }

    private static func lines(_ lines: [ArraySlice<UInt8>], _ arrival: Alert.Arrival) throws(BodyError) -> [Alert] {
        var alerts: [Alert] = []
        for (index, line) in lines.enumerated() {
            do throws(AlertError) { alerts.append(try Alert(parsing: line, id: .new(at: arrival.time), arrival: arrival)) } catch {
                throw BodyError(number: index + 1, problem: AlertError(problem: error.problem, offset: error.offset.map { $0 + line.startIndex }))
            }
        }
        return alerts
    }

    private static func alert(_ json: JSON, _ original: [UInt8]?, _ number: Int, _ arrival: Alert.Arrival) throws(BodyError) -> Alert {
        do throws(AlertError) { return try Alert(json, original: original, id: .new(at: arrival.time), arrival: arrival) } catch {
            throw BodyError(number: number, problem: error)
        }
    }
}
