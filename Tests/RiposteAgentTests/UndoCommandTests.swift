import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

@Suite("riposte undo and pardon", .enabled(if: Machine.isRoot, "needs root"))
struct UndoCommandTests {
    private static func page() throws -> [String] {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/undo.md").standardizedFileURL
        return try String(contentsOf: url, encoding: .utf8).components(separatedBy: "```").enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
    }

    private static func block(_ language: String, _ number: Int = 0) throws -> String {
        let blocks = try page().filter { $0.hasPrefix("\(language)\n") }
        try #require(blocks.indices.contains(number))
        return String(blocks[number].dropFirst(language.count + 1))
    }

    @Test("the example of docs/undo.md, with an agent and without one", arguments: [true, false])
    func example(withAgent: Bool) async throws {
        let place = try Workplace()
        let child = try ChildProcess(["sleep", "1000"])
        if withAgent { try await place.start(mode: "observe") }
        var seen: [String] = []
        for line in try Self.block("sh").split(separator: "\n") {
            let words = line.replacingOccurrences(of: "4711", with: "\(child.pid)").replacingOccurrences(of: "\"false alarm\"", with: "false-alarm").split(separator: " ")
            let (status, output) = try place.riposte(words.dropFirst().prefix { $0 != "#" }.map(String.init))
            #expect(status == 0, "\(line): \(output)")
            seen.append("\(line.split(separator: " ")[1]) \(child.status("State:")?.prefix(1) ?? "")")
            if line.contains("--list") { #expect(output.contains("process.suspend") && output.contains("in 29m"), "\(output)") }
            if line.contains("pardon list") { #expect(output.contains("process \(child.pid)") && output.contains("false-alarm"), "\(output)") }
        }
        #expect(seen == ["process T", "undo T", "undo T", "undo S", "pardon S", "pardon S"])
    }

    @Test("the playbook and the configuration of docs/undo.md are good")
    func documents() throws {
        let place = try Workplace()
        let playbook = try place.folder.file("undo-playbook.yaml", try Self.block("yaml"))
        let (status, output) = try place.riposte("playbook", "check", playbook)
        #expect(status == 0, "\(output)")
        let configuration = try place.folder.file("undo-config.yaml", try Self.block("yaml", 1))
        let doctor = try run([Riposte.path, "undo", "--list", "--config", configuration, "--state-dir", place.folder.path + "/s", "--run-dir", place.folder.path + "/r"])
        #expect(doctor.status == 0, "\(doctor.output)")
    }

    @Test("selectors narrow; the newest is taken back first; what is meant by nothing is said", arguments: [true, false])
    func selectors(withAgent: Bool) async throws {
        let place = try Workplace()
        if withAgent { try await place.start(mode: "observe") }
        let children = try (0..<3).map { _ in try ChildProcess(["sleep", "1000"]) }
        for child in children { #expect(try place.riposte("process", "suspend", "\(child.pid)").status == 0) }
        func undo(_ arguments: String...) throws -> (status: Int32, targets: [Int64]) {
            let (status, output) = try place.riposte(["undo", "--json"] + arguments)
            let results = output.split(separator: "\n").compactMap { try? JSON(parsing: Array($0.utf8)) }
            return (status, results.compactMap { $0["target"]?["pid"]?.integer })
        }
        let pids = children.map { Int64($0.pid) }
        #expect(try place.riposte("undo").status == 2)
        #expect(try undo("--playbook", "none").status == 4)
        #expect(try undo("--target", "\(pids[1])", "--since", "1h", "--dry-run") == (0, [pids[1]]))
        #expect(try undo("--list").targets == pids.reversed())
        #expect(try undo("--target", "\(pids[0])") == (0, [pids[0]]))
        #expect(try undo("--all", "--dry-run") == (0, [pids[2], pids[1]]))
        #expect(try undo("--all") == (0, [pids[2], pids[1]]))
        #expect(try undo("--all").status == 4)
    }
}
