internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct PlaybookTestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Runs the tests that stand beside playbooks.",
        discussion: """
            A folder's playbooks are tested by its *.test.yaml files; alerts are named relative to them. Playbooks and steps that no test reaches are \
            listed. Ends with 0 where all tests pass, with 1 where one fails, with 2 where a file is no good or there are no tests.

            Example:
              riposte playbook test playbooks/ --junit results.xml
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var which: PlaybookArguments

    @Option(name: .long, help: "Also write the results to this file as JUnit XML; it is replaced.", completion: .file())
    var junit: String?

    func run() async throws {
        let configuration = try common.configuration()
        let paths = try which.paths(configuration)
        let catalogue = Facilities(configuration).catalogue
        let set = try playbooks(paths, catalogue)
        var run = PlaybookTestRun(playbooks: set, catalogue: catalogue)
        for file in try testFiles(paths) { run.take(file) }
        try write(run.junit)
        show(run)
        guard !run.isEmpty else { throw Complaint("there are no tests (*.test.yaml) in \(paths.joined(separator: ", ").escapedForDisplay)", status: 2) }
        throw ExitCode(run.exitStatus)
    }

    /// Playbooks that do not load are told to whoever reads the results, too.
    private func playbooks(_ paths: [String], _ catalogue: ActionCatalogue) throws -> PlaybookSet {
        do throws(Diagnostics) {
            return try PlaybookSet.load(paths: paths, catalogue, foreign: .warnedOf).set
        } catch {
            var report = JUnitReport(name: PlaybookTestRun.name)
            report.add(error)
            try write(report)
            throw error
        }
    }

    private func testFiles(_ paths: [String]) throws -> [String] {
        var files: [String] = []
        for path in paths {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { continue }
            let folder = isFolder.boolValue ? path : URL(fileURLWithPath: path).deletingLastPathComponent().path
            guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
                throw Complaint("the folder \(folder.escapedForDisplay) cannot be read", status: 2)
            }
            for name in names.sorted() where name.hasSuffix(".test.yaml") {
                let file = folder + "/" + name
                if !files.contains(file) { files.append(file) }
            }
        }
        return files
    }

    private func write(_ report: JUnitReport) throws {
        guard let junit else { return }
        try ReportFile.write(report.text, to: junit)
    }

    private func show(_ run: PlaybookTestRun) {
        guard !common.json else {
            print(run.json.line)
            return
        }
        for line in run.lines { print(line) }
    }
}

/// Test files run one after the other, and what came of them.
private struct PlaybookTestRun {
    static let name = "riposte playbook test"

    let playbooks: PlaybookSet
    let catalogue: ActionCatalogue
    private(set) var junit = JUnitReport(name: name)
    private var coverage = PlaybookCoverage()

    init(playbooks: PlaybookSet, catalogue: ActionCatalogue) {
        self.playbooks = playbooks
        self.catalogue = catalogue
    }

    mutating func take(_ path: String) {
        do throws(Diagnostics) {
            guard let text = FileManager.default.contents(atPath: path).flatMap({ String(validating: $0, as: UTF8.self) }) else {
                throw Diagnostics([Diagnostic(code: "P016", file: path, message: "it cannot be read, or is not UTF-8")])
            }
            take(try PlaybookTestFile(file: path, text: text))
        } catch {
            junit.add(error)
        }
    }

    private mutating func take(_ file: PlaybookTestFile) {
        var suite = JUnitReport.Suite(name: file.file)
        for test in file.tests {
            suite.cases.append(.init(name: test.name, line: test.line, verdict: verdict(on: test, file)))
        }
        junit.suites.append(suite)
    }

    private mutating func verdict(on test: PlaybookTestFile.Test, _ file: PlaybookTestFile) -> JUnitReport.Verdict {
        let alerts: [Alert]
        do {
            try file.check(test, against: playbooks, catalogue)
            alerts = try Self.alerts(of: test, file)
        } catch let complaint as Complaint { return .error(complaint.message) } catch { return .error("\(error)") }
        let result = file.run(test, alerts: alerts, playbooks: playbooks, catalogue: catalogue)
        coverage.formUnion(result.coverage)
        return result.failures.isEmpty ? .passed : .failed(result.failures.map(\.message))
    }

    private static func alerts(of test: PlaybookTestFile.Test, _ file: PlaybookTestFile) throws -> [Alert] {
        let folder = URL(fileURLWithPath: file.file).deletingLastPathComponent().path
        return try file.alerts(of: test) { path in
            try AlertStream.all(in: path.hasPrefix("/") ? path : "\(folder)/\(path)").map { line in
                do throws(AlertError) { return try Alert(parsing: line, id: .new(), arrival: .init(intake: "test")) } catch {
                    throw Complaint("\(path.escapedForDisplay): \(error)", status: 2)
                }
            }
        }
    }

    // MARK: - What came of it

    var isEmpty: Bool { junit.suites.allSatisfy(\.cases.isEmpty) }

    /// What could not be run weighs more than what failed: the result says too little.
    var exitStatus: Int32 { !errors.isEmpty ? 2 : !failures.isEmpty ? 1 : 0 }

    private struct Problem {
        var file: String
        var line: Int
        var test: String
        var message: String

        func line(_ word: String) -> String { "\(file.escapedForDisplay):\(line): \(Terminal.paint(word, .red)) \(test.escapedForDisplay): \(message.escapedForDisplay)" }

        var json: JSON { ["file": .text(file), "line": .integer(Int64(line)), "test": .text(test), "message": .text(message)] }
    }

    private func problems(_ messages: (JUnitReport.Verdict) -> [String]) -> [Problem] {
        junit.suites.flatMap { suite in
            suite.cases.flatMap { each in messages(each.verdict).map { Problem(file: suite.name, line: each.line, test: each.name, message: $0) } }
        }
    }

    private var failures: [Problem] { problems { if case .failed(let messages) = $0 { messages } else { [] } } }
    private var errors: [Problem] { problems { if case .error(let message) = $0 { [message] } else { [] } } }

    private func count(_ isCounted: (JUnitReport.Verdict) -> Bool) -> Int { junit.suites.reduce(0) { $0 + $1.cases.count { isCounted($0.verdict) } } }

    var lines: [String] {
        let passed = count { $0 == .passed }
        let failed = count { if case .failed = $0 { true } else { false } }
        var summary = "\(passed) passed, \(failed) failed"
        if !errors.isEmpty { summary += ", \(errors.count) could not be run" }
        let unreached = coverage.unreached(of: playbooks).map { each in
            "\(each.file.escapedForDisplay):\(each.line): \(Terminal.paint("never reached", .yellow)) playbook \(each.playbook)" + (each.step.map { ", step \($0)" } ?? "")
        }
        return errors.map { $0.line("no test") } + failures.map { $0.line("failed") } + (isEmpty ? [] : unreached) + [summary]
    }

    var json: JSON {
        var object: JSONObject = ["passed": .integer(Int64(count { $0 == .passed })), "failures": .array(failures.map(\.json)), "errors": .array(errors.map(\.json))]
        object.append(
            "unreached",
            .array(
                coverage.unreached(of: playbooks).map { each in
                    var member: JSONObject = ["playbook": .text(each.playbook), "file": .text(each.file), "line": .integer(Int64(each.line))]
                    member.append("step", each.step.map(JSON.text))
                    return .object(member)
                }))
        return .object(object)
    }
}

extension JUnitReport {
    /// A file that cannot be read, as a suite of its own with a case for each problem.
    fileprivate mutating func add(_ problems: Diagnostics) {
        for problem in problems.entries where problem.severity == .error {
            let index = suites.firstIndex { $0.name == problem.file } ?? suites.endIndex
            if index == suites.endIndex { suites.append(.init(name: problem.file)) }
            suites[index].cases.append(.init(name: problem.code, line: problem.place?.line ?? 0, verdict: .error(problem.message)))
        }
    }
}
