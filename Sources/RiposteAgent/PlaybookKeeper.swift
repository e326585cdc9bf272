internal import Logging
internal import RiposteAudit
internal import RiposteCore
internal import RipostePlaybooks
internal import Synchronization

/// Keeps the playbooks in force equal to their files: read anew on a change, on SIGHUP and on request, whole or not at all.
package final class PlaybookKeeper: Sendable {
    private struct State {
        var digest: String
        var count: Int
        var since = Timestamp.now()
        var rejected: (at: Timestamp, problems: Diagnostics)?
        var reloads = Reloads()
    }

    private let watch: FileWatch
    private let house: EngineHouse
    private let logger: Logger
    private let state: Mutex<State>
    /// One reload after the other, so that what was read last is what is in force last.
    private let turn = Mutex(())
    let degraded: DegradedPlaybooks

    /// Others who go by them.
    private let onChange: @Sendable () -> Void

    init(_ watch: FileWatch, house: EngineHouse, degraded: DegradedPlaybooks, logger: Logger, onChange: @escaping @Sendable () -> Void) {
        self.onChange = onChange
        self.watch = watch
        self.house = house
        self.degraded = degraded
        self.logger = logger
        state = Mutex(State(digest: house.engine.playbooks.digest, count: house.engine.playbooks.playbooks.count))
    }

    /// Reads the files. What is in force stays in force where any of them has an error.
    func reload() -> JSON {
        turn.withLock { _ in readAnew() }
        return status
    }

    private func readAnew() {
        do throws(Diagnostics) {
            let (set, _) = try PlaybookSet.load(paths: watch.paths, house.facilities.catalogue)
            let unmet = degraded.unmet(set)
            if !unmet.isEmpty { throw Diagnostics(unmet) }
            let isNew = state.withLock { state in
                defer {
                    if state.digest != set.digest { state.since = .now() }
                    (state.digest, state.count, state.rejected) = (set.digest, set.playbooks.count, nil)
                    state.reloads.note(isRejected: false)
                }
                return state.digest != set.digest
            }
            guard isNew else { return }
            house.engine.use(set)
            onChange()
            degraded.tell(house)
            record("playbooks are in force", ["playbooks": .text(set.digest), "count": .integer(Int64(set.playbooks.count))], outcome: .done)
            logger.info("playbooks are in force", metadata: ["playbooks.count": "\(set.playbooks.count)", "playbooks.digest": "\(set.digest.prefix(12))"])
        } catch {
            let isNew = state.withLock { state in
                defer {
                    state.rejected = (.now(), error)
                    state.reloads.note(isRejected: true)
                }
                return state.rejected?.problems != error
            }
            guard isNew else { return }
            record("playbooks were rejected; those before stay in force", ["problems": .array(error.entries.map(\.json))], outcome: .refused)
            logger.error("playbooks rejected", metadata: ["problems": "\(error.entries.count)", "first": "\(error.entries.first?.rendered.escapedForDisplay ?? "")"])
        }
    }

    private func record(_ message: String, _ detail: JSONObject, outcome: Outcome) {
        var record = AuditRecord(.config, at: .now(), detail: detail)
        record.message = message
        record.outcome = outcome
        do { try house.journal.append(record) } catch { logger.error("change of playbooks is not on record", metadata: ["error": "\(error)"]) }
    }

    var reloads: Reloads { state.withLock(\.reloads) }

    var status: JSON {
        state.withLock { state in
            var object: JSONObject = [
                "count": .integer(Int64(state.count)), "digest": .text(state.digest), "since": .text("\(state.since)"),
                "paths": .array(watch.paths.map(JSON.text)),
            ]
            let degradations = degraded.degradations(of: house)
            if !degradations.isEmpty { object.append("degraded", .array(degradations.map(\.json))) }
            if let rejected = state.rejected {
                object.append("rejected", ["since": .text("\(rejected.at)"), "problems": .array(rejected.problems.entries.map(\.json))])
            }
            return .object(object)
        }
    }

    /// Looks for changes until cancelled.
    func keepUp() async throws { try await watch.run { _ = reload() } }
}
