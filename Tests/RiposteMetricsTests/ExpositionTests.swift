import RiposteMetrics
import RiposteTestSupport
import Testing

@Suite("Prometheus' text format")
struct ExpositionTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var metric: Metric
        var fill: @Sendable (inout MetricFamily) -> Void
        /// Without HELP and TYPE.
        var lines: [String]
    }

    static let labelled = Metric("m_total", .counter, "h", labels: [.open("rule"), "priority"])

    static let cases: [Case] = [
        Case(testDescription: "a counter without labels is there from the start", metric: Metric("m_total", .counter, "h"), fill: { _ in }, lines: ["m_total 0"]),
        Case(testDescription: "a metric with labels has no series before something happened", metric: labelled, fill: { _ in }, lines: []),
        Case(
            testDescription: "the same labels are one series", metric: labelled,
            fill: {
                $0.add(1, ["a", "b"]); $0.add(2, ["a", "b"])
            }, lines: [#"m_total{rule="a",priority="b"} 3"#]),
        Case(testDescription: "missing label values are empty", metric: labelled, fill: { $0.add(1, ["a"]) }, lines: [#"m_total{rule="a",priority=""} 1"#]),
        Case(testDescription: "quotes and backslashes", metric: labelled, fill: { $0.add(1, [#"a"b\c"#, ""]) }, lines: [#"m_total{rule="a\"b\\c",priority=""} 1"#]),
        Case(
            testDescription: "what ends a line or deceives the eye is written out", metric: labelled, fill: { $0.add(1, ["a\nm_total 99\r\u{1B}[2J\u{202E}", ""]) },
            lines: [#"m_total{rule="a\\nm_total 99\\r\\x1b[2J\\u{202e}",priority=""} 1"#]),
        Case(
            testDescription: "a long value is cut", metric: labelled, fill: { $0.add(1, [String(repeating: "x", count: 5000), ""]) },
            lines: [#"m_total{rule="\#(String(repeating: "x", count: 128))…",priority=""} 1"#]),
        Case(
            testDescription: "a counter takes nothing that is no number, and never shrinks", metric: Metric("m_total", .counter, "h"),
            fill: {
                $0.add(.nan); $0.add(-5); $0.add(.infinity)
            }, lines: ["m_total 0"]),
        Case(testDescription: "fractions", metric: Metric("m", .gauge, "h"), fill: { $0.set(0.25) }, lines: ["m 0.25"]),
        Case(testDescription: "great numbers are whole", metric: Metric("m", .gauge, "h"), fill: { $0.set(18_446_744_073) }, lines: ["m 18446744073"]),
        Case(
            testDescription: "buckets are cumulative, and a bound belongs to its bucket", metric: Metric("h_seconds", .histogram(upTo: [0.1, 1]), "h", labels: ["a"]),
            fill: { family in for value in [0.05, 0.1, 0.5, 30] { family.observe(value, ["x"]) } },
            lines: [
                #"h_seconds_bucket{a="x",le="0.1"} 2"#, #"h_seconds_bucket{a="x",le="1"} 3"#, #"h_seconds_bucket{a="x",le="+Inf"} 4"#, #"h_seconds_sum{a="x"} 30.65"#,
                #"h_seconds_count{a="x"} 4"#,
            ]),
    ]

    @Test(arguments: cases)
    func lines(_ given: Case) {
        var family = MetricFamily(given.metric)
        given.fill(&family)
        let lines = Exposition.text([family]).split(separator: "\n").map(String.init)
        #expect(Array(lines.prefix(2)) == ["# HELP \(given.metric.name) h", "# TYPE \(given.metric.name) \(given.metric.type)"])
        #expect(Array(lines.dropFirst(2)) == given.lines)
    }

    @Test("a help text stays on its line")
    func help() {
        #expect(Exposition.text([MetricFamily(Metric("m", .gauge, "a\nb\\c \"d\""))]) == "# HELP m a\\nb\\\\c \"d\"\n# TYPE m gauge\nm 0\n")
    }

    @Test("ten thousand rules with hostile names: bounded, summed right, and Prometheus' own reader takes it", .enabled(if: Machine.has("promtool"), "needs promtool"))
    func hostileNames() throws {
        var family = MetricFamily(Metric("alerts_total", .counter, "h", labels: [.open("rule"), "priority"], seriesLimit: 100))
        for number in 0..<10_000 { family.add(1, ["rule \(number)\n\"} 7\n# TYPE x counter\n\u{0}\u{7F}\\", number % 2 == 0 ? "error" : "notice"]) }
        let text = Exposition.text([family])
        let values = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(values.count == 102, "a hundred and the rest of each priority")
        #expect(values.compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }.reduce(0, +) == 10_000)
        #expect(family.redirected == 9_900)
        #expect(text.contains(#"alerts_total{rule="other",priority="error"} 4950"#))
        #expect(try promtoolComplaint(about: text) == nil)
    }
}

/// What `promtool check metrics` has against a text; nil: nothing.
func promtoolComplaint(about text: String) throws -> String? {
    let folder = try TemporaryFolder()
    let result = try run(["sh", "-c", "exec promtool check metrics < \"$1\"", "sh", try folder.file("metrics", text)])
    return result.status == 0 ? nil : result.output
}
