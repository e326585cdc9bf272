internal import CoreMetrics
internal import RiposteCore
internal import RiposteMetrics
internal import RipostePlaybooks

/// What the engine tells as it happens, counted: whatever has a duration, and what is told apart by an alert's own words.
struct EventMetrics: Sendable {
    private let registry: MetricRegistry

    init(_ registry: MetricRegistry) { self.registry = registry }

    func take(_ event: Engine.Event) {
        switch event {
        case .alert(let alert, _), .repeated(let alert, _): take(alert)
        case .result(let result): take(result)
        case .breaker, .crowdedOut, .drift: break
        }
    }

    private func take(_ alert: Alert) {
        // What anybody on this host may say must not use up the series that real rules need.
        let isBelieved = alert.arrival.trust == .trusted
        let words = [
            ("rule", isBelieved ? alert.rule.shown : "untrusted"), ("priority", alert.priority.name.lowercased()),
            ("source", isBelieved ? alert.source?.shown ?? "" : "untrusted"),
        ]
        Counter(label: AgentMetric.alerts.name, dimensions: words, factory: registry).increment()
        // Clocks of two machines may differ: nothing comes before it happens.
        record(AgentMetric.alertLatency, ("intake", alert.arrival.intake), max(.zero, alert.arrival.time - alert.time))
    }

    private func take(_ result: ActionResult) {
        guard result.outcome == .done else { return }
        record(AgentMetric.actionDuration, ("action", result.action), result.duration)
        if let time = result.sinceAlert { record(AgentMetric.responseLatency, ("action", result.action), max(.zero, time)) }
    }

    private func record(_ metric: Metric, _ dimension: (String, String), _ time: Duration) {
        CoreMetrics.Timer(label: metric.name, dimensions: [dimension], factory: registry).recordNanoseconds(time.wholeNanoseconds)
    }
}
