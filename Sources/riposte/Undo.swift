internal import ArgumentParser
internal import RiposteAgent
internal import RiposteCore

struct Undo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes an action back.",
        discussion: """
            The id is in the action's result and in the journal. `riposte status` lists what is in force.

            Example:
              riposte undo 01KAS2V3TB4Y5MWR7H3ZQ0E8CN --reason "false alarm"
            """)

    @OptionGroup var action: ActionOptions

    @Argument(help: "The action's id.")
    var id: Identifier

    func run() async throws {
        try action.refuseAsk("undo")
        try await action.withDesk { desk, _ in
            let result = try await desk.undo(UndoCommand(action: id, isDryRun: action.dryRun, reason: action.reason))
            action.report(result)
            return result.outcome.exitStatus
        }
    }
}
