import Foundation
import Logging
import RiposteCore
import RiposteTestSupport
import Synchronization
import Testing

@testable import RiposteAudit

private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

private func record(_ text: String, outcome: Outcome = .done) -> AuditRecord {
    var record = AuditRecord(.outcome, at: .now(), id: .new(), detail: ["text": .text(text)])
    record.action = "process.kill"
    record.outcome = outcome
    record.target = .container(ContainerIdentity(id: String(repeating: "ab", count: 32), name: "web", image: "i"))
    return record
}

private func open(
    _ folder: TemporaryFolder, segmentBytes: Int = 64 << 20, durability: Journal.Durability = .grouped, disk: any JournalDisk = FileDisk()
) throws -> Journal {
    try Journal(stateDirectory: folder.path, configuration: .init(segmentBytes: segmentBytes, durability: durability), disk: disk, logger: logger)
}

private func texts(_ folder: TemporaryFolder) throws -> [String] {
    var texts: [String] = []
    try JournalReader(stateDirectory: folder.path).read { entry in
        texts.append(entry.record.detail["text"]?.string?.repaired ?? "")
        return true
    }
    return texts
}

private func verify(_ folder: TemporaryFolder) throws -> JournalVerifier.Report { try JournalVerifier(stateDirectory: folder.path).verify() }

private func segments(_ folder: TemporaryFolder) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path + "/journal").filter { $0.hasSuffix(".jsonl") }.sorted().map { "\(folder.path)/journal/\($0)" }
}

@Suite("The journal")
struct JournalTests {
    @Test("records come back in order, over segments and restarts")
    func order() throws {
        let folder = try TemporaryFolder()
        for round in 0..<3 {
            let journal = try open(folder, segmentBytes: 2000)
            for index in 0..<10 { try journal.append(record("\(round * 10 + index)")) }
            journal.close()
        }
        #expect(try texts(folder) == (0..<30).map(String.init))
        #expect(try segments(folder).count > 3)
        let report = try verify(folder)
        #expect(report.isIntact && report.records == 30 && report.first == 1 && report.last == 30)
    }

    @Test("a folder that cannot be read is not an empty journal; one that is not there is")
    func unreadableFolder() throws {
        let folder = try TemporaryFolder()
        let reader = JournalReader(stateDirectory: folder.path)
        #expect(try reader.last() == nil)
        _ = try folder.file("journal", "no folder")
        #expect(throws: JournalError.self) { try reader.last() }
        #expect(throws: JournalError.self) { try reader.read { _ in true } }
    }

    /// What stands at the journal's end, behind the last record.
    @Test("the last record is found from the end", arguments: ["", "torn", "damaged\n", "damaged\ntorn", "{\"seq\":9}\n", "endless", "new segment"])
    func last(_ end: String) throws {
        for length in [1, 70_000, 600_000] {
            let folder = try TemporaryFolder()
            #expect(try JournalReader(stateDirectory: folder.path).last() == nil)
            let journal = try open(folder)
            for text in ["0", "1", String(repeating: "x", count: length)] { try journal.append(record(text)) }
            journal.close()
            let path = try #require(try segments(folder).last)
            if end == "new segment" {
                _ = try folder.file("journal/00000000000000000004.jsonl", "")
            } else {
                let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
                try file.seekToEnd()
                // As the record before it, and its number is the last that there is.
                let record = String(try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").last ?? "")
                let endless = record.replacing("{\"seq\":3,", with: "{\"seq\":\(Int64.max),") + "\n"
                try file.write(contentsOf: Data((end == "endless" ? endless : end).utf8))
                try file.close()
            }
            let found = try #require(try JournalReader(stateDirectory: folder.path).last())
            #expect(found.entry.seq == 3 && found.entry.record.detail["text"]?.string?.bytes.count == length)
            var place = found.start
            var again: [JournalEntry] = []
            _ = try JournalReader(stateDirectory: folder.path).read(&place) { entry in
                again.append(entry)
                return true
            }
            #expect(again.map(\.hash) == [found.entry.hash])
            place = found.end
            #expect(try JournalReader(stateDirectory: folder.path).read(&place) { _ in false }, "nothing stands behind it")
        }
    }

    @Test("many threads append; every record has its place")
    func threads() throws {
        let folder = try TemporaryFolder()
        let journal = try open(folder, segmentBytes: 20_000)
        DispatchQueue.concurrentPerform(iterations: 8) { thread in for index in 0..<50 { try? journal.append(record("\(thread)-\(index)")) } }
        journal.close()
        #expect(try verify(folder).records == 400 && verify(folder).isIntact)
        #expect(Set(try texts(folder)).count == 400)
    }

    @Test("one writes at a time; who comes second is told who is first")
    func lock() throws {
        let folder = try TemporaryFolder()
        let first = try open(folder)
        let error = #expect(throws: JournalError.self) { try open(folder) }
        #expect(error?.code == .inUse && error?.message.contains("pid \(getpid())") == true)
        first.close()
        try open(folder).close()
        #expect(throws: JournalError.self) { try first.append(record("late")) }
    }

    @Test("a record that was torn at any byte is set aside, and what was whole stays")
    func torn() throws {
        let folder = try TemporaryFolder()
        let journal = try open(folder)
        for index in 0..<3 { try journal.append(record("\(index)")) }
        journal.close()
        let path = try #require(try segments(folder).first)
        let whole = try #require(FileManager.default.contents(atPath: path))
        let lastStart = try #require(whole.dropLast().lastIndex(of: UInt8(ascii: "\n"))) + 1
        for cut in stride(from: lastStart + 1, to: whole.count - 1, by: 7) {
            let copy = try TemporaryFolder()
            try FileManager.default.createDirectory(atPath: copy.path + "/journal", withIntermediateDirectories: true)
            try whole.prefix(cut).write(to: URL(fileURLWithPath: copy.path + "/journal/" + (path.split(separator: "/").last ?? "")))
            let reopened = try open(copy)
            #expect(reopened.opening.tornPart != nil && reopened.opening.lastSeq == 2 && !reopened.opening.wasClosedInOrder)
            try reopened.append(record("after"))
            reopened.close()
            #expect(try texts(copy) == ["0", "1", "after"])
            #expect(try verify(copy).isIntact)
        }
    }

    @Test("a record that lacks nothing but its line's end is none to readers, and is finished by the next start", arguments: [1, 1 << 20])
    func unfinished(_ segmentBytes: Int) throws {
        let folder = try TemporaryFolder()
        let journal = try open(folder, segmentBytes: segmentBytes, durability: .strict)
        for index in 0..<3 { try journal.append(record("\(index)")) }
        // As a power cut leaves it: HEAD is there, the byte is not.
        let path = try #require(try segments(folder).last)
        #expect(truncate(path, off_t(try #require(FileManager.default.contents(atPath: path)).count - 1)) == 0)
        journal.close()
        #expect(try texts(folder) == ["0", "1"])
        #expect(try verify(folder).isIntact && verify(folder).last == 3 && verify(folder).tornBytes == 0)
        let reopened = try open(folder, segmentBytes: segmentBytes)
        #expect(reopened.opening.tornPart == nil && reopened.opening.problem == nil && reopened.opening.lastSeq == 3)
        try reopened.append(record("3"))
        reopened.close()
        #expect(try texts(folder) == ["0", "1", "2", "3"] && verify(folder).isIntact)
    }

    @Test("what stands at the end like a record, and is not the one that comes next, is torn", arguments: ["number", "link", "text"])
    func notTheNext(_ difference: String) throws {
        let folder = try TemporaryFolder()
        let journal = try open(folder)
        try journal.append(record("0"))
        let hash = journal.position.hash
        journal.close()
        var line = JournalLine.encode(record("forged"), seq: difference == "number" ? 3 : 2, prev: difference == "link" ? JournalLine.origin : hash).line
        if difference == "text" { line = Array(String(decoding: line, as: UTF8.self).replacing("forged", with: "gorged").utf8) }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: try #require(try segments(folder).first)))
        try file.seekToEnd()
        try file.write(contentsOf: Data(line))
        try file.close()
        #expect(try verify(folder).tornBytes == line.count)
        let reopened = try open(folder)
        #expect(reopened.opening.tornPart != nil && reopened.position.seq == 1)
        reopened.close()
    }

    @Test("in strict durability a record is read when it is on the medium: one that was taken back nobody has read, and the one in its place nobody misses")
    func takenBack() throws {
        let folder = try TemporaryFolder()
        let reading = Mutex((place: JournalReader.ReadingPlace(seq: 1), texts: [String]()))
        let follow: @Sendable () -> Void = {
            reading.withLock { reading in
                _ = try? JournalReader(stateDirectory: folder.path).read(&reading.place) { entry in
                    reading.texts.append(entry.record.detail["text"]?.string?.repaired ?? "")
                    return true
                }
            }
        }
        let disk = SyncingDisk(follow)
        let journal = try open(folder, segmentBytes: 1500, durability: .strict, disk: disk)
        var kept: [String] = []
        for index in 0..<12 {
            disk.failsNext(index % 3 == 1)
            // The one in its place is longer, and shorter: its reader would begin within a line, or behind it.
            let text = String(repeating: "x", count: index % 2 == 0 ? 300 : 3) + "\(index)"
            if (try? journal.append(record(text))) != nil { kept.append(text) }
        }
        #expect(kept.count == 8 && journal.syncFailures == 4)
        journal.close()
        follow()
        #expect(reading.withLock(\.texts) == kept)
        #expect(try texts(folder) == kept && verify(folder).isIntact)
    }

    @Test("a line of which one half was read before the writer took it back and put another in its place is read anew")
    func exchangedUnderway() throws {
        let folder = try TemporaryFolder()
        let first = JournalLine.encode(record("first"), seq: 1, prev: JournalLine.origin)
        let (old, new) = (JournalLine.encode(record("old"), seq: 2, prev: first.hash).line, JournalLine.encode(record("in its place"), seq: 2, prev: first.hash).line)
        let whole = first.line + JournalLine.end
        let path = try folder.file("segment")
        try Data(whole + old.prefix(200)).write(to: URL(fileURLWithPath: path))
        var scanner = try SegmentScanner(path: path)
        let beginning = try scanner.next()
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.truncate(atOffset: UInt64(whole.count))
        try file.seekToEnd()
        try file.write(contentsOf: Data(new + JournalLine.end))
        try file.close()
        let next = try scanner.next()
        let offset = scanner.offset
        #expect(beginning == first.line && next == new && offset == whole.count + new.count + 1)
        let rest = try scanner.next()
        #expect(rest == nil)
    }

    @Test("an end that was cut off stays broken, also after a start that went on from there")
    func cutAndContinued() throws {
        let folder = try TemporaryFolder()
        var journal = try open(folder)
        for index in 0..<20 { try journal.append(record("\(index)")) }
        journal.close()
        let segment = try #require(try segments(folder).first)
        let lines = try String(contentsOfFile: segment, encoding: .utf8).split(separator: "\n")
        try (lines.prefix(10).joined(separator: "\n") + "\n").write(toFile: segment, atomically: false, encoding: .utf8)
        journal = try open(folder)
        #expect(journal.opening.missingUpTo == 20 && journal.opening.problem?.contains("11 to 20") == true)
        var start = AuditRecord(.start, at: .now())
        start.detail = ["missing_up_to": 20]
        try journal.append(start)
        for index in 0..<20 { try journal.append(record("\(index)")) }
        journal.close()
        #expect(try verify(folder).broken?.problem.contains("records 11 to 20") == true)
    }

    @Test("a bad line in the middle is damage and no torn end: nothing is cut off, and the chain goes on behind what is whole")
    func damagedMiddle() throws {
        let folder = try TemporaryFolder()
        var journal = try open(folder)
        for index in 0..<20 { try journal.append(record("\(index)")) }
        journal.close()
        let segment = try #require(try segments(folder).first)
        var lines = try String(contentsOfFile: segment, encoding: .utf8).split(separator: "\n").map(String.init)
        lines[9] = "\u{0}\u{0}" + lines[9].dropFirst(2)
        try (lines.joined(separator: "\n") + "\n").write(toFile: segment, atomically: false, encoding: .utf8)
        journal = try open(folder)
        #expect(journal.opening.damagedAfter == 9 && journal.opening.tornPart == nil && journal.position.seq == 20)
        try journal.append(record("20"))
        journal.close()
        #expect(try texts(folder) == (0...20).filter { $0 != 9 }.map(String.init))
        #expect(try verify(folder).broken?.seq == 10)
    }

    /// Which line of five is given which number.
    @Test(
        "a number that no record has, and the last that one can have, is damage: the opening tells it, and nothing that reads the journal ends for it",
        arguments: [0, 2, 4], [Int64.min, -1, 0, .max - 1, .max])
    func impossibleNumbers(_ place: Int, _ number: Int64) throws {
        let signed = try SignedJournal().write(2, 1)
        var lines = try signed.lines()
        lines[place] = Array(String(decoding: lines[place], as: UTF8.self).replacing("{\"seq\":\(place + 1),", with: "{\"seq\":\(number),").utf8)
        try Data(lines.flatMap { $0 + [UInt8(ascii: "\n")] }).write(to: URL(fileURLWithPath: signed.segment))
        #expect(try signed.verify().broken?.seq == Int64(place + 1))
        let reader = JournalReader(stateDirectory: signed.folder.path)
        try reader.read { _ in true }
        #expect(try reader.last() != nil && reader.lastSeq() != nil)
        var problems: [JournalSearch.Problem] = []
        _ = try JournalSearch(stateDirectory: signed.folder.path).records(JournalSearch.Query()) { problems.append($0) }
        #expect(!problems.isEmpty)
        _ = try BundleExport(stateDirectory: signed.folder.path, version: "1").bundle(.time(since: Timestamp(nanoseconds: 0), until: nil))
        for _ in 0..<2 {
            let journal = try signed.open()
            if journal.opening.tornPart == nil { #expect(journal.opening.damagedAfter == Int64(place) && journal.opening.problem?.contains("damaged") == true) }
            #expect(journal.unanchored >= 0)
            if place == 4, number == .max - 1 {
                let error = #expect(throws: JournalError.self) { try journal.append(record("none")) }
                #expect(error?.code == .format && error?.message.contains("audit verify") == true)
            } else {
                try journal.append(record("goes on"))
                #expect(try journal.writeCheckpoint() != nil)
            }
            journal.close()
            if number != .max - 1, place == 4 { return }
        }
    }

    @Test("names of segments and a head with numbers that no record has belong to no journal")
    func impossibleNames() throws {
        let folder = try TemporaryFolder()
        let journal = try open(folder)
        try journal.append(record("a"))
        journal.close()
        let names = [
            "-9223372036854775808.jsonl", "09223372036854775807.jsonl", "00000000000000000000.jsonl", "2.jsonl", "+0000000000000000002.jsonl", "99999999999999999999.jsonl",
        ]
        for name in names { _ = try folder.file("journal/\(name)", "{}\n") }
        #expect(try Set(verify(folder).remarks) == Set(names.map { "\($0): does not belong here" }))
        for head in [Int64.max, -1, .min] {
            _ = try folder.file("journal/HEAD", "\(head) \(String(repeating: "0", count: 64))\n")
            #expect(try verify(folder).remarks.contains { $0.contains("HEAD") })
            let again = try open(folder)
            #expect(again.opening.problem == nil && again.position.seq == 1)
            again.close()
        }
    }

    @Test("without its head a journal verifies, with a remark: whether its end is there cannot be told")
    func noHead() throws {
        let folder = try TemporaryFolder()
        let journal = try open(folder)
        try journal.append(record("a"))
        journal.close()
        #expect(try verify(folder).remarks.isEmpty)
        try FileManager.default.removeItem(atPath: folder.path + "/journal/HEAD")
        let report = try verify(folder)
        #expect(report.isIntact && report.remarks.contains { $0.contains("HEAD") })
    }

    @Test("a write that fails, at any step, leaves a chain that verifies and loses nothing that was acknowledged", arguments: Journal.Durability.allCases)
    func everyFault(_ durability: Journal.Durability) throws {
        for step in 1... {
            let folder = try TemporaryFolder()
            let disk = FaultyDisk(failingAt: step)
            var acknowledged: [String] = []
            if let journal = try? open(folder, segmentBytes: 1200, durability: durability, disk: disk) {
                for index in 0..<6 { if (try? journal.append(record("\(index)"))) != nil { acknowledged.append("\(index)") } }
                journal.close()
            }
            try open(folder).close()
            #expect(try texts(folder) == acknowledged, "step \(step)")
            #expect(try verify(folder).isIntact, "step \(step)")
            if !disk.hasFailed { return }
        }
    }

    @Test(
        "every change after the fact is found, at the first record that it touches",
        arguments: [
            ("edit", 3), ("delete", 3), ("swap", 3), ("forge", 7), ("cut", 6), ("segment", 2),
        ])
    func tampering(_ kind: String, _ seq: Int64) throws {
        let folder = try TemporaryFolder()
        let journal = try open(folder, segmentBytes: kind == "segment" ? 1 : 1 << 20)
        for index in 1...6 { try journal.append(record("text \(index)")) }
        journal.close()
        #expect(try verify(folder).isIntact)
        let paths = try segments(folder)
        var lines = try String(contentsOfFile: paths[0], encoding: .utf8).split(separator: "\n").map(String.init)
        switch kind {
        case "edit": lines[2] = lines[2].replacing("text 3", with: "text X")
        case "delete": lines.remove(at: 2)
        case "swap": lines.swapAt(2, 3)
        case "forge": lines.append(lines[5].replacing("\"seq\":6", with: "\"seq\":7"))
        case "cut": lines.removeLast()
        default: try FileManager.default.removeItem(atPath: paths[1])
        }
        if kind != "segment" { try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: paths[0])) }
        let report = try verify(folder)
        #expect(report.broken?.seq == seq, "\(report)")
    }

    @Test("each byte of a record counts")
    func everyByte() throws {
        let folder = try TemporaryFolder()
        let journal = try open(folder)
        for index in 1...3 { try journal.append(record("\(index)")) }
        journal.close()
        let path = try #require(try segments(folder).first)
        let whole = Array(try #require(FileManager.default.contents(atPath: path)))
        let start = try #require(whole.firstIndex(of: UInt8(ascii: "\n"))) + 1
        let end = try #require(whole[start...].firstIndex(of: UInt8(ascii: "\n")))
        for place in stride(from: start, to: end, by: 11) {
            var changed = whole
            changed[place] ^= 1
            try Data(changed).write(to: URL(fileURLWithPath: path))
            #expect(try verify(folder).broken?.seq == 2, "byte \(place)")
        }
    }

    @Test("in a folder that anybody may look into, what the journal holds is its owner's alone, also where an earlier version left it open")
    func privateFiles() throws {
        let folder = try TemporaryFolder()
        #expect(chmod(folder.path, 0o755) == 0)
        func modes() throws -> [String: Int] {
            let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0 != "journal" }
            return try Dictionary(uniqueKeysWithValues: names.map { ($0, try mode("\(folder.path)/\($0)")) })
        }
        func mode(_ path: String) throws -> Int { try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int) }
        for round in 0..<2 {
            let journal = try open(folder)
            if round == 1 { #expect(try Set(modes().values) == [0o600], "closed when the journal is opened") }
            try journal.append(record("\(round)"))
            let position = journal.position
            try StateSnapshot(seq: position.seq, hash: position.hash, state: ["x": 1]).save(stateDirectory: folder.path)
            // Of an earlier version.
            if round == 0 { _ = try folder.file("index.sqlite") }
            journal.close()
            #expect(try modes()["state.json"] == 0o600)
            #expect(try mode(folder.path + "/journal") == 0o700 && segments(folder).allSatisfy { try mode($0) == 0o600 })
            for name in ["state.json", "index.sqlite"] { #expect(chmod("\(folder.path)/\(name)", 0o644) == 0) }
        }
    }

    @Test("a record that was not taken counts against the journal until the next one is, or for its time")
    func trouble() throws {
        let folder = try TemporaryFolder()
        // The first two open the head and the segment.
        let journal = try open(folder, disk: FaultyDisk(failingAt: 3))
        #expect(journal.trouble(within: .seconds(30)) == nil)
        #expect(throws: JournalError.self) { try journal.append(record("lost")) }
        #expect(journal.trouble(within: .seconds(30))?.code == .disk)
        #expect(journal.trouble(within: .seconds(30), at: .now + .seconds(60)) == nil)
        try journal.append(record("kept"))
        #expect(journal.trouble(within: .seconds(30)) == nil)
        #expect(journal.bytesOnDisk > 0)
        journal.close()
        #expect(journal.trouble(within: .seconds(30))?.code == .closed)
    }

    @Test("what could not be brought to the medium is written once more before any other record is taken, and the head does not pass it")
    func unsynced() throws {
        let folder = try TemporaryFolder()
        let disk = ForgetfulDisk()
        let journal = try open(folder, disk: disk)
        try journal.append(record("safe"))
        try until { head(folder) == 1 }
        disk.breaks(true)
        try journal.append(record("doubtful"))
        try until { journal.trouble(within: .zero) != nil }
        #expect(throws: JournalError.self) { try journal.append(record("refused")) }
        #expect(head(folder) == 1 && journal.syncFailures > 0 && journal.trouble(within: .zero)?.code == .disk)
        disk.breaks(false)
        try journal.append(record("again"))
        #expect(journal.trouble(within: .zero) == nil)
        journal.close()
        #expect(head(folder) == 3)
        #expect(try texts(folder) == ["safe", "doubtful", "again"] && verify(folder).isIntact)
        #expect(try disk.medium(segments(folder)[0]) == Data(contentsOf: URL(fileURLWithPath: segments(folder)[0])))
    }

    @Test("a journal whose records are not on the medium tries again when it is asked, so that nobody waits for a record who stays away from it")
    func askedAgain() throws {
        let folder = try TemporaryFolder()
        let disk = ForgetfulDisk()
        let journal = try open(folder, disk: disk)
        disk.breaks(true)
        try journal.append(record("doubtful"))
        try until { journal.trouble(within: .zero) != nil }
        disk.breaks(false)
        try until { journal.trouble(within: .zero) == nil }
        #expect(try disk.medium(segments(folder)[0]) == Data(contentsOf: URL(fileURLWithPath: segments(folder)[0])))
        journal.close()
    }

    @Test("what one writer could not bring to the medium the next one does", arguments: [1, 1 << 20])
    func unsyncedAtTheEnd(_ segmentBytes: Int) throws {
        let folder = try TemporaryFolder()
        let disk = ForgetfulDisk()
        let first = try open(folder, segmentBytes: segmentBytes, disk: disk)
        try first.append(record("safe"))
        try until { head(folder) == 1 }
        disk.breaks(true)
        try? first.append(record("doubtful"))
        first.close()
        #expect(head(folder) == 1)
        disk.breaks(false)
        let second = try open(folder, segmentBytes: segmentBytes, disk: disk)
        try second.append(record("again"))
        second.close()
        #expect(try verify(folder).isIntact && verify(folder).last.map { head(folder) == $0 } == true)
        for segment in try segments(folder) { #expect(try disk.medium(segment) == Data(contentsOf: URL(fileURLWithPath: segment))) }
    }

    /// Of the last record that the journal says is on the medium.
    private func head(_ folder: TemporaryFolder) -> Int64? {
        FileManager.default.contents(atPath: folder.path + "/journal/HEAD").flatMap { Int64(String(decoding: $0.prefix(20), as: UTF8.self)) }
    }

    /// What another thread does soon.
    private func until(_ holds: () -> Bool) throws {
        let end = ContinuousClock.now + .seconds(20)
        while !holds() {
            try #require(ContinuousClock.now < end)
            sched_yield()
        }
    }

    @Test("a state beside the journal is believed only where the journal bears it out")
    func snapshot() throws {
        let folder = try TemporaryFolder()
        let journal = try open(folder)
        for index in 0..<5 { try journal.append(record("\(index)")) }
        let position = journal.position
        try StateSnapshot(seq: position.seq, hash: position.hash, state: ["x": 1]).save(stateDirectory: folder.path)
        journal.close()
        #expect(StateSnapshot.load(stateDirectory: folder.path)?.state == ["x": 1])
        try StateSnapshot(seq: position.seq, hash: String(repeating: "0", count: 64), state: ["x": 1]).save(stateDirectory: folder.path)
        #expect(StateSnapshot.load(stateDirectory: folder.path) == nil)
    }
}

/// A disk as Linux has them: a sync that fails says so once, and what it did not bring to the medium counts as written from then on.
private final class ForgetfulDisk: JournalDisk {
    private struct State {
        var isBroken = false
        /// What was written and not synced, by file.
        var dirty: [UInt64: [(offset: Int, bytes: [UInt8])]] = [:]
        var medium: [UInt64: [UInt8]] = [:]
    }

    private let disk = FileDisk()
    private let state = Mutex(State())

    func breaks(_ isBroken: Bool) { state.withLock { $0.isBroken = isBroken } }

    func medium(_ path: String) throws -> Data {
        var facts = stat()
        try #require(stat(path, &facts) == 0)
        return state.withLock { Data($0.medium[UInt64(facts.st_ino)] ?? []) }
    }

    private func facts(_ file: Int32) -> (inode: UInt64, length: Int) {
        var facts = stat()
        fstat(file, &facts)
        return (UInt64(facts.st_ino), Int(facts.st_size))
    }

    private func note(_ bytes: [UInt8], at offset: Int, of file: Int32) {
        let inode = facts(file).inode
        state.withLock { $0.dirty[inode, default: []].append((offset, bytes)) }
    }

    func open(_ path: String) throws(JournalError) -> Int32 { try disk.open(path) }

    func append(_ bytes: [UInt8], to file: Int32) throws(JournalError) {
        note(bytes, at: facts(file).length, of: file)
        try disk.append(bytes, to: file)
    }

    func truncate(_ file: Int32, to length: Int) throws(JournalError) { try disk.truncate(file, to: length) }

    func sync(_ file: Int32) throws(JournalError) {
        let inode = facts(file).inode
        let isThere = state.withLock { state in
            let dirty = state.dirty.removeValue(forKey: inode) ?? []
            guard !state.isBroken else { return dirty.isEmpty }
            for (offset, bytes) in dirty {
                var medium = state.medium[inode] ?? []
                medium += [UInt8](repeating: 0, count: max(0, offset + bytes.count - medium.count))
                medium.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
                state.medium[inode] = medium
            }
            return true
        }
        guard isThere else { throw JournalError(.disk, "sync the journal: Input/output error") }
    }

    func overwrite(_ bytes: [UInt8], at offset: Int, of file: Int32) throws(JournalError) {
        note(bytes, at: offset, of: file)
        try disk.overwrite(bytes, at: offset, of: file)
    }

    func close(_ file: Int32) { disk.close(file) }
}

/// A disk whose next sync fails where it is told so. Whoever looks does so before a sync ends.
private final class SyncingDisk: JournalDisk {
    private let disk = FileDisk()
    private let look: @Sendable () -> Void
    private let fails = Mutex(false)

    init(_ look: @escaping @Sendable () -> Void) { self.look = look }

    func failsNext(_ fails: Bool) { self.fails.withLock { $0 = fails } }

    func sync(_ file: Int32) throws(JournalError) {
        look()
        let fails = fails.withLock { fails in
            defer { fails = false }
            return fails
        }
        guard !fails else { throw JournalError(.disk, "sync the journal: Input/output error") }
        try disk.sync(file)
    }

    func open(_ path: String) throws(JournalError) -> Int32 { try disk.open(path) }
    func append(_ bytes: [UInt8], to file: Int32) throws(JournalError) { try disk.append(bytes, to: file) }
    func truncate(_ file: Int32, to length: Int) throws(JournalError) { try disk.truncate(file, to: length) }
    func overwrite(_ bytes: [UInt8], at offset: Int, of file: Int32) throws(JournalError) { try disk.overwrite(bytes, at: offset, of: file) }
    func close(_ file: Int32) { disk.close(file) }
}

/// A disk that fails once, at its n-th operation; a write that fails leaves half of it behind.
private final class FaultyDisk: JournalDisk {
    private let disk = FileDisk()
    private let left: Mutex<Int>

    init(failingAt step: Int) { left = Mutex(step) }

    var hasFailed: Bool { left.withLock { $0 <= 0 } }

    private func fails() -> Bool {
        left.withLock { left in
            left -= 1
            return left == 0
        }
    }

    private var fault: JournalError { JournalError(.disk, "no space left on device") }

    func open(_ path: String) throws(JournalError) -> Int32 {
        if fails() { throw fault }
        return try disk.open(path)
    }

    func append(_ bytes: [UInt8], to file: Int32) throws(JournalError) {
        if fails() {
            try disk.append(Array(bytes.prefix(bytes.count / 2)), to: file)
            throw fault
        }
        try disk.append(bytes, to: file)
    }

    func truncate(_ file: Int32, to length: Int) throws(JournalError) {
        if fails() { throw fault }
        try disk.truncate(file, to: length)
    }

    func sync(_ file: Int32) throws(JournalError) {
        if fails() { throw fault }
        try disk.sync(file)
    }

    func overwrite(_ bytes: [UInt8], at offset: Int, of file: Int32) throws(JournalError) {
        if fails() { throw fault }
        try disk.overwrite(bytes, at: offset, of: file)
    }

    func close(_ file: Int32) { disk.close(file) }
}
