internal import Glibc
package import Logging
internal import RiposteActions
package import RiposteCore
internal import RiposteAudit
internal import RiposteIntake
package import RipostePlaybooks
internal import RiposteRules
internal import RiposteSensor
internal import ServiceLifecycle
internal import Synchronization
internal import UnixSignals

/// The response agent: intakes, engine, control socket, in one process. It knows everyone and decides nothing.
package struct Agent: Sendable {
    /// What the banner tells.
    package struct Banner: Sendable {
        package var mode: Mode
        package var playbooks: Int
        package var rules: (armed: Int, count: Int)
        /// Where alerts come in, and where events do that rules make alerts of.
        package var intakes: [(name: String, place: String, takesEvents: Bool)]
        package var journal: String
        package var controlSocket: String
        package var alertSocket: String?
        package var httpPlace: String?
        package var remarks: [String]
    }

    let configuration: AgentConfiguration
    private let playbooks: PlaybookSet
    private let playbookWatch: FileWatch
    private let rules: LoadedRules
    private let rulesWatch: FileWatch
    private let facilities: Facilities
    private let logger: Logger

    /// Reads the playbooks and the rules; an agent does not start on ones that have an error.
    package init(_ configuration: AgentConfiguration, logger: Logger) throws(Diagnostics) {
        self.configuration = configuration
        self.logger = logger
        facilities = Facilities(configuration)
        (playbookWatch, rulesWatch) = (FileWatch(configuration.playbooks), FileWatch(configuration.rules.files))
        playbooks = try PlaybookSet.load(paths: configuration.playbooks, facilities.catalogue).set
        rules = try LoadedRules.load(configuration.rules)
        try Self.checkLimits(configuration.undo, facilities.catalogue)
    }

    private static func checkLimits(_ undo: UndoSettings, _ catalogue: ActionCatalogue) throws(Diagnostics) {
        let names = catalogue.descriptions.filter { $0.inverse != nil }.map(\.name.rawValue)
        for name in undo.limits.keys.map(\.rawValue).sorted() where !names.contains(name) {
            let suggestion = nearMiss(to: name, among: names)
            throw Diagnostics([Diagnostic(code: "C003", file: "undo.max", message: "no action \"\(name.escapedForDisplay)\" can be taken back", suggestion: suggestion)])
        }
    }

    /// Runs until SIGTERM or SIGINT, then finishes what is under way and closes the journal. `observe` must not wait.
    package func run(onReady: @escaping @Sendable (Banner) -> Void, observe: @escaping @Sendable (Engine.Event) -> Void) async throws {
        Self.raiseDescriptorLimit()
        let drifts = DriftAlerts(hostname: configuration.rules.hostnameInAlerts)
        let house = try await EngineHouse.open(
            configuration, playbooks: playbooks, rules: configuration.rules.files.isEmpty ? nil : rules.digest, facilities: facilities, purpose: "agent", resumesRuns: true,
            logger: logger,
            observe: { event in
                if case .drift(let drift) = event { drifts.take(drift) }
                observe(event)
            })
        do { try await serve(house, drifts, onReady) } catch {
            await house.close()
            throw error
        }
        await house.close()
    }

    private func serve(_ house: EngineHouse, _ drifts: DriftAlerts, _ onReady: @escaping @Sendable (Banner) -> Void) async throws {
        let door = AlertDoor(house, logger: logger)
        drifts.open(door)
        let formatter = AlertFormatter(hostname: configuration.rules.hostnameInAlerts)
        let sensor = SensorKeeper(
            configuration.sensor, house, try SensorDoor(door, formatter: formatter, lossLimit: configuration.sensor.lossLimit, logger: logger),
            ContainerDirectory(inspector: ContainerBridge(docker: DockerInspector(docker: facilities.docker))), logger: logger)
        let keepers = Keepers(
            playbooks: PlaybookKeeper(playbookWatch, house: house, logger: logger) { sensor.playbooksChanged() },
            rules: RulesKeeper(configuration.rules, rules, rulesWatch, house: house, logger: logger) { sensor.use($0) },
            sensor: sensor)
        let auditDoor = KubernetesAuditDoor(door, judges: keepers.rules.kubernetesAudit, formatter: formatter)
        let section = configuration.intake
        let ready = Readiness(waitsFor: [section.http.isEnabled, section.socket.isEnabled, section.kubernetesAudit.http.isEnabled].count { $0 })
        let intakes = try alertIntakes(door, logger, quiet(logger), onReady: ready.one)
        let auditIntakes = try auditIntakes(auditDoor, quiet(logger), onReady: ready.one)
        // First of all that takes anything in: what happens from here on is seen.
        sensor.start(rules.ruleSet)
        defer { sensor.stop() }
        ready.whenReady { [configuration] in onReady(Banner(configuration, house, keepers, intakes, auditIntakes)) }
        let began = Timestamp.now()
        let control = ControlServer(
            path: configuration.controlSocket, groupID: try Self.controlGroup(configuration), house: house,
            status: { status(house, keepers, intakes + auditIntakes, auditIntakes.isEmpty ? nil : auditDoor, since: began) }, reload: keepers.reload, logger: logger,
            libraryLogger: quiet(logger))
        // Those who take orders and alerts come last: they stop first, and the undo keeper is there as long as they are.
        var services = [
            service("time") { await house.engine.keepTime() },
            service("drift") {
                if configuration.reconciliation.every != nil { try await DriftWatch(engine: house.engine, docker: facilities.docker, logger: logger).run() }
            },
            service("snapshot") { try await every(.seconds(30)) { house.keepSnapshot() } },
            service("playbooks") { try await keepers.playbooks.keepUp() },
            service("rules") { try await keepers.rules.keepUp() },
            service("containers") { try await sensor.run() },
            service("reload") { for await _ in await UnixSignalsSequence(trapping: .sighup) { _ = keepers.reload() } },
            service("control") { try await control.run() },
        ]
        services += (intakes + auditIntakes).map { intake in
            ServiceGroupConfiguration.ServiceConfiguration(service: RunningService(run: intake.run), successTerminationBehavior: .ignore)
        }
        var group = ServiceGroupConfiguration(services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet(logger))
        group.maximumGracefulShutdownDuration = .seconds(1)
        group.maximumCancellationDuration = nil
        do { try await ServiceGroup(configuration: group).run() } catch is CancellationError {}
    }

    static func controlGroup(_ configuration: AgentConfiguration) throws(Diagnostics) -> UInt32? {
        guard let name = configuration.control.group else { return nil }
        guard let id = Operator.groupID(named: name) else {
            throw Diagnostics([Diagnostic(code: "C004", file: "control.group", message: "there is no group \"\(name)\"")])
        }
        return id
    }

    /// Ten thousand silent connections must not keep an alert out.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}

// MARK: - Services

/// A service that is a function.
private struct RunningService: Service {
    let body: @Sendable () async throws -> Void

    init(run body: @escaping @Sendable () async throws -> Void) { self.body = body }

    func run() async throws { try await body() }
}

/// Ends, at a shutdown in order, at once: these hold nothing that must be finished.
private func service(_ name: String, _ body: @escaping @Sendable () async throws -> Void) -> ServiceGroupConfiguration.ServiceConfiguration {
    ServiceGroupConfiguration.ServiceConfiguration(
        service: RunningService {
            do { try await cancelWhenGracefulShutdown(body) } catch is CancellationError {}
        }, successTerminationBehavior: .ignore)
}

private func every(_ pause: Duration, _ body: () -> Void) async throws {
    while true {
        try await Task.sleep(for: pause)
        body()
    }
}

/// The HTTP library tells of each connection that a shutdown ends, at `error`; what concerns an operator is thrown.
private func quiet(_ logger: Logger) -> Logger {
    var logger = logger
    logger.logLevel = max(logger.logLevel, .critical)
    return logger
}

/// Calls once when all have said that they are there.
private final class Readiness: Sendable {
    private let state: Mutex<(missing: Int, call: (@Sendable () -> Void)?)>

    init(waitsFor count: Int) { state = Mutex((count, nil)) }

    func whenReady(_ call: @escaping @Sendable () -> Void) {
        let isReady = state.withLock { state in
            if state.missing > 0 { state.call = call }
            return state.missing == 0
        }
        if isReady { call() }
    }

    func one() {
        let call = state.withLock { state -> (@Sendable () -> Void)? in
            state.missing -= 1
            return state.missing == 0 ? state.call : nil
        }
        call?()
    }
}
