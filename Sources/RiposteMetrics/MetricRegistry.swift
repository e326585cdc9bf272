package import CoreMetrics
internal import Synchronization

/// What is counted while it happens, behind swift-metrics' API: a `MetricsFactory` that keeps the metrics which were declared to it.
///
/// What was not declared is not kept: a library must not fill the exposition with names that stand on no page. How often that was asked for is counted.
package final class MetricRegistry: MetricsFactory {
    private struct Interior {
        var families: [String: MetricFamily]
        var undeclared: UInt64 = 0
    }

    private let order: [String]
    private let interior: Mutex<Interior>

    package init(_ metrics: [Metric]) {
        order = metrics.map(\.name)
        interior = Mutex(Interior(families: Dictionary(metrics.map { ($0.name, MetricFamily($0)) }) { first, _ in first }))
    }

    /// As they stand, in the order of their declaration.
    package var families: [MetricFamily] {
        let families = interior.withLock(\.families)
        return order.compactMap { families[$0] }
    }

    /// Handles that were asked for in vain.
    package var undeclared: UInt64 { interior.withLock(\.undeclared) }

    fileprivate func change(_ name: String, _ body: (inout MetricFamily) -> Void) {
        interior.withLock { interior in
            guard let index = interior.families.index(forKey: name) else { return }
            body(&interior.families.values[index])
        }
    }

    private func series(_ label: String, _ dimensions: [(String, String)]) -> Series {
        let metric = interior.withLock { interior -> Metric? in
            if interior.families[label] == nil { interior.undeclared += 1 }
            return interior.families[label]?.metric
        }
        let values = metric?.labels.map { label in dimensions.first { $0.0 == label.name }?.1 ?? "" } ?? []
        return Series(registry: metric == nil ? nil : self, name: label, labels: values)
    }

    // MARK: - MetricsFactory

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler { series(label, dimensions) }
    package func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler { series(label, dimensions) }
    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler { series(label, dimensions) }
    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { series(label, dimensions) }
    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler { series(label, dimensions) }

    // A handle holds no more than its name: the series stays, as a counter that vanished and came back would be one that was reset.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}
}

/// A handle on one series, whatever swift-metrics calls it; what its metric is was declared.
private final class Series: CounterHandler, FloatingPointCounterHandler, MeterHandler, RecorderHandler, TimerHandler {
    /// Nil: nobody keeps it.
    private let registry: MetricRegistry?
    private let name: String
    private let labels: [String]

    init(registry: MetricRegistry?, name: String, labels: [String]) {
        self.registry = registry
        self.name = name
        self.labels = labels
    }

    func increment(by amount: Int64) { increment(by: Double(amount)) }
    func increment(by amount: Double) { registry?.change(name) { $0.add(amount, labels) } }
    func decrement(by amount: Double) { increment(by: -amount) }
    func reset() { set(0.0) }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { registry?.change(name) { $0.set(value, labels) } }
    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        registry?.change(name) { family in
            if case .histogram = family.metric.kind { family.observe(value, labels) } else { family.set(value, labels) }
        }
    }

    /// In seconds, as Prometheus counts time.
    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
}
