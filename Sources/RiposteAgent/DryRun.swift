internal import Logging
internal import RiposteCore
package import RipostePlaybooks
internal import Synchronization

/// Alerts through playbooks on the world as it is, with nothing written: neither the world nor a journal.
package struct DryRun: Sendable {
    private let engine: Engine
    private let seen: Seen

    package init(configuration: AgentConfiguration, playbooks: PlaybookSet) {
        let facilities = Facilities(configuration)
        let seen = Seen()
        self.seen = seen
        engine = Engine(
            // As old as they are: recorded alerts are what a dry run is for, and it never acts.
            configuration: Engine.Configuration(mode: .observe, maximumAlertAge: .seconds(100 * 365 * 86400), budgets: configuration.budgets),
            catalogue: facilities.catalogue, guards: facilities.guards, world: facilities.world, log: Nowhere(), playbooks: playbooks, logger: .init(label: "riposte.dry-run"),
            observe: { seen.take($0) })
    }

    package func reports(_ alerts: [[UInt8]]) async -> [AlertReport] {
        var reports: [AlertReport] = []
        for (index, text) in alerts.enumerated() {
            do {
                let alert = try Alert(parsing: text, id: .new(), arrival: .init(intake: "dry-run"))
                try await engine.respond(to: alert)
                let (playbooks, results) = seen.drain()
                reports.append(AlertReport(number: index + 1, rule: alert.rule.repaired, playbooks: playbooks, results: results))
            } catch {
                reports.append(AlertReport(number: index + 1, rule: "", problem: "\(error)"))
            }
        }
        return reports
    }

    /// A dry run has no journal: it must not even take its lock.
    private struct Nowhere: AuditLog {
        func append(_ record: AuditRecord) {}
    }
}

/// What an engine tells while one alert is answered.
final class Seen: Sendable {
    private let seen = Mutex<(playbooks: [String], results: [ActionResult])>(([], []))

    func take(_ event: Engine.Event) {
        seen.withLock { seen in
            switch event {
            case .alert(_, let playbooks): seen.playbooks = playbooks
            case .repeated: seen.playbooks = []
            case .result(let result): seen.results.append(result)
            case .breaker, .crowdedOut, .drift: break
            }
        }
    }

    func drain() -> (playbooks: [String], results: [ActionResult]) {
        seen.withLock { seen in
            defer { seen = ([], []) }
            return seen
        }
    }
}
