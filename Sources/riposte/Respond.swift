internal import ArgumentParser
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct Respond: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Feeds alerts through playbooks once, then ends.",
        discussion: """
            Alerts are JSON, one per line. The mode is observe unless another is given. Alerts that are older than an hour are only observed; \
            for recorded ones give --max-alert-age.

            Examples:
              riposte respond --playbooks playbooks/ alerts.jsonl
              tail -1 /var/log/falco.jsonl | riposte respond --playbooks my.yaml --mode enforce -
            """)

    @OptionGroup var action: ActionOptions

    @Option(name: .long, help: "A playbook file or a folder of them; may be repeated. Default: those of the configuration.", completion: .file())
    var playbooks: [String] = []

    @Option(name: .long, help: "observe, ask or enforce.")
    var mode: Mode = .observe

    @Option(name: .long, help: "Alerts older than this are only observed, such as 24h.")
    var maxAlertAge: Duration?

    @Argument(help: "A file of alerts, or - for standard input.", completion: .file())
    var file: String = "-"

    func run() async throws {
        try action.refuseAsk("respond, which has --mode ask,")
        try action.refuseForce("respond")
        let configuration = try action.common.configuration()
        let paths = playbooks.isEmpty ? configuration.playbooks : playbooks
        guard !paths.isEmpty else { throw ValidationError("no playbooks: give --playbooks, or set playbooks in the configuration") }
        let catalogue = Facilities(configuration).catalogue
        let mode = action.dryRun ? .observe : self.mode
        let documents = try PlaybookSet.documents(at: paths, foreign: mode == .observe ? .warnedOf : .refused)
        _ = try PlaybookSet.load(documents, catalogue)
        let command = RespondCommand(
            playbooks: documents.map { .init(name: $0.name, text: $0.text) }, alerts: try AlertStream.all(in: file), mode: mode, maximumAlertAge: maxAlertAge)
        try await action.withDesk { desk, _ in
            let reports = try await desk.respond(command)
            return AlertReportText.show(reports, asJSON: action.common.json)
        }
    }
}

/// What became of alerts.
enum AlertReportText {
    /// Prints them; gives the exit status: 1 where an alert was not taken, else of results the gravest, and 2 where something was no alert.
    static func show(_ reports: [AlertReport], asJSON: Bool) -> Int32 {
        for report in reports {
            if asJSON {
                for result in report.results { print(result.json.line) }
                if let problem = report.problem { Terminal.complain("alert \(report.number): \(problem)") }
                continue
            }
            let answer =
                report.problem.map { Terminal.paint($0.escapedForDisplay, .red) }
                ?? (report.playbooks.isEmpty ? [Terminal.paint(report.remarks.isEmpty ? "no playbook" : "nobody answers", .dim)] : report.playbooks).joined(separator: ", ")
            print("\(Terminal.paint("alert \(report.number)", .bold)) \(report.rule.escapedForDisplay) → \(answer)")
            for remark in report.remarks { print("  \(Terminal.paint(remark.escapedForDisplay, .dim))") }
            for result in report.results { print("  \(ResultText.line(result))") }
        }
        if reports.contains(where: \.isNotTaken) { return 1 }
        let status = reports.flatMap(\.results).map(\.outcome).exitStatus
        return status == 0 && reports.contains { $0.problem != nil } ? 2 : status
    }
}
