import Foundation
@testable import RiposteActions
import Logging
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import RiposteTransport
import Testing

private func claim(_ container: TestContainer) -> TargetClaim { .container(ContainerClaim(reference: container.id, seenAt: .now())) }
private func claim(_ reference: String) -> TargetClaim { .container(ContainerClaim(reference: reference)) }

private let client = HTTPClient()
private func docker() throws -> DockerClient { DockerClient(socket: try DockerEngine.shared.get().socket, client: client) }

/// One engine, one test after another: a burst of starting containers would test the engine.
@Suite("on a real Docker engine", .serialized, .enabled(if: DockerEngine.isAvailable, "needs root, dockerd and busybox"))
struct ContainerTests {
    let engine: DockerEngine
    let docker: DockerClient

    init() throws {
        engine = try DockerEngine.shared.get()
        docker = try RiposteActionsTests.docker()
    }

    // MARK: - Pause, stop, kill, restart

    @Test("a container is frozen and thawed; twice is `already`")
    func pause() async throws {
        let container = try TestContainer(engine)
        let (pause, unpause) = (ContainerPause(docker: docker), ContainerUnpause(docker: docker))
        let plan = try await pause.plan(pause.ask(claim(container)))
        #expect(!container.isPaused, "a plan only looks")
        let performance = try await pause.perform(plan)
        #expect(performance.outcome == .done && performance.isConfirmed && container.isPaused)
        #expect(try await pause.perform(plan).outcome == .already, "the same plan twice")
        #expect(try await pause.carryOut(claim(container)).outcome == .already)
        #expect(try await unpause.carryOut(claim(container), token: performance.undoToken).outcome == .done)
        #expect(!container.isPaused)
        #expect(try await unpause.carryOut(claim(container)).outcome == .already)
    }

    @Test("an alert of the sensor's hits the container in whose own control group the process was, and none that a group was only named after")
    func membership() async throws {
        let container = try TestContainer(engine)
        let state = try await docker.inspect(container.id)
        let own = try #require(ContainerGroups(of: state)?.paths.first)
        func stop(_ cgroup: String?) async throws {
            _ = try await ContainerPause(docker: docker).plan(
                ContainerPause(docker: docker).ask(.container(ContainerClaim(reference: container.id, seenAt: .now(), membership: .init(cgroup: cgroup)))))
        }
        try await stop(own)
        try await stop(own + "/system.slice/x.service")
        for strange in ["/user.slice/user-1000.slice/user@1000.service/\(container.id)", "/docker/\(String(repeating: "a", count: 64))/\(container.id)", own + "x", "/", nil] {
            await #expect { try await stop(strange) } throws: { ($0 as? ActionError)?.failure == .identity }
        }
    }

    @Test("taking a pause back leaves alone who was started anew and paused by somebody else")
    func drifted() async throws {
        let container = try TestContainer(engine)
        let token = try await ContainerPause(docker: docker).carryOut(claim(container)).undoToken
        try await docker.unpause(container.id)
        try await docker.restart(container.id, timeout: .zero)
        try await docker.pause(container.id)
        await #expect {
            try await ContainerUnpause(docker: docker).carryOut(claim(container.name), token: token)
        } throws: { ($0 as? ActionError)?.failure == .drifted }
        #expect(container.isPaused)
    }

    @Test("stopping asks first and kills who does not listen, and starting takes it back")
    func stop() async throws {
        // PID 1 of a container has no default action for TERM: sleep ignores it.
        let container = try TestContainer(engine)
        let performance = try await ContainerStop(docker: docker).carryOut(claim(container), ["timeout": "1s"])
        #expect(performance.outcome == .done && performance.isConfirmed && !container.isRunning)
        #expect(try await ContainerStop(docker: docker).carryOut(claim(container)).outcome == .already)
        #expect(try await ContainerStart(docker: docker).carryOut(claim(container), token: performance.undoToken).outcome == .done)
        #expect(container.isRunning)
    }

    @Test("a stop that is called off within its grace leaves the container running, and the engine does not end it later")
    func stopCalledOff() async throws {
        let container = try TestContainer(engine)
        let catalogue = ActionCatalogue([ContainerStop(docker: docker), ContainerStart(docker: docker)])
        let log = RecordingLog()
        let engine = Engine(
            configuration: .init(mode: .enforce), catalogue: catalogue, guards: [], log: log, playbooks: .empty,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let order = Order(
            actor: .init(.person, name: "ann"), action: "container.stop", claim: claim(container), parameters: ["timeout": "300s"], mode: .enforce)
        let stop = Task { await engine.carryOut(order) }
        while engine.ordersUnderWay(atLeast: .milliseconds(200)).first?.phase != .performing { try await Task.sleep(for: .milliseconds(10)) }
        let called = await engine.cancel(order.id, actor: .init(.person, name: "bob"), reason: "wrong one")
        let result = await stop.value
        #expect(called == result && result.outcome == .failed && container.isRunning)
        #expect(result.reason?.contains("called off by bob: wrong one, and it is not in effect; ") == true && result.reason?.contains("no KILL follows") == true)
        let record = try #require(log.records.last)
        #expect(record.kind == .outcome && record.failure == .cancelled && record.detail["cancelled"]?["actor"]?["name"]?.string == "bob")
        #expect(engine.ordersUnderWay(atLeast: .zero).isEmpty)
        // The turn is free, and nothing of the stop that was called off is left in the engine.
        #expect(try await ContainerStop(docker: docker).carryOut(claim(container), ["timeout": "1s"]).outcome == .done)
    }

    @Test("a paused container is not stopped, which would let it run: kill it")
    func stopPaused() async throws {
        let container = try TestContainer(engine)
        _ = try await ContainerPause(docker: docker).carryOut(claim(container))
        #expect(try await ContainerStop(docker: docker).verdict(claim(container)) == "policy")
        #expect(try await ContainerKill(docker: docker).carryOut(claim(container)).outcome == .done)
        #expect(!container.isRunning)
    }

    @Test("a paused container is not woken by a signal that it can handle, also where it was paused after the plan")
    func pausedAndHandling() async throws {
        let container = try TestContainer(engine, command: ["/bin/sh", "-c", "trap 'echo woken > /woken' TERM; while :; do sleep 1; done"])
        let (stop, kill, restart, pause) = (ContainerStop(docker: docker), ContainerKill(docker: docker), ContainerRestart(docker: docker), ContainerPause(docker: docker))
        let plans: [(any Action, Plan)] = [
            (stop, try await stop.plan(stop.ask(claim(container)))), (kill, try await kill.plan(kill.ask(claim(container), ["signal": "TERM"]))),
            (restart, try await restart.plan(restart.ask(claim(container)))),
        ]
        _ = try await pause.carryOut(claim(container))
        #expect(try await kill.verdict(claim(container), ["signal": "TERM"]) == "policy")
        #expect(try await restart.verdict(claim(container)) == "policy")
        for (action, plan) in plans {
            await #expect { try await action.perform(plan) } throws: { ($0 as? ActionError)?.failure == .policy }
            #expect(container.isPaused, "\(plan.action)")
        }
        try await docker.unpause(container.id)
        #expect(try container.execute(["test", "-e", "/woken"]) != 0, "the handler never ran")
    }

    @Test("killing, and killing who is dead")
    func kill() async throws {
        let container = try TestContainer(engine)
        let performance = try await ContainerKill(docker: docker).carryOut(claim(container))
        #expect(performance.outcome == .done && performance.isConfirmed && !container.isRunning)
        #expect(try await ContainerKill(docker: docker).carryOut(claim(container)).outcome == .already)
    }

    @Test("a container that removes itself is gone after its death")
    func autoRemoved() async throws {
        let container = try TestContainer(engine, options: #""HostConfig":{"AutoRemove":true}"#)
        #expect(try await ContainerRestart(docker: docker).verdict(claim(container)) == "policy")
        let plan = try await ContainerKill(docker: docker).plan(ContainerKill(docker: docker).ask(claim(container)))
        #expect(plan.remarks.contains { $0.contains("--rm") })
        #expect(try await ContainerKill(docker: docker).perform(plan).outcome == .done)
        for _ in 0..<100 where try await ContainerKill(docker: docker).verdict(claim(container)) != "gone" { try await Task.sleep(for: .milliseconds(20)) }
        #expect(try await ContainerKill(docker: docker).verdict(claim(container)) == "gone")
    }

    @Test("restarting gives another first process")
    func restart() async throws {
        let container = try TestContainer(engine)
        let before = try await docker.inspect(container.id)
        #expect(try await ContainerRestart(docker: docker).carryOut(claim(container), ["timeout": "1s"]).outcome == .done)
        let after = try await docker.inspect(container.id)
        #expect(after.isRunning && after.pid != before.pid && after.id == before.id)
    }

    // MARK: - Who is meant

    @Test("a person may name it, and gets the full id; an alert must bring an id that was not reused")
    func references() async throws {
        let container = try TestContainer(engine)
        let pause = ContainerPause(docker: docker)
        for reference in [container.id, String(container.id.prefix(12)), container.name] {
            let plan = try await pause.plan(pause.ask(claim(reference)))
            #expect(plan.target == .container(try await docker.inspect(container.id).identity))
        }
        for hostile in ["nobody-is-called-this", "../version", "\(container.name)?x=1", "a/../../info", "%2e%2e", "", " ", "x\u{0}y"] {
            #expect(try await ["gone", "invalid", "unavailable", "unresolved"].contains(pause.verdict(claim(hostile))), "\(hostile)")
        }
        func alert(_ reference: String, at time: Timestamp = .now()) -> TargetClaim { .container(ContainerClaim(reference: reference, seenAt: time)) }
        #expect(try await pause.verdict(alert(String(container.id.prefix(12)))) == "ok")
        #expect(try await pause.verdict(alert(container.id, at: .now() + .seconds(-60))) == "identity", "started after the alert")
        #expect(!container.isPaused)
    }

    @Test("a container that is named like another's short id is not taken for it")
    func nameLikeAnID() async throws {
        let meant = try TestContainer(engine)
        let impostor = try TestContainer(engine, name: String(meant.id.prefix(12)))
        let verdict = try await ContainerPause(docker: docker).verdict(.container(ContainerClaim(reference: impostor.name, seenAt: .now())))
        #expect(verdict == "identity")
        #expect(!meant.isPaused && !impostor.isPaused)
    }

    @Test("a label protects, and letting go is never refused")
    func protection() async throws {
        let container = try TestContainer(engine, options: #""Labels":{"riposte.dev/protected":"true"}"#)
        let wall = ContainerGuard(docker: docker)
        let pause = try await ContainerPause(docker: docker).plan(ContainerPause(docker: docker).ask(claim(container)))
        #expect(await wall.refusal(of: pause)?.contains("riposte.dev/protected") == true)
        let unpause = try await ContainerUnpause(docker: docker).plan(ContainerUnpause(docker: docker).ask(claim(container)))
        #expect(await wall.refusal(of: unpause) == nil)
    }

    @Test("an engine that is not there is `unavailable`, and says what to set")
    func noEngine() async throws {
        let nobody = DockerClient(socket: "/nonexistent/docker.sock", client: client)
        let error = try await #require(throws: ActionError.self) {
            try await ContainerPause(docker: nobody).plan(ContainerPause(docker: nobody).ask(claim("x")))
        }
        #expect(error.failure == .unavailable && error.message.contains("docker.socket"))
    }

    // MARK: - Isolation

    @Test("isolation cuts what flows and what would, root inside cannot undo it, others go on, and release opens all again")
    func isolate() async throws {
        let container = try TestContainer(engine, command: ["/bin/nc", "-ll", "-p", "7003", "-e", "/bin/cat"], options: #""HostConfig":{"CapAdd":["NET_ADMIN"]}"#)
        let other = try TestContainer(engine)
        let gateway = "172.31.249.1"
        #expect(try container.execute(["ping", "-c", "1", "-W", "1", gateway]) == 0)
        #expect(try container.execute(["ping", "-c", "1", "-W", "1", other.address]) == 0)
        let connection = try Connection(to: container.address, port: 7003)
        #expect(try await connection.echo("before") == "before")

        let isolate = ContainerIsolate(docker: docker)
        let performance = try await isolate.carryOut(claim(container))
        #expect(performance.outcome == .done && performance.isConfirmed)
        #expect(try await isolate.carryOut(claim(container)).outcome == .already)
        #expect(try await connection.echo("after") == nil, "an established connection carries nothing")
        for fixing in [
            ["ip", "link", "set", "eth0", "down"], ["ip", "link", "set", "eth0", "up"], ["ip", "route", "add", "default", "via", gateway],
            ["ip", "addr", "add", "172.31.249.77/24", "dev", "eth0"], ["ip", "link", "set", "eth0", "name", "eth9"],
        ] { _ = try container.execute(fixing) }
        #expect(try container.execute(["ping", "-c", "1", "-W", "1", gateway]) != 0)
        #expect(try container.execute(["ping", "-c", "1", "-W", "1", other.address]) != 0)
        #expect(try run(["ping", "-c", "1", "-W", "1", container.address]).status != 0)
        #expect(try other.execute(["ping", "-c", "1", "-W", "1", gateway]) == 0, "others are as they were")

        let release = ContainerRelease(docker: docker)
        #expect(try await release.carryOut(claim(container)).outcome == .done)
        #expect(try container.execute(["ping", "-c", "1", "-W", "2", gateway]) == 0)
        #expect(try await release.carryOut(claim(container)).outcome == .already)
        #expect(try !run(["nft", "list", "ruleset"]).output.contains("table netdev riposte"), "nothing is left behind")
    }

    @Test("the allow list stays open, both ways")
    func allowList() async throws {
        let (container, friend, stranger) = (try TestContainer(engine), try TestContainer(engine), try TestContainer(engine))
        _ = try await ContainerIsolate(docker: docker).carryOut(claim(container), ["allow": [.text(friend.address)]])
        #expect(try container.execute(["ping", "-c", "1", "-W", "2", friend.address]) == 0)
        #expect(try friend.execute(["ping", "-c", "1", "-W", "2", container.address]) == 0)
        #expect(try container.execute(["ping", "-c", "1", "-W", "1", stranger.address]) != 0)
        _ = try await ContainerRelease(docker: docker).carryOut(claim(container))
    }

    @Test("a container in the host's network is refused with the reason, one without a network is `already`")
    func unusualNetworks() async throws {
        let host = try TestContainer(engine, options: #""HostConfig":{"NetworkMode":"host"}"#)
        let error = try await #require(throws: ActionError.self) { try await ContainerIsolate(docker: docker).carryOut(claim(host)) }
        #expect(error.failure == .policy && error.message.contains("host's network"))
        let none = try TestContainer(engine, options: #""HostConfig":{"NetworkMode":"none"}"#)
        #expect(try await ContainerIsolate(docker: docker).carryOut(claim(none)).outcome == .already)
    }

    @Test("with another allow list it is another isolation, a stricter one and a looser one")
    func anotherAllowList() async throws {
        let container = try TestContainer(engine)
        let isolate = ContainerIsolate(docker: docker)
        let gateway = "172.31.249.1"
        for (allow, isOpen) in [([gateway], true), ([], false), ([gateway + ":443/tcp"], false), (["172.31.249.0/24"], true)] {
            let with: JSONObject = ["allow": .array(allow.map(JSON.text))]
            #expect(try await isolate.carryOut(claim(container), with).outcome == .done, "\(allow)")
            #expect(try await isolate.carryOut(claim(container), with).outcome == .already, "\(allow)")
            #expect(try (container.execute(["ping", "-c", "1", "-W", "1", gateway]) == 0) == isOpen, "\(allow)")
        }
        _ = try await ContainerRelease(docker: docker).carryOut(claim(container))
    }

    /// A command on the host, in the container's network.
    private func within(_ container: TestContainer, _ command: String) async throws {
        let pid = try await docker.inspect(container.id).pid
        let result = try run(["nsenter", "-t", "\(pid)", "-n"] + command.split(separator: " ").map(String.init))
        #expect(result.status == 0, "\(command): \(result.output)")
    }

    /// A device on the engine's bridge that has no end on the host, in the container under this name.
    private func addLeg(to container: TestContainer, named name: String) async throws {
        let pid = try await docker.inspect(container.id).pid
        let temporary = "mv\(pid)"
        #expect(try run(["ip", "link", "add", "link", "docker0", "name", temporary, "type", "macvlan", "mode", "bridge"]).status == 0)
        #expect(try run(["ip", "link", "set", temporary, "netns", "\(pid)", "name", name]).status == 0)
        try await within(container, "ip link set \(name) up")
    }

    private func answers(_ container: TestContainer) throws -> Bool { try run(["ping", "-c", "1", "-W", "1", container.address]).status == 0 }

    @Test("a first process that has left for a network of its own leaves the container's to be cut")
    func firstProcessLeaves() async throws {
        let container = try TestContainer(
            engine, command: ["/bin/sh", "-c", "sleep 1000 & exec unshare -n sleep 1000"], options: #""HostConfig":{"CapAdd":["SYS_ADMIN"]}"#)
        let pid = try await docker.inspect(container.id).pid
        func isAlone() -> Bool { (try? RouteReader(in: NetworkContext(namespace: open("/proc/\(pid)/ns/net", O_RDONLY | O_CLOEXEC))).links().count) == 1 }
        while !isAlone() { await Task.yield() }
        #expect(try answers(container))
        let performance = try await ContainerIsolate(docker: docker).carryOut(claim(container))
        #expect(performance.outcome == .done && performance.isConfirmed)
        #expect(try !answers(container))
        _ = try await ContainerRelease(docker: docker).carryOut(claim(container))
        #expect(try answers(container))
    }

    @Test("an interface that cannot be cut is not `no network`, whatever it is called")
    func renamedLeg() async throws {
        let container = try TestContainer(engine, options: #""HostConfig":{"NetworkMode":"none"}"#)
        try await addLeg(to: container, named: "sit0")
        #expect(try await ContainerIsolate(docker: docker).verdict(claim(container)) == "policy")
    }

    @Test(
        "devices that lead nowhere do not keep a container from being isolated, nor its isolation from being watched over",
        arguments: [
            "ip link add va type veth peer name vb", "ip link add x type bridge", "ip tuntap add dev tun7 mode tun", "ip link add link eth0 name y type macvlan mode bridge",
        ])
    func idleDevices(command: String) async throws {
        let container = try TestContainer(engine)
        try await within(container, command)
        let isolate = ContainerIsolate(docker: docker)
        let performance = try await isolate.carryOut(claim(container))
        #expect(performance.outcome == .done && performance.isConfirmed)
        #expect(try !answers(container))
        try await within(container, "ip link add z type bridge")
        let deed = StandingDeed(target: .container(try await docker.inspect(container.id).identity), token: performance.undoToken, since: .now())
        #expect(try await isolate.standing(of: deed) == .stands)
        _ = try await ContainerRelease(docker: docker).carryOut(claim(container))
    }

    @Test("what leads out and can be cut is cut where something else cannot be; that is named, and what was done can be taken back")
    func partlyCut() async throws {
        let container = try TestContainer(engine)
        try await addLeg(to: container, named: "leg0")
        let isolate = ContainerIsolate(docker: docker)
        let plan = try await isolate.plan(isolate.ask(claim(container)))
        #expect(plan.alreadySo == nil && plan.remarks.contains { $0.contains("leg0 (macvlan)") })
        let error = try await #require(throws: ActionError.self) { try await isolate.perform(plan) }
        #expect(error.failure == .partial && error.message.contains("may pass at leg0 (macvlan)"))
        #expect(try !answers(container))
        #expect(try await isolate.plan(isolate.ask(claim(container))).alreadySo == nil, "it is not isolated")
        let token = try #require(error.evidence["undo_token"]?.object)
        let deed = StandingDeed(target: plan.target, token: token, since: .now())
        #expect(try await isolate.standing(of: deed) == .stands)
        try await addLeg(to: container, named: "leg1")
        guard case .changed(let words) = try await isolate.standing(of: deed) else { return #expect(Bool(false), "a new way out is not seen") }
        #expect(words.contains("leg1"))
        #expect(try await ContainerRelease(docker: docker).carryOut(claim(container), token: token).outcome == .done)
        #expect(try answers(container))
    }

    @Test("others in the same network are named, and cut only where they may be")
    func sharedNetwork() async throws {
        let isolate = ContainerIsolate(docker: docker)
        for (options, isProtected) in [(#""Labels":{"riposte.dev/protected":"true"}"#, true), (#""Labels":{}"#, false)] {
            let owner = try TestContainer(engine, options: options)
            let guest = try TestContainer(engine, options: "\"HostConfig\":{\"NetworkMode\":\"container:\(owner.id)\"}")
            for (one, other) in [(guest, owner), (owner, guest)] {
                let plan = try await isolate.plan(isolate.ask(claim(one)))
                #expect(plan.facts["shared_with"] == .array([.text(other.id)]) && plan.summary.contains(other.id.prefix(12)))
                #expect((await ContainerGuard(docker: docker).refusal(of: plan) != nil) == isProtected)
            }
            let plan = try await isolate.plan(isolate.ask(claim(guest)))
            #expect(
                await ContainerGuard(docker: docker).refusal(of: plan)?.hasPrefix("container \(owner.id.prefix(12)), which is in the same network, is labelled")
                    == (isProtected ? true : nil))
            guard !isProtected else { continue }
            let late = try TestContainer(engine, options: "\"HostConfig\":{\"NetworkMode\":\"container:\(owner.id)\"}")
            await #expect { try await isolate.perform(plan) } throws: { ($0 as? ActionError)?.failure == .identity }
            #expect(try answers(owner), "nothing was cut that no guard was asked about")
            withExtendedLifetime(late) {}
        }
    }

    @Test("a second interface is cut with the first")
    func twoNetworks() async throws {
        let name = "riposte-\(UInt32.random(in: 0...9999))"
        let api = ["curl", "-s", "--unix-socket", engine.socket, "-X", "POST", "-H", "Content-Type: application/json"]
        try run(api + ["-d", "{\"Name\":\"\(name)\"}", "http://docker/v1.41/networks/create"])
        defer { _ = try? run(["curl", "-s", "--unix-socket", engine.socket, "-X", "DELETE", "http://docker/v1.41/networks/\(name)"]) }
        do {
            let (container, neighbour) = (try TestContainer(engine), try TestContainer(engine, options: "\"HostConfig\":{\"NetworkMode\":\"\(name)\"}"))
            try run(api + ["-d", "{\"Container\":\"\(container.id)\"}", "http://docker/v1.41/networks/\(name)/connect"])
            let address = neighbour.lastAddress
            #expect(try container.execute(["ping", "-c", "1", "-W", "2", address]) == 0)
            _ = try await ContainerIsolate(docker: docker).carryOut(claim(container))
            #expect(try container.execute(["ping", "-c", "1", "-W", "1", address]) != 0)
            #expect(try container.execute(["ping", "-c", "1", "-W", "1", "172.31.249.1"]) != 0)
            _ = try await ContainerRelease(docker: docker).carryOut(claim(container))
            #expect(try container.execute(["ping", "-c", "1", "-W", "2", address]) == 0)
        }
    }
}

/// A TCP connection to something that sends back what it gets.
private final class Connection {
    private let descriptor: Int32

    init(to address: String, port: UInt16) throws {
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_port = port.bigEndian
        inet_pton(AF_INET, address, &place.sin_addr)
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var wait = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
        var status: Int32 = -1
        for _ in 0..<100 where status != 0 {
            status = withUnsafePointer(to: &place) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
            }
            if status != 0 { usleep(20_000) }
        }
        try #require(status == 0, "nobody answers at \(address):\(port)")
    }

    deinit { close(descriptor) }

    /// What comes back within two seconds.
    func echo(_ text: String) async throws -> String? {
        let line = Array((text + "\n").utf8)
        guard send(descriptor, line, line.count, Int32(MSG_NOSIGNAL)) == line.count else { return nil }
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self).trimmingCharacters(in: .newlines) : nil
    }
}
