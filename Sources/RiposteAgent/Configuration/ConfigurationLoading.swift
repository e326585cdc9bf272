internal import Foundation
internal import Glibc
package import RiposteCore
internal import RiposteRules

/// What a command line sets; nil leaves it to the environment, the file, the default, in this order.
package struct ConfigurationOverrides: Sendable {
    package var file: String?
    package var mode: Mode?
    package var stateDirectory: String?
    package var runDirectory: String?
    package var logLevel: String?
    package var listen: String?
    package var playbooks: [String] = []
    package var rules: [String] = []
    /// A file that others can change is refused: it says what is done, by whom and what is run for it.
    package var refusesForeign = false

    package init() {}
}

extension AgentConfiguration {
    static let defaultFile = "/etc/riposte/riposte.yaml"
    package static let logLevels = ["trace", "debug", "info", "notice", "warning", "error", "critical"]

    /// Flag, then `RIPOSTE_…`, then file, then default. Everything that is wrong is thrown in one go.
    package static func load(
        _ overrides: ConfigurationOverrides, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(Diagnostics) -> AgentConfiguration {
        // As of a unit's variable that is not set: what is empty says nothing.
        let environment = environment.filter { !$0.value.isEmpty }
        var configuration = AgentConfiguration()
        let named = overrides.file ?? environment["RIPOSTE_CONFIG"]
        if let path = named ?? (FileManager.default.fileExists(atPath: defaultFile) ? defaultFile : nil) {
            if overrides.refusesForeign { try Self.refuseForeign(path) }
            try configuration.read(contentsOf: path)
            configuration.file = path
        }
        try configuration.apply(environment)
        try configuration.apply(overrides)
        return configuration
    }

    /// Throws where others than root and the user that we run as can change the file, or put another one in its place.
    static func refuseForeign(_ path: String) throws(Diagnostics) {
        let folder = URL(fileURLWithPath: path).resolvingSymlinksInPath().deletingLastPathComponent().path
        for (place, kind) in [(path, FileRights.Kind.file), (folder, .folderOfFile)] {
            guard let objection = FileRights(path: place)?.objection(to: kind) else { continue }
            throw Diagnostics([Diagnostic(code: "C006", file: place, message: objection)])
        }
    }

    /// Reads a file over what is set.
    mutating func read(contentsOf path: String) throws(Diagnostics) {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Diagnostics([Diagnostic(code: "C001", file: path, message: "the file cannot be read: \(Self.whyUnreadable(path))")])
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw Diagnostics([Diagnostic(code: "C001", file: path, message: "the file is not UTF-8")])
        }
        try read(text, file: path)
    }

    private static func whyUnreadable(_ path: String) -> String {
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue { return "it is a folder" }
        return access(path, R_OK) == 0 ? "it is no regular file" : String(cString: strerror(errno))
    }

    /// Reads a file's text over what is set.
    package mutating func read(_ text: String, file: String) throws(Diagnostics) {
        let reader = YAMLReader(file: file, text: text)
        let root = reader.root()
        if let root, !root.isNull { read(root) }
        let found = Diagnostics(reader.diagnostics.map { Self.withoutSecrets($0, root) })
        if found.hasErrors { throw found }
        resolvePaths(from: URL(fileURLWithPath: file).deletingLastPathComponent().path)
    }

    /// A line of `outputs:` may have a secret on it, and of a text that is no YAML each line may be one of them.
    private static func withoutSecrets(_ diagnostic: Diagnostic, _ root: YAMLNode?) -> Diagnostic {
        let pairs = root?.pairs ?? []
        var diagnostic = diagnostic
        if root == nil || pairs.isEmpty { diagnostic.snippet = nil }
        guard let index = pairs.firstIndex(where: { $0.key == "outputs" }), let start = pairs[index].keyNode.place, let line = diagnostic.place?.line else { return diagnostic }
        // In flow style the next key may stand on a line with what is before it.
        let next = pairs.dropFirst(index + 1).first?.keyNode.place
        let end = next.map { $0.column == start.column ? $0.line - 1 : $0.line } ?? .max
        if (start.line...max(start.line, end)).contains(line) { diagnostic.snippet = nil }
        return diagnostic
    }

    /// Paths in a file are as seen from it. What is not of the file is absolute already.
    private mutating func resolvePaths(from folder: String) {
        func resolved(_ path: String) -> String { path.hasPrefix("/") ? path : URL(fileURLWithPath: "\(folder)/\(path)").standardizedFileURL.path }
        for key in [\.stateDirectory, \.runDirectory, \.docker.socket] as [WritableKeyPath<Self, String>] { self[keyPath: key] = resolved(self[keyPath: key]) }
        for key in [
            \.intake.http.tokenFile, \.intake.http.certificate, \.intake.http.key, \.intake.http.clientAuthority, \.intake.file.path, \.intake.socket.path,
            \.intake.socket.datagramPath, \.intake.kubernetesAudit.http.tokenFile, \.intake.kubernetesAudit.http.certificate, \.intake.kubernetesAudit.http.key,
            \.intake.kubernetesAudit.http.clientAuthority, \.intake.kubernetesAuditLog.path, \.kubernetes.kubeconfig, \.audit.signingKey,
            \.metrics.http.tokenFile, \.metrics.http.certificate, \.metrics.http.key, \.metrics.http.clientAuthority,
        ] as [WritableKeyPath<Self, String?>] { self[keyPath: key] = self[keyPath: key].map(resolved) }
        playbooks = playbooks.map(resolved)
        rules.files = rules.files.map(resolved)
    }

    private mutating func apply(_ environment: [String: String]) throws(Diagnostics) {
        func fail(_ name: String, _ problem: String) -> Diagnostics { Diagnostics([Diagnostic(code: "C003", file: "environment", message: "\(name) \(problem)")]) }
        if let value = environment["RIPOSTE_MODE"] {
            guard let mode = Mode(rawValue: value) else { throw fail("RIPOSTE_MODE", "must be one of \(Mode.allCases.map(\.rawValue).joined(separator: ", "))") }
            self.mode = mode
        }
        if let value = environment["RIPOSTE_LOG_LEVEL"] {
            guard Self.logLevels.contains(value) else { throw fail("RIPOSTE_LOG_LEVEL", "must be one of \(Self.logLevels.joined(separator: ", "))") }
            logLevel = value
        }
        if let value = environment["RIPOSTE_STATE_DIR"] { stateDirectory = value }
        if let value = environment["RIPOSTE_RUN_DIR"] { runDirectory = value }
        if let value = environment["RIPOSTE_HTTP"] { (intake.http.listen, intake.http.isEnabled) = (value, true) }
        if let value = environment["RIPOSTE_PLAYBOOKS"] { playbooks = value.split(separator: ":").map(String.init) }
        if let value = environment["RIPOSTE_RULES"] { rules.files = value.split(separator: ":").map(String.init) }
        if rules.hostname == nil, let value = environment["FALCO_HOSTNAME"] { rules.hostname = value }
        if let value = environment["RIPOSTE_DOCKER_SOCKET"] { docker.socket = value }
    }

    private mutating func apply(_ overrides: ConfigurationOverrides) throws(Diagnostics) {
        let paths = [("--state-dir", overrides.stateDirectory), ("--run-dir", overrides.runDirectory)] + overrides.playbooks.map { ("--playbooks", $0) }
        // As a variable of a unit's that is not set becomes: what was meant is not the root of all files.
        for case (let flag, let path?) in paths + overrides.rules.map({ ("--rules", $0) }) where path.isEmpty || path.contains("\0") {
            throw Diagnostics([Diagnostic(code: "C003", file: "command line", message: "\(flag) must not be empty")])
        }
        if let value = overrides.mode {
            mode = value
            // Who says it on the command line says the most that is to be.
            modeCeiling = nil
        }
        if let value = overrides.stateDirectory { stateDirectory = value }
        if let value = overrides.runDirectory { runDirectory = value }
        if let value = overrides.logLevel { logLevel = value }
        // Whoever names an address wants to be listened to there.
        if let value = overrides.listen { (intake.http.listen, intake.http.isEnabled) = (value, true) }
        if !overrides.playbooks.isEmpty { playbooks = overrides.playbooks }
        if !overrides.rules.isEmpty { rules.files = overrides.rules }
    }

    // MARK: - Sections

    private mutating func read(_ node: YAMLNode) {
        let known = [
            "mode", "mode_ceiling", "incidents", "state_dir", "run_dir", "log_level", "playbooks", "rules", "sensor", "intake", "control", "audit", "engine", "approvals",
            "docker", "kubernetes", "network", "guards", "budgets", "outputs", "metrics", "undo", "reconcile",
        ]
        guard let keys = node.mapping(known: known, what: "the configuration", code: "C002") else { return }
        if let value = keys["mode"]?.choice(Mode.self, code: "C003") { mode = value }
        if let node = keys["mode_ceiling"], !node.isNull { modeCeiling = node.choice(Mode.self, code: "C003") }
        if let node = keys["incidents"] { readIncidents(node) }
        if let value = keys["state_dir"]?.path() { stateDirectory = value }
        if let value = keys["run_dir"]?.path() { runDirectory = value }
        if let node = keys["log_level"], let value = node.text(code: "C003") {
            if Self.logLevels.contains(value) {
                logLevel = value
            } else {
                node.report(code: "C003", "expected one of \(Self.logLevels.joined(separator: ", "))", suggestion: nearMiss(to: value, among: Self.logLevels))
            }
        }
        if let nodes = keys["playbooks"]?.list(orSingle: true, code: "C003") { playbooks = nodes.compactMap { $0.path() } }
        if let node = keys["rules"] { rules.read(node) }
        if let node = keys["outputs"] { outputs.read(node) }
        if let node = keys["metrics"] { metrics.read(node) }
        if let node = keys["sensor"] { sensor.read(node) }
        if let node = keys["intake"] { intake.read(node) }
        if let keys = keys["control"]?.mapping(known: ["group"], what: "control", code: "C002"), let node = keys["group"], !node.isNull {
            control.group = node.text(code: "C003")
        }
        if let node = keys["audit"] { audit.read(node) }
        if let keys = keys["engine"]?.mapping(known: ["run_limit", "max_alert_age", "dedup"], what: "engine", code: "C002") {
            if let value = keys["run_limit"]?.integer(in: 1...1_000_000, code: "C003") { engine.runLimit = value }
            if let value = keys["max_alert_age"]?.duration(code: "C003") { engine.maximumAlertAge = value }
            if let node = keys["dedup"] { engine.dedup = node.scalarText == "off" ? nil : node.duration(code: "C003") }
        }
        if let node = keys["approvals"] { approvals.read(node) }
        if let keys = keys["docker"]?.mapping(known: ["socket"], what: "docker", code: "C002"), let value = keys["socket"]?.path() {
            docker.socket = value
        }
        if let keys = keys["kubernetes"]?.mapping(known: ["kubeconfig", "context", "protected_namespaces"], what: "kubernetes", code: "C002") {
            if let node = keys["kubeconfig"], !node.isNull { kubernetes.kubeconfig = node.path() }
            if let node = keys["context"], !node.isNull { kubernetes.context = node.text(code: "C003") }
            if let nodes = keys["protected_namespaces"]?.list(code: "C003") { kubernetes.protectedNamespaces = nodes.compactMap { $0.text(code: "C003") } }
        }
        if let node = keys["guards"], !node.isNull { guards = Self.guards(node) }
        if let node = keys["budgets"], !node.isNull { budgets = Self.budgets(node) }
        if let keys = keys["network"]?.mapping(known: ["management_allow"], what: "network", code: "C002") {
            network.managementAllow = keys["management_allow"]?.list(code: "C003")?.compactMap(Self.endpoint) ?? []
        }
        if let node = keys["undo"] { undo.read(node) }
        if let node = keys["reconcile"] { reconciliation.read(node) }
    }

    private static func endpoint(_ node: YAMLNode) -> NetworkEndpoint? {
        guard let text = node.text(code: "C003") else { return nil }
        if let endpoint = NetworkEndpoint(text) { return endpoint }
        node.report(code: "C003", "expected a block with, if wanted, port and protocol, such as 10.0.0.0/8 or 192.0.2.7:22/tcp")
        return nil
    }
}

extension AgentConfiguration.SensorSection {
    fileprivate mutating func read(_ node: YAMLNode) {
        let known = ["enabled", "buffer_size", "push_down", "kernel_paths", "alert_on_lost", "alert_on_tampering", "pinned"]
        guard let keys = node.mapping(known: known, what: "sensor", code: "C002") else { return }
        if let value = keys["enabled"]?.bool(code: "C003") { isEnabled = value }
        if let node = keys["buffer_size"], let value = node.size(code: "C003") {
            if !(1 << 16...1 << 30 ~= value) { node.report(code: "C003", "expected 64KiB to 1GiB") }
            configuration.bufferBytes = value
        }
        if let value = keys["push_down"]?.bool(code: "C003") { configuration.pushesDown = value }
        if let value = keys["kernel_paths"]?.bool(code: "C003") { configuration.judgesKernelPaths = value }
        if let value = keys["alert_on_lost"]?.integer(in: 0...1_000_000_000, code: "C003") { lossLimit = value }
        if let value = keys["alert_on_tampering"]?.bool(code: "C003") { tellsTampering = value }
        if let value = keys["pinned"]?.bool(code: "C003") { configuration.isPinned = value }
    }
}

extension AgentConfiguration.AuditSection {
    fileprivate mutating func read(_ node: YAMLNode) {
        guard let keys = node.mapping(known: ["segment_size", "durability", "signing_key", "checkpoint_every"], what: "audit", code: "C002") else { return }
        if let value = keys["segment_size"]?.size(upTo: 1 << 40, "1024GiB", code: "C003") { segmentBytes = value }
        if let value = keys["durability"]?.choice(type(of: durability), code: "C003") { durability = value }
        if let node = keys["signing_key"], !node.isNull { signingKey = node.path() }
        if let node = keys["checkpoint_every"], let value = node.duration(code: "C003") {
            if !(Duration.seconds(1)...Duration.seconds(86400) ~= value) { node.report(code: "C003", "expected 1s to 24h") }
            checkpointEvery = value
        }
    }
}
