internal import Foundation
package import RiposteCore

/// Reads a whole journal and says whether every record is as it was written, in its place, and none is missing.
package struct JournalVerifier: Sendable {
    package struct Progress: Sendable {
        package var records: Int
        package var bytes: Int
        package var totalBytes: Int
    }

    package struct Report: Sendable, Equatable {
        package var records = 0
        package var first: Int64?
        package var last: Int64?
        /// The first record that is not as it was written, or the place where one is missing.
        package var broken: Break?
        /// Bytes after the last whole record: a crash in the middle of a write, set aside at the next start.
        package var tornBytes = 0
        /// Files of earlier crashes, and others that do not belong.
        package var remarks: [String] = []
        /// What checkpoints say of it.
        package var anchoring = Anchoring()

        package var isIntact: Bool { broken == nil }
    }

    /// How far signatures vouch for the chain. Its hashes alone do not: who can write the journal can write another one that hangs together as well.
    package struct Anchoring: Sendable, Equatable {
        /// Checkpoints that fit their places.
        package var checkpoints = 0
        /// The fingerprints of the keys that they name.
        package var keys: [String] = []
        /// The last record that is signed with one of the keys that were given.
        package var upTo: Int64?
        /// When that was signed.
        package var time: Timestamp?
    }

    /// What somebody knows from elsewhere.
    package struct Expectation: Sendable {
        /// Signatures of these count, and there must be one.
        package var keys: [VerifyingKey] = []
        /// The journal reaches this record; with ``keys``, anchored.
        package var lastSeq: Int64?
        /// Checkpoints that were kept where the journal's host does not reach.
        package var kept: [SignedCheckpoint] = []

        package init(keys: [VerifyingKey] = [], lastSeq: Int64? = nil, kept: [SignedCheckpoint] = []) {
            self.keys = keys
            self.lastSeq = lastSeq
            self.kept = kept
        }
    }

    package struct Break: Sendable, Equatable {
        package var segment: String
        package var line: Int
        package var seq: Int64
        package var problem: String
    }

    private let files: JournalFiles

    package init(stateDirectory: String) { files = JournalFiles(stateDirectory: stateDirectory) }

    package func verify(_ expectation: Expectation = Expectation(), progress: (Progress) -> Void = { _ in }) throws(JournalError) -> Report {
        var chain = Chain(expectation, root: root)
        var report = try walk(&chain, progress)
        report.anchoring = chain.audit.anchoring
        report.remarks += chain.audit.remarks
        guard report.broken == nil, let problem = chain.missing(expectation) else { return report }
        report.broken = breakAtEnd(chain, problem)
        return report
    }

    /// Of the tree over records in the middle of the journal; nil where they are not all here.
    private func root(_ range: ClosedRange<Int64>) -> String? {
        var frontier = HashFrontier()
        try? JournalReader(files: files).read(from: range.lowerBound) { entry in
            guard entry.seq == range.lowerBound + Int64(frontier.count), let hash = [UInt8](hexadecimal: entry.hash) else { return false }
            frontier.append(hash)
            return entry.seq < range.upperBound
        }
        return frontier.count == range.count ? frontier.root?.hexadecimal : nil
    }

    private func walk(_ chain: inout Chain, _ progress: (Progress) -> Void) throws(JournalError) -> Report {
        var report = Report()
        report.remarks = remarks()
        let segments = files.segments()
        let sizes = segments.map { size(of: files.segment($0)) }
        var done = Progress(records: 0, bytes: 0, totalBytes: sizes.reduce(0, +))
        for (index, segment) in segments.enumerated() {
            let name = String(files.segment(segment).split(separator: "/").last ?? "")
            if index > 0, segment != chain.next {
                let problem = segment > chain.next ? "records \(chain.next) to \(segment - 1) are missing" : "records from \(segment) on stand here a second time"
                report.broken = Break(segment: name, line: 1, seq: chain.next, problem: problem)
                return report
            }
            if index == 0 { chain.begin(at: segment) }
            var scanner = try SegmentScanner(path: files.segment(segment))
            var line = 0
            while let bytes = try scanner.next() {
                line += 1
                if let problem = chain.take(bytes) {
                    report.broken = Break(segment: name, line: line, seq: chain.next, problem: problem)
                    return report
                }
                report.records += 1
                report.first = report.first ?? chain.next - 1
                report.last = chain.next - 1
                done.records += 1
                if done.records % 10_000 == 0 {
                    progress(Progress(records: done.records, bytes: done.bytes + scanner.offset, totalBytes: done.totalBytes))
                }
            }
            done.bytes += sizes[index]
            if index == segments.count - 1, chain.takes(scanner.rest) {
                // It lacks its line's end only: it is being written, or the next start will finish it.
                report.records += 1
                report.first = report.first ?? chain.next - 1
                report.last = chain.next - 1
                continue
            }
            guard scanner.rest.isEmpty || index == segments.count - 1 else {
                report.broken = Break(segment: name, line: line + 1, seq: chain.next, problem: "the segment ends inside a record")
                return report
            }
            report.tornBytes = scanner.rest.count
        }
        progress(done)
        if segments.first.map({ $0 > 1 }) == true {
            report.remarks.append("records before \(segments[0]) are not here; what is here hangs together")
        }
        report.broken = cut(chain)
        if report.records > 0, files.readHead() == nil {
            report.remarks.append("HEAD is not there or cannot be read: whether records are missing at the end cannot be told")
        }
        return report
    }

    /// The head remembers the last record that was on the medium.
    private func cut(_ chain: Chain) -> Break? {
        guard let head = files.readHead() else { return nil }
        let problem: String
        if head.seq >= chain.next {
            problem = "the journal ends here, but record \(head.seq) had been written: its end was cut off"
        } else if head.seq == chain.next - 1, head.hash != chain.hash {
            problem = "the last record is not the one that had been written"
        } else {
            return nil
        }
        return breakAtEnd(chain, problem)
    }

    private func breakAtEnd(_ chain: Chain, _ problem: String) -> Break {
        let segment = files.segments().last
        let name = segment.flatMap { files.segment($0).split(separator: "/").last.map(String.init) } ?? files.directory
        return Break(segment: name, line: Int(chain.next - (segment ?? 1)), seq: chain.next, problem: problem)
    }

    private func remarks() -> [String] {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: files.directory)) ?? []).sorted()
        return names.compactMap { name in
            if name.hasPrefix("torn-") { return "\(name): an unfinished record that was set aside after a crash" }
            let isOurs = name == "HEAD" || name == "journal.lock" || JournalFiles.firstNumber(ofSegment: name) != nil
            return isOurs ? nil : "\(name.escapedForDisplay): does not belong here"
        }
    }

    private func size(of path: String) -> Int {
        ((try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? NSNumber)?.intValue ?? 0
    }

    /// What the next record must say.
    private struct Chain {
        var next: Int64 = 1
        var hash: String? = JournalLine.origin
        var audit: CheckpointAudit
        private var first: Int64?
        private let kept: [Int64: [SignedCheckpoint]]
        private let keptProblem: String?
        private let root: (ClosedRange<Int64>) -> String?

        init(_ expectation: Expectation, root: @escaping (ClosedRange<Int64>) -> String?) {
            audit = CheckpointAudit(keys: expectation.keys)
            kept = Dictionary(grouping: expectation.kept) { $0.checkpoint.record.seq }
            keptProblem = expectation.keys.isEmpty ? nil : expectation.kept.lazy.compactMap { $0.problem(with: expectation.keys) }.first
            self.root = root
        }

        mutating func begin(at seq: Int64) {
            next = seq
            first = seq
            // Of a journal whose beginning was archived the first link is taken as it is.
            hash = seq == 1 ? JournalLine.origin : nil
        }

        /// Whether this, which has no end, is the next record all the same.
        mutating func takes(_ line: [UInt8]) -> Bool {
            var next = self
            guard next.take(line) == nil else { return false }
            self = next
            return true
        }

        /// What is wrong with a line, or nil.
        mutating func take(_ line: [UInt8]) -> String? {
            guard let hashes = JournalLine.hashes(of: line), let entry = JournalLine.decode(line) else { return "this is no record" }
            guard hashes.claimed == hashes.actual else { return "the record was changed after it was written: its hash does not fit" }
            guard entry.seq == next else {
                return entry.seq > next ? "record \(next) is missing; \(entry.seq) stands in its place" : "record \(entry.seq) stands here out of order"
            }
            if let hash, entry.prev != hash { return "the record does not follow the one before it: one of the two was replaced" }
            // The start that found it wrote down that the end was gone; the chain goes on from there as if nothing had been.
            if entry.record.kind == .start, let missing = entry.record.detail["missing_up_to"]?.integer, missing >= next {
                return "records \(next) to \(missing) had been written before this start, which found them gone: the end had been cut off"
            }
            if let kept = kept[entry.seq], kept.contains(where: { $0.checkpoint.record.hash != hashes.actual }) {
                return "the record is not the one that the kept checkpoint signs: the history up to here was rewritten"
            }
            if let problem = audit.take(entry, hash: hashes.actual, root: root) { return problem }
            hash = hashes.actual
            next += 1
            return nil
        }

        /// What the whole lacks, whose parts are all right.
        func missing(_ expectation: Expectation) -> String? {
            let last = next - 1
            if let keptProblem { return "of the kept checkpoint: \(keptProblem)" }
            for checkpoint in expectation.kept.map(\.checkpoint) {
                if checkpoint.record.seq > last {
                    return "the journal ends at record \(last), but the kept checkpoint signs record \(checkpoint.record.seq): its end was cut off"
                }
                if let journal = audit.journal, checkpoint.journal != journal { return "the kept checkpoint is of another journal" }
                if checkpoint.record.seq < first ?? 1 { return "the kept checkpoint signs record \(checkpoint.record.seq), which is not here any more" }
            }
            if let expected = expectation.lastSeq, last < expected { return "the journal ends at record \(last), but record \(expected) is expected: its end was cut off" }
            guard !expectation.keys.isEmpty else { return nil }
            guard let anchored = audit.anchoring.upTo else { return "no checkpoint is in it: nothing proves that this is the journal that was written" }
            guard let expected = expectation.lastSeq, anchored < expected else { return nil }
            return "record \(expected) is expected to be anchored, but the last checkpoint signs record \(anchored)"
        }
    }
}
