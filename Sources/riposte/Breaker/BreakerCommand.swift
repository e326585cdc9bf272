internal import ArgumentParser
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct BreakerCommands: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "breaker", abstract: "Lists and closes breakers: what holds actions back after a budget was over.",
        subcommands: [BreakerListCommand.self, BreakerCloseCommand.self])
}

struct BreakerListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists breakers that are not closed.", discussion: "Example:\n  riposte breaker list --json")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await common.withQuestionDesk { desk in
            let breakers = try await desk.breakers()
            if common.json {
                for breaker in breakers { print(breaker.json.line) }
            } else {
                print(breakers.isEmpty ? "all breakers are closed" : BreakerText.table(breakers))
            }
            return 0
        }
    }
}

struct BreakerCloseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "close", abstract: "Closes a breaker, so that what it held back may act again.",
        discussion: """
            The budget's window stays as it is: an action for which there is no room opens the breaker again. Ends with 4 where no such breaker is open.

            Example:
              riposte breaker close playbook/contain-shell --reason "was the deployment at 14:00"
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "The breaker's name, as `breaker list` shows it.")
    var name: String

    @Option(name: .long, help: "Why; stands in the journal.")
    var reason: String?

    func run() async throws {
        try await common.withDesk { desk, _ in
            let breaker = try await desk.closeBreaker(BreakerCommand(name: name, reason: reason))
            print(common.json ? breaker.json.line : "\(breaker.name.escapedForDisplay) is closed; it had held back \(breaker.heldBack)")
            return 0
        }
    }
}

private enum BreakerText {
    static func table(_ breakers: [Breakers.Breaker]) -> String {
        Terminal.table(
            ["BREAKER", "STATE", "SINCE", "HELD BACK", "REOPENS", "CAUSE"],
            breakers.map { breaker in
                [
                    breaker.name.escapedForDisplay, breaker.state.rawValue.replacing("_", with: "-"), breaker.since.clockText, "\(breaker.heldBack)",
                    breaker.halfOpens?.clockText ?? breaker.reopening.text, breaker.cause.escapedForDisplay,
                ]
            })
    }
}
