internal import RiposteCore
internal import Synchronization

/// Tests that go through the whole engine, on a described world and in the alerts' time.
extension PlaybookTestFile {
    /// Where no world is described, alerts are taken at their word.
    func rehearse(_ test: Test, alerts: [Alert], playbooks: PlaybookSet, actions: [ActionDescription]) -> Result {
        guard let first = alerts.first else {
            return Result(failures: [Failure(test: test.name, line: test.line, message: "there is no alert in its files")], coverage: PlaybookCoverage())
        }
        let log = TestLog()
        var settings = Rehearsal.Settings()
        settings.engine.mode = test.mode ?? .enforce
        let rehearsal = Rehearsal(
            playbooks, actions: actions, world: test.world ?? DescribedWorld(), knowledge: test.world == nil ? .fromAlerts : .complete, settings: settings,
            start: test.now ?? first.time, log: log)
        defer { rehearsal.close() }
        var turnedAway = 0
        for alert in alerts {
            do throws(Engine.AdmissionError) { try rehearsal.feed(alert) } catch { turnedAway += 1 }
        }
        if let wait = test.wait { rehearsal.advance(to: rehearsal.now + wait) }
        let facts = RehearsedFacts(events: log.events, breakers: rehearsal.engine.snapshot.breakers)
        var problems = test.expect.compactMap { expectation in facts.objection(to: expectation).map { "line \(expectation.line): \($0)" } }
        problems += test.never.flatMap { facts.breaches(of: $0) }
        if turnedAway > 0, test.expect.isEmpty { problems.append("\(turnedAway) alerts found no room") }
        return Result(failures: problems.map { Failure(test: test.name, line: test.line, message: $0) }, coverage: facts.coverage)
    }
}

/// What the engine wrote down of steps.
private final class TestLog: AuditLog {
    struct Event: Sendable {
        var playbook: String
        var step: String
        var action: String
        var target: Target?
        var outcome: Outcome
        var parameters: JSONObject
        var message: String?
    }

    private let state = Mutex<(events: [Event], plans: [Identifier: JSONObject])>(([], [:]))

    var events: [Event] { state.withLock(\.events) }

    func append(_ record: AuditRecord) {
        let parameters = record.detail["plan"]?["parameters"]?.object
        state.withLock { state in
            if record.kind == .intent, let id = record.id, let parameters { state.plans[id] = parameters }
            guard record.kind == .outcome || record.kind == .run, record.undoes == nil || record.outcome == .undone, let outcome = record.outcome else { return }
            let planned = record.id.flatMap { state.plans.removeValue(forKey: $0) }
            state.events.append(
                Event(
                    playbook: record.playbook ?? "", step: record.step ?? "", action: record.action ?? "", target: record.target, outcome: outcome,
                    parameters: parameters ?? planned ?? JSONObject(), message: record.message))
        }
    }
}

private struct RehearsedFacts {
    var events: [TestLog.Event]
    var breakers: Breakers

    func objection(to expectation: PlaybookTestFile.Expectation) -> String? {
        if let state = expectation.breaker { return objection(to: state, expectation.playbook) }
        let fitting = events.filter { fits($0, expectation) }
        guard let count = expectation.count else {
            return fitting.isEmpty ? "nothing comes to \(expectation.text); what came: \(summary)" : nil
        }
        let number = fitting.count { event in count.outcome.map { $0 == event.outcome } ?? (event.outcome != .skipped) }
        let what = count.outcome?.rawValue ?? "in all"
        if let min = count.min, number < min { return "\(number) \(what), at least \(min) expected; what came: \(summary)" }
        if let max = count.max, number > max { return "\(number) \(what), at most \(max) expected; what came: \(summary)" }
        return nil
    }

    private func objection(to state: Breakers.State, _ playbook: String?) -> String? {
        let name = playbook.map(Breakers.name(ofPlaybook:))
        let found = breakers.all.filter { breaker in name.map { breaker.name == $0 || breaker.name.hasPrefix($0 + "/") } ?? true }
        let told = found.isEmpty ? "none is open" : found.map { "\($0.name) is \($0.state.rawValue)" }.joined(separator: ", ")
        if state == .closed { return found.isEmpty ? nil : "breakers are expected to be closed: \(told)" }
        return found.contains { $0.state == state } ? nil : "a breaker is expected to be \(state.rawValue): \(told)"
    }

    func breaches(of pattern: String) -> [String] {
        let harmless: Set<Outcome> = [.skipped, .refused, .expired, .gone]
        var told: Set<String> = []
        return events.compactMap { event in
            guard !harmless.contains(event.outcome), Pattern.matches(pattern, event.action) else { return nil }
            let text = "\(event.playbook)/\(event.step) comes to \(event.outcome.rawValue) of \(event.action), which \(pattern) forbids"
            return told.insert(text).inserted ? text : nil
        }
    }

    private func fits(_ event: TestLog.Event, _ expectation: PlaybookTestFile.Expectation) -> Bool {
        guard (expectation.playbook ?? event.playbook) == event.playbook, (expectation.step ?? event.step) == event.step,
            (expectation.action ?? event.action) == event.action, expectation.with.members.allSatisfy({ event.parameters[$0.key] == $0.value })
        else { return false }
        if let target = expectation.target, !(event.target.map { $0.isNamed(target.name, kind: target.kind) } ?? false) { return false }
        if let outcome = expectation.outcome { return event.outcome == outcome }
        // Where nothing is said of it, a step that was passed over is not what was meant.
        return expectation.count != nil || event.outcome != .skipped
    }

    /// The first few, with why those ended that did not end well.
    private var summary: String {
        guard !events.isEmpty else { return "nothing" }
        let told = events.prefix(8).map { event in
            let why = [.done, .planned, .already].contains(event.outcome) ? nil : event.message
            return "\(event.playbook)\(event.step.isEmpty ? "" : "/\(event.step)") \(event.outcome.rawValue)\(why.map { " (\($0))" } ?? "")"
        }
        return told.joined(separator: ", ") + (events.count > 8 ? " and \(events.count - 8) more" : "")
    }

    var coverage: PlaybookCoverage {
        var coverage = PlaybookCoverage()
        for event in events where !event.playbook.isEmpty {
            coverage.reach(event.playbook)
            if event.outcome != .skipped, !event.step.isEmpty { coverage.reach(event.playbook, step: event.step) }
        }
        return coverage
    }
}

extension Target {
    /// As a test names it.
    fileprivate func isNamed(_ name: String, kind: ActionDescription.TargetKind) -> Bool {
        switch (self, kind) {
        case (.process(let process), .process): "\(process.pid)" == name
        case (.container(let container), .container): !name.isEmpty && (container.id.hasPrefix(name) || name.hasPrefix(container.id))
        case (.pod(let pod), .pod): "\(pod.namespace)/\(pod.name)" == name
        case (.address(let network), .address): IPNetwork(name) == network
        case (.host, .host): true
        default: false
        }
    }
}
