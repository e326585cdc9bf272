package import RiposteCore
internal import RiposteRules

/// A file of tests beside playbooks: for these alerts these steps are asked for, and never those. It looks at playbooks and alerts only, so that
/// it says the same on every machine; who the target is, is proved when it matters.
///
/// ```yaml
/// tests:
///   - name: contains a shell, spares the debugger
///     alerts: [fixtures/shell.json]
///     expect:
///       - { playbook: contain-shell, action: container.pause, target: container, with: {} }
///     never: ["network.*"]
/// ```
package struct PlaybookTestFile: Sendable {
    package struct Test: Sendable {
        package var name: String
        package var alerts: [String]
        package var expect: [Expectation]
        package var never: [String]
        package var line: Int
    }

    package struct Expectation: Sendable {
        package var playbook: String?
        package var step: String?
        package var action: String?
        package var with: JSONObject
    }

    /// What went otherwise than expected.
    package struct Failure: Sendable, Equatable {
        package var test: String
        package var line: Int
        package var message: String
    }

    package let file: String
    package let tests: [Test]

    package init(file: String, text: String) throws(Diagnostics) {
        let reader = YAMLReader(file: file, text: text)
        var tests: [Test] = []
        if let keys = reader.root()?.mapping(known: ["tests"], what: "a file of playbook tests", code: "T001") {
            for node in keys["tests"]?.list(code: "T002") ?? [] { if let test = Self.test(node) { tests.append(test) } }
        }
        let found = Diagnostics(reader.diagnostics)
        if found.hasErrors { throw found }
        self.file = file
        self.tests = tests
    }

    private static func test(_ node: YAMLNode) -> Test? {
        guard let keys = node.mapping(known: ["name", "alerts", "expect", "never"], what: "a test", code: "T001") else { return nil }
        guard let name = keys["name"]?.text(code: "T002"), let alerts = keys["alerts"]?.list(orSingle: true, code: "T002") else {
            node.report(code: "T003", "a test needs name and alerts")
            return nil
        }
        guard keys["expect"] != nil || keys["never"] != nil else {
            node.report(code: "T003", "a test that neither expects nor forbids anything cannot fail")
            return nil
        }
        return Test(
            name: name, alerts: alerts.compactMap { $0.text(code: "T002") }, expect: keys["expect"]?.list(code: "T002")?.compactMap(expectation) ?? [],
            never: keys["never"]?.list(orSingle: true, code: "T002")?.compactMap { $0.text(code: "T002") } ?? [], line: node.place?.line ?? 0)
    }

    private static func expectation(_ node: YAMLNode) -> Expectation? {
        guard let keys = node.mapping(known: ["playbook", "step", "action", "with"], what: "an expectation", code: "T001") else { return nil }
        return Expectation(
            playbook: keys["playbook"]?.text(code: "T002"), step: keys["step"]?.text(code: "T002"), action: keys["action"]?.text(code: "T002"),
            with: keys["with"]?.json.object ?? JSONObject())
    }

    /// What a test came to, and how far into the playbooks its alerts went.
    package struct Result: Sendable, Equatable {
        package var failures: [Failure]
        package var coverage: PlaybookCoverage
    }

    /// Runs one test. `alerts` are its files' alerts.
    package func run(_ test: Test, alerts: [Alert], playbooks: PlaybookSet, catalogue: ActionCatalogue) -> Result {
        var coverage = PlaybookCoverage()
        var asked: [(playbook: String, step: Step, parameters: JSONObject)] = []
        var problems: [String] = []
        for alert in alerts {
            for playbook in playbooks.matching(alert) {
                coverage.reach(playbook.name)
                for step in playbook.steps where step.condition(holdsFor: alert) {
                    guard let description = catalogue[step.action]?.description else { continue }
                    coverage.reach(playbook.name, step: step.name)
                    do throws(ActionError) {
                        let request = try step.request(for: alert, description: description, at: alert.time)
                        asked.append((playbook.name, step, request.parameters.json))
                    } catch {
                        problems.append("step \(step.name) of \(playbook.name): \(error.message)")
                    }
                }
            }
        }
        for expectation in test.expect where !asked.contains(where: { expectation.isMet(by: $0.playbook, $0.step, $0.parameters) }) {
            let given = asked.map { "\($0.playbook)/\($0.step.name)" }.joined(separator: ", ")
            problems.append("nothing asks for \(expectation.text); asked for: \(given.isEmpty ? "nothing" : given)")
        }
        for pattern in test.never.map({ ($0, GlobPattern(Array($0.utf8))) }) {
            for each in asked where pattern.1.matches(Array(each.step.action.rawValue.utf8)) {
                problems.append("\(each.playbook)/\(each.step.name) asks for \(each.step.action), which \(pattern.0) forbids")
            }
        }
        return Result(failures: problems.map { Failure(test: test.name, line: test.line, message: $0) }, coverage: coverage)
    }
}

extension PlaybookTestFile.Expectation {
    fileprivate func isMet(by playbook: String, _ step: Step, _ parameters: JSONObject) -> Bool {
        (self.playbook ?? playbook) == playbook && (self.step ?? step.name) == step.name && (action ?? step.action.rawValue) == step.action.rawValue
            && with.members.allSatisfy { parameters[$0.key] == $0.value }
    }

    fileprivate var text: String {
        let parts = [playbook.map { "playbook \($0)" }, step.map { "step \($0)" }, action, with.isEmpty ? nil : "with \(JSON.object(with).line)"]
        return parts.compactMap(\.self).joined(separator: ", ")
    }
}
