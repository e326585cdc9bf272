internal import RiposteRules

/// The fields that the sensor gives values to. Each family has its own file, with what its fields mean there.
enum SensorField {
    case process(ProcessField)
    case descriptor(DescriptorField)
    case path(PathField)
    case event(EventValueField)
    case container(ContainerField)

    /// Each field of the catalogue that has a value here.
    struct Table {
        /// By the field's place in the catalogue.
        fileprivate let fields: [SensorField?]

        subscript(id: FieldID) -> SensorField? {
            let index = Int(id.rawValue)
            return index < fields.count ? fields[index] : nil
        }
    }

    static let table = Table(
        fields: FieldCatalogue.all.map { description in
            guard description.source == nil || description.source == "syscall" else { return nil }
            let name = description.name
            if let field = ProcessField(rawValue: name) { return .process(field) }
            if let field = DescriptorField(rawValue: name) { return .descriptor(field) }
            if let field = PathField(rawValue: name) { return .path(field) }
            if let field = EventValueField(rawValue: name) { return .event(field) }
            return ContainerField(rawValue: name).map(SensorField.container)
        })
}
