internal import Foundation
internal import Logging
internal import RiposteAudit
internal import RiposteCore
internal import RiposteOutputs
internal import Synchronization

/// Keeps the outputs at work equal to `outputs:` of the configuration file: read anew on a change, on SIGHUP and on request, whole or not at all.
final class OutputsKeeper: Sendable {
    private struct State {
        var since = Timestamp.now()
        var rejected: (at: Timestamp, problems: Diagnostics)?
        var reloads = Reloads()
    }

    private let outputs: Outputs
    private let surroundings: Outputs.Surroundings
    /// Nil: there is none, and no output.
    private let file: String?
    private let watch: FileWatch
    private let house: EngineHouse
    private let logger: Logger
    private let state = Mutex(State())
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
        self.house = house
        self.logger = logger
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
            reject(problems)
        } catch {
            reject(Diagnostics([Diagnostic(code: "C004", file: file, message: "outputs cannot be put to work: \(error)")]))
        }
        return status
    }

    private func accept(_ change: Outputs.Change) {
        state.withLock { state in
            if !change.isEmpty { state.since = .now() }
            state.rejected = nil
            state.reloads.note(isRejected: false)
        }
        guard !change.isEmpty else { return }
        record("outputs are in force", change.json, outcome: .done)
        logger.info(
            "outputs are in force",
            metadata: ["outputs.added": "\(change.added)", "outputs.changed": "\(change.changed)", "outputs.removed": "\(change.removed)"])
    }

    private func reject(_ problems: Diagnostics) {
        let isNew = state.withLock { state in
            defer {
                state.rejected = (.now(), problems)
                state.reloads.note(isRejected: true)
            }
            return state.rejected?.problems != problems
        }
        guard isNew else { return }
        record("outputs were rejected; those before stay in force", ["problems": .array(problems.entries.map(\.json))], outcome: .refused)
        logger.error("outputs rejected", metadata: ["problems": "\(problems.entries.count)", "first": "\(problems.entries.first?.rendered.escapedForDisplay ?? "")"])
    }

    private func record(_ message: String, _ detail: JSONObject, outcome: Outcome) {
        var record = AuditRecord(.config, at: .now(), detail: detail)
        record.message = message
        record.outcome = outcome
        do { try house.journal.append(record) } catch { logger.error("change of outputs is not on record", metadata: ["error": "\(error)"]) }
    }

    var reloads: Reloads { state.withLock(\.reloads) }

    /// Of the file; how each output fares is told by ``Outputs/status``.
    var status: JSON {
        state.withLock { state in
            var object: JSONObject = ["names": .array(outputs.names.map(JSON.text)), "since": .text("\(state.since)"), "paths": .array(watch.paths.map(JSON.text))]
            if let rejected = state.rejected {
                object.append("rejected", ["since": .text("\(rejected.at)"), "problems": .array(rejected.problems.entries.map(\.json))])
            }
            return .object(object)
        }
    }

    /// Looks for changes until cancelled.
    func keepUp() async throws { try await watch.run { _ = await reload() } }
}

extension Outputs.Change {
    fileprivate var json: JSONObject {
        ["added": .array(added.map(JSON.text)), "changed": .array(changed.map(JSON.text)), "removed": .array(removed.map(JSON.text))]
    }
}
