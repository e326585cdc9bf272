internal import Foundation
internal import Logging
internal import RiposteCore
internal import RiposteOutputs

/// Keeps the outputs at work equal to `outputs:` of the configuration file: read anew on a change, on SIGHUP and on request, whole or not at all.
final class OutputsKeeper: Sendable {
    private let outputs: Outputs
    private let surroundings: Outputs.Surroundings
    /// Nil: there is none, and no output.
    private let file: String?
    private let watch: FileWatch
    private let ledger: ReloadLedger
    private let onChange: @Sendable (AgentConfiguration.OutputsSection) -> Void

    /// `onChange`: others who go by them, told before they are at work.
    init(
        _ outputs: Outputs, _ surroundings: Outputs.Surroundings, _ file: String?, _ watch: FileWatch, house: EngineHouse, logger: Logger,
        onChange: @escaping @Sendable (AgentConfiguration.OutputsSection) -> Void
    ) {
        self.outputs = outputs
        self.surroundings = surroundings
        self.file = file
        self.watch = watch
        ledger = ReloadLedger("outputs", house: house, logger: logger)
        self.onChange = onChange
    }

    /// Reads the file. What is at work stays so where anything in it is wrong, be it in another section.
    func reload() async -> JSON {
        guard let file else { return status }
        do {
            let change = try await outputs.use {
                var fresh = AgentConfiguration()
                try AgentConfiguration.refuseForeign(file)
                try fresh.read(contentsOf: file)
                let wanted = try fresh.readOutputs(surroundings)
                onChange(fresh.outputs)
                return wanted
            }
            accept(change)
        } catch let problems as Diagnostics {
            ledger.reject(problems)
        } catch {
            ledger.reject(Diagnostics([Diagnostic(code: "C004", file: file, message: "outputs cannot be put to work: \(error)")]))
        }
        return status
    }

    private func accept(_ change: Outputs.Change) {
        ledger.accept()
        guard !change.isEmpty else { return }
        ledger.tell(change.json, ["outputs.added": "\(change.added)", "outputs.changed": "\(change.changed)", "outputs.removed": "\(change.removed)"])
    }

    var reloads: Reloads { ledger.reloads }

    /// Of the file; how each output fares is told by ``Outputs/status``.
    var status: JSON {
        var object: JSONObject = ["names": .array(outputs.names.map(JSON.text)), "since": ledger.since, "paths": .array(watch.paths.map(JSON.text))]
        object.append("rejected", ledger.rejected)
        return .object(object)
    }

    /// Looks for changes until cancelled.
    func keepUp() async throws { try await watch.run { _ = await reload() } }
}

extension Outputs.Change {
    fileprivate var json: JSONObject {
        ["added": .array(added.map(JSON.text)), "changed": .array(changed.map(JSON.text)), "removed": .array(removed.map(JSON.text))]
    }
}
