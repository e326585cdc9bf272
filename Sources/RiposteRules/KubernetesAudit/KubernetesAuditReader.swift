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
    /// Of a text's events. An API server's batch has some hundreds, and no event of its own is so small that the largest body could hold as many.
    package var countLimit = 65_536

    package init() {}

    /// Takes all or nothing as far as the text goes, and event by event as far as these go.
    package func read(_ text: [UInt8]) throws(KubernetesAuditError) -> Batch {
        var (text, batch) = (try open(text), Batch())
        while let event = text.next() { batch.events.append(event) }
        (batch.dropped, batch.droppedCount) = (text.dropped, text.droppedCount)
        return batch
    }

    /// The same for whoever wants one event after the other: then there is one of them in memory, however many the text has.
    package func open(_ text: [UInt8]) throws(KubernetesAuditError) -> KubernetesAuditText { try KubernetesAuditText(text, eventLimit: eventLimit, countLimit: countLimit) }
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
