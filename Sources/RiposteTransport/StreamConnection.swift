internal import CCurl
internal import Foundation

/// A connection that bytes are written to, by libcurl: TCP, TLS, or a Unix stream socket. Connecting and sending wait on the caller's thread, within a
/// time and as long as the caller has patience.
///
/// Unchecked: whoever made it calls one method at a time.
package final class StreamConnection: @unchecked Sendable {
    package enum Address: Sendable, Equatable {
        case tcp(host: String, port: Int)
        case tls(host: String, port: Int)
        case unix(path: String)
    }

    private let handle: UnsafeMutableRawPointer
    private let socket: Int32
    private let title: String

    package init(_ address: Address, tls: TLSOptions = TLSOptions(), within time: Duration) throws(TransportError) {
        CurlLibrary.setUp()
        title = address.title
        guard let handle = curl_easy_init() else { throw TransportError(.invalid, "\(title): libcurl has no handle left") }
        self.handle = handle
        let problem = CurlProblem()
        let codes =
            address.options(of: handle) + tls.options(of: handle) + CurlLibrary.options(of: handle) + [
                riposte_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, problem.text),
                riposte_curl_set_text(handle, CURLOPT_PROXY, ""),
                riposte_curl_set_long(handle, CURLOPT_CONNECT_ONLY, 1),
                riposte_curl_set_long(handle, CURLOPT_SSL_ENABLE_ALPN, 0),
                riposte_curl_set_long(handle, CURLOPT_TCP_KEEPALIVE, 1),
                riposte_curl_set_long(handle, CURLOPT_TIMEOUT_MS, time.wholeMilliseconds),
            ]
        let code = codes.first { $0 != CURLE_OK } ?? curl_easy_perform(handle)
        socket = code == CURLE_OK ? riposte_curl_socket(handle) : -1
        riposte_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, nil)
        // All is in place by now, so that also where this throws `deinit` frees the handle.
        guard code == CURLE_OK, socket >= 0 else { throw TransportError(TransportError.Code(code), "\(title): \(problem.words(for: code))") }
    }

    deinit { curl_easy_cleanup(handle) }

    /// All of it, or an error: then some of it may have arrived.
    package func send(_ bytes: [UInt8], within time: Duration, _ patience: Patience) throws(TransportError) {
        let end = ContinuousClock.now + time
        var sent = 0
        while sent < bytes.count {
            var count = 0
            let code = bytes.withUnsafeBytes { curl_easy_send(handle, $0.baseAddress?.advanced(by: sent), bytes.count - sent, &count) }
            switch code {
            case CURLE_OK: sent += count
            case CURLE_AGAIN: try awaitRoom(until: end, patience)
            default: throw TransportError(.broken, "\(title): \(String(cString: curl_easy_strerror(code)))")
            }
        }
    }

    private func awaitRoom(until end: ContinuousClock.Instant, _ patience: Patience) throws(TransportError) {
        guard !patience.hasEnded else { throw TransportError(.cancelled, "\(title): cancelled") }
        guard .now < end else { throw TransportError(.timedOut, "\(title): the other side reads nothing") }
        var room = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
        _ = poll(&room, 1, 100)
    }

    /// Whether the other side has hung up. What it said, if anything, is dropped.
    package var isClosedByPeer: Bool {
        var news = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        while poll(&news, 1, 0) > 0 {
            var bytes = [UInt8](repeating: 0, count: 4096)
            var count = 0
            switch curl_easy_recv(handle, &bytes, bytes.count, &count) {
            case CURLE_OK where count > 0: continue
            // Bytes of TLS itself, such as tickets.
            case CURLE_AGAIN: return false
            default: return true
            }
        }
        return false
    }
}

extension StreamConnection.Address {
    fileprivate var title: String {
        switch self {
        case .tcp(let host, let port): "\(host):\(port)"
        case .tls(let host, let port): "\(host):\(port)"
        case .unix(let path): path
        }
    }

    /// The scheme only says whether there is TLS: nothing is spoken over the connection.
    fileprivate func options(of handle: UnsafeMutableRawPointer) -> [CURLcode] {
        switch self {
        case .tcp(let host, let port): [riposte_curl_set_text(handle, CURLOPT_URL, "http://\(host.inURL):\(port)/")]
        case .tls(let host, let port): [riposte_curl_set_text(handle, CURLOPT_URL, "https://\(host.inURL):\(port)/")]
        case .unix(let path): [riposte_curl_set_text(handle, CURLOPT_URL, "http://localhost/"), riposte_curl_set_text(handle, CURLOPT_UNIX_SOCKET_PATH, path)]
        }
    }
}

extension String {
    /// As it stands in a URL: an IPv6 address in brackets.
    package var inURL: String { contains(":") ? "[\(self)]" : self }
}
