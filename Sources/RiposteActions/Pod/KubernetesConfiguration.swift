internal import CRiposte
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
        /// A credential plugin: an argument vector, never a shell line.
        case plugin([String], environment: [(String, String)])
    }

    let server: String
    let tls: TLSOptions
    let credential: Credential
    /// Where it was found, for messages.
    package let origin: String
    /// The namespace that we run in, inside a pod.
    package let ownNamespace: String?

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
        return KubernetesConfiguration(
            server: "https://\(host):\(port)", tls: TLSOptions(authorities: try bytes(of: "\(directory)/ca.crt")), credential: .tokenFile("\(directory)/token"),
            origin: "the service account of this pod", ownNamespace: (try? bytes(of: "\(directory)/namespace")).map { String(decoding: $0, as: UTF8.self) })
    }

    // MARK: - kubeconfig

    private static func read(_ path: String, context wanted: String?) throws(ActionError) -> KubernetesConfiguration {
        let doing = "read \(path)"
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
            authorities: try material("certificate-authority", in: cluster, folder), certificate: try material("client-certificate", in: user, folder),
            key: try material("client-key", in: user, folder), verifiesPeer: cluster["insecure-skip-tls-verify"]?.bool != true)
        return KubernetesConfiguration(
            server: server.hasSuffix("/") ? String(server.dropLast()) : server, tls: tls, credential: try credential(user, folder, fail), origin: path,
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
        return .plugin([command.contains("/") ? absolute(command, folder) : command] + arguments, environment: environment ?? [])
    }

    private static func named(_ name: String, in list: JSON?) -> JSON? { list?.array?.first { $0["name"]?.string?.repaired == name } }

    /// `KEY-data`, else the file that `KEY` names.
    private static func material(_ key: String, in object: JSON, _ folder: String) throws(ActionError) -> [UInt8]? {
        if let data = object[ByteText(key + "-data")]?.string?.repaired {
            guard let decoded = Data(base64Encoded: data, options: .ignoreUnknownCharacters) else {
                throw ActionError(.invalid, "read \(key)-data", "it is not base 64")
            }
            return Array(decoded)
        }
        guard let file = object[ByteText(key)]?.string?.repaired else { return nil }
        return try bytes(of: absolute(file, folder))
    }

    private static func absolute(_ path: String, _ folder: String) -> String { path.hasPrefix("/") ? path : "\(folder)/\(path)" }

    static func bytes(of path: String) throws(ActionError) -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: path) else { throw ActionError(.unavailable, "read \(path)", "it cannot be read") }
        return Array(data)
    }
}

/// Runs credential plugins (client.authentication.k8s.io) and keeps what they gave until it expires.
actor KubernetesCredentials {
    private let credential: KubernetesConfiguration.Credential
    private var cached: (token: String, expires: Timestamp?)?

    init(_ credential: KubernetesConfiguration.Credential) { self.credential = credential }

    /// What goes behind `Bearer`, or nil where a certificate or nothing speaks for us.
    func token() throws(ActionError) -> String? {
        switch credential {
        case .none: return nil
        case .token(let token): return token
        case .tokenFile(let path):
            return String(decoding: try KubernetesConfiguration.bytes(of: path), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        case .plugin(let arguments, let environment):
            if let cached, cached.expires.map({ $0 - .now() > .seconds(10) }) ?? true { return cached.token }
            let fresh = try run(arguments, environment)
            cached = fresh
            return fresh.token
        }
    }

    /// After a 401: what we had is no good.
    func forget() { cached = nil }

    private func run(_ arguments: [String], _ environment: [(String, String)]) throws(ActionError) -> (token: String, expires: Timestamp?) {
        let doing = "run the credential plugin \(arguments[0])"
        let info = #"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false}}"#
        var variables = ProcessInfo.processInfo.environment
        variables["KUBERNETES_EXEC_INFO"] = info
        for (name, value) in environment { variables[name] = value }
        let answer = try Self.output(of: arguments, variables.map { "\($0.key)=\($0.value)" }, doing)
        guard let json = try? JSON(parsing: answer), json["kind"]?.string == "ExecCredential", let status = json["status"] else {
            throw ActionError(.denied, doing, "its answer is no ExecCredential")
        }
        guard let token = status["token"]?.string?.valid else { throw ActionError(.unsupported, doing, "it gave no token") }
        return (token, status["expirationTimestamp"]?.string.flatMap { Timestamp($0.bytes) })
    }

    /// Standard output of a child that has thirty seconds.
    private static func output(of arguments: [String], _ environment: [String], _ doing: String) throws(ActionError) -> [UInt8] {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw ActionError(.unavailable, doing, String(cString: strerror(errno))) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        let pid = riposte_spawn(&argv, &envp, -1, ends[1], 2)
        close(ends[1])
        guard pid > 0 else { throw ActionError(.unavailable, doing, String(cString: strerror(-pid))) }
        defer {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        let deadline = ContinuousClock.now + .seconds(30)
        while answer.count < 1 << 20 {
            var entry = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero, poll(&entry, 1, Int32(clamping: left.wholeMicroseconds / 1000)) > 0 else {
                throw ActionError(.timeout, doing, "it did not end within 30 s")
            }
            let count = Foundation.read(ends[0], &buffer, buffer.count)
            if count <= 0 { break }
            answer += buffer.prefix(count)
        }
        return answer
    }
}
