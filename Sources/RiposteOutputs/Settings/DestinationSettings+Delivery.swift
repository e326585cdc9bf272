internal import RiposteCore

/// Who we are to a receiver: the value of an `Authorization` header, or nothing where none is set.
struct Login: Sendable {
    let header: Secret?

    var headers: [(name: String, value: String)] { header.map { [("Authorization", $0.revealed)] } ?? [] }
}

extension DestinationSettings {
    /// `username` and `password` (RFC 7617), or a key of the receiver's own with its scheme. Nil where something was reported.
    func login(key: String? = nil, scheme: String = "") -> Login? {
        let (user, password) = (text("username"), secret("password"))
        let token = key.flatMap { secret($0) }
        if let key, isSet(key) {
            guard let token else { return nil }
            guard !isSet("username"), !isSet("password") else {
                report(key, "\(title) has \(key) and username or password: one of them")
                return nil
            }
            return header(key, "\(scheme) \(token.revealed)")
        }
        guard isSet("username") || isSet("password") else { return Login(header: nil) }
        guard let user, let password, !user.contains(":") else {
            report("username", "\(title) needs username and password together, and no colon in username")
            return nil
        }
        return header("password", "Basic \(Array("\(user):\(password.revealed)".utf8).base64)")
    }

    /// A token that must be set, with its scheme.
    func token(_ key: String, scheme: String) -> Login? { required(key, secret).flatMap { header(key, "\(scheme) \($0.revealed)") } }

    private func header(_ key: String, _ value: String) -> Login? {
        guard value.utf8.allSatisfy({ 0x20...0x7E ~= $0 }) else {
            report(key, "expected visible ASCII on one line for \(key) of \(title)")
            return nil
        }
        return Login(header: derived(value))
    }

    /// `batch: { count, bytes, linger }`.
    func batch(count: Int, linger standard: Duration = .milliseconds(200), deadline: Duration) -> BatchLimits {
        let batch = section("batch")
        return BatchLimits(
            count: batch.integer("count", in: 1...10_000) ?? count, bytes: batch.size("bytes", in: 1 << 10...64 << 20) ?? 1 << 20,
            linger: batch.duration("linger", in: .milliseconds(1) ... .seconds(3600)) ?? standard, deadline: deadline)
    }

    /// A section of names with texts, such as fixed labels.
    func fixedTexts(_ key: String, isName: (String) -> Bool, expecting what: String) -> [(name: String, value: String)] {
        let (names, section) = names(of: key)
        return names.compactMap { name in
            guard let value = section.text(name) else { return nil }
            guard isName(name) else {
                section.report(name, "expected \(what), not \"\(name)\", in \(section.title)")
                return nil
            }
            return (name, value)
        }
    }
}
