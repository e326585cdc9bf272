internal import ArgumentParser
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct AlertsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alerts", abstract: "Says what alerts were.", subcommands: [AlertsMarkCommand.self])
}

struct AlertsMarkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mark", abstract: "Calls an alert benign or real: it counts for or against the playbooks that answered it.",
        discussion: "Example:\n  riposte alerts mark 01KAS2V3TB4Y5MWR7H3ZQ0E8CN --benign --reason \"a debug session of the web team\"")

    @OptionGroup var action: ActionOptions

    @Argument(help: "The alert's id, from the journal.")
    var alert: Identifier

    @Flag(name: .long, help: "It was a false alarm.")
    var benign = false

    @Flag(name: .long, help: "It was right; takes an earlier --benign back.")
    var real = false

    func validate() throws {
        if benign == real { throw ValidationError("give one of --benign and --real") }
    }

    func run() async throws { try await action.steer("alerts mark", .mark(alert, benign ? .benign : .real)) }
}
