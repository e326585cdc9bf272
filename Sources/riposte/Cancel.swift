internal import ArgumentParser
internal import RiposteAgent
internal import RiposteCore

struct Cancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Calls off an action that is under way.",
        discussion: """
            `riposte status` lists what is under way. Before its deed an action ends refused; a deed that has begun is cancelled as far as it can be, and
            what is shown is what the world says of it. Ends with 0 where nothing came of it (refused, failed, skipped, or its target was gone or as wanted before),
            1 where it took effect all the same, or nobody can say that it did not, in part or as a whole, 4 where no such action is under way, 6 where no agent
            runs.

            Example:
              riposte cancel 01KAS2V3TB4Y5MWR7H3ZQ0E8CN --reason "false alarm"
            """)

    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "Why; stands in the journal.")
    var reason: String?

    @Argument(help: "The action's id.")
    var id: Identifier

    func run() async throws {
        let client = common.agent(try common.configuration())
        let answer: Result<ActionResult?, DeskError>
        do throws(DeskError) { answer = .success(try await client.cancel(CancelCommand(action: id, reason: reason))) } catch { answer = .failure(error) }
        await client.close()
        guard let result = try answer.get() else { throw Complaint("no action \(id) is under way", status: 4) }
        print(common.json ? result.json.line : Self.text(result))
        if result.mayBeInEffect { throw ExitCode(1) }
    }

    private static func text(_ result: ActionResult) -> String {
        let target = result.target.map { " \($0.summary)" } ?? ""
        let doubt = result.mayHaveActed ? ", and it may have taken effect, in part or as a whole" : ""
        return "\(result.action)\(target): \(result.outcome.rawValue)\(doubt)" + ((result.reason ?? result.detail).map { ", \($0.escapedForDisplay)" } ?? "")
    }
}
