import Foundation
import Glibc
import RiposteCore
import RiposteSensor
import RiposteTestSupport
import Testing

/// An agent of the test's own, and somebody who meddles with it.
@Suite("tampering with the agent raises an alert", .serialized, .enabled(if: canLoadSensor && Machine.has("gcc"), "needs root, a kernel with BTF and ring buffers, and gcc"))
struct TamperingLiveTests {
    private let place: Workplace
    private let meddler: String
    private let outside: TemporaryFolder

    init() throws {
        place = try Workplace()
        outside = try TemporaryFolder()
        meddler = outside.path + "/meddler"
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Scenarios/meddler.c").path
        let (status, output) = try run(["gcc", "-O1", "-o", meddler, source])
        try #require(status == 0, "meddler.c: \(output)")
    }

    /// One deed, and what is told of it: kind, deed and target, or nothing.
    private struct Case {
        let words: [String]
        let told: [String]?

        init(_ words: [String], _ told: [String]? = nil) { (self.words, self.told) = (words, told) }
    }

    private func start(_ configuration: String = "") async throws -> Int32 {
        let folder = place.folder.path + "/upper/rules"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        _ = try place.folder.file("upper/rules/rules.yaml", "- { rule: none, desc: d, condition: evt.type = connect and fd.sport = 1, output: o, priority: INFO }\n")
        try place.write(playbooks: "  - { name: p, match: { rules: [none] }, steps: [{ action: process.kill, mode: observe }] }\n")
        try await place.start(mode: "observe", configuration: configuration, arguments: ["--json", "--rules", folder])
        return try #require(place.agent?.pid)
    }

    /// Alerts of tampering so far, as kind, deed, target and the first argument of who did it.
    private func alerts() throws -> [[String]] {
        let output = place.output
        // What does not end with its line's end is being written.
        let lines = output[..<(output.lastIndex(of: "\n") ?? output.startIndex)].split(separator: "\n")
        return try lines.map { try JSON(parsing: Array($0.utf8)) }.filter { $0["rule"] == "Riposte tampered with" }.map { alert in
            let fields = alert["output_fields"]
            return ["tampering.kind", "tampering.deed", "tampering.target", "proc.name"].map { fields?[ByteText($0)]?.string?.repaired ?? "?" }
        }
    }

    /// What a deed raised: all that was told before a deed that is sure to be told.
    private func raised(by words: [String], mark: String, after count: Int) async throws -> [[String]] {
        let result = try run([meddler] + words)
        #expect(result.status == 0, "\(words): \(result.output)")
        try run(["rm", mark])
        var found: [[String]] = []
        try await until {
            found = Array(try alerts().dropFirst(count))
            return found.contains { $0[2] == mark }
        }
        return found.filter { $0[2] != mark }
    }

    private func check(_ cases: [Case]) async throws {
        for (number, test) in cases.enumerated() {
            let mark = place.folder.path + "/playbooks/mark-\(number)"
            try Data().write(to: URL(fileURLWithPath: mark))
            try await until { try alerts().last?[2] == mark }
            let found = try await raised(by: test.words, mark: mark, after: try alerts().count)
            #expect(found == (test.told.map { [$0 + ["meddler"]] } ?? []), "\(test.words)")
        }
    }

    @Test("by signals, whichever call sends them, and not by those that do no harm")
    func signals() async throws {
        let pid = try await start()
        let thread = try #require(FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").first { $0 != "\(pid)" })
        let other = try ChildProcess(["sleep", "60"])
        let stopped = ["signal", "SIGTSTP", "\(pid)"]
        var cases = [0, SIGCONT, SIGWINCH].map { Case(["kill", "\(pid)", "\($0)"]) } + [Case(["kill", "\(other.pid)", "\(SIGTERM)"])]
        let ways = [["kill", "\(pid)"], ["kill", thread], ["tgkill", "\(pid)"], ["tkill", thread], ["pidfd", "\(pid)"], ["folder", "/proc/\(pid)"]]
        cases += ways.map { Case($0 + ["\(SIGTSTP)"], stopped) }
        // PIDFD_THREAD: Linux 6.9.
        if try run([meddler, "pidfd-of-thread", "\(other.pid)", "0"]).status == 0 { cases.append(Case(["pidfd-of-thread", thread, "\(SIGTSTP)"], stopped)) }
        // Continued by somebody who does no more than that, as soon as it has stopped.
        let resumer = try ChildProcess(["sh", "-c", "while kill -CONT \(pid); do sleep 0.02; done"], output: nil, error: nil)
        defer { resumer.signal(SIGKILL) }
        try await check(cases)
    }

    @Test("by a debugger, and by writing to its memory")
    func memory() async throws {
        let pid = try await start()
        let other = try ChildProcess(["sleep", "60"])
        try await check([
            Case(["attach", "\(pid)"], ["trace", "PTRACE_ATTACH", "\(pid)"]), Case(["seize", "\(pid)"], ["trace", "PTRACE_SEIZE", "\(pid)"]), Case(["attach", "\(other.pid)"]),
            Case(["write", "/proc/\(pid)/mem"], ["memory", "opened for writing", "/proc/\(pid)/mem"]),
            Case(["write-below", "/proc/\(pid)/task", "\(pid)/mem"], ["memory", "opened for writing", "/proc/\(pid)/task/\(pid)/mem"]), Case(["write", "/proc/\(other.pid)/mem"]),
            Case(["read", "/proc/\(pid)/mem"]), Case(["read", "/proc/\(pid)/status"]),
            Case(["write-memory", "\(pid)"], ["memory", "written by process_vm_writev", "\(pid)"]), Case(["write-memory", "\(other.pid)"]),
        ])
    }

    @Test("by changing, moving and removing its files, and not by reading them or by changing others")
    func files() async throws {
        _ = try await start()
        let (state, rules) = (place.stateDirectory, place.folder.path + "/upper/rules")
        let journal = try #require(FileManager.default.contentsOfDirectory(atPath: state + "/journal").first { $0.hasSuffix(".jsonl") })
        let (stranger, planted) = (outside.path + "/stranger", rules + "/planted.yaml")
        try Data("# nothing\n".utf8).write(to: URL(fileURLWithPath: stranger))
        let empty = outside.path + "/empty"
        try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
        symlink(rules + "/rules.yaml", outside.path + "/alias")
        try await check([
            Case(["read", "\(state)/journal/\(journal)"]), Case(["write", stranger]), Case(["truncate", stranger]),
            Case(["write", "\(state)/journal/\(journal)"], ["file", "opened for writing", "\(state)/journal/\(journal)"]),
            Case(["write-below", state, "journal/\(journal)"], ["file", "opened for writing", "\(state)/journal/\(journal)"]),
            Case(["write", outside.path + "/alias"], ["file", "opened for writing", "\(rules)/rules.yaml"]),
            Case(["link", stranger, planted], ["file", "linked", planted]), Case(["truncate-on-open", planted], ["file", "opened for writing", planted]),
            Case(["truncate", planted], ["file", "cut", planted]), Case(["unlink-below", rules, "planted.yaml"], ["file", "removed", planted]),
            Case(["symlink", stranger, planted], ["file", "linked", planted]), Case(["rename", planted, outside.path + "/moved"], ["file", "renamed", planted]),
            Case(["rename", outside.path + "/moved", planted], ["file", "replaced", planted]), Case(["unlink", planted], ["file", "removed", planted]),
            Case(["link", "\(state)/journal/\(journal)", outside.path + "/other-name"], ["file", "linked", "\(state)/journal/\(journal)"]),
            Case(["rename", rules, place.folder.path + "/elsewhere"], ["file", "renamed", rules]),
            Case(["rename", place.folder.path + "/elsewhere", rules], ["file", "replaced", rules]),
            Case(["exchange", empty, place.folder.path + "/upper"], ["file", "renamed", place.folder.path + "/upper"]),
            Case(["exchange", place.folder.path + "/upper", empty], ["file", "renamed", place.folder.path + "/upper"]),
            Case(["write", place.folder.path + "/riposte.yaml"], ["file", "opened for writing", place.folder.path + "/riposte.yaml"]),
        ])
    }

    @Test("by its own commands it is not tampered with")
    func commands() async throws {
        _ = try await start()
        for words in [["status"], ["audit", "list"], ["audit", "verify"], ["playbook", "check", place.folder.path + "/playbooks"]] { _ = try place.riposte(words) }
        let mark = place.folder.path + "/playbooks/mark"
        try Data().write(to: URL(fileURLWithPath: mark))
        try await until { try alerts().contains { $0[2] == mark } }
        #expect(try alerts().allSatisfy { $0[2] == mark })
    }

    /// The kernel's ids of BPF objects that the agent holds, by the word that fdinfo (proc(5)) has for them.
    private func ids(_ word: String, of pid: Int32) throws -> [String] {
        let folder = "/proc/\(pid)/fdinfo"
        return try FileManager.default.contentsOfDirectory(atPath: folder).flatMap { name in
            let lines = (try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8))?.split(separator: "\n") ?? []
            return lines.filter { $0.hasPrefix(word + ":") }.compactMap { $0.split(whereSeparator: \.isWhitespace).last.map(String.init) }
        }
    }

    @Test("by taking a handle on its BPF objects, and not on those of others")
    func objects() async throws {
        let pid = try await start()
        let second = try Workplace()
        try await second.start(mode: "observe", configuration: "sensor: { enabled: true }")
        let other = try #require(second.agent?.pid)
        try await check([
            Case(["map", try #require(ids("map_id", of: pid).first)], ["bpf", "a handle on a BPF map was taken", try #require(ids("map_id", of: pid).first)]),
            Case(["program", try #require(ids("prog_id", of: pid).first)], ["bpf", "a handle on a BPF program was taken", try #require(ids("prog_id", of: pid).first)]),
            Case(["bpf-link", try #require(ids("link_id", of: pid).first)], ["bpf", "a handle on a BPF link was taken", try #require(ids("link_id", of: pid).first)]),
            Case(["map", try #require(ids("map_id", of: other).first)]),
        ])
        // The second agent is told of the handle on its own map.
        try await until { try second.records().contains { $0["kind"] == "alert" } }
    }

    @Test(
        "by opening one of its maps by the name that it is pinned by, and not those of others",
        .enabled(if: SensorPins.isPossible && Machine.has("bpftool"), "needs bpffs and bpftool"))
    func pinned() async throws {
        _ = try await start("sensor: { pinned: true }")
        let pins = try #require(SensorPins(stateDirectory: place.stateDirectory))
        defer {
            place.kill()
            pins.removeAll()
        }
        let (control, other) = (pins.folder + "/1/control", "/sys/fs/bpf/other-\(getpid())")
        try #require(run(["bpftool", "map", "create", other, "type", "array", "key", "4", "value", "4", "entries", "1", "name", "other"]).status == 0)
        defer { unlink(other) }
        let shown = try run(["bpftool", "-j", "map", "show", "pinned", control]).output
        let id = try #require(try JSON(parsing: Array(shown.utf8))["id"]?.integer)
        // bpftool has done the same.
        try await until { try alerts().contains { $0[3] == "bpftool" } }
        try await check([Case(["pinned", control], ["bpf", "a handle on a BPF map was taken", "\(id)"]), Case(["pinned", other])])
        let second = try Workplace()
        try await second.start(mode: "observe", configuration: "sensor: { enabled: true }")
        #expect(try place.riposte("doctor").status >= 0)
        try await check([Case(["nothing"])])
    }

    @Test("its end in order is on record with who asked for it")
    func ending() async throws {
        let pid = try await start()
        try run([meddler, "kill", "\(pid)", "\(SIGTERM)"])
        try await until { place.agent?.isRunning == false }
        let told = try place.records().filter { $0["kind"] == "alert" }
        #expect(told.contains { $0.line.contains("SIGTERM was sent to it") && $0.line.contains("meddler") }, "\(told.map(\.line))")
    }

    @Test("it can be switched off")
    func off() async throws {
        let pid = try await start("sensor: { alert_on_tampering: false }")
        try run([meddler, "kill", "\(pid)", "\(SIGTERM)"])
        try await until { place.agent?.isRunning == false }
        #expect(try !place.records().contains { $0["kind"] == "alert" })
    }
}
