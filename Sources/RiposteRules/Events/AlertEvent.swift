package import RiposteCore

/// An alert as conditions see it: its fields, and under `alert.` what it says of itself. Missing, `null` and Falco's text `<NA>` are absent.
package final class AlertEvent: RuleEvent {
    private let alert: Alert
    private let fields: FlatFields

    package init(_ alert: Alert) {
        self.alert = alert
        fields = FlatFields(object: alert.fields)
    }

    package var type: EventType { .other }

    package func value(of field: EventField, in arena: FieldArena) -> FieldView {
        let value = fields.value(of: field, in: arena)
        if case .text(let text) = value, text.elementsEqual("<NA>".utf8) { return .absent }
        guard value.isAbsent, field.id != .unlisted, FieldCatalogue[field.id].source == "alert" else { return value }
        return alert.property(FieldCatalogue[field.id].name).flatMap { FlatFields.view($0, arena) } ?? .absent
    }
}

/// An alert with the fields of a ``ConditionScope``, which are asked by name.
package final class ScopedEvent: RuleEvent {
    private let alert: AlertEvent
    private let scope: ConditionScope
    private let values: (String) -> JSON?

    package init(_ alert: Alert, _ scope: ConditionScope, values: @escaping (String) -> JSON?) {
        self.alert = AlertEvent(alert)
        self.scope = scope
        self.values = values
    }

    package var type: EventType { .other }

    package func value(of field: EventField, in arena: FieldArena) -> FieldView {
        let name = String(decoding: field.text, as: UTF8.self)
        guard scope.owns(name) else { return alert.value(of: field, in: arena) }
        return values(name).flatMap { FlatFields.view($0, arena) } ?? .absent
    }
}

extension Alert {
    /// What the alert says of itself, by the name that conditions and templates have for it: `alert.rule`.
    package func property(_ name: String) -> JSON? {
        switch name {
        case "alert.rule": .string(rule)
        case "alert.priority": .text(priority.name.lowercased())
        case "alert.source": source.map(JSON.string)
        case "alert.hostname": hostname.map(JSON.string)
        case "alert.output": output.map(JSON.string)
        case "alert.intake": .text(arrival.intake)
        case "alert.tags": .array(tags.map(JSON.string))
        default: .none
        }
    }
}
