internal import Foundation
internal import Glibc
package import Logging
package import RiposteCore
internal import Synchronization

/// The audit journal: append-only JSON lines in segments, each record carrying the hash of the one before.
///
/// `append` returns when the kernel has the record, so it survives the death of the process; a thread of its own brings it to the
/// medium within a few milliseconds, in groups. Where that fails no more records are taken until those in question were written once more
/// and are there (``JournalMedium``). One process writes; any number read (``JournalReader``).
package final class Journal: AuditLog {
    package enum Durability: String, CaseIterable, Sendable {
        /// To the medium in groups, soon.
        case grouped
        /// To the medium before `append` returns, and before anybody reads it.
        case strict
    }

    package struct Configuration: Sendable {
        package var segmentBytes: Int
        package var durability: Durability
        /// Signs checkpoints; nil: there are none.
        package var signer: CheckpointSigner?

        package init(segmentBytes: Int = 64 << 20, durability: Durability = .grouped, signer: CheckpointSigner? = nil) {
            self.segmentBytes = segmentBytes
            self.durability = durability
            self.signer = signer
        }
    }

    /// What was found when the journal was opened.
    package struct Opening: Sendable, Equatable {
        package var lastSeq: Int64 = 0
        package var wasClosedInOrder = true
        /// A record that was not finished, now in a file of its own.
        package var tornPart: String?
        /// The journal ends before the record that is known to have been on the medium.
        package var missingUpTo: Int64?
        /// What stands behind this one is no record, or not the next. It stays where it is, as evidence.
        package var damagedAfter: Int64?

        /// What a person must look into, or nil.
        package var problem: String? {
            if let missingUpTo { return "records \(lastSeq + 1) to \(missingUpTo) are missing at its end: it was cut off" }
            return damagedAfter.map { "it is damaged after record \($0)" }
        }
    }

    package let opening: Opening

    private struct Interior {
        var segment: Int32
        /// The end of the last record, where the next one goes.
        var end: JournalMark
        var medium: JournalMedium
        var failure: JournalError?
        /// Of the last record, if it could not be written, and since when.
        var trouble: (error: JournalError, at: ContinuousClock.Instant)?
        var isClosed = false
        /// Only where checkpoints are signed.
        var trail: CheckpointTrail?
    }

    private let files: JournalFiles
    private let disk: any JournalDisk
    private let configuration: Configuration
    private let logger: Logger
    private let lockFile: Int32
    private let headFile: Int32
    private let interior: Mutex<Interior>
    private let syncer = Mutex<Attendant?>(nil)
    private let bell = Mutex<(@Sendable () -> Void)?>(nil)

    /// Opens for writing; there is one writer at a time. Makes the folder where it is missing.
    package init(
        stateDirectory: String, configuration: Configuration = Configuration(), disk: any JournalDisk = FileDisk(), logger: Logger
    ) throws(JournalError) {
        files = JournalFiles(stateDirectory: stateDirectory)
        self.disk = disk
        self.configuration = configuration
        self.logger = logger
        try files.create()
        lockFile = try Self.takeLock(files)
        do throws(JournalError) { try files.closeCompanionsToOthers() } catch {
            logger.warning("others may read what the journal holds", metadata: ["error": "\(error)"])
        }
        do throws(JournalError) {
            var tail = try JournalTail(files: files)
            opening = try tail.mend(disk: disk, files: files)
            headFile = try disk.open(files.head)
            let segment = try disk.open(files.segment(tail.segment))
            // What the last writer is not known to have brought to the medium is written once more, with the first sync of this one.
            let rest = try JournalMedium.rest(of: segment, from: tail.synced, to: tail.end)
            if let rest, !rest.isEmpty { try disk.overwrite(rest, at: tail.synced.bytes, of: segment) }
            let trail = configuration.signer == nil ? nil : try CheckpointTrail(files: files)
            interior = Mutex(Interior(segment: segment, end: tail.end, medium: JournalMedium(rest == nil ? tail.end : tail.synced), trail: trail))
        } catch {
            Glibc.close(lockFile)
            throw error
        }
        // Gathers what comes within two milliseconds: one sync for all of it.
        let attendant = Attendant(name: "riposte-journal") { [weak self] in self?.sync() }
        syncer.withLock { $0 = attendant }
    }

    private static func takeLock(_ files: JournalFiles) throws(JournalError) -> Int32 {
        let file = open(files.lock, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .disk("open \(files.lock)", errno) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let holder = FileManager.default.contents(atPath: files.lock).map { String(decoding: $0, as: UTF8.self) } ?? ""
            Glibc.close(file)
            let pid = holder.split(whereSeparator: \.isWhitespace).first.map { " (pid \($0))" } ?? ""
            throw JournalError(.inUse, "the journal in \(files.directory) is being written by another process\(pid)")
        }
        ftruncate(file, 0)
        let text = Array("\(getpid())\n".utf8)
        pwrite(file, text, text.count, 0)
        return file
    }

    // MARK: - Writing

    package func append(_ record: AuditRecord) throws { _ = try write(record) }

    /// Appends and says which number the record got.
    @discardableResult
    package func write(_ record: AuditRecord) throws(JournalError) -> Int64 {
        let result = interior.withLock { interior -> Result<Int64, JournalError> in
            do throws(JournalError) {
                let seq = try append(record, &interior)
                interior.trouble = nil
                return .success(seq)
            } catch {
                interior.trouble = (error, .now)
                return .failure(error)
            }
        }
        let seq = try result.get()
        if configuration.durability == .grouped { syncer.withLock { $0?.call() } }
        bell.withLock { $0?() }
        return seq
    }

    /// Calls `ring` behind each record, on the thread that wrote it: it must be as quick as ``Attendant/call()``. Nil: no more.
    package func onAppend(_ ring: (@Sendable () -> Void)?) { bell.withLock { $0 = ring } }

    /// Signs all that no checkpoint anchors yet, and appends that. Nil where there is no signer, or nothing new. Signing takes tens of microseconds, in
    /// which no other record can be written: so what is signed is always the record right before the checkpoint.
    @discardableResult
    package func writeCheckpoint(at time: Timestamp = .now()) throws(JournalError) -> (seq: Int64, signed: SignedCheckpoint)? {
        guard let signer = configuration.signer else { return nil }
        let result = interior.withLock { interior -> Result<(seq: Int64, signed: SignedCheckpoint)?, JournalError> in
            do throws(JournalError) {
                guard let checkpoint = interior.trail?.next(machine: signer.machine, at: time, key: signer.fingerprint) else { return .success(nil) }
                let signed = try signer.sign(checkpoint)
                return .success((try append(signed.auditRecord, &interior, checkpoint: checkpoint), signed))
            } catch {
                return .failure(error)
            }
        }
        let written = try result.get()
        if written != nil, configuration.durability == .grouped { syncer.withLock { $0?.call() } }
        return written
    }

    /// How many records no checkpoint anchors yet; 0 where none are signed.
    package var unanchored: Int64 { interior.withLock { $0.trail?.unanchored ?? 0 } }

    private func append(_ record: AuditRecord, _ interior: inout Interior, checkpoint: Checkpoint? = nil) throws(JournalError) -> Int64 {
        guard !interior.isClosed else { throw JournalError(.closed, "the journal is closed") }
        if let failure = interior.failure { throw failure }
        try restore(&interior)
        let (seq, _) = interior.end.seq.addingReportingOverflow(1)
        guard JournalLine.numbers.contains(seq) else {
            throw JournalError(
                .format,
                "the journal ends with record \(interior.end.seq), behind which there are no numbers: it was damaged or tampered with; see riposte audit verify, then move \(files.directory) away"
            )
        }
        if interior.end.bytes >= configuration.segmentBytes { try rotate(&interior) }
        var (line, hash) = JournalLine.encode(record, seq: seq, prev: interior.end.hash)
        let end = JournalMark(segment: interior.end.segment, bytes: interior.end.bytes + line.count + 1, seq: seq, hash: hash)
        do throws(JournalError) {
            switch configuration.durability {
            case .grouped:
                line += JournalLine.end
                try disk.append(line, to: interior.segment)
            case .strict: try appendWhenSynced(line, &interior)
            }
        } catch {
            try takeBack(&interior, after: error)
        }
        interior.end = end
        if configuration.durability == .strict {
            interior.medium.reach(end.withoutLineEnd)
            moveHead(to: end)
        }
        let position = Checkpoint.Position(seq: seq, hash: hash)
        if let checkpoint { interior.trail?.take(position, checkpoint) } else { interior.trail?.take(position) }
        return seq
    }

    /// Readers take a line for a record when it has an end. So it gets that when it is on the medium, and not before: what is taken back because it could not be brought there
    /// nobody has read, and the next record, which gets its number and place, is missed by nobody. The line's end itself goes to the medium with what comes next; where a power
    /// cut is faster, the next start puts it there (``JournalTail``).
    private func appendWhenSynced(_ line: [UInt8], _ interior: inout Interior) throws(JournalError) {
        try disk.append(line, to: interior.segment)
        do throws(JournalError) { try disk.sync(interior.segment) } catch {
            // Of what stays, the last line's end may not be there.
            interior.medium.fail(error)
            throw error
        }
        try disk.append(JournalLine.end, to: interior.segment)
    }

    /// No half record may stay: the next one would stand behind it on the same line.
    private func takeBack(_ interior: inout Interior, after error: JournalError) throws(JournalError) -> Never {
        do throws(JournalError) { try disk.truncate(interior.segment, to: interior.end.bytes) } catch let second {
            interior.failure = JournalError(.failed, "\(error.message), and then \(second.message); open the journal again")
        }
        throw error
    }

    private func rotate(_ interior: inout Interior) throws(JournalError) {
        do throws(JournalError) { try disk.sync(interior.segment) } catch {
            interior.medium.fail(error)
            throw error
        }
        interior.medium.reach(interior.end)
        let next = try disk.open(files.segment(interior.end.seq + 1))
        disk.close(interior.segment)
        interior.segment = next
        (interior.end.segment, interior.end.bytes) = (interior.end.seq + 1, 0)
        interior.medium.reach(interior.end)
    }

    // MARK: - Syncing

    /// Brings all that was appended to the medium, then moves the head.
    private func sync() {
        let begun = interior.withLock { interior -> (segment: Int32, end: JournalMark)? in
            guard interior.medium.doubt == nil else {
                try? restore(&interior)
                return nil
            }
            interior.medium.begin(interior.end)
            // A duplicate, so that rotation may close the segment meanwhile.
            return (dup(interior.segment), interior.end)
        }
        guard let (segment, end) = begun else { return }
        defer { Glibc.close(segment) }
        var failure: JournalError?
        do throws(JournalError) { try disk.sync(segment) } catch { failure = error }
        let isThere = interior.withLock { interior in
            do throws(JournalError) { return try interior.medium.end(failure) } catch {
                interior.failure = error
                return false
            }
        }
        if let failure { logger.error("journal is not on the medium", metadata: ["error": "\(failure)", "audit.seq": "\(end.seq)"]) }
        if isThere { moveHead(to: end) }
    }

    /// After a sync that failed: what is not known to be on the medium is written once more, and synced while all wait. Throws where it is not there then.
    private func restore(_ interior: inout Interior) throws(JournalError) {
        guard let doubt = interior.medium.doubt else { return }
        // What Linux says once may be said to that one.
        guard interior.medium.underWay == nil else { throw doubt }
        let (mark, end) = (interior.medium.mark, interior.end)
        do throws(JournalError) {
            if let rest = try JournalMedium.rest(of: interior.segment, from: mark, to: end) {
                try disk.overwrite(rest, at: mark.bytes, of: interior.segment)
                try disk.sync(interior.segment)
            } else {
                interior.failure = JournalError(
                    .failed, "records \(mark.seq + 1) to \(end.seq) did not come to the medium (\(doubt.message)) and cannot be read back; open the journal again")
            }
        } catch {
            interior.medium.fail(error)
            throw error
        }
        if let failure = interior.failure { throw failure }
        interior.medium.reach(end)
        logger.notice("journal is on the medium again", metadata: ["audit.seq": "\(end.seq)"])
        moveHead(to: end)
    }

    private func moveHead(to end: JournalMark) {
        do throws(JournalError) { try disk.overwrite(end.headText, at: 0, of: headFile) } catch {
            logger.error("journal's head was not moved", metadata: ["error": "\(error)", "audit.seq": "\(end.seq)"])
        }
    }

    /// Syncs, gives up the lock. Later appends throw.
    package func close() {
        let wasOpen = interior.withLock { interior in
            defer { interior.isClosed = true }
            return !interior.isClosed
        }
        guard wasOpen else { return }
        syncer.withLock { $0.take() }?.end()
        sync()
        interior.withLock { disk.close($0.segment) }
        disk.close(headFile)
        Glibc.close(lockFile)
    }

    /// The number and hash of the last record.
    package var position: (seq: Int64, hash: String) { interior.withLock { ($0.end.seq, $0.end.hash) } }

    /// How often what was written could not be brought to the medium.
    package var syncFailures: Int { interior.withLock(\.medium.failures) }

    /// Why it takes no records, or has not taken the last one that it was given within this time: whoever was told so may stay away, and then there is none
    /// that would go through. Where records are not on the medium, asking makes it try again. Nil: as far as is known it does.
    package func trouble(within time: Duration, at now: ContinuousClock.Instant = .now) -> JournalError? {
        let (trouble, isInDoubt) = interior.withLock { interior -> (JournalError?, Bool) in
            if interior.isClosed { return (JournalError(.closed, "the journal is closed"), false) }
            if let failure = interior.failure { return (failure, false) }
            if let doubt = interior.medium.doubt { return (doubt, true) }
            return (interior.trouble.flatMap { now - $0.at < time ? $0.error : nil }, false)
        }
        if isInDoubt { syncer.withLock { $0?.call() } }
        return trouble
    }

    /// On the disk, all segments together.
    package var bytesOnDisk: Int {
        files.segments().reduce(0) { total, first in
            var facts = stat()
            return stat(files.segment(first), &facts) == 0 ? total + Int(facts.st_size) : total
        }
    }
}

/// The end of a journal: where the next record goes.
struct JournalTail {
    private(set) var segment: Int64 = 1
    private(set) var length = 0
    private(set) var seq: Int64 = 0
    private(set) var hash = JournalLine.origin
    /// Up to where the newest segment is known to be on the medium.
    private(set) var synced = JournalMark(segment: 1, bytes: 0, seq: 0, hash: JournalLine.origin)
    private let head: (seq: Int64, hash: String)?
    private var last: AuditRecord.Kind?
    private var torn: [UInt8] = []
    private var damagedAfter: Int64?

    var end: JournalMark { JournalMark(segment: segment, bytes: length, seq: seq, hash: hash) }

    init(files: JournalFiles) throws(JournalError) {
        head = files.readHead()
        let segments = files.segments()
        guard let newest = segments.last else { return }
        segment = newest
        try scan(newest, files)
        // A segment that was begun with a checkpoint, or got nothing: what was last done stands in the one before.
        if seq != 0, last == nil, segments.count > 1 { last = try Self.lastDeed(files.segment(segments[segments.count - 2])) }
        if seq == 0, segments.count > 1 {
            let (length, torn) = (length, torn)
            try scan(segments[segments.count - 2], files)
            (self.length, self.torn) = (length, torn)
            synced = end
        }
        if seq == 0 { seq = newest - 1 }
    }

    private mutating func scan(_ segment: Int64, _ files: JournalFiles) throws(JournalError) {
        var scanner = try SegmentScanner(path: files.segment(segment))
        length = 0
        torn = []
        var isFirst = true
        // Where in the chain the segment begins is the verifier's to say; here it is taken as its name and first record tell.
        var before: (seq: Int64, hash: String?) = (segment - 1, segment == 1 ? JournalLine.origin : nil)
        while let line = try scanner.next() {
            guard let entry = JournalLine.decode(line) else {
                torn += line + [UInt8(ascii: "\n")]
                continue
            }
            // A crash tears the end. What has whole records after it was torn by nobody: it is left alone, for the verifier to find.
            if !torn.isEmpty || entry.seq != before.seq + 1 || before.hash.map({ $0 != entry.prev }) ?? false {
                damagedAfter = damagedAfter ?? before.seq
                torn = []
            }
            before = (entry.seq, entry.hash)
            // A segment is begun when the one before it is on the medium.
            if isFirst { synced = JournalMark(segment: self.segment, bytes: scanner.offset - line.count - 1, seq: entry.seq - 1, hash: entry.prev) }
            isFirst = false
            (seq, hash, length) = (entry.seq, entry.hash, scanner.offset)
            if let head, head == (seq, hash) { synced = end }
            // A checkpoint says nothing of whether all was done: the last one stands behind the stop.
            if entry.record.kind != .checkpoint { last = entry.record.kind }
        }
        torn += scanner.rest
    }

    private static func lastDeed(_ path: String) throws(JournalError) -> AuditRecord.Kind? {
        var scanner = try SegmentScanner(path: path)
        var last: AuditRecord.Kind?
        while let line = try scanner.next() {
            guard let kind = JournalLine.decode(line)?.record.kind, kind != .checkpoint else { continue }
            last = kind
        }
        return last
    }

    /// Puts a torn end aside, or finishes the record that lacks nothing but its line's end, and says what was found.
    mutating func mend(disk: some JournalDisk, files: JournalFiles) throws(JournalError) -> Journal.Opening {
        if let entry = JournalLine.decode(torn), (entry.seq, entry.prev) == (seq + 1, hash), entry.isAsWritten { try finish(entry, disk, files) }
        var opening = Journal.Opening(lastSeq: seq, wasClosedInOrder: last == .stop || last == nil)
        opening.damagedAfter = damagedAfter
        if let head, head.seq > seq { opening.missingUpTo = head.seq }
        guard !torn.isEmpty else { return opening }
        let path = files.torn(after: seq, at: Timestamp.now().nanoseconds)
        let aside = try disk.open(path)
        defer { disk.close(aside) }
        try disk.append(torn, to: aside)
        try disk.sync(aside)
        let file = try disk.open(files.segment(segment))
        defer { disk.close(file) }
        try disk.truncate(file, to: length)
        torn = []
        opening.tornPart = path
        opening.wasClosedInOrder = false
        return opening
    }

    private mutating func finish(_ entry: JournalEntry, _ disk: some JournalDisk, _ files: JournalFiles) throws(JournalError) {
        let file = try disk.open(files.segment(segment))
        defer { disk.close(file) }
        try disk.append(JournalLine.end, to: file)
        try disk.sync(file)
        torn = []
        (seq, hash, length) = (entry.seq, entry.hash, length + entry.line.count + 1)
        if let head, head == (seq, hash) { synced = end }
        if entry.record.kind != .checkpoint { last = entry.record.kind }
    }
}
