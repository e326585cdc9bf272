internal import CRiposte
internal import RiposteRules

/// `container.*`, `k8s.*` of system call events.
enum ContainerField: String {
    case id = "container.id"
}

extension SensorEvent {
    func containerValue(_ known: ContainerField, _ field: EventField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView { .absent }
}
