internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct PlaybookTestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Runs the tests that stand beside playbooks.",
        discussion: """
            A folder's playbooks are tested by its *.test.yaml files; alerts are named relative to them. Ends with 1 where a test fails.

            Example:
              riposte playbook test playbooks/
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var which: PlaybookArguments

    func run() async throws {
        let configuration = try common.configuration()
        let paths = try which.paths(configuration)
        let catalogue = Facilities(configuration).catalogue
        let set = try PlaybookSet.load(paths: paths, catalogue).set
        var passed = 0
        var failures: [JSON] = []
        for file in try testFiles(paths) {
            for test in file.tests {
                let found = file.run(test, alerts: try alerts(of: test, file), playbooks: set, catalogue: catalogue)
                if found.isEmpty { passed += 1 }
                for failure in found {
                    failures.append(["file": .text(file.file), "line": .integer(Int64(failure.line)), "test": .text(failure.test), "message": .text(failure.message)])
                    if !common.json { print("\(file.file):\(failure.line): \(Terminal.paint("failed", .red)) \(failure.test): \(failure.message.escapedForDisplay)") }
                }
            }
        }
        if common.json {
            print(JSON.object(["passed": .integer(Int64(passed)), "failures": .array(failures)]).line)
        } else {
            print("\(passed) passed, \(Set(failures.map { "\($0["file"]?.line ?? "")\($0["line"]?.line ?? "")" }).count) failed")
        }
        guard passed > 0 || !failures.isEmpty else { throw Complaint("there are no tests (*.test.yaml) in \(paths.joined(separator: ", "))", status: 2) }
        throw ExitCode(failures.isEmpty ? 0 : 1)
    }

    private func testFiles(_ paths: [String]) throws -> [PlaybookTestFile] {
        var files: [PlaybookTestFile] = []
        for path in paths {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { continue }
            let folder = isFolder.boolValue ? path : URL(fileURLWithPath: path).deletingLastPathComponent().path
            for name in try FileManager.default.contentsOfDirectory(atPath: folder).sorted() where name.hasSuffix(".test.yaml") {
                let file = folder + "/" + name
                guard !files.contains(where: { $0.file == file }) else { continue }
                files.append(try PlaybookTestFile(file: file, text: String(contentsOfFile: file, encoding: .utf8)))
            }
        }
        return files
    }

    private func alerts(of test: PlaybookTestFile.Test, _ file: PlaybookTestFile) throws -> [Alert] {
        let folder = URL(fileURLWithPath: file.file).deletingLastPathComponent().path
        return try test.alerts.flatMap { path in
            try AlertFile.lines(path.hasPrefix("/") ? path : "\(folder)/\(path)").map { line in
                do throws(AlertError) { return try Alert(parsing: line, id: .new(), arrival: .init(intake: "test")) } catch {
                    throw Complaint("\(path): \(error)", status: 2)
                }
            }
        }
    }
}
