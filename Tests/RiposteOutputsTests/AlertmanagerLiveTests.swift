import Foundation
import RiposteCore
import RiposteTestSupport
import RiposteTransport
import Testing

@testable import RiposteOutputs

/// Debian's Alertmanager.
@Suite(.enabled(if: Machine.has("prometheus-alertmanager"), "needs the package prometheus-alertmanager"))
struct AlertmanagerLiveTests {
    private struct Ended: Error { var log: String }

    private final class Alertmanager {
        private let folder: TemporaryFolder
        private let child: ChildProcess
        private let log: FileHandle
        private(set) var url = ""

        init() async throws {
            folder = try TemporaryFolder()
            let configuration = try folder.file("alertmanager.yml", "route: { receiver: none }\nreceivers: [{ name: none }]\n")
            log = try #require(FileHandle(forUpdatingAtPath: try folder.file("log")))
            child = try ChildProcess(
                [
                    "prometheus-alertmanager", "--config.file=\(configuration)", "--storage.path=\(folder.path)/data", "--web.listen-address=127.0.0.1:0",
                    "--cluster.listen-address=",
                ], output: log.fileDescriptor)
            url = "http://127.0.0.1:\(try await port())"
        }

        /// It says where it listens.
        private func port() async throws -> Int {
            while child.isRunning {
                let text = try String(contentsOfFile: folder.path + "/log", encoding: .utf8)
                if let match = text.firstMatch(of: /Listening on.*address=127\.0\.0\.1:([0-9]+)/) { return try #require(Int(match.1)) }
                try await Task.sleep(for: .milliseconds(10))
            }
            throw Ended(log: try String(contentsOfFile: folder.path + "/log", encoding: .utf8))
        }

        func alerts() async throws -> [JSON] {
            let response = try await HTTPClient().send(HTTPRequest(.get, url + "/api/v2/alerts"))
            return try JSON(parsing: response.body).array ?? []
        }
    }

    private let fields: JSONObject = ["proc.name": "sh", "proc.pid": 4711, "proc.cmdline": "sh -c \"<b>{{ .Labels }}</b>\"\n\u{1B}[31m", "k8s.pod.name": "web-1"]

    @Test func showsWhatItWasTold() async throws {
        let alertmanager = try await Alertmanager()
        let keys: SettingsValue = [
            "url": .init(.scalar(alertmanager.url, isPlain: true)), "labels": ["env": "prod"], "label_fields": ["k8s.pod.name"],
            "annotations": ["runbook": "https://runbooks.example/shell"],
        ]
        let settings = Samples.settings(keys)
        let destination = try #require(AlertmanagerDestination(settings: settings, context: Samples.context()))
        #expect(settings.problems() == [])
        let now = Timestamp.now()
        let first = Samples.alert("Shell spawned by web server", "Critical", tags: ["T1059"], fields: fields, output: "sh was started", at: now)
        var record = AuditRecord(.outcome, at: now)
        (record.action, record.outcome) = ("process.kill", .done)
        // The same trouble twice is one alert.
        let batch = [Samples.message(1, first), Samples.message(2, first), Samples.message(3, record), OutputMessage.test(host: "agent-1", at: now)]
        #expect(await destination.deliver(batch).fates == Array(repeating: .delivered, count: 4))
        let alerts = try await alertmanager.alerts()
        #expect(alerts.count == 3)
        let alert = try #require(alerts.first { $0["labels"]?["alertname"] == "Shell spawned by web server" })
        #expect(alert["status"]?["state"] == "active")
        let labels: JSON = [
            "alertname": "Shell spawned by web server", "rule": "Shell spawned by web server", "source": "falco", "eventsource": "syscall", "hostname": "node-7",
            "priority": "Critical", "severity": "critical", "tags": "T1059", "k8s_pod_name": "web-1", "env": "prod",
        ]
        #expect(alert["labels"]?.canonical == labels.canonical)
        #expect(alert["annotations"]?["proc_pid"] == "4711" && alert["annotations"]?["runbook"] == "https://runbooks.example/shell")
        #expect(alert["annotations"]?["proc_cmdline"] == #"sh -c "<b>{{ .Labels }}</b>"\n\x1b[31m"#)
        #expect(alerts.contains { $0["labels"]?["source"] == "riposte" })
    }

    @Test func endsWhenItIsToldTo() async throws {
        let alertmanager = try await Alertmanager()
        let settings = Samples.settings(["url": .init(.scalar(alertmanager.url, isPlain: true)), "expires_after": "10m"])
        // An alert from long ago lives from now on.
        let context = DestinationContext(name: "am", http: HTTPClient(), folder: "/nonexistent", host: "agent-1", logger: Samples.logger)
        let destination = try #require(AlertmanagerDestination(settings: settings, context: context))
        #expect(await destination.deliver([Samples.message(Samples.alert("old"))]).fates == [.delivered])
        let alert = try #require(try await alertmanager.alerts().first)
        let end = try #require(alert["endsAt"]?.string.flatMap { Timestamp($0.bytes) })
        #expect(end > Timestamp.now() && end <= Timestamp.now() + .seconds(600))
    }
}
