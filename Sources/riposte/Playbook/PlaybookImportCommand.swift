internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct PlaybookImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Turns other tools' response rules into playbooks.", subcommands: [PlaybookImportTalonCommand.self])
}

struct PlaybookImportTalonCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "talon", abstract: "Turns rules files of Falco Talon into playbooks, and says what is exact, what is different and what is missing.",
        discussion: """
            Name the files in Talon's order; later ones change earlier ones, as there. The playbooks go to standard output or --out, the report to \
            standard error. Ends with 0 where everything was carried over, with 1 where something was not, with 2 where a file is no good.

            Example:
              riposte playbook import talon rules.yaml rules_override.yaml --out talon.yaml
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "Talon's rules files, or folders of them.", completion: .file())
    var files: [String]

    @Option(name: .long, help: "Write the playbooks to this file, which must not be there yet.", completion: .file())
    var out: String?

    @Option(name: .long, help: "The playbooks' mode: observe, ask or enforce.")
    var mode = Mode.observe

    func run() async throws {
        let translation = TalonTranslation(try rules(), mode: mode)
        let text = translation.text
        // What is written is read again: nobody is handed a file that `playbook check` refuses.
        _ = try PlaybookSet.load([.init(name: out ?? "(import)", text: text)], Facilities(try common.configuration()).catalogue)
        if let out { try Self.make(out, text) }
        show(translation, text)
        throw ExitCode(translation.report.isComplete ? 0 : 1)
    }

    private func rules() throws -> TalonRules {
        do throws(Diagnostics) {
            return try TalonRules.read(try PlaybookSet.documents(at: files, foreign: .warnedOf))
        } catch {
            for entry in error.entries { if common.json { print(entry.json.line) } else { Terminal.complainPlainly(entry.rendered) } }
            throw ExitCode(2)
        }
    }

    private func show(_ translation: TalonTranslation, _ text: String) {
        guard !common.json else {
            var object: JSONObject = ["report": translation.report.json]
            if let out { object.append("out", .text(out)) } else { object.append("playbooks", .text(text)) }
            print(JSON.object(object).line)
            return
        }
        if out == nil { print(text, terminator: "") }
        for line in translation.report.lines { Terminal.complainPlainly(line) }
    }

    /// Nothing is overwritten, and no link is followed to something else.
    private static func make(_ path: String, _ text: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Complaint("\(path) cannot be made: \(String(cString: strerror(errno)))", status: 2) }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try handle.write(contentsOf: Data(text.utf8))
            try handle.close()
        } catch {
            unlink(path)
            throw Complaint("\(path) cannot be written: \(error.localizedDescription)", status: 2)
        }
    }
}
