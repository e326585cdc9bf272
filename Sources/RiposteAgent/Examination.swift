internal import CRiposte
internal import Foundation
internal import Glibc
internal import RiposteActions
package import RiposteCore
internal import Logging
internal import RiposteIntake
internal import RipostePlaybooks
internal import RiposteSensor
internal import RiposteTransport

/// Looks at what this machine can and cannot do: `riposte doctor`.
package struct Examination: Sendable {
    package struct Finding: Sendable, Equatable {
        package enum Verdict: String, Sendable { case good, lacking, bad }

        package var subject: String
        package var verdict: Verdict
        package var finding: String
        package var remedy: String?

        package var json: JSON {
            var object: JSONObject = ["subject": .text(subject), "verdict": .text(verdict.rawValue), "finding": .text(finding)]
            object.append("remedy", remedy.map(JSON.text))
            return .object(object)
        }
    }

    /// Less is little for a journal.
    private static let freeBytes: Int64 = 64 << 20

    private let configuration: AgentConfiguration

    package init(_ configuration: AgentConfiguration) { self.configuration = configuration }

    /// Bad is what the agent cannot do without; lacking, what some actions need.
    package func findings() async -> [Finding] {
        let facilities = Facilities(configuration)
        defer { facilities.http.close() }
        var findings = [kernel, pidfd, capabilities, sensor]
        findings += leftSensors
        findings += [nftables, await docker(facilities), await kubernetes(facilities)]
        if let file = configuration.file { findings.append(configurationFile(file)) }
        findings += [folder("state directory", configuration.stateDirectory), folder("run directory", configuration.runDirectory)]
        findings += [descriptors, intakes, await playbooks(facilities), rules, outputs, management, signing]
        return findings
    }

    private var kernel: Finding {
        var information = utsname()
        uname(&information)
        let release = withUnsafeBytes(of: information.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        let isNew = numbers.count == 2 && (numbers[0], numbers[1]) >= (5, 10)
        return Finding(
            subject: "kernel", verdict: isNew ? .good : .bad, finding: "Linux \(release)", remedy: isNew ? nil : "Linux 5.10 or later is needed")
    }

    private var pidfd: Finding {
        let descriptor = riposte_pidfd_open(getpid())
        if descriptor >= 0 { close(descriptor) }
        return Finding(
            subject: "pidfd", verdict: descriptor >= 0 ? .good : .bad, finding: descriptor >= 0 ? "processes can be pinned" : String(cString: strerror(-descriptor)),
            remedy: descriptor >= 0 ? nil : "without it no process can be signalled safely; Linux 5.3 or later, and no seccomp filter on pidfd_open")
    }

    private func configurationFile(_ path: String) -> Finding {
        do throws(Diagnostics) { try AgentConfiguration.refuseForeign(path) } catch {
            return Finding(
                subject: "configuration", verdict: .bad, finding: error.entries.first.map(Self.line) ?? "", remedy: "the agent does not start like this")
        }
        return Finding(subject: "configuration", verdict: .good, finding: path)
    }

    private var sensor: Finding {
        guard configuration.sensor.isEnabled else { return Finding(subject: "sensor", verdict: .good, finding: "is off (sensor.enabled: false)") }
        let features = KernelFeatures().features
        let missing = features.filter { !$0.isThere }
        let (needed, useful) = (missing.filter(\.isNeeded), missing.filter { !$0.isNeeded })
        if let first = needed.first {
            return Finding(
                subject: "sensor", verdict: .lacking, finding: "cannot run: no \(needed.map(\.name).joined(separator: ", ")); alerts have to come from elsewhere",
                remedy: "\(first.name): \(first.meaning). Run as root or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE")
        }
        do throws(SensorError) { try SensorMachine.check() } catch {
            return Finding(subject: "sensor", verdict: .lacking, finding: "cannot run: \(error.problem)", remedy: error.remedy)
        }
        let words = "uses " + features.filter(\.isThere).map(\.name).joined(separator: ", ")
        guard !useful.isEmpty else { return Finding(subject: "sensor", verdict: .good, finding: words) }
        return Finding(
            subject: "sensor", verdict: .good, finding: "\(words); goes without \(useful.map { "\($0.name) (\($0.meaning))" }.joined(separator: ", "))")
    }

    /// Programs of agents that have ended, which cost each call and which nobody reads.
    private var leftSensors: [Finding] {
        SensorPins.left(butOf: SensorPins(stateDirectory: configuration.stateDirectory)).map {
            Finding(subject: "pinned sensor", verdict: .lacking, finding: $0.isOrphaned ? "\($0.place) is nobody's: its state folder is gone" : $0.words, remedy: $0.remedy)
        }
    }

    private var capabilities: Finding {
        let own = Capabilities.own
        let names = Capabilities.Capability.allCases.map(\.name)
        let missing = Capabilities.Capability.allCases.filter { !own.has($0) }.map(\.name)
        return Finding(
            subject: "capabilities", verdict: missing.isEmpty ? .good : .lacking,
            finding: missing.isEmpty ? names.joined(separator: ", ") : "missing: \(missing.joined(separator: ", "))",
            remedy: missing.isEmpty ? nil : "run as root, or give them with AmbientCapabilities= in the unit")
    }

    private var nftables: Finding {
        do throws(ActionError) {
            let state = try NetworkState.read()
            return Finding(subject: "nftables", verdict: .good, finding: "\(state.blocks.count) addresses blocked, host \(state.isIsolated ? "isolated" : "open")")
        } catch {
            return Finding(subject: "nftables", verdict: .lacking, finding: error.message, remedy: error.remedy ?? "the module nf_tables, and CAP_NET_ADMIN")
        }
    }

    private func docker(_ facilities: Facilities) async -> Finding {
        do throws(ActionError) {
            return Finding(subject: "container engine", verdict: .good, finding: "Docker \(try await facilities.docker.engineVersion()) at \(facilities.docker.socket)")
        } catch {
            return Finding(subject: "container engine", verdict: .lacking, finding: error.answer, remedy: error.remedy)
        }
    }

    private func kubernetes(_ facilities: Facilities) async -> Finding {
        do throws(ActionError) {
            let client = try facilities.kubernetes()
            let version = try await client.serverVersion()
            let (mayDelete, _) = try await client.mayI("delete", "pods", in: "default")
            let (mayEvict, _) = try await client.mayI("create", "pods", subresource: "eviction", in: "default")
            let missing = [mayDelete ? nil : "delete pods", mayEvict ? nil : "create pods/eviction"].compactMap(\.self)
            return Finding(
                subject: "Kubernetes", verdict: missing.isEmpty ? .good : .lacking,
                finding: "\(version) by \(client.configuration.origin)\(missing.isEmpty ? "" : "; missing in namespace default: \(missing.joined(separator: ", "))")",
                remedy: missing.isEmpty ? nil : "grant them with a Role and a RoleBinding")
        } catch {
            return Finding(subject: "Kubernetes", verdict: .lacking, finding: error.answer, remedy: error.remedy)
        }
    }

    private func folder(_ subject: String, _ path: String) -> Finding {
        let parent =
            sequence(first: path) { $0 == "/" ? nil : URL(fileURLWithPath: $0).deletingLastPathComponent().path }
            .first { FileManager.default.fileExists(atPath: $0) } ?? "/"
        guard access(parent, W_OK) == 0 else {
            return Finding(
                subject: subject, verdict: .bad, finding: "\(parent) cannot be written: \(String(cString: strerror(errno)))",
                remedy: "run as root, or set --state-dir and --run-dir")
        }
        if let (place, objection) = AgentConfiguration.objection(toWorkFolder: path) {
            return Finding(subject: subject, verdict: .bad, finding: "\(place): \(objection)", remedy: "the agent does not start like this")
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: parent, isDirectory: &isFolder), isFolder.boolValue else {
            return Finding(subject: subject, verdict: .bad, finding: "\(parent) is no folder", remedy: "set --state-dir and --run-dir")
        }
        let free = (try? FileManager.default.attributesOfFileSystem(forPath: parent))?[.systemFreeSize] as? NSNumber
        let note = parent == path ? path : "\(path) (will be made)"
        if let free, free.int64Value >= Self.freeBytes, UntrustedQuota.isFull(parent, below: configuration.intake.untrusted.freeBytes) {
            return Finding(
                subject: subject, verdict: .lacking, finding: "\(note), \(free.int64Value >> 20) MiB free: alerts of senders who are not believed are not taken",
                remedy: "make room, or set intake.untrusted.min_free")
        }
        guard let free, free.int64Value < Self.freeBytes else { return Finding(subject: subject, verdict: .good, finding: note) }
        return Finding(
            subject: subject, verdict: .lacking, finding: "\(note), \(free.int64Value >> 20) MiB free", remedy: "what cannot be written down is not done: make room")
    }

    private var descriptors: Finding {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let isEnough = limit.rlim_max >= 16384
        return Finding(
            subject: "open files", verdict: isEnough ? .good : .lacking, finding: "\(limit.rlim_max) at most",
            remedy: isEnough ? nil : "LimitNOFILE=65536 in the unit, so that many idle connections keep no alert out")
    }

    /// What would keep the agent from starting.
    private var intakes: Finding {
        do {
            try Agent.checkPaths(configuration)
            _ = try Agent.controlGroup(configuration)
            if configuration.intake.http.isEnabled { try HTTPIntake.check(try Agent.httpConfiguration(configuration)) }
            let audit = configuration.intake.kubernetesAudit
            if audit.http.isEnabled { try KubernetesAuditIntake.check(try Agent.auditConfiguration(configuration)) }
            if configuration.metrics.http.isEnabled { try HTTPListener.check(try Agent.metricsConfiguration(configuration)) }
            let log = configuration.intake.kubernetesAuditLog.path
            if let log, access(log, F_OK) == 0, access(log, R_OK) != 0 {
                return Finding(
                    subject: "intakes", verdict: .lacking, finding: "kubernetes_audit_log \(log): \(String(cString: strerror(errno)))",
                    remedy: "run as a user who may read it; until then no event comes from there")
            }
            if let open = openDoor ?? openFile ?? exposedSecret { return open }
            let names = [
                configuration.intake.http.isEnabled ? "http \(configuration.intake.http.listen)\(Self.believed(configuration.intake.http))" : nil,
                configuration.intake.socket.isEnabled ? "socket" : nil,
                configuration.intake.file.path.map { "file \($0)" }, configuration.intake.stdin.isEnabled ? "stdin" : nil,
                audit.http.isEnabled ? "kubernetes_audit \(audit.http.listen)\(audit.path)\(Self.believed(audit.http))" : nil,
                log.map { "kubernetes_audit_log \($0)" },
            ]
            return Finding(subject: "intakes", verdict: .good, finding: names.compactMap(\.self).joined(separator: ", "))
        } catch {
            return Finding(subject: "intakes", verdict: .bad, finding: "\(error)", remedy: "set it right in the configuration; the agent does not start like this")
        }
    }

    /// Where it depends on the sender's user whether an alert is believed, and the kernel does not name it; or where nobody has to say who he is.
    private var openDoor: Finding? {
        for (key, http) in [("intake.http", configuration.intake.http), ("intake.kubernetes_audit", configuration.intake.kubernetesAudit.http)] where http.asksNobody {
            if http.allowsUnauthenticated {
                return Finding(
                    subject: "intakes", verdict: .lacking,
                    finding: "\(key).allow_unauthenticated: whoever can connect to \(http.listen) is believed, and what he sends is acted on",
                    remedy: "set token_file or tls.client_ca, or trust: untrusted; on loopback, uids instead of allow_unauthenticated")
            }
            if let obstacle = SocketOwner.obstacle() {
                return Finding(
                    subject: "intakes", verdict: .lacking, finding: "\(key): the kernel does not tell who sends (\(obstacle)): what comes in there is observed only",
                    remedy: "the kernel's tcp_diag, or token_file, or tls.client_ca, or the Unix socket")
            }
        }
        return nil
    }

    /// A followed file that others may write to.
    private var openFile: Finding? {
        for (key, file) in [("intake.file", configuration.intake.file), ("intake.kubernetes_audit_log", configuration.intake.kubernetesAuditLog)] {
            guard let path = file.path, file.trust == .trusted, let objection = FileIntake.objection(to: path, owners: file.owners) else { continue }
            return Finding(
                subject: "intakes", verdict: .lacking, finding: "\(key) \(path): \(objection)",
                remedy: "name who writes it in \(key).uids; until then what comes from there is observed only")
        }
        return nil
    }

    /// A token or a key that anybody on this host can have read.
    private var exposedSecret: Finding? {
        let exposed = [configuration.intake.http, configuration.intake.kubernetesAudit.http, configuration.metrics.http].flatMap(\.exposedSecrets)
        guard let path = exposed.first else { return nil }
        return Finding(
            subject: "intakes", verdict: .lacking, finding: "\(path) may be read by everybody on this host: whoever has read it is believed",
            remedy: "chmod o-r it, and change what is in it")
    }

    private static func believed(_ section: AgentConfiguration.IntakeSection.HTTP) -> String { section.asksNobody ? " (believes \(section.believed))" : "" }

    private func playbooks(_ facilities: Facilities) async -> Finding {
        guard !configuration.playbooks.isEmpty else {
            return Finding(subject: "playbooks", verdict: .lacking, finding: "none are configured", remedy: "set playbooks: in the configuration, or --playbooks")
        }
        do throws(Diagnostics) {
            let (set, warnings) = try PlaybookSet.load(paths: configuration.playbooks, facilities.catalogue)
            let required = Set(set.playbooks.flatMap(\.requires).map(\.ability))
            let obstacles = await MachineAbilities(facilities, configuration).obstacles(required)
            if let unmet = set.unmet({ ability in obstacles[ability].map { ($0.problem, $0.remedy) } }).first {
                return Finding(subject: "playbooks", verdict: .bad, finding: Self.line(unmet), remedy: "mend it, or take the key require away; the agent does not start like this")
            }
            return Finding(
                subject: "playbooks", verdict: .good, finding: "\(set.playbooks.count) in \(configuration.playbooks.joined(separator: ", ")), \(warnings.count) warnings")
        } catch {
            return Finding(
                subject: "playbooks", verdict: .bad, finding: "\(error.entries.count) in error, the first: \(error.entries.first.map(Self.line) ?? "")",
                remedy: "riposte playbook check; the agent does not start like this")
        }
    }

    private var rules: Finding {
        let hasAuditEvents = configuration.intake.kubernetesAudit.http.isEnabled || configuration.intake.kubernetesAuditLog.path != nil
        guard !configuration.rules.files.isEmpty else {
            return Finding(
                subject: "rules", verdict: hasAuditEvents ? .lacking : .good,
                finding: hasAuditEvents ? "none are configured: nothing comes of Kubernetes audit events" : "none are configured: alerts come from elsewhere",
                remedy: hasAuditEvents ? "set rules.files in the configuration, or --rules" : nil)
        }
        do throws(Diagnostics) {
            let rules = try LoadedRules.load(configuration.rules)
            let words = [
                "\(rules.armed) armed of \(rules.ruleSet.rules.count) in \(configuration.rules.files.joined(separator: ", "))", "\(rules.warnings) warnings",
            ]
            if let foreign = rules.foreign.first {
                return Finding(
                    subject: "rules", verdict: .lacking, finding: "\(words[0]); \(foreign.path): \(foreign.objection)",
                    remedy: "whoever can write rules can have alerts raised, and keep them from being raised; they are taken all the same")
            }
            guard hasAuditEvents, rules.armed(for: "k8s_audit") == 0 else {
                return Finding(subject: "rules", verdict: .good, finding: words.joined(separator: ", "))
            }
            return Finding(
                subject: "rules", verdict: .lacking, finding: "no rule for Kubernetes audit events is armed: nothing comes of them",
                remedy: "add some to rules.files, or look at rules.select and rules.priority")
        } catch {
            return Finding(
                subject: "rules", verdict: .bad, finding: "\(error.entries.count) in error, the first: \(error.entries.first.map(Self.line) ?? "")",
                remedy: "riposte rules check; the agent does not start like this")
        }
    }

    private var outputs: Finding {
        let http = HTTPClient()
        defer { http.close() }
        let surroundings = configuration.outputSurroundings(http, Logger(label: "riposte.doctor", factory: { _ in SwiftLogNoOpLogHandler() }))
        do throws(Diagnostics) {
            let outputs = try configuration.readOutputs(surroundings)
            let words = outputs.map { "\($0.name) (\($0.mask.masked($0.destination.place)))" }.joined(separator: ", ")
            return Finding(subject: "outputs", verdict: .good, finding: outputs.isEmpty ? "none are configured" : words)
        } catch {
            return Finding(
                subject: "outputs", verdict: .bad, finding: "\(error.entries.count) in error, the first: \(error.entries.first.map(Self.line) ?? "")",
                remedy: "set it right in the configuration; the agent does not start like this")
        }
    }

    private static func line(_ problem: Diagnostic) -> String {
        "\(problem.file)\(problem.place.map { ":\($0.line):\($0.column)" } ?? ""): \(problem.message)"
    }

    private var signing: Finding {
        do throws(Diagnostics) {
            let key = try configuration.audit.loadSigningKey()?.verifyingKey
            return Finding(subject: "journal", verdict: .good, finding: key.map { "is signed with key \($0.fingerprint)" } ?? "is not signed (audit.signing_key)")
        } catch {
            return Finding(
                subject: "journal", verdict: .bad, finding: "cannot be signed: \(error)", remedy: "see riposte audit key generate; without audit.signing_key it is not signed")
        }
    }

    private var management: Finding {
        let allow = configuration.network.managementAllow
        return Finding(
            subject: "management", verdict: allow.isEmpty ? .lacking : .good,
            finding: allow.isEmpty ? "network.management_allow is empty" : allow.map(\.description).joined(separator: ", "),
            remedy: allow.isEmpty ? "name who must always reach this host; without it network.isolate is refused" : nil)
    }
}
