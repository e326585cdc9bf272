import Foundation
import Glibc
import RiposteAgent
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import RiposteTransport
import Synchronization
import Testing

@Suite("orders on the control socket mean what they say, or nothing", .enabled(if: Machine.isRoot, "needs root"))
struct ControlMessageTests {
    /// PID stands for that of a child that must live.
    private static let refused: [(path: String, body: String, word: String)] = [
        ("actions", #"{"action":"process.kill","target":{"kind":"process","pid":PID},"dry_run":"true"}"#, "dry_run"),
        ("actions", #"{"action":"process.kill","target":{"kind":"process","pid":PID},"dry_run":1}"#, "dry_run"),
        ("actions", #"{"action":"process.kill","target":{"kind":"process","pid":PID},"dry_run":null}"#, "dry_run"),
        ("actions", #"{"action":"process.kill","target":{"kind":"process","pid":PID},"dryRun":true}"#, "did you mean \"dry_run\""),
        ("actions", #"{"action":"process.kill","target":{"kind":"process","pid":PID},"ask":"yes"}"#, "ask"),
        ("actions", #"{"action":"process.kill","target":{"kind":"process","pid":PID},"force":"no"}"#, "force"),
        ("actions", #"{"action":"process.suspend","target":{"kind":"process","pid":PID},"undo_after":"soon"}"#, "undo_after"),
        ("actions", #"{"action":"process.suspend","target":{"kind":"process","pid":PID},"undo_after":60}"#, "undo_after"),
        ("actions", #"{"action":"process.kill","target":{"kind":"process","pid":PID},"parameters":["tree"]}"#, "parameters"),
        ("actions", #"{"action":"process.kill","target":{"kind":"process","pid":PID},"reason":7}"#, "reason"),
        ("actions", #"{"action":"process.kill","target":{"kind":"process","pid":PID,"started_at":0}}"#, "target"),
        ("actions", #"{"action":"process.kill","target":{"kind":"process","pid":PID,"started_at":null}}"#, "target"),
        ("actions", #"{"action":"process.kill","target":{"kind":"process","pid":PID,"startedAt":"2020-01-01T00:00:00Z"}}"#, "target"),
        ("actions", #"{"action":"process.kill","target":{"kind":"process","pid":"PID"}}"#, "target"),
        ("actions", #"{"action":"pod.delete","target":{"kind":"pod","namespace":"a","name":"b","uid":5}}"#, "target"),
        ("actions", #"{"action":7,"target":{"kind":"process","pid":PID}}"#, "action"), ("actions", #"[]"#, "object"),
        ("undo", #"{"all":true,"dry_run":"yes"}"#, "dry_run"), ("undo", #"{"all":true,"force":"yes"}"#, "force"), ("undo", #"{"all":"true"}"#, "all"),
        ("undo", #"{"all":true,"dry-run":true}"#, "did you mean \"dry_run\""), ("undo", #"{"all":true,"playbok":"p"}"#, "playbok"),
        ("in-force", #"{"within":5}"#, "within"), ("in-force", #"{"incident":"x"}"#, "incident"),
        ("approvals", #"{"id":"01M85QEHASCJW3YQYDBFJ38RCW","answer":"approve","plans":"3"}"#, "plans"),
        ("approvals", #"{"id":"01M85QEHASCJW3YQYDBFJ38RCW","answer":"deny","pardon":"no"}"#, "pardon"),
        ("approvals", #"{"id":"01M85QEHASCJW3YQYDBFJ38RCW","answer":"maybe"}"#, "answer"),
        ("steering", #"{"wish":"set_mode","mode":"observe","scope":"agent","dry_run":"true"}"#, "dry_run"),
        ("steering", #"{"wish":"set_mode","mode":"observe","scope":"agent","lasting":60}"#, "lasting"),
        ("steering", #"{"wish":"set_mode","mode":"observe","scope":"agent","name":"one-playbook"}"#, "scope"),
        ("steering", #"{"wish":"set_mode","mode":"observe","scope":"playbook","name":7}"#, "name"),
        ("steering", #"{"wish":"promote","playbook":"p","dryrun":true}"#, "dryrun"), ("steering", #"{"wish":"dance"}"#, "wish"),
        ("respond", #"{"mode":"observe","alerts":["no base 64!"]}"#, "alerts"), ("respond", #"{"mode":"observe","alerts":[7]}"#, "alerts"),
        ("respond", #"{"mode":"enforce","alerts":[],"maximum_alert_age":7}"#, "maximum_alert_age"),
        ("respond", #"{"mode":"observe","alerts":[],"playbooks":[{"name":"a"}]}"#, "playbooks"), ("explain", #"{"alert":"e30=","intake":7}"#, "intake"),
        ("pardons/lift", #"{"target":"x","everything":true}"#, "everything"), ("cancel", #"{"id":"01M85QEHASCJW3YQYDBFJ38RCW","force":true}"#, "force"),
        ("breakers/close", #"{"breaker":"x","reason":[]}"#, "reason"), ("outputs/test", #"{"name":"x","dry_run":true}"#, "dry_run"),
    ]

    @Test("a member that makes no sense, and one that nobody knows, is refused with its name, and nothing is done or on record")
    func refused() async throws {
        let place = try Workplace()
        let child = try ChildProcess(["sleep", "1000"])
        try await place.start()
        let client = HTTPClient()
        defer { client.close() }
        let before = try place.records().count
        for (path, body, word) in Self.refused {
            let answer = try await client.send(
                HTTPRequest(
                    .post, "http://riposte/v1/\(path)", unixSocket: place.runDirectory + "/riposte.sock",
                    body: Array(body.replacingOccurrences(of: "PID", with: "\(child.pid)").utf8)))
            #expect(answer.status == 400, "\(path) \(body)")
            #expect(try JSON(parsing: answer.body)["error"]?.string?.repaired.contains(word) == true, "\(path) \(body): \(String(decoding: answer.body, as: UTF8.self))")
        }
        #expect(child.isRunning && child.status("State:")?.hasPrefix("S") == true)
        #expect(try place.records().count == before)
    }
}

@Suite("who may speak on the control socket, and for how long", .enabled(if: Machine.isRoot, "needs root"))
struct ControlLimitTests {
    @Test("a message that is too long is told from one that is no JSON", .enabled(if: Machine.has("curl"), "needs curl"))
    func tooLong() async throws {
        let place = try Workplace()
        try await place.start()
        let post = "curl -s -w ' %{http_code}' --unix-socket '\(place.runDirectory)/riposte.sock' -H Expect: -X POST -T - http://riposte/v1/actions"
        let long = try run(["sh", "-c", "head -c \(257 << 20) /dev/zero | \(post)"]).output
        #expect(long.contains("longer than the 256 MiB") && long.hasSuffix(" 413"), "\(long)")
        let nonsense = try run(["sh", "-c", "echo nonsense | \(post)"]).output
        #expect(nonsense.contains("no JSON") && nonsense.hasSuffix(" 400"), "\(nonsense)")
    }

    @Test(
        "a group of thousands is a group, and a user of hundreds of groups is in each of them",
        .enabled(if: Machine.has("unshare") && Machine.has("setpriv"), "needs unshare and setpriv"))
    func largeGroups() async throws {
        let folder = try TemporaryFolder()
        let members = (0..<3000).map { "somebody\($0)" }.joined(separator: ",")
        let many = (0..<300).map { "many\($0):x:\(70_000 + $0):daemon\n" }.joined()
        let groups = try folder.file("group", String(contentsOfFile: "/etc/group", encoding: .utf8) + many + "crowd:x:4242:\(members),daemon\n")
        let place = try Workplace(through: ["unshare", "-m", "--", "sh", "-c", "mount --bind \(groups) /etc/group && exec \"$@\"", "sh"])
        try await place.start(configuration: "control: { group: crowd }")
        chmod(place.folder.path, 0o755)
        chmod(place.runDirectory, 0o755)
        // The kernel lets him in by a group of his process's; the agent asks the database.
        for (group, status) in [("4242", 0), ("", 3)] as [(String, Int32)] {
            let verb = ["setpriv", "--reuid=1", "--regid=60"] + (group.isEmpty ? ["--clear-groups"] : ["--groups=\(group)"])
            let answer = try run(verb + [Riposte.path, "status", "--state-dir", place.stateDirectory, "--run-dir", place.runDirectory])
            #expect(answer.status == status, "\(answer.output)")
        }
    }
}

@Suite("an order is given once, whatever becomes of the agent", .enabled(if: Machine.isRoot, "needs root"))
struct BrokenOrderTests {
    let place: Workplace
    let child: ChildProcess

    init() throws {
        place = try Workplace()
        child = try ChildProcess(["sleep", "1000"])
        try FileManager.default.createDirectory(atPath: place.runDirectory, withIntermediateDirectories: true)
    }

    private var controlSocket: String { place.runDirectory + "/riposte.sock" }
    private var hasJournal: Bool { FileManager.default.fileExists(atPath: place.stateDirectory + "/journal") }

    @Test(
        "what was sent and not answered, or answered with what makes no sense, is not done here a second time: the outcome is unknown, and that is said",
        arguments: [
            UnixDouble.Answer.closing, .text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), .text("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nwhatever?"),
            .text("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"id\""), .text("nonsense"),
        ])
    func unanswered(answer: UnixDouble.Answer) throws {
        let double = try UnixDouble(controlSocket, answer: answer)
        for verb in [["process", "kill", "\(child.pid)"], ["breaker", "close", "x"], ["mode", "set", "enforce"]] {
            let (status, output) = try place.riposte(verb)
            #expect(status == 1, "\(verb): \(output)")
            #expect(output.contains("riposte audit list") || output.contains("is no agent"), "\(output)")
        }
        #expect(child.isRunning)
        #expect(!hasJournal)
        withExtendedLifetime(double) {}
    }

    private static let questions = [
        ["status"], ["undo", "--list"], ["mode"], ["approvals", "list"], ["breaker", "list"], ["pardon", "list"], ["output", "list"], ["undo", "--all"],
    ]

    @Test("an agent that is stopped is named, with the remedy, and a question ends with 6: nobody else is asked in its place", arguments: questions)
    func frozen(question: [String]) async throws {
        let agent = try await place.start()
        agent.signal(SIGSTOP)
        defer { agent.signal(SIGCONT) }
        let before = try place.records().count
        let (status, output) = try place.riposte(question)
        #expect(status == 6 && output.contains("the agent, pid \(agent.pid), does not answer; it is stopped") && output.contains("kill -CONT \(agent.pid)"), "\(output)")
        #expect(try place.records().count == before)
    }

    @Test("a question is given up after its time, an order is waited for, and both say so")
    func patience() async throws {
        let double = try UnixDouble(controlSocket, answer: .silence)
        var patience = ControlClient.Patience()
        (patience.question, patience.order, patience.untilTold) = (.milliseconds(50), .milliseconds(200), .milliseconds(20))
        let told = Told()
        let client = ControlClient(socket: controlSocket, patience: patience) { told.take($0) }
        let silence = await #expect(throws: DeskError.self) { try await client.modes() }
        #expect(silence?.code == .silent && silence?.exitStatus == 6 && silence?.message.contains("pid \(getpid())") == true, "\(silence?.message ?? "")")
        #expect(told.words.isEmpty)
        let unclear = await #expect(throws: DeskError.self) { try await client.closeBreaker(BreakerCommand(name: "x")) }
        #expect(unclear?.code == .unclear && told.words.count == 1)
        #expect(told.words.first?.contains("waiting for the agent, pid \(getpid()), which has the order") == true)
        await client.close()
        withExtendedLifetime(double) {}
    }

    @Test("where nobody listens nothing was sent: the command does it by itself")
    func unreachable() throws {
        let double = try UnixDouble(controlSocket, answer: .closing)
        double.end()
        #expect(try place.riposte("process", "kill", "\(child.pid)").status == 0)
        #expect(child.waitForSignal() == SIGKILL && hasJournal)
    }
}

/// What a client says while it waits.
private final class Told: Sendable {
    private let list = Mutex<[String]>([])

    var words: [String] { list.withLock { $0 } }

    func take(_ words: String) { list.withLock { $0.append(words) } }
}

@Suite("SIGHUP means that files are read anew, from the first moment on")
struct HangUpTests {
    @Test("one that comes while the agent starts does not end it")
    func early() async throws {
        let place = try Workplace()
        let engine = try UnixDouble(place.folder.path + "/docker.sock", answer: .silence)
        try place.write(
            playbooks: """
                  - name: hold
                    match: { rules: [X] }
                    require: [containers]
                    steps: [{ action: container.pause }]
                """)
        // It waits for an engine that takes the question and does not answer it.
        let agent = try place.launch(configuration: "docker: { socket: \(place.folder.path)/docker.sock }")
        try await until { !engine.requests.isEmpty }
        for _ in 0..<3 { agent.signal(SIGHUP) }
        engine.end()
        #expect(try await agent.waitForExit(within: .seconds(60)) == 2, "it ends for what it lacks, and not by the signal")
        #expect(place.errors.contains("containers"))
    }
}
