@testable import RiposteActions
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import RiposteTransport
import Testing

private let client = HTTPClient()

@Suite("what a real Docker engine tells of a container", .serialized, .enabled(if: DockerEngine.isAvailable, "needs root, dockerd and busybox"))
struct DockerInspectorTests {
    let engine: DockerEngine
    let inspector: DockerInspector

    init() throws {
        engine = try DockerEngine.shared.get()
        inspector = DockerInspector(docker: DockerClient(socket: engine.socket, client: client))
    }

    @Test("name, image, labels, mounts, address and what it shares with the host")
    func inspection() async throws {
        let folder = try TemporaryFolder()
        let container = try TestContainer(
            engine, options: #""Labels":{"app":"web","empty":""},"HostConfig":{"Binds":["\#(folder.path):/data:ro","/proc:/host/proc"],"PidMode":"host"}"#)
        let found = try #require(try await inspector.inspect(container.id))
        #expect(found.id == container.id && found.name == container.name)
        #expect(found.image == "riposte-test" && found.impliedTag == "latest")
        #expect(found.imageID.hasPrefix("sha256:") && found.imageID.count == 71)
        #expect(found.imageDigest.isEmpty || found.imageDigest.hasPrefix("sha256:"), "none where images are not kept by containerd")
        #expect(found.labels == ["app": "web", "empty": ""])
        #expect(found.mounts.first { $0.source == folder.path } == .init(source: folder.path, destination: "/data", mode: "ro", isWritable: false, propagation: "rprivate"))
        #expect(found.mounts.contains { $0.source == "/proc" && $0.destination == "/host/proc" && $0.isWritable })
        #expect(!found.isPrivileged && found.sharesHostPID && !found.sharesHostNetwork && !found.sharesHostIPC)
        #expect(found.address == container.address && found.address?.hasPrefix("172.31.249.") == true)
        #expect(try #require(found.startedAt) > .now() + .seconds(-300))
        #expect(try await inspector.inspect(String(container.id.prefix(12)))?.id == container.id)
    }

    @Test("an image that is asked for by its id is called by its name")
    func imageByID() async throws {
        let first = try TestContainer(engine)
        let imageID = try #require(try await inspector.inspect(first.id)).imageID
        for reference in [imageID, String(imageID.dropFirst(7).prefix(12))] {
            let answer = try run([
                "curl", "-s", "--unix-socket", engine.socket, "-X", "POST", "-H", "Content-Type: application/json", "-d",
                #"{"Image":"\#(reference)","Cmd":["/bin/true"]}"#, "http://docker/v1.41/containers/create",
            ]).output
            let start = try #require(answer.range(of: #""Id":""#)).upperBound
            let id = String(answer[start...].prefix(64))
            defer { _ = try? run(["curl", "-s", "--unix-socket", engine.socket, "-X", "DELETE", "http://docker/v1.41/containers/\(id)?force=true"]) }
            let found = try #require(try await inspector.inspect(id))
            #expect(found.image == "riposte-test:latest" && found.impliedTag.isEmpty)
        }
    }

    @Test("who lives in another one's network has its address, and who has none has none")
    func networks() async throws {
        let owner = try TestContainer(engine)
        let guest = try TestContainer(engine, options: #""HostConfig":{"NetworkMode":"container:\#(owner.id)"}"#)
        #expect(try await inspector.inspect(guest.id)?.address == owner.address)
        let host = try TestContainer(engine, options: #""HostConfig":{"NetworkMode":"host","IpcMode":"host"}"#)
        let found = try #require(try await inspector.inspect(host.id))
        #expect(found.sharesHostNetwork && found.sharesHostIPC && found.address == nil)
    }

    @Test("one that is not there is nil, also where one is called like its id; an engine that is not there throws")
    func absence() async throws {
        let missing = String(repeating: "0", count: 64)
        #expect(try await inspector.inspect(missing) == nil)
        let impostor = try TestContainer(engine, name: String(repeating: "1", count: 12))
        #expect(try await inspector.inspect(impostor.name) == nil)
        await #expect(throws: ActionError.self) { try await DockerInspector(docker: DockerClient(socket: "/nonexistent/docker.sock", client: client)).inspect(missing) }
    }
}

struct ImageInspectionTests {
    @Test(
        "the digest of the repository that was asked for",
        arguments: [
            ("a/b:1", ["a/b@sha256:1", "c/d@sha256:2"], "sha256:1"), ("c/d", ["a/b@sha256:1", "c/d@sha256:2"], "sha256:2"),
            ("c/d:1@sha256:2", ["a/b@sha256:1", "c/d@sha256:2"], "sha256:2"), ("e", ["a/b@sha256:1", "c/d@sha256:2"], ""), ("e", ["a/b@sha256:1"], "sha256:1"),
            ("a", ["a/b@sha256:1", "ab@sha256:2"], ""), ("e", [], ""), ("e", ["<none>@sha256:1"], ""), ("e", ["broken"], ""),
        ])
    func digests(_ reference: String, _ digests: [String], _ expected: String) {
        #expect(ImageInspection(json: ["RepoDigests": .array(digests.map(JSON.text))]).digest(for: reference) == expected)
    }
}
