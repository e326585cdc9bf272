internal import CRiposte
internal import RiposteRules

/// `fs.path.*`.
enum PathField: String {
    case name = "fs.path.name"
}

extension SensorEvent {
    func pathValue(_ known: PathField, _ field: EventField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView { .absent }
}
