package import RiposteCore

/// Takes a bundle out of a journal.
package struct BundleExport: Sendable {
    /// A bundle is held in memory and read by people; who wants more wants a copy of the journal.
    package static let recordLimit = 100_000
    private let reader: JournalReader
    private let files: JournalFiles
    private let version: String

    package init(stateDirectory: String, version: String) {
        reader = JournalReader(stateDirectory: stateDirectory)
        files = JournalFiles(stateDirectory: stateDirectory)
        self.version = version
    }

    package func bundle(_ seed: BundleSelection.Seed, at time: Timestamp = .now()) throws -> AuditBundle {
        let records = try select(seed)
        guard !records.isEmpty else { throw BundleError("no record in the journal fits", isMissing: true) }
        let (checkpoints, proofs) = try prove(records)
        return AuditBundle(header: AuditBundle.Header(version: version, time: time, seed: seed), records: records, checkpoints: checkpoints, proofs: proofs)
    }

    /// Reads until nothing new turns up: an undo points back to what it undoes, and that to its alert.
    private func select(_ seed: BundleSelection.Seed) throws -> [JournalEntry] {
        var selection = BundleSelection(seed)
        var records: [JournalEntry] = []
        var reach = -1
        while reach != selection.reach {
            reach = selection.reach
            records = []
            try reader.read { entry in
                guard selection.take(entry.record) else { return true }
                guard records.count < Self.recordLimit else { throw BundleError("more than \(Self.recordLimit) records fit: ask for less time") }
                records.append(entry)
                return true
            }
        }
        return records
    }

    private func prove(_ records: [JournalEntry]) throws -> ([JournalEntry], [AuditBundle.Proof]) {
        let wanted = records.map(\.seq)
        guard let last = wanted.last else { return ([], []) }
        var collection = ProofCollection(wanted)
        // From the beginning: a checkpoint's range may begin long before the first record that is wanted. Only checkpoints are taken apart.
        for segment in files.segments() {
            var scanner = try SegmentScanner(path: files.segment(segment))
            while let line = try scanner.next() {
                guard let head = JournalLine.head(line), let hash = JournalLine.claimedHash(line).flatMap({ [UInt8](hexadecimal: $0) }) else { continue }
                if head.isCheckpoint, let entry = JournalLine.decode(line), let signed = SignedCheckpoint(entry.record) { collection.take(entry, signed.checkpoint) }
                guard collection.signed < last else { return (collection.checkpoints, collection.proofs) }
                collection.take(head.seq, hash)
            }
        }
        return (collection.checkpoints, collection.proofs)
    }
}

/// Gathers the hashes between two checkpoints, and what they prove.
private struct ProofCollection {
    /// Of a journal that was not signed for longer, the next checkpoint proves no single records.
    private static let leafLimit = 1 << 20

    private(set) var checkpoints: [JournalEntry] = []
    private(set) var proofs: [AuditBundle.Proof] = []
    /// The last record that a checkpoint signs.
    private(set) var signed: Int64 = 0
    /// Ascending; those before were asked for already.
    private var wanted: ArraySlice<Int64>
    private var leaves: [HashTree.Hash] = []
    private var start: Int64 = 0

    init(_ wanted: [Int64]) { self.wanted = wanted[...] }

    mutating func take(_ seq: Int64, _ hash: HashTree.Hash) {
        // After a gap, or where it becomes too much, begin anew.
        if leaves.count >= Self.leafLimit || seq != start + Int64(leaves.count) { leaves = [] }
        if leaves.isEmpty { start = seq }
        leaves.append(hash)
    }

    mutating func take(_ entry: JournalEntry, _ checkpoint: Checkpoint) {
        signed = checkpoint.record.seq
        let found = proofs(by: checkpoint, at: entry.seq)
        wanted = wanted.drop { $0 <= checkpoint.record.seq }
        leaves = []
        guard !found.isEmpty else { return }
        checkpoints.append(entry)
        proofs += found
    }

    private func proofs(by checkpoint: Checkpoint, at seq: Int64) -> [AuditBundle.Proof] {
        guard checkpoint.from >= start, checkpoint.from <= signed, signed == start + Int64(leaves.count) - 1 else { return [] }
        let proved = wanted.drop { $0 < checkpoint.from }.prefix { $0 <= signed }
        guard !proved.isEmpty else { return [] }
        let levels = HashTree.levels(over: Array(leaves.dropFirst(Int(checkpoint.from - start))))
        return proved.map { AuditBundle.Proof(seq: $0, checkpoint: seq, path: HashTree.path(to: Int($0 - checkpoint.from), in: levels)) }
    }
}
