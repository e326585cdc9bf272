import Foundation
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

@Suite("Playbook files that others can change")
struct ForeignFileTests {
    private let folder: TemporaryFolder
    private let path: String
    private let file: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path + "/p"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        file = try folder.file("p/a.yaml", "apiVersion: riposte/v1\nplaybooks:\n" + Bench.pause)
    }

    private func problems(_ paths: String...) -> [String] {
        do { _ = try PlaybookSet.load(paths: paths, Bench.catalogue(RecordingWorld())) } catch { return error.entries.map { "\($0.code) \($0.file)" } }
        return []
    }

    @Test("a file and a folder that nobody else can write are taken")
    func good() { #expect(problems(path).isEmpty && problems(file).isEmpty && problems(path, file).isEmpty == false, "twice the same is one too many") }

    @Test("what the group or everybody can write is refused, at its place", arguments: [0o664, 0o646, 0o666])
    func writable(_ mode: UInt32) {
        #expect(chmod(file, mode) == 0)
        #expect(problems(path) == ["P049 \(file)"] && problems(file) == ["P049 \(file)"])
    }

    @Test("of a folder that others can write one thing is said, whatever is in it")
    func writableFolder() throws {
        _ = try folder.file("p/b.yaml", "apiVersion: riposte/v1\nplaybooks: []\n")
        #expect(chmod(path, 0o777) == 0 && chmod(file, 0o666) == 0)
        #expect(problems(path) == ["P049 \(path)"])
        #expect(problems(file) == ["P049 \(path)", "P049 \(file)"])
    }

    @Test("a folder with the sticky bit will do for a file that is named, not as a folder of playbooks")
    func sticky() {
        #expect(chmod(path, 0o1777) == 0)
        #expect(problems(file).isEmpty && problems(path) == ["P049 \(path)"])
        #expect(problems(file, path).contains("P049 \(path)"), "in any order")
    }

    @Test("a link is judged by what it leads to, and by where that lies")
    func link() throws {
        let other = folder.path + "/other"
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: false)
        try FileManager.default.createSymbolicLink(atPath: other + "/l.yaml", withDestinationPath: file)
        #expect(problems(other).isEmpty && problems(other + "/l.yaml").isEmpty)
        #expect(chmod(path, 0o777) == 0)
        let real = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        #expect(problems(other) == ["P049 \(real)"])
        #expect(chmod(path, 0o755) == 0 && chmod(file, 0o622) == 0)
        #expect(problems(other) == ["P049 \(other)/l.yaml"])
    }

    @Test("a stranger's are refused", .enabled(if: Machine.isRoot, "needs root: to give files away"))
    func stranger() {
        #expect(chown(file, 65534, 65534) == 0)
        #expect(problems(path) == ["P049 \(file)"])
        #expect(chown(file, 0, 0) == 0 && chown(path, 65534, 65534) == 0)
        #expect(problems(path) == ["P049 \(path)"])
    }

    @Test("where nothing is done they are read, with a warning")
    func lookedAt() throws {
        #expect(chmod(path, 0o777) == 0 && chmod(file, 0o666) == 0)
        let (set, warnings) = try PlaybookSet.load(paths: [path], Bench.catalogue(RecordingWorld()), foreign: .warnedOf)
        #expect(set.playbooks.count == 1)
        let told = warnings.filter { $0.code == "P049" }
        #expect(told.map(\.file) == [path, file] && told.allSatisfy { $0.severity == .warning })
    }

    @Test("a pipe, a folder with a file's name and a link to nothing are no playbooks")
    func noFiles() throws {
        #expect(mkfifo(path + "/pipe.yaml", 0o600) == 0 && mkdir(path + "/folder.yaml", 0o755) == 0)
        try FileManager.default.createSymbolicLink(atPath: path + "/loose.yaml", withDestinationPath: path + "/nowhere")
        #expect(problems(path) == ["folder", "loose", "pipe"].map { "P016 \(path)/\($0).yaml" })
    }
}
