internal import ArgumentParser
internal import RiposteAgent
internal import RiposteCore

struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says what this machine can and cannot do, and how to mend it.",
        discussion: "Ends with 1 where something is missing that the agent cannot do without.\n\nExample:\n  riposte doctor --config config/riposte.yaml")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let findings = await Examination(try common.configuration()).findings()
        if common.json {
            for finding in findings { print(finding.json.line) }
        } else {
            for finding in findings { print(Self.text(finding)) }
        }
        throw ExitCode(findings.contains { $0.verdict == .bad } ? 1 : 0)
    }

    private static func text(_ finding: Examination.Finding) -> String {
        let mark =
            switch finding.verdict {
            case .good: Terminal.paint("good   ", .green)
            case .lacking: Terminal.paint("lacking", .yellow)
            case .bad: Terminal.paint("bad    ", .red)
            }
        let line = "\(mark)  \(finding.subject.padded(to: 18))\(finding.finding.escapedForDisplay)"
        return finding.remedy.map { "\(line)\n                           → \($0.escapedForDisplay)" } ?? line
    }
}
