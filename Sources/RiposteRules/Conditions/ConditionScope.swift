internal import RiposteCore

/// Fields that a condition may ask beside those of an alert, in families of their own: `steps.pause.outcome`, `run.mode`. A field of such a family is
/// never looked for in the alert, so that nobody who makes alerts can say how a step ended.
package struct ConditionScope: Hashable, Sendable {
    /// `steps`, `run`: what stands before the first dot.
    package var families: Set<String>
    /// Fields with a name and a type.
    package var fields: [String: FieldType]
    /// Beginnings under which any name may be asked: `steps.pause.detail.`
    package var open: [String]

    package init(families: Set<String>, fields: [String: FieldType], open: [String]) {
        self.families = families
        self.fields = fields
        self.open = open
    }

    package func owns(_ name: String) -> Bool { families.contains(String(name.prefix { $0 != "." })) }

    /// The type of a field of one of the families; nil for a field of the alert.
    func type(of field: Condition.FieldReference) throws(ConditionError) -> FieldType? {
        guard owns(field.name) else { return nil }
        guard field.argument == nil else { throw ConditionError("the field \(field.name) takes no argument", at: field.range.lowerBound) }
        if let type = fields[field.name] { return type }
        if open.contains(where: { field.name.hasPrefix($0) && field.name.count > $0.count }) { return .any }
        let known = fields.keys.sorted() + open.sorted().map { $0 + "…" }
        throw ConditionError(
            "there is no field \"\(field.name)\" here", at: field.range.lowerBound, suggestion: nearMiss(to: field.name, among: known), kind: .unknownField)
    }
}
