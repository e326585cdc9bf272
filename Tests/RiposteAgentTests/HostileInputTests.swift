import Foundation
import Glibc
import RiposteCore
import RiposteTestSupport
import RiposteTransport
import Testing

private let playbooks = """
      - name: kill
        match: { rules: ["Kill it"] }
        steps:
          - action: process.kill
      - name: templates
        match: { rules: ["Template *"] }
        steps:
          - action: network.block
            with: { address: "{{ fd.rip }}" }
          - action: container.pause
            on_failure: continue
    """

@Suite("an alert is data that an attacker wrote", .serialized, .enabled(if: Machine.isRoot, "needs root"))
struct HostileInputTests {
    let place: Workplace

    init() throws {
        place = try Workplace()
        try place.write(playbooks: playbooks)
    }

    /// Texts that mean something to shells, terminals, templates, JSON, YAML, HTTP and file systems.
    private static let texts = [
        "$(touch /tmp/riposte-pwned)", "`id`", "; rm -rf /", "{{ proc.pid }}", "{{ fd.rip }}", "\\u001b[2J\\u001b]0;title\\u0007", "\\u0000", "..\\/..\\/etc\\/passwd",
        "a\\r\\nX-Evil: yes", "'\\\" OR 1=1 --", "%s%n%x", "\\ud800", "\\u202eevil", "<script>", "!!python\\/object", String(repeating: "A", count: 60_000),
    ]

    @Test("in every field: nobody is hit, nothing is printed raw, the journal verifies")
    func everyField() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        let agent = try await place.start()
        for (index, text) in Self.texts.enumerated() {
            let body =
                #"{"time":"\#(Timestamp.now())","rule":"Template \#(text)","priority":"Critical","output":"\#(text)","source":"\#(text)","hostname":"\#(text)","tags":["\#(text)"],"\#(text)":1,"output_fields":{"fd.rip":"\#(text)","container.id":"\#(text)","container.name":"\#(text)","proc.name":"\#(text)","proc.cmdline":"\#(text)","user.name":"\#(text)","k8s.pod.name":"\#(text)","\#(text)":"\#(text)"}}"#
            let response = try await place.post(body)
            #expect(response.status == 202, "\(index): \(String(decoding: response.body, as: UTF8.self))")
        }
        try await until { try place.records().count { $0["kind"] == "run" } >= Self.texts.count }
        #expect(child.isRunning && agent.isRunning)
        #expect(!FileManager.default.fileExists(atPath: "/tmp/riposte-pwned"))
        #expect(try place.outcomes().allSatisfy { $0.hasSuffix(" refused") || $0.hasSuffix(" failed") || $0.hasSuffix(" skipped") || $0.hasSuffix(" gone") })
        for shown in [place.output, place.errors, try place.riposte("audit", "list").output, try place.riposte("status").output] {
            let raw = shown.unicodeScalars.filter { ($0.value < 0x20 && $0 != "\n") || $0.value == 0x7F || (0x80..<0xA0).contains($0.value) || $0.value == 0x202E }
            #expect(raw.isEmpty, "control characters reach the terminal: \(raw.map(\.value))")
        }
        #expect(try place.riposte("audit", "verify").status == 0)
    }

    @Test("what the journal could not be read back with is refused at the door: too deep for a record around it, keys that become one")
    func unwritable() async throws {
        try await place.start(mode: "observe")
        func alert(_ member: String) -> String { #"{"time":"\#(Timestamp.now())","rule":"Kill it","priority":"Critical",\#(member)}"# }
        func nested(_ levels: Int) -> String { #""x":"# + String(repeating: "[", count: levels) + String(repeating: "]", count: levels) }
        for refused in [nested(62), nested(63), nested(48), #""output_fields":{"\ud800":1,"\ud801":2}"#] {
            #expect(try await place.post(alert(refused)).status == 400)
            #expect(try await place.post("[\(alert(refused))]").status == 400)
        }
        #expect(try await place.post(alert(nested(47))).status == 202)
        #expect(try await place.post("[\(alert(nested(47)))]").status == 202)
        #expect(try place.records().count { $0["kind"] == "alert" } == 2)
        #expect(try place.riposte("audit", "verify").status == 0)
    }

    /// Just beyond, far beyond, and before what 64 bits of nanoseconds hold.
    private static let impossibleTimes = ["2262-04-11T23:47:16.9Z", "9999-12-31T23:59:60.999999999-23:59", "1677-09-21T00:12:43.1Z", "0000-01-01T00:00:00.5+23:59"]

    @Test("a time that no number holds is refused on every way in, and the next alert is answered", arguments: ["http", "stream", "datagram", "file", "stdin"])
    func impossibleTime(way: String) async throws {
        let child = try ChildProcess(["sleep", "1000"])
        let input = Pipe()
        let lines = Self.impossibleTimes.map { #"{"time":"\#($0)","rule":"Kill it","priority":"Warning","output_fields":{"proc.pid":\#(child.pid)}}"# }
        let file = try place.folder.file("alerts.jsonl", lines.joined(separator: "\n") + "\n")
        let agent = try await place.start(
            configuration: "intake: { file: { path: \(way == "file" ? file : "null"), from_start: true }, stdin: { enabled: \(way == "stdin") } }",
            input: input.fileHandleForReading.fileDescriptor)
        let good = alert("Kill it", pid: child.pid)
        switch way {
        case "http":
            for line in lines { #expect(try await place.post(line).status == 400) }
            #expect(try await place.post(good).status == 202)
        case "stream": try place.sendToSocket((lines + [good]).map { $0 + "\n" }.joined())
        case "datagram": for line in lines + [good] { try place.sendToSocket(line, isDatagram: true) }
        case "file":
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data((good + "\n").utf8))
        default: try input.fileHandleForWriting.write(contentsOf: Data((lines + [good]).map { $0 + "\n" }.joined().utf8))
        }
        #expect(try await child.waitForExit(within: .seconds(60)) == 128 + SIGKILL)
        #expect(agent.isRunning)
        #expect(try place.records().count { $0["kind"] == "reject" } == lines.count)
        withExtendedLifetime(input) {}
    }

    @Test("such a time from an operator is a mistake of theirs; an audit event with one is dropped alone")
    func impossibleTimeElsewhere() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        let agent = try await place.start(configuration: "intake: { kubernetes_audit: { enabled: true, listen: '127.0.0.1:0' } }")
        let port = try #require(place.errors.firstMatch(of: /kubernetes_audit: http:\/\/127\.0\.0\.1:(\d+)/)?.1)
        let event =
            #"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"a","stage":"ResponseComplete","verb":"get","user":{"username":"u"},"requestURI":"/"#
        for time in Self.impossibleTimes {
            let body = event + #"","requestReceivedTimestamp":"\#(time)","stageTimestamp":"\#(time)"}"#
            let answer = try await HTTPClient().send(
                HTTPRequest(.post, "http://127.0.0.1:\(port)/k8s-audit", headers: [("Content-Type", "application/json")], body: Array(body.utf8)))
            #expect([200, 400].contains(answer.status))
            #expect(try place.riposte("audit", "list", "--since", time).status == 2)
            #expect(try place.riposte("process", "kill", "\(child.pid)", "--started-at", time).status == 2)
        }
        #expect(agent.isRunning && child.isRunning)
    }

    @Test("nonsense on every way in is counted, and the next alert is answered")
    func nonsense() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        try await place.start()
        let deep = String(repeating: "[", count: 100_000)
        let bodies = [
            "", "{", "null", "[]", "[1]", "\u{FEFF}{}", deep, String(repeating: #"{"a":"#, count: 50_000), "{\"rule\":\"x\"}", #"{"rule":"x","rule":"y"}"#, #"{"a":1e999999}"#,
        ]
        for body in bodies { #expect(try await place.post(body).status == 400, "\(body.prefix(30))") }
        try place.sendToSocket(bodies.map { $0 + "\n" }.joined())
        try place.sendToSocket("nonsense", isDatagram: true)
        #expect(try await place.post(alert("Kill it", pid: child.pid)).status == 202)
        #expect(try await child.waitForExit(within: .seconds(60)) == 128 + SIGKILL)
        let intakes = try #require(try place.json("status").first?["intakes"]?.array)
        #expect(intakes.first { $0["name"] == "http" }?["rejected"]?.integer == Int64(bodies.count))
        try await until { (try place.json("status").first?["intakes"]?.array?.first { $0["name"] == "socket" }?["rejected"]?.integer ?? 0) >= Int64(bodies.count) - 1 }
    }

    @Test("a body of 100 MB is refused early, and costs no memory")
    func large() async throws {
        let agent = try await place.start()
        let before = try residentKilobytes(agent.pid)
        for chunked in [[], ["-H", "Transfer-Encoding: chunked"]] {
            let script = "head -c 104857600 /dev/zero | curl -s -o /dev/null -w '%{http_code}' -T - \"$@\""
            let answer = try run(["sh", "-c", script, "sh", "http://127.0.0.1:\(place.httpPort)/"] + chunked).output
            #expect(answer == "413", "\(answer)")
        }
        #expect(agent.isRunning)
        #expect(try residentKilobytes(agent.pid) - before < 65_536)
    }

    private func residentKilobytes(_ pid: Int32) throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        return text.firstMatch(of: /VmRSS:\s+(\d+)/).flatMap { Int($0.1) } ?? 0
    }

    @Test("ten thousand connections that send nothing keep no alert out")
    func connections() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        try await place.start()
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let count = min(10_000, Int(limit.rlim_max) - 500)
        var descriptors: [Int32] = []
        defer { for descriptor in descriptors { close(descriptor) } }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(place.httpPort).bigEndian
        inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
        for _ in 0..<count {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { break }
            descriptors.append(descriptor)
            let status = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
            }
            guard status == 0 else { break }
        }
        #expect(descriptors.count == count)
        // It is taken in turn, behind those that came before it.
        #expect(try await place.post(alert("Kill it", pid: child.pid)).status == 202)
        #expect(try await child.waitForExit(within: .seconds(60)) == 128 + SIGKILL)
        try place.sendToSocket(alert("Nothing", pid: 1) + "\n")
        try await until { try place.records().contains { $0["detail"]?["alert"]?["rule"] == "Nothing" } }
        #expect(try place.riposte("status").output.contains("riposte"), "a person is heard too")
    }

    @Test("a journal that cannot be written: nothing is done that is not on record, and the alert is not taken")
    func fullDisk() async throws {
        let disk = place.stateDirectory
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
        try #require(try run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "none", disk]).status == 0)
        defer { _ = try? run(["umount", "-l", disk]) }
        let child = try ChildProcess(["sleep", "1000"])
        let agent = try await place.start()
        try run(["sh", "-c", "head -c 4000000 /dev/zero > '\(disk)/fill'"])
        var status = 202
        // What is left of the last page may take a few.
        for _ in 0..<200 where status == 202 { status = try await place.post(alert("Other", pid: 1)).status }
        #expect(status == 503)
        #expect(try await place.post(alert("Kill it", pid: child.pid)).status == 503)
        let alerts = try place.folder.file("alerts.jsonl", alert("Kill it", pid: child.pid) + "\n")
        let told = try place.riposte("respond", alerts, "--playbooks", place.folder.path + "/playbooks", "--mode", "enforce")
        #expect(told.status == 1 && told.output.contains("not taken: the journal did not take it: ") && !told.output.contains("unsafe("), "\(told)")
        #expect(child.isRunning && agent.isRunning)
        try FileManager.default.removeItem(atPath: disk + "/fill")
        #expect(try await place.post(alert("Kill it", pid: child.pid)).status == 202, "it goes on when there is room again")
        #expect(try await child.waitForExit(within: .seconds(60)) == 128 + SIGKILL)
        #expect(try await place.stop() == 0)
        let (verified, words) = try place.riposte("audit", "verify")
        #expect(verified == 0, "\(words)")
    }
}
