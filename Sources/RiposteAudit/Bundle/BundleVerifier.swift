internal import RiposteCore

/// Says whether a bundle's records are as the journal had them, and which of them are proved to be from the journal that was signed.
package struct BundleVerifier: Sendable {
    package struct Report: Sendable, Equatable {
        package var records = 0
        package var checkpoints = 0
        /// Records that a checkpoint with a right signature proves; 0 without keys.
        package var anchored = 0
        package var problems: [String] = []
        package var remarks: [String] = []

        package var isIntact: Bool { problems.isEmpty }
    }

    private let path: String
    private let version: String

    /// `version`: of this Riposte, which can make again what the same version made.
    package init(path: String, version: String) {
        self.path = path
        self.version = version
    }

    package func verify(_ keys: [VerifyingKey] = []) throws(BundleError) -> Report {
        let files = try BundleFiles(path: path)
        var report = Report()
        report.remarks = files.strangers.map { "\($0.escapedForDisplay): does not belong here" }
        let records = entries(files, .records, &report)
        let checkpoints = signed(entries(files, .checkpoints, &report), keys, &report)
        let proofs = proofs(files, &report)
        checkOrder(records, &report)
        report.records = records.count
        report.checkpoints = checkpoints.count
        let proved = check(proofs, records, checkpoints, &report)
        if !keys.isEmpty {
            report.anchored = proved.count
            let rest = records.count - proved.count
            if rest > 0 {
                report.problems.append(
                    "\(rest) of \(records.count) records are not proved by a checkpoint: they were put in, or exported before a checkpoint signed them; then export again")
            }
        }
        check(
            files, AuditBundle(header: header(files), records: records, checkpoints: checkpoints.values.sorted { $0.entry.seq < $1.entry.seq }.map(\.entry), proofs: proofs),
            &report)
        return report
    }

    // MARK: - Parts

    private func entries(_ files: BundleFiles, _ file: AuditBundle.File, _ report: inout Report) -> [JournalEntry] {
        files.lines(of: file).enumerated().compactMap { index, line in
            guard let entry = JournalLine.decode(line), let hashes = JournalLine.hashes(of: line) else {
                report.problems.append("\(file.rawValue), line \(index + 1): this is no record")
                return nil
            }
            if hashes.claimed != hashes.actual {
                report.problems.append("\(file.rawValue), line \(index + 1): record \(entry.seq) was changed after it was written: its hash does not fit")
            }
            return entry
        }
    }

    private func checkOrder(_ records: [JournalEntry], _ report: inout Report) {
        for (left, right) in zip(records, records.dropFirst()) {
            if right.seq <= left.seq { report.problems.append("record \(right.seq) stands out of order") }
            if right.seq == left.seq + 1, right.prev != left.hash { report.problems.append("record \(right.seq) does not follow record \(left.seq): one of the two was replaced") }
        }
    }

    private func signed(_ entries: [JournalEntry], _ keys: [VerifyingKey], _ report: inout Report) -> [Int64: (entry: JournalEntry, checkpoint: Checkpoint)] {
        var checkpoints: [Int64: (entry: JournalEntry, checkpoint: Checkpoint)] = [:]
        for entry in entries {
            guard let signed = SignedCheckpoint(entry.record) else {
                report.problems.append("record \(entry.seq) among the checkpoints is none")
                continue
            }
            let record = signed.checkpoint.record
            let problem: String? =
                if !keys.isEmpty, let problem = signed.problem(with: keys) { problem } else if record != Checkpoint.Position(seq: entry.seq - 1, hash: entry.prev) {
                    "it does not sign the record before it"
                } else if let other = checkpoints.values.first, other.checkpoint.journal != signed.checkpoint.journal {
                    "it is of another journal"
                } else if checkpoints[entry.seq] != nil { "it is there twice" } else { nil }
            if let problem { report.problems.append("checkpoint \(entry.seq): \(problem)") } else { checkpoints[entry.seq] = (entry, signed.checkpoint) }
        }
        return checkpoints
    }

    private func proofs(_ files: BundleFiles, _ report: inout Report) -> [AuditBundle.Proof] {
        files.lines(of: .proof).enumerated().compactMap { index, line in
            if let proof = (try? JSON(parsing: line)).flatMap(AuditBundle.Proof.init(json:)) { return proof }
            report.problems.append("\(AuditBundle.File.proof.rawValue), line \(index + 1): this is no proof")
            return nil
        }
    }

    /// The records that are proved.
    private func check(
        _ proofs: [AuditBundle.Proof], _ records: [JournalEntry], _ checkpoints: [Int64: (entry: JournalEntry, checkpoint: Checkpoint)], _ report: inout Report
    ) -> Set<Int64> {
        let known = Dictionary(records.map { ($0.seq, $0) }) { first, _ in first }
        var proved: Set<Int64> = []
        for proof in proofs {
            guard let record = known[proof.seq], let actual = JournalLine.hashes(of: record.line)?.actual, let leaf = [UInt8](hexadecimal: actual) else {
                report.problems.append("the proof of record \(proof.seq) is of no record here")
                continue
            }
            guard let checkpoint = checkpoints[proof.checkpoint]?.checkpoint else {
                report.problems.append("the proof of record \(proof.seq) names checkpoint \(proof.checkpoint), which is not here or not right")
                continue
            }
            guard checkpoint.from <= proof.seq, proof.seq <= checkpoint.record.seq, HashTree.root(from: leaf, along: proof.path).hexadecimal == checkpoint.root else {
                report.problems.append("record \(proof.seq) is not among those that checkpoint \(proof.checkpoint) signs")
                continue
            }
            proved.insert(proof.seq)
        }
        return proved
    }

    // MARK: - What follows from the records

    private func header(_ files: BundleFiles) -> AuditBundle.Header? { (try? JSON(parsing: files.bytes(of: .summary))).flatMap(AuditBundle.Header.init(json:)) }

    private func check(_ files: BundleFiles, _ bundle: AuditBundle?, _ report: inout Report) {
        guard let bundle else {
            report.problems.append("\(AuditBundle.File.summary.rawValue) is no summary of a bundle")
            return
        }
        guard bundle.header.version == version else {
            report.remarks.append(
                "summary and report were made by Riposte \(bundle.header.version.escapedForDisplay), this is \(version): whether they say what the records say was not looked at")
            return
        }
        for file in [AuditBundle.File.summary, .report] where files.bytes(of: file) != bundle.bytes(of: file) {
            report.problems.append("\(file.rawValue) does not say what the records say: it was changed")
        }
    }
}

extension AuditBundle {
    fileprivate init?(header: Header?, records: [JournalEntry], checkpoints: [JournalEntry], proofs: [Proof]) {
        guard let header else { return nil }
        self.init(header: header, records: records, checkpoints: checkpoints, proofs: proofs)
    }
}
