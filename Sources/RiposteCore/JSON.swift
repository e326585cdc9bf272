/// A JSON value that forgets nothing: 64-bit integers stay exact, other numbers keep their spelling, members keep their order, and
/// text keeps its bytes. An alert that was read and is written again is equal to what came in.
///
/// Foundation's readers cannot be used for alerts: they round integers beyond 2^53, reject text that is not UTF-8, and cost ten times as much.
package enum JSON: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// A number that is no `Int64` in its shortest form, as it was spelled: `1.50`, `1e9`, `18446744073709551615`.
    case number(ByteText)
    case string(ByteText)
    case array([JSON])
    case object(JSONObject)
}

/// The members of a JSON object in the order in which they stand.
package struct JSONObject: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        package var key: ByteText
        package var value: JSON
        package init(key: ByteText, value: JSON) {
            self.key = key
            self.value = value
        }
    }

    package var members: [Member]

    package init(_ members: [Member] = []) { self.members = members }

    package var isEmpty: Bool { members.isEmpty }

    package subscript(key: ByteText) -> JSON? {
        get { members.first { $0.key == key }?.value }
        set {
            let place = members.firstIndex { $0.key == key }
            switch (place, newValue) {
            case (let place?, let value?): members[place].value = value
            case (let place?, nil): members.remove(at: place)
            case (nil, let value?): members.append(Member(key: key, value: value))
            case (nil, nil): break
            }
        }
    }

    /// Adds a member at the end. For building: the caller vouches that the key is new.
    package mutating func append(_ key: ByteText, _ value: JSON) { members.append(Member(key: key, value: value)) }

    /// Adds a member at the end if there is a value.
    package mutating func append(_ key: ByteText, _ value: JSON?) {
        if let value { append(key, value) }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (ByteText, JSON)...) {
        members = elements.map { Member(key: $0.0, value: $0.1) }
    }
}

extension JSON {
    package static func text(_ string: String) -> JSON { .string(ByteText(string)) }

    package var string: ByteText? { if case .string(let value) = self { value } else { nil } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    package var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
    package var object: JSONObject? { if case .object(let value) = self { value } else { nil } }

    /// The member of an object, or nil where this is no object or has none of that name.
    package subscript(key: ByteText) -> JSON? { object?[key] }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    package init(stringLiteral value: String) { self = .string(ByteText(value)) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(arrayLiteral elements: JSON...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (ByteText, JSON)...) {
        self = .object(JSONObject(elements.map { JSONObject.Member(key: $0.0, value: $0.1) }))
    }
    package init(nilLiteral: ()) { self = .null }
}
