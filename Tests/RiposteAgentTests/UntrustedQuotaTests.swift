import Foundation
import Glibc
@testable import RiposteAgent
import RiposteCore
import RiposteTestSupport
import Synchronization
import Testing

@Suite("what is kept of senders who are not believed: so many bytes a second, and not the last of the disk")
struct UntrustedQuotaTests {
    /// Seconds that a test sets.
    private final class Clock: Sendable {
        private let now = Mutex(Duration.zero)

        func go(_ time: Duration) { now.withLock { $0 += time } }
        var time: Duration { now.withLock(\.self) }
    }

    @Test("a minute's worth at once, then as much as comes by in time; who takes more than is left waits the longer; what was not used is not saved for ever")
    func ration() {
        var ration = ByteRation(perSecond: 10, at: .zero)
        func take(_ bytes: Int, _ seconds: Int) -> Bool { ration.take(bytes, at: .seconds(seconds)) }
        #expect(take(599, 0) && take(101, 0) && !take(1, 0))
        #expect(!take(1, 10), "100 bytes are owed")
        #expect(take(1, 11))
        #expect(take(600, 1000) && !take(1, 1000))
        ration.giveBack(600)
        #expect(take(600, 1000) && !take(1, 1000))
        #expect(!take(1, 900), "a clock that went back gives nothing")
        #expect(take(1, 1001))
        var large = ByteRation(perSecond: .max, at: .zero)
        #expect(large.take(.max, at: .zero) && large.take(1, at: .zero))
    }

    @Test("each intake has its own; a flood is told of at once, and then once a minute with how many it was")
    func floods() throws {
        let (folder, clock) = (try TemporaryFolder(), Clock())
        let quota = UntrustedQuota(.init(bytesPerSecond: 10, freeBytes: 1), folder: folder.path) { clock.time }
        #expect(quota.take(700, for: "http") == nil)
        let first = quota.take(1, for: "http")
        #expect(first?.cause == .rate && first?.flood == .init(intake: "http", cause: .rate, count: 1))
        for _ in 0..<5 { #expect(quota.take(1, for: "http").map { $0.flood == nil } == true) }
        #expect(quota.take(1, for: "file") == nil)
        clock.go(.seconds(60))
        #expect(quota.take(10_000, for: "http") == nil, "there is something again")
        #expect(quota.take(1, for: "http")?.flood?.count == 6)
    }

    @Test("where the disk is nearly full nothing is taken, whatever the rate; of a small disk a tenth counts", .enabled(if: Machine.isRoot, "needs root: mounts a small disk"))
    func disk() throws {
        let folder = try TemporaryFolder()
        try #require(try run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder.path]).status == 0)
        defer { _ = try? run(["umount", "-l", folder.path]) }
        let quota = UntrustedQuota(.init(), folder: folder.path)
        #expect(quota.take(1, for: "http") == nil)
        try Data(count: 980_000).write(to: URL(fileURLWithPath: folder.path + "/fill"))
        let refused = quota.take(1, for: "http")
        #expect(refused?.cause == .disk && refused?.flood?.record.message?.contains("min_free") == true)
        try FileManager.default.removeItem(atPath: folder.path + "/fill")
        #expect(quota.take(1, for: "http") == nil)
    }
}

@Suite("any user of the host sends what he likes, by the default listener", .serialized, .enabled(if: Machine.isRoot && Machine.has("setpriv"), "needs root and setpriv"))
struct UntrustedFloodTests {
    private let place: Workplace

    init() throws {
        place = try Workplace()
        try place.write(playbooks: "  - name: kill\n    match: { rules: [\"Kill it\"] }\n    steps:\n      - action: process.kill\n")
    }

    /// Posts a text, so many times, as the user nobody; the answers' status.
    private func postAsNobody(_ text: String, times: Int = 1) throws -> [String] {
        let file = try place.folder.file("body", text)
        try run(["chmod", "755", place.folder.path])
        let urls = Array(repeating: "http://127.0.0.1:\(place.httpPort)/", count: times)
        let options = ["-s", "-o", "/dev/null", "-w", "%{http_code}\\n", "--data-binary", "@\(file)"]
        // One `-o` is for one address.
        return try run(["setpriv", "--reuid", "65534", "--clear-groups", "curl"] + options + urls.dropFirst().flatMap { ["-o", "/dev/null", $0] } + [urls[0]]).output
            .split(separator: "\n").map(String.init)
    }

    @Test("the journal keeps a bounded part of it, and says so; whoever is believed is answered as ever")
    func flood() async throws {
        try await place.start(configuration: "metrics: { enabled: true, listen: '127.0.0.1:0' }\nintake: { untrusted: { max_rate: 1KiB } }")
        let child = try ChildProcess(["sleep", "1000"])
        let padding = String(repeating: "x", count: 40_000)
        #expect(try postAsNobody(alert(String(repeating: "R", count: 2000), pid: 1)) == ["400"])
        let answers = try postAsNobody(alert("Flood", pid: 1, fields: #","x":"\#(padding)""#), times: 100)
        // A minute's worth is 60 KiB: two of these, and what comes by meanwhile.
        #expect(answers.count == 100 && answers.count { $0 == "202" } < 10 && answers.allSatisfy { $0 == "202" || $0 == "429" }, "\(answers)")
        let bytes = try run(["du", "-sb", place.stateDirectory + "/journal"]).output.split(separator: "\t").first.flatMap { Int($0) }
        #expect(try #require(bytes) < 500_000)
        #expect(try await place.post(alert("Kill it", pid: child.pid, fields: #","x":"\#(padding)""#)).status == 202)
        #expect(try await child.waitForExit(within: .seconds(60)) == 128 + SIGKILL)
        let intake = try #require(try place.json("status").first?["intakes"]?.array?.first { $0["name"] == "http" })
        #expect(intake["rationed"]?.integer == Int64(answers.count { $0 == "429" }))
        #expect(try place.riposte("status").output.contains("not believed were turned away"))
        let port = try #require(place.errors.firstMatch(of: /metrics +http:\/\/127\.0\.0\.1:(\d+)/)?.1)
        let page = try run(["curl", "-s", "http://127.0.0.1:\(port)/metrics"]).output
        #expect(page.contains(#"riposte_alerts_total{rule="untrusted",priority="warning",source="untrusted"}"#) && !page.contains(#"rule="Flood""#))
        #expect(page.contains(#"riposte_alerts_total{rule="Kill it",priority="warning",source="syscall"} 1"#))
        #expect(page.contains(#"riposte_intake_alerts_total{intake="http",result="rationed"} \#(answers.count { $0 == "429" })"#))
        let told = try place.records().filter { $0["kind"] == "brake" }
        #expect(told.count == 1 && told[0]["detail"]?["untrusted"]?["intake"] == "http")
    }

    @Test("a flood of nonsense hides nobody else's, and costs what it writes down")
    func nonsense() async throws {
        try await place.start(configuration: "intake: { untrusted: { max_rate: 256 } }")
        func rejects(_ trust: JSON) throws -> Int { try place.records().count { $0["kind"] == "reject" && $0["detail"]?["arrival"]?["trust"] == trust } }
        #expect(try postAsNobody("nonsense", times: 100) == Array(repeating: "400", count: 100))
        // A minute's worth is 15 KiB, of which each takes one and a little.
        let kept = try rejects("untrusted")
        #expect(kept > 5 && kept < 30)
        #expect(try await place.post("nonsense of root's").status == 400)
        #expect(try rejects("trusted") == 1)
    }

    @Test("what comes of an alert is on record too: it counts with what its playbooks may write")
    func consequences() async throws {
        let steps = (0..<8).map { "      - name: s\($0)\n        action: process.kill\n        on_failure: continue\n" }.joined()
        try place.write(playbooks: (0..<10).map { "  - name: p\($0)\n    match: { rules: [\"Many *\"] }\n    steps:\n\(steps)" }.joined())
        try await place.start(configuration: "intake: { untrusted: { max_rate: 64KiB } }")
        let child = try ChildProcess(["sleep", "1000"])
        var taken = 0
        for number in 0..<40 where try postAsNobody(alert("Many \(number)", pid: child.pid, fields: #","x":"\#(String(repeating: "x", count: 30_000))""#)) == ["202"] { taken += 1 }
        try await until { try place.records().count { $0["kind"] == "run" } == taken * 10 }
        let bytes = try run(["du", "-sb", place.stateDirectory + "/journal"]).output.split(separator: "\t").first.flatMap { Int($0) }
        // A minute's worth is 3.75 MiB; the last one may go beyond it.
        #expect(child.isRunning && taken < 40)
        #expect(try #require(bytes) < 4_300_000)
    }
}
