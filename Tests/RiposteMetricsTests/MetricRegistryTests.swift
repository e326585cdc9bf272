import CoreMetrics
import RiposteMetrics
import Testing

@Suite("swift-metrics, kept for Prometheus")
struct MetricRegistryTests {
    static let counter = Metric("c_total", .counter, "h", labels: [.open("rule"), "priority"], seriesLimit: 2)
    static let gauge = Metric("g", .gauge, "h")
    static let histogram = Metric("h_seconds", .histogram(upTo: [0.001, 1]), "h")

    let registry = MetricRegistry([counter, gauge, histogram])

    private var text: String { Exposition.text(registry.families) }

    @Test("dimensions find their label by name, in any order")
    func counters() {
        Counter(label: "c_total", dimensions: [("priority", "error"), ("rule", "a")], factory: registry).increment(by: 2)
        Counter(label: "c_total", dimensions: [("rule", "a"), ("priority", "error")], factory: registry).increment()
        FloatingPointCounter(label: "c_total", dimensions: [("rule", "a"), ("priority", "error"), ("nobody", "x")], factory: registry).increment(by: 0.5)
        #expect(text.contains(#"c_total{rule="a",priority="error"} 3.5"#))
    }

    @Test("beyond its limit a metric counts on, for others")
    func limit() {
        for rule in ["a", "b", "c", "d", "a"] { Counter(label: "c_total", dimensions: [("rule", rule)], factory: registry).increment() }
        #expect(text.contains(#"c_total{rule="a",priority=""} 2"#))
        #expect(text.contains(#"c_total{rule="other",priority=""} 2"#))
        #expect(registry.families.map(\.redirected) == [2, 0, 0])
    }

    @Test("a timer is a histogram in seconds")
    func timers() {
        let timer = CoreMetrics.Timer(label: "h_seconds", factory: registry)
        timer.recordMicroseconds(500)
        timer.recordSeconds(2)
        #expect(text.contains(#"h_seconds_bucket{le="0.001"} 1"#))
        #expect(text.contains("h_seconds_sum 2.0005\nh_seconds_count 2"))
    }

    @Test("meters and gauges go up and down")
    func gauges() {
        let meter = Meter(label: "g", factory: registry)
        meter.set(5)
        meter.decrement(by: 2)
        #expect(text.contains("g 3\n"))
        Gauge(label: "g", factory: registry).record(7)
        #expect(text.contains("g 7\n"))
        meter.destroy()
        #expect(text.contains("g 7\n"), "a series that vanished and came back would look like a restart")
    }

    @Test("what was not declared is not kept, and that is counted")
    func undeclared() {
        for number in 0..<100 { Counter(label: "library_\(number)", factory: registry).increment() }
        #expect(registry.families.count == 3 && registry.undeclared == 100)
        #expect(!text.contains("library"))
    }

    @Test("many threads at once lose nothing")
    func threads() async {
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask { [registry] in for _ in 0..<1000 { Counter(label: "c_total", dimensions: [("rule", "a")], factory: registry).increment() } }
            }
        }
        #expect(text.contains(#"c_total{rule="a",priority=""} 8000"#))
    }
}
