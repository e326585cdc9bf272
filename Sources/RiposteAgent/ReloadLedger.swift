internal import Logging
internal import RiposteAudit
internal import RiposteCore
internal import Synchronization

/// What came of reading files of one kind anew: counted, written into journal and log, and shown by the status. What is rejected is told once, however often it is read.
final class ReloadLedger: Sendable {
    private struct State {
        var since = Timestamp.now()
        var rejected: (at: Timestamp, problems: Diagnostics)?
        var reloads = Reloads()
    }

    /// Of what is wrong with files no more is written down: one wrong macro can be wrong in a thousand places.
    private static let toldProblems = 20

    private let subject: String
    private let house: EngineHouse
    private let logger: Logger
    private let state = Mutex(State())

    /// `subject`: what the files hold, as messages call it.
    init(_ subject: String, house: EngineHouse, logger: Logger) {
        self.subject = subject
        self.house = house
        self.logger = logger
    }

    var reloads: Reloads { state.withLock(\.reloads) }

    /// How long what is in force has been so.
    var since: JSON { .text("\(state.withLock(\.since))") }

    /// Why the files as they are now are not in force; nil where they are.
    var rejected: JSON? {
        state.withLock(\.rejected).map { rejected in
            var object: JSONObject = ["since": .text("\(rejected.at)")]
            object.members += Self.told(rejected.problems).members
            return .object(object)
        }
    }

    /// Nothing was wrong with any of them.
    func accept() {
        state.withLock { state in
            state.rejected = nil
            state.reloads.note(isRejected: false)
        }
    }

    /// Something else than before is in force from now on. `problem`: for whom it is not.
    func tell(_ detail: JSONObject, _ metadata: Logger.Metadata, problem: String? = nil) {
        state.withLock { $0.since = .now() }
        record("\(subject) are in force" + (problem.map { "; \($0)" } ?? ""), detail, outcome: problem == nil ? .done : .failed)
        logger.info("\(subject) are in force", metadata: metadata)
    }

    func reject(_ problems: Diagnostics) {
        let isNew = state.withLock { state in
            defer {
                state.rejected = (.now(), problems)
                state.reloads.note(isRejected: true)
            }
            return state.rejected?.problems != problems
        }
        guard isNew else { return }
        record("\(subject) were rejected; those before stay in force", Self.told(problems), outcome: .refused)
        logger.error("\(subject) rejected", metadata: ["problems": "\(problems.entries.count)", "first": "\(problems.entries.first?.rendered.escapedForDisplay ?? "")"])
    }

    private static func told(_ problems: Diagnostics) -> JSONObject {
        ["count": .integer(Int64(problems.entries.count)), "problems": .array(problems.entries.prefix(toldProblems).map(\.json))]
    }

    private func record(_ message: String, _ detail: JSONObject, outcome: Outcome) {
        var record = AuditRecord(.config, at: .now(), detail: detail)
        record.message = message
        record.outcome = outcome
        do { try house.journal.append(record) } catch { logger.error("change of \(subject) is not on record", metadata: ["error": "\(error)"]) }
    }
}
