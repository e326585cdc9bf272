internal import CRiposte
internal import RiposteRules

/// `fd.*`, `fdlist.*`.
enum DescriptorField: String {
    case num = "fd.num"
}

extension SensorEvent {
    func descriptorValue(_ known: DescriptorField, _ field: EventField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView { .absent }
}
