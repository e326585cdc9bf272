import Foundation
import Logging
@testable import RiposteAudit
import RiposteCore
import RiposteTestSupport
import Testing

/// A journal with a key, in a folder of its own, and the ways in which somebody without the key may tamper with it.
struct SignedJournal {
    let folder: TemporaryFolder
    let key = SigningKey()
    var segmentBytes = 64 << 20

    init() throws { folder = try TemporaryFolder() }

    static func record(_ text: String) -> AuditRecord {
        var record = AuditRecord(.outcome, at: .now(), id: .new(), detail: ["text": .text(text)])
        record.action = "process.kill"
        record.outcome = .done
        return record
    }

    func open(signed: Bool = true, disk: any JournalDisk = FileDisk()) throws -> Journal {
        let signer = signed ? CheckpointSigner(key: key, machine: "0123456789abcdef0123456789abcdef") : nil
        return try Journal(
            stateDirectory: folder.path, configuration: .init(segmentBytes: segmentBytes, signer: signer), disk: disk,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// `3, 2`: three records, a checkpoint, two more, a checkpoint. A `0` is a checkpoint that has nothing to sign.
    @discardableResult
    func write(_ counts: Int..., andLoose loose: Int = 0, signed: Bool = true) throws -> SignedJournal {
        let journal = try open(signed: signed)
        for count in counts {
            for index in 0..<count { try journal.append(Self.record("\(index)")) }
            _ = try journal.writeCheckpoint()
        }
        for index in 0..<loose { try journal.append(Self.record("loose \(index)")) }
        journal.close()
        return self
    }

    func verify(_ keys: [VerifyingKey]? = nil, lastSeq: Int64? = nil, kept: [SignedCheckpoint] = []) throws -> JournalVerifier.Report {
        try JournalVerifier(stateDirectory: folder.path).verify(.init(keys: keys ?? [key.verifyingKey], lastSeq: lastSeq, kept: kept))
    }

    // MARK: - Tampering

    var segment: String { folder.path + "/journal/00000000000000000001.jsonl" }

    func lines() throws -> [[UInt8]] { try #require(FileManager.default.contents(atPath: segment)).split(separator: UInt8(ascii: "\n")).map(Array.init) }

    func entries() throws -> [JournalEntry] { try lines().compactMap(JournalLine.decode) }

    func checkpoints() throws -> [SignedCheckpoint] { try entries().compactMap { SignedCheckpoint($0.record) } }

    /// Writes a journal of these records whose chain and head are right, as everybody can who may write the files.
    func rewrite(_ records: [AuditRecord]) throws {
        var (bytes, hash): ([UInt8], String) = ([], JournalLine.origin)
        for (index, record) in records.enumerated() {
            let encoded = JournalLine.encode(record, seq: Int64(index + 1), prev: hash)
            bytes += encoded.line + [UInt8(ascii: "\n")]
            hash = encoded.hash
        }
        try Data(bytes).write(to: URL(fileURLWithPath: segment))
        try Data(JournalMark(segment: 1, bytes: 0, seq: Int64(records.count), hash: hash).headText).write(to: URL(fileURLWithPath: folder.path + "/journal/HEAD"))
    }
}
