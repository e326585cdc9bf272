internal import RiposteCore

/// What the next checkpoint of a journal will say: which journal it is, the checkpoint before, and the tree over all records since.
struct CheckpointTrail: Sendable {
    private(set) var journal: String?
    private(set) var previous: Checkpoint.Position?
    /// The first record under ``frontier``.
    private(set) var from: Int64 = 0
    private(set) var frontier = HashFrontier()
    private(set) var last: Checkpoint.Position?

    /// Records that no checkpoint anchors yet. The last checkpoint itself is none.
    var unanchored: Int64 { max(0, Int64(frontier.count) - (previous == nil ? 0 : 1)) }

    /// A record that was written, in order.
    mutating func take(_ position: Checkpoint.Position) {
        guard let leaf = [UInt8](hexadecimal: position.hash) else { return }
        journal = journal ?? position.hash
        if frontier.count == 0 { from = position.seq }
        frontier.append(leaf)
        last = position
    }

    /// A checkpoint that was written: a record as well, the first of those that the next one stands for.
    mutating func take(_ position: Checkpoint.Position, _ checkpoint: Checkpoint) {
        journal = checkpoint.journal
        previous = position
        frontier = HashFrontier()
        take(position)
    }

    /// Nil where there is nothing new to sign.
    func next(machine: String, at time: Timestamp, key: String) -> Checkpoint? {
        guard unanchored > 0, let journal, let last, let root = frontier.root else { return nil }
        return Checkpoint(journal: journal, machine: machine, record: last, time: time, from: from, root: root.hexadecimal, previous: previous, key: key)
    }
}

extension CheckpointTrail {
    /// How many of the newest segments a start looks through for the last checkpoint.
    private static let segmentLimit = 2

    /// The trail at a journal's end. Of one that was not signed for longer than ``segmentLimit`` segments, the next checkpoint names none before it, and its
    /// tree begins where the search did: through the chain it anchors everything all the same.
    init(files: JournalFiles) throws(JournalError) {
        let segments = files.segments()
        if let first = segments.first, first == 1 {
            var scanner = try SegmentScanner(path: files.segment(first))
            journal = try scanner.next().flatMap(JournalLine.claimedHash)
        }
        for segment in segments.suffix(Self.segmentLimit) {
            var scanner = try SegmentScanner(path: files.segment(segment))
            while let line = try scanner.next() {
                guard let head = JournalLine.head(line), let hash = JournalLine.claimedHash(line) else { continue }
                let position = Checkpoint.Position(seq: head.seq, hash: hash)
                // Only few lines are taken apart: a journal of a hundred megabytes must not hold up a start.
                if head.isCheckpoint, let signed = JournalLine.decode(line).flatMap({ SignedCheckpoint($0.record) }) {
                    take(position, signed.checkpoint)
                } else {
                    take(position)
                }
            }
        }
    }
}
