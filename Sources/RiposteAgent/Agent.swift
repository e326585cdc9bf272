internal import Glibc
package import Logging
internal import RiposteActions
package import RiposteCore
internal import RiposteAudit
internal import RiposteIntake
internal import RiposteMetrics
internal import RiposteOutputs
package import RipostePlaybooks
internal import RiposteRules
internal import RiposteSensor
internal import RiposteTransport
internal import ServiceLifecycle
internal import Synchronization
internal import UnixSignals

/// The response agent: intakes, engine, control socket, in one process. It knows everyone and decides nothing.
package struct Agent: Sendable {
    /// What the banner tells.
    package struct Banner: Sendable {
        /// What the agent may do now, which a person may have set on an earlier run.
        package var mode: Mode
        /// Why that is another one than the configuration's; nil where it is the same.
        package var modeBecause: String?
        package var playbooks: Int
        package var rules: (armed: Int, count: Int)
        /// Where alerts come in, and where events do that rules make alerts of.
        package var intakes: [(name: String, place: String, takesEvents: Bool)]
        package var journal: String
        package var controlSocket: String
        package var alertSocket: String?
        package var httpPlace: String?
        /// Where Prometheus asks.
        package var metrics: String?
        package var remarks: [String]
    }

    /// SIGHUP from the first moment on: it means that all is read anew, and never the end, as it is by default. One that comes while the agent starts is answered when
    /// it is there.
    package struct HangUps: Sendable {
        fileprivate let signals: UnixSignalsSequence

        package init() async { signals = await UnixSignalsSequence(trapping: .sighup) }
    }

    let configuration: AgentConfiguration
    private let playbooks: PlaybookSet
    private let playbookWatch: FileWatch
    private let rules: LoadedRules
    private let rulesWatch: FileWatch
    private let facilities: Facilities
    private let sensorLoading: SensorLoading?
    private let signingKey: SigningKey?
    /// Theirs alone: what an action asks of Docker never waits behind them.
    private let outputHTTP = HTTPClient()
    private let outputs: [Output]
    private let configurationWatch: FileWatch
    private let credentialsWatch: FileWatch
    private let logger: Logger

    /// Reads the playbooks, the rules and the key; an agent does not start on ones that have an error.
    package init(_ configuration: AgentConfiguration, logger: Logger) throws(Diagnostics) {
        self.configuration = configuration
        self.logger = logger
        try configuration.refuseForeignWorkFolders()
        // First, so that it is done when all else is read.
        sensorLoading = configuration.sensor.isEnabled ? SensorLoading(configuration.sensor.configuration) : nil
        facilities = Facilities(configuration)
        configurationWatch = FileWatch([configuration.file].compactMap(\.self))
        credentialsWatch = FileWatch(configuration.credentialFiles)
        (playbookWatch, rulesWatch) = (FileWatch(configuration.playbooks), FileWatch(configuration.rules.files))
        playbooks = try PlaybookSet.load(paths: configuration.playbooks, facilities.catalogue).set
        rules = try LoadedRules.load(configuration.rules)
        rules.tellForeign(logger)
        signingKey = try configuration.audit.loadSigningKey()
        outputs = try configuration.readOutputs(configuration.outputSurroundings(outputHTTP, logger))
        try Self.checkLimits(configuration.undo, facilities.catalogue)
    }

    private static func checkLimits(_ undo: UndoSettings, _ catalogue: ActionCatalogue) throws(Diagnostics) {
        let names = catalogue.descriptions.filter { $0.inverse != nil }.map(\.name.rawValue)
        for name in undo.limits.keys.map(\.rawValue).sorted() where !names.contains(name) {
            let suggestion = nearMiss(to: name, among: names)
            throw Diagnostics([Diagnostic(code: "C003", file: "undo.max", message: "no action \"\(name.escapedForDisplay)\" can be taken back", suggestion: suggestion)])
        }
    }

    /// Runs until SIGTERM or SIGINT, then finishes what is under way and closes the journal. `observe` must not wait. `onStandardOutput`: whether an output
    /// has standard output for itself, each time when outputs are read anew.
    package func run(
        reloadOn hangUps: HangUps, onReady: @escaping @Sendable (Banner) -> Void, onStandardOutput: @escaping @Sendable (Bool) -> Void = { _ in },
        observe: @escaping @Sendable (Engine.Event) -> Void
    ) async throws {
        Self.raiseDescriptorLimit()
        let degraded = DegradedPlaybooks(MachineAbilities(facilities, configuration), hostname: configuration.rules.hostnameInAlerts, logger: logger)
        // Only what is required is waited for: an engine that does not answer must not hold up the start.
        await degraded.look(at: Set(playbooks.playbooks.flatMap(\.requires).map(\.ability)))
        let unmet = degraded.unmet(playbooks)
        if !unmet.isEmpty { throw Diagnostics(unmet) }
        let (brakes, rearm, registry) = (BrakeAlerts(hostname: configuration.rules.hostnameInAlerts), Rearming(), MetricRegistry(AgentMetric.counted))
        let counting = configuration.metrics.http.isEnabled ? EventMetrics(registry) : nil
        let drifts = DriftAlerts(hostname: configuration.rules.hostnameInAlerts)
        let house = try await EngineHouse.open(
            configuration, playbooks: playbooks, rules: configuration.rules.files.isEmpty ? nil : rules.digest, facilities: facilities, purpose: "agent", resumesRuns: true,
            signingKey: signingKey, logger: logger,
            observe: { event in
                observe(event)
                if case .drift(let drift) = event { drifts.take(drift) }
                counting?.take(event)
                switch event {
                case .breaker(let change):
                    rearm.call()
                    brakes.tell(change)
                case .crowdedOut(let plan): brakes.tell(plan)
                case .alert, .repeated, .result, .drift: break
                }
            })
        defer { outputHTTP.close() }
        let outputs: Outputs
        do {
            outputs = try Outputs(self.outputs, spool: JournalSpool(stateDirectory: configuration.stateDirectory), configuration.outputSurroundings(outputHTTP, logger))
        } catch {
            await house.close()
            throw error
        }
        house.journal.onAppend { outputs.ring() }
        try await Self.carrying(outputs) {
            do { try await serve(house, outputs, registry, brakes, drifts, degraded, rearm, hangUps, onReady, onStandardOutput) } catch {
                await house.close()
                throw error
            }
            await house.close()
        }
    }

    /// How long outputs may still send what is in the journal when all else has stopped. What they do not get rid of they send at the next start.
    private static let outputGrace = Duration.seconds(2)

    /// Outputs begin before all that writes to the journal, and end when its last record is written.
    private static func carrying(_ outputs: Outputs, _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { await outputs.run() }
            let result: Result<Void, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            outputs.end()
            group.addTask { try await Task.sleep(for: outputGrace) }
            try await group.next()
            group.cancelAll()
            try result.get()
        }
    }

    private func serve(
        _ house: EngineHouse, _ outputs: Outputs, _ registry: MetricRegistry, _ brakes: BrakeAlerts, _ drifts: DriftAlerts, _ degraded: DegradedPlaybooks,
        _ rearming: Rearming, _ hangUps: HangUps, _ onReady: @escaping @Sendable (Banner) -> Void, _ onStandardOutput: @escaping @Sendable (Bool) -> Void
    ) async throws {
        let door = AlertDoor(
            house, untrusted: UntrustedQuota(configuration.intake.untrusted, folder: configuration.stateDirectory), logger: logger)
        drifts.open(door)
        degraded.open(door)
        let formatter = AlertFormatter(hostname: configuration.rules.hostnameInAlerts)
        let sensor = SensorKeeper(
            configuration.sensor, house, try SensorDoor(door, formatter: formatter, lossLimit: configuration.sensor.lossLimit, logger: logger),
            ContainerDirectory(inspector: ContainerBridge(docker: DockerInspector(docker: facilities.docker))),
            guards: configuration.sensor.tellsTampering ? configuration.guardedFiles : nil, guardRules: configuration.guards,
            pins: SensorPins(stateDirectory: configuration.stateDirectory),
            logger: logger)
        let keepers = Keepers(
            playbooks: PlaybookKeeper(playbookWatch, house: house, degraded: degraded, logger: logger) { sensor.playbooksChanged() },
            rules: RulesKeeper(configuration.rules, rules, rulesWatch, house: house, logger: logger) { sensor.use($0) },
            outputs: OutputsKeeper(
                outputs, configuration.outputSurroundings(outputHTTP, logger), configuration.file, configurationWatch, house: house, logger: logger
            ) { onStandardOutput($0.takeStandardOutput) },
            credentials: CredentialsKeeper(credentialsWatch, house: house, logger: logger), sensor: sensor)
        house.facilities.outputNames.follow { outputs.names }
        house.facilities.outputPlaces.follow { outputs.texts }
        house.engine.whenModesChange { sensor.playbooksChanged() }
        house.followKernel { sensor.kernelProblem }
        let auditDoor = KubernetesAuditDoor(door, judges: keepers.rules.kubernetesAudit, formatter: formatter)
        let section = configuration.intake
        let ready = Readiness(
            waitsFor: [section.http.isEnabled, section.socket.isEnabled, section.kubernetesAudit.http.isEnabled, configuration.metrics.http.isEnabled].count { $0 })
        let intakes = try alertIntakes(door, keepers.credentials, logger, quiet(logger), onReady: ready.one)
        let auditIntakes = try auditIntakes(auditDoor, keepers.credentials, quiet(logger), onReady: ready.one)
        // First of all that takes anything in: what happens from here on is seen.
        // Whatever an alert of the sensor changes reaches it, from the first one on.
        rearming.begin { sensor.playbooksChanged() }
        defer { rearming.end() }
        sensor.start(rules.ruleSet, sensorLoading)
        defer { sensor.stop() }
        brakes.open(door)
        let began = Timestamp.now()
        let readings = AgentReadings(
            house: house, keepers: keepers, intakes: intakes + auditIntakes, audit: auditIntakes.isEmpty ? nil : auditDoor, outputs: outputs, registry: registry, began: began)
        let metrics = try metricsServer(readings, quiet(logger), ready)
        ready.whenReady { [configuration] in onReady(Banner(configuration, house, keepers, intakes, auditIntakes, metrics: metrics?.listener.place)) }
        // As a person wants it, by a signal or by the control socket.
        let reload = { @Sendable () async -> JSON in
            let kinds = await keepers.reload()
            await outputs.reopen()
            return kinds
        }
        let control = ControlServer(
            path: configuration.controlSocket, groupID: try Self.controlGroup(configuration), house: house,
            status: { status(house, keepers, intakes + auditIntakes, auditIntakes.isEmpty ? nil : auditDoor, outputs, since: began) }, reload: reload,
            outputs: outputs, logger: logger, libraryLogger: quiet(logger))
        // Those who take orders and alerts come last: they stop first, and the undo keeper is there as long as they are.
        var services = [
            service("time") { await house.engine.keepTime() },
            service("drift") {
                if configuration.reconciliation.every != nil { try await DriftWatch(engine: house.engine, docker: facilities.docker, logger: logger).run() }
            },
            service("snapshot") { try await every(.seconds(30)) { house.keepSnapshot() } },
            service("checkpoints") { try await every(.seconds(1)) { house.checkpoints?.writeIfDue() } },
            service("playbooks") { try await keepers.playbooks.keepUp() },
            service("abilities") { try await degraded.keepUp(house) },
            service("outputs") { try await keepers.outputs.keepUp() },
            service("credentials") { try await keepers.credentials.keepUp() },
            service("rules") { try await keepers.rules.keepUp() },
            service("containers") { try await sensor.run() },
            service("reload") {
                for await _ in hangUps.signals { _ = await reload() }
            },
            service("control") { try await control.run() },
        ]
        services += (intakes + auditIntakes).map { intake in
            ServiceGroupConfiguration.ServiceConfiguration(service: RunningService(run: intake.run), successTerminationBehavior: .ignore)
        }
        if let metrics { services.append(service("metrics") { try await metrics.run() }) }
        var group = ServiceGroupConfiguration(services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet(logger))
        group.maximumGracefulShutdownDuration = .seconds(1)
        group.maximumCancellationDuration = nil
        do { try await ServiceGroup(configuration: group).run() } catch is CancellationError {}
    }

    /// Nil where nobody is to ask.
    private func metricsServer(_ readings: AgentReadings, _ quiet: Logger, _ ready: Readiness) throws -> MetricsServer? {
        guard configuration.metrics.http.isEnabled else { return nil }
        let listener = try HTTPListener(try Self.metricsConfiguration(configuration), counters: IntakeCounters(), logger: quiet) { _ in ready.one() }
        readings.keepers.credentials.follow(.init(section: "metrics", read: { [configuration] in try Self.metricsConfiguration(configuration) }, use: listener.renew))
        let (sensor, journal) = (readings.keepers.sensor, readings.house.journal)
        return MetricsServer(listener: listener, readings: readings) {
            ReadinessReport(
                isSensorRunning: sensor.isAsWanted, isJournalWritable: journal.trouble(within: ReadinessReport.journalMemory) == nil,
                areIntakesUp: ready.isReady)
        }
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

/// Arms or disarms the kernel's reflexes after a breaker has changed, on a thread of its own: who changes one must not wait for the kernel's tables.
private final class Rearming: Sendable {
    private let attendant = Mutex<Attendant?>(nil)

    func begin(_ body: @escaping @Sendable () -> Void) {
        let attendant = Attendant(name: "riposte-rearm", body)
        self.attendant.withLock { $0 = attendant }
    }

    func call() { attendant.withLock { $0?.call() } }

    func end() { attendant.withLock { $0.take() }?.end() }
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

    var isReady: Bool { state.withLock { $0.missing <= 0 } }

    func one() {
        let call = state.withLock { state -> (@Sendable () -> Void)? in
            state.missing -= 1
            return state.missing == 0 ? state.call : nil
        }
        call?()
    }
}
