internal import Foundation
internal import Glibc
internal import Logging
internal import RiposteCore
internal import RiposteIntake

/// What comes in, made from the configuration.
extension Agent {
    /// Where alerts come in.
    func alertIntakes(_ door: AlertDoor, _ credentials: CredentialsKeeper, _ logger: Logger, _ quiet: Logger, onReady: @escaping @Sendable () -> Void) throws -> [any Intake] {
        let section = configuration.intake
        try Self.checkPaths(configuration)
        var intakes: [any Intake] = []
        if section.http.isEnabled {
            let intake = try HTTPIntake(try Self.httpConfiguration(configuration), sink: door, logger: quiet) { _ in onReady() }
            credentials.follow(.init(section: "intake.http", read: { [configuration] in try Self.httpConfiguration(configuration) }, use: intake.renew))
            intakes.append(intake)
        }
        if section.socket.isEnabled {
            var socket = SocketIntake.Configuration(streamPath: configuration.alertSocket, datagramPath: configuration.alertDatagramSocket)
            socket.userIDs = Set(section.socket.userIDs.map { UInt32(clamping: $0) })
            socket.trust = section.socket.trust
            intakes.append(SocketIntake(socket, sink: door, logger: logger, onListening: onReady))
        }
        if let path = section.file.path {
            intakes.append(
                FileIntake(
                    path: path, stateDirectory: configuration.stateDirectory, startsAtBeginning: section.file.startsAtBeginning, trust: section.file.trust,
                    owners: section.file.owners, sink: door))
        }
        if section.stdin.isEnabled { intakes.append(StdinIntake(trust: section.stdin.trust, sink: door)) }
        return intakes
    }

    /// Where audit events of Kubernetes API servers come in.
    func auditIntakes(
        _ door: KubernetesAuditDoor, _ credentials: CredentialsKeeper, _ quiet: Logger, onReady: @escaping @Sendable () -> Void
    ) throws -> [any Intake] {
        let (section, log) = (configuration.intake.kubernetesAudit, configuration.intake.kubernetesAuditLog)
        var intakes: [any Intake] = []
        if section.http.isEnabled {
            let intake = try KubernetesAuditIntake(try Self.auditConfiguration(configuration), path: section.path, sink: door, logger: quiet) { _ in onReady() }
            credentials.follow(.init(section: "intake.kubernetes_audit", read: { [configuration] in try Self.auditConfiguration(configuration) }, use: intake.renew))
            intakes.append(intake)
        }
        if let path = log.path {
            intakes.append(
                FileIntake(
                    kubernetesAuditLog: path, stateDirectory: configuration.stateDirectory, startsAtBeginning: log.startsAtBeginning, trust: log.trust,
                    owners: log.owners, sink: door))
        }
        return intakes
    }

    /// Paths that cannot be what they are meant for.
    static func checkPaths(_ configuration: AgentConfiguration) throws(Diagnostics) {
        func fail(_ key: String, _ problem: String) -> Diagnostics { Diagnostics([Diagnostic(code: "C003", file: key, message: problem)]) }
        let followed = [("intake.file.path", configuration.intake.file.path), ("intake.kubernetes_audit_log.path", configuration.intake.kubernetesAuditLog.path)]
        for case (let key, let path?) in followed {
            var facts = stat()
            guard stat(path, &facts) == 0, facts.st_mode & S_IFMT != S_IFREG else { continue }
            let isFolder = facts.st_mode & S_IFMT == S_IFDIR
            throw fail(key, isFolder ? "\(path) is a folder; name the file to follow" : "\(path) is no regular file; alerts from a pipe come by intake.stdin or the socket")
        }
        if configuration.intake.socket.isEnabled, configuration.alertSocket == configuration.alertDatagramSocket {
            throw fail("intake.socket", "path and datagram_path are both \(configuration.alertSocket)")
        }
    }

    static func httpConfiguration(_ configuration: AgentConfiguration) throws(Diagnostics) -> HTTPIntake.Configuration {
        try listener(configuration.intake.http, HTTPListener.Configuration())
    }

    static func auditConfiguration(_ configuration: AgentConfiguration) throws(Diagnostics) -> KubernetesAuditIntake.Configuration {
        try listener(configuration.intake.kubernetesAudit.http, .kubernetesAudit)
    }

    static func metricsConfiguration(_ configuration: AgentConfiguration) throws(Diagnostics) -> HTTPListener.Configuration {
        try listener(configuration.metrics.http, HTTPListener.Configuration(section: "metrics", name: "metrics", port: 2804, bodyLimit: 0))
    }

    private static func listener(
        _ section: AgentConfiguration.IntakeSection.HTTP, _ standard: HTTPListener.Configuration
    ) throws(Diagnostics) -> HTTPListener.Configuration {
        var result = standard
        guard let (host, port) = hostAndPort(section.listen) else {
            throw Diagnostics([Diagnostic(code: "C003", file: "\(standard.section).listen", message: "\"\(section.listen)\" is no ADDRESS:PORT")])
        }
        (result.host, result.port) = (host, port)
        result.trust = section.trust
        result.allowsUnauthenticated = section.allowsUnauthenticated
        result.userIDs = Set(section.userIDs.map { UInt32(clamping: $0) })
        result.bodyLimit = section.bodyLimit
        result.connectionLimit = section.connectionLimit
        for file in section.credentialFiles { try AgentConfiguration.refuseForeign(file.path) }
        if let path = section.tokenFile {
            guard let data = FileManager.default.contents(atPath: path) else {
                throw Diagnostics([Diagnostic(code: "C001", file: path, message: "the token file cannot be read")])
            }
            result.tokens = String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
                .filter { !$0.isEmpty }
            guard !result.tokens.isEmpty else { throw Diagnostics([Diagnostic(code: "C003", file: path, message: "the token file is empty")]) }
        }
        if let certificate = section.certificate, let key = section.key {
            result.tls = HTTPListener.Configuration.TLS(certificate: certificate, key: key, clientAuthority: section.clientAuthority)
        }
        return result
    }

    /// `127.0.0.1:2803`, `[::1]:2803`, `:2803`.
    static func hostAndPort(_ text: String) -> (String, Int)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        // `Int` reads signs too.
        guard digits.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }), let port = Int(digits), 0...65535 ~= port else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        return (host.isEmpty ? "0.0.0.0" : host, port)
    }
}
