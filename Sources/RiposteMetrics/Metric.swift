/// What a metric is: all that Prometheus, the reference page and whoever counts have to agree on. Declared once, never made up while running.
package struct Metric: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        /// Only grows, from 0 at the start of the process.
        case counter
        case gauge
        /// Counts observations by size: `upTo` are the upper bounds of the buckets, ascending, without the infinite one.
        case histogram(upTo: [Double])
    }

    package struct Label: Sendable, Equatable, ExpressibleByStringLiteral {
        package var name: String
        /// Its values come from outside, without end: they are the ones that become ``MetricFamily/rest`` where there are too many series.
        package var isOpen: Bool

        package init(stringLiteral name: String) { (self.name, isOpen) = (name, false) }

        package static func open(_ name: String) -> Label {
            var label = Label(stringLiteral: name)
            label.isOpen = true
            return label
        }
    }

    package let name: String
    package let kind: Kind
    package let help: String
    package let labels: [Label]
    /// Series beyond this many are put together.
    package let seriesLimit: Int

    package init(_ name: String, _ kind: Kind, _ help: String, labels: [Label] = [], seriesLimit: Int = 256) {
        precondition(Self.isName(name) && labels.allSatisfy { Self.isName($0.name) && $0.name != "le" }, "\(name) is no name for a metric, or a label's is none")
        self.name = name
        self.kind = kind
        self.help = help
        self.labels = labels
        self.seriesLimit = seriesLimit
    }

    package var type: String {
        switch kind {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }

    private static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(0x30...0x39 ~= first) else { return false }
        return text.utf8.allSatisfy { 0x61...0x7A ~= $0 || 0x30...0x39 ~= $0 || $0 == UInt8(ascii: "_") }
    }
}

extension [Double] {
    /// Seconds, from a tenth of a millisecond, where a deed in the kernel lies, to ten minutes, where a person was asked.
    package static let latencies: [Double] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 2.5, 10, 60, 600]
}
