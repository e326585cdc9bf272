import RiposteCore

/// What a vendor's documentation says a JSON value looks like; what is not in it is refused.
indirect enum Shape: Sendable {
    case any
    /// So many UTF-16 code units at most.
    case text(Int)
    case matching(String, @Sendable (String) -> Bool)
    case oneOf([String])
    case integer(ClosedRange<Int64>)
    case number, bool, null
    case list(Shape, ClosedRange<Int>)
    /// Names of the sender's own.
    case map(Shape)
    case object([String: Shape], optional: [String: Shape] = [:])
    /// A shape, and what a shape cannot say.
    case checked(Shape, @Sendable (JSON) -> [String])

    func and(_ check: @escaping @Sendable (JSON) -> [String]) -> Shape { .checked(self, check) }

    static let line = Shape.matching("a text on one line") { !$0.unicodeScalars.contains { $0.value < 0x20 } }

    /// What is wrong, with its place; empty where nothing is.
    func problems(of value: JSON, at path: String = "$") -> [String] {
        switch (self, value) {
        case (.any, _), (.bool, .bool), (.null, .null), (.number, .number), (.number, .integer): return []
        case (.checked(let shape, let check), _): return shape.problems(of: value, at: path) + check(value)
        case (.text(let limit), .string(let text)):
            let length = text.repaired.utf16.count
            return length <= limit ? [] : ["\(path): \(length) is longer than \(limit)"]
        case (.matching(let what, let isFine), .string(let text)): return isFine(text.repaired) ? [] : ["\(path): expected \(what), not \(text)"]
        case (.oneOf(let names), .string(let text)): return names.contains(text.repaired) ? [] : ["\(path): \(text) is none of \(names)"]
        case (.integer(let range), .integer(let number)): return range.contains(number) ? [] : ["\(path): \(number) is out of range"]
        case (.list(let shape, let count), .array(let elements)):
            let wrong = count.contains(elements.count) ? [] : ["\(path): \(elements.count) elements"]
            return wrong + elements.enumerated().flatMap { shape.problems(of: $1, at: "\(path)[\($0)]") }
        case (.map(let shape), .object(let object)):
            return Self.repeated(object, path) + object.members.flatMap { shape.problems(of: $0.value, at: "\(path).\($0.key)") }
        case (.object(let required, let optional), .object(let object)):
            let missing = required.keys.filter { object[ByteText($0)] == nil }.sorted().map { "\(path): \($0) is missing" }
            return missing + Self.repeated(object, path)
                + object.members.flatMap { member in
                    let name = member.key.repaired
                    guard let shape = required[name] ?? optional[name] else { return ["\(path): \(name) is unknown"] }
                    return shape.problems(of: member.value, at: "\(path).\(name)")
                }
        default: return ["\(path): \(value.line.prefix(80)) is of another kind"]
        }
    }

    private static func repeated(_ object: JSONObject, _ path: String) -> [String] {
        Set(object.members.map(\.key)).count == object.members.count ? [] : ["\(path): a name stands twice"]
    }
}

extension JSON {
    /// All texts in it, names of members too.
    var texts: [String] {
        switch self {
        case .string(let text): [text.repaired]
        case .array(let elements): elements.flatMap(\.texts)
        case .object(let object): object.members.flatMap { [$0.key.repaired] + $0.value.texts }
        case .null, .bool, .integer, .number: []
        }
    }
}
