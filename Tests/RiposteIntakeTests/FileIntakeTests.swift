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

    private func intake(fromStart: Bool = false) -> FileIntake {
        FileIntake(path: path, stateDirectory: folder.path + "/state", startsAtBeginning: fromStart, sink: sink)
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

    @Test("rotation by a rename: the old file to its end, its last unfinished line too, then the new one from its beginning")
    func rotation() async throws {
        try append(line("a"))
        try await withIntake(intake(fromStart: true)) {
            try await sink.expect(["a"])
            try append(line("b") + alert("c"))
            try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
            try append(line("d"))
            try await sink.expect(["a", "b", "c", "d"])
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
}
