internal import Foundation
internal import RiposteCore
package import RipostePlaybooks
internal import RiposteRules
internal import RiposteTransport

/// Where the Kubernetes API is and who we are there: from a kubeconfig file or from inside a pod.
package struct KubernetesConfiguration: Sendable {
    enum Credential: Sendable {
        case none
        case token(String)
        /// Read anew when it is used: it rotates.
        case tokenFile(String)
        case plugin(CredentialPlugin)
    }

    package let server: String
    let tls: TLSOptions
    let credential: Credential
    /// As whom we act: headers that the API takes from who may impersonate.
    var impersonation: [Header] = []
    /// Between us and the API.
    var proxy: String?
    /// Where it was found, for messages.
    package let origin: String
    /// All that it was read from, but not what is read anew at each use.
    let files: [FileState]
    /// The namespace that we run in, inside a pod.
    package let ownNamespace: String?

    struct Header: Sendable, Equatable {
        let name: String
        let value: String
    }

    /// Whether reading it again would give the same.
    var isCurrent: Bool { files.allSatisfy(\.isCurrent) }

    private static let serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// An explicit file, else `$KUBECONFIG`, else the pod that we run in, else `~/.kube/config`.
    package static func find(
        kubeconfig: String? = nil, context: String? = nil, environment: [String: String] = ProcessInfo.processInfo.environment,
        serviceAccount: String? = nil
    ) throws(ActionError) -> KubernetesConfiguration {
        if let path = kubeconfig ?? environment["KUBECONFIG"].flatMap({ $0.isEmpty ? nil : $0 }) { return try read(path, context: context) }
        if let host = environment["KUBERNETES_SERVICE_HOST"], let port = environment["KUBERNETES_SERVICE_PORT"] {
            return try inCluster(host: host, port: port, directory: serviceAccount ?? Self.serviceAccount)
        }
        if let home = environment["HOME"], FileManager.default.fileExists(atPath: home + "/.kube/config") {
            return try read(home + "/.kube/config", context: context)
        }
        throw ActionError(
            .unavailable, "find the Kubernetes API", "there is no kubeconfig file and this is no pod", remedy: "set kubernetes.kubeconfig or KUBECONFIG")
    }

    private static func inCluster(host: String, port: String, directory: String) throws(ActionError) -> KubernetesConfiguration {
        let host = host.contains(":") ? "[\(host)]" : host
        let files = ["ca.crt", "namespace"].map { FileState("\(directory)/\($0)") }
        return KubernetesConfiguration(
            server: "https://\(host):\(port)", tls: TLSOptions(authorities: try bytes(of: "\(directory)/ca.crt")), credential: .tokenFile("\(directory)/token"),
            origin: "the service account of this pod", files: files, ownNamespace: (try? bytes(of: "\(directory)/namespace")).map { String(decoding: $0, as: UTF8.self) })
    }

    // MARK: - kubeconfig

    private static func read(_ path: String, context wanted: String?) throws(ActionError) -> KubernetesConfiguration {
        let doing = "read \(path)"
        var files = [FileState(path)]
        func fail(_ problem: String) -> ActionError { ActionError(.invalid, doing, problem) }
        guard let text = String(validating: try bytes(of: path), as: UTF8.self) else { throw fail("it is not UTF-8") }
        let reader = YAMLReader(file: path, text: text)
        guard let root = reader.root()?.json else {
            throw fail(reader.diagnostics.first.map { "\($0.place.map { "line \($0.line), column \($0.column): " } ?? "")\($0.message)" } ?? "it is empty")
        }
        guard let contextName = wanted ?? root["current-context"]?.string?.repaired, !contextName.isEmpty else { throw fail("it has no current-context") }
        guard let context = named(contextName, in: root["contexts"])?["context"] else { throw fail("there is no context \"\(contextName)\"") }
        let clusterName = context["cluster"]?.string?.repaired ?? ""
        guard let cluster = named(clusterName, in: root["clusters"])?["cluster"] else { throw fail("there is no cluster \"\(clusterName)\"") }
        let userName = context["user"]?.string?.repaired ?? ""
        guard let user = named(userName, in: root["users"])?["user"] else { throw fail("there is no user \"\(userName)\"") }
        guard let server = cluster["server"]?.string?.repaired, server.hasPrefix("https://") || server.hasPrefix("http://") else {
            throw fail("cluster \"\(clusterName)\" has no server")
        }
        try check(cluster, Self.clusterKeys, "cluster \"\(clusterName)\"", fail)
        try check(user, Self.userKeys, "user \"\(userName)\"", fail)
        let proxy = cluster["proxy-url"]?.string?.repaired
        guard proxy.map({ proxy in ["http://", "https://", "socks5://"].contains { proxy.hasPrefix($0) } }) ?? true else {
            throw fail("the proxy-url of cluster \"\(clusterName)\" is no http, https or socks5 URL")
        }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let tls = TLSOptions(
            authorities: try material("certificate-authority", in: cluster, folder, &files),
            certificate: try material("client-certificate", in: user, folder, &files), key: try material("client-key", in: user, folder, &files),
            verifiesPeer: cluster["insecure-skip-tls-verify"]?.bool != true)
        return KubernetesConfiguration(
            server: server.hasSuffix("/") ? String(server.dropLast()) : server, tls: tls, credential: try credential(user, folder, fail),
            impersonation: try impersonation(user, fail), proxy: proxy, origin: path, files: files, ownNamespace: nil)
    }

    private static let clusterKeys: Set = [
        "server", "certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify", "proxy-url", "disable-compression", "extensions",
    ]
    private static let userKeys: Set = [
        "client-certificate", "client-certificate-data", "client-key", "client-key-data", "token", "tokenFile", "exec", "as", "as-uid", "as-groups", "as-user-extra", "extensions",
    ]
    private static let remedies = [
        "tls-server-name": "name the server as its certificate does", "auth-provider": "use exec, a token or a certificate", "username": "use exec, a token or a certificate",
        "password": "use exec, a token or a certificate",
    ]

    /// What is passed over may be what keeps us from doing too much: every key is known, or an error.
    private static func check(_ object: JSON, _ known: Set<String>, _ what: String, _ fail: (String) -> ActionError) throws(ActionError) {
        for member in object.object?.members ?? [] {
            let key = member.key.repaired
            guard !known.contains(key) else { continue }
            throw fail("\(what) has \(key.escapedForDisplay), which is not supported\(remedies[key].map { "; \($0)" } ?? "")")
        }
    }

    /// `as` and its companions, as kubectl sends them.
    private static func impersonation(_ user: JSON, _ fail: (String) -> ActionError) throws(ActionError) -> [Header] {
        func texts(_ json: JSON?, _ key: String) throws(ActionError) -> [String] {
            guard let json else { return [] }
            let list = json.array?.compactMap { $0.string?.repaired } ?? []
            guard list.count == json.array?.count else { throw fail("\(key) is no list of texts") }
            return list
        }
        func text(_ key: String) throws(ActionError) -> String? {
            guard let json = user[ByteText(key)] else { return nil }
            guard let text = json.string?.repaired, !text.isEmpty else { throw fail("\(key) is no text") }
            return text
        }
        var headers: [Header] = []
        let name = try text("as")
        if let name { headers.append(Header(name: "Impersonate-User", value: name)) }
        if let uid = try text("as-uid") { headers.append(Header(name: "Impersonate-Uid", value: uid)) }
        for group in try texts(user["as-groups"], "as-groups") { headers.append(Header(name: "Impersonate-Group", value: group)) }
        for member in user["as-user-extra"]?.object?.members ?? [] {
            // The key is a part of the header's name.
            let key = member.key.repaired.escapedForPath
            for value in try texts(member.value, "as-user-extra") { headers.append(Header(name: "Impersonate-Extra-\(key)", value: value)) }
        }
        guard headers.isEmpty || name != nil else { throw fail("as-uid, as-groups and as-user-extra take as, which says whom") }
        guard headers.allSatisfy({ header in header.value.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F } }) else {
            throw fail("as, as-uid, as-groups and as-user-extra hold no control characters")
        }
        return headers
    }

    private static func credential(_ user: JSON, _ folder: String, _ fail: (String) -> ActionError) throws(ActionError) -> Credential {
        if let file = user["tokenFile"]?.string?.repaired { return .tokenFile(absolute(file, folder)) }
        if let token = user["token"]?.string?.repaired { return .token(token) }
        guard let plugin = user["exec"] else { return .none }
        guard let command = plugin["command"]?.string?.repaired else { throw fail("the exec plugin has no command") }
        let arguments = plugin["args"]?.array?.compactMap { $0.string?.repaired } ?? []
        let environment = plugin["env"]?.array?.compactMap { entry -> (String, String)? in
            guard let name = entry["name"]?.string?.repaired, let value = entry["value"]?.string?.repaired else { return nil }
            return (name, value)
        }
        // As kubectl: a command with a slash is relative to the file, any other is looked up in PATH.
        return .plugin(CredentialPlugin(arguments: [command.contains("/") ? absolute(command, folder) : command] + arguments, environment: environment ?? []))
    }

    private static func named(_ name: String, in list: JSON?) -> JSON? { list?.array?.first { $0["name"]?.string?.repaired == name } }

    /// `KEY-data`, else the file that `KEY` names.
    private static func material(_ key: String, in object: JSON, _ folder: String, _ files: inout [FileState]) throws(ActionError) -> [UInt8]? {
        if let data = object[ByteText(key + "-data")]?.string?.repaired {
            guard let decoded = Data(base64Encoded: data, options: .ignoreUnknownCharacters) else {
                throw ActionError(.invalid, "read \(key)-data", "it is not base 64")
            }
            return Array(decoded)
        }
        guard let file = object[ByteText(key)]?.string?.repaired else { return nil }
        files.append(FileState(absolute(file, folder)))
        return try bytes(of: absolute(file, folder))
    }

    private static func absolute(_ path: String, _ folder: String) -> String { path.hasPrefix("/") ? path : "\(folder)/\(path)" }

    static func bytes(of path: String) throws(ActionError) -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: path) else { throw ActionError(.unavailable, "read \(path)", "it cannot be read") }
        return Array(data)
    }
}
