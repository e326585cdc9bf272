internal import RiposteCore

/// A text of audit events that has no errors. Its events are made one after the other as they are asked for.
///
/// The text may be anybody's, and megabytes of it. It is looked through once to see that it is JSON and where its events stand, the items of a list once more; then
/// each event is read by itself, unless it is too long, which is seen before anything is made of it. So the work grows with the text's length and with nothing else, and
/// the memory with one event. In an event the body of a patch stands as the client sent it, with keys that stand twice, and deeper than ``JSON/depthLimit``: the API server
/// takes such bodies, so were they refused here, one patch would hide itself and the batch it came in.
package struct KubernetesAuditText: Sendable {
    package private(set) var dropped: [KubernetesAuditReader.Dropped] = []
    package private(set) var droppedCount = 0
    /// Bytes that were looked at so far, each as often as that was.
    private(set) var work: Int

    private let text: [UInt8]
    private let eventLimit: Int
    private let places: [JSONCursor.Passed]
    private var count = 0
    private static let toldDrops = 100

    init(_ text: [UInt8], eventLimit: Int, countLimit: Int) throws(KubernetesAuditError) {
        var places = AuditEventPlaces(text: text, limit: countLimit)
        do throws(JSONError) { try places.find() } catch { throw KubernetesAuditError(problem: "not JSON: \(error.problem)", offset: error.offset) }
        if let problem = places.problem { throw KubernetesAuditError(problem: problem) }
        (self.text, self.eventLimit, self.places, work) = (text, eventLimit, places.found, places.work)
    }

    /// Nil behind the last one. Those that cannot be taken are left out, and told.
    package mutating func next() -> KubernetesAuditEvent? {
        while count < places.count {
            let place = places[count]
            count += 1
            let problem: String
            switch read(place) {
            case .success(let event): return event
            case .failure(let refusal): problem = refusal.problem
            }
            droppedCount += 1
            guard dropped.count < Self.toldDrops else { continue }
            dropped.append(KubernetesAuditReader.Dropped(number: count, auditID: auditID(in: place.range), problem: problem))
        }
        return nil
    }

    private mutating func read(_ place: JSONCursor.Passed) -> Result<KubernetesAuditEvent, KubernetesAuditError> {
        func refusal(_ problem: String) -> Result<KubernetesAuditEvent, KubernetesAuditError> { .failure(KubernetesAuditError(problem: problem)) }
        guard text[place.range.lowerBound] == UInt8(ascii: "{") else { return refusal("it is no object") }
        let tooLong = "it is longer than \(eventLimit) bytes"
        guard place.leastWritten <= eventLimit else { return refusal(tooLong) }
        work += place.range.count
        let json: JSON
        do throws(JSONError) { json = try JSON(forgiving: text[place.range]) } catch { return refusal("not JSON: \(error.problem)") }
        guard let time = json["stageTimestamp"]?.string.flatMap({ Timestamp($0.bytes) }) else {
            return refusal("stageTimestamp must be an RFC 3339 text such as 2026-03-04T11:22:33.123456Z")
        }
        guard json.writtenBound <= eventLimit || json.bytes.count <= eventLimit else { return refusal(tooLong) }
        return .success(KubernetesAuditEvent(document: json, time: time))
    }

    /// Of one that is told, so that it is found in the API server's log.
    private mutating func auditID(in range: Range<Int>) -> ByteText? {
        guard text[range.lowerBound] == UInt8(ascii: "{") else { return nil }
        work += range.count
        let value = try? JSONCursor.over(text, in: range) { cursor throws(JSONError) in
            var value: Range<Int>?
            try cursor.members { key, cursor throws(JSONError) in
                let passed = try cursor.pass()
                if key == "auditID" { value = passed.range }
            }
            return value
        }
        guard let value, value.count <= 256 else { return nil }
        return (try? JSON(parsing: text[value]))?.string
    }
}

/// Where events stand in a text.
private struct AuditEventPlaces {
    let text: [UInt8]
    let limit: Int
    private(set) var found: [JSONCursor.Passed] = []
    /// The first thing that is no event and no list of them.
    private(set) var problem: String?
    private(set) var work = 0

    init(text: [UInt8], limit: Int) { (self.text, self.limit) = (text, limit) }

    mutating func find() throws(JSONError) {
        work += text.count
        try JSONCursor.over(text) { cursor throws(JSONError) in
            try find(&cursor, depth: 0)
            try cursor.end()
        }
    }

    private mutating func find(_ cursor: inout JSONCursor, depth: Int) throws(JSONError) {
        switch cursor.nextByte() {
        case UInt8(ascii: "[") where depth < JSON.depthLimit:
            try cursor.elements { cursor throws(JSONError) in try find(&cursor, depth: depth + 1) }
        case UInt8(ascii: "{"): try findInObject(&cursor)
        default:
            _ = try cursor.pass()
            object("it is no object")
        }
    }

    private mutating func findInObject(_ cursor: inout JSONCursor) throws(JSONError) {
        let start = cursor.position
        var (kind, items, written) = (Range<Int>?.none, Range<Int>?.none, 0)
        try cursor.members { key, cursor throws(JSONError) in
            let value = try cursor.pass()
            written += key.bytes.count + #""":"#.utf8.count + value.leastWritten
            // Of a key that stands twice the last one counts.
            if key == "kind" { kind = value.range } else if key == "items" { items = value.range }
        }
        let range = start..<cursor.position
        switch kind.flatMap({ try? JSON(parsing: text[$0]) })?.string {
        case "Event": add(JSONCursor.Passed(range, sparing: range.count - written))
        case "EventList": try findItems(items)
        case let kind?: object("kind \"\(kind.shown.prefix(64))\"")
        case nil: object("it has no kind")
        }
    }

    private mutating func findItems(_ range: Range<Int>?) throws(JSONError) {
        guard let range, text[range.lowerBound] == UInt8(ascii: "[") else {
            problem = problem ?? "an EventList without a list of items"
            return
        }
        work += range.count
        try JSONCursor.over(text, in: range) { cursor throws(JSONError) in
            try cursor.elements { cursor throws(JSONError) in add(try cursor.pass()) }
        }
    }

    private mutating func add(_ place: JSONCursor.Passed) {
        if found.count < limit { found.append(place) } else { problem = problem ?? "more than \(limit) events" }
    }

    private mutating func object(_ words: String) { problem = problem ?? "no audit event and no list of them: \(words)" }
}
extension JSON {
    /// At least as many bytes as it takes written: a byte of text becomes six at most. Spares writing events only to see that they are short.
    fileprivate var writtenBound: Int {
        switch self {
        case .null, .bool, .integer: 24
        case .number(let text): text.bytes.count
        case .string(let text): 6 * text.bytes.count + 2
        case .array(let elements): elements.reduce(2) { $0 + $1.writtenBound + 1 }
        case .object(let object): object.members.reduce(2) { $0 + 6 * $1.key.bytes.count + 4 + $1.value.writtenBound }
        }
    }
}
