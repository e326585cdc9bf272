internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteCore
internal import RiposteRules

struct RulesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rules", abstract: "Checks, lists, shows and tries rules in Falco's language.",
        subcommands: [
            RulesCheckCommand.self, RulesListCommand.self, RulesShowCommand.self, RulesFieldsCommand.self, RulesEvalCommand.self, RulesReplayCommand.self,
            RulesTestCommand.self,
        ])
}

/// Which rules files.
struct RulesArguments: ParsableArguments {
    @Argument(help: "Rules files, or folders of them, in order. Default: those of the configuration.", completion: .file())
    var paths: [String] = []

    /// The files that are named, else those of the configuration.
    func files(_ common: CommonOptions) throws -> [String] {
        let chosen = paths.isEmpty ? try common.configuration().rules.files : paths
        guard !chosen.isEmpty else { throw ValidationError("which rules? Name files or folders, or set rules.files in the configuration") }
        return chosen
    }

    /// The rules, or every error on standard error and status 2.
    func load(_ common: CommonOptions, _ settings: RulesSettings = RulesSettings()) throws -> RuleSet {
        let (ruleSet, findings, _) = RuleSet.load(paths: try files(common), settings)
        guard let ruleSet else {
            for finding in findings where finding.isError { Terminal.complainPlainly(finding.diagnostic.rendered) }
            throw ExitCode(2)
        }
        return ruleSet
    }
}

extension RulesSettings.Matching: ExpressibleByArgument {}

/// Where events come from, and of which source they are.
struct EventArguments: ParsableArguments {
    @Option(name: .long, help: "A file of events, one JSON object per line, or - for standard input.", completion: .file())
    var events: String

    @Option(name: .long, help: "syscall (recorded events: a flat map of field to value) or k8s_audit (audit events of Kubernetes as they come).")
    var source = "syscall"

    func validate() throws {
        guard RuleSet.knownSources.contains(source) else {
            let near = nearMiss(to: source, among: RuleSet.knownSources).map { "; did you mean \"\($0)\"?" } ?? ""
            throw ValidationError("--source takes \(RuleSet.knownSources.joined(separator: " or "))\(near)")
        }
    }

    /// One event with the line that it stands in.
    struct Event {
        let event: any RuleEvent
        let time: Timestamp
        let json: JSON
    }

    /// Hands over one event after the other; gives how many lines were none, after saying why.
    func forEach(_ body: (Event) throws -> Void) throws -> Int {
        var wrong = 0
        try EventLines(events).forEach { line, number in
            do { for event in try read(line) { try body(event) } } catch let error as RecordedEventError {
                wrong += 1
                Terminal.complain("\(events.escapedForDisplay):\(number): \(error.problem.escapedForDisplay)")
            }
        }
        return wrong
    }

    private func read(_ line: [UInt8]) throws(RecordedEventError) -> [Event] {
        guard source == KubernetesAuditEvent.source else {
            let event = try RecordedEvent(parsing: line, source: source)
            return [Event(event: event, time: event.time, json: .object(event.object))]
        }
        let batch: KubernetesAuditReader.Batch
        do throws(KubernetesAuditError) { batch = try KubernetesAuditReader().read(line) } catch { throw RecordedEventError(problem: "\(error)") }
        if let dropped = batch.dropped.first { throw RecordedEventError(problem: "\(dropped)") }
        return batch.events.map { Event(event: $0, time: $0.time, json: $0.document) }
    }
}

/// The lines of a file, a pipe or standard input, one after the other as they come.
struct EventLines {
    /// As much as an API server puts into one request.
    private static let lineLimit = 16 << 20

    private let path: String

    init(_ path: String) { self.path = path }

    /// Until the end, or until nobody reads any more what is printed of them.
    func forEach(_ body: ([UInt8], Int) throws -> Void) throws {
        let input = try InputFile(path)
        var rest: [UInt8] = []
        var number = 0
        func take(_ line: some Collection<UInt8>) throws {
            number += 1
            guard line.contains(where: { $0 > 0x20 }) else { return }
            try body(Array(line), number)
        }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while !StandardOutput.isBroken {
            // Not more than is there: a pipe is judged as it comes.
            let count = try input.read(into: &buffer)
            guard count > 0 else { return try take(rest) }
            var start = 0
            while let end = buffer[start..<count].firstIndex(of: UInt8(ascii: "\n")) {
                if rest.isEmpty { try take(buffer[start..<end]) } else { try take(rest + buffer[start..<end]) }
                rest.removeAll(keepingCapacity: true)
                start = end + 1
            }
            rest += buffer[start..<count]
            guard rest.count <= Self.lineLimit else { throw Complaint("\(input.name):\(number + 1): the line is longer than \(Self.lineLimit >> 20) MiB", status: 2) }
        }
    }
}
