import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

@Suite("the network, by an agent in a namespace of its own", .serialized, .enabled(if: Machine.isRoot && Machine.has("nft") && Machine.has("ping"), "needs root, nft and ping"))
struct NetworkResponseTests {
    let host: NetworkNamespace
    let world: NetworkNamespace
    let place: Workplace

    init() throws {
        (host, world) = (try NetworkNamespace(), try NetworkNamespace())
        try host.join(world, addresses: ["10.78.0.1/24", "fd78::1/64"], others: ["10.78.0.2/24", "10.78.0.3/24", "fd78::2/64"])
        place = try Workplace(namespace: host)
        try place.write(
            playbooks: """
                  - name: block
                    match: { rules: ["Block it"] }
                    steps:
                      - action: network.block
                        with: { address: "{{ fd.rip }}" }
                  - name: block-for-a-while
                    match: { rules: ["Block for a while"] }
                    steps:
                      - action: network.block
                        with: { address: "{{ fd.rip }}", for: 2s }
                  - name: isolate
                    match: { rules: ["Isolate"] }
                    steps:
                      - action: network.isolate
                        with: { allow: ["10.78.0.2"] }
                        undo: { after: 3s }
                """)
    }

    private func send(_ rule: String, _ address: String = "") throws {
        try place.sendToSocket(alert(rule, pid: 1, fields: #","fd.rip":"\#(address)""#) + "\n")
    }

    @Test("an alert's address is blocked, others are not, and a person takes it back", arguments: ["10.78.0.3", "fd78::2"])
    func block(address: String) async throws {
        try await place.start()
        #expect(try host.canPing(address))
        try send("Block it", address)
        try await until { try place.outcomes() == ["network.block done"] }
        #expect(try !host.canPing(address, tries: 1))
        #expect(try host.canPing("10.78.0.2"))
        #expect(try place.riposte("network", "status").output.contains(address))
        let id = try #require(try place.records().last { $0["kind"] == "outcome" }?["id"]?.string?.shown)
        #expect(try place.riposte("undo", id).status == 0)
        #expect(try host.canPing(address))
        #expect(host.ruleset.isEmpty)
    }

    @Test("a timed block ends by itself, the agent dead or not")
    func timed() async throws {
        try await place.start()
        try send("Block for a while", "10.78.0.3")
        try await until { try place.outcomes().contains("network.block done") }
        place.kill()
        #expect(try !host.canPing("10.78.0.3", tries: 1))
        try await until { try host.canPing("10.78.0.3", tries: 1) }
    }

    @Test("own addresses, loopback and whoever manages this host are never blocked", arguments: ["127.0.0.1", "10.78.0.1", "::1", "0.0.0.0/0", "10.78.0.2"])
    func guarded(address: String) async throws {
        try await place.start(configuration: "network: { management_allow: [10.78.0.2] }")
        try send("Block it", address)
        try await until { try place.outcomes() == ["network.block refused"] }
        #expect(host.ruleset.isEmpty)
    }

    @Test("the host is isolated, its allow list is not, and when it is due the next agent opens all again")
    func isolate() async throws {
        try await place.start()
        try send("Isolate")
        try await until { try place.outcomes() == ["network.isolate done"] }
        place.kill()
        #expect(try !host.canPing("10.78.0.3", tries: 1))
        #expect(try host.canPing("10.78.0.2"))
        #expect(try host.canPing("127.0.0.1"))
        try await place.start()
        try await until { try host.canPing("10.78.0.3", tries: 1) }
        #expect(host.ruleset.isEmpty)
        try await until { try place.records().contains { $0["outcome"] == "undone" } }
    }

    @Test("by hand, with an agent and without one; a dry run leaves the kernel's rules as they are", arguments: Way.allCases)
    func byHand(way: Way) async throws {
        if way == .withAgent { try await place.start(mode: "observe") }
        let before = host.ruleset
        for command in [["network", "block", "10.78.0.3"], ["network", "isolate", "--allow", "10.78.0.2"]] {
            let (status, output) = try place.riposte(command + ["--dry-run"])
            #expect(status == 0 && output.contains("planned"), "\(output)")
        }
        #expect(host.ruleset == before)
        #expect(try place.riposte("network", "isolate").status == 3, "an empty allow list locks out")
        #expect(try place.riposte("network", "block", "10.78.0.3", "--for", "10m").status == 0)
        #expect(try place.riposte("network", "isolate", "--allow", "10.78.0.2").status == 0)
        #expect(try !host.canPing("10.78.0.3", tries: 1))
        let state = try #require(try place.json("network", "status").first)
        #expect(state["isolated"] == true, "\(state)")
        #expect(try place.riposte("network", "release").status == 0)
        #expect(try place.riposte("network", "unblock", "10.78.0.3").status == 0)
        #expect(try place.json("network", "unblock", "10.78.0.3").first?["outcome"] == "already")
        #expect(host.ruleset.isEmpty)
        #expect(try host.canPing("10.78.0.3"))
    }
}

@Suite("containers, by an agent and by hand", .serialized, .enabled(if: DockerEngine.isAvailable, "needs root, dockerd and busybox"))
struct ContainerResponseTests {
    let engine: DockerEngine
    let place: Workplace

    init() throws {
        engine = try DockerEngine.shared.get()
        place = try Workplace()
        try place.write(
            playbooks: """
                  - name: freeze
                    match: { rules: ["Terminal shell in container"], when: container.id exists }
                    steps:
                      - action: container.pause
                        undo: { after: 3s }
                """)
        _ = try place.folder.file("docker.yaml", "docker: { socket: \(engine.socket) }\n")
    }

    @Test("an alert freezes its container, and the pause is taken back when it is due")
    func alertToPause() async throws {
        let (container, other) = (try TestContainer(engine), try TestContainer(engine))
        try await place.start(configuration: "docker: { socket: \(engine.socket) }")
        try place.sendToSocket(
            alert("Terminal shell in container", pid: 1, fields: #","container.id":"\#(container.id.prefix(12))","container.name":"\#(container.name)""#) + "\n")
        try await until { container.isPaused }
        #expect(!other.isPaused)
        try await until { !container.isPaused }
        try await until { try place.outcomes().count == 2 }
        #expect(try place.outcomes() == ["container.pause done", "container.unpause undone"])
    }

    @Test("a made-up id, and an id of the host's, pause nobody", arguments: ["host", "aaaaaaaaaaaa", "../../version", ""])
    func forged(id: String) async throws {
        let container = try TestContainer(engine)
        try await place.start(configuration: "docker: { socket: \(engine.socket) }")
        try place.sendToSocket(alert("Terminal shell in container", pid: 1, fields: #","container.id":"\#(id)""#) + "\n")
        try await until { try place.records().contains { $0["kind"] == "run" || $0["kind"] == "outcome" } }
        #expect(!container.isPaused)
        #expect(try place.outcomes().allSatisfy { $0.hasPrefix("container.pause") && !$0.hasSuffix("done") })
    }

    @Test("every verb by hand, with an agent and without one; dry runs leave the engine's view as it is", arguments: Way.allCases)
    func byHand(way: Way) async throws {
        let container = try TestContainer(engine, options: #""HostConfig":{"CapAdd":["NET_ADMIN"]}"#)
        let docker = ["--config", place.folder.path + "/docker.yaml"]
        if way == .withAgent { try await place.start(mode: "observe", configuration: "docker: { socket: \(engine.socket) }") }
        let before = container.inspection
        for verb in ["pause", "stop", "kill", "restart", "isolate"] {
            let (status, output) = try place.riposte(["container", verb, container.name, "--dry-run"] + docker)
            #expect(status == 0 && output.contains("planned"), "\(output)")
        }
        #expect(container.inspection == before)
        #expect(try place.riposte(["container", "list"] + docker).output.contains(container.name))
        #expect(try place.riposte(["container", "show", container.name] + docker).output.contains(container.id.prefix(12)))
        for (verb, outcome) in [("pause", "done"), ("pause", "already"), ("unpause", "done"), ("isolate", "done")] {
            let (status, output) = try place.riposte(["container", verb, container.name, "--json"] + docker)
            #expect(status == 0 && output.contains(#""outcome":"\#(outcome)""#), "\(verb): \(output)")
        }
        #expect(try container.execute(["ping", "-c", "1", "-W", "1", "172.31.249.1"]) != 0)
        let isolation = try #require(try place.records().last { $0["action"] == "container.isolate" }?["id"]?.string?.shown)
        #expect(try place.riposte(["undo", isolation] + docker).status == 0)
        #expect(try container.execute(["ping", "-c", "1", "-W", "2", "172.31.249.1"]) == 0)
        #expect(try place.riposte(["container", "restart", container.name] + docker).status == 0)
        #expect(try place.riposte(["container", "kill", container.name] + docker).status == 0)
        #expect(!container.isRunning)
        #expect(try place.riposte(["container", "pause", container.name] + docker).status == 4, "it does not run")
        #expect(try place.riposte(["container", "pause", "no-such-container"] + docker).status == 4)
        #expect(try place.riposte("audit", "verify").status == 0)
    }
}
