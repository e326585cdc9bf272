internal import RiposteCore

/// Fields as a flat map from name to JSON value, as alerts and recorded events have them. What follows from fields that are there is made from
/// them: addresses of either end, all ancestors.
struct FlatFields {
    let object: JSONObject

    func value(of field: EventField, in arena: FieldArena) -> FieldView {
        if let value = view(of: field.text, arena) { return value }
        guard field.id != .unlisted else { return .absent }
        // `evt.arg.flags` and `evt.arg[flags]` are one field.
        if case .key(let key) = field.argument, let value = view(of: key, under: field.id, arena) { return value }
        switch field.id {
        case Self.ids.ip, Self.ids.net: return ends(Self.addresses, arena)
        case Self.ids.port: return ends(Self.ports, arena)
        case Self.ids.clientNet: return view(of: "fd.cip", arena) ?? .absent
        case Self.ids.serverNet: return view(of: "fd.sip", arena) ?? .absent
        case Self.ids.localNet: return view(of: "fd.lip", arena) ?? .absent
        case Self.ids.remoteNet: return view(of: "fd.rip", arena) ?? .absent
        default:
            guard let ancestry = Self.ancestries[field.id] else { return .absent }
            switch field.argument {
            case .none: return ancestors(ancestry.names.dropFirst(), arena)
            // The process itself and its parent have fields of their own.
            case .index(let index) where index < 2: return object[ancestry.names[index]].flatMap { Self.view($0, arena) } ?? .absent
            default: return .absent
            }
        }
    }

    private static let ids = (
        ip: FieldCatalogue.id("fd.ip"), net: FieldCatalogue.id("fd.net"), port: FieldCatalogue.id("fd.port"), clientNet: FieldCatalogue.id("fd.cnet"),
        serverNet: FieldCatalogue.id("fd.snet"), localNet: FieldCatalogue.id("fd.lnet"), remoteNet: FieldCatalogue.id("fd.rnet")
    )
    private static let addresses: [StaticString] = ["fd.cip", "fd.sip", "fd.lip", "fd.rip"]
    private static let ports: [StaticString] = ["fd.cport", "fd.sport", "fd.lport", "fd.rport"]

    private struct Ancestry {
        /// Of the process, its parent, and so on.
        let names: [ByteText]
    }

    private static let ancestries: [FieldID: Ancestry] = {
        let families: [(StaticString, own: String, parent: String)] = [
            ("proc.aname", "proc.name", "proc.pname"), ("proc.aexe", "proc.exe", "proc.pexe"), ("proc.aexepath", "proc.exepath", "proc.pexepath"),
            ("proc.acmdline", "proc.cmdline", "proc.pcmdline"), ("proc.apid", "proc.pid", "proc.ppid"),
        ]
        return Dictionary(
            uniqueKeysWithValues: families.map { name, own, parent in
                (FieldCatalogue.id(name), Ancestry(names: [ByteText(own), ByteText(parent)] + (2...16).map { ByteText("\(name)[\($0)]") }))
            })
    }()

    private func ends(_ names: [StaticString], _ arena: FieldArena) -> FieldView {
        let values = names.compactMap { view(of: $0, arena) }
        return values.isEmpty ? .absent : arena.list(values)
    }

    private func ancestors(_ names: ArraySlice<ByteText>, _ arena: FieldArena) -> FieldView {
        let values = names.compactMap { name in object[name].flatMap { Self.view($0, arena) } }
        return values.isEmpty ? .absent : arena.list(values)
    }

    private func view(of name: StaticString, _ arena: FieldArena) -> FieldView? {
        view(of: UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), arena)
    }

    private func view(of name: UnsafeRawBufferPointer, _ arena: FieldArena) -> FieldView? {
        guard let member = object.members.first(where: { $0.key.bytes.count == name.count && $0.key.bytes.elementsEqual(name) }) else { return nil }
        return Self.view(member.value, arena)
    }

    /// The member whose key is the field's name and a key in either spelling.
    private func view(of key: UnsafeRawBufferPointer, under id: FieldID, _ arena: FieldArena) -> FieldView? {
        let name = FieldCatalogue[id].name.utf8
        let member = object.members.first { member in
            guard member.key.bytes.starts(with: name) else { return false }
            let rest = member.key.bytes.dropFirst(name.count)
            return (rest.first == UInt8(ascii: ".") && rest.dropFirst().elementsEqual(key))
                || (rest.first == UInt8(ascii: "[") && rest.last == UInt8(ascii: "]") && rest.dropFirst().dropLast().elementsEqual(key))
        }
        return member.flatMap { Self.view($0.value, arena) }
    }

    /// Nil for null and objects: no field has such a value.
    static func view(_ value: JSON, _ arena: FieldArena) -> FieldView? {
        switch value {
        case .null, .object: nil
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .number(let text), .string(let text): arena.text(text.bytes)
        case .array(let elements): arena.list(elements.compactMap { view($0, arena) })
        }
    }
}
