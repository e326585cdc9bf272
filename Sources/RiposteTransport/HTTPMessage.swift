/// One HTTP request, as a value. The URL and the headers are ours, never an alert's text: whoever builds one escapes what goes into the path.
package struct HTTPRequest: Sendable {
    package enum Method: String, Sendable { case get = "GET", post = "POST", put = "PUT", patch = "PATCH", delete = "DELETE" }

    package var method: Method
    /// Absolute. With ``unixSocket`` the host part is only what the `Host` header says.
    package var url: String
    /// Connect to this Unix stream socket instead of the URL's host.
    package var unixSocket: String?
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]?
    /// Of the whole exchange.
    package var timeout: Duration
    /// A longer answer is an error; what was read of it is dropped.
    package var maxResponseBytes: Int
    package var tls: TLSOptions
    /// Takes the body as it comes, on the client's thread; the answer then has none, and may be without end. Must not wait.
    package var bodySink: (@Sendable ([UInt8]) -> Void)?
    /// On a connection of its own. On one that was used before, libcurl sends a request a second time by itself where the other side goes away without an answer, and it may have
    /// been carried out.
    package var isSentOnce = false
    /// `http://proxy:3128`, also with user and password. Nil: none, whatever the environment says.
    package var proxy: String?

    package init(
        _ method: Method, _ url: String, unixSocket: String? = nil, headers: [(name: String, value: String)] = [], body: [UInt8]? = nil,
        timeout: Duration = .seconds(5), maxResponseBytes: Int = 16 << 20, tls: TLSOptions = TLSOptions()
    ) {
        self.method = method
        self.url = url
        self.unixSocket = unixSocket
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.maxResponseBytes = maxResponseBytes
        self.tls = tls
    }
}

/// Whom to trust and who to be. Verification is on unless a person turned it off.
package struct TLSOptions: Sendable, Hashable {
    /// PEM of certificates to trust instead of the system's.
    package var authorities: [UInt8]?
    /// PEM of our certificate (chain) and its key.
    package var certificate: [UInt8]?
    package var key: [UInt8]?
    package var verifiesPeer: Bool
    /// An older one is refused.
    package var minimumVersion = Version.tls12

    package enum Version: String, CaseIterable, Sendable {
        case tls12 = "1.2"
        case tls13 = "1.3"
    }

    package init(authorities: [UInt8]? = nil, certificate: [UInt8]? = nil, key: [UInt8]? = nil, verifiesPeer: Bool = true) {
        self.authorities = authorities
        self.certificate = certificate
        self.key = key
        self.verifiesPeer = verifiesPeer
    }
}

package struct HTTPResponse: Sendable {
    package var status: Int
    /// Names in lower case, in the order received.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(status: Int, headers: [(name: String, value: String)], body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    package func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }

    /// `Retry-After` in seconds (RFC 9110, 10.2.3), at most an hour; a date is passed over, as the clocks may differ.
    package var retryAfter: Duration? { header("retry-after").flatMap { Int64($0) }.flatMap { $0 >= 0 ? .seconds(min($0, 3600)) : nil } }
}

/// Why there is no answer.
package struct TransportError: Error, Equatable, Sendable {
    package enum Code: String, Sendable {
        /// Nobody listens: connection refused, no such socket, no route, name not found. Nothing was sent.
        case unreachable
        /// EACCES on the socket.
        case denied
        case timedOut
        /// The peer's certificate, or ours, was not accepted.
        case tls
        case tooLarge
        /// The connection broke, or what came was not HTTP: the request may have been carried out.
        case broken
        /// The request makes no sense, or the client was closed.
        case invalid
        /// The task was cancelled: the request may have been carried out.
        case cancelled
    }

    package let code: Code
    /// What we did, to whom, and what came of it: "GET http://…: Connection refused".
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}

extension String {
    /// For one segment of a URL's path: everything but unreserved characters (RFC 3986, section 2.3) is percent-encoded.
    package var escapedForPath: String {
        var result = ""
        for byte in utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "~"): result.unicodeScalars.append(Unicode.Scalar(byte))
            case UInt8(ascii: ".") where self != "." && self != "..": result += "."
            default: result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }
}
