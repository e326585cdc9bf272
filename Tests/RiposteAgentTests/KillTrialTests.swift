import Foundation
import Glibc
import RiposteCore
import RiposteTestSupport
import Testing

/// Where the agent works: network blocks only in a namespace of its own; the containers' network devices are where Docker is.
private enum Field: String, CaseIterable, CustomTestStringConvertible {
    case namespace, bridge

    var testDescription: String { self == .namespace ? "processes, pauses and blocks, in a namespace" : "processes, pauses and isolation, at Docker's bridge" }

    var playbooks: String {
        let network =
            self == .namespace ? #"{ action: network.block, with: { address: "{{ fd.rip }}" }, undo: { after: 2s } }"# : "{ action: container.isolate, undo: { after: 2s } }"
        return """
              - name: hold
                dedup: off
                match: { rules: [Hold] }
                steps: [{ action: process.suspend, undo: { after: 2s } }]
              - name: contain
                dedup: off
                match: { rules: [Contain] }
                steps:
                  - { action: container.pause, undo: { after: 1s }, on_failure: continue }
                  - { action: process.suspend, undo: { after: 3s } }
              - name: cut
                dedup: off
                match: { rules: [Cut] }
                steps: [\(network)]
              - name: end
                dedup: off
                match: { rules: [End] }
                steps:
                  - { action: process.suspend, undo: { after: 2s } }
                  - action: process.kill

            """
    }
}

/// The program that ships, with its real journal, on real processes, containers and packet filters, ended by `kill -9` again and again: at any moment, and, every
/// other time, while a deed is under way, its intent on record and its outcome not.
///
/// `RIPOSTE_KILLS`: how often; `make test-long` says 200.
@Suite(
    "the agent is killed at random moments, and nothing is lost or left as it should not be", .serialized,
    .enabled(if: DockerEngine.isAvailable && Machine.has("nft"), "needs root, dockerd, busybox and nft"))
struct KillTrialTests {
    private static let kills = ProcessInfo.processInfo.environment["RIPOSTE_KILLS"].flatMap(Int.init) ?? 12

    @Test(arguments: Field.allCases)
    private func trial(_ field: Field) async throws {
        let trial = try Trial(field)
        let lives = max(1, Self.kills / Field.allCases.count)
        for life in 0..<lives { try await trial.live(isAimed: life.isMultiple(of: 2)) }
        // Whether an aimed kill comes before the outcome is chance, and where few are killed it may well be none.
        let deedsWanted = (lives + 3) / 4
        var more = 0
        while trial.deedsHit.count < deedsWanted, more < 10 * lives {
            try await trial.live(isAimed: true)
            more += 1
        }
        try await trial.settle()
        try trial.checkJournal(lives: lives + more, deedsWanted: deedsWanted)
        try trial.checkWorld()
    }
}

private final class Trial {
    private let field: Field
    private let namespace: NetworkNamespace?
    private let place: Workplace
    private let containers: [TestContainer]
    /// Suspended and let go, again and again.
    private let standing: [ChildProcess]
    /// Each is to be ended by one alert.
    private var victims: [ChildProcess] = []
    private var lastNumber = 0
    /// Numbers of alerts that the agent said it had taken.
    private var taken: Set<Int> = []
    /// Deeds that were under way when the agent was killed at such a moment.
    private(set) var deedsHit: Set<String> = []
    private let configuration: String

    init(_ field: Field) throws {
        self.field = field
        let engine = try DockerEngine.shared.get()
        namespace = field == .namespace ? try NetworkNamespace() : nil
        place = try Workplace(namespace: namespace)
        try place.write(playbooks: field.playbooks)
        containers = try (0..<3).map { _ in try TestContainer(engine) }
        standing = try (0..<3).map { _ in try ChildProcess(["sleep", "10000"]) }
        configuration = "docker: { socket: \(engine.socket) }\nbudgets: [{ name: plenty, actions: 100000, per: 1m }]"
    }

    /// One life: alerts, and its end while a deed is under way, or at any moment, now and then before it is ready.
    func live(isAimed: Bool) async throws {
        if isAimed {
            try await place.start(configuration: configuration)
            try await waitForDeed()
        } else if Int.random(in: 0..<4) == 0 {
            try place.launch(configuration: configuration)
            usleep(UInt32.random(in: 0..<400_000))
        } else {
            try await place.start(configuration: configuration)
            let end = ContinuousClock.now + .milliseconds(Int.random(in: 1...1200))
            while ContinuousClock.now < end {
                try await tell()
                usleep(UInt32.random(in: 0..<60_000))
            }
        }
        place.kill()
        if isAimed { deedsHit.formUnion(try openIntents(place.records())) }
    }

    /// Alerts until one of them has an intent on record and no outcome; then a moment more, in most cases none.
    private func waitForDeed() async throws {
        let journal = JournalTail(place.stateDirectory)
        let end = ContinuousClock.now + .seconds(5)
        while ContinuousClock.now < end {
            try await tell()
            let patience = ContinuousClock.now + .milliseconds(200)
            while ContinuousClock.now < patience {
                guard journal.hasOpenIntent() else { continue }
                usleep([0, 0, UInt32.random(in: 0..<1000), UInt32.random(in: 0..<10_000)][Int.random(in: 0..<4)])
                return
            }
        }
    }

    private func tell() async throws {
        lastNumber += 1
        let number = lastNumber
        let rule = ["Hold", "Contain", "Cut", "End"][Int.random(in: 0..<4)]
        var child = standing[Int.random(in: 0..<standing.count)]
        if rule == "End" {
            child = try ChildProcess(["sleep", "10000"])
            victims.append(child)
        }
        let container = containers[Int.random(in: 0..<containers.count)]
        let fields = #","test.number":\#(number),"container.id":"\#(container.id)","fd.rip":"192.0.2.\#(Int.random(in: 1...5))""#
        let text = alert(rule, pid: child.pid, fields: rule == "Hold" || rule == "End" ? #","test.number":\#(number)"# : fields)
        if field == .bridge, Bool.random() {
            if try await place.post(text).status == 202 { taken.insert(number) }
        } else {
            try place.sendToSocket(text + "\n")
        }
    }

    /// One more life, in which all that is due is done.
    func settle() async throws {
        try await place.start(configuration: configuration)
        try await until(.seconds(90)) {
            let records = try place.records()
            return try records.count > 0 && openIntents(records).isEmpty && openRuns(records).isEmpty && place.json("status").first?["undos"]?.array?.isEmpty == true
        }
        #expect(try await place.stop() == 0)
    }

    private func openIntents(_ records: [JSON]) -> Set<String> { names(records, "intent").subtracting(names(records.filter { $0["outcome"] != "pending" }, "outcome")) }

    private func openRuns(_ records: [JSON]) -> Set<String> {
        Set(records.filter { $0["kind"] == "alert" }.flatMap { $0["detail"]?["runs"]?.array ?? [] }.compactMap { $0["run"]?.string?.shown }).subtracting(names(records, "run"))
    }

    private func names(_ records: [JSON], _ kind: String) -> Set<String> { Set(records.filter { $0["kind"]?.string?.shown == kind }.compactMap { $0["id"]?.string?.shown }) }

    func checkJournal(lives: Int, deedsWanted: Int) throws {
        let (status, output) = try place.riposte("audit", "verify")
        #expect(status == 0, "\(output)")
        let records = try place.records()
        #expect(openIntents(records).isEmpty && openRuns(records).isEmpty)
        let numbers = Set(records.compactMap { $0["detail"]?["alert"]?["output_fields"]?["test.number"]?.integer }.map { Int($0) })
        #expect(taken.subtracting(numbers).isEmpty, "alerts that were taken are not on record")
        let done = records.count { $0["outcome"] == "done" }
        let undone = records.count { $0["outcome"] == "undone" }
        let recovered = records.count { $0["actor"]?["type"] == "recovery" }
        #expect(done > 0 && undone > 0)
        print(
            "\(field.rawValue): \(lives) kills, \(deedsHit.count) deeds hit between intent and outcome; \(lastNumber) alerts, \(taken.count) known to be taken, \(numbers.count) on record; \(done) done, \(undone) undone, \(recovered) cleared up after a restart"
        )
        #expect(deedsHit.count >= deedsWanted, "too few kills hit a deed under way to say anything of them")
        #expect(recovered >= deedsHit.count, "deeds that were under way when the agent was killed were not cleared up")
        let twice = Dictionary(grouping: records.filter { $0["outcome"] == "undone" }.compactMap { $0["undoes"]?.string?.shown }, by: \.self).filter { $0.value.count > 1 }
        #expect(twice.isEmpty, "taken back twice: \(twice.keys)")
    }

    func checkWorld() throws {
        for container in containers {
            #expect(container.isRunning && !container.isPaused, "a container is left paused")
            if field == .bridge { #expect(try container.execute(["ping", "-c", "1", "-W", "2", "172.31.249.1"]) == 0, "a container is left isolated") }
        }
        for child in standing { #expect(child.isRunning && state(of: child.pid) != "T", "a process is left suspended") }
        if let namespace { #expect(!namespace.ruleset.contains("192.0.2."), "an address is left blocked: \(namespace.ruleset)") }
        let killed = Set(try place.records().filter { $0["action"] == "process.kill" && $0["outcome"] != "failed" }.compactMap { $0["target"]?["pid"]?.integer })
        for victim in victims {
            if victim.isRunning {
                #expect(state(of: victim.pid) != "T", "a process is left suspended")
            } else {
                #expect(killed.contains(Int64(victim.pid)), "process \(victim.pid) has ended, and the journal does not say by what")
            }
        }
    }

    private func state(of pid: Int32) -> String? {
        (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)).flatMap { $0.components(separatedBy: ") ").last?.prefix(1) }.map(String.init)
    }
}

/// What is appended to a journal while somebody else writes it, looked at as fast as can be: which intents have no outcome yet.
private final class JournalTail {
    private let folder: String
    private var file: Int32 = -1
    private var place: Int64 = 0
    private var rest: [UInt8] = []
    private var open: Set<String> = []

    /// From the end of what is there on.
    init(_ stateDirectory: String) {
        folder = stateDirectory + "/journal"
        let newest = (try? FileManager.default.contentsOfDirectory(atPath: folder))?.filter { $0.hasSuffix(".jsonl") }.max()
        if let newest { file = Glibc.open("\(folder)/\(newest)", O_RDONLY | O_CLOEXEC) }
        place = file >= 0 ? Int64(lseek(file, 0, SEEK_END)) : 0
    }

    deinit { if file >= 0 { close(file) } }

    func hasOpenIntent() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = pread(file, &buffer, buffer.count, off_t(place))
        guard count > 0 else { return !open.isEmpty }
        place += Int64(count)
        rest += buffer.prefix(count)
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            follow(Array(rest[..<end]))
            rest.removeFirst(end + 1)
        }
        return !open.isEmpty
    }

    private func follow(_ line: [UInt8]) {
        guard let record = try? JSON(parsing: line), let id = record["id"]?.string?.shown else { return }
        switch record["kind"] {
        case "intent": open.insert(id)
        case "outcome": open.remove(id)
        default: break
        }
    }
}
