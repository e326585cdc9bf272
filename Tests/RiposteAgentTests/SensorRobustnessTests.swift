import Foundation
import Glibc
import RiposteCore
import RiposteTestSupport
import Testing

/// The sensor where things go wrong: too much to read, no room on the disk, a death without warning.
@Suite("the sensor holds under trouble", .serialized, .enabled(if: canLoadSensor, "needs root and a kernel with BTF and ring buffers"))
struct SensorRobustnessTests {
    private let place: Workplace
    private let victim: String

    init() throws {
        place = try Workplace()
        victim = place.folder.path + "/victim"
        try FileManager.default.copyItem(atPath: "/bin/true", toPath: victim)
    }

    private func start(_ place: Workplace, configuration: String = "", arguments: [String] = []) async throws {
        let rules = try place.folder.file(
            "rules.yaml",
            """
            - { rule: Victim started, desc: d, condition: evt.type = execve and proc.exepath = \(victim), output: victim, priority: INFO }
            - { rule: No such open, desc: d, condition: evt.type = openat and fd.name = /none, output: none, priority: INFO }
            """)
        try await place.start(mode: "observe", configuration: configuration, arguments: ["--json", "--rules", rules] + arguments)
    }

    private func alerts(_ rule: String, _ place: Workplace) throws -> [JSON] {
        try place.output.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }.filter { $0["rule"]?.string?.repaired == rule }
    }

    // MARK: - Too much to read

    @Test("events that find no room are counted by type and told once there are enough of them; starts of programs come all the same")
    func overflow() async throws {
        try await start(place, configuration: "sensor: { buffer_size: 64KiB, alert_on_lost: 1000, push_down: false }")
        // Stopped, it reads nothing.
        place.agent?.signal(SIGSTOP)
        try run(["sh", "-c", "i=0; while [ $i -lt 4000 ]; do : < /dev/null; i=$((i+1)); done"])
        for _ in 0..<20 { try run([victim]) }
        place.agent?.signal(SIGCONT)
        try await until { try alerts("Victim started", place).count == 20 && !alerts("Riposte lost events", place).isEmpty }
        let told = try #require(alerts("Riposte lost events", place).first?["output_fields"])
        #expect(told["lost.openat"]?.integer ?? 0 >= 1000 && told["lost.events"]?.integer ?? 0 >= told["lost.openat"]?.integer ?? 0)
        #expect(told["lost.exec"] == nil && told["lost.fork"] == nil && told["lost.procexit"] == nil)
        let dropped = try #require(place.json("status").first?["sensor"]?["dropped"])
        #expect(dropped["openat"]?.integer ?? 0 >= told["lost.openat"]?.integer ?? 0)
        // And it goes on.
        try run([victim])
        try await until { try alerts("Victim started", place).count == 21 }
    }

    @Test("fewer lost events than the threshold raise nothing, and are counted")
    func belowThreshold() async throws {
        try await start(place, configuration: "sensor: { buffer_size: 64KiB, alert_on_lost: 1000000, push_down: false }")
        place.agent?.signal(SIGSTOP)
        try run(["sh", "-c", "i=0; while [ $i -lt 1000 ]; do : < /dev/null; i=$((i+1)); done"])
        place.agent?.signal(SIGCONT)
        try await until { try place.json("status").first?["sensor"]?["dropped"]?["openat"]?.integer ?? 0 > 0 }
        try run([victim])
        try await until { try alerts("Victim started", place).count == 1 }
        #expect(try alerts("Riposte lost events", place).isEmpty)
    }

    // MARK: - Death without warning

    /// The kernel's ids of the BPF programs and maps that a process holds (proc(5), fdinfo), as bpftool takes them.
    private func objects(of pid: Int32) throws -> Set<[String]> {
        let folder = "/proc/\(pid)/fdinfo"
        return Set(
            try FileManager.default.contentsOfDirectory(atPath: folder).flatMap { name in
                let lines = (try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8))?.split(separator: "\n") ?? []
                return lines.compactMap { line -> [String]? in
                    let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
                    guard words.count == 2, let kind = ["prog_id:": "prog", "map_id:": "map", "link_id:": "link"][words[0]] else { return nil }
                    return [kind, words[1]]
                }
            })
    }

    /// RIPOSTE_KILL_ROUNDS: how often; `make test-long` says 100.
    private static let rounds = ProcessInfo.processInfo.environment["RIPOSTE_KILL_ROUNDS"].flatMap(Int.init) ?? 30

    @Test(
        "agents that are killed one after the other leave nothing in the kernel, and another one sees all the while what it saw before",
        .enabled(if: Machine.has("bpftool"), "needs bpftool"))
    func kills() async throws {
        try await start(place)
        let own = try objects(of: try #require(place.agent?.pid))
        var left: Set<[String]> = []
        for round in 1...Self.rounds {
            let doomed = try Workplace()
            try await start(doomed)
            let held = try objects(of: try #require(doomed.agent?.pid))
            #expect(held.count(where: { $0[0] == "prog" }) >= 4 && held.contains { $0[0] == "map" } && held.contains { $0[0] == "link" } && held.isDisjoint(with: own))
            left.formUnion(held)
            doomed.kill()
            try run([victim])
            try await until { try alerts("Victim started", place).count == round }
        }
        // The kernel frees what nobody holds a moment later.
        try await until { try left.allSatisfy { try run(["bpftool", $0[0], "show", "id", $0[1]]).status != 0 } }
        #expect(try objects(of: try #require(place.agent?.pid)) == own)
        let sensor = try #require(place.json("status").first?["sensor"])
        #expect(sensor["state"] == "running" && sensor["dropped"]?.object?.members.isEmpty == true, "\(sensor.line)")
    }

    // MARK: - No room on the disk

    @Test("a recording that fills the disk ends with one error that says so, and with a file that rules can be replayed on")
    func fullDisk() throws {
        let (disk, copy) = (place.folder.path + "/disk", place.folder.path + "/copy.jsonl")
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
        // In a mount namespace of its own; the load ends with the recording.
        let script = """
            mount -t tmpfs -o size=1m tmpfs "$1" || exit 99
            (while :; do \(victim) a b c; done) & load=$!
            \(Riposte.path) record 'evt.type in (execve, openat)' --out "$1/events.jsonl" --for 60s 2> "$2.errors"
            status=$?
            kill $load
            cp "$1/events.jsonl" "$2"
            exit $status
            """
        let (status, output) = try run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", disk, copy])
        let errors = try String(contentsOfFile: copy + ".errors", encoding: .utf8).split(separator: "\n").map(String.init)
        #expect(status == 1, "\(output) \(errors)")
        let complaints = errors.filter { !$0.contains("events recorded") && !$0.contains("requests of io_uring are not seen") }
        let complaint = "events.jsonl cannot be written: No space left on device; make room, or keep it smaller with --max-size"
        #expect(complaints.count == 1 && complaints[0].hasSuffix(complaint), "\(errors)")
        let recorded = try String(contentsOfFile: copy, encoding: .utf8)
        let lines = recorded.split(separator: "\n")
        #expect(recorded.hasSuffix("\n") && lines.count > 20 && recorded.utf8.count > 900_000)
        #expect(errors.contains { $0.contains("\(lines.count) events recorded") }, "\(errors), \(lines.count) lines")
        let rules = try place.folder.file(
            "replay.yaml", "- { rule: Victim started, desc: d, condition: evt.type = execve and proc.exepath = \(victim), output: victim, priority: INFO }\n")
        let replayed = try run([Riposte.path, "rules", "replay", rules, "--events", copy])
        #expect(replayed.status == 0 && replayed.output.contains("victim"), "\(replayed.output.suffix(300))")
    }
}
