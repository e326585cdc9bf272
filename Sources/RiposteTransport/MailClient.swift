internal import CCurl
internal import Foundation

/// A mail, ready to be sent: addresses are checked and the text is complete with its headers and CRLF line ends before it comes here.
package struct Mail: Sendable {
    package var from: String
    package var to: [String]
    package var bytes: [UInt8]

    package init(from: String, to: [String], bytes: [UInt8]) {
        self.from = from
        self.to = to
        self.bytes = bytes
    }
}

/// Hands mails to an SMTP server by libcurl. The connection is kept between them. Sending waits on the caller's thread, within a time and as long as
/// the caller has patience.
///
/// Unchecked: whoever made it calls one method at a time.
package final class MailClient: @unchecked Sendable {
    package enum Security: String, CaseIterable, Sendable {
        /// STARTTLS, and nothing is said without it.
        case startTLS = "starttls"
        /// TLS from the first byte.
        case tls
        case none
    }

    package struct Server: Sendable {
        package var host: String
        package var port: Int
        package var security: Security
        package var tls: TLSOptions
        package var login: (user: String, password: String)?
        /// What we call ourselves, in EHLO.
        package var ownName: String
        package var timeout: Duration

        package init(
            host: String, port: Int, security: Security, tls: TLSOptions = TLSOptions(), login: (user: String, password: String)? = nil, ownName: String,
            timeout: Duration = .seconds(30)
        ) {
            self.host = host
            self.port = port
            self.security = security
            self.tls = tls
            self.login = login
            self.ownName = ownName
            self.timeout = timeout
        }
    }

    /// Why a mail was not taken.
    package struct Failure: Error, Equatable, Sendable {
        package enum Cause: Sendable, Equatable {
            /// The server's last word was this reply, to the last that was said of the mail: neither to us, nor to our login, nor to something before, after
            /// which it broke off.
            case reply(Int)
            /// The login was not accepted.
            case login
            case transport(TransportError.Code)
        }

        package let cause: Cause
        package let message: String
        /// The recipients whom the server had refused by then.
        package var refused: [Refusal] = []
    }

    /// A recipient whom the server does not take the mail for.
    package struct Refusal: Sendable, Equatable {
        package let address: String
        package let code: Int
        package let message: String

        /// It stays so (RFC 5321, 4.2.1).
        package var isFinal: Bool { 500..<600 ~= code }
    }

    /// A mail was taken, for all its recipients but some.
    package struct Receipt: Sendable, Equatable {
        /// Of the server's last reply.
        package let code: Int
        package let refused: [Refusal]
    }

    private let server: Server
    private var handle: UnsafeMutableRawPointer?

    package init(_ server: Server) {
        CurlLibrary.setUp()
        self.server = server
    }

    deinit { close() }

    package func close() {
        if let handle { curl_easy_cleanup(handle) }
        handle = nil
    }

    package func send(_ mail: Mail, _ patience: Patience) throws(Failure) -> Receipt {
        guard let handle = handle ?? curl_easy_init() else { throw Failure(cause: .transport(.invalid), message: "libcurl has no handle left") }
        // Takes the options away and keeps the connection.
        curl_easy_reset(handle)
        self.handle = handle
        let problem = CurlProblem()
        let exchange = MailExchange(mail, patience)
        var recipients: UnsafeMutablePointer<curl_slist>?
        for address in mail.to { recipients = curl_slist_append(recipients, "<\(address)>") }
        defer { curl_slist_free_all(recipients) }
        let codes =
            options(of: handle) + exchange.options(of: handle) + [
                riposte_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, problem.text),
                riposte_curl_set_text(handle, CURLOPT_MAIL_FROM, "<\(mail.from)>"),
                riposte_curl_set_pointer(handle, CURLOPT_MAIL_RCPT, recipients),
                riposte_curl_allow_refused_recipients(handle),
            ]
        let code = withExtendedLifetime(exchange) { codes.first { $0 != CURLE_OK } ?? curl_easy_perform(handle) }
        let status = riposte_curl_status(handle)
        let words = problem.words(for: code)
        curl_easy_reset(handle)
        guard code != CURLE_OK else { return Receipt(code: status, refused: exchange.refused) }
        // A server in disorder is met afresh the next time.
        close()
        var failure = failure(code, exchange.reply, words)
        failure.refused = exchange.refused
        throw failure
    }

    private func options(of handle: UnsafeMutableRawPointer) -> [CURLcode] {
        let scheme = server.security == .tls ? "smtps" : "smtp"
        var codes =
            server.tls.options(of: handle) + CurlLibrary.options(of: handle) + [
                riposte_curl_set_text(handle, CURLOPT_URL, "\(scheme)://\(server.host.inURL):\(server.port)/\(server.ownName)"),
                riposte_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "smtp,smtps"),
                riposte_curl_set_text(handle, CURLOPT_PROXY, ""),
                riposte_curl_set_long(handle, CURLOPT_USE_SSL, server.security == .none ? Int(CURLUSESSL_NONE.rawValue) : Int(CURLUSESSL_ALL.rawValue)),
                riposte_curl_set_long(handle, CURLOPT_TIMEOUT_MS, server.timeout.wholeMilliseconds),
            ]
        if let login = server.login {
            codes.append(riposte_curl_set_text(handle, CURLOPT_USERNAME, login.user))
            codes.append(riposte_curl_set_text(handle, CURLOPT_PASSWORD, login.password))
        }
        return codes
    }

    private func failure(_ code: CURLcode, _ reply: Int?, _ words: String) -> Failure {
        let message = "\(server.host):\(server.port): \(words)"
        switch code {
        case CURLE_LOGIN_DENIED: return Failure(cause: .login, message: message)
        case CURLE_SEND_ERROR, CURLE_WEIRD_SERVER_REPLY, CURLE_UPLOAD_FAILED, CURLE_RECV_ERROR, CURLE_HTTP_RETURNED_ERROR, CURLE_QUOTE_ERROR:
            if let reply, 400..<600 ~= reply { return Failure(cause: .reply(reply), message: message + (words.contains("\(reply)") ? "" : ", reply \(reply)")) }
            return Failure(cause: .transport(.broken), message: message)
        default: return Failure(cause: .transport(TransportError.Code(code)), message: message)
        }
    }
}

/// What libcurl calls back for, during one mail. Alive as long as that takes.
private final class MailExchange {
    private let bytes: [UInt8]
    private let recipients: [String]
    private var sent = 0
    private let patience: Patience
    /// How many recipients the server was told of: libcurl waits for the answer to each.
    private var asked = 0
    private var isAsking = false
    private(set) var refused: [MailClient.Refusal] = []
    /// Of the mail itself something was said.
    private var isBegun = false
    /// libcurl takes its leave: what is said from here on is of no mail.
    private var isOver = false
    /// The code of the answer to what was said last of the mail; nil where there is none.
    private(set) var reply: Int?

    init(_ mail: Mail, _ patience: Patience) {
        bytes = mail.bytes
        recipients = mail.to
        self.patience = patience
    }

    private func listen(_ type: curl_infotype, _ line: UnsafeRawBufferPointer) {
        guard !isOver else { return }
        switch type {
        case CURLINFO_HEADER_OUT: say(line)
        case CURLINFO_DATA_OUT: reply = nil
        case CURLINFO_HEADER_IN: hear(line)
        default: break
        }
    }

    private func say(_ line: UnsafeRawBufferPointer) {
        isOver = line.starts(with: "QUIT".utf8)
        guard !isOver else { return }
        reply = nil
        if line.starts(with: "MAIL FROM:".utf8) { isBegun = true }
        isAsking = line.starts(with: "RCPT TO:".utf8)
        if isAsking { asked += 1 }
    }

    private func hear(_ line: UnsafeRawBufferPointer) {
        // Of a reply of several lines the last one, which has no dash behind its code.
        guard isBegun, line.count >= 3, line.count == 3 || line[3] != UInt8(ascii: "-") else { return }
        let text = String(decoding: line, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        reply = Int(text.prefix(3))
        guard isAsking else { return }
        isAsking = false
        guard let code = reply, code / 100 != 2, recipients.indices.contains(asked - 1) else { return }
        refused.append(MailClient.Refusal(address: recipients[asked - 1], code: code, message: text))
    }

    func options(of handle: UnsafeMutableRawPointer) -> [CURLcode] {
        let this = Unmanaged.passUnretained(self).toOpaque()
        return [
            riposte_curl_set_long(handle, CURLOPT_UPLOAD, 1),
            riposte_curl_set_size(handle, CURLOPT_INFILESIZE_LARGE, curl_off_t(bytes.count)),
            riposte_curl_set_pointer(handle, CURLOPT_READDATA, this),
            riposte_curl_set_sink(handle, CURLOPT_READFUNCTION) { room, size, count, this in
                MailExchange.from(this).fill(UnsafeMutableRawBufferPointer(start: room, count: size * count))
            },
            riposte_curl_set_listener(
                handle,
                { _, type, line, count, this in
                    MailExchange.from(this).listen(type, UnsafeRawBufferPointer(start: line, count: count))
                    return 0
                }, this),
            riposte_curl_set_progress(handle, { this, _, _, _, _ in MailExchange.from(this).patience.hasEnded ? 1 : 0 }, this),
        ]
    }

    private static func from(_ pointer: UnsafeMutableRawPointer?) -> MailExchange {
        // Alive until curl_easy_perform has returned, and libcurl calls back only before.
        Unmanaged<MailExchange>.fromOpaque(pointer.unsafelyUnwrapped).takeUnretainedValue()
    }

    private func fill(_ room: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(room.count, bytes.count - sent)
        room.copyBytes(from: bytes[sent..<sent + count])
        sent += count
        return count
    }
}
