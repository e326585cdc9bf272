import Foundation
import Logging
import RiposteCore
import RiposteTestSupport
import Testing

@testable import RiposteAudit

private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

@Suite("Questions to the journal")
struct JournalSearchTests {
    private let folder: TemporaryFolder
    private var search: JournalSearch { JournalSearch(stateDirectory: folder.path) }

    init() throws { folder = try TemporaryFolder() }

    private func open(segmentBytes: Int = 2000) throws -> Journal {
        try Journal(stateDirectory: folder.path, configuration: .init(segmentBytes: segmentBytes), disk: FileDisk(), logger: logger)
    }

    private static let container = Target.container(ContainerIdentity(id: String(repeating: "ab", count: 32), name: "web", image: "i"))

    private func record(_ text: String, outcome: Outcome = .done, target: Target? = Self.container) -> AuditRecord {
        var record = AuditRecord(.outcome, at: .now(), id: .new(), detail: ["text": .text(text)])
        (record.action, record.outcome, record.target) = ("process.kill", outcome, target)
        return record
    }

    private func write(_ count: Int, segmentBytes: Int = 2000) throws {
        let journal = try open(segmentBytes: segmentBytes)
        for index in 0..<count { try journal.append(record("\(index)", outcome: index % 2 == 0 ? .done : .failed)) }
        journal.close()
    }

    private func ask(_ change: (inout JournalSearch.Query) -> Void = { _ in }) throws -> (texts: [String], problems: [JournalSearch.Problem]) {
        var query = JournalSearch.Query()
        change(&query)
        var problems: [JournalSearch.Problem] = []
        let found = try search.records(query) { problems.append($0) }
        return (found.compactMap { $0.record.detail["text"]?.string?.repaired }, problems)
    }

    private func segments() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path + "/journal").filter { $0.hasSuffix(".jsonl") }.sorted().map { "\(folder.path)/journal/\($0)" }
    }

    @Test("the newest that fit, oldest first, over segments; nothing is written beside the journal")
    func answers() throws {
        try write(20)
        #expect(try segments().count > 3)
        #expect(try ask { $0.limit = 3 }.texts == ["17", "18", "19"])
        #expect(try ask { $0.limit = .max }.texts == (0..<20).map(String.init))
        #expect(try ask().texts == (0..<20).map(String.init))
        #expect(
            try ask {
                $0.outcome = .failed
                $0.limit = 2
            }.texts == ["17", "19"])
        #expect(try ask { $0.target = "web" }.texts.count == 20 && ask { $0.target = "abab" }.texts.count == 20)
        #expect(try ask { $0.target = "bab" }.texts.isEmpty && ask { $0.target = "' OR 1=1 --" }.texts.isEmpty)
        #expect(try ask { $0.since = .now() + .seconds(60) }.texts.isEmpty && ask { $0.since = .now() + .seconds(-60) }.texts.count == 20)
        #expect(try ask { $0.limit = 3 }.problems.isEmpty && ask().problems.isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["journal"])
    }

    /// Records whose words are spelled in ways of their own, and one of each question that there is.
    @Test("what is passed over unread is what does not fit: the same as by reading everything")
    func prefilter() throws {
        let (alert, incident) = (Identifier.new(), Identifier.new())
        let texts = ["web", "we\"b", "a/b", "ns/pod", "ho", "\u{1B}[2J", "Ünïcode", "x\\y", "10.0.0.0/8", "fe80::1", "host", ""]
        let journal = try open()
        for text in texts {
            let targets: [Target?] = [
                .container(ContainerIdentity(id: text + "0123", name: text, image: "i")), .pod(PodIdentity(namespace: text, name: "n", uid: "u")), .host(machineID: "m" + text),
                IPNetwork(text).map { .address($0) }, nil,
            ]
            for target in targets {
                var one = record(text, target: target)
                one.action = "process.\(text)"
                (one.alert, one.incident) = (text == "web" ? alert : nil, text == "ns/pod" ? incident : nil)
                try journal.append(one)
            }
        }
        try journal.append(AuditRecord(.alert, at: .now(), id: alert, detail: ["text": "alert"]))
        journal.close()
        var all: [JournalEntry] = []
        try JournalReader(stateDirectory: folder.path).read { entry in
            all.append(entry)
            return true
        }
        var changes: [(inout JournalSearch.Query) -> Void] = [
            { $0.alert = alert }, { $0.incidents = [incident] }, { $0.incidents = [incident, .new()] }, { $0.incidents = [] }, { $0.kind = .alert },
            { $0.id = all[3].record.id }, { $0.since = all[7].record.time }, { $0.outcome = .done },
        ]
        for text in texts + ["h", "ns/", "ns/pod/n", "/", "m", "10.0", "fe80:"] {
            changes.append { $0.target = text }
            changes.append { $0.action = "process.\(text)" }
        }
        for (number, change) in changes.enumerated() {
            var query = JournalSearch.Query()
            change(&query)
            #expect(try search.records(query) { _ in }.map(\.seq) == all.filter { query.fits($0.record) }.map(\.seq), "\(number): \(query)")
            query.limit = 2
            #expect(try search.records(query) { _ in }.map(\.seq) == all.filter { query.fits($0.record) }.suffix(2).map(\.seq), "\(number): \(query)")
        }
    }

    /// The fifth record's line, within the segment that all are in.
    private func edit(_ change: ([UInt8]) -> [[UInt8]]) throws {
        let path = try #require(try segments().first)
        var lines = try Array(#require(FileManager.default.contents(atPath: path))).split(separator: UInt8(ascii: "\n")).map(Array.init)
        lines.replaceSubrange(4...4, with: change(lines[4]))
        try Data(lines.flatMap { $0 + [UInt8(ascii: "\n")] }).write(to: URL(fileURLWithPath: path))
    }

    @Test("what was taken out, changed, changed and hashed anew, or put in is told, and what stands there is shown")
    func damage() throws {
        try write(10, segmentBytes: 1 << 20)
        let path = try #require(try segments().first)
        let whole = try #require(FileManager.default.contents(atPath: path))
        func changed(_ line: [UInt8]) -> [UInt8] { Array(String(decoding: line, as: UTF8.self).replacing("\"text\":\"4\"", with: "\"text\":\"x\"").utf8) }
        func rehashed(_ line: [UInt8]) -> [UInt8] {
            guard let entry = JournalLine.decode(changed(line)) else { return [] }
            return JournalLine.encode(entry.record, seq: entry.seq, prev: entry.prev).line
        }
        let cases: [(name: String, change: ([UInt8]) -> [[UInt8]], problem: JournalSearch.Problem, shown: Int)] = [
            ("taken out", { _ in [] }, .gap(after: 4, before: 6), 9), ("changed", { [changed($0)] }, .changed(5), 10), ("hashed anew", { [rehashed($0)] }, .changed(5), 10),
            ("put in", { [$0, Array("{}".utf8)] }, .noRecord(after: 5), 10), ("torn", { [Array($0.prefix(120))] }, .noRecord(after: 4), 9),
        ]
        for (name, change, problem, shown) in cases {
            try edit(change)
            for query in [{ $0.limit = 100 }, { _ in }] as [(inout JournalSearch.Query) -> Void] {
                let (texts, problems) = try ask(query)
                #expect(problems.contains(problem) && texts.count == shown, "\(name): \(problems)")
                #expect(!(try JournalVerifier(stateDirectory: folder.path).verify().isIntact))
            }
            try whole.write(to: URL(fileURLWithPath: path))
        }
        try whole.prefix(upTo: #require(whole.dropLast().lastIndex(of: UInt8(ascii: "\n"))) + 1).write(to: URL(fileURLWithPath: path))
        #expect(try ask { $0.limit = 3 }.problems == [.cut(after: 9, upTo: 10)] && ask().problems == [.cut(after: 9, upTo: 10)])
    }

    @Test("a segment that is gone between others is told")
    func segmentGone() throws {
        try write(20)
        let gone = try segments()[2]
        let first = try #require(Int64(URL(fileURLWithPath: gone).deletingPathExtension().lastPathComponent))
        let next = try #require(Int64(URL(fileURLWithPath: try segments()[3]).deletingPathExtension().lastPathComponent))
        try FileManager.default.removeItem(atPath: gone)
        for query in [{ $0.limit = 100 }, { _ in }] as [(inout JournalSearch.Query) -> Void] { #expect(try ask(query).problems == [.gap(after: first - 1, before: next)]) }
    }

    @Test("a journal that was removed or emptied, and one whose beginning, newest or middle records are gone, are told, and what stands there is shown")
    func emptied() throws {
        try write(20)
        let paths = try segments()
        let firsts = try paths.map { try #require(Int64(URL(fileURLWithPath: $0).deletingPathExtension().lastPathComponent)) }
        let whole = try paths.map { try Data(contentsOf: URL(fileURLWithPath: $0)) }
        func empty(_ number: Int) throws { try Data().write(to: URL(fileURLWithPath: paths[number])) }
        func behead(_ number: Int) throws {
            let lines = whole[number].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            try Data(lines.dropFirst(2).joined(separator: [UInt8(ascii: "\n")])).write(to: URL(fileURLWithPath: paths[number]))
        }
        let (last, head) = (paths.count - 1, Int64(20))
        let cases: [(name: String, change: () throws -> Void, problems: Set<String>, shown: Int64)] = [
            ("removed", { for path in paths { try FileManager.default.removeItem(atPath: path) } }, ["the journal has no record, and had 20"], 0),
            ("emptied", { for number in paths.indices { try empty(number) } }, ["the journal has no record, and had 20"], 0),
            (
                "only an empty segment is left",
                {
                    for path in paths { try FileManager.default.removeItem(atPath: path) }; try empty(0)
                }, ["the journal has no record, and had 20"], 0
            ),
            ("first records", { try behead(0) }, ["records are missing between 0 and 3"], head - 2),
            ("first records of another segment", { try behead(2) }, ["records are missing between \(firsts[2] - 1) and \(firsts[2] + 2)"], head - 2),
            ("a segment emptied", { try empty(2) }, ["records are missing between \(firsts[2] - 1) and \(firsts[3])"], head - (firsts[3] - firsts[2])),
            (
                "the newest emptied", { try empty(last) }, ["the journal ends with record \(firsts[last] - 1), and had 20"], firsts[last] - 1
            ),
            (
                "the two newest emptied",
                {
                    try empty(last); try empty(last - 1)
                },
                ["the journal ends with record \(firsts[last - 1] - 1), and had 20", "records are missing between \(firsts[last - 1] - 1) and \(firsts[last])"],
                firsts[last - 1] - 1
            ),
        ]
        for (name, change, problems, shown) in cases {
            try change()
            for query in [{ $0.limit = 100 }, { _ in }] as [(inout JournalSearch.Query) -> Void] {
                let found = try ask(query)
                #expect(
                    Set(found.problems.map(\.description)) == problems && found.problems.count == problems.count && found.texts.count == Int(shown), "\(name): \(found.problems)")
            }
            for (path, bytes) in zip(paths, whole) { try bytes.write(to: URL(fileURLWithPath: path)) }
        }
        #expect(try ask().problems.isEmpty)
    }

    @Test("a segment that has just been begun lacks nothing, nor does a journal whose beginning was archived")
    func nothingMissing() throws {
        try write(20)
        _ = try folder.file("journal/00000000000000000021.jsonl")
        try FileManager.default.removeItem(atPath: try segments()[0])
        for query in [{ $0.limit = 100 }, { _ in }] as [(inout JournalSearch.Query) -> Void] { #expect(try ask(query).problems.isEmpty) }
    }

    @Test("a folder that cannot be read is not an empty journal")
    func unreadable() throws {
        _ = try folder.file("journal")
        for query in [{ $0.limit = 9 }, { _ in }] as [(inout JournalSearch.Query) -> Void] { #expect(throws: JournalError.self) { try ask(query) } }
    }

    @Test("numbers that no record has end nothing")
    func numbers() throws {
        try write(3, segmentBytes: 1 << 20)
        let path = try #require(try segments().first)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try (text + "{\"seq\":9223372036854775807,\"prev\":\"\"}\n{\"seq\":-9223372036854775808,\n").write(toFile: path, atomically: false, encoding: .utf8)
        #expect(try ask().texts.count == 3 && ask { $0.limit = 9 }.texts.count == 3)
    }
}
