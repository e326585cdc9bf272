internal import Foundation
internal import Logging
internal import RiposteActions
internal import RiposteCore
internal import RiposteIntake
internal import RipostePlaybooks
internal import Synchronization

/// What of ours the world has lost, or has though it should not: told as alerts of our own, so that it reaches whoever reads alerts, and playbooks.
///
/// The engine tells of it before the door for alerts is there; what it tells until then is kept, and told when it opens.
final class DriftAlerts: Sendable {
    static let intake = "riposte"
    private static let keptLimit = 256

    private struct State {
        var alerts: AlertDoor?
        var kept: [Drift] = []
    }

    private let hostname: String
    private let state = Mutex(State())

    init(hostname: String) { self.hostname = hostname }

    func open(_ alerts: AlertDoor) {
        let kept = state.withLock { state in
            defer { state.kept = [] }
            state.alerts = alerts
            return state.kept
        }
        for drift in kept { tell(drift, alerts) }
    }

    /// Called by the engine; does not wait.
    func take(_ drift: Drift) {
        guard drift.state != .over else { return }
        let alerts = state.withLock { state in
            if state.alerts == nil, state.kept.count < Self.keptLimit { state.kept.append(drift) }
            return state.alerts
        }
        if let alerts { tell(drift, alerts) }
    }

    private func tell(_ drift: Drift, _ alerts: AlertDoor) {
        guard let alert = OwnAlerts(alerts).alert(document(drift), Alert.Arrival(intake: Self.intake)) else { return }
        // Turned away where the engine is full: the drift is on record, and status shows it.
        do throws(AdmissionError) { try alerts.accept(alert) } catch {}
    }

    private func document(_ drift: Drift) -> JSONObject {
        let words: (rule: String, priority: Priority) =
            switch (drift.state, drift.finding) {
            case (.contested, _): ("Riposte is being undone", .critical)
            case (_, .orphan): ("Riposte finds what no record explains", .warning)
            default: ("Riposte finds an action changed", .warning)
            }
        var fields: JSONObject = [
            "evt.time": .integer(drift.time.nanoseconds), "drift.finding": .text(drift.finding.rawValue), "drift.action": .text(drift.actionName.rawValue),
            "drift.target": .text(drift.target.key),
        ]
        fields.append("drift.of", drift.action.map { .text("\($0)") })
        switch drift.target {
        case .container(let container): fields.append("container.id", .text(String(container.id.prefix(12))))
        case .process(let process): fields.append("proc.pid", .integer(Int64(process.pid)))
        default: break
        }
        return [
            "hostname": .text(hostname), "output": .text("\(drift.actionName) of \(drift.target.summary): \(drift.message)"), "output_fields": .object(fields),
            "priority": .text(words.priority.name), "rule": .text(words.rule), "source": "internal", "tags": ["riposte", "drift"], "time": .text("\(drift.time)"),
        ]
    }
}

/// What makes the engine look before its time: changes of our tables, of containers, and the end of processes that are held.
struct DriftWatch: Sendable {
    let engine: Engine
    let docker: DockerClient
    let logger: Logger

    func run() async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { try await watchTables() }
            group.addTask { try await watchContainers() }
            group.addTask { try await watchProcesses() }
            try await group.waitForAll()
        }
    }

    private func watchTables() async throws {
        while true {
            do throws(ActionError) { try await NetfilterWatch().run { engine.lookAgain() } } catch {
                logger.debug("changes of nf_tables are not heard of", metadata: ["error": "\(error.message)"])
            }
            try await Task.sleep(for: .seconds(30))
        }
    }

    /// Only as long as a container is held: most hosts have none, and no engine either.
    private func watchContainers() async throws {
        // From the last look at which nobody was held: what happens between an action and the watch that it brings about is heard of too.
        var since = Timestamp.now()
        while true {
            let now = Timestamp.now()
            defer { since = now }
            if holdsContainers {
                do throws(ActionError) {
                    try await docker.watch(since: since) { event in if holds(event.id) { engine.lookAgain() } }
                } catch {
                    logger.debug("the container engine's events are not heard of", metadata: ["error": "\(error.message.escapedForDisplay)"])
                }
                // What happened meanwhile was not heard of.
                engine.lookAgain()
            }
            try await Task.sleep(for: .seconds(2))
        }
    }

    private var holdsContainers: Bool {
        engine.snapshot.openUndos.values.contains { if case .container = $0.target { true } else { false } }
    }

    private func holds(_ id: String) -> Bool { engine.snapshot.openUndos.values.contains { $0.target.key == "container:\(id)" } }

    private func watchProcesses() async throws {
        let ends = ProcessEnds { engine.lookAgain() }
        while true {
            let held = engine.snapshot.openUndos.values.compactMap { open -> ProcessIdentity? in
                if case .process(let identity) = open.target { identity } else { nil }
            }
            ends.watch(held)
            try await Task.sleep(for: .seconds(1))
        }
    }
}
