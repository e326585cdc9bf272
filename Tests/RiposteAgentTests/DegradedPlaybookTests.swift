import Foundation
import Glibc
import RiposteCore
import RiposteTestSupport
import Testing

/// `docs/playbooks.md`, the example of `require`.
private func example() throws -> String {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/playbooks.md").standardizedFileURL.path
    let text = try String(contentsOfFile: path, encoding: .utf8)
    return String(try #require(text.matches(of: /(?s)```yaml\n(apiVersion.*?)```/).first { $0.1.contains("require: [nftables, containers]") }).1)
}

@Suite("Playbooks that cannot act on this machine", .enabled(if: Machine.isRoot, "needs root: rights to lack"))
struct DegradedPlaybookTests {
    let place: Workplace
    /// Nobody listens there.
    let noEngine: String

    init() throws {
        place = try Workplace()
        noEngine = "docker: { socket: \(place.folder.path)/none.sock }"
    }

    @Test("a playbook that is let act and lacks something is said to be degraded: by status, its exit, the journal, and an alert; one that only observes is not")
    func degraded() async throws {
        try place.write(
            playbooks: """
                  - { name: cut, match: { rules: [Bad] }, steps: [{ action: container.pause }] }
                  - { name: look, mode: observe, match: { rules: [Bad] }, steps: [{ action: container.pause }] }
                  - { name: end, match: { rules: [Bad] }, steps: [{ action: process.kill }] }

                """)
        try await place.start(configuration: noEngine)
        try await until { try place.records().contains { $0["detail"]?["alert"]?["rule"] == "Riposte playbook degraded" } }
        let (status, output) = try place.riposte("status")
        #expect(status == 1 && output.contains("DEGRADED   cut: step container-pause lacks containers:"), "\(output)")
        let degraded = try #require(try place.json("status").first?["playbooks"]?["degraded"]?.array)
        #expect(degraded.map { $0["playbook"] } == ["cut"])
        let record = try #require(try place.records().first { $0["detail"]?["degraded"] != nil })
        #expect(record["kind"] == "config" && record["playbook"] == "cut")
        #expect(try place.riposte("mode", "set", "observe").status == 0)
        #expect(try place.riposte("status").status == 0, "nothing is let act any more")
    }

    @Test("what the example of docs/playbooks.md requires is not there: the agent does not start, doctor says why, and a reload is refused whole")
    func required() async throws {
        _ = try place.folder.file("playbooks/p.yaml", try example())
        let child = try place.launch(configuration: noEngine)
        #expect(try await child.waitForExit(within: .seconds(60)) == 2)
        #expect(place.errors.contains("error[P048]: playbook cut-off requires containers"), "\(place.errors)")
        let file = try place.folder.file("c.yaml", "\(noEngine)\nplaybooks: \(place.folder.path)/playbooks\n")
        let doctor = try place.riposte("doctor", "--config", file)
        #expect(doctor.status == 1 && doctor.output.contains("requires containers"), "\(doctor.output)")
        #expect(try place.riposte("playbook", "check", place.folder.path + "/playbooks").status == 0, "a file can be checked anywhere")
        try place.write(playbooks: "  - { name: end, match: { rules: [Bad] }, steps: [{ action: process.kill }] }\n")
        try await place.start(configuration: noEngine)
        try await until { try place.records().contains { $0["kind"] == "start" } }
        _ = try place.folder.file("playbooks/q.yaml", try example())
        try await until { try place.json("status").first?["playbooks"]?["rejected"] != nil }
        let status = try #require(try place.json("status").first?["playbooks"])
        #expect(status["count"] == 1 && status["rejected"]?["problems"]?.array?.first?["code"] == "P048")
    }
}
