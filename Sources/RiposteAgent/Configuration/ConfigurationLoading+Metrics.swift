internal import RiposteCore
internal import RiposteRules

extension AgentConfiguration.MetricsSection {
    /// As an intake by HTTP, without what concerns alerts.
    mutating func read(_ node: YAMLNode) {
        let known = ["enabled", "listen", "token_file", "tls", "allow_unauthenticated", "max_connections"]
        guard let keys = node.mapping(known: known, what: "metrics", code: "C002") else { return }
        if let value = keys["enabled"]?.bool(code: "C003") { http.isEnabled = value }
        if let value = keys["listen"]?.text(code: "C003") { http.listen = value }
        if let node = keys["token_file"], !node.isNull { http.tokenFile = node.path() }
        if let value = keys["allow_unauthenticated"]?.bool(code: "C003") { http.allowsUnauthenticated = value }
        if let value = keys["max_connections"]?.integer(in: 1...1_000_000, code: "C003") { http.connectionLimit = value }
        if let node = keys["tls"], !node.isNull { http.readTLS(node, "metrics") }
    }
}
