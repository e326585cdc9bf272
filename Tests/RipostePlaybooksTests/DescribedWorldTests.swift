import RiposteCore
import RipostePlaybooks
import Testing

private let text = """
    processes:
      - { pid: 100, start: 2026-03-04T11:00:00Z, exe: /bin/sh, container: 3f0c9a1b77de }
      - { pid: 101, start: 2026-03-04T11:00:01Z, exe: /bin/sleep, parent: 100, container: 3f0c9a1b77de }
      - { pid: 200, name: sshd, exe: /usr/sbin/sshd, uid: 0, user: root }
    containers:
      - { id: 3f0c9a1b77de, name: web, image: shop/web, labels: { tier: front } }
      - { id: 4a0c9a1b77de, name: db, image: shop/db, labels: { riposte.dev/protected: "true" } }
    pods:
      - { namespace: shop, name: web-1, uid: u1, owner: ReplicaSet/web, containers: [3f0c9a1b77de] }
    addresses: [{ address: 192.0.2.0/24, own: true }, { address: 198.51.100.1, blocked: true }]
    """

private let seen = Timestamp("2026-03-04T11:00:05Z") ?? Timestamp(nanoseconds: 0)

/// Described worlds answer as machines do: who is meant, what is done, and what a later look finds.
@Suite("Described worlds")
struct DescribedWorldTests {
    private let scene: DescribedScene
    private let catalogue: ActionCatalogue

    init() throws {
        scene = DescribedScene(try Stage.world(text), now: { seen })
        catalogue = scene.catalogue(Stage.actions)
    }

    private func plan(_ action: ActionName, _ claim: TargetClaim, _ parameters: JSONObject = [:]) async throws -> Plan {
        let action = try #require(catalogue[action])
        return try await action.plan(ActionRequest(claim: claim, parameters: try Parameters(checking: parameters, for: action.description), time: seen))
    }

    @discardableResult
    private func perform(_ name: ActionName, _ claim: TargetClaim, _ parameters: JSONObject = [:]) async throws -> Outcome {
        try await #require(catalogue[name]).perform(try await plan(name, claim, parameters)).outcome
    }

    /// How planning ends: `plan`, `gone`, or the class of the refusal.
    private func verdict(_ action: ActionName, _ claim: TargetClaim, _ parameters: JSONObject = [:]) async throws -> String {
        do {
            return try await plan(action, claim, parameters).alreadySo == nil ? "plan" : "already"
        } catch let error as ActionError {
            return error.failure?.rawValue ?? "gone"
        }
    }

    @Test(
        "a process is found by pid and start, and never by pid alone where an alert speaks",
        arguments: [
            ("the start that the alert names", ProcessClaim(pid: 100, startedAt: Timestamp("2026-03-04T11:00:00.2Z"), seenAt: seen), "plan"),
            ("another start", ProcessClaim(pid: 100, startedAt: Timestamp("2026-03-04T10:00:00Z"), seenAt: seen), "identity"),
            ("nobody of this number", ProcessClaim(pid: 999, seenAt: seen), "gone"),
            ("no start, the same executable", ProcessClaim(pid: 100, executable: "/bin/sh", seenAt: seen), "plan"),
            ("no start, another face", ProcessClaim(pid: 100, name: "bash", executable: "/bin/bash", seenAt: seen), "identity"),
            ("no start and no face", ProcessClaim(pid: 100, seenAt: seen), "unresolved"),
            ("no start, seen before it was", ProcessClaim(pid: 100, name: "sh", seenAt: Timestamp("2026-03-04T10:59:59Z")), "identity"),
            ("no start, seen long ago", ProcessClaim(pid: 200, name: "sshd", seenAt: Timestamp("2026-03-04T10:59:00Z")), "identity"),
            ("an operator's pid", ProcessClaim(pid: 100), "plan"),
        ])
    func processes(name: String, claim: ProcessClaim, expected: String) async throws {
        #expect(try await verdict("process.suspend", .process(claim)) == expected, "\(name)")
    }

    @Test(
        "containers, pods and addresses",
        arguments: [
            ("a short id", "container.pause", TargetClaim.container(ContainerClaim(reference: "3f0c9a1b77de", seenAt: seen)), "plan"),
            ("a full id that begins so", "container.pause", .container(ContainerClaim(reference: "3f0c9a1b77de" + String(repeating: "0", count: 52), seenAt: seen)), "plan"),
            ("another id", "container.pause", .container(ContainerClaim(reference: "ffffffffffff", seenAt: seen)), "gone"),
            ("an operator's name", "container.pause", .container(ContainerClaim(reference: "web")), "plan"),
            ("a name in an alert", "container.pause", .container(ContainerClaim(reference: "web", seenAt: seen)), "gone"),
            ("a pod by UID", "pod.delete", .pod(PodClaim(namespace: "shop", name: "web-1", uid: "u1")), "plan"),
            ("a pod that came again", "pod.delete", .pod(PodClaim(namespace: "shop", name: "web-1", uid: "u0")), "identity"),
            ("a pod by its container", "pod.delete", .pod(PodClaim(namespace: "shop", name: "web-1", containerID: "3f0c9a1b77de", seenAt: seen)), "plan"),
            ("a pod without that container", "pod.delete", .pod(PodClaim(namespace: "shop", name: "web-1", containerID: "4a0c9a1b77de", seenAt: seen)), "identity"),
        ])
    func others(name: String, action: String, claim: TargetClaim, expected: String) async throws {
        #expect(try await verdict(ActionName(rawValue: action), claim) == expected, "\(name)")
    }

    private static let web = TargetClaim.container(ContainerClaim(reference: "3f0c9a1b77de", seenAt: seen))
    private static let shell = TargetClaim.process(ProcessClaim(pid: 100))

    @Test("what holds a target is found by a later look, and let go by its inverse")
    func holds() async throws {
        #expect(try await verdict("container.unpause", Self.web) == "already")
        #expect(try await perform("container.pause", Self.web) == .done)
        #expect(try await verdict("container.pause", Self.web) == "already")
        #expect(try await perform("container.unpause", Self.web) == .done)
        #expect(try await verdict("container.pause", Self.web) == "plan")
        let blocked = try #require(IPNetwork("198.51.100.1"))
        #expect(try await verdict("network.block", .address(blocked), ["address": "198.51.100.1"]) == "already", "as described")
    }

    @Test("who was killed is gone, with the tree where that was asked for; a harmless signal ends nobody")
    func ends() async throws {
        let child = TargetClaim.process(ProcessClaim(pid: 101))
        #expect(try await perform("process.kill", Self.shell, ["signal": "CONT"]) == .done)
        #expect(try await verdict("process.suspend", Self.shell) == "plan")
        #expect(try await perform("process.kill", Self.shell, ["tree": true]) == .done)
        #expect(try await verdict("process.suspend", Self.shell) == "gone")
        #expect(try await verdict("process.suspend", child) == "gone")
        #expect(try await verdict("container.pause", Self.web) == "plan", "the container goes on")
    }

    @Test("a container that was killed stands there stopped: its processes are gone, and it cannot be paused until it is started")
    func stopped() async throws {
        try await perform("container.kill", Self.web)
        #expect(try await verdict("process.suspend", Self.shell) == "gone")
        #expect(try await verdict("container.pause", Self.web) == "conflict")
        #expect(try await perform("container.start", Self.web) == .done)
        #expect(try await verdict("container.pause", Self.web) == "plan")
    }

    @Test("what a guard of the configuration asks is answered from the description")
    func guards() async throws {
        var rule = GuardRule(name: "front", place: "riposte.yaml:1")
        rule.labels = ["tier=front"]
        let keeper = ConfiguredGuard(rule, world: scene)
        let inside = try await plan("process.suspend", Self.shell)
        #expect(await keeper.answer(to: GuardQuestion(plan: inside, time: seen))?.verdict == .refuse)
        let outside = try await plan("process.suspend", .process(ProcessClaim(pid: 200)))
        #expect(await keeper.answer(to: GuardQuestion(plan: outside, time: seen)) == nil)
        rule.labels = []
        rule.podOwners = ["ReplicaSet/web"]
        #expect(await ConfiguredGuard(rule, world: scene).answer(to: GuardQuestion(plan: inside, time: seen)) != nil)
    }

    @Test("what is built in holds in a described world too")
    func builtIn() async throws {
        let protection = DescribedProtection(scene, protectedNamespaces: ["kube-system"])
        func refuses(_ plan: Plan) async -> Bool { await protection.answer(to: GuardQuestion(plan: plan, time: seen)) != nil }
        #expect(await refuses(try await plan("container.pause", .container(ContainerClaim(reference: "db")))), "it is marked")
        #expect(!(await refuses(try await plan("container.pause", Self.web))))
        for (address, expected) in [("127.0.0.1", true), ("192.0.2.9", true), ("203.0.113.9", false)] {
            let network = try #require(IPNetwork(address))
            #expect(await refuses(try await plan("network.block", .address(network), ["address": .text(address)])) == expected, "\(address)")
        }
    }

    @Test(
        "a description that contradicts itself is told with its place",
        arguments: [
            ("processes: [{ pid: 1 }, { pid: 1 }]", "pid 1 stands there twice"), ("processes: [{ exe: /bin/sh }]", "a process needs pid"),
            ("processes: [{ pid: 5, container: 3f0c9a1b77de }]", "which is not among containers"), ("containers: [{ id: web }]", "expected a container's id"),
            ("processes: [{ pid: 5, start: noon }]", "expected a time"), ("procs: []", "world.yaml:1:1"),
            ("pods: [{ namespace: a }]", "a pod needs namespace and name"), ("addresses: [{ address: here }]", "an address or a block"),
        ])
    func problems(yaml: String, expected: String) throws {
        let error = #expect(throws: Diagnostics.self) { try Stage.world(yaml) }
        #expect("\(try #require(error))".contains(expected), "\(error.map { "\($0)" } ?? "")")
    }
}
