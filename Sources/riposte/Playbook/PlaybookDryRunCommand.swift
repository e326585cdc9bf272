internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct PlaybookDryRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dry-run", abstract: "Says what playbooks would do for alerts, and touches nothing.",
        discussion: """
            Without --world each alert is held against the machine as it is now. With --world the whole engine answers the recording in the alerts' own \
            time, and the report says what would have been done when, what stood in the way, and who would have been hit.

            Examples:
              riposte playbook dry-run playbooks/ --alerts alerts.jsonl
              riposte playbook dry-run playbooks/ --alerts week.jsonl --world none --html report.html
              riposte playbook dry-run new/ --compare playbooks/ --alerts week.jsonl --world none
            """)

    @OptionGroup var action: CommonOptions
    @OptionGroup var which: PlaybookArguments

    @Option(name: .long, help: "A file of alerts, one per line, or - for standard input.", completion: .file())
    var alerts: String

    @Option(name: .long, help: "A file that describes processes, containers and pods; or none: targets are taken as the alerts say.", completion: .file())
    var world: String?

    @Option(name: .long, help: "With --world, the agent's mode: observe, ask or enforce.")
    var mode: Mode = .enforce

    @Flag(name: .long, help: "With --world: as if no playbook, step or roll-out were more careful than the agent.")
    var ignoreModes = false

    @Option(name: .long, help: "Where the alerts come in, for playbooks that ask for that: \(Match.intakeNames.joined(separator: ", ")).")
    var intake: String?

    @Option(name: .long, help: "With --world: other playbooks, a file or folder; says which runs appear, vanish or change against them.", completion: .file())
    var compare: String?

    @Option(name: .long, help: "With --world: also write the report as a page to this file; it is replaced.", completion: .file())
    var html: String?

    @Flag(name: .long, help: "With --world: say on standard error how far it is.")
    var progress = false

    func validate() throws {
        if let intake, !Match.intakeNames.contains(intake) {
            let near = nearMiss(to: intake, among: Match.intakeNames).map { "; did you mean \"\($0)\"?" } ?? ""
            throw ValidationError("there is no intake \"\(intake.escapedForDisplay)\"\(near)")
        }
        guard world == nil else { return }
        if html != nil || compare != nil || progress || ignoreModes || mode != .enforce {
            throw ValidationError("--mode, --ignore-modes, --compare, --html and --progress need --world FILE or --world none")
        }
    }

    func run() async throws {
        let configuration = try action.configuration()
        let catalogue = Facilities(configuration).catalogue
        let set = try PlaybookSet.load(paths: try which.paths(configuration), catalogue, foreign: .warnedOf).set
        guard let world else {
            let reports = await DryRun(configuration: configuration, playbooks: set, intake: intake).reports(try AlertStream.all(in: alerts))
            throw ExitCode(AlertReportText.show(reports, asJSON: action.json))
        }
        let old = try compare.map { try PlaybookSet.load(paths: [$0], catalogue, foreign: .warnedOf).set }
        let replay = Replay(
            configuration: configuration, playbooks: effective(set), comparedWith: old.map(effective), world: try WorldFile.replayWorld(world), mode: mode,
            intake: intake)
        try await feed(replay)
        let report = replay.finish()
        try show(report, replay, configuration)
        if let problem = replay.firstProblem { Terminal.complain("\(report.unreadable) lines are no alerts; the first: \(problem.escapedForDisplay)") }
        throw ExitCode(report.alerts == 0 || report.unreadable > 0 ? 2 : 0)
    }

    private func effective(_ set: PlaybookSet) -> PlaybookSet { ignoreModes ? set.withoutOwnModes : set }

    /// While the engine answers some lines the next ones are read: on two processors it takes as long as the longer of both.
    private func feed(_ replay: Replay) async throws {
        var stream = try AlertStream(alerts)
        let (reader, clock) = (replay.reader, ContinuousClock())
        var (count, told) = (0, clock.now)
        var reading: Task<[Replay.Line], Never>?
        repeat {
            let lines = try stream.next(Self.batch)
            let ahead = lines.isEmpty ? nil : Task.detached { lines.map(reader.read) }
            for line in await reading?.value ?? [] { replay.feed(line) }
            reading = ahead
            count += lines.count
            guard progress, clock.now - told >= .seconds(1) else { continue }
            told = clock.now
            let share = stream.size.map { ", \(100 * stream.position / max(1, $0)) %" } ?? ""
            Terminal.remark("\(count) alerts\(share), now at \(replay.now.map { "\($0)" } ?? "")")
        } while reading != nil
        if progress { Terminal.remark("\(count) alerts, done") }
    }

    /// So many lines are read ahead: what they come to stays in a processor's cache.
    private static let batch = 256

    private var premises: [String] {
        var premises = ["The agent's mode is \(mode.rawValue)\(ignoreModes ? "; modes and roll-outs of playbooks and steps are passed over" : "")."]
        if world == "none" { premises.append("No world is described: whom an alert names is taken to be there, as the alert says it. Nobody's identity is proved.") }
        premises.append("What is done to a target holds for later alerts: whom an act has ended does not act again, though the recording may say so.")
        return premises
    }

    private func show(_ report: RehearsalReport, _ replay: Replay, _ configuration: AgentConfiguration) throws {
        if let html {
            let page = ReplayPage(report, comparison: replay.comparison, premises: premises).html
            try ReportFile.write(page, to: html)
        }
        guard !action.json else {
            var object = report.json.object ?? JSONObject()
            object.append("mode", .text(mode.rawValue))
            object.append("identities_proved", .bool(world != "none"))
            object.append("comparison", replay.comparison?.json)
            print(JSON.object(object).line)
            return
        }
        for line in RehearsalText.lines(report, replay.comparison) { print(line) }
        for premise in premises { print(Terminal.paint(premise, .dim)) }
    }
}

/// Files that describe a world.
enum WorldFile {
    static func replayWorld(_ path: String) throws -> Replay.World { path == "none" ? .fromAlerts : .described(try read(path)) }

    static func read(_ path: String) throws -> DescribedWorld {
        guard let text = FileManager.default.contents(atPath: path).flatMap({ String(validating: $0, as: UTF8.self) }) else {
            throw Complaint("\(path) cannot be read, or is not UTF-8", status: 2)
        }
        return try DescribedWorld(file: path, text: text)
    }
}

/// A dry run's report for people.
enum RehearsalText {
    private static let actLimit = 20

    static func lines(_ report: RehearsalReport, _ comparison: RehearsalComparison?) -> [String] {
        var lines = [summary(report)]
        lines += section(
            "Steps",
            table(
                ["PLAYBOOK", "STEP", "ACTION", "OUTCOMES"],
                report.rows.map { row, outcomes in
                    [row.playbook, row.step, row.action, outcomes.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.value) \($0.key.rawValue)" }.joined(separator: ", ")]
                }))
        lines += section("What stepped in", brakes(report))
        lines += section("Most affected targets", table(["TARGET", "ACTS", "HELD BACK"], report.mostAffected.map { [$0.target, "\($0.acts)", "\($0.heldBack)"] }))
        let undo = report.undo
        if undo.armed > 0 {
            lines += section(
                "Undo load",
                [
                    "\(undo.armed) to be taken back by themselves: \(undo.takenBack) were, \(undo.failed) failed, \(undo.open.count) were in force at the end; at most \(undo.mostAtOnce) at once"
                ])
        }
        lines += section("First acts", acts(report))
        if let comparison { lines += section("Compared with the other playbooks", self.comparison(comparison)) }
        return lines
    }

    private static func summary(_ report: RehearsalReport) -> String {
        guard let begin = report.timeline.begin, let end = report.timeline.end else { return "there was no alert" }
        var text = "\(report.alerts) alerts from \(begin) to \(end); \(report.matched) answered, \(report.repeats) told again"
        for (count, what) in [
            (report.belowThreshold, "below a threshold"), (report.turnedAway, "found no room"), (report.late, "out of order"), (report.unreadable, "no alerts"),
        ] where count > 0 { text += ", \(count) \(what)" }
        text += "; \(report.actCount) acts"
        if let peak = report.timeline.peak { text += ", at most \(peak.count) in \(report.timeline.width.text) (from \(peak.at))" }
        return text
    }

    private static func section(_ title: String, _ lines: [String]) -> [String] { lines.isEmpty ? [] : ["", Terminal.paint(title, .bold)] + lines }

    private static func table(_ header: [String], _ rows: [[String]]) -> [String] {
        rows.isEmpty ? [] : [Terminal.table(header, rows.map { $0.map(\.escapedForDisplay) })]
    }

    private static func brakes(_ report: RehearsalReport) -> [String] {
        let refusals = Dictionary(uniqueKeysWithValues: report.refusals.map { ($0.key.rawValue, $0.value) })
        let groups: [(String, [String: Int])] = [
            ("refused", refusals), ("guard", report.guards), ("breaker opened", report.breakers), ("held back by", report.heldBackBy), ("together", report.overlaps),
        ]
        return table(["WHAT", "WHICH", "TIMES"], groups.flatMap { kind, counts in RehearsalReport.ranked(counts).map { [kind, $0.name, "\($0.count)"] } })
    }

    private static func acts(_ report: RehearsalReport) -> [String] {
        let lines = report.acts.prefix(actLimit).map { act in
            "\(act.time) \(act.row.playbook)/\(act.row.step) \(act.row.action) \(act.target) \(act.outcome.rawValue)".escapedForDisplay
        }
        return lines + (report.actCount > lines.count && !lines.isEmpty ? ["and \(report.actCount - lines.count) more"] : [])
    }

    private static func comparison(_ comparison: RehearsalComparison) -> [String] {
        guard !comparison.rows.isEmpty else { return ["both answer every alert alike"] }
        let sums = comparison.rows.map { [$0.playbook, "\($0.counts[.appears] ?? 0)", "\($0.counts[.vanishes] ?? 0)", "\($0.counts[.changes] ?? 0)"] }
        return table(["PLAYBOOK", "APPEAR", "VANISH", "CHANGE"], sums)
            + comparison.examples.prefix(actLimit).map { example in
                "\(example.time) \(example.playbook) \(example.change.rawValue): \(example.before.joined(separator: "; ")) → \(example.after.joined(separator: "; "))"
                    .escapedForDisplay
            }
    }
}
