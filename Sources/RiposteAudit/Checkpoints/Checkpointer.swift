package import Logging
package import RiposteCore
internal import Synchronization

/// Signs a journal while it grows. What cannot be signed is told and counted, and the journal goes on: an engine that waits for its notary is no guard.
package final class Checkpointer: Sendable {
    private struct Interior {
        var schedule: CheckpointSchedule
        var written = 0
        var failures = 0
        var last: (seq: Int64, time: Timestamp)?
    }

    private let journal: Journal
    private let logger: Logger
    private let interior: Mutex<Interior>

    package init(_ journal: Journal, every: Duration, logger: Logger) {
        self.journal = journal
        self.logger = logger
        interior = Mutex(Interior(schedule: CheckpointSchedule(every: every)))
    }

    /// To be called every second or so.
    package func writeIfDue(at now: ContinuousClock.Instant = .now) {
        let unanchored = journal.unanchored
        if interior.withLock({ $0.schedule.isDue(unanchored: unanchored, at: now) }) { write(at: now) }
    }

    /// Signs what there is to sign.
    package func write(at now: ContinuousClock.Instant = .now) {
        do throws(JournalError) {
            let written = try journal.writeCheckpoint()
            note(written?.signed.checkpoint, at: now)
            guard let written else { return }
            // In full: whoever collects logs on another machine keeps with them what the end of this journal must fit.
            logger.info(
                "journal anchored",
                metadata: [
                    "audit.checkpoint": "\(written.seq)", "audit.seq": "\(written.signed.checkpoint.record.seq)", "audit.hash": "\(written.signed.checkpoint.record.hash)",
                    "audit.signed": "\(written.signed.json.line)",
                ])
        } catch {
            note(nil, hasFailed: true, at: now)
            logger.error("checkpoint not written; the journal goes on without it", metadata: ["error": "\(error)", "audit.unanchored": "\(journal.unanchored)"])
        }
    }

    private func note(_ checkpoint: Checkpoint?, hasFailed: Bool = false, at now: ContinuousClock.Instant) {
        let unanchored = journal.unanchored
        interior.withLock { interior in
            interior.schedule.attempted(at: now, unanchored: unanchored)
            if hasFailed { interior.failures += 1 }
            guard let checkpoint else { return }
            interior.written += 1
            interior.last = (checkpoint.record.seq, checkpoint.time)
        }
    }

    /// Since the start, and when the last one was written.
    package var counts: (written: Int, failures: Int, last: Timestamp?) { interior.withLock { ($0.written, $0.failures, $0.last?.time) } }

    /// For `riposte status`.
    package var status: JSON {
        let (written, failures, last) = interior.withLock { ($0.written, $0.failures, $0.last) }
        var object: JSONObject = ["written": .integer(Int64(written)), "failures": .integer(Int64(failures)), "unanchored": .integer(journal.unanchored)]
        object.append("anchored_to", last.map { .integer($0.seq) })
        object.append("time", last.map { .text("\($0.time)") })
        return .object(object)
    }
}
