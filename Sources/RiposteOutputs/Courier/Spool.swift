package import RiposteCore

/// The journal as outputs see it. It is the spool: what is to be sent is on the disk already, so a destination needs nothing but a place in it.
package protocol Spool: Sendable {
    /// The records from `place` on, at most so many and roughly so many bytes, at least one where there is one; `place` moves behind them.
    func read(_ place: inout SpoolPlace, count: Int, bytes: Int) throws -> [SpoolRecord]
    /// How many bytes stand behind a place.
    func bytes(behind place: SpoolPlace) -> Int
    /// The last record; nil in an empty journal.
    func last() throws -> SpoolRecord?
}

/// Where reading goes on.
package struct SpoolPlace: Sendable, Equatable {
    /// The number of the next record, or of a later one.
    package var seq: Int64
    /// The segment's file, by its first record, and the byte in it; nil: not known, to be looked for.
    package var segment: Int64?
    package var offset: Int

    package init(seq: Int64, segment: Int64? = nil, offset: Int = 0) {
        self.seq = seq
        self.segment = segment
        self.offset = offset
    }
}

/// One record, read once for all destinations that keep up.
package final class SpoolRecord: Sendable {
    /// Indirect: an audit record is large, and is handed from one to the next.
    package indirect enum Content: Sendable {
        case alert(AdmittedAlert)
        case record(AuditRecord)
    }

    package let seq: Int64
    package let hash: String
    /// Of its line.
    package let bytes: Int
    package let time: Timestamp
    package let content: Content
    /// Where it begins, and what comes behind it.
    package let start: SpoolPlace
    package let end: SpoolPlace
    let payload = SharedPayload()

    package init(_ line: SpoolLine, start: SpoolPlace, end: SpoolPlace) {
        (seq, hash, bytes, time, content) = (line.seq, line.hash, line.bytes, line.time, line.content)
        (self.start, self.end) = (start, end)
    }
}

/// A line of the journal, read as far as outputs need it. Its hash is not checked: that is the verifier's work.
package struct SpoolLine: Sendable {
    package let seq: Int64
    package let hash: String
    package let bytes: Int
    package let time: Timestamp
    package let content: SpoolRecord.Content

    /// `bytes`: of the line with its newline.
    package init(seq: Int64, hash: String, bytes: Int, _ record: AuditRecord) {
        (self.seq, self.hash, self.bytes, time) = (seq, hash, bytes, record.time)
        content = AdmittedAlert(record).map(SpoolRecord.Content.alert) ?? .record(record)
    }

    /// Nil where the line, which has no newline, is no record.
    package init?(_ line: [UInt8]) {
        if let admission = SpoolLine(admission: line) {
            self = admission
            return
        }
        guard let members = (try? JSON(parsing: line))?.object, let seq = members["seq"]?.integer, seq < .max, let hash = Self.hash(members["hash"]),
            let record = AuditRecord(members: members)
        else { return nil }
        self.init(seq: seq, hash: hash, bytes: line.count + 1, record)
    }

    /// It goes into payloads as it is.
    private static func hash(_ value: JSON?) -> String? {
        guard let hash = value?.string?.valid, !hash.isEmpty, hash.utf8.allSatisfy({ 0x30...0x39 ~= $0 || 0x61...0x66 ~= $0 }) else { return nil }
        return hash
    }

    /// An alert's admission, which most records are where there are many.
    private init?(admission line: [UInt8]) {
        guard let outline = JSONOutline(line) else { return nil }
        var (seq, hash, time, id, detail): (Int64?, String?, Timestamp?, Identifier?, JSONOutline.Member?)
        var isAdmission = false
        outline.forEach { member in
            func isCalled(_ name: StaticString) -> Bool { outline.spells(member.key, name) }
            if isCalled("seq") {
                seq = outline.json(member.value)?.integer
            } else if isCalled("kind") {
                isAdmission = outline.spells(member.value, "\"alert\"")
            } else if isCalled("ts") {
                time = outline.json(member.value)?.string.flatMap { Timestamp($0.bytes) }
            } else if isCalled("id") {
                id = outline.json(member.value)?.string.flatMap { Identifier(bytes: $0.bytes) }
            } else if isCalled("detail") {
                detail = member
            } else if isCalled("hash") {
                hash = Self.hash(outline.json(member.value))
            }
        }
        guard isAdmission, id != nil, let seq, seq < .max, let hash, let time, let detail, let alert = AlertText(outline, in: detail).flatMap({ AdmittedAlert($0) }) else {
            return nil
        }
        (self.seq, self.hash, self.time) = (seq, hash, time)
        bytes = line.count + 1
        content = .alert(alert)
    }
}
