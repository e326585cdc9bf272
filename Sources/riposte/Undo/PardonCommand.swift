internal import ArgumentParser
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct PardonCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pardon", abstract: "Shows and lifts what protects a target that a person let go.",
        discussion: """
            When a person takes an action back, or releases a target by hand, playbooks leave that target alone for `undo.pardon` (an hour unless \
            configured), so that it is not taken again at once. People may act on it all the same.
            """,
        subcommands: [PardonListCommand.self, PardonLiftVerb.self])
}

struct PardonListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Shows whom playbooks leave alone, and until when.", discussion: "Example:\n  riposte pardon list --json")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await common.withQuestionDesk { desk in
            let pardons = try await desk.pardons()
            if common.json {
                for pardon in pardons { print(pardon.json.line) }
            } else {
                print(pardons.isEmpty ? "no pardon is in force" : PardonText.table(pardons))
            }
            return 0
        }
    }
}

struct PardonLiftVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lift", abstract: "Lets playbooks act on a target again.", discussion: "Example:\n  riposte pardon lift web --reason \"the alert was right\"")

    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "Why; stands in the journal.")
    var reason: String?

    @Argument(help: "A container's id or name, a pid, a pod, an address, or host.")
    var target: String

    func run() async throws {
        try await common.withDesk { desk, _ in
            let lifted = try await desk.liftPardons(PardonLiftCommand(target: target, reason: reason))
            for pardon in lifted { print(common.json ? pardon.json.line : "playbooks may act on \(pardon.target.summary) again") }
            guard lifted.isEmpty else { return 0 }
            Terminal.complain("no pardon is in force for \(target.escapedForDisplay); see riposte pardon list")
            return 4
        }
    }
}

private enum PardonText {
    static func table(_ pardons: [Pardons.Pardon]) -> String {
        Terminal.table(
            ["TARGET", "UNTIL", "LET GO BY", "WHY"],
            pardons.map { [$0.target.summary, $0.until.clockText, "\($0.actor.name.escapedForDisplay) at \($0.since.clockText)", $0.reason?.escapedForDisplay ?? "-"] })
    }
}
