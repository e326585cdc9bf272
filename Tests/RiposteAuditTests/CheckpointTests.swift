import Foundation
import Logging
@testable import RiposteAudit
import RiposteCore
import RiposteTestSupport
import Synchronization
import Testing

@Suite("signed checkpoints")
struct CheckpointTests {
    @Test("a signed journal is anchored up to the record before its last checkpoint, over restarts and segments")
    func anchored() throws {
        var journal = try SignedJournal()
        journal.segmentBytes = 1500
        try journal.write(3, 2)
        try journal.write(0, 4, andLoose: 2)
        let report = try journal.verify()
        #expect(report.isIntact, "\(report)")
        #expect(report.records == 14 && report.anchoring.upTo == 11 && report.anchoring.checkpoints == 3)
        #expect(report.anchoring.keys == [journal.key.verifyingKey.fingerprint])
        #expect(report.remarks.isEmpty, "\(report.remarks)")
    }

    @Test("a checkpoint is written only where there is something new to sign")
    func nothingNew() throws {
        let journal = try SignedJournal()
        let open = try journal.open()
        #expect(try open.writeCheckpoint() == nil && open.unanchored == 0)
        try open.append(SignedJournal.record("a"))
        #expect(open.unanchored == 1)
        #expect(try open.writeCheckpoint()?.seq == 2 && open.unanchored == 0)
        #expect(try open.writeCheckpoint() == nil)
        open.close()
        #expect(try SignedJournal().write(1, signed: false).lines().count == 1, "without a key there are none")
    }

    @Test("without a key it is said that nothing is anchored; places and hashes of checkpoints are looked at all the same")
    func withoutKey() throws {
        let journal = try SignedJournal().write(3)
        let report = try journal.verify([])
        #expect(report.isIntact && report.anchoring.upTo == nil && report.anchoring.checkpoints == 1)
    }

    @Test("a journal that was signed later is anchored from its beginning, through the chain")
    func signedLater() throws {
        let journal = try SignedJournal().write(5, signed: false)
        try journal.write(2)
        let report = try journal.verify()
        #expect(report.isIntact && report.anchoring.upTo == 7, "\(report)")
        #expect(try journal.checkpoints().first?.checkpoint.from == 1)
    }

    @Test("where signing was off for segments, the next checkpoint names none before it; that is remarked, and it anchors all the same")
    func gapInSigning() throws {
        var journal = try SignedJournal()
        try journal.write(2)
        journal.segmentBytes = 400
        try journal.write(6, signed: false)
        try journal.write(1)
        let report = try journal.verify()
        #expect(report.isIntact && report.anchoring.upTo == 10 && report.anchoring.checkpoints == 2, "\(report)")
        #expect(report.remarks == ["checkpoint 11 does not name the one before it, 3"])
    }

    @Test("a journal whose beginning was archived is anchored by the checkpoints that are left")
    func archived() throws {
        var journal = try SignedJournal()
        journal.segmentBytes = 900
        try journal.write(2, 2, 2)
        try FileManager.default.removeItem(atPath: journal.segment)
        let report = try journal.verify()
        #expect(report.isIntact && report.anchoring.upTo == 8, "\(report)")
        try journal.write(1)
        #expect(try journal.verify().anchoring.upTo == 10)
    }

    /// What somebody does who can write the files and has not the key: the chain and the head are always made right again.
    enum Tampering: String, CaseIterable, CustomTestStringConvertible {
        case editedHistory, editedHistoryWithoutCheckpoints, checkpointTakenOut, checkpointsSwapped, checkpointMoved, checkpointOfOtherKey, checkpointOfOtherJournal
        case forgedTime, forgedRoot, signatureOfOther, unreadable, recordsSwapped, recordPutIn, everythingNew

        var testDescription: String { rawValue }
    }

    @Test("a history that was rewritten is found, however well its chain was made again", arguments: Tampering.allCases)
    func tampering(_ kind: Tampering) throws {
        let journal = try SignedJournal().write(3, 3, 3)  // checkpoints are records 4, 8 and 12
        #expect(try journal.verify().isIntact)
        var records = try journal.entries().map(\.record)
        func payload(_ change: (String) -> String) -> AuditRecord {
            var record = records[7]
            record.detail["payload"] = .text(change(record.detail["payload"]?.string?.repaired ?? ""))
            return record
        }
        let (seq, words): (Int64, String)
        switch kind {
        case .editedHistory:
            records[1].action = "process.hug"
            (seq, words) = (4, "rewritten")
        case .editedHistoryWithoutCheckpoints:
            records = records.filter { $0.kind != .checkpoint }
            records[1].action = "process.hug"
            (seq, words) = (10, "no checkpoint")
        case .checkpointTakenOut:
            records.remove(at: 3)
            (seq, words) = (7, "another place")
        case .checkpointsSwapped:
            records.swapAt(3, 7)
            (seq, words) = (4, "another place")
        case .checkpointMoved:
            records.swapAt(3, 4)
            (seq, words) = (5, "another place")
        case .checkpointOfOtherKey:
            let signed = try #require(SignedCheckpoint(records[3])).checkpoint
            let other = SigningKey()
            var checkpoint = signed
            checkpoint.key = other.verifyingKey.fingerprint
            records[3] = try SignedCheckpoint(checkpoint, signedWith: other).auditRecord
            (seq, words) = (4, "another key")
        case .checkpointOfOtherJournal:
            let other = try SignedJournal().write(3)
            var checkpoint = try #require(try other.checkpoints().first).checkpoint
            checkpoint.key = journal.key.verifyingKey.fingerprint
            records[3] = try SignedCheckpoint(checkpoint, signedWith: journal.key).auditRecord
            (seq, words) = (4, "rewritten")
        case .forgedTime:
            records[7] = payload { $0.replacing("\ntime 20", with: "\ntime 19") }
            (seq, words) = (8, "changed or forged")
        case .forgedRoot:
            records[7] = payload { $0.replacing(/root ./, with: "root e") }
            if records[7] == (try journal.entries()[7].record) { records[7] = payload { $0.replacing(/root ./, with: "root d") } }
            (seq, words) = (8, "changed or forged")
        case .signatureOfOther:
            records[7].detail["signature"] = records[3].detail["signature"]
            (seq, words) = (8, "changed or forged")
        case .unreadable:
            records[7].detail["payload"] = "riposte-checkpoint-v1\n"
            (seq, words) = (8, "cannot be read")
        case .recordsSwapped:
            records.swapAt(0, 1)
            (seq, words) = (4, "rewritten")
        case .recordPutIn:
            records.insert(SignedJournal.record("never was"), at: 2)
            (seq, words) = (5, "another place")
        case .everythingNew:
            records = (0..<12).map { SignedJournal.record("\($0)") }
            (seq, words) = (13, "no checkpoint")
        }
        try journal.rewrite(records)
        let report = try journal.verify()
        #expect(report.broken?.seq == seq && report.broken?.problem.contains(words) == true, "\(report)")
        #expect((report.anchoring.upTo ?? 0) < seq)
    }

    @Test("an end that was cut off fits its chain and its checkpoints; what was kept elsewhere shows it")
    func cutOff() throws {
        let journal = try SignedJournal().write(3, 3, 3)
        let kept = try journal.checkpoints()
        let records = try journal.entries().map(\.record)
        try journal.rewrite(Array(records.prefix(8)))
        #expect(try journal.verify().isIntact, "nothing in the journal itself tells")
        #expect(try journal.verify(kept: [kept[1]]).isIntact)
        #expect(try journal.verify(kept: [kept[2]]).broken?.problem.contains("cut off") == true)
        #expect(try journal.verify(lastSeq: 8).broken?.problem.contains("anchored") == true, "record 8 is there, and signed only by the checkpoint that is gone")
        #expect(try journal.verify(lastSeq: 7).isIntact)
        #expect(try journal.verify(lastSeq: 12).broken?.problem.contains("cut off") == true)
        #expect(try journal.verify([], lastSeq: 8).isIntact, "without a key the length alone")
        #expect(try !journal.verify([], lastSeq: 9).isIntact)
    }

    @Test("with the key itself history can be signed anew; a kept checkpoint shows that too")
    func resigned() throws {
        let journal = try SignedJournal().write(3, 3)
        let kept = try #require(try journal.checkpoints().last)
        try FileManager.default.removeItem(atPath: journal.folder.path + "/journal")
        try journal.write(3, 3)
        #expect(try journal.verify().isIntact, "the thief has the key")
        #expect(try journal.verify(kept: [kept]).broken?.problem.contains("kept checkpoint") == true)
        #expect(try journal.verify([SigningKey().verifyingKey], kept: [kept]).broken?.problem.contains("another key") == true)
    }

    @Test("a kept checkpoint counts only with a right signature, and reads back from what the command prints")
    func kept() throws {
        let journal = try SignedJournal().write(3)
        let signed = try #require(try journal.checkpoints().first)
        #expect(try SignedCheckpoint(kept: signed.json.bytes) == signed)
        #expect(try SignedCheckpoint(kept: journal.lines()[3]) == signed, "a whole record does too")
        #expect(throws: KeyError.self) { try SignedCheckpoint(kept: Array("{}".utf8)) }
        var forged = signed
        forged.signature[0] ^= 1
        #expect(try journal.verify(kept: [forged]).broken?.problem.contains("kept checkpoint") == true)
    }

    @Test("keys that follow each other are given together")
    func rotation() throws {
        let journal = try SignedJournal().write(2)
        let next = SigningKey()
        let open = try Journal(
            stateDirectory: journal.folder.path, configuration: .init(signer: CheckpointSigner(key: next, machine: "m")),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try open.append(SignedJournal.record("a"))
        try open.writeCheckpoint()
        open.close()
        #expect(try journal.verify().broken?.problem.contains("another key") == true)
        let report = try journal.verify([journal.key.verifyingKey, next.verifyingKey])
        #expect(report.isIntact && report.anchoring.upTo == 4 && report.anchoring.keys.count == 2)
        #expect(report.remarks == ["from checkpoint 5 on the journal is of another machine, m"])
    }

    @Test("no bit of a signed journal can be turned over unseen")
    func everyByte() throws {
        let journal = try SignedJournal().write(1, andLoose: 1)
        for path in [journal.segment, journal.folder.path + "/journal/HEAD"] {
            let whole = Array(try #require(FileManager.default.contents(atPath: path)))
            for place in whole.indices {
                var changed = whole
                changed[place] ^= UInt8(1 << (place % 8))
                try Data(changed).write(to: URL(fileURLWithPath: path))
                let report = try journal.verify()
                #expect(!report.isIntact || report.remarks.contains { $0.contains("HEAD") }, "\(path), byte \(place)")
            }
            try Data(whole).write(to: URL(fileURLWithPath: path))
        }
        #expect(try journal.verify().isIntact)
    }

    @Test("a checkpoint that cannot be written costs nothing but itself: the chain holds, later ones sign what it would have")
    func fault() throws {
        let journal = try SignedJournal()
        let disk = FullDisk()
        let open = try journal.open(disk: disk)
        try open.append(SignedJournal.record("a"))
        let checkpointer = Checkpointer(open, every: .seconds(60), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        disk.isFull.withLock { $0 = true }
        checkpointer.write()
        #expect(checkpointer.status["failures"] == 1 && checkpointer.status["written"] == 0 && checkpointer.status["unanchored"] == 1)
        disk.isFull.withLock { $0 = false }
        try open.append(SignedJournal.record("b"))
        checkpointer.write()
        #expect(checkpointer.status["written"] == 1 && checkpointer.status["anchored_to"] == 2)
        open.close()
        #expect(try journal.verify().anchoring.upTo == 2)
    }

    @Test("a stop counts as one in order with a checkpoint behind it, also where that begins a segment")
    func closedInOrder() throws {
        for segmentBytes in [1 << 20, 1] {
            var journal = try SignedJournal()
            journal.segmentBytes = segmentBytes
            for last in [AuditRecord.Kind.stop, .outcome] {
                let open = try journal.open()
                try open.append(AuditRecord(.outcome, at: .now()))
                try open.append(AuditRecord(last, at: .now()))
                try open.writeCheckpoint()
                open.close()
                let again = try journal.open()
                #expect(again.opening.wasClosedInOrder == (last == .stop))
                again.close()
            }
        }
    }

    @Test(
        "a checkpoint is due by time, by count, and not again at once where the last one failed",
        arguments: [
            // unanchored, seconds since the last attempt (nil: none yet), left over by it, due
            (0, nil, 0, false), (1, nil, 0, true), (1, 59, 0, false), (1, 60, 0, true), (999, 1, 0, false), (1000, 1, 0, true), (1500, 1, 1000, false), (1500, 61, 1000, true),
            (2000, 1, 1000, true), (0, 61, 0, false),
        ] as [(Int64, Int?, Int64, Bool)])
    func schedule(unanchored: Int64, since: Int?, leftOver: Int64, due: Bool) {
        var schedule = CheckpointSchedule(every: .seconds(60), records: 1000)
        let now = ContinuousClock.now
        if let since { schedule.attempted(at: now - .seconds(since), unanchored: leftOver) }
        #expect(schedule.isDue(unanchored: unanchored, at: now) == due)
    }

    @Test("the payload reads back only as it was written")
    func payload() throws {
        let checkpoint = Checkpoint(
            journal: "j", machine: "m", record: .init(seq: 5, hash: "h"), time: Timestamp(nanoseconds: 1_700_000_000_000_000_000), from: 2, root: "r",
            previous: .init(seq: 1, hash: "p"), key: "k")
        #expect(checkpoint.payload == "riposte-checkpoint-v1\njournal j\nmachine m\nseq 5\nhash h\ntime 2023-11-14T22:13:20.000000000Z\nfrom 2\nroot r\nprevious 1 p\nkey k\n")
        #expect(Checkpoint(payload: checkpoint.payload) == checkpoint)
        for (old, new) in [
            ("seq 5", "seq +5"), ("seq 5", "seq 05"), ("\nfrom", "\n\nfrom"), ("previous 1 p", "previous 1"), ("key k\n", "key k"), ("20.000000000Z", "20Z"), ("v1", "v2"),
        ] {
            #expect(Checkpoint(payload: checkpoint.payload.replacing(old, with: new)) == nil, "\(new)")
        }
    }
}

@Suite("the hash tree under a checkpoint")
struct HashTreeTests {
    private static func leaves(_ count: Int) -> [HashTree.Hash] { (0..<count).map { place in (0..<32).map { UInt8(truncatingIfNeeded: place * 7 + $0) } } }

    @Test("the growing edge and the whole tree agree, and each leaf has a path, for every size")
    func sizes() {
        for count in 1...70 {
            let leaves = Self.leaves(count)
            var frontier = HashFrontier()
            for leaf in leaves { frontier.append(leaf) }
            let levels = HashTree.levels(over: leaves)
            let root = levels.last?.first
            #expect(frontier.root == root && frontier.count == count)
            for place in leaves.indices { #expect(HashTree.root(from: leaves[place], along: HashTree.path(to: place, in: levels)) == root, "\(place) of \(count)") }
        }
        #expect(HashFrontier().root == nil)
    }

    @Test("a path proves its own leaf and no other")
    func foreign() {
        let leaves = Self.leaves(13)
        let levels = HashTree.levels(over: leaves)
        for (place, other) in zip(leaves.indices, leaves.indices.dropFirst()) {
            #expect(HashTree.root(from: leaves[other], along: HashTree.path(to: place, in: levels)) != levels.last?.first)
        }
    }
}

/// Takes nothing more while it is full.
private final class FullDisk: JournalDisk {
    private let disk = FileDisk()
    let isFull = Mutex(false)

    func open(_ path: String) throws(JournalError) -> Int32 { try disk.open(path) }
    func append(_ bytes: [UInt8], to file: Int32) throws(JournalError) {
        if isFull.withLock({ $0 }) { throw JournalError(.disk, "no space left on device") }
        try disk.append(bytes, to: file)
    }
    func truncate(_ file: Int32, to length: Int) throws(JournalError) { try disk.truncate(file, to: length) }
    func sync(_ file: Int32) throws(JournalError) { try disk.sync(file) }
    func overwrite(_ bytes: [UInt8], at offset: Int, of file: Int32) throws(JournalError) { try disk.overwrite(bytes, at: offset, of: file) }
    func close(_ file: Int32) { disk.close(file) }
}
