internal import Crypto
package import RiposteCore

/// One record as it stands in a segment: `{"seq":N,"prev":"…",…,"hash":"…"}`.
///
/// The hash is SHA-256 over the line's own bytes up to `,"hash"`; `prev`, the hash of the record before, is among them. So what is
/// hashed is what is written, and there is no second spelling to agree on.
package struct JournalEntry: Sendable {
    package let seq: Int64
    package let prev: String
    package let hash: String
    package let record: AuditRecord
    /// As it stands, without the newline.
    package let line: [UInt8]

    /// Whether the line has the hash that it claims.
    package var isAsWritten: Bool { JournalLine.hashes(of: line).map { $0.claimed == $0.actual } ?? false }

    /// The members in their order, chain included.
    package var members: JSONObject { (try? JSON(parsing: line))?.object ?? JSONObject() }
}

enum JournalLine {
    /// What makes a record of it, for those who read.
    static let end = [UInt8(ascii: "\n")]
    /// What the first record's `prev` is.
    static let origin = String(repeating: "0", count: 64)
    /// The numbers that records have. Each has one before and one behind it, so that nothing that stands in a file makes counting trap.
    static let numbers: Range<Int64> = 1..<Int64.max
    private static let hashKey = Array(#","hash":""#.utf8)
    private static let hashLength = 64
    /// `,"hash":"` + 64 + `"}`
    private static let tailLength = hashKey.count + hashLength + 2

    /// The line without newline, and its hash.
    static func encode(_ record: AuditRecord, seq: Int64, prev: String) -> (line: [UInt8], hash: String) {
        let members = JSON.object(record.members).bytes
        var line: [UInt8] = []
        line.reserveCapacity(members.count + 256)
        line.append(contentsOf: "{\"seq\":\(seq),\"prev\":\"\(prev)\"".utf8)
        line.append(UInt8(ascii: ","))
        line.append(contentsOf: members.dropFirst().dropLast())
        let hash = digest(line[...])
        line.append(contentsOf: hashKey)
        line.append(contentsOf: hash.utf8)
        line.append(contentsOf: "\"}".utf8)
        return (line, hash)
    }

    /// The hash that a line claims and the one that its bytes have; nil where it has no place for one.
    static func hashes(of line: [UInt8]) -> (claimed: String, actual: String)? {
        guard line.count > tailLength, line.suffix(2).elementsEqual("\"}".utf8) else { return nil }
        let cut = line.count - tailLength
        guard line[cut..<(cut + hashKey.count)].elementsEqual(hashKey) else { return nil }
        let claimed = String(decoding: line[(cut + hashKey.count)..<(line.count - 2)], as: UTF8.self)
        return (claimed, digest(line[..<cut]))
    }

    /// The hash that a line claims, unchecked; nil where it has no place for one.
    static func claimedHash(_ line: [UInt8]) -> String? { claimedHashBytes(line).map { String(decoding: $0, as: UTF8.self) } }

    static func claimedHashBytes(_ line: [UInt8]) -> ArraySlice<UInt8>? {
        guard line.count > tailLength, line[(line.count - tailLength)...].starts(with: hashKey) else { return nil }
        return line[(line.count - hashLength - 2)..<(line.count - 2)]
    }

    /// The hash that a line claims of the one before, unchecked; nil where it does not begin like a record.
    static func previous(_ line: [UInt8]) -> ArraySlice<UInt8>? {
        guard let comma = line.dropFirst(7).firstIndex(of: UInt8(ascii: ",")), line.count > comma + previousKey.count + hashLength,
            line[comma...].starts(with: previousKey)
        else { return nil }
        return line[(comma + previousKey.count)...].prefix(hashLength)
    }

    private static let previousKey = Array(#","prev":""#.utf8)

    /// When the record was written, as its 30 bytes stand there; nil where the line does not begin as ours do.
    static func time(_ line: [UInt8]) -> ArraySlice<UInt8>? {
        guard let previous = previous(line), line[previous.endIndex...].starts(with: kindKey),
            let end = line[(previous.endIndex + kindKey.count)...].firstIndex(of: UInt8(ascii: "\"")), line.count > end + timeKey.count + 30,
            line[end...].starts(with: timeKey)
        else { return nil }
        return line[(end + timeKey.count)...].prefix(30)
    }

    private static let kindKey = Array(#"","kind":""#.utf8)
    private static let timeKey = Array(#"","ts":""#.utf8)

    /// Number and kind of a line without taking it apart; nil where it does not begin like a record.
    static func head(_ line: [UInt8]) -> (seq: Int64, isCheckpoint: Bool)? {
        guard line.starts(with: #"{"seq":"#.utf8), let end = line.dropFirst(7).firstIndex(of: UInt8(ascii: ",")), end < 27,
            let seq = Int64(String(decoding: line[7..<end], as: UTF8.self)), numbers.contains(seq)
        else { return nil }
        let kind = line.dropFirst(end + #","prev":""#.utf8.count + hashLength)
        return (seq, kind.starts(with: #"","kind":"checkpoint","#.utf8))
    }

    /// Reads a line's place in the chain and its record; nil where it is no record. Does not check the hash.
    static func decode(_ line: [UInt8]) -> JournalEntry? {
        guard let members = (try? JSON(parsing: line))?.object, let seq = members["seq"]?.integer, numbers.contains(seq),
            let prev = members["prev"]?.string?.valid, let hash = members["hash"]?.string?.valid, let record = AuditRecord(members: members)
        else { return nil }
        return JournalEntry(seq: seq, prev: prev, hash: hash, record: record, line: line)
    }

    private static func digest(_ bytes: ArraySlice<UInt8>) -> String {
        bytes.withUnsafeBytes { SHA256.hash(data: $0) }.hexadecimal
    }
}
