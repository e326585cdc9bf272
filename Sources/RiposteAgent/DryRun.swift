internal import Logging
internal import RiposteCore
package import RipostePlaybooks
internal import Synchronization

/// Alerts through playbooks on the world as it is, with nothing written: neither the world nor a journal.
package struct DryRun: Sendable {
    private let engine: Engine
    private let seen: Seen
    private let admissions = Admissions()
    private let intake: String

    /// Where alerts come in of which nobody has said it.
    static let intake = "dry-run"

    package init(configuration: AgentConfiguration, playbooks: PlaybookSet, intake: String? = nil) {
        self.intake = intake ?? Self.intake
        let facilities = Facilities(configuration)
        let seen = Seen()
        self.seen = seen
        // As old as they are: recorded alerts are what a dry run is for, and it never acts.
        var settings = Engine.Configuration(mode: .observe, maximumAlertAge: .seconds(100 * 365 * 86400), budgets: configuration.budgets)
        settings.dedup = configuration.engineConfiguration.dedup
        engine = Engine(
            configuration: settings, catalogue: facilities.catalogue, guards: facilities.guards, world: facilities.world, log: admissions, playbooks: playbooks,
            logger: .init(label: "riposte.dry-run"),
            observe: { seen.take($0) })
    }

    package func reports(_ alerts: [[UInt8]]) async -> [AlertReport] {
        var reports: [AlertReport] = []
        var numbers: [Identifier: Int] = [:]
        for (index, text) in alerts.enumerated() {
            do {
                let alert = try Alert(parsing: text, id: .new(), arrival: .init(intake: intake))
                numbers[alert.id] = index + 1
                try await engine.respond(to: alert)
                var report = seen.report(on: alert, number: index + 1)
                report.remarks = admissions.remarks(on: alert) { numbers[$0].map(String.init) }
                reports.append(report)
            } catch {
                reports.append(AlertReport(number: index + 1, rule: "", problem: "\(error)"))
            }
        }
        return reports
    }

}

/// In place of a journal, whose lock a dry run must not even take: what became of the alert that came last, where no run did.
private final class Admissions: AuditLog {
    private let record = Mutex<AuditRecord?>(nil)

    func append(_ record: AuditRecord) { if record.kind == .alert || record.kind == .repeat { self.record.withLock { $0 = record } } }

    /// `number` gives the name under which an earlier alert is known to the reader.
    func remarks(on alert: Alert, number: (Identifier) -> String?) -> [String] {
        guard let record = record.withLock(\.self), record.id == alert.id else { return [] }
        let repeats = (record.detail["repeats"]?.array ?? []).compactMap { entry -> String? in
            guard let first = entry["first"]?.string?.valid.flatMap({ Identifier($0) }), let playbook = entry["playbook"]?.string?.repaired else { return nil }
            return "\(playbook): told before, as alert \(number(first) ?? "\(first)")"
        }
        let counted = (record.detail["counted"]?.array ?? []).compactMap { entry -> String? in
            guard let count = entry["count"]?.integer, let needed = entry["of"]?.integer, let playbook = entry["playbook"]?.string?.repaired else { return nil }
            return "\(playbook): \(count) of \(needed) for its threshold"
        }
        return repeats + counted
    }
}

/// What an engine tells while one alert is answered.
final class Seen: Sendable {
    private let seen = Mutex<(playbooks: [String], results: [ActionResult], first: Identifier?)>(([], [], nil))

    func take(_ event: Engine.Event) {
        seen.withLock { seen in
            switch event {
            case .alert(_, let playbooks): seen.playbooks = playbooks
            case .repeated(_, let first): (seen.playbooks, seen.first) = ([], first)
            case .result(let result): seen.results.append(result)
            case .breaker, .crowdedOut, .drift: break
            }
        }
    }

    /// What was seen since the last one.
    func report(on alert: Alert, number: Int) -> AlertReport {
        let seen = seen.withLock { seen in
            defer { seen = ([], [], nil) }
            return seen
        }
        return AlertReport(
            number: number, rule: alert.rule.repaired, playbooks: seen.playbooks, results: seen.results, remarks: seen.first.map { ["told before, as alert \($0)"] } ?? [])
    }
}
