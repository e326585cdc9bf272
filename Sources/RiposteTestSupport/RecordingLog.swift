package import RiposteCore
internal import Synchronization

/// A journal in memory, which can be told to refuse.
package final class RecordingLog: AuditLog {
    package struct Refused: Error {}

    private let state = Mutex<(records: [AuditRecord], refuses: Set<AuditRecord.Kind>)>(([], []))

    package init() {}

    package func append(_ record: AuditRecord) throws {
        let isRefused = state.withLock { state in
            guard !state.refuses.contains(record.kind) else { return true }
            state.records.append(record)
            return false
        }
        if isRefused { throw Refused() }
    }

    package var records: [AuditRecord] { state.withLock(\.records) }

    package func refuse(_ kinds: Set<AuditRecord.Kind>) { state.withLock { $0.refuses = kinds } }
}
