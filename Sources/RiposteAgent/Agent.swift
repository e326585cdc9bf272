internal import Foundation
internal import Glibc
package import Logging
package import RiposteCore
internal import RiposteAudit
internal import RiposteIntake
package import RipostePlaybooks
internal import ServiceLifecycle
internal import Synchronization
internal import UnixSignals

/// The response agent: intakes, engine, control socket, in one process. It knows everyone and decides nothing.
package struct Agent: Sendable {
    /// What the banner tells.
    package struct Banner: Sendable {
        package var mode: Mode
        package var playbooks: Int
        package var intakes: [(name: String, place: String)]
        package var journal: String
        package var controlSocket: String
        package var alertSocket: String?
        package var httpPlace: String?
        package var remarks: [String]
    }

    private let configuration: AgentConfiguration
    private let playbooks: PlaybookSet
    private let facilities: Facilities
    private let logger: Logger

    /// Reads the playbooks; an agent does not start on ones that have an error.
    package init(_ configuration: AgentConfiguration, logger: Logger) throws(Diagnostics) {
        self.configuration = configuration
        self.logger = logger
        facilities = Facilities(configuration)
        playbooks = try PlaybookSet.load(paths: configuration.playbooks, facilities.catalogue).set
    }

    /// Runs until SIGTERM or SIGINT, then finishes what is under way and closes the journal. `observe` must not wait.
    package func run(onReady: @escaping @Sendable (Banner) -> Void, observe: @escaping @Sendable (Engine.Event) -> Void) async throws {
        Self.raiseDescriptorLimit()
        let house = try await EngineHouse.open(
            configuration, playbooks: playbooks, facilities: facilities, purpose: "agent", resumesRuns: true, logger: logger, observe: observe)
        do { try await serve(house, onReady) } catch {
            await house.close()
            throw error
        }
        await house.close()
    }

    private func serve(_ house: EngineHouse, _ onReady: @escaping @Sendable (Banner) -> Void) async throws {
        let keeper = PlaybookKeeper(paths: configuration.playbooks, house: house, logger: logger)
        let door = AlertDoor(house, logger: logger)
        let section = configuration.intake
        let ready = Readiness(waitsFor: (section.http.isEnabled ? 1 : 0) + (section.socket.isEnabled ? 1 : 0))
        let intakes = try intakes(door, ready)
        ready.whenReady { [configuration] in onReady(banner(configuration, house, intakes)) }
        let began = Timestamp.now()
        let control = ControlServer(
            path: configuration.controlSocket, groupID: try Self.controlGroup(configuration), house: house,
            status: { status(house, keeper, intakes, since: began) }, reload: keeper.reload, logger: logger, libraryLogger: quiet(logger))
        // Those who take orders and alerts come last: they stop first, and the undo keeper is there as long as they are.
        var services = [
            service("undo") { await house.engine.keepUndos() },
            service("snapshot") { try await every(.seconds(30)) { house.keepSnapshot() } },
            service("playbooks") { try await keeper.watch() },
            service("reload") { for await _ in await UnixSignalsSequence(trapping: .sighup) { _ = keeper.reload() } },
            service("control") { try await control.run() },
        ]
        services += intakes.map { intake in
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

    // MARK: - Intakes

    private func intakes(_ door: AlertDoor, _ ready: Readiness) throws -> [any Intake] {
        let section = configuration.intake
        try Self.checkPaths(configuration)
        var intakes: [any Intake] = []
        if section.http.isEnabled {
            intakes.append(try HTTPIntake(try Self.httpConfiguration(configuration), sink: door, logger: quiet(logger)) { _ in ready.one() })
        }
        if section.socket.isEnabled {
            var socket = SocketIntake.Configuration(streamPath: configuration.alertSocket, datagramPath: configuration.alertDatagramSocket)
            socket.userIDs = Set(section.socket.userIDs.map { UInt32(clamping: $0) })
            socket.trust = section.socket.trust
            intakes.append(SocketIntake(socket, sink: door, logger: logger) { ready.one() })
        }
        if let path = section.file.path {
            intakes.append(
                FileIntake(
                    path: path, stateDirectory: configuration.stateDirectory, startsAtBeginning: section.file.startsAtBeginning, trust: section.file.trust,
                    sink: door))
        }
        if section.stdin.isEnabled { intakes.append(StdinIntake(trust: section.stdin.trust, sink: door)) }
        return intakes
    }

    /// Paths that cannot be what they are meant for.
    static func checkPaths(_ configuration: AgentConfiguration) throws(Diagnostics) {
        func fail(_ key: String, _ problem: String) -> Diagnostics { Diagnostics([Diagnostic(code: "C003", file: key, message: problem)]) }
        var isFolder: ObjCBool = false
        if let path = configuration.intake.file.path, FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
            throw fail("intake.file.path", "\(path) is a folder; name the file to follow")
        }
        if configuration.intake.socket.isEnabled, configuration.alertSocket == configuration.alertDatagramSocket {
            throw fail("intake.socket", "path and datagram_path are both \(configuration.alertSocket)")
        }
    }

    static func httpConfiguration(_ configuration: AgentConfiguration) throws(Diagnostics) -> HTTPIntake.Configuration {
        let section = configuration.intake.http
        var result = HTTPIntake.Configuration()
        guard let (host, port) = hostAndPort(section.listen) else {
            throw Diagnostics([Diagnostic(code: "C003", file: "intake.http.listen", message: "\"\(section.listen)\" is no ADDRESS:PORT")])
        }
        (result.host, result.port) = (host, port)
        result.trust = section.trust
        result.allowsUnauthenticated = section.allowsUnauthenticated
        result.bodyLimit = section.bodyLimit
        result.connectionLimit = section.connectionLimit
        if let path = section.tokenFile {
            guard let data = FileManager.default.contents(atPath: path) else {
                throw Diagnostics([Diagnostic(code: "C001", file: path, message: "the token file cannot be read")])
            }
            result.tokens = String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
                .filter { !$0.isEmpty }
            guard !result.tokens.isEmpty else { throw Diagnostics([Diagnostic(code: "C003", file: path, message: "the token file is empty")]) }
        }
        if let certificate = section.certificate, let key = section.key {
            result.tls = HTTPIntake.Configuration.TLS(certificate: certificate, key: key, clientAuthority: section.clientAuthority)
        }
        return result
    }

    /// `127.0.0.1:2803`, `[::1]:2803`, `:2803`.
    static func hostAndPort(_ text: String) -> (String, Int)? {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), 0...65535 ~= port else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        return (host.isEmpty ? "0.0.0.0" : host, port)
    }

    /// Ten thousand silent connections must not keep an alert out.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}

// MARK: - What it tells

private func banner(_ configuration: AgentConfiguration, _ house: EngineHouse, _ intakes: [any Intake]) -> Agent.Banner {
    var remarks: [String] = []
    let opening = house.journal.opening
    if !opening.wasClosedInOrder { remarks.append("the journal was not closed in order: the agent before this one ended at once") }
    if let torn = opening.tornPart { remarks.append("an unfinished record was set aside: \(torn)") }
    if let problem = opening.problem { remarks.append("the journal was tampered with or damaged: \(problem); see `riposte audit verify`") }
    for result in house.recovery.intents {
        let target = result.target.map { " \($0.summary)" } ?? ""
        remarks.append("\(result.action)\(target): \(result.outcome.rawValue), \(result.reason ?? "")")
    }
    if house.recovery.resumedRuns > 0 { remarks.append("\(house.recovery.resumedRuns) unfinished runs are carried on") }
    if house.recovery.openUndos > 0 { remarks.append("\(house.recovery.openUndos) actions are in force and can be taken back") }
    if configuration.network.managementAllow.isEmpty {
        remarks.append("network.management_allow is empty: network.isolate will be refused unless it names who stays reachable")
    }
    return Agent.Banner(
        mode: configuration.mode, playbooks: house.engine.playbooks.playbooks.count, intakes: intakes.map { ($0.name, $0.place) },
        journal: configuration.stateDirectory + "/journal", controlSocket: configuration.controlSocket,
        alertSocket: configuration.intake.socket.isEnabled ? configuration.alertSocket : nil,
        httpPlace: intakes.first { $0.name == "http" }?.place, remarks: remarks)
}

private func status(_ house: EngineHouse, _ keeper: PlaybookKeeper, _ intakes: [any Intake], since began: Timestamp) -> JSON {
    let counters = house.engine.counters
    let state = house.engine.snapshot
    let position = house.journal.position
    return [
        "version": .text(Version.text), "pid": .integer(Int64(getpid())), "since": .text("\(began)"),
        "mode": .text(house.engine.configuration.mode.rawValue), "playbooks": keeper.status,
        "intakes": .array(
            intakes.map { intake in
                let values = intake.counters.snapshot
                return [
                    "name": .text(intake.name), "place": .text(intake.place), "accepted": .integer(Int64(values.accepted)),
                    "rejected": .integer(Int64(values.rejected)), "shed": .integer(Int64(values.shed)), "denied": .integer(Int64(values.denied)),
                ]
            }),
        "engine": [
            "alerts": .integer(Int64(counters.alerts)), "matched": .integer(Int64(counters.matched)), "shed": .integer(Int64(counters.shed)),
            "under_way": .integer(Int64(house.engine.underWay)),
            "outcomes": .object(
                JSONObject(counters.outcomes.sorted { $0.key.rawValue < $1.key.rawValue }.map { .init(key: ByteText($0.key.rawValue), value: .integer(Int64($0.value))) })),
        ],
        "undos": .array(state.openUndos.values.sorted { $0.since < $1.since }.map(\.json)),
        "journal": [
            "seq": .integer(position.seq), "failures": .integer(Int64(counters.journalFailures)), "problem": house.journal.opening.problem.map(JSON.text) ?? .null,
        ],
    ]
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
