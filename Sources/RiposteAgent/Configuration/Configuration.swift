internal import Foundation
internal import Glibc
package import RiposteAudit
package import RiposteCore
package import RiposteOutputs
package import RipostePlaybooks
package import RiposteRules
package import RiposteSensor

/// Everything that can be set, with its default. `config/riposte.yaml` shows the same, key by key.
package struct AgentConfiguration: Sendable {
    /// What the engine may do at most; a playbook, a step or an untrusted intake can only be more careful.
    package var mode = Mode.observe
    /// How wide a person may set the agent's mode while it runs, where that is wider than ``mode``.
    package var modeCeiling: Mode?
    /// Journal, index, offsets.
    package var stateDirectory = "/var/lib/riposte"
    /// Sockets and locks.
    package var runDirectory = "/run/riposte"
    package var logLevel = "info"
    /// The file that this was read from, if any.
    package var file: String?
    /// Files and folders.
    package var playbooks: [String] = []
    package var rules = RulesSection()
    package var sensor = SensorSection()
    package var intake = IntakeSection()
    package var control = ControlSection()
    package var audit = AuditSection()
    package var engine = EngineSection()
    /// How people are asked, where a playbook does not say it.
    package var approvals = ApprovalPolicy()
    package var docker = DockerSection()
    package var kubernetes = KubernetesSection()
    package var network = NetworkSection()
    /// In the order of the file.
    package var guards: [GuardRule] = []
    package var budgets = AgentBudget.standard
    /// Nil: alerts are not grouped.
    package var incidents: IncidentSettings? = IncidentSettings()
    package var outputs = OutputsSection()
    package var undo = UndoSettings()
    package var reconciliation = ReconciliationSettings(every: .seconds(60))
    package var metrics = MetricsSection()

    package init() {}

    package struct RulesSection: Sendable {
        /// Files and folders, in the order in which they are read.
        package var files: [String] = []
        package var settings = RulesSettings()
        /// What alerts of our own say of where they come from. Nil: FALCO_HOSTNAME, else the name that the kernel has for this host.
        package var hostname: String?

        package var hostnameInAlerts: String { hostname ?? Self.kernelHostname }

        private static var kernelHostname: String {
            var information = utsname()
            uname(&information)
            return withUnsafeBytes(of: information.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
    }

    /// The own sensor for system calls.
    package struct SensorSection: Sendable {
        package var isEnabled = true
        package var configuration = Sensor.Configuration()
        /// So many lost events raise an alert; 0: none does.
        package var lossLimit = 1
        /// Whether tampering with the agent raises an alert.
        package var tellsTampering = true
    }

    package struct IntakeSection: Sendable {
        package var http = HTTP(isEnabled: true, listen: "127.0.0.1:2803", bodyLimit: 1 << 20)
        package var file = File()
        package var kubernetesAudit = KubernetesAudit()
        package var kubernetesAuditLog = File()
        package var stdin = Stdin()
        package var socket = Socket()
        /// What is kept of senders who are not believed.
        var untrusted = UntrustedQuota.Settings()

        package struct HTTP: Sendable {
            package var isEnabled: Bool
            /// `ADDRESS:PORT`; IPv6 in brackets.
            package var listen: String
            package var trust = Alert.Arrival.Trust.trusted
            /// A file with one bearer token per line.
            package var tokenFile: String?
            package var certificate: String?
            package var key: String?
            package var clientAuthority: String?
            package var allowsUnauthenticated = false
            package var userIDs: [Int] = []
            package var bodyLimit: Int
            package var connectionLimit: Int

            init(isEnabled: Bool, listen: String, bodyLimit: Int, connectionLimit: Int = 16384) {
                self.isEnabled = isEnabled
                self.listen = listen
                self.bodyLimit = bodyLimit
                self.connectionLimit = connectionLimit
            }
        }

        /// Where an API server's `--audit-webhook-config-file` sends its events.
        package struct KubernetesAudit: Sendable {
            package var http = HTTP(isEnabled: false, listen: "127.0.0.1:9765", bodyLimit: 12 << 20)
            package var path = "/k8s-audit"
        }

        package struct File: Sendable {
            /// Nil: no file is followed.
            package var path: String?
            package var startsAtBeginning = false
            /// Whose the file may be, beside root and the agent's own user, for what is in it to be believed.
            package var userIDs: [Int] = []
            package var owners: Set<UInt32> { Set(userIDs.map { UInt32(clamping: $0) }) }
            package var trust = Alert.Arrival.Trust.trusted
        }

        package struct Stdin: Sendable {
            package var isEnabled = false
            package var trust = Alert.Arrival.Trust.trusted
        }

        package struct Socket: Sendable {
            package var isEnabled = true
            /// Nil: `alerts.sock` and `alerts.dgram.sock` in the run directory.
            package var path: String?
            package var datagramPath: String?
            package var userIDs: [Int] = []
            package var trust = Alert.Arrival.Trust.trusted
        }
    }

    package struct ControlSection: Sendable {
        /// A group whose members may give the agent orders, beside root and the agent's own user.
        package var group: String?
    }

    package struct AuditSection: Sendable {
        package var segmentBytes = 64 << 20
        package var durability = Journal.Durability.grouped
        /// The private key that checkpoints are signed with. Nil: the journal is not anchored.
        package var signingKey: String?
        package var checkpointEvery = Duration.seconds(60)
    }

    package struct EngineSection: Sendable {
        /// Shared fairly among rules and intakes; see `AdmissionBook`.
        package var runLimit = 4096
        package var maximumAlertAge = Duration.seconds(3600)
        /// How long a fact that is told again counts as the same, for playbooks that do not say. Nil: each alert is answered.
        package var dedup: Duration? = .seconds(60)
    }

    package struct DockerSection: Sendable {
        package var socket = "/var/run/docker.sock"
    }

    package struct KubernetesSection: Sendable {
        package var kubeconfig: String?
        package var context: String?
        package var protectedNamespaces = ["kube-system", "kube-public", "kube-node-lease"]
    }

    /// As it stands in the file; read by ``RiposteOutputs/Outputs/read(_:file:_:)``.
    package struct OutputsSection: Sendable {
        package var entries: SettingsValue?
        package var file = ""
    }

    /// Where Prometheus asks. Off: a port that listens is something to decide on.
    package struct MetricsSection: Sendable {
        package var http = IntakeSection.HTTP(isEnabled: false, listen: "127.0.0.1:2804", bodyLimit: 0, connectionLimit: 64)
    }

    package struct NetworkSection: Sendable {
        /// Who always reaches this host, also when it is isolated, and is never blocked.
        package var managementAllow: [NetworkEndpoint] = []
    }

    /// What is its own: nobody else has reason to change it unseen.
    var guardedFiles: GuardedFiles {
        let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let pins = sensor.configuration.isPinned ? SensorPins(stateDirectory: stateDirectory)?.folder : nil
        return GuardedFiles([stateDirectory, runDirectory] + [program, file, pins].compactMap(\.self) + playbooks + rules.files + CgroupSwitches.own)
    }

    package var controlSocket: String { runDirectory + "/riposte.sock" }
    package var alertSocket: String { intake.socket.path ?? runDirectory + "/alerts.sock" }
    package var alertDatagramSocket: String { intake.socket.datagramPath ?? runDirectory + "/alerts.dgram.sock" }
}
