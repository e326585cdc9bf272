internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct PlaybookExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Says for one alert why each playbook would or would not answer it, and how.",
        discussion: """
            A running agent is asked: its modes, budgets, breakers and earlier alerts count, and its playbooks, unless others are named. Without one they \
            count as the journal tells them. Nothing is done, spent or written down.

            Example:
              riposte playbook explain playbooks/ --alert alert.json
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var which: PlaybookArguments

    @Option(name: .long, help: "A file with the alert, or - for standard input. Of several alerts the first is taken.", completion: .file())
    var alert: String

    @Option(name: .long, help: "A file that describes processes, containers and pods, in place of this machine.", completion: .file())
    var world: String?

    @Option(name: .long, help: "The intake that it came in by.")
    var intake = "dry-run"

    @Option(name: .long, help: "As of this moment, such as 2026-03-04T11:22:40Z. Default: now, with --world when the alert was raised.")
    var now: Timestamp?

    func run() async throws {
        let configuration = try common.configuration()
        var stream = try AlertStream(alert)
        guard let text = try stream.next(1).first else { throw Complaint("there is no alert in \(alert.escapedForDisplay)", status: 2) }
        let read: Alert
        do throws(AlertError) { read = try Alert(parsing: text, id: .new(), arrival: .init(intake: intake)) } catch { throw Complaint("\(alert): \(error)", status: 2) }
        let explanation: JSON
        if let answer = try await askAgent(text, configuration) { explanation = answer } else { explanation = try await explainHere(read, configuration) }
        guard !common.json else {
            print(explanation.line)
            return
        }
        for line in ExplanationText.lines(explanation) { print(line) }
    }

    /// Nil where no agent answers, or what is asked is not of here and now.
    private func askAgent(_ text: [UInt8], _ configuration: AgentConfiguration) async throws -> JSON? {
        guard world == nil, now == nil, FileManager.default.fileExists(atPath: configuration.controlSocket) else { return nil }
        let documents = which.paths.isEmpty ? nil : try PlaybookSet.documents(at: which.paths, foreign: .warnedOf).map { RespondCommand.Document(name: $0.name, text: $0.text) }
        let client = common.agent(configuration)
        let answer: Result<JSON, DeskError>
        do throws(DeskError) { answer = .success(try await client.explain(ExplainCommand(alert: text, intake: intake, playbooks: documents))) } catch { answer = .failure(error) }
        await client.close()
        switch answer {
        case .success(let explanation): return explanation
        case .failure(let error) where error.code == .noAgent: return nil
        case .failure(let error) where error.code == .denied:
            Terminal.remark("\(error.message.escapedForDisplay): modes, budgets and breakers are as the journal tells them")
            return nil
        case .failure(let error): throw error
        }
    }

    private func explainHere(_ read: Alert, _ configuration: AgentConfiguration) async throws -> JSON {
        let set = try PlaybookSet.load(paths: try which.paths(configuration), Facilities(configuration).catalogue, foreign: .warnedOf).set
        let described = try world.map(WorldFile.read)
        let explainer = AlertExplainer(configuration: configuration, playbooks: set, world: described, now: now ?? (described == nil ? nil : read.time))
        if let remark = explainer.remark { Terminal.remark(remark.escapedForDisplay) }
        return await explainer.explain(read).json
    }
}

/// An explanation for people: those that answer first, with their steps; then the others, each with the key that did not fit.
enum ExplanationText {
    static func lines(_ explanation: JSON) -> [String] {
        let playbooks = explanation["playbooks"]?.array ?? []
        let (answering, others) = (playbooks.filter { $0["mismatch"] == nil }, playbooks.filter { $0["mismatch"] != nil })
        var lines = ["\(word(explanation["alert"], "rule")), \(word(explanation["alert"], "priority")), \(word(explanation["alert"], "time"))"]
        for playbook in answering {
            lines.append("\(Terminal.paint(word(playbook, "playbook"), .bold)) answers it  \(Terminal.paint(word(playbook, "place"), .dim))")
            if playbook["idle"] != nil { lines.append("  nothing is begun: \(word(playbook, "idle"))") }
            lines += (playbook["steps"]?.array ?? []).flatMap(step)
        }
        if answering.isEmpty { lines.append("no playbook answers it") }
        for playbook in others {
            let mismatch = playbook["mismatch"]
            lines.append(
                "\(Terminal.paint(word(playbook, "playbook"), .dim)) does not: \(word(mismatch, "key")) wants \(word(mismatch, "wanted")); it is \(word(mismatch, "actual"))")
        }
        return lines
    }

    private static func step(_ step: JSON) -> [String] {
        var lines = ["  step \(word(step, "step")): \(word(step, "action")) → \(word(step, "outcome")), \(word(step, "because"))"]
        lines += (step["checks"]?.array ?? []).map { "    \(word($0, "what")): \(word($0, "answer"))" }
        lines.append("    mode: \(word(step, "mode"))\(step["mode_because"] == nil ? "" : " (\(word(step, "mode_because")))")")
        if let target = step["target"].flatMap(Target.init(json:)) { lines.append("    target: \(target.summary)") }
        return lines
    }

    private static func word(_ json: JSON?, _ key: ByteText) -> String { json?[key]?.string?.shown ?? "" }
}
