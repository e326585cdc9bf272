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

    let server: String
    let tls: TLSOptions
    let credential: Credential
    /// Where it was found, for messages.
    package let origin: String
    /// All that it was read from, but not what is read anew at each use.
    let files: [FileState]
    /// The namespace that we run in, inside a pod.
    package let ownNamespace: String?

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
        guard cluster["tls-server-name"] == nil else { throw fail("tls-server-name is not supported; name the server as its certificate does") }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let tls = TLSOptions(
            authorities: try material("certificate-authority", in: cluster, folder, &files),
            certificate: try material("client-certificate", in: user, folder, &files), key: try material("client-key", in: user, folder, &files),
            verifiesPeer: cluster["insecure-skip-tls-verify"]?.bool != true)
        return KubernetesConfiguration(
            server: server.hasSuffix("/") ? String(server.dropLast()) : server, tls: tls, credential: try credential(user, folder, fail), origin: path, files: files,
            ownNamespace: nil)
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
