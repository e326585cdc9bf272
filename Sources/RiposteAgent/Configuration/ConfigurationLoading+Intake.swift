internal import RiposteCore
internal import RiposteRules

extension AgentConfiguration.IntakeSection {
    mutating func read(_ node: YAMLNode) {
        let known = ["http", "file", "stdin", "socket", "kubernetes_audit", "kubernetes_audit_log", "untrusted"]
        guard let keys = node.mapping(known: known, what: "intake", code: "C002") else { return }
        if let node = keys["http"] { _ = http.read(node, "intake.http") }
        if let node = keys["file"] { file.read(node, "intake.file") }
        if let node = keys["kubernetes_audit"] { kubernetesAudit.read(node, "intake.kubernetes_audit") }
        if let node = keys["kubernetes_audit_log"] { kubernetesAuditLog.read(node, "intake.kubernetes_audit_log") }
        if let keys = keys["untrusted"]?.mapping(known: ["max_rate", "min_free"], what: "intake.untrusted", code: "C002") {
            if let value = keys["max_rate"]?.size(upTo: 1 << 40, "1024GiB", code: "C003") { untrusted.bytesPerSecond = value }
            if let value = keys["min_free"]?.size(upTo: 1 << 50, "1048576GiB", code: "C003") { untrusted.freeBytes = value }
        }
        if let keys = keys["stdin"]?.mapping(known: ["enabled", "trust"], what: "intake.stdin", code: "C002") {
            if let value = keys["enabled"]?.bool(code: "C003") { stdin.isEnabled = value }
            if let value = keys["trust"]?.trust() { stdin.trust = value }
        }
        if let keys = keys["socket"]?.mapping(known: ["enabled", "path", "datagram_path", "uids", "trust"], what: "intake.socket", code: "C002") {
            if let value = keys["enabled"]?.bool(code: "C003") { socket.isEnabled = value }
            if let node = keys["path"], !node.isNull { socket.path = node.path() }
            if let node = keys["datagram_path"], !node.isNull { socket.datagramPath = node.path() }
            if let nodes = keys["uids"]?.list(code: "C003") { socket.userIDs = nodes.compactMap { $0.integer(in: 0...Int(UInt32.max), code: "C003") } }
            if let value = keys["trust"]?.trust() { socket.trust = value }
        }
    }
}

extension AgentConfiguration.IntakeSection.File {
    fileprivate mutating func read(_ node: YAMLNode, _ section: String) {
        guard let keys = node.mapping(known: ["path", "from_start", "uids", "trust"], what: section, code: "C002") else { return }
        if let node = keys["path"], !node.isNull { path = node.path() }
        if let value = keys["from_start"]?.bool(code: "C003") { startsAtBeginning = value }
        if let nodes = keys["uids"]?.list(code: "C003") { userIDs = nodes.compactMap { $0.integer(in: 0...Int(UInt32.max), code: "C003") } }
        if let value = keys["trust"]?.trust() { trust = value }
    }
}

extension AgentConfiguration.IntakeSection.HTTP {
    /// Gives the keys, for those that are not every listener's: `others`.
    fileprivate mutating func read(_ node: YAMLNode, _ section: String, others: [String] = []) -> [String: YAMLNode] {
        let known = ["enabled", "listen", "trust", "token_file", "tls", "allow_unauthenticated", "uids", "max_body", "max_connections"]
        guard let keys = node.mapping(known: known + others, what: section, code: "C002") else { return [:] }
        if let value = keys["enabled"]?.bool(code: "C003") { isEnabled = value }
        if let value = keys["listen"]?.text(code: "C003") { listen = value }
        if let value = keys["trust"]?.trust() { trust = value }
        if let node = keys["token_file"], !node.isNull { tokenFile = node.path() }
        if let value = keys["allow_unauthenticated"]?.bool(code: "C003") { allowsUnauthenticated = value }
        if let nodes = keys["uids"]?.list(code: "C003") { userIDs = nodes.compactMap { $0.integer(in: 0...Int(UInt32.max), code: "C003") } }
        if let value = keys["max_body"]?.size(upTo: 1 << 30, "1GiB", code: "C003") { bodyLimit = value }
        if let value = keys["max_connections"]?.integer(in: 1...1_000_000, code: "C003") { connectionLimit = value }
        if let node = keys["tls"], !node.isNull { readTLS(node, section) }
        if let node = keys["uids"], !userIDs.isEmpty, let others = shownInstead {
            node.report(code: "C003", "\(section).uids has no effect beside \(others): users are asked for where nobody has to show who he is")
        }
        return keys
    }

    /// By what senders are known, other than by their user.
    private var shownInstead: String? {
        if tokenFile != nil { return "token_file" }
        if clientAuthority != nil { return "tls.client_ca" }
        return allowsUnauthenticated ? "allow_unauthenticated: true" : nil
    }

    mutating func readTLS(_ node: YAMLNode, _ section: String) {
        guard let keys = node.mapping(known: ["certificate", "key", "client_ca"], what: "\(section).tls", code: "C002") else { return }
        certificate = keys["certificate"]?.path()
        key = keys["key"]?.path()
        clientAuthority = keys["client_ca"].flatMap { $0.isNull ? nil : $0.path() }
        if certificate == nil || key == nil { node.report(code: "C003", "\(section).tls needs certificate and key") }
    }
}

extension AgentConfiguration.IntakeSection.KubernetesAudit {
    /// What the listener answers itself.
    private static let takenPath = "/healthz"

    fileprivate mutating func read(_ node: YAMLNode, _ section: String) {
        guard let node = http.read(node, section, others: ["path"])["path"], let text = node.text(code: "C003", expected: "a path such as /k8s-audit") else { return }
        guard text.hasPrefix("/"), text != Self.takenPath, text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }), !text.contains(where: { "?#%".contains($0) }) else {
            return node.report(code: "C003", "expected a path such as /k8s-audit; \(Self.takenPath) is taken")
        }
        path = text
    }
}

extension YAMLNode {
    fileprivate func trust() -> Alert.Arrival.Trust? {
        guard let text = text(code: "C003") else { return nil }
        if let trust = Alert.Arrival.Trust(rawValue: text) { return trust }
        report(code: "C003", "expected trusted or untrusted", suggestion: nearMiss(to: text, among: ["trusted", "untrusted"]))
        return nil
    }

    /// A path, not empty.
    func path() -> String? {
        guard let text = text(code: "C003", expected: "a path") else { return nil }
        guard !text.isEmpty, !text.contains("\0") else {
            report(code: "C003", "a path must not be empty")
            return nil
        }
        return text
    }
}
