internal import Logging
internal import RiposteCore
internal import RipostePlaybooks
internal import Synchronization

/// Keeps the playbooks in force equal to their files: read anew on a change, on SIGHUP and on request, whole or not at all.
package final class PlaybookKeeper: Sendable {
    private struct State {
        var digest: String
        var count: Int
    }

    private let watch: FileWatch
    private let house: EngineHouse
    private let ledger: ReloadLedger
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
        ledger = ReloadLedger("playbooks", house: house, logger: logger)
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
                defer { (state.digest, state.count) = (set.digest, set.playbooks.count) }
                return state.digest != set.digest
            }
            ledger.accept()
            guard isNew else { return }
            house.engine.use(set)
            onChange()
            degraded.tell(house)
            ledger.tell(
                ["playbooks": .text(set.digest), "count": .integer(Int64(set.playbooks.count))],
                ["playbooks.count": "\(set.playbooks.count)", "playbooks.digest": "\(set.digest.prefix(12))"])
        } catch {
            ledger.reject(error)
        }
    }

    var reloads: Reloads { ledger.reloads }

    var status: JSON {
        let (digest, count) = state.withLock { ($0.digest, $0.count) }
        var object: JSONObject = [
            "count": .integer(Int64(count)), "digest": .text(digest), "since": ledger.since, "paths": .array(watch.paths.map(JSON.text)),
        ]
        let degradations = degraded.degradations(of: house)
        if !degradations.isEmpty { object.append("degraded", .array(degradations.map(\.json))) }
        object.append("rejected", ledger.rejected)
        return .object(object)
    }

    /// Looks for changes until cancelled.
    func keepUp() async throws { try await watch.run { _ = reload() } }
}
