package import RiposteCore

/// An event as a flat map from field to typed value, absent fields left out: what `riposte rules replay` reads, one to a line.
package final class RecordedEvent: RuleEvent {
    package let object: JSONObject
    package let type: EventType
    package let time: Timestamp
    private let fields: FlatFields

    /// `evt.type` names the event's type, `evt.time` is in nanoseconds; both may be missing.
    package init(_ object: JSONObject) {
        self.object = object
        fields = FlatFields(object: object)
        type = object["evt.type"]?.string.flatMap { EventType(named: $0.repaired) } ?? .other
        time = Timestamp(nanoseconds: object["evt.time"]?.integer ?? object["evt.rawtime"]?.integer ?? 0)
    }

    package func value(of field: EventField, in arena: FieldArena) -> FieldView { fields.value(of: field, in: arena) }
}
