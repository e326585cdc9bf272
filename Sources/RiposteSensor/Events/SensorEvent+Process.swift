internal import CRiposte
internal import RiposteRules

/// `proc.*`, `thread.*`, `user.*`, `group.*`.
enum ProcessField: String {
    case name = "proc.name"
}

extension SensorEvent {
    func processValue(_ known: ProcessField, _ field: EventField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView { .absent }
}
