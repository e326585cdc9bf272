package import RiposteCore

/// One event of an API server's audit log, as the rules of source `k8s_audit` see it. Fields are got out of it when they are asked for.
package final class KubernetesAuditEvent: RuleEvent, Sendable {
    package static let source = "k8s_audit"

    /// All of it, an object.
    package let document: JSON
    /// Its `stageTimestamp`.
    package let time: Timestamp
    /// What has no `auditID` has no `ka.*` field either, as with Falco.
    private let isIdentified: Bool

    init(document: JSON, time: Timestamp) {
        self.document = document
        self.time = time
        isIdentified = document["auditID"] != nil
    }

    package var auditID: ByteText? { document["auditID"]?.string }

    package var type: EventType { Self.type }
    private static let type = EventType(named: "pluginevent") ?? .other

    package func value(of field: EventField, in arena: FieldArena) -> FieldView {
        let index = Int(field.id.rawValue)
        guard Self.extractions.indices.contains(index), let extraction = Self.extractions[index], isIdentified || !extraction.isOfAudit else {
            return .absent
        }
        return extraction.extract(AuditExtraction.Request(event: self, field: field, arena: arena))
    }
}
