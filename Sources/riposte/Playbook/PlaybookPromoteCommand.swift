internal import ArgumentParser
internal import RiposteAgent

struct PlaybookPromoteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promote", abstract: "Lets a playbook go on to the next stage of its roll-out.",
        discussion: """
            Refused, with what stands in the way, as long as the stage's conditions do not hold. `riposte mode` shows where each playbook stands.

            Example:
              riposte playbook promote contain-shell --reason "no false alarm in a week"
            """)

    @OptionGroup var action: ActionOptions

    @Argument(help: "The playbook's name.")
    var name: String

    func run() async throws { try await action.steer("playbook promote", .promote(name)) }
}
