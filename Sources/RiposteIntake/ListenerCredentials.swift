internal import Glibc
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOSSL
internal import Synchronization

/// What those who come to a listener must show, and what it shows them. Changes while it listens: a request goes by what was in force when it came, a connection by what was
/// when it began.
final class ListenerCredentials: Sendable {
    private struct State {
        var tokens: [String]
        var tls: TLSFiles?
    }

    private let state: Mutex<State>

    init(_ configuration: HTTPListener.Configuration) throws(HTTPListener.Misconfigured) {
        state = Mutex(State(tokens: configuration.tokens, tls: try Self.files(of: configuration)))
    }

    var tokens: [String] { state.withLock(\.tokens) }
    /// Nil where it does not speak TLS.
    var context: NIOSSLContext? { state.withLock { $0.tls?.context } }

    /// Takes tokens and certificates of that one; whether anything is other than before. What was in force stays so where anything is wrong. A listener with neither tokens nor an
    /// authority does not get them, nor lose them, while it listens: whom it believes is decided at its start.
    func use(_ fresh: HTTPListener.Configuration) throws(HTTPListener.Misconfigured) -> Bool {
        let tls = try Self.files(of: fresh)
        return state.withLock { state in
            let isSame = state.tokens == fresh.tokens && state.tls?.texts == tls?.texts
            if !isSame { state = State(tokens: fresh.tokens, tls: tls) }
            return !isSame
        }
    }

    private static func files(of configuration: HTTPListener.Configuration) throws(HTTPListener.Misconfigured) -> TLSFiles? {
        guard let tls = configuration.tls else { return nil }
        return try TLSFiles(tls, configuration.section)
    }
}

/// A listener's PEM files, as they were when they were read.
struct TLSFiles: Sendable {
    let context: NIOSSLContext
    /// What stands in them, to tell whether they have changed.
    let texts: [[UInt8]]

    init(_ files: HTTPListener.Configuration.TLS, _ section: String) throws(HTTPListener.Misconfigured) {
        func read<Value>(_ key: String, _ path: String, _ body: ([UInt8]) throws -> Value) throws(HTTPListener.Misconfigured) -> ([UInt8], Value) {
            guard let text = Self.bytes(of: path) else { throw HTTPListener.Misconfigured(description: "\(section).tls.\(key) \(path): \(String(cString: strerror(errno)))") }
            do { return (text, try body(text)) } catch {
                throw HTTPListener.Misconfigured(description: "\(section).tls.\(key) \(path): it holds no PEM of that kind")
            }
        }
        let (chainText, chain) = try read("certificate", files.certificate) { try NIOSSLCertificate.fromPEMBytes($0).map { NIOSSLCertificateSource.certificate($0) } }
        let (keyText, key) = try read("key", files.key) { try NIOSSLPrivateKey(bytes: $0, format: .pem) }
        var configuration = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        var texts = [chainText, keyText]
        if let authority = files.clientAuthority {
            let (text, roots) = try read("client_ca", authority) { try NIOSSLCertificate.fromPEMBytes($0) }
            texts.append(text)
            configuration.trustRoots = .certificates(roots)
            configuration.certificateVerification = .noHostnameVerification
        }
        do { context = try NIOSSLContext(configuration: configuration) } catch {
            throw HTTPListener.Misconfigured(description: "\(section).tls: \(files.certificate) and \(files.key) do not belong together, or cannot be used: \(error)")
        }
        self.texts = texts
    }

    /// Nil, and `errno` says why. A file that somebody has made endless is not read to its end.
    private static func bytes(of path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: sizeLimit)
        var length = 0
        while length < bytes.count {
            let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress.map { $0 + length }, $0.count - length) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            length += count
        }
        return Array(bytes.prefix(length))
    }

    private static let sizeLimit = 1 << 20
}

/// TLS before what `base` speaks, each connection with the certificates that are in force when it begins.
struct TLSChannel<Base: ServerChildChannel>: ServerChildChannel {
    let base: Base
    let context: @Sendable () throws -> NIOSSLContext

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Base.Value> {
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context())) }
            .flatMap { base.setup(channel: channel, logger: logger) }
    }

    func handle(value: Base.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}
