internal import RiposteCore

/// Reads a message of the control socket, member by member, and takes nothing on trust: what is there and makes no sense is an error, and so is what nobody
/// knows. Left out it would change what is meant: a dry run that acts, an undo that never comes, an identity that is not compared.
struct ControlReader {
    private let message: JSON

    init(_ message: JSON, known: [String]) throws(DeskError) {
        guard let object = message.object else { throw DeskError(.invalid, "the body must be an object") }
        for member in object.members where !known.contains(where: { ByteText($0) == member.key }) {
            let near = nearMiss(to: member.key.repaired, among: known).map { "; did you mean \"\($0)\"?" } ?? ""
            throw DeskError(.invalid, "\"\(member.key.shown)\" is no member of this\(near)")
        }
        self.message = message
    }

    /// Nil where the member is not there, or null.
    func value<Value>(_ key: ByteText, _ expected: String, _ read: (JSON) -> Value?) throws(DeskError) -> Value? {
        guard let member = message[key], member != .null else { return nil }
        guard let value = read(member) else { throw DeskError(.invalid, "\(key.shown) must be \(expected)") }
        return value
    }

    func needed<Value>(_ key: ByteText, _ expected: String, _ read: (JSON) -> Value?) throws(DeskError) -> Value {
        guard let value = try value(key, expected, read) else { throw DeskError(.invalid, "\(key.shown) must be \(expected)") }
        return value
    }

    /// Null is neither yes nor no.
    func isTrue(_ key: ByteText) throws(DeskError) -> Bool {
        guard let member = message[key] else { return false }
        guard let value = member.bool else { throw DeskError(.invalid, "\(key.shown) must be true or false") }
        return value
    }

    func text(_ key: ByteText, _ expected: String = "a text") throws(DeskError) -> String? { try value(key, expected) { $0.string?.valid } }

    /// What only people read.
    func words(_ key: ByteText) throws(DeskError) -> String? { try value(key, "a text") { $0.string?.repaired } }

    func duration(_ key: ByteText) throws(DeskError) -> Duration? { try value(key, "a duration such as 1h") { $0.string?.valid.flatMap { Duration(text: $0) } } }

    func identifier(_ key: ByteText, _ expected: String) throws(DeskError) -> Identifier? { try value(key, expected, Self.identifier) }

    static func identifier(_ json: JSON) -> Identifier? { json.string?.valid.flatMap { Identifier($0) } }
}

extension Array where Element == JSON {
    /// All of them, or nil: a list that lost a member means something else.
    func all<Value>(_ read: (JSON) -> Value?) -> [Value]? {
        var values: [Value] = []
        for element in self {
            guard let value = read(element) else { return nil }
            values.append(value)
        }
        return values
    }
}
