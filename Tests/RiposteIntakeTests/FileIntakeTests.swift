import Foundation
import RiposteCore
@testable import RiposteIntake
import RiposteTestSupport
import Testing

@Suite("file: a file of JSON lines is followed, whatever happens to it")
struct FileIntakeTests {
    let folder: TemporaryFolder
    let sink = RecordingSink()
    var path: String { folder.path + "/alerts.jsonl" }

    init() throws { folder = try TemporaryFolder() }

    private func intake(fromStart: Bool = false, lingering: Duration = .seconds(60)) -> FileIntake {
        FileIntake(path: path, stateDirectory: folder.path + "/state", startsAtBeginning: fromStart, lingering: lingering, sink: sink)
    }

    /// `alerts.jsonl` and then a suffix.
    private func move(to suffix: String) throws { try FileManager.default.moveItem(atPath: path, toPath: path + suffix) }

    private var offsetText: String { (try? String(contentsOfFile: folder.path + "/state/intake/file.offset", encoding: .utf8)) ?? "" }

    private func append(_ text: String, to other: String) throws {
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: other))
        try file.seekToEnd()
        try file.write(contentsOf: Data(text.utf8))
        try file.close()
    }

    private func append(_ text: String) throws {
        if !FileManager.default.fileExists(atPath: path) { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.seekToEnd()
        try file.write(contentsOf: Data(text.utf8))
        try file.close()
    }

    private func line(_ rule: String) -> String { alert(rule) + "\n" }

    @Test("the first run begins at the end, or at the beginning where that is wanted", arguments: [(false, ["new"]), (true, ["old", "new"])])
    func firstRun(fromStart: Bool, expected: [String]) async throws {
        try append(line("old"))
        try await withIntake(intake(fromStart: fromStart)) {
            if fromStart { try await sink.expect(["old"]) } else { try await Task.sleep(for: .milliseconds(200)) }
            try append(line("new"))
            try await sink.expect(expected)
        }
    }

    @Test("a file that is not there yet is read from its beginning when it comes")
    func notThereYet() async throws {
        try await withIntake(intake()) {
            try await Task.sleep(for: .milliseconds(100))
            try append(line("first"))
            try await sink.expect(["first"])
        }
    }

    @Test("a line is taken when it is finished")
    func partial() async throws {
        try await withIntake(intake(fromStart: true)) {
            let text = Array(line("a"))
            try append(String(text[..<20]))
            try await Task.sleep(for: .milliseconds(200))
            #expect(sink.rules.isEmpty)
            try append(String(text[20...]))
            try await sink.expect(["a"])
        }
    }

    @Test("rotation by a rename: both files, until the writer has opened the new one; a line that it was half through is one line")
    func rotation() async throws {
        try append(line("a"))
        try await withIntake(intake(fromStart: true)) {
            try await sink.expect(["a"])
            let half = Array(line("c"))
            try append(line("b") + String(half[..<20]))
            try await sink.expect(["a", "b"])
            try move(to: ".1")
            try append(line("d"))
            try await sink.expect(["a", "b", "d"])
            // It has the old file open still, and writes to both for a while.
            try append(String(half[20...]) + line("e"), to: path + ".1")
            try await sink.expect(["a", "b", "d", "c", "e"])
            try append(line("f"))
            try await sink.expect(["a", "b", "d", "c", "e", "f"])
        }
        #expect(sink.problems.isEmpty)
    }

    @Test("a last line that its writer never finishes is taken when the file has been silent for a while")
    func unfinished() async throws {
        try append(line("a"))
        try await withIntake(intake(fromStart: true, lingering: .milliseconds(1))) {
            try await sink.expect(["a"])
            try append(alert("b"))
            try move(to: ".1")
            try append(line("c"))
            try await until { sink.rules.count >= 3 }
            #expect(sink.rules.sorted() == ["a", "b", "c"])
        }
    }

    @Test("the writer opens the new file long after the rename, which made none")
    func rotationWithoutNewFile() async throws {
        try append(line("a"))
        try await withIntake(intake(fromStart: true)) {
            try await sink.expect(["a"])
            try move(to: "-20261126")
            try append(line("b"), to: path + "-20261126")
            try await sink.expect(["a", "b"])
            try append(line("c"))
            try append(line("d"), to: path + "-20261126")
            try await until { sink.rules.count >= 4 }
            #expect(sink.rules.sorted() == ["a", "b", "c", "d"])
        }
    }

    @Test(
        "rotated while nobody was there, once and several times: the rest of the old file, those in between, the new one, each line once",
        arguments: [
            ["alerts.jsonl.1"], ["alerts.jsonl.2", "alerts.jsonl.1"], ["alerts.jsonl-2026-11-26T03-15-00.000", "alerts.jsonl-2026-11-26T03-16-00.000"],
            // logrotate: dateext, with and without extension; then extension alone, and short dates, which count as the file that was read is called so too.
            ["alerts.jsonl-20261126", "alerts.jsonl-20261127"], ["alerts-20261126.jsonl", "alerts-20261127.jsonl"], ["alerts.1795662000.jsonl"],
            ["alerts.12.jsonl", "alerts.9.jsonl"], ["alerts-202611.jsonl", "alerts-202612.jsonl"], ["alerts.jsonl202611", "alerts.jsonl202612"],
            // lumberjack, which API servers rotate their audit logs with.
            ["alerts-2026-11-26T03-15-00.000.jsonl", "alerts-2026-11-26T03-16-00.000.jsonl"],
        ])
    func rotationWhileAway(names: [String]) async throws {
        try append(line("a") + line("b"))
        try await withIntake(intake(fromStart: true)) { try await sink.expect(["a", "b"]) }
        var expected = ["a", "b"]
        for name in names {
            try append(line("rest of \(name)"))
            expected.append("rest of \(name)")
            try FileManager.default.moveItem(atPath: path, toPath: folder.path + "/" + name)
            try append(line("first after \(name)"))
            expected.append("first after \(name)")
        }
        try await withIntake(intake()) {
            try await sink.expect(expected)
            try append(line("on"))
            try await sink.expect(expected + ["on"])
        }
        // And all of it is known to have been read.
        try await withIntake(intake()) {
            try append(line("last"))
            try await sink.expect(expected + ["on", "last"])
        }
        #expect(sink.problems.isEmpty)
    }

    /// Begins as all others of its host do, for longer than what is remembered of a file's beginning.
    private func hostLine(_ rule: String) -> String { #"{"hostname":"\#(String(repeating: "h", count: 80))",\#(alert(rule).dropFirst())"# + "\n" }

    @Test("files that begin alike are told apart: rotated while nobody was there, the first one still there or compressed", arguments: [false, true])
    func alike(isCompressed: Bool) async throws {
        try append((0..<3).map { hostLine("a\($0)") }.joined())
        try await withIntake(intake(fromStart: true)) { try await sink.expect(["a0", "a1", "a2"]) }
        try move(to: "-T1.log")
        if isCompressed {
            try FileManager.default.removeItem(atPath: path + "-T1.log")
            _ = try folder.file("alerts.jsonl-1.gz", "\u{1f}\u{8b}")
        } else {
            try FileManager.default.moveItem(atPath: path + "-T1.log", toPath: path + "-1")
        }
        let (between, current) = ((0..<50).map { "b\($0)" }, (0..<7).map { "c\($0)" })
        try append(between.map(hostLine).joined())
        try move(to: "-2")
        try append(current.map(hostLine).joined())
        try await withIntake(intake()) { try await sink.expect(["a0", "a1", "a2"] + between + current) }
        #expect(sink.problems.count == (isCompressed ? 2 : 0))
    }

    @Test("emptied and filled again beyond what was read, by lines that begin alike: read from the beginning, whether somebody was there or not", arguments: [true, false])
    func refilledAlike(isThere: Bool) async throws {
        let new = (0..<50).map { "b\($0)" }
        func refill() throws {
            try Data(new.map(hostLine).joined().utf8).withUnsafeBytes { bytes in
                let file = open(path, O_WRONLY | O_TRUNC)
                defer { close(file) }
                try #require(write(file, bytes.baseAddress, bytes.count) == bytes.count)
            }
        }
        try append(hostLine("a0") + hostLine("a1"))
        try await withIntake(intake(fromStart: true)) {
            try await sink.expect(["a0", "a1"])
            if isThere { try refill() }
            if isThere { try await sink.expect(["a0", "a1"] + new) }
        }
        if isThere { return }
        try refill()
        try await withIntake(intake()) { try await sink.expect(["a0", "a1"] + new) }
        #expect(sink.problems.map { $0.problem.contains("what came after that is not known") } == [true])
    }

    @Test("a quiet first run is one: what came after it is read by the next, whether the file was there or not", arguments: [true, false])
    func quiet(isThere: Bool) async throws {
        if isThere { try append(line("old")) }
        try await withIntake(intake()) { try await until { FileManager.default.fileExists(atPath: folder.path + "/state/intake/file.offset") } }
        try append(line("a") + line("b"))
        try await withIntake(intake()) { try await sink.expect(["a", "b"]) }
    }

    @Test("where nobody knows how far was read, that is told, and all is read", arguments: ["", "{", "[]", "{}", #"{"saved_at":1,"older":[7]}"#])
    func lostPlace(text: String) async throws {
        try append(line("a"))
        try await withIntake(intake(fromStart: true)) { try await sink.expect(["a"]) }
        _ = try folder.file("state/intake/file.offset", text)
        try append(line("b"))
        try await withIntake(intake()) { try await sink.expect(["a", "a", "b"]) }
        #expect(sink.problems.map { $0.problem.contains("is not known, and it is read from its beginning") } == [true])
    }

    @Test("files that others put beside it, and links, are not read, and that is told", .enabled(if: geteuid() == 0, "needs root to give files away"))
    func foreign() async throws {
        try append(line("a"))
        try await withIntake(intake(fromStart: true)) { try await sink.expect(["a"]) }
        let secret = try folder.file("secret", line("secret"))
        try #require(symlink(secret, path + ".3") == 0)
        _ = try folder.file("alerts.jsonl.7", line("forged"))
        try #require(chown(path + ".7", 65534, 65534) == 0)
        try append(line("b"))
        try move(to: ".1")
        try append(line("c"))
        try await withIntake(intake()) {
            try await sink.expect(["a", "b", "c"])
            try append(line("d"))
            try await sink.expect(["a", "b", "c", "d"])
        }
        #expect(sink.problems.map { $0.problem.hasPrefix("2 files in ") } == [true])
    }

    @Test(
        "a file speaks for whoever may write to it", .enabled(if: geteuid() == 0, "needs root to give files away"),
        arguments: [(0, 0o644, [], true), (65534, 0o644, [], false), (65534, 0o644, [65534], true), (0, 0o664, [], false), (65534, 0o646, [65534], false)]
            as [(UInt32, mode_t, Set<UInt32>, Bool)])
    func believed(owner: UInt32, mode: mode_t, owners: Set<UInt32>, isBelieved: Bool) async throws {
        try append(line("a"))
        try #require(chown(path, owner, 0) == 0 && chmod(path, mode) == 0)
        let intake = FileIntake(path: path, stateDirectory: folder.path + "/state", startsAtBeginning: true, owners: owners, sink: sink)
        try await withIntake(intake) {
            try await sink.expect(["a"])
            #expect(sink.alerts[0].arrival.trust == (isBelieved ? .trusted : .untrusted))
            #expect((intake.obstacle == nil) == isBelieved)
            #expect((FileIntake.objection(to: path, owners: owners) == nil) == isBelieved)
        }
        #expect(intake.counters.snapshot.untrusted == (isBelieved ? 0 : 1))
    }

    @Test("a file that was done with, and is written to again while nobody is there, goes on where it was")
    func writtenAgain() async throws {
        try append(line("a"))
        try await withIntake(intake(fromStart: true, lingering: .milliseconds(1))) {
            try await sink.expect(["a"])
            try move(to: ".1")
            try append(line("b"))
            try await sink.expect(["a", "b"])
            try append(line("c"))
            try await sink.expect(["a", "b", "c"])
        }
        try append(line("late"), to: path + ".1")
        try await withIntake(intake()) { try await sink.expect(["a", "b", "c", "late"]) }
        #expect(sink.problems.isEmpty)
    }

    @Test("copied and emptied while nobody was there: the copy's rest, and what is new")
    func copiedWhileAway() async throws {
        try append(line("a"))
        try await withIntake(intake(fromStart: true)) { try await sink.expect(["a"]) }
        try append(line("b"))
        try FileManager.default.copyItem(atPath: path, toPath: path + ".1")
        try #require(truncate(path, 0) == 0)
        try append(line("c"))
        try await withIntake(intake()) { try await sink.expect(["a", "b", "c"]) }
        #expect(sink.problems.isEmpty)
    }

    @Test("what is gone or compressed after a restart is told", arguments: [true, false])
    func gone(isCompressed: Bool) async throws {
        try append(line("a"))
        try await withIntake(intake(fromStart: true)) { try await sink.expect(["a"]) }
        try FileManager.default.removeItem(atPath: path)
        if isCompressed { _ = try folder.file("alerts.jsonl.1.gz", "\u{1f}\u{8b}") }
        try append(line("b"))
        try await withIntake(intake()) { try await sink.expect(["a", "b"]) }
        #expect(sink.problems.map { $0.problem.contains("is not in its folder any more") }.contains(true))
        #expect(sink.problems.count == (isCompressed ? 2 : 1))
    }

    @Test("how far was read is told of one path: another one is followed from its end, as on a first run, and that is told", arguments: ["sample.jsonl", "elsewhere/sample.jsonl"])
    func anotherPath(name: String) async throws {
        try append(line("a"))
        try await withIntake(intake(fromStart: true)) { try await sink.expect(["a"]) }
        try FileManager.default.createDirectory(atPath: folder.path + "/elsewhere", withIntermediateDirectories: true)
        let sample = try folder.file(name, line("sample"))
        try await withIntake(FileIntake(path: sample, stateDirectory: folder.path + "/state", sink: sink)) {
            try await until { offsetText.contains("sample.jsonl") }
            try append(line("b"), to: sample)
            try append(line("missed"))
            try await sink.expect(["a", "b"])
        }
        try await withIntake(intake()) {
            try await until { offsetText.contains("alerts.jsonl") }
            try append(line("c"))
            try await sink.expect(["a", "b", "c"])
        }
        try append(line("d"))
        try await withIntake(intake()) { try await sink.expect(["a", "b", "c", "d"]) }
        #expect(sink.problems.map { $0.problem.contains("is followed for the first time, from its end") } == [true, true])
    }

    @Test("the followed file got another name, and that is what is followed now: it goes on where it was")
    func sameFileElsewhere() async throws {
        try append(line("a"))
        try await withIntake(intake(fromStart: true)) { try await sink.expect(["a"]) }
        try move(to: ".moved")
        try append(line("b"), to: path + ".moved")
        try await withIntake(FileIntake(path: path + ".moved", stateDirectory: folder.path + "/state", sink: sink)) { try await sink.expect(["a", "b"]) }
        #expect(sink.problems.isEmpty)
    }

    @Test(
        "other logs beside it, with a number in their name, are not taken for it",
        arguments: ["alerts2.jsonl", "alerts-2.jsonl", "alerts.2.jsonl", "alerts-4711.jsonl", "alerts.jsonl2"])
    func neighbours(name: String) async throws {
        try append(line("a"))
        try await withIntake(intake(fromStart: true)) { try await sink.expect(["a"]) }
        _ = try folder.file(name, line("neighbour's"))
        for isAgain in [false, true] {
            try append(line("b"))
            try await withIntake(intake()) {
                try append(line("c"))
                try await sink.expect(isAgain ? ["a", "b", "c", "b", "c"] : ["a", "b", "c"])
            }
            // With a rotation of its own, too.
            if !isAgain { try move(to: ".1") }
        }
        #expect(sink.problems.isEmpty)
    }

    @Test("copies under other names are not followed")
    func strangers() async throws {
        try append(line("a"))
        try await withIntake(intake(fromStart: true)) { try await sink.expect(["a"]) }
        for name in ["alerts.jsonl.bak", "alerts.jsonl~", "other.jsonl.1", "alerts-old.jsonl", "alerts.json.1"] { _ = try folder.file(name, line("stranger")) }
        try append(line("b"))
        try await withIntake(intake()) {
            try append(line("c"))
            try await sink.expect(["a", "b", "c"])
        }
    }

    @Test("a place that another version saved, or that makes no sense, is taken for what it is", arguments: [(#""offset":OFFSET"#, ["b"]), (#""offset":-5"#, ["a", "b"])])
    func savedBefore(offset: String, expected: [String]) async throws {
        try append(line("a") + line("b"))
        var facts = stat()
        try #require(stat(path, &facts) == 0)
        let head = Array(line("a").utf8.prefix(64)).base64
        try FileManager.default.createDirectory(atPath: folder.path + "/state/intake", withIntermediateDirectories: true)
        _ = try folder.file(
            "state/intake/file.offset",
            #"{"device":\#(facts.st_dev),"inode":\#(facts.st_ino),\#(offset.replacingOccurrences(of: "OFFSET", with: "\(line("a").utf8.count)")),"head":"\#(head)"}"#)
        try await withIntake(intake(fromStart: true)) { try await sink.expect(expected) }
    }

    @Test("what is no regular file is not opened for good, and that is told; the intake ends when it is told to")
    func notRegular() async throws {
        try #require(mkfifo(path, 0o600) == 0)
        let intake = intake(fromStart: true)
        try await withIntake(intake) {
            try await until { intake.obstacle != nil }
            #expect(intake.obstacle == "\(path) is no regular file")
            try FileManager.default.removeItem(atPath: path)
            try append(line("a"))
            try await sink.expect(["a"])
            #expect(intake.obstacle == nil)
        }
    }

    @Test("truncation, to nothing or to something else that is longer than what was read", arguments: ["x", "a-longer-name-than-before"])
    func truncation(rule: String) async throws {
        try append(line("a") + line("b"))
        try await withIntake(intake(fromStart: true)) {
            try await sink.expect(["a", "b"])
            // As `copytruncate` does: in one write, so that the size is never seen to be smaller.
            let text = rule == "x" ? line(rule) : line(rule) + line("y") + line("z")
            try Data(text.utf8).withUnsafeBytes { bytes in
                let file = open(path, O_WRONLY | O_TRUNC)
                defer { close(file) }
                try #require(write(file, bytes.baseAddress, bytes.count) == bytes.count)
            }
            try await sink.expect(rule == "x" ? ["a", "b", "x"] : ["a", "b", rule, "y", "z"])
        }
    }

    @Test("a restart goes on where it was, with what came in between")
    func restart() async throws {
        try append(line("a"))
        try await withIntake(intake(fromStart: true)) { try await sink.expect(["a"]) }
        try append(line("b"))
        try await withIntake(intake()) {
            try await sink.expect(["a", "b"])
            try append(line("c"))
            try await sink.expect(["a", "b", "c"])
        }
        try FileManager.default.removeItem(atPath: path)
        try append(line("d"))
        try await withIntake(intake()) { try await sink.expect(["a", "b", "c", "d"]) }
    }

    @Test("the engine is full: nothing is lost, nothing comes twice")
    func full() async throws {
        sink.makeRoom(2)
        try append((0..<10).map { line("r\($0)") }.joined())
        try await withIntake(intake(fromStart: true)) {
            try await sink.expect(["r0", "r1"])
            sink.makeRoom(.max)
            try await sink.expect((0..<10).map { "r\($0)" })
        }
    }

    @Test("what is no alert is told, and the next line is read; a line of 1 MiB is one, a longer one is not")
    func nonsense() async throws {
        let frame = #"{"rule":"big","priority":"Warning","output":"","time":"2026-11-23T10:00:00Z","output_fields":{"x":""}}"#.utf8.count
        let big = #"{"rule":"big","priority":"Warning","output":"","time":"2026-11-23T10:00:00Z","output_fields":{"x":"\#(String(repeating: "a", count: 1 << 20 - frame))"}}"#
        try append("not json\n[]\n\n{\"rule\":1}\n" + line("a") + big + "\n" + String(repeating: "x", count: 3 << 20) + "\n" + line("b"))
        try await withIntake(intake(fromStart: true)) { try await sink.expect(["a", "big", "b"]) }
        #expect(sink.problems.count == 4)
        #expect(sink.problems.last?.problem == "a line is longer than 1 MiB")
    }
}

@Suite("stdin: alerts on a descriptor, to its end")
struct StdinIntakeTests {
    @Test("lines are alerts, the last one without its newline too")
    func lines() async throws {
        let (pipe, sink) = (Pipe(), RecordingSink())
        let intake = StdinIntake(descriptor: pipe.fileHandleForReading.fileDescriptor, sink: sink)
        try pipe.fileHandleForWriting.write(contentsOf: Data((alert("a") + "\nnonsense\n" + alert("b")).utf8))
        try pipe.fileHandleForWriting.close()
        try await intake.run()
        #expect(sink.rules == ["a", "b"])
        #expect(intake.counters.snapshot.rejected == 1)
    }

    @Test("what is in the pipe when the agent stops is taken")
    func stop() async throws {
        let (pipe, sink) = (Pipe(), GateSink())
        let intake = StdinIntake(descriptor: pipe.fileHandleForReading.fileDescriptor, sink: sink)
        let running = Task { try await intake.run() }
        let output = pipe.fileHandleForWriting
        try output.write(contentsOf: Data((alert("first") + "\n").utf8))
        try await until { sink.isAsked }
        try output.write(contentsOf: Data((0..<300).map { alert("r\($0)") + "\n" }.joined().utf8))
        running.cancel()
        sink.open()
        try await running.value
        #expect(sink.rules == ["first"] + (0..<300).map { "r\($0)" })
        #expect(sink.problems.isEmpty)
        try output.close()
    }
}
