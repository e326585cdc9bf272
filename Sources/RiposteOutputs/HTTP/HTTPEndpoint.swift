internal import Foundation
package import RiposteCore
package import RiposteTransport

/// What every destination by HTTP has in common: `url`, `headers`, `tls`, `proxy`, `timeout`, and what an answer means.
package struct HTTPEndpoint: Sendable {
    /// The whole URL may be a secret, as with webhooks of chats.
    private let url: Secret
    private let headers: [(name: String, value: Secret)]
    private let proxy: Secret?
    private let tls: TLSOptions
    package let timeout: Duration
    private let client: HTTPClient

    /// Reads the keys. `standard…`: a URL and authorities for where none are set.
    package init?(_ settings: DestinationSettings, _ context: DestinationContext, standardURL: String? = nil, standardAuthorities: [UInt8]? = nil) {
        let url = standardURL == nil || settings.isSet("url") ? settings.required("url", settings.unmaskedSecret) : standardURL.map { Secret($0) }
        headers = Self.headers(settings)
        proxy = settings.secret("proxy")
        let tls = settings.tlsOptions("tls")
        timeout = settings.duration("timeout", in: .milliseconds(100) ... .seconds(600)) ?? .seconds(10)
        client = context.http
        guard let url, let tls else { return nil }
        guard Self.isUsable(url.revealed) else {
            settings.report("url", "expected a URL such as https://siem.example:8443/ingest for url of \(settings.title), without user and password in it")
            return nil
        }
        self.url = url
        self.tls = tls.trusting(standardAuthorities)
        // Of a webhook the path is the secret; scheme and host may be told.
        let rest = String(url.revealed.dropFirst(origin.count))
        guard rest.count > 1 else { return }
        settings.derived(url.revealed)
        for secret in Self.secrets(in: rest) { settings.derived(secret) }
    }

    /// Of path and query, what may come back in other company: where something is put behind the path, or a receiver names a parameter.
    private static func secrets(in rest: String) -> [String] {
        let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts[0].hasSuffix("/") ? parts[0].dropLast() : parts[0]
        var secrets = [rest] + (path.count > 1 ? [String(path)] : [])
        guard parts.count > 1, !parts[1].isEmpty else { return secrets }
        secrets.append(String(parts[1]))
        for pair in parts[1].split(separator: "&") {
            let value = String(pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).last ?? "")
            // A short word is no secret, and would be taken out of much that is none.
            for form in [value, value.removingPercentEncoding ?? value] where form.utf8.count >= 6 { secrets.append(form) }
        }
        return secrets
    }

    private static func isUsable(_ text: String) -> Bool {
        guard text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }), let parts = URLComponents(string: text), ["http", "https"].contains(parts.scheme?.lowercased() ?? "") else {
            return false
        }
        return !(parts.host ?? "").isEmpty && parts.user == nil && parts.password == nil && parts.fragment == nil
    }

    private static func headers(_ settings: DestinationSettings) -> [(name: String, value: Secret)] {
        let (names, section) = settings.names(of: "headers")
        return names.compactMap { name in
            guard let value = section.secret(name) else { return nil }
            let isName = !name.isEmpty && name.utf8.allSatisfy { 0x30...0x39 ~= $0 || 0x41...0x5A ~= $0 || 0x61...0x7A ~= $0 || "-_.".utf8.contains($0) }
            guard isName, value.revealed.utf8.allSatisfy({ 0x20...0x7E ~= $0 || $0 >= 0x80 }) else {
                section.report(name, "\"\(name)\" in \(section.title) is no header: a name of letters, digits and -, a value on one line")
                return nil
            }
            return (name, value)
        }
    }

    /// Scheme, host and port: what may be shown of a URL.
    package var origin: String {
        guard let parts = URLComponents(string: url.revealed), let scheme = parts.scheme, let host = parts.host else { return "" }
        return "\(scheme.lowercased())://\(host)\(parts.port.map { ":\($0)" } ?? "")"
    }

    /// The answer, or why there is none. `path` is put behind the URL's own path; whoever makes it escapes what is in it.
    package func send(
        _ method: HTTPRequest.Method = .post, path: String = "", query: [(name: String, value: String)] = [], headers more: [(name: String, value: String)] = [],
        body: [UInt8]?
    ) async -> Exchange {
        var request = HTTPRequest(
            method, address(path, query), headers: all(more), body: body, timeout: timeout, maxResponseBytes: 1 << 20, tls: tls)
        request.proxy = proxy?.revealed
        do throws(TransportError) { return .answered(try await client.send(request)) } catch { return .failed(error) }
    }

    /// What is set in the configuration wins over what the destination sends by itself.
    private func all(_ more: [(name: String, value: String)]) -> [(name: String, value: String)] {
        let set = headers.map { (name: $0.name, value: $0.value.revealed) }
        let names = Set(set.map { $0.name.lowercased() })
        return set + ([("User-Agent", "Riposte")] + more).filter { !names.contains($0.name.lowercased()) }
    }

    private func address(_ path: String, _ query: [(name: String, value: String)]) -> String {
        guard !path.isEmpty || !query.isEmpty else { return url.revealed }
        let parts = url.revealed.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var address = String(parts[0])
        if !path.isEmpty { address = (address.hasSuffix("/") ? String(address.dropLast()) : address) + path }
        let pairs = (parts.count > 1 ? [String(parts[1])] : []) + query.map { "\($0.name)=\(TextFormat.urlQuery.escaped(ByteText($0.value)))" }
        return pairs.isEmpty ? address : "\(address)?\(pairs.joined(separator: "&"))"
    }

    package enum Exchange: Sendable {
        case answered(HTTPResponse)
        case failed(TransportError)

        /// What it means for what was sent. `now`: for a `Retry-After` that is a date.
        package func fate(at now: Timestamp) -> DeliveryReport.Fate {
            switch self {
            case .answered(let response): response.fate(at: now)
            case .failed(let error): .tryAgain(reason: error.message)
            }
        }

        /// In words, for people: `200`, or the status with the beginning of what was said.
        package var answer: String {
            switch self {
            case .answered(let response): response.shown
            case .failed(let error): error.message.escapedForDisplay
            }
        }
    }
}

extension TLSOptions {
    /// With these authorities where it names none.
    fileprivate func trusting(_ standard: [UInt8]?) -> TLSOptions {
        var options = self
        options.authorities = authorities ?? standard
        return options
    }
}

extension HTTPResponse {
    /// 2xx is delivered. What a later try can mend is tried again: overload, errors of the server, and also what a person mends, a wrong token or
    /// path. What stays wrong with this body is rejected.
    package func fate(at now: Timestamp) -> DeliveryReport.Fate {
        switch status {
        case 200..<300: .delivered
        case 400, 405, 406, 409, 410, 411, 413, 415, 422, 431: .rejected(reason: shown)
        default: .tryAgain(reason: shown, after: retryAfter(at: now))
        }
    }

    /// `status 503: try later`, one harmless line.
    package var shown: String {
        let said = SecretMask.excerpt(body)
        return said.isEmpty ? "status \(status)" : "status \(status): \(said)"
    }

    /// Seconds or a date (RFC 9110, section 10.2.3).
    package func retryAfter(at now: Timestamp) -> Duration? {
        guard let text = header("retry-after") else { return nil }
        if let seconds = Int64(text) { return seconds >= 0 ? .seconds(min(seconds, 86400)) : nil }
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "GMT")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
        guard let date = formatter.date(from: text) else { return nil }
        let wait = date.timeIntervalSince1970 - Double(now.nanoseconds) / 1e9
        return wait > 0 ? .seconds(min(wait, 86400)) : .zero
    }
}
