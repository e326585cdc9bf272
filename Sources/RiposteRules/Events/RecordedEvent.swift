package import RiposteCore

/// An event as a flat map from field to typed value, absent fields left out: what `riposte rules replay` reads, one to a line.
package final class RecordedEvent: RuleEvent {
    package let object: JSONObject
    package let type: EventType
    package let time: Timestamp
    private let fields: FlatFields

    /// `evt.type` names the event's type, `evt.time` is in nanoseconds; both may be missing.
    package init(_ object: JSONObject) {
        self.object = object
        fields = FlatFields(object: object)
        type = object["evt.type"]?.string.flatMap { EventType(named: $0.repaired) } ?? .other
        time = Timestamp(nanoseconds: object["evt.time"]?.integer ?? object["evt.rawtime"]?.integer ?? 0)
    }

    package func value(of field: EventField, in arena: FieldArena) -> FieldView {
        let value = fields.value(of: field, in: arena)
        guard value.isAbsent else { return value }
        switch (field.id, field.argument) {
        case (Self.arguments, .index(let index)): return words("proc.args").map { index < $0.count ? arena.text($0[index]) : arena.text([]) } ?? .absent
        case (Self.environment, .key(let name)):
            return words("proc.env").map { words in
                let own = words.first { $0.count > name.count && $0.starts(with: name) && $0[$0.startIndex + name.count] == UInt8(ascii: "=") }
                return arena.text(own?.dropFirst(name.count + 1) ?? [])
            } ?? .absent
        // Events come when a call returns, and recorded ones are those of system calls.
        case (Self.direction, _): return arena.text("<")
        case (Self.eventSource, _): return arena.text("syscall")
        default: return .absent
        }
    }

    private static let direction = FieldCatalogue.id("evt.dir")
    private static let eventSource = FieldCatalogue.id("evt.source")
    private static let arguments = FieldCatalogue.id("proc.args")
    private static let environment = FieldCatalogue.id("proc.env")

    /// Of a field whose text is words joined by blanks.
    private func words(_ name: ByteText) -> [ArraySlice<UInt8>]? { object[name]?.string?.bytes.split(separator: UInt8(ascii: " ")) }
}

/// Why a line is no recorded event, in words for whoever wrote it.
package struct RecordedEventError: Error, Equatable, Sendable, CustomStringConvertible {
    package let problem: String

    package init(problem: String) { self.problem = problem }

    package var description: String { problem }
}

extension RecordedEvent {
    /// Reads one line; every field must be one that events of the source have, with a value that fits its type.
    package convenience init(parsing line: [UInt8], source: String) throws(RecordedEventError) {
        let value: JSON
        do throws(JSONError) { value = try JSON(parsing: line) } catch {
            throw RecordedEventError(problem: "not JSON: \(error.problem) (byte \(error.offset))")
        }
        guard case .object(let object) = value else { throw RecordedEventError(problem: "an event is a JSON object of fields and their values") }
        if let problem = Self.problem(with: object, source: source) { throw RecordedEventError(problem: problem) }
        self.init(object)
    }

    /// What is wrong with the fields of an event, or nil.
    static func problem(with object: JSONObject, source: String) -> String? {
        for member in object.members {
            let name = member.key.repaired
            // The time stands as a number, whatever form a rule's output gives it.
            if name == "evt.time" {
                if member.value.integer == nil { return "evt.time must be a number of nanoseconds since 1970" }
                continue
            }
            guard let condition = try? Condition(parsing: "\(name) exists"), case .test(let test) = condition, case .field(let field) = test.left, field.text == name else {
                return "\"\(member.key.shown)\" is no field"
            }
            do throws(ConditionError) {
                let match = try FieldCatalogue.find(field, source: source)
                if let problem = problem(with: member.value, match) { return "\(name) \(problem)" }
            } catch {
                return error.message + (error.suggestion.map { "; did you mean \"\($0)\"?" } ?? "")
            }
        }
        if let type = object["evt.type"]?.string, EventType(named: type.repaired) == nil {
            return "there is no event type \"\(type.shown)\"" + (nearMiss(to: type.repaired, among: EventType.names).map { "; did you mean \"\($0)\"?" } ?? "")
        }
        return nil
    }

    private static func problem(with value: JSON, _ match: FieldCatalogue.Match) -> String? {
        if case .array(let elements) = value {
            guard match.isList || match.quantifier != .one else { return "must be one value, not a list" }
            return elements.lazy.compactMap { problem(with: $0, match.description.type) }.first
        }
        return problem(with: value, match.description.type)
    }

    private static func problem(with value: JSON, _ type: FieldType) -> String? {
        let isGood: Bool
        switch (value, type) {
        case (_, .any), (.string, .string), (.string, .path), (.string, .bytes), (.bool, .bool): isGood = true
        case (.integer, _): isGood = type.isNumber
        // Falco counts some durations without a sign.
        case (.number(let text), .uint), (.number(let text), .duration), (.number(let text), .time): isGood = UInt64(text.repaired) != nil
        case (.string(let text), .ip), (.string(let text), .net): isGood = IPAddress(text.repaired) != nil
        default: isGood = false
        }
        guard !isGood else { return nil }
        switch type {
        case .string, .path, .bytes: return "must be a text"
        case .bool: return "must be true or false"
        case .ip, .net: return "must be the text of an IP address"
        default: return "must be a whole number"
        }
    }
}
