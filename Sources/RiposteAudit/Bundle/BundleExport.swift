package import RiposteCore

/// Takes a bundle out of a journal.
package struct BundleExport: Sendable {
    /// A bundle is held in memory and read by people; who wants more wants a copy of the journal.
    package static let recordLimit = 100_000
    /// Between two checkpoints; of a journal that was not signed for longer, the next checkpoint proves no single records.
    private static let leafLimit = 1 << 20

    private let reader: JournalReader
    private let version: String

    package init(stateDirectory: String, version: String) {
        reader = JournalReader(stateDirectory: stateDirectory)
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
        var leaves: [HashTree.Hash] = []
        var start: Int64?
        var checkpoints: [JournalEntry] = []
        var proofs: [AuditBundle.Proof] = []
        // Read from the beginning: a checkpoint's range may begin long before the first record that is wanted.
        try reader.read { entry in
            if let signed = SignedCheckpoint(entry.record) {
                let found = Self.proofs(of: wanted, by: signed.checkpoint, at: entry.seq, leaves, from: start)
                if !found.isEmpty {
                    checkpoints.append(entry)
                    proofs += found
                }
                (leaves, start) = ([], nil)
                // Signed up to here: what comes later proves nothing that is wanted.
                if signed.checkpoint.record.seq >= last { return false }
            }
            guard leaves.count < Self.leafLimit, let hash = [UInt8](hexadecimal: entry.hash) else {
                (leaves, start) = ([], nil)
                return true
            }
            if let begin = start, begin + Int64(leaves.count) != entry.seq { (leaves, start) = ([], nil) }
            start = start ?? entry.seq
            leaves.append(hash)
            return true
        }
        return (checkpoints, proofs)
    }

    private static func proofs(of wanted: [Int64], by checkpoint: Checkpoint, at seq: Int64, _ leaves: [HashTree.Hash], from start: Int64?) -> [AuditBundle.Proof] {
        guard let start, checkpoint.from >= start, checkpoint.record.seq == start + Int64(leaves.count) - 1, checkpoint.from <= checkpoint.record.seq else { return [] }
        let range = checkpoint.from...checkpoint.record.seq
        let proved = wanted.filter { range.contains($0) }
        guard !proved.isEmpty else { return [] }
        let levels = HashTree.levels(over: Array(leaves.dropFirst(Int(checkpoint.from - start))))
        return proved.map { AuditBundle.Proof(seq: $0, checkpoint: seq, path: HashTree.path(to: Int($0 - checkpoint.from), in: levels)) }
    }
}
