internal import CRiposte
internal import RiposteRules

/// `evt.*`, `syscall.type`.
enum EventValueField: String {
    case type = "evt.type"
}

extension SensorEvent {
    func eventValue(_ known: EventValueField, _ field: EventField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView { .absent }
}
