internal import RiposteCore

/// Who signs, and where.
package struct CheckpointSigner: Sendable {
    let machine: String
    let fingerprint: String
    private let key: SigningKey

    /// `machine`: the host's `/etc/machine-id`.
    package init(key: SigningKey, machine: String) {
        self.key = key
        fingerprint = key.verifyingKey.fingerprint
        // It becomes one word of a signed line.
        let isWord = !machine.isEmpty && machine.utf8.allSatisfy { 0x21...0x7E ~= $0 }
        self.machine = isWord ? machine : "unknown"
    }

    func sign(_ checkpoint: Checkpoint) throws(JournalError) -> SignedCheckpoint {
        do throws(KeyError) { return try SignedCheckpoint(checkpoint, signedWith: key) } catch { throw JournalError(.failed, error.message) }
    }
}

/// When a checkpoint is due: each `every`, and after `records` where that is sooner. A value: the clock is the caller's.
package struct CheckpointSchedule: Sendable {
    /// As many as are lost to a thief of the journal's end in a busy minute, not more.
    package static let recordLimit: Int64 = 1000

    private let every: Duration
    private let records: Int64
    private var last: ContinuousClock.Instant?
    /// How many were left over by the last attempt: one that failed is not repeated at once.
    private var leftOver: Int64 = 0

    package init(every: Duration, records: Int64 = recordLimit) {
        self.every = every
        self.records = records
    }

    package func isDue(unanchored: Int64, at now: ContinuousClock.Instant) -> Bool {
        guard unanchored > 0 else { return false }
        guard let last else { return true }
        return now - last >= every || unanchored - leftOver >= records
    }

    /// It was tried; `unanchored` is what remains.
    package mutating func attempted(at now: ContinuousClock.Instant, unanchored: Int64) {
        last = now
        leftOver = unanchored
    }
}
