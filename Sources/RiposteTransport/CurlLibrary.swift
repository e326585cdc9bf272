internal import CCurl
internal import Glibc

/// What all uses of libcurl have in common.
enum CurlLibrary {
    /// Once in a process, before anything else.
    static func setUp() { _ = done }

    private static let done: Void = { curl_global_init(Int(CURL_GLOBAL_DEFAULT)) }()
}

extension CurlLibrary {
    /// What every transfer is told. A name is looked up on a thread of libcurl's. A transfer that ends before its name is known waits for that thread otherwise, which is as long as `getaddrinfo`
    /// takes: with it wait all others of the same thread, and whoever cancelled. The thread is left to itself, and frees what it has.
    static func options(of handle: UnsafeMutableRawPointer) -> [CURLcode] {
        [riposte_curl_set_long(handle, CURLOPT_NOSIGNAL, 1), riposte_curl_set_long(handle, CURLOPT_QUICK_EXIT, 1)]
    }
}

/// Where libcurl writes what went wrong in words.
final class CurlProblem {
    let text = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))

    init() { text.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE)) }
    deinit { text.deallocate() }

    func words(for code: CURLcode) -> String {
        let detail = String(cString: text)
        return detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail
    }
}

extension TLSOptions {
    func options(of handle: UnsafeMutableRawPointer) -> [CURLcode] {
        let version = minimumVersion == .tls13 ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2
        var codes = [
            riposte_curl_set_long(handle, CURLOPT_SSL_VERIFYPEER, verifiesPeer ? 1 : 0), riposte_curl_set_long(handle, CURLOPT_SSL_VERIFYHOST, verifiesPeer ? 2 : 0),
            riposte_curl_set_long(handle, CURLOPT_SSLVERSION, Int(version)),
        ]
        // Beside what is given libcurl would trust whom the system trusts, by the folder that it was built with.
        if authorities != nil { codes.append(riposte_curl_set_text(handle, CURLOPT_CAPATH, nil)) }
        for (option, bytes) in [(CURLOPT_CAINFO_BLOB, authorities), (CURLOPT_SSLCERT_BLOB, certificate), (CURLOPT_SSLKEY_BLOB, key)] {
            guard let bytes else { continue }
            codes.append(bytes.withUnsafeBytes { riposte_curl_set_blob(handle, option, $0.baseAddress, $0.count) })
        }
        return codes
    }
}

extension TransportError.Code {
    init(_ code: CURLcode) {
        switch code {
        case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST: self = .unreachable
        case CURLE_OPERATION_TIMEDOUT: self = .timedOut
        case CURLE_ABORTED_BY_CALLBACK: self = .cancelled
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER, CURLE_SSL_ISSUER_ERROR,
            CURLE_USE_SSL_FAILED:
            self = .tls
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL, CURLE_BAD_FUNCTION_ARGUMENT: self = .invalid
        default: self = .broken
        }
    }
}

extension Duration {
    /// At least 1.
    var wholeMilliseconds: Int { Int(clamping: max(1, components.seconds.multipliedReportingOverflow(by: 1000).partialValue + components.attoseconds / 1_000_000_000_000_000)) }
}
