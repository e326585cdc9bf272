internal import ArgumentParser
internal import Foundation
internal import RiposteActions
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct NotifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "notify", abstract: "Tells people something, by outputs of the configuration.", subcommands: [NotifySendCommand.self])
}

struct NotifySendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send", abstract: "Sends a message to one or several outputs.",
        discussion: """
            The journal's record is the message: it is done when that is written, and carried like everything else; `riposte output list` shows how far. Without an \
            agent it goes out when one is started.

            Examples:
              riposte notify send --to duty "web-7 is contained, I look at it now"
              riposte notify send --to duty --to siem --priority critical --title "Host cut off" - < words.txt
            """)

    @OptionGroup var action: ActionOptions

    @Option(name: .long, help: "The name of an output; may be repeated.")
    var to: [String] = []

    @Option(name: .long, help: "A few words that stand above (default: Riposte).")
    var title: String?

    @Option(name: .long, help: "How grave it is: debug, informational, notice, warning, error, critical, alert or emergency (default: notice).")
    var priority: String?

    @Argument(help: "What is said; - reads it from standard input.")
    var message: String

    func validate() throws {
        if to.isEmpty { throw ValidationError("name an output with --to; `riposte output list` shows them") }
    }

    func run() async throws {
        let message = try words()
        for (what, text, limit) in [("a message", message, NotifySend.messageLimit), ("a title", title ?? "", NotifySend.titleLimit)] where text.utf8.count > limit {
            throw Complaint("\(what) has at most \(limit) bytes, and this one has \(text.utf8.count)", status: 2)
        }
        try await checkReceivers()
        var parameters: JSONObject = ["to": .array(to.map(JSON.text)), "message": .text(message)]
        parameters.append("title", title.map(JSON.text))
        parameters.append("priority", priority.map(JSON.text))
        try await action.carryOut("notify.send", on: .host, with: parameters)
    }

    /// What is for nobody is told before anything is written down.
    private func checkReceivers() async throws {
        let configuration = try action.common.configuration()
        let names = try await ofAgent(configuration) ?? configuration.outputs.names
        for name in to where !names.contains(name) { throw DeskError.noOutput(name, among: names) }
    }

    /// The outputs that are at work; nil where no agent answers.
    private func ofAgent(_ configuration: AgentConfiguration) async throws -> [String]? {
        guard FileManager.default.fileExists(atPath: configuration.controlSocket) else { return nil }
        let client = action.common.agent(configuration)
        let answer: Result<JSON, DeskError>
        do throws(DeskError) { answer = .success(try await client.status()) } catch { answer = .failure(error) }
        await client.close()
        if case .failure(let error) = answer, error.code == .noAgent { return nil }
        return (try answer.get()["outputs"]?.array ?? []).compactMap { $0["name"]?.string?.valid }
    }

    /// Beyond what a message may hold nothing is read.
    private static let limit = 1 << 20

    private func words() throws -> String {
        guard message == "-" else { return message }
        guard let text = String(validating: try InputFile("-").beginning(Self.limit), as: UTF8.self) else { throw Complaint("standard input has no UTF-8 text", status: 2) }
        return text.trimmingCharacters(in: .newlines)
    }
}
