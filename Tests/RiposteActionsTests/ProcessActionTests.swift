import Foundation
@testable import RiposteActions
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

/// What an alert says of a child: all of it true.
private func claim(_ child: ChildProcess, seenAt: Timestamp? = .now()) throws -> ProcessClaim {
    let stat = try #require(ProcFS.stat(child.pid))
    return ProcessClaim(pid: child.pid, startedAt: Host.time(ofTicks: stat.startTicks), name: stat.name, seenAt: seenAt)
}

/// Processes whose command line holds a word that only they know.
private func processes(with word: String) throws -> [Int32] {
    try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }.filter { pid in
        ProcFS.commandLine(pid)?.shown.contains(word) == true && ProcFS.stat(pid)?.isZombie == false
    }
}

/// Waits for what another process comes to; says so where it has not within ten seconds.
func until(_ condition: () throws -> Bool) async throws {
    for _ in 0..<2000 {
        if try condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("it never came to be")
}

@Suite("process.kill, on children of the test")
struct ProcessKillTests {
    @Test("a process that the alert proves is ended, and the second alert finds it gone")
    func kill() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        let request = try ProcessKill().ask(.process(claim(child)))
        let plan = try await ProcessKill().plan(request)
        #expect(child.isRunning, "a plan only looks")
        #expect(plan.summary == "send KILL to process \(child.pid) (sleep)")
        #expect(plan.facts["command_line"]?.string == "sleep 1000")
        let performance = try await ProcessKill().perform(plan)
        #expect(performance.outcome == .done && performance.isConfirmed)
        #expect(child.waitForSignal() == SIGKILL)
        #expect(try await ProcessKill().verdict(.process(claim(pid: child.pid))) == "gone")
        await #expect(throws: ActionError.self, "the same plan twice finds nobody") { try await ProcessKill().perform(plan) }
    }

    private func claim(pid: Int32) -> ProcessClaim { ProcessClaim(pid: pid, startedAt: .now()) }
    private func claim(_ child: ChildProcess) throws -> ProcessClaim { try RiposteActionsTests.claim(child) }

    @Test(
        "what a process says of itself is kept up to a limit, however long it makes it",
        arguments: [("\u{1}", 100_000), ("\"", 100_000), ("x", 100_000), ("\u{20AC}", 40_000), ("x", 4000)])
    func longCommandLine(text: String, count: Int) async throws {
        let argument = String(repeating: text, count: count)
        let child = try ChildProcess(["sh", "-c", "sleep 1000 & wait", argument])
        let facts = try await ProcessKill().plan(ProcessKill().ask(.process(claim(child)), ["tree": true])).facts
        let line = try #require(facts["command_line"]?.string)
        let whole = Array("sh -c sleep 1000 & wait \(argument)".utf8)
        #expect(line.bytes == Array(whole.prefix(line.bytes.count)))
        #expect(JSON.string(line).bytes.count <= 4098 && JSON.object(facts).bytes.count < 32 << 10)
        let isCut = whole.count > 4096
        #expect(isCut || line.bytes == whole)
        #expect(facts["command_line_truncated"]?.bool == (isCut ? true : nil))
        #expect(facts["command_line_bytes"]?.integer == (isCut ? Int64(whole.count) + 1 : nil), "with the end of the last argument")
        for pid in ProcFS.children(of: child.pid) { Foundation.kill(pid, SIGKILL) }
    }

    /// One thing about a true claim that is changed, and the answer.
    struct Lie: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let verdict: String
        let change: @Sendable (inout ProcessClaim) -> Void

        init(_ name: String, _ verdict: String, _ change: @escaping @Sendable (inout ProcessClaim) -> Void) {
            testDescription = name
            self.verdict = verdict
            self.change = change
        }
    }

    @Test(
        "an alert's claim holds or fails, each way with its own answer",
        arguments: [
            Lie("nothing", "ok") { _ in },
            Lie("start 10 s earlier: the pid was used again", "identity") { $0.startedAt = $0.startedAt.map { $0 + .seconds(-10) } },
            Lie("start 10 s later", "identity") { $0.startedAt = $0.startedAt.map { $0 + .seconds(10) } },
            Lie("the least start time there is", "identity") { ($0.startedAt, $0.name) = (Timestamp(nanoseconds: .min), "nginx") },
            Lie("a start time whose distance to now comes round", "identity") { ($0.startedAt, $0.name) = (Timestamp(nanoseconds: -9_000_000_000_000_000_000), "nginx") },
            Lie("the greatest start time there is", "identity") { ($0.startedAt, $0.name) = (Timestamp(nanoseconds: .max), "nginx") },
            Lie("start 100 ms off, a slewed clock, and the name is right", "ok") { $0.startedAt = $0.startedAt.map { $0 + .milliseconds(100) } },
            Lie("start 100 ms off and the name is wrong", "identity") {
                $0.startedAt = $0.startedAt.map { $0 + .milliseconds(100) }
                $0.name = "nginx"
            },
            Lie("no start time, but the name", "ok") { $0.startedAt = nil },
            Lie("no start time, wrong name", "identity") { ($0.startedAt, $0.name) = (nil, "nginx") },
            Lie("no start time, wrong name, right executable", "ok") {
                ($0.startedAt, $0.name) = (nil, "nginx")
                $0.executable = ProcFS.executable($0.pid)
            },
            Lie("no start time, Falco's command line", "ok") { ($0.startedAt, $0.name, $0.commandLine) = (nil, nil, "sleep 1000") },
            Lie("nothing to know it by", "unresolved") { ($0.startedAt, $0.name) = (nil, nil) },
            Lie("no start time, and the alert is a minute old", "identity") { ($0.startedAt, $0.seenAt) = (nil, .now() + .seconds(-60)) },
            Lie("no start time, and seen before the process was there", "identity") { ($0.startedAt, $0.seenAt) = (nil, .now() + .seconds(-5)) },
            Lie("an alert of before this boot", "identity") { $0.seenAt = Host.bootTime + .seconds(-60) },
            Lie("pid 0", "unresolved") { $0.pid = 0 },
            Lie("a pid below 0", "unresolved") { $0.pid = -1 },
            Lie("a pid that nobody has", "gone") { $0.pid = 0x3FFF_FFFF },
            Lie("a person's bare pid", "ok") { $0 = ProcessClaim(pid: $0.pid) },
        ])
    func claims(lie: Lie) async throws {
        let child = try ChildProcess(["sleep", "1000"])
        var claim = try claim(child)
        lie.change(&claim)
        #expect(try await ProcessKill().verdict(.process(claim)) == lie.verdict)
        #expect(child.isRunning)
    }

    @Test("an alert may name a thread; its process is meant")
    func thread() async throws {
        let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").compactMap { Int32($0) }
        let other = try #require(threads.first { $0 != getpid() })
        let plan = try await ProcessKill().plan(ProcessKill().ask(.process(ProcessClaim(pid: other))))
        let stat = try #require(ProcFS.stat(getpid()))
        #expect(plan.target.json["pid"] == .integer(Int64(getpid())) && plan.target.json["start_ticks"] == .integer(Int64(stat.startTicks)))
    }

    @Test("a zombie is gone: it has ended, and its number is all that is left")
    func zombie() async throws {
        let shell = try ChildProcess(["sh", "-c", "sleep 0 & exec sleep 1000"])
        try await until { ProcFS.children(of: shell.pid).contains { ProcFS.stat($0)?.isZombie == true } }
        let zombie = try #require(ProcFS.children(of: shell.pid).first)
        #expect(try await ProcessKill().verdict(.process(ProcessClaim(pid: zombie))) == "gone")
    }

    @Test("a process whose first thread has ended runs on in the others, and is one", .enabled(if: Attacker.isPossible, "needs gcc"))
    func firstThreadGone() async throws {
        let attacker = try Attacker("first-thread-gone")
        let child = try ChildProcess([attacker.path, "in", "the", "dark"])
        try await until { child.status("State:")?.hasPrefix("Z") == true }
        #expect(ProcFS.stat(child.pid)?.isZombie == false)
        let claim = try TargetClaim.process(claim(child))
        let suspension = try await ProcessSuspend().carryOut(claim, ["tree": true])
        #expect(suspension.outcome == .done && suspension.isConfirmed)
        #expect(ProcFS.stat(child.pid)?.isStopped == true)
        #expect(try await ProcessResume().carryOut(claim, token: suspension.undoToken).outcome == .done)
        let plan = try await ProcessKill().plan(ProcessKill().ask(claim))
        #expect(plan.facts["executable"]?.string == ByteText(attacker.path))
        #expect(plan.facts["command_line"]?.string == ByteText("\(attacker.path) in the dark"))
        #expect(try await ProcessKill().perform(plan).outcome == .done)
        #expect(child.waitForSignal() == SIGKILL)
    }

    @Test("a member of a tree, and those below it, are there though its first thread has ended", .enabled(if: Attacker.isPossible, "needs gcc"))
    func firstThreadGoneInATree() async throws {
        let word = "9\(UInt32.random(in: 10_000_000...99_999_999))"
        let attacker = try Attacker("first-thread-gone")
        let child = try ChildProcess(["sh", "-c", "\(attacker.path) sleep \(word) & wait"])
        try await until { try processes(with: "sleep\u{20}\(word)").count > 2 }
        let performance = try await ProcessKill(confirmation: .seconds(10)).carryOut(.process(claim(child)), ["tree": true])
        #expect(performance.outcome == .done && performance.evidence["killed"]?.array?.count == 3)
        #expect(try processes(with: word).isEmpty)
    }

    @Test("a tree ends whole, though it forks all the while")
    func forkingTree() async throws {
        let word = "9\(UInt32.random(in: 10_000_000...99_999_999))"
        let child = try ChildProcess(["sh", "-c", "i=0; while [ $i -lt 3000 ]; do sleep \(word) & i=$((i+1)); done; wait"])
        try await until { try processes(with: word).count > 50 }
        let performance = try await ProcessKill(confirmation: .seconds(10)).carryOut(.process(claim(child)), ["tree": true])
        #expect(performance.outcome == .done)
        #expect(child.waitForSignal() == SIGKILL)
        #expect(try processes(with: word).isEmpty)
        #expect((performance.evidence["killed"]?.array?.count ?? 0) > 50)
    }

    @Test("a tree ends whole, though its members wake each other and it forks all the while", .enabled(if: Attacker.isPossible, "needs gcc"))
    func wakingTree() async throws {
        let attacker = try Attacker("waking-tree")
        for _ in 0..<5 {
            let word = "9\(UInt32.random(in: 10_000_000...99_999_999))"
            let child = try ChildProcess(["setsid", attacker.path, word])
            try await until { try processes(with: word).count > 20 }
            let performance = try await ProcessKill(confirmation: .seconds(10)).carryOut(.process(claim(child)), ["tree": true])
            #expect(performance.outcome == .done)
            #expect(child.waitForSignal() == SIGKILL)
            #expect(try processes(with: word).isEmpty)
        }
    }

    @Test("a tree that wakes itself can be suspended: it stands, all of it", .enabled(if: Attacker.isPossible, "needs gcc"))
    func suspendedWakingTree() async throws {
        let attacker = try Attacker("waking-tree")
        let word = "9\(UInt32.random(in: 10_000_000...99_999_999))"
        let child = try ChildProcess(["setsid", attacker.path, word])
        try await until { try processes(with: word).count > 20 }
        let claim = try TargetClaim.process(claim(child))
        let performance = try await ProcessSuspend().carryOut(claim, ["tree": true])
        #expect(performance.outcome == .done && performance.isConfirmed)
        #expect(try processes(with: word).allSatisfy { ProcFS.stat($0)?.isStopped == true })
        #expect(try await ProcessKill(confirmation: .seconds(10)).carryOut(claim, ["tree": true]).outcome == .done)
        #expect(try processes(with: word).isEmpty)
    }

    @Test(
        "what a tree starts within the grace ends with it",
        arguments: [
            // The one that is asked to end starts another, and stays, or ends and leaves it to init.
            ("trap 'sleep WORD & trap \"\" TERM' TERM; while :; do sleep 0.05; done", true), ("trap 'sleep WORD & exit 0' TERM; while :; do sleep 0.05; done", false),
        ])
    func startedWithinTheGrace(script: String, isKilled: Bool) async throws {
        let word = "9\(UInt32.random(in: 10_000_000...99_999_999))"
        let child = try ChildProcess(["setsid", "sh", "-c", script.replacing("WORD", with: word)])
        try await until { !ProcFS.children(of: child.pid).isEmpty && ProcFS.stat(child.pid)?.session == child.pid }
        let performance = try await ProcessKill(confirmation: .seconds(10)).carryOut(.process(claim(child)), ["tree": true, "grace": "2s"])
        #expect(performance.outcome == .done)
        #expect(child.waitForSignal() == (isKilled ? SIGKILL : nil))
        #expect(try processes(with: "sleep \(word)").isEmpty)
    }

    @Test("without `tree` the children live on")
    func onlyOne() async throws {
        let word = "9\(UInt32.random(in: 10_000_000...99_999_999))"
        let child = try ChildProcess(["sh", "-c", "sleep \(word) & wait"])
        try await until { try processes(with: "sleep \(word)").count > 1 }
        _ = try await ProcessKill().carryOut(.process(claim(child)))
        let orphans = try processes(with: word)
        #expect(orphans.count == 1)
        for pid in orphans { Foundation.kill(pid, SIGKILL) }
    }

    @Test(
        "grace: TERM first, and KILL for who does not listen",
        arguments: [("trap '' TERM; while :; do sleep 0.05; done", SIGKILL), ("while :; do sleep 0.05; done", SIGTERM)])
    func grace(script: String, signal: Int32) async throws {
        let child = try ChildProcess(["sh", "-c", script])
        // The trap is set once the first sleep runs.
        try await until { !ProcFS.children(of: child.pid).isEmpty }
        let performance = try await ProcessKill(confirmation: .seconds(5)).carryOut(.process(claim(child)), ["grace": "300ms"])
        #expect(performance.outcome == .done)
        #expect(child.waitForSignal() == signal)
    }

    @Test("called off within the grace: no KILL follows, and it says so")
    func calledOff() async throws {
        let child = try ChildProcess(["sh", "-c", "trap 'trapped=1' TERM; while :; do sleep 0.05; done"])
        try await until { !ProcFS.children(of: child.pid).isEmpty }
        let claim = try claim(child)
        let kill = Task { try await ProcessKill().carryOut(.process(claim), ["grace": "60s"]) }
        // The shell is not asked for a sign that it has met the signal: whether TERM came before or after, KILL must not.
        try await Task.sleep(for: .milliseconds(100))
        kill.cancel()
        let error = await #expect(throws: ActionError.self) { try await kill.value }
        #expect(error?.failure == .cancelled && error?.answer == "called off; TERM was delivered, and no KILL follows")
        #expect(child.isRunning)
    }

    @Test("another signal is delivered, and its effect not promised")
    func otherSignal() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        let performance = try await ProcessKill().carryOut(.process(claim(child)), ["signal": "HUP"])
        #expect(performance.message == "HUP was delivered")
        #expect(child.waitForSignal() == SIGHUP)
    }
}

@Suite("process.suspend and process.resume, on children of the test")
struct ProcessSuspendTests {
    @Test("a process stands still, twice is `already`, and goes on")
    func suspend() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        let claim = try TargetClaim.process(claim(child))
        let performance = try await ProcessSuspend().carryOut(claim)
        #expect(performance.outcome == .done && performance.isConfirmed)
        #expect(child.status("State:")?.hasPrefix("T") == true)
        #expect(try await ProcessSuspend().carryOut(claim).outcome == .already)
        #expect(try await ProcessResume().carryOut(claim, token: performance.undoToken).outcome == .done)
        try await until { child.status("State:")?.hasPrefix("T") == false }
        #expect(try await ProcessResume().carryOut(claim).outcome == .already)
    }

    @Test("taking back wakes those whom the suspension stopped, and nobody who was stopped before")
    func undoOfATree() async throws {
        let child = try ChildProcess(["sh", "-c", "sleep 1000 & sleep 1001 & wait"])
        try await until { ProcFS.children(of: child.pid).count == 2 }
        let (first, second) = (ProcFS.children(of: child.pid)[0], ProcFS.children(of: child.pid)[1])
        kill(first, SIGSTOP)
        try await until { ProcFS.stat(first)?.isStopped == true }
        let claim = try TargetClaim.process(claim(child))
        let performance = try await ProcessSuspend().carryOut(claim, ["tree": true])
        #expect(ProcFS.stat(second)?.isStopped == true)
        _ = try await ProcessResume().carryOut(claim, token: performance.undoToken)
        try await until { ProcFS.stat(second)?.isStopped == false }
        #expect(ProcFS.stat(first)?.isStopped == true)
        for pid in [first, second] { kill(pid, SIGKILL) }
    }
}

@Suite(
    "suspensions of processes in a frozen control group, as in a paused container",
    .enabled(if: !ControlGroup.Hierarchy.possible.isEmpty, "needs root and a hierarchy of control groups that can be frozen"))
struct FrozenProcessTests {
    enum Order: CaseIterable { case frozenFirst, suspendedFirst }

    @Test(
        "what is suspended goes on when it is taken back and thawed, whatever was first", arguments: ControlGroup.Hierarchy.possible,
        Order.allCases.flatMap { [($0, true), ($0, false)] })
    func undo(hierarchy: ControlGroup.Hierarchy, _ example: (order: Order, isTree: Bool)) async throws {
        let (order, isTree) = example
        let child = try ChildProcess(["sh", "-c", "sleep 1000 & wait"])
        try await until { !ProcFS.children(of: child.pid).isEmpty }
        let pids = isTree ? [child.pid] + ProcFS.children(of: child.pid) : [child.pid]
        let group = try ControlGroup("riposte-test-\(UUID().uuidString)", in: hierarchy)
        defer { for pid in ProcFS.children(of: child.pid) { kill(pid, SIGKILL) } }
        for pid in pids { try group.take(pid) }
        let claim = try TargetClaim.process(claim(child))
        let suspend = ProcessSuspend()
        if order == .frozenFirst { try await group.freeze() }
        let plan = try await suspend.plan(suspend.ask(claim, ["tree": .bool(isTree)]))
        let performance = try await suspend.perform(plan)
        if order == .suspendedFirst { try await group.freeze() }
        #expect(performance.outcome == .done && performance.undoToken?["members"]?.array?.count == pids.count)
        let deed = StandingDeed(target: plan.target, parameters: plan.parameters, token: performance.undoToken, since: .now())
        #expect(try await suspend.standing(of: deed) == .stands)
        if order == .frozenFirst {
            #expect(try await suspend.carryOut(claim, ["tree": .bool(isTree)]).outcome == .already)
            #expect(suspend.remains(of: plan, seen: nil)?["members"]?.array?.count == pids.count)
        }
        #expect(try await ProcessResume().carryOut(.proved(plan.target), token: performance.undoToken).outcome == .done)
        try group.thaw()
        try await until { pids.allSatisfy { ProcFS.stat($0)?.state == UInt8(ascii: "S") } }
    }

    @Test("where somebody else has let it go on, it is said")
    func letGo() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        let claim = try TargetClaim.process(claim(child))
        let performance = try await ProcessSuspend().carryOut(claim)
        kill(child.pid, SIGCONT)
        try await until { ProcFS.stat(child.pid)?.state == UInt8(ascii: "S") }
        #expect(try await ProcessResume().carryOut(claim, token: performance.undoToken).outcome == .already)
    }
}

@Suite("suspensions of trees, on children of the test")
struct ProcessTreeSuspendTests {
    /// A shell with two children, and one more at each USR1.
    private static let script = "trap 'sleep 1002 &' USR1; sleep 1000 & sleep 1001 & while :; do wait; done"

    private func family() async throws -> (root: ChildProcess, children: [Int32]) {
        let root = try ChildProcess(["sh", "-c", Self.script])
        try await until { ProcFS.children(of: root.pid).count == 2 }
        return (root, ProcFS.children(of: root.pid))
    }

    private func pids(_ token: JSONObject?) -> [Int64] { token?["members"]?.array?.compactMap { $0["pid"]?.integer } ?? [] }

    @Test("taking back lets the others go on where the first has ended; where all have, it is gone")
    func orphans() async throws {
        let (root, children) = try await family()
        defer { for pid in children { kill(pid, SIGKILL) } }
        let plan = try await ProcessSuspend().plan(ProcessSuspend().ask(.process(claim(root)), ["tree": true]))
        let token = try await ProcessSuspend().perform(plan).undoToken
        kill(root.pid, SIGKILL)
        #expect(root.waitForSignal() == SIGKILL)
        let resume = try await ProcessResume().plan(ProcessResume().ask(.proved(plan.target), token: token))
        #expect(resume.summary == "let 2 processes go on" && resume.target == plan.target && resume.alreadySo == nil)
        #expect(try await ProcessResume().perform(resume).outcome == .done)
        try await until { children.allSatisfy { ProcFS.stat($0)?.isStopped == false } }
        for pid in children { kill(pid, SIGKILL) }
        try await until { children.allSatisfy { ProcFS.stat($0)?.isZombie ?? true } }
        let error = await #expect(throws: ActionError.self) { try await ProcessResume().plan(ProcessResume().ask(.proved(plan.target), token: token)) }
        #expect(error?.outcome == .gone)
    }

    @Test("of one that was broken off stands who ran and who came since, and nobody who was stopped before")
    func remains() async throws {
        let (root, children) = try await family()
        kill(children[0], SIGSTOP)
        try await until { ProcFS.stat(children[0])?.isStopped == true }
        let suspend = ProcessSuspend()
        let request = try suspend.ask(.process(claim(root)), ["tree": true])
        let plan = try await suspend.plan(request)
        #expect(suspend.remains(of: plan, seen: plan) == nil)
        kill(root.pid, SIGUSR1)
        try await until { ProcFS.children(of: root.pid).count == 3 }
        let late = try #require(ProcFS.children(of: root.pid).first { !children.contains($0) })
        defer { for pid in children + [late] { kill(pid, SIGKILL) } }
        for pid in [root.pid, late] { kill(pid, SIGSTOP) }
        try await until { [root.pid, late].allSatisfy { ProcFS.stat($0)?.isStopped == true } }
        #expect(pids(suspend.remains(of: plan, seen: nil)) == [Int64(root.pid)])
        let seen = try await suspend.plan(request)
        let left = suspend.remains(of: plan, seen: seen)
        #expect(pids(left) == [Int64(root.pid), Int64(late)] && seen.alreadySo == nil)
        _ = try await ProcessResume().carryOut(.proved(plan.target), token: left)
        try await until { [root.pid, late].allSatisfy { ProcFS.stat($0)?.isStopped == false } }
        #expect(ProcFS.stat(children[0])?.isStopped == true && suspend.remains(of: plan, seen: seen) == nil)
    }
}

@Suite("processes that are never touched")
struct ProcessGuardTests {
    @Test("init, the agent, who started it, and kernel threads", arguments: [1, getpid(), getppid()] + (ProcFS.stat(2)?.isKernelThread == true ? [2] : []))
    func refused(pid: Int32) async throws {
        for action in [ProcessKill(), ProcessSuspend()] as [any Action] {
            let plan = try await action.plan(action.ask(.process(ProcessClaim(pid: pid))))
            let reason = await ProcessGuards().refusal(of: plan)
            #expect(reason?.hasPrefix("process \(pid) is") == true)
        }
    }

    @Test("a tree is refused for any of its members")
    func tree() async throws {
        let plan = try await ProcessKill().plan(ProcessKill().ask(.process(ProcessClaim(pid: getppid())), ["tree": true]))
        #expect(await ProcessGuards().refusal(of: plan) != nil)
    }

    @Test("anybody else is not")
    func allowed() async throws {
        let child = try ChildProcess(["sleep", "1000"])
        let plan = try await ProcessKill().plan(ProcessKill().ask(.process(claim(child))))
        #expect(await ProcessGuards().refusal(of: plan) == nil)
    }

    @Test(
        "what a machine cannot do without is root's: nobody is spared who calls his program so", .enabled(if: Machine.isRoot, "needs root"), arguments: [(0, true), (65534, false)])
    func calledSo(_ owner: UInt32, _ isSpared: Bool) async throws {
        let folder = try TemporaryFolder()
        let program = folder.path + "/podman"
        try FileManager.default.copyItem(atPath: "/bin/sleep", toPath: program)
        #expect(chown(program, owner, owner) == 0)
        let child = try ChildProcess([program, "1000"])
        try await until { ProcFS.executable(child.pid)?.shown.hasSuffix("/podman") == true }
        let plan = try await ProcessKill().plan(ProcessKill().ask(.process(claim(child))))
        #expect((await ProcessGuards().refusal(of: plan) != nil) == isSpared)
    }

    /// What a machine cannot do without, by its name and its file, in a folder that everybody may enter.
    private func daemon(_ name: String) throws -> (folder: TemporaryFolder, path: String) {
        let folder = try TemporaryFolder()
        let program = "\(folder.path)/\(name)"
        try FileManager.default.copyItem(atPath: "/bin/sleep", toPath: program)
        #expect(chmod(folder.path, 0o755) == 0)
        return (folder, program)
    }

    /// The answer to an end of the tree of a shell that has started it.
    private func refusal(ofShellAbove program: String, as user: [String]) async throws -> (String?, ChildProcess, Plan) {
        let shell = try ChildProcess(["sh", "-c", "\((user + [program]).joined(separator: " ")) 1000 & wait"])
        try await until { ProcFS.children(of: shell.pid).contains { ProcFS.executable($0)?.shown == program } }
        let plan = try await ProcessKill().plan(ProcessKill().ask(.process(claim(shell)), ["tree": true]))
        return (await ProcessGuards().refusal(of: plan), shell, plan)
    }

    @Test(
        "root's file spares nobody who is not root himself, nor what is above him",
        .enabled(if: Machine.isRoot && Machine.has("setpriv") && Machine.has("unshare"), "needs root, setpriv and unshare"),
        arguments: [
            ([], true), (["setpriv", "--reuid=65534", "--clear-groups"], false), (["setpriv", "--ruid=65534", "--clear-groups"], false),
            (["setpriv", "--euid=65534", "--clear-groups"], false), (["unshare", "--user", "--map-root-user"], false),
        ] as [([String], Bool)])
    func runBy(_ user: [String], _ isSpared: Bool) async throws {
        let (folder, program) = try daemon("dbus-daemon")
        let (reason, shell, plan) = try await refusal(ofShellAbove: program, as: user)
        #expect((reason?.contains("is dbus-daemon, which this machine cannot do without") == true) == isSpared, "\(reason ?? "none")")
        guard !isSpared else { return }
        #expect(try await ProcessKill(confirmation: .seconds(10)).perform(plan).outcome == .done)
        #expect(shell.waitForSignal() == SIGKILL)
        withExtendedLifetime(folder) {}
    }

    @Test("what root runs in a session of his is nothing that the machine needs", .enabled(if: ControlGroup.isPossible, "needs the unified hierarchy"))
    func session() async throws {
        let (folder, program) = try daemon("systemd")
        let (reason, shell, plan) = try await refusal(ofShellAbove: program, as: [])
        #expect(reason?.contains("is systemd") == true)
        let group = try ControlGroup("riposte-test-\(UUID().uuidString)/user.slice/user-0.slice/user@0.service/init.scope")
        for pid in ProcFS.children(of: shell.pid) { try group.take(pid) }
        #expect(await ProcessGuards().refusal(of: plan) == nil)
        withExtendedLifetime(folder) {}
    }

    @Test(
        "a daemon that gives up root is known by its unit", .enabled(if: ControlGroup.isPossible && Machine.has("setpriv"), "needs the unified hierarchy and setpriv"),
        .disabled(if: access("/run/systemd/system", F_OK) == 0, "systemd has that unit itself"))
    func unit() async throws {
        let (folder, program) = try daemon("dbus-daemon")
        let (reason, shell, plan) = try await refusal(ofShellAbove: program, as: ["setpriv", "--reuid=65534", "--clear-groups"])
        #expect(reason == nil)
        let group = try ControlGroup("system.slice/dbus.service")
        for pid in ProcFS.children(of: shell.pid) { try group.take(pid) }
        #expect(await ProcessGuards().refusal(of: plan)?.contains("is dbus-daemon") == true)
        withExtendedLifetime(folder) {}
    }

    @Test(
        "who minds a container is spared where Podman and CRI-O put him, and nobody in one",
        .enabled(if: Machine.isRoot && !ControlGroup.Hierarchy.possible.isEmpty, "needs root and a hierarchy of control groups"),
        arguments: ControlGroup.Hierarchy.possible, ["machine.slice/libpod-conmon-ID.scope", "kubepods.slice/crio-conmon-ID.scope", "machine.slice/libpod-ID.scope"])
    func conmon(hierarchy: ControlGroup.Hierarchy, path: String) async throws {
        let (folder, program) = try daemon("conmon")
        let child = try ChildProcess([program, "1000"])
        let group = try ControlGroup("riposte-test-\(UUID().uuidString)/" + path.replacing("ID", with: String(repeating: "c", count: 64)), in: hierarchy)
        try group.take(child.pid)
        let plan = try await ProcessKill().plan(ProcessKill().ask(.process(claim(child))))
        let isMinder = path.contains("conmon")
        #expect(await ProcessGuards().refusal(of: plan)?.contains("is conmon") ?? false == isMinder)
        #expect((plan.facts["container"] == nil) == isMinder)
        withExtendedLifetime(folder) {}
    }

    @Test("a daemon stays what it is when an upgrade puts a new file in the place of its own", .enabled(if: Machine.isRoot, "needs root"), arguments: [true, false])
    func upgraded(isReplaced: Bool) async throws {
        let folder = try TemporaryFolder()
        let program = folder.path + "/dockerd"
        try FileManager.default.copyItem(atPath: "/bin/sleep", toPath: program)
        let child = try ChildProcess([program, "1000"])
        let claim = try TargetClaim.process(claim(child))
        #expect(await ProcessGuards().refusal(of: try ProcessKill().plan(ProcessKill().ask(claim)))?.contains("is dockerd") == true)
        if isReplaced {
            try FileManager.default.copyItem(atPath: "/bin/sleep", toPath: program + ".new")
            #expect(rename(program + ".new", program) == 0)
        } else {
            // A second name, as some package managers leave it, does not make it another.
            #expect(link(program, program + ".old") == 0 && unlink(program) == 0)
        }
        let plan = try await ProcessKill().plan(ProcessKill().ask(claim))
        #expect(plan.facts["executable"]?.string == ByteText(program) && plan.facts["executable_deleted"] == true)
        #expect(await ProcessGuards().refusal(of: plan)?.contains("is dockerd") == true)
    }

    @Test("a plan that names init or us is not performed even where no guard was asked", arguments: [1, getpid()])
    func lastLine(pid: Int32) async throws {
        let plan = try await ProcessKill().plan(ProcessKill().ask(.process(ProcessClaim(pid: pid))))
        let error = try await #require(throws: ActionError.self) { try await ProcessKill().perform(plan) }
        #expect(error.failure == .guarded)
    }
}
