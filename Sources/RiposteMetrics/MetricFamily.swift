internal import RiposteCore

/// A metric with its values, one for each combination of label values: a series.
///
/// Bounded, whoever chooses the label values: when there are ``Metric/seriesLimit`` series, a further combination is counted in a series whose open labels
/// read ``rest``. Nothing is lost of the sum, and the number of series is that limit times, at most, what the labels that are not open can be.
package struct MetricFamily: Sendable {
    package static let rest = "other"
    /// Of a label's value. What is longer ends with an ellipsis.
    private static let valueLimit = 128

    enum Value: Sendable, Equatable {
        case number(Double)
        case histogram(Histogram)
    }

    struct Histogram: Sendable, Equatable {
        /// Not cumulative; the last one has no upper bound.
        var counts: [UInt64]
        var sum = 0.0

        mutating func observe(_ value: Double, upTo bounds: [Double]) {
            counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
            sum += value
        }
    }

    package let metric: Metric
    private var values: [[String]: Value] = [:]
    /// How often something was put into a series of the rest.
    package private(set) var redirected: UInt64 = 0

    package init(_ metric: Metric) {
        self.metric = metric
        // What has no labels is there from the start: a counter that appears with its first event hides that event from `rate`.
        if metric.labels.isEmpty { values[[]] = zero }
    }

    package var seriesCount: Int { values.count }

    /// In a stable order.
    var series: [(labels: [String], value: Value)] { values.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ($0.key, $0.value) } }

    // MARK: - Changing

    /// Label values stand in the order of the metric's labels; those that are missing are empty. What is not a number is not taken.
    package mutating func add(_ amount: Double, _ labels: [String] = []) {
        guard amount.isFinite, !(metric.kind == .counter && amount < 0) else { return }
        change(labels) { value in if case .number(let number) = value { value = .number(number + amount) } }
    }

    package mutating func set(_ amount: Double, _ labels: [String] = []) {
        change(labels) { value in if case .number = value { value = .number(amount) } }
    }

    package mutating func observe(_ amount: Double, _ labels: [String] = []) {
        guard case .histogram(let bounds) = metric.kind, amount.isFinite else { return }
        change(labels) { value in
            guard case .histogram(var histogram) = value else { return }
            histogram.observe(amount, upTo: bounds)
            value = .histogram(histogram)
        }
    }

    private mutating func change(_ labels: [String], _ body: (inout Value) -> Void) {
        var key = metric.labels.indices.map { $0 < labels.count ? Self.shown(labels[$0]) : "" }
        if values[key] == nil, values.count >= metric.seriesLimit {
            for (index, label) in metric.labels.enumerated() where label.isOpen { key[index] = Self.rest }
            redirected += 1
        }
        let zero = zero
        body(&values[key, default: zero])
    }

    private var zero: Value {
        if case .histogram(let bounds) = metric.kind { return .histogram(Histogram(counts: Array(repeating: 0, count: bounds.count + 1))) }
        return .number(0)
    }

    /// One line, nothing in it that misleads a reader's eye, and no longer than it may be.
    private static func shown(_ text: String) -> String {
        guard text.unicodeScalars.count > valueLimit else { return text.escapedForDisplay }
        var cut = String.UnicodeScalarView()
        cut.append(contentsOf: text.unicodeScalars.prefix(valueLimit))
        return String(cut).escapedForDisplay + "…"
    }
}
