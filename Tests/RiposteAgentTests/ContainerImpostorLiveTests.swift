import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

@Suite(
    "a container that a process only seems to be in", .serialized,
    .enabled(if: canLoadSensor && DockerEngine.isAvailable, "needs root, a kernel with BTF and ring buffers, dockerd and busybox"))
struct ContainerImpostorLiveTests {
    /// A control group of the test's own, named as a container's is, in a hierarchy that the sensor goes by.
    private final class Impostor {
        private let upper: String
        let path: String

        init(_ id: String) throws {
            let root = FileManager.default.fileExists(atPath: "/sys/fs/cgroup/cgroup.procs") ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu"
            upper = "\(root)/riposte-test-\(UUID().uuidString.prefix(8))"
            path = "\(upper)/\(id)"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }

        deinit { for folder in [path, upper] { rmdir(folder) } }
    }

    @Test("is not touched for what that process does, and is for what its own do")
    func impostor() async throws {
        let engine = try DockerEngine.shared.get()
        let container = try TestContainer(engine)
        let place = try Workplace()
        let (victim, rules) = (
            place.folder.path + "/victim",
            try place.folder.file(
                "rules.yaml", "- { rule: Marked, desc: d, condition: evt.type = execve and proc.args contains riposte-mark, output: o %container.id, priority: CRITICAL }\n")
        )
        try FileManager.default.copyItem(atPath: "/bin/echo", toPath: victim)
        try place.write(playbooks: "  - { name: hold, match: { rules: [Marked], when: container.id != host }, steps: [{ action: container.pause }] }\n")
        try await place.start(configuration: "docker: { socket: \(engine.socket) }", arguments: ["--json", "--rules", rules])
        let group = try Impostor(container.id)
        #expect(try run(["sh", "-c", "echo $$ > \(group.path)/cgroup.procs && exec \(victim) riposte-mark"]).status == 0)
        try await until { try !place.outcomes().isEmpty }
        #expect(try place.outcomes() == ["container.pause refused"] && !container.isPaused)
        let refusal = try #require(place.records().first { $0["kind"] == "outcome" })
        #expect(refusal["class"] == "identity" && refusal["message"]?.string?.repaired.contains("named after the container") == true, "\(refusal.line)")
        #expect(try container.execute(["/bin/echo", "riposte-mark"]) == 0)
        try await until { try place.outcomes().count == 2 }
        #expect(try place.outcomes().last == "container.pause done" && container.isPaused)
    }
}
