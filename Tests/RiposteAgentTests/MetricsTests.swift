import Foundation
import Glibc
import RiposteAgent
import RiposteCore
import RiposteMetrics
import RiposteTestSupport
import RiposteTransport
import Testing

/// The folder that all is built from.
private let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..").standardizedFileURL.path

private func text(_ path: String) throws -> String { try String(contentsOfFile: "\(repository)/\(path)", encoding: .utf8) }

private func json(_ path: String) throws -> JSON { try JSON(parsing: Array(text(path).utf8)) }

@Suite("what is said of metrics is what there is")
struct MetricPagesTests {
    private static let byName = Dictionary(AgentMetric.all.map { ($0.name, $0) }) { first, _ in first }

    @Test("each metric is declared once, by Prometheus' conventions")
    func names() {
        #expect(Self.byName.count == AgentMetric.all.count)
        for metric in AgentMetric.all {
            #expect(metric.name.hasPrefix("riposte_") || metric.name.hasPrefix("process_"), "\(metric.name)")
            #expect((metric.kind == .counter) == metric.name.hasSuffix("_total"), "\(metric.name)")
            #expect(metric.help.hasSuffix("."), "\(metric.name)")
        }
    }

    @Test("docs/metrics.md has every metric, and no other")
    func page() throws {
        let rows = try text("docs/metrics.md").split(separator: "\n").filter { $0.hasPrefix("| `riposte_") || $0.hasPrefix("| `process_") }.map(String.init)
        let expected = AgentMetric.all.map { metric in
            "| `\(metric.name)` | \(metric.type) | \(metric.labels.map { "`\($0.name)`" }.joined(separator: ", ")) | \(metric.help) |"
        }
        #expect(rows == expected)
    }

    /// A query's metrics, and the labels that it speaks of.
    private func check(_ query: String, legend: String = "", _ place: String) {
        let names = query.matches(of: /\b(?:riposte|process)_[a-z_]+/).map { String($0.output) }
        var labels: Set<String> = ["instance", "job"]
        for name in names {
            let base = ["_bucket", "_sum", "_count"].first { name.hasSuffix($0) && Self.byName[String(name.dropLast($0.count))] != nil }.map { String(name.dropLast($0.count)) }
            guard let metric = Self.byName[base ?? name] else {
                Issue.record("\(place) asks for \(name), which there is not")
                continue
            }
            #expect((base != nil) == (metric.type == "histogram"), "\(place): \(name)")
            labels.formUnion(metric.labels.map(\.name) + (base == nil ? [] : ["le"]))
        }
        #expect(!names.isEmpty || query.contains("up{"), "\(place): \(query)")
        let asked =
            query.matches(of: /\bby \(([^)]*)\)/).flatMap { $0.1.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) } }
            + query.matches(of: /([a-z_]+)=~?"/).map { String($0.1) } + legend.matches(of: /\{\{([a-z_]+)\}\}/).map { String($0.1) }
        for label in asked where !labels.contains(label) { Issue.record("\(place) asks for the label \(label), which \(names) have not: \(query)") }
    }

    @Test("the dashboard asks for what there is")
    func dashboard() throws {
        let panels = try #require(try json("config/grafana/riposte.json")["panels"]?.array)
        var ids: Set<Int64> = []
        var queries = 0
        for panel in panels {
            let title = panel["title"]?.string?.shown ?? ""
            let isNew = ids.insert(panel["id"]?.integer ?? 0).inserted
            #expect(isNew, "two panels have the id of \(title)")
            for target in panel["targets"]?.array ?? [] {
                queries += 1
                check(target["expr"]?.string?.shown ?? "", legend: target["legendFormat"]?.string?.shown ?? "", title)
            }
        }
        #expect(queries > 30)
    }

    @Test("the alerting rules ask for what there is")
    func rules() throws {
        let lines = try text("config/prometheus/riposte.rules.yml").split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        var (place, isExpression, count) = ("", false, 0)
        for line in lines {
            if line.hasPrefix("- alert: ") { place = String(line.dropFirst(9)) }
            if line.hasPrefix("expr: ") { isExpression = true } else if line.hasPrefix("labels: ") || line.hasPrefix("for: ") { isExpression = false }
            let query = line.hasPrefix("expr: ") ? String(line.dropFirst(6)) : line
            guard isExpression, query != ">-" else { continue }
            count += 1
            check(query, place)
        }
        #expect(count >= 20)
    }

    @Test(
        "promtool takes the rules, their tests and the example", .enabled(if: Machine.has("promtool"), "needs promtool"),
        arguments: [["check", "rules", "riposte.rules.yml"], ["test", "rules", "riposte.rules.test.yml"], ["check", "config", "prometheus.yml"]])
    func promtool(_ arguments: [String]) throws {
        let result = try run(["sh", "-c", "cd \"$0\" && exec promtool \"$@\"", "\(repository)/config/prometheus"] + arguments)
        #expect(result.status == 0, "\(result.output)")
    }

    @Test("every alert of which a person is called by night has words on what to do")
    func words() throws {
        for rule in try text("config/prometheus/riposte.rules.yml").components(separatedBy: "- alert: ").dropFirst() where rule.contains("severity: page") {
            #expect(rule.contains("description: "), "\(rule.prefix(40))")
        }
    }
}

@Suite("what /readyz says")
struct ReadinessReportTests {
    @Test("ready is who misses nothing", arguments: [(true, true, true, 0), (false, true, true, 1), (true, false, true, 1), (true, true, false, 1), (false, false, false, 3)])
    func reasons(_ sensor: Bool, _ journal: Bool, _ intakes: Bool, _ count: Int) {
        let report = ReadinessReport(isSensorRunning: sensor, isJournalWritable: journal, areIntakesUp: intakes)
        #expect(report.reasons.count == count && report.isReady == (count == 0))
        #expect(report.json["status"] == (count == 0 ? "ready" : "not ready"))
        #expect(report.json["reasons"]?.array?.count == (count == 0 ? nil : count))
    }
}

@Suite("metrics of a running agent", .enabled(if: Machine.isRoot, "needs root"))
struct MetricsLiveTests {
    private static let settings = "metrics: { enabled: true, listen: \"127.0.0.1:0\" }\n"

    private static let killing = "  - { name: kill, match: { rules: [Bad program] }, steps: [{ action: process.kill }] }\n"

    private func place(_ settings: String = settings, playbooks: String = killing) async throws -> (Workplace, Int) {
        let place = try Workplace()
        try place.write(playbooks: playbooks)
        try await place.start(configuration: settings)
        return (place, try #require(place.errors.firstMatch(of: /metrics +https?:\/\/127\.0\.0\.1:(\d+)\/metrics/).flatMap { Int($0.1) }, "\(place.errors)"))
    }

    private func get(_ port: Int, _ path: String, token: String? = nil) async throws -> (status: Int, body: String) {
        let headers = token.map { [("Authorization", "Bearer \($0)")] } ?? []
        let answer = try await HTTPClient().send(HTTPRequest(.get, "http://127.0.0.1:\(port)\(path)", headers: headers))
        return (answer.status, String(decoding: answer.body, as: UTF8.self))
    }

    @Test("an alert and its response are counted, and every metric of the page is there")
    func counts() async throws {
        let (place, port) = try await place()
        let victim = try ChildProcess(["sleep", "300"])
        let before = try await get(port, "/metrics").body
        for metric in AgentMetric.all { #expect(before.contains("# TYPE \(metric.name) \(metric.type)\n"), "\(metric.name)") }
        #expect(try await place.post(alert("Bad program", pid: victim.pid)).status == 202)
        #expect(victim.waitForSignal() == SIGKILL)
        try await until { try place.outcomes() == ["process.kill done"] }
        let after = try await get(port, "/metrics").body
        for line in [
            #"riposte_alerts_total{rule="Bad program",priority="warning",source="syscall"} 1"#, #"riposte_alert_latency_seconds_count{intake="http"} 1"#,
            #"riposte_outcomes_total{action="process.kill",outcome="done",mode="enforce"} 1"#, #"riposte_response_latency_seconds_count{action="process.kill"} 1"#,
            #"riposte_intake_alerts_total{intake="http",result="accepted"} 1"#, "riposte_alerts_matched_total 1", "riposte_plans_total 1", "riposte_journal_writable 1",
            #"riposte_mode{mode="enforce"} 1"#, #"riposte_budget_used{budget="agent-minute",counts="actions"} 1"#, #"riposte_breakers{state="open"} 0"#,
        ] {
            #expect(after.contains(line + "\n"), "\(line)")
        }
        #expect(after.contains(/process_resident_memory_bytes [1-9]/) && after.contains(/riposte_journal_bytes [1-9]/))
        #expect(try await get(port, "/healthz").status == 200)
        #expect(try await get(port, "/readyz") == (200, #"{"status":"ready"}"#))
        #expect(try await get(port, "/other").status == 404)
        #expect(try await place.stop() == 0)
    }

    @Test("ten thousand rules with hostile names neither break the page nor let it grow", .enabled(if: Machine.has("promtool"), "needs promtool"))
    func hostileNames() async throws {
        let (place, port) = try await place()
        for batch in 0..<10 {
            let alerts = (0..<1000).map { number in
                #"{"time":"\#(Timestamp.now())","rule":"r\#(batch)-\#(number)\n\"} 7\n# TYPE x counter\u001b[2J\\","priority":"Error","source":"s\#(number)"}"#
            }
            #expect(try await place.post("[\(alerts.joined(separator: ","))]").status == 202)
        }
        let page = try await get(port, "/metrics").body
        let counted = page.matches(of: /\nriposte_alerts_total\{[^\n]*\} (\d+)/).compactMap { Int($0.1) }
        #expect(counted.count <= 501 && counted.reduce(0, +) == 10_000)
        #expect(page.contains(#"riposte_alerts_total{rule="other",priority="error",source="other"} 9500"#))
        #expect(page.contains(#"riposte_metrics_redirected_total{metric="riposte_alerts_total"} 9500"#))
        #expect(page.utf8.count < 200_000)
        let file = try place.folder.file("metrics", page)
        let verdict = try run(["sh", "-c", "exec promtool check metrics < \"$1\"", "sh", file])
        #expect(verdict.status == 0, "\(verdict.output)")
        #expect(try await place.stop() == 0)
    }

    @Test("with a token file, /metrics asks for a token; probes need none")
    func token() async throws {
        let folder = try TemporaryFolder()
        let (place, port) = try await place("metrics: { enabled: true, listen: \"127.0.0.1:0\", token_file: \(try folder.file("token", "opensesame\n")) }\n")
        #expect(try await get(port, "/metrics").status == 401)
        #expect(try await get(port, "/metrics", token: "wrong").status == 401)
        #expect(try await get(port, "/metrics", token: "opensesame").status == 200)
        #expect(try await get(port, "/readyz").status == 200)
        #expect(try await place.stop() == 0)
    }

    @Test("from outside only with a token, a certificate, or the word that it is meant so")
    func outside() async throws {
        let place = try Workplace()
        let file = place.folder.path + "/riposte.yaml"
        try "metrics: { enabled: true, listen: \"0.0.0.0:0\" }\nintake: { http: { listen: \"127.0.0.1:0\" } }\n".write(toFile: file, atomically: true, encoding: .utf8)
        let result = try place.riposte("run", "--no-sensor", "--config", file)
        #expect(result.status == 2 && result.output.contains("metrics.listen 0.0.0.0:0 can be reached from outside"), "\(result.output)")
    }

    @Test(
        "Debian's Prometheus scrapes it, its rules load, and a counter rises with an alert",
        .enabled(if: Machine.has("prometheus") && Machine.has("curl"), "needs prometheus and curl"))
    func prometheus() async throws {
        let (place, port) = try await place()
        let server = try Prometheus(scraping: port, in: place.folder)
        try await until(.seconds(60)) { try server.ask("targets")["activeTargets"]?.array?.first?["health"] == "up" }
        try await until(.seconds(60)) { try server.value(of: "riposte_build_info") == 1 }
        let groups = try server.ask("rules")["groups"]?.array
        #expect(groups?.first?["rules"]?.array?.count == 20)
        let victim = try ChildProcess(["sleep", "300"])
        #expect(try await place.post(alert("Bad program", pid: victim.pid)).status == 202)
        try await until(.seconds(60)) { try server.value(of: #"sum(riposte_alerts_total{rule="Bad program"})"#) == 1 }
        try await until(.seconds(60)) { try server.value(of: #"sum(riposte_outcomes_total{action="process.kill",outcome="done"})"#) == 1 }
        try await until(.seconds(60)) { try server.value(of: "histogram_quantile(0.99, sum by (le) (riposte_response_latency_seconds_bucket)) > bool 0") == 1 }
        #expect(try server.ask("rules")["groups"]?.array?.first?["rules"]?.array?.allSatisfy { $0["health"] != "err" } == true)
        #expect(try await place.stop() == 0)
        // The agent is gone, and the rules notice.
        try await until(.seconds(60)) { try server.ask("alerts")["alerts"]?.array?.contains { $0["labels"]?["alertname"] == "RiposteDown" } == true }
    }
}

extension MetricsLiveTests {
    /// What a test agent has no series of, and why: all else must be there.
    private static let absent: [String: String] = [
        "riposte_sensor_kernel_events_total": "it runs without the sensor", "riposte_sensor_lost_events_total": "it runs without the sensor",
        "riposte_breaker_tripped": "no breaker is open", "riposte_journal_checkpoints_total": "it has no key to sign with",
        "riposte_metrics_redirected_total": "it has few rules",
    ]

    @Test(
        "Prometheus takes every query of the dashboard and of the rules, and has the series that they ask for",
        .enabled(if: Machine.has("prometheus") && Machine.has("curl"), "needs prometheus and curl"))
    func queries() async throws {
        let (place, port) = try await place(
            Self.settings + "outputs: [{ name: disk, type: file, path: /dev/null/nowhere, retry: { first: 10ms } }]\n",
            playbooks: Self.killing + "  - { name: ask, match: { rules: [Ask] }, mode: ask, steps: [{ action: process.kill }] }\n")
        let server = try Prometheus(scraping: port, in: place.folder)
        let victim = try ChildProcess(["sleep", "300"])
        for rule in ["Bad program", "Ask"] { #expect(try await place.post(alert(rule, pid: victim.pid)).status == 202) }
        #expect(victim.waitForSignal() == SIGKILL)
        try await until(.seconds(60)) { try server.value(of: #"sum(riposte_outcomes_total{outcome="done"})"#) == 1 }
        // Rates and quantiles take a few scrapes.
        try await until(.seconds(60)) { try server.value(of: "count_over_time(riposte_build_info[1m]) >= bool 4") == 1 }
        let dashboard = try #require(try json("config/grafana/riposte.json")["panels"]?.array)
        let panels = dashboard.flatMap { panel in (panel["targets"]?.array ?? []).map { (panel["title"]?.string?.shown ?? "", $0["expr"]?.string?.shown ?? "") } }
        let rules = (try server.ask("rules")["groups"]?.array ?? []).flatMap { $0["rules"]?.array ?? [] }.map {
            ($0["name"]?.string?.shown ?? "", $0["query"]?.string?.shown ?? "")
        }
        #expect(panels.count > 30 && rules.count == 20)
        for (title, expression) in panels + rules {
            // As Grafana fills in its variables.
            let query = expression.replacing("$instance", with: ".*").replacing("$__rate_interval", with: "1m")
            #expect(try server.isTaken(query), "\(title): \(query)")
        }
        let names = Set((panels + rules).flatMap { $0.1.matches(of: /\b(?:riposte|process)_[a-z_]+/).map { String($0.output) } })
        for name in names.sorted() {
            #expect((try server.value(of: "count(\(name))") ?? 0 > 0) == (Self.absent[name] == nil), "\(name)")
        }
        #expect(try await place.stop() == 0)
    }
}

/// A Prometheus of our own with the configuration that we ship.
private final class Prometheus {
    private let port: Int
    private let child: ChildProcess

    init(scraping agent: Int, in folder: TemporaryFolder) throws {
        port = try Self.freePort()
        let shipped = try text("config/prometheus/prometheus.yml")
        let own = shipped.replacingOccurrences(of: "127.0.0.1:2804", with: "127.0.0.1:\(agent)").replacingOccurrences(of: "15s", with: "1s")
        _ = try folder.file("riposte.rules.yml", try text("config/prometheus/riposte.rules.yml"))
        child = try ChildProcess([
            "prometheus", "--config.file=\(try folder.file("prometheus.yml", own))", "--storage.tsdb.path=\(folder.path)/tsdb", "--web.listen-address=127.0.0.1:\(port)",
            "--log.level=error",
        ])
    }

    /// `data` of an answer; null as long as there is none.
    func ask(_ path: String, query: String? = nil) throws -> JSON {
        let arguments = query.map { ["--get", "--data-urlencode", "query=\($0)"] } ?? []
        let answer = try run(["curl", "-s", "--max-time", "10"] + arguments + ["http://127.0.0.1:\(port)/api/v1/\(path)"])
        return (try? JSON(parsing: Array(answer.output.utf8)))?["data"] ?? .null
    }

    /// Whether it understands a query; an answer without series is one.
    func isTaken(_ query: String) throws -> Bool { try ask("query", query: query)["resultType"] != nil }

    func value(of query: String) throws -> Double? {
        try ask("query", query: query)["result"]?.array?.first?["value"]?.array?.last?.string?.valid.flatMap { Double($0) }
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0 }
        }
        try #require(isBound)
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
