internal import ArgumentParser
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct PlaybookExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Says for one alert why each playbook would or would not answer it, and how.",
        discussion: """
            Modes, budgets, breakers and earlier alerts count as the journal tells them. Nothing is done, spent or written down.

            Example:
              riposte playbook explain playbooks/ --alert alert.json
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var which: PlaybookArguments

    @Option(name: .long, help: "A file with the alert, or - for standard input. Of several alerts the first is taken.", completion: .file())
    var alert: String

    @Option(name: .long, help: "A file that describes processes, containers and pods, in place of this machine.", completion: .file())
    var world: String?

    @Option(name: .long, help: "The intake that it came in by.")
    var intake = "dry-run"

    @Option(name: .long, help: "As of this moment, such as 2026-03-04T11:22:40Z. Default: now, with --world when the alert was raised.")
    var now: Timestamp?

    func run() async throws {
        let configuration = try common.configuration()
        let set = try PlaybookSet.load(paths: try which.paths(configuration), Facilities(configuration).catalogue).set
        guard let text = try AlertFile.lines(alert).first else { throw Complaint("there is no alert in \(alert)", status: 2) }
        let read: Alert
        do throws(AlertError) { read = try Alert(parsing: text, id: .new(), arrival: .init(intake: intake)) } catch { throw Complaint("\(alert): \(error)", status: 2) }
        let described = try world.map(WorldFile.read)
        let explainer = AlertExplainer(configuration: configuration, playbooks: set, world: described, now: now ?? (described == nil ? nil : read.time))
        if let remark = explainer.remark { Terminal.remark(remark.escapedForDisplay) }
        let explanation = await explainer.explain(read)
        guard !common.json else {
            print(explanation.json.line)
            return
        }
        for line in ExplanationText.lines(explanation) { print(line) }
    }
}

/// An explanation for people: those that answer first, with their steps; then the others, each with the key that did not fit.
enum ExplanationText {
    static func lines(_ explanation: AlertExplanation) -> [String] {
        let (answering, others) = (explanation.playbooks.filter { $0.mismatch == nil }, explanation.playbooks.filter { $0.mismatch != nil })
        var lines = ["\(explanation.alert.rule.shown), \(explanation.alert.priority), \(explanation.alert.time)"]
        for playbook in answering {
            lines.append("\(Terminal.paint(playbook.name, .bold)) answers it  \(Terminal.paint(playbook.place.escapedForDisplay, .dim))")
            if let idle = playbook.idle { lines.append("  nothing is begun: \(idle.escapedForDisplay)") }
            lines += playbook.steps.flatMap(self.lines)
        }
        if answering.isEmpty { lines.append("no playbook answers it") }
        for playbook in others {
            guard let mismatch = playbook.mismatch else { continue }
            lines.append(
                "\(Terminal.paint(playbook.name, .dim)) does not: \(mismatch.key) wants \(mismatch.wanted.escapedForDisplay); it is \(mismatch.actual.escapedForDisplay)")
        }
        return lines
    }

    private static func lines(_ step: AlertExplanation.Step) -> [String] {
        var lines = ["  step \(step.name): \(step.action) → \(step.outcome.rawValue), \(step.because.escapedForDisplay)"]
        lines += step.checks.map { "    \($0.what.escapedForDisplay): \($0.answer.escapedForDisplay)" }
        lines.append("    mode: \(step.mode.rawValue)\(step.modeBecause.map { " (\($0.escapedForDisplay))" } ?? "")")
        if let target = step.target { lines.append("    target: \(target.summary)") }
        return lines
    }
}
