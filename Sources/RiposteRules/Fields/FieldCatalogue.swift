internal import RiposteCore

/// The fields of Falco's rules language that Riposte knows, with those of an alert itself (`alert.rule` …), which playbooks may test.
package enum FieldCatalogue {
    /// A field of a condition or output, found in the catalogue.
    package struct Match: Sendable {
        package let description: FieldDescription
        /// `2` of `proc.aname[2]`, `flags` of `evt.arg.flags`.
        package let argument: String?

        package var isList: Bool { description.isList }
        /// ``FieldDescription/Quantifier/one`` where an argument picks one value.
        package var quantifier: FieldDescription.Quantifier { argument == nil ? description.quantifier : .one }
    }

    /// All of them, in the order of the tables; a field's id is its place.
    package static let all: [FieldDescription] = {
        var result: [FieldDescription] = []
        for table in [FieldTable.systemCalls, .kubernetesAudit, .documents, .alerts] {
            for line in table.text.split(separator: "\n") {
                result.append(FieldDescription(row: line, source: table.source, id: FieldID(rawValue: UInt16(result.count))))
            }
        }
        return result
    }()

    private static let byName: [String: Int] = Dictionary(all.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })

    package static subscript(id: FieldID) -> FieldDescription { all[Int(id.rawValue)] }

    package static func description(named name: String) -> FieldDescription? { byName[name].map { all[$0] } }

    /// The id of a field that is certainly there; for the code of event sources.
    package static func id(_ name: StaticString) -> FieldID {
        guard let index = byName["\(name)"] else { preconditionFailure("no field \(name)") }
        return all[index].id
    }

    /// Finds a field for events of one source, with its argument checked; throws where there is none.
    package static func find(_ field: Condition.FieldReference, source: String) throws(ConditionError) -> Match {
        guard let match = try find(field), match.description.source == nil || match.description.source == source else {
            throw unknown(field, source: source)
        }
        return match
    }

    /// Whether there is such a field for events of the source, with such an argument; without the trouble of saying what is wrong.
    static func knows(_ field: Condition.FieldReference, source: String) -> Bool {
        guard let match = try? find(field) else { return false }
        return match.description.source == nil || match.description.source == source
    }

    /// Nil for a name that is not in the catalogue.
    static func find(_ field: Condition.FieldReference) throws(ConditionError) -> Match? {
        if let index = byName[field.name] { return try match(all[index], field.argument, field) }
        // `evt.arg.flags` is `evt.arg[flags]`.
        guard let dot = field.name.lastIndex(of: "."), let index = byName[String(field.name[..<dot])], all[index].argument == .key, all[index].needsArgument else {
            return nil
        }
        guard field.argument == nil else { return nil }
        return try match(all[index], String(field.name[field.name.index(after: dot)...]), field)
    }

    private static func match(_ description: FieldDescription, _ argument: String?, _ field: Condition.FieldReference) throws(ConditionError) -> Match {
        guard let argument else {
            guard !description.needsArgument else {
                let example = description.argument == .index ? "1" : "…"
                throw ConditionError("the field \(description.name) needs an argument: \(description.name)[\(example)]", at: field.range.lowerBound)
            }
            return Match(description: description, argument: nil)
        }
        switch description.argument {
        case .none: throw ConditionError("the field \(description.name) takes no argument", at: field.range.lowerBound)
        case .index:
            guard let number = Int(argument), 0...4096 ~= number, "\(number)" == argument else {
                throw ConditionError("the argument of \(description.name) is a number from 0", at: field.range.lowerBound)
            }
        case .key: break
        }
        return Match(description: description, argument: argument)
    }

    private static func unknown(_ field: Condition.FieldReference, source: String) -> ConditionError {
        let known = all.lazy.filter { $0.source == nil || $0.source == source }.map(\.name)
        let elsewhere = description(named: field.name)?.source
        let message = "there is no field \"\(field.name.escapedForDisplay)\"" + (elsewhere.map { " for source \(source); it belongs to source \($0)" } ?? "")
        return ConditionError(message, at: field.range.lowerBound, suggestion: elsewhere == nil ? nearMiss(to: field.name, among: Array(known)) : nil, kind: .unknownField)
    }

    // MARK: - Alerts

    /// Finds a field of alerts, which may carry any of any source and others besides: custom and templated fields have names of people's
    /// own. Nil where it is one of those; throws for a name that is no field though its family is known: a slip of the pen, and a condition
    /// that could never hold.
    static func findOfAlert(_ field: Condition.FieldReference) throws(ConditionError) -> Match? {
        if let match = try find(field) { return match }
        if openFamilies.contains(where: { field.name.hasPrefix($0) }) { return nil }
        let family = String(field.name.prefix { $0 != "." })
        guard families.contains(family) else {
            // A family of somebody's own, unless it is one of Falco's with a slip of the pen.
            guard let near = nearMiss(to: family, among: families), byName[near + field.name.dropFirst(family.count)] != nil else { return nil }
            let suggestion = near + field.name.dropFirst(family.count)
            throw ConditionError("there is no field \"\(field.name)\"", at: field.range.lowerBound, suggestion: suggestion, kind: .unknownField)
        }
        throw ConditionError(
            "there is no field \"\(field.name)\"", at: field.range.lowerBound, suggestion: nearMiss(to: field.name, among: Array(byName.keys)), kind: .unknownField)
    }

    /// Whether `name` is a field, or may be one that falcosidekick added; with a scope, also one of that.
    package static func problem(with name: String, in scope: ConditionScope? = nil) -> ConditionError? {
        do throws(ConditionError) {
            let condition = try Condition(parsing: "\(name) exists")
            guard case .test(let test) = condition, case .field(let field) = test.left, field.text == name else {
                return ConditionError("\"\(name)\" is no field name", at: 0)
            }
            if try scope?.type(of: field) == nil { _ = try findOfAlert(field) }
            return nil
        } catch {
            return error
        }
    }

    package static var names: [String] { byName.keys.sorted() }

    /// Families whose members have names of their own: pointers into audit events and documents.
    private static let openFamilies = ["ka.", "jevt.", "json."]

    private static let families = Set(byName.keys.map { String($0.prefix { $0 != "." }) })
}

/// Rows of the catalogue for one source, as text: `name | type | argument | flags | meaning`.
///
/// - type: a ``FieldType``, in `list(…)` for lists.
/// - argument: `-`, `[n]` (a number), `[key]`, with `?` behind it where it may be left out.
/// - flags: `any` and `ends` (``FieldDescription/Quantifier``), `left` (not right of an operator), `silent` (not in outputs), `suggested`,
///   `deprecated`; `-` for none.
struct FieldTable {
    let source: String?
    let text: String
}

extension FieldDescription {
    /// Reads one row; our own text, so what is wrong with it is a bug.
    fileprivate init(row: Substring, source: String?, id: FieldID) {
        let columns = row.split(separator: "|", maxSplits: 4).map { $0.trimmingBlanks }
        precondition(columns.count == 5, "field table: \(row)")
        let flags = Set(columns[3].split(separator: " ").map(String.init))
        let typeName = columns[1].hasPrefix("list(") ? columns[1].dropFirst(5).dropLast() : columns[1][...]
        guard let type = FieldType(rawValue: String(typeName)) else { preconditionFailure("field table: type \(typeName)") }
        precondition(flags.isSubset(of: ["-", "any", "ends", "left", "silent", "suggested", "deprecated"]), "field table: flags \(columns[3])")
        self.init(
            id: id, name: columns[0], type: type, isList: columns[1].hasPrefix("list("),
            argument: columns[2].hasPrefix("[n]") ? .index : columns[2].hasPrefix("[") ? .key : .none,
            needsArgument: columns[2].hasSuffix("]"),
            quantifier: flags.contains("any") ? .any : flags.contains("ends") ? .ends : .one,
            isComparable: !flags.contains("left"), isPrintable: !flags.contains("silent"), isSuggested: flags.contains("suggested"),
            isDeprecated: flags.contains("deprecated"), source: source, since: "0.2.0", meaning: columns[4])
    }
}

extension Substring {
    fileprivate var trimmingBlanks: String {
        var rest = self
        while rest.first == " " { rest = rest.dropFirst() }
        while rest.last == " " { rest = rest.dropLast() }
        return String(rest)
    }
}
