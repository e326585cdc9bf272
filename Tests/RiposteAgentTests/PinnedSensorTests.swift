import Foundation
import Glibc
import RiposteCore
import RiposteSensor
import RiposteTestSupport
import Testing

/// `sensor: { pinned: true }`: the programs stay when the agent ends, and the next one reads what they have seen.
@Suite(
    "a sensor that is pinned", .serialized,
    .enabled(if: canLoadSensor && SensorPins.isPossible, "needs root, a kernel with BTF and ring buffers, and a BPF file system at /sys/fs/bpf, or the right to mount one"))
final class PinnedSensorTests {
    private let place: Workplace
    private let victim: String
    private let rules: String
    private var pins: SensorPins?

    init() throws {
        place = try Workplace()
        victim = place.folder.path + "/victim"
        try FileManager.default.copyItem(atPath: "/bin/echo", toPath: victim)
        rules = try place.folder.file(
            "rules.yaml",
            "- { rule: Victim started, desc: d, condition: evt.type = execve and proc.exepath = \(victim) and evt.rawres = 0, output: 'args=%proc.args', priority: INFO }\n")
    }

    // Whatever happens, nothing is left on the machine.
    deinit {
        place.kill()
        pins?.removeAll()
    }

    private func start(pinned: Bool, sensor: Bool = true, reflex: Bool = false, budget: Int = 100) async throws {
        if reflex {
            try place.write(
                playbooks: "  - { name: stop, match: { rules: [Victim started] }, budget: { actions: \(budget), per: 1h }, steps: [{ action: process.kill, reflex: true }] }\n")
        }
        try await place.start(
            configuration: "budgets: []\nsensor: { pinned: \(pinned) }", arguments: ["--json", "--rules", rules] + (sensor ? [] : ["--no-sensor"]))
        pins = SensorPins(stateDirectory: place.stateDirectory)
    }

    /// The alerts that stand whole on standard output so far.
    private func alerts(_ rule: String) throws -> [JSON] {
        let text = place.output
        let lines = try text[..<(text.lastIndex(of: "\n") ?? text.startIndex)].split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
        return lines.filter { $0["rule"]?.string?.repaired == rule }
    }

    /// What the victims were started with, in the order in which they were told.
    private var told: [String] { get throws { try alerts("Victim started").compactMap { $0["output_fields"]?["proc.args"]?.string?.shown } } }

    private var kept: [String] {
        get throws {
            let folder = try #require(pins?.folder)
            return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
        }
    }

    private func run(_ words: String...) throws { for word in words { #expect(try RiposteTestSupport.run([victim, word]).status == 0) } }

    @Test("what happens while no agent runs is told by the next one, each thing once and in order, however the one before has ended")
    func gap() async throws {
        try await start(pinned: true)
        #expect(try kept == ["1"])
        #expect(try place.json("status").first?["sensor"]?["pinned"]?.string?.shown == pins?.folder)
        try run("a")
        try await until { try told == ["a"] }
        place.kill()
        try run("b", "c")
        try await start(pinned: true)
        try run("d")
        try await until { try told.count == 4 }
        #expect(try told == ["a", "b", "c", "d"])
        try await until { try kept == ["2"] }
        #expect(try await place.stop() == 0)
        try run("e")
        // Without being asked for, nothing stays behind.
        try await start(pinned: false)
        try run("f")
        try await until { try told.count == 6 }
        #expect(try told == ["a", "b", "c", "d", "e", "f"])
        try await until { try kept.isEmpty }
        #expect(try place.json("status").first?["sensor"]?["pinned"] == .null)
    }

    @Test(
        "requests of io_uring that are made while no agent runs are told by the next one",
        .enabled(if: KernelFeatures.seesRequests && Machine.has("gcc"), "needs a kernel of 6.0 or later that takes programs at its functions (fentry), and gcc"))
    func requests() async throws {
        let requester = place.folder.path + "/requester"
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path + "/Scenarios/requester.c"
        try #require(RiposteTestSupport.run(["gcc", "-static", "-O1", "-o", requester, source]).status == 0)
        let folder = place.folder.path
        _ = try place.folder.file(
            "rules.yaml",
            "- { rule: Victim started, desc: d, condition: evt.type = openat and proc.name = requester and fd.name startswith \(folder)/victim, "
                + "output: 'args=%proc.args', priority: INFO }\n")
        func seen() throws -> Bool { try place.json("status").first?["sensor"]?["io_uring"]?["seen"]?.array?.contains("openat") == true }
        try await start(pinned: true)
        try await until { try seen() }
        #expect(try RiposteTestSupport.run([requester, "openat", victim, "0"]).status == 0)
        try await until { try told.count == 1 }
        place.kill()
        #expect(try RiposteTestSupport.run([requester, "async", "openat", victim, "0"]).status == 0)
        try await start(pinned: true)
        try await until { try told.count == 2 }
        #expect(try told == ["openat \(victim) 0", "async openat \(victim) 0"])
        #expect(try alerts("Victim started").allSatisfy { $0["output_fields"]?["evt.is_io_uring"] == true })
    }

    @Test("starts that fall between two agents, one after the other, are told once each while programs start all the time")
    func noMomentWithout() async throws {
        try await start(pinned: true)
        let script = "i=0; while [ $i -lt 300 ]; do \(victim) $i > /dev/null; i=$((i+1)); done"
        let load = try ChildProcess(["sh", "-c", script])
        // In order: what one that is killed has read and not told yet is lost.
        for _ in 0..<3 {
            #expect(try await place.stop() == 0)
            try await start(pinned: true)
        }
        #expect(try await load.waitForExit(within: .seconds(60)) == 0)
        try await until { try told.count >= 300 }
        #expect(try told == (0..<300).map(String.init))
    }

    @Test("while nobody attends, no reflex acts; the agent answers what it reads, as far as it still can")
    func unattended() async throws {
        try await start(pinned: true, reflex: true)
        #expect(try RiposteTestSupport.run([victim, "a"]).status == 128 + SIGKILL)
        try await until { try place.outcomes() == ["process.kill done"] }
        place.kill()
        try run("b")
        try await start(pinned: true, reflex: true)
        try await until { try told.count == 2 && place.outcomes().count == 2 }
        #expect(try place.outcomes().last == "process.kill gone")
        #expect(try RiposteTestSupport.run([victim, "c"]).status == 128 + SIGKILL)
    }

    @Test("what a reflex has done is told, also where it falls between two agents, one after the other, while programs start all the time")
    func deedsBetween() async throws {
        try await start(pinned: true, reflex: true, budget: 10_000)
        let (ends, stop) = (place.folder.path + "/ends", place.folder.path + "/stop")
        let script = "i=0; while [ ! -e \(stop) ]; do \(victim) $i > /dev/null; echo $i $?; sleep 0.005; i=$((i+1)); done"
        let load = try ChildProcess(["sh", "-c", "{ \(script); } > \(ends) 2> /dev/null"])
        func killed() throws -> [String] {
            let lines = try String(contentsOfFile: ends, encoding: .utf8).split(separator: "\n").map { $0.split(separator: " ") }
            return lines.filter { $0.last == "\(128 + SIGKILL)" }.map { String($0[0]) }
        }
        for _ in 0..<3 {
            #expect(try await place.stop() == 0)
            try await start(pinned: true, reflex: true, budget: 10_000)
            let before = try killed().count
            try await until { try killed().count > before }
        }
        try Data().write(to: URL(fileURLWithPath: stop))
        #expect(try await load.waitForExit(within: .seconds(60)) == 0)
        let count = try String(contentsOfFile: ends, encoding: .utf8).count { $0 == "\n" }
        try await until { try told.count >= count }
        let sent = try alerts("Victim started").filter { $0["output_fields"]?["reflex.outcome"] == "sent" }.compactMap { $0["output_fields"]?["proc.args"]?.string?.shown }
        let dead = try Set(killed())
        // Some may have lived long enough for an agent to end them.
        let byAgents = try place.records().count { $0["kind"] == "outcome" && $0["outcome"] == "done" && $0["detail"]?["evidence"]?["reflex"] == nil }
        #expect(dead.subtracting(sent).count <= byAgents, "\(dead.subtracting(sent))")
        #expect(!sent.isEmpty && Set(sent).isSubset(of: dead))
    }

    @Test("an agent without the sensor ends what one before it has left")
    func withoutSensor() async throws {
        try await start(pinned: true)
        place.kill()
        #expect(try !kept.isEmpty)
        try await start(pinned: false, sensor: false)
        #expect(try kept.isEmpty)
    }

    @Test("where others can change what is kept nothing is, which is said, and what lies there is not believed")
    func foreign() async throws {
        try await start(pinned: true)
        place.kill()
        try run("a")
        let folder = try #require(pins?.folder)
        try #require(chown(folder, 65534, 65534) == 0)
        try await start(pinned: true)
        #expect(try place.json("status").first?["sensor"]?["pin_problem"]?.string?.shown == "the sensor's programs are not pinned: others can change \(folder)")
        try run("b")
        try await until { try told == ["b"] }
        #expect(try place.json("status").first?["sensor"]?["pinned"] == .null && kept == ["1"])
        try #require(chown(folder, 0, 0) == 0)
    }

    @Test("what found no room while no agent ran is told as lost, and the process table is what /proc is")
    func full() async throws {
        try await start(pinned: true)
        place.kill()
        // Four thousand bytes each, of which four million wait at most.
        let long = String(repeating: "x", count: 4000)
        for _ in 0..<12 { try RiposteTestSupport.run(["sh", "-c", "for i in $(seq 100); do \(victim) \(long) > /dev/null; done"]) }
        try await start(pinned: true)
        func lost() throws -> Int64 { try alerts("Riposte lost events").first?["output_fields"]?["lost.unattended"]?.integer ?? 0 }
        try await until { try lost() > 0 }
        #expect(try told.count < 1200)
        let known = try #require(place.json("status").first?["sensor"]?["processes"]?["known"]?.integer)
        #expect(known < Int64(try FileManager.default.contentsOfDirectory(atPath: "/proc").count { Int($0) != nil } + 200), "\(known)")
    }

    @Test("what is left for a state folder that is no longer there is ended, and said; what is left for another one stays, and is named")
    func orphans() async throws {
        try await start(pinned: true)
        place.kill()
        let left = try #require(pins?.folder)
        let other = try Workplace()
        defer { other.kill() }
        try await other.start(arguments: ["--rules", rules])
        #expect(try other.json("status").first?["sensor"]?["left_by_others"]?.array?.map { $0.string?.repaired } == [left + "/1"])
        #expect(other.errors.contains("programs of an agent with the state folder \(place.stateDirectory), which has ended, are at work: \(left)/1"), "\(other.errors)")
        #expect(try other.riposte("doctor").output.contains(left))
        other.kill()
        try #require(rename(place.stateDirectory, place.stateDirectory + ".old") == 0)
        try await start(pinned: true)
        #expect(!FileManager.default.fileExists(atPath: left))
        #expect(place.errors.contains("ended the programs of an agent with the state folder \(place.stateDirectory), which is no longer there"), "\(place.errors)")
        try run("a")
        try await until { try told == ["a"] }
    }

    @Test("what is no sensor of this version is ended, and said")
    func otherVersion() async throws {
        try await start(pinned: true)
        place.kill()
        let folder = try #require(pins?.folder) + "/1"
        // Something else by the name of one of its maps.
        try #require(unlink(folder + "/control") == 0)
        try #require(rename(folder + "/counters", folder + "/control") == 0)
        try await start(pinned: true)
        #expect(place.errors.contains("of another version") || place.errors.contains("cannot be read"), "\(place.errors)")
        try run("a")
        try await until { try told == ["a"] }
        #expect(try kept == ["2"])
    }
}
