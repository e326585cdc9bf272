package import RiposteCore

/// Why a bundle was not made or cannot be read.
package struct BundleError: Error, Equatable, Sendable, CustomStringConvertible {
    package let message: String
    /// There is nothing of the kind that was asked for.
    package let isMissing: Bool

    package init(_ message: String, isMissing: Bool = false) {
        self.message = message
        self.isMissing = isMissing
    }

    package var description: String { message }
}

/// Some records of a journal with what proves that they are from it: everything that a post-mortem needs, in five files.
///
/// The records of a chain are proved by a ``HashTree`` and not by the hashes of those left out: a record's hash covers its whole line, so a gap in the
/// chain can only be bridged by all the lines in it, which are somebody else's. A path of a few hashes to the root that a checkpoint signs shows nothing of them.
package struct AuditBundle: Sendable {
    /// Who made it, when, and what was asked for: the only things in it that do not follow from the records.
    package struct Header: Sendable, Equatable {
        package var version: String
        package var time: Timestamp
        package var seed: BundleSelection.Seed

        package init(version: String, time: Timestamp, seed: BundleSelection.Seed) {
            self.version = version
            self.time = time
            self.seed = seed
        }
    }

    /// That a record is one of those that a checkpoint signs.
    struct Proof: Sendable, Equatable {
        var seq: Int64
        /// The checkpoint's own record.
        var checkpoint: Int64
        var path: [HashTree.Step]
    }

    package let header: Header
    package let records: [JournalEntry]
    let checkpoints: [JournalEntry]
    let proofs: [Proof]

    static let format = "riposte-bundle-v1"

    enum File: String, CaseIterable {
        case records = "records.jsonl"
        case checkpoints = "checkpoints.jsonl"
        case proof = "proof.jsonl"
        case summary = "summary.json"
        case report = "report.html"
    }

    /// In the order in which they are written.
    var files: [(name: String, bytes: [UInt8])] { File.allCases.map { ($0.rawValue, bytes(of: $0)) } }

    func bytes(of file: File) -> [UInt8] {
        switch file {
        case .records: Self.lines(records.map(\.line))
        case .checkpoints: Self.lines(checkpoints.map(\.line))
        case .proof: Self.lines(proofs.map { $0.json.bytes })
        case .summary: BundleSummary(self).json.bytes + [UInt8(ascii: "\n")]
        case .report: Array(ReportPage(self).html.utf8)
        }
    }

    private static func lines(_ lines: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(lines.reduce(0) { $0 + $1.count + 1 })
        for line in lines {
            bytes += line
            bytes.append(UInt8(ascii: "\n"))
        }
        return bytes
    }

    /// How many records a checkpoint signs, whoever signed it.
    package var provedCount: Int { Set(proofs.map(\.seq)).count }

    /// Records that are not as they were written.
    package var damaged: [Int64] {
        records.filter { entry in
            let hashes = JournalLine.hashes(of: entry.line)
            return hashes == nil || hashes?.claimed != hashes?.actual
        }.map(\.seq)
    }
}

extension AuditBundle.Header {
    init?(json: JSON) {
        guard json["format"]?.string?.valid == AuditBundle.format, let version = json["riposte"]?.string?.valid,
            let time = json["made_at"]?.string.flatMap({ Timestamp($0.bytes) }),
            let seed = json["selection"].flatMap(BundleSelection.Seed.init(json:))
        else { return nil }
        self.init(version: version, time: time, seed: seed)
    }
}

extension AuditBundle.Proof {
    private static let longestPath = 64

    var json: JSON {
        [
            "seq": .integer(seq), "checkpoint": .integer(checkpoint),
            "path": .array(path.map { .object([$0.isLeft ? "left" : "right": .text($0.hash.hexadecimal)]) }),
        ]
    }

    init?(json: JSON) {
        guard let seq = json["seq"]?.integer, let checkpoint = json["checkpoint"]?.integer, let steps = json["path"]?.array, steps.count <= Self.longestPath else { return nil }
        let path = steps.compactMap { step -> HashTree.Step? in
            let left = step["left"]?.string?.valid.flatMap { [UInt8](hexadecimal: $0) }
            let right = step["right"]?.string?.valid.flatMap { [UInt8](hexadecimal: $0) }
            guard (left == nil) != (right == nil), let hash = left ?? right, hash.count == 32 else { return nil }
            return HashTree.Step(isLeft: left != nil, hash: hash)
        }
        guard path.count == steps.count else { return nil }
        self.init(seq: seq, checkpoint: checkpoint, path: path)
    }
}
