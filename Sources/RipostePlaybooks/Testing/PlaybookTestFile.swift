package import RiposteCore
internal import RiposteRules

/// A file of tests beside playbooks. Most look at playbooks and alerts only: for these alerts these steps are asked for, and never those. Those that
/// describe a world, or ask for outcomes, go through the whole engine on it. Either way they say the same on every machine.
///
/// ```yaml
/// tests:
///   - name: contains a shell, spares the debugger
///     alerts: [fixtures/shell.json]
///     expect:
///       - { playbook: contain-shell, action: container.pause, with: {} }
///     never: ["network.*"]
///   - name: a storm stays inside the budget
///     alerts: { repeat: fixtures/shell.json, times: 1000, over: 10s, vary: [container.id] }
///     expect: [{ count: { outcome: done, max: 10 } }, { breaker: open }]
/// ```
package struct PlaybookTestFile: Sendable {
    package struct Test: Sendable {
        package var name: String
        package var alerts: [AlertSource]
        package var expect: [Expectation]
        package var never: [String]
        package var line: Int
        /// When the first alert comes in; nil: when it was raised.
        package var now: Timestamp?
        package var world: DescribedWorld?
        /// The agent's mode; playbooks and steps may be more careful.
        package var mode: Mode?
        /// Where the alerts come in; nil: at none that a playbook can name.
        package var intake: String?
        /// So much time passes after the last alert.
        package var wait: Duration?

        /// Whether it goes through the engine.
        package var isRehearsed: Bool {
            world != nil || now != nil || mode != nil || wait != nil || expect.contains(where: \.needsEngine) || alerts.contains { if case .repeated = $0 { true } else { false } }
        }
    }

    package enum AlertSource: Sendable, Equatable {
        /// As seen from the test's file.
        case file(String)
        case repeated(Repetition)
    }

    /// The same alerts many times, spread over a time, with other values in some fields.
    package struct Repetition: Sendable, Equatable {
        package var file: String
        package var times: Int
        package var over: Duration
        package var vary: [String]
    }

    package struct Expectation: Sendable {
        package var playbook: String?
        package var step: String?
        package var action: String?
        package var with: JSONObject
        package var outcome: Outcome?
        /// By kind: a pid, a container's id or the beginning of it, `NAMESPACE/NAME` of a pod, an address.
        package var target: (kind: ActionDescription.TargetKind, name: String)?
        package var count: Count?
        package var breaker: Breakers.State?
        package var line = 0

        package struct Count: Sendable, Equatable {
            /// Nil: all but those that were skipped.
            package var outcome: Outcome?
            package var min: Int?
            package var max: Int?
        }

        var needsEngine: Bool { outcome != nil || target != nil || count != nil || breaker != nil }
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

    /// Names that nothing has: what forbids or counts them would hold whatever the playbooks do.
    package func check(_ test: Test, against playbooks: PlaybookSet, _ catalogue: ActionCatalogue) throws(Unusable) {
        let actions = catalogue.descriptions.map(\.name.rawValue)
        for pattern in test.never {
            let glob = GlobPattern(Array(pattern.utf8))
            guard !actions.contains(where: { glob.matches(Array($0.utf8)) }) else { continue }
            let kinds = Set(actions.compactMap { $0.split(separator: ".").first.map { "\($0).*" } }).sorted()
            throw Self.unknown("never: \"\(pattern.escapedForDisplay)\" fits no action", pattern, among: actions + kinds)
        }
        for expectation in test.expect {
            let place = "line \(expectation.line): there is no "
            if let action = expectation.action, !actions.contains(action) { throw Self.unknown("\(place)action \"\(action.escapedForDisplay)\"", action, among: actions) }
            guard let name = expectation.playbook else {
                let steps = playbooks.playbooks.flatMap(Self.steps)
                if let step = expectation.step, !steps.contains(step) { throw Self.unknown("\(place)step \"\(step.escapedForDisplay)\" here", step, among: steps) }
                continue
            }
            guard let playbook = playbooks.playbooks.first(where: { $0.name == name }) else {
                throw Self.unknown("\(place)playbook \"\(name.escapedForDisplay)\" here", name, among: playbooks.playbooks.map(\.name))
            }
            if let step = expectation.step, !Self.steps(of: playbook).contains(step) {
                throw Self.unknown("\(place)step \"\(step.escapedForDisplay)\" in playbook \(name)", step, among: Self.steps(of: playbook))
            }
        }
    }

    private static func steps(of playbook: Playbook) -> [String] { (playbook.steps + playbook.finish).map(\.name) }

    private static func unknown(_ problem: String, _ name: String, among names: [String]) -> Unusable {
        Unusable(description: problem + (nearMiss(to: name, among: names).map { "; did you mean \"\($0)\"?" } ?? ""))
    }

    /// What a test came to, and how far into the playbooks its alerts went.
    package struct Result: Sendable, Equatable {
        package var failures: [Failure]
        package var coverage: PlaybookCoverage
    }

    /// Runs one test. `alerts` are its alerts, see ``alerts(of:reading:)``.
    package func run(_ test: Test, alerts: [Alert], playbooks: PlaybookSet, catalogue: ActionCatalogue) -> Result {
        guard !test.isRehearsed else { return rehearse(test, alerts: alerts, playbooks: playbooks, actions: catalogue.descriptions) }
        var coverage = PlaybookCoverage()
        var asked: [(playbook: String, step: Step, parameters: JSONObject)] = []
        var problems: [String] = []
        for alert in alerts {
            for playbook in playbooks.matching(alert) {
                coverage.reach(playbook.name)
                for step in playbook.steps + playbook.finish where step.condition(holdsFor: alert) {
                    guard let description = catalogue[step.action]?.description else { continue }
                    coverage.reach(playbook.name, step: step.name)
                    do throws(ActionError) {
                        let request = try step.request(for: alert, description: description, at: alert.time)
                        asked.append((playbook.name, step, request.parameters.json))
                    } catch {
                        // What is told at the end is mostly how the steps ended, which no alert says: the rest of it stands.
                        if let rest = playbook.finish.contains(where: { $0.name == step.name }) ? step.parametersOfItself(for: description) : nil {
                            asked.append((playbook.name, step, rest))
                        } else {
                            problems.append("step \(step.name) of \(playbook.name): \(error.message)")
                        }
                    }
                }
                // One that waits for more alerts than there are here keeps none from the others.
                if playbook.isFinal, playbook.match.threshold == nil { break }
            }
        }
        for expectation in test.expect where !asked.contains(where: { expectation.isMet(by: $0.playbook, $0.step, $0.parameters) }) {
            let given = asked.map { "\($0.playbook)/\($0.step.name)" }.joined(separator: ", ")
            problems.append("line \(expectation.line): nothing asks for \(expectation.text); asked for: \(given.isEmpty ? "nothing" : given)")
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

    var text: String {
        let parts = [
            outcome.map { "outcome \($0.rawValue)" }, target.map { "target \($0.kind.rawValue) \($0.name.escapedForDisplay)" }, playbook.map { "playbook \($0)" },
            step.map { "step \($0)" }, action, with.isEmpty ? nil : "with \(JSON.object(with).line)",
        ]
        return parts.compactMap(\.self).joined(separator: ", ")
    }
}
