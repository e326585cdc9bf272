internal import ArgumentParser
internal import RiposteCore
internal import RiposteRules

struct RulesEvalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Prints the events for which a condition holds.",
        discussion: """
            Ends with 2 where a line is no event, after all others were judged.

            Example:
              riposte rules eval 'evt.type = execve and proc.name in (nc, ncat)' --events events.jsonl
            """)

    @Argument(help: "A condition.")
    var condition: String

    @Argument(help: "Rules files or folders whose macros and lists the condition may use.", completion: .file())
    var paths: [String] = []

    @OptionGroup var input: EventArguments

    @OptionGroup var common: CommonOptions

    @Flag(name: .long, help: "Print only how many there are.")
    var count = false

    func run() async throws {
        let (files, unreadable) = RuleSet.read(paths: paths)
        let (compiled, found) = EventCondition.compile(condition, source: input.source, files: files)
        let findings = unreadable + found
        for finding in findings { Terminal.complainPlainly(finding.diagnostic.rendered) }
        guard let compiled, !findings.hasErrors else { throw ExitCode(2) }
        let judge = compiled.judge()
        var number = 0
        let wrong = try input.forEach { event in
            guard !judge.judge(event.event).isEmpty else { return }
            number += 1
            if !count { print(event.json.line) }
        }
        if count { print("\(number)") }
        throw ExitCode(wrong > 0 ? 2 : 0)
    }
}
