import Foundation
import Logging
@testable import RiposteActions
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import RiposteTransport
import Synchronization
import Testing

/// A guard for `postgresx`, a program that a tree starts when it is ended, or after it was looked at.
@Suite("of a process tree every member counts, also who comes to it after the plan")
struct TreeGuardTests {
    private let folder: TemporaryFolder
    private let database: String

    init() throws {
        folder = try TemporaryFolder()
        database = folder.path + "/postgresx"
        try FileManager.default.copyItem(atPath: "/bin/sleep", toPath: database)
    }

    private func engine(_ answer: GuardRule.Answer) -> Engine {
        var rule = GuardRule(name: "database", place: "riposte.yaml:7")
        (rule.processNames, rule.answer) = (["postgresx"], answer)
        let containers = ContainerLookup(docker: DockerClient(socket: "/nonexistent/docker.sock", client: HTTPClient()))
        let world = WorldFacts(containers: containers) { () throws(ActionError) in throw ActionError(.unavailable, "find the cluster", "there is none") }
        return Engine(
            configuration: .init(mode: .enforce), catalogue: ActionCatalogue([ProcessKill(confirmation: .seconds(10)), ProcessSuspend()]),
            guards: [ProcessGuards(), ConfiguredGuard(rule, world: world)], log: RecordingLog(), playbooks: .empty,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func databases() -> [Int32] { ProcFS.numbers(in: "/proc").filter { ProcFS.executable($0)?.shown == database && ProcFS.stat($0)?.isZombie == false } }

    /// One word per process, in order: runs, stopped, ended.
    private func states(_ pids: [Int32]) -> [String] {
        pids.map { pid in ProcFS.stat(pid).map { $0.isZombie ? "ended" : $0.isUnderStop ? "stopped" : "runs" } ?? "ended" }
    }

    @Test(
        "one that the tree starts within the grace stops the end of the tree, and all go on",
        arguments: [
            // Whoever is asked to end starts it and stays, or ends and leaves it to init.
            ("trap 'DATABASE 1000 &' TERM; while :; do sleep 0.05; done", GuardRule.Answer.refuse, false, "runs"),
            ("trap 'DATABASE 1000 &' TERM; while :; do sleep 0.05; done", .observe, false, "runs"),
            ("trap 'DATABASE 1000 & while ! grep -q postgresx /proc/$!/comm; do :; done; exit 0' TERM; while :; do sleep 0.05; done", .refuse, false, "ended"),
            // Force passes over guards of the configuration.
            ("trap 'DATABASE 1000 &' TERM; while :; do sleep 0.05; done", .refuse, true, "ended"),
        ])
    func grace(script: String, answer: GuardRule.Answer, isForced: Bool, shellThen: String) async throws {
        let shell = try ChildProcess(["setsid", "sh", "-c", script.replacing("DATABASE", with: database)])
        try await until { !ProcFS.children(of: shell.pid).isEmpty && ProcFS.stat(shell.pid)?.session == shell.pid }
        var order = Order(
            actor: .init(.person, name: "ann"), action: "process.kill", claim: .process(ProcessClaim(pid: shell.pid)), parameters: ["tree": true, "grace": "2s"], mode: .enforce)
        order.isForced = isForced
        let result = await engine(answer).carryOut(order)
        defer { for pid in databases() { kill(pid, SIGKILL) } }
        #expect(result.outcome == (isForced ? .done : .refused))
        #expect(states(databases()) == (isForced ? [] : ["runs"]) && states([shell.pid]) == [shellThen])
        guard !isForced else { return }
        let reason = try #require(result.reason)
        #expect(reason.hasPrefix("guard database (riposte.yaml:7): process "))
        #expect(reason.hasSuffix("is postgresx; it has come to the tree since it was planned: TERM was delivered, and no KILL follows"))
    }

    @Test("guards are asked about those who came since the plan, and about nobody twice; where one refuses, all are as they were", arguments: ["process.kill", "process.suspend"])
    func since(action name: ActionName) async throws {
        let action: any Action = name == "process.kill" ? ProcessKill(confirmation: .seconds(10)) : ProcessSuspend()
        let shell = try ChildProcess(["sh", "-c", "trap '\(database) 1000 &' USR1; sleep 1000 & sleep 1001 & while :; do wait; done"])
        try await until { ProcFS.children(of: shell.pid).count == 2 }
        let stopped = ProcFS.children(of: shell.pid)[0]
        kill(stopped, SIGSTOP)
        try await until { ProcFS.stat(stopped)?.isStopped == true }
        let plan = try await action.plan(action.ask(.process(ProcessClaim(pid: shell.pid)), ["tree": true]))
        kill(shell.pid, SIGUSR1)
        try await until { !databases().isEmpty && ProcFS.children(of: shell.pid).count == 3 }
        let pids = [shell.pid] + ProcFS.children(of: shell.pid)
        defer { for pid in pids.dropFirst() { kill(pid, SIGKILL) } }
        let before = states(pids)
        let asked = Mutex<[[Int32]]>([])
        let error = await #expect(throws: ActionError.self) {
            try await action.perform(plan) { wider async throws(ActionError) in
                asked.withLock { $0.append(ProcessTree.pids(of: wider, ProcessIdentity(pid: shell.pid))) }
                throw ActionError(.guarded, "guard database", "process 1 is postgresx")
            }
        }
        #expect(error?.failure == .guarded && error?.answer.contains("it has come to the tree since it was planned") == true)
        #expect(asked.withLock(\.self) == [[shell.pid] + databases()].map { $0.sorted() })
        #expect(before.count { $0 == "stopped" } == 1 && states(pids) == before)
        // Nobody is against it.
        asked.withLock { $0 = [] }
        #expect(try await action.perform(plan) { _ in asked.withLock { $0.append([]) } }.outcome == .done)
        #expect(asked.withLock(\.count) == 1)
        #expect(Set(states(pids)) == [name == "process.kill" ? "ended" : "stopped"])
    }

    @Test("who was stopped before is sent a signal, and is not woken by it")
    func stoppedBefore() async throws {
        let shell = try ChildProcess(["sh", "-c", "trap '' TERM; sleep 1000 & wait"])
        try await until { !ProcFS.children(of: shell.pid).isEmpty }
        let pids = [shell.pid] + ProcFS.children(of: shell.pid)
        defer { for pid in pids.dropFirst() { kill(pid, SIGKILL) } }
        let claim = TargetClaim.process(ProcessClaim(pid: shell.pid))
        let plan = try await ProcessSuspend().plan(ProcessSuspend().ask(claim))
        let token = try await ProcessSuspend().perform(plan).undoToken
        #expect(try await ProcessKill().carryOut(claim, ["tree": true, "signal": "TERM"]).message == "TERM was delivered to 2 processes")
        #expect(states(pids) == ["stopped", "runs"])
        #expect(try await ProcessSuspend().standing(of: StandingDeed(target: plan.target, parameters: plan.parameters, token: token, since: .now())) == .stands)
    }
}

extension ProcessIdentity {
    fileprivate init(pid: Int32) { self.init(pid: pid, startTicks: 0, bootID: "", startedAt: .now(), name: "") }
}
