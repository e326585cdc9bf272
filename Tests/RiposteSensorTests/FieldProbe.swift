@testable import RiposteRules
import RiposteCore
@testable import RiposteSensor

/// A field's value in a form that tests can write down.
enum SeenValue: Equatable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, CustomStringConvertible {
    case absent
    case bytes([UInt8])
    case integer(Int64)
    case bool(Bool)
    case address(String)
    case list([SeenValue])

    init(stringLiteral value: String) { self = .bytes(Array(value.utf8)) }
    init(integerLiteral value: Int64) { self = .integer(value) }
    init(booleanLiteral value: Bool) { self = .bool(value) }
    init(arrayLiteral elements: SeenValue...) { self = .list(elements) }

    init(_ view: FieldView) {
        self =
            switch view {
            case .absent: .absent
            case .text(let bytes): .bytes(Array(bytes))
            case .integer(let number): .integer(number)
            case .bool(let truth): .bool(truth)
            case .address(let address): .address("\(address)")
            case .list(let elements): .list(elements.map(SeenValue.init))
            }
    }

    var description: String {
        switch self {
        case .absent: "absent"
        case .bytes(let bytes): "\"\(ByteText(bytes))\""
        case .integer(let number): "\(number)"
        case .bool(let truth): "\(truth)"
        case .address(let address): address
        case .list(let elements): "\(elements)"
        }
    }
}

/// Asks an event for fields as rules and outputs do.
final class FieldProbe {
    private let arena = FieldArena()

    /// `field` as it is written in a rule: `proc.aname[2]`, `evt.arg.flags`.
    func value(_ field: String, of event: some RuleEvent) throws -> SeenValue {
        let condition = try Condition(parsing: "\(field) exists")
        guard case .test(let test) = condition, case .field(let reference) = test.left else { throw NoField(text: field) }
        let match = try FieldCatalogue.find(reference, source: "syscall")
        let (text, key) = (HeldBytes.copy(of: field.utf8), HeldBytes.copy(of: (match.argument ?? "").utf8))
        let argument: EventField.Argument =
            switch (match.argument, match.description.argument) {
            case (nil, _): .none
            case (let number?, .index): .index(Int(number) ?? 0)
            case (_?, _): .key(key.bytes)
            }
        let wanted = EventField(id: match.description.id, argument: argument, type: match.description.type, text: text.bytes)
        return withExtendedLifetime((text, key)) { SeenValue(event.value(of: wanted, in: arena)) }
    }

    /// Whether a condition holds.
    func holds(_ condition: String, for event: some RuleEvent) throws -> Bool {
        let (compiled, findings) = EventCondition.compile(condition, source: "syscall")
        guard let compiled else { throw NoField(text: findings.map(\.message).joined(separator: "; ")) }
        return !compiled.judge().judge(event).isEmpty
    }

    private struct NoField: Error { let text: String }
}

/// Containers of which nothing is known.
final class UnknownContainers: ContainerKnowledge {
    func prefetch(_ container: ContainerReference, beganAnew: Bool) {}

    func facts(of container: ContainerReference) -> ContainerFacts? { nil }
}
