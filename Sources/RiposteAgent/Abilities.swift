internal import CRiposte
internal import Glibc
internal import Logging
internal import RiposteActions
internal import RiposteCore
internal import RiposteIntake
package import RipostePlaybooks
internal import RiposteSensor
internal import Synchronization

/// What this machine lacks of what playbooks may need.
package struct MachineAbilities: Sendable {
    /// Why something is not to be had, and how to mend it.
    package struct Obstacle: Sendable, Equatable {
        package var problem: String
        package var remedy: String?
    }

    private let facilities: Facilities
    private let isSensorEnabled: Bool

    package init(_ facilities: Facilities, _ configuration: AgentConfiguration) {
        self.facilities = facilities
        isSensorEnabled = configuration.sensor.isEnabled
    }

    /// Those that are not to be had now, with the reason.
    package func obstacles(_ wanted: Set<Ability>) async -> [Ability: Obstacle] {
        var found: [Ability: Obstacle] = [:]
        for ability in wanted.sorted() { if let obstacle = await obstacle(ability) { found[ability] = obstacle } }
        return found
    }

    private func obstacle(_ ability: Ability) async -> Obstacle? {
        do throws(ActionError) {
            switch ability {
            case .processes: return processes
            case .containers: _ = try await facilities.docker.engineVersion()
            case .kubernetes: _ = try await facilities.kubernetes().serverVersion()
            case .nftables: _ = try NetworkState.read()
            case .reflexes: return reflexes
            }
            return nil
        } catch {
            return Obstacle(problem: error.answer, remedy: error.remedy)
        }
    }

    private var processes: Obstacle? {
        let descriptor = riposte_pidfd_open(getpid())
        guard descriptor >= 0 else { return Obstacle(problem: "pidfd_open: \(String(cString: strerror(-descriptor)))", remedy: "Linux 5.3 or later, and no seccomp filter on it") }
        close(descriptor)
        return Capabilities.own.has(.kill) ? nil : Obstacle(problem: "CAP_KILL is missing", remedy: "run as root, or give it with AmbientCapabilities= in the unit")
    }

    /// Found out once: a kernel does not learn, and asking it means loading programs, which rules may watch for.
    private static let kernel = KernelFeatures()

    var reflexes: Obstacle? {
        guard isSensorEnabled else { return Obstacle(problem: "the sensor is off (sensor.enabled: false)", remedy: nil) }
        let missing = Self.kernel.features.first { !$0.isThere && ($0.isNeeded || $0.name == "bpf_send_signal") }
        return missing.map { Obstacle(problem: "no \($0.name) (\($0.meaning))", remedy: "run as root or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE") }
    }
}

/// The rights that the kernel gives this process: CapEff in /proc/self/status, by the numbers of capabilities(7).
struct Capabilities: Sendable {
    enum Capability: UInt64, CaseIterable, Sendable {
        case kill = 5
        case networkAdministration = 12
        case tracing = 19
        case administration = 21

        var name: String {
            switch self {
            case .kill: "CAP_KILL"
            case .networkAdministration: "CAP_NET_ADMIN"
            case .tracing: "CAP_SYS_PTRACE"
            case .administration: "CAP_SYS_ADMIN"
            }
        }
    }

    private let effective: UInt64

    func has(_ capability: Capability) -> Bool { effective & (1 << capability.rawValue) != 0 }

    static var own: Capabilities {
        guard let file = fopen("/proc/self/status", "re") else { return Capabilities(effective: 0) }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 4096)
        while fgets(&buffer, 4095, file) != nil {
            let line = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            guard line.hasPrefix("CapEff:") else { continue }
            return Capabilities(effective: line.split(whereSeparator: \.isWhitespace).last.flatMap { UInt64($0, radix: 16) } ?? 0)
        }
        return Capabilities(effective: 0)
    }
}

/// Which playbooks cannot do what they are let do, as far as is known; looked at again every while.
final class DegradedPlaybooks: Sendable {
    /// A step that would act and cannot.
    struct Degradation: Sendable, Equatable {
        var playbook: String
        var step: String
        var ability: Ability
        var obstacle: MachineAbilities.Obstacle

        var json: JSON {
            var object: JSONObject = ["playbook": .text(playbook), "step": .text(step), "lacks": .text(ability.rawValue), "problem": .text(obstacle.problem)]
            object.append("remedy", obstacle.remedy.map(JSON.text))
            return .object(object)
        }
    }

    static let pause = Duration.seconds(30)

    private struct State {
        var obstacles: [Ability: MachineAbilities.Obstacle] = [:]
        /// Of each playbook, what was told last.
        var told: [String: [Degradation]] = [:]
        var alerts: AlertDoor?
    }

    private let abilities: MachineAbilities
    private let hostname: String
    private let logger: Logger
    private let state = Mutex(State())

    init(_ abilities: MachineAbilities, hostname: String, logger: Logger) {
        self.abilities = abilities
        self.hostname = hostname
        self.logger = logger
    }

    /// As the last look found it; what was not looked at is taken to be there.
    func obstacle(_ ability: Ability) -> MachineAbilities.Obstacle? { ability == .reflexes ? abilities.reflexes : state.withLock { $0.obstacles[ability] } }

    /// What these playbooks require and the last look did not find.
    func unmet(_ set: PlaybookSet) -> [Diagnostic] { set.unmet { ability in obstacle(ability).map { ($0.problem, $0.remedy) } } }

    func look(at wanted: Set<Ability>) async {
        let found = await abilities.obstacles(wanted)
        state.withLock { $0.obstacles = found }
    }

    func open(_ alerts: AlertDoor) { state.withLock { $0.alerts = alerts } }

    /// Those of the playbooks in force, in their order.
    func degradations(of house: EngineHouse) -> [Degradation] {
        house.engine.playbooks.playbooks.filter { $0.isEnabled && house.engine.mode(of: $0).mode > .observe }.flatMap { playbook in
            playbook.abilities(house.facilities.catalogue).flatMap { step, needed in
                needed.sorted().compactMap { ability in obstacle(ability).map { Degradation(playbook: playbook.name, step: step, ability: ability, obstacle: $0) } }
            }
        }
    }

    /// Looks every while, and tells what has changed: in the journal, and by an alert of our own.
    func keepUp(_ house: EngineHouse) async throws {
        while true {
            await look(at: Set(Ability.allCases).subtracting([.reflexes]))
            tell(house)
            try await Task.sleep(for: Self.pause)
        }
    }

    func tell(_ house: EngineHouse) {
        let now = Dictionary(grouping: degradations(of: house), by: \.playbook)
        let (before, alerts) = state.withLock { state in
            defer { state.told = now }
            return (state.told, state.alerts)
        }
        for name in Set(before.keys).union(now.keys).sorted() where before[name] ?? [] != now[name] ?? [] { tell(name, now[name] ?? [], house, alerts) }
    }

    private func tell(_ playbook: String, _ degradations: [Degradation], _ house: EngineHouse, _ alerts: AlertDoor?) {
        var record = AuditRecord(.config, at: .now(), detail: ["degraded": .array(degradations.map(\.json))])
        record.playbook = playbook
        let problems = degradations.map { "step \($0.step) lacks \($0.ability.rawValue) (\($0.obstacle.problem))" }.joined(separator: "; ")
        record.message = degradations.isEmpty ? "playbook \(playbook) can do again what it says" : "playbook \(playbook) is degraded: \(problems)"
        do { try house.journal.append(record) } catch { logger.error("what a playbook cannot do is not on record", metadata: ["error": "\(error)"]) }
        guard !degradations.isEmpty else { return }
        logger.warning("playbook degraded", metadata: ["playbook": "\(playbook)", "problem": "\(problems.escapedForDisplay)"])
        guard let alerts, let alert = OwnAlerts(alerts).alert(document(playbook, problems, record.time), Alert.Arrival(intake: BrakeAlerts.intake)) else { return }
        // Turned away where the engine is full: it is on record, and status shows it.
        try? alerts.accept(alert)
    }

    private func document(_ playbook: String, _ problems: String, _ time: Timestamp) -> JSONObject {
        [
            "hostname": .text(hostname), "output": .text("Riposte's playbook \(playbook) cannot act as it says: \(problems)"),
            "output_fields": ["evt.time": .integer(time.nanoseconds), "playbook.name": .text(playbook), "playbook.problem": .text(problems)], "priority": "Error",
            "rule": "Riposte playbook degraded", "source": "internal", "tags": ["riposte", "playbooks"], "time": .text("\(time)"),
        ]
    }
}
