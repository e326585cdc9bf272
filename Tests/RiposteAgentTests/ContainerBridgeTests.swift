import RiposteActions
@testable import RiposteAgent
import RiposteCore
@testable import RiposteSensor
import RiposteTestSupport
import RiposteTransport
import Testing

@Suite("the sensor's knowledge of a real Docker engine's containers", .enabled(if: DockerEngine.isAvailable, "needs root, dockerd and busybox"), .timeLimit(.minutes(2)))
struct ContainerBridgeTests {
    @Test("a process's cgroup leads to what the engine says of its container")
    func bridge() async throws {
        let engine = try DockerEngine.shared.get()
        let container = try TestContainer(engine, options: #""Labels":{"app":"web"},"HostConfig":{"Binds":["/proc:/host/proc:ro"]}"#)
        let pid = try #require(container.inspection.firstMatch(of: /"Pid":(\d+)/)).1
        let file = try run(["cat", "/proc/\(pid)/cgroup"]).output
        let reference = Array(file.utf8).withUnsafeBytes(CgroupPath.container(ofFile:))
        #expect(reference == ContainerReference(fullID: ByteText(container.id), runtime: .docker))

        let directory = ContainerDirectory(inspector: ContainerBridge(docker: DockerInspector(docker: DockerClient(socket: engine.socket, client: HTTPClient()))))
        let unknown = ContainerReference(fullID: ByteText(String(repeating: "0", count: 64)), runtime: .docker)
        let foreign = ContainerReference(fullID: "web", runtime: .lxc)
        let facts = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await directory.run() }
            defer { group.cancelAll() }
            for reference in [reference, unknown, foreign] { directory.prefetch(reference, beganAnew: false) }
            while directory.counters.pending > 0 { try await Task.sleep(for: .milliseconds(1)) }
            return try #require(directory.facts(of: reference))
        }
        #expect(directory.counters == .init(known: 1, unknown: 2))
        #expect(facts.name == container.name && facts.image == "riposte-test" && facts.labels == ["app": "web"] && !facts.isPrivileged)
        #expect(facts.imageID.count == 64 && facts.address == container.address)
        #expect(facts.mounts.contains(.init(source: "/proc", destination: "/host/proc", mode: "ro", isWritable: false, propagation: "rprivate")))
    }
}
