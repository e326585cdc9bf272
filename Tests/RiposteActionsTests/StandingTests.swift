import Foundation
import Logging
@testable import RiposteActions
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import RiposteTransport
import Synchronization
import Testing

extension Action {
    /// What the engine asks of an action that it performed: with what was left, and what was asked for.
    fileprivate func look(_ target: Target, _ with: JSONObject = [:], _ token: JSONObject?, since: Timestamp = .now()) async throws -> Standing {
        try await standing(of: StandingDeed(target: target, parameters: try Parameters(checking: with, for: description), token: token, since: since))
    }

    fileprivate func failure(_ target: Target, _ with: JSONObject = [:], _ token: JSONObject?, isForced: Bool = false) async throws -> FailureClass? {
        var request = try ask(.proved(target), with, token: token)
        request.isForced = isForced
        do throws(ActionError) {
            _ = try await plan(request)
            return nil
        } catch { return error.failure }
    }
}

extension Standing {
    fileprivate var kind: String {
        switch self {
        case .stands: "stands"
        case .missing: "missing"
        case .restarted: "restarted"
        case .changed: "changed"
        case .expired: "expired"
        case .gone: "gone"
        }
    }
}

private let isPossible = Machine.isRoot && Machine.has("ip") && Machine.has("nft")

@Suite("what stands in nf_tables, in namespaces", .enabled(if: isPossible, "needs root, ip and nft: real namespaces of the real kernel"))
struct NetworkStandingTests {
    let host: NetworkNamespace
    let context: NetworkContext

    init() throws {
        host = try NetworkNamespace()
        context = NetworkContext(namespace: host.descriptor)
    }

    private func nft(_ command: String) throws { #expect(try host.execute(["nft"] + command.split(separator: " ").map(String.init)).status == 0, "\(command)") }

    @Test(
        "a block is as it was left, or it is said what somebody did; done again, it stands",
        arguments: [
            ("", "stands", false), ("delete table inet riposte", "missing", false), ("delete element inet riposte host4 { 192.0.2.7 }", "missing", false),
            ("flush chain inet riposte out", "changed", false), ("add table inet riposte { flags dormant; }", "changed", false),
        ])
    func block(_ change: String, _ expected: String, _ isDrifted: Bool) async throws {
        let (block, unblock) = (NetworkBlock(context: context), NetworkUnblock(context: context))
        let with: JSONObject = ["address": "192.0.2.7"]
        let target = Target.address(try #require(IPNetwork("192.0.2.7")))
        let token = try await block.carryOut(.proved(target), with).undoToken
        #expect(try await block.marks() == [target])
        if !change.isEmpty { try nft(change) }
        #expect(try await block.look(target, with, token).kind == expected)
        if expected != "stands" {
            let again = try await block.carryOut(.proved(target), with, token: token)
            #expect(again.outcome == .done && again.isConfirmed)
            #expect(try await block.look(target, with, again.undoToken) == .stands)
        }
        let left = expected == "stands" ? token : try await block.carryOut(.proved(target), with, token: token).undoToken ?? token
        #expect(try await unblock.failure(target, with, left) == nil || expected == "missing")
        #expect(try await unblock.failure(target, with, token, isForced: true) == nil)
    }

    @Test(
        "a block that somebody else made anew, or gave another time, is not taken for ours",
        arguments: [
            (
                nil,
                [
                    "delete table inet riposte", "add table inet riposte", "add chain inet riposte in", "add set inet riposte host4 { type ipv4_addr; flags timeout; }",
                    "add element inet riposte host4 { 192.0.2.7 }",
                ]
            ),
            (nil, ["delete element inet riposte host4 { 192.0.2.7 }", "add element inet riposte host4 { 192.0.2.7 timeout 1h }"]),
            ("1h", ["delete element inet riposte host4 { 192.0.2.7 }", "add element inet riposte host4 { 192.0.2.7 }"]),
            ("1h", ["delete element inet riposte host4 { 192.0.2.7 }", "add element inet riposte host4 { 192.0.2.7 timeout 9h }"]),
        ] as [(String?, [String])])
    func foreign(_ time: String?, _ changes: [String]) async throws {
        let (block, unblock) = (NetworkBlock(context: context), NetworkUnblock(context: context))
        var with: JSONObject = ["address": "192.0.2.7"]
        let target = Target.address(try #require(IPNetwork("192.0.2.7")))
        let address = with
        with.append("for", time.map(JSON.text))
        let token = try await block.carryOut(.proved(target), with).undoToken
        #expect(try await unblock.failure(target, address, token) == nil)
        for change in changes { try nft(change) }
        #expect(try await unblock.failure(target, address, token) == .drifted)
        #expect(try await unblock.failure(target, address, token, isForced: true) == nil)
        #expect(try await unblock.carryOut(.proved(target), address).outcome == .done)
    }

    @Test("a block that the kernel lifted in its time has expired")
    func expired() async throws {
        let block = NetworkBlock(context: context)
        let with: JSONObject = ["address": "192.0.2.7", "for": "1h"]
        let target = Target.address(try #require(IPNetwork("192.0.2.7")))
        let token = try await block.carryOut(.proved(target), with).undoToken
        try nft("delete element inet riposte host4 { 192.0.2.7 }")
        #expect(try await block.look(target, with, token).kind == "missing")
        #expect(try await block.look(target, with, token, since: .now() + .seconds(-3600)).kind == "expired")
    }

    @Test(
        "an isolation that somebody changed is said to be, put right, and not lifted without force",
        arguments: [
            ("delete table inet riposte", "missing"), ("delete chain inet riposte isolate_fwd", "changed"), ("insert rule inet riposte isolate_in accept", "changed"),
            ("flush chain inet riposte isolate_out", "changed"), ("add table inet riposte { flags dormant; }", "changed"),
        ])
    func isolation(_ change: String, _ expected: String) async throws {
        let (isolate, release) = (NetworkIsolate(managementAllow: [], context: context), NetworkRelease(context: context))
        let with: JSONObject = ["allow": ["10.0.0.0/8"]]
        let token = try await isolate.carryOut(.host, with).undoToken
        let target = Target.host(machineID: Host.machineID)
        #expect(try await isolate.look(target, with, token) == .stands)
        #expect(try await isolate.marks() == [target])
        if change.contains("delete chain") { try nft("flush chain inet riposte isolate_fwd") }
        try nft(change)
        #expect(try await isolate.look(target, with, token).kind == expected)
        let isAnother = change.contains("insert") || change.contains("flush")
        #expect(try await release.failure(target, [:], token) == (isAnother ? .drifted : nil))
        #expect(try await release.failure(target, [:], token, isForced: true) == nil)
        let again = try await isolate.carryOut(.proved(target), with, token: token)
        #expect(again.outcome == .done && again.isConfirmed)
        #expect(try await isolate.look(target, with, again.undoToken) == .stands)
        #expect(try await release.carryOut(.proved(target), token: again.undoToken).outcome == .done)
        #expect(host.ruleset.isEmpty)
    }

    @Test("changes of our tables by others are heard of, with the name of who made them; others' tables and our own changes are not")
    func watch() async throws {
        let block = NetworkBlock(context: context)
        let (heard, continuation) = AsyncStream.makeStream(of: Void.self)
        let watch = Task { [context] in try await NetfilterWatch(context: context).run { continuation.yield() } }
        _ = try await block.carryOut(.address(try #require(IPNetwork("192.0.2.7"))), ["address": "192.0.2.7"])
        try nft("add table inet others")
        // The subscription is there at some moment; from then on each change is heard of.
        let changes = Task { [host] in
            while !Task.isCancelled {
                _ = try host.execute(["nft", "add element inet riposte host4 { 192.0.2.8 }"])
                _ = try host.execute(["nft", "delete element inet riposte host4 { 192.0.2.8 }"])
            }
        }
        for await _ in heard { break }
        changes.cancel()
        watch.cancel()
        _ = await (changes.result, watch.result)
        #expect(ForeignChanges.shared.words.contains("nft, process "))
    }
}

@Suite("what stands of suspensions", .enabled(if: Machine.isRoot, "needs root"))
struct ProcessStandingTests {
    @Test("a suspended process stands, runs again by somebody's CONT, or has ended")
    func suspended() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        let suspend = ProcessSuspend()
        let plan = try await suspend.plan(suspend.ask(.process(ProcessClaim(pid: child.pid))))
        let token = try await suspend.perform(plan).undoToken
        // What nobody saw done is taken back by what the plan says.
        #expect(suspend.presumedToken(of: plan) == token)
        #expect(try await suspend.look(plan.target, [:], token) == .stands)
        child.signal(SIGCONT)
        while ProcFS.stat(child.pid)?.isStopped == true { await Task.yield() }
        #expect(try await suspend.look(plan.target, [:], token).kind == "missing")
        let resume = ProcessResume()
        #expect(try await resume.plan(resume.ask(.proved(plan.target), token: token)).alreadySo?.contains("somebody else") == true)
        child.signal(SIGKILL)
        _ = child.waitForSignal()
        #expect(try await suspend.look(plan.target, [:], token).kind == "gone")
    }

    @Test("the plan of a tree remembers who was stopped before: those are not ours to wake")
    func presumedTree() async throws {
        let child = try ChildProcess(["sh", "-c", "sleep 1000 & sleep 1000 & wait"])
        while ProcFS.children(of: child.pid).count < 2 { await Task.yield() }
        let first = try #require(ProcFS.children(of: child.pid).first)
        kill(first, SIGSTOP)
        while ProcFS.stat(first)?.isStopped != true { await Task.yield() }
        let suspend = ProcessSuspend()
        let plan = try await suspend.plan(suspend.ask(.process(ProcessClaim(pid: child.pid)), ["tree": true]))
        let pids = suspend.presumedToken(of: plan)?["members"]?.array?.compactMap { $0["pid"]?.integer } ?? []
        #expect(pids.count == 2 && !pids.contains(Int64(first)))
        for pid in ProcFS.children(of: child.pid) { kill(pid, SIGKILL) }
    }

    @Test("the end of a process that is held is heard of")
    func ends() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        let identity = try ProcessResolver().find(.process(ProcessClaim(pid: child.pid)), at: .now()).identity
        let (heard, continuation) = AsyncStream.makeStream(of: Void.self)
        let ends = ProcessEnds { continuation.yield() }
        ends.watch([identity])
        child.signal(SIGKILL)
        for await _ in heard { break }
        withExtendedLifetime(ends) {}
    }
}

@Suite("what stands on a real Docker engine", .serialized, .enabled(if: DockerEngine.isAvailable, "needs root, dockerd and busybox"))
struct ContainerStandingTests {
    private static let client = HTTPClient()
    let engine: DockerEngine
    let docker: DockerClient

    init() throws {
        engine = try DockerEngine.shared.get()
        docker = DockerClient(socket: engine.socket, client: Self.client)
    }

    private func target(_ container: TestContainer) async throws -> Target { .container(try await docker.inspect(container.id).identity) }

    @Test("a pause that somebody else lifted is missing, one that somebody made anew is not lifted without force")
    func pause() async throws {
        let container = try TestContainer(engine)
        let (pause, unpause, target) = (ContainerPause(docker: docker), ContainerUnpause(docker: docker), try await target(container))
        let since = Timestamp.now()
        let token = try await pause.carryOut(.proved(target)).undoToken
        #expect(try await pause.look(target, [:], token, since: since) == .stands)
        #expect(try await unpause.failure(target, [:], token) == nil)
        try await docker.unpause(container.id)
        guard case .missing(let words) = try await pause.look(target, [:], token, since: since) else { return #expect(Bool(false), "it is not missing") }
        #expect(words.contains("the engine was told to let it go on at 20"))
        #expect(try await unpause.plan(unpause.ask(.proved(target), token: token)).alreadySo != nil)
        try await docker.pause(container.id)
        #expect(try await unpause.failure(target, [:], token) == .drifted)
        #expect(try await unpause.failure(target, [:], token, isForced: true) == nil)
        try await docker.restart(container.id, timeout: .zero)
        #expect(try await pause.look(target, [:], token, since: since).kind == "missing")
        try await docker.kill(container.id, signal: .kill)
        #expect(try await pause.look(target, [:], token, since: since).kind == "gone")
    }

    @Test("a stopped container that somebody started is missing, and one that has ended again by itself is not started without force")
    func stop() async throws {
        let container = try TestContainer(engine)
        let (stop, start, target) = (ContainerStop(docker: docker), ContainerStart(docker: docker), try await target(container))
        let token = try await stop.carryOut(.proved(target), ["timeout": "1s"]).undoToken
        #expect(token?["finished_at"] != nil)
        #expect(try await stop.look(target, [:], token) == .stands)
        #expect(try await start.failure(target, [:], token) == nil)
        try await docker.start(container.id)
        #expect(try await stop.look(target, [:], token).kind == "missing")
        try await docker.kill(container.id, signal: .kill)
        while try await docker.inspect(container.id).isRunning { await Task.yield() }
        #expect(try await start.failure(target, [:], token) == .drifted)
        #expect(try await start.failure(target, [:], token, isForced: true) == nil)
    }

    @Test("an isolated container whose chains somebody changed is said to be so, and isolated again")
    func isolate() async throws {
        let container = try TestContainer(engine)
        let (isolate, release, target) = (ContainerIsolate(docker: docker), ContainerRelease(docker: docker), try await target(container))
        let token = try await isolate.carryOut(.proved(target)).undoToken
        #expect(try await isolate.look(target, [:], token) == .stands)
        #expect(try await isolate.marks()?.contains { $0.key == target.key } == true)
        let chain = try #require(token?["chains"]?.array?.first?["name"]?.string?.valid)
        #expect(try run(["nft", "flush", "chain", "netdev", "riposte", chain]).status == 0)
        #expect(try await isolate.look(target, [:], token).kind == "changed")
        #expect(try await release.failure(target, [:], token) == .drifted)
        let again = try await isolate.carryOut(.proved(target), token: token)
        #expect(again.outcome == .done)
        #expect(try await isolate.look(target, [:], again.undoToken) == .stands)
        #expect(try await release.carryOut(.proved(target), token: again.undoToken).outcome == .done)
    }

    @Test("root inside who ends the first process again and again is isolated in each run, and in between nothing is said to be over")
    func restarts() async throws {
        let container = try TestContainer(engine, options: #""HostConfig":{"RestartPolicy":{"Name":"always"}}"#)
        let log = RecordingLog()
        var configuration = Engine.Configuration(mode: .enforce)
        configuration.reconciliation.every = .seconds(3600)
        let riposte = Engine(
            configuration: configuration, catalogue: ActionCatalogue([ContainerIsolate(docker: docker), ContainerRelease(docker: docker)]), guards: [], log: log,
            playbooks: .empty, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let isolation = await riposte.carryOut(
            Order(actor: .init(.person, name: "ann"), action: "container.isolate", claim: .proved(try await target(container)), mode: .enforce))
        #expect(isolation.outcome == .done)
        for _ in 0..<4 {
            let before = try await docker.inspect(container.id)
            kill(before.pid, SIGKILL)
            var now = before
            while now.startedAt == before.startedAt || now.pid == 0 || now.isRestarting {
                await riposte.reconcile()
                #expect(riposte.snapshot.openUndos.keys.sorted() == [isolation.id])
                now = try await docker.inspect(container.id)
            }
            await riposte.reconcile()
            #expect(riposte.snapshot.openUndos.keys.sorted() == [isolation.id] && riposte.drifts.isEmpty)
            #expect(try container.execute(["ping", "-c", "1", "-W", "1", "172.31.249.1"]) != 0)
        }
        #expect(log.records.count { $0.kind == .drift && $0.detail["finding"] == "restarted" } == 4)
        #expect(log.records.filter { $0.kind == .outcome }.map(\.outcome) == Array(repeating: .done, count: 5))
        #expect(await riposte.undo(isolation.id, actor: .init(.person, name: "ann")).outcome == .undone)
        #expect(try container.execute(["ping", "-c", "1", "-W", "2", "172.31.249.1"]) == 0)
    }

    @Test("an isolation stands while its container is stopped, and ends with the container")
    func stoppedIsolation() async throws {
        let isolate = ContainerIsolate(docker: docker)
        let target: Target
        let token: JSONObject?
        do {
            let container = try TestContainer(engine)
            target = try await self.target(container)
            token = try await isolate.carryOut(.proved(target)).undoToken
            try await docker.stop(container.id, timeout: .zero, signal: nil)
            #expect(try await isolate.look(target, [:], token) == .stands)
            try await docker.start(container.id)
            #expect(try await isolate.look(target, [:], token).kind == "restarted")
        }
        #expect(try await isolate.look(target, [:], token).kind == "gone")
        #expect(try await ContainerRelease(docker: docker).carryOut(.proved(target), token: token).outcome == .done)
        #expect(try await isolate.marks()?.contains { $0.key == target.key } == false)
    }

    @Test("the engine's events are heard of as they happen")
    func events() async throws {
        let container = try TestContainer(engine)
        let (heard, continuation) = AsyncStream.makeStream(of: ContainerEvent.self)
        let watch = Task { [docker] in try await docker.watch { continuation.yield($0) } }
        let changes = Task { [docker] in
            while !Task.isCancelled {
                try await docker.pause(container.id)
                try await docker.unpause(container.id)
            }
        }
        for await event in heard where event.id == container.id && event.name == "pause" { break }
        changes.cancel()
        watch.cancel()
        _ = await (changes.result, watch.result)
    }
}
