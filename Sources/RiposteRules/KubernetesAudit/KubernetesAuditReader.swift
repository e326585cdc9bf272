package import RiposteCore

/// Reads what an API server sends to its audit webhook or writes to its audit log: an `Event`, an `EventList`, or an array of these
/// (spec: alert-inputs.md 3).
package struct KubernetesAuditReader: Sendable {
    package struct Batch: Sendable {
        package fileprivate(set) var events: [KubernetesAuditEvent] = []
        /// Those of the list that could not be taken; the first hundred, see ``droppedCount``.
        package fileprivate(set) var dropped: [Dropped] = []
        package fileprivate(set) var droppedCount = 0
    }

    /// One event of a list that could not be taken, and why.
    package struct Dropped: Sendable, Equatable, CustomStringConvertible {
        /// Its place among the events of the text, from 1.
        package let number: Int
        package let auditID: ByteText?
        package let problem: String

        package var description: String { "event \(number)\(auditID.map { " (\($0.shown.prefix(64)))" } ?? ""): \(problem)" }
    }

    /// Of an event as JSON without blanks; Falco's limit.
    package var eventLimit = 262_144
    private static let toldDrops = 100

    package init() {}

    /// Takes all or nothing as far as the text goes, and event by event as far as these go.
    package func read(_ text: [UInt8]) throws(KubernetesAuditError) -> Batch {
        var batch = Batch()
        try take(try JSON(forgiving: text), &batch)
        return batch
    }

    private func take(_ json: JSON, _ batch: inout Batch) throws(KubernetesAuditError) {
        switch json {
        case .array(let elements):
            for element in elements { try take(element, &batch) }
        case .object(let object):
            switch object["kind"] {
            case "Event": take(event: json, &batch)
            case "EventList":
                guard let items = object["items"]?.array else { throw KubernetesAuditError(problem: "an EventList without a list of items") }
                for item in items { take(event: item, &batch) }
            case .string(let kind): throw KubernetesAuditError(problem: "no audit event and no list of them: kind \"\(kind.shown.prefix(64))\"")
            default: throw KubernetesAuditError(problem: "no audit event and no list of them: it has no kind")
            }
        default: throw KubernetesAuditError(problem: "no audit event and no list of them: it is no object")
        }
    }

    private func take(event json: JSON, _ batch: inout Batch) {
        if let problem = append(json, &batch) {
            let number = batch.events.count + batch.droppedCount + 1
            batch.droppedCount += 1
            guard batch.dropped.count < Self.toldDrops else { return }
            batch.dropped.append(Dropped(number: number, auditID: json["auditID"]?.string, problem: problem))
        }
    }

    /// What is wrong with it, if anything.
    private func append(_ json: JSON, _ batch: inout Batch) -> String? {
        guard case .object(let object) = json else { return "it is no object" }
        guard let time = object["stageTimestamp"]?.string.flatMap({ Timestamp($0.bytes) }) else {
            return "stageTimestamp must be an RFC 3339 text such as 2026-03-04T11:22:33.123456Z"
        }
        guard json.writtenBound <= eventLimit || json.bytes.count <= eventLimit else { return "it is longer than \(eventLimit) bytes" }
        batch.events.append(KubernetesAuditEvent(document: json, time: time))
        return nil
    }
}

/// Why a text holds no audit events, and where where that is known: `offset` counts bytes from its start.
package struct KubernetesAuditError: Error, Equatable, Sendable, CustomStringConvertible {
    package let problem: String
    package let offset: Int?

    init(problem: String, offset: Int? = nil) {
        self.problem = problem
        self.offset = offset
    }

    package var description: String { offset.map { "\(problem) (byte \($0))" } ?? problem }
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
