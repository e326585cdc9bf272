/// Prometheus' text format, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/).
package enum Exposition {
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Each family with its HELP and TYPE line, also one that has no series yet: whoever reads it sees what there could be.
    package static func text(_ families: [MetricFamily]) -> String {
        var text = ""
        for family in families { write(family, to: &text) }
        return text
    }

    private static func write(_ family: MetricFamily, to text: inout String) {
        let metric = family.metric
        text += "# HELP \(metric.name) \(escaped(metric.help, quotes: false))\n# TYPE \(metric.name) \(metric.type)\n"
        for (labels, value) in family.series {
            let pairs = zip(metric.labels, labels).map { "\($0.name)=\"\(escaped($1, quotes: true))\"" }
            switch (value, metric.kind) {
            case (.number(let number), _): text += line(metric.name, pairs, number)
            case (.histogram(let histogram), .histogram(let bounds)): text += lines(metric.name, pairs, histogram, bounds)
            case (.histogram, _): break
            }
        }
    }

    private static func lines(_ name: String, _ pairs: [String], _ histogram: MetricFamily.Histogram, _ bounds: [Double]) -> String {
        var (text, total) = ("", UInt64(0))
        for (bound, count) in zip(bounds + [.infinity], histogram.counts) {
            total += count
            text += line("\(name)_bucket", pairs + ["le=\"\(number(bound))\""], Double(total))
        }
        return text + line("\(name)_sum", pairs, histogram.sum) + line("\(name)_count", pairs, Double(total))
    }

    private static func line(_ name: String, _ pairs: [String], _ value: Double) -> String {
        "\(name)\(pairs.isEmpty ? "" : "{\(pairs.joined(separator: ","))}") \(number(value))\n"
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
