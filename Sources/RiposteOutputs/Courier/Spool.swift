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
package struct SpoolRecord: Sendable {
    package let seq: Int64
    package let hash: String
    /// Of its line.
    package let bytes: Int
    package let record: AuditRecord
    /// Where it begins, and what comes behind it.
    package let start: SpoolPlace
    package let end: SpoolPlace
    /// Of an admission, what was admitted.
    package let alert: Alert?
    let payload = SharedPayload()

    package init(seq: Int64, hash: String, bytes: Int, record: AuditRecord, start: SpoolPlace, end: SpoolPlace) {
        self.seq = seq
        self.hash = hash
        self.bytes = bytes
        self.record = record
        self.start = start
        self.end = end
        alert = record.kind == .alert ? Alert(admittedIn: record) : nil
    }
}

extension Alert {
    /// The alert that a record of its admission holds, whole.
    fileprivate init?(admittedIn record: AuditRecord) {
        guard let id = record.id else { return nil }
        let arrival = record.detail["arrival"].flatMap(Arrival.init(json:)) ?? Arrival(intake: "unknown", trust: .untrusted, time: record.time)
        do throws(AlertError) {
            if let document = record.detail["alert"] {
                try self.init(document, id: id, arrival: arrival)
            } else {
                guard let bytes = record.detail["alert_base64"]?.string?.valid.flatMap({ [UInt8](base64: $0) }) else { return nil }
                try self.init(parsing: bytes, id: id, arrival: arrival)
            }
        } catch {
            return nil
        }
    }
}
