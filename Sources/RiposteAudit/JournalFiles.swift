internal import Foundation
internal import Glibc

/// The files of a journal: segments named by the number of their first record, the head, the lock, and what was torn off.
struct JournalFiles: Sendable {
    let directory: String
    private let stateDirectory: String

    init(stateDirectory: String) { (self.stateDirectory, directory) = (stateDirectory, stateDirectory + "/journal") }

    /// What stands in the journal stands in part in these too. An earlier version made them with the mode that the umask gave.
    func closeCompanionsToOthers() throws(JournalError) {
        for name in ["state.json", "index.sqlite", "index.sqlite-journal", "index.sqlite-wal", "index.sqlite-shm"] { try PrivateFile.closeToOthers("\(stateDirectory)/\(name)") }
    }

    /// Number and length of the last record that is known to be on the medium. A journal that ends before it was cut.
    var head: String { directory + "/HEAD" }
    var lock: String { directory + "/journal.lock" }

    func segment(_ first: Int64) -> String {
        let digits = String(first)
        return "\(directory)/\(String(repeating: "0", count: max(0, 20 - digits.count)))\(digits).jsonl"
    }

    func torn(after seq: Int64, at time: Int64) -> String { "\(directory)/torn-\(seq)-\(time).bin" }

    /// First record numbers, ascending. Asked for whenever something was written, so not by Foundation, which takes five times as long.
    func segments() -> [Int64] { (try? readSegments()) ?? [] }

    /// The same for whom a folder that cannot be read is not an empty one. One that is not there is.
    func readSegments() throws(JournalError) -> [Int64] {
        guard let folder = opendir(directory) else {
            if errno == ENOENT { return [] }
            throw .disk("open \(directory)", errno)
        }
        defer { closedir(folder) }
        var numbers: [Int64] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if let number = Self.firstNumber(ofSegment: name) { numbers.append(number) }
        }
        return numbers.sorted()
    }

    /// The number in a segment's name; nil where no segment is called so.
    static func firstNumber(ofSegment name: String) -> Int64? {
        let digits = name.utf8.prefix(20)
        guard name.utf8.count == 26, name.hasSuffix(".jsonl"), digits.allSatisfy({ 0x30...0x39 ~= $0 }), let number = Int64(String(decoding: digits, as: UTF8.self)),
            JournalLine.numbers.contains(number)
        else { return nil }
        return number
    }

    /// Sequence number and hash in the head file.
    func readHead() -> (seq: Int64, hash: String)? {
        guard let bytes = FileManager.default.contents(atPath: head) else { return nil }
        let parts = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        // Zero: of a journal that was closed before it had a record.
        guard parts.count == 2, let seq = Int64(parts[0]), seq == 0 || JournalLine.numbers.contains(seq) else { return nil }
        return (seq, String(parts[1]))
    }

    func create() throws(JournalError) {
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            // Foundation's words name no reason; the call itself does.
            guard mkdir(directory, 0o700) != 0 else { return }
            throw .disk("make the folder \(directory)", errno)
        }
    }
}
