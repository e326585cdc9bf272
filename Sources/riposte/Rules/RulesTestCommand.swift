internal import ArgumentParser
internal import Foundation
internal import RiposteCore
internal import RiposteRules

struct RulesTestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Runs the tests that stand beside rules.",
        discussion: """
            For each rule one event for which it fires and one, nearly the same, that it lets pass; files *.test.yaml. Ends with 1 where a test fails.

            Example:
              riposte rules test rules/
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "Test files, or folders with *.test.yaml.", completion: .file())
    var paths: [String]

    func run() async throws {
        var tests = 0
        var failures: [JSON] = []
        for path in try files() {
            let file: RulesTestFile
            do { file = try RulesTestFile(file: path, text: String(contentsOfFile: path, encoding: .utf8)) } catch let error as CocoaError {
                throw Complaint("\(path.escapedForDisplay) cannot be read: \(error.localizedDescription)", status: 2)
            }
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            let (ruleSet, findings, _) = RuleSet.load(paths: file.rules.map { $0.hasPrefix("/") ? $0 : "\(folder)/\($0)" })
            guard let ruleSet else {
                for finding in findings where finding.isError { Terminal.complainPlainly(finding.diagnostic.rendered) }
                throw ExitCode(2)
            }
            tests += file.tests.count
            for failure in file.run(ruleSet) {
                failures.append(["file": .text(path), "line": .integer(Int64(failure.line)), "rule": .text(failure.rule), "message": .text(failure.message)])
                if !common.json {
                    print("\(path.escapedForDisplay):\(failure.line): \(Terminal.paint("failed", .red)) \(failure.rule.escapedForDisplay): \(failure.message.escapedForDisplay)")
                }
            }
        }
        if common.json {
            print(JSON.object(["tests": .integer(Int64(tests)), "failures": .array(failures)]).line)
        } else {
            print("\(tests == 1 ? "1 test" : "\(tests) tests"), \(failures.count == 1 ? "1 failure" : "\(failures.count) failures")")
        }
        guard tests > 0 else { throw Complaint("there are no tests (*.test.yaml) in \(paths.joined(separator: ", ").escapedForDisplay)", status: 2) }
        throw ExitCode(failures.isEmpty ? 0 : 1)
    }

    private func files() throws -> [String] {
        var found: [String] = []
        for path in paths {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { throw Complaint("there is no \(path.escapedForDisplay)", status: 2) }
            guard isFolder.boolValue else {
                found.append(path)
                continue
            }
            guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else { throw Complaint("the folder \(path.escapedForDisplay) cannot be read", status: 2) }
            found += names.filter { $0.hasSuffix(".test.yaml") || $0.hasSuffix(".test.yml") }.sorted().map {
                path.hasSuffix("/") ? path + $0 : "\(path)/\($0)"
            }
        }
        return found
    }
}
