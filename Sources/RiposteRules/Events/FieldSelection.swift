package import RiposteCore

/// Some fields of a source, ready to be asked of one event after the other. One thread uses it.
package final class FieldSelection {
    private struct Entry {
        let name: ByteText
        let field: EventField
    }

    private let entries: [Entry]
    /// Owns the texts that the fields point to.
    private let constants = FieldArena()
    private let arena = FieldArena()

    /// `names` as rules write them: `proc.aname[2]`, `evt.arg.flags`. Throws for the first that is no field of the source.
    package init(_ names: [String], source: String) throws(ConditionError) {
        var entries: [Entry] = []
        for name in names {
            guard case .test(let test) = try Condition(parsing: "\(name) exists"), case .field(let reference) = test.left, reference.text == name else {
                throw ConditionError("\"\(name)\" is no field name", at: 0)
            }
            let match = try FieldCatalogue.find(reference, source: source)
            entries.append(Entry(name: ByteText(name), field: Self.field(match, name, constants)))
        }
        self.entries = entries
    }

    /// All fields of a source that have a value without an argument and are not deprecated.
    package static func everything(source: String) -> [String] {
        FieldCatalogue.all.filter { ($0.source == nil || $0.source == source) && !$0.needsArgument && !$0.isDeprecated && $0.isPrintable }.map(\.name)
    }

    private static func field(_ match: FieldCatalogue.Match, _ text: String, _ constants: FieldArena) -> EventField {
        func kept(_ text: String) -> UnsafeRawBufferPointer {
            guard case .text(let bytes) = constants.text(text.utf8) else { return UnsafeRawBufferPointer(start: nil, count: 0) }
            return bytes
        }
        let argument: EventField.Argument =
            switch (match.argument, match.description.argument) {
            case (let text?, .index): .index(Int(text) ?? 0)
            case (let text?, _): .key(kept(text))
            case (nil, _): .none
            }
        return EventField(id: match.description.id, argument: argument, type: match.description.type, text: kept(text))
    }

    /// Those that the event has, as JSON of their own type, as recorded events and alerts have them.
    package func values(of event: any RuleEvent) -> [JSONObject.Member] {
        arena.reset()
        return entries.compactMap { entry in
            let value = event.value(of: entry.field, in: arena)
            guard !value.isAbsent else { return nil }
            return JSONObject.Member(key: entry.name, value: Self.json(value, entry.field.type))
        }
    }

    private static func json(_ value: FieldView, _ type: FieldType) -> JSON {
        switch value {
        case .absent: return .null
        case .integer(let number):
            guard number < 0, type == .uint || type == .duration else { return .integer(number) }
            return .number(ByteText(String(UInt64(bitPattern: number))))
        case .bool(let truth): return .bool(truth)
        case .list(let elements): return .array(elements.map { json($0, type) })
        case .text, .address:
            var bytes: [UInt8] = []
            value.append(to: &bytes)
            return .string(ByteText(bytes))
        }
    }
}

extension RuleSet {
    /// The fields with an argument that rules of a source ask for: `proc.aname[2]`, `evt.arg.flags`.
    package func fieldsWithArguments(source: String) -> [String] {
        guard let plan = sources[source]?.plan else { return [] }
        return (0..<plan.fieldCount).compactMap { index in
            let field = plan.fields[index]
            if case .none = field.argument { return nil }
            return String(decoding: field.text, as: UTF8.self)
        }
    }
}
