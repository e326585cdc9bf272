/// The contents of one passwd and one group file as tables, in memory of its own that lives as long as it. Of several entries for one id the first
/// counts, as in the C library.
///
/// Unchecked: nothing changes after `init`.
final class AccountBook: @unchecked Sendable {
    /// How much is taken from files that somebody else may write.
    struct Limits: Sendable {
        var fileBytes = 1 << 20
        var entries = 4096
        /// Of a name, a home or a shell; an entry with a longer one is left out.
        var textBytes = 256

        static let host = Limits(fileBytes: 64 << 20, entries: 1 << 20, textBytes: 4096)
    }

    static let empty = AccountBook(passwd: [], group: [], limits: Limits())

    private let memory: UnsafeMutableRawBufferPointer
    let users: [UInt32: AccountTable.User]
    let groups: [UInt32: UnsafeRawBufferPointer]

    /// What it takes up, roughly.
    var byteCount: Int { memory.count + users.count * 128 + groups.count * 48 }

    init(passwd: [UInt8], group: [UInt8], limits: Limits) {
        let userLines = Self.lines(passwd, idField: 2, texts: [0, 5, 6], limits)
        let groupLines = Self.lines(group, idField: 2, texts: [0], limits)
        let byteCount = (userLines + groupLines).reduce(0) { sum, line in line.texts.reduce(sum) { $0 + $1.count } }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 1)
        var used = 0
        users = Dictionary(uniqueKeysWithValues: userLines.map { line in (line.id, AccountTable.User(line.texts.map { Self.put($0, into: memory, at: &used) })) })
        groups = Dictionary(uniqueKeysWithValues: groupLines.map { line in (line.id, Self.put(line.texts[0], into: memory, at: &used)) })
        self.memory = memory
    }

    deinit { memory.deallocate() }

    private static func put(_ text: ArraySlice<UInt8>, into memory: UnsafeMutableRawBufferPointer, at used: inout Int) -> UnsafeRawBufferPointer {
        let place = UnsafeMutableRawBufferPointer(rebasing: memory[used..<(used + text.count)])
        place.copyBytes(from: text)
        used += text.count
        return UnsafeRawBufferPointer(place)
    }

    private struct Line {
        let id: UInt32
        let texts: [ArraySlice<UInt8>]
    }

    /// Fields that a line lacks at its end are empty. Comments, NIS entries and what has no name or no number are skipped.
    private static func lines(_ file: [UInt8], idField: Int, texts: [Int], _ limits: Limits) -> [Line] {
        var seen: Set<UInt32> = []
        var result: [Line] = []
        for line in file.split(separator: UInt8(ascii: "\n")) {
            guard result.count < limits.entries else { break }
            guard let first = line.first, ![UInt8(ascii: "#"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ":")].contains(first) else { continue }
            let fields = line.split(separator: UInt8(ascii: ":"), maxSplits: 6, omittingEmptySubsequences: false)
            guard fields.count > idField, let id = number(fields[idField]), !seen.contains(id) else { continue }
            let wanted = texts.map { $0 < fields.count ? fields[$0] : [] }
            guard wanted.allSatisfy({ $0.count <= limits.textBytes && !$0.contains(0) }) else { continue }
            seen.insert(id)
            result.append(Line(id: id, texts: wanted))
        }
        return result
    }

    private static func number(_ text: ArraySlice<UInt8>) -> UInt32? {
        guard 1...10 ~= text.count, text.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else { return nil }
        return UInt32(exactly: text.reduce(0 as UInt64) { $0 * 10 + UInt64($1 - UInt8(ascii: "0")) })
    }
}

extension AccountTable.User {
    fileprivate convenience init(_ texts: [UnsafeRawBufferPointer]) { self.init(name: texts[0], home: texts[1], shell: texts[2]) }
}
