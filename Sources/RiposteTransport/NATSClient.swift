internal import CNATS
internal import Foundation

/// Publishes to NATS by libnats. One connection, made when it is first needed and anew when it is lost. Calls wait on the caller's thread, within
/// a time.
///
/// Unchecked: whoever made it calls one method at a time.
package final class NATSClient: @unchecked Sendable {
    package struct Server: Sendable {
        /// `nats://host:4222` or `tls://host:4222`, without user and password.
        package var urls: [String]
        package var tls: TLSOptions
        package var usesTLS: Bool
        package var login: Login?
        /// What the server's lists call us.
        package var ownName: String
        package var timeout: Duration

        package init(urls: [String], tls: TLSOptions = TLSOptions(), usesTLS: Bool = false, login: Login? = nil, ownName: String, timeout: Duration = .seconds(5)) {
            self.urls = urls
            self.tls = tls
            self.usesTLS = usesTLS
            self.login = login
            self.ownName = ownName
            self.timeout = timeout
        }
    }

    package enum Login: Sendable {
        case user(String, password: String)
        case token(String)
        /// A file with a JWT and its seed.
        case credentials(path: String)
    }

    package struct Message: Sendable {
        package var subject: String
        package var bytes: [UInt8]
        /// `Nats-Msg-Id`: a stream drops what comes a second time under one.
        package var id: String
        /// The subject is made of what is in the message: that it must not be published there says nothing about others.
        package var hasOwnSubject: Bool

        package init(subject: String, bytes: [UInt8], id: String, hasOwnSubject: Bool) {
            self.subject = subject
            self.bytes = bytes
            self.id = id
            self.hasOwnSubject = hasOwnSubject
        }
    }

    package struct Failure: Error, Equatable, Sendable {
        /// It stays wrong with this message: larger than the server takes, a bad subject, or one of its own that we must not publish on.
        package let isOfMessage: Bool
        package let message: String
    }

    private let server: Server
    private var connection: OpaquePointer?
    private var stream: OpaquePointer?

    package init(_ server: Server) { self.server = server }

    deinit { close() }

    package func close() {
        jsCtx_Destroy(stream)
        natsConnection_Destroy(connection)
        (stream, connection) = (nil, nil)
    }

    /// Hands messages over and waits until the server has them all. Gives for each message what is wrong with itself; the server has all others then.
    package func publish(_ messages: [Message]) throws(Failure) -> [Failure?] {
        let connection = try connected()
        var faults: [Failure?] = []
        for message in messages {
            do throws(Failure) {
                try withMessage(message) { pointer throws(Failure) in try check(natsConnection_PublishMsg(connection, pointer), "publish to \(message.subject)") }
                faults.append(nil)
            } catch {
                guard error.isOfMessage else { throw error }
                faults.append(error)
            }
        }
        try check(natsConnection_FlushTimeout(connection, Int64(server.timeout.wholeMilliseconds)), "wait for the server")
        guard let said = refusal(connection) else { return faults }
        close()
        let handedOver = faults.indices.filter { faults[$0] == nil }
        // Which one of several it was nobody says.
        let isOfMessage = handedOver.count == 1 && messages[handedOver[0]].hasOwnSubject
        let failure = Failure(isOfMessage: isOfMessage, message: "publish: \(said)")
        guard isOfMessage else { throw failure }
        return faults.map { $0 ?? failure }
    }

    /// What we must not publish the server drops, and says so, before the answer to the flush; libnats takes note of that, and stays connected. Behind whatever else a server
    /// has against us it closes the connection, and the call itself fails. What stands here besides may be what another server said that has not let us in.
    private func refusal(_ connection: OpaquePointer) -> String? {
        var detail: UnsafePointer<CChar>?
        guard natsConnection_GetLastError(connection, &detail) == NATS_NOT_PERMITTED else { return nil }
        let said = detail.map { String(cString: $0) } ?? ""
        return "\(String(cString: natsStatus_GetText(NATS_NOT_PERMITTED)))\(said.isEmpty ? "" : ": \(said)")"
    }

    /// Hands one message to JetStream and waits until a stream has stored it.
    package func store(_ message: Message) throws(Failure) {
        let connection = try connected()
        if stream == nil { try check(natsConnection_JetStream(&stream, connection, nil), "find JetStream") }
        try withMessage(message) { pointer throws(Failure) in
            var receipt: UnsafeMutablePointer<jsPubAck>?
            defer { jsPubAck_Destroy(receipt) }
            var code = jsErrCode(0)
            var options = jsPubOptions()
            jsPubOptions_Init(&options)
            options.MaxWait = Int64(server.timeout.wholeMilliseconds)
            let status = js_PublishMsg(&receipt, stream, pointer, &options, &code)
            // That we must not listen for the answer, which is told in the same way, is no message's fault.
            let isForbidden = status != NATS_OK && message.hasOwnSubject && refusal(connection)?.contains("for Publish") == true
            // What stands on this connection is not to be taken for what is said to the next message.
            defer { if isForbidden { close() } }
            try check(status, "store in a stream for \(message.subject)", isOfMessage: isForbidden || code == JSStreamMessageExceedsMaximumErr)
        }
    }

    // MARK: - Connection

    private func connected() throws(Failure) -> OpaquePointer {
        if let connection, !natsConnection_IsClosed(connection) { return connection }
        close()
        var options: OpaquePointer?
        defer { natsOptions_Destroy(options) }
        try check(natsOptions_Create(&options), "make options")
        try setUp(options)
        try check(natsConnection_Connect(&connection, options), "connect")
        guard let connection else { throw Failure(isOfMessage: false, message: "connect: no connection") }
        return connection
    }

    /// Once in a process.
    private static let followsContexts = riposte_nats_follow_contexts() >= 0

    private func setUp(_ options: OpaquePointer?) throws(Failure) {
        var urls = server.urls.map { UnsafePointer(strdup($0)) }
        defer { for url in urls { free(UnsafeMutablePointer(mutating: url)) } }
        try check(natsOptions_SetServers(options, &urls, Int32(urls.count)), "set the servers")
        try check(natsOptions_SetName(options, server.ownName), "set the name")
        try check(natsOptions_SetTimeout(options, Int64(server.timeout.wholeMilliseconds)), "set the time")
        // Without one a server that stops reading is waited for without end.
        try check(natsOptions_SetWriteDeadline(options, Int64(server.timeout.wholeMilliseconds)), "set the time for writing")
        // Trying again is the courier's, which knows what was handed over and what was not.
        try check(natsOptions_SetAllowReconnect(options, false), "set reconnection")
        switch server.login {
        case .user(let user, let password): try check(natsOptions_SetUserInfo(options, user, password), "set the user")
        case .token(let token): try check(natsOptions_SetToken(options, token), "set the token")
        case .credentials(let path): try check(natsOptions_SetUserCredentialsFromFiles(options, path, nil), "read the credentials")
        case nil: break
        }
        guard server.usesTLS else { return }
        guard Self.followsContexts else { throw Failure(isOfMessage: false, message: "set TLS: OpenSSL does not tell of its contexts") }
        try check(riposte_nats_secure(options, server.tls.authorities == nil), "set TLS")
        try check(natsOptions_SkipServerVerification(options, !server.tls.verifiesPeer), "set verification")
        if let authorities = server.tls.authorities {
            try check(natsOptions_SetCATrustedCertificates(options, String(decoding: authorities, as: UTF8.self)), "set the authorities")
        }
        if let certificate = server.tls.certificate, let key = server.tls.key {
            try check(natsOptions_SetCertificatesChain(options, String(decoding: certificate, as: UTF8.self), String(decoding: key, as: UTF8.self)), "set the certificate")
        }
    }

    private func withMessage(_ message: Message, _ body: (OpaquePointer?) throws(Failure) -> Void) throws(Failure) {
        var pointer: OpaquePointer?
        defer { natsMsg_Destroy(pointer) }
        let status = message.bytes.withUnsafeBytes { bytes in
            natsMsg_Create(&pointer, message.subject, nil, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(clamping: bytes.count))
        }
        try check(status, "make a message")
        try check(natsMsgHeader_Set(pointer, "Nats-Msg-Id", message.id), "set the id")
        try body(pointer)
    }

    private func check(_ status: natsStatus, _ doing: String, isOfMessage: Bool = false) throws(Failure) {
        guard status != NATS_OK else { return }
        let said = words(about: status)
        let words = String(cString: natsStatus_GetText(status))
        let isOfMessage = isOfMessage || status == NATS_MAX_PAYLOAD || status == NATS_INVALID_SUBJECT
        // Whatever is half done on it, the next try begins with a new one.
        if !isOfMessage { close() }
        throw Failure(isOfMessage: isOfMessage, message: "\(doing): \(words)\(said.isEmpty ? "" : ": \(said)")")
    }

    /// What libnats says of it, on this thread, and what the server has said last.
    private func words(about status: natsStatus) -> String {
        var last = NATS_OK
        let own = nats_GetLastError(&last).map { String(cString: $0) } ?? ""
        var detail: UnsafePointer<CChar>?
        if let connection { _ = natsConnection_GetLastError(connection, &detail) }
        let servers = detail.map { String(cString: $0) } ?? ""
        return [last == status ? own : "", servers == own ? "" : servers].filter { !$0.isEmpty }.joined(separator: "; ")
    }
}
