internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteAudit
internal import RiposteCore

/// The entry point: names the verbs, and turns what they throw into an exit status.
@main
struct Riposte: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "riposte",
        abstract: "Detects attacks on Linux hosts, containers and Kubernetes, and answers them.",
        discussion: """
            Alerts trigger playbooks; playbooks kill processes, pause containers, delete pods, cut the network. Every step is in the journal, and \
            everything can be tried dry first.

            Examples:
              riposte run                                   the agent
              riposte playbook check playbooks/             what is wrong with playbooks
              riposte process kill 4711 --tree --dry-run    what would be hit
              riposte undo 01KAS…                           take an action back

            Exit status: 0 done, already or planned; 1 failed; 2 bad usage or invalid input; 3 refused; 4 gone or not found; 5 waits for approval; \
            6 no agent where one is needed.
            """,
        version: Version.text,
        subcommands: [
            Run.self, Respond.self, PlaybookCommand.self, RulesCommand.self, ProcessCommand.self, ContainerCommand.self, PodCommand.self, NetworkCommand.self, NotifyCommand.self,
            Undo.self, PardonCommand.self, Cancel.self, ApprovalsCommand.self,
            ModeCommand.self, BreakerCommands.self, AlertsCommand.self, IncidentCommand.self,
            AuditCommand.self, OutputCommand.self, EventsCommand.self, RecordCommand.self, Status.self, Reload.self, Doctor.self,
        ])

    static func main() async {
        // A reader that went away (`| head`) is told to whoever writes, and ends nothing half done.
        signal(SIGPIPE, SIG_IGN)
        StandardOutput.claimStandardDescriptors()
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
            StandardOutput.end(with: 0)
        } catch {
            exit(with: error)
        }
    }

    private static func exit(with error: any Error) -> Never {
        switch error {
        case let status as ExitCode: StandardOutput.end(with: status.rawValue)
        case let error as DeskError:
            Terminal.complain(error.message)
            StandardOutput.end(with: error.exitStatus)
        case let error as Diagnostics:
            Terminal.complain(error.description)
            StandardOutput.end(with: 2)
        case let error as Complaint:
            Terminal.complain(error.message)
            StandardOutput.end(with: error.status)
        case let error as JournalError:
            Terminal.complain(error.message)
            StandardOutput.end(with: 1)
        case let error as CocoaError:
            // Foundation's own description names its domain and its keys.
            Terminal.complain((error.filePath.map { "\($0.escapedForDisplay): " } ?? "") + error.localizedDescription.escapedForDisplay)
            StandardOutput.end(with: 1)
        case let error as ValidationError:
            Terminal.complain(error.message)
            StandardOutput.end(with: 2)
        default:
            // The parser's own: help goes to standard output with 0, mistakes to standard error with 2.
            let code = Self.exitCode(for: error)
            let message = Self.fullMessage(for: error)
            if code == .success { print(message) } else { Terminal.complainPlainly(message) }
            StandardOutput.end(with: code == .success ? 0 : code == .validationFailure ? 2 : 1)
        }
    }
}

/// Something that a verb has to say before it ends with a status of its own.
struct Complaint: Error {
    let message: String
    let status: Int32

    init(_ message: String, status: Int32) {
        self.message = message
        self.status = status
    }
}
