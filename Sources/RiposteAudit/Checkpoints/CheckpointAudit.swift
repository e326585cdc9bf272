internal import RiposteCore

/// Follows the checkpoints of a chain that holds so far, and says which of them does not fit it.
struct CheckpointAudit {
    /// Whose signatures count; none: places and hashes are checked all the same.
    private let keys: [VerifyingKey]
    private(set) var anchoring = JournalVerifier.Anchoring()
    private(set) var remarks: [String] = []
    private var trail = CheckpointTrail()
    private var first: Checkpoint.Position?
    private var last: Checkpoint?

    init(keys: [VerifyingKey]) { self.keys = keys }

    /// The hash of the first record: what checkpoints call the journal, or nil where its beginning is not here and no checkpoint told.
    var journal: String? { first?.seq == 1 ? first?.hash : last?.journal }

    /// Takes a record whose place in the chain is right. `root` gives the tree's root over a range of earlier records, where it can be had; it is asked
    /// only where a checkpoint's range does not begin at the checkpoint before. Gives what is wrong, or nil.
    mutating func take(_ entry: JournalEntry, hash: String, root: (ClosedRange<Int64>) -> String?) -> String? {
        let position = Checkpoint.Position(seq: entry.seq, hash: hash)
        first = first ?? position
        guard entry.record.kind == .checkpoint else {
            trail.take(position)
            return nil
        }
        guard let signed = SignedCheckpoint(entry.record) else { return "the checkpoint cannot be read" }
        let checkpoint = signed.checkpoint
        if let problem = problem(of: signed, in: entry, root) { return problem }
        anchoring.checkpoints += 1
        if !anchoring.keys.contains(checkpoint.key) { anchoring.keys.append(checkpoint.key) }
        if !keys.isEmpty {
            anchoring.upTo = checkpoint.record.seq
            anchoring.time = checkpoint.time
        }
        remark(on: checkpoint, at: entry.seq)
        trail.take(position, checkpoint)
        last = checkpoint
        return nil
    }

    private func problem(of signed: SignedCheckpoint, in entry: JournalEntry, _ root: (ClosedRange<Int64>) -> String?) -> String? {
        let checkpoint = signed.checkpoint
        if !keys.isEmpty, let problem = signed.problem(with: keys) { return problem }
        guard checkpoint.record.seq == entry.seq - 1 else {
            return "the checkpoint stands in another place than where it was written: it signs record \(checkpoint.record.seq), not the one before it"
        }
        guard checkpoint.record.hash == entry.prev else {
            return "record \(checkpoint.record.seq) is not the one that was signed: the history before this checkpoint was rewritten"
        }
        if let journal, checkpoint.journal != journal { return "the checkpoint is of another journal: the first record is not the one that was signed" }
        if let known = trail.previous, let named = checkpoint.previous, named != known {
            return "the checkpoint follows checkpoint \(named.seq), but the one before it here is \(known.seq): one was taken out or put in"
        }
        if trail.previous == nil, first?.seq == 1, let named = checkpoint.previous { return "the checkpoint follows checkpoint \(named.seq), which is not here" }
        guard checkpoint.from > 0, checkpoint.from <= checkpoint.record.seq else { return "the checkpoint's range ends before it begins" }
        let found = checkpoint.from == trail.from ? trail.frontier.root?.hexadecimal : root(checkpoint.from...checkpoint.record.seq)
        if let found, found != checkpoint.root { return "the checkpoint's root is not that of records \(checkpoint.from) to \(checkpoint.record.seq)" }
        return nil
    }

    private mutating func remark(on checkpoint: Checkpoint, at seq: Int64) {
        if checkpoint.previous == nil, let known = trail.previous { remarks.append("checkpoint \(seq) does not name the one before it, \(known.seq)") }
        guard let last else { return }
        if checkpoint.machine != last.machine { remarks.append("from checkpoint \(seq) on the journal is of another machine, \(checkpoint.machine.escapedForDisplay)") }
        if checkpoint.time < last.time { remarks.append("checkpoint \(seq) says an earlier time than the one before it: the clock was set back") }
    }
}
